//! The rules of a cluster: all their mistakes, how they get on with each other and with those of files, and the secrets
//! that they copy from.

use std::collections::{BTreeMap, BTreeSet};

use pullkey::cluster::Event;
use pullkey::cluster::look::{Collection, Listed, Look, Unread};
use pullkey::cluster::rules::{RuleObjects, examine};
use pullkey::controller::live::read_source;
use pullkey::controller::source::{Source, SourceProblem};
use pullkey::rules::diagnostic::{Diagnostic, Severity};
use pullkey::rules::overlap::{Placed, overlaps};
use pullkey::rules::source::RuleFiles;
use pullkey::rules::{Kind, Rule, SourceRef};

use crate::cli::CheckArgs;
use crate::commands::cluster::{Wishes, look};
use crate::commands::{Failure, counted};

/// What was found.
pub(super) struct Checked {
    /// How many rules are good.
    pub(super) objects: usize,
    pub(super) mistakes: Vec<Diagnostic>,
    pub(super) warnings: Vec<Diagnostic>,
}

/// What became of the sources.
#[derive(Default)]
struct Sources {
    read: BTreeMap<SourceRef, Result<Source, SourceProblem>>,
    /// Why those of a namespace cannot be read.
    unread: BTreeMap<String, Unread>,
}

/// What names no two rules may share.
type Name<'r> = (Kind, Option<&'r str>, &'r str);

/// Reads the rules of the cluster, and checks those of files beside them.
pub(super) async fn check(args: &CheckArgs, files: &RuleFiles) -> Result<Checked, Failure> {
    let (look, _) = look(&args.way).await?;
    let (objects, mut findings) = objects(&look, &args.rules.own_namespace).await?;
    let in_force = objects.in_force(&[]);
    let count = in_force.rules.len();
    findings.extend(in_force.findings.into_iter().map(|finding| finding.diagnostic));

    let good = [Kind::ClusterPullSecretRule, Kind::PullSecretRule].map(|kind| objects.good(kind));
    let good: Vec<_> = good.into_iter().flatten().map(|(_, rule)| rule.as_ref()).collect();
    let by_name: BTreeMap<Name<'_>, &Rule> = good.iter().map(|rule| (name(rule), *rule)).collect();
    let of_files: BTreeSet<_> = files.placed().map(|placed| name(placed.rule)).collect();
    findings.extend(files.placed().filter_map(|placed| {
        let object = by_name.get(&name(placed.rule))?;
        (!object.says_the_same_as(placed.rule)).then(|| gives_way(&placed))
    }));
    // What a file says of a rule is what the cluster is to say one day.
    let others = good.iter().filter(|rule| !of_files.contains(&name(rule)));
    let others = others.map(|rule| Placed { rule, place: None });
    let together: Vec<_> = others.chain(files.placed()).collect();
    findings.extend(overlaps(together.iter().copied()));
    if args.secrets {
        let sources = Sources::read(&look, &together).await;
        findings.extend(sources.findings(&together));
    }
    let (mistakes, warnings) = findings
        .into_iter()
        .partition(|finding| finding.severity == Severity::Error);
    Ok(Checked {
        objects: count,
        mistakes,
        warnings,
    })
}

/// All rule objects, and what is wrong with them.
async fn objects(look: &Look, own_namespace: &str) -> Result<(RuleObjects, Vec<Diagnostic>), Failure> {
    let mut wishes = Wishes::default();
    let (mut objects, mut findings) = (RuleObjects::default(), Vec::new());
    for kind in [Kind::ClusterPullSecretRule, Kind::PullSecretRule] {
        let own_namespace = own_namespace.to_owned();
        let read = Box::new(move |text: &str| examine(kind, &own_namespace, text).map(Some));
        let listed = look.list(Collection::of_rules(kind), None, false, read).await;
        if let Some(Listed { objects: good, bad, .. }) = wishes.grant(listed)? {
            objects.apply(kind, Event::Listed { objects: good, bad }, &mut findings);
        }
    }
    wishes.end()?;
    Ok((
        objects,
        findings.into_iter().map(|finding| finding.diagnostic).collect(),
    ))
}

fn name(rule: &Rule) -> Name<'_> {
    (rule.kind, rule.namespace.as_deref(), &rule.name)
}

/// That the cluster has another rule of this name.
fn gives_way(placed: &Placed<'_>) -> Diagnostic {
    let warning = placed.warning("the cluster has an object of this name that says something else, and it wins");
    warning.hinting("apply this rule to the cluster, or call it something else")
}

impl Sources {
    /// Reads what rules copy from, as far as whoever checks may read it.
    async fn read(look: &Look, rules: &[Placed<'_>]) -> Self {
        let wanted: BTreeSet<_> = rules
            .iter()
            .filter_map(|placed| placed.rule.copy_from.as_ref())
            .collect();
        let mut sources = Self::default();
        for source in wanted {
            let SourceRef { namespace, name } = source;
            match look.get(Collection::SECRETS, Some(namespace), name, false).await {
                Ok(object) => {
                    let read = object.ok_or(SourceProblem::NotFound);
                    let read = read.and_then(|object| read_source(&source.to_string(), &object));
                    sources.read.insert(source.clone(), read);
                }
                Err(unread) => {
                    sources.unread.entry(namespace.clone()).or_insert(unread);
                }
            }
        }
        sources
    }

    /// What there is to say, beside each rule that copies.
    fn findings(&self, rules: &[Placed<'_>]) -> Vec<Diagnostic> {
        let mut findings = Vec::new();
        let mut unseen: BTreeMap<&str, usize> = BTreeMap::new();
        for placed in rules {
            let Some(source) = &placed.rule.copy_from else {
                continue;
            };
            match self.read.get(source) {
                Some(Ok(good)) => findings.extend(
                    good.warnings
                        .iter()
                        .map(|warning| placed.warning(format_args!("the source `{source}` may surprise: {warning}"))),
                ),
                Some(Err(problem)) => {
                    let mut mistake = placed.warning(format_args!(
                        "no copies can be made of the source `{source}`: {problem}"
                    ));
                    mistake.severity = Severity::Error;
                    findings.push(mistake);
                }
                None => *unseen.entry(&source.namespace).or_default() += 1,
            }
        }
        for (namespace, count) in unseen {
            let Some(unread) = self.unread.get(namespace) else {
                continue;
            };
            let message = format_args!("the sources of {} were not looked at: {unread}", counted(count, "rule"));
            let warning = Diagnostic::new(Severity::Warning, &format!("namespace {namespace}"), message);
            findings.push(warning.hinting(unread.hint()));
        }
        findings
    }
}
