//! One Pod of the webhook's Deployment, as a kubelet would run it: the container's own arguments and environment, its
//! volumes as directories that change by one swap of a link.
//!
//! Only two things differ, since there is no network of Pods: it listens on a port of loopback that is free, and its
//! volumes are somewhere else.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::balancer::Target;
use super::plane::ControlPlane;
use super::{Api, Namespace, control_plane, control_plane_program, unique, until};

/// A webhook that runs, until it is dropped at the latest.
pub(crate) struct Replica {
    child: Child,
    said: Arc<Mutex<String>>,
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
        let volumes = control_plane().temporary_folder();
        mount(api, namespace, &spec, volumes.path()).await;
        let mut arguments: Vec<_> = spec["containers"][0]["args"]
            .as_array()
            .unwrap()
            .iter()
            .map(|argument| inside(argument.as_str().unwrap(), &spec, volumes.path()))
            .filter(|argument| {
                !["--listen=", "--health-listen=", "--log-format="]
                    .iter()
                    .any(|own| argument.starts_with(own))
            })
            .collect();
        arguments.extend(
            [
                "--listen=127.0.0.1:0",
                "--health-listen=127.0.0.1:0",
                "--log-format=json",
            ]
            .map(str::to_owned),
        );
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
        let mut child = Command::new(control_plane_program())
            .args(["hold", env!("CARGO_BIN_EXE_pullkey")])
            .args(&arguments)
            .env_clear()
            .env("KUBECONFIG", kubeconfig)
            .envs(environment)
            .current_dir(volumes.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let listener = Arc::clone(&said);
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let mut said = listener.lock().unwrap();
                said.push_str(&line);
                said.push('\n');
            }
        });
        let target = until("the webhook says where it serves", async || {
            if let Some(ended) = child.try_wait().unwrap() {
                panic!("the webhook has ended with {ended}:\n{}", said.lock().unwrap());
            }
            serving(&said.lock().unwrap())
        })
        .await;
        Self {
            child,
            said,
            volumes,
            spec,
            namespace: namespace.to_owned(),
            target,
        }
    }

    /// Brings the volumes up to the objects that they show, as a kubelet does within a minute or so.
    pub(crate) async fn refresh_volumes(&self, api: &Api) {
        mount(api, &self.namespace, &self.spec, self.volumes.path()).await;
    }

    pub(crate) fn log(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// The sum of a metric over all its labels that hold `labels`.
    pub(crate) async fn metric(&self, name: &str, labels: &str) -> f64 {
        let is_asked = |line: &&str| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with(['{', ' ']) && rest.contains(labels))
        };
        self.metrics()
            .await
            .lines()
            .filter(is_asked)
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
            .sum()
    }

    /// All its metrics, as Prometheus reads them.
    pub(crate) async fn metrics(&self) -> String {
        get(self.target.health, "/metrics").await.expect("metrics").1
    }

    /// Sends a signal such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status();
        assert!(status.unwrap().success());
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        until("the webhook ends", async || self.child.try_wait().unwrap()).await
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        // What holds the webhook kills it when its standard input closes; a test wants it gone, and not only going.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("the webhook at {} said:\n{}", self.target.serving, self.log());
        }
    }
}

/// Where it serves, from its own word.
fn serving(said: &str) -> Option<Target> {
    let events = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut events = events.map(|event| event["fields"].clone());
    let event = events.find(|fields| fields["message"] == "serving")?;
    let address = |field: &str, scheme: &str| -> Option<SocketAddr> {
        event[field]
            .as_str()?
            .strip_prefix(scheme)?
            .split('/')
            .next()?
            .parse()
            .ok()
    };
    Some(Target {
        serving: address("url", "https://")?,
        health: address("health", "http://")?,
    })
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
        let object = api.get(&path).await.good();
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

/// Status and body of a plain HTTP answer, unless nobody answers.
pub(crate) async fn get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: replica\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}
