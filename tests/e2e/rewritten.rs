//! A source that somebody else keeps writing, as External Secrets does with what README.md has it generate.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pullkey::yaml;
use serde_json::{Value, json};

use crate::harness::{Api, Copier, Load, Namespace, unique, until};
use crate::install::block;

/// How many namespaces have a copy.
const NAMESPACES: usize = 20;
/// How often copies have to be seen all at a new version while the source is written without a pause.
const STEPS: usize = 5;
const REGISTRY: &str = "123456789012.dkr.ecr.eu-central-1.amazonaws.com";

/// What README.md shows of a kind.
fn shown(kind: &str) -> Value {
    let documents = yaml::parse(&block("yaml", "external-secret")).unwrap();
    let mut objects = documents.iter().map(yaml::Node::to_json);
    objects.find(|object| object["kind"] == kind).unwrap()
}

/// The Secret that the `ExternalSecret` of README.md asks for, with the token of that number.
fn generated(number: usize) -> Value {
    let target = shown("ExternalSecret")["spec"]["target"].clone();
    let generated = [
        ("proxy_endpoint", format!("https://{REGISTRY}")),
        ("username", "AWS".to_owned()),
        ("password", format!("token-{number}")),
    ];
    let fill = |template: &Value| {
        let mut text = template.as_str().unwrap().to_owned();
        for (key, value) in &generated {
            text = text.replace(&format!("{{{{ .{key} }}}}"), value);
        }
        assert!(!text.contains("{{"), "{text}");
        json!(text)
    };
    let data = target["template"]["data"].as_object().unwrap();
    let data: serde_json::Map<_, _> = data.iter().map(|(key, value)| (key.clone(), fill(value))).collect();
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": target["template"]["type"],
        "metadata": {
            "name": target["name"],
            "labels": {"reconcile.external-secrets.io/managed": "true"},
            "ownerReferences": [{
                "apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "name": "ecr", "uid": "1",
                "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "stringData": data,
    })
}

/// The number of the token that a copy holds.
fn number(copy: &Value) -> usize {
    let config = STANDARD.decode(copy["data"][".dockerconfigjson"].as_str().unwrap());
    let config: Value = serde_json::from_slice(&config.unwrap()).unwrap();
    let token = config["auths"][format!("https://{REGISTRY}")]["password"].clone();
    token.as_str().unwrap().strip_prefix("token-").unwrap().parse().unwrap()
}

/// The tokens that the copies of that name hold, by namespace.
async fn tokens(api: &Api, name: &str) -> BTreeMap<String, usize> {
    let path = format!("/api/v1/secrets?labelSelector=pullkey.dev/copy=true&fieldSelector=metadata.name={name}");
    let list = api.get(&path).await.good();
    let copies = list["items"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    copies
        .map(|copy| (text(&copy["metadata"]["namespace"]), number(copy)))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_rewritten_without_a_pause_is_followed_everywhere() {
    let copier = Copier::start(&[]).await;
    let (name, label) = (unique("ecr"), json!({"tokens": unique("tokens")}));
    let mut namespaces = Vec::new();
    for _ in 0..NAMESPACES {
        namespaces.push(Namespace::with_labels(&label).await);
    }
    let source = copier.sources.path("secrets", "ecr");
    copier
        .api
        .create(&copier.sources.path("secrets", ""), &generated(0))
        .await
        .good();
    let mut rule = shown("ClusterPullSecretRule");
    rule["metadata"]["name"] = json!(name);
    rule["spec"]["namespaces"] = json!({"selector": {"matchLabels": label}});
    rule["spec"]["secret"]["name"] = json!(name);
    rule["spec"]["secret"]["copyFrom"]["namespace"] = json!(copier.sources.name);
    copier.apply_rule(&name, &rule).await;
    until("every namespace has its copy", async || {
        (tokens(&copier.api, &name).await.len() == NAMESPACES).then_some(())
    })
    .await;
    let status = copier.status(&name).await;
    assert_eq!(status["registries"], json!([REGISTRY]), "{status}");

    // Somebody else's writes, each of the whole object, as fast as they come.
    let (goes_on, last) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
    let writer = tokio::spawn({
        let (api, goes_on, last) = (copier.api.clone(), Arc::clone(&goes_on), Arc::clone(&last));
        let path = format!("{source}?fieldManager=externalsecrets.external-secrets.io/ecr");
        async move {
            while goes_on.load(Ordering::SeqCst) {
                let next = last.load(Ordering::SeqCst) + 1;
                api.replace(&path, &generated(next)).await.good();
                last.store(next, Ordering::SeqCst);
            }
        }
    });
    let load = Load::dry(&namespaces[0], 2);
    let mut seen = tokens(&copier.api, &name).await;
    let (mut steps, mut step) = (0, 0);
    until("all copies have moved on several times", async || {
        let now = tokens(&copier.api, &name).await;
        for (namespace, before) in &seen {
            let token = now
                .get(namespace)
                .unwrap_or_else(|| panic!("the copy in {namespace} was gone"));
            assert!(
                token >= before,
                "the copy in {namespace} went back from {before} to {token}"
            );
        }
        let oldest = *now.values().min().unwrap();
        if oldest > step {
            (steps, step) = (steps + 1, last.load(Ordering::SeqCst));
            // A namespace that is born meanwhile is not forgotten either.
            Namespace::with_labels(&label).await;
        }
        seen = now;
        (steps == STEPS).then_some(())
    })
    .await;
    goes_on.store(false, Ordering::SeqCst);
    writer.await.unwrap();
    let _: [_; 1] = load.stop().await;

    let last = last.load(Ordering::SeqCst);
    until("every copy holds the last token", async || {
        let tokens = tokens(&copier.api, &name).await;
        (tokens.len() == NAMESPACES + STEPS && tokens.values().all(|token| *token == last)).then_some(())
    })
    .await;
    let copy = copier.api.get(&namespaces[0].path("secrets", &name)).await.good();
    assert!(!copy.to_string().contains("external-secrets"), "{copy}");
    println!("{last} versions of the source");
}
