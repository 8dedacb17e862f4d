//! What is known of the kubelet, row by row.

use serde_json::json;

use super::generate::Secret;

const HUB: &str = "docker.io";

/// A text, and the registry and the repository that it names, if it is an image.
pub(super) type Image = (&'static str, Option<(&'static str, &'static str)>);

pub(super) const IMAGES: &[Image] = &[
    ("", None),
    ("nginx", Some((HUB, "library/nginx"))),
    // 64 hex digits could be an image's identifier.
    ("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", None),
    (
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde",
        Some((
            HUB,
            "library/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde",
        )),
    ),
    (
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef:v1",
        Some((
            HUB,
            "library/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        )),
    ),
    (
        "ghcr.io/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        Some((
            "ghcr.io",
            "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        )),
    ),
    // Without a `/` there is no host.
    ("localhost", Some((HUB, "library/localhost"))),
    ("localhost:5000", Some((HUB, "library/localhost"))),
    ("example.com", Some((HUB, "library/example.com"))),
    ("192.168.1.1:5000", Some((HUB, "library/192.168.1.1"))),
    ("docker.io", Some((HUB, "library/docker.io"))),
    // With one, the first part is a host by its look.
    ("localhost/app", Some(("localhost", "app"))),
    ("a.b/app", Some(("a.b", "app"))),
    ("a:5000/app:5000", Some(("a:5000", "app"))),
    ("MyOrg/app", Some(("MyOrg", "app"))),
    ("LOCALHOST/app", Some(("LOCALHOST", "app"))),
    ("acme/app", Some((HUB, "acme/app"))),
    ("acme/team/app", Some((HUB, "acme/team/app"))),
    // Docker Hub has two names.
    ("index.docker.io/app", Some((HUB, "library/app"))),
    ("index.docker.io/acme/app", Some((HUB, "acme/app"))),
    ("docker.io/app", Some((HUB, "library/app"))),
    ("docker.io/acme/app", Some((HUB, "acme/app"))),
    ("docker.io:443/app", Some(("docker.io:443", "app"))),
    ("Docker.io/app", Some(("Docker.io", "app"))),
    ("registry-1.docker.io/app", Some(("registry-1.docker.io", "app"))),
    // The repository has no upper-case letter, in no alphabet, but a tag may.
    ("Nginx", None),
    ("ghcr.io/Acme/app", None),
    ("ghcr.io/acme/aPp", None),
    ("\u{212a}/app", None),
    ("nginx:V1", Some((HUB, "library/nginx"))),
    // Hosts.
    ("a--b.c/app", Some(("a--b.c", "app"))),
    ("-a.b/app", None),
    ("a-.b/app", None),
    ("a..b/app", None),
    ("a.b:/app", None),
    ("a.b:x/app", None),
    ("a.b:99999999/app", Some(("a.b:99999999", "app"))),
    ("[::1]/app", Some(("[::1]", "app"))),
    ("[::1]:5000/app", Some(("[::1]:5000", "app"))),
    ("[2001:DB8::aB]/app", Some(("[2001:DB8::aB]", "app"))),
    ("[:]/app", Some(("[:]", "app"))),
    ("[::ffff:1.2.3.4]/app", None),
    ("[fe80::1%eth0]/app", None),
    ("::1/app", None),
    ("[cafe]/app", None),
    // Segments of the path.
    ("a_b/a__b/a.b/a-b/a---b", Some((HUB, "a_b/a__b/a.b/a-b/a---b"))),
    ("a___b", None),
    ("a..b", None),
    ("a._b", None),
    ("a.-b", None),
    ("a-", None),
    ("_a", None),
    ("a//b", None),
    ("/a", None),
    ("a/", None),
    ("é", None),
    // Tags and digests.
    ("a:", None),
    ("a:-x", None),
    ("a:.x", None),
    ("a:_x", Some((HUB, "library/a"))),
    ("a:é", None),
    ("a:b:c", None),
    ("a@", None),
    ("a@sha256:0123456789abcdef0123456789abcdef", None),
    (
        "a:v1@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        Some((HUB, "library/a")),
    ),
    (
        "a@sha256:0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef",
        None,
    ),
    (
        "a@SHA256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        None,
    ),
    (
        "a@sha512:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        None,
    ),
    (
        "a@sha384:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        Some((HUB, "library/a")),
    ),
    // Anchored at both ends.
    ("nginx\n", None),
    (" nginx", None),
    ("nginx:v1\n", None),
    ("nginx\0", None),
    // The grammar takes a host with a `_` for a path, unless it has a port.
    ("my_registry.example.com/app", Some(("", "my_registry.example.com/app"))),
    ("my_registry.example.com:5000/app", None),
    ("my_registry:5000/app", None),
    ("My_registry.example.com/app", None),
];

/// Texts at the limits of length, and whether they are images.
pub(super) fn long_images() -> Vec<(String, bool)> {
    let a = |length| "a".repeat(length);
    vec![
        (a(247), true),
        (a(248), false),
        (format!("acme/{}", a(250)), true),
        (format!("acme/{}", a(251)), false),
        (format!("ghcr.io/{}", a(255)), true),
        (format!("ghcr.io/{}", a(256)), false),
        (format!("{}.io/a", a(300)), true),
        (format!("x_y.z/{}", a(249)), true),
        (format!("x_y.z/{}", a(250)), false),
        (format!("a:{}", a(128)), true),
        (format!("a:{}", a(129)), false),
    ]
}

/// A key, images that it serves, and images that it does not.
pub(super) type Key = (&'static str, &'static [&'static str], &'static [&'static str]);

#[rustfmt::skip]
pub(super) const KEYS: &[Key] = &[
    // Seen on a real kubelet.
    ("127.0.0.1:5000", &["127.0.0.1:5000/team-a/hello:1"], &["127.0.0.1/team-a/hello:1"]),
    ("127.0.0.1:5000/team-a", &["127.0.0.1:5000/team-a/hello:1"], &[]),
    ("127.0.0.1:5000/team-a/", &["127.0.0.1:5000/team-a/hello:1"], &["127.0.0.1:5000/team-a"]),
    ("127.0.0.1:5000/team-a/hello", &["127.0.0.1:5000/team-a/hello:1"], &[]),
    ("127.0.0.1:5000/team", &["127.0.0.1:5000/team-a/hello:1"], &[]),
    ("http://127.0.0.1:5000", &["127.0.0.1:5000/team-a/hello:1"], &[]),
    ("https://127.0.0.1:5000", &["127.0.0.1:5000/team-a/hello:1"], &[]),
    ("https://127.0.0.1:5000/v1/", &["127.0.0.1:5000/team-a/hello:1"], &[]),
    ("https://127.0.0.1:5000/v2/", &["127.0.0.1:5000/team-a/hello:1"], &[]),
    ("*.0.0.1:5000", &["127.0.0.1:5000/team-a/hello:1"], &[]),
    ("127.0.0.1:5000/team-b", &[], &["127.0.0.1:5000/team-a/hello:1"]),
    ("127.0.0.1", &[], &["127.0.0.1:5000/team-a/hello:1"]),
    ("127.0.0.1:5000/team-a/hello:1", &[], &["127.0.0.1:5000/team-a/hello:1"]),
    // The name in normal form is looked up, without tag and digest.
    ("docker.io/library/nginx", &["nginx", "nginx:1", "docker.io/nginx"], &["acme/nginx"]),
    ("ghcr.io/acme/app@sha256:0", &[], &["ghcr.io/acme/app"]),
    // Schemes are in lower case; any other spelling is part of what it stands before.
    ("HTTPS://ghcr.io", &[], &["ghcr.io/acme/app"]),
    ("//ghcr.io", &[], &["ghcr.io/acme/app"]),
    // User info, query and fragment vanish; escapes are resolved.
    ("https://me:secret@ghcr.io/acme?x#y", &["ghcr.io/acme/app"], &["ghcr.io/app"]),
    ("ghcr.io/%61cme", &["ghcr.io/acme/app"], &["ghcr.io/app"]),
    ("ghcr.io#%zz", &[], &["ghcr.io/acme/app"]),
    // `/v1/` and `/v2/` are cut from the front, once.
    ("ghcr.io/v1/acme", &["ghcr.io/acme/app"], &["ghcr.io/v1/acme", "ghcr.io/app"]),
    ("ghcr.io/v1/v1/", &["ghcr.io/v1/acme"], &["ghcr.io/acme"]),
    ("ghcr.io/v1", &["ghcr.io/v1/acme"], &["ghcr.io/acme"]),
    ("ghcr.io/v3/", &["ghcr.io/v3/acme"], &["ghcr.io/acme"]),
    ("ghcr.io/", &["ghcr.io/acme"], &[]),
    ("ghcr.io//", &[], &["ghcr.io/acme"]),
    // Ports are equal as texts, and an empty one is none.
    ("ghcr.io:443", &["ghcr.io:443/app"], &["ghcr.io/app"]),
    ("ghcr.io:05000", &[], &["ghcr.io:5000/app"]),
    ("ghcr.io:", &["ghcr.io/app"], &["ghcr.io:443/app"]),
    ("ghcr.io:*", &[], &["ghcr.io:5000/app"]),
    // As many labels, and a star inside one.
    ("*.io", &["ghcr.io/app", "nginx"], &["a.ghcr.io/app", "localhost/app", "ghcr.io:5000/app"]),
    ("*", &["localhost/app", "MyOrg/app"], &["ghcr.io/app", "nginx"]),
    ("*.*.io", &["a.ghcr.io/app"], &["ghcr.io/app"]),
    ("g*r.i*", &["ghcr.io/app", "gr.i/app"], &["hcr.io/app"]),
    ("ghcr**.io", &["ghcr.io/app"], &[]),
    ("g?cr.io", &[], &["ghcr.io/app"]),
    ("g[hx]cr.io", &[], &["ghcr.io/app"]),
    // The path is compared by characters and has no stars.
    ("ghcr.io/acme", &["ghcr.io/acme", "ghcr.io/acme/app", "ghcr.io/acme-private/app"], &["ghcr.io/acm"]),
    ("ghcr.io/acme/", &["ghcr.io/acme/app"], &["ghcr.io/acme", "ghcr.io/acmeapp"]),
    ("ghcr.io/*", &[], &["ghcr.io/app"]),
    // Case counts.
    ("GHCR.io", &["GHCR.io/app"], &["ghcr.io/app"]),
    ("ghcr.io/Acme", &[], &["ghcr.io/acme/app"]),
    // IPv6: without a port the brackets are a class of characters.
    ("[::1]:5000", &["[::1]:5000/app"], &["[::1]/app", "[::2]:5000/app"]),
    ("[::1]", &[], &["[::1]/app", "[::1]:5000/app"]),
    ("[::A]", &["A/app"], &["[::A]/app", "B/app"]),
    ("*", &["[::1]/app"], &["[:]/app", "[::1]:5000/app"]),
    // An odd image still has a host to a keyring.
    ("my_registry.example.com", &["my_registry.example.com/app"], &["ghcr.io/app"]),
    // Docker Hub's own key, its fallback, and what is neither.
    ("docker.io", &["nginx", "acme/app"], &["MyOrg/app", "docker.io:443/app", "localhost/app"]),
    ("index.docker.io", &["nginx", "acme/app", "localhost/app", "MyOrg/app"], &["ghcr.io/app", "localhost:5000/app"]),
    ("https://index.docker.io/v1/", &["nginx", "MyOrg/app"], &["registry-1.docker.io/app"]),
    ("https://index.docker.io/v1", &[], &["nginx"]),
    ("index.docker.io/acme", &[], &["acme/app"]),
    ("index.docker.io:443", &["index.docker.io:443/app"], &["nginx"]),
    ("index.docker.io:", &[], &["nginx"]),
    ("registry-1.docker.io", &["registry-1.docker.io/app"], &["nginx"]),
    ("hub.docker.com", &[], &["nginx"]),
    // Keys that are skipped.
    ("a b", &[], &["ghcr.io/app"]),
    ("[::1", &[], &["[::1]/app"]),
    ("ghcr.io:x", &[], &["ghcr.io/app"]),
    ("", &[], &["ghcr.io/app", "nginx", "localhost/app"]),
];

/// A Secret with these keys, whose usernames are the keys as given.
pub(super) fn with_keys(keys: &[&str]) -> Secret {
    let mut auths = json!({});
    for &key in keys {
        auths[key] = json!({"username": key, "password": "x"});
    }
    Secret::docker_config_json(json!({"auths": auths}).to_string())
}

/// A claim, the Secrets of a Pod, an image of it, and the usernames of what the kubelet tries; nothing, if it refuses
/// the Pod.
pub(super) type Row = (&'static str, Vec<Secret>, &'static str, Option<Vec<&'static str>>);

/// One Secret a row: the payload, and what is tried for `ghcr.io/app`.
#[rustfmt::skip]
const PAYLOADS: &[(&str, &str, Option<&[&str]>)] = &[
    ("a username and a password", r#"{"auths":{"ghcr.io":{"username":"me","password":"x"}}}"#, Some(&["me"])),
    ("auth wins", r#"{"auths":{"ghcr.io":{"auth":"eW91Ong=","username":"me","password":"x"}}}"#, Some(&["you"])),
    ("an empty auth does not", r#"{"auths":{"ghcr.io":{"auth":"","username":"me"}}}"#, Some(&["me"])),
    ("an empty entry is a blank credential", r#"{"auths":{"ghcr.io":{}}}"#, Some(&[""])),
    ("and null is one", r#"{"auths":{"ghcr.io":null}}"#, Some(&[""])),
    ("either side of the colon may be empty", r#"{"auths":{"ghcr.io":{"auth":"Og=="}}}"#, Some(&[""])),
    ("the first colon splits and nothing is trimmed", r#"{"auths":{"ghcr.io":{"auth":"IGEgOiBiOmMg"}}}"#, Some(&[" a "])),
    ("no colon", r#"{"auths":{"ghcr.io":{"auth":"YWI="}}}"#, None),
    ("no padding at all", r#"{"auths":{"ghcr.io":{"auth":"bWU6"}}}"#, Some(&["me"])),
    ("padding left out", r#"{"auths":{"ghcr.io":{"auth":"YTo"}}}"#, Some(&["a"])),
    ("half of the padding", r#"{"auths":{"ghcr.io":{"auth":"YTpiYw="}}}"#, None),
    ("too much padding", r#"{"auths":{"ghcr.io":{"auth":"YTpi="}}}"#, None),
    ("line breaks anywhere", r#"{"auths":{"ghcr.io":{"auth":"Y\nT\r\no=\n"}}}"#, Some(&["a"])),
    ("a blank before", r#"{"auths":{"ghcr.io":{"auth":" YTpi"}}}"#, None),
    ("a tab behind the padding", r#"{"auths":{"ghcr.io":{"auth":"YTo=\t"}}}"#, None),
    ("the other alphabet", r#"{"auths":{"ghcr.io":{"auth":"-_pi"}}}"#, None),
    ("bits too many", r#"{"auths":{"ghcr.io":{"auth":"YTp="}}}"#, Some(&["a"])),
    ("names in any case", r#"{"AUTHS":{"ghcr.io":{"UserName":"me"}}}"#, Some(&["me"])),
    ("a long s is an s", r#"{"authſ":{"ghcr.io":{"uſername":"me"}}}"#, Some(&["me"])),
    ("unknown fields are ignored", r#"{"credsStore":5,"credHelpers":[],"auths":{"ghcr.io":{"username":"me","identitytoken":5,"registrytoken":{}}}}"#, Some(&["me"])),
    ("the last duplicate of a field", r#"{"auths":{"ghcr.io":{"username":"you","username":"me"}}}"#, Some(&["me"])),
    ("but null changes no field", r#"{"auths":{"ghcr.io":{"username":"me","username":null}}}"#, Some(&["me"])),
    ("the last duplicate of an entry, whole", r#"{"auths":{"ghcr.io":{"username":"you"},"ghcr.io":{"password":"x"}}}"#, Some(&[""])),
    ("auths are merged", r#"{"auths":{"ghcr.io":{"username":"me"}},"auths":{"a.b":{}}}"#, Some(&["me"])),
    ("null clears them", r#"{"auths":{"ghcr.io":{"username":"me"}},"auths":null}"#, Some(&[])),
    ("null does not heal", r#"{"auths":{"ghcr.io":{"auth":"!"}},"auths":null}"#, None),
    ("auths: null", r#"{"auths":null}"#, Some(&[])),
    ("an unparsable key is skipped", r#"{"auths":{"a b":{},"ghcr.io":{"username":"me"}}}"#, Some(&["me"])),
    ("its entry is judged", r#"{"auths":{"a b":{"auth":"!"},"ghcr.io":{"username":"me"}}}"#, None),
    ("an entry for another host is judged", r#"{"auths":{"a.b":{"auth":5},"ghcr.io":{"username":"me"}}}"#, None),
    ("a username that is a number", r#"{"auths":{"ghcr.io":{"username":5}}}"#, None),
    ("an email that is a list", r#"{"auths":{"ghcr.io":{"email":[]}}}"#, None),
    ("an entry that is a text", r#"{"auths":{"ghcr.io":"me"}}"#, None),
    ("auths as a list", r#"{"auths":[]}"#, None),
    ("headers that are texts", r#"{"HttpHeaders":{"a":"b","c":null},"auths":{"ghcr.io":{"username":"me"}}}"#, Some(&["me"])),
    ("a header that is a number", r#"{"HttpHeaders":{"a":5},"auths":{"ghcr.io":{"username":"me"}}}"#, None),
    ("headers that are no object", r#"{"httpheaders":[],"auths":{"ghcr.io":{"username":"me"}}}"#, None),
    ("the shape of the other type", r#"{"ghcr.io":{"username":"me","password":"x"}}"#, Some(&[])),
    ("null", "null", Some(&[])),
    ("white space only", " ", None),
    ("a list", "[]", None),
    ("no end", r#"{"auths":{"#, None),
    ("something behind", r#"{"auths":{}} x"#, None),
    ("a byte order mark", "\u{feff}{}", None),
    ("single quotes", "{'auths':{}}", None),
    ("surrogates that are alone", r#"{"auths":{"ghcr.io":{"username":"a\ud800b"}}}"#, Some(&["a\u{fffd}b"])),
    ("a number without a float", r#"{"x":1e999,"auths":{"ghcr.io":{"username":"me"}}}"#, Some(&["me"])),
];

/// A claim, the keys of each Secret, an image, and the keys whose credentials are tried, in this order.
type Order = (
    &'static str,
    &'static [&'static [&'static str]],
    &'static str,
    &'static [&'static str],
);

#[rustfmt::skip]
const ORDERS: &[Order] = &[
    ("longer paths of a host first", &[&["ghcr.io", "ghcr.io/acme", "ghcr.io/acme/app"]], "ghcr.io/acme/app", &["ghcr.io/acme/app", "ghcr.io/acme", "ghcr.io"]),
    ("only bytes count", &[&["ghcr.io/acme", "ghcr*.io", "ghcr.*", "*.io"]], "ghcr.io/acme/app", &["ghcr.io/acme", "ghcr.*", "ghcr*.io", "*.io"]),
    ("keys before Secrets", &[&["ghcr.io"], &["ghcr.io/acme"]], "ghcr.io/acme/app", &["ghcr.io/acme", "ghcr.io"]),
    ("under one key the Secrets' order", &[&["https://ghcr.io"], &["ghcr.io"], &["ghcr.io/v1/"]], "ghcr.io/app", &["https://ghcr.io", "ghcr.io", "ghcr.io/v1/"]),
    ("the same Secret twice", &[&["ghcr.io"], &["ghcr.io"]], "ghcr.io/app", &["ghcr.io", "ghcr.io"]),
    ("the fallback for lack of a match", &[&["index.docker.io/acme"], &["index.docker.io"], &["https://index.docker.io/v1/"]], "acme/app", &["index.docker.io", "https://index.docker.io/v1/"]),
    ("no fallback beside a match", &[&["index.docker.io"], &["docker.io"]], "nginx", &["docker.io"]),
    ("none for another registry", &[&["index.docker.io"]], "ghcr.io/app", &[]),
    ("no Secret that fits", &[&["a.b"], &["c.d"]], "ghcr.io/app", &[]),
];

/// A claim, a Secret's type, the key of its value, that value, and what is tried for `ghcr.io/app`.
type Pairing = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    Option<&'static [&'static str]>,
);

#[rustfmt::skip]
const PAIRINGS: &[Pairing] = &[
    ("the legacy type", "kubernetes.io/dockercfg", ".dockercfg", r#"{"ghcr.io":{"username":"me"}}"#, Some(&["me"])),
    ("in the other's shape no entry fits", "kubernetes.io/dockercfg", ".dockercfg", r#"{"auths":{"ghcr.io":{"username":"me"}}}"#, Some(&[])),
    ("a malformed entry", "kubernetes.io/dockercfg", ".dockercfg", r#"{"ghcr.io":{"auth":"!"}}"#, None),
    ("all members are entries", "kubernetes.io/dockercfg", ".dockercfg", r#"{"credsStore":"desktop"}"#, None),
    ("nothing in it", "kubernetes.io/dockerconfigjson", ".dockerconfigjson", "", Some(&[])),
    ("nothing in it, legacy", "kubernetes.io/dockercfg", ".dockercfg", "", Some(&[])),
    ("the key of the other type", "kubernetes.io/dockercfg", ".dockerconfigjson", r#"{"auths":{"ghcr.io":{}}}"#, Some(&[])),
    ("the key of the other type", "kubernetes.io/dockerconfigjson", ".dockercfg", r#"{"ghcr.io":{}}"#, Some(&[])),
    ("the other type's key, malformed", "kubernetes.io/dockerconfigjson", ".dockercfg", "!", Some(&[])),
    ("no pull secret", "Opaque", ".dockerconfigjson", r#"{"auths":{"ghcr.io":{}}}"#, Some(&[])),
    ("no pull secret, malformed", "Opaque", ".dockerconfigjson", "!", Some(&[])),
];

pub(super) fn secrets() -> Vec<Row> {
    let payloads = PAYLOADS.iter().flat_map(|&(claim, payload, expected)| {
        alone_and_beside(claim, &Secret::docker_config_json(payload), expected)
    });
    let pairings = PAIRINGS.iter().map(|&(claim, form, key, payload, expected)| {
        let payload = payload.into();
        (
            claim,
            vec![Secret { form, key, payload }],
            "ghcr.io/app",
            expected.map(<[_]>::to_vec),
        )
    });
    let orders = ORDERS.iter().map(|&(claim, keys, image, expected)| {
        let secrets = keys.iter().map(|keys| with_keys(keys)).collect();
        (claim, secrets, image, Some(expected.to_vec()))
    });
    payloads.chain(pairings).chain(orders).chain(limits()).collect()
}

/// Wherever it stands, one malformed Secret spoils all, and one that is not spoils nothing.
fn alone_and_beside(claim: &'static str, secret: &Secret, expected: Option<&[&'static str]>) -> [Row; 3] {
    let good = with_keys(&["ghcr.io"]);
    let row = |secrets, before: &[&'static str], behind: &[&'static str]| {
        let expected = expected.map(|expected| [before, expected, behind].concat());
        (claim, secrets, "ghcr.io/app", expected)
    };
    [
        row(vec![secret.clone()], &[], &[]),
        row(vec![good.clone(), secret.clone()], &["ghcr.io"], &[]),
        row(vec![secret.clone(), good], &[], &["ghcr.io"]),
    ]
}

fn limits() -> [Row; 4] {
    let row = |claim, secret, image, expected: Option<&'static str>| {
        (claim, vec![secret], image, expected.map(|expected| vec![expected]))
    };
    // Two levels are around it already.
    let nested = |depth| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        let payload = format!(r#"{{"auths":{{"ghcr.io":{{"username":"me"}}}},"x":{{"y":{open}{close}}}}}"#);
        Secret::docker_config_json(payload)
    };
    let not_utf8 = Secret::docker_config_json(*b"{\"auths\":{\"ghcr.io\":{\"username\":\"a\xffb\"}}}");
    let blank = r#"{"auths":{"docker.io":{},"index.docker.io":{"username":"me"}}}"#;
    [
        row("10,000 levels", nested(9_998), "ghcr.io/app", Some("me")),
        row("10,001 levels", nested(9_999), "ghcr.io/app", None),
        row("bytes that are no UTF-8", not_utf8, "ghcr.io/app", Some("a\u{fffd}b")),
        row(
            "a blank credential counts as found",
            Secret::docker_config_json(blank),
            "nginx",
            Some(""),
        ),
    ]
}
