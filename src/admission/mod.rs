//! The decision: bytes of an AdmissionReview in, bytes of its answer out. Pure, synchronous and total.
//!
//! [`read`] takes from a body what a decision needs, [`decide`] turns it into a [`Decision`] by the rules in force, and
//! [`Decision::to_response`] writes the answer. Nothing here waits, asks the clock, or knows where the bytes come from.

mod json;
mod patch;
mod plan;
mod reader;
mod response;
mod review;

pub use plan::{Addition, Decision, InjectionPlan, Outcome, SkipReason, candidate, decide};
pub use reader::read;
pub use response::allowed_after_fault;
pub use review::{API_VERSION, DEEPEST, Fault, Image, KIND, Malformed, Object, Origin, Pod, Resource, Review};

/// The annotation of Pods that a kubelet read from a file: the API server refuses them with any secret.
pub const MIRROR_ANNOTATION: &str = "kubernetes.io/config.mirror";
/// The label by which a Pod or a namespace opts out.
pub const OPT_OUT_LABEL: &str = "pullkey.dev/inject";
/// The one value of [`OPT_OUT_LABEL`] that does.
pub const OPT_OUT: &str = "false";
