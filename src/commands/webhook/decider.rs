//! The decision as the server asks for it: by the rules in force at that moment, counted and, at debug, logged.

use std::sync::Arc;

use arc_swap::ArcSwap;
use pullkey::admission::{self, Addition, Decision, Malformed, Outcome, Review};
use pullkey::metrics::Metrics;
use pullkey::rules::{Namespace, RuleSet};
use pullkey::server::{Admit, Answer};
use tracing::debug;

/// Decides by the rules in force.
pub(super) struct Decider {
    rules: ArcSwap<RuleSet>,
    metrics: Arc<Metrics>,
}

impl Decider {
    pub(super) fn new(rules: Arc<RuleSet>, metrics: Arc<Metrics>) -> Self {
        Self {
            rules: ArcSwap::new(rules),
            metrics,
        }
    }

    /// The rules in force.
    pub(super) fn rules(&self) -> Arc<RuleSet> {
        self.rules.load_full()
    }

    /// Puts rules in force, for every review that is decided from now on.
    pub(super) fn replace(&self, rules: Arc<RuleSet>) {
        self.rules.store(rules);
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
        let rules = self.rules.load();
        // What labels a namespace has is not known without a cluster.
        let namespace = Namespace {
            name: &review.namespace,
            labels: None,
        };
        let decision = admission::decide(review, &namespace, &rules);
        self.count(&decision);
        log(review, &decision);
        Answer::Review(decision.to_response(&review.uid))
    }

    fn answer_to_fault(&self, uid: &str) -> Vec<u8> {
        admission::allowed_after_fault(uid)
    }
}

/// One line a decision. What a caller wrote is escaped.
fn log(review: &Review<'_>, decision: &Decision<'_>) {
    let Review {
        uid,
        namespace,
        name,
        dry_run,
        ..
    } = review;
    match &decision.outcome {
        Outcome::Inject(plan) => {
            let secrets: Vec<_> = plan.additions.iter().map(Addition::secret).collect();
            debug!(?uid, ?namespace, ?name, dry_run, ?secrets, "injected");
        }
        Outcome::Skip(reason) => debug!(
            ?uid,
            ?namespace,
            ?name,
            dry_run,
            code = reason.code(),
            "skipped: {reason}"
        ),
    }
    for (origin, reason) in &decision.invalid_images {
        debug!(?uid, image = origin.pointer(), "an image is passed over: {reason}");
    }
}
