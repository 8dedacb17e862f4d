//! The kinds of rules, and who may do what with them.

use serde_json::json;

use super::{Manifest, NAME, labels};
use crate::rules::Kind;
use crate::rules::compile::API_VERSION;
use crate::rules::schema::custom_resource_definitions;

const READ: [&str; 3] = ["get", "list", "watch"];
const WRITE: [&str; 5] = ["create", "delete", "deletecollection", "patch", "update"];
/// The labels by which the API server's own controller gathers roles. Its `edit` holds what its `view` holds, and its
/// `admin` what its `edit` holds.
const TO_VIEW: &str = "rbac.authorization.k8s.io/aggregate-to-view";
const TO_EDIT: &str = "rbac.authorization.k8s.io/aggregate-to-edit";

/// The definitions of both kinds.
pub(super) fn definitions() -> Vec<Manifest> {
    let comment = "Apply this before what uses it. Deleting it deletes every rule of the kind.";
    let definitions = custom_resource_definitions().into_iter().map(|mut definition| {
        json_patch::merge(&mut definition, &json!({"metadata": {"labels": labels()}}));
        Manifest::new(comment, definition)
    });
    definitions.collect()
}

/// Nobody may write the status of a rule but the controller.
pub(super) fn roles() -> Vec<Manifest> {
    vec![
        role(
            "Who may look at a namespace may look at its PullSecretRules.",
            "aggregate-to-view",
            Some(TO_VIEW),
            Kind::PullSecretRule,
            &READ,
        ),
        role(
            "Who may edit a namespace may write its PullSecretRules: they speak for that namespace alone, and name secrets that\n\
             are there already.",
            "aggregate-to-edit",
            Some(TO_EDIT),
            Kind::PullSecretRule,
            &WRITE,
        ),
        role(
            "For whoever is to ask why, with `pullkey explain --cluster`: bind it with a ClusterRoleBinding. Cluster rules hold no\n\
             credential, but they name registries and namespaces, those of others too, so no other role holds it.",
            "view-cluster-rules",
            None,
            Kind::ClusterPullSecretRule,
            &READ,
        ),
        role(
            "For the policy team: bind it with a ClusterRoleBinding. Whoever writes a ClusterPullSecretRule can hand out every\n\
             secret that the controller may take as a source, so no other role holds it.",
            "policy-team",
            None,
            Kind::ClusterPullSecretRule,
            &[READ.as_slice(), &WRITE].concat(),
        ),
    ]
}

fn role(comment: &str, name: &str, aggregation: Option<&str>, kind: Kind, verbs: &[&str]) -> Manifest {
    let (group, _) = API_VERSION.split_once('/').unwrap_or_default();
    let mut labels = labels();
    if let Some(aggregation) = aggregation {
        json_patch::merge(&mut labels, &json!({aggregation: "true"}));
    }
    Manifest::new(
        comment,
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"labels": labels, "name": format!("{NAME}-{name}")},
            "rules": [{"apiGroups": [group], "resources": [kind.plural()], "verbs": verbs}],
        }),
    )
}
