//! A node for the tests, and Pullkey on it.
//!
//! In: nothing; it makes its own machine of Linux namespaces and cgroups, which nothing leaves and of which nothing is
//! left, however the tests end. Out: kubelet, scheduler, containerd, two registries with passwords, and the control plane
//! of the tests on an API server; Pullkey in Pods, from what `pullkey manifests` prints. Without root, or whatever else it
//! needs, tests are skipped and say so; where CI is set they fail.

pub(crate) mod enter;
mod installation;
mod pods;
mod registry;
mod servers;

use std::env;
use std::io::{Write as _, stderr};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use tokio::sync::{OnceCell, RwLock, RwLockReadGuard, RwLockWriteGuard};

pub(crate) use installation::{Pullkey, SOURCES, Team, docker_config, kill, secret};
pub(crate) use pods::{Outcome, Workload, private_pod};
pub(crate) use registry::HOST;
pub(crate) use servers::Servers;

/// The node of this test process.
pub(crate) struct Node {
    pub(crate) servers: Servers,
    pub(crate) pullkey: Pullkey,
}

static NODE: OnceCell<RwLock<Node>> = OnceCell::const_new();

/// The node, unless there can be none here.
pub(crate) async fn node() -> Option<RwLockReadGuard<'static, Node>> {
    Some(shared().await?.read().await)
}

/// The same, for a test that takes parts of it away: no other test is there meanwhile.
pub(crate) async fn node_alone() -> Option<RwLockWriteGuard<'static, Node>> {
    Some(shared().await?.write().await)
}

async fn shared() -> Option<&'static RwLock<Node>> {
    if !enter::is_inside() {
        let missing = enter::missing();
        if missing.is_empty() {
            enter::enter();
        }
        let missing = missing.join(", ");
        assert!(env::var_os("CI").is_none(), "no node can run here without {missing}");
        // Not through the capture of the test runner.
        let _ = writeln!(stderr(), "SKIPPED: no node can run here without {missing}");
        return None;
    }
    Some(NODE.get_or_init(async || RwLock::new(Node::start().await)).await)
}

impl Node {
    async fn start() -> Self {
        static STARTED: AtomicBool = AtomicBool::new(false);
        assert!(!STARTED.swap(true, Ordering::Relaxed), "the node does not start");
        let servers = Servers::start().await;
        let pullkey = Pullkey::install(&servers).await;
        Self { servers, pullkey }
    }

    /// A team with an image in the registry that has a name, and a rule by which its namespaces get its credentials: those
    /// whose names begin with its own and a hyphen.
    pub(crate) async fn team(&self) -> Team {
        let team = Team::new(&self.servers.named, HOST);
        self.serve(&team, &team.config()).await;
        team
    }

    /// Has the namespaces of a team get that docker config.
    pub(crate) async fn serve(&self, team: &Team, config: &Value) {
        self.pullkey.source(&secret(&team.name, config)).await;
        let namespaces = json!({"include": [format!("{}-*", team.name)]});
        self.pullkey
            .copies(&team.name, &json!({"namespaces": namespaces}))
            .await;
        let asked = team.namespace("asked").await;
        self.pullkey.injects(&asked, &team.image, &team.name).await;
    }
}
