//! The router without sockets: every edge code and its sentence, limits, deadlines and panics.

#![cfg(test)]

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use axum::response::Response;
use http_body::{Body as HttpBody, Frame};
use proptest::prelude::*;
use pullkey::admission::{Malformed, Review};
use pullkey::health;
use pullkey::metrics::Metrics;
use pullkey::readiness::Readiness;
use pullkey::server::{Admit, Answer, PATH, Settings, router};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};
use stub::{Stub, review, uid_of};
use tokio::sync::mpsc;
use tower::ServiceExt;

#[path = "common/stub.rs"]
mod stub;

struct Server {
    router: Router,
    metrics: Arc<Metrics>,
}

struct Answered {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

/// A body whose frames the test sends one by one; it ends when the sender is dropped.
struct Dripping(mpsc::UnboundedReceiver<Result<Bytes, std::io::Error>>);

impl HttpBody for Dripping {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        self.0
            .poll_recv(context)
            .map(|next| next.map(|data| data.map(Frame::data)))
    }
}

fn dripping() -> (mpsc::UnboundedSender<Result<Bytes, std::io::Error>>, Body) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (sender, Body::new(Dripping(receiver)))
}

impl Server {
    fn new(settings: Settings) -> Self {
        Self::with(settings, Arc::new(Stub))
    }

    fn with(settings: Settings, admit: Arc<dyn Admit>) -> Self {
        let metrics = Arc::new(Metrics::new([]));
        let router = router(settings, admit, metrics.clone());
        Self { router, metrics }
    }

    async fn call(&self, request: Request<Body>) -> Answered {
        answered(self.router.clone().oneshot(request).await).await
    }

    async fn post(&self, body: impl Into<Body>) -> Answered {
        self.call(post(PATH, body)).await
    }

    fn counts(&self, line: &str) -> bool {
        self.metrics.encode().lines().any(|told| told == line)
    }
}

fn post(uri: &str, body: impl Into<Body>) -> Request<Body> {
    let request = Request::post(uri).header(header::CONTENT_TYPE, "application/json");
    request.body(body.into()).unwrap()
}

async fn answered(response: Result<Response, Infallible>) -> Answered {
    let Ok(response) = response;
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    Answered {
        status: parts.status,
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

#[tokio::test]
async fn a_review_is_answered_as_json_with_its_uid() {
    let server = Server::new(Settings::default());
    for content_type in [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON ;x=y",
    ] {
        let mut request = post("/mutate?timeout=10s", review("uid-1"));
        request
            .headers_mut()
            .insert(header::CONTENT_TYPE, content_type.parse().unwrap());
        let answer = server.call(request).await;
        assert_eq!(answer.status, StatusCode::OK, "{content_type}");
        assert_eq!(answer.headers[header::CONTENT_TYPE], "application/json");
        assert_eq!(uid_of(&answer.body), "uid-1");
    }
    assert!(server.counts("pullkey_requests_total{code=\"200\"} 3"));
    assert!(server.counts("pullkey_request_duration_seconds_count 3"));
    assert!(server.counts("pullkey_requests_in_flight 0"));
}

/// Name, method, path, content type, body, and the refusal.
type Edge = (
    &'static str,
    Method,
    &'static str,
    &'static str,
    &'static str,
    (u16, &'static str),
);

const JSON: &str = "application/json";
const NOT_FOUND: (u16, &str) = (404, "only `/mutate` is served here");
const NOT_ALLOWED: (u16, &str) = (405, "only POST is accepted at `/mutate`");
const NOT_JSON: (u16, &str) = (415, "only the content type `application/json` is accepted");
const NO_UID: (u16, &str) = (
    400,
    "the request has no `uid`: a string that is not empty is required there",
);
const MALFORMED: (u16, &str) = (
    400,
    "the body is not JSON at byte 0: only an `AdmissionReview` of `admission.k8s.io/v1` in JSON is accepted",
);

const EDGES: &[Edge] = &[
    ("another path", Method::POST, "/", JSON, "{}", NOT_FOUND),
    ("a path below", Method::POST, "/mutate/x", JSON, "{}", NOT_FOUND),
    ("a trailing slash", Method::POST, "/mutate/", JSON, "{}", NOT_FOUND),
    ("upper case", Method::POST, "/Mutate", JSON, "{}", NOT_FOUND),
    ("another method and path", Method::GET, "/metrics", "", "", NOT_FOUND),
    ("GET", Method::GET, PATH, "", "", NOT_ALLOWED),
    ("PUT", Method::PUT, PATH, JSON, "{}", NOT_ALLOWED),
    ("OPTIONS", Method::OPTIONS, PATH, "", "", NOT_ALLOWED),
    ("no content type", Method::POST, PATH, "", "{}", NOT_JSON),
    ("text", Method::POST, PATH, "text/plain", "{}", NOT_JSON),
    (
        "a longer type",
        Method::POST,
        PATH,
        "application/json-patch+json",
        "{}",
        NOT_JSON,
    ),
    (
        "only a parameter",
        Method::POST,
        PATH,
        ";application/json",
        "{}",
        NOT_JSON,
    ),
    ("an empty body", Method::POST, PATH, JSON, "", MALFORMED),
    ("no JSON", Method::POST, PATH, JSON, "[[[", MALFORMED),
    ("no uid", Method::POST, PATH, JSON, "{\"request\":{}}", NO_UID),
];

#[tokio::test]
async fn every_edge_code_has_one_plain_sentence() {
    for (name, method, uri, content_type, body, (status, sentence)) in EDGES {
        let server = Server::new(Settings::default());
        let mut request = Request::builder().method(method).uri(*uri);
        if !content_type.is_empty() {
            request = request.header(header::CONTENT_TYPE, *content_type);
        }
        let answer = server.call(request.body(Body::from(*body)).unwrap()).await;
        assert_eq!(answer.status.as_u16(), *status, "{name}");
        assert_eq!(answer.body, *sentence, "{name}");
        assert_eq!(
            answer.headers[header::CONTENT_TYPE],
            "text/plain; charset=utf-8",
            "{name}"
        );
        let allow: Vec<_> = answer.headers.get_all(header::ALLOW).iter().collect();
        assert_eq!(allow, if *status == 405 { vec!["POST"] } else { vec![] }, "{name}");
        assert!(!answer.headers.contains_key(header::RETRY_AFTER), "{name}");
        assert!(!answer.headers.contains_key(header::CONNECTION), "{name}");
        assert!(
            server.counts(&format!("pullkey_requests_total{{code=\"{status}\"}} 1")),
            "{name}"
        );
    }
}

#[tokio::test]
async fn head_gets_no_body() {
    let server = Server::new(Settings::default());
    let request = Request::head(PATH).body(Body::empty()).unwrap();
    assert_eq!(server.call(request).await.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_is_read() {
    let settings = Settings::default();
    let limit = settings.body_limit;
    let server = Server::new(settings);
    let mut body = review("big");
    body.push_str(&" ".repeat(limit - body.len()));
    assert_eq!(server.post(body.clone()).await.status, StatusCode::OK);

    body.push(' ');
    let answer = server.post(body.clone()).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(
        answer.body,
        "the body is larger than the 8388608 bytes that are accepted"
    );
    assert!(
        !answer.headers.contains_key(header::CONNECTION),
        "its body was taken off the caller"
    );

    let (sender, dripped) = dripping();
    for chunk in body.as_bytes().chunks(65_536) {
        sender.send(Ok(Bytes::copy_from_slice(chunk))).unwrap();
    }
    drop(sender);
    assert_eq!(
        server.post(dripped).await.status,
        StatusCode::PAYLOAD_TOO_LARGE,
        "of unknown length"
    );
}

#[tokio::test]
async fn a_body_without_end_is_cut_and_its_connection_closed() {
    let server = Server::new(Settings {
        body_limit: 100,
        ..Settings::default()
    });
    let (sender, body) = dripping();
    for _ in 0..4 {
        sender.send(Ok(Bytes::from(vec![b' '; 99]))).unwrap();
    }
    let answer = server.post(body).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(answer.headers[header::CONNECTION], "close");
    drop(sender);
}

#[tokio::test]
async fn a_broken_body_is_a_bad_request() {
    let server = Server::new(Settings::default());
    let (sender, body) = dripping();
    sender.send(Ok(Bytes::from_static(b"{"))).unwrap();
    sender.send(Err(std::io::ErrorKind::UnexpectedEof.into())).unwrap();
    let answer = server.post(body).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.body, "the body ended before its time");
    assert_eq!(answer.headers[header::CONNECTION], "close");
}

#[tokio::test]
async fn a_slow_body_ends_with_504_however_steadily_it_drips() {
    let server = Server::new(Settings::default());
    let (sender, body) = dripping();
    let drip = tokio::spawn(async move {
        while sender.send(Ok(Bytes::from_static(b" "))).is_ok() {
            tokio::task::yield_now().await;
        }
    });
    let answer = server.call(post("/mutate?timeout=20ms", body)).await;
    assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(answer.body, "the body was not there in time");
    assert_eq!(answer.headers[header::CONNECTION], "close");
    assert!(server.counts("pullkey_requests_in_flight 0"));
    drip.await.unwrap();
}

#[tokio::test]
async fn above_the_in_flight_limit_callers_are_told_to_come_back() {
    let server = Server::new(Settings {
        max_in_flight: 1,
        ..Settings::default()
    });
    let (sender, body) = dripping();
    let mut waiting = Box::pin(server.post(body));
    assert!(poll_once(&mut waiting).await.is_none(), "the first waits for its body");

    let answer = server.post(review("second")).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers[header::RETRY_AFTER], "1");
    assert!(!answer.headers.contains_key(header::CONNECTION));
    assert_eq!(answer.body, "too many reviews are in flight: try again in a second");
    assert!(server.counts("pullkey_retries_asked_total{reason=\"busy\"} 1"));

    sender.send(Ok(review("first").into())).unwrap();
    drop(sender);
    assert_eq!(uid_of(&waiting.await.body), "first");
    assert_eq!(server.post(review("third")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn large_bodies_share_a_budget_and_wait_in_line_for_it() {
    let server = Server::new(Settings {
        body_free: 1024,
        body_budget: 4096,
        ..Settings::default()
    });
    let large = |uid: &str| Bytes::from(format!("{}{}", review(uid), " ".repeat(4096)));
    let (holder, body) = dripping();
    holder.send(Ok(large("holder"))).unwrap();
    let mut holding = Box::pin(server.post(body));
    assert!(poll_once(&mut holding).await.is_none());

    let late = server.call(post("/mutate?timeout=20ms", large("late"))).await;
    assert_eq!(
        late.status,
        StatusCode::GATEWAY_TIMEOUT,
        "nothing of the budget is left"
    );
    assert_eq!(
        server.post(review("small")).await.status,
        StatusCode::OK,
        "small bodies need none"
    );

    let mut waiting = Box::pin(server.post(large("waiting")));
    assert!(poll_once(&mut waiting).await.is_none());
    drop(holder);
    assert_eq!(uid_of(&holding.await.body), "holder");
    assert_eq!(uid_of(&waiting.await.body), "waiting", "its turn has come");
}

#[tokio::test]
async fn an_aborted_call_gives_everything_back() {
    let server = Server::new(Settings {
        max_in_flight: 1,
        body_free: 0,
        body_budget: 1024,
        ..Settings::default()
    });
    let (sender, body) = dripping();
    sender.send(Ok(Bytes::from_static(b"{"))).unwrap();
    let mut waiting = Box::pin(server.post(body));
    assert!(poll_once(&mut waiting).await.is_none());
    drop(waiting);
    assert!(server.counts("pullkey_requests_in_flight 0"));
    assert_eq!(server.post(review("next")).await.status, StatusCode::OK);
}

/// Panics, or is not ready, as the uid says.
struct Moody;

impl Admit for Moody {
    fn read<'a>(&self, body: &'a [u8]) -> Result<Review<'a>, Malformed> {
        assert_ne!(body, b"panic", "an injected panic");
        Stub.read(body)
    }

    fn admit(&self, review: &Review<'_>) -> Answer {
        match &*review.uid {
            "panic" => panic!("an injected panic"),
            "not-ready" => Answer::RetryLater,
            _ => Stub.admit(review),
        }
    }

    fn answer_to_fault(&self, uid: &str) -> Vec<u8> {
        Stub.answer_to_fault(uid)
    }
}

#[tokio::test]
async fn a_panic_in_the_decision_admits_the_object_under_its_uid() {
    let server = Server::with(Settings::default(), Arc::new(Moody));
    let answer = server.post(review("panic")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(uid_of(&answer.body), "panic");
    assert!(answer.body.contains("\"allowed\":true"));
    assert!(server.counts("pullkey_panics_total{stage=\"admit\"} 1"));
    assert_eq!(
        server.post(review("next")).await.status,
        StatusCode::OK,
        "it cost one request"
    );
}

#[tokio::test]
async fn a_panic_before_the_uid_is_known_is_a_500_without_retry_after() {
    let server = Server::with(Settings::default(), Arc::new(Moody));
    let answer = server.post("panic").await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(!answer.headers.contains_key(header::RETRY_AFTER));
    assert_eq!(answer.body, "the webhook failed to read the review");
    assert!(server.counts("pullkey_panics_total{stage=\"read\"} 1"));
    assert!(server.counts("pullkey_requests_in_flight 0"));
}

#[tokio::test]
async fn a_decision_that_is_not_ready_delays_the_caller() {
    let server = Server::with(Settings::default(), Arc::new(Moody));
    let answer = server.post(review("not-ready")).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers[header::RETRY_AFTER], "1");
    assert_eq!(answer.body, "the webhook is not ready yet: try again in a second");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_body_arrives_whole_however_it_is_cut(lengths in prop::collection::vec(0_usize..3000, 0..20)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let answer = runtime.block_on(async {
            let server = Server::new(Settings { body_free: 1000, ..Settings::default() });
            let (sender, body) = dripping();
            let mut text = review("cut");
            text.push_str(&" ".repeat(lengths.iter().sum()));
            let mut rest = text.as_bytes();
            for length in lengths {
                let (chunk, tail) = rest.split_at(length.min(rest.len()));
                sender.send(Ok(Bytes::copy_from_slice(chunk))).unwrap();
                rest = tail;
            }
            sender.send(Ok(Bytes::copy_from_slice(rest))).unwrap();
            drop(sender);
            server.post(body).await
        });
        prop_assert_eq!(answer.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn the_health_port_tells_readiness_life_and_metrics() {
    let readiness = Arc::new(Readiness::default());
    let health = health::router(readiness.clone(), Arc::new(Metrics::new([])));
    let get = async |method: Method, uri: &str| {
        let request = Request::builder().method(method).uri(uri).body(Body::empty()).unwrap();
        answered(health.clone().oneshot(request).await).await
    };

    let answer = get(Method::GET, "/readyz").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        answer.body.contains("[-]rules failed: no rules have been loaded yet\n"),
        "{}",
        answer.body
    );

    readiness.rules_loaded();
    readiness.certificate_loaded(SystemTime::now() + Duration::from_hours(1));
    let answer = get(Method::GET, "/readyz").await;
    assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, "ok"));
    let answer = get(Method::GET, "/readyz?verbose").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(
        answer.body,
        "[+]rules ok\n[+]certificate ok\n[+]shutdown ok\nreadyz check passed\n"
    );
    readiness.drain();
    assert_eq!(
        get(Method::GET, "/readyz").await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );

    let answer = get(Method::GET, "/livez").await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (StatusCode::OK, "ok"),
        "draining is alive"
    );
    let answer = get(Method::GET, "/metrics").await;
    assert_eq!(
        answer.headers[header::CONTENT_TYPE],
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    assert!(answer.body.contains("pullkey_build_info{version="));
    assert!(answer.body.ends_with("# EOF\n"));

    assert_eq!(get(Method::HEAD, "/livez").await.status, StatusCode::OK);
    let answer = get(Method::POST, "/livez").await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.headers[header::ALLOW], "GET,HEAD");
    assert_eq!(get(Method::GET, "/mutate").await.status, StatusCode::NOT_FOUND);
}

/// Polls once, and hands out the result if there is one.
async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|context| match Pin::new(&mut *future).poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}
