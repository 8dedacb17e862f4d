//! What keeps `pullkey webhook` from starting. (`tests/webhook.rs` has what it does once it runs.)

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, SystemTime};

use insta::assert_snapshot;
use pullkey::certs::make::{Authority, Names, Pair};
use tempfile::TempDir;

use crate::transcript::{run, run_all};

const DAY: Duration = Duration::from_hours(24);

fn pair(now: SystemTime) -> Pair {
    Authority::new(now)
        .unwrap()
        .issue(&Names::this_machine(), DAY, now)
        .unwrap()
}

/// A directory with rules and, as `NAME.crt` and `NAME.key`, pairs.
fn shelf(pairs: &[(&str, &Pair)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
    fs::create_dir(directory.path().join("config")).unwrap();
    put("config/rules.yaml", include_str!("../../config/rules.yaml"));
    for (name, pair) in pairs {
        put(&format!("{name}.crt"), &pair.certificate);
        put(&format!("{name}.key"), &pair.key);
    }
    directory
}

fn serve(directory: &Path, lines: &[&str]) -> String {
    let lines: Vec<_> = lines.iter().map(|options| format!("webhook {options}")).collect();
    run_all(directory, &lines.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn certificates_that_cannot_serve_are_refused() {
    let now = SystemTime::now();
    let shelf = shelf(&[
        ("good", &pair(now)),
        ("other", &pair(now)),
        ("expired", &pair(now - 2 * DAY)),
    ]);
    fs::write(shelf.path().join("text.pem"), "no PEM").unwrap();
    assert_snapshot!(serve(
        shelf.path(),
        &[
            "--tls-cert missing.crt --tls-key good.key",
            "--tls-cert good.crt --tls-key config",
            "--tls-cert good.crt --tls-key other.key",
            "--tls-cert expired.crt --tls-key expired.key",
            "--tls-cert good.key --tls-key good.crt",
            "--tls-cert good.crt --tls-key good.key --client-ca text.pem",
            "--tls-cert good.crt --tls-key good.key --client-ca missing.pem",
            "--tls-cert good.crt",
            "--tls-key good.key",
        ],
    ));
}

#[test]
fn development_certificates_that_cannot_be_used_are_left_alone() {
    let shelf = shelf(&[]);
    let certs = shelf.path().join("certs");
    fs::create_dir(&certs).unwrap();
    fs::write(certs.join("tls.key"), "precious").unwrap();
    assert_snapshot!(run(shelf.path(), &["webhook"]));
    assert_eq!(fs::read_dir(&certs).unwrap().count(), 1);
}

#[test]
fn a_port_in_use_is_the_environments_fault() {
    let shelf = shelf(&[]);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    assert_snapshot!(serve(
        shelf.path(),
        &[
            &format!("--listen {taken} --health-listen none"),
            &format!("--listen 127.0.0.1:0 --health-listen {taken}"),
            "--listen 192.0.2.1:8443 --health-listen none",
        ],
    ));
}

#[test]
fn values_that_mean_nothing_are_refused() {
    let shelf = shelf(&[]);
    assert_snapshot!(serve(
        shelf.path(),
        &[
            "--listen 8443",
            "--listen localhost:8443",
            "--health-listen off",
            "--drain-grace 15",
            "--drain-grace -1s",
            "--settle-new-namespaces 2s",
            "--max-connections 0",
            "--max-in-flight many",
            "--log-format yaml",
            "--log-level loud",
            "--tls-certificate x",
            "extra",
        ],
    ));
}
