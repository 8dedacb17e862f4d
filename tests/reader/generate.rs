//! Random reviews, whole and broken: any shape of the members that the reader knows, in any formatting, with wrong
//! kinds, duplicates and escapes anywhere; and mutations of their bytes. The same seed gives the same bytes.

/// A small generator of random numbers (`SplitMix64`); a whole library is not needed for this.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, or 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap()
    }

    fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    fn pick<'a, T: ?Sized>(&mut self, items: &[&'a T]) -> &'a T {
        items[self.below(items.len())]
    }
}

/// What a place of the review holds when nothing is wrong with it.
enum Shape {
    Any,
    Bool,
    Text(&'static [&'static str]),
    List(&'static Shape),
    Object(&'static [(&'static str, Shape)]),
}

const NAMES: Shape = Shape::Text(&[
    "",
    "a",
    "team-a",
    "web-7d9c",
    "pull-secret",
    "f\u{fc}nf \u{1F600} \"quoted\"\\",
]);
const IMAGES: Shape = Shape::Text(&[
    "",
    "nginx",
    "ghcr.io/acme/app:v1",
    "[::1]:5000/a",
    "no image \u{7f}\u{1F600}",
]);
const CONTAINERS: Shape = Shape::List(&Shape::Object(&[
    ("name", NAMES),
    ("image", IMAGES),
    (
        "env",
        Shape::List(&Shape::Object(&[("name", NAMES), ("value", Shape::Any)])),
    ),
]));
const VOLUMES: Shape = Shape::List(&Shape::Object(&[
    ("name", NAMES),
    ("image", Shape::Object(&[("reference", IMAGES), ("pullPolicy", NAMES)])),
]));
const METADATA: Shape = Shape::Object(&[
    ("name", NAMES),
    (
        "labels",
        Shape::Object(&[
            ("app", NAMES),
            ("pullkey.dev/inject", Shape::Text(&["false", "true", "False", ""])),
        ]),
    ),
    (
        "annotations",
        Shape::Object(&[("note", NAMES), ("kubernetes.io/config.mirror", NAMES)]),
    ),
    ("managedFields", Shape::Any),
]);
const SPEC: Shape = Shape::Object(&[
    ("imagePullSecrets", Shape::List(&Shape::Object(&[("name", NAMES)]))),
    ("initContainers", CONTAINERS),
    ("containers", CONTAINERS),
    ("ephemeralContainers", CONTAINERS),
    ("volumes", VOLUMES),
    ("serviceAccountName", NAMES),
    ("affinity", Shape::Any),
]);
const REQUEST: Shape = Shape::Object(&[
    (
        "uid",
        Shape::Text(&["705ab4f5-6393-11e8-b7cc-42010a800002", "u", "\u{1F600}"]),
    ),
    (
        "resource",
        Shape::Object(&[
            ("group", Shape::Text(&["", "apps"])),
            ("version", Shape::Text(&["v1"])),
            ("resource", Shape::Text(&["pods"])),
        ]),
    ),
    ("subResource", Shape::Text(&["", "status"])),
    ("operation", Shape::Text(&["CREATE", "DELETE"])),
    ("namespace", NAMES),
    ("name", NAMES),
    ("dryRun", Shape::Bool),
    ("userInfo", Shape::Any),
    (
        "object",
        Shape::Object(&[("metadata", METADATA), ("spec", SPEC), ("status", Shape::Any)]),
    ),
    ("oldObject", Shape::Any),
]);
const REVIEW: Shape = Shape::Object(&[
    ("kind", Shape::Text(&["AdmissionReview"])),
    ("apiVersion", Shape::Text(&["admission.k8s.io/v1"])),
    ("request", REQUEST),
    ("response", Shape::Any),
]);

/// Pieces of JSON and of what is nearly JSON.
const TOKENS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    " ",
    "\t",
    "\r\n",
    "null",
    "true",
    "false",
    "nul",
    "True",
    "0",
    "-0",
    "1e999",
    "-1.5E-3",
    "01",
    "1.",
    ".5",
    "-",
    "+1",
    "1e",
    "0x1",
    "NaN",
    "Infinity",
    "\"\"",
    "\"a\"",
    "'a'",
    "\\u0041",
    "\\ud83d\\ude00",
    "\\ud83d",
    "\\ude00",
    "\\u12",
    "\\uD83D\\u0041",
    "\\x",
    "\\/",
    "\u{feff}",
    "\u{0}",
    "\u{1f}",
    "\u{7f}",
    "\u{2028}",
    "/*a*/",
    "//",
    "{}",
    "[]",
    "{\"a\":1}",
    "\"request\":{}",
    "\"uid\":\"b\",",
    "\"spec\":null,",
    "\"image\":7,",
    "\"\\u0075id\":\"c\",",
];

/// Bytes of a review. About a third is as the API server would send it but for the contents, the rest has wrong kinds
/// of values, duplicates, strange formatting or broken bytes.
pub(crate) fn review(random: &mut Random) -> Vec<u8> {
    let mut writer = Writer {
        text: String::new(),
        wrong: random.pick(&[&usize::MAX, &400, &60, &15]).to_owned(),
        escapes: random.pick(&[&usize::MAX, &20, &2]).to_owned(),
        spaces: random.pick(&[&usize::MAX, &10, &2]).to_owned(),
        duplicates: random.pick(&[&usize::MAX, &usize::MAX, &10]).to_owned(),
    };
    writer.value(&REVIEW, 0, random);
    writer.space(random);
    let mut bytes = writer.text.into_bytes();
    if random.one_in(2) {
        for _ in 0..=random.below(3) {
            mutate(&mut bytes, random);
        }
    }
    bytes
}

fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    let longest = random.pick(&[&3, &12, &200]).to_owned();
    let length = random.below(longest).min(bytes.len() - at);
    match random.below(9) {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(at..at + length)),
        2 => {
            let piece = bytes[at..at + length].to_vec();
            let to = random.below(bytes.len() + 1);
            drop(bytes.splice(to..to, piece));
        }
        3 => {
            let deep = "[".repeat(random.below(140)) + &"]".repeat(random.below(140));
            drop(bytes.splice(at..at, deep.into_bytes()));
        }
        4 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        5 if at < bytes.len() => bytes[at] = random.next().to_le_bytes()[0],
        6 => drop(bytes.splice(at..at + length, random.pick(TOKENS).bytes())),
        _ => drop(bytes.splice(at..at, random.pick(TOKENS).bytes())),
    }
}

/// Writes a value; each field is the one-in-so-many chance of an oddity.
struct Writer {
    text: String,
    wrong: usize,
    escapes: usize,
    spaces: usize,
    duplicates: usize,
}

impl Writer {
    fn value(&mut self, shape: &Shape, depth: usize, random: &mut Random) {
        self.space(random);
        if random.one_in(self.wrong) {
            return self.any(depth, random);
        }
        match shape {
            Shape::Any => self.any(depth, random),
            Shape::Bool => self.text.push_str(random.pick(&["true", "false"])),
            Shape::Text(choices) => self.string(random.pick(choices), random),
            Shape::List(item) => {
                let items = vec![*item; random.below(4)];
                self.list(&items, depth, random);
            }
            Shape::Object(members) => {
                let mut chosen: Vec<_> = members.iter().map(|(key, shape)| (*key, shape)).collect();
                chosen.retain(|_| !random.one_in(self.wrong));
                for _ in 0..members.len() {
                    if random.one_in(self.duplicates) {
                        let (key, shape) = &members[random.below(members.len())];
                        chosen.insert(random.below(chosen.len() + 1), (key, shape));
                    }
                }
                if !chosen.is_empty() {
                    let middle = random.below(chosen.len());
                    chosen.rotate_left(middle);
                }
                self.object(&chosen, depth, random);
            }
        }
    }

    fn any(&mut self, depth: usize, random: &mut Random) {
        if depth < 6 && random.one_in(3) {
            let children = random.below(4);
            return if random.one_in(2) {
                self.list(&vec![&Shape::Any; children], depth, random);
            } else {
                let keys = ["", "a", "f:spec", "kind", "uid", "image", "k:{\"name\":\"app\"}"];
                let members: Vec<_> = (0..children).map(|_| (random.pick(&keys), &Shape::Any)).collect();
                self.object(&members, depth, random);
            };
        }
        match random.below(40) {
            0 => {
                let levels = 110 + random.below(20);
                let (open, close) = random.pick(&[&("[", "]"), &("{\"a\":", "}")]).to_owned();
                self.text += &(open.repeat(levels) + "1" + &close.repeat(levels));
            }
            1..=12 => self
                .text
                .push_str(random.pick(&["0", "-0", "12", "-1.50", "1e999", "2E+07", "0.0e-0", "1E5"])),
            13..=24 => self
                .text
                .push_str(random.pick(&["null", "null", "true", "false", "{}", "[]", "[ ]"])),
            _ => {
                let length = random.below(40);
                let text: String = (0..length)
                    .map(|_| random.pick(&["a", "b", "\"", "\\", "/", "\n", "\u{e9}", "\u{1F600}"]))
                    .collect();
                self.string(&text, random);
            }
        }
    }

    fn list(&mut self, items: &[&Shape], depth: usize, random: &mut Random) {
        self.text.push('[');
        for (index, item) in items.iter().enumerate() {
            self.comma(index, random);
            self.value(item, depth + 1, random);
        }
        self.space(random);
        self.text.push(']');
    }

    fn object(&mut self, members: &[(&str, &Shape)], depth: usize, random: &mut Random) {
        self.text.push('{');
        for (index, (key, shape)) in members.iter().enumerate() {
            self.comma(index, random);
            self.space(random);
            self.string(key, random);
            self.space(random);
            self.text.push(':');
            self.value(shape, depth + 1, random);
        }
        self.space(random);
        self.text.push('}');
    }

    fn comma(&mut self, index: usize, random: &mut Random) {
        if index > 0 {
            self.space(random);
            self.text.push(',');
        }
    }

    fn string(&mut self, text: &str, random: &mut Random) {
        self.text.push('"');
        for character in text.chars() {
            match character {
                _ if random.one_in(self.escapes) => {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        let escape = if random.one_in(2) {
                            format!("\\u{unit:04x}")
                        } else {
                            format!("\\u{unit:04X}")
                        };
                        self.text.push_str(&escape);
                    }
                }
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                '\n' => self.text.push_str("\\n"),
                '/' if random.one_in(self.escapes) => self.text.push_str("\\/"),
                _ => self.text.push(character),
            }
        }
        self.text.push('"');
    }

    fn space(&mut self, random: &mut Random) {
        if random.one_in(self.spaces) {
            self.text
                .push_str(random.pick(&[" ", "\n", "\t", "\r\n", "    ", "\n                    "]));
        }
    }
}
