//! Random images and pull secrets, made of pieces on which the kubelet's rules hang, whole and broken. What is plainest
//! stands first in each list, since a difference shrinks towards it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use proptest::bool::weighted;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::strategy::Union;

/// A Secret as a Pod's list may name it.
#[derive(Clone)]
pub(super) struct Secret {
    pub(super) form: &'static str,
    /// Where its one value stands.
    pub(super) key: &'static str,
    pub(super) payload: Vec<u8>,
}

impl Secret {
    pub(super) fn docker_config_json(payload: impl Into<Vec<u8>>) -> Self {
        Self {
            form: "kubernetes.io/dockerconfigjson",
            key: ".dockerconfigjson",
            payload: payload.into(),
        }
    }

    pub(super) fn dockercfg(payload: impl Into<Vec<u8>>) -> Self {
        Self {
            form: "kubernetes.io/dockercfg",
            key: ".dockercfg",
            payload: payload.into(),
        }
    }
}

impl fmt::Debug for Secret {
    /// As one can read it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let payload = self.payload.escape_ascii();
        write!(formatter, "{} {} b\"{payload}\"", self.form, self.key)
    }
}

const HEX_64: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn piece(pieces: &'static [&'static str]) -> impl Strategy<Value = String> {
    select(pieces).prop_map(str::to_owned)
}

/// One of `plain`, and now and then one of `odd`.
fn mostly(plain: &'static [&'static str], odd: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop_oneof![4 => piece(plain), 1 => piece(odd)]
}

/// Any run of pieces.
fn soup(pieces: &'static [&'static str], most: usize) -> impl Strategy<Value = String> {
    vec(select(pieces), 0..=most).prop_map(|pieces| pieces.concat())
}

/// The same text; one in four times with up to three characters lost, added or replaced. The edits are drawn first, and
/// so are the first to shrink away: nothing else can while they depend on the text's length.
fn edited(text: impl Strategy<Value = String>, characters: &'static str) -> impl Strategy<Value = String> {
    let characters: Vec<char> = characters.chars().collect();
    let edit = (any::<Index>(), 0..3, select(characters));
    (weighted(0.25), vec(edit, 0..=3), text).prop_map(|(is_edited, mut edits, text)| {
        edits.retain(|_| is_edited);
        let mut text: Vec<char> = text.chars().collect();
        for (at, kind, character) in edits {
            let at = at.index(text.len() + 1);
            let removed = usize::from(kind != 1 && at < text.len());
            text.splice(at..at + removed, (kind != 0).then_some(character));
        }
        text.into_iter().collect()
    })
}

/// Texts that are images, or nearly.
pub(super) fn image() -> impl Strategy<Value = String> {
    #[rustfmt::skip]
    const PIECES: &[&str] = &[
        "a", "/", ":", "@", ".", "-", "_", "1", "A", "foo", "docker.io", "index.docker.io", "Docker.io", "localhost",
        "LOCALHOST", "library", "example.com", "my_registry.example.com", "a_b", "a__b", "a___b", "a.b", "a..b", "a-b",
        "a---b", "-a", "a-", "_a", "a_", "80", "[", "]", "[::1]", "[fe80::1]", "[::FFFF]", "[1.2.3.4]", "[::1%eth0]",
        "latest", ":v1", "sha256:", "sha384:", "sha512:", "sha1:", "SHA256:", "md5:", HEX_64,
        "0123456789abcdef0123456789abcdef", "0123456789ABCDEF0123456789ABCDEF", "*", "?", "#", "%", " ", "\n", "\t", "\0",
        "é", "\u{212a}", "İ", "ß", "ǅ", "日", "xn--bcher-kva",
    ];
    let long = (
        piece(&[
            "",
            "a/",
            "a.b/",
            "x_y.z/",
            "docker.io/",
            "index.docker.io/",
            "localhost/",
            "very.long.example.com:5000/",
        ]),
        240..270_usize,
        piece(&["", ":t", "/b", "@x"]),
    );
    let text = prop_oneof![
        8 => plausible_image(),
        2 => soup(PIECES, 8),
        1 => long.prop_map(|(host, length, tail)| host + &"a".repeat(length) + &tail),
    ];
    edited(text, "a.:/@-_[]AZ09 *\n%é")
}

fn plausible_image() -> impl Strategy<Value = String> {
    #[rustfmt::skip]
    let host = mostly(
        &[
            "", "docker.io/", "index.docker.io/", "ghcr.io/", "localhost/", "localhost:5000/", "a.b/", "A/", "x_y.z/", "[::1]/",
            "[::1]:80/", "1.2.3.4/", "1.2.3.4:5000/", "host:5000/", "a.b:0/", "docker.io:443/", "DOCKER.IO/", "a_b/",
            "a---b.c/", "[:]/",
        ],
        &[
            "x_y.z:80/", "Foo_x.b/", "[zz]/", "-a.b/", "a-.b/", "a..b/", ".a/", "a./", "host:/", "a:b/", "[]:1/", "é.x/",
            "\u{212a}/", "[::1/", "::1/",
        ],
    );
    let usual_segment = piece(&["a", "foo", "library", "acme"]);
    let segment = mostly(
        &["a", "foo", "library", "a.b", "a_b", "a__b", "a-b", "a----b", "x1", "0"],
        &[
            "A", "", "a___b", "a..b", "a.-b", "a._b", "é", "-a", "a-", ".a", "a_", HEX_64,
        ],
    );
    let segment = prop_oneof![2 => usual_segment, 1 => segment];
    let long_tag = (120..135_usize).prop_map(|length| format!(":{}", "t".repeat(length)));
    let tag = prop_oneof![
        6 => Just(String::new()),
        3 => mostly(&[":latest", ":V1", ":_x", ":1.2.3-rc"], &[":", ":-x", ":.x", ":a b", ":a:b", ":é"]),
        1 => long_tag,
    ];
    let digest = (
        mostly(
            &["sha256:", "sha384:", "sha512:"],
            &["", "sha1:", "SHA256:", "sha256", "sha256+b64:", "md5:"],
        ),
        prop_oneof![
            select(&[32_usize, 48, 64, 96, 128, 31, 63, 65][..]).prop_map(|digits| HEX_64
                .chars()
                .cycle()
                .take(digits)
                .collect()),
            piece(&["", "0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef"]),
        ],
    );
    let digest = prop_oneof![
        5 => Just(String::new()),
        2 => Just(format!("@sha256:{HEX_64}")),
        1 => digest.prop_map(|(algorithm, digits)| format!("@{algorithm}{digits}")),
    ];
    (host, vec(segment, 1..=4), tag, digest)
        .prop_map(|(host, segments, tag, digest)| host + &segments.join("/") + &tag + &digest)
}

/// Images that keys of [`secret`] are likely to serve.
pub(super) fn pulled_image() -> impl Strategy<Value = String> {
    #[rustfmt::skip]
    let host = prop_oneof![
        2 => piece(&["ghcr.io/", ""]),
        1 => piece(&[
            "docker.io/", "index.docker.io/", "ghcr.io:5000/", "localhost/", "localhost:5000/", "LOCALHOST/", "MyOrg/", "A/",
            "F/", "[::1]/", "[::1]:5000/", "[::A]/", "[:]/", "[fe80::1]:5000/", "1.2.3.4/", "1.2.3.4:5000/",
            "my_registry.example.com/", "registry-1.docker.io/", "index.docker.io:443/", "docker.io:443/", "a.io/", "a.b/",
            "x--y.z/",
        ]),
    ];
    #[rustfmt::skip]
    let path = piece(&[
        "nginx", "acme/app", "acme", "acmeapp", "acme-private/app", "a/b", "library/nginx", "v1/acme", "acme/app/deep",
    ]);
    let tail = prop_oneof![
        3 => Just(String::new()),
        1 => Just(":v1".to_owned()),
        1 => Just(format!("@sha256:{HEX_64}")),
    ];
    prop_oneof![
        12 => (host, path, tail).prop_map(|(host, path, tail)| host + &path + &tail),
        1 => image(),
    ]
}

/// Keys of a docker config as people and tools spell them, and worse.
fn key() -> impl Strategy<Value = String> {
    #[rustfmt::skip]
    let usual = piece(&[
        "ghcr.io", "docker.io", "index.docker.io", "https://index.docker.io/v1/", "https://ghcr.io", "*.io",
        "ghcr.io/acme", "localhost:5000", "*", "[::1]:5000",
    ]);
    let scheme = mostly(
        &["", "https://", "http://"],
        &["HTTPS://", "https:", "//", "ftp://", "https:/", "http:///"],
    );
    #[rustfmt::skip]
    let user = prop_oneof![4 => Just(String::new()), 1 => piece(&[
        "user@", "user:pa%41ss@", "u:p@q@", "u:p%zz@", "ué@", "u:p/@", "u[@", "a b@", "u:p?x@",
    ])];
    #[rustfmt::skip]
    let host = mostly(
        &[
            "ghcr.io", "*.io", "*", "*.*", "g*r.i*", "ghcr.io:5000", "*:5000", "index.docker.io", "index.docker.io:443",
            "docker.io", "docker.io:", "registry-1.docker.io", "localhost", "localhost:5000", "MyOrg", "A", "*A*", "[::1]",
            "[::1]:5000", "[::A]", "1.2.3.4", "*.*.*.4:5000", "my_registry.example.com", "my*.example.com",
        ],
        &[
            "", "*]", "]", "LOCALHOST", "[::a]", "[::1]:", "[fe80::1%25eth0]", "[fe80::1%25eth0]:5000", "[::ffff:1.2.3.4]",
            "[1.2.3.4]", "[zz]", "[::1", "::1]", "a[b", "**.io", "g?cr.io", "ghcr.io:x", "ghcr.io:1:2", "a b", "a\tb",
            "%67hcr.io", "ghcr%2Eio", "ghé", "gh%c3%a9.io", "gh%ff.io", "a%25b", "a%2525b", "a%25ff", "ghcr.io.", "ghcr..io",
            "~!$&'()*+,;=<>\"", "a\\b", "a^b", "a{b", "a|b", "a`b", "x--y.z", "\u{fffd}.io",
        ],
    );
    #[rustfmt::skip]
    let path = mostly(
        &[
            "", "/", "/acme", "/acme/", "/acme/app", "/ac", "/a", "/v1/", "/v2/", "/v1", "/v2", "/v1/acme", "/v2/acme/",
            "/library", "/library/", "/library/nginx",
        ],
        &[
            "/v3/", "/v1/v1/", "//", "/acme/app:v1", "/acme/app@sha256:x", "/*", "/a%63me", "/acme%2Fapp", "/acme%3Fx",
            "/acme%23x", "/%2e", "/acme%", "/acme%4", "/acme%zz", "/acme%00", "/ac me", "/acme\u{7f}", "/é", "/%ff",
            "/acme%2540", "/acme%40x", "/acme%25zz", "/acme%2561", "/acme%3F%ff", "/./acme", "/../acme", "/v1/%2f",
        ],
    );
    #[rustfmt::skip]
    let tail = prop_oneof![4 => Just(String::new()), 1 => piece(&[
        "?", "?x=y", "?a%zz", "#", "#frag", "#%zz", "#%41", "?x#y", "#\u{1}", "?\u{1}", "??",
    ])];
    let composed = (scheme, user, host, path, tail)
        .prop_map(|(scheme, user, host, path, tail)| scheme + &user + &host + &path + &tail);
    prop_oneof![
        1 => usual,
        1 => edited(composed, ".:/@-_[]%25AaZz09*?#\n é\\^~\"&=fF"),
    ]
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// One of `good`; where something may be wrong, now and then one of `bad`.
fn maybe_bad(
    good: impl Strategy<Value = String> + 'static,
    may_be_bad: bool,
    bad: impl Strategy<Value = String> + 'static,
) -> impl Strategy<Value = String> {
    let mut alternatives = vec![(12, good.boxed())];
    if may_be_bad {
        alternatives.push((1, bad.boxed()));
    }
    Union::new_weighted(alternatives)
}

/// A field's name in all the ways in which Go still knows it, and a few in which it does not.
fn name(field: &'static str) -> impl Strategy<Value = String> {
    let (first, rest) = field.split_at(1);
    let capital = first.to_uppercase() + rest;
    prop_oneof![
        8 => Just(field.to_owned()),
        1 => Just(field.to_uppercase()),
        1 => Just(capital),
        1 => Just(field.replace('s', "ſ")),
        1 => Just(format!("{field} ")),
    ]
    .prop_map(|name| quoted(&name))
}

/// The text of an `auth`.
fn auth(may_be_bad: bool) -> impl Strategy<Value = String> {
    #[rustfmt::skip]
    const PIECES: &[&str] = &[
        "YTpi", "YQ", "Y", "=", "==", "\n", "\r", "Og", "Ojo", "OjpB", " ", "\t", "-", "_", "/", "+", "\u{a0}", "YTp", "YTo",
        "B", "b", "é",
    ];
    const SPACES: &[&str] = &["", " ", "\t", "\n", "\u{a0}"];
    let line_break = (any::<Index>(), select(&['\n', '\r'][..]));
    let broken_up = (vec(line_break, 0..=1), base64()).prop_map(|(breaks, mut text)| {
        for (at, character) in breaks {
            text.insert(at.index(text.len() + 1), character);
        }
        text
    });
    let good = prop_oneof![
        12 => broken_up,
        1 => piece(&["YTp", "YTp=", "YTpiYx=="]), // bits that the last character has too many
    ];
    let spaced = (piece(SPACES), base64(), piece(SPACES)).prop_map(|(before, text, behind)| before + &text + &behind);
    maybe_bad(good, may_be_bad, prop_oneof![spaced, soup(PIECES, 12)])
}

fn base64() -> impl Strategy<Value = String> {
    let plain = prop_oneof![
        8 => (0..100, 0..5_usize).prop_map(|(user, length)| format!("a{user}:p{}", "x".repeat(length)).into_bytes()),
        2 => select(&[":", "u:", "::x", ":p", "é:x"][..]).prop_map(|text| text.as_bytes().to_vec()),
        1 => Just(b"\xff\xc3:p".to_vec()),
    ];
    (plain, any::<bool>()).prop_map(|(plain, is_padded)| {
        if is_padded {
            STANDARD.encode(plain)
        } else {
            STANDARD_NO_PAD.encode(plain)
        }
    })
}

/// A member of an entry.
fn field(may_be_bad: bool) -> impl Strategy<Value = String> {
    let username = (0..100).prop_map(|user| quoted(&format!("u{user}")));
    let odd_username = piece(&[
        "\"\\ud800\"",
        "\"\\ud83d\\ude00\"",
        "\"a\\/\\u0041\"",
        "\"\\udc00\\ud800x\"",
    ]);
    let nothing = piece(&["null", "\"\""]);
    let wrong = piece(&["5", "{}", "[]", "false", "1e999"]);
    let any_name = || prop_oneof![name("username"), name("password"), name("email"), name("auth")];
    let member = |(name, value): (String, String)| format!("{name}:{value}");
    let good = prop_oneof![
        4 => (name("auth"), auth(may_be_bad).prop_map(|text| quoted(&text))).prop_map(member),
        3 => (name("username"), prop_oneof![4 => username, 1 => odd_username]).prop_map(member),
        2 => (name("password"), Just(quoted("secret"))).prop_map(member),
        1 => (name("email"), Just(quoted("x@y"))).prop_map(member),
        1 => (any_name(), nothing).prop_map(member),
        1 => piece(&[
            "\"identitytoken\":\"x\"",
            "\"registrytoken\":5",
            "\"x\":[1e999,{\"a\":[]}]",
            "\"auths\":{}",
        ]),
    ];
    maybe_bad(good, may_be_bad, (any_name(), wrong).prop_map(member))
}

fn object(members: &[String]) -> String {
    format!("{{{}}}", members.join(","))
}

/// The object of entries.
fn entries(may_be_bad: bool) -> impl Strategy<Value = String> {
    let entry = prop_oneof![
        8 => vec(field(may_be_bad), 0..=4).prop_map(|members| object(&members)),
        1 => piece(&[" {}\t", " null "]),
    ];
    let entry = maybe_bad(entry, may_be_bad, piece(&["5", "[]", "\"x\"", "true", "1e999", "-0.0"]));
    let members = vec((key(), entry), 0..=5).prop_map(|entries| {
        let members = entries
            .into_iter()
            .map(|(key, entry)| format!("{}:{entry}", quoted(&key)));
        object(&members.collect::<Vec<_>>())
    });
    let good = prop_oneof![25 => members, 1 => Just("null".to_owned())];
    maybe_bad(good, may_be_bad, piece(&["5", "[]", "\"x\"", "true"]))
}

/// A `config.json`.
fn config(may_be_bad: bool) -> impl Strategy<Value = String> {
    let auths = move || (name("auths"), entries(may_be_bad)).prop_map(|(name, entries)| format!("{name}:{entries}"));
    let headers = piece(&[
        "\"HttpHeaders\":{\"a\":\"b\"}",
        "\"httpheaders\":{}",
        "\"HttpHeaders\":null",
        "\"HTTPHEADERS\":{\"a\":null}",
    ]);
    let bad_headers = piece(&[
        "\"HttpHeaders\":{\"a\":5}",
        "\"httpheaders\":[]",
        "\"HttpHeaderſ\":{\"a\":5}",
        "\"HttpHeaders\":\"x\"",
    ]);
    let ignored = piece(&[
        "\"credsStore\":\"desktop\"",
        "\"credHelpers\":{\"a\":\"b\"}",
        "\"x\":1e999",
        "\"x\":\"\\ud800\"",
        "\"x\":[[[[]]]]",
    ]);
    let more = prop_oneof![
        2 => auths(),
        1 => maybe_bad(headers, may_be_bad, bad_headers),
        1 => ignored,
    ];
    let more = prop_oneof![2 => Just(Vec::new()), 1 => vec(more, 1..=2)];
    (auths(), more, any::<bool>()).prop_map(|(auths, mut members, comes_first)| {
        members.insert(if comes_first { 0 } else { members.len() }, auths);
        object(&members)
    })
}

/// A payload of either form.
fn payload(form: impl Strategy<Value = String> + 'static, may_be_bad: bool) -> impl Strategy<Value = Vec<u8>> {
    #[rustfmt::skip]
    const PIECES: &[&str] = &[
        "{", "}", "[", "]", ",", ":", "\"auths\"", "\"auths\":{", "\"a\"", "\"a\":", "null", "5", "-1.5e3", "01", "true",
        "tru", " ", "\t", "\u{feff}", "\"auth\":\"YTpi\"", "\"\\u12\"", "\"\\ud800\\u0041\"", "\"\\x\"", "{}", "1e", "-",
    ];
    let text = if may_be_bad {
        prop_oneof![
            8 => form,
            8 => soup(PIECES, 14),
            1 => piece(&["null", " {} ", "{\"auths\":null}", "[]", "5", "\"x\"", "{"]),
        ]
        .boxed()
    } else {
        form.boxed()
    };
    let text = if may_be_bad {
        edited(text, "{}[]\",:\\u0019 né\u{1}").boxed()
    } else {
        text
    };
    (weighted(0.03), any::<Index>(), 0x80..=0xff_u8, text).prop_map(|(is_broken, at, byte, text)| {
        let mut bytes = text.into_bytes();
        if is_broken {
            bytes.insert(at.index(bytes.len() + 1), byte);
        }
        bytes
    })
}

/// Secrets of both types, mostly good ones, and some that are not what they seem.
fn secret() -> impl Strategy<Value = Secret> {
    let docker_config_json = |may_be_bad| payload(config(may_be_bad), may_be_bad).prop_map(Secret::docker_config_json);
    let dockercfg = |may_be_bad| payload(entries(may_be_bad), may_be_bad).prop_map(Secret::dockercfg);
    let mixed_up = (
        select(&["Opaque", "kubernetes.io/dockercfg", "kubernetes.io/dockerconfigjson"][..]),
        select(&[".dockerconfigjson", ".dockercfg", "x"][..]),
        prop_oneof![entries(true), config(true)],
    );
    prop_oneof![
        9 => docker_config_json(false),
        3 => dockercfg(false),
        3 => docker_config_json(true),
        1 => dockercfg(true),
        1 => mixed_up.prop_map(|(form, key, text)| Secret { form, key, payload: text.into_bytes() }),
    ]
}

/// The Secrets of a Pod, in order.
pub(super) fn secrets() -> impl Strategy<Value = Vec<Secret>> {
    vec(secret(), 1..=3)
}
