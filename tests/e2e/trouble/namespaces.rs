//! What a namespace has against its copy, and what people do to it.

use tokio::time::sleep;

use super::*;

const POLICIES: &str = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies";
const BINDINGS: &str = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings";

impl Scene {
    /// A `ResourceQuota` for so many Secrets.
    async fn quota(&self, namespace: &Namespace, secrets: &str) {
        let path = format!("{}/few", namespace.path("resourcequotas", ""));
        let quota = json!({
            "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"},
            "spec": {"hard": {"count/secrets": secrets}},
        });
        self.api.apply(&path, &quota).await.good();
        until("the quota is in force", async || {
            let quota = self.api.get(&path).await.good();
            (quota["status"]["hard"]["count/secrets"] == secrets).then_some(())
        })
        .await;
    }

    /// Somebody's policy: all Secrets of the namespace say whose they are. Gives the path of its binding.
    async fn policy(&self, name: &str, namespace: &Namespace) -> String {
        let rules = json!([{
            "apiGroups": [""], "apiVersions": ["v1"], "resources": ["secrets"], "operations": ["CREATE", "UPDATE"],
        }]);
        let here = json!({"matchLabels": {"kubernetes.io/metadata.name": namespace.name}});
        let policy = json!({
            "metadata": {"name": name},
            "spec": {
                "matchConstraints": {"resourceRules": rules, "namespaceSelector": here},
                "validations": [{"expression": "has(object.metadata.labels.owner)", "message": "whose is it?"}],
            },
        });
        self.api.create(POLICIES, &policy).await.good();
        let binding = json!({
            "metadata": {"name": name}, "spec": {"policyName": name, "validationActions": ["Deny"]},
        });
        self.api.create(BINDINGS, &binding).await.good();
        let probe = pull_secret("probe", "x");
        let path = format!("{}?dryRun=All", namespace.path("secrets", ""));
        until("the policy is in force", async || {
            (self.api.create(&path, &probe).await.status != 201).then_some(())
        })
        .await;
        format!("{BINDINGS}/{name}")
    }

    /// Waits for an event about the copy there.
    async fn hears(&self, namespace: &Namespace, reason: &str) {
        let path = format!("/apis/events.k8s.io/v1/namespaces/{}/events", namespace.name);
        until(&format!("{} hears of {reason}", namespace.name), async || {
            let events = self.api.get(&path).await.good();
            let mut events = events["items"].as_array().unwrap().iter();
            events
                .any(|event| event["reason"] == reason && event["regarding"]["name"] == self.rule)
                .then_some(())
        })
        .await;
    }
}

/// It takes a while: what somebody has to put right first is tried again after half a minute.
#[tokio::test(flavor = "multi_thread")]
async fn a_quota_and_a_policy_are_named_and_once_they_give_way_the_copies_come() {
    let scene = Scene::shared().await;
    let [full, strict, free] = [scene.outside().await, scene.outside().await, scene.outside().await];
    scene.quota(&full, "0").await;
    let policy = unique("labels.example");
    let binding = scene.policy(&policy, &strict).await;
    for namespace in [&full, &strict, &free] {
        scene.select(namespace, true).await;
    }
    scene.has_copy(&free, "first").await;
    scene.hears(&full, "QuotaExceeded").await;
    scene.hears(&strict, "DeniedByPolicy").await;
    let counts = json!({"selected": 3, "ready": 1, "refused": 2});
    let refusals = until("the rule names both", async || {
        let status = scene.api.get(&scene.rule_path()).await.good()["status"].take();
        (status["namespaces"] == counts).then(|| status["refusals"].clone())
    })
    .await;
    let messages = [&full, &strict].map(|namespace| {
        let mut refusals = refusals.as_array().unwrap().iter();
        let refusal = refusals.find(|refusal| refusal["namespace"] == namespace.name).unwrap();
        format!(
            "{}: {}",
            refusal["reason"].as_str().unwrap(),
            refusal["message"].as_str().unwrap()
        )
    });
    let expected = [
        "QuotaExceeded: the ResourceQuota `few` is used up".to_owned(),
        format!("DeniedByPolicy: the policy `{policy}` denies it"),
    ];
    assert_eq!(messages, expected);

    scene.quota(&full, "1").await;
    scene.api.delete(&binding).await.good();
    scene.has_copy(&full, "first").await;
    scene.has_copy(&strict, "first").await;
    scene.is_told("True AllReady").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_is_going_is_no_fault_of_anybody() {
    let scene = Scene::shared().await;
    let [goes, stays, comes] = [scene.namespace().await, scene.namespace().await, scene.outside().await];
    for namespace in [&goes, &stays] {
        scene.has_copy(namespace, "first").await;
    }
    let finalizers = |list: Value| json!({"metadata": {"name": "last", "finalizers": list}});
    for namespace in [&goes, &comes] {
        let wait = finalizers(json!(["tests.pullkey.dev/wait"]));
        scene.api.create(&namespace.path("configmaps", ""), &wait).await.good();
        let path = format!("/api/v1/namespaces/{}", namespace.name);
        scene.api.delete(&path).await.good();
    }
    scene.has_no_copy(&goes).await;
    scene.select(&comes, true).await;
    scene.source("second").await;
    scene.has_copy(&stays, "second").await;
    let status = scene.is_told("True AllReady").await;
    assert_eq!(status["namespaces"], json!({"selected": 1, "ready": 1, "refused": 0}));
    for namespace in [&goes, &comes] {
        assert_eq!(scene.copy(namespace).await.status, 404);
        for pod in scene.cluster.controllers().await {
            let log = scene.cluster.log(&pod).await;
            let complaints = log
                .lines()
                .filter(|line| line.contains("WARN") && line.contains(&namespace.name));
            assert_eq!(complaints.collect::<Vec<_>>(), [""; 0]);
        }
        let path = namespace.path("configmaps", "last");
        scene.api.merge(&path, &finalizers(json!(null))).await.good();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_follow_a_namespace_into_the_selection_and_out_of_it() {
    let scene = Scene::shared().await;
    let namespace = scene.outside().await;
    for password in ["first", "second"] {
        scene.source(password).await;
        assert_eq!(scene.copy(&namespace).await.status, 404);
        assert_eq!(scene.injected(&namespace).await, [""; 0]);
        scene.select(&namespace, true).await;
        scene.has_copy(&namespace, password).await;
        scene.is_in_force(&namespace).await;
        scene.select(&namespace, false).await;
        scene.has_no_copy(&namespace).await;
        until("the webhook goes by the labels", async || {
            scene.injected(&namespace).await.is_empty().then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_copy_is_not_ours_whatever_its_labels_say() {
    let scene = Scene::shared().await;
    let (from, to) = (scene.namespace().await, scene.outside().await);
    scene.has_copy(&from, "first").await;
    let (rule, from, name) = (&scene.rule, &from.name, &to.name);
    let by_hand = format!(
        "kubectl get secret {rule} --namespace {from} --output yaml --show-managed-fields | sed 's/namespace: {from}/namespace: {name}/' \
         | kubectl create --filename -"
    );
    scene.cluster.run(&by_hand).await;
    let made = scene.copy(&to).await.good();
    assert_eq!(made["metadata"]["labels"]["pullkey.dev/copy"], "true");

    scene.select(&to, true).await;
    let status = scene.is_told("False Foreign").await;
    assert_eq!(status["refusals"][0]["namespace"], *name);
    scene.hears(&to, "Foreign").await;
    scene.source("second").await;
    let other = scene.namespace().await;
    scene.has_copy(&other, "second").await;
    assert_eq!(scene.copy(&to).await.good(), made);
    for namespace in [&to, &other] {
        scene.select(namespace, false).await;
    }
    scene.has_no_copy(&other).await;
    assert_eq!(scene.copy(&to).await.good(), made);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_was_made_immutable_is_replaced_when_it_has_to_change() {
    let scene = Scene::shared().await;
    let namespace = scene.namespace().await;
    let first = scene.has_copy(&namespace, "first").await;
    let path = namespace.path("secrets", &scene.rule);
    scene.api.merge(&path, &json!({"immutable": true})).await.good();
    let beside = scene.namespace().await;
    scene.has_copy(&beside, "first").await;
    assert_eq!(scene.identity(&namespace).await.uid, first.uid);
    scene.source("second").await;
    let second = scene.has_copy(&namespace, "second").await;
    assert_ne!(second.uid, first.uid);
    assert_eq!(scene.copy(&namespace).await.good()["immutable"], json!(null));
    scene.is_told("True AllReady").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_comes_back_with_another_type_replaces_its_copies() {
    let scene = Scene::shared().await;
    let namespace = scene.namespace().await;
    let first = scene.has_copy(&namespace, "first").await;
    scene.api.delete(&scene.source_path()).await.good();
    until("the rule misses its source", async || {
        let status = scene.api.get(&scene.rule_path()).await.good()["status"].take();
        status.to_string().contains("SourceNotFound").then_some(())
    })
    .await;
    assert_eq!(scene.identity(&namespace).await, first);
    let legacy = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockercfg", "metadata": {"name": scene.rule},
        "stringData": {".dockercfg": r#"{"registry.example": {"username": "puller", "password": "second"}}"#},
    });
    scene.api.apply(&scene.source_path(), &legacy).await.good();
    let copy = until("the copy has the other type", async || {
        let copy = scene.copy(&namespace).await.object;
        (copy["type"] == "kubernetes.io/dockercfg").then_some(copy)
    })
    .await;
    assert_eq!(copy["data"], scene.api.get(&scene.source_path()).await.good()["data"]);
    assert_ne!(copy["metadata"]["uid"], first.uid);
    scene.is_told("True AllReady").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_as_it_should_be_is_never_written() {
    let scene = Scene::shared().await;
    let namespace = scene.namespace().await;
    let copy = scene.has_copy(&namespace, "first").await;
    scene.is_told("True AllReady").await;
    // Whatever is the same to those who need it.
    let labels = json!({"metadata": {"labels": {"theirs": "x"}}});
    scene.api.merge(&scene.source_path(), &labels).await.good();
    scene.api.merge(&scene.rule_path(), &labels).await.good();
    let path = format!("/api/v1/namespaces/{}", namespace.name);
    scene.api.merge(&path, &labels).await.good();
    sleep(Duration::from_secs(2)).await;
    assert_eq!(scene.identity(&namespace).await, copy);
}
