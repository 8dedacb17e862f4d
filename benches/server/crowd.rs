//! What the webhook holds and uses where there is much of something: connections, rules, slow bodies.

use std::fmt::Write as _;
use std::fs;
use std::thread;
use std::time::Duration;

use super::load::{Caller, calls, request};
use super::process::{Server, World};
use super::{Outcome, payload};

/// Half of the connections that a server is told to allow, which is what one address may have.
const CONNECTIONS: usize = 1_000;
const RULES: usize = 100_000;
/// As many as may be in flight.
const SLOW: usize = 256;
const LARGEST_BODY: usize = 8 * 1024 * 1024;
/// How long a server is watched while nothing is asked of it. Rules and certificates are looked at every 5 s.
const WATCHED: Duration = Duration::from_secs(10);

pub(crate) fn measure(world: &World) -> Outcome<()> {
    connections(world)?;
    rules(world)?;
    slow_bodies(world)
}

fn connections(world: &World) -> Outcome<()> {
    let mut command = world.webhook(&World::shipped_rules());
    let server = Server::start(command.args(["--max-connections", &(2 * CONNECTIONS).to_string()]))?;
    let caller = Caller::new(world)?;
    let request = request(&payload::small());
    let before = server.memory("VmRSS")?;
    let mut open = caller.connect(server.address, CONNECTIONS)?;
    calls(&mut open, &request, CONNECTIONS)?;
    let after = server.memory("VmRSS")?;
    let each = (after - before) * 1024.0 / CONNECTIONS as f64;
    println!("{CONNECTIONS} idle connections: {before:.1} MiB without, {after:.1} with, {each:.1} KiB each");
    println!("  {}", idle_cpu(&server)?);
    Ok(())
}

fn rules(world: &World) -> Outcome<()> {
    let path = world.path("rules.yaml");
    let mut text = String::new();
    for number in 0..RULES {
        writeln!(
            text,
            "apiVersion: pullkey.dev/v1alpha1\nkind: ClusterPullSecretRule\nmetadata:\n  name: rule-{number}\n\
             spec:\n  images: [\"registry-{}.example.com/team-{number}\"]\n  namespaces:\n    include: [\"*\"]\n\
             \x20 secret:\n    name: secret-{number}\n---",
            number % 1_000
        )?;
    }
    fs::write(&path, &text)?;
    let server = Server::start(&mut world.webhook(&path))?;
    println!(
        "{RULES} rules in {:.1} MB: ready after {:.2} s, {:.0} MiB, {:.0} at most",
        text.len() as f64 / 1e6,
        server.ready_after()?.as_secs_f64(),
        server.memory("VmRSS")?,
        server.memory("VmHWM")?
    );
    println!("  {}", idle_cpu(&server)?);
    Ok(())
}

/// Callers that announce the largest body and never send its last byte.
fn slow_bodies(world: &World) -> Outcome<()> {
    let server = Server::start(&mut world.webhook(&World::shipped_rules()))?;
    let caller = Caller::new(world)?;
    let request = request(&vec![b' '; LARGEST_BODY]);
    let all_but_one = &request[..request.len() - 1];
    let mut open: Vec<_> = caller
        .connect(server.address, SLOW)?
        .into_iter()
        .map(|connection| (connection, all_but_one.chunks(16 * 1024)))
        .collect();
    let mut late = 0;
    while !open.is_empty() {
        open.retain_mut(|(connection, chunks)| match connection.answer() {
            Ok(None) => {
                let chunk = if connection.is_sending() { None } else { chunks.next() };
                chunk.is_none_or(|chunk| connection.send(chunk).is_ok())
            }
            Ok(Some(504)) => {
                late += 1;
                false
            }
            // Cut while it was still being sent, the answer may be lost.
            Ok(Some(_)) | Err(_) => false,
        });
        thread::yield_now();
    }
    println!(
        "{SLOW} bodies of 8 MiB without their end: {:.0} MiB at most, {:.0} afterwards, {late} told 504",
        server.memory("VmHWM")?,
        server.memory("VmRSS")?
    );
    Ok(())
}

fn idle_cpu(server: &Server) -> Outcome<String> {
    let before = server.cpu()?;
    thread::sleep(WATCHED);
    let used = server.cpu()?.saturating_sub(before);
    Ok(format!(
        "{:.2} ms of CPU per second while idle",
        used.as_secs_f64() * 1e3 / WATCHED.as_secs_f64()
    ))
}
