//! `pullkey manifests`: the objects of an installation on standard output, or as files for kustomize.

use std::fs;
use std::io::{self, ErrorKind};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use pullkey::certs::bundle::CaBundle;
use pullkey::certs::load;
use pullkey::controller::names::Names;
use pullkey::manifests::{
    CERTIFICATE, Certificate, Contradiction, Installation, Options, RulesFiles, list, server_name, yaml,
};
use pullkey::rules::compile::Context;
use pullkey::rules::source::{Disk, RuleFiles};

use super::check::tell_findings;
use super::{ExitStatus, Failure, context, print, print_json, tell};
use crate::cli::{CertificateSource, ManifestFormat, ManifestsArgs};

pub(super) fn run(args: ManifestsArgs) -> Result<ExitStatus, Failure> {
    let certificate = certificate(&args)?;
    let Some(rules) = rules(&args)? else {
        return Ok(ExitStatus::InputWrong);
    };
    let secret_names = match secret_names(&args)? {
        ControlFlow::Continue(names) => names,
        ControlFlow::Break(status) => return Ok(status),
    };
    let namespace = args.namespace.clone();
    let installation = Installation::new(Options {
        namespace: args.namespace,
        image: args.image,
        pull_secrets: args.image_pull_secret,
        priority_class: args.priority_class,
        tolerations: args.toleration,
        host_network: args.host_network,
        dns_policy: args.dns_policy,
        replicas: args.replicas,
        https_port: args.https_port,
        health_port: args.health_port,
        rules,
        failure_policy: args.failure_policy,
        timeout: args.timeout,
        opt_in: args.opt_in,
        source_namespaces: args.source_namespace,
        secret_names,
        excluded: args.exclude_namespace,
        monitoring: args.monitoring,
    })?;
    if let Some(directory) = &args.out {
        let files = installation.tree().map_err(Failure::environment)?;
        write(directory, &files, args.force)?;
        return Ok(ExitStatus::Fine);
    }
    let objects = installation.objects(&certificate);
    match args.format {
        ManifestFormat::Yaml => print(yaml(&objects).map_err(Failure::environment)?.as_bytes())?,
        ManifestFormat::Json => print_json(&list(&objects))?,
    }
    if args.certificate == CertificateSource::Given {
        tell(&format!(
            "hint: the webhook waits for its certificate, which must stand for {}:\n  \
             kubectl create secret tls {CERTIFICATE} --namespace {namespace} --cert tls.crt --key tls.key\n",
            server_name(&namespace)
        ));
    }
    Ok(ExitStatus::Fine)
}

impl From<Contradiction> for Failure {
    fn from(contradiction: Contradiction) -> Self {
        Self::new(ExitStatus::InputWrong, contradiction)
    }
}

fn certificate(args: &ManifestsArgs) -> Result<Certificate, Failure> {
    match (args.certificate, &args.ca_bundle) {
        (CertificateSource::Given, Some(path)) => {
            let pem = load::read(path)?;
            let bundle = CaBundle::from_pem(&pem).map_err(|unusable| {
                let message = format!("cannot register the CAs of `{}`: {unusable}", path.display());
                Failure::new(ExitStatus::InputWrong, message)
            })?;
            Ok(Certificate::Given(bundle))
        }
        (CertificateSource::CertManager | CertificateSource::SelfManaged, Some(_)) => {
            let message = "whoever makes the certificates knows their CA";
            let hint = "leave out `--ca-bundle`, or bring the certificate with `--certificate given`";
            Err(Failure::new(ExitStatus::InputWrong, message).with_hint(Some(hint)))
        }
        (CertificateSource::Given, None) => {
            let message = "a certificate that is given needs its CA, or the API server would not trust it";
            let hint = "name it with `--ca-bundle`; `pullkey certs` makes both";
            Err(Failure::new(ExitStatus::InputWrong, message).with_hint(Some(hint)))
        }
        (CertificateSource::CertManager, None) => Ok(Certificate::CertManager),
        (CertificateSource::SelfManaged, None) => Ok(Certificate::SelfManaged),
    }
}

/// The texts of good rules; `None` once their mistakes have been told.
fn rules(args: &ManifestsArgs) -> Result<Option<RulesFiles>, Failure> {
    if args.rules.is_empty() {
        return Ok(Some(RulesFiles::starter()));
    }
    let loaded = RuleFiles::new(args.rules.clone()).load(&Disk, &context(&args.namespace.to_string(), false));
    tell_findings(&loaded.warnings, &loaded.mistakes);
    if !loaded.mistakes.is_empty() {
        return Ok(None);
    }
    let text = |file: &String| match fs::read_to_string(file) {
        Ok(text) => Ok((file.clone(), text)),
        Err(error) => Err(Failure::environment(format!("could not read `{file}`: {error}"))),
    };
    let files: Vec<_> = loaded
        .files
        .iter()
        .map(|report| text(&report.file))
        .collect::<Result<_, _>>()?;
    let rules = RulesFiles::new(files).map_err(|unfit| Failure::new(ExitStatus::InputWrong, unfit))?;
    Ok(Some(rules))
}

/// What the controller is to be limited to, if it is; an end once mistakes in rules have been told.
fn secret_names(args: &ManifestsArgs) -> Result<ControlFlow<ExitStatus, Option<Names>>, Failure> {
    if args.secret_name.is_empty() && args.secret_names_from.is_empty() {
        return Ok(ControlFlow::Continue(None));
    }
    let mut names: Names = args.secret_name.iter().cloned().collect();
    if !args.secret_names_from.is_empty() {
        let own_namespace = args.namespace.to_string();
        // These are objects, whose selectors mean something; which images they leave to their source does not matter.
        let source_keys = |_: &_| Some(Vec::new());
        let context = Context {
            source_keys: Some(&source_keys),
            ..context(&own_namespace, true)
        };
        let loaded = RuleFiles::new(args.secret_names_from.clone()).load(&Disk, &context);
        tell_findings(&[], &loaded.mistakes);
        if !loaded.mistakes.is_empty() {
            return Ok(ControlFlow::Break(ExitStatus::InputWrong));
        }
        let rules = loaded.rules.iter().flat_map(|rules| rules.rules());
        let of_rules = Names::of_rules(rules.map(AsRef::as_ref));
        if of_rules.copies.is_empty() {
            let message = "none of the rules of `--secret-names-from` copies a secret";
            let hint = "name those with `copyFrom`, or leave the option out";
            return Err(Failure::new(ExitStatus::InputWrong, message).with_hint(Some(hint)));
        }
        names.extend(of_rules.iter());
    }
    Ok(ControlFlow::Continue(Some(names)))
}

/// Writes files below a directory, none of them if one would be replaced that says something else.
fn write(directory: &Path, files: &[(String, String)], force: bool) -> Result<(), Failure> {
    let unwritable =
        |path: &Path, error: &io::Error| Failure::environment(format!("could not write `{}`: {error}", path.display()));
    let mut changed: Vec<(PathBuf, &str)> = Vec::new();
    for (name, text) in files {
        let path = directory.join(name);
        match fs::read(&path) {
            Ok(there) if there == text.as_bytes() => {}
            Ok(_) if !force => {
                let message = format!("`{}` is there and differs", path.display());
                let hint = "choose another directory, or replace what differs with `--force`";
                return Err(Failure::new(ExitStatus::InputWrong, message).with_hint(Some(hint)));
            }
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(unwritable(&path, &error)),
            _ => changed.push((path, text)),
        }
    }
    for (path, text) in &changed {
        let parent = path.parent().unwrap_or(directory);
        fs::create_dir_all(parent).map_err(|error| unwritable(parent, &error))?;
        fs::write(path, text).map_err(|error| unwritable(path, &error))?;
    }
    tell(&format!(
        "wrote {} of {} files below `{}`\n",
        changed.len(),
        files.len(),
        directory.display()
    ));
    Ok(())
}
