//! Namespaces of a test's own, and Pods in them.

use serde_json::{Value, json};

use super::{Answer, Api, control_plane, unique, until};

/// A namespace that no other test knows.
pub(crate) struct Namespace {
    pub(crate) name: String,
    pub(crate) api: Api,
}

impl Namespace {
    /// One with these labels, ready to take Pods.
    pub(crate) async fn with_labels(labels: &Value) -> Self {
        Self::named(&unique("test"), labels).await
    }

    /// One of that name.
    pub(crate) async fn named(name: &str, labels: &Value) -> Self {
        let api = control_plane().api().await;
        let object = json!({"metadata": {"name": name, "labels": labels}});
        api.create("/api/v1/namespaces", &object).await.good();
        let namespace = Self {
            name: name.to_owned(),
            api,
        };
        namespace.has_account("default").await;
        namespace
    }

    /// Waits for a service account: Pods are refused before it.
    pub(crate) async fn has_account(&self, name: &str) {
        let path = self.path("serviceaccounts", name);
        until("the namespace has its service account", async || {
            (self.api.get(&path).await.status == 200).then_some(())
        })
        .await;
    }

    /// The path of a core object, or of all of them with an empty name.
    pub(crate) fn path(&self, resource: &str, name: &str) -> String {
        format!("/api/v1/namespaces/{}/{resource}/{name}", self.name)
            .trim_end_matches('/')
            .to_owned()
    }

    /// Creates a Pod, whatever comes of it.
    pub(crate) async fn try_pod(&self, pod: &Value) -> Answer {
        self.api.create(&self.path("pods", ""), pod).await
    }

    /// Creates a Pod, and gives it as the API server keeps it.
    pub(crate) async fn pod(&self, pod: &Value) -> Value {
        self.try_pod(pod).await.good()
    }

    /// The pull secrets of a new Pod with these images.
    pub(crate) async fn secrets_for(&self, images: &[&str]) -> Vec<String> {
        pull_secrets(&self.pod(&pod(images)).await)
    }

    /// Waits for Pods that a controller makes here, at least that many.
    pub(crate) async fn pods_made(&self, labels: &str, count: usize) -> Vec<Value> {
        let path = format!("{}?labelSelector={labels}", self.path("pods", ""));
        until("the controller makes its Pods", async || {
            let pods = self.api.get(&path).await.good();
            let pods = pods["items"].as_array().unwrap().clone();
            (pods.len() >= count).then_some(pods)
        })
        .await
    }
}

/// A Pod with a container an image; its name is the API server's business.
pub(crate) fn pod(images: &[&str]) -> Value {
    let containers = images.iter().enumerate();
    let containers: Vec<_> = containers
        .map(|(index, image)| json!({"name": format!("c{index}"), "image": image}))
        .collect();
    json!({"metadata": {"generateName": "pod-"}, "spec": {"containers": containers}})
}

/// The names in a Pod's `imagePullSecrets`.
pub(crate) fn pull_secrets(pod: &Value) -> Vec<String> {
    let secrets = pod["spec"]["imagePullSecrets"].as_array();
    let names = secrets.into_iter().flatten();
    names
        .map(|secret| secret["name"].as_str().unwrap_or_default().to_owned())
        .collect()
}
