//! Parts of Pullkey are down.

use crate::harness::{control_plane, pull_secrets};
use crate::machine::{Outcome, Workload as _, node_alone, private_pod};

/// Has so many Pods of a part of Pullkey, and waits until that is so.
fn scale(part: &str, replicas: usize) {
    let replicas = format!("--replicas={replicas}");
    let deployment = format!("deployment/pullkey-{part}");
    let kubectl = |arguments: &[&str]| control_plane().kubectl(&[arguments, &["--namespace=pullkey"]].concat(), "");
    kubectl(&["scale", &replicas, &deployment]);
    if replicas == "--replicas=0" {
        let label = format!("--selector=app.kubernetes.io/component={part}");
        kubectl(&["delete", "pods", &label, "--force", "--grace-period=0"]);
    }
    kubectl(&["rollout", "status", "--timeout=60s", &deployment]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_came_while_the_controller_was_down_heals() {
    let Some(node) = node_alone().await else { return };
    let team = node.team().await;
    scale("controller", 0);
    let namespace = team.namespace("a").await;
    let created = namespace.pod(&private_pod(&[&team.image])).await;
    assert_eq!(pull_secrets(&created), [team.name.as_str()]);
    let name = created["metadata"]["name"].as_str().unwrap();
    namespace.outcome(name).await.is_anonymous();
    let events = namespace.events(Some(name)).await;
    assert!(
        events
            .iter()
            .any(|event| event.starts_with("FailedToRetrieveImagePullSecret")),
        "{events:?}"
    );
    scale("controller", 2);
    namespace.runs_in_the_end(name).await;
    node.pullkey.is_at_work().await;
}

/// As README.md has it: with `Ignore` they are created as they are, and nothing is added later.
#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_came_while_the_webhook_was_down_is_as_it_was() {
    let Some(node) = node_alone().await else { return };
    let team = node.team().await;
    let namespace = team.namespace("a").await;
    scale("webhook", 0);
    let created = namespace.pod(&private_pod(&[&team.image])).await;
    assert_eq!(pull_secrets(&created), [""; 0]);
    let name = created["metadata"]["name"].as_str().unwrap();
    namespace.outcome(name).await.is_anonymous();
    scale("webhook", 2);
    node.pullkey.is_at_work().await;
    let kept = namespace.api.get(&namespace.path("pods", name)).await.good();
    assert_eq!(pull_secrets(&kept), [""; 0]);
    assert_eq!(namespace.outcome_of(&private_pod(&[&team.image])).await, Outcome::Runs);
}
