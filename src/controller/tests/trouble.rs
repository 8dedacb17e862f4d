//! Broken sources, refusals, and those who work against us.

use std::time::Duration;

use super::world::{JSON, MINUTE, World, acme, config, edit, name, reference, rule, settled};
use crate::controller::plan::Answer;
use crate::controller::refusal::Refusal;

#[test]
fn a_namespace_that_the_server_says_is_terminating_is_left_alone() {
    let mut world = World::new();
    world.good_source("ghcr", "1");
    world.rule(acme(), 1);
    world.namespace("team-a", "a", true);
    world.server.terminating.insert("team-a".to_owned());
    world.pass(60 * MINUTE);
    assert_eq!(world.server.writes, 1);
    let summary = world.planner.summary("uid-acme").unwrap();
    assert_eq!((summary.selected, summary.refused), (0, 0), "no error");
}

#[test]
fn a_broken_source_leaves_copies_and_serves_newborns_from_memory() {
    for broken in [Some((JSON, &b"not json"[..])), Some(("Opaque", &b"{}"[..])), None] {
        let mut world = settled();
        match broken {
            Some((secret_type, payload)) => world.source("ghcr", secret_type, payload),
            None => world.planner.source_gone(&reference("ghcr")),
        }
        world.namespace("team-new", "a", true);
        world.pass(60 * MINUTE);
        assert!(world.has_copy("team-a", "ghcr", "1"));
        assert!(world.has_copy("team-new", "ghcr", "1"));
        assert!(world.planner.summary("uid-acme").unwrap().problem.is_some());
        world.good_source("ghcr", "2");
        world.settle();
        assert!(world.has_copy("team-a", "ghcr", "2"));
    }
}

#[test]
fn nothing_is_made_of_a_source_that_was_never_good() {
    for source in ["ghcr", "elsewhere/ghcr"] {
        let mut world = World::new();
        world.rule(rule("acme", "ghcr", source, &["team-*"]), 1);
        world.namespace("team-a", "a", true);
        world.source(source, if source == "ghcr" { "Opaque" } else { JSON }, &config("1"));
        world.pass(60 * MINUTE);
        assert_eq!(world.server.writes, 0);
        let reason = world.planner.summary("uid-acme").unwrap().problem.unwrap().reason();
        assert_eq!(
            reason,
            if source == "ghcr" {
                "WrongType"
            } else {
                "SourceNotAllowed"
            }
        );
    }
}

#[test]
fn each_change_of_anothers_costs_at_most_one_write_with_growing_patience() {
    let mut world = settled();
    let before = world.server.writes;
    // The first is put right at once, and then it takes longer and longer.
    for second in 0_u32..3_600 {
        edit(&mut world, "kubectl-edit");
        world.settle();
        world.pass(Duration::from_secs(1));
        if second == 5 {
            let summary = world.planner.summary("uid-acme").unwrap();
            assert_eq!(
                summary.refusals[0].1.to_string(),
                "the field manager `kubectl-edit` keeps changing the copy"
            );
        }
    }
    let writes = world.server.writes - before;
    assert!((10..=20).contains(&writes), "{writes}");
    world.pass(11 * MINUTE);
    assert!(world.has_copy("team-a", "ghcr", "1"));
    // After peace it is put right at once again.
    world.pass(60 * MINUTE);
    edit(&mut world, "kubectl-edit");
    world.settle();
    assert!(world.has_copy("team-a", "ghcr", "1"));
}

#[test]
fn whoever_keeps_deleting_a_copy_meets_the_same_patience() {
    let mut world = settled();
    let before = world.server.writes;
    for _ in 0..3_600 {
        world.server.delete(&name("team-a", "ghcr"));
        world.pass(Duration::from_secs(1));
    }
    let writes = world.server.writes - before;
    assert!((10..=20).contains(&writes), "{writes}");
}

#[test]
fn a_webhook_that_rewrites_every_copy_costs_one_write_a_version() {
    let mut world = World::styled(&[("team", "ours")]);
    world.server.rewritten_label = Some("theirs".to_owned());
    world.good_source("ghcr", "1");
    world.rule(acme(), 1);
    world.namespace("team-a", "a", false);
    world.pass(60 * MINUTE);
    assert_eq!(world.server.writes, 1);
    let summary = world.planner.summary("uid-acme").unwrap();
    assert_eq!(
        summary.refusals[0].1.to_string(),
        "somebody unknown keeps changing the copy"
    );
    world.good_source("ghcr", "2");
    world.pass(60 * MINUTE);
    assert!(world.has_copy("team-a", "ghcr", "2"));
    assert_eq!(world.server.writes, 2);
}

#[test]
fn a_watch_that_is_behind_the_answers_tells_no_news() {
    let mut world = World::new();
    world.good_source("ghcr", "1");
    world.rule(acme(), 1);
    world.namespace("team-a", "a", false);
    let task = world.take().unwrap();
    world.perform(&task);
    world.good_source("ghcr", "2");
    let task = world.take().unwrap();
    world.perform(&task);
    assert_eq!(world.tasks(), Vec::<String>::new());
    world.deliver_one();
    assert_eq!(world.tasks(), Vec::<String>::new());
}

#[test]
fn a_full_quota_is_named_and_tried_again_seldom() {
    let mut world = World::new();
    world.good_source("ghcr", "1");
    world.rule(acme(), 1);
    world.server.full.insert("team-a".to_owned());
    world.namespace("team-a", "a", true);
    world.pass(70 * MINUTE);
    assert!(world.server.writes < 15, "{}", world.server.writes);
    let summary = world.planner.summary("uid-acme").unwrap();
    assert_eq!(summary.refusals[0].1.to_string(), "the ResourceQuota `few` is used up");
    let events = world.planner.take_events();
    assert_eq!(events.len(), 2, "one an hour: {events:?}");
    assert_eq!(
        events[0].note,
        "the rule `acme` wants a copy of its pull secret as `ghcr` here: the ResourceQuota `few` is used up"
    );
    world.server.full.clear();
    world.pass(11 * MINUTE);
    assert!(world.has_copy("team-a", "ghcr", "1"));
}

#[test]
fn an_answer_to_a_task_of_an_earlier_term_counts_for_nothing() {
    let mut world = settled();
    world.good_source("ghcr", "2");
    let old = world.take().unwrap();
    world.planner.stop();
    assert!(world.take().is_none());
    world.planner.start();
    let new = world.take().or_else(|| world.take()).unwrap();
    let refused = Answer::Refused(Refusal::Invalid);
    world.planner.report(&old, refused, world.now);
    assert!(world.take().is_none(), "the new task is still under way");
    world.perform(&new);
    assert!(world.has_copy("team-a", "ghcr", "2"));
}
