//! Where the Pods of a manifest are.
//!
//! In: the text of a manifest, YAML or JSON, any number of documents, Lists included. Out: every Pod and Pod template
//! in it as a [`Pod`] review would carry it, with the place it stands at. What holds no Pod (a Service, say) is named
//! and passed over; what is no Kubernetes object at all is a mistake.

use serde_json::{Value, json};

use crate::admission::{API_VERSION, KIND};
use crate::rules::diagnostic::{Diagnostic, Severity};
use crate::yaml::{self, Node, Position};

/// One Pod of a manifest.
#[derive(Debug)]
pub(super) struct ManifestPod {
    /// Which document of the file, from 0.
    pub(super) document: usize,
    /// Which item, if the document is a List.
    pub(super) item: Option<usize>,
    /// The outer object's kind: a Deployment's, not the Pod's.
    pub(super) kind: String,
    pub(super) namespace: String,
    /// The outer object's name; none where the API server will make one up.
    pub(super) name: Option<String>,
    /// An RFC 6901 pointer from the document to the Pod.
    pub(super) pointer: String,
    /// Where the outer object begins.
    pub(super) position: Position,
    /// An AdmissionReview of the Pod's creation.
    pub(super) review: Value,
    /// Whether all of admission is still before it.
    pub(super) is_to_be_made: bool,
}

/// The Pods of a file, or of an object of the cluster.
#[derive(Debug)]
pub struct Manifest {
    /// The file as it was named, or the object.
    pub(super) origin: String,
    pub(super) is_file: bool,
    pub(super) pods: Vec<ManifestPod>,
    /// Objects without Pods, for the reader to know that they were seen.
    pub ignored: Vec<String>,
}

/// A kind of objects that hold a Pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workload {
    /// Its API group, empty for the core.
    pub group: &'static str,
    /// Its name.
    pub kind: &'static str,
    /// The resource: what paths call it.
    pub plural: &'static str,
    /// What kubectl takes for it, too.
    pub short: &'static str,
    /// Where it keeps the Pod, as an RFC 6901 pointer.
    template: &'static str,
}

/// All of them.
pub const WORKLOADS: [Workload; 9] = [
    Workload::new("", "Pod", "pods", "po", ""),
    Workload::new("", "PodTemplate", "podtemplates", "", "/template"),
    Workload::new("", "ReplicationController", "replicationcontrollers", "rc", TEMPLATE),
    Workload::new("apps", "Deployment", "deployments", "deploy", TEMPLATE),
    Workload::new("apps", "ReplicaSet", "replicasets", "rs", TEMPLATE),
    Workload::new("apps", "StatefulSet", "statefulsets", "sts", TEMPLATE),
    Workload::new("apps", "DaemonSet", "daemonsets", "ds", TEMPLATE),
    Workload::new("batch", "Job", "jobs", "", TEMPLATE),
    Workload::new("batch", "CronJob", "cronjobs", "cj", "/spec/jobTemplate/spec/template"),
];
const TEMPLATE: &str = "/spec/template";

impl Workload {
    const fn new(
        group: &'static str,
        kind: &'static str,
        plural: &'static str,
        short: &'static str,
        template: &'static str,
    ) -> Self {
        Self {
            group,
            kind,
            plural,
            short,
            template,
        }
    }

    /// The kind of an object that is named as kubectl takes it and prints it: `deploy/web`, `deployment.apps/web`.
    #[must_use]
    pub fn named(text: &str) -> Option<(&'static Self, &str)> {
        let (kind, name) = text.split_once('/')?;
        let (kind, group) = match kind.split_once('.') {
            Some((kind, group)) => (kind, Some(group)),
            None => (kind, None),
        };
        let found = WORKLOADS.iter().find(|workload| {
            let is_kind = [workload.plural, workload.short].contains(&kind) || workload.kind.eq_ignore_ascii_case(kind);
            is_kind && group.is_none_or(|group| group == workload.group)
        });
        // A tag, a digest or another segment is an image's.
        let is_name = !kind.is_empty() && !name.is_empty() && !name.contains(['/', ':', '@']);
        Some((found.filter(|_| is_name)?, name))
    }
}

impl Manifest {
    /// Reads a file, or says all that is wrong with it. `namespace` is the one asked for, if any was; `fallback` that of
    /// what names none.
    pub fn of_file(file: &str, text: &str, namespace: Option<&str>, fallback: &str) -> Result<Self, Vec<Diagnostic>> {
        Self::read(file, true, text, namespace, fallback)
    }

    /// Reads an object as the API server has it.
    pub fn of_object(object: &str, text: &str, namespace: &str) -> Result<Self, Vec<Diagnostic>> {
        Self::read(object, false, text, None, namespace)
    }

    /// The namespaces of the Pods.
    pub fn namespaces(&self) -> impl Iterator<Item = &str> {
        self.pods.iter().map(|pod| pod.namespace.as_str())
    }

    fn read(
        origin: &str,
        is_file: bool,
        text: &str,
        namespace: Option<&str>,
        fallback: &str,
    ) -> Result<Self, Vec<Diagnostic>> {
        let mut mistakes = Vec::new();
        let mut manifest = Self {
            origin: origin.to_owned(),
            is_file,
            pods: Vec::new(),
            ignored: Vec::new(),
        };
        match yaml::parse(text) {
            Ok(documents) => {
                let mut reader = Reader {
                    namespace,
                    fallback,
                    manifest: &mut manifest,
                    mistakes: &mut mistakes,
                };
                for (document, node) in documents.iter().enumerate() {
                    reader.document(document, node);
                }
                if documents.iter().all(|node| node.value == yaml::Value::Null) {
                    let message = "the file holds no Kubernetes object";
                    mistakes.push(Diagnostic::new(Severity::Error, origin, message));
                }
            }
            Err(error) => {
                let mistake = Diagnostic::new(Severity::Error, origin, error.message).at(error.position, &"");
                mistakes.push(mistake);
            }
        }
        if mistakes.is_empty() {
            Ok(manifest)
        } else {
            Err(mistakes)
        }
    }
}

struct Reader<'a> {
    namespace: Option<&'a str>,
    fallback: &'a str,
    manifest: &'a mut Manifest,
    mistakes: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    fn document(&mut self, document: usize, node: &Node) {
        if node.value == yaml::Value::Null {
            return;
        }
        let field = |key| node.as_mapping().and_then(|object| object.get(key));
        let is_list = field("kind")
            .and_then(Node::as_str)
            .is_some_and(|kind| kind.ends_with("List"));
        match field("items").and_then(Node::as_sequence).filter(|_| is_list) {
            Some(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.object(document, Some(index), item);
                }
            }
            None => self.object(document, None, node),
        }
    }

    fn object(&mut self, document: usize, item: Option<usize>, node: &Node) {
        let object = &node.to_json();
        let place = match item {
            Some(item) => format!("item {item} of document {document}"),
            None => format!("document {document}"),
        };
        let (Some(api_version), Some(kind)) = (text(object, "/apiVersion"), text(object, "/kind")) else {
            let message = format!("{place} is not a Kubernetes object");
            self.mistake(node, message, "a mapping with the strings apiVersion and kind");
            return;
        };
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        let is_review = kind == KIND && group == "admission.k8s.io";
        let workload = WORKLOADS
            .iter()
            .find(|workload| (workload.group, workload.kind) == (group, kind));
        let (own_namespace, name, pointer) = match workload {
            Some(workload) => (
                text(object, "/metadata/namespace"),
                text(object, "/metadata/name"),
                workload.template,
            ),
            None if is_review => (
                text(object, "/request/namespace"),
                text(object, "/request/name"),
                "/request/object",
            ),
            None => {
                self.manifest
                    .ignored
                    .push(format!("{kind} ({place} of {}) holds no Pod", self.manifest.origin));
                return;
            }
        };
        let own_namespace = own_namespace.filter(|own| !own.is_empty());
        if let (Some(own), Some(asked)) = (own_namespace, self.namespace)
            && own != asked
        {
            let message = format!("the {kind} in {place} is of namespace `{own}`, not `{asked}`");
            self.mistake(node, message, "--namespace as in the manifest, or left out");
            return;
        }
        let namespace = own_namespace.or(self.namespace).unwrap_or(self.fallback).to_owned();
        let review = if is_review {
            object.clone()
        } else {
            creation(&namespace, object.pointer(pointer).unwrap_or(&Value::Null))
        };
        self.manifest.pods.push(ManifestPod {
            document,
            item,
            kind: kind.to_owned(),
            namespace,
            name: name.filter(|name| !name.is_empty()).map(str::to_owned),
            position: node.position,
            pointer: item.map(|index| format!("/items/{index}")).unwrap_or_default() + pointer,
            review,
            is_to_be_made: !is_review && (self.manifest.is_file || kind != "Pod"),
        });
    }

    fn mistake(&mut self, node: &Node, message: String, accepted: &str) {
        let mistake = Diagnostic::new(Severity::Error, &self.manifest.origin, message)
            .at(node.position, &"")
            .accepting(accepted);
        self.mistakes.push(mistake);
    }
}

fn text<'v>(object: &'v Value, pointer: &str) -> Option<&'v str> {
    object.pointer(pointer).and_then(Value::as_str)
}

/// The review that the API server would send when a Pod is made from this Pod or template.
fn creation(namespace: &str, pod: &Value) -> Value {
    let mut pod = pod.clone();
    // The older name of the field counts where the newer one is not there.
    if let Some(spec) = pod.get_mut("spec").and_then(Value::as_object_mut)
        && !spec.contains_key("serviceAccountName")
        && let Some(account) = spec.get("serviceAccount").cloned()
    {
        spec.insert("serviceAccountName".to_owned(), account);
    }
    json!({
        "apiVersion": API_VERSION,
        "kind": KIND,
        "request": {
            "uid": "explain",
            "operation": "CREATE",
            "resource": { "group": "", "version": "v1", "resource": "pods" },
            "namespace": namespace,
            "object": pod,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_named_as_kubectl_names_them() {
        for (text, expected) in [
            ("pod/web", Some(("Pod", "web"))),
            ("po/web", Some(("Pod", "web"))),
            ("Deployment/web", Some(("Deployment", "web"))),
            ("deployments/web", Some(("Deployment", "web"))),
            ("deployment.apps/web", Some(("Deployment", "web"))),
            ("cronjob.batch/web", Some(("CronJob", "web"))),
            ("sts/web-0.a", Some(("StatefulSet", "web-0.a"))),
            ("deployment.batch/web", None),
            ("service/web", None),
            ("/web", None),
            ("pod/", None),
            ("pod", None),
            ("pod/web:v1", None),
            ("pod/web/app", None),
            ("pod/web@sha256", None),
            ("docker.io/pod/web", None),
        ] {
            let found = Workload::named(text).map(|(workload, name)| (workload.kind, name));
            assert_eq!(found, expected, "{text}");
        }
    }

    /// What the API calls a kind is its name in the plural.
    #[test]
    fn plurals_are_those_of_the_kinds() {
        for workload in WORKLOADS {
            assert_eq!(workload.plural, workload.kind.to_lowercase() + "s");
        }
    }
}
