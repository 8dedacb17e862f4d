//! Copies of pull secrets: which are missing, what is in their way, and what lost its owner.
//!
//! In: rules, namespaces and the Secrets that carry the label of copies, and what the controller says itself. Where it has
//! a reason, that is told; where it has none, what was looked at decides.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::facts::{Facts, RuleFacts};
use super::rules::fault;
use super::{Finding, Report};
use crate::controller::ownership::{Observed, Share};
use crate::controller::{ADOPT_LABEL, COPY_LABEL, Target};
use crate::rules::{Mode, Namespace, is_namespace_name};

/// What the controller says of copies that are on their way.
const WRITING: &str = "Writing";
/// What it says of Secrets that are somebody else's.
const FOREIGN: &str = "Foreign";
/// Above as many Secrets nobody wants to name each.
const FEW: usize = 5;

/// The copies that rules want, each with the rule, unless the Secret there is the source itself.
fn wanted(facts: &Facts) -> Option<BTreeMap<Target, &RuleFacts>> {
    let (rules, namespaces) = (facts.rules.as_ref()?, facts.namespaces.as_ref()?);
    let mut wanted = BTreeMap::new();
    for object in &rules.objects {
        let Some(rule) = object.rule.as_ref().filter(|rule| rule.mode == Mode::Enforce) else {
            continue;
        };
        let Some(source) = &rule.copy_from else { continue };
        let secret: Arc<str> = rule.secret.as_str().into();
        for (name, labels) in namespaces {
            let namespace = Namespace {
                name,
                labels: Some(labels),
            };
            let is_source = **name == *source.namespace && *secret == *source.name;
            if rule.namespaces.selects(&namespace) && !is_source {
                let target = Target {
                    namespace: (**name).into(),
                    name: Arc::clone(&secret),
                };
                wanted.entry(target).or_insert(object);
            }
        }
    }
    Some(wanted)
}

/// Wanted copies where no Secret with their label is: somebody else's may be there.
#[must_use]
pub fn to_look_at(facts: &Facts, most: usize) -> Vec<Target> {
    let (Some(wanted), Some(copies)) = (wanted(facts), &facts.copies) else {
        return Vec::new();
    };
    let missing = wanted.into_keys().filter(|target| !copies.contains_key(target));
    missing.take(most).collect()
}

pub(super) fn examine(facts: &Facts, report: &mut Report) {
    let found = facts.copies.as_ref().zip(wanted(facts));
    if let Some((copies, wanted)) = &found {
        let there = wanted.keys().filter(|target| copies.get(*target).is_some_and(is_ours));
        let state = format!("{} of {} are there", there.count(), wanted.len());
        report.saw("copies", state);
    }
    let orphans = examine_orphans(facts, report);
    let foreign = examine_foreign(facts, &orphans, report);
    let mut told: BTreeSet<Target> = orphans.into_iter().chain(foreign).collect();
    told.extend(examine_refused(facts, &told, report));
    if let Some((copies, wanted)) = found {
        let missing = wanted.iter().filter(|(target, rule)| {
            let is_waiting = fault(rule, "CopiesReady").is_some_and(|fault| fault.reason != WRITING);
            !copies.contains_key(*target) && !told.contains(*target) && !is_waiting
        });
        let missing: Vec<_> = missing
            .map(|(target, rule)| format!("{target}, of the rule {}", rule.name))
            .collect();
        if !missing.is_empty() {
            let message = format!(
                "copies that are not there, with nothing known to stand in their way: {}",
                missing.len()
            );
            let finding = Finding::error("copies-missing", message).about(missing);
            report.found(finding.hinting("a controller that runs makes them within seconds; its log says why not"));
        }
    }
}

fn is_ours(observed: &Observed) -> bool {
    observed.share == Share::Ours
}

fn is_foreign(observed: &Observed) -> bool {
    matches!(observed.share, Share::Foreign(_))
}

/// Secrets that look like copies and are not ours: what a backup restores has lost its managedFields.
fn examine_orphans(facts: &Facts, report: &mut Report) -> Vec<Target> {
    let copies = facts.copies.iter().flatten();
    let orphans: Vec<_> = copies
        .clone()
        .filter(|(_, observed)| is_foreign(observed))
        .map(|(target, _)| target.clone())
        .collect();
    if orphans.is_empty() {
        return orphans;
    }
    let message = format!(
        "Secrets with the label of copies that are not Pullkey's, restored from a backup or copied by hand: {}",
        orphans.len()
    );
    let finding = Finding::error("copies-orphaned", message).about(&orphans).hinting(
        "they are left alone; to hand them over, so that they are kept up to date and removed when no rule wants them:",
    );
    // Those that are ours stay ours with the label.
    let are_all = copies.count() == orphans.len();
    let command = if are_all || orphans.len() > FEW {
        let ((copy, yes), (adopt, value)) = (COPY_LABEL, ADOPT_LABEL);
        vec![format!(
            "kubectl label secrets --all-namespaces --selector {copy}={yes} {adopt}={value}"
        )]
    } else {
        orphans.iter().map(adopt).collect()
    };
    report.found(command.into_iter().fold(finding, Finding::running));
    orphans
}

fn adopt(target: &Target) -> String {
    let (key, value) = ADOPT_LABEL;
    format!(
        "kubectl label secret {} --namespace {} {key}={value}",
        target.name, target.namespace
    )
}

/// Secrets that are in the way of copies: by what the controller says, and by what was looked at.
fn examine_foreign(facts: &Facts, told: &[Target], report: &mut Report) -> Vec<Target> {
    let said = refusals(facts).filter(|(_, _, reason, _)| *reason == FOREIGN);
    let said = said.map(|(target, _, _, _)| target);
    let seen = facts.in_the_way.iter().filter(|(_, observed)| is_foreign(observed));
    let seen = seen.map(|(target, _)| target.clone());
    let foreign: BTreeSet<_> = said.chain(seen).filter(|target| !told.contains(target)).collect();
    if foreign.is_empty() {
        return Vec::new();
    }
    let message = format!(
        "Secrets of somebody else that have the names of copies: {}",
        foreign.len()
    );
    let finding = Finding::error("copies-foreign", message)
        .about(&foreign)
        .hinting("delete or rename them, give the rule another `secret.name`, or hand them over:");
    let commands = foreign.iter().take(FEW).map(adopt);
    report.found(commands.fold(finding, Finding::running));
    foreign.into_iter().collect()
}

/// What the controller says stands in the way: the target, its rule, one word and a sentence.
fn refusals(facts: &Facts) -> impl Iterator<Item = (Target, &RuleFacts, &str, &str)> {
    let objects = facts.rules.iter().flat_map(|rules| &rules.objects);
    objects
        .filter(|rule| !super::rules::is_stale(rule))
        .filter_map(|object| Some((object, object.rule.as_ref()?)))
        .flat_map(|(object, rule)| {
            let refusals = object.status.refusals.iter();
            // Names end up in commands.
            let named = refusals.filter(|refusal| is_namespace_name(&refusal.namespace));
            named.map(move |refusal| {
                let target = Target {
                    namespace: refusal.namespace.as_str().into(),
                    name: rule.secret.as_str().into(),
                };
                (target, object, refusal.reason.as_str(), refusal.message.as_str())
            })
        })
}

/// What the controller could not do. Gives what that was about.
fn examine_refused(facts: &Facts, told: &BTreeSet<Target>, report: &mut Report) -> Vec<Target> {
    let objects = facts.rules.iter().flat_map(|rules| &rules.objects);
    let mut targets = Vec::new();
    let mut waiting = Vec::new();
    for object in objects {
        let Some(fault) = fault(object, "CopiesReady") else {
            continue;
        };
        let said = format!("{} {}: {}", object.kind, object.name, fault.message);
        if fault.reason == WRITING {
            // Without its source nothing can come.
            waiting.extend(super::rules::fault(object, "SourceValid").is_none().then_some(said));
            continue;
        }
        let of_rule =
            refusals(facts).filter(|(target, rule, ..)| std::ptr::eq(*rule, object) && !told.contains(target));
        let of_rule: Vec<_> = of_rule.collect();
        if of_rule.is_empty() && fault.reason == FOREIGN {
            continue;
        }
        let reasons = of_rule
            .iter()
            .map(|(target, _, reason, message)| format!("{target}: {reason}, {message}"));
        let finding = Finding::error(
            "copies-refused",
            format_args!("copies cannot be kept as they should be: {}", fault.reason),
        );
        report.found(finding.about([said].into_iter().chain(reasons)).running(format!(
            "kubectl describe {} {}",
            object.kind.plural(),
            object.name
        )));
        targets.extend(of_rule.into_iter().map(|(target, ..)| target));
    }
    if !waiting.is_empty() {
        let finding = Finding::warning("copies-waiting", "copies are on their way").about(waiting);
        report.found(finding.hinting("it takes seconds; if it stays so, the controller's log says why"));
    }
    targets
}
