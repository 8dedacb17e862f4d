//! Everything that a decision is made by, at one moment.

use std::sync::Arc;

use super::namespaces::{NamespaceFacts, Namespaces};
use super::service_accounts::StrictAccounts;
use crate::rules::RuleSet;

/// The rules in force, and the cluster that they are for. Immutable; cheap to make out of parts of the one before.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The rules in force.
    pub rules: Arc<RuleSet>,
    /// What is known of the cluster; nothing where rules come from files alone.
    pub cluster: Option<Known>,
}

/// What is known of the cluster.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// All its namespaces.
    pub namespaces: Namespaces,
    /// The service accounts whose Pods get no secret.
    pub strict_accounts: StrictAccounts,
}

impl Snapshot {
    /// Rules for a cluster that nothing is known of.
    #[must_use]
    pub fn of_files(rules: Arc<RuleSet>) -> Self {
        Self { rules, cluster: None }
    }

    /// What is known of a namespace.
    #[must_use]
    pub fn namespace(&self, name: &str) -> Option<&NamespaceFacts> {
        self.cluster.as_ref()?.namespaces.get(name)
    }

    /// Whether the namespace ought to be known, and is not.
    #[must_use]
    pub fn lacks(&self, namespace: &str) -> bool {
        self.cluster.is_some() && self.namespace(namespace).is_none()
    }

    /// Whether Pods under this account may name no secret that it does not list itself.
    #[must_use]
    pub fn is_strict(&self, namespace: &str, account: &str) -> bool {
        let cluster = self.cluster.as_ref();
        cluster.is_some_and(|cluster| cluster.strict_accounts.contains(namespace, account))
    }
}
