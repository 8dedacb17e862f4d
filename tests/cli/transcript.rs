//! A run of the program as one text, to compare with what it said before.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use regex::Regex;

use crate::program::program;

/// Runs it to its end: the command line, the status and both outputs, without what differs between runs.
pub(crate) fn run(directory: &Path, arguments: &[&str]) -> String {
    transcript(program(directory, arguments))
}

/// The same of several command lines, whose words are divided by spaces.
pub(crate) fn run_all(directory: &Path, lines: &[&str]) -> String {
    let transcripts: Vec<_> = lines
        .iter()
        .map(|line| run(directory, &line.split(' ').collect::<Vec<_>>()))
        .collect();
    transcripts.join("\n")
}

/// The same with that standard input.
pub(crate) fn run_with_input(directory: &Path, arguments: &[&str], input: &str) -> String {
    let mut program = program(directory, arguments);
    let (reader, mut writer) = std::io::pipe().unwrap();
    // Less than a pipe holds, so nobody needs to read meanwhile.
    assert!(input.len() < 4096);
    writer.write_all(input.as_bytes()).unwrap();
    drop(writer);
    program.stdin(Stdio::from(reader));
    transcript(program)
}

pub(crate) fn transcript(mut program: Command) -> String {
    let output = program.output().unwrap();
    let typed = program
        .get_args()
        .map(|argument| argument.to_str().unwrap())
        .collect::<Vec<_>>()
        .join(" ");
    let variables: String = program
        .get_envs()
        .filter_map(|(name, value)| Some(format!("{}={} ", name.to_str()?, value?.to_str()?)))
        .collect();
    let text = format!(
        "$ {variables}pullkey {typed}\nstatus: {}\n--- stdout\n{}--- stderr\n{}",
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    [
        (r"LS0t[A-Za-z0-9+/=]{100,}", "[caBundle]"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z", "[date]"),
        (r"127\.0\.0\.1:[1-9]\d*", "127.0.0.1:[port]"),
    ]
    .iter()
    .fold(text, |text, (noise, name)| {
        Regex::new(noise).unwrap().replace_all(&text, *name).into_owned()
    })
}
