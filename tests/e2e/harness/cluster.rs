//! A whole cluster for one installation: the shipped objects are applied as they are, and all Pods are its business.
//!
//! In: shell scripts of an admin, who has `kubectl` and `pullkey`. Out: a control plane of its own and what the harness
//! plays on it: the way to Services, which the API server takes through a proxy here, as on clusters whose control plane
//! is apart from the nodes, and a node that runs the Pods of Pullkey's namespace. Its API server can be lost for a while.
//! It stops with the test.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::{NamedTempFile, TempDir};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::runtime;
use tokio::sync::{Mutex, MutexGuard, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::balancer::{Balancer, is_ready};
use super::doors::Doors;
use super::plane::{ControlPlane, control_plane_program};
use super::process::sum_of;
use super::{Api, GLANCE, Guest, Replica, until};

/// Where Pullkey is installed.
const NAMESPACE: &str = "pullkey";
/// The Service that the API server calls.
const SERVICE: &str = "/api/v1/namespaces/pullkey/services/pullkey-webhook";
/// The label that tells the webhook's Pods from the controller's.
const COMPONENT: &str = "app.kubernetes.io/component";
const PODS: &str = "/api/v1/namespaces/pullkey/pods";
/// How often it is asked where the Service is.
const LEARNING: Duration = Duration::from_millis(100);

/// A cluster.
pub(crate) struct Cluster {
    /// Plays until it is told to stop, in a runtime of its own: whatever a test does, Pods go on.
    player: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    node: Arc<Node>,
    pub(crate) api: Api,
    plane: Arc<ControlPlane>,
    /// The admin's working directory.
    pub(crate) directory: TempDir,
}

/// The time in which a cluster has no API server.
pub(crate) struct Outage<'c> {
    plane: &'c ControlPlane,
    #[expect(dead_code, reason = "the node waits for its end: it can do nothing either")]
    rounds: MutexGuard<'c, ()>,
}

/// What a script said.
pub(crate) struct Said {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A node.
#[derive(Default)]
struct Node {
    replicas: Mutex<Replicas>,
    /// Whether volumes follow their objects by themselves.
    follows: AtomicBool,
    /// Held while it asks the API server what to do.
    rounds: Mutex<()>,
}

/// The Pods that run on the node, by name.
type Replicas = BTreeMap<String, Running>;

/// A Pod that runs.
struct Running {
    replica: Replica,
    is_webhook: bool,
    state: State,
    /// The versions of the objects that its volumes show, if they follow.
    shown: Option<Vec<Value>>,
    /// What was told of it.
    ready: Option<bool>,
    /// Whether it was asked to end.
    ends: bool,
}

/// What a test has done to it by a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Runs,
    /// It answers nobody.
    Stopped,
    /// It is to be started again.
    Killed,
}

impl Cluster {
    /// A cluster with nothing on it, with more arguments of its API server, and an admin's directory with the
    /// repository's `config/`.
    pub(crate) async fn start(arguments: &[&str]) -> Self {
        let egress = "--egress-selector-config-file={folder}/egress.yaml";
        let plane = Arc::new(ControlPlane::another(&[arguments, &[egress]].concat()));
        let directory = plane.temporary_folder();
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/config");
        symlink(root, directory.path().join("config")).unwrap();
        let programs = directory.path().join(".bin");
        fs::create_dir(&programs).unwrap();
        symlink(control_plane_program(), programs.join("kubectl")).unwrap();
        symlink(env!("CARGO_BIN_EXE_pullkey"), programs.join("pullkey")).unwrap();
        let api = plane.api().await;

        let node = Arc::default();
        let (stop, stopped) = oneshot::channel();
        let parts = (Arc::clone(&plane), Arc::clone(&node));
        let player = thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    () = play(&parts.0, &parts.1) => {}
                }
            });
        });
        Self {
            player: Some((stop, player)),
            node,
            api,
            plane,
            directory,
        }
    }

    /// Runs a script as the admin. It must succeed.
    pub(crate) async fn run(&self, script: &str) -> Said {
        let (stdout, stderr) = (NamedTempFile::new().unwrap(), NamedTempFile::new().unwrap());
        let programs = self.directory.path().join(".bin");
        let path = format!("{}:{}", programs.display(), env::var("PATH").unwrap());
        let mut shell = Command::new(control_plane_program())
            .args(["hold", "sh", "-ec", script])
            .current_dir(self.directory.path())
            .env("PATH", path)
            .env("KUBECONFIG", self.plane.kubeconfig())
            .stdin(Stdio::piped())
            .stdout(stdout.reopen().unwrap())
            .stderr(stderr.reopen().unwrap())
            .spawn()
            .unwrap();
        let status = until(script, async || shell.try_wait().unwrap()).await;
        let [stdout, stderr] = [stdout, stderr].map(|file| fs::read_to_string(file.path()).unwrap());
        assert!(status.success(), "{script}: {status}\n{stdout}\n{stderr}");
        Said { stdout, stderr }
    }

    /// Runs a program of others as the admin, until what comes back is dropped.
    pub(crate) fn guest(&self, program: &Path) -> Guest {
        Guest::start(program, self.plane.kubeconfig())
    }

    /// Waits until `kubectl` knows these kinds, whose definitions were just applied.
    pub(crate) async fn serves(&self, kinds: &str) {
        let script = format!("kubectl get {kinds} --all-namespaces > /dev/null 2>&1 && echo served || true");
        until(kinds, async || {
            (self.run(&script).await.stdout == "served\n").then_some(())
        })
        .await;
    }

    /// A client of that service account.
    pub(crate) async fn account(&self, namespace: &str, name: &str) -> Api {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token");
        let request = json!({"spec": {"expirationSeconds": 600}});
        let token = self.api.create(&path, &request).await.good();
        self.plane.api_with(token["status"]["token"].as_str().unwrap()).await
    }

    /// A client of a member of `system:masters`, for a runtime that the cluster outlives.
    pub(crate) async fn client(&self) -> Api {
        self.plane.api().await
    }

    /// Kills the API server. Everything else goes on.
    pub(crate) async fn lose_api_server(&self) -> Outage<'_> {
        let rounds = self.node.rounds.lock().await;
        self.plane.kill_api_server();
        Outage {
            plane: &self.plane,
            rounds,
        }
    }

    /// Starts one more API server on the same etcd, and gives a client of it. The node and Pullkey go on with the first.
    pub(crate) async fn another_api_server(&self) -> Api {
        self.plane.start_another_api_server();
        self.plane.api_of_another().await
    }

    /// Has etcd forget what was before.
    pub(crate) fn compact(&self) {
        self.plane.compact();
    }

    /// The names of the controller's Pods on the node.
    pub(crate) async fn controllers(&self) -> Vec<String> {
        let replicas = self.node.replicas.lock().await;
        let controllers = replicas.iter().filter(|(_, running)| !running.is_webhook);
        controllers.map(|(name, _)| name.clone()).collect()
    }

    /// Those of them that say that they lead.
    pub(crate) async fn leaders(&self) -> Vec<String> {
        let mut leaders = Vec::new();
        for (name, running) in &*self.node.replicas.lock().await {
            if running.state != State::Stopped && running.replica.metric("pullkey_leader", "").await > 0.0 {
                leaders.push(name.clone());
            }
        }
        leaders
    }

    /// Stops a Pod where it stands, or has it go on as if nothing had been.
    pub(crate) async fn stop(&self, pod: &str, is_stopped: bool) {
        let mut replicas = self.node.replicas.lock().await;
        let running = replicas.get_mut(pod).unwrap();
        running.state = if is_stopped { State::Stopped } else { State::Runs };
        running.replica.signal(if is_stopped { "TSTP" } else { "CONT" });
    }

    /// The sum of a metric of a Pod over all its labels that hold `labels`.
    pub(crate) async fn metric(&self, pod: &str, metric: &str, labels: &str) -> f64 {
        self.node.replicas.lock().await[pod]
            .replica
            .metric(metric, labels)
            .await
    }

    /// Whether a Pod says that it is ready.
    pub(crate) async fn is_ready(&self, pod: &str) -> bool {
        is_ready(self.node.replicas.lock().await[pod].replica.target.health).await
    }

    /// What a Pod has logged.
    pub(crate) async fn log(&self, pod: &str) -> String {
        self.node.replicas.lock().await[pod].replica.log()
    }

    /// What API servers say of calls that failed open: a line each.
    pub(crate) fn failed_open(&self) -> String {
        let servers = ["kube-apiserver", "another-kube-apiserver"];
        let said = servers.map(|server| self.plane.log(server, "failing open"));
        said.join("\n")
    }

    /// The API server's audit events so far.
    pub(crate) fn audit_events(&self) -> Vec<Value> {
        self.plane.audit_events()
    }

    /// From now on volumes follow their objects by themselves, as on a node, and sooner.
    pub(crate) fn follow_volumes(&self) {
        self.node.follows.store(true, Ordering::Relaxed);
    }

    /// Where the webhook's Pods serve.
    pub(crate) async fn serving(&self) -> Vec<SocketAddr> {
        let replicas = self.node.replicas.lock().await;
        let webhooks = replicas.values().filter(|running| running.is_webhook);
        webhooks.map(|running| running.replica.target.serving).collect()
    }

    /// Kills the controller that leads.
    pub(crate) async fn kill_leader(&self) {
        let leader = until("a controller leads", async || self.leaders().await.pop()).await;
        self.kill(&leader).await;
    }

    /// Kills what runs in a Pod. It is started again, as a kubelet does the first time, but elsewhere.
    pub(crate) async fn kill(&self, pod: &str) {
        let mut replicas = self.node.replicas.lock().await;
        let running = replicas.get_mut(pod).unwrap();
        running.state = State::Killed;
        running.replica.signal("KILL");
    }

    /// The sum of a metric of the controller's Pods over all labels that hold `labels`.
    pub(crate) async fn of_controllers(&self, metric: &str, labels: &str) -> f64 {
        let mut sum = 0.0;
        for controller in self.controllers().await {
            sum += self.metric(&controller, metric, labels).await;
        }
        sum
    }

    /// The metrics of each Pod.
    pub(crate) async fn metrics(&self) -> Vec<String> {
        let mut metrics = Vec::new();
        for running in self.node.replicas.lock().await.values() {
            metrics.push(running.replica.metrics().await);
        }
        metrics
    }

    /// What all Pods have said, in their logs and metrics.
    pub(crate) async fn said(&self) -> String {
        let mut said = String::new();
        for running in self.node.replicas.lock().await.values() {
            said += &running.replica.log();
            said += &running.replica.metrics().await;
        }
        said
    }

    /// What the webhook's Pods count, each with where it says so.
    pub(crate) async fn counted(&self) -> Vec<(SocketAddr, String)> {
        let mut counted = Vec::new();
        for running in self.node.replicas.lock().await.values() {
            if running.is_webhook {
                counted.push((running.replica.target.health, running.replica.metrics().await));
            }
        }
        counted
    }

    /// The names of the webhook's Pods on the node.
    pub(crate) async fn pods(&self) -> BTreeSet<String> {
        let replicas = self.node.replicas.lock().await;
        let webhooks = replicas.iter().filter(|(_, running)| running.is_webhook);
        webhooks.map(|(name, _)| name.clone()).collect()
    }

    /// The least value of a metric on all of them.
    pub(crate) async fn least(&self, metric: &str, labels: &str) -> f64 {
        let counted = self.counted().await;
        let values = counted.iter().map(|(_, text)| sum_of(text, metric, labels));
        values.fold(f64::INFINITY, f64::min)
    }

    /// Brings their volumes up to the objects that they show.
    pub(crate) async fn refresh_volumes(&self) {
        for running in self
            .node
            .replicas
            .lock()
            .await
            .values()
            .filter(|running| running.is_webhook)
        {
            running.replica.refresh_volumes(&self.api).await;
            running.replica.signal("HUP");
        }
    }
}

impl Outage<'_> {
    /// Starts the API server again, on the same etcd, and waits until it is ready.
    pub(crate) fn end(self) {
        self.plane.start_api_server();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let (stop, player) = self.player.take().unwrap();
        let _ = stop.send(());
        let ended = player.join();
        if thread::panicking()
            && let Ok(replicas) = self.node.replicas.try_lock()
        {
            for (name, running) in &*replicas {
                eprintln!("{name} said:\n{}", running.replica.log());
            }
            eprintln!("API servers said:\n{}", self.failed_open());
        }
        assert!(ended.is_ok() || thread::panicking(), "the node has panicked");
    }
}

/// Plays what a cluster has besides its control plane.
async fn play(plane: &ControlPlane, node: &Node) {
    let api = plane.api().await;
    let proxy = UnixListener::bind(plane.folder().unwrap().join("egress")).unwrap();
    let ways = Ways {
        balancer: Balancer::start().await,
        doors: Doors::open().await,
    };
    let (learnt, service) = watch::channel(None);
    tokio::join!(
        learn_service(&api, learnt),
        lead_to_services(&proxy, service, &ways.balancer),
        run_pods(plane, &api, &ways, node)
    );
}

/// The ways to the webhook's Pods.
struct Ways {
    /// For API servers.
    balancer: Balancer,
    /// For the controller.
    doors: Doors,
}

/// Learns where the Service is. While nobody says it, it is where it was.
async fn learn_service(api: &Api, learnt: watch::Sender<Option<String>>) {
    loop {
        if let Some(answer) = api.try_get(SERVICE).await {
            let service = &answer.object["spec"];
            let address = service["clusterIP"].as_str().zip(service["ports"][0]["port"].as_u64());
            learnt.send_replace(address.map(|(address, port)| format!("{address}:{port}")));
        }
        sleep(LEARNING).await;
    }
}

/// Does what stands between an API server and a Service's Pods: a tunnel to the Service's address ends at the balancer.
async fn lead_to_services(proxy: &UnixListener, service: watch::Receiver<Option<String>>, balancer: &Balancer) {
    let mut tunnels = JoinSet::new();
    loop {
        let (client, _) = proxy.accept().await.unwrap();
        while tunnels.try_join_next().is_some() {}
        let (service, balancer) = (service.borrow().clone(), balancer.address);
        tunnels.spawn(async move {
            // Whoever cannot be led sees a connection that ends.
            let _ = lead(client, service, balancer).await;
        });
    }
}

async fn lead(client: UnixStream, service: Option<String>, balancer: SocketAddr) -> io::Result<()> {
    let mut client = BufReader::new(client);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && client.read_line(&mut head).await? > 0 {}
    if service.is_none_or(|service| !head.starts_with(&format!("CONNECT {service} "))) {
        return client.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").await;
    }
    let mut server = TcpStream::connect(balancer).await?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}

/// Does what a scheduler and a kubelet do with Pullkey's Pods.
async fn run_pods(plane: &ControlPlane, api: &Api, ways: &Ways, node: &Node) {
    loop {
        let round = node.rounds.lock().await;
        let list = api.get(PODS).await.good();
        let pods = list["items"].as_array().unwrap();
        let mut replicas = node.replicas.lock().await;
        for pod in pods {
            look_after(pod, plane, api, ways, &mut replicas).await;
        }
        // What is deleted without grace is not waited for.
        let names: BTreeSet<_> = pods.iter().filter_map(|pod| pod["metadata"]["name"].as_str()).collect();
        replicas.retain(|name, running| {
            let is_there = names.contains(name.as_str());
            if !is_there {
                ways.balancer.remove(running.replica.target);
            }
            is_there
        });
        if node.follows.load(Ordering::Relaxed) {
            for running in replicas.values_mut().filter(|running| running.is_webhook) {
                running.follow(api).await;
            }
        }
        let webhooks = replicas.values().filter(|running| running.is_webhook);
        ways.doors
            .lead_to(webhooks.map(|running| running.replica.target).collect());
        drop(replicas);
        drop(round);
        sleep(GLANCE).await;
    }
}

impl Running {
    /// Brings its volumes up to their objects.
    async fn follow(&mut self, api: &Api) {
        let versions = self.replica.versions(api).await;
        if versions.is_some() && versions != self.shown {
            self.replica.refresh_volumes(api).await;
            self.replica.signal("HUP");
            self.shown = versions;
        }
    }
}

async fn look_after(pod: &Value, plane: &ControlPlane, api: &Api, ways: &Ways, replicas: &mut Replicas) {
    let Ways { balancer, doors } = ways;
    let name = pod["metadata"]["name"].as_str().unwrap();
    let path = format!("{PODS}/{name}");
    let is_wanted = pod["metadata"]["deletionTimestamp"].is_null();
    let is_webhook = pod["metadata"]["labels"][COMPONENT] == "webhook";
    let arguments = pod["spec"]["containers"][0]["args"].as_array().unwrap();
    let keeps_certificates = arguments.contains(&json!("--manage-certificates"));
    let more = doors
        .arguments
        .iter()
        .map(String::as_str)
        .filter(|_| keeps_certificates);
    let more: Vec<_> = more.collect();
    match replicas.get_mut(name) {
        None if is_wanted => {
            if !volumes_are_there(pod, api).await {
                return;
            }
            let node = json!({
                "apiVersion": "v1", "kind": "Binding", "metadata": {"name": name},
                "target": {"kind": "Node", "name": "node"},
            });
            if api.create(&format!("{path}/binding"), &node).await.status != 201 {
                return; // It is gone.
            }
            let replica = Replica::start(plane, api, NAMESPACE, pod, &more).await;
            if is_webhook {
                balancer.add(replica.target);
            }
            let running = Running {
                replica,
                is_webhook,
                state: State::Runs,
                shown: None,
                ready: None,
                ends: false,
            };
            replicas.insert(name.to_owned(), running);
        }
        None => {
            api.delete(&format!("{path}?gracePeriodSeconds=0")).await;
        }
        Some(running) => {
            if !is_wanted && !running.ends {
                running.replica.signal("TERM");
                running.ends = true;
            }
            if running.replica.has_ended() && running.state == State::Killed && !running.ends {
                balancer.remove(running.replica.target);
                running.replica = Replica::start(plane, api, NAMESPACE, pod, &more).await;
                if is_webhook {
                    balancer.add(running.replica.target);
                }
                (running.state, running.shown, running.ready) = (State::Runs, None, None);
                return;
            }
            if running.replica.has_ended() {
                assert!(running.ends, "a Pod has ended:\n{}", running.replica.log());
                balancer.remove(running.replica.target);
                replicas.remove(name);
                api.delete(&format!("{path}?gracePeriodSeconds=0")).await;
                return;
            }
            let ready = running.state != State::Stopped && is_ready(running.replica.target.health).await;
            if running.ready != Some(ready) {
                let status = if ready { "True" } else { "False" };
                let change = json!({"status": {
                    "phase": "Running", "conditions": [{"type": "Ready", "status": status}],
                }});
                api.merge(&format!("{path}/status"), &change).await;
                running.ready = Some(ready);
            }
        }
    }
}

/// Whether everything is there that the Pod mounts: a kubelet waits for it.
async fn volumes_are_there(pod: &Value, api: &Api) -> bool {
    for volume in pod["spec"]["volumes"].as_array().into_iter().flatten() {
        let resource = [
            ("secrets", &volume["secret"]["secretName"]),
            ("configmaps", &volume["configMap"]["name"]),
        ];
        for (resource, name) in resource {
            if let Some(name) = name.as_str() {
                let path = format!("/api/v1/namespaces/{NAMESPACE}/{resource}/{name}");
                if api.get(&path).await.status != 200 {
                    return false;
                }
            }
        }
    }
    true
}
