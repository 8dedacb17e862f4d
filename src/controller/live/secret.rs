//! One Secret by its name, as a whole: read, made, replaced and deleted.
//!
//! In: a name, and what the Secret is to hold. Out: what it holds, or that a write was done. Every write is of the
//! version that was looked at, and creating is of none: of two who write, one is refused.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::api::Api;
use crate::authority::Contents;
use crate::controller::identity::Identity;
use crate::controller::refusal::Refusal;

/// A version that no Secret ever has: to apply it succeeds only where there is none.
const NONE_YET: &str = "1";

/// A Secret that is there.
#[derive(Debug)]
pub(super) struct Held {
    uid: String,
    resource_version: String,
    form: String,
    is_immutable: bool,
    pub(super) contents: Contents,
}

#[derive(Deserialize)]
struct Object<'a> {
    metadata: Metadata,
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    immutable: bool,
    /// Neither keys nor base64 hold anything that JSON escapes.
    #[serde(borrow, default)]
    data: BTreeMap<&'a str, &'a str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    uid: String,
    resource_version: String,
}

impl Held {
    /// Looks; there may be none.
    pub(super) async fn look(
        api: &Api,
        namespace: &str,
        name: &str,
        deadline: Duration,
    ) -> Result<Option<Self>, Refusal> {
        let reply = api
            .plain(Method::GET, &path(namespace, name), Vec::new(), deadline)
            .await?;
        if reply.status == 404 {
            return Ok(None);
        }
        let reply = reply.good()?;
        // The reader's own words quote values.
        let object: Object<'_> =
            serde_json::from_slice(&reply.body).map_err(|_| Refusal::Unavailable { after: None })?;
        let decoded = object.data.iter().map(|(key, value)| {
            let value = STANDARD.decode(value).unwrap_or_default();
            ((*key).to_owned(), Zeroizing::new(value))
        });
        Ok(Some(Self {
            contents: Contents::new(decoded),
            uid: object.metadata.uid,
            resource_version: object.metadata.resource_version,
            form: object.r#type,
            is_immutable: object.immutable,
        }))
    }

    /// Whether it can come to hold something else.
    pub(super) fn is_fit(&self, form: &str) -> bool {
        self.form == form && !self.is_immutable
    }

    /// Makes one where none is. By server-side apply: only that can be allowed for one name.
    pub(super) async fn create(
        api: &Api,
        namespace: &str,
        name: &str,
        form: &str,
        contents: &Contents,
        deadline: Duration,
    ) -> Result<(), Refusal> {
        let body = body(name, form, contents, NONE_YET)?;
        let reply = api.apply(&path(namespace, name), true, body, deadline).await?;
        reply.good().map(drop)
    }

    /// Replaces all of it.
    pub(super) async fn replace(
        &self,
        api: &Api,
        namespace: &str,
        name: &str,
        contents: &Contents,
        deadline: Duration,
    ) -> Result<(), Refusal> {
        let body = body(name, &self.form, contents, &self.resource_version)?;
        let reply = api.replace(&path(namespace, name), body, deadline).await?;
        reply.good().map(drop)
    }

    pub(super) async fn delete(
        &self,
        api: &Api,
        namespace: &str,
        name: &str,
        deadline: Duration,
    ) -> Result<(), Refusal> {
        let path = path(namespace, name);
        let identity = Identity::new(&self.uid, &self.resource_version);
        let reply = api.delete(&path, &identity, deadline).await?;
        reply.good().map(drop)
    }
}

fn body(name: &str, form: &str, contents: &Contents, resource_version: &str) -> Result<Vec<u8>, Refusal> {
    let data: BTreeMap<_, _> = contents
        .iter()
        .map(|(key, value)| (key, STANDARD.encode(value)))
        .collect();
    let object: Value = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "labels": {"app.kubernetes.io/name": "pullkey"},
            "name": name,
            "resourceVersion": resource_version,
        },
        "type": form,
        "data": data,
    });
    serde_json::to_vec(&object).map_err(|_| Refusal::Invalid)
}

fn path(namespace: &str, name: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/secrets/{name}")
}
