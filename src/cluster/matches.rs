//! What a webhook tells the controller: when its rules last matched.
//!
//! JSON, the uid of a rule object to the beginning of the hour: `{"0c0ffee0-…": "2026-11-22T10:00:00Z"}`. No name of a
//! rule, a namespace or an image is in it, and rules that never matched are not.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;

use crate::rules::{Hour, Rule};

/// Where a webhook tells it, on its port for probes and metrics.
pub const PATH: &str = "/matches";

/// What there is to tell of these rules.
#[must_use]
pub fn tell(rules: &[Arc<Rule>]) -> Vec<u8> {
    let told: BTreeMap<&str, Timestamp> = rules
        .iter()
        .filter_map(|rule| {
            let last_match = rule.last_match.as_ref()?;
            Some((last_match.uid(), time(last_match.hour()?)?))
        })
        .collect();
    serde_json::to_vec(&told).unwrap_or_default()
}

/// What was told; `None` if it is something else.
#[must_use]
pub fn read(told: &[u8]) -> Option<BTreeMap<Box<str>, Hour>> {
    let told: BTreeMap<Box<str>, Timestamp> = serde_json::from_slice(told).ok()?;
    told.into_iter().map(|(uid, time)| Some((uid, hour(time)?))).collect()
}

/// The beginning of an hour, if the calendar has it.
#[must_use]
pub fn time(hour: Hour) -> Option<Timestamp> {
    Timestamp::from_second(i64::try_from(hour.begins()).ok()?).ok()
}

/// The hour of a time, if it is one since 1970.
#[must_use]
pub fn hour(time: Timestamp) -> Option<Hour> {
    u64::try_from(time.as_second()).ok().map(Hour::of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_read() {
        for (told, expected) in [
            (r#"{"a": "2026-11-22T10:00:00Z"}"#, Some(1_795_341_600)),
            (r#"{"a": "2026-11-22T12:59:59+02:00"}"#, Some(1_795_341_600)),
            (r#"{"a": "1969-12-31T23:59:59Z"}"#, None),
            (r#"{"a": 5}"#, None),
            ("[]", None),
            ("", None),
        ] {
            let read = read(told.as_bytes()).map(|read| read["a"].begins());
            assert_eq!(read, expected, "{told}");
        }
        assert_eq!(read(b"{}"), Some(BTreeMap::new()));
    }
}
