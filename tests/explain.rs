//! The JSON of `pullkey explain`, word by word: a contract with programs.

#![cfg(test)]

use std::fs;
use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::program;

#[path = "common/program.rs"]
mod program;

const RULES: &str = r#"
{apiVersion: pullkey.dev/v1alpha1, kind: ClusterPullSecretRule, metadata: {name: ghcr},
 spec: {images: [ghcr.io, ghcr.io/acme], exceptImages: [ghcr.io/acme/public], namespaces: {include: [default, "team-*"]}, secret: {name: ghcr-pull}}}
---
{apiVersion: pullkey.dev/v1alpha1, kind: PullSecretRule, metadata: {name: own, namespace: team-a},
 spec: {images: ["ghcr.io/acme/app"], secret: {name: own-pull}}}
---
{apiVersion: pullkey.dev/v1alpha1, kind: ClusterPullSecretRule, metadata: {name: hub},
 spec: {images: [docker.io], namespaces: {include: ["*"]}, secret: {name: hub-pull}, mode: Shadow}}
---
{apiVersion: pullkey.dev/v1alpha1, kind: ClusterPullSecretRule, metadata: {name: regex},
 spec: {imageRegex: "quay\\.io/.*", namespaces: {include: ["*"]}, secret: {name: quay-pull}}}
"#;

/// A directory with files in it, `rules.yaml` among them.
struct Shelf(TempDir);

impl Shelf {
    fn new() -> Self {
        let shelf = Self(tempfile::tempdir().unwrap());
        shelf.put("rules.yaml", RULES);
        shelf
    }

    fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.0.path().join(name), content).unwrap();
    }

    /// The answer to a command line whose words are divided by spaces.
    fn explain(&self, line: &str) -> Value {
        self.explain_input(line, "")
    }

    fn explain_input(&self, line: &str, input: &str) -> Value {
        let line = format!("explain --rules rules.yaml -o json {line}");
        let arguments: Vec<_> = line.split(' ').collect();
        let mut child = program(self.0.path(), &arguments);
        let child = child
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = child.spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{line}\n{errors}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The images that were named as arguments.
    fn images(&self, line: &str) -> Vec<Value> {
        self.explain(line)["images"].as_array().unwrap().clone()
    }

    /// The Pods of one manifest.
    fn pods(&self, options: &str, manifest: &str) -> Vec<Value> {
        self.put("m.yaml", manifest);
        let answer = self.explain(&format!("-f m.yaml{options}"));
        assert_eq!(answer["images"], json!([]));
        answer["pods"].as_array().unwrap().clone()
    }
}

/// One field of each.
fn each(values: &[Value], pointer: &str) -> Vec<Value> {
    values
        .iter()
        .map(|value| value.pointer(pointer).cloned().unwrap())
        .collect()
}

/// "rule by pattern" of each.
fn rules(matches: &Value) -> Vec<String> {
    let text = |found: &Value, field: &str| found[field].as_str().unwrap().to_owned();
    let line = |found: &Value| format!("{} by {}", text(found, "rule"), text(found, "pattern"));
    matches.as_array().unwrap().iter().map(line).collect()
}

fn pod(images: &[&str]) -> String {
    let containers: Vec<_> = images.iter().map(|image| json!({"image": image})).collect();
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": containers}})
        .to_string()
}

#[test]
fn an_image_is_told_in_full() {
    let digest = format!("sha256:{}", "a".repeat(64));
    let image = format!("ghcr.io/acme/app:v1@{digest}");
    assert_eq!(
        Shelf::new().explain(&format!("-n team-a {image}")),
        json!({
            "images": [{
                "image": image,
                "reference": {
                    "registry": "ghcr.io", "repository": "acme/app", "tag": "v1", "digest": digest, "name": "ghcr.io/acme/app",
                },
                "error": null,
                "matches": [
                    {"rule": "own", "ruleNamespace": "team-a", "kind": "PullSecretRule", "pattern": "ghcr.io/acme/app",
                     "secret": "own-pull", "mode": "Enforce"},
                    {"rule": "ghcr", "ruleNamespace": null, "kind": "ClusterPullSecretRule", "pattern": "ghcr.io/acme",
                     "secret": "ghcr-pull", "mode": "Enforce"},
                ],
                "rejected": [],
            }],
            "pods": [],
        })
    );
}

#[test]
fn a_pod_is_told_in_full() {
    let shelf = Shelf::new();
    let manifest = "---\n# nothing\n---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: team-a}
spec: {imagePullSecrets: [{name: old}, {}, {name: ghcr-pull}], containers: [{image: ghcr.io/acme/app}, {image: a b}]}";
    shelf.put("./web.yaml", manifest);
    let found = |rule: &str, namespace: Value, kind: &str, pattern: &str| {
        json!({"rule": rule, "ruleNamespace": namespace, "kind": kind, "pattern": pattern,
            "secret": format!("{rule}-pull"), "mode": "Enforce"})
    };
    assert_eq!(
        shelf.explain("--file ./web.yaml"),
        json!({
            "images": [],
            "pods": [{
                "file": "./web.yaml", "document": 1, "item": null, "kind": "Pod", "namespace": "team-a", "name": "web",
                "images": [
                    {
                        "image": "ghcr.io/acme/app",
                        "path": "/spec/containers/0/image",
                        "reference": {
                            "registry": "ghcr.io", "repository": "acme/app", "tag": null, "digest": null, "name": "ghcr.io/acme/app",
                        },
                        "error": null,
                        "matches": [
                            found("own", json!("team-a"), "PullSecretRule", "ghcr.io/acme/app"),
                            found("ghcr", Value::Null, "ClusterPullSecretRule", "ghcr.io/acme"),
                        ],
                        "rejected": [],
                    },
                    {
                        "image": "a b",
                        "path": "/spec/containers/1/image",
                        "reference": null,
                        "error": "`a b` is not a path segment: lower-case letters and digits, joined by `.`, `_`, `__` or `-`",
                        "matches": [],
                        "rejected": [],
                    },
                ],
                "existing": ["old", "ghcr-pull"],
                "add": ["own-pull"],
                "skip": null,
                "skipMessage": null,
            }],
        })
    );
}

#[test]
fn references_are_shown_as_parsed() {
    let shelf = Shelf::new();
    for (image, registry, repository, name) in [
        ("nginx", "docker.io", "library/nginx", "docker.io/library/nginx"),
        (
            "index.docker.io/nginx:1",
            "docker.io",
            "library/nginx",
            "docker.io/library/nginx",
        ),
        (
            "localhost:5000",
            "docker.io",
            "library/localhost",
            "docker.io/library/localhost",
        ),
        ("[::1]:5000/a", "[::1]:5000", "a", "[::1]:5000/a"),
        (
            "my_registry.example.com/app",
            "",
            "my_registry.example.com/app",
            "my_registry.example.com/app",
        ),
    ] {
        let reference = &shelf.images(image)[0]["reference"];
        let shown = ["registry", "repository", "name"].map(|field| reference[field].as_str().unwrap());
        assert_eq!(shown, [registry, repository, name], "{image}");
    }
    assert_eq!(shelf.images("nginx")[0]["reference"]["tag"], Value::Null);
    assert_eq!(shelf.images("localhost:5000")[0]["reference"]["tag"], "5000");
}

#[test]
fn rules_that_match_and_do_not_apply_say_why() {
    let shelf = Shelf::new();
    let why = |line: &str| {
        let image = &shelf.images(line)[0];
        let rejected = image["rejected"].as_array().unwrap();
        let keys: Vec<_> = rejected
            .iter()
            .flat_map(|rule| rule.as_object().unwrap().keys())
            .collect();
        assert!(keys.len() == 7 * rejected.len(), "{keys:?}");
        (
            rules(&image["matches"]),
            rules(&image["rejected"]),
            each(rejected, "/why"),
        )
    };
    for (line, matches, rejected, reasons) in [
        ("ghcr.io/x", vec!["ghcr by ghcr.io"], vec![], vec![]),
        ("ghcr.io/x -n prod", vec![], vec!["ghcr by ghcr.io"], vec!["namespace"]),
        (
            "ghcr.io/acme/public/x",
            vec![],
            vec!["ghcr by ghcr.io/acme"],
            vec!["exception"],
        ),
        (
            "ghcr.io/acme/app -n team-b",
            vec!["ghcr by ghcr.io/acme"],
            vec!["own by ghcr.io/acme/app"],
            vec!["namespace"],
        ),
        ("quay.io/x", vec![r"regex by imageRegex:quay\.io/.*"], vec![], vec![]),
        (
            "quay.io/x -n kube-system",
            vec![],
            vec![r"regex by imageRegex:quay\.io/.*"],
            vec!["namespace"],
        ),
        ("nginx -n pullkey", vec![], vec!["hub by docker.io"], vec!["namespace"]),
        (
            "nginx -n pullkey --own-namespace me",
            vec!["hub by docker.io"],
            vec![],
            vec![],
        ),
        ("mcr.example/x", vec![], vec![], vec![]),
    ] {
        let (found_matches, found_rejected, found_reasons) = why(line);
        assert_eq!(
            (found_matches, found_rejected),
            (
                matches.iter().map(ToString::to_string).collect(),
                rejected.iter().map(ToString::to_string).collect()
            ),
            "{line}"
        );
        assert_eq!(found_reasons, reasons, "{line}");
    }
    assert_eq!(shelf.images("nginx")[0]["matches"][0]["mode"], "Shadow");
}

#[test]
fn every_kind_keeps_its_pod_where_kubernetes_has_it() {
    let shelf = Shelf::new();
    let template = r#"{"spec":{"containers":[{"image":"ghcr.io/x"}]}}"#;
    for (api_version, kind, body, path) in [
        (
            "v1",
            "Pod",
            template.replace("{\"spec\"", "\"spec\"").replace("]}}", "]}"),
            "",
        ),
        (
            "apps/v1",
            "Deployment",
            format!(r#""spec":{{"template":{template}}}"#),
            "/spec/template",
        ),
        (
            "apps/v1",
            "ReplicaSet",
            format!(r#""spec":{{"template":{template}}}"#),
            "/spec/template",
        ),
        (
            "apps/v1",
            "StatefulSet",
            format!(r#""spec":{{"template":{template}}}"#),
            "/spec/template",
        ),
        (
            "apps/v1",
            "DaemonSet",
            format!(r#""spec":{{"template":{template}}}"#),
            "/spec/template",
        ),
        (
            "batch/v1",
            "Job",
            format!(r#""spec":{{"template":{template}}}"#),
            "/spec/template",
        ),
        (
            "batch/v1",
            "CronJob",
            format!(r#""spec":{{"jobTemplate":{{"spec":{{"template":{template}}}}}}}"#),
            "/spec/jobTemplate/spec/template",
        ),
        (
            "v1",
            "ReplicationController",
            format!(r#""spec":{{"template":{template}}}"#),
            "/spec/template",
        ),
        ("v1", "PodTemplate", format!(r#""template":{template}"#), "/template"),
    ] {
        let object = format!(
            r#"{{"apiVersion":"{api_version}","kind":"{kind}","metadata":{{"name":"x","namespace":"team-b"}},{body}}}"#
        );
        let alone = &shelf.pods("", &object)[0];
        assert_eq!(
            alone["images"][0]["path"],
            format!("{path}/spec/containers/0/image"),
            "{kind}"
        );
        assert_eq!(
            (&alone["kind"], &alone["name"], &alone["item"]),
            (&json!(kind), &json!("x"), &Value::Null)
        );
        assert_eq!(
            (&alone["namespace"], &alone["add"]),
            (&json!("team-b"), &json!(["ghcr-pull"])),
            "{kind}"
        );

        let list =
            format!(r#"{{"apiVersion":"v1","kind":"List","items":[{{"apiVersion":"v1","kind":"Service"}},{object}]}}"#);
        let listed = shelf.pods("", &list);
        assert_eq!(listed.len(), 1, "{kind}");
        assert_eq!((&listed[0]["item"], &listed[0]["kind"]), (&json!(1), &json!(kind)));
        assert_eq!(
            listed[0]["images"][0]["path"],
            format!("/items/1{path}/spec/containers/0/image"),
            "{kind}"
        );
    }
}

#[test]
fn a_review_is_answered_as_it_stands() {
    let shelf = Shelf::new();
    let review = |operation: &str, object: Value| {
        json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
            "uid": "u", "operation": operation, "resource": {"group": "", "version": "v1", "resource": "pods"},
            "namespace": "team-a", "name": "", "object": object}})
        .to_string()
    };
    let object =
        json!({"metadata": {"namespace": "elsewhere"}, "spec": {"containers": [{"image": "ghcr.io/acme/app"}]}});
    let created = &shelf.pods("", &review("CREATE", object.clone()))[0];
    assert_eq!(created["kind"], "AdmissionReview");
    assert_eq!(
        (&created["namespace"], &created["name"]),
        (&json!("team-a"), &Value::Null)
    );
    assert_eq!(created["images"][0]["path"], "/request/object/spec/containers/0/image");
    assert_eq!(created["add"], json!(["own-pull", "ghcr-pull"]));

    for (operation, object, code) in [
        ("UPDATE", object, "not_create"),
        ("CREATE", Value::Null, "undecodable"),
        ("CREATE", json!({"spec": {"containers": [{"image": 5}]}}), "undecodable"),
    ] {
        let answered = &shelf.pods("", &review(operation, object))[0];
        assert_eq!((&answered["skip"], &answered["add"]), (&json!(code), &json!([])));
        assert!(answered["skipMessage"].is_string());
    }
}

#[test]
fn images_come_in_the_order_of_their_lists() {
    let pods = Shelf::new().pods(
        "",
        "{apiVersion: v1, kind: Pod, spec: {volumes: [{name: a}, {name: b, image: {reference: v}}], ephemeralContainers: [{image: e}],
        containers: [{image: c0}, {name: none}, {image: ''}, {image: c3}], initContainers: [{image: i}]}}",
    );
    let images = pods[0]["images"].as_array().unwrap();
    assert_eq!(each(images, "/image"), ["i", "c0", "c3", "e", "v"]);
    assert_eq!(
        each(images, "/path"),
        [
            "/spec/initContainers/0/image",
            "/spec/containers/0/image",
            "/spec/containers/3/image",
            "/spec/ephemeralContainers/0/image",
            "/spec/volumes/1/image/reference",
        ]
    );
}

#[test]
fn documents_are_counted_from_0_the_empty_ones_too() {
    let shelf = Shelf::new();
    let manifest = format!(
        "# first\n---\n{}\n---\n---\nkind: Service\napiVersion: v1\n--- # last\n{}\n",
        pod(&["a"]),
        pod(&["b"])
    );
    let pods = shelf.pods("", &manifest);
    assert_eq!(each(&pods, "/document"), [0, 3]);
    assert_eq!(each(&pods, "/images/0/image"), ["a", "b"]);
    shelf.put("n.yaml", pod(&["c"]));
    let both = shelf.explain("-f n.yaml -f m.yaml -f n.yaml x y");
    assert_eq!(
        each(both["pods"].as_array().unwrap(), "/file"),
        ["n.yaml", "m.yaml", "m.yaml", "n.yaml"]
    );
    assert_eq!(each(both["images"].as_array().unwrap(), "/image"), ["x", "y"]);
}

#[test]
fn a_list_without_items_has_no_pod() {
    assert_eq!(
        Shelf::new().pods("", "{apiVersion: v1, kind: List, items: []}"),
        [Value::Null; 0]
    );
}

#[test]
fn names_and_namespaces_are_those_of_the_outer_object() {
    let shelf = Shelf::new();
    let template = "spec: {template: {metadata: {name: inner, namespace: inner}, spec: {containers: [{image: x}]}}}";
    for (options, metadata, namespace, name) in [
        ("", "{name: n}", "default", json!("n")),
        (" -n team-a", "{name: n}", "team-a", json!("n")),
        (" -n team-a", "{name: n, namespace: team-a}", "team-a", json!("n")),
        ("", "{name: n, namespace: team-b}", "team-b", json!("n")),
        ("", "{generateName: n-}", "default", Value::Null),
        ("", "{name: '', namespace: ''}", "default", Value::Null),
        ("", "{}", "default", Value::Null),
    ] {
        let manifest = format!("{{apiVersion: apps/v1, kind: Deployment, metadata: {metadata}, {template}}}");
        let pods = shelf.pods(options, &manifest);
        assert_eq!(
            (&pods[0]["namespace"], &pods[0]["name"]),
            (&json!(namespace), &name),
            "{options} {metadata}"
        );
    }
}

#[test]
fn what_is_left_alone_has_a_code() {
    let shelf = Shelf::new();
    let with =
        |metadata: &str, spec: &str| format!("{{apiVersion: v1, kind: Pod, metadata: {metadata}, spec: {spec}}}");
    let ghcr = "{containers: [{image: ghcr.io/x}]}";
    for (options, manifest, code) in [
        ("", with("{labels: {pullkey.dev/inject: 'false'}}", ghcr), "pod_opted_out"),
        ("", with("{annotations: {kubernetes.io/config.mirror: x}}", ghcr), "mirror_pod"),
        (" --namespace-label pullkey.dev/inject=false", with("{}", ghcr), "namespace_opted_out"),
        ("", with("{}", "{containers: [{name: x}]}"), "no_images"),
        ("", with("{}", "{containers: [{image: mcr.example/x}]}"), "no_rule"),
        ("", with("{}", "{containers: [{image: nginx}]}"), "shadow_only"),
        ("", with("{}", "{imagePullSecrets: [{name: ghcr-pull}], containers: [{image: ghcr.io/x}]}"), "already_named"),
        ("", "{apiVersion: apps/v1, kind: Deployment, metadata: {name: x}}".to_owned(), "undecodable"),
        (
            "",
            "{apiVersion: apps/v1, kind: Deployment, spec: {template: {metadata: {labels: {pullkey.dev/inject: 'false'}}, spec: {containers: [{image: ghcr.io/x}]}}}}".to_owned(),
            "pod_opted_out",
        ),
    ] {
        let pod = &shelf.pods(options, &manifest)[0];
        assert_eq!((&pod["skip"], &pod["add"]), (&json!(code), &json!([])), "{manifest}");
        assert!(pod["skipMessage"].is_string(), "{manifest}");
    }
    for label in ["True", "False", "true", ""] {
        let manifest = with(&format!("{{labels: {{pullkey.dev/inject: '{label}'}}}}"), ghcr);
        let options = format!(" --namespace-label pullkey.dev/inject={label}");
        assert_eq!(
            shelf.pods(&options, &manifest)[0]["add"],
            json!(["ghcr-pull"]),
            "{label}"
        );
    }
}

#[test]
fn labels_of_the_namespace_make_selectors_good() {
    let shelf = Shelf::new();
    let rule = |selector: &str| {
        format!(
            "{{apiVersion: pullkey.dev/v1alpha1, kind: ClusterPullSecretRule, metadata: {{name: r}},
            spec: {{images: [a.example], namespaces: {{selector: {selector}}}, secret: {{name: s}}}}}}"
        )
    };
    for (selector, line, applies) in [
        ("{matchLabels: {team: a}}", "--namespace-label team=a", true),
        ("{matchLabels: {team: a}}", "--namespace-label team=b", false),
        (
            "{matchLabels: {team: a}}",
            "--namespace-label team=a -n kube-system",
            false,
        ),
        (
            "{matchLabels: {team: a, tier: web}}",
            "--namespace-label team=a --namespace-label tier=web",
            true,
        ),
        (
            "{matchExpressions: [{key: team, operator: Exists}]}",
            "--namespace-label team=",
            true,
        ),
        (
            "{matchLabels: {kubernetes.io/metadata.name: team-a}}",
            "--namespace-label x=y -n team-a",
            true,
        ),
        (
            "{matchLabels: {kubernetes.io/metadata.name: team-a}}",
            "--namespace-label x=y -n team-b",
            false,
        ),
        (
            "{matchLabels: {kubernetes.io/metadata.name: default}}",
            "--namespace-label x=y",
            true,
        ),
    ] {
        shelf.put("rules.yaml", rule(selector));
        let image = &shelf.images(&format!("a.example/x {line}"))[0];
        let found = (
            image["matches"].as_array().unwrap().len(),
            image["rejected"].as_array().unwrap().len(),
        );
        assert_eq!(
            found,
            (usize::from(applies), usize::from(!applies)),
            "{selector} {line}"
        );
    }
}

fn config(keys: &[&str]) -> String {
    let entries: serde_json::Map<_, _> = keys
        .iter()
        .map(|key| {
            (
                (*key).to_owned(),
                json!({"username": format!("user of {key}"), "password": "p"}),
            )
        })
        .collect();
    json!({ "auths": entries }).to_string()
}

fn secret(namespace: &str, name: &str, config: &str) -> String {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace},
        "type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": config}})
    .to_string()
}

#[test]
fn rules_without_images_cover_what_the_sources_keys_serve() {
    let shelf = Shelf::new();
    let rule = "{apiVersion: pullkey.dev/v1alpha1, kind: ClusterPullSecretRule, metadata: {name: derived},
        spec: {namespaces: {include: ['*']}, secret: {name: s, copyFrom: {namespace: sources, name: ghcr}}}}";
    shelf.put("rules.yaml", rule);
    shelf.put(
        "config.json",
        config(&["https://token@ghcr.io/acme", "https://index.docker.io/v1/"]),
    );
    shelf.put("source.yaml", secret("sources", "ghcr", &config(&["quay.io"])));
    shelf.put("other.yaml", secret("sources", "other", &config(&["mcr.example"])));
    for (line, expected) in [
        (
            "--credentials config.json ghcr.io/acme-private/app",
            vec!["derived by https://ghcr.io/acme"],
        ),
        (
            "--credentials config.json nginx",
            vec!["derived by https://index.docker.io/v1/"],
        ),
        ("--credentials config.json quay.io/x", vec![]),
        ("--credentials source.yaml quay.io/x", vec!["derived by quay.io"]),
        ("--credentials other.yaml mcr.example/x", vec![]),
        // The Secret of that name is the source, and then no other file stands for it.
        (
            "--credentials config.json --credentials source.yaml quay.io/x",
            vec!["derived by quay.io"],
        ),
        ("--credentials config.json --credentials source.yaml nginx", vec![]),
        (
            "--credentials config.json --credentials other.yaml nginx",
            vec!["derived by https://index.docker.io/v1/"],
        ),
    ] {
        assert_eq!(rules(&shelf.images(line)[0]["matches"]), expected, "{line}");
    }
}

#[test]
fn credentials_come_as_the_kubelet_tries_them() {
    let shelf = Shelf::new();
    shelf.put("a.json", config(&["ghcr.io", "https://me:pw@ghcr.io/acme"]));
    shelf.put(
        "b.yaml",
        format!(
            "{}\n---\n{}",
            secret("x", "y", &config(&["ghcr.io"])),
            secret("x", "z", &config(&["ghcr.io/acme"]))
        ),
    );
    shelf.put("c.dockercfg", r#"{"ghcr.io/acme/app":{"auth":"bWU6cHc="}}"#);
    let image =
        &shelf.images("--credentials b.yaml --credentials a.json --credentials c.dockercfg ghcr.io/acme/app:v1")[0];
    assert_eq!(
        image["credentials"],
        json!([
            {"file": "c.dockercfg", "key": "ghcr.io/acme/app", "username": "me"},
            {"file": "b.yaml", "key": "ghcr.io/acme", "username": "user of ghcr.io/acme"},
            {"file": "a.json", "key": "https://ghcr.io/acme", "username": "user of https://me:pw@ghcr.io/acme"},
            {"file": "b.yaml", "key": "ghcr.io", "username": "user of ghcr.io"},
            {"file": "a.json", "key": "ghcr.io", "username": "user of ghcr.io"},
        ])
    );
    let images = shelf.images("--credentials a.json nginx UPPER/x/Y");
    assert_eq!(each(&images, "/credentials"), [json!([]), json!([])]);
}

#[test]
fn a_config_that_the_kubelet_refuses_spoils_every_image() {
    let shelf = Shelf::new();
    shelf.put("good.json", config(&["ghcr.io"]));
    shelf.put("bad.json", r#"{"auths":{"mcr.example":{"auth":"?"}}}"#);
    shelf.put("m.yaml", pod(&["ghcr.io/x", "nginx", "Not/An/Image"]));
    for line in [
        "--credentials good.json --credentials bad.json",
        "--credentials bad.json --credentials good.json",
    ] {
        let answer = shelf.explain(&format!("{line} -f m.yaml ghcr.io/y"));
        let pod_images = answer["pods"][0]["images"].as_array().unwrap();
        let images = [pod_images.as_slice(), answer["images"].as_array().unwrap()].concat();
        let error = json!({"error": "`bad.json`: `auth` of the entry `mcr.example` is not base64"});
        assert_eq!(each(&images, "/credentials"), vec![error; 4], "{line}");
    }
}

#[test]
fn manifests_come_as_json_as_yaml_and_from_standard_input() {
    let shelf = Shelf::new();
    let json = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p\u{1F600}/\t"}, "spec": {"containers": [{"image": "a"}]}});
    let escaped = json
        .to_string()
        .replace('\u{1F600}', "\\ud83d\\ude00")
        .replace("a\"", "\\u0061\"");
    shelf.put("pretty.json", serde_json::to_string_pretty(&json).unwrap());
    shelf.put("escaped.json", escaped.replace('/', "\\/").replace("v1", "v\\u0031"));
    let answer = shelf.explain_input(
        "-f - -f pretty.json -f escaped.json",
        "apiVersion: v1\r\nkind: Pod\r\nspec: {containers: [{image: a}]}\r\n",
    );
    let pods = answer["pods"].as_array().unwrap();
    assert_eq!(each(pods, "/file"), ["-", "pretty.json", "escaped.json"]);
    assert_eq!(
        each(pods, "/name"),
        [Value::Null, json!("p\u{1F600}/\t"), json!("p\u{1F600}/\t")]
    );
    assert_eq!(each(pods, "/images/0/image"), ["a", "a", "a"]);
}

#[test]
fn variables_stand_in_for_options() {
    let shelf = Shelf::new();
    shelf.put("a.yaml", pod(&["ghcr.io/x"]));
    shelf.put("b.yaml", pod(&["nginx"]));
    shelf.put("c.json", config(&["ghcr.io"]));
    let mut explain = program(shelf.0.path(), &["explain"]);
    explain.envs([
        ("PULLKEY_RULES", "rules.yaml"),
        ("PULLKEY_FILE", "a.yaml:b.yaml"),
        ("PULLKEY_NAMESPACE", "team-a"),
        ("PULLKEY_NAMESPACE_LABEL", "a=b:pullkey.dev/inject=false"),
        ("PULLKEY_CREDENTIALS", "c.json"),
        ("PULLKEY_OUTPUT", "json"),
    ]);
    let answer: Value = serde_json::from_slice(&explain.output().unwrap().stdout).unwrap();
    let pods = answer["pods"].as_array().unwrap();
    assert_eq!(each(pods, "/file"), ["a.yaml", "b.yaml"]);
    assert_eq!(each(pods, "/namespace"), ["team-a", "team-a"]);
    assert_eq!(each(pods, "/skip"), ["namespace_opted_out", "namespace_opted_out"]);
    assert_eq!(pods[0]["images"][0]["credentials"][0]["file"], "c.json");
}
