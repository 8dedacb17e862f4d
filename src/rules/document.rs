//! A rule's document, field by field.
//!
//! In: a tree of nodes. Out: [`Field`]s, which know their node, their file and the way to them, and [`Diagnostic`]s
//! for what is not of the right kind, not known or not there. What a field means is the business of `compile`.

use std::fmt;

use super::diagnostic::{Diagnostic, Severity, shorten};
use super::namespaces::{Problem, Step};
use crate::yaml::{Entry, Mapping, Node, Position};

/// A node of a document.
#[derive(Clone, Copy)]
pub(super) struct Field<'n> {
    pub(super) node: &'n Node,
    file: &'n str,
    way: Way<'n>,
}

#[derive(Clone, Copy)]
enum Way<'n> {
    Top,
    Key(&'n Field<'n>, &'n str),
    Index(&'n Field<'n>, usize),
}

impl<'n> Field<'n> {
    /// The document itself.
    pub(super) fn top(file: &'n str, node: &'n Node) -> Self {
        Self {
            node,
            file,
            way: Way::Top,
        }
    }

    /// The field of that name, if the node is a mapping that has it.
    pub(super) fn get(&'n self, key: &'n str) -> Option<Self> {
        let node = self.node.as_mapping()?.get(key)?;
        Some(self.child(Way::Key(self, key), node))
    }

    /// The items, or what is wrong.
    pub(super) fn items(&'n self, findings: &mut Vec<Diagnostic>) -> Option<Vec<Self>> {
        let Some(items) = self.node.as_sequence() else {
            findings.push(self.not_a("a list"));
            return None;
        };
        let items = items.iter().enumerate();
        Some(
            items
                .map(|(index, node)| self.child(Way::Index(self, index), node))
                .collect(),
        )
    }

    /// The text, or what is wrong.
    pub(super) fn text(&self, findings: &mut Vec<Diagnostic>) -> Option<&'n str> {
        let text = self.node.as_str();
        if text.is_none() {
            findings.push(self.not_a("a string"));
        }
        text
    }

    /// The named values, or what is wrong.
    pub(super) fn mapping(&self, findings: &mut Vec<Diagnostic>) -> Option<&'n Mapping> {
        let mapping = self.node.as_mapping();
        if mapping.is_none() {
            findings.push(self.not_a("a mapping"));
        }
        mapping
    }

    /// The named values where only `known` names may be, or what is wrong.
    pub(super) fn strict_mapping(&self, known: &[&str], findings: &mut Vec<Diagnostic>) -> Option<&'n Mapping> {
        let mapping = self.mapping(findings)?;
        let unknown = mapping.iter().filter(|entry| !known.contains(&entry.key.as_str()));
        findings.extend(unknown.map(|entry| self.unknown(entry, known)));
        Some(mapping)
    }

    /// The field of that name, or that it is missing.
    pub(super) fn require(&'n self, key: &'n str, accepted: &str, findings: &mut Vec<Diagnostic>) -> Option<Self> {
        let field = self.get(key);
        if field.is_none() && self.node.as_mapping().is_some() {
            findings.push(self.missing(key, accepted));
        }
        field
    }

    /// That a field of that name must be here.
    pub(super) fn missing(&self, key: &str, accepted: &str) -> Diagnostic {
        let absent = fmt::from_fn(|formatter| self.write_with(formatter, key));
        Diagnostic::new(Severity::Error, self.file, format_args!("`{key}` is missing"))
            .at(self.node.position, &absent)
            .accepting(accepted)
    }

    /// A mistake in this field.
    pub(super) fn error(&self, message: impl fmt::Display) -> Diagnostic {
        Diagnostic::new(Severity::Error, self.file, message)
            .at(self.node.position, self)
            .showing(self.node)
    }

    /// Something about this field that is right and may surprise.
    pub(super) fn warning(&self, message: impl fmt::Display) -> Diagnostic {
        Diagnostic::new(Severity::Warning, self.file, message)
            .at(self.node.position, self)
            .showing(self.node)
    }

    /// A mistake further down, or here where there is no such way down.
    pub(super) fn error_below(&self, problem: &Problem) -> Diagnostic {
        let field = fmt::from_fn(|formatter| {
            write!(formatter, "{self}")?;
            problem.path.iter().try_for_each(|step| write!(formatter, "{step}"))
        });
        let position = position_below(self.node, &problem.path);
        let mut diagnostic = Diagnostic::new(Severity::Error, self.file, &problem.message).at(position, &field);
        diagnostic.value = problem.value.as_deref().map(shorten);
        diagnostic.accepted = problem.accepted.map(str::to_owned);
        diagnostic
    }

    fn child(&self, way: Way<'n>, node: &'n Node) -> Self {
        Self {
            node,
            file: self.file,
            way,
        }
    }

    fn not_a(&self, expected: &str) -> Diagnostic {
        let diagnostic = self.error(format_args!("this is {} and must be {expected}", self.node.kind()));
        match &diagnostic.value {
            Some(value) if expected == "a string" => {
                let hint = format!("put it in quotes: \"{value}\"");
                diagnostic.hinting(hint)
            }
            _ => diagnostic,
        }
    }

    fn unknown(&self, entry: &Entry, known: &[&str]) -> Diagnostic {
        let name = shorten(&entry.key);
        let field = fmt::from_fn(|formatter| self.write_with(formatter, &name));
        let diagnostic = Diagnostic::new(
            Severity::Error,
            self.file,
            format_args!("there is no field `{name}` here"),
        )
        .at(entry.key_position, &field)
        .accepting(either(known));
        match nearest(&entry.key, known) {
            Some(near) => diagnostic.hinting(format_args!("did you mean `{near}`?")),
            None => diagnostic,
        }
    }

    fn write_with(&self, formatter: &mut fmt::Formatter<'_>, key: &str) -> fmt::Result {
        match self.way {
            Way::Top => formatter.write_str(key),
            _ => write!(formatter, "{self}.{key}"),
        }
    }
}

/// The way from the top of the document: `spec.images[2]`, or nothing for the document itself.
impl fmt::Display for Field<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.way {
            Way::Top => Ok(()),
            Way::Key(parent, key) => parent.write_with(formatter, key),
            Way::Index(parent, index) => write!(formatter, "{parent}[{index}]"),
        }
    }
}

/// Where the path ends, as far as it exists; a key of a free mapping is found at the key.
fn position_below(node: &Node, path: &[Step]) -> Position {
    let Some((step, rest)) = path.split_first() else {
        return node.position;
    };
    let entry = |name: &str| node.as_mapping()?.iter().find(|entry| entry.key == name);
    match step {
        Step::Field(name) => entry(name).map(|entry| position_below(&entry.value, rest)),
        Step::Key(name) => entry(name).map(|entry| entry.key_position),
        Step::Index(index) => {
            let item = node.as_sequence().and_then(|items| items.get(*index));
            item.map(|item| position_below(item, rest))
        }
    }
    .unwrap_or(node.position)
}

/// "`a`, `b` or `c`".
pub(super) fn either(names: &[&str]) -> String {
    let quoted = |names: &[&str]| {
        names
            .iter()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    match names {
        [first @ .., last] if !first.is_empty() => format!("{} or `{last}`", quoted(first)),
        _ => quoted(names),
    }
}

/// The one of `known` that someone who typed `name` meant, if one is near: two edits away at most, and at most one
/// letter in three, case aside.
pub(super) fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let name: Vec<char> = name.chars().take(64).flat_map(char::to_lowercase).collect();
    let candidates = known
        .iter()
        .map(|known| (distance(&name, &known.to_lowercase()), *known));
    let (edits, nearest) = candidates.min()?;
    (edits <= 2 && edits * 3 <= nearest.len()).then_some(nearest)
}

/// How many letters must be put in, taken out or exchanged (Levenshtein), one row of the table at a time.
fn distance(from: &[char], to: &str) -> usize {
    let mut row: Vec<usize> = (0..=from.len()).collect();
    for (above, letter) in to.chars().enumerate() {
        let mut diagonal = above;
        let mut left = above + 1;
        for (cell, other) in row.iter_mut().zip(std::iter::once(None).chain(from.iter().map(Some))) {
            let exchanged = match other {
                None => left,
                Some(other) => (diagonal + usize::from(*other != letter)).min(left + 1).min(*cell + 1),
            };
            diagonal = std::mem::replace(cell, exchanged);
            left = exchanged;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{distance, either, nearest};

    #[test]
    fn distance_counts_edits() {
        for (from, to, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("abc", "abc", 0),
            ("image", "images", 1),
            ("kitten", "sitting", 3),
            ("ab", "ba", 2),
        ] {
            let letters: Vec<char> = from.chars().collect();
            assert_eq!(distance(&letters, to), expected, "{from} to {to}");
        }
    }

    #[test]
    fn only_near_names_are_suggested() {
        let known = ["images", "exceptImages", "imageRegex", "namespaces", "secret", "mode"];
        for (name, expected) in [
            ("image", Some("images")),
            ("Images", Some("images")),
            ("exceptimage", Some("exceptImages")),
            ("namespace", Some("namespaces")),
            ("secrets", Some("secret")),
            ("made", Some("mode")),
            ("imagePullSecrets", None),
            ("", None),
            ("md", None),
        ] {
            assert_eq!(nearest(name, &known), expected, "{name}");
        }
    }

    #[test]
    fn choices_read_as_a_sentence() {
        assert_eq!(either(&[]), "");
        assert_eq!(either(&["a"]), "`a`");
        assert_eq!(either(&["a", "b", "c"]), "`a`, `b` or `c`");
    }
}
