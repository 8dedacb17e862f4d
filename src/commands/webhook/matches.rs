//! When rules last matched, told to the controller, which has all replicas tell and writes it into the rules' statuses.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use pullkey::cluster::matches::{PATH, tell};

use super::decider::Decider;

/// Tells it of the rules in force.
pub(super) fn router(decider: Arc<Decider>) -> Router {
    Router::new().route(PATH, get(matches)).with_state(decider)
}

async fn matches(State(decider): State<Arc<Decider>>) -> impl IntoResponse {
    let rules = decider.rules();
    let rules = rules.as_ref().map(|rules| rules.rules());
    ([(CONTENT_TYPE, "application/json")], tell(rules.unwrap_or_default()))
}
