//! The removals of the last hour, as the Lease keeps them: whoever leads next, be it after all replicas ended at once, does
//! not begin to count anew.
//!
//! In: how many copies were removed, and the time of day. Out: the text of an annotation, with a count for every ten
//! minutes. One that cannot be read says nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::controller::plan::Removed;
use crate::controller::removal::WINDOW;

/// The annotation.
pub(super) const ANNOTATION: &str = "pullkey.dev/removals";
/// What is counted together, in seconds.
const SPAN: u64 = 600;

/// Removals by the ten minutes that they were done in, counted from 1970 on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ledger(BTreeMap<u64, Removed>);

impl Ledger {
    /// Reads the annotation.
    pub(super) fn parse(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }

    /// The annotation.
    pub(super) fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// So many more were removed `now`, in seconds since 1970. What no longer counts is forgotten.
    pub(super) fn add(&mut self, removed: Removed, now: u64) {
        self.0.retain(|span, _| left(*span, now).is_some());
        *self.0.entry(now / SPAN).or_default() += removed;
    }

    /// The removals that count, each with how long it still does.
    pub(super) fn counting(&self, now: u64) -> Vec<(Duration, Removed)> {
        let counting = self.0.iter();
        let counting = counting.filter_map(|(span, removed)| Some((left(*span, now)?, *removed)));
        counting.collect()
    }
}

/// How long what was removed in a span still counts, as if it were of the last of its seconds; `None` if it does no more.
/// The clock of another may be ahead, by a span.
fn left(span: u64, now: u64) -> Option<Duration> {
    let longest = WINDOW + Duration::from_secs(SPAN);
    let since = Duration::from_secs(now.saturating_sub(span.checked_mul(SPAN)?));
    let is_possible = span <= now / SPAN + 1;
    longest.checked_sub(since).filter(|left| is_possible && !left.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_removed_counts_for_an_hour_and_its_ten_minutes() {
        let removed = |wanted, unknown| Removed { wanted, unknown };
        let mut ledger = Ledger::default();
        ledger.add(removed(1, 0), 6_000);
        ledger.add(removed(2, 5), 6_599);
        ledger.add(removed(4, 0), 6_600);
        let read = Ledger::parse(&ledger.to_text());
        assert_eq!(read, ledger);
        let seconds = |ledger: &Ledger, now| -> Vec<_> {
            let counting = ledger.counting(now).into_iter();
            counting.map(|(left, removed)| (left.as_secs(), removed)).collect()
        };
        let first = removed(3, 5);
        assert_eq!(seconds(&read, 6_700), [(3_500, first), (4_100, removed(4, 0))]);
        assert_eq!(seconds(&read, 10_199), [(1, first), (601, removed(4, 0))]);
        assert_eq!(seconds(&read, 10_200), [(600, removed(4, 0))]);
        assert_eq!(seconds(&read, 5_999), [(4_200, first)], "the clock was ahead");
        ledger.add(removed(0, 1), 10_200);
        assert_eq!(ledger.0.len(), 2, "{ledger:?}");
    }

    #[test]
    fn what_cannot_be_read_says_nothing() {
        for text in [
            "",
            "{",
            "[]",
            r#"{"x":{"wanted":1,"unknown":1}}"#,
            r#"{"1":{"wanted":-1}}"#,
        ] {
            assert_eq!(Ledger::parse(text), Ledger::default(), "{text}");
        }
        let far = r#"{"18446744073709551615":{"wanted":9,"unknown":9}}"#;
        assert_eq!(Ledger::parse(far).counting(6_000), []);
    }
}
