//! Objects as the API server writes them, as far as an examination needs them.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::rules::selector::{ExpressionTerms, LabelSelector, SelectorTerms};

/// A `MutatingWebhookConfiguration`.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Configuration {
    /// Its metadata.
    pub metadata: Metadata,
    /// Its webhooks.
    #[serde(default)]
    pub webhooks: Vec<Webhook>,
}

/// `metadata`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata {
    /// `name`.
    pub name: String,
    /// `labels`.
    pub labels: BTreeMap<String, String>,
    /// `annotations`.
    pub annotations: BTreeMap<String, String>,
    /// `creationTimestamp`.
    pub creation_timestamp: String,
}

/// One of its webhooks. Fields are as the API server fills them in.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Webhook {
    /// `name`.
    pub name: String,
    /// `clientConfig`.
    pub client_config: ClientConfig,
    /// `failurePolicy`.
    pub failure_policy: String,
    /// `matchPolicy`.
    pub match_policy: String,
    /// `reinvocationPolicy`.
    pub reinvocation_policy: String,
    /// `timeoutSeconds`.
    pub timeout_seconds: u32,
    /// `namespaceSelector`.
    pub namespace_selector: Selector,
    /// `objectSelector`.
    pub object_selector: Selector,
    /// `rules`.
    pub rules: Vec<Asked>,
}

/// `clientConfig`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClientConfig {
    /// `service`.
    pub service: Option<ServiceReference>,
    /// `url`.
    pub url: Option<String>,
    /// `caBundle`: base64 of PEM.
    pub ca_bundle: String,
}

/// `clientConfig.service`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ServiceReference {
    /// `namespace`.
    pub namespace: String,
    /// `name`.
    pub name: String,
    /// `path`.
    pub path: String,
    /// `port`.
    pub port: u32,
}

/// One of `rules`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Asked {
    /// `apiGroups`.
    pub api_groups: Vec<String>,
    /// `apiVersions`.
    pub api_versions: Vec<String>,
    /// `operations`.
    pub operations: Vec<String>,
    /// `resources`.
    pub resources: Vec<String>,
    /// `scope`.
    pub scope: String,
}

/// A label selector; an empty one selects everything.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Selector {
    match_labels: BTreeMap<String, String>,
    match_expressions: Vec<Expression>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Expression {
    key: String,
    operator: String,
    values: Vec<String>,
}

/// A Service.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Service {
    /// `spec`.
    #[serde(default)]
    pub spec: ServiceSpec,
}

/// `spec` of a Service.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ServiceSpec {
    /// `selector`.
    pub selector: BTreeMap<String, String>,
    /// `ports`.
    pub ports: Vec<ServicePort>,
}

/// One of them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ServicePort {
    /// `port`.
    pub port: u32,
}

/// A Deployment of ours.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Deployment {
    /// Its metadata.
    pub metadata: Metadata,
    /// `spec`.
    pub spec: DeploymentSpec,
    /// `status`.
    pub status: DeploymentStatus,
}

/// `spec` of a Deployment.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct DeploymentSpec {
    /// `replicas`.
    pub replicas: u32,
    /// `template`.
    pub template: Template,
}

/// `status` of a Deployment.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeploymentStatus {
    /// `readyReplicas`.
    pub ready_replicas: u32,
}

/// The Pod template of a Deployment.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Template {
    /// Its metadata.
    pub metadata: Metadata,
    /// `spec`.
    pub spec: PodSpec,
}

/// What is read of a Pod template's `spec`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct PodSpec {
    /// `containers`.
    pub containers: Vec<Container>,
    /// `volumes`.
    pub volumes: Vec<Volume>,
}

/// What is read of a volume.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Volume {
    /// `name`.
    pub name: String,
    /// `configMap`.
    pub config_map: Option<Named>,
}

/// What is meant by its name.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Named {
    /// `name`.
    pub name: String,
}

/// What is read of a container.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Container {
    /// `image`.
    pub image: String,
    /// `ports`.
    pub ports: Vec<ContainerPort>,
}

/// A port of a container.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerPort {
    /// `name`.
    pub name: String,
    /// `containerPort`.
    pub container_port: u16,
}

impl Selector {
    /// Whether it selects everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.match_labels.is_empty() && self.match_expressions.is_empty()
    }

    /// What decides; `None` where everything is selected, as far as it can be known here.
    #[must_use]
    pub fn compiled(&self) -> Option<LabelSelector> {
        let terms = SelectorTerms {
            match_labels: self.match_labels.clone().into_iter().collect(),
            match_expressions: self
                .match_expressions
                .iter()
                .map(|Expression { key, operator, values }| ExpressionTerms {
                    key: key.clone(),
                    operator: operator.clone(),
                    values: values.clone(),
                })
                .collect(),
        };
        LabelSelector::new(terms).ok()
    }
}

impl Asked {
    /// Whether the creation of Pods is among it.
    #[must_use]
    pub fn is_about_new_pods(&self) -> bool {
        let has = |list: &[String], wanted: &[&str]| list.iter().any(|item| wanted.contains(&item.as_str()));
        has(&self.operations, &["CREATE", "*"])
            && has(&self.api_groups, &["", "*"])
            && has(&self.api_versions, &["v1", "*"])
            && has(&self.resources, &["pods", "*", "*/*"])
            && self.scope != "Cluster"
    }

    /// Whether it is about nothing else.
    #[must_use]
    pub fn is_about_nothing_else(&self) -> bool {
        let is_only = |list: &[String], only: &str| list.iter().all(|item| item == only);
        is_only(&self.operations, "CREATE") && is_only(&self.api_groups, "") && is_only(&self.resources, "pods")
    }
}
