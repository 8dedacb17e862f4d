//! Going through everything: at the start, when removals become possible, and as the proof that nothing was missed.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use super::decide::Decision;
use super::{Moment, Planner, Priority, Target};

/// As many namespaces are gone through at a time, so that a birth does not wait for the end of a full pass: with 10,000
/// rules by selector each takes half a millisecond.
const STEP: usize = 8;

/// A pass over all namespaces.
#[derive(Debug)]
pub(super) struct Sweep {
    /// The last namespace that was gone through.
    after: Option<Arc<str>>,
    /// Whether it is only to prove that there is nothing to do.
    is_proof: bool,
}

impl Planner {
    /// Begins to go through everything.
    pub(super) fn pass(&mut self, is_proof: bool) {
        // A pass with a purpose is not cut short by one without.
        if !is_proof || self.sweep.is_none() {
            self.sweep = Some(Sweep { after: None, is_proof });
        }
    }

    /// Goes on with the pass over all namespaces until something is to be done, and not too far.
    pub(super) fn sweep_on(&mut self, now: Moment) {
        for _ in 0..STEP {
            let Some(Sweep { after, is_proof }) = self.sweep.take() else {
                return;
            };
            let above = after.map_or(Bound::Unbounded, Bound::Excluded);
            let next = self.places.range((above, Bound::Unbounded)).next();
            let Some(name) = next.map(|(name, _)| Arc::clone(name)) else {
                return;
            };
            let waiting = self.pending.len();
            self.sweep_namespace(&name, is_proof, now);
            self.sweep = Some(Sweep {
                after: Some(name),
                is_proof,
            });
            if self.pending.len() > waiting {
                return;
            }
        }
    }

    fn sweep_namespace(&mut self, namespace: &Arc<str>, is_proof: bool, now: Moment) {
        for name in self.names_in(namespace) {
            let target = Target {
                namespace: Arc::clone(namespace),
                name,
            };
            let is_known = self.pending.contains(&target) || self.removals.holds_back(&target);
            if is_known || self.running.contains_key(&target) {
                continue;
            }
            self.note_wanted(&target);
            match self.decide(&target, Priority::Repair, now) {
                // It may have been there before anybody led who could say so.
                Decision::Nothing => self.announce_foreign(&target, now),
                Decision::Wait(until) => self.pending.push_at(until, target),
                Decision::HeldBack => self.hold_back(target),
                Decision::Do(_, priority) => {
                    self.missed += u64::from(is_proof);
                    self.pending.push(target, priority);
                }
            }
        }
    }

    /// The names of all copies that are wanted or there.
    pub(super) fn names_in(&self, namespace: &str) -> BTreeSet<Arc<str>> {
        let Some(place) = self.places.get(namespace) else {
            return BTreeSet::new();
        };
        let mut names = match self.live(namespace, place) {
            Some(facts) => self.claims.wanted_in(&facts),
            None => BTreeSet::new(),
        };
        names.extend(place.copies().iter().map(|copy| Arc::clone(&copy.name)));
        names
    }
}
