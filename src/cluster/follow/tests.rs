use super::super::rules::{CLUSTER_RULES_PATH, RULES_PATH};
use super::*;
use crate::cluster::Key;
use crate::cluster::mock::{Api, Call, Feed};
use crate::image::ImageReference;
use crate::metrics::WatchFailure;
use crate::rules::compile::{Context, compile};
use crate::rules::{Namespace, Rule};
use serde_json::{Value, json};
use std::collections::HashMap;

/// A cluster that is followed.
struct Scene {
    api: Api,
    reports: mpsc::UnboundedReceiver<Told>,
    files: watch::Sender<Option<Arc<RuleSet>>>,
    metrics: Arc<Metrics>,
}

/// A report that can be kept.
struct Told {
    snapshot: Option<Snapshot>,
    rules_changed: Option<Whose>,
    awaited: Vec<(Resource, String)>,
    findings: Vec<String>,
    refused: Vec<(Resource, usize)>,
    troubles: Vec<(Resource, WatchFailure)>,
}

impl Scene {
    fn new() -> Self {
        let (client, api) = Api::new();
        let metrics = Arc::new(Metrics::new([]));
        let (files, receiver) = watch::channel(None);
        let (sender, reports) = mpsc::unbounded_channel();
        let tell = move |report: Report<'_>| {
            let _ = sender.send(Told {
                snapshot: report.snapshot,
                rules_changed: report.rules_changed,
                awaited: report.awaited.to_vec(),
                findings: report
                    .findings
                    .iter()
                    .map(|finding| finding.diagnostic.message.clone())
                    .collect(),
                refused: report.refused,
                troubles: report
                    .troubles
                    .iter()
                    .map(|(resource, trouble)| (*resource, trouble.failure))
                    .collect(),
            });
        };
        let counted = Arc::clone(&metrics);
        tokio::spawn(async move { follow(client, "pullkey", &counted, receiver, Arc::default(), tell).await });
        Self {
            api,
            reports,
            files,
            metrics,
        }
    }

    /// A cluster of these objects that has been listed, and its watches by path.
    async fn listed(objects: &[(&str, Vec<Value>)]) -> (Self, HashMap<String, Feed>) {
        let mut scene = Self::new();
        for _ in 0..4 {
            let call = scene.api.call().await;
            let items = objects.iter().find(|(path, _)| *path == path_of(&call));
            answer(call, items.map(|(_, items)| items.as_slice()).unwrap_or_default());
        }
        let mut feeds = HashMap::new();
        for _ in 0..4 {
            let call = scene.api.call().await;
            feeds.insert(path_of(&call), call.stream());
        }
        (scene, feeds)
    }

    /// The first report for which this holds.
    async fn until(&mut self, holds: impl Fn(&Told) -> bool) -> Told {
        loop {
            let told = self.reports.recv().await.unwrap();
            if holds(&told) {
                return told;
            }
        }
    }

    async fn until_known(&mut self, holds: impl Fn(&Snapshot) -> bool) -> Snapshot {
        let told = self.until(|told| told.snapshot.as_ref().is_some_and(&holds)).await;
        told.snapshot.unwrap()
    }
}

fn path_of(call: &Call) -> String {
    call.target.split('?').next().unwrap().to_owned()
}

fn answer(call: Call, items: &[Value]) {
    let list = json!({"metadata": {"resourceVersion": "5"}, "items": items});
    call.answer(200, &list.to_string());
}

fn event(what: &str, object: &Value) -> String {
    format!("{}\n", json!({"type": what, "object": object}))
}

fn rule(name: &str, image: &str) -> Value {
    json!({
        "metadata": {"name": name, "uid": name, "generation": 1, "resourceVersion": "6"},
        "spec": {"images": [image], "namespaces": {"selector": {"matchLabels": {"team": "a"}}}, "secret": {"name": name}},
    })
}

fn namespace(name: &str, labels: &Value) -> Value {
    json!({"metadata": {"name": name, "resourceVersion": "6", "labels": labels}})
}

/// The rules that apply to that image there.
fn rules(snapshot: &Snapshot, namespace: &str, image: &str) -> Vec<String> {
    let known = snapshot.namespace(namespace).unwrap();
    let namespace = Namespace {
        name: namespace,
        labels: Some(&known.labels),
    };
    let found = snapshot
        .rules
        .matches(&ImageReference::parse(image).unwrap(), &namespace);
    found.iter().map(|found| found.rule.name.clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn nothing_is_known_until_every_list_is_complete() {
    let mut scene = Scene::new();
    let mut calls = HashMap::new();
    for _ in 0..4 {
        let call = scene.api.call().await;
        let is_metadata = call.accept.contains("PartialObjectMetadata");
        assert_eq!(is_metadata, path_of(&call).starts_with("/api/v1/"), "{}", call.target);
        calls.insert(path_of(&call), call);
    }
    let mut answer = |path: &str| answer(calls.remove(path).unwrap(), &[]);
    for (path, left) in [(namespaces::PATH, 3), (service_accounts::PATH, 2), (RULES_PATH, 1)] {
        answer(path);
        let told = scene.until(|told| told.awaited.len() == left).await;
        assert!(told.snapshot.is_none(), "{path}");
    }
    let missing = calls.remove(CLUSTER_RULES_PATH).unwrap();
    missing.answer(404, "404 page not found");
    let told = scene.until(|told| !told.troubles.is_empty()).await;
    assert_eq!(
        told.troubles,
        [(Resource::ClusterPullSecretRules, WatchFailure::Missing)]
    );
    let [(Resource::ClusterPullSecretRules, why)] = &told.awaited[..] else {
        panic!("{:?}", told.awaited)
    };
    assert!(why.contains("is its CustomResourceDefinition installed?"), "{why}");
    loop {
        let call = scene.api.call().await;
        if path_of(&call) == CLUSTER_RULES_PATH {
            break self::answer(call, &[]);
        }
    }
    let told = scene.until(|told| told.awaited.is_empty()).await;
    assert!(told.snapshot.is_some());
}

#[tokio::test(start_paused = true)]
async fn what_happens_in_the_cluster_is_in_the_next_snapshot() {
    let (mut scene, feeds) = Scene::listed(&[
        (CLUSTER_RULES_PATH, vec![rule("first", "a.example")]),
        (namespaces::PATH, vec![namespace("team-a", &json!({"team": "a"}))]),
    ])
    .await;
    let first = scene.until_known(|_| true).await;
    assert_eq!(rules(&first, "team-a", "a.example/x"), ["first"]);
    assert!(first.lacks("team-b") && !first.is_strict("team-a", ""));

    let born = namespace("team-b", &json!({"team": "a", "pullkey.dev/inject": "false"}));
    feeds[namespaces::PATH].send(&event("ADDED", &born));
    let snapshot = scene.until_known(|snapshot| !snapshot.lacks("team-b")).await;
    assert!(snapshot.namespace("team-b").unwrap().added.is_some());
    assert!(
        Arc::ptr_eq(&first.rules, &snapshot.rules),
        "rules are not indexed for a namespace"
    );

    feeds[CLUSTER_RULES_PATH].send(&event("ADDED", &rule("second", "a.example/x")));
    let two = |snapshot: &Snapshot| snapshot.rules.rules().len() == 2;
    let snapshot = scene.until_known(two).await;
    assert_eq!(rules(&snapshot, "team-b", "a.example/x"), ["second", "first"]);

    let strict = json!({"kubernetes.io/enforce-mountable-secrets": "true"});
    let account = json!({"metadata": {"name": "default", "namespace": "team-a", "annotations": strict}});
    feeds[service_accounts::PATH].send(&event("MODIFIED", &account));
    let snapshot = scene.until_known(|snapshot| snapshot.is_strict("team-a", "")).await;
    assert!(!snapshot.is_strict("team-b", "") && first.namespace("team-b").is_none());

    let told = scene.metrics.encode();
    for line in [
        "pullkey_objects{resource=\"clusterpullsecretrules\"} 2",
        "pullkey_objects{resource=\"namespaces\"} 2",
        "pullkey_objects{resource=\"serviceaccounts\"} 1",
    ] {
        assert!(told.lines().any(|told| told == line), "{line} missing");
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_said_whose_rules_are_others_and_nothing_of_statuses() {
    let (mut scene, feeds) = Scene::listed(&[(CLUSTER_RULES_PATH, vec![rule("first", "a.example")])]).await;
    scene.until_known(|_| true).await;
    let tenants = |name: &str| {
        json!({
            "metadata": {"name": name, "namespace": "team-a", "uid": name, "generation": 1, "resourceVersion": "6"},
            "spec": {"images": ["a.example"], "secret": {"name": name}},
        })
    };
    let knows = |told: &Told, count: usize| {
        let snapshot = told.snapshot.as_ref();
        snapshot.is_some_and(|snapshot| snapshot.rules.rules().len() == count)
    };
    feeds[RULES_PATH].send(&event("ADDED", &tenants("own")));
    let told = scene.until(|told| knows(told, 2)).await;
    assert_eq!(told.rules_changed, Some(Whose::Tenants));

    // Of what comes at once the more important is said.
    feeds[CLUSTER_RULES_PATH].send(&event("ADDED", &rule("second", "a.example")));
    feeds[RULES_PATH].send(&event("ADDED", &tenants("other")));
    let mut whose = Vec::new();
    loop {
        let told = scene.until(|_| true).await;
        whose.extend(told.rules_changed);
        if knows(&told, 4) {
            break;
        }
    }
    assert_eq!(whose, [Whose::PolicyTeam]);

    let mut with_status = rule("second", "a.example");
    with_status["status"] = json!({"observedGeneration": 1, "lastMatch": "2026-11-22T07:00:00Z", "conditions": []});
    feeds[CLUSTER_RULES_PATH].send(&event("MODIFIED", &with_status));
    feeds[CLUSTER_RULES_PATH].send(&event("ADDED", &rule("bad", "a.example:v1/x")));
    loop {
        let told = scene.until(|_| true).await;
        assert_eq!(told.rules_changed, None);
        if !told.refused.is_empty() {
            break;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_bad_rule_is_skipped_and_said_once() {
    let (mut scene, feeds) = Scene::listed(&[(
        CLUSTER_RULES_PATH,
        vec![rule("bad", "a.example:v1/x"), rule("good", "b.example")],
    )])
    .await;
    let told = scene.until(|told| told.snapshot.is_some()).await;
    assert_eq!(
        (told.findings.len(), told.refused),
        (1, vec![(Resource::ClusterPullSecretRules, 1)])
    );
    assert_eq!(told.snapshot.unwrap().rules.rules().len(), 1);
    feeds[CLUSTER_RULES_PATH].send(&event("MODIFIED", &rule("bad", "a.example:v1/x")));
    feeds[CLUSTER_RULES_PATH].send(&event("ADDED", &rule("third", "b.example")));
    let two = |told: &Told| {
        told.snapshot
            .as_ref()
            .is_some_and(|snapshot| snapshot.rules.rules().len() == 2)
    };
    let told = scene.until(two).await;
    assert!(told.findings.is_empty());
    let line = "pullkey_objects_refused{resource=\"clusterpullsecretrules\"} 1";
    assert!(scene.metrics.encode().lines().any(|told| told == line));
}

#[tokio::test(start_paused = true)]
async fn rules_of_files_are_in_force_beside_objects() {
    let (mut scene, feeds) = Scene::listed(&[(CLUSTER_RULES_PATH, vec![rule("both", "a.example")])]).await;
    scene.until_known(|_| true).await;
    let text = ["both", "file"].map(|name| {
        format!(
            "apiVersion: pullkey.dev/v1alpha1\nkind: ClusterPullSecretRule\nmetadata: {{name: {name}}}\n\
             spec: {{images: [file.example], namespaces: {{include: ['*']}}, secret: {{name: s}}}}\n---\n"
        )
    });
    let context = Context {
        own_namespace: "pullkey",
        labels: true,
        source_keys: None,
    };
    let files = compile(&text.concat(), "rules.yaml", &context).rules;
    scene.files.send_replace(Some(Arc::new(RuleSet::new(files))));
    let told = scene.until(|told| !told.findings.is_empty()).await;
    assert_eq!(
        told.findings,
        ["the object in the cluster wins over the rule of this name in a file"]
    );
    let names = |snapshot: &Snapshot| -> Vec<String> {
        let shown = |rule: &Arc<Rule>| format!("{} {}", rule.name, rule.patterns[0].as_str());
        snapshot.rules.rules().iter().map(shown).collect()
    };
    assert_eq!(names(&told.snapshot.unwrap()), ["both a.example", "file file.example"]);
    feeds[CLUSTER_RULES_PATH].send(&event("DELETED", &rule("both", "a.example")));
    let snapshot = scene.until_known(|snapshot| names(snapshot) == ["both file.example", "file file.example"]);
    snapshot.await;
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_rules_is_indexed_once() {
    let (mut scene, feeds) = Scene::listed(&[]).await;
    let first = scene.until_known(|_| true).await;
    assert!(first.rules.rules().is_empty());
    let mut indexes = vec![Arc::as_ptr(&first.rules)];
    for index in 0..300 {
        feeds[CLUSTER_RULES_PATH].send(&event("ADDED", &rule(&format!("r{index}"), "a.example")));
    }
    let mut kept = vec![first];
    while kept.last().unwrap().rules.rules().len() < 300 {
        let snapshot = scene.until_known(|_| true).await;
        if indexes.last() != Some(&Arc::as_ptr(&snapshot.rules)) {
            indexes.push(Arc::as_ptr(&snapshot.rules));
        }
        kept.push(snapshot);
    }
    assert!(indexes.len() <= 3, "{} indexes", indexes.len());
    assert_eq!(Key::new("", "r1").to_string(), "r1");
}

#[tokio::test(start_paused = true)]
async fn what_is_known_stays_known_while_nothing_is_heard() {
    let (mut scene, feeds) = Scene::listed(&[(namespaces::PATH, vec![namespace("team-a", &json!({}))])]).await;
    scene.until_known(|_| true).await;
    for (_, feed) in feeds {
        feed.break_off();
    }
    for _ in 0..8 {
        scene.api.call().await.answer(500, "{}");
    }
    let told = scene
        .until(|told| {
            told.troubles
                .iter()
                .any(|(_, failure)| *failure == WatchFailure::Refused)
        })
        .await;
    assert!(told.awaited.is_empty(), "once ready, always ready");
    assert!(!told.snapshot.unwrap().lacks("team-a"));
}

#[tokio::test(start_paused = true)]
async fn rules_stay_in_force_while_their_kind_is_missing_and_until_a_list_says_otherwise() {
    let (mut scene, mut feeds) = Scene::listed(&[
        (namespaces::PATH, vec![namespace("team-a", &json!({"team": "a"}))]),
        (CLUSTER_RULES_PATH, vec![rule("acme", "ghcr.io")]),
    ])
    .await;
    scene.until_known(|_| true).await;
    feeds.remove(CLUSTER_RULES_PATH).unwrap().break_off();
    let of_rules = |told: &Told, failure| told.troubles.contains(&(Resource::ClusterPullSecretRules, failure));
    for _ in 0..8 {
        scene.api.call().await.answer(404, "404 page not found\n");
        let told = scene.until(|told| of_rules(told, WatchFailure::Missing)).await;
        assert!(told.awaited.is_empty());
        assert_eq!(rules(&told.snapshot.unwrap(), "team-a", "ghcr.io/app"), ["acme"]);
    }
    answer(scene.api.call().await, &[]);
    scene
        .until_known(|known| rules(known, "team-a", "ghcr.io/app").is_empty())
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_tenants_rule_that_moves_up_from_beyond_the_limit_is_read_again() {
    let rule = |index: usize| {
        let name = format!("r{index:03}");
        json!({
            "metadata": {
                "name": name, "namespace": "team-a", "uid": name, "generation": 1, "resourceVersion": "6",
                "creationTimestamp": "2026-11-22T07:00:00Z",
            },
            "spec": {"images": [format!("{name}.example")], "secret": {"name": name}},
        })
    };
    let (mut scene, feeds) = Scene::listed(&[
        (RULES_PATH, (0..102).map(rule).collect()),
        (namespaces::PATH, vec![namespace("team-a", &json!({}))]),
    ])
    .await;
    let applies =
        |snapshot: &Snapshot, index: usize| !rules(snapshot, "team-a", &format!("r{index:03}.example/x")).is_empty();
    let first = scene.until_known(|_| true).await;
    assert!((0..100).all(|index| applies(&first, index)));
    assert!(!applies(&first, 100) && !applies(&first, 101));

    feeds[RULES_PATH].send(&event("DELETED", &rule(7)));
    let call = scene.api.call().await;
    let path = "/apis/pullkey.dev/v1alpha1/namespaces/team-a/pullsecretrules";
    assert_eq!(
        call.target,
        format!("{path}?fieldSelector=metadata.name%3Dr100&limit=500")
    );
    answer(call, &[rule(100)]);
    let then = scene.until_known(|snapshot| applies(snapshot, 100)).await;
    assert!(!applies(&then, 7) && !applies(&then, 101));
}
