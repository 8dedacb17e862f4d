//! Namespaces of a test's own, and Pods in them.

use serde_json::{Value, json};

use super::{Answer, Api, control_plane, unique, until};

/// A namespace that no other test knows.
#[derive(Clone)]
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
        Self::on(&control_plane().api().await, name, labels).await
    }

    /// One of that name on that cluster.
    pub(crate) async fn on(api: &Api, name: &str, labels: &Value) -> Self {
        let object = json!({"metadata": {"name": name, "labels": labels}});
        api.create("/api/v1/namespaces", &object).await.good();
        let namespace = Self {
            name: name.to_owned(),
            api: api.clone(),
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

    /// Makes a service account with these annotations and pull secrets.
    pub(crate) async fn account(&self, name: &str, annotations: &Value, secrets: &[&str]) {
        let secrets: Vec<_> = secrets.iter().map(|secret| json!({"name": secret})).collect();
        let metadata = json!({"name": name, "annotations": annotations});
        let account = json!({"metadata": metadata, "imagePullSecrets": secrets});
        self.api
            .create(&self.path("serviceaccounts", ""), &account)
            .await
            .good();
    }

    /// A user with that role of the API server here, and no rights elsewhere.
    pub(crate) async fn user(&self, role: &str) -> Api {
        let user = unique(role);
        let binding = json!({
            "metadata": {"name": user},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "User", "name": user}],
        });
        let path = format!(
            "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings",
            self.name
        );
        self.api.create(&path, &binding).await.good();
        control_plane().api_as(&user).await
    }

    /// A token of a service account, as its Pods would have.
    pub(crate) async fn token(&self, account: &str) -> String {
        let request = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600},
        });
        let path = format!("{}/token", self.path("serviceaccounts", account));
        let request = self.api.create(&path, &request).await.good();
        request["status"]["token"].as_str().unwrap().to_owned()
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

    /// The Pod is created, and names exactly these pull secrets.
    pub(crate) async fn mutates(&self, what: &str, pod: &Value, secrets: &[&str]) {
        let answer = self.try_pod(pod).await;
        assert_eq!(answer.status, 201, "{what}: {}", answer.object);
        assert_eq!(pull_secrets(&answer.object), secrets, "{what}");
    }

    /// The Pod is created with the pull secrets that it came with, and no others.
    pub(crate) async fn leaves_alone(&self, what: &str, pod: &Value) {
        let secrets = pull_secrets(pod);
        let secrets: Vec<_> = secrets.iter().map(String::as_str).collect();
        self.mutates(what, pod, &secrets).await;
    }

    /// The API server refuses the Pod with that status; its message.
    pub(crate) async fn rejects(&self, what: &str, pod: &Value, status: u16) -> String {
        let answer = self.try_pod(pod).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.object);
        answer.object["message"].as_str().unwrap_or_default().to_owned()
    }

    /// Waits for a Pod that a controller makes here, with these labels and a name that begins so.
    pub(crate) async fn pod_made(&self, labels: &str, name: &str) -> Value {
        let path = format!("{}?labelSelector={labels}", self.path("pods", ""));
        until(&format!("the controller makes the Pod {name}"), async || {
            let pods = self.api.get(&path).await.good();
            let pods = pods["items"].as_array().unwrap();
            let mut pods = pods
                .iter()
                .filter(|pod| pod["metadata"]["name"].as_str().unwrap().starts_with(name));
            pods.next().cloned()
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
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "pod-"},
        "spec": {"containers": containers},
    })
}

/// The same Pod with that name.
pub(crate) fn named(name: &str, mut pod: Value) -> Value {
    pod["metadata"] = json!({"name": name});
    pod
}

/// The same Pod with these members of its `spec` or `metadata` added or replaced.
pub(crate) fn with(member: &str, changes: &Value, mut pod: Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        pod[member][name] = value.clone();
    }
    pod
}

/// The names in a Pod's `imagePullSecrets`.
pub(crate) fn pull_secrets(pod: &Value) -> Vec<String> {
    let secrets = pod["spec"]["imagePullSecrets"].as_array();
    let names = secrets.into_iter().flatten();
    names
        .map(|secret| secret["name"].as_str().unwrap_or_default().to_owned())
        .collect()
}
