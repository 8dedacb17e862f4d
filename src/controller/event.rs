//! Events: what people see in `kubectl describe`.
//!
//! In: what stands in the way of a copy, and what changed in a rule's status. Out: [`Event`]s. Of a tenant's namespace
//! only what is wrong there, about the Secret that should be there and by the rule's name, once an hour and reason;
//! whatever is wrong with a source concerns the rule alone.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Moment, Target};

/// No namespace hears the same reason again before.
const SILENCE: Duration = Duration::from_hours(1);

/// Something to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What it is about.
    pub regarding: Regarding,
    /// Whether something is wrong.
    pub is_warning: bool,
    /// One word.
    pub reason: Cow<'static, str>,
    /// A sentence.
    pub note: String,
}

/// The object of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Regarding {
    /// A rule, by its uid.
    Rule(Arc<str>),
    /// A Secret, there or not.
    Secret(Target),
}

/// What was told, and what is to be told.
#[derive(Debug, Default)]
pub(super) struct Announcer {
    told: HashMap<(Arc<str>, &'static str), Moment>,
    events: Vec<Event>,
}

impl Announcer {
    /// Tells a namespace about a copy, unless it heard the reason lately.
    pub(super) fn announce(&mut self, target: &Target, reason: &'static str, note: String, now: Moment) {
        let known = (Arc::clone(&target.namespace), reason);
        if self.told.get(&known).is_some_and(|told| *told + SILENCE > now) {
            return;
        }
        self.told.insert(known, now);
        self.events.push(Event {
            regarding: Regarding::Secret(target.clone()),
            is_warning: true,
            reason: reason.into(),
            note,
        });
    }

    pub(super) fn take(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Forgets what may be told again.
    pub(super) fn sweep(&mut self, now: Moment) {
        self.told.retain(|_, told| *told + SILENCE > now);
    }
}
