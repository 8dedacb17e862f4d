//! `pullkey check`, and what the other commands say of the same rules.

use std::fs;
use std::path::Path;

use insta::assert_snapshot;
use tempfile::TempDir;

use crate::program::program;
use crate::transcript::{run, run_all, transcript};

const GOOD: &str = "apiVersion: pullkey.dev/v1alpha1
kind: ClusterPullSecretRule
metadata: {name: acme}
spec:
  images: [ghcr.io/acme]
  namespaces: {include: [team-a]}
  secret: {name: ghcr-acme}
";

/// Rules in every state that a person leaves them in.
fn shelf() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let put = |path: &str, text: &str| {
        let path = directory.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    put("good.yaml", GOOD);
    put("warned.yaml", &GOOD.replace("ghcr.io/acme", "registry-1.docker.io"));
    put("empty.yaml", "");
    put("comments.yaml", "# rules: none yet\n---\n");
    put("syntax.yaml", "kind: [ClusterPullSecretRule\nspec: {}\n");
    put("manifest.yaml", "apiVersion: v1\nkind: ConfigMap\ndata: {key: value}\n");
    put("none/readme.txt", "no rules here");
    put("none/.hidden.yaml", GOOD);
    put("several/1-good.yaml", &GOOD.replace("acme}", "other}"));
    put(
        "several/2-bad.yaml",
        &GOOD.replace("ghcr.io/acme]", "ghcr.io/acme:v1, hub.docker.com]"),
    );
    put(
        "several/3-bad.yaml",
        &GOOD
            .replace("[team-a]", "[kube-system, Team]")
            .replace("secret:", "secrets:"),
    );
    put("several/4-same.yaml", &GOOD.replace("acme}", "other}"));
    put(
        "selector.yaml",
        &GOOD.replace("include: [team-a]", "selector: {matchLabels: {team: a}}"),
    );
    put(
        "derived.yaml",
        &GOOD.replace("  images: [ghcr.io/acme]\n", "").replace(
            "{name: ghcr-acme}",
            "{name: ghcr-acme, copyFrom: {namespace: sources, name: ghcr}}",
        ),
    );
    let copying = |name: &str, source: &str| {
        GOOD.replace("name: acme}", &format!("name: {name}}}")).replace(
            "{name: ghcr-acme}",
            &format!("{{name: ghcr-acme, copyFrom: {{namespace: sources, name: {source}}}}}"),
        )
    };
    put("copying/1.yaml", &copying("one", "x"));
    put("copying/2.yaml", &copying("other", "y"));
    put("drawn.yaml", &GOOD.replace("ghcr.io/acme", "\"\\e[31mghcr.io\\u202e\""));
    fs::write(directory.path().join("latin1.yaml"), b"kind: x\nname: caf\xe9\n").unwrap();
    directory
}

fn check(directory: &Path, lines: &[&str]) -> String {
    run_all(directory, lines)
}

#[test]
fn rules_that_are_good_are_counted() {
    let shelf = shelf();
    assert_snapshot!(check(
        shelf.path(),
        &[
            "check --rules good.yaml",
            "check --rules good.yaml --rules several/1-good.yaml",
            "check --rules warned.yaml",
            "check --rules good.yaml -o json",
        ],
    ));
}

#[test]
fn files_without_rules_are_mistakes() {
    let shelf = shelf();
    assert_snapshot!(check(
        shelf.path(),
        &[
            "check",
            "check --rules missing.yaml",
            "check --rules empty.yaml",
            "check --rules comments.yaml",
            "check --rules none",
            "check --rules syntax.yaml",
            "check --rules manifest.yaml",
            "check --rules latin1.yaml",
        ],
    ));
}

#[test]
fn every_mistake_of_all_files_is_told_at_once() {
    let shelf = shelf();
    assert_snapshot!(check(
        shelf.path(),
        &["check --rules several --rules empty.yaml --rules missing.yaml"]
    ));
}

#[test]
fn programs_get_the_same_mistakes() {
    let shelf = shelf();
    assert_snapshot!(check(
        shelf.path(),
        &["check --rules several --rules warned.yaml -o json"]
    ));
}

#[test]
fn what_only_the_cluster_knows_is_said_so() {
    let shelf = shelf();
    assert_snapshot!(check(
        shelf.path(),
        &["check --rules selector.yaml", "check --rules derived.yaml"],
    ));
}

#[test]
fn rules_that_copy_different_sources_to_one_secret_are_warned_of() {
    let shelf = shelf();
    assert_snapshot!(check(
        shelf.path(),
        &["check --rules copying", "check --rules copying -o json"]
    ));
}

#[test]
fn no_rule_can_draw_on_a_terminal() {
    let shelf = shelf();
    let said = run(shelf.path(), &["check", "--rules", "drawn.yaml"]);
    assert!(said.contains(r"value: `\u{1b}[31mghcr.io\u{202e}`"), "{said}");
    assert!(!said.contains(['\u{1b}', '\u{202e}']), "{said:?}");
}

#[test]
fn a_variable_names_several_paths() {
    let shelf = shelf();
    let mut named = program(shelf.path(), &["check"]);
    named.env("PULLKEY_RULES", "good.yaml:several/1-good.yaml:empty.yaml");
    let mut own = program(shelf.path(), &["check"]);
    own.env("PULLKEY_RULES", "good.yaml")
        .env("PULLKEY_OWN_NAMESPACE", "team-a")
        .env("PULLKEY_OUTPUT", "json");
    assert_snapshot!(format!("{}\n{}", transcript(named), transcript(own)));
}

#[test]
fn other_commands_refuse_the_same_rules_in_the_same_words() {
    let shelf = shelf();
    for rules in [
        "several/2-bad.yaml",
        "missing.yaml",
        "empty.yaml",
        "none",
        "syntax.yaml",
    ] {
        let said = |command: &[&str]| {
            let said = run(shelf.path(), &[command, &["--rules", rules]].concat());
            said.split_once('\n').unwrap().1.to_owned()
        };
        let checked = said(&["check"]);
        assert!(checked.starts_with("status: 1\n"), "{checked}");
        assert_eq!(said(&["webhook"]), checked);
        assert_eq!(said(&["explain", "nginx"]), checked);
    }
}
