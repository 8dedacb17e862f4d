//! What is told of copies of pull secrets, by a controller.

use super::{
    COPIES, COPIES_MISSED, COPIES_WAITING, COPY_WRITES, Counters, FULL_PASS, Kept, LEADER, Label, NAMESPACES_OF_RULES,
    NEWBORN_COPIES, gauge_value, register, unix_seconds,
};
use crate::controller::status::NamespaceCounts;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::time::{Duration, SystemTime};

labels! {
    /// What a call is for.
    WriteKind {
        /// To see what is there.
        Look = "look",
        /// A copy where there is none.
        Create = "create",
        /// Another version of a copy.
        Update = "update",
        /// A copy in the place of one that cannot be changed.
        Replace = "replace",
        /// A copy that nobody wants any more.
        Delete = "delete",
        /// The status of a rule.
        Status = "status",
    }
}

labels! {
    /// What came of it.
    WriteResult {
        /// It was done.
        Done = "done",
        /// The object was another one by then, or somebody else's.
        Conflict = "conflict",
        /// The API server asked for patience.
        Throttled = "throttled",
        /// No answer came, or it was a fault on the way.
        Unavailable = "unavailable",
        /// It was forbidden.
        Refused = "refused",
    }
}

/// The metrics of copies, in which a program that makes none has no part.
#[derive(Debug)]
pub(super) struct Copies {
    writes: Family<Labels<2>, Counter>,
    present: Kept<Gauge>,
    waiting: Family<Labels<1>, Gauge>,
    missed: Kept<Gauge>,
    namespaces: Family<Labels<1>, Gauge>,
    newborn: Kept<Histogram>,
    full_pass: Kept<Gauge>,
    leader: Kept<Gauge>,
}

type Labels<const N: usize> = [(&'static str, &'static str); N];

/// What a controller tells.
#[derive(Debug, Clone)]
pub struct CopyMetrics {
    writes: Vec<(WriteKind, Counters<WriteResult>)>,
    present: Gauge,
    waiting: [Gauge; 2],
    missed: Gauge,
    namespaces: [Gauge; 3],
    newborn: Histogram,
    full_pass: Gauge,
    leader: Gauge,
}

impl Copies {
    pub(super) fn register(registry: &mut Registry) -> Self {
        Self {
            writes: register(registry, COPY_WRITES, Family::default()),
            present: register(registry, COPIES, Kept::default()),
            waiting: register(registry, COPIES_WAITING, Family::default()),
            missed: register(registry, COPIES_MISSED, Kept::default()),
            namespaces: register(registry, NAMESPACES_OF_RULES, Family::default()),
            newborn: register(registry, NEWBORN_COPIES, Kept::default()),
            full_pass: register(registry, FULL_PASS, Kept::default()),
            leader: register(registry, LEADER, Kept::default()),
        }
    }

    /// The metrics of a controller that begins now.
    pub(super) fn begin(&self) -> CopyMetrics {
        let counter = |kind: WriteKind, result: &WriteResult| {
            let labels = [("kind", kind.as_str()), ("result", result.as_str())];
            (*result, self.writes.get_or_create_owned(&labels))
        };
        let counters = |kind| Counters(WriteResult::ALL.iter().map(|result| counter(kind, result)).collect());
        let waiting = |reason| self.waiting.get_or_create_owned(&[("reason", reason)]);
        let namespaces = |state| self.namespaces.get_or_create_owned(&[("state", state)]);
        CopyMetrics {
            writes: WriteKind::ALL.iter().map(|kind| (*kind, counters(*kind))).collect(),
            present: self.present.keep(Gauge::default),
            waiting: ["turn", "removal_limit"].map(waiting),
            missed: self.missed.keep(Gauge::default),
            namespaces: ["selected", "ready", "refused"].map(namespaces),
            newborn: self.newborn.keep(seconds),
            full_pass: self.full_pass.keep(Gauge::default),
            leader: self.leader.keep(Gauge::default),
        }
    }
}

impl CopyMetrics {
    /// A call has ended.
    pub fn written(&self, kind: WriteKind, result: WriteResult) {
        if let Some((_, counters)) = self.writes.iter().find(|(candidate, _)| *candidate == kind) {
            counters.count(result);
        }
    }

    /// So many copies are there.
    pub fn set_copies(&self, copies: usize) {
        self.present.set(gauge_value(copies));
    }

    /// So many copies wait for their turn, and so many for the hour to allow their removal.
    pub fn set_waiting(&self, turn: usize, removal_limit: usize) {
        let counts = [turn, removal_limit];
        for (gauge, count) in self.waiting.iter().zip(counts) {
            gauge.set(gauge_value(count));
        }
    }

    /// So many copies were found out of order by a full pass only.
    pub fn set_missed(&self, missed: u64) {
        self.missed.set(i64::try_from(missed).unwrap_or(i64::MAX));
    }

    /// What statuses say together.
    pub fn set_namespaces(&self, counts: NamespaceCounts) {
        let counts = [counts.selected, counts.ready, counts.refused];
        for (gauge, count) in self.namespaces.iter().zip(counts) {
            gauge.set(gauge_value(count));
        }
    }

    /// A namespace got a copy so long after its birth.
    pub fn newborn_served(&self, after: Duration) {
        self.newborn.observe(after.as_secs_f64());
    }

    /// A full pass has ended.
    pub fn proved(&self, now: SystemTime) {
        self.full_pass.set(unix_seconds(now));
    }

    /// Whether this replica writes.
    pub fn set_leader(&self, is_leader: bool) {
        self.leader.set(i64::from(is_leader));
    }
}

/// A histogram from 1 ms to 16 s, doubling.
fn seconds() -> Histogram {
    Histogram::new((0..15).map(|power| 0.001 * f64::from(1_u32 << power)))
}
