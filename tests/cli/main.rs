//! What the program says and how it ends, for every kind of command line.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, helpers of tests too")]

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use insta::assert_snapshot;
use regex::Regex;

/// The program in an empty environment, in `directory`.
fn program(directory: &Path, arguments: &[&str]) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_pullkey"));
    program
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .stdin(Stdio::null());
    program
}

/// Runs it to its end: the command line, the status and both outputs as one text, without what differs between runs.
fn transcript(mut program: Command) -> String {
    let output = program.output().unwrap();
    let typed = program
        .get_args()
        .map(|argument| argument.to_str().unwrap())
        .collect::<Vec<_>>()
        .join(" ");
    let text = format!(
        "$ pullkey {typed}\nstatus: {}\n--- stdout\n{}--- stderr\n{}",
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    let text = Regex::new(r"LS0t[A-Za-z0-9+/=]{100,}")
        .unwrap()
        .replace_all(&text, "[caBundle]")
        .into_owned();
    Regex::new(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
        .unwrap()
        .replace_all(&text, "[date]")
        .into_owned()
}

fn run(directory: &Path, arguments: &[&str]) -> String {
    transcript(program(directory, arguments))
}

#[test]
fn help_says_what_there_is() {
    let directory = tempfile::tempdir().unwrap();
    assert_snapshot!("help", run(directory.path(), &["--help"]));
    assert_snapshot!("help_none", run(directory.path(), &[]));
    for command in ["certs", "completions", "man"] {
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
