//! Copies of pull secrets: what should be where, what is there, and what to do about the difference.
//!
//! In: rules, sources, namespaces and copies as their watches tell them, the answers of the API server, and the clock,
//! given as an argument. Out: one [`Task`](plan::Task) after the other, the most urgent first, and what to say about it
//! in statuses and events. Nothing here writes, reads or waits but `live`, which does what the rest decides.
//!
//! ```text
//!   Secret ─► source ───────────┐                    answer ─► refusal ─► patience
//!   rule ───► desired: claims ──┼─► plan: Planner ◄─────────────────────────┘
//!   namespace ──────────────────┤     │    │   └──► status ─► conditions, counts; event
//!   copy ───► ownership ────────┘     ▼    └──────► removal: how many an hour
//!                                    Task ─► copy: the object that is applied
//! ```
//!
//! Desired state is keyed by the copy's namespace and name and worked out anew, from what is known at that moment,
//! whenever one of them may have changed. So any number of changes costs one write, and what is left to do after a
//! restart is found as it would have been before. A full pass is only the proof that nothing was missed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub mod copy;
mod desired;
pub mod event;
pub mod identity;
mod intern;
#[cfg(feature = "cluster")]
pub mod live;
pub mod names;
pub mod ownership;
mod patience;
mod pending;
mod place;
pub mod plan;
pub mod refusal;
mod removal;
pub mod source;
pub mod status;

/// The name under which copies are applied. By it, and nothing else, a copy is known to be ours.
pub const FIELD_MANAGER: &str = "pullkey";
/// The label that copies are found by.
pub const COPY_LABEL: (&str, &str) = ("pullkey.dev/copy", "true");
/// The label by which the owner of a Secret hands it over.
pub const ADOPT_LABEL: (&str, &str) = ("pullkey.dev/adopt", "true");
/// Says on a copy which Secret it was made of: `namespace/name`.
pub const SOURCE_ANNOTATION: &str = "pullkey.dev/source";
/// Says on a copy which version of that Secret it holds: `uid/resourceVersion`.
pub const VERSION_ANNOTATION: &str = "pullkey.dev/source-version";

/// A point in time, as far as any fixed one before. It never goes back, so it has nothing to do with the date.
pub type Moment = Duration;

/// A point in time for people and between processes, as the API server writes it: RFC 3339, UTC, whole seconds. Hence
/// in order as text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Timestamp(Box<str>);

/// Where a copy is or should be.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// The namespace.
    pub namespace: Arc<str>,
    /// The Secret's name.
    pub name: Arc<str>,
}

impl Timestamp {
    /// Takes a time as the API server writes it.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The time as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.namespace, self.name)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}

#[cfg(test)]
mod tests;
