//! The registration: whether the API server asks about new Pods, whom, and about which.
//!
//! In: all objects by which the API server changes others on their way. Out: what of ours differs from what
//! `pullkey manifests` prints, where that matters, and who else changes Pods.

use std::collections::BTreeMap;

use super::facts::Facts;
use super::objects::{Asked, Configuration, ServiceReference, Webhook};
use super::{Finding, Report, Severity};
use crate::manifests::WEBHOOK_NAME;
use crate::rules::Labels;
use crate::rules::namespaces::PROTECTED;
use crate::server::PATH;

/// The label that every namespace carries, with its name.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";
/// Says on a registration that cert-manager keeps its `caBundle`.
const CERT_MANAGER: &str = "cert-manager.io/inject-ca-from";
/// All webhooks of a Pod share 34 s: one that takes more of it than this takes them from others.
const LONGEST_TIMEOUT: u32 = 10;
const AS_PRINTED: &str = "apply the registration as `pullkey manifests` prints it";

/// Our webhook, and the configuration that it is registered in.
pub(super) fn ours(facts: &Facts) -> Option<(&Configuration, &Webhook)> {
    all_ours(facts).next()
}

fn all_ours(facts: &Facts) -> impl Iterator<Item = (&Configuration, &Webhook)> {
    let configurations = facts.configurations.iter().flatten();
    configurations.flat_map(|configuration| {
        let ours = configuration
            .webhooks
            .iter()
            .filter(|webhook| webhook.name == WEBHOOK_NAME);
        ours.map(move |webhook| (configuration, webhook))
    })
}

/// Which Service is called.
#[must_use]
pub fn service(configurations: &[Configuration]) -> Option<&ServiceReference> {
    let webhooks = configurations.iter().flat_map(|configuration| &configuration.webhooks);
    let mut ours = webhooks.filter(|webhook| webhook.name == WEBHOOK_NAME);
    ours.find_map(|webhook| webhook.client_config.service.as_ref())
}

/// Whether the webhook is asked about Pods of a namespace with these labels.
pub(super) fn asks_about(webhook: &Webhook, labels: &Labels) -> bool {
    let selector = webhook.namespace_selector.compiled();
    selector.is_none_or(|selector| selector.matches(labels))
}

pub(super) fn examine(facts: &Facts, report: &mut Report) {
    if facts.configurations.is_none() {
        return;
    }
    let Some((configuration, webhook)) = ours(facts) else {
        report.saw("registration", "none");
        let missing = Finding::error(
            "registration-missing",
            format_args!("no MutatingWebhookConfiguration holds the webhook `{WEBHOOK_NAME}`: no Pod gets a secret"),
        );
        report.found(missing.hinting(AS_PRINTED));
        return;
    };
    let name = &configuration.metadata.name;
    report.saw("registration", state(name, webhook));
    if all_ours(facts).count() > 1 {
        let several = Finding::warning(
            "registration-several",
            "the webhook is registered more than once, and asked as often about each Pod",
        );
        let named = all_ours(facts).map(|(configuration, _)| configuration.metadata.name.clone());
        report.found(several.about(named).hinting("delete all but one of them"));
    }
    let findings = [
        asked(webhook),
        narrowed(webhook),
        excluded(facts, webhook),
        called(webhook),
        matched(webhook),
        reinvoked(facts, name, webhook),
        timed(webhook),
        bundle(configuration, webhook),
        reached(facts),
        selection(facts, webhook),
    ];
    for finding in findings.into_iter().flatten() {
        let is_about_others = !finding.about.is_empty();
        report.found(if is_about_others {
            finding
        } else {
            finding.about([name])
        });
    }
    let others: Vec<_> = others(facts).map(|other| other.metadata.name.as_str()).collect();
    if !others.is_empty() {
        report.saw(
            "others",
            format_args!("{} are asked about new Pods, too", others.join(", ")),
        );
    }
}

fn state(name: &str, webhook: &Webhook) -> String {
    let client = &webhook.client_config;
    let whom = match (&client.service, &client.url) {
        (Some(service), _) => format!("{}/{}", service.namespace, service.name),
        (None, url) => url.clone().unwrap_or_default(),
    };
    format!("{name} asks {whom}, failurePolicy {}", webhook.failure_policy)
}

/// Everybody else who is asked about new Pods.
fn others(facts: &Facts) -> impl Iterator<Item = &Configuration> {
    let is_asked = |webhook: &Webhook| webhook.rules.iter().any(Asked::is_about_new_pods);
    let configurations = facts.configurations.iter().flatten();
    configurations.filter(move |configuration| {
        let webhooks = &configuration.webhooks;
        webhooks.iter().all(|webhook| webhook.name != WEBHOOK_NAME) && webhooks.iter().any(is_asked)
    })
}

fn asked(webhook: &Webhook) -> Option<Finding> {
    if !webhook.rules.iter().any(Asked::is_about_new_pods) {
        let finding = Finding::error(
            "registration-rules",
            "its `rules` leave out the creation of Pods: no Pod gets a secret",
        );
        return Some(finding.hinting(AS_PRINTED));
    }
    let is_wide = !webhook.rules.iter().all(Asked::is_about_nothing_else);
    let finding = || {
        Finding::warning(
            "registration-rules",
            "its `rules` ask about more than the creation of Pods, where nothing can be done",
        )
    };
    is_wide.then(|| finding().hinting(AS_PRINTED))
}

fn narrowed(webhook: &Webhook) -> Option<Finding> {
    let finding = || {
        Finding::warning(
            "registration-objects",
            "its `objectSelector` leaves out Pods by their labels, whatever rules say",
        )
    };
    (!webhook.object_selector.is_empty()).then(|| finding().hinting("a Pod opts out by `pullkey.dev/inject=false`"))
}

/// Whose Pods have to start without the webhook.
fn excluded(facts: &Facts, webhook: &Webhook) -> Option<Finding> {
    let own = facts.own_namespace.as_str();
    let labels = |name: &str| {
        let known = facts.namespaces.as_ref().and_then(|namespaces| namespaces.get(name));
        known
            .cloned()
            .unwrap_or_else(|| [(NAME_LABEL, name)].into_iter().collect())
    };
    let asked: Vec<_> = PROTECTED
        .into_iter()
        .chain([own])
        .filter(|name| asks_about(webhook, &labels(name)))
        .collect();
    let fails = webhook.failure_policy == "Fail";
    let (severity, why) = if fails {
        (Severity::Error, "while the webhook is down, not even it can start")
    } else {
        (Severity::Warning, "their Pods wait for it while it is down")
    };
    let message = format!("its `namespaceSelector` does not leave out what must do without it: {why}");
    let finding = || Finding::new(severity, "registration-namespaces", message).about(&asked);
    (!asked.is_empty()).then(|| finding().hinting(AS_PRINTED))
}

fn called(webhook: &Webhook) -> Option<Finding> {
    let service = webhook.client_config.service.as_ref()?;
    let finding = || {
        Finding::error(
            "registration-path",
            format_args!("it calls the path `{}`, expected `{PATH}`", service.path),
        )
    };
    (service.path != PATH).then(|| finding().hinting(AS_PRINTED))
}

fn matched(webhook: &Webhook) -> Option<Finding> {
    let finding = || {
        Finding::warning(
            "registration-match-policy",
            format_args!("its `matchPolicy` is `{}`, expected `Equivalent`", webhook.match_policy),
        )
    };
    (webhook.match_policy != "Equivalent").then(|| finding().hinting(AS_PRINTED))
}

/// Webhooks are called in the order of the names of their configurations.
fn reinvoked(facts: &Facts, name: &str, webhook: &Webhook) -> Option<Finding> {
    if webhook.reinvocation_policy == "IfNeeded" {
        return None;
    }
    let later: Vec<_> = others(facts)
        .filter(|other| other.metadata.name.as_str() > name)
        .collect();
    let finding = Finding::warning(
        "registration-reinvocation",
        "its `reinvocationPolicy` is not `IfNeeded`: what other webhooks add to a Pod later gets no secret",
    );
    let later = later
        .iter()
        .map(|other| format!("{} is asked later", other.metadata.name));
    Some(finding.about(later).hinting(AS_PRINTED))
}

fn timed(webhook: &Webhook) -> Option<Finding> {
    let seconds = webhook.timeout_seconds;
    let finding = || {
        Finding::warning(
            "registration-timeout",
            format_args!(
                "its `timeoutSeconds` is {seconds}, expected at most {LONGEST_TIMEOUT}: all webhooks share 34 s"
            ),
        )
    };
    (seconds > LONGEST_TIMEOUT).then(|| finding().hinting(AS_PRINTED))
}

fn bundle(configuration: &Configuration, webhook: &Webhook) -> Option<Finding> {
    let client = &webhook.client_config;
    if !client.ca_bundle.is_empty() || client.url.is_some() {
        return None;
    }
    let finding = Finding::error(
        "ca-bundle-missing",
        "its `caBundle` is empty, so the API server does not believe the webhook's certificate",
    );
    let annotation = configuration.metadata.annotations.get(CERT_MANAGER);
    Some(match annotation {
        Some(certificate) => finding.hinting(format_args!(
            "cert-manager fills it once the Certificate `{certificate}` is ready: `kubectl describe certificate` says why not"
        )),
        None => finding.hinting("`pullkey manifests --certificate given --ca-bundle FILE` prints one with it"),
    })
}

/// What the API server has counted itself. It is not known what that was about.
fn reached(facts: &Facts) -> Option<Finding> {
    let calls = facts.calls.filter(|calls| calls.failed_open > 0)?;
    let finding = Finding::note(
        "failed-open",
        format_args!(
            "since it started, the API server has admitted Pods without an answer of the webhook {} times, of {} calls",
            calls.failed_open, calls.all
        ),
    );
    Some(
        finding
            .hinting("its log says why: `failed calling webhook`; `--dry-run NAMESPACE` tries whether it still does"),
    )
}

/// Namespaces that rules select and the registration does not.
fn selection(facts: &Facts, webhook: &Webhook) -> Option<Finding> {
    let (namespaces, rules) = (facts.namespaces.as_ref()?, facts.rules.as_ref()?);
    let is_selected = |name: &str, labels: &Labels| {
        let labels = Some(labels);
        rules
            .in_force
            .iter()
            .any(|rule| rule.namespaces.selects(&crate::rules::Namespace { name, labels }))
    };
    let left_out: BTreeMap<_, _> = namespaces
        .iter()
        .filter(|(name, labels)| !asks_about(webhook, labels) && is_selected(name, labels))
        .collect();
    let finding = || {
        let finding = Finding::note(
            "registration-selection",
            format_args!(
                "namespaces that rules select, and about whose Pods the webhook is not asked: {}",
                left_out.len()
            ),
        );
        finding.about(left_out.keys())
    };
    (!left_out.is_empty()).then(|| finding().hinting("its `namespaceSelector` says which; they may have opted out"))
}
