//! Docker configs as Go's `encoding/json` reads them.
//!
//! In: bytes. Out: values known by their kind, objects as members in order with every duplicate, and everything that
//! nobody asks for only checked to be JSON, without recursion. What is no UTF-8 becomes U+FFFD, as do lone surrogates.

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// How many objects and arrays may lie in one another.
pub(super) const DEEPEST: usize = 10_000;

/// What a name in an object stands for, and its value.
pub(super) type Member<'t> = (String, &'t RawValue);

/// The one value that `text` is.
pub(super) fn parse(text: &str) -> Result<&RawValue, serde_json::Error> {
    serde_json::from_str(text)
}

/// Whether a value is nested deeper than Go reads.
pub(super) fn is_too_deep(value: &RawValue) -> bool {
    let (mut depth, mut in_string, mut is_escaped) = (0_usize, false, false);
    value.get().bytes().any(|byte| {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth -= 1,
            _ => {}
        }
        depth > DEEPEST
    })
}

pub(super) fn is_null(value: &RawValue) -> bool {
    value.get() == "null"
}

/// The text of a string.
pub(super) fn as_string(value: &RawValue) -> Option<String> {
    serde_json::from_str::<Text>(value.get()).map(|Text(text)| text).ok()
}

/// The members of an object.
pub(super) fn as_object(value: &RawValue) -> Option<Vec<Member<'_>>> {
    serde_json::from_str::<Members<'_>>(value.get())
        .map(|Members(members)| members)
        .ok()
}

/// Whether a member's name means the field: case does not count, and to Go `ſ` is an `s`.
pub(super) fn names(name: &str, field: &str) -> bool {
    let fold = |character: char| {
        if character == 'ſ' {
            's'
        } else {
            character.to_ascii_lowercase()
        }
    };
    name.chars().map(fold).eq(field.chars().map(fold))
}

struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl Visitor<'_> for TextVisitor {
            type Value = Text;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Text, E> {
                Ok(Text(String::from_utf8_lossy(bytes).into_owned()))
            }
        }
        // As bytes, since a lone surrogate is an error in anything else.
        deserializer.deserialize_bytes(TextVisitor)
    }
}

struct Members<'t>(Vec<Member<'t>>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some((Text(name), value)) = map.next_entry()? {
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}
