//! The alerts and the dashboard, held against the metrics that there are: a name or a label that is spelled wrong is no
//! mistake to Prometheus, and an alert that never fires looks like a quiet night.

#![cfg(test)]

#[path = "common/samples.rs"]
mod samples;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pullkey::yaml::{Node, parse};
use regex::Regex;
use serde_json::{Value, json};

use crate::samples::{Samples, foreseen, matchers, samples_of};

/// What API servers tell of webhooks, as far as it is asked for here; a test on a real one holds it against that.
const OF_API_SERVERS: &str = include_str!("monitoring/api-server.prom");
/// What Prometheus adds to every sample.
const OF_PROMETHEUS: [&str; 1] = ["instance"];
const TESTS: &str = "tests/monitoring/alerts.yaml";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

fn yaml(path: &str) -> Value {
    let documents = parse(&read(path)).unwrap();
    documents.first().map(Node::to_json).unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn alerts() -> Vec<Value> {
    let alerts = yaml("deploy/monitoring/alerts.yaml");
    let rules = list(&alerts["groups"]).iter().flat_map(|group| list(&group["rules"]));
    rules.cloned().collect()
}

fn panels() -> Vec<Value> {
    let dashboard: Value = serde_json::from_str(&read("deploy/monitoring/pullkey.json")).unwrap();
    list(&dashboard["panels"]).to_vec()
}

/// The queries of the dashboard, as Grafana asks them.
fn queries() -> Vec<String> {
    let panels = panels();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let queries = targets.map(|target| {
        let query = text(&target["expr"]).replace("$__rate_interval", "2m");
        query.replace("$__range", "1h")
    });
    queries.collect()
}

/// All that can be told, by webhook, controller and API server.
fn samples() -> Samples {
    let mut samples = foreseen();
    samples.extend(samples_of(OF_API_SERVERS));
    samples
}

/// What is wrong with the names in a query.
fn strangers(query: &str, samples: &Samples) -> Vec<String> {
    let selector = Regex::new(r"\b((?:pullkey|apiserver)_[a-z_]+)(\{[^}]*\})?").unwrap();
    let grouping = Regex::new(r"\b(?:by|on|group_left) *\(([^)]*)\)").unwrap();
    let mut strangers = Vec::new();
    let mut known: BTreeSet<&str> = OF_PROMETHEUS.into();
    for found in selector.captures_iter(query) {
        let Some(labels) = samples.get(&found[1]) else {
            strangers.push(found[1].to_owned());
            continue;
        };
        known.extend(labels.keys().map(String::as_str));
        for (label, value) in matchers(found.get(2).map_or("", |labels| labels.as_str())) {
            if !labels.get(&label).is_some_and(|values| values.contains(&value)) {
                strangers.push(format!("{}{{{label}={value}}}", &found[1]));
            }
        }
    }
    for found in grouping.captures_iter(query) {
        let labels = found[1].split(',').map(str::trim).filter(|label| !label.is_empty());
        strangers.extend(labels.filter(|label| !known.contains(label)).map(str::to_owned));
    }
    strangers
}

#[test]
fn every_metric_and_label_that_is_asked_for_is_told() {
    let samples = samples();
    let alerts = alerts();
    let asked = alerts.iter().map(|alert| text(&alert["expr"]).to_owned());
    for query in asked.chain(queries()) {
        assert_eq!(strangers(&query, &samples), [""; 0], "{query}");
    }
    for (query, stranger) in [
        ("max(pullkey_rule)", "pullkey_rule"),
        (
            "pullkey_copies_waiting{reason=\"turns\"}",
            "pullkey_copies_waiting{reason=turns}",
        ),
        ("pullkey_leader{reason=\"turn\"}", "pullkey_leader{reason=turn}"),
        ("sum by (code, reason) (pullkey_requests_total)", "reason"),
    ] {
        assert_eq!(strangers(query, &samples), [stranger]);
    }
}

#[test]
fn every_series_of_the_alerts_tests_is_told() {
    let samples = samples();
    // Other webhooks and the bounds of buckets are open sets.
    let open = Regex::new(r#"(,le|instance)="[^"]*",?"#).unwrap();
    for test in list(&yaml(TESTS)["tests"]) {
        for series in list(&test["input_series"]) {
            let series = text(&series["series"]).replace("other.example", "pods.pullkey.dev");
            let series = open.replace_all(&series, "");
            assert_eq!(strangers(&series, &samples), [""; 0], "{series}");
        }
    }
}

#[test]
fn every_alert_is_tested_to_fire_and_not_to() {
    let tests = yaml(TESTS);
    let tests = list(&tests["tests"]).iter();
    let mut tested: BTreeMap<String, BTreeSet<bool>> = BTreeMap::new();
    for case in tests.flat_map(|test| list(&test["promql_expr_test"])) {
        for (label, name) in matchers(text(&case["expr"])) {
            if label == "alertname" {
                let fires = !list(&case["exp_samples"]).is_empty();
                for name in name.split('|') {
                    tested.entry(name.to_owned()).or_default().insert(fires);
                }
            }
        }
    }
    let both = BTreeSet::from([false, true]);
    let alerts = alerts();
    let expected = alerts
        .iter()
        .map(|alert| (text(&alert["alert"]).to_owned(), both.clone()));
    assert_eq!(tested, expected.collect());
}

#[test]
fn every_alert_says_how_grave_it_is_what_it_means_and_what_to_do() {
    for alert in alerts() {
        let severity = text(&alert["labels"]["severity"]);
        assert!(["critical", "warning", "info"].contains(&severity), "{alert}");
        for annotation in ["summary", "description"] {
            let text = text(&alert["annotations"][annotation]);
            // Helm would take braces for its own, and a table of the README these lines for its columns.
            assert!(text.ends_with('.') && !text.contains(['{', '|', '\n']), "{text}");
        }
    }
}

#[test]
fn the_object_for_the_operator_is_the_rule_file() {
    let object = yaml("deploy/monitoring/prometheus-rule.yaml");
    assert_eq!(object["spec"], yaml("deploy/monitoring/alerts.yaml"));
    assert_eq!(
        (&object["apiVersion"], &object["kind"]),
        (&json!("monitoring.coreos.com/v1"), &json!("PrometheusRule"))
    );
}

#[test]
fn panels_lie_side_by_side_and_say_what_they_show() {
    let mut taken = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for panel in panels() {
        let [left, top, width, height] = ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().unwrap());
        assert!(left + width <= 24, "{panel}");
        for x in left..left + width {
            for y in top..top + height {
                assert!(taken.insert((x, y)), "{panel} lies on another one");
            }
        }
        assert!(ids.insert(panel["id"].as_u64().unwrap()));
        if panel["type"] != "row" {
            assert!(text(&panel["description"]).ends_with('.'), "{panel}");
            let names: BTreeSet<_> = list(&panel["targets"])
                .iter()
                .map(|target| text(&target["refId"]))
                .collect();
            assert_eq!(names.len(), list(&panel["targets"]).len());
        }
    }
}

fn promtool(arguments: &[&str]) -> String {
    let output = Command::new("promtool").args(arguments).current_dir(root()).output();
    let output = output.unwrap_or_else(|error| panic!("promtool, of Debian's package prometheus: {error}"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "promtool {}: {said}", arguments.join(" "));
    said
}

#[test]
#[ignore = "needs promtool, of Debian's package prometheus"]
fn promtool_accepts_the_alerts_and_sees_each_fire() {
    let said = promtool(&["check", "rules", "deploy/monitoring/alerts.yaml"]);
    assert!(
        said.contains(&format!("SUCCESS: {} rules found", alerts().len())),
        "{said}"
    );
    promtool(&["test", "rules", TESTS]);
}

#[test]
#[ignore = "needs promtool, of Debian's package prometheus"]
fn promtool_accepts_the_queries_of_the_dashboard() {
    let queries = queries();
    let rules = queries.iter().enumerate();
    let rules: Vec<_> = rules
        .map(|(number, query)| json!({"record": format!("query:{number}"), "expr": query}))
        .collect();
    let file = tempfile::tempdir().unwrap();
    let path: PathBuf = file.path().join("queries.json");
    fs::write(
        &path,
        json!({"groups": [{"name": "dashboard", "rules": rules}]}).to_string(),
    )
    .unwrap();
    let said = promtool(&["check", "rules", path.to_str().unwrap()]);
    assert!(
        said.contains(&format!("SUCCESS: {} rules found", queries.len())),
        "{said}"
    );
}
