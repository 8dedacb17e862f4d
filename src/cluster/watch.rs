//! One watch that goes on for ever.
//!
//! In: which objects, and how to read one. Out: [`Event`]s, for as long as they are asked for: a complete list, then what
//! happens. An object that cannot be read is told as bad, and the others go on. It never gives up and never falls
//! silent by itself:
//!
//! | what happens | what is done |
//! |---|---|
//! | the API server ends the watch, as it does every few minutes | watches on from the last version |
//! | the connection breaks, the API server refuses | waits, longer each time or until a nudge, and goes on where it was |
//! | the API server no longer has that version (410) | lists afresh, in a moment |
//! | the API server sends what cannot be read | waits and lists afresh |
//! | nothing is heard for [`SILENCE`], not even a bookmark | lists afresh |
//! | a page of the list is too large | asks for it again with fewer objects |
//!
//! Where there are very many objects, a list is told in parts: nobody has to hold all of it at once.

use std::borrow::Cow;
use std::hash::{BuildHasher, RandomState};
use std::mem::take;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use kube::Client;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::again::Again;
pub use super::call::Target;
use super::call::{Failed, Lines};
pub use super::list::Read;
use super::list::{Listed, Metadata, Next, Pager};
use super::{Bad, Event, Key};
use crate::metrics::{WatchFailure, WatchMetrics};

/// After how long without a word a watch counts as dead. API servers send a bookmark about every minute.
pub const SILENCE: Duration = Duration::from_mins(3);
/// How long a watch goes on at least, in seconds; it goes on for up to twice as long, so that many of them do not all
/// begin again at once.
const SHORTEST_WATCH: u64 = 300;
/// The pause after a first failure; it doubles with each that follows.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// The shortest pause, which no nudge shortens.
const LEAST_PAUSE: Duration = Duration::from_millis(250);

/// A watch of objects that are read as `T`.
pub struct Watch<T> {
    client: Client,
    target: Target,
    read: Read<T>,
    metrics: WatchMetrics,
    /// Tells that an API server answers others, so that it is worth to try again.
    nudge: Arc<Notify>,
    state: State<T>,
    pager: Pager,
    /// Whether a list is told object by object.
    in_parts: bool,
    /// Leaves out of a list what is too much, as soon as it is read.
    thin: fn(&mut [(Key, T)]),
    again: Again,
    /// How many failures there were since the API server last answered a watch.
    failures: u32,
    pause: Option<Pause>,
}

/// How long to wait after a failure.
#[derive(Clone, Copy)]
struct Pause {
    /// In any case.
    least: Duration,
    /// Without a nudge.
    longest: Duration,
}

/// What is done next.
enum State<T> {
    /// Turning a page of a list, or telling what is on it.
    List(Listed<T>),
    /// A watch from this version on.
    Resume(String),
    /// Reading on.
    Follow(Following),
}

struct Following {
    lines: Lines,
    version: String,
    /// Whether a line has come.
    is_proven: bool,
    /// When the last one has.
    heard: Instant,
}

/// A line of a watch.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(borrow)]
    object: &'a RawValue,
}

impl<T> Watch<T> {
    /// A watch that has not begun. Whoever knows that an API server answers may say so by the nudge.
    #[must_use]
    pub fn new(client: Client, target: Target, read: Read<T>, metrics: WatchMetrics, nudge: Arc<Notify>) -> Self {
        Self {
            client,
            target,
            read,
            metrics,
            nudge,
            state: State::default(),
            pager: Pager::default(),
            in_parts: false,
            thin: |_| (),
            again: Again::new(None),
            failures: 0,
            pause: None,
        }
    }

    /// The same watch, with lists that are thinned while they are read. Of what is asked for, by its namespace and name,
    /// it tells how it is now.
    #[must_use]
    pub fn thinned(self, thin: fn(&mut [(Key, T)]), asked: mpsc::UnboundedReceiver<Key>) -> Self {
        Self {
            thin,
            again: Again::new(Some(asked)),
            ..self
        }
    }

    /// The same watch, with lists that are told object by object in no order, each as [`Event::Applied`], and then as an
    /// [`Event::Listed`] with none. What was not told between that and the last [`Event::Trouble`], or the beginning, is
    /// gone.
    #[must_use]
    pub fn in_parts(self) -> Self {
        Self { in_parts: true, ..self }
    }

    /// Tells what it hears for as long as somebody listens.
    pub async fn tell<C>(mut self, listener: mpsc::Sender<C>, change: impl Fn(Event<T>) -> C) {
        loop {
            let event = self.next().await;
            if listener.send(change(event)).await.is_err() {
                return;
            }
        }
    }

    /// The next event. After an [`Event::Trouble`] it is waited for before anything is tried again.
    pub async fn next(&mut self) -> Event<T> {
        loop {
            if let Some(Pause { least, longest }) = self.pause.take() {
                // It hears from now on: there may be one nudge only.
                let nudged = self.nudge.notified();
                sleep(least).await;
                let _ = timeout(longest.saturating_sub(least), nudged).await;
            }
            match self.step().await {
                Ok(Some(event)) => return event,
                Ok(None) => {}
                Err(Failed { trouble, retry_after }) => {
                    self.metrics.failed(trouble.failure);
                    let least = LEAST_PAUSE.max(retry_after.unwrap_or_default());
                    self.pause = Some(Pause {
                        least,
                        longest: pause(self.failures).max(least),
                    });
                    self.failures = self.failures.saturating_add(1);
                    return Event::Trouble(trouble);
                }
            }
        }
    }

    /// One call or one line. A failure leaves the state as the default, a list, or as what it was set to.
    async fn step(&mut self) -> Result<Option<Event<T>>, Failed> {
        match take(&mut self.state) {
            State::List(listed) => self.list(listed).await,
            State::Resume(version) => {
                let seconds = SHORTEST_WATCH + random(SHORTEST_WATCH);
                match self.target.watch(&self.client, &version, seconds).await {
                    Ok(lines) => {
                        self.state = State::Follow(Following {
                            lines,
                            version,
                            is_proven: false,
                            heard: Instant::now(),
                        });
                        Ok(None)
                    }
                    Err(failed) => {
                        self.resume_unless_lost(version, &failed);
                        Err(failed)
                    }
                }
            }
            State::Follow(following) => self.follow(following).await,
        }
    }

    async fn list(&mut self, mut listed: Listed<T>) -> Result<Option<Event<T>>, Failed> {
        if let Some((key, object)) = listed.objects.pop_if(|_| self.in_parts) {
            self.state = State::List(listed);
            return Ok(Some(Event::Applied(key, object)));
        }
        if let Next::End(version) = listed.next {
            self.metrics.listed();
            self.state = State::Resume(version);
            let Listed { objects, bad, .. } = listed;
            return Ok(Some(Event::Listed { objects, bad }));
        }
        let turned = self.pager.turn(&self.client, &self.target, &self.read, &mut listed);
        turned.await?;
        self.metrics.progressed(SystemTime::now());
        (self.thin)(&mut listed.objects);
        self.state = State::List(listed);
        Ok(None)
    }

    async fn follow(&mut self, mut following: Following) -> Result<Option<Event<T>>, Failed> {
        let line = tokio::select! {
            line = timeout_at(following.heard + SILENCE, following.lines.next()) => line,
            key = self.again.next() => {
                self.state = State::Follow(following);
                return Ok(self.read_again(key).await);
            }
        };
        let line = line.map_err(|_| Failed::silent(SILENCE))?;
        let line = match line {
            Ok(Some(line)) => line,
            Ok(None) => {
                self.state = State::Resume(following.version);
                return if following.is_proven {
                    Ok(None)
                } else {
                    Err(Failed::ended())
                };
            }
            Err(failed) => {
                self.resume_unless_lost(following.version, &failed);
                return Err(failed);
            }
        };
        let garbled = || Failed::garbled("its watch sent a line that is no event");
        let line: Line<'_> = serde_json::from_slice(&line).map_err(|_| garbled())?;
        if line.r#type == "ERROR" {
            let failed = Failed::reported(line.object.get());
            self.resume_unless_lost(following.version, &failed);
            return Err(failed);
        }
        self.metrics.progressed(SystemTime::now());
        self.failures = 0;
        let object = line.object.get();
        let metadata = Metadata::of(object);
        let key = metadata.key();
        let event = match (&*line.r#type, (self.read)(object)) {
            ("BOOKMARK", _) => None,
            ("DELETED", object) => {
                self.again.forget(&key);
                Some(Event::Deleted(key, object.ok().flatten()))
            }
            ("ADDED" | "MODIFIED", Ok(None)) => Some(Event::Deleted(key, None)),
            ("ADDED" | "MODIFIED", Ok(Some(object))) => Some(Event::Applied(key, object)),
            ("ADDED" | "MODIFIED", Err(why)) => Some(Event::Bad(Bad { key, why })),
            _ => return Err(garbled()),
        };
        if !metadata.resource_version.is_empty() {
            following.version = metadata.resource_version.into_owned();
        }
        following.is_proven = true;
        following.heard = Instant::now();
        self.state = State::Follow(following);
        Ok(event)
    }

    /// What one object is now. If it is gone, the watch itself says so.
    async fn read_again(&mut self, key: Key) -> Option<Event<T>> {
        let target = self.target.one(&key);
        match Pager::default().list(&self.client, &target, &self.read).await {
            Ok(Listed {
                mut objects, mut bad, ..
            }) => {
                let object = objects.pop().map(|(key, object)| Event::Applied(key, object));
                object.or_else(|| bad.pop().map(Event::Bad))
            }
            Err(Failed { trouble, .. }) => {
                self.metrics.failed(trouble.failure);
                self.again.later(key);
                None
            }
        }
    }

    /// After a failed watch: what happened since the version is told later, unless the API server no longer has it or
    /// the resource is gone.
    fn resume_unless_lost(&mut self, version: String, failed: &Failed) {
        match failed.trouble.failure {
            WatchFailure::Refused | WatchFailure::Forbidden | WatchFailure::Broken => {
                self.state = State::Resume(version);
            }
            // The API server works: after an outage every watch ends like this.
            WatchFailure::Expired => self.failures = 0,
            _ => {}
        }
    }
}

impl<T> Default for State<T> {
    fn default() -> Self {
        Self::List(Listed::default())
    }
}

/// How long to wait after so many failures in a row: between half and all of a time that doubles.
fn pause(failures: u32) -> Duration {
    let longest = FIRST_PAUSE.saturating_mul(1 << failures.min(8)).min(LONGEST_PAUSE);
    let half = longest / 2;
    half + Duration::from_millis(random(u64::try_from(half.as_millis()).unwrap_or(u64::MAX)))
}

/// Some number below `bound`, another one in each process.
fn random(bound: u64) -> u64 {
    RandomState::new().hash_one(()) % bound.max(1)
}

#[cfg(test)]
mod tests;
