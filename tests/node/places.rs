//! Every place of a Pod that has an image.

use serde_json::{Value, json};

use crate::harness::{pull_secrets, until};
use crate::machine::{HOST, Team, Workload as _, node, private_pod};

/// An image that anybody may pull.
fn public() -> String {
    format!("{HOST}/public/pause:1")
}

/// A team's Pod runs, once its image is put into its place.
async fn is_pulled(put: impl Fn(&mut Value, &Team)) {
    let Some(node) = node().await else { return };
    let team = node.team().await;
    let namespace = team.served("a").await;
    let mut pod = private_pod(&[&public()]);
    put(&mut pod["spec"], &team);
    // The same without a secret, which shows that it takes one.
    let mut alone = pod.clone();
    alone["metadata"]["labels"] = json!({"pullkey.dev/inject": "false"});
    namespace
        .outcome_of(&alone)
        .await
        .is_waiting("ErrImagePull", "no basic auth credentials");
    let created = namespace.pod(&pod).await;
    assert_eq!(pull_secrets(&created), [team.name]);
    let name = created["metadata"]["name"].as_str().unwrap();
    namespace.is_run(name).await;
    let events = namespace.events_until(Some(name), "Started").await;
    assert!(!events.iter().any(|event| event.starts_with("Failed:")), "{events:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_init_container() {
    is_pulled(|spec, team| spec["initContainers"] = json!([{"name": "i", "image": team.image, "args": ["end"]}])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar() {
    is_pulled(|spec, team| {
        spec["initContainers"] = json!([{"name": "s", "image": team.image, "restartPolicy": "Always"}]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_volume() {
    is_pulled(|spec, team| {
        spec["volumes"] = json!([{"name": "v", "image": {"reference": team.image}}]);
        spec["containers"][0]["volumeMounts"] = json!([{"name": "v", "mountPath": "/image"}]);
    })
    .await;
}

/// A secret cannot be added to a Pod that is there; one that it got at its creation serves what comes later.
#[tokio::test(flavor = "multi_thread")]
async fn a_container_for_debugging() {
    let Some(node) = node().await else { return };
    let team = node.team().await;
    let tools = format!("{}/tools:1", team.name);
    node.servers.named.push("hello", &[&tools]);
    let namespace = team.served("a").await;
    let mut pod = private_pod(&[&team.image]);
    pod["spec"]["containers"][0]["args"] = json!([]);
    pod["spec"]["terminationGracePeriodSeconds"] = json!(0);
    let created = namespace.pod(&pod).await;
    let name = created["metadata"]["name"].as_str().unwrap();
    namespace.is_run(name).await;
    let debugger = json!({"name": "debugger", "image": format!("{HOST}/{tools}"), "args": ["end"]});
    let path = format!("{}/ephemeralcontainers", namespace.path("pods", name));
    let change = json!({"spec": {"ephemeralContainers": [debugger]}});
    let content = "application/strategic-merge-patch+json";
    let changed = namespace
        .api
        .call(axum::http::Method::PATCH, &path, content, Some(&change));
    changed.await.good();
    until("the debugger has run", async || {
        let pod = namespace.api.get(&namespace.path("pods", name)).await.object;
        let status = pod["status"]["ephemeralContainerStatuses"][0].clone();
        (!status["state"]["terminated"].is_null()).then_some(())
    })
    .await;
    namespace.has_pulled_all().await;
}
