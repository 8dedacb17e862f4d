//! A source that is malformed: the kubelet would refuse every Pod that names a copy of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::harness::{RULES, control_plane, until};
use crate::machine::{HOST, Workload as _, docker_config, node, private_pod, secret};

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_source_is_never_copied_and_hurts_nobody() {
    let Some(node) = node().await else { return };
    let team = node.team().await;
    let other = node.team().await;
    let good = secret(&team.name, &team.config());
    let key = format!("{HOST}/{}", team.name);
    let malformed = secret(&team.name, &json!({"auths": {key.as_str(): {"auth": "no base64!"}}}));
    let old = team.namespace("old").await;
    old.has_copy(&good).await;

    node.pullkey.source(&malformed).await;
    has_source(&team.name, "False").await;
    // Pods of namespaces that have a copy go on, and so do those of other registries.
    old.runs(&private_pod(&[&team.image])).await;
    old.has_copy(&good).await;
    let others = other.served("a").await;
    others.runs(&private_pod(&[&other.image])).await;

    // Had it been copied, Pods would be refused that have nothing to do with it.
    let by_hand = others.api.create(&others.path("secrets", ""), &malformed).await;
    by_hand.good();
    let mut pod = private_pod(&[&other.image]);
    pod["spec"]["imagePullSecrets"] = json!([{"name": team.name}]);
    let outcome = others.outcome_of(&pod).await;
    outcome.is_waiting("illegal base64 data", "");

    // It is repaired, with another password.
    node.servers
        .named
        .set_user(&team.name, &["repaired"], &format!("{}/", team.name));
    let repaired = secret(&team.name, &docker_config(&[(&key, &team.name, "repaired")]));
    node.pullkey.source(&repaired).await;
    has_source(&team.name, "True").await;
    old.has_copy(&repaired).await;
    for namespace in [&old, &team.namespace("new").await] {
        namespace.has_copy(&repaired).await;
        namespace.runs(&private_pod(&[&team.image])).await;
    }
    let text = old.api.get(&old.path("secrets", &team.name)).await.good();
    let data = STANDARD
        .decode(text["data"][".dockerconfigjson"].as_str().unwrap())
        .unwrap();
    assert!(serde_json::from_slice::<Value>(&data).is_ok());
}

/// Waits until a rule says whether its source can be used.
async fn has_source(rule: &str, valid: &str) {
    let api = control_plane().api().await;
    until("the rule says how its source is", async || {
        let rule = api.get(&format!("{RULES}/clusterpullsecretrules/{rule}")).await.good();
        let conditions = rule["status"]["conditions"].as_array().into_iter().flatten();
        let mut valids = conditions.filter(|condition| condition["type"] == "SourceValid");
        (valids.next()?["status"] == valid).then_some(())
    })
    .await;
}
