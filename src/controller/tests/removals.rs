//! When a copy goes.

use super::world::{MINUTE, SOURCES, World, acme, facts, name, rule, settled};
use crate::controller::COPY_LABEL;

#[test]
fn leaving_the_selection_removes_a_copy_at_once_and_a_deleted_rules_copies_wait() {
    let mut world = settled();
    world.rule(rule("acme", "ghcr", "ghcr", &["team-b"]), 1);
    assert_eq!(world.tasks(), ["delete team-a/ghcr Removal"]);

    let mut world = settled();
    world.planner.rule_gone("uid-acme", world.now);
    world.pass(9 * MINUTE);
    assert!(world.has_copy("team-a", "ghcr", "1"));
    world.pass(2 * MINUTE);
    assert!(world.server.secrets.is_empty());
}

#[test]
fn a_rule_deleted_and_recreated_leaves_no_gap() {
    let mut world = settled();
    let uid = world.server.secrets[&name("team-a", "ghcr")].uid.clone();
    world.planner.rule_gone("uid-acme", world.now);
    world.pass(MINUTE);
    let mut again = facts(acme(), 50);
    again.uid = "uid-again".into();
    world.planner.rule_set(&again);
    world.pass(60 * MINUTE);
    assert_eq!(world.server.secrets[&name("team-a", "ghcr")].uid, uid);
    assert_eq!(world.server.writes, 1);
}

#[test]
fn copies_of_a_rule_that_was_deleted_while_nobody_looked_wait_as_long() {
    let mut before = settled();
    let mut world = World::not_started(None);
    std::mem::swap(&mut world.server, &mut before.server);
    let copy = name("team-a", "ghcr");
    let observed = world.server.look(&copy, &world.style).unwrap();
    world.planner.copy_set("team-a", "ghcr", observed, world.now);
    world.namespace("team-a", "a", false);
    world.planner.sources_listed(SOURCES, &[].into());
    world.planner.rules_complete(true, world.now);
    world.planner.start();
    world.pass(9 * MINUTE);
    assert!(world.server.secrets.contains_key(&copy));
    world.pass(2 * MINUTE);
    assert!(!world.server.secrets.contains_key(&copy));
}

#[test]
fn nothing_is_removed_while_rules_cannot_be_read_completely() {
    let mut world = settled();
    world.planner.rules_complete(false, world.now);
    world.rule(rule("acme", "ghcr", "ghcr", &["team-b"]), 1);
    world.pass(60 * MINUTE);
    assert!(world.has_copy("team-a", "ghcr", "1"));
    world.planner.rules_complete(true, world.now);
    world.settle();
    assert!(world.server.secrets.is_empty());
}

#[test]
fn rules_that_went_with_their_kind_keep_their_copies_until_it_has_been_back_for_a_while() {
    let mut world = settled();
    world.planner.rule_gone("uid-acme", world.now);
    world.planner.rules_complete(false, world.now);
    world.pass(60 * MINUTE);
    world.planner.rules_complete(true, world.now);
    world.pass(9 * MINUTE);
    assert!(world.has_copy("team-a", "ghcr", "1"));
    world.pass(2 * MINUTE);
    assert!(world.server.secrets.is_empty());
}

#[test]
fn the_time_in_which_rules_cannot_be_read_is_all_that_does_not_count() {
    let mut world = settled();
    world.planner.rule_gone("uid-acme", world.now);
    for _ in 0..3 {
        world.pass(3 * MINUTE);
        world.planner.rules_complete(false, world.now);
        world.pass(MINUTE);
        world.planner.rules_complete(true, world.now);
    }
    assert!(world.has_copy("team-a", "ghcr", "1"));
    world.pass(2 * MINUTE);
    assert!(
        world.server.secrets.is_empty(),
        "a watch that is listed afresh now and then holds nothing up"
    );
}

#[test]
fn a_copy_that_loses_its_label_while_it_is_written_goes_with_its_rule_in_the_next_term() {
    let mut world = settled();
    world.good_source("ghcr", "2");
    world.begin();
    world.server.update(&name("team-a", "ghcr"), "kubectl-label", |fields| {
        fields.remove(&["metadata", "labels", COPY_LABEL.0].map(str::to_owned).to_vec());
    });
    world.deliver();
    world.planner.rule_gone("uid-acme", world.now);
    world.planner.stop();
    world.running.clear();
    world.planner.start();
    world.pass(180 * MINUTE);
    assert!(world.server.secrets.is_empty());
}

#[test]
fn no_more_copies_are_removed_in_an_hour_than_allowed() {
    for (copies, allowed) in [(90, 90), (300, 100), (1_500, 150)] {
        let mut world = World::new();
        world.good_source("ghcr", "1");
        world.rule(acme(), 1);
        for number in 0..copies {
            world.namespace(&format!("team-{number}"), "a", false);
        }
        world.settle();
        world.rule(rule("acme", "ghcr", "ghcr", &["nobody"]), 1);
        world.pass(59 * MINUTE);
        assert_eq!(world.server.secrets.len(), copies - allowed, "{copies}");
        let held_back = world.planner.summary("uid-acme").unwrap().held_back;
        assert_eq!(held_back, copies - allowed);
        assert_eq!(world.planner.backlog(), (0, held_back));
        world.pass(60 * MINUTE);
        assert!(world.server.secrets.len() <= (copies - allowed).saturating_sub(allowed.min(100)));
    }
}

#[test]
fn what_another_replica_made_goes_as_fast_as_what_we_made() {
    let mut world = World::new();
    world.settle();
    let mut other = settled();
    std::mem::swap(&mut world.server, &mut other.server);
    world.good_source("ghcr", "1");
    world.rule(acme(), 1);
    world.namespace("team-a", "a", false);
    let copy = world.server.look(&name("team-a", "ghcr"), &world.style).unwrap();
    world.planner.copy_set("team-a", "ghcr", copy, world.now);
    assert_eq!(world.tasks(), Vec::<String>::new());
    world.rule(rule("acme", "ghcr", "ghcr", &["team-b"]), 1);
    assert_eq!(world.tasks(), ["delete team-a/ghcr Removal"]);
}

#[test]
fn a_copy_that_a_finalizer_keeps_is_deleted_once() {
    let mut world = settled();
    world.server.finalize(&name("team-a", "ghcr"), true);
    world.rule(rule("acme", "ghcr", "ghcr", &["team-b"]), 1);
    let before = world.server.writes;
    world.pass(60 * MINUTE);
    assert_eq!(world.server.writes, before + 1);
    world.server.finalize(&name("team-a", "ghcr"), false);
    world.settle();
    assert!(world.server.secrets.is_empty());
}
