//! Service accounts that limit the secrets of their Pods by the annotation `kubernetes.io/enforce-mountable-secrets`,
//! which Kubernetes calls deprecated and still obeys.
//!
//! The API server refuses a Pod that names a pull secret which such an account does not list, and it looks after us.
//! The webhook reads rules from files here and knows no accounts, so it cannot leave these Pods alone by itself: what
//! is left to an admin is to list the secret, or to opt the Pods out.

use serde_json::json;

use crate::harness::{Installation, pod, rule, with};

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_limits_secrets_must_list_what_is_added() {
    let pullkey = Installation::with_rules(&rule("a", "a.example")).await;
    let namespace = pullkey.namespace().await;
    let limits = json!({"kubernetes.io/enforce-mountable-secrets": "true"});
    namespace.account("lists", &limits, &["a-pull"]).await;
    namespace.account("lists-not", &limits, &[]).await;
    let using = |account: &str| with("spec", &json!({"serviceAccountName": account}), pod(&["a.example/app"]));
    let out = json!({"labels": {"pullkey.dev/inject": "false"}});

    namespace.mutates("listed", &using("lists"), &["a-pull"]).await;
    let message = namespace.rejects("not listed", &using("lists-not"), 403).await;
    assert!(
        message.contains(r#"imagePullSecrets[0].name="a-pull" is not allowed"#),
        "{message}"
    );
    namespace
        .leaves_alone("opted out", &with("metadata", &out, using("lists-not")))
        .await;
}
