//! Pods that rules would give a secret and that have none: an API server that gets no answer and fails open leaves them
//! behind for good, since the list of a Pod never changes.
//!
//! In: Pods as the API server has them, and what the webhook decides by. Out: [`Missed`], those for which it would decide
//! otherwise today; by their owners, the ones that wait for an image first, with the command that makes them anew.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::facts::{self, Facts};
use super::objects::{Metadata, Webhook};
use super::registration::asks_about;
use super::{Finding, Report};
use crate::admission::{self, Outcome};
use crate::rules::{Kind, Labels, Namespace, RuleSet, is_name};

/// The rules, each by what is unique of it, and since when it says what it says, as far as that is known.
pub type Ages = BTreeMap<(Kind, Option<String>, String), String>;

/// Owners of one finding that are named.
const MOST_OWNERS: usize = 100;
/// Pods of an owner that are named.
const MOST_PODS: usize = 100;
/// What a container waits for that has no image yet.
const PULLS: [&str; 5] = [
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImageInspectError",
    "ImagePullBackOff",
    "RegistryUnavailable",
];
/// The label by which a Deployment tells its `ReplicaSet`s apart, and which their names end in.
const TEMPLATE_HASH: &str = "pod-template-hash";

/// What the webhook decides by.
#[derive(Debug)]
pub struct Known {
    /// The rules in force.
    pub rules: RuleSet,
    /// Since when each of them says what it says.
    pub ages: Ages,
    /// All namespaces.
    pub namespaces: BTreeMap<Box<str>, Labels>,
    /// Namespaces and service accounts whose Pods may name no other secrets than the account's.
    pub strict_accounts: BTreeSet<(Box<str>, Box<str>)>,
    /// Our webhook, and when it was registered.
    pub webhook: Option<(Webhook, String)>,
}

/// A Pod that lacks secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What it lacks.
    pub secrets: Vec<String>,
    /// Who made it.
    pub owner: (String, String),
    /// What it waits for, if that is an image.
    pub waits: Option<String>,
    /// Whether rule and registration were there before it, so that an answer was missed.
    pub had_a_rule: bool,
}

/// Whoever makes such Pods.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Owner {
    /// Its namespace.
    pub namespace: String,
    /// `Deployment`, `StatefulSet` and so on; `Pod` for Pods that nobody makes again.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What its Pods lack.
    pub secrets: BTreeSet<String>,
    /// How many Pods lack something.
    pub count: usize,
    /// The first of these.
    pub pods: Vec<String>,
    /// What one of them waits for, if that is an image.
    pub waiting: Option<String>,
    /// Whether rule and registration were there before one of them.
    pub had_a_rule: bool,
    /// What makes these Pods anew.
    pub commands: Vec<String>,
}

#[derive(Deserialize)]
struct Object<'a> {
    metadata: PodMetadata,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct PodMetadata {
    #[serde(flatten)]
    common: Metadata,
    namespace: String,
    owner_references: Vec<Reference>,
    deletion_timestamp: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Reference {
    kind: String,
    name: String,
    controller: bool,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    init_container_statuses: Vec<ContainerStatus>,
    container_statuses: Vec<ContainerStatus>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ContainerStatus {
    state: State,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct State {
    waiting: Option<Waiting>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Waiting {
    reason: String,
}

impl Known {
    /// Says of a Pod what it lacks, if anything.
    pub fn missed(&self, text: &str) -> Result<Option<Missed>, String> {
        let Object { metadata, status } = facts::read(text)?;
        let (namespace, name) = (&metadata.namespace, &metadata.common.name);
        let labels = self.namespaces.get(namespace.as_str());
        let Some(labels) =
            labels.filter(|labels| metadata.deletion_timestamp.is_none() && self.asks(labels, &metadata))
        else {
            return Ok(None);
        };
        let body = format!(
            r#"{{"apiVersion":"{}","kind":"{}","request":{{"uid":"doctor","operation":"CREATE","namespace":"{namespace}","resource":{{"group":"","version":"v1","resource":"pods"}},"object":{text}}}}}"#,
            admission::API_VERSION,
            admission::KIND,
        );
        let review = admission::read(body.as_bytes()).map_err(|malformed| malformed.to_string())?;
        let place = Namespace {
            name: namespace,
            labels: Some(labels),
        };
        let Outcome::Inject(plan) = admission::decide(&review, &place, &self.rules).outcome else {
            return Ok(None);
        };
        if let admission::Object::Pod(pod) = &review.object {
            let account = (namespace.as_str().into(), pod.service_account.as_ref().into());
            if self.strict_accounts.contains(&account) {
                return Ok(None);
            }
        }
        let created = metadata.common.creation_timestamp.as_str();
        let is_younger = |since: &String| since.as_str() < created;
        let is_registered = self
            .webhook
            .as_ref()
            .is_some_and(|(_, registered)| is_younger(registered));
        let is_known = |rule: &crate::rules::Rule| {
            let key = (rule.kind, rule.namespace.clone(), rule.name.clone());
            self.ages.get(&key).is_some_and(is_younger)
        };
        Ok(Some(Missed {
            secrets: plan.additions.iter().map(|added| added.secret().to_owned()).collect(),
            owner: owner(&metadata),
            waits: status.and_then(waits),
            had_a_rule: is_registered && plan.additions.iter().any(|added| is_known(added.rule)),
            namespace: namespace.clone(),
            name: name.clone(),
        }))
    }

    /// Whether the webhook would be asked about it.
    fn asks(&self, labels: &Labels, metadata: &PodMetadata) -> bool {
        self.webhook.as_ref().is_none_or(|(webhook, _)| {
            let of_pod = webhook.object_selector.compiled();
            let own: Labels = metadata.common.labels.iter().collect();
            asks_about(webhook, labels) && of_pod.is_none_or(|selector| selector.matches(&own))
        })
    }
}

/// Who makes the Pod again if it is deleted: itself stands for nobody. Names end up in commands, and whoever creates a Pod
/// may write anything there.
fn owner(metadata: &PodMetadata) -> (String, String) {
    let is_kind = |kind: &str| !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let mut owners = metadata.owner_references.iter().filter(|owner| owner.controller);
    let Some(owner) = owners.find(|owner| is_kind(&owner.kind) && is_name(&owner.name)) else {
        return ("Pod".to_owned(), metadata.common.name.clone());
    };
    let hash = metadata.common.labels.get(TEMPLATE_HASH);
    let deployment = hash.and_then(|hash| owner.name.strip_suffix(hash)?.strip_suffix('-'));
    match deployment.filter(|_| owner.kind == "ReplicaSet") {
        Some(deployment) => ("Deployment".to_owned(), deployment.to_owned()),
        None => (owner.kind.clone(), owner.name.clone()),
    }
}

/// What one of its containers waits for, if that is an image.
fn waits(status: &RawValue) -> Option<String> {
    let status: Status = serde_json::from_str(status.get()).ok()?;
    let containers = status
        .init_container_statuses
        .into_iter()
        .chain(status.container_statuses);
    let mut reasons = containers.filter_map(|container| Some(container.state.waiting?.reason));
    reasons.find(|reason| PULLS.contains(&reason.as_str()))
}

/// By owners: those whose Pods wait first, then those that were missed.
fn owners(missed: &[Missed]) -> Vec<Owner> {
    let mut owners: BTreeMap<_, Owner> = BTreeMap::new();
    for pod in missed {
        let (kind, name) = &pod.owner;
        let owner = owners.entry((&pod.namespace, kind, name)).or_insert_with(|| Owner {
            namespace: pod.namespace.clone(),
            kind: kind.clone(),
            name: name.clone(),
            secrets: BTreeSet::new(),
            count: 0,
            pods: Vec::new(),
            waiting: None,
            had_a_rule: false,
            commands: Vec::new(),
        });
        owner.secrets.extend(pod.secrets.iter().cloned());
        owner.count += 1;
        if owner.pods.len() < MOST_PODS {
            owner.pods.push(pod.name.clone());
        }
        if owner.waiting.is_none() {
            owner.waiting.clone_from(&pod.waits);
        }
        owner.had_a_rule |= pod.had_a_rule;
    }
    let mut owners: Vec<_> = owners.into_values().collect();
    for owner in &mut owners {
        owner.commands = owner.restart();
    }
    owners.sort_by_key(|owner| (owner.waiting.is_none(), !owner.had_a_rule));
    owners
}

impl Owner {
    /// What makes its Pods anew.
    fn restart(&self) -> Vec<String> {
        let Self {
            namespace, kind, name, ..
        } = self;
        match kind.as_str() {
            "DaemonSet" | "Deployment" | "StatefulSet" => {
                let kind = kind.to_lowercase();
                vec![format!("kubectl rollout restart {kind}/{name} --namespace {namespace}")]
            }
            // Nobody else would make it again.
            "Pod" => vec![format!(
                "kubectl get pod {name} --namespace {namespace} --output yaml | kubectl replace --force --filename -"
            )],
            _ => {
                let pods = self.pods.join(" ");
                vec![format!("kubectl delete pod {pods} --namespace {namespace}")]
            }
        }
    }

    fn said(&self) -> String {
        let Self {
            namespace, kind, name, ..
        } = self;
        let secrets: Vec<_> = self.secrets.iter().map(|secret| format!("`{secret}`")).collect();
        let plural = if self.count == 1 { " lacks" } else { "s lack" };
        let waits = self.waiting.iter().map(|reason| format!(", {reason}"));
        let waits: String = waits.collect();
        format!(
            "{kind} {namespace}/{name}: {} Pod{plural} {}{waits}",
            self.count,
            secrets.join(", ")
        )
    }
}

pub(super) fn examine(facts: &Facts, report: &mut Report) {
    let Some(pods) = &facts.pods else { return };
    report.saw(
        "Pods",
        format_args!(
            "{} of {} lack a secret that they would get now",
            pods.missed.len(),
            pods.seen
        ),
    );
    let owners = owners(&pods.missed);
    let (waiting, others): (Vec<_>, Vec<_>) = owners.iter().partition(|owner| owner.waiting.is_some());
    let (missed, older): (Vec<_>, Vec<_>) = others.into_iter().partition(|owner| owner.had_a_rule);
    let finding = |finding: Finding, owners: &[&Owner]| {
        let finding = finding.about(owners.iter().map(|owner| owner.said()));
        let named = owners.iter().take(MOST_OWNERS);
        named
            .flat_map(|owner| &owner.commands)
            .fold(finding, |finding, command| finding.running(command.clone()))
    };
    if !waiting.is_empty() {
        let message = format!(
            "Pods wait for images without a secret that rules give, and never get it; their owners: {}",
            waiting.len()
        );
        report.found(finding(Finding::error("pods-waiting", message), &waiting));
    }
    if !missed.is_empty() {
        let message = format!(
            "Pods were admitted without a secret that rules gave, so the webhook's answer was missed; their owners: {}",
            missed.len()
        );
        report.found(finding(Finding::warning("pods-missed", message), &missed));
    }
    if !older.is_empty() {
        let message = format!(
            "Pods were there before the rules that would give them a secret; their owners: {}",
            older.len()
        );
        report.found(finding(Finding::note("pods-older", message), &older));
    }
    report.pods = owners;
}
