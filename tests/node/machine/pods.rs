//! Pods, and what becomes of them on the node.

use serde_json::{Value, json};

use super::Servers;
use crate::harness::{Namespace, pod, pull_secrets, until, with};

/// What became of a Pod's images.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All containers have run, or run.
    Runs,
    /// A container waits, for that reason and with that message.
    Waits(String, String),
}

/// A Pod whose containers say hello and end.
pub(crate) fn private_pod(images: &[&str]) -> Value {
    let mut pod = with("spec", &json!({"restartPolicy": "Never"}), pod(images));
    for container in pod["spec"]["containers"].as_array_mut().unwrap() {
        container["args"] = json!(["end"]);
    }
    pod
}

impl Outcome {
    /// The registry lets nobody pull it who is not somebody.
    #[track_caller]
    pub(crate) fn is_anonymous(&self) {
        self.is_waiting("ErrImagePull", "no basic auth credentials");
    }

    /// It waits for a reason and with a message that begin and go on like that.
    #[track_caller]
    pub(crate) fn is_waiting(&self, begins: &str, holds: &str) {
        let Self::Waits(reason, message) = self else {
            panic!("it runs");
        };
        let reason = reason.replace("ImagePullBackOff", "ErrImagePull");
        assert!(reason.starts_with(begins) && message.contains(holds), "{self:?}");
    }
}

/// What is asked of a node.
pub(crate) trait Workload {
    /// A Deployment of one Pod that stays, and names no secret.
    async fn deployment(&self, name: &str, image: &str);
    /// Waits until it is clear what becomes of a Pod.
    async fn outcome(&self, pod: &str) -> Outcome;
    /// Creates a Pod, and waits for what becomes of it.
    async fn outcome_of(&self, pod: &Value) -> Outcome;
    /// Creates a Pod, whose images are all pulled; gives its name.
    async fn runs(&self, pod: &Value) -> String;
    /// All images of a Pod are pulled.
    async fn is_run(&self, pod: &str);
    /// What the kubelet has said of a Pod, or of all, as `reason: message`.
    async fn events(&self, pod: Option<&str>) -> Vec<String>;
    /// The same, once the kubelet has told of that reason: it writes events in their order, but maybe after the status.
    async fn events_until(&self, pod: Option<&str>, reason: &str) -> Vec<String>;
    /// Waits until all containers of a Pod have run, or run, whatever was before.
    async fn runs_in_the_end(&self, pod: &str);
    /// No image failed to be pulled here.
    async fn has_pulled_all(&self);
    /// Waits for a copy, or for its version with these data.
    async fn has_copy(&self, secret: &Value);
}

impl Workload for Namespace {
    async fn deployment(&self, name: &str, image: &str) {
        let labels = json!({"app": name});
        let deployment = json!({
            "metadata": {"name": name},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {
                        "terminationGracePeriodSeconds": 0,
                        "containers": [{"name": "app", "image": image}],
                    },
                },
            },
        });
        let path = format!("/apis/apps/v1/namespaces/{}/deployments", self.name);
        self.api.create(&path, &deployment).await.good();
    }

    async fn outcome(&self, pod: &str) -> Outcome {
        let path = self.path("pods", pod);
        let what = format!("it is clear what becomes of {path}");
        until(&what, async || outcome(&self.api.get(&path).await.object)).await
    }

    async fn outcome_of(&self, pod: &Value) -> Outcome {
        let pod = self.pod(pod).await;
        self.outcome(pod["metadata"]["name"].as_str().unwrap()).await
    }

    async fn runs(&self, pod: &Value) -> String {
        let pod = self.pod(pod).await;
        let name = pod["metadata"]["name"].as_str().unwrap();
        self.is_run(name).await;
        name.to_owned()
    }

    async fn is_run(&self, pod: &str) {
        let outcome = self.outcome(pod).await;
        if outcome != Outcome::Runs {
            let secrets = pull_secrets(&self.api.get(&self.path("pods", pod)).await.object);
            let events = self.events(Some(pod)).await;
            let without = Servers::pulled_without(&self.name);
            panic!(
                "{}/{pod} names {secrets:?}\n{outcome:?}\n{events:#?}\n{without:#?}",
                self.name
            );
        }
    }

    async fn events(&self, pod: Option<&str>) -> Vec<String> {
        let events = self.api.get(&self.path("events", "")).await.good();
        let events = events["items"].as_array().unwrap().iter();
        let events = events.filter(|event| pod.is_none_or(|pod| event["involvedObject"]["name"] == pod));
        events
            .map(|event| {
                let text = |name: &str| event[name].as_str().unwrap_or_default();
                format!("{}: {}", text("reason"), text("message"))
            })
            .collect()
    }

    async fn events_until(&self, pod: Option<&str>, reason: &str) -> Vec<String> {
        until(&format!("an event of {} is {reason}", self.name), async || {
            let events = self.events(pod).await;
            events.iter().any(|event| event.starts_with(reason)).then_some(events)
        })
        .await
    }

    async fn runs_in_the_end(&self, pod: &str) {
        let path = self.path("pods", pod);
        let what = format!("{path} runs in the end");
        until(&what, async || {
            (outcome(&self.api.get(&path).await.object)? == Outcome::Runs).then_some(())
        })
        .await;
    }

    async fn has_pulled_all(&self) {
        let events = self.events_until(None, "Started").await;
        let failed: Vec<_> = events.iter().filter(|event| event.starts_with("Failed:")).collect();
        assert!(failed.is_empty(), "{failed:?}");
    }

    async fn has_copy(&self, secret: &Value) {
        let path = self.path("secrets", secret["metadata"]["name"].as_str().unwrap());
        until("the copy is there", async || {
            (self.api.get(&path).await.object["data"] == secret["data"]).then_some(())
        })
        .await;
    }
}

/// What a Pod's status says of its images, if it says anything yet.
fn outcome(pod: &Value) -> Option<Outcome> {
    let statuses = [
        "initContainerStatuses",
        "containerStatuses",
        "ephemeralContainerStatuses",
    ];
    let statuses = statuses.map(|name| pod["status"][name].as_array().into_iter().flatten());
    for status in statuses.into_iter().flatten() {
        let waiting = &status["state"]["waiting"];
        let text = |name: &str| waiting[name].as_str().unwrap_or_default().to_owned();
        if !waiting.is_null() && !["ContainerCreating", "PodInitializing"].contains(&text("reason").as_str()) {
            return Some(Outcome::Waits(text("reason"), text("message")));
        }
    }
    let phase = pod["status"]["phase"].as_str()?;
    ["Running", "Succeeded"].contains(&phase).then_some(Outcome::Runs)
}
