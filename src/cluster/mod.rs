//! The cluster as the webhook knows it: rules, namespaces and service accounts, by watch.
//!
//! ```text
//!   API server ─► watch ─► events ─► rules, namespaces, service accounts ─► snapshot ─► decider
//!                                      ▲
//!                   rules files ───────┘
//! ```
//!
//! In: what the API server lists and reports. Out: one immutable [`Snapshot`] after another, the first of them once every
//! list is complete. One bad object never stands in the way of the others, and what was known stays known while the API
//! server cannot be reached. `watch` and `follow` talk to the API server; everything else is told what happened and when.
//! Commands that only want to know how things stand take a `look` instead.

mod again;
mod call;
pub mod crowd;
mod event;
pub mod follow;
mod list;
pub mod look;
pub mod matches;
#[cfg(test)]
mod mock;
pub mod namespaces;
pub mod rules;
pub mod service_accounts;
pub mod snapshot;
mod state;
pub mod watch;

pub use event::{Bad, Event, Key, Trouble};
pub use snapshot::Snapshot;

/// Why there is no list of something of which nothing else is known.
pub(crate) const NOT_YET: &str = "it has not been listed yet";
