//! What a rule's status says.
//!
//! In: how a rule stands, what its status said before, and the time. Out: its [`RuleStatus`] and the events that the
//! difference is worth; and, of all rules, the one whose status may be written next. The controller alone writes it, and
//! the webhook believes it: by its `keys` it knows the images of a rule that leaves them to its source.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use super::event::{Event, Regarding};
use super::plan::Summary;
use super::refusal::Refusal;
use super::removal::ALWAYS;
use super::{Moment, Timestamp};
use crate::credentials::Key;
use crate::printable::shortened;
use crate::rules::{ImagePattern, Rule};

/// A status is written once in this time at most.
const PAUSE: Duration = Duration::from_secs(1);
/// As many registries are listed for people.
const MOST_REGISTRIES: usize = 32;
/// As much of a mistake is shown; it quotes the rule.
const LONGEST_MISTAKE: usize = 512;
const READY: &str = "Ready";
const SOURCE_VALID: &str = "SourceValid";
const COPIES_READY: &str = "CopiesReady";
const TRUE: &str = "True";
const FALSE: &str = "False";
const IN_FORCE: &str = "InForce";
const VALID: &str = "Valid";
const ALL_READY: &str = "AllReady";
const IN_FORCE_MESSAGE: &str = "the rule is in force";
const VALID_MESSAGE: &str = "the source holds credentials that the kubelet can use";
/// The texts of conditions that nothing is wrong with, as nearly all of them are.
const USUAL: [&str; 9] = [
    READY,
    SOURCE_VALID,
    COPIES_READY,
    TRUE,
    IN_FORCE,
    VALID,
    ALL_READY,
    IN_FORCE_MESSAGE,
    VALID_MESSAGE,
];
/// Copies are on their way: no news for anybody.
const WRITING: &str = "Writing";
const REVOKING: &str = "copies stay as they are; to revoke the credential, delete the rule or exclude the namespaces, \
                        and rotate it at the registry";

/// `status` of both kinds of rules. It takes no more room than it needs, as there are thousands of rules.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RuleStatus {
    /// The generation of the rule that all of it is about.
    pub observed_generation: i64,
    /// What the source's credentials serve, for rules that leave their images to them.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub keys: Box<[Box<str>]>,
    /// The hosts covered, for people.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub registries: Box<[Box<str>]>,
    /// How many namespaces there are, for rules with a source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<NamespaceCounts>,
    /// What stands in the way, in the first namespaces.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub refusals: Box<[NamespaceRefusal]>,
    /// When copies last got a new version of the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_rotation: Option<Timestamp>,
    /// The hour in which it last applied to a new Pod. Only the webhook knows; here it stays what it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_match: Option<Timestamp>,
    /// `Ready`, and for rules with a source `SourceValid` and `CopiesReady`.
    pub conditions: Box<[Condition]>,
}

/// In how many namespaces a rule is where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceCounts {
    /// That may have the secret.
    pub selected: usize,
    /// That have it.
    pub ready: usize,
    /// Where something stands in the way.
    pub refused: usize,
}

/// What stands in the way in one namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceRefusal {
    /// The namespace.
    pub namespace: String,
    /// One word.
    pub reason: String,
    /// A sentence.
    pub message: String,
}

/// One condition, as `metav1.Condition`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What it is about.
    #[serde(deserialize_with = "shared")]
    pub r#type: Cow<'static, str>,
    /// `True` or `False`.
    #[serde(deserialize_with = "shared")]
    pub status: Cow<'static, str>,
    /// One word.
    #[serde(deserialize_with = "shared")]
    pub reason: Cow<'static, str>,
    /// A sentence.
    #[serde(deserialize_with = "shared")]
    pub message: Cow<'static, str>,
    /// The generation of the rule.
    pub observed_generation: i64,
    /// Since when the status is what it is.
    pub last_transition_time: Timestamp,
}

/// What is said of the rule itself.
#[derive(Debug, Clone, Copy)]
pub enum Verdict<'a> {
    /// It is in force.
    Good(&'a Rule),
    /// It is wrong, and skipped: the first mistake.
    Invalid(&'a str),
    /// It is one more than a namespace may have, and skipped.
    TooMany {
        /// How many take effect.
        most: usize,
    },
}

/// Which rule's status may be written.
#[derive(Debug, Default)]
pub struct Desk {
    due: BTreeSet<(Moment, Arc<str>)>,
    waiting: HashMap<Arc<str>, Moment>,
    written: HashMap<Arc<str>, Moment>,
    /// Those whose turn comes when no other is due.
    at_leisure: BTreeSet<Arc<str>>,
}

/// A condition before its time is known.
struct Finding {
    r#type: &'static str,
    is_true: bool,
    reason: &'static str,
    message: Cow<'static, str>,
}

impl RuleStatus {
    /// What a status says now. `summary` is there for a rule with a source; times of conditions stay where nothing
    /// changed.
    #[must_use]
    pub fn new(
        generation: i64,
        verdict: Verdict<'_>,
        summary: Option<&Summary>,
        previous: &Self,
        now: &Timestamp,
    ) -> Self {
        let rule = match verdict {
            Verdict::Good(rule) => Some(rule),
            Verdict::Invalid(_) | Verdict::TooMany { .. } => None,
        };
        let keys = rule
            .map(|rule| keys(generation, rule, summary, previous))
            .unwrap_or_default();
        let copies = summary.map(|summary| [source_valid(summary), copies_ready(summary)]);
        let ready = ready(verdict, copies.as_ref());
        let findings = [ready].into_iter().chain(copies.into_iter().flatten());
        let is_rotated = summary.is_some_and(|summary| summary.is_rotated);
        Self {
            observed_generation: generation,
            registries: rule.map(|rule| registries(rule, &keys)).unwrap_or_default(),
            keys,
            namespaces: summary.map(|summary| NamespaceCounts {
                selected: summary.selected,
                ready: summary.ready,
                refused: summary.refused,
            }),
            refusals: summary.map(refusals).unwrap_or_default(),
            last_rotation: if is_rotated {
                Some(now.clone())
            } else {
                previous.last_rotation.clone()
            },
            last_match: previous.last_match.clone(),
            conditions: findings
                .map(|finding| finding.into_condition(generation, previous, now))
                .collect(),
        }
    }

    /// What the difference to the status before is worth telling, about the rule with this uid.
    #[must_use]
    pub fn events_since(&self, previous: &Self, uid: &Arc<str>) -> Vec<Event> {
        let news = self.conditions.iter().filter_map(|condition| {
            let before = previous.condition(&condition.r#type);
            let was_true = before.is_none_or(Condition::is_true);
            let is_worse = !condition.is_true()
                && condition.r#type != READY
                && condition.reason != WRITING
                && before.is_none_or(|before| before.reason != condition.reason);
            let is_better = condition.is_true() && !was_true && condition.r#type == SOURCE_VALID;
            let is_invalid =
                condition.r#type == READY && self.conditions.len() == 1 && !condition.is_true() && was_true;
            (is_worse || is_better || is_invalid).then(|| Event {
                regarding: Regarding::Rule(Arc::clone(uid)),
                is_warning: !condition.is_true(),
                reason: condition.reason.clone(),
                note: condition.message.clone().into_owned(),
            })
        });
        news.collect()
    }

    fn condition(&self, r#type: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.r#type == r#type)
    }
}

impl Condition {
    fn is_true(&self) -> bool {
        self.status == TRUE
    }
}

impl Finding {
    fn into_condition(self, generation: i64, previous: &RuleStatus, now: &Timestamp) -> Condition {
        let status = if self.is_true { TRUE } else { FALSE };
        let before = previous.condition(self.r#type).filter(|before| before.status == status);
        Condition {
            r#type: self.r#type.into(),
            status: status.into(),
            reason: self.reason.into(),
            message: self.message,
            observed_generation: generation,
            last_transition_time: before.map_or(now, |before| &before.last_transition_time).clone(),
        }
    }
}

impl Desk {
    /// The status of a rule may be another.
    pub fn touch(&mut self, uid: Arc<str>, now: Moment) {
        if !self.waiting.contains_key(&uid) {
            let due = self.written.get(&uid).map_or(now, |written| now.max(*written + PAUSE));
            self.waiting.insert(Arc::clone(&uid), due);
            self.due.insert((due, uid));
        }
    }

    /// The status of a rule is another, and can wait for those of all others: there may be one for each rule at once.
    pub fn touch_at_leisure(&mut self, uid: Arc<str>) {
        self.at_leisure.insert(uid);
    }

    /// A rule whose status may be worked out, and written if it is another.
    pub fn next(&mut self, now: Moment) -> Option<Arc<str>> {
        loop {
            if self.due.first().is_some_and(|(due, _)| *due <= now) {
                let (_, uid) = self.due.pop_first()?;
                self.waiting.remove(&uid);
                return Some(uid);
            }
            // Due at once, unless it has just been written.
            let uid = self.at_leisure.pop_first()?;
            self.touch(uid, now);
        }
    }

    /// A status is being written.
    pub fn written(&mut self, uid: Arc<str>, now: Moment) {
        if self.due.is_empty() {
            self.written.retain(|_, written| *written + PAUSE > now);
        }
        self.written.insert(uid, now);
    }

    /// When the next status may be written.
    #[must_use]
    pub fn wakes_at(&self) -> Option<Moment> {
        let is_idle = self.at_leisure.is_empty();
        let due = self.due.first().map(|(due, _)| *due);
        if is_idle { due } else { Some(Moment::ZERO) }
    }
}

/// Reads a text. A usual one takes no memory.
fn shared<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Cow<'static, str>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let usual = USUAL.into_iter().find(|usual| *usual == text);
    Ok(usual.map_or(Cow::Owned(text), Cow::Borrowed))
}

fn ready(verdict: Verdict<'_>, copies: Option<&[Finding; 2]>) -> Finding {
    let finding = |is_true, reason, message| Finding {
        r#type: READY,
        is_true,
        reason,
        message,
    };
    match verdict {
        Verdict::Invalid(mistake) => finding(
            false,
            "Invalid",
            shortened(mistake, LONGEST_MISTAKE).into_owned().into(),
        ),
        Verdict::TooMany { most } => {
            let message = format!("the first {most} rules of a namespace take effect, and this is a later one");
            finding(false, "TooMany", message.into())
        }
        Verdict::Good(_) => match copies.into_iter().flatten().find(|finding| !finding.is_true) {
            Some(fault) => finding(false, fault.reason, fault.message.clone()),
            None => finding(true, IN_FORCE, IN_FORCE_MESSAGE.into()),
        },
    }
}

fn source_valid(summary: &Summary) -> Finding {
    let finding = |is_true, reason, message| Finding {
        r#type: SOURCE_VALID,
        is_true,
        reason,
        message,
    };
    if let Some(problem) = &summary.problem {
        let newborn = match summary.source {
            Some(_) => "new namespaces get the last good one",
            None => "new namespaces get none",
        };
        let message = format!("{problem}; {REVOKING}; {newborn}");
        return finding(false, problem.reason(), message.into());
    }
    let warnings = summary.source.iter().flat_map(|source| &source.warnings);
    let warnings: Vec<_> = warnings.map(ToString::to_string).collect();
    if warnings.is_empty() {
        finding(true, VALID, VALID_MESSAGE.into())
    } else {
        finding(true, "ValidWithWarnings", warnings.join("; ").into())
    }
}

fn copies_ready(summary: &Summary) -> Finding {
    let Summary {
        selected,
        ready,
        refused,
        ..
    } = *summary;
    let finding = |is_true, reason, message: String| Finding {
        r#type: COPIES_READY,
        is_true,
        reason,
        message: message.into(),
    };
    // The reason that most namespaces have; of several the first by name.
    let most = summary
        .reasons
        .iter()
        .max_by_key(|(reason, count)| (**count, std::cmp::Reverse(**reason)));
    if let Some(name) = &summary.out_of_reach {
        let message = format!(
            "{ready} of {selected} are ready; the controller may not touch Secrets of this name; {}",
            name.remedy()
        );
        finding(false, Refusal::NotPermitted.reason(), message)
    } else if summary.held_back > 0 {
        let message = format!(
            "{} copies that nobody wants any more wait: at most {ALWAYS} or a tenth of all are removed in an hour",
            summary.held_back
        );
        finding(false, "RemovalLimited", message)
    } else if summary.is_shadow {
        let message = format!("a shadow rule makes and removes no copies; {ready} of {selected} are there");
        finding(true, "Shadow", message)
    } else if let Some((reason, _)) = most {
        finding(
            false,
            *reason,
            format!("{ready} of {selected} are ready, {refused} are refused"),
        )
    } else if ready < selected {
        finding(false, WRITING, format!("{ready} of {selected} are ready"))
    } else {
        finding(true, ALL_READY, format!("{ready} of {selected} are ready"))
    }
}

fn refusals(summary: &Summary) -> Box<[NamespaceRefusal]> {
    let refusals = summary.refusals.iter().map(|(namespace, obstacle)| NamespaceRefusal {
        namespace: namespace.to_string(),
        reason: obstacle.reason().to_owned(),
        message: obstacle.to_string(),
    });
    refusals.collect()
}

/// The source's keys, for a rule that has no images of its own. They outlive the source: without them the webhook would
/// forget what the rule covers, and a Pod is never mended.
fn keys(generation: i64, rule: &Rule, summary: Option<&Summary>, previous: &RuleStatus) -> Box<[Box<str>]> {
    if !rule.patterns.is_empty() || rule.regex.is_some() {
        return Box::default();
    }
    match summary.and_then(|summary| summary.source.as_ref()) {
        Some(source) => source.keys.iter().map(|key| key.spelled().into()).collect(),
        None if previous.observed_generation == generation => previous.keys.clone(),
        None => Box::default(),
    }
}

fn registries(rule: &Rule, keys: &[Box<str>]) -> Box<[Box<str>]> {
    let keys: Vec<_> = keys.iter().filter_map(|key| Key::parse(key)).collect();
    let hosts = rule.patterns.iter().map(ImagePattern::host);
    let hosts: BTreeSet<&str> = hosts.chain(keys.iter().map(Key::host)).collect();
    hosts.into_iter().take(MOST_REGISTRIES).map(Box::from).collect()
}
