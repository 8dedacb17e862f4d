//! How a rule stands: in how many namespaces its copies are ready, and what stands in the way in the others.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::decide::is_source;
use super::{Claim, Moment, Place, Planner, Refusal, Target};
use crate::controller::names::SecretName;
use crate::controller::ownership::Share;
use crate::controller::patience::Patience;
use crate::controller::source::{Source, SourceProblem};
use crate::printable::shortened;
use crate::rules::Mode;

/// As many obstacles of a rule are named.
const MOST_REFUSALS: usize = 10;
/// As much of a field manager's name is shown; anybody may choose it.
const LONGEST_MANAGER: usize = 64;

/// How a rule with a source stands.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Whether it makes no copies.
    pub is_shadow: bool,
    /// How many namespaces it selects.
    pub selected: usize,
    /// In how many of them the copy is as it should be.
    pub ready: usize,
    /// In how many something stands in the way. In the others it is on its way.
    pub refused: usize,
    /// How many there are of each reason.
    pub reasons: BTreeMap<&'static str, usize>,
    /// The first of them, by name.
    pub refusals: Vec<(Arc<str>, Obstacle)>,
    /// What copies are made of, if it is or was good.
    pub source: Option<Arc<Source>>,
    /// What is wrong with the source.
    pub problem: Option<SourceProblem>,
    /// What to let the controller touch, as nothing of that name is within its reach.
    pub out_of_reach: Option<SecretName>,
    /// How many copies of the source may be removed only later.
    pub held_back: usize,
    /// Whether copies got a new version of the source since the last summary.
    pub is_rotated: bool,
}

/// What stands in the way of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// An older rule puts another source's copy there.
    NameTaken {
        /// Which rule.
        rule: Arc<str>,
    },
    /// There is a Secret of that name, and it is not ours.
    Foreign {
        /// Whose, by field manager.
        manager: Option<Box<str>>,
    },
    /// Somebody keeps changing or deleting the copy.
    Contended {
        /// Who, by field manager.
        manager: Option<Box<str>>,
    },
    /// The API server does not let us.
    Refused(Refusal),
}

enum Standing {
    Ready,
    Waiting,
    Blocked(Obstacle),
}

impl Obstacle {
    /// The reason in a status or an event: one word.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NameTaken { .. } => "NameTaken",
            Self::Foreign { .. } => "Foreign",
            Self::Contended { .. } => "Contended",
            Self::Refused(refusal) => refusal.reason(),
        }
    }

    /// Whether it is something about the namespace that its people can put right.
    fn is_of_namespace(&self) -> bool {
        match self {
            Self::NameTaken { .. } => false,
            Self::Foreign { .. } | Self::Contended { .. } => true,
            Self::Refused(refusal) => matches!(
                refusal,
                Refusal::QuotaExceeded { .. } | Refusal::DeniedByPolicy { .. } | Refusal::Immutable
            ),
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameTaken { rule } => write!(formatter, "the older rule `{rule}` has another source for this name"),
            Self::Foreign { manager } => {
                write!(
                    formatter,
                    "there is a Secret of this name that belongs to {}",
                    known(manager.as_deref())
                )?;
                formatter.write_str("; label it `pullkey.dev/adopt=true` to hand it over")
            }
            Self::Contended { manager } => {
                write!(formatter, "{} keeps changing the copy", known(manager.as_deref()))
            }
            Self::Refused(refusal) => refusal.fmt(formatter),
        }
    }
}

impl Planner {
    /// How a rule stands, by its uid; `None` for one that names no source. Takes a look at every namespace that the rule
    /// may select.
    pub fn summary(&mut self, uid: &str) -> Option<Summary> {
        let claim = Arc::clone(self.claims.get(uid)?);
        let held_back = self.removals.held_back().filter_map(|target| self.copy(target));
        let mut summary = Summary {
            is_shadow: claim.rule.mode == Mode::Shadow,
            selected: 0,
            ready: 0,
            refused: 0,
            reasons: BTreeMap::new(),
            refusals: Vec::new(),
            source: self.sources.good(&claim.source).cloned(),
            problem: self.sources.problem(&claim.source),
            out_of_reach: None,
            held_back: held_back
                .filter(|copy| copy.source.as_ref() == Some(&claim.source))
                .count(),
            is_rotated: self.rotated.remove(&claim.uid),
        };
        match claim.rule.namespaces.named() {
            Some(names) => names
                .iter()
                .filter_map(|name| self.places.get_key_value(name.as_str()))
                .for_each(|(name, place)| summary.add(name, self.standing(&claim, name, place))),
            None => self
                .places
                .iter()
                .for_each(|(name, place)| summary.add(name, self.standing(&claim, name, place))),
        }
        let not_permitted = Refusal::NotPermitted.reason();
        if !self.reach.holds(&claim.secret) || self.reach.is_named() && summary.reasons.contains_key(not_permitted) {
            summary.out_of_reach = Some(SecretName::Copies(claim.secret.to_string()));
        }
        Some(summary)
    }

    /// How a claim stands in a namespace; `None` where it wants nothing.
    fn standing(&self, claim: &Claim, name: &Arc<str>, place: &Place) -> Option<Standing> {
        let namespace = self.live(name, place).filter(|facts| claim.selects(facts))?;
        let target = Target {
            namespace: Arc::clone(name),
            name: Arc::clone(&claim.secret),
        };
        if is_source(claim, &target) {
            return Some(Standing::Ready);
        }
        if !self.reach.holds(&claim.secret) {
            return Some(Standing::Blocked(Obstacle::Refused(Refusal::NotPermitted)));
        }
        let copy = place.copy(&claim.secret);
        let source = copy.and_then(|copy| copy.source.as_deref());
        let holder = self.claims.holder(&namespace, &claim.secret, source)?;
        if holder.source != claim.source {
            let rule = Arc::clone(&holder.name);
            return Some(Standing::Blocked(Obstacle::NameTaken { rule }));
        }
        let patience = self.patience.get(&target);
        if let Some(Share::Foreign(manager)) = copy.map(|copy| &copy.share) {
            let manager = manager.clone();
            return Some(Standing::Blocked(Obstacle::Foreign { manager }));
        }
        let good = self.sources.good(&claim.source);
        // With no good source in memory a copy stays as it is, which is all that can be had.
        let is_current = |copy: &super::Copy| good.is_none_or(|good| copy.is_current(good));
        if copy.is_some_and(|copy| copy.is_settled() && source == Some(&*claim.source) && is_current(copy)) {
            return Some(Standing::Ready);
        }
        Some(match patience.and_then(Patience::refusal) {
            // Nobody has to do anything about these.
            Some(Refusal::Conflict | Refusal::Terminating | Refusal::Throttled { .. }) | None => {
                let wanted = good.map(|good| &good.version);
                let applied = copy.and_then(|copy| copy.applied.as_ref());
                let was_in_vain = applied.is_some() && applied == wanted;
                if was_in_vain || patience.is_some_and(Patience::is_contended) {
                    let manager = copy.and_then(|copy| copy.meddler.clone());
                    Standing::Blocked(Obstacle::Contended { manager })
                } else {
                    Standing::Waiting
                }
            }
            Some(refusal) => Standing::Blocked(Obstacle::Refused(refusal.clone())),
        })
    }

    /// Tells a namespace that its Secret is in the way.
    pub(super) fn announce_foreign(&mut self, target: &Target, now: Moment) {
        if let Some(Share::Foreign(manager)) = self.copy(target).map(|copy| &copy.share) {
            let manager = manager.clone();
            self.announce(target, &Obstacle::Foreign { manager }, now);
        }
    }

    /// Tells a namespace that somebody there works against us.
    pub(super) fn announce_contended(&mut self, target: &Target, now: Moment) {
        if self.patience.get(target).is_some_and(Patience::is_contended) {
            let manager = self.copy(target).and_then(|copy| copy.meddler.clone());
            self.announce(target, &Obstacle::Contended { manager }, now);
        }
    }

    /// Tells a namespace what forbids the copy, if that is something of its own.
    pub(super) fn announce_refusal(&mut self, target: &Target, now: Moment) {
        if let Some(refusal) = self.patience.get(target).and_then(Patience::refusal) {
            self.announce(target, &Obstacle::Refused(refusal.clone()), now);
        }
    }

    fn announce(&mut self, target: &Target, obstacle: &Obstacle, now: Moment) {
        let place = self.places.get(&target.namespace);
        let place = place.filter(|_| self.is_started);
        let Some(namespace) = place.and_then(|place| self.live(&target.namespace, place)) else {
            return;
        };
        let source = self.copy(target).and_then(|copy| copy.source.as_deref());
        let holder = self.claims.holder(&namespace, &target.name, source);
        if let Some(holder) = holder.filter(|_| obstacle.is_of_namespace()) {
            let note = format!(
                "the rule `{}` wants a copy of its pull secret as `{}` here: {obstacle}",
                holder.name, target.name
            );
            self.announcer.announce(target, obstacle.reason(), note, now);
        }
    }
}

impl Summary {
    fn add(&mut self, namespace: &Arc<str>, standing: Option<Standing>) {
        let Some(standing) = standing else { return };
        self.selected += 1;
        match standing {
            Standing::Ready => self.ready += 1,
            Standing::Waiting => {}
            Standing::Blocked(obstacle) => {
                self.refused += 1;
                *self.reasons.entry(obstacle.reason()).or_default() += 1;
                if self.refusals.len() < MOST_REFUSALS {
                    self.refusals.push((Arc::clone(namespace), obstacle));
                }
            }
        }
    }
}

/// A field manager as people read it.
fn known(manager: Option<&str>) -> Cow<'_, str> {
    match manager {
        Some(manager) => format!("the field manager `{}`", shortened(manager, LONGEST_MANAGER)).into(),
        None => "somebody unknown".into(),
    }
}
