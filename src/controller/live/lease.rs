//! Which of the replicas writes.
//!
//! In: one Lease in our own namespace. Out: until when this replica leads. A leader renews the Lease every
//! [`PAUSE`], and what it was granted ends [`TERM`] after the call that got it began. Another replica takes the Lease
//! once it has seen it unchanged for [`EXPIRY`], which is longer, by its own clock: no two clocks are compared. A leader
//! that ends gives the Lease back, so that the next one need not wait. Beside it the Lease keeps what was removed lately.

use std::collections::BTreeMap;
use std::future::pending;
use std::time::Duration;

use hyper::Method;
use k8s_openapi::jiff;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};

use super::api::{Api, Reply, Silence};
use super::ledger::{ANNOTATION, Ledger};

/// The name of the Lease.
pub const NAME: &str = "pullkey-controller";
/// How long the leader leads without having renewed.
const TERM: Duration = Duration::from_secs(3);
/// How long the others wait for it to renew, in seconds.
const EXPIRY_SECONDS: u32 = 4;
const EXPIRY: Duration = Duration::from_secs(EXPIRY_SECONDS as u64);
/// How often the leader renews.
const PAUSE: Duration = Duration::from_secs(1);
/// How often the others look.
const LOOK: Duration = Duration::from_millis(500);
const DEADLINE: Duration = Duration::from_secs(1);
/// How long removals are gathered before they are noted.
const NOTE: Duration = Duration::from_millis(100);

/// Until when this replica leads, if it does.
pub(super) type Term = Option<Instant>;

/// What the leader and the Lease tell each other.
pub(super) struct Leadership {
    pub(super) term: watch::Receiver<Term>,
    /// What was removed so far; nothing while somebody else leads.
    pub(super) removed: watch::Sender<Option<Ledger>>,
    /// What was removed before this replica led.
    pub(super) removed_before: watch::Receiver<Ledger>,
}

/// One replica's side of the Lease.
pub(super) struct Lease {
    api: Api,
    namespace: String,
    identity: String,
    /// The version that was seen last, and when first.
    seen: Option<(String, Instant)>,
    /// What was removed, as the leader counts it; as the Lease says it, until he does.
    removed: watch::Receiver<Option<Ledger>>,
    /// What the Lease said of it when it was taken.
    before: watch::Sender<Ledger>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Object {
    api_version: String,
    kind: String,
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    namespace: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    resource_version: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    holder_identity: Option<String>,
    lease_duration_seconds: Option<u32>,
    acquire_time: Option<String>,
    renew_time: Option<String>,
    lease_transitions: Option<u32>,
}

/// Why the Lease was not got this time.
enum NotGot {
    /// Somebody else has it, or was faster.
    Held,
    /// The API server said nothing, or no.
    Trouble(String),
}

impl Lease {
    pub(super) fn new(
        api: Api,
        namespace: &str,
        identity: &str,
        removed: watch::Receiver<Option<Ledger>>,
        before: watch::Sender<Ledger>,
    ) -> Self {
        Self {
            api,
            namespace: namespace.to_owned(),
            identity: identity.to_owned(),
            seen: None,
            removed,
            before,
        }
    }

    /// Tries to lead, and goes on leading, until the program ends; then gives the Lease back.
    pub(super) async fn hold(mut self, term: watch::Sender<Term>, mut ends: watch::Receiver<bool>) {
        let mut is_troubled = false;
        loop {
            let began = Instant::now();
            match self.attempt().await {
                Ok(()) => {
                    let until = began + TERM;
                    if term.send_replace(Some(until)).is_none() {
                        info!(identity = self.identity, "this replica leads");
                    }
                    is_troubled = false;
                }
                Err(NotGot::Held) => self.lose(&term),
                Err(NotGot::Trouble(why)) => {
                    if !is_troubled {
                        warn!("the Lease `{}/{NAME}` cannot be had: {why}", self.namespace);
                    }
                    is_troubled = true;
                    if term.borrow().is_some_and(|until| until <= Instant::now()) {
                        self.lose(&term);
                    }
                }
            }
            let leads = term.borrow().is_some();
            let pause = if leads && !is_troubled { PAUSE } else { LOOK };
            tokio::select! {
                () = sleep(pause) => {}
                // What is removed is noted soon, whatever happens to us then.
                () = noteworthy(&mut self.removed), if leads && !is_troubled => {}
                _ = ends.wait_for(|ends| *ends) => break,
            }
        }
        if term.send_replace(None).is_some() {
            self.release().await;
        }
    }

    fn lose(&self, term: &watch::Sender<Term>) {
        if term.send_replace(None).is_some() {
            warn!(identity = self.identity, "this replica leads no longer");
        }
    }

    async fn attempt(&mut self) -> Result<(), NotGot> {
        let reply = self.call(Method::GET, &self.path(), Vec::new()).await?;
        if reply.status == 404 {
            let object = self.taken(None);
            return self.put(Method::POST, &self.collection(), &object).await;
        }
        let object = read(&reply)?;
        let holder = object.spec.holder_identity.as_deref().unwrap_or_default();
        if holder != self.identity && !holder.is_empty() && !self.has_expired(&object) {
            return Err(NotGot::Held);
        }
        // What is removed from here on is noted the next time.
        if self.removed.borrow_and_update().is_none() {
            self.before.send_replace(ledger(&object));
        }
        let taken = self.taken(Some(&object));
        self.put(Method::PUT, &self.path(), &taken).await
    }

    async fn release(&self) {
        let Ok(reply) = self.call(Method::GET, &self.path(), Vec::new()).await else {
            return;
        };
        let Ok(mut object) = read(&reply) else { return };
        if object.spec.holder_identity.as_deref() == Some(&self.identity) {
            object.spec.holder_identity = None;
            object.spec.lease_duration_seconds = Some(1);
            self.note(&mut object.metadata.annotations);
            if self.put(Method::PUT, &self.path(), &object).await.is_ok() {
                info!(identity = self.identity, "the Lease is given back");
            }
        }
    }

    /// Whether nobody renewed it for as long as we have looked.
    fn has_expired(&mut self, object: &Object) -> bool {
        let version = &object.metadata.resource_version;
        match &self.seen {
            Some((seen, since)) if seen == version => since.elapsed() >= EXPIRY,
            _ => {
                self.seen = Some((version.clone(), Instant::now()));
                false
            }
        }
    }

    /// The Lease as it is once we have it.
    fn taken(&self, old: Option<&Object>) -> Object {
        let now = micro_time();
        let before = old.map(|old| &old.spec);
        let is_ours = before.is_some_and(|before| before.holder_identity.as_deref() == Some(&self.identity));
        let mut annotations = old.map(|old| old.metadata.annotations.clone()).unwrap_or_default();
        if is_ours {
            self.note(&mut annotations);
        }
        let transitions = before.and_then(|before| before.lease_transitions).unwrap_or_default();
        Object {
            api_version: "coordination.k8s.io/v1".to_owned(),
            kind: "Lease".to_owned(),
            metadata: Metadata {
                name: NAME.to_owned(),
                namespace: self.namespace.clone(),
                resource_version: old.map(|old| old.metadata.resource_version.clone()).unwrap_or_default(),
                annotations,
            },
            spec: Spec {
                holder_identity: Some(self.identity.clone()),
                lease_duration_seconds: Some(EXPIRY_SECONDS),
                acquire_time: match before.filter(|_| is_ours) {
                    Some(before) => before.acquire_time.clone(),
                    None => Some(now.clone()),
                },
                renew_time: Some(now),
                lease_transitions: Some(transitions.saturating_add(u32::from(!is_ours && old.is_some()))),
            },
        }
    }

    fn note(&self, annotations: &mut BTreeMap<String, String>) {
        if let Some(removed) = self.removed.borrow().as_ref() {
            annotations.insert(ANNOTATION.to_owned(), removed.to_text());
        }
    }

    async fn put(&self, method: Method, path: &str, object: &Object) -> Result<(), NotGot> {
        let body = serde_json::to_vec(object).map_err(|error| NotGot::Trouble(error.to_string()))?;
        let reply = self.call(method, path, body).await?;
        match reply.status {
            409 => {
                debug!("another replica was faster");
                Err(NotGot::Held)
            }
            _ if reply.is_success() => Ok(()),
            status => Err(NotGot::Trouble(format!("the API server answers {status}"))),
        }
    }

    async fn call(&self, method: Method, path: &str, body: Vec<u8>) -> Result<Reply, NotGot> {
        let silent = |Silence| NotGot::Trouble("the API server does not answer".to_owned());
        self.api.plain(method, path, body, DEADLINE).await.map_err(silent)
    }

    fn collection(&self) -> String {
        format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases", self.namespace)
    }

    fn path(&self) -> String {
        format!("{}/{NAME}", self.collection())
    }
}

/// Waits until there is something to note, and for what comes with it.
async fn noteworthy(removed: &mut watch::Receiver<Option<Ledger>>) {
    if removed.changed().await.is_err() {
        return pending().await;
    }
    sleep(NOTE).await;
}

fn ledger(object: &Object) -> Ledger {
    let noted = object.metadata.annotations.get(ANNOTATION);
    noted.map(|text| Ledger::parse(text)).unwrap_or_default()
}

fn read(reply: &Reply) -> Result<Object, NotGot> {
    if !reply.is_success() {
        return Err(NotGot::Trouble(format!("the API server answers {}", reply.status)));
    }
    serde_json::from_slice(&reply.body).map_err(|_| NotGot::Trouble("it cannot be read".to_owned()))
}

/// The time as a `MicroTime`.
pub(super) fn micro_time() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}
