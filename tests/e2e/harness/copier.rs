//! The controller on the control plane, from the objects that `pullkey manifests` prints and with the token of its own
//! account.
//!
//! It looks at all rules of the cluster, so there is one at a time: a test that has one keeps the others waiting. What
//! differs from what an admin applies: objects in no namespace have names of their own.

use std::sync::Mutex;

use serde_json::{Value, json};
use tokio::sync::{Mutex as Lock, MutexGuard};

use super::installation::{rendered, with_own_name};
use super::{Api, Namespace, RULES, Replica, control_plane, install_kinds, is_ready, unique, until};

static ONE_AT_A_TIME: Lock<()> = Lock::const_new(());

/// An installation and its replicas.
pub(crate) struct Copier {
    pub(crate) own: Namespace,
    pub(crate) sources: Namespace,
    pub(crate) api: Api,
    pub(crate) replicas: Vec<Replica>,
    template: Value,
    arguments: Vec<String>,
    rules: Mutex<Vec<String>>,
    #[expect(dead_code, reason = "others wait for its end")]
    turn: MutexGuard<'static, ()>,
}

/// What the controller may do with secrets.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rights {
    /// As it is installed: it finds copies by their label.
    Any,
    /// Limited to names.
    Named,
}

impl Copier {
    /// An installation with one replica, which leads.
    pub(crate) async fn start(arguments: &[&str]) -> Self {
        Self::with(Rights::Any, &[], arguments).await
    }

    /// The same with these rights: where they are limited, to copies of these names and to a source called `registry`.
    pub(crate) async fn with(rights: Rights, names: &[&str], arguments: &[&str]) -> Self {
        let turn = ONE_AT_A_TIME.lock().await;
        let api = control_plane().api().await;
        install_kinds(&api).await;
        let id = unique("copier");
        let sources = Namespace::named(&format!("{id}-sources"), &json!({})).await;
        let source = format!("{}/registry", sources.name);
        let names = match rights {
            Rights::Any => Vec::new(),
            Rights::Named => names.iter().copied().chain([source.as_str()]).collect(),
        };
        let objects = objects(&id, &sources.name, &names);
        let deployment = objects.iter().find(|object| object["kind"] == "Deployment");
        let template = deployment.unwrap()["spec"]["template"].clone();
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        control_plane().kubectl(&["apply", "--validate=strict", "-f", "-"], &list.to_string());
        let own = Namespace {
            name: id,
            api: api.clone(),
        };
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let mut copier = Self {
            own,
            sources,
            api,
            replicas: Vec::new(),
            template,
            arguments,
            rules: Mutex::default(),
            turn,
        };
        copier.add_replica().await;
        until("the controller leads", async || copier.leader().await).await;
        copier
    }

    /// One more replica, once it is ready.
    pub(crate) async fn add_replica(&mut self) {
        let arguments: Vec<_> = self.arguments.iter().map(String::as_str).collect();
        let replica = Replica::start(control_plane(), &self.api, &self.own.name, &self.template, &arguments).await;
        until("the controller is ready", async || {
            is_ready(replica.health).await.then_some(())
        })
        .await;
        self.replicas.push(replica);
    }

    /// Which of the replicas leads.
    pub(crate) async fn leader(&self) -> Option<usize> {
        for (index, replica) in self.replicas.iter().enumerate() {
            if replica.metric("pullkey_leader", "").await > 0.0 {
                return Some(index);
            }
        }
        None
    }

    /// A client with the controller's own token.
    pub(crate) async fn as_controller(&self) -> Api {
        let account = self.template["spec"]["serviceAccountName"].as_str().unwrap();
        let token = self.own.token(account).await;
        control_plane().api_with(&token).await
    }

    /// A source, or its next version.
    pub(crate) async fn source(&self, name: &str, password: &str) {
        let object = pull_secret(name, password);
        self.api
            .apply(&self.sources.path("secrets", name), &object)
            .await
            .good();
    }

    /// A rule that copies a source to namespaces, under its own name. It goes with the installation.
    pub(crate) async fn rule(&self, name: &str, source: &str, namespaces: &Value) {
        let object = json!({
            "apiVersion": "pullkey.dev/v1alpha1", "kind": "ClusterPullSecretRule", "metadata": {"name": name},
            "spec": {
                "images": ["registry.example"],
                "namespaces": namespaces,
                "secret": {"name": name, "copyFrom": {"namespace": self.sources.name, "name": source}},
            },
        });
        self.apply_rule(name, &object).await;
    }

    /// A rule as it stands. It goes with the installation.
    pub(crate) async fn apply_rule(&self, name: &str, rule: &Value) {
        self.api.apply(&rule_path(name), rule).await.good();
        self.rules.lock().unwrap().push(name.to_owned());
    }

    /// Deletes a rule.
    pub(crate) async fn delete_rule(&self, name: &str) {
        self.api.delete(&rule_path(name)).await.good();
    }

    /// The status of a rule.
    pub(crate) async fn status(&self, name: &str) -> Value {
        self.api.get(&rule_path(name)).await.good()["status"].clone()
    }

    /// Waits for a copy with this password.
    pub(crate) async fn has_copy(&self, namespace: &Namespace, name: &str, password: &str) {
        let expected = pull_secret(name, password);
        until("the copy is there", async || {
            let answer = self.api.get(&namespace.path("secrets", name)).await;
            (answer.object["data"] == expected["data"]).then_some(())
        })
        .await;
    }
}

impl Drop for Copier {
    fn drop(&mut self) {
        // The next installation is not to find anything of this one, and this one not to put it back.
        self.replicas.clear();
        for rule in self.rules.lock().unwrap().iter() {
            let _ = control_plane().try_kubectl(&["delete", "cpsr", rule, "--ignore-not-found"], "");
        }
        let copies = [
            "delete",
            "secrets",
            "--all-namespaces",
            "--selector=pullkey.dev/copy=true",
        ];
        let _ = control_plane().try_kubectl(&copies, "");
    }
}

/// A pull secret for `registry.example`.
pub(crate) fn pull_secret(name: &str, password: &str) -> Value {
    use base64::Engine as _;
    let config = json!({"auths": {"registry.example": {"username": "puller", "password": password}}});
    let data = base64::engine::general_purpose::STANDARD.encode(config.to_string());
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson", "metadata": {"name": name},
        "data": {".dockerconfigjson": data},
    })
}

fn rule_path(name: &str) -> String {
    format!("{RULES}/clusterpullsecretrules/{name}")
}

/// The controller's objects, and its namespace.
fn objects(namespace: &str, sources: &str, names: &[&str]) -> Vec<Value> {
    let names = names.iter().flat_map(|name| ["--secret-name", name]);
    let options: Vec<_> = ["--source-namespace", sources].into_iter().chain(names).collect();
    let objects = rendered(namespace, &options).into_iter();
    let is_ours = |object: &Value| {
        // The policy for everybody else would be one for other installations, too, and a forger is to be met without them.
        object["metadata"]["name"] == *namespace
            || object["metadata"]["labels"]["app.kubernetes.io/component"] == "controller"
                && object["metadata"]["name"] != "pullkey-copies"
    };
    objects
        .filter(is_ours)
        .map(|object| with_own_name(object, namespace))
        .collect()
}
