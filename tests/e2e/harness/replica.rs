//! One Pod of one of the Deployments, as a kubelet would run it: the container's own arguments and environment, its
//! volumes as directories that change by one swap of a link.
//!
//! Only three things differ, since there is no network of Pods: it listens on a port of loopback that is free, its
//! volumes are somewhere else, and no DNS knows the webhook's replicas.

use std::fs;
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use super::balancer::Target;
use super::plane::ControlPlane;
use super::process::{Process, address};
use super::{Api, Namespace, unique};

/// A webhook or a controller that runs, until it is dropped at the latest.
pub(crate) struct Replica {
    process: Process,
    volumes: TempDir,
    spec: Value,
    namespace: String,
    pub(crate) target: Target,
}

impl Replica {
    /// Starts the first container of a Pod template of that namespace, with `more` arguments, and waits until it
    /// listens; it may not be ready yet.
    pub(crate) async fn start(
        plane: &ControlPlane,
        api: &Api,
        namespace: &str,
        template: &Value,
        more: &[&str],
    ) -> Self {
        let spec = template["spec"].clone();
        let volumes = plane.temporary_folder();
        mount(api, namespace, &spec, volumes.path()).await;
        let mut arguments: Vec<_> = spec["containers"][0]["args"]
            .as_array()
            .unwrap()
            .iter()
            .map(|argument| argument.as_str().unwrap())
            .filter(|argument| !argument.starts_with("--webhook-replicas") && !argument.starts_with("--serving-port"))
            .map(|argument| match argument.split_once("listen=") {
                Some((option, _)) => format!("{option}listen=127.0.0.1:0"),
                None => inside(argument, &spec, volumes.path()),
            })
            .collect();
        arguments.extend(more.iter().map(|&argument| argument.to_owned()));
        let environment = spec["containers"][0]["env"].as_array().cloned().unwrap_or_default();
        let environment = environment.iter().filter_map(|variable| {
            let value = variable["value"].as_str()?;
            Some((
                variable["name"].as_str()?.to_owned(),
                inside(value, &spec, volumes.path()),
            ))
        });
        let account = spec["serviceAccountName"].as_str().unwrap();
        let home = Namespace {
            name: namespace.to_owned(),
            api: api.clone(),
        };
        let kubeconfig = volumes.path().join("kubeconfig");
        let token = home.token(account).await;
        fs::write(&kubeconfig, plane.kubeconfig_with(&token)).unwrap();
        let own = ("KUBECONFIG".to_owned(), kubeconfig.to_str().unwrap().to_owned());
        let process = Process::start(&arguments, [own].into_iter().chain(environment), volumes.path()).await;
        let target = Target {
            serving: address(&process.serving["url"]).unwrap_or(process.health),
            health: process.health,
        };
        Self {
            process,
            volumes,
            spec,
            namespace: namespace.to_owned(),
            target,
        }
    }

    /// The versions of the objects that its volumes show, unless one of them is not there: then they stay as they are.
    pub(crate) async fn versions(&self, api: &Api) -> Option<Vec<Value>> {
        let mut versions = Vec::new();
        for volume in self.spec["volumes"].as_array().into_iter().flatten() {
            let named = [
                ("secrets", &volume["secret"]["secretName"]),
                ("configmaps", &volume["configMap"]["name"]),
            ];
            for (resource, name) in named {
                if let Some(name) = name.as_str() {
                    let path = format!("/api/v1/namespaces/{}/{resource}/{name}", self.namespace);
                    let answer = api.get(&path).await;
                    if answer.status != 200 {
                        return None;
                    }
                    versions.push(answer.object["metadata"]["resourceVersion"].clone());
                }
            }
        }
        Some(versions)
    }

    /// Brings the volumes up to the objects that they show, as a kubelet does within a minute or so.
    pub(crate) async fn refresh_volumes(&self, api: &Api) {
        mount(api, &self.namespace, &self.spec, self.volumes.path()).await;
    }
}

/// A replica is its process, and the volumes that it reads.
impl Deref for Replica {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Replica {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// A text of the container with the places of its volumes on this machine.
fn inside(text: &str, spec: &Value, volumes: &Path) -> String {
    let mounts = spec["containers"][0]["volumeMounts"].as_array();
    mounts.into_iter().flatten().fold(text.to_owned(), |text, mount| {
        let here = volumes.join(mount["name"].as_str().unwrap());
        text.replace(mount["mountPath"].as_str().unwrap(), here.to_str().unwrap())
    })
}

/// Lays a Pod's ConfigMap and Secret volumes out the way a kubelet does: files are links into `..data`, which is a link
/// that is swapped.
async fn mount(api: &Api, namespace: &str, spec: &Value, volumes: &Path) {
    for volume in spec["volumes"].as_array().into_iter().flatten() {
        let folder = volumes.join(volume["name"].as_str().unwrap());
        let (path, is_secret) = if let Some(name) = volume["secret"]["secretName"].as_str() {
            (format!("/api/v1/namespaces/{namespace}/secrets/{name}"), true)
        } else if let Some(name) = volume["configMap"]["name"].as_str() {
            (format!("/api/v1/namespaces/{namespace}/configmaps/{name}"), false)
        } else {
            fs::create_dir_all(folder).unwrap();
            continue;
        };
        let answer = api.get(&path).await;
        if answer.status == 404 {
            // What was shown before stays.
            continue;
        }
        let object = answer.good();
        let version = unique("..version");
        fs::create_dir_all(folder.join(&version)).unwrap();
        for (key, value) in object["data"].as_object().into_iter().flatten() {
            let value = value.as_str().unwrap();
            let content = if is_secret {
                decode(value)
            } else {
                value.as_bytes().to_vec()
            };
            fs::write(folder.join(&version).join(key), content).unwrap();
            let _ = symlink(Path::new("..data").join(key), folder.join(key));
        }
        symlink(&version, folder.join("..data_tmp")).unwrap();
        let old = fs::read_link(folder.join("..data"));
        fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
        if let Ok(old) = old {
            fs::remove_dir_all(folder.join(old)).unwrap();
        }
    }
}

fn decode(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}
