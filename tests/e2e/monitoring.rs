//! What is told to Prometheus: by the API server what our alerts and others ask it for, by ours nothing unforeseen.

use regex::Regex;
use serde_json::json;

use crate::harness::{IMAGE, Installation, control_plane, pod, rules_for_load, until};
use crate::samples::{Samples, foreseen, samples_of};

/// What the alerts and the dashboard are tested with.
const ASSUMED: &str = include_str!("../monitoring/api-server.prom");
/// Whatever asks the API server for metrics.
const ASKING: [&str; 4] = [
    include_str!("../../README.md"),
    include_str!("../../deploy/monitoring/alerts.yaml"),
    include_str!("../../deploy/monitoring/pullkey.json"),
    include_str!("../../src/doctor/counters.rs"),
];

/// What is told and not foreseen, or with a label or a value that is not. Bounds of buckets are numbers, and a version is
/// this one.
pub(crate) fn unforeseen(exposition: &str) -> Vec<String> {
    lacking(&samples_of(exposition), &foreseen())
}

/// What of these is not among those.
fn lacking(samples: &Samples, among: &Samples) -> Vec<String> {
    let mut lacking = Vec::new();
    for (metric, labels) in samples {
        let Some(known) = among.get(metric) else {
            lacking.push(metric.clone());
            continue;
        };
        for (label, values) in labels {
            let known = known.get(label);
            let strange = values
                .iter()
                .filter(|value| !known.is_some_and(|known| known.contains(*value)));
            lacking.extend(strange.map(|value| format!("{metric}{{{label}={value}}}")));
        }
    }
    lacking
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_tells_what_it_is_asked_for() {
    let mut pullkey = Installation::with_rules(&rules_for_load("load")).await;
    let namespace = pullkey.namespace().await;
    assert_eq!(namespace.secrets_for(&[IMAGE]).await, ["load"]);
    pullkey.remove_replica();
    assert!(namespace.secrets_for(&[IMAGE]).await.is_empty());
    pullkey.configuration["webhooks"][0]["failurePolicy"] = json!("Fail");
    pullkey.configure().await;
    until("Pods are refused", async || {
        (namespace.try_pod(&pod(&[IMAGE])).await.status == 500).then_some(())
    })
    .await;

    let told = control_plane().kubectl(&["get", "--raw", "/metrics"], "");
    // Each line with what it says together: labels of two samples are no third one's.
    let told: Vec<_> = told.lines().map(samples_of).collect();
    for line in ASSUMED.lines() {
        let assumed = samples_of(line);
        assert!(
            told.iter().any(|told| lacking(&assumed, told).is_empty()),
            "nothing is told like {line}: {:?}",
            told.iter()
                .filter(|told| told.keys().eq(assumed.keys()))
                .collect::<Vec<_>>()
        );
    }
    let name = Regex::new(r"apiserver_[a-z_]+[a-z]").unwrap();
    let asked = ASKING.iter().flat_map(|text| name.find_iter(text));
    let asked: Vec<_> = asked
        .map(|name| name.as_str())
        .filter(|name| *name != "apiserver_admission_webhook")
        .collect();
    assert!(asked.len() > 4, "{asked:?}");
    for name in asked {
        assert!(told.iter().any(|told| told.contains_key(name)), "{name}");
    }
}

#[test]
fn what_is_not_foreseen_is_noticed() {
    let exposition = "pullkey_requests_total{code=\"418\"} 1\npullkey_copies{namespace=\"a\"} 1\nother 1\n\
                      pullkey_panics_total{stage=\"read\"} 0\n# EOF\n";
    assert_eq!(
        unforeseen(exposition),
        [
            "other",
            "pullkey_copies{namespace=a}",
            "pullkey_requests_total{code=418}"
        ]
    );
}
