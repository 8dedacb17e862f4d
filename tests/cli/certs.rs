//! `pullkey certs`.

use std::fs;

use insta::assert_snapshot;

use crate::program::program;
use crate::transcript::{run, transcript};

#[test]
fn certs_are_made_once() {
    let directory = tempfile::tempdir().unwrap();
    let line = [
        "certs",
        "--out",
        "made/here",
        "--dns",
        "pullkey.pullkey.svc",
        "--ip",
        "10.0.0.1",
        "--ip",
        "::1",
    ];
    assert_snapshot!("certs", run(directory.path(), &line));
    let key = || fs::read_to_string(directory.path().join("made/here/ca.key")).unwrap();
    let first = key();
    assert_snapshot!("certs_exist", run(directory.path(), &line));
    assert_eq!(key(), first);

    let forced = [&line[..], &["--force", "--days", "7", "-o", "json"]].concat();
    assert_snapshot!("certs_forced_json", run(directory.path(), &forced));
    assert_ne!(key(), first);
}

#[test]
fn a_certificate_is_renewed_by_the_same_ca_for_the_same_names() {
    let directory = tempfile::tempdir().unwrap();
    let renewal = ["certs", "--out", "x", "--renew"];
    assert_snapshot!("certs_renew_nothing", run(directory.path(), &renewal));

    run(
        directory.path(),
        &["certs", "--out", "x", "--dns", "a.example", "--ip", "::1"],
    );
    let files =
        || ["ca.crt", "ca.key", "tls.crt", "tls.key"].map(|name| fs::read(directory.path().join("x").join(name)));
    let made = files().map(Result::unwrap);
    assert_snapshot!("certs_renewed", run(directory.path(), &renewal));
    let renewed = files().map(Result::unwrap);
    assert_eq!(made[..2], renewed[..2]);
    assert!(made[2] != renewed[2] && made[3] != renewed[3]);

    let other = [&renewal[..], &["--dns", "b.example", "-o", "json"]].concat();
    assert_snapshot!("certs_renewed_for_another_name", run(directory.path(), &other));
    fs::write(directory.path().join("x/ca.key"), &renewed[3]).unwrap();
    assert_snapshot!("certs_renew_without_the_key", run(directory.path(), &renewal));
}

#[test]
fn certs_that_cannot_be_made_say_why() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("file"), "").unwrap();
    for (case, arguments) in [
        ("no_out", &["--dns", "a.example"][..]),
        ("no_name", &["--out", "x"]),
        ("address_as_name", &["--out", "x", "--dns", "10.0.0.1"]),
        ("bad_name", &["--out", "x", "--dns", "https://pullkey"]),
        ("bad_address", &["--out", "x", "--ip", "10.0.0"]),
        ("bad_days", &["--out", "x", "--dns", "a.example", "--days", "4000"]),
        ("not_a_directory", &["--out", "file", "--dns", "a.example"]),
    ] {
        let arguments = [&["certs"], arguments].concat();
        assert_snapshot!(format!("certs_{case}"), run(directory.path(), &arguments));
    }
    assert!(!directory.path().join("x").exists());
}

#[test]
fn variables_stand_in_for_options() {
    let directory = tempfile::tempdir().unwrap();
    let mut certs = program(directory.path(), &["certs"]);
    certs
        .env("PULLKEY_OUT", "x")
        .env("PULLKEY_DNS", "a.example:b.example")
        .env("PULLKEY_IP", "10.0.0.1:[::1]");
    certs.env("PULLKEY_FORCE", "").env("PULLKEY_DAYS", "30");
    assert_snapshot!("certs_by_variables", transcript(certs));
    let mut again = program(directory.path(), &["certs", "--dns", "c.example"]);
    again
        .env("PULLKEY_OUT", "x")
        .env("PULLKEY_DNS", "a.example:b.example")
        .env("PULLKEY_FORCE", "yes");
    assert_snapshot!("certs_options_over_variables", transcript(again));
}
