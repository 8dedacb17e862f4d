//! `pullkey check`: every mistake of all rules files, by the code that the webhook reads them with.

use std::collections::BTreeSet;

use pullkey::rules::diagnostic::Diagnostic;
use pullkey::rules::source::{Disk, Loaded, RuleFiles};
use serde::Serialize;

use super::{ExitStatus, Failure, counted, print, print_json, tell};
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
    let places: BTreeSet<_> = loaded.mistakes.iter().map(|mistake| &mistake.file).collect();
    tell_count(loaded.mistakes.len(), places.len());
}

/// How many mistakes were told, if there were any, in how many files.
pub(super) fn tell_count(mistakes: usize, files: usize) {
    if mistakes > 0 {
        tell(&format!(
            "{} in {}\n",
            counted(mistakes, "mistake"),
            counted(files, "file")
        ));
    }
}

fn summary(loaded: &Loaded) -> String {
    let (rules, files) = (rules(loaded), loaded.files.len());
    let warnings = match loaded.warnings.len() {
        0 => String::new(),
        warnings => format!(", {}", counted(warnings, "warning")),
    };
    format!(
        "{} in {}: no mistake{warnings}",
        counted(rules, "rule"),
        counted(files, "file")
    )
}

fn rules(loaded: &Loaded) -> usize {
    loaded.rules.as_ref().map_or(0, |rules| rules.rules().len())
}
