//! What becomes of Pods that somebody creates by hand: every place of an image, every list of secrets that may be there
//! already, every way of creation.

use serde_json::{Value, json};

use crate::harness::{Installation, Reach, Setup, control_plane, named, pod, pull_secrets, rule, unique, with};

/// Three registries. A longer path comes first, then the host in order.
fn rules() -> String {
    rule("a", "a.example") + &rule("b", "b.example") + &rule("c", "c.example/team")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_image_of_a_pod_is_served() {
    every_image_is_served(Reach::Service).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_image_of_a_pod_is_served_by_url() {
    every_image_is_served(Reach::Url).await;
}

async fn every_image_is_served(reach: Reach) {
    let pullkey = Installation::start(&Setup {
        rules: &rules(),
        reach,
        ..Setup::default()
    })
    .await;
    let namespace = pullkey.namespace().await;
    let container = |image: &str| json!([{"name": "container", "image": image}]);
    let volume = |image: &str| json!([{"name": "volume", "image": {"reference": image}}]);
    let public = "public.example/app";
    let rows = [
        ("no rule", public, json!({}), vec![]),
        ("a container", "a.example/app", json!({}), vec!["a-pull"]),
        (
            "two containers of one registry",
            "a.example/app",
            json!({"initContainers": [{"name": "init", "image": "a.example/init"}]}),
            vec!["a-pull"],
        ),
        (
            "an init container",
            public,
            json!({"initContainers": [{"name": "init", "image": "a.example/init:1"}]}),
            vec!["a-pull"],
        ),
        (
            "a sidecar that is restarted",
            public,
            json!({"initContainers": [{"name": "sidecar", "image": "a.example/sidecar", "restartPolicy": "Always"}]}),
            vec!["a-pull"],
        ),
        (
            "an image volume",
            public,
            json!({"volumes": volume("a.example/data")}),
            vec!["a-pull"],
        ),
        (
            "the best match first, wherever its image stands",
            "b.example/app",
            json!({
                "initContainers": [{"name": "init", "image": "a.example/init"}],
                "volumes": volume("c.example/team/data"),
            }),
            vec!["c-pull", "a-pull", "b-pull"],
        ),
        ("another path of the registry", "c.example/teams/app", json!({}), vec![]),
    ];
    for (what, image, spec, secrets) in rows {
        let pod = with("spec", &json!({"containers": container(image)}), pod(&[]));
        namespace.mutates(what, &with("spec", &spec, pod), &secrets).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secrets_that_a_pod_names_are_kept_and_never_doubled() {
    let pullkey = Installation::with_rules(&rules()).await;
    let namespace = pullkey.namespace().await;
    let mine = json!([{"name": "mine"}]);
    let rows: [(_, Value, &[_]); 9] = [
        ("null", json!(null), &["a-pull"]),
        ("no entry", json!([]), &["a-pull"]),
        ("another one", mine, &["mine", "a-pull"]),
        ("an entry without a name", json!([{}]), &["", "a-pull"]),
        ("an empty name", json!([{"name": ""}]), &["", "a-pull"]),
        ("the very one", json!([{"name": "a-pull"}]), &["a-pull"]),
        (
            "the very one among others",
            json!([{"name": "x"}, {"name": "a-pull"}, {"name": "y"}]),
            &["x", "a-pull", "y"],
        ),
        (
            "another one twice",
            json!([{"name": "x"}, {"name": "x"}]),
            &["x", "x", "a-pull"],
        ),
        (
            "the very one twice",
            json!([{"name": "a-pull"}, {"name": "a-pull"}]),
            &["a-pull", "a-pull"],
        ),
    ];
    for (what, list, secrets) in rows {
        let pod = with("spec", &json!({"imagePullSecrets": list}), pod(&["a.example/app"]));
        namespace.mutates(what, &pod, secrets).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_create_a_pod_counts() {
    let pullkey = Installation::with_rules(&rules()).await;
    let namespace = pullkey.namespace().await;
    let pods = namespace.path("pods", "");
    let pod = || pod(&["a.example/app"]);

    let generated = namespace.pod(&pod()).await;
    assert!(generated["metadata"]["name"].as_str().unwrap().len() > "pod-".len());
    assert_eq!(pull_secrets(&generated), ["a-pull"]);
    namespace
        .mutates("by name", &named("by-name", pod()), &["a-pull"])
        .await;

    let dry = named("dry", pod());
    let answer = namespace.api.create(&format!("{pods}?dryRun=All"), &dry).await;
    assert_eq!(pull_secrets(&answer.good()), ["a-pull"]);
    assert_eq!(namespace.api.get(&namespace.path("pods", "dry")).await.status, 404);

    let applied = named("applied", pod());
    let path = namespace.path("pods", "applied");
    let first = namespace.api.apply(&path, &applied).await.good();
    assert_eq!(pull_secrets(&first), ["a-pull"]);
    let again = namespace.api.apply(&path, &applied).await.good();
    assert_eq!(again, first, "what others own stays when the same is applied again");
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_shows_and_keeps_what_was_added() {
    let pullkey = Installation::with_rules(&rules()).await;
    let namespace = pullkey.namespace().await;
    let kubectl = |arguments: &[&str], input: &str| {
        let arguments = [arguments, &["--namespace", &namespace.name]].concat();
        control_plane().kubectl(&arguments, input)
    };
    let secrets = "-o=jsonpath={.spec.imagePullSecrets[*].name}";
    let run = ["run", "--image=a.example/app", "--restart=Never", secrets];
    assert_eq!(
        kubectl(&[&run[..], &["dry", "--dry-run=server"]].concat(), ""),
        "a-pull"
    );
    assert_eq!(kubectl(&[&run[..], &["real"]].concat(), ""), "a-pull");
    assert_eq!(
        kubectl(&["get", "pods", "-o=jsonpath={.items[*].metadata.name}"], ""),
        "real"
    );

    for apply in [&["apply", "-f", "-"][..], &["apply", "-f", "-", "--server-side"]] {
        let pod = named(&unique("applied"), pod(&["a.example/app"]));
        let manifest = pod.to_string();
        assert_eq!(kubectl(&[apply, &[secrets]].concat(), &manifest), "a-pull");
        assert_eq!(kubectl(&[&["diff"], &apply[1..]].concat(), &manifest), "");
        assert_eq!(kubectl(&[apply, &[secrets]].concat(), &manifest), "a-pull");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secrets_of_the_service_account_are_kept() {
    let pullkey = Installation::with_rules(&rules()).await;
    let namespace = pullkey.namespace().await;
    namespace.account("empty", &json!({}), &[]).await;
    namespace.account("team", &json!({}), &["one", "two"]).await;
    namespace.account("same", &json!({}), &["a-pull", "two"]).await;
    let list = |names: &[&str]| json!(names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>());
    let rows: [(_, _, _, &[_]); 6] = [
        ("none", "empty", list(&[]), &["a-pull"]),
        ("two", "team", list(&[]), &["one", "two", "a-pull"]),
        ("ours", "same", list(&[]), &["a-pull", "two"]),
        // The API server copies the account's only to a Pod without any, and this one is decided before us.
        ("the Pod's own", "team", list(&["mine"]), &["mine", "a-pull"]),
        ("an empty name", "team", list(&[""]), &["", "a-pull"]),
        ("ours in the Pod", "team", list(&["a-pull"]), &["a-pull"]),
    ];
    for (what, account, list, secrets) in rows {
        let spec = json!({"serviceAccountName": account, "imagePullSecrets": list});
        let pod = with("spec", &spec, pod(&["a.example/app"]));
        namespace.mutates(what, &pod, secrets).await;
    }
}
