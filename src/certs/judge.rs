//! Whether a certificate and a key can serve the webhook, and until when.
//!
//! In: the PEM of a certificate chain, the PEM of a private key, and the instant. Out: a [`KeyPair`], or the precise
//! reason why the API server could not be answered with it ([`Unusable`]). Refuses to read files and clocks. Whether
//! the chain leads to a CA that the API server trusts is not known here.
//!
//! Keys may be PKCS#8, SEC1 or PKCS#1. Names count only as subject alternative names: Go ignores the common name.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, RootCertStore};
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::oid::db::rfc5280::{ANY_EXTENDED_KEY_USAGE, ID_KP_SERVER_AUTH};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, SubjectAltName};

use super::rfc3339;

/// A certificate chain with the key that belongs to it, fit to serve at the instant of its judgement.
#[derive(Clone)]
pub struct KeyPair {
    /// What the server's own certificate says.
    pub facts: Facts,
    /// The chain and the key as rustls signs with them.
    pub certified: Arc<CertifiedKey>,
}

/// What a serving certificate says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The subject's distinguished name (RFC 4514); may be empty.
    pub subject: String,
    /// The distinguished name of the CA that signed it.
    pub issuer: String,
    /// The first instant at which it is valid.
    pub not_before: SystemTime,
    /// The last instant at which it is valid.
    pub not_after: SystemTime,
    /// The DNS names that it stands for, as written; a first label `*` stands for any one label.
    pub dns_names: Vec<String>,
    /// The addresses that it stands for.
    pub addresses: Vec<IpAddr>,
}

/// Why a certificate and a key cannot serve.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// No certificate among the PEM sections.
    #[error("the certificate file holds no PEM certificate")]
    NoCertificate,
    /// A PEM section that does not end, or whose text is not base64.
    #[error("the {0} file has a damaged PEM section")]
    DamagedPem(Part),
    /// Not the ASN.1 of a certificate that TLS can use.
    #[error("certificate {0} of the file cannot be read, expected X.509 version 3")]
    UnreadableCertificate(usize),
    /// No private key among the PEM sections.
    #[error("the key file holds no PEM private key")]
    NoKey,
    /// A key under a passphrase.
    #[error("the private key is encrypted")]
    EncryptedKey,
    /// More than one private key: which one is meant cannot be known.
    #[error("the key file holds {0} private keys, expected one")]
    SeveralKeys(usize),
    /// A key that does not decode, or of an algorithm that TLS does not use.
    #[error("the private key cannot be read, or is of a kind that cannot serve")]
    UnsupportedKey,
    /// The key's public half is not the one in the certificate.
    #[error("the key does not belong to the certificate")]
    Mismatch,
    /// Neither a DNS name nor an address among the subject alternative names.
    #[error("the certificate names no server: it has neither a DNS name nor an IP address as subject alternative name")]
    NoNames,
    /// Its extended key usage leaves out TLS servers.
    #[error("the certificate is not for servers: its extended key usage leaves out serverAuth")]
    NotForServers,
    /// Its time has not come.
    #[error("the certificate is valid only from {}", rfc3339(*not_before))]
    NotYetValid {
        /// When it will be valid.
        not_before: SystemTime,
    },
    /// Its time is over.
    #[error("the certificate expired at {}", rfc3339(*not_after))]
    Expired {
        /// When it ended.
        not_after: SystemTime,
    },
}

/// One of the two files of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The certificate chain.
    Certificate,
    /// The private key.
    Key,
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("KeyPair")
            .field("facts", &self.facts)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Certificate => "certificate",
            Self::Key => "key",
        })
    }
}

impl Unusable {
    /// What to do about it, where the reason alone does not say it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::NoCertificate | Self::NoKey => {
                "PEM begins with `-----BEGIN CERTIFICATE-----` or `-----BEGIN PRIVATE KEY-----`; \
                 were the two files swapped?"
            }
            Self::UnsupportedKey => {
                "a key may be ECDSA P-256, P-384 or P-521, Ed25519, or RSA of 2048 to 8192 bits, \
                 as PKCS#8, SEC1 or PKCS#1"
            }
            Self::EncryptedKey => {
                "remove the passphrase, for instance with `openssl pkey`; file permissions protect it"
            }
            Self::Mismatch => "the certificate file begins with the server's own certificate, its CA comes after it",
            Self::NoNames => "clients ignore the common name; name the server in the subject alternative names",
            Self::NotYetValid { .. } => "compare the clocks of this machine and of the one that made the certificate",
            Self::Expired { .. } => "`pullkey certs` makes a new one",
            Self::DamagedPem(_) | Self::UnreadableCertificate(_) | Self::SeveralKeys(_) | Self::NotForServers => {
                return None;
            }
        })
    }
}

impl Facts {
    /// Whether the certificate is within its time at `now`.
    pub fn valid_at(&self, now: SystemTime) -> Result<(), Unusable> {
        if now < self.not_before {
            return Err(Unusable::NotYetValid {
                not_before: self.not_before,
            });
        }
        if now > self.not_after {
            return Err(Unusable::Expired {
                not_after: self.not_after,
            });
        }
        Ok(())
    }
}

/// Judges the chain in `certificate` (the server's own certificate first) with the one private key in `key` at the
/// instant `now`.
pub fn judge(certificate: &[u8], key: &[u8], now: SystemTime) -> Result<KeyPair, Unusable> {
    let pair = read(certificate, key)?;
    if pair.facts.dns_names.is_empty() && pair.facts.addresses.is_empty() {
        return Err(Unusable::NoNames);
    }
    if !serves(&own(&pair.certified)?)? {
        return Err(Unusable::NotForServers);
    }
    pair.facts.valid_at(now)?;
    Ok(pair)
}

/// The CAs of a PEM file whose certificates callers must show; at least one.
pub fn authorities(pem: &[u8]) -> Result<RootCertStore, Unusable> {
    let mut roots = RootCertStore::empty();
    for (position, certificate) in (1..).zip(certificates(pem)?) {
        roots
            .add(certificate)
            .map_err(|_| Unusable::UnreadableCertificate(position))?;
    }
    Ok(roots)
}

/// A chain and a key that belong together; nothing else is judged.
pub(super) fn read(certificate: &[u8], key: &[u8]) -> Result<KeyPair, Unusable> {
    let chain = certificates(certificate)?;
    let key = super::load::provider().key_provider.load_private_key(private_key(key)?);
    let certified = CertifiedKey::new(chain, key.map_err(|_| Unusable::UnsupportedKey)?);
    match certified.keys_match() {
        Ok(()) => {}
        Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => return Err(Unusable::Mismatch),
        Err(rustls::Error::InconsistentKeys(_)) => return Err(Unusable::UnsupportedKey),
        Err(_) => return Err(Unusable::UnreadableCertificate(1)),
    }
    Ok(KeyPair {
        facts: facts(&own(&certified)?)?,
        certified: Arc::new(certified),
    })
}

/// The one private key of a PEM file; sections of other kinds may stand beside it.
pub(super) fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, Unusable> {
    let mut keys = PrivateKeyDer::pem_slice_iter(pem).collect::<Result<Vec<_>, PemError>>();
    // Neither form of encrypted key is a section that decodes: one has a label of its own, the other has headers.
    if keys.as_ref().map_or(true, Vec::is_empty) && pem.windows(ENCRYPTED.len()).any(|window| window == ENCRYPTED) {
        return Err(Unusable::EncryptedKey);
    }
    // The library's own text may quote a line of the file, so it goes no further.
    let keys = keys.as_mut().map_err(|_| Unusable::DamagedPem(Part::Key))?;
    match keys.len() {
        0 | 1 => keys.pop().ok_or(Unusable::NoKey),
        several => Err(Unusable::SeveralKeys(several)),
    }
}

const ENCRYPTED: &[u8] = b"ENCRYPTED";

pub(super) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let chain: Result<Vec<_>, PemError> = CertificateDer::pem_slice_iter(pem).collect();
    let chain = chain.map_err(|_| Unusable::DamagedPem(Part::Certificate))?;
    for (position, certificate) in (1..).zip(&chain) {
        Certificate::from_der(certificate).map_err(|_| Unusable::UnreadableCertificate(position))?;
    }
    if chain.is_empty() {
        Err(Unusable::NoCertificate)
    } else {
        Ok(chain)
    }
}

/// What a certificate says about itself, without its key.
pub fn facts_of(certificate: &CertificateDer<'_>) -> Result<Facts, Unusable> {
    facts(&Certificate::from_der(certificate).map_err(|_| Unusable::UnreadableCertificate(1))?)
}

/// Whether a certificate says that it may sign others.
pub(super) fn is_authority(certificate: &CertificateDer<'_>) -> Result<bool, Unusable> {
    let certificate = Certificate::from_der(certificate).map_err(|_| Unusable::UnreadableCertificate(1))?;
    let constraints = certificate.tbs_certificate().get_extension::<BasicConstraints>();
    let constraints = constraints.map_err(|_| Unusable::UnreadableCertificate(1))?;
    Ok(constraints.is_some_and(|(_, constraints)| constraints.ca))
}

/// The server's own certificate, the first of the chain.
fn own(certified: &CertifiedKey) -> Result<Certificate, Unusable> {
    let first = certified.cert.first().ok_or(Unusable::NoCertificate)?;
    Certificate::from_der(first).map_err(|_| Unusable::UnreadableCertificate(1))
}

fn facts(certificate: &Certificate) -> Result<Facts, Unusable> {
    let certificate = certificate.tbs_certificate();
    let names = certificate
        .get_extension::<SubjectAltName>()
        .map_err(|_| Unusable::UnreadableCertificate(1))?;
    let mut facts = Facts {
        subject: certificate.subject().to_string(),
        issuer: certificate.issuer().to_string(),
        not_before: certificate.validity().not_before.to_system_time(),
        not_after: certificate.validity().not_after.to_system_time(),
        dns_names: Vec::new(),
        addresses: Vec::new(),
    };
    for name in names.into_iter().flat_map(|(_, SubjectAltName(names))| names) {
        match name {
            GeneralName::DnsName(name) => facts.dns_names.push(name.to_string()),
            GeneralName::IpAddress(octets) => facts.addresses.extend(address(octets.as_bytes())),
            _ => {}
        }
    }
    Ok(facts)
}

/// The address in network byte order (RFC 5280 section 4.2.1.6): 4 octets or 16.
fn address(octets: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(octets)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from))
        .ok()
}

/// A certificate without the extension is for any use; Go demands serverAuth where the extension is there.
fn serves(certificate: &Certificate) -> Result<bool, Unusable> {
    let usage = certificate.tbs_certificate().get_extension::<ExtendedKeyUsage>();
    let usage = usage.map_err(|_| Unusable::UnreadableCertificate(1))?;
    Ok(usage.is_none_or(|(_, ExtendedKeyUsage(uses))| {
        uses.iter()
            .any(|usage| [ID_KP_SERVER_AUTH, ANY_EXTENDED_KEY_USAGE].contains(usage))
    }))
}

#[cfg(test)]
mod tests;
