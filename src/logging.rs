//! The log: one line an event on standard error, as text or as JSON.
//!
//! Only this program's own events follow the level; libraries are heard from `warn` on, since what they tell at
//! `debug` may hold parts of requests. The client of the API server is not heard at all: it logs the whole of an answer
//! that it cannot decode, be it a secret, and each failure that its callers tell of anyway.

use std::any::Any;
use std::io::IsTerminal;
use std::panic::{self, PanicHookInfo};
use std::str::FromStr;
use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

/// How a line of the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The text names no format.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no log format: `text` and `json` are accepted")]
pub struct UnknownFormat(String);

/// The process has a log already.
#[derive(Debug, thiserror::Error)]
#[error("could not set up the log: the process has one already")]
pub struct AlreadySet;

/// Sets up the log of the process, panics included.
pub fn init(format: Format, level: Level) -> Result<(), AlreadySet> {
    let lines = layer::<Registry>()
        .with_writer(std::io::stderr)
        .log_internal_errors(false);
    let lines = match format {
        Format::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
        Format::Json => lines.json().boxed(),
    };
    tracing_subscriber::registry()
        .with(lines)
        .with(targets(level))
        .try_init()
        .map_err(|_| AlreadySet)?;
    panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// Who is heard from which level on, by the beginning of a module's name.
fn targets(level: Level) -> Targets {
    Targets::new()
        .with_default(LevelFilter::from_level(level.min(Level::WARN)))
        .with_target(env!("CARGO_CRATE_NAME"), level)
        .with_target("kube", LevelFilter::OFF)
}

/// Logs where a panic happened. Its message only if that is part of the program: one that was formatted may hold a part
/// of what was being read.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(location, "panicked: {}", message(panic.payload()));
}

fn message(payload: &dyn Any) -> &'static str {
    payload
        .downcast_ref::<&'static str>()
        .copied()
        .unwrap_or("the message is withheld")
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(UnknownFormat(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_named() {
        assert_eq!("text".parse(), Ok(Format::Text));
        assert_eq!("json".parse(), Ok(Format::Json));
        let unknown = "JSON".parse::<Format>().unwrap_err();
        assert_eq!(
            unknown.to_string(),
            "`JSON` is no log format: `text` and `json` are accepted"
        );
    }

    #[test]
    fn libraries_are_heard_when_they_warn_and_the_client_of_the_api_server_never() {
        let targets = targets(Level::DEBUG);
        for (target, level, heard) in [
            ("pullkey::cluster", Level::DEBUG, true),
            ("pullkey::cluster", Level::TRACE, false),
            ("hyper::proto", Level::WARN, true),
            ("hyper::proto", Level::INFO, false),
            ("kube_client::client", Level::ERROR, false),
        ] {
            assert_eq!(targets.would_enable(target, &level), heard, "{target} {level}");
        }
        assert!(!super::targets(Level::ERROR).would_enable("hyper", &Level::WARN));
    }

    #[test]
    fn a_formatted_panic_message_is_withheld() {
        let secret = String::from("token-123");
        let payload = panic::catch_unwind(|| panic!("cannot read {secret}")).unwrap_err();
        assert_eq!(message(&*payload), "the message is withheld");
        let payload = panic::catch_unwind(|| panic!("the list is empty")).unwrap_err();
        assert_eq!(message(&*payload), "the list is empty");
    }
}
