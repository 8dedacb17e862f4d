//! How soon copies are there, how long a rotation takes, and what the programs hold of a large cluster.
//!
//! ```text
//! cargo bench --features e2e --bench copies               # all of it
//! cargo bench --features e2e --bench copies -- 1000       # a real API server with so many namespaces
//! cargo bench --features e2e --bench copies -- memory     # a simulated one, with more than a machine likes to keep
//! cargo bench --features e2e --bench copies -- small      # a tenth of everything, to see that it runs
//! ```

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench talks to its terminal")]
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_precision_loss,
    reason = "a bench may fail, and its numbers are small"
)]

mod cluster;
#[path = "../../tests/e2e/harness/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    clippy::expect_used,
    clippy::panic,
    reason = "made for tests, which also need the rest"
)]
mod harness;
mod inventory;
mod memory;
mod observer;
mod processes;
mod report;
mod simulation;
mod statistics;

use std::env;
use std::error::Error;

use cluster::Cluster;
use inventory::Inventory;

/// How many namespaces the real API server has, one after the other.
const NAMESPACES: [usize; 2] = [1_000, 5_000];
/// How many Secrets and accounts besides are nobody's business.
const OTHERS: usize = 50_000;
/// How many namespaces the simulated one has.
const SIMULATED: usize = 10_000;
/// What is left of all that for a trial.
const TRIAL: usize = 10;

/// What is asked for.
struct Arguments {
    memory: bool,
    /// In ascending order.
    namespaces: Vec<usize>,
    is_small: bool,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::read()?;
    if cfg!(debug_assertions) {
        return Err("the program is not optimised: use `cargo bench`".into());
    }
    let part = if arguments.is_small { TRIAL } else { 1 };
    if arguments.memory {
        let inventory = Inventory {
            namespaces: SIMULATED / part,
            accounts: OTHERS / part,
        };
        println!("{}", report::memory(&memory::measure(inventory).await));
    }
    if let Some(first) = arguments.namespaces.first() {
        let mut cluster = Cluster::start(first / part, OTHERS / part).await;
        let mut measured = Vec::new();
        for namespaces in &arguments.namespaces {
            measured.push(cluster.measure(namespaces / part).await);
        }
        println!("{}", report::cluster(&measured, OTHERS / part));
        // It would delete copy by copy, and all of it ends with this process.
        std::mem::forget(cluster);
    }
    Ok(())
}

impl Arguments {
    fn read() -> Result<Self, String> {
        let (mut memory, mut namespaces, mut is_small) = (false, Vec::new(), false);
        for argument in env::args().skip(1) {
            match (argument.as_str(), argument.parse()) {
                ("--bench", _) => {}
                ("memory", _) => memory = true,
                ("small", _) => is_small = true,
                (_, Ok(number)) if number > 0 => namespaces.push(number),
                _ => {
                    return Err(format!(
                        "`{argument}`: either numbers of namespaces, `memory` or `small`"
                    ));
                }
            }
        }
        if !memory && namespaces.is_empty() {
            (memory, namespaces) = (true, NAMESPACES.to_vec());
        }
        namespaces.sort_unstable();
        Ok(Self {
            memory,
            namespaces,
            is_small,
        })
    }
}
