//! What `pullkey manifests` prints, and that `deploy/` is what it writes.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that cannot go on fails, and clippy excepts test functions only"
)]

#[path = "common/program.rs"]
mod program;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use pullkey::yaml::parse;
use serde_json::{Value, json};

use crate::program::program;

/// Two rules that copy, and one that does not.
const COPYING: &str = "\
apiVersion: pullkey.dev/v1alpha1
kind: ClusterPullSecretRule
metadata: {name: first}
spec:
  images: [a.example]
  namespaces: {include: ['*']}
  secret: {name: first, copyFrom: {namespace: a, name: source}}
---
apiVersion: pullkey.dev/v1alpha1
kind: ClusterPullSecretRule
metadata: {name: second}
spec:
  mode: Shadow
  namespaces: {selector: {matchLabels: {team: b}}}
  secret: {name: second, copyFrom: {namespace: b, name: source}}
---
apiVersion: pullkey.dev/v1alpha1
kind: ClusterPullSecretRule
metadata: {name: third}
spec: {images: [c.example], namespaces: {include: ['*']}, secret: {name: third}}
";

/// What it prints in an empty directory.
fn printed(arguments: &[&str]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let arguments = [&["manifests"], arguments].concat();
    let output = program(directory.path(), &arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn objects_of(text: &str) -> Vec<Value> {
    parse(text).unwrap().iter().map(pullkey::yaml::Node::to_json).collect()
}

/// What it prints as objects.
fn objects(arguments: &[&str]) -> Vec<Value> {
    objects_of(&printed(arguments))
}

/// The one object of a kind, but for the controller's.
fn only<'o>(objects: &'o [Value], kind: &str) -> &'o Value {
    let mut found = objects
        .iter()
        .filter(|object| object["kind"] == kind && !is_of_the_controller(object));
    let first = found.next().unwrap();
    assert!(found.next().is_none(), "{kind}");
    first
}

/// The one object of a kind that belongs to the controller.
fn of_the_controller<'o>(objects: &'o [Value], kind: &str) -> &'o Value {
    let mut found = objects
        .iter()
        .filter(|object| object["kind"] == kind && is_of_the_controller(object));
    let first = found.next().unwrap();
    assert!(found.next().is_none(), "{kind}");
    first
}

/// The policy for the controller's account.
fn policy_of_the_controller(objects: &[Value]) -> &Value {
    let is_it = |object: &&Value| {
        object["kind"] == "ValidatingAdmissionPolicy" && object["metadata"]["name"] == "pullkey-controller"
    };
    objects.iter().find(is_it).unwrap()
}

fn is_of_the_controller(object: &Value) -> bool {
    object["metadata"]["labels"]["app.kubernetes.io/component"] == "controller"
}

/// The files of a directory and those below it, by their path from there.
fn files(directory: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            found.extend(
                files(&path)
                    .into_iter()
                    .map(|(below, text)| (format!("{name}/{below}"), text)),
            );
        } else {
            found.insert(name, fs::read_to_string(&path).unwrap());
        }
    }
    found
}

fn deploy(part: &str) -> BTreeMap<String, String> {
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(part))
}

/// The objects in files of a kustomization, and no others.
fn resources(files: &BTreeMap<String, String>) -> Vec<Value> {
    let kustomization = only(&objects_of(&files["kustomization.yaml"]), "Kustomization").clone();
    let names = kustomization["resources"].as_array().unwrap().iter();
    names
        .filter_map(|name| files.get(name.as_str().unwrap()))
        .flat_map(|text| objects_of(text))
        .collect()
}

#[test]
fn deploy_is_what_the_program_writes() {
    let directory = tempfile::tempdir().unwrap();
    let output = program(directory.path(), &["manifests", "--out", "."])
        .output()
        .unwrap();
    assert!(output.status.success());
    let written = files(directory.path());
    for part in ["base", "crds", "monitoring", "overlays"] {
        let part_of_it = |name: &String| name.starts_with(&format!("{part}/"));
        let written: BTreeMap<_, _> = written.iter().filter(|(name, _)| part_of_it(name)).collect();
        let committed = deploy(part);
        let committed: BTreeMap<_, _> = committed
            .iter()
            .map(|(name, text)| (format!("{part}/{name}"), text))
            .collect();
        let how = "after a change: `cargo run -- manifests --out deploy --force`, and remove what it no longer writes";
        assert_eq!(
            written.keys().copied().collect::<Vec<_>>(),
            committed.keys().collect::<Vec<_>>(),
            "{how}"
        );
        for (name, text) in written {
            assert_eq!(text, committed[name], "{name}: {how}");
        }
    }
}

/// What the chart reads as it is; whether its templates render to the same objects is tested with Helm.
#[test]
fn the_chart_holds_the_kinds_of_rules_and_the_version() {
    for (copy, of) in [
        ("clusterpullsecretrules.yaml", "crds"),
        ("pullsecretrules.yaml", "crds"),
        ("cluster-roles.yaml", "crds"),
        ("rules.yaml", "base/rules"),
        ("alerts.yaml", "monitoring"),
        ("pullkey.json", "monitoring"),
    ] {
        assert_eq!(
            deploy("chart/files")[copy],
            deploy(of)[copy],
            "after a change: `cp deploy/{of}/{copy} deploy/chart/files/`"
        );
    }
    let chart = objects_of(&deploy("chart")["Chart.yaml"]).remove(0);
    for version in ["version", "appVersion"] {
        assert_eq!(chart[version], env!("CARGO_PKG_VERSION"), "{version}");
    }
}

#[test]
fn yaml_and_json_are_the_same_objects() {
    let list: Value = serde_json::from_str(&printed(&["--output", "json"])).unwrap();
    assert_eq!((&list["apiVersion"], &list["kind"]), (&json!("v1"), &json!("List")));
    assert_eq!(list["items"], Value::Array(objects(&[])));
}

#[test]
fn the_tree_holds_what_is_printed() {
    let printed = objects(&[]);
    let mut in_tree = resources(&deploy("crds"));
    in_tree.extend(resources(&deploy("base")));
    in_tree.extend(resources(&deploy("overlays/cert-manager")));
    for object in &printed {
        match object["kind"].as_str().unwrap() {
            "ConfigMap" => assert_eq!(object["data"]["rules.yaml"], deploy("base")["rules/rules.yaml"]),
            "MutatingWebhookConfiguration" => {
                let patch = only(
                    &objects_of(&deploy("overlays/cert-manager")["inject-ca.yaml"]),
                    "MutatingWebhookConfiguration",
                )
                .clone();
                assert_eq!(object["metadata"]["annotations"], patch["metadata"]["annotations"]);
                let base = only(&in_tree, "MutatingWebhookConfiguration");
                assert_eq!(
                    (&object["webhooks"], &object["metadata"]["name"]),
                    (&base["webhooks"], &patch["metadata"]["name"])
                );
            }
            kind => assert!(in_tree.contains(object), "{kind}"),
        }
    }
    assert_eq!(in_tree.len(), printed.len() - 1, "the rules are generated");
}

#[test]
fn what_looks_after_it_finds_every_pod_and_is_the_same_in_files() {
    let printed = objects(&["--monitoring"]);
    let [monitor, rule, dashboard] = ["PodMonitor", "PrometheusRule", "ConfigMap"].map(|kind| {
        let of_kind = |object: &&Value| object["kind"] == kind && object["metadata"]["name"] != "pullkey-rules";
        printed.iter().find(of_kind).unwrap()
    });
    let port = &monitor["spec"]["podMetricsEndpoints"][0]["port"];
    let selected = monitor["spec"]["selector"]["matchLabels"].as_object().unwrap();
    let deployments = printed.iter().filter(|object| object["kind"] == "Deployment");
    for pod in deployments.map(|deployment| &deployment["spec"]["template"]) {
        for (label, value) in selected {
            assert_eq!(&pod["metadata"]["labels"][label], value);
        }
        let ports = pod["spec"]["containers"][0]["ports"].as_array().unwrap();
        assert!(ports.iter().any(|open| open["name"] == *port));
    }
    let files = deploy("monitoring");
    assert_eq!(resources(&files), [monitor.clone(), rule.clone()]);
    assert_eq!(dashboard["data"]["pullkey.json"], files["pullkey.json"]);
    let kustomization = only(&objects_of(&files["kustomization.yaml"]), "Kustomization").clone();
    let generator = &kustomization["configMapGenerator"][0];
    assert_eq!(
        [&generator["name"], &generator["options"]["labels"], &generator["files"]],
        [
            &dashboard["metadata"]["name"],
            &dashboard["metadata"]["labels"],
            &json!(["pullkey.json"])
        ]
    );
}

#[test]
fn the_overlay_for_certificates_that_look_after_themselves_holds_what_is_printed() {
    let printed = objects(&["--certificate", "self-managed"]);
    let overlay = deploy("overlays/self-managed");
    let mut in_tree = resources(&deploy("crds"));
    in_tree.extend(resources(&deploy("base")));
    in_tree.extend(objects_of(&overlay["rights.yaml"]));
    let kustomization = objects_of(&overlay["kustomization.yaml"]).pop().unwrap();
    for patch in kustomization["patches"].as_array().unwrap() {
        let target = &patch["target"];
        let is_target =
            |object: &&mut Value| object["kind"] == target["kind"] && object["metadata"]["name"] == target["name"];
        let object = in_tree.iter_mut().find(is_target).unwrap();
        let operations = objects_of(&overlay[patch["path"].as_str().unwrap()]).pop().unwrap();
        json_patch::patch(
            object,
            &serde_json::from_value::<json_patch::Patch>(operations).unwrap(),
        )
        .unwrap();
    }
    for object in printed.iter().filter(|object| object["kind"] != "ConfigMap") {
        assert!(in_tree.contains(object), "{object:#}");
    }
    assert_eq!(in_tree.len(), printed.len() - 1, "the rules are generated");
    let registration = printed.last().unwrap();
    assert!(
        registration["webhooks"][0]["clientConfig"].get("caBundle").is_none(),
        "it is written by the controller"
    );
    assert!(
        registration["metadata"].get("annotations").is_none(),
        "and by nobody else"
    );
}

#[test]
fn what_certificates_need_is_allowed_for_three_names_only() {
    let without = objects(&[]);
    let with = objects(&["--certificate", "self-managed"]);
    let added = with.iter().filter(|object| !without.contains(object));
    let rights = added.filter_map(|object| object["rules"].as_array()).flatten();
    for right in rights {
        let names = right["resourceNames"].as_array().unwrap();
        let expected = if right["resources"] == json!(["secrets"]) {
            json!(["pullkey-webhook-ca", "pullkey-webhook-tls"])
        } else {
            assert_eq!(
                (&right["resources"], &right["verbs"]),
                (&json!(["mutatingwebhookconfigurations"]), &json!(["get", "patch"]))
            );
            json!(["pullkey"])
        };
        assert_eq!(json!(names), expected);
    }
}

/// Each value at a JSON pointer below an object.
fn assert_values(object: &Value, expected: &[(&str, Value)]) {
    for (pointer, expected) in expected {
        assert_eq!(object.pointer(pointer), Some(expected), "{pointer} of {object:#}");
    }
}

#[test]
fn the_registration_asks_about_new_pods_and_nothing_else() {
    let objects = objects(&[]);
    let registration = objects.last().unwrap();
    assert_eq!(registration, only(&objects, "MutatingWebhookConfiguration"));
    assert_eq!(registration["webhooks"].as_array().unwrap().len(), 1);
    let webhook = &registration["webhooks"][0];
    assert_values(
        webhook,
        &[
            (
                "/rules",
                json!([{
                    "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"],
                    "scope": "Namespaced",
                }]),
            ),
            ("/failurePolicy", json!("Ignore")),
            ("/reinvocationPolicy", json!("IfNeeded")),
            ("/sideEffects", json!("None")),
            ("/timeoutSeconds", json!(5)),
            ("/matchPolicy", json!("Equivalent")),
            ("/admissionReviewVersions", json!(["v1"])),
            (
                "/namespaceSelector/matchExpressions",
                json!([
                    {
                        "key": "kubernetes.io/metadata.name", "operator": "NotIn",
                        "values": ["kube-node-lease", "kube-public", "kube-system", "pullkey"],
                    },
                    {"key": "pullkey.dev/inject", "operator": "NotIn", "values": ["false"]},
                ]),
            ),
            ("/clientConfig/service/path", json!("/mutate")),
            ("/clientConfig/service/port", json!(443)),
        ],
    );
    // One that cert-manager or an admin keeps would be taken away by each apply.
    assert!(webhook["clientConfig"].get("caBundle").is_none());
    assert!(webhook.get("objectSelector").is_none());
    assert!(webhook["name"].as_str().unwrap().split('.').count() >= 3);
}

#[test]
fn conditions_ask_for_a_field_only_where_it_is() {
    let objects = objects(&[]);
    let conditions = &only(&objects, "MutatingWebhookConfiguration")["webhooks"][0]["matchConditions"];
    let expressions: Vec<_> = conditions
        .as_array()
        .unwrap()
        .iter()
        .map(|condition| condition["expression"].as_str().unwrap())
        .collect();
    assert_eq!(
        expressions,
        [
            "!has(object.metadata.annotations) || !('kubernetes.io/config.mirror' in object.metadata.annotations)",
            "!has(object.metadata.labels) || !('pullkey.dev/inject' in object.metadata.labels) || \
             object.metadata.labels['pullkey.dev/inject'] != 'false'",
        ]
    );
}

#[test]
fn the_deployment_loses_no_call_and_may_nothing() {
    let objects = objects(&[]);
    let deployment = only(&objects, "Deployment");
    assert_values(
        &deployment["spec"],
        &[
            ("/replicas", json!(2)),
            ("/strategy/type", json!("RollingUpdate")),
            ("/strategy/rollingUpdate", json!({"maxSurge": 1, "maxUnavailable": 0})),
        ],
    );
    let pod = &deployment["spec"]["template"]["spec"];
    assert_values(
        pod,
        &[
            ("/priorityClassName", json!("system-cluster-critical")),
            ("/enableServiceLinks", json!(false)),
            (
                "/securityContext",
                json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}}),
            ),
            (
                "/topologySpreadConstraints/0/topologyKey",
                json!("kubernetes.io/hostname"),
            ),
            (
                "/topologySpreadConstraints/0/whenUnsatisfiable",
                json!("ScheduleAnyway"),
            ),
            (
                "/topologySpreadConstraints/1/topologyKey",
                json!("topology.kubernetes.io/zone"),
            ),
            (
                "/topologySpreadConstraints/1/whenUnsatisfiable",
                json!("ScheduleAnyway"),
            ),
            (
                "/containers/0/securityContext",
                json!({
                    "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]},
                    "readOnlyRootFilesystem": true,
                }),
            ),
            (
                "/containers/0/livenessProbe/httpGet",
                json!({"path": "/livez", "port": "health"}),
            ),
            (
                "/containers/0/readinessProbe/httpGet",
                json!({"path": "/readyz", "port": "health"}),
            ),
            (
                "/containers/0/startupProbe/httpGet",
                json!({"path": "/livez", "port": "health"}),
            ),
        ],
    );
    let container = &pod["containers"][0];
    assert!(container["resources"]["limits"].get("cpu").is_none());
    assert!(container["resources"]["limits"].get("memory").is_some());
    let mounts = container["volumeMounts"].as_array().unwrap();
    assert!(
        mounts
            .iter()
            .all(|mount| mount["readOnly"] == true && mount.get("subPath").is_none())
    );
    // The whole drain: 15 s of grace, then 30 s for the longest call that began at its end.
    assert!(pod["terminationGracePeriodSeconds"].as_u64().unwrap() >= 15 + 30 + 5);
    let account = only(&objects, "ServiceAccount");
    assert_eq!(account["automountServiceAccountToken"], false);
    assert_eq!(account["metadata"]["name"], pod["serviceAccountName"]);
    let bindings = objects
        .iter()
        .filter(|object| object["kind"].as_str().unwrap().ends_with("Binding") && !is_of_the_controller(object));
    assert_eq!(bindings.count(), 1);
    let role = objects
        .iter()
        .find(|object| object["metadata"]["name"] == "pullkey-webhook" && object["kind"] == "ClusterRole");
    assert!(!role.unwrap()["rules"].to_string().contains("secrets\""));
}

#[test]
fn what_is_around_the_deployment_protects_it() {
    let objects = objects(&[]);
    let pod_security =
        ["audit", "enforce", "warn"].map(|mode| format!("/metadata/labels/pod-security.kubernetes.io~1{mode}"));
    for pointer in &pod_security {
        assert_values(only(&objects, "Namespace"), &[(pointer, json!("restricted"))]);
    }
    assert_values(
        only(&objects, "PodDisruptionBudget"),
        &[("/spec/maxUnavailable", json!(1))],
    );
    assert_values(
        only(&objects, "NetworkPolicy"),
        &[("/spec/policyTypes", json!(["Ingress"]))],
    );
    assert!(only(&objects, "NetworkPolicy")["spec"].get("egress").is_none());
    for object in &objects {
        let namespace = &object["metadata"]["namespace"];
        let is_of_the_cluster = [
            "ClusterRole",
            "ClusterRoleBinding",
            "CustomResourceDefinition",
            "Namespace",
            "MutatingWebhookConfiguration",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
        ]
        .map(Value::from)
        .contains(&object["kind"]);
        let is_in_its_own = namespace == "pullkey" || namespace == "pullkey-sources";
        assert_eq!(is_in_its_own, !is_of_the_cluster, "{object:#}");
    }
}

#[test]
fn the_controller_has_the_rights_that_it_needs() {
    let objects = objects(&["-n", "own", "--source-namespace=a", "--source-namespace=b"]);
    let deployment = of_the_controller(&objects, "Deployment");
    let pod = &deployment["spec"]["template"]["spec"];
    let account = of_the_controller(&objects, "ServiceAccount");
    assert_eq!(account["metadata"]["name"], pod["serviceAccountName"]);
    assert_values(
        &pod["containers"][0],
        &[(
            "/args",
            json!([
                "controller",
                "--health-listen=[::]:8080",
                "--own-namespace=own",
                "--source-namespace=a",
                "--source-namespace=b",
                "--webhook-replicas=pullkey-webhook-replicas.own.svc:8080",
                "--log-format=json"
            ]),
        )],
    );
    let subject = json!([{"kind": "ServiceAccount", "name": account["metadata"]["name"], "namespace": "own"}]);
    let bindings = objects
        .iter()
        .filter(|object| object["kind"].as_str().unwrap().ends_with("RoleBinding") && is_of_the_controller(object));
    let mut places = Vec::new();
    for binding in bindings {
        assert_eq!(binding["subjects"], subject);
        places.push(binding["metadata"]["namespace"].as_str());
    }
    assert_eq!(places, [None, Some("own"), Some("a"), Some("b")]);
    let rules = &of_the_controller(&objects, "ClusterRole")["rules"];
    assert!(!rules.to_string().contains('*') && !rules.to_string().contains("update"));
    let policy = policy_of_the_controller(&objects);
    assert_values(
        policy,
        &[
            ("/spec/failurePolicy", json!("Fail")),
            (
                "/spec/matchConditions/0/expression",
                json!("request.userInfo.username == 'system:serviceaccount:own:pullkey-controller'"),
            ),
            (
                "/spec/validations/0/expression",
                json!("!(request.namespace in ['kube-system', 'kube-public', 'kube-node-lease', 'own'])"),
            ),
        ],
    );
    assert!(
        objects
            .iter()
            .all(|object| object["kind"] != "Namespace" || object["metadata"]["name"] == "own")
    );
}

#[test]
fn rights_on_secrets_are_limited_to_the_names_that_are_given() {
    let names = [
        "--source-namespace=a",
        "--source-namespace=b",
        "--source-namespace=c",
        "--secret-name=extra",
        "--secret-name=a/other",
    ];
    let directory = tempfile::tempdir().unwrap();
    let rules = directory.path().join("rules.yaml");
    fs::write(&rules, COPYING).unwrap();
    let from = format!("--secret-names-from={}", rules.display());
    let limited = objects(&[&names[..], &[&from]].concat());
    let expected = [
        (None, json!(["extra", "first", "second"])),
        (Some("a"), json!(["other", "source"])),
        (Some("b"), json!(["source"])),
    ];
    let mut found = Vec::new();
    for role in limited
        .iter()
        .filter(|object| object["kind"].as_str().unwrap().ends_with("Role"))
    {
        let rules = role["rules"].as_array().unwrap().iter();
        for rule in rules.filter(|rule| rule["resources"].as_array().unwrap().contains(&json!("secrets"))) {
            found.push((role["metadata"]["namespace"].as_str(), rule["resourceNames"].clone()));
        }
    }
    assert_eq!(found, expected);
    let deployment = of_the_controller(&limited, "Deployment");
    let arguments = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
        .as_array()
        .unwrap();
    let arguments = arguments
        .iter()
        .filter_map(|argument| argument.as_str()?.strip_prefix("--secret-name="));
    assert_eq!(
        arguments.collect::<Vec<_>>(),
        ["extra", "first", "second", "a/other", "a/source", "b/source"]
    );
    let policy = |objects| policy_of_the_controller(objects).clone();
    assert_eq!(policy(&limited), policy(&objects(&[])));
}

#[test]
fn names_ports_and_labels_agree_from_the_registration_to_the_container() {
    let objects = objects(&["-n", "own", "--https-port", "10250", "--health-port", "9090"]);
    let [deployment, policy, registration] =
        ["Deployment", "NetworkPolicy", "MutatingWebhookConfiguration"].map(|kind| only(&objects, kind));
    let mut services = objects.iter().filter(|object| object["kind"] == "Service");
    let (service, replicas) = (services.next().unwrap(), services.next().unwrap());
    let pod = &deployment["spec"]["template"];
    let container = &pod["spec"]["containers"][0];
    let reference = &registration["webhooks"][0]["clientConfig"]["service"];
    assert_eq!(reference["name"], service["metadata"]["name"]);
    assert_eq!(reference["namespace"], service["metadata"]["namespace"]);

    let port = &service["spec"]["ports"][0];
    assert_eq!(reference["port"], port["port"]);
    let ports: BTreeMap<_, _> = container["ports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|port| (port["name"].as_str().unwrap(), port["containerPort"].clone()))
        .collect();
    assert_eq!(ports[port["targetPort"].as_str().unwrap()], 10250);
    assert_eq!(ports["health"], 9090);
    let allowed: Vec<_> = policy["spec"]["ingress"][0]["ports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|port| port["port"].clone())
        .collect();
    assert_eq!(allowed, [10250, 9090]);
    let arguments = container["args"].as_array().unwrap();
    for argument in [
        "--listen=[::]:10250",
        "--health-listen=[::]:9090",
        "--own-namespace=own",
    ] {
        assert!(arguments.contains(&argument.into()), "{argument}");
    }

    let asked = format!(
        "--webhook-replicas={}.{}.svc:{}",
        replicas["metadata"]["name"].as_str().unwrap(),
        replicas["metadata"]["namespace"].as_str().unwrap(),
        ports["health"],
    );
    let controller = &of_the_controller(&objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]["args"];
    assert!(controller.as_array().unwrap().contains(&asked.into()), "{controller}");
    assert_values(
        &replicas["spec"],
        &[
            ("/clusterIP", json!("None")),
            ("/publishNotReadyAddresses", json!(true)),
        ],
    );

    let labels = &pod["metadata"]["labels"];
    let selectors = [
        &service["spec"]["selector"],
        &replicas["spec"]["selector"],
        &deployment["spec"]["selector"]["matchLabels"],
        &policy["spec"]["podSelector"]["matchLabels"],
        &only(&objects, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        &pod["spec"]["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
        &pod["spec"]["topologySpreadConstraints"][1]["labelSelector"]["matchLabels"],
    ];
    assert!(selectors.iter().all(|selector| *selector == labels));

    // A Service of this name must not make variables that read as options.
    assert_ne!(service["metadata"]["name"], "pullkey");
    let certificate = objects
        .iter()
        .find(|object| object["kind"] == "Certificate" && object["spec"].get("isCA").is_none())
        .unwrap();
    assert_eq!(certificate["spec"]["dnsNames"], json!(["pullkey-webhook.own.svc"]));
    assert_eq!(
        registration["metadata"]["annotations"]["cert-manager.io/inject-ca-from"],
        format!("own/{}", certificate["metadata"]["name"].as_str().unwrap())
    );
    let volumes = pod["spec"]["volumes"].as_array().unwrap();
    assert_eq!(
        volumes[0]["configMap"]["name"],
        only(&objects, "ConfigMap")["metadata"]["name"]
    );
    assert_eq!(volumes[1]["secret"]["secretName"], certificate["spec"]["secretName"]);
}

#[test]
fn every_choice_is_in_the_objects() {
    let objects = objects(&[
        "--image=registry.example/pullkey@sha256:0000000000000000000000000000000000000000000000000000000000000000",
        "--image-pull-secret=a",
        "--image-pull-secret=b",
        "--priority-class=mine",
        "--toleration=infra=yes:NoSchedule",
        "--toleration=CriticalAddonsOnly",
        "--dns-policy=Default",
        "--replicas=3",
        "--failure-policy=Fail",
        "--timeout=10s",
        "--exclude-namespace=calico-system",
    ]);
    let deployment = only(&objects, "Deployment");
    assert_values(
        &deployment["spec"],
        &[
            ("/replicas", json!(3)),
            ("/template/spec/priorityClassName", json!("mine")),
            ("/template/spec/imagePullSecrets", json!([{"name": "a"}, {"name": "b"}])),
            ("/template/spec/dnsPolicy", json!("Default")),
        ],
    );
    for deployment in [deployment, of_the_controller(&objects, "Deployment")] {
        assert_values(
            &deployment["spec"]["template"]["spec"],
            &[(
                "/tolerations",
                json!([
                    {"effect": "NoSchedule", "key": "infra", "operator": "Equal", "value": "yes"},
                    {"key": "CriticalAddonsOnly", "operator": "Exists"},
                ]),
            )],
        );
    }
    let image = &deployment["spec"]["template"]["spec"]["containers"][0]["image"];
    assert!(image.as_str().unwrap().starts_with("registry.example/pullkey@sha256:"));
    assert_values(
        &only(&objects, "MutatingWebhookConfiguration")["webhooks"][0],
        &[
            ("/failurePolicy", json!("Fail")),
            ("/timeoutSeconds", json!(10)),
            // cert-manager's Pods must start while no webhook has a certificate.
            (
                "/namespaceSelector/matchExpressions/0/values",
                json!([
                    "calico-system",
                    "cert-manager",
                    "kube-node-lease",
                    "kube-public",
                    "kube-system",
                    "pullkey"
                ]),
            ),
        ],
    );
}

#[test]
fn on_the_network_of_nodes_no_two_replicas_need_the_same_port() {
    let objects = objects(&["--host-network", "--https-port=18443", "--health-port=18080"]);
    assert_values(
        &only(&objects, "Deployment")["spec"],
        &[
            ("/strategy/rollingUpdate", json!({"maxSurge": 0, "maxUnavailable": 1})),
            ("/template/spec/hostNetwork", json!(true)),
            ("/template/spec/dnsPolicy", json!("ClusterFirstWithHostNet")),
            ("/template/spec/containers/0/ports/0/containerPort", json!(18443)),
        ],
    );
    // The controller calls, and is called by nobody but probes.
    let controller = of_the_controller(&objects, "Deployment");
    assert!(controller["spec"]["template"]["spec"].get("hostNetwork").is_none());
    assert_values(
        only(&objects, "Namespace"),
        &[(
            "/metadata/labels/pod-security.kubernetes.io~1enforce",
            json!("privileged"),
        )],
    );
}

#[test]
fn namespaces_ask_for_the_webhook_where_they_have_to() {
    let objects = objects(&["--opt-in"]);
    let webhook = &only(&objects, "MutatingWebhookConfiguration")["webhooks"][0];
    let term = json!({"key": "pullkey.dev/inject", "operator": "In", "values": ["true"]});
    assert_values(webhook, &[("/namespaceSelector/matchExpressions/1", term)]);
}

#[test]
fn rules_are_installed_as_they_are() {
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/config/rules.yaml");
    let data = json!({"rules.yaml": fs::read_to_string(rules).unwrap()});
    assert_eq!(only(&objects(&["--rules", rules]), "ConfigMap")["data"], data);
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/config");
    assert_eq!(only(&objects(&["--rules", directory]), "ConfigMap")["data"], data);
}

/// The arguments of the container, with what the cluster would give it put into a directory.
#[test]
fn the_program_serves_with_the_arguments_of_its_container() {
    let directory = tempfile::tempdir().unwrap();
    let certs = ["certs", "--out", "tls", "--dns", "pullkey-webhook.pullkey.svc"];
    assert!(program(directory.path(), &certs).output().unwrap().status.success());
    let objects = objects(&[]);
    fs::create_dir(directory.path().join("rules")).unwrap();
    for (name, text) in only(&objects, "ConfigMap")["data"].as_object().unwrap() {
        fs::write(directory.path().join("rules").join(name), text.as_str().unwrap()).unwrap();
    }
    let arguments: Vec<_> = only(&objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]["args"]
        .as_array()
        .unwrap()
        .iter()
        .map(|argument| {
            let argument = argument.as_str().unwrap();
            argument
                .replace("/etc/pullkey", directory.path().to_str().unwrap())
                .replace("[::]:8443", "127.0.0.1:0")
                .replace("[::]:8080", "127.0.0.1:0")
        })
        .collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    // It serves while it waits for the cluster.
    let kubeconfig = json!({
        "clusters": [{"name": "none", "cluster": {"server": "https://127.0.0.1:1"}}],
        "contexts": [{"name": "none", "context": {"cluster": "none"}}],
        "current-context": "none",
    });
    fs::write(directory.path().join("kubeconfig"), kubeconfig.to_string()).unwrap();
    let mut webhook = program(directory.path(), &arguments)
        .env("KUBECONFIG", "kubeconfig")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(webhook.stderr.take().unwrap()).lines();
    let mut said = Vec::new();
    let is_serving = lines.map(Result::unwrap).any(|line| {
        said.push(line);
        said.last().is_some_and(|line| line.contains("serving"))
    });
    webhook.kill().unwrap();
    webhook.wait().unwrap();
    assert!(is_serving, "{said:#?}");
    assert!(
        said.iter().all(|line| serde_json::from_str::<Value>(line).is_ok()),
        "{said:#?}"
    );
}
