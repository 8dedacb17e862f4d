//! What the watches and the answers tell a [`Planner`], and which copies that may concern.
//!
//! Whatever changes names the copies before and after the change: those are all that can be decided otherwise now.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::{
    Claim, Copy, Hold, Moment, NamespaceFacts, Observed, Planner, Priority, Refusal, RuleFacts, Running, SourceSecret,
    Target,
};
use crate::controller::identity::Uid;
use crate::controller::ownership::Share;
use crate::rules::{Mode, SourceRef};

impl Planner {
    /// A rule is there, or was changed.
    pub fn rule_set(&mut self, facts: &RuleFacts) {
        match Claim::new(facts, &mut self.texts) {
            Some(claim) => self.put_claim(claim),
            None => self.drop_claim(&facts.uid),
        }
    }

    /// A rule is there and cannot be read any more. What it said last keeps its copies, and makes none.
    pub fn rule_unreadable(&mut self, uid: &str) {
        if let Some(claim) = self.claims.get(uid) {
            let mut claim = Claim::clone(claim);
            claim.hold = Hold::Unreadable;
            self.put_claim(claim);
        }
    }

    /// A rule was deleted. What it wanted stays for a while.
    pub fn rule_gone(&mut self, uid: &str, now: Moment) {
        let Some(claim) = self.claims.get(uid) else { return };
        if !matches!(claim.hold, Hold::Deleted { .. }) {
            let mut claim = Claim::clone(claim);
            let until = now + self.settings.keep_copies;
            claim.hold = Hold::Deleted { until };
            self.put_claim(claim);
        }
    }

    /// These are all rules that there are.
    pub fn rules_listed(&mut self, uids: &HashSet<&str>, now: Moment) {
        let known = self.claims.all().map(|claim| Arc::clone(&claim.uid));
        let gone: Vec<_> = known.filter(|uid| !uids.contains(&**uid)).collect();
        for uid in gone {
            self.rule_gone(&uid, now);
        }
    }

    /// Whether all cluster rules can be read: their kind is known, they have been listed, and each of them is right. The
    /// time in which they cannot does not count for how long copies are kept: nobody knew whether a rule came back.
    pub fn rules_complete(&mut self, are_complete: bool, now: Moment) {
        if are_complete == self.complete.is_some() {
            return;
        }
        self.removals.release();
        if are_complete {
            let (began, since) = self.incomplete.take().unwrap_or((now, now));
            let pause = now.saturating_sub(began);
            self.complete = Some(since + pause);
            self.claims.delay_ends(pause);
            self.pass(false);
        } else {
            self.incomplete = self.complete.take().map(|since| (now, since));
        }
    }

    /// The Secrets of a scope of sources, a namespace or `namespace/name`, are these, and will be watched.
    pub fn sources_listed(&mut self, scope: &str, names: &HashSet<&str>) {
        self.sources.set_listed(scope, true);
        for source in self.sources.of_scope(scope) {
            if !names.contains(source.name.as_str()) {
                self.source_gone(&source);
            }
        }
        self.touch_sources(scope);
    }

    /// The Secrets of a scope of sources cannot be read.
    pub fn sources_unreadable(&mut self, scope: &str) {
        self.sources.set_listed(scope, false);
        self.touch_sources(scope);
    }

    /// A Secret is there, or was changed, in a namespace that sources may come from.
    pub fn source_set(&mut self, source: &SourceRef, secret: &SourceSecret<'_>) {
        if self.sources.put(source, secret) {
            self.affect_source(source);
        }
    }

    /// A Secret is gone from a namespace that sources may come from.
    pub fn source_gone(&mut self, source: &SourceRef) {
        if self.sources.remove(source) {
            self.affect_source(source);
        }
    }

    /// A namespace is there, or was changed. `is_born`: the watch reported it as added, after its first list.
    pub fn namespace_set(&mut self, name: &str, facts: NamespaceFacts, is_born: bool) {
        let known = self.places.get(name).and_then(|place| place.facts.as_ref());
        if known == Some(&facts) {
            return;
        }
        let name = self.texts.intern(name);
        let mut targets = self.names_in(&name);
        self.touch_all(&name, &targets);
        let place = self.places.entry(Arc::clone(&name)).or_default();
        place.facts = Some(facts);
        targets.extend(self.names_in(&name));
        let priority = if is_born { Priority::Newborn } else { Priority::Repair };
        for secret in targets {
            let namespace = Arc::clone(&name);
            self.affect(
                Target {
                    namespace,
                    name: secret,
                },
                priority,
            );
        }
    }

    /// A namespace is gone, and everything in it.
    pub fn namespace_gone(&mut self, name: &str) {
        let targets = self.names_in(name);
        self.touch_all(name, &targets);
        if let Some(place) = self.places.remove(name) {
            self.ours -= place.copies().iter().filter(|copy| copy.is_ours()).count();
        }
        self.patience.retain(|target, _| *target.namespace != *name);
        self.removals.forget(name);
    }

    /// These are all namespaces that there are.
    pub fn namespaces_listed(&mut self, names: &HashSet<&str>) {
        let known = self.places.iter().filter(|(_, place)| place.facts.is_some());
        let gone: Vec<_> = known
            .map(|(name, _)| Arc::clone(name))
            .filter(|name| !names.contains(&**name))
            .collect();
        for name in gone {
            self.namespace_gone(&name);
        }
    }

    /// A Secret where a copy is or could be, as the watch of copies tells it: one of our label, or any of its name.
    pub fn copy_set(&mut self, namespace: &str, name: &str, observed: Observed, now: Moment) {
        self.copy_offered(namespace, name, observed, now);
        if let Some(place) = self.places.get_mut(namespace)
            && let Some(copy) = place.copy_mut(name)
        {
            copy.is_told = true;
        }
    }

    /// A Secret that its owner hands over, as the watch of those tells it.
    pub fn copy_offered(&mut self, namespace: &str, name: &str, observed: Observed, now: Moment) {
        let target = self.target(namespace, name);
        let known = self.copy(&target);
        if known.is_some_and(|known| !known.is_older_than(&observed.identity.resource_version)) {
            return; // an answer told us before
        }
        let was_settled = known.is_some_and(|known| known.is_settled() && known.identity.uid == observed.identity.uid);
        let is_changed = was_settled && !(observed.is_intact && observed.share == Share::Ours);
        self.put_copy(&target, observed, now);
        if is_changed {
            self.changed(&target, now);
        }
        self.affect(target, Priority::Repair);
    }

    /// The watch says that there is no such copy any more: it was deleted or, where copies are found by our label, lost it.
    pub fn copy_gone(&mut self, namespace: &str, name: &str, uid: &Uid, now: Moment) {
        let target = self.target(namespace, name);
        let Some(known) = self.copy(&target).filter(|known| known.identity.uid == *uid) else {
            return;
        };
        if known.is_ours() {
            self.ours_gone(&target, known.is_settled(), now);
        } else if self.reach.is_named() || self.claims_on(&target).is_empty() {
            // What nobody wants is not worth a look: there may be any number of those.
            self.drop_copy(&target);
        } else if let Some(place) = self.places.get_mut(&target.namespace)
            && let Some(copy) = place.copy_mut(&target.name)
        {
            // An apply would give it back the label that its owner may have removed.
            copy.is_watched = false;
            let patience = self.patience.entry(target.clone()).or_default();
            patience.refused(Refusal::Conflict, now);
        }
        self.affect(target, Priority::Repair);
    }

    fn ours_gone(&mut self, target: &Target, was_settled: bool, now: Moment) {
        let place = self.places.get(&target.namespace);
        let is_live = place.is_some_and(|place| self.live(&target.namespace, place).is_some());
        let is_wanted = !self.claims_on(target).is_empty();
        let was_wanted = self.was_wanted(target);
        self.drop_copy(target);
        if !is_live {
            return;
        }
        if is_wanted && was_settled && !self.running.contains_key(target) {
            self.changed(target, now);
        }
        // While another replica leads, it is the one to look. Of what was never wanted there may be any number. What is
        // being written is noted, too: the answer says where it is, but we may have to stop before there is one.
        if self.is_started && !self.reach.is_named() && (is_wanted || was_wanted) {
            self.patience.entry(target.clone()).or_default().vanished();
        }
    }

    /// The watch of copies, or of those of this name, heard nothing: it may have to list them anew.
    pub fn copies_unheard(&mut self, name: Option<&str>) {
        for (_, copy) in self.watched_copies(name) {
            copy.is_told = false;
        }
    }

    /// All copies that carry our label have been told or, where copies are found by their names, all Secrets of this
    /// one: those that were not since nothing was heard are gone.
    pub fn copies_listed(&mut self, name: Option<&str>, now: Moment) {
        let missing = self.watched_copies(name).filter(|(_, copy)| !copy.is_told);
        let gone: Vec<_> = missing
            .map(|(namespace, copy)| (Arc::clone(namespace), Arc::clone(&copy.name), copy.identity.uid.clone()))
            .collect();
        for (namespace, name, uid) in gone {
            self.copy_gone(&namespace, &name, &uid, now);
        }
        if let Some(name) = name.filter(|name| self.reach.listed(name)) {
            let claims = self.claims.all().filter(|claim| *claim.secret == *name);
            for claim in claims.cloned().collect::<Vec<_>>() {
                self.affect_claim(&claim, Priority::Repair);
            }
        }
    }

    /// The copies that the watch of our label tells about, or that of this name.
    fn watched_copies<'p>(&'p mut self, name: Option<&'p str>) -> impl Iterator<Item = (&'p Arc<str>, &'p mut Copy)> {
        let copies = self.places.iter_mut().flat_map(|(namespace, place)| {
            let copies = place.copies_mut().iter_mut();
            copies.map(move |copy| (namespace, copy))
        });
        copies.filter(move |(_, copy)| match name {
            Some(name) => *copy.name == *name,
            None => copy.is_watched,
        })
    }

    /// A task found or made this.
    pub(super) fn found(&mut self, target: &Target, observed: Observed, running: &Running, now: Moment) {
        let is_write = running.version.is_some();
        self.forget_refusal(target, is_write, now);
        let is_news = self.copy(target).is_none_or(|known| {
            let version = &observed.identity.resource_version;
            known.identity.resource_version == *version || known.is_older_than(version)
        });
        if !is_news {
            return; // the watch was faster
        }
        if running.is_rotation && observed.is_intact {
            let claims = self.claims_on(target);
            self.rotated.extend(claims);
        }
        self.put_copy(target, observed, now);
        if let Some(place) = self.places.get_mut(&target.namespace)
            && let Some(copy) = place.copy_mut(&target.name)
        {
            copy.applied.clone_from(&running.version);
            copy.was_wanted |= is_write;
        }
    }

    /// A task was refused.
    pub(super) fn refused(&mut self, target: &Target, refusal: Refusal, now: Moment) {
        if refusal == Refusal::Terminating {
            // The namespace's own watch says so, too, and may be later.
            if let Some(place) = self.places.get_mut(&target.namespace)
                && let Some(facts) = &mut place.facts
            {
                facts.is_terminating = true;
            }
            return;
        }
        self.patience.entry(target.clone()).or_default().refused(refusal, now);
        self.announce_refusal(target, now);
    }

    /// Has a target come up, and the statuses of the rules that want it.
    pub(super) fn affect(&mut self, target: Target, priority: Priority) {
        if self.is_started {
            let claims = self.claims_on(&target);
            self.touched.extend(claims);
            self.pending.push(target, priority);
        }
    }

    /// Has everything come up that a claim is about.
    pub(super) fn affect_claim(&mut self, claim: &Claim, priority: Priority) {
        if !self.is_started {
            return;
        }
        self.touched.insert(Arc::clone(&claim.uid));
        // A shadow rule keeps copies that it does not select.
        let is_shadow = claim.rule.mode == Mode::Shadow;
        let mut targets = Vec::new();
        let mut consider = |namespace: &Arc<str>, place: &super::Place| {
            let is_selected = self.live(namespace, place).is_some_and(|facts| claim.selects(&facts));
            if is_selected || is_shadow && place.copy(&claim.secret).is_some() {
                targets.push(Arc::clone(namespace));
            }
        };
        match claim.rule.namespaces.named().filter(|_| !is_shadow) {
            Some(names) => names
                .iter()
                .filter_map(|name| self.places.get_key_value(name.as_str()))
                .for_each(|(name, place)| consider(name, place)),
            None => self.places.iter().for_each(|(name, place)| consider(name, place)),
        }
        for namespace in targets {
            let name = Arc::clone(&claim.secret);
            self.affect(Target { namespace, name }, priority);
        }
    }

    /// A write was done, or the copy was looked at.
    pub(super) fn forget_refusal(&mut self, target: &Target, is_write: bool, now: Moment) {
        if let Entry::Occupied(mut entry) = self.patience.entry(target.clone()) {
            let patience = entry.get_mut();
            if is_write {
                patience.written();
            } else {
                patience.looked();
            }
            if patience.is_over(now) && (is_write || !patience.has_failed()) {
                entry.remove();
            }
        }
    }

    pub(super) fn drop_copy(&mut self, target: &Target) {
        if let Some(place) = self.places.get_mut(&target.namespace) {
            let old = place.remove(&target.name);
            self.ours -= usize::from(old.is_some_and(|old| old.is_ours()));
            if place.is_empty() {
                self.places.remove(&target.namespace);
            }
        }
    }

    pub(super) fn copy(&self, target: &Target) -> Option<&Copy> {
        self.places.get(&target.namespace)?.copy(&target.name)
    }

    /// The rules that want a copy.
    pub(super) fn claims_on(&self, target: &Target) -> Vec<Arc<str>> {
        let place = self.places.get(&target.namespace);
        let namespace = place.and_then(|place| self.live(&target.namespace, place));
        let claims = namespace.map(|namespace| self.claims.on(&namespace, &target.name));
        claims
            .into_iter()
            .flatten()
            .map(|claim| Arc::clone(&claim.uid))
            .collect()
    }

    fn put_claim(&mut self, claim: Claim) {
        let uid = Arc::clone(&claim.uid);
        let old = self.claims.insert(claim);
        let Some(new) = self.claims.get(&uid).cloned() else {
            return;
        };
        match old {
            Some(old) if old.wants_the_same(&new) => {
                self.touched.insert(uid);
            }
            old => {
                if let Some(old) = old {
                    self.affect_claim(&old, Priority::Rotation);
                }
                self.affect_claim(&new, Priority::Rotation);
            }
        }
    }

    /// Takes out the claim of a rule that is there and names a source no more.
    fn drop_claim(&mut self, uid: &str) {
        if let Some(claim) = self.claims.remove(uid) {
            self.affect_claim(&claim, Priority::Rotation);
        }
    }

    fn affect_source(&mut self, source: &SourceRef) {
        for claim in self.claims.of_source(&source.to_string()).to_vec() {
            self.affect_claim(&claim, Priority::Rotation);
        }
    }

    fn touch_sources(&mut self, scope: &str) {
        let of_scope = |claim: &&Arc<Claim>| self.sources.scope(&claim.source) == scope;
        let claims = self.claims.all().filter(of_scope);
        let uids: Vec<_> = claims.map(|claim| Arc::clone(&claim.uid)).collect();
        self.touched.extend(uids);
    }

    fn touch_all(&mut self, namespace: &str, names: &BTreeSet<Arc<str>>) {
        for name in names {
            let namespace = self.texts.intern(namespace);
            let name = Arc::clone(name);
            let claims = self.claims_on(&Target { namespace, name });
            self.touched.extend(claims);
        }
    }

    fn put_copy(&mut self, target: &Target, observed: Observed, now: Moment) {
        let place = self.places.entry(Arc::clone(&target.namespace)).or_default();
        let old = place.copy(&target.name);
        let name = Arc::clone(&target.name);
        let mut copy = Copy::new(name, observed, old, &mut self.texts, &mut self.alike, now);
        copy.is_watched |= self.reach.is_named();
        self.ours += usize::from(copy.is_ours());
        let old = place.put(copy);
        self.ours -= usize::from(old.is_some_and(|old| old.is_ours()));
    }

    /// Somebody changed or deleted a copy.
    fn changed(&mut self, target: &Target, now: Moment) {
        self.patience.entry(target.clone()).or_default().changed(now);
        self.announce_contended(target, now);
    }

    fn target(&mut self, namespace: &str, name: &str) -> Target {
        Target {
            namespace: self.texts.intern(namespace),
            name: self.texts.intern(name),
        }
    }
}
