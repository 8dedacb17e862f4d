//! Durations as Go writes them: `15s`, `500ms`, `1m30s`, `1.5h`.
//!
//! In: text, from a command line or from the `?timeout=` of an admission call. Out: a [`Duration`]. Refuses what Go's
//! `time.ParseDuration` refuses, and a sign besides: nothing here waits for a negative time.

use std::time::Duration;

/// Why a text is no duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected numbers with a unit of `ns`, `us`, `ms`, `s`, `m` or `h`, such as `15s` or `1m30s`")]
pub struct InvalidDuration;

/// Reads `text`, whose parts add up; `0` needs no unit. Digits below a nanosecond are dropped.
///
/// ```
/// use pullkey::duration;
/// use std::time::Duration;
///
/// assert_eq!(duration::parse("1m30s"), Ok(Duration::from_secs(90)));
/// assert!(duration::parse("15").is_err());
/// ```
pub fn parse(text: &str) -> Result<Duration, InvalidDuration> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    loop {
        let (part, after) = part(rest).ok_or(InvalidDuration)?;
        total = total.checked_add(part).ok_or(InvalidDuration)?;
        if after.is_empty() {
            return Ok(total);
        }
        rest = after;
    }
}

/// The first number with its unit, and what follows it.
fn part(text: &str) -> Option<(Duration, &str)> {
    let (number, rest) = split(text, |character| character.is_ascii_digit() || character == '.');
    let (unit, rest) = split(rest, |character| !character.is_ascii_digit() && character != '.');
    let unit: u64 = match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut nanoseconds = whole.checked_mul(unit)?;
    let mut scale = unit;
    for digit in fraction.chars().filter_map(|character| character.to_digit(10)) {
        scale /= 10;
        nanoseconds = nanoseconds.checked_add(u64::from(digit) * scale)?;
    }
    Some((Duration::from_nanos(nanoseconds), rest))
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|character| !belongs(character)).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_go_reads_them() {
        for (text, nanoseconds) in [
            ("0", 0),
            ("0s", 0),
            ("15s", 15_000_000_000),
            ("500ms", 500_000_000),
            ("1m30s", 90_000_000_000),
            ("1.5h", 5_400_000_000_000),
            (".5s", 500_000_000),
            ("5.s", 5_000_000_000),
            ("3us", 3_000),
            ("3µs", 3_000),
            ("7ns", 7),
            ("1s1s", 2_000_000_000),
            ("0.0000000001s", 0),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_nanos(nanoseconds)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "15",
            "s",
            ".s",
            "-1s",
            "+1s",
            "1 s",
            "1d",
            "1S",
            "1..5s",
            "1.2.3s",
            "9223372036h99s",
            "1s ",
        ] {
            assert_eq!(parse(text), Err(InvalidDuration), "{text}");
        }
    }
}
