//! Samples of metrics, as names, labels and values of labels.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use pullkey::admission::SkipReason;
use pullkey::metrics::{Metrics, Resource};
use regex::Regex;

/// The values of labels, by metric and label.
pub(crate) type Samples = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// Those of an exposition.
pub(crate) fn samples_of(exposition: &str) -> Samples {
    let mut samples = Samples::new();
    for line in exposition
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
    {
        let name = line.split(['{', ' ']).next().unwrap();
        let told = samples.entry(name.to_owned()).or_default();
        for (label, value) in matchers(line) {
            told.entry(label).or_default().insert(value);
        }
    }
    samples
}

/// All that webhook and controller can tell.
pub(crate) fn foreseen() -> Samples {
    let metrics = Metrics::new(SkipReason::CODES);
    let now = SystemTime::now();
    metrics.set_rules(1);
    metrics.set_certificate(now, now);
    metrics.set_certificate_refused(false);
    let _ = metrics.copies();
    let _ = metrics.certificates();
    for resource in [
        Resource::ClusterPullSecretRules,
        Resource::PullSecretRules,
        Resource::Namespaces,
        Resource::ServiceAccounts,
        Resource::Sources,
        Resource::Copies,
        Resource::Adoptions,
    ] {
        let _ = metrics.watch(resource, now);
    }
    samples_of(&metrics.encode())
}

/// The labels of a sample or selector, with their values.
pub(crate) fn matchers(selector: &str) -> Vec<(String, String)> {
    let matcher = Regex::new(r#"([a-z_]+) *(?:=|!=|=~|!~) *"([^"]*)""#).unwrap();
    let found = matcher.captures_iter(selector);
    found.map(|found| (found[1].to_owned(), found[2].to_owned())).collect()
}
