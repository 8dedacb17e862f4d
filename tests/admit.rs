//! Golden reviews: each folder of `tests/data/admit` holds a `review.json` as an API server sends it and the
//! `answer.json` that it gets under the rules beside them, with the patch decoded. `PULLKEY_ACCEPT=1` writes the
//! answers anew; look at the difference before you keep it.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails, and clippy excepts test functions only"
)]

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use pullkey::admission::{self, Decision, Outcome, SkipReason};
use pullkey::rules::compile::{Context, compile};
use pullkey::rules::{Namespace, RuleSet};
use serde_json::{Value, json};

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/admit")
}

fn rule_set() -> RuleSet {
    let text = fs::read_to_string(data().join("rules.yaml")).unwrap();
    let context = Context {
        own_namespace: "pullkey",
        labels: false,
        source_keys: None,
    };
    let compiled = compile(&text, "rules.yaml", &context);
    assert_eq!(compiled.mistakes, []);
    RuleSet::new(compiled.rules)
}

fn cases() -> Vec<PathBuf> {
    let mut cases: Vec<_> = fs::read_dir(data())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.retain(|path| path.is_dir());
    cases.sort();
    assert!(cases.len() > 30, "the golden reviews are gone");
    cases
}

/// Answers a review as the server does and takes the answer apart: the whole of it, and the patch.
fn answer(rules: &RuleSet, review: &Value) -> (Value, Option<json_patch::Patch>) {
    let body = review.to_string();
    let read = admission::read(body.as_bytes()).unwrap();
    let namespace = Namespace {
        name: &read.namespace,
        labels: None,
    };
    let decision: Decision<'_> = admission::decide(&read, &namespace, rules);
    let mut answer: Value = serde_json::from_slice(&decision.to_response(&read.uid)).unwrap();
    let response = answer["response"].as_object_mut().unwrap();
    assert_eq!(response["uid"], review["request"]["uid"]);
    assert_eq!(response["allowed"], json!(true));
    assert_eq!(response.contains_key("patch"), response.contains_key("patchType"));
    let patch = response.get_mut("patch").map(|patch| {
        let decoded: Value = serde_json::from_slice(&STANDARD.decode(patch.as_str().unwrap()).unwrap()).unwrap();
        *patch = decoded.clone();
        serde_json::from_value(decoded).unwrap()
    });
    (answer, patch)
}

#[test]
fn reviews_get_their_golden_answers() {
    let rules = rule_set();
    for case in cases() {
        let review: Value = serde_json::from_slice(&fs::read(case.join("review.json")).unwrap()).unwrap();
        let (answer, _) = answer(&rules, &review);
        let golden = case.join("answer.json");
        if std::env::var_os("PULLKEY_ACCEPT").is_some() {
            fs::write(&golden, format!("{answer:#}\n")).unwrap();
        }
        let expected: Value = serde_json::from_slice(&fs::read(&golden).unwrap()).unwrap();
        assert_eq!(answer, expected, "{}", case.display());
    }
}

/// Applies the patch as an API server does, and checks all that a patch must never do. Whether there was one.
fn apply(rules: &RuleSet, review: &mut Value, case: &str) -> bool {
    let (_, patch) = answer(rules, review);
    let Some(patch) = patch else { return false };
    let mut before = review["request"]["object"].clone();
    json_patch::patch(&mut review["request"]["object"], &patch).unwrap();
    let mut after = review["request"]["object"].clone();

    let (old, new) = (list(&before), list(&after));
    assert!(new.starts_with(&old), "an entry lost: {case}");
    let added: Vec<_> = new[old.len()..].iter().map(|entry| &entry["name"]).collect();
    for (index, name) in added.iter().enumerate() {
        let is_new = !added[..index].contains(name) && old.iter().all(|entry| entry["name"] != **name);
        assert!(is_new, "{name} is named twice: {case}");
    }
    for object in [&mut before, &mut after] {
        object["spec"].as_object_mut().unwrap().remove("imagePullSecrets");
    }
    assert_eq!(before, after, "something else changed: {case}");
    assert!(
        answer(rules, review).1.is_none(),
        "a second review adds something: {case}"
    );
    true
}

#[test]
fn golden_patches_add_and_do_nothing_else() {
    let rules = rule_set();
    let mut patched = 0;
    for case in cases() {
        let mut review: Value = serde_json::from_slice(&fs::read(case.join("review.json")).unwrap()).unwrap();
        patched += usize::from(apply(&rules, &mut review, &case.display().to_string()));
    }
    assert!(patched > 10, "only {patched} reviews were patched");
}

#[test]
fn pods_of_strict_accounts_are_left_alone_with_a_warning() {
    let rules = rule_set();
    let mut spared = 0;
    for case in cases() {
        let review = fs::read(case.join("review.json")).unwrap();
        let review = admission::read(&review).unwrap();
        let namespace = Namespace {
            name: &review.namespace,
            labels: None,
        };
        let decide = || admission::decide(&review, &namespace, &rules);
        let of_strict_account = decide().of_strict_account();
        match (decide().outcome, &of_strict_account.outcome) {
            (Outcome::Inject(_), Outcome::Skip(SkipReason::MountableSecrets)) => {
                spared += 1;
                let answer: Value = serde_json::from_slice(&of_strict_account.to_response(&review.uid)).unwrap();
                let warning = "pullkey added no pull secrets: the service account admits only secrets that it lists";
                assert_eq!(answer["response"]["warnings"], json!([warning]));
                assert_eq!(answer["response"].get("patch"), None);
            }
            (Outcome::Skip(reason), Outcome::Skip(still)) => assert_eq!(reason, *still, "{}", case.display()),
            (_, other) => panic!("{other:?} of {}", case.display()),
        }
    }
    assert!(spared > 10);
}

/// A review of the creation of this Pod.
fn creation(namespace: &str, object: &Value) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "1",
            "operation": "CREATE",
            "resource": { "group": "", "version": "v1", "resource": "pods" },
            "namespace": namespace,
            "object": object,
        },
    })
}

/// JSON of any shape, for fields that this program has never heard of.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z\"\\\\/~]{1,6}", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

fn container() -> impl Strategy<Value = Value> {
    let image = prop_oneof![
        Just("nginx"),
        Just("ghcr.io/acme/app:v1"),
        Just("ghcr.io/acme/public/app"),
        Just("ghcr.io/acme/tools/lint"),
        Just("harbor.team-a.example:8443/x/y@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"),
        Just("quay.io/acme/app"),
        Just("not an image"),
        Just(""),
    ];
    (image, anything()).prop_map(|(image, other)| json!({ "image": image, "other": other }))
}

fn pull_secrets() -> impl Strategy<Value = Option<Value>> {
    let name = prop_oneof![
        Just("own"),
        Just("ghcr-acme"),
        Just("docker-hub"),
        Just("mirror-pull"),
        Just("")
    ];
    let entry = prop_oneof![name.prop_map(|name| json!({ "name": name })), Just(json!({}))];
    prop_oneof![
        Just(None),
        Just(Some(Value::Null)),
        prop::collection::vec(entry, 0..4).prop_map(|entries| Some(json!(entries))),
    ]
}

proptest! {
    #[test]
    fn patches_add_and_do_nothing_else(
        containers in prop::collection::vec(container(), 0..4),
        init_containers in prop::collection::vec(container(), 0..3),
        pull_secrets in pull_secrets(),
        namespace in prop_oneof![Just("team-a"), Just("team-mirror"), Just("default")],
        other in anything(),
    ) {
        let rules = rule_set();
        let mut object = json!({
            "metadata": { "name": "web", "fieldOfTheFuture": other },
            "spec": { "containers": containers, "initContainers": init_containers, "other": other },
            "other": other,
        });
        if let Some(pull_secrets) = pull_secrets {
            object["spec"]["imagePullSecrets"] = pull_secrets;
        }
        let mut review = creation(namespace, &object);
        let case = review.to_string();
        apply(&rules, &mut review, &case);
    }

    /// The order of a Pod's images and of the files' rules decides nothing.
    #[test]
    fn secrets_come_in_one_order(
        images in Just(vec!["nginx", "ghcr.io/acme/tools/x", "harbor.team-a.example:8443/x", "ghcr.io/acme/y"]).prop_shuffle(),
    ) {
        let containers: Vec<_> = images.iter().map(|image| json!({ "image": image })).collect();
        let review = creation("team-a", &json!({ "spec": { "containers": containers } }));
        let (answer, _) = answer(&rule_set(), &review);
        prop_assert_eq!(&answer["response"]["auditAnnotations"]["secrets"], "ghcr-acme,docker-hub,harbor-pull");
    }
}

fn list(object: &Value) -> Vec<Value> {
    object["spec"]["imagePullSecrets"]
        .as_array()
        .cloned()
        .unwrap_or_default()
}
