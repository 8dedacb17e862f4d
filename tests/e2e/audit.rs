//! What others get to read of a decision: the API server's audit log, warnings, our own log and metrics. Names of rules
//! and of secrets stand there, and never what is in a secret.
//!
//! No Pod that the API server lets through makes us warn: only one that cannot be read as a Pod does, and those it
//! refuses itself. The test is that none of them shows a warning of ours.

use serde_json::{Value, json};

use crate::harness::{Installation, Namespace, Setup, control_plane, named, pod, rule, until, with};

const MARKER: &str = "c2VjcmV0IG9mIGEgdGVzdA";

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log_names_rules_and_secrets() {
    let shadow = rule("s", "s.example").replace("secret:", "mode: Shadow, secret:");
    let rules = rule("a", "a.example") + &rule("b", "b.example") + &shadow;
    let pullkey = Installation::start(&Setup {
        rules: &rules,
        arguments: &["--log-level=debug"],
        ..Setup::default()
    })
    .await;
    let namespace = pullkey.namespace().await;
    let webhook = pullkey.configuration["webhooks"][0]["name"].as_str().unwrap();
    let config = json!({"auths": {"a.example": {"username": MARKER, "password": MARKER}}}).to_string();
    let secret = json!({
        "metadata": {"name": "a-pull"}, "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": config},
    });
    namespace
        .api
        .create(&namespace.path("secrets", ""), &secret)
        .await
        .good();

    let add = |path: &str, value: Value| json!({"op": "add", "path": path, "value": value});
    let list = "/spec/imagePullSecrets";
    let mine = json!({"imagePullSecrets": [{"name": "mine"}]});
    let rows = [
        ("nothing", pod(&["c.example/app"]), json!({}), None),
        (
            "one",
            pod(&["a.example/app"]),
            json!({"rules": "a", "secrets": "a-pull"}),
            Some(json!([add(list, json!([{"name": "a-pull"}]))])),
        ),
        (
            "several",
            with("spec", &mine, pod(&["a.example/app", "b.example/app", "s.example/app"])),
            json!({"rules": "a,b", "secrets": "a-pull,b-pull", "shadow-rules": "s", "shadow-secrets": "s-pull"}),
            Some(json!(
                ["a-pull", "b-pull"].map(|name| add(&format!("{list}/-"), json!({"name": name})))
            )),
        ),
        (
            "shadow",
            pod(&["s.example/app"]),
            json!({"shadow-rules": "s", "shadow-secrets": "s-pull"}),
            None,
        ),
    ];
    for (name, pod, annotations, patch) in rows {
        let answer = namespace.try_pod(&named(name, pod)).await;
        assert!(answer.warnings.is_empty(), "{name}: {:?}", answer.warnings);
        answer.good();
        let event = audited(&namespace, name).await;
        let told = event["annotations"].as_object().unwrap();
        let ours: Value = told
            .iter()
            .filter_map(|(key, value)| Some((key.strip_prefix(webhook)?.strip_prefix('/')?.to_owned(), value.clone())))
            .collect();
        assert_eq!(ours, annotations, "{name}");
        let patches = told
            .iter()
            .filter(|(key, _)| key.starts_with("patch.webhook.admission.k8s.io/"));
        let patches = patches.map(|(_, patch)| serde_json::from_str::<Value>(patch.as_str().unwrap()).unwrap());
        assert_eq!(
            patches.map(|mut told| told["patch"].take()).collect::<Vec<_>>(),
            Vec::from_iter(patch),
            "{name}"
        );
        assert!(!event.to_string().contains(MARKER));
    }
    let log = pullkey.replicas[0].log();
    assert!(log.contains("injected"), "{log}");
    let metrics = pullkey.replicas[0].metrics().await;
    assert!(!(log + &metrics).contains(MARKER));
}

/// What the audit log holds of the creation of that Pod.
async fn audited(namespace: &Namespace, name: &str) -> Value {
    until("the audit log has it", async || {
        control_plane().audit_events().into_iter().find(|event| {
            event["objectRef"]["namespace"] == namespace.name.as_str()
                && event["requestObject"]["metadata"]["name"] == name
        })
    })
    .await
}
