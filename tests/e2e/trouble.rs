//! What goes wrong around a webhook and a controller that run as they are shipped.
//!
//! One cluster of their own serves all of these tests. A test that breaks what others rely on has it to itself, the others
//! share it, each with a rule and namespaces of its own.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{OnceCell, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::harness::{Answer, Api, Cluster, Load, Namespace, RULES, pull_secret, unique, until};
use crate::install::block;

mod namespaces;
mod outages;
mod rules;

/// How long the copies of a deleted rule stay here, so that no test has to wait for minutes.
const KEPT: Duration = Duration::from_secs(5);
/// Secrets are watched without the API server's cache, so that etcd itself may have forgotten what happened.
const API_SERVER: [&str; 1] = ["--watch-cache-sizes=secrets#0"];

/// A rule that copies a source of its own to the namespaces that carry its name as a label.
struct Scene {
    cluster: &'static Cluster,
    api: Api,
    rule: String,
    #[expect(dead_code, reason = "others wait for its end")]
    turn: Turn,
}

#[expect(dead_code, reason = "what counts is how long they live")]
enum Turn {
    Shared(RwLockReadGuard<'static, ()>),
    Alone(RwLockWriteGuard<'static, ()>),
}

/// Which copy it is, and which version of it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Identity {
    uid: String,
    version: String,
}

async fn cluster() -> &'static Cluster {
    static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
    let install = async || {
        let cluster = Cluster::start(&API_SERVER).await;
        let keep = format!(
            "patches:
  - target: {{kind: Deployment, name: pullkey-controller}}
    patch: |
      - op: add
        path: /spec/template/spec/containers/0/args/-
        value: --keep-copies={}s
",
            KEPT.as_secs()
        );
        let script = block("sh", "install");
        assert!(script.contains("patches:\n"), "{script}");
        cluster.run(&script.replace("patches:\n", &keep)).await;
        cluster
            .run("kubectl rollout status deployment/pullkey-controller --namespace pullkey")
            .await;
        cluster
    };
    CLUSTER.get_or_init(install).await
}

static PEACE: RwLock<()> = RwLock::const_new(());

impl Scene {
    /// One beside others.
    async fn shared() -> Self {
        Self::new(Turn::Shared(PEACE.read().await)).await
    }

    /// One whose test may break what it likes, if it puts it right again.
    async fn alone() -> Self {
        Self::new(Turn::Alone(PEACE.write().await)).await
    }

    async fn new(turn: Turn) -> Self {
        let cluster = cluster().await;
        let scene = Self {
            cluster,
            api: cluster.client().await,
            rule: unique("rule"),
            turn,
        };
        scene.source("first").await;
        scene.apply_rule().await;
        scene
    }

    async fn source(&self, password: &str) {
        let object = pull_secret(&self.rule, password);
        self.api.apply(&self.source_path(), &object).await.good();
    }

    fn source_path(&self) -> String {
        format!("/api/v1/namespaces/pullkey-sources/secrets/{}", self.rule)
    }

    async fn apply_rule(&self) {
        let name = &self.rule;
        let object = json!({
            "apiVersion": "pullkey.dev/v1alpha1", "kind": "ClusterPullSecretRule", "metadata": {"name": name},
            "spec": {
                "images": ["registry.example", "load.example"],
                "namespaces": {"selector": {"matchLabels": {"registry": name}}},
                "secret": {"name": name, "copyFrom": {"namespace": "pullkey-sources", "name": name}},
            },
        });
        self.api.apply(&self.rule_path(), &object).await.good();
    }

    fn rule_path(&self) -> String {
        format!("{RULES}/clusterpullsecretrules/{}", self.rule)
    }

    /// A namespace that the rule selects. The webhook is called for it.
    async fn namespace(&self) -> Namespace {
        let labels = json!({"pullkey.dev/inject": "true", "registry": self.rule});
        Namespace::on(&self.api, &unique("test"), &labels).await
    }

    /// One that the rule does not select.
    async fn outside(&self) -> Namespace {
        let labels = json!({"pullkey.dev/inject": "true"});
        Namespace::on(&self.api, &unique("test"), &labels).await
    }

    /// Has the rule select a namespace, or not.
    async fn select(&self, namespace: &Namespace, is_selected: bool) {
        let label = is_selected.then_some(&self.rule);
        let labels = json!({"metadata": {"labels": {"registry": label}}});
        let path = format!("/api/v1/namespaces/{}", namespace.name);
        self.api.merge(&path, &labels).await.good();
    }

    async fn copy(&self, namespace: &Namespace) -> Answer {
        self.api.get(&namespace.path("secrets", &self.rule)).await
    }

    /// Which copy is there.
    async fn identity(&self, namespace: &Namespace) -> Identity {
        let metadata = self.copy(namespace).await.good()["metadata"].take();
        let text = |key: &str| metadata[key].as_str().unwrap().to_owned();
        Identity {
            uid: text("uid"),
            version: text("resourceVersion"),
        }
    }

    /// Waits for a copy with that password, and says which it is.
    async fn has_copy(&self, namespace: &Namespace, password: &str) -> Identity {
        let expected = pull_secret(&self.rule, password);
        until("the copy is there", async || {
            (self.copy(namespace).await.object["data"] == expected["data"]).then_some(())
        })
        .await;
        self.identity(namespace).await
    }

    async fn has_no_copy(&self, namespace: &Namespace) {
        until("the copy is gone", async || {
            (self.copy(namespace).await.status == 404).then_some(())
        })
        .await;
    }

    /// The rule's status once `CopiesReady` has that status and reason.
    async fn is_told(&self, expected: &str) -> Value {
        until(&format!("CopiesReady of {} is {expected}", self.rule), async || {
            let status = self.api.get(&self.rule_path()).await.good()["status"].take();
            let mut conditions = status["conditions"].as_array()?.iter();
            let found = conditions.find(|condition| condition["type"] == "CopiesReady")?;
            let text = format!("{} {}", found["status"].as_str()?, found["reason"].as_str()?);
            (text == expected).then_some(status)
        })
        .await
    }

    /// The pull secrets of a new Pod that needs one.
    async fn injected(&self, namespace: &Namespace) -> Vec<String> {
        namespace.secrets_for(&["registry.example/app"]).await
    }

    /// Waits until the webhook goes by the rule.
    async fn is_in_force(&self, namespace: &Namespace) {
        until("the webhook goes by the rule", async || {
            (self.injected(namespace).await == [self.rule.as_str()]).then_some(())
        })
        .await;
    }

    /// Waits until the metric has grown on each of these Pods.
    async fn counts_more(&self, before: &[(String, f64)], metric: &str, labels: &str) {
        for (pod, before) in before {
            until(&format!("{metric} {labels} of {pod} grows"), async || {
                (self.cluster.metric(pod, metric, labels).await > *before).then_some(())
            })
            .await;
        }
    }

    /// The metric on each of these Pods.
    async fn counts(&self, pods: &[String], metric: &str, labels: &str) -> Vec<(String, f64)> {
        let mut counts = Vec::new();
        for pod in pods {
            counts.push((pod.clone(), self.cluster.metric(pod, metric, labels).await));
        }
        counts
    }

    async fn webhooks(&self) -> Vec<String> {
        self.cluster.pods().await.into_iter().collect()
    }

    async fn all_pods(&self) -> Vec<String> {
        [self.webhooks().await, self.cluster.controllers().await].concat()
    }
}
