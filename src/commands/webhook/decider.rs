//! The decision as the server asks for it: by what is known at that moment, counted and, at debug, logged.
//!
//! The API server is told to ask again, rather than given an answer that nothing can put right later, where
//!
//! - nothing has been loaded yet,
//! - the Pod's namespace is not known, and what the Pod gets depends on it: it exists, or nobody could ask,
//! - the namespace is so new that the controller may not have made the copies that the Pod would name, if the operator
//!   wants that.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwapOption;
use pullkey::admission::{self, Addition, Decision, Malformed, Object, Outcome, Review};
use pullkey::cluster::Snapshot;
use pullkey::cluster::namespaces::NamespaceFacts;
use pullkey::metrics::{Metrics, Retry};
use pullkey::rules::{Hour, Namespace, RuleSet};
use pullkey::server::{Admit, Answer};
use tokio::sync::Notify;
use tracing::debug;

/// Decides by the last snapshot.
pub(super) struct Decider {
    snapshot: ArcSwapOption<Snapshot>,
    /// For how long a namespace is too new for Pods with copied secrets.
    settling: Duration,
    metrics: Arc<Metrics>,
    asks_again: Arc<Notify>,
}

impl Decider {
    /// Knows nothing yet.
    pub(super) fn new(settling: Duration, metrics: Arc<Metrics>) -> Self {
        Self {
            snapshot: ArcSwapOption::empty(),
            settling,
            metrics,
            asks_again: Arc::default(),
        }
    }

    /// What is notified when an API server asks about what is not known yet: it is there, then, and can be asked, too.
    pub(super) fn asks_again(&self) -> Arc<Notify> {
        Arc::clone(&self.asks_again)
    }

    /// The rules in force, if there are any yet.
    pub(super) fn rules(&self) -> Option<Arc<RuleSet>> {
        let snapshot = self.snapshot.load();
        snapshot.as_ref().map(|snapshot| Arc::clone(&snapshot.rules))
    }

    /// What is known, for every review that is decided from now on.
    pub(super) fn replace(&self, snapshot: Snapshot) {
        self.snapshot.store(Some(Arc::new(snapshot)));
    }

    fn decide<'s>(&self, review: &Review<'_>, snapshot: &'s Snapshot) -> Result<Decision<'s>, Retry> {
        let known = snapshot.namespace(&review.namespace);
        if snapshot.lacks(&review.namespace) && admission::candidate(review).is_ok() {
            return Err(Retry::UnknownNamespace);
        }
        let namespace = Namespace {
            name: &review.namespace,
            labels: known.map(|known| &known.labels),
        };
        let mut decision = admission::decide(review, &namespace, &snapshot.rules);
        if let Object::Pod(pod) = &review.object
            && snapshot.is_strict(&review.namespace, &pod.service_account)
        {
            decision = decision.of_strict_account();
        }
        if gets_a_copy(&decision) && known.is_some_and(|known| self.is_settling(known)) {
            return Err(Retry::NewNamespace);
        }
        Ok(decision)
    }

    fn is_settling(&self, namespace: &NamespaceFacts) -> bool {
        let added = namespace.added.filter(|_| !self.settling.is_zero());
        added.is_some_and(|added| Instant::now().duration_since(added) < self.settling)
    }

    fn count(&self, decision: &Decision<'_>) {
        match &decision.outcome {
            Outcome::Inject(plan) => self.metrics.injected(plan.additions.len() as u64),
            Outcome::Skip(reason) => self.metrics.skipped(reason.code()),
        }
        if !decision.shadow.is_empty() {
            self.metrics.shadowed();
        }
        if !decision.invalid_images.is_empty() {
            self.metrics.invalid_images(decision.invalid_images.len() as u64);
        }
    }
}

impl Admit for Decider {
    fn read<'a>(&self, body: &'a [u8]) -> Result<Review<'a>, Malformed> {
        admission::read(body)
    }

    fn admit(&self, review: &Review<'_>) -> Answer {
        let snapshot = self.snapshot.load();
        let decided = match &*snapshot {
            Some(snapshot) => self.decide(review, snapshot),
            None => Err(Retry::NotLoaded),
        };
        match decided {
            Ok(decision) => {
                self.count(&decision);
                note_matches(review, &decision);
                log(review, &decision);
                Answer::Review(decision.to_response(&review.uid))
            }
            Err(reason) => {
                self.metrics.retry_asked(reason);
                self.asks_again.notify_waiters();
                let (uid, namespace) = (&*review.uid, &*review.namespace);
                debug!(uid, namespace, reason = reason.as_str(), "asked to come again");
                Answer::RetryLater
            }
        }
    }

    fn answer_to_fault(&self, uid: &str) -> Vec<u8> {
        admission::allowed_after_fault(uid)
    }
}

/// Remembers the hour for every rule that matches; not for a dry run, which is to leave no trace.
fn note_matches(review: &Review<'_>, decision: &Decision<'_>) {
    if review.dry_run || decision.matching.is_empty() {
        return;
    }
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = Hour::of(since.unwrap_or_default().as_secs());
    for last_match in decision.matching.iter().filter_map(|rule| rule.last_match.as_ref()) {
        last_match.note(now);
    }
}

/// Whether a secret is to be added that a controller copies into the namespace.
fn gets_a_copy(decision: &Decision<'_>) -> bool {
    match &decision.outcome {
        Outcome::Inject(plan) => plan.additions.iter().any(|addition| addition.rule.copy_from.is_some()),
        Outcome::Skip(_) => false,
    }
}

/// One line a decision. A field that is text is escaped by either format of the log.
fn log(review: &Review<'_>, decision: &Decision<'_>) {
    if !tracing::enabled!(tracing::Level::DEBUG) {
        return;
    }
    let (uid, namespace, name) = (&*review.uid, &*review.namespace, &*review.name);
    let dry_run = review.dry_run;
    let names = |additions: &[Addition<'_>]| {
        let secrets: Vec<_> = additions.iter().map(Addition::secret).collect();
        (!secrets.is_empty()).then(|| secrets.join(","))
    };
    let shadow = names(&decision.shadow);
    let invalid = decision.invalid_images.iter();
    let invalid: Vec<_> = invalid
        .map(|(origin, reason)| format!("{}: {reason}", origin.pointer()))
        .collect();
    let invalid_images = (!invalid.is_empty()).then(|| invalid.join("; "));
    match &decision.outcome {
        Outcome::Inject(plan) => {
            let secrets = names(&plan.additions);
            debug!(
                uid,
                namespace, name, dry_run, secrets, shadow, invalid_images, "injected"
            );
        }
        Outcome::Skip(reason) => {
            let code = reason.code();
            debug!(
                uid,
                namespace, name, dry_run, code, shadow, invalid_images, "skipped: {reason}"
            );
        }
    }
}

#[cfg(test)]
mod tests;
