//! The way to a cluster, and what to say where it does not lead there.

use std::fmt::Display;
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use pullkey::cluster::look::{Look, Unread};

use super::{Failure, chain, tell};
use crate::cli::WayArgs;

/// What a cluster is found by.
const HINT: &str = "KUBECONFIG or ~/.kube/config says where the cluster is; in a Pod, its service account does";
/// How long somebody waits for a connection who sits before it.
const CONNECT: Duration = Duration::from_secs(10);

/// The wish to know several things, of which some may not be there to be read.
#[derive(Default)]
pub(super) struct Wishes {
    unread: Vec<Unread>,
}

/// A client of the cluster that the environment leads to. Nothing is asked of it yet.
pub(super) async fn connect() -> Result<Client, Failure> {
    client(Config::infer().await.map_err(|error| lost(&error))?)
}

/// Somebody who looks at the cluster that a person means, and the namespace that the person is in.
pub(super) async fn look(way: &WayArgs) -> Result<(Look, String), Failure> {
    let kubeconfig = match &way.kubeconfig {
        Some(file) => Some(Kubeconfig::read_from(file).map_err(|error| lost(&error))?),
        None if way.context.is_some() => Some(Kubeconfig::read().map_err(|error| lost(&error))?),
        None => None,
    };
    let mut config = match kubeconfig {
        Some(kubeconfig) => {
            let options = KubeConfigOptions {
                context: way.context.clone(),
                ..KubeConfigOptions::default()
            };
            let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
            config.map_err(|error| lost(&error))?
        }
        None => Config::infer().await.map_err(|error| lost(&error))?,
    };
    config.connect_timeout = Some(CONNECT);
    let namespace = config.default_namespace.clone();
    let server = config.cluster_url.to_string();
    Ok((Look::new(client(config)?, server), namespace))
}

fn client(mut config: Config) -> Result<Client, Failure> {
    // Whoever calls tries again, and says so.
    config.default_retry = false;
    Client::try_from(config).map_err(|error| lost(&error))
}

/// These errors tell their causes themselves.
fn lost(error: &dyn Display) -> Failure {
    Failure::environment(error.to_string()).with_hint(Some(HINT))
}

impl Wishes {
    /// Keeps what was read. What is missing for itself alone, such as a right, is remembered, so that all of it is told
    /// at once; whatever else is wrong would be wrong with the next wish, too.
    pub(super) fn grant<T>(&mut self, read: Result<T, Unread>) -> Result<Option<T>, Failure> {
        match read {
            Ok(read) => Ok(Some(read)),
            Err(unread) => {
                let goes_on = unread.is_about_the_resource();
                self.unread.push(unread);
                if goes_on { Ok(None) } else { Err(self.failure()) }
            }
        }
    }

    /// Fails if anything was missing.
    pub(super) fn end(mut self) -> Result<(), Failure> {
        if self.unread.is_empty() {
            Ok(())
        } else {
            Err(self.failure())
        }
    }

    /// What was missing so far.
    pub(super) fn unread(&self) -> &[Unread] {
        &self.unread
    }

    /// All that was missing: the last of it as the failure, what was before that is told.
    fn failure(&mut self) -> Failure {
        let mut hints: Vec<_> = self.unread.iter().map(Unread::hint).collect();
        hints.dedup();
        let last = self.unread.pop();
        for unread in self.unread.drain(..) {
            tell(&format!("error: {}\n", chain(&unread)));
        }
        let last = last.map_or_else(String::new, |unread| unread.to_string());
        Failure::environment(last).with_hint(Some(hints.join("; ")))
    }
}
