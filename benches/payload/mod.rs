//! The two reviews that benches and tests send: the creation of a Pod by the `ReplicaSet` controller, as compact JSON.
//!
//! [`small`] is a Pod with one container (6 KB), [`big`] one with eight, a long annotation and full `managedFields`
//! (60 KB). Every call gives the same bytes.

use serde_json::{Map, Value, json};

/// One container of ten variables, probes, a projected token, affinity, tolerations, one pull secret.
pub(crate) fn small() -> Vec<u8> {
    let mut random = Random(6);
    let container = container(&mut random, "app", 10);
    let fields = managed_fields(&[]);
    review(&mut random, &json!([container]), &json!([]), json!({}), &fields)
}

/// Six containers of 28 variables, two init containers of 11, an annotation of 60 keys, each field's manager.
pub(crate) fn big() -> Vec<u8> {
    let mut random = Random(60);
    let names = ["app", "proxy", "metrics", "logs", "cache", "worker"];
    let containers: Vec<Value> = names.iter().map(|name| container(&mut random, name, 28)).collect();
    let init: Vec<Value> = ["migrate", "warm"]
        .iter()
        .map(|name| container(&mut random, name, 11))
        .collect();
    let configuration: Map<String, Value> = (0..60)
        .map(|key| {
            (
                format!("setting-{key}"),
                json!({"value": random.word(12), "enabled": key % 2 == 0}),
            )
        })
        .collect();
    let annotations = json!({"example.com/configuration": Value::Object(configuration).to_string()});
    let all: Vec<Value> = containers.iter().chain(&init).cloned().collect();
    let fields = managed_fields(&all);
    review(&mut random, &json!(containers), &json!(init), annotations, &fields)
}

fn review(random: &mut Random, containers: &Value, init: &Value, mut annotations: Value, fields: &Value) -> Vec<u8> {
    let generate = format!("web-{}-", random.hex(10));
    annotations["checksum/config"] = json!(random.hex(64));
    annotations["kubectl.kubernetes.io/restartedAt"] = json!("2026-11-20T08:14:59Z");
    annotations["prometheus.io/path"] = json!("/metrics");
    annotations["prometheus.io/port"] = json!("9090");
    annotations["prometheus.io/scrape"] = json!("true");
    annotations["vault.example.com/secret-template"] =
        json!("{{- with secret \"kv/data/web\" -}}\nexport DSN=\"{{ .Data.data.dsn }}\"\n{{- end }}");
    let labels = json!({"app": "web", "app.kubernetes.io/part-of": "shop", "pod-template-hash": random.hex(10), "tier": "front"});
    let owner = json!({"apiVersion": "apps/v1", "blockOwnerDeletion": true, "controller": true, "kind": "ReplicaSet",
        "name": generate.trim_end_matches('-'), "uid": random.uid()});
    let token = json!({"name": "kube-api-access-x7k2p", "projected": {"defaultMode": 420, "sources": [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"items": [{"key": "ca.crt", "path": "ca.crt"}], "name": "kube-root-ca.crt"}},
        {"downwardAPI": {"items": [{"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}, "path": "namespace"}]}}]}});
    let toleration =
        |key: &str| json!({"effect": "NoExecute", "key": key, "operator": "Exists", "tolerationSeconds": 300});
    let mut spec = json!({
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [
            {"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64", "arm64"]},
            {"key": "node.kubernetes.io/instance-type", "operator": "NotIn", "values": ["small", "spot"]}]}]}}, "podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"podAffinityTerm": {
            "labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "kubernetes.io/hostname"}, "weight": 100}]}},
        "containers": containers, "dnsPolicy": "ClusterFirst", "enableServiceLinks": true,
        "imagePullSecrets": [{"name": "existing"}], "preemptionPolicy": "PreemptLowerPriority", "priority": 0,
        "restartPolicy": "Always", "schedulerName": "default-scheduler", "securityContext": {"fsGroup": 2000, "runAsNonRoot": true},
        "serviceAccount": "web", "serviceAccountName": "web", "runtimeClassName": "default", "terminationGracePeriodSeconds": 30,
        "topologySpreadConstraints": [{"labelSelector": {"matchLabels": {"app": "web"}}, "maxSkew": 1,
            "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway"}],
        "tolerations": [toleration("node.kubernetes.io/not-ready"), toleration("node.kubernetes.io/unreachable")],
        "volumes": [token, {"configMap": {"defaultMode": 420, "name": "web"}, "name": "config"}, {"emptyDir": {}, "name": "tmp"}],
    });
    if init.as_array().is_some_and(|init| !init.is_empty()) {
        spec["initContainers"] = init.clone();
    }
    let object = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"annotations": annotations,
        "creationTimestamp": null, "generateName": generate, "labels": labels, "managedFields": fields,
        "namespace": "team-a", "ownerReferences": [owner]}, "spec": spec, "status": {}});
    let pods = json!({"group": "", "resource": "pods", "version": "v1"});
    let pod = json!({"group": "", "kind": "Pod", "version": "v1"});
    let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "dryRun": false, "kind": pod, "namespace": "team-a", "object": object, "oldObject": null, "operation": "CREATE",
        "options": {"apiVersion": "meta.k8s.io/v1", "kind": "CreateOptions"}, "requestKind": pod, "requestResource": pods,
        "resource": pods, "uid": random.uid(), "userInfo": {"groups": ["system:serviceaccounts",
            "system:serviceaccounts:kube-system", "system:authenticated"], "uid": random.uid(),
            "username": "system:serviceaccount:kube-system:replicaset-controller"}}});
    review.to_string().into_bytes()
}

fn container(random: &mut Random, name: &str, variables: usize) -> Value {
    let environment: Vec<Value> = (0..variables).map(|index| variable(random, index)).collect();
    let probe = |path: &str| {
        json!({"failureThreshold": 3, "httpGet": {"path": path, "port": "http", "scheme": "HTTP"}, "periodSeconds": 10,
            "successThreshold": 1, "timeoutSeconds": 1})
    };
    json!({"env": environment, "image": format!("ghcr.io/acme/{name}:v1.{}.0", random.below(40)),
        "imagePullPolicy": "IfNotPresent", "livenessProbe": probe("/livez"), "startupProbe": probe("/startupz"), "name": name,
        "lifecycle": {"preStop": {"exec": {"command": ["/bin/sh", "-c", "sleep 5"]}}}, "ports": [{"containerPort": 8080, "name": "http", "protocol": "TCP"}], "readinessProbe": probe("/readyz"),
        "resources": {"limits": {"cpu": "1", "memory": "512Mi"}, "requests": {"cpu": "100m", "memory": "256Mi"}},
        "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": true},
        "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
        "volumeMounts": [{"mountPath": "/etc/web", "name": "config", "readOnly": true}, {"mountPath": "/tmp", "name": "tmp"},
            {"mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "name": "kube-api-access-x7k2p", "readOnly": true}]})
}

fn variable(random: &mut Random, index: usize) -> Value {
    let name = format!("{}_{index}", random.word(9).to_uppercase());
    match index % 5 {
        1 => json!({"name": name, "valueFrom": {"secretKeyRef": {"key": random.word(8), "name": random.word(10)}}}),
        2 => json!({"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}}),
        3 => json!({"name": name, "valueFrom": {"configMapKeyRef": {"key": random.word(8), "name": random.word(10)}}}),
        4 if index == 4 => {
            let value = json!({"level": random.word(5), "outputs": [random.word(6), random.word(6)], "rate": 0.5});
            json!({"name": name, "value": value.to_string()})
        }
        _ => {
            let length = 16 + random.below(64);
            json!({"name": name, "value": random.word(length)})
        }
    }
}

/// Who manages which field: of the containers each single one, where any are given.
fn managed_fields(containers: &[Value]) -> Value {
    let mut of_containers = Map::new();
    for container in containers {
        let name = container["name"].as_str().unwrap_or_default();
        of_containers.insert(format!("k:{{\"name\":\"{name}\"}}"), fields_of(container));
    }
    let fields = json!({"f:metadata": {"f:generateName": {}, "f:labels": {".": {}, "f:app": {}, "f:pod-template-hash": {}},
        "f:ownerReferences": {".": {}, "k:{\"uid\":\"6d5a1c32-8b7e-4f0a-9c3d-2e1f0a9b8c7d\"}": {}}},
        "f:spec": {"f:containers": of_containers, "f:dnsPolicy": {}, "f:restartPolicy": {}}});
    json!([{"apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": fields, "manager": "kube-controller-manager",
        "operation": "Update", "time": "2026-11-20T08:15:30Z"}])
}

fn fields_of(value: &Value) -> Value {
    let mut fields = Map::new();
    match value {
        Value::Object(members) => {
            fields.extend(
                members
                    .iter()
                    .map(|(key, member)| (format!("f:{key}"), fields_of(member))),
            );
        }
        Value::Array(items) => {
            for item in items.iter().filter(|item| item["name"].is_string()) {
                let mut own = fields_of(item);
                own["."] = json!({});
                fields.insert(format!("k:{{\"name\":{}}}", item["name"]), own);
            }
        }
        _ => {}
    }
    Value::Object(fields)
}

/// A small generator of random numbers (`SplitMix64`).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed >> 33) % bound as u64).unwrap_or_default()
    }

    fn characters(&mut self, alphabet: &str, count: usize) -> String {
        (0..count)
            .filter_map(|_| alphabet.chars().nth(self.below(alphabet.len())))
            .collect()
    }

    fn word(&mut self, length: usize) -> String {
        self.characters("abcdefghijklmnopqrstuvwxyz", length)
    }

    fn hex(&mut self, length: usize) -> String {
        self.characters("0123456789abcdef", length)
    }

    fn uid(&mut self) -> String {
        [8, 4, 4, 4, 12].map(|length| self.hex(length)).join("-")
    }
}
