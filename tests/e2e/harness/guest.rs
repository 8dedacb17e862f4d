//! A program of others that runs beside a cluster, such as a controller.
//!
//! In: where it is, and whom it acts as. Out: what it said, if the test fails.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use tempfile::NamedTempFile;

use super::control_plane_program;

/// It ends when this is dropped.
pub(crate) struct Guest {
    program: PathBuf,
    child: Child,
    said: NamedTempFile,
}

impl Guest {
    pub(super) fn start(program: &Path, kubeconfig: &str) -> Self {
        let said = NamedTempFile::new().unwrap();
        let child = Command::new(control_plane_program())
            .arg("hold")
            .arg(program)
            .env("KUBECONFIG", kubeconfig)
            .stdin(Stdio::piped())
            .stdout(said.reopen().unwrap())
            .stderr(said.reopen().unwrap())
            .spawn()
            .unwrap();
        Self {
            program: program.to_owned(),
            child,
            said,
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // What holds it kills it when its standard input closes.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
        if thread::panicking() {
            let said = fs::read_to_string(self.said.path()).unwrap_or_default();
            eprintln!("{} said:\n{said}", self.program.display());
        }
    }
}
