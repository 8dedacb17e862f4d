//! Why the kubelet refuses a docker config.
//!
//! A closed list of places and kinds. Nothing here holds a value, or what a library said about one; an entry is named
//! by its key without user info, or by its number.

use super::json;
use std::fmt;

/// Why the kubelet refuses a config: where it is wrong, and how.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place} {kind}")]
pub struct Malformed {
    /// Where.
    pub place: Place,
    /// How.
    pub kind: MalformedKind,
}

/// A place in a docker config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// All of it.
    Config,
    /// The object of entries.
    Auths,
    /// The HTTP headers, which the kubelet decodes and does not use.
    HttpHeaders,
    /// One of these headers.
    HttpHeader,
    /// An entry.
    Entry(EntryName),
    /// A field of an entry.
    Field(EntryName, Field),
}

/// Which entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryName {
    /// Its key, as [`Key::spelled`](super::Key::spelled).
    Key(String),
    /// Where it stands in its object, from 1, since its key is none that the kubelet can use.
    Number(usize),
}

/// The fields of an entry that the kubelet decodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// `username`
    Username,
    /// `password`
    Password,
    /// `email`
    Email,
    /// `auth`
    Auth,
}

/// What can be wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MalformedKind {
    /// Both numbers from 1, the column in bytes.
    #[error("is not JSON at line {line}, column {column}")]
    NotJson {
        /// The line.
        line: usize,
        /// The byte of the line.
        column: usize,
    },
    /// Objects and arrays lie too deep in one another.
    #[error("is nested deeper than {}", json::DEEPEST)]
    TooDeep,
    /// A value of another type.
    #[error("is not an object")]
    NotAnObject,
    /// A value of another type.
    #[error("is not a string")]
    NotAString,
    /// With all of its padding or none, and no white space but line breaks.
    #[error("is not base64")]
    NotBase64,
    /// Nothing tells where the username ends.
    #[error("is not base64 of `username:password`")]
    NoColon,
}

impl Field {
    pub(super) const ALL: [Self; 4] = [Self::Username, Self::Password, Self::Email, Self::Auth];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Username => "username",
            Self::Password => "password",
            Self::Email => "email",
            Self::Auth => "auth",
        }
    }
}

impl Malformed {
    pub(super) fn new(place: Place, kind: MalformedKind) -> Self {
        Self { place, kind }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config => formatter.write_str("the docker config"),
            Self::Auths => formatter.write_str("`auths`"),
            Self::HttpHeaders => formatter.write_str("`HttpHeaders`"),
            Self::HttpHeader => formatter.write_str("a value of `HttpHeaders`"),
            Self::Entry(entry) => entry.fmt(formatter),
            Self::Field(entry, field) => write!(formatter, "`{}` of {entry}", field.as_str()),
        }
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => write!(formatter, "the entry `{key}`"),
            Self::Number(number) => write!(formatter, "entry {number}"),
        }
    }
}
