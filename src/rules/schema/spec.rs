//! The schema of `spec`. What a plain keyword would refuse in a riddle, an expression refuses in the reader's own words.

use serde_json::json;

use super::build::{Rule, Schema};
use crate::image::DOCKER_HUB;
use crate::rules::names::{ACCEPTED_LABEL, ACCEPTED_SUBDOMAIN, LONGEST_LABEL, LONGEST_SUBDOMAIN};
use crate::rules::namespaces::{
    ACCEPTED_INCLUDE, ACCEPTED_NAME, ACCEPTED_NAMESPACE, ACCEPTED_NAMESPACES, LONGEST_GLOB, MOST_NAMES, NO_NAME,
    NO_NAMES, NOBODY, NOT_OURS, PROTECTED,
};
use crate::rules::pattern::{self, DOCKER_HUB_KEY, DOCKER_HUB_SITES};
use crate::rules::regex::LONGEST_REGEX;
use crate::rules::selector::{
    ACCEPTED_KEY, ACCEPTED_VALUE, EMPTY, HAS_NO_VALUES, LONGEST_NAME, MOST_REQUIREMENTS, MOST_VALUES, NEEDS_VALUES,
    NO_KEY, NO_VALUE, OPERATORS,
};
use crate::rules::spec::{ACCEPTED_IMAGES, MODES, NO_IMAGES, NO_NAMESPACE, NO_OBJECT, pattern_limits};
use crate::rules::{ImagePattern, Kind, Mode};

/// A DNS label (RFC 1123), whatever its length.
const LABEL: &str = "[a-z0-9]([a-z0-9-]*[a-z0-9])?";
/// What a label key has behind its prefix, and a value that is not empty.
const NAME: &str = "[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?";
/// A segment of an image's path.
const SEGMENT: &str = r"[a-z0-9]+((\.|__?|-+)[a-z0-9]+)*";
/// The host of a pattern: labels with stars and a port, an IPv6 address, or what the image grammar takes for a segment.
const HOST: &str = concat!(
    r"([A-Za-z0-9*]+(-+[A-Za-z0-9*]+)*(\.[A-Za-z0-9*]+(-+[A-Za-z0-9*]+)*)*(:[0-9]+)?",
    r"|\[[0-9A-Fa-f:]+\](:[0-9]+)?",
    r"|[a-z0-9*]+((__?|-+)[a-z0-9*]+)*(\.[a-z0-9*]+((__?|-+)[a-z0-9*]+)*)+)",
);
/// The beginning of a name that has a host.
const HAS_HOST: &str = "^(localhost(/|$)|[^/]*[.:A-Z*])";

/// What a rule of that kind says.
pub(super) fn schema(kind: Kind) -> Schema {
    let images = patterns(
        kind,
        "What the rule covers: host[:port][/path] without scheme, tag and digest. A path covers itself and all below it by \
         whole segments. A * stands for any run of characters within one label of the host; * alone is every image. \
         Images without a host are on docker.io, official ones below docker.io/library.",
    );
    let images = images.where_all([Rule::new("size(self) > 0", NO_IMAGES, "at least one pattern")]);
    let except = patterns(
        kind,
        "Patterns of images that the rule leaves alone. This saves Pods a reference and protects nothing: the kubelet \
         tries every secret of a Pod.",
    );
    let mode = Schema::text(
        "Enforce, or Shadow: the rule is counted and reported, adds nothing to Pods, and makes and removes no copies.",
    );
    let mode = mode
        .with("enum", json!(MODES.map(Mode::as_str)))
        .with("default", Mode::default().as_str());
    match kind {
        Kind::PullSecretRule => Schema::object(
            "What the rule covers, and the secret for it.",
            [
                ("images", images),
                ("exceptImages", except),
                ("secret", namespaced_secret()),
                ("mode", mode),
            ],
            &["images", "secret"],
        ),
        Kind::ClusterPullSecretRule => {
            let spec = Schema::object(
                "What the rule covers, where, and the secret for it.",
                [
                    ("images", images),
                    ("exceptImages", except),
                    ("imageRegex", regex()),
                    ("namespaces", namespaces()),
                    ("secret", cluster_secret()),
                    ("mode", mode),
                ],
                &["namespaces", "secret"],
            );
            let covers = "has(self.images) || has(self.imageRegex) || has(self.secret.copyFrom)";
            spec.where_all([Rule::requires(covers, "images", ACCEPTED_IMAGES)])
        }
    }
}

fn patterns(kind: Kind, description: &str) -> Schema {
    let (most, longest) = pattern_limits(kind);
    let is_pattern = format!(
        "self == '{DOCKER_HUB_KEY}' || self.matches(r'^{HOST}(/{SEGMENT})*$') && self.matches(r'{HAS_HOST}') \
         && !self.contains('**') && !{}",
        is_web_site(),
    );
    let message = format!("this is no image pattern, expected {}", ImagePattern::ACCEPTED);
    let pattern = Schema::text(ImagePattern::ACCEPTED)
        .with("minLength", 1)
        .with("maxLength", longest)
        .where_all([Rule::with_reason(&is_pattern, &message, &pattern_mistake())]);
    Schema::list(
        &format!("{description} At most {most}, each of at most {longest} characters."),
        pattern,
    )
    .with("maxItems", most)
}

/// The first thing that is wrong with a pattern, in the order and the words of the reader.
fn pattern_mistake() -> String {
    let is_site = is_web_site();
    let web_site = format!("this {}", pattern::WEB_SITE);
    let mistakes = [
        (r"self.matches(r'\s')", pattern::WHITE_SPACE),
        ("self.contains('://')", pattern::SCHEME),
        ("self.startsWith('/') || self.endsWith('/')", pattern::OUTER_SLASH),
        ("self.contains('@')", pattern::DIGEST),
        (
            r"self.matches(r'/[^/]*:[^/]*$') || self.matches(r'^[^/\[]*:[^/:]*[^/:0-9*][^/:]*$')",
            pattern::TAG,
        ),
        ("self.contains('//')", pattern::EMPTY_SEGMENT),
        (r"self.matches(r'/.*\*')", pattern::PATH_STAR),
        (&is_site, &web_site),
        ("self.contains('**')", pattern::TWO_STARS),
    ];
    let is_on_docker_hub = format!("self.matches(r'^{SEGMENT}(/{SEGMENT})*$')");
    let on_docker_hub = quoted(&format!(
        "no image has this host: {}, write `{DOCKER_HUB}/",
        pattern::NO_HOST
    ));
    let anything = quoted(&format!(
        "no image has a name that begins so, expected {}",
        ImagePattern::ACCEPTED
    ));
    let rest = format!(
        r#"{is_on_docker_hub} ? {on_docker_hub} + (self.contains("/") ? "" : "library/") + self + "`" : {anything}"#
    );
    mistakes.iter().rev().fold(rest, |rest, (is_so, message)| {
        format!("{is_so} ? {} : {rest}", quoted(message))
    })
}

/// The text as a literal of an expression.
fn quoted(text: &str) -> String {
    json!(text).to_string()
}

fn is_web_site() -> String {
    let sites = DOCKER_HUB_SITES.map(|site| site.replace('.', r"\."));
    format!("self.matches(r'^({})(/|$)')", sites.join("|"))
}

fn regex() -> Schema {
    let description = format!(
        "A Rust regex (https://docs.rs/regex/latest/regex/#syntax) that must match the whole of registry/repository, such \
         as docker.io/library/nginx, without tag and digest. Besides images or instead of it, for what patterns cannot \
         say. At most {LONGEST_REGEX} characters."
    );
    Schema::text(&description)
        .with("minLength", 1)
        .with("maxLength", LONGEST_REGEX)
}

fn namespaces() -> Schema {
    let protected = PROTECTED.map(|name| format!("'{name}'")).join(", ");
    let is_ours = Rule::new(&format!("!(self in [{protected}])"), NOT_OURS, ACCEPTED_NAMESPACE);
    let include = names(
        "Names of namespaces, in which * stands for any run of characters; [\"*\"] is every namespace. Without it all that \
         the selector selects are included.",
        [is_name_or_glob(), is_ours],
    );
    let exclude = names(
        "Names of namespaces that are taken away again, in which * stands for any run of characters.",
        [is_name_or_glob()],
    );
    let namespaces = Schema::object(
        "The namespaces whose Pods may use the secret: those that include names and the selector selects, without those that \
         exclude names. Nobody gets a credential by default: one of include and selector must be there. kube-system, \
         kube-public, kube-node-lease and Pullkey's own namespace are never selected.",
        [
            (
                "include",
                include.where_all([Rule::new("size(self) > 0", NO_NAMES, ACCEPTED_INCLUDE)]),
            ),
            ("exclude", exclude),
            ("selector", selector()),
        ],
        &[],
    );
    let says_who = "has(self.include) || has(self.selector)";
    namespaces.where_all([Rule::new(says_who, NOBODY, ACCEPTED_NAMESPACES)])
}

fn names<const N: usize>(description: &str, rules: [Rule; N]) -> Schema {
    let name = Schema::text(ACCEPTED_NAME)
        .with("maxLength", LONGEST_GLOB)
        .where_all(rules);
    Schema::list(&format!("{description} At most {MOST_NAMES}."), name).with("maxItems", MOST_NAMES)
}

fn is_name_or_glob() -> Rule {
    let holds = format!(
        "self.matches(r'^[a-z0-9*]([a-z0-9*-]*[a-z0-9*])?$') && size(self.replace('*', '')) <= {LONGEST_LABEL}"
    );
    Rule::new(&holds, NO_NAME, ACCEPTED_NAME)
}

/// Keys of `matchLabels` are not checked: the API server knows no limit of their length, so it takes every expression
/// about them for too expensive.
fn selector() -> Schema {
    let value = || {
        let is_value = Rule::new(&format!("self.matches(r'^({NAME})?$')"), NO_VALUE, ACCEPTED_VALUE);
        Schema::text(ACCEPTED_VALUE)
            .with("maxLength", LONGEST_NAME)
            .where_all([is_value])
    };
    let labels = format!("Labels that a namespace must have, with these values. At most {MOST_REQUIREMENTS}.");
    let expressions = format!("Further requirements. At most {MOST_REQUIREMENTS}.");
    let selector = Schema::object(
        "What the labels of a namespace must be. All requirements must hold.",
        [
            (
                "matchLabels",
                Schema::map(&labels, value()).with("maxProperties", MOST_REQUIREMENTS),
            ),
            (
                "matchExpressions",
                Schema::list(&expressions, expression(value())).with("maxItems", MOST_REQUIREMENTS),
            ),
        ],
        &[],
    );
    let says_something = "has(self.matchLabels) && size(self.matchLabels) > 0 || \
                          has(self.matchExpressions) && size(self.matchExpressions) > 0";
    selector.where_all([Rule::new(says_something, EMPTY, "at least one requirement")])
}

fn expression(value: Schema) -> Schema {
    let is_key = format!(
        r"self.matches(r'^({LABEL}(\.{LABEL})*/)?{NAME}$') && self.indexOf('/') <= {LONGEST_SUBDOMAIN} && size(self) - self.indexOf('/') - 1 <= {LONGEST_NAME}"
    );
    let key = Schema::text("The label's key.")
        .with("maxLength", LONGEST_SUBDOMAIN + 1 + LONGEST_NAME)
        .where_all([Rule::new(&is_key, NO_KEY, ACCEPTED_KEY)]);
    let operator = Schema::text(
        "In and NotIn compare with values; Exists and DoesNotExist have none. NotIn also takes namespaces without the \
         label.",
    );
    let values = Schema::list(
        &format!("The values that In and NotIn mean. At most {MOST_VALUES}."),
        value,
    );
    let expression = Schema::object(
        "What a label of the namespace must be.",
        [
            ("key", key),
            ("operator", operator.with("enum", json!(OPERATORS))),
            ("values", values.with("maxItems", MOST_VALUES)),
        ],
        &["key", "operator"],
    );
    let [one, other, ..] = OPERATORS;
    let needs_values = format!("self.operator in ['{one}', '{other}']");
    let has_values = "has(self.values) && size(self.values) > 0";
    expression.where_all([
        Rule::new(
            &format!("!({needs_values}) || {has_values}"),
            NEEDS_VALUES,
            "at least one value",
        ),
        Rule::new(
            &format!("{needs_values} || !({has_values})"),
            HAS_NO_VALUES,
            "no `values`",
        ),
    ])
}

fn namespaced_secret() -> Schema {
    Schema::object(
        "The secret.",
        [(
            "name",
            secret_name("The secret that Pods get to name. It must be in the rule's namespace."),
        )],
        &["name"],
    )
}

fn cluster_secret() -> Schema {
    let is_namespace = format!("self.matches(r'^{LABEL}$')");
    let namespace = Schema::text("The namespace of the source.")
        .with("maxLength", LONGEST_LABEL)
        .where_all([Rule::new(&is_namespace, NO_NAMESPACE, ACCEPTED_LABEL)]);
    let source = Schema::object(
        "The secret to copy. The controller keeps a copy of it in every namespace that the rule selects. It must be in a \
         namespace that the controller takes sources from. With it, images and imageRegex may both be left out: the rule \
         then covers what the kubelet would use the source's credentials for.",
        [
            ("namespace", namespace),
            ("name", secret_name("The name of the source.")),
        ],
        &["namespace", "name"],
    );
    Schema::object(
        "The secret, and where copies of it come from.",
        [
            ("name", secret_name("The secret that Pods get to name.")),
            ("copyFrom", source),
        ],
        &["name"],
    )
}

fn secret_name(description: &str) -> Schema {
    let is_name = format!(r"self.matches(r'^{LABEL}(\.{LABEL})*$')");
    Schema::text(description)
        .with("maxLength", LONGEST_SUBDOMAIN)
        .where_all([Rule::new(&is_name, NO_OBJECT, ACCEPTED_SUBDOMAIN)])
}
