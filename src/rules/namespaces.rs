//! `spec.namespaces`: which namespaces may have a secret.
//!
//! In: the three fields as lists of texts. Out: a [`NamespaceSelection`], or every problem of all of them with its
//! place. A selection is (`include` and `selector`) minus `exclude`; nobody gets a credential by default, and the
//! node's own namespaces never get one by a glob or a selector.

use std::fmt;

use super::Labels;
use super::names::{self, LONGEST_LABEL};
use super::selector::{LabelSelector, SelectorTerms};
use crate::glob;

/// Namespaces whose images are the node's business.
pub const PROTECTED: [&str; 3] = ["kube-system", "kube-public", "kube-node-lease"];
/// The longest glob: a star around each character of the longest name. More of them would say no more.
pub(super) const LONGEST_GLOB: usize = 2 * LONGEST_LABEL + 1;
/// How many names `include` and `exclude` may have each. Who has more namespaces than this labels them.
pub(super) const MOST_NAMES: usize = 2_000;
/// Where a rule may put a secret.
pub(super) const ACCEPTED_NAMESPACE: &str =
    "any namespace but kube-system, kube-public, kube-node-lease and Pullkey's own";
pub(super) const ACCEPTED_NAMESPACES: &str = "`include`, `selector` or both; all namespaces are `include: [\"*\"]`";
pub(super) const ACCEPTED_INCLUDE: &str = "at least one name or glob; all namespaces are `[\"*\"]`";
pub(super) const ACCEPTED_NAME: &str = "lower-case letters, digits and inner `-`, at most 63; `*` for any run";
pub(super) const NOBODY: &str = "nothing says which namespaces may have the secret";
pub(super) const NO_NAMES: &str = "an empty list includes nothing";
pub(super) const NOT_OURS: &str = "images in this namespace are not the business of a rule";
pub(super) const NO_NAME: &str = "no namespace has such a name";

/// What is known about the namespace of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Namespace<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its labels, `kubernetes.io/metadata.name` among them as the API server has it; `None` where nobody knows them.
    pub labels: Option<&'a Labels>,
}

/// `spec.namespaces` as written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamespaceTerms {
    /// `include`, if it is there.
    pub include: Option<Vec<String>>,
    /// `exclude`.
    pub exclude: Vec<String>,
    /// `selector`, if it is there.
    pub selector: Option<SelectorTerms>,
}

/// A checked selection of namespaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceSelection {
    /// Everyone if `None`; then there is a selector.
    include: Option<Names>,
    exclude: Names,
    selector: Option<LabelSelector>,
}

/// One thing that is wrong below a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The way down from the field.
    pub path: Vec<Step>,
    /// What stands there, if it is a text.
    pub value: Option<String>,
    /// What is wrong with it.
    pub message: String,
    /// What would be right.
    pub accepted: Option<&'static str>,
}

/// One step down a document. A path displays as `.selector.matchExpressions[0].values[1]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Into a field.
    Field(&'static str),
    /// To an item of a list, from 0.
    Index(usize),
    /// To a key of a free mapping.
    Key(String),
}

/// Names and globs; names in order, since a rule may list thousands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Names {
    literal: Vec<String>,
    globs: Vec<String>,
}

impl NamespaceSelection {
    /// Checks the terms of a cluster rule.
    ///
    /// # Errors
    /// Every problem, in the order of the fields.
    pub fn new(terms: NamespaceTerms, own_namespace: &str) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        if terms.include.is_none() && terms.selector.is_none() {
            problems.push(Problem {
                path: Vec::new(),
                value: None,
                message: NOBODY.to_owned(),
                accepted: Some(ACCEPTED_NAMESPACES),
            });
        }
        if terms.include.as_ref().is_some_and(Vec::is_empty) {
            problems.push(Problem {
                path: vec![Step::Field("include")],
                value: None,
                message: NO_NAMES.to_owned(),
                accepted: Some(ACCEPTED_INCLUDE),
            });
        }
        problems.extend(check_count(
            "include",
            terms.include.as_deref().unwrap_or_default().len(),
            MOST_NAMES,
        ));
        for (index, name) in terms.include.iter().flatten().enumerate() {
            if PROTECTED.contains(&name.as_str()) || name == own_namespace {
                problems.push(Problem::at("include", index, name, NOT_OURS, ACCEPTED_NAMESPACE));
            } else if let Err(message) = check_name(name) {
                problems.push(Problem::at("include", index, name, message, ACCEPTED_NAME));
            }
        }
        problems.extend(check_count("exclude", terms.exclude.len(), MOST_NAMES));
        for (index, name) in terms.exclude.iter().enumerate() {
            if let Err(message) = check_name(name) {
                problems.push(Problem::at("exclude", index, name, message, ACCEPTED_NAME));
            }
        }
        let selector = terms
            .selector
            .map(LabelSelector::new)
            .transpose()
            .unwrap_or_else(|below| {
                problems.extend(below.into_iter().map(|problem| problem.below(Step::Field("selector"))));
                None
            });
        if !problems.is_empty() {
            return Err(problems);
        }
        // Nobody can include it by name, so what protects it is an exclusion like any other.
        let exclude = terms.exclude.into_iter().chain([own_namespace.to_owned()]);
        Ok(Self {
            include: terms.include.map(|names| names.into_iter().collect()),
            exclude: exclude.collect(),
            selector,
        })
    }

    /// The one namespace of a namespaced rule, which speaks for nobody else.
    #[must_use]
    pub fn only(namespace: &str) -> Self {
        Self {
            include: Some([namespace.to_owned()].into_iter().collect()),
            exclude: Names::default(),
            selector: None,
        }
    }

    /// Whether the namespace may have the secret. A selector selects no namespace whose labels are unknown.
    #[must_use]
    pub fn selects(&self, namespace: &Namespace<'_>) -> bool {
        self.takes(namespace.name)
            && self
                .selector
                .as_ref()
                .is_none_or(|selector| namespace.labels.is_some_and(|labels| selector.matches(labels)))
    }

    /// Whether some namespace may be one of both selections. Never denied where there is one; granted, too, where only
    /// several exclusions together leave nothing of a glob.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        let labels_meet = match (&self.selector, &other.selector) {
            (Some(one), Some(another)) => one.meets(another),
            _ => true,
        };
        labels_meet && (self.names_meet(other) || other.names_meet(self) || self.globs_meet(other))
    }

    /// Whether the names alone select this one.
    fn takes(&self, name: &str) -> bool {
        let included = match &self.include {
            Some(include) => include.has_name(name) || !is_protected(name) && include.has_glob(name),
            None => !is_protected(name),
        };
        included && !self.exclude.has_name(name) && !self.exclude.has_glob(name)
    }

    fn names_meet(&self, other: &Self) -> bool {
        let literal = self.include.iter().flat_map(|include| &include.literal);
        literal.into_iter().any(|name| self.takes(name) && other.takes(name))
    }

    fn globs_meet(&self, other: &Self) -> bool {
        // An exclusion that covers a glob as if its star were a letter covers all that the glob does.
        let is_left = |glob: &str| !self.exclude.has_glob(glob) && !other.exclude.has_glob(glob);
        let left = other.globs().filter(|glob| is_left(glob)).collect::<Vec<_>>();
        let mut own = self.globs().filter(|glob| is_left(glob));
        own.any(|glob| left.iter().any(|other| glob::meet(glob, other)))
    }

    fn globs(&self) -> impl Iterator<Item = &str> {
        let everyone = self.include.is_none().then_some("*");
        let globs = self.include.iter().flat_map(|include| &include.globs);
        globs.map(String::as_str).chain(everyone)
    }

    /// The only namespaces it can select, where it names each of them.
    #[must_use]
    pub fn named(&self) -> Option<&[String]> {
        self.include
            .as_ref()
            .filter(|include| include.globs.is_empty())
            .map(|include| include.literal.as_slice())
    }
}

impl Names {
    fn has_name(&self, name: &str) -> bool {
        self.literal
            .binary_search_by(|literal| literal.as_str().cmp(name))
            .is_ok()
    }

    fn has_glob(&self, name: &str) -> bool {
        self.globs.iter().any(|glob| glob::matches(glob, name))
    }
}

impl FromIterator<String> for Names {
    fn from_iter<I: IntoIterator<Item = String>>(names: I) -> Self {
        let (mut globs, mut literal): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| name.contains('*'));
        literal.sort_unstable();
        literal.dedup();
        literal.shrink_to_fit();
        globs.shrink_to_fit();
        Self { literal, globs }
    }
}

impl Problem {
    fn at(list: &'static str, index: usize, value: &str, message: &str, accepted: &'static str) -> Self {
        Self {
            path: vec![Step::Field(list), Step::Index(index)],
            value: Some(value.to_owned()),
            message: message.to_owned(),
            accepted: Some(accepted),
        }
    }

    /// The same problem seen from one step further up.
    pub(super) fn below(mut self, step: Step) -> Self {
        self.path.insert(0, step);
        self
    }
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(formatter, ".{name}"),
            Self::Index(index) => write!(formatter, "[{index}]"),
            Self::Key(key) => write!(formatter, "[{key}]"),
        }
    }
}

fn is_protected(name: &str) -> bool {
    PROTECTED.contains(&name)
}

/// That a list below has too many items.
pub(super) fn check_count(list: &'static str, count: usize, most: usize) -> Option<Problem> {
    (count > most).then(|| Problem {
        path: vec![Step::Field(list)],
        value: None,
        message: format!("there are {count} of them, at most {most} are allowed"),
        accepted: None,
    })
}

/// A name, or a glob that some name matches: `a` for each `*` must give one.
fn check_name(name: &str) -> Result<(), &'static str> {
    let literal = name.replace('*', "");
    let possible = name.replace('*', "a");
    if name.is_empty() {
        Err("the name is empty")
    } else if literal.len() > LONGEST_LABEL {
        Err("no namespace has so long a name")
    } else if name.len() > LONGEST_GLOB {
        Err("there are more `*` than can mean anything")
    } else if !names::is_part(&possible) {
        Err(NO_NAME)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
