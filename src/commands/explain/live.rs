//! The answer as a cluster's webhook would give it.
//!
//! Only what is asked about is read, so that whoever has rights in one namespace can ask about it: the cluster's rules, and
//! of each namespace the object itself, its rules and its service accounts.

use std::collections::{BTreeMap, BTreeSet};

use pullkey::cluster::look::{Collection, Listed, Look};
use pullkey::cluster::rules::{self, RuleObject, RuleObjects};
use pullkey::cluster::service_accounts::{Account, read_account};
use pullkey::cluster::{Event, namespaces};
use pullkey::explain::{Explainer, Manifest, Place, Report, Secrets, Workload};
use pullkey::rules::source::{Disk, RuleFiles};
use pullkey::rules::{Kind, RuleSet};

use super::{Questions, manifests, tell_as_warnings};
use crate::cli::ExplainArgs;
use crate::commands::check::tell_findings;
use crate::commands::cluster::{Wishes, look};
use crate::commands::{ExitStatus, Failure, context};

/// What is known of the cluster.
struct Known {
    rules: RuleObjects,
    places: BTreeMap<String, Place>,
}

/// Explains by what a cluster says; where something that was given is wrong, that is told instead.
pub(super) async fn explain(args: &ExplainArgs) -> Result<Option<Report>, Failure> {
    let (look, of_context) = look(&args.way).await?;
    let namespace = args.namespace.as_deref().unwrap_or(&of_context);
    let mut files = RuleFiles::new(args.rules.paths(true));
    let loaded = files.load(&Disk, &context(&args.rules.own_namespace, true));
    if !loaded.mistakes.is_empty() {
        tell_findings(&loaded.warnings, &loaded.mistakes);
        return Ok(None);
    }
    let mut questions = Questions {
        images: Vec::new(),
        namespace,
        manifests: manifests(args, namespace)?,
    };
    for image in &args.images {
        match Workload::named(image) {
            Some((workload, name)) => {
                let object = object(&look, workload, namespace, name).await?;
                questions.manifests.push(Manifest::of_object(image, &object, namespace));
            }
            None => questions.images.push(image),
        }
    }

    let known = Known::read(&look, &questions, &args.rules.own_namespace).await?;
    let of_files = loaded.rules.as_ref().map(|rules| rules.rules()).unwrap_or_default();
    let in_force = known.rules.in_force(of_files);
    let findings = in_force.findings.into_iter().map(|finding| finding.diagnostic);
    tell_as_warnings(findings.collect());
    let explainer = Explainer {
        rules: &RuleSet::new(in_force.rules),
        place: &|name| known.places.get(name).cloned().unwrap_or_default(),
    };
    let Some(mut report) = questions.answer(&explainer) else {
        return Ok(None);
    };
    if args.secrets {
        let secrets = secrets(&look, &report, namespace).await;
        report.set_secrets(namespace, &secrets);
    }
    Ok(Some(report))
}

/// An object that holds a Pod.
async fn object(look: &Look, workload: &Workload, namespace: &str, name: &str) -> Result<String, Failure> {
    let Workload { group, plural, .. } = *workload;
    let collection = Collection {
        group,
        version: "v1",
        plural,
    };
    let mut wishes = Wishes::default();
    let object = wishes.grant(look.get(collection, Some(namespace), name, false).await)?;
    wishes.end()?;
    object.flatten().ok_or_else(|| {
        let message = format!("there is no {} `{name}` in namespace `{namespace}`", workload.kind);
        let hint = format!("an image of this name is `docker.io/{plural}/{name}`");
        Failure::new(ExitStatus::InputWrong, message).with_hint(Some(hint))
    })
}

/// The secrets that Pods would name, as far as whoever asks may read them.
async fn secrets(look: &Look, report: &Report, namespace: &str) -> Secrets {
    let mut secrets = Secrets::default();
    for key in report.named_secrets(namespace) {
        match look.get(Collection::SECRETS, Some(&key.0), &key.1, false).await {
            Ok(object) => secrets.insert(key, object.as_deref()),
            Err(unread) => secrets.insert_unread(key, unread.to_string()),
        }
    }
    secrets
}

impl Known {
    /// Reads what the questions are about, or fails with all that is missing.
    async fn read(look: &Look, questions: &Questions<'_>, own_namespace: &str) -> Result<Self, Failure> {
        let of_pods: BTreeSet<_> = questions
            .manifests
            .iter()
            .flatten()
            .flat_map(Manifest::namespaces)
            .collect();
        let of_images = (!questions.images.is_empty()).then_some(questions.namespace);
        let mut wishes = Wishes::default();
        let mut places = BTreeMap::new();
        for name in of_pods.iter().copied().chain(of_images) {
            if places.contains_key(name) {
                continue;
            }
            let mut place = Place::default();
            let read = look.get(Collection::NAMESPACES, None, name, true).await;
            if let Some(object) = wishes.grant(read)? {
                let object = object.ok_or_else(|| no_namespace(name))?;
                let facts = namespaces::read(&object).map_err(Failure::environment)?;
                place.labels = facts.map(|facts| facts.labels);
            }
            if of_pods.contains(name) {
                let read = Box::new(|text: &str| read_account(text).map(Some));
                let accounts = look.list(Collection::SERVICE_ACCOUNTS, Some(name), false, read).await;
                if let Some(Listed { objects, .. }) = wishes.grant(accounts)? {
                    for (
                        key,
                        Account {
                            is_strict,
                            pull_secrets,
                        },
                    ) in objects
                    {
                        if is_strict {
                            place.strict_accounts.insert(key.name.to_string());
                        }
                        place.account_secrets.insert(key.name.into(), pull_secrets);
                    }
                }
            }
            places.insert(name.to_owned(), place);
        }

        let mut found: BTreeMap<Kind, Vec<Listed<RuleObject>>> = BTreeMap::new();
        let of_namespaces = places.keys().map(|name| (Kind::PullSecretRule, Some(name.as_str())));
        for (kind, namespace) in [(Kind::ClusterPullSecretRule, None)].into_iter().chain(of_namespaces) {
            let own_namespace = own_namespace.to_owned();
            let read = Box::new(move |text: &str| rules::read(kind, &own_namespace, text));
            let listed = look.list(Collection::of_rules(kind), namespace, false, read).await;
            found.entry(kind).or_default().extend(wishes.grant(listed)?);
        }
        wishes.end()?;
        let (mut rules, mut findings) = (RuleObjects::default(), Vec::new());
        for (kind, lists) in found {
            let (objects, bad) = lists
                .into_iter()
                .map(|listed| (listed.objects, listed.bad))
                .unzip::<_, _, Vec<_>, Vec<_>>();
            let event = Event::Listed {
                objects: objects.into_iter().flatten().collect(),
                bad: bad.into_iter().flatten().collect(),
            };
            rules.apply(kind, event, &mut findings);
        }
        tell_as_warnings(findings.into_iter().map(|finding| finding.diagnostic).collect());
        Ok(Self { rules, places })
    }
}

fn no_namespace(name: &str) -> Failure {
    let message = format!("the cluster has no namespace `{name}`: its labels decide which rules select it");
    let hint = "without `--cluster`, `--namespace-label` says what they will be";
    Failure::new(ExitStatus::InputWrong, message).with_hint(Some(hint))
}
