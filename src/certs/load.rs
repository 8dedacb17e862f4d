//! Certificate files made into the configuration of a TLS server.
//!
//! In: the paths of a certificate, its key and, where callers must show one, the CA of their certificates; the
//! protocols to offer; the instant. Out: a [`rustls::ServerConfig`] with what its certificate says, or an error that
//! names the files, what is wrong and what to do. Refuses files above [`LARGEST_FILE`].

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::SingleCertAndKey;

use super::judge::{self, Facts, Unusable};

/// The size above which a file is none of ours, in bytes: as much as a Secret may hold.
pub const LARGEST_FILE: u64 = 1024 * 1024;

/// Where the certificates are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The server's own certificate, then what leads to its CA.
    pub certificate: PathBuf,
    /// The private key of the first certificate.
    pub key: PathBuf,
    /// CAs; with them, a caller must show a certificate that one of them signed.
    pub client_authorities: Option<PathBuf>,
}

/// What stood in the files at one reading.
#[derive(Clone, PartialEq, Eq)]
pub struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_authorities: Option<Vec<u8>>,
}

/// Why files make no server configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file that is not there, or may not be read.
    #[error("cannot read `{}`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file above [`LARGEST_FILE`].
    #[error("`{}` is larger than 1 MiB, expected a few certificates or a key as PEM", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// A pair that cannot serve.
    #[error("cannot serve with the certificate `{}` and the key `{}`", files.certificate.display(), files.key.display())]
    Pair {
        /// The files of the pair.
        files: Files,
        /// What is wrong with it.
        source: Unusable,
    },
    /// A file without usable CAs for callers.
    #[error("cannot check callers with the CA `{}`", path.display())]
    ClientAuthorities {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Unusable,
    },
    /// What the TLS library refuses of a pair that we found good.
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
}

impl fmt::Debug for Contents {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Contents").finish_non_exhaustive()
    }
}

impl LoadError {
    /// What to do about it, where the chain of errors alone does not say it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Pair { source, .. } | Self::ClientAuthorities { source, .. } => source.hint(),
            Self::Unreadable { .. } | Self::TooLarge { .. } | Self::Tls(_) => None,
        }
    }

    /// Whether a file could not be read at all, rather than read and refused.
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        matches!(self, Self::Unreadable { .. })
    }
}

impl Files {
    /// Reads the files as they are now.
    pub fn read(&self) -> Result<Contents, LoadError> {
        Ok(Contents {
            certificate: read(&self.certificate)?,
            key: read(&self.key)?,
            client_authorities: self.client_authorities.as_deref().map(read).transpose()?,
        })
    }

    /// Judges what was read from these files, and makes the configuration that serves it at `now`.
    pub fn configure(
        &self,
        contents: &Contents,
        protocols: &[&[u8]],
        now: SystemTime,
    ) -> Result<(ServerConfig, Facts), LoadError> {
        let pair = judge::judge(&contents.certificate, &contents.key, now).map_err(|source| LoadError::Pair {
            files: self.clone(),
            source,
        })?;
        let provider = Arc::new(provider());
        let builder =
            ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
        let builder = match (&self.client_authorities, &contents.client_authorities) {
            (Some(path), Some(pem)) => {
                let refuse = |source| LoadError::ClientAuthorities {
                    path: path.clone(),
                    source,
                };
                let roots = Arc::new(judge::authorities(pem).map_err(refuse)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
                builder.with_client_cert_verifier(verifier.map_err(|_| refuse(Unusable::NoCertificate))?)
            }
            _ => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(pair.certified)));
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Ok((config, pair.facts))
    }
}

/// The one provider of cryptography; named everywhere, so that no other crate's choice can change it.
pub(super) fn provider() -> CryptoProvider {
    aws_lc_rs::default_provider()
}

/// The content of a file that is no larger than [`LARGEST_FILE`].
pub fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    let unreadable = |source| LoadError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let mut content = Vec::new();
    File::open(path)
        .map_err(unreadable)?
        .take(LARGEST_FILE + 1)
        .read_to_end(&mut content)
        .map_err(unreadable)?;
    if content.len() as u64 > LARGEST_FILE {
        return Err(LoadError::TooLarge { path: path.to_owned() });
    }
    Ok(content)
}
