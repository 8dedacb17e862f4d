//! The controller on the control plane, from the objects that `pullkey manifests` prints and with the token of its own
//! account.
//!
//! It looks at all rules of the cluster, so there is one at a time: a test that has one keeps the others waiting. What
//! differs from what an admin applies: objects in no namespace have names of their own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tokio::sync::{Mutex as Lock, MutexGuard};

use super::installation::with_own_name;
use super::replica::get;
use super::{Api, Namespace, RULES, control_plane, control_plane_program, install_kinds, unique, until};

static ONE_AT_A_TIME: Lock<()> = Lock::const_new(());

/// An installation and its replicas.
pub(crate) struct Copier {
    pub(crate) own: Namespace,
    pub(crate) sources: Namespace,
    pub(crate) api: Api,
    pub(crate) replicas: Vec<Process>,
    arguments: Vec<String>,
    kubeconfig: NamedTempFile,
    token: String,
    rules: Mutex<Vec<String>>,
    #[expect(dead_code, reason = "others wait for its end")]
    turn: MutexGuard<'static, ()>,
}

/// A running controller.
pub(crate) struct Process {
    child: Child,
    said: Arc<Mutex<String>>,
    pub(crate) health: SocketAddr,
}

impl Copier {
    /// An installation with one replica, which leads.
    pub(crate) async fn start(arguments: &[&str]) -> Self {
        let turn = ONE_AT_A_TIME.lock().await;
        let api = control_plane().api().await;
        install_kinds(&api).await;
        let id = unique("copier");
        let sources = Namespace::named(&format!("{id}-sources"), &json!({})).await;
        let objects = rendered(&id, &sources.name);
        let deployment = objects.iter().find(|object| object["kind"] == "Deployment").unwrap();
        let container = &deployment["spec"]["template"]["spec"]["containers"][0]["args"];
        let container = container
            .as_array()
            .unwrap()
            .iter()
            .map(|argument| argument.as_str().unwrap());
        let own = ["--health-listen=127.0.0.1:0", "--log-format=json"];
        let is_own = |argument: &&str| {
            own.iter()
                .any(|own| own.split('=').next() == argument.split('=').next())
        };
        let others = container.filter(|argument| !is_own(argument));
        let arguments = others
            .chain(own)
            .chain(arguments.iter().copied())
            .map(str::to_owned)
            .collect();
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        control_plane().kubectl(&["apply", "--validate=strict", "-f", "-"], &list.to_string());
        let own = Namespace {
            name: id,
            api: api.clone(),
        };
        let account = &deployment["spec"]["template"]["spec"]["serviceAccountName"];
        let token = own.token(account.as_str().unwrap()).await;
        let kubeconfig = NamedTempFile::new().unwrap();
        fs::write(kubeconfig.path(), control_plane().kubeconfig_with(&token)).unwrap();
        let mut copier = Self {
            own,
            sources,
            api,
            replicas: Vec::new(),
            arguments,
            kubeconfig,
            token,
            rules: Mutex::default(),
            turn,
        };
        copier.add_replica().await;
        until("the controller leads", async || copier.leader().await).await;
        copier
    }

    /// One more replica, once it is ready.
    pub(crate) async fn add_replica(&mut self) {
        let process = Process::start(&self.arguments, &self.kubeconfig).await;
        until("the controller is ready", async || {
            let (status, _) = get(process.health, "/readyz").await?;
            (status == 200).then_some(())
        })
        .await;
        self.replicas.push(process);
    }

    /// Which of the replicas leads.
    pub(crate) async fn leader(&self) -> Option<usize> {
        for (index, replica) in self.replicas.iter().enumerate() {
            if replica.metric("pullkey_leader").await > 0.0 {
                return Some(index);
            }
        }
        None
    }

    /// A client with the controller's own token.
    pub(crate) async fn as_controller(&self) -> Api {
        control_plane().api_with(&self.token).await
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
        self.api.apply(&rule_path(name), &object).await.good();
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
        // The next installation is not to find them.
        for rule in self.rules.lock().unwrap().iter() {
            let _ = control_plane().try_kubectl(&["delete", "cpsr", rule, "--ignore-not-found"], "");
        }
        if thread::panicking() {
            for replica in &self.replicas {
                eprintln!("the controller said:\n{}", replica.log());
            }
        }
    }
}

impl Process {
    async fn start(arguments: &[String], kubeconfig: &NamedTempFile) -> Self {
        let mut child = Command::new(control_plane_program())
            .args(["hold", env!("CARGO_BIN_EXE_pullkey")])
            .args(arguments)
            .env_clear()
            .env("KUBECONFIG", kubeconfig.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let listener = Arc::clone(&said);
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut said = listener.lock().unwrap();
                said.push_str(&line);
                said.push('\n');
            }
        });
        let health = until("the controller says where it answers", async || {
            if let Some(ended) = child.try_wait().unwrap() {
                panic!("the controller has ended with {ended}:\n{}", said.lock().unwrap());
            }
            let said = said.lock().unwrap();
            let mut events = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let health = events.find_map(|event| Some(event["fields"]["health"].as_str()?.to_owned()))?;
            health.strip_prefix("http://")?.parse().ok()
        })
        .await;
        Self { child, said, health }
    }

    pub(crate) fn log(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// The sum of a metric over all its labels.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let text = get(self.health, "/metrics")
            .await
            .map(|(_, text)| text)
            .unwrap_or_default();
        let of_name = |line: &&str| line.split(['{', ' ']).next() == Some(name);
        text.lines()
            .filter(of_name)
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
            .sum()
    }

    /// Sends a signal such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
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
fn rendered(namespace: &str, sources: &str) -> Vec<Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_pullkey"))
        .args([
            "manifests",
            "--output=json",
            "--namespace",
            namespace,
            "--source-namespace",
            sources,
        ])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    let objects = list["items"].as_array().unwrap().iter().cloned();
    let is_ours = |object: &Value| {
        object["metadata"]["name"] == *namespace
            || object["metadata"]["labels"]["app.kubernetes.io/component"] == "controller"
    };
    objects
        .filter(is_ours)
        .map(|object| with_own_name(object, namespace))
        .collect()
}
