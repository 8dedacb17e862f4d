//! Credential files as they are named on the command line, for the commands that look at them.

use std::path::PathBuf;

use pullkey::credentials::file::{self, Source};
use pullkey::explain::secrets;
use pullkey::rules::diagnostic::Diagnostic;

use super::{Failure, read_input};

/// What all credential files hold together.
#[derive(Default)]
pub(super) struct Credentials {
    pub(super) sources: Vec<Source>,
    /// What is wrong with the sources and what was passed over.
    pub(super) findings: Vec<Diagnostic>,
    /// Files that are none of credentials, each with why.
    pub(super) refusals: Vec<Diagnostic>,
}

/// Reads all files. Only one that cannot be read at all is a failure.
pub(super) fn read(paths: &[PathBuf]) -> Result<Credentials, Failure> {
    let mut credentials = Credentials::default();
    for path in paths {
        let name = path.display().to_string();
        match file::read(&name, &read_input(path)?) {
            Ok(found) => {
                credentials.findings.extend(secrets::findings(&name, &found));
                credentials.sources.extend(found.sources);
            }
            Err(reason) => credentials.refusals.push(secrets::refusal(&name, &reason)),
        }
    }
    Ok(credentials)
}
