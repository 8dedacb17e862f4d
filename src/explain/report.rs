//! The answer of `explain`, as programs get it.
//!
//! In: what was found out. Out: a [`Report`], whose JSON form is a contract; `text` writes it for people.

use serde::Serialize;

use crate::image::ImageReference;
use crate::rules::{Match, Rejection};

/// The answer to one question.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Images that were asked for by themselves.
    pub images: Vec<ImageReport>,
    /// Pods and Pod templates, in the order of the files.
    pub pods: Vec<PodReport>,
    /// The secrets that all of these would name, as the cluster has them; absent where it was not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Vec<SecretReport>>,
}

/// One Pod or Pod template.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodReport {
    /// The file as it was named; none for an object of the cluster.
    pub file: Option<String>,
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
    /// The service account that it has them from, if it names none itself; absent where nothing is known of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_account: Option<String>,
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
    /// Nobody here can tell.
    Unknown {
        /// Why.
        unknown: String,
    },
}

/// One credential that the kubelet would try.
#[derive(Debug, Serialize)]
pub struct CandidateReport {
    /// The file it comes from; none for a secret of the cluster.
    pub file: Option<String>,
    /// The secret in which it is there, `namespace/name`; absent where it was in none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// The key as spelled there, without user info.
    pub key: String,
    /// The user name; never more.
    pub username: String,
}

/// A secret that a Pod would name.
#[derive(Debug, Serialize)]
pub struct SecretReport {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// `good`, `missing`, `useless`, `malformed` or `unreadable`.
    pub state: &'static str,
    /// What that means, unless it is good.
    pub message: Option<String>,
    /// The keys of its credentials, as spelled there, without user info.
    pub keys: Vec<String>,
}

impl ReferenceReport {
    pub(super) fn of(reference: &ImageReference<'_>) -> Self {
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
    pub(super) fn of(found: &Match<'_>) -> Self {
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
    pub(super) fn of((found, why): &(Match<'_>, Rejection)) -> Self {
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
