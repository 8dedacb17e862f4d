//! The webhook that is down, busy, or not asked for a while.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until};

use crate::harness::{
    Hello, IMAGE, Installation, Reach, Setup, connect, control_plane, next_hello, pod, pull_secrets, rules_for_load,
    until,
};

/// Longer than the 90 s for which the API server keeps a connection that it has no use for.
const IDLE: Duration = Duration::from_secs(95);

/// The first of all tests by its name, so that it begins first: the others run while it waits, and nobody waits for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_idle_for_95_seconds_is_never_closed_by_the_webhook() {
    tokio::join!(stays_idle(Reach::Service), stays_idle(Reach::Url));
}

async fn stays_idle(reach: Reach) {
    let pullkey = Installation::start(&Setup {
        rules: &rules_for_load("load"),
        reach,
        options: &["--failure-policy=Fail"],
        ..Setup::default()
    })
    .await;
    let namespace = pullkey.namespace().await;
    assert_eq!(namespace.secrets_for(&[IMAGE]).await, ["load"]);
    let idle_since = Instant::now();
    let open = async || pullkey.metric("pullkey_connections", "").await;

    sleep_until((idle_since + IDLE / 2).into()).await;
    assert!(open().await > 0.0, "the API server keeps its connection");
    sleep_until((idle_since + IDLE).into()).await;
    until("the API server closes its connection", async || {
        (open().await < 1.0).then_some(())
    })
    .await;
    println!("{:?}: no connection is left after {:?}", reach, idle_since.elapsed());
    assert_eq!(namespace.secrets_for(&[IMAGE]).await, ["load"]);
    assert!(pullkey.metric("pullkey_connections_closed_total", "").await < 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_ignore_pods_are_created_unchanged_while_the_webhook_is_down() {
    let mut pullkey = Installation::with_rules(&rules_for_load("load")).await;
    let namespace = pullkey.namespace().await;
    assert_eq!(namespace.secrets_for(&[IMAGE]).await, ["load"]);
    pullkey.remove_replica();

    for _ in 0..5 {
        assert!(namespace.secrets_for(&[IMAGE]).await.is_empty());
    }
    let failed_open = until("the audit log tells of it", async || {
        let events = control_plane().audit_events();
        let mut events = events
            .iter()
            .filter(|event| event["objectRef"]["namespace"] == namespace.name);
        events.find_map(|event| {
            let annotations = event["annotations"].as_object()?;
            let mut annotations = annotations.iter();
            annotations.find(|(key, _)| key.starts_with("failed-open.mutation.webhook.admission.k8s.io/"))?;
            Some(event["annotations"].clone())
        })
    })
    .await;
    assert!(failed_open.to_string().contains("pods.pullkey.dev"), "{failed_open}");

    pullkey.add_replica(&[]).await;
    until("Pods get their secrets again", async || {
        (namespace.secrets_for(&[IMAGE]).await == ["load"]).then_some(())
    })
    .await;
}

/// A Pod that a namespace of the strictest Pod Security standard takes.
fn restricted_pod() -> Value {
    let mut pod = pod(&[IMAGE]);
    pod["spec"]["securityContext"] = json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}});
    pod["spec"]["containers"][0]["securityContext"] =
        json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
    pod
}

#[tokio::test(flavor = "multi_thread")]
async fn with_fail_only_pods_that_the_webhook_is_asked_for_wait_for_it() {
    let mut pullkey = Installation::prepare(&Setup {
        rules: &rules_for_load("load"),
        options: &["--failure-policy=Fail"],
        ..Setup::default()
    })
    .await;
    // A label that kube-system can have, too, without getting into the way of other tests.
    let label = format!("{}/selected", pullkey.id);
    let terms = &mut pullkey.configuration["webhooks"][0]["namespaceSelector"]["matchExpressions"];
    *terms.as_array_mut().unwrap().last_mut().unwrap() = json!({"key": label, "operator": "Exists"});
    let labels = json!({"metadata": {"labels": {label.as_str(): ""}}});
    let namespace = pullkey.namespace().await;
    for selected in [&namespace.name, &pullkey.own.name, "kube-system"] {
        let path = format!("/api/v1/namespaces/{selected}");
        pullkey.api.merge(&path, &labels).await.good();
    }
    pullkey.own.has_account("default").await;
    pullkey.configure().await;

    let refused = until("Pods are refused", async || {
        let answer = namespace.try_pod(&pod(&[IMAGE])).await;
        (answer.status != 201).then_some(answer)
    })
    .await;
    assert_eq!(refused.status, 500, "{refused:?}");
    let message = refused.object["message"].as_str().unwrap();
    println!("with Fail: {message}");
    assert!(
        message.contains("failed calling webhook \"pods.pullkey.dev\""),
        "{message}"
    );

    for exempt in [&pullkey.own.name, "kube-system"] {
        let path = format!("/api/v1/namespaces/{exempt}/pods?dryRun=All");
        let created = pullkey.api.create(&path, &restricted_pod()).await;
        assert_eq!(created.status, 201, "{exempt}: {created:?}");
    }
    let mut opted_out = pod(&[IMAGE]);
    opted_out["metadata"]["labels"] = json!({"pullkey.dev/inject": "false"});
    namespace.pod(&opted_out).await;

    pullkey.add_replica(&[]).await;
    until("Pods are created again", async || {
        let created = namespace.try_pod(&pod(&[IMAGE])).await;
        (created.status == 201 && pull_secrets(&created.object) == ["load"]).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_webhook_delays_pods_and_loses_none() {
    tokio::join!(is_busy(Reach::Service), is_busy(Reach::Url));
}

/// Takes the only place for calls until several others have been told to come back.
async fn is_busy(reach: Reach) {
    const PODS: u8 = 8;
    let pullkey = Installation::start(&Setup {
        rules: &rules_for_load("load"),
        reach,
        arguments: &["--max-in-flight=1"],
        options: &["--failure-policy=Fail", "--timeout=30s"],
        ..Setup::default()
    })
    .await;
    let namespace = pullkey.namespace().await;
    let mut held = connect(pullkey.replicas[0].target.serving, &pullkey.authority)
        .await
        .unwrap();
    let review = "POST /mutate?timeout=30s HTTP/1.1\r\nhost: webhook\r\ncontent-type: application/json\r\n\
                content-length: 1\r\n\r\n";
    held.write_all(review.as_bytes()).await.unwrap();
    until("the only place is taken", async || {
        (pullkey.metric("pullkey_requests_in_flight", "").await >= 1.0).then_some(())
    })
    .await;

    let mut creations = JoinSet::new();
    for _ in 0..PODS {
        let namespace = namespace.clone();
        creations.spawn(async move { namespace.secrets_for(&[IMAGE]).await });
    }
    let refused = until("all are told to come back", async || {
        let refused = pullkey.metric("pullkey_requests_total", "503").await;
        (refused >= f64::from(PODS)).then_some(refused)
    })
    .await;
    drop(held);
    for secrets in creations.join_all().await {
        assert_eq!(secrets, ["load"]);
    }
    println!("{reach:?}: {PODS} Pods were created after {refused} answers of 503");
}

#[tokio::test(flavor = "multi_thread")]
async fn services_are_called_over_http_1_1_and_loopback_urls_over_http_2() {
    let by_name = |id: &str| Some(format!("pullkey-webhook.{id}.svc"));
    let service = hello(Reach::Service).await;
    assert_eq!(service.0.protocols, ["http/1.1"]);
    assert_eq!(service.0.server_name, by_name(&service.1));
    let url = hello(Reach::Url).await;
    assert_eq!(url.0.protocols, ["h2", "http/1.1"]);
    assert_eq!(url.0.server_name, None);
}

/// How the API server greets a webhook that it reaches that way, and the installation's id.
async fn hello(reach: Reach) -> (Hello, String) {
    let mut pullkey = Installation::prepare(&Setup {
        reach,
        ..Setup::default()
    })
    .await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = &mut pullkey.configuration["webhooks"][0]["clientConfig"];
    match reach {
        Reach::Service => client["service"]["port"] = json!(port),
        Reach::Url => client["url"] = json!(format!("https://127.0.0.1:{port}/mutate")),
    }
    pullkey.configure().await;
    let namespace = pullkey.namespace().await;
    let creations = async {
        loop {
            namespace.secrets_for(&[IMAGE]).await;
            sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        hello = next_hello(&listener) => (hello, pullkey.id.clone()),
        () = creations => unreachable!("they go on"),
    }
}
