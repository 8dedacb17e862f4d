//! What can be chosen about an installation, in types that hold only what an API server takes.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU16;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;

use super::{DnsPolicy, Toleration};
use crate::controller::names::Names;
use crate::image::{ImageReference, InvalidImage};
use crate::rules::source::is_rules_file;
use crate::rules::{ACCEPTED_NAME, ACCEPTED_NAMESPACE_NAME, is_name, is_namespace_name};
use crate::{duration, health, server};

/// Everything that can be chosen; the default is what `deploy/` holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Where it is installed: a namespace of its own.
    pub namespace: NamespaceName,
    /// The image of the program.
    pub image: Image,
    /// Pull secrets of that image, in the same namespace.
    pub pull_secrets: Vec<ObjectName>,
    /// How important its Pods are.
    pub priority_class: ObjectName,
    /// The taints of nodes that do not keep its Pods away.
    pub tolerations: Vec<Toleration>,
    /// Whether the webhook's Pods are on the network of their nodes, for API servers that reach no other.
    pub host_network: bool,
    /// How the webhook's Pods find names, if it is to be said.
    pub dns_policy: Option<DnsPolicy>,
    /// How many of them there are.
    pub replicas: NonZeroU16,
    /// The container's port for calls. The Service has its own.
    pub https_port: u16,
    /// The container's port for probes and metrics.
    pub health_port: u16,
    /// The rules.
    pub rules: RulesFiles,
    /// What becomes of a Pod about which no answer is to be had.
    pub failure_policy: FailurePolicy,
    /// How long the API server waits for an answer.
    pub timeout: Timeout,
    /// Whether the webhook is asked only about Pods of namespaces that ask for it by a label.
    pub opt_in: bool,
    /// Where the controller may take sources from.
    pub source_namespaces: Vec<NamespaceName>,
    /// Which secrets the controller may touch, where that is limited to some.
    pub secret_names: Option<Names>,
    /// Namespaces about whose Pods the webhook is not asked, besides those for which that is never the case.
    pub excluded: Vec<NamespaceName>,
    /// Whether there is a Prometheus operator that is to look after it.
    pub monitoring: bool,
}

/// The name of a namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct NamespaceName(pub(super) String);

/// The name of another object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ObjectName(String);

/// An image that a kubelet can parse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Image(String);

/// `timeoutSeconds` of a webhook: 1 to 30.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Timeout(u8);

/// `failurePolicy` of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum FailurePolicy {
    /// The Pod is created as it is.
    Ignore,
    /// It is refused.
    Fail,
}

/// Files of rules as a `ConfigMap` holds them, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RulesFiles(pub(super) BTreeMap<String, String>);

/// Why a text is no value of an option: what would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {0}")]
pub struct Unfit(pub(super) &'static str);

/// Why a file of rules cannot be in a `ConfigMap`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnfitFile {
    /// It would be no key, or the webhook would pass it over.
    #[error(
        "`{0}` cannot be a file of a ConfigMap, expected letters, digits, `-`, `_` and `.`, and at the end \
         `.yaml`, `.yml` or `.json`"
    )]
    Name(String),
    /// There is another of that name.
    #[error("there are two files called `{0}`, expected different names even in different directories")]
    Twice(String),
}

impl Default for Options {
    fn default() -> Self {
        Self {
            namespace: NamespaceName(super::NAME.to_owned()),
            image: Image(concat!("pullkey:", env!("CARGO_PKG_VERSION")).to_owned()),
            pull_secrets: Vec::new(),
            priority_class: ObjectName(super::CLUSTER_CRITICAL.to_owned()),
            tolerations: Vec::new(),
            host_network: false,
            dns_policy: None,
            replicas: TWO,
            https_port: server::PORT,
            health_port: health::PORT,
            rules: RulesFiles::starter(),
            failure_policy: FailurePolicy::Ignore,
            timeout: Timeout(5),
            opt_in: false,
            source_namespaces: vec![NamespaceName(super::SOURCES.to_owned())],
            secret_names: None,
            excluded: Vec::new(),
            monitoring: false,
        }
    }
}

/// One can be replaced while the other answers.
const TWO: NonZeroU16 = NonZeroU16::MIN.saturating_add(1);

impl FromStr for NamespaceName {
    type Err = Unfit;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = is_namespace_name(text).then(|| Self(text.to_owned()));
        name.ok_or(Unfit(ACCEPTED_NAMESPACE_NAME))
    }
}

impl FromStr for ObjectName {
    type Err = Unfit;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        is_name(text).then(|| Self(text.to_owned())).ok_or(Unfit(ACCEPTED_NAME))
    }
}

impl FromStr for Image {
    type Err = InvalidImage;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        ImageReference::parse(text).map(|_| Self(text.to_owned()))
    }
}

impl FromStr for Timeout {
    type Err = Unfit;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let whole = |duration: &Duration| duration.subsec_nanos() == 0 && (1..=30).contains(&duration.as_secs());
        let timeout = duration::parse(text).ok().filter(whole);
        let seconds = timeout.and_then(|timeout| u8::try_from(timeout.as_secs()).ok());
        seconds.map(Self).ok_or(Unfit("whole seconds from `1s` to `30s`"))
    }
}

impl FailurePolicy {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::Ignore, Self::Fail];
}

impl FromStr for FailurePolicy {
    type Err = Unfit;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let policy = Self::ALL.into_iter().find(|policy| policy.to_string() == text);
        policy.ok_or(Unfit("`Ignore` or `Fail`"))
    }
}

impl fmt::Display for NamespaceName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Display for Image {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Display for Timeout {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}s", self.0)
    }
}

impl fmt::Display for FailurePolicy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Ignore => "Ignore",
            Self::Fail => "Fail",
        })
    }
}

impl RulesFiles {
    /// One file with a rule that changes no Pod: the webhook does not start without any rule.
    #[must_use]
    pub fn starter() -> Self {
        Self(BTreeMap::from([(
            "rules.yaml".to_owned(),
            include_str!("starter-rules.yaml").to_owned(),
        )]))
    }

    /// Files by their paths, of which only the last part counts, and their texts.
    pub fn new(files: impl IntoIterator<Item = (impl AsRef<Path>, String)>) -> Result<Self, UnfitFile> {
        let mut texts = BTreeMap::new();
        for (path, text) in files {
            let name = path
                .as_ref()
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let is_key = name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
            if !is_key || name.len() > 253 || !is_rules_file(Path::new(&name)) {
                return Err(UnfitFile::Name(name));
            }
            if texts.insert(name.clone(), text).is_some() {
                return Err(UnfitFile::Twice(name));
            }
        }
        Ok(Self(texts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_no_api_server_takes_are_refused() {
        for (text, namespace, object, image) in [
            ("pullkey", true, true, true),
            ("a.b", false, true, true),
            ("a/b:c", false, false, true),
            ("A", false, false, false),
            ("", false, false, false),
        ] {
            assert_eq!(text.parse::<NamespaceName>().is_ok(), namespace, "{text}");
            assert_eq!(text.parse::<ObjectName>().is_ok(), object, "{text}");
            assert_eq!(text.parse::<Image>().is_ok(), image, "{text}");
        }
        for (text, seconds) in [("1s", 1), ("30s", 30), ("5000ms", 5)] {
            assert_eq!(text.parse(), Ok(Timeout(seconds)), "{text}");
        }
        for text in ["0s", "31s", "1.5s", "5", "1h", ""] {
            assert!(text.parse::<Timeout>().is_err(), "{text}");
        }
        assert_eq!("Fail".parse(), Ok(FailurePolicy::Fail));
        assert!("fail".parse::<FailurePolicy>().is_err());
    }

    #[test]
    fn rules_files_are_those_that_the_webhook_finds_in_its_directory() {
        let files = |paths: &[&str]| RulesFiles::new(paths.iter().map(|path| (path, String::new())));
        let names = |files: RulesFiles| files.0.into_keys().collect::<Vec<_>>();
        assert_eq!(
            files(&["x/b.yaml", "a.json"]).map(names),
            Ok(vec!["a.json".to_owned(), "b.yaml".to_owned()])
        );
        for name in ["rules.txt", ".hidden.yaml", "two words.yaml", "é.yaml", ".."] {
            assert!(matches!(files(&[name]), Err(UnfitFile::Name(_))), "{name}");
        }
        assert_eq!(
            files(&["a/r.yaml", "b/r.yaml"]),
            Err(UnfitFile::Twice("r.yaml".to_owned()))
        );
    }
}
