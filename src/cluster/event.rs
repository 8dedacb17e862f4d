//! What a watch tells whoever keeps its objects.

use std::fmt;

use crate::metrics::WatchFailure;

/// Something about the objects that are watched, read as `T`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<T> {
    /// These are all objects there are: what is known of others is forgotten. A watch that tells lists in parts has told
    /// them before.
    Listed {
        /// Those that can be used.
        objects: Vec<(Key, T)>,
        /// Those that cannot.
        bad: Vec<Bad>,
    },
    /// The object is new or was changed.
    Applied(Key, T),
    /// The object is gone, or is no longer one that is looked for; with it, if it can be read, as it was in the end.
    Deleted(Key, Option<T>),
    /// The object is new or was changed, and cannot be used.
    Bad(Bad),
    /// Nothing was heard. What is known stays known, and the watch tries again by itself.
    Trouble(Trouble),
}

/// Where an object is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Its namespace; empty if it is in none.
    pub namespace: Box<str>,
    /// Its name.
    pub name: Box<str>,
}

/// An object that is passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bad {
    /// Which.
    pub key: Key,
    /// What is wrong with it.
    pub why: String,
}

/// Why a watch heard nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Trouble {
    /// Its class.
    pub failure: WatchFailure,
    /// The whole story, in one line.
    pub message: String,
}

impl<T> Event<T> {
    /// What became of a list, if it is about that: a complete one, or none yet.
    pub(super) fn listing(&self) -> Option<Result<(), &Trouble>> {
        match self {
            Self::Listed { .. } => Some(Ok(())),
            Self::Trouble(trouble) => Some(Err(trouble)),
            Self::Applied(..) | Self::Deleted(..) | Self::Bad(_) => None,
        }
    }
}

impl Key {
    /// An object in a namespace, or in none if that is empty.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

/// `namespace/name`, or the name alone.
impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.namespace.is_empty() {
            write!(formatter, "{}/", self.namespace)?;
        }
        formatter.write_str(&self.name)
    }
}
