//! What a Pod waits for because of us, on a real node: `cargo bench --features node --bench node`.
//!
//! ```text
//! cargo bench --features node --bench node                    # everything, 100 Pods each: about forty minutes
//! cargo bench --features node --bench node -- start 200       # how long Pods take to start, 200 each
//! cargo bench --features node --bench node -- race 20         # who comes before his copy, 20 each
//! ```
//!
//! The node is that of the tests, with Pullkey in Pods; it needs what they need. See [`start`] and [`race`].

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench talks to its terminal")]
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a bench may fail, and its numbers are small"
)]

#[path = "../../tests/e2e/harness/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    clippy::expect_used,
    clippy::panic,
    reason = "made for tests, which also need the rest"
)]
mod harness;
#[path = "../../tests/node/machine/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    clippy::panic,
    reason = "made for tests, which also need the rest"
)]
mod machine;
#[path = "../payload/mod.rs"]
#[expect(dead_code, reason = "the random numbers are enough")]
mod payload;
mod race;
mod start;
#[path = "../api_server/statistics.rs"]
#[expect(dead_code, reason = "the order of turns is not drawn by lot here")]
mod statistics;

use std::env;
use std::error::Error;

use tokio::task::LocalSet;

/// What takes turns in [`start`].
const VARIANTS: usize = 3;

/// How long each Pod of one round took, in milliseconds, by variant.
type Round = [Vec<f64>; VARIANTS];

struct Arguments {
    start: bool,
    race: bool,
    pods: usize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::read()?;
    if cfg!(debug_assertions) {
        return Err("the program is not optimised: use `cargo bench`".into());
    }
    let Some(mut node) = machine::node_alone().await else {
        return Ok(());
    };
    let measure = async {
        if arguments.start {
            start::measure(&node, arguments.pods).await;
        }
        if arguments.race {
            race::measure(&mut node, arguments.pods).await;
        }
    };
    LocalSet::new().run_until(measure).await;
    Ok(())
}

impl Arguments {
    fn read() -> Result<Self, String> {
        let (mut start, mut race, mut pods) = (false, false, 100);
        for argument in env::args().skip(1) {
            match (argument.as_str(), argument.parse::<usize>()) {
                ("--bench", _) => {}
                ("start", _) => start = true,
                ("race", _) => race = true,
                (_, Ok(number)) if number > 0 => pods = number,
                _ => return Err(format!("`{argument}`: either `start`, `race` or a number of Pods")),
            }
        }
        let both = !start && !race;
        Ok(Self {
            start: start || both,
            race: race || both,
            pods,
        })
    }
}
