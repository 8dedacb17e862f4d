//! Where copies are, and that they hold what the source holds.

use super::server::immutable;
use super::world::{LEGACY, MARKER, MINUTE, World, acme, edit, kind, name, rule, settled};
use crate::controller::COPY_LABEL;
use crate::controller::plan::Priority;

#[test]
fn nothing_is_written_before_the_first_lists_are_complete() {
    let mut world = World::not_started(None);
    world.good_source("ghcr", "1");
    world.rule(acme(), 1);
    world.namespace("team-a", "a", true);
    world.planner.rules_complete(true, world.now);
    assert_eq!(world.tasks(), Vec::<String>::new());
    world.planner.start();
    assert_eq!(world.tasks(), ["create team-a/ghcr Repair"]);
}

#[test]
fn births_come_before_repairs_before_rotations_before_removals() {
    let mut world = World::new();
    world.good_source("ghcr", "1");
    world.rule(rule("acme", "ghcr", "ghcr", &["team-*"]), 1);
    world.rule(rule("labelled", "harbor", "ghcr", &["=x"]), 1);
    for namespace in ["team-a", "team-b"] {
        world.namespace(namespace, "x", false);
    }
    world.settle();
    world.namespace("team-b", "y", false); // out of `labelled`
    world.good_source("ghcr", "2");
    edit(&mut world, "kubectl");
    world.deliver();
    world.namespace("team-new", "y", true);
    assert_eq!(
        world.tasks(),
        [
            "create team-new/ghcr Newborn",
            "update team-a/ghcr Repair",
            "update team-a/harbor Rotation",
            "update team-b/ghcr Rotation",
            "delete team-b/harbor Removal",
        ]
    );
}

#[test]
fn only_tasks_that_are_urgent_enough_are_handed_out() {
    let mut world = settled();
    world.good_source("ghcr", "2");
    assert!(world.planner.next(Priority::Repair, world.now).is_none());
    world.namespace("team-new", "y", true);
    let task = world.planner.next(Priority::Newborn, world.now).unwrap();
    assert_eq!((kind(&task.action), &*task.target.namespace), ("create", "team-new"));
}

#[test]
fn copies_follow_namespaces_that_are_born_relabelled_and_terminated() {
    let mut world = World::new();
    world.good_source("ghcr", "1");
    world.rule(rule("acme", "ghcr", "ghcr", &["=acme"]), 1);
    world.namespace("born", "acme", true);
    world.namespace("other", "x", true);
    world.settle();
    assert!(world.has_copy("born", "ghcr", "1"));
    assert!(world.payload("other", "ghcr").is_none());
    world.namespace("other", "acme", false);
    world.namespace("born", "x", false);
    world.settle();
    assert!(world.has_copy("other", "ghcr", "1"));
    assert!(world.payload("born", "ghcr").is_none());
    // Nothing is written to or removed from a namespace that goes.
    world.server.terminating.insert("other".to_owned());
    world.namespace("other", "x", false);
    assert_eq!(world.tasks(), Vec::<String>::new());
}

#[test]
fn rotation_reaches_every_copy_in_place() {
    let mut world = settled();
    world.namespace("team-b", "b", true);
    world.settle();
    let uid = world.server.secrets[&name("team-b", "ghcr")].uid.clone();
    world.planner.take_touched();
    world.good_source("ghcr", "2");
    world.settle();
    assert!(world.has_copy("team-a", "ghcr", "2") && world.has_copy("team-b", "ghcr", "2"));
    assert_eq!(world.server.secrets[&name("team-b", "ghcr")].uid, uid);
    assert!(world.planner.summary("uid-acme").unwrap().is_rotated);
    assert!(!world.planner.summary("uid-acme").unwrap().is_rotated, "said once");
}

#[test]
fn a_source_changed_twice_costs_each_copy_one_write() {
    let mut world = settled();
    let before = world.server.writes;
    world.good_source("ghcr", "2");
    world.good_source("ghcr", "3");
    world.settle();
    assert!(world.has_copy("team-a", "ghcr", "3"));
    assert_eq!(world.server.writes, before + 1);
}

#[test]
fn a_source_whose_metadata_alone_changed_costs_nothing() {
    let mut world = settled();
    world.good_source("ghcr", "1");
    assert_eq!(world.tasks(), Vec::<String>::new());
}

#[test]
fn both_types_are_copied_and_a_changed_type_replaces_the_copy() {
    let mut world = settled();
    let legacy = br#"{"ghcr.io":{"username":"me","password":"old"}}"#;
    world.source("ghcr", LEGACY, legacy);
    let uid = world.server.secrets[&name("team-a", "ghcr")].uid.clone();
    world.settle();
    let secret = &world.server.secrets[&name("team-a", "ghcr")];
    assert_eq!(secret.field(&["type"]), Some(LEGACY));
    assert_eq!(world.payload("team-a", "ghcr").unwrap(), legacy);
    assert_ne!(secret.uid, uid);
}

#[test]
fn a_copy_made_immutable_is_replaced_when_it_must_change_and_not_before() {
    let mut world = settled();
    let copy = name("team-a", "ghcr");
    world.server.update(&copy, "kubectl", |fields| {
        fields.insert(immutable(), "true".to_owned());
    });
    let uid = world.server.secrets[&copy].uid.clone();
    world.settle();
    assert_eq!(world.server.secrets[&copy].uid, uid);
    world.good_source("ghcr", "2");
    world.settle();
    assert!(world.has_copy("team-a", "ghcr", "2"));
    assert!(!world.server.secrets[&copy].fields.contains_key(&immutable()));
}

#[test]
fn drift_is_repaired_whatever_it_was() {
    for (what, field) in [
        ("data", vec!["data", ".dockerconfigjson"]),
        ("label", vec!["metadata", "labels", COPY_LABEL.0]),
        ("record", vec!["metadata", "annotations", "pullkey.dev/source-version"]),
    ] {
        for value in [None, Some("x")] {
            let mut world = settled();
            let field: Vec<_> = field.iter().map(|step| (*step).to_owned()).collect();
            let copy = name("team-a", "ghcr");
            let before = world.server.secrets[&copy].fields.clone();
            world.server.update(&copy, "kubectl", |fields| match value {
                None => drop(fields.remove(&field)),
                Some(value) => drop(fields.insert(field.clone(), value.to_owned())),
            });
            assert_ne!(world.server.secrets[&copy].fields, before);
            world.settle();
            assert_eq!(world.server.secrets[&copy].fields, before, "{what} {value:?}");
        }
    }
}

#[test]
fn what_is_not_ours_on_a_copy_is_nobodys_business() {
    let mut world = settled();
    let before = world.server.writes;
    world.server.update(&name("team-a", "ghcr"), "kubectl", |fields| {
        fields.insert(vec!["metadata".into(), "labels".into(), "team".into()], "a".into());
        fields.insert(vec!["data".into(), "another".into()], "a".into());
    });
    world.settle();
    assert_eq!(world.server.writes, before);
}

#[test]
fn a_deleted_copy_comes_back() {
    let mut world = settled();
    world.server.delete(&name("team-a", "ghcr"));
    world.settle();
    assert!(world.has_copy("team-a", "ghcr", "1"));
}

#[test]
fn what_was_handed_out_says_nothing_of_the_credential() {
    let mut world = settled();
    world.good_source("ghcr", "2");
    let task = world.take().unwrap();
    let object = task.action.object(&task.target, &world.style).unwrap();
    for shown in [
        format!("{task:?}"),
        format!("{object:?}"),
        format!("{:?}", world.planner),
    ] {
        assert!(!shown.contains(MARKER), "{shown}");
        assert!(!shown.contains("bUFyS2VSNw"), "{shown}");
    }
}

#[test]
fn a_copy_that_is_not_told_again_is_gone_and_made_anew() {
    let mut world = settled();
    world.namespace("team-b", "b", true);
    world.namespace("team-c", "c", true);
    world.settle();
    let observed = |world: &World, namespace| world.server.secrets[&name(namespace, "ghcr")].observed(&world.style);
    // The watch is lost, and with it what happens to two of the copies.
    world.planner.copies_unheard(None);
    let offered = observed(&world, "team-b");
    world.planner.copy_offered("team-b", "ghcr", offered, world.now);
    world.server.delete(&name("team-a", "ghcr"));
    world.server.delete(&name("team-b", "ghcr"));
    world.server.watch.clear();
    let stays = observed(&world, "team-c");
    world.planner.copy_set("team-c", "ghcr", stays, world.now);
    assert_eq!(world.tasks(), Vec::<String>::new(), "before the list is complete");
    world.planner.copies_listed(None, world.now);
    world.pass(MINUTE);
    assert!(world.has_copy("team-a", "ghcr", "1"));
    assert!(
        world.has_copy("team-b", "ghcr", "1"),
        "what another watch told counts for nothing"
    );
    assert_eq!(world.planner.copies(), 3);
    let writes = world.server.writes;
    world.planner.copies_listed(None, world.now);
    world.pass(MINUTE);
    assert_eq!(world.server.writes, writes, "what was told is there");
}
