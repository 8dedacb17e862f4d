//! A controller that is limited to some names.

use super::world::{JSON, MINUTE, SOURCES, World, acme, by_hand, config, name, rule};
use crate::controller::names::Names;
use crate::controller::plan::{Action, Answer};
use crate::controller::refusal::Refusal;
use crate::controller::status::{RuleStatus, Verdict};
use crate::controller::{COPY_LABEL, Timestamp};
use crate::rules::Rule;

const NAMES: [&str; 2] = ["ghcr", "pullkey-sources/ghcr"];

/// One good source, one rule for all teams, and `team-a`.
fn limited(names: &[&str], rule: &Rule) -> World {
    let mut world = World::named(names);
    world.good_source("ghcr", "1");
    world.rule(rule.clone(), 1);
    world.namespace("team-a", "a", true);
    world
}

/// A rule's condition as `status reason: message`, and what is announced of it.
fn condition(world: &mut World, rule: &Rule, r#type: &str) -> (String, Vec<String>) {
    let summary = world.planner.summary("uid-acme");
    let (previous, now) = (RuleStatus::default(), Timestamp::new("2026-11-22T10:00:00Z"));
    let status = RuleStatus::new(1, Verdict::Good(rule), summary.as_ref(), &previous, &now);
    let found = status.conditions.iter().find(|condition| condition.r#type == r#type);
    let found = found.unwrap();
    let events = status.events_since(&previous, &"uid-acme".into());
    let notes = events
        .into_iter()
        .map(|event| format!("{}: {}", event.reason, event.note));
    (
        format!("{} {}: {}", found.status, found.reason, found.message),
        notes.collect(),
    )
}

#[test]
fn a_secret_of_another_name_is_never_touched_and_the_rule_says_what_to_add() {
    let other = rule("acme", "other", "ghcr", &["team-*"]);
    let mut world = limited(&NAMES, &other);
    world.pass(60 * MINUTE);
    assert_eq!(world.server.writes, 0);
    let (condition, events) = condition(&mut world, &other, "CopiesReady");
    let message = "NotPermitted: 0 of 1 are ready; the controller may not touch Secrets of this name; give `pullkey \
                   manifests` the option `--secret-name=other` as well, and apply what it prints";
    assert_eq!(condition, format!("False {message}"));
    assert_eq!(events, [message]);
    assert_eq!(world.planner.take_events(), [], "the namespace can do nothing about it");
}

#[test]
fn a_rule_that_selects_no_namespace_says_so_as_well() {
    let other = rule("acme", "other", "ghcr", &["nobody"]);
    let mut world = limited(&NAMES, &other);
    world.settle();
    let (condition, _) = condition(&mut world, &other, "CopiesReady");
    assert!(condition.starts_with("False NotPermitted: 0 of 0 "), "{condition}");
}

#[test]
fn a_source_of_another_name_is_not_taken_and_the_rule_says_what_to_add() {
    let other = rule("acme", "ghcr", "other", &["team-*"]);
    let mut world = limited(&NAMES, &other);
    world.good_source("other", "1");
    world.pass(60 * MINUTE);
    assert_eq!(world.server.writes, 0);
    let (condition, events) = condition(&mut world, &other, "SourceValid");
    let message = "NotPermitted: the controller may not read it; give `pullkey manifests` the option \
                   `--secret-name=pullkey-sources/other` as well, and apply what it prints; ";
    assert!(condition.starts_with(&format!("False {message}")), "{condition}");
    assert!(events[0].starts_with(message), "{events:?}");
}

#[test]
fn a_name_that_cannot_be_listed_is_left_alone_until_it_can_and_keeps_no_other_waiting() {
    let names: Names = ["ghcr", "other", "pullkey-sources/ghcr"]
        .iter()
        .map(|name| name.parse().unwrap())
        .collect();
    let mut world = World::not_started(Some(names.clone()));
    world.list_sources(Some(&names));
    world.planner.copies_listed(Some("other"), world.now);
    world.planner.rules_complete(true, world.now);
    world.planner.start();
    world.good_source("ghcr", "1");
    world.rule(acme(), 1);
    world.rule(rule("second", "other", "ghcr", &["team-*"]), 2);
    world.namespace("team-a", "a", true);
    world.pass(60 * MINUTE);
    assert!(world.has_copy("team-a", "other", "1"));
    assert_eq!(world.server.writes, 1);
    let (before, _) = condition(&mut world, &acme(), "CopiesReady");
    assert!(
        before.starts_with("False NotPermitted") && before.contains("`--secret-name=ghcr`"),
        "{before}"
    );

    world.planner.copies_listed(Some("ghcr"), world.now);
    world.settle();
    assert!(world.has_copy("team-a", "ghcr", "1"));
    let (after, _) = condition(&mut world, &acme(), "CopiesReady");
    assert_eq!(after, "True AllReady: 1 of 1 are ready");
}

#[test]
fn a_right_that_is_lacking_is_named_like_a_name_that_is() {
    let mut world = limited(&NAMES, &acme());
    let task = world.take().unwrap();
    let refused = Answer::Refused(Refusal::NotPermitted);
    world.planner.report(&task, refused, world.now);
    let (condition, _) = condition(&mut world, &acme(), "CopiesReady");
    assert!(
        condition.starts_with("False NotPermitted") && condition.contains("`--secret-name=ghcr`"),
        "{condition}"
    );
    world.pass(MINUTE);
    assert!(world.has_copy("team-a", "ghcr", "1"), "and is tried again");
}

#[test]
fn every_secret_of_the_name_is_known_and_looked_at_by_nobody() {
    let mut world = World::named(&NAMES);
    world.good_source("ghcr", "1");
    let made = name("team-a", "ghcr");
    world
        .server
        .create(&made, "kubectl-create", by_hand(JSON, &config("own")));
    world.deliver();
    world.rule(acme(), 1);
    world.namespace("team-a", "a", true);
    let calls = |world: &mut World| {
        let mut calls = Vec::new();
        for _ in 0..60 {
            world.deliver();
            while let Some(task) = world.take() {
                calls.push(super::world::kind(&task.action));
                world.perform(&task);
            }
            world.now += MINUTE;
        }
        calls
    };
    assert_eq!(calls(&mut world), Vec::<&str>::new());
    let summary = world.planner.summary("uid-acme").unwrap();
    assert_eq!(summary.refusals[0].1.reason(), "Foreign");
    let events = world.planner.take_events();
    assert_eq!(events.len(), 1, "it is told once, though nothing was tried: {events:?}");

    world.server.delete(&made);
    assert_eq!(calls(&mut world), ["create"], "one that goes makes room");
    let label = ["metadata", "labels", COPY_LABEL.0].map(str::to_owned).to_vec();
    world.server.update(&made, "kubectl", |fields| {
        fields.remove(&label);
    });
    assert_eq!(calls(&mut world), ["update"], "a lost label is put back");
    world.server.delete(&made);
    assert_eq!(calls(&mut world), ["create"], "and so is a copy");
}

#[test]
fn what_was_copied_before_by_label_is_found_by_name() {
    let names: Names = NAMES.iter().map(|name| name.parse().unwrap()).collect();
    let mut before = super::world::settled();
    before.deliver();
    let mut world = World::not_started(Some(names.clone()));
    world.server.secrets = before.server.secrets.clone();
    world.list_sources(Some(&names));
    let copy = name("team-a", "ghcr");
    let observed = world.server.secrets[&copy].observed(&world.style);
    world.planner.copy_set(&copy.0, &copy.1, observed, world.now);
    world.planner.copies_listed(Some("ghcr"), world.now);
    world.good_source_like(&before, "ghcr", "1");
    world.rule(acme(), 1);
    world.namespace("team-a", "a", false);
    world.planner.rules_complete(true, world.now);
    world.planner.start();
    assert_eq!(world.tasks(), Vec::<String>::new());
    world.good_source("ghcr", "2");
    assert!(matches!(world.take().unwrap().action, Action::Update { .. }));
}

#[test]
fn names_are_read_from_rules_that_copy() {
    let without = Rule {
        copy_from: None,
        ..rule("third", "own", "x", &["*"])
    };
    let rules = [acme(), rule("second", "ghcr", "elsewhere/ghcr", &["team-*"]), without];
    let names: Vec<_> = Names::of_rules(&rules).iter().map(|name| name.to_string()).collect();
    assert_eq!(names, ["ghcr", "elsewhere/ghcr", &format!("{SOURCES}/ghcr")]);
}
