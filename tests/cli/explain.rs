//! `pullkey explain` as people see it: its text, and what it says of bad input. (`tests/explain.rs` has its JSON.)

use std::fs;
use std::path::Path;

use insta::assert_snapshot;
use tempfile::TempDir;

use crate::transcript::{run, run_all, run_with_input};

const RULES: &str = include_str!("../../config/rules.yaml");
const POD: &str =
    "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: team-a}\nspec: {containers: [{image: nginx}]}\n";
const REVIEW: &str = r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u","operation":"CREATE",
"resource":{"group":"","version":"v1","resource":"pods"},"namespace":"team-a","object":{"spec":{"containers":[{"image":"nginx"}]}}}}"#;

fn shelf(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("config")).unwrap();
    fs::write(directory.path().join("config/rules.yaml"), RULES).unwrap();
    for (name, text) in files {
        fs::write(directory.path().join(name), text).unwrap();
    }
    directory
}

fn secret(of_type: &str, content: &str) -> String {
    format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\ntype: kubernetes.io/{of_type}\n{content}\n")
}

fn explain_each(directory: &Path, option: &str, files: &[(&str, &str)]) -> String {
    let lines: Vec<_> = files
        .iter()
        .map(|(name, _)| format!("explain {option} {name} nginx"))
        .collect();
    run_all(directory, &lines.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn images_are_explained() {
    let digest = format!("ghcr.io/acme/public/x:1@sha256:{}", "a".repeat(64));
    assert_snapshot!(run(
        shelf(&[]).path(),
        &[
            "explain",
            "-n",
            "team-a",
            "nginx",
            "ghcr.io/acme/app:v1",
            &digest,
            "quay.io/acme/x",
            "mcr.example/x",
            "UPPER"
        ],
    ));
}

#[test]
fn manifests_are_explained() {
    let manifest = "apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: team-a}
spec:
  template:
    spec:
      imagePullSecrets: [{name: old}]
      initContainers: [{name: i, image: \"harbor.team-a.example:8443/x/init:v1\"}]
      containers:
      - {name: a, image: \"ghcr.io/acme/app:v1\"}
      - {name: b, image: Bad Image}
      volumes: [{name: m, image: {reference: \"quay.io/acme/model:1\"}}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Pod, metadata: {generateName: x-}, spec: {containers: [{image: 1.dkr.ecr.eu.amazonaws.com/x}]}}
";
    let shelf = shelf(&[("web.yaml", manifest)]);
    assert_snapshot!(run(shelf.path(), &["explain", "-f", "web.yaml"]));
}

#[test]
fn credentials_are_explained() {
    let files = [
        (
            "config.json",
            r#"{"auths":{"https://x@ghcr.io/acme":{"auth":"bWU6cHc="},"ghcr.io":{}}}"#,
        ),
        ("broken.json", r#"{"auths":{"ghcr.io":{"auth":"bWU"}}}"#),
        (
            "ignored.yaml",
            "{apiVersion: v1, kind: Secret, metadata: {name: \"\\e[1m\", namespace: n}, type: \"\\u202e\"}",
        ),
    ];
    let shelf = shelf(&files);
    assert_snapshot!(run_all(
        shelf.path(),
        &[
            "explain -n team-a --credentials config.json --credentials ignored.yaml ghcr.io/acme/app nginx",
            "explain --credentials config.json --credentials broken.json nginx",
        ],
    ));
}

#[test]
fn secrets_that_hold_nothing_usable_are_called_what_they_are() {
    let files = [
        ("flat.json", r#"{"ghcr.io":{"auth":"bWU6cHc="}}"#.to_owned()),
        ("store.json", r#"{"auths":{},"credsStore":"desktop"}"#.to_owned()),
        ("blank.json", r#"{"auths":{"ghcr.io":{}}}"#.to_owned()),
        (
            "opaque.yaml",
            "{apiVersion: v1, kind: Secret, metadata: {name: s}}".to_owned(),
        ),
        ("no-key.yaml", secret("dockerconfigjson", "data: {.dockercfg: e30=}")),
        (
            "flat.yaml",
            secret(
                "dockerconfigjson",
                "stringData: {.dockerconfigjson: '{\"ghcr.io\":{\"auth\":\"bWU6cHc=\"}}'}",
            ),
        ),
    ];
    let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
    assert_snapshot!(explain_each(shelf(&files).path(), "--credentials", &files));
}

#[test]
fn credential_files_that_are_none_are_bad_input() {
    let files = [
        ("empty.json", String::new()),
        ("cut.json", r#"{"auths":{"#.to_owned()),
        ("cut.yaml", "apiVersion: [v1".to_owned()),
        ("pod.yaml", POD.to_owned()),
        ("data.yaml", secret("dockerconfigjson", "data: x")),
        ("number.yaml", secret("dockercfg", "stringData: {.dockercfg: 1}")),
        (
            "base64.yaml",
            secret("dockerconfigjson", "data: {.dockerconfigjson: \"{}\"}"),
        ),
    ];
    let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
    let shelf = shelf(&files);
    assert_snapshot!(format!(
        "{}\n{}",
        explain_each(shelf.path(), "--credentials", &files),
        run(shelf.path(), &["explain", "--credentials", "missing", "nginx"]),
    ));
}

#[test]
fn manifests_that_are_none_are_bad_input() {
    let files = [
        ("empty.yaml", String::new()),
        ("text.yaml", "just words".to_owned()),
        ("cut.yaml", "kind: {".to_owned()),
        ("twice.yaml", "kind: Pod\nkind: Pod\n".to_owned()),
        ("no-kind.yaml", format!("{POD}---\nmetadata: {{name: x}}\n---\n[]\n")),
        (
            "list.yaml",
            "{apiVersion: v1, kind: List, items: [5, {kind: Pod}]}".to_owned(),
        ),
        ("v1beta1.json", REVIEW.replace("k8s.io/v1", "k8s.io/v1beta1")),
        ("no-uid.json", REVIEW.replace("\"uid\":\"u\",", "")),
        ("no-request.json", REVIEW.replace("\"request\"", "\"Request\"")),
    ];
    let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
    let shelf = shelf(&files);
    fs::write(shelf.path().join("latin1.yaml"), b"kind: caf\xe9").unwrap();
    assert_snapshot!(format!(
        "{}\n{}",
        explain_each(shelf.path(), "-f", &files),
        run_all(
            shelf.path(),
            &[
                "explain -f latin1.yaml",
                "explain -f missing.yaml",
                "explain -f .",
                "explain -f no-kind.yaml -f list.yaml",
            ],
        ),
    ));
}

#[test]
fn a_namespace_beside_another_is_bad_input() {
    let shelf = shelf(&[("pod.yaml", POD), ("review.json", REVIEW)]);
    assert_snapshot!(run_all(
        shelf.path(),
        &[
            "explain -f pod.yaml -n team-b",
            "explain -f review.json -n team-b",
            "explain -f pod.yaml -n team-a",
        ],
    ));
}

#[test]
fn reviews_that_can_only_be_allowed_are_answered() {
    let files = [
        (
            "null.json",
            REVIEW.replace(r#"{"spec":{"containers":[{"image":"nginx"}]}}"#, "null"),
        ),
        ("no-spec.json", REVIEW.replace("\"spec\"", "\"Spec\"")),
        ("number.json", REVIEW.replace("\"nginx\"", "5")),
        ("invalid.json", REVIEW.replace("nginx", "Not An Image")),
        ("services.json", REVIEW.replace("\"pods\"", "\"services\"")),
        ("update.json", REVIEW.replace("CREATE", "UPDATE")),
    ];
    let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
    let shelf = shelf(&files);
    let lines: Vec<_> = files.iter().map(|(name, _)| format!("explain -f {name}")).collect();
    assert_snapshot!(run_all(
        shelf.path(),
        &lines.iter().map(String::as_str).collect::<Vec<_>>()
    ));
}

#[test]
fn what_was_typed_must_mean_something() {
    let shelf = shelf(&[]);
    assert_snapshot!(run_all(
        shelf.path(),
        &[
            "explain",
            "explain nginx --namespace-label team",
            "explain nginx --namespace-label =a",
            "explain nginx -o yaml",
            "explain nginx --namespaces a",
            "explain nginx -n Team_A",
            "explain nginx --own-namespace a.b",
            "check nginx",
        ],
    ));
}

#[test]
fn standard_input_is_a_file_like_any_other() {
    let shelf = shelf(&[]);
    assert_snapshot!(format!(
        "{}\n{}",
        run_with_input(shelf.path(), &["explain", "-f", "-"], POD),
        run_with_input(shelf.path(), &["explain", "-f", "-"], "kind: ["),
    ));
}

#[test]
fn no_manifest_can_draw_on_a_terminal() {
    let drawn = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a\nb\u001b[2J","namespace":"\u202e"},
"spec":{"imagePullSecrets":[{"name":"\u009b1m"}],"containers":[{"image":"\u0007nginx\r"}]}}
---
{"apiVersion":"v1","kind":"\u001b[31mService"}
"#;
    let shelf = shelf(&[("drawn.json", drawn)]);
    let said = run(shelf.path(), &["explain", "-f", "drawn.json"]);
    assert!(said.contains("status: 0") && said.contains(r"a\nb\u{1b}[2J"), "{said}");
    let is_raw = |character: &char| *character != '\n' && (character.is_control() || *character == '\u{202e}');
    assert_eq!(said.chars().find(is_raw), None, "{said:?}");
}
