//! A label selector as Kubernetes reads it.
//!
//! In: `matchLabels` and `matchExpressions` as texts. Out: a [`LabelSelector`], or every problem with its place. All
//! requirements must hold. What a key, a value and an operator may be is the API server's own validation
//! (`ValidateLabelSelector` and `IsQualifiedName`, `IsValidLabelValue` of apimachinery), so that what works in a file
//! works in an object.

use super::namespaces::{Problem, Step, check_count};
use super::{Labels, names};

/// The longest name of a label key and the longest label value.
pub(super) const LONGEST_NAME: usize = 63;
/// How many requirements each list may have.
pub(super) const MOST_REQUIREMENTS: usize = 32;
/// How many values a requirement may have.
pub(super) const MOST_VALUES: usize = 128;
/// Those with `values`, then those without.
pub(super) const OPERATORS: [&str; 4] = ["In", "NotIn", "Exists", "DoesNotExist"];
pub(crate) const ACCEPTED_KEY: &str =
    "`[prefix/]name`: a DNS name, then letters, digits and inner `-`, `_`, `.`, at most 63";
pub(crate) const ACCEPTED_VALUE: &str = "letters, digits and inner `-`, `_`, `.`, at most 63, or nothing";
const ACCEPTED_OPERATOR: &str = "`In`, `NotIn`, `Exists` or `DoesNotExist`";
pub(super) const EMPTY: &str = "an empty selector selects everything";
pub(super) const NO_KEY: &str = "this is no label key";
pub(super) const NO_VALUE: &str = "this is no label value";
pub(super) const NEEDS_VALUES: &str = "this operator needs values";
pub(super) const HAS_NO_VALUES: &str = "this operator has no values";

/// A selector as written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SelectorTerms {
    /// `matchLabels`: keys and values.
    pub match_labels: Vec<(String, String)>,
    /// `matchExpressions`.
    pub match_expressions: Vec<ExpressionTerms>,
}

/// One of `matchExpressions` as written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExpressionTerms {
    /// `key`.
    pub key: String,
    /// `operator`.
    pub operator: String,
    /// `values`.
    pub values: Vec<String>,
}

/// A checked selector with at least one requirement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: String,
    condition: Condition,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Condition {
    In(Vec<String>),
    /// Also met by labels without the key.
    NotIn(Vec<String>),
    Exists,
    DoesNotExist,
}

impl LabelSelector {
    /// Checks the terms.
    ///
    /// # Errors
    /// Every problem, in the order of the fields.
    pub fn new(terms: SelectorTerms) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        if terms.match_labels.is_empty() && terms.match_expressions.is_empty() {
            problems.push(problem(vec![], None, EMPTY, "at least one requirement"));
        }
        problems.extend(check_count("matchLabels", terms.match_labels.len(), MOST_REQUIREMENTS));
        problems.extend(check_count(
            "matchExpressions",
            terms.match_expressions.len(),
            MOST_REQUIREMENTS,
        ));
        let mut requirements = Vec::new();
        for (key, value) in terms.match_labels {
            let path = || vec![Step::Field("matchLabels"), Step::Key(key.clone())];
            problems.extend(check_key(&key).map(|message| problem(path(), Some(&key), message, ACCEPTED_KEY)));
            problems.extend(check_value(&value).map(|message| problem(path(), Some(&value), message, ACCEPTED_VALUE)));
            requirements.push(Requirement {
                key,
                condition: Condition::In(vec![value]),
            });
        }
        for (index, expression) in terms.match_expressions.into_iter().enumerate() {
            match Requirement::new(expression) {
                Ok(requirement) => requirements.push(requirement),
                Err(below) => problems.extend(
                    below
                        .into_iter()
                        .map(|problem| problem.below(Step::Index(index)).below(Step::Field("matchExpressions"))),
                ),
            }
        }
        if problems.is_empty() {
            requirements.shrink_to_fit();
            Ok(Self { requirements })
        } else {
            Err(problems)
        }
    }

    /// Whether the labels meet all requirements.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        self.requirements
            .iter()
            .all(|requirement| requirement.is_met(labels.get(&requirement.key)))
    }

    /// Whether some labels may meet both: no requirement of one rules out one of the other.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        let mut pairs = self
            .requirements
            .iter()
            .flat_map(|one| other.requirements.iter().map(move |another| (one, another)));
        pairs.all(|(one, another)| one.key != another.key || one.condition.allows(&another.condition))
    }
}

impl Condition {
    /// Whether some value, or none, meets both.
    fn allows(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::In(values), Self::In(others)) => values.iter().any(|value| others.contains(value)),
            (Self::In(values), Self::NotIn(others)) | (Self::NotIn(others), Self::In(values)) => {
                values.iter().any(|value| !others.contains(value))
            }
            (Self::In(_) | Self::Exists, Self::DoesNotExist) | (Self::DoesNotExist, Self::In(_) | Self::Exists) => {
                false
            }
            _ => true,
        }
    }
}

impl Requirement {
    fn new(terms: ExpressionTerms) -> Result<Self, Vec<Problem>> {
        let ExpressionTerms { key, operator, values } = terms;
        let mut problems = Vec::new();
        let message = check_key(&key);
        problems.extend(message.map(|message| problem(vec![Step::Field("key")], Some(&key), message, ACCEPTED_KEY)));
        problems.extend(check_count("values", values.len(), MOST_VALUES));
        for (index, value) in values.iter().enumerate() {
            let path = || vec![Step::Field("values"), Step::Index(index)];
            problems.extend(check_value(value).map(|message| problem(path(), Some(value), message, ACCEPTED_VALUE)));
        }
        let fault = match (operator.as_str(), values.is_empty()) {
            ("In" | "NotIn", false) | ("Exists" | "DoesNotExist", true) => None,
            ("In" | "NotIn", true) => Some(("values", None, NEEDS_VALUES, "at least one value")),
            ("Exists" | "DoesNotExist", false) => Some(("values", None, HAS_NO_VALUES, "no `values`")),
            _ => Some((
                "operator",
                Some(operator.as_str()),
                "there is no such operator",
                ACCEPTED_OPERATOR,
            )),
        };
        problems.extend(
            fault.map(|(field, value, message, accepted)| problem(vec![Step::Field(field)], value, message, accepted)),
        );
        if !problems.is_empty() {
            return Err(problems);
        }
        let condition = match operator.as_str() {
            "In" => Condition::In(values),
            "NotIn" => Condition::NotIn(values),
            "Exists" => Condition::Exists,
            _ => Condition::DoesNotExist,
        };
        Ok(Self { key, condition })
    }

    fn is_met(&self, value: Option<&str>) -> bool {
        match &self.condition {
            Condition::In(values) => value.is_some_and(is_among(values)),
            Condition::NotIn(values) => !value.is_some_and(is_among(values)),
            Condition::Exists => value.is_some(),
            Condition::DoesNotExist => value.is_none(),
        }
    }
}

fn is_among(values: &[String]) -> impl FnOnce(&str) -> bool {
    move |value| values.iter().any(|other| other == value)
}

fn problem(path: Vec<Step>, value: Option<&str>, message: &str, accepted: &'static str) -> Problem {
    Problem {
        path,
        value: value.map(str::to_owned),
        message: message.to_owned(),
        accepted: Some(accepted),
    }
}

/// What is wrong with the key of a label or an annotation, if anything is.
pub(crate) fn check_key(key: &str) -> Option<&'static str> {
    let (prefix, name) = key
        .split_once('/')
        .map_or((None, key), |(prefix, name)| (Some(prefix), name));
    if !prefix.is_none_or(names::is_subdomain) {
        Some("the prefix of the label key is no DNS name")
    } else if name.is_empty() || !is_name(name) {
        Some(NO_KEY)
    } else {
        None
    }
}

/// What is wrong with the value of a label, if anything is.
pub(crate) fn check_value(value: &str) -> Option<&'static str> {
    (!value.is_empty() && !is_name(value)).then_some(NO_VALUE)
}

/// What label keys have behind their prefix, and values that are not empty.
fn is_name(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    text.len() <= LONGEST_NAME
        && text.bytes().all(is_inner)
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.ends_with(|last: char| last.is_ascii_alphanumeric())
}
