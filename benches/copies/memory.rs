//! What the programs hold of a large cluster.

use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::sleep;

use super::harness::process::Process;
use super::harness::until;
use super::inventory::Inventory;
use super::processes::Memory;
use super::simulation::Simulation;

/// How long after the lists it is looked at.
const AFTER: Duration = Duration::from_mins(1);

/// What was found.
pub(crate) struct Held {
    pub(crate) inventory: Inventory,
    pub(crate) webhook: Memory,
    pub(crate) controller: Memory,
}

/// Has both programs list the same cluster, one after the other.
pub(crate) async fn measure(inventory: Inventory) -> Held {
    Held {
        inventory,
        webhook: of(inventory, "webhook", &["--cluster", "--listen=127.0.0.1:0"]).await,
        controller: of(inventory, "controller", &[]).await,
    }
}

async fn of(inventory: Inventory, command: &str, options: &[&str]) -> Memory {
    eprintln!("{command}: the lists, and {AFTER:?} more");
    let simulation = Simulation::start(inventory).await;
    let directory = TempDir::new().unwrap();
    let process = start(&simulation, directory.path(), command, options).await;
    until("the program has listed the cluster", async || {
        super::harness::is_ready(process.health).await.then_some(())
    })
    .await;
    sleep(AFTER).await;
    let writes = simulation.writes();
    let is_of_copy = |write: &&String| write.contains("/secrets/");
    if let Some(write) = writes.iter().find(is_of_copy) {
        panic!("the {command} does not find the copies in order: {write}");
    }
    if !writes.is_empty() {
        eprintln!("{} statuses were not what the {command} says now", writes.len());
    }
    Memory::of(command)
}

async fn start(simulation: &Simulation, directory: &Path, command: &str, options: &[&str]) -> Process {
    let kubeconfig = directory.join("kubeconfig");
    simulation.write_kubeconfig(&kubeconfig);
    let arguments = [command, "--health-listen=127.0.0.1:0", "--log-format=json"];
    let arguments: Vec<_> = arguments.iter().chain(options).map(ToString::to_string).collect();
    let environment = [("KUBECONFIG".to_owned(), kubeconfig.to_str().unwrap().to_owned())];
    Process::start(&arguments, environment, directory).await
}
