//! The service accounts whose Pods may name no secret that the account does not list.
//!
//! In: service accounts as the API server tells them, metadata only. Out: the few that are annotated
//! `kubernetes.io/enforce-mountable-secrets`, all others are passed over. What counts as true there is what the API
//! server's own admission of service accounts takes for it (`enforceMountableSecrets`, by Go's `strconv.ParseBool`).

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize;

use super::{Event, Key};

/// The path of their list.
pub const PATH: &str = "/api/v1/serviceaccounts";
/// The annotation, deprecated since Kubernetes 1.32 and still obeyed.
pub const ANNOTATION: &str = "kubernetes.io/enforce-mountable-secrets";
/// The account of a Pod that names none.
const DEFAULT: &str = "default";
const TRUE: [&str; 6] = ["1", "t", "T", "TRUE", "true", "True"];

/// A service account that is annotated so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strict;

/// All of them.
#[derive(Debug, Clone, Default)]
pub struct StrictAccounts {
    by_namespace: Arc<BTreeMap<Box<str>, BTreeSet<Box<str>>>>,
}

/// What a Pod has from its service account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Whether the Pod may name no secret that the account does not list.
    pub is_strict: bool,
    /// What the Pod names if it names none itself.
    pub pull_secrets: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Object<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
    #[serde(borrow)]
    image_pull_secrets: Option<Vec<Reference<'a>>>,
}

#[derive(Deserialize)]
struct Reference<'a> {
    #[serde(borrow, default)]
    name: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Metadata<'a> {
    #[serde(borrow)]
    annotations: Option<BTreeMap<Cow<'a, str>, Cow<'a, str>>>,
}

/// Reads a service account, or the metadata of one.
pub fn read(text: &str) -> Result<Option<Strict>, String> {
    Ok(read_account(text)?.is_strict.then_some(Strict))
}

/// Reads a service account.
pub fn read_account(text: &str) -> Result<Account, String> {
    let object: Object<'_> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let annotations = object.metadata.annotations.unwrap_or_default();
    let listed = object.image_pull_secrets.into_iter().flatten();
    Ok(Account {
        is_strict: annotations
            .get(ANNOTATION)
            .is_some_and(|value| TRUE.contains(&&**value)),
        pull_secrets: listed.map(|secret| secret.name.into_owned()).collect(),
    })
}

impl StrictAccounts {
    /// Whether a Pod under this account, or under the default one if that is empty, may name no other secrets.
    #[must_use]
    pub fn contains(&self, namespace: &str, account: &str) -> bool {
        let account = if account.is_empty() { DEFAULT } else { account };
        self.by_namespace
            .get(namespace)
            .is_some_and(|accounts| accounts.contains(account))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_namespace.values().map(BTreeSet::len).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_namespace.is_empty()
    }

    /// Takes note of an event. Whoever shares this set keeps it as it was. An account that cannot be read stays what it
    /// was.
    pub fn apply(&mut self, event: Event<Strict>) {
        match event {
            Event::Listed { objects, bad } => {
                let still = bad.into_iter().map(|bad| bad.key);
                let still = still.filter(|key| self.contains(&key.namespace, &key.name));
                let keys: Vec<_> = objects.into_iter().map(|(key, Strict)| key).chain(still).collect();
                let mut by_namespace: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
                for Key { namespace, name } in keys {
                    by_namespace.entry(namespace).or_default().insert(name);
                }
                self.by_namespace = Arc::new(by_namespace);
            }
            Event::Applied(Key { namespace, name }, Strict) => {
                let accounts = Arc::make_mut(&mut self.by_namespace);
                accounts.entry(namespace).or_default().insert(name);
            }
            // Nearly all that are told of are not in here, and cost nothing.
            Event::Deleted(Key { namespace, name }, _) if self.contains(&namespace, &name) => {
                let by_namespace = Arc::make_mut(&mut self.by_namespace);
                if let Some(accounts) = by_namespace.get_mut(&namespace) {
                    accounts.remove(&name);
                }
                by_namespace.retain(|_, accounts| !accounts.is_empty());
            }
            Event::Deleted(..) | Event::Bad(_) | Event::Trouble(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_annotation_makes_strict() {
        for (annotations, strict) in [
            (r#"{"kubernetes.io/enforce-mountable-secrets":"true"}"#, true),
            (r#"{"kubernetes.io/enforce-mountable-secrets":"T"}"#, true),
            (r#"{"kubernetes.io/enforce-mountable-secrets":"yes"}"#, false),
            (r#"{"kubernetes.io/enforce-mountable-secrets":"false"}"#, false),
            (r#"{"kubernetes.io/enforce-mountable-secrets":""}"#, false),
            (r#"{"note":"kubernetes.io/enforce-mountable-secrets"}"#, false),
            ("{}", false),
            ("null", false),
        ] {
            let text = format!(r#"{{"metadata":{{"name":"a","annotations":{annotations}}}}}"#);
            assert_eq!(read(&text), Ok(strict.then_some(Strict)), "{annotations}");
        }
    }

    #[test]
    fn an_account_lists_what_its_pods_name() {
        let text =
            r#"{"metadata":{"name":"a"},"imagePullSecrets":[{"name":"x"},{"name":"y"}],"secrets":[{"name":"z"}]}"#;
        let account = read_account(text).unwrap();
        assert_eq!(
            (account.is_strict, account.pull_secrets),
            (false, vec!["x".into(), "y".into()])
        );
        assert!(
            read_account(r#"{"metadata":{"name":"a"}}"#)
                .unwrap()
                .pull_secrets
                .is_empty()
        );
    }

    #[test]
    fn a_pod_without_an_account_is_under_the_default_one() {
        let mut accounts = StrictAccounts::default();
        accounts.apply(Event::Applied(Key::new("a", "default"), Strict));
        accounts.apply(Event::Applied(Key::new("b", "builder"), Strict));
        for (namespace, account, strict) in [
            ("a", "", true),
            ("a", "default", true),
            ("a", "builder", false),
            ("b", "", false),
            ("b", "builder", true),
            ("c", "", false),
        ] {
            assert_eq!(accounts.contains(namespace, account), strict, "{namespace}/{account}");
        }
    }

    #[test]
    fn lists_replace_and_deletions_remove() {
        let mut accounts = StrictAccounts::default();
        let listed = |keys: &[(&str, &str)]| Event::Listed {
            objects: keys
                .iter()
                .map(|(namespace, name)| (Key::new(namespace, name), Strict))
                .collect(),
            bad: vec![],
        };
        accounts.apply(listed(&[("a", "x"), ("a", "y"), ("b", "x")]));
        let shared = accounts.clone();
        accounts.apply(Event::Deleted(Key::new("a", "x"), None));
        accounts.apply(Event::Deleted(Key::new("a", "z"), None));
        assert_eq!((accounts.len(), accounts.contains("a", "y")), (2, true));
        accounts.apply(listed(&[]));
        assert_eq!((accounts.is_empty(), shared.len()), (true, 3));
    }
}
