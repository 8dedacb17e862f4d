//! Names of objects, as the API server has them (RFC 1123).

/// The longest name of a namespace, a DNS label.
pub(super) const LONGEST_LABEL: usize = 63;
/// The longest name of most other objects, a DNS subdomain.
pub(super) const LONGEST_SUBDOMAIN: usize = 253;
/// What a namespace may be called.
pub const ACCEPTED_LABEL: &str = "lower-case letters, digits and inner `-`, at most 63";
/// What a rule or a secret may be called.
pub const ACCEPTED_SUBDOMAIN: &str = "lower-case letters, digits and inner `-` and `.`, at most 253";

/// Whether the text is a DNS label: the name of a namespace.
#[must_use]
pub fn is_label(text: &str) -> bool {
    text.len() <= LONGEST_LABEL && is_part(text)
}

/// Whether the text is a DNS subdomain: the name of most other objects. Only the whole has a limit, as in
/// `IsDNS1123Subdomain` of apimachinery.
#[must_use]
pub fn is_subdomain(text: &str) -> bool {
    text.len() <= LONGEST_SUBDOMAIN && text.split('.').all(is_part)
}

/// Whether the text is a part of a name between dots, whatever its length.
pub(super) fn is_part(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::{is_label, is_subdomain};

    #[test]
    fn names_are_those_of_the_api_server() {
        for (text, label, subdomain) in [
            ("a", true, true),
            ("0-a", true, true),
            ("a.b-c.d", false, true),
            ("", false, false),
            ("-a", false, false),
            ("a-", false, false),
            ("a..b", false, false),
            (".a", false, false),
            ("a.", false, false),
            ("a.-b", false, false),
            ("A", false, false),
            ("a_b", false, false),
            ("é", false, false),
            ("a\n", false, false),
            (&"a".repeat(63), true, true),
            (&"a".repeat(64), false, true),
            (&"a".repeat(253), false, true),
            (&"a".repeat(254), false, false),
        ] {
            assert_eq!((is_label(text), is_subdomain(text)), (label, subdomain), "{text}");
        }
    }
}
