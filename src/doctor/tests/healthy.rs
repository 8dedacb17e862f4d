//! A cluster that is well: what `pullkey manifests` prints, and a rule with its copy.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::controller::copy::Style;
use crate::controller::ownership::{ManagedFields, Observed, SecretMetadata};
use crate::controller::status::RuleStatus;
use crate::controller::{SOURCE_ANNOTATION, Target, VERSION_ANNOTATION};
use crate::doctor::facts::{Facts, RuleFacts, Rules, Version};
use crate::doctor::objects::Configuration;
use crate::manifests::{Certificate, Installation, Options, list};
use crate::rules::compile::{Context, compile};
use crate::rules::{Compiled, Kind, Labels};

/// An object that is installed, by its kind and the end of its name.
fn installed(kind: &str, name: &str) -> Value {
    let objects = Installation::new(Options::default())
        .unwrap()
        .objects(&Certificate::CertManager);
    let list = list(&objects);
    let mut items = list["items"].as_array().unwrap().iter();
    let is_wanted = |item: &&Value| item["kind"] == kind && item["metadata"]["name"].as_str().unwrap().ends_with(name);
    items.find(is_wanted).unwrap().clone()
}

/// The registration, as the API server has it once cert-manager has done its part.
pub(super) fn registration() -> Value {
    let mut registration = installed("MutatingWebhookConfiguration", "pullkey");
    registration["webhooks"][0]["clientConfig"]["caBundle"] = json!("Y2E=");
    registration["metadata"]["creationTimestamp"] = json!("2026-11-01T00:00:00Z");
    registration
}

/// What a rule with this `spec` compiles to.
pub(super) fn rule(spec: &str) -> Compiled {
    let text = format!(
        "{{apiVersion: pullkey.dev/v1alpha1, kind: ClusterPullSecretRule, metadata: {{name: copies}}, spec: {{{spec}}}}}"
    );
    let context = Context {
        own_namespace: "pullkey",
        labels: true,
        source_keys: None,
    };
    compile(&text, "rules.yaml", &context)
}

/// A status of that generation in which this condition is not true.
pub(super) fn status(generation: i64, condition: &str, reason: &str, refusals: &Value) -> RuleStatus {
    let condition = json!({
        "type": condition, "status": "False", "reason": reason, "message": "why",
        "observedGeneration": generation, "lastTransitionTime": "2026-11-01T00:00:00Z",
    });
    let status = json!({"observedGeneration": generation, "refusals": refusals, "conditions": [condition]});
    serde_json::from_value(status).unwrap()
}

/// A Secret that this manager made.
pub(super) fn secret(manager: &str, labels: &Value) -> Observed {
    let owned = json!({"f:type": {}, "f:data": {"f:.dockerconfigjson": {}}});
    let operation = if manager == "pullkey" { "Apply" } else { "Update" };
    let managed_fields = [ManagedFields {
        manager,
        operation,
        subresource: "",
        fields: &owned,
    }];
    let annotations = [(SOURCE_ANNOTATION, "sources/a"), (VERSION_ANNOTATION, "uid/1")];
    let metadata = SecretMetadata {
        uid: "uid",
        resource_version: "1",
        labels: &serde_json::from_value(labels.clone()).unwrap(),
        annotations: &annotations
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        managed_fields: &managed_fields,
        is_being_deleted: false,
    };
    Observed::new(&metadata, &Style::default())
}

/// All of it.
pub(super) fn healthy() -> Facts {
    let deployment = |name: &str| {
        let mut deployment = installed("Deployment", name);
        deployment["status"] = json!({"readyReplicas": 2});
        serde_json::from_value(deployment).unwrap()
    };
    let configuration: Configuration = serde_json::from_value(registration()).unwrap();
    let namespaces = ["kube-system", "pullkey", "team-a"].map(|name| {
        let labels: Labels = [("kubernetes.io/metadata.name", name)].into_iter().collect();
        (name.into(), labels)
    });
    let spec = "images: [a.example], namespaces: {include: [team-a]}, \
                secret: {name: copied, copyFrom: {namespace: sources, name: a}}";
    let rule = rule(spec).rules.pop().unwrap();
    let target = Target {
        namespace: "team-a".into(),
        name: "copied".into(),
    };
    let copy = secret("pullkey", &json!({"pullkey.dev/copy": "true"}));
    let kubernetes: Version =
        serde_json::from_value(json!({"major": "1", "minor": "37", "gitVersion": "v1.37.1"})).unwrap();
    Facts {
        own_namespace: "pullkey".to_owned(),
        program: env!("CARGO_PKG_VERSION"),
        kubernetes: Some(kubernetes),
        configurations: Some(vec![configuration]),
        service: Some(Some(serde_json::from_value(installed("Service", "webhook")).unwrap())),
        deployments: Some(vec![deployment("webhook"), deployment("controller")]),
        namespaces: Some(BTreeMap::from(namespaces)),
        rules: Some(Rules {
            objects: vec![RuleFacts {
                kind: Kind::ClusterPullSecretRule,
                name: "copies".to_owned(),
                generation: 1,
                status: RuleStatus {
                    observed_generation: 1,
                    ..RuleStatus::default()
                },
                rule: Some(rule.clone()),
            }],
            in_force: vec![rule],
            of_files: Some(0),
            diagnostics: Vec::new(),
        }),
        copies: Some([(target, copy)].into()),
        ..Facts::default()
    }
}
