//! One copy: what is to be done about it, if anything.
//!
//! In: all that is known, one target, the clock. Out: a [`Decision`]. It changes nothing but what is remembered of the
//! copy, and asks for nothing: called twice it decides the same.

use std::sync::Arc;

use super::{Action, Copy, Moment, Planner, Priority, Target};
use crate::controller::desired::Claim;
use crate::controller::ownership::Share;
use crate::controller::patience::Patience;
use crate::controller::refusal::{LONGEST_DELAY, Refusal};

/// What is to be done.
#[derive(Debug)]
pub(super) enum Decision {
    /// It is as it should be, or none of our business.
    Nothing,
    /// Nothing before then.
    Wait(Moment),
    /// A removal, as soon as the hour allows one more.
    HeldBack,
    /// This, and so urgent.
    Do(Action, Priority),
}

impl Planner {
    /// Decides about a target that came up with this priority.
    pub(super) fn decide(&self, target: &Target, queued: Priority, now: Moment) -> Decision {
        let Some(place) = self.places.get(&target.namespace) else {
            return Decision::Nothing;
        };
        let live = self.live(&target.namespace, place);
        let Some(namespace) = live.filter(|_| self.reach.holds(&target.name)) else {
            return Decision::Nothing;
        };
        let copy = place.copy(&target.name);
        let source = copy.and_then(|copy| copy.source.as_deref());
        let holder = self.claims.holder(&namespace, &target.name, source);
        if holder.is_some_and(|holder| is_source(holder, target)) {
            return Decision::Nothing;
        }
        let patience = self.patience.get(target);
        let decision = match (holder, copy) {
            _ if must_look(patience, copy) => Decision::Do(Action::Look, queued.min(Priority::Repair)),
            (Some(holder), Some(copy)) => self.keep_up(holder, copy, patience, now),
            (None, Some(copy)) => self.remove(target, copy, now),
            (holder, None) => match holder.and_then(|holder| self.create(holder)) {
                Some(action) => Decision::Do(action, queued.min(Priority::Rotation)),
                // A copy that is only out of sight must not stay behind, nor without its label.
                None if patience.is_some_and(Patience::has_vanished) => Decision::Do(Action::Look, Priority::Removal),
                None => Decision::Nothing,
            },
        };
        match (decision, patience.map(Patience::until)) {
            (Decision::Do(..), Some(until)) if until > now => Decision::Wait(until),
            (Decision::Do(Action::Delete { .. }, _), _)
                if !self.removals.allows(self.was_wanted(target), self.ours, now) =>
            {
                Decision::HeldBack
            }
            (decision, _) => decision,
        }
    }

    /// Remembers that somebody wants the copy, so that it goes at once when nobody does any more.
    pub(super) fn note_wanted(&mut self, target: &Target) {
        let Some(place) = self.places.get(&target.namespace) else {
            return;
        };
        let Some(copy) = place.copy(&target.name).filter(|copy| !copy.was_wanted) else {
            return;
        };
        let namespace = self.live(&target.namespace, place);
        let is_wanted = namespace.is_some_and(|namespace| {
            let holder = self.claims.holder(&namespace, &target.name, copy.source.as_deref());
            holder.is_some()
        });
        if is_wanted
            && let Some(place) = self.places.get_mut(&target.namespace)
            && let Some(copy) = place.copy_mut(&target.name)
        {
            copy.was_wanted = true;
        }
    }

    /// There is nothing: the first write never forces.
    fn create(&self, holder: &Claim) -> Option<Action> {
        let source = self.sources.good(&holder.source).filter(|_| holder.makes())?;
        let source = Arc::clone(source);
        Some(Action::Create { source })
    }

    /// There is something where a copy is wanted.
    fn keep_up(&self, holder: &Claim, copy: &Copy, patience: Option<&Patience>, now: Moment) -> Decision {
        let is_immutable = patience.is_some_and(|patience| patience.refusal() == Some(&Refusal::Immutable));
        match &copy.share {
            // The watch tells what becomes of it.
            Share::Foreign(_) if copy.is_watched => return Decision::Nothing,
            Share::Foreign(_) => return look_by(copy.seen + LONGEST_DELAY, now),
            Share::Adoptable if !holder.makes() => return Decision::Nothing,
            // Only a Secret of the same type can be handed over.
            Share::Adoptable if is_immutable => return look_by(copy.seen + LONGEST_DELAY, now),
            Share::Adoptable | Share::Ours => {}
        }
        let Some(source) = self.sources.good(&holder.source) else {
            return Decision::Nothing;
        };
        let was_in_vain = copy.applied.as_ref() == Some(&source.version);
        // Who keeps a copy by a finalizer that was taken from him has its fields and the source's uid: that makes it none
        // that is kept.
        let is_kept = copy.is_made_of(source) && !copy.is_being_deleted;
        if copy.is_current(source) || was_in_vain || !holder.makes() && !is_kept {
            return Decision::Nothing;
        }
        let source = Arc::clone(source);
        let identity = copy.identity.clone();
        let priority = if copy.is_settled() {
            Priority::Rotation
        } else {
            Priority::Repair
        };
        if !is_immutable {
            Decision::Do(Action::Update { source, identity }, priority)
        } else if copy.is_being_deleted {
            Decision::Nothing // a finalizer keeps it, and the watch tells when it is gone
        } else {
            Decision::Do(Action::Replace { source, identity }, priority)
        }
    }

    /// There is something that nobody wants.
    fn remove(&self, target: &Target, copy: &Copy, now: Moment) -> Decision {
        let Some(complete) = self.complete else {
            return Decision::Nothing;
        };
        if !copy.is_ours() || copy.is_being_deleted || self.claims.is_shadowed(&target.name, copy.source.as_deref()) {
            return Decision::Nothing;
        }
        // Its rule may have been deleted while nobody looked.
        let until = copy.seen.max(complete) + self.settings.keep_copies;
        if !copy.was_wanted && until > now {
            return Decision::Wait(until);
        }
        let identity = copy.identity.clone();
        Decision::Do(Action::Delete { identity }, Priority::Removal)
    }
}

/// Whether the claim's source is itself where its copy would be.
pub(super) fn is_source(claim: &Claim, target: &Target) -> bool {
    claim.source.split_once('/') == Some((&*target.namespace, &*target.name))
}

/// Whether what is there is not what we know of.
fn must_look(patience: Option<&Patience>, copy: Option<&Copy>) -> bool {
    match patience.and_then(Patience::refusal) {
        Some(Refusal::Conflict) => true,
        Some(Refusal::Immutable) => copy.is_none(),
        _ => false,
    }
}

fn look_by(until: Moment, now: Moment) -> Decision {
    if until > now {
        return Decision::Wait(until);
    }
    Decision::Do(Action::Look, Priority::Repair)
}
