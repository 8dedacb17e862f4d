//! What is none of our business: who is never called about, and who is left alone even where the registration does not
//! say so.

use axum::http::Method;
use serde_json::{Value, json};

use crate::harness::{Installation, Namespace, Setup, control_plane, named, pod, pull_secrets, rule, until, with};

/// Pods with these labels are the only ones that a registration for every namespace is called for.
const MARKER: [&str; 2] = ["pullkey.dev/test-marker", "scope"];

fn annotated(annotations: &Value) -> Value {
    with("metadata", &json!({"annotations": annotations}), app())
}

fn labelled(labels: &Value) -> Value {
    with("metadata", &json!({"labels": labels}), app())
}

fn app() -> Value {
    pod(&["a.example/app"])
}

/// A Pod as a kubelet reports it that has read it from a file.
fn mirror(annotation: &str) -> Value {
    let on_node = json!({"nodeName": "nobody"});
    with(
        "spec",
        &on_node,
        annotated(&json!({"kubernetes.io/config.mirror": annotation})),
    )
}

/// Mirror Pods and Pods that opt out.
fn untouchable() -> [(&'static str, Value); 4] {
    let out = labelled(&json!({"pullkey.dev/inject": "false"}));
    let mine = json!({"imagePullSecrets": [{"name": "mine"}]});
    [
        ("a mirror Pod", mirror("0123")),
        ("a mirror Pod with an empty value", mirror("")),
        ("a Pod that opts out", out.clone()),
        ("a Pod that opts out and has its own", with("spec", &mine, out)),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn mirror_pods_and_opt_outs_are_not_even_called_for() {
    let pullkey = Installation::with_rules(&rule("a", "a.example")).await;
    let namespace = pullkey.namespace().await;
    let opted_out = pullkey.namespace_with(&json!({"pullkey.dev/inject": "false"})).await;
    let calls = pullkey.calls_from_now().await;
    for (what, pod) in untouchable() {
        namespace.leaves_alone(what, &pod).await;
    }
    opted_out.leaves_alone("a namespace that opts out", &app()).await;
    calls.are(0, "out of scope").await;

    let spelled_otherwise = json!({"pullkey.dev/inject": "False"});
    namespace
        .mutates("no opt-out", &labelled(&spelled_otherwise), &["a-pull"])
        .await;
    let other_annotation = json!({"kubernetes.io/config.source": "file"});
    namespace
        .mutates("no mirror Pod", &annotated(&other_annotation), &["a-pull"])
        .await;
    let namespace = pullkey.namespace_with(&json!({"pullkey.dev/inject": "true"})).await;
    namespace.mutates("a namespace that opts in", &app(), &["a-pull"]).await;
    calls.are(3, "in scope").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mirror_pods_and_opt_outs_are_left_alone_when_they_are_called_for() {
    let pullkey = Installation::start(&Setup {
        rules: &rule("a", "a.example"),
        change: |configuration| configuration["webhooks"][0]["matchConditions"] = json!(null),
        ..Setup::default()
    })
    .await;
    let namespace = pullkey.namespace().await;
    let calls = pullkey.calls_from_now().await;
    for (what, pod) in untouchable() {
        namespace.leaves_alone(what, &pod).await;
    }
    calls.are(4, "without matchConditions").await;

    let mine = json!({"imagePullSecrets": [{"name": "mine"}]});
    let message = namespace
        .rejects("why", &with("spec", &mine, mirror("0123")), 403)
        .await;
    assert!(message.contains("a mirror pod may not reference secrets"), "{message}");
}

/// Registers for the marked Pods of every namespace that the shipped terms of the selector leave.
fn everywhere(configuration: &mut Value) {
    let webhook = &mut configuration["webhooks"][0];
    webhook["objectSelector"] = json!({"matchLabels": {MARKER[0]: MARKER[1]}});
    let terms = webhook["namespaceSelector"]["matchExpressions"].as_array_mut().unwrap();
    let own = terms.pop().unwrap();
    assert_eq!(own["operator"], "In", "the harness's own term, which no admin has");
}

/// The same without any selector of namespaces.
fn really_everywhere(configuration: &mut Value) {
    everywhere(configuration);
    configuration["webhooks"][0]["namespaceSelector"] = json!({});
}

#[tokio::test(flavor = "multi_thread")]
async fn protected_namespaces_are_never_called_for_and_never_served() {
    for (change, called) in [(everywhere as fn(&mut Value), 0), (really_everywhere, 1)] {
        let mut pullkey = Installation::prepare(&Setup {
            rules: &rule("all", "*"),
            change,
            ..Setup::default()
        })
        .await;
        pullkey.add_replica(&[]).await;
        pullkey.configure().await;
        // Pullkey's own Pod, which is allowed in its namespace. Nothing is stored: others live in the namespaces.
        let mut pod = with(
            "spec",
            &json!({"serviceAccountName": "default"}),
            pullkey.deployment["spec"]["template"].clone(),
        );
        pod["metadata"] = json!({"generateName": "own-", "labels": {MARKER[0]: MARKER[1]}});
        let create = async |namespace: &str| {
            let path = format!("/api/v1/namespaces/{namespace}/pods?dryRun=All");
            pull_secrets(&pullkey.api.create(&path, &pod).await.good())
        };
        until("the API server calls for an ordinary namespace", async || {
            (create("default").await == ["all-pull"]).then_some(())
        })
        .await;
        for namespace in ["kube-system", "kube-public", "kube-node-lease", &pullkey.id] {
            let calls = pullkey.calls_from_now().await;
            assert!(create(namespace).await.is_empty(), "{namespace}");
            calls.are(called, namespace).await;
        }
        pullkey.api.delete(&pullkey.configuration_path()).await.good();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_to_a_pod_after_its_creation_is_never_called_for() {
    let pullkey = Installation::with_rules(&rule("all", "*")).await;
    let namespace = Namespace::with_labels(&json!({})).await;
    // It was there before Pullkey, so a call about it would change it, and that the API server would refuse.
    let requests = |cpu| json!({"containers": [{"name": "c0", "resources": {"requests": {"cpu": cpu}}}]});
    let mut old = named("old", app());
    old["spec"]["containers"][0]["resources"] = requests("2m")["containers"][0]["resources"].clone();
    namespace.leaves_alone("before Pullkey", &old).await;
    pullkey.select(&namespace).await;

    let calls = pullkey.calls_from_now().await;
    let path = namespace.path("pods", "old");
    let part = |name: &str| format!("{path}/{name}");
    let kubectl = |arguments: &[&str]| {
        control_plane().kubectl(&[arguments, &["--namespace", &namespace.name]].concat(), "");
    };
    let merge = async |path: &str, change: Value| namespace.api.merge(path, &change).await;
    let finalizers = |list: Value| json!({"metadata": {"finalizers": list}});

    kubectl(&["label", "pod", "old", "a=b"]);
    kubectl(&["annotate", "pod", "old", "a=b"]);
    kubectl(&["set", "image", "pod/old", "c0=a.example/newer"]);
    kubectl(&[
        "debug",
        "old",
        "--image=a.example/debug",
        "--attach=false",
        "--profile=general",
    ]);
    merge(&path, finalizers(json!(["tests.pullkey.dev/wait"]))).await.good();
    let strategic = "application/strategic-merge-patch+json";
    let (resize, less) = (part("resize"), json!({"spec": requests("1m")}));
    let resized = namespace.api.call(Method::PATCH, &resize, strategic, Some(&less));
    resized.await.good();
    let binding = json!({"metadata": {"name": "old"}, "target": {"kind": "Node", "name": "nobody"}});
    namespace.api.create(&part("binding"), &binding).await.good();
    merge(&part("status"), json!({"status": {"phase": "Running"}}))
        .await
        .good();

    let pod = namespace.api.get(&path).await.good();
    assert!(pull_secrets(&pod).is_empty());
    assert_eq!(pod["spec"]["containers"][0]["image"], "a.example/newer");
    assert_eq!(pod["spec"]["ephemeralContainers"][0]["image"], "a.example/debug");
    let late = json!({"spec": {"imagePullSecrets": [{"name": "all-pull"}]}});
    assert_eq!(merge(&path, late).await.status, 422, "why nobody may try");

    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "old"}});
    namespace.api.create(&part("eviction"), &eviction).await.good();
    merge(&path, finalizers(json!(null))).await.good();
    namespace
        .api
        .delete(&format!("{path}?gracePeriodSeconds=0"))
        .await
        .good();
    calls.are(0, "after creation").await;
    namespace.mutates("a new one", &app(), &["all-pull"]).await;
    calls.are(1, "a new one").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_debug_container_is_served_by_what_its_pod_was_created_with() {
    let pullkey = Installation::with_rules(&rule("all", "*")).await;
    let namespace = pullkey.namespace().await;
    namespace
        .mutates("any image", &named("app", pod(&["public.example/app"])), &["all-pull"])
        .await;
    let debug = [
        "debug",
        "app",
        "--image=b.example/debug",
        "--attach=false",
        "--profile=general",
    ];
    control_plane().kubectl(&[&debug[..], &["--namespace", &namespace.name]].concat(), "");
    let pod = namespace.api.get(&namespace.path("pods", "app")).await.good();
    assert_eq!(pod["spec"]["ephemeralContainers"][0]["image"], "b.example/debug");
    assert_eq!(pull_secrets(&pod), ["all-pull"]);
}
