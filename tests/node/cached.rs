//! Images that are on the node already.

use serde_json::json;

use crate::harness::Namespace;
use crate::machine::{Workload as _, node, private_pod};

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_somebody_else_pulled_is_lent_to_those_with_credentials_only() {
    let Some(node) = node().await else { return };
    let team = node.team().await;
    let [first, second] = [team.served("first").await, team.served("second").await];
    let other = Namespace::with_labels(&json!({})).await;
    let pod = |policy: &str| {
        let mut pod = private_pod(&[&team.image]);
        pod["spec"]["containers"][0]["imagePullPolicy"] = json!(policy);
        pod
    };
    first.runs(&pod("IfNotPresent")).await;
    let never = other.outcome_of(&pod("Never")).await;
    never.is_waiting("ErrImageNeverPull", "");
    other.outcome_of(&pod("IfNotPresent")).await.is_anonymous();
    for policy in ["IfNotPresent", "Never"] {
        let name = second.runs(&pod(policy)).await;
        let events = second.events_until(Some(&name), "Started").await;
        assert!(!events.iter().any(|event| event.starts_with("Pulling")), "{events:?}");
    }
}
