//! Whose certificates are believed by those who trust an authority.
//!
//! In: certificates, and the instant. Out: yes or no, by the library with which TLS clients of this kind decide. Refuses
//! to say why not.

use std::time::{SystemTime, UNIX_EPOCH};

use rustls::RootCertStore;
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;

use super::judge;
use super::load::provider;

/// Whether that authority has signed the server's certificate, which may be over by now.
#[must_use]
pub fn is_signed_by(certificate: &CertificateDer<'_>, authority: &CertificateDer<'_>) -> bool {
    judge::facts_of(certificate).is_ok_and(|facts| believes(certificate, authority, facts.not_before))
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
    // Clients look at the authority's own time, too, even if this library does not.
    let is_in_time = judge::facts_of(authority).is_ok_and(|facts| facts.valid_at(now).is_ok());
    let is_named = || {
        let name = ServerName::try_from(name).ok()?;
        let certificate = ParsedCertificate::try_from(certificate).ok()?;
        verify_server_name(&certificate, &name).ok()
    };
    is_in_time && believes(certificate, authority, now) && is_named().is_some()
}

fn believes(certificate: &CertificateDer<'_>, authority: &CertificateDer<'_>, now: SystemTime) -> bool {
    let verify = || {
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned()).ok()?;
        let certificate = ParsedCertificate::try_from(certificate).ok()?;
        let now = UnixTime::since_unix_epoch(now.duration_since(UNIX_EPOCH).ok()?);
        let algorithms = provider().signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&certificate, &roots, &[], now, algorithms).ok()
    };
    verify().is_some()
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
}
