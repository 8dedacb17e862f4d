//! The guides of README.md, one after the other on one cluster, whose API server keeps the audit log that they want.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::harness::{RULES, control_plane, install_kinds};

/// The credential that the admin types in.
const TOKEN: &str = "c2VjcmV0IG9mIGEgZ3VpZGU";

fn secrets_of(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/secrets")
}

/// Makes a Pod that names these secrets itself, and gives those that it has in the end.
async fn make(cluster: &Cluster, namespace: &str, name: &str, own: &[&str]) -> Vec<String> {
    let own: Vec<_> = own.iter().map(|secret| json!({"name": secret})).collect();
    let pod = with("spec", &json!({"imagePullSecrets": own}), named(name, pod(&[IMAGE])));
    let path = format!("/api/v1/namespaces/{namespace}/pods");
    pull_secrets(&cluster.api.create(&path, &pod).await.good())
}

/// What a copy holds, if it is there.
async fn copy(cluster: &Cluster, namespace: &str) -> Option<String> {
    let path = format!("{}/ghcr-acme", secrets_of(namespace));
    let copy = cluster.api.get(&path).await.object;
    Some(copy["data"][".dockerconfigjson"].as_str()?.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_goes_through_the_guides() {
    let folder = control_plane().temporary_folder();
    let policy = folder.path().join("policy.yaml");
    fs::write(&policy, block("yaml", "audit-policy")).unwrap();
    let cluster = cluster(&[&format!("--audit-policy-file={}", policy.display())]).await;
    let list = json!({"imagePullSecrets": [{"name": "regcred"}]});
    let account = "/api/v1/namespaces/team-a/serviceaccounts/default";
    cluster.api.merge(account, &list).await.good();
    cluster.run(&step("install")).await;
    cluster.run(&format!("TOKEN={TOKEN}\n{}", step("copies"))).await;
    for namespace in ["team-a", "team-b"] {
        assert!(copy(&cluster, namespace).await.is_some(), "{namespace}");
    }
    cluster.run(&step("widen")).await;
    until("every namespace is served", async || {
        (secrets(&cluster, "team-b").await == ["ghcr-acme"]).then_some(())
    })
    .await;

    lists_are_left_behind(&cluster).await;
    a_credential_is_withheld(&cluster).await;
    let said = cluster.run(&step("clusters")).await;
    assert!(said.stdout.contains("no mistake"), "{}", said.stdout);
    let built = fs::read_to_string(cluster.directory.path().join("eu.yaml")).unwrap();
    assert_eq!(built.matches("mode: Shadow").count(), 2, "{built}");
    objects_of_others_are_what_they_should_be(&cluster).await;
    nothing_secret_was_audited(&cluster).await;

    let end = "kubectl --namespace pullkey delete deployment pullkey-controller --cascade=foreground";
    cluster.run(end).await;
    cluster.run(&step("remove")).await;
    assert_eq!(copy(&cluster, "team-a").await, None);
    let source = format!("{}/ghcr-acme", secrets_of("pullkey-sources"));
    cluster.api.get(&source).await.good();
}

async fn lists_are_left_behind(cluster: &Cluster) {
    assert_eq!(make(cluster, "team-a", "old", &[]).await, ["regcred", "ghcr-acme"]);
    assert_eq!(make(cluster, "team-a", "own", &["mine"]).await, ["mine", "ghcr-acme"]);
    assert_eq!(make(cluster, "team-b", "other", &[]).await, ["ghcr-acme"]);
    let said = cluster.run(&step("accounts")).await.stdout;
    assert_eq!(said.trim(), "team-a/default has regcred, Pod old");
    cluster.run(&step("unlist")).await;
    assert_eq!(cluster.run(&step("accounts")).await.stdout.trim(), "");
    until("the account's list is forgotten", async || {
        (secrets(cluster, "team-a").await == ["ghcr-acme"]).then_some(())
    })
    .await;
}

async fn a_credential_is_withheld(cluster: &Cluster) {
    let said = cluster.run(&step("holders")).await.stdout;
    let words: Vec<Vec<_>> = said.lines().map(|line| line.split_whitespace().collect()).collect();
    let source = "pullkey-sources/ghcr-acme";
    let expected = [
        vec!["NAMESPACE", "SOURCE"],
        vec!["team-a", source],
        vec!["team-b", source],
        vec!["team-a/old"],
        vec!["team-a/own"],
        vec!["team-b/other"],
    ];
    assert_eq!(words, expected);
    cluster.run(&step("withhold")).await;
    until("the namespace has nothing", async || {
        (copy(cluster, "team-b").await.is_none() && secrets(cluster, "team-b").await.is_empty()).then_some(())
    })
    .await;
    assert!(copy(cluster, "team-a").await.is_some());
    assert_eq!(secrets(cluster, "team-a").await, ["ghcr-acme"]);
    let said = cluster.run(&step("holders")).await.stdout;
    assert!(said.contains("team-b/other"), "{said}");
}

/// What the README has others do is asked of their own custom resources.
async fn objects_of_others_are_what_they_should_be(cluster: &Cluster) {
    let external = sources("external-secrets", "github.com/external-secrets/external-secrets");
    let flux = sources("flux", "github.com/fluxcd/kustomize-controller");
    let kinds = format!("{external}/config/crds/bases");
    cluster
        .run(&format!(
            "kubectl apply --server-side \
                 --filename {kinds}/external-secrets.io_externalsecrets.yaml \
                 --filename {kinds}/generators.external-secrets.io_ecrauthorizationtokens.yaml \
                 --filename {flux}/config/crd/bases/kustomize.toolkit.fluxcd.io_kustomizations.yaml
             kubectl create namespace flux-system"
        ))
        .await;
    let [secrets, tokens, kustomizations] = [
        "externalsecrets.external-secrets.io",
        "ecrauthorizationtokens.generators.external-secrets.io",
        "kustomizations.kustomize.toolkit.fluxcd.io",
    ];
    cluster.serves(&format!("{secrets},{tokens},{kustomizations}")).await;
    for name in ["external-secret", "flux"] {
        let file = cluster.directory.path().join(name);
        fs::write(&file, block("yaml", name)).unwrap();
        let said = cluster
            .run(&format!("kubectl apply --validate=strict --filename {name}"))
            .await;
        assert!(!said.stderr.contains("Warning"), "{name}: {}", said.stderr);
    }
}

async fn nothing_secret_was_audited(cluster: &Cluster) {
    let held = copy(cluster, "team-a").await.unwrap();
    let config: Value = serde_json::from_slice(&STANDARD.decode(&held).unwrap()).unwrap();
    let auth = config["auths"]["ghcr.io"]["auth"].as_str().unwrap().to_owned();
    assert!(config.to_string().contains(TOKEN));
    let events = until("all of it is in the log", async || {
        let events = cluster.audit_events();
        // Nothing is done after it.
        let is_last = |event: &Value| {
            event["objectRef"]["resource"] == "clusterpullsecretrules" && event["objectRef"]["name"] == "ecr"
        };
        events.iter().any(is_last).then_some(events)
    })
    .await;
    let mut levels = BTreeMap::new();
    for event in &events {
        let text = event.to_string();
        for secret in [TOKEN, &held, &auth] {
            assert!(!text.contains(secret), "{text}");
        }
        let resource = event["objectRef"]["resource"].as_str().unwrap_or_default();
        *levels
            .entry((resource.to_owned(), event["level"].as_str().unwrap().to_owned()))
            .or_insert(0) += 1;
    }
    for (resource, level) in [
        ("secrets", "Metadata"),
        ("clusterpullsecretrules", "Request"),
        ("pods", "Metadata"),
    ] {
        assert!(
            levels.contains_key(&(resource.to_owned(), level.to_owned())),
            "{resource}: {levels:?}"
        );
        let levels = levels.keys().filter(|(of, _)| of == resource).count();
        assert_eq!(levels, 1, "{resource} has several levels");
    }
    let is_told = |event: &Value| event["annotations"]["pods.pullkey.dev/secrets"] == "ghcr-acme";
    assert!(events.iter().any(is_told), "no Pod's secrets are told");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_keeps_more_rules_out() {
    let namespace = Namespace::with_labels(&json!({})).await;
    let api = &namespace.api;
    install_kinds(api).await;
    let make = async |number: usize| {
        let rule = json!({
            "apiVersion": "pullkey.dev/v1alpha1", "kind": "PullSecretRule", "metadata": {"name": format!("rule-{number}")},
            "spec": {"images": ["registry.example"], "secret": {"name": "registry"}},
        });
        let path = format!("{RULES}/namespaces/{}/pullsecretrules", namespace.name);
        api.create(&path, &rule).await
    };
    let command = step("quota").replace("team-a", &namespace.name);
    let arguments: Vec<_> = command.split_whitespace().skip(1).collect();
    control_plane().kubectl(&arguments, "");
    let path = namespace.path("resourcequotas", "pull-secret-rules");
    let spec = api.get(&path).await.good()["spec"].clone();
    let quota = json!({"metadata": {"name": "pull-secret-rules"}, "spec": spec});
    let resource = "count/pullsecretrules.pullkey.dev";
    // The controller of quotas hears of new kinds every half minute, and looks at a quota when it is made.
    let most: usize = until("what there is has been counted", async || {
        let status = until("the quota has been looked at", async || {
            let status = api.get(&path).await.good()["status"].clone();
            status["hard"].is_object().then_some(status)
        })
        .await;
        if status["used"].get(resource).is_none() {
            api.delete(&path).await.good();
            api.create(&namespace.path("resourcequotas", ""), &quota).await.good();
            return None;
        }
        status["hard"][resource].as_str()?.parse().ok()
    })
    .await;
    for number in 0..most {
        make(number).await.good();
    }
    let refused = make(most).await;
    assert_eq!(refused.status, 403);
    assert!(
        refused.object.to_string().contains("exceeded quota: pull-secret-rules"),
        "{}",
        refused.object
    );
}
