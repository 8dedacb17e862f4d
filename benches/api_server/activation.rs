//! How soon a new webhook configuration counts.

use std::time::Instant;

use super::creation::Creator;
use super::harness::until;
use super::variants::{PULLKEY, Variants};

/// How often it is measured.
const TIMES: usize = 20;

/// Deletes the configuration and creates it again, and says how long after the API server's answer to that the first Pod
/// came with its secret, in milliseconds, each time. Pods are tried out one after the other, as fast as it goes.
pub(crate) async fn measure(variants: &Variants, creator: &Creator) -> Vec<f64> {
    let pullkey = &variants.pullkey;
    let namespace = &variants.namespaces[PULLKEY];
    let is_called = async || creator.try_out(namespace).await.pull_secrets.len() > 1;
    let mut times = Vec::with_capacity(TIMES);
    for number in 1..=TIMES {
        eprint!("\rnew configuration {number} of {TIMES}");
        pullkey.api.delete(&pullkey.configuration_path()).await.good();
        until("the configuration is gone", async || (!is_called().await).then_some(())).await;
        pullkey.configure().await;
        let start = Instant::now();
        while !is_called().await {}
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    eprintln!();
    times
}
