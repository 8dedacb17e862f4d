//! What a command that goes on needs of its process: a log, a runtime, the signals that end it.

use pullkey::logging;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::Level;

use super::{ExitStatus, Failure};
use crate::cli::OutputFormat;

/// The signals that end the program.
pub(super) struct Ends {
    terminate: Signal,
    interrupt: Signal,
}

impl Ends {
    pub(super) fn new() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(Failure::environment);
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next of them, and names it.
    pub(super) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Sets up the log of the process.
pub(super) fn log(format: OutputFormat, level: Level) -> Result<(), Failure> {
    let format = match format {
        OutputFormat::Text => logging::Format::Text,
        OutputFormat::Json => logging::Format::Json,
    };
    logging::init(format, level).map_err(|error| Failure::new(ExitStatus::EnvironmentWrong, error))
}

pub(super) fn runtime() -> Result<Runtime, Failure> {
    Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::environment)
}
