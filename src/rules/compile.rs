//! Text to rules, or to everything that is wrong with it.
//!
//! In: the text of a rules file, or of one object of the cluster, and what is known beside it. Out: [`Compiled`]: the
//! rules that are right, the names that all of them claim, and every mistake. A syntax error ends the reading of a file;
//! nothing else does. Names that two files claim, and limits over all files, are the business of `source`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use super::diagnostic::{Diagnostic, Severity};
use super::document::{Field, either, nearest};
use super::namespaces::{ACCEPTED_NAMESPACE, NOT_OURS, PROTECTED};
use super::spec::{self, Spec};
use super::{Kind, Rule, SourceRef};
use crate::credentials::Key;
use crate::yaml::{self, Position};

/// The one `apiVersion` of rules.
pub const API_VERSION: &str = "pullkey.dev/v1alpha1";
/// How many rules may have an `imageRegex`, over all files: each is tried on every image.
pub const MOST_REGEXES: usize = 1_000;
const KINDS: [Kind; 2] = [Kind::ClusterPullSecretRule, Kind::PullSecretRule];

/// What a rule is judged by beside its text.
#[derive(Clone, Copy)]
pub struct Context<'c> {
    /// The namespace that Pullkey runs in: no rule may touch it.
    pub own_namespace: &'c str,
    /// Whether labels of namespaces are known; a `selector` needs them.
    pub labels: bool,
    /// The keys of a source secret, where sources are known; a rule without `images` and `imageRegex` needs them.
    pub source_keys: Option<SourceKeys<'c>>,
}

/// Looks up the keys of a source secret; `None` where the source is not known.
pub type SourceKeys<'c> = &'c dyn Fn(&SourceRef) -> Option<Vec<Key>>;

/// What a text says.
#[derive(Debug, Clone, Default)]
pub struct Compiled {
    /// The rules without a mistake, in order.
    pub rules: Vec<Arc<Rule>>,
    /// The names of all rules that have a good one, other mistakes or not.
    pub claims: Vec<Claim>,
    /// Every mistake in the order of the text.
    pub mistakes: Vec<Diagnostic>,
    /// What is right and may surprise.
    pub warnings: Vec<Diagnostic>,
}

/// A name that a rule takes; no other of the same kind and namespace may have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The rule's kind.
    pub kind: Kind,
    /// `metadata.namespace`.
    pub namespace: Option<String>,
    /// `metadata.name`.
    pub name: String,
    /// Where the name stands.
    pub position: Position,
    /// Where the rule's `imageRegex` stands, if it has one.
    pub regex: Option<Position>,
    /// The index in a `List`.
    pub item: Option<usize>,
}

/// Reads the text of a rules file.
#[must_use]
pub fn compile(text: &str, file: &str, context: &Context<'_>) -> Compiled {
    let mut compiler = Compiler::new(Origin::File, context);
    compiler.read(text, file, |compiler, documents| {
        for node in documents {
            compiler.document(&Field::top(file, node));
        }
        compiler.check_file(file);
    });
    compiler.finish()
}

/// Reads one rule as the API server has it. `subject` says which in every finding, and findings have no places: nobody
/// has seen this text.
#[must_use]
pub fn compile_object(text: &str, subject: &str, context: &Context<'_>) -> Compiled {
    let mut compiler = Compiler::new(Origin::Cluster, context);
    compiler.read(text, subject, |compiler, documents| {
        for node in documents {
            compiler.object(&Field::top(subject, node), None);
        }
    });
    let mut found = compiler.finish();
    for finding in found.mistakes.iter_mut().chain(&mut found.warnings) {
        finding.position = None;
    }
    found
}

/// Where a text comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    File,
    Cluster,
}

struct Compiler<'c> {
    origin: Origin,
    context: &'c Context<'c>,
    rules: Vec<Arc<Rule>>,
    claims: Vec<Claim>,
    /// How many rules had an `imageRegex` so far.
    regexes: usize,
    findings: Vec<Diagnostic>,
}

impl<'c> Compiler<'c> {
    fn new(origin: Origin, context: &'c Context<'c>) -> Self {
        Self {
            origin,
            context,
            rules: Vec::new(),
            claims: Vec::new(),
            regexes: 0,
            findings: Vec::new(),
        }
    }

    /// Takes a text apart and has its documents read, or says what stands in the way.
    fn read(&mut self, text: &str, file: &str, read: impl FnOnce(&mut Self, &[yaml::Node])) {
        match yaml::parse(text) {
            Ok(documents) => read(self, &documents),
            Err(error) => {
                let message = format_args!("this is no YAML or JSON: {}", error.message);
                let mistake = Diagnostic::new(Severity::Error, file, message);
                self.findings.push(mistake.at(error.position, &""));
            }
        }
    }

    fn finish(self) -> Compiled {
        let (mut mistakes, mut warnings): (Vec<_>, Vec<_>) = self
            .findings
            .into_iter()
            .partition(|finding| finding.severity == Severity::Error);
        mistakes.sort_by_key(|mistake| mistake.position);
        warnings.sort_by_key(|warning| warning.position);
        Compiled {
            rules: self.rules,
            claims: self.claims,
            mistakes,
            warnings,
        }
    }

    /// Reads a document: nothing, a rule, or a list of rules.
    fn document(&mut self, document: &Field<'_>) {
        let text = |key| document.get(key).and_then(|field| field.node.as_str());
        if (text("apiVersion"), text("kind")) != (Some("v1"), Some("List")) {
            return self.object(document, None);
        }
        if let Some(list) = document.require("items", "a list of rules", &mut self.findings) {
            for (index, item) in list.items(&mut self.findings).iter().flatten().enumerate() {
                self.object(item, Some(index));
            }
        }
    }

    /// Reads an object. One that is no rule may hold anything: nothing is shown but what it says it is.
    fn object(&mut self, object: &Field<'_>, item: Option<usize>) {
        if object.node.value == yaml::Value::Null {
            return;
        }
        if object.node.as_mapping().is_none() {
            let mut mistake = object.error(format_args!("this is {} and no rule", object.node.kind()));
            mistake.value = None;
            return self.findings.push(mistake);
        }
        let kinds = KINDS.map(Kind::as_str);
        let Some(kind) = object.require("kind", &either(&kinds), &mut self.findings) else {
            object.require("apiVersion", &either(&[API_VERSION]), &mut self.findings);
            return;
        };
        let Some(rule) = KINDS.into_iter().find(|rule| kind.node.as_str() == Some(rule.as_str())) else {
            let mut mistake = kind.error("this is no rule").accepting(either(&kinds));
            let near = kind.node.as_str().and_then(|kind| nearest(kind, &kinds));
            mistake.hint = near.map(|near| format!("did you mean `{near}`?"));
            return self.findings.push(mistake);
        };
        self.rule(object, rule, item);
    }

    /// Reads a rule of a known kind.
    fn rule(&mut self, object: &Field<'_>, kind: Kind, item: Option<usize>) {
        let mut findings = Vec::new();
        object.strict_mapping(&["apiVersion", "kind", "metadata", "spec", "status"], &mut findings);
        if let Some(version) = object.require("apiVersion", &either(&[API_VERSION]), &mut findings)
            && version.node.as_str() != Some(API_VERSION)
        {
            let mistake = version.error(format_args!("a {kind} has another `apiVersion`"));
            findings.push(mistake.accepting(either(&[API_VERSION])));
        }
        let metadata = object.require("metadata", "a mapping with the rule's `name`", &mut findings);
        let named = metadata.and_then(|metadata| self.named(&metadata, kind, &mut findings));
        let spec = object.require("spec", "a mapping that says what the rule is", &mut findings);
        let regex = spec.and_then(|spec| spec.get("imageRegex").map(|field| field.node.position));
        self.regexes += usize::from(regex.is_some());
        // A file could hold any number of regexes; those that are too many are not compiled.
        let spec = spec.filter(|_| self.regexes <= MOST_REGEXES);
        let spec = spec.map(|spec| {
            if self.origin == Origin::File && kind == Kind::ClusterPullSecretRule {
                findings.extend(no_copies(&spec));
            }
            Spec::read(&spec, kind, self.context, &mut findings)
        });

        if let Some((namespace, name, position)) = named {
            let is_good = findings.iter().all(|finding| finding.severity == Severity::Warning);
            if let Some(spec) = spec.filter(|_| is_good) {
                let rule = spec.into_rule(kind, name.clone(), namespace.clone());
                self.rules.push(Arc::new(rule));
            }
            self.claims.push(Claim {
                kind,
                namespace,
                name,
                position,
                regex,
                item,
            });
        }
        self.findings.append(&mut findings);
    }

    /// The rule's namespace and name, and where the name stands. Other metadata is not ours to judge.
    fn named(
        &self,
        metadata: &Field<'_>,
        kind: Kind,
        findings: &mut Vec<Diagnostic>,
    ) -> Option<(Option<String>, String, Position)> {
        metadata.mapping(findings)?;
        let name = spec::name(metadata, "name", findings);
        let position = metadata.get("name")?.node.position;
        if kind == Kind::ClusterPullSecretRule {
            if let Some(field) = metadata.get("namespace") {
                let mistake = field.error(format_args!("a {kind} is in no namespace"));
                findings.push(mistake.hinting("`spec.namespaces` says where it applies"));
            }
            return Some((None, name?, position));
        }
        let namespace = spec::namespace(metadata, findings)?;
        if (PROTECTED.contains(&namespace.as_str()) || namespace == self.context.own_namespace)
            && let Some(field) = metadata.get("namespace")
        {
            findings.push(field.error(NOT_OURS).accepting(ACCEPTED_NAMESPACE));
        }
        Some((Some(namespace), name?, position))
    }

    /// What can only be said of the file as a whole.
    fn check_file(&mut self, file: &str) {
        if self.claims.is_empty() && self.findings.is_empty() {
            let kinds = KINDS.map(Kind::as_str);
            let mistake = Diagnostic::new(Severity::Error, file, "there is no rule in this file");
            return self
                .findings
                .push(mistake.accepting(format_args!("at least one {}", either(&kinds))));
        }
        let mut regexes = self.claims.iter().filter_map(|claim| Some((claim, claim.regex?)));
        if let Some((claim, position)) = regexes.nth(MOST_REGEXES) {
            self.findings.push(claim.too_many_regexes(file, position));
        }
        let mut first = HashMap::new();
        for claim in &self.claims {
            match first.entry(claim.key()) {
                Entry::Vacant(entry) => {
                    entry.insert(claim.position);
                }
                Entry::Occupied(entry) => self.findings.push(claim.taken(file, file, *entry.get())),
            }
        }
    }
}

/// That nobody follows the `copyFrom` of a rule in a file.
fn no_copies(spec: &Field<'_>) -> Option<Diagnostic> {
    let secret = spec.get("secret")?;
    let source = secret.get("copyFrom")?;
    let warning = source.warning("a rule in a file makes no copies: the controller reads the cluster's objects only");
    Some(warning.hinting("apply the rule to the cluster, too, or put the secret in place by other means"))
}

impl Claim {
    /// What no two rules may have in common.
    pub(super) fn key(&self) -> (Kind, Option<&str>, &str) {
        (self.kind, self.namespace.as_deref(), &self.name)
    }

    /// That this claim comes after another one.
    pub(super) fn taken(&self, file: &str, first_file: &str, first: Position) -> Diagnostic {
        let message = format_args!("there is another {} of this name", self.kind);
        let mut diagnostic = Diagnostic::new(Severity::Error, file, message)
            .at(self.position, &self.field("metadata.name"))
            .hinting(format_args!("the first one is at {first_file}:{first}"));
        diagnostic.value = Some(self.name.clone());
        diagnostic
    }

    /// That this claim's regex, at `position`, is one more than there may be.
    pub(super) fn too_many_regexes(&self, file: &str, position: Position) -> Diagnostic {
        Diagnostic::new(Severity::Error, file, "too many rules have an `imageRegex`")
            .at(position, &self.field("spec.imageRegex"))
            .accepting(format_args!("at most {MOST_REGEXES} over all files"))
            .hinting("patterns have no such limit")
    }

    /// The way to one of the rule's fields from the top of its document.
    pub(super) fn field(&self, field: &str) -> String {
        match self.item {
            Some(item) => format!("items[{item}].{field}"),
            None => field.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
