//! Rules that are objects of the cluster.
//!
//! In: objects as the API server tells them, and the rules of files beside them. Out: compiled rules, those of them that
//! are in force together, and what is wrong with the others. The unit is the object: one with a mistake is skipped, and
//! nothing of it is in force, not even what it said before.
//!
//! | in force is | but |
//! |---|---|
//! | every good ClusterPullSecretRule | of those with an `imageRegex` only the oldest [`MOST_REGEXES`] |
//! | every good PullSecretRule | of one namespace only the oldest [`MOST_OF_A_NAMESPACE`]: tenants share the rest |
//! | every rule of a file | none whose kind and name an object in force has, too |

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::mem::take;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::crowd::settle;
pub use super::crowd::{Content, MOST_OF_A_NAMESPACE, Settled};
use super::{Bad, Event, Key};
use crate::credentials;
use crate::metrics::Resource;
use crate::rules::compile::{API_VERSION, Context, MOST_REGEXES, compile_object};
use crate::rules::{Diagnostic, Kind, LastMatch, Rule, Severity};

/// The path of the list of `ClusterPullSecretRule`s.
pub const CLUSTER_RULES_PATH: &str = "/apis/pullkey.dev/v1alpha1/clusterpullsecretrules";
/// The path of the list of `PullSecretRule`s.
pub const RULES_PATH: &str = "/apis/pullkey.dev/v1alpha1/pullsecretrules";
/// Each kind of rules, as what it is counted, and where its objects are listed.
pub const KINDS: [(Kind, Resource, &str); 2] = [
    (
        Kind::ClusterPullSecretRule,
        counted_as(Kind::ClusterPullSecretRule),
        CLUSTER_RULES_PATH,
    ),
    (Kind::PullSecretRule, counted_as(Kind::PullSecretRule), RULES_PATH),
];
/// How many findings of one object are kept: the object's author finds the others as he goes.
const MOST_FINDINGS: usize = 3;

/// What is known of a rule object.
#[derive(Debug, Clone)]
pub struct RuleObject {
    /// Another one for an object that was deleted and made again.
    pub uid: Arc<str>,
    /// Another one for each change of `spec`.
    pub generation: i64,
    /// When it was made, as the API server writes it: texts in their order are times in theirs.
    pub created: Box<str>,
    /// What its author should know, mistakes before warnings, the first few.
    pub findings: Vec<Diagnostic>,
    /// What it says.
    pub content: Content,
    /// The rule's own, also while it has a mistake.
    last_match: Arc<LastMatch>,
    /// `status.keys`, if they are of this generation.
    keys: Option<Vec<String>>,
}

/// All rule objects.
#[derive(Debug, Default)]
pub struct RuleObjects {
    cluster: BTreeMap<Key, RuleObject>,
    namespaced: BTreeMap<Key, RuleObject>,
    awaited: Vec<Key>,
}

/// What there is to say about a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whether a tenant caused it. Tenants cause as many as they like, and are told by the status of their rules.
    pub of_tenant: bool,
    /// What it is.
    pub diagnostic: Diagnostic,
}

/// The rules that are in force together.
#[derive(Debug, Clone, Default)]
pub struct InForce {
    /// In no order.
    pub rules: Vec<Arc<Rule>>,
    /// How many good objects are beyond a limit: [`Kind::ClusterPullSecretRule`], then [`Kind::PullSecretRule`].
    pub beyond: [usize; 2],
    /// Which limits are passed, and which rules of files give way to objects.
    pub findings: Vec<Finding>,
}

#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
    #[serde(borrow)]
    spec: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    namespace: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    uid: Cow<'a, str>,
    #[serde(default)]
    generation: i64,
    #[serde(borrow, default)]
    creation_timestamp: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    observed_generation: i64,
    keys: Vec<String>,
}

/// What the rules' own reader sees of an object: the rest is large and none of its business.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Name<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    spec: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Name<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
}

/// As what the objects of a kind of rules are counted.
#[must_use]
pub const fn counted_as(kind: Kind) -> Resource {
    match kind {
        Kind::ClusterPullSecretRule => Resource::ClusterPullSecretRules,
        Kind::PullSecretRule => Resource::PullSecretRules,
    }
}

/// Reads an object of this kind, and keeps the first of its findings. An error is what is no object.
pub fn read(kind: Kind, own_namespace: &str, text: &str) -> Result<Option<RuleObject>, String> {
    let mut object = examine(kind, own_namespace, text)?;
    object.findings.truncate(MOST_FINDINGS);
    object.findings.shrink_to_fit();
    Ok(Some(object))
}

/// Reads an object of this kind. What can be wrong with a rule is among its findings; an error is what is no object.
pub fn examine(kind: Kind, own_namespace: &str, text: &str) -> Result<RuleObject, String> {
    let Object { metadata, spec, status } = serde_json::from_str(text).map_err(|error| error.to_string())?;
    // Whatever else a status holds is no reason to pass over the rule.
    let status = status.and_then(|status| serde_json::from_str::<Status>(status.get()).ok());
    let current = status.filter(|status| status.observed_generation == metadata.generation);
    let keys = current.map(|status| status.keys);
    let source_keys = |_: &_| {
        let keys = keys.iter().flatten();
        Some(keys.filter_map(|key| credentials::Key::parse(key)).collect())
    };
    let document = Document {
        api_version: API_VERSION,
        kind: kind.as_str(),
        metadata: Name {
            name: &metadata.name,
            namespace: metadata.namespace.as_deref(),
        },
        spec,
    };
    let document = serde_json::to_string(&document).map_err(|error| error.to_string())?;
    let context = Context {
        own_namespace,
        labels: true,
        source_keys: Some(&source_keys),
    };
    let key = Key::new(metadata.namespace.as_deref().unwrap_or_default(), &metadata.name);
    let subject = subject(kind, &key);
    let compiled = compile_object(&document, &subject, &context);
    let rule = compiled.rules.into_iter().next();
    let waits = rule
        .as_ref()
        .is_some_and(|rule| rule.patterns.is_empty() && rule.regex.is_none());
    let waiting = (waits && keys.is_none()).then(|| {
        let message = "the rule covers no image until the controller has read the keys of its source";
        Diagnostic::new(Severity::Warning, &subject, message)
    });
    let findings = compiled.mistakes.into_iter().chain(compiled.warnings).chain(waiting);
    let uid: Arc<str> = metadata.uid.into();
    let last_match = Arc::new(LastMatch::new(Arc::clone(&uid)));
    let mut object = RuleObject {
        uid,
        generation: metadata.generation,
        created: metadata.creation_timestamp.into(),
        findings: findings.collect(),
        content: rule.map_or(Content::Bad, Content::Good),
        last_match: Arc::clone(&last_match),
        keys,
    };
    object.set_last_match(last_match);
    Ok(object)
}

impl RuleObject {
    /// The rule, if it has no mistake and is not beyond a limit.
    #[must_use]
    pub fn rule(&self) -> Option<&Arc<Rule>> {
        self.content.rule()
    }

    /// Whether the other one is the same, read again.
    fn is_as_before(&self, other: &Self) -> bool {
        (&self.uid, self.generation, &self.keys) == (&other.uid, other.generation, &other.keys)
    }

    /// What is known of its matches is from now on this.
    fn set_last_match(&mut self, last_match: Arc<LastMatch>) {
        if let Content::Good(rule) = &mut self.content {
            Arc::make_mut(rule).last_match = Some(Arc::clone(&last_match));
        }
        self.last_match = last_match;
    }
}

impl RuleObjects {
    /// Takes note of an event about objects of a kind. Says whether other rules may be in force now; what there is to
    /// say about objects that are new or changed moves to `findings`.
    pub fn apply(&mut self, kind: Kind, event: Event<RuleObject>, findings: &mut Vec<Finding>) -> bool {
        let one = match &event {
            Event::Applied(key, _) | Event::Deleted(key, _) | Event::Bad(Bad { key, .. }) => Some(key.clone()),
            Event::Listed { .. } | Event::Trouble(_) => None,
        };
        let known = self.of(kind);
        let was_in_force = one.as_ref().and_then(|key| known.get(key)?.rule()).is_some();
        let mut put = |known: &mut _, key, old, object| put(known, key, old, object, kind, findings);
        let changed = match event {
            Event::Listed { objects, bad } => {
                let mut before = take(known);
                let mut changed = false;
                let bad = bad.into_iter().map(|bad| unreadable(kind, bad));
                for (key, object) in objects.into_iter().chain(bad) {
                    let old = before.remove(&key);
                    changed |= put(known, key, old, object);
                }
                // Built anew it has no half-empty nodes.
                *known = take(known).into_iter().collect();
                changed || before.values().any(|gone| gone.rule().is_some())
            }
            Event::Applied(key, object) => {
                let old = known.remove(&key);
                put(known, key, old, object)
            }
            Event::Bad(bad) => {
                let (key, object) = unreadable(kind, bad);
                let old = known.remove(&key);
                put(known, key, old, object)
            }
            Event::Deleted(key, _) => known.remove(&key).is_some_and(|gone| gone.rule().is_some()),
            Event::Trouble(_) => return false,
        };
        if kind == Kind::ClusterPullSecretRule {
            return changed;
        }
        let Some(one) = one else {
            self.settle_all();
            return changed;
        };
        let Settled { awaited, beyond } = settle(of_namespace(&mut self.namespaced, &one.namespace));
        self.awaited.extend(awaited);
        // One that is made beyond the limit changes nothing.
        let is_in_force = self.namespaced.get(&one).and_then(RuleObject::rule).is_some();
        changed && (was_in_force || is_in_force) || beyond.iter().any(|key| *key != one)
    }

    /// What is to be read again, and told as an event: rules that were beyond the limit and are not any more.
    pub fn take_awaited(&mut self) -> Vec<Key> {
        take(&mut self.awaited)
    }

    fn settle_all(&mut self) {
        let mut next = self.namespaced.keys().next().cloned();
        while let Some(key) = next {
            let settled = settle(of_namespace(&mut self.namespaced, &key.namespace));
            self.awaited.extend(settled.awaited);
            let is_next = |(other, _): &(&Key, _)| other.namespace != key.namespace;
            next = self
                .namespaced
                .range(key.clone()..)
                .find(is_next)
                .map(|(key, _)| key.clone());
        }
    }

    /// Every object of a kind, in no order.
    pub fn iter(&self, kind: Kind) -> impl Iterator<Item = (&Key, &RuleObject)> {
        match kind {
            Kind::ClusterPullSecretRule => self.cluster.iter(),
            Kind::PullSecretRule => self.namespaced.iter(),
        }
    }

    /// How many objects of a kind there are, good ones and those with a mistake.
    #[must_use]
    pub fn count(&self, kind: Kind) -> (usize, usize) {
        let all = self.iter(kind).count();
        let good = self.iter(kind).filter(|(_, object)| object.content.is_good()).count();
        (good, all - good)
    }

    /// Settles what is in force beside the rules of files.
    #[must_use]
    pub fn in_force(&self, files: &[Arc<Rule>]) -> InForce {
        let mut in_force = InForce::default();
        in_force.add_cluster_rules(self.good(Kind::ClusterPullSecretRule));
        in_force.add_namespaced_rules(&self.namespaced);
        in_force.add_files(files);
        in_force
    }

    fn of(&mut self, kind: Kind) -> &mut BTreeMap<Key, RuleObject> {
        match kind {
            Kind::ClusterPullSecretRule => &mut self.cluster,
            Kind::PullSecretRule => &mut self.namespaced,
        }
    }

    /// The good objects of a kind that are not beyond the limit of their namespace, the oldest first, then by name.
    #[must_use]
    pub fn good(&self, kind: Kind) -> Vec<(&Key, &Arc<Rule>)> {
        let good = self
            .iter(kind)
            .filter_map(|(key, object)| Some((key, object, object.rule()?)));
        let mut good: Vec<_> = good.collect();
        good.sort_unstable_by_key(|(key, object, _)| (&object.created, *key));
        good.into_iter().map(|(key, _, rule)| (key, rule)).collect()
    }
}

impl InForce {
    fn add_cluster_rules(&mut self, oldest_first: Vec<(&Key, &Arc<Rule>)>) {
        let mut regexes = 0;
        for (key, rule) in oldest_first {
            regexes += usize::from(rule.regex.is_some());
            if rule.regex.is_none() || regexes <= MOST_REGEXES {
                self.rules.push(Arc::clone(rule));
                continue;
            }
            let [beyond, _] = &mut self.beyond;
            *beyond += 1;
            let subject = subject(Kind::ClusterPullSecretRule, key);
            let mistake = Diagnostic::new(Severity::Error, &subject, "too many rules have an `imageRegex`");
            let mistake = mistake.accepting(format_args!("at most {MOST_REGEXES}, the oldest ones"));
            self.findings.push(Finding {
                of_tenant: false,
                diagnostic: mistake.hinting("patterns have no such limit"),
            });
        }
    }

    fn add_namespaced_rules(&mut self, objects: &BTreeMap<Key, RuleObject>) {
        self.rules
            .extend(objects.values().filter_map(RuleObject::rule).cloned());
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for (key, _) in objects.iter().filter(|(_, object)| object.content.is_left_out()) {
            *counts.entry(&key.namespace).or_default() += 1;
        }
        for (namespace, count) in counts {
            let [_, beyond] = &mut self.beyond;
            *beyond += count;
            let subject = format!("namespace {namespace}");
            let message = format_args!("too many {}s", Kind::PullSecretRule);
            let mistake = Diagnostic::new(Severity::Error, &subject, message);
            self.findings.push(Finding {
                of_tenant: true,
                diagnostic: mistake.accepting(format_args!("at most {MOST_OF_A_NAMESPACE}, the oldest ones")),
            });
        }
    }

    fn add_files(&mut self, files: &[Arc<Rule>]) {
        let of = |rule: &Arc<Rule>| (rule.kind, rule.namespace.clone(), rule.name.clone());
        let taken: HashSet<_> = if files.is_empty() {
            HashSet::new()
        } else {
            self.rules.iter().map(of).collect()
        };
        for rule in files {
            if taken.contains(&of(rule)) {
                let subject = format!("{} {}", rule.kind, rule.qualified_name());
                let warning = "the object in the cluster wins over the rule of this name in a file";
                self.findings.push(Finding {
                    of_tenant: false,
                    diagnostic: Diagnostic::new(Severity::Warning, &subject, warning),
                });
            } else {
                self.rules.push(Arc::clone(rule));
            }
        }
    }
}

/// Keeps the object, or the one that was known before if nothing of it changed that counts. Says whether other rules
/// may be in force now.
fn put(
    known: &mut BTreeMap<Key, RuleObject>,
    key: Key,
    old: Option<RuleObject>,
    mut new: RuleObject,
    kind: Kind,
    findings: &mut Vec<Finding>,
) -> bool {
    match old {
        // Of what was left out it is not known.
        Some(old) if old.is_as_before(&new) && (!old.content.is_left_out() || new.content.is_left_out()) => {
            known.insert(key, old);
            false
        }
        old => {
            if old.as_ref().is_some_and(|old| old.is_as_before(&new)) {
                // It was said before.
                new.findings.clear();
            }
            findings.extend(new.findings.drain(..).map(|diagnostic| Finding {
                of_tenant: kind == Kind::PullSecretRule,
                diagnostic,
            }));
            let changed = new.rule().is_some() || old.as_ref().is_some_and(|old| old.rule().is_some());
            if let Some(old) = old.filter(|old| old.uid == new.uid) {
                new.set_last_match(old.last_match);
            }
            known.insert(key, new);
            changed
        }
    }
}

/// The object in whose place there is something that cannot be read.
fn unreadable(kind: Kind, Bad { key, why }: Bad) -> (Key, RuleObject) {
    let message = format_args!("the object cannot be read: {why}");
    let finding = Diagnostic::new(Severity::Error, &subject(kind, &key), message);
    let object = RuleObject {
        uid: Arc::default(),
        generation: 0,
        created: Box::default(),
        findings: vec![finding],
        content: Content::Bad,
        last_match: Arc::new(LastMatch::new(Arc::default())),
        keys: None,
    };
    (key, object)
}

/// The rules of a namespace, of rules of all of them.
pub fn of_namespace<'o, T>(
    objects: &'o mut BTreeMap<Key, T>,
    namespace: &'o str,
) -> impl Iterator<Item = (&'o Key, &'o mut T)> {
    let first = Key::new(namespace, "");
    objects
        .range_mut(first..)
        .take_while(move |(key, _)| *key.namespace == *namespace)
}

fn subject(kind: Kind, key: &Key) -> String {
    format!("{kind} {key}")
}

#[cfg(test)]
mod tests;
