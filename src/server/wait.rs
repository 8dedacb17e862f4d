//! How long a request may wait: the caller's `?timeout=`, in Go's duration text, less what the answer needs.

use super::Settings;
use crate::duration;
use std::time::Duration;

/// How long the request with this query may wait for its body and for its turn.
///
/// A timeout that is shorter than twice the margin is halved instead, so that something is left on both sides.
pub(super) fn longest_wait(query: Option<&str>, settings: &Settings) -> Duration {
    let timeout = query
        .into_iter()
        .flat_map(|query| query.split('&'))
        .find_map(|parameter| parameter.strip_prefix("timeout="))
        .and_then(|timeout| duration::parse(timeout).ok())
        .filter(|timeout| !timeout.is_zero());
    match timeout {
        Some(timeout) => {
            let timeout = timeout.min(settings.wait_longest);
            timeout.saturating_sub(settings.answer_margin).max(timeout / 2)
        }
        None => settings.wait_default,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_request_waits_for_its_callers_timeout_less_the_margin() {
        let cases = [
            ("no query", None, 10_000),
            ("no timeout", Some("dryRun=true"), 10_000),
            ("seconds", Some("timeout=10s"), 9_500),
            ("minutes and seconds", Some("timeout=0m5s"), 4_500),
            ("milliseconds", Some("timeout=1500ms"), 1_000),
            ("a fraction", Some("timeout=2.5s"), 2_000),
            ("not the first parameter", Some("a=b&timeout=3s"), 2_500),
            ("the first of two", Some("timeout=3s&timeout=20s"), 2_500),
            ("at most 30 s", Some("timeout=1m30s"), 29_500),
            ("hours", Some("timeout=1h"), 29_500),
            ("shorter than the margin", Some("timeout=300ms"), 150),
            ("just twice the margin", Some("timeout=1s"), 500),
            ("none at all", Some("timeout=0s"), 10_000),
            ("zero", Some("timeout=0"), 10_000),
            ("empty", Some("timeout="), 10_000),
            ("without a unit", Some("timeout=10"), 10_000),
            ("without a number", Some("timeout=s"), 10_000),
            ("an unknown unit", Some("timeout=1d"), 10_000),
            ("negative", Some("timeout=-1s"), 10_000),
            (
                "too large for a duration",
                Some("timeout=99999999999999999999h"),
                10_000,
            ),
            ("another parameter that ends alike", Some("xtimeout=3s"), 10_000),
        ];
        for (name, query, milliseconds) in cases {
            let wait = longest_wait(query, &Settings::default());
            assert_eq!(wait, Duration::from_millis(milliseconds), "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_query_panics_or_waits_longer_than_allowed(query in ".*") {
            let settings = Settings::default();
            prop_assert!(longest_wait(Some(&query), &settings) <= settings.wait_longest);
        }
    }
}
