//! Where the rules that may cover an image are found, at a cost that does not grow with their number.
//!
//! In: entries, each with the scope it is for and what it reaches. Out: the few of them that may cover an image. The
//! index proposes and never decides: whoever asks checks each proposal against the pattern itself, so that nothing here
//! has to know what a pattern means, and two texts with one hash do no harm.
//!
//! There is one table of places. A place is the hash of the place before it and a piece of text, and so needs no text
//! of its own:
//!
//! ```text
//!   scope ─┬─ host:port ───────────────────────────────┬─ the path up to a segment's end
//!          └─ port ─ last label ─ … ─ first label ─────┴─ the path up to a length that some key has
//! ```
//!
//! Literal hosts are one step away. Hosts with stars are found label by label from the right, and a label with stars by
//! its literal pieces: all globs of a place whose pieces have the same lengths share one step, so 100,000 of the form
//! `team-N-*` cost one step for each number of digits.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};
use std::iter;
use std::ops::Range;

use foldhash::fast::RandomState;

use super::pattern::split_port;
use crate::credentials;
use crate::image::{DOCKER_HUB_LEGACY, ImageReference};

/// As many labels of a host with stars lead on; the rest is left to the pattern. It bounds the recursion, and no
/// registry's host has so many.
const DEEPEST_LABEL: usize = 16;

/// A hash of all that leads there.
type Place = u64;

/// The finished index.
#[derive(Debug, Clone)]
pub(super) struct Index {
    hasher: RandomState,
    nodes: HashMap<Place, Node, RandomState>,
    /// In the order of their places.
    entries: Vec<Entry>,
}

/// An index that still grows.
#[derive(Debug, Default)]
pub(super) struct Builder {
    hasher: RandomState,
    nodes: HashMap<Place, Node, RandomState>,
    filed: Vec<(Place, Entry)>,
}

/// One thing that may cover an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    /// The rule's index.
    pub(super) rule: u32,
    /// Which of the rule's things it is.
    pub(super) part: Part,
    /// The rank of its specificity.
    pub(super) specificity: u32,
}

/// A thing of a rule by its index. Of two that are equally specific the lesser one is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Pattern(u32),
    Derived(u32),
    Regex,
    Exception(u32),
}

/// For whom an entry is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scope<'a> {
    /// Any namespace.
    Everyone,
    /// One namespace: its entries cost the others nothing.
    Namespace(&'a str),
    /// A rule's exceptions, looked at only where the rule matches: rules made from a template share their exceptions.
    ExceptionsOf(u32),
}

/// Where an entry may cover an image. A path begins with `/` or is empty.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reach<'a> {
    Anywhere,
    /// At this host, from this path on by whole segments.
    Segments(&'a str, &'a str),
    /// At this host, from this path on by characters.
    Characters(&'a str, &'a str),
}

/// An image as the index looks at it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    host: &'a str,
    labels: &'a str,
    port: &'a str,
    path: &'a str,
    is_docker_hub: bool,
}

/// What is at a place.
#[derive(Debug, Clone, Default)]
struct Node {
    entries: Range<u32>,
    /// The segments of the longest path that leads on by segments.
    segments: u32,
    /// Whether literal labels lead on.
    has_labels: bool,
    /// Apart, since few places have any of it and there are many places.
    rare: Option<Box<Rare>>,
}

/// What few places have.
#[derive(Debug, Clone, Default)]
struct Rare {
    /// What kinds of labels with stars lead on.
    globs: Vec<Shape>,
    /// The lengths of the paths that lead on by characters.
    lengths: Vec<u32>,
}

/// The lengths of the literal pieces of a label with stars: before the first one, after the last one, and the longest
/// between two, which may stand anywhere in between.
#[derive(Debug, Clone, Copy)]
struct Shape {
    place: Place,
    prefix: usize,
    middle: usize,
    suffix: usize,
}

impl Node {
    fn globs(&self) -> &[Shape] {
        self.rare.as_ref().map_or(&[], |rare| &rare.globs)
    }

    fn lengths(&self) -> &[u32] {
        self.rare.as_ref().map_or(&[], |rare| &rare.lengths)
    }
}

impl<'a> Subject<'a> {
    pub(super) fn new(image: &'a ImageReference<'_>) -> Self {
        let (host, _) = image.host_and_path();
        let (labels, port) = split_labels(host);
        Self {
            host,
            labels,
            port,
            path: image.name().get(host.len()..).unwrap_or_default(),
            is_docker_hub: credentials::counts_as_docker_hub(image),
        }
    }

    /// The lengths at which the path can be cut without cutting a segment.
    fn cuts(&self) -> impl Iterator<Item = usize> {
        let slashes = self.path.bytes().enumerate().skip(1).filter(|(_, byte)| *byte == b'/');
        slashes.map(|(length, _)| length).chain(iter::once(self.path.len()))
    }
}

impl Builder {
    /// Files an entry.
    pub(super) fn file(&mut self, scope: Scope<'_>, reach: Reach<'_>, entry: Entry) {
        let root = root(&self.hasher, scope);
        self.nodes.entry(root).or_default();
        let place = match reach {
            Reach::Anywhere => root,
            Reach::Segments(host, path) | Reach::Characters(host, path) if path.is_empty() => self.host(root, host),
            Reach::Segments(host, path) => {
                let host = self.host(root, host);
                let segments = narrow(path.matches('/').count());
                let node = self.nodes.entry(host).or_default();
                node.segments = node.segments.max(segments);
                step(&self.hasher, host, path)
            }
            Reach::Characters(host, path) => {
                let host = self.host(root, host);
                let length = narrow(path.len());
                let node = self.nodes.entry(host).or_default();
                let lengths = &mut node.rare.get_or_insert_default().lengths;
                if let Err(position) = lengths.binary_search(&length) {
                    lengths.reserve_exact(1);
                    lengths.insert(position, length);
                }
                step(&self.hasher, by_characters(host), path)
            }
        };
        self.filed.push((place, entry));
    }

    /// The place of a host.
    fn host(&mut self, root: Place, host: &str) -> Place {
        if !host.contains('*') {
            // No port and an empty port are the same to a keyring, and only the former stands in a name.
            return step(&self.hasher, root, host.trim_end_matches(':'));
        }
        let (labels, port) = split_labels(host);
        let port = step(&self.hasher, root, port.trim_end_matches(':'));
        labels
            .rsplit('.')
            .take(DEEPEST_LABEL)
            .fold(port, |place, label| self.label(place, label))
    }

    /// The place that a label leads to.
    fn label(&mut self, place: Place, label: &str) -> Place {
        let node = self.nodes.entry(place).or_default();
        let Some((prefix, rest)) = label.split_once('*') else {
            node.has_labels = true;
            return step(&self.hasher, place, label);
        };
        let (between, suffix) = rest.rsplit_once('*').unwrap_or(("", rest));
        let middle = between.split('*').max_by_key(|piece| piece.len()).unwrap_or_default();
        let shape = Shape {
            place: step(
                &self.hasher,
                place,
                &format!("{}*{}*{}", prefix.len(), middle.len(), suffix.len()),
            ),
            prefix: prefix.len(),
            middle: middle.len(),
            suffix: suffix.len(),
        };
        let globs = &mut node.rare.get_or_insert_default().globs;
        if globs.iter().all(|known| known.place != shape.place) {
            globs.reserve_exact(1); // most have one
            globs.push(shape);
        }
        let pieces = [prefix, suffix, middle].into_iter().filter(|piece| !piece.is_empty());
        pieces.fold(shape.place, |place, piece| step(&self.hasher, place, piece))
    }

    /// The index of all that was filed, and where each scope begins.
    pub(super) fn build(self) -> Index {
        let Self {
            hasher,
            mut nodes,
            mut filed,
        } = self;
        filed.sort_unstable();
        let mut end: u32 = 0;
        for same in filed.chunk_by(|(one, _), (other, _)| one == other) {
            let start = end;
            end = end.saturating_add(narrow(same.len()));
            if let Some((place, _)) = same.first() {
                nodes.entry(*place).or_default().entries = start..end;
            }
        }
        nodes.shrink_to_fit();
        let entries = filed.into_iter().map(|(_, entry)| entry).collect();
        Index { hasher, nodes, entries }
    }
}

impl Index {
    /// Proposes the entries of a scope that may cover an image, some of them more than once, until one is taken.
    /// Says whether one was.
    pub(super) fn find(&self, scope: Scope<'_>, image: &Subject<'_>, take: &mut impl FnMut(&Entry) -> bool) -> bool {
        let root = root(&self.hasher, scope);
        let Some(node) = self.nodes.get(&root) else {
            return false;
        };
        self.entries(node, take)
            || self.host(step(&self.hasher, root, image.host), image, take)
            // A key stored as this host serves no image of it, as there is none: it is Docker Hub's last resort.
            || image.is_docker_hub && self.host(step(&self.hasher, root, DOCKER_HUB_LEGACY), image, take)
            || self.labels(step(&self.hasher, root, image.port), Some(image.labels), DEEPEST_LABEL, image, take)
    }

    fn entries(&self, node: &Node, take: &mut impl FnMut(&Entry) -> bool) -> bool {
        let Range { start, end } = node.entries;
        self.entries
            .get(start as usize..end as usize)
            .is_some_and(|entries| entries.iter().any(take))
    }

    /// The entries of a host and of the paths below it.
    fn host(&self, place: Place, image: &Subject<'_>, take: &mut impl FnMut(&Entry) -> bool) -> bool {
        let Some(node) = self.nodes.get(&place) else {
            return false;
        };
        let mut below = |place, length| {
            let path = image.path.get(..length);
            let node = path.and_then(|path| self.nodes.get(&step(&self.hasher, place, path)));
            node.is_some_and(|node| self.entries(node, take))
        };
        image
            .cuts()
            .take(node.segments as usize)
            .any(|length| below(place, length))
            || node
                .lengths()
                .iter()
                .any(|length| below(by_characters(place), *length as usize))
            || self.entries(node, take)
    }

    /// The entries of all hosts with stars that these labels lead to, the last label first.
    fn labels(
        &self,
        place: Place,
        labels: Option<&str>,
        deepest: usize,
        image: &Subject<'_>,
        take: &mut impl FnMut(&Entry) -> bool,
    ) -> bool {
        let Some(labels) = labels.filter(|_| deepest > 0) else {
            return self.host(place, image, take);
        };
        let Some(node) = self.nodes.get(&place) else {
            return false;
        };
        let (rest, label) = labels
            .rsplit_once('.')
            .map_or((None, labels), |(rest, label)| (Some(rest), label));
        let deepest = deepest - 1;
        node.has_labels && self.labels(step(&self.hasher, place, label), rest, deepest, image, take)
            || node
                .globs()
                .iter()
                .any(|shape| self.glob(shape, label, |place| self.labels(place, rest, deepest, image, take)))
    }

    /// Where a label leads by the globs of a shape.
    fn glob(&self, shape: &Shape, label: &str, mut lead: impl FnMut(Place) -> bool) -> bool {
        let Shape {
            mut place,
            prefix,
            middle,
            suffix,
        } = *shape;
        let pieces = label.split_at_checked(prefix).and_then(|(prefix, rest)| {
            let (between, suffix) = rest.split_at_checked(rest.len().checked_sub(suffix)?)?;
            Some((prefix, between, suffix))
        });
        let Some((prefix, between, suffix)) = pieces else {
            return false;
        };
        for piece in [prefix, suffix] {
            if !piece.is_empty() {
                place = step(&self.hasher, place, piece);
            }
        }
        if middle == 0 {
            return lead(place);
        }
        (0..between.len())
            .filter_map(|start| Some((start, between.get(start..start + middle)?)))
            .any(|(start, piece)| {
                let place = step(&self.hasher, place, piece);
                // Once for each piece: `*a*` finds its letter in each place of `aaa`.
                self.nodes.contains_key(&place) && between.find(piece) == Some(start) && lead(place)
            })
    }
}

fn root(hasher: &RandomState, scope: Scope<'_>) -> Place {
    match scope {
        Scope::Everyone => step(hasher, 0, ""),
        Scope::Namespace(name) => step(hasher, 1, name),
        Scope::ExceptionsOf(rule) => step(hasher, 2 + Place::from(rule), ""),
    }
}

/// The place that a piece leads to.
fn step(hasher: &RandomState, from: Place, piece: &str) -> Place {
    let mut hasher = hasher.build_hasher();
    hasher.write_u64(from);
    hasher.write(piece.as_bytes());
    hasher.finish()
}

/// Where paths that are compared by characters lead on from.
fn by_characters(host: Place) -> Place {
    !host
}

/// A host without its port, and without the brackets that a port demands of an IPv6 address: a keyring removes them.
fn split_labels(host: &str) -> (&str, &str) {
    let (name, port) = split_port(host);
    let bare = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
        .filter(|_| !port.is_empty());
    (bare.unwrap_or(name), port)
}

/// There is no memory for more.
pub(super) fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
