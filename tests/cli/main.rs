//! What the program says and how it ends, for every kind of command line.

#![cfg(test)]

mod certs;
mod cluster;
mod controller;
mod design;
mod examples;
mod explain;
mod manifests;
mod markers;
#[path = "../common/program.rs"]
mod program;
mod rules;
mod secrets;
mod transcript;
mod webhook;

use std::io::Read;
use std::process::Stdio;

use insta::assert_snapshot;

use crate::program::program;
use crate::transcript::run;

#[test]
fn help_says_what_there_is() {
    let directory = tempfile::tempdir().unwrap();
    assert_snapshot!("help", run(directory.path(), &["--help"]));
    assert_snapshot!("help_none", run(directory.path(), &[]));
    for command in [
        "webhook",
        "controller",
        "explain",
        "check",
        "doctor",
        "certs",
        "manifests",
        "completions",
        "man",
    ] {
        assert_snapshot!(format!("help_{command}"), run(directory.path(), &[command, "--help"]));
    }
}

#[test]
fn an_unknown_word_is_the_users_mistake() {
    let directory = tempfile::tempdir().unwrap();
    assert_snapshot!(
        "unknown_option",
        run(directory.path(), &["certs", "--out", "x", "--forse"])
    );
    assert_snapshot!("unknown_command", run(directory.path(), &["cert"]));
    assert_snapshot!("unknown_shell", run(directory.path(), &["completions", "tcsh"]));
    assert_snapshot!("unknown_page", run(directory.path(), &["man", "cert"]));
}

#[test]
fn every_shell_gets_completions() {
    let directory = tempfile::tempdir().unwrap();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = program(directory.path(), &["completions", shell]).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{shell}");
        assert!(String::from_utf8(output.stdout).unwrap().contains("pullkey"), "{shell}");
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let directory = tempfile::tempdir().unwrap();
    for (arguments, title) in [
        (&["man"][..], ".TH pullkey 1"),
        (&["man", "certs"], ".TH pullkey-certs 1"),
    ] {
        let output = program(directory.path(), arguments).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?}");
        assert!(
            String::from_utf8(output.stdout).unwrap().contains(title),
            "{arguments:?}"
        );
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let directory = tempfile::tempdir().unwrap();
    // More than a pipe holds is never written here, so the reader is gone before the program starts.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut child = program(directory.path(), &["completions", "bash"]);
    let mut child = child.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(0), ""));
}
