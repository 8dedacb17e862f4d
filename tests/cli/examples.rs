//! The comments of `config/examples`: every command in them is run as it stands, with all that it says.

use std::fs;
use std::path::{Path, PathBuf};

use insta::assert_snapshot;

use crate::transcript::run_all;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The files of a folder, in order of their names.
fn files(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(Path::new(ROOT).join(folder)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = paths.filter(|path| path.is_file()).collect();
    files.sort();
    files
}

/// The commands that a file's comments give to try it.
fn commands(text: &str) -> Vec<&str> {
    text.lines()
        .filter_map(|line| line.strip_prefix("#   pullkey "))
        .collect()
}

#[test]
fn examples_do_what_their_comments_say() {
    for file in files("config/examples") {
        let text = fs::read_to_string(&file).unwrap();
        let name = file.file_stem().unwrap().to_str().unwrap();
        let commands = commands(&text);
        let own = format!("--rules config/examples/{name}.yaml");
        assert!(commands.len() == 2 && commands.iter().all(|command| command.contains(&own)));
        let said = run_all(Path::new(ROOT), &commands);
        assert_eq!(said.matches("status: 0\n").count(), 2, "{said}");
        assert_snapshot!(format!("example_{name}"), said);
    }
}

#[test]
fn broken_secrets_are_called_what_they_are() {
    let mut transcripts = Vec::new();
    for file in files("config/examples/secrets") {
        let text = fs::read_to_string(&file).unwrap();
        let name = file.file_stem().unwrap().to_str().unwrap();
        let commands = commands(&text);
        if !name.starts_with("broken-") {
            assert_eq!(commands, [""; 0], "{name}");
            continue;
        }
        let own = format!("--credentials config/examples/secrets/{name}.yaml");
        assert!(commands.len() == 2 && commands.iter().all(|command| command.contains(&own)));
        transcripts.push(run_all(Path::new(ROOT), &commands));
    }
    assert_snapshot!(transcripts.join("\n"));
}

#[test]
fn all_examples_are_good_together() {
    let said = run_all(
        Path::new(ROOT),
        &[
            "check --rules config/rules.yaml --rules config/examples --credentials config/examples/secrets/legacy-dockercfg.yaml",
        ],
    );
    assert!(
        said.contains("status: 0") && said.contains("22 rules in 9 files, 1 credential file: no mistake, 16 warnings"),
        "{said}"
    );
    assert_eq!(said.matches("warning: a rule in a file makes no copies").count(), 16);
}
