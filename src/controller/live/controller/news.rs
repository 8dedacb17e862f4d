//! What the watches tell, told to the planner.

use std::collections::HashSet;
use std::sync::Arc;

use tracing::{info, warn};

use super::{Awaited, Controller};
use crate::cluster::namespaces::NamespaceFacts as ClusterNamespace;
use crate::cluster::{Event, Key};
use crate::controller::Moment;
use crate::controller::live::objects::SourceObject;
use crate::controller::live::watches::Change;
use crate::controller::ownership::Observed;
use crate::controller::plan::NamespaceFacts;
use crate::metrics::{Resource, WatchFailure};
use crate::rules::{Kind, SourceRef};

impl Controller<'_> {
    /// Tells the planner what a watch told.
    pub(super) fn apply(&mut self, change: Change) {
        let now = self.began.elapsed();
        let resource = change.resource();
        if let Some(trouble) = change.trouble() {
            warn!(resource = resource.as_str(), "{trouble}");
            let of = change.of();
            let is_it = |awaited: &&mut Awaited| awaited.resource == resource && awaited.of.as_ref() == of;
            if let Some(awaited) = self.awaited.iter_mut().find(is_it) {
                awaited.why = trouble.to_string();
                self.tell_awaited();
            }
        }
        match change {
            Change::Rules(kind, event) => {
                let is_listed = matches!(event, Event::Listed { .. });
                for uid in self.book.apply(kind, event, &mut self.planner, now) {
                    if self.is_leading {
                        self.clerk.touch(uid, &self.book, now);
                    }
                }
                for key in self.book.take_awaited() {
                    let _ = self.watches.again.send(key);
                }
                if is_listed {
                    self.listed(resource, None);
                }
                self.count(resource, self.book.count(kind));
                self.metrics.set_namespaces(self.book.namespaces());
            }
            Change::Namespaces(event) => self.apply_namespaces(event, now),
            Change::Sources(scope, event) => self.apply_sources(&scope, event),
            Change::Copies(name, event) => self.apply_copies(name.as_ref(), event, now),
            Change::Adoptions(event) => self.apply_adoptions(event, now),
        }
    }

    fn apply_namespaces(&mut self, event: Event<ClusterNamespace>, now: Moment) {
        match event {
            Event::Listed { objects, bad } => {
                let is_first = self.is_awaited(Resource::Namespaces, None);
                let names: HashSet<&str> = objects.iter().map(|(key, _)| &*key.name).collect();
                let names = names.into_iter().chain(bad.iter().map(|bad| &*bad.key.name)).collect();
                self.planner.namespaces_listed(&names);
                self.namespaces.retain(|name| names.contains(&**name));
                for (key, facts) in objects {
                    self.set_namespace(key, facts, is_first, now);
                }
                self.listed(Resource::Namespaces, None);
            }
            Event::Applied(key, facts) => self.set_namespace(key, facts, false, now),
            Event::Deleted(key, _) => {
                self.namespaces.remove(&key.name);
                self.births.remove(&key.name);
                self.planner.namespace_gone(&key.name);
            }
            Event::Bad(_) | Event::Trouble(_) => {}
        }
        self.count(Resource::Namespaces, (self.namespaces.len(), 0));
    }

    fn set_namespace(&mut self, key: Key, facts: ClusterNamespace, is_first_list: bool, now: Moment) {
        let is_born = !self.namespaces.contains(&key.name) && !is_first_list;
        let facts = NamespaceFacts {
            labels: facts.labels,
            is_terminating: facts.terminating,
        };
        self.planner.namespace_set(&key.name, facts, is_born);
        if is_born {
            self.births.insert(key.name.clone(), now);
        }
        self.namespaces.insert(key.name);
    }

    fn apply_sources(&mut self, scope: &Arc<str>, event: Event<SourceObject>) {
        let reference = |key: &Key| SourceRef {
            namespace: key.namespace.to_string(),
            name: key.name.to_string(),
        };
        match event {
            Event::Listed { objects, bad } => {
                for (key, object) in &objects {
                    object.with(|secret| self.planner.source_set(&reference(key), secret));
                }
                let names = objects.iter().map(|(key, _)| &*key.name);
                let names = names.chain(bad.iter().map(|bad| &*bad.key.name)).collect();
                self.planner.sources_listed(scope, &names);
                let is_of_scope = |key: &Key| match scope.split_once('/') {
                    Some(source) => source == (&*key.namespace, &*key.name),
                    None => *key.namespace == **scope,
                };
                self.sources.retain(|key| !is_of_scope(key));
                self.sources.extend(objects.into_iter().map(|(key, _)| key));
                self.listed(Resource::Sources, Some(scope));
            }
            Event::Applied(key, object) => {
                object.with(|secret| self.planner.source_set(&reference(&key), secret));
                self.sources.insert(key);
            }
            Event::Deleted(key, _) => {
                self.planner.source_gone(&reference(&key));
                self.sources.remove(&key);
            }
            // One that cannot be read stays what it was.
            Event::Bad(_) => {}
            Event::Trouble(trouble) => {
                let is_awaited = self.is_awaited(Resource::Sources, Some(scope));
                if matches!(trouble.failure, WatchFailure::Forbidden | WatchFailure::Missing) && is_awaited {
                    // What others can be made of does not wait for it.
                    self.planner.sources_unreadable(scope);
                    self.listed(Resource::Sources, Some(scope));
                }
            }
        }
        self.count(Resource::Sources, (self.sources.len(), 0));
    }

    fn apply_copies(&mut self, name: Option<&Arc<str>>, event: Event<Observed>, now: Moment) {
        match event {
            // All of them were told before.
            Event::Listed { .. } => {
                self.planner.copies_listed(name.map(|name| &**name), now);
                self.listed(Resource::Copies, name);
            }
            Event::Applied(key, observed) => self.planner.copy_set(&key.namespace, &key.name, observed, now),
            Event::Deleted(key, Some(observed)) => {
                self.planner
                    .copy_gone(&key.namespace, &key.name, &observed.identity.uid, now);
            }
            Event::Trouble(trouble) => {
                self.planner.copies_unheard(name.map(|name| &**name));
                if name.is_some() && trouble.failure == WatchFailure::Forbidden {
                    // The copies of other names do not wait for it.
                    self.listed(Resource::Copies, name);
                }
            }
            Event::Deleted(_, None) | Event::Bad(_) => {}
        }
    }

    /// What loses the label again, or is gone, is found out when it would be written.
    fn apply_adoptions(&mut self, event: Event<Observed>, now: Moment) {
        match event {
            Event::Listed { objects, .. } => {
                self.adoptions = objects.iter().map(|(key, _)| key.clone()).collect();
                for (key, observed) in objects {
                    self.planner.copy_offered(&key.namespace, &key.name, observed, now);
                }
                self.listed(Resource::Adoptions, None);
            }
            Event::Applied(key, observed) => {
                self.planner.copy_offered(&key.namespace, &key.name, observed, now);
                self.adoptions.insert(key);
            }
            Event::Deleted(key, _) => _ = self.adoptions.remove(&key),
            Event::Bad(_) | Event::Trouble(_) => {}
        }
        self.count(Resource::Adoptions, (self.adoptions.len(), 0));
    }

    fn is_awaited(&self, resource: Resource, of: Option<&Arc<str>>) -> bool {
        let is_it = |awaited: &Awaited| awaited.resource == resource && awaited.of.as_ref() == of;
        self.awaited.iter().any(is_it)
    }

    fn listed(&mut self, resource: Resource, of: Option<&Arc<str>>) {
        if !self.is_awaited(resource, of) {
            return;
        }
        self.awaited
            .retain(|awaited| awaited.resource != resource || awaited.of.as_ref() != of);
        self.tell_awaited();
        if self.awaited.is_empty() {
            info!(
                rules = self.book.count(Kind::ClusterPullSecretRule).0,
                namespaces = self.namespaces.len(),
                copies = self.planner.copies(),
                "the cluster is listed"
            );
            self.readiness.rules_loaded();
        }
    }

    /// Says what has not been listed yet, and why not.
    pub(super) fn tell_awaited(&self) {
        let awaited = self.awaited.iter().map(|Awaited { resource, of, why }| {
            let of = of.as_ref().map(|of| format!(" of {of}")).unwrap_or_default();
            format!("{}{of}: {why}", resource.as_str())
        });
        self.readiness.awaits(awaited.collect());
    }

    pub(super) fn count(&self, resource: Resource, (good, refused): (usize, usize)) {
        if let Some((_, metrics)) = self.watches.told.iter().find(|(known, _)| *known == resource) {
            metrics.set_objects(good, refused);
        }
    }
}
