//! `pullkey check --credentials`: what is wrong with pull secrets. (What `explain` says of them is in `explain`.)

use std::fs;
use std::path::Path;

use insta::assert_snapshot;
use serde_json::Value;
use tempfile::TempDir;

use crate::program::program;
use crate::transcript::{run, run_all, run_with_input};

/// A manifest of one Secret, on five lines.
fn secret(name: &str, of_type: &str, content: &str) -> String {
    format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: n}}\ntype: {of_type}\n{content}\n")
}

fn dockerconfigjson(name: &str, config: &str) -> String {
    let content = format!("stringData:\n  .dockerconfigjson: '{config}'");
    secret(name, "kubernetes.io/dockerconfigjson", &content)
}

const GOOD: &str = r#"{"auths":{"ghcr.io":{"username":"me","password":"x"}}}"#;

fn shelf(files: &[(&str, String)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("config")).unwrap();
    let rules = include_str!("../../config/rules.yaml");
    fs::write(directory.path().join("config/rules.yaml"), rules).unwrap();
    for (name, text) in files {
        fs::write(directory.path().join(name), text).unwrap();
    }
    directory
}

/// The severity, place and message of everything that is found in one file.
fn findings(directory: &Path, name: &str) -> Vec<String> {
    let line = ["check", "-o", "json", "--credentials", name];
    let output = program(directory, &line).output().unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["credentials"], serde_json::json!([name]));
    let of = |list: &str| answer[list].as_array().unwrap().clone();
    let is_good = of("mistakes").is_empty();
    assert_eq!(output.status.code(), Some(i32::from(!is_good)), "{name}");
    let findings = [of("mistakes"), of("warnings")].concat();
    let text = |finding: &Value| {
        assert_eq!(finding["file"], name);
        assert_eq!(finding.get("value"), None);
        let place = finding.get("line").map(|line| format!("{line}: ")).unwrap_or_default();
        let (severity, message) = (&finding["severity"], &finding["message"]);
        format!("{} {place}{}", severity.as_str().unwrap(), message.as_str().unwrap())
    };
    findings.iter().map(text).collect()
}

/// Each row has a manifest of the Secret `n/x` and what is found in it; `S:` stands for the Secret's name.
fn assert_found(rows: &[(&str, String, &[&str])]) {
    for (claim, text, expected) in rows {
        let shelf = shelf(&[("s.yaml", text.clone())]);
        let expected: Vec<_> = expected
            .iter()
            .map(|finding| finding.replace("S:", "the Secret `n/x`:"))
            .collect();
        assert_eq!(findings(shelf.path(), "s.yaml"), expected, "{claim}");
    }
}

#[test]
fn configs_are_called_what_they_are() {
    let config = |config: &str| dockerconfigjson("x", config);
    assert_found(&[
        ("a good one", config(GOOD), &[]),
        (
            "the legacy shape",
            config(r#"{"ghcr.io":{"auth":"YTpi"}}"#),
            &["error 6: S: it has the flat shape of a legacy `.dockercfg`, so no entry counts: wrap it in `auths`"],
        ),
        (
            "no colon",
            config(r#"{"auths":{"ghcr.io":{"auth":"YQ=="}}}"#),
            &[
                "error 6: S: the kubelet refuses every Pod that names it, since `auth` of the entry `ghcr.io` is not base64 \
               of `username:password`",
            ],
        ),
        (
            "no base64",
            config(r#"{"auths":{"ghcr.io":{"auth":"a:b"}}}"#),
            &[
                "error 6: S: the kubelet refuses every Pod that names it, since `auth` of the entry `ghcr.io` is not base64",
            ],
        ),
        (
            "a number",
            config(r#"{"auths":{"ghcr.io":{"password":5}}}"#),
            &[
                "error 6: S: the kubelet refuses every Pod that names it, since `password` of the entry `ghcr.io` is not a \
               string",
            ],
        ),
        (
            "no JSON",
            config("{"),
            &[
                "error 6: S: the kubelet refuses every Pod that names it, since the docker config is not JSON at line 1, \
               column 1",
            ],
        ),
        (
            "a store",
            config(r#"{"auths":{"ghcr.io":{}},"credsStore":"desktop"}"#),
            &["error 6: S: it names a credential store and holds no credentials itself"],
        ),
        (
            "nothing",
            config(r#"{"auths":{}}"#),
            &["error 6: S: it holds no credentials"],
        ),
        (
            "blank beside good",
            config(r#"{"auths":{"a.b":{},"a.c":{"auth":"YTpi"}}}"#),
            &["warning 6: S: entries that hold neither username nor password: 1"],
        ),
        (
            "useless beside good",
            config(r#"{"auths":{"a b":{},"a.c":{"auth":"YTpi"}}}"#),
            &["warning 6: S: entries whose key can serve no image: 1"],
        ),
    ]);
}

#[test]
fn manifests_are_called_what_they_are() {
    let json = "kubernetes.io/dockerconfigjson";
    let legacy = "kubernetes.io/dockercfg";
    assert_found(&[
        (
            "a good legacy one",
            secret("x", legacy, r#"stringData: {.dockercfg: '{"a.b":{"auth":"YTpi"}}'}"#),
            &[],
        ),
        (
            "a new one of the old type",
            secret("x", legacy, &format!("stringData:\n  .dockercfg: '{GOOD}'")),
            &["error 6: S: it holds no credentials"],
        ),
        (
            "the other type's key",
            secret("x", json, "stringData: {.dockercfg: '{}'}"),
            &["error 3: the Secret `n/x` has nothing under `.dockerconfigjson`"],
        ),
        (
            "an empty value",
            secret("x", json, "data:\n  .dockerconfigjson: ''"),
            &["error 6: the Secret `n/x` has nothing under `.dockerconfigjson`"],
        ),
        (
            "another type",
            secret("x", "kubernetes.io/tls", "data: {}"),
            &["warning the Secret `n/x` is of type `kubernetes.io/tls`, and no pull secret"],
        ),
        (
            "no base64",
            secret("x", json, "data:\n  .dockerconfigjson: '{}'"),
            &["error 6: a value of `data` is not base64 in the Secret `n/x`"],
        ),
        (
            "no Secret",
            "kind: Pod\n".to_owned(),
            &["error 1: this is no Secret manifest, and as a docker config it is not JSON"],
        ),
    ]);
}

#[test]
fn every_secret_of_all_files_is_told_at_once() {
    let list = [
        dockerconfigjson("good", GOOD),
        dockerconfigjson("flat", r#"{"ghcr.io":{"auth":"YTpi"}}"#),
        secret("tls", "kubernetes.io/tls", "data: {}"),
        dockerconfigjson("no-colon", r#"{"auths":{"ghcr.io":{"auth":"YQ=="}}}"#),
    ];
    let shelf = shelf(&[
        ("list.yaml", list.join("---\n")),
        ("config.json", r#"{"auths":{},"credsStore":"desktop"}"#.to_owned()),
        ("cut.json", "{".to_owned()),
        ("x.dockercfg", r#"{"ghcr.io":{"auth":"YTpi"}}"#.to_owned()),
        ("bad.yaml", "kind: Nothing\n".to_owned()),
    ]);
    assert_snapshot!(run_all(
        shelf.path(),
        &[
            "check --credentials list.yaml config.json cut.json x.dockercfg --rules bad.yaml",
            "check --credentials list.yaml --credentials x.dockercfg -o json",
            "check --credentials x.dockercfg",
            "check --credentials missing.json",
            "check --credentials",
        ],
    ));
}

#[test]
fn what_kubectl_prints_is_read_from_standard_input() {
    let secret = dockerconfigjson("x", r#"{"ghcr.io":{"auth":"YTpi"}}"#);
    let list = format!(
        "apiVersion: v1\nkind: List\nitems:\n- {}",
        secret.trim_end().replace('\n', "\n  ")
    );
    let said = run_with_input(shelf(&[]).path(), &["check", "--credentials", "-"], &list);
    assert!(
        said.contains("status: 1") && said.contains("error: the Secret `n/x`: it has the flat shape"),
        "{said}"
    );
    assert!(said.contains("  --> -:9:24"), "{said}");
}

#[test]
fn explain_answers_all_the_same() {
    let broken = dockerconfigjson("x", r#"{"auths":{"ghcr.io":{"auth":"YQ=="}}}"#);
    let shelf = shelf(&[("s.yaml", broken)]);
    let checked = run(shelf.path(), &["check", "--credentials", "s.yaml"]);
    let explained = run(shelf.path(), &["explain", "--credentials", "s.yaml", "nginx"]);
    let (_, checked) = checked.split_once("error: ").unwrap();
    let (checked, _) = checked.split_once("\n\n").unwrap();
    assert!(explained.contains("status: 0"), "{explained}");
    assert!(explained.contains(&format!("warning: {checked}")), "{explained}");
}
