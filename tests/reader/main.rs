//! The review reader against its oracle: every trap of JSON by name, truncation at every byte, and random reviews.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a panic fails the test")]

mod facts;
mod generate;
mod json;
mod oracle;
mod table;

use generate::Random;
use oracle::both;
use pullkey::admission::{Object, Review};

/// Reads `count` random reviews by both readers, and returns how many there were of each kind of answer: reviews of
/// Pods, reviews without a Pod that could be read, and bodies refused.
fn compare(seed: u64, count: u64) -> [u64; 3] {
    let mut kinds = [0; 3];
    for case in seed..seed + count {
        let body = generate::review(&mut Random(case));
        let kind = match both(&body) {
            Ok(Review {
                object: Object::Pod(_), ..
            }) => 0,
            Ok(_) => 1,
            Err(_) => 2,
        };
        kinds[kind] += 1;
    }
    kinds
}

#[test]
fn random_reviews_read_as_the_oracle_reads_them() {
    let kinds = compare(0, 10_000);
    assert!(
        kinds.iter().all(|count| *count > 1_000),
        "the generator is one-sided: {kinds:?}"
    );
}

/// `PULLKEY_SOAK=first-seed,count cargo test --no-default-features --release --test reader soak -- --ignored --nocapture`
#[test]
#[ignore = "takes as long as it is told to"]
fn soak() {
    let range = std::env::var("PULLKEY_SOAK").unwrap_or_else(|_| "1000000,1000000".to_owned());
    let (seed, count) = range.split_once(',').unwrap();
    let [pods, others, refused] = compare(seed.parse().unwrap(), count.parse().unwrap());
    println!("{pods} Pods, {others} other reviews, {refused} refused; no difference");
}
