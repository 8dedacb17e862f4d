//! The `caBundle` of a webhook configuration.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::Serialize;

use super::judge::{self, Unusable};

/// How many characters of base64 a line of PEM has (RFC 7468).
const LINE: usize = 64;

/// CAs as a webhook configuration holds them: base64 of PEM, on one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CaBundle(String);

impl CaBundle {
    /// The certificates of a PEM file; at least one. Whatever else stands in the file, a key above all, stays out.
    pub fn from_pem(pem: &[u8]) -> Result<Self, Unusable> {
        judge::certificates(pem).map(|certificates| Self::of(&certificates))
    }

    /// These certificates.
    #[must_use]
    pub fn of(certificates: &[CertificateDer<'_>]) -> Self {
        Self(STANDARD.encode(pem(certificates)))
    }
}

/// Certificates as PEM.
#[must_use]
pub fn pem(certificates: &[CertificateDer<'_>]) -> String {
    let mut text = String::new();
    for certificate in certificates {
        let body = STANDARD.encode(certificate);
        let lines: Vec<_> = body.as_bytes().chunks(LINE).map(String::from_utf8_lossy).collect();
        let _ = writeln!(
            text,
            "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----",
            lines.join("\n")
        );
    }
    text
}

/// The certificates of a PEM text as far as they can be read, whatever stands between them.
#[must_use]
pub fn readable(pem: &[u8]) -> Vec<CertificateDer<'static>> {
    let certificates = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok);
    certificates
        .filter(|certificate| judge::facts_of(certificate).is_ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::certs::make::Authority;

    #[test]
    fn the_certificates_of_a_file_are_kept_and_nothing_else() {
        let authority = Authority::new(SystemTime::now()).unwrap();
        let pair = authority.pair();
        let alone = CaBundle::from_pem(pair.certificate.as_bytes()).unwrap();
        assert_eq!(alone.0, authority.bundle());
        let file = format!("# a note\n{}{}", pair.key, pair.certificate);
        assert_eq!(CaBundle::from_pem(file.as_bytes()), Ok(alone));
        assert_eq!(CaBundle::from_pem(pair.key.as_bytes()), Err(Unusable::NoCertificate));
        let two = pair.certificate.repeat(2);
        assert_eq!(CaBundle::from_pem(two.as_bytes()).unwrap().0, STANDARD.encode(two));
    }
}
