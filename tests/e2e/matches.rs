//! When rules last matched: seen by the webhook, asked for by the controller, told by the rules' statuses.

use serde_json::{Value, json};

use crate::harness::{Copier, Installation, RULES, pod, pull_secrets, rule, unique, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_status_says_when_a_rule_last_applied_to_a_new_pod_and_goes_on_saying_so() {
    let mut pullkey = Installation::with_rules(&rule("file", "file.example")).await;
    let replicas = format!("--webhook-replicas={}", pullkey.replicas[0].target.health);
    let mut copier = Copier::start(&[&replicas, "--matches-interval=200ms"]).await;
    copier.source("registry", "first").await;
    let namespace = pullkey.namespace().await;
    let (ours, unused) = (unique("rule"), unique("rule"));
    for name in [&ours, &unused] {
        copier
            .rule(name, "registry", &json!({"include": [namespace.name]}))
            .await;
    }
    let other_image = json!({"spec": {"images": ["other.example"]}});
    let path = format!("{RULES}/clusterpullsecretrules/{unused}");
    copier.api.merge(&path, &other_image).await.good();
    let tenants = format!("{RULES}/namespaces/{}/pullsecretrules/tenants", namespace.name);
    let object = json!({
        "apiVersion": "pullkey.dev/v1alpha1", "kind": "PullSecretRule", "metadata": {"name": "tenants"},
        "spec": {"images": ["registry.example/shadow"], "mode": "Shadow", "secret": {"name": "tenants"}},
    });
    copier.api.apply(&tenants, &object).await.good();
    copier.has_copy(&namespace, &ours, "first").await;
    // Nothing is created here, and no rule is said to have matched.
    let dry_run = format!("{}?dryRun=All", namespace.path("pods", ""));
    let images = ["registry.example/shadow", "other.example/app"];
    until("the webhook has both rules", async || {
        let answer = copier.api.create(&dry_run, &pod(&images)).await;
        (pull_secrets(&answer.object).len() == 2).then_some(())
    })
    .await;
    let last_match = async |path: &str| copier.api.get(path).await.good()["status"]["lastMatch"].clone();
    let path = format!("{RULES}/clusterpullsecretrules/{ours}");
    assert_eq!(last_match(&path).await, Value::Null, "a dry run leaves no trace");

    namespace.pod(&pod(&["registry.example/shadow"])).await;
    let told = until("the status says it", async || {
        last_match(&path).await.as_str().map(str::to_owned)
    })
    .await;
    assert!(told.ends_with(":00:00Z"), "{told}");
    until("the tenant's says it", async || {
        last_match(&tenants).await.as_str().map(str::to_owned)
    })
    .await;
    assert_eq!(copier.status(&unused).await["lastMatch"], Value::Null);

    // Another webhook, and another controller, neither of which has seen the Pod.
    pullkey.replicas.clear();
    pullkey.add_replica(&[]).await;
    drop(copier.replicas.remove(0));
    copier.add_replica().await;
    until("it leads", async || copier.leader().await).await;
    copier.source("registry", "second").await;
    until("the status is written again", async || {
        copier.status(&ours).await["lastRotation"].as_str().map(str::to_owned)
    })
    .await;
    assert_eq!(copier.status(&ours).await["lastMatch"], json!(told));
}
