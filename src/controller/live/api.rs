//! Single calls of the API server that change something, each with a deadline: the client has none of its own.
//!
//! In: a method, a path and a body. Out: the answer, or that there was none. Of a Secret the API server is asked for the
//! metadata alone, so that what was written never comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use hyper::body::Bytes;
use hyper::header::{ACCEPT, CONTENT_TYPE, DATE, RETRY_AFTER};
use hyper::{Method, Request};
use k8s_openapi::jiff::fmt::rfc2822;
use kube::Client;
use kube::client::Body;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::controller::FIELD_MANAGER;
use crate::controller::identity::Identity;
use crate::controller::refusal::{Failure, Refusal};

const JSON: &str = "application/json";
/// JSON is YAML.
const APPLY: &str = "application/apply-patch+yaml";
const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

/// How calls are made.
#[derive(Clone)]
pub(super) struct Api {
    client: Client,
    reach: Arc<Reach>,
}

/// Whether the API server is there.
#[derive(Default)]
struct Reach {
    is_lost: AtomicBool,
    is_back: Arc<Notify>,
}

/// What the API server answered.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) retry_after: Option<Duration>,
    /// The API server's clock.
    pub(super) date: Option<SystemTime>,
    pub(super) body: Bytes,
}

/// No answer came in time.
#[derive(Debug)]
pub(super) struct Silence;

/// `DeleteOptions` for one version of one object.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeleteOptions<'a> {
    api_version: &'static str,
    kind: &'static str,
    preconditions: &'a Identity,
}

/// What is read of a `Status`.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Status {
    reason: String,
    message: String,
    details: Details,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Details {
    kind: String,
    causes: Vec<Cause>,
    retry_after_seconds: u64,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Cause {
    reason: String,
}

impl Api {
    pub(super) fn new(client: Client) -> Self {
        let reach = Arc::default();
        Self { client, reach }
    }

    /// What is notified when the API server answers after it did not.
    pub(super) fn is_back(&self) -> Arc<Notify> {
        Arc::clone(&self.reach.is_back)
    }

    /// Server-side apply under our name, of which the metadata comes back.
    pub(super) async fn apply(
        &self,
        path: &str,
        is_forced: bool,
        body: Vec<u8>,
        deadline: Duration,
    ) -> Result<Reply, Silence> {
        let path = format!("{path}?fieldManager={FIELD_MANAGER}&force={is_forced}");
        self.call(Method::PATCH, &path, METADATA, APPLY, body, deadline).await
    }

    /// The metadata of an object.
    pub(super) async fn look(&self, path: &str, deadline: Duration) -> Result<Reply, Silence> {
        self.call(Method::GET, path, METADATA, JSON, Vec::new(), deadline).await
    }

    /// Writes an object as a whole, of which the metadata comes back.
    pub(super) async fn replace(&self, path: &str, body: Vec<u8>, deadline: Duration) -> Result<Reply, Silence> {
        let path = format!("{path}?fieldManager={FIELD_MANAGER}");
        self.call(Method::PUT, &path, METADATA, JSON, body, deadline).await
    }

    /// Deletes that version of an object.
    pub(super) async fn delete(&self, path: &str, identity: &Identity, deadline: Duration) -> Result<Reply, Silence> {
        let options = DeleteOptions {
            api_version: "v1",
            kind: "DeleteOptions",
            preconditions: identity,
        };
        let body = serde_json::to_vec(&options).map_err(|_| Silence)?;
        self.call(Method::DELETE, path, METADATA, JSON, body, deadline).await
    }

    /// Any call whose answer is wanted as it is.
    pub(super) async fn plain(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
        deadline: Duration,
    ) -> Result<Reply, Silence> {
        self.call(method, path, JSON, JSON, body, deadline).await
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        accept: &str,
        content_type: &str,
        body: Vec<u8>,
        deadline: Duration,
    ) -> Result<Reply, Silence> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(ACCEPT, accept)
            .header(CONTENT_TYPE, content_type)
            .body(Body::from(body))
            .map_err(|_| Silence)?;
        let answered = async {
            let response = self.client.send(request).await.map_err(|_| Silence)?;
            let (head, body) = response.into_parts();
            let retry_after = head.headers.get(RETRY_AFTER);
            let seconds = retry_after.and_then(|seconds| seconds.to_str().ok()?.parse().ok());
            let date = head.headers.get(DATE).and_then(|date| date.to_str().ok());
            let date = date.and_then(|date| rfc2822::parse(date).ok());
            Ok(Reply {
                status: head.status.as_u16(),
                date: date.map(|date| date.timestamp().into()),
                retry_after: seconds.map(Duration::from_secs),
                body: body.collect_bytes().await.map_err(|_| Silence)?,
            })
        };
        let reply = timeout(deadline, answered).await.unwrap_or(Err(Silence));
        let was_lost = self.reach.is_lost.swap(reply.is_err(), Ordering::Relaxed);
        if was_lost && reply.is_ok() {
            self.reach.is_back.notify_waiters();
        }
        reply
    }
}

impl Reply {
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// This answer if it is one of success, and otherwise why it was not done.
    pub(super) fn good(self) -> Result<Self, Refusal> {
        if self.is_success() {
            Ok(self)
        } else {
            Err(self.refusal())
        }
    }

    /// Why it was not done, for any other status than success.
    pub(super) fn refusal(&self) -> Refusal {
        let status: Status = serde_json::from_slice(&self.body).unwrap_or_default();
        let causes: Vec<_> = status
            .details
            .causes
            .iter()
            .map(|cause| cause.reason.as_str())
            .collect();
        let seconds = Some(status.details.retry_after_seconds).filter(|seconds| *seconds > 0);
        Refusal::of(&Failure {
            code: self.status,
            reason: &status.reason,
            message: &status.message,
            kind: &status.details.kind,
            causes: &causes,
            retry_after: self.retry_after.or(seconds.map(Duration::from_secs)),
        })
    }
}

impl From<Silence> for Refusal {
    fn from(_: Silence) -> Self {
        Self::Unavailable { after: None }
    }
}
