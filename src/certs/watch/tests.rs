use std::cell::Cell;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use rcgen::{PKCS_ECDSA_P256_SHA256, date_time_ymd};

use super::super::files::serving;
use super::super::fixtures::{DAY, client, handshake, named, pair, put, self_signed};
use super::super::make::{Authority, Pair};
use super::*;

const PROTOCOLS: &[&[u8]] = &[b"h2", b"http/1.1"];

fn now() -> SystemTime {
    SystemTime::now()
}

fn started(directory: &Path, dns: &str) -> Watch {
    Watch::start(put(directory, &pair(dns)), PROTOCOLS, now()).unwrap()
}

fn served(watch: &Watch) -> &str {
    watch.facts().unwrap().dns_names.first().unwrap()
}

#[test]
fn a_swapped_symlink_is_noticed() {
    let volume = tempfile::tempdir().unwrap();
    let publish = |version: &str, pair: &Pair| {
        fs::create_dir(volume.path().join(version)).unwrap();
        put(&volume.path().join(version), pair);
        symlink(version, volume.path().join("..new")).unwrap();
        fs::rename(volume.path().join("..new"), volume.path().join("..data")).unwrap();
    };
    publish("..1", &pair("one.example"));
    for name in ["tls.crt", "tls.key"] {
        symlink(Path::new("..data").join(name), volume.path().join(name)).unwrap();
    }
    let mut watch = Watch::start(serving(volume.path()), PROTOCOLS, now()).unwrap();
    assert_eq!(served(&watch), "one.example");
    assert!(matches!(watch.look(now()), Look::Unchanged));

    publish("..2", &pair("two.example"));
    fs::remove_dir_all(volume.path().join("..1")).unwrap();
    let Look::Replaced(facts) = watch.look(now()) else {
        panic!()
    };
    assert_eq!(facts.dns_names, ["two.example"]);
    assert!(matches!(watch.look(now()), Look::Unchanged));
}

#[test]
fn whoever_waits_serves_nothing_until_there_is_a_certificate() {
    let directory = tempfile::tempdir().unwrap();
    let mut watch = Watch::waiting(serving(directory.path()), PROTOCOLS).unwrap();
    assert!(watch.facts().is_none());
    assert!(matches!(watch.look(now()), Look::Refused { repeated: false, .. }));
    assert!(matches!(watch.look(now()), Look::Refused { repeated: true, .. }));

    let authority = Authority::new(now()).unwrap();
    let shakes_hands = |watch: &Watch| {
        let client = client(&authority.pair().certificate, None);
        handshake(&watch.config().load(), client, "a.example").is_ok()
    };
    assert!(!shakes_hands(&watch));
    put(
        directory.path(),
        &authority.issue(&named("a.example"), DAY, now()).unwrap(),
    );
    assert!(matches!(watch.look(now()), Look::Replaced(_)));
    assert!(shakes_hands(&watch));
    assert_eq!(served(&watch), "a.example");
}

#[test]
fn new_connections_get_the_new_certificate_and_the_offered_protocol() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new(now()).unwrap();
    let trusting = || {
        let mut client = client(&authority.pair().certificate, None);
        client.alpn_protocols = vec![b"http/1.1".to_vec()];
        client
    };
    let files = put(
        directory.path(),
        &authority.issue(&named("one.example"), DAY, now()).unwrap(),
    );
    let mut watch = Watch::start(files, PROTOCOLS, now()).unwrap();
    let config = watch.config();
    assert_eq!(
        handshake(&config.load(), trusting(), "one.example").unwrap().unwrap(),
        b"http/1.1"
    );

    put(
        directory.path(),
        &authority.issue(&named("two.example"), DAY, now()).unwrap(),
    );
    watch.look(now());
    assert!(handshake(&config.load(), trusting(), "two.example").is_ok());
    assert!(handshake(&config.load(), trusting(), "one.example").is_err());
}

#[test]
fn what_cannot_serve_never_replaces_what_does() {
    let directory = tempfile::tempdir().unwrap();
    let mut watch = started(directory.path(), "good.example");
    let expired = self_signed(&PKCS_ECDSA_P256_SHA256, |parameters| {
        parameters.not_after = date_time_ymd(2020, 1, 1);
    });
    for (case, certificate, key, reason) in [
        (
            "mismatch",
            pair("a.example").certificate,
            pair("b.example").key,
            "the key does not belong to the certificate",
        ),
        (
            "empty",
            String::new(),
            String::new(),
            "the certificate file holds no PEM certificate",
        ),
        (
            "expired",
            expired.certificate,
            expired.key,
            "the certificate expired at 2020-01-01T00:00:00Z",
        ),
    ] {
        put(directory.path(), &Pair { certificate, key });
        let Look::Refused {
            reason: error,
            repeated: false,
        } = watch.look(now())
        else {
            panic!("{case}")
        };
        assert_eq!(std::error::Error::source(&error).unwrap().to_string(), reason, "{case}");
        assert!(
            matches!(watch.look(now()), Look::Refused { repeated: true, .. }),
            "{case}"
        );
        assert_eq!(served(&watch), "good.example", "{case}");
    }
    fs::remove_file(directory.path().join("tls.key")).unwrap();
    assert!(matches!(
        watch.look(now()),
        Look::Refused {
            reason: LoadError::Unreadable { .. },
            repeated: false
        }
    ));

    put(directory.path(), &pair("better.example"));
    assert!(matches!(watch.look(now()), Look::Replaced(_)));
    assert_eq!(served(&watch), "better.example");
}

#[test]
fn a_certificate_of_the_future_is_taken_when_its_time_comes() {
    let directory = tempfile::tempdir().unwrap();
    let mut watch = started(directory.path(), "old.example");
    let tomorrow = now() + DAY;
    put(
        directory.path(),
        &Authority::new(tomorrow)
            .unwrap()
            .issue(&named("new.example"), DAY, tomorrow)
            .unwrap(),
    );
    assert!(matches!(watch.look(now()), Look::Refused { .. }));
    assert!(matches!(watch.look(tomorrow), Look::Replaced(_)));
}

#[test]
fn at_the_start_whatever_is_wrong_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let mixed = Pair {
        certificate: pair("a.example").certificate,
        key: pair("b.example").key,
    };
    let error = Watch::start(put(directory.path(), &mixed), PROTOCOLS, now()).unwrap_err();
    assert!(
        error.to_string().starts_with("cannot serve with the certificate `"),
        "{error}"
    );
    assert!(error.hint().is_some());
    let missing = Watch::start(serving(&directory.path().join("nowhere")), PROTOCOLS, now()).unwrap_err();
    assert!(missing.is_unreadable());
    fs::write(directory.path().join("tls.crt"), vec![b'-'; 1024 * 1024 + 1]).unwrap();
    let large = Watch::start(serving(directory.path()), PROTOCOLS, now()).unwrap_err();
    assert!(matches!(large, LoadError::TooLarge { .. }));
}

#[test]
fn a_swap_between_two_reads_is_read_again() {
    let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let files = put(old.path(), &pair("old.example"));
    let new = put(new.path(), &pair("new.example"));
    let torn = Files {
        certificate: new.certificate.clone(),
        ..files
    };
    let reads = Cell::new(0);
    let read = || {
        reads.set(reads.get() + 1);
        if reads.get() == 1 { torn.read() } else { new.read() }
    };
    let (contents, (_, facts)) = settle(read, |contents| new.configure(contents, PROTOCOLS, now())).unwrap();
    assert_eq!(facts.dns_names, ["new.example"]);
    assert!(contents == new.read().unwrap());
    assert_eq!(reads.get(), 2);
    let forever = settle(|| torn.read(), |contents| torn.configure(contents, PROTOCOLS, now()));
    assert!(matches!(
        forever,
        Err(LoadError::Pair {
            source: Unusable::Mismatch,
            ..
        })
    ));
}

#[test]
fn callers_must_show_a_certificate_of_the_current_client_authority() {
    let directory = tempfile::tempdir().unwrap();
    let server = Authority::new(now()).unwrap();
    let mut files = put(
        directory.path(),
        &server.issue(&named("a.example"), DAY, now()).unwrap(),
    );
    let callers = [0, 1].map(|_| self_signed(&PKCS_ECDSA_P256_SHA256, |_| {}));
    let path = directory.path().join("clients.crt");
    fs::write(&path, &callers[0].certificate).unwrap();
    files.client_authorities = Some(path.clone());
    let mut watch = Watch::start(files, PROTOCOLS, now()).unwrap();
    let config = watch.config();
    let accepted =
        |own: Option<&Pair>| handshake(&config.load(), client(&server.pair().certificate, own), "a.example").is_ok();
    assert_eq!(
        [None, Some(&callers[0]), Some(&callers[1])].map(accepted),
        [false, true, false]
    );

    fs::write(&path, &callers[1].certificate).unwrap();
    assert!(matches!(watch.look(now()), Look::Replaced(_)));
    assert_eq!(
        [None, Some(&callers[0]), Some(&callers[1])].map(accepted),
        [false, false, true]
    );

    fs::write(&path, "").unwrap();
    assert!(matches!(
        watch.look(now()),
        Look::Refused {
            reason: LoadError::ClientAuthorities { .. },
            ..
        }
    ));
    assert_eq!(
        [None, Some(&callers[0]), Some(&callers[1])].map(accepted),
        [false, false, true]
    );
}
