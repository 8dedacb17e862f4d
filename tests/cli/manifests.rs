//! `pullkey manifests`: what it refuses. (`tests/manifests.rs` has what it prints.)

use std::fs;
use std::path::Path;

use insta::assert_snapshot;

use crate::program::program;
use crate::transcript::{run, run_all};

/// A rule that copies nothing.
const OWN: &str = "\
apiVersion: pullkey.dev/v1alpha1
kind: PullSecretRule
metadata: {name: own, namespace: team-a}
spec: {images: [registry.example], secret: {name: own}}
";

fn put(directory: &Path, name: &str, text: &str) {
    fs::write(directory.join(name), text).unwrap();
}

#[test]
fn values_that_make_no_installation_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    put(directory.path(), "no.pem", "no PEM");
    put(directory.path(), "own.yaml", OWN);
    assert_snapshot!(run_all(
        directory.path(),
        &[
            "manifests --namespace Team",
            "manifests --namespace kube-system",
            "manifests --image ghcr.io/Acme/pullkey",
            "manifests --image-pull-secret a_b",
            "manifests --replicas 0",
            "manifests --replicas 1 --failure-policy Fail",
            "manifests --failure-policy ignore",
            "manifests --https-port 8080",
            "manifests --timeout 31s",
            "manifests --toleration infra:NoSchedul",
            "manifests --dns-policy None",
            "manifests --certificate given",
            "manifests --certificate given --ca-bundle missing.pem",
            "manifests --certificate given --ca-bundle no.pem",
            "manifests --ca-bundle no.pem",
            "manifests --out x --output json",
            "manifests --secret-name a/b/c",
            "manifests --secret-name elsewhere/ghcr",
            "manifests --secret-names-from no.pem",
            "manifests --secret-names-from own.yaml",
        ],
    ));
    assert!(!directory.path().join("x").exists());
}

#[test]
fn rules_with_mistakes_are_not_installed() {
    let directory = tempfile::tempdir().unwrap();
    put(directory.path(), "bad.yaml", "kind: ConfigMap\n");
    put(directory.path(), "good.txt", include_str!("../../config/rules.yaml"));
    assert_snapshot!(run_all(
        directory.path(),
        &[
            "manifests --rules missing.yaml",
            "manifests --rules bad.yaml",
            "manifests --rules good.txt",
        ],
    ));
}

#[test]
fn files_that_differ_are_replaced_only_when_told_so() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let first = run(path, &["manifests", "--out", "tree"]);
    let again = run(path, &["manifests", "--out", "tree"]);
    let other = run(path, &["manifests", "--out", "tree", "--replicas", "3"]);
    let forced = run(path, &["manifests", "--out", "tree", "--replicas", "3", "--force"]);
    assert_snapshot!([first, again, other, forced].join("\n"));
    let deployment = fs::read_to_string(path.join("tree/base/deployment.yaml")).unwrap();
    assert!(deployment.contains("replicas: 3"));
}

#[test]
fn whoever_brings_a_certificate_is_told_how_and_no_key_is_printed() {
    let directory = tempfile::tempdir().unwrap();
    run(directory.path(), &["certs", "--out", ".", "--dns", "a.example"]);
    let line = ["manifests", "-n", "own", "--certificate", "given", "--ca-bundle"];
    let output = |file: &str| {
        let output = program(directory.path(), &[&line[..], &[file]].concat())
            .output()
            .unwrap();
        assert!(output.status.success());
        output
    };
    let said = output("ca.crt");
    assert_snapshot!(String::from_utf8(said.stderr).unwrap());
    // A file that holds the key as well registers the same.
    let read = |name: &str| fs::read_to_string(directory.path().join(name)).unwrap();
    put(directory.path(), "both.pem", &(read("ca.key") + &read("ca.crt")));
    assert_eq!(output("both.pem").stdout, said.stdout);
}
