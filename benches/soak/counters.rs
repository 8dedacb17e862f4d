//! What API servers and the webhook's replicas count themselves, summed up over their ends.
//!
//! A program that is started anew begins at 0. What it had counted between the last reading and its end is lost, so what
//! is about to be killed is read before.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::harness::{Api, Cluster};

/// The API server's counters of webhooks begin so.
const OF_WEBHOOKS: &str = "apiserver_admission_webhook_";

/// The series of all programs.
#[derive(Default)]
pub(crate) struct Counters {
    meters: BTreeMap<String, Meter>,
}

#[derive(Default)]
struct Meter {
    last: f64,
    sum: f64,
}

/// What was counted.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Counted {
    /// Calls, as API servers count them.
    pub(crate) calls: f64,
    /// Calls that API servers went on without.
    pub(crate) failed_open: f64,
    /// Calls for which API servers refused the Pod.
    pub(crate) rejected: f64,
    /// Calls that replicas answered, by the status.
    pub(crate) answered: BTreeMap<String, f64>,
}

impl Counters {
    /// From now on.
    pub(crate) async fn start(cluster: &Cluster, servers: &[Api]) -> Self {
        let mut counters = Self::default();
        counters.read(cluster, servers).await;
        counters.meters.values_mut().for_each(|meter| meter.sum = 0.0);
        counters
    }

    /// Looks at all programs that answer.
    pub(crate) async fn read(&mut self, cluster: &Cluster, servers: &[Api]) {
        for (number, server) in servers.iter().enumerate() {
            if let Some(answer) = server.try_get("/metrics").await
                && answer.status == 200
            {
                self.note(&number.to_string(), answer.object.as_str().unwrap(), OF_WEBHOOKS);
            }
        }
        for (address, text) in cluster.counted().await {
            self.note(&address.to_string(), &text, "pullkey_requests_total");
        }
    }

    fn note(&mut self, program: &str, text: &str, prefix: &str) {
        let lines = text
            .lines()
            .filter(|line| line.starts_with(prefix) && !line.contains("_bucket{"));
        for (series, value) in lines.filter_map(|line| line.rsplit_once(' ')) {
            let Ok(value) = value.parse::<f64>() else { continue };
            let meter = self.meters.entry(format!("{program} {series}")).or_default();
            meter.sum += if value < meter.last { value } else { value - meter.last };
            meter.last = value;
        }
    }

    pub(crate) fn counted(&self) -> Counted {
        let all = |name: &str| -> f64 {
            let name = format!(" {OF_WEBHOOKS}{name}{{");
            let meters = self.meters.iter().filter(|(series, _)| series.contains(&name));
            meters.map(|(_, meter)| meter.sum).fold(0.0, |sum, one| sum + one)
        };
        let mut answered = BTreeMap::<_, f64>::new();
        for (series, meter) in &self.meters {
            if let Some((_, code)) = series.split_once(" pullkey_requests_total{code=\"") {
                *answered.entry(code.trim_end_matches("\"}").to_owned()).or_default() += meter.sum;
            }
        }
        answered.retain(|_, count| *count > 0.0);
        Counted {
            calls: all("admission_duration_seconds_count"),
            failed_open: all("fail_open_count"),
            rejected: all("rejection_count"),
            answered,
        }
    }
}
