//! What the API server is told about rules: the two kinds as `CustomResourceDefinition`s.
//!
//! In: the names, limits and messages that the reader of rules goes by. Out: definitions whose schemas refuse at once
//! what a schema can refuse, and never what the reader takes. What only the reader can judge stays its business: whether
//! a regex compiles, keys of labels, Pullkey's own namespace, and how long a path may be.
//!
//! A narrowing feature must be a new required value or a new kind, never an optional field: an API server that does not
//! know the field drops it, and the rule would cover more than its author meant.

mod build;
mod spec;
mod status;

use serde_json::{Value, json};

use super::Kind;
use super::compile::API_VERSION;

pub use status::MOST_REFUSALS;

use build::Schema;

/// Both kinds answer to this name, too: `kubectl get pullkey`.
const CATEGORY: &str = "pullkey";

/// The definitions of both kinds. Kubernetes 1.30 or later takes them.
#[must_use]
pub fn custom_resource_definitions() -> [Value; 2] {
    [Kind::ClusterPullSecretRule, Kind::PullSecretRule].map(definition)
}

fn definition(kind: Kind) -> Value {
    let (group, version) = API_VERSION.split_once('/').unwrap_or_default();
    let (scope, short_name) = match kind {
        Kind::ClusterPullSecretRule => ("Cluster", "cpsr"),
        Kind::PullSecretRule => ("Namespaced", "psr"),
    };
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{}.{group}", kind.plural())},
        "spec": {
            "group": group,
            "names": {
                "categories": [CATEGORY],
                "kind": kind.as_str(),
                "listKind": format!("{kind}List"),
                "plural": kind.plural(),
                "shortNames": [short_name],
                "singular": kind.as_str().to_lowercase(),
            },
            "scope": scope,
            "versions": [{
                "additionalPrinterColumns": columns(kind),
                "name": version,
                "schema": {"openAPIV3Schema": schema(kind)},
                "served": true,
                "storage": true,
                "subresources": {"status": {}},
            }],
        },
    })
}

fn schema(kind: Kind) -> Schema {
    let description = match kind {
        Kind::ClusterPullSecretRule => {
            "The policy team's rule: which images get which pull secret, in all namespaces that it selects. New Pods with \
             such an image name the secret in their imagePullSecrets, and where the rule names a source, the namespaces \
             have copies of it."
        }
        Kind::PullSecretRule => {
            "A team's own rule, for its own namespace: which images get which pull secret. New Pods with such an image \
             name the secret in their imagePullSecrets; it must be in the namespace already."
        }
    };
    Schema::object(
        description,
        [("spec", spec::schema(kind)), ("status", status::schema())],
        &["spec"],
    )
}

/// What `kubectl get` shows; a column of priority 1 only with `-o wide`.
fn columns(kind: Kind) -> Value {
    let images =
        json!({"name": "Images", "type": "string", "jsonPath": ".spec.images", "description": "What it covers."});
    let secret = json!({
        "name": "Secret", "type": "string", "jsonPath": ".spec.secret.name", "description": "What Pods get to name.",
    });
    let mode = json!({
        "name": "Mode", "type": "string", "jsonPath": ".spec.mode", "description": "Whether it changes Pods.",
    });
    let namespaces = json!({
        "name": "Namespaces", "type": "integer", "jsonPath": ".status.namespaces.selected",
        "description": "How many namespaces it selects.",
    });
    let ready_namespaces = json!({
        "name": "Ready", "type": "integer", "jsonPath": ".status.namespaces.ready",
        "description": "How many of these have the secret.",
    });
    let ready = json!({
        "name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status",
        "description": "Whether it is in force and its secret is there.",
    });
    let registries = json!({
        "name": "Registries", "type": "string", "jsonPath": ".status.registries", "priority": 1,
        "description": "The hosts it covers.",
    });
    let last_match = json!({
        "name": "Matched", "type": "date", "jsonPath": ".status.lastMatch", "priority": 1,
        "description": "How long ago the hour began in which it last applied to a new Pod.",
    });
    let age = json!({
        "name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp", "description": "How old it is.",
    });
    match kind {
        Kind::ClusterPullSecretRule => json!([
            images,
            secret,
            mode,
            namespaces,
            ready_namespaces,
            registries,
            last_match,
            age
        ]),
        Kind::PullSecretRule => json!([images, secret, mode, ready, registries, last_match, age]),
    }
}

#[cfg(test)]
mod tests;
