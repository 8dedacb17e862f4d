//! More rules than a namespace may have.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::ROLE;
use crate::harness::{Copier, Installation, Namespace, RULES, pod, pull_secrets, rule, until};

/// So many take effect.
const MOST: usize = 100;

fn of_tenant(index: usize) -> Value {
    json!({
        "apiVersion": "pullkey.dev/v1alpha1", "kind": "PullSecretRule", "metadata": {"name": format!("r{index:03}")},
        "spec": {"images": [format!("r{index:03}.example")], "secret": {"name": format!("r{index:03}")}},
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn of_his_rules_a_hundred_take_effect_and_others_keep_all_of_theirs() {
    const RULES_OF_HIS: usize = 115;
    let pullkey = Installation::with_rules(&rule("file", "file.example")).await;
    let copier = Copier::start(&[]).await;
    let [tenant, other] = [pullkey.namespace().await, pullkey.namespace().await];
    let user = tenant.user(ROLE).await;
    let path = |namespace: &str| format!("{RULES}/namespaces/{namespace}/pullsecretrules");
    let own = path(&tenant.name);
    until("he has his rights", async || {
        (user.create(&own, &of_tenant(0)).await.status == 201).then_some(())
    })
    .await;
    for index in 1..RULES_OF_HIS {
        user.create(&own, &of_tenant(index)).await.good();
    }
    // Somebody else's is younger than all of them.
    copier.api.create(&path(&other.name), &of_tenant(0)).await.good();

    let dry_run = |namespace: &Namespace| format!("{}?dryRun=All", namespace.path("pods", ""));
    let images: Vec<_> = (0..RULES_OF_HIS)
        .map(|index| format!("r{index:03}.example/app"))
        .collect();
    let images: Vec<_> = images.iter().map(String::as_str).collect();
    let secrets = async || pull_secrets(&user.create(&dry_run(&tenant), &pod(&images)).await.good());
    until("others have theirs", async || {
        let answer = copier.api.create(&dry_run(&other), &pod(&images)).await.good();
        (pull_secrets(&answer) == ["r000"]).then_some(())
    })
    .await;
    let in_force = until("the oldest are in force", async || {
        Some(secrets().await).filter(|secrets| secrets.len() == MOST)
    })
    .await;

    // Each of them says so, and no other one does.
    let reasons = async || -> BTreeMap<String, String> {
        let rules = user.get(&own).await.good();
        let rules = rules["items"].as_array().unwrap().iter();
        let told = rules.map(|rule| {
            let reason = &rule["status"]["conditions"][0]["reason"];
            let texts = [&rule["metadata"]["name"], reason].map(|text| text.as_str().unwrap_or_default().to_owned());
            texts.into()
        });
        told.collect()
    };
    let is_told = async |in_force: &[String]| {
        until("the statuses say which take effect", async || {
            let told = reasons().await;
            let is_right = |(name, reason): (&String, &String)| match reason.as_str() {
                "InForce" => in_force.contains(name),
                "TooMany" => !in_force.contains(name),
                _ => false,
            };
            told.iter().all(is_right).then_some(())
        })
        .await;
    };
    is_told(&in_force).await;

    // One goes, and the next one takes its place.
    user.delete(&format!("{own}/{}", in_force[0])).await.good();
    let now = until("another one is in force", async || {
        let now = secrets().await;
        (now.len() == MOST && now != in_force).then_some(now)
    })
    .await;
    assert!(!now.contains(&in_force[0]));
    is_told(&now).await;
    let counted = |resource| copier.replicas[0].metric("pullkey_objects", resource);
    assert!(counted("\"pullsecretrules\"").await >= 115.0);
    user.delete(&own).await.good();
}
