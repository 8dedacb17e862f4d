//! The traps of JSON, each where the reader steps over a value and where it wants one.

use pullkey::admission::{Malformed, read};

use crate::oracle::both;
use crate::table::{A, check, ignored, image, object, spec, summary};

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
    let bad = r#"
        01 -01 00 1. .5 -.5 - --1 +1 1e 1e+ 1E- 1.e5 1e1.5 1_000 0x1 1f NaN Infinity -Infinity ١ 1; @
        True tru truee nul NULL undefined n nulll
        [1,] [,1] [,] [1,,2] [1} [[] [[]]] [} {"a":1] {"a":1,} {,} {"a"} {"a":} {:1} {1:1} {null:1} {a:1}
        {"a":1,,"b":2} {"a"::1} {"a":1:2} {"a",1} ["a":1] {{}} {[]} {[]:1} {"a":1 {"a":[1} {] , :
        //a /*a*/1 #a \u0031 \n1
    "#;
    let bad_with_space = [
        "",
        "1 2",
        "[1 2]",
        "{\"a\" 1}",
        "- 1",
        "1 .5",
        "tr ue",
        "//a\n1",
        "\u{a0}1",
        "\u{b}1",
        "\u{c}1",
        "\u{85}1",
        "\0",
        "1\0",
    ];
    for value in bad.split_whitespace().chain(bad_with_space) {
        for body in [
            ignored(value),
            image(value),
            ignored(&format!("[1,{value}]")),
            ignored(&format!("{{\"a\":{value}}}")),
        ] {
            check(&[("a bad value", body, "not JSON")]);
        }
    }
    let good = r#"
        0 -0 0.0 -0.0e-0 1e999 -1E+999 1e-999 123456789012345678901234567890 0e0 1.5E3 true false null
        [] {} [[],{},[[]]] {"":{"":{}}} {"a":1,"a":[2]} "" "a"
    "#;
    let good_with_space = [
        "[ ]",
        "{ }",
        " \t\r\n1\t\r\n ",
        "[\n1 ,\r2\t, 3 ]",
        "{ \"a\" : 1 ,\t\"b\" :\n2 }",
    ];
    for value in good.split_whitespace().chain(good_with_space) {
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
            ("many", nested(100_000), "TooDeep"),
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

#[test]
fn a_syntax_error_is_placed_where_its_piece_begins() {
    for (body, offset) in [
        ("", 0),
        (" \n", 2),
        (r#"{"a":1}x"#, 7),
        (r#"{"a": tru}"#, 6),
        (r#"{"a":[1, 01]}"#, 10),
        (r#"{"a":"b\x"}"#, 5),
        (r#"{"kind": "\x"}"#, 9),
        (r#"{"a":{"b",1}}"#, 6),
        (r#"{"a":1"#, 6),
        (r#"{"a":"b"#, 5),
        ("\u{feff}{}", 0),
    ] {
        assert_eq!(read(body.as_bytes()), Err(Malformed::NotJson { offset }), "{body}");
    }
}
