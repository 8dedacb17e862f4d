//! Sources: the Secrets that copies are made of.
//!
//! In: Secrets of the namespaces that the admin named. Out: for a reference, the [`Source`] that copies are made of, or
//! the [`SourceProblem`] why there is none. Only the one payload key is read. What once was good stays in memory, so that
//! a namespace born while the source is broken gets its copies all the same; nothing is ever read back from a copy.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::COPY_LABEL;
use super::names::{Names, SecretName};
use super::ownership::{ManagedFields, Share, share};
use crate::credentials::{ConfigForm, DockerConfig, Key, Malformed, Unusable};
use crate::rules::SourceRef;

/// A Secret as it was read.
#[derive(Clone, Copy)]
pub struct SourceSecret<'a> {
    /// `metadata.uid`.
    pub uid: &'a str,
    /// `metadata.resourceVersion`.
    pub resource_version: &'a str,
    /// `metadata.labels`.
    pub labels: &'a BTreeMap<String, String>,
    /// `metadata.managedFields`.
    pub managed_fields: &'a [ManagedFields<'a>],
    /// `type`.
    pub secret_type: &'a str,
    /// `data`, decoded, by key.
    pub data: &'a dyn Fn(&str) -> Option<&'a [u8]>,
}

/// A Secret that copies can be made of.
#[derive(Debug)]
pub struct Source {
    /// `namespace/name`.
    pub reference: Arc<str>,
    /// `uid/resourceVersion`, as of the last change of its payload that we saw.
    pub version: Arc<str>,
    /// The Secret's type and its one key.
    pub form: ConfigForm,
    /// What stands under that key.
    pub payload: Payload,
    /// What the kubelet would serve with it.
    pub keys: Vec<Key>,
    /// What is right and may surprise.
    pub warnings: Vec<SourceWarning>,
}

/// Bytes that hold credentials. `Debug` says how many; they are wiped from memory in the end.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload(Zeroizing<Vec<u8>>);

/// What is odd about a good source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SourceWarning {
    /// Neither username nor password; the kubelet offers even that.
    #[error("{0} of its entries hold neither username nor password")]
    BlankEntries(usize),
    /// A key that the kubelet passes over.
    #[error("{0} of its entries have a key that can serve no image")]
    UselessKeys(usize),
}

/// Why no copy can be made of a source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceProblem {
    /// It is never asked for.
    #[error("its namespace is not one of those that sources may come from (`--source-namespace`)")]
    NotAllowed,
    /// The Secrets of its namespace have not been listed.
    #[error("the Secrets of its namespace cannot be read")]
    Unreadable,
    /// It is none of those that the controller is limited to, or the API server says so.
    #[error("the controller may not read it; {}", .0.remedy())]
    NotPermitted(SecretName),
    /// There is no such Secret.
    #[error("there is no such Secret")]
    NotFound,
    /// Copies of copies would never end.
    #[error("it is itself a copy: name its own source, or remove the label `{}`", COPY_LABEL.0)]
    IsACopy,
    /// The kubelet passes it over.
    #[error(
        "its type is neither `{}` nor `{}`",
        ConfigForm::DockerConfigJson.secret_type(),
        ConfigForm::Dockercfg.secret_type()
    )]
    WrongType,
    /// It can be read and is of no use.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// It would break every pull of every Pod that names it.
    #[error("the kubelet refuses it and with it every image of a Pod: {0}")]
    Malformed(#[from] Malformed),
}

/// All sources, those that nobody asks for included: a rule may come any time.
#[derive(Debug)]
pub(super) struct Sources {
    /// Where they may come from.
    namespaces: BTreeSet<String>,
    /// What is watched, and whether it has been listed: these namespaces, or single Secrets as `namespace/name`.
    scopes: BTreeMap<String, bool>,
    /// Whether it is single Secrets.
    are_named: bool,
    known: HashMap<String, State>,
}

#[derive(Debug)]
struct State {
    good: Option<Arc<Source>>,
    problem: Option<SourceProblem>,
}

impl SourceProblem {
    /// The reason on a condition: one word.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotAllowed => "SourceNotAllowed",
            Self::Unreadable => "SourceUnreadable",
            Self::NotPermitted(_) => "NotPermitted",
            Self::NotFound => "SourceNotFound",
            Self::IsACopy => "SourceIsACopy",
            Self::WrongType => "WrongType",
            Self::Unusable(Unusable::FlatDockercfg) => "FlatDockercfg",
            Self::Unusable(Unusable::CredentialStoreOnly) => "CredentialStoreOnly",
            Self::Unusable(Unusable::NoCredentials) => "NoCredentials",
            Self::Malformed(_) => "Malformed",
        }
    }
}

impl Source {
    /// Reads a Secret.
    ///
    /// # Errors
    /// Why no copy can be made of it.
    pub fn read(reference: &str, secret: &SourceSecret<'_>) -> Result<Self, SourceProblem> {
        let is_labelled = secret
            .labels
            .get(COPY_LABEL.0)
            .is_some_and(|value| value == COPY_LABEL.1);
        if is_labelled || share(secret.managed_fields, secret.labels) == Share::Ours {
            return Err(SourceProblem::IsACopy);
        }
        let form = ConfigForm::of_secret_type(secret.secret_type).ok_or(SourceProblem::WrongType)?;
        // The kubelet passes over a pull secret with nothing in it.
        let bytes = (secret.data)(form.data_key())
            .filter(|bytes| !bytes.is_empty())
            .ok_or(Unusable::NoCredentials)?;
        let config = DockerConfig::parse(form, bytes)?;
        config.verdict()?;
        let blank = config.entries().iter().filter(|entry| entry.is_blank()).count();
        let warnings = [
            (blank > 0).then_some(SourceWarning::BlankEntries(blank)),
            (config.skipped() > 0).then_some(SourceWarning::UselessKeys(config.skipped())),
        ];
        Ok(Self {
            reference: reference.into(),
            version: format!("{}/{}", secret.uid, secret.resource_version).into(),
            form,
            payload: Payload::new(bytes),
            keys: config.keys().cloned().collect(),
            warnings: warnings.into_iter().flatten().collect(),
        })
    }

    /// Whether both hold the same, so that copies of one are copies of the other: somebody touched its metadata.
    fn equals(&self, other: &Self) -> bool {
        self.form == other.form && self.payload == other.payload && self.uid() == other.uid()
    }

    /// The `uid` of the Secret.
    pub(super) fn uid(&self) -> &str {
        uid_of(&self.version)
    }
}

/// The `uid` of the Secret that a version is of.
pub(super) fn uid_of(version: &str) -> &str {
    version.split_once('/').map_or(version, |(uid, _)| uid)
}

impl Payload {
    /// Keeps a copy of the bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(Zeroizing::new(bytes.to_vec()))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Payload({} bytes)", self.0.len())
    }
}

impl Sources {
    /// No source yet, from these namespaces, and only those with these names if there are any.
    pub(super) fn new(namespaces: &BTreeSet<String>, names: Option<&Names>) -> Self {
        Self {
            scopes: scopes(namespaces, names).map(|scope| (scope, false)).collect(),
            namespaces: namespaces.clone(),
            are_named: names.is_some(),
            known: HashMap::new(),
        }
    }

    /// Takes note of a Secret. Says whether anything about the source is different now.
    pub(super) fn put(&mut self, source: &SourceRef, secret: &SourceSecret<'_>) -> bool {
        let reference = source.to_string();
        if !self.scopes.contains_key(self.scope(&reference)) {
            return false;
        }
        let read = Source::read(&reference, secret);
        let state = self.known.entry(reference).or_insert(State {
            good: None,
            problem: Some(SourceProblem::NotFound),
        });
        match read {
            Ok(new) => {
                let was_broken = state.problem.take().is_some();
                let is_new = state.good.as_ref().is_none_or(|good| !good.equals(&new));
                if is_new {
                    state.good = Some(Arc::new(new));
                }
                was_broken || is_new
            }
            Err(problem) => state.problem.replace(problem.clone()) != Some(problem),
        }
    }

    /// Takes note that a Secret is gone. Says whether that is new.
    pub(super) fn remove(&mut self, source: &SourceRef) -> bool {
        self.known
            .get_mut(&source.to_string())
            .is_some_and(|state| state.problem.replace(SourceProblem::NotFound) != Some(SourceProblem::NotFound))
    }

    /// The Secrets of a scope are all known now, or no longer.
    pub(super) fn set_listed(&mut self, scope: &str, is_listed: bool) {
        if let Some(listed) = self.scopes.get_mut(scope) {
            *listed = is_listed;
        }
    }

    /// The known sources of a scope.
    pub(super) fn of_scope(&self, scope: &str) -> Vec<SourceRef> {
        let references = self.known.keys().filter(|reference| self.scope(reference) == scope);
        references
            .filter_map(|reference| reference.split_once('/'))
            .map(|(namespace, name)| SourceRef {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            })
            .collect()
    }

    /// The scope of a source.
    pub(super) fn scope<'r>(&self, reference: &'r str) -> &'r str {
        if self.are_named {
            reference
        } else {
            reference.split('/').next().unwrap_or_default()
        }
    }

    /// What copies are made of: the Secret as it is, or as it last was good.
    pub(super) fn good(&self, reference: &str) -> Option<&Arc<Source>> {
        self.known.get(reference).and_then(|state| state.good.as_ref())
    }

    /// What is wrong with a source now.
    pub(super) fn problem(&self, reference: &str) -> Option<SourceProblem> {
        let (namespace, name) = reference.split_once('/').unwrap_or_default();
        if !self.namespaces.contains(namespace) {
            return Some(SourceProblem::NotAllowed);
        }
        match (self.scopes.get(self.scope(reference)), self.known.get(reference)) {
            (None | Some(false), _) if self.are_named => {
                let (namespace, name) = (namespace.to_owned(), name.to_owned());
                let name = SecretName::Source(SourceRef { namespace, name });
                Some(SourceProblem::NotPermitted(name))
            }
            (None | Some(false), _) => Some(SourceProblem::Unreadable),
            (Some(true), None) => Some(SourceProblem::NotFound),
            (Some(true), Some(state)) => state.problem.clone(),
        }
    }
}

/// What is watched for sources: namespaces, or single Secrets as `namespace/name`.
pub(super) fn scopes<'a>(
    namespaces: &'a BTreeSet<String>,
    names: Option<&'a Names>,
) -> impl Iterator<Item = String> + 'a {
    let all = names.is_none().then(|| namespaces.iter().cloned());
    let single = names.map(|names| names.sources.iter().map(ToString::to_string));
    all.into_iter().flatten().chain(single.into_iter().flatten())
}
