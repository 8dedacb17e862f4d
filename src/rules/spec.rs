//! The `spec` of one rule.
//!
//! In: its field, and what is known beside the text. Out: a [`Spec`] of checked parts, and a diagnostic for everything
//! that is wrong or surprising. `pattern`, `regex`, `namespaces` and `selector` judge their texts; here they get them,
//! and what they say gets its place.

use super::compile::Context;
use super::diagnostic::Diagnostic;
use super::document::{Field, either, nearest};
use super::names::{ACCEPTED_LABEL, ACCEPTED_SUBDOMAIN, is_label, is_subdomain};
use super::namespaces::{ACCEPTED_NAMESPACES, NamespaceTerms};
use super::pattern::LONGEST_PATTERN;
use super::regex::LONGEST_REGEX;
use super::selector::{ExpressionTerms, SelectorTerms};
use super::{ImagePattern, ImageRegex, Kind, Mode, NamespaceSelection, Rule, SourceRef};
use crate::credentials::Key;

/// How many patterns a list of a cluster rule may have. With every list of a rule at its limit it still is an object
/// that etcd takes (1.5 MiB).
const MOST_PATTERNS: usize = 500;
/// How many patterns a list of a namespaced rule may have, and how many characters each: tenants share the index.
const MOST_TENANT_PATTERNS: usize = 64;
const LONGEST_TENANT_PATTERN: usize = 255;
pub(super) const MODES: [Mode; 2] = [Mode::Enforce, Mode::Shadow];
pub(super) const ACCEPTED_IMAGES: &str =
    "`images`, `imageRegex` or both; with `secret.copyFrom` the source's own keys will do";
pub(super) const NO_OBJECT: &str = "no object can have such a name";
pub(super) const NO_NAMESPACE: &str = "no namespace can have such a name";
pub(super) const NO_IMAGES: &str = "an empty list covers no image";
/// The fields of each mapping, in the order in which people read them.
pub(super) const FIELDS: [&str; 6] = ["images", "exceptImages", "imageRegex", "namespaces", "secret", "mode"];
pub(super) const SECRET_FIELDS: [&str; 2] = ["name", "copyFrom"];
pub(super) const SOURCE_FIELDS: [&str; 2] = ["namespace", "name"];
pub(super) const NAMESPACES_FIELDS: [&str; 3] = ["include", "exclude", "selector"];
pub(super) const SELECTOR_FIELDS: [&str; 2] = ["matchLabels", "matchExpressions"];
pub(super) const EXPRESSION_FIELDS: [&str; 3] = ["key", "operator", "values"];
/// Takes the place of a text that is none, so that the others keep their index and it is reported once. It is good as a
/// name, a label key and a label value.
const STAND_IN: &str = "stand-in";

/// What a rule says; what is missing or wrong is empty here, and reported.
#[derive(Default)]
pub(super) struct Spec {
    patterns: Vec<ImagePattern>,
    exceptions: Vec<ImagePattern>,
    regex: Option<ImageRegex>,
    derived: Vec<Key>,
    /// `None` for a namespaced rule.
    namespaces: Option<NamespaceSelection>,
    secret: String,
    copy_from: Option<SourceRef>,
    mode: Mode,
}

impl Spec {
    /// Reads the `spec` of a rule.
    pub(super) fn read(spec: &Field<'_>, kind: Kind, context: &Context<'_>, findings: &mut Vec<Diagnostic>) -> Self {
        if spec.strict_mapping(&FIELDS, findings).is_none() {
            return Self::default();
        }
        let mut read = Self {
            mode: spec.get("mode").map(|field| mode(&field, findings)).unwrap_or_default(),
            exceptions: spec
                .get("exceptImages")
                .map(|field| patterns(&field, kind, findings))
                .unwrap_or_default(),
            ..Self::default()
        };
        if let Some(images) = spec.get("images") {
            read.patterns = patterns(&images, kind, findings);
            if images.node.as_sequence().is_some_and(<[_]>::is_empty) {
                findings.push(images.error(NO_IMAGES).accepting("at least one pattern"));
            }
        }
        if let Some(field) = spec.require("secret", "the secret's `name`", findings) {
            read.secret(&field, kind, context, findings);
        }
        match kind {
            Kind::ClusterPullSecretRule => read.cluster_wide(spec, context, findings),
            Kind::PullSecretRule => namespaced(spec, findings),
        }
        read
    }

    /// The rule with this spec and that name.
    pub(super) fn into_rule(mut self, kind: Kind, name: String, namespace: Option<String>) -> Rule {
        self.patterns.shrink_to_fit();
        self.exceptions.shrink_to_fit();
        let own = NamespaceSelection::only(namespace.as_deref().unwrap_or_default());
        Rule {
            kind,
            name,
            namespace,
            secret: self.secret,
            mode: self.mode,
            patterns: self.patterns,
            exceptions: self.exceptions,
            regex: self.regex,
            derived: self.derived,
            namespaces: self.namespaces.unwrap_or(own),
            copy_from: self.copy_from,
            last_match: None,
        }
    }

    fn secret(&mut self, field: &Field<'_>, kind: Kind, context: &Context<'_>, findings: &mut Vec<Diagnostic>) {
        field.strict_mapping(&SECRET_FIELDS, findings);
        self.secret = name(field, "name", findings).unwrap_or_default();
        let Some(source) = field.get("copyFrom") else {
            return;
        };
        if kind == Kind::PullSecretRule {
            return findings.push(cluster_only(&source));
        }
        source.strict_mapping(&SOURCE_FIELDS, findings);
        let namespace = namespace(&source, findings);
        if namespace.as_deref() == Some(context.own_namespace)
            && let Some(field) = source.get("namespace")
        {
            let hint = "keep sources in a namespace of their own, such as `pullkey-sources`";
            findings.push(
                field
                    .error("Pullkey's own namespace is no place for sources")
                    .hinting(hint),
            );
        }
        let secret = name(&source, "name", findings);
        self.copy_from = namespace
            .zip(secret)
            .map(|(namespace, name)| SourceRef { namespace, name });
    }

    /// What only cluster rules have.
    fn cluster_wide(&mut self, spec: &Field<'_>, context: &Context<'_>, findings: &mut Vec<Diagnostic>) {
        let regex = spec.get("imageRegex");
        self.regex = regex.and_then(|field| regex_of(&field, findings));
        if let Some(field) = spec.require("namespaces", ACCEPTED_NAMESPACES, findings) {
            self.namespaces = namespaces(&field, context, findings);
        }
        if spec.get("images").is_some() || regex.is_some() {
            return;
        }
        if spec.get("secret").is_none_or(|secret| secret.get("copyFrom").is_none()) {
            return findings.push(spec.missing("images", ACCEPTED_IMAGES));
        }
        let Some(source) = &self.copy_from else {
            return;
        };
        match context.source_keys.and_then(|keys| keys(source)) {
            Some(keys) => self.derived = keys,
            None => findings.push(
                spec.missing("images", "`images`, `imageRegex` or both")
                    .hinting(format_args!(
                        "only the cluster knows the keys of the source secret `{source}`; \
                         `pullkey explain` takes them by `--credentials`"
                    )),
            ),
        }
    }
}

/// What a namespaced rule must and must not have beside what all have.
fn namespaced(spec: &Field<'_>, findings: &mut Vec<Diagnostic>) {
    spec.require("images", "a list of image patterns", findings);
    findings.extend(
        ["imageRegex", "namespaces"]
            .iter()
            .filter_map(|key| spec.get(key))
            .map(|field| cluster_only(&field)),
    );
}

fn cluster_only(field: &Field<'_>) -> Diagnostic {
    field.error(format_args!("only a {} has this field", Kind::ClusterPullSecretRule))
}

/// How many patterns a list of such a rule may have, and how many characters each.
pub(super) fn pattern_limits(kind: Kind) -> (usize, usize) {
    match kind {
        Kind::ClusterPullSecretRule => (MOST_PATTERNS, LONGEST_PATTERN),
        Kind::PullSecretRule => (MOST_TENANT_PATTERNS, LONGEST_TENANT_PATTERN),
    }
}

fn patterns(field: &Field<'_>, kind: Kind, findings: &mut Vec<Diagnostic>) -> Vec<ImagePattern> {
    let items = field.items(findings).unwrap_or_default();
    let (most, _) = pattern_limits(kind);
    if items.len() > most {
        let accepted = format!("at most {most}");
        findings.push(
            field
                .error(format_args!("a {kind} has {} patterns here", items.len()))
                .accepting(accepted),
        );
    }
    items.iter().filter_map(|item| pattern(item, kind, findings)).collect()
}

fn pattern(item: &Field<'_>, kind: Kind, findings: &mut Vec<Diagnostic>) -> Option<ImagePattern> {
    let text = item.text(findings)?;
    let length = text.chars().count();
    let (_, longest) = pattern_limits(kind);
    if length > longest {
        let accepted = format!("at most {longest} in a {kind}");
        findings.push(
            item.error(format_args!("the pattern is {length} characters long"))
                .accepting(accepted),
        );
        return None;
    }
    match ImagePattern::parse(text) {
        Ok(parsed) => {
            findings.extend(parsed.warning.map(|warning| item.warning(warning)));
            Some(parsed.pattern)
        }
        Err(invalid) => {
            let mistake = item.error(&invalid.message).accepting(ImagePattern::ACCEPTED);
            findings.push(match &invalid.hint {
                Some(hint) => mistake.hinting(hint),
                None => mistake,
            });
            None
        }
    }
}

fn regex_of(field: &Field<'_>, findings: &mut Vec<Diagnostic>) -> Option<ImageRegex> {
    ImageRegex::parse(field.text(findings)?)
        .map_err(|invalid| {
            let accepted =
                format!("a Rust regex for the whole of `registry/repository`, at most {LONGEST_REGEX} characters");
            findings.push(field.error(invalid).accepting(accepted));
        })
        .ok()
}

fn mode(field: &Field<'_>, findings: &mut Vec<Diagnostic>) -> Mode {
    let Some(text) = field.text(findings) else {
        return Mode::default();
    };
    MODES.into_iter().find(|mode| mode.as_str() == text).unwrap_or_else(|| {
        let names = MODES.map(Mode::as_str);
        let mistake = field.error("there is no such mode").accepting(either(&names));
        findings.push(match nearest(text, &names) {
            Some(near) => mistake.hinting(format_args!("did you mean `{near}`?")),
            None => mistake,
        });
        Mode::default()
    })
}

/// The name of a rule or secret.
pub(super) fn name(parent: &Field<'_>, key: &str, findings: &mut Vec<Diagnostic>) -> Option<String> {
    let field = parent.require(key, ACCEPTED_SUBDOMAIN, findings)?;
    let text = field.text(findings)?;
    if !is_subdomain(text) {
        findings.push(field.error(NO_OBJECT).accepting(ACCEPTED_SUBDOMAIN));
        return None;
    }
    Some(text.to_owned())
}

/// The name of the namespace that something is in.
pub(super) fn namespace(parent: &Field<'_>, findings: &mut Vec<Diagnostic>) -> Option<String> {
    let field = parent.require("namespace", ACCEPTED_LABEL, findings)?;
    let text = field.text(findings)?;
    if !is_label(text) {
        findings.push(field.error(NO_NAMESPACE).accepting(ACCEPTED_LABEL));
        return None;
    }
    Some(text.to_owned())
}

fn namespaces(field: &Field<'_>, context: &Context<'_>, findings: &mut Vec<Diagnostic>) -> Option<NamespaceSelection> {
    field.strict_mapping(&NAMESPACES_FIELDS, findings)?;
    let selector = field.get("selector");
    if let Some(selector) = selector.filter(|_| !context.labels) {
        findings.push(
            selector
                .error("a selector needs the labels of namespaces, which only the cluster knows")
                .hinting("name the namespaces in `include`; `pullkey explain` takes labels by `--namespace-label`"),
        );
    }
    let terms = NamespaceTerms {
        include: field.get("include").map(|list| texts(&list, findings)),
        exclude: field
            .get("exclude")
            .map(|list| texts(&list, findings))
            .unwrap_or_default(),
        selector: selector.map(|selector| selector_terms(&selector, findings)),
    };
    NamespaceSelection::new(terms, context.own_namespace)
        .map_err(|problems| findings.extend(problems.iter().map(|problem| field.error_below(problem))))
        .ok()
}

fn selector_terms(selector: &Field<'_>, findings: &mut Vec<Diagnostic>) -> SelectorTerms {
    if selector.strict_mapping(&SELECTOR_FIELDS, findings).is_none() {
        return SelectorTerms {
            match_labels: vec![(STAND_IN.to_owned(), STAND_IN.to_owned())],
            match_expressions: Vec::new(),
        };
    }
    let labels = selector.get("matchLabels").map(|labels| label_terms(&labels, findings));
    let expressions = selector.get("matchExpressions").map(|list| match list.items(findings) {
        Some(items) => items.iter().map(|item| expression_terms(item, findings)).collect(),
        None => vec![ExpressionTerms {
            key: STAND_IN.to_owned(),
            operator: "Exists".to_owned(),
            values: Vec::new(),
        }],
    });
    SelectorTerms {
        match_labels: labels.unwrap_or_default(),
        match_expressions: expressions.unwrap_or_default(),
    }
}

fn label_terms(labels: &Field<'_>, findings: &mut Vec<Diagnostic>) -> Vec<(String, String)> {
    let Some(mapping) = labels.mapping(findings) else {
        return vec![(STAND_IN.to_owned(), STAND_IN.to_owned())];
    };
    let values = mapping
        .iter()
        .filter_map(|entry| Some((entry, labels.get(&entry.key)?)));
    values
        .map(|(entry, value)| (entry.key.clone(), text_or_stand_in(&value, findings)))
        .collect()
}

fn expression_terms(expression: &Field<'_>, findings: &mut Vec<Diagnostic>) -> ExpressionTerms {
    expression.strict_mapping(&EXPRESSION_FIELDS, findings);
    let key = expression.require("key", "a label key", findings);
    let operator = expression.require("operator", "what the label's value must be", findings);
    let values = expression
        .get("values")
        .map(|list| texts(&list, findings))
        .unwrap_or_default();
    let fitting = if values.is_empty() { "Exists" } else { "In" };
    ExpressionTerms {
        key: key.map_or_else(|| STAND_IN.to_owned(), |key| text_or_stand_in(&key, findings)),
        operator: operator
            .and_then(|operator| operator.text(findings).map(str::to_owned))
            .unwrap_or(fitting.to_owned()),
        values,
    }
}

fn texts(list: &Field<'_>, findings: &mut Vec<Diagnostic>) -> Vec<String> {
    match list.items(findings) {
        Some(items) => items.iter().map(|item| text_or_stand_in(item, findings)).collect(),
        None => vec![STAND_IN.to_owned()],
    }
}

fn text_or_stand_in(field: &Field<'_>, findings: &mut Vec<Diagnostic>) -> String {
    field.text(findings).unwrap_or(STAND_IN).to_owned()
}
