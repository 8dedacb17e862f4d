//! The answer, as programs get it. Its JSON form is a contract; `text` writes it for people.

use std::fmt::Display;

use serde::Serialize;

use super::pods::Owner;
use crate::printable::printable;

/// As many objects are named with a finding.
const MOST_NAMED: usize = 10;

/// What was seen and what is wrong with it.
#[derive(Debug, Serialize)]
pub struct Report {
    /// What there is, a line each.
    pub seen: Vec<Row>,
    /// What is wrong, the worst first.
    pub findings: Vec<Finding>,
    /// Who owns Pods that lack a secret: first those whose Pods wait for an image.
    pub pods: Vec<Owner>,
    /// What could not be read, and would have been looked at.
    pub unseen: Vec<Unseen>,
}

/// One line of what there is.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// What it is about.
    pub what: &'static str,
    /// How it stands.
    pub state: String,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// One word that never changes.
    pub code: &'static str,
    /// What is wrong, in one line.
    pub message: String,
    /// Which objects it is about, or what was seen of them; the first ones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub about: Vec<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Commands that do it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<String>,
}

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something does not work.
    Error,
    /// It may not work one day, or not as it was meant.
    Warning,
    /// It is as it should be, and good to know.
    Note,
}

/// What could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unseen {
    /// What was attempted, and why it failed.
    pub what: String,
    /// What to do about it.
    pub hint: String,
}

impl Report {
    /// How many findings there are of a severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.findings
            .iter()
            .filter(|finding| finding.severity == severity)
            .count()
    }

    pub(super) fn saw(&mut self, what: &'static str, state: impl Display) {
        self.seen.push(Row {
            what,
            state: printable(&state.to_string()).into_owned(),
        });
    }

    pub(super) fn found(&mut self, finding: Finding) {
        self.findings.push(finding);
    }
}

impl Finding {
    pub(super) fn error(code: &'static str, message: impl Display) -> Self {
        Self::new(Severity::Error, code, message)
    }

    pub(super) fn warning(code: &'static str, message: impl Display) -> Self {
        Self::new(Severity::Warning, code, message)
    }

    pub(super) fn note(code: &'static str, message: impl Display) -> Self {
        Self::new(Severity::Note, code, message)
    }

    pub(super) fn new(severity: Severity, code: &'static str, message: impl Display) -> Self {
        Self {
            severity,
            code,
            message: printable(&message.to_string()).into_owned(),
            about: Vec::new(),
            hint: None,
            commands: Vec::new(),
        }
    }

    /// Names what it is about: the first ones, and how many more there are.
    pub(super) fn about(mut self, what: impl IntoIterator<Item = impl Display>) -> Self {
        let mut what = what.into_iter();
        let named = what.by_ref().take(MOST_NAMED);
        self.about
            .extend(named.map(|named| printable(&named.to_string()).into_owned()));
        let more = what.count();
        if more > 0 {
            self.about.push(format!("and {more} more"));
        }
        self
    }

    pub(super) fn hinting(mut self, hint: impl Display) -> Self {
        self.hint = Some(printable(&hint.to_string()).into_owned());
        self
    }

    pub(super) fn running(mut self, command: impl Into<String>) -> Self {
        self.commands.push(command.into());
        self
    }
}
