//! Quantiles, and how far they can be trusted.

use std::fmt;

/// A quantile, and the values between which it lies with 95 % probability.
pub(crate) struct Quantile {
    pub(crate) estimate: f64,
    low: f64,
    high: f64,
}

impl Quantile {
    /// Of values whose order means nothing. How many of them lie below a quantile is a matter of chance: binomial, and
    /// nearly normal.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>, share: f64) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_unstable_by(f64::total_cmp);
        let rank = values.len() as f64 * share;
        let spread = 1.96 * (rank * (1.0 - share)).sqrt();
        Self {
            estimate: at(&values, rank),
            low: at(&values, rank - spread),
            high: at(&values, rank + spread),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is a place in the list"
)]
fn at(values: &[f64], rank: f64) -> f64 {
    values[rank.clamp(0.0, (values.len() - 1) as f64) as usize]
}

impl fmt::Display for Quantile {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:.1} ({:.1} to {:.1})", self.estimate, self.low, self.high)
    }
}
