//! How long it takes from the creation of a Pod until its container runs, and from that of a namespace until the first
//! container runs there; and how much of it is ours.
//!
//! Three variants take turns, ten Pods each: a Pod that names its secret itself in a namespace that the webhook is not
//! called for, the same Pod with Pullkey, and a Pod created as soon as its new namespace takes one, with the copy made on the
//! way. Each Pod is alone, is scheduled, and pulls its image anew.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::sleep;

use super::harness::{Api, Namespace, control_plane, get};
use super::machine::{Node, Team, private_pod, secret};
use super::statistics::{added_to_median, added_to_tail, bootstrap, overall, quantile};
use super::{Round, VARIANTS};

const NAMES: [&str; VARIANTS] = [
    "Pod created → running, secret named by hand",
    "the same with Pullkey",
    "namespace created → running",
];
const BY_HAND: usize = 0;
const PULLKEY: usize = 1;
const NEWBORN: usize = 2;
/// How many Pods of one variant follow each other.
const BLOCK: usize = 10;
/// How often it is looked whether something is there.
const GLANCE: Duration = Duration::from_millis(3);

/// What Pullkey's Pods say of their work, over all of them.
#[derive(Clone, Copy)]
struct Work {
    calls: f64,
    took: f64,
    births: f64,
    served: f64,
}

/// Measures so many Pods of each, and prints what came out.
pub(crate) async fn measure(node: &Node, pods: usize) {
    let team = node.team().await;
    let api = control_plane().api().await;
    let aside = Namespace::with_labels(&json!({"pullkey.dev/inject": "false"})).await;
    let own = secret(&team.name, &team.config());
    aside.api.create(&aside.path("secrets", ""), &own).await.good();
    let selected = team.namespace("served").await;

    let mut rounds = Vec::new();
    let mut copied_after = Vec::new();
    let mut before = work(&api).await;
    for number in 0..=pods.div_ceil(BLOCK) {
        eprint!("\rround {number} of {}", pods.div_ceil(BLOCK));
        let mut round = Round::default();
        for place in 0..BLOCK {
            let mut by_hand = always(&team);
            by_hand["spec"]["imagePullSecrets"] = json!([{"name": team.name}]);
            round[BY_HAND].push(milliseconds(run(&aside, &by_hand).await));
            round[PULLKEY].push(milliseconds(run(&selected, &always(&team)).await));
            let (running, copied) = newborn(&api, &team, &format!("{number}-{place}")).await;
            round[NEWBORN].push(milliseconds(running));
            copied_after.push(milliseconds(copied));
        }
        // The first one finds cold caches.
        if number == 0 {
            copied_after.clear();
            before = work(&api).await;
        } else {
            rounds.push(round);
        }
    }
    eprintln!();
    report(&rounds, &copied_after, before, work(&api).await);
}

fn report(rounds: &[Round], copies: &[f64], before: Work, after: Work) {
    println!("\n{:<48} {:>22} {:>22}", "milliseconds", "p50 (95 %)", "p99 (95 %)");
    for (variant, name) in NAMES.iter().enumerate() {
        let [p50, p99] = [0.5, 0.99].map(|share| {
            let interval = bootstrap(rounds, |sample| overall(sample, variant, share));
            format!("{:.0} ({:.0}..{:.0})", interval.estimate, interval.low, interval.high)
        });
        println!("{name:<48} {p50:>22} {p99:>22}");
    }
    let median = bootstrap(rounds, |sample| added_to_median(sample, PULLKEY, BY_HAND));
    let tail = bootstrap(rounds, |sample| added_to_tail(sample, PULLKEY, BY_HAND));
    let [p50, p99] = [median, tail].map(|interval| {
        format!(
            "{:+.0} ({:+.0}..{:+.0})",
            interval.estimate, interval.low, interval.high
        )
    });
    println!("{:<48} {p50:>22} {p99:>22}", "with Pullkey less without");
    println!("\nours:");
    let calls = after.calls - before.calls;
    println!(
        "  in the webhook, a call: {:.2} ms on average of {calls}",
        (after.took - before.took) * 1e3 / calls
    );
    let births = after.births - before.births;
    let served = (after.served - before.served) * 1e3 / births;
    println!("  from the news of a namespace to its copy: {served:.1} ms on average of {births}");
    let [p50, p99] = [0.5, 0.99].map(|share| quantile(copies.iter().copied(), share));
    println!(
        "  from the answer to a namespace's creation until its copy was seen: {p50:.0} ms at p50, {p99:.0} ms at p99"
    );
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// A Pod with a container that stays, whose image is asked for again.
fn always(team: &Team) -> Value {
    let mut pod = private_pod(&[&team.image]);
    pod["spec"]["terminationGracePeriodSeconds"] = json!(0);
    pod["spec"]["containers"][0]["args"] = json!([]);
    pod["spec"]["containers"][0]["imagePullPolicy"] = json!("Always");
    pod
}

/// Creates a Pod, waits until it runs, and deletes it: how long it took.
async fn run(namespace: &Namespace, pod: &Value) -> Duration {
    let start = Instant::now();
    let created = namespace.pod(pod).await;
    let path = namespace.path("pods", created["metadata"]["name"].as_str().unwrap());
    let took = runs(&namespace.api, &path, start).await;
    namespace.api.delete(&path).await;
    while namespace.api.get(&path).await.status != 404 {
        sleep(GLANCE).await;
    }
    took
}

async fn runs(api: &Api, path: &str, start: Instant) -> Duration {
    loop {
        let pod = api.get(path).await.object;
        if pod["status"]["phase"] == "Running" {
            return start.elapsed();
        }
        assert!(start.elapsed() < Duration::from_mins(1), "{pod}");
        sleep(GLANCE).await;
    }
}

/// Creates a namespace and its first Pod: how long it took until that runs, and until the copy was seen.
async fn newborn(api: &Api, team: &Team, name: &str) -> (Duration, Duration) {
    let namespace = Namespace {
        name: format!("{}-{name}", team.name),
        api: api.clone(),
    };
    let start = Instant::now();
    let object = json!({"metadata": {"name": namespace.name}});
    api.create("/api/v1/namespaces", &object).await.good();
    let born = Instant::now();
    let copy = async {
        while api.get(&namespace.path("secrets", &team.name)).await.status != 200 {
            sleep(GLANCE).await;
        }
        born.elapsed()
    };
    let pod = async {
        let pod = loop {
            // It is refused until there is a service account.
            let answer = namespace.try_pod(&always(team)).await;
            if answer.status == 201 {
                break answer.object;
            }
            sleep(GLANCE).await;
        };
        let path = namespace.path("pods", pod["metadata"]["name"].as_str().unwrap());
        runs(api, &path, start).await
    };
    let (copied, running) = tokio::join!(copy, pod);
    api.delete(&format!("/api/v1/namespaces/{}", namespace.name))
        .await
        .good();
    (running, copied)
}

/// What all Pods of Pullkey have done so far.
async fn work(api: &Api) -> Work {
    let pods = api.get("/api/v1/namespaces/pullkey/pods").await.good();
    let mut metrics = String::new();
    for pod in pods["items"].as_array().unwrap() {
        let address = pod["status"]["podIP"].as_str().unwrap();
        let address: SocketAddr = format!("{address}:8080").parse().unwrap();
        metrics += &get(address, "/metrics").await.unwrap().1;
    }
    let sum = |name: &str| -> f64 {
        let values = metrics
            .lines()
            .filter_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
        values.sum()
    };
    Work {
        calls: sum("pullkey_request_duration_seconds_count"),
        took: sum("pullkey_request_duration_seconds_sum"),
        births: sum("pullkey_newborn_copy_seconds_count"),
        served: sum("pullkey_newborn_copy_seconds_sum"),
    }
}
