use super::*;
use crate::cluster::crowd::thin;
use crate::image::ImageReference;
use crate::rules::{Hour, Namespace, RuleSet};
use serde_json::{Value, json};

fn read_here(kind: Kind, object: &Value) -> RuleObject {
    read(kind, "pullkey", &object.to_string()).unwrap().unwrap()
}

/// A cluster rule as an API server has it; `status` may be null.
fn cluster_rule(name: &str, spec: &Value, status: &Value) -> Value {
    json!({
        "apiVersion": "pullkey.dev/v1alpha1", "kind": "ClusterPullSecretRule",
        "metadata": {
            "name": name, "uid": format!("uid of {name}"), "generation": 3, "resourceVersion": "7",
            "creationTimestamp": "2026-11-22T07:00:00Z", "labels": {"a": "b"},
            "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:spec": {}}}],
        },
        "spec": spec, "status": status,
    })
}

fn images(images: &[&str]) -> Value {
    json!({"images": images, "namespaces": {"include": ["*"]}, "secret": {"name": "s"}})
}

fn derived() -> Value {
    let source = json!({"namespace": "sources", "name": "x"});
    json!({"namespaces": {"selector": {"matchLabels": {"a": "b"}}}, "secret": {"name": "s", "copyFrom": source}})
}

fn tenants_rule(namespace: &str, name: &str, created: &str, image: &str) -> (Key, RuleObject) {
    let object = json!({
        "metadata": {"name": name, "namespace": namespace, "uid": name, "generation": 1, "creationTimestamp": created},
        "spec": {"images": [image], "secret": {"name": name}},
    });
    (Key::new(namespace, name), read_here(Kind::PullSecretRule, &object))
}

fn policy_teams_rule(name: &str, spec: &Value) -> (Key, RuleObject) {
    let object = cluster_rule(name, spec, &Value::Null);
    (Key::new("", name), read_here(Kind::ClusterPullSecretRule, &object))
}

fn listed(objects: Vec<(Key, RuleObject)>) -> Event<RuleObject> {
    Event::Listed { objects, bad: vec![] }
}

/// Applies an event about cluster rules: whether rules changed, and what was found.
fn apply(objects: &mut RuleObjects, event: Event<RuleObject>) -> (bool, Vec<String>) {
    let mut findings = Vec::new();
    let changed = objects.apply(Kind::ClusterPullSecretRule, event, &mut findings);
    (changed, all(&findings))
}

fn brief(finding: &Diagnostic) -> String {
    assert_eq!(finding.position, None);
    format!(
        "{} {} {}: {}",
        finding.severity, finding.file, finding.field, finding.message
    )
}

fn all(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(|finding| brief(&finding.diagnostic)).collect()
}

fn names(rules: &[Arc<Rule>]) -> Vec<String> {
    let mut names: Vec<_> = rules.iter().map(|rule| rule.qualified_name().to_string()).collect();
    names.sort();
    names
}

#[test]
fn of_many_mistakes_the_first_are_kept_and_all_are_found() {
    let object = cluster_rule("a", &images(&["a/b:v", "b/b:v", "c/b:v", "d/b:v"]), &Value::Null).to_string();
    let found = |object: RuleObject| {
        object
            .findings
            .iter()
            .map(|finding| finding.field.clone())
            .collect::<Vec<_>>()
    };
    let all = examine(Kind::ClusterPullSecretRule, "pullkey", &object).unwrap();
    let fields = [0, 1, 2, 3].map(|index| format!("spec.images[{index}]"));
    assert_eq!(found(all), fields);
    let kept = read(Kind::ClusterPullSecretRule, "pullkey", &object).unwrap().unwrap();
    assert_eq!(found(kept), fields[..3]);
}

#[test]
fn an_object_is_read_as_a_file_is_and_its_mistakes_keep_their_fields() {
    let good = read_here(
        Kind::ClusterPullSecretRule,
        &cluster_rule("acme", &images(&["ghcr.io/acme"]), &Value::Null),
    );
    assert_eq!(
        (&*good.uid, good.generation, &good.findings),
        ("uid of acme", 3, &vec![])
    );
    assert_eq!(good.rule().unwrap().patterns[0].as_str(), "ghcr.io/acme");
    for (name, kind, metadata, spec, expected) in [
        (
            "a pattern",
            Kind::ClusterPullSecretRule,
            json!({"name": "a"}),
            images(&["a.example", "ghcr.io", "ghcr.io/acme:v1"]),
            "error ClusterPullSecretRule a spec.images[2]: a pattern has no tag: it covers names",
        ),
        (
            "a field of the future",
            Kind::ClusterPullSecretRule,
            json!({"name": "a"}),
            json!({"images": ["a.example"], "namespaces": {"include": ["*"]}, "secret": {"name": "s"}, "only": 1}),
            "error ClusterPullSecretRule a spec.only: there is no field `only` here",
        ),
        (
            "no spec",
            Kind::PullSecretRule,
            json!({"name": "a", "namespace": "b"}),
            Value::Null,
            "error PullSecretRule b/a spec: `spec` is missing",
        ),
        (
            "Pullkey's own namespace",
            Kind::PullSecretRule,
            json!({"name": "a", "namespace": "pullkey"}),
            json!({"images": ["a.example"], "secret": {"name": "s"}}),
            "error PullSecretRule pullkey/a metadata.namespace: images in this namespace are not the business of a rule",
        ),
        (
            "a tenant's source",
            Kind::PullSecretRule,
            json!({"name": "a", "namespace": "b"}),
            json!({"images": ["a.example"], "secret": {"name": "s", "copyFrom": {"namespace": "n", "name": "x"}}}),
            "error PullSecretRule b/a spec.secret.copyFrom: only a ClusterPullSecretRule has this field",
        ),
    ] {
        let object = read_here(kind, &json!({"metadata": metadata, "spec": spec}));
        assert_eq!(
            object.findings.iter().map(brief).collect::<Vec<_>>(),
            [expected],
            "{name}"
        );
        assert!(object.rule().is_none(), "{name}");
    }
    let many = images(&["a.b/c:1", "a.b/c:2", "a.b/c:3", "a.b/c:4"]);
    let object = read_here(Kind::ClusterPullSecretRule, &cluster_rule("a", &many, &Value::Null));
    assert_eq!(object.findings.len(), MOST_FINDINGS);
    assert!(read(Kind::PullSecretRule, "pullkey", "[]").is_err());
    assert!(read(Kind::PullSecretRule, "pullkey", r#"{"metadata":{"name":7}}"#).is_err());
}

#[test]
fn keys_come_from_a_status_of_the_same_generation_only() {
    let keys = json!(["ghcr.io/acme", "https://index.docker.io/v1/", "https://%zz"]);
    for (name, status, expected) in [
        (
            "current",
            json!({"observedGeneration": 3, "keys": keys, "conditions": [{"type": "Ready"}]}),
            2,
        ),
        ("stale", json!({"observedGeneration": 2, "keys": keys}), 0),
        ("of the future", json!({"observedGeneration": 4, "keys": keys}), 0),
        ("without keys", json!({"observedGeneration": 3}), 0),
        (
            "of another shape",
            json!({"observedGeneration": 3, "keys": {"a": "b"}}),
            0,
        ),
        ("a text", json!("ready"), 0),
        ("null", Value::Null, 0),
    ] {
        let object = read_here(Kind::ClusterPullSecretRule, &cluster_rule("a", &derived(), &status));
        assert_eq!(object.rule().unwrap().derived.len(), expected, "{name}");
        let waits = "warning ClusterPullSecretRule a : the rule covers no image until the controller has read the keys of its source";
        let findings: Vec<_> = object.findings.iter().map(brief).collect();
        assert_eq!(findings, if expected == 0 { vec![waits] } else { vec![] }, "{name}");
    }
    let status = json!({"observedGeneration": 3, "keys": []});
    let object = read_here(Kind::ClusterPullSecretRule, &cluster_rule("a", &derived(), &status));
    assert_eq!(
        object.findings,
        [],
        "a source without keys is the controller's business"
    );
}

#[test]
fn only_what_counts_is_a_change() {
    let object = |status: Value| {
        let object = cluster_rule("a", &derived(), &status);
        (Key::new("", "a"), read_here(Kind::ClusterPullSecretRule, &object))
    };
    let keys =
        |keys: &[&str], registries: &[&str]| json!({"observedGeneration": 3, "keys": keys, "registries": registries});
    let mut objects = RuleObjects::default();
    assert_eq!(apply(&mut objects, listed(vec![])), (false, vec![]));
    let (changed, findings) = apply(&mut objects, listed(vec![object(Value::Null)]));
    assert_eq!((changed, findings.len()), (true, 1));
    assert_eq!(
        apply(&mut objects, listed(vec![object(Value::Null)])),
        (false, vec![]),
        "the same again"
    );
    let (key, new) = object(keys(&["ghcr.io"], &[]));
    assert_eq!(
        apply(&mut objects, Event::Applied(key, new)),
        (true, vec![]),
        "keys are known"
    );
    let (key, new) = object(keys(&["ghcr.io"], &["ghcr.io"]));
    assert_eq!(
        apply(&mut objects, Event::Applied(key, new)),
        (false, vec![]),
        "the rest of a status is not ours"
    );
    let (key, mut new) = object(keys(&["ghcr.io"], &[]));
    new.uid = "another".into();
    assert!(
        apply(&mut objects, Event::Applied(key.clone(), new)).0,
        "it was made again"
    );
    let trouble = crate::cluster::Trouble {
        failure: crate::metrics::WatchFailure::Missing,
        message: String::new(),
    };
    assert!(
        !apply(&mut objects, Event::Trouble(trouble)).0,
        "what is known stays known"
    );
    assert!(apply(&mut objects, Event::Deleted(key.clone(), None)).0);
    assert!(!apply(&mut objects, Event::Deleted(key, None)).0);
    assert!(apply(&mut objects, listed(vec![object(Value::Null)])).0);
    assert!(apply(&mut objects, listed(vec![])).0, "it is gone from the list");
}

#[test]
fn a_bad_object_is_skipped_and_takes_its_old_rule_along() {
    let mut objects = RuleObjects::default();
    let good = |name| policy_teams_rule(name, &images(&["a.example"]));
    apply(&mut objects, listed(vec![good("a"), good("b"), good("c")]));
    let (key, mut bad) = policy_teams_rule("b", &images(&["a.example:v1/x"]));
    bad.generation = 4;
    let (changed, findings) = apply(&mut objects, Event::Applied(key.clone(), bad.clone()));
    assert_eq!((changed, findings.len()), (true, 1));
    let unreadable = Bad {
        key: Key::new("", "c"),
        why: "no name".to_owned(),
    };
    let (changed, findings) = apply(&mut objects, Event::Bad(unreadable.clone()));
    assert_eq!(
        (changed, findings),
        (
            true,
            vec!["error ClusterPullSecretRule c : the object cannot be read: no name".to_owned()]
        )
    );
    assert_eq!(names(&objects.in_force(&[]).rules), ["a"]);
    assert_eq!(objects.count(Kind::ClusterPullSecretRule), (1, 2));
    let again = Event::Listed {
        objects: vec![good("a"), (key, bad)],
        bad: vec![unreadable],
    };
    assert_eq!(apply(&mut objects, again), (false, vec![]), "said once");
}

#[test]
fn of_a_namespace_the_oldest_hundred_rules_are_in_force() {
    let rule = |index: usize| {
        let created = format!("2026-11-22T07:{:02}:00Z", 59 - index % 60);
        tenants_rule("team-a", &format!("r{index:03}"), &created, "a.example")
    };
    let mut objects = RuleObjects::default();
    let mut rules: Vec<_> = (0..120).map(rule).collect();
    rules.push(tenants_rule("team-b", "mine", "2026-11-22T09:00:00Z", "a.example"));
    rules.push(tenants_rule("team-a", "bad", "2026-11-22T01:00:00Z", "a.example:v1/x"));
    objects.apply(Kind::PullSecretRule, listed(rules), &mut vec![]);
    let in_force = objects.in_force(&[]);
    assert_eq!((in_force.rules.len(), in_force.beyond), (101, [0, 20]));
    assert_eq!(
        all(&in_force.findings),
        ["error namespace team-a : too many PullSecretRules"]
    );
    let names = names(&in_force.rules);
    // Of the youngest minutes, 0 to 9 and 60 to 69 are left out: each of those is younger than all others.
    for (index, expected) in [
        (0, false),
        (9, false),
        (10, true),
        (59, true),
        (60, false),
        (69, false),
        (70, true),
    ] {
        assert_eq!(names.contains(&format!("team-a/r{index:03}")), expected, "{index}");
    }
    objects.apply(
        Kind::PullSecretRule,
        Event::Deleted(Key::new("team-a", "r119"), None),
        &mut vec![],
    );
    let next = Key::new("team-a", "r009");
    assert_eq!(
        objects.take_awaited(),
        std::slice::from_ref(&next),
        "the next one moves up"
    );
    assert_eq!(objects.take_awaited(), []);
    let now = objects.in_force(&[]);
    assert_eq!((now.rules.len(), now.beyond), (100, [0, 20]), "and is to be read again");
    assert_eq!(objects.count(Kind::PullSecretRule), (120, 1));
    let mut findings = Vec::new();
    let read_again = Event::Applied(next, rule(9).1);
    assert!(objects.apply(Kind::PullSecretRule, read_again, &mut findings));
    assert_eq!((objects.take_awaited(), findings), (vec![], vec![]));
    let now = objects.in_force(&[]);
    assert_eq!((now.rules.len(), now.beyond), (101, [0, 19]));
    assert!(super::tests::names(&now.rules).contains(&"team-a/r009".to_owned()));
}

/// A namespace's rules, each as large as one may be, the younger the later.
fn crowd(rules: std::ops::Range<usize>) -> Vec<(Key, RuleObject)> {
    let image = |number: usize| format!("registry.example/{number:0>238}");
    let images: Vec<_> = (0..64).map(image).collect();
    let one = |index: usize| {
        let (key, mut object) = tenants_rule("team-a", &format!("r{index:05}"), "2026-11-22T07:00:00Z", "a.example");
        let spec = json!({"images": images, "exceptImages": images, "secret": {"name": "s"}});
        let metadata = json!({
            "name": &*key.name, "namespace": "team-a", "uid": &*key.name, "generation": 1,
            "creationTimestamp": &*object.created,
        });
        object.content = read_here(Kind::PullSecretRule, &json!({"metadata": metadata, "spec": spec})).content;
        assert!(object.rule().is_some());
        (key, object)
    };
    rules.map(one).collect()
}

#[test]
fn of_what_is_beyond_the_limit_nothing_is_kept_but_its_age() {
    let mut objects = RuleObjects::default();
    let mut listed_rules = crowd(0..100);
    let held = |objects: &RuleObjects| format!("{objects:?}").len();
    objects.apply(Kind::PullSecretRule, listed(listed_rules.clone()), &mut vec![]);
    let full = held(&objects);
    assert!(full > 100 * 2 * 64 * 255, "{full}");
    listed_rules.extend(crowd(100..400));
    objects.apply(Kind::PullSecretRule, listed(listed_rules), &mut vec![]);
    for (key, object) in crowd(400..500) {
        let event = Event::Applied(key, object);
        assert!(
            !objects.apply(Kind::PullSecretRule, event, &mut vec![]),
            "no other rule is in force"
        );
    }
    let more = held(&objects) - full;
    assert!(more < 400 * 600, "{} for each", more / 400);
    assert_eq!(objects.in_force(&[]).beyond, [0, 400]);
    assert_eq!(objects.take_awaited(), []);
}

#[test]
fn a_list_is_thinned_while_it_is_read() {
    let mut rules = crowd(0..350);
    rules.extend([tenants_rule("team-b", "mine", "2026-11-22T09:00:00Z", "a.example")]);
    thin(&mut rules, |rule| rule);
    let whole = rules.iter().filter(|(_, object)| object.rule().is_some());
    let names: Vec<_> = whole.map(|(key, _)| key.to_string()).collect();
    assert_eq!(
        (names.len(), &*names[99], &*names[100]),
        (101, "team-a/r00099", "team-b/mine")
    );
}

#[test]
fn regexes_have_a_limit_over_all_objects() {
    let rule = |index: usize| {
        let spec = json!({"imageRegex": "a", "namespaces": {"include": ["*"]}, "secret": {"name": "s"}});
        policy_teams_rule(&format!("r{index:04}"), &spec)
    };
    let mut objects = RuleObjects::default();
    apply(&mut objects, listed((0..MOST_REGEXES + 2).map(rule).collect()));
    let in_force = objects.in_force(&[]);
    assert_eq!((in_force.rules.len(), in_force.beyond), (MOST_REGEXES, [2, 0]));
    assert_eq!(
        all(&in_force.findings)[0],
        "error ClusterPullSecretRule r1000 : too many rules have an `imageRegex`"
    );
}

#[test]
fn an_object_in_force_wins_over_the_rule_of_its_name_in_a_file() {
    let files: Vec<_> = [
        policy_teams_rule("both", &images(&["file.example"])),
        policy_teams_rule("spoiled", &images(&["file.example"])),
        policy_teams_rule("file", &images(&["file.example"])),
        tenants_rule("a", "both", "", "file.example"),
    ]
    .into_iter()
    .map(|(_, object)| Arc::clone(object.rule().unwrap()))
    .collect();
    let mut objects = RuleObjects::default();
    let both = policy_teams_rule("both", &images(&["object.example"]));
    let spoiled = policy_teams_rule("spoiled", &images(&["object.example:v1/x"]));
    apply(&mut objects, listed(vec![both, spoiled]));
    let in_force = objects.in_force(&files);
    assert_eq!(names(&in_force.rules), ["a/both", "both", "file", "spoiled"]);
    assert_eq!(
        all(&in_force.findings),
        ["warning ClusterPullSecretRule both : the object in the cluster wins over the rule of this name in a file"]
    );
    let rules = RuleSet::new(in_force.rules);
    let namespace = Namespace {
        name: "n",
        labels: None,
    };
    for (image, expected) in [
        ("object.example/x", vec!["both"]),
        ("file.example/x", vec!["file", "spoiled"]),
    ] {
        let found = rules.matches(&ImageReference::parse(image).unwrap(), &namespace);
        assert_eq!(
            found.iter().map(|found| &found.rule.name).collect::<Vec<_>>(),
            expected,
            "{image}"
        );
    }
}

#[test]
fn the_hour_of_the_last_match_stays_with_the_object() {
    let mut objects = RuleObjects::default();
    let version = |generation: i64, image: &str, uid: &str| {
        let (key, mut object) = policy_teams_rule("a", &images(&[image]));
        object.generation = generation;
        object.uid = uid.into();
        Event::Applied(key, object)
    };
    let hour = |objects: &RuleObjects| objects.in_force(&[]).rules[0].last_match.as_ref().unwrap().hour();
    apply(&mut objects, version(1, "a.example", "uid"));
    assert_eq!(hour(&objects), None);
    let before = objects.in_force(&[]).rules;
    let now = Hour::of(7_200);
    before[0].last_match.as_ref().unwrap().note(now);
    assert_eq!(hour(&objects), Some(now));
    apply(&mut objects, version(2, "b.example", "uid"));
    assert_eq!(hour(&objects), Some(now), "another spec");
    let later = Hour::of(10_800);
    before[0].last_match.as_ref().unwrap().note(later);
    assert_eq!(hour(&objects), Some(later), "of a snapshot that is still in use");
    apply(&mut objects, version(3, "b.example:v1/x", "uid"));
    assert_eq!(objects.in_force(&[]).rules.len(), 0);
    apply(&mut objects, version(4, "b.example", "uid"));
    assert_eq!(hour(&objects), Some(later), "a mistake that was put right");
    let (key, listed_again) = policy_teams_rule("a", &images(&["b.example"]));
    let listed_again = RuleObject {
        uid: "uid".into(),
        ..listed_again
    };
    apply(&mut objects, listed(vec![(key, listed_again)]));
    assert_eq!(hour(&objects), Some(later), "a list");
    apply(&mut objects, version(1, "b.example", "another"));
    assert_eq!(hour(&objects), None, "another object of the name");
}
