//! How long the API server takes to create a Pod: with no webhook, with Pullkey, and with a `MutatingAdmissionPolicy`
//! that does the same for one registry.
//!
//! ```text
//! cargo bench --features e2e --bench api_server              # 5,000 Pods each
//! cargo bench --features e2e --bench api_server -- 500       # so many each
//! cargo bench --features e2e --bench api_server -- dry-run   # without etcd
//! cargo bench --features e2e --bench api_server -- json      # the result for programs
//! ```
//!
//! The control plane and the installation are those of the tests on a real API server. Each variant has a namespace of
//! its own. They take turns, a block of Pods each in an order drawn by lot for every round, and what counts is the
//! difference within a round. One variant runs twice: what differs there is the machine's noise.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench talks to its terminal")]
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a bench may fail, and its numbers are small"
)]

mod activation;
mod creation;
#[path = "../../tests/e2e/harness/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    clippy::expect_used,
    clippy::panic,
    reason = "made for tests, which also need the rest"
)]
mod harness;
#[path = "../payload/mod.rs"]
#[expect(dead_code, reason = "the small Pod is enough")]
mod payload;
mod report;
mod statistics;
mod variants;

use std::env;
use std::error::Error;

use creation::Creator;
use payload::Random;
use report::{Report, Webhook};
use statistics::shuffle;
use variants::Variants;

/// How many Pods of one variant follow each other.
const BLOCK: usize = 100;
const VARIANTS: usize = 4;

/// How long each creation took in one round, in milliseconds, by variant.
type Round = [Vec<f64>; VARIANTS];

struct Arguments {
    rounds: usize,
    dry_run: bool,
    json: bool,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::read()?;
    if cfg!(debug_assertions) {
        return Err("the program is not optimised: use `cargo bench`".into());
    }
    eprintln!("starting the control plane and Pullkey");
    let creator = Creator::new(arguments.dry_run).await;
    let variants = Variants::start(&creator).await;
    let activations = activation::measure(&variants, &creator).await;
    let before = Webhook::now(&variants).await;
    let rounds = rounds(&arguments, &variants, &creator).await;
    let webhook = Webhook::now(&variants).await.since(&before);
    let report = Report::new(&rounds, webhook, &activations, &arguments);
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    Ok(())
}

impl Arguments {
    fn read() -> Result<Self, String> {
        let mut arguments = Self {
            rounds: 50,
            dry_run: false,
            json: false,
        };
        for argument in env::args().skip(1) {
            match (argument.as_str(), argument.parse::<usize>()) {
                ("--bench", _) => {}
                ("dry-run", _) => arguments.dry_run = true,
                ("json" | "--json", _) => arguments.json = true,
                (_, Ok(pods)) if pods > 0 => arguments.rounds = pods.div_ceil(BLOCK),
                _ => return Err(format!("`{argument}`: either a number of Pods, `dry-run` or `json`")),
            }
        }
        Ok(arguments)
    }
}

/// Has the variants take turns. The first round finds cold caches and does not count.
async fn rounds(arguments: &Arguments, variants: &Variants, creator: &Creator) -> Vec<Round> {
    let mut random = Random(0);
    let mut rounds = Vec::new();
    for number in 0..=arguments.rounds {
        eprint!("\rround {number} of {}", arguments.rounds);
        let mut order: [usize; VARIANTS] = std::array::from_fn(|variant| variant);
        shuffle(&mut order, &mut random);
        let mut round = Round::default();
        for variant in order {
            round[variant] = variants.block(variant, creator).await;
        }
        if number > 0 {
            rounds.push(round);
        }
        variants.delete_pods().await;
    }
    eprintln!();
    rounds
}
