//! README.md held against the program: its commands are run, its rules are compiled, its tables are compared.
//!
//! Blocks of `sh` that have a name need a cluster: they are run by the tests on a real API server.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails, and clippy excepts test functions only"
)]

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use pullkey::admission::SkipReason;
use pullkey::metrics::TABLE;
use pullkey::rules::compile::{Context, compile};
use pullkey::yaml::parse;

const README: &str = include_str!("../README.md");
const PULLKEY: &str = env!("CARGO_BIN_EXE_pullkey");
/// Where the README says that the webhook listens.
const DEFAULT_ADDRESS: &str = "127.0.0.1:8443";

/// The fenced blocks of one language.
fn blocks(language: &str) -> Vec<&'static str> {
    let opening = format!("```{language}\n");
    let blocks: Vec<_> = README
        .split(&opening)
        .skip(1)
        .filter_map(|rest| Some(rest.split_once("```")?.0))
        .collect();
    assert!(!blocks.is_empty(), "README.md has no block of {language}");
    blocks
}

/// The first cells of the table rows below a heading row.
fn rows(heading: &str) -> Vec<Vec<&'static str>> {
    let (_, table) = README.split_once(heading).unwrap();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect()
}

/// The headings of a level, the title's being 1, as links name them.
fn anchors(level: usize) -> Vec<String> {
    let mut is_code = false;
    let prose = README.lines().filter(|line| {
        is_code ^= line.trim_start().starts_with("```");
        !is_code
    });
    let mark = format!("{} ", "#".repeat(level));
    let headings = prose.filter_map(|line| line.strip_prefix(&mark));
    let kept = |character: char| character.is_alphanumeric() || character == '-';
    headings
        .map(|heading| heading.to_lowercase().replace(' ', "-").replace(|c| !kept(c), ""))
        .collect()
}

/// The headings that a text links to.
fn links(text: &str) -> Vec<&str> {
    let links = text.split("](#").skip(1);
    links.map(|rest| rest.split(')').next().unwrap()).collect()
}

/// The webhook as the README starts it, but for the ports; ends with the test.
struct Webhook {
    process: Child,
    address: String,
}

impl Webhook {
    fn start(directory: &Path) -> Self {
        let mut process = Command::new(PULLKEY)
            .arg("webhook")
            .current_dir(directory)
            .env("PULLKEY_LISTEN", "127.0.0.1:0")
            .env("PULLKEY_HEALTH_LISTEN", "none")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = lines.find_map(|line| {
            let line = line.unwrap();
            Some(line.split_once("https://")?.1.split_once("/mutate")?.0.to_owned())
        });
        // What else it says must find a reader, or it would be blocked in the end.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            process,
            address: address.unwrap(),
        }
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn commands_print_what_is_shown() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let directory = tempfile::tempdir().unwrap();
    for part in ["config", "tests"] {
        symlink(root.join(part), directory.path().join(part)).unwrap();
    }
    fs::create_dir(directory.path().join("certs")).unwrap();
    let webhook = Webhook::start(directory.path());
    let path = format!(
        "{}:{}",
        Path::new(PULLKEY).parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    for block in blocks("console") {
        for step in block.split("$ ").skip(1) {
            let (command, shown) = step.split_once('\n').unwrap();
            let output = Command::new("sh")
                .args([
                    "-c",
                    &format!("exec 2>&1; {}", command.replace(DEFAULT_ADDRESS, &webhook.address)),
                ])
                .current_dir(directory.path())
                .env("PATH", &path)
                .output()
                .unwrap();
            let printed = String::from_utf8(output.stdout).unwrap();
            assert_eq!(printed.trim_end(), shown.trim_end(), "{command}");
        }
    }
}

#[test]
fn the_two_commands_are_those_that_are_run() {
    assert_eq!(blocks("sh"), ["cargo run --release -- webhook\n", "cargo test\n"]);
    let ci = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/run")).unwrap();
    assert_eq!(ci.lines().last(), Some("cargo test"));
}

#[test]
fn links_lead_somewhere_and_the_contents_name_every_section() {
    let sections = anchors(2);
    let known: Vec<_> = (3..5).flat_map(anchors).chain(sections.clone()).collect();
    for link in links(README) {
        assert!(known.iter().any(|anchor| anchor == link), "nothing is called `{link}`");
    }
    let contents = README.split("\n## ").next().unwrap();
    assert_eq!(
        BTreeSet::from_iter(links(contents)),
        sections.iter().map(String::as_str).collect()
    );
}

#[test]
fn the_rules_that_are_shown_are_good() {
    for block in blocks("yaml") {
        let context = Context {
            own_namespace: "pullkey",
            labels: false,
            source_keys: None,
        };
        let compiled = compile(block, "README.md", &context);
        assert_eq!(compiled.mistakes, []);
        assert!(!compiled.rules.is_empty());
    }
}

#[test]
fn skip_codes_are_complete() {
    let codes: Vec<_> = rows("| skip code | meaning |")
        .iter()
        .map(|row| row[0].trim_matches('`'))
        .collect();
    assert_eq!(codes, SkipReason::CODES);
}

#[test]
fn metrics_are_complete() {
    let shown = rows("| metric | labels | meaning |");
    let expected: Vec<_> = TABLE
        .iter()
        .map(|metric| {
            let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
            vec![format!("`{}`", metric.name), labels.join(", "), metric.help.to_owned()]
        })
        .collect();
    let table: Vec<_> = expected.iter().map(|row| row.join(" | ")).collect();
    assert_eq!(shown, expected, "the table should be:\n| {} |", table.join(" |\n| "));
}

#[test]
fn alerts_are_complete() {
    let shown = rows("| alert | severity | what it means | what to do |");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/monitoring/alerts.yaml");
    let alerts = parse(&fs::read_to_string(file).unwrap()).unwrap()[0].to_json();
    let groups = alerts["groups"].as_array().unwrap().iter();
    let rules = groups.flat_map(|group| group["rules"].as_array().unwrap());
    let expected: Vec<_> = rules
        .map(|rule| {
            let texts = &rule["annotations"];
            let [name, severity] = [&rule["alert"], &rule["labels"]["severity"]].map(|text| text.as_str().unwrap());
            let [meaning, action] = ["summary", "description"].map(|name| texts[name].as_str().unwrap().to_owned());
            vec![format!("`{name}`"), severity.to_owned(), meaning, action]
        })
        .collect();
    let table: Vec<_> = expected.iter().map(|row| row.join(" | ")).collect();
    assert_eq!(shown, expected, "the table should be:\n| {} |", table.join(" |\n| "));
}

#[test]
fn examples_are_complete() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/examples");
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let expected: BTreeSet<_> = entries
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            let slash = if entry.path().is_dir() { "/" } else { "" };
            format!("[`{name}{slash}`](config/examples/{name})")
        })
        .collect();
    let shown = rows("| file in `config/examples` | case |");
    let shown: BTreeSet<_> = shown.iter().map(|row| row[0].to_owned()).collect();
    assert_eq!(shown, expected);
}

#[test]
fn options_are_complete() {
    let mut options = BTreeSet::new();
    for command in [
        "webhook",
        "controller",
        "explain",
        "check",
        "doctor",
        "certs",
        "manifests",
    ] {
        let help = Command::new(PULLKEY).args([command, "--help"]).output().unwrap();
        let help = String::from_utf8(help.stdout).unwrap();
        options.extend(long_options(
            &help
                .lines()
                .filter(|line| line.trim().starts_with('-'))
                .collect::<String>(),
        ));
    }
    options.remove("--help");
    let shown = rows("| option | of | default | meaning |");
    let shown: BTreeSet<_> = shown.iter().flat_map(|row| long_options(row[0])).collect();
    assert_eq!(shown, options);
}

fn long_options(text: &str) -> BTreeSet<String> {
    let is_name = |character: char| character.is_ascii_lowercase() || character == '-';
    let options = text.match_indices("--").map(|(start, _)| {
        text.chars()
            .skip(start)
            .take_while(|character| is_name(*character))
            .collect::<String>()
    });
    options.filter(|option| option.len() > 3).collect()
}
