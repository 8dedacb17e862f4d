//! Several rules, and those that make nothing.

use super::world::{JSON, MINUTE, OWN, SOURCES, World, acme, by_hand, config, name, rule, settled, shadow};

#[test]
fn nothing_is_ever_copied_where_it_must_not_be() {
    let mut world = World::new();
    world.good_source("ghcr", "1");
    world.rule(rule("acme", "ghcr", "ghcr", &["*"]), 1);
    for namespace in ["kube-system", "kube-public", "kube-node-lease", OWN] {
        world.namespace(namespace, "a", true);
    }
    world.settle();
    assert!(world.server.secrets.is_empty());
}

#[test]
fn rules_of_one_source_share_a_copy_that_goes_with_the_last() {
    let mut world = settled();
    let mut second = acme();
    second.name = "second".to_owned();
    world.rule(second.clone(), 2);
    world.settle();
    assert_eq!(world.server.writes, 1);
    for uid in ["uid-acme", "uid-second"] {
        assert_eq!(world.planner.summary(uid).unwrap().ready, 1);
    }
    world.planner.rule_gone("uid-acme", world.now);
    world.pass(60 * MINUTE);
    assert!(world.has_copy("team-a", "ghcr", "1"));
    world.planner.rule_gone("uid-second", world.now);
    world.pass(60 * MINUTE);
    assert!(world.server.secrets.is_empty());
}

#[test]
fn of_rules_with_different_sources_the_oldest_wins_and_the_others_name_it() {
    for (seconds, winner) in [((1, 2), "a"), ((2, 1), "b"), ((1, 1), "a")] {
        let mut world = World::new();
        for source in ["a", "b"] {
            world.good_source(source, source);
        }
        world.rule(rule("a", "pull", "a", &["*"]), seconds.0);
        world.rule(rule("b", "pull", "b", &["team-a"]), seconds.1);
        world.namespace("team-a", "a", true);
        world.settle();
        assert!(world.has_copy("team-a", "pull", winner), "{seconds:?}");
        let loser = if winner == "a" { "uid-b" } else { "uid-a" };
        let summary = world.planner.summary(loser).unwrap();
        assert_eq!((summary.selected, summary.ready, summary.refused), (1, 0, 1));
        assert_eq!(
            summary.refusals[0].1.to_string(),
            format!("the older rule `{winner}` has another source for this name")
        );
    }
}

#[test]
fn a_younger_rule_takes_no_copy_over_before_the_older_one_is_gone_for_good() {
    let mut world = World::new();
    for source in ["a", "b"] {
        world.good_source(source, source);
    }
    world.rule(rule("a", "pull", "a", &["*"]), 1);
    world.rule(rule("b", "pull", "b", &["*"]), 2);
    world.namespace("team-a", "a", true);
    world.settle();
    world.planner.rule_gone("uid-a", world.now);
    world.pass(9 * MINUTE);
    assert!(world.has_copy("team-a", "pull", "a"));
    // A namespace without a copy of the old rule's has none to lose.
    world.namespace("team-b", "b", true);
    world.settle();
    assert!(world.has_copy("team-b", "pull", "b"));
    world.pass(2 * MINUTE);
    assert!(world.has_copy("team-a", "pull", "b"));
}

#[test]
fn a_source_that_is_its_own_target_is_ready_and_never_touched() {
    let mut world = World::new();
    world.good_source("ghcr", "1");
    world
        .server
        .create(&name(SOURCES, "ghcr"), "kubectl", by_hand(JSON, &config("1")));
    let before = world.server.secrets.clone();
    world.rule(rule("acme", "ghcr", "ghcr", &["*"]), 1);
    world.namespace(SOURCES, "a", true);
    world.pass(60 * MINUTE);
    assert_eq!(world.server.writes, 0);
    assert_eq!(world.server.secrets, before);
    assert_eq!(world.planner.summary("uid-acme").unwrap().ready, 1);
}

#[test]
fn a_shadow_rule_makes_and_removes_no_copy_and_rotates_those_there_are() {
    let mut world = settled();
    world.rule(shadow(acme()), 1);
    world.namespace("team-b", "b", true);
    world.good_source("ghcr", "2");
    world.settle();
    assert!(world.has_copy("team-a", "ghcr", "2"));
    assert!(world.payload("team-b", "ghcr").is_none());
    // Not even where the shadow rule does not select the namespace any more.
    world.rule(shadow(rule("acme", "ghcr", "ghcr", &["team-b"])), 1);
    world.pass(60 * MINUTE);
    assert!(world.has_copy("team-a", "ghcr", "2"));
    world.rule(rule("acme", "ghcr", "ghcr", &["team-b"]), 1);
    world.settle();
    assert!(world.payload("team-a", "ghcr").is_none());
    assert!(world.has_copy("team-b", "ghcr", "2"));
}

#[test]
fn a_rule_that_cannot_be_read_any_more_keeps_its_copies_and_makes_none() {
    let mut world = settled();
    world.planner.rule_unreadable("uid-acme");
    world.namespace("team-b", "b", true);
    world.pass(60 * MINUTE);
    assert!(world.has_copy("team-a", "ghcr", "1"));
    assert!(world.payload("team-b", "ghcr").is_none());
}
