//! The port for probes and metrics: plain HTTP, since a kubelet shows no certificate, and nothing but reading.
//!
//! | path | answer |
//! |---|---|
//! | `/livez` | 200 while the accept loop turns, otherwise 503 |
//! | `/readyz` | 200 while calls can be served, otherwise 503 with the reasons; `?verbose` lists the parts in any case |
//! | `/metrics` | the metrics in the text format of OpenMetrics |
//! | others | what the program has to tell besides |

use crate::metrics::{CONTENT_TYPE as OPENMETRICS, Metrics};
use crate::readiness::Readiness;
use crate::server::{Server, Settings};
use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use std::sync::Arc;
use std::time::SystemTime;

/// Where the kubelet asks whether the program lives.
pub const LIVEZ: &str = "/livez";
/// Where it asks whether calls can be served.
pub const READYZ: &str = "/readyz";
/// Where Prometheus asks for the metrics.
pub const METRICS: &str = "/metrics";
/// The port of all of them unless someone says otherwise.
pub const PORT: u16 = 8080;
/// Enough for the probes and a few collectors; a stranger can keep no more than these busy.
const MAX_CONNECTIONS: usize = 64;

#[derive(Clone)]
struct Health {
    readiness: Arc<Readiness>,
    metrics: Arc<Metrics>,
}

/// The listener of the health port; serve it for as long as the process lives, so that it still answers while the
/// webhook drains.
#[must_use]
pub fn server(readiness: Arc<Readiness>, metrics: Arc<Metrics>, others: Router) -> Server {
    let settings = Settings {
        max_connections: MAX_CONNECTIONS,
        ..Settings::default()
    };
    Server::plain(settings, router(readiness, metrics).merge(others))
}

/// The routes of the health port.
pub fn router(readiness: Arc<Readiness>, metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route(LIVEZ, get(livez))
        .route(READYZ, get(readyz))
        .route(METRICS, get(tell_metrics))
        .with_state(Health { readiness, metrics })
}

async fn livez(State(health): State<Health>) -> (StatusCode, &'static str) {
    if health.readiness.is_alive() {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the accept loop stands still")
    }
}

async fn readyz(State(health): State<Health>, RawQuery(query): RawQuery) -> (StatusCode, String) {
    let is_verbose = query.is_some_and(|query| query.split('&').any(|parameter| parameter.starts_with("verbose")));
    let report = health.readiness.report(SystemTime::now());
    if !report.is_ready() {
        (StatusCode::SERVICE_UNAVAILABLE, report.to_string())
    } else if is_verbose {
        (StatusCode::OK, report.to_string())
    } else {
        (StatusCode::OK, "ok".to_owned())
    }
}

async fn tell_metrics(State(health): State<Health>) -> impl IntoResponse {
    ([(CONTENT_TYPE, OPENMETRICS)], health.metrics.encode())
}
