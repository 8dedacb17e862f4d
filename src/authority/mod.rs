//! Certificates that look after themselves: what to do next so that the API server believes whatever is served.
//!
//! In: the contents of two Secrets (one of the authorities with their keys, one of the certificate that the webhook
//! serves), the `caBundle`s of the registration, what the webhook's replicas serve, and two clocks. Out: one [`Step`]
//! after the other, each a write that somebody else does. Refuses to call anybody. It remembers nothing that must not be
//! lost: a program that begins anew looks, and goes on where the last one ended.
//!
//! ```text
//!   make an authority ─► publish it beside the others ─► read back, and wait ─► sign with it ─► no replica shows a
//!   (into its Secret)    (into the registration)         (a margin)            (the leaf)      certificate of another,
//!                                                                                              for a margin: take it out
//! ```
//!
//! An authority is published before it signs and as long as something that it signed may be served. That is all there
//! is to rotation, first installation, loss of a Secret and the way here from certificates of another origin: they
//! differ in where they begin. Instants of certificates are judged by the wall clock, margins are measured by one that
//! no one can set.

mod keeper;
mod store;

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use rustls::pki_types::CertificateDer;
use zeroize::Zeroizing;

use crate::certs::judge;
use crate::certs::make::CLOCK_SKEW;

pub use crate::certs::bundle::CaBundle;
pub use crate::certs::make::Names;
pub use keeper::Keeper;

/// What is decided by whoever installs.
#[derive(Debug, Clone)]
pub struct Settings {
    names: Names,
    certificate_lifetime: Duration,
    authority_lifetime: Duration,
    margin: Duration,
}

/// Lifetimes that do not go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// A certificate that never lives, or that API servers may not hear of in time.
    #[error("a serving certificate must live longer than three margins")]
    Certificate,
    /// The last third of an authority's life must be enough to replace it and all that it signed.
    #[error("an authority must live at least three times as long as a serving certificate and the margin together")]
    Authority,
}

/// The data of a Secret. Its keys are ours, its values are never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Contents(BTreeMap<String, Zeroizing<Vec<u8>>>);

/// What there is at the moment.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// The wall clock: that of an API server, since it is the one to believe certificates.
    pub now: SystemTime,
    /// As far as any fixed point before; it never goes back.
    pub moment: Duration,
    /// The Secret of the authorities, if there is one.
    pub authorities: Option<&'a Contents>,
    /// The Secret of the serving certificate, if there is one.
    pub serving: Option<&'a Contents>,
    /// The `caBundle` of each webhook of the registration, empty where there is none; nothing if nobody is registered.
    pub bundles: &'a [Vec<u8>],
}

/// What to do next.
#[derive(Debug)]
pub enum Step {
    /// Write the Secret of the authorities.
    Keep(Contents, Change),
    /// Write the `caBundle` of every webhook.
    Publish(CaBundle),
    /// Write the Secret of the serving certificate.
    Serve(Contents),
    /// Nothing until something changes or time goes by.
    Rest {
        /// Whether it must be known what the replicas serve, see [`Keeper::served`].
        asks: bool,
        /// The authority and the certificate that are in force.
        lives: Lives,
    },
}

/// What becomes of the authorities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// There is one where none was.
    Made,
    /// The next one is made: it does not sign yet.
    Next,
    /// The next one signs from now on.
    Signs,
    /// One is found in the registration, or in disorder in its Secret.
    Found,
    /// Nothing that it signed is served any more: it is believed no longer.
    Retired,
}

/// Since when, and until when, something is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// When it was made.
    pub begin: SystemTime,
    /// The last instant at which it is believed.
    pub end: SystemTime,
}

/// The lives of what is in force.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lives {
    /// Of the authority that signs.
    pub authority: Option<Life>,
    /// Of the serving certificate.
    pub certificate: Option<Life>,
}

impl Settings {
    /// Checks that the lifetimes go together. The first of `names` is the one by which the API server calls.
    pub fn new(
        names: Names,
        certificate_lifetime: Duration,
        authority_lifetime: Duration,
        margin: Duration,
    ) -> Result<Self, Unfit> {
        if certificate_lifetime <= 3 * margin {
            return Err(Unfit::Certificate);
        }
        if authority_lifetime < 3 * (certificate_lifetime + margin) {
            return Err(Unfit::Authority);
        }
        Ok(Self {
            names,
            certificate_lifetime,
            authority_lifetime,
            margin,
        })
    }

    /// How often to look at least, so that nothing is late.
    #[must_use]
    pub fn pause(&self) -> Duration {
        // A poll of three small objects costs an API server nothing; nobody waits for a day's end.
        Duration::from_secs(5)
            .min(self.margin)
            .min(self.certificate_lifetime / 10)
    }
}

impl Contents {
    /// Of these keys and values.
    pub fn new(data: impl IntoIterator<Item = (String, Zeroizing<Vec<u8>>)>) -> Self {
        Self(data.into_iter().collect())
    }

    /// Keys and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_slice()))
    }

    fn get(&self, key: &str) -> &[u8] {
        self.0.get(key).map_or(&[], |value| value.as_slice())
    }

    fn of<const N: usize>(data: [(&str, &str); N]) -> Self {
        let filled = data.into_iter().filter(|(_, value)| !value.is_empty());
        Self::new(filled.map(|(key, value)| (key.to_owned(), Zeroizing::new(value.as_bytes().to_vec()))))
    }
}

impl fmt::Debug for Contents {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

impl Change {
    /// One word, for an event.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Made => "AuthorityMade",
            Self::Next => "NextAuthorityMade",
            Self::Signs => "AuthoritySigns",
            Self::Found => "AuthoritiesPutRight",
            Self::Retired => "AuthorityRetired",
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Made => "there was no authority that can sign: another one is made",
            Self::Next => "the next authority is made, and will sign once API servers know it",
            Self::Signs => "the next authority signs from now on",
            Self::Found => "the Secret of the authorities said something else than is in force: it is put right",
            Self::Retired => "no replica serves a certificate of an old authority any more: it is no longer believed",
        })
    }
}

impl Life {
    fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let facts = judge::facts_of(certificate).ok()?;
        // What is made here begins a little before it is made.
        let begin = facts.not_before + CLOCK_SKEW;
        let end = facts.not_after;
        Some(Self { begin, end })
    }
}

#[cfg(test)]
mod tests;
