//! What the webhook and the controller have alike on a cluster: Pods that nobody has to fear for, and what is around them.
//!
//! In: the name and labels of one of them, and what only it has. Out: its objects.

use serde_json::{Value, json};

use super::{DnsPolicy, Manifest, Options};
use crate::health::{LIVEZ, READYZ};

/// The name of the port for probes and metrics.
pub(super) const HEALTH: &str = "health";

/// A program that is installed.
pub(super) struct Part<'o> {
    pub(super) name: &'static str,
    pub(super) labels: Value,
    pub(super) options: &'o Options,
}

/// What is its own about its Pods.
pub(super) struct Pods<'a> {
    pub(super) replicas: u16,
    /// The container's name.
    pub(super) name: &'a str,
    pub(super) arguments: Vec<String>,
    /// Names and numbers.
    pub(super) ports: &'a [(&'a str, u16)],
    /// The CPU that is asked for.
    pub(super) cpu: &'a str,
    /// How long its end may take, in seconds.
    pub(super) grace: u64,
    /// Whether they have the network, and so the ports, of their nodes.
    pub(super) on_host: bool,
    /// Unless it is the usual one.
    pub(super) dns_policy: Option<DnsPolicy>,
    pub(super) volumes: Option<Value>,
    pub(super) mounts: Option<Value>,
}

impl Part<'_> {
    fn metadata(&self) -> Value {
        json!({"labels": self.labels, "name": self.name, "namespace": self.options.namespace})
    }

    pub(super) fn deployment(&self, comment: impl Into<String>, pods: &Pods<'_>) -> Manifest {
        let tolerations = &self.options.tolerations;
        Manifest::new(
            comment,
            json!({
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": self.metadata(),
                "spec": {
                    "replicas": pods.replicas,
                    "selector": {"matchLabels": self.labels},
                    "strategy": strategy(pods.on_host),
                    "template": {
                        "metadata": {"labels": self.labels},
                        "spec": {
                            "automountServiceAccountToken": true,
                            "containers": [self.container(pods)],
                            "dnsPolicy": pods.dns_policy,
                            "enableServiceLinks": false,
                            "hostNetwork": pods.on_host.then_some(true),
                            "imagePullSecrets": self.pull_secrets(),
                            "nodeSelector": {"kubernetes.io/os": "linux"},
                            "priorityClassName": self.options.priority_class,
                            "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
                            "serviceAccountName": self.name,
                            "terminationGracePeriodSeconds": pods.grace,
                            "tolerations": (!tolerations.is_empty()).then_some(tolerations),
                            "topologySpreadConstraints": [
                                self.spread_over("kubernetes.io/hostname"),
                                self.spread_over("topology.kubernetes.io/zone"),
                            ],
                            "volumes": pods.volumes,
                        },
                    },
                },
            }),
        )
    }

    fn container(&self, pods: &Pods<'_>) -> Value {
        let ports = pods.ports.iter();
        let ports: Vec<_> = ports
            .map(|(name, port)| json!({"containerPort": port, "name": name, "protocol": "TCP"}))
            .collect();
        json!({
            "args": pods.arguments,
            "image": self.options.image,
            "livenessProbe": probe(LIVEZ, 10, 3),
            "name": pods.name,
            "ports": ports,
            "readinessProbe": probe(READYZ, 5, 2),
            "resources": {"limits": {"memory": "256Mi"}, "requests": {"cpu": pods.cpu, "memory": "64Mi"}},
            "securityContext": {
                "allowPrivilegeEscalation": false,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": true,
            },
            // Every second, so that a rollout waits for nothing, and for a minute, so that a busy node kills nobody.
            "startupProbe": probe(LIVEZ, 1, 60),
            "volumeMounts": pods.mounts,
        })
    }

    fn pull_secrets(&self) -> Option<Vec<Value>> {
        let names = &self.options.pull_secrets;
        let secrets = names.iter().map(|name| json!({"name": name}));
        (!names.is_empty()).then(|| secrets.collect())
    }

    /// Counted within one revision, or the Pods of an old one would push those of the next together.
    fn spread_over(&self, topology: &str) -> Value {
        json!({
            "labelSelector": {"matchLabels": self.labels},
            "matchLabelKeys": ["pod-template-hash"],
            "maxSkew": 1,
            "topologyKey": topology,
            "whenUnsatisfiable": "ScheduleAnyway",
        })
    }

    pub(super) fn disruption_budget(&self, comment: &str) -> Manifest {
        Manifest::new(
            comment,
            json!({
                "apiVersion": "policy/v1",
                "kind": "PodDisruptionBudget",
                "metadata": self.metadata(),
                "spec": {
                    "maxUnavailable": 1,
                    "selector": {"matchLabels": self.labels},
                    "unhealthyPodEvictionPolicy": "AlwaysAllow",
                },
            }),
        )
    }

    /// What comes in on these ports, and nothing said of what goes out.
    pub(super) fn network_policy(&self, comment: impl Into<String>, ports: &[u16]) -> Manifest {
        let ports: Vec<_> = ports
            .iter()
            .map(|port| json!({"port": port, "protocol": "TCP"}))
            .collect();
        Manifest::new(
            comment,
            json!({
                "apiVersion": "networking.k8s.io/v1",
                "kind": "NetworkPolicy",
                "metadata": self.metadata(),
                "spec": {
                    "ingress": [{"ports": ports}],
                    "podSelector": {"matchLabels": self.labels},
                    "policyTypes": ["Ingress"],
                },
            }),
        )
    }
}

/// A new Pod before an old one ends; but of two Pods with the ports of their nodes none can run beside the other, and where
/// there are no more nodes than Pods, a new one would wait for ever.
fn strategy(on_host: bool) -> Value {
    let (surge, unavailable) = if on_host { (0, 1) } else { (1, 0) };
    json!({"rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}, "type": "RollingUpdate"})
}

fn probe(path: &str, period: u32, failures: u32) -> Value {
    json!({
        "failureThreshold": failures,
        "httpGet": {"path": path, "port": HEALTH},
        "periodSeconds": period,
        "timeoutSeconds": 3,
    })
}
