//! What is known of each namespace.
//!
//! In: namespaces as the API server tells them, metadata only. Out: [`Namespaces`], a map that is cheap to share: who
//! has it keeps what was true then, whatever happens next.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use foldhash::fast::RandomState;
use serde::Deserialize;

use super::Event;
use crate::rules::Labels;

/// The path of their list.
pub const PATH: &str = "/api/v1/namespaces";

/// A namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceFacts {
    /// All its labels.
    pub labels: Labels,
    /// Whether it is being deleted.
    pub terminating: bool,
    /// When it was first heard of, if that was after the first complete list: it is new.
    pub added: Option<Instant>,
}

/// All namespaces by name.
#[derive(Debug, Clone, Default)]
pub struct Namespaces {
    by_name: Arc<HashMap<Arc<str>, Arc<NamespaceFacts>, RandomState>>,
}

#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(borrow)]
    labels: Option<BTreeMap<Cow<'a, str>, Cow<'a, str>>>,
    deletion_timestamp: Option<serde::de::IgnoredAny>,
}

/// Reads a namespace, or the metadata of one.
pub fn read(text: &str) -> Result<Option<NamespaceFacts>, String> {
    let Object { metadata } = serde_json::from_str(text).map_err(|error| error.to_string())?;
    Ok(Some(NamespaceFacts {
        labels: metadata.labels.into_iter().flatten().collect(),
        terminating: metadata.deletion_timestamp.is_some(),
        added: None,
    }))
}

impl Namespaces {
    /// What is known of the namespace.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&NamespaceFacts> {
        self.by_name.get(name).map(AsRef::as_ref)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Every namespace with its name, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &NamespaceFacts)> {
        self.by_name.iter().map(|(name, facts)| (&**name, &**facts))
    }

    /// Takes note of an event that came `now`. Whoever shares this map keeps it as it was. A namespace that cannot be
    /// read stays what it was, if it was known.
    pub fn apply(&mut self, event: Event<NamespaceFacts>, now: Instant) {
        match event {
            Event::Listed { objects, bad } => {
                let is_first = self.by_name.is_empty();
                let known = |name: &str| self.by_name.get(name);
                let kept = bad.iter().filter_map(|bad| {
                    let (name, facts) = self.by_name.get_key_value(&*bad.key.name)?;
                    Some((Arc::clone(name), Arc::clone(facts)))
                });
                let listed = objects.into_iter().map(|(key, mut facts)| {
                    facts.added = match known(&key.name) {
                        Some(known) => known.added,
                        None => (!is_first).then_some(now),
                    };
                    (Arc::from(key.name), Arc::new(facts))
                });
                self.by_name = Arc::new(listed.chain(kept).collect());
            }
            Event::Applied(key, mut facts) => {
                facts.added = match self.get(&key.name) {
                    Some(known) => known.added,
                    None => Some(now),
                };
                Arc::make_mut(&mut self.by_name).insert(Arc::from(key.name), Arc::new(facts));
            }
            Event::Deleted(key, _) => {
                Arc::make_mut(&mut self.by_name).remove(&*key.name);
            }
            Event::Bad(_) | Event::Trouble(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{Bad, Key};
    use std::time::Duration;

    fn facts(labels: &[(&str, &str)]) -> NamespaceFacts {
        NamespaceFacts {
            labels: labels.iter().copied().collect(),
            terminating: false,
            added: None,
        }
    }

    fn named(name: &str, facts: &NamespaceFacts) -> (Key, NamespaceFacts) {
        (Key::new("", name), facts.clone())
    }

    #[test]
    fn metadata_is_enough() {
        let text =
            r#"{"kind":"PartialObjectMetadata","metadata":{"name":"a","labels":{"team":"x"},"managedFields":[{}]}}"#;
        assert_eq!(read(text), Ok(Some(facts(&[("team", "x")]))));
        let terminating = r#"{"metadata":{"name":"a","deletionTimestamp":"2026-11-22T07:00:00Z"},"spec":{}}"#;
        assert!(read(terminating).unwrap().unwrap().terminating);
        assert!(read(r#"{"metadata":{"labels":{"a":1}}}"#).is_err());
    }

    #[test]
    fn only_those_that_come_after_the_first_list_are_new() {
        let (start, mut namespaces) = (Instant::now(), Namespaces::default());
        let at = |seconds| start + Duration::from_secs(seconds);
        let plain = facts(&[]);
        let listed = |names: &[&str]| Event::Listed {
            objects: names.iter().map(|name| named(name, &plain)).collect(),
            bad: vec![],
        };
        let added = |namespaces: &Namespaces, name| namespaces.get(name).unwrap().added;
        namespaces.apply(listed(&["a"]), at(0));
        assert_eq!(added(&namespaces, "a"), None);
        let (key, facts) = named("b", &plain);
        namespaces.apply(Event::Applied(key.clone(), facts.clone()), at(1));
        namespaces.apply(Event::Applied(key.clone(), facts.clone()), at(2));
        assert_eq!(added(&namespaces, "b"), Some(at(1)), "a change is no birth");
        namespaces.apply(listed(&["a", "b", "c"]), at(3));
        assert_eq!(
            ["a", "b", "c"].map(|name| added(&namespaces, name)),
            [None, Some(at(1)), Some(at(3))]
        );
        namespaces.apply(Event::Deleted(key.clone(), None), at(4));
        assert_eq!(namespaces.get("b"), None);
        namespaces.apply(Event::Applied(key, facts), at(5));
        assert_eq!(added(&namespaces, "b"), Some(at(5)), "it was born again");
        namespaces.apply(listed(&["c"]), at(6));
        assert_eq!((namespaces.len(), namespaces.get("a")), (1, None));
    }

    #[test]
    fn what_is_shared_never_changes() {
        let mut namespaces = Namespaces::default();
        let (key, facts) = named("a", &facts(&[]));
        namespaces.apply(Event::Applied(key.clone(), facts), Instant::now());
        let shared = namespaces.clone();
        namespaces.apply(Event::Deleted(key, None), Instant::now());
        assert_eq!((shared.len(), namespaces.len()), (1, 0));
        assert_eq!(shared.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn one_that_cannot_be_read_stays_what_it_was() {
        let mut namespaces = Namespaces::default();
        let bad = |name| Bad {
            key: Key::new("", name),
            why: "a label is a number".to_owned(),
        };
        let (key, known) = named("a", &facts(&[("team", "x")]));
        namespaces.apply(Event::Applied(key, known.clone()), Instant::now());
        namespaces.apply(Event::Bad(bad("a")), Instant::now());
        let listed = Event::Listed {
            objects: vec![],
            bad: vec![bad("a"), bad("b")],
        };
        namespaces.apply(listed, Instant::now());
        assert_eq!(namespaces.get("a").unwrap().labels, known.labels);
        assert_eq!(namespaces.get("b"), None);
    }
}
