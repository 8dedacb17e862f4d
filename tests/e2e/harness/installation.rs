//! Pullkey on the control plane, from the objects that `pullkey manifests` prints.
//!
//! In: rules, and what a test wants to be otherwise. Out: a webhook that is called for the Pods of its own namespaces.
//! What differs from what an admin applies: the configuration's name and one more term of its namespace selector, so that
//! installations do not meet; a Service of type `ExternalName`, since nothing routes to Pods here, which leads
//! to the balancer in front of the replicas.

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pullkey::certs::make::{Authority, Names};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::balancer::Balancer;
use super::load::IMAGE;
use super::namespace::{pod, pull_secrets};
use super::{Api, Namespace, Replica, control_plane, install_kinds, unique, until};

/// The label by which an installation knows its namespaces.
const LABEL: &str = "pullkey.dev/test";
const CONFIGURATIONS: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";

/// How the API server reaches the webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// `clientConfig.service`, the way of every real cluster: HTTP/1.1.
    Service,
    /// `clientConfig.url` on loopback: HTTP/2.
    Url,
}

/// What a test wants.
pub(crate) struct Setup<'a> {
    pub(crate) rules: &'a str,
    pub(crate) replicas: usize,
    pub(crate) reach: Reach,
    /// More options of `pullkey manifests`.
    pub(crate) options: &'a [&'a str],
    /// More arguments of the webhook.
    pub(crate) arguments: &'a [&'a str],
    /// What else differs in the webhook configuration.
    pub(crate) change: fn(&mut Value),
}

/// An installation and its running replicas.
pub(crate) struct Installation {
    /// The value of [`LABEL`] in its namespaces, and the end of its names.
    pub(crate) id: String,
    /// Pullkey's own namespace.
    pub(crate) own: Namespace,
    pub(crate) api: Api,
    pub(crate) authority: Arc<Authority>,
    pub(crate) balancer: Balancer,
    pub(crate) replicas: Vec<Replica>,
    pub(crate) deployment: Value,
    /// As it was applied.
    pub(crate) configuration: Value,
    rules: Value,
}

/// A rule that gives Pods with such images the secret `<name>-pull`, in every namespace.
pub(crate) fn rule(name: &str, image: &str) -> String {
    format!(
        "---
apiVersion: pullkey.dev/v1alpha1
kind: ClusterPullSecretRule
metadata: {{name: {name}}}
spec: {{images: ['{image}'], namespaces: {{include: ['*']}}, secret: {{name: {name}-pull}}}}
"
    )
}

/// How often the webhook has been called since some moment.
pub(crate) struct Calls<'a> {
    installation: &'a Installation,
    before: f64,
}

impl Calls<'_> {
    /// It was called that many times.
    pub(crate) async fn are(&self, number: u32, what: &str) {
        let calls = self.installation.calls().await - self.before;
        assert!((calls - f64::from(number)).abs() < 0.5, "{what}: called {calls} times");
    }
}

impl Default for Setup<'_> {
    fn default() -> Self {
        Self {
            rules: "",
            replicas: 1,
            reach: Reach::Service,
            options: &[],
            arguments: &[],
            change: |_| (),
        }
    }
}

impl Installation {
    /// One with these rules that is called.
    pub(crate) async fn with_rules(rules: &str) -> Self {
        Self::start(&Setup {
            rules,
            ..Setup::default()
        })
        .await
    }

    /// One that is called.
    pub(crate) async fn start(setup: &Setup<'_>) -> Self {
        let mut installation = Self::prepare(setup).await;
        for _ in 0..setup.replicas {
            installation.add_replica(setup.arguments).await;
        }
        installation.configure().await;
        installation.is_called().await;
        installation
    }

    /// One that lacks its replicas and its webhook configuration.
    pub(crate) async fn prepare(setup: &Setup<'_>) -> Self {
        let api = control_plane().api().await;
        // They are among the objects, too: no two installations are to create them at once.
        install_kinds(&api).await;
        let id = unique("pullkey");
        let authority = Arc::new(Authority::new(SystemTime::now()).unwrap());
        let bundle = NamedTempFile::new().unwrap();
        fs::write(bundle.path(), &authority.pair().certificate).unwrap();
        let given = ["--certificate=given", "--ca-bundle", bundle.path().to_str().unwrap()];
        let mut objects = rendered(&id, &[&given, setup.options].concat());
        // The controller has an installation of its own.
        objects.retain(|object| object["metadata"]["labels"]["app.kubernetes.io/component"] != "controller");
        let mut objects: Vec<_> = objects.into_iter().map(|object| with_own_name(object, &id)).collect();
        let balancer = Balancer::start().await;

        let mut configuration = take(&mut objects, "MutatingWebhookConfiguration");
        let mut service = take(&mut objects, "Service");
        let mut rules = take(&mut objects, "ConfigMap");
        let deployment = take(&mut objects, "Deployment");

        let name = service["metadata"]["name"].as_str().unwrap().to_owned();
        adapt(&mut configuration, &id, &authority, &balancer, setup.reach);
        (setup.change)(&mut configuration);
        service["spec"] = json!({"type": "ExternalName", "externalName": "127.0.0.1"});
        let files = rules["data"].as_object_mut().unwrap();
        let file = files.keys().next().unwrap().clone();
        *files = [(file, json!(setup.rules))].into_iter().collect();

        let secret = certificate_secret(&authority, &id, &name, &deployment);
        objects.extend([service, rules.clone(), secret, deployment.clone()]);
        let objects = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        control_plane().kubectl(&["apply", "--validate=strict", "-f", "-"], &objects.to_string());
        let own = Namespace {
            name: id.clone(),
            api: api.clone(),
        };
        Self {
            id,
            own,
            api,
            authority,
            balancer,
            replicas: Vec::new(),
            deployment,
            configuration,
            rules,
        }
    }

    /// Starts one more replica, which gets calls once it is ready.
    pub(crate) async fn add_replica(&mut self, arguments: &[&str]) -> &Replica {
        let template = &self.deployment["spec"]["template"];
        let replica = Replica::start(control_plane(), &self.api, &self.id, template, arguments).await;
        self.balancer.add(replica.target);
        self.replicas.push(replica);
        self.replicas.last().unwrap()
    }

    /// Ends the first replica, and nobody is led to it any more.
    pub(crate) fn remove_replica(&mut self) {
        let removed = self.replicas.remove(0);
        self.balancer.remove(removed.target);
    }

    /// Registers the webhook.
    pub(crate) async fn configure(&self) {
        let path = self.configuration_path();
        self.api.apply(&path, &self.configuration).await.good();
    }

    /// The path of the webhook configuration.
    pub(crate) fn configuration_path(&self) -> String {
        format!(
            "{CONFIGURATIONS}/{}",
            self.configuration["metadata"]["name"].as_str().unwrap()
        )
    }

    /// The sum of a metric over its replicas, and over all its labels that hold `labels`.
    pub(crate) async fn metric(&self, name: &str, labels: &str) -> f64 {
        let mut sum = 0.0;
        for replica in &self.replicas {
            sum += replica.metric(name, labels).await;
        }
        sum
    }

    /// Waits until the API server calls.
    pub(crate) async fn is_called(&self) {
        let probe = self.namespace().await;
        self.calls_for(&probe).await;
    }

    /// Waits until the API server calls for Pods of that namespace.
    async fn calls_for(&self, namespace: &Namespace) {
        let before = self.calls().await;
        let path = format!("{}?dryRun=All", namespace.path("pods", ""));
        until("the API server calls the webhook", async || {
            self.api.create(&path, &pod(&["probe.invalid/probe"])).await;
            (self.calls().await > before).then_some(())
        })
        .await;
    }

    /// How many reviews its replicas have answered.
    pub(crate) async fn calls(&self) -> f64 {
        self.metric("pullkey_requests_total", "200").await
    }

    /// Counts the calls from now on.
    pub(crate) async fn calls_from_now(&self) -> Calls<'_> {
        Calls {
            installation: self,
            before: self.calls().await,
        }
    }

    /// A new namespace that the webhook is called for.
    pub(crate) async fn namespace(&self) -> Namespace {
        Namespace::with_labels(&json!({LABEL: self.id})).await
    }

    /// Has the webhook called for a namespace that is there already, and waits until it is.
    pub(crate) async fn select(&self, namespace: &Namespace) {
        let path = format!("/api/v1/namespaces/{}", namespace.name);
        let labels = json!({"metadata": {"labels": {LABEL: self.id}}});
        self.api.merge(&path, &labels).await.good();
        self.calls_for(namespace).await;
    }

    /// A new namespace with more labels that the webhook would be called for.
    pub(crate) async fn namespace_with(&self, labels: &Value) -> Namespace {
        let mut labels = labels.clone();
        labels[LABEL] = json!(self.id);
        Namespace::with_labels(&labels).await
    }

    /// A new namespace of that name that the webhook is called for.
    pub(crate) async fn namespace_named(&self, name: &str) -> Namespace {
        Namespace::named(name, &json!({LABEL: self.id})).await
    }

    /// Changes the rules as an admin does, and has every volume follow.
    pub(crate) async fn set_rules(&mut self, rules: &str) {
        let files = self.rules["data"].as_object_mut().unwrap();
        *files.values_mut().next().unwrap() = json!(rules);
        let name = self.rules["metadata"]["name"].as_str().unwrap();
        self.api
            .replace(&self.own.path("configmaps", name), &self.rules)
            .await
            .good();
        self.refresh_volumes().await;
    }

    /// Puts a serving certificate of that authority in place, and has every volume follow.
    pub(crate) async fn set_certificate(&self, authority: &Authority) {
        let secret = self.certificate_secret(authority);
        self.set_certificate_secret(&secret).await;
    }

    /// Puts a certificate of one key and another key in place, and has every volume follow.
    pub(crate) async fn break_certificate(&self) {
        let mut secret = self.certificate_secret(&self.authority);
        let other = self.certificate_secret(&self.authority);
        secret["stringData"]["tls.key"] = other["stringData"]["tls.key"].clone();
        self.set_certificate_secret(&secret).await;
    }

    async fn set_certificate_secret(&self, secret: &Value) {
        let path = self.own.path("secrets", secret["metadata"]["name"].as_str().unwrap());
        self.api.replace(&path, secret).await.good();
        self.refresh_volumes().await;
    }

    fn certificate_secret(&self, authority: &Authority) -> Value {
        certificate_secret(authority, &self.id, &self.service_name(), &self.deployment)
    }

    /// Registers these authorities and no others, and waits until the API server goes by them. The rules must be those
    /// for a load.
    pub(crate) async fn set_ca_bundle(&mut self, authorities: &[&Authority]) {
        let bundle = ca_bundle(authorities);
        // A namespace that no earlier version of the configuration selects tells when this one is known.
        let version = unique("version");
        for webhook in self.configuration["webhooks"].as_array_mut().unwrap() {
            webhook["clientConfig"]["caBundle"] = json!(bundle);
            let terms = webhook["namespaceSelector"]["matchExpressions"].as_array_mut().unwrap();
            let ours = terms.iter_mut().find(|term| term["key"] == LABEL).unwrap();
            ours["values"].as_array_mut().unwrap().push(json!(version));
        }
        self.configure().await;
        let probe = Namespace::with_labels(&json!({LABEL: version})).await;
        let path = format!("{}?dryRun=All", probe.path("pods", ""));
        until("the API server goes by the new bundle", async || {
            let answer = self.api.create(&path, &pod(&[IMAGE])).await;
            (answer.status != 201 || !pull_secrets(&answer.object).is_empty()).then_some(())
        })
        .await;
    }

    async fn refresh_volumes(&self) {
        for replica in &self.replicas {
            replica.refresh_volumes(&self.api).await;
            replica.signal("HUP");
        }
    }

    fn service_name(&self) -> String {
        let service = &self.configuration["webhooks"][0]["clientConfig"]["service"]["name"];
        service
            .as_str()
            .expect("a webhook that is reached by a Service")
            .to_owned()
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        if thread::panicking() {
            // A call that failed open is told nowhere else.
            let log = control_plane().log("kube-apiserver", &self.id);
            eprintln!("the API server said of {}:\n{log}", self.id);
        }
    }
}

/// What `pullkey manifests` prints for that namespace.
pub(super) fn rendered(namespace: &str, options: &[&str]) -> Vec<Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_pullkey"))
        .args(["manifests", "--output=json", "--namespace", namespace])
        .args(options)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    list["items"].as_array().unwrap().clone()
}

/// The object with a name of that installation's own, if it is what no two installations can have under one name: roles
/// and policies of the whole cluster.
pub(super) fn with_own_name(mut object: Value, id: &str) -> Value {
    let own = |name: &mut Value| *name = json!(format!("{}-{id}", name.as_str().unwrap()));
    if object["metadata"]["labels"]
        .get("app.kubernetes.io/component")
        .is_some()
        && object["metadata"].get("namespace").is_none()
    {
        own(&mut object["metadata"]["name"]);
        match object["kind"].as_str().unwrap() {
            "ClusterRoleBinding" => own(&mut object["roleRef"]["name"]),
            "ValidatingAdmissionPolicyBinding" => own(&mut object["spec"]["policyName"]),
            _ => {}
        }
    }
    object
}

/// Takes the one object of that kind out.
fn take(objects: &mut Vec<Value>, kind: &str) -> Value {
    let index = objects.iter().position(|object| object["kind"] == kind);
    objects.remove(index.unwrap_or_else(|| panic!("no {kind} among the manifests")))
}

/// Has the webhooks of a configuration called for the namespaces of that installation only, through the balancer.
fn adapt(configuration: &mut Value, id: &str, authority: &Authority, balancer: &Balancer, reach: Reach) {
    configuration["metadata"]["name"] = json!(id);
    for webhook in configuration["webhooks"].as_array_mut().unwrap() {
        let ours = json!({"key": LABEL, "operator": "In", "values": [id]});
        webhook["namespaceSelector"]["matchExpressions"]
            .as_array_mut()
            .unwrap()
            .push(ours);
        let client = &mut webhook["clientConfig"];
        match reach {
            Reach::Service => client["service"]["port"] = json!(balancer.address.port()),
            Reach::Url => {
                let path = client["service"]["path"].as_str().unwrap();
                *client = json!({"url": format!("https://{}{path}", balancer.address)});
            }
        }
        client["caBundle"] = json!(ca_bundle(&[authority]));
    }
}

fn ca_bundle(authorities: &[&Authority]) -> String {
    let pem: String = authorities
        .iter()
        .map(|authority| authority.pair().certificate.as_str())
        .collect();
    STANDARD.encode(pem)
}

/// The Secret that the Deployment mounts, with a fresh certificate for the Service's name and for loopback.
fn certificate_secret(authority: &Authority, namespace: &str, service: &str, deployment: &Value) -> Value {
    let volumes = deployment["spec"]["template"]["spec"]["volumes"].as_array().unwrap();
    let mut names = volumes
        .iter()
        .filter_map(|volume| volume["secret"]["secretName"].as_str());
    let names_of_server = Names {
        dns: vec![format!("{service}.{namespace}.svc").parse().unwrap()],
        addresses: vec!["127.0.0.1".parse().unwrap()],
    };
    let day = Duration::from_hours(24);
    let pair = authority.issue(&names_of_server, day, SystemTime::now()).unwrap();
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": names.next().unwrap(), "namespace": namespace},
        "stringData": {"tls.crt": pair.certificate, "tls.key": pair.key},
    })
}
