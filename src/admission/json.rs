//! A cursor over JSON text, made for documents of which little is wanted.
//!
//! In: text that is UTF-8. Out: the strings, members and elements that the caller asks for, borrowed where they hold no
//! escapes. Everything else is stepped over, sixteen bytes at a time within strings, and yet checked in full against
//! RFC 8259: what this cursor has passed is JSON, nests at most [`DEEPEST`] levels and holds no half of a surrogate
//! pair. Numbers are only looked at for their grammar: they may be out of every range.
//!
//! Time and memory are linear in the text, whatever it is. Only the caller's own calls nest; stepping over a value
//! keeps one bit a level.

use std::borrow::Cow;

use wide::u8x16;

use super::review::DEEPEST;

/// Why the text cannot be read on; the cursor stays where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// No JSON from here on.
    Syntax,
    /// One level more than [`DEEPEST`] opens here.
    Depth,
}

/// What a step over the text gives.
pub(super) type Read<T> = Result<T, Broken>;

/// The cursor. After an error it is of use only to tell the place.
pub(super) struct Json<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Json<'a> {
    /// A cursor at the beginning of `text`.
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, depth: 0 }
    }

    /// How many bytes lie behind the cursor.
    pub(super) fn offset(&self) -> usize {
        self.at
    }

    /// The first byte of the next token, which tells its kind, white space passed; 0, as for no token, at the end.
    pub(super) fn peek(&mut self) -> u8 {
        next(self.text.as_bytes(), &mut self.at)
    }

    /// Makes sure that nothing but white space is left.
    pub(super) fn end(&mut self) -> Read<()> {
        self.peek();
        if self.at == self.text.len() {
            Ok(())
        } else {
            Err(Broken::Syntax)
        }
    }

    /// Reads an object: `member` gets each key and must pass the value, which the cursor stands before.
    pub(super) fn members(&mut self, mut member: impl FnMut(&mut Self, &str) -> Read<()>) -> Read<()> {
        self.between(b'{', b'}', |json, _| {
            let key = json.string()?;
            json.token(b':')?;
            member(json, &key)
        })
    }

    /// Reads an array: `element` gets each position, from 0, and must pass the value, which the cursor stands before.
    pub(super) fn elements(&mut self, element: impl FnMut(&mut Self, usize) -> Read<()>) -> Read<()> {
        self.between(b'[', b']', element)
    }

    fn between(&mut self, open: u8, close: u8, mut item: impl FnMut(&mut Self, usize) -> Read<()>) -> Read<()> {
        if self.depth == DEEPEST {
            return Err(Broken::Depth);
        }
        self.depth += 1;
        self.token(open)?;
        if self.peek() != close {
            for index in 0.. {
                item(self, index)?;
                if self.peek() == close {
                    break;
                }
                self.token(b',')?;
            }
        }
        self.depth -= 1;
        self.token(close)
    }

    fn token(&mut self, token: u8) -> Read<()> {
        if self.peek() != token {
            return Err(Broken::Syntax);
        }
        self.at += 1;
        Ok(())
    }

    /// Reads a string.
    pub(super) fn string(&mut self) -> Read<Cow<'a, str>> {
        if self.peek() != b'"' {
            return Err(Broken::Syntax);
        }
        let (bytes, start) = (self.text.as_bytes(), self.at + 1);
        let end = plain(bytes, start);
        if bytes.get(end) == Some(&b'"') {
            self.at = end + 1;
            return self.text.get(start..end).map(Cow::Borrowed).ok_or(Broken::Syntax);
        }
        let end = string(bytes, end).ok_or(Broken::Syntax)?;
        let quoted = self.text.get(self.at..end).unwrap_or_default();
        self.at = end;
        serde_json::from_str(quoted).map(Cow::Owned).map_err(|_| Broken::Syntax)
    }

    /// Passes a value of any kind, and checks every byte of it.
    pub(super) fn skip(&mut self) -> Read<()> {
        // A copy stays in registers.
        let mut at = self.at;
        let outcome = value(self.text.as_bytes(), &mut at, DEEPEST - self.depth);
        self.at = at;
        outcome
    }
}

/// Passes the value that begins `at` and may open so many levels.
#[inline]
fn value(text: &[u8], at: &mut usize, levels: usize) -> Read<()> {
    let mut depth = 0;
    // The lowest bit tells whether the innermost level is an object, the next one the level around it.
    let mut objects = 0_u128;
    loop {
        if objects & 1 == 1 {
            *at = key(text, *at).ok_or(Broken::Syntax)?;
        }
        let end = match next(text, at) {
            b'"' => string(text, *at + 1),
            b'{' | b'[' if depth == levels => return Err(Broken::Depth),
            b'{' => {
                depth += 1;
                objects = objects << 1 | 1;
                *at += 1;
                if next(text, at) != b'}' {
                    continue;
                }
                Some(*at)
            }
            b'[' => {
                depth += 1;
                objects <<= 1;
                *at += 1;
                if next(text, at) != b']' {
                    continue;
                }
                Some(*at)
            }
            b't' => word(text, *at, b"true"),
            b'f' => word(text, *at, b"false"),
            b'n' => word(text, *at, b"null"),
            _ => number(text, *at),
        };
        *at = end.ok_or(Broken::Syntax)?;
        while depth > 0 {
            let close = if objects & 1 == 1 { b'}' } else { b']' };
            match next(text, at) {
                b',' => {
                    *at += 1;
                    break;
                }
                byte if byte == close => {
                    *at += 1;
                    depth -= 1;
                    objects >>= 1;
                }
                _ => return Err(Broken::Syntax),
            }
        }
        if depth == 0 {
            return Ok(());
        }
    }
}

/// The first byte that is no white space, and moves there; 0 at the end, where no token begins either.
#[inline]
fn next(text: &[u8], at: &mut usize) -> u8 {
    let byte = text.get(*at).copied().unwrap_or(0);
    if byte > b' ' {
        return byte;
    }
    *at = space(text, *at);
    text.get(*at).copied().unwrap_or(0)
}

// Each of these takes where something begins, and returns where it ends; `None` if it is no such thing.

/// White space, if there is any: the API server sends none.
#[cold]
fn space(text: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t' | b'\n' | b'\r') = text.get(at) {
        at += 1;
    }
    at
}

/// A key, with the colon behind it.
#[inline]
fn key(text: &[u8], mut at: usize) -> Option<usize> {
    if next(text, &mut at) != b'"' {
        return None;
    }
    at = string(text, at + 1)?;
    (next(text, &mut at) == b':').then_some(at + 1)
}

/// The rest of a string, given what follows its opening quote.
#[inline]
fn string(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at = plain(text, at);
        match text.get(at) {
            Some(b'"') => return Some(at + 1),
            // JSON within JSON, as in an annotation, is full of these.
            Some(b'\\') if text.get(at + 1) == Some(&b'"') => at += 2,
            Some(b'\\') => at = escape(text, at + 1)?,
            _ => return None,
        }
    }
}

/// What stands for itself in a string: all but quotes, backslashes and control characters.
#[inline]
fn plain(text: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = text.get(at..at + 16).and_then(|bytes| bytes.first_chunk()) {
        let bytes = u8x16::new(*chunk);
        let special = bytes.simd_eq(u8x16::splat(b'"'))
            | bytes.simd_eq(u8x16::splat(b'\\'))
            | bytes.simd_eq(bytes.min(u8x16::splat(0x1F)));
        match special.to_bitmask() {
            0 => at += 16,
            mask => return at + mask.trailing_zeros() as usize,
        }
    }
    while let Some(b' '..=b'!' | b'#'..=b'[' | b']'..) = text.get(at) {
        at += 1;
    }
    at
}

/// The rest of an escape, given what follows its backslash, or of two that are a surrogate pair. Out of line, so that
/// the loop around it stays small enough to be in line.
#[inline(never)]
fn escape(text: &[u8], at: usize) -> Option<usize> {
    match text.get(at)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(at + 1),
        b'u' => match code_unit(text, at + 1)? {
            0xD800..=0xDBFF if text.get(at + 5..at + 7)? == b"\\u" => {
                matches!(code_unit(text, at + 7)?, 0xDC00..=0xDFFF).then_some(at + 11)
            }
            0xD800..=0xDFFF => None,
            _ => Some(at + 5),
        },
        _ => None,
    }
}

/// The number that four hex digits are.
fn code_unit(text: &[u8], at: usize) -> Option<u32> {
    let digits = text.get(at..at + 4)?;
    digits
        .iter()
        .try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)?))
}

fn word(text: &[u8], at: usize, word: &[u8]) -> Option<usize> {
    text.get(at..)?.starts_with(word).then_some(at + word.len())
}

fn number(text: &[u8], mut at: usize) -> Option<usize> {
    let is = |at: usize, wanted: &[u8]| text.get(at).is_some_and(|byte| wanted.contains(byte));
    at += usize::from(is(at, b"-"));
    at = if is(at, b"0") { at + 1 } else { digits(text, at)? };
    if is(at, b".") {
        at = digits(text, at + 1)?;
    }
    if is(at, b"eE") {
        at += 1;
        at = digits(text, at + usize::from(is(at, b"+-")))?;
    }
    Some(at)
}

fn digits(text: &[u8], at: usize) -> Option<usize> {
    let count = text.get(at..)?.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (count > 0).then_some(at + count)
}

#[cfg(test)]
mod tests {
    use super::{Broken, Json, Read};

    fn enter(json: &mut Json<'_>) -> Read<()> {
        json.elements(|json, _| if json.peek() == b'[' { enter(json) } else { json.skip() })
    }

    #[test]
    fn levels_that_the_caller_enters_count_too() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        for (levels, expected) in [(128, Ok(())), (129, Err(Broken::Depth))] {
            assert_eq!(enter(&mut Json::new(&nested(levels))), expected, "{levels}");
        }
        let skipped = |levels: usize| Json::new(&format!("[{}]", nested(levels))).elements(|json, _| json.skip());
        assert_eq!((skipped(127), skipped(128)), (Ok(()), Err(Broken::Depth)));
    }
}
