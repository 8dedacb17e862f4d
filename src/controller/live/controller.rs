//! The task that owns the planner: news in, tasks out.

mod news;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use kube::Client;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info, warn};

use super::Settings;
use super::announce::{Herald, Subject};
use super::api::Api;
use super::budget::Budget;
use super::lease::Leadership;
use super::ledger::Ledger;
use super::matches::{Heard, Inquiry};
use super::rules::Book;
use super::statuses::{Clerk, Written as StatusWritten, subject};
use super::watches::Watches;
use super::write::Writer;
use crate::cluster::{Key, NOT_YET};
use crate::controller::event::{Event as Announcement, Regarding};
use crate::controller::plan::{self, Action, Answer, Planner, Priority, Removed, Task};
use crate::controller::refusal::Refusal;
use crate::controller::{Moment, Target};
use crate::metrics::{CopyMetrics, Metrics, Resource, WriteKind, WriteResult};
use crate::readiness::{BEAT, Readiness};

/// How often it is proven that nothing was missed.
const PROOF: Duration = Duration::from_mins(10);
/// How many changes are taken together.
const BATCH: usize = 256;
/// How long everything waits if the API server asks for patience and does not say how long.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long the birth of a namespace is remembered, for the time until its copies are there.
const CHILDHOOD: Duration = Duration::from_mins(1);

/// The running controller.
pub(super) struct Controller<'m> {
    writer: Writer,
    planner: Planner,
    book: Book,
    clerk: Clerk,
    herald: Herald,
    inquiry: Inquiry,
    watches: Watches<'m>,
    metrics: CopyMetrics,
    readiness: &'m Readiness,
    leadership: Leadership,
    /// How many of the removals were told to the Lease.
    told_removed: Removed,
    /// Whether the planner was told to begin.
    is_leading: bool,
    /// What has not been listed yet.
    awaited: Vec<Awaited>,
    /// All namespaces, to tell births from changes.
    namespaces: HashSet<Box<str>>,
    births: HashMap<Box<str>, Moment>,
    /// The Secrets that copies may be made of, to count them.
    sources: HashSet<Key>,
    /// Those that are handed over.
    adoptions: HashSet<Key>,
    general: Budget,
    newborn: Budget,
    writes: JoinSet<Written>,
    began: Instant,
    next_proof: Moment,
    /// Whether a proof is under way.
    is_proving: bool,
}

/// A first list.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Awaited {
    resource: Resource,
    /// Of sources their scope, and of copies that are found by their name that name.
    of: Option<Arc<str>>,
    /// Why not.
    why: String,
}

/// A task that was done, or not.
struct Written {
    task: Task,
    answer: Answer,
    is_newborn: bool,
}

impl<'m> Controller<'m> {
    pub(super) fn new(
        client: Client,
        api: Api,
        herald: Herald,
        settings: Settings,
        metrics: &'m Metrics,
        readiness: &'m Readiness,
        leadership: Leadership,
    ) -> Self {
        let style = Arc::new(settings.style);
        let plan = settings.plan;
        let watches = Watches::start(client, &plan, &style, metrics, api.is_back());
        Self {
            clerk: Clerk::new(api.clone()),
            writer: Writer::new(api, style),
            awaited: awaited(&plan),
            planner: Planner::new(plan),
            book: Book::default(),
            herald,
            inquiry: Inquiry::new(settings.matches),
            watches,
            metrics: metrics.copies(),
            readiness,
            leadership,
            told_removed: Removed::default(),
            is_leading: false,
            namespaces: HashSet::new(),
            births: HashMap::new(),
            sources: HashSet::new(),
            adoptions: HashSet::new(),
            general: Budget::new(settings.writes),
            newborn: Budget::new(settings.writes),
            writes: JoinSet::new(),
            began: Instant::now(),
            next_proof: PROOF,
            is_proving: false,
        }
    }

    /// Returns only when a watch or a write panicked.
    pub(super) async fn run(&mut self) {
        self.tell_awaited();
        self.tell_role();
        let mut batch = Vec::new();
        loop {
            let wake = self.began + self.turn();
            tokio::select! {
                _ = self.watches.changes.recv_many(&mut batch, BATCH) => {}
                Some(done) = self.writes.join_next() => match done {
                    Ok(written) => self.written(written),
                    Err(_) => return,
                },
                Some(done) = self.clerk.next_answer() => match done {
                    Ok(written) => self.status_written(written),
                    Err(_) => return,
                },
                Some(done) = self.inquiry.next_answer() => match done {
                    Ok(heard) => self.heard(heard),
                    Err(_) => return,
                },
                Ok(()) = self.leadership.term.changed() => {}
                () = sleep_until(wake) => {}
                _ = self.watches.tasks.join_next() => return,
            }
            for change in batch.drain(..) {
                self.apply(change);
            }
        }
    }

    /// Does all that can be done now. Returns when there may be more to do without any news.
    fn turn(&mut self) -> Moment {
        self.readiness.beat();
        let now = self.began.elapsed();
        self.lead_or_not(now);
        let mut wakes = vec![now + BEAT];
        if self.is_leading {
            if self.next_proof <= now {
                self.prove(now);
            }
            wakes.extend(self.hand_out(now));
            self.note_removals();
            self.clerk.write(&mut self.book, &mut self.planner, now);
            self.planner.take_events().iter().for_each(|event| self.announce(event));
            wakes.extend(self.clerk.wakes_at(now));
            wakes.extend(self.inquiry.turn(now));
            wakes.extend(self.leads_until());
        } else {
            // Another replica tells these.
            self.planner.take_events();
        }
        for uid in self.planner.take_touched() {
            if self.is_leading {
                self.clerk.touch(uid, &self.book, now);
                wakes.extend(self.clerk.wakes_at(now));
            }
        }
        self.measure();
        wakes.into_iter().min().unwrap_or(now)
    }

    fn lead_or_not(&mut self, now: Moment) {
        let may_lead = self.leads_until().is_some_and(|until| now < until) && self.awaited.is_empty();
        if may_lead && !self.is_leading {
            info!("copies are written from now on");
            self.is_leading = true;
            let ledger = self.leadership.removed_before.borrow().clone();
            self.planner.resume_removals(&ledger.counting(seconds()), now);
            self.leadership.removed.send_replace(Some(ledger));
            self.planner.start();
            self.touch_all(now);
            // The first pass is as good as a proof.
            self.next_proof = now + PROOF;
            self.is_proving = true;
            self.tell_role();
        } else if !may_lead && self.is_leading {
            warn!("nothing is written any more: another replica may lead");
            self.is_leading = false;
            self.leadership.removed.send_replace(None);
            self.planner.stop();
            self.clerk.stop();
            self.inquiry.stop();
            self.writes = JoinSet::new();
            self.general.abandon();
            self.newborn.abandon();
            self.tell_role();
        }
        self.metrics.set_leader(self.is_leading);
    }

    /// Has the Lease say what was removed.
    fn note_removals(&mut self) {
        let removed = self.planner.removed();
        if removed != self.told_removed {
            let more = removed - self.told_removed;
            let note = |ledger: &mut Option<Ledger>| ledger.get_or_insert_default().add(more, seconds());
            self.leadership.removed.send_modify(note);
            self.told_removed = removed;
        }
    }

    fn tell_role(&self) {
        let role = if self.is_leading {
            "this replica leads: it writes copies and statuses"
        } else {
            "this replica does not lead: it knows what the leader knows, and writes nothing"
        };
        self.readiness.set_notes("role", vec![role.to_owned()]);
    }

    fn leads_until(&self) -> Option<Moment> {
        let until = *self.leadership.term.borrow();
        until.map(|until| until.saturating_duration_since(self.began))
    }

    /// Goes through everything once more.
    fn prove(&mut self, now: Moment) {
        self.planner.prove(now);
        self.touch_all(now);
        self.births.retain(|_, born| *born + CHILDHOOD > now);
        self.next_proof = now + PROOF;
        self.is_proving = true;
    }

    fn touch_all(&mut self, now: Moment) {
        for uid in self.book.uids() {
            self.clerk.touch(Arc::clone(uid), &self.book, now);
        }
    }

    /// Hands out tasks as long as there are some and they may be begun. Returns when to come again.
    fn hand_out(&mut self, now: Moment) -> Option<Moment> {
        loop {
            let is_open = self.general.is_open_beside(&self.newborn, now);
            let is_open_to_newborns = self.newborn.is_open(now);
            let lowest = match (is_open, is_open_to_newborns) {
                (true, _) => Priority::Removal,
                (false, true) => Priority::Newborn,
                (false, false) => {
                    let general = self.general.opens_beside(&self.newborn, now);
                    return general.into_iter().chain(self.newborn.opens_at(now)).min();
                }
            };
            let Some(task) = self.planner.next(lowest, now) else {
                return if is_open {
                    self.note_proof(now);
                    self.planner.wakes_at(now)
                } else {
                    self.general.opens_beside(&self.newborn, now)
                };
            };
            let is_newborn = task.priority == Priority::Newborn && is_open_to_newborns;
            self.budget(is_newborn).begin(now);
            let writer = self.writer.clone();
            self.writes.spawn(async move {
                let answer = writer.perform(&task).await;
                Written {
                    task,
                    answer,
                    is_newborn,
                }
            });
        }
    }

    fn written(
        &mut self,
        Written {
            task,
            answer,
            is_newborn,
        }: Written,
    ) {
        let now = self.began.elapsed();
        self.budget(is_newborn).end();
        if let Answer::Refused(Refusal::Throttled { after }) = &answer {
            let until = now + after.unwrap_or(PATIENCE);
            self.general.close_until(until);
            self.newborn.close_until(until);
        }
        let kind = match task.action {
            Action::Look => WriteKind::Look,
            Action::Create { .. } => WriteKind::Create,
            Action::Update { .. } => WriteKind::Update,
            Action::Replace { .. } => WriteKind::Replace,
            Action::Delete { .. } => WriteKind::Delete,
        };
        let result = match &answer {
            Answer::Found(_) | Answer::Absent => WriteResult::Done,
            Answer::Refused(Refusal::Conflict) => WriteResult::Conflict,
            Answer::Refused(Refusal::Throttled { .. }) => WriteResult::Throttled,
            Answer::Refused(Refusal::Unavailable { .. }) => WriteResult::Unavailable,
            Answer::Refused(_) => WriteResult::Refused,
        };
        self.metrics.written(kind, result);
        tell(&task, kind, &answer);
        if result == WriteResult::Done
            && kind == WriteKind::Create
            && let Some(born) = self.births.get(&*task.target.namespace)
            && *born + CHILDHOOD > now
        {
            self.metrics.newborn_served(now.saturating_sub(*born));
        }
        self.planner.report(&task, answer, now);
    }

    fn status_written(&mut self, written: StatusWritten) {
        let result = match self.clerk.answered(written, &mut self.book, self.began.elapsed()) {
            Some(events) => {
                for event in &events {
                    self.announce(event);
                }
                WriteResult::Done
            }
            None => WriteResult::Refused,
        };
        self.metrics.written(WriteKind::Status, result);
    }

    /// Takes note of when rules last matched. The statuses say it when nothing more urgent is to be said.
    fn heard(&mut self, heard: Heard) {
        self.inquiry.ended(&heard);
        for (uid, hour) in heard.hours {
            if let Some((kind, uid)) = self.book.matched(&uid, hour) {
                self.clerk.touch_at_leisure(kind, uid);
            }
        }
    }

    fn budget(&mut self, is_newborn: bool) -> &mut Budget {
        if is_newborn {
            &mut self.newborn
        } else {
            &mut self.general
        }
    }

    /// A proof ends when there is nothing left to do.
    fn note_proof(&mut self, now: Moment) {
        let is_idle = self.planner.wakes_at(now).is_none_or(|wakes| wakes > now);
        if self.is_proving && is_idle {
            self.is_proving = false;
            self.metrics.proved(SystemTime::now());
        }
    }

    fn announce(
        &self,
        Announcement {
            regarding,
            is_warning,
            reason,
            note,
        }: &Announcement,
    ) {
        let about = match regarding {
            Regarding::Rule(uid) => match self.book.place(uid) {
                Some(place) => subject(place, uid),
                None => return,
            },
            Regarding::Secret(Target { namespace, name }) => Subject {
                api_version: "v1",
                kind: "Secret",
                namespace: namespace.to_string(),
                name: name.to_string(),
                uid: String::new(),
            },
        };
        info!(kind = about.kind, namespace = about.namespace, name = about.name, %reason, "{note}");
        self.herald.tell(&about, *is_warning, reason, note);
    }

    fn measure(&self) {
        let (waiting, held_back) = self.planner.backlog();
        self.metrics.set_waiting(waiting, held_back);
        self.metrics.set_copies(self.planner.copies());
        self.count(Resource::Copies, (self.planner.copies(), 0));
        self.metrics.set_missed(self.planner.missed());
    }
}

/// The time of day, in seconds since 1970.
fn seconds() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map(|since| since.as_secs()).unwrap_or_default()
}

/// All first lists that are waited for.
fn awaited(plan: &plan::Settings) -> Vec<Awaited> {
    let mut lists = vec![(Resource::ClusterPullSecretRules, None), (Resource::Namespaces, None)];
    match &plan.names {
        None => lists.extend([(Resource::Copies, None), (Resource::Adoptions, None)]),
        Some(names) => {
            let copies = names.copies.iter().map(|name| Some(name.as_str().into()));
            lists.extend(copies.map(|name| (Resource::Copies, name)));
        }
    }
    lists.extend(plan.source_scopes().map(|scope| (Resource::Sources, Some(scope))));
    let awaited = lists.into_iter().map(|(resource, of)| Awaited {
        resource,
        of,
        why: NOT_YET.to_owned(),
    });
    awaited.collect()
}

/// Says what was done about a copy, or why not.
fn tell(task: &Task, kind: WriteKind, answer: &Answer) {
    let Target { namespace, name } = &task.target;
    let (namespace, secret, did) = (&**namespace, &**name, kind.as_str());
    match (answer, kind) {
        (Answer::Refused(Refusal::Conflict | Refusal::Terminating), _) | (_, WriteKind::Look) => {
            debug!(namespace, secret, did, ?answer, "a copy is looked at");
        }
        (Answer::Refused(refusal), _) => {
            warn!(
                namespace,
                secret,
                did,
                reason = refusal.reason(),
                "a copy is not written: {refusal}"
            );
        }
        (Answer::Found(_) | Answer::Absent, _) => info!(namespace, secret, did, "a copy is written"),
    }
}
