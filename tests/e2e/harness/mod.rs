//! A real control plane on loopback, and Pullkey installed on it as an admin would.
//!
//! In: what a test wants to be so. Out: answers of the API server. Everything that is started here ends with the test
//! process, however that ends: it runs under a program that watches its standard input.

mod api;
mod balancer;
mod clocks;
mod cluster;
mod copier;
mod doors;
mod guest;
mod installation;
mod kinds;
mod load;
mod namespace;
mod other;
pub(crate) mod plane;
pub(crate) mod process;
mod replica;
pub(crate) mod self_managed;
mod tls;
mod tools;

use std::time::{Duration, Instant};

use tokio::time::sleep;

pub(crate) use api::{Answer, Api};
pub(crate) use balancer::is_ready;
pub(crate) use clocks::Clocks;
pub(crate) use cluster::Cluster;
pub(crate) use copier::{Copier, Rights, pull_secret};
pub(crate) use guest::Guest;
pub(crate) use installation::{Installation, Reach, Setup, rule};
pub(crate) use kinds::{RULES, install_kinds};
pub(crate) use load::{IMAGE, Load, Tally, rules_for_load};
pub(crate) use namespace::{Namespace, named, pod, pull_secrets, with};
pub(crate) use other::{Other, allowed};
pub(crate) use plane::{control_plane, control_plane_program};
pub(crate) use process::get;
pub(crate) use replica::Replica;
pub(crate) use tls::{Hello, connect, next_hello, served_certificate};
pub(crate) use tools::{CHART, cainjector, helm};

/// How long anything that has to happen may take on a machine that is busy.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
/// How often it is looked for.
const GLANCE: Duration = Duration::from_millis(20);

/// Waits until there is something.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "never came true: {what}");
        sleep(GLANCE).await;
    }
}

/// A name that nobody else has, for what is not in a namespace.
pub(crate) fn unique(prefix: &str) -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{prefix}-{}-{number}", std::process::id())
}
