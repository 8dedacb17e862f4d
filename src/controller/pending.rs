//! Copies that may have something to be done about, the most urgent first.

use std::collections::{BTreeSet, HashMap, VecDeque};

use super::{Moment, Target};

/// How urgent it is, the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// A namespace was born: its first Pod is on the way.
    Newborn,
    /// A copy was changed or lost, or a namespace got other labels.
    Repair,
    /// A source or a rule changed.
    Rotation,
    /// A copy is wanted no more.
    Removal,
}

/// What waits: each target once, however often it was named.
#[derive(Debug, Default)]
pub(super) struct Pending {
    queues: [VecDeque<Target>; 4],
    /// In which of the queues a target is. What else stands in them has moved on.
    places: HashMap<Target, Priority>,
    timers: BTreeSet<(Moment, Target)>,
}

impl Priority {
    pub(super) const ALL: [Self; 4] = [Self::Newborn, Self::Repair, Self::Rotation, Self::Removal];
}

impl Pending {
    /// Adds a target, or moves it forward.
    pub(super) fn push(&mut self, target: Target, priority: Priority) {
        if self.places.get(&target).is_none_or(|known| priority < *known) {
            self.places.insert(target.clone(), priority);
            if let Some(queue) = self.queues.get_mut(priority as usize) {
                queue.push_back(target);
            }
        }
    }

    /// Takes the most urgent target that is at least so urgent.
    pub(super) fn pop(&mut self, lowest: Priority) -> Option<(Target, Priority)> {
        for (queue, priority) in self.queues.iter_mut().zip(Priority::ALL) {
            if priority > lowest {
                break;
            }
            while let Some(target) = queue.pop_front() {
                if self.places.get(&target) == Some(&priority) {
                    self.places.remove(&target);
                    return Some((target, priority));
                }
            }
            queue.shrink_to(0);
        }
        None
    }

    /// Has a target come up at that time.
    pub(super) fn push_at(&mut self, at: Moment, target: Target) {
        self.timers.insert((at, target));
    }

    /// Takes a target whose time has come.
    pub(super) fn pop_due(&mut self, now: Moment) -> Option<Target> {
        if self.timers.first()?.0 > now {
            return None;
        }
        self.timers.pop_first().map(|(_, target)| target)
    }

    /// When the next target's time comes.
    pub(super) fn next_due(&self) -> Option<Moment> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether the target waits.
    pub(super) fn contains(&self, target: &Target) -> bool {
        self.places.contains_key(target)
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
