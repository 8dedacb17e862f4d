use super::*;
use pullkey::cluster::namespaces::Namespaces;
use pullkey::cluster::service_accounts::{Strict, StrictAccounts};
use pullkey::cluster::snapshot::Known;
use pullkey::cluster::{Event, Key, matches};
use pullkey::rules::compile::{Context, compile};
use pullkey::rules::{LastMatch, Rule};
use serde_json::{Value, json};
use std::pin::pin;

const RULES: &str = "
{apiVersion: pullkey.dev/v1alpha1, kind: ClusterPullSecretRule, metadata: {name: labelled},
 spec: {images: [a.example], namespaces: {selector: {matchLabels: {team: a}}}, secret: {name: labelled}}}
---
{apiVersion: pullkey.dev/v1alpha1, kind: ClusterPullSecretRule, metadata: {name: copied},
 spec: {images: [b.example], namespaces: {include: ['*']}, secret: {name: copied, copyFrom: {namespace: n, name: x}}}}
---
{apiVersion: pullkey.dev/v1alpha1, kind: ClusterPullSecretRule, metadata: {name: shadow},
 spec: {images: [c.example], namespaces: {include: ['*']}, mode: Shadow, secret: {name: s, copyFrom: {namespace: n, name: x}}}}
";

fn rules() -> Arc<RuleSet> {
    let context = Context {
        own_namespace: "pullkey",
        labels: true,
        source_keys: None,
    };
    let compiled = compile(RULES, "rules.yaml", &context);
    assert_eq!(compiled.mistakes, []);
    Arc::new(RuleSet::new(compiled.rules))
}

fn facts(labels: &[(&str, &str)]) -> NamespaceFacts {
    NamespaceFacts {
        labels: labels.iter().copied().collect(),
        terminating: false,
        added: None,
    }
}

/// A cluster with an old namespace of each kind, and one that was born just now.
fn cluster() -> Known {
    let (mut namespaces, mut strict_accounts) = (Namespaces::default(), StrictAccounts::default());
    let now = Instant::now();
    let listed = [
        ("team-a", facts(&[("team", "a")])),
        ("team-b", facts(&[])),
        ("out", facts(&[("team", "a"), ("pullkey.dev/inject", "false")])),
    ];
    let objects = listed.map(|(name, facts)| (Key::new("", name), facts)).to_vec();
    namespaces.apply(Event::Listed { objects, bad: vec![] }, now);
    namespaces.apply(Event::Applied(Key::new("", "new"), facts(&[("team", "a")])), now);
    strict_accounts.apply(Event::Applied(Key::new("team-a", "strict"), Strict));
    Known {
        namespaces,
        strict_accounts,
    }
}

fn review(namespace: &str, operation: &str, spec: &Value) -> String {
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "u", "operation": operation, "namespace": namespace, "object": {"spec": spec},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
        },
    })
    .to_string()
}

/// What comes of it: the outcome as the metrics tell it.
fn outcome(decider: &Decider, review: &str) -> String {
    let before = decider.metrics.encode();
    let answer = decider.admit(&decider.read(review.as_bytes()).unwrap());
    let after = decider.metrics.encode();
    let is_new = |line: &&str| !before.lines().any(|before| before == *line);
    let counted = ["pullkey_decisions_total{", "pullkey_retries_asked_total{"];
    let mut new = after.lines().filter(is_new);
    let line = new
        .find(|line| counted.iter().any(|name| line.starts_with(name)))
        .unwrap();
    assert_eq!(answer == Answer::RetryLater, line.contains("retries"), "{line}");
    let values: Vec<_> = line
        .split('"')
        .skip(1)
        .step_by(2)
        .filter(|value| !value.is_empty())
        .collect();
    values.join(" ")
}

fn decider(settling: Duration, cluster: Option<Known>) -> Decider {
    let decider = empty(settling);
    decider.replace(Snapshot {
        rules: rules(),
        cluster,
    });
    decider
}

fn empty(settling: Duration) -> Decider {
    Decider::new(settling, Arc::new(Metrics::new(admission::SkipReason::CODES)))
}

#[test]
fn what_a_pod_gets_depends_on_all_that_is_known() {
    let nothing = empty(Duration::ZERO);
    let files = decider(Duration::from_hours(1), None);
    let plain = decider(Duration::ZERO, Some(cluster()));
    let settling = decider(Duration::from_hours(1), Some(cluster()));
    let image = |image: &str| json!({"containers": [{"image": image}]});
    let of = |account: &str| json!({"containers": [{"image": "a.example/x"}], "serviceAccountName": account});
    for (name, decider, namespace, spec, expected) in [
        (
            "nothing is loaded",
            &nothing,
            "team-a",
            image("a.example/x"),
            "not_loaded",
        ),
        (
            "no labels are known",
            &files,
            "team-a",
            image("a.example/x"),
            "skipped no_rule",
        ),
        ("no namespace is known", &files, "any", image("b.example/x"), "injected"),
        ("a selector", &plain, "team-a", image("a.example/x"), "injected"),
        (
            "a selector, other labels",
            &plain,
            "team-b",
            image("a.example/x"),
            "skipped no_rule",
        ),
        (
            "an opt-out",
            &plain,
            "out",
            image("a.example/x"),
            "skipped namespace_opted_out",
        ),
        (
            "an unknown namespace",
            &plain,
            "later",
            image("a.example/x"),
            "unknown_namespace",
        ),
        (
            "an unknown one, no rule",
            &plain,
            "later",
            image("x.example/x"),
            "unknown_namespace",
        ),
        ("a Pod that is none", &plain, "later", json!(7), "skipped undecodable"),
        ("a new namespace", &plain, "new", image("b.example/x"), "injected"),
        (
            "a new one, settling",
            &settling,
            "new",
            image("b.example/x"),
            "new_namespace",
        ),
        ("settling, no copy", &settling, "new", image("a.example/x"), "injected"),
        (
            "settling, a copy of Shadow",
            &settling,
            "new",
            image("c.example/x"),
            "skipped shadow_only",
        ),
        ("settled", &settling, "team-a", image("b.example/x"), "injected"),
        (
            "a strict account",
            &plain,
            "team-a",
            of("strict"),
            "skipped mountable_secrets",
        ),
        ("another account", &plain, "team-a", of("default"), "injected"),
        (
            "a strict account, no rule",
            &plain,
            "team-b",
            of("strict"),
            "skipped no_rule",
        ),
    ] {
        assert_eq!(
            outcome(decider, &review(namespace, "CREATE", &spec)),
            expected,
            "{name}"
        );
    }
    let update = review("later", "UPDATE", &image("a.example/x"));
    assert_eq!(
        outcome(&plain, &update),
        "skipped not_create",
        "it gets nothing wherever it is"
    );
}

#[test]
fn a_new_snapshot_counts_from_the_next_review_on() {
    let decider = empty(Duration::ZERO);
    let review = review("team-a", "CREATE", &json!({"containers": [{"image": "b.example/x"}]}));
    assert_eq!(outcome(&decider, &review), "not_loaded");
    assert!(decider.rules().is_none());
    decider.replace(Snapshot::of_files(rules()));
    assert_eq!(outcome(&decider, &review), "injected");
    assert_eq!(decider.rules().unwrap().rules().len(), 3);
}

#[test]
fn the_hour_is_kept_of_rules_that_match_whether_or_not_they_change_the_pod() {
    let pod =
        |image: &str, secret: &str| json!({"containers": [{"image": image}], "imagePullSecrets": [{"name": secret}]});
    for (name, image, secret, dry_run, expected) in [
        ("injected", "b.example/x", "own", false, vec!["copied"]),
        ("named already", "b.example/x", "copied", false, vec!["copied"]),
        ("shadow", "c.example/x", "own", false, vec!["shadow"]),
        ("another namespace's", "a.example/x", "own", false, vec![]),
        ("no rule", "d.example/x", "own", false, vec![]),
        ("dry run", "b.example/x", "own", true, vec![]),
    ] {
        let rules = rules();
        let objects = rules.rules().iter().map(|rule| Rule {
            last_match: Some(Arc::new(LastMatch::new(rule.name.as_str().into()))),
            ..Rule::clone(rule)
        });
        let decider = empty(Duration::ZERO);
        decider.replace(Snapshot {
            rules: Arc::new(RuleSet::new(objects.collect::<Vec<_>>())),
            cluster: Some(cluster()),
        });
        let mut review: Value = serde_json::from_str(&review("team-b", "CREATE", &pod(image, secret))).unwrap();
        review["request"]["dryRun"] = json!(dry_run);
        outcome(&decider, &review.to_string());
        let told = matches::read(&matches::tell(decider.rules().unwrap().rules())).unwrap();
        assert_eq!(told.keys().map(|uid| &**uid).collect::<Vec<_>>(), expected, "{name}");
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        assert!(
            told.values().all(|hour| (now - 7_200..=now).contains(&hour.begins())),
            "{name}: {told:?}"
        );
    }
}

#[test]
fn who_asks_about_an_unknown_namespace_shows_that_there_is_somebody_to_ask() {
    let decider = decider(Duration::ZERO, Some(cluster()));
    let asks_again = decider.asks_again();
    let mut asked = pin!(asks_again.notified());
    asked.as_mut().enable();
    let spec = json!({"containers": [{"image": "a.example/x"}]});
    outcome(&decider, &review("team-a", "CREATE", &spec));
    assert!(!asked.as_mut().enable());
    outcome(&decider, &review("later", "CREATE", &spec));
    assert!(asked.as_mut().enable());
}
