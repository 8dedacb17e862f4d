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
}

/// What a file holds.
#[derive(Debug, Default)]
pub(super) struct Manifest {
    pub(super) pods: Vec<ManifestPod>,
    /// Objects without Pods, for the reader to know that they were seen.
    pub(super) ignored: Vec<String>,
    pub(super) mistakes: Vec<Diagnostic>,
}

/// Where an object of this API group and kind keeps its Pod.
fn template_of(group: &str, kind: &str) -> Option<&'static str> {
    match (group, kind) {
        ("", "Pod") => Some(""),
        ("", "PodTemplate") => Some("/template"),
        ("", "ReplicationController")
        | ("apps", "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet")
        | ("batch", "Job") => Some("/spec/template"),
        ("batch", "CronJob") => Some("/spec/jobTemplate/spec/template"),
        _ => None,
    }
}

/// Reads a manifest. `namespace` is the one asked for, if any was.
pub(super) fn read(file: &str, text: &str, namespace: Option<&str>) -> Manifest {
    let mut manifest = Manifest::default();
    match yaml::parse(text) {
        Ok(documents) => {
            let mut reader = Reader {
                file,
                namespace,
                manifest: &mut manifest,
            };
            for (document, node) in documents.iter().enumerate() {
                reader.document(document, node);
            }
            if documents.iter().all(|node| node.value == yaml::Value::Null) {
                let message = "the file holds no Kubernetes object";
                manifest.mistakes.push(Diagnostic::new(Severity::Error, file, message));
            }
        }
        Err(error) => {
            let mistake = Diagnostic::new(Severity::Error, file, error.message).at(error.position, &"");
            manifest.mistakes.push(mistake);
        }
    }
    manifest
}

struct Reader<'a> {
    file: &'a str,
    namespace: Option<&'a str>,
    manifest: &'a mut Manifest,
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
        let (own_namespace, name, pointer) = match template_of(group, kind) {
            Some(template) => (
                text(object, "/metadata/namespace"),
                text(object, "/metadata/name"),
                template,
            ),
            None if is_review => (
                text(object, "/request/namespace"),
                text(object, "/request/name"),
                "/request/object",
            ),
            None => {
                self.manifest
                    .ignored
                    .push(format!("{kind} ({place} of {}) holds no Pod", self.file));
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
        let namespace = own_namespace
            .or(self.namespace)
            .unwrap_or(super::DEFAULT_NAMESPACE)
            .to_owned();
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
        });
    }

    fn mistake(&mut self, node: &Node, message: String, accepted: &str) {
        let mistake = Diagnostic::new(Severity::Error, self.file, message)
            .at(node.position, &"")
            .accepting(accepted);
        self.manifest.mistakes.push(mistake);
    }
}

fn text<'v>(object: &'v Value, pointer: &str) -> Option<&'v str> {
    object.pointer(pointer).and_then(Value::as_str)
}

/// The review that the API server would send when a Pod is made from this Pod or template.
fn creation(namespace: &str, pod: &Value) -> Value {
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
