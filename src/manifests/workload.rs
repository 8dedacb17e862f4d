//! What runs the webhook, and what is around it.

use serde_json::json;

use super::part::{HEALTH, Part, Pods};
use super::{
    CERTIFICATE, CLUSTER_CRITICAL, DnsPolicy, Manifest, Options, REPLICAS, RULES, WEBHOOK, labels, webhook_labels,
};
use crate::rules::Kind;
use crate::rules::compile::API_VERSION;
use crate::server::Settings;

/// Where the container finds its rules.
const RULES_DIRECTORY: &str = "/etc/pullkey/rules";
/// And its certificate.
const CERTIFICATE_DIRECTORY: &str = "/etc/pullkey/tls";
/// The name of the port for calls.
const HTTPS: &str = "https";
/// What the Service listens on; a registration that names no port means this one.
pub(super) const SERVICE_PORT: u16 = 443;
/// What a kubelet may be late with the signal and a process with its end, in seconds.
const END_MARGIN: u64 = 5;

/// All but the namespace and the rules, in the order in which they are to be applied.
pub(super) fn objects(options: &Options) -> Vec<Manifest> {
    let first = [
        service_account(options),
        cluster_role(),
        cluster_role_binding(options),
        service(options),
        replicas(options),
    ];
    let then = [deployment(options), disruption_budget(options), network_policy(options)];
    first.into_iter().chain(critical_pods(options)).chain(then).collect()
}

pub(super) fn namespace(options: &Options) -> Manifest {
    let (standard, reason) = if options.host_network {
        (
            "privileged",
            "No other Pod Security Standard allows Pods on the network of their nodes.",
        )
    } else {
        (
            "restricted",
            "Nothing here needs more than the strictest Pod Security Standard allows.",
        )
    };
    Manifest::new(
        format!(
            "A namespace of Pullkey's own. The webhook is never asked about the Pods in it, so they start while it is down.\n\
             {reason}"
        ),
        json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "labels": {
                    "app.kubernetes.io/name": super::NAME,
                    "pod-security.kubernetes.io/audit": standard,
                    "pod-security.kubernetes.io/enforce": standard,
                    "pod-security.kubernetes.io/warn": standard,
                },
                "name": options.namespace,
            },
        }),
    )
}

fn service_account(options: &Options) -> Manifest {
    Manifest::new(
        "Whom the API server knows the webhook as. Only its own Pods get a token.",
        json!({
            "apiVersion": "v1",
            "automountServiceAccountToken": false,
            "kind": "ServiceAccount",
            "metadata": {"labels": webhook_labels(), "name": WEBHOOK, "namespace": options.namespace},
        }),
    )
}

fn cluster_role() -> Manifest {
    let (group, _) = API_VERSION.split_once('/').unwrap_or_default();
    let kinds = [Kind::ClusterPullSecretRule, Kind::PullSecretRule].map(Kind::plural);
    Manifest::new(
        "Rules are read, and the metadata of namespaces and service accounts; no Secrets, and nothing is written.",
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"labels": webhook_labels(), "name": WEBHOOK},
            "rules": [
                {"apiGroups": [group], "resources": kinds, "verbs": ["list", "watch"]},
                {"apiGroups": [""], "resources": ["namespaces", "serviceaccounts"], "verbs": ["list", "watch"]},
            ],
        }),
    )
}

fn cluster_role_binding(options: &Options) -> Manifest {
    Manifest::new(
        "Gives the webhook that role.",
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"labels": webhook_labels(), "name": WEBHOOK},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": WEBHOOK},
            "subjects": [{"kind": "ServiceAccount", "name": WEBHOOK, "namespace": options.namespace}],
        }),
    )
}

/// Only for the priority classes of the system: others are free.
fn critical_pods(options: &Options) -> Option<Manifest> {
    let class = options.priority_class.to_string();
    let manifest = Manifest::new(
        format!(
            "Some clusters, GKE among them, admit Pods of the class {class} outside of kube-system\n\
             only where a quota speaks of them."
        ),
        json!({
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"labels": labels(), "name": "pullkey-critical-pods", "namespace": options.namespace},
            "spec": {
                "hard": {"pods": "100"},
                "scopeSelector": {
                    "matchExpressions": [{"operator": "In", "scopeName": "PriorityClass", "values": [class]}],
                },
            },
        }),
    );
    [CLUSTER_CRITICAL, "system-node-critical"]
        .contains(&class.as_str())
        .then_some(manifest)
}

/// The rules as an object; kustomize makes the same of files.
pub(super) fn rules(options: &Options) -> Manifest {
    Manifest::new(
        "The rules, which the webhook reads again by itself when they change. Keep yours in a file and name it with\n\
         `--rules` whenever you print this: what is applied last counts.",
        json!({
            "apiVersion": "v1",
            "data": options.rules,
            "kind": "ConfigMap",
            "metadata": {"labels": webhook_labels(), "name": RULES, "namespace": options.namespace},
        }),
    )
}

fn service(options: &Options) -> Manifest {
    Manifest::new(
        "What the API server calls. It is not called `pullkey`: the variables that Kubernetes makes of a Service's name\n\
         would read as options.",
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"labels": webhook_labels(), "name": WEBHOOK, "namespace": options.namespace},
            "spec": {
                "ports": [{
                    "appProtocol": "https",
                    "name": HTTPS,
                    "port": SERVICE_PORT,
                    "protocol": "TCP",
                    "targetPort": HTTPS,
                }],
                "selector": webhook_labels(),
            },
        }),
    )
}

/// The name that leads to each of the webhook's replicas, with the port on which they are asked.
pub(super) fn replicas_name(options: &Options) -> String {
    format!("{REPLICAS}.{}.svc:{}", options.namespace, options.health_port)
}

fn replicas(options: &Options) -> Manifest {
    Manifest::new(
        "By this name the controller finds every replica of the webhook, ready or not, and asks when rules last matched. It\n\
         needs no right to read endpoints.",
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"labels": webhook_labels(), "name": REPLICAS, "namespace": options.namespace},
            "spec": {
                "clusterIP": "None",
                "ports": [{
                    "appProtocol": "http",
                    "name": HEALTH,
                    "port": options.health_port,
                    "protocol": "TCP",
                    "targetPort": HEALTH,
                }],
                "publishNotReadyAddresses": true,
                "selector": webhook_labels(),
            },
        }),
    )
}

fn deployment(options: &Options) -> Manifest {
    let Settings {
        drain_grace,
        drain_last_resort,
        ..
    } = Settings::default();
    let (grace, last_resort) = (drain_grace.as_secs(), drain_last_resort.as_secs());
    let rollout = if options.host_network {
        "An old Pod ends before a new one begins, since it has the ports of its node: the others answer meanwhile."
    } else {
        "A new Pod is ready before an old one ends, so a rollout loses no call."
    };
    let comment = format!(
        "The webhook. {rollout} An old one goes on serving\n\
         for {grace} s after SIGTERM, since API servers learn late of its end, and then waits at most {last_resort} s for the last\n\
         call; hence the grace period. Memory is bounded: what all calls together may hold stays below 200 MiB. CPU has\n\
         no limit, since a throttled webhook is a slow API server. Pods spread over nodes and zones as far as there are\n\
         some; a preferred anti-affinity would say the same twice. No user is named: the image has one without rights,\n\
         and OpenShift chooses its own. Nothing is mounted by subPath, which would never be updated."
    );
    // `[::]` takes calls over IPv6 and IPv4.
    let arguments = vec![
        "webhook".to_owned(),
        format!("--listen=[::]:{}", options.https_port),
        format!("--health-listen=[::]:{}", options.health_port),
        format!("--tls-cert={CERTIFICATE_DIRECTORY}/tls.crt"),
        format!("--tls-key={CERTIFICATE_DIRECTORY}/tls.key"),
        "--await-certificate".to_owned(),
        "--cluster".to_owned(),
        format!("--rules={RULES_DIRECTORY}"),
        format!("--own-namespace={}", options.namespace),
        format!("--drain-grace={grace}s"),
        "--log-format=json".to_owned(),
    ];
    let on_host = options.host_network.then_some(DnsPolicy::ClusterFirstWithHostNet);
    let pods = Pods {
        replicas: options.replicas.get(),
        name: "webhook",
        arguments,
        ports: &[(HTTPS, options.https_port), (HEALTH, options.health_port)],
        cpu: "50m",
        grace: grace + last_resort + END_MARGIN,
        on_host: options.host_network,
        dns_policy: options.dns_policy.or(on_host),
        volumes: Some(json!([
            {"configMap": {"name": RULES}, "name": "rules"},
            {"name": "tls", "secret": {"secretName": CERTIFICATE}},
        ])),
        mounts: Some(json!([
            {"mountPath": RULES_DIRECTORY, "name": "rules", "readOnly": true},
            {"mountPath": CERTIFICATE_DIRECTORY, "name": "tls", "readOnly": true},
        ])),
    };
    part(options).deployment(comment, &pods)
}

fn part(options: &Options) -> Part<'_> {
    Part {
        name: WEBHOOK,
        labels: webhook_labels(),
        options,
    }
}

fn disruption_budget(options: &Options) -> Manifest {
    part(options).disruption_budget(
        "A drained node takes one webhook along, never all. One that is not ready serves nobody and holds up no drain.",
    )
}

fn network_policy(options: &Options) -> Manifest {
    let comment = "Calls, probes and metrics come in. The API server, which calls and is asked, is no Pod, so only its address could be\n\
         named, and that differs from cluster to cluster: whoever knows it adds a `from` and an `egress`. Many networks let\n\
         nodes through in any case, so this is no proof of who calls; `--client-ca` of the webhook is.";
    part(options).network_policy(comment, &[options.https_port, options.health_port])
}
