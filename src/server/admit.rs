//! The seam between the server and the decision: bytes of a review in, bytes of an answer out, panics included.

use super::refusal::Refusal;
use crate::admission::{Malformed, Review};
use crate::metrics::{Metrics, Stage};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What decides. It is called on the thread that serves the connection, so it must neither block nor wait.
pub trait Admit: Send + Sync + 'static {
    /// Reads the review of a body.
    fn read<'a>(&self, body: &'a [u8]) -> Result<Review<'a>, Malformed>;

    /// Decides on a review.
    fn admit(&self, review: &Review<'_>) -> Answer;

    /// The body of the answer that admits the object of that request unchanged, for the case that
    /// [`Admit::admit`] panicked.
    fn answer_to_fault(&self, uid: &str) -> Vec<u8>;
}

/// What comes of a review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The body of the answer: an `AdmissionReview` in JSON.
    Review(Vec<u8>),
    /// Nothing can be said yet; the caller is told to come back in a second.
    RetryLater,
}

/// The answer to a body. A panic costs only this request: once the uid is known the object is admitted unchanged.
pub(super) fn answer(admit: &dyn Admit, body: &[u8], metrics: &Metrics) -> Result<Vec<u8>, Refusal> {
    let read = catch_unwind(AssertUnwindSafe(|| admit.read(body)));
    let review = read.map_err(|_| {
        metrics.panicked(Stage::Read);
        tracing::error!(bytes = body.len(), "reading a review panicked");
        Refusal::Fault
    })??;
    match catch_unwind(AssertUnwindSafe(|| admit.admit(&review))) {
        Ok(Answer::Review(answer)) => Ok(answer),
        Ok(Answer::RetryLater) => Err(Refusal::NotReady),
        Err(_) => {
            metrics.panicked(Stage::Admit);
            tracing::error!(uid = ?review.uid, "deciding on a review panicked: the object is admitted unchanged");
            Ok(admit.answer_to_fault(&review.uid))
        }
    }
}
