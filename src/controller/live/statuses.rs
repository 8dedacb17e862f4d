//! Statuses of rules, written.
//!
//! Those of cluster rules and of tenants' have a budget each, so that no tenant delays what the policy team wants to
//! know. A rule has one write under way at most.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff;
use serde::Serialize;
use tokio::task::{JoinError, JoinSet};
use tracing::debug;

use super::announce::Subject;
use super::api::Api;
use super::budget::{Allowance, Budget};
use super::matches::{latest, this_hour};
use super::rules::{Book, Entry, Place};
use crate::controller::event::Event;
use crate::controller::plan::Planner;
use crate::controller::refusal::Refusal;
use crate::controller::status::{Desk, RuleStatus};
use crate::controller::{Moment, Timestamp};
use crate::rules::Kind;
use crate::rules::compile::API_VERSION;

const ALLOWANCE: Allowance = Allowance {
    per_second: 50,
    burst: 100,
    in_flight: 8,
};
const DEADLINE: Duration = Duration::from_secs(10);
/// How long no status is written after one was refused, unless the API server asks for longer.
const PAUSE: Duration = Duration::from_secs(5);
/// How many statuses are worked out at a time: each may go through all namespaces.
const MOST_AT_ONCE: usize = 8;

/// Who writes statuses.
pub(super) struct Clerk {
    api: Api,
    cluster: Lane,
    namespaced: Lane,
    writes: JoinSet<Written>,
    /// What is being written, by the rule's uid.
    under_way: HashMap<Arc<str>, UnderWay>,
}

/// A status that is being written.
struct UnderWay {
    status: RuleStatus,
    /// What is to be announced once it is.
    events: Vec<Event>,
}

/// Statuses of one kind of rules.
struct Lane {
    desk: Desk,
    budget: Budget,
}

/// What came of a write.
pub(super) struct Written {
    uid: Arc<str>,
    kind: Kind,
    refusal: Option<Refusal>,
}

/// A status as it is applied.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Object<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata<'a>,
    status: &'a RuleStatus,
}

#[derive(Serialize)]
struct Metadata<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    namespace: &'a str,
    /// Another rule of the same name is not meant.
    uid: &'a str,
}

impl Clerk {
    pub(super) fn new(api: Api) -> Self {
        Self {
            api,
            cluster: Lane::new(),
            namespaced: Lane::new(),
            writes: JoinSet::new(),
            under_way: HashMap::new(),
        }
    }

    /// The status of a rule may be another.
    pub(super) fn touch(&mut self, uid: Arc<str>, book: &Book, now: Moment) {
        let Some(place) = book.place(&uid) else { return };
        let desk = &mut self.lane(place.0).desk;
        // There may be any number of them, and others have something to say, too.
        if book.entry(place).is_some_and(Entry::is_beyond) {
            desk.touch_at_leisure(uid);
        } else {
            desk.touch(uid, now);
        }
    }

    /// The status of a rule is another, and nobody waits for it.
    pub(super) fn touch_at_leisure(&mut self, kind: Kind, uid: Arc<str>) {
        self.lane(kind).desk.touch_at_leisure(uid);
    }

    /// Begins to write the statuses that may be written now.
    pub(super) fn write(&mut self, book: &mut Book, planner: &mut Planner, now: Moment) {
        for kind in [Kind::ClusterPullSecretRule, Kind::PullSecretRule] {
            for _ in 0..MOST_AT_ONCE {
                let lane = self.lane(kind);
                if !lane.budget.is_open(now) {
                    break;
                }
                let Some(uid) = lane.desk.next(now) else { break };
                if self.under_way.contains_key(&uid) {
                    // It comes up again with the answer.
                    continue;
                }
                if let Some(place) = book.place(&uid).cloned() {
                    self.write_one(uid, &place, book, planner, now);
                }
            }
        }
    }

    fn write_one(&mut self, uid: Arc<str>, place: &Place, book: &mut Book, planner: &mut Planner, now: Moment) {
        let summary = planner.summary(&uid);
        let Some(entry) = book.entry_mut(place) else {
            return;
        };
        let mut summary = summary;
        if let Some(summary) = &mut summary {
            entry.is_rotated |= summary.is_rotated;
            summary.is_rotated = entry.is_rotated;
        }
        let Some(entry) = book.entry(place) else {
            return;
        };
        let mut mistake = String::new();
        let verdict = book.verdict(place, entry, &mut mistake);
        let mut status = RuleStatus::new(
            entry.generation(),
            verdict,
            summary.as_ref(),
            &entry.status,
            &timestamp(),
        );
        status.last_match = latest(entry.status.last_match.as_ref(), entry.last_match, this_hour());
        if status == entry.status {
            return;
        }
        let events = status.events_since(&entry.status, &uid);
        let (kind, key) = place;
        let object = Object {
            api_version: API_VERSION,
            kind: kind.as_str(),
            metadata: Metadata {
                name: &key.name,
                namespace: &key.namespace,
                uid: &uid,
            },
            status: &status,
        };
        let Ok(body) = serde_json::to_vec(&object) else {
            return;
        };
        let (api, path, kind) = (self.api.clone(), path(place), *kind);
        let lane = self.lane(kind);
        lane.budget.begin(now);
        lane.desk.written(Arc::clone(&uid), now);
        self.under_way.insert(Arc::clone(&uid), UnderWay { status, events });
        self.writes.spawn(async move {
            let refusal = match api.apply(&path, true, body, DEADLINE).await {
                Ok(reply) if reply.is_success() => None,
                Ok(reply) => Some(reply.refusal()),
                Err(silence) => Some(silence.into()),
            };
            Written { uid, kind, refusal }
        });
    }

    /// Waits for an answer. To be told to [`Clerk::answered`].
    pub(super) async fn next_answer(&mut self) -> Option<Result<Written, JoinError>> {
        self.writes.join_next().await
    }

    /// Takes note of an answer. If the status was written, returns what is to be announced about it: before, it might be
    /// announced again and again.
    pub(super) fn answered(&mut self, written: Written, book: &mut Book, now: Moment) -> Option<Vec<Event>> {
        let Written { uid, kind, refusal } = written;
        self.lane(kind).budget.end();
        let UnderWay { status, events } = self.under_way.remove(&uid)?;
        let place = book.place(&uid).cloned();
        match (refusal, place.and_then(|place| book.entry_mut(&place))) {
            (None, entry) => {
                if let Some(entry) = entry {
                    entry.status = status;
                    entry.is_rotated = false;
                }
                self.lane(kind).desk.touch(uid, now);
                Some(events)
            }
            (Some(Refusal::Conflict), _) => {
                // The rule is another one now, or gone, and its watch says so.
                self.lane(kind).desk.touch(uid, now);
                None
            }
            (Some(refusal), _) => {
                debug!(%refusal, "a status is not written, and tried again");
                let lane = self.lane(kind);
                lane.budget
                    .close_until(now + refusal.asks_for().unwrap_or_default().max(PAUSE));
                lane.desk.touch(uid, now);
                None
            }
        }
    }

    /// Another replica leads: nothing more is written.
    pub(super) fn stop(&mut self) {
        self.writes = JoinSet::new();
        self.under_way.clear();
        self.cluster = Lane::new();
        self.namespaced = Lane::new();
    }

    /// When there may be something to write without any news.
    pub(super) fn wakes_at(&self, now: Moment) -> Option<Moment> {
        let lanes = [&self.cluster, &self.namespaced].into_iter();
        let wakes = lanes.filter_map(|lane| Some(lane.desk.wakes_at()?.max(lane.budget.opens_at(now)?)));
        wakes.min()
    }

    fn lane(&mut self, kind: Kind) -> &mut Lane {
        match kind {
            Kind::ClusterPullSecretRule => &mut self.cluster,
            Kind::PullSecretRule => &mut self.namespaced,
        }
    }
}

impl Lane {
    fn new() -> Self {
        Self {
            desk: Desk::default(),
            budget: Budget::new(ALLOWANCE),
        }
    }
}

/// A rule as the object of an event.
pub(super) fn subject((kind, key): &Place, uid: &str) -> Subject {
    Subject {
        api_version: API_VERSION,
        kind: kind.as_str(),
        namespace: key.namespace.to_string(),
        name: key.name.to_string(),
        uid: uid.to_owned(),
    }
}

fn path((kind, key): &Place) -> String {
    match kind {
        Kind::ClusterPullSecretRule => format!("/apis/{API_VERSION}/clusterpullsecretrules/{}/status", key.name),
        Kind::PullSecretRule => {
            let namespace = &key.namespace;
            format!(
                "/apis/{API_VERSION}/namespaces/{namespace}/pullsecretrules/{}/status",
                key.name
            )
        }
    }
}

fn timestamp() -> Timestamp {
    Timestamp::new(&jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}
