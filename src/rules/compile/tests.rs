use super::*;
use crate::rules::{ImagePattern, Mode, Namespace};
use proptest::prelude::*;

const FILES_ONLY: Context<'_> = Context {
    own_namespace: "pullkey",
    labels: false,
    source_keys: None,
};

fn compile_here(text: &str) -> Compiled {
    compile(text, "rules.yaml", &FILES_ONLY)
}

/// Each as `line:column field: message`, then its value, accepted form and hint as far as there are such.
fn brief(diagnostics: &[Diagnostic]) -> Vec<String> {
    let part = |name: &str, text: &Option<String>| {
        text.as_ref()
            .map(|text| format!(" | {name} {text}"))
            .unwrap_or_default()
    };
    diagnostics
        .iter()
        .map(|diagnostic| {
            let position = diagnostic
                .position
                .map(|position| position.to_string())
                .unwrap_or_default();
            let parts = [
                part("value", &diagnostic.value),
                part("accepted", &diagnostic.accepted),
                part("hint", &diagnostic.hint),
            ];
            format!(
                "{position} {}: {}{}",
                diagnostic.field,
                diagnostic.message,
                parts.concat()
            )
        })
        .collect()
}

fn cluster_rule(spec: &str) -> String {
    format!("apiVersion: pullkey.dev/v1alpha1\nkind: ClusterPullSecretRule\nmetadata: {{name: acme}}\nspec:\n{spec}")
}

fn namespaced_rule(spec: &str) -> String {
    format!(
        "apiVersion: pullkey.dev/v1alpha1\nkind: PullSecretRule\nmetadata: {{name: acme, namespace: team-a}}\nspec:\n{spec}"
    )
}

const GOOD_SPEC: &str = "  images: [ghcr.io/acme]\n  namespaces: {include: [team-*]}\n  secret: {name: s}\n";

#[test]
fn a_full_rule_of_each_kind_compiles() {
    let text = r#"
apiVersion: pullkey.dev/v1alpha1
kind: ClusterPullSecretRule
metadata:
  name: acme-ghcr
  creationTimestamp: null
  labels: {any: thing}
spec:
  images:
    - ghcr.io/acme
    - "*.dkr.ecr.*.amazonaws.com"
  exceptImages: [ghcr.io/acme/public]
  imageRegex: ghcr\.io/lab-\d+/.*
  namespaces:
    include: ["team-*"]
    exclude: [team-sandbox]
  secret:
    name: ghcr-acme
  mode: Shadow
status: {anything: [1]}
---
# nothing here
---
{"apiVersion": "pullkey.dev/v1alpha1", "kind": "PullSecretRule",
 "metadata": {"name": "team-harbor", "namespace": "team-a"},
 "spec": {"images": ["harbor.team-a.example:8443"], "secret": {"name": "harbor-pull"}}}
"#;
    let compiled = compile_here(text);
    assert_eq!(brief(&compiled.mistakes), [""; 0]);
    assert_eq!(brief(&compiled.warnings), [""; 0]);
    let [cluster, namespaced] = compiled.rules.as_slice() else {
        panic!()
    };
    assert_eq!(cluster.qualified_name().to_string(), "acme-ghcr");
    assert_eq!(
        (cluster.kind, cluster.mode, cluster.secret.as_str()),
        (Kind::ClusterPullSecretRule, Mode::Shadow, "ghcr-acme")
    );
    assert_eq!(
        cluster.patterns.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["ghcr.io/acme", "*.dkr.ecr.*.amazonaws.com"]
    );
    assert_eq!(cluster.exceptions.len(), 1);
    assert_eq!(cluster.regex.as_ref().unwrap().as_str(), r"ghcr\.io/lab-\d+/.*");
    let selects = |rule: &Rule, name| rule.namespaces.selects(&Namespace { name, labels: None });
    assert_eq!(
        ["team-b", "team-sandbox", "kube-system"].map(|name| selects(cluster, name)),
        [true, false, false]
    );
    assert_eq!(namespaced.qualified_name().to_string(), "team-a/team-harbor");
    assert_eq!(
        (namespaced.kind, namespaced.mode),
        (Kind::PullSecretRule, Mode::Enforce)
    );
    assert_eq!(
        ["team-a", "team-b"].map(|name| selects(namespaced, name)),
        [true, false]
    );
    assert_eq!(
        compiled
            .claims
            .iter()
            .map(|claim| claim.position.to_string())
            .collect::<Vec<_>>(),
        ["5:9", "25:23"]
    );
}

#[test]
fn what_kubectl_prints_can_be_kept() {
    let text = r#"
apiVersion: v1
items:
- apiVersion: pullkey.dev/v1alpha1
  kind: PullSecretRule
  metadata: {name: a, namespace: team-a, resourceVersion: "1", uid: x}
  spec: {images: [a.example], secret: {name: s}}
  status: {}
- apiVersion: pullkey.dev/v1alpha1
  kind: PullSecretRule
  metadata: {name: b, namespace: team-a}
  spec: {images: ["b.example:v1/"], secret: {name: s}}
- apiVersion: v1
  kind: Secret
  data: {a: MARKER}
kind: List
metadata: {resourceVersion: ""}
"#;
    let compiled = compile_here(text);
    assert_eq!(compiled.rules.len(), 1);
    let mistakes = brief(&compiled.mistakes);
    assert!(
        mistakes[0].starts_with("12:19 items[1].spec.images[0]: "),
        "{mistakes:?}"
    );
    assert!(
        mistakes[1].starts_with("14:9 items[2].kind: this is no rule | value Secret"),
        "{mistakes:?}"
    );
    assert_eq!(mistakes.len(), 2);
}

#[test]
fn every_mistake_of_a_document_is_named() {
    let kinds = "`ClusterPullSecretRule` or `PullSecretRule`";
    let whole = cluster_rule(GOOD_SPEC);
    for (name, text, expected) in [
        ("syntax", "a: [".to_owned(), vec!["2:1 : this is no YAML or JSON: while parsing a node, did not find expected node content".to_owned()]),
        ("empty", String::new(), vec![format!(" : there is no rule in this file | accepted at least one {kinds}")]),
        ("only comments", "# none\n---\n".to_owned(), vec![format!(" : there is no rule in this file | accepted at least one {kinds}")]),
        ("empty list", "{apiVersion: v1, kind: List, items: []}".to_owned(), vec![format!(" : there is no rule in this file | accepted at least one {kinds}")]),
        ("list without items", "{apiVersion: v1, kind: List}".to_owned(), vec!["1:1 items: `items` is missing | accepted a list of rules".to_owned()]),
        ("items of the wrong type", "{apiVersion: v1, kind: List, items: {}}".to_owned(), vec!["1:37 items: this is a mapping and must be a list".to_owned()]),
        ("scalar", "s3cret".to_owned(), vec!["1:1 : this is a string and no rule".to_owned()]),
        ("list of rules", "- a: 1".to_owned(), vec!["1:1 : this is a list and no rule".to_owned()]),
        ("no kind", "a: 1".to_owned(), vec![
            format!("1:1 kind: `kind` is missing | accepted {kinds}"),
                "1:1 apiVersion: `apiVersion` is missing | accepted `pullkey.dev/v1alpha1`".to_owned(),
        ]),
        ("misspelled kind", whole.replace("ClusterPull", "clusterPul"), vec![
            format!("2:7 kind: this is no rule | value clusterPulSecretRule | accepted {kinds} | hint did you mean `ClusterPullSecretRule`?"),
        ]),
        ("other version", whole.replace("v1alpha1", "v1"), vec![
            "1:13 apiVersion: a ClusterPullSecretRule has another `apiVersion` | value pullkey.dev/v1 | accepted `pullkey.dev/v1alpha1`".to_owned(),
        ]),
        ("no metadata", whole.replace("metadata: {name: acme}\n", ""), vec![
            "1:1 metadata: `metadata` is missing | accepted a mapping with the rule's `name`".to_owned(),
        ]),
        ("no name", whole.replace("name: acme", "generateName: acme-"), vec![
            "3:11 metadata.name: `name` is missing | accepted lower-case letters, digits and inner `-` and `.`, at most 253".to_owned(),
        ]),
        ("name of the wrong type", whole.replace("name: acme", "name: 12"), vec![
            "3:18 metadata.name: this is a number and must be a string | value 12 | hint put it in quotes: \"12\"".to_owned(),
        ]),
        ("bad name", whole.replace("name: acme", "name: Acme_"), vec![
            "3:18 metadata.name: no object can have such a name | value Acme_ | accepted lower-case letters, digits and inner `-` and `.`, at most 253".to_owned(),
        ]),
        ("cluster rule in a namespace", whole.replace("name: acme", "name: acme, namespace: a"), vec![
            "3:35 metadata.namespace: a ClusterPullSecretRule is in no namespace | value a | hint `spec.namespaces` says where it applies".to_owned(),
        ]),
        ("namespaced rule in none", namespaced_rule("  images: [a.example]\n  secret: {name: s}\n").replace(", namespace: team-a", ""), vec![
            "3:11 metadata.namespace: `namespace` is missing | accepted lower-case letters, digits and inner `-`, at most 63".to_owned(),
        ]),
        ("namespaced rule in a bad one", namespaced_rule("  images: [a.example]\n  secret: {name: s}\n").replace("team-a", "a.b"), vec![
            "3:35 metadata.namespace: no namespace can have such a name | value a.b | accepted lower-case letters, digits and inner `-`, at most 63".to_owned(),
        ]),
        ("namespaced rule in a protected one", namespaced_rule("  images: [a.example]\n  secret: {name: s}\n").replace("team-a", "kube-system"), vec![
            "3:35 metadata.namespace: images in this namespace are not the business of a rule | value kube-system | accepted ".to_owned() + super::ACCEPTED_NAMESPACE,
        ]),
        ("namespaced rule in Pullkey's", namespaced_rule("  images: [a.example]\n  secret: {name: s}\n").replace("team-a", "pullkey"), vec![
            "3:35 metadata.namespace: images in this namespace are not the business of a rule | value pullkey | accepted ".to_owned() + super::ACCEPTED_NAMESPACE,
        ]),
        ("no spec", whole.split("spec").next().unwrap().to_owned(), vec![
            "1:1 spec: `spec` is missing | accepted a mapping that says what the rule is".to_owned(),
        ]),
        ("spec of the wrong type", whole.split("spec").next().unwrap().to_owned() + "spec: [a]", vec![
            "4:7 spec: this is a list and must be a mapping".to_owned(),
        ]),
        ("field at the wrong depth", whole.clone() + "images: [a]\n", vec![
            "8:1 images: there is no field `images` here | accepted `apiVersion`, `kind`, `metadata`, `spec` or `status`".to_owned(),
        ]),
        ("two of one name", format!("{whole}---\n{whole}"), vec![
            "11:18 metadata.name: there is another ClusterPullSecretRule of this name | value acme | hint the first one is at rules.yaml:3:18".to_owned(),
        ]),
    ] {
        let compiled = compile_here(&text);
        assert_eq!(brief(&compiled.mistakes), expected, "{name}");
        assert!(compiled.rules.len() <= usize::from(name == "two of one name") * 2, "{name}");
    }
}

fn assert_spec_mistakes(case: &str, text: &str, expected: &[String]) {
    let compiled = compile_here(text);
    let found = brief(&compiled.mistakes);
    // The wording of patterns and namespaces is theirs to test.
    let is_expected = |(expected, found): (&String, &String)| match expected.split_once("MESSAGE") {
        Some((before, after)) => found.starts_with(before) && found.ends_with(after),
        None => found == expected,
    };
    assert!(
        found.len() == expected.len() && expected.iter().zip(&found).all(is_expected),
        "{case}: {found:#?} is not {expected:#?}"
    );
    assert!(compiled.rules.is_empty(), "{case}");
    assert_eq!(compiled.claims.len(), 1, "{case}");
}

#[test]
fn every_mistake_about_images_is_named() {
    let pattern = ImagePattern::ACCEPTED;
    let with = |from: &str, to: &str| cluster_rule(&GOOD_SPEC.replace(from, to));
    for (case, text, expected) in [
        ("unknown field", with("images", "image"), vec![
            "5:3 spec.image: there is no field `image` here | accepted `images`, `exceptImages`, `imageRegex`, `namespaces`, `secret` or `mode` | hint did you mean `images`?".to_owned(),
            "5:3 spec.images: `images` is missing | accepted `images`, `imageRegex` or both; with `secret.copyFrom` the source's own keys will do".to_owned(),
        ]),
        ("no images", with("[ghcr.io/acme]", "[]"), vec![
            "5:11 spec.images: an empty list covers no image | accepted at least one pattern".to_owned(),
        ]),
        ("images left empty", with("[ghcr.io/acme]", ""), vec![
            "5:9 spec.images: this is null and must be a list".to_owned(),
        ]),
        ("images as a string", with("[ghcr.io/acme]", "ghcr.io/acme"), vec![
            "5:11 spec.images: this is a string and must be a list | value ghcr.io/acme".to_owned(),
        ]),
        ("an image that is none", with("[ghcr.io/acme]", "[5000, {a: b}]"), vec![
            "5:12 spec.images[0]: this is a number and must be a string | value 5000 | hint put it in quotes: \"5000\"".to_owned(),
            "5:18 spec.images[1]: this is a mapping and must be a string".to_owned(),
        ]),
        ("a pattern that never matches", with("[ghcr.io/acme]", "['ghcr.io/acme:v1']"), vec![
            format!("5:12 spec.images[0]: MESSAGE | value ghcr.io/acme:v1 | accepted {pattern} | hint write `ghcr.io/acme`"),
        ]),
        ("an exception that never matches", with("[ghcr.io/acme]", "[a.example]\n  exceptImages: ['ghcr.io/acme/']"), vec![
            format!("6:18 spec.exceptImages[0]: MESSAGE | value ghcr.io/acme/ | accepted {pattern} | hint write `ghcr.io/acme`"),
        ]),
        ("a bad regex", with("images: [ghcr.io/acme]", "imageRegex: a("), vec![
            "5:15 spec.imageRegex: the regex does not parse: unclosed group | value a( | accepted a Rust regex for the whole of `registry/repository`, at most 512 characters".to_owned(),
        ]),
    ] {
        assert_spec_mistakes(case, &text, &expected);
    }
}

#[test]
fn every_mistake_about_namespaces_and_secrets_is_named() {
    let name = "lower-case letters, digits and inner `-` and `.`, at most 253";
    let label = "lower-case letters, digits and inner `-`, at most 63";
    let elsewhere = super::ACCEPTED_NAMESPACE;
    let with = |from: &str, to: &str| cluster_rule(&GOOD_SPEC.replace(from, to));
    for (case, text, expected) in [
        ("no namespaces", with("  namespaces: {include: [team-*]}\n", ""), vec![
            "5:3 spec.namespaces: `namespaces` is missing | accepted `include`, `selector` or both; all namespaces are `include: [\"*\"]`".to_owned(),
        ]),
        ("namespaces that say nothing", with("{include: [team-*]}", "{}"), vec![
            "6:15 spec.namespaces: MESSAGE | accepted `include`, `selector` or both; all namespaces are `include: [\"*\"]`".to_owned(),
        ]),
        ("an empty include", with("[team-*]", "[]"), vec![
            "6:25 spec.namespaces.include: MESSAGE | accepted at least one name or glob; all namespaces are `[\"*\"]`".to_owned(),
        ]),
        ("an include that is no list", with("[team-*]", "team-a"), vec![
            "6:25 spec.namespaces.include: this is a string and must be a list | value team-a".to_owned(),
        ]),
        ("protected, own, bad and mistyped namespaces", with("[team-*]", "[kube-public, pullkey, a_b, 1], exclude: [x, 'Y']"), vec![
            format!("6:26 spec.namespaces.include[0]: images in this namespace are not the business of a rule | value kube-public | accepted {elsewhere}"),
            format!("6:39 spec.namespaces.include[1]: images in this namespace are not the business of a rule | value pullkey | accepted {elsewhere}"),
            format!("6:48 spec.namespaces.include[2]: MESSAGE | value a_b | accepted {label}; `*` for any run"),
            "6:53 spec.namespaces.include[3]: this is a number and must be a string | value 1 | hint put it in quotes: \"1\"".to_owned(),
            format!("6:70 spec.namespaces.exclude[1]: MESSAGE | value Y | accepted {label}; `*` for any run"),
        ]),
        ("a selector", with("include: [team-*]", "selector: {matchLabels: {a: b}}"), vec![
            "6:26 spec.namespaces.selector: a selector needs the labels of namespaces, which only the cluster knows | hint name the namespaces in `include`; `pullkey explain` takes labels by `--namespace-label`".to_owned(),
        ]),
        ("no secret", with("  secret: {name: s}\n", ""), vec![
            "5:3 spec.secret: `secret` is missing | accepted the secret's `name`".to_owned(),
        ]),
        ("a secret by its name alone", with("{name: s}", "s"), vec![
            "7:11 spec.secret: this is a string and must be a mapping | value s".to_owned(),
        ]),
        ("a bad secret", with("{name: s}", "{name: S, key: k}"), vec![
            format!("7:18 spec.secret.name: no object can have such a name | value S | accepted {name}"),
            "7:21 spec.secret.key: there is no field `key` here | accepted `name` or `copyFrom`".to_owned(),
        ]),
        ("a bad source", with("{name: s}", "{name: s, copyFrom: {namespace: a.b, nam: S}}"), vec![
            "7:31 spec.secret.copyFrom.name: `name` is missing | accepted ".to_owned() + name,
            format!("7:43 spec.secret.copyFrom.namespace: no namespace can have such a name | value a.b | accepted {label}"),
            "7:48 spec.secret.copyFrom.nam: there is no field `nam` here | accepted `namespace` or `name` | hint did you mean `name`?".to_owned(),
        ]),
        ("Pullkey's own namespace as the source", with("{name: s}", "{name: s, copyFrom: {namespace: pullkey, name: x}}"), vec![
            "7:43 spec.secret.copyFrom.namespace: Pullkey's own namespace is no place for sources | value pullkey | hint keep sources in a namespace of their own, such as `pullkey-sources`".to_owned(),
        ]),
        ("a mode in lower case", with("  secret", "  mode: enforce\n  secret"), vec![
            "7:9 spec.mode: there is no such mode | value enforce | accepted `Enforce` or `Shadow` | hint did you mean `Enforce`?".to_owned(),
        ]),
        ("images of a source", with("  images: [ghcr.io/acme]\n", "").replace("{name: s}", "{name: s, copyFrom: {namespace: a, name: b}}"), vec![
            "5:3 spec.images: `images` is missing | accepted `images`, `imageRegex` or both | hint only the cluster knows the keys of the source secret `a/b`; `pullkey explain` takes them by `--credentials`".to_owned(),
        ]),
        ("what only cluster rules have", namespaced_rule("  images: [a.example]\n  imageRegex: a\n  namespaces: {}\n  secret: {name: s, copyFrom: {}}\n"), vec![
            "6:15 spec.imageRegex: only a ClusterPullSecretRule has this field | value a".to_owned(),
            "7:15 spec.namespaces: only a ClusterPullSecretRule has this field".to_owned(),
            "8:31 spec.secret.copyFrom: only a ClusterPullSecretRule has this field".to_owned(),
        ]),
        ("a namespaced rule without images", namespaced_rule("  secret: {name: s}\n"), vec![
            "5:3 spec.images: `images` is missing | accepted a list of image patterns".to_owned(),
        ]),
        ("too many images", namespaced_rule(&format!("  images: [{}]\n  secret: {{name: s}}\n", "a.example, ".repeat(65))), vec![
            "5:11 spec.images: a PullSecretRule has 65 patterns here | accepted at most 64".to_owned(),
        ]),
        ("too many images of a cluster rule", with("[ghcr.io/acme]", &format!("[{}]", "a.example, ".repeat(501))), vec![
            "5:11 spec.images: a ClusterPullSecretRule has 501 patterns here | accepted at most 500".to_owned(),
        ]),
    ] {
        assert_spec_mistakes(case, &text, &expected);
    }
}

#[test]
fn a_tenants_pattern_is_at_most_255_characters_long() {
    for (length, mistakes) in [(255, 0), (256, 1)] {
        let pattern = format!("a.example/{}", "a".repeat(length - 10));
        let compiled = compile_here(&namespaced_rule(&format!(
            "  images: [{pattern}]\n  secret: {{name: s}}\n"
        )));
        assert_eq!(compiled.mistakes.len(), mistakes, "{length}");
    }
}

#[test]
fn selectors_are_read_where_labels_are_known() {
    let known = Context {
        labels: true,
        ..FILES_ONLY
    };
    let with = |selector: &str| cluster_rule(&GOOD_SPEC.replace("include: [team-*]", &format!("selector: {selector}")));
    let good = compile(
        &with(
            "{matchLabels: {a: b}, matchExpressions: [{key: c, operator: In, values: [d, e]}, {key: f, operator: Exists}]}",
        ),
        "f",
        &known,
    );
    assert_eq!(brief(&good.mistakes), [""; 0]);
    let labels = [("a", "b"), ("c", "e"), ("f", "")].into_iter().collect();
    let selects = |labels| good.rules[0].namespaces.selects(&Namespace { name: "n", labels });
    assert_eq!((selects(Some(&labels)), selects(None)), (true, false));

    for (selector, expected) in [
        ("{}", vec!["spec.namespaces.selector"]),
        ("[]", vec!["spec.namespaces.selector"]),
        ("{matchLabels: []}", vec!["spec.namespaces.selector.matchLabels"]),
        ("{matchLabels: {a: 1}}", vec!["spec.namespaces.selector.matchLabels.a"]),
        (
            "{matchLabels: {a/: b}}",
            vec!["spec.namespaces.selector.matchLabels[a/]"],
        ),
        (
            "{matchExpressions: [x]}",
            vec!["spec.namespaces.selector.matchExpressions[0]"],
        ),
        (
            "{matchExpressions: {}}",
            vec!["spec.namespaces.selector.matchExpressions"],
        ),
        (
            "{matchExpressions: [{operator: In, values: [1, a b]}]}",
            vec![
                "spec.namespaces.selector.matchExpressions[0].key",
                "spec.namespaces.selector.matchExpressions[0].values[0]",
                "spec.namespaces.selector.matchExpressions[0].values[1]",
            ],
        ),
        (
            "{matchExpressions: [{key: a, operator: 1, values: b}]}",
            vec![
                "spec.namespaces.selector.matchExpressions[0].operator",
                "spec.namespaces.selector.matchExpressions[0].values",
            ],
        ),
        (
            "{matchExpressions: [{key: a, operator: Gt, value: [1]}]}",
            vec![
                "spec.namespaces.selector.matchExpressions[0].operator",
                "spec.namespaces.selector.matchExpressions[0].value",
            ],
        ),
    ] {
        let mistakes = compile(&with(selector), "f", &known).mistakes;
        assert_eq!(
            mistakes
                .iter()
                .map(|mistake| mistake.field.as_str())
                .collect::<Vec<_>>(),
            expected,
            "{selector}"
        );
    }
}

#[test]
fn keys_of_a_known_source_take_the_place_of_images() {
    let keys = |source: &SourceRef| (source.to_string() == "a/b").then(|| Key::parse("ghcr.io").into_iter().collect());
    let known = Context {
        source_keys: Some(&keys),
        ..FILES_ONLY
    };
    let rule = |source: &str| {
        cluster_rule(&format!(
            "  namespaces: {{include: ['*']}}\n  secret: {{name: s, copyFrom: {{namespace: a, name: {source}}}}}\n"
        ))
    };
    let compiled = compile(&rule("b"), "f", &known);
    assert_eq!(brief(&compiled.mistakes), [""; 0]);
    assert_eq!(compiled.rules[0].derived.len(), 1);
    assert_eq!(compile(&rule("c"), "f", &known).mistakes.len(), 1);
}

#[test]
fn what_may_surprise_is_a_warning() {
    let text = cluster_rule(
        "  images: [registry-1.docker.io, docker.io/nginx]\n  namespaces: {include: ['*']}\n  secret: {name: s, copyFrom: {namespace: a, name: b}}\n",
    );
    let compiled = compile_here(&text);
    assert_eq!((compiled.rules.len(), compiled.mistakes.len()), (1, 0));
    let fields: Vec<_> = compiled.warnings.iter().map(|warning| warning.field.as_str()).collect();
    assert_eq!(fields, ["spec.images[0]", "spec.images[1]", "spec.secret.copyFrom"]);
}

#[test]
fn mistakes_of_several_documents_come_together_and_in_order() {
    let text = format!(
        "{}---\n{}---\n{}",
        cluster_rule("  image: []\n"),
        namespaced_rule("  images: [a.example]\n  secret: {name: s}\n"),
        namespaced_rule("  images: ['b.example:1/x:y']\n  secret: {}\n"),
    );
    let compiled = compile_here(&text);
    let places: Vec<_> = compiled
        .mistakes
        .iter()
        .map(|mistake| format!("{} {}", mistake.position.unwrap(), mistake.field))
        .collect();
    assert_eq!(
        places,
        [
            "5:3 spec.image",
            "5:3 spec.secret",
            "5:3 spec.namespaces",
            "5:3 spec.images",
            "16:18 metadata.name",
            "18:12 spec.images[0]",
            "19:11 spec.secret.name",
        ]
    );
    assert_eq!((compiled.rules.len(), compiled.claims.len()), (1, 3));
}

#[test]
fn at_most_a_thousand_rules_have_a_regex() {
    let rules = |count: usize| -> String {
        (0..count)
            .map(|index| {
                cluster_rule(&GOOD_SPEC.replace("images: [ghcr.io/acme]", "imageRegex: a"))
                    .replace("acme", &format!("r{index}"))
                    + "---\n"
            })
            .collect()
    };
    assert_eq!(compile_here(&rules(1000)).mistakes.len(), 0);
    let over = compile_here(&rules(1003));
    assert_eq!(over.rules.len(), 1000);
    assert_eq!(
        brief(&over.mistakes),
        [
            "8005:15 spec.imageRegex: too many rules have an `imageRegex` | accepted at most 1000 over all files | hint patterns have no such limit"
        ]
    );
}

#[test]
fn an_object_of_the_cluster_has_no_places_and_is_followed_by_a_controller() {
    let object = |images: &str| {
        format!(
            r#"{{"apiVersion":"pullkey.dev/v1alpha1","kind":"ClusterPullSecretRule","metadata":{{"name":"a"}},"spec":{{"images":[{images}],
            "namespaces":{{"include":["*"]}},"secret":{{"name":"s","copyFrom":{{"namespace":"n","name":"x"}}}}}}}}"#
        )
    };
    let compile = |text: &str| compile_object(text, "ClusterPullSecretRule a", &FILES_ONLY);
    let good = compile(&object(r#""a.example""#));
    assert_eq!(
        (good.rules.len(), brief(&good.mistakes), brief(&good.warnings)),
        (1, vec![], vec![])
    );
    let bad = compile(&object(r#""registry-1.docker.io","a.example:v1/b""#));
    assert_eq!(
        bad.mistakes[0].to_string().lines().nth(1),
        Some("  --> ClusterPullSecretRule a")
    );
    assert_eq!(
        (bad.mistakes[0].field.as_str(), bad.mistakes[0].position),
        ("spec.images[1]", None)
    );
    assert_eq!(bad.warnings[0].position, None);
    assert_eq!(brief(&compile("{").mistakes).len(), 1);
}

/// Texts in which every scalar but `apiVersion` and `kind` is a marker.
#[test]
fn nothing_of_what_is_no_rule_is_shown() {
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: MARKER, namespace: MARKER, annotations: {MARKER: MARKER}}\ntype: MARKER\ndata: {MARKER: MARKER}\nstringData: {.dockerconfigjson: '{\"auths\":{\"MARKER\":{\"auth\":\"MARKER\"}}}'}\nspec: {MARKER: MARKER}\nimages: [MARKER]\nMARKER: MARKER\n";
    for text in [
        secret.to_owned(),
        "{apiVersion: v1, kind: List, MARKER: MARKER, items: [MARKER, [MARKER], {kind: Secret, MARKER: MARKER}]}"
            .to_owned(),
        secret.replace("kind: Secret", "kind: [MARKER]"),
        secret.replace("kind: Secret", "kinds: MARKER"),
        secret.replace("apiVersion: v1", "apiVersion: {MARKER: MARKER}"),
        secret.replace("type: MARKER", "type: @MARKER"),
        format!("{secret}data: MARKER\n"),
        r#"{"auths":{"https://MARKER:MARKER@ghcr.io":{"auth":"MARKER"}}}"#.to_owned(),
        r#"{"MARKER":{"auth":"MARKER"},"MARKER":1}"#.to_owned(),
        "MARKER".to_owned(),
        "- MARKER: MARKER".to_owned(),
    ] {
        let compiled = compile_here(&text);
        assert!(!compiled.mistakes.is_empty(), "{text}");
        for mistake in compiled.mistakes.iter().chain(&compiled.warnings) {
            let shown = format!("{mistake}\n{}\n{mistake:?}", serde_json::to_string(mistake).unwrap());
            assert!(!shown.contains("MARKER"), "{shown}");
        }
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        let compiled = compile_here(&text);
        prop_assert!(!compiled.mistakes.is_empty());
    }

    /// A rule in which parts are exchanged for others at random: whatever comes out, a rule without a mistake is read
    /// and any other is not.
    #[test]
    fn a_rule_is_read_or_a_mistake_is_named(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "apiVersion: pullkey.dev/v1alpha1\n", "kind: ClusterPullSecretRule\n", "kind: PullSecretRule\n",
                "metadata: {name: a}\n", "metadata: {name: a, namespace: b}\n", "metadata: []\n",
                "spec: {images: [a.example], namespaces: {include: [a]}, secret: {name: s}}\n",
                "spec: {images: [a.example], secret: {name: s}}\n", "spec: {secret: {copyFrom: {}}}\n", "---\n", "- a\n",
            ]),
            0..10,
        )
    ) {
        let compiled = compile_here(&parts.concat());
        prop_assert!(compiled.mistakes.is_empty() == (compiled.rules.len() == compiled.claims.len() && !compiled.rules.is_empty())
            || !compiled.mistakes.is_empty());
        prop_assert!(compiled.rules.len() <= compiled.claims.len());
    }
}

#[test]
fn rules_say_the_same_or_not_whatever_they_are_called() {
    let regex = "  imageRegex: 'quay\\.io/.*'\n";
    let source = "  secret: {name: s, copyFrom: {namespace: n, name: x}}\n";
    let base = format!("{GOOD_SPEC}{regex}");
    let rule = |spec: &str| Arc::clone(&compile_here(&cluster_rule(spec)).rules[0]);
    let renamed = cluster_rule(&base).replace("name: acme", "name: other");
    assert!(rule(&base).says_the_same_as(&compile_here(&renamed).rules[0]));
    for (claim, spec) in [
        ("images", base.replace("acme]", "acme, quay.io]")),
        ("exceptions", format!("{base}  exceptImages: [ghcr.io/acme/public]\n")),
        ("regex", base.replace("quay", "quai")),
        ("no regex", GOOD_SPEC.to_owned()),
        ("namespaces", base.replace("team-*", "team-a")),
        ("secret", base.replace("name: s}", "name: t}")),
        ("source", base.replace("  secret: {name: s}\n", source)),
        ("mode", format!("{base}  mode: Shadow\n")),
    ] {
        assert!(!rule(&base).says_the_same_as(&rule(&spec)), "{claim}");
    }
}
