//! What kube-proxy is to the API server: one address for several replicas.
//!
//! In: replicas, and whether each is ready. Out: connections. A new connection goes to a replica that was ready a second
//! ago, since changes of endpoints are learnt late; one that is established stays where it is, and one that
//! nobody can take is closed.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// How late changes of readiness are learnt.
const LATE: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(50);

/// A listener in front of replicas; its connections end with it.
pub(crate) struct Balancer {
    pub(crate) address: SocketAddr,
    targets: Arc<Mutex<Vec<Target>>>,
    endpoints: Arc<Mutex<Vec<SocketAddr>>>,
    #[expect(dead_code, reason = "its tasks end when it is dropped")]
    tasks: JoinSet<()>,
}

/// A replica as the balancer knows it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target {
    /// Where calls go to. A controller takes none: it answers probes alone.
    pub(crate) serving: SocketAddr,
    pub(crate) health: SocketAddr,
}

impl Balancer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let targets = Arc::new(Mutex::new(Vec::new()));
        let endpoints = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        tasks.spawn(follow(Arc::clone(&targets), Arc::clone(&endpoints)));
        tasks.spawn(serve(listener, Arc::clone(&endpoints)));
        Self {
            address,
            targets,
            endpoints,
            tasks,
        }
    }

    pub(crate) fn add(&self, target: Target) {
        self.targets.lock().unwrap().push(target);
    }

    pub(crate) fn remove(&self, target: Target) {
        self.targets.lock().unwrap().retain(|known| *known != target);
    }

    /// Waits until new connections go to these replicas and no others.
    pub(crate) async fn has_learnt(&self, targets: &[Target]) {
        let serving: Vec<_> = targets.iter().map(|target| target.serving).collect();
        super::until("the balancer has learnt who is ready", async || {
            (*self.endpoints.lock().unwrap() == serving).then_some(())
        })
        .await;
    }
}

/// Keeps the endpoints as they were a moment ago.
async fn follow(targets: Arc<Mutex<Vec<Target>>>, endpoints: Arc<Mutex<Vec<SocketAddr>>>) {
    let mut seen = VecDeque::new();
    loop {
        let known = targets.lock().unwrap().clone();
        let mut ready = Vec::new();
        for target in known {
            if is_ready(target.health).await {
                ready.push(target.serving);
            }
        }
        seen.push_back((Instant::now(), ready));
        while seen.front().is_some_and(|(when, _)| when.elapsed() >= LATE) {
            let (_, ready) = seen.pop_front().unwrap();
            *endpoints.lock().unwrap() = ready;
        }
        sleep(LOOK).await;
    }
}

/// Whether `/readyz` answers 200, as a kubelet's probe asks it.
pub(crate) async fn is_ready(health: SocketAddr) -> bool {
    super::process::get(health, "/readyz")
        .await
        .is_some_and(|(status, _)| status == 200)
}

async fn serve(listener: TcpListener, endpoints: Arc<Mutex<Vec<SocketAddr>>>) {
    let next = AtomicUsize::new(0);
    let mut connections = JoinSet::new();
    loop {
        let (mut client, _) = listener.accept().await.unwrap();
        while connections.try_join_next().is_some() {}
        let endpoints = endpoints.lock().unwrap().clone();
        let turn = next.fetch_add(1, Ordering::Relaxed);
        let Some(endpoint) = endpoints.get(turn % endpoints.len().max(1)).copied() else {
            continue;
        };
        connections.spawn(async move {
            if let Ok(mut server) = TcpStream::connect(endpoint).await {
                let _ = copy_bidirectional(&mut client, &mut server).await;
            }
        });
    }
}
