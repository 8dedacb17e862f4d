//! One connection from its handshake to its end, with every deadline that it has.

use super::Settings;
use super::activity::Verdict;
use super::drain::Phase;
use super::limits::Place;
use crate::metrics::{Closed, ConnectionMetrics};
use arc_swap::ArcSwap;
use axum::Router;
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Request, Version};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tower::Service;

/// How long the goodbye to an idle connection may take: TLS's close alert, or GOAWAY.
const GOODBYE: Duration = Duration::from_secs(1);

/// What all connections of a listener have in common.
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) transport: Transport,
    pub(super) router: Router,
    pub(super) metrics: ConnectionMetrics,
}

/// What lies between TCP and HTTP.
pub(super) enum Transport {
    Plain,
    /// Each new connection takes the configuration of its moment.
    Tls(Arc<ArcSwap<rustls::ServerConfig>>),
}

/// Serves a connection until one side closes it.
pub(super) async fn serve(stream: TcpStream, place: Place, shared: Arc<Shared>, phase: watch::Receiver<Phase>) {
    let metrics = shared.metrics.clone();
    let connection = Arc::new(Connection { place, shared, phase });
    if let Some(reason) = connection.run(stream).await {
        metrics.closed(reason);
    }
}

/// What a connection's task shares with its requests.
struct Connection {
    place: Place,
    shared: Arc<Shared>,
    phase: watch::Receiver<Phase>,
}

/// What wakes a connection's task beside its bytes.
struct Watch<'a> {
    connection: &'a Connection,
    phase: watch::Receiver<Phase>,
    /// Moved on only when it fires: a request costs no timer.
    timer: Pin<&'a mut Sleep>,
}

/// Runs the HTTP/2 streams of one connection, and ends them with it.
#[derive(Clone, Default)]
struct Streams(Arc<Mutex<JoinSet<()>>>);

impl Connection {
    /// Runs to the end, and says why if it is this side's doing.
    async fn run(self: Arc<Self>, stream: TcpStream) -> Option<Closed> {
        let settings = &self.shared.settings;
        let mut watch = Watch {
            connection: &self,
            phase: self.phase.clone(),
            timer: pin!(sleep(settings.first_request.min(settings.idle))),
        };
        let config = match &self.shared.transport {
            Transport::Plain => return self.http(stream, watch).await,
            Transport::Tls(config) => config.load_full(),
        };
        let mut handshake = pin!(TlsAcceptor::from(config).accept(stream));
        let outcome = loop {
            tokio::select! {
                biased;
                outcome = handshake.as_mut() => break outcome,
                due = watch.due() => if let Some(reason) = due {
                    return Some(reason);
                },
            }
        };
        match outcome {
            Ok(stream) => self.http(stream, watch).await,
            Err(error) => {
                tracing::debug!(%error, "a TLS handshake failed");
                Some(Closed::Handshake)
            }
        }
    }

    async fn http<I>(self: &Arc<Self>, stream: I, mut watch: Watch<'_>) -> Option<Closed>
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let builder = http_builder(&self.shared.settings);
        let connection = self.clone();
        let service = service_fn(move |request| connection.clone().answer(request));
        let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let mut has_said_goodbye = false;
        loop {
            let due = tokio::select! {
                biased;
                // An error here is the caller's: it went away, or spoke no HTTP.
                _ = serving.as_mut() => return None,
                due = watch.due() => due,
            };
            if let Some(reason) = due {
                if matches!(reason, Closed::Idle | Closed::Drained) {
                    serving.as_mut().graceful_shutdown();
                    let _ = timeout(GOODBYE, serving).await;
                }
                return Some(reason);
            }
            // hyper closes an idle HTTP/1 connection at once, and a call that is on its way is lost: HTTP/1 is told by
            // a header on its next answer. GOAWAY loses nothing, but a new connection must get its first call through.
            if !has_said_goodbye && self.is_draining() && self.place.activity.is_http2() {
                serving.as_mut().graceful_shutdown();
                has_said_goodbye = true;
            }
        }
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Response, Infallible> {
        let is_http2 = request.version() == Version::HTTP_2;
        let (_in_flight, is_first) = self.place.activity.begin(is_http2);
        if is_first {
            self.place.prove();
        }
        let mut response = self.shared.router.clone().call(request).await?;
        if !is_http2 && self.is_draining() {
            response
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response)
    }

    fn is_draining(&self) -> bool {
        *self.phase.borrow() != Phase::Serving
    }
}

impl Watch<'_> {
    /// Waits until the connection has to be looked at, and says whether it goes.
    async fn due(&mut self) -> Option<Closed> {
        let activity = &self.connection.place.activity;
        tokio::select! {
            biased;
            () = self.timer.as_mut() => {}
            () = activity.nudged() => {}
            // The sender outlives all connections.
            Ok(()) = self.phase.changed() => {}
        }
        let phase = *self.phase.borrow();
        match activity.verdict(Instant::now(), phase, &self.connection.shared.settings) {
            Verdict::Close(reason) => Some(reason),
            Verdict::KeepUntil(until) => {
                self.timer.as_mut().reset(until);
                None
            }
        }
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(stream);
    }
}

fn http_builder(settings: &Settings) -> auto::Builder<Streams> {
    let head_limit = u32::try_from(settings.read_buffer).unwrap_or(u32::MAX);
    // What a connection may send before anybody has asked for it: hyper's default of 1 MiB would be 1 GiB in all.
    let window = u32::try_from(settings.body_free).unwrap_or(u32::MAX);
    let mut builder = auto::Builder::new(Streams::default());
    // hyper itself allows at most 100 header fields.
    builder.http1().max_buf_size(settings.read_buffer);
    builder
        .http2()
        .max_header_list_size(head_limit)
        .max_concurrent_streams(settings.max_streams)
        .initial_connection_window_size(window)
        .initial_stream_window_size(window);
    builder
}
