//! What the controller may do with the rights of this mode, and what it may not.

use axum::http::Method;

use super::*;
use crate::harness::{Api, pull_secret};

const CONFIGURATIONS: &str = "/apis/admissionregistration.k8s.io/v1";
const SECRETS: &str = "/api/v1/namespaces/pullkey/secrets";
const OF_TENANT: &str = "/api/v1/namespaces/team-a/secrets";
const APPLY: &str = "application/apply-patch+yaml";
const JSON_PATCH: &str = "application/json-patch+json";
const MERGE_PATCH: &str = "application/merge-patch+json";
const JSON: &str = "application/json";
/// What a copy says of its source.
const SOURCE: &str = "pullkey.dev/source";
const VERSION: &str = "pullkey.dev/source-version";

/// Who refused, or that nobody did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Done,
    ByRole,
    ByPolicy,
}

/// A call, and what is to come of it.
struct Try {
    method: Method,
    path: String,
    form: &'static str,
    body: Value,
    expected: Verdict,
}

fn plain(method: Method, path: &str, body: Value, expected: Verdict) -> Try {
    let path = path.to_owned();
    Try {
        method,
        path,
        form: JSON,
        body,
        expected,
    }
}

fn apply(path: &str, body: Value, expected: Verdict) -> Try {
    apply_as("thief", path, body, expected)
}

fn apply_as(manager: &str, path: &str, body: Value, expected: Verdict) -> Try {
    Try {
        method: Method::PATCH,
        path: format!("{path}?fieldManager={manager}&force=true"),
        form: APPLY,
        body,
        expected,
    }
}

fn add(path: &str, place: &str, value: &Value, expected: Verdict) -> Try {
    Try {
        method: Method::PATCH,
        path: path.to_owned(),
        form: JSON_PATCH,
        body: json!([{"op": "add", "path": place, "value": value}]),
        expected,
    }
}

fn annotate(path: &str, key: &str, value: &Value, expected: Verdict) -> Try {
    Try {
        method: Method::PATCH,
        path: path.to_owned(),
        form: MERGE_PATCH,
        body: json!({"metadata": {"annotations": {key: value}}}),
        expected,
    }
}

fn secret(name: &str, form: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": form, "data": {"key": "dmFsdWU="},
    })
}

/// A webhook of somebody else's.
fn evil() -> Value {
    json!({
        "name": "more.pullkey.dev", "clientConfig": {"url": "https://evil.example"}, "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    })
}

fn configuration(kind: &str) -> Value {
    let metadata = json!({"name": "more"});
    let version = "admissionregistration.k8s.io/v1";
    json!({"apiVersion": version, "kind": kind, "metadata": metadata, "webhooks": [evil()]})
}

/// The two Secrets, others in the same namespace, and the same names elsewhere.
fn about_secrets() -> Vec<Try> {
    use Verdict::{ByPolicy, Done};
    let ca = |form| secret("pullkey-webhook-ca", form);
    let token = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
        "metadata": {
            "name": "pullkey-webhook-ca", "annotations": {"kubernetes.io/service-account.name": "pullkey-webhook"},
        },
    });
    vec![
        plain(Method::GET, AUTHORITIES, Value::Null, Done),
        add(SERVING, "/data/more", &json!("dmFsdWU="), Done),
        plain(Method::DELETE, AUTHORITIES, Value::Null, Done),
        apply(AUTHORITIES, token.clone(), ByPolicy),
        plain(Method::POST, SECRETS, token, ByPolicy),
        apply(AUTHORITIES, ca("example.org/other"), ByPolicy),
        apply(AUTHORITIES, ca("Opaque"), Done),
        apply(&format!("{SECRETS}/other"), secret("other", "Opaque"), ByPolicy),
        plain(Method::POST, SECRETS, secret("other", "Opaque"), ByPolicy),
        apply(
            "/api/v1/namespaces/team-a/secrets/pullkey-webhook-ca",
            ca("Opaque"),
            ByPolicy,
        ),
    ]
}

/// The registration: its `caBundle`, and everything else.
fn about_the_registration() -> Vec<Try> {
    use Verdict::{ByPolicy, ByRole, Done};
    let bundle = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "pullkey"},
        "webhooks": [{"name": "pods.pullkey.dev", "clientConfig": {"caBundle": "dmFsdWU="}}],
    });
    let owner = json!([{"apiVersion": "v1", "kind": "Namespace", "name": "pullkey", "uid": "1"}]);
    let changes = [
        ("/webhooks/0/failurePolicy", json!("Fail")),
        ("/webhooks/0/rules/0/resources/-", json!("secrets")),
        ("/webhooks/0/clientConfig/service/namespace", json!("team-a")),
        ("/webhooks/0/clientConfig/service/path", json!("/other")),
        ("/webhooks/0/clientConfig/service/port", json!(444)),
        ("/webhooks/0/namespaceSelector", json!({})),
        ("/webhooks/0/objectSelector", json!({"matchLabels": {"a": "b"}})),
        ("/webhooks/0/matchConditions", json!([])),
        ("/webhooks/0/matchPolicy", json!("Exact")),
        ("/webhooks/0/reinvocationPolicy", json!("Never")),
        ("/webhooks/0/sideEffects", json!("NoneOnDryRun")),
        ("/webhooks/0/timeoutSeconds", json!(30)),
        ("/webhooks/0/name", json!("other.pullkey.dev")),
        ("/webhooks/-", evil()),
        ("/webhooks", json!([])),
        ("/metadata/labels/more", json!("label")),
        (
            "/metadata/annotations",
            json!({"cert-manager.io/inject-apiserver-ca": "true"}),
        ),
        ("/metadata/finalizers", json!(["pullkey.dev/stay"])),
        ("/metadata/ownerReferences", owner),
    ];
    let changes = changes
        .iter()
        .map(|(place, value)| add(REGISTRATION, place, value, ByPolicy));
    let mut tries: Vec<_> = changes.collect();
    tries.push(apply(REGISTRATION, bundle, Done));
    let place = "/webhooks/0/clientConfig/caBundle";
    tries.push(add(REGISTRATION, place, &json!("dmFsdWUy"), Done));
    tries.push(plain(Method::DELETE, REGISTRATION, Value::Null, ByRole));
    for (resource, kind) in [
        ("mutatingwebhookconfigurations", "MutatingWebhookConfiguration"),
        ("validatingwebhookconfigurations", "ValidatingWebhookConfiguration"),
    ] {
        let path = format!("{CONFIGURATIONS}/{resource}");
        tries.push(plain(Method::GET, &path, Value::Null, ByRole));
        tries.push(plain(Method::POST, &path, configuration(kind), ByRole));
        tries.push(apply(&format!("{path}/more"), configuration(kind), ByRole));
    }
    tries
}

/// What the controller makes in a tenant's namespace.
fn copy() -> Try {
    let mut copy = pull_secret("copy", "x");
    copy["metadata"]["labels"] = json!({"pullkey.dev/copy": "true"});
    copy["metadata"]["annotations"] = json!({SOURCE: "pullkey-sources/ghcr", VERSION: "uid/1"});
    apply_as("pullkey", &format!("{OF_TENANT}/copy"), copy, Verdict::Done)
}

/// What a tenant does, to have what looks like one, and to what is one.
fn about_copies() -> Vec<Try> {
    use Verdict::{ByPolicy, Done};
    let [own, copy] = ["own", "copy"].map(|name| format!("{OF_TENANT}/{name}"));
    let secret = pull_secret("own", "x");
    let entry = json!({
        "manager": "pullkey", "operation": "Apply", "apiVersion": "v1", "time": "2026-11-22T10:00:00Z",
        "fieldsType": "FieldsV1", "fieldsV1": {"f:type": {}},
    });
    vec![
        apply_as("pullkey", &own, secret.clone(), ByPolicy),
        // That is no way to be taken for a copy.
        plain(
            Method::POST,
            &format!("{OF_TENANT}?fieldManager=pullkey"),
            secret.clone(),
            Done,
        ),
        apply_as("pullkey", &own, secret.clone(), ByPolicy),
        add(&own, "/metadata/managedFields/-", &entry, ByPolicy),
        add(&own, "/metadata/managedFields", &json!([entry]), ByPolicy),
        apply(&own, secret, Done),
        add(&copy, "/metadata/labels/more", &json!("label"), Done),
        add(&copy, "/metadata/annotations/more", &json!("annotation"), Done),
        annotate(&copy, SOURCE, &json!("pullkey-sources/other"), ByPolicy),
        annotate(&copy, VERSION, &json!("uid/2"), ByPolicy),
        // What it does not say, the controller says again. Nobody else does.
        annotate(&copy, VERSION, &Value::Null, Done),
        annotate(&copy, VERSION, &json!("uid/1"), ByPolicy),
        annotate(&own, SOURCE, &json!("pullkey-sources/other"), Done),
        add(&copy, "/data", &json!({".dockerconfigjson": "e30="}), Done),
        plain(Method::DELETE, &copy, Value::Null, Done),
    ]
}

/// What a policy refuses even who has every right about webhook configurations.
fn beyond_roles() -> Vec<Try> {
    let mut tries = about_the_registration();
    tries.retain(|one| one.expected == Verdict::ByRole && one.method != Method::GET);
    for one in &mut tries {
        one.expected = Verdict::ByPolicy;
    }
    tries
}

impl Try {
    async fn verdict(&self, api: &Api) -> Verdict {
        let body = (self.body != Value::Null).then_some(&self.body);
        let answer = api.call(self.method.clone(), &self.path, self.form, body).await;
        let message = answer.object["message"].as_str().unwrap_or_default();
        match answer.status {
            200..300 => Verdict::Done,
            403 if message.contains(" cannot ") => Verdict::ByRole,
            422 if message.contains("ValidatingAdmissionPolicy 'pullkey-") => Verdict::ByPolicy,
            status => panic!("{} {}: {status}: {message}", self.method, self.path),
        }
    }

    async fn holds(&self, api: &Api) {
        let Self { method, path, body, .. } = self;
        assert_eq!(self.verdict(api).await, self.expected, "{method} {path} {body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_and_policies_leave_two_secrets_and_one_field() {
    let cluster = installed(&[]).await;
    in_order(&cluster).await;
    // What is tried here is not to be put right meanwhile.
    stop_controllers(&cluster).await;
    let thief = cluster.account("pullkey", "pullkey-controller").await;
    for one in about_secrets().iter().chain(&about_the_registration()) {
        one.holds(&thief).await;
    }
    cluster
        .run(
            "kubectl create clusterrole too-much --verb='*' \
                 --resource=mutatingwebhookconfigurations,validatingwebhookconfigurations
             kubectl create clusterrolebinding too-much --clusterrole too-much \
                 --serviceaccount pullkey:pullkey-controller",
        )
        .await;
    let list = format!("{CONFIGURATIONS}/validatingwebhookconfigurations");
    until("the role is known", async || {
        (thief.get(&list).await.status == 200).then_some(())
    })
    .await;
    for one in beyond_roles() {
        one.holds(&thief).await;
    }
    copy().holds(&thief).await;
    cluster
        .run("kubectl create rolebinding tenant --clusterrole admin --namespace team-a --serviceaccount team-a:default")
        .await;
    let tenant = cluster.account("team-a", "default").await;
    until("the tenant has his rights", async || {
        (tenant.get(OF_TENANT).await.status == 200).then_some(())
    })
    .await;
    for one in about_copies() {
        one.holds(&tenant).await;
    }
    let webhook = cluster.account("pullkey", "pullkey-webhook").await;
    for path in [AUTHORITIES, SERVING, REGISTRATION] {
        assert_eq!(webhook.get(path).await.status, 403, "{path}");
    }
    start_controllers(&cluster).await;
    in_order(&cluster).await;
}
