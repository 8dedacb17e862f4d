//! Any bytes read the same by the review reader and by its oracle.
//!
//! ```text
//! cargo install cargo-fuzz --locked
//! RUSTC_BOOTSTRAP=1 cargo fuzz run -s none review fuzz/corpus/review fuzz/seeds/review -- -dict=fuzz/review.dict -max_total_time=600
//! ```

#![no_main]

#[path = "../../tests/reader/oracle.rs"]
mod oracle;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let _answer = oracle::both(body);
});
