//! What Kubernetes decides, asked of a real API server: `cargo test --features e2e`.
//!
//! The harness starts one control plane for all of these tests and stops it with them. Each test has namespaces of its
//! own and, where it needs one, an installation of its own that sees those namespaces only.

#![cfg(test)]

#[cfg(feature = "e2e")]
mod accounts;
#[cfg(feature = "e2e")]
mod audit;
#[cfg(feature = "e2e")]
mod callers;
#[cfg(feature = "e2e")]
mod contract;
#[cfg(feature = "e2e")]
mod controllers;
#[cfg(feature = "e2e")]
mod fidelity;
#[cfg(feature = "e2e")]
mod availability;
#[cfg(feature = "e2e")]
mod certificates;
#[cfg(feature = "e2e")]
mod harness;
#[cfg(all(feature = "e2e", target_os = "linux"))]
mod leash;
#[cfg(feature = "e2e")]
mod oracle;
#[cfg(feature = "e2e")]
mod pods;
#[cfg(feature = "e2e")]
mod reinvocation;
#[cfg(feature = "e2e")]
mod scope;
#[cfg(feature = "e2e")]
mod selection;
#[cfg(feature = "e2e")]
mod reload;
#[cfg(feature = "e2e")]
mod rollout;

#[cfg(not(feature = "e2e"))]
#[test]
#[ignore = "needs Go and several minutes the first time: cargo test --features e2e"]
fn a_real_api_server_is_asked() {}
