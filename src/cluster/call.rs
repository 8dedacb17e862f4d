//! Single calls of the API server: a page of a list, and a watch line by line.
//!
//! In: where the objects are. Out: JSON text as the API server wrote it, or the [`Trouble`]. The client's own decoding is
//! left out on purpose: it fails on a whole list for one object, hides the bookmarks by which a watch shows that it
//! lives, and logs what it cannot decode.

use std::error::Error;
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use hyper::body::{Body as _, Bytes};
use hyper::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER};
use hyper::{Request, Response, StatusCode};
use kube::Client;
use kube::client::Body;
use serde::Deserialize;
use tokio::time::timeout;

use super::{Key, Trouble};
use crate::metrics::WatchFailure;
use crate::printable::shortened;

/// How long the API server may take to begin an answer, or to give a whole page of a list.
const ANSWER: Duration = Duration::from_secs(30);
/// The largest page of a list and the largest line of a watch, in bytes. An API server takes objects of 3 MiB at most.
const LARGEST: usize = 8 << 20;
/// How much of an API server's words is shown, in characters.
const LONGEST_SHOWN: usize = 300;

/// Which objects, and what of them.
#[derive(Debug, Clone)]
pub struct Target {
    /// The path of one, or of their list, with selectors as a query if there are any: `/api/v1/secrets?labelSelector=a%3Db`.
    pub path: String,
    /// Whether metadata is all that is wanted.
    pub metadata_only: bool,
}

/// Why a call gave nothing.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) trouble: Trouble,
    /// How long the API server wants to be left alone.
    pub(super) retry_after: Option<Duration>,
}

/// What a watch sends, line by line.
pub(super) struct Lines {
    body: Body,
    /// What has come and was not given out, without a line's end before `searched`.
    buffer: Vec<u8>,
    searched: usize,
}

/// What is read of the API server's `Status`.
#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    message: String,
    #[serde(default)]
    code: u16,
}

impl Target {
    /// What stands at a path.
    pub(super) fn raw(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            metadata_only: false,
        }
    }

    /// A page of the list after the one that gave this token; `None` if it is larger than [`LARGEST`].
    pub(super) async fn page(&self, client: &Client, limit: u32, after: &str) -> Result<Option<String>, Failed> {
        let mut query = format!("limit={limit}");
        if !after.is_empty() {
            query = format!("{query}&continue={}", encoded(after));
        }
        self.whole(client, &query, "PartialObjectMetadataList").await
    }

    /// A list that holds at most this one of the objects. Whoever may list all of them may list it.
    pub(super) fn one(&self, Key { namespace, name }: &Key) -> Self {
        let (before, plural) = self.path.rsplit_once('/').unwrap_or_default();
        Self {
            path: format!("{before}/namespaces/{namespace}/{plural}?fieldSelector=metadata.name%3D{name}"),
            ..self.clone()
        }
    }

    /// The object at this path.
    pub(super) async fn object(&self, client: &Client) -> Result<String, Failed> {
        let object = self.whole(client, "", "PartialObjectMetadata").await?;
        object.ok_or_else(|| Failed::garbled("its object is too large for any API server"))
    }

    /// A whole answer; `None` if it is larger than [`LARGEST`].
    async fn whole(&self, client: &Client, query: &str, metadata: &str) -> Result<Option<String>, Failed> {
        let answer = async { gathered(self.get(client, query, metadata).await?).await };
        timeout(ANSWER, answer).await.unwrap_or_else(|_| Err(Failed::late()))
    }

    /// The watch of what happens after this version, for so many seconds.
    pub(super) async fn watch(&self, client: &Client, version: &str, seconds: u64) -> Result<Lines, Failed> {
        let query = format!(
            "watch=1&allowWatchBookmarks=true&resourceVersion={}&timeoutSeconds={seconds}",
            encoded(version)
        );
        let body = timeout(ANSWER, self.get(client, &query, "PartialObjectMetadata")).await;
        Ok(Lines::of(body.unwrap_or_else(|_| Err(Failed::late()))?))
    }

    /// Those lines of an answer of any length that are wanted; the last one has to end as one.
    pub(super) async fn lines(&self, client: &Client, wanted: impl Fn(&str) -> bool) -> Result<String, Failed> {
        let read = async {
            let mut lines = Lines::of(self.get(client, "", "").await?);
            let mut kept = String::new();
            while let Some(line) = lines.next().await? {
                kept.extend(std::str::from_utf8(&line).ok().filter(|line| wanted(line)));
            }
            Ok(kept)
        };
        timeout(ANSWER, read).await.unwrap_or_else(|_| Err(Failed::late()))
    }

    /// Makes an object here, as far as the query does not say otherwise; gives what became of it.
    pub(super) async fn create(&self, client: &Client, object: String) -> Result<String, Failed> {
        let create = async {
            let request = Request::post(&self.path).header(CONTENT_TYPE, "application/json");
            let request = request
                .header(ACCEPT, "application/json")
                .body(Body::from(object.into_bytes()));
            let body = self
                .send(client, request.map_err(|error| Failed::broken(&error))?)
                .await?;
            let object = gathered(body).await?;
            object.ok_or_else(|| Failed::garbled("its object is too large for any API server"))
        };
        timeout(ANSWER, create).await.unwrap_or_else(|_| Err(Failed::late()))
    }

    async fn get(&self, client: &Client, query: &str, metadata: &str) -> Result<Body, Failed> {
        let separator = match query {
            "" => "",
            _ if self.path.contains('?') => "&",
            _ => "?",
        };
        let accepted = if self.metadata_only {
            format!("application/json;as={metadata};g=meta.k8s.io;v=v1")
        } else {
            "application/json".to_owned()
        };
        let request = Request::get(format!("{}{separator}{query}", self.path))
            .header(ACCEPT, accepted)
            .body(Body::empty())
            .map_err(|error| Failed::broken(&error))?;
        self.send(client, request).await
    }

    async fn send(&self, client: &Client, request: Request<Body>) -> Result<Body, Failed> {
        let response = client.send(request).await.map_err(|error| Failed::broken(&error))?;
        if response.status().is_success() {
            Ok(response.into_body())
        } else {
            Err(self.refused(response).await)
        }
    }

    /// What to make of another status than success.
    async fn refused(&self, response: Response<Body>) -> Failed {
        let retry_after = response.headers().get(RETRY_AFTER);
        let seconds = retry_after.and_then(|seconds| seconds.to_str().ok()?.parse().ok());
        let (status, mut body) = (response.status(), response.into_body());
        let mut text = Vec::new();
        while let Ok(Some(chunk)) = chunk(&mut body).await
            && text.len() + chunk.len() < LARGEST
        {
            text.extend_from_slice(&chunk);
        }
        let message = serde_json::from_slice(&text).map(|status: Status| status.message);
        let path = self.path.split('?').next().unwrap_or_default();
        let mut failed = Failed::status(status, &message.unwrap_or_default(), path);
        failed.retry_after = seconds.map(Duration::from_secs);
        failed
    }
}

impl Lines {
    fn of(body: Body) -> Self {
        Self {
            body,
            buffer: Vec::new(),
            searched: 0,
        }
    }

    /// The next line, its end included; `None` once the API server has ended the watch.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>, Failed> {
        loop {
            let rest = self.buffer.get(self.searched..).unwrap_or_default();
            if let Some(length) = rest.iter().position(|byte| *byte == b'\n') {
                let after = self.buffer.split_off(self.searched + length + 1);
                self.searched = 0;
                return Ok(Some(std::mem::replace(&mut self.buffer, after)));
            }
            self.searched = self.buffer.len();
            if self.searched > LARGEST {
                return Err(Failed::garbled("its watch sent a line that is too long"));
            }
            match chunk(&mut self.body).await? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None => return Ok(None),
            }
        }
    }
}

impl Failed {
    fn new(failure: WatchFailure, message: &str) -> Self {
        Self {
            trouble: Trouble {
                failure,
                message: shortened(message, LONGEST_SHOWN).into_owned(),
            },
            retry_after: None,
        }
    }

    /// The error that an API server reports inside of a watch.
    pub(super) fn reported(status: &str) -> Self {
        match serde_json::from_str::<Status>(status) {
            Ok(Status { message, code }) => {
                let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                Self::status(code, &message, "")
            }
            Err(_) => Self::garbled("its watch reported an error that cannot be read"),
        }
    }

    fn status(status: StatusCode, message: &str, path: &str) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::new(
                WatchFailure::Missing,
                &format!("the API server has no `{path}`: is its CustomResourceDefinition installed?"),
            ),
            StatusCode::GONE => Self::new(
                WatchFailure::Expired,
                "the API server no longer has what happened since",
            ),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Self::new(
                WatchFailure::Forbidden,
                &format!("the API server answers {}: {message}", status.as_u16()),
            ),
            _ => Self::new(
                WatchFailure::Refused,
                &format!("the API server answers {}: {message}", status.as_u16()),
            ),
        }
    }

    fn broken(error: &dyn Error) -> Self {
        let mut message = "the API server cannot be reached".to_owned();
        let mut cause = Some(error);
        while let Some(error) = cause {
            // Some tell their causes themselves.
            let text = error.to_string();
            if !message.contains(&text) {
                message = format!("{message}: {text}");
            }
            cause = error.source();
        }
        Self::new(WatchFailure::Broken, &message)
    }

    fn late() -> Self {
        let message = format!("the API server did not answer within {ANSWER:?}");
        Self::new(WatchFailure::Broken, &message)
    }

    /// The API server sent what it never sends; `what` goes on after its name.
    pub(super) fn garbled(what: &str) -> Self {
        Self::new(
            WatchFailure::Garbled,
            &format!("the API server is not understood: {what}"),
        )
    }

    /// Nothing was heard for so long.
    pub(super) fn silent(silence: Duration) -> Self {
        let message = format!("the API server said nothing for {silence:?}, not even that there is nothing new");
        Self::new(WatchFailure::Silent, &message)
    }

    /// The watch ended as soon as it began.
    pub(super) fn ended() -> Self {
        Self::new(WatchFailure::Broken, "the API server ended a watch without a word")
    }
}

/// A whole body; `None` if it is larger than [`LARGEST`].
async fn gathered(mut body: Body) -> Result<Option<String>, Failed> {
    let mut answer = Vec::new();
    while let Some(chunk) = chunk(&mut body).await? {
        if answer.len() + chunk.len() > LARGEST {
            return Ok(None);
        }
        answer.extend_from_slice(&chunk);
    }
    let answer = String::from_utf8(answer).map_err(|_| Failed::garbled("its answer is no text"))?;
    Ok(Some(answer))
}

/// The next piece of a body; `None` at its end.
async fn chunk(body: &mut Body) -> Result<Option<Bytes>, Failed> {
    loop {
        match poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await {
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
            Some(Err(error)) => return Err(Failed::broken(&error)),
            None => return Ok(None),
        }
    }
}

/// The text as a value in a query.
fn encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}
