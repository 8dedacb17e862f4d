//! Pullkey on the node, installed as README.md tells an admin to, and what admins and teams do with it.

use std::fs;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::registry::{HOST, Registry};
use super::servers::Servers;
use crate::harness::{Namespace, RULES, control_plane, pod, pull_secrets, unique, until};

/// The program's image.
const IMAGE: &str = "public/pullkey:1";
/// Where sources are kept.
pub(crate) const SOURCES: &str = "pullkey-sources";
const NAMESPACE: &str = "pullkey";

/// Pullkey, in Pods of the node.
pub(crate) struct Pullkey;

/// A team that keeps images in a registry: somebody who may pull what is below one prefix, and nothing else.
pub(crate) struct Team {
    /// Its name, that of its user, and what the names of its repositories and namespaces begin with.
    pub(crate) name: String,
    pub(crate) password: String,
    /// The host that its images name.
    pub(crate) host: String,
    /// An image that is on no node.
    pub(crate) image: String,
}

impl Pullkey {
    pub(super) async fn install(servers: &Servers) -> Self {
        servers.named.is_called(HOST);
        servers.named.push(env!("CARGO_BIN_EXE_pullkey"), &[IMAGE]);
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().to_str().unwrap();
        pullkey(&["certs", "--out", directory, "--dns", "pullkey-webhook.pullkey.svc"]);
        let objects = pullkey(&[
            "manifests",
            "--image",
            &format!("{HOST}/{IMAGE}"),
            "--certificate=given",
            "--ca-bundle",
            &format!("{directory}/ca.crt"),
        ]);
        let kubectl = |arguments: &[&str], input: &str| control_plane().kubectl(arguments, input);
        kubectl(&["create", "namespace", NAMESPACE], "");
        kubectl(
            &[
                "create",
                "secret",
                "tls",
                "pullkey-webhook-tls",
                "--namespace",
                NAMESPACE,
                &format!("--cert={directory}/tls.crt"),
                &format!("--key={directory}/tls.key"),
            ],
            "",
        );
        kubectl(&["apply", "--server-side", "-f", "-"], &objects);
        for deployment in ["pullkey-webhook", "pullkey-controller"] {
            let deployment = format!("deployment/{deployment}");
            kubectl(
                &[
                    "rollout",
                    "status",
                    "--namespace",
                    NAMESPACE,
                    &deployment,
                    "--timeout=60s",
                ],
                "",
            );
        }
        let pullkey = Self;
        pullkey.is_at_work().await;
        pullkey
    }

    /// Waits until Pods are patched and copies are made.
    pub(crate) async fn is_at_work(&self) {
        let probe = unique("probe");
        let api = control_plane().api().await;
        let source = secret(&probe, &docker_config(&[("probe.invalid", "probe", "probe")]));
        self.source(&source).await;
        let spec = json!({"images": ["probe.invalid"], "namespaces": {"include": [probe]}});
        self.copies(&probe, &spec).await;
        let namespace = Namespace::named(&probe, &json!({})).await;
        let path = format!("{}?dryRun=All", namespace.path("pods", ""));
        until("the webhook is called", async || {
            let created = api.create(&path, &pod(&["probe.invalid/probe"])).await.object;
            (!pull_secrets(&created).is_empty()).then_some(())
        })
        .await;
        until("copies are made", async || {
            (api.get(&namespace.path("secrets", &probe)).await.status == 200).then_some(())
        })
        .await;
        // Nobody is to see what this was found out with.
        for path in [
            format!("/api/v1/namespaces/{probe}"),
            format!("{RULES}/clusterpullsecretrules/{probe}"),
            format!("/api/v1/namespaces/{SOURCES}/secrets/{probe}"),
        ] {
            api.delete(&path).await.good();
        }
    }

    /// Waits until every replica of the webhook gives Pods with that image that secret there: each learns of a rule, and
    /// of its images, a moment after the controller has said that it is in force.
    pub(crate) async fn injects(&self, namespace: &Namespace, image: &str, secret: &str) {
        let api = &namespace.api;
        let review = json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": {
                "uid": "known", "operation": "CREATE", "namespace": namespace.name, "dryRun": true,
                "kind": {"group": "", "version": "v1", "kind": "Pod"},
                "resource": {"group": "", "version": "v1", "resource": "pods"},
                "object": pod(&[image]),
            },
        });
        let replicas = format!("/api/v1/namespaces/{NAMESPACE}/pods?labelSelector=app.kubernetes.io/component=webhook");
        for replica in api.get(&replicas).await.good()["items"].as_array().unwrap() {
            let name = replica["metadata"]["name"].as_str().unwrap();
            let path = format!("/api/v1/namespaces/{NAMESPACE}/pods/https:{name}:8443/proxy/mutate");
            until(&format!("{name} gives {secret}"), async || {
                let answer = api.create(&path, &review).await.object;
                let bytes = STANDARD.decode(answer["response"]["patch"].as_str()?).unwrap();
                String::from_utf8(bytes)
                    .unwrap()
                    .contains(&format!("\"{secret}\""))
                    .then_some(())
            })
            .await;
        }
    }

    /// Has a source, or its next version.
    pub(crate) async fn source(&self, secret: &Value) {
        let api = control_plane().api().await;
        let name = secret["metadata"]["name"].as_str().unwrap();
        let path = format!("/api/v1/namespaces/{SOURCES}/secrets/{name}");
        api.apply(&path, secret).await.good();
    }

    /// Has a rule for the source of the same name. `spec` is the rest of it.
    pub(crate) async fn copies(&self, name: &str, spec: &Value) {
        let mut spec = spec.clone();
        spec["secret"] = json!({"name": name, "copyFrom": {"namespace": SOURCES, "name": name}});
        self.rule(name, &spec).await;
    }

    /// Has a rule, once it is known.
    pub(crate) async fn rule(&self, name: &str, spec: &Value) {
        let api = control_plane().api().await;
        let object = json!({
            "apiVersion": "pullkey.dev/v1alpha1", "kind": "ClusterPullSecretRule", "metadata": {"name": name},
            "spec": spec,
        });
        let path = format!("{RULES}/clusterpullsecretrules/{name}");
        api.apply(&path, &object).await.good();
        until("the controller has taken the rule in", async || {
            let rule = api.get(&path).await.object;
            (rule["status"]["observedGeneration"] == rule["metadata"]["generation"]).then_some(())
        })
        .await;
    }
}

impl Team {
    /// One with an image in that registry, whose images name that host.
    pub(crate) fn new(registry: &Registry, host: &str) -> Self {
        let name = unique("team");
        let password = format!("password-of-{name}");
        registry.set_user(&name, &[&password], &format!("{name}/"));
        let team = Self {
            image: format!("{host}/{name}/app:1"),
            host: host.to_owned(),
            name,
            password,
        };
        registry.push("hello", &[&format!("{}/app:1", team.name)]);
        team
    }

    /// A docker config that serves its images and no others.
    pub(crate) fn config(&self) -> Value {
        docker_config(&[(&format!("{}/{}", self.host, self.name), &self.name, &self.password)])
    }

    /// One of its namespaces, with the copy: where it is not the race that is looked at, which a busy machine may lose.
    pub(crate) async fn served(&self, name: &str) -> Namespace {
        let namespace = self.namespace(name).await;
        let path = namespace.path("secrets", &self.name);
        until("the copy is there", async || {
            (namespace.api.get(&path).await.status == 200).then_some(())
        })
        .await;
        namespace
    }

    /// One of its namespaces, just born.
    pub(crate) async fn namespace(&self, name: &str) -> Namespace {
        Namespace::named(&format!("{}-{name}", self.name), &json!({})).await
    }
}

/// A docker config with these keys, users and passwords.
pub(crate) fn docker_config(entries: &[(&str, &str, &str)]) -> Value {
    let auths = entries.iter().map(|(key, user, password)| {
        let auth = STANDARD.encode(format!("{user}:{password}"));
        ((*key).to_owned(), json!({"auth": auth}))
    });
    json!({"auths": auths.collect::<serde_json::Map<_, _>>()})
}

/// A pull secret with that docker config.
pub(crate) fn secret(name: &str, config: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson", "metadata": {"name": name},
        "data": {".dockerconfigjson": STANDARD.encode(config.to_string())},
    })
}

/// The program's output for these arguments.
fn pullkey(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_pullkey"))
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Kills all processes of a part of Pullkey.
pub(crate) fn kill(part: &str) {
    let start = format!("/pullkey\0{part}\0");
    for process in fs::read_dir("/proc").unwrap() {
        let process = process.unwrap();
        // Processes come and go; there are no others than those of the node.
        let command = fs::read_to_string(process.path().join("cmdline")).unwrap_or_default();
        if command.starts_with(&start) {
            let _ = Command::new("kill").arg("-KILL").arg(process.file_name()).status();
        }
    }
}
