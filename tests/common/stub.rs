//! The simplest thing that decides: it looks for a uid and allows everything.

use pullkey::admission::{Malformed, Object, Resource, Review};
use pullkey::server::{Admit, Answer};
use serde_json::{Value, json};

pub(crate) struct Stub;

impl Admit for Stub {
    fn read<'a>(&self, body: &'a [u8]) -> Result<Review<'a>, Malformed> {
        let review: Value = serde_json::from_slice(body).map_err(|_| Malformed::NotJson { offset: 0 })?;
        let uid = review
            .pointer("/request/uid")
            .and_then(Value::as_str)
            .ok_or(Malformed::NoUid)?;
        Ok(Review {
            uid: uid.to_owned().into(),
            resource: Resource::default(),
            sub_resource: "".into(),
            operation: "CREATE".into(),
            namespace: "default".into(),
            name: "".into(),
            dry_run: false,
            object: Object::Absent,
        })
    }

    fn admit(&self, review: &Review<'_>) -> Answer {
        Answer::Review(self.answer_to_fault(&review.uid))
    }

    fn answer_to_fault(&self, uid: &str) -> Vec<u8> {
        let response = json!({"uid": uid, "allowed": true});
        let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response});
        review.to_string().into_bytes()
    }
}

/// The body of a review.
pub(crate) fn review(uid: &str) -> String {
    json!({"request": {"uid": uid}}).to_string()
}

/// The uid of an answer.
pub(crate) fn uid_of(body: &str) -> String {
    let review: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error} in {body:?}"));
    review["response"]["uid"].as_str().unwrap_or_default().to_owned()
}
