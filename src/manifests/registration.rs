//! The object by which the API server asks the webhook about new Pods.

use std::collections::BTreeSet;

use serde_json::json;

use super::workload::SERVICE_PORT;
use super::{Certificate, FailurePolicy, Manifest, NAME, Options, WEBHOOK, certificate, labels};
use crate::admission::{MIRROR_ANNOTATION, OPT_OUT, OPT_OUT_LABEL};
use crate::rules::namespaces::PROTECTED;
use crate::server::PATH;

/// The webhook's name, before the keys of its audit annotations and in messages of the API server.
pub const WEBHOOK_NAME: &str = "pods.pullkey.dev";
/// The value of the label by which a namespace asks for the webhook, where it has to.
const OPT_IN: &str = "true";
/// Where cert-manager lives unless someone says otherwise.
const CERT_MANAGER: &str = "cert-manager";

/// The registration, without what depends on the certificate where none is told.
pub(super) fn registration(options: &Options, certificate: Option<&Certificate>) -> Manifest {
    let annotations = (certificate == Some(&Certificate::CertManager)).then(|| certificate::annotations(options));
    let ca_bundle = match certificate {
        Some(Certificate::Given(bundle)) => Some(bundle),
        _ => None,
    };
    let (operator, label) = if options.opt_in {
        ("In", OPT_IN)
    } else {
        ("NotIn", OPT_OUT)
    };
    Manifest::new(
        comment(options.failure_policy),
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingWebhookConfiguration",
            "metadata": {"annotations": annotations, "labels": labels(), "name": NAME},
            "webhooks": [{
                "admissionReviewVersions": ["v1"],
                "clientConfig": {
                    "caBundle": ca_bundle,
                    "service": {
                        "name": WEBHOOK,
                        "namespace": options.namespace,
                        "path": PATH,
                        "port": SERVICE_PORT,
                    },
                },
                "failurePolicy": options.failure_policy,
                // An expression that fails counts as a webhook that fails, hence the questions with `has`.
                "matchConditions": [
                    {
                        "expression": format!(
                            "!has(object.metadata.annotations) || \
                             !('{MIRROR_ANNOTATION}' in object.metadata.annotations)"
                        ),
                        "name": "is-no-mirror-pod",
                    },
                    {
                        "expression": format!(
                            "!has(object.metadata.labels) || !('{OPT_OUT_LABEL}' in object.metadata.labels) || \
                             object.metadata.labels['{OPT_OUT_LABEL}'] != '{OPT_OUT}'"
                        ),
                        "name": "has-not-opted-out",
                    },
                ],
                "matchPolicy": "Equivalent",
                "name": WEBHOOK_NAME,
                "namespaceSelector": {
                    "matchExpressions": [
                        {
                            "key": "kubernetes.io/metadata.name",
                            "operator": "NotIn",
                            "values": excluded_namespaces(options, certificate),
                        },
                        {"key": OPT_OUT_LABEL, "operator": operator, "values": [label]},
                    ],
                },
                "reinvocationPolicy": "IfNeeded",
                "rules": [{
                    "apiGroups": [""],
                    "apiVersions": ["v1"],
                    "operations": ["CREATE"],
                    "resources": ["pods"],
                    "scope": "Namespaced",
                }],
                "sideEffects": "None",
                "timeoutSeconds": options.timeout,
            }],
        }),
    )
}

/// Whose Pods must start while the webhook is down, and whose images are none of its business.
fn excluded_namespaces(options: &Options, certificate: Option<&Certificate>) -> BTreeSet<String> {
    let chosen = options
        .excluded
        .iter()
        .chain([&options.namespace])
        .map(ToString::to_string);
    let mut excluded: BTreeSet<_> = PROTECTED.map(str::to_owned).into_iter().chain(chosen).collect();
    let may_be_cert_manager = matches!(certificate, None | Some(Certificate::CertManager));
    if options.failure_policy == FailurePolicy::Fail && may_be_cert_manager {
        excluded.insert(CERT_MANAGER.to_owned());
    }
    excluded
}

fn comment(failure_policy: FailurePolicy) -> String {
    let where_nobody_answers = match failure_policy {
        FailurePolicy::Ignore => {
            "Ignore: where the webhook cannot be called, a Pod is created without the secrets that it would have got, and\n\
             stays without them; but the cluster goes on."
        }
        FailurePolicy::Fail => {
            "Fail: where the webhook cannot be called, no Pod is created. Apply this object only once the webhook is ready,\n\
             and exclude the namespaces of all that the webhook needs to start, such as the cluster's network."
        }
    };
    format!(
        "Asks the webhook about every new Pod, and about nothing else: pull secrets cannot change later. Delete this\n\
         object first to uninstall.\n\
         {where_nobody_answers}\n\
         IfNeeded: asked once more if another webhook has changed the Pod since, say by a container from another registry.\n\
         Not asked about the node's own namespaces and this one, nor about mirror Pods, which the API server refuses with\n\
         any secret, nor where a Pod or a namespace opts out by the label {OPT_OUT_LABEL}={OPT_OUT}.\n\
         A caBundle stands here only if it was given: one that something else keeps must survive the next apply."
    )
}
