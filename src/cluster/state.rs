//! All that the watches have told so far.
//!
//! In: [`Change`]s, one after another. Out: a [`Snapshot`] once every list has been complete, and what there is to say.
//! The index of the rules is built only when it is asked for: it takes a while, and changes come in bursts.

use std::sync::Arc;
use std::time::Instant;

use super::namespaces::NamespaceFacts;
use super::rules::{Finding, InForce, RuleObject, RuleObjects, counted_as};
use super::service_accounts::Strict;
use super::snapshot::Known;
use super::{Event, Key, NOT_YET, Snapshot, Trouble};
use crate::metrics::Resource;
use crate::rules::{Kind, RuleSet};

/// What a watch told.
#[derive(Debug)]
pub(super) enum Change {
    Rules(Kind, Event<RuleObject>),
    Namespaces(Event<NamespaceFacts>),
    ServiceAccounts(Event<Strict>),
}

/// Whose rules are others, the more important last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whose {
    /// Rules of namespaces alone: tenants change them as often as they like.
    Tenants,
    /// Rules of the cluster, or of files.
    PolicyTeam,
}

/// The sum of it.
#[derive(Debug)]
pub(super) struct State {
    files: Option<Arc<RuleSet>>,
    objects: RuleObjects,
    known: Known,
    /// What has not been listed yet, and why not.
    awaited: Vec<(Resource, String)>,
    /// None until they have been built out of complete lists.
    rules: Option<Arc<RuleSet>>,
    /// How many good objects are beyond a limit, by kind.
    beyond: [usize; 2],
    /// Because of whose rules `rules` are no longer what the objects and files say, if they are not.
    stale: Option<Whose>,
    /// What was said of the limits and files the last time.
    said: Vec<Finding>,
    findings: Vec<Finding>,
}

impl Whose {
    fn of(kind: Kind) -> Self {
        match kind {
            Kind::ClusterPullSecretRule => Self::PolicyTeam,
            Kind::PullSecretRule => Self::Tenants,
        }
    }
}

impl Change {
    /// What it is about.
    pub(super) fn resource(&self) -> Resource {
        match self {
            Self::Rules(kind, _) => counted_as(*kind),
            Self::Namespaces(_) => Resource::Namespaces,
            Self::ServiceAccounts(_) => Resource::ServiceAccounts,
        }
    }

    /// What became of a list, if it is about that.
    pub(super) fn listing(&self) -> Option<Result<(), &Trouble>> {
        match self {
            Self::Rules(_, event) => event.listing(),
            Self::Namespaces(event) => event.listing(),
            Self::ServiceAccounts(event) => event.listing(),
        }
    }
}

impl State {
    /// Nothing is known yet of any of these.
    pub(super) fn new(resources: &[Resource]) -> Self {
        let not_yet = |resource: &Resource| (*resource, NOT_YET.to_owned());
        Self {
            files: None,
            objects: RuleObjects::default(),
            known: Known::default(),
            awaited: resources.iter().map(not_yet).collect(),
            rules: None,
            beyond: [0; 2],
            stale: Some(Whose::PolicyTeam),
            said: Vec::new(),
            findings: Vec::new(),
        }
    }

    /// Takes note of the rules of files.
    pub(super) fn set_files(&mut self, files: Option<Arc<RuleSet>>) {
        self.files = files;
        self.stale = Some(Whose::PolicyTeam);
    }

    /// Takes note of a change that came `now`.
    pub(super) fn apply(&mut self, change: Change, now: Instant) {
        let resource = change.resource();
        match change.listing() {
            Some(Ok(())) => self.awaited.retain(|(awaited, _)| *awaited != resource),
            Some(Err(trouble)) => {
                for (_, why) in self.awaited.iter_mut().filter(|(awaited, _)| *awaited == resource) {
                    trouble.message.clone_into(why);
                }
            }
            None => {}
        }
        match change {
            Change::Rules(kind, event) => {
                if self.objects.apply(kind, event, &mut self.findings) {
                    self.stale = self.stale.max(Some(Whose::of(kind)));
                }
            }
            Change::Namespaces(event) => self.known.namespaces.apply(event, now),
            Change::ServiceAccounts(event) => self.known.strict_accounts.apply(event),
        }
    }

    /// Rules that are to be read again.
    pub(super) fn take_awaited_rules(&mut self) -> Vec<Key> {
        self.objects.take_awaited()
    }

    /// What there is no complete list of, and why not.
    pub(super) fn awaited(&self) -> &[(Resource, String)] {
        &self.awaited
    }

    /// Whether the rules' index has to be built anew, and can be.
    pub(super) fn is_stale(&self) -> bool {
        self.stale.is_some() && self.awaited.is_empty()
    }

    /// Builds the index of the rules in force. Says because of whose rules it had to.
    pub(super) fn build(&mut self) -> Option<Whose> {
        let files = self.files.as_ref().map(|files| files.rules()).unwrap_or_default();
        let InForce {
            rules,
            beyond,
            findings,
        } = self.objects.in_force(files);
        self.rules = Some(Arc::new(RuleSet::new(rules)));
        self.beyond = beyond;
        let new = findings.iter().filter(|finding| !self.said.contains(finding));
        self.findings.extend(new.cloned());
        self.said = findings;
        self.stale.take()
    }

    /// Everything as it is now; `None` until the rules have been built out of complete lists. Rules that are stale are
    /// in it: they were right a moment ago.
    pub(super) fn snapshot(&self) -> Option<Snapshot> {
        Some(Snapshot {
            rules: Arc::clone(self.rules.as_ref()?),
            cluster: Some(self.known.clone()),
        })
    }

    /// What there is to say since the last time that it was asked.
    pub(super) fn take_findings(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.findings)
    }

    /// How many objects of a resource are good, and how many are skipped.
    pub(super) fn count(&self, resource: Resource) -> (usize, usize) {
        let rules = |kind, beyond: usize| {
            let (good, bad) = self.objects.count(kind);
            (good.saturating_sub(beyond), bad + beyond)
        };
        let [cluster, namespaced] = self.beyond;
        match resource {
            Resource::ClusterPullSecretRules => rules(Kind::ClusterPullSecretRule, cluster),
            Resource::PullSecretRules => rules(Kind::PullSecretRule, namespaced),
            Resource::Namespaces => (self.known.namespaces.len(), 0),
            Resource::ServiceAccounts => (self.known.strict_accounts.len(), 0),
            // The controller's.
            Resource::Sources | Resource::Copies | Resource::Adoptions => (0, 0),
        }
    }
}
