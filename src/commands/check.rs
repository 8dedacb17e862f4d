//! `pullkey check`: every mistake of all rules, of files and of a cluster, by the code that the webhook reads them with,
//! and of pull secrets that are to go with them.

mod live;

use std::collections::BTreeSet;

use pullkey::rules::diagnostic::{Diagnostic, Severity};
use pullkey::rules::overlap::overlaps;
use pullkey::rules::source::{Disk, RuleFiles};
use serde::Serialize;

use super::process::runtime;
use super::{ExitStatus, Failure, context, counted, credentials, print, print_json, tell};
use crate::cli::{CheckArgs, OutputFormat};

/// What programs get; a contract.
#[derive(Serialize)]
struct Answer {
    /// How many rules are good, in files without a mistake.
    rules: usize,
    files: Vec<String>,
    /// How many rules of the cluster are good; absent where none was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    objects: Option<usize>,
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
            tell_each(&answer.warnings, &answer.mistakes);
            // Of a cluster there are objects, too.
            tell_count(&answer.mistakes, if args.cluster { "place" } else { "file" });
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

/// Reads everything once.
fn check(args: &CheckArgs) -> Result<Answer, Failure> {
    let credentials = credentials::read(&args.credentials)?;
    let (refused, surprising): (Vec<_>, Vec<_>) = credentials
        .findings
        .into_iter()
        .partition(|finding| finding.severity == Severity::Error);
    let mut files = RuleFiles::new(args.rules.paths(args.cluster));
    let mut loaded = files.load(&Disk, &context(&args.rules.own_namespace, args.cluster));
    let checked = if args.cluster {
        Some(runtime()?.block_on(live::check(args, &files))?)
    } else {
        loaded.warnings.extend(overlaps(files.placed()));
        None
    };
    let objects = checked.as_ref().map(|checked| checked.objects);
    loaded.mistakes.extend(credentials.refusals);
    loaded.mistakes.extend(refused);
    loaded.warnings.extend(surprising);
    if let Some(checked) = checked {
        loaded.mistakes.extend(checked.mistakes);
        loaded.warnings.extend(checked.warnings);
    }
    Ok(Answer {
        rules: loaded.rules.map_or(0, |rules| rules.rules().len()),
        files: loaded.files.into_iter().map(|file| file.file).collect(),
        objects,
        credentials: args.credentials.iter().map(|path| path.display().to_string()).collect(),
        mistakes: loaded.mistakes,
        warnings: loaded.warnings,
    })
}

/// Every warning and mistake of files, for people, and how many mistakes there are.
pub(super) fn tell_findings(warnings: &[Diagnostic], mistakes: &[Diagnostic]) {
    tell_each(warnings, mistakes);
    tell_count(mistakes, "file");
}

fn tell_each(warnings: &[Diagnostic], mistakes: &[Diagnostic]) {
    for finding in warnings.iter().chain(mistakes) {
        tell(&format!("{finding}\n\n"));
    }
}

/// How many mistakes there are, if there are any, in how many files or other places.
fn tell_count(mistakes: &[Diagnostic], place: &str) {
    let places: BTreeSet<_> = mistakes.iter().map(|mistake| &mistake.file).collect();
    if !mistakes.is_empty() {
        let mistakes = counted(mistakes.len(), "mistake");
        tell(&format!("{mistakes} in {}\n", counted(places.len(), place)));
    }
}

impl Answer {
    fn summary(&self) -> String {
        let files = format!(
            "{} in {}",
            counted(self.rules, "rule"),
            counted(self.files.len(), "file")
        );
        let parts = [
            self.objects
                .map(|objects| format!("{} of the cluster", counted(objects, "rule"))),
            (self.objects.is_none() || !self.files.is_empty()).then_some(files),
            some(self.credentials.len(), "credential file"),
        ];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        let warnings = some(self.warnings.len(), "warning").map(|warnings| format!(", {warnings}"));
        format!("{}: no mistake{}", parts.join(", "), warnings.unwrap_or_default())
    }
}

/// How many there are, if there are any.
fn some(count: usize, what: &str) -> Option<String> {
    (count > 0).then(|| counted(count, what))
}
