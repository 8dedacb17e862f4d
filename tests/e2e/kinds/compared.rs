//! Rules judged by the API server and by the reader of rules files.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use pullkey::rules::Kind::{self, ClusterPullSecretRule, PullSecretRule};
use pullkey::rules::compile::compile;
use pullkey::rules::{Context, Diagnostic};
use pullkey::yaml::{self, Node};
use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::tables::{self, Verdict};
use super::{api, generate};
use crate::generated::{Extent, compare_generated};
use crate::harness::{Api, Namespace, RULES};

/// From the seed that every run begins with unless it is told another.
const fn extent(cases: u32) -> Extent {
    Extent {
        cases,
        seed: 5,
        shrinks: 2_000,
    }
}

/// The API server, and a namespace for rules.
struct Judge {
    api: Api,
    namespace: Namespace,
}

impl Judge {
    async fn new() -> Self {
        Self {
            api: api().await,
            namespace: Namespace::with_labels(&json!({})).await,
        }
    }

    fn rule(&self, kind: Kind, spec: &Value) -> Value {
        let mut rule = json!({
            "apiVersion": "pullkey.dev/v1alpha1", "kind": kind.as_str(), "metadata": {"name": "rule"}, "spec": spec,
        });
        if kind == PullSecretRule {
            rule["metadata"]["namespace"] = json!(self.namespace.name);
        }
        rule
    }

    /// What the API server says about a new rule, as `kubectl apply` asks it: why not, and which fields are at fault.
    async fn server(&self, rule: &Value) -> Result<(), (String, BTreeSet<String>)> {
        let path = if rule["kind"] == PullSecretRule.as_str() {
            let namespace = rule["metadata"]["namespace"].as_str().unwrap();
            format!("{RULES}/namespaces/{namespace}/{}", PullSecretRule.plural())
        } else {
            format!("{RULES}/{}", ClusterPullSecretRule.plural())
        };
        let answer = self
            .api
            .create(&format!("{path}?dryRun=All&fieldValidation=Strict"), rule)
            .await;
        match answer.status {
            201 => Ok(()),
            400 | 422 => {
                let causes = answer.object["details"]["causes"].as_array().into_iter().flatten();
                let fields = causes.map(|cause| cause["field"].as_str().unwrap().to_owned());
                Err((answer.object["message"].as_str().unwrap().to_owned(), fields.collect()))
            }
            _ => panic!("{answer:?}"),
        }
    }

    async fn compare(&self, claim: &str, rule: &Value, verdict: &Verdict) {
        let (server, reader) = (self.server(rule).await, reader(rule));
        let server_says = |message: &str| server.as_ref().is_err_and(|(said, _)| said.contains(message));
        let reader_says = |message: &str| reader.iter().any(|mistake| mistake.message.contains(message));
        let is_so = match verdict {
            Verdict::Good => server.is_ok() && reader.is_empty(),
            Verdict::Bad(message) => server_says(message) && !reader.is_empty(),
            Verdict::OnlyReader(message) => server.is_ok() && reader_says(message),
        };
        let kind = &rule["kind"];
        assert!(
            is_so,
            "{claim} ({kind}): the API server says {server:#?}, the reader {reader:#?}"
        );
    }
}

/// What the reader of rules says, with all that a cluster knows.
fn reader(rule: &Value) -> Vec<Diagnostic> {
    let context = Context {
        own_namespace: "pullkey",
        labels: true,
        source_keys: Some(&|_| Some(Vec::new())),
    };
    compile(&rule.to_string(), "rule.json", &context).mistakes
}

/// The answer, where nobody can await it.
fn wait<T>(answer: impl Future<Output = T>) -> T {
    tokio::task::block_in_place(|| Handle::current().block_on(answer))
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_ship_are_taken_as_they_are() {
    let judge = Judge::new().await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut rules = 0;
    for directory in ["config", "config/examples", "deploy/base/rules"] {
        for entry in fs::read_dir(root.join(directory)).unwrap() {
            let path = entry.unwrap().path();
            if !path.is_file() {
                continue;
            }
            let documents = yaml::parse(&fs::read_to_string(&path).unwrap()).unwrap();
            for mut rule in documents.iter().map(Node::to_json).filter(Value::is_object) {
                if rule["metadata"]["namespace"].is_string() {
                    rule["metadata"]["namespace"] = json!(judge.namespace.name);
                }
                let claim = format!("{} of {}", rule["metadata"]["name"], path.display());
                judge.compare(&claim, &rule, &Verdict::Good).await;
                rules += 1;
            }
        }
    }
    assert!(rules >= 5, "{rules}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_specs_are_refused_at_once() {
    let judge = Judge::new().await;
    for (claim, kind, difference, verdict) in tables::specs() {
        let mut spec = tables::spec(kind);
        json_patch::merge(&mut spec, &difference);
        judge.compare(claim, &judge.rule(kind, &spec), &verdict).await;
    }
    for (claim, selector, verdict) in tables::selectors() {
        let mut spec = tables::spec(ClusterPullSecretRule);
        spec["namespaces"] = json!({"selector": selector});
        let rule = judge.rule(ClusterPullSecretRule, &spec);
        judge.compare(claim, &rule, &verdict).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_empty_is_nothing_to_the_api_server() {
    let judge = Judge::new().await;
    for (path, verdict) in tables::EMPTY {
        let mut spec = tables::spec(ClusterPullSecretRule);
        let (above, field) = path.rsplit_once('/').unwrap();
        spec.pointer_mut(above).unwrap()[field] = Value::Null;
        let rule = judge.rule(ClusterPullSecretRule, &spec);
        judge.compare(path, &rule, verdict).await;
    }
}

/// A schema sees no namespace.
#[tokio::test(flavor = "multi_thread")]
async fn the_reader_alone_refuses_rules_in_the_namespaces_of_the_node() {
    let judge = Judge::new().await;
    let mut rule = judge.rule(PullSecretRule, &tables::spec(PullSecretRule));
    rule["metadata"]["namespace"] = json!("kube-system");
    let verdict = Verdict::OnlyReader("not the business of a rule");
    judge.compare("in kube-system", &rule, &verdict).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_patterns_are_refused_at_once() {
    let judge = Judge::new().await;
    for (pattern, verdict) in tables::patterns() {
        let mut spec = tables::spec(ClusterPullSecretRule);
        spec["images"] = json!(["a.example", pattern]);
        let rule = judge.rule(ClusterPullSecretRule, &spec);
        judge.compare(&pattern, &rule, &verdict).await;
    }
    for (length, verdict) in [
        (255, Verdict::Good),
        (256, Verdict::Bad("may not be more than 255 bytes")),
    ] {
        let pattern = format!("{}.example", "a".repeat(length - 8));
        let rule = judge.rule(PullSecretRule, &json!({"images": [pattern], "secret": {"name": "s"}}));
        judge.compare("a tenant's long pattern", &rule, &verdict).await;
    }
}

/// The API server ends the checks of an object that takes too many steps, and refuses it.
#[tokio::test(flavor = "multi_thread")]
async fn a_rule_with_everything_at_its_limit_is_taken() {
    let judge = Judge::new().await;
    let patterns: Vec<_> = (0..500)
        .map(|index| {
            format!(
                "{index:0>200}.{}.example.com:65535/{}",
                "a-".repeat(20) + "b",
                "c/".repeat(122) + "d"
            )
        })
        .map(|pattern| format!("{pattern:e<512}"))
        .collect();
    let names: Vec<_> = (0..2_000)
        .map(|index| format!("{index:0>63}").replace('0', "0*") + "*")
        .collect();
    assert!(patterns.iter().all(|pattern| pattern.len() == 512));
    let value = |index: usize| format!("{index:a>63}");
    let key = |index: usize| format!("{}/{}", "a.".repeat(126) + "b", value(index));
    let labels: serde_json::Map<_, _> = (0..32).map(|index| (key(index), json!(value(index)))).collect();
    let expressions: Vec<_> = (0..32)
        .map(|index| json!({"key": key(index), "operator": "In", "values": (0..128).map(value).collect::<Vec<_>>()}))
        .collect();
    let rule = judge.rule(
        ClusterPullSecretRule,
        &json!({
            "images": patterns, "exceptImages": patterns, "imageRegex": "a".repeat(512), "mode": "Enforce",
            "namespaces": {
                "include": names, "exclude": names,
                "selector": {"matchLabels": labels, "matchExpressions": expressions},
            },
            "secret": {"name": "a.".repeat(126) + "b", "copyFrom": {"namespace": value(1), "name": "a.".repeat(126) + "b"}},
        }),
    );
    judge.compare("everything", &rule, &Verdict::Good).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_never_refuses_what_the_reader_takes() {
    let judge = Judge::new().await;
    let [good, bad, only_reader] = [const { Cell::new(0_u32) }; 3];
    let count = |counted: &Cell<u32>| counted.set(counted.get() + 1);
    compare_generated(&extent(600), generate::spec(), |(kind, spec)| {
        let rule = judge.rule(kind, &spec);
        let mistakes = reader(&rule);
        match wait(judge.server(&rule)) {
            Ok(()) if mistakes.is_empty() => count(&good),
            Ok(()) if mistakes.iter().all(is_for_the_reader) => count(&only_reader),
            Ok(()) => return Err(format!("only the reader refuses it: {mistakes:?}")),
            Err((message, _)) if mistakes.is_empty() => {
                return Err(format!("only the API server refuses it: {message}"));
            }
            Err(_) => count(&bad),
        }
        Ok(())
    });
    let [good, bad, only_reader] = [good, bad, only_reader].map(Cell::into_inner);
    println!("{good} good, {bad} bad, {only_reader} that only the reader refuses");
    assert!(good > bad / 5 && bad > good / 5, "{good} good and {bad} bad");
}

/// What no schema can say.
fn is_for_the_reader(mistake: &Diagnostic) -> bool {
    let words = [
        "the regex does not parse",
        "the regex compiles to more than",
        "label key",
        "no image has this path",
    ];
    mistake.value.as_deref() == Some("pullkey") || words.iter().any(|words| mistake.message.contains(words))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_knows_a_pattern_as_the_reader_does() {
    let judge = Judge::new().await;
    let [good, bad] = [const { Cell::new(0) }; 2];
    compare_generated(&extent(100), generate::patterns(), |patterns| {
        let mut spec = tables::spec(ClusterPullSecretRule);
        spec["exceptImages"] = json!(patterns);
        let rule = judge.rule(ClusterPullSecretRule, &spec);
        let refused = wait(judge.server(&rule)).map_or_else(|(_, fields)| fields, |()| BTreeSet::new());
        let expected: BTreeSet<_> = reader(&rule).into_iter().map(|mistake| mistake.field).collect();
        bad.set(bad.get() + expected.len());
        good.set(good.get() + patterns.len() - expected.len());
        let differing: Vec<_> = refused.symmetric_difference(&expected).collect();
        if differing.is_empty() {
            return Ok(());
        }
        Err(format!(
            "the API server and the reader do not agree about {differing:?}"
        ))
    });
    let [good, bad] = [good, bad].map(Cell::into_inner);
    println!("{good} good and {bad} bad patterns");
    assert!(good > bad / 5 && bad > good / 5, "{good} good and {bad} bad");
}
