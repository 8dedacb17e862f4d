//! Other webhooks beside ours: who comes later may add images, and the API server then calls us once more.

use serde_json::{Value, json};

use crate::harness::{Installation, Other, allowed, pod, rule, unique, with};

#[tokio::test(flavor = "multi_thread")]
async fn what_another_webhook_does_is_seen_and_nothing_is_added_twice() {
    let pullkey = Installation::with_rules(&(rule("a", "a.example") + &rule("b", "b.example"))).await;
    let sidecar = |image: &str| {
        let container = json!({"name": "sidecar", "image": image});
        json!([{"op": "add", "path": "/spec/containers/-", "value": container}])
    };
    let init = json!({"name": "init", "image": "b.example/init", "restartPolicy": "Always"});
    let list = |value: Value| json!([{"op": "add", "path": "/spec/imagePullSecrets", "value": value}]);
    let theirs = json!([{"name": "theirs"}]);
    // Its mount in a sidecar would be one more change after us, by the API server itself.
    let no_token = json!({"automountServiceAccountToken": false});
    // The order is that of the configurations' names: is the other one earlier or later?
    let rows: [(_, _, Value, u32, &[_]); 8] = [
        ("nothing", "zz", json!([]), 1, &["a-pull"]),
        (
            "a label",
            "zz",
            json!([{"op": "add", "path": "/metadata/labels", "value": {"a": "b"}}]),
            2,
            &["a-pull"],
        ),
        (
            "a sidecar of another registry",
            "zz",
            sidecar("b.example/proxy"),
            2,
            &["a-pull", "b-pull"],
        ),
        (
            "a sidecar of the same registry",
            "zz",
            sidecar("a.example/proxy"),
            2,
            &["a-pull"],
        ),
        (
            "a sidecar without a rule",
            "zz",
            sidecar("c.example/proxy"),
            2,
            &["a-pull"],
        ),
        (
            "an init container where there was none",
            "zz",
            json!([{"op": "add", "path": "/spec/initContainers", "value": [init]}]),
            2,
            &["a-pull", "b-pull"],
        ),
        (
            "its own list instead of ours",
            "zz",
            list(theirs),
            2,
            &["theirs", "a-pull"],
        ),
        (
            "a sidecar before us",
            "aa",
            sidecar("b.example/proxy"),
            1,
            &["a-pull", "b-pull"],
        ),
    ];
    for (what, name, patch, calls, secrets) in rows {
        let namespace = pullkey.namespace().await;
        let answer = move |request: &Value| allowed(request, &patch);
        let other = Other::start(&unique(name), "Fail", &namespace, answer).await;
        let (called, seen) = (pullkey.calls_from_now().await, other.seen().len());
        namespace
            .mutates(what, &with("spec", &no_token, pod(&["a.example/app"])), secrets)
            .await;
        assert_eq!(other.seen().len() - seen, 1, "{what}");
        called.are(calls, what).await;
    }
}
