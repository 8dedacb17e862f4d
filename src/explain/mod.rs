//! Why: what each image is, which rules apply to it and which do not, and what a Pod would get.
//!
//! In: image strings or manifests, the [`RuleSet`], what is known of the namespace, and docker configs if they are to
//! be looked at too. Out: a [`Report`], for people by [`std::fmt::Display`] and for programs by [`Serialize`]. Every
//! Pod is decided by [`admission::decide`] on the review that the API server would send for it: nothing here decides.
//! `secrets` says what is wrong with the docker configs themselves.

mod manifest;
pub mod secrets;
mod text;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::admission::{self, Object, Outcome};
use crate::credentials::file::Source;
use crate::credentials::{Candidate, DockerConfig, Key, Keyring};
use crate::image::ImageReference;
use crate::rules::diagnostic::{Diagnostic, Severity};
use crate::rules::{Labels, Match, Namespace, Rejection, RuleSet, SourceRef};

/// The namespace of what names none, as kubectl has it.
pub const DEFAULT_NAMESPACE: &str = "default";
/// The label that every namespace carries, with its name.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// The answer to one question; its JSON form is a contract.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Images that were asked for by themselves.
    pub images: Vec<ImageReport>,
    /// Pods and Pod templates, in the order of the files.
    pub pods: Vec<PodReport>,
}

/// One Pod or Pod template.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodReport {
    /// The file as it was named.
    pub file: String,
    /// Which document of the file, from 0.
    pub document: usize,
    /// Which item, if the document is a List.
    pub item: Option<usize>,
    /// The outer object's kind.
    pub kind: String,
    /// The namespace that counts.
    pub namespace: String,
    /// The outer object's name, if it has one.
    pub name: Option<String>,
    /// Its images: initContainers, containers, ephemeralContainers, volumes.
    pub images: Vec<ImageReport>,
    /// The secrets that it names already.
    pub existing: Vec<String>,
    /// The secrets that the webhook would add, in order.
    pub add: Vec<String>,
    /// The code of the reason why none is added.
    pub skip: Option<&'static str>,
    /// The same as a sentence.
    pub skip_message: Option<String>,
}

/// One image.
#[derive(Debug, Serialize)]
pub struct ImageReport {
    /// The string as it stands.
    pub image: String,
    /// Where it stands in the document, as an RFC 6901 pointer; absent where it was asked for by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What it means, unless it is no image reference.
    pub reference: Option<ReferenceReport>,
    /// Why it is none.
    pub error: Option<String>,
    /// The rules that apply, in force or Shadow, best first.
    pub matches: Vec<MatchReport>,
    /// The rules whose pattern matches and that do not apply.
    pub rejected: Vec<RejectedReport>,
    /// What the kubelet would try, if credentials were given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials: Option<CredentialsReport>,
}

/// An image reference, taken apart.
#[derive(Debug, Serialize)]
pub struct ReferenceReport {
    /// `host[:port]`, empty for the odd reference without one.
    pub registry: String,
    /// The path on the registry.
    pub repository: String,
    /// The tag as written.
    pub tag: Option<String>,
    /// The digest as written.
    pub digest: Option<String>,
    /// The normalised name without tag and digest.
    pub name: String,
}

/// A rule that applies.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MatchReport {
    /// Its name.
    pub rule: String,
    /// Its namespace, if it is a tenant's.
    pub rule_namespace: Option<String>,
    /// Its kind.
    pub kind: &'static str,
    /// Its most specific pattern that matches, as written.
    pub pattern: String,
    /// The secret that it names.
    pub secret: String,
    /// `Enforce` or `Shadow`.
    pub mode: &'static str,
}

/// A rule whose pattern matches and that does not apply.
#[derive(Debug, Serialize)]
pub struct RejectedReport {
    /// The rule.
    #[serde(flatten)]
    pub rule: MatchReport,
    /// `namespace` or `exception`.
    pub why: &'static str,
}

/// What the kubelet would do about credentials for an image.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum CredentialsReport {
    /// It would try these in turn; with none, it would pull anonymously.
    Candidates(Vec<CandidateReport>),
    /// It would refuse the whole Pod.
    Refused {
        /// Why, and which file is to blame.
        error: String,
    },
}

/// One credential that the kubelet would try.
#[derive(Debug, Serialize)]
pub struct CandidateReport {
    /// The file it comes from.
    pub file: String,
    /// The key as spelled there, without user info.
    pub key: String,
    /// The user name; never more.
    pub username: String,
}

/// What the questions are asked of.
#[derive(Debug)]
pub struct Explainer<'a> {
    /// The rules in force.
    pub rules: &'a RuleSet,
    /// The namespace asked for; a manifest's own must be the same.
    pub namespace: Option<&'a str>,
    /// The labels of that namespace, if they are known.
    pub labels: Option<&'a BTreeMap<String, String>>,
    /// What the kubelet would have, if credentials are to be looked at.
    pub credentials: Option<&'a Credentials<'a>>,
}

/// Docker configs as a Pod would name them, all of them and in order.
#[derive(Debug)]
pub struct Credentials<'a> {
    sources: &'a [Source],
    /// Or why the kubelet would refuse the Pod.
    keyring: Result<Keyring<'a>, String>,
}

/// What a manifest file gave.
#[derive(Debug)]
pub struct Explained {
    /// Its Pods.
    pub pods: Vec<PodReport>,
    /// Objects without Pods that were passed over, one line each.
    pub ignored: Vec<String>,
}

impl Explainer<'_> {
    /// Explains an image by itself.
    #[must_use]
    pub fn image(&self, image: &str) -> ImageReport {
        self.in_namespace(self.namespace.unwrap_or(DEFAULT_NAMESPACE), |namespace| {
            self.image_report(image, None, namespace)
        })
    }

    /// Explains every Pod of a manifest, or says what is wrong with the file.
    pub fn manifest(&self, file: &str, text: &str) -> Result<Explained, Vec<Diagnostic>> {
        let manifest = manifest::read(file, text, self.namespace);
        let (mut pods, mut mistakes) = (Vec::new(), manifest.mistakes);
        for pod in manifest.pods {
            match self.pod_report(file, &pod) {
                Ok(report) => pods.push(report),
                Err(malformed) => {
                    let message = format!("document {} is no review to answer: {malformed}", pod.document);
                    mistakes.push(Diagnostic::new(Severity::Error, file, message).at(pod.position, &""));
                }
            }
        }
        if mistakes.is_empty() {
            Ok(Explained {
                pods,
                ignored: manifest.ignored,
            })
        } else {
            Err(mistakes)
        }
    }

    fn pod_report(&self, file: &str, pod: &manifest::ManifestPod) -> Result<PodReport, admission::Malformed> {
        let body = pod.review.to_string();
        let review = admission::read(body.as_bytes())?;
        Ok(self.in_namespace(&pod.namespace, |namespace| {
            let decision = admission::decide(&review, namespace, self.rules);
            let (mut images, mut existing) = (Vec::new(), Vec::new());
            if let Object::Pod(found) = &review.object {
                let named = found.pull_secrets.iter().filter(|name| !name.is_empty());
                existing.extend(named.map(|name| name.clone().into_owned()));
                images.extend(found.images.iter().map(|image| {
                    let path = pod.pointer.clone() + &image.origin.pointer();
                    self.image_report(&image.reference, Some(path), namespace)
                }));
            }
            let (add, skip) = match &decision.outcome {
                Outcome::Inject(plan) => (
                    plan.additions.iter().map(|found| found.secret().to_owned()).collect(),
                    None,
                ),
                Outcome::Skip(reason) => (Vec::new(), Some(reason)),
            };
            PodReport {
                file: file.to_owned(),
                document: pod.document,
                item: pod.item,
                kind: pod.kind.clone(),
                namespace: pod.namespace.clone(),
                name: pod.name.clone(),
                images,
                existing,
                add,
                skip: skip.map(admission::SkipReason::code),
                skip_message: skip.map(ToString::to_string),
            }
        }))
    }

    fn in_namespace<T>(&self, name: &str, report: impl FnOnce(&Namespace<'_>) -> T) -> T {
        let labels = self.labels.map(|labels| {
            let mut labels = labels.clone();
            labels.insert(NAME_LABEL.to_owned(), name.to_owned());
            labels.into_iter().collect::<Labels>()
        });
        report(&Namespace {
            name,
            labels: labels.as_ref(),
        })
    }

    fn image_report(&self, image: &str, path: Option<String>, namespace: &Namespace<'_>) -> ImageReport {
        let mut report = ImageReport {
            image: image.to_owned(),
            path,
            reference: None,
            error: None,
            matches: Vec::new(),
            rejected: Vec::new(),
            credentials: None,
        };
        match ImageReference::parse(image) {
            Ok(reference) => {
                let found = self.rules.explain(&reference, namespace);
                report.matches = found.matches.iter().map(MatchReport::of).collect();
                report.rejected = found.rejected.iter().map(RejectedReport::of).collect();
                report.credentials = self.candidates(Some(&reference));
                report.reference = Some(ReferenceReport::of(&reference));
            }
            Err(reason) => {
                report.error = Some(reason.to_string());
                report.credentials = self.candidates(None);
            }
        }
        report
    }

    /// What the kubelet would try for an image; nothing for one that it cannot parse.
    fn candidates(&self, image: Option<&ImageReference<'_>>) -> Option<CredentialsReport> {
        self.credentials.map(|credentials| match &credentials.keyring {
            Ok(keyring) => {
                let found = image.map(|image| keyring.lookup(image)).unwrap_or_default();
                CredentialsReport::Candidates(found.iter().map(|candidate| credentials.report(candidate)).collect())
            }
            Err(error) => CredentialsReport::Refused { error: error.clone() },
        })
    }
}

impl<'a> Credentials<'a> {
    /// Joins the configs. One that the kubelet cannot read spoils all of them, for every image of the Pod.
    #[must_use]
    pub fn new(sources: &'a [Source]) -> Self {
        let configs = sources.iter().map(|source| {
            let refused = |malformed| format!("{source}: {malformed}");
            source.config.as_ref().map_err(refused)
        });
        Self {
            sources,
            keyring: configs.collect::<Result<Vec<_>, _>>().map(Keyring::new),
        }
    }

    /// The keys of a rule's source: those of the Secret of that name, or else of the files that are no manifests, which
    /// may stand for any. None where no file can be the source: then the rule covers nothing.
    #[must_use]
    pub fn keys_of(&self, wanted: &SourceRef) -> Vec<Key> {
        let is_wanted = |source: &&Source| {
            source.secret.as_ref().is_some_and(|secret| {
                let namespace = secret.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE);
                secret.name == wanted.name && namespace == wanted.namespace
            })
        };
        let mut found: Vec<_> = self.sources.iter().filter(is_wanted).collect();
        if found.is_empty() {
            found = self.sources.iter().filter(|source| source.secret.is_none()).collect();
        }
        let configs = found.iter().filter_map(|source| source.config.as_ref().ok());
        configs.flat_map(DockerConfig::keys).cloned().collect()
    }

    fn report(&self, candidate: &Candidate<'_>) -> CandidateReport {
        CandidateReport {
            file: self
                .sources
                .get(candidate.source())
                .map(|source| source.file.clone())
                .unwrap_or_default(),
            key: candidate.key().spelled().to_owned(),
            username: candidate.username().to_owned(),
        }
    }
}

impl ReferenceReport {
    fn of(reference: &ImageReference<'_>) -> Self {
        Self {
            registry: reference.registry().to_owned(),
            repository: reference.repository().to_owned(),
            tag: reference.tag().map(str::to_owned),
            digest: reference.digest().map(str::to_owned),
            name: reference.name().to_owned(),
        }
    }
}

impl MatchReport {
    fn of(found: &Match<'_>) -> Self {
        Self {
            rule: found.rule.name.clone(),
            rule_namespace: found.rule.namespace.clone(),
            kind: found.rule.kind.as_str(),
            pattern: found.pattern.to_string(),
            secret: found.rule.secret.clone(),
            mode: found.rule.mode.as_str(),
        }
    }
}

impl RejectedReport {
    fn of((found, why): &(Match<'_>, Rejection)) -> Self {
        let why = match why {
            Rejection::Namespace => "namespace",
            Rejection::Exception => "exception",
        };
        Self {
            rule: MatchReport::of(found),
            why,
        }
    }
}
