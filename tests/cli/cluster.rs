//! `--cluster` where no cluster is to be had. (What it does on one is in the e2e tests.)

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::Stdio;

use insta::assert_snapshot;
use tempfile::TempDir;

use crate::program::program;
use crate::transcript::run;

/// A directory with a kubeconfig that leads nowhere.
fn nowhere() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    // Nobody listens at this port.
    let kubeconfig = r#"{"apiVersion": "v1", "kind": "Config", "current-context": "nowhere",
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "contexts": [{"name": "nowhere", "context": {"cluster": "c", "user": "", "namespace": "team-z"}}]}"#;
    fs::write(directory.path().join("kubeconfig"), kubeconfig).unwrap();
    directory
}

#[test]
fn what_was_looked_for_and_where_is_said() {
    let nowhere = nowhere();
    for (name, line) in [
        (
            "unreachable_for_explain",
            "explain --cluster --kubeconfig kubeconfig nginx",
        ),
        (
            "unreachable_for_an_object",
            "explain --cluster --kubeconfig kubeconfig -n a deploy/web",
        ),
        (
            "unreachable_for_check",
            "check --cluster --kubeconfig kubeconfig --context nowhere",
        ),
        ("unreachable_for_doctor", "doctor --kubeconfig kubeconfig"),
        ("no_such_kubeconfig", "check --cluster --kubeconfig missing"),
        (
            "no_such_context",
            "check --cluster --kubeconfig kubeconfig --context other",
        ),
    ] {
        let words: Vec<_> = line.split(' ').collect();
        assert_snapshot!(name, run(nowhere.path(), &words));
    }
}

#[test]
fn what_is_wrong_with_files_is_said_before_any_cluster_is_asked() {
    let nowhere = nowhere();
    fs::write(nowhere.path().join("rules.yaml"), "kind: Rule").unwrap();
    let line = [
        "explain",
        "--cluster",
        "--kubeconfig",
        "kubeconfig",
        "--rules",
        "rules.yaml",
        "nginx",
    ];
    assert_snapshot!("mistake_before_cluster", run(nowhere.path(), &line));
}

#[test]
fn options_of_a_cluster_need_one() {
    let nowhere = nowhere();
    assert_snapshot!(
        "context_without_cluster",
        run(nowhere.path(), &["check", "--context", "c"])
    );
    assert_snapshot!(
        "labels_beside_cluster",
        run(
            nowhere.path(),
            &["explain", "--cluster", "--namespace-label", "a=b", "nginx"]
        )
    );
}

#[test]
fn a_proxy_of_the_environment_is_gone_through() {
    let nowhere = nowhere();
    let kubeconfig = nowhere.path().join("kubeconfig");
    let text = fs::read_to_string(&kubeconfig).unwrap();
    fs::write(
        &kubeconfig,
        text.replace("http://127.0.0.1:1", "https://cluster.invalid"),
    )
    .unwrap();
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut check = program(nowhere.path(), &["check", "--cluster", "--kubeconfig", "kubeconfig"]);
    check.env("HTTPS_PROXY", format!("http://{}", proxy.local_addr().unwrap()));
    let mut check = check.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut asked = String::new();
    BufReader::new(proxy.accept().unwrap().0).read_line(&mut asked).unwrap();
    assert_eq!(asked, "CONNECT cluster.invalid:443 HTTP/1.1\r\n");
    assert_eq!(check.wait().unwrap().code(), Some(2));
}
