//! Image strings as the kubelet reads them.
//!
//! In: the text of an `image` field. Out: an [`ImageReference`] in normal form, or the precise reason why there is
//! none. This is the grammar of the distribution project's `reference` package, version 0.6.0, entered by
//! `ParseNormalizedNamed`, which the kubelet's `parsers.ParseImageName` calls:
//!
//! ```text
//! reference  = name [ ":" tag ] [ "@" digest ]
//! name       = [ host "/" ] segment { "/" segment }
//! host       = ( label { "." label } | "[" hex digits and ":" "]" ) [ ":" digits ]
//! label      = letters, digits and inner "-"
//! segment    = lower-case letters and digits, joined by one ".", one or two "_", or any run of "-"
//! tag        = letter, digit or "_", then at most 127 of these, "." and "-"
//! digest     = algorithm ":" lower-case hex digits, as many as sha256, sha384 or sha512 have
//! ```
//!
//! What comes before the first `/` is a host only if it is `localhost` or holds a `.`, a `:` or an upper-case letter;
//! anything else lives on `docker.io`, below `library/` if it has one segment. Nothing is looked up, no tag is
//! defaulted, and an IPv6 host is not checked to be an address: the kubelet does none of this either.

use std::borrow::Cow;
use std::fmt;

/// The registry of every image whose name begins with no host.
pub const DOCKER_HUB: &str = "docker.io";
/// The one other name that the grammar itself takes for [`DOCKER_HUB`].
pub const DOCKER_HUB_LEGACY: &str = "index.docker.io";
/// Where images of one segment live on [`DOCKER_HUB`].
const OFFICIAL: &str = "library/";
/// The longest repository, an implied `library/` included and the host not, in bytes.
pub const LONGEST_REPOSITORY: usize = 255;
const LONGEST_TAG: usize = 128;

/// A valid image string in normal form, borrowing from it wherever the normal form stands in it.
///
/// Two references are equal when their normal forms are; [`fmt::Display`] writes that form, and parsing it again gives
/// an equal reference.
///
/// ```
/// use pullkey::image::ImageReference;
///
/// let reference = ImageReference::parse("nginx:1.27")?;
/// assert_eq!(reference.registry(), "docker.io");
/// assert_eq!(reference.repository(), "library/nginx");
/// assert_eq!(reference.tag(), Some("1.27"));
/// assert_eq!(reference.to_string(), "docker.io/library/nginx:1.27");
///
/// let fault = ImageReference::parse("ghcr.io/Acme/app").unwrap_err();
/// assert_eq!(fault.to_string(), "the repository `Acme/app` has an upper-case letter");
/// # Ok::<(), pullkey::image::InvalidImage>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImageReference<'a> {
    name: Cow<'a, str>,
    /// How much of `name` is the registry; 0 where the whole of it is the repository.
    registry: usize,
    tag: Option<&'a str>,
    digest: Option<&'a str>,
}

/// Why a text is no image reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidImage {
    /// There is no name.
    #[error("the image name is empty")]
    Empty,
    /// 64 hex digits and nothing else could be an image's identifier, so the grammar keeps them apart.
    #[error("64 hex digits alone are an image identifier, not a name")]
    Identifier,
    /// What stands before the first `/` is a host by its look and not by the grammar.
    #[error(
        "`{0}` is not a registry host: labels of letters, digits and inner `-` joined by `.`, or `[IPv6]`, then an optional `:port`"
    )]
    Host(String),
    /// The grammar says so in particular, since it is the most frequent mistake.
    #[error("the repository `{0}` has an upper-case letter")]
    UpperCase(String),
    /// A piece of the repository between two `/`.
    #[error("`{0}` is not a path segment: lower-case letters and digits, joined by `.`, `_`, `__` or `-`")]
    Segment(String),
    /// The repository's length in bytes.
    #[error("the repository is {0} characters long, at most {LONGEST_REPOSITORY} are allowed")]
    TooLong(usize),
    /// What stands after the `:`.
    #[error("`{0}` is not a tag: a letter, digit or `_`, then at most 127 of these, `.` and `-`")]
    Tag(String),
    /// What stands after the `@`.
    #[error("`{0}` is not a digest: `sha256:`, `sha384:` or `sha512:` and 64, 96 or 128 lower-case hex digits")]
    Digest(String),
}

impl<'a> ImageReference<'a> {
    /// Reads an image string. Time and memory are bounded by its length.
    pub fn parse(text: &'a str) -> Result<Self, InvalidImage> {
        if text.len() == 64 && text.bytes().all(is_lower_hex) {
            return Err(InvalidImage::Identifier);
        }
        let (unversioned, digest) = match text.split_once('@') {
            Some((before, digest)) => (before, Some(digest)),
            None => (text, None),
        };
        let host = unversioned.split_once('/').filter(|(first, _)| looks_like_host(first));
        let (path, tag) = split_tag(host.map_or(unversioned, |(_, rest)| rest));
        if path.is_empty() {
            return Err(InvalidImage::Empty);
        }
        if path.chars().any(char::is_uppercase) {
            return Err(InvalidImage::UpperCase(path.to_owned()));
        }

        let (name, registry) = match host {
            Some((DOCKER_HUB_LEGACY, _)) | None => on_docker_hub(path),
            Some((DOCKER_HUB, _)) if !path.contains('/') => on_docker_hub(path),
            Some((host, _)) => {
                let (name, _) = unversioned.split_at(host.len() + 1 + path.len());
                if is_host(host) {
                    (Cow::Borrowed(name), host.len())
                } else if is_segment(host) {
                    // A host with a `_` is none to the grammar, which then takes all of it for a path: a reference
                    // without a registry. The keyring still sees the host.
                    (Cow::Borrowed(name), 0)
                } else {
                    return Err(InvalidImage::Host(host.to_owned()));
                }
            }
        };
        let reference = Self {
            name,
            registry,
            tag,
            digest,
        };
        let repository = reference.repository();
        if let Some(segment) = repository.split('/').find(|segment| !is_segment(segment)) {
            return Err(InvalidImage::Segment(segment.to_owned()));
        }
        if repository.len() > LONGEST_REPOSITORY {
            return Err(InvalidImage::TooLong(repository.len()));
        }
        if let Some(tag) = tag.filter(|tag| !is_tag(tag)) {
            return Err(InvalidImage::Tag(tag.to_owned()));
        }
        if let Some(digest) = digest.filter(|digest| !is_digest(digest)) {
            return Err(InvalidImage::Digest(digest.to_owned()));
        }
        Ok(reference)
    }

    /// The registry `host[:port]` as written, `docker.io` where none is; empty for the odd reference that has none.
    #[must_use]
    pub fn registry(&self) -> &str {
        self.name.get(..self.registry).unwrap_or_default()
    }

    /// The path on the registry, with the `library/` that Docker Hub's official images imply.
    #[must_use]
    pub fn repository(&self) -> &str {
        match self.registry {
            0 => &self.name,
            registry => self.name.get(registry + 1..).unwrap_or_default(),
        }
    }

    /// The tag as written; never defaulted.
    #[must_use]
    pub fn tag(&self) -> Option<&'a str> {
        self.tag
    }

    /// The digest as written, algorithm included.
    #[must_use]
    pub fn digest(&self) -> Option<&'a str> {
        self.digest
    }

    /// The normalised name without tag and digest: what rules and the kubelet's keyring look at.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first segment of the name and what follows its `/`. For every reference that has a registry this is the
    /// registry and the repository; without one it is where the keyring, and so a rule, looks for the host.
    #[must_use]
    pub fn host_and_path(&self) -> (&str, &str) {
        self.name.split_once('/').unwrap_or((&self.name, ""))
    }
}

impl fmt::Display for ImageReference<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)?;
        if let Some(tag) = self.tag {
            write!(formatter, ":{tag}")?;
        }
        if let Some(digest) = self.digest {
            write!(formatter, "@{digest}")?;
        }
        Ok(())
    }
}

/// The name of a path on Docker Hub, and how long its registry is.
fn on_docker_hub<'a>(path: &str) -> (Cow<'a, str>, usize) {
    let official = if path.contains('/') { "" } else { OFFICIAL };
    (Cow::Owned(format!("{DOCKER_HUB}/{official}{path}")), DOCKER_HUB.len())
}

fn split_tag(rest: &str) -> (&str, Option<&str>) {
    match rest.split_once(':') {
        Some((path, tag)) => (path, Some(tag)),
        None => (rest, None),
    }
}

fn looks_like_host(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':']) || first.chars().any(char::is_uppercase)
}

fn is_host(host: &str) -> bool {
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(bracketed) = host.strip_prefix('[') {
        return bracketed.split_once(']').is_some_and(|(address, after)| {
            !address.is_empty()
                && address.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':')
                && (after.is_empty() || after.strip_prefix(':').is_some_and(is_port))
        });
    }
    let (name, port) = split_tag(host);
    port.is_none_or(is_port) && name.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn is_segment(segment: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let mut separators = segment.split(|character: char| u8::try_from(character).is_ok_and(is_word));
    // Splitting at the word characters leaves the separators, and an empty piece between neighbours and at each end.
    let ends_in_words = segment.bytes().next().is_some_and(is_word) && segment.bytes().last().is_some_and(is_word);
    ends_in_words
        && separators
            .all(|separator| matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|byte| byte == b'-'))
}

fn is_tag(tag: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= LONGEST_TAG
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|byte| is_word(byte) || byte == b'.' || byte == b'-')
}

fn is_digest(digest: &str) -> bool {
    digest.split_once(':').is_some_and(|(algorithm, hex)| {
        let length = match algorithm {
            "sha256" => 64,
            "sha384" => 96,
            "sha512" => 128,
            _ => return false,
        };
        hex.len() == length && hex.bytes().all(is_lower_hex)
    })
}

fn is_lower_hex(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
}

#[cfg(test)]
mod tests;
