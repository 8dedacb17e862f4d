//! What the design says, a test a sentence: on a cluster small enough to think about, and then on any.

mod copies;
mod foreign;
mod names;
mod properties;
mod refusals;
mod removals;
mod rules;
mod secrets;
mod server;
mod statuses;
mod tenants;
mod trouble;
mod world;
