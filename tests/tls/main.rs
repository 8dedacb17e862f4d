//! The server over real TLS sockets, on ports that the system picks.

#![cfg(test)]

mod certificates;
mod client;
mod deadlines;
mod drain;
mod harness;
mod http2;
mod limits;
mod protocols;
#[path = "../common/stub.rs"]
mod stub;
