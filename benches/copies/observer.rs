//! What is seen of copies and accounts from outside, and when.
//!
//! It watches as any other client does. Of two objects the API server made the one with the smaller resourceVersion
//! first, whenever they are seen here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use pullkey::cluster::watch::{Read, Target, Watch};
use pullkey::cluster::{Event, Key};
use pullkey::metrics::{Metrics, Resource};
use serde::Deserialize;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::harness::Api;

const COPIES: &str = "/api/v1/secrets?labelSelector=pullkey.dev%2Fcopy%3Dtrue";
const ACCOUNTS: &str = "/api/v1/serviceaccounts?fieldSelector=metadata.name%3Ddefault";
const GLANCE: Duration = Duration::from_millis(20);
/// How long anything may take.
const PATIENCE: Duration = Duration::from_mins(10);

/// An observer; it looks away when this is dropped.
pub(crate) struct Observer {
    seen: Arc<Mutex<Seen>>,
    #[expect(dead_code, reason = "it looks away when they are dropped")]
    tasks: JoinSet<()>,
}

/// All that was seen.
#[derive(Default)]
pub(crate) struct Seen {
    /// By namespace, then by name.
    copies: HashMap<Box<str>, HashMap<Box<str>, Copy>>,
    accounts: HashMap<Box<str>, Sight>,
    /// How many copies got each version of a source, and when the last of them did.
    versions: HashMap<Box<str>, (usize, Instant)>,
}

/// A copy.
struct Copy {
    first: Sight,
    /// Which version of its source it holds.
    version: String,
}

/// The first that was seen of an object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sight {
    pub(crate) at: Instant,
    pub(crate) resource_version: u64,
}

#[derive(Deserialize)]
struct Object {
    metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    resource_version: String,
    #[serde(default)]
    annotations: HashMap<String, String>,
}

impl Observer {
    pub(crate) fn start(api: &Api) -> Self {
        let seen = Arc::<Mutex<Seen>>::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(follow(api.clone(), COPIES, Arc::clone(&seen), Seen::see_copy));
        tasks.spawn(follow(api.clone(), ACCOUNTS, Arc::clone(&seen), Seen::see_account));
        Self { seen, tasks }
    }

    /// What has been seen by now.
    pub(crate) fn look<T>(&self, look: impl Fn(&Seen) -> T) -> T {
        look(&self.seen.lock().unwrap())
    }

    /// Waits until something was seen.
    pub(crate) async fn until<T>(&self, what: &str, look: impl Fn(&Seen) -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            if let Some(found) = self.look(&look) {
                return found;
            }
            assert!(start.elapsed() < PATIENCE, "never came true: {what}");
            sleep(GLANCE).await;
        }
    }
}

impl Seen {
    /// The copies of a namespace once there are so many: the last of them.
    pub(crate) fn last_copy(&self, namespace: &str, copies: usize) -> Option<Sight> {
        let there = self.copies.get(namespace).filter(|there| there.len() == copies)?;
        let sights = there.values().map(|copy| copy.first);
        sights.max_by_key(|sight| sight.resource_version)
    }

    /// The account that a namespace's Pods wait for.
    pub(crate) fn account(&self, namespace: &str) -> Option<Sight> {
        self.accounts.get(namespace).copied()
    }

    /// When the last of so many copies got a version of a source.
    pub(crate) fn rotated(&self, version: &str, copies: usize) -> Option<Instant> {
        let (count, last) = self.versions.get(version)?;
        (*count >= copies).then_some(*last)
    }

    fn see_copy(&mut self, key: Key, mut object: Metadata, sight: Sight) {
        let version = object.annotations.remove("pullkey.dev/source-version");
        let version = version.unwrap_or_default();
        let copies = self.copies.entry(key.namespace).or_default();
        let copy = copies.entry(key.name).or_insert(Copy {
            first: sight,
            version: String::new(),
        });
        if copy.version != version {
            copy.version.clone_from(&version);
            let (count, last) = self.versions.entry(version.into()).or_insert((0, sight.at));
            *count += 1;
            *last = sight.at;
        }
    }

    fn see_account(&mut self, key: Key, _: Metadata, sight: Sight) {
        self.accounts.entry(key.namespace).or_insert(sight);
    }
}

async fn follow(api: Api, path: &str, seen: Arc<Mutex<Seen>>, see: fn(&mut Seen, Key, Metadata, Sight)) {
    let target = Target {
        path: path.to_owned(),
        metadata_only: true,
    };
    let read: Read<Metadata> = Box::new(|text| {
        let object: Object = serde_json::from_str(text).map_err(|error| error.to_string())?;
        Ok(Some(object.metadata))
    });
    let metrics = Metrics::new([]).watch(Resource::Copies, SystemTime::now());
    let mut watch = Watch::new(api.client, target, read, metrics, Arc::default());
    loop {
        let event = watch.next().await;
        let at = Instant::now();
        let objects = match event {
            Event::Listed { objects, .. } => objects,
            Event::Applied(key, object) => vec![(key, object)],
            Event::Deleted(..) | Event::Bad(_) => continue,
            // It goes on where it was, and what it sees late counts as late.
            Event::Trouble(trouble) => {
                eprintln!("the observer hears nothing for a moment: {trouble}");
                continue;
            }
        };
        let mut seen = seen.lock().unwrap();
        for (key, object) in objects {
            let resource_version = object.resource_version.parse().unwrap();
            see(&mut seen, key, object, Sight { at, resource_version });
        }
    }
}
