//! What an admin applies to a cluster: the objects that run the webhook and the one that registers it.
//!
//! In: [`Options`] that do not contradict each other, and where the certificate comes from. Out: [`Manifest`]s in the
//! order in which they are to be applied, or the [`tree`] of files that kustomize makes the same objects of. Ports,
//! paths, labels and deadlines are the server's own constants, so the registration cannot disagree with what is served.
//! Refuses any input and output, and to hold a private key: what comes out can be kept in Git and shown to anyone.
//!
//! ```text
//!   options ─► workload ─────┐
//!           └► registration ─┼─► Manifest ─► yaml
//!   certificate, self_managed ┘      └► tree ─► yaml
//! ```

mod certificate;
mod controller;
mod kinds;
mod monitoring;
mod options;
mod part;
mod placement;
mod registration;
mod self_managed;
mod tree;
mod workload;
mod yaml;

use serde_json::{Value, json};

use crate::certs::bundle::CaBundle;
use crate::rules::SourceRef;
use crate::rules::namespaces::PROTECTED;

pub use controller::{CONTROLLER, SOURCES};
pub use options::{FailurePolicy, Image, NamespaceName, ObjectName, Options, RulesFiles, Timeout, Unfit, UnfitFile};
pub use placement::{DnsPolicy, Toleration};
pub use registration::WEBHOOK_NAME;
pub use yaml::{Unwritable, yaml};

/// What everything here is named after: the registration, the label of all objects, the namespace unless it is
/// chosen.
pub const NAME: &str = "pullkey";
/// The name of everything that belongs to the webhook alone. It must not be `pullkey`: the API server would give its
/// Pods variables of the Service that read as options.
pub const WEBHOOK: &str = "pullkey-webhook";
/// The Service without an address whose name leads to each replica of the webhook.
const REPLICAS: &str = "pullkey-webhook-replicas";
/// The `ConfigMap` with the rules.
pub const RULES: &str = "pullkey-rules";
/// The Secret with the serving certificate.
pub const CERTIFICATE: &str = "pullkey-webhook-tls";
/// The Secret with the authorities that the controller keeps, and their keys.
pub const AUTHORITIES: &str = "pullkey-webhook-ca";
/// The priority class of what a cluster cannot do without.
const CLUSTER_CRITICAL: &str = "system-cluster-critical";

/// One object, with what people should know before they apply it.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Lines of text.
    pub comment: String,
    /// As `kubectl get` would show it, as far as it is ours.
    pub object: Value,
}

/// Where the serving certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Certificate {
    /// cert-manager makes and renews it, and keeps the registration's `caBundle`.
    CertManager,
    /// Pullkey's own controller does both.
    SelfManaged,
    /// The admin makes the Secret; these are its CAs.
    Given(CaBundle),
}

/// Options that go together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation(Options);

/// Why options do not go together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    /// The namespace's labels would be set, and rules and registration would leave it out.
    #[error(
        "Pullkey needs a namespace of its own, expected none of `default`, `kube-system`, `kube-public` and `kube-node-lease`"
    )]
    SharedNamespace,
    /// Its writers could replace what Pullkey relies on.
    #[error("Pullkey's own namespace is no place for sources, expected others")]
    OwnSources,
    /// The controller would never ask for it.
    #[error("the source `{0}` is in none of the namespaces that secrets may be copied from")]
    StraySource(SourceRef),
    /// One container cannot listen twice on a port, and nobody can call port 0.
    #[error("the ports for calls and for health must differ, and none may be 0")]
    Ports,
    /// The API server would refuse every Pod while the one replica is replaced.
    #[error(
        "with the failure policy `Fail` no Pod can be created while the only replica restarts, expected at least 2"
    )]
    SingleReplica,
}

impl Installation {
    /// Checks that the options go together.
    pub fn new(options: Options) -> Result<Self, Contradiction> {
        let namespace = options.namespace.0.as_str();
        if namespace == "default" || PROTECTED.contains(&namespace) {
            return Err(Contradiction::SharedNamespace);
        }
        if options.source_namespaces.contains(&options.namespace) {
            return Err(Contradiction::OwnSources);
        }
        let may_hold_sources = |name: &str| options.source_namespaces.iter().any(|namespace| namespace.0 == name);
        let names = options.secret_names.as_ref();
        if let Some(source) = names.and_then(|names| names.stray(may_hold_sources)) {
            return Err(Contradiction::StraySource(source.clone()));
        }
        if options.https_port == options.health_port || options.https_port == 0 || options.health_port == 0 {
            return Err(Contradiction::Ports);
        }
        if options.failure_policy == FailurePolicy::Fail && options.replicas.get() == 1 {
            return Err(Contradiction::SingleReplica);
        }
        Ok(Self(options))
    }

    /// All objects, in the order in which they are to be applied: the kinds of rules first, and the registration last, so
    /// that nobody is called who is not there yet.
    #[must_use]
    pub fn objects(&self, certificate: &Certificate) -> Vec<Manifest> {
        let options = &self.0;
        let mut objects = kinds::definitions();
        objects.extend(kinds::roles());
        objects.extend([workload::namespace(options), workload::rules(options)]);
        if *certificate == Certificate::CertManager {
            objects.extend(certificate::objects(options));
        }
        objects.extend(workload::objects(options));
        let mut controller = controller::objects(options);
        if *certificate == Certificate::SelfManaged {
            objects.extend(self_managed::objects(options));
            for manifest in &mut controller {
                self_managed::adapt(manifest, options);
            }
        }
        objects.extend(controller);
        if options.monitoring {
            objects.extend(monitoring::objects(options));
        }
        objects.push(registration::registration(options, Some(certificate)));
        objects
    }

    /// The same as files for kustomize: `crds`, which stand alone; `base` with them and without a certificate; an overlay
    /// for each way to one; and `monitoring`, which stands alone, too. Paths are relative, with `/`.
    pub fn tree(&self) -> Result<Vec<(String, String)>, Unwritable> {
        tree::tree(&self.0)
    }
}

/// The name by which the API server calls the webhook: its certificate must stand for it.
#[must_use]
pub fn server_name(namespace: &NamespaceName) -> String {
    format!("{WEBHOOK}.{namespace}.svc")
}

/// All objects as the one list that `kubectl` takes as JSON.
#[must_use]
pub fn list(manifests: &[Manifest]) -> Value {
    let items: Vec<_> = manifests.iter().map(|manifest| &manifest.object).collect();
    json!({"apiVersion": "v1", "items": items, "kind": "List"})
}

impl Manifest {
    /// Fields that are null are left out: an option that was not chosen.
    fn new(comment: impl Into<String>, mut object: Value) -> Self {
        drop_nulls(&mut object);
        Self {
            comment: comment.into(),
            object,
        }
    }
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// The labels of all objects.
fn labels() -> Value {
    json!({"app.kubernetes.io/name": NAME})
}

/// The labels by which the controller's Pods are found.
fn controller_labels() -> Value {
    json!({"app.kubernetes.io/component": "controller", "app.kubernetes.io/name": NAME})
}

/// The labels by which the webhook's Pods are found; a Deployment's can never change.
fn webhook_labels() -> Value {
    json!({"app.kubernetes.io/component": "webhook", "app.kubernetes.io/name": NAME})
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;
    use std::time::SystemTime;

    use super::*;
    use crate::certs::make::Authority;

    fn installed(change: impl FnOnce(&mut Options)) -> Result<Installation, Contradiction> {
        let mut options = Options::default();
        change(&mut options);
        Installation::new(options)
    }

    fn excluded(installation: &Installation, certificate: &Certificate) -> Value {
        let registration = installation.objects(certificate).pop().unwrap().object;
        registration["webhooks"][0]["namespaceSelector"]["matchExpressions"][0]["values"].clone()
    }

    #[test]
    fn options_that_contradict_each_other_are_refused() {
        assert!(installed(|_| {}).is_ok());
        for namespace in ["default", "kube-system", "kube-public", "kube-node-lease"] {
            let refused = installed(|options| options.namespace = namespace.parse().unwrap());
            assert_eq!(refused, Err(Contradiction::SharedNamespace));
        }
        let refused = installed(|options| options.source_namespaces = vec![options.namespace.clone()]);
        assert_eq!(refused, Err(Contradiction::OwnSources));
        assert_eq!(installed(|options| options.https_port = 0), Err(Contradiction::Ports));
        assert_eq!(installed(|options| options.health_port = 0), Err(Contradiction::Ports));
        assert_eq!(
            installed(|options| options.health_port = options.https_port),
            Err(Contradiction::Ports)
        );
        let one = |options: &mut Options| options.replicas = NonZeroU16::MIN;
        assert!(installed(one).is_ok());
        let refused = installed(|options| {
            one(options);
            options.failure_policy = FailurePolicy::Fail;
        });
        assert_eq!(refused, Err(Contradiction::SingleReplica));
    }

    #[test]
    fn where_pods_are_refused_what_makes_the_certificate_is_excluded() {
        let given = Certificate::Given(CaBundle::from_pem(authority().pair().certificate.as_bytes()).unwrap());
        let ignore = installed(|options| options.namespace = "own".parse().unwrap()).unwrap();
        let fail = installed(|options| {
            options.failure_policy = FailurePolicy::Fail;
            options.excluded = vec!["calico-system".parse().unwrap(), "kube-system".parse().unwrap()];
        })
        .unwrap();
        let node = ["kube-node-lease", "kube-public", "kube-system"];
        let with = |before: &[&str], after: &str| json!([before, &node, &[after]].concat());
        assert_eq!(excluded(&ignore, &Certificate::CertManager), with(&[], "own"));
        assert_eq!(excluded(&ignore, &given), with(&[], "own"));
        assert_eq!(
            excluded(&fail, &Certificate::CertManager),
            with(&["calico-system", "cert-manager"], "pullkey")
        );
        assert_eq!(excluded(&fail, &given), with(&["calico-system"], "pullkey"));
    }

    #[test]
    fn a_given_authority_is_registered_and_cert_manager_is_told_nothing() {
        let authority = authority();
        let bundle = CaBundle::from_pem(authority.pair().certificate.as_bytes()).unwrap();
        let objects = installed(|_| {}).unwrap().objects(&Certificate::Given(bundle));
        let registration = &objects.last().unwrap().object;
        assert_eq!(
            registration["webhooks"][0]["clientConfig"]["caBundle"],
            authority.bundle()
        );
        assert!(!list(&objects).to_string().contains("cert-manager"));
    }

    #[test]
    fn the_quota_is_for_the_classes_of_the_system() {
        for (class, is_there) in [("system-node-critical", true), ("mine", false)] {
            let installation = installed(|options| options.priority_class = class.parse().unwrap()).unwrap();
            let objects = list(&installation.objects(&Certificate::CertManager)).to_string();
            assert_eq!(objects.contains("ResourceQuota"), is_there, "{class}");
        }
    }

    fn authority() -> Authority {
        Authority::new(SystemTime::now()).unwrap()
    }
}
