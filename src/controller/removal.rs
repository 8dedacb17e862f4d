//! How many copies may be removed: so that no mistake, ours or that of whoever writes rules, empties a cluster before
//! somebody has seen it.
//!
//! Whoever may write Secrets in a namespace can make some that look like copies of ours, by as many names as he likes, and
//! nobody wants them. So at most half of the hour's removals go to what was never seen to be wanted: the other half is
//! left for what was, which is how a credential is revoked.

use std::collections::{BTreeSet, VecDeque};
use std::iter::repeat_n;
use std::ops::{AddAssign, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Moment, Target};

/// The time that removals are counted over.
pub(super) const WINDOW: Duration = Duration::from_hours(1);
/// So many may be removed in it in any case.
pub(super) const ALWAYS: usize = 100;
/// And this part of all copies, if that is more.
const PART: usize = 10;
/// More are not taken from what somebody noted: it might be wrong, and it is kept in memory.
const MOST_KNOWN: usize = 100_000;
/// What was never wanted gets this part of it.
const PART_OF_UNKNOWN: usize = 2;

/// The removals of the last hour, and those that wait for the next.
#[derive(Debug, Default)]
pub(super) struct Removals {
    /// Of copies that a rule was seen to want.
    wanted: Lane,
    /// Of all others.
    unknown: Lane,
    total: Removed,
}

/// Removals of one kind.
#[derive(Debug, Default)]
struct Lane {
    /// When each stops to count, in order.
    counts_until: VecDeque<Moment>,
    under_way: usize,
    held_back: BTreeSet<Target>,
}

/// How many copies were removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// Of those that a rule was seen to want.
    pub wanted: usize,
    /// Of all others.
    pub unknown: usize,
}

impl Removals {
    /// Whether one more copy may be removed, of so many there are.
    pub(super) fn allows(&self, was_wanted: bool, copies: usize, now: Moment) -> bool {
        let (wanted, unknown) = (self.wanted.recent(now), self.unknown.recent(now));
        let most = ALWAYS.max((copies + wanted + unknown) / PART);
        let most_unknown = most / PART_OF_UNKNOWN;
        let (wanted, unknown) = (wanted + self.wanted.under_way, unknown + self.unknown.under_way);
        wanted + unknown.min(most_unknown) < most && (was_wanted || unknown < most_unknown)
    }

    /// What was begun is somebody else's now, and so is what waits.
    pub(super) fn abandon(&mut self) {
        for lane in self.lanes() {
            lane.under_way = 0;
        }
        self.release();
    }

    /// Nothing waits any more.
    pub(super) fn release(&mut self) {
        for lane in self.lanes() {
            lane.held_back.clear();
        }
    }

    /// A removal was begun.
    pub(super) fn begin(&mut self, was_wanted: bool) {
        self.lane(was_wanted).under_way += 1;
    }

    /// A removal that was begun has ended; `counts` unless it is certain that nothing was removed.
    pub(super) fn end(&mut self, was_wanted: bool, counts: bool, now: Moment) {
        let lane = self.lane(was_wanted);
        lane.under_way = lane.under_way.saturating_sub(1);
        if counts {
            lane.count(now + WINDOW, now);
            if was_wanted {
                self.total.wanted += 1;
            } else {
                self.total.unknown += 1;
            }
        }
    }

    /// How many there were in all.
    pub(super) fn total(&self) -> Removed {
        self.total
    }

    /// These are all removals that count, each with how long it still does.
    pub(super) fn resume(&mut self, known: &[(Duration, Removed)], now: Moment) {
        for lane in self.lanes() {
            lane.counts_until.clear();
        }
        let mut known = known.to_vec();
        known.sort_by_key(|(left, _)| *left);
        for (left, removed) in known {
            for (lane, number) in [(&mut self.wanted, removed.wanted), (&mut self.unknown, removed.unknown)] {
                lane.counts_until.extend(repeat_n(now + left, number.min(MOST_KNOWN)));
            }
        }
    }

    /// The copy is to be removed as soon as the hour allows it.
    pub(super) fn hold_back(&mut self, target: Target, was_wanted: bool) {
        self.lane(was_wanted).held_back.insert(target);
    }

    /// A copy that waits and may be removed now.
    pub(super) fn pop(&mut self, copies: usize, now: Moment) -> Option<Target> {
        let lane = [true, false]
            .into_iter()
            .find(|was_wanted| self.may_pop(*was_wanted, copies, now))?;
        self.lane(lane).held_back.pop_first()
    }

    fn may_pop(&self, was_wanted: bool, copies: usize, now: Moment) -> bool {
        let lane = if was_wanted { &self.wanted } else { &self.unknown };
        !lane.held_back.is_empty() && self.allows(was_wanted, copies, now)
    }

    /// Forgets what waits in a namespace.
    pub(super) fn forget(&mut self, namespace: &str) {
        for lane in self.lanes() {
            lane.held_back.retain(|target| *target.namespace != *namespace);
        }
    }

    /// Whether the copy waits.
    pub(super) fn holds_back(&self, target: &Target) -> bool {
        self.wanted.held_back.contains(target) || self.unknown.held_back.contains(target)
    }

    /// What waits.
    pub(super) fn held_back(&self) -> impl Iterator<Item = &Target> {
        self.wanted.held_back.iter().chain(&self.unknown.held_back)
    }

    /// When something that waits may be removed, as far as that is known.
    pub(super) fn next(&self, copies: usize, now: Moment) -> Option<Moment> {
        if [true, false].iter().any(|lane| self.may_pop(*lane, copies, now)) {
            return Some(now);
        }
        self.held_back().next()?;
        let lanes = [&self.wanted, &self.unknown].into_iter();
        lanes.filter_map(|lane| lane.next_end(now)).min()
    }

    fn lane(&mut self, was_wanted: bool) -> &mut Lane {
        if was_wanted {
            &mut self.wanted
        } else {
            &mut self.unknown
        }
    }

    fn lanes(&mut self) -> [&mut Lane; 2] {
        [&mut self.wanted, &mut self.unknown]
    }
}

impl AddAssign for Removed {
    fn add_assign(&mut self, more: Self) {
        self.wanted = self.wanted.saturating_add(more.wanted);
        self.unknown = self.unknown.saturating_add(more.unknown);
    }
}

impl Sub for Removed {
    type Output = Self;

    fn sub(self, less: Self) -> Self {
        Self {
            wanted: self.wanted.saturating_sub(less.wanted),
            unknown: self.unknown.saturating_sub(less.unknown),
        }
    }
}

impl Lane {
    fn recent(&self, now: Moment) -> usize {
        self.counts_until.len() - self.ended(now)
    }

    fn next_end(&self, now: Moment) -> Option<Moment> {
        self.counts_until.get(self.ended(now)).copied()
    }

    fn count(&mut self, until: Moment, now: Moment) {
        self.counts_until.drain(..self.ended(now));
        self.counts_until.push_back(until);
    }

    fn ended(&self, now: Moment) -> usize {
        self.counts_until.partition_point(|until| *until <= now)
    }
}
