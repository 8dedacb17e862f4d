//! What makes a node: kubelet, scheduler, containerd and registries, beside a control plane.

use std::fs::{self, File};
use std::io::{Write as _, stderr};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use serde_json::Value;

use super::enter::{OWN, program};
use super::registry::Registry;
use crate::harness::plane::control_plane_with;
use crate::harness::{Api, control_plane, control_plane_program, until};

/// Where the files are that the servers are told to read.
const FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/node/machine");
/// All that the API server has to know of nodes and Pods: Pods call it by the first address of the Services' range, and
/// it calls the Pods of Services itself, since there is no kube-proxy.
const API_SERVER: [&str; 4] = [
    "--bind-address=0.0.0.0",
    "--secure-port=443",
    "--enable-aggregator-routing=true",
    "--kubelet-preferred-address-types=InternalIP",
];

/// The servers of the node.
pub(crate) struct Servers {
    /// The one that [`super::HOST`] leads to.
    pub(crate) named: Registry,
    /// The one that is known by address and port.
    pub(crate) numbered: Registry,
}

impl Servers {
    /// Starts them all, and waits until Pods can run.
    pub(super) async fn start() -> Self {
        let [named, numbered] = [5001, 5002].map(Registry::start);
        let configuration = format!("{FILES}/containerd.toml");
        copy("network.conflist", "cni");
        start(
            "containerd",
            Command::new(program("containerd")).args(["--config", &configuration]),
        );
        control_plane_with(&API_SERVER);
        let api = control_plane().api().await;
        named.is_there().await;
        numbered.is_there().await;
        named.push("hello", &["public/pause:1"]);

        let folder = control_plane().folder().unwrap().display();
        let scheduler = format!("--kubeconfig={folder}/scheduler.kubeconfig");
        start(
            "kube-scheduler",
            Command::new(control_plane_program()).args([&scheduler, "--leader-elect=false", "--secure-port=0"]),
        );
        let kubelet = [
            format!("--config={FILES}/kubelet.yaml"),
            format!("--kubeconfig={folder}/kubelet.kubeconfig"),
            format!("--root-dir={OWN}/kubelet"),
            format!("--cert-dir={OWN}/kubelet-certificates"),
            "--hostname-override=node".to_owned(),
            "--node-ip=10.88.0.1".to_owned(),
        ];
        start("kubelet", Command::new(control_plane_program()).args(kubelet));
        until("the node is ready", async || is_ready(&api).await.then_some(())).await;
        Self { named, numbered }
    }

    /// Why the kubelet pulled without a secret in that namespace: there was none, or its cache had no answer within a
    /// second (`pkg/kubelet/util/manager/watch_based_manager.go`).
    pub(crate) fn pulled_without(namespace: &str) -> Vec<String> {
        let said = fs::read_to_string(log("kubelet")).unwrap();
        let of_it = format!("secret=\"{namespace}/");
        let lines = said.lines().filter(|line| line.contains(&of_it));
        let lines = lines.filter(|line| line.contains("Unable to retrieve pull secret"));
        lines.map(str::to_owned).collect()
    }
}

fn log(name: &str) -> PathBuf {
    Path::new(OWN).join("server-logs").join(format!("{name}.log"))
}

async fn is_ready(api: &Api) -> bool {
    let node = api.get("/api/v1/nodes/node").await.object;
    let conditions = node["status"]["conditions"].as_array().into_iter().flatten();
    let mut ready = conditions.filter(|condition| condition["type"] == "Ready" && condition["status"] == "True");
    ready.next().is_some() && node["spec"]["taints"] == Value::Null
}

/// Starts a program under a name. It ends with the machine, and its log is kept there.
pub(super) fn start(name: &str, command: &mut Command) {
    let path = log(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let log = File::create(&path).unwrap();
    let started = command
        .arg0(name)
        .env("OTEL_TRACES_EXPORTER", "none")
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn();
    let mut started = started.unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
    let name = name.to_owned();
    thread::spawn(move || {
        let ended = started.wait();
        // Not through the capture of the test runner.
        let log = fs::read_to_string(path).unwrap_or_default();
        let _ = writeln!(stderr(), "{name} has ended: {ended:?}\n{log}");
    });
}

/// Copies a file to a folder of the machine's own.
fn copy(file: &str, folder: &str) {
    let folder = Path::new(OWN).join(folder);
    fs::create_dir_all(&folder).unwrap();
    fs::copy(Path::new(FILES).join(file), folder.join(file)).unwrap();
}
