//! The decision: bytes of an AdmissionReview in, bytes of its answer out. Pure, synchronous and total.

mod json;
mod reader;
mod review;

pub use reader::read;
pub use review::{API_VERSION, DEEPEST, Fault, Image, KIND, Malformed, Object, Origin, Pod, Resource, Review};
