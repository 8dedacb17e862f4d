//! `pullkey check`: every mistake of all rules files, by the code that the webhook reads them with.

use pullkey::rules::diagnostic::Diagnostic;
use pullkey::rules::source::{Disk, Loaded, RuleFiles};
use serde::Serialize;

use super::{ExitStatus, Failure, print, print_json, tell};
use crate::cli::{CheckArgs, OutputFormat, RulesArgs};

/// What programs get; a contract.
#[derive(Serialize)]
struct Answer<'a> {
    /// How many rules are good, in files without a mistake.
    rules: usize,
    files: Vec<&'a str>,
    mistakes: &'a [Diagnostic],
    warnings: &'a [Diagnostic],
}

pub(super) fn run(args: CheckArgs) -> Result<ExitStatus, Failure> {
    let loaded = load(args.rules);
    match args.output.format {
        OutputFormat::Text => {
            tell_findings(&loaded);
            if loaded.mistakes.is_empty() {
                print(format!("{}\n", summary(&loaded)).as_bytes())?;
            }
        }
        OutputFormat::Json => print_json(&Answer {
            rules: rules(&loaded),
            files: loaded.files.iter().map(|file| file.file.as_str()).collect(),
            mistakes: &loaded.mistakes,
            warnings: &loaded.warnings,
        })?,
    }
    Ok(if loaded.mistakes.is_empty() {
        ExitStatus::Fine
    } else {
        ExitStatus::InputWrong
    })
}

/// Reads rules files once, as they are judged without a cluster.
fn load(args: RulesArgs) -> Loaded {
    RuleFiles::new(args.paths).load(&Disk, &super::context(&args.own_namespace))
}

/// Every warning and mistake, for people, and how many mistakes there are.
pub(super) fn tell_findings(loaded: &Loaded) {
    for finding in loaded.warnings.iter().chain(&loaded.mistakes) {
        tell(&format!("{finding}\n\n"));
    }
    match loaded.mistakes.len() {
        0 => {}
        1 => tell("1 mistake\n"),
        mistakes => tell(&format!("{mistakes} mistakes\n")),
    }
}

fn summary(loaded: &Loaded) -> String {
    let plural = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    format!(
        "{} in {}: no mistake",
        plural(rules(loaded), "rule"),
        plural(loaded.files.len(), "file")
    )
}

fn rules(loaded: &Loaded) -> usize {
    loaded.rules.as_ref().map_or(0, |rules| rules.rules().len())
}
