//! A certificate authority and serving certificates signed by it.
//!
//! In: names, a lifetime and the instant. Out: PEM. Refuses to touch files and clocks.
//!
//! Keys are ECDSA P-256. The authority lives for years and signs no further authority; a serving certificate is for
//! TLS servers only and names its issuer's key, so that clients find the right one among several authorities of the
//! same name in one bundle. Serial numbers derive from the fresh key and are as random as that.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair as SigningKey, KeyUsagePurpose, SanType, date_time_ymd,
};
use rustls::pki_types::{self, CertificateDer};
use x509_cert::der::DateTime;

use super::judge::{self, Facts, Unusable};

/// How long an authority lives. Its end means registering a new one everywhere, so it is far away.
pub const AUTHORITY_LIFETIME: Duration = Duration::from_hours(10 * 365 * 24);
/// How far the beginning of a certificate is put back: clocks of clients that are behind must not refuse it.
pub const CLOCK_SKEW: Duration = Duration::from_hours(1);
/// The authority's common name, by which [`Authority::from_pem`] knows its own again.
const AUTHORITY_NAME: &str = "Pullkey CA";
/// For people only: clients look at the subject alternative names.
const SERVER_NAME: &str = "Pullkey webhook";

/// What a serving certificate stands for. Without any name no client accepts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// Such as `pullkey-webhook.pullkey.svc`.
    pub dns: Vec<DnsName>,
    /// For callers that connect to an address.
    pub addresses: Vec<IpAddr>,
}

/// A DNS name that a certificate can stand for; its first label may be `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsName(String);

/// Why a text is no [`DnsName`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDnsName {
    /// Addresses are names of another kind.
    #[error("this is an IP address, which a certificate holds apart from DNS names")]
    Address,
    /// Not labels joined by dots.
    #[error("expected labels of letters, digits, `-` and `_` joined by dots, such as `pullkey-webhook.pullkey.svc`")]
    Form,
}

/// A certificate with its private key, both as PEM.
pub struct Pair {
    /// May be shown to anyone.
    pub certificate: String,
    /// PKCS#8; never shown.
    pub key: String,
}

/// A certificate authority that can sign.
pub struct Authority {
    issuer: Issuer<'static, SigningKey>,
    pair: Pair,
    certificate: CertificateDer<'static>,
    not_after: SystemTime,
}

/// Why no certificate could be made.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// The random generator or the signature failed.
    #[error("cannot make a key or a certificate")]
    Crypto(#[from] rcgen::Error),
    /// A certificate's dates reach from 1970 to 9999.
    #[error("a certificate cannot express its dates, expected years from 1970 to 9999")]
    Date,
    /// The PEM of an authority is none, is not whole, or its time is over.
    #[error("cannot sign with the certificate authority")]
    Unusable(#[from] Unusable),
    /// An authority that something else made: its name and extensions cannot be repeated faithfully.
    #[error("this certificate authority was not made by Pullkey")]
    ForeignAuthority,
}

impl fmt::Debug for Pair {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Pair")
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Authority")
            .field("pair", &self.pair)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for DnsName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for DnsName {
    type Err = InvalidDnsName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
            return Err(InvalidDnsName::Address);
        }
        // A final dot is fine in a query, never in a certificate.
        if text.ends_with('.') || pki_types::DnsName::try_from(text.strip_prefix("*.").unwrap_or(text)).is_err() {
            return Err(InvalidDnsName::Form);
        }
        Ok(Self(text.to_owned()))
    }
}

impl Names {
    /// What a server on this machine is called from this machine.
    #[must_use]
    pub fn this_machine() -> Self {
        let addresses = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        Self {
            dns: vec![DnsName("localhost".to_owned())],
            addresses,
        }
    }

    /// The names of an earlier certificate.
    #[must_use]
    pub fn of(facts: &Facts) -> Self {
        Self {
            dns: facts.dns_names.iter().cloned().map(DnsName).collect(),
            addresses: facts.addresses.clone(),
        }
    }
}

impl Authority {
    /// Makes a new authority that is valid at `now` and for [`AUTHORITY_LIFETIME`] after it.
    pub fn new(now: SystemTime) -> Result<Self, MakeError> {
        Self::living(AUTHORITY_LIFETIME, now)
    }

    /// Makes a new authority that is valid at `now` and for `lifetime` after it.
    pub fn living(lifetime: Duration, now: SystemTime) -> Result<Self, MakeError> {
        let key = SigningKey::generate()?;
        let mut parameters = authority_parameters();
        valid_for(&mut parameters, lifetime, now)?;
        let certificate = parameters.self_signed(&key)?;
        let pair = Pair {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        };
        Ok(Self {
            issuer: Issuer::new(parameters, key),
            pair,
            certificate: certificate.der().clone(),
            not_after: now + lifetime,
        })
    }

    /// Reads an authority that [`Self::new`] made, to sign with it again at `now`.
    pub fn from_pem(certificate: &[u8], key: &[u8], now: SystemTime) -> Result<Self, MakeError> {
        let read = judge::read(certificate, key)?;
        let facts = &read.facts;
        let own = read.certified.cert.first().ok_or(Unusable::NoCertificate)?;
        if !Self::has_made(own) {
            return Err(MakeError::ForeignAuthority);
        }
        facts.valid_at(now)?;
        let key = SigningKey::try_from(&judge::private_key(key)?)?;
        let pair = Pair {
            certificate: String::from_utf8_lossy(certificate).into_owned(),
            key: key.serialize_pem(),
        };
        Ok(Self {
            issuer: Issuer::new(authority_parameters(), key),
            pair,
            certificate: own.clone().into_owned(),
            not_after: facts.not_after,
        })
    }

    /// Whether a certificate is that of an authority that [`Self::new`] may have made, as far as it says itself.
    #[must_use]
    pub fn has_made(certificate: &CertificateDer<'_>) -> bool {
        judge::facts_of(certificate).is_ok_and(|facts| facts.subject == format!("CN={AUTHORITY_NAME}"))
            && judge::is_authority(certificate).is_ok_and(|is_authority| is_authority)
    }

    /// The authority's own certificate and key.
    #[must_use]
    pub fn pair(&self) -> &Pair {
        &self.pair
    }

    /// The authority's own certificate, as those have it who trust it.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The last instant at which what it signs is believed.
    #[must_use]
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }

    /// Signs a certificate for a TLS server of these names, valid at `now` and for `lifetime` after it.
    pub fn issue(&self, names: &Names, lifetime: Duration, now: SystemTime) -> Result<Pair, MakeError> {
        let key = SigningKey::generate()?;
        let mut parameters = parameters(SERVER_NAME);
        for name in &names.dns {
            parameters
                .subject_alt_names
                .push(SanType::DnsName(Ia5String::try_from(name.0.as_str())?));
        }
        parameters
            .subject_alt_names
            .extend(names.addresses.iter().copied().map(SanType::IpAddress));
        parameters.is_ca = IsCa::ExplicitNoCa;
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        parameters.use_authority_key_identifier_extension = true;
        valid_for(&mut parameters, lifetime, now)?;
        let certificate = parameters.signed_by(&key, &self.issuer)?;
        Ok(Pair {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }

    /// The value of a webhook configuration's `caBundle`: base64 of the PEM, on one line.
    #[must_use]
    pub fn bundle(&self) -> String {
        STANDARD.encode(&self.pair.certificate)
    }
}

fn authority_parameters() -> CertificateParams {
    let mut parameters = parameters(AUTHORITY_NAME);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters
}

fn parameters(common_name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, common_name);
    parameters
}

fn valid_for(parameters: &mut CertificateParams, lifetime: Duration, now: SystemTime) -> Result<(), MakeError> {
    // Through `DateTime`, which refuses what a certificate cannot express: the sums below then stay in range.
    let since_epoch = |instant| Some(DateTime::from_system_time(instant?).ok()?.unix_duration());
    let begin = since_epoch(now.checked_sub(CLOCK_SKEW)).ok_or(MakeError::Date)?;
    let end = since_epoch(now.checked_add(lifetime)).ok_or(MakeError::Date)?;
    parameters.not_before = date_time_ymd(1970, 1, 1) + begin;
    parameters.not_after = date_time_ymd(1970, 1, 1) + end;
    Ok(())
}

#[cfg(test)]
mod tests;
