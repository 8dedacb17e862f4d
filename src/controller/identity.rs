//! Which version of which object is meant, in as little room as that takes: there are tens of thousands of copies.
//!
//! In: `uid` and `resourceVersion` as the API server writes them. Out: the same texts. To clients both are opaque, so one
//! that is of another form than usual is kept as it is.

use std::fmt;

use serde::{Serialize, Serializer};

/// One version of one object: the API server refuses with 409 where there is another one by now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// `metadata.uid`.
    pub uid: Uid,
    /// `metadata.resourceVersion`.
    pub resource_version: ResourceVersion,
}

/// A `metadata.uid`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Uid {
    /// As every API server makes them (RFC 9562), in lower case.
    Uuid([u8; 16]),
    /// Any other text.
    Other(Box<str>),
}

/// A `metadata.resourceVersion`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResourceVersion {
    /// As every API server counts them.
    Number(u64),
    /// Any other text.
    Other(Box<str>),
}

impl Identity {
    /// Takes both as the API server writes them.
    #[must_use]
    pub fn new(uid: &str, resource_version: &str) -> Self {
        Self {
            uid: uid.into(),
            resource_version: resource_version.into(),
        }
    }
}

impl ResourceVersion {
    /// Whether this one comes before another one of the same object. They count up, and mean nothing else (KEP-5504); one
    /// that is no number is taken for news.
    pub(super) fn is_before(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Number(this), Self::Number(other)) => this < other,
            _ => self != other,
        }
    }
}

impl From<&str> for Uid {
    fn from(text: &str) -> Self {
        let number = u128::from_str_radix(&text.replace('-', ""), 16);
        let uuid = number.ok().map(|number| Self::Uuid(number.to_be_bytes()));
        uuid.filter(|uuid| uuid.to_string() == text)
            .unwrap_or_else(|| Self::Other(text.into()))
    }
}

impl From<&str> for ResourceVersion {
    fn from(text: &str) -> Self {
        let number = text.parse().ok().map(Self::Number);
        number
            .filter(|number| number.to_string() == text)
            .unwrap_or_else(|| Self::Other(text.into()))
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uuid(bytes) => bytes.iter().enumerate().try_for_each(|(index, byte)| {
                let hyphen = if matches!(index, 4 | 6 | 8 | 10) { "-" } else { "" };
                write!(formatter, "{hyphen}{byte:02x}")
            }),
            Self::Other(text) => formatter.write_str(text),
        }
    }
}

impl fmt::Display for ResourceVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(formatter),
            Self::Other(text) => formatter.write_str(text),
        }
    }
}

impl Serialize for Uid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for ResourceVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn texts_come_out_as_they_went_in(
            text in "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9A-F+-]{30,40}|[0-9+]{0,22}|.*"
        ) {
            prop_assert_eq!(Uid::from(text.as_str()).to_string(), text.clone());
            prop_assert_eq!(ResourceVersion::from(text.as_str()).to_string(), text);
        }
    }

    #[test]
    fn usual_ones_take_no_memory_elsewhere() {
        let usual = Identity::new("0d7ff2c6-39b0-4a4c-8d4b-3c4b0a1d5e6f", "1048576");
        assert!(matches!(usual.uid, Uid::Uuid(_)));
        assert_eq!(usual.resource_version, ResourceVersion::Number(1_048_576));
        assert_eq!(
            serde_json::to_value(usual).unwrap(),
            serde_json::json!({"uid": "0d7ff2c6-39b0-4a4c-8d4b-3c4b0a1d5e6f", "resourceVersion": "1048576"})
        );
    }

    #[test]
    fn versions_count_up() {
        for (one, other, is_before) in [
            ("9", "10", true),
            ("10", "9", false),
            ("9", "9", false),
            ("09", "9", true),
            ("x", "y", true),
            ("x", "x", false),
        ] {
            let (one, other) = (ResourceVersion::from(one), ResourceVersion::from(other));
            assert_eq!(one.is_before(&other), is_before, "{one} {other}");
        }
    }
}
