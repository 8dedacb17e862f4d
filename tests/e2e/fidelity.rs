//! What becomes of the rest of a Pod: nothing. Each Pod here is created twice, with Pullkey and without, and both
//! answers of the API server are compared as a whole.

use serde_json::{Value, json};

use crate::harness::{Answer, Installation, Namespace, control_plane, named, pod, pull_secrets, rule, with};

const KIBIBYTE: usize = 1024;

/// Two namespaces that differ in Pullkey.
struct Twins {
    pullkey: Installation,
    ours: Namespace,
    without: Namespace,
}

impl Twins {
    async fn new() -> Self {
        let pullkey = Installation::with_rules(&rule("a", "a.example")).await;
        let ours = pullkey.namespace().await;
        let without = Namespace::with_labels(&json!({})).await;
        Self { pullkey, ours, without }
    }

    /// Creates the Pod in both.
    async fn answers(&self, pod: &Value) -> [Answer; 2] {
        let create = async |namespace: &Namespace| {
            let path = format!("{}?fieldValidation=Strict", namespace.path("pods", ""));
            namespace.api.create(&path, pod).await
        };
        [create(&self.ours).await, create(&self.without).await]
    }

    /// The Pod is created in both, and all that differs is that ours names that secret.
    async fn differ_in_the_secret_only(&self, what: &str, pod: &Value) -> Value {
        let [ours, without] = self.answers(pod).await;
        assert_eq!((ours.status, without.status), (201, 201), "{what}: {}", ours.object);
        assert_eq!(ours.warnings, without.warnings, "{what}");
        let (mut ours, without) = (essence(ours.object), essence(without.object));
        assert_eq!(pull_secrets(&ours), ["a-pull"], "{what}");
        ours["spec"].as_object_mut().unwrap().remove("imagePullSecrets");
        assert!(ours == without, "{what}: {ours}\nwithout Pullkey: {without}");
        ours
    }

    /// The API server says the same to both, after that many calls of ours.
    async fn agree(&self, what: &str, pod: &Value, status: u16, calls: u32) {
        let called = self.pullkey.calls_from_now().await;
        let [ours, without] = self.answers(pod).await;
        assert_eq!(
            (ours.status, without.status),
            (status, status),
            "{what}: {}",
            ours.object
        );
        assert_eq!(essence(ours.object), essence(without.object), "{what}");
        called.are(calls, what).await;
    }
}

/// An object without what differs between any two that are created alike.
fn essence(mut object: Value) -> Value {
    for member in [
        "uid",
        "creationTimestamp",
        "resourceVersion",
        "managedFields",
        "namespace",
    ] {
        object["metadata"].as_object_mut().unwrap().remove(member);
    }
    let conditions = object.pointer_mut("/status/conditions").and_then(Value::as_array_mut);
    for condition in conditions.into_iter().flatten() {
        condition.as_object_mut().unwrap().remove("lastTransitionTime");
    }
    object
}

/// A Pod with an image that has a rule, and these members of its `spec`.
fn app(name: &str, spec: &Value) -> Value {
    // The volume of the token has a name by chance.
    let pod = with(
        "spec",
        &json!({"automountServiceAccountToken": false}),
        pod(&["a.example/app"]),
    );
    named(name, with("spec", spec, pod))
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_that_the_webhook_has_never_heard_of_are_kept() {
    let twins = Twins::new().await;
    let container = json!({
        "name": "app",
        "image": "a.example/app",
        "env": [{"name": "A", "valueFrom": {"fileKeyRef": {"volumeName": "env", "path": "a.env", "key": "A"}}}],
        "resources": {"claims": [{"name": "gpu", "request": "one"}]},
        "restartPolicy": "Never",
        "restartPolicyRules": [{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}],
        "securityContext": {"procMount": "Default", "seccompProfile": {"type": "RuntimeDefault"}},
        "volumeMounts": [{"name": "data", "mountPath": "/data", "subPath": "a", "recursiveReadOnly": "Disabled"}],
    });
    let certificate =
        json!({"signerName": "example.com/pods", "keyType": "ED25519", "credentialBundlePath": "both.pem"});
    let spec = json!({
        "containers": [container],
        "hostUsers": false,
        "hostnameOverride": "elsewhere",
        "os": {"name": "linux"},
        "resourceClaims": [{"name": "gpu", "resourceClaimTemplateName": "gpus"}],
        "resources": {"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}},
        "schedulingGates": [{"name": "example.com/later"}],
        "volumes": [
            {"name": "data", "image": {"reference": "public.example/data", "pullPolicy": "Always"}},
            {"name": "env", "emptyDir": {"sizeLimit": "1Mi"}},
            {"name": "certificate", "projected": {"sources": [{"podCertificate": certificate}]}},
        ],
    });
    let stored = twins.differ_in_the_secret_only("new fields", &app("new", &spec)).await;
    for (field, value) in spec.as_object().unwrap() {
        contains(&stored["spec"][field], value, field);
    }
}

/// Everything of `expected` is in `found`, which may have defaults beside it.
fn contains(found: &Value, expected: &Value, what: &str) {
    match (found, expected) {
        (Value::Object(_), Value::Object(members)) => {
            for (name, value) in members {
                contains(&found[name], value, &format!("{what}.{name}"));
            }
        }
        (Value::Array(_), Value::Array(items)) => {
            for (index, value) in items.iter().enumerate() {
                contains(&found[index], value, &format!("{what}[{index}]"));
            }
        }
        _ => assert_eq!(found, expected, "{what}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_pods_are_taken_as_they_are() {
    let twins = Twins::new().await;
    let unparsable = [
        "A.example/UPPER",
        "a b",
        "https://a.example/app",
        "a.example/ü",
        "::",
        "💥",
        "a.example/app:",
    ];
    let unparsable = pod(&[&unparsable[..], &["a.example/app"]].concat())["spec"].take();
    let thousand: Vec<_> = (0..1000)
        .map(|number| format!("registry-{number}.example/app"))
        .collect();
    let thousand: Vec<_> = thousand.iter().map(String::as_str).chain(["a.example/app"]).collect();
    let thousand = pod(&thousand)["spec"].take();
    let odd = "\u{0}\u{1f}\"\\/\u{2028}\u{feff}\u{fffd}💥\u{10ffff}";
    let annotations = json!({"annotations": {"odd": odd, "json": "{\"spec\":{\"containers\":[]}}"}});
    let rows = [
        ("images that do not parse", app("unparsable", &unparsable)),
        ("a thousand images", app("thousand", &thousand)),
        ("any character", with("metadata", &annotations, app("odd", &json!({})))),
        ("more than a mebibyte", sized("large", 1200 * KIBIBYTE)),
    ];
    for (what, pod) in rows {
        twins.differ_in_the_secret_only(what, &pod).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_api_server_refuses_is_refused_as_without_us() {
    let twins = Twins::new().await;
    let rows = [
        ("more than etcd takes", sized("larger", 2000 * KIBIBYTE), 500, 1),
        (
            "more than a request may have",
            sized("largest", 3200 * KIBIBYTE),
            413,
            0,
        ),
        ("no container", app("none", &json!({"containers": []})), 422, 1),
        ("null for containers", app("null", &json!({"containers": null})), 422, 1),
        (
            "no image",
            app("imageless", &json!({"containers": [{"name": "app"}]})),
            422,
            1,
        ),
        (
            "a space around an image",
            app(
                "space",
                &json!({"containers": [{"name": "app", "image": " a.example/app"}]}),
            ),
            422,
            1,
        ),
        (
            "text for containers",
            app("text", &json!({"containers": "app"})),
            400,
            0,
        ),
        (
            "a number for a secret",
            app("number", &json!({"imagePullSecrets": [{"name": 1}]})),
            400,
            0,
        ),
        (
            "a field that nobody knows",
            app("unknown", &json!({"imagePullSecret": []})),
            400,
            0,
        ),
    ];
    for (what, pod, status, calls) in rows {
        twins.agree(what, &pod, status, calls).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_nests_too_deep_is_not_read_and_not_refused() {
    let pullkey = Installation::with_rules(&rule("a", "a.example")).await;
    let namespace = pullkey.namespace().await;
    for (depth, secrets) in [(100, "a-pull"), (200, "")] {
        // The one place of a Pod that nests without end: a caller may say who owns which field.
        let fields = (0..depth).fold(json!({}), |inner, _| json!({"f:metadata": inner}));
        let owner = json!({
            "manager": "somebody", "operation": "Update", "apiVersion": "v1",
            "fieldsType": "FieldsV1", "fieldsV1": fields,
        });
        let pod = with("metadata", &json!({"managedFields": [owner]}), pod(&["a.example/app"]));
        let create = [
            "create",
            "-f=-",
            "-o=jsonpath={.spec.imagePullSecrets[*].name}",
            "--namespace",
            &namespace.name,
        ];
        assert_eq!(
            control_plane().kubectl(&create, &pod.to_string()),
            secrets,
            "{depth} levels"
        );
    }
    let refused = pullkey.replicas[0].metric("pullkey_requests_total", "400").await;
    assert!((1.0..2.0).contains(&refused), "{refused}");
}

/// A Pod of about that many bytes.
fn sized(name: &str, bytes: usize) -> Value {
    let text = "x".repeat(KIBIBYTE);
    let variables: Vec<_> = (0..bytes / KIBIBYTE)
        .map(|number| json!({"name": format!("V{number}"), "value": text}))
        .collect();
    let container = json!({"name": "app", "image": "a.example/app", "env": variables});
    app(name, &json!({"containers": [container]}))
}
