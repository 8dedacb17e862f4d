use std::sync::Arc;

use rustls::ServerConfig;

use super::super::fixtures::{DAY, client, handshake, named, pair};
use super::super::load;
use super::*;

fn server(pair: &Pair) -> Arc<ServerConfig> {
    let judged = judge::judge(pair.certificate.as_bytes(), pair.key.as_bytes(), SystemTime::now()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(load::provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(judged.certified)));
    Arc::new(config)
}

#[test]
fn clients_that_trust_the_authority_accept_its_certificates_for_their_names_only() {
    let now = SystemTime::now();
    let authority = Authority::new(now).unwrap();
    let names = Names {
        dns: vec!["pullkey.pullkey.svc".parse().unwrap(), "*.example.com".parse().unwrap()],
        addresses: vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()],
    };
    let server = server(&authority.issue(&names, DAY, now).unwrap());
    let try_as = |name| handshake(&server, client(&authority.pair().certificate, None), name);
    for name in ["pullkey.pullkey.svc", "any.example.com", "127.0.0.1", "::1"] {
        assert!(try_as(name).is_ok(), "{name}: {:?}", try_as(name));
    }
    for name in [
        "pullkey.default.svc",
        "example.com",
        "a.b.example.com",
        "127.0.0.2",
        "::2",
    ] {
        assert!(try_as(name).is_err(), "{name}");
    }
    let stranger = Authority::new(now).unwrap();
    assert!(handshake(&server, client(&stranger.pair().certificate, None), "127.0.0.1").is_err());
}

#[test]
fn an_authority_read_back_signs_for_those_who_trust_it() {
    let now = SystemTime::now();
    let first = Authority::new(now).unwrap();
    let Pair { certificate, key } = first.pair();
    let again = Authority::from_pem(certificate.as_bytes(), key.as_bytes(), now).unwrap();
    assert_eq!(again.bundle(), first.bundle());
    let server = server(&again.issue(&named("a.example"), DAY, now).unwrap());
    assert!(handshake(&server, client(certificate, None), "a.example").is_ok());
}

#[test]
fn a_foreign_or_finished_authority_does_not_sign() {
    let now = SystemTime::now();
    let Pair { certificate, key } = pair("a.example");
    let foreign = Authority::from_pem(certificate.as_bytes(), key.as_bytes(), now);
    assert!(matches!(foreign, Err(MakeError::ForeignAuthority)));
    let authority = Authority::new(now).unwrap();
    let Pair { certificate, key } = authority.pair();
    let late = Authority::from_pem(certificate.as_bytes(), key.as_bytes(), now + AUTHORITY_LIFETIME + DAY);
    assert!(matches!(late, Err(MakeError::Unusable(Unusable::Expired { .. }))));
}

#[test]
fn every_certificate_has_a_key_and_a_serial_number_of_its_own() {
    let (one, two) = (pair("a.example"), pair("a.example"));
    assert_ne!(one.key, two.key);
    assert_ne!(one.certificate, two.certificate);
}

#[test]
fn the_bundle_is_the_certificate_in_base64_on_one_line() {
    let authority = Authority::new(SystemTime::now()).unwrap();
    let bundle = authority.bundle();
    assert!(
        bundle
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte))
    );
    assert_eq!(
        STANDARD.decode(bundle).unwrap(),
        authority.pair().certificate.as_bytes()
    );
}

#[test]
fn dates_that_a_certificate_cannot_express_are_an_error() {
    let now = SystemTime::now();
    let authority = Authority::new(now).unwrap();
    let eternal = authority.issue(&named("a.example"), Duration::MAX, now);
    assert!(matches!(eternal, Err(MakeError::Date)));
    assert!(matches!(Authority::new(SystemTime::UNIX_EPOCH), Err(MakeError::Date)));
}

#[test]
fn dns_names_are_labels_joined_by_dots() {
    for name in [
        "localhost",
        "pullkey.pullkey.svc",
        "*.example.com",
        "a-b.c_d.example",
        "xn--bcher-kva.example",
    ] {
        assert_eq!(
            name.parse::<DnsName>().map(|name| name.to_string()),
            Ok(name.to_owned())
        );
    }
    for name in [
        "",
        "*",
        "a..b",
        ".a",
        "a.",
        "a b",
        "a/b",
        "-a",
        "https://a",
        "a:443",
        "bücher.example",
        "a.*.b",
    ] {
        assert_eq!(name.parse::<DnsName>(), Err(InvalidDnsName::Form), "{name}");
    }
    for name in ["127.0.0.1", "::1", "[::1]"] {
        assert_eq!(name.parse::<DnsName>(), Err(InvalidDnsName::Address), "{name}");
    }
}
