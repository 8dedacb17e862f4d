//! The webhook's view of the cluster, kept up to date.
//!
//! In: a client, and the rules of files as they change. Out: a [`Report`] whenever something is new, in the order in
//! which it happened. What comes at once is told at once, as one: namespaces as soon as they are heard of, since Pods
//! wait for them; rules at most ten times a second, since their index takes a while to build.
//!
//! All of it is one task and its watches. It is best given a thread of its own: lists of thousands of objects are read
//! there, and no request should have to wait behind them.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use kube::Client;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{self, sleep_until};

use super::crowd::thin;
use super::rules::Finding;
pub use super::state::Whose;
use super::state::{Change, State};
use super::watch::{Read, Target, Watch};
use super::{Event, Key, Snapshot, Trouble, namespaces, rules, service_accounts};
use crate::metrics::{Metrics, Resource, WatchMetrics};
use crate::rules::{Kind, RuleSet};

/// The shortest time between two indexes of the rules.
const PAUSE: Duration = Duration::from_millis(100);
/// How many changes are taken together.
const BATCH: usize = 1_000;
const RESOURCES: [Resource; 4] = [
    Resource::ClusterPullSecretRules,
    Resource::PullSecretRules,
    Resource::Namespaces,
    Resource::ServiceAccounts,
];

/// What is new.
#[derive(Debug)]
pub struct Report<'a> {
    /// Everything as it is now, once all of it is known.
    pub snapshot: Option<Snapshot>,
    /// Whose rules are others now, if other rules are in force. The status of a rule is none of it, but for its keys.
    pub rules_changed: Option<Whose>,
    /// What has not been listed yet, and why not.
    pub awaited: &'a [(Resource, String)],
    /// What is wrong with rules, or may surprise.
    pub findings: Vec<Finding>,
    /// How many objects are skipped, where there are some.
    pub refused: Vec<(Resource, usize)>,
    /// What watches could not hear.
    pub troubles: Vec<(Resource, Trouble)>,
}

/// The watches, each a task of its own.
struct Watches<'m> {
    client: Client,
    metrics: &'m Metrics,
    changes: mpsc::Sender<Change>,
    nudge: Arc<Notify>,
    tasks: JoinSet<()>,
    told: Vec<ToldOf>,
    /// Asks for rules of tenants, once more.
    again: mpsc::UnboundedSender<Key>,
}

/// What was told of a resource by numbers.
struct ToldOf {
    resource: Resource,
    metrics: WatchMetrics,
    refused: usize,
}

/// Follows the cluster and tells what is new, for as long as it is polled. Returns only when a watch panicked. A nudge
/// tells that an API server answers, or calls.
pub async fn follow(
    client: Client,
    own_namespace: &str,
    metrics: &Metrics,
    mut files: watch::Receiver<Option<Arc<RuleSet>>>,
    nudge: Arc<Notify>,
    mut tell: impl FnMut(Report<'_>),
) {
    let (sender, mut changes) = mpsc::channel(BATCH);
    let mut watches = Watches::start(client, own_namespace, metrics, sender, nudge);
    let mut state = State::new(&RESOURCES);
    state.set_files(files.borrow_and_update().clone());
    let mut next_build = time::Instant::now();
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            _ = changes.recv_many(&mut batch, BATCH) => {}
            Ok(()) = files.changed() => state.set_files(files.borrow_and_update().clone()),
            () = sleep_until(next_build), if state.is_stale() => {}
            _ = watches.tasks.join_next() => return,
        }
        let now = Instant::now();
        let mut troubles = Vec::new();
        let mut touched = Vec::new();
        for change in batch.drain(..) {
            if !touched.contains(&change.resource()) {
                touched.push(change.resource());
            }
            if let Some(Err(trouble)) = change.listing() {
                troubles.push((change.resource(), trouble.clone()));
            }
            state.apply(change, now);
        }
        for key in state.take_awaited_rules() {
            let _ = watches.again.send(key);
        }
        let mut rules_changed = None;
        if state.is_stale() && next_build <= time::Instant::now() {
            rules_changed = state.build();
            next_build = time::Instant::now() + PAUSE;
        }
        for told in &mut watches.told {
            if rules_changed.is_some() || touched.contains(&told.resource) {
                let (good, refused) = state.count(told.resource);
                told.metrics.set_objects(good, refused);
                told.refused = refused;
            }
        }
        let refused = watches.told.iter().filter(|told| told.refused > 0);
        let findings = state.take_findings();
        tell(Report {
            snapshot: state.snapshot(),
            rules_changed,
            awaited: state.awaited(),
            findings,
            refused: refused.map(|told| (told.resource, told.refused)).collect(),
            troubles,
        });
    }
}

impl<'m> Watches<'m> {
    fn start(
        client: Client,
        own_namespace: &str,
        metrics: &'m Metrics,
        changes: mpsc::Sender<Change>,
        nudge: Arc<Notify>,
    ) -> Self {
        let (again, asked) = mpsc::unbounded_channel();
        let mut watches = Self {
            client,
            metrics,
            changes,
            nudge,
            tasks: JoinSet::new(),
            told: Vec::new(),
            again,
        };
        let mut asked = Some(asked);
        for (kind, resource, path) in rules::KINDS {
            let own_namespace = own_namespace.to_owned();
            let read: Read<_> = Box::new(move |text| rules::read(kind, &own_namespace, text));
            let mut watch = watches.watch(resource, path, false, read);
            if let Some(asked) = asked.take_if(|_| kind == Kind::PullSecretRule) {
                watch = watch.thinned(|listed| thin(listed, |rule| rule), asked);
            }
            watches.spawn(watch, move |event| Change::Rules(kind, event));
        }
        let read = Box::new(namespaces::read);
        let watch = watches.watch(Resource::Namespaces, namespaces::PATH, true, read);
        watches.spawn(watch, Change::Namespaces);
        let read = Box::new(service_accounts::read);
        let watch = watches.watch(Resource::ServiceAccounts, service_accounts::PATH, true, read);
        watches.spawn(watch, Change::ServiceAccounts);
        watches
    }

    fn watch<T>(&mut self, resource: Resource, path: &str, metadata_only: bool, read: Read<T>) -> Watch<T> {
        let target = Target {
            path: path.to_owned(),
            metadata_only,
        };
        let metrics = self.metrics.watch(resource, SystemTime::now());
        let watch = Watch::new(
            self.client.clone(),
            target,
            read,
            metrics.clone(),
            Arc::clone(&self.nudge),
        );
        self.told.push(ToldOf {
            resource,
            metrics,
            refused: 0,
        });
        watch
    }

    fn spawn<T: Send + 'static>(&mut self, watch: Watch<T>, change: impl Fn(Event<T>) -> Change + Send + 'static) {
        self.tasks.spawn(watch.tell(self.changes.clone(), change));
    }
}

#[cfg(test)]
mod tests;
