//! The reader's oracle: the same facts by the plainest means, `serde_json` for all that is JSON and a tree of the whole
//! body. It is slow, and shares nothing with the reader but the types of its answers.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use pullkey::admission::{
    self, API_VERSION, DEEPEST, Fault, Image, KIND, Malformed, Object, Origin, Pod, Resource, Review,
};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// What both readers say of a body, which has to be the same, without the offset of a syntax error: theirs differ by a
/// byte or two.
pub(crate) fn both(body: &[u8]) -> Result<Review<'_>, Malformed> {
    let without_offset = |malformed| match malformed {
        Malformed::NotJson { .. } => Malformed::NotJson { offset: 0 },
        other => other,
    };
    let (ours, oracles) = (
        admission::read(body).map_err(without_offset),
        read(body).map_err(without_offset),
    );
    assert_eq!(
        ours,
        oracles,
        "the readers differ on {:?}",
        String::from_utf8_lossy(body)
    );
    ours
}

/// What `pullkey::admission::read` has to answer. Offsets of JSON errors are those of `serde_json`.
pub(crate) fn read(body: &[u8]) -> Result<Review<'static>, Malformed> {
    let text = std::str::from_utf8(body).map_err(|error| Malformed::NotUtf8 {
        offset: error.valid_up_to(),
    })?;
    let raw = check(text)?;
    let Tree::Object(envelope) = Tree::of(raw) else {
        return Err(Malformed::NotAnObject);
    };
    let kind = envelope.present("kind");
    if kind != Some(KIND) {
        return Err(Malformed::kind(kind));
    }
    let version = envelope.present("apiVersion");
    if version != Some(API_VERSION) {
        return Err(Malformed::api_version(version));
    }
    let Some(Tree::Object(request)) = envelope.0.get("request") else {
        return Err(Malformed::NoRequest);
    };
    let uid = request.present("uid").ok_or(Malformed::NoUid)?.to_owned().into();

    let facts = [
        request.text("operation", "request.operation"),
        request.text("namespace", "request.namespace"),
        request.text("name", "request.name"),
    ];
    let resource = resource(request);
    let sub_resource = request.text("subResource", "request.subResource");
    let dry_run = match request.0.get("dryRun") {
        None | Some(Tree::Null) => Ok(false),
        Some(Tree::Bool(value)) => Ok(*value),
        _ => Err(fault("request.dryRun", "a boolean")),
    };
    let mut faults = facts.iter().filter_map(|fact| fact.as_ref().err());
    let first = faults
        .next()
        .or(resource.as_ref().err())
        .or(sub_resource.as_ref().err())
        .or(dry_run.as_ref().err());
    let object = match first {
        Some(fault) => Err(*fault),
        None => object(request),
    };
    let [operation, namespace, name] = facts.map(Result::unwrap_or_default);
    Ok(Review {
        uid,
        resource: resource.unwrap_or_default(),
        sub_resource: sub_resource.unwrap_or_default(),
        operation,
        namespace,
        name,
        dry_run: dry_run.unwrap_or_default(),
        object: object.unwrap_or_else(Object::Undecodable),
    })
}

/// The grammar is checked by `serde_json`. It steps over values at any depth and with any surrogates in them, so these
/// are checked apart, in all of the text that comes before the first error.
fn check(text: &str) -> Result<&RawValue, Malformed> {
    let grammar = serde_json::from_str::<&RawValue>(text);
    let valid = match &grammar {
        Err(error) if !error.is_eof() => {
            let line: usize = text.split_inclusive('\n').take(error.line() - 1).map(str::len).sum();
            &text.as_bytes()[..(line + error.column()).saturating_sub(1)]
        }
        _ => text.as_bytes(),
    };
    let (mut at, mut depth) = (0, 0);
    while at < valid.len() {
        match valid[at] {
            b'[' | b'{' if depth == DEEPEST => return Err(Malformed::TooDeep),
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth -= 1,
            b'"' => {
                let start = at;
                at += 1;
                while at < valid.len() && valid[at] != b'"' {
                    at += if valid[at] == b'\\' { 2 } else { 1 };
                }
                if at < valid.len() && serde_json::from_slice::<String>(&valid[start..=at]).is_err() {
                    return Err(Malformed::NotJson { offset: at });
                }
            }
            _ => {}
        }
        at += 1;
    }
    grammar.map_err(|_| Malformed::NotJson { offset: valid.len() })
}

enum Tree {
    Null,
    Bool(bool),
    Number,
    String(String),
    List(Vec<Tree>),
    Object(Map),
}

struct Map(BTreeMap<String, Tree>);

/// The members of an object in their order, with all that have the same name.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

impl Tree {
    fn of(raw: &RawValue) -> Self {
        let text = raw.get();
        match text.as_bytes()[0] {
            b'n' => Self::Null,
            b't' => Self::Bool(true),
            b'f' => Self::Bool(false),
            b'"' => Self::String(serde_json::from_str(text).unwrap()),
            b'[' => {
                let items: Vec<&RawValue> = serde_json::from_str(text).unwrap();
                Self::List(items.into_iter().map(Self::of).collect())
            }
            b'{' => {
                let Members(members) = serde_json::from_str(text).unwrap();
                let mut last = BTreeMap::new();
                for (key, value) in members {
                    last.insert(key, Self::of(value));
                }
                Self::Object(Map(last))
            }
            _ => Self::Number,
        }
    }
}

impl Map {
    fn present(&self, key: &str) -> Option<&str> {
        match self.0.get(key) {
            Some(Tree::String(text)) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    fn text(&self, key: &str, field: &'static str) -> Result<Cow<'static, str>, Fault> {
        match self.0.get(key) {
            None | Some(Tree::Null) => Ok("".into()),
            Some(Tree::String(text)) => Ok(text.clone().into()),
            _ => Err(fault(field, "a string")),
        }
    }

    fn object(&self, key: &str, field: &'static str) -> Result<Option<&Map>, Fault> {
        self.0.get(key).map_or(Ok(None), |tree| as_object(tree, field))
    }

    fn list(&self, key: &str, field: &'static str) -> Result<&[Tree], Fault> {
        match self.0.get(key) {
            None | Some(Tree::Null) => Ok(&[]),
            Some(Tree::List(items)) => Ok(items),
            _ => Err(fault(field, "a list")),
        }
    }
}

fn as_object<'a>(tree: &'a Tree, field: &'static str) -> Result<Option<&'a Map>, Fault> {
    match tree {
        Tree::Null => Ok(None),
        Tree::Object(map) => Ok(Some(map)),
        _ => Err(fault(field, "an object")),
    }
}

fn resource(request: &Map) -> Result<Resource<'static>, Fault> {
    let Some(resource) = request.object("resource", "request.resource")? else {
        return Ok(Resource::default());
    };
    Ok(Resource {
        group: resource.text("group", "request.resource.group")?,
        version: resource.text("version", "request.resource.version")?,
        resource: resource.text("resource", "request.resource.resource")?,
    })
}

fn object(request: &Map) -> Result<Object<'static>, Fault> {
    let Some(object) = request.object("object", "request.object")? else {
        return Ok(Object::Absent);
    };
    let mut pod = Pod::default();
    if let Some(metadata) = object.object("metadata", "metadata")? {
        if let Some(labels) = metadata.object("labels", "metadata.labels")? {
            let inject = labels.text("pullkey.dev/inject", "metadata.labels[pullkey.dev/inject]")?;
            pod.opted_out = inject == "false";
        }
        if let Some(annotations) = metadata.object("annotations", "metadata.annotations")? {
            pod.mirror = annotations.0.contains_key("kubernetes.io/config.mirror");
        }
    }
    let spec = object.object("spec", "spec")?.ok_or(fault("spec", "an object"))?;
    for item in spec.list("imagePullSecrets", "spec.imagePullSecrets")? {
        let name = match as_object(item, "spec.imagePullSecrets[]")? {
            None => "".into(),
            Some(entry) => entry.text("name", "spec.imagePullSecrets[].name")?,
        };
        pod.has_pull_secrets = true;
        pod.pull_secrets.extend((!name.is_empty()).then_some(name));
    }
    for (key, [list, item, image], origin) in [
        (
            "initContainers",
            [
                "spec.initContainers",
                "spec.initContainers[]",
                "spec.initContainers[].image",
            ],
            Origin::InitContainer as fn(usize) -> Origin,
        ),
        (
            "containers",
            ["spec.containers", "spec.containers[]", "spec.containers[].image"],
            Origin::Container,
        ),
        (
            "ephemeralContainers",
            [
                "spec.ephemeralContainers",
                "spec.ephemeralContainers[]",
                "spec.ephemeralContainers[].image",
            ],
            Origin::EphemeralContainer,
        ),
    ] {
        for (index, container) in spec.list(key, list)?.iter().enumerate() {
            if let Some(container) = as_object(container, item)? {
                pod.add(origin(index), container.text("image", image)?);
            }
        }
    }
    for (index, volume) in spec.list("volumes", "spec.volumes")?.iter().enumerate() {
        if let Some(volume) = as_object(volume, "spec.volumes[]")?
            && let Some(image) = volume.object("image", "spec.volumes[].image")?
        {
            pod.add(
                Origin::Volume(index),
                image.text("reference", "spec.volumes[].image.reference")?,
            );
        }
    }
    pod.service_account = spec.text("serviceAccountName", "spec.serviceAccountName")?;
    Ok(Object::Pod(pod))
}

trait AddImage {
    fn add(&mut self, origin: Origin, reference: Cow<'static, str>);
}

impl AddImage for Pod<'static> {
    fn add(&mut self, origin: Origin, reference: Cow<'static, str>) {
        if !reference.is_empty() {
            self.images.push(Image { origin, reference });
        }
    }
}

fn fault(field: &'static str, expected: &'static str) -> Fault {
    Fault { field, expected }
}
