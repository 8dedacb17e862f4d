//! Nothing of a credential shows: a marker stands in every field of good and broken configs, and in no output.

use super::super::{Candidate, ConfigForm, DockerConfig, Key, Keyring, file};
use super::image;
use std::fmt::Debug;

const MARKER: &str = "mArKeR7";
const MARKER_BASE64: &str = "bUFyS2VSNw"; // of the marker alone
const USER_AND_MARKER_BASE64: &str = "bWU6bUFyS2VSNw=="; // of me:mArKeR7

fn assert_hidden(place: &str, shown: &str) {
    let shown = shown.to_lowercase();
    for form in [MARKER, MARKER_BASE64, USER_AND_MARKER_BASE64] {
        assert!(!shown.contains(&form.to_lowercase()), "{place}: {shown}");
    }
}

fn assert_debug_hides(place: &str, value: &impl Debug) {
    assert_hidden(place, &format!("{value:?}"));
    assert_hidden(place, &format!("{value:#?}"));
}

/// Configs of the form with `auths` in which the marker stands in one place each, and all of them are JSON.
fn marked_configs() -> Vec<String> {
    let mut configs = Vec::new();
    let values = [
        format!("\"{MARKER}\""),
        format!("\"{MARKER}=\""),
        format!("\"{MARKER_BASE64}\""),
        format!("\"{USER_AND_MARKER_BASE64}\""),
        format!("[\"{MARKER}\"]"),
        format!("{{\"x\":\"{MARKER}\"}}"),
        format!("\"\\ud800{MARKER}\""),
    ];
    let keys = [
        "ghcr.io".to_owned(),
        format!("https://{MARKER}@ghcr.io"),
        format!("https://me:{MARKER}@ghcr.io/acme"),
        format!("me:{MARKER}@ghcr.io"),
        format!("HTTPS://me:{MARKER}@ghcr.io"),
        format!("https:/me:{MARKER}@ghcr.io"),
        format!("https://me:{MARKER}%40ghcr.io"),
        format!("https://me:{MARKER}%zz@ghcr.io"),
        format!("https://me:{MARKER} @ghcr.io"),
        format!("https://me:{MARKER}@[ghcr.io"),
        format!("https://me:{MARKER}"),
        format!("ghcr.io?token={MARKER}"),
        format!("ghcr.io#{MARKER}"),
        format!("gh cr.io/{MARKER}"),
    ];
    for value in &values {
        for field in [
            "username",
            "password",
            "email",
            "auth",
            "AUTH",
            "identitytoken",
            "registrytoken",
            MARKER,
        ] {
            for key in &keys {
                configs.push(format!(r#"{{"auths":{{"{key}":{{"{field}":{value}}}}}}}"#));
            }
        }
        for key in &keys {
            configs.push(format!(r#"{{"auths":{{"{key}":{value}}}}}"#));
            configs.push(format!(r#"{{"{key}":{{"auth":{value}}}}}"#));
        }
        for name in ["auths", "HttpHeaders", "credsStore", "credHelpers", "x"] {
            configs.push(format!(
                r#"{{"{name}":{value},"auths":{{"ghcr.io":{{"auth":"YTpi"}}}}}}"#
            ));
        }
        configs.push(format!(r#"{{"HttpHeaders":{{"{MARKER}":{value}}}}}"#));
        configs.push(value.clone());
    }
    configs
}

/// The same, and cut short, and with a byte too many.
fn marked_payloads() -> Vec<Vec<u8>> {
    let mut payloads = Vec::new();
    for config in marked_configs() {
        let bytes = config.into_bytes();
        payloads.extend((0..bytes.len()).step_by(7).map(|length| bytes[..length].to_vec()));
        for broken in [b"}".as_slice(), b"\xff", b"x"] {
            payloads.push([bytes.as_slice(), broken].concat());
        }
        payloads.push(bytes);
    }
    payloads
}

#[test]
fn no_config_and_no_error_shows_a_credential() {
    let (mut good, mut bad) = (0, 0);
    for payload in marked_payloads() {
        for form in [ConfigForm::DockerConfigJson, ConfigForm::Dockercfg] {
            let text = String::from_utf8_lossy(&payload);
            match DockerConfig::parse(form, &payload) {
                Ok(config) => {
                    good += 1;
                    assert_debug_hides(&text, &config);
                    for key in config.keys() {
                        assert_hidden(&text, &format!("{key} {} {} {}", key.host(), key.path(), key.spelled()));
                    }
                    let keyring = Keyring::new([&config]);
                    assert_debug_hides(&text, &keyring);
                    assert_debug_hides(&text, &keyring.lookup(&image("ghcr.io/acme/app")));
                    assert_hidden(
                        &text,
                        &format!("{:?}", config.verdict().map_err(|unusable| unusable.to_string())),
                    );
                }
                Err(malformed) => {
                    bad += 1;
                    assert_debug_hides(&text, &malformed);
                    assert_hidden(&text, &malformed.to_string());
                }
            }
        }
    }
    assert!(good > 300 && bad > 300, "{good} good and {bad} bad configs");
}

#[test]
fn no_file_shows_a_credential() {
    let json = "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\ntype: kubernetes.io/dockerconfigjson\n";
    let mut files: Vec<_> = marked_payloads().into_iter().step_by(5).collect();
    for payload in marked_configs() {
        let quoted = serde_json::json!(payload).to_string();
        files.push(format!("{json}stringData: {{.dockerconfigjson: {quoted}}}").into());
        files.push(format!("{json}stringData: {{.dockerconfigjson: {payload}}}").into());
        files.push(format!("{json}data: {{.dockerconfigjson: {quoted}}}").into());
        files.push(format!("{json}data: {{.dockerconfigjson: {quoted}").into());
    }
    for content in [
        format!("data: {MARKER}"),
        format!("data: {{{MARKER}: 5}}"),
        format!("data: {{{MARKER}: {MARKER}=}}"),
        format!("stringData: [{MARKER}]"),
        format!("{MARKER}: &{MARKER} *x"),
        format!("{MARKER}: {MARKER}\n{MARKER}: {MARKER}"),
        format!("{MARKER}: !{MARKER} {MARKER}"),
    ] {
        files.push(format!("{json}{content}").into());
    }
    for bytes in files {
        let text = String::from_utf8_lossy(&bytes);
        match file::read("x.yaml", &bytes) {
            Ok(found) => assert_debug_hides(&text, &found),
            Err(fault) => {
                assert_debug_hides(&text, &fault);
                assert_hidden(&text, &fault.to_string());
            }
        }
    }
}

#[test]
fn the_username_comes_out_at_one_place() {
    let json = format!(r#"{{"auths":{{"ghcr.io":{{"auth":"{USER_AND_MARKER_BASE64}"}}}}}}"#);
    let config = DockerConfig::parse(ConfigForm::DockerConfigJson, json.as_bytes()).expect("a good config");
    let candidates = Keyring::new([&config]).lookup(&image("ghcr.io/app"));
    assert_eq!(candidates.iter().map(Candidate::username).collect::<Vec<_>>(), ["me"]);
    assert!(!format!("{candidates:?}").contains("me"));
}

#[test]
fn keys_have_no_user_info() {
    let key = Key::parse(&format!("https://me:{MARKER}@ghcr.io/acme?{MARKER}#{MARKER}")).expect("a key");
    assert_eq!(key.spelled(), "https://ghcr.io/acme");
    assert_debug_hides("key", &key);
}
