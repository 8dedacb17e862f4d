//! `pullkey explain`: which secrets images and Pods get, and why.
//!
//! The answer goes to standard output. What was passed over on the way to it, such as a Service in a manifest, and what
//! is wrong with credential files, is said on standard error.

use std::collections::BTreeMap;
use std::fmt::Display;

use pullkey::explain::{Credentials, Explainer, Report};
use pullkey::printable::printable;
use pullkey::rules::compile::Context;
use pullkey::rules::diagnostic::Severity;
use pullkey::rules::source::{Disk, RuleFiles};

use super::check::{tell_count, tell_findings};
use super::{ExitStatus, Failure, credentials, print, print_json, read_input, tell};
use crate::cli::{ExplainArgs, KeyValue, OutputFormat};

pub(super) fn run(args: ExplainArgs) -> Result<ExitStatus, Failure> {
    if args.images.is_empty() && args.file.is_empty() {
        let failure = Failure::new(ExitStatus::InputWrong, "there is nothing to explain");
        return Err(failure.with_hint(Some(
            "name images, such as `pullkey explain nginx`, or a manifest with `--file`",
        )));
    }
    let credentials::Credentials {
        sources,
        mut findings,
        refusals,
    } = credentials::read(&args.credentials)?;
    if !refusals.is_empty() {
        tell_findings(&[], &refusals);
        return Ok(ExitStatus::InputWrong);
    }
    // The kubelet's answer is known even so.
    for finding in &mut findings {
        finding.severity = Severity::Warning;
    }
    tell_findings(&findings, &[]);
    let credentials = (!args.credentials.is_empty()).then(|| Credentials::new(&sources));
    let labels = labels(args.namespace_label);

    let keys_of = |wanted: &_| credentials.as_ref().map(|credentials| credentials.keys_of(wanted));
    let context = Context {
        own_namespace: &args.rules.own_namespace,
        labels: labels.is_some(),
        source_keys: credentials.is_some().then_some(&keys_of),
    };
    let loaded = RuleFiles::new(args.rules.paths()).load(&Disk, &context);
    let Some(rules) = loaded.rules.as_ref().filter(|_| loaded.mistakes.is_empty()) else {
        tell_findings(&loaded.warnings, &loaded.mistakes);
        return Ok(ExitStatus::InputWrong);
    };

    let explainer = Explainer {
        rules,
        namespace: args.namespace.as_deref(),
        labels: labels.as_ref(),
        credentials: credentials.as_ref(),
    };
    let mut report = Report::default();
    report
        .images
        .extend(args.images.iter().map(|image| explainer.image(image)));
    let (mut mistakes, mut files) = (0, 0);
    for path in &args.file {
        let name = path.display().to_string();
        let text = String::from_utf8(read_input(path)?)
            .map_err(|_| Failure::new(ExitStatus::InputWrong, format!("`{name}` is not UTF-8 text")))?;
        match explainer.manifest(&name, &text) {
            Ok(found) => {
                found.ignored.iter().for_each(note);
                report.pods.extend(found.pods);
            }
            Err(found) => {
                mistakes += found.len();
                files += 1;
                for mistake in &found {
                    tell(&format!("{mistake}\n\n"));
                }
            }
        }
    }
    if mistakes > 0 {
        tell_count(mistakes, files);
        return Ok(ExitStatus::InputWrong);
    }
    match args.output.format {
        OutputFormat::Text => print(report.to_string().as_bytes())?,
        OutputFormat::Json => print_json(&report)?,
    }
    Ok(ExitStatus::Fine)
}

fn labels(given: Vec<KeyValue>) -> Option<BTreeMap<String, String>> {
    (!given.is_empty()).then(|| given.into_iter().map(|label| (label.key, label.value)).collect())
}

fn note(what: &impl Display) {
    tell(&format!("note: {}\n", printable(&what.to_string())));
}
