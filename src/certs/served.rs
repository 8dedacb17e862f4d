//! Whether those who go by a `caBundle` believe a certificate that is served.
//!
//! In: the bundle of a registration, the PEM of a chain, the name by which the server is called, and the instant. Out: what
//! the certificate says, or [`Unbelieved`]. The chain is judged as Go's clients judge it, who look at a CA's own time, too.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::{ServerName, UnixTime};
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

/// What a chain says that is believed at that instant to be the server's of that name.
pub fn believed(ca_bundle: &str, chain: &[u8], name: &str, now: SystemTime) -> Result<Facts, Unbelieved> {
    let bundle = STANDARD.decode(ca_bundle).map_err(|_| Unbelieved::NoBundle)?;
    let authorities = judge::certificates(&bundle).map_err(|_| Unbelieved::NoBundle)?;
    let mut roots = RootCertStore::empty();
    let in_time = authorities.into_iter().filter(|authority| {
        let facts = judge::facts_of(authority);
        facts.is_ok_and(|facts| facts.valid_at(now).is_ok())
    });
    roots.add_parsable_certificates(in_time);
    let chain = judge::certificates(chain)?;
    let (own, others) = chain.split_first().ok_or(Unusable::NoCertificate)?;
    let facts = judge::facts_of(own)?;
    facts.valid_at(now)?;
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::new(provider()));
    let verifier = verifier.build().map_err(|_| Unbelieved::BundleOver)?;
    let server = ServerName::try_from(name).map_err(|error| Unbelieved::Other(error.to_string()))?;
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let outcome = verifier.verify_server_cert(own, others, &server, &[], UnixTime::since_unix_epoch(since));
    match outcome {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certs::fixtures::{DAY, named};
    use crate::certs::make::Authority;

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
