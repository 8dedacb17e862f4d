//! How much may be asked of the API server at once: tokens that fill up with time, and calls that are under way.

use std::time::Duration;

use crate::controller::Moment;

/// How many calls may be under way beside more urgent ones. Enough to go on with at the usual pace, and too few to have an
/// API server with little to spare make the urgent ones wait.
const BESIDE: usize = 4;

/// What an admin allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Calls in a second, in the long run.
    pub per_second: u32,
    /// Calls at once after a pause.
    pub burst: u32,
    /// Calls under way.
    pub in_flight: usize,
}

/// One kind of calls.
#[derive(Debug)]
pub(super) struct Budget {
    allowance: Allowance,
    /// When the tokens that were taken are all filled up again.
    full_at: Moment,
    closed_until: Moment,
    in_flight: usize,
}

impl Budget {
    pub(super) fn new(allowance: Allowance) -> Self {
        Self {
            allowance,
            full_at: Moment::ZERO,
            closed_until: Moment::ZERO,
            in_flight: 0,
        }
    }

    /// Whether a call may be made now, while `other` has calls of its own under way.
    pub(super) fn is_open_beside(&self, other: &Self, now: Moment) -> bool {
        self.opens_beside(other, now).is_some_and(|at| at <= now)
    }

    /// When a call may be made, while `other` has calls of its own under way, unless one has to end first.
    pub(super) fn opens_beside(&self, other: &Self, now: Moment) -> Option<Moment> {
        let is_let = other.in_flight == 0 || self.in_flight < BESIDE;
        self.opens_at(now).filter(|_| is_let)
    }

    /// Whether a call may be made now.
    pub(super) fn is_open(&self, now: Moment) -> bool {
        self.opens_at(now).is_some_and(|at| at <= now)
    }

    /// When a call may be made, unless another one has to end first.
    pub(super) fn opens_at(&self, now: Moment) -> Option<Moment> {
        // One more token taken must not lead further ahead than the burst lasts.
        let ahead = self.allowance.burst.saturating_sub(1) * self.interval();
        let at = self.full_at.saturating_sub(ahead).max(self.closed_until).max(now);
        (self.in_flight < self.allowance.in_flight).then_some(at)
    }

    /// A call begins.
    pub(super) fn begin(&mut self, now: Moment) {
        self.full_at = self.full_at.max(now) + self.interval();
        self.in_flight += 1;
    }

    /// A call has ended.
    pub(super) fn end(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Nothing is under way any more.
    pub(super) fn abandon(&mut self) {
        self.in_flight = 0;
    }

    /// No call before then.
    pub(super) fn close_until(&mut self, until: Moment) {
        self.closed_until = self.closed_until.max(until);
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(1) / self.allowance.per_second.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_followed_by_the_rate() {
        let mut budget = Budget::new(Allowance {
            per_second: 10,
            burst: 3,
            in_flight: 100,
        });
        let second = Duration::from_secs(1);
        for _ in 0..3 {
            assert!(budget.is_open(second));
            budget.begin(second);
        }
        assert_eq!(budget.opens_at(second), Some(second + second / 10));
        assert!(!budget.is_open(second) && budget.is_open(second + second / 10));
        let mut begun = 0;
        while budget.is_open(3 * second) {
            budget.begin(3 * second);
            begun += 1;
        }
        assert_eq!(begun, 3, "a pause saves up no more than a burst");
    }

    #[test]
    fn calls_under_way_and_a_request_for_patience_close_it() {
        let mut budget = Budget::new(Allowance {
            per_second: 1_000,
            burst: 1_000,
            in_flight: 2,
        });
        let now = Duration::from_secs(5);
        budget.begin(now);
        budget.begin(now);
        assert_eq!(budget.opens_at(now), None);
        budget.end();
        assert!(budget.is_open(now));
        budget.close_until(2 * now);
        assert_eq!(budget.opens_at(now), Some(2 * now));
    }

    #[test]
    fn few_calls_are_made_beside_urgent_ones() {
        let allowance = Allowance {
            per_second: 1_000,
            burst: 1_000,
            in_flight: 100,
        };
        let (mut budget, mut urgent) = (Budget::new(allowance), Budget::new(allowance));
        let now = Duration::from_secs(5);
        urgent.begin(now);
        for _ in 0..BESIDE {
            assert!(budget.is_open_beside(&urgent, now));
            budget.begin(now);
        }
        assert_eq!(budget.opens_beside(&urgent, now), None);
        assert!(urgent.is_open(now));
        urgent.end();
        assert!(budget.is_open_beside(&urgent, now));
    }
}
