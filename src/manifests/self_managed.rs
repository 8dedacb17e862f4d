//! A serving certificate by Pullkey's own controller: the rights that it needs for that, and what keeps them small.
//!
//! Whoever may write a webhook configuration may have a say about every object of the cluster. So these rights come with
//! this way to a certificate only, are for three objects by their names, and a policy, which the API server asks even
//! about webhook configurations, leaves nothing of them but the `caBundle`.

use serde_json::{Value, json};

use super::controller::{
    CONTROLLER, POLICY_VERSION, RBAC_VERSION, cluster_role_binding, is_the_controller, policy_binding, role_binding,
};
use super::{AUTHORITIES, CERTIFICATE, Manifest, NAME, Options, controller_labels};

/// The name of all that only this way to a certificate needs.
const CERTIFICATES: &str = "pullkey-certificates";
/// The policy for the registration.
const CA_BUNDLE: &str = "pullkey-ca-bundle";

/// What a webhook in a configuration consists of, but for its `clientConfig`.
const WEBHOOK_FIELDS: [&str; 11] = [
    "admissionReviewVersions",
    "failurePolicy",
    "matchConditions",
    "matchPolicy",
    "name",
    "namespaceSelector",
    "objectSelector",
    "reinvocationPolicy",
    "rules",
    "sideEffects",
    "timeoutSeconds",
];

/// What limits the account before what gives it rights.
pub(super) fn objects(options: &Options) -> Vec<Manifest> {
    vec![
        secrets_policy(options),
        policy_binding(CERTIFICATES),
        registration_policy(options),
        policy_binding(CA_BUNDLE),
        role(options),
        role_binding(CERTIFICATES, &options.namespace, options),
        cluster_role(),
        cluster_role_binding(CERTIFICATES, options),
    ]
}

/// What the controller's container is told besides.
pub(super) fn arguments(options: &Options) -> Vec<String> {
    vec![
        "--manage-certificates".to_owned(),
        format!("--serving-port={}", options.https_port),
    ]
}

/// What is no business of the policy for copies: the two Secrets, for which there is another policy.
pub(super) fn exemption(options: &Options) -> Value {
    json!({
        "expression": format!("!({})", is_one_of_both(options)),
        "name": "is-no-certificate",
    })
}

/// Changes an object of the controller to what it is with this way to a certificate.
pub(super) fn adapt(manifest: &mut Manifest, options: &Options) {
    let object = &mut manifest.object;
    let (kind, name) = (object.get("kind"), object.pointer("/metadata/name"));
    let (place, more): (_, Vec<Value>) = match (kind.and_then(Value::as_str), name.and_then(Value::as_str)) {
        (Some("Deployment"), Some(CONTROLLER)) => {
            let arguments = arguments(options).into_iter().map(Value::from);
            (ARGUMENTS, arguments.collect())
        }
        (Some("ValidatingAdmissionPolicy"), Some(CONTROLLER)) => (CONDITIONS, vec![exemption(options)]),
        _ => return,
    };
    if let Some(list) = object.pointer_mut(place).and_then(Value::as_array_mut) {
        list.extend(more);
    }
}

/// Where in the Deployment the arguments are.
pub(super) const ARGUMENTS: &str = "/spec/template/spec/containers/0/args";
/// Where in the policy for copies it is said what it is about.
pub(super) const CONDITIONS: &str = "/spec/matchConditions";

fn is_one_of_both(options: &Options) -> String {
    format!(
        "request.namespace == '{}' && request.name in ['{AUTHORITIES}', '{CERTIFICATE}']",
        options.namespace
    )
}

fn policy(comment: &str, name: &str, conditions: &Value, rule: &Value, validations: &Value) -> Manifest {
    Manifest::new(
        comment,
        json!({
            "apiVersion": POLICY_VERSION,
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"labels": controller_labels(), "name": name},
            "spec": {
                "failurePolicy": "Fail",
                "matchConditions": conditions,
                "matchConstraints": {
                    "matchPolicy": "Equivalent",
                    "namespaceSelector": {},
                    "objectSelector": {},
                    "resourceRules": [rule],
                },
                "validations": validations,
            },
        }),
    )
}

fn secrets_policy(options: &Options) -> Manifest {
    policy(
        "What the controller may make of its two Secrets: certificates and keys, and no token of anybody.",
        CERTIFICATES,
        &json!([
            is_the_controller(options),
            {"expression": is_one_of_both(options), "name": "is-a-certificate"},
        ]),
        &json!({
            "apiGroups": [""],
            "apiVersions": ["v1"],
            "operations": ["CREATE", "UPDATE"],
            "resources": ["secrets"],
            "scope": "*",
        }),
        &json!([{
            "expression": format!("object.type == (request.name == '{CERTIFICATE}' ? 'kubernetes.io/tls' : 'Opaque')"),
            "message": "this Secret is for certificates",
        }]),
    )
}

fn registration_policy(options: &Options) -> Manifest {
    let same = |field: &str| format!("new.?{field} == old.?{field}");
    let client = ["service", "url"].map(|field| format!("new.clientConfig.?{field} == old.clientConfig.?{field}"));
    let same_webhook: Vec<_> = WEBHOOK_FIELDS.into_iter().map(same).chain(client).collect();
    let metadata = ["annotations", "finalizers", "labels", "ownerReferences"];
    let same_metadata = metadata.map(|field| format!("object.metadata.?{field} == oldObject.metadata.?{field}"));
    let webhooks = |object: &str| format!("{object}.?webhooks.orValue([])");
    let (new, old) = (webhooks("object"), webhooks("oldObject"));
    let on_update = |expression: String| format!("request.operation != 'UPDATE' || ({expression})");
    let validation = |expression: String, message: &str| json!({"expression": expression, "message": message});
    policy(
        "What the controller may do to webhook configurations: change the caBundle of its own, and nothing else.",
        CA_BUNDLE,
        &json!([is_the_controller(options)]),
        &json!({
            "apiGroups": ["admissionregistration.k8s.io"],
            "apiVersions": ["*"],
            "operations": ["CREATE", "UPDATE", "DELETE"],
            "resources": ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"],
            "scope": "*",
        }),
        &json!([
            validation(
                format!(
                    "request.operation == 'UPDATE' && request.name == '{NAME}' && \
                     request.resource.resource == 'mutatingwebhookconfigurations'"
                ),
                "only the registration of Pullkey is changed, and none is made or deleted",
            ),
            validation(on_update(same_metadata.join(" && ")), "only the caBundle is changed"),
            validation(
                on_update(format!(
                    "{new}.size() == {old}.size() && \
                     {new}.all(new, {old}.exists(old, {}))",
                    same_webhook.join(" && ")
                )),
                "only the caBundle is changed",
            ),
        ]),
    )
}

fn role(options: &Options) -> Manifest {
    Manifest::new(
        "The authorities with their keys, which nobody else needs to read, and the certificate that the webhook mounts.",
        json!({
            "apiVersion": RBAC_VERSION,
            "kind": "Role",
            "metadata": {"labels": controller_labels(), "name": CERTIFICATES, "namespace": options.namespace},
            "rules": [{
                "apiGroups": [""],
                "resourceNames": [AUTHORITIES, CERTIFICATE],
                "resources": ["secrets"],
                "verbs": ["create", "delete", "get", "patch", "update"],
            }],
        }),
    )
}

fn cluster_role() -> Manifest {
    Manifest::new(
        format!("The registration, of which the policy {CA_BUNDLE} leaves the caBundle to write."),
        json!({
            "apiVersion": RBAC_VERSION,
            "kind": "ClusterRole",
            "metadata": {"labels": controller_labels(), "name": CERTIFICATES},
            "rules": [{
                "apiGroups": ["admissionregistration.k8s.io"],
                "resourceNames": [NAME],
                "resources": ["mutatingwebhookconfigurations"],
                "verbs": ["get", "patch"],
            }],
        }),
    )
}
