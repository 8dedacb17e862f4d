//! `pullkey explain`: which secrets images and Pods get, and why.
//!
//! The answer goes to standard output. What was passed over on the way to it, such as a Service in a manifest or a Secret
//! that is no pull secret, is said on standard error.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use pullkey::credentials::file::{self, Source};
use pullkey::explain::{Credentials, Explainer, Report};
use pullkey::printable::printable;
use pullkey::rules::compile::Context;
use pullkey::rules::source::{Disk, RuleFiles};

use super::check::{tell_count, tell_findings};
use super::{ExitStatus, Failure, print, print_json, tell};
use crate::cli::{ExplainArgs, NamespaceLabel, OutputFormat};

/// The largest file that is read, in bytes: far more than an API server would take at once.
const LARGEST: u64 = 64 << 20;

pub(super) fn run(args: ExplainArgs) -> Result<ExitStatus, Failure> {
    if args.images.is_empty() && args.file.is_empty() {
        let failure = Failure::new(ExitStatus::InputWrong, "there is nothing to explain");
        return Err(failure.with_hint(Some(
            "name images, such as `pullkey explain nginx`, or a manifest with `--file`",
        )));
    }
    let sources = read_credentials(&args)?;
    let credentials = sources.as_deref().map(Credentials::new);
    let labels = labels(args.namespace_label);

    let keys_of = |wanted: &_| credentials.as_ref().map(|credentials| credentials.keys_of(wanted));
    let context = Context {
        own_namespace: &args.rules.own_namespace,
        labels: labels.is_some(),
        source_keys: credentials.is_some().then_some(&keys_of),
    };
    let loaded = RuleFiles::new(args.rules.paths).load(&Disk, &context);
    let Some(rules) = loaded.rules.as_ref().filter(|_| loaded.mistakes.is_empty()) else {
        tell_findings(&loaded);
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
        let text = String::from_utf8(read(path)?)
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

/// The configs of all credential files; none if none were named.
fn read_credentials(args: &ExplainArgs) -> Result<Option<Vec<Source>>, Failure> {
    let mut sources = Vec::new();
    for path in &args.credentials {
        let name = path.display().to_string();
        let found = file::read(&name, &read(path)?).map_err(|error| {
            Failure::new(
                ExitStatus::InputWrong,
                format!("`{name}` holds no credentials to look at: {error}"),
            )
        })?;
        found
            .ignored
            .iter()
            .for_each(|ignored| note(&format!("`{name}`: {ignored}")));
        for source in &found.sources {
            let unusable = source.config.as_ref().ok().and_then(|config| config.verdict().err());
            if let Some(unusable) = unusable {
                note(&format!("{source}: {unusable}"));
            }
        }
        sources.extend(found.sources);
    }
    Ok((!args.credentials.is_empty()).then_some(sources))
}

fn labels(given: Vec<NamespaceLabel>) -> Option<BTreeMap<String, String>> {
    (!given.is_empty()).then(|| given.into_iter().map(|label| (label.key, label.value)).collect())
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let unreadable = |error: io::Error| {
        Failure::new(
            ExitStatus::EnvironmentWrong,
            format!("could not read `{}`: {error}", path.display()),
        )
    };
    let mut bytes = Vec::new();
    let mut input: Box<dyn Read> = if path == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(path).map_err(unreadable)?)
    };
    input
        .by_ref()
        .take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST {
        let message = format!("`{}` is larger than {} MiB", path.display(), LARGEST >> 20);
        return Err(Failure::new(ExitStatus::InputWrong, message));
    }
    Ok(bytes)
}

fn note(what: &impl Display) {
    tell(&format!("note: {}\n", printable(&what.to_string())));
}
