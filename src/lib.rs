//! Pullkey puts the right `imagePullSecrets` on every new Pod.
//!
//! ```text
//!   rules files, API server ─► cluster                        mounted files
//!       │ rules: document ─► compile ─► RuleSet                    │ certs: KeyPair
//!       ▼                                                          ▼
//!  bytes ─► review ─► image ─► rules ─► plan ─► patch ─► bytes   server: accept ─► TLS ─► limits ─► router
//!           └────── admission: pure, synchronous, total ──────┘◄────────────────────────────────────┘
//! ```
//!
//! `image`, `credentials`, `rules` and `admission` decide about Pods, `controller` about copies of secrets; they know no
//! socket, no clock and no environment, and they build without the features `server` and `cluster`. `server`, `certs`
//! and `cluster` do the input and output and do not know each other. `authority` decides how certificates look after
//! themselves, with what `certs` makes. `manifests` makes of their constants what a cluster must be told, and `doctor` says
//! what is wrong with one. The binary's commands wire it all together.

pub mod admission;
#[cfg(feature = "server")]
pub mod authority;
#[cfg(feature = "server")]
pub mod certs;
#[cfg(feature = "cluster")]
pub mod cluster;
pub mod controller;
pub mod credentials;
#[cfg(feature = "cluster")]
pub mod doctor;
pub mod duration;
pub mod explain;
pub mod glob;
#[cfg(feature = "server")]
pub mod health;
pub mod image;
#[cfg(feature = "server")]
pub mod logging;
#[cfg(feature = "server")]
pub mod manifests;
#[cfg(feature = "server")]
pub mod metrics;
#[cfg(feature = "server")]
pub mod poll;
pub mod printable;
#[cfg(feature = "server")]
pub mod readiness;
pub mod rules;
#[cfg(feature = "server")]
pub mod server;
pub mod yaml;
