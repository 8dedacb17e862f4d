//! Events as objects of the cluster, for `kubectl describe`.
//!
//! They are the least of all concerns: so many a second, fewer if the API server asks for patience, and those beyond that
//! are dropped. An event is named by what it is about, its reason and the hour, so that whoever leads next, or after a
//! restart, tells nobody the same again: the API server has it already.

use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::sleep;
use tracing::debug;

use super::api::Api;
use super::lease::micro_time;
use crate::printable::shortened;

/// How many events wait at most.
const MOST_WAITING: usize = 200;
const PAUSE: Duration = Duration::from_millis(50);
const DEADLINE: Duration = Duration::from_secs(5);
/// A note has at most 1024 bytes, and a character at most 4.
const LONGEST_NOTE: usize = 255;
/// What the API server answers if it has an object of that name.
const ALREADY_THERE: u16 = 409;
/// As much of a time names the hour: `2026-11-22T10`.
const HOUR: usize = 13;
/// Where events about what is in no namespace are kept.
const DEFAULT_NAMESPACE: &str = "default";

/// What an event is about.
pub(super) struct Subject {
    pub(super) api_version: &'static str,
    pub(super) kind: &'static str,
    /// Empty if it is in none.
    pub(super) namespace: String,
    pub(super) name: String,
    /// Empty if it is not known, or if there is no such object.
    pub(super) uid: String,
}

/// Where events are left.
#[derive(Clone)]
pub(super) struct Herald {
    sender: mpsc::Sender<(String, Value)>,
    identity: String,
    /// What all that is told is part of.
    action: &'static str,
}

impl Herald {
    /// A herald, and what has to run beside it.
    pub(super) fn new(api: Api, identity: &str) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (sender, mut events) = mpsc::channel::<(String, Value)>(MOST_WAITING);
        let telling = async move {
            while let Some((path, event)) = events.recv().await {
                let reply = api
                    .plain(Method::POST, &path, event.to_string().into_bytes(), DEADLINE)
                    .await;
                let refusal = match reply {
                    Ok(reply) if reply.is_success() || reply.status == ALREADY_THERE => None,
                    Ok(reply) => Some(reply.refusal()),
                    Err(silence) => Some(silence.into()),
                };
                if let Some(refusal) = &refusal {
                    debug!(path, %refusal, "an event could not be told");
                }
                let asked_for = refusal.and_then(|refusal| refusal.asks_for());
                sleep(asked_for.unwrap_or_default().max(PAUSE)).await;
            }
        };
        let herald = Self {
            sender,
            identity: identity.to_owned(),
            action: "Copy",
        };
        (herald, telling)
    }

    /// The same for something else.
    pub(super) fn about(&self, action: &'static str) -> Self {
        Self { action, ..self.clone() }
    }

    /// Tells something about an object.
    pub(super) fn tell(&self, subject: &Subject, is_warning: bool, reason: &str, note: &str) {
        let Subject {
            api_version,
            kind,
            namespace,
            name,
            uid,
        } = subject;
        let home = if namespace.is_empty() {
            DEFAULT_NAMESPACE
        } else {
            namespace
        };
        let now = micro_time();
        let event = json!({
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": event_name(reason, &now, uid), "namespace": home},
            "eventTime": now,
            "reportingController": "pullkey.dev/controller",
            "reportingInstance": self.identity,
            "action": self.action,
            "reason": reason,
            "regarding": {"apiVersion": api_version, "kind": kind, "namespace": namespace, "name": name, "uid": uid},
            "note": shortened(note, LONGEST_NOTE),
            "type": if is_warning { "Warning" } else { "Normal" },
        });
        let path = format!("/apis/events.k8s.io/v1/namespaces/{home}/events");
        if self.sender.try_send((path, event)).is_err() {
            debug!(reason, "there are too many events, this one is dropped");
        }
    }
}

/// Of a namespace's Secrets all events of a reason and an hour are one; their uids are not known.
fn event_name(reason: &str, now: &str, uid: &str) -> String {
    let hour: String = now.chars().take(HOUR).collect();
    let parts = ["pullkey", reason, &hour, uid];
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("-").to_lowercase()
}
