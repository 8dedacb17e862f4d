//! What reading a review costs, beside the same facts by `serde_json` into borrowed structs.
//!
//! `cargo bench --no-default-features --bench reader` prints times and their ratio, measured by turns in one run. Times
//! of a busy machine vary, instructions do not: with a reader, a payload and a number of rounds the bench does just
//! that and prints nothing. The instructions of one review are a hundredth of the difference between two runs:
//!
//! ```text
//! bench=$(cargo bench --no-default-features --bench reader --no-run 2>&1 | sed -n 's|.*(\(target.*\))|\1|p')
//! for rounds in 100 200; do
//!     valgrind --tool=callgrind --callgrind-out-file=/dev/null "$bench" pullkey big $rounds 2>&1 | grep refs
//! done
//! ```

#![expect(clippy::print_stdout, reason = "a bench talks to its terminal")]
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a bench may fail")]
#![expect(clippy::struct_field_names, reason = "the fields are named by Kubernetes")]

mod payload;

use std::borrow::Cow;
use std::hint::black_box;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::from_slice;

type Reader = fn(&[u8]) -> usize;

/// The readers by name; each returns how many images it found.
const READERS: [(&str, Reader); 2] = [("pullkey", pullkey), ("serde_json", serde)];

fn main() {
    let payloads = [("small", payload::small()), ("big", payload::big())];
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    if let [reader, payload, rounds] = arguments.as_slice() {
        let (_, read) = READERS.iter().find(|(name, _)| name == reader).unwrap();
        let (_, body) = payloads.iter().find(|(name, _)| name == payload).unwrap();
        repeat(*read, body, rounds.parse().unwrap());
        return;
    }
    for (name, body) in &payloads {
        let mut times = [Duration::MAX; 2];
        for _ in 0..20 {
            for ((_, read), best) in READERS.iter().zip(&mut times) {
                *best = repeat(*read, body, 1000).min(*best);
            }
        }
        let [ours, serde] = times.map(|time| time.as_secs_f64() * 1e3);
        let (bytes, ratio) = (body.len(), serde / ours);
        println!("{name}, {bytes} bytes: pullkey {ours:.2} µs, serde_json {serde:.2} µs, {ratio:.2} times as long");
    }
}

fn repeat(read: Reader, body: &[u8], rounds: u32) -> Duration {
    let start = Instant::now();
    for _ in 0..rounds {
        black_box(read(black_box(body)));
    }
    start.elapsed()
}

fn pullkey(body: &[u8]) -> usize {
    match pullkey::admission::read(body).unwrap().object {
        pullkey::admission::Object::Pod(pod) => pod.images.len(),
        _ => 0,
    }
}

fn serde(body: &[u8]) -> usize {
    let review: Review<'_> = from_slice(body).unwrap();
    let spec = &black_box(&review).request.object.spec;
    spec.init_containers.len() + spec.containers.len()
}

/// What a decision needs, as `serde_json` likes it: no null, no duplicate, no wrong kind.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Review<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    api_version: Cow<'a, str>,
    #[serde(borrow)]
    request: Request<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Request<'a> {
    #[serde(borrow)]
    uid: Cow<'a, str>,
    #[serde(borrow)]
    operation: Cow<'a, str>,
    #[serde(borrow)]
    namespace: Cow<'a, str>,
    #[serde(borrow)]
    resource: Resource<'a>,
    dry_run: bool,
    #[serde(borrow)]
    object: Pod<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Resource<'a> {
    #[serde(borrow)]
    group: Cow<'a, str>,
    #[serde(borrow)]
    version: Cow<'a, str>,
    #[serde(borrow)]
    resource: Cow<'a, str>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Pod<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
    #[serde(borrow)]
    spec: Spec<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(borrow)]
    labels: Labels<'a>,
    #[serde(borrow)]
    annotations: Annotations<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Labels<'a> {
    #[serde(borrow, rename = "pullkey.dev/inject")]
    inject: Cow<'a, str>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Annotations<'a> {
    #[serde(borrow, rename = "kubernetes.io/config.mirror")]
    mirror: Cow<'a, str>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec<'a> {
    #[serde(borrow)]
    image_pull_secrets: Vec<Named<'a>>,
    #[serde(borrow)]
    init_containers: Vec<Container<'a>>,
    #[serde(borrow)]
    containers: Vec<Container<'a>>,
    #[serde(borrow)]
    volumes: Vec<Volume<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Named<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Container<'a> {
    #[serde(borrow)]
    image: Cow<'a, str>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Volume<'a> {
    #[serde(borrow)]
    image: Image<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Image<'a> {
    #[serde(borrow)]
    reference: Cow<'a, str>,
}
