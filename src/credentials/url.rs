//! As much of Go's `net/url` as decides what a key of a docker config stands for.
//!
//! In: what follows `https://`. Out: host and path, or nothing where Go refuses the URL. User info is judged and gone;
//! so are query and fragment. This is `url.Parse` of Go 1.26, which Kubernetes 1.37 is built with: brackets hold an IPv6
//! address and nothing else, and a host has at most one colon outside of them.

use std::net::Ipv6Addr;

/// What a host may hold besides letters, digits and everything beyond ASCII.
const HOST_MARKS: &str = "!\"$%&'()*+,-.:;<=>]_~";
/// What user info may hold besides ASCII letters and digits.
const USER_INFO_MARKS: &str = "!$%&'()*+,-.:;=@_~";

/// The pieces of a URL that a key is made of.
pub(super) struct Url<'a> {
    /// Host and port as spelled.
    pub(super) spelled_host: &'a str,
    /// The path as spelled.
    pub(super) spelled_path: &'a str,
    /// Host and port, decoded.
    pub(super) host: String,
    /// The path, decoded: empty or with a leading `/`.
    pub(super) path: String,
}

impl<'a> Url<'a> {
    /// Reads what follows `https://`. Decoded bytes that are no UTF-8 become U+FFFD; no image has either.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
        decode(fragment)?;
        if text.bytes().any(|byte| byte.is_ascii_control()) {
            return None;
        }
        let (text, _) = text.split_once('?').unwrap_or((text, ""));
        let (authority, spelled_path) = text.split_at(text.find('/').unwrap_or(text.len()));
        let (user_info, spelled_host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let is_user_info = |character: char| character.is_ascii_alphanumeric() || USER_INFO_MARKS.contains(character);
        if !user_info.chars().all(is_user_info) {
            return None;
        }
        decode(user_info)?;
        Some(Self {
            spelled_host,
            spelled_path,
            host: decode_host(spelled_host)?,
            path: decode(spelled_path)?,
        })
    }
}

/// The host without its port, and the port, which is empty where there is none: Go's `net.SplitHostPort`, whose errors
/// the kubelet takes for "no port". So brackets stay where no port follows them.
pub(super) fn split_port(host: &str) -> (&str, &str) {
    match host.rsplit_once(':') {
        Some((name, port)) => match name.strip_prefix('[').map(|address| address.strip_suffix(']')) {
            Some(Some(address)) => (address, port),
            None if !name.contains(']') => (name, port),
            _ => (host, ""),
        },
        None => (host, ""),
    }
}

/// The host as Go has it, unless that is none.
pub(super) fn decode_host(host: &str) -> Option<String> {
    if let Some(bracketed) = host.strip_prefix('[') {
        let (address, port) = bracketed.rsplit_once(']')?;
        // An address with a zone (`%25eth0`) Go reads once, and not again when it looks for an image's keys.
        address.parse::<Ipv6Addr>().ok()?;
        return is_optional_port(port).then(|| host.to_owned());
    }
    let (_, port) = host.split_at(host.find(':').unwrap_or(host.len()));
    let is_allowed =
        |character: char| character.is_alphanumeric() || !character.is_ascii() || HOST_MARKS.contains(character);
    // Escapes stand for bytes beyond ASCII, or for `%` itself.
    let is_escape = |text: &str| text.starts_with("25") || text.bytes().next().is_some_and(|digit| digit >= b'8');
    if is_optional_port(port) && host.chars().all(is_allowed) && host.split('%').skip(1).all(is_escape) {
        decode(host)
    } else {
        None
    }
}

fn is_optional_port(text: &str) -> bool {
    text.is_empty()
        || text
            .strip_prefix(':')
            .is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Resolves every `%` and the two hex digits behind it.
fn decode(text: &str) -> Option<String> {
    let mut pieces = text.split('%');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
