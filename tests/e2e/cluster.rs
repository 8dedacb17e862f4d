//! Rules as objects: a webhook that follows the cluster, with the rights that the README names and no others.

use std::process::Command;

use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::harness::{Installation, Namespace, Setup, control_plane, get, pod, rule, unique, until, with};

const RULES: &str = "/apis/pullkey.dev/v1alpha1/clusterpullsecretrules";
const ROLES: &str = "/apis/rbac.authorization.k8s.io/v1";

/// An installation whose webhook follows the cluster as a user of its own.
struct Following {
    pullkey: Installation,
    user: String,
    #[expect(dead_code, reason = "the webhook has read it, and might again")]
    kubeconfig: NamedTempFile,
}

impl Following {
    /// One that has no rights yet, so that it is not ready.
    async fn without_rights(options: &[&str]) -> Self {
        let file = rule("file", "file.example");
        let mut pullkey = Installation::prepare(&Setup {
            rules: &file,
            ..Setup::default()
        })
        .await;
        let user = format!("webhook-of-{}", pullkey.id);
        let kubeconfig = NamedTempFile::new().unwrap();
        std::fs::write(kubeconfig.path(), control_plane().kubeconfig_as(&user)).unwrap();
        let container = &mut pullkey.deployment["spec"]["template"]["spec"]["containers"][0];
        let variable = json!({"name": "KUBECONFIG", "value": kubeconfig.path()});
        match container["env"].as_array_mut() {
            Some(environment) => environment.push(variable),
            None => container["env"] = json!([variable]),
        }
        pullkey.add_replica(options).await;
        Self {
            pullkey,
            user,
            kubeconfig,
        }
    }

    /// One that is called.
    async fn start(options: &[&str]) -> Self {
        let following = Self::without_rights(options).await;
        following.give_rights().await;
        following.is_called().await;
        following
    }

    async fn give_rights(&self) {
        let name = &self.user;
        let may = |group: &str, resources: &[&str]| json!({"apiGroups": [group], "resources": resources, "verbs": ["list", "watch"]});
        let rules = [
            may("pullkey.dev", &["clusterpullsecretrules", "pullsecretrules"]),
            may("", &["namespaces", "serviceaccounts"]),
        ];
        let role = json!({"metadata": {"name": name}, "rules": rules});
        let api = &self.pullkey.api;
        api.create(&format!("{ROLES}/clusterroles"), &role).await.good();
        let subjects = [json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name})];
        let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name});
        let binding = json!({"metadata": {"name": name}, "roleRef": role, "subjects": subjects});
        api.create(&format!("{ROLES}/clusterrolebindings"), &binding)
            .await
            .good();
    }

    async fn is_called(&self) {
        let health = self.pullkey.replicas[0].target.health;
        until("the webhook is ready", async || {
            (get(health, "/readyz").await?.0 == 200).then_some(())
        })
        .await;
        self.pullkey.configure().await;
        self.pullkey.is_called().await;
    }

    /// A namespace that its rules select.
    async fn namespace(&self, more: &Value) -> Namespace {
        let mut labels = more.clone();
        labels["team"] = json!(self.pullkey.id);
        self.pullkey.namespace_with(&labels).await
    }

    /// Applies a rule for Pods with images of that host, in the namespaces that are selected; gives its path.
    async fn rule(&self, host: &str, copy_from: &Value) -> String {
        let name = unique("followed");
        let path = format!("{RULES}/{name}");
        let secret = json!({"name": format!("{host}-pull"), "copyFrom": copy_from});
        let selector = json!({"matchLabels": {"team": self.pullkey.id}});
        let object = json!({
            "apiVersion": "pullkey.dev/v1alpha1", "kind": "ClusterPullSecretRule", "metadata": {"name": name},
            "spec": {"images": [host], "namespaces": {"selector": selector}, "secret": without_null(secret)},
        });
        self.pullkey.api.apply(&path, &object).await.good();
        path
    }
}

fn without_null(mut object: Value) -> Value {
    object.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    object
}

/// Waits until Pods with images of that host get exactly these secrets.
async fn gets(namespace: &Namespace, host: &str, secrets: &[&str]) {
    until("the Pods' secrets", async || {
        (namespace.secrets_for(&[&format!("{host}/app")]).await == secrets).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_waits_for_its_rights_and_says_so() {
    let following = Following::without_rights(&[]).await;
    let health = following.pullkey.replicas[0].target.health;
    until("it says what it lacks", async || {
        let (status, report) = get(health, "/readyz?verbose").await?;
        let lacks = report.contains("[-]rules failed: clusterpullsecretrules: the API server answers 403: ");
        (status == 503 && lacks && report.contains(&following.user)).then_some(())
    })
    .await;
    following.give_rights().await;
    following.is_called().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_are_in_force_when_they_are_applied_and_no_more_when_they_are_deleted() {
    let following = Following::start(&[]).await;
    let (ours, others) = (
        following.namespace(&json!({})).await,
        following.pullkey.namespace().await,
    );
    let out = following.namespace(&json!({"pullkey.dev/inject": "false"})).await;
    let path = following.rule("a.example", &Value::Null).await;
    gets(&ours, "a.example", &["a.example-pull"]).await;
    assert_eq!(ours.secrets_for(&["file.example/app"]).await, ["file-pull"]);
    assert!(others.secrets_for(&["a.example/app"]).await.is_empty());
    assert!(out.secrets_for(&["file.example/app"]).await.is_empty());

    let strict = json!({"kubernetes.io/enforce-mountable-secrets": "true"});
    ours.account("strict", &strict, &[]).await;
    let of_strict = with(
        "spec",
        &json!({"serviceAccountName": "strict"}),
        pod(&["a.example/app"]),
    );
    let warning = "pullkey added no pull secrets: the service account admits only secrets that it lists";
    until("its Pods are left alone", async || {
        let answer = ours.try_pod(&of_strict).await;
        answer.warnings.iter().any(|text| text == warning).then_some(())
    })
    .await;

    following.pullkey.api.delete(&path).await.good();
    gets(&ours, "a.example", &[]).await;
}

/// What `explain` says of a Pod that is made now: all its secrets in the end.
fn explained(namespace: &Namespace, pod: &Value) -> Vec<String> {
    let manifest = NamedTempFile::new().unwrap();
    std::fs::write(manifest.path(), pod.to_string()).unwrap();
    let line = [
        "explain",
        "--cluster",
        "--output",
        "json",
        "--kubeconfig",
        control_plane().kubeconfig(),
    ];
    let explain = Command::new(env!("CARGO_BIN_EXE_pullkey"))
        .args(line)
        .args(["--namespace", &namespace.name, "--file"])
        .arg(manifest.path())
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&explain.stdout).unwrap_or_else(|_| panic!("{explain:?}"));
    let names = ["existing", "add"].map(|names| report["pods"][0][names].as_array().unwrap().clone());
    let names = names.iter().flatten().map(|name| name.as_str().unwrap().to_owned());
    names.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_says_what_happens_to_a_pod() {
    let following = Following::start(&[]).await;
    let namespace = following.namespace(&json!({})).await;
    following.rule("d.example", &Value::Null).await;
    let strict = json!({"kubernetes.io/enforce-mountable-secrets": "true"});
    namespace.account("strict", &strict, &["listed"]).await;
    namespace.account("puller", &json!({}), &["of-account"]).await;
    gets(&namespace, "d.example", &["d.example-pull"]).await;
    let plain = pod(&["d.example/app", "e.example/app"]);
    let under = |account: &str| with("spec", &json!({"serviceAccountName": account}), plain.clone());
    let own = json!({"serviceAccountName": "puller", "imagePullSecrets": [{"name": "own"}]});
    let out = json!({"labels": {"pullkey.dev/inject": "false"}});
    for (claim, pod, expected) in [
        ("plain", plain.clone(), &["d.example-pull"][..]),
        ("an account's", under("puller"), &["of-account", "d.example-pull"]),
        ("a strict account's", under("strict"), &["listed"]),
        (
            "with its own",
            with("spec", &own, plain.clone()),
            &["own", "d.example-pull"],
        ),
        ("opted out", with("metadata", &out, under("puller")), &["of-account"]),
        (
            "an older field",
            with("spec", &json!({"serviceAccount": "puller"}), plain.clone()),
            &["of-account", "d.example-pull"],
        ),
    ] {
        assert_eq!(explained(&namespace, &pod), expected, "{claim}");
        namespace.mutates(claim, &pod, expected).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_in_a_namespace_that_was_born_just_now_gets_its_secrets() {
    let following = Following::start(&[]).await;
    following.rule("b.example", &Value::Null).await;
    gets(&following.namespace(&json!({})).await, "b.example", &["b.example-pull"]).await;
    for _ in 0..10 {
        let namespace = following.namespace(&json!({})).await;
        assert_eq!(namespace.secrets_for(&["b.example/app"]).await, ["b.example-pull"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_may_be_left_to_settle() {
    let following = Following::start(&["--settle-new-namespaces=1s"]).await;
    let source = json!({"namespace": "pullkey-sources", "name": "c"});
    following.rule("c.example", &source).await;
    gets(&following.namespace(&json!({})).await, "c.example", &["c.example-pull"]).await;
    let replica = &following.pullkey.replicas[0];
    let retries = async || replica.metric("pullkey_retries_asked_total", "new_namespace").await;
    let before = retries().await;
    until("a Pod comes in the first second", async || {
        let namespace = following.namespace(&json!({})).await;
        assert_eq!(namespace.secrets_for(&["c.example/app"]).await, ["c.example-pull"]);
        (retries().await > before).then_some(())
    })
    .await;
}
