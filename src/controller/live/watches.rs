//! The watches that a controller lives by, each a task of its own.

use std::sync::Arc;
use std::time::SystemTime;

use kube::Client;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use super::objects::{SourceObject, observe};
use super::rules::{Read as RuleRead, read as read_rule};
use crate::cluster::crowd::thin;
use crate::cluster::namespaces::{self, NamespaceFacts};
use crate::cluster::rules::{KINDS, counted_as};
use crate::cluster::watch::{Read, Target, Watch};
use crate::cluster::{Event, Key, Trouble};
use crate::controller::copy::Style;
use crate::controller::ownership::Observed;
use crate::controller::plan::Settings;
use crate::controller::{ADOPT_LABEL, COPY_LABEL};
use crate::metrics::{Metrics, Resource, WatchMetrics};
use crate::rules::Kind;

const SECRETS: &str = "/api/v1/secrets";
/// How many changes wait for their turn at most: behind them the watches wait.
const MOST_WAITING: usize = 1_000;

/// What a watch told.
pub(super) enum Change {
    Rules(Kind, Event<RuleRead>),
    Namespaces(Event<NamespaceFacts>),
    /// Secrets of a scope that sources may come from.
    Sources(Arc<str>, Event<SourceObject>),
    /// Secrets that carry the label of copies, or all of a name.
    Copies(Option<Arc<str>>, Event<Observed>),
    /// Secrets whose owner hands them over, where copies are found by their label.
    Adoptions(Event<Observed>),
}

/// All of them.
pub(super) struct Watches<'m> {
    client: Client,
    metrics: &'m Metrics,
    sender: mpsc::Sender<Change>,
    nudge: Arc<Notify>,
    pub(super) changes: mpsc::Receiver<Change>,
    pub(super) tasks: JoinSet<()>,
    pub(super) told: Vec<(Resource, WatchMetrics)>,
    /// Asks for rules of tenants, once more.
    pub(super) again: mpsc::UnboundedSender<Key>,
}

impl Change {
    pub(super) fn resource(&self) -> Resource {
        match self {
            Self::Rules(kind, _) => counted_as(*kind),
            Self::Namespaces(_) => Resource::Namespaces,
            Self::Sources(..) => Resource::Sources,
            Self::Copies(..) => Resource::Copies,
            Self::Adoptions(_) => Resource::Adoptions,
        }
    }

    /// Which of several watches of that resource told it.
    pub(super) fn of(&self) -> Option<&Arc<str>> {
        match self {
            Self::Sources(scope, _) => Some(scope),
            Self::Copies(name, _) => name.as_ref(),
            Self::Rules(..) | Self::Namespaces(_) | Self::Adoptions(_) => None,
        }
    }

    pub(super) fn trouble(&self) -> Option<&Trouble> {
        match self {
            Self::Rules(_, Event::Trouble(trouble))
            | Self::Namespaces(Event::Trouble(trouble))
            | Self::Sources(_, Event::Trouble(trouble))
            | Self::Copies(_, Event::Trouble(trouble))
            | Self::Adoptions(Event::Trouble(trouble)) => Some(trouble),
            _ => None,
        }
    }
}

impl<'m> Watches<'m> {
    /// Begins to watch. A nudge tells that the API server answers.
    pub(super) fn start(
        client: Client,
        plan: &Settings,
        style: &Arc<Style>,
        metrics: &'m Metrics,
        nudge: Arc<Notify>,
    ) -> Self {
        let (sender, changes) = mpsc::channel(MOST_WAITING);
        let (again, asked) = mpsc::unbounded_channel();
        let mut watches = Self {
            client,
            metrics,
            sender,
            nudge,
            changes,
            tasks: JoinSet::new(),
            told: Vec::new(),
            again,
        };
        let mut asked = Some(asked);
        for (kind, resource, path) in KINDS {
            let own_namespace = plan.own_namespace.clone();
            let read: Read<_> = Box::new(move |text| read_rule(kind, &own_namespace, text));
            let mut watch = watches.watch(resource, path.to_owned(), false, read);
            if let Some(asked) = asked.take_if(|_| kind == Kind::PullSecretRule) {
                watch = watch.thinned(|listed| thin(listed, RuleRead::object), asked);
            }
            watches.spawn(watch, move |event| Change::Rules(kind, event));
        }
        let read = Box::new(namespaces::read);
        watches.add(
            Resource::Namespaces,
            namespaces::PATH.to_owned(),
            true,
            read,
            Change::Namespaces,
        );
        for scope in plan.source_scopes() {
            let path = match scope.split_once('/') {
                Some((namespace, name)) => named(&format!("/api/v1/namespaces/{namespace}/secrets"), name),
                None => format!("/api/v1/namespaces/{scope}/secrets"),
            };
            let read = Box::new(SourceObject::read);
            watches.add(Resource::Sources, path, false, read, move |event| {
                Change::Sources(Arc::clone(&scope), event)
            });
        }
        let Some(names) = &plan.names else {
            watches.add_copies(None, labelled(COPY_LABEL), style);
            let path = labelled(ADOPT_LABEL);
            watches.add(Resource::Adoptions, path, true, read_copy(style), Change::Adoptions);
            return watches;
        };
        for name in &names.copies {
            let path = named(SECRETS, name);
            watches.add_copies(Some(name.as_str().into()), path, style);
        }
        watches
    }

    /// There are more copies than anything else, and little of each is kept.
    fn add_copies(&mut self, name: Option<Arc<str>>, path: String, style: &Arc<Style>) {
        let watch = self.watch(Resource::Copies, path, true, read_copy(style));
        self.spawn(watch.in_parts(), move |event| Change::Copies(name.clone(), event));
    }

    fn add<T: Send + 'static>(
        &mut self,
        resource: Resource,
        path: String,
        metadata_only: bool,
        read: Read<T>,
        change: impl Fn(Event<T>) -> Change + Send + 'static,
    ) {
        let watch = self.watch(resource, path, metadata_only, read);
        self.spawn(watch, change);
    }

    fn watch<T>(&mut self, resource: Resource, path: String, metadata_only: bool, read: Read<T>) -> Watch<T> {
        let metrics = self.metrics.watch(resource, SystemTime::now());
        if self.told.iter().all(|(known, _)| *known != resource) {
            self.told.push((resource, metrics.clone()));
        }
        let target = Target { path, metadata_only };
        Watch::new(self.client.clone(), target, read, metrics, Arc::clone(&self.nudge))
    }

    fn spawn<T: Send + 'static>(&mut self, watch: Watch<T>, change: impl Fn(Event<T>) -> Change + Send + 'static) {
        self.tasks.spawn(watch.tell(self.sender.clone(), change));
    }
}

fn read_copy(style: &Arc<Style>) -> Read<Observed> {
    let style = Arc::clone(style);
    Box::new(move |text| observe(text.as_bytes(), &style).map(Some))
}

/// The Secrets with a label.
fn labelled((key, value): (&str, &str)) -> String {
    format!("{SECRETS}?labelSelector={}%3D{value}", key.replace('/', "%2F"))
}

/// The Secrets of a name: a role that names it allows to list and watch them.
fn named(path: &str, name: &str) -> String {
    format!("{path}?fieldSelector=metadata.name%3D{name}")
}
