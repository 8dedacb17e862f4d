//! What has Prometheus and Grafana look after Pullkey: whom to ask, when somebody should come, and a dashboard.
//!
//! In: the namespace. Out: objects for the Prometheus operator and for Grafana, and the same as plain files for whoever
//! has neither. The alerts are one file, as Prometheus reads it; the dashboard is a table of queries. Which metrics and
//! labels there are, src/metrics decides; a test holds both against it.

mod dashboard;
mod panels;

use serde_json::{Value, json};

use super::part::HEALTH;
use super::{Manifest, NAME, Options, labels};
use crate::health::METRICS;
use crate::yaml::{Node, parse};

/// When somebody should come.
pub(super) const ALERTS: &str = include_str!("alerts.yaml");
/// The name of the file with the dashboard, also within its `ConfigMap`.
pub(super) const DASHBOARD: &str = "pullkey.json";
/// The name of that `ConfigMap`.
pub(super) const DASHBOARD_NAME: &str = "pullkey-dashboard";
const API_VERSION: &str = "monitoring.coreos.com/v1";

/// All of it, where the Prometheus operator is, and the dashboards of Grafana come from `ConfigMap`s.
pub(super) fn objects(options: &Options) -> Vec<Manifest> {
    vec![pod_monitor(options), prometheus_rule(options), dashboard_map(options)]
}

pub(super) fn pod_monitor(options: &Options) -> Manifest {
    Manifest::new(
        "Has Prometheus ask every Pod of Pullkey for its metrics. If your Prometheus looks for monitors and rules with some\n\
         label only, add it to this and to the PrometheusRule.",
        json!({
            "apiVersion": API_VERSION,
            "kind": "PodMonitor",
            "metadata": metadata(NAME, &labels(), options),
            "spec": {
                "podMetricsEndpoints": [{"path": METRICS, "port": HEALTH}],
                "selector": {"matchLabels": labels()},
            },
        }),
    )
}

pub(super) fn prometheus_rule(options: &Options) -> Manifest {
    let groups = parse(ALERTS).ok();
    let groups = groups.and_then(|documents| documents.first().map(Node::to_json));
    Manifest::new(
        "When somebody should look at Pullkey: `alerts.yaml` as an object.",
        json!({
            "apiVersion": API_VERSION,
            "kind": "PrometheusRule",
            "metadata": metadata(NAME, &labels(), options),
            "spec": groups,
        }),
    )
}

fn dashboard_map(options: &Options) -> Manifest {
    Manifest::new(
        "A dashboard for the Grafana that looks for `ConfigMap`s with this label, as that of kube-prometheus-stack does.",
        json!({
            "apiVersion": "v1",
            "data": {DASHBOARD: dashboard()},
            "kind": "ConfigMap",
            "metadata": metadata(DASHBOARD_NAME, &dashboard_labels(), options),
        }),
    )
}

/// The dashboard, as Grafana imports it.
pub(super) fn dashboard() -> String {
    format!("{:#}\n", dashboard::dashboard())
}

pub(super) fn dashboard_labels() -> Value {
    json!({"app.kubernetes.io/name": NAME, "grafana_dashboard": "1"})
}

fn metadata(name: &str, labels: &Value, options: &Options) -> Value {
    json!({"labels": labels, "name": name, "namespace": options.namespace})
}
