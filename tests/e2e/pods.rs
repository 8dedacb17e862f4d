//! What becomes of Pods.

use crate::harness::Installation;

/// Everything of one registry, everywhere.
const RULE: &str = "
apiVersion: pullkey.dev/v1alpha1
kind: ClusterPullSecretRule
metadata: {name: a}
spec: {images: [a.example], namespaces: {include: ['*']}, secret: {name: a-pull}}
";

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_gets_the_secret_of_its_registry() {
    let pullkey = Installation::with_rules(RULE).await;
    let namespace = pullkey.namespace().await;
    assert_eq!(namespace.secrets_for(&["a.example/app"]).await, ["a-pull"]);
    assert!(namespace.secrets_for(&["b.example/app"]).await.is_empty());
}
