//! What the tests of this module share: pairs of every kind, and a handshake without sockets.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use x509_cert::der::asn1::{AnyRef, OctetString};
use x509_cert::der::{Decode, Reader, SliceReader};

use super::files;
use super::load::Files;
use super::make::{Authority, DnsName, Names, Pair};

pub(super) const DAY: Duration = Duration::from_hours(24);

pub(super) fn named(dns: &str) -> Names {
    Names {
        dns: vec![dns.parse::<DnsName>().unwrap()],
        addresses: vec!["10.0.0.1".parse().unwrap()],
    }
}

/// A pair for `dns` of an authority of its own.
pub(super) fn pair(dns: &str) -> Pair {
    let now = SystemTime::now();
    Authority::new(now).unwrap().issue(&named(dns), DAY, now).unwrap()
}

/// A self-signed pair by one of rcgen's algorithms, changed at will.
pub(super) fn self_signed(
    algorithm: &'static rcgen::SignatureAlgorithm,
    change: impl FnOnce(&mut rcgen::CertificateParams),
) -> Pair {
    let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
    let mut parameters = rcgen::CertificateParams::new(vec!["pullkey.example".to_owned()]).unwrap();
    change(&mut parameters);
    Pair {
        certificate: parameters.self_signed(&key).unwrap().pem(),
        key: key.serialize_pem(),
    }
}

pub(super) fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// The key inside a PKCS#8 envelope: SEC1 for ECDSA, PKCS#1 for RSA.
pub(super) fn bare_key(pkcs8: &str) -> Vec<u8> {
    let key = PrivateKeyDer::from_pem_slice(pkcs8.as_bytes()).unwrap();
    let mut reader = SliceReader::new(AnyRef::from_der(key.secret_der()).unwrap().value()).unwrap();
    let _version = AnyRef::decode(&mut reader).unwrap();
    let _algorithm = AnyRef::decode(&mut reader).unwrap();
    let key = OctetString::decode(&mut reader).unwrap();
    reader.read_slice(reader.remaining_len()).unwrap();
    key.into_bytes().into()
}

pub(super) fn put(directory: &Path, pair: &Pair) -> Files {
    let files = files::serving(directory);
    std::fs::write(&files.certificate, &pair.certificate).unwrap();
    std::fs::write(&files.key, &pair.key).unwrap();
    files
}

/// A client that trusts `authority`, and shows a certificate if it is given one.
pub(super) fn client(authority: &str, own: Option<&Pair>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap())
        .unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(super::load::provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    match own {
        None => builder.with_no_client_auth(),
        Some(Pair { certificate, key }) => builder
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            )
            .unwrap(),
    }
}

/// Shakes hands in memory and returns the protocol agreed on.
pub(super) fn handshake(server: &Arc<ServerConfig>, client: ClientConfig, name: &str) -> io::Result<Option<Vec<u8>>> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
    let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
    while client.wants_write() || server.wants_write() {
        let mut sent = Vec::new();
        client.write_tls(&mut sent)?;
        server.read_tls(&mut sent.as_slice())?;
        server.process_new_packets().map_err(io::Error::other)?;
        let mut sent = Vec::new();
        server.write_tls(&mut sent)?;
        client.read_tls(&mut sent.as_slice())?;
        client.process_new_packets().map_err(io::Error::other)?;
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok(client.alpn_protocol().map(<[u8]>::to_vec))
}
