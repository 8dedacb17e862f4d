//! What is told of watches: whether they still hear from the API server, and what they know.

use super::{
    Counters, Label, OBJECTS, OBJECTS_REFUSED, WATCH_FAILURES, WATCH_LISTS, WATCH_PROGRESS, gauge_value, register,
    unix_seconds,
};
use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::Registry;
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

labels! {
    /// What is watched.
    Resource {
        /// The policy team's rules.
        ClusterPullSecretRules = "clusterpullsecretrules",
        /// The tenants' rules.
        PullSecretRules = "pullsecretrules",
        /// Namespaces.
        Namespaces = "namespaces",
        /// Service accounts.
        ServiceAccounts = "serviceaccounts",
        /// Secrets that copies may be made of.
        Sources = "sources",
        /// Copies of them.
        Copies = "copies",
        /// Secrets that are handed over.
        Adoptions = "adoptions",
    }
}

labels! {
    /// How a list or a watch failed.
    WatchFailure {
        /// The API server has no such resource.
        Missing = "missing",
        /// It wants other credentials, or other rights.
        Forbidden = "forbidden",
        /// It no longer knows what happened since the last event.
        Expired = "expired",
        /// It said no, for another reason.
        Refused = "refused",
        /// It could not be reached, or the connection broke.
        Broken = "broken",
        /// It sent something else than events or lists.
        Garbled = "garbled",
        /// It said nothing for too long.
        Silent = "silent",
    }
}

/// The metrics of all watches, in which one that does not run has no part: it makes no progress that could be missed.
#[derive(Debug)]
pub(super) struct Watches {
    progress: Family<Labels<1>, Oldest>,
    lists: Family<Labels<1>, Counter>,
    failures: Family<Labels<2>, Counter>,
    objects: Family<Labels<1>, Gauge>,
    refused: Family<Labels<1>, Gauge>,
}

type Labels<const N: usize> = [(&'static str, &'static str); N];

/// One instant for each watch of a resource, in seconds, of which the oldest is told: none hides that another stands still.
#[derive(Debug, Clone, Default)]
struct Oldest(Arc<Mutex<Vec<Arc<AtomicI64>>>>);

/// What is told of one watch.
#[derive(Debug, Clone)]
pub struct WatchMetrics {
    progress: Arc<AtomicI64>,
    lists: Counter,
    failures: Counters<WatchFailure>,
    objects: Gauge,
    refused: Gauge,
}

impl Watches {
    pub(super) fn register(registry: &mut Registry) -> Self {
        Self {
            progress: register(registry, WATCH_PROGRESS, Family::default()),
            lists: register(registry, WATCH_LISTS, Family::default()),
            failures: register(registry, WATCH_FAILURES, Family::default()),
            objects: register(registry, OBJECTS, Family::default()),
            refused: register(registry, OBJECTS_REFUSED, Family::default()),
        }
    }

    /// The metrics of a watch that begins now.
    pub(super) fn begin(&self, resource: Resource, now: SystemTime) -> WatchMetrics {
        let name = ("resource", resource.as_str());
        let failure = |failure: &WatchFailure| {
            let labels = [name, ("reason", failure.as_str())];
            (*failure, self.failures.get_or_create_owned(&labels))
        };
        WatchMetrics {
            progress: self.progress.get_or_create_owned(&[name]).begin(now),
            lists: self.lists.get_or_create_owned(&[name]),
            failures: Counters(WatchFailure::ALL.iter().map(failure).collect()),
            objects: self.objects.get_or_create_owned(&[name]),
            refused: self.refused.get_or_create_owned(&[name]),
        }
    }
}

impl Oldest {
    /// One more of them.
    fn begin(&self, now: SystemTime) -> Arc<AtomicI64> {
        let instant = Arc::new(AtomicI64::new(unix_seconds(now)));
        let mut instants = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        instants.push(Arc::clone(&instant));
        instant
    }
}

impl EncodeMetric for Oldest {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let instants = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let instants = instants.iter().map(|instant| instant.load(Ordering::Relaxed));
        encoder.encode_gauge(&instants.min().unwrap_or_default())
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

impl TypedMetric for Oldest {
    const TYPE: MetricType = MetricType::Gauge;
}

impl WatchMetrics {
    /// The API server said something, be it only that there is nothing new.
    pub fn progressed(&self, now: SystemTime) {
        self.progress.store(unix_seconds(now), Ordering::Relaxed);
    }

    /// A complete list was taken.
    pub fn listed(&self) {
        self.lists.inc();
    }

    /// A list or a watch failed.
    pub fn failed(&self, failure: WatchFailure) {
        self.failures.count(failure);
    }

    /// How many objects there are now, good ones and those that are skipped.
    pub fn set_objects(&self, good: usize, refused: usize) {
        self.objects.set(gauge_value(good));
        self.refused.set(gauge_value(refused));
    }
}
