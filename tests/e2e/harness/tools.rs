//! Programs of others, built from their Go modules, and the chart.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Where the chart is.
pub(crate) const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/chart");

/// Helm.
pub(crate) fn helm() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| built("helm", "helm"))
}

/// The part of cert-manager that fills in a `caBundle`.
pub(crate) fn cainjector() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| built("cert-manager", "cainjector"))
}

/// A tool of the Go module in that folder, built if need be. That takes a minute, and Go keeps it.
fn built(folder: &str, tool: &str) -> PathBuf {
    let built = Command::new("go")
        .args(["tool", "-n", tool])
        .current_dir(format!("{}/tests/e2e/{folder}", env!("CARGO_MANIFEST_DIR")))
        .envs([
            ("CGO_ENABLED", "0"),
            ("GOTOOLCHAIN", "local"),
            ("GOFLAGS", "-mod=readonly -trimpath"),
        ])
        .stderr(Stdio::inherit())
        .output()
        .unwrap_or_else(|error| panic!("the tests need Go, as tests/e2e/{folder}/go.mod says which: {error}"));
    assert!(built.status.success(), "cannot build `{tool}`");
    PathBuf::from(String::from_utf8(built.stdout).unwrap().trim())
}
