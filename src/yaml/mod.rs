//! YAML or JSON text to a tree in which every value knows its place.
//!
//! In: the text of a rules file, a manifest or a Secret manifest. Out: one [`Node`] a document, with lines and columns,
//! so that whoever reads the tree can say where a mistake stands. It refuses what has no one meaning in Kubernetes:
//! broken syntax, duplicate keys, keys that are no strings, tags other than `!!str`, aliases to nothing, and trees
//! that are deeper than [`DEEPEST`] or larger than [`MOST_NODES`].
//!
//! Plain scalars mean what the core schema of YAML 1.2 says: `null`, `true` and `12` are what they look like, `yes`,
//! `no` and `on` are strings. Merge keys (`<<`) work, since the API server's clients know them. JSON has a reader of
//! its own beside the one for events: YAML's differs in small things (surrogate pairs, a tab in front), and JSON text
//! must always do.
//!
//! The text may hold credentials: no error and no `Debug` output shows anything of it.

mod events;
mod json;
#[cfg(test)]
mod tests;

use foldhash::fast::RandomState;
use std::collections::HashSet;
use std::fmt;

/// How deep lists and mappings may lie in one another: the limit of the JSON reader that the webhook and the API server's
/// other clients have; no object of Kubernetes comes near.
pub const DEEPEST: usize = 128;

/// How many keys and values one text may hold, copies made by aliases and anchors included: 100,000 rules of about 25
/// keys and 25 values each.
pub const MOST_NODES: usize = 5_000_000;

/// A place in a text, both numbers from 1, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character of the line.
    pub column: usize,
}

/// A value and where it begins. What an alias stands for keeps the place where it is written.
#[derive(Clone, PartialEq)]
pub struct Node {
    /// Where the value begins.
    pub position: Position,
    /// What it is.
    pub value: Value,
}

/// What a [`Node`] holds.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// `null`, `~` or nothing at all.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number that fits; larger integers are floats as in JSON, and `.inf` and `.nan` are strings.
    Number(serde_json::Number),
    /// Everything quoted, and every other plain scalar.
    String(String),
    /// A list.
    Sequence(Vec<Node>),
    /// Named values.
    Mapping(Mapping),
}

/// Named values in the order of the text; no name occurs twice.
#[derive(Clone, Default, PartialEq)]
pub struct Mapping {
    entries: Vec<Entry>,
}

/// One named value of a [`Mapping`].
#[derive(Clone, PartialEq)]
pub struct Entry {
    /// The name.
    pub key: String,
    /// Where the name begins.
    pub key_position: Position,
    /// What it names.
    pub value: Node,
}

/// Why a text is neither YAML nor JSON; never says what the text says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} at {position}")]
pub struct SyntaxError {
    /// Where the reader stopped.
    pub position: Position,
    /// What it expected or found.
    pub message: String,
}

/// Reads every document of a text; an empty document is [`Value::Null`], a text without any has none. JSON values may
/// follow one another, too.
///
/// ```
/// let documents = pullkey::yaml::parse("name: a\nimages: [nginx]\n---\n")?;
/// assert_eq!(documents.len(), 2);
/// let images = documents[0].as_mapping().and_then(|rule| rule.get("images")).unwrap();
/// assert_eq!(images.kind(), "a list");
/// assert_eq!(images.position.to_string(), "2:9");
/// # Ok::<(), pullkey::yaml::SyntaxError>(())
/// ```
pub fn parse(text: &str) -> Result<Vec<Node>, SyntaxError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if !text.trim_start_matches(json::WHITE_SPACE).starts_with(['{', '[']) {
        return events::parse(text);
    }
    // YAML's flow style begins like JSON. The reader that came further understood more of the text.
    json::parse(text)
        .or_else(|json| events::parse(text).map_err(|yaml| if json.position > yaml.position { json } else { yaml }))
}

impl Node {
    /// What the value is, with its article, as an error says it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.value.kind()
    }

    /// The text, if it is a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The items, if it is a list.
    #[must_use]
    pub fn as_sequence(&self) -> Option<&[Node]> {
        match &self.value {
            Value::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// The named values, if it is a mapping.
    #[must_use]
    pub fn as_mapping(&self) -> Option<&Mapping> {
        match &self.value {
            Value::Mapping(mapping) => Some(mapping),
            _ => None,
        }
    }

    /// The same tree without places.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Number(number) => number.clone().into(),
            Value::String(text) => text.as_str().into(),
            Value::Sequence(items) => items.iter().map(Self::to_json).collect(),
            Value::Mapping(mapping) => mapping
                .iter()
                .map(|entry| (entry.key.as_str(), entry.value.to_json()))
                .collect(),
        }
    }
}

impl Value {
    fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Sequence(_) => "a list",
            Self::Mapping(_) => "a mapping",
        }
    }
}

impl Mapping {
    /// The value of a name.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// All entries in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Entry> {
        self.entries.iter()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entries, unless a name occurs twice.
    fn new(entries: Vec<Entry>) -> Result<Self, SyntaxError> {
        let mut seen = HashSet::with_capacity_and_hasher(entries.len(), RandomState::default());
        match entries.iter().find(|entry| !seen.insert(entry.key.as_str())) {
            Some(second) => Err(SyntaxError::new(
                second.key_position,
                "the mapping has this key already",
            )),
            None => Ok(Self { entries }),
        }
    }
}

impl<'a> IntoIterator for &'a Mapping {
    type Item = &'a Entry;
    type IntoIter = std::slice::Iter<'a, Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl SyntaxError {
    fn new(position: Position, message: impl Into<String>) -> Self {
        Self {
            position,
            message: message.into(),
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.line, self.column)
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} at {}", self.kind(), self.position)
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.kind())
    }
}

/// What one text may still grow by.
struct Budget {
    nodes: usize,
}

impl Budget {
    fn new() -> Self {
        Self { nodes: MOST_NODES }
    }

    /// Takes `nodes` out, or fails with the place that wanted them.
    fn spend(&mut self, nodes: usize, position: Position) -> Result<(), SyntaxError> {
        self.nodes = self.nodes.checked_sub(nodes).ok_or_else(|| {
            SyntaxError::new(
                position,
                format!("the text holds more than {MOST_NODES} keys and values"),
            )
        })?;
        Ok(())
    }
}

/// Fails where a list or mapping would lie below `depth` others and that is too deep.
fn check_depth(depth: usize, position: Position) -> Result<(), SyntaxError> {
    if depth < DEEPEST {
        return Ok(());
    }
    Err(SyntaxError::new(
        position,
        format!("lists and mappings are nested deeper than {DEEPEST}"),
    ))
}
