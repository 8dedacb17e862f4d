//! The way from a call's body to a [`Review`].
//!
//! In: bytes. Out: the facts of the review, borrowed from the body, or the sentence for an answer 400. A body that is
//! a review with a uid is never refused: whatever else is wrong in its request becomes [`Object::Undecodable`].
//!
//! As for the API server's own decoder, the last of several members of one name counts, and wholly: nothing of the
//! others is left, no fault either. Keys are compared with their case, and after their escapes are resolved. Null is
//! the same as absent.

use std::borrow::Cow;

use super::json::{Broken, Json, Read};
use super::review::{API_VERSION, Fault, Image, KIND, Malformed, Object, Origin, Pod, Resource, Review};
use super::{MIRROR_ANNOTATION, OPT_OUT, OPT_OUT_LABEL};

/// The lists of containers: the list, its items and what counts of them.
const INIT_CONTAINERS: [&str; 3] = [
    "spec.initContainers",
    "spec.initContainers[]",
    "spec.initContainers[].image",
];
const CONTAINERS: [&str; 3] = ["spec.containers", "spec.containers[]", "spec.containers[].image"];
const EPHEMERAL_CONTAINERS: [&str; 3] = [
    "spec.ephemeralContainers",
    "spec.ephemeralContainers[]",
    "spec.ephemeralContainers[].image",
];

/// Reads an `AdmissionReview` of `admission.k8s.io/v1`. Time and memory are linear in the length of the body.
pub fn read(body: &[u8]) -> Result<Review<'_>, Malformed> {
    let text = simdutf8::compat::from_utf8(body).map_err(|error| Malformed::NotUtf8 {
        offset: error.valid_up_to(),
    })?;
    let mut json = Json::new(text);
    match envelope(&mut json) {
        Ok(envelope) => envelope,
        Err(Broken::Depth) => Err(Malformed::TooDeep),
        Err(Broken::Syntax) => Err(Malformed::NotJson { offset: json.offset() }),
    }
}

/// A piece of the request, or the fault in its place. It is kept until the end of the object around it, since a later
/// member of the same name may yet replace it.
type Fact<T> = Result<T, Fault>;

/// The members of a request.
struct Request<'a> {
    uid: Fact<Cow<'a, str>>,
    resource: Fact<Resource<'a>>,
    sub_resource: Fact<Cow<'a, str>>,
    operation: Fact<Cow<'a, str>>,
    namespace: Fact<Cow<'a, str>>,
    name: Fact<Cow<'a, str>>,
    dry_run: Fact<bool>,
    object: Fact<Object<'a>>,
}

fn envelope<'a>(json: &mut Json<'a>) -> Read<Result<Review<'a>, Malformed>> {
    let (mut kind, mut api_version, mut request) = (Ok(Cow::default()), Ok(Cow::default()), Ok(None));
    let review = object(json, "", |json, key| {
        match key {
            "kind" => kind = text(json, "kind")?,
            "apiVersion" => api_version = text(json, "apiVersion")?,
            "request" => request = read_request(json)?,
            _ => json.skip()?,
        }
        Ok(())
    })?;
    json.end()?;
    if review != Ok(true) {
        return Ok(Err(Malformed::NotAnObject));
    }
    let (kind, api_version) = (present(kind), present(api_version));
    if kind.as_deref() != Some(KIND) {
        return Ok(Err(Malformed::kind(kind.as_deref())));
    }
    if api_version.as_deref() != Some(API_VERSION) {
        return Ok(Err(Malformed::api_version(api_version.as_deref())));
    }
    Ok(match request {
        Ok(Some(request)) => request.into_review(),
        Ok(None) | Err(_) => Err(Malformed::NoRequest),
    })
}

fn read_request<'a>(json: &mut Json<'a>) -> Read<Fact<Option<Request<'a>>>> {
    let mut request = Request {
        uid: Ok(Cow::default()),
        resource: Ok(Resource::default()),
        sub_resource: Ok(Cow::default()),
        operation: Ok(Cow::default()),
        namespace: Ok(Cow::default()),
        name: Ok(Cow::default()),
        dry_run: Ok(false),
        object: Ok(Object::Absent),
    };
    let there = object(json, "request", |json, key| {
        match key {
            "uid" => request.uid = text(json, "request.uid")?,
            "resource" => request.resource = resource(json)?,
            "subResource" => request.sub_resource = text(json, "request.subResource")?,
            "operation" => request.operation = text(json, "request.operation")?,
            "namespace" => request.namespace = text(json, "request.namespace")?,
            "name" => request.name = text(json, "request.name")?,
            "dryRun" => request.dry_run = boolean(json, "request.dryRun")?,
            "object" => request.object = pod(json)?,
            _ => json.skip()?,
        }
        Ok(())
    })?;
    Ok(there.map(|there| there.then_some(request)))
}

impl<'a> Request<'a> {
    /// The order of the fields here is that in which faults count.
    fn into_review(self) -> Result<Review<'a>, Malformed> {
        let mut fault = None;
        let mut review = Review {
            uid: present(self.uid).ok_or(Malformed::NoUid)?,
            operation: settle(self.operation, &mut fault),
            namespace: settle(self.namespace, &mut fault),
            name: settle(self.name, &mut fault),
            resource: settle(self.resource, &mut fault),
            sub_resource: settle(self.sub_resource, &mut fault),
            dry_run: settle(self.dry_run, &mut fault),
            object: self.object.unwrap_or_else(Object::Undecodable),
        };
        if let Some(fault) = fault {
            review.object = Object::Undecodable(fault);
        }
        Ok(review)
    }
}

/// The value, or an empty one instead of a fault, which then counts if it is the first.
fn settle<T: Default>(fact: Fact<T>, first: &mut Option<Fault>) -> T {
    fact.unwrap_or_else(|fault| {
        first.get_or_insert(fault);
        T::default()
    })
}

/// A text that is one and not empty.
fn present(fact: Fact<Cow<'_, str>>) -> Option<Cow<'_, str>> {
    fact.ok().filter(|text| !text.is_empty())
}

fn resource<'a>(json: &mut Json<'a>) -> Read<Fact<Resource<'a>>> {
    let (mut group, mut version, mut resource) = (Ok(Cow::default()), Ok(Cow::default()), Ok(Cow::default()));
    let shape = object(json, "request.resource", |json, key| {
        match key {
            "group" => group = text(json, "request.resource.group")?,
            "version" => version = text(json, "request.resource.version")?,
            "resource" => resource = text(json, "request.resource.resource")?,
            _ => json.skip()?,
        }
        Ok(())
    })?;
    Ok(shape.and_then(|_| {
        Ok(Resource {
            group: group?,
            version: version?,
            resource: resource?,
        })
    }))
}

fn pod<'a>(json: &mut Json<'a>) -> Read<Fact<Object<'a>>> {
    let (mut facts, mut lists) = (Ok(Metadata::default()), Ok(None));
    let shape = object(json, "request.object", |json, key| {
        match key {
            "metadata" => facts = metadata(json)?,
            "spec" => lists = spec(json)?,
            _ => json.skip()?,
        }
        Ok(())
    })?;
    Ok(shape.and_then(|there| {
        if !there {
            return Ok(Object::Absent);
        }
        let Metadata { opted_out, mirror } = facts?;
        let spec = lists?.ok_or(fault("spec", "an object"))?;
        Ok(Object::Pod(Pod {
            opted_out,
            mirror,
            has_pull_secrets: spec.has_pull_secrets,
            pull_secrets: spec.pull_secrets,
            images: spec.images,
            service_account: spec.service_account,
        }))
    }))
}

/// What counts of a Pod's metadata.
#[derive(Default)]
struct Metadata {
    opted_out: bool,
    mirror: bool,
}

fn metadata(json: &mut Json<'_>) -> Read<Fact<Metadata>> {
    let (mut inject, mut mirror) = (Ok(Cow::default()), Ok(false));
    let shape = object(json, "metadata", |json, key| {
        match key {
            "labels" => {
                inject = only_text(json, "metadata.labels", OPT_OUT_LABEL, |json| {
                    text(json, "metadata.labels[pullkey.dev/inject]")
                })?;
            }
            "annotations" => mirror = mirror_annotation(json)?,
            _ => json.skip()?,
        }
        Ok(())
    })?;
    Ok(shape.and_then(|_| {
        Ok(Metadata {
            opted_out: inject? == OPT_OUT,
            mirror: mirror?,
        })
    }))
}

fn mirror_annotation(json: &mut Json<'_>) -> Read<Fact<bool>> {
    let mut mirror = false;
    let shape = object(json, "metadata.annotations", |json, key| {
        mirror |= key == MIRROR_ANNOTATION;
        json.skip()
    })?;
    Ok(shape.map(|_| mirror))
}

/// What counts of a Pod's spec.
struct Spec<'a> {
    has_pull_secrets: bool,
    pull_secrets: Vec<Cow<'a, str>>,
    images: Vec<Image<'a>>,
    service_account: Cow<'a, str>,
}

fn spec<'a>(json: &mut Json<'a>) -> Read<Fact<Option<Spec<'a>>>> {
    let mut secrets = Ok((false, Vec::new()));
    let [mut init, mut main, mut ephemeral, mut mounted] = [const { Ok(Vec::new()) }; 4];
    let mut service_account = Ok(Cow::default());
    let shape = object(json, "spec", |json, key| {
        match key {
            "imagePullSecrets" => secrets = pull_secrets(json)?,
            "initContainers" => init = containers(json, INIT_CONTAINERS, Origin::InitContainer)?,
            "containers" => main = containers(json, CONTAINERS, Origin::Container)?,
            "ephemeralContainers" => ephemeral = containers(json, EPHEMERAL_CONTAINERS, Origin::EphemeralContainer)?,
            "volumes" => mounted = volumes(json)?,
            "serviceAccountName" => service_account = text(json, "spec.serviceAccountName")?,
            _ => json.skip()?,
        }
        Ok(())
    })?;
    Ok(shape.and_then(|there| {
        let ((has_pull_secrets, pull_secrets), mut images) = (secrets?, init?);
        images.append(&mut main?);
        images.append(&mut ephemeral?);
        images.append(&mut mounted?);
        let service_account = service_account?;
        Ok(there.then_some(Spec {
            has_pull_secrets,
            pull_secrets,
            images,
            service_account,
        }))
    }))
}

/// Whether there is an entry, and the names of those that have one.
fn pull_secrets<'a>(json: &mut Json<'a>) -> Read<Fact<(bool, Vec<Cow<'a, str>>)>> {
    let (mut has_entry, mut names) = (false, Vec::new());
    let shape = list(
        json,
        "spec.imagePullSecrets",
        |json| {
            only_text(json, "spec.imagePullSecrets[]", "name", |json| {
                text(json, "spec.imagePullSecrets[].name")
            })
        },
        |_, name| {
            has_entry = true;
            if !name.is_empty() {
                names.push(name);
            }
        },
    )?;
    Ok(shape.map(|()| (has_entry, names)))
}

fn containers<'a>(
    json: &mut Json<'a>,
    [list, item, image]: [&'static str; 3],
    origin: fn(usize) -> Origin,
) -> Read<Fact<Vec<Image<'a>>>> {
    images(json, [list, item], origin, |json| text(json, image))
}

fn volumes<'a>(json: &mut Json<'a>) -> Read<Fact<Vec<Image<'a>>>> {
    images(json, ["spec.volumes", "spec.volumes[]"], Origin::Volume, |json| {
        only_text(json, "spec.volumes[].image", "reference", |json| {
            text(json, "spec.volumes[].image.reference")
        })
    })
}

/// The images of a list of objects, each of which has it in the member `image`, as the function of that name reads it.
fn images<'a>(
    json: &mut Json<'a>,
    [field, item]: [&'static str; 2],
    origin: fn(usize) -> Origin,
    image: impl Fn(&mut Json<'a>) -> Read<Fact<Cow<'a, str>>>,
) -> Read<Fact<Vec<Image<'a>>>> {
    let mut images = Vec::new();
    let shape = list(
        json,
        field,
        |json| only_text(json, item, "image", &image),
        |index, reference| {
            if !reference.is_empty() {
                let origin = origin(index);
                images.push(Image { origin, reference });
            }
        },
    )?;
    Ok(shape.map(|()| images))
}

/// A list: `push` gets the position and the value of every item that `item` finds no fault with. The first fault is
/// that of the list.
fn list<'a, T>(
    json: &mut Json<'a>,
    field: &'static str,
    item: impl Fn(&mut Json<'a>) -> Read<Fact<T>>,
    mut push: impl FnMut(usize, T),
) -> Read<Fact<()>> {
    match json.peek() {
        b'[' => {
            let mut list = Ok(());
            json.elements(|json, index| {
                match item(json)? {
                    Ok(value) => push(index, value),
                    Err(fault) => list = list.and(Err(fault)),
                }
                Ok(())
            })?;
            Ok(list)
        }
        other => other_kind(json, other, (), fault(field, "a list")),
    }
}

/// An object of which only the text in one member counts, which `text` reads; empty where the object is null.
fn only_text<'a>(
    json: &mut Json<'a>,
    field: &'static str,
    member: &str,
    text: impl Fn(&mut Json<'a>) -> Read<Fact<Cow<'a, str>>>,
) -> Read<Fact<Cow<'a, str>>> {
    let mut found = Ok(Cow::default());
    let shape = object(json, field, |json, key| {
        if key == member {
            found = text(json)?;
            return Ok(());
        }
        json.skip()
    })?;
    Ok(shape.and(found))
}

/// An object, whose members `member` reads; false where it is null.
fn object<'a>(
    json: &mut Json<'a>,
    field: &'static str,
    member: impl FnMut(&mut Json<'a>, &str) -> Read<()>,
) -> Read<Fact<bool>> {
    match json.peek() {
        b'{' => json.members(member).map(|()| Ok(true)),
        other => other_kind(json, other, false, fault(field, "an object")),
    }
}

fn text<'a>(json: &mut Json<'a>, field: &'static str) -> Read<Fact<Cow<'a, str>>> {
    match json.peek() {
        b'"' => json.string().map(Ok),
        other => other_kind(json, other, Cow::default(), fault(field, "a string")),
    }
}

fn boolean(json: &mut Json<'_>, field: &'static str) -> Read<Fact<bool>> {
    match json.peek() {
        first @ (b't' | b'f') => json.skip().map(|()| Ok(first == b't')),
        other => other_kind(json, other, false, fault(field, "a boolean")),
    }
}

/// Passes a value that begins otherwise than the field promises: null is fine, all else is the fault.
fn other_kind<T>(json: &mut Json<'_>, first: u8, null: T, fault: Fault) -> Read<Fact<T>> {
    json.skip()?;
    Ok(if first == b'n' { Ok(null) } else { Err(fault) })
}

fn fault(field: &'static str, expected: &'static str) -> Fault {
    Fault { field, expected }
}
