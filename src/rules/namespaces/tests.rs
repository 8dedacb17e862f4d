//! Who is selected, and what is refused with which place.

use proptest::prelude::*;

use super::{Namespace, NamespaceSelection, NamespaceTerms, Problem};
use crate::rules::Labels;
use crate::rules::selector::{ExpressionTerms, LabelSelector, SelectorTerms};

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().copied().map(str::to_owned).collect()
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().copied().collect()
}

fn expression(key: &str, operator: &str, values: &[&str]) -> SelectorTerms {
    let expression = ExpressionTerms {
        key: key.to_owned(),
        operator: operator.to_owned(),
        values: owned(values),
    };
    SelectorTerms {
        match_labels: vec![],
        match_expressions: vec![expression],
    }
}

fn match_labels(pairs: &[(&str, &str)]) -> SelectorTerms {
    SelectorTerms {
        match_labels: pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
        match_expressions: vec![],
    }
}

fn terms(include: Option<&[&str]>, exclude: &[&str], selector: Option<SelectorTerms>) -> NamespaceTerms {
    NamespaceTerms {
        include: include.map(owned),
        exclude: owned(exclude),
        selector,
    }
}

#[test]
fn include_and_selector_minus_exclude() {
    let team_x = || Some(match_labels(&[("team", "x")]));
    let [x, y] = ["x", "y"].map(|team| Some(labels(&[("team", team)])));
    for (claim, terms, name, labels, expected) in [
        ("a name", terms(Some(&["a"]), &[], None), "a", &None, true),
        ("another name", terms(Some(&["a"]), &[], None), "ab", &None, false),
        (
            "a glob",
            terms(Some(&["b", "team-*"]), &[], None),
            "team-a",
            &None,
            true,
        ),
        (
            "a glob covers the whole name",
            terms(Some(&["team-*"]), &[], None),
            "my-team-a",
            &None,
            false,
        ),
        ("all", terms(Some(&["*"]), &[], None), "a", &None, true),
        ("an excluded name", terms(Some(&["*"]), &["a"], None), "a", &None, false),
        (
            "an excluded glob",
            terms(Some(&["a"]), &["*a*"], None),
            "a",
            &None,
            false,
        ),
        ("a label", terms(None, &[], team_x()), "a", &x, true),
        ("another label", terms(None, &[], team_x()), "a", &y, false),
        ("unknown labels", terms(None, &[], team_x()), "a", &None, false),
        (
            "unknown labels that do not matter",
            terms(Some(&["a"]), &[], None),
            "a",
            &None,
            true,
        ),
        ("both", terms(Some(&["a"]), &[], team_x()), "a", &x, true),
        (
            "both, without the label",
            terms(Some(&["a"]), &[], team_x()),
            "a",
            &y,
            false,
        ),
        (
            "both, without the name",
            terms(Some(&["a"]), &[], team_x()),
            "b",
            &x,
            false,
        ),
        ("a label, excluded", terms(None, &["a"], team_x()), "a", &x, false),
    ] {
        let selection = NamespaceSelection::new(terms, "pullkey").unwrap();
        let namespace = Namespace {
            name,
            labels: labels.as_ref(),
        };
        assert_eq!(selection.selects(&namespace), expected, "{claim}");
    }
}

#[test]
fn protected_namespaces_are_selected_by_no_glob_and_no_label() {
    let team_x = || Some(match_labels(&[("team", "x")]));
    let x = Some(labels(&[("team", "x")]));
    for (claim, terms, name, labels, expected) in [
        (
            "kube-system by a glob",
            terms(Some(&["*"]), &[], None),
            "kube-system",
            &None,
            false,
        ),
        (
            "kube-public by a glob",
            terms(Some(&["kube-*"]), &[], None),
            "kube-public",
            &None,
            false,
        ),
        (
            "kube-node-lease by a label",
            terms(None, &[], team_x()),
            "kube-node-lease",
            &x,
            false,
        ),
        (
            "another kube-",
            terms(Some(&["kube-*"]), &[], None),
            "kube-flannel",
            &None,
            true,
        ),
        (
            "Pullkey's own by a glob",
            terms(Some(&["*"]), &[], None),
            "pullkey",
            &None,
            false,
        ),
        (
            "Pullkey's own by a label",
            terms(None, &[], team_x()),
            "pullkey",
            &x,
            false,
        ),
    ] {
        let selection = NamespaceSelection::new(terms, "pullkey").unwrap();
        let namespace = Namespace {
            name,
            labels: labels.as_ref(),
        };
        assert_eq!(selection.selects(&namespace), expected, "{claim}");
    }
}

#[test]
fn a_namespaced_rule_selects_its_own_namespace_only() {
    let selects = |own, name| NamespaceSelection::only(own).selects(&Namespace { name, labels: None });
    assert!(selects("team-a", "team-a"));
    assert!(!selects("team-a", "team-b"));
    assert!(
        selects("kube-system", "kube-system"),
        "it was asked for by name, by who may write there"
    );
}

#[test]
fn all_requirements_of_a_selector_must_hold() {
    let both = SelectorTerms {
        match_labels: vec![("a".to_owned(), "1".to_owned())],
        ..expression("b", "Exists", &[])
    };
    for (claim, terms, found, expected) in [
        ("equal", match_labels(&[("a", "1")]), &[("a", "1")][..], true),
        ("not equal", match_labels(&[("a", "1")]), &[("a", "2")], false),
        ("missing", match_labels(&[("a", "")]), &[], false),
        ("empty value", match_labels(&[("a", "")]), &[("a", "")], true),
        (
            "one of two",
            match_labels(&[("a", "1"), ("b", "1")]),
            &[("a", "1")],
            false,
        ),
        ("In", expression("a", "In", &["1", "2"]), &[("a", "2")], true),
        ("In, another", expression("a", "In", &["1", "2"]), &[("a", "3")], false),
        ("In, missing", expression("a", "In", &["1"]), &[], false),
        ("NotIn", expression("a", "NotIn", &["1"]), &[("a", "1")], false),
        ("NotIn, another", expression("a", "NotIn", &["1"]), &[("a", "2")], true),
        ("NotIn, missing", expression("a", "NotIn", &["1"]), &[], true),
        ("Exists", expression("a", "Exists", &[]), &[("a", "")], true),
        ("Exists, missing", expression("a", "Exists", &[]), &[("b", "")], false),
        ("DoesNotExist", expression("a", "DoesNotExist", &[]), &[], true),
        (
            "DoesNotExist, there",
            expression("a", "DoesNotExist", &[]),
            &[("a", "")],
            false,
        ),
        ("both kinds", both.clone(), &[("a", "1"), ("b", "")], true),
        ("one kind of both", both, &[("a", "1")], false),
    ] {
        assert_eq!(
            LabelSelector::new(terms).unwrap().matches(&labels(found)),
            expected,
            "{claim}"
        );
    }
}

/// Each problem as `.path value: message`.
fn problems(terms: NamespaceTerms) -> Vec<String> {
    let show = |problem: Problem| {
        let path: String = problem.path.iter().map(ToString::to_string).collect();
        assert!(
            problem.accepted.is_some() || problem.message.contains("at most"),
            "{path}"
        );
        format!("{path} `{}`: {}", problem.value.unwrap_or_default(), problem.message)
    };
    NamespaceSelection::new(terms, "pullkey").map_or_else(|all| all.into_iter().map(show).collect(), |_| vec![])
}

#[test]
fn a_selection_must_say_something() {
    assert_eq!(
        problems(terms(None, &["a"], None)),
        [" ``: nothing says which namespaces may have the secret"]
    );
    assert_eq!(
        problems(terms(Some(&[]), &[], Some(SelectorTerms::default()))),
        [
            ".include ``: an empty list includes nothing",
            ".selector ``: an empty selector selects everything"
        ]
    );
}

#[test]
fn lists_and_globs_have_limits() {
    let selector = |labels: usize, expressions: usize, values: usize| SelectorTerms {
        match_labels: vec![("a".to_owned(), "b".to_owned()); labels],
        match_expressions: vec![
            ExpressionTerms {
                key: "a".to_owned(),
                operator: "In".to_owned(),
                values: vec!["b".to_owned(); values],
            };
            expressions
        ],
    };
    let glob = |letters: usize, stars: usize| format!("{}{}", "a".repeat(letters), "*".repeat(stars));
    let [most, longest] = [glob(63, 0), glob(63, 64)];
    let at_most = terms(
        Some(&vec![most.as_str(); 2_000]),
        &vec![longest.as_str(); 2_000],
        Some(selector(32, 32, 128)),
    );
    assert_eq!(problems(at_most), [""; 0]);
    for (terms, expected) in [
        (
            terms(Some(&vec!["a"; 2_001]), &[], None),
            ".include ``: there are 2001 of them, at most 2000 are allowed",
        ),
        (
            terms(Some(&["a"]), &vec!["a"; 2_001], None),
            ".exclude ``: there are 2001 of them, at most 2000 are allowed",
        ),
        (
            terms(Some(&[glob(63, 65).as_str()]), &[], None),
            &format!(
                ".include[0] `{}`: there are more `*` than can mean anything",
                glob(63, 65)
            ),
        ),
        (
            terms(None, &[], Some(selector(33, 0, 0))),
            ".selector.matchLabels ``: there are 33 of them, at most 32 are allowed",
        ),
        (
            terms(None, &[], Some(selector(0, 33, 1))),
            ".selector.matchExpressions ``: there are 33 of them, at most 32 are allowed",
        ),
        (
            terms(None, &[], Some(selector(0, 1, 129))),
            ".selector.matchExpressions[0].values ``: there are 129 of them, at most 128 are allowed",
        ),
    ] {
        assert_eq!(problems(terms), [expected]);
    }
}

#[test]
fn all_problems_are_told_at_once_each_at_its_place() {
    let long = "a".repeat(64);
    let include = [
        "a",
        "Team",
        "-a",
        "a-*-",
        "a.b",
        "",
        &long,
        "kube-system",
        "pullkey",
        "a b",
    ];
    let selector = SelectorTerms {
        match_labels: vec![("-a".to_owned(), "b/".to_owned()), ("a_.b/c".to_owned(), String::new())],
        match_expressions: [
            ("good.example/a_b.C", "In", &["A_b.c", "", "-", &long][..]),
            ("", "in", &[]),
            ("a/b/c", "NotIn", &[]),
            ("a", "Exists", &["b"]),
        ]
        .into_iter()
        .flat_map(|(key, operator, values)| expression(key, operator, values).match_expressions)
        .collect(),
    };
    assert_eq!(
        problems(terms(Some(&include), &["*-"], Some(selector))),
        [
            ".include[1] `Team`: no namespace has such a name",
            ".include[2] `-a`: no namespace has such a name",
            ".include[3] `a-*-`: no namespace has such a name",
            ".include[4] `a.b`: no namespace has such a name",
            ".include[5] ``: the name is empty",
            &format!(".include[6] `{long}`: no namespace has so long a name"),
            ".include[7] `kube-system`: images in this namespace are not the business of a rule",
            ".include[8] `pullkey`: images in this namespace are not the business of a rule",
            ".include[9] `a b`: no namespace has such a name",
            ".exclude[0] `*-`: no namespace has such a name",
            ".selector.matchLabels[-a] `-a`: this is no label key",
            ".selector.matchLabels[-a] `b/`: this is no label value",
            ".selector.matchLabels[a_.b/c] `a_.b/c`: the prefix of the label key is no DNS name",
            ".selector.matchExpressions[0].values[2] `-`: this is no label value",
            &format!(".selector.matchExpressions[0].values[3] `{long}`: this is no label value"),
            ".selector.matchExpressions[1].key ``: this is no label key",
            ".selector.matchExpressions[1].operator `in`: there is no such operator",
            ".selector.matchExpressions[2].key `a/b/c`: this is no label key",
            ".selector.matchExpressions[2].values ``: this operator needs values",
            ".selector.matchExpressions[3].values ``: this operator has no values",
        ]
    );
}

fn selection(include: Option<&[&str]>, exclude: &[&str], selector: Option<SelectorTerms>) -> NamespaceSelection {
    NamespaceSelection::new(terms(include, exclude, selector), "pullkey").unwrap()
}

fn assert_meeting(rows: &[(&str, NamespaceSelection, NamespaceSelection, bool)]) {
    for (claim, one, other, expected) in rows {
        assert_eq!(one.meets(other), *expected, "{claim}");
        assert_eq!(other.meets(one), *expected, "{claim}, the other way round");
    }
}

#[test]
fn selections_meet_where_both_take_a_name() {
    let names = |include: &[&str], exclude: &[&str]| selection(Some(include), exclude, None);
    let all = || names(&["*"], &[]);
    assert_meeting(&[
        ("one name", names(&["a", "b"], &[]), names(&["b", "c"], &[]), true),
        ("other names", names(&["a"], &[]), names(&["b"], &[]), false),
        ("a glob's name", names(&["t-a"], &[]), names(&["t-*"], &[]), true),
        ("not a glob's name", names(&["ops"], &[]), names(&["t-*"], &[]), false),
        ("an excluded name", names(&["a"], &[]), names(&["*"], &["a"]), false),
        ("excluded by itself", names(&["a"], &["a*"]), all(), false),
        ("globs", names(&["t-*"], &[]), names(&["*-prod"], &[]), true),
        ("other globs", names(&["t-*"], &[]), names(&["o-*"], &[]), false),
        ("an excluded glob", names(&["t-*"], &[]), names(&["*"], &["t-*"]), false),
        ("a part of a glob", names(&["t-*"], &[]), names(&["*"], &["t-a*"]), true),
        ("all but one", names(&["*"], &["a"]), all(), true),
    ]);
}

#[test]
fn selections_meet_where_labels_can_meet_both_selectors() {
    let label = |key, value| selection(None, &[], Some(match_labels(&[(key, value)])));
    let team = |operator, values: &[&str]| selection(None, &[], Some(expression("team", operator, values)));
    let names = |include: &[&str]| selection(Some(include), &[], None);
    assert_meeting(&[
        ("beside names", names(&["a"]), label("team", "x"), true),
        ("beside globs", names(&["a-*"]), label("team", "x"), true),
        ("other keys", label("team", "x"), label("stage", "y"), true),
        ("other values", label("team", "x"), label("team", "y"), false),
        ("some value", team("In", &["x", "y"]), team("In", &["y", "z"]), true),
        ("a value denied", team("In", &["x"]), team("NotIn", &["x", "y"]), false),
        ("not all denied", team("In", &["x", "z"]), team("NotIn", &["x"]), true),
        ("a key denied", team("Exists", &[]), team("DoesNotExist", &[]), false),
        ("its value, too", team("In", &["x"]), team("DoesNotExist", &[]), false),
        ("no value", team("DoesNotExist", &[]), team("NotIn", &["x"]), true),
        ("a key", team("Exists", &[]), team("NotIn", &["x"]), true),
    ]);
}

proptest! {
    #[test]
    fn two_that_select_one_namespace_meet(
        includes in proptest::array::uniform2(proptest::collection::vec("[ab*]{1,3}", 1..3)),
        excludes in proptest::array::uniform2(proptest::collection::vec("[ab*]{1,3}", 0..2)),
        name in "[ab]{1,4}",
    ) {
        let [one, other] = [0, 1].map(|index| {
            let terms = NamespaceTerms {
                include: Some(includes[index].clone()),
                exclude: excludes[index].clone(),
                selector: None,
            };
            NamespaceSelection::new(terms, "pullkey").unwrap()
        });
        let namespace = Namespace { name: &name, labels: None };
        prop_assert!(one.meets(&other) || !one.selects(&namespace) || !other.selects(&namespace));
    }
}
