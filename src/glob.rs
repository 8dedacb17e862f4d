//! The one meaning of `*` in Pullkey.
//!
//! In: a pattern in which every `*` stands for any run of characters, also none, and a text. Out: whether the pattern
//! covers the whole text. There is no other special character, and case counts. What a `*` may not cross (a dot of a
//! registry host, say) is decided by whoever cuts the text into pieces first.

/// Whether `pattern` covers all of `text`. Takes time proportional to the product of the lengths at worst, and no memory.
///
/// ```
/// assert!(pullkey::glob::matches("team-*", "team-"));
/// assert!(!pullkey::glob::matches("team-*", "a-team-b"));
/// ```
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let Some((prefix, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(prefix) else {
        return false;
    };
    let (middle, suffix) = rest.rsplit_once('*').unwrap_or(("", rest));
    // The first place where each middle piece fits leaves the most text for the pieces after it.
    for piece in middle.split('*') {
        match text.split_once(piece) {
            _ if piece.is_empty() => {}
            Some((_, after)) => text = after,
            None => return false,
        }
    }
    text.ends_with(suffix)
}

/// Whether there is a text that both patterns cover.
///
/// ```
/// assert!(pullkey::glob::meet("team-*", "*-prod"));
/// assert!(!pullkey::glob::meet("team-*", "ops-*"));
/// ```
#[must_use]
pub fn meet(one: &str, other: &str) -> bool {
    let ends = |pattern: &'_ str| {
        let (prefix, _) = pattern.split_once('*')?;
        let (_, suffix) = pattern.rsplit_once('*')?;
        Some((prefix.len(), suffix.len()))
    };
    let (Some((prefix, suffix)), Some((other_prefix, other_suffix))) = (ends(one), ends(other)) else {
        return matches(one, other) || matches(other, one);
    };
    // Only the ends can differ: a star of each pattern takes whatever the other wants in between.
    let begin_alike = one.bytes().zip(other.bytes()).take(prefix.min(other_prefix));
    let end_alike = one
        .bytes()
        .rev()
        .zip(other.bytes().rev())
        .take(suffix.min(other_suffix));
    begin_alike.chain(end_alike).all(|(one, other)| one == other)
}

#[cfg(test)]
mod tests {
    use super::{matches, meet};
    use proptest::prelude::*;

    #[test]
    fn a_star_is_any_run() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "a.b", true),
            ("a", "a", true),
            ("a", "A", false),
            ("a*", "a", true),
            ("*a", "ba", true),
            ("*a", "ab", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a**a", "aba", true),
            ("*a*", "bab", true),
            ("*ab*ab", "abab", true),
            ("*ab*ab", "ab", false),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "aXcYb", false),
            ("a?c", "abc", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} on {text}");
        }
    }

    /// The textbook definition, exponential and obviously right.
    fn definition(pattern: &[char], text: &[char]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            (['*', rest @ ..], _) => (0..=text.len()).any(|taken| definition(rest, &text[taken..])),
            ([p, pattern @ ..], [t, text @ ..]) if p == t => definition(pattern, text),
            _ => false,
        }
    }

    #[test]
    fn patterns_meet_where_some_text_fits_both() {
        for (one, other, expected) in [
            ("", "", true),
            ("a", "a", true),
            ("a", "b", false),
            ("a*", "a", true),
            ("a*", "ba", false),
            ("*", "", true),
            ("team-*", "team-a-*", true),
            ("team-*", "ops-*", false),
            ("*-prod", "*-dev", false),
            ("*-prod", "team-*", true),
            ("a*b", "a*c", false),
            ("a*b*c", "a*d*c", true),
            ("a*a", "a", false),
        ] {
            assert_eq!(meet(one, other), expected, "{one} and {other}");
            assert_eq!(meet(other, one), expected, "{other} and {one}");
        }
    }

    /// All texts of `a` and `b` of at most so many characters.
    fn texts(most: usize) -> Vec<String> {
        let mut texts = vec![String::new()];
        let mut shorter = 0;
        while texts[shorter].len() < most {
            let text = texts[shorter].clone();
            texts.extend(["a", "b"].map(|character| format!("{text}{character}")));
            shorter += 1;
        }
        texts
    }

    proptest! {
        // A text for both need never be longer than both patterns together.
        #[test]
        fn meeting_agrees_with_its_definition(one in "[ab*]{0,4}", other in "[ab*]{0,4}") {
            let is_met = texts(8).iter().any(|text| matches(&one, text) && matches(&other, text));
            prop_assert_eq!(meet(&one, &other), is_met);
        }

        #[test]
        fn agrees_with_its_definition(pattern in "[ab*]{0,8}", text in "[ab]{0,8}") {
            let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(matches(&pattern, &text), definition(&p, &t));
        }
    }
}
