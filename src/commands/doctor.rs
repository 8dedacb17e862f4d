//! `pullkey doctor`: what is wrong with Pullkey on a cluster, and what to do about it.
//!
//! It reads, with the rights of whoever asks, and lets `doctor` find what is wrong. Nothing is changed: the one thing that
//! is created, if somebody wishes it, is a dry run.

mod read;

use pullkey::doctor::{self, Report, Severity};

use self::read::Reading;
use super::cluster::look;
use super::process::runtime;
use super::{ExitStatus, Failure, print, print_json};
use crate::cli::{DoctorArgs, OutputFormat};

pub(super) fn run(args: &DoctorArgs) -> Result<ExitStatus, Failure> {
    let report = runtime()?.block_on(examine(args))?;
    match args.output.format {
        OutputFormat::Text => print(report.to_string().as_bytes())?,
        OutputFormat::Json => print_json(&report)?,
    }
    Ok(if report.count(Severity::Error) > 0 {
        ExitStatus::InputWrong
    } else if report.unseen.is_empty() {
        ExitStatus::Fine
    } else {
        ExitStatus::EnvironmentWrong
    })
}

async fn examine(args: &DoctorArgs) -> Result<Report, Failure> {
    let (look, _) = look(&args.way).await?;
    let (facts, unseen) = Reading::new(look).facts(args).await?;
    Ok(doctor::examine(&facts, unseen))
}
