//! What to do next.
//!
//! In: everything that the watches say, the answers to what was done, and the clock. Out: one [`Task`] at a time. A
//! [`Planner`] keeps what is known and which copies may be concerned by the last news; what is to be done about a copy is
//! worked out when its turn comes, from what is known then.
//!
//! It refuses to write before the first lists are complete, to write or delete what is not ours, to remove anything while
//! rules cannot be read completely or faster than allowed, and to touch a namespace that is going.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::copy::{CopyObject, Style};
use super::desired::{Claim, Claims, Hold};
use super::event::{Announcer, Event};
use super::identity::Identity;
use super::intern::Interner;
use super::names::{Names, Reach};
use super::ownership::Observed;
use super::patience::Patience;
use super::pending::Pending;
use super::place::{Common, Copy, Place};
use super::refusal::Refusal;
use super::removal::Removals;
use super::source::{Source, SourceSecret, Sources, scopes};
use super::{Moment, Target};
use crate::rules::{Namespace, namespaces::PROTECTED};

pub use super::desired::RuleFacts;
pub use super::pending::Priority;
pub use super::place::NamespaceFacts;
pub use super::removal::Removed;

mod decide;
mod news;
mod standing;
mod sweep;

use decide::Decision;
pub use standing::{Obstacle, Summary};
use sweep::Sweep;

/// What the admin decided.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The namespace that we run in. Nothing is ever copied there.
    pub own_namespace: String,
    /// Where sources may come from.
    pub source_namespaces: BTreeSet<String>,
    /// Which Secrets are touched at all, where that is limited to some.
    pub names: Option<Names>,
    /// How long the copies of a deleted rule stay.
    pub keep_copies: Duration,
}

/// One thing to do about one copy.
#[derive(Debug, Clone)]
pub struct Task {
    /// Which copy.
    pub target: Target,
    /// How urgent it is.
    pub priority: Priority,
    /// What to do.
    pub action: Action,
    /// By which its answer is known.
    ticket: u64,
}

/// What to do about a copy.
#[derive(Debug, Clone)]
pub enum Action {
    /// Read its metadata: what is there is not known, or no longer.
    Look,
    /// Apply, without force: there is nothing that we know of.
    Create {
        /// What it is made of.
        source: Arc<Source>,
    },
    /// Apply with force, to this very object.
    Update {
        /// What it is made of.
        source: Arc<Source>,
        /// Which object.
        identity: Identity,
    },
    /// Delete this very object and, at once, apply without force: it cannot be changed any more.
    Replace {
        /// What it is made of.
        source: Arc<Source>,
        /// Which object.
        identity: Identity,
    },
    /// Delete this very object.
    Delete {
        /// Which object.
        identity: Identity,
    },
}

/// What came of a task.
#[derive(Debug, Clone)]
pub enum Answer {
    /// The Secret that is there now: what an apply or a look returned, or a deletion that waits for a finalizer.
    Found(Observed),
    /// There is no such Secret now.
    Absent,
    /// It was not done.
    Refused(Refusal),
}

/// All that is known, and what is left to do.
#[derive(Debug)]
pub struct Planner {
    settings: Settings,
    texts: Interner<str>,
    alike: Interner<Common>,
    reach: Reach,
    claims: Claims,
    sources: Sources,
    places: BTreeMap<Arc<str>, Place>,
    /// How many of the copies are ours.
    ours: usize,
    pending: Pending,
    running: HashMap<Target, Running>,
    /// How many tasks were handed out.
    tickets: u64,
    patience: HashMap<Target, Patience>,
    removals: Removals,
    /// Whether the first lists are complete.
    is_started: bool,
    /// Since when all rules can be read, if they can; later by all the time in which they could not.
    complete: Option<Moment>,
    /// When they last could no longer, and what [`Planner::complete`] was then.
    incomplete: Option<(Moment, Moment)>,
    sweep: Option<Sweep>,
    missed: u64,
    /// Rules whose status may be another now.
    touched: HashSet<Arc<str>>,
    /// Rules whose copies got a new version of their source.
    rotated: HashSet<Arc<str>>,
    announcer: Announcer,
}

/// A task that was handed out.
#[derive(Debug)]
struct Running {
    ticket: u64,
    /// The version of the source that is applied.
    version: Option<Arc<str>>,
    /// For a removal, whether a rule was seen to want the copy.
    removes_wanted: Option<bool>,
    is_rotation: bool,
}

impl Action {
    /// The object to apply, if any; with the name [`FIELD_MANAGER`](super::FIELD_MANAGER).
    #[must_use]
    pub fn object<'a>(&'a self, target: &'a Target, style: &'a Style) -> Option<CopyObject<'a>> {
        match self {
            Self::Create { source } | Self::Replace { source, .. } => {
                Some(CopyObject::new(source, target, style, None))
            }
            Self::Update { source, identity } => Some(CopyObject::new(source, target, style, Some(identity))),
            Self::Look | Self::Delete { .. } => None,
        }
    }

    /// Whether to apply it with force.
    #[must_use]
    pub fn is_forced(&self) -> bool {
        matches!(self, Self::Update { .. })
    }
}

impl Settings {
    /// What is watched for sources: whole namespaces, or single Secrets as `namespace/name`.
    pub fn source_scopes(&self) -> impl Iterator<Item = Arc<str>> {
        scopes(&self.source_namespaces, self.names.as_ref()).map(Arc::from)
    }
}

impl Planner {
    /// Nothing is known yet, and nothing will be written before [`Planner::start`].
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            sources: Sources::new(&settings.source_namespaces, settings.names.as_ref()),
            reach: Reach::new(settings.names.as_ref()),
            settings,
            texts: Interner::default(),
            alike: Interner::default(),
            claims: Claims::default(),
            places: BTreeMap::new(),
            ours: 0,
            pending: Pending::default(),
            running: HashMap::new(),
            tickets: 0,
            patience: HashMap::new(),
            removals: Removals::default(),
            is_started: false,
            complete: None,
            incomplete: None,
            sweep: None,
            missed: 0,
            touched: HashSet::new(),
            rotated: HashSet::new(),
            announcer: Announcer::default(),
        }
    }

    /// The first lists are complete, and we lead: from now on there is something to do. Also after [`Planner::stop`].
    pub fn start(&mut self) {
        self.is_started = true;
        self.touched = self.claims.all().map(|claim| Arc::clone(&claim.uid)).collect();
        for (target, _) in self.patience.iter().filter(|(_, patience)| patience.has_vanished()) {
            self.pending.push(target.clone(), Priority::Removal);
        }
        self.pass(false);
    }

    /// We lead no longer: whatever was handed out is somebody else's now.
    pub fn stop(&mut self) {
        self.is_started = false;
        self.pending.clear();
        self.running.clear();
        self.removals.abandon();
        self.sweep = None;
    }

    /// Goes through everything once more. What that finds to do was missed before: [`Planner::missed`].
    pub fn prove(&mut self, now: Moment) {
        self.alike.sweep();
        self.texts.sweep();
        self.patience.retain(|_, patience| !patience.is_over(now));
        self.announcer.sweep(now);
        self.pass(true);
    }

    /// The most urgent task, if there is one that is at least so urgent. Its answer is to be reported. After `None`, ask
    /// again at [`Planner::wakes_at`] and after any news.
    pub fn next(&mut self, lowest: Priority, now: Moment) -> Option<Task> {
        if !self.is_started {
            return None;
        }
        self.advance_time(now);
        let task = self.take_next(lowest, now);
        if task.is_some() || self.sweep.is_none() {
            return task;
        }
        self.sweep_on(now);
        self.take_next(lowest, now)
    }

    fn take_next(&mut self, lowest: Priority, now: Moment) -> Option<Task> {
        while let Some((target, queued)) = self.pending.pop(lowest) {
            // One that is under way comes up again with its answer.
            if !self.running.contains_key(&target)
                && let Some(task) = self.take(target, queued, now)
            {
                return Some(task);
            }
        }
        None
    }

    /// When there may be something to do without any news.
    #[must_use]
    pub fn wakes_at(&self, now: Moment) -> Option<Moment> {
        if !self.is_started {
            return None;
        }
        if self.sweep.is_some() || self.pending.len() > 0 {
            return Some(now);
        }
        let held_back = self.removals.next(self.ours, now);
        let deleted = self.complete.and(self.claims.next_end()).map(|(end, _)| *end);
        [self.pending.next_due(), held_back, deleted]
            .into_iter()
            .flatten()
            .min()
    }

    /// What came of a task. One that was handed out before we last stopped to lead counts for nothing.
    pub fn report(&mut self, task: &Task, answer: Answer, now: Moment) {
        let target = &task.target;
        let Entry::Occupied(entry) = self.running.entry(target.clone()) else {
            return;
        };
        if entry.get().ticket != task.ticket {
            return;
        }
        let running = entry.remove();
        if let Some(was_wanted) = running.removes_wanted {
            let is_certain_to_be_there = match &answer {
                Answer::Found(found) => !found.is_being_deleted,
                Answer::Absent => false,
                Answer::Refused(refusal) => !matches!(refusal, Refusal::Unavailable { .. }),
            };
            self.removals.end(was_wanted, !is_certain_to_be_there, now);
        }
        match answer {
            Answer::Found(observed) => self.found(target, observed, &running, now),
            Answer::Absent => {
                self.forget_refusal(target, false, now);
                self.drop_copy(target);
            }
            Answer::Refused(refusal) => self.refused(target, refusal, now),
        }
        self.affect(target.clone(), task.priority);
    }

    /// How many copies wait for their turn, and how many beside them for the hour to allow their removal.
    #[must_use]
    pub fn backlog(&self) -> (usize, usize) {
        (self.pending.len(), self.removals.held_back().count())
    }

    /// How many copies of ours there are.
    #[must_use]
    pub fn copies(&self) -> usize {
        self.ours
    }

    /// How many copies needed something that only a proof found. It should stay 0.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// How many copies were removed since the planner was made, or may have been.
    #[must_use]
    pub fn removed(&self) -> Removed {
        self.removals.total()
    }

    /// These removals count, each with how long it still does: ours and those of whoever led before.
    pub fn resume_removals(&mut self, known: &[(Duration, Removed)], now: Moment) {
        self.removals.resume(known, now);
    }

    /// What is to be announced by now.
    pub fn take_events(&mut self) -> Vec<Event> {
        self.announcer.take()
    }

    /// The rules, by uid, whose summary may be another now.
    pub fn take_touched(&mut self) -> Vec<Arc<str>> {
        self.touched.drain().collect()
    }

    /// Hands out what is to be done about a target, unless that is less urgent than its turn: then it waits again.
    fn take(&mut self, target: Target, queued: Priority, now: Moment) -> Option<Task> {
        self.note_wanted(&target);
        self.announce_foreign(&target, now);
        match self.decide(&target, queued, now) {
            Decision::Nothing => None,
            Decision::Wait(until) => {
                self.pending.push_at(until, target);
                None
            }
            Decision::HeldBack => {
                self.hold_back(target);
                None
            }
            Decision::Do(_, priority) if priority > queued => {
                self.pending.push(target, priority);
                None
            }
            Decision::Do(action, priority) => {
                let removes = matches!(action, Action::Delete { .. });
                let removes_wanted = removes.then(|| self.was_wanted(&target));
                if let Some(was_wanted) = removes_wanted {
                    self.removals.begin(was_wanted);
                }
                let version = action.source().map(|source| Arc::clone(&source.version));
                self.tickets += 1;
                let ticket = self.tickets;
                let running = Running {
                    ticket,
                    version,
                    removes_wanted,
                    is_rotation: priority == Priority::Rotation
                        && matches!(action, Action::Update { .. } | Action::Replace { .. }),
                };
                self.running.insert(target.clone(), running);
                Some(Task {
                    target,
                    priority,
                    action,
                    ticket,
                })
            }
        }
    }

    /// Puts in line whose time has come.
    fn advance_time(&mut self, now: Moment) {
        while let Some(target) = self.pending.pop_due(now) {
            self.pending.push(target, Priority::Repair);
        }
        while let Some((end, uid)) = self.claims.next_end()
            && *end <= now
            && self.complete.is_some()
        {
            let uid = Arc::clone(uid);
            if let Some(claim) = self.claims.remove(&uid) {
                self.affect_claim(&claim, Priority::Removal);
            }
        }
        if let Some(target) = self.removals.pop(self.ours, now) {
            self.pending.push(target, Priority::Removal);
        }
    }

    fn hold_back(&mut self, target: Target) {
        let was_wanted = self.was_wanted(&target);
        self.removals.hold_back(target, was_wanted);
    }

    /// Whether a rule was seen to want the copy that is there.
    fn was_wanted(&self, target: &Target) -> bool {
        self.copy(target).is_some_and(|copy| copy.was_wanted)
    }

    /// The namespace, if copies may be written there: it is known, not going, and not the node's or our own.
    fn live<'p>(&self, name: &'p str, place: &'p Place) -> Option<Namespace<'p>> {
        let facts = place.facts.as_ref().filter(|facts| !facts.is_terminating)?;
        let is_free = !PROTECTED.contains(&name) && name != self.settings.own_namespace;
        is_free.then_some(Namespace {
            name,
            labels: Some(&facts.labels),
        })
    }
}

impl Action {
    fn source(&self) -> Option<&Arc<Source>> {
        match self {
            Self::Create { source } | Self::Update { source, .. } | Self::Replace { source, .. } => Some(source),
            Self::Look | Self::Delete { .. } => None,
        }
    }
}
