//! The Secrets that the controller touches at all, where an admin limits it to some by name.
//!
//! In: names as he writes them. Out: [`Names`], by which roles can be limited as well; and, of the copies among them,
//! which are within [`Reach`]. A role can name no label, but it can name names, also for lists and watches of one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use crate::rules::{Rule, SourceRef, is_name, is_namespace_name};

/// The option of both `pullkey manifests` and `pullkey controller`.
pub const OPTION: &str = "--secret-name";

/// Something that the controller may touch: `NAME` or `NAMESPACE/NAME`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretName {
    /// Copies of this name, in any namespace.
    Copies(String),
    /// This very source.
    Source(SourceRef),
}

/// All that it may touch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// The names of copies.
    pub copies: BTreeSet<String>,
    /// The sources.
    pub sources: BTreeSet<SourceRef>,
}

/// Why a text is no [`SecretName`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected `NAME` for copies, or `NAMESPACE/NAME` for a source")]
pub struct NotASecretName;

/// The names that copies may have.
#[derive(Debug)]
pub(super) enum Reach {
    /// Any.
    All,
    /// These. What is not listed yet, or cannot be, is out of reach.
    Named(BTreeMap<String, bool>),
}

impl SecretName {
    /// What to do so that the controller may touch it.
    #[must_use]
    pub fn remedy(&self) -> impl fmt::Display {
        fmt::from_fn(move |formatter| {
            write!(
                formatter,
                "give `pullkey manifests` the option `{OPTION}={self}` as well, and apply what it prints"
            )
        })
    }
}

impl FromStr for SecretName {
    type Err = NotASecretName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            None if is_name(text) => Ok(Self::Copies(text.to_owned())),
            Some((namespace, name)) if is_namespace_name(namespace) && is_name(name) => Ok(Self::Source(SourceRef {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            })),
            _ => Err(NotASecretName),
        }
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Copies(name) => formatter.write_str(name),
            Self::Source(source) => source.fmt(formatter),
        }
    }
}

impl Names {
    /// What is touched for the sake of these rules.
    pub fn of_rules<'r>(rules: impl IntoIterator<Item = &'r Rule>) -> Self {
        let copying = rules
            .into_iter()
            .filter_map(|rule| Some((rule, rule.copy_from.as_ref()?)));
        copying
            .flat_map(|(rule, source)| {
                [
                    SecretName::Copies(rule.secret.clone()),
                    SecretName::Source(source.clone()),
                ]
            })
            .collect()
    }

    /// All of them, those of copies first.
    pub fn iter(&self) -> impl Iterator<Item = SecretName> {
        let copies = self.copies.iter().cloned().map(SecretName::Copies);
        copies.chain(self.sources.iter().cloned().map(SecretName::Source))
    }

    /// A source in a namespace that none may come from.
    pub fn stray(&self, may_hold_sources: impl Fn(&str) -> bool) -> Option<&SourceRef> {
        self.sources.iter().find(|source| !may_hold_sources(&source.namespace))
    }
}

impl FromIterator<SecretName> for Names {
    fn from_iter<I: IntoIterator<Item = SecretName>>(names: I) -> Self {
        let mut all = Self::default();
        all.extend(names);
        all
    }
}

impl Extend<SecretName> for Names {
    fn extend<I: IntoIterator<Item = SecretName>>(&mut self, names: I) {
        for name in names {
            match name {
                SecretName::Copies(name) => _ = self.copies.insert(name),
                SecretName::Source(source) => _ = self.sources.insert(source),
            }
        }
    }
}

impl Reach {
    pub(super) fn new(names: Option<&Names>) -> Self {
        names.map_or(Self::All, |names| {
            Self::Named(names.copies.iter().map(|name| (name.clone(), false)).collect())
        })
    }

    /// Whether copies are found by their names, so that the watch tells about every Secret of such a name.
    pub(super) fn is_named(&self) -> bool {
        matches!(self, Self::Named(_))
    }

    /// Whether copies of this name may be written.
    pub(super) fn holds(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Named(names) => names.get(name).is_some_and(|is_listed| *is_listed),
        }
    }

    /// The Secrets of a name have been listed. Says whether that is new.
    pub(super) fn listed(&mut self, name: &str) -> bool {
        match self {
            Self::All => false,
            Self::Named(names) => names
                .get_mut(name)
                .is_some_and(|is_listed| !std::mem::replace(is_listed, true)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_of_copies_and_one_with_its_namespace_of_a_source() {
        for (text, is_good) in [
            ("ghcr-acme", true),
            ("a.b", true),
            ("pullkey-sources/ghcr.acme", true),
            ("", false),
            ("/", false),
            ("a/", false),
            ("/a", false),
            ("a.b/c", false),
            ("a/b/c", false),
            ("A", false),
            ("*", false),
            ("a/*", false),
        ] {
            let name = text.parse::<SecretName>();
            assert_eq!(name.is_ok(), is_good, "{text}");
            assert!(name.is_err() || name.unwrap().to_string() == text);
        }
    }
}
