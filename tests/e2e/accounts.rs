//! Service accounts that limit the secrets of their Pods by the annotation `kubernetes.io/enforce-mountable-secrets`,
//! which Kubernetes calls deprecated and still obeys.
//!
//! The API server refuses a Pod that names a pull secret which such an account does not list, and it looks after us. So
//! the webhook leaves these Pods alone as soon as it has heard of the account, and says so.

use serde_json::json;

use crate::harness::{Installation, pod, pull_secrets, rule, until, with};

#[tokio::test(flavor = "multi_thread")]
async fn pods_of_an_account_that_limits_secrets_are_left_alone() {
    let pullkey = Installation::with_rules(&rule("a", "a.example")).await;
    let namespace = pullkey.namespace().await;
    let limits = json!({"kubernetes.io/enforce-mountable-secrets": "true"});
    namespace.account("lists", &limits, &["a-pull"]).await;
    namespace.account("lists-not", &limits, &[]).await;
    let using = |account: &str| with("spec", &json!({"serviceAccountName": account}), pod(&["a.example/app"]));
    let out = json!({"labels": {"pullkey.dev/inject": "false"}});

    namespace.mutates("listed", &using("lists"), &["a-pull"]).await;
    let left_alone = until("the webhook knows the account", async || {
        let answer = namespace.try_pod(&using("lists-not")).await;
        (answer.status == 201).then_some(answer)
    })
    .await;
    assert_eq!(pull_secrets(&left_alone.object), [""; 0]);
    assert_eq!(left_alone.warnings.len(), 1, "{:?}", left_alone.warnings);
    namespace
        .leaves_alone("opted out", &with("metadata", &out, using("lists-not")))
        .await;
}
