//! The shipped program as a process of its own.

use std::path::Path;
use std::process::{Command, Stdio};

/// The program in `directory`, in an environment that is empty.
pub(crate) fn program(directory: &Path, arguments: &[&str]) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_pullkey"));
    program
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .stdin(Stdio::null());
    program
}
