//! What Kubernetes decides, asked of a real API server: `cargo test --features e2e`.
//!
//! The harness starts one control plane for all of these tests and stops it with them. Each test has namespaces of its
//! own and, where it needs one, an installation of its own that sees those namespaces only. What concerns a cluster as a
//! whole has another control plane to itself.

#![cfg(test)]

mod accounts;
mod audit;
mod availability;
mod callers;
mod certificates;
mod chart;
mod cluster;
mod contract;
mod controllers;
mod copies;
mod doctor;
mod fidelity;
mod generated;
mod harness;
mod install;
mod kinds;
#[cfg(target_os = "linux")]
mod leash;
mod live;
mod matches;
mod monitoring;
mod oracle;
mod pods;
mod reinvocation;
mod reload;
mod rewritten;
mod rollout;
#[path = "../common/samples.rs"]
mod samples;
mod scope;
mod selection;
mod self_managed;
mod tenant;
mod trouble;
