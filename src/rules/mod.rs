//! Rules: which images of which namespaces get which pull secret.
//!
//! In: texts that people wrote, read once into types that cannot be wrong. Out: a [`RuleSet`], the one matcher, which
//! says for an image and a namespace what applies and why. Nothing here decides what a Pod looks like afterwards.
//!
//! `source` keeps what files last said well, and `compile` reads one of them field by field, with a `diagnostic` for every
//! mistake. `pattern`, `regex`, `namespaces` and `selector` each know one field of a rule and all that can be wrong with
//! it; `set` decides which rules apply, over an `index` that keeps the cost of a decision the same however many there are.
//! `overlap` finds rules that get in each other's way. `schema` tells an API server what of this it can check itself.

use std::fmt;
use std::sync::Arc;

use crate::credentials::Key;

pub mod compile;
pub mod diagnostic;
mod document;
mod index;
mod labels;
mod last_match;
mod names;
pub mod namespaces;
pub mod overlap;
pub mod pattern;
pub mod regex;
pub mod schema;
pub mod selector;
pub mod set;
pub mod source;
mod spec;

pub use compile::{Compiled, Context};
pub use diagnostic::{Diagnostic, Severity};
pub use labels::Labels;
pub use last_match::{Hour, LastMatch};
pub use names::{
    ACCEPTED_LABEL as ACCEPTED_NAMESPACE_NAME, ACCEPTED_SUBDOMAIN as ACCEPTED_NAME, is_label as is_namespace_name,
    is_subdomain as is_name,
};
pub use namespaces::{Namespace, NamespaceSelection};
pub use pattern::ImagePattern;
pub use regex::ImageRegex;
pub use set::{Explained, Match, MatchOrder, Pattern, Rejection, RuleSet};
pub use source::{Disk, FileReport, FileStatus, Loaded, RuleFiles, Storage};

/// One compiled rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Whose rule it is.
    pub kind: Kind,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`: given for a [`Kind::PullSecretRule`] and for no other.
    pub namespace: Option<String>,
    /// The name that is put on the Pod.
    pub secret: String,
    /// Whether it changes Pods.
    pub mode: Mode,
    /// `images`.
    pub patterns: Vec<ImagePattern>,
    /// `exceptImages`: what one of these covers, the rule does not.
    pub exceptions: Vec<ImagePattern>,
    /// `imageRegex`, besides `images`.
    pub regex: Option<ImageRegex>,
    /// The keys of the source secret where `images` is left out: the rule covers what the kubelet would serve with
    /// them.
    pub derived: Vec<Key>,
    /// The namespaces that may have the secret; its own alone for a [`Kind::PullSecretRule`].
    pub namespaces: NamespaceSelection,
    /// Where the controller copies the secret from.
    pub copy_from: Option<SourceRef>,
    /// When it last matched, for a rule that is an object of the cluster.
    pub last_match: Option<Arc<LastMatch>>,
}

/// The two kinds of rules, in the order in which their secrets come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The policy team's, for the namespaces it selects.
    ClusterPullSecretRule,
    /// A team's own, for its own namespace.
    PullSecretRule,
}

/// What a rule does where it applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Mode {
    /// It adds its secret.
    #[default]
    Enforce,
    /// It is counted and reported, and changes nothing.
    Shadow,
}

/// The secret that copies are made of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceRef {
    /// The source's namespace.
    pub namespace: String,
    /// The source's name.
    pub name: String,
}

impl Rule {
    /// The name that people know the rule by: `acme-ghcr`, or `team-a/team-harbor` for a namespaced one.
    #[must_use]
    pub fn qualified_name(&self) -> impl fmt::Display {
        fmt::from_fn(|formatter| {
            if let Some(namespace) = &self.namespace {
                write!(formatter, "{namespace}/")?;
            }
            formatter.write_str(&self.name)
        })
    }

    /// Whether both say the same, whatever they are called.
    #[must_use]
    pub fn says_the_same_as(&self, other: &Self) -> bool {
        let regex = |rule: &Self| rule.regex.as_ref().map(ToString::to_string);
        (self.mode, &self.secret, &self.copy_from) == (other.mode, &other.secret, &other.copy_from)
            && (&self.patterns, &self.exceptions) == (&other.patterns, &other.exceptions)
            && self.namespaces == other.namespaces
            && regex(self) == regex(other)
    }

    /// Whether both would copy different sources to secrets of one name, in a namespace that both may select: there, only
    /// one of them can have its copy.
    #[must_use]
    pub fn is_rival_of(&self, other: &Self) -> bool {
        self.secret == other.secret
            && matches!((&self.copy_from, &other.copy_from), (Some(one), Some(another)) if one != another)
            && self.namespaces.meets(&other.namespaces)
    }
}

impl Kind {
    /// The `kind` of its objects.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClusterPullSecretRule => "ClusterPullSecretRule",
            Self::PullSecretRule => "PullSecretRule",
        }
    }

    /// What the API's paths call its objects.
    #[must_use]
    pub fn plural(self) -> &'static str {
        match self {
            Self::ClusterPullSecretRule => "clusterpullsecretrules",
            Self::PullSecretRule => "pullsecretrules",
        }
    }
}

impl Mode {
    /// The value of `spec.mode`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "Enforce",
            Self::Shadow => "Shadow",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Display for SourceRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.namespace, self.name)
    }
}
