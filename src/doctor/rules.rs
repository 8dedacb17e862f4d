//! The rules: which are wrong, and what the controller says of the others in their statuses.

use super::facts::{Facts, RuleFacts, Rules};
use super::{Finding, Report, Severity};
use crate::controller::status::{Condition, RuleStatus};
use crate::rules::diagnostic;

const CHECK: &str = "pullkey check --cluster";

pub(super) fn examine(facts: &Facts, report: &mut Report) {
    let Some(rules) = &facts.rules else { return };
    saw(rules, report);
    let severities = [
        (diagnostic::Severity::Error, Severity::Error),
        (diagnostic::Severity::Warning, Severity::Warning),
    ];
    for (of, severity) in severities {
        let found: Vec<_> = rules.diagnostics.iter().filter(|found| found.severity == of).collect();
        if found.is_empty() {
            continue;
        }
        let (code, message) = match severity {
            Severity::Error => ("rules-refused", "rules have mistakes, and are not in force"),
            _ => ("rules-warned", "rules may not do what they were meant to do"),
        };
        let about = found.iter().map(|found| {
            let field = if found.field.is_empty() { "" } else { ", " };
            format!("{}{field}{}: {}", found.file, found.field, found.message)
        });
        report.found(Finding::new(severity, code, message).about(about).running(CHECK));
    }
    if rules.in_force.is_empty() && rules.of_files.is_some() {
        let finding = Finding::warning("rules-none", "no rule is in force: no Pod gets a secret");
        report.found(finding.hinting("apply some; `pullkey check` checks them before"));
    }
    let stale: Vec<_> = rules.objects.iter().filter(|rule| is_stale(rule)).collect();
    if !stale.is_empty() {
        let finding = Finding::warning(
            "status-stale",
            "the controller has not looked at rules since they were made or changed",
        );
        let finding = finding.about(stale.iter().map(|rule| format!("{} {}", rule.kind, rule.name)));
        report.found(finding.hinting("it takes a second or two; if it stays so, its log says why"));
    }
    examine_sources(rules, report);
}

fn saw(rules: &Rules, report: &mut Report) {
    let objects = rules.objects.len();
    let of_files = match rules.of_files {
        Some(count) => count.to_string(),
        None => "unknown".to_owned(),
    };
    let state = format!(
        "{} in force; objects: {objects}, in files: {of_files}",
        rules.in_force.len()
    );
    report.saw("rules", state);
    let last = rules.objects.iter().filter_map(|rule| rule.status.last_match.as_ref());
    match last.max() {
        Some(hour) => report.saw("last match", format_args!("in the hour from {hour}")),
        None if objects > 0 => report.saw("last match", "none known"),
        None => {}
    }
}

/// Whether what the status says is about an older rule, or about none.
pub(super) fn is_stale(rule: &RuleFacts) -> bool {
    rule.status.observed_generation != rule.generation
}

/// A condition that is not true, of a status that is about the rule as it is.
pub(super) fn fault<'r>(rule: &'r RuleFacts, r#type: &str) -> Option<&'r Condition> {
    let RuleStatus { conditions, .. } = &rule.status;
    let mut found = conditions.iter().filter(|_| !is_stale(rule));
    found.find(|condition| condition.r#type == r#type && condition.status != "True")
}

fn examine_sources(rules: &Rules, report: &mut Report) {
    let broken = rules.objects.iter().filter_map(|rule| {
        let fault = fault(rule, "SourceValid")?;
        let source = rule.rule.as_ref()?.copy_from.as_ref()?;
        Some(format!(
            "{} {}, source `{source}`: {}",
            rule.kind, rule.name, fault.message
        ))
    });
    let broken: Vec<_> = broken.collect();
    if !broken.is_empty() {
        let finding = Finding::error("sources-broken", "no new copies can be made of sources that rules name");
        report.found(finding.about(broken).running(format!("{CHECK} --secrets")));
    }
}
