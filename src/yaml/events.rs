//! The reader for YAML: the parser's events put together to trees.

use super::{Budget, Entry, Mapping, Node, Position, SyntaxError, Value, check_depth};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Tag};
use std::collections::{HashMap, HashSet};

/// Reads every document of a YAML text.
pub(super) fn parse(text: &str) -> Result<Vec<Node>, SyntaxError> {
    let mut builder = Builder {
        documents: Vec::new(),
        open: Vec::new(),
        anchors: HashMap::new(),
        budget: Budget::new(),
    };
    // The parser's own loader recurses; its iterator keeps a stack on the heap.
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| from_scanner(&error))?;
        builder.add(event, from_marker(&span.start))?;
    }
    Ok(builder.documents)
}

struct Builder {
    documents: Vec<Node>,
    /// The lists and mappings that have begun and not ended, the innermost last.
    open: Vec<Open>,
    /// The complete nodes of this document that have an anchor.
    anchors: HashMap<usize, Node>,
    budget: Budget,
}

struct Open {
    position: Position,
    anchor: usize,
    content: Content,
}

enum Content {
    Sequence(Vec<Node>),
    Mapping {
        entries: Vec<Entry>,
        key: Option<Key>,
        merged: Vec<Mapping>,
    },
}

enum Key {
    Name(String, Position),
    /// A plain `<<`: its value's entries are taken over.
    Merge,
}

impl Builder {
    fn add(&mut self, event: Event<'_>, position: Position) -> Result<(), SyntaxError> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => {
                self.anchors.clear();
                Ok(())
            }
            Event::Alias(anchor) => self.alias(anchor, position),
            Event::Scalar(text, style, anchor, tag) => {
                let is_string = is_string_tag(tag.as_deref(), position)? || style != ScalarStyle::Plain;
                if let Some(Open {
                    content: Content::Mapping { key: key @ None, .. },
                    ..
                }) = self.open.last_mut()
                    && !is_string
                    && text == "<<"
                {
                    *key = Some(Key::Merge);
                    return Ok(());
                }
                self.budget.spend(1, position)?;
                let value = if is_string {
                    Value::String(text.into_owned())
                } else {
                    resolve(&text)
                };
                self.complete(Node { position, value }, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.begin(Content::Sequence(Vec::new()), anchor, tag.as_deref(), position)
            }
            Event::MappingStart(anchor, tag) => {
                let content = Content::Mapping {
                    entries: Vec::new(),
                    key: None,
                    merged: Vec::new(),
                };
                self.begin(content, anchor, tag.as_deref(), position)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
        }
    }

    fn begin(
        &mut self,
        content: Content,
        anchor: usize,
        tag: Option<&Tag>,
        position: Position,
    ) -> Result<(), SyntaxError> {
        is_string_tag(tag, position)?;
        check_depth(self.open.len(), position)?;
        self.budget.spend(1, position)?;
        self.open.push(Open {
            position,
            anchor,
            content,
        });
        Ok(())
    }

    fn end(&mut self) -> Result<(), SyntaxError> {
        let Some(Open {
            position,
            anchor,
            content,
        }) = self.open.pop()
        else {
            return Ok(());
        };
        let value = match content {
            Content::Sequence(items) => Value::Sequence(items),
            Content::Mapping { entries, merged, .. } => Value::Mapping(merge(Mapping::new(entries)?, merged)),
        };
        self.complete(Node { position, value }, anchor)
    }

    /// Puts a copy of the anchored node here, if it is complete and the tree has room for it.
    fn alias(&mut self, anchor: usize, position: Position) -> Result<(), SyntaxError> {
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(SyntaxError::new(
                position,
                "the alias names no anchor that this document has before it",
            ));
        };
        let (nodes, height) = extent(node);
        self.budget.spend(nodes, position)?;
        if height > 0 {
            check_depth(self.open.len() + height - 1, position)?;
        }
        self.complete(node.clone(), 0)
    }

    /// Gives a complete node to what it lies in.
    fn complete(&mut self, node: Node, anchor: usize) -> Result<(), SyntaxError> {
        if anchor > 0 {
            self.budget.spend(extent(&node).0, node.position)?;
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.documents.push(node),
            Some(Content::Sequence(items)) => items.push(node),
            Some(Content::Mapping { entries, key, merged }) => match key.take() {
                None => *key = Some(name(node)?),
                Some(Key::Name(key, key_position)) => entries.push(Entry {
                    key,
                    key_position,
                    value: node,
                }),
                Some(Key::Merge) => merged.extend(mappings(node)?),
            },
        }
        Ok(())
    }
}

fn name(node: Node) -> Result<Key, SyntaxError> {
    match node.value {
        Value::String(text) => Ok(Key::Name(text, node.position)),
        other => Err(SyntaxError::new(
            node.position,
            format!("a key must be a string and is {} (quotes make it one)", other.kind()),
        )),
    }
}

/// What a merge key may have as its value: a mapping, or a list of them.
fn mappings(node: Node) -> Result<Vec<Mapping>, SyntaxError> {
    match node.value {
        Value::Mapping(mapping) => Ok(vec![mapping]),
        Value::Sequence(items) if items.iter().all(|item| item.as_mapping().is_some()) => items
            .into_iter()
            .map(mappings)
            .collect::<Result<Vec<_>, _>>()
            .map(|all| all.concat()),
        _ => Err(SyntaxError::new(
            node.position,
            "a merge key takes a mapping or a list of mappings",
        )),
    }
}

/// Adds the entries of `merged` that `mapping` has not; the earlier one of two wins.
fn merge(mut mapping: Mapping, merged: Vec<Mapping>) -> Mapping {
    if !merged.is_empty() {
        let mut seen: HashSet<String> = mapping.iter().map(|entry| entry.key.clone()).collect();
        let more = merged.into_iter().flat_map(|other| other.entries);
        mapping
            .entries
            .extend(more.filter(|entry| seen.insert(entry.key.clone())));
    }
    mapping
}

/// How many keys and values a tree has, and how many lists and mappings lie in one another.
fn extent(node: &Node) -> (usize, usize) {
    let inner = |nodes: usize, height: usize, child: &Node| {
        let (more, below) = extent(child);
        (nodes + more, height.max(1 + below))
    };
    match &node.value {
        Value::Sequence(items) => items
            .iter()
            .fold((1, 1), |(nodes, height), item| inner(nodes, height, item)),
        Value::Mapping(mapping) => mapping
            .iter()
            .fold((1, 1), |(nodes, height), entry| inner(nodes + 1, height, &entry.value)),
        _ => (1, 0),
    }
}

/// Whether the tag makes a string of whatever is written.
fn is_string_tag(tag: Option<&Tag>, position: Position) -> Result<bool, SyntaxError> {
    match tag {
        None => Ok(false),
        Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => Ok(true),
        Some(_) => Err(SyntaxError::new(position, "no tag but `!!str` is supported")),
    }
}

/// What a plain scalar means in the core schema.
fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => number(text).map_or_else(|| Value::String(text.to_owned()), Value::Number),
    }
}

fn number(text: &str) -> Option<serde_json::Number> {
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix) {
            // The standard library would take a sign here.
            let all_digits = digits.chars().all(|character| character.is_digit(radix));
            return u64::from_str_radix(digits, radix)
                .ok()
                .filter(|_| all_digits)
                .map(Into::into);
        }
    }
    // Of what is made of these characters, the standard library reads exactly the schema's integers and floats.
    if !text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E'))
    {
        return None;
    }
    let integer = text
        .parse::<i64>()
        .map(Into::into)
        .or_else(|_| text.parse::<u64>().map(Into::into));
    integer
        .ok()
        .or_else(|| text.parse().ok().and_then(serde_json::Number::from_f64))
}

fn from_marker(marker: &Marker) -> Position {
    Position {
        line: marker.line(),
        column: marker.col() + 1,
    }
}

/// The parser's message, unless it is the one that shows a piece of the text.
fn from_scanner(error: &ScanError) -> SyntaxError {
    let message = if error.info().contains('`') {
        "unexpected character"
    } else {
        error.info()
    };
    SyntaxError::new(from_marker(error.marker()), message)
}
