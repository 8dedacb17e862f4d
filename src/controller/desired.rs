//! Who wants which copy.
//!
//! In: the rules that name a source, one after the other. Out: for a namespace, the names of all copies that are wanted
//! there; for one such name, the [`Claim`] that decides; for a claim, the namespaces it is about. Cluster rules only: a
//! namespaced rule has no source.
//!
//! Of several claims on one name with different sources the oldest wins, by creation and then by name. One that makes
//! nothing (a shadow rule, a rule that was deleted or cannot be read) counts only where the copy is of its source
//! already: it keeps what is there, and no younger rule takes that over.

use std::borrow::Borrow;
use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use super::intern::Interner;
use super::{Moment, Timestamp};
use crate::rules::{Mode, Namespace, Rule};

/// A rule as the cluster has it.
#[derive(Debug, Clone)]
pub struct RuleFacts {
    /// `metadata.uid`.
    pub uid: Arc<str>,
    /// `metadata.creationTimestamp`.
    pub created: Timestamp,
    /// The rule.
    pub rule: Arc<Rule>,
}

/// What one rule wants.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    pub(super) uid: Arc<str>,
    pub(super) name: Arc<str>,
    pub(super) created: Timestamp,
    pub(super) rule: Arc<Rule>,
    /// The name of the copies.
    pub(super) secret: Arc<str>,
    /// `namespace/name` of the source.
    pub(super) source: Arc<str>,
    pub(super) hold: Hold,
}

/// How firm a claim is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    /// The rule is there.
    InForce,
    /// The rule is there, and cannot be read any more: nothing changes.
    Unreadable,
    /// The rule was deleted: its copies are kept until then, in case it comes back.
    Deleted {
        /// Until when.
        until: Moment,
    },
}

/// All claims, filed by what is asked for.
#[derive(Debug, Default)]
pub(super) struct Claims {
    by_uid: HashMap<Arc<str>, Arc<Claim>>,
    /// Of rules that name each of their namespaces, by namespace: the many rules of teams cost the others nothing.
    named: HashMap<Box<str>, Vec<Arc<Claim>>>,
    /// Of all others, by the name of the copies.
    broad: HashMap<Arc<str>, Vec<Arc<Claim>>>,
    by_source: HashMap<Arc<str>, Vec<Arc<Claim>>>,
    deleted: BTreeSet<(Moment, Arc<str>)>,
}

impl Claim {
    /// The claim of a rule, if it names a source.
    pub(super) fn new(facts: &RuleFacts, interner: &mut Interner<str>) -> Option<Self> {
        let source = facts.rule.copy_from.as_ref()?;
        Some(Self {
            uid: Arc::clone(&facts.uid),
            name: interner.intern(facts.rule.name.as_str()),
            created: facts.created.clone(),
            secret: interner.intern(facts.rule.secret.as_str()),
            source: interner.intern(source.to_string()),
            rule: Arc::clone(&facts.rule),
            hold: Hold::InForce,
        })
    }

    /// Whether copies are made for it, and not only kept.
    pub(super) fn makes(&self) -> bool {
        self.hold == Hold::InForce && self.rule.mode == Mode::Enforce
    }

    /// Whether it is about this namespace.
    pub(super) fn selects(&self, namespace: &Namespace<'_>) -> bool {
        self.rule.namespaces.selects(namespace)
    }

    /// Whether both want the same, so that nothing has to be done about the difference.
    pub(super) fn wants_the_same(&self, other: &Self) -> bool {
        (&self.secret, &self.source, self.hold, self.rule.mode)
            == (&other.secret, &other.source, other.hold, other.rule.mode)
            && self.rule.namespaces == other.rule.namespaces
    }

    /// The oldest first.
    fn age(&self) -> (&Timestamp, &Arc<str>, &Arc<str>) {
        (&self.created, &self.name, &self.uid)
    }
}

impl Claims {
    /// Files a claim, in the place of the one that the rule had. Returns that one.
    pub(super) fn insert(&mut self, claim: Claim) -> Option<Arc<Claim>> {
        let old = self.remove(&claim.uid);
        let claim = Arc::new(claim);
        if let Hold::Deleted { until } = claim.hold {
            self.deleted.insert((until, Arc::clone(&claim.uid)));
        }
        match claim.rule.namespaces.named() {
            Some(names) => {
                for name in names {
                    file(&mut self.named, name.as_str(), || name.as_str().into(), &claim);
                }
            }
            None => file(&mut self.broad, &*claim.secret, || Arc::clone(&claim.secret), &claim),
        }
        file(
            &mut self.by_source,
            &*claim.source,
            || Arc::clone(&claim.source),
            &claim,
        );
        self.by_uid.insert(Arc::clone(&claim.uid), claim);
        old
    }

    /// Takes a claim out.
    pub(super) fn remove(&mut self, uid: &str) -> Option<Arc<Claim>> {
        let claim = self.by_uid.remove(uid)?;
        if let Hold::Deleted { until } = claim.hold {
            self.deleted.remove(&(until, Arc::clone(&claim.uid)));
        }
        match claim.rule.namespaces.named() {
            Some(names) => {
                for name in names {
                    unfile(&mut self.named, name.as_str(), uid);
                }
            }
            None => unfile(&mut self.broad, &*claim.secret, uid),
        }
        unfile(&mut self.by_source, &*claim.source, uid);
        Some(claim)
    }

    /// The claim of a rule.
    pub(super) fn get(&self, uid: &str) -> Option<&Arc<Claim>> {
        self.by_uid.get(uid)
    }

    /// All claims.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Claim>> {
        self.by_uid.values()
    }

    /// The claims on the copies of a source.
    pub(super) fn of_source(&self, source: &str) -> &[Arc<Claim>] {
        self.by_source.get(source).map(Vec::as_slice).unwrap_or_default()
    }

    /// The rule among the deleted whose time ends first.
    pub(super) fn next_end(&self) -> Option<&(Moment, Arc<str>)> {
        self.deleted.first()
    }

    /// Gives all deleted rules that much more time.
    pub(super) fn delay_ends(&mut self, pause: Duration) {
        for (end, uid) in std::mem::take(&mut self.deleted) {
            if let Some(claim) = self.by_uid.get(&uid) {
                let mut claim = Claim::clone(claim);
                claim.hold = Hold::Deleted { until: end + pause };
                self.insert(claim);
            }
        }
    }

    /// The names of all copies that somebody wants in a namespace, each once.
    pub(super) fn wanted_in(&self, namespace: &Namespace<'_>) -> BTreeSet<Arc<str>> {
        let named = self.named.get(namespace.name).into_iter().flatten();
        let broad = self.broad.values().filter_map(|same_name| {
            // One is enough to make the name wanted.
            same_name.iter().find(|claim| claim.selects(namespace))
        });
        named
            .filter(|claim| claim.selects(namespace))
            .chain(broad)
            .map(|claim| Arc::clone(&claim.secret))
            .collect()
    }

    /// The claims on one copy, the oldest first.
    pub(super) fn on(&self, namespace: &Namespace<'_>, secret: &str) -> Vec<&Arc<Claim>> {
        let named = self.named.get(namespace.name).into_iter().flatten();
        let broad = self.broad.get(secret).into_iter().flatten();
        let mut claims: Vec<_> = named
            .filter(|claim| *claim.secret == *secret)
            .chain(broad)
            .filter(|claim| claim.selects(namespace))
            .collect();
        claims.sort_by(|one, other| one.age().cmp(&other.age()));
        claims
    }

    /// The claim that decides about a copy. `source` is what the copy that is there was made of.
    pub(super) fn holder(&self, namespace: &Namespace<'_>, secret: &str, source: Option<&str>) -> Option<&Arc<Claim>> {
        let claims = self.on(namespace, secret);
        let decides = |claim: &&&Arc<Claim>| claim.makes() || source == Some(&*claim.source);
        claims.iter().find(decides).or_else(|| claims.first()).copied()
    }

    /// Whether a shadow rule could have made a copy of this name and source. Such a rule removes none, whatever it
    /// selects. Where the source of a copy is not known it might be any.
    pub(super) fn is_shadowed(&self, secret: &str, source: Option<&str>) -> bool {
        let could = |claim: &Arc<Claim>| claim.rule.mode == Mode::Shadow && *claim.secret == *secret;
        match source {
            Some(source) => self.of_source(source).iter().any(could),
            None => self.all().any(could),
        }
    }
}

fn file<K, Q>(files: &mut HashMap<K, Vec<Arc<Claim>>>, key: &Q, owned: impl FnOnce() -> K, claim: &Arc<Claim>)
where
    K: Borrow<Q> + Eq + Hash,
    Q: Eq + Hash + ?Sized,
{
    match files.get_mut(key) {
        Some(claims) => claims.push(Arc::clone(claim)),
        None => {
            files.insert(owned(), vec![Arc::clone(claim)]);
        }
    }
}

fn unfile<K, Q>(files: &mut HashMap<K, Vec<Arc<Claim>>>, key: &Q, uid: &str)
where
    K: Borrow<Q> + Eq + Hash,
    Q: Eq + Hash + ?Sized,
{
    if let Some(claims) = files.get_mut(key) {
        claims.retain(|claim| *claim.uid != *uid);
        if claims.is_empty() {
            files.remove(key);
        }
    }
}
