//! What a command that goes on needs of its process: a log, a port for probes, a runtime, the signals that end it.

use std::sync::Arc;

use axum::Router;
use pullkey::metrics::Metrics;
use pullkey::readiness::Readiness;
use pullkey::server::Bound;
use pullkey::{health, logging};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{ExitStatus, Failure};
use crate::cli::{HealthListen, LogArgs, OutputFormat};

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
pub(super) fn log(args: &LogArgs) -> Result<(), Failure> {
    let format = match args.format {
        OutputFormat::Text => logging::Format::Text,
        OutputFormat::Json => logging::Format::Json,
    };
    logging::init(format, args.level).map_err(|error| Failure::new(ExitStatus::EnvironmentWrong, error))
}

/// Takes the port for probes and metrics, and what else is told there, if there is to be one.
pub(super) async fn bind_health(
    listen: HealthListen,
    readiness: &Arc<Readiness>,
    metrics: &Arc<Metrics>,
    others: Router,
) -> Result<Option<Bound>, Failure> {
    match listen {
        HealthListen::Off => Ok(None),
        HealthListen::At(address) => {
            let server = health::server(Arc::clone(readiness), Arc::clone(metrics), others);
            Ok(Some(server.bind(address).await?))
        }
    }
}

pub(super) fn runtime() -> Result<Runtime, Failure> {
    Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::environment)
}
