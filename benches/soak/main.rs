//! Pullkey for minutes under a load of new Pods, while certificates, replicas, API servers and clocks come and go.
//!
//! ```text
//! cargo bench --features e2e --bench soak                                  # every scenario, 10 minutes each
//! cargo bench --features e2e --bench soak -- leader-killed --minutes 2     # one of them
//! cargo bench --features e2e --bench soak -- --at-once 4                   # so many at the same time
//! ```
//!
//! Each scenario is a process of its own, with a control plane and an installation of the tests on a real API server:
//! two replicas of the webhook behind the balancer, a leading controller and one that stands by, certificates that
//! they keep themselves. See [`scenario`] for what is done to them, [`load`] for the Pods, and [`report`] for what is
//! counted.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench talks to its terminal")]
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a bench may fail"
)]

mod counters;
#[path = "../../tests/e2e/harness/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    clippy::panic,
    reason = "made for tests, which also need the rest"
)]
mod harness;
mod load;
mod report;
mod scenario;

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use report::{Row, table};
use scenario::Scenario;

/// By which a process knows that it is one scenario of another process.
const PART: &str = "--part";

struct Arguments {
    scenarios: Vec<Scenario>,
    minutes: f64,
    at_once: usize,
    is_part: bool,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::read()?;
    if arguments.is_part {
        let length = Duration::from_secs_f64(arguments.minutes * 60.0);
        for scenario in arguments.scenarios {
            let row = scenario::run(scenario, length).await;
            println!("{}", serde_json::to_string(&row)?);
        }
        return Ok(());
    }
    // Before there are several that would want to build it.
    harness::control_plane_program();
    let rows = parts(&arguments);
    print!("{}", table(&rows));
    if rows.len() < arguments.scenarios.len() {
        return Err("not every scenario has come to its end".into());
    }
    Ok(())
}

/// Runs each scenario in a process of its own, and gives what came of those that came to an end.
fn parts(arguments: &Arguments) -> Vec<Row> {
    let next = AtomicUsize::new(0);
    let rows = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for _ in 0..arguments.at_once {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(scenario) = arguments.scenarios.get(number) else {
                        return;
                    };
                    if let Some(row) = part(*scenario, arguments.minutes) {
                        eprint!("{}", table(std::slice::from_ref(&row)));
                        rows.lock().unwrap().insert(number, row);
                    }
                }
            });
        }
    });
    rows.into_inner().unwrap().into_values().collect()
}

fn part(scenario: Scenario, minutes: f64) -> Option<Row> {
    // It ends with this process.
    let mut part = Command::new(harness::control_plane_program())
        .arg("hold")
        .arg(env::current_exe().unwrap())
        .args([PART, scenario.name(), "--minutes", &minutes.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(part.stdout.take().unwrap()).lines();
    let row = lines
        .map_while(Result::ok)
        .find_map(|line| serde_json::from_str(&line).ok());
    let status = part.wait().unwrap();
    if row.is_none() {
        eprintln!("{} has not come to its end: {status}", scenario.name());
    }
    row
}

impl Arguments {
    fn read() -> Result<Self, String> {
        let mut arguments = Self {
            scenarios: Vec::new(),
            minutes: 10.0,
            at_once: 1,
            is_part: false,
        };
        let mut given = env::args().skip(1);
        while let Some(argument) = given.next() {
            let mut number = || {
                given
                    .next()
                    .and_then(|number| number.parse::<f64>().ok())
                    .filter(|number| *number > 0.0)
            };
            match argument.as_str() {
                "--bench" => {}
                PART => arguments.is_part = true,
                "--minutes" => arguments.minutes = number().ok_or("`--minutes` wants a number")?,
                "--at-once" => {
                    #[expect(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        reason = "it is a small number above 0"
                    )]
                    let at_once = number().ok_or("`--at-once` wants a number")?.ceil() as usize;
                    arguments.at_once = at_once;
                }
                name => arguments.scenarios.push(Scenario::named(name).ok_or_else(|| {
                    let names = Scenario::ALL.map(Scenario::name).join(", ");
                    format!(
                        "there is no scenario `{name}`\naccepted: {names}; `--minutes` and `--at-once` with a number"
                    )
                })?),
            }
        }
        if arguments.scenarios.is_empty() {
            arguments.scenarios = Scenario::ALL.to_vec();
        }
        Ok(arguments)
    }
}
