//! Objects that are to be read again, one by one, beside a watch.
//!
//! In: where they are. Out: one of them at a time, and with a pause: whoever can make it so that many are, and does that
//! again and again, is not to keep the watch from the others.

use std::collections::BTreeSet;
use std::future::pending;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::Key;

/// From one to the next.
const PAUSE: Duration = Duration::from_millis(25);
/// After one that could not be read.
const LONG_PAUSE: Duration = Duration::from_secs(15);

/// What waits.
pub(super) struct Again {
    asked: Option<mpsc::UnboundedReceiver<Key>>,
    keys: BTreeSet<Key>,
    next: Instant,
}

impl Again {
    /// Nothing waits, and what is asked for comes by this.
    pub(super) fn new(asked: Option<mpsc::UnboundedReceiver<Key>>) -> Self {
        Self {
            asked,
            keys: BTreeSet::new(),
            next: Instant::now(),
        }
    }

    /// Waits for the next one's turn. Nothing is lost if nobody waits for that.
    pub(super) async fn next(&mut self) -> Key {
        loop {
            tokio::select! {
                key = receive(&mut self.asked) => {
                    self.keys.insert(key);
                }
                () = sleep_until(self.next), if !self.keys.is_empty() => {
                    self.next = Instant::now() + PAUSE;
                    if let Some(key) = self.keys.pop_first() {
                        return key;
                    }
                }
            }
        }
    }

    /// It could not be read. Everything waits, for longer.
    pub(super) fn later(&mut self, key: Key) {
        self.keys.insert(key);
        self.next = Instant::now() + LONG_PAUSE;
    }

    /// It is gone.
    pub(super) fn forget(&mut self, key: &Key) {
        self.keys.remove(key);
    }
}

async fn receive(asked: &mut Option<mpsc::UnboundedReceiver<Key>>) -> Key {
    match asked {
        Some(asked) => match asked.recv().await {
            Some(key) => key,
            None => pending().await,
        },
        None => pending().await,
    }
}
