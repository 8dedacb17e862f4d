//! Whatever happens, in whatever order the watches tell it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;

use super::server::{Name, Secret, flat, immutable};
use super::world::{JSON, MARKER, SOURCES, World, by_hand, config, facts, name, reference, rule};
use crate::controller::names::Names;
use crate::controller::removal::Removals;
use crate::controller::status::{RuleStatus, Verdict};
use crate::controller::{ADOPT_LABEL, Moment, Timestamp};
use crate::rules::{Mode, Namespace, Rule};

const NAMESPACES: [&str; 4] = ["team-a", "team-b", "team-c", "other"];
const SECRETS: [&str; 2] = ["pull", "harbor"];
const SOURCE_NAMES: [&str; 3] = ["red", "green", "blue"];
const RULES: [&str; 4] = ["first", "second", "third", "fourth"];
const TEAMS: [&str; 2] = ["x", "y"];
const SELECTIONS: [&[&str]; 5] = [&["*"], &["team-*"], &["=x"], &["team-a", "other"], &["team-*", "=y"]];
/// Of `me:` and the marker, from where the marker begins.
const MARKER_BASE64: &str = "bUFyS2VSN";
#[derive(Debug, Clone)]
enum Step {
    Rule(&'static str, &'static str, &'static str, &'static [&'static str], bool),
    RuleGone(&'static str),
    RuleUnreadable(&'static str),
    Source(&'static str, u8),
    SourceBroken(&'static str),
    Namespace(&'static str, &'static str),
    NamespaceGone(&'static str),
    Terminating(&'static str),
    Quota(&'static str, bool),
    Complete(bool),
    Secret(Name, Deed),
    DeliverOne,
    Relist,
    Begin,
    Finish,
    Pass(u16),
    NewTerm,
    Prove,
}

/// What a tenant does to a Secret.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Edit,
    EditAndRestore,
    RemoveLabels,
    RemoveRecord,
    Delete,
    MakeImmutable,
    MakeEqual,
    MakeOther,
    CloneWithLabels,
    Adopt,
    TakeBack,
    TakeOver,
    Hold,
    LetGo,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let secret =
        (select(&NAMESPACES[..]), select(&SECRETS[..])).prop_map(|(namespace, secret)| name(namespace, secret));
    let deed = select(vec![
        Deed::Edit,
        Deed::EditAndRestore,
        Deed::RemoveLabels,
        Deed::RemoveRecord,
        Deed::Delete,
        Deed::MakeImmutable,
        Deed::MakeEqual,
        Deed::MakeOther,
        Deed::CloneWithLabels,
        Deed::Adopt,
        Deed::TakeBack,
        Deed::TakeOver,
        Deed::Hold,
        Deed::LetGo,
    ]);
    let rules = (
        select(&RULES[..]),
        select(&SECRETS[..]),
        select(&SOURCE_NAMES[..]),
        select(&SELECTIONS[..]),
        prop::bool::weighted(0.2),
    );
    let step = prop_oneof![
        4 => rules.prop_map(|(rule, secret, source, selection, shadow)| Step::Rule(rule, secret, source, selection, shadow)),
        1 => select(&RULES[..]).prop_map(Step::RuleGone),
        1 => select(&RULES[..]).prop_map(Step::RuleUnreadable),
        4 => (select(&SOURCE_NAMES[..]), 0_u8..3).prop_map(|(source, password)| Step::Source(source, password)),
        1 => select(&SOURCE_NAMES[..]).prop_map(Step::SourceBroken),
        4 => (select(&NAMESPACES[..]), select(&TEAMS[..])).prop_map(|(name, team)| Step::Namespace(name, team)),
        1 => select(&NAMESPACES[..]).prop_map(Step::NamespaceGone),
        1 => select(&NAMESPACES[..]).prop_map(Step::Terminating),
        1 => (select(&NAMESPACES[..]), any::<bool>()).prop_map(|(name, full)| Step::Quota(name, full)),
        1 => any::<bool>().prop_map(Step::Complete),
        8 => (secret, deed).prop_map(|(name, deed)| Step::Secret(name, deed)),
        8 => Just(Step::DeliverOne),
        4 => Just(Step::Relist),
        8 => Just(Step::Begin),
        8 => Just(Step::Finish),
        3 => (0_u16..2_000).prop_map(Step::Pass),
        1 => Just(Step::NewTerm),
        1 => Just(Step::Prove),
    ];
    prop::collection::vec(step, 1..80)
}

/// What is true beside the planner.
#[derive(Default)]
struct Truth {
    /// By name: the rule, when it was created, and whether it can be read.
    rules: BTreeMap<&'static str, (Rule, u32, bool)>,
    created: u32,
    /// By namespace: its team.
    namespaces: BTreeMap<&'static str, &'static str>,
    /// The last good password of each source.
    sources: BTreeMap<&'static str, u8>,
}

impl Truth {
    fn step(&mut self, world: &mut World, step: Step) {
        match step {
            Step::Rule(name, secret, source, selection, is_shadow) => {
                let mut rule = rule(name, secret, source, selection);
                rule.mode = if is_shadow { Mode::Shadow } else { Mode::Enforce };
                let known = self.rules.get(name).map(|(_, second, _)| *second);
                let second = known.unwrap_or_else(|| {
                    self.created += 1;
                    self.created
                });
                let mut facts = facts(rule.clone(), second % 60);
                facts.uid = uid(name, second);
                world.planner.rule_set(&facts);
                self.rules.insert(name, (rule, second, true));
            }
            Step::RuleGone(name) => {
                if let Some((_, second, _)) = self.rules.remove(name) {
                    world.planner.rule_gone(&uid(name, second), world.now);
                }
            }
            Step::RuleUnreadable(name) => {
                if let Some((_, second, is_readable)) = self.rules.get_mut(name) {
                    *is_readable = false;
                    world.planner.rule_unreadable(&uid(name, *second));
                }
            }
            Step::Source(source, password) => {
                self.sources.insert(source, password);
                world.good_source(source, &password.to_string());
            }
            Step::SourceBroken(source) => world.planner.source_gone(&reference(source)),
            Step::Namespace(name, team) => {
                let is_born = self.namespaces.insert(name, team).is_none();
                world.namespace(name, team, is_born);
            }
            Step::NamespaceGone(name) => {
                if self.namespaces.remove(name).is_some() {
                    world.server.remove_namespace(name);
                    world.planner.namespace_gone(name);
                }
            }
            Step::Terminating(name) => {
                if let Some(team) = self.namespaces.get(name) {
                    world.server.terminating.insert(name.to_owned());
                    // Some of the time the namespace's watch is late.
                    if world.now.as_secs().is_multiple_of(2) {
                        world.namespace(name, team, false);
                    }
                }
            }
            Step::Quota(name, is_full) => {
                world.server.full.remove(name);
                if is_full {
                    world.server.full.insert(name.to_owned());
                }
            }
            Step::Complete(is_complete) => world.planner.rules_complete(is_complete, world.now),
            Step::Secret(secret, deed) => {
                if self.namespaces.contains_key(secret.0.as_str()) {
                    self.act(world, &secret, deed);
                }
            }
            Step::DeliverOne => world.deliver_one(),
            Step::Relist => relist(world),
            Step::Begin => world.begin(),
            Step::Finish => world.finish(),
            Step::Pass(seconds) => world.now += Duration::from_secs(seconds.into()),
            Step::NewTerm => {
                world.planner.stop();
                world.running.clear();
                world.planner.start();
            }
            Step::Prove => world.planner.prove(world.now),
        }
    }

    fn act(&self, world: &mut World, secret: &Name, deed: Deed) {
        let server = &mut world.server;
        let field = |path: &[&str]| -> Vec<String> { path.iter().map(|step| (*step).to_owned()).collect() };
        let data = field(&["data", ".dockerconfigjson"]);
        let adopt = field(&["metadata", "labels", ADOPT_LABEL.0]);
        let payload = |password: &u8| by_hand(JSON, &config(&password.to_string()));
        match deed {
            Deed::Edit => server.update(secret, "kubectl", |fields| {
                fields.insert(data, "edited".to_owned());
            }),
            Deed::EditAndRestore => {
                let before = server
                    .secrets
                    .get(secret)
                    .and_then(|secret| secret.fields.get(&data))
                    .cloned();
                server.update(secret, "kubectl", |fields| {
                    fields.insert(data.clone(), "edited".to_owned());
                });
                server.update(secret, "kubectl", |fields| {
                    fields.extend(before.map(|before| (data, before)));
                });
            }
            Deed::RemoveLabels => server.update(secret, "kubectl", |fields| {
                fields.retain(|field, _| field.get(1).is_none_or(|map| map != "labels"));
            }),
            Deed::RemoveRecord => server.update(secret, "kubectl", |fields| {
                fields.retain(|field, _| field.get(1).is_none_or(|map| map != "annotations"));
            }),
            Deed::Delete => server.delete(secret),
            // One that is not ours yet can be handed over only as long as it can be written.
            Deed::MakeImmutable if server.secrets.get(secret).is_some_and(Secret::is_ours) => {
                server.update(secret, "kubectl", |fields| {
                    fields.insert(immutable(), "true".to_owned());
                });
            }
            Deed::MakeImmutable => {}
            Deed::MakeEqual => {
                if let Some(password) = self.sources.values().next() {
                    server.create(secret, "kubectl-create", payload(password));
                }
            }
            Deed::MakeOther => server.create(secret, "kubectl-create", payload(&9)),
            Deed::CloneWithLabels => {
                let any = server.secrets.values().find(|any| any.is_labelled()).cloned();
                if let Some(any) = any {
                    server.create(secret, "velero", any.fields);
                }
            }
            Deed::Adopt => server.update(secret, "kubectl-label", |fields| {
                fields.insert(adopt, ADOPT_LABEL.1.to_owned());
            }),
            Deed::TakeBack => server.update(secret, "kubectl-label", |fields| {
                fields.remove(&adopt);
            }),
            Deed::TakeOver => {
                if let Some(known) = server.secrets.get(secret) {
                    let r#type = known.field(&["type"]).unwrap().to_owned();
                    let applied = flat(&serde_json::json!({ "type": r#type }));
                    let _ = server.apply(secret, "argocd", applied, true);
                }
            }
            Deed::Hold => server.finalize(secret, true),
            Deed::LetGo => server.finalize(secret, false),
        }
    }

    /// Lets everything come to rest: all is told, nobody holds anything back.
    fn rest(&mut self, world: &mut World) {
        while !world.running.is_empty() {
            world.finish();
        }
        world.server.full.clear();
        for secret in world.server.secrets.keys().cloned().collect::<Vec<_>>() {
            world.server.finalize(&secret, false);
        }
        for name in std::mem::take(&mut world.server.terminating) {
            world.server.remove_namespace(&name);
            world.planner.namespace_gone(&name);
            self.namespaces.remove(name.as_str());
        }
        world.planner.rules_complete(true, world.now);
        world.pass(Duration::from_hours(3));
    }

    /// What the design says of each place where all rules are in force: worked out by going through all rules.
    fn check(&self, world: &World) {
        for (namespace, team) in &self.namespaces {
            for secret in SECRETS {
                let named: Vec<_> = self.rules.values().filter(|(rule, ..)| rule.secret == secret).collect();
                if named
                    .iter()
                    .any(|(rule, _, is_readable)| !is_readable || rule.mode == Mode::Shadow)
                {
                    continue;
                }
                let labels = [("team", *team)].into_iter().collect();
                let facts = Namespace {
                    name: namespace,
                    labels: Some(&labels),
                };
                let mut wanting: Vec<_> = named
                    .iter()
                    .filter(|(rule, ..)| rule.namespaces.selects(&facts))
                    .collect();
                wanting.sort_by_key(|(rule, second, _)| (second % 60, rule.name.clone()));
                let actual = world.server.secrets.get(&name(namespace, secret));
                let place = format!("{namespace}/{secret}: {actual:?}");
                let Some((rule, ..)) = wanting.first() else {
                    assert!(!actual.is_some_and(Secret::is_ours), "left behind: {place}");
                    continue;
                };
                let source = &rule.copy_from.as_ref().unwrap().name;
                let Some(password) = self.sources.get(source.as_str()) else {
                    continue;
                };
                let is_foreign = actual.is_some_and(|actual| !actual.is_ours() && !actual.is_handed_over());
                let is_copy = actual.is_some_and(|actual| actual.is_labelled() && actual.is_ours())
                    && world.has_copy(namespace, secret, &password.to_string());
                assert!(is_foreign || is_copy, "not {password} of {source}: {place}");
            }
        }
    }
}

/// The watch of copies is lost and lists them anew, and in the middle of that something is done.
fn relist(world: &mut World) {
    let watches_all = world.server.watches_all;
    let watches = if watches_all {
        SECRETS.map(Some).to_vec()
    } else {
        vec![None]
    };
    for name in &watches {
        world.planner.copies_unheard(*name);
    }
    world.server.watch.clear();
    let listed = world.server.secrets.clone();
    let listed = listed.iter().filter(|(_, secret)| watches_all || secret.is_labelled());
    for (name, secret) in listed {
        world
            .planner
            .copy_set(&name.0, &name.1, secret.observed(&world.style), world.now);
        world.begin();
        world.finish();
    }
    for name in watches {
        world.planner.copies_listed(name, world.now);
    }
}

fn uid(name: &str, second: u32) -> std::sync::Arc<str> {
    format!("uid-{name}-{second}").into()
}

/// A planner that has just started and knows what there is, but not how it came about.
fn afresh(truth: &Truth, world: &World, names: Option<&Names>) -> World {
    let mut fresh = World::not_started(names.cloned());
    fresh.list_sources(names);
    for (source, password) in &truth.sources {
        // With the versions that the copies were made of.
        fresh.good_source_like(world, source, &password.to_string());
    }
    for (name, (rule, second, is_readable)) in &truth.rules {
        let mut facts = facts(rule.clone(), second % 60);
        facts.uid = uid(name, *second);
        fresh.planner.rule_set(&facts);
        if !is_readable {
            fresh.planner.rule_unreadable(&facts.uid);
        }
    }
    for (namespace, team) in &truth.namespaces {
        fresh.namespace(namespace, team, false);
    }
    for name in SECRETS.iter().filter(|_| names.is_some()) {
        fresh.planner.copies_listed(Some(name), fresh.now);
    }
    for (name, secret) in &world.server.secrets {
        let observed = secret.observed(&world.style);
        fresh.planner.copy_set(&name.0, &name.1, observed, fresh.now);
    }
    fresh.planner.rules_complete(true, fresh.now);
    fresh.planner.start();
    fresh
}

fn status(world: &mut World, truth: &Truth, name: &str) -> Option<RuleStatus> {
    let (rule, second, _) = truth.rules.get(name)?;
    let summary = world.planner.summary(&uid(name, *second))?;
    let (previous, now) = (RuleStatus::default(), Timestamp::new("2026-11-22T10:00:00Z"));
    Some(RuleStatus::new(1, Verdict::Good(rule), Some(&summary), &previous, &now))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// The server itself fails the test where we write or delete what is not ours.
    #[test]
    fn whatever_happens_ends_as_the_design_says_and_nothing_is_missed(steps in steps(), is_named in any::<bool>()) {
        let names: Vec<_> = SECRETS.into_iter().map(str::to_owned).chain(SOURCE_NAMES.map(|name| format!("{SOURCES}/{name}"))).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let mut world = if is_named { World::named(&names) } else { World::new() };
        let mut truth = Truth::default();
        for step in steps {
            truth.step(&mut world, step);
        }
        prop_assert_eq!(world.planner.missed(), 0);
        truth.rest(&mut world);
        truth.check(&world);

        let events = world.planner.take_events();
        let statuses = RULES.map(|name| status(&mut world, &truth, name));
        let shown = format!("{:?} {events:?} {statuses:?}", world.planner);
        prop_assert!(!shown.contains(MARKER) && !shown.contains(MARKER_BASE64), "{}", shown);

        let writes = world.server.writes;
        world.planner.prove(world.now);
        world.settle();
        prop_assert_eq!(world.planner.missed(), 0);
        prop_assert_eq!(world.server.writes, writes, "planned again, it does nothing");

        let names: Names = names.iter().map(|name| name.parse().unwrap()).collect();
        let mut fresh = afresh(&truth, &world, is_named.then_some(&names));
        let changes: BTreeSet<_> = fresh.tasks().into_iter().filter(|task| !task.starts_with("look")).collect();
        prop_assert_eq!(changes, BTreeSet::new(), "started afresh, it finds nothing to do");
    }

    #[test]
    fn no_hour_sees_more_removals_than_allowed(waits in prop::collection::vec((0_u64..120, any::<bool>()), 1..2_000), copies in 0_usize..4_000) {
        let hour = Duration::from_hours(1);
        let mut removals = Removals::default();
        let mut now = Moment::ZERO;
        let mut done: Vec<Moment> = Vec::new();
        let mut left = copies;
        for (wait, was_wanted) in waits {
            now += Duration::from_secs(wait);
            if left == 0 || !removals.allows(was_wanted, left, now) {
                continue;
            }
            removals.begin(was_wanted);
            removals.end(was_wanted, true, now);
            done.push(now);
            left -= 1;
            let recent = done.iter().filter(|at| **at + hour > now).count();
            prop_assert!(recent <= 100.max((left + recent) / 10), "{} of {}", recent, left);
        }
    }
}
