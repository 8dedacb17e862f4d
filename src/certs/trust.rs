//! Whose certificates are believed by those who trust an authority, or who go by a `caBundle`.
//!
//! In: certificates, the name by which the server is called, and the instant. Out: yes or no, or what the certificate says
//! and, as [`Unbelieved`], why not. It is the library with which TLS clients of this kind decide; since Go's clients look at
//! a CA's own time, too, that is looked at besides.

use std::slice::from_ref;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::client::{WebPkiServerVerifier, verify_server_cert_signed_by_trust_anchor};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, RootCertStore};

use super::judge::{self, Facts, Unusable};
use super::load::provider;

/// Why a certificate is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unbelieved {
    /// The bundle is no base64 of PEM.
    #[error("`caBundle` holds no certificates")]
    NoBundle,
    /// Nobody is believed any more, or yet.
    #[error("no CA in `caBundle` is within its time")]
    BundleOver,
    /// The certificate cannot be read, or is not within its time.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// Somebody else has signed it.
    #[error("no CA in `caBundle` has signed it")]
    OtherAuthority,
    /// It stands for other names.
    #[error("it stands for {}, not for `{name}`", names(.found))]
    OtherName {
        /// What is called.
        name: String,
        /// What it stands for.
        found: Vec<String>,
    },
    /// Anything else that the TLS library finds.
    #[error("{0}")]
    Other(String),
}

fn names(found: &[String]) -> String {
    let quoted: Vec<_> = found.iter().map(|name| format!("`{name}`")).collect();
    if quoted.is_empty() {
        "no name".to_owned()
    } else {
        quoted.join(", ")
    }
}

/// What a chain says that is believed at that instant to be the server's of that name, by those who go by the bundle.
pub fn believed(ca_bundle: &str, chain: &[u8], name: &str, now: SystemTime) -> Result<Facts, Unbelieved> {
    let bundle = STANDARD.decode(ca_bundle).map_err(|_| Unbelieved::NoBundle)?;
    let authorities = judge::certificates(&bundle).map_err(|_| Unbelieved::NoBundle)?;
    believed_by(&authorities, &judge::certificates(chain)?, name, now)
}

/// Whether whoever trusts that authority, and it alone, believes at `now` that the certificate is the server's of that
/// name.
#[must_use]
pub fn is_believed(
    certificate: &CertificateDer<'_>,
    authority: &CertificateDer<'_>,
    name: &str,
    now: SystemTime,
) -> bool {
    believed_by(from_ref(authority), from_ref(certificate), name, now).is_ok()
}

/// Whether that authority has signed the server's certificate, which may be over by now.
#[must_use]
pub fn is_signed_by(certificate: &CertificateDer<'_>, authority: &CertificateDer<'_>) -> bool {
    let verify = || {
        let since = judge::facts_of(certificate).ok()?.not_before;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned()).ok()?;
        let certificate = ParsedCertificate::try_from(certificate).ok()?;
        let algorithms = provider().signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&certificate, &roots, &[], unix_time(since), algorithms).ok()
    };
    verify().is_some()
}

fn believed_by(
    authorities: &[CertificateDer<'_>],
    chain: &[CertificateDer<'_>],
    name: &str,
    now: SystemTime,
) -> Result<Facts, Unbelieved> {
    let mut roots = RootCertStore::empty();
    let in_time = authorities.iter().filter(|authority| {
        let facts = judge::facts_of(authority);
        facts.is_ok_and(|facts| facts.valid_at(now).is_ok())
    });
    roots.add_parsable_certificates(in_time.cloned().map(CertificateDer::into_owned));
    let (own, others) = chain.split_first().ok_or(Unusable::NoCertificate)?;
    let facts = judge::facts_of(own)?;
    facts.valid_at(now)?;
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::new(provider()));
    let verifier = verifier.build().map_err(|_| Unbelieved::BundleOver)?;
    let server = ServerName::try_from(name).map_err(|error| Unbelieved::Other(error.to_string()))?;
    match verifier.verify_server_cert(own, others, &server, &[], unix_time(now)) {
        Ok(_) => Ok(facts),
        Err(Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature)) => {
            Err(Unbelieved::OtherAuthority)
        }
        Err(Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => Err(Unbelieved::OtherName {
            name: name.to_owned(),
            found: facts.dns_names,
        }),
        Err(other) => Err(Unbelieved::Other(other.to_string())),
    }
}

fn unix_time(instant: SystemTime) -> UnixTime {
    UnixTime::since_unix_epoch(instant.duration_since(UNIX_EPOCH).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certs::fixtures::{DAY, named};
    use crate::certs::make::Authority;
    use rustls::pki_types::pem::PemObject;

    #[test]
    fn an_authority_is_believed_about_what_it_signed_for_that_name_and_time() {
        let now = SystemTime::now();
        let [own, other] = [Authority::new(now).unwrap(), Authority::new(now).unwrap()];
        let pair = own.issue(&named("a.example"), DAY, now).unwrap();
        let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();
        let (own, other) = (own.certificate(), other.certificate());
        assert!(is_signed_by(&certificate, own) && !is_signed_by(&certificate, other));
        assert!(is_believed(&certificate, own, "a.example", now));
        assert!(!is_believed(&certificate, other, "a.example", now));
        assert!(!is_believed(&certificate, own, "b.example", now));
        assert!(!is_believed(&certificate, own, "a.example", now + 2 * DAY));
        assert!(!is_believed(&certificate, own, "a.example", now - DAY));
        assert!(!is_signed_by(own, own), "an authority is no server");
    }

    #[test]
    fn an_authority_whose_time_is_over_is_not_believed() {
        let now = SystemTime::now();
        let short = Authority::living(DAY, now).unwrap();
        let pair = short.issue(&named("a.example"), 3 * DAY, now).unwrap();
        let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();
        assert!(is_believed(&certificate, short.certificate(), "a.example", now));
        assert!(!is_believed(
            &certificate,
            short.certificate(),
            "a.example",
            now + 2 * DAY
        ));
        assert!(is_signed_by(&certificate, short.certificate()));
    }

    #[test]
    fn a_certificate_is_believed_by_those_who_trust_its_authority() {
        let now = SystemTime::now();
        let [own, other] = [Authority::new(now).unwrap(), Authority::new(now).unwrap()];
        let pair = own.issue(&named("a.example"), DAY, now).unwrap();
        let chain = pair.certificate.as_bytes();
        let both = STANDARD.encode(format!("{}{}", other.pair().certificate, own.pair().certificate));
        let name = |name: &str| Unbelieved::OtherName {
            name: name.to_owned(),
            found: vec!["a.example".to_owned()],
        };
        for (bundle, called, at, expected) in [
            (own.bundle(), "a.example", now, Ok(())),
            (both, "a.example", now, Ok(())),
            (other.bundle(), "a.example", now, Err(Unbelieved::OtherAuthority)),
            (own.bundle(), "b.example", now, Err(name("b.example"))),
            (String::new(), "a.example", now, Err(Unbelieved::NoBundle)),
            ("?".to_owned(), "a.example", now, Err(Unbelieved::NoBundle)),
        ] {
            assert_eq!(believed(&bundle, chain, called, at).map(drop), expected);
        }
        let late = believed(&own.bundle(), chain, "a.example", now + 2 * DAY);
        assert!(
            matches!(late, Err(Unbelieved::Unusable(Unusable::Expired { .. }))),
            "{late:?}"
        );
        let centuries = now + 365 * 100 * DAY;
        let lasting = own.issue(&named("a.example"), 365 * 200 * DAY, now).unwrap();
        let late = believed(&own.bundle(), lasting.certificate.as_bytes(), "a.example", centuries);
        assert_eq!(late.map(drop), Err(Unbelieved::BundleOver));
        assert!(believed(&own.bundle(), b"", "a.example", now).is_err());
    }
}
