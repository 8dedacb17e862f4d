use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;
use rcgen::{ExtendedKeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PKCS_RSA_SHA256, date_time_ymd};

use super::super::fixtures::{DAY, bare_key, named, pair, pem, self_signed};
use super::super::make::{Authority, CLOCK_SKEW, Pair};
use super::*;

fn judge_now(pair: &Pair) -> Result<KeyPair, Unusable> {
    judge(pair.certificate.as_bytes(), pair.key.as_bytes(), SystemTime::now())
}

#[test]
fn a_good_pair_tells_its_names_and_times() {
    let now = UNIX_EPOCH + Duration::from_hours(500_000);
    let pair = Authority::new(now)
        .unwrap()
        .issue(&named("pullkey.example"), DAY, now)
        .unwrap();
    let facts = judge(pair.certificate.as_bytes(), pair.key.as_bytes(), now)
        .unwrap()
        .facts;
    assert_eq!(facts.dns_names, ["pullkey.example"]);
    assert_eq!(facts.addresses, ["10.0.0.1".parse::<IpAddr>().unwrap()]);
    assert_eq!(facts.issuer, "CN=Pullkey CA");
    assert_eq!(facts.not_before, now - CLOCK_SKEW);
    assert_eq!(facts.not_after, now + DAY);
}

#[test]
fn keys_of_every_form_are_read() {
    let elliptic = self_signed(&PKCS_ECDSA_P256_SHA256, |_| {});
    let rsa = self_signed(&PKCS_RSA_SHA256, |_| {});
    let edwards = self_signed(&PKCS_ED25519, |_| {});
    let sec1 = pem("EC PRIVATE KEY", &bare_key(&elliptic.key));
    let parameters = pem("EC PARAMETERS", &[6, 8, 42, 134, 72, 206, 61, 3, 1, 7]);
    for (form, certificate, key) in [
        ("PKCS#8 P-256", &elliptic.certificate, elliptic.key.clone()),
        ("PKCS#8 RSA", &rsa.certificate, rsa.key.clone()),
        ("PKCS#8 Ed25519", &edwards.certificate, edwards.key.clone()),
        ("SEC1", &elliptic.certificate, sec1.clone()),
        ("SEC1 after its parameters", &elliptic.certificate, parameters + &sec1),
        ("PKCS#1", &rsa.certificate, pem("RSA PRIVATE KEY", &bare_key(&rsa.key))),
        (
            "beside the certificate",
            &elliptic.certificate,
            elliptic.certificate.clone() + &elliptic.key,
        ),
        (
            "with other line ends",
            &elliptic.certificate,
            elliptic.key.replace('\n', "\r\n"),
        ),
    ] {
        let judged = judge_now(&Pair {
            certificate: certificate.clone(),
            key,
        });
        assert!(judged.is_ok(), "{form}: {judged:?}");
    }
}

#[test]
fn what_cannot_serve_is_refused_with_its_reason() {
    let good = pair("pullkey.example");
    let other = pair("pullkey.example");
    let with = |certificate: &str, key: &str| Pair {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
    };
    let own = |change: fn(&mut rcgen::CertificateParams)| self_signed(&PKCS_ECDSA_P256_SHA256, change);
    let wrong_base64 = |text: &str| text.replace("\nM", "\n!");
    for (case, pair, reason) in [
        ("nothing", with("", ""), Unusable::NoCertificate),
        ("no PEM", with("certificate", &good.key), Unusable::NoCertificate),
        ("swapped", with(&good.key, &good.certificate), Unusable::NoCertificate),
        ("no key", with(&good.certificate, ""), Unusable::NoKey),
        (
            "a certificate as key",
            with(&good.certificate, &good.certificate),
            Unusable::NoKey,
        ),
        (
            "two keys",
            with(&good.certificate, &(good.key.clone() + &other.key)),
            Unusable::SeveralKeys(2),
        ),
        ("another's key", with(&good.certificate, &other.key), Unusable::Mismatch),
        (
            "the CA first",
            with(&(other.certificate.clone() + &good.certificate), &good.key),
            Unusable::Mismatch,
        ),
        (
            "half a certificate",
            with(good.certificate.split_at(200).0, &good.key),
            Unusable::DamagedPem(Part::Certificate),
        ),
        (
            "half a key",
            with(&good.certificate, good.key.split_at(100).0),
            Unusable::DamagedPem(Part::Key),
        ),
        (
            "a key not base64",
            with(&good.certificate, &wrong_base64(&good.key)),
            Unusable::DamagedPem(Part::Key),
        ),
        (
            "no certificate inside",
            with(&pem("CERTIFICATE", b"no"), &good.key),
            Unusable::UnreadableCertificate(1),
        ),
        (
            "a broken chain",
            with(&(good.certificate.clone() + &pem("CERTIFICATE", b"no")), &good.key),
            Unusable::UnreadableCertificate(2),
        ),
        (
            "no key inside",
            with(&good.certificate, &pem("PRIVATE KEY", b"no")),
            Unusable::UnsupportedKey,
        ),
        (
            "encrypted PKCS#8",
            with(&good.certificate, &good.key.replace("PRIVATE", "ENCRYPTED PRIVATE")),
            Unusable::EncryptedKey,
        ),
        (
            "encrypted PKCS#1",
            with(
                &good.certificate,
                "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n",
            ),
            Unusable::EncryptedKey,
        ),
        (
            "a common name only",
            own(|parameters| parameters.subject_alt_names.clear()),
            Unusable::NoNames,
        ),
        (
            "for clients",
            own(|parameters| parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]),
            Unusable::NotForServers,
        ),
        (
            "expired",
            own(|parameters| parameters.not_after = date_time_ymd(2020, 1, 1)),
            Unusable::Expired {
                not_after: UNIX_EPOCH + Duration::from_hours(438_288),
            },
        ),
        (
            "of the future",
            own(|parameters| parameters.not_before = date_time_ymd(2100, 1, 1)),
            Unusable::NotYetValid {
                not_before: UNIX_EPOCH + Duration::from_hours(1_139_568),
            },
        ),
    ] {
        assert_eq!(judge_now(&pair).unwrap_err(), reason, "{case}");
    }
}

#[test]
fn a_certificate_serves_up_to_its_last_second() {
    let now = UNIX_EPOCH + Duration::from_hours(500_000);
    let Pair { certificate, key } = Authority::new(now)
        .unwrap()
        .issue(&named("a.example"), DAY, now)
        .unwrap();
    let at = |instant| judge(certificate.as_bytes(), key.as_bytes(), instant).map(|_| ());
    assert_eq!(at(now - CLOCK_SKEW), Ok(()));
    assert_eq!(at(now + DAY), Ok(()));
    let early = at(now - CLOCK_SKEW - Duration::from_secs(1)).unwrap_err();
    assert_eq!(
        early.to_string(),
        "the certificate is valid only from 2027-01-15T07:00:00Z"
    );
    let late = at(now + DAY + Duration::from_secs(1)).unwrap_err();
    assert_eq!(late.to_string(), "the certificate expired at 2027-01-16T08:00:00Z");
}

#[test]
fn authorities_are_one_or_more_certificates() {
    let two = pair("a.example").certificate + &pair("b.example").certificate;
    assert_eq!(authorities(two.as_bytes()).unwrap().len(), 2);
    assert_eq!(authorities(b"").unwrap_err(), Unusable::NoCertificate);
    let broken = two + &pem("CERTIFICATE", b"no");
    assert_eq!(
        authorities(broken.as_bytes()).unwrap_err(),
        Unusable::UnreadableCertificate(3)
    );
}

#[test]
fn no_output_holds_key_material() {
    let pair = pair("pullkey.example");
    let shown = format!("{pair:?} {:?}", judge_now(&pair).unwrap());
    let damaged = pair.key.replace("-----END", "----END");
    let refused = judge(pair.certificate.as_bytes(), damaged.as_bytes(), SystemTime::now()).unwrap_err();
    let shown = format!("{shown} {refused} {refused:?}");
    for line in pair.key.lines().filter(|line| !line.starts_with("-----")) {
        assert!(!shown.contains(line));
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), label in "CERTIFICATE|(EC |RSA )?PRIVATE KEY") {
        let text = pem(&label, &bytes);
        let good = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        prop_assert!(judge(text.as_bytes(), text.as_bytes(), SystemTime::now()).is_err());
        prop_assert!(judge(text.as_bytes(), good.as_bytes(), SystemTime::now()).is_err());
        prop_assert!(judge(&bytes, &bytes, SystemTime::now()).is_err());
    }
}
