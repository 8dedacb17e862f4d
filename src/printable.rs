//! Texts of others, fit for one line of a terminal or a log.
//!
//! In: any text, such as a name in a manifest or a caller's field. Out: the same with everything escaped that is no
//! visible character or space, so that no input can draw on a terminal, turn its direction or forge a line of a log.

use std::borrow::Cow;

/// The text on one line; quotes and backslashes stay as they are, since people read them.
///
/// ```
/// use pullkey::printable::printable;
///
/// assert_eq!(printable("it's plain"), "it's plain");
/// assert_eq!(printable("red \u{1b}[31m\n"), r"red \u{1b}[31m\n");
/// ```
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_plain(character) {
            shown.push(character);
        } else {
            shown.extend(character.escape_debug());
        }
    }
    Cow::Owned(shown)
}

/// The same of the first `most` characters; `…` takes the place of the others.
#[must_use]
pub fn shortened(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        Some((end, _)) => printable(text.get(..end).unwrap_or_default()) + "…",
        None => printable(text),
    }
}

fn is_plain(character: char) -> bool {
    matches!(character, '"' | '\'' | '\\') || character.escape_debug().len() == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_seen_stays_and_nothing_can_draw() {
        for (text, shown) in [
            ("", ""),
            ("plain 'text' with \\, \" and é", "plain 'text' with \\, \" and é"),
            ("tab\t line\n return\r nul\0", "tab\\t line\\n return\\r nul\\0"),
            ("\u{1b}[2J\u{7f}\u{9b}1m", "\\u{1b}[2J\\u{7f}\\u{9b}1m"),
            ("\u{202e}right to left\u{2028}", "\\u{202e}right to left\\u{2028}"),
        ] {
            assert_eq!(printable(text), shown, "{text:?}");
        }
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        for (text, shown) in [("éé", "éé"), ("ééé", "éé…"), ("é\n\n", "é\\n…")] {
            assert_eq!(shortened(text, 2), shown, "{text:?}");
        }
    }
}
