//! What Pullkey knows of a call: the request of an `AdmissionReview`, and the few facts of its Pod that a decision
//! needs.
//!
//! The types borrow from the call's body and say nothing about how it was read. They hold no typed Pod on purpose: the
//! object is never written back, so fields that this program has never heard of cannot be lost. The shapes are those
//! of `k8s.io/api/admission/v1` and `k8s.io/api/core/v1`.

use std::borrow::Cow;
use std::fmt;

use crate::printable::shortened;

/// How many arrays and objects may stand inside one another, the review itself included.
pub const DEEPEST: usize = 128;
/// The one `kind` that is read.
pub const KIND: &str = "AdmissionReview";
/// The one `apiVersion` that is read.
pub const API_VERSION: &str = "admission.k8s.io/v1";
/// How much of a wrong value is shown, in characters.
const LONGEST_SHOWN: usize = 64;

/// The `request` of an `AdmissionReview`. Texts that are absent, null or no strings are empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review<'a> {
    /// What the answer must repeat; never empty.
    pub uid: Cow<'a, str>,
    /// What the call is about.
    pub resource: Resource<'a>,
    /// The part of the resource, such as `ephemeralcontainers`; empty for the resource itself.
    pub sub_resource: Cow<'a, str>,
    /// `CREATE`, `UPDATE`, `DELETE` or `CONNECT`.
    pub operation: Cow<'a, str>,
    /// Where the object is or will be: right even where the object's own field is still empty.
    pub namespace: Cow<'a, str>,
    /// Empty for a Pod whose name the API server has yet to generate.
    pub name: Cow<'a, str>,
    /// Whether nothing will be stored.
    pub dry_run: bool,
    /// The object, looked at as a Pod whatever the resource is.
    pub object: Object<'a>,
}

/// The `resource` of a request, such as `pods` of version `v1` in the core group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resource<'a> {
    /// The API group, empty for the core one.
    pub group: Cow<'a, str>,
    /// The version within the group.
    pub version: Cow<'a, str>,
    /// The plural name.
    pub resource: Cow<'a, str>,
}

/// The `object` of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object<'a> {
    /// Missing or null, as for `DELETE`.
    Absent,
    /// What a decision needs of a Pod.
    Pod(Pod<'a>),
    /// The object, or something else in the request, is not what its field promises.
    Undecodable(Fault),
}

/// The first fault of a request, in the order in which this program looks at the fields, not that of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` is not {expected}")]
pub struct Fault {
    /// The field, from the object on (`spec.containers[].image`) or from the review on (`request.operation`).
    pub field: &'static str,
    /// What the field has to be, such as `a string`.
    pub expected: &'static str,
}

/// What a decision needs of a Pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pod<'a> {
    /// The label `pullkey.dev/inject` is exactly `false`.
    pub opted_out: bool,
    /// The annotation `kubernetes.io/config.mirror` is there, with whatever value.
    pub mirror: bool,
    /// Whether `spec.imagePullSecrets` has an entry, be it one without a name.
    pub has_pull_secrets: bool,
    /// The names in `spec.imagePullSecrets`, in order. Entries without one are not kept: a body has room for millions.
    pub pull_secrets: Vec<Cow<'a, str>>,
    /// Every image that is there and not empty, in the order of [`Origin`]'s variants.
    pub images: Vec<Image<'a>>,
    /// `spec.serviceAccountName`; empty where the API server has not set it.
    pub service_account: Cow<'a, str>,
}

/// One image string of a Pod, not yet parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image<'a> {
    /// Where in the Pod it stands.
    pub origin: Origin,
    /// The text; never empty.
    pub reference: Cow<'a, str>,
}

/// The list in which an image stands, and the position there, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// `spec.initContainers`
    InitContainer(usize),
    /// `spec.containers`
    Container(usize),
    /// `spec.ephemeralContainers`
    EphemeralContainer(usize),
    /// `spec.volumes`
    Volume(usize),
}

/// Why a body is no review that could be answered. Each sentence tells the caller what is accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The byte where UTF-8 ends, from 0.
    #[error("the body is not UTF-8 at byte {offset}: {ACCEPTED}")]
    NotUtf8 {
        /// From 0.
        offset: usize,
    },
    /// The text breaks the grammar of RFC 8259, or holds half of a surrogate pair.
    #[error("the body is not JSON at byte {offset}: {ACCEPTED}")]
    NotJson {
        /// Where the first piece begins that is no JSON or is cut short; from 0.
        offset: usize,
    },
    /// Arrays and objects stand too deep inside one another.
    #[error("the body nests arrays and objects too deep: at most {DEEPEST} levels are accepted")]
    TooDeep,
    /// The body is JSON of another kind.
    #[error("the body is not a JSON object: {ACCEPTED}")]
    NotAnObject,
    /// The `kind`, shortened; `None` where it is missing or no string.
    #[error("{}: {ACCEPTED}", Other("kind", .0))]
    Kind(Option<String>),
    /// The `apiVersion`, shortened; `None` where it is missing or no string.
    #[error("{}: {ACCEPTED}, so the webhook has to be registered with `admissionReviewVersions: [v1]`", Other("apiVersion", .0))]
    ApiVersion(Option<String>),
    /// The request is missing, null or no object.
    #[error("the review has no `request`: an object is required there")]
    NoRequest,
    /// The request's uid is missing, null, empty or no string.
    #[error("the request has no `uid`: a string that is not empty is required there")]
    NoUid,
}

const ACCEPTED: &str = "only an `AdmissionReview` of `admission.k8s.io/v1` in JSON is accepted";

/// A field that is not as it must be: its name and its value.
struct Other<'a>(&'a str, &'a Option<String>);

impl Malformed {
    /// The fault of a body whose `kind` is not [`KIND`].
    #[must_use]
    pub fn kind(found: Option<&str>) -> Self {
        Self::Kind(found.map(shorten))
    }

    /// The fault of a body whose `apiVersion` is not [`API_VERSION`].
    #[must_use]
    pub fn api_version(found: Option<&str>) -> Self {
        Self::ApiVersion(found.map(shorten))
    }
}

impl Origin {
    /// Where in the Pod the image stands, as an RFC 6901 pointer.
    ///
    /// ```
    /// use pullkey::admission::Origin;
    ///
    /// assert_eq!(Origin::Volume(2).pointer(), "/spec/volumes/2/image/reference");
    /// ```
    #[must_use]
    pub fn pointer(self) -> String {
        match self {
            Self::InitContainer(index) => format!("/spec/initContainers/{index}/image"),
            Self::Container(index) => format!("/spec/containers/{index}/image"),
            Self::EphemeralContainer(index) => format!("/spec/ephemeralContainers/{index}/image"),
            Self::Volume(index) => format!("/spec/volumes/{index}/image/reference"),
        }
    }
}

impl fmt::Display for Other<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self(field, Some(value)) => write!(formatter, "the `{field}` is `{value}`"),
            Self(field, None) => write!(formatter, "the body has no `{field}`"),
        }
    }
}

/// A caller's value, fit for one line of text.
fn shorten(value: &str) -> String {
    shortened(value, LONGEST_SHOWN).into_owned()
}
