//! Rules, and who finds out that they are bad.

use pullkey::rules::Kind::{self, ClusterPullSecretRule as Cluster, PullSecretRule as Namespaced};
use serde_json::{Value, json};

/// What becomes of a rule.
pub(super) enum Verdict {
    /// The API server takes it, and so does the reader.
    Good,
    /// Both refuse it. The API server says this.
    Bad(&'static str),
    /// Only the reader refuses it, and says this.
    OnlyReader(&'static str),
}

use Verdict::{Bad, Good, OnlyReader};

/// A good spec; the tables say what differs, as a merge patch.
pub(super) fn spec(kind: Kind) -> Value {
    match kind {
        Cluster => json!({"images": ["a.example"], "namespaces": {"include": ["team-*"]}, "secret": {"name": "s"}}),
        Namespaced => json!({"images": ["a.example"], "secret": {"name": "s"}}),
    }
}

/// Fields with a null, as YAML has them that says nothing after the colon. The API server drops them and keeps none.
pub(super) const EMPTY: &[(&str, Verdict)] = &[
    ("/images", Bad("spec.images: Required value")),
    ("/exceptImages", OnlyReader("this is null")),
    ("/imageRegex", OnlyReader("this is null")),
    ("/mode", OnlyReader("this is null")),
    ("/namespaces", Bad("spec.namespaces: Required value")),
    ("/namespaces/include", Bad("nothing says which namespaces")),
    ("/namespaces/exclude", OnlyReader("this is null")),
    ("/namespaces/selector", OnlyReader("this is null")),
    ("/secret", Bad("spec.secret: Required value")),
    ("/secret/copyFrom", OnlyReader("this is null")),
];

/// A claim, the kind, the difference.
#[rustfmt::skip]
pub(super) fn specs() -> Vec<(&'static str, Kind, Value, Verdict)> {
    let source = json!({"copyFrom": {"namespace": "pullkey-sources", "name": "acme.ghcr"}});
    let many = |count: usize, text: &str| vec![text.to_owned(); count];
    vec![
        ("as it is", Cluster, json!({}), Good),
        ("as it is", Namespaced, json!({}), Good),
        // Images.
        ("no images", Cluster, json!({"images": null}), Bad("expected `images`, `imageRegex` or both")),
        ("no images", Namespaced, json!({"images": null}), Bad("spec.images: Required value")),
        ("images of a regex", Cluster, json!({"images": null, "imageRegex": "a.example/.*"}), Good),
        ("images of a source", Cluster, json!({"images": null, "secret": source}), Good),
        ("an empty list of images", Cluster, json!({"images": []}), Bad("an empty list covers no image")),
        ("an empty list of images", Namespaced, json!({"images": []}), Bad("an empty list covers no image")),
        ("an empty list beside a source", Cluster, json!({"images": [], "secret": source}), Bad("an empty list covers no image")),
        ("no exceptions", Cluster, json!({"exceptImages": []}), Good),
        ("an exception", Namespaced, json!({"exceptImages": ["a.example/public"]}), Good),
        ("a bad exception", Namespaced, json!({"exceptImages": ["a.example/public/"]}), Bad("spec.exceptImages[0]")),
        ("images as a text", Cluster, json!({"images": "a.example"}), Bad("must be of type array")),
        ("a number as an image", Cluster, json!({"images": [1]}), Bad("must be of type string")),
        ("many images", Cluster, json!({"images": many(500, "a.example")}), Good),
        ("too many images", Cluster, json!({"images": many(501, "a.example")}), Bad("must have at most 500 items")),
        ("too many exceptions", Cluster, json!({"exceptImages": many(501, "a.example")}), Bad("must have at most 500 items")),
        ("a tenant's many images", Namespaced, json!({"images": many(64, "a.example")}), Good),
        ("a tenant's too many images", Namespaced, json!({"images": many(65, "a.example")}), Bad("must have at most 64 items")),
        ("a tenant's too many exceptions", Namespaced, json!({"exceptImages": many(65, "a.example")}), Bad("must have at most 64 items")),
        ("a regex", Cluster, json!({"imageRegex": r"(?x) ghcr\.io/lab-\d+ .*"}), Good),
        ("an empty regex", Cluster, json!({"imageRegex": ""}), Bad("should be at least 1 chars long")),
        ("a long regex", Cluster, json!({"imageRegex": "é".to_owned() + &"a".repeat(511)}), Good),
        ("too long a regex", Cluster, json!({"imageRegex": "a".repeat(513)}), Bad("may not be more than 512 bytes")),
        ("a regex that does not parse", Cluster, json!({"imageRegex": "("}), OnlyReader("the regex does not parse")),
        ("a regex that is too large", Cluster, json!({"imageRegex": "a{60}{60}{60}"}), OnlyReader("the regex compiles to more than")),
        ("a tenant's regex", Namespaced, json!({"imageRegex": "a"}), Bad("unknown field \"spec.imageRegex\"")),
        // Namespaces.
        ("no namespaces", Cluster, json!({"namespaces": null}), Bad("spec.namespaces: Required value")),
        ("namespaces that say nothing", Cluster, json!({"namespaces": {"include": null}}), Bad("nothing says which namespaces may have the secret")),
        ("only an exclusion", Cluster, json!({"namespaces": {"include": null, "exclude": ["a"]}}), Bad("nothing says which namespaces")),
        ("an empty include", Cluster, json!({"namespaces": {"include": []}}), Bad("all namespaces are `[\"*\"]`")),
        ("all namespaces", Cluster, json!({"namespaces": {"include": ["*"], "exclude": []}}), Good),
        ("globs", Cluster, json!({"namespaces": {"include": ["**a-*b*"], "exclude": ["*-x", "y"]}}), Good),
        ("a protected namespace", Cluster, json!({"namespaces": {"include": ["a", "kube-system"]}}), Bad("spec.namespaces.include[1]: Invalid value")),
        ("its reason", Cluster, json!({"namespaces": {"include": ["kube-public"]}}), Bad("images in this namespace are not the business of a rule")),
        ("a protected namespace excluded", Cluster, json!({"namespaces": {"exclude": ["kube-system"]}}), Good),
        ("Pullkey's own namespace", Cluster, json!({"namespaces": {"include": ["pullkey"]}}), OnlyReader("not the business of a rule")),
        ("an empty name", Cluster, json!({"namespaces": {"include": [""]}}), Bad("no namespace has such a name")),
        ("a capital", Cluster, json!({"namespaces": {"include": ["Team"]}}), Bad("no namespace has such a name")),
        ("a hyphen at the end", Cluster, json!({"namespaces": {"exclude": ["a-*-"]}}), Bad("spec.namespaces.exclude[0]")),
        ("a dot", Cluster, json!({"namespaces": {"include": ["a.b"]}}), Bad("no namespace has such a name")),
        ("a line", Cluster, json!({"namespaces": {"include": ["a\n"]}}), Bad("no namespace has such a name")),
        ("a long name", Cluster, json!({"namespaces": {"include": ["a".repeat(63)]}}), Good),
        ("too long a name", Cluster, json!({"namespaces": {"include": ["a".repeat(64)]}}), Bad("no namespace has such a name")),
        ("a long glob", Cluster, json!({"namespaces": {"include": ["a*".repeat(63) + "*"]}}), Good),
        ("too long a glob", Cluster, json!({"namespaces": {"include": ["a*".repeat(63) + "**"]}}), Bad("may not be more than 127 bytes")),
        ("many namespaces", Cluster, json!({"namespaces": {"include": many(2_000, "a")}}), Good),
        ("too many namespaces", Cluster, json!({"namespaces": {"include": many(2_001, "a")}}), Bad("must have at most 2000 items")),
        ("too many exclusions", Cluster, json!({"namespaces": {"exclude": many(2_001, "a")}}), Bad("must have at most 2000 items")),
        ("a tenant's namespaces", Namespaced, json!({"namespaces": {"include": ["*"]}}), Bad("unknown field \"spec.namespaces\"")),
        // Secrets.
        ("no secret", Cluster, json!({"secret": null}), Bad("spec.secret: Required value")),
        ("no secret", Namespaced, json!({"secret": null}), Bad("spec.secret: Required value")),
        ("a secret without a name", Cluster, json!({"secret": {"name": null}}), Bad("spec.secret.name: Required value")),
        ("a secret by its name alone", Cluster, json!({"secret": "s"}), Bad("must be of type object")),
        ("a secret with dots", Namespaced, json!({"secret": {"name": "a.b-c.d"}}), Good),
        ("a bad name", Namespaced, json!({"secret": {"name": "A_b"}}), Bad("no object can have such a name")),
        ("an empty label in a name", Namespaced, json!({"secret": {"name": "a..b"}}), Bad("no object can have such a name")),
        ("a long name", Namespaced, json!({"secret": {"name": "a".repeat(253)}}), Good),
        ("too long a name", Namespaced, json!({"secret": {"name": "a".repeat(254)}}), Bad("may not be more than 253 bytes")),
        ("a source", Cluster, json!({"secret": source}), Good),
        ("a tenant's source", Namespaced, json!({"secret": source}), Bad("unknown field \"spec.secret.copyFrom\"")),
        ("a source without a name", Cluster, json!({"secret": {"copyFrom": {"namespace": "a"}}}), Bad("spec.secret.copyFrom.name: Required value")),
        ("a source without a namespace", Cluster, json!({"secret": {"copyFrom": {"name": "a"}}}), Bad("spec.secret.copyFrom.namespace: Required value")),
        ("a source in a bad namespace", Cluster, json!({"secret": {"copyFrom": {"namespace": "a.b", "name": "a"}}}), Bad("no namespace can have such a name")),
        ("a source in Pullkey's own namespace", Cluster, json!({"secret": {"copyFrom": {"namespace": "pullkey", "name": "a"}}}), OnlyReader("no place for sources")),
        // The rest.
        ("a shadow", Namespaced, json!({"mode": "Shadow"}), Good),
        ("a mode in lower case", Namespaced, json!({"mode": "shadow"}), Bad("supported values: \"Enforce\", \"Shadow\"")),
        ("an unknown field", Cluster, json!({"image": ["a.example"]}), Bad("unknown field \"spec.image\"")),
        ("an unknown field below", Cluster, json!({"namespaces": {"exclud": ["a"]}}), Bad("unknown field \"spec.namespaces.exclud\"")),
    ]
}

/// A claim, `spec.namespaces.selector`.
#[rustfmt::skip]
pub(super) fn selectors() -> Vec<(&'static str, Value, Verdict)> {
    let labels = |count: usize| {
        (0..count)
            .map(|index| (format!("a{index}"), json!("b")))
            .collect::<serde_json::Map<_, _>>()
    };
    let one = |key: &str, operator: &str, values: Value| json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]});
    vec![
        ("labels", json!({"matchLabels": {"a.example/b_c.D": "E-f", "g": ""}}), Good),
        ("nothing", json!({}), Bad("an empty selector selects everything")),
        ("empty lists", json!({"matchLabels": {}, "matchExpressions": []}), Bad("an empty selector selects everything")),
        ("many labels", json!({"matchLabels": labels(32)}), Good),
        ("too many labels", json!({"matchLabels": labels(33)}), Bad("must have at most 32")),
        ("a bad label value", json!({"matchLabels": {"a": "b/"}}), Bad("this is no label value")),
        ("a number as a label value", json!({"matchLabels": {"a": 1}}), Bad("must be of type string")),
        ("too long a label value", json!({"matchLabels": {"a": "b".repeat(64)}}), Bad("may not be more than 63 bytes")),
        ("a bad label key", json!({"matchLabels": {"-a": "b"}}), OnlyReader("this is no label key")),
        ("a bad prefix of a label key", json!({"matchLabels": {"A.b/c": "b"}}), OnlyReader("the prefix of the label key is no DNS name")),
        ("In", one("a", "In", json!(["b", "", "C_d"])), Good),
        ("NotIn", one("a.example/b", "NotIn", json!(["b"])), Good),
        ("Exists", one("a", "Exists", json!([])), Good),
        ("DoesNotExist", json!({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}), Good),
        ("In without values", one("a", "In", json!([])), Bad("this operator needs values")),
        ("Exists with values", one("a", "Exists", json!(["b"])), Bad("this operator has no values")),
        ("no such operator", one("a", "in", json!(["b"])), Bad("supported values: \"In\", \"NotIn\", \"Exists\", \"DoesNotExist\"")),
        ("a bad value", one("a", "In", json!(["b", "-"])), Bad("this is no label value")),
        ("many values", one("a", "In", json!(vec!["b"; 128])), Good),
        ("too many values", one("a", "In", json!(vec!["b"; 129])), Bad("must have at most 128 items")),
        ("an empty key", one("", "Exists", json!([])), Bad("this is no label key")),
        ("a key with two slashes", one("a/b/c", "Exists", json!([])), Bad("this is no label key")),
        ("a key with a bad prefix", one("A/b", "Exists", json!([])), Bad("this is no label key")),
        ("a long key", one(&format!("{}/{}", "a".repeat(253), "b".repeat(63)), "Exists", json!([])), Good),
        ("a key with too long a prefix", one(&format!("{}/b", "a".repeat(254)), "Exists", json!([])), Bad("this is no label key")),
        ("a key with too long a name", one(&"b".repeat(64), "Exists", json!([])), Bad("this is no label key")),
        ("no key", json!({"matchExpressions": [{"operator": "Exists"}]}), Bad("matchExpressions[0].key: Required value")),
        ("no operator", json!({"matchExpressions": [{"key": "a"}]}), Bad("matchExpressions[0].operator: Required value")),
        ("many requirements", json!({"matchExpressions": vec![json!({"key": "a", "operator": "Exists"}); 32]}), Good),
        ("too many requirements", json!({"matchExpressions": vec![json!({"key": "a", "operator": "Exists"}); 33]}), Bad("must have at most 32 items")),
        ("an unknown field", json!({"matchLabel": {"a": "b"}}), Bad("unknown field \"spec.namespaces.selector.matchLabel\"")),
    ]
}

/// A pattern, and what becomes of it in a cluster rule.
pub(super) fn patterns() -> Vec<(String, Verdict)> {
    let rows = [
        ("*", Good),
        ("ghcr.io", Good),
        ("ghcr.io/acme", Good),
        ("*.dkr.ecr.*.amazonaws.com", Good),
        ("https://index.docker.io/v1/", Good),
        ("index.docker.io", Good),
        ("docker.io/library/nginx", Good),
        ("localhost", Good),
        ("localhost:5000/a/b", Good),
        ("10.10.10.10:443", Good),
        ("[::1]:5000/app", Good),
        ("[fd00::1]", Good),
        ("MyOrg", Good),
        ("*/app", Good),
        ("team*", Good),
        ("*:5000", Good),
        ("my_registry.example.com/app", Good),
        ("my_*.example.com", Good),
        ("a.example/b__c/d---e/f.g_h", Good),
        ("", Bad("should be at least 1 chars long")),
        ("a.example /b", Bad("a pattern has no white space")),
        ("https://ghcr.io", Bad("an image name has no scheme")),
        ("https://index.docker.io/v2/", Bad("an image name has no scheme")),
        ("ghcr.io/", Bad("a pattern neither begins nor ends with `/`")),
        ("/ghcr.io", Bad("a pattern neither begins nor ends with `/`")),
        ("a.example@sha256:0", Bad("a pattern has no digest")),
        ("a.example/b@sha256:0", Bad("a pattern has no digest")),
        ("nginx:1.27", Bad("a pattern has no tag")),
        ("a.example/b:v1", Bad("a pattern has no tag")),
        ("a.example:5000/b:1", Bad("a pattern has no tag")),
        ("a.example//b", Bad("a path has no empty segment")),
        ("a.example/*", Bad("a path has no `*`")),
        ("a.example/b*/c", Bad("a path has no `*`")),
        ("hub.docker.com/_/nginx", Bad("this is a web site")),
        ("registry.hub.docker.com", Bad("this is a web site")),
        ("a**.example", Bad("`**` is no pattern")),
        ("nginx", Bad("write `docker.io/library/nginx`")),
        ("acme/app", Bad("write `docker.io/acme/app`")),
        ("a.example:*", Bad("no image has a name that begins so")),
        (".example.com", Bad("no image has a name that begins so")),
        ("a..example", Bad("no image has a name that begins so")),
        ("-a.example", Bad("no image has a name that begins so")),
        ("a.example/B", Bad("no image has a name that begins so")),
        ("a.example/-b", Bad("no image has a name that begins so")),
        ("[::*]:5000", Bad("no image has a name that begins so")),
        (
            "my_registry.example.com:5000",
            Bad("no image has a name that begins so"),
        ),
        ("My_registry.example.com", Bad("no image has a name that begins so")),
        ("bücher.example", Bad("no image has a name that begins so")),
    ];
    let rows = rows.into_iter().map(|(pattern, verdict)| (pattern.to_owned(), verdict));
    let path = |length: usize| format!("a.example/{}", "b".repeat(length));
    let long = [
        (path(255), Good),
        (path(256), OnlyReader("no image has this path")),
        (format!("{}.example/b", "a".repeat(512 - 10)), Good),
        (
            format!("{}.example/b", "a".repeat(513 - 10)),
            Bad("may not be more than 512 bytes"),
        ),
    ];
    rows.chain(long).collect()
}
