use super::*;
use proptest::prelude::*;
use serde::Serialize;
use serde_json::json;

fn values(text: &str) -> Vec<serde_json::Value> {
    parse(text).unwrap().iter().map(Node::to_json).collect()
}

#[test]
fn plain_scalars_follow_the_core_schema() {
    for (text, expected) in [
        ("~", json!(null)),
        ("null", json!(null)),
        ("NULL", json!(null)),
        ("nUll", json!("nUll")),
        ("true", json!(true)),
        ("False", json!(false)),
        ("yes", json!("yes")),
        ("no", json!("no")),
        ("on", json!("on")),
        ("y", json!("y")),
        ("'true'", json!("true")),
        ("\"12\"", json!("12")),
        ("!!str 12", json!("12")),
        ("!!str", json!("")),
        ("12", json!(12)),
        ("+12", json!(12)),
        ("-12", json!(-12)),
        ("007", json!(7)),
        ("0x1F", json!(31)),
        ("0x+1", json!("0x+1")),
        ("0o17", json!(15)),
        ("0o9", json!("0o9")),
        ("1_000", json!("1_000")),
        ("18446744073709551615", json!(u64::MAX)),
        ("18446744073709551616", json!(18_446_744_073_709_551_616.0)),
        ("1.5", json!(1.5)),
        (".5", json!(0.5)),
        ("5.", json!(5.0)),
        ("1e3", json!(1000.0)),
        ("1e999", json!("1e999")),
        ("-", json!([null])),
        (".", json!(".")),
        ("e", json!("e")),
        (".inf", json!(".inf")),
        (".nan", json!(".nan")),
        ("1.2.3", json!("1.2.3")),
        ("2026-11-01", json!("2026-11-01")),
        ("harbor.example:8443", json!("harbor.example:8443")),
        ("|\n  a\n  b\n", json!("a\nb\n")),
        (">\n  a\n  b\n", json!("a b\n")),
    ] {
        assert_eq!(values(text), [expected], "{text}");
    }
}

#[test]
fn documents_come_one_by_one() {
    for (text, expected) in [
        ("", vec![]),
        ("# nothing\n", vec![]),
        ("\u{feff}a: 1", vec![json!({"a": 1})]),
        ("---\n", vec![json!(null)]),
        (
            "---\n---\na: 1\n---\n# none\n",
            vec![json!(null), json!({"a": 1}), json!(null)],
        ),
        ("a: 1\n...\n---\nb: 2\n", vec![json!({"a": 1}), json!({"b": 2})]),
        ("{\"a\": 1}\n---\n{b: 2}\n", vec![json!({"a": 1}), json!({"b": 2})]),
        (
            "{\"a\": 1} {\"b\": 2}\n[]",
            vec![json!({"a": 1}), json!({"b": 2}), json!([])],
        ),
        ("%YAML 1.2\n---\na: 1\n", vec![json!({"a": 1})]),
    ] {
        assert_eq!(values(text), expected, "{text}");
    }
}

#[test]
fn what_only_json_may_do_works_in_json() {
    for text in [
        "\t{\"a\":\t1}",
        "{\n\t\"a\":\t[\n\t\t1,\n\t\t2\n\t]\n}",
        "{\"a\"\n:\r\n\t1}",
        r#"{"a": "\/\ud83d\ude00\u00e9\b\f\n\r\t\"\\"}"#,
        "{\"a\": \"\u{7f}\u{85}\u{2028}\u{feff}\u{ffff}\"}",
        r"[-0, 1E5, 1.5e-3, 12345678901234567890, 123456789012345678901234567890]",
        r#"{"<<": 1, "": "", "a: b # c": []}"#,
    ] {
        let expected: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(values(text), std::slice::from_ref(&expected), "{text}");
        assert_eq!(values(&format!("\u{feff}{text}")), [expected], "{text}");
    }
}

#[test]
fn every_value_and_key_knows_its_place() {
    let yaml = "é: ü\nspec:\n  images:\n    - a\n    -   \"b\"\n  empty:\n  flow: {x: [1,\n    2]}\n---\nsecond: 1\n";
    let json = "{\"é\": \"ü\",\n \"spec\": {\"images\": [\n  1, 2]}}\n{\"second\": 1}";
    for (text, path, key, value) in [
        (yaml, "0 é", "1:1", "1:4"),
        (yaml, "0 spec", "2:1", "3:3"),
        (yaml, "0 spec images", "3:3", "4:5"),
        (yaml, "0 spec images 0", "", "4:7"),
        (yaml, "0 spec images 1", "", "5:9"),
        (yaml, "0 spec empty", "6:3", "6:8"),
        (yaml, "0 spec flow", "7:3", "7:9"),
        (yaml, "0 spec flow x", "7:10", "7:13"),
        (yaml, "0 spec flow x 1", "", "8:5"),
        (yaml, "1 second", "10:1", "10:9"),
        (json, "0 é", "1:2", "1:7"),
        (json, "0 spec", "2:2", "2:10"),
        (json, "0 spec images", "2:11", "2:21"),
        (json, "0 spec images 1", "", "3:6"),
        (json, "1 second", "4:2", "4:12"),
    ] {
        let documents = parse(text).unwrap();
        let mut steps = path.split(' ');
        let mut node = &documents[steps.next().unwrap().parse::<usize>().unwrap()];
        let mut key_position = String::new();
        for step in steps {
            match &node.value {
                Value::Sequence(items) => {
                    node = &items[step.parse::<usize>().unwrap()];
                    key_position.clear();
                }
                Value::Mapping(mapping) => {
                    let entry = mapping.iter().find(|entry| entry.key == step).unwrap();
                    key_position = entry.key_position.to_string();
                    node = &entry.value;
                }
                _ => panic!("{path}"),
            }
        }
        assert_eq!(
            (key_position.as_str(), node.position.to_string().as_str()),
            (key, value),
            "{path}"
        );
    }
}

#[test]
fn aliases_and_merge_keys_are_resolved() {
    for (text, expected) in [
        ("a: &x 1\nb: *x", json!({"a": 1, "b": 1})),
        (
            "a: &x [1, {k: v}]\nb: *x",
            json!({"a": [1, {"k": "v"}], "b": [1, {"k": "v"}]}),
        ),
        ("a: &x 1\nb: &x 2\nc: *x", json!({"a": 1, "b": 2, "c": 2})),
        ("- &k name\n- *k : v", json!(["name", {"name": "v"}])),
        (
            "a: &x {k: 1, l: 1}\nb:\n  <<: *x\n  k: 2",
            json!({"a": {"k": 1, "l": 1}, "b": {"k": 2, "l": 1}}),
        ),
        ("<<: [{a: 1}, {a: 2, b: 2}]\nc: 3", json!({"a": 1, "b": 2, "c": 3})),
        ("\"<<\": 1", json!({"<<": 1})),
        ("a: <<", json!({"a": "<<"})),
    ] {
        assert_eq!(values(text), [expected], "{text}");
    }
}

#[test]
fn what_has_no_one_meaning_is_refused_where_it_stands() {
    for (text, position, message) in [
        ("a: 1\nb: 2\na: 3\n", "3:1", "the mapping has this key already"),
        ("{\"a\": 1, \"a\": 2}", "1:10", "the mapping has this key already"),
        ("{a: 1, a: 2}", "1:8", "the mapping has this key already"),
        (
            "1: x",
            "1:1",
            "a key must be a string and is a number (quotes make it one)",
        ),
        (
            "true: x",
            "1:1",
            "a key must be a string and is a boolean (quotes make it one)",
        ),
        (
            "? [a]\n: x",
            "1:3",
            "a key must be a string and is a list (quotes make it one)",
        ),
        (": x", "1:1", "a key must be a string and is null (quotes make it one)"),
        ("a: !!binary aGk=", "1:4", "no tag but `!!str` is supported"),
        ("a: !mine {}", "1:4", "no tag but `!!str` is supported"),
        ("<<: 1", "1:5", "a merge key takes a mapping or a list of mappings"),
        (
            "a: &x [*x]",
            "1:8",
            "the alias names no anchor that this document has before it",
        ),
        (
            "a: &x 1\n---\nb: *x",
            "3:4",
            "the alias names no anchor that this document has before it",
        ),
        ("a: *x", "1:4", "while parsing node, found unknown anchor"),
        (
            "a:\n\tb: 1\n",
            "2:2",
            "tabs disallowed within this context (block indentation)",
        ),
        ("a: @x", "1:4", "unexpected character"),
        (
            "a: [1, 2\n",
            "2:1",
            "while parsing a flow sequence, expected ',' or ']'",
        ),
        (
            "{\"a\": [1 2]",
            "2:1",
            "while parsing a flow mapping, did not find expected ',' or '}'",
        ),
        (
            "{\"a\": \"\\ud83d\"}",
            "1:7",
            "while parsing a quoted scalar, found invalid Unicode character escape code",
        ),
    ] {
        let error = parse(text).unwrap_err();
        assert_eq!(
            (error.position.to_string().as_str(), error.message.as_str()),
            (position, message),
            "{text}"
        );
    }
}

#[test]
fn depth_is_limited_however_it_is_reached() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("{a: ", "}")] {
        let nested = |depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
        assert!(parse(&nested(DEEPEST)).is_ok());
        for depth in [DEEPEST + 1, 100_000] {
            assert!(parse(&nested(depth)).is_err());
        }
    }
    let error = parse(&"- ".repeat(DEEPEST + 1)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "lists and mappings are nested deeper than 128 at 1:257"
    );
    let half = format!("{}1{}", "[".repeat(64), "]".repeat(64));
    assert!(parse(&format!("- &a {half}\n- {}*a{}\n", "[".repeat(63), "]".repeat(63))).is_ok());
    assert!(parse(&format!("- &a {half}\n- {}*a{}\n", "[".repeat(64), "]".repeat(64))).is_err());
}

#[test]
fn alias_bombs_run_out_of_budget() {
    let mut aliases = "- &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..=9 {
        let inner = format!("*a{}, ", level - 1).repeat(10);
        aliases.extend(["- &a", &level.to_string(), " [", &inner, "]\n"]);
    }
    let anchors = format!("{}{}{}", "&a [".repeat(120), "1,".repeat(100_000), "]".repeat(120));
    for bomb in [aliases, anchors] {
        let error = parse(&bomb).unwrap_err();
        assert_eq!(error.message, "the text holds more than 5000000 keys and values");
    }
}

#[test]
fn neither_errors_nor_debug_output_show_the_text() {
    for text in [
        "a: @MARKER",
        "\"MARKER",
        "{\"MARKER\": \"\\x\"}",
        "MARKER: 1\nMARKER: 2",
        "a: !MARKER 1",
        "*MARKER",
        "a: b: MARKER",
    ] {
        let error = parse(text).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("MARKER"), "{error}");
    }
    let documents = parse("MARKER: MARKER").unwrap();
    assert_eq!(format!("{documents:?}"), "[a mapping at 1:1]");
}

/// Any JSON value, its numbers as a text has them.
fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        "-?[1-9][0-9]{0,2}\\.[0-9]{1,3}(e-?[0-9])?".prop_map(|number| serde_json::from_str(&number).unwrap()),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::btree_map(any::<String>(), inner, 0..6).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

fn with_tabs(value: &serde_json::Value) -> String {
    let mut text = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    value
        .serialize(&mut serde_json::Serializer::with_formatter(&mut text, formatter))
        .unwrap();
    String::from_utf8(text).unwrap()
}

proptest! {
    #[test]
    fn json_text_keeps_its_meaning(value in any_json()) {
        for text in [value.to_string(), with_tabs(&value)] {
            if value.is_object() || value.is_array() {
                let read = json::parse(&text).unwrap();
                prop_assert_eq!(read.len(), 1);
                prop_assert_eq!(read[0].to_json(), value.clone());
            }
        }
    }

    #[test]
    fn both_readers_agree_on_values_and_places(value in any_json()) {
        // Wrapped, so that there is a structure; one control character in a string is all that may set them apart.
        let text = serde_json::to_string_pretty(&json!([value])).unwrap();
        if let Ok(from_events) = events::parse(&text) {
            prop_assert_eq!(format!("{from_events:?}"), format!("{:?}", json::parse(&text).unwrap()));
            prop_assert!(from_events == json::parse(&text).unwrap());
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        let _ = parse(&text);
    }

    #[test]
    fn nothing_that_looks_like_yaml_makes_it_panic(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "a", "- ", ": ", ":", "\n", "\n  ", "\n    ", "[", "]", "{", "}", ",", "\"", "'", "&a ", "*a", "!!str ", "!",
                "? ", "| \n", ">-\n", "#", " #c\n", "---\n", "...\n", "%YAML 1.2\n", "%TAG ! x\n", "<<", "~", "0x1", "1.5",
                "\\", "\\u", "\t", "\r", "\u{feff}", "\u{85}", "@", "`", "é", "\0",
            ]),
            0..24,
        )
    ) {
        let _ = parse(&pieces.concat());
    }
}
