//! Pods that are created without a pause, and what became of each.
//!
//! In: a namespace, how many create at once, and whether the API server keeps the Pods; mostly it does not: a dry run
//! goes through the same webhooks. Out: a tally for each phase of the test. A creation counts for the phase in which it
//! began, so what a test does before it begins a phase is done for all that the phase counts.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::Method;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::namespace::{pod, pull_secrets};
use super::{Answer, Namespace, until};

/// The image of the Pods, for rules as [`rules_for_load`] makes them.
pub(crate) const IMAGE: &str = "load.example/app";
/// How long a creator rests: other tests want their turn.
const REST: Duration = Duration::from_millis(10);

/// Creators at work; they end with it.
pub(crate) struct Load {
    shared: Arc<Shared>,
    creators: JoinSet<()>,
}

struct Shared {
    namespace: Namespace,
    query: &'static str,
    ends: AtomicBool,
    phases: Mutex<Vec<Tally>>,
}

/// What became of the creations of one phase.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// How many Pods were created with these pull secrets.
    pub(crate) created: BTreeMap<Vec<String>, usize>,
    /// What the API server said instead of creating one.
    pub(crate) failed: Vec<String>,
    /// How often there was no API server, or none that had come up: nobody asked Pullkey.
    pub(crate) broken_off: usize,
}

/// Rules that give the Pods of a [`Load`] that secret.
pub(crate) fn rules_for_load(secret: &str) -> String {
    format!(
        "
apiVersion: pullkey.dev/v1alpha1
kind: ClusterPullSecretRule
metadata: {{name: load}}
spec: {{images: [load.example], namespaces: {{include: ['*']}}, secret: {{name: {secret}}}}}
"
    )
}

impl Load {
    /// Has Pods created that nobody keeps.
    pub(crate) fn dry(namespace: &Namespace, creators: usize) -> Self {
        Self::start(namespace, creators, "?dryRun=All")
    }

    /// Has Pods created that stay.
    pub(crate) fn stored(namespace: &Namespace, creators: usize) -> Self {
        Self::start(namespace, creators, "")
    }

    fn start(namespace: &Namespace, creators: usize, query: &'static str) -> Self {
        let shared = Arc::new(Shared {
            namespace: namespace.clone(),
            query,
            ends: AtomicBool::new(false),
            phases: Mutex::new(vec![Tally::default()]),
        });
        let creators = (0..creators).map(|_| Arc::clone(&shared).create()).collect();
        Self { shared, creators }
    }

    /// Begins the next phase.
    pub(crate) fn next_phase(&self) {
        self.shared.phases.lock().unwrap().push(Tally::default());
    }

    /// Waits until this phase counts that many creations.
    pub(crate) async fn reaches(&self, count: usize) {
        until("that many Pods are created", async || {
            let phases = self.shared.phases.lock().unwrap();
            (phases.last().unwrap().all() >= count).then_some(())
        })
        .await;
    }

    /// Waits for what is under way, and gives the tallies of all phases.
    pub(crate) async fn stop<const PHASES: usize>(self) -> [Tally; PHASES] {
        self.shared.ends.store(true, Ordering::Relaxed);
        self.creators.join_all().await;
        let phases = std::mem::take(&mut *self.shared.phases.lock().unwrap());
        phases.try_into().expect("as many tallies as phases were begun")
    }
}

impl Shared {
    async fn create(self: Arc<Self>) {
        let path = self.namespace.path("pods", "") + self.query;
        let pod = pod(&[IMAGE]);
        while !self.ends.load(Ordering::Relaxed) {
            let phase = self.phases.lock().unwrap().len() - 1;
            let api = &self.namespace.api;
            let answer = api.try_call(Method::POST, &path, "application/json", Some(&pod)).await;
            self.count(phase, answer.ok().as_ref());
            sleep(REST).await;
        }
    }

    fn count(&self, phase: usize, answer: Option<&Answer>) {
        let tally = &mut self.phases.lock().unwrap()[phase];
        match answer {
            Some(answer) if answer.status == 201 => {
                *tally.created.entry(pull_secrets(&answer.object)).or_default() += 1;
            }
            Some(answer) if !answer.is_too_early() => {
                let reason = format!("{}: {}", answer.status, answer.object["message"]);
                tally.failed.push(reason);
            }
            _ => tally.broken_off += 1,
        }
    }
}

impl Tally {
    /// How many creations ended, well or not.
    pub(crate) fn all(&self) -> usize {
        self.failed.len() + self.created.values().sum::<usize>()
    }

    /// How many Pods were created with exactly these pull secrets.
    pub(crate) fn with(&self, secrets: &[&str]) -> usize {
        let secrets: Vec<_> = secrets.iter().map(|&secret| secret.to_owned()).collect();
        self.created.get(&secrets).copied().unwrap_or_default()
    }

    /// Asserts that there was an API server and creations, and that every one gave a Pod with exactly this pull secret.
    #[track_caller]
    pub(crate) fn is_whole(&self, what: &str, secret: &str) {
        assert_eq!(self.broken_off, 0, "{what}: {self}");
        self.is_whole_where_answered(what, secret);
    }

    /// The same of those that an API server answered.
    #[track_caller]
    pub(crate) fn is_whole_where_answered(&self, what: &str, secret: &str) {
        println!("{what}: {self}");
        assert!(self.all() > 0, "{what}: nothing was created");
        assert_eq!(self.with(&[secret]), self.all(), "{what}: {self}");
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} creations, {} broken off", self.all(), self.broken_off)?;
        for (secrets, count) in &self.created {
            write!(formatter, ", {count} with {secrets:?}")?;
        }
        let mut reasons = BTreeMap::<_, usize>::new();
        for reason in &self.failed {
            // Ports differ from call to call.
            *reasons
                .entry(reason.replace(|c: char| c.is_ascii_digit(), "#"))
                .or_default() += 1;
        }
        for (reason, count) in reasons {
            write!(formatter, ", {count} failed with {reason}")?;
        }
        Ok(())
    }
}
