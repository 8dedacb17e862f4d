//! What can become of a new Pod: nothing, or a pull secret by Pullkey or by a `MutatingAdmissionPolicy`.

use serde_json::{Value, json};

use super::creation::Creator;
use super::harness::{Installation, Namespace, Setup, until};
use super::{BLOCK, VARIANTS};

const SECRET: &str = "acme-pull";
const RULES: &str = "
apiVersion: pullkey.dev/v1alpha1
kind: ClusterPullSecretRule
metadata: {name: acme}
spec: {images: [ghcr.io/acme], namespaces: {include: ['*']}, secret: {name: acme-pull}}
";
/// The label of the namespace that the policy is bound to.
const LABEL: &str = "pullkey.dev/bench";
const POLICIES: &str = "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies";
const BINDINGS: &str = "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings";

/// Their names, in the order of their numbers.
pub(crate) const NAMES: [&str; VARIANTS] = ["no webhook", "no webhook, again", "Pullkey", "MutatingAdmissionPolicy"];
pub(crate) const NONE: usize = 0;
pub(crate) const NONE_AGAIN: usize = 1;
pub(crate) const PULLKEY: usize = 2;
pub(crate) const POLICY: usize = 3;

/// All of them, in force.
pub(crate) struct Variants {
    pub(crate) pullkey: Installation,
    pub(crate) namespaces: [Namespace; VARIANTS],
}

impl Variants {
    pub(crate) async fn start(creator: &Creator) -> Self {
        let mut pullkey = Installation::prepare(&Setup {
            rules: RULES,
            ..Setup::default()
        })
        .await;
        let target = pullkey.add_replica(&[]).await.target;
        // Straight to the replica: where there is a kube-proxy, the kernel leads the connection, and no process.
        pullkey.balancer.remove(target);
        pullkey.configuration["webhooks"][0]["clientConfig"]["service"]["port"] = json!(target.serving.port());
        pullkey.configure().await;
        pullkey.is_called().await;
        let name = &pullkey.id;
        let namespaces = [
            Namespace::with_labels(&json!({})).await,
            Namespace::with_labels(&json!({})).await,
            pullkey.namespace().await,
            Namespace::with_labels(&json!({LABEL: name})).await,
        ];
        let api = &creator.api;
        api.create(POLICIES, &policy(name)).await.good();
        api.create(BINDINGS, &binding(name)).await.good();
        until("the policy is in force", async || {
            let created = creator.try_out(&namespaces[POLICY]).await;
            (created.pull_secrets.len() > 1).then_some(())
        })
        .await;
        Self { pullkey, namespaces }
    }

    /// Creates a block of Pods, and says how long each took, in milliseconds.
    pub(crate) async fn block(&self, variant: usize, creator: &Creator) -> Vec<f64> {
        let expected: &[&str] = match variant {
            NONE | NONE_AGAIN => &["existing"],
            _ => &["existing", SECRET],
        };
        let mut latencies = Vec::with_capacity(BLOCK);
        for _ in 0..BLOCK {
            let created = creator.create(&self.namespaces[variant]).await;
            assert_eq!(created.pull_secrets, expected, "{}", NAMES[variant]);
            latencies.push(created.took.as_secs_f64() * 1e3);
        }
        latencies
    }

    /// Deletes the Pods of all variants, so that none finds more in its way than the others.
    pub(crate) async fn delete_pods(&self) {
        for namespace in &self.namespaces {
            let pods = namespace.path("pods", "") + "?gracePeriodSeconds=0";
            namespace.api.delete(&pods).await.good();
        }
    }
}

/// Adds the secret where an image is of the registry and the secret is not there yet. An `ApplyConfiguration`, the other
/// kind of mutation, is refused: the list is atomic to it.
fn policy(name: &str) -> Value {
    let image = "(object.spec.containers + object.spec.?initContainers.orValue([]))\
                 .exists(container, container.?image.orValue('').startsWith('ghcr.io/acme/'))";
    let absent =
        format!("!object.spec.?imagePullSecrets.orValue([]).exists(secret, secret.?name.orValue('') == '{SECRET}')");
    let secret = format!("Object.spec.imagePullSecrets{{name: '{SECRET}'}}");
    let patch = format!(
        "has(object.spec.imagePullSecrets) \
         ? [JSONPatch{{op: 'add', path: '/spec/imagePullSecrets/-', value: {secret}}}] \
         : [JSONPatch{{op: 'add', path: '/spec/imagePullSecrets', value: [{secret}]}}]"
    );
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicy", "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"resourceRules": [
                {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}]},
            "matchConditions": [{"name": "image", "expression": image}, {"name": "absent", "expression": absent}],
            "failurePolicy": "Fail",
            "reinvocationPolicy": "IfNeeded",
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": patch}}],
        },
    })
}

fn binding(name: &str) -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicyBinding", "metadata": {"name": name},
        "spec": {
            "policyName": name,
            "matchResources": {"namespaceSelector": {"matchLabels": {LABEL: name}}},
        },
    })
}
