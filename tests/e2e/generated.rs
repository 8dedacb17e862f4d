//! Generated cases, tried until one differs, and then smaller ones.
//!
//! The seed is fixed, so that a failure comes again. `PROPTEST_RNG_SEED` sets another one, `PROPTEST_CASES` the number.

use std::fmt;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestError, TestRunner};

/// How many cases, from which seed, and how much is tried to make a difference smaller.
pub(crate) struct Extent {
    pub(crate) cases: u32,
    pub(crate) seed: u64,
    pub(crate) shrinks: u32,
}

/// Tries the cases, and fails with the smallest one that differs.
pub(crate) fn compare_generated<S: Strategy>(
    extent: &Extent,
    strategy: S,
    compare: impl Fn(S::Value) -> Result<(), String>,
) where
    S::Value: fmt::Debug,
{
    let mut config = Config {
        failure_persistence: None,
        max_shrink_iters: extent.shrinks,
        ..Config::default()
    };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = extent.cases;
    }
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(extent.seed);
    }
    let seed = config.rng_seed;
    match TestRunner::new(config).run(&strategy, |case| compare(case).map_err(TestCaseError::fail)) {
        Ok(()) => {}
        Err(TestError::Fail(difference, case)) => {
            panic!("{difference}\nthe smallest case found: {case:#?}\nwith PROPTEST_RNG_SEED={seed}");
        }
        Err(abort @ TestError::Abort(_)) => panic!("{abort}"),
    }
}
