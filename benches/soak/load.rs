//! Pods that users ask for at a steady pace, each until it is there, and what became of them.
//!
//! Each has a name of its own, so that a creation whose answer was lost can be told from one that never was. It is asked
//! for again after whatever went wrong, as controllers do; what went wrong is counted by what it was: a connection that
//! is refused or ends is the API server's own end, and an answer that is not the Pod is a failure. Every few seconds
//! another namespace takes the Pods, from the moment on in which it can.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::harness::{Answer, Api, IMAGE, named, pod, pull_secrets};

/// How many Pods are asked for in a second.
const PACE: u32 = 8;
/// How long Pods go into one namespace.
const NAMESPACE_LIVES: Duration = Duration::from_secs(10);
/// How soon something is tried again.
const AGAIN: Duration = Duration::from_millis(100);
/// How long an answer may take: longer than the API server gives itself.
const ANSWER: Duration = Duration::from_mins(1);
const JSON: &str = "application/json";

/// The users at work.
pub(crate) struct Load {
    shared: Arc<Shared>,
    pace: JoinHandle<()>,
    namespaces: JoinHandle<()>,
}

struct Shared {
    /// They take turns.
    servers: Vec<Api>,
    namespaces: Mutex<Vec<String>>,
    tally: Mutex<Tally>,
    ends: AtomicBool,
}

/// What became of the Pods.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) asked: usize,
    pub(crate) created: usize,
    /// How many of these lack their secret.
    pub(crate) missed: usize,
    pub(crate) namespaces: usize,
    /// How many tries were answered by something else than the Pod, by what it was, with `#` for digits.
    pub(crate) failed: BTreeMap<String, usize>,
    /// How many tries an API server refused that had not come up yet.
    pub(crate) too_early: usize,
    /// How many tries found no API server, or lost it.
    pub(crate) broken_off: usize,
    /// How many Pods were there when they were asked for again.
    pub(crate) unheard: usize,
}

impl Load {
    pub(crate) async fn start(servers: Vec<Api>) -> Self {
        let shared = Arc::new(Shared {
            servers,
            namespaces: Mutex::default(),
            tally: Mutex::default(),
            ends: AtomicBool::new(false),
        });
        shared.next_namespace().await;
        Self {
            pace: tokio::spawn(Arc::clone(&shared).ask()),
            namespaces: tokio::spawn(Arc::clone(&shared).change_namespaces()),
            shared,
        }
    }

    /// So far.
    pub(crate) fn tally(&self) -> Tally {
        self.shared.tally.lock().unwrap().clone()
    }

    /// Waits for the Pods that were asked for, and compares what was answered with what is kept.
    pub(crate) async fn stop(self) -> Tally {
        let Self {
            shared,
            pace,
            namespaces,
        } = self;
        shared.ends.store(true, Ordering::Relaxed);
        pace.await.unwrap();
        namespaces.await.unwrap();
        let mut tally = shared.tally.lock().unwrap().clone();
        let namespaces = shared.namespaces.lock().unwrap().clone();
        let (mut kept, mut missed) = (0, 0);
        for namespace in namespaces {
            let list = shared.servers[0]
                .get(&format!("/api/v1/namespaces/{namespace}/pods"))
                .await;
            for pod in list.good()["items"].as_array().unwrap() {
                kept += 1;
                missed += usize::from(pull_secrets(pod) != ["load"]);
            }
        }
        if (kept, missed) != (tally.created, tally.missed) {
            let what = format!("{kept} Pods are kept, {missed} of them without their secret");
            tally.failed.insert(what, 1);
        }
        tally
    }
}

impl Shared {
    async fn ask(self: Arc<Self>) {
        let mut ticks = interval(Duration::from_secs(1) / PACE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut creations = JoinSet::new();
        while !self.ends.load(Ordering::Relaxed) {
            ticks.tick().await;
            while creations.try_join_next().is_some() {}
            let number = {
                let mut tally = self.tally.lock().unwrap();
                tally.asked += 1;
                tally.asked
            };
            creations.spawn(Arc::clone(&self).create(number));
        }
        creations.join_all().await;
    }

    async fn create(self: Arc<Self>, number: usize) {
        let api = &self.servers[number % self.servers.len()];
        let pods = {
            let namespaces = self.namespaces.lock().unwrap();
            format!("/api/v1/namespaces/{}/pods", namespaces.last().unwrap())
        };
        let name = format!("pod-{number}");
        let body = named(&name, pod(&[IMAGE]));
        for tries in 0.. {
            match call(api, Method::POST, &pods, Some(&body)).await {
                Some(answer) if answer.status == 201 => return self.created(&answer.object),
                Some(answer) if answer.status == 409 && tries > 0 => {
                    if let Some(answer) = call(api, Method::GET, &format!("{pods}/{name}"), None).await
                        && answer.status == 200
                    {
                        self.created(&answer.object);
                        self.tally.lock().unwrap().unheard += 1;
                        return;
                    }
                }
                Some(answer) => self.failed(&answer),
                None => self.tally.lock().unwrap().broken_off += 1,
            }
            sleep(AGAIN).await;
        }
    }

    fn created(&self, pod: &Value) {
        let mut tally = self.tally.lock().unwrap();
        tally.created += 1;
        tally.missed += usize::from(pull_secrets(pod) != ["load"]);
    }

    fn failed(&self, answer: &Answer) {
        let mut tally = self.tally.lock().unwrap();
        let message = answer.object["message"].as_str().unwrap_or_default();
        if answer.is_too_early() {
            tally.too_early += 1;
            return;
        }
        let reason = without_digits(&format!("{}: {message}", answer.status));
        *tally.failed.entry(reason).or_default() += 1;
    }

    async fn change_namespaces(self: Arc<Self>) {
        let mut ticks = interval(NAMESPACE_LIVES);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        ticks.tick().await;
        while !self.ends.load(Ordering::Relaxed) {
            ticks.tick().await;
            self.next_namespace().await;
        }
    }

    /// Makes a namespace, and has the Pods go there once it takes any.
    async fn next_namespace(&self) {
        let api = &self.servers[0];
        let name = {
            let mut tally = self.tally.lock().unwrap();
            tally.namespaces += 1;
            format!("soak-{}", tally.namespaces)
        };
        let namespace = json!({"metadata": {"name": name}});
        let is_there =
            |answer: Option<Answer>, statuses: [u16; 2]| answer.is_some_and(|answer| statuses.contains(&answer.status));
        while !is_there(
            call(api, Method::POST, "/api/v1/namespaces", Some(&namespace)).await,
            [201, 409],
        ) {
            sleep(AGAIN).await;
        }
        let account = format!("/api/v1/namespaces/{name}/serviceaccounts/default");
        while !is_there(call(api, Method::GET, &account, None).await, [200, 200]) {
            sleep(AGAIN).await;
        }
        self.namespaces.lock().unwrap().push(name);
    }
}

/// What the API server answers, if it does.
async fn call(api: &Api, method: Method, path: &str, body: Option<&Value>) -> Option<Answer> {
    timeout(ANSWER, api.try_call(method, path, JSON, body)).await.ok()?.ok()
}

/// A reason that can be counted: names, ports and times differ from call to call.
pub(crate) fn without_digits(reason: &str) -> String {
    reason.replace(|c: char| c.is_ascii_digit(), "#")
}
