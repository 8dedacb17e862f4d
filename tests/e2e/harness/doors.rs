//! What the name of the webhook's replicas stands for, where nothing resolves it: addresses of loopback, one for each.
//!
//! In: where the replicas are, as they come and go. Out: connections, each led to the replica behind the door; where
//! there is none, they end.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::balancer::Target;

/// How many replicas are found.
const COUNT: u8 = 2;

/// Doors, in front of the replicas; their connections end with them.
pub(super) struct Doors {
    /// What the controller is told of them.
    pub(super) arguments: Vec<String>,
    behind: Behind,
    #[expect(dead_code, reason = "its tasks end when it is dropped")]
    tasks: JoinSet<()>,
}

type Behind = Arc<Mutex<Vec<Target>>>;

impl Doors {
    pub(super) async fn open() -> Self {
        let behind = Behind::default();
        let mut tasks = JoinSet::new();
        let mut arguments = Vec::new();
        let (mut serving, mut health) = (0, 0);
        for number in 0..COUNT {
            let bind = async |port| {
                let address = SocketAddr::from(([127, 0, 0, 2 + number], port));
                let listener = TcpListener::bind(address).await.unwrap();
                (listener.local_addr().unwrap(), listener)
            };
            let (calls, listener) = bind(serving).await;
            tasks.spawn(lead(listener, number, Arc::clone(&behind), |target| target.serving));
            let (probes, listener) = bind(health).await;
            tasks.spawn(lead(listener, number, Arc::clone(&behind), |target| target.health));
            (serving, health) = (calls.port(), probes.port());
            arguments.push(format!("--webhook-replicas={probes}"));
        }
        arguments.push(format!("--serving-port={serving}"));
        Self {
            arguments,
            behind,
            tasks,
        }
    }

    /// Says who is behind them.
    pub(super) fn lead_to(&self, replicas: Vec<Target>) {
        *self.behind.lock().unwrap() = replicas;
    }
}

async fn lead(listener: TcpListener, number: u8, behind: Behind, of: fn(&Target) -> SocketAddr) {
    let mut connections = JoinSet::new();
    loop {
        let (mut client, _) = listener.accept().await.unwrap();
        while connections.try_join_next().is_some() {}
        let Some(replica) = behind.lock().unwrap().get(usize::from(number)).map(of) else {
            continue;
        };
        connections.spawn(async move {
            if let Ok(mut server) = TcpStream::connect(replica).await {
                let _ = copy_bidirectional(&mut client, &mut server).await;
            }
        });
    }
}
