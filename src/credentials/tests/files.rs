//! What a credential file is taken for.

use super::super::file::{CredentialFile, NotCredentials, read};
use super::super::{ConfigForm, DockerConfig};
use proptest::prelude::*;

const CONFIG: &str = r#"{"auths":{"ghcr.io":{"username":"me","password":"x"}}}"#;
const FLAT: &str = r#"{"ghcr.io":{"username":"me","password":"x"}}"#;
const CONFIG_BASE64: &str = "eyJhdXRocyI6eyJhLmIiOnsidXNlcm5hbWUiOiJ5b3UifX19"; // {"auths":{"a.b":{"username":"you"}}}

/// Secret, form and the keys or the fault of every source.
fn sources(found: &CredentialFile) -> Vec<(String, ConfigForm, String)> {
    let content = |config: &DockerConfig| config.keys().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    found
        .sources
        .iter()
        .map(|source| {
            let secret = source.secret.as_ref().map_or_else(String::new, ToString::to_string);
            let config = source.config.as_ref().map_or_else(ToString::to_string, content);
            (secret, source.form, config)
        })
        .collect()
}

fn assert_sources(file: &str, text: &str, expected: &[(&str, ConfigForm, &str)]) {
    let found = read(file, text.as_bytes()).unwrap_or_else(|fault| panic!("{text}: {fault}"));
    let expected: Vec<_> = expected
        .iter()
        .map(|&(secret, form, config)| (secret.to_owned(), form, config.to_owned()))
        .collect();
    assert_eq!(sources(&found), expected, "{file}: {text}");
    assert!(found.sources.iter().all(|source| source.file == file), "{file}");
}

/// A Secret's manifest, as one flow mapping.
fn secret(name: &str, of_type: &str, content: &str) -> String {
    format!("{{apiVersion: v1, kind: Secret, metadata: {{namespace: a, name: {name}}}, type: {of_type}, {content}}}")
}

#[test]
fn the_name_tells_the_legacy_form() {
    use ConfigForm::{DockerConfigJson, Dockercfg};
    for (file, text, form) in [
        ("config.json", CONFIG, DockerConfigJson),
        ("/home/me/.docker/config.json", CONFIG, DockerConfigJson),
        ("-", CONFIG, DockerConfigJson),
        ("dockercfg", CONFIG, DockerConfigJson),
        ("pull.yaml", CONFIG, DockerConfigJson),
        (".dockercfg", FLAT, Dockercfg),
        ("/home/me/.dockercfg", FLAT, Dockercfg),
        ("acme.dockercfg", FLAT, Dockercfg),
    ] {
        assert_sources(file, text, &[("", form, "ghcr.io")]);
    }
    // Wrong, and yet an answer.
    assert_sources(".dockercfg", CONFIG, &[("", Dockercfg, "auths")]);
    assert_sources("config.json", FLAT, &[("", DockerConfigJson, "")]);
    assert_sources(
        "config.json",
        r#"{"auths":5}"#,
        &[("", DockerConfigJson, "`auths` is not an object")],
    );
    // YAML would refuse the second of the two.
    assert_sources(
        "config.json",
        r#"{"auths":{"a.b":{},"a.b":{}}}"#,
        &[("", DockerConfigJson, "a.b")],
    );
}

#[test]
fn a_secret_is_known_by_api_version_and_kind() {
    let json = format!(
        r#"{{"apiVersion":"v1","kind":"Secret","metadata":{{"name":"x"}},"type":"kubernetes.io/dockerconfigjson",
            "data":{{".dockerconfigjson":"{CONFIG_BASE64}"}}}}"#
    );
    for file in ["x.json", "config.json", ".dockercfg", "-"] {
        assert_sources(file, &json, &[("x", ConfigForm::DockerConfigJson, "a.b")]);
    }
    for other in [json.replace("\"v1\"", "\"v2\""), json.replace("Secret", "secret")] {
        assert_sources("x.json", &other, &[("", ConfigForm::DockerConfigJson, "")]);
    }
    let legacy = secret(
        "x",
        "kubernetes.io/dockercfg",
        &format!("stringData: {{.dockercfg: '{FLAT}'}}"),
    );
    assert_sources("x.yaml", &legacy, &[("a/x", ConfigForm::Dockercfg, "ghcr.io")]);
    let unnamed = json.replace(r#""metadata":{"name":"x"},"#, "");
    assert_sources("x.json", &unnamed, &[("", ConfigForm::DockerConfigJson, "a.b")]);
}

#[test]
fn documents_and_lists_keep_their_order() {
    let block = format!(
        "# pull secrets\napiVersion: v1\nkind: Secret\nmetadata:\n  name: one\ntype: kubernetes.io/dockerconfigjson\n\
         data:\n  .dockerconfigjson: |\n    {CONFIG_BASE64}\n"
    );
    let pull = |name| {
        secret(
            name,
            "kubernetes.io/dockerconfigjson",
            &format!("stringData: {{.dockerconfigjson: '{CONFIG}'}}"),
        )
    };
    let text = format!(
        "{block}---\n---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: a}}\n---\napiVersion: v1\nkind: List\nitems:\n\
         - {}\n- {{apiVersion: v1, kind: ConfigMap}}\n- {}\n---\n{}\n",
        pull("two"),
        pull("three"),
        pull("four"),
    );
    let form = ConfigForm::DockerConfigJson;
    let expected = [
        ("one", form, "a.b"),
        ("a/two", form, "ghcr.io"),
        ("a/three", form, "ghcr.io"),
        ("a/four", form, "ghcr.io"),
    ];
    assert_sources("all.yaml", &text, &expected);
}

#[test]
fn string_data_goes_over_data() {
    let form = ConfigForm::DockerConfigJson;
    for (content, expected) in [
        (
            format!("data: {{.dockerconfigjson: {CONFIG_BASE64}}}, stringData: {{.dockerconfigjson: '{CONFIG}'}}"),
            "ghcr.io",
        ),
        (
            format!("stringData: {{.dockerconfigjson: '{CONFIG}'}}, data: {{.dockerconfigjson: {CONFIG_BASE64}}}"),
            "ghcr.io",
        ),
        (
            format!("data: {{.dockerconfigjson: {CONFIG_BASE64}}}, stringData: {{other: x}}"),
            "a.b",
        ),
        (
            format!("data: {{.dockerconfigjson: {CONFIG_BASE64}}}, stringData: null"),
            "a.b",
        ),
        (
            "stringData: {.dockerconfigjson: '{'}".to_owned(),
            "the docker config is not JSON at line 1, column 1",
        ),
    ] {
        let text = secret("x", "kubernetes.io/dockerconfigjson", &content);
        assert_sources("x.yaml", &text, &[("a/x", form, expected)]);
    }
}

#[test]
fn what_the_kubelet_passes_over_is_named() {
    let json = "kubernetes.io/dockerconfigjson";
    for (text, expected) in [
        (
            secret("x", "Opaque", "data: {.dockerconfigjson: '!'}"),
            "the Secret `a/x` is of type `Opaque`, and no pull secret",
        ),
        (
            secret("x", "~", ""),
            "the Secret `a/x` is of type `Opaque`, and no pull secret",
        ),
        (
            secret("x", "kubernetes.io/tls", "data: {}"),
            "the Secret `a/x` is of type `kubernetes.io/tls`, and no pull secret",
        ),
        (
            secret("x", json, ""),
            "the Secret `a/x` has nothing under `.dockerconfigjson`",
        ),
        (
            secret("x", json, "data: {.dockerconfigjson: ''}"),
            "the Secret `a/x` has nothing under `.dockerconfigjson`",
        ),
        (
            secret(
                "x",
                json,
                &format!("data: {{.dockerconfigjson: {CONFIG_BASE64}}}, stringData: {{.dockerconfigjson: ~}}"),
            ),
            "the Secret `a/x` has nothing under `.dockerconfigjson`",
        ),
        (
            secret(
                "x",
                "kubernetes.io/dockercfg",
                &format!("stringData: {{.dockerconfigjson: '{CONFIG}'}}"),
            ),
            "the Secret `a/x` has nothing under `.dockercfg`",
        ),
    ] {
        let found = read("x.yaml", text.as_bytes()).unwrap_or_else(|fault| panic!("{text}: {fault}"));
        assert_eq!(sources(&found), [], "{text}");
        assert_eq!(
            found.ignored.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [expected]
        );
    }
}

#[test]
fn what_is_not_what_it_claims_to_be_is_an_error() {
    let json = "kubernetes.io/dockerconfigjson";
    let kind = "it is no Secret manifest, and as a docker config it is not JSON at";
    for (file, text, expected) in [
        ("config.json", String::new(), format!("{kind} line 1, column 1")),
        ("config.json", "hello".to_owned(), format!("{kind} line 1, column 1")),
        (".dockercfg", "hello".to_owned(), format!("{kind} line 1, column 1")),
        (
            "map.yaml",
            "apiVersion: v1\nkind: ConfigMap\n".to_owned(),
            format!("{kind} line 1, column 1"),
        ),
        (
            "x.yaml",
            "kind: Secret\n".to_owned(),
            format!("{kind} line 1, column 1"),
        ),
        (
            "x.yaml",
            secret("x", json, "data: {.dockerconfigjson: '!'}"),
            "a value of `data` is not base64 in the Secret `a/x` at 1:131".to_owned(),
        ),
        (
            "x.yaml",
            secret("x", json, "data: {other: YQ}"),
            "a value of `data` is not base64 in the Secret `a/x` at 1:119".to_owned(),
        ),
        (
            "x.yaml",
            secret("x", json, "data: []"),
            "`data` is not a mapping in the Secret `a/x` at 1:111".to_owned(),
        ),
        (
            "x.yaml",
            secret("x", json, "stringData: {other: 5}"),
            "a value of `stringData` is not a string in the Secret `a/x` at 1:125".to_owned(),
        ),
    ] {
        let fault = read(file, text.as_bytes()).expect_err(&text);
        assert_eq!(fault.to_string(), expected, "{text}");
    }
    for text in ["{", r#"{"auths":{"#, "a: [", "a: b: c"] {
        let fault = read("config.json", text.as_bytes()).expect_err(text);
        assert!(matches!(fault, NotCredentials::Syntax(_)), "{text}: {fault}");
        assert!(
            fault.to_string().starts_with("it is neither YAML nor JSON: "),
            "{fault}"
        );
    }
    let fault = read("config.json", b"\xff").expect_err("no text");
    assert_eq!(fault, NotCredentials::NotJson { line: 1, column: 1 });
}

proptest! {
    #[test]
    fn never_panics_on_any_bytes(file in "(.dockercfg|x)", bytes in any::<Vec<u8>>()) {
        let _ = read(&file, &bytes);
    }

    #[test]
    fn never_panics_on_a_manifest(kind in "[a-z/.]{0,9}", field in "(data|stringData|type|metadata)", value in any::<String>()) {
        let json = serde_json::json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
            "metadata": {"name": kind}, "data": {".dockerconfigjson": value}, field: {".dockerconfigjson": value}});
        let _ = read("x.json", json.to_string().as_bytes());
    }
}
