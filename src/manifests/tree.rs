//! The objects as files for kustomize.

use serde_json::{Value, json};

use super::registration::{WEBHOOK_NAME, registration};
use super::{
    CERTIFICATE, CONTROLLER, Manifest, NAME, Options, RULES, Unwritable, certificate, controller, kinds, monitoring,
    self_managed, server_name, webhook_labels, workload, yaml,
};

const API_VERSION: &str = "kustomize.config.k8s.io/v1beta1";
const KIND: &str = "Kustomization";
/// What a given certificate consists of, as `pullkey certs` names it.
const FILES: [&str; 3] = ["ca.crt", "tls.crt", "tls.key"];

/// Paths and texts.
type Files = Vec<(String, String)>;

/// All files, by paths with `/`.
pub(super) fn tree(options: &Options) -> Result<Files, Unwritable> {
    let mut files = crds()?;
    files.extend(base(options)?);
    files.extend(self_managed(options)?);
    files.extend(cert_manager(options)?);
    files.extend(given_certificate(options)?);
    files.extend(monitoring(options)?);
    Ok(files)
}

fn crds() -> Result<Files, Unwritable> {
    let mut files = Vec::new();
    for definition in kinds::definitions() {
        let plural = definition.object.pointer("/spec/names/plural").and_then(Value::as_str);
        let name = format!("{}.yaml", plural.unwrap_or_default());
        files.push((name, yaml(&[definition])?));
    }
    files.push(("cluster-roles.yaml".to_owned(), yaml(&kinds::roles())?));
    let resources: Vec<_> = files.iter().map(|(name, _)| name).collect();
    let kustomization = Manifest::new(
        "The kinds of rules, and who may do what with them. ../base holds this; apply it alone where rules are to be there\n\
         before anything reads them. Deleting it deletes every rule.",
        json!({"apiVersion": API_VERSION, "kind": KIND, "resources": resources}),
    );
    files.push(("kustomization.yaml".to_owned(), yaml(&[kustomization])?));
    Ok(below("crds", files))
}

fn base(options: &Options) -> Result<Files, Unwritable> {
    let mut objects = vec![workload::namespace(options)];
    objects.extend(workload::objects(options));
    objects.push(registration(options, None));
    let mut files = Vec::new();
    for of_a_kind in objects.chunk_by(|one, other| one.object.get("kind") == other.object.get("kind")) {
        let name = of_a_kind.first().map(|manifest| file_name(&manifest.object));
        files.push((name.unwrap_or_default(), yaml(of_a_kind)?));
    }
    files.push(("controller.yaml".to_owned(), yaml(&controller::objects(options))?));
    let mut resources = vec!["../crds".to_owned()];
    resources.extend(files.iter().map(|(name, _)| name.clone()));
    let rules = options.rules.0.iter();
    let rules: Files = rules
        .map(|(name, text)| (format!("rules/{name}"), text.clone()))
        .collect();
    let kustomization = Manifest::new(
        "All but the certificate: apply one of the overlays, or one of your own on top of it. `pullkey manifests --out`\n\
         wrote this; let it also change what several objects must agree on, such as the namespace or a port.\n\
         The rules are the files in rules/, which `pullkey check` and `--rules` of the next `--out` take as they are. Their\n\
         ConfigMap has no hash in its name, since the webhook reads rules again by itself: no Pod has to be replaced.",
        json!({
            "apiVersion": API_VERSION,
            "configMapGenerator": [{
                "files": rules.iter().map(|(path, _)| path).collect::<Vec<_>>(),
                "name": RULES,
                "namespace": options.namespace,
                "options": {"disableNameSuffixHash": true, "labels": webhook_labels()},
            }],
            "kind": KIND,
            "resources": resources,
        }),
    );
    files.extend(rules);
    files.push(("kustomization.yaml".to_owned(), yaml(&[kustomization])?));
    Ok(below("base", files))
}

fn self_managed(options: &Options) -> Result<Files, Unwritable> {
    let additions = |comment: &str, list: &str, items: Vec<Value>| {
        let items = items.into_iter();
        let operations = items.map(|item| json!({"op": "add", "path": format!("{list}/-"), "value": item}));
        yaml(&[Manifest::new(comment, operations.collect())])
    };
    let arguments = self_managed::arguments(options).into_iter().map(Value::from).collect();
    let patch = |path: &str, kind: &str| json!({"path": path, "target": {"kind": kind, "name": CONTROLLER}});
    let kustomization = Manifest::new(
        "With certificates that Pullkey's controller makes, renews and registers by itself; nothing has to be there before:\n\
         \n  kubectl apply -k overlays/self-managed",
        json!({
            "apiVersion": API_VERSION,
            "kind": KIND,
            "patches": [
                patch("manage-certificates.yaml", "Deployment"),
                patch("except-certificates.yaml", "ValidatingAdmissionPolicy"),
            ],
            "resources": ["../../base", "rights.yaml"],
        }),
    );
    let files = vec![
        (
            "except-certificates.yaml".to_owned(),
            additions(
                "The policy for copies has no say about the two Secrets with certificates; one in rights.yaml has.",
                self_managed::CONDITIONS,
                vec![self_managed::exemption(options)],
            )?,
        ),
        ("kustomization.yaml".to_owned(), yaml(&[kustomization])?),
        (
            "manage-certificates.yaml".to_owned(),
            additions(
                "The controller is told to keep them.",
                self_managed::ARGUMENTS,
                arguments,
            )?,
        ),
        ("rights.yaml".to_owned(), yaml(&self_managed::objects(options))?),
    ];
    Ok(below("overlays/self-managed", files))
}

fn cert_manager(options: &Options) -> Result<Files, Unwritable> {
    let patch = Manifest::new(
        "cert-manager puts the authority of this Certificate into the registration and keeps it there.",
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingWebhookConfiguration",
            "metadata": {"annotations": certificate::annotations(options), "name": NAME},
        }),
    );
    let kustomization = Manifest::new(
        "With a certificate by cert-manager, which must be there before:\n\
         \n  kubectl apply -k overlays/cert-manager",
        json!({
            "apiVersion": API_VERSION,
            "kind": KIND,
            "patches": [{"path": "inject-ca.yaml"}],
            "resources": ["../../base", "certificates.yaml"],
        }),
    );
    let files = vec![
        ("certificates.yaml".to_owned(), yaml(&certificate::objects(options))?),
        ("inject-ca.yaml".to_owned(), yaml(&[patch])?),
        ("kustomization.yaml".to_owned(), yaml(&[kustomization])?),
    ];
    Ok(below("overlays/cert-manager", files))
}

fn given_certificate(options: &Options) -> Result<Files, Unwritable> {
    let kustomization = Manifest::new(
        format!(
            "With a certificate that you bring: ca.crt, tls.crt and tls.key in this directory. Pullkey makes them, too:\n\
             \n  pullkey certs --out overlays/given-certificate --dns {}\n  \
             kubectl apply -k overlays/given-certificate\n\
             \n\
             The registration gets its caBundle from ca.crt. The CA's key is needed only to renew; keep it elsewhere meanwhile.\n\
             To renew, put another tls.crt and tls.key of the same CA here, as `pullkey certs --renew` does, and apply again:\n\
             the Secret keeps its name, and the webhook serves the new certificate without a restart, as soon as its volume\n\
             follows, within about two minutes. A new CA needs three steps, or calls would fail meanwhile: add it to ca.crt\n\
             and apply; replace tls.crt and tls.key and apply; five minutes later, take the old CA out of ca.crt and apply.",
            server_name(&options.namespace),
        ),
        json!({
            "apiVersion": API_VERSION,
            "kind": KIND,
            "replacements": [{
                // A Secret's data is base64 of the file, which is what a caBundle is.
                "source": {"fieldPath": "data.[ca.crt]", "kind": "Secret", "name": CERTIFICATE},
                "targets": [{
                    "fieldPaths": [format!("webhooks.[name={WEBHOOK_NAME}].clientConfig.caBundle")],
                    "options": {"create": true},
                    "select": {"kind": "MutatingWebhookConfiguration", "name": NAME},
                }],
            }],
            "resources": ["../../base"],
            "secretGenerator": [{
                "files": FILES,
                "name": CERTIFICATE,
                "namespace": options.namespace,
                "options": {"disableNameSuffixHash": true, "labels": webhook_labels()},
                "type": "kubernetes.io/tls",
            }],
        }),
    );
    let ignored = "# Certificates are brought here and never committed.\n*.crt\n*.key\n";
    let files = vec![
        (".gitignore".to_owned(), ignored.to_owned()),
        ("kustomization.yaml".to_owned(), yaml(&[kustomization])?),
    ];
    Ok(below("overlays/given-certificate", files))
}

fn monitoring(options: &Options) -> Result<Files, Unwritable> {
    let mut files = Vec::new();
    for manifest in [monitoring::pod_monitor(options), monitoring::prometheus_rule(options)] {
        files.push((file_name(&manifest.object), yaml(&[manifest])?));
    }
    let resources: Vec<_> = files.iter().map(|(name, _)| name).collect();
    let kustomization = Manifest::new(
        "Has the Prometheus operator and Grafana look after Pullkey:\n\
         \n  kubectl apply -k monitoring\n\
         \n\
         Without them, `alerts.yaml` is a rule file for Prometheus as it is, and the dashboard is there to be imported.",
        json!({
            "apiVersion": API_VERSION,
            "configMapGenerator": [{
                "files": [monitoring::DASHBOARD],
                "name": monitoring::DASHBOARD_NAME,
                "namespace": options.namespace,
                "options": {"disableNameSuffixHash": true, "labels": monitoring::dashboard_labels()},
            }],
            "kind": KIND,
            "resources": resources,
        }),
    );
    files.push(("alerts.yaml".to_owned(), monitoring::ALERTS.to_owned()));
    files.push((monitoring::DASHBOARD.to_owned(), monitoring::dashboard()));
    files.push(("kustomization.yaml".to_owned(), yaml(&[kustomization])?));
    Ok(below("monitoring", files))
}

fn below(directory: &str, files: Files) -> Files {
    files
        .into_iter()
        .map(|(name, text)| (format!("{directory}/{name}"), text))
        .collect()
}

/// `network-policy.yaml` for a `NetworkPolicy`: objects of a kind share a file.
fn file_name(object: &Value) -> String {
    let mut name = String::new();
    for character in object["kind"].as_str().unwrap_or_default().chars() {
        if character.is_ascii_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.push(character.to_ascii_lowercase());
    }
    name + ".yaml"
}
