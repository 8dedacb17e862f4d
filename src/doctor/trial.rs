//! A Pod that is made for the look of it: the one proof that the API server reaches the webhook and believes it.
//!
//! In: the rules, and a namespace that the webhook is asked about. Out: a [`Candidate`], a Pod that a rule gives a secret
//! there; and what it means that the API server answered so, which of all people calls the webhook itself.

use serde_json::{Value, json};

use super::facts::Facts;
use super::{Finding, Report};
use crate::image::ImageReference;
use crate::manifests::WEBHOOK_NAME;
use crate::rules::{Mode, Namespace, RuleSet};

/// The repository that is asked for, where a pattern leaves it open. Nothing is pulled.
const REPOSITORY: &str = "pullkey-doctor";

/// A Pod to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its image.
    pub image: String,
    /// What the webhook would give it.
    pub secret: String,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// Where.
    pub namespace: String,
    /// What was tried; nothing, if no rule gives a secret to an image that could be made up.
    pub tried: Option<(Candidate, Answer)>,
}

/// What the API server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It would make the Pod, with these secrets.
    Admitted(Vec<String>),
    /// It would not: why.
    Refused(String),
}

impl Candidate {
    /// An image that a rule covers there.
    #[must_use]
    pub fn find(rules: &RuleSet, namespace: &Namespace<'_>) -> Option<Self> {
        let enforced = rules.rules().iter().filter(|rule| rule.mode == Mode::Enforce);
        let patterns = enforced.flat_map(|rule| &rule.patterns);
        let mut found = patterns.filter_map(|pattern| {
            let image = if pattern.is_everything() {
                REPOSITORY.to_owned()
            } else {
                format!("{}{}/{REPOSITORY}", pattern.host().replace('*', "x"), pattern.path())
            };
            let reference = ImageReference::parse(&image).ok()?;
            let matches = rules.matches(&reference, namespace);
            let first = matches.iter().find(|found| found.rule.mode == Mode::Enforce)?;
            Some(Self {
                secret: first.rule.secret.clone(),
                image: image.clone(),
            })
        });
        found.next()
    }

    /// The Pod, as even the strictest Pod Security Standard takes it.
    #[must_use]
    pub fn pod(&self) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "pullkey-doctor-"},
            "spec": {
                "automountServiceAccountToken": false,
                "containers": [{
                    "image": self.image, "name": "doctor",
                    "resources": {"limits": {"cpu": "1m", "memory": "1Mi"}},
                    "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
                }],
                "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
            },
        })
    }
}

impl Answer {
    /// The Pod as the API server would make it.
    #[must_use]
    pub fn admitted(pod: &str) -> Self {
        let pod: Value = serde_json::from_str(pod).unwrap_or_default();
        let listed = pod.pointer("/spec/imagePullSecrets").and_then(Value::as_array);
        let names = listed
            .into_iter()
            .flatten()
            .filter_map(|secret| secret.get("name")?.as_str());
        Self::Admitted(names.map(str::to_owned).collect())
    }
}

pub(super) fn examine(facts: &Facts, report: &mut Report) {
    let Some(Trial { namespace, tried }) = &facts.trial else {
        return;
    };
    let Some((Candidate { image, secret }, answer)) = tried else {
        let message = format_args!("no rule gives Pods in namespace `{namespace}` a secret, so none was tried there");
        report.found(Finding::note("dry-run-nothing", message).hinting("name another namespace with `--dry-run`"));
        return;
    };
    let what = format!("a Pod of `{image}` in namespace `{namespace}`, made as a dry run");
    match answer {
        Answer::Admitted(secrets) if secrets.contains(secret) => {
            report.saw(
                "dry run",
                format_args!("{what}, got `{secret}`: the API server reaches the webhook"),
            );
        }
        Answer::Admitted(_) => {
            report.saw("dry run", format_args!("{what}, did not get `{secret}`"));
            let message = format_args!(
                "{what}, did not get `{secret}`: the API server does not reach the webhook, or does not believe it"
            );
            let finding = Finding::error("dry-run-missed", message);
            report.found(finding.hinting(
                "with failurePolicy Ignore nobody is told why; the API server's log says it: `failed calling webhook`. \
                 Rules of files and labels of namespaces may take a minute, too",
            ));
        }
        Answer::Refused(why) if why.contains(&format!("failed calling webhook \"{WEBHOOK_NAME}\"")) => {
            report.saw("dry run", format_args!("{what}, was refused"));
            let message = format_args!("the API server cannot call the webhook: {why}");
            report.found(Finding::error("dry-run-failed", message).hinting(remedy(why)));
        }
        Answer::Refused(why) => {
            report.saw("dry run", format_args!("{what}, was refused"));
            let message = format_args!("{what}, was refused for another reason, and proves nothing: {why}");
            report
                .found(Finding::warning("dry-run-refused", message).hinting("name another namespace with `--dry-run`"));
        }
    }
}

/// What to do about it, by the words of the API server.
fn remedy(why: &str) -> &'static str {
    const REMEDIES: [(&str, &str); 3] = [
        (
            "unknown authority",
            "`caBundle` and the certificate are of different CAs",
        ),
        ("x509", "the certificate is over, or stands for another name"),
        (
            "not found",
            "the Service is not there: what was uninstalled is still registered",
        ),
    ];
    let found = REMEDIES.iter().find(|(words, _)| why.contains(words));
    found.map_or(
        "no Pod is ready, or a firewall or NetworkPolicy is in the way from the API server to the webhook's Pods",
        |(_, remedy)| remedy,
    )
}
