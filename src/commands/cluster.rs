//! The way to a cluster.

use std::fmt::Display;

use kube::{Client, Config};

use super::Failure;

/// What a cluster is found by.
const HINT: &str = "KUBECONFIG or ~/.kube/config says where the cluster is; in a Pod, its service account does";

/// A client of the cluster that the environment leads to. Nothing is asked of it yet.
pub(super) async fn connect() -> Result<Client, Failure> {
    // These errors tell their causes themselves.
    let failure = |error: &dyn Display| Failure::environment(error.to_string()).with_hint(Some(HINT));
    let mut config = Config::infer().await.map_err(|error| failure(&error))?;
    // Whoever calls tries again, and says so.
    config.default_retry = false;
    Client::try_from(config).map_err(|error| failure(&error))
}
