//! How long a copy is left alone: after a refusal, and where somebody keeps changing it.
//!
//! In: what happened to one copy, and when. Out: when it may be written again. The first change of a copy is put right at
//! once. Each further one within a while is left for longer, up to ten minutes, and however often the copy changes in the
//! meantime costs the one write at the end.

use std::time::Duration;

use super::Moment;
use super::refusal::{LONGEST_DELAY, Refusal};

/// From this change on somebody is at work against us, and it was no slip.
const CONTENDED: u32 = 2;
/// A copy that nobody touched for so long, and for twice its last delay, has peace. Tools that restore what they know
/// every few minutes give it none.
const PEACE: Duration = LONGEST_DELAY;

/// What is remembered of a copy in trouble. Most copies have none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Patience {
    refusal: Option<Refusal>,
    failures: u32,
    changes: u32,
    changed: Moment,
    until: Moment,
    has_vanished: bool,
}

impl Patience {
    /// When it may be written again.
    pub(super) fn until(&self) -> Moment {
        self.until
    }

    /// Why it could not be written, the last time.
    pub(super) fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_ref()
    }

    /// Whether writes were refused since the last one that was done.
    pub(super) fn has_failed(&self) -> bool {
        self.failures > 0
    }

    /// Whether somebody keeps changing it.
    pub(super) fn is_contended(&self) -> bool {
        self.changes >= CONTENDED
    }

    /// Whether it was ours and went out of sight: deleted, or without our label.
    pub(super) fn has_vanished(&self) -> bool {
        self.has_vanished
    }

    /// It went out of sight.
    pub(super) fn vanished(&mut self) {
        self.has_vanished = true;
    }

    /// A write was refused.
    pub(super) fn refused(&mut self, refusal: Refusal, now: Moment) {
        self.failures = self.failures.saturating_add(1);
        self.until = self.until.max(now + refusal.delay(self.failures));
        self.refusal = Some(refusal);
    }

    /// A write was done.
    pub(super) fn written(&mut self) {
        self.looked();
        self.failures = 0;
    }

    /// It was looked at: what follows is decided by what was seen, and yet one look must not chase the other.
    pub(super) fn looked(&mut self) {
        self.refusal = None;
        self.has_vanished = false;
    }

    /// Somebody changed or deleted the copy as we had written it.
    pub(super) fn changed(&mut self, now: Moment) {
        if self.is_over(now) {
            self.changes = 0;
        }
        self.changes = self.changes.saturating_add(1);
        self.changed = now;
        self.until = self.until.max(now + self.delay());
    }

    /// Whether nothing of it matters any more.
    pub(super) fn is_over(&self, now: Moment) -> bool {
        self.refusal.is_none()
            && !self.has_vanished
            && self.until <= now
            && (self.changes == 0 || now >= self.changed + PEACE.max(2 * self.delay()))
    }

    fn delay(&self) -> Duration {
        match self.changes {
            0 | 1 => Duration::ZERO,
            changes => Duration::from_secs(1)
                .saturating_mul(1_u32.checked_shl(changes - CONTENDED).unwrap_or(u32::MAX))
                .min(LONGEST_DELAY),
        }
    }
}
