//! Copies of pull secrets, by the controller with the rights that it is shipped with.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::harness::{Copier, Installation, Namespace, Rights, control_plane, pod, pull_secret, rule, unique, until};

mod named;

/// Claims that hold whatever the controller's rights on secrets are, each tried with both.
macro_rules! with_either_rights {
    ($($claim:ident,)*) => {
        mod with_rights_on_any_secret {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $claim() {
                super::$claim(super::Rights::Any).await;
            })*
        }
        mod with_rights_by_name {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $claim() {
                super::$claim(super::Rights::Named).await;
            })*
        }
    };
}

with_either_rights! {
    copies_come_with_a_namespace_and_follow_their_source,
    a_namespace_that_leaves_the_selection_loses_the_copy_and_a_deleted_rule_all_of_them,
    what_somebody_made_by_hand_is_left_alone_until_he_hands_it_over,
    a_broken_source_is_named_and_changes_nothing_until_it_is_mended,
    a_pod_of_the_same_second_as_its_namespace_finds_its_copy_there_or_soon,
}

/// A rule's condition as `status reason`.
fn condition(status: &Value, r#type: &str) -> String {
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let found = conditions.filter(|condition| condition["type"] == r#type);
    let texts = found.map(|condition| {
        format!(
            "{} {}",
            condition["status"].as_str().unwrap(),
            condition["reason"].as_str().unwrap()
        )
    });
    texts.collect()
}

async fn has_condition(copier: &Copier, rule: &str, r#type: &str, expected: &str) -> Value {
    until(&format!("{type} of {rule} is {expected}"), async || {
        let status = copier.status(rule).await;
        (condition(&status, r#type) == expected).then_some(status)
    })
    .await
}

async fn copies_come_with_a_namespace_and_follow_their_source(rights: Rights) {
    let (rule, team) = (unique("rule"), unique("team"));
    let copier = Copier::with(rights, &[&rule], &[]).await;
    copier.source("registry", "first").await;
    let old = Namespace::named(&format!("{team}-old"), &json!({})).await;
    copier
        .rule(&rule, "registry", &json!({"include": [format!("{team}-*")]}))
        .await;
    copier.has_copy(&old, &rule, "first").await;
    let new = Namespace::named(&format!("{team}-new"), &json!({})).await;
    copier.has_copy(&new, &rule, "first").await;

    copier.source("registry", "second").await;
    copier.has_copy(&old, &rule, "second").await;
    copier.has_copy(&new, &rule, "second").await;
    let status = has_condition(&copier, &rule, "CopiesReady", "True AllReady").await;
    assert_eq!(status["namespaces"], json!({"selected": 2, "ready": 2, "refused": 0}));

    let path = old.path("secrets", &rule);
    let spoilt = pull_secret(&rule, "spoilt");
    copier.api.merge(&path, &json!({"data": spoilt["data"]})).await.good();
    copier.has_copy(&old, &rule, "second").await;
    copier.api.delete(&path).await.good();
    copier.has_copy(&old, &rule, "second").await;
    assert!(!copier.replicas[0].log().contains("second"), "a credential in the log");
}

async fn a_namespace_that_leaves_the_selection_loses_the_copy_and_a_deleted_rule_all_of_them(rights: Rights) {
    let rule = unique("rule");
    let copier = Copier::with(rights, &[&rule], &["--keep-copies=2s"]).await;
    copier.source("registry", "first").await;
    let label = json!({"registry": rule});
    let [leaves, stays] = [
        Namespace::with_labels(&label).await,
        Namespace::with_labels(&label).await,
    ];
    copier
        .rule(&rule, "registry", &json!({"selector": {"matchLabels": label}}))
        .await;
    copier.has_copy(&leaves, &rule, "first").await;
    copier.has_copy(&stays, &rule, "first").await;
    let is_gone = async |namespace: &Namespace| {
        until("the copy is gone", async || {
            (copier.api.get(&namespace.path("secrets", &rule)).await.status == 404).then_some(())
        })
        .await;
    };

    let path = format!("/api/v1/namespaces/{}", leaves.name);
    copier
        .api
        .merge(&path, &json!({"metadata": {"labels": {"registry": null}}}))
        .await
        .good();
    is_gone(&leaves).await;
    copier.has_copy(&stays, &rule, "first").await;
    let deleted = Instant::now();
    copier.delete_rule(&rule).await;
    is_gone(&stays).await;
    assert!(
        deleted.elapsed() >= Duration::from_secs(2),
        "the rule might have come back"
    );
}

async fn what_somebody_made_by_hand_is_left_alone_until_he_hands_it_over(rights: Rights) {
    let rule = unique("rule");
    let copier = Copier::with(rights, &[&rule], &[]).await;
    copier.source("registry", "first").await;
    let namespace = Namespace::with_labels(&json!({})).await;
    let path = namespace.path("secrets", &rule);
    let own = pull_secret(&rule, "his own");
    copier.api.create(&namespace.path("secrets", ""), &own).await.good();
    copier
        .rule(&rule, "registry", &json!({"include": [namespace.name]}))
        .await;
    let status = has_condition(&copier, &rule, "CopiesReady", "False Foreign").await;
    assert_eq!(status["refusals"][0]["namespace"], json!(namespace.name));
    copier.source("registry", "second").await;
    let secret = copier.api.get(&path).await.good();
    assert_eq!(secret["data"], own["data"]);
    assert!(secret["metadata"].get("labels").is_none());

    let label = json!({"metadata": {"labels": {"pullkey.dev/adopt": "true"}}});
    copier.api.merge(&path, &label).await.good();
    copier.has_copy(&namespace, &rule, "second").await;
    has_condition(&copier, &rule, "CopiesReady", "True AllReady").await;
}

async fn a_broken_source_is_named_and_changes_nothing_until_it_is_mended(rights: Rights) {
    let rule = unique("rule");
    let copier = Copier::with(rights, &[&rule], &[]).await;
    copier.source("registry", "first").await;
    let namespace = Namespace::with_labels(&json!({})).await;
    copier
        .rule(&rule, "registry", &json!({"include": [namespace.name]}))
        .await;
    copier.has_copy(&namespace, &rule, "first").await;
    let broken = json!({"data": {".dockerconfigjson": "e30="}});
    let source = copier.sources.path("secrets", "registry");
    copier.api.merge(&source, &broken).await.good();
    has_condition(&copier, &rule, "SourceValid", "False NoCredentials").await;
    copier.has_copy(&namespace, &rule, "first").await;
    copier.source("registry", "second").await;
    has_condition(&copier, &rule, "SourceValid", "True Valid").await;
    copier.has_copy(&namespace, &rule, "second").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_replica_goes_on_where_the_leader_was_killed() {
    const NAMESPACES: usize = 60;
    let rule = unique("rule");
    let mut copier = Copier::start(&["--writes-per-second=10", "--write-burst=1"]).await;
    copier.source("registry", "first").await;
    let mut namespaces = Vec::new();
    for _ in 0..NAMESPACES {
        namespaces.push(Namespace::with_labels(&json!({"registry": rule})).await);
    }
    copier
        .rule(
            &rule,
            "registry",
            &json!({"selector": {"matchLabels": {"registry": rule}}}),
        )
        .await;
    for namespace in &namespaces {
        copier.has_copy(namespace, &rule, "first").await;
    }
    copier.add_replica().await;
    copier.source("registry", "second").await;
    sleep(Duration::from_secs(1)).await;
    let killed = Instant::now();
    copier.replicas[0].signal("KILL");
    drop(copier.replicas.remove(0));
    until("the other replica leads", async || copier.leader().await).await;
    assert!(killed.elapsed() < Duration::from_secs(15), "{:?}", killed.elapsed());
    for namespace in &namespaces {
        copier.has_copy(namespace, &rule, "second").await;
    }

    copier.add_replica().await;
    copier.replicas[0].signal("TERM");
    drop(copier.replicas.remove(0));
    until("the next one leads", async || copier.leader().await).await;
    copier.source("registry", "third").await;
    copier.has_copy(&namespaces[0], &rule, "third").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_steals_the_token_makes_no_other_secret_with_it() {
    let copier = Copier::start(&[]).await;
    let thief = copier.as_controller().await;
    let namespace = Namespace::with_labels(&json!({})).await;
    let secrets = namespace.path("secrets", "");
    let refused = async |path: &str, object: &Value| {
        let answer = thief.create(path, object).await;
        assert!(
            matches!(answer.status, 403 | 422) && answer.object.to_string().contains("ValidatingAdmissionPolicy"),
            "{path}: {}",
            answer.object
        );
    };
    let label = json!({"pullkey.dev/copy": "true"});
    let mut labelled = pull_secret("stolen", "x");
    labelled["metadata"]["labels"] = label.clone();
    let token = json!({
        "metadata": {
            "name": "stolen", "labels": label, "annotations": {"kubernetes.io/service-account.name": "default"},
        },
        "type": "kubernetes.io/service-account-token",
    });
    // The policy is in force a moment after it was made.
    until("the policy is in force", async || {
        (thief.create(&format!("{secrets}?dryRun=All"), &token).await.status != 201).then_some(())
    })
    .await;
    refused(&secrets, &token).await;
    refused(&secrets, &pull_secret("unlabelled", "x")).await;
    for protected in ["kube-system", "kube-public", "kube-node-lease", &copier.own.name] {
        refused(&format!("/api/v1/namespaces/{protected}/secrets"), &labelled).await;
    }
    thief.create(&format!("{secrets}?dryRun=All"), &labelled).await.good();

    copier.api.create(&secrets, &pull_secret("own", "x")).await.good();
    let path = namespace.path("secrets", "own");
    let answer = thief.delete(&path).await;
    assert!(
        answer.object.to_string().contains("only copies are deleted"),
        "{}",
        answer.object
    );
    let answer = thief.merge(&path, &json!({"metadata": {"labels": label}})).await;
    assert!(
        answer.object.to_string().contains("only copies, and what"),
        "{}",
        answer.object
    );
    for path in [
        "/api/v1/pods",
        "/api/v1/configmaps",
        "/apis/rbac.authorization.k8s.io/v1/roles",
    ] {
        assert_eq!(thief.get(path).await.status, 403, "{path}");
    }
    let rules = thief
        .create("/apis/pullkey.dev/v1alpha1/clusterpullsecretrules", &json!({}))
        .await;
    assert_eq!(rules.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_webhook_reads_no_secrets_and_writes_nothing() {
    let installation = Installation::with_rules(&rule("a", "a.example")).await;
    let token = installation.own.token("pullkey-webhook").await;
    let webhook = control_plane().api_with(&token).await;
    for path in [
        "/api/v1/namespaces",
        "/api/v1/serviceaccounts",
        "/apis/pullkey.dev/v1alpha1/pullsecretrules",
    ] {
        webhook.get(path).await.good();
    }
    let certificate = installation.own.path("secrets", "pullkey-webhook-tls");
    for path in ["/api/v1/secrets", &certificate, "/api/v1/configmaps", "/api/v1/pods"] {
        assert_eq!(webhook.get(path).await.status, 403, "{path}");
    }
    let secrets = installation.own.path("secrets", "");
    assert_eq!(webhook.create(&secrets, &pull_secret("x", "x")).await.status, 403);
}

/// The copy is there before its namespace has the service account without which no Pod is admitted, or nearly.
async fn a_pod_of_the_same_second_as_its_namespace_finds_its_copy_there_or_soon(rights: Rights) {
    const TIMES: usize = 100;
    let (rule, team) = (unique("rule"), unique("team"));
    let copier = Copier::with(rights, &[&rule], &[]).await;
    copier.source("registry", "first").await;
    copier
        .rule(&rule, "registry", &json!({"include": [format!("{team}-*")]}))
        .await;
    has_condition(&copier, &rule, "CopiesReady", "True AllReady").await;
    let mut late = 0;
    for number in 0..TIMES {
        let namespace = Namespace::named(&format!("{team}-{number}"), &json!({})).await;
        namespace.pod(&pod(&["registry.example/app"])).await;
        late += usize::from(copier.api.get(&namespace.path("secrets", &rule)).await.status != 200);
        copier.has_copy(&namespace, &rule, "first").await;
    }
    println!("{late} of {TIMES} copies came after the Pod");
    assert!(late < TIMES / 10, "{late} of {TIMES} copies came after the Pod");
}
