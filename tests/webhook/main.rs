//! `pullkey webhook` as a process: what it serves, what it says, how it follows its files and how it ends.

#![cfg(test)]

#[path = "../common/client.rs"]
mod client;
mod cluster;
mod ends;
mod files;
mod process;
#[path = "../common/program.rs"]
mod program;
mod starts;
