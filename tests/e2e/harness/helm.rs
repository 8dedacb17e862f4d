//! Helm, built from its Go module, and the chart.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Where the chart is.
pub(crate) const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/chart");

/// The program, built if need be. That takes a minute, and Go keeps it.
pub(crate) fn helm() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let built = Command::new("go")
            .args(["tool", "-n", "helm"])
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/helm"))
            .envs([
                ("CGO_ENABLED", "0"),
                ("GOTOOLCHAIN", "local"),
                ("GOFLAGS", "-mod=readonly -trimpath"),
            ])
            .stderr(Stdio::inherit())
            .output()
            .unwrap_or_else(|error| {
                panic!("the tests of the chart need Go, as tests/e2e/helm/go.mod says which: {error}")
            });
        assert!(built.status.success(), "cannot build Helm");
        PathBuf::from(String::from_utf8(built.stdout).unwrap().trim())
    })
}
