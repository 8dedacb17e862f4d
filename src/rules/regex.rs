//! `imageRegex`, the escape hatch beside patterns.
//!
//! In: the text of the field. Out: an [`ImageRegex`] that covers an image when it matches the whole of its normalised
//! name, or why the text is refused. Names are ASCII, so classes such as `\w` and `.` mean ASCII unless the text says
//! `(?u)`: the same answers from programs that are many times smaller.

use std::fmt;

use regex::bytes::{Regex, RegexBuilder};

use crate::image::ImageReference;

/// The longest text, in characters.
pub const LONGEST_REGEX: usize = 512;
/// The largest compiled program, and the largest cache of its lazy automaton, in bytes. A regex has two programs
/// (forwards and backwards) and about three caches a thread, so 1,000 of them at every limit hold some 8 × 32 MiB with
/// two threads at work, where the library's own limits allow a hundred times that. It is enough for 512 literal
/// characters. (One-pass and backtracking engines have limits that cannot be set; Cargo.toml leaves them out.)
const LARGEST_PROGRAM: usize = 32 << 10;

/// A regex over normalised names.
#[derive(Debug, Clone)]
pub struct ImageRegex {
    text: Box<str>,
    anchored: Regex,
}

/// Why a text is no [`ImageRegex`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRegex {
    /// It would match the empty name, which no image has.
    #[error("the regex is empty")]
    Empty,
    /// Its length in characters.
    #[error("the regex is {0} characters long, at most {LONGEST_REGEX} are allowed")]
    TooLong(usize),
    /// It is short, and what it stands for is not.
    #[error("the regex compiles to more than {} KiB", LARGEST_PROGRAM >> 10)]
    TooLarge,
    /// What the library has to say, on one line.
    #[error("the regex does not parse: {0}")]
    Syntax(String),
}

impl ImageRegex {
    /// Compiles the text of an `imageRegex`.
    ///
    /// ```
    /// use pullkey::rules::ImageRegex;
    ///
    /// assert_eq!(ImageRegex::parse(r"ghcr\.io/(acme|acme-labs)/.*")?.as_str(), r"ghcr\.io/(acme|acme-labs)/.*");
    /// assert_eq!(ImageRegex::parse("(").unwrap_err().to_string(), "the regex does not parse: unclosed group");
    /// # Ok::<(), pullkey::rules::regex::InvalidRegex>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, InvalidRegex> {
        let length = text.chars().count();
        if length == 0 {
            return Err(InvalidRegex::Empty);
        }
        if length > LONGEST_REGEX {
            return Err(InvalidRegex::TooLong(length));
        }
        // On its own first: `a)|(b` closes the group that anchors it.
        compile(text)?;
        let anchored = compile(&format!(r"\A(?:{text})\z"))?;
        Ok(Self {
            text: text.into(),
            anchored,
        })
    }

    /// The text as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it matches the whole normalised name.
    #[must_use]
    pub fn covers(&self, image: &ImageReference<'_>) -> bool {
        self.anchored.is_match(image.name().as_bytes())
    }
}

impl fmt::Display for ImageRegex {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

fn compile(text: &str) -> Result<Regex, InvalidRegex> {
    RegexBuilder::new(text)
        .unicode(false)
        .size_limit(LARGEST_PROGRAM)
        .dfa_size_limit(LARGEST_PROGRAM)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => InvalidRegex::TooLarge,
            // The library draws the text with a marker below it; its last line is the reason.
            error => {
                let drawing = error.to_string();
                let reason = drawing.lines().last().unwrap_or_default();
                InvalidRegex::Syntax(reason.trim_start_matches("error: ").to_owned())
            }
        })
}

#[cfg(test)]
mod tests {
    use super::{ImageRegex, InvalidRegex};
    use crate::image::ImageReference;

    #[test]
    fn the_whole_normalised_name_must_match() {
        for (text, image, expected) in [
            ("docker.io/library/nginx", "nginx:1.27", true),
            ("nginx", "nginx", false),
            (".*nginx", "nginx", true),
            ("docker", "nginx", false),
            ("ghcr.io/a|ghcr.io/ab", "ghcr.io/ab", true),
            ("ghcr.io/a|ghcr.io/ab", "ghcr.io/abc", false),
            ("ghcr.io/a|.*b", "x.io/b", true),
            (r"(?i)GHCR\.IO/.+", "ghcr.io/a", true),
            (r"GHCR\.IO/.+", "ghcr.io/a", false),
            ("^ghcr.io/a$", "ghcr.io/a", true),
            ("(?x) ghcr.io/a  # ours\n", "ghcr.io/a", true),
            (r"ghcr.io/\w+", "ghcr.io/a_b", true),
            (r"ghcr.io/a:v1", "ghcr.io/a:v1", false),
        ] {
            let regex = ImageRegex::parse(text).unwrap();
            let image = ImageReference::parse(image).unwrap();
            assert_eq!(regex.covers(&image), expected, "{text} on {image}");
        }
    }

    #[test]
    fn bad_texts_are_refused_on_one_line() {
        for (text, expected) in [
            ("", "the regex is empty"),
            (
                &"a".repeat(513),
                "the regex is 513 characters long, at most 512 are allowed",
            ),
            ("a{60}{60}{60}", "the regex compiles to more than 32 KiB"),
            ("(", "the regex does not parse: unclosed group"),
            ("a)|(b", "the regex does not parse: unopened group"),
            ("(?x)a # b", "the regex does not parse: unclosed group"),
            (
                "a(?=b)",
                "the regex does not parse: look-around, including look-ahead and look-behind, is not supported",
            ),
            (
                r"a\",
                "the regex does not parse: incomplete escape sequence, reached end of pattern prematurely",
            ),
        ] {
            assert_eq!(ImageRegex::parse(text).unwrap_err().to_string(), expected, "{text}");
        }
        assert!(ImageRegex::parse(&"a".repeat(512)).is_ok());
        assert!(matches!(ImageRegex::parse(r"\p{Greek}"), Err(InvalidRegex::Syntax(_))));
    }
}
