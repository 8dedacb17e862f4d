//! What is known of a cluster.
//!
//! In: objects as the API server writes them. Out: what an examination needs of them; `None` stands for what nobody could
//! read. No text of an object goes into an error: a Secret may be among them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::counters::{Calls, Injections};
use super::objects::{Configuration, Deployment, Service};
use super::pods::Missed;
use super::trial::Trial;
use crate::controller::Target;
use crate::controller::ownership::Observed;
use crate::controller::status::RuleStatus;
use crate::rules::compile::API_VERSION;
use crate::rules::schema::custom_resource_definitions;
use crate::rules::{Diagnostic, Kind, Labels, Rule};

/// All of it.
#[derive(Debug, Default)]
pub struct Facts {
    /// Pullkey's own namespace.
    pub own_namespace: String,
    /// The version of this program.
    pub program: &'static str,
    /// The API server's version.
    pub kubernetes: Option<Version>,
    /// The definitions of both kinds of rules.
    pub definitions: Vec<(Kind, Option<Definition>)>,
    /// Everything that changes objects on their way.
    pub configurations: Option<Vec<Configuration>>,
    /// The Service that is called, if it is there.
    pub service: Option<Option<Service>>,
    /// The Deployments of Pullkey's own namespace.
    pub deployments: Option<Vec<Deployment>>,
    /// What is said of the serving certificate; none where nobody asked to look at it.
    pub certificate: Option<Certificate>,
    /// All namespaces that are not being deleted.
    pub namespaces: Option<BTreeMap<Box<str>, Labels>>,
    /// The rules, if all of them could be read.
    pub rules: Option<Rules>,
    /// The Secrets with the label of copies.
    pub copies: Option<BTreeMap<Target, Observed>>,
    /// Whose the Secrets without that label are that stand in a copy's place, of those that were looked at.
    pub in_the_way: BTreeMap<Target, Observed>,
    /// The Pods.
    pub pods: Option<Pods>,
    /// What the API server has counted since it started.
    pub calls: Option<Calls>,
    /// What the webhook's Pods have counted since they started.
    pub injections: Option<Injections>,
    /// What became of a Pod that was made for the look of it.
    pub trial: Option<Trial>,
}

/// The API server's `/version`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    major: String,
    minor: String,
    /// For people.
    pub git_version: String,
}

/// A definition of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Whether its objects can be read and written.
    pub is_established: bool,
    /// Whether our version is served.
    pub is_served: bool,
    /// Whether it says what this program would say.
    pub is_ours: bool,
}

/// What is said of the certificate in the Secret that the webhook serves with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Certificate {
    /// There is no such Secret.
    Missing,
    /// The API server would not believe it; why.
    Unfit(String),
    /// It would; and until when, for people.
    Good {
        /// The end of its time.
        not_after: String,
        /// Whether that is near.
        ends_soon: bool,
    },
}

/// The rules of the cluster.
#[derive(Debug, Default)]
pub struct Rules {
    /// Objects, those with a mistake, too.
    pub objects: Vec<RuleFacts>,
    /// The rules in force, those of files included.
    pub in_force: Vec<Arc<Rule>>,
    /// How many of these are of files; `None` if the files could not be read.
    pub of_files: Option<usize>,
    /// What is wrong with objects and files, and with all of them together.
    pub diagnostics: Vec<Diagnostic>,
}

/// An object that is a rule.
#[derive(Debug)]
pub struct RuleFacts {
    /// Its kind.
    pub kind: Kind,
    /// `namespace/name`, or the name alone.
    pub name: String,
    /// `metadata.generation`.
    pub generation: i64,
    /// Its status.
    pub status: RuleStatus,
    /// The rule, if it has no mistake.
    pub rule: Option<Arc<Rule>>,
}

/// What the API server and the controller say of a rule.
#[derive(Debug)]
pub struct RuleState {
    /// `metadata.generation`.
    pub generation: i64,
    /// Its status.
    pub status: RuleStatus,
    /// Since when it says what it says.
    pub since: String,
}

/// A ConfigMap.
#[derive(Debug, Default)]
pub struct ConfigMap {
    /// Its texts.
    pub data: BTreeMap<String, String>,
    /// Since when it says what it says.
    pub since: String,
}

/// An object of which counts since when it is what it is.
#[derive(Deserialize)]
struct Dated {
    metadata: Dates,
    #[serde(default)]
    data: Option<BTreeMap<String, String>>,
    #[serde(default)]
    status: Option<Value>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Dates {
    generation: i64,
    creation_timestamp: String,
    managed_fields: Vec<Managed>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Managed {
    time: String,
    subresource: String,
}

impl Dates {
    /// The last change of anything but the status. Times are in order as texts.
    fn since(self) -> String {
        let changes = self
            .managed_fields
            .into_iter()
            .filter(|entry| entry.subresource.is_empty());
        let last = changes.map(|entry| entry.time).max();
        last.unwrap_or_default().max(self.creation_timestamp)
    }
}

impl RuleState {
    /// Reads it from the object.
    pub fn read(text: &str) -> Result<Self, String> {
        let Dated { metadata, status, .. } = read(text)?;
        // Whatever else a status holds is as good as none.
        let status = status.and_then(|status| serde_json::from_value(status).ok());
        Ok(Self {
            generation: metadata.generation,
            status: status.unwrap_or_default(),
            since: metadata.since(),
        })
    }
}

impl ConfigMap {
    /// Reads it from the object.
    pub fn read(text: &str) -> Result<Self, String> {
        let Dated { metadata, data, .. } = read(text)?;
        Ok(Self {
            data: data.unwrap_or_default(),
            since: metadata.since(),
        })
    }
}

/// What the Pods are like.
#[derive(Debug, Default)]
pub struct Pods {
    /// How many were looked at.
    pub seen: usize,
    /// Those that lack a secret that they would get if they were created now.
    pub missed: Vec<Missed>,
}

/// Reads an object of any of these types.
pub fn read<'t, T: Deserialize<'t>>(text: &'t str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| format!("line {} of it is not as expected", error.line()))
}

impl Version {
    /// Whether it is at least that one. What a provider appends to the number does not count.
    #[must_use]
    pub fn is_at_least(&self, major: u32, minor: u32) -> bool {
        let number = |text: &str| -> u32 {
            let digits = text.bytes().take_while(u8::is_ascii_digit).count();
            text.get(..digits).and_then(|digits| digits.parse().ok()).unwrap_or(0)
        };
        (number(&self.major), number(&self.minor)) >= (major, minor)
    }
}

impl Definition {
    /// Reads the definition of a kind.
    pub fn read(kind: Kind, text: &str) -> Result<Self, String> {
        let found: Value = read(text)?;
        let (_, version) = API_VERSION.split_once('/').unwrap_or_default();
        let [first, second] = custom_resource_definitions();
        let ours = if kind == Kind::ClusterPullSecretRule {
            first
        } else {
            second
        };
        let (there, ours) = (of_version(&found, version), of_version(&ours, version));
        let conditions = found.pointer("/status/conditions").and_then(Value::as_array);
        let is_established = |condition: &Value| {
            let field = |name| condition.get(name).and_then(Value::as_str);
            (field("type"), field("status")) == (Some("Established"), Some("True"))
        };
        Ok(Self {
            is_established: conditions.into_iter().flatten().any(is_established),
            is_served: there.is_some_and(|there| there.get("served") == Some(&Value::Bool(true))),
            is_ours: there.and_then(|there| there.get("schema")) == ours.and_then(|ours| ours.get("schema")),
        })
    }
}

/// What a definition says of a version.
fn of_version<'d>(definition: &'d Value, version: &str) -> Option<&'d Value> {
    let versions = definition.pointer("/spec/versions")?.as_array()?;
    let is_it = |found: &&Value| found.get("name").and_then(Value::as_str) == Some(version);
    versions.iter().find(is_it)
}
