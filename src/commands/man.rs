//! `pullkey man`: the manual page of the program, or of one of its commands.

use clap_mangen::Man;

use super::{ExitStatus, Failure, print};
use crate::cli::{self, ManArgs};

pub(super) fn run(args: &ManArgs) -> Result<ExitStatus, Failure> {
    let mut program = cli::command().disable_help_subcommand(true);
    program.build();
    let command = match &args.command {
        None => &program,
        Some(name) => program.find_subcommand(name).ok_or_else(|| {
            let known: Vec<_> = program
                .get_subcommands()
                .map(|command| format!("`{}`", command.get_name()))
                .collect();
            Failure::new(ExitStatus::InputWrong, format!("there is no command `{name}`"))
                .with_hint(Some(format!("the commands are {}", known.join(", "))))
        })?,
    };
    let mut page = Vec::new();
    Man::new(command.clone())
        .render(&mut page)
        .map_err(|error| Failure::new(ExitStatus::EnvironmentWrong, error))?;
    print(&page)?;
    Ok(ExitStatus::Fine)
}
