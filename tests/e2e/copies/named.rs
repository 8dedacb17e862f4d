//! A controller whose rights on secrets are limited to names.

use serde_json::{Value, json};

use super::{condition, has_condition};
use crate::harness::{Copier, Namespace, Rights, pull_secret, unique, until};

fn message<'s>(status: &'s Value, r#type: &str) -> &'s str {
    let conditions = status["conditions"].as_array().unwrap();
    let found = conditions.iter().find(|condition| condition["type"] == r#type);
    found.unwrap()["message"].as_str().unwrap()
}

/// Waits for events about a rule with this reason, and gives the first one's note.
async fn event(copier: &Copier, rule: &str, reason: &str) -> String {
    let path = "/apis/events.k8s.io/v1/namespaces/default/events";
    until("the event is there", async || {
        let events = copier.api.get(path).await.good();
        let events = events["items"].as_array().unwrap();
        let found = events
            .iter()
            .find(|event| event["regarding"]["name"] == *rule && event["reason"] == *reason);
        Some(found?["note"].as_str().unwrap().to_owned())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_named_is_not_permitted_and_the_rule_says_what_to_add() {
    let [named, lacking, unnamed] = [(); 3].map(|()| unique("rule"));
    let options = ["--secret-name", &lacking];
    let copier = Copier::with(Rights::Named, &[&named], &options).await;
    copier.source("registry", "first").await;
    copier.source("other", "first").await;
    let namespace = Namespace::with_labels(&json!({})).await;
    let here = json!({"include": [namespace.name]});
    for name in [&lacking, &unnamed, &named] {
        copier.rule(name, "registry", &here).await;
    }
    copier.has_copy(&namespace, &named, "first").await;
    for name in [&lacking, &unnamed] {
        let status = has_condition(&copier, name, "CopiesReady", "False NotPermitted").await;
        let line = format!("`--secret-name={name}`");
        assert!(message(&status, "CopiesReady").contains(&line), "{status}");
        assert!(event(&copier, name, "NotPermitted").await.contains(&line));
        assert_eq!(condition(&status, "SourceValid"), "True Valid");
        assert_eq!(copier.api.get(&namespace.path("secrets", name)).await.status, 404);
    }
    copier.rule(&named, "other", &here).await;
    let status = has_condition(&copier, &named, "SourceValid", "False NotPermitted").await;
    let line = format!("`--secret-name={}/other`", copier.sources.name);
    assert!(message(&status, "SourceValid").contains(&line), "{status}");
    copier.has_copy(&namespace, &named, "first").await;

    // The right alone is enough where the controller was told of the name.
    let role = format!(
        "/apis/rbac.authorization.k8s.io/v1/clusterroles/pullkey-controller-{}",
        copier.own.name
    );
    let mut rules = copier.api.get(&role).await.good()["rules"].take();
    let limited = rules
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .find_map(|rule| rule.get_mut("resourceNames"));
    limited.unwrap().as_array_mut().unwrap().push(json!(lacking));
    copier.api.merge(&role, &json!({ "rules": rules })).await.good();
    copier.has_copy(&namespace, &lacking, "first").await;
    has_condition(&copier, &lacking, "CopiesReady", "True AllReady").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_steals_the_token_reads_and_writes_no_secret_of_another_name() {
    let rule = unique("rule");
    let copier = Copier::with(Rights::Named, &[&rule], &[]).await;
    let thief = copier.as_controller().await;
    let namespace = Namespace::with_labels(&json!({})).await;
    copier.source("other", "first").await;
    let secrets = namespace.path("secrets", "");
    copier.api.create(&secrets, &pull_secret("own", "x")).await.good();
    let of_all = "/api/v1/secrets";
    let sources = copier.sources.path("secrets", "");
    for path in [
        of_all.to_owned(),
        format!("{of_all}?labelSelector=pullkey.dev%2Fcopy%3Dtrue"),
        format!("{of_all}?fieldSelector=metadata.name%3Down"),
        format!("{secrets}/own"),
        secrets.clone(),
        sources.clone(),
        format!("{sources}?fieldSelector=metadata.name%3Dother"),
        format!("{sources}/other"),
        copier.own.path("secrets", ""),
        "/api/v1/namespaces/kube-system/secrets".to_owned(),
    ] {
        assert_eq!(thief.get(&path).await.status, 403, "{path}");
    }
    let mut made = pull_secret("own", "x");
    made["metadata"]["labels"] = json!({"pullkey.dev/copy": "true"});
    assert_eq!(thief.create(&secrets, &made).await.status, 403, "a POST names nothing");
    assert_eq!(thief.apply(&format!("{secrets}/own"), &made).await.status, 403);
    assert_eq!(thief.delete(&format!("{secrets}/own")).await.status, 403);
    thief
        .get(&format!("{of_all}?fieldSelector=metadata.name%3D{rule}"))
        .await
        .good();
    let named = pull_secret(&rule, "x");
    until("the policy is in force as well", async || {
        let answer = thief.apply(&format!("{secrets}/{rule}"), &named).await;
        answer
            .object
            .to_string()
            .contains("a copy carries the label of copies")
            .then_some(())
    })
    .await;
}
