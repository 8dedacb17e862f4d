//! Certificates: made, judged, read from files, and read again when the files change.
//!
//! In: names, PEM files and the instant. Out: a CA with a serving certificate as files, and a [`rustls::ServerConfig`]
//! that is swapped when its files change. Refuses any knowledge of who serves with it: the server takes the swapped
//! configuration, a command wires the two. No error and no `Debug` output here holds key material.
//!
//! ```text
//!   make ─► files          load ─► judge ─► ServerConfig ◄─ watch, every few seconds and on demand
//! ```

pub mod bundle;
pub mod files;
#[cfg(test)]
mod fixtures;
pub mod judge;
pub mod load;
pub mod make;
pub mod trust;
pub mod watch;

use std::time::SystemTime;
use x509_cert::der::DateTime;

/// An instant as people and logs read it: RFC 3339, in UTC, whole seconds.
#[must_use]
pub fn rfc3339(instant: SystemTime) -> String {
    DateTime::from_system_time(instant).map_or_else(|_| "after the year 9999".to_owned(), |instant| instant.to_string())
}
