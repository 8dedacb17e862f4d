//! The program `pullkey`: reads the command line, runs one command, ends with its status.

mod cli;
mod commands;

use std::process::ExitCode;

use commands::ExitStatus;
use rustls::crypto::aws_lc_rs;

fn main() -> ExitCode {
    // One provider of cryptography for all, also for libraries that ask for the process's default. It fails only where
    // one is set already, and nothing ran before.
    let _ = aws_lc_rs::default_provider().install_default();
    let status = match cli::parse() {
        Ok(cli) => commands::run(cli.command).unwrap_or_else(|failure| commands::report(&failure)),
        Err(usage) => {
            // Help and version are answers, too. A reader that has gone away changes nothing.
            let _ = usage.print();
            if usage.use_stderr() {
                ExitStatus::InputWrong
            } else {
                ExitStatus::Fine
            }
        }
    };
    status.into()
}
