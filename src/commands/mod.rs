//! The program's commands, one file each: from what was typed to calls of the library.
//!
//! In: a [`Command`]. Out: data on standard output, words on standard error, and how the program ends. Refuses to
//! decide anything that the library decides.

mod certs;
mod check;
mod cluster;
mod completions;
mod controller;
mod credentials;
mod doctor;
mod explain;
mod man;
mod manifests;
mod process;
mod webhook;

use std::borrow::Cow;
use std::error::Error;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::iter::successors;
use std::path::Path;
use std::process::ExitCode;

use pullkey::certs::files::FilesError;
use pullkey::certs::load::LoadError;
use pullkey::printable::printable;
use pullkey::rules::compile::Context;
use pullkey::server::BindFailed;
use serde::Serialize;

use crate::cli::Command;

/// The largest file that is read whole, in bytes: far more than an API server would take at once.
const LARGEST_INPUT: u64 = 64 << 20;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExitStatus {
    Fine,
    /// What the user gave is wrong.
    InputWrong,
    /// Something around the program is: a disk, a port, a permission.
    EnvironmentWrong,
}

/// Why a command could not do its job.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: ExitStatus,
    pub(crate) cause: Box<dyn Error + Send + Sync>,
    /// What to do about it.
    pub(crate) hint: Option<Cow<'static, str>>,
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(match status {
            ExitStatus::Fine => 0,
            ExitStatus::InputWrong => 1,
            ExitStatus::EnvironmentWrong => 2,
        })
    }
}

impl Failure {
    fn new(status: ExitStatus, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            status,
            cause: cause.into(),
            hint: None,
        }
    }

    /// Something around the program went wrong.
    fn environment(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(ExitStatus::EnvironmentWrong, cause)
    }

    fn with_hint(self, hint: Option<impl Into<Cow<'static, str>>>) -> Self {
        Self {
            hint: hint.map(Into::into),
            ..self
        }
    }
}

impl From<FilesError> for Failure {
    fn from(error: FilesError) -> Self {
        let status = match &error {
            FilesError::Exist { .. } | FilesError::Incomplete { .. } | FilesError::Renew { .. } => {
                ExitStatus::InputWrong
            }
            FilesError::Load(error) => status(error),
            FilesError::Unwritable { .. } | FilesError::Make(_) => ExitStatus::EnvironmentWrong,
        };
        let hint = error.hint();
        Self::new(status, error).with_hint(hint)
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        FilesError::from(error).into()
    }
}

impl From<BindFailed> for Failure {
    fn from(error: BindFailed) -> Self {
        let hint = error.hint();
        Self::environment(error).with_hint(hint)
    }
}

/// A file that cannot be read is the environment's fault, one that holds something else is the user's.
fn status(error: &LoadError) -> ExitStatus {
    if error.is_unreadable() {
        ExitStatus::EnvironmentWrong
    } else {
        ExitStatus::InputWrong
    }
}

/// Runs a command to its end.
pub(crate) fn run(command: Command) -> Result<ExitStatus, Failure> {
    match command {
        Command::Webhook(args) => webhook::run(&args),
        Command::Controller(args) => controller::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Certs(args) => certs::run(args),
        Command::Manifests(args) => manifests::run(args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    }
}

/// Tells people, on standard error, why a command failed: the chain of errors once, a hint apart.
pub(crate) fn report(failure: &Failure) -> ExitStatus {
    let hint = failure
        .hint
        .as_ref()
        .map(|hint| format!("\nhint: {hint}\n"))
        .unwrap_or_default();
    tell(&format!("error: {}\n{hint}", chain(failure.cause.as_ref())));
    failure.status
}

/// An error and what led to it, each once, on one line of a terminal or a log.
fn chain(error: &(dyn Error + 'static)) -> String {
    let chain: Vec<String> = successors(Some(error), |&error| error.source())
        .map(ToString::to_string)
        .collect();
    printable(&chain.join(": ")).into_owned()
}

/// How the rules of files are judged, with or without a cluster beside them.
fn context(own_namespace: &str, is_beside_cluster: bool) -> Context<'_> {
    Context {
        own_namespace,
        labels: is_beside_cluster,
        source_keys: None,
    }
}

/// "1 rule", "2 rules".
fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Reads a file that the user named; `-` is standard input.
fn read_input(path: &Path) -> Result<Vec<u8>, Failure> {
    let unreadable = |error: io::Error| Failure::environment(format!("could not read `{}`: {error}", path.display()));
    let mut bytes = Vec::new();
    let mut input: Box<dyn Read> = if path == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(path).map_err(unreadable)?)
    };
    input
        .by_ref()
        .take(LARGEST_INPUT + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST_INPUT {
        let message = format!("`{}` is larger than {} MiB", path.display(), LARGEST_INPUT >> 20);
        return Err(Failure::new(ExitStatus::InputWrong, message));
    }
    Ok(bytes)
}

/// Writes data to standard output. A reader that has seen enough is no failure.
fn print(data: &[u8]) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    match output.write_all(data).and_then(|()| output.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::new(ExitStatus::EnvironmentWrong, error)),
        _ => Ok(()),
    }
}

/// Writes a value to standard output as JSON.
fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let mut text = serde_json::to_vec_pretty(value).map_err(Failure::environment)?;
    text.push(b'\n');
    print(&text)
}

/// Writes words for people to standard error; if nobody can read them, nothing can be done about it.
fn tell(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}
