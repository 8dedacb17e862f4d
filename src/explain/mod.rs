//! Why: what each image is, which rules apply to it and which do not, and what a Pod would get.
//!
//! In: image strings or manifests, the [`RuleSet`], and what is known of namespaces. Out: a [`Report`], for people by
//! [`std::fmt::Display`] and for programs by [`serde::Serialize`]. Every Pod is decided by [`admission::decide`] on the
//! review that the API server would send for it: nothing here decides. `pulls` adds what the kubelet would do with
//! credentials, `secrets` says what is wrong with them.

mod manifest;
mod pulls;
mod report;
pub mod secrets;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

pub use manifest::{Manifest, WORKLOADS, Workload};
pub use pulls::{Credentials, Secrets, keys_of};
pub use report::{
    CandidateReport, CredentialsReport, ImageReport, MatchReport, PodReport, ReferenceReport, RejectedReport, Report,
    SecretReport,
};

use crate::admission::{self, Object, Outcome};
use crate::image::ImageReference;
use crate::rules::diagnostic::{Diagnostic, Severity};
use crate::rules::{Labels, Namespace, RuleSet};
use manifest::ManifestPod;

/// The namespace of what names none, as kubectl has it.
pub const DEFAULT_NAMESPACE: &str = "default";
/// The label that every namespace carries, with its name.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";
/// The service account of a Pod that names none.
const DEFAULT_ACCOUNT: &str = "default";

/// What the questions are asked of.
#[derive(Clone, Copy)]
pub struct Explainer<'a> {
    /// The rules in force.
    pub rules: &'a RuleSet,
    /// What is known of a namespace.
    pub place: &'a dyn Fn(&str) -> Place,
}

/// What is known of a namespace; by default nothing.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// Its labels.
    pub labels: Option<Labels>,
    /// The service accounts whose Pods may name no secret but theirs.
    pub strict_accounts: BTreeSet<String>,
    /// What Pods name if they name none themselves, by service account.
    pub account_secrets: BTreeMap<String, Vec<String>>,
}

impl Place {
    /// A namespace of which these labels are known.
    #[must_use]
    pub fn with_labels(name: &str, labels: &BTreeMap<String, String>) -> Self {
        let named = [(NAME_LABEL, name)];
        let labels = labels.iter().map(|(label, value)| (label.as_str(), value.as_str()));
        Self {
            labels: Some(labels.filter(|(label, _)| *label != NAME_LABEL).chain(named).collect()),
            ..Self::default()
        }
    }
}

impl Explainer<'_> {
    /// Explains an image by itself.
    #[must_use]
    pub fn image(&self, image: &str, namespace: &str) -> ImageReport {
        let place = (self.place)(namespace);
        self.image_report(image, None, &place.namespace(namespace))
    }

    /// Explains every Pod of a manifest, or says which of them are none.
    pub fn pods(&self, manifest: &Manifest) -> Result<Vec<PodReport>, Vec<Diagnostic>> {
        let (mut pods, mut mistakes) = (Vec::new(), Vec::new());
        for pod in &manifest.pods {
            match self.pod_report(manifest, pod) {
                Ok(report) => pods.push(report),
                Err(malformed) => {
                    let message = format!("document {} is no review to answer: {malformed}", pod.document);
                    let mistake = Diagnostic::new(Severity::Error, &manifest.origin, message);
                    mistakes.push(mistake.at(pod.position, &""));
                }
            }
        }
        if mistakes.is_empty() { Ok(pods) } else { Err(mistakes) }
    }

    fn pod_report(&self, manifest: &Manifest, pod: &ManifestPod) -> Result<PodReport, admission::Malformed> {
        let place = (self.place)(&pod.namespace);
        let namespace = place.namespace(&pod.namespace);
        let (account, review) = place.admitted(pod);
        let body = review.to_string();
        let review = admission::read(body.as_bytes())?;
        let mut decision = admission::decide(&review, &namespace, self.rules);
        let (mut images, mut existing) = (Vec::new(), Vec::new());
        if let Object::Pod(found) = &review.object {
            let named = found.pull_secrets.iter().filter(|name| !name.is_empty());
            existing.extend(named.map(|name| name.clone().into_owned()));
            images.extend(found.images.iter().map(|image| {
                let path = pod.pointer.clone() + &image.origin.pointer();
                self.image_report(&image.reference, Some(path), &namespace)
            }));
            if place.strict_accounts.contains(or_default(&found.service_account)) {
                decision = decision.of_strict_account();
            }
        }
        let (add, skip) = match &decision.outcome {
            Outcome::Inject(plan) => (
                plan.additions.iter().map(|found| found.secret().to_owned()).collect(),
                None,
            ),
            Outcome::Skip(reason) => (Vec::new(), Some(reason)),
        };
        Ok(PodReport {
            file: manifest.is_file.then(|| manifest.origin.clone()),
            document: pod.document,
            item: pod.item,
            kind: pod.kind.clone(),
            namespace: pod.namespace.clone(),
            name: pod.name.clone(),
            images,
            existing,
            from_account: account,
            add,
            skip: skip.map(admission::SkipReason::code),
            skip_message: skip.map(ToString::to_string),
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
                report.reference = Some(ReferenceReport::of(&reference));
            }
            Err(reason) => report.error = Some(reason.to_string()),
        }
        report
    }
}

impl Place {
    fn namespace<'a>(&'a self, name: &'a str) -> Namespace<'a> {
        Namespace {
            name,
            labels: self.labels.as_ref(),
        }
    }

    /// The review that reaches the webhook. Before that, the API server's own admission of service accounts gives the Pod
    /// its account's list, if it has none; if so, the account is named.
    fn admitted(&self, pod: &ManifestPod) -> (Option<String>, Value) {
        const SPEC: &str = "/request/object/spec";
        let mut review = pod.review.clone();
        let spec = review.pointer_mut(SPEC).and_then(Value::as_object_mut);
        let account = spec.filter(|_| pod.is_to_be_made).and_then(|spec| {
            let names_some = spec.get("imagePullSecrets").and_then(Value::as_array);
            let account = or_default(
                spec.get("serviceAccountName")
                    .and_then(Value::as_str)
                    .unwrap_or_default(),
            );
            let listed = self.account_secrets.get(account).filter(|listed| !listed.is_empty())?;
            let listed = listed.iter().map(|name| serde_json::json!({"name": name})).collect();
            let account = account.to_owned();
            names_some.is_none_or(Vec::is_empty).then(|| {
                spec.insert("imagePullSecrets".to_owned(), listed);
                account
            })
        });
        (account, review)
    }
}

fn or_default(account: &str) -> &str {
    if account.is_empty() { DEFAULT_ACCOUNT } else { account }
}
