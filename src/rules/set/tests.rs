//! The rule set against a matcher that reads like the design, and the decisions that a table says best.

use std::cmp::Reverse;

use proptest::prelude::*;

use super::{Explained, Match, Rejection, RuleSet};
use crate::credentials::{Key, counts_as_docker_hub};
use crate::image::ImageReference;
use crate::rules::namespaces::NamespaceTerms;
use crate::rules::selector::SelectorTerms;
use crate::rules::{ImagePattern, ImageRegex, Kind, Labels, Mode, Namespace, NamespaceSelection, Rule};

/// A rule as texts.
#[derive(Debug, Clone, Default)]
struct Written {
    name: &'static str,
    /// Of a namespaced rule.
    namespace: Option<&'static str>,
    images: Vec<String>,
    except: Vec<String>,
    regex: Option<&'static str>,
    keys: Vec<&'static str>,
    include: Option<Vec<&'static str>>,
    exclude: Vec<&'static str>,
    label: Option<&'static str>,
}

const OWN_NAMESPACE: &str = "pullkey";

impl Written {
    fn cluster(name: &'static str, images: &[&str]) -> Self {
        let images = images.iter().copied().map(str::to_owned).collect();
        Self {
            name,
            images,
            include: Some(vec!["*"]),
            ..Self::default()
        }
    }

    fn compile(&self) -> Rule {
        let parse = |texts: &[String]| {
            texts
                .iter()
                .map(|text| ImagePattern::parse(text).unwrap().pattern)
                .collect()
        };
        let terms = NamespaceTerms {
            include: self
                .include
                .as_ref()
                .map(|names| names.iter().copied().map(str::to_owned).collect()),
            exclude: self.exclude.iter().copied().map(str::to_owned).collect(),
            selector: self.label.map(|label| SelectorTerms {
                match_labels: vec![("label".to_owned(), label.to_owned())],
                match_expressions: vec![],
            }),
        };
        Rule {
            kind: if self.namespace.is_some() {
                Kind::PullSecretRule
            } else {
                Kind::ClusterPullSecretRule
            },
            name: self.name.to_owned(),
            namespace: self.namespace.map(str::to_owned),
            secret: format!("{}-secret", self.name),
            mode: Mode::Enforce,
            patterns: parse(&self.images),
            exceptions: parse(&self.except),
            regex: self.regex.map(|text| ImageRegex::parse(text).unwrap()),
            derived: self.keys.iter().map(|key| Key::parse(key).unwrap()).collect(),
            namespaces: match self.namespace {
                Some(namespace) => NamespaceSelection::only(namespace),
                None => NamespaceSelection::new(terms, OWN_NAMESPACE).unwrap(),
            },
            copy_from: None,
            last_match: None,
        }
    }
}

/// What the design says, with neither an index nor the types that the index uses.
mod design {
    use super::{ImageReference, Key, OWN_NAMESPACE, Rejection, Reverse, Written, counts_as_docker_hub};

    pub(super) type Specificity = (u8, usize, Reverse<usize>, String);

    fn glob(pattern: &str, text: &str) -> bool {
        let (mut p, mut t) = (pattern.chars(), text.chars());
        match (p.next(), t.next()) {
            (None, None) => true,
            (Some('*'), None) => glob(p.as_str(), text),
            (Some('*'), Some(_)) => glob(p.as_str(), text) || glob(pattern, t.as_str()),
            (Some(one), Some(other)) => one == other && glob(p.as_str(), t.as_str()),
            _ => false,
        }
    }

    fn resolve(pattern: &str) -> String {
        match pattern.strip_prefix("index.docker.io") {
            _ if pattern == "https://index.docker.io/v1/" => "docker.io".to_owned(),
            Some(path) if path.is_empty() || path.starts_with('/') => format!("docker.io{path}"),
            _ => pattern.to_owned(),
        }
    }

    fn port(host: &str) -> (&str, Option<&str>) {
        host.rsplit_once(':')
            .map_or((host, None), |(name, port)| (name, Some(port)))
    }

    pub(super) fn covers(pattern: &str, image: &ImageReference<'_>) -> Option<Specificity> {
        if pattern == "*" {
            return Some((3, 0, Reverse(0), String::new()));
        }
        let pattern = resolve(pattern);
        let pattern: Vec<&str> = pattern.split('/').collect();
        let name: Vec<&str> = image.name().split('/').collect();
        let hosts = if pattern[0].contains('*') {
            let ((pattern, pattern_port), (host, host_port)) = (port(pattern[0]), port(name[0]));
            let (pattern, host): (Vec<&str>, Vec<&str>) = (pattern.split('.').collect(), host.split('.').collect());
            pattern_port == host_port
                && !name[0].starts_with('[')
                && pattern.len() == host.len()
                && pattern.iter().zip(host).all(|(pattern, label)| glob(pattern, label))
        } else {
            pattern[0] == name[0]
        };
        let paths = pattern.len() <= name.len() && pattern[1..] == name[1..pattern.len()];
        let stars = pattern[0].matches('*').count();
        (hosts && paths).then(|| (0, stars, Reverse(pattern.len() - 1), pattern[0].to_owned()))
    }

    /// The specificity and the text of what covers the image best.
    pub(super) fn best(rule: &Written, image: &ImageReference<'_>) -> Option<(Specificity, String)> {
        let patterns = rule
            .images
            .iter()
            .filter_map(|pattern| Some((covers(pattern, image)?, pattern.clone())));
        let stage = |stage| (stage, 0, Reverse(0), String::new());
        let key = |text: &&str| Key::parse(text).unwrap();
        let serving: Vec<&str> = rule
            .keys
            .iter()
            .copied()
            .filter(|text| key(text).serves(image))
            .collect();
        let fallback = rule
            .keys
            .iter()
            .copied()
            .filter(|text| serving.is_empty() && key(text).is_docker_hub_fallback() && counts_as_docker_hub(image));
        let mut keys: Vec<&str> = serving.iter().copied().chain(fallback).collect();
        keys.sort_by_key(|text| Reverse([key(text).host(), key(text).path()].concat()));
        let key = keys.first().map(|text| (stage(1), key(text).spelled().to_owned()));
        let regex = rule.regex.filter(|text| {
            regex::Regex::new(&format!("^(?:{text})$"))
                .unwrap()
                .is_match(image.name())
        });
        let regex = regex.map(|text| (stage(2), format!("imageRegex:{text}")));
        // Of two spellings that are equally specific the first one is shown.
        patterns
            .chain(key)
            .chain(regex)
            .min_by(|(one, _), (other, _)| one.cmp(other))
    }

    pub(super) fn rejection(
        rule: &Written,
        image: &ImageReference<'_>,
        name: &str,
        label: Option<&str>,
    ) -> Option<Rejection> {
        let protected = ["kube-system", "kube-public", "kube-node-lease", OWN_NAMESPACE].contains(&name);
        let included = rule
            .include
            .as_ref()
            .is_none_or(|include| include.iter().any(|include| glob(include, name)));
        let excluded = rule.exclude.iter().any(|exclude| glob(exclude, name));
        let selected = rule.label.is_none_or(|wanted| label == Some(wanted));
        let is_selected = match rule.namespace {
            Some(namespace) => namespace == name,
            None => included && selected && !excluded && !protected,
        };
        let is_excepted = rule.except.iter().any(|pattern| covers(pattern, image).is_some());
        match (is_selected, is_excepted) {
            (false, _) => Some(Rejection::Namespace),
            (true, true) => Some(Rejection::Exception),
            (true, false) => None,
        }
    }
}

fn host() -> impl Strategy<Value = String> {
    let label = prop_oneof![
        4 => prop::sample::select(vec!["a", "b", "ab", "aab", "team-1", "team-22", "a_b", "B"]),
        3 => prop::sample::select(vec!["*", "a*", "*b", "a*b", "*a*", "team-*", "*-1", "*a*b*", "*eam-2*", "t*-*2", "*_*"]),
    ];
    let labels = prop::collection::vec(label, 1..4).prop_map(|labels| labels.join("."));
    let host = (labels, prop::sample::select(vec!["", "", ":5000"])).prop_map(|(labels, port)| labels + port);
    let known = [
        "docker.io",
        "index.docker.io",
        "localhost",
        "*:5000",
        "[::1]:5000",
        "[fd00::1]",
        "registry-1.docker.io",
        "*.io",
    ];
    prop_oneof![5 => host, 2 => prop::sample::select(known.to_vec()).prop_map(str::to_owned)]
}

fn path() -> impl Strategy<Value = String> {
    let segment = prop::sample::select(vec!["a", "b", "ab", "library", "a-b"]);
    prop::collection::vec(segment, 0..4)
        .prop_map(|segments| segments.iter().flat_map(|segment| ["/", segment]).collect())
}

fn pattern() -> impl Strategy<Value = String> {
    let special = prop::sample::select(vec!["*", "https://index.docker.io/v1/"]).prop_map(str::to_owned);
    let usual = (host(), path()).prop_map(|(host, path)| host + &path);
    prop_oneof![12 => usual, 1 => special].prop_filter("a pattern", |text| ImagePattern::parse(text).is_ok())
}

fn image() -> impl Strategy<Value = String> {
    let usual = (host(), path()).prop_map(|(host, path)| format!("{}{path}", host.replace('*', "a")));
    let special = [
        "nginx",
        "a/b",
        "localhost/a",
        "B/a",
        "A/a",
        "[::1]:5000/a",
        "a_b.b/a",
        "library/a",
        "team-1.a.b/ab",
        "a.b/a/b",
        "a.b/ab",
        "a.b/a-b",
    ];
    prop_oneof![4 => usual, 1 => prop::sample::select(special.to_vec()).prop_map(str::to_owned)]
        .prop_filter("an image", |text| ImageReference::parse(text).is_ok())
}

fn key() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "docker.io",
        "index.docker.io",
        "https://index.docker.io/v1/",
        "index.docker.io/a",
        "a.b",
        "a.b/a",
        "a.b/a/",
        "a.b/a-",
        "*.b",
        "*.b:5000",
        "a*.b/ab",
        "*a*.b",
        "*.*",
        "*",
        "*:5000",
        "[::1]:5000",
        "[::A]",
        "[fd00::1]",
        "a.b:",
        "*.b:",
        "localhost",
        "https://a.b/v2/a",
        "B",
        "*.b/*",
        "team-1.*.b/a",
    ])
}

fn written() -> impl Strategy<Value = Written> {
    const NAMES: [&str; 5] = ["a", "b", "team-a", "kube-system", "other"];
    let include = prop::collection::vec(
        prop::sample::select(vec!["a", "b", "team-a", "team-*", "*", "*a*"]),
        1..3,
    );
    let exclude = prop::collection::vec(prop::sample::select(vec!["a", "team-*", "*b"]), 0..2);
    let selection = (
        prop::option::weighted(0.8, include),
        exclude,
        prop::option::weighted(0.3, prop::sample::select(vec!["x", "y"])),
    )
        .prop_filter("a selection", |(include, _, label)| {
            include.is_some() || label.is_some()
        });
    let regex = prop::option::weighted(
        0.2,
        prop::sample::select(vec!["a.*", ".*/a", "docker.io/.*|a.b/a", r"\w+/\w+"]),
    );
    (
        prop::option::weighted(0.3, prop::sample::select(NAMES.to_vec())),
        prop::collection::vec(pattern(), 0..4),
        prop::collection::vec(pattern(), 0..2),
        regex,
        prop::collection::vec(key(), 0..4),
        selection,
    )
        .prop_map(
            |(namespace, images, except, regex, keys, (include, exclude, label))| Written {
                name: "",
                namespace,
                images,
                except,
                regex,
                keys,
                include,
                exclude,
                label,
            },
        )
}

fn rules() -> impl Strategy<Value = Vec<Written>> {
    const NAMES: [&str; 12] = ["r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "ra", "rb"];
    prop::collection::vec(written(), 0..12).prop_map(|mut rules| {
        for (rule, name) in rules.iter_mut().zip(NAMES) {
            rule.name = name;
        }
        rules
    })
}

fn shown(found: &Match<'_>) -> (String, String) {
    (found.rule.qualified_name().to_string(), found.pattern.to_string())
}

fn labelled(label: &str) -> Labels {
    [("label", label)].into_iter().collect()
}

proptest! {
    #[test]
    fn the_index_agrees_with_the_design(
        written in rules(),
        images in prop::collection::vec(image(), 1..4),
        name in prop::sample::select(vec!["a", "b", "team-a", "kube-system", OWN_NAMESPACE]),
        label in prop::option::of(prop::sample::select(vec!["x", "y", "z"])),
    ) {
        let set = RuleSet::new(written.iter().map(Written::compile));
        let labels = label.map(labelled);
        let namespace = Namespace { name, labels: labels.as_ref() };
        let mut orders = Vec::new();
        for image in &images {
            let image = ImageReference::parse(image).unwrap();
            let mut matches = Vec::new();
            let mut rejected = Vec::new();
            for rule in &written {
                let Some((specificity, pattern)) = design::best(rule, &image) else { continue };
                let qualified = rule.namespace.map_or(rule.name.to_owned(), |namespace| format!("{namespace}/{}", rule.name));
                let order = (specificity, rule.namespace.is_some(), rule.name);
                let row = (order, (qualified, pattern));
                match design::rejection(rule, &image, name, label) {
                    None => matches.push(row),
                    Some(why) => rejected.push((row, why)),
                }
            }
            matches.sort();
            rejected.sort_by_key(|(row, _)| row.clone());

            let found = set.matches(&image, &namespace);
            orders.extend(found.iter().map(|found| found.order).zip(matches.iter().map(|(order, _)| order.clone())));
            let matches: Vec<_> = matches.into_iter().map(|(_, row)| row).collect();
            let rejected: Vec<_> = rejected.into_iter().map(|((_, row), why)| (row, why)).collect();
            prop_assert_eq!(found.iter().map(shown).collect::<Vec<_>>(), matches.clone());
            let Explained { matches: explained, rejected: why_not } = set.explain(&image, &namespace);
            prop_assert_eq!(explained.iter().map(shown).collect::<Vec<_>>(), matches);
            prop_assert_eq!(why_not.iter().map(|(found, why)| (shown(found), *why)).collect::<Vec<_>>(), rejected);
        }
        // Matches of different images are in the same order as their specificities.
        for (order, expected) in &orders {
            for (other, other_expected) in &orders {
                prop_assert_eq!(order.cmp(other), expected.cmp(other_expected));
            }
        }
    }

    #[test]
    fn the_order_of_the_rules_does_not_matter(written in rules(), image in image(), seed in any::<usize>()) {
        let image = ImageReference::parse(&image).unwrap();
        let namespace = Namespace { name: "a", labels: None };
        let mut shuffled = written.clone();
        shuffled.rotate_left(seed % written.len().max(1));
        shuffled.reverse();
        let [one, other] = [written, shuffled].map(|rules| RuleSet::new(rules.iter().map(Written::compile)));
        let rows = |set: &RuleSet| set.matches(&image, &namespace).iter().map(|found| (shown(found), found.order)).collect::<Vec<_>>();
        prop_assert_eq!(rows(&one), rows(&other));
    }
}

/// The qualified names of the rules that apply.
fn applying(rules: &[Written], image: &str, namespace: &str) -> Vec<String> {
    let set = RuleSet::new(rules.iter().map(Written::compile));
    let found = set.matches(
        &ImageReference::parse(image).unwrap(),
        &Namespace {
            name: namespace,
            labels: None,
        },
    );
    found
        .iter()
        .map(|found| found.rule.qualified_name().to_string())
        .collect()
}

#[test]
fn all_rules_that_match_apply_the_most_specific_first() {
    let rules = [
        Written::cluster("everything", &["*"]),
        Written {
            regex: Some(".*"),
            ..Written::cluster("regex", &[])
        },
        Written {
            keys: vec!["ghcr.io"],
            ..Written::cluster("derived", &[])
        },
        Written::cluster("glob", &["*.io/acme/app"]),
        Written::cluster("host", &["ghcr.io"]),
        Written::cluster("path-b", &["ghcr.io/acme"]),
        Written {
            namespace: Some("team-a"),
            ..Written::cluster("a-team", &["ghcr.io/acme"])
        },
        Written::cluster("path-a", &["ghcr.io/acme", "ghcr.io", "*"]),
        Written::cluster("other", &["ghcr.io/acme-private"]),
    ];
    assert_eq!(
        applying(&rules, "ghcr.io/acme/app", "team-a"),
        [
            "path-a",
            "path-b",
            "team-a/a-team",
            "host",
            "glob",
            "derived",
            "regex",
            "everything"
        ]
    );
    assert_eq!(
        applying(&rules, "quay.example/acme/app", "team-a"),
        ["regex", "everything", "path-a"]
    );
}

#[test]
fn a_namespaced_rule_speaks_for_its_own_namespace() {
    let rules = [Written {
        namespace: Some("team-a"),
        ..Written::cluster("own", &["ghcr.io"])
    }];
    assert_eq!(applying(&rules, "ghcr.io/app", "team-a"), ["team-a/own"]);
    assert!(applying(&rules, "ghcr.io/app", "team-b").is_empty());

    let set = RuleSet::new(rules.iter().map(Written::compile));
    let image = ImageReference::parse("ghcr.io/app").unwrap();
    let explained = set.explain(
        &image,
        &Namespace {
            name: "team-b",
            labels: None,
        },
    );
    assert_eq!(explained.rejected.len(), 1);
    assert_eq!(explained.rejected[0].1, Rejection::Namespace);
}

#[test]
fn an_exception_of_one_rule_is_none_of_another() {
    let rules = [
        Written {
            except: vec!["ghcr.io/acme/public".to_owned()],
            ..Written::cluster("careful", &["ghcr.io/acme"])
        },
        Written::cluster("plain", &["ghcr.io/acme"]),
    ];
    assert_eq!(applying(&rules, "ghcr.io/acme/public/app", "a"), ["plain"]);
    assert_eq!(applying(&rules, "ghcr.io/acme/public-app", "a"), ["careful", "plain"]);
}

#[test]
fn the_fallback_of_docker_hub_is_the_last_of_the_keys() {
    let rules = [Written {
        keys: vec!["https://index.docker.io/v1/", "docker.io/acme"],
        ..Written::cluster("hub", &[])
    }];
    let set = RuleSet::new(rules.iter().map(Written::compile));
    for (image, expected) in [
        ("nginx", "https://index.docker.io/v1/"),
        ("acme/app", "docker.io/acme"),
        ("localhost/app", "https://index.docker.io/v1/"),
        ("MyOrg/app", "https://index.docker.io/v1/"),
        ("ghcr.io/app", ""),
        ("localhost:5000/app", ""),
    ] {
        let found = set.matches(
            &ImageReference::parse(image).unwrap(),
            &Namespace {
                name: "a",
                labels: None,
            },
        );
        assert_eq!(
            found.first().map(|found| found.pattern.to_string()).unwrap_or_default(),
            expected,
            "{image}"
        );
    }
}

#[test]
fn a_rule_for_many_named_namespaces_applies_in_each() {
    let names: Vec<String> = (0..200).map(|number| format!("team-{number}")).collect();
    let mut rule = Written::cluster("many", &["ghcr.io"]).compile();
    let terms = NamespaceTerms {
        include: Some(names.clone()),
        ..NamespaceTerms::default()
    };
    rule.namespaces = NamespaceSelection::new(terms, OWN_NAMESPACE).unwrap();
    let set = RuleSet::new(vec![rule]);
    let image = ImageReference::parse("ghcr.io/app").unwrap();
    for name in &names {
        assert_eq!(set.matches(&image, &Namespace { name, labels: None }).len(), 1);
    }
    assert!(
        set.matches(
            &image,
            &Namespace {
                name: "team-200",
                labels: None
            }
        )
        .is_empty()
    );
}

#[test]
fn hosts_with_more_labels_than_the_index_looks_at_are_told_apart() {
    let deep = |first: &str| format!("{first}.{}", ["a"; 20].join("."));
    let rules = [Written::cluster("deep", &[&deep("x*")])];
    assert_eq!(applying(&rules, &format!("{}/app", deep("xy")), "a"), ["deep"]);
    assert!(applying(&rules, &format!("{}/app", deep("y")), "a").is_empty());
    assert!(applying(&rules, &format!("a.{}/app", deep("xy")), "a").is_empty());
}
