//! How many copies may be removed: so that no mistake, ours or that of whoever writes rules, empties a cluster before
//! somebody has seen it.

use std::collections::VecDeque;
use std::time::Duration;

use super::Moment;

/// The time that removals are counted over.
const WINDOW: Duration = Duration::from_hours(1);
/// So many may be removed in it in any case.
pub(super) const ALWAYS: usize = 100;
/// And this part of all copies, if that is more.
const PART: usize = 10;

/// The removals of the last hour.
#[derive(Debug, Default)]
pub(super) struct Removals {
    /// In order.
    done: VecDeque<Moment>,
    under_way: usize,
}

impl Removals {
    /// Whether one more copy may be removed, of so many there are.
    pub(super) fn allows(&self, copies: usize, now: Moment) -> bool {
        let recent = self.done.len() - self.done.partition_point(|done| *done + WINDOW <= now);
        recent + self.under_way < ALWAYS.max((copies + recent) / PART)
    }

    /// What was begun is somebody else's now; it may have been done.
    pub(super) fn abandon(&mut self) {
        self.under_way = 0;
    }

    /// A removal was begun.
    pub(super) fn begin(&mut self) {
        self.under_way += 1;
    }

    /// A removal that was begun has ended; `counts` unless it is certain that nothing was removed.
    pub(super) fn end(&mut self, counts: bool, now: Moment) {
        self.under_way = self.under_way.saturating_sub(1);
        if counts {
            self.count(now);
        }
    }

    /// A copy that nobody wanted is gone, whoever removed it: another replica's removals count, too.
    pub(super) fn count(&mut self, now: Moment) {
        while self.done.front().is_some_and(|done| *done + WINDOW <= now) {
            self.done.pop_front();
        }
        self.done.push_back(now);
    }

    /// When the oldest removal stops to count.
    pub(super) fn next(&self, now: Moment) -> Option<Moment> {
        let oldest = self.done.partition_point(|done| *done + WINDOW <= now);
        self.done.get(oldest).map(|done| *done + WINDOW)
    }
}
