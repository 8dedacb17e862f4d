//! What a Secret is to us: a source or a copy, and whose.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::world::{MARKER, config};
use crate::controller::copy::{CopyObject, InvalidStyle, Style};
use crate::controller::identity::Identity;
use crate::controller::ownership::{ManagedFields, Observed, Record, SecretMetadata, Share};
use crate::controller::source::{Source, SourceSecret};
use crate::controller::{ADOPT_LABEL, COPY_LABEL, Target};

const JSON: &str = "kubernetes.io/dockerconfigjson";
const LEGACY: &str = "kubernetes.io/dockercfg";

fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = entries
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    owned.collect()
}

fn entry<'a>(manager: &'a str, operation: &'a str, fields: &'a Value) -> ManagedFields<'a> {
    ManagedFields {
        manager,
        operation,
        subresource: "",
        fields,
    }
}

/// What our own apply owns, as a real API server writes it down.
fn applied() -> Value {
    json!({
        "f:data": {"f:.dockerconfigjson": {}},
        "f:metadata": {
            "f:annotations": {"f:pullkey.dev/source": {}, "f:pullkey.dev/source-version": {}},
            "f:labels": {"f:pullkey.dev/copy": {}},
        },
        "f:type": {},
    })
}

fn observed(
    labels: &[(&str, &str)],
    annotations: &[(&str, &str)],
    entries: &[ManagedFields<'_>],
    style: &Style,
) -> Observed {
    Observed::new(
        &SecretMetadata {
            uid: "u",
            resource_version: "1",
            labels: &map(labels),
            annotations: &map(annotations),
            managed_fields: entries,
            is_being_deleted: false,
        },
        style,
    )
}

fn read(secret_type: &str, payload: Option<&[u8]>) -> Result<Source, String> {
    let secret = SourceSecret {
        uid: "u",
        resource_version: "7",
        labels: &BTreeMap::new(),
        managed_fields: &[],
        secret_type,
        data: &|key| payload.filter(|_| key.starts_with(".docker")),
    };
    Source::read("pullkey-sources/ghcr", &secret).map_err(|problem| format!("{}: {problem}", problem.reason()))
}

#[test]
fn a_secret_is_ours_by_who_owns_its_type() {
    let all = applied();
    let created = json!({"f:data": {".": {}, "f:.dockerconfigjson": {}}, "f:type": {}});
    let only_type = json!({"f:type": {}});
    let only_data = json!({"f:data": {"f:.dockerconfigjson": {}}});
    let without_type =
        json!({"f:data": {"f:.dockerconfigjson": {}}, "f:metadata": {"f:labels": {"f:pullkey.dev/copy": {}}}});
    let foreign = |manager: &str| Share::Foreign(Some(manager.into()));
    let ours = entry("pullkey", "Apply", &all);
    let adopt = [ADOPT_LABEL];
    let label = [COPY_LABEL];
    for (what, entries, labels, share) in [
        ("applied by us", vec![ours], &[][..], Share::Ours),
        (
            "edited",
            vec![ours, entry("kubectl-edit", "Update", &only_data)],
            &[],
            Share::Ours,
        ),
        (
            "updated under our name",
            vec![entry("pullkey", "Update", &created)],
            &label,
            foreign("pullkey"),
        ),
        (
            "made by hand",
            vec![entry("kubectl-create", "Update", &created)],
            &[],
            foreign("kubectl-create"),
        ),
        (
            "made by hand, with our label",
            vec![entry("velero", "Update", &created)],
            &label,
            foreign("velero"),
        ),
        (
            "equal data applied",
            vec![entry("kubectl-create", "Update", &created), ours],
            &label,
            foreign("kubectl-create"),
        ),
        (
            "taken over",
            vec![ours, entry("argocd", "Apply", &only_type)],
            &label,
            foreign("argocd"),
        ),
        (
            "type left to another",
            vec![
                entry("pullkey", "Apply", &without_type),
                entry("x", "Update", &only_type),
            ],
            &label,
            foreign("x"),
        ),
        ("nobody's", vec![], &label, Share::Foreign(None)),
        (
            "handed over",
            vec![entry("kubectl-create", "Update", &created)],
            &adopt,
            Share::Adoptable,
        ),
        ("a restored backup, handed over", vec![], &adopt, Share::Adoptable),
        (
            "adopted",
            vec![entry("kubectl-create", "Update", &created), ours],
            &adopt,
            Share::Ours,
        ),
        (
            "not quite handed over",
            vec![entry("x", "Update", &created)],
            &[(ADOPT_LABEL.0, "yes")],
            foreign("x"),
        ),
        (
            "a subresource of ours",
            vec![ManagedFields {
                subresource: "status",
                ..ours
            }],
            &[],
            foreign("pullkey"),
        ),
    ] {
        assert_eq!(
            observed(labels, &[], &entries, &Style::default()).share,
            share,
            "{what}"
        );
    }
}

#[test]
fn a_copy_is_intact_as_long_as_what_we_wrote_is_ours() {
    let all = applied();
    let without = |pointer: &str, field: &str| {
        let mut fields = applied();
        fields
            .pointer_mut(pointer)
            .and_then(Value::as_object_mut)
            .unwrap()
            .remove(field);
        fields
    };
    let no_data = without("/f:data", "f:.dockerconfigjson");
    let no_version = without("/f:metadata/f:annotations", "f:pullkey.dev/source-version");
    let edited = json!({"f:data": {"f:.dockerconfigjson": {}}});
    let annotated = json!({"f:metadata": {"f:annotations": {"f:pullkey.dev/source-version": {}}}});
    let record = [("pullkey.dev/source", "s/n"), ("pullkey.dev/source-version", "u/7")];
    let style = Style::new(map(&[("team", "a")]), map(&[])).unwrap();
    let plain = Style::default();
    let (label, both) = ([COPY_LABEL], [COPY_LABEL, ("team", "a")]);
    for (what, entries, labels, style, is_intact, meddler) in [
        (
            "as written",
            vec![entry("pullkey", "Apply", &all)],
            &label[..],
            &plain,
            true,
            None,
        ),
        (
            "with what the admin wants",
            vec![entry("pullkey", "Apply", &all)],
            &both,
            &style,
            true,
            None,
        ),
        (
            "without what the admin wants",
            vec![entry("pullkey", "Apply", &all)],
            &label,
            &style,
            false,
            None,
        ),
        (
            "without our label",
            vec![entry("pullkey", "Apply", &all)],
            &[],
            &plain,
            false,
            None,
        ),
        (
            "edited",
            vec![
                entry("pullkey", "Apply", &no_data),
                entry("kubectl-edit", "Update", &edited),
            ],
            &label,
            &plain,
            false,
            Some("kubectl-edit"),
        ),
        (
            "under another version's name",
            vec![
                entry("pullkey", "Apply", &no_version),
                entry("liar", "Update", &annotated),
            ],
            &label,
            &plain,
            false,
            Some("liar"),
        ),
    ] {
        let observed = observed(labels, &record, &entries, style);
        assert_eq!(observed.is_intact, is_intact, "{what}");
        assert_eq!(observed.meddler.as_deref(), meddler, "{what}");
        let known = Record {
            source: "s/n".into(),
            version: "u/7".into(),
        };
        let is_believed = what != "under another version's name";
        assert_eq!(observed.record, is_believed.then_some(known), "{what}");
    }
}

#[test]
fn a_copy_is_a_fresh_object_of_our_own_fields() {
    let source = read(JSON, Some(&config("1"))).unwrap();
    let target = Target {
        namespace: "team-a".into(),
        name: "ghcr".into(),
    };
    let style = Style::new(map(&[("team", "a")]), map(&[("note", "copied")])).unwrap();
    let object = serde_json::to_value(CopyObject::new(&source, &target, &style, None)).unwrap();
    let data = object["data"][".dockerconfigjson"].as_str().unwrap().to_owned();
    assert_eq!(
        object,
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": "ghcr",
                "namespace": "team-a",
                "labels": {"pullkey.dev/copy": "true", "team": "a"},
                "annotations": {
                    "note": "copied",
                    "pullkey.dev/source": "pullkey-sources/ghcr",
                    "pullkey.dev/source-version": "u/7",
                },
            },
            "type": JSON,
            "data": {".dockerconfigjson": data},
        })
    );
    let only = Identity::new("u-1", "9");
    let object = serde_json::to_value(CopyObject::new(&source, &target, &style, Some(&only))).unwrap();
    assert_eq!(
        (&object["metadata"]["uid"], &object["metadata"]["resourceVersion"]),
        (&json!("u-1"), &json!("9"))
    );
}

#[test]
fn copies_carry_what_the_admin_wants_and_nothing_that_a_gitops_tool_looks_for() {
    let label = |key: &str, value: &str| Style::new(map(&[(key, value)]), map(&[]));
    let annotation = |key: &str| Style::new(map(&[]), map(&[(key, "any thing")]));
    for key in ["team", "example.com/cost-centre", "app.kubernetes.io/part-of"] {
        assert!(label(key, "x").is_ok() && annotation(key).is_ok(), "{key}");
    }
    for key in [
        "app.kubernetes.io/instance",
        "app.kubernetes.io/managed-by",
        "argocd.argoproj.io/instance",
        "argocd.argoproj.io/tracking-id",
        "kustomize.toolkit.fluxcd.io/name",
        "helm.toolkit.fluxcd.io/namespace",
        "meta.helm.sh/release-name",
        "helm.sh/chart",
        "applyset.kubernetes.io/part-of",
        "kubectl.kubernetes.io/last-applied-configuration",
    ] {
        let refused = Err(vec![InvalidStyle::TrackingKey(key.to_owned())]);
        assert_eq!(label(key, "x"), refused);
        assert_eq!(annotation(key), refused);
    }
    for (found, message) in [
        (
            label("pullkey.dev/copy", "no"),
            "`pullkey.dev/copy` is a key of Pullkey's own",
        ),
        (annotation("pullkey.dev/x"), "`pullkey.dev/x` is a key of Pullkey's own"),
        (
            annotation("meta.helm.sh/release-name"),
            "`meta.helm.sh/release-name` is a key by which a GitOps tool knows what it may remove",
        ),
        (
            label("team", "no value"),
            "`team=no value`: this is no label value, accepted: letters, digits and inner `-`, `_`, `.`, at most 63, or nothing",
        ),
        (
            label("no key", "x"),
            "`no key`: this is no label key, accepted: `[prefix/]name`: a DNS name, then letters, digits and inner `-`, \
             `_`, `.`, at most 63",
        ),
    ] {
        assert_eq!(found.unwrap_err()[0].to_string(), message);
    }
}

#[test]
fn a_source_is_read_as_the_kubelet_would_or_refused_for_its_own_reason() {
    let good = br#"{"auths":{"https://me:mArKeR7@ghcr.io/acme":{"auth":"bWU6bUFyS2VSNw=="},"blank.example":{}}}"#;
    let source = read(JSON, Some(good)).unwrap();
    assert_eq!((&*source.reference, &*source.version), ("pullkey-sources/ghcr", "u/7"));
    let keys: Vec<_> = source.keys.iter().map(ToString::to_string).collect();
    assert_eq!(keys, ["blank.example", "https://ghcr.io/acme"]);
    let warnings: Vec<_> = source.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings, ["1 of its entries hold neither username nor password"]);
    assert!(read(LEGACY, Some(br#"{"ghcr.io":{"auth":"bWU6bUFyS2VSNw=="}}"#)).is_ok());

    for (what, secret_type, payload, refused) in [
        (
            "another type",
            "Opaque",
            Some(&b"{}"[..]),
            "WrongType: its type is neither `kubernetes.io/dockerconfigjson` nor `kubernetes.io/dockercfg`",
        ),
        ("nothing in it", JSON, None, "NoCredentials: it holds no credentials"),
        (
            "an empty value",
            JSON,
            Some(b""),
            "NoCredentials: it holds no credentials",
        ),
        (
            "no entries",
            JSON,
            Some(br#"{"auths":{}}"#),
            "NoCredentials: it holds no credentials",
        ),
        (
            "blank entries only",
            JSON,
            Some(br#"{"auths":{"ghcr.io":{}}}"#),
            "NoCredentials: it holds no credentials",
        ),
        (
            "the flat legacy shape",
            JSON,
            Some(br#"{"ghcr.io":{"auth":"bWU6bUFyS2VSNw=="}}"#),
            "FlatDockercfg: it has the flat shape of a legacy `.dockercfg`, so no entry counts: wrap it in `auths`",
        ),
        (
            "a credential store",
            JSON,
            Some(br#"{"credsStore":"desktop"}"#),
            "CredentialStoreOnly: it names a credential store and holds no credentials itself",
        ),
        (
            "an auth without a colon",
            JSON,
            Some(br#"{"auths":{"ghcr.io":{"auth":"bUFyS2VSNw=="}}}"#),
            "Malformed: the kubelet refuses it and with it every image of a Pod: `auth` of the entry `ghcr.io` is not \
             base64 of `username:password`",
        ),
    ] {
        let found = read(secret_type, payload).map(|_| ()).unwrap_err();
        assert_eq!(found, refused, "{what}");
        assert!(!found.contains(MARKER), "{what}");
    }
    assert!(!format!("{source:?}").contains(MARKER));
}

#[test]
fn a_copy_is_no_source() {
    let (all, none) = (applied(), BTreeMap::new());
    let payload = config("1");
    for (what, labels, managed_fields) in [
        ("by its label", map(&[COPY_LABEL]), vec![]),
        ("by its owner", none, vec![entry("pullkey", "Apply", &all)]),
    ] {
        let secret = SourceSecret {
            uid: "u",
            resource_version: "7",
            labels: &labels,
            managed_fields: &managed_fields,
            secret_type: JSON,
            data: &|_| Some(&payload),
        };
        let reason = Source::read("a/b", &secret).map(|_| ()).unwrap_err().reason();
        assert_eq!(reason, "SourceIsACopy", "{what}");
    }
}
