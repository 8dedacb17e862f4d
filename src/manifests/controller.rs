//! What runs the controller, and what it may do.

use serde_json::{Value, json};

use super::options::NamespaceName;
use super::part::{HEALTH, Part, Pods};
use super::workload::replicas_name;
use super::{Manifest, NAME, Options, controller_labels};
use crate::controller::names::{Names, OPTION};
use crate::controller::{ADOPT_LABEL, COPY_LABEL, FIELD_MANAGER, SOURCE_ANNOTATION, VERSION_ANNOTATION};
use crate::credentials::ConfigForm;
use crate::rules::Kind;
use crate::rules::compile::API_VERSION;
use crate::rules::namespaces::PROTECTED;

/// The name of everything that belongs to the controller alone.
pub const CONTROLLER: &str = "pullkey-controller";
/// Where sources come from unless someone says otherwise.
pub const SOURCES: &str = "pullkey-sources";
pub(super) const RBAC: &str = "rbac.authorization.k8s.io";
pub(super) const RBAC_VERSION: &str = "rbac.authorization.k8s.io/v1";
pub(super) const POLICY_VERSION: &str = "admissionregistration.k8s.io/v1";
/// The policy for everybody else.
const COPIES: &str = "pullkey-copies";

/// All of it, in the order in which it is to be applied: what limits the account before what gives it rights.
pub(super) fn objects(options: &Options) -> Vec<Manifest> {
    let default = options
        .source_namespaces
        .iter()
        .filter(|namespace| namespace.0 == SOURCES);
    let mut objects: Vec<_> = default.map(sources).collect();
    objects.extend([account(options), policy(options), policy_binding(CONTROLLER)]);
    objects.extend([policy_for_others(options), policy_binding(COPIES)]);
    objects.extend([cluster_role(options), cluster_role_binding(CONTROLLER, options)]);
    objects.extend([
        lease_role(options),
        role_binding(CONTROLLER, &options.namespace, options),
    ]);
    for namespace in &options.source_namespaces {
        if let Some(role) = source_role(namespace, options) {
            objects.extend([role, role_binding(CONTROLLER, namespace, options)]);
        }
    }
    objects.extend([deployment(options), disruption_budget(options), network_policy(options)]);
    objects
}

fn sources(namespace: &NamespaceName) -> Manifest {
    Manifest::new(
        "Where the pull secrets are that copies are made of. Whoever may write here may replace what whole namespaces pull\n\
         with: give that right to nobody but the policy team.",
        json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"labels": controller_labels(), "name": namespace},
        }),
    )
}

fn account(options: &Options) -> Manifest {
    Manifest::new(
        "Whom the API server knows the controller as. Only its own Pods get a token.",
        json!({
            "apiVersion": "v1",
            "automountServiceAccountToken": false,
            "kind": "ServiceAccount",
            "metadata": {"labels": controller_labels(), "name": CONTROLLER, "namespace": options.namespace},
        }),
    )
}

fn policy(options: &Options) -> Manifest {
    let namespaces = PROTECTED.iter().copied().chain([options.namespace.0.as_str()]);
    let namespaces: Vec<_> = namespaces.map(|name| format!("'{name}'")).collect();
    let types = [ConfigForm::DockerConfigJson, ConfigForm::Dockercfg].map(|form| format!("'{}'", form.secret_type()));
    let labelled = |object: &str, (key, value): (&str, &str)| {
        format!(
            "(has({object}.metadata.labels) && '{key}' in {object}.metadata.labels && {object}.metadata.labels['{key}'] == '{value}')"
        )
    };
    let ours = format!("{} || {}", labelled("oldObject", COPY_LABEL), applied("oldObject"));
    Manifest::new(
        "What the controller's account may do with Secrets, whatever its roles say: should its token be stolen, no token of\n\
         another account can be made with it, and nothing that is not a copy can be written or deleted.",
        json!({
            "apiVersion": POLICY_VERSION,
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"labels": controller_labels(), "name": CONTROLLER},
            "spec": {
                "failurePolicy": "Fail",
                "matchConditions": [is_the_controller(options)],
                "matchConstraints": on_secrets(&["CREATE", "UPDATE", "DELETE"]),
                "validations": [
                    validation(
                        &format!("!(request.namespace in [{}])", namespaces.join(", ")),
                        "no copies are kept in this namespace",
                    ),
                    validation(
                        &format!("request.operation == 'DELETE' || object.type in [{}]", types.join(", ")),
                        "only pull secrets are copied",
                    ),
                    validation(
                        &format!("request.operation == 'DELETE' || {}", labelled("object", COPY_LABEL)),
                        "a copy carries the label of copies",
                    ),
                    validation(
                        &format!("request.operation != 'DELETE' || {ours}"),
                        "only copies are deleted",
                    ),
                    validation(
                        &format!("request.operation != 'UPDATE' || {ours} || {}", labelled("oldObject", ADOPT_LABEL)),
                        "only copies, and what its owner hands over, are changed",
                    ),
                ],
            },
        }),
    )
}

fn policy_for_others(options: &Options) -> Manifest {
    let record = [SOURCE_ANNOTATION, VERSION_ANNOTATION].map(|key| format!("'{key}'"));
    Manifest::new(
        "What everybody else may not do with Secrets: to apply them under the controller's name, which the API server lets\n\
         anybody choose, or to say that it did, or to say of a copy that it is of another source. By that name the controller\n\
         knows its copies, and by what they say whether a rule that makes none keeps them fresh.",
        json!({
            "apiVersion": POLICY_VERSION,
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"labels": controller_labels(), "name": COPIES},
            "spec": {
                "failurePolicy": "Fail",
                "matchConditions": [{
                    "expression": format!("!({})", by_the_controller(options)),
                    "name": "is-somebody-else",
                }],
                "matchConstraints": on_secrets(&["CREATE", "UPDATE"]),
                "validations": [
                    validation(
                        &format!("!{} || request.operation == 'UPDATE' && {}", applied("object"), applied("oldObject")),
                        "only Pullkey's controller makes copies",
                    ),
                    validation(
                        &format!(
                            "request.operation == 'CREATE' || !{} || [{}].all(key, \
                             !object.metadata.?annotations[?key].hasValue() || \
                             object.metadata.?annotations[?key] == oldObject.metadata.?annotations[?key])",
                            applied("oldObject"),
                            record.join(", ")
                        ),
                        "only Pullkey's controller says what a copy is made of",
                    ),
                ],
            },
        }),
    )
}

/// Whether that object was applied under the controller's name.
fn applied(object: &str) -> String {
    format!(
        "(has({object}.metadata.managedFields) && {object}.metadata.managedFields.exists(entry, \
         entry.manager == '{FIELD_MANAGER}' && entry.operation == 'Apply'))"
    )
}

fn validation(expression: &str, message: &str) -> Value {
    json!({"expression": expression, "message": message})
}

/// What policies about Secrets are about, with what the API server would fill in: who applies this on the server's side
/// owns it as a whole.
fn on_secrets(operations: &[&str]) -> Value {
    json!({
        "matchPolicy": "Equivalent",
        "namespaceSelector": {},
        "objectSelector": {},
        "resourceRules": [{
            "apiGroups": [""],
            "apiVersions": ["v1"],
            "operations": operations,
            "resources": ["secrets"],
            "scope": "*",
        }],
    })
}

fn by_the_controller(options: &Options) -> String {
    let namespace = &options.namespace;
    format!("request.userInfo.username == 'system:serviceaccount:{namespace}:{CONTROLLER}'")
}

/// The condition of policies for its account.
pub(super) fn is_the_controller(options: &Options) -> Value {
    json!({"expression": by_the_controller(options), "name": "is-the-controller"})
}

/// What puts that policy in force.
pub(super) fn policy_binding(policy: &str) -> Manifest {
    Manifest::new(
        "Puts that policy in force, everywhere.",
        json!({
            "apiVersion": POLICY_VERSION,
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"labels": controller_labels(), "name": policy},
            "spec": {"policyName": policy, "validationActions": ["Deny"]},
        }),
    )
}

fn cluster_role(options: &Options) -> Manifest {
    let (group, _) = API_VERSION.split_once('/').unwrap_or_default();
    let kinds = [Kind::ClusterPullSecretRule, Kind::PullSecretRule].map(Kind::plural);
    let statuses = kinds.map(|plural| format!("{plural}/status"));
    let copies = options
        .secret_names
        .as_ref()
        .map(|names| names.copies.iter().map(String::as_str).collect::<Vec<_>>());
    let secrets = rights_on_secrets(
        copies.as_deref(),
        &["create", "delete", "get", "list", "patch", "watch"],
    );
    let rules = [
        Some(json!({"apiGroups": [group], "resources": kinds, "verbs": ["list", "watch"]})),
        Some(json!({"apiGroups": [group], "resources": statuses, "verbs": ["patch"]})),
        Some(json!({"apiGroups": [""], "resources": ["namespaces"], "verbs": ["list", "watch"]})),
        secrets,
        Some(json!({"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create"]})),
    ];
    let comment = if options.secret_names.is_some() {
        "Rules and namespaces are read, copies are read and written, statuses and events are told. Of Secrets outside of the\n\
         source namespaces only those with the names of copies are touched, and only their metadata is asked for."
    } else {
        "Rules and namespaces are read, copies are read and written, statuses and events are told. Of Secrets outside of the\n\
         source namespaces only the metadata of copies is asked for; roles cannot say that, nor name a label."
    };
    Manifest::new(
        comment,
        json!({
            "apiVersion": RBAC_VERSION,
            "kind": "ClusterRole",
            "metadata": {"labels": controller_labels(), "name": CONTROLLER},
            "rules": rules.into_iter().flatten().collect::<Vec<_>>(),
        }),
    )
}

/// What may be done with Secrets: all of them, or those of these names. No name would be taken for any.
fn rights_on_secrets(names: Option<&[&str]>, verbs: &[&str]) -> Option<Value> {
    let are_some = names.is_none_or(|names| !names.is_empty());
    are_some.then(|| json!({"apiGroups": [""], "resourceNames": names, "resources": ["secrets"], "verbs": verbs}))
}

/// What gives the account a role everywhere, under the role's name.
pub(super) fn cluster_role_binding(role: &str, options: &Options) -> Manifest {
    Manifest::new(
        "Gives the controller that role.",
        json!({
            "apiVersion": RBAC_VERSION,
            "kind": "ClusterRoleBinding",
            "metadata": {"labels": controller_labels(), "name": role},
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
            "subjects": [subject(options)],
        }),
    )
}

fn lease_role(options: &Options) -> Manifest {
    let group = "coordination.k8s.io";
    Manifest::new(
        "By this Lease one replica knows that it is the one that writes.",
        json!({
            "apiVersion": RBAC_VERSION,
            "kind": "Role",
            "metadata": {"labels": controller_labels(), "name": CONTROLLER, "namespace": options.namespace},
            "rules": [
                {"apiGroups": [group], "resources": ["leases"], "verbs": ["create"]},
                {"apiGroups": [group], "resourceNames": [CONTROLLER], "resources": ["leases"], "verbs": ["get", "update"]},
            ],
        }),
    )
}

/// The rights on sources, if there are any in this namespace.
fn source_role(namespace: &NamespaceName, options: &Options) -> Option<Manifest> {
    let names = options.secret_names.as_ref().map(|names| {
        let sources = names.sources.iter().filter(|source| source.namespace == namespace.0);
        sources.map(|source| source.name.as_str()).collect::<Vec<_>>()
    });
    let secrets = rights_on_secrets(names.as_deref(), &["list", "watch"])?;
    Some(Manifest::new(
        "Here whole Secrets are read: copies are made of them.",
        json!({
            "apiVersion": RBAC_VERSION,
            "kind": "Role",
            "metadata": {"labels": controller_labels(), "name": CONTROLLER, "namespace": namespace},
            "rules": [secrets],
        }),
    ))
}

/// What gives the account a role in one namespace, under the role's name.
pub(super) fn role_binding(role: &str, namespace: &NamespaceName, options: &Options) -> Manifest {
    Manifest::new(
        "Gives the controller that role.",
        json!({
            "apiVersion": RBAC_VERSION,
            "kind": "RoleBinding",
            "metadata": {"labels": controller_labels(), "name": role, "namespace": namespace},
            "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": role},
            "subjects": [subject(options)],
        }),
    )
}

fn subject(options: &Options) -> Value {
    json!({"kind": "ServiceAccount", "name": CONTROLLER, "namespace": options.namespace})
}

fn part(options: &Options) -> Part<'_> {
    Part {
        name: CONTROLLER,
        labels: controller_labels(),
        options,
    }
}

fn deployment(options: &Options) -> Manifest {
    let mut arguments = vec![
        "controller".to_owned(),
        format!("--health-listen=[::]:{}", options.health_port),
        format!("--own-namespace={}", options.namespace),
    ];
    let sources = options.source_namespaces.iter();
    arguments.extend(sources.map(|namespace| format!("--source-namespace={namespace}")));
    arguments.push(format!("--webhook-replicas={}", replicas_name(options)));
    let names = options.secret_names.iter().flat_map(Names::iter);
    arguments.extend(names.map(|name| format!("{OPTION}={name}")));
    arguments.push("--log-format=json".to_owned());
    let pods = Pods {
        replicas: 2,
        name: "controller",
        arguments,
        ports: &[(HEALTH, options.health_port)],
        cpu: "20m",
        grace: 10,
        on_host: false,
        dns_policy: None,
        volumes: None,
        mounts: None,
    };
    part(options).deployment(
        "The controller. One replica writes; the other one watches, knows the same, and takes over within seconds.",
        &pods,
    )
}

fn disruption_budget(options: &Options) -> Manifest {
    part(options).disruption_budget("A drained node takes one replica along, never both.")
}

fn network_policy(options: &Options) -> Manifest {
    let comment = format!(
        "Probes and metrics come in. What goes out goes to the API server, whose address differs from cluster to cluster, to\n\
         the cluster's DNS, and to the webhook's port for probes: whoever knows them adds an `egress`. The labels are those\n\
         of {NAME}'s other parts."
    );
    part(options).network_policy(comment, &[options.health_port])
}
