//! Parts of Pullkey are down.

use crate::harness::{control_plane, pull_secrets};
use crate::machine::{Workload as _, kill, node_alone, private_pod};

/// Has no Pods of a part of Pullkey: they are killed at once, as a part that ends in order would still serve a while.
fn stop(part: &str) {
    scale(part, 0);
    kill(part);
    let label = format!("--selector=app.kubernetes.io/component={part}");
    kubectl(&["wait", "--for=delete", "pods", &label, "--timeout=60s"]);
}

/// Has both Pods of a part of Pullkey again.
fn start(part: &str) {
    scale(part, 2);
    kubectl(&[
        "rollout",
        "status",
        "--timeout=60s",
        &format!("deployment/pullkey-{part}"),
    ]);
}

fn scale(part: &str, replicas: usize) {
    let deployment = format!("deployment/pullkey-{part}");
    kubectl(&["scale", &format!("--replicas={replicas}"), &deployment]);
}

fn kubectl(arguments: &[&str]) {
    control_plane().kubectl(&[arguments, &["--namespace=pullkey"]].concat(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_came_while_the_controller_was_down_heals() {
    let Some(node) = node_alone().await else { return };
    let team = node.team().await;
    stop("controller");
    let namespace = team.namespace("a").await;
    let created = namespace.pod(&private_pod(&[&team.image])).await;
    assert_eq!(pull_secrets(&created), [team.name.as_str()]);
    let name = created["metadata"]["name"].as_str().unwrap();
    namespace.outcome(name).await.is_anonymous();
    namespace
        .events_until(Some(name), "FailedToRetrieveImagePullSecret")
        .await;
    start("controller");
    namespace.runs_in_the_end(name).await;
    node.pullkey.is_at_work().await;
}

/// As README.md has it: with `Ignore` they are created as they are, and nothing is added later.
#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_came_while_the_webhook_was_down_is_as_it_was() {
    let Some(node) = node_alone().await else { return };
    let team = node.team().await;
    let namespace = team.namespace("a").await;
    stop("webhook");
    let created = namespace.pod(&private_pod(&[&team.image])).await;
    assert_eq!(pull_secrets(&created), [""; 0]);
    let name = created["metadata"]["name"].as_str().unwrap();
    namespace.outcome(name).await.is_anonymous();
    start("webhook");
    node.pullkey.is_at_work().await;
    let kept = namespace.api.get(&namespace.path("pods", name)).await.good();
    assert_eq!(pull_secrets(&kept), [""; 0]);
    namespace.runs(&private_pod(&[&team.image])).await;
}
