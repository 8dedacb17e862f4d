//! Quantiles, and how far they can be trusted.

use serde::Serialize;

use super::Round;
use super::payload::Random;

/// How often the rounds are drawn anew.
const SAMPLES: usize = 2_000;

/// An estimate, and what 95 % of the samples lie between.
#[derive(Serialize)]
pub(crate) struct Interval {
    pub(crate) estimate: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// The value that this share of the others lies below.
pub(crate) fn quantile(values: impl IntoIterator<Item = f64>, share: f64) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share lies between 0 and 1"
    )]
    let index = ((values.len() - 1) as f64 * share).round() as usize;
    *values.select_nth_unstable_by(index, f64::total_cmp).1
}

/// The quantile over all rounds.
pub(crate) fn overall(rounds: &[&Round], variant: usize, share: f64) -> f64 {
    quantile(rounds.iter().flat_map(|round| round[variant].iter().copied()), share)
}

/// What a variant adds to another one's median: the median of what it adds in each round.
pub(crate) fn added_to_median(rounds: &[&Round], variant: usize, base: usize) -> f64 {
    let median = |latencies: &[f64]| quantile(latencies.iter().copied(), 0.5);
    let added = rounds
        .iter()
        .map(|round| median(&round[variant]) - median(&round[base]));
    quantile(added, 0.5)
}

/// What a variant adds to another one's quantile over all rounds: a round has too few Pods for a tail.
pub(crate) fn added_to_tail(rounds: &[&Round], variant: usize, base: usize) -> f64 {
    overall(rounds, variant, 0.99) - overall(rounds, base, 0.99)
}

/// A statistic with its bootstrap interval. Whole rounds are drawn, so what took turns stays together.
pub(crate) fn bootstrap(rounds: &[Round], statistic: impl Fn(&[&Round]) -> f64) -> Interval {
    let mut random = Random(0);
    let samples: Vec<f64> = (0..SAMPLES)
        .map(|_| {
            let sample: Vec<&Round> = rounds.iter().map(|_| &rounds[random.below(rounds.len())]).collect();
            statistic(&sample)
        })
        .collect();
    Interval {
        estimate: statistic(&rounds.iter().collect::<Vec<_>>()),
        low: quantile(samples.iter().copied(), 0.025),
        high: quantile(samples.iter().copied(), 0.975),
    }
}

/// Puts them in an order drawn by lot.
pub(crate) fn shuffle(values: &mut [usize], random: &mut Random) {
    for index in (1..values.len()).rev() {
        values.swap(index, random.below(index + 1));
    }
}
