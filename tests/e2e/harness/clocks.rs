//! The clocks of Pullkey's programs, which can be set: by a library that is loaded before the system's.
//!
//! In: by how much they go wrong. Out: what the programs must find in their environment. It needs Debian's package
//! `faketime` or its like. Monotonic clocks, which nobody can set, are left alone, and so are those of the API server,
//! which asks the kernel itself.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use tempfile::TempDir;

use super::{Cluster, unique, until};

/// When a watch heard something, by the clock of whoever watches.
const PROGRESS: &str = "pullkey_watch_progress_timestamp_seconds";
/// The Deployments.
const PROGRAMS: [&str; 2] = ["pullkey-webhook", "pullkey-controller"];

/// Clocks, one for all Pods of a Deployment.
pub(crate) struct Clocks {
    folder: TempDir,
    library: PathBuf,
}

impl Clocks {
    /// All are right at first; `None` without the library.
    pub(crate) fn find() -> Option<Self> {
        let libraries = fs::read_dir("/usr/lib").ok()?.filter_map(Result::ok);
        let mut libraries = libraries.map(|entry| entry.path().join("faketime/libfaketime.so.1"));
        let library = libraries.find(|library| library.exists())?;
        let clocks = Self {
            folder: tempfile::tempdir().unwrap(),
            library,
        };
        for program in PROGRAMS {
            clocks.write(program, 0);
        }
        Some(clocks)
    }

    /// What each program must find in its environment, see [`super::self_managed::Wishes`].
    pub(crate) fn environment(&self) -> Vec<[String; 3]> {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let of = |program: &str| {
            [
                ("LD_PRELOAD", text(&self.library)),
                ("FAKETIME_TIMESTAMP_FILE", text(&self.folder.path().join(program))),
                ("FAKETIME_NO_CACHE", "1".to_owned()),
                ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
                ("FAKETIME_DISABLE_SHM", "1".to_owned()),
                ("NO_FAKE_STAT", "1".to_owned()),
            ]
            .map(|(name, value)| [program.to_owned(), name.to_owned(), value])
        };
        PROGRAMS.into_iter().flat_map(of).collect()
    }

    /// Puts the clocks of the webhook and of the controller right, but for so many seconds, and waits until all replicas
    /// have heard something by them.
    pub(crate) async fn set(&self, webhook: i32, controller: i32, cluster: &Cluster) {
        for (program, seconds) in PROGRAMS.into_iter().zip([webhook, controller]) {
            self.write(program, seconds);
        }
        let something = json!({"metadata": {"name": unique("clocks")}});
        cluster.api.create("/api/v1/namespaces", &something).await.good();
        let now = || k8s_openapi::jiff::Timestamp::now().as_duration().as_secs_f64();
        let is_off = |told: f64, seconds: i32| (told - now() - f64::from(seconds)).abs() < 600.0;
        until("the clocks have jumped", async || {
            let told = cluster.least(PROGRESS, "\"namespaces\"").await;
            let mut are_off = is_off(told, webhook);
            for pod in cluster.controllers().await {
                are_off &= is_off(cluster.metric(&pod, PROGRESS, "\"namespaces\"").await, controller);
            }
            are_off.then_some(())
        })
        .await;
    }

    fn write(&self, program: &str, seconds: i32) {
        // Swapped, so that nobody reads half of it.
        let new = self.folder.path().join("new");
        fs::write(&new, format!("{seconds:+}\n")).unwrap();
        fs::rename(new, self.folder.path().join(program)).unwrap();
    }
}
