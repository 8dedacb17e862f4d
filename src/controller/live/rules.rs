//! Rule objects with their statuses, both kinds.
//!
//! In: what the watches of rules tell, the answers to writes of statuses. Out: what of it concerns the planner, and for
//! each rule the verdict that its status tells.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::mem::take;
use std::sync::Arc;

use serde::Deserialize;

use super::matches::as_written;
use crate::cluster::crowd::{Content, MOST_OF_A_NAMESPACE, Settled, settle};
use crate::cluster::rules::{RuleObject, of_namespace, read as read_object};
use crate::cluster::{Event, Key};
use crate::controller::plan::{Planner, RuleFacts};
use crate::controller::status::{NamespaceCounts, RuleStatus, Verdict};
use crate::controller::{Moment, Timestamp};
use crate::metrics::WatchFailure;
use crate::rules::compile::MOST_REGEXES;
use crate::rules::{Hour, Kind};

/// A rule object as it was read.
pub(super) struct Read {
    object: RuleObject,
    status: RuleStatus,
}

/// What is known of a rule.
pub(super) struct Entry {
    pub(super) uid: Arc<str>,
    object: RuleObject,
    /// What its status says, as far as we know.
    pub(super) status: RuleStatus,
    /// Whether its copies got a new version of their source that no status has told yet.
    pub(super) is_rotated: bool,
    /// When it last matched, as far as the webhook has told us.
    pub(super) last_match: Option<Hour>,
}

/// Where a rule is.
pub(super) type Place = (Kind, Key);

/// All rules.
#[derive(Default)]
pub(super) struct Book {
    cluster: Chapter,
    namespaced: Chapter,
    places: HashMap<Arc<str>, Place>,
    /// What is to be read again.
    awaited: Vec<Key>,
}

/// The rules of a kind.
#[derive(Default)]
struct Chapter {
    entries: BTreeMap<Key, Entry>,
    /// Objects that are no rules at all.
    unreadable: HashSet<Key>,
    /// Whether they have been listed, and what happens is told.
    is_listed: bool,
}

#[derive(Deserialize)]
struct WithStatus {
    #[serde(default)]
    status: RuleStatus,
}

/// Reads a rule object.
pub(super) fn read(kind: Kind, own_namespace: &str, text: &str) -> Result<Option<Read>, String> {
    let object = read_object(kind, own_namespace, text)?;
    let object = object.map(|mut object| {
        // The first mistake is all that a status says.
        object.findings.truncate(1);
        object.findings.shrink_to_fit();
        object
    });
    // Whatever somebody wrote into a status is written over.
    let status = serde_json::from_str(text).map(|WithStatus { status }| status);
    Ok(object.map(|object| Read {
        object,
        status: status.unwrap_or_default(),
    }))
}

impl Read {
    pub(super) fn object(&mut self) -> &mut RuleObject {
        &mut self.object
    }
}

impl Book {
    /// Takes note of an event, and tells the planner. Returns the uids of rules whose verdict may be another.
    pub(super) fn apply(
        &mut self,
        kind: Kind,
        event: Event<Read>,
        planner: &mut Planner,
        now: Moment,
    ) -> Vec<Arc<str>> {
        let mut touched = Vec::new();
        match event {
            Event::Listed { objects, bad } => {
                let listed: HashSet<_> = objects.iter().map(|(key, _)| key.clone()).collect();
                let known = self.chapter(kind).entries.keys();
                let is_bad = |key: &Key| bad.iter().any(|bad| bad.key == *key);
                let gone: Vec<_> = known
                    .filter(|key| !listed.contains(key) && !is_bad(key))
                    .cloned()
                    .collect();
                for key in gone {
                    self.remove(kind, &key, planner, now);
                }
                self.chapter_mut(kind).unreadable.clear();
                for bad in bad {
                    self.set_unreadable(kind, bad.key, planner);
                }
                let namespaces: BTreeSet<_> = listed.into_iter().map(|key| key.namespace).collect();
                for (key, read) in objects {
                    touched.push(self.put(kind, key, read, planner, now));
                }
                for namespace in namespaces {
                    self.settle(kind, &namespace);
                }
                let chapter = self.chapter_mut(kind);
                // Built anew it has no half-empty nodes.
                chapter.entries = take(&mut chapter.entries).into_iter().collect();
                chapter.is_listed = true;
            }
            Event::Applied(key, read) => {
                let namespace = key.namespace.clone();
                touched.push(self.put(kind, key, read, planner, now));
                touched.extend(self.settle(kind, &namespace));
            }
            Event::Deleted(key, _) => {
                self.remove(kind, &key, planner, now);
                touched = self.settle(kind, &key.namespace);
            }
            Event::Bad(bad) => self.set_unreadable(kind, bad.key, planner),
            Event::Trouble(trouble) => {
                // After any other one the watch goes on where it was, and misses nothing.
                let is_lost = matches!(
                    trouble.failure,
                    WatchFailure::Missing | WatchFailure::Expired | WatchFailure::Garbled | WatchFailure::Silent
                );
                self.chapter_mut(kind).is_listed &= !is_lost;
            }
        }
        if kind == Kind::ClusterPullSecretRule {
            planner.rules_complete(self.cluster.is_complete(), now);
        }
        touched
    }

    /// Where a rule is.
    pub(super) fn place(&self, uid: &str) -> Option<&Place> {
        self.places.get(uid)
    }

    pub(super) fn entry(&self, (kind, key): &Place) -> Option<&Entry> {
        self.chapter(*kind).entries.get(key)
    }

    pub(super) fn entry_mut(&mut self, (kind, key): &Place) -> Option<&mut Entry> {
        self.chapter_mut(*kind).entries.get_mut(key)
    }

    /// A rule matched in that hour. Returns whose status is to say so, unless that was known.
    pub(super) fn matched(&mut self, uid: &str, hour: Hour) -> Option<(Kind, Arc<str>)> {
        let place = self.places.get(uid)?.clone();
        let entry = self.entry_mut(&place)?;
        if entry.last_match >= Some(hour) {
            return None;
        }
        entry.last_match = Some(hour);
        (entry.status.last_match != as_written(hour)).then(|| (place.0, Arc::clone(&entry.uid)))
    }

    /// The uids of all rules.
    pub(super) fn uids(&self) -> impl Iterator<Item = &Arc<str>> {
        self.places.keys()
    }

    /// How many rules of a kind are good, and how many are not.
    pub(super) fn count(&self, kind: Kind) -> (usize, usize) {
        let chapter = self.chapter(kind);
        let good = chapter
            .entries
            .values()
            .filter(|entry| entry.object.content.is_good())
            .count();
        (good, chapter.entries.len() - good + chapter.unreadable.len())
    }

    /// In how many namespaces all rules together are where, as their statuses say.
    pub(super) fn namespaces(&self) -> NamespaceCounts {
        let counts = self
            .cluster
            .entries
            .values()
            .filter_map(|entry| entry.status.namespaces);
        counts.fold(NamespaceCounts::default(), |sum, one| NamespaceCounts {
            selected: sum.selected + one.selected,
            ready: sum.ready + one.ready,
            refused: sum.refused + one.refused,
        })
    }

    /// What is said of a rule, as text where it is wrong.
    pub(super) fn verdict<'a>(&self, (kind, key): &Place, entry: &'a Entry, mistake: &'a mut String) -> Verdict<'a> {
        let Content::Good(rule) = &entry.object.content else {
            if entry.object.content.is_left_out() {
                let most = MOST_OF_A_NAMESPACE;
                return Verdict::TooMany { most };
            }
            if let Some(finding) = entry.object.findings.first() {
                *mistake = if finding.field.is_empty() {
                    finding.message.clone()
                } else {
                    format!("{}: {}", finding.field, finding.message)
                };
            }
            return Verdict::Invalid(mistake);
        };
        if *kind == Kind::ClusterPullSecretRule && rule.regex.is_some() && self.cluster.entries.len() > MOST_REGEXES {
            // In the webhook's order.
            let is_older = |other: &(&Key, &Entry)| (&*other.1.object.created, other.0) < (&*entry.object.created, key);
            let has_regex = |other: &(&Key, &Entry)| other.1.object.rule().is_some_and(|rule| rule.regex.is_some());
            let older = self.cluster.entries.iter().filter(has_regex).filter(is_older);
            if older.count() >= MOST_REGEXES {
                return Verdict::TooMany { most: MOST_REGEXES };
            }
        }
        Verdict::Good(rule)
    }

    fn put(&mut self, kind: Kind, key: Key, read: Read, planner: &mut Planner, now: Moment) -> Arc<str> {
        let old = self.chapter(kind).entries.get(&key);
        if old.is_some_and(|old| *old.uid != *read.object.uid) {
            // Deleted and made again, and the watch saw only the end of it.
            self.remove(kind, &key, planner, now);
        }
        let chapter = self.chapter_mut(kind);
        chapter.unreadable.remove(&key);
        let Read { mut object, status } = read;
        let old = chapter.entries.remove(&key);
        let is_same = old
            .as_ref()
            .is_some_and(|old| old.object.generation == object.generation);
        if let Some(Content::Good(rule)) = old.as_ref().filter(|_| is_same).map(|old| &old.object.content) {
            object.content = Content::Good(Arc::clone(rule));
        }
        let uid = old
            .as_ref()
            .map_or_else(|| Arc::clone(&object.uid), |old| Arc::clone(&old.uid));
        let is_rotated = old.as_ref().is_some_and(|old| old.is_rotated);
        let last_match = old.and_then(|old| old.last_match);
        if kind == Kind::ClusterPullSecretRule && !is_same {
            match object.rule() {
                Some(rule) => planner.rule_set(&RuleFacts {
                    uid: Arc::clone(&uid),
                    created: Timestamp::new(&object.created),
                    rule: Arc::clone(rule),
                }),
                None => planner.rule_unreadable(&uid),
            }
        }
        self.places.insert(Arc::clone(&uid), (kind, key.clone()));
        let entry = Entry {
            uid: Arc::clone(&uid),
            object,
            status,
            is_rotated,
            last_match,
        };
        self.chapter_mut(kind).entries.insert(key, entry);
        uid
    }

    fn remove(&mut self, kind: Kind, key: &Key, planner: &mut Planner, now: Moment) {
        let chapter = self.chapter_mut(kind);
        chapter.unreadable.remove(key);
        if let Some(entry) = chapter.entries.remove(key) {
            self.places.remove(&entry.uid);
            if kind == Kind::ClusterPullSecretRule {
                planner.rule_gone(&entry.uid, now);
            }
        }
    }

    fn set_unreadable(&mut self, kind: Kind, key: Key, planner: &mut Planner) {
        if let Some(entry) = self
            .chapter(kind)
            .entries
            .get(&key)
            .filter(|_| kind == Kind::ClusterPullSecretRule)
        {
            planner.rule_unreadable(&entry.uid);
        }
        self.chapter_mut(kind).unreadable.insert(key);
    }

    /// Settles which rules of a namespace take effect. Returns the uids of those that no longer do; those that do now
    /// are told again.
    fn settle(&mut self, kind: Kind, namespace: &str) -> Vec<Arc<str>> {
        if kind == Kind::ClusterPullSecretRule {
            return Vec::new();
        }
        let rules = of_namespace(&mut self.namespaced.entries, namespace);
        let Settled { awaited, beyond } = settle(rules.map(|(key, entry)| (key, &mut entry.object)));
        self.awaited.extend(awaited);
        let beyond = beyond.iter().filter_map(|key| self.namespaced.entries.get(key));
        beyond.map(|entry| Arc::clone(&entry.uid)).collect()
    }

    /// The rules that are to be read again, and told as an event.
    pub(super) fn take_awaited(&mut self) -> Vec<Key> {
        take(&mut self.awaited)
    }

    fn chapter(&self, kind: Kind) -> &Chapter {
        match kind {
            Kind::ClusterPullSecretRule => &self.cluster,
            Kind::PullSecretRule => &self.namespaced,
        }
    }

    fn chapter_mut(&mut self, kind: Kind) -> &mut Chapter {
        match kind {
            Kind::ClusterPullSecretRule => &mut self.cluster,
            Kind::PullSecretRule => &mut self.namespaced,
        }
    }
}

impl Chapter {
    fn is_complete(&self) -> bool {
        let is_good = |entry: &Entry| entry.object.rule().is_some();
        self.is_listed && self.unreadable.is_empty() && self.entries.values().all(is_good)
    }
}

impl Entry {
    /// Whether it is beyond what takes effect in its namespace.
    pub(super) fn is_beyond(&self) -> bool {
        self.object.content.is_left_out()
    }

    pub(super) fn generation(&self) -> i64 {
        self.object.generation
    }
}
