//! What one connection is doing, and from that when it has to be looked at next.
//!
//! hyper's own timers cannot be used: its header timeout also runs while a connection is idle, where the caller's pool
//! relies on it. One timer a connection is enough, since it is only moved when it fires, never by a request.

use super::Settings;
use super::drain::Phase;
use crate::metrics::Closed;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// The state of a connection, shared by its task, its requests and the register of places.
#[derive(Debug)]
pub(super) struct Activity {
    accepted: Instant,
    /// What the connection has proved to speak: [`UNPROVEN`], [`HTTP_1`] or [`HTTP_2`].
    protocol: AtomicU8,
    in_flight: AtomicUsize,
    /// When the last request ended, in nanoseconds from `accepted`.
    last: AtomicU64,
    evicted: AtomicBool,
    nudge: Notify,
}

const UNPROVEN: u8 = 0;
const HTTP_1: u8 = 1;
const HTTP_2: u8 = 2;

/// What to do with a connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing is due before that instant.
    KeepUntil(Instant),
    /// It goes now.
    Close(Closed),
}

/// A request of the connection that is being answered.
#[derive(Debug)]
pub(super) struct InFlight<'a>(&'a Activity);

impl Activity {
    pub(super) fn new() -> Self {
        Self {
            accepted: Instant::now(),
            protocol: AtomicU8::new(UNPROVEN),
            in_flight: AtomicUsize::new(0),
            last: AtomicU64::new(0),
            evicted: AtomicBool::new(false),
            nudge: Notify::new(),
        }
    }

    /// Notes that a request begins; the first one proves the connection, which is told.
    pub(super) fn begin(&self, is_http2: bool) -> (InFlight<'_>, bool) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        let is_first = self.protocol.load(Ordering::Relaxed) == UNPROVEN;
        if is_first {
            self.protocol
                .store(if is_http2 { HTTP_2 } else { HTTP_1 }, Ordering::Relaxed);
            if is_http2 {
                // While draining, its task says goodbye now.
                self.nudge.notify_one();
            }
        }
        (InFlight(self), is_first)
    }

    pub(super) fn is_http2(&self) -> bool {
        self.protocol.load(Ordering::Relaxed) == HTTP_2
    }

    /// Asks the connection's task to end.
    pub(super) fn evict(&self) {
        self.evicted.store(true, Ordering::Relaxed);
        self.nudge.notify_one();
    }

    pub(super) fn is_evicted(&self) -> bool {
        self.evicted.load(Ordering::Relaxed)
    }

    /// Waits until the state has changed in a way that the timer does not see.
    pub(super) async fn nudged(&self) {
        self.nudge.notified().await;
    }

    /// What is due at `now`.
    pub(super) fn verdict(&self, now: Instant, phase: Phase, settings: &Settings) -> Verdict {
        if self.is_evicted() {
            return Verdict::Close(Closed::Evicted);
        }
        let (idle, reason) = match phase {
            Phase::Serving | Phase::Draining => (settings.idle, Closed::Idle),
            Phase::Closing => (settings.drain_idle, Closed::Drained),
        };
        if self.in_flight.load(Ordering::Relaxed) > 0 {
            // It ends by itself, and what is idle afterwards is seen then.
            return Verdict::KeepUntil(now + idle);
        }
        let idle_until = self.accepted + Duration::from_nanos(self.last.load(Ordering::Relaxed)) + idle;
        let (due, reason) = if self.protocol.load(Ordering::Relaxed) == UNPROVEN {
            let first_request_until = self.accepted + settings.first_request;
            match phase {
                Phase::Closing if idle_until < first_request_until => (idle_until, reason),
                _ => (first_request_until, Closed::NoRequest),
            }
        } else {
            (idle_until, reason)
        };
        if due <= now {
            Verdict::Close(reason)
        } else {
            Verdict::KeepUntil(due)
        }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let since = u64::try_from(self.0.accepted.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.0.last.store(since, Ordering::Relaxed);
        self.0.in_flight.fetch_sub(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_closed_for_what_it_did_not_do() {
        let settings = Settings::default();
        let seconds = Duration::from_secs;
        let close = |reason| Err(reason);
        let keep = |until| Ok(seconds(until));
        let rows = [
            ("new", Phase::Serving, 0, false, 0, keep(10)),
            (
                "no request after 10 s",
                Phase::Serving,
                0,
                false,
                10,
                close(Closed::NoRequest),
            ),
            ("no request, draining", Phase::Draining, 0, false, 9, keep(10)),
            ("no request, closing", Phase::Closing, 0, false, 2, keep(3)),
            (
                "no request, closing, 3 s old",
                Phase::Closing,
                0,
                false,
                3,
                close(Closed::Drained),
            ),
            ("idle for 90 s", Phase::Serving, 1, false, 90, keep(120)),
            ("idle for 120 s", Phase::Serving, 1, false, 120, close(Closed::Idle)),
            ("idle, draining", Phase::Draining, 1, false, 119, keep(120)),
            ("idle for 2 s, closing", Phase::Closing, 1, false, 2, keep(3)),
            (
                "idle for 3 s, closing",
                Phase::Closing,
                1,
                false,
                3,
                close(Closed::Drained),
            ),
            ("busy for long", Phase::Serving, 1, true, 500, keep(620)),
            ("busy, closing", Phase::Closing, 1, true, 500, keep(503)),
        ];
        for (name, phase, requests, busy, age, expected) in rows {
            let activity = Activity::new();
            for _ in 0..requests {
                drop(activity.begin(false));
            }
            activity.last.store(0, Ordering::Relaxed);
            let busy = busy.then(|| activity.begin(false));
            let expected = match expected {
                Ok(until) => Verdict::KeepUntil(activity.accepted + until),
                Err(reason) => Verdict::Close(reason),
            };
            let verdict = activity.verdict(activity.accepted + seconds(age), phase, &settings);
            assert_eq!(verdict, expected, "{name}");
            drop(busy);
        }
    }

    #[test]
    fn the_idle_time_begins_with_the_end_of_the_last_request() {
        let activity = Activity::new();
        let request = activity.begin(false);
        assert_eq!(activity.last.load(Ordering::Relaxed), 0);
        drop(request);
        assert!(activity.last.swap(7_000_000_000, Ordering::Relaxed) > 0);
        let now = activity.accepted + Duration::from_secs(20);
        let verdict = activity.verdict(now, Phase::Serving, &Settings::default());
        assert_eq!(
            verdict,
            Verdict::KeepUntil(activity.accepted + Duration::from_secs(127))
        );
    }

    #[test]
    fn only_the_first_request_proves() {
        let activity = Activity::new();
        assert!(activity.begin(true).1);
        assert!(activity.is_http2());
        assert!(!activity.begin(true).1);
    }
}
