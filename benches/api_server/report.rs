//! What came out, for people and for programs.

use std::fmt;

use serde::Serialize;

use super::statistics::{Interval, added_to_median, added_to_tail, bootstrap, overall, quantile};
use super::variants::{NAMES, NONE, NONE_AGAIN, POLICY, PULLKEY, Variants};
use super::{Arguments, BLOCK, Round};

/// The API server's histogram of its calls of webhooks; 5 ms is a bucket's bound.
const HISTOGRAM: &str = "apiserver_admission_webhook_admission_duration_seconds";

/// Times are in milliseconds.
#[derive(Serialize)]
pub(crate) struct Report {
    pods: usize,
    dry_run: bool,
    variants: Vec<Latency>,
    differences: Vec<Difference>,
    webhook: Webhook,
    first_injected_pod_after: [f64; 3],
}

#[derive(Serialize)]
struct Latency {
    name: &'static str,
    p50: f64,
    p99: f64,
}

#[derive(Serialize)]
struct Difference {
    name: &'static str,
    less: &'static str,
    p50: Interval,
    p99: Interval,
}

/// What the API server and Pullkey say of the calls between them.
#[derive(Serialize)]
pub(crate) struct Webhook {
    calls: f64,
    within_5_ms: f64,
    /// In the API server, all together.
    took: f64,
    /// In Pullkey, all together.
    took_inside: f64,
}

impl Webhook {
    /// Since the start.
    pub(crate) async fn now(variants: &Variants) -> Self {
        let pullkey = &variants.pullkey;
        let text = pullkey.api.get("/metrics").await.good();
        let name = format!("name={}", pullkey.configuration["webhooks"][0]["name"]);
        let sum = |series: &str, labels: &str| -> f64 {
            let series = format!("{HISTOGRAM}_{series}{{");
            let lines = text.as_str().unwrap().lines();
            lines
                .filter(|line| line.starts_with(&series) && line.contains(&name) && line.contains(labels))
                .map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap())
                .sum()
        };
        let inside = pullkey.replicas[0]
            .metric("pullkey_request_duration_seconds_sum", "")
            .await;
        Self {
            calls: sum("count", ""),
            within_5_ms: sum("bucket", "le=\"0.005\""),
            took: sum("sum", "") * 1e3,
            took_inside: inside * 1e3,
        }
    }

    pub(crate) fn since(self, before: &Self) -> Self {
        Self {
            calls: self.calls - before.calls,
            within_5_ms: self.within_5_ms - before.within_5_ms,
            took: self.took - before.took,
            took_inside: self.took_inside - before.took_inside,
        }
    }
}

impl Report {
    pub(crate) fn new(rounds: &[Round], webhook: Webhook, activations: &[f64], arguments: &Arguments) -> Self {
        let all: Vec<&Round> = rounds.iter().collect();
        let latency = |(variant, name)| Latency {
            name,
            p50: overall(&all, variant, 0.5),
            p99: overall(&all, variant, 0.99),
        };
        let pairs = [(NONE_AGAIN, NONE), (PULLKEY, NONE), (POLICY, NONE), (PULLKEY, POLICY)];
        let difference = |(variant, base)| Difference {
            name: NAMES[variant],
            less: NAMES[base],
            p50: bootstrap(rounds, |sample| added_to_median(sample, variant, base)),
            p99: bootstrap(rounds, |sample| added_to_tail(sample, variant, base)),
        };
        Self {
            pods: rounds.len() * BLOCK,
            dry_run: arguments.dry_run,
            variants: NAMES.into_iter().enumerate().map(latency).collect(),
            differences: pairs.into_iter().map(difference).collect(),
            webhook,
            first_injected_pod_after: [0.0, 0.5, 1.0].map(|share| quantile(activations.iter().copied(), share)),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.dry_run { "tried out" } else { "stored" };
        writeln!(out, "{} Pods each, {kind}, one after the other; ms", self.pods)?;
        writeln!(out, "{:<51} {:>7} {:>7}", "", "p50", "p99")?;
        for Latency { name, p50, p99 } in &self.variants {
            writeln!(out, "{name:<51} {p50:>7.3} {p99:>7.3}")?;
        }
        writeln!(
            out,
            "\n{:<51} {:^26} {:^26}",
            "differences, with 95 % intervals", "p50", "p99"
        )?;
        for Difference { name, less, p50, p99 } in &self.differences {
            writeln!(out, "{:<51} {p50:>26} {p99:>26}", format!("{name} less {less}"))?;
        }
        let Webhook {
            calls,
            within_5_ms,
            took,
            took_inside,
        } = self.webhook;
        writeln!(
            out,
            "\nthe API server on its {calls} calls of Pullkey: {:.2} % within 5 ms, {:.3} ms on average, {:.3} ms of it in Pullkey",
            within_5_ms / calls * 100.0,
            took / calls,
            took_inside / calls
        )?;
        let [least, median, most] = self.first_injected_pod_after;
        writeln!(
            out,
            "first injected Pod after a new webhook configuration: median {median:.0} ms, {least:.0} to {most:.0}"
        )
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&format!(
            "{:+.3} ({:+.3} to {:+.3})",
            self.estimate, self.low, self.high
        ))
    }
}
