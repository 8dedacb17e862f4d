//! When rules last matched, asked of all replicas of the webhook.
//!
//! In: their names, and time. Out: for each rule the latest hour that one of them tells. One round at a time, the replicas
//! one after the other: nobody waits for it, and only one answer is held. What a replica does not tell it tells the next
//! time; the hour outlives a replica only if it was asked in time.

use std::collections::BTreeMap;
use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use hyper::client::conn::http1::handshake;
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use k8s_openapi::jiff;
use tokio::net::TcpStream;
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;
use tracing::{info, warn};

use super::replicas::{ReplicaName, resolve};
use crate::cluster::matches::{PATH, hour, read, time};
use crate::controller::{Moment, Timestamp};
use crate::rules::Hour;

/// How long a replica may take to take a connection.
const CONNECT: Duration = Duration::from_secs(2);
/// How long it may take in all.
const DEADLINE: Duration = Duration::from_secs(10);
/// The longest answer, in bytes: a quarter of a million rules.
const LARGEST: usize = 16 << 20;
/// How far ahead the clock of another may be, in seconds.
const AHEAD: u64 = 3_600;

/// Whom the controller asks, and how often.
#[derive(Debug, Clone)]
pub struct Matches {
    /// The webhook's replicas; nobody is asked where there are none.
    pub replicas: Vec<ReplicaName>,
    /// The time from one round to the next.
    pub interval: Duration,
}

/// Who asks.
pub(super) struct Inquiry {
    settings: Matches,
    round: JoinSet<Heard>,
    next: Moment,
    is_troubled: bool,
}

/// What came of a round.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// By the rule's uid.
    pub(super) hours: BTreeMap<Box<str>, Hour>,
    troubles: Vec<String>,
}

impl Inquiry {
    pub(super) fn new(settings: Matches) -> Self {
        Self {
            settings,
            round: JoinSet::new(),
            next: Moment::ZERO,
            is_troubled: false,
        }
    }

    /// Begins a round if it is time for one. Returns when it will be.
    pub(super) fn turn(&mut self, now: Moment) -> Option<Moment> {
        if self.settings.replicas.is_empty() || !self.round.is_empty() {
            return None;
        }
        if self.next > now {
            return Some(self.next);
        }
        self.next = now + self.settings.interval;
        self.round.spawn(round(self.settings.replicas.clone()));
        None
    }

    /// Waits for the end of a round. To be told to [`Inquiry::ended`].
    pub(super) async fn next_answer(&mut self) -> Option<Result<Heard, JoinError>> {
        self.round.join_next().await
    }

    /// Says what a round met with, if the one before did not.
    pub(super) fn ended(&mut self, heard: &Heard) {
        match (heard.troubles.first(), self.is_troubled) {
            (Some(first), false) => warn!(
                troubles = heard.troubles.len(),
                "not every replica of the webhook tells when rules last matched: {first}"
            ),
            (None, true) => info!("all replicas of the webhook tell again when rules last matched"),
            _ => {}
        }
        self.is_troubled = !heard.troubles.is_empty();
    }

    /// Another replica leads: nobody is asked any more.
    pub(super) fn stop(&mut self) {
        self.round = JoinSet::new();
        self.next = Moment::ZERO;
    }
}

/// What is known by now of a rule's last match: the latest of what its status says and what was heard. Hours to come
/// are nobody's: some clock was wrong.
pub(super) fn latest(status: Option<&Timestamp>, heard: Option<Hour>, now: Hour) -> Option<Timestamp> {
    let said = status.and_then(|status| hour(status.as_str().parse().ok()?));
    let latest = [said, heard]
        .into_iter()
        .flatten()
        .filter(|hour| is_past(*hour, now))
        .max();
    latest.and_then(as_written)
}

/// The hour as a status says it.
pub(super) fn as_written(hour: Hour) -> Option<Timestamp> {
    time(hour).map(|time| Timestamp::new(&time.to_string()))
}

/// Whether a rule may have matched in that hour.
fn is_past(hour: Hour, now: Hour) -> bool {
    hour.begins() <= now.begins() + AHEAD
}

/// The hour by the wall.
pub(super) fn this_hour() -> Hour {
    hour(jiff::Timestamp::now()).unwrap_or(Hour::of(0))
}

async fn round(replicas: Vec<ReplicaName>) -> Heard {
    let resolved = resolve(&replicas).await;
    let mut heard = Heard {
        hours: BTreeMap::new(),
        troubles: resolved.troubles,
    };
    for address in resolved.addresses {
        match timeout(DEADLINE, ask(address)).await {
            Ok(Ok(told)) => {
                // A replica whose clock is wrong is not to hide what the others tell.
                let now = this_hour();
                for (uid, hour) in told.into_iter().filter(|(_, hour)| is_past(*hour, now)) {
                    let latest = heard.hours.entry(uid).or_insert(hour);
                    *latest = hour.max(*latest);
                }
            }
            Ok(Err(error)) => heard.troubles.push(format!("{address}: {error}")),
            Err(_) => heard
                .troubles
                .push(format!("{address} does not answer within {DEADLINE:?}")),
        }
    }
    heard
}

/// Asks one replica.
async fn ask(address: SocketAddr) -> Result<BTreeMap<Box<str>, Hour>, Box<dyn Error + Send + Sync>> {
    let stream = timeout(CONNECT, TcpStream::connect(address)).await??;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    // It goes on beside the request and ends with this.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let request = Request::get(PATH)
        .header(HOST, address.to_string())
        .body(Body::empty())?;
    let response = sender.send_request(request).await?;
    if response.status() != StatusCode::OK {
        return Err(format!("it answers {}", response.status()).into());
    }
    let body = to_bytes(Body::new(response.into_body()), LARGEST).await?;
    let told = read(&body).ok_or("it answers something else")?;
    Ok(told)
}

#[cfg(test)]
mod tests;
