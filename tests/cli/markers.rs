//! Nothing of a credential is said: a marker stands in every field of good and broken credential files, and files are
//! given where they belong and where they do not. The one exception is the username, in `explain`'s credentials.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use crate::program::program;

const MARKER: &str = "mArKeR7q";

/// Docker configs with the marker in one place each: good ones, those that the kubelet refuses, those that are no JSON.
fn configs() -> Vec<String> {
    let encoded = |text: String| STANDARD.encode(text);
    let entry = |field: &str, value: &str| format!(r#"{{"auths":{{"ghcr.io":{{"{field}":{value}}}}}}}"#);
    let mut configs = vec![
        entry("auth", &format!("\"{}\"", encoded(format!("me:{MARKER}")))),
        entry("auth", &format!("\"{}\"", encoded(MARKER.to_owned()))),
        entry(
            "auth",
            &format!("\"{}\"", STANDARD_NO_PAD.encode(format!("me:{MARKER}?"))),
        ),
        entry("auth", &format!("\"me:{MARKER}\"")),
    ];
    let values = [
        format!("\"{MARKER}\""),
        format!("[\"{MARKER}\"]"),
        format!("{{\"x\":\"{MARKER}\"}}"),
    ];
    let fields = ["password", "email", "auth", "identitytoken", "registrytoken", MARKER];
    for value in &values {
        configs.extend(fields.map(|field| entry(field, value)));
        configs.push(format!(r#"{{"ghcr.io":{{"password":{value}}}}}"#));
        configs.push(format!(r#"{{"auths":{{"ghcr.io":{value}}}}}"#));
        for field in ["auths", "HttpHeaders", "credsStore", "credHelpers", "x"] {
            configs.push(format!(
                r#"{{"{field}":{value},"auths":{{"quay.io":{{"auth":"YTpi"}}}}}}"#
            ));
        }
    }
    for key in [
        "https://me:KEY@ghcr.io",
        "KEY@ghcr.io",
        "https://me:KEY%zz@ghcr.io",
        "ghcr.io?token=KEY",
    ] {
        let key = key.replace("KEY", MARKER);
        configs.push(format!(r#"{{"auths":{{"{key}":{{"username":"me","password":"p"}}}}}}"#));
        configs.push(format!(r#"{{"auths":{{"{key}":{{"auth":5}}}}}}"#));
    }
    let whole = configs.clone();
    configs.extend(whole.iter().step_by(5).map(|config| config.replacen('}', "", 1)));
    configs.push(format!(r#"{{"HttpHeaders":{{"{MARKER}":5}}}}"#));
    configs.push(format!("{MARKER}: [{MARKER}"));
    configs.push(format!("{MARKER}: &{MARKER} !{MARKER} *{MARKER}"));
    configs.push(MARKER.to_owned());
    configs
}

/// Secret manifests with these configs, and ones with the marker where a manifest has more.
fn manifests() -> Vec<String> {
    let secret = |of_type: &str, content: &str| {
        format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\ntype: kubernetes.io/{of_type}\n{content}\n")
    };
    let mut manifests = Vec::new();
    for config in configs() {
        let quoted = serde_json::Value::from(config.as_str());
        manifests.push(secret(
            "dockerconfigjson",
            &format!("stringData: {{.dockerconfigjson: {quoted}}}"),
        ));
        manifests.push(secret("dockercfg", &format!("stringData: {{.dockercfg: {quoted}}}")));
        let data = STANDARD.encode(&config);
        manifests.push(secret(
            "dockerconfigjson",
            &format!("data: {{.dockerconfigjson: {data}}}"),
        ));
        manifests.push(secret(
            "dockerconfigjson",
            &format!("data: {{.dockerconfigjson: {quoted}}}"),
        ));
    }
    for content in [
        format!("data: {MARKER}"),
        format!("data: [{MARKER}]"),
        format!("data: {{{MARKER}: 5}}"),
        format!("data: {{.dockerconfigjson: e30=, {MARKER}: {MARKER}}}"),
        format!("stringData: {{.dockerconfigjson: {{{MARKER}: {MARKER}}}}}"),
        format!("stringData: {{.dockerconfigjson: [{MARKER}"),
        format!("stringData:\n  .dockerconfigjson: {MARKER}\n  .dockerconfigjson: {MARKER}"),
        format!("immutable: {MARKER}\n{MARKER}: {MARKER}\nspec: {{images: [{MARKER}]}}"),
    ] {
        manifests.push(secret("dockerconfigjson", &content));
        manifests.push(secret("tls", &content));
    }
    let applied = "metadata: {name: s, annotations: {kubectl.kubernetes.io/last-applied-configuration: MARKER}}";
    manifests.push(secret("dockerconfigjson", "").replace("metadata: {name: s}", &applied.replace("MARKER", MARKER)));
    let listed = manifests.iter().step_by(9).map(|manifest| {
        let item = manifest.trim_end().replace('\n', "\n  ");
        format!("apiVersion: v1\nkind: List\nitems:\n- {item}\n")
    });
    let listed: Vec<_> = listed.collect();
    manifests.extend(listed);
    manifests
}

/// Everything that the program says about a file of each name that it may have.
fn said(directory: &Path, arguments: &[&str]) -> String {
    let output = program(directory, arguments).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(!said.is_empty());
    String::from_utf8(said).unwrap()
}

/// Forms in which the marker, or what it was hidden in, could come out.
fn assert_hidden(file: &str, said: &str) {
    let forms = [
        MARKER.to_lowercase(),
        STANDARD_NO_PAD.encode(MARKER).to_lowercase(),
        // Behind `me:`, the marker begins in the middle of a group.
        STANDARD_NO_PAD.encode(format!("me:{MARKER}")).to_lowercase(),
    ];
    let lower = said.to_lowercase();
    for form in forms {
        assert!(!lower.contains(&form), "{file}\n\n{said}");
    }
}

#[test]
fn no_credential_is_said_wherever_its_file_is_given() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    fs::write(path.join("rules.yaml"), include_str!("../../config/rules.yaml")).unwrap();
    let good = "explain --rules rules.yaml --credentials FILE ghcr.io/acme/app nginx -o json";
    let lines = [
        good,
        "explain --rules rules.yaml --credentials FILE ghcr.io/acme/app",
        "explain --rules rules.yaml -f FILE",
        "explain --rules FILE nginx",
        "check --rules rules.yaml --credentials FILE",
        "check --rules rules.yaml --credentials FILE -o json",
        "check --rules FILE",
        "check --rules FILE -o json",
        "webhook --rules FILE",
        "webhook --rules rules.yaml --tls-cert FILE --tls-key FILE --listen 127.0.0.1:0 --health-listen none",
    ];
    let files: Vec<_> = [configs(), manifests()].concat();
    assert!(
        files
            .iter()
            .all(|file| file.contains(MARKER) || file.contains("data:") || file.contains("auth"))
    );
    let mut answered = 0;
    for (number, content) in files.iter().enumerate() {
        fs::write(path.join("config.json"), content).unwrap();
        fs::write(path.join("x.dockercfg"), content).unwrap();
        // All wrong places for a few, the right one for each.
        let lines = if number % 6 == 0 { &lines[..] } else { &lines[..1] };
        for line in lines {
            for name in ["config.json", "x.dockercfg"] {
                let line = line.replace("FILE", name);
                let said = said(path, &line.split(' ').collect::<Vec<_>>());
                answered += usize::from(said.contains("\"credentials\""));
                assert_hidden(&format!("$ pullkey {line}\n{content}"), &said);
            }
        }
    }
    assert!(answered > 100 && answered < 2 * files.len() - 20, "{answered} answers");
}

#[test]
fn the_username_is_said_by_explain_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    fs::write(path.join("rules.yaml"), include_str!("../../config/rules.yaml")).unwrap();
    let config = format!(r#"{{"auths":{{"ghcr.io":{{"username":"{MARKER}","password":"p"}}}}}}"#);
    fs::write(path.join("config.json"), config).unwrap();
    let answer = said(
        path,
        &[
            "explain",
            "--rules",
            "rules.yaml",
            "--credentials",
            "config.json",
            "-o",
            "json",
            "ghcr.io/x",
        ],
    );
    assert_eq!(answer.matches(MARKER).count(), 1, "{answer}");
    for line in [
        "check --rules config.json",
        "check --rules rules.yaml --credentials config.json -o json",
        "webhook --rules config.json",
        "explain --rules rules.yaml -f config.json",
    ] {
        assert_hidden(line, &said(path, &line.split(' ').collect::<Vec<_>>()));
    }
}
