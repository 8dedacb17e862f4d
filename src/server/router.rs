//! From a request to its answer, without sockets: the one route, and a refusal for everything else.

use super::Settings;
use super::admit::{Admit, answer};
use super::body::{Incomplete, Room};
use super::refusal::Refusal;
use super::wait::longest_wait;
use crate::metrics::{Code, Metrics, Retry};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, Version};
use axum::response::Response;
use axum::routing::post;
use std::sync::Arc;
use tokio::time::Instant;

/// Where reviews are answered.
pub const PATH: &str = "/mutate";
/// The port on which they are, unless someone says otherwise.
pub const PORT: u16 = 8443;

struct Webhook {
    admit: Arc<dyn Admit>,
    settings: Settings,
    room: Room,
    metrics: Arc<Metrics>,
}

/// A request that counts as in flight until this is dropped.
struct InFlight<'a>(&'a Metrics);

/// The routes of the webhook port.
pub fn router(settings: Settings, admit: Arc<dyn Admit>, metrics: Arc<Metrics>) -> Router {
    let webhook = Webhook {
        admit,
        room: Room::new(&settings),
        settings,
        metrics,
    };
    Router::new()
        .route(PATH, post(mutate).fallback(method_not_allowed))
        .fallback(not_found)
        .with_state(Arc::new(webhook))
}

async fn mutate(State(webhook): State<Arc<Webhook>>, request: Request) -> Response {
    let started = Instant::now();
    let version = request.version();
    let response = match webhook.review(request, started).await {
        Ok(answer) => {
            webhook.metrics.request_answered(Code::Ok);
            let mut response = Response::new(Body::from(answer));
            response
                .headers_mut()
                .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
        Err(refusal) => webhook.refuse(refusal, version),
    };
    webhook.metrics.review_took(started.elapsed());
    response
}

async fn method_not_allowed(State(webhook): State<Arc<Webhook>>, request: Request) -> Response {
    webhook.refuse(Refusal::MethodNotAllowed, request.version())
}

async fn not_found(State(webhook): State<Arc<Webhook>>, request: Request) -> Response {
    webhook.refuse(Refusal::NotFound, request.version())
}

impl Webhook {
    async fn review(&self, request: Request, started: Instant) -> Result<Vec<u8>, Refusal> {
        if !is_json(request.headers()) {
            return Err(Refusal::NotJson);
        }
        let deadline = started + longest_wait(request.uri().query(), &self.settings);
        let Some(_in_flight) = InFlight::enter(&self.metrics, self.settings.max_in_flight) else {
            let is_at_end = self.room.discard(request.into_body(), deadline).await;
            return Err(Refusal::Busy { is_at_end });
        };
        let body = self.room.receive(request.into_body(), deadline).await;
        let body = body.map_err(|incomplete| match incomplete {
            Incomplete::TooLarge { is_at_end } => Refusal::TooLarge {
                limit: self.settings.body_limit,
                is_at_end,
            },
            Incomplete::Broken => Refusal::Broken,
            Incomplete::Late => Refusal::Late,
        })?;
        answer(&*self.admit, body.as_slice(), &self.metrics)
    }

    fn refuse(&self, refusal: Refusal, version: Version) -> Response {
        self.metrics.request_answered(refusal.code());
        if let Refusal::Busy { .. } = refusal {
            self.metrics.retry_asked(Retry::Busy);
        }
        // Who is not ready says so itself, and of whom.
        if !matches!(refusal, Refusal::NotReady) {
            tracing::debug!(code = refusal.code().as_str(), "refused a request: {refusal}");
        }
        refusal.into_response(version)
    }
}

impl<'a> InFlight<'a> {
    /// `None` if that many are in flight already.
    fn enter(metrics: &'a Metrics, at_most: usize) -> Option<Self> {
        let before = metrics.in_flight.inc();
        let in_flight = Self(metrics);
        usize::try_from(before)
            .is_ok_and(|before| before < at_most)
            .then_some(in_flight)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.dec();
    }
}

/// Whether the body is declared as JSON, with whatever parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let declared = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = declared.and_then(|declared| declared.split(';').next());
    media_type.is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case("application/json"))
}
