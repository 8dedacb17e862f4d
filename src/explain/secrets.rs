//! What is wrong with pull secrets, said so that whoever makes them can put them right.
//!
//! In: a credential file as it was read. Out: a diagnostic for each of its Secrets and configs of which the kubelet makes
//! nothing, or less than its author meant. Nothing of a credential is said: an entry is known by its key.

use crate::credentials::file::{CredentialFile, IgnoredSecret, NotCredentials, Source};
use crate::credentials::{ConfigForm, DockerConfig, Malformed, MalformedKind, Unusable};
use crate::rules::diagnostic::{Diagnostic, Severity};
use crate::yaml::Position;

/// What makes a Secret that the kubelet can use.
const MAKE: &str = "`kubectl create secret docker-registry` makes a good one";

/// Everything that there is to say of a file: errors about what is of no use, warnings about what may surprise.
#[must_use]
pub fn findings(file: &str, found: &CredentialFile) -> Vec<Diagnostic> {
    let ignored = found.ignored.iter().map(|ignored| passed_over(file, ignored));
    let mut findings: Vec<_> = ignored.chain(found.sources.iter().flat_map(of_source)).collect();
    findings.sort_by_key(|finding| finding.position);
    findings
}

/// Why a file is none of credentials.
#[must_use]
pub fn refusal(file: &str, reason: &NotCredentials) -> Diagnostic {
    let (message, position) = match reason {
        NotCredentials::Syntax(error) => (
            format!("this is neither YAML nor JSON: {}", error.message),
            error.position,
        ),
        NotCredentials::NotJson { line, column } => (
            "this is no Secret manifest, and as a docker config it is not JSON".to_owned(),
            Position {
                line: *line,
                column: *column,
            },
        ),
        NotCredentials::Secret {
            secret,
            position,
            fault,
        } => (format!("{fault} in the Secret `{secret}`"), *position),
    };
    Diagnostic::new(Severity::Error, file, message).at(position, &"")
}

fn passed_over(file: &str, ignored: &IgnoredSecret) -> Diagnostic {
    match ignored {
        IgnoredSecret::OtherType { .. } => Diagnostic::new(Severity::Warning, file, ignored),
        IgnoredSecret::Empty { position, .. } => {
            at(Diagnostic::new(Severity::Error, file, ignored), *position).hinting(MAKE)
        }
    }
}

fn of_source(source: &Source) -> Vec<Diagnostic> {
    let (form, position) = (source.form, source.position);
    let whose = source
        .secret
        .as_ref()
        .map_or_else(String::new, |secret| format!("the Secret `{secret}`: "));
    let finding = |severity, message: String| {
        at(
            Diagnostic::new(severity, &source.file, format_args!("{whose}{message}")),
            position,
        )
    };
    let config = match &source.config {
        Ok(config) => config,
        Err(malformed) => {
            return vec![finding(Severity::Error, refused(malformed)).hinting(repair(malformed))];
        }
    };
    if let Err(unusable) = config.verdict() {
        let is_manifest = source.secret.is_some();
        return vec![finding(Severity::Error, unusable.to_string()).hinting(remedy(
            unusable,
            form,
            config,
            is_manifest,
        ))];
    }
    let blank = config.entries().iter().filter(|entry| entry.is_blank()).count();
    let skipped = config.skipped();
    let surprises = [
        (blank, "entries that hold neither username nor password"),
        (skipped, "entries whose key can serve no image"),
    ];
    let surprises = surprises.into_iter().filter(|(count, _)| *count > 0);
    surprises
        .map(|(count, what)| finding(Severity::Warning, format!("{what}: {count}")))
        .collect()
}

/// What a config does to Pods that the kubelet cannot read.
pub(super) fn refused(malformed: &Malformed) -> String {
    format!("the kubelet refuses every Pod that names it, since {malformed}")
}

fn repair(malformed: &Malformed) -> &'static str {
    match malformed.kind {
        MalformedKind::NotBase64 | MalformedKind::NoColon => {
            "leave `auth` out and give `username` and `password`, or put the base64 of `username:password` there"
        }
        MalformedKind::NotJson { .. }
        | MalformedKind::TooDeep
        | MalformedKind::NotAnObject
        | MalformedKind::NotAString => MAKE,
    }
}

fn remedy(unusable: Unusable, form: ConfigForm, config: &DockerConfig, is_manifest: bool) -> &'static str {
    // The one entry of a `config.json` that is read as a `.dockercfg`.
    let has_auths = || config.keys().any(|key| key.spelled() == "auths");
    match (unusable, is_manifest) {
        (Unusable::FlatDockercfg, true) => {
            "or make it a Secret of type `kubernetes.io/dockercfg` with the key `.dockercfg`"
        }
        (Unusable::FlatDockercfg, false) => "or give the file a name that ends in `.dockercfg`",
        (Unusable::CredentialStoreOnly, _) => {
            "`kubectl create secret docker-registry` takes the credentials themselves; `docker login` writes them down only where no `credsStore` is named"
        }
        (Unusable::NoCredentials, true) if form == ConfigForm::Dockercfg && has_auths() => {
            "a legacy `.dockercfg` has no `auths`: this belongs into a Secret of type `kubernetes.io/dockerconfigjson`, under `.dockerconfigjson`"
        }
        (Unusable::NoCredentials, _) => "an entry of use has `auth`, or `username` and `password`",
    }
}

fn at(diagnostic: Diagnostic, position: Option<Position>) -> Diagnostic {
    match position {
        Some(position) => diagnostic.at(position, &""),
        None => diagnostic,
    }
}
