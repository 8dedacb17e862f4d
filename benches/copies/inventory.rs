//! A cluster that is not there: objects as an API server writes them, `managedFields` and all, each made when it is
//! asked for.
//!
//! Five rules are for all namespaces. Half of all rules are for two of them each, and the others are the tenants' own. So
//! there are five copies in every namespace, and one more for its team.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// How many rules are for all namespaces.
const BROAD: usize = 5;
/// How many rules of teams share a source.
const SHARED: usize = 5;
const TIME: &str = "2026-11-22T10:00:00Z";
const SOURCES: &str = "pullkey-sources";

/// How many objects there are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inventory {
    /// And as many rules, and six times as many copies.
    pub(crate) namespaces: usize,
    /// `ServiceAccount`s that are nobody's business, besides one in each namespace.
    pub(crate) accounts: usize,
}

impl Inventory {
    pub(crate) fn rules(&self) -> usize {
        self.namespaces
    }

    pub(crate) fn copies(&self) -> usize {
        self.namespaces * BROAD + self.team_rules() * 2
    }

    pub(crate) fn sources(&self) -> usize {
        BROAD + self.team_rules().div_ceil(SHARED)
    }

    pub(crate) fn all_accounts(&self) -> usize {
        self.namespaces + self.accounts
    }

    /// A page of the list at a path, from an index on; `None` where there is no such list.
    pub(crate) fn page(&self, path: &str, selector: &str, from: usize, limit: usize) -> Option<String> {
        let (count, object): (usize, &dyn Fn(usize) -> Value) = match path {
            "/apis/pullkey.dev/v1alpha1/clusterpullsecretrules" => {
                (BROAD + self.team_rules(), &|index| self.cluster_rule(index))
            }
            "/apis/pullkey.dev/v1alpha1/pullsecretrules" => (self.tenant_rules(), &tenant_rule),
            "/api/v1/namespaces" => (self.namespaces, &namespace),
            "/api/v1/serviceaccounts" => (self.all_accounts(), &|index| self.account(index)),
            "/api/v1/namespaces/pullkey-sources/secrets" => (self.sources(), &source),
            "/api/v1/secrets" if selector.contains("copy") => (self.copies(), &copy),
            "/api/v1/secrets" => (0, &source),
            _ => return None,
        };
        let to = count.min(from + limit);
        let mut page = String::from("{\"metadata\":{\"resourceVersion\":\"1\"");
        if to < count {
            let _ = write!(page, ",\"continue\":\"{to}\"");
        }
        page.push_str("},\"items\":[");
        for index in from..to {
            let comma = if index > from { "," } else { "" };
            let _ = write!(page, "{comma}{}", object(index));
        }
        page.push_str("]}");
        Some(page)
    }

    /// The rules that name two namespaces.
    fn team_rules(&self) -> usize {
        self.namespaces / 2
    }

    /// The others are of tenants.
    fn tenant_rules(&self) -> usize {
        self.namespaces - self.team_rules() - BROAD
    }

    fn cluster_rule(&self, index: usize) -> Value {
        let (name, namespaces, images, selected) = if index < BROAD {
            let namespaces = json!({"selector": {"matchExpressions": [
                {"key": "example.com/team", "operator": "Exists"},
                {"key": "example.com/registries", "operator": "NotIn", "values": ["none"]},
            ]}});
            let images = [
                format!("registry-{index}.example.com"),
                format!("mirror-{index}.example.com"),
            ];
            (format!("everybody-{index}"), namespaces, images, self.namespaces)
        } else {
            let team = index - BROAD;
            let names = [2 * team, 2 * team + 1].map(namespace_name);
            let images = [
                format!("ghcr.io/acme/team-{team:05}"),
                format!("harbor.example.com/team-{team:05}"),
            ];
            (format!("team-{team:05}"), json!({"include": names}), images, 2)
        };
        let copy_from = json!({"namespace": SOURCES, "name": source_name(source_of(index))});
        let spec = json!({
            "images": images, "mode": "Enforce", "namespaces": namespaces,
            "secret": {"name": secret_name(index), "copyFrom": copy_from},
        });
        rule(
            "ClusterPullSecretRule",
            &name,
            None,
            &spec,
            &status(&images, Some(selected)),
            index,
        )
    }

    fn account(&self, index: usize) -> Value {
        let (name, namespace) = match index.checked_sub(self.namespaces) {
            None => ("default".to_owned(), index),
            Some(other) => (format!("workload-{other:06}"), other % self.namespaces),
        };
        json!({"metadata": {
            "name": name, "namespace": namespace_name(namespace), "uid": uid(4, index),
            "resourceVersion": (700_000 + index).to_string(), "creationTimestamp": TIME,
            "labels": {"app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/instance": name},
            "managedFields": [managed("helm", "Update", "v1", "", &json!({"f:metadata": {"f:labels": {
                ".": {}, "f:app.kubernetes.io/managed-by": {}, "f:app.kubernetes.io/instance": {},
            }}}))],
        }})
    }
}

fn copy(index: usize) -> Value {
    // In the order of etcd's keys, namespace by namespace.
    let of_each = BROAD + 1;
    let (namespace, number) = (index / of_each, index % of_each);
    let rule = if number < BROAD { number } else { BROAD + namespace / 2 };
    let source = source_of(rule);
    let fields = json!({
        "f:data": {"f:.dockerconfigjson": {}},
        "f:metadata": {
            "f:annotations": {"f:pullkey.dev/source": {}, "f:pullkey.dev/source-version": {}},
            "f:labels": {"f:pullkey.dev/copy": {}},
        },
        "f:type": {},
    });
    json!({"metadata": {
        "name": secret_name(rule), "namespace": namespace_name(namespace), "uid": uid(6, index),
        "resourceVersion": (1_000_000 + index).to_string(), "creationTimestamp": TIME,
        "labels": {"pullkey.dev/copy": "true"},
        "annotations": {
            "pullkey.dev/source": format!("{SOURCES}/{}", source_name(source)),
            "pullkey.dev/source-version": format!("{}/{}", uid(5, source), 500_000 + source),
        },
        "managedFields": [managed("pullkey", "Apply", "v1", "", &fields)],
    }})
}

fn namespace(index: usize) -> Value {
    let name = namespace_name(index);
    let labels = json!({
        "kubernetes.io/metadata.name": name, "example.com/team": format!("team-{:05}", index / 2),
        "example.com/stage": stage(index), "pod-security.kubernetes.io/enforce": "baseline",
    });
    let fields = json!({"f:metadata": {
        "f:annotations": {".": {}, "f:example.com/owner": {}, "f:kubectl.kubernetes.io/last-applied-configuration": {}},
        "f:labels": {
            ".": {}, "f:kubernetes.io/metadata.name": {}, "f:example.com/team": {}, "f:example.com/stage": {},
            "f:pod-security.kubernetes.io/enforce": {},
        },
    }});
    let applied = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"labels": labels, "name": name}});
    json!({"metadata": {
        "name": name, "uid": uid(3, index), "resourceVersion": (300_000 + index).to_string(),
        "creationTimestamp": TIME, "labels": labels,
        "annotations": {
            "example.com/owner": format!("owner-{index}@example.com"),
            "kubectl.kubernetes.io/last-applied-configuration": applied.to_string(),
        },
        "managedFields": [managed("kubectl-client-side-apply", "Update", "v1", "", &fields)],
    }})
}

fn tenant_rule(index: usize) -> Value {
    let (name, namespace) = (format!("own-{index:05}"), namespace_name(2 * index));
    let images = [
        format!("quay.io/team-{index:05}"),
        format!("registry.gitlab.com/team-{index:05}"),
    ];
    let spec = json!({"images": images, "mode": "Enforce", "secret": {"name": format!("own-{index:05}-pull")}});
    rule(
        "PullSecretRule",
        &name,
        Some(&namespace),
        &spec,
        &status(&images, None),
        index,
    )
}

fn rule(kind: &str, name: &str, namespace: Option<&str>, spec: &Value, status: &Value, index: usize) -> Value {
    let (api_version, of_kind) = ("pullkey.dev/v1alpha1", if namespace.is_some() { 2 } else { 1 });
    let applied = json!({
        "apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": spec,
    });
    let last = "kubectl.kubernetes.io/last-applied-configuration";
    let fields = json!({
        "f:metadata": {"f:annotations": {".": {}, format!("f:{last}"): {}}},
        "f:spec": owned(spec),
    });
    let mut object = json!({
        "apiVersion": api_version, "kind": kind,
        "metadata": {
            "name": name, "uid": uid(of_kind, index), "resourceVersion": (200_000 + index).to_string(),
            "generation": 1, "creationTimestamp": TIME, "annotations": {last: applied.to_string()},
            "managedFields": [
                managed("kubectl-client-side-apply", "Update", api_version, "", &fields),
                managed("pullkey", "Apply", api_version, "status", &json!({"f:status": owned(status)})),
            ],
        },
        "spec": spec, "status": status,
    });
    if let Some(namespace) = namespace {
        object["metadata"]["namespace"] = json!(namespace);
    }
    object
}

/// What the controller says of a rule whose copies are all there; where that is another thing by now, it writes.
fn status(images: &[String], selected: Option<usize>) -> Value {
    let mut hosts: Vec<_> = images.iter().filter_map(|image| image.split('/').next()).collect();
    hosts.sort_unstable();
    let condition = |r#type: &str, reason: &str, message: &str| {
        json!({
            "type": r#type, "status": "True", "reason": reason, "message": message, "observedGeneration": 1,
            "lastTransitionTime": TIME,
        })
    };
    let in_force = condition("Ready", "InForce", "the rule is in force");
    let Some(selected) = selected else {
        return json!({"observedGeneration": 1, "registries": hosts, "conditions": [in_force]});
    };
    let valid = "the source holds credentials that the kubelet can use";
    json!({
        "observedGeneration": 1, "registries": hosts,
        "namespaces": {"selected": selected, "ready": selected, "refused": 0},
        "conditions": [
            in_force,
            condition("SourceValid", "Valid", valid),
            condition("CopiesReady", "AllReady", &format!("{selected} of {selected} are ready")),
        ],
    })
}

fn source(index: usize) -> Value {
    use base64::Engine as _;
    let auth = base64::engine::general_purpose::STANDARD.encode(format!("robot-{index}:{}", "p".repeat(48)));
    let config = json!({"auths": {format!("registry-{index}.example.com"): {"auth": auth}}});
    let data = base64::engine::general_purpose::STANDARD.encode(config.to_string());
    let fields = json!({"f:data": {".": {}, "f:.dockerconfigjson": {}}, "f:type": {}});
    json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {
            "name": source_name(index), "namespace": SOURCES, "uid": uid(5, index),
            "resourceVersion": (500_000 + index).to_string(), "creationTimestamp": TIME,
            "managedFields": [managed("external-secrets", "Update", "v1", "", &fields)],
        },
        "type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": data},
    })
}

fn managed(manager: &str, operation: &str, api_version: &str, subresource: &str, fields: &Value) -> Value {
    let mut entry = json!({
        "manager": manager, "operation": operation, "apiVersion": api_version, "time": TIME, "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    });
    if !subresource.is_empty() {
        entry["subresource"] = json!(subresource);
    }
    entry
}

/// The fields of an object, as an entry of `managedFields` names them.
fn owned(value: &Value) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (format!("f:{name}"), owned(value)))
            .collect(),
        _ => json!({}),
    }
}

fn namespace_name(index: usize) -> String {
    format!("team-{:05}-{}", index / 2, stage(index))
}

fn stage(namespace: usize) -> &'static str {
    ["production", "staging"][namespace % 2]
}

fn secret_name(rule: usize) -> String {
    match rule.checked_sub(BROAD) {
        None => format!("everybody-{rule}-pull"),
        Some(team) => format!("team-{team:05}-pull"),
    }
}

fn source_of(rule: usize) -> usize {
    rule.checked_sub(BROAD).map_or(rule, |team| BROAD + team / SHARED)
}

fn source_name(index: usize) -> String {
    format!("registry-{index:05}")
}

fn uid(kind: usize, index: usize) -> String {
    format!("{index:08x}-0000-4000-8000-{kind:012x}")
}
