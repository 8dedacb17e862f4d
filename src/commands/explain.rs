//! `pullkey explain`: which secrets images and Pods get, and why.
//!
//! The answer goes to standard output. What was passed over on the way to it, such as a Service in a manifest, and what
//! is wrong with credential files or with rules of the cluster, is said on standard error.

mod live;

use std::collections::BTreeMap;
use std::fmt::Display;

use pullkey::credentials::file::Source;
use pullkey::explain::{Credentials, DEFAULT_NAMESPACE, Explainer, Manifest, Place, Report, keys_of};
use pullkey::printable::printable;
use pullkey::rules::compile::Context;
use pullkey::rules::diagnostic::{Diagnostic, Severity};
use pullkey::rules::source::{Disk, RuleFiles};

use super::check::tell_findings;
use super::process::runtime;
use super::{ExitStatus, Failure, credentials, print, print_json, read_input, tell};
use crate::cli::{ExplainArgs, KeyValue, OutputFormat};

/// What is asked.
struct Questions<'a> {
    images: Vec<&'a str>,
    /// Their namespace.
    namespace: &'a str,
    /// Manifests, or what is wrong with them.
    manifests: Vec<Result<Manifest, Vec<Diagnostic>>>,
}

pub(super) fn run(args: &ExplainArgs) -> Result<ExitStatus, Failure> {
    if args.images.is_empty() && args.file.is_empty() {
        let failure = Failure::new(ExitStatus::InputWrong, "there is nothing to explain");
        return Err(failure.with_hint(Some(
            "name images, such as `pullkey explain nginx`, or a manifest with `--file`",
        )));
    }
    let Some(sources) = credential_files(args)? else {
        return Ok(ExitStatus::InputWrong);
    };
    let report = if args.cluster {
        runtime()?.block_on(live::explain(args))?
    } else {
        explain(args, &sources)?
    };
    let Some(mut report) = report else {
        return Ok(ExitStatus::InputWrong);
    };
    if !args.credentials.is_empty() {
        report.set_credentials(&Credentials::new(&sources));
    }
    match args.output.format {
        OutputFormat::Text => print(report.to_string().as_bytes())?,
        OutputFormat::Json => print_json(&report)?,
    }
    Ok(ExitStatus::Fine)
}

/// What the credential files hold, unless one of them is none, which is told.
fn credential_files(args: &ExplainArgs) -> Result<Option<Vec<Source>>, Failure> {
    let credentials::Credentials {
        sources,
        findings,
        refusals,
    } = credentials::read(&args.credentials)?;
    if !refusals.is_empty() {
        tell_findings(&[], &refusals);
        return Ok(None);
    }
    tell_as_warnings(findings);
    Ok(Some(sources))
}

/// Explains by what files say; where they are wrong, that is told instead.
fn explain(args: &ExplainArgs, sources: &[Source]) -> Result<Option<Report>, Failure> {
    let labels = labels(&args.namespace_label);
    let keys_of = |wanted: &_| Some(keys_of(sources, wanted));
    let context = Context {
        own_namespace: &args.rules.own_namespace,
        labels: labels.is_some(),
        source_keys: (!args.credentials.is_empty()).then_some(&keys_of),
    };
    let loaded = RuleFiles::new(args.rules.paths(false)).load(&Disk, &context);
    let Some(rules) = loaded.rules.as_ref().filter(|_| loaded.mistakes.is_empty()) else {
        tell_findings(&loaded.warnings, &loaded.mistakes);
        return Ok(None);
    };
    let namespace = args.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE);
    let questions = Questions {
        images: args.images.iter().map(String::as_str).collect(),
        namespace,
        manifests: manifests(args, namespace)?,
    };
    let place = |name: &str| {
        let labels = labels.as_ref();
        labels.map_or_else(Place::default, |labels| Place::with_labels(name, labels))
    };
    Ok(questions.answer(&Explainer { rules, place: &place }))
}

/// Reads the manifests; what names no namespace is in that one.
fn manifests(args: &ExplainArgs, namespace: &str) -> Result<Vec<Result<Manifest, Vec<Diagnostic>>>, Failure> {
    let manifests = args.file.iter().map(|path| {
        let name = path.display().to_string();
        let text = String::from_utf8(read_input(path)?)
            .map_err(|_| Failure::new(ExitStatus::InputWrong, format!("`{name}` is not UTF-8 text")))?;
        Ok(Manifest::of_file(&name, &text, args.namespace.as_deref(), namespace))
    });
    manifests.collect()
}

impl Questions<'_> {
    /// The answer to all of them, unless some are wrong, which is told.
    fn answer(self, explainer: &Explainer<'_>) -> Option<Report> {
        let images = self.images.iter();
        let mut report = Report {
            images: images.map(|image| explainer.image(image, self.namespace)).collect(),
            ..Report::default()
        };
        let mut mistakes = Vec::new();
        for manifest in self.manifests {
            let found = manifest.and_then(|manifest| Ok((explainer.pods(&manifest)?, manifest)));
            match found {
                Ok((pods, manifest)) => {
                    manifest.ignored.iter().for_each(note);
                    report.pods.extend(pods);
                }
                Err(found) => mistakes.extend(found),
            }
        }
        tell_findings(&[], &mistakes);
        mistakes.is_empty().then_some(report)
    }
}

fn labels(given: &[KeyValue]) -> Option<BTreeMap<String, String>> {
    let pairs = given.iter().map(|label| (label.key.clone(), label.value.clone()));
    (!given.is_empty()).then(|| pairs.collect())
}

/// Tells what is wrong and does not keep the answer from being known.
fn tell_as_warnings(mut findings: Vec<Diagnostic>) {
    for finding in &mut findings {
        finding.severity = Severity::Warning;
    }
    tell_findings(&findings, &[]);
}

fn note(what: &impl Display) {
    tell(&format!("note: {}\n", printable(&what.to_string())));
}
