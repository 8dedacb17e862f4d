//! When a rule last matched a Pod, by the hour: enough to see which rules nobody needs any more.
//!
//! Beside a compiled rule and shared by its copies, so that it outlives the snapshots that the rule is in. Each decision
//! about a Pod looks at it once a rule, without a lock, and only the first one of an hour writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Seconds.
const LENGTH: u64 = 3_600;

/// An hour in UTC: how many have passed since 1970 began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hour(u32);

/// When the rule that is this object last matched.
#[derive(Debug)]
pub struct LastMatch {
    uid: Arc<str>,
    /// 0 for never.
    hour: AtomicU32,
}

impl Hour {
    /// The hour of an instant, given in seconds since 1970 began.
    #[must_use]
    pub fn of(seconds: u64) -> Self {
        Self(u32::try_from(seconds / LENGTH).unwrap_or(u32::MAX))
    }

    /// When it begins, in seconds since 1970 began.
    #[must_use]
    pub fn begins(self) -> u64 {
        u64::from(self.0) * LENGTH
    }
}

impl LastMatch {
    /// It never did.
    #[must_use]
    pub fn new(uid: Arc<str>) -> Self {
        Self {
            uid,
            hour: AtomicU32::new(0),
        }
    }

    /// The object.
    #[must_use]
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// It matches now.
    pub fn note(&self, Hour(now): Hour) {
        // Other processors need not hear of it at once: the hour is all that is told.
        if self.hour.load(Ordering::Relaxed) != now {
            self.hour.store(now, Ordering::Relaxed);
        }
    }

    /// The hour, if it ever did.
    #[must_use]
    pub fn hour(&self) -> Option<Hour> {
        let hour = self.hour.load(Ordering::Relaxed);
        (hour != 0).then_some(Hour(hour))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_match_is_known_by_its_hour() {
        let last = LastMatch::new("uid".into());
        assert_eq!(last.hour(), None);
        for (seconds, begins) in [(7_199, 3_600), (7_200, 7_200), (10_799, 7_200), (10_800, 10_800)] {
            last.note(Hour::of(seconds));
            assert_eq!(last.hour().map(Hour::begins), Some(begins), "{seconds}");
        }
        assert_eq!(Hour::of(u64::MAX).begins(), u64::from(u32::MAX) * 3_600);
    }

    #[test]
    fn a_clock_that_was_ahead_is_forgotten_once_it_is_right() {
        let last = LastMatch::new("uid".into());
        last.note(Hour::of(9_999_999));
        last.note(Hour::of(7_200));
        assert_eq!(last.hour(), Some(Hour::of(7_200)));
    }
}
