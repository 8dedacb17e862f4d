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
    rest: &'a [u8],
    depth: usize,
}

impl<'a> Json<'a> {
    /// A cursor at the beginning of `text`.
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            rest: text.as_bytes(),
            depth: 0,
        }
    }

    /// How many bytes lie behind the cursor.
    pub(super) fn offset(&self) -> usize {
        self.text.len() - self.rest.len()
    }

    /// The first byte of the next token, white space passed. It tells a value's kind.
    #[inline]
    pub(super) fn peek(&mut self) -> Read<u8> {
        loop {
            match self.rest {
                [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] => self.rest = rest,
                [byte, ..] => return Ok(*byte),
                [] => return Err(Broken::Syntax),
            }
        }
    }

    /// Makes sure that nothing but white space is left.
    pub(super) fn end(&mut self) -> Read<()> {
        match self.peek() {
            Ok(_) => Err(Broken::Syntax),
            Err(_) => Ok(()),
        }
    }

    /// Reads an object: `member` gets each key and must pass the value, which the cursor stands before.
    pub(super) fn members(&mut self, mut member: impl FnMut(&mut Self, &str) -> Read<()>) -> Read<()> {
        self.open(b'{')?;
        if self.peek()? != b'}' {
            loop {
                let key = self.string()?;
                self.token(b':')?;
                member(self, &key)?;
                if self.peek()? != b',' {
                    break;
                }
                self.token(b',')?;
            }
        }
        self.close(b'}')
    }

    /// Reads an array: `element` gets each position, from 0, and must pass the value, which the cursor stands before.
    pub(super) fn elements(&mut self, mut element: impl FnMut(&mut Self, usize) -> Read<()>) -> Read<()> {
        self.open(b'[')?;
        if self.peek()? != b']' {
            for index in 0.. {
                element(self, index)?;
                if self.peek()? != b',' {
                    break;
                }
                self.token(b',')?;
            }
        }
        self.close(b']')
    }

    /// Reads a string.
    pub(super) fn string(&mut self) -> Read<Cow<'a, str>> {
        self.peek()?;
        let start = self.offset();
        let escaped = self.pass_string()?;
        let end = self.offset();
        let string = if escaped {
            self.text
                .get(start..end)
                .and_then(|quoted| serde_json::from_str(quoted).ok())
                .map(Cow::Owned)
        } else {
            self.text.get(start + 1..end - 1).map(Cow::Borrowed)
        };
        string.ok_or(Broken::Syntax)
    }

    /// Passes a value of any kind, and checks every byte of it.
    pub(super) fn skip(&mut self) -> Read<()> {
        let outside = self.depth;
        // The lowest bit tells whether the innermost level is an object, the next one the level around it.
        let mut objects = 0_u128;
        loop {
            match self.peek()? {
                b'"' => {
                    self.pass_string()?;
                }
                b'{' => {
                    self.open(b'{')?;
                    objects = objects << 1 | 1;
                    if self.peek()? != b'}' {
                        self.pass_key()?;
                        continue;
                    }
                }
                b'[' => {
                    self.open(b'[')?;
                    objects <<= 1;
                    if self.peek()? != b']' {
                        continue;
                    }
                }
                b't' => self.word(b"true")?,
                b'f' => self.word(b"false")?,
                b'n' => self.word(b"null")?,
                _ => self.pass_number()?,
            }
            loop {
                if self.depth == outside {
                    return Ok(());
                }
                let in_object = objects & 1 == 1;
                if self.peek()? == b',' {
                    self.token(b',')?;
                    if in_object {
                        self.pass_key()?;
                    }
                    break;
                }
                self.close(if in_object { b'}' } else { b']' })?;
                objects >>= 1;
            }
        }
    }

    fn open(&mut self, bracket: u8) -> Read<()> {
        if self.depth == DEEPEST {
            return Err(Broken::Depth);
        }
        self.token(bracket)?;
        self.depth += 1;
        Ok(())
    }

    fn close(&mut self, bracket: u8) -> Read<()> {
        self.token(bracket)?;
        self.depth -= 1;
        Ok(())
    }

    #[inline]
    fn token(&mut self, token: u8) -> Read<()> {
        self.peek()?;
        if self.eat(token) { Ok(()) } else { Err(Broken::Syntax) }
    }

    #[inline]
    fn eat(&mut self, wanted: u8) -> bool {
        match self.rest {
            [byte, rest @ ..] if *byte == wanted => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    fn word(&mut self, word: &[u8]) -> Read<()> {
        self.rest = self.rest.strip_prefix(word).ok_or(Broken::Syntax)?;
        Ok(())
    }

    #[inline]
    fn pass_key(&mut self) -> Read<()> {
        self.peek()?;
        self.pass_string()?;
        self.token(b':')
    }

    /// Passes a string and tells whether there are escapes in it.
    #[inline]
    fn pass_string(&mut self) -> Read<bool> {
        if !self.eat(b'"') {
            return Err(Broken::Syntax);
        }
        let mut escaped = false;
        loop {
            self.pass_plain();
            match self.rest {
                [b'"', rest @ ..] => {
                    self.rest = rest;
                    return Ok(escaped);
                }
                [b'\\', rest @ ..] => {
                    self.rest = pass_escape(rest)?;
                    escaped = true;
                }
                _ => return Err(Broken::Syntax),
            }
        }
    }

    /// Passes what stands for itself in a string: all but quotes, backslashes and control characters.
    #[inline]
    fn pass_plain(&mut self) {
        while let Some((chunk, rest)) = self.rest.split_first_chunk() {
            let bytes = u8x16::new(*chunk);
            let special = bytes.simd_eq(u8x16::splat(b'"'))
                | bytes.simd_eq(u8x16::splat(b'\\'))
                | bytes.simd_eq(bytes.min(u8x16::splat(0x1F)));
            match special.to_bitmask() {
                0 => self.rest = rest,
                mask => {
                    self.rest = self.rest.get(mask.trailing_zeros() as usize..).unwrap_or_default();
                    return;
                }
            }
        }
        while let [byte, rest @ ..] = self.rest {
            if matches!(byte, b'"' | b'\\' | ..=0x1F) {
                return;
            }
            self.rest = rest;
        }
    }

    fn pass_number(&mut self) -> Read<()> {
        self.eat(b'-');
        if !self.eat(b'0') {
            self.pass_digits()?;
        }
        if self.eat(b'.') {
            self.pass_digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _signed = self.eat(b'+') || self.eat(b'-');
            self.pass_digits()?;
        }
        Ok(())
    }

    fn pass_digits(&mut self) -> Read<()> {
        let [b'0'..=b'9', ..] = self.rest else {
            return Err(Broken::Syntax);
        };
        while let [b'0'..=b'9', rest @ ..] = self.rest {
            self.rest = rest;
        }
        Ok(())
    }
}

/// What follows an escape, given what follows its backslash.
fn pass_escape(escape: &[u8]) -> Read<&[u8]> {
    match escape {
        [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', rest @ ..] => Ok(rest),
        [b'u', rest @ ..] => match pass_hex(rest)? {
            (0xD800..=0xDBFF, [b'\\', b'u', rest @ ..]) => match pass_hex(rest)? {
                (0xDC00..=0xDFFF, rest) => Ok(rest),
                _ => Err(Broken::Syntax),
            },
            (0xD800..=0xDFFF, _) => Err(Broken::Syntax),
            (_, rest) => Ok(rest),
        },
        _ => Err(Broken::Syntax),
    }
}

/// The number of four hex digits, and what follows them.
fn pass_hex(text: &[u8]) -> Read<(u32, &[u8])> {
    let (digits, rest) = text.split_first_chunk::<4>().ok_or(Broken::Syntax)?;
    let unit = digits
        .iter()
        .try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)?));
    Ok((unit.ok_or(Broken::Syntax)?, rest))
}
