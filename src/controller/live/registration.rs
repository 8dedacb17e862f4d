//! The webhook configuration by which API servers call, as far as it says whom they believe.
//!
//! In: its name, and a `caBundle`. Out: the `caBundle`s that are there, or that one was written: that field and no other,
//! of the version that was looked at. Whoever applies the configuration without the field, by whatever means, leaves it
//! as it is here.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::Method;
use serde::Deserialize;
use serde_json::json;

use super::announce::Subject;
use super::api::Api;
use crate::authority::CaBundle;
use crate::controller::refusal::Refusal;

const GROUP_VERSION: &str = "admissionregistration.k8s.io/v1";
const KIND: &str = "MutatingWebhookConfiguration";
/// What begins with this tells cert-manager to keep the `caBundle`.
const CERT_MANAGER: &str = "cert-manager.io/inject-";

/// A registration that is there.
#[derive(Debug)]
pub(super) struct Registration {
    name: String,
    uid: String,
    resource_version: String,
    webhooks: Vec<String>,
    /// PEM, one text a webhook.
    pub(super) bundles: Vec<Vec<u8>>,
    pub(super) is_kept_by_cert_manager: bool,
}

#[derive(Deserialize)]
struct Object {
    metadata: Metadata,
    #[serde(default)]
    webhooks: Vec<Webhook>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    uid: String,
    resource_version: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Webhook {
    name: String,
    client_config: ClientConfig,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientConfig {
    #[serde(default)]
    ca_bundle: String,
}

impl Registration {
    /// Looks; there may be none. With the API server's clock.
    pub(super) async fn look(
        api: &Api,
        name: &str,
        deadline: Duration,
    ) -> Result<(Option<Self>, Option<SystemTime>), Refusal> {
        let reply = api.plain(Method::GET, &path(name), Vec::new(), deadline).await?;
        let date = reply.date;
        if reply.status == 404 {
            return Ok((None, date));
        }
        let reply = reply.good()?;
        let object: Object = serde_json::from_slice(&reply.body).map_err(|_| Refusal::Unavailable { after: None })?;
        let Metadata {
            uid,
            resource_version,
            annotations,
        } = object.metadata;
        let bundles = object.webhooks.iter().map(|webhook| &webhook.client_config.ca_bundle);
        let registration = Self {
            name: name.to_owned(),
            uid,
            resource_version,
            bundles: bundles
                .map(|bundle| STANDARD.decode(bundle).unwrap_or_default())
                .collect(),
            webhooks: object.webhooks.into_iter().map(|webhook| webhook.name).collect(),
            is_kept_by_cert_manager: annotations.keys().any(|key| key.starts_with(CERT_MANAGER)),
        };
        Ok((Some(registration), date))
    }

    /// Writes the `caBundle` of every webhook.
    pub(super) async fn publish(&self, api: &Api, bundle: &CaBundle, deadline: Duration) -> Result<(), Refusal> {
        let webhooks = self.webhooks.iter();
        let webhooks: Vec<_> = webhooks
            .map(|name| json!({"name": name, "clientConfig": {"caBundle": bundle}}))
            .collect();
        let object = json!({
            "apiVersion": GROUP_VERSION,
            "kind": KIND,
            "metadata": {"name": self.name, "resourceVersion": self.resource_version},
            "webhooks": webhooks,
        });
        let body = serde_json::to_vec(&object).map_err(|_| Refusal::Invalid)?;
        let reply = api.apply(&path(&self.name), true, body, deadline).await?;
        reply.good().map(drop)
    }

    /// For events.
    pub(super) fn subject(&self) -> Subject {
        Subject {
            uid: self.uid.clone(),
            ..Self::named(&self.name)
        }
    }

    /// For events about one that may not be there.
    pub(super) fn named(name: &str) -> Subject {
        Subject {
            api_version: GROUP_VERSION,
            kind: KIND,
            namespace: String::new(),
            name: name.to_owned(),
            uid: String::new(),
        }
    }
}

fn path(name: &str) -> String {
    format!("/apis/{GROUP_VERSION}/mutatingwebhookconfigurations/{name}")
}
