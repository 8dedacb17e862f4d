//! What a review costs the whole server, beside a handler that does nothing behind the same TLS and HTTP.
//!
//! ```text
//! cargo bench --bench server                   # CPU, latency, memory and start-up
//! cargo bench --bench server -- instructions   # instructions per review, which repeat (needs valgrind)
//! cargo bench --bench server -- crowd          # what many connections, many rules and slow bodies hold and use
//! ```
//!
//! The webhook is the program itself with `config/rules.yaml`, which adds one secret to each of the reviews. The no-op
//! is this bench as a server: it reads the body, looks at nothing and returns a fixed answer of the usual length. Both
//! are processes of their own, and the calls come over connections that stay open. Times of a busy machine vary up to
//! twofold between minutes, so the two take turns, and only ratios of one turn count. Needs Linux for its `/proc`.

#![expect(clippy::print_stdout, reason = "a bench talks to its terminal")]
#![expect(
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a bench may fail, and its numbers are small"
)]

mod crowd;
mod load;
mod no_op;
#[path = "../payload/mod.rs"]
mod payload;
mod process;

use std::env;
use std::error::Error;
use std::process::Command;
use std::thread;
use std::time::Duration;

use load::{Caller, calls, request};
use process::{Server, World};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// How often the two servers take turns, and how often the webhook is started.
const ROUNDS: usize = 15;
/// How many connections call at once.
const CONNECTIONS: usize = 8;
/// Calls over one connection, for the latency.
const ALONE: usize = 1_000;
/// Calls under valgrind.
const COUNTED: usize = 1_000;

/// A review, and how often it is sent.
struct Payload {
    name: &'static str,
    request: Vec<u8>,
    /// In one turn of a server.
    calls: usize,
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [] => times(&World::new()?),
        ["instructions"] => instructions(&World::new()?),
        ["crowd"] => crowd::measure(&World::new()?),
        ["no-op", certificates] => no_op::run(certificates.as_ref()),
        _ => Err("either nothing, `instructions` or `crowd`".into()),
    }
}

fn payloads() -> [Payload; 2] {
    [
        Payload {
            name: "small",
            request: request(&payload::small()),
            calls: 8_000,
        },
        Payload {
            name: "big",
            request: request(&payload::big()),
            calls: 2_000,
        },
    ]
}

fn times(world: &World) -> Outcome<()> {
    let starts = (0..ROUNDS).map(|_| {
        let server = Server::start(&mut world.webhook(&World::shipped_rules()))?;
        Ok(server.ready_after()?.as_secs_f64() * 1e3)
    });
    println!("ready after, ms: {}", spread(starts.collect::<Outcome<_>>()?));

    let servers = [
        Server::start(&mut world.no_op()?)?,
        Server::start(&mut world.webhook(&World::shipped_rules()))?,
    ];
    let caller = Caller::new(world)?;
    let memory = |when| -> Outcome<()> {
        let [no_op, webhook] = [servers[0].memory("VmRSS")?, servers[1].memory("VmRSS")?];
        println!("resident {when}, MiB: no-op {no_op:.1}, webhook {webhook:.1}");
        Ok(())
    };
    memory("idle")?;
    for payload in payloads() {
        println!("\n{}, a request of {} bytes", payload.name, payload.request.len());
        turns(&servers, &caller, &payload)?;
        for (name, server) in ["no-op", "webhook"].iter().zip(&servers) {
            let mut connection = caller.connect(server.address, 1)?;
            let mut latencies = calls(&mut connection, &payload.request, ALONE)?;
            latencies.sort_unstable();
            let [p50, p99] = [50, 99].map(|percent| latencies[latencies.len() * percent / 100].as_micros());
            println!("  {name} with one connection, µs: p50 {p50}, p99 {p99}");
        }
    }
    println!();
    memory("after load")
}

/// Lets the servers take turns, and prints what they used.
fn turns(servers: &[Server; 2], caller: &Caller, payload: &Payload) -> Outcome<()> {
    let mut used: [Vec<f64>; 2] = Default::default();
    let mut connections = [
        caller.connect(servers[0].address, CONNECTIONS)?,
        caller.connect(servers[1].address, CONNECTIONS)?,
    ];
    // The first round finds cold caches and does not count.
    for round in 0..=ROUNDS {
        let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        for turn in order {
            let server = &servers[turn];
            let before = server.cpu()?;
            calls(&mut connections[turn], &payload.request, payload.calls)?;
            let cpu = server.cpu()?.saturating_sub(before);
            if round > 0 {
                used[turn].push(cpu.as_secs_f64() * 1e6 / payload.calls as f64);
            }
        }
    }
    let ratios: Vec<f64> = used[0]
        .iter()
        .zip(&used[1])
        .map(|(no_op, webhook)| webhook / no_op)
        .collect();
    let shown: Vec<String> = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
    let [no_op, webhook] = used.map(spread);
    println!("  no-op, µs of CPU per review:   {no_op}");
    println!("  webhook, µs of CPU per review: {webhook}");
    println!("  ratio of each turn: {}", shown.join(" "));
    println!("  ratio: {}", spread(ratios));
    Ok(())
}

/// What the servers execute for one review.
fn instructions(world: &World) -> Outcome<()> {
    println!("{:<8} {:>10} {:>10}", "", "no-op", "webhook");
    let caller = Caller::new(world)?;
    for payload in payloads() {
        let cost = |command: &Command| -> Outcome<u64> {
            let server = Server::start(&mut world.counted(command))?;
            let mut connection = caller.connect(server.address, 1)?;
            // The first calls find empty pools.
            calls(&mut connection, &payload.request, COUNTED / 10)?;
            server.count(true)?;
            for _ in 0..COUNTED {
                // Each review finds the server asleep: otherwise it is chance how often it looks in vain.
                thread::sleep(Duration::from_millis(2));
                calls(&mut connection, &payload.request, 1)?;
            }
            server.count(false)?;
            server.end()?;
            Ok(world.instructions()? / COUNTED as u64)
        };
        let (no_op, webhook) = (cost(&world.no_op()?)?, cost(&world.webhook(&World::shipped_rules()))?);
        println!("{:<8} {no_op:>10} {webhook:>10}", payload.name);
    }
    Ok(())
}

/// The median of some numbers, with the least and the most.
fn spread(mut numbers: Vec<f64>) -> String {
    numbers.sort_by(f64::total_cmp);
    let median = numbers[numbers.len() / 2];
    let (least, most) = (numbers[0], numbers[numbers.len() - 1]);
    format!("median {median:.2}, {least:.2} to {most:.2}")
}
