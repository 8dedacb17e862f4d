//! The reader for JSON: structure and places here, strings and numbers by `serde_json`.

use super::{Budget, Entry, Mapping, Node, Position, SyntaxError, Value, check_depth};

/// What JSON allows between its tokens.
pub(super) const WHITE_SPACE: [char; 4] = [' ', '\t', '\n', '\r'];

/// Reads JSON values that follow one another.
pub(super) fn parse(text: &str) -> Result<Vec<Node>, SyntaxError> {
    let mut reader = Reader {
        rest: text,
        counted: text,
        position: Position { line: 1, column: 1 },
        budget: Budget::new(),
    };
    let mut documents = Vec::new();
    reader.skip_white_space();
    while !reader.rest.is_empty() {
        documents.push(reader.value(0)?);
        reader.skip_white_space();
    }
    Ok(documents)
}

struct Reader<'t> {
    /// What is not read yet.
    rest: &'t str,
    /// What was not read yet when `position` was last known.
    counted: &'t str,
    position: Position,
    budget: Budget,
}

impl Reader<'_> {
    /// Where `rest` begins. Counts only what was read since the last call, since all of a text may be one line.
    fn position(&mut self) -> Position {
        let (passed, _) = self.counted.split_at(self.counted.len() - self.rest.len());
        for character in passed.chars() {
            if character == '\n' {
                self.position.line += 1;
                self.position.column = 1;
            } else {
                self.position.column += 1;
            }
        }
        self.counted = self.rest;
        self.position
    }

    fn error<T>(&mut self, message: &str) -> Result<T, SyntaxError> {
        Err(SyntaxError::new(self.position(), message))
    }

    fn skip_white_space(&mut self) {
        self.rest = self.rest.trim_start_matches(WHITE_SPACE);
    }

    /// Takes `token` if it comes next.
    fn take(&mut self, token: char) -> bool {
        self.skip_white_space();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn value(&mut self, depth: usize) -> Result<Node, SyntaxError> {
        self.skip_white_space();
        let position = self.position();
        self.budget.spend(1, position)?;
        let value = if self.rest.starts_with('"') {
            Value::String(self.string()?)
        } else if self.rest.starts_with('[') {
            check_depth(depth, position)?;
            self.sequence(depth + 1)?
        } else if self.rest.starts_with('{') {
            check_depth(depth, position)?;
            self.mapping(depth + 1)?
        } else {
            self.word()?
        };
        Ok(Node { position, value })
    }

    fn sequence(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        let mut items = Vec::new();
        self.take('[');
        if !self.take(']') {
            loop {
                items.push(self.value(depth)?);
                if self.take(']') {
                    break;
                }
                if !self.take(',') {
                    return self.error("expected `,` or `]`");
                }
            }
        }
        Ok(Value::Sequence(items))
    }

    fn mapping(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        let mut entries = Vec::new();
        self.take('{');
        if !self.take('}') {
            loop {
                entries.push(self.entry(depth)?);
                if self.take('}') {
                    break;
                }
                if !self.take(',') {
                    return self.error("expected `,` or `}`");
                }
            }
        }
        Mapping::new(entries).map(Value::Mapping)
    }

    fn entry(&mut self, depth: usize) -> Result<Entry, SyntaxError> {
        self.skip_white_space();
        let key_position = self.position();
        self.budget.spend(1, key_position)?;
        if !self.rest.starts_with('"') {
            return self.error("expected a key in double quotes");
        }
        let key = self.string()?;
        if !self.take(':') {
            return self.error("expected `:`");
        }
        Ok(Entry {
            key,
            key_position,
            value: self.value(depth)?,
        })
    }

    fn string(&mut self) -> Result<String, SyntaxError> {
        let mut escaped = false;
        // The quote that ends the string is the first one after the opening quote that no backslash escapes.
        let end = self.rest.bytes().skip(1).position(|byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        });
        let token = end.and_then(|end| self.rest.get(..end + 2));
        match token.map(serde_json::from_str) {
            Some(Ok(string)) => {
                self.advance(token.map_or(0, str::len));
                Ok(string)
            }
            Some(Err(_)) => self.error("the string has an invalid escape or a raw control character"),
            None => self.error("the string has no closing quote"),
        }
    }

    /// `true`, `false`, `null` or a number.
    fn word(&mut self) -> Result<Value, SyntaxError> {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        let length = self.rest.bytes().take_while(|&byte| is_part(byte)).count();
        let value = match self.rest.get(..length).unwrap_or_default() {
            "" => return self.error("expected a value"),
            "null" => Value::Null,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            number => match serde_json::from_str(number) {
                Ok(number) => Value::Number(number),
                Err(_) => return self.error("expected a number, a string in double quotes, `true`, `false` or `null`"),
            },
        };
        self.advance(length);
        Ok(value)
    }

    fn advance(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }
}
