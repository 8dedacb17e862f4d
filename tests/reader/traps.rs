//! Each trap by name: the body and what both readers make of it.

use pullkey::admission::{Malformed, Object, Review};

use crate::both;

/// A review around members of a request.
fn request(members: &str) -> String {
    format!(r#"{{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{{"uid":"u",{members}}}}}"#)
}

/// A review around an object.
fn object(object: &str) -> String {
    request(&format!(r#""object":{object}"#))
}

/// A review around members of a Pod's spec.
fn spec(members: &str) -> String {
    object(&format!(r#"{{"spec":{{{members}}}}}"#))
}

/// A review around a value that the reader steps over.
fn ignored(value: &str) -> String {
    spec(&format!(r#""ignored":{value},"containers":[{{"image":"a"}}]"#))
}

/// A review around a value that the reader wants as a string.
fn image(value: &str) -> String {
    spec(&format!(r#""containers":[{{"image":{value}}}]"#))
}

/// The answer on one line.
fn summary(answer: &Result<Review<'_>, Malformed>) -> String {
    let review = match answer {
        Err(Malformed::NotJson { .. }) => return "not JSON".to_owned(),
        Err(Malformed::NotUtf8 { offset }) => return format!("not UTF-8 at {offset}"),
        Err(other) => return format!("{other:?}"),
        Ok(review) => review,
    };
    match &review.object {
        Object::Absent => "absent".to_owned(),
        Object::Undecodable(fault) => fault.to_string(),
        Object::Pod(pod) => {
            let mut words: Vec<String> = pod
                .images
                .iter()
                .map(|image| format!("{}={}", image.origin.pointer(), image.reference))
                .collect();
            words.extend(pod.pull_secrets.iter().map(|name| format!("secret={name}")));
            words.extend(pod.opted_out.then(|| "opted-out".to_owned()));
            words.extend(pod.mirror.then(|| "mirror".to_owned()));
            words.join(" ")
        }
    }
}

fn check(rows: &[(&str, String, &str)]) {
    for (name, body, expected) in rows {
        assert_eq!(summary(&both(body.as_bytes())), *expected, "{name}: {body}");
    }
}

const A: &str = "/spec/containers/0/image=a";

#[test]
fn only_a_v1_review_with_a_request_and_a_uid_is_read() {
    let review = |kind: &str, version: &str, request: &str| {
        format!(r#"{{"kind":{kind},"apiVersion":{version},"request":{request}}}"#)
    };
    let (kind, version) = (r#""AdmissionReview""#, r#""admission.k8s.io/v1""#);
    let uid = |uid: &str| review(kind, version, &format!(r#"{{"uid":{uid}}}"#));
    check(&[
        ("empty body", String::new(), "not JSON"),
        ("white space alone", " \n".to_owned(), "not JSON"),
        ("null", "null".to_owned(), "NotAnObject"),
        ("a number", " 12 ".to_owned(), "NotAnObject"),
        ("a string", r#""AdmissionReview""#.to_owned(), "NotAnObject"),
        ("a list of reviews", format!("[{}]", uid(r#""u""#)), "NotAnObject"),
        ("an empty object", "{}".to_owned(), "Kind(None)"),
        (
            "kind of another case",
            review(r#""admissionreview""#, version, "{}"),
            r#"Kind(Some("admissionreview"))"#,
        ),
        ("kind is null", review("null", version, "{}"), "Kind(None)"),
        ("kind is a number", review("1", version, "{}"), "Kind(None)"),
        (
            "kind before version",
            review(r#""Pod""#, r#""v1""#, "{}"),
            r#"Kind(Some("Pod"))"#,
        ),
        (
            "kind in escapes",
            review(r#""\u0041dmissionReview""#, version, r#"{"uid":"u"}"#),
            "absent",
        ),
        (
            "a key of another case",
            uid(r#""u""#).replace("kind", "Kind"),
            "Kind(None)",
        ),
        (
            "v1beta1",
            review(kind, r#""admission.k8s.io/v1beta1""#, "{}"),
            r#"ApiVersion(Some("admission.k8s.io/v1beta1"))"#,
        ),
        (
            "no version",
            r#"{"kind":"AdmissionReview"}"#.to_owned(),
            "ApiVersion(None)",
        ),
        (
            "no request",
            r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"}"#.to_owned(),
            "NoRequest",
        ),
        ("request is null", review(kind, version, "null"), "NoRequest"),
        ("request is a list", review(kind, version, "[]"), "NoRequest"),
        ("no uid", review(kind, version, "{}"), "NoUid"),
        ("uid is null", uid("null"), "NoUid"),
        ("uid is empty", uid(r#""""#), "NoUid"),
        ("uid is a number", uid("7"), "NoUid"),
        ("uid in escapes", uid(r#""\u0075""#), "absent"),
        ("only a uid", uid(r#""u""#), "absent"),
        (
            "white space everywhere",
            "\r\n\t ".to_owned() + &uid(r#" "u" "#).replace([':', ','], "\t$0\n "),
            "not JSON",
        ),
        (
            "a response beside it",
            uid(r#""u""#).replacen('{', r#"{"response":{"uid":""},"#, 1),
            "absent",
        ),
    ]);
}

#[test]
fn faults_inside_the_request_are_named_and_never_refused() {
    check(&[
        (
            "operation",
            request(r#""operation":1"#),
            "`request.operation` is not a string",
        ),
        (
            "namespace",
            request(r#""namespace":[]"#),
            "`request.namespace` is not a string",
        ),
        ("name", request(r#""name":{}"#), "`request.name` is not a string"),
        (
            "resource",
            request(r#""resource":"pods""#),
            "`request.resource` is not an object",
        ),
        (
            "resource's group",
            request(r#""resource":{"group":true}"#),
            "`request.resource.group` is not a string",
        ),
        (
            "sub-resource",
            request(r#""subResource":0"#),
            "`request.subResource` is not a string",
        ),
        (
            "dry run",
            request(r#""dryRun":"true""#),
            "`request.dryRun` is not a boolean",
        ),
        ("object", object("[]"), "`request.object` is not an object"),
        (
            "metadata",
            object(r#"{"metadata":"","spec":{}}"#),
            "`metadata` is not an object",
        ),
        (
            "labels",
            object(r#"{"metadata":{"labels":[]},"spec":{}}"#),
            "`metadata.labels` is not an object",
        ),
        (
            "the label is no text",
            object(r#"{"metadata":{"labels":{"pullkey.dev/inject":false}},"spec":{}}"#),
            "`metadata.labels[pullkey.dev/inject]` is not a string",
        ),
        (
            "another label is no text",
            object(r#"{"metadata":{"labels":{"a":false}},"spec":{}}"#),
            "",
        ),
        (
            "annotations",
            object(r#"{"metadata":{"annotations":1},"spec":{}}"#),
            "`metadata.annotations` is not an object",
        ),
        ("no spec", object("{}"), "`spec` is not an object"),
        ("spec is null", object(r#"{"spec":null}"#), "`spec` is not an object"),
        ("spec is a text", object(r#"{"spec":"a"}"#), "`spec` is not an object"),
        (
            "secrets",
            spec(r#""imagePullSecrets":{}"#),
            "`spec.imagePullSecrets` is not a list",
        ),
        (
            "a secret",
            spec(r#""imagePullSecrets":["a"]"#),
            "`spec.imagePullSecrets[]` is not an object",
        ),
        (
            "a secret's name",
            spec(r#""imagePullSecrets":[{"name":1}]"#),
            "`spec.imagePullSecrets[].name` is not a string",
        ),
        (
            "init containers",
            spec(r#""initContainers":{}"#),
            "`spec.initContainers` is not a list",
        ),
        (
            "an ephemeral container",
            spec(r#""ephemeralContainers":[0]"#),
            "`spec.ephemeralContainers[]` is not an object",
        ),
        (
            "an image",
            spec(r#""containers":[{"image":["a"]}]"#),
            "`spec.containers[].image` is not a string",
        ),
        (
            "an image out of range",
            image("1e999"),
            "`spec.containers[].image` is not a string",
        ),
        (
            "a volume's image",
            spec(r#""volumes":[{"image":"a"}]"#),
            "`spec.volumes[].image` is not an object",
        ),
        (
            "its reference",
            spec(r#""volumes":[{"image":{"reference":1}}]"#),
            "`spec.volumes[].image.reference` is not a string",
        ),
        (
            "the first fault of a list",
            spec(r#""containers":[{},{"image":1},2]"#),
            "`spec.containers[].image` is not a string",
        ),
        (
            "the first fault by field",
            spec(r#""volumes":1,"containers":1,"imagePullSecrets":1"#),
            "`spec.imagePullSecrets` is not a list",
        ),
        (
            "the request before the object",
            request(r#""object":1,"dryRun":1,"name":1"#),
            "`request.name` is not a string",
        ),
    ]);
}

#[test]
fn null_is_the_same_as_absent() {
    check(&[
        ("object", object("null"), "absent"),
        (
            "members of the request",
            request(r#""operation":null,"namespace":null,"resource":null,"dryRun":null"#),
            "absent",
        ),
        ("metadata", object(r#"{"metadata":null,"spec":{}}"#), ""),
        (
            "labels",
            object(r#"{"metadata":{"labels":null,"annotations":null},"spec":{}}"#),
            "",
        ),
        (
            "the label",
            object(r#"{"metadata":{"labels":{"pullkey.dev/inject":null}},"spec":{}}"#),
            "",
        ),
        (
            "lists",
            spec(r#""imagePullSecrets":null,"initContainers":null,"containers":null,"volumes":null"#),
            "",
        ),
        (
            "items",
            spec(r#""imagePullSecrets":[null,{"name":null},{}],"containers":[null]"#),
            "secret= secret= secret=",
        ),
        (
            "images",
            spec(r#""containers":[{"image":null},{"image":""}],"volumes":[{"image":null},{}]"#),
            "",
        ),
    ]);
}

#[test]
fn facts_of_a_pod_are_found_in_order() {
    let all = r#""volumes":[{},{"image":{"reference":"v"}}],"ephemeralContainers":[{"image":"e"}],
        "containers":[{"image":"a"},{},{"image":"c"}],"initContainers":[{"image":"i"}],"imagePullSecrets":[{"name":"s"},{"name":"s"}]"#;
    let metadata = |members| object(&format!(r#"{{"spec":{{}},"metadata":{{{members}}}}}"#));
    check(&[
        (
            "every list",
            spec(all),
            "/spec/initContainers/0/image=i /spec/containers/0/image=a /spec/containers/2/image=c \
             /spec/ephemeralContainers/0/image=e /spec/volumes/1/image/reference=v secret=s secret=s",
        ),
        (
            "opted out",
            metadata(r#""labels":{"pullkey.dev/inject":"false"}"#),
            "opted-out",
        ),
        ("opted in", metadata(r#""labels":{"pullkey.dev/inject":"true"}"#), ""),
        (
            "false of another case",
            metadata(r#""labels":{"pullkey.dev/inject":"False"}"#),
            "",
        ),
        (
            "the label as an annotation",
            metadata(r#""annotations":{"pullkey.dev/inject":"false"}"#),
            "",
        ),
        (
            "mirror",
            metadata(r#""annotations":{"kubernetes.io/config.mirror":"x"}"#),
            "mirror",
        ),
        (
            "mirror of no value",
            metadata(r#""annotations":{"kubernetes.io/config.mirror":null}"#),
            "mirror",
        ),
        (
            "the annotation as a label",
            metadata(r#""labels":{"kubernetes.io/config.mirror":"x"}"#),
            "",
        ),
        (
            "images elsewhere",
            object(r#"{"image":"x","spec":{"image":"y"},"status":{"containers":[{"image":"z"}]}}"#),
            "",
        ),
    ]);
}

#[test]
fn the_last_of_several_members_counts_wholly() {
    let spec_a = r#""spec":{"containers":[{"image":"a"}]}"#;
    let whole = object(&format!("{{{spec_a}}}"));
    check(&[
        ("kind", whole.replacen('{', r#"{"kind":1,"#, 1), A),
        (
            "kind, the last is wrong",
            whole.replacen(r#","request""#, r#","kind":"Pod","request""#, 1),
            r#"Kind(Some("Pod"))"#,
        ),
        (
            "request",
            whole.replacen('{', r#"{"request":{"uid":"x","operation":1,"object":1},"#, 1),
            A,
        ),
        (
            "request, the last is null",
            format!(r#"{},"request":null}}"#, whole.strip_suffix('}').unwrap()),
            "NoRequest",
        ),
        ("uid", request(r#""uid":null"#), "NoUid"),
        ("operation", request(r#""operation":1,"operation":"CREATE""#), "absent"),
        (
            "operation, the last is wrong",
            request(r#""operation":"CREATE","operation":1"#),
            "`request.operation` is not a string",
        ),
        (
            "object",
            request(&format!(r#""object":{{"metadata":1,"spec":1}},"object":{{{spec_a}}}"#)),
            A,
        ),
        (
            "object, the last is null",
            request(&format!(r#""object":{{{spec_a}}},"object":null"#)),
            "absent",
        ),
        (
            "metadata",
            object(&format!(
                r#"{{"metadata":{{"labels":{{"pullkey.dev/inject":"false"}}}},"metadata":{{}},{spec_a}}}"#
            )),
            A,
        ),
        (
            "annotations",
            object(&format!(
                r#"{{"metadata":{{"annotations":{{"kubernetes.io/config.mirror":""}},"annotations":{{}}}},{spec_a}}}"#
            )),
            A,
        ),
        (
            "label",
            object(&format!(
                r#"{{"metadata":{{"labels":{{"pullkey.dev/inject":"false","pullkey.dev/inject":""}}}},{spec_a}}}"#
            )),
            A,
        ),
        (
            "spec",
            object(&format!(
                r#"{{"spec":{{"imagePullSecrets":[{{"name":"s"}}],"containers":0}},{spec_a}}}"#
            )),
            A,
        ),
        (
            "spec, the last is null",
            object(&format!(r#"{{{spec_a},"spec":null}}"#)),
            "`spec` is not an object",
        ),
        (
            "containers",
            spec(r#""containers":[{"image":"x"},{"image":1}],"containers":[{"image":"a"}]"#),
            A,
        ),
        (
            "containers, the last is empty",
            spec(r#""containers":[{"image":"x"}],"containers":[]"#),
            "",
        ),
        ("image", spec(r#""containers":[{"image":1,"image":"a"}]"#), A),
        (
            "image, the last is null",
            spec(r#""containers":[{"image":"a","image":null}]"#),
            "",
        ),
        (
            "image in escapes",
            spec(r#""containers":[{"image":"x","\u0069mage":"a"}]"#),
            A,
        ),
        (
            "volume's image",
            spec(r#""volumes":[{"image":1,"image":{"reference":1,"reference":"v"}}]"#),
            "/spec/volumes/0/image/reference=v",
        ),
    ]);
}

#[test]
fn escapes_count_in_keys_and_values() {
    check(&[
        (
            "a key",
            object(r#"{"\u0073pec":{"cont\u0061iners":[{"\u0069\u006dage":"a"}]}}"#),
            A,
        ),
        (
            "a key with a solidus",
            object(r#"{"metadata":{"labels":{"pullkey.dev\/inject":"false"}},"spec":{}}"#),
            "opted-out",
        ),
        (
            "a key of another case in escapes",
            object(r#"{"\u0053pec":{}}"#),
            "`spec` is not an object",
        ),
        ("a value", image(r#""\u0061""#), A),
        (
            "all short escapes",
            image(r#""\"\\\/\b\f\n\r\t""#),
            "/spec/containers/0/image=\"\\/\u{8}\u{c}\n\r\t",
        ),
        (
            "a surrogate pair",
            image(r#""\ud83D\uDe00""#),
            "/spec/containers/0/image=\u{1F600}",
        ),
        (
            "the last code point",
            image(r#""\uDBFF\uDFFF""#),
            "/spec/containers/0/image=\u{10FFFF}",
        ),
        (
            "the code points around the surrogates",
            image(r#""\uD7FF\uE000""#),
            "/spec/containers/0/image=\u{D7FF}\u{E000}",
        ),
        ("an escaped NUL", image(r#""\u0000""#), "/spec/containers/0/image=\0"),
        (
            "an escaped quote ends nothing",
            image(r#""\",\"image\":\"b""#),
            r#"/spec/containers/0/image=","image":"b"#,
        ),
        (
            "an escaped backslash before a quote",
            image(r#""a\\""#),
            r"/spec/containers/0/image=a\",
        ),
        (
            "seventeen bytes and an escape",
            image(r#""aaaaaaaaaaaaaaaaa\n""#),
            "/spec/containers/0/image=aaaaaaaaaaaaaaaaa\n",
        ),
        (
            "no escapes, 4 bytes a character",
            image("\"\u{1F600}\""),
            "/spec/containers/0/image=\u{1F600}",
        ),
    ]);
}

#[test]
fn strings_are_checked_wherever_they_stand() {
    let bad = [
        ("a low surrogate", r#""\uDE00""#),
        ("a high surrogate", r#""\uD83D""#),
        ("a high surrogate and text", r#""\uD83Dab""#),
        ("a high surrogate and another escape", r#""\uD83D\n""#),
        ("two high surrogates", r#""\uD83D\uD83D""#),
        ("a pair the wrong way round", r#""\uDE00\uD83D""#),
        ("a high surrogate and no surrogate", r#""\uD83D\u0041""#),
        ("a high surrogate and half an escape", r#""\uD83D\uDE""#),
        ("three digits", r#""\u004""#),
        ("a digit that is none", r#""\u004g""#),
        ("a sign for a digit", r#""\u+041""#),
        ("a capital U", r#""\U0041""#),
        ("an unknown escape", r#""\x41""#),
        ("an escaped single quote", r#""\'""#),
        ("an escaped line end", "\"\\\n\""),
        ("a raw NUL", "\"a\0\""),
        ("a raw line end", "\"a\n\""),
        ("a raw tab", "\"\t\""),
        ("the last control character", "\"\u{1f}\""),
        (
            "a control character after sixteen bytes",
            "\"aaaaaaaaaaaaaaaaaaaaaaaaaa\u{1}\"",
        ),
        ("single quotes", "'a'"),
        ("no closing quote", "\"a"),
        ("an escaped closing quote", r#""a\""#),
        ("no opening quote", "a\""),
    ];
    for (name, string) in bad {
        for body in [
            ignored(string),
            image(string),
            ignored(&format!("{{{string}:1}}")),
            spec(&format!("{string}:1")),
        ] {
            check(&[(name, body, "not JSON")]);
        }
    }
    for string in [
        "\"\u{7f}\u{80}\u{2028}\u{feff}\u{ffff}\"",
        r#""""#,
        r#""\u0000\u001f""#,
        r#""aaaaaaaaaaaaaaa\\""#,
    ] {
        check(&[
            ("a good string", ignored(string), A),
            ("a good key", ignored(&format!("{{{string}:[{string}]}}")), A),
        ]);
    }
}

#[test]
fn values_are_checked_wherever_they_stand() {
    let bad = [
        "01",
        "-01",
        "00",
        "1.",
        ".5",
        "-.5",
        "-",
        "--1",
        "+1",
        "1e",
        "1e+",
        "1E-",
        "1.e5",
        "1e1.5",
        "1_000",
        "0x1",
        "1f",
        "NaN",
        "Infinity",
        "-Infinity",
        "\u{661}",
        "1 2",
        "True",
        "tru",
        "truee",
        "nul",
        "NULL",
        "undefined",
        "n",
        "nulll",
        "[1,]",
        "[,1]",
        "[,]",
        "[1 2]",
        "[1,,2]",
        "[",
        "]",
        "[1}",
        "{\"a\":1]",
        "{\"a\":1,}",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\" 1}",
        "{:1}",
        "{1:1}",
        "{null:1}",
        "{a:1}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":1,,\"b\":2}",
        "{\"a\"::1}",
        "{\"a\":1:2}",
        "{\"a\",1}",
        "[\"a\":1]",
        "{{}}",
        "{[]}",
        "{[]:1}",
        "{",
        "}",
        "{\"a\":1",
        "[[]",
        "[]]",
        "[}",
        "{]",
        ",",
        ":",
        "",
        "//a\n1",
        "/*a*/1",
        "#a\n1",
        "1;",
        "\u{a0}1",
        "\u{b}1",
        "\u{c}1",
        "\u{feff}1",
        "\u{2028}1",
        "\u{85}1",
        "\0",
        "1\0",
        "@",
        "\\u0031",
        "\\n1",
    ];
    for value in bad {
        for body in [
            ignored(value),
            image(value),
            ignored(&format!("[{value}]")),
            ignored(&format!("{{\"a\":{value}}}")),
        ] {
            // An empty place in brackets is an empty list.
            let expected = if body.contains("[]") && value.is_empty() {
                A
            } else {
                "not JSON"
            };
            check(&[("a bad value", body, expected)]);
        }
    }
    let good = [
        "0",
        "-0",
        "0.0",
        "-0.0e-0",
        "1e999",
        "-1E+999",
        "1e-999",
        "123456789012345678901234567890",
        "0e0",
        "1.5E3",
        "true",
        "false",
        "null",
        "[]",
        "{}",
        "[ ]",
        "{ }",
        "[[],{},[[]]]",
        "{\"\":{\"\":{}}}",
        "{\"a\":1,\"a\":[2]}",
        " \t\r\n1\t\r\n ",
        "[\n1 ,\r2\t, 3 ]",
        "{ \"a\" : 1 , \"b\" :\n2 }",
    ];
    for value in good {
        check(&[("a good value", ignored(value), A)]);
    }
}

#[test]
fn nothing_may_stand_around_the_review() {
    let body = image(r#""a""#);
    check(&[
        ("white space", format!(" \t\r\n{body}\n\t\r "), A),
        ("a second review", format!("{body}{body}"), "not JSON"),
        ("a comma", format!("{body},"), "not JSON"),
        ("a bracket", format!("{body}}}"), "not JSON"),
        ("a NUL", format!("{body}\0"), "not JSON"),
        ("a byte order mark", format!("\u{feff}{body}"), "not JSON"),
        ("a byte order mark behind", format!("{body}\u{feff}"), "not JSON"),
        ("a form feed", format!("{body}\u{c}"), "not JSON"),
    ]);
}

#[test]
fn text_must_be_utf8_even_where_nobody_looks() {
    for bad in [
        &b"\xff"[..],
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xe2\x82",
        b"\x80",
        b"\xf0\x9f\x98",
    ] {
        for body in [ignored("\"@\""), image("\"@\""), spec("\"@\":1")] {
            let at = body.find('@').unwrap();
            let bytes = [&body.as_bytes()[..at], bad, &body.as_bytes()[at + 1..]].concat();
            assert_eq!(summary(&both(&bytes)), format!("not UTF-8 at {at}"));
        }
    }
}

#[test]
fn a_hundred_and_twenty_eight_levels_are_accepted_and_no_more() {
    // The review, its request, the object and its spec are four levels.
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":", "}]")] {
        let levels = if open.len() > 5 { 2 } else { 1 };
        let nested = |count: usize| ignored(&(open.repeat(count / levels) + "1" + &close.repeat(count / levels)));
        check(&[
            ("128", nested(124), A),
            ("129 or 130", nested(124 + levels), "TooDeep"),
            ("many", nested(1_000_000), "TooDeep"),
            ("many, and no end", ignored(&open.repeat(300)), "TooDeep"),
            (
                "at the limit, and no end",
                ignored(&open.repeat(124 / levels)),
                "not JSON",
            ),
        ]);
    }
    let wide = format!("[{}1]", "[[[]]],{\"a\":{}},".repeat(1_000));
    let nested = |count: usize| "[".repeat(count) + &"]".repeat(count);
    check(&[
        ("wide is not deep", ignored(&wide), A),
        ("deep twice", ignored(&format!("[{0},{0}]", nested(123))), A),
        ("an empty level counts", ignored(&nested(125)), "TooDeep"),
        ("where a text is wanted", image(&nested(123)), "TooDeep"),
        (
            "where a text is wanted, at the limit",
            image(&nested(122)),
            "`spec.containers[].image` is not a string",
        ),
        ("no object at all", nested(128), "NotAnObject"),
        ("no object and too deep", nested(129), "TooDeep"),
        (
            "the first error counts",
            ignored(&format!("[01,{}]", nested(300))),
            "not JSON",
        ),
        (
            "brackets in a string are none",
            ignored(&format!("\"{}\"", "[".repeat(300))),
            A,
        ),
    ]);
}

#[test]
fn no_review_cut_short_is_read() {
    let pretty = spec(
        "\n\t\"volumes\" : [ { \"image\" : { \"reference\" : \"v\\u00e9\\ud83d\\ude00\u{1F600}\" } } ],\r\n \"x\" : [ -1.5e+3 , true, false, null ],
         \"imagePullSecrets\" : [ { } , { \"name\" : \"a\\\\\\\"b\" } ] ",
    );
    for body in [image(r#""ghcr.io/acme/a""#), ignored(r#"[{"a":[]},"\\\n",0]"#), pretty] {
        assert!(both(body.as_bytes()).is_ok(), "{body}");
        for length in 0..body.len() {
            let cut = &body.as_bytes()[..length];
            assert!(
                matches!(both(cut), Err(Malformed::NotJson { .. } | Malformed::NotUtf8 { .. })),
                "{length} of {body}"
            );
        }
    }
}
