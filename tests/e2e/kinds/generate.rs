//! Random specs, nearly all of whose parts are good, so that the bad one shows.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use pullkey::rules::Kind;
use serde_json::{Map, Value, json};

/// A kind, and a spec of a rule that may be one.
pub(super) fn spec() -> impl Strategy<Value = (Kind, Value)> {
    let kind = select(&[Kind::ClusterPullSecretRule, Kind::PullSecretRule]);
    let fields = (
        mostly(vec(pattern(), 1..4).prop_map(Value::from)),
        option::weighted(0.3, vec(pattern(), 0..3).prop_map(Value::from)),
        option::weighted(0.2, text(REGEX_PIECES, 4)),
        mostly(namespaces()),
        mostly(secret()),
        option::weighted(0.3, odd(select(&["Enforce", "Shadow"][..]).prop_map(Value::from))),
        option::weighted(0.05, Just(json!(1))),
    );
    (kind, fields).prop_map(|(kind, fields)| {
        let (images, except, regex, namespaces, secret, mode, other) = fields;
        let is_cluster = kind == Kind::ClusterPullSecretRule;
        // Most cases would be of a tenant who tries what he may not.
        let regex = regex.filter(|_| is_cluster || secret.is_none());
        let namespaces = namespaces.filter(|_| is_cluster || secret.is_none());
        let secret = secret.map(|mut secret| {
            if let (false, Some(fields)) = (is_cluster && mode.is_none(), secret.as_object_mut()) {
                fields.remove("copyFrom");
            }
            secret
        });
        let fields = [
            ("images", images),
            ("exceptImages", except),
            ("imageRegex", regex),
            ("namespaces", namespaces),
            ("secret", secret),
            ("mode", mode),
            ("image", other),
        ];
        (kind, object(fields))
    })
}

fn object<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    let fields = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(fields.collect::<Map<_, _>>())
}

/// There, and now and then not, or something else.
fn mostly(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Option<Value>> {
    option::weighted(0.97, odd(value))
}

/// Now and then something else.
fn odd(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    let other = select(vec![
        json!(1),
        json!(true),
        json!(""),
        json!([]),
        json!({}),
        json!("x"),
        json!([1]),
    ]);
    prop_oneof![80 => value, 1 => other]
}

const REGEX_PIECES: &[&str] = &[
    "a", ".*", "ghcr", r"\.", "io", "/", "(", ")", "[a-z]", "+", "|", r"\d", "(?x)", "é",
];

fn text(pieces: &'static [&'static str], most: usize) -> impl Strategy<Value = Value> {
    vec(select(pieces), 0..=most).prop_map(|pieces| Value::from(pieces.concat()))
}

#[rustfmt::skip]
const HOSTS: &[&str] = &[
    "ghcr.io", "docker.io", "index.docker.io", "*.example", "a*b.example", "localhost", "localhost:5000", "a.b:0",
    "10.0.0.1:443", "[::1]", "[::1]:80", "MyOrg", "x_y.z", "x_*.z", "*", "*:80", "a-b.c--d", "*-*.a", "a.*",
];
#[rustfmt::skip]
const ODD_HOSTS: &[&str] = &[
    "nginx", "a_b", "hub.docker.com", "registry.hub.docker.com", "hub.docker.com:80", "a..b", ".a", "a.", "-a.b",
    "a.b-", "a**.b", "a.b:", "a.b:*", "a.b:x", "[::*]", "[::1", "::1", "[]", "[a]", "x_y.z:80", "X_y.z", "x__y.z",
    "x___y.z", "x_.z", "_x.z", "*_.z", "*-.z", "https://a.b", "http://", "bé.c", "a b.c", "a.b\n", "A_b", "x_*",
    "localhost.", "localhosts", "https://index.docker.io/v1/", "a@b.c", "?", "a.b#", "[ABC]", "[AB", "A]", "x--y",
];
#[rustfmt::skip]
const PATHS: &[&str] = &["", "", "", "/a", "/a/b", "/library/nginx", "/a_b", "/a__b/c", "/a---b", "/a.b/c-d/e1"];
#[rustfmt::skip]
const ODD_PATHS: &[&str] = &[
    "/", "//", "/a/", "//a", "/*", "/a*", "/a/**", "/A", "/a:v1", "/a:", "/a@sha256:0", "/a___b", "/a.", "/.a", "/a..b",
    "/-a", "/a-", "/a._b", "/é", "/a b", "/%41", ":v1", ":1.2", "/_/a", "/r/a", "/a:1/b", ":*", "]", ":[",
];

/// One of `plain`, and now and then one of `odd`.
fn part(
    plain: &'static [&'static str],
    odd: &'static [&'static str],
    weight: u32,
) -> impl Strategy<Value = &'static str> {
    prop_oneof![weight => select(plain), 1 => select(odd)]
}

/// Patterns that are plausible, nearly all of them good.
fn pattern() -> impl Strategy<Value = Value> {
    let parts = (part(HOSTS, ODD_HOSTS, 40), part(PATHS, ODD_PATHS, 40));
    odd(parts.prop_map(|(host, path)| Value::from(format!("{host}{path}"))))
}

/// Texts of which about half are patterns.
pub(super) fn patterns() -> impl Strategy<Value = Vec<String>> {
    let parts = (part(HOSTS, ODD_HOSTS, 3), part(PATHS, ODD_PATHS, 3));
    let soup = vec(
        select(
            &[
                "a",
                ".",
                "/",
                ":",
                "*",
                "-",
                "_",
                "A",
                "[",
                "]",
                "1",
                "@",
                "localhost",
                "docker.io",
                "://",
            ][..],
        ),
        0..7,
    );
    let pattern = prop_oneof![
        4 => parts.prop_map(|(host, path)| format!("{host}{path}")),
        1 => soup.prop_map(|pieces| pieces.concat()),
    ];
    vec(pattern, 1..100)
}

fn name() -> impl Strategy<Value = Value> {
    const GOOD: &[&str] = &["a", "team-a", "0", "a-b-c", "default"];
    const ODD: &[&str] = &[
        "",
        "A",
        "-a",
        "a-",
        "a_b",
        "a.b",
        ".a",
        "a..b",
        "é",
        "a\n",
        "kube-system",
        "pullkey",
        "a b",
        "*",
    ];
    odd(part(GOOD, ODD, 30).prop_map(Value::from))
}

fn glob() -> impl Strategy<Value = Value> {
    const PIECES: &[&str] = &["a", "team-", "*", "-", "0", "kube-system", "**"];
    prop_oneof![6 => name(), 2 => text(PIECES, 3)]
}

fn namespaces() -> impl Strategy<Value = Value> {
    let fields = (
        option::weighted(0.8, odd(vec(glob(), 1..4).prop_map(Value::from))),
        option::weighted(0.3, odd(vec(glob(), 0..3).prop_map(Value::from))),
        option::weighted(0.3, odd(selector())),
    );
    fields.prop_map(|(include, exclude, selector)| {
        object([("include", include), ("exclude", exclude), ("selector", selector)])
    })
}

fn selector() -> impl Strategy<Value = Value> {
    let labels = vec((label_key(), label_value()), 0..3)
        .prop_map(|labels| labels.into_iter().map(|(key, value)| (key.to_owned(), value)).collect());
    let fields = (
        option::weighted(0.7, odd(labels.prop_map(Value::Object))),
        option::weighted(0.5, odd(vec(odd(expression()), 0..3).prop_map(Value::from))),
    );
    fields.prop_map(|(labels, expressions)| object([("matchLabels", labels), ("matchExpressions", expressions)]))
}

fn expression() -> impl Strategy<Value = Value> {
    let with_values = vec(label_value(), 1..3).prop_map(Value::from);
    let any = (
        mostly(label_key().prop_map(Value::from)),
        mostly(select(&["In", "NotIn", "Exists", "DoesNotExist", "in"][..]).prop_map(Value::from)),
        option::weighted(0.5, odd(vec(label_value(), 0..3).prop_map(Value::from))),
    );
    let good = (
        label_key().prop_map(|key| Some(Value::from(key))),
        Just(Some(json!("In"))),
        with_values.prop_map(Some),
    );
    prop_oneof![2 => good.boxed(), 1 => any.boxed()]
        .prop_map(|(key, operator, values)| object([("key", key), ("operator", operator), ("values", values)]))
}

fn label_key() -> impl Strategy<Value = &'static str> {
    const GOOD: &[&str] = &["a", "a.example/b", "kubernetes.io/metadata.name", "A_b.C"];
    const ODD: &[&str] = &["", "/a", "a/", "a/b/c", "A/b", "-a", "a-", "a..b/c", "é", "a b"];
    part(GOOD, ODD, 30)
}

fn label_value() -> impl Strategy<Value = Value> {
    const GOOD: &[&str] = &["", "a", "A_b.c-D", "1"];
    const ODD: &[&str] = &["-a", "a-", "a/b", "é", "a b", "."];
    odd(part(GOOD, ODD, 30).prop_map(Value::from))
}

fn secret() -> impl Strategy<Value = Value> {
    let source = (mostly(name()), mostly(name()))
        .prop_map(|(namespace, name)| object([("namespace", namespace), ("name", name)]));
    (
        mostly(name()),
        option::weighted(0.3, odd(source)),
        option::weighted(0.03, Just(json!("k"))),
    )
        .prop_map(|(name, source, key)| object([("name", name), ("copyFrom", source), ("key", key)]))
}
