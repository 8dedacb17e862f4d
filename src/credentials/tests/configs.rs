//! What the kubelet reads in a docker config, and what it refuses.

use super::super::{ConfigForm, DockerConfig, EntryName, Field, Malformed, MalformedKind, Place, Unusable};
use super::docker_config;
use proptest::prelude::*;

/// Key, username and blankness of every entry.
fn entries(config: &DockerConfig) -> Vec<(&str, &str, bool)> {
    let entries = config.entries().iter();
    entries
        .map(|entry| (entry.key().spelled(), entry.username(), entry.is_blank()))
        .collect()
}

/// The one entry of a config for `ghcr.io`.
fn entry(json: &str) -> Result<(String, bool), Malformed> {
    let config = docker_config(&format!(r#"{{"auths":{{"ghcr.io":{json}}}}}"#))?;
    let entry = config.entries().first().expect("an entry");
    Ok((entry.username().to_owned(), entry.is_blank()))
}

#[test]
fn both_forms_hold_the_same_entries() {
    let flat = r#"{"ghcr.io":{"username":"me","password":"x"},"https://a.b/c":{"auth":"eW91Ong="}}"#;
    let expected = [("ghcr.io", "me", false), ("https://a.b/c", "you", false)];
    let legacy = DockerConfig::parse(ConfigForm::Dockercfg, flat.as_bytes()).expect("a good config");
    assert_eq!(entries(&legacy), expected);
    let config = docker_config(&format!(r#"{{"auths":{flat}}}"#)).expect("a good config");
    assert_eq!(entries(&config), expected);
}

#[test]
fn auth_goes_before_username_and_password() {
    for (json, username, is_blank) in [
        (r#"{"username":"me","password":"x"}"#, "me", false),
        (r#"{"username":"me"}"#, "me", false),
        (r#"{"password":"x"}"#, "", false),
        (r#"{"auth":"eW91Ong="}"#, "you", false),
        (r#"{"auth":"eW91Ong=","username":"me","password":"x"}"#, "you", false),
        (r#"{"username":"me","password":"x","auth":""}"#, "me", false),
        (r#"{"username":"me","auth":null}"#, "me", false),
        // `:`, `you:`, `:x`, ` a : b:c `
        (r#"{"auth":"Og==","username":"me"}"#, "", true),
        (r#"{"auth":"eW91Og"}"#, "you", false),
        (r#"{"auth":"Ong="}"#, "", false),
        (r#"{"auth":"IGEgOiBiOmMg"}"#, " a ", false),
        ("{}", "", true),
        ("null", "", true),
        (r#"{"email":"a@b","identitytoken":"x","registrytoken":"y"}"#, "", true),
    ] {
        assert_eq!(entry(json), Ok((username.to_owned(), is_blank)), "{json}");
    }
}

#[test]
fn base64_has_all_of_its_padding_or_none() {
    let (good, broken) = (None, Some(MalformedKind::NotBase64));
    for (auth, expected) in [
        ("YTpi", good.clone()),
        ("YTo=", good.clone()),
        ("YTo", good.clone()),
        ("YTpiYw==", good.clone()),
        ("YTpiYw", good.clone()),
        (r"YT\npi\r\n", good.clone()),
        (r"YTo\n=\n", good.clone()),
        // Bits that the last character has too many.
        ("YTp=", good.clone()),
        ("YTp", good),
        ("YTpiYw=", broken.clone()),
        ("YTpi=", broken.clone()),
        ("YTpi====", broken.clone()),
        ("YTo=YTo=", broken.clone()),
        ("YTpiY", broken.clone()),
        ("=", broken.clone()),
        (" YTpi", broken.clone()),
        ("YTpi ", broken.clone()),
        (r"YTo=\t", broken.clone()),
        ("YT pi", broken.clone()),
        ("-_pi", broken.clone()),
        ("é", broken),
        (r"\n", Some(MalformedKind::NoColon)),
        ("YWI", Some(MalformedKind::NoColon)),
        ("YWI=", Some(MalformedKind::NoColon)),
    ] {
        let found = entry(&format!(r#"{{"auth":"{auth}"}}"#)).err();
        let place = Place::Field(EntryName::Key("ghcr.io".to_owned()), Field::Auth);
        assert_eq!(found, expected.map(|kind| Malformed { place, kind }), "{auth}");
    }
}

#[test]
fn fields_are_read_as_go_reads_them() {
    for (json, username) in [
        (r#"{"USERNAME":"me"}"#, "me"),
        (r#"{"UserName":"me"}"#, "me"),
        (r#"{"uſername":"me"}"#, "me"),
        (r#"{"user_name":"me"}"#, ""),
        (r#"{" username":"me"}"#, ""),
        (r#"{"username":"you","username":"me"}"#, "me"),
        (r#"{"username":"you","Username":"me"}"#, "me"),
        (r#"{"username":"me","username":null}"#, "me"),
        (r#"{"auth":"!","auth":"bWU6"}"#, "me"),
        (r#"{"auth":"bWU6","auth":null}"#, "me"),
        (r#"{"auth":"!","auth":"","username":"me"}"#, "me"),
        (r#"{"username":"m\u0065"}"#, "me"),
        (r#"{"username":"\ud83d\ude00"}"#, "😀"),
        (r#"{"username":"me","x":[{"y":[1e999,-0.0,"\ud800",{}]}]}"#, "me"),
        ("\t{\r\n\"username\" : \"me\" } ", "me"),
    ] {
        assert_eq!(
            entry(json).map(|(username, _)| username),
            Ok(username.to_owned()),
            "{json}"
        );
    }
    // Neither a lone surrogate nor a byte that is no UTF-8 is an error.
    let broken = entry(r#"{"username":"a\ud800b"}"#).expect("a good config");
    assert!(broken.0.starts_with('a') && broken.0.contains('\u{fffd}') && broken.0.ends_with('b'));
    let bytes = b"{\"auths\":{\"ghcr.io\":{\"username\":\"a\xffb\"}}}";
    let config = DockerConfig::parse(ConfigForm::DockerConfigJson, bytes).expect("a good config");
    assert_eq!(entries(&config), [("ghcr.io", "a\u{fffd}b", false)]);
}

#[test]
fn entries_are_joined_and_the_last_of_a_spelling_counts() {
    for (json, expected) in [
        (
            r#"{"auths":{"a.b":{"username":"1"},"a.b":{"username":"2"}}}"#,
            &[("a.b", "2", false)] as &[_],
        ),
        (
            r#"{"auths":{"a.b":{"username":"1"},"a.b":{"password":"x"}}}"#,
            &[("a.b", "", false)],
        ),
        (
            r#"{"auths":{"a.b":{"username":"1"}},"AUTHS":{"c.d":{}}}"#,
            &[("a.b", "1", false), ("c.d", "", true)],
        ),
        (r#"{"auths":{"a.b":{}},"auths":null}"#, &[]),
        (r#"{"auths":null}"#, &[]),
        (r#"{"authſ":{"a.b":{}}}"#, &[("a.b", "", true)]),
        (r#"{"auth":{"a.b":{}}}"#, &[]),
        ("null", &[]),
        (" {} ", &[]),
        (r#"{"HttpHeaders":{"a":"b","c":null}}"#, &[]),
        (r#"{"HttpHeaders":null,"credsStore":5,"x":{"auths":5}}"#, &[]),
        // Both spellings stay, though they are one key.
        (
            r#"{"auths":{"https://a.b":{"username":"1"},"a.b":{"username":"2"}}}"#,
            &[("a.b", "2", false), ("https://a.b", "1", false)],
        ),
    ] {
        let config = docker_config(json).unwrap_or_else(|fault| panic!("{json}: {fault}"));
        assert_eq!(entries(&config), expected, "{json}");
    }
}

#[test]
fn a_key_that_can_serve_nothing_is_skipped_and_its_entry_still_judged() {
    let config = docker_config(r#"{"auths":{"a b":{"username":"1"},"[::1":{},"a.b":{"username":"2"}}}"#);
    let config = config.expect("a good config");
    assert_eq!(entries(&config), [("a.b", "2", false)]);
    assert_eq!(config.skipped(), 2);
    let fault = docker_config(r#"{"auths":{"a.b":{},"a b":{"auth":"!"}}}"#).expect_err("a bad entry");
    assert_eq!(fault.to_string(), "`auth` of entry 2 is not base64");
}

#[test]
fn what_is_refused_is_said_by_place_and_kind() {
    for (json, expected) in [
        ("", "the docker config is not JSON at line 1, column 1"),
        ("{", "the docker config is not JSON at line 1, column 1"),
        ("{}\n x", "the docker config is not JSON at line 2, column 2"),
        ("{'auths':{}}", "the docker config is not JSON at line 1, column 2"),
        ("\u{feff}{}", "the docker config is not JSON at line 1, column 1"),
        (r#"{"x":"\x"}"#, "the docker config is not JSON at line 1, column 8"),
        ("[]", "the docker config is not an object"),
        ("5", "the docker config is not an object"),
        (r#"{"auths":[]}"#, "`auths` is not an object"),
        (r#"{"auths":5,"auths":{}}"#, "`auths` is not an object"),
        (r#"{"AUTHS":"x"}"#, "`auths` is not an object"),
        (r#"{"HttpHeaders":[]}"#, "`HttpHeaders` is not an object"),
        (r#"{"httpheaders":{"a":5}}"#, "a value of `HttpHeaders` is not a string"),
        (r#"{"auths":{"ghcr.io":5}}"#, "the entry `ghcr.io` is not an object"),
        (r#"{"auths":{"ghcr.io":"x"}}"#, "the entry `ghcr.io` is not an object"),
        (r#"{"auths":{"ghcr.io":[]}}"#, "the entry `ghcr.io` is not an object"),
        (r#"{"auths":{"a b":1e999}}"#, "entry 1 is not an object"),
        (
            r#"{"auths":{"ghcr.io":{"auth":5}}}"#,
            "`auth` of the entry `ghcr.io` is not a string",
        ),
        (
            r#"{"auths":{"ghcr.io":{"username":{}}}}"#,
            "`username` of the entry `ghcr.io` is not a string",
        ),
        (
            r#"{"auths":{"ghcr.io":{"PASSWORD":[]}}}"#,
            "`password` of the entry `ghcr.io` is not a string",
        ),
        (
            r#"{"auths":{"ghcr.io":{"email":true}}}"#,
            "`email` of the entry `ghcr.io` is not a string",
        ),
        (
            r#"{"auths":{"ghcr.io":{"username":5,"username":""}}}"#,
            "`username` of the entry `ghcr.io` is not a string",
        ),
        (
            r#"{"auths":{"ghcr.io":{"auth":"!"}}}"#,
            "`auth` of the entry `ghcr.io` is not base64",
        ),
        (
            r#"{"auths":{"ghcr.io":{"auth":"YWI="}}}"#,
            "`auth` of the entry `ghcr.io` is not base64 of `username:password`",
        ),
        (
            r#"{"auths":{"ghcr.io":{"auth":"!"},"ghcr.io":{}}}"#,
            "`auth` of the entry `ghcr.io` is not base64",
        ),
        (
            r#"{"auths":{"ghcr.io":{"auth":"!"}},"auths":null}"#,
            "`auth` of the entry `ghcr.io` is not base64",
        ),
        (
            r#"{"auths":{"https://me:x@ghcr.io/acme?y":{"auth":"!"}}}"#,
            "`auth` of the entry `https://ghcr.io/acme` is not base64",
        ),
    ] {
        let fault = docker_config(json).expect_err(json);
        assert_eq!(fault.to_string(), expected, "{json}");
    }
    for (json, expected) in [
        ("[]", "the docker config is not an object"),
        (r#"{"credsStore":"x"}"#, "the entry `credsStore` is not an object"),
        (
            r#"{"ghcr.io":{"auth":"!"}}"#,
            "`auth` of the entry `ghcr.io` is not base64",
        ),
    ] {
        let fault = DockerConfig::parse(ConfigForm::Dockercfg, json.as_bytes()).expect_err(json);
        assert_eq!(fault.to_string(), expected, "{json}");
    }
}

#[test]
fn a_useless_config_is_called_what_it_is() {
    let flat = r#"{"ghcr.io":{"username":"me","password":"x"}}"#;
    for (json, expected) in [
        (r#"{"auths":{"ghcr.io":{"auth":"bWU6eA=="}}}"#, Ok(())),
        (
            r#"{"auths":{"ghcr.io":{"auth":"bWU6eA=="},"a.b":{}},"credsStore":"desktop"}"#,
            Ok(()),
        ),
        (flat, Err(Unusable::FlatDockercfg)),
        (
            r#"{"ghcr.io":{"auth":"bWU6eA=="},"a.b":{}}"#,
            Err(Unusable::FlatDockercfg),
        ),
        (r#"{"credsStore":"desktop"}"#, Err(Unusable::CredentialStoreOnly)),
        (
            r#"{"auths":{"ghcr.io":{}},"credsStore":"desktop"}"#,
            Err(Unusable::CredentialStoreOnly),
        ),
        (
            r#"{"auths":{},"credHelpers":{"ghcr.io":"gh"}}"#,
            Err(Unusable::CredentialStoreOnly),
        ),
        (
            r#"{"auths":{},"credHelpers":{},"credsStore":""}"#,
            Err(Unusable::NoCredentials),
        ),
        ("{}", Err(Unusable::NoCredentials)),
        ("null", Err(Unusable::NoCredentials)),
        (r#"{"auths":{"ghcr.io":{}}}"#, Err(Unusable::NoCredentials)),
        (r#"{"auths":{"ghcr.io":{"auth":"Og=="}}}"#, Err(Unusable::NoCredentials)),
        (
            r#"{"auths":{"ghcr.io":{"identitytoken":"x"}}}"#,
            Err(Unusable::NoCredentials),
        ),
        (
            r#"{"auths":{"a b":{"username":"me","password":"x"}}}"#,
            Err(Unusable::NoCredentials),
        ),
        (r#"{"ghcr.io":{}}"#, Err(Unusable::NoCredentials)),
    ] {
        let config = docker_config(json).unwrap_or_else(|fault| panic!("{json}: {fault}"));
        assert_eq!(config.verdict(), expected, "{json}");
    }
    let legacy =
        |json: &str| DockerConfig::parse(ConfigForm::Dockercfg, json.as_bytes()).map(|config| config.verdict());
    assert_eq!(legacy(flat), Ok(Ok(())));
    assert_eq!(legacy("{}"), Ok(Err(Unusable::NoCredentials)));
    assert_eq!(
        legacy(&format!(r#"{{"auths":{flat}}}"#)),
        Ok(Err(Unusable::NoCredentials))
    );
}

#[test]
fn depth_is_limited_as_in_go_and_costs_no_stack() {
    let arrays = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let around = |value: &str| {
        let entry = format!(r#""ghcr.io":{{"username":"{{[\"","x":{value}}}"#);
        [
            format!(r#"{{"auths":{{{entry}}}}}"#),
            format!(r#"{{"x":[[{value}]],"auths":{{{entry}}}}}"#),
        ]
    };
    // Three levels are there already.
    for json in around(&arrays(9_997)) {
        let config = docker_config(&json).expect("what nobody asks for may be deep");
        assert_eq!(entries(&config), [("ghcr.io", "{[\"", false)]);
    }
    for json in around(&arrays(9_998)).into_iter().chain([arrays(1_000_000)]) {
        let fault = docker_config(&json).expect_err("too deep");
        assert_eq!(fault.to_string(), "the docker config is nested deeper than 10000");
    }
    let fault = docker_config(&"{\"a\":".repeat(1_000_000)).expect_err("no end");
    assert!(matches!(fault.kind, MalformedKind::NotJson { .. }));
}

/// Text that is JSON, or nearly.
fn json_like() -> impl Strategy<Value = String> {
    let pieces = proptest::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "null",
        "5",
        "1e999",
        "true",
        " ",
        "\"",
        "\\",
        "\\ud800",
        "é",
        "\"auths\":{",
        "\"ghcr.io\":{",
        "\"auth\":",
        "\"username\":",
        "\"YTpi\"",
        "\"x\"",
        "\"HttpHeaders\":",
        "\"credsStore\":",
    ]);
    proptest::collection::vec(pieces, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn never_panics_on_any_bytes(bytes in any::<Vec<u8>>()) {
        let _ = DockerConfig::parse(ConfigForm::DockerConfigJson, &bytes);
        let _ = DockerConfig::parse(ConfigForm::Dockercfg, &bytes);
    }

    #[test]
    fn never_panics_on_what_is_nearly_json(text in json_like()) {
        let _ = docker_config(&text);
        let _ = DockerConfig::parse(ConfigForm::Dockercfg, text.as_bytes());
    }

    #[test]
    fn never_panics_on_any_auth(auth in any::<String>(), key in any::<String>()) {
        let json = serde_json::json!({"auths": {key: {"auth": auth}}});
        let _ = docker_config(&json.to_string());
    }

    #[test]
    fn both_forms_agree_on_entries(key in "[a-z.:/@%\\[\\] ]{0,12}", auth in "[A-Za-z0-9+/=\\n ]{0,9}") {
        let flat = serde_json::json!({key: {"auth": auth}});
        let legacy = DockerConfig::parse(ConfigForm::Dockercfg, flat.to_string().as_bytes());
        let config = docker_config(&serde_json::json!({"auths": flat}).to_string());
        match (legacy, config) {
            (Ok(legacy), Ok(config)) => prop_assert_eq!(entries(&legacy), entries(&config)),
            (Err(legacy), Err(config)) => prop_assert_eq!(legacy, config),
            (legacy, config) => prop_assert!(false, "{legacy:?} and {config:?}"),
        }
    }
}
