//! A look at a cluster: lists and single objects as they are now, with the rights of whoever looks.
//!
//! In: a client. Out: objects, or [`Unread`]: what was attempted, why it failed, and what to do about it. What passes by
//! itself (an API server that is busy, a list that grew too old between two pages) is waited out for some seconds; every
//! call has a deadline. Nothing is followed, for that there is `watch`.

use std::fmt;
use std::time::Duration;

use kube::Client;
use tokio::time::sleep;

use super::Trouble;
use super::call::{Failed, Target};
use super::list::Pager;
pub use super::list::{Listed, Read};
use crate::metrics::WatchFailure;
use crate::rules::Kind;

/// How often something is tried.
const TRIES: u32 = 3;
/// How long to wait in between, unless the API server says how long.
const PAUSE: Duration = Duration::from_secs(1);
/// Nobody waits longer than this for one more try.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Whoever looks.
#[derive(Clone)]
pub struct Look {
    client: Client,
    server: String,
}

/// Objects of a kind, as paths and rights call them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Collection {
    /// The API group, empty for the core.
    pub group: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The resource, which is the kind's plural.
    pub plural: &'static str,
}

/// What could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("could not {verb} {what}: {trouble}")]
pub struct Unread {
    verb: &'static str,
    what: What,
    trouble: Trouble,
    server: String,
}

/// The objects of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
struct What {
    collection: Collection,
    namespace: Option<String>,
    name: Option<String>,
}

/// How often something was tried.
#[derive(Default)]
struct Patience {
    tries: u32,
}

impl Look {
    /// Somebody who looks as this client of the API server at that URL.
    #[must_use]
    pub fn new(client: Client, server: String) -> Self {
        Self { client, server }
    }

    /// All objects of a namespace, or of all of them.
    pub async fn list<T>(
        &self,
        collection: Collection,
        namespace: Option<&str>,
        metadata_only: bool,
        read: Read<T>,
    ) -> Result<Listed<T>, Unread> {
        self.select(collection, namespace, "", metadata_only, read).await
    }

    /// Those that are selected, by a query such as `labelSelector=a%3Db`.
    pub async fn select<T>(
        &self,
        collection: Collection,
        namespace: Option<&str>,
        selector: &str,
        metadata_only: bool,
        read: Read<T>,
    ) -> Result<Listed<T>, Unread> {
        let what = What::new(collection, namespace, None);
        let mut target = what.target(metadata_only);
        if !selector.is_empty() {
            target.path = format!("{}?{selector}", target.path);
        }
        let mut patience = Patience::default();
        loop {
            match Pager::default().list(&self.client, &target, &read).await {
                Ok(listed) => return Ok(listed),
                Err(failed) => patience
                    .wait_after(failed)
                    .await
                    .map_err(|failed| self.unread("list", &what, failed))?,
            }
        }
    }

    /// One object, if it is there.
    pub async fn get(
        &self,
        collection: Collection,
        namespace: Option<&str>,
        name: &str,
        metadata_only: bool,
    ) -> Result<Option<String>, Unread> {
        let what = What::new(collection, namespace, Some(name));
        let target = what.target(metadata_only);
        let mut patience = Patience::default();
        loop {
            match target.object(&self.client).await {
                Ok(object) => return Ok(Some(object)),
                Err(failed) if failed.trouble.failure == WatchFailure::Missing => return Ok(None),
                Err(failed) => patience
                    .wait_after(failed)
                    .await
                    .map_err(|failed| self.unread("get", &what, failed))?,
            }
        }
    }

    /// What stands at a path that is no object's.
    pub async fn raw(&self, path: &str) -> Result<String, Trouble> {
        let read = Target::raw(path).object(&self.client).await;
        read.map_err(|failed| failed.trouble)
    }

    /// Those of its lines that are wanted, however many there are.
    pub async fn lines(&self, path: &str, wanted: impl Fn(&str) -> bool) -> Result<String, Trouble> {
        let read = Target::raw(path).lines(&self.client, wanted).await;
        read.map_err(|failed| failed.trouble)
    }

    /// What an object would be if it were created: nothing is stored.
    pub async fn dry_run(&self, collection: Collection, namespace: &str, object: String) -> Result<String, Trouble> {
        let mut target = What::new(collection, Some(namespace), None).target(false);
        target.path.push_str("?dryRun=All");
        let created = target.create(&self.client, object).await;
        created.map_err(|failed| failed.trouble)
    }

    fn unread(&self, verb: &'static str, what: &What, failed: Failed) -> Unread {
        Unread {
            verb,
            what: what.clone(),
            trouble: failed.trouble,
            server: self.server.clone(),
        }
    }
}

impl Collection {
    /// Namespaces.
    pub const NAMESPACES: Self = Self::core("namespaces");
    /// Service accounts.
    pub const SERVICE_ACCOUNTS: Self = Self::core("serviceaccounts");
    /// Secrets.
    pub const SECRETS: Self = Self::core("secrets");

    /// Objects of the core's `v1`.
    #[must_use]
    pub const fn core(plural: &'static str) -> Self {
        Self {
            group: "",
            version: "v1",
            plural,
        }
    }

    /// Rules of that kind.
    #[must_use]
    pub fn of_rules(kind: Kind) -> Self {
        Self {
            group: "pullkey.dev",
            version: "v1alpha1",
            plural: kind.plural(),
        }
    }
}

/// As RBAC's commands and the API server's own errors call it: `deployments.apps`.
impl fmt::Display for Collection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dot = if self.group.is_empty() { "" } else { "." };
        write!(formatter, "{}{dot}{}", self.plural, self.group)
    }
}

impl Unread {
    /// Whether it is about this resource alone: others may be there to be read.
    #[must_use]
    pub fn is_about_the_resource(&self) -> bool {
        matches!(
            self.trouble.failure,
            WatchFailure::Missing | WatchFailure::Forbidden | WatchFailure::Garbled
        )
    }

    /// Whether there is no such resource.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.trouble.failure == WatchFailure::Missing
    }

    /// Whether the right to read it is missing.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        self.trouble.failure == WatchFailure::Forbidden
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        let collection = self.what.collection;
        match self.trouble.failure {
            WatchFailure::Forbidden => {
                // A role in a namespace may cover the namespace itself.
                let own = self.what.name.as_ref().filter(|_| collection == Collection::NAMESPACES);
                let place = match self.what.namespace.as_ref().or(own) {
                    Some(namespace) => format!(" --namespace {namespace}"),
                    None if self.what.name.is_none() => " --all-namespaces".to_owned(),
                    None => String::new(),
                };
                let name = self.what.name.iter().map(|name| format!("/{name}"));
                let name: String = name.collect();
                format!(
                    "`kubectl auth can-i {} {collection}{name}{place}` must say yes",
                    self.verb
                )
            }
            WatchFailure::Missing => "`pullkey manifests` prints the definitions of both kinds of rules".to_owned(),
            _ => format!(
                "it was looked for at `{}`, as `--kubeconfig` and `--context` say, or else KUBECONFIG or ~/.kube/config",
                self.server
            ),
        }
    }
}

impl What {
    fn new(collection: Collection, namespace: Option<&str>, name: Option<&str>) -> Self {
        Self {
            collection,
            namespace: namespace.map(str::to_owned),
            name: name.map(str::to_owned),
        }
    }

    fn target(&self, metadata_only: bool) -> Target {
        let Collection { group, version, plural } = self.collection;
        let mut path = match group {
            "" => format!("/api/{version}"),
            _ => format!("/apis/{group}/{version}"),
        };
        if let Some(namespace) = &self.namespace {
            path = format!("{path}/namespaces/{namespace}");
        }
        path = format!("{path}/{plural}");
        if let Some(name) = &self.name {
            path = format!("{path}/{name}");
        }
        Target { path, metadata_only }
    }
}

impl fmt::Display for What {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.collection)?;
        if let Some(name) = &self.name {
            write!(formatter, " `{name}`")?;
        }
        match &self.namespace {
            Some(namespace) => write!(formatter, " in namespace `{namespace}`"),
            None => Ok(()),
        }
    }
}

impl Patience {
    /// Waits until it may be tried again, if it may succeed then.
    async fn wait_after(&mut self, failed: Failed) -> Result<(), Failed> {
        let passes = match failed.trouble.failure {
            WatchFailure::Expired => true,
            WatchFailure::Refused => failed.retry_after.is_some(),
            _ => false,
        };
        self.tries += 1;
        if !passes || self.tries >= TRIES {
            return Err(failed);
        }
        sleep(failed.retry_after.unwrap_or(PAUSE).min(LONGEST_PAUSE)).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
