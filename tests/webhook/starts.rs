//! How it starts: what it needs, what it makes, what it says, and every option.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::Value;

use crate::client::post_head;
use crate::process::{Shelf, Webhook, added, eventually, review, rule, text};
use crate::program::program;

#[tokio::test]
async fn without_options_it_serves_and_says_how_to_try() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    fs::create_dir(path.join("config")).unwrap();
    fs::write(path.join("config/rules.yaml"), include_str!("../../config/rules.yaml")).unwrap();
    let bare = || {
        let mut bare = program(path, &["webhook"]);
        bare.env("PULLKEY_LISTEN", "127.0.0.1:0")
            .env("PULLKEY_HEALTH_LISTEN", "127.0.0.1:0");
        bare
    };
    // The authority is made by the program itself, so it is not known before.
    let first = Webhook::start(bare(), &Shelf::new().authority.pair().certificate).await;
    let made = ["ca.crt", "ca.key", "tls.crt", "tls.key"].map(|name| path.join("certs").join(name));
    let contents = made.each_ref().map(|file| text(file));
    for key in [&made[1], &made[3]] {
        assert_eq!(fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
    }
    drop(first);

    let webhook = Webhook::start(bare(), &contents[0]).await;
    assert_eq!(made.each_ref().map(|file| text(file)), contents, "made once");
    webhook.says("curl ").await;
    let said = webhook.said();
    for line in [
        "5 rules in force from config/rules.yaml",
        "  acme-ghcr: ghcr.io/acme gets ghcr-acme",
        "  acme-quay: quay.io/acme gets quay-acme (Shadow)",
        "  team-a/team-harbor: harbor.team-a.example:8443 gets harbor-pull",
    ] {
        assert!(said.lines().any(|told| told == line), "{line} in {said}");
    }
    assert!(webhook.get("/readyz").await.ends_with("\r\nok"));

    let command = said.lines().find(|line| line.starts_with("curl ")).unwrap();
    let body = command.split('\'').nth(3).unwrap();
    let answer = webhook.review(body).await;
    assert_eq!(
        (answer.status, added(&answer.body)),
        (200, vec!["ghcr-acme".to_owned()])
    );
    if Command::new("curl").arg("--version").output().is_ok() {
        let pasted = Command::new("sh")
            .args(["-c", command])
            .current_dir(path)
            .output()
            .unwrap();
        assert_eq!(
            String::from_utf8(pasted.stdout).unwrap().trim_end(),
            answer.body,
            "{command}"
        );
    }
}

#[tokio::test]
async fn who_awaits_a_certificate_is_ready_once_there_is_one() {
    let shelf = Shelf::new();
    let line = "--rules rules.yaml --tls-cert late/tls.crt --tls-key late/tls.key --await-certificate";
    fs::create_dir(shelf.path("late")).unwrap();
    let webhook = Webhook::start(shelf.program(line), &shelf.authority.pair().certificate).await;
    webhook.says("cannot read `late/tls.crt`").await;
    assert!(
        webhook
            .get("/readyz?verbose")
            .await
            .contains("[-]certificate failed: no certificate has been loaded yet")
    );
    let pair = shelf.pair();
    shelf.put("late/tls.crt", "damaged");
    shelf.put("late/tls.key", &pair.key);
    webhook.signal("HUP");
    webhook.says("the certificate file holds no PEM certificate").await;
    shelf.put_pair("late/", &pair);
    webhook.signal("HUP");
    eventually("it is ready", async || webhook.get("/readyz").await.ends_with("\r\nok")).await;
    assert!(webhook.shows(&pair).await);
}

#[tokio::test]
async fn a_pair_without_its_authority_serves_from_the_development_directory() {
    let shelf = Shelf::new();
    let pair = shelf.pair();
    shelf.put_pair("certs/", &pair);
    let webhook = Webhook::start(shelf.program("--rules rules.yaml"), &shelf.authority.pair().certificate).await;
    assert!(webhook.shows(&pair).await);
    webhook.says("curl --silent --insecure ").await;
    assert_eq!(fs::read_dir(shelf.path("certs")).unwrap().count(), 2);
}

#[tokio::test]
async fn good_files_serve_beside_bad_ones_that_are_named() {
    let shelf = Shelf::new();
    shelf.put("d/1.yaml", &rule("one", "b.example"));
    shelf.put(
        "d/2.yaml",
        &rule("two", "c.example:v1").replace("namespaces", "namespace"),
    );
    let webhook = shelf.start("--rules d").await;
    assert_eq!(webhook.secrets("b.example/x").await, ["one-pull"]);
    for (what, why) in [
        ("at=\"4:17\"", "a pattern has no tag"),
        ("field=\"spec.namespace\"", "there is no field `namespace` here"),
        ("field=\"spec.namespaces\"", "`namespaces` is missing"),
    ] {
        let said = webhook.said();
        assert!(
            said.lines()
                .any(|line| line.contains("ERROR") && line.contains(what) && line.contains(why)),
            "{why} in {said}"
        );
    }
    webhook.says("`d/2.yaml` is refused, and has never been good").await;
    let ready = webhook.get("/readyz?verbose").await;
    assert!(
        ready.starts_with("HTTP/1.1 200") && ready.contains("note: `d/2.yaml` is refused"),
        "{ready}"
    );
    webhook.counts("pullkey_rules_files_refused 1").await;
    webhook.counts("pullkey_rules 2").await;
}

#[tokio::test]
async fn the_log_for_programs_is_json() {
    let shelf = Shelf::new();
    let webhook = shelf.start("--log-format json --log-level debug").await;
    assert_eq!(webhook.secrets("a.example/x").await, ["first-pull"]);
    assert_eq!(webhook.secrets("b.example/x").await, [""; 0]);
    webhook.says("no_rule").await;
    let said = webhook.said();
    let events: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let event = |message: &str| {
        let found = events
            .iter()
            .find(|event| event["fields"]["message"].as_str().unwrap().starts_with(message));
        found.unwrap_or_else(|| panic!("{message} in {said}"))
    };
    assert!(
        events
            .iter()
            .all(|event| event["level"].is_string() && event["timestamp"].is_string())
    );
    assert_eq!(event("serving")["fields"]["rules"], 1);
    assert_eq!(event("injected")["level"], "DEBUG");
    let fields = &event("injected")["fields"];
    let expected = [("uid", "u"), ("namespace", "team-a"), ("secrets", "first-pull")];
    for (field, expected) in expected {
        assert_eq!(fields[field], expected, "{fields}");
    }
    assert_eq!(event("skipped")["fields"]["code"], "no_rule");
    let decisions = events.iter().filter(|event| event["level"] == "DEBUG");
    let decisions = decisions.filter(|event| event["fields"]["uid"] == "u");
    assert_eq!(decisions.count(), 2, "one line each: {said}");
}

#[tokio::test]
async fn variables_stand_in_for_options() {
    let shelf = Shelf::new();
    shelf.put("more.yaml", &rule("more", "b.example"));
    let mut bare = program(&shelf.path(""), &["webhook"]);
    bare.envs([
        ("PULLKEY_RULES", "rules.yaml:more.yaml"),
        ("PULLKEY_OWN_NAMESPACE", "team-a"),
        ("PULLKEY_LISTEN", "127.0.0.1:0"),
        ("PULLKEY_HEALTH_LISTEN", "127.0.0.1:0"),
        ("PULLKEY_TLS_CERT", "tls.crt"),
        ("PULLKEY_TLS_KEY", "tls.key"),
        ("PULLKEY_DRAIN_GRACE", "1h1m"),
        ("PULLKEY_MAX_CONNECTIONS", "2"),
        ("PULLKEY_MAX_IN_FLIGHT", "1"),
        ("PULLKEY_LOG_FORMAT", "json"),
        ("PULLKEY_LOG_LEVEL", "debug"),
    ]);
    let webhook = Webhook::start(bare, &shelf.authority.pair().certificate).await;
    webhook.says("\"serving\"").await;
    webhook.counts("pullkey_rules 2").await;
    assert_eq!(
        webhook.secrets("b.example/x").await,
        [""; 0],
        "its own namespace gets nothing"
    );
    webhook.says("\"DEBUG\"").await;
    webhook.counts("pullkey_connections 0").await;

    // Half of two connections is one for each address.
    let mut first = webhook.connect().await;
    let body = review("u", "nginx");
    first.send(&post_head("30s", body.len())).await;
    webhook.counts("pullkey_requests_in_flight 1").await;
    let second = tokio::net::TcpStream::connect(webhook.address()).await.unwrap();
    webhook
        .counts("pullkey_connections_closed_total{reason=\"peer_limit\"} 1")
        .await;
    drop(second);
    first.send(&body).await;
    assert_eq!(first.response().await.unwrap().status, 200);
    drop(first);
    webhook.counts("pullkey_connections 0").await;

    webhook.signal("TERM");
    webhook.says("for another 3660s").await;
}

#[tokio::test]
async fn calls_above_the_limit_are_told_to_come_again() {
    let shelf = Shelf::new();
    let webhook = shelf.start("--max-in-flight 1").await;
    let mut first = webhook.connect().await;
    let body = review("first", "nginx");
    first.send(&post_head("30s", body.len())).await;
    webhook.counts("pullkey_requests_in_flight 1").await;
    let refused = webhook.review(&body).await;
    assert_eq!(refused.status, 503);
    assert!(refused.head.contains("\r\nretry-after: 1\r\n"), "{}", refused.head);
    first.send(&body).await;
    assert_eq!(first.response().await.unwrap().status, 200);
}

#[tokio::test]
async fn health_can_be_turned_off() {
    let shelf = Shelf::new();
    let webhook = shelf.start("--health-listen none").await;
    assert!(!webhook.has_health(), "{}", webhook.said());
    assert_eq!(webhook.secrets("a.example/x").await, ["first-pull"]);
}

#[tokio::test]
async fn callers_without_a_certificate_are_refused_where_one_is_required() {
    let shelf = Shelf::new();
    // A pair for servers is none for callers, so these are made by hand.
    let (known, identity) = caller();
    let (_, stranger) = caller();
    shelf.put("callers.pem", &known);
    let mut program = shelf.program("--rules rules.yaml --tls-cert tls.crt --tls-key tls.key");
    program.env("PULLKEY_CLIENT_CA", "callers.pem");
    let webhook = Webhook::start(program, &shelf.authority.pair().certificate).await;
    let body = review("u", "a.example/x");
    for identity in [None, Some(stranger)] {
        // In TLS 1.3 the caller is done first and hears of the refusal where it reads.
        let mut client = webhook.connect_as(identity).await;
        client.closed().await;
    }
    webhook
        .counts("pullkey_connections_closed_total{reason=\"handshake\"} 2")
        .await;
    let mut client = webhook.connect_as(Some(identity)).await;
    client.send(&(post_head("10s", body.len()) + &body)).await;
    assert_eq!(added(&client.response().await.unwrap().body), ["first-pull"]);
}

/// A CA as PEM, and a caller's certificate signed by it.
fn caller() -> (String, crate::client::Pair) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new([]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).unwrap().pem();
    let issuer = rcgen::Issuer::new(params, key);
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(["caller.example".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap().der().clone();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    (authority, (vec![certificate], key))
}
