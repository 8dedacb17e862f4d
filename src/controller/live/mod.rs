//! The controller on a cluster: what the planner decides, seen and done.
//!
//! ```text
//!   API server ─► watches ─► changes ─┐         ┌─► write ─────► API server
//!                                     ▼         │     │ answer
//!                  lease: term ─► Controller ───┤◄────┘
//!    replicas ─► matches: hours ─► owns Planner ├─► statuses ──► API server
//!                                               └─► announce ──► API server
//! ```
//!
//! In: a client and what the admin decided. Out: copies, statuses, events, metrics. One task owns the planner and decides;
//! every call has a deadline and runs beside it. Nothing is written before the first lists are complete, nor by a
//! replica that does not lead; the others are warm: they watch, and know all that the leader knows.

mod announce;
mod api;
mod budget;
mod certificates;
mod controller;
pub mod lease;
mod ledger;
mod matches;
mod objects;
mod registration;
mod replicas;
mod rules;
mod secret;
mod shown;
mod statuses;
mod watches;
mod write;

use std::time::Duration;

use kube::Client;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

pub use budget::Allowance;
pub use certificates::Certificates;
pub use matches::Matches;
pub use objects::{observe, read_source};
pub use replicas::{NoReplicaName, ReplicaName};

use self::announce::Herald;
use self::api::Api;
use self::certificates::Keeping;
use self::controller::Controller;
use self::lease::{Leadership, Lease};
use self::ledger::Ledger;
use super::copy::Style;
use super::plan;
use crate::metrics::Metrics;
use crate::readiness::Readiness;

/// How long the Lease may take to be given back.
const RELEASE: Duration = Duration::from_secs(2);

/// What the admin decided.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What the planner is to know.
    pub plan: plan::Settings,
    /// What copies carry besides.
    pub style: Style,
    /// How many writes of copies there may be.
    pub writes: Allowance,
    /// Who is asked when rules last matched.
    pub matches: Matches,
    /// The certificates that are kept, if any.
    pub certificates: Option<Certificates>,
    /// By which this replica is known to the others.
    pub identity: String,
}

/// Runs until `ends` says true. Returns early only when a part of it panicked, and says so with `false`.
pub async fn run(
    client: Client,
    settings: Settings,
    metrics: &Metrics,
    readiness: &Readiness,
    mut ends: watch::Receiver<bool>,
) -> bool {
    let api = Api::new(client.clone());
    let (herald, telling) = Herald::new(api.clone(), &settings.identity);
    let (removed, removals) = watch::channel(None);
    let (before, removed_before) = watch::channel(Ledger::default());
    let own_namespace = &settings.plan.own_namespace;
    let lease = Lease::new(api.clone(), own_namespace, &settings.identity, removals, before);
    let ended = ends.clone();
    let (term, terms) = watch::channel(None);
    let mut parts = JoinSet::new();
    parts.spawn(telling);
    if let Some(certificates) = settings.certificates.clone() {
        let herald = herald.about("Certify");
        let keeping = Keeping::new(api.clone(), herald, certificates, metrics.certificates(), terms.clone());
        parts.spawn(keeping.run());
    }
    let mut holding = tokio::spawn(lease.hold(term, ends.clone()));
    let leadership = Leadership {
        term: terms,
        removed,
        removed_before,
    };
    let mut controller = Controller::new(client, api, herald, settings, metrics, readiness, leadership);
    let is_told_to_end = tokio::select! {
        () = controller.run() => false,
        _ = parts.join_next() => false,
        _ = &mut holding => return *ended.borrow(),
        _ = ends.wait_for(|ends| *ends) => true,
    };
    // What is under way is broken off first: the next leader begins as soon as the Lease is given back.
    drop(controller);
    let _ = timeout(RELEASE, holding).await;
    is_told_to_end
}

#[cfg(test)]
mod tests;
