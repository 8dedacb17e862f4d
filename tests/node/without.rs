//! The same Pod where Pullkey does nothing, for the reason that `explain` gives.

use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Namespace, pull_secrets, unique, with};
use crate::machine::{HOST, Team, Workload as _, node, private_pod};

#[tokio::test(flavor = "multi_thread")]
async fn what_no_rule_knows_is_not_pulled() {
    let Some(node) = node().await else { return };
    let team = Team::new(&node.servers.named, HOST);
    let namespace = Namespace::with_labels(&json!({})).await;
    let pod = private_pod(&[&team.image]);
    namespace.outcome_of(&pod).await.is_anonymous();
    assert_eq!(
        explained(&rule(&team, "Enforce", "other.example"), &namespace, &pod),
        "no_rule"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_opts_out_is_left_alone() {
    let Some(node) = node().await else { return };
    let team = node.team().await;
    let namespace = team.namespace("a").await;
    let pod = private_pod(&[&team.image]);
    let labels = json!({"labels": {"pullkey.dev/inject": "false"}});
    let opts_out = with("metadata", &labels, pod.clone());
    namespace.outcome_of(&opts_out).await.is_anonymous();
    assert_eq!(
        explained(&rule(&team, "Enforce", HOST), &namespace, &opts_out),
        "pod_opted_out"
    );
    namespace.runs(&pod).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_no_rule_selects_gets_nothing() {
    let Some(node) = node().await else { return };
    let team = node.team().await;
    let namespace = Namespace::with_labels(&json!({})).await;
    let pod = private_pod(&[&team.image]);
    namespace.outcome_of(&pod).await.is_anonymous();
    let rule = rule(&team, "Enforce", HOST);
    assert_eq!(explained(&rule, &namespace, &pod), "no_rule");
    let answer = explain(&rule, &namespace, &pod);
    assert_eq!(answer["images"][0]["rejected"][0]["why"], "namespace");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_in_mode_shadow_changes_nothing() {
    let Some(node) = node().await else { return };
    let team = Team::new(&node.servers.named, HOST);
    let rule = rule(&team, "Shadow", HOST);
    node.pullkey.rule(&team.name, &rule["spec"]).await;
    let namespace = team.namespace("a").await;
    let pod = private_pod(&[&team.image]);
    namespace.outcome_of(&pod).await.is_anonymous();
    assert_eq!(explained(&rule, &namespace, &pod), "shadow_only");
}

/// Nobody asks the webhook about Pods of the node's own namespaces.
#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_of_the_node_is_not_pullkeys_business() {
    let Some(node) = node().await else { return };
    let team = Team::new(&node.servers.named, HOST);
    let rule = rule(&team, "Enforce", HOST);
    node.pullkey.rule(&team.name, &rule["spec"]).await;
    let served = team.namespace("a").await;
    node.pullkey.injects(&served, &team.image, &team.name).await;
    let namespace = Namespace {
        name: "kube-public".to_owned(),
        ..served
    };
    let pod = private_pod(&[&team.image]);
    let created = namespace.pod(&pod).await;
    assert_eq!(pull_secrets(&created), [""; 0]);
    let name = created["metadata"]["name"].as_str().unwrap();
    namespace.outcome(name).await.is_anonymous();
    assert_eq!(explained(&rule, &namespace, &pod), "no_rule");
    namespace.api.delete(&namespace.path("pods", name)).await.good();
}

/// A rule for the namespaces of a team.
fn rule(team: &Team, mode: &str, host: &str) -> Value {
    json!({
        "apiVersion": "pullkey.dev/v1alpha1", "kind": "ClusterPullSecretRule", "metadata": {"name": team.name},
        "spec": {
            "images": [format!("{host}/{}", team.name)],
            "namespaces": {"include": [format!("{}-*", team.name)]},
            "secret": {"name": team.name},
            "mode": mode,
        },
    })
}

/// The skip code that `pullkey explain` gives.
fn explained(rule: &Value, namespace: &Namespace, pod: &Value) -> String {
    explain(rule, namespace, pod)["skip"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// What `pullkey explain` says of a Pod.
fn explain(rule: &Value, namespace: &Namespace, pod: &Value) -> Value {
    let folder = TempDir::new().unwrap();
    let file = |name: &str, content: &Value| {
        let path = folder.path().join(name);
        std::fs::write(&path, content.to_string()).unwrap();
        path
    };
    let mut pod = pod.clone();
    pod["metadata"]["name"] = json!(unique("pod"));
    let output = Command::new(env!("CARGO_BIN_EXE_pullkey"))
        .args(["explain", "--output=json", "--namespace", &namespace.name, "--rules"])
        .arg(file("rule.json", rule))
        .arg("--file")
        .arg(file("pod.json", &pod))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    answer["pods"][0].clone()
}
