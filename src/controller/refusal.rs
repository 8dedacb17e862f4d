//! What the API server says to a write that it does not do.
//!
//! In: the parts of its answer. Out: a [`Refusal`], of a closed list, and how long to leave the copy alone after it. The
//! answer's own message goes no further: a policy may quote in it what it was shown. Only names are taken out of it.

use std::fmt;
use std::time::Duration;

/// No copy is left alone for longer, so whatever was put right is seen by then.
pub(super) const LONGEST_DELAY: Duration = Duration::from_mins(10);
/// The longest name of an object (RFC 1123 subdomain).
const LONGEST_NAME: usize = 253;

/// The parts of a `Status` that say why.
#[derive(Debug, Clone, Copy, Default)]
pub struct Failure<'a> {
    /// The HTTP status; 0 where no answer came.
    pub code: u16,
    /// `reason`.
    pub reason: &'a str,
    /// `message`.
    pub message: &'a str,
    /// `details.kind`.
    pub kind: &'a str,
    /// `reason` of each of `details.causes`.
    pub causes: &'a [&'a str],
    /// `Retry-After`, or `details.retryAfterSeconds`.
    pub retry_after: Option<Duration>,
}

/// Why a write was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Somebody else holds a field, or the object is not the one that was meant: it must be looked at.
    Conflict,
    /// Its type or its data can change no more.
    Immutable,
    /// A `ResourceQuota` allows no more Secrets.
    QuotaExceeded {
        /// Which.
        quota: Option<Box<str>>,
    },
    /// An admission policy or webhook says no.
    DeniedByPolicy {
        /// Which.
        policy: Option<Box<str>>,
    },
    /// We have no right to do it.
    NotPermitted,
    /// The namespace is going, or gone. No fault of anybody.
    Terminating,
    /// Too many requests: everything waits.
    Throttled {
        /// How long.
        after: Option<Duration>,
    },
    /// No answer, or a fault of the server's or of a webhook's on the way.
    Unavailable {
        /// When to come again.
        after: Option<Duration>,
    },
    /// What was sent is wrong for another reason, such as being too large.
    Invalid,
}

impl Refusal {
    /// Finds the class of an answer.
    #[must_use]
    pub fn of(failure: &Failure<'_>) -> Self {
        let Failure {
            code,
            message,
            retry_after: after,
            ..
        } = *failure;
        let has_cause = |reason| failure.causes.contains(&reason);
        let policy = |before, quote| Self::DeniedByPolicy {
            policy: name_after(message, before, quote),
        };
        match code {
            429 => Self::Throttled { after },
            401 => Self::NotPermitted,
            403 | 404 if has_cause("NamespaceTerminating") => Self::Terminating,
            404 if failure.kind == "namespaces" => Self::Terminating,
            404 | 409 | 410 => Self::Conflict,
            // Policies may answer with any of these, and so may webhooks.
            400..500 if message.contains("ValidatingAdmissionPolicy '") => policy("ValidatingAdmissionPolicy '", '\''),
            400..500 if message.contains("admission webhook \"") => policy("admission webhook \"", '"'),
            403 if message.contains("exceeded quota: ") => Self::QuotaExceeded {
                quota: name_after(message, "exceeded quota: ", ','),
            },
            403 if message.contains("failed quota: ") => Self::QuotaExceeded {
                quota: name_after(message, "failed quota: ", ':'),
            },
            // The authorizer's own words; another plugin that forbids says why instead.
            403 if message.contains(" cannot ") => Self::NotPermitted,
            403 => Self::DeniedByPolicy { policy: None },
            422 if message.contains("field is immutable") => Self::Immutable,
            400..500 => Self::Invalid,
            _ => Self::Unavailable { after },
        }
    }

    /// The reason in a status or an event: one word.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Conflict => "Conflict",
            Self::Immutable => "Immutable",
            Self::QuotaExceeded { .. } => "QuotaExceeded",
            Self::DeniedByPolicy { .. } => "DeniedByPolicy",
            Self::NotPermitted => "NotPermitted",
            Self::Terminating => "Terminating",
            Self::Throttled { .. } => "Throttled",
            Self::Unavailable { .. } => "Unavailable",
            Self::Invalid => "Invalid",
        }
    }

    /// For how long the API server asks to be left alone, if it does.
    #[must_use]
    pub fn asks_for(&self) -> Option<Duration> {
        match self {
            Self::Throttled { after } | Self::Unavailable { after } => *after,
            _ => None,
        }
    }

    /// How long to leave the copy alone after the `failures`th refusal in a row, counted from 1. What a look or another
    /// write may put right is tried at once; what somebody has to put right first, seldom.
    #[must_use]
    pub fn delay(&self, failures: u32) -> Duration {
        let doubled = |first: Duration, most: Duration| {
            let factor = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
            first.saturating_mul(factor).min(most)
        };
        let second = Duration::from_secs(1);
        match self {
            Self::Conflict | Self::Immutable if failures <= 1 => Duration::ZERO,
            Self::Conflict | Self::Immutable => doubled(second, LONGEST_DELAY),
            Self::QuotaExceeded { .. } | Self::DeniedByPolicy { .. } => doubled(Duration::from_secs(30), LONGEST_DELAY),
            Self::NotPermitted => doubled(10 * second, LONGEST_DELAY),
            Self::Invalid => doubled(60 * second, LONGEST_DELAY),
            Self::Throttled { after } | Self::Unavailable { after } => after
                .unwrap_or_default()
                .max(doubled(second, 60 * second))
                .min(LONGEST_DELAY),
            Self::Terminating => LONGEST_DELAY,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict => formatter.write_str("the Secret changed in the meantime"),
            Self::Immutable => formatter.write_str("the Secret there is immutable, or of another type"),
            Self::QuotaExceeded { quota: Some(quota) } => write!(formatter, "the ResourceQuota `{quota}` is used up"),
            Self::QuotaExceeded { quota: None } => formatter.write_str("a ResourceQuota is used up"),
            Self::DeniedByPolicy { policy: Some(policy) } => write!(formatter, "the policy `{policy}` denies it"),
            Self::DeniedByPolicy { policy: None } => formatter.write_str("an admission plugin forbids it"),
            Self::NotPermitted => formatter.write_str("the controller has no right to write this Secret"),
            Self::Terminating => formatter.write_str("the namespace is being deleted"),
            Self::Throttled { .. } => formatter.write_str("the API server asks for patience"),
            Self::Unavailable { .. } => formatter.write_str("the API server or a webhook on its way does not answer"),
            Self::Invalid => formatter.write_str("the API server does not take such a Secret"),
        }
    }
}

/// What stands in the message between `before` and `end`, if it can be the name of an object.
fn name_after(message: &str, before: &str, end: char) -> Option<Box<str>> {
    let (_, rest) = message.split_once(before)?;
    let (name, _) = rest.split_once(end)?;
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    (!name.is_empty() && name.len() <= LONGEST_NAME && name.bytes().all(is_inner)).then(|| name.into())
}
