//! The cluster side of the webhook: a thread that follows what happens there.

use std::sync::Arc;
use std::thread;

use kube::Client;
use pullkey::cluster::follow::{Report, Whose, follow};
use pullkey::rules::RuleSet;
use tokio::runtime::Builder;
use tokio::sync::{oneshot, watch};
use tracing::{debug, info, warn};

use super::super::Failure;
use super::{Program, log_finding};

/// Follows the cluster until the program ends. What is returned comes to an end only if that fails.
///
/// It has a thread of its own: reading and indexing thousands of rules takes a while, and no request waits behind it.
pub(super) fn start(
    client: Client,
    own_namespace: String,
    files: watch::Receiver<Option<Arc<RuleSet>>>,
    program: Program,
) -> Result<oneshot::Receiver<()>, Failure> {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(Failure::environment)?;
    let (ends, ended) = oneshot::channel();
    let following = move || {
        let metrics = Arc::clone(&program.metrics);
        let tell = |report: Report<'_>| program.cluster_told(report);
        let nudge = program.decider.asks_again();
        runtime.block_on(follow(client, &own_namespace, &metrics, files, nudge, tell));
        drop(ends);
    };
    thread::Builder::new()
        .name("cluster".to_owned())
        .spawn(following)
        .map_err(Failure::environment)?;
    Ok(ended)
}

impl Program {
    /// Puts in force what is new in the cluster.
    fn cluster_told(&self, report: Report<'_>) {
        for (resource, trouble) in &report.troubles {
            warn!(resource = resource.as_str(), "{trouble}");
        }
        for finding in &report.findings {
            if finding.of_tenant {
                debug!("{}", finding.diagnostic);
            } else {
                log_finding(&finding.diagnostic);
            }
        }
        let awaited = report.awaited.iter();
        let awaited = awaited.map(|(resource, why)| format!("{}: {why}", resource.as_str()));
        self.readiness.awaits(awaited.collect());
        let refused = report.refused.iter();
        let notes = refused.map(|(resource, refused)| format!("{refused} of {} skipped", resource.as_str()));
        self.readiness.set_notes("objects", notes.collect());
        if let Some(snapshot) = report.snapshot {
            let is_first = self.decider.rules().is_none();
            self.decider.replace(snapshot);
            let rules = self.rules_in_force();
            match report.rules_changed {
                _ if is_first => info!(rules, "the cluster is listed, and its rules are in force"),
                Some(Whose::PolicyTeam) => info!(rules, "other rules in force"),
                // As often as they like.
                Some(Whose::Tenants) => debug!(rules, "other rules of tenants in force"),
                None => {}
            }
        }
    }
}
