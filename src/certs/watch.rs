//! Certificate files that are read again when they change.
//!
//! In: [`Files`], the instant of each look. Out: a [`ServerConfig`] that every new connection
//! takes afresh, and what came of each look as a value, to log and to count. Refuses to replace what serves by anything
//! that cannot.
//!
//! Contents are compared, not notifications awaited: a Secret volume swaps a symlink, of which a watch on the file
//! hears nothing. Instants are the wall clock's, since monotonic ones stand still while a machine is suspended.

use std::sync::Arc;
use std::time::SystemTime;

use super::judge::{Facts, Unusable};
use super::load::{Contents, Files, LoadError, provider};
use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// Certificates in use, with what is needed to notice that their files changed.
#[derive(Debug)]
pub struct Watch {
    files: Files,
    protocols: &'static [&'static [u8]],
    /// Read by the server for every connection, written here only.
    config: Arc<ArcSwap<ServerConfig>>,
    in_use: Option<InUse>,
    /// Why the last look found nothing usable; none if it did.
    refused: Option<String>,
}

/// What is served.
#[derive(Debug)]
struct InUse {
    facts: Facts,
    contents: Contents,
}

/// Has nothing to show: every handshake fails.
#[derive(Debug)]
struct Nothing;

impl ResolvesServerCert for Nothing {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        None
    }
}

/// What came of one look at the files.
#[derive(Debug)]
pub enum Look {
    /// The files hold what is in use.
    Unchanged,
    /// Their new contents are in use from now on.
    Replaced(Facts),
    /// They hold nothing usable; what was in use stays, if anything was.
    Refused {
        /// Why.
        reason: LoadError,
        /// Whether the look before failed for the same reason: then there is nothing new to log.
        repeated: bool,
    },
}

impl Watch {
    /// Reads the files for the first time; whatever is wrong with them then is an error. `protocols` are the ALPN
    /// names to offer, the preferred one first.
    pub fn start(files: Files, protocols: &'static [&'static [u8]], now: SystemTime) -> Result<Self, LoadError> {
        let (contents, (config, facts)) =
            settle(|| files.read(), |contents| files.configure(contents, protocols, now))?;
        Ok(Self {
            files,
            protocols,
            config: Arc::new(ArcSwap::from_pointee(config)),
            in_use: Some(InUse { facts, contents }),
            refused: None,
        })
    }

    /// Begins without a certificate, whatever is in the files: until a look finds a usable one, no handshake succeeds.
    pub fn waiting(files: Files, protocols: &'static [&'static [u8]]) -> Result<Self, LoadError> {
        let config = ServerConfig::builder_with_provider(Arc::new(provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Nothing));
        Ok(Self {
            files,
            protocols,
            config: Arc::new(ArcSwap::from_pointee(config)),
            in_use: None,
            refused: None,
        })
    }

    /// The configuration in use, for a server to take anew with each connection.
    #[must_use]
    pub fn config(&self) -> Arc<ArcSwap<ServerConfig>> {
        Arc::clone(&self.config)
    }

    /// What the certificate in use says, if one is.
    #[must_use]
    pub fn facts(&self) -> Option<&Facts> {
        self.in_use.as_ref().map(|in_use| &in_use.facts)
    }

    /// Reads the files once, and puts what they hold into use if it is new and can serve at `now`.
    pub fn look(&mut self, now: SystemTime) -> Look {
        match self.replace(now) {
            Ok(replaced) => {
                self.refused = None;
                replaced.map_or(Look::Unchanged, Look::Replaced)
            }
            Err(reason) => {
                // Errors of the system cannot be compared, their texts can.
                let refused = Some(format!("{reason:?}"));
                let repeated = self.refused == refused;
                self.refused = refused;
                Look::Refused { reason, repeated }
            }
        }
    }

    /// What is in use from now on, if it is something new.
    fn replace(&mut self, now: SystemTime) -> Result<Option<Facts>, LoadError> {
        let files = &self.files;
        let in_use = self.in_use.as_ref().map(|in_use| &in_use.contents);
        let judge = |contents: &Contents| {
            (Some(contents) != in_use)
                .then(|| files.configure(contents, self.protocols, now))
                .transpose()
        };
        let (contents, replacement) = settle(|| files.read(), judge)?;
        let Some((config, facts)) = replacement else {
            return Ok(None);
        };
        self.config.store(Arc::new(config));
        self.in_use = Some(InUse {
            facts: facts.clone(),
            contents,
        });
        Ok(Some(facts))
    }
}

/// Reads and judges, and does both again if key and certificate do not match: their files may have been swapped after
/// the one was read and before the other was.
fn settle<T>(
    read: impl Fn() -> Result<Contents, LoadError>,
    judge: impl Fn(&Contents) -> Result<T, LoadError>,
) -> Result<(Contents, T), LoadError> {
    let contents = read()?;
    match judge(&contents) {
        Ok(judged) => Ok((contents, judged)),
        Err(LoadError::Pair {
            source: Unusable::Mismatch,
            ..
        }) => {
            let contents = read()?;
            let judged = judge(&contents)?;
            Ok((contents, judged))
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
