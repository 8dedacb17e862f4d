//! Image patterns: `host[:port][/path]`, or `*` alone.
//!
//! In: the text of an entry of `images` or `exceptImages`. Out: an [`ImagePattern`] that some image can match, or why
//! there is none and what to write instead. What a name is, is the image grammar's business alone: a pattern is good
//! when an image it covers reads back unchanged.

use std::cmp::Reverse;
use std::fmt;

use crate::glob;
use crate::image::{DOCKER_HUB, DOCKER_HUB_LEGACY, ImageReference};

/// The longest pattern, in characters: twice what a host and the longest useful path need.
pub const LONGEST_PATTERN: usize = 512;
/// The one pattern that needs no host.
const EVERYTHING: &str = "*";
/// What `docker login` calls Docker Hub.
pub(super) const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";
/// Docker Hub's API endpoint, a registry of its own to the image grammar.
const DOCKER_HUB_ENDPOINT: &str = "registry-1.docker.io";
/// Web sites: no image is pulled from there.
pub(super) const DOCKER_HUB_SITES: [&str; 2] = ["hub.docker.com", "registry.hub.docker.com"];
/// Mistakes that the schema of the objects finds, too.
pub(super) const WHITE_SPACE: &str = "a pattern has no white space";
pub(super) const SCHEME: &str = "an image name has no scheme";
pub(super) const OUTER_SLASH: &str =
    "a pattern neither begins nor ends with `/`: a path covers itself and all below it";
pub(super) const DIGEST: &str = "a pattern has no digest: it covers names";
pub(super) const TAG: &str = "a pattern has no tag: it covers names";
pub(super) const EMPTY_SEGMENT: &str = "a path has no empty segment";
pub(super) const PATH_STAR: &str = "a path has no `*`: it covers itself and all below it by whole segments";
pub(super) const TWO_STARS: &str = "`**` is no pattern: a `*` stays within one host label";
pub(super) const WEB_SITE: &str = "is a web site: no image is pulled from there";
pub(super) const NO_HOST: &str = "without a `.`, a port or a capital it is part of a path on Docker Hub";
/// How many mistakes of one text are repaired for a hint: as many as there are kinds of them.
const MOST_REPAIRS: usize = 12;

/// A pattern over normalised names, some of which it covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImagePattern {
    /// Host and path as names have them.
    name: Box<str>,
    /// How much of `name` is the host.
    host: usize,
    /// Only where it is not `name`.
    written: Option<Box<str>>,
}

/// A pattern, and what its author should perhaps know about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedPattern {
    /// The pattern.
    pub pattern: ImagePattern,
    /// One sentence on how the pattern is read where that may surprise.
    pub warning: Option<String>,
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidPattern {
    /// What is wrong.
    pub message: String,
    /// What to write instead, where that can be told.
    pub hint: Option<String>,
}

/// How closely something covers an image. The most specific comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Specificity<'a> {
    /// A pattern with a host; a literal one has no stars.
    Pattern {
        /// The stars of the host.
        stars: usize,
        /// The segments of the path.
        segments: Reverse<usize>,
        /// Host and port.
        host: &'a str,
    },
    /// A key of the source secret.
    Derived,
    /// An `imageRegex`.
    Regex,
    /// A `*` alone.
    Everything,
}

impl ImagePattern {
    /// What a pattern may be, for messages.
    pub const ACCEPTED: &'static str =
        "`host[:port][/path]` without scheme, tag and digest, `*` within host labels only; or `*` alone";

    /// Reads a pattern.
    ///
    /// ```
    /// use pullkey::rules::ImagePattern;
    ///
    /// assert_eq!(ImagePattern::parse("ghcr.io/acme")?.pattern.as_str(), "ghcr.io/acme");
    ///
    /// let mistake = ImagePattern::parse("nginx:1.27").unwrap_err();
    /// assert_eq!(mistake.hint.as_deref(), Some("write `docker.io/library/nginx`"));
    /// # Ok::<(), pullkey::rules::pattern::InvalidPattern>(())
    /// ```
    pub fn parse(text: &str) -> Result<ParsedPattern, InvalidPattern> {
        match read(text) {
            Ok(pattern) => {
                let warning = pattern.surprise();
                Ok(ParsedPattern { pattern, warning })
            }
            Err(Mistake { message, remedy }) => Err(InvalidPattern {
                message,
                hint: remedy.hint(),
            }),
        }
    }

    /// The pattern as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.written.as_deref().unwrap_or(&self.name)
    }

    /// Host and port, aliases of Docker Hub resolved; `*` where the pattern is that alone.
    #[must_use]
    pub fn host(&self) -> &str {
        self.name.get(..self.host).unwrap_or_default()
    }

    /// The path with its leading `/`; empty if the pattern covers a whole registry.
    #[must_use]
    pub fn path(&self) -> &str {
        self.name.get(self.host..).unwrap_or_default()
    }

    /// Whether the pattern is `*` alone.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        *self.name == *EVERYTHING
    }

    /// Whether the pattern covers the image.
    #[must_use]
    pub fn covers(&self, image: &ImageReference<'_>) -> bool {
        let name = image.name();
        self.is_everything()
            || begins(&self.name, name)
            || self.host().contains('*') && {
                let (host, path) = name.split_at(image.host_and_path().0.len());
                begins(self.path(), path) && covers_host(self.host(), host)
            }
    }

    /// Its place in the order of secrets.
    #[must_use]
    pub fn specificity(&self) -> Specificity<'_> {
        if self.is_everything() {
            return Specificity::Everything;
        }
        Specificity::Pattern {
            stars: self.host().matches('*').count(),
            segments: Reverse(self.path().matches('/').count()),
            host: self.host(),
        }
    }

    fn new(text: &str, host: &str, path: &str) -> Self {
        let name = format!("{host}{path}");
        Self {
            host: host.len(),
            written: (name != text).then(|| text.into()),
            name: name.into(),
        }
    }

    /// How the pattern is read, where people may expect something else.
    fn surprise(&self) -> Option<String> {
        let (host, path) = (self.host(), self.path());
        if host == DOCKER_HUB_ENDPOINT {
            return Some(format!(
                "`{host}` is a registry of its own: images whose name begins with `{DOCKER_HUB}` or with no host are not covered"
            ));
        }
        let organisation = path
            .strip_prefix('/')
            .filter(|path| !path.contains('/') && *path != "library")?;
        (host == DOCKER_HUB).then(|| {
            format!(
                "this covers the organisation `{organisation}`; an official image is `{DOCKER_HUB}/library/{organisation}`"
            )
        })
    }
}

impl fmt::Display for ImagePattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// The first thing that is wrong with a pattern.
struct Mistake {
    message: String,
    remedy: Remedy,
}

/// What to do about a mistake.
enum Remedy {
    /// The text without it, which may hold the next one.
    Write(String),
    Advice(&'static str),
    /// Only the author knows.
    None,
}

impl Mistake {
    /// A mistake after whose repair the text is `repaired`.
    fn new(message: impl Into<String>, repaired: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            remedy: Remedy::Write(repaired.into()),
        }
    }

    /// A mistake that nobody but the author can repair.
    fn without_remedy(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            remedy: Remedy::None,
        }
    }
}

impl Remedy {
    /// Repairs on until nothing is wrong any more, and gives up where that takes long: only patterns that pass are
    /// suggested.
    fn hint(mut self) -> Option<String> {
        for _ in 0..MOST_REPAIRS {
            match self {
                Self::Write(repaired) => match read(&repaired) {
                    Ok(_) => return Some(format!("write `{repaired}`")),
                    Err(next) => self = next.remedy,
                },
                Self::Advice(advice) => return Some(advice.to_owned()),
                Self::None => return None,
            }
        }
        None
    }
}

/// Splits `host[:port]`. The port keeps its `:` and is empty where there is none.
pub(super) fn split_port(host: &str) -> (&str, &str) {
    let port = host.rfind(':').filter(|_| !host.ends_with(']')).unwrap_or(host.len());
    host.split_at(port)
}

/// Whether the segments of a name, or of its path, begin with these.
fn begins(segments: &str, name: &str) -> bool {
    name.strip_prefix(segments)
        .is_some_and(|below| below.is_empty() || below.starts_with('/'))
}

/// Whether a `host[:port]` with stars covers one of an image.
fn covers_host(pattern: &str, host: &str) -> bool {
    let ((pattern, pattern_port), (name, port)) = (split_port(pattern), split_port(host));
    let mut labels = name.split('.');
    pattern_port == port
        && !name.starts_with('[')
        && pattern
            .split('.')
            .all(|pattern| labels.next().is_some_and(|label| glob::matches(pattern, label)))
        && labels.next().is_none()
}

/// Reads a pattern or finds its first mistake.
fn read(text: &str) -> Result<ImagePattern, Mistake> {
    check_spelling(text)?;
    match text {
        EVERYTHING => return Ok(ImagePattern::new(text, EVERYTHING, "")),
        DOCKER_HUB_KEY => return Ok(ImagePattern::new(text, DOCKER_HUB, "")),
        _ => {}
    }
    check_rim(text)?;
    let (host, path) = text.split_at(text.find('/').unwrap_or(text.len()));
    check_path(host, path)?;
    check_host(host, path)?;
    let canonical = if host == DOCKER_HUB_LEGACY { DOCKER_HUB } else { host };
    check_name(canonical, path)?;
    Ok(ImagePattern::new(text, canonical, path))
}

fn check_spelling(text: &str) -> Result<(), Mistake> {
    let length = text.chars().count();
    if length == 0 {
        return Err(Mistake::without_remedy("the pattern is empty"));
    }
    if length > LONGEST_PATTERN {
        let message = format!("the pattern is {length} characters long, at most {LONGEST_PATTERN} are allowed");
        return Err(Mistake::without_remedy(message));
    }
    let is_space = |character: char| character.is_whitespace() || character.is_control();
    if text.contains(is_space) {
        return Err(Mistake::new(WHITE_SPACE, text.replace(is_space, "")));
    }
    Ok(())
}

/// What people copy along with a name: the scheme before it, a `/` around it, the tag or digest after it.
fn check_rim(text: &str) -> Result<(), Mistake> {
    // The two paths are versions of the registry API that keyrings ignore.
    let bare = |text: &str| {
        let name = text.trim_matches('/');
        name.strip_suffix("/v1")
            .or(name.strip_suffix("/v2"))
            .unwrap_or(name)
            .to_owned()
    };
    if let Some((_, rest)) = text.split_once("://") {
        let name = rest.rsplit_once('@').map_or(rest, |(_, name)| name); // what stands before may be a password
        return Err(Mistake::new(SCHEME, bare(name)));
    }
    if text.starts_with('/') || text.ends_with('/') {
        return Err(Mistake::new(OUTER_SLASH, bare(text)));
    }
    if let Some((name, _)) = text.split_once('@') {
        return Err(Mistake::new(DIGEST, name));
    }
    let last = text.rfind('/').map_or(0, |slash| slash + 1);
    let colon = text.rfind(':').filter(|colon| *colon >= last && !text.ends_with(']'));
    let (name, version) = text.split_at(colon.unwrap_or(text.len()));
    let is_port = version
        .bytes()
        .skip(1)
        .all(|byte| byte.is_ascii_digit() || byte == b'*');
    if last > 0 && !version.is_empty() || !is_port {
        return Err(Mistake::new(TAG, name));
    }
    Ok(())
}

fn check_path(host: &str, path: &str) -> Result<(), Mistake> {
    if path.contains("//") {
        let segments: String = path
            .split('/')
            .filter(|segment| !segment.is_empty())
            .flat_map(|s| ["/", s])
            .collect();
        return Err(Mistake::new(EMPTY_SEGMENT, format!("{host}{segments}")));
    }
    if path.contains('*') {
        let above = path.trim_end_matches(['*', '/']);
        if path.get(above.len()..).is_some_and(|stars| stars.starts_with('/')) && !above.contains('*') {
            return Err(Mistake::new(PATH_STAR, format!("{host}{above}")));
        }
        let hint = "list the paths by name, or use `imageRegex` in a ClusterPullSecretRule";
        return Err(Mistake {
            message: PATH_STAR.to_owned(),
            remedy: Remedy::Advice(hint),
        });
    }
    Ok(())
}

fn check_host(host: &str, path: &str) -> Result<(), Mistake> {
    let (name, port) = split_port(host);
    if DOCKER_HUB_SITES.contains(&host) {
        let path = path
            .strip_prefix("/r/")
            .or(path.strip_prefix("/u/"))
            .or(path.strip_prefix('/'))
            .unwrap_or_default();
        let path = path.replacen("_/", "library/", 1);
        let message = format!("`{host}` {WEB_SITE}");
        return Err(Mistake::new(
            message,
            format!("{DOCKER_HUB}/{path}").trim_end_matches('/'),
        ));
    }
    if port.contains('*') {
        return Err(Mistake::without_remedy(
            "a port has no `*`: it must be equal, and no port covers no port",
        ));
    }
    if name.contains('[') && name.contains('*') {
        return Err(Mistake::without_remedy("an IPv6 host has no `*`"));
    }
    if name.contains("**") {
        let labels: Vec<String> = name
            .split("**")
            .map(|between| between.trim_matches('*').to_owned())
            .collect();
        return Err(Mistake::new(TWO_STARS, format!("{}{port}{path}", labels.join("*"))));
    }
    if name.is_empty() {
        return Err(Mistake::without_remedy("there is no host before the port"));
    }
    if name.split('.').any(str::is_empty) {
        let any = if name.starts_with('.') { "*." } else { "" };
        let labels: Vec<&str> = name.split('.').filter(|label| !label.is_empty()).collect();
        let message = "a host has no empty label, and a leading `.` does not cover subdomains";
        return Err(Mistake::new(message, format!("{any}{}{port}{path}", labels.join("."))));
    }
    Ok(())
}

/// Refuses what no image has as the beginning of its name.
fn check_name(host: &str, path: &str) -> Result<(), Mistake> {
    if is_beginning(host, path) {
        return Ok(());
    }
    if !is_beginning(host, "") {
        return Err(if ImageReference::parse(&format!("{host}/x")).is_ok() {
            let library = if path.is_empty() { "library/" } else { "" };
            Mistake::new(
                format!("no image has the host `{host}`: {NO_HOST}"),
                format!("{DOCKER_HUB}/{library}{host}{path}"),
            )
        } else {
            Mistake::without_remedy(format!(
                "no image has the host `{host}`: labels are letters, digits and inner `-`, a port is digits"
            ))
        });
    }
    let lower = path.to_lowercase();
    if lower != path {
        return Err(Mistake::new(
            "no image has a capital in its path",
            format!("{host}{lower}"),
        ));
    }
    let reason =
        ImageReference::parse(&format!("{DOCKER_HUB}{path}")).map_or_else(|fault| fault.to_string(), |_| String::new());
    Err(Mistake::without_remedy(format!("no image has this path: {reason}")))
}

/// Whether some image's name begins with this host and path. A name says so itself; `a` for a star keeps a host what it
/// is, and only `A` makes one of a single label.
fn is_beginning(host: &str, path: &str) -> bool {
    ["a", "A"].iter().any(|star| {
        let host = host.replace('*', star);
        ["", "/x", "/x/x"].iter().any(|below| {
            let name = format!("{host}{path}{below}");
            ImageReference::parse(&name).is_ok_and(|image| image.to_string() == name && image.host_and_path().0 == host)
        })
    })
}

#[cfg(test)]
mod tests;
