//! A look at something outside, every so often and whenever asked.
//!
//! In: a state and how to look. Out: what each look found, for as long as the caller polls. Files are looked at rather
//! than watched: a ConfigMap or Secret volume swaps a symlink, of which a watch on the file hears nothing.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// Looks every `period` and whenever `at_once` is notified, and reports what came of it. Looks run on a thread of their
/// own, since a disk may be slow. Returns only when a look panicked or the runtime ends.
pub async fn poll<S, F>(
    mut state: S,
    period: Duration,
    at_once: Arc<Notify>,
    look: impl Fn(&mut S) -> F + Clone + Send + 'static,
    mut report: impl FnMut(F),
) -> JoinError
where
    S: Send + 'static,
    F: Send + 'static,
{
    let mut ticks = interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = at_once.notified() => {}
        }
        let look = look.clone();
        let looked = spawn_blocking(move || {
            let found = look(&mut state);
            (state, found)
        });
        match looked.await {
            Ok((looked_at, found)) => {
                state = looked_at;
                report(found);
            }
            Err(error) => return error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc;

    const DAY: Duration = Duration::from_hours(24);

    /// Counts the looks, and tells each count.
    fn counting(period: Duration, at_once: &Arc<Notify>) -> mpsc::UnboundedReceiver<u32> {
        let (report, looks) = mpsc::unbounded_channel();
        let look = |count: &mut u32| {
            *count += 1;
            *count
        };
        tokio::spawn(poll(0, period, Arc::clone(at_once), look, move |count| {
            let _ = report.send(count);
        }));
        looks
    }

    #[tokio::test]
    async fn looks_every_period() {
        let mut looks = counting(Duration::from_millis(1), &Arc::default());
        assert_eq!(looks.recv().await, Some(1));
        assert_eq!(looks.recv().await, Some(2));
    }

    #[tokio::test]
    async fn looks_at_once_when_asked() {
        let at_once = Arc::new(Notify::new());
        let mut looks = counting(DAY, &at_once);
        at_once.notify_one();
        assert_eq!(looks.recv().await, Some(1));
        at_once.notify_one();
        assert_eq!(looks.recv().await, Some(2));
    }

    #[tokio::test]
    async fn a_look_that_panics_ends_it() {
        let look = |(): &mut ()| panic!("the disk is gone");
        let ended = poll((), Duration::from_millis(1), Arc::default(), look, |()| {}).await;
        assert!(ended.is_panic());
    }
}
