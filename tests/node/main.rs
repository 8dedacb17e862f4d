//! Images that are really pulled: `cargo test --features node`.
//!
//! The first test that is called has the whole test process started anew on a machine of its own: see [`machine`]. There,
//! one node runs for all of these tests, with Pullkey installed as an admin would. Each test has users, images, rules
//! and namespaces of its own.

#![cfg(test)]

mod cached;
mod changes;
mod credentials;
mod faults;
#[path = "../e2e/harness/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests on an API server need the rest")]
mod harness;
mod machine;
mod malformed;
mod places;
mod registries;
mod story;
mod without;
