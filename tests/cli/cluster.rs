//! `--cluster` where no cluster is to be had. (What it does on one is in the e2e tests.)

use std::fs;

use insta::assert_snapshot;
use tempfile::TempDir;

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
