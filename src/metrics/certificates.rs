//! What is told of certificates that look after themselves, by the controller that keeps them.

use super::{Counters, KEEPING_FAILURES, KEPT_MADE, KEPT_NOT_AFTER, Label, register, unix_seconds};
use crate::authority::{Life, Lives};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

labels! {
    /// What was to be done about certificates.
    KeepingStep {
        /// To see what there is.
        Look = "look",
        /// To make keys and certificates.
        Make = "make",
        /// To write the Secret of the authorities.
        Keep = "keep",
        /// To write the `caBundle`.
        Publish = "publish",
        /// To write the Secret of the serving certificate.
        Serve = "serve",
        /// To find out what the webhook's replicas serve.
        Ask = "ask",
    }
}

/// The metrics of certificates, in which a program that keeps none has no part.
#[derive(Debug)]
pub(super) struct Certificates {
    not_after: Family<Labels, Gauge>,
    made: Family<Labels, Gauge>,
    failures: Family<Labels, Counter>,
}

type Labels = [(&'static str, &'static str); 1];

/// What a controller tells that keeps certificates.
#[derive(Debug, Clone)]
pub struct CertificateMetrics {
    /// Of the authority and of the serving certificate.
    not_after: [Gauge; 2],
    made: [Gauge; 2],
    failures: Counters<KeepingStep>,
}

impl Certificates {
    pub(super) fn register(registry: &mut Registry) -> Self {
        Self {
            not_after: register(registry, KEPT_NOT_AFTER, Family::default()),
            made: register(registry, KEPT_MADE, Family::default()),
            failures: register(registry, KEEPING_FAILURES, Family::default()),
        }
    }

    /// The metrics of a controller that begins now.
    pub(super) fn begin(&self) -> CertificateMetrics {
        let gauges = |family: &Family<Labels, Gauge>| {
            ["authority", "serving"].map(|certificate| family.get_or_create_owned(&[("certificate", certificate)]))
        };
        let counter = |step: &KeepingStep| {
            let counter = self.failures.get_or_create_owned(&[("step", step.as_str())]);
            (*step, counter)
        };
        CertificateMetrics {
            not_after: gauges(&self.not_after),
            made: gauges(&self.made),
            failures: Counters(KeepingStep::ALL.iter().map(counter).collect()),
        }
    }
}

impl CertificateMetrics {
    /// What is in force.
    pub fn set_lives(&self, lives: &Lives) {
        let instant = |life: Option<Life>, instant: fn(Life) -> std::time::SystemTime| {
            life.map_or(0, |life| unix_seconds(instant(life)))
        };
        for (life, (not_after, made)) in [lives.authority, lives.certificate]
            .into_iter()
            .zip(self.not_after.iter().zip(&self.made))
        {
            not_after.set(instant(life, |life| life.end));
            made.set(instant(life, |life| life.begin));
        }
    }

    /// Another replica keeps them.
    pub fn stand_by(&self) {
        self.set_lives(&Lives::default());
    }

    /// A step was not done.
    pub fn failed(&self, step: KeepingStep) {
        self.failures.count(step);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn what_is_kept_and_what_fails_is_told() {
        let metrics = Metrics::new([]);
        let certificates = metrics.certificates();
        let life = |seconds| {
            let begin = UNIX_EPOCH + Duration::from_secs(seconds);
            let end = begin + Duration::from_secs(100);
            Some(Life { begin, end })
        };
        certificates.set_lives(&Lives {
            authority: life(1),
            certificate: life(2),
        });
        certificates.failed(KeepingStep::Publish);
        let told = metrics.encode();
        for line in [
            "pullkey_kept_certificate_made_timestamp_seconds{certificate=\"authority\"} 1",
            "pullkey_kept_certificate_made_timestamp_seconds{certificate=\"serving\"} 2",
            "pullkey_kept_certificate_not_after_timestamp_seconds{certificate=\"authority\"} 101",
            "pullkey_kept_certificate_not_after_timestamp_seconds{certificate=\"serving\"} 102",
            "pullkey_certificate_keeping_failures_total{step=\"publish\"} 1",
        ] {
            assert!(told.lines().any(|told| told == line), "{line}");
        }
        certificates.stand_by();
        let expected = "pullkey_kept_certificate_not_after_timestamp_seconds{certificate=\"serving\"} 0";
        assert!(metrics.encode().lines().any(|told| told == expected));
    }
}
