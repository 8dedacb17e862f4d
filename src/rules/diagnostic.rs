//! What is wrong with a rules file, said so that its author can put it right.
//!
//! In: a message, and the place, value, accepted form and hint where there are such. Out: several lines for a
//! terminal ([`std::fmt::Display`]) or one JSON object ([`serde::Serialize`]). Whoever makes one passes scalars of
//! rules only: a file that was given by mistake may hold credentials. Texts are cut and their control characters
//! escaped here, so that no file can draw on a terminal or forge a line of a log.

use std::fmt;

use serde::Serialize;

use crate::printable::{printable, shortened};
use crate::yaml::{Node, Position, Value};

/// The longest value or name that is shown in full, in characters: a DNS subdomain, a path and every pattern that a
/// person would write fit.
const LONGEST_SHOWN: usize = 253;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file is good, and perhaps not what its author meant.
    Warning,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one line.
    pub message: String,
    /// The file as it was named, or the path that no file was found at.
    pub file: String,
    /// Line and column, where it is about a place in the file.
    #[serde(flatten)]
    pub position: Option<Position>,
    /// The way to the field from the top of the document, such as `spec.images[2]`; empty where it is about no field.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// What the file says there, if that is a scalar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What may stand there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Diagnostic {
    /// A finding about a file as a whole.
    #[must_use]
    pub fn new(severity: Severity, file: &str, message: impl fmt::Display) -> Self {
        Self {
            severity,
            message: printable(&message.to_string()).into_owned(),
            file: printable(file).into_owned(),
            position: None,
            field: String::new(),
            value: None,
            accepted: None,
            hint: None,
        }
    }

    /// The same at a place.
    #[must_use]
    pub fn at(mut self, position: Position, field: &impl fmt::Display) -> Self {
        self.position = Some(position);
        self.field = printable(&field.to_string()).into_owned();
        self
    }

    /// Shows the node's value, if that is a scalar.
    #[must_use]
    pub fn showing(mut self, node: &Node) -> Self {
        self.value = match &node.value {
            Value::Bool(value) => Some(value.to_string()),
            Value::Number(number) => Some(number.to_string()),
            Value::String(text) => Some(shorten(text)),
            Value::Null | Value::Sequence(_) | Value::Mapping(_) => None,
        };
        self
    }

    /// Says what may stand there.
    #[must_use]
    pub fn accepting(mut self, accepted: impl fmt::Display) -> Self {
        self.accepted = Some(accepted.to_string());
        self
    }

    /// Says what to do about it.
    #[must_use]
    pub fn hinting(mut self, hint: impl fmt::Display) -> Self {
        self.hint = Some(printable(&hint.to_string()).into_owned());
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}\n  --> {}", self.severity, self.message, self.file)?;
        if let Some(position) = self.position {
            write!(formatter, ":{position}")?;
        }
        if !self.field.is_empty() {
            write!(formatter, "\n   = field: {}", self.field)?;
        }
        if let Some(value) = &self.value {
            write!(formatter, "\n   = value: `{value}`")?;
        }
        if let Some(accepted) = &self.accepted {
            write!(formatter, "\n   = accepted: {accepted}")?;
        }
        if let Some(hint) = &self.hint {
            write!(formatter, "\n   = hint: {hint}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// The text on one line, cut where it is longer than anyone wants to read.
pub(super) fn shorten(text: &str) -> String {
    shortened(text, LONGEST_SHOWN).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{Diagnostic, Severity};
    use crate::yaml;

    #[test]
    fn a_terminal_gets_a_line_for_each_part() {
        let node = yaml::parse("\n\n  'ghcr.io/acme:v1'").unwrap().remove(0);
        let whole = Diagnostic::new(Severity::Warning, "rules", "there is nothing");
        assert_eq!(whole.to_string(), "warning: there is nothing\n  --> rules");
        let full = Diagnostic::new(Severity::Error, "config/rules.yaml", "a pattern has no tag")
            .at(node.position, &"spec.images[2]")
            .showing(&node)
            .accepting("`host[:port][/path]`")
            .hinting("write `ghcr.io/acme`");
        assert_eq!(
            full.to_string(),
            "error: a pattern has no tag
  --> config/rules.yaml:3:3
   = field: spec.images[2]
   = value: `ghcr.io/acme:v1`
   = accepted: `host[:port][/path]`
   = hint: write `ghcr.io/acme`"
        );
    }

    #[test]
    fn programs_get_one_object() {
        let node = yaml::parse("12").unwrap().remove(0);
        let whole = Diagnostic::new(Severity::Error, "rules", "there is nothing");
        assert_eq!(
            serde_json::to_string(&whole).unwrap(),
            r#"{"severity":"error","message":"there is nothing","file":"rules"}"#
        );
        assert_eq!(
            serde_json::to_string(&whole.at(node.position, &"spec.mode").showing(&node)).unwrap(),
            r#"{"severity":"error","message":"there is nothing","file":"rules","line":1,"column":1,"field":"spec.mode","value":"12"}"#
        );
    }

    #[test]
    fn values_are_cut_and_cannot_draw() {
        for (text, shown) in [
            (
                "plain 'text' with \\ and \u{e9}",
                Some("plain 'text' with \\ and \u{e9}".to_owned()),
            ),
            ("a\nb\u{1b}[31m\u{202e}", Some("a\\nb\\u{1b}[31m\\u{202e}".to_owned())),
            (&"é".repeat(253), Some("é".repeat(253))),
            (&"é".repeat(254), Some("é".repeat(253) + "…")),
        ] {
            let json = serde_json::to_string(text).unwrap();
            let node = yaml::parse(&format!("[{json}]"))
                .unwrap()
                .remove(0)
                .as_sequence()
                .unwrap()[0]
                .clone();
            assert_eq!(
                Diagnostic::new(Severity::Error, "", "").showing(&node).value,
                shown,
                "{text}"
            );
        }
        for text in ["{a: MARKER}", "[MARKER]", "~"] {
            let node = yaml::parse(text).unwrap().remove(0);
            assert_eq!(
                Diagnostic::new(Severity::Error, "", "").showing(&node).value,
                None,
                "{text}"
            );
        }
        let diagnostic = Diagnostic::new(Severity::Error, "a\nb", "c\td").hinting("e\rf");
        assert_eq!(diagnostic.to_string(), "error: c\\td\n  --> a\\nb\n   = hint: e\\rf");
    }
}
