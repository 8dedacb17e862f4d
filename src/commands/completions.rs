//! `pullkey completions`: what a shell needs to complete the program's command line.

use super::{ExitStatus, Failure, print};
use crate::cli::{self, CompletionsArgs};

pub(super) fn run(args: &CompletionsArgs) -> Result<ExitStatus, Failure> {
    let mut script = Vec::new();
    let mut command = cli::command();
    let name = command.get_name().to_owned();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    print(&script)?;
    Ok(ExitStatus::Fine)
}
