//! What is wrong with Pullkey on a cluster, and what to do about it.
//!
//! In: [`Facts`], as far as somebody was allowed to read them; what was not is `None`. Out: a [`Report`], for people by
//! [`std::fmt::Display`] and for programs by [`serde::Serialize`]. Nothing here asks a cluster or a clock. What nobody
//! could see is never taken for good: it is named, and keeps the whole from being called healthy.
//!
//! ```text
//!   objects of the cluster ─► facts ─┬► registration, installation, rules, copies ─► findings ─┬► report ─► text
//!   Pods ─► pods: those that were missed ────────────────────────────────────────► findings ─┘
//! ```

pub mod copies;
pub mod counters;
pub mod facts;
mod installation;
pub mod objects;
pub mod pods;
pub mod registration;
mod report;
mod rules;
#[cfg(test)]
mod tests;
mod text;
pub mod trial;

pub use facts::Facts;
pub use report::{Finding, Report, Row, Severity, Unseen};

/// Finds what is wrong.
#[must_use]
pub fn examine(facts: &Facts, unseen: Vec<Unseen>) -> Report {
    let mut report = Report {
        seen: Vec::new(),
        findings: Vec::new(),
        pods: Vec::new(),
        unseen,
    };
    installation::examine_cluster(facts, &mut report);
    registration::examine(facts, &mut report);
    installation::examine_programs(facts, &mut report);
    trial::examine(facts, &mut report);
    rules::examine(facts, &mut report);
    copies::examine(facts, &mut report);
    pods::examine(facts, &mut report);
    // What does not work comes first; otherwise the way of a call stays the order.
    report.findings.sort_by_key(|finding| finding.severity);
    report
}
