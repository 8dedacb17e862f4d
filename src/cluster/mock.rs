//! An API server for tests: each call waits until the test answers it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body::Frame;
use hyper::body::{Body, Bytes};
use hyper::header::ACCEPT;
use hyper::{Request, Response, StatusCode};
use kube::Client;
use tokio::sync::{mpsc, oneshot};
use tower::service_fn;

/// The calls of one client, as they come.
pub(super) struct Api {
    calls: mpsc::UnboundedReceiver<Call>,
}

/// One call that waits for its answer.
pub(super) struct Call {
    /// Path and query.
    pub(super) target: String,
    pub(super) accept: String,
    answer: oneshot::Sender<Response<Fed>>,
}

/// The rest of an answer that goes on. It ends when this is dropped.
pub(super) struct Feed(mpsc::UnboundedSender<io::Result<Bytes>>);

/// A body that is fed.
struct Fed(mpsc::UnboundedReceiver<io::Result<Bytes>>);

impl Api {
    pub(super) fn new() -> (Client, Self) {
        let (sender, calls) = mpsc::unbounded_channel();
        let service = service_fn(move |request: Request<kube::client::Body>| {
            let (answer, answered) = oneshot::channel();
            let call = Call {
                target: request.uri().to_string(),
                accept: request.headers()[ACCEPT].to_str().unwrap().to_owned(),
                answer,
            };
            let sent = sender.send(call);
            async move {
                let gone = |_| io::Error::other("nobody answers");
                sent.map_err(|_| io::Error::other("nobody listens"))?;
                answered.await.map_err(gone)
            }
        });
        (Client::new(service, "default"), Self { calls })
    }

    pub(super) async fn call(&mut self) -> Call {
        self.calls.recv().await.unwrap()
    }

    /// The call that nothing is heard of yet, if there is one.
    pub(super) fn is_idle(&self) -> bool {
        self.calls.is_empty()
    }
}

impl Call {
    /// Answers with a whole body.
    pub(super) fn answer(self, status: u16, body: &str) {
        self.answer_after(status, None, body);
    }

    /// Answers with a whole body, and how many seconds to stay away.
    pub(super) fn answer_after(self, status: u16, retry_after: Option<u32>, body: &str) {
        let feed = self.begin(status, retry_after);
        feed.send(body);
    }

    /// Answers with a body that goes on.
    pub(super) fn stream(self) -> Feed {
        self.begin(200, None)
    }

    /// Breaks the connection.
    pub(super) fn hang_up(self) {
        drop(self.answer);
    }

    fn begin(self, status: u16, retry_after: Option<u32>) -> Feed {
        let (feed, body) = mpsc::unbounded_channel();
        let mut response = Response::new(Fed(body));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        if let Some(seconds) = retry_after {
            response.headers_mut().insert("retry-after", seconds.into());
        }
        let _ = self.answer.send(response);
        Feed(feed)
    }
}

impl Feed {
    pub(super) fn send(&self, text: &str) {
        let _ = self.0.send(Ok(Bytes::copy_from_slice(text.as_bytes())));
    }

    pub(super) fn break_off(self) {
        let _ = self.0.send(Err(io::Error::other("connection reset")));
    }
}

impl Body for Fed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.0
            .poll_recv(context)
            .map(|item| item.map(|item| item.map(Frame::data)))
    }
}
