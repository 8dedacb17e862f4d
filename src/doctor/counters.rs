//! What others have counted: metrics in the text format of Prometheus.

/// What an API server has counted of its calls of the webhook since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Calls {
    /// All of them.
    pub all: u64,
    /// Those that failed, so that the Pod was admitted as it was.
    pub failed_open: u64,
}

/// What the webhook's Pods have counted since they started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Injections {
    /// How many of them told.
    pub replicas: usize,
    /// Pods that got a secret.
    pub injected: u64,
    /// Pods that were left as they were.
    pub skipped: u64,
}

impl Calls {
    /// Whether a line of the API server's metrics is about these calls.
    #[must_use]
    pub fn is_told_by(line: &str, webhook: &str) -> bool {
        const COUNTERS: [&str; 2] = [ALL, FAILED_OPEN];
        COUNTERS.iter().any(|counter| line.starts_with(counter)) && line.contains(&format!("name=\"{webhook}\""))
    }

    /// The sums of such lines.
    #[must_use]
    pub fn read(lines: &str) -> Self {
        Self {
            all: sum(lines, ALL, ""),
            failed_open: sum(lines, FAILED_OPEN, ""),
        }
    }
}

const ALL: &str = "apiserver_admission_webhook_request_total{";
const FAILED_OPEN: &str = "apiserver_admission_webhook_fail_open_count{";

impl Injections {
    /// Adds what a replica's metrics tell.
    pub fn add(&mut self, metrics: &str) {
        let decisions = |outcome| sum(metrics, "pullkey_decisions_total{", &format!("outcome=\"{outcome}\""));
        self.replicas += 1;
        self.injected += decisions("injected");
        self.skipped += decisions("skipped");
    }
}

/// The sum of a counter over its labels that hold these.
fn sum(metrics: &str, counter: &str, labels: &str) -> u64 {
    let lines = metrics
        .lines()
        .filter(|line| line.starts_with(counter) && line.contains(labels));
    let values = lines.filter_map(|line| {
        let (_, value) = line.rsplit_once(' ')?;
        // Go writes large ones as 1e+06.
        value.parse::<f64>().ok()
    });
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counters are whole and never fall below 0, and the cast saturates"
    )]
    values.map(|value| value as u64).sum()
}
