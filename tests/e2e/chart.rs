//! The Helm chart, rendered: it holds what `pullkey manifests` prints, and refuses what that refuses.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use pullkey::yaml::parse;
use serde_json::{Value, json};

use crate::harness::{CHART, helm};

/// Objects by kind, namespace and name.
type Objects = BTreeMap<[String; 3], Value>;

/// Values, and the options that say the same.
struct Choice {
    name: &'static str,
    namespace: &'static str,
    values: &'static [&'static str],
    options: &'static [&'static str],
}

const CHOICES: [Choice; 10] = [
    Choice {
        name: "nothing",
        namespace: "pullkey",
        values: &[],
        options: &[],
    },
    Choice {
        name: "a given certificate",
        namespace: "pullkey",
        values: &[
            "--set=certificate.source=given",
            "--set-file=certificate.caBundle=ca.crt",
        ],
        options: &["--certificate=given", "--ca-bundle=ca.crt"],
    },
    Choice {
        name: "certificates that look after themselves",
        namespace: "own",
        values: &["--set=certificate.source=self-managed,httpsPort=10250,failurePolicy=Fail"],
        options: &[
            "--certificate=self-managed",
            "--https-port=10250",
            "--failure-policy=Fail",
        ],
    },
    Choice {
        name: "another namespace, ports, and an image by its digest",
        namespace: "own",
        values: &[
            "--set=httpsPort=10250,healthPort=9090,image.registry=registry.example:5000/tools",
            "--set=image.digest=sha256:0000000000000000000000000000000000000000000000000000000000000000",
        ],
        options: &[
            "--https-port=10250",
            "--health-port=9090",
            "--image=registry.example:5000/tools/pullkey@sha256:0000000000000000000000000000000000000000000000000000000000000000",
        ],
    },
    Choice {
        name: "where Pods may run",
        namespace: "pullkey",
        values: &[
            r#"--set-json=imagePullSecrets=[{"name":"a"},{"name":"b"}]"#,
            "--set=priorityClassName=mine,replicas=3,image.tag=v2,image.repository=copied/pullkey",
            r#"--set-json=tolerations=[{"effect":"NoSchedule","key":"infra","operator":"Equal","value":"yes"},{"key":"any","operator":"Exists"}]"#,
        ],
        options: &[
            "--image-pull-secret=a",
            "--image-pull-secret=b",
            "--priority-class=mine",
            "--replicas=3",
            "--image=copied/pullkey:v2",
            "--toleration=infra=yes:NoSchedule",
            "--toleration=any",
        ],
    },
    Choice {
        name: "the network of nodes",
        namespace: "pullkey",
        values: &["--set=hostNetwork=true,priorityClassName=system-node-critical"],
        options: &["--host-network", "--priority-class=system-node-critical"],
    },
    Choice {
        name: "names as the node finds them",
        namespace: "pullkey",
        values: &["--set=dnsPolicy=Default"],
        options: &["--dns-policy=Default"],
    },
    Choice {
        name: "no Pod without an answer",
        namespace: "own",
        values: &[
            "--set=failurePolicy=Fail,timeoutSeconds=10,optIn=true",
            "--set=excludeNamespaces={tigera-operator,calico-system,kube-system}",
        ],
        options: &[
            "--failure-policy=Fail",
            "--timeout=10s",
            "--opt-in",
            "--exclude-namespace=tigera-operator",
            "--exclude-namespace=calico-system",
            "--exclude-namespace=kube-system",
        ],
    },
    Choice {
        name: "what looks after it",
        namespace: "own",
        values: &["--set=monitoring.enabled=true"],
        options: &["--monitoring"],
    },
    Choice {
        name: "rules, sources and their names",
        namespace: "pullkey",
        values: &[
            r"--set-file=rules.rules\.yaml=config/rules.yaml",
            "--set=sourceNamespaces={b,pullkey-sources,c}",
            "--set=secretNames={ghcr,b/two,b/one,docker,pullkey-sources/ghcr,ghcr}",
        ],
        options: &[
            "--rules=config/rules.yaml",
            "--source-namespace=b",
            "--source-namespace=pullkey-sources",
            "--source-namespace=c",
            "--secret-name=ghcr",
            "--secret-name=b/two",
            "--secret-name=b/one",
            "--secret-name=docker",
            "--secret-name=pullkey-sources/ghcr",
        ],
    },
];

/// What no release can be made of, and the options that say the same.
const CONTRADICTIONS: [(&[&str], &[&str]); 9] = [
    (&["--namespace=kube-system"], &["--namespace=kube-system"]),
    (&["--set=sourceNamespaces={pullkey}"], &["--source-namespace=pullkey"]),
    (&["--set=httpsPort=8080"], &["--https-port=8080"]),
    (
        &["--set=failurePolicy=Fail,replicas=1"],
        &["--failure-policy=Fail", "--replicas=1"],
    ),
    (&["--set=certificate.source=given"], &["--certificate=given"]),
    (&["--set-file=certificate.caBundle=ca.crt"], &["--ca-bundle=ca.crt"]),
    (&["--set=secretNames={elsewhere/a}"], &["--secret-name=elsewhere/a"]),
    (&["--set=timeoutSeconds=31"], &["--timeout=31s"]),
    (&["--set=excludeNamespace={a}"], &["--exclude-namespaces=a"]),
];

/// A directory with the repository's `config/` and a CA.
fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/config");
    std::os::unix::fs::symlink(config, directory.path().join("config")).unwrap();
    let certs = ["certs", "--out=.", "--dns=a.example"];
    assert!(pullkey(directory.path(), &certs).status.success());
    directory
}

fn pullkey(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pullkey"));
    command
        .args(arguments)
        .env_clear()
        .current_dir(directory)
        .output()
        .unwrap()
}

fn rendered(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(helm());
    // Without a cluster it would take one of the past.
    command.args([
        "template",
        "pullkey",
        CHART,
        "--kube-version=1.30.0",
        "--namespace=pullkey",
    ]);
    command.args(arguments).current_dir(directory).output().unwrap()
}

fn text(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn objects(output: Output) -> Objects {
    let text = text(output);
    let documents = parse(&text).unwrap();
    let documents = documents
        .iter()
        .map(pullkey::yaml::Node::to_json)
        .filter(|object| !object.is_null());
    let mut objects = Objects::new();
    for object in documents {
        let [kind, namespace, name] = ["/kind", "/metadata/namespace", "/metadata/name"].map(|pointer| {
            object
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        });
        assert_eq!(objects.insert([kind, namespace, name], object), None);
    }
    objects
}

/// The kinds and names of the objects that Helm is told to keep; the rest is taken for what it would be without.
fn take_kept(objects: &mut Objects) -> Vec<String> {
    let mut kept = Vec::new();
    for ([kind, _, name], object) in objects {
        let metadata = object["metadata"].as_object_mut().unwrap();
        if metadata.get("annotations") == Some(&json!({"helm.sh/resource-policy": "keep"})) {
            metadata.remove("annotations");
            kept.push(format!("{kind} {name}"));
        }
    }
    kept
}

#[test]
fn the_chart_holds_the_objects_that_the_program_prints() {
    let directory = directory();
    for Choice {
        name,
        namespace,
        values,
        options,
    } in &CHOICES
    {
        let in_namespace = format!("--namespace={namespace}");
        let mut of_chart = objects(rendered(
            directory.path(),
            &[&[in_namespace.as_str()], *values].concat(),
        ));
        let mut printed = objects(pullkey(
            directory.path(),
            &[&["manifests", &in_namespace], *options].concat(),
        ));
        // Helm needs it before it has any object.
        printed
            .remove(&["Namespace", "", namespace].map(str::to_owned))
            .unwrap();
        assert_eq!(
            take_kept(&mut of_chart),
            [
                "CustomResourceDefinition clusterpullsecretrules.pullkey.dev",
                "CustomResourceDefinition pullsecretrules.pullkey.dev",
                "Namespace pullkey-sources",
            ],
            "{name}"
        );
        assert_eq!(
            of_chart.keys().collect::<Vec<_>>(),
            printed.keys().collect::<Vec<_>>(),
            "{name}"
        );
        for (key, object) in &printed {
            assert_eq!(&of_chart[key], object, "{name}");
        }
    }
}

#[test]
fn the_kinds_of_rules_can_be_left_to_others() {
    let directory = directory();
    let without = objects(rendered(directory.path(), &["--set=crds.install=false"]));
    let mut all = objects(rendered(directory.path(), &[]));
    all.retain(|[kind, _, name], _| {
        let is_of_rules = [
            "aggregate-to-view",
            "aggregate-to-edit",
            "view-cluster-rules",
            "policy-team",
        ]
        .iter()
        .any(|role| name.strip_prefix("pullkey-") == Some(role));
        kind != "CustomResourceDefinition" && !is_of_rules
    });
    assert_eq!(without, all);
}

#[test]
fn values_that_make_no_installation_are_refused_by_the_chart_as_by_the_program() {
    let directory = directory();
    for (values, options) in CONTRADICTIONS {
        let refused = rendered(directory.path(), values);
        assert!(!refused.status.success(), "{values:?}");
        println!("{values:?}: {}", String::from_utf8_lossy(&refused.stderr));
        assert!(
            !pullkey(directory.path(), &[&["manifests"], options].concat())
                .status
                .success()
        );
    }
    // A key beside the CA would be in the release for all who may read it.
    let read = |name: &str| fs::read_to_string(directory.path().join(name)).unwrap();
    fs::write(directory.path().join("both.pem"), read("ca.crt") + &read("ca.key")).unwrap();
    let with_key = [
        "--set=certificate.source=given",
        "--set-file=certificate.caBundle=both.pem",
    ];
    let refused = rendered(directory.path(), &with_key);
    assert!(String::from_utf8(refused.stderr).unwrap().contains("private key"));
}

#[test]
fn nothing_is_made_up_while_the_chart_is_rendered() {
    let directory = directory();
    let once = text(rendered(directory.path(), &[]));
    assert_eq!(once, text(rendered(directory.path(), &[])));
    // What asks a cluster, a clock or chance.
    let forbidden = [
        "lookup",
        "gen",
        "rand",
        "now",
        "uuidv4",
        "htpasswd",
        "Capabilities",
        "IsUpgrade",
        "Revision",
    ];
    let mut directories = vec![Path::new(CHART).join("templates")];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            let template = fs::read_to_string(&path).unwrap();
            for action in template.split("{{").skip(1).filter_map(|rest| rest.split("}}").next()) {
                let mut words = action.split(|character: char| !character.is_alphanumeric());
                let is_forbidden = |word: &str| forbidden.iter().any(|forbidden| word.starts_with(forbidden));
                let is_comment = action.trim_start_matches(['-', ' ']).starts_with("/*");
                assert!(is_comment || !words.any(is_forbidden), "{}: {action}", path.display());
            }
        }
    }
}

#[test]
fn helm_finds_nothing_to_warn_of() {
    let mut command = Command::new(helm());
    command.args([
        "lint",
        "--strict",
        CHART,
        "--kube-version=1.30.0",
        "--namespace=pullkey",
    ]);
    let said = text(command.output().unwrap());
    assert!(!said.contains("WARNING"), "{said}");
}

/// The values of an object by their path, each with what there is of it.
fn leaves(values: &Value, path: &str, found: &mut BTreeMap<String, Value>) {
    match values {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                leaves(value, &format!("{path}/properties/{name}"), found);
            }
        }
        value => _ = found.insert(path.to_owned(), value.clone()),
    }
}

/// The paths of what the schema describes, but for what is inside of lists and maps.
fn described(schema: &Value, path: &str, found: &mut Vec<String>) {
    match schema["properties"].as_object() {
        Some(properties) => {
            assert_eq!(schema["additionalProperties"], false, "{path}");
            for (name, property) in properties {
                assert!(
                    property["description"].as_str().is_some_and(|text| text.ends_with('.')),
                    "{path}: {name}"
                );
                described(property, &format!("{path}/properties/{name}"), found);
            }
        }
        None => found.push(path.to_owned()),
    }
}

#[test]
fn every_value_is_described_and_has_a_default() {
    let read = |name: &str| fs::read_to_string(Path::new(CHART).join(name)).unwrap();
    let schema: Value = serde_json::from_str(&read("values.schema.json")).unwrap();
    let mut of_schema = Vec::new();
    described(&schema, "", &mut of_schema);
    of_schema.retain(|path| path != "/properties/global");
    let values = parse(&read("values.yaml")).unwrap()[0].to_json();
    let mut defaults = BTreeMap::new();
    leaves(&values, "", &mut defaults);
    of_schema.sort();
    assert_eq!(of_schema, defaults.into_keys().collect::<Vec<_>>());
}
