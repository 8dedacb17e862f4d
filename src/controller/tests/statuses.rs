//! What a status says, and when it says something else.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::server::immutable;
use super::world::{JSON, MARKER, World, acme, by_hand, config, name, reference, rule};
use crate::controller::Timestamp;
use crate::controller::event::Regarding;
use crate::controller::status::{Desk, RuleStatus, Verdict};
use crate::rules::{ImagePattern, Mode, Rule};

fn at(minute: u32) -> Timestamp {
    Timestamp::new(&format!("2026-11-22T10:{minute:02}:00Z"))
}

fn status(world: &mut World, rule: &Rule, previous: &RuleStatus, minute: u32) -> RuleStatus {
    let summary = world.planner.summary("uid-acme");
    RuleStatus::new(3, Verdict::Good(rule), summary.as_ref(), previous, &at(minute))
}

/// A condition as `status reason: message`.
fn texts<const COUNT: usize>(texts: [&str; COUNT]) -> Box<[Box<str>]> {
    Box::new(texts.map(Box::from))
}

fn condition(status: &RuleStatus, r#type: &str) -> String {
    let found = status.conditions.iter().find(|condition| condition.r#type == r#type);
    let found = found.unwrap();
    format!("{} {}: {}", found.status, found.reason, found.message)
}

fn with_rule(rule: &Rule) -> World {
    let mut world = World::new();
    world.good_source("ghcr", "1");
    world.rule(rule.clone(), 1);
    world.namespace("team-a", "a", false);
    world
}

#[test]
fn a_status_says_how_the_rule_stands() {
    let mut world = with_rule(&acme());
    world.namespace("team-b", "b", false);
    world
        .server
        .create(&name("team-b", "ghcr"), "kubectl-create", by_hand(JSON, &config("own")));
    world.settle();
    let status = status(&mut world, &acme(), &RuleStatus::default(), 0);
    let message = "there is a Secret of this name that belongs to the field manager `kubectl-create`; label it \
                   `pullkey.dev/adopt=true` to hand it over";
    let condition = |r#type: &str, status: &str, reason: &str, message: &str| {
        json!({
            "type": r#type,
            "status": status,
            "reason": reason,
            "message": message,
            "observedGeneration": 3,
            "lastTransitionTime": "2026-11-22T10:00:00Z",
        })
    };
    let counts = "1 of 2 are ready, 1 are refused";
    assert_eq!(
        serde_json::to_value(&status).unwrap(),
        json!({
            "observedGeneration": 3,
            "keys": ["ghcr.io"],
            "registries": ["ghcr.io"],
            "namespaces": {"selected": 2, "ready": 1, "refused": 1},
            "refusals": [{"namespace": "team-b", "reason": "Foreign", "message": message}],
            "conditions": [
                condition("Ready", "False", "Foreign", counts),
                condition("SourceValid", "True", "Valid", "the source holds credentials that the kubelet can use"),
                condition("CopiesReady", "False", "Foreign", counts),
            ],
        })
    );
    let written = serde_json::to_value(&status).unwrap();
    assert_eq!(serde_json::from_value::<RuleStatus>(written).unwrap(), status);
}

#[test]
fn what_most_statuses_say_is_kept_once() {
    let mut world = with_rule(&acme());
    world.settle();
    let written = status(&mut world, &acme(), &RuleStatus::default(), 0);
    let read: RuleStatus = serde_json::from_value(serde_json::to_value(&written).unwrap()).unwrap();
    let texts = read.conditions.iter().flat_map(|condition| {
        [
            &condition.r#type,
            &condition.status,
            &condition.reason,
            &condition.message,
        ]
    });
    let own: Vec<_> = texts.filter(|text| matches!(text, Cow::Owned(_))).collect();
    assert_eq!(own, ["1 of 1 are ready"]);
}

#[test]
fn conditions_follow_what_happens_and_keep_their_time_where_nothing_did() {
    let mut world = with_rule(&acme());
    let first = status(&mut world, &acme(), &RuleStatus::default(), 0);
    assert_eq!(condition(&first, "CopiesReady"), "False Writing: 0 of 1 are ready");
    world.settle();
    let second = status(&mut world, &acme(), &first, 1);
    assert_eq!(condition(&second, "Ready"), "True InForce: the rule is in force");
    assert_eq!(condition(&second, "CopiesReady"), "True AllReady: 1 of 1 are ready");
    let times: Vec<_> = second
        .conditions
        .iter()
        .map(|condition| condition.last_transition_time.clone())
        .collect();
    assert_eq!(times, [at(1), at(0), at(1)]);
    assert_eq!(
        status(&mut world, &acme(), &second, 2),
        second,
        "nothing is written where nothing changed"
    );

    world.good_source("ghcr", "2");
    world.settle();
    let rotated = status(&mut world, &acme(), &second, 3);
    assert_eq!(rotated.last_rotation, Some(at(3)));
    assert_eq!(status(&mut world, &acme(), &rotated, 4).last_rotation, Some(at(3)));

    world.planner.source_gone(&reference("ghcr"));
    let broken = status(&mut world, &acme(), &rotated, 5);
    assert_eq!(
        condition(&broken, "SourceValid"),
        "False SourceNotFound: there is no such Secret; copies stay as they are; to revoke the credential, delete the \
         rule or exclude the namespaces, and rotate it at the registry; new namespaces get the last good one"
    );
    assert_eq!(broken.keys, texts(["ghcr.io"]));
    assert!(condition(&broken, "CopiesReady").starts_with("True"));
    assert!(condition(&broken, "Ready").starts_with("False SourceNotFound"));
}

#[test]
fn a_copy_that_waits_for_another_version_is_nobodys_fault() {
    let mut world = with_rule(&acme());
    world.settle();
    world.good_source("ghcr", "2");
    let status = status(&mut world, &acme(), &RuleStatus::default(), 0);
    assert_eq!(condition(&status, "CopiesReady"), "False Writing: 0 of 1 are ready");
}

#[test]
fn keys_outlive_a_source_that_nobody_remembers_for_the_same_generation_only() {
    let mut world = World::new();
    world.rule(acme(), 1);
    let previous = RuleStatus {
        observed_generation: 3,
        keys: texts(["ghcr.io/acme"]),
        ..RuleStatus::default()
    };
    let kept = status(&mut world, &acme(), &previous, 0);
    assert_eq!(
        (kept.keys, kept.registries),
        (previous.keys.clone(), texts(["ghcr.io"]))
    );
    let older = RuleStatus {
        observed_generation: 2,
        ..previous
    };
    assert_eq!(status(&mut world, &acme(), &older, 0).keys, texts([]));
}

#[test]
fn a_rule_with_images_has_no_keys_and_one_without_a_source_no_copies() {
    let mut own = acme();
    own.patterns = vec![ImagePattern::parse("harbor.example:8443/team").unwrap().pattern];
    let mut world = with_rule(&own);
    let found = status(&mut world, &own, &RuleStatus::default(), 0);
    assert_eq!(
        (found.keys, found.registries),
        (texts([]), texts(["harbor.example:8443"]))
    );

    let found = RuleStatus::new(1, Verdict::Good(&own), None, &RuleStatus::default(), &at(0));
    assert_eq!(condition(&found, "Ready"), "True InForce: the rule is in force");
    assert_eq!((found.conditions.len(), found.namespaces), (1, None));
}

#[test]
fn a_rule_that_is_skipped_says_why() {
    let previous = RuleStatus::default();
    for (verdict, said) in [
        (
            Verdict::Invalid("spec.images[0]: no\nimage"),
            "False Invalid: spec.images[0]: no\\nimage",
        ),
        (
            Verdict::TooMany { most: 100 },
            "False TooMany: the first 100 rules of a namespace take effect, and this is a later one",
        ),
    ] {
        let status = RuleStatus::new(1, verdict, None, &previous, &at(0));
        assert_eq!(condition(&status, "Ready"), said);
        assert_eq!(status.events_since(&previous, &"uid".into()).len(), 1);
        assert_eq!(status.events_since(&status.clone(), &"uid".into()), []);
    }
}

#[test]
fn a_shadow_rule_says_so() {
    let mut shadow = acme();
    shadow.mode = Mode::Shadow;
    let mut world = with_rule(&shadow);
    world.settle();
    let status = status(&mut world, &shadow, &RuleStatus::default(), 0);
    assert_eq!(
        condition(&status, "CopiesReady"),
        "True Shadow: a shadow rule makes and removes no copies; 0 of 1 are there"
    );
}

#[test]
fn removals_that_wait_for_the_hour_are_said() {
    let mut world = with_rule(&acme());
    for number in 0..120 {
        world.namespace(&format!("team-{number}"), "a", false);
    }
    world.settle();
    let nobody = rule("acme", "ghcr", "ghcr", &["nobody"]);
    world.rule(nobody.clone(), 1);
    world.settle();
    let status = status(&mut world, &nobody, &RuleStatus::default(), 0);
    assert_eq!(
        condition(&status, "CopiesReady"),
        "False RemovalLimited: 21 copies that nobody wants any more wait: at most 100 or a tenth of all are removed in an \
         hour"
    );
}

#[test]
fn the_first_ten_refusals_are_named_in_order() {
    let mut world = with_rule(&acme());
    for number in 10..40 {
        let namespace = format!("team-{number}");
        world.server.full.insert(namespace.clone());
        world.namespace(&namespace, "a", false);
    }
    world.settle();
    let status = status(&mut world, &acme(), &RuleStatus::default(), 0);
    let named: Vec<_> = status
        .refusals
        .iter()
        .map(|refusal| refusal.namespace.clone())
        .collect();
    let first: Vec<_> = (10..20).map(|number| format!("team-{number}")).collect();
    assert_eq!(named, first);
    assert_eq!(status.namespaces.unwrap().refused, 30);
    assert_eq!(
        condition(&status, "CopiesReady"),
        "False QuotaExceeded: 1 of 31 are ready, 30 are refused"
    );
}

#[test]
fn events_about_a_source_go_to_the_rule_and_those_of_a_namespace_to_its_secret() {
    let mut world = with_rule(&acme());
    world.settle();
    let good = status(&mut world, &acme(), &RuleStatus::default(), 0);
    let uid: Arc<str> = "uid-acme".into();
    assert_eq!(good.events_since(&RuleStatus::default(), &uid), []);
    world.source("ghcr", JSON, format!("{MARKER} is no JSON").as_bytes());
    let broken = status(&mut world, &acme(), &good, 1);
    let events = broken.events_since(&good, &uid);
    assert_eq!(events.len(), 1);
    assert_eq!((&*events[0].reason, events[0].is_warning), ("Malformed", true));
    assert_eq!(events[0].regarding, Regarding::Rule(Arc::clone(&uid)));
    assert_eq!(broken.events_since(&broken.clone(), &uid), []);
    world.good_source("ghcr", "2");
    let mended = status(&mut world, &acme(), &broken, 2);
    let events = mended.events_since(&broken, &uid);
    assert_eq!((&*events[0].reason, events[0].is_warning), ("Valid", false));
    assert_eq!(world.planner.take_events(), [], "the namespace hears nothing of it");
    assert!(!format!("{broken:?}{}", serde_json::to_string(&broken).unwrap()).contains(MARKER));
}

#[test]
fn a_namespace_hears_a_reason_once_an_hour() {
    let mut world = with_rule(&acme());
    world.settle();
    for _ in 0..180 {
        world.server.update(&name("team-a", "ghcr"), "kubectl-edit", |fields| {
            fields.insert(vec!["data".into(), ".dockerconfigjson".into()], "x".into());
        });
        world.pass(Duration::from_mins(1));
    }
    let events = world.planner.take_events();
    assert!((1..=4).contains(&events.len()), "{events:?}");
    assert!(events.iter().all(|event| event.reason == "Contended"));
    assert!(matches!(&events[0].regarding, Regarding::Secret(target) if target.to_string() == "team-a/ghcr"));
}

#[test]
fn a_status_is_written_once_a_second_at_most() {
    let second = Duration::from_secs(1);
    let mut desk = Desk::default();
    desk.touch("a".into(), second);
    desk.touch("a".into(), second);
    assert_eq!(desk.next(second).as_deref(), Some("a"));
    assert_eq!(desk.next(second), None);
    desk.written("a".into(), second);
    desk.touch("a".into(), second);
    desk.touch("b".into(), second);
    assert_eq!(desk.next(second).as_deref(), Some("b"));
    assert_eq!((desk.next(second), desk.wakes_at()), (None, Some(2 * second)));
    assert_eq!(desk.next(2 * second).as_deref(), Some("a"));
    assert_eq!(desk.wakes_at(), None);
}

#[test]
fn what_nobody_waits_for_is_written_when_nothing_else_is_due() {
    let second = Duration::from_secs(1);
    let mut desk = Desk::default();
    desk.written("b".into(), second);
    for name in ["a", "b", "c"] {
        desk.touch_at_leisure(name.into());
    }
    desk.touch("d".into(), second);
    assert_eq!(desk.wakes_at(), Some(Duration::ZERO));
    assert_eq!(desk.next(second).as_deref(), Some("d"));
    assert_eq!(desk.next(second).as_deref(), Some("a"));
    desk.touch("e".into(), second);
    assert_eq!(desk.next(second).as_deref(), Some("e"));
    assert_eq!(desk.next(second).as_deref(), Some("c"), "b has just been written");
    assert_eq!((desk.next(second), desk.wakes_at()), (None, Some(2 * second)));
    assert_eq!(desk.next(2 * second).as_deref(), Some("b"));
    assert_eq!(desk.wakes_at(), None);
}

#[test]
fn a_copy_of_another_type_or_immutable_is_named_so() {
    let mut world = with_rule(&acme());
    world.settle();
    let copy = name("team-a", "ghcr");
    world.server.finalize(&copy, true);
    world.server.update(&copy, "kubectl", |fields| {
        fields.insert(immutable(), "true".to_owned());
    });
    world.good_source("ghcr", "2");
    world.pass(Duration::from_mins(30));
    let status = status(&mut world, &acme(), &RuleStatus::default(), 0);
    assert_eq!(status.refusals[0].reason, "Immutable");
    world.server.finalize(&copy, false);
    world.pass(Duration::from_mins(30));
    assert!(world.has_copy("team-a", "ghcr", "2"));
}
