//! The user: one client that creates one Pod after the other over a connection that stays open.

use std::time::{Duration, Instant};

use axum::http::{Request, StatusCode};
use kube::client::Body;
use serde_json::{Value, json};

use super::harness::{Api, Namespace, control_plane, pull_secrets};
use super::payload;

/// Creates Pods.
pub(crate) struct Creator {
    pub(crate) api: Api,
    pod: Vec<u8>,
    query: &'static str,
}

/// What came of one creation.
pub(crate) struct Created {
    /// From the first byte sent to the last one received.
    pub(crate) took: Duration,
    pub(crate) pull_secrets: Vec<String>,
}

impl Creator {
    pub(crate) async fn new(dry_run: bool) -> Self {
        Self {
            api: control_plane().api().await,
            pod: pod().to_string().into_bytes(),
            query: if dry_run { "?dryRun=All" } else { "" },
        }
    }

    pub(crate) async fn create(&self, namespace: &Namespace) -> Created {
        self.send(namespace, self.query).await
    }

    pub(crate) async fn try_out(&self, namespace: &Namespace) -> Created {
        self.send(namespace, "?dryRun=All").await
    }

    async fn send(&self, namespace: &Namespace, query: &str) -> Created {
        let request = Request::post(namespace.path("pods", "") + query)
            .header("content-type", "application/json")
            .body(Body::from(self.pod.clone()))
            .unwrap();
        let start = Instant::now();
        let (head, body) = self.api.client.send(request).await.unwrap().into_parts();
        let body = body.collect_bytes().await.unwrap();
        let took = start.elapsed();
        assert_eq!(head.status, StatusCode::CREATED, "{}", String::from_utf8_lossy(&body));
        Created {
            took,
            pull_secrets: pull_secrets(&serde_json::from_slice(&body).unwrap()),
        }
    }
}

/// The Pod of the small review, without what the API server adds and what refers to other objects.
fn pod() -> Value {
    let review: Value = serde_json::from_slice(&payload::small()).unwrap();
    let mut pod = review["request"]["object"].clone();
    let metadata = pod["metadata"].as_object_mut().unwrap();
    metadata.retain(|key, _| !["managedFields", "namespace", "ownerReferences"].contains(&key.as_str()));
    let spec = pod["spec"].as_object_mut().unwrap();
    spec.retain(|key, _| !["serviceAccount", "serviceAccountName", "runtimeClassName"].contains(&key.as_str()));
    spec.insert("imagePullSecrets".to_owned(), json!([{"name": "existing"}]));
    pod
}
