//! `pullkey check`: every mistake of all rules files, by the code that the webhook reads them with, and of pull secrets
//! that are to go with them.

use std::collections::BTreeSet;

use pullkey::rules::diagnostic::{Diagnostic, Severity};
use pullkey::rules::source::{Disk, RuleFiles};
use serde::Serialize;

use super::{ExitStatus, Failure, counted, credentials, print, print_json, tell};
use crate::cli::{CheckArgs, OutputFormat};

/// What programs get; a contract.
#[derive(Serialize)]
struct Answer {
    /// How many rules are good, in files without a mistake.
    rules: usize,
    files: Vec<String>,
    /// The credential files; absent where none were named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    credentials: Vec<String>,
    mistakes: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
}

pub(super) fn run(args: &CheckArgs) -> Result<ExitStatus, Failure> {
    let format = args.output.format;
    let answer = check(args)?;
    match format {
        OutputFormat::Text => {
            tell_findings(&answer.warnings, &answer.mistakes);
            if answer.mistakes.is_empty() {
                print(format!("{}\n", answer.summary()).as_bytes())?;
            }
        }
        OutputFormat::Json => print_json(&answer)?,
    }
    Ok(if answer.mistakes.is_empty() {
        ExitStatus::Fine
    } else {
        ExitStatus::InputWrong
    })
}

/// Reads everything once, rules as they are judged without a cluster.
fn check(args: &CheckArgs) -> Result<Answer, Failure> {
    let credentials = credentials::read(&args.credentials)?;
    let (refused, surprising): (Vec<_>, Vec<_>) = credentials
        .findings
        .into_iter()
        .partition(|finding| finding.severity == Severity::Error);
    let mut files = RuleFiles::new(args.rules.paths());
    let mut loaded = files.load(&Disk, &super::context(&args.rules.own_namespace));
    loaded.mistakes.extend(credentials.refusals);
    loaded.mistakes.extend(refused);
    loaded.warnings.extend(files.overlaps());
    loaded.warnings.extend(surprising);
    Ok(Answer {
        rules: loaded.rules.map_or(0, |rules| rules.rules().len()),
        files: loaded.files.into_iter().map(|file| file.file).collect(),
        credentials: args.credentials.iter().map(|path| path.display().to_string()).collect(),
        mistakes: loaded.mistakes,
        warnings: loaded.warnings,
    })
}

/// Every warning and mistake, for people, and how many mistakes there are.
pub(super) fn tell_findings(warnings: &[Diagnostic], mistakes: &[Diagnostic]) {
    for finding in warnings.iter().chain(mistakes) {
        tell(&format!("{finding}\n\n"));
    }
    let places: BTreeSet<_> = mistakes.iter().map(|mistake| &mistake.file).collect();
    tell_count(mistakes.len(), places.len());
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

impl Answer {
    fn summary(&self) -> String {
        let and = |count: usize, what| match count {
            0 => String::new(),
            count => format!(", {}", counted(count, what)),
        };
        format!(
            "{} in {}{}: no mistake{}",
            counted(self.rules, "rule"),
            counted(self.files.len(), "file"),
            and(self.credentials.len(), "credential file"),
            and(self.warnings.len(), "warning"),
        )
    }
}
