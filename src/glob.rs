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

#[cfg(test)]
mod tests {
    use super::matches;
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

    proptest! {
        #[test]
        fn agrees_with_its_definition(pattern in "[ab*]{0,8}", text in "[ab]{0,8}") {
            let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(matches(&pattern, &text), definition(&p, &t));
        }
    }
}
