//! The object that is applied for a copy.
//!
//! In: a source, a target, and what the admin wants on every copy. Out: [`CopyObject`], a fresh object of our own fields
//! only: nothing of the source's metadata goes along, since owner references and tracking labels have led others'
//! garbage collectors to the copies. It is never immutable: the kubelet keeps what it once read of such a Secret. It says
//! where it comes from by uid and resourceVersion, never by a digest of what it holds.

use std::collections::BTreeMap;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};

use super::identity::Identity;
use super::source::{Payload, Source};
use super::{ADOPT_LABEL, COPY_LABEL, SOURCE_ANNOTATION, Target, VERSION_ANNOTATION};
use crate::rules::selector::{ACCEPTED_KEY, ACCEPTED_VALUE, check_key, check_value};

/// Names and prefixes of the keys by which tools that follow Git know what they made, and remove it.
const TRACKING: [&str; 8] = [
    "app.kubernetes.io/instance",   // Argo CD, by default
    "app.kubernetes.io/managed-by", // Helm, with its annotations
    "applyset.kubernetes.io/",      // kubectl apply --prune
    "argocd.argoproj.io/",
    "config.k8s.io/", // kpt and Config Sync
    "helm.sh/",
    "kubectl.kubernetes.io/",
    "meta.helm.sh/",
];
/// Flux has a prefix for each of its controllers.
const FLUX: &str = ".toolkit.fluxcd.io/";

/// Labels and annotations that the admin wants on every copy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Style {
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

/// Why a copy cannot carry a label or an annotation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidStyle {
    /// It is written by us.
    #[error("`{0}` is a key of Pullkey's own")]
    OwnKey(String),
    /// With it the tool would take the copies for its own, and remove them.
    #[error("`{0}` is a key by which a GitOps tool knows what it may remove")]
    TrackingKey(String),
    /// No label or annotation has such a key.
    #[error("`{key}`: {message}, accepted: {ACCEPTED_KEY}")]
    Key {
        /// The key.
        key: String,
        /// What is wrong.
        message: &'static str,
    },
    /// No label has such a value.
    #[error("`{key}={value}`: {message}, accepted: {ACCEPTED_VALUE}")]
    Value {
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// What is wrong.
        message: &'static str,
    },
}

/// A Secret as it is applied. `Debug` leaves out the data.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CopyObject<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata<'a>,
    r#type: &'static str,
    data: Data<'a>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    name: &'a str,
    namespace: &'a str,
    #[serde(flatten)]
    identity: Option<&'a Identity>,
    labels: BTreeMap<&'a str, &'a str>,
    annotations: BTreeMap<&'a str, &'a str>,
}

#[derive(Debug, Clone, Copy)]
struct Data<'a> {
    key: &'static str,
    payload: &'a Payload,
}

impl Style {
    /// Checks labels and annotations.
    ///
    /// # Errors
    /// All that is wrong, labels first.
    pub fn new(
        labels: BTreeMap<String, String>,
        annotations: BTreeMap<String, String>,
    ) -> Result<Self, Vec<InvalidStyle>> {
        let values = labels.iter().filter_map(|(key, value)| {
            check_value(value).map(|message| InvalidStyle::Value {
                key: key.clone(),
                value: value.clone(),
                message,
            })
        });
        let keys = labels.keys().chain(annotations.keys());
        let wrong: Vec<_> = keys.filter_map(|key| check(key)).chain(values).collect();
        if wrong.is_empty() {
            Ok(Self { labels, annotations })
        } else {
            Err(wrong)
        }
    }

    pub(super) fn labels(&self) -> &BTreeMap<String, String> {
        &self.labels
    }

    pub(super) fn annotations(&self) -> &BTreeMap<String, String> {
        &self.annotations
    }
}

impl<'a> CopyObject<'a> {
    /// The copy of a source at a target. With an identity it changes that very object or none.
    #[must_use]
    pub fn new(source: &'a Source, target: &'a Target, style: &'a Style, identity: Option<&'a Identity>) -> Self {
        let own_label = [COPY_LABEL];
        let record = [
            (SOURCE_ANNOTATION, &*source.reference),
            (VERSION_ANNOTATION, &*source.version),
        ];
        Self {
            api_version: "v1",
            kind: "Secret",
            metadata: Metadata {
                name: &target.name,
                namespace: &target.namespace,
                identity,
                labels: borrowed(&style.labels).chain(own_label).collect(),
                annotations: borrowed(&style.annotations).chain(record).collect(),
            },
            r#type: source.form.secret_type(),
            data: Data {
                key: source.form.data_key(),
                payload: &source.payload,
            },
        }
    }
}

impl Serialize for Data<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let encoded = Base64Display::new(self.payload.bytes(), &STANDARD);
        serializer.collect_map([(self.key, format_args!("{encoded}"))])
    }
}

fn borrowed(map: &BTreeMap<String, String>) -> impl Iterator<Item = (&str, &str)> {
    map.iter().map(|(key, value)| (key.as_str(), value.as_str()))
}

fn check(key: &str) -> Option<InvalidStyle> {
    let is_tracking = |known: &&str| key == *known || known.ends_with('/') && key.starts_with(known);
    let own_prefix = ADOPT_LABEL.0.split('/').next().unwrap_or_default();
    if let Some(message) = check_key(key) {
        let key = key.to_owned();
        return Some(InvalidStyle::Key { key, message });
    }
    if key.split_once('/').is_some_and(|(prefix, _)| prefix == own_prefix) {
        return Some(InvalidStyle::OwnKey(key.to_owned()));
    }
    let tracked = TRACKING.iter().any(is_tracking) || key.contains(FLUX);
    tracked.then(|| InvalidStyle::TrackingKey(key.to_owned()))
}
