//! Whoever may write Secrets in a namespace can write them under our name, too, and say in them what he likes.

use std::collections::BTreeMap;
use std::time::Duration;

use super::server::{Field, flat};
use super::world::{JSON, MINUTE, SOURCES, World, acme, config, name, rule, settled, shadow};
use crate::controller::plan::{Priority, Removed};
use crate::controller::{COPY_LABEL, FIELD_MANAGER, SOURCE_ANNOTATION, VERSION_ANNOTATION};

/// What a tenant applies under our name: a copy of `source`, by its own account, of that version.
fn forged(source: &str, version: &str) -> BTreeMap<Field, String> {
    flat(&serde_json::json!({
        "metadata": {
            "labels": {COPY_LABEL.0: COPY_LABEL.1},
            "annotations": {SOURCE_ANNOTATION: format!("{SOURCES}/{source}"), VERSION_ANNOTATION: version},
        },
        "type": JSON, "data": {".dockerconfigjson": "e30="},
    }))
}

fn forge(world: &mut World, secret: &str, source: &str, version: &str) {
    let made = name("team-a", secret);
    world
        .server
        .apply(&made, FIELD_MANAGER, forged(source, version), true)
        .unwrap();
    world.deliver();
}

/// A world with a rule that makes nothing in `team-a`, for a source that no copy there was ever made of.
fn withheld(how: impl FnOnce(&mut World)) -> World {
    let mut world = World::new();
    world.good_source("ghcr", "1");
    how(&mut world);
    world.namespace("team-a", "a", false);
    world.settle();
    assert_eq!(world.server.writes, 0);
    world
}

#[test]
fn what_a_rule_withholds_is_not_had_by_claiming_to_have_it() {
    let shadowed = |world: &mut World| world.rule(shadow(acme()), 1);
    let unreadable = |world: &mut World| {
        world.rule(acme(), 1);
        world.planner.rule_unreadable("uid-acme");
    };
    let deleted = |world: &mut World| {
        world.rule(acme(), 1);
        world.planner.rule_gone("uid-acme", world.now);
    };
    for version in ["", "1", "uid/1", "uid-ghcr/1"] {
        for mut world in [withheld(shadowed), withheld(unreadable), withheld(deleted)] {
            forge(&mut world, "ghcr", "ghcr", version);
            world.pass(MINUTE);
            world.good_source("ghcr", "2");
            world.pass(MINUTE);
            assert_eq!(world.server.writes, 0, "{version}");
            assert_eq!(world.payload("team-a", "ghcr"), Some(b"{}".to_vec()), "{version}");
        }
    }
}

#[test]
fn a_copy_that_was_taken_and_is_held_by_a_finalizer_is_filled_by_no_rule_that_makes_none() {
    let mut world = settled();
    let held = name("team-a", "ghcr");
    world.server.secrets.get_mut(&held).unwrap().has_finalizer = true;
    world.rule(rule("acme", "ghcr", "ghcr", &["nobody"]), 1);
    world.settle();
    assert!(world.server.secrets[&held].is_being_deleted);
    world.rule(shadow(acme()), 1);
    world.good_source("ghcr", "2");
    world.pass(MINUTE);
    assert_eq!(world.payload("team-a", "ghcr"), Some(config("1")));
}

#[test]
fn a_copy_that_names_another_source_gets_none_of_it() {
    let mut world = settled();
    world.good_source("other", "secret");
    world.rule(shadow(rule("other", "ghcr", "other", &["team-*"])), 0);
    world.settle();
    forge(&mut world, "ghcr", "other", "uid/1");
    world.pass(60 * MINUTE);
    assert_ne!(world.payload("team-a", "ghcr"), Some(config("secret")));
}

#[test]
fn secrets_that_nobody_ever_wanted_take_no_more_than_half_of_the_removals() {
    let mut world = World::new();
    world.good_source("ghcr", "1");
    world.rule(acme(), 1);
    for number in 0..100 {
        world.namespace(&format!("team-b-{number}"), "a", false);
    }
    world.namespace("team-a", "a", false);
    world.settle();
    // First by name, too, and by the time that they come up for removal.
    for number in 0..300 {
        forge(&mut world, &format!("forged-{number}"), "ghcr", "uid/1");
    }
    world.pass(30 * MINUTE);
    let left = |world: &World, secret: &str| {
        world
            .server
            .secrets
            .keys()
            .filter(|(_, name)| name.starts_with(secret))
            .count()
    };
    assert_eq!(left(&world, "forged"), 250);
    world.rule(rule("acme", "ghcr", "ghcr", &["nobody"]), 1);
    world.settle();
    assert_eq!(left(&world, "ghcr"), 101 - 50, "the other half is for those that were");
    let removed = Removed {
        wanted: 50,
        unknown: 50,
    };
    assert_eq!(world.planner.removed(), removed);
}

#[test]
fn what_a_tenant_deletes_himself_takes_nothing_from_the_removals() {
    let mut world = settled();
    for number in 0..300 {
        let secret = format!("forged-{number}");
        forge(&mut world, &secret, "ghcr", "uid/1");
        world.server.delete(&name("team-a", &secret));
        world.settle();
    }
    assert_eq!(world.planner.removed(), Removed::default());
    world.rule(rule("acme", "ghcr", "ghcr", &["nobody"]), 1);
    world.settle();
    assert!(world.server.secrets.is_empty());
}

#[test]
fn secrets_that_come_and_go_by_thousands_cost_no_call_and_are_not_remembered() {
    let mut world = settled();
    let before = format!("{:?}", world.planner).len();
    for number in 0..1_000 {
        let made = name("team-a", &format!("churn-{number}"));
        match number % 2 {
            0 => world.server.create(&made, "kubectl", forged("ghcr", "uid/1")),
            _ => world
                .server
                .apply(&made, FIELD_MANAGER, forged("ghcr", "uid/1"), true)
                .unwrap(),
        }
        world.deliver();
        world.server.delete(&made);
        world.deliver();
        assert!(world.planner.next(Priority::Removal, world.now).is_none(), "{number}");
    }
    world.planner.prove(world.now + Duration::from_secs(1));
    world.settle();
    let after = format!("{:?}", world.planner).len();
    assert!(after < before + 500, "{before} {after}");
}
