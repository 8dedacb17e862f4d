//! A cluster small enough to think about: a planner, the server that it writes to, and what tests say happens there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::server::{Name, Server, Watched, flat};
use crate::controller::copy::Style;
use crate::controller::names::Names;
use crate::controller::plan::{Action, Answer, NamespaceFacts, Planner, Priority, RuleFacts, Settings, Task};
use crate::controller::refusal::Refusal;
use crate::controller::source::SourceSecret;
use crate::controller::{FIELD_MANAGER, Moment, Timestamp};
use crate::rules::namespaces::NamespaceTerms;
use crate::rules::selector::SelectorTerms;
use crate::rules::{Kind, Mode, NamespaceSelection, Rule, SourceRef};

pub(super) const SOURCES: &str = "pullkey-sources";
pub(super) const OWN: &str = "pullkey";
pub(super) const MARKER: &str = "mArKeR7";
pub(super) const JSON: &str = "kubernetes.io/dockerconfigjson";
pub(super) const LEGACY: &str = "kubernetes.io/dockercfg";
pub(super) const MINUTE: Duration = Duration::from_mins(1);

pub(super) struct World {
    pub(super) planner: Planner,
    pub(super) server: Server,
    pub(super) style: Style,
    pub(super) now: Moment,
    /// What was handed out and is not done yet.
    pub(super) running: Vec<Task>,
    versions: u64,
    /// The version of each source that it has had since its payload last changed.
    source_versions: BTreeMap<String, u64>,
    payloads: BTreeMap<String, Vec<u8>>,
}

fn settings(names: Option<Names>) -> Settings {
    Settings {
        own_namespace: OWN.to_owned(),
        source_namespaces: [SOURCES.to_owned()].into(),
        names,
        keep_copies: Duration::from_mins(10),
    }
}

/// A cluster rule for the namespaces that `namespaces` includes, or, behind `=`, that have this value of the label `team`.
pub(super) fn rule(name: &str, secret: &str, source: &str, namespaces: &[&str]) -> Rule {
    let labels = namespaces.iter().filter_map(|name| name.strip_prefix('='));
    let labels: Vec<_> = labels.map(|value| ("team".to_owned(), value.to_owned())).collect();
    let names = namespaces.iter().filter(|name| !name.starts_with('='));
    let names: Vec<_> = names.map(|name| (*name).to_owned()).collect();
    let terms = NamespaceTerms {
        include: (!names.is_empty()).then_some(names),
        exclude: Vec::new(),
        selector: (!labels.is_empty()).then(|| SelectorTerms {
            match_labels: labels,
            match_expressions: Vec::new(),
        }),
    };
    Rule {
        kind: Kind::ClusterPullSecretRule,
        name: name.to_owned(),
        namespace: None,
        secret: secret.to_owned(),
        mode: Mode::Enforce,
        patterns: Vec::new(),
        exceptions: Vec::new(),
        regex: None,
        derived: Vec::new(),
        namespaces: NamespaceSelection::new(terms, OWN).unwrap(),
        copy_from: Some(reference(source)),
        last_match: None,
    }
}

pub(super) fn reference(source: &str) -> SourceRef {
    let (namespace, name) = source.split_once('/').unwrap_or((SOURCES, source));
    SourceRef {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

/// The fact of a rule that was created at this second and has the uid `uid-NAME`.
pub(super) fn facts(rule: Rule, second: u32) -> RuleFacts {
    RuleFacts {
        uid: format!("uid-{}", rule.name).into(),
        created: Timestamp::new(&format!("2026-01-01T00:00:{second:02}Z")),
        rule: Arc::new(rule),
    }
}

/// A good docker config with this password, and the marker in it.
pub(super) fn config(password: &str) -> Vec<u8> {
    let auths = serde_json::json!({"ghcr.io": {"username": "me", "password": format!("{MARKER}{password}")}});
    serde_json::json!({ "auths": auths }).to_string().into_bytes()
}

pub(super) fn name(namespace: &str, name: &str) -> Name {
    (namespace.to_owned(), name.to_owned())
}

/// The fields of a Secret made by hand.
pub(super) fn by_hand(secret_type: &str, payload: &[u8]) -> BTreeMap<Vec<String>, String> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let key = if secret_type.ends_with("json") {
        ".dockerconfigjson"
    } else {
        ".dockercfg"
    };
    flat(&serde_json::json!({"type": secret_type, "data": {key: STANDARD.encode(payload)}}))
}

pub(super) fn acme() -> Rule {
    rule("acme", "ghcr", "ghcr", &["team-*"])
}

/// One good source, one rule for all teams, and `team-a` with its copy.
pub(super) fn settled() -> World {
    let mut world = World::new();
    world.good_source("ghcr", "1");
    world.rule(acme(), 1);
    world.namespace("team-a", "a", false);
    world.settle();
    assert!(world.has_copy("team-a", "ghcr", "1"));
    world
}

pub(super) fn shadow(mut rule: Rule) -> Rule {
    rule.mode = Mode::Shadow;
    rule
}

pub(super) fn edit(world: &mut World, manager: &str) {
    let path = vec!["data".to_owned(), ".dockerconfigjson".to_owned()];
    let edited = format!("{}", world.now.as_nanos());
    world.server.update(&name("team-a", "ghcr"), manager, |fields| {
        fields.insert(path, edited);
    });
}

impl World {
    /// Started, with nothing in it but the namespace of sources.
    pub(super) fn new() -> Self {
        Self::styled(&[])
    }

    /// The same, where copies have these labels.
    pub(super) fn styled(labels: &[(&str, &str)]) -> Self {
        let labels = labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let mut world = Self::not_started(None);
        world.style = Style::new(labels.collect(), BTreeMap::new()).unwrap();
        world.server.style = world.style.clone();
        world.begin_empty(None);
        world
    }

    /// The same, limited to these copies, and to the sources behind their namespace.
    pub(super) fn named(names: &[&str]) -> Self {
        let names: Names = names.iter().map(|name| name.parse().unwrap()).collect();
        let mut world = Self::not_started(Some(names.clone()));
        world.begin_empty(Some(&names));
        world
    }

    fn begin_empty(&mut self, names: Option<&Names>) {
        self.list_sources(names);
        for name in names.iter().flat_map(|names| &names.copies) {
            self.planner.copies_listed(Some(name), self.now);
        }
        self.planner.rules_complete(true, self.now);
        self.planner.start();
    }

    pub(super) fn list_sources(&mut self, names: Option<&Names>) {
        let single = names.iter().flat_map(|names| &names.sources).map(ToString::to_string);
        let scopes: Vec<_> = if names.is_some() {
            single.collect()
        } else {
            vec![SOURCES.to_owned()]
        };
        for scope in scopes {
            self.planner.sources_listed(&scope, &[].into());
        }
    }

    pub(super) fn not_started(names: Option<Names>) -> Self {
        let mut server = Server::default();
        server.watches_all = names.is_some();
        Self {
            server,
            planner: Planner::new(settings(names)),
            style: Style::default(),
            now: Duration::from_secs(1),
            running: Vec::new(),
            versions: 0,
            source_versions: BTreeMap::new(),
            payloads: BTreeMap::new(),
        }
    }

    /// A Secret with this payload appears or changes among the sources.
    pub(super) fn source(&mut self, source: &str, secret_type: &str, payload: &[u8]) {
        self.versions += 1;
        if self.payloads.insert(source.to_owned(), payload.to_vec()).as_deref() != Some(payload) {
            self.source_versions.insert(source.to_owned(), self.versions);
        }
        let version = self.versions.to_string();
        let uid = format!("uid-{source}-{secret_type}");
        let labels = BTreeMap::new();
        let secret = SourceSecret {
            uid: &uid,
            resource_version: &version,
            labels: &labels,
            managed_fields: &[],
            secret_type,
            data: &|_| Some(payload),
        };
        self.planner.source_set(&reference(source), &secret);
    }

    pub(super) fn good_source(&mut self, source: &str, password: &str) {
        self.source(source, "kubernetes.io/dockerconfigjson", &config(password));
    }

    /// The same source that another world knows, as of the same version.
    pub(super) fn good_source_like(&mut self, other: &Self, source: &str, password: &str) {
        self.versions = other.source_versions[source] - 1;
        self.good_source(source, password);
    }

    pub(super) fn namespace(&mut self, name: &str, team: &str, is_born: bool) {
        let facts = NamespaceFacts {
            labels: [("team", team)].into_iter().collect(),
            is_terminating: self.server.terminating.contains(name),
        };
        self.planner.namespace_set(name, facts, is_born);
    }

    pub(super) fn rule(&mut self, rule: Rule, second: u32) {
        self.planner.rule_set(&facts(rule, second));
    }

    /// Passes on what the watch of copies has to tell.
    pub(super) fn deliver(&mut self) {
        let told: Vec<_> = self.server.watch.drain(..).collect();
        for event in told {
            self.tell(event);
        }
    }

    pub(super) fn deliver_one(&mut self) {
        if !self.server.watch.is_empty() {
            let event = self.server.watch.remove(0);
            self.tell(event);
        }
    }

    fn tell(&mut self, event: Watched) {
        match event {
            Watched::Set(name, observed) => self.planner.copy_set(&name.0, &name.1, observed, self.now),
            Watched::Gone(name, uid) => self.planner.copy_gone(&name.0, &name.1, &uid, self.now),
        }
    }

    /// Takes the next task without doing it.
    pub(super) fn take(&mut self) -> Option<Task> {
        self.planner.next(Priority::Removal, self.now)
    }

    /// Takes a task and has the server do it, without an answer yet.
    pub(super) fn begin(&mut self) {
        if let Some(task) = self.take() {
            self.running.push(task);
        }
    }

    /// Does the task that was begun first, and reports.
    pub(super) fn finish(&mut self) {
        if !self.running.is_empty() {
            let task = self.running.remove(0);
            self.perform(&task);
        }
    }

    /// Does a task, and reports.
    pub(super) fn perform(&mut self, task: &Task) {
        let answer = self.execute(task).unwrap_or_else(Answer::Refused);
        self.planner.report(task, answer, self.now);
    }

    fn execute(&mut self, task: &Task) -> Result<Answer, Refusal> {
        let name = name(&task.target.namespace, &task.target.name);
        let style = self.style.clone();
        let found = |observed: Option<_>| observed.map_or(Answer::Absent, Answer::Found);
        if let Action::Look = task.action {
            return Ok(found(self.server.look(&name, &style)));
        }
        if let Action::Delete { identity } | Action::Replace { identity, .. } = &task.action {
            let left = self.server.delete_copy(&name, identity, &style)?;
            if let Action::Delete { .. } = task.action {
                return Ok(found(left));
            }
        }
        let object = task.action.object(&task.target, &style).expect("an apply");
        let applied = self
            .server
            .apply_copy(&name, &object, task.action.is_forced(), &style)?;
        Ok(Answer::Found(applied))
    }

    /// Does everything that can be done now.
    pub(super) fn settle(&mut self) {
        for _ in 0..10_000 {
            self.deliver();
            let Some(task) = self.take() else {
                if self.server.watch.is_empty() && self.planner.wakes_at(self.now).is_none_or(|at| at > self.now) {
                    return;
                }
                continue;
            };
            self.perform(&task);
        }
        panic!("it never ends");
    }

    /// Lets time pass, doing what comes up.
    pub(super) fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        self.settle();
        while let Some(at) = self.planner.wakes_at(self.now).filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.settle();
        }
        self.now = end;
        self.settle();
    }

    /// The tasks that would be done now, by what they are; none is done.
    pub(super) fn tasks(&mut self) -> Vec<String> {
        let mut tasks = Vec::new();
        while let Some(task) = self.take().or_else(|| self.take()) {
            tasks.push(format!("{} {} {:?}", kind(&task.action), task.target, task.priority));
        }
        tasks
    }

    /// The payload of a Secret that is there.
    pub(super) fn payload(&self, namespace: &str, secret: &str) -> Option<Vec<u8>> {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let secret = self.server.secrets.get(&name(namespace, secret))?;
        let encoded = secret
            .field(&["data", ".dockerconfigjson"])
            .or_else(|| secret.field(&["data", ".dockercfg"]))?;
        Some(STANDARD.decode(encoded).unwrap())
    }

    pub(super) fn has_copy(&self, namespace: &str, secret: &str, password: &str) -> bool {
        let is_ours = self
            .server
            .secrets
            .get(&name(namespace, secret))
            .is_some_and(|secret| secret.owners.iter().any(|owner| owner.manager == FIELD_MANAGER));
        is_ours && self.payload(namespace, secret) == Some(config(password))
    }
}

pub(super) fn kind(action: &Action) -> &'static str {
    match action {
        Action::Look => "look",
        Action::Create { .. } => "create",
        Action::Update { .. } => "update",
        Action::Replace { .. } => "replace",
        Action::Delete { .. } => "delete",
    }
}
