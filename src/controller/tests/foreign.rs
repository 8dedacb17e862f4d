//! What is not ours, and how it becomes ours.

use serde_json::json;

use super::server::flat;
use super::world::{JSON, LEGACY, MINUTE, World, acme, by_hand, config, name, settled};
use crate::controller::event::Regarding;
use crate::controller::{ADOPT_LABEL, COPY_LABEL};

#[test]
fn a_foreign_secret_is_never_written_and_never_deleted() {
    let mut world = World::new();
    world.good_source("ghcr", "1");
    let made = name("team-a", "ghcr");
    world
        .server
        .create(&made, "kubectl-create", by_hand(JSON, &config("own")));
    let before = world.server.secrets.clone();
    world.rule(acme(), 1);
    world.namespace("team-a", "a", true);
    world.pass(60 * MINUTE);
    world.good_source("ghcr", "2");
    world.pass(60 * MINUTE);
    let summary = world.planner.summary("uid-acme").unwrap();
    assert_eq!((summary.selected, summary.ready, summary.refused), (1, 0, 1));
    let (namespace, obstacle) = &summary.refusals[0];
    assert_eq!((&**namespace, obstacle.reason()), ("team-a", "Foreign"));
    assert_eq!(
        obstacle.to_string(),
        "there is a Secret of this name that belongs to the field manager `kubectl-create`; label it \
         `pullkey.dev/adopt=true` to hand it over"
    );
    world.planner.rule_gone("uid-acme", world.now);
    world.pass(60 * MINUTE);
    assert_eq!(world.server.secrets, before);
}

#[test]
fn a_foreign_secret_that_goes_makes_room() {
    let mut world = World::new();
    world.good_source("ghcr", "1");
    let made = name("team-a", "ghcr");
    world
        .server
        .create(&made, "kubectl-create", by_hand(JSON, &config("own")));
    world.rule(acme(), 1);
    world.namespace("team-a", "a", true);
    world.settle();
    world.server.delete(&made);
    world.pass(11 * MINUTE);
    assert!(world.has_copy("team-a", "ghcr", "1"));
}

#[test]
fn a_foreign_secret_that_the_watch_knows_makes_room_at_once() {
    let mut world = settled();
    let clone = name("team-b", "ghcr");
    let fields = world.server.secrets[&name("team-a", "ghcr")].fields.clone();
    world.server.create(&clone, "kubectl-create", fields);
    world.deliver();
    world.namespace("team-b", "b", true);
    world.settle();
    world.server.delete(&clone);
    world.settle();
    assert!(world.has_copy("team-b", "ghcr", "1"));
}

#[test]
fn one_owner_of_two_after_an_apply_of_equal_data_owns_nothing() {
    let mut world = World::new();
    world.good_source("ghcr", "1");
    let made = name("team-a", "ghcr");
    world
        .server
        .create(&made, "kubectl-create", by_hand(JSON, &config("1")));
    world.rule(acme(), 1);
    world.namespace("team-a", "a", true);
    world.settle();
    assert_eq!(world.server.secrets[&made].owners.len(), 2);
    world.good_source("ghcr", "2");
    world.pass(60 * MINUTE);
    assert_eq!(world.payload("team-a", "ghcr"), Some(config("1")));
    world.planner.rule_gone("uid-acme", world.now);
    world.pass(60 * MINUTE);
    assert!(world.server.secrets.contains_key(&made));
}

#[test]
fn a_foreign_secret_that_loses_our_label_is_looked_at_and_not_written() {
    let mut world = World::new();
    world.good_source("ghcr", "1");
    let made = name("team-a", "ghcr");
    world
        .server
        .create(&made, "kubectl-create", by_hand(JSON, &config("1")));
    world.rule(acme(), 1);
    world.namespace("team-a", "a", true);
    world.settle();
    world.server.update(&made, "kubectl-label", |fields| {
        fields.remove(&["metadata", "labels", COPY_LABEL.0].map(str::to_owned).to_vec());
    });
    world.pass(60 * MINUTE);
    assert!(!world.server.secrets[&made].is_labelled());
    assert_eq!(world.server.writes, 1);
}

#[test]
fn a_secret_copied_by_hand_with_our_label_is_foreign() {
    let mut world = settled();
    let clone = name("team-b", "ghcr");
    let fields = world.server.secrets[&name("team-a", "ghcr")].fields.clone();
    world.server.create(&clone, "kubectl-create", fields);
    world.deliver();
    let before = world.server.secrets[&clone].clone();
    world.namespace("team-b", "b", true);
    world.good_source("ghcr", "2");
    world.pass(60 * MINUTE);
    assert_eq!(world.server.secrets[&clone], before);
    world.now += 60 * MINUTE;
    assert_eq!(world.tasks(), Vec::<String>::new(), "the watch tells when it goes");
    world.namespace("team-b", "b", false);
    world.planner.rule_gone("uid-acme", world.now);
    world.pass(60 * MINUTE);
    assert_eq!(world.server.secrets[&clone], before);
}

#[test]
fn a_foreign_secret_that_came_while_nobody_led_is_told_of_all_the_same() {
    let mut world = settled();
    world.planner.stop();
    let clone = name("team-b", "ghcr");
    let fields = world.server.secrets[&name("team-a", "ghcr")].fields.clone();
    world.server.create(&clone, "kubectl-create", fields);
    world.namespace("team-b", "b", true);
    world.deliver();
    assert_eq!(world.planner.take_events(), []);
    world.planner.start();
    world.settle();
    let told = world.planner.take_events();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(matches!(&told[0].regarding, Regarding::Secret(target) if target.to_string() == "team-b/ghcr"));
    assert_eq!(told[0].reason, "Foreign");
}

#[test]
fn whoever_applies_the_type_takes_a_copy_over() {
    let mut world = settled();
    let copy = name("team-a", "ghcr");
    let applied = flat(&json!({"type": JSON}));
    world.server.apply(&copy, "argocd", applied, true).unwrap();
    world.server.update(&copy, "kubectl", |fields| {
        fields.insert(vec!["metadata".into(), "labels".into(), "x".into()], "y".into());
    });
    world.settle();
    let before = world.server.secrets[&copy].clone();
    world.good_source("ghcr", "2");
    world.pass(60 * MINUTE);
    assert_eq!(world.server.secrets[&copy], before);
}

#[test]
fn a_secret_handed_over_by_its_label_is_ours() {
    let mut world = World::new();
    world.good_source("ghcr", "1");
    let made = name("team-a", "ghcr");
    world
        .server
        .create(&made, "kubectl-create", by_hand(JSON, &config("own")));
    world.rule(acme(), 1);
    world.namespace("team-a", "a", true);
    world.settle();
    world.server.update(&made, "kubectl-label", |fields| {
        let label = vec!["metadata".into(), "labels".into(), ADOPT_LABEL.0.into()];
        fields.insert(label, ADOPT_LABEL.1.into());
    });
    world.pass(11 * MINUTE);
    assert!(world.has_copy("team-a", "ghcr", "1"));
    world.good_source("ghcr", "2");
    world.settle();
    assert!(
        world.has_copy("team-a", "ghcr", "2"),
        "the label goes on standing for the other's share"
    );
    // It is taken back by the same label.
    world.server.update(&made, "kubectl-label", |fields| {
        fields.remove(&vec![
            "metadata".to_owned(),
            "labels".to_owned(),
            ADOPT_LABEL.0.to_owned(),
        ]);
    });
    world.good_source("ghcr", "3");
    world.pass(60 * MINUTE);
    assert!(world.has_copy("team-a", "ghcr", "2"));
}

#[test]
fn a_secret_of_another_type_cannot_be_handed_over() {
    let mut world = World::new();
    world.good_source("ghcr", "1");
    let made = name("team-a", "ghcr");
    let mut fields = by_hand(LEGACY, b"{}");
    fields.insert(
        vec!["metadata".into(), "labels".into(), ADOPT_LABEL.0.into()],
        ADOPT_LABEL.1.into(),
    );
    world.server.create(&made, "kubectl-create", fields);
    let before = world.server.secrets.clone();
    world.rule(acme(), 1);
    world.namespace("team-a", "a", true);
    world.pass(60 * MINUTE);
    assert_eq!(world.server.secrets, before);
    let summary = world.planner.summary("uid-acme").unwrap();
    assert_eq!(summary.refusals[0].1.reason(), "Immutable");
}
