//! The kinds of rules as the API server takes them: what it refuses and what it shows, and who may write them.

mod compared;
mod generate;
mod roles;
mod tables;

use serde_json::{Value, json};

use crate::harness::{Api, Namespace, RULES, control_plane, install_kinds, unique, until};

/// The API server with the kinds of rules.
async fn api() -> Api {
    let api = control_plane().api().await;
    install_kinds(&api).await;
    api
}

#[tokio::test(flavor = "multi_thread")]
async fn the_definitions_are_established_without_complaint() {
    let api = api().await;
    for name in ["clusterpullsecretrules.pullkey.dev", "pullsecretrules.pullkey.dev"] {
        let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}");
        let definition = api.get(&path).await.good();
        let conditions = definition["status"]["conditions"].as_array().unwrap().iter();
        let mut conditions: Vec<_> = conditions
            .map(|condition| {
                (
                    condition["type"].as_str().unwrap(),
                    condition["status"].as_str().unwrap(),
                )
            })
            .collect();
        conditions.sort_unstable();
        assert_eq!(
            conditions,
            [("Established", "True"), ("NamesAccepted", "True")],
            "{name}"
        );
        let again = api.apply(&format!("{path}?dryRun=All"), &definition_of(name)).await;
        assert_eq!(again.warnings, [""; 0], "{name}");
    }
}

fn definition_of(name: &str) -> Value {
    let definitions = pullkey::rules::schema::custom_resource_definitions();
    let found = definitions
        .into_iter()
        .find(|definition| definition["metadata"]["name"] == name);
    found.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_shows_what_matters_of_a_rule() {
    let api = api().await;
    let namespace = Namespace::with_labels(&json!({})).await;
    let name = unique("shown");
    let rule = json!({
        "apiVersion": "pullkey.dev/v1alpha1", "kind": "ClusterPullSecretRule", "metadata": {"name": name},
        "spec": {"images": ["a.example", "b.example/c"], "namespaces": {"include": ["none"]}, "secret": {"name": "s"}},
    });
    let path = format!("{RULES}/clusterpullsecretrules");
    api.create(&path, &rule).await.good();
    let status = json!({"status": {
        "observedGeneration": 1, "keys": ["ghcr.io/acme", "https://index.docker.io/v1/"], "registries": ["a.example"],
        "namespaces": {"selected": 12, "ready": 11, "refused": 1},
        "refusals": [{"namespace": "team-b", "reason": "Foreign", "message": "it is not ours"}],
        "lastRotation": "2026-11-22T10:00:00Z",
        "lastMatch": "2026-11-22T10:00:00Z",
        "conditions": [{
            "type": "Ready", "status": "True", "reason": "Fine", "message": "", "observedGeneration": 1,
            "lastTransitionTime": "2026-11-22T10:00:00Z",
        }],
    }});
    let path = format!("{path}/{name}");
    let written = api
        .merge(&format!("{path}/status?fieldValidation=Strict"), &status)
        .await
        .good();
    assert_eq!(written["status"], status["status"]);
    let mine = json!({
        "apiVersion": "pullkey.dev/v1alpha1", "kind": "PullSecretRule", "metadata": {"name": "mine"},
        "spec": {"images": ["a.example"], "secret": {"name": "s"}, "mode": "Shadow"},
    });
    let below = format!("{RULES}/namespaces/{}/pullsecretrules", namespace.name);
    api.create(&below, &mine).await.good();
    api.merge(&format!("{below}/mine/status"), &status).await.good();

    // kubectl keeps what it once learnt of the API server: short names come late.
    let get = async |arguments: &[&str]| {
        until("kubectl knows the name", async || {
            control_plane().try_kubectl(arguments, "").ok()
        })
        .await
    };
    let table = get(&["get", "cpsr", &name]).await;
    let [header, row]: [Vec<_>; 2] = words(&table).try_into().unwrap();
    assert_eq!(
        header,
        ["NAME", "IMAGES", "SECRET", "MODE", "NAMESPACES", "READY", "AGE"]
    );
    assert_eq!(
        row[..6],
        [
            name.as_str(),
            r#"["a.example","b.example/c"]"#,
            "s",
            "Enforce",
            "12",
            "11"
        ]
    );
    let table = get(&["get", "psr", "-n", &namespace.name, "-o", "wide"]).await;
    let [header, row]: [Vec<_>; 2] = words(&table).try_into().unwrap();
    assert_eq!(
        header,
        [
            "NAME",
            "IMAGES",
            "SECRET",
            "MODE",
            "READY",
            "REGISTRIES",
            "MATCHED",
            "AGE"
        ]
    );
    assert_eq!(
        row[..6],
        ["mine", r#"["a.example"]"#, "s", "Shadow", "True", r#"["a.example"]"#]
    );
    let both = get(&["get", "pullkey", "-n", &namespace.name, "-o", "name"]).await;
    assert!(
        both.contains(&format!("/{name}\n")) && both.contains("/mine\n"),
        "{both}"
    );
    api.delete(&path).await.good();
}

fn words(table: &str) -> Vec<Vec<&str>> {
    table.lines().map(|line| line.split_whitespace().collect()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_explains_every_field() {
    api().await;
    let described = async |path: &str| {
        until("kubectl explains the kind", async || {
            control_plane().try_kubectl(&["explain", path], "").ok()
        })
        .await
    };
    for (path, fields) in [
        ("clusterpullsecretrules", &["spec", "status"][..]),
        (
            "clusterpullsecretrules.spec",
            &["images", "exceptImages", "imageRegex", "namespaces", "secret", "mode"],
        ),
        (
            "clusterpullsecretrules.spec.namespaces",
            &["include", "exclude", "selector"],
        ),
        (
            "clusterpullsecretrules.spec.namespaces.selector",
            &["matchLabels", "matchExpressions"],
        ),
        (
            "clusterpullsecretrules.spec.namespaces.selector.matchExpressions",
            &["key", "operator", "values"],
        ),
        ("clusterpullsecretrules.spec.secret", &["name", "copyFrom"]),
        ("clusterpullsecretrules.spec.secret.copyFrom", &["namespace", "name"]),
        (
            "clusterpullsecretrules.status",
            &[
                "observedGeneration",
                "keys",
                "registries",
                "namespaces",
                "refusals",
                "lastRotation",
                "lastMatch",
                "conditions",
            ],
        ),
        (
            "clusterpullsecretrules.status.namespaces",
            &["selected", "ready", "refused"],
        ),
        (
            "clusterpullsecretrules.status.refusals",
            &["namespace", "reason", "message"],
        ),
        (
            "clusterpullsecretrules.status.conditions",
            &[
                "type",
                "status",
                "reason",
                "message",
                "observedGeneration",
                "lastTransitionTime",
            ],
        ),
        ("pullsecretrules", &["spec", "status"]),
        ("pullsecretrules.spec", &["images", "exceptImages", "secret", "mode"]),
        ("pullsecretrules.spec.secret", &["name"]),
    ] {
        let text = described(path).await;
        let (head, listed) = text.split_once("\nFIELDS:\n").unwrap_or_else(|| panic!("{text}"));
        assert!(
            head.contains("\nDESCRIPTION:\n    ") && !text.contains("<empty>"),
            "{text}"
        );
        assert!(!text.contains("<no description>"), "{text}");
        for field in fields {
            let listed = listed.lines().any(|line| line.split_whitespace().next() == Some(field));
            assert!(listed, "{field}: {text}");
        }
    }
}
