//! What runs: the cluster's version and kinds, the programs' Pods, the Service and the certificate.

use super::facts::{Certificate, Facts};
use super::objects::Deployment;
use super::registration::ours;
use super::{Finding, Report};
use crate::manifests::{CERTIFICATE, CONTROLLER, WEBHOOK};

/// The oldest Kubernetes that is supported.
const OLDEST: (u32, u32) = (1, 30);
const APPLY: &str = "apply what `pullkey manifests` prints";

/// The cluster itself.
pub(super) fn examine_cluster(facts: &Facts, report: &mut Report) {
    if let Some(version) = &facts.kubernetes {
        report.saw("Kubernetes", &version.git_version);
        let (major, minor) = OLDEST;
        if !version.is_at_least(major, minor) {
            let message = format_args!(
                "Kubernetes {} is too old, expected {major}.{minor} or newer",
                version.git_version
            );
            report.found(Finding::error("kubernetes-version", message).hinting("upgrade the cluster"));
        }
    }
    for (kind, definition) in &facts.definitions {
        let Some(definition) = definition else {
            let missing = Finding::error("kind-missing", format_args!("the cluster has no kind `{kind}`"));
            report.found(missing.hinting("apply `crds` of `pullkey manifests --out`, before anything else"));
            continue;
        };
        if !definition.is_established || !definition.is_served {
            let message = format_args!("the cluster does not serve `{kind}` in the version that Pullkey reads");
            let finding = Finding::error("kind-not-served", message).about([format!("{}.pullkey.dev", kind.plural())]);
            report.found(finding.hinting("`kubectl describe crd` says why"));
        } else if !definition.is_ours {
            let message = format_args!("the definition of `{kind}` is another than that of this program's version");
            let finding = Finding::warning("kind-differs", message);
            report.found(finding.hinting("definitions go up first and never down: apply the newest one"));
        }
    }
}

/// What is installed on it.
pub(super) fn examine_programs(facts: &Facts, report: &mut Report) {
    if let Some(deployments) = &facts.deployments {
        for (what, name) in [("webhook", WEBHOOK), ("controller", CONTROLLER)] {
            let found = deployments
                .iter()
                .find(|deployment| deployment.metadata.name.starts_with(name));
            if let Some(deployment) = found {
                examine_deployment(what, deployment, facts, report);
                continue;
            }
            report.saw(what, "none");
            let is_webhook = what == "webhook";
            let code = if is_webhook {
                "webhook-missing"
            } else {
                "controller-missing"
            };
            let message = format_args!("namespace `{}` has no Deployment `{name}`", facts.own_namespace);
            report.found(Finding::error(code, message).hinting(APPLY));
        }
    }
    examine_service(facts, report);
    examine_certificate(facts, report);
    if let Some(injections) = facts.injections.filter(|injections| injections.replicas > 0) {
        let (injected, skipped, replicas) = (injections.injected, injections.skipped, injections.replicas);
        report.saw(
            "injections",
            format_args!(
                "{injected} Pods got secrets and {skipped} none, since the {replicas} Pods asked have started"
            ),
        );
    }
    if let Some(calls) = facts.calls {
        let state = format!(
            "{} by the API server since it started, {} failed open",
            calls.all, calls.failed_open
        );
        report.saw("calls", state);
    }
}

fn examine_deployment(what: &'static str, deployment: &Deployment, facts: &Facts, report: &mut Report) {
    let (wanted, ready) = (deployment.spec.replicas, deployment.status.ready_replicas);
    let containers = &deployment.spec.template.spec.containers;
    let image = containers
        .first()
        .map(|container| container.image.as_str())
        .unwrap_or_default();
    report.saw(what, format_args!("{ready} of {wanted} Pods are ready, {image}"));
    let is_webhook = what == "webhook";
    let namespace = &facts.own_namespace;
    let name = &deployment.metadata.name;
    if ready == 0 {
        let (code, so) = if is_webhook {
            ("webhook-down", "new Pods get no secret")
        } else {
            ("controller-down", "copies and statuses stay as they are")
        };
        let finding = Finding::error(code, format_args!("no Pod of the {what} is ready: {so}"));
        let finding = finding.about([format!("Deployment {namespace}/{name}: 0 of {wanted} are ready")]);
        let command =
            format!("kubectl describe pods --namespace {namespace} --selector app.kubernetes.io/component={what}");
        report.found(finding.hinting("what their events and logs say").running(command));
    } else if ready < wanted {
        let code = if is_webhook {
            "webhook-short"
        } else {
            "controller-short"
        };
        let message = format_args!("{ready} of {wanted} Pods of the {what} are ready");
        report.found(Finding::warning(code, message).about([format!("Deployment {namespace}/{name}")]));
    }
    let running = tag(image).filter(|tag| is_version(tag) && *tag != facts.program);
    if let Some(running) = running {
        let message = format_args!(
            "the {what} runs version {running}, and this program is {}",
            facts.program
        );
        let finding = Finding::note("version-differs", message);
        report.found(finding.hinting("what is said here is by this program's idea of the rules"));
    }
}

/// The tag of an image, if it has one.
fn tag(image: &str) -> Option<&str> {
    let (image, _) = image.split_once('@').unwrap_or((image, ""));
    let (_, tag) = image.rsplit_once(':')?;
    (!tag.contains('/')).then_some(tag)
}

fn is_version(tag: &str) -> bool {
    let tag = tag.strip_prefix('v').unwrap_or(tag);
    tag.starts_with(|first: char| first.is_ascii_digit()) && tag.contains('.')
}

fn examine_service(facts: &Facts, report: &mut Report) {
    let webhook = ours(facts).map(|(_, webhook)| webhook);
    let called = webhook.and_then(|webhook| webhook.client_config.service.as_ref());
    let (Some(called), Some(found)) = (called, &facts.service) else {
        return;
    };
    let name = format!("{}/{}", called.namespace, called.name);
    let Some(service) = found else {
        let message = format_args!("there is no Service `{name}`, which the API server is told to call");
        report.found(Finding::error("service-missing", message).hinting(APPLY));
        return;
    };
    if !service.spec.ports.iter().any(|port| port.port == called.port) {
        let message = format_args!(
            "the Service `{name}` has no port {}, which the API server is told to call",
            called.port
        );
        report.found(Finding::error("service-port", message).hinting(APPLY));
    }
    let deployments = facts.deployments.iter().flatten();
    let mut webhooks = deployments.filter(|deployment| deployment.metadata.name.starts_with(WEBHOOK));
    let selected = |deployment: &Deployment| {
        let labels = &deployment.spec.template.metadata.labels;
        let mut selector = service.spec.selector.iter();
        selector.all(|(key, value)| labels.get(key) == Some(value))
    };
    if facts.deployments.is_some() && webhooks.next().is_some_and(|webhook| !selected(webhook)) {
        let message = format_args!("the Service `{name}` does not select the webhook's Pods");
        report.found(Finding::error("service-selector", message).hinting(APPLY));
    }
}

fn examine_certificate(facts: &Facts, report: &mut Report) {
    let secret = format!("{}/{CERTIFICATE}", facts.own_namespace);
    match &facts.certificate {
        None => {}
        Some(Certificate::Missing) => {
            let message = format_args!("there is no Secret `{secret}`: the webhook's Pods wait for it");
            let finding = Finding::error("certificate-missing", message);
            report.found(finding.hinting("cert-manager makes it, or `pullkey certs` what goes into it"));
        }
        Some(Certificate::Unfit(why)) => {
            report.saw("certificate", "unfit");
            let message =
                format_args!("the API server does not believe the certificate in the Secret `{secret}`: {why}");
            let finding = Finding::error("certificate-unfit", message);
            report.found(
                finding.hinting("`caBundle` must hold the CA of `tls.crt`, and `pullkey certs --renew` keeps it"),
            );
        }
        Some(Certificate::Good { not_after, ends_soon }) => {
            report.saw("certificate", format_args!("good until {not_after}"));
            if *ends_soon {
                let message = format_args!("the certificate in the Secret `{secret}` ends at {not_after}");
                let finding = Finding::warning("certificate-ends", message);
                report.found(finding.hinting("whatever renews it is late; `pullkey certs --renew` does it by hand"));
            }
        }
    }
}
