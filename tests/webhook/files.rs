//! How it follows its files: rules and certificates that are edited, swapped, spoiled and repaired.

use std::fs;

use crate::client::post;
use crate::process::{Shelf, Webhook, eventually, review, rule};

/// Waits until Pods with that image get that secret; none if it is empty.
async fn serves(webhook: &Webhook, image: &str, secret: &str) {
    let expected: Vec<_> = [secret].into_iter().filter(|secret| !secret.is_empty()).collect();
    eventually(image, async || webhook.secrets(image).await == expected).await;
}

#[tokio::test]
async fn edits_in_place_are_noticed_without_a_signal() {
    let shelf = Shelf::new();
    let webhook = shelf.start("").await;
    serves(&webhook, "a.example/x", "first-pull").await;
    let renewed = shelf.pair();
    fs::write(shelf.path("tls.crt"), &renewed.certificate).unwrap();
    fs::write(shelf.path("tls.key"), &renewed.key).unwrap();
    fs::write(shelf.path("rules.yaml"), rule("second", "b.example")).unwrap();
    serves(&webhook, "b.example/x", "second-pull").await;
    serves(&webhook, "a.example/x", "").await;
    eventually("the new certificate", async || webhook.shows(&renewed).await).await;
    webhook
        .counts("pullkey_rules_reloads_total{result=\"success\"} 1")
        .await;
    webhook
        .counts("pullkey_certificate_reloads_total{result=\"success\"} 1")
        .await;
}

#[tokio::test]
async fn a_volume_of_rules_is_followed_through_its_links() {
    let shelf = Shelf::new();
    shelf.put("rules/..2026_1/rules.yaml", &rule("first", "a.example"));
    shelf.put("rules/..2026_2/rules.yaml", &rule("second", "b.example"));
    shelf.swap("rules/..data", "..2026_1");
    shelf.swap("rules/rules.yaml", "..data/rules.yaml");
    let line = "--rules rules --tls-cert tls.crt --tls-key tls.key";
    let webhook = Webhook::start(shelf.program(line), &shelf.authority.pair().certificate).await;
    serves(&webhook, "a.example/x", "first-pull").await;
    shelf.swap("rules/..data", "..2026_2");
    webhook.signal("HUP");
    serves(&webhook, "b.example/x", "second-pull").await;
    serves(&webhook, "a.example/x", "").await;
}

#[tokio::test]
async fn bad_edits_keep_the_last_good_rules_and_name_every_mistake() {
    let shelf = Shelf::new();
    shelf.put("other.yaml", &rule("other", "o.example"));
    let webhook = shelf.start("--rules other.yaml").await;
    let docker_config = r#"{"auths":{"ghcr.io":{"auth":"mArKeR7q"}}}"#;
    let edits = [
        (
            rule("a", "b.example:v1") + &rule("B", "c.example").replace("secret", "sekret"),
            vec![
                "a pattern has no tag",
                "no object can have such a name",
                "there is no field `sekret` here",
                "`secret` is missing",
            ],
        ),
        (String::new(), vec!["there is no rule in this file"]),
        ("a: [".to_owned(), vec!["this is no YAML or JSON"]),
        (docker_config.to_owned(), vec!["`kind` is missing"]),
    ];
    for (number, (edit, mistakes)) in (1..).zip(edits) {
        shelf.put("rules.yaml", &edit);
        webhook.signal("HUP");
        webhook
            .counts(&format!("pullkey_rules_reloads_total{{result=\"failure\"}} {number}"))
            .await;
        webhook.counts("pullkey_rules_files_refused 1").await;
        for mistake in mistakes {
            webhook.says(mistake).await;
        }
        serves(&webhook, "a.example/x", "first-pull").await;
        serves(&webhook, "o.example/x", "other-pull").await;
        let ready = webhook.get("/readyz?verbose").await;
        let note = "note: `rules.yaml` is refused, its last good rules stay in force";
        assert!(ready.starts_with("HTTP/1.1 200") && ready.contains(note), "{ready}");
    }

    shelf.put("rules.yaml", &rule("second", "b.example"));
    webhook.signal("HUP");
    serves(&webhook, "b.example/x", "second-pull").await;
    webhook.counts("pullkey_rules_files_refused 0").await;
    assert!(!webhook.get("/readyz?verbose").await.contains("note:"));

    fs::remove_file(shelf.path("rules.yaml")).unwrap();
    webhook.signal("HUP");
    webhook.counts("pullkey_rules_files_refused 1").await;
    serves(&webhook, "b.example/x", "second-pull").await;
    assert!(!webhook.said().contains("mArKeR7q"));
}

#[tokio::test]
async fn a_volume_of_certificates_is_followed_and_a_broken_pair_is_not() {
    let shelf = Shelf::new();
    let pairs = [shelf.pair(), shelf.pair()];
    shelf.put_pair("tls/..2026_1/", &pairs[0]);
    shelf.put_pair("tls/..2026_2/", &pairs[1]);
    shelf.put("tls/..2026_3/tls.crt", &pairs[0].certificate);
    shelf.put("tls/..2026_3/tls.key", &pairs[1].key);
    shelf.swap("tls/..data", "..2026_1");
    shelf.swap("tls/tls.crt", "..data/tls.crt");
    shelf.swap("tls/tls.key", "..data/tls.key");
    let line = "--rules rules.yaml --tls-cert tls/tls.crt --tls-key tls/tls.key";
    let webhook = Webhook::start(shelf.program(line), &shelf.authority.pair().certificate).await;
    let mut old = webhook.connect().await;
    assert!(webhook.shows(&pairs[0]).await);

    shelf.swap("tls/..data", "..2026_2");
    webhook.signal("HUP");
    eventually("the new certificate", async || webhook.shows(&pairs[1]).await).await;
    let body = review("u", "a.example/x");
    old.send(&post(&body)).await;
    assert_eq!(old.response().await.unwrap().status, 200, "old connections go on");

    for (number, broken) in (1..).zip(["..2026_3", "..2026_4"]) {
        shelf.swap("tls/..data", broken);
        webhook.signal("HUP");
        webhook
            .counts(&format!(
                "pullkey_certificate_reloads_total{{result=\"failure\"}} {number}"
            ))
            .await;
        assert!(webhook.shows(&pairs[1]).await);
        webhook.counts("pullkey_certificate_refused 1").await;
    }
    webhook.says("the key does not belong to the certificate").await;
    webhook.says("No such file or directory").await;
    let ready = webhook.get("/readyz?verbose").await;
    let note = "note: the certificate files are refused, and what is served does not change: ";
    assert!(ready.starts_with("HTTP/1.1 200") && ready.contains(note), "{ready}");

    shelf.swap("tls/..data", "..2026_1");
    webhook.signal("HUP");
    eventually("the good certificate", async || webhook.shows(&pairs[0]).await).await;
    webhook.counts("pullkey_certificate_refused 0").await;
    assert!(!webhook.get("/readyz?verbose").await.contains("note:"));
}

#[tokio::test]
async fn nothing_of_a_call_is_logged_but_its_names() {
    let shelf = Shelf::new();
    let webhook = shelf.start("--log-level trace").await;
    let body = review("u", "a.example/x").replace(
        "\"spec\"",
        r#""metadata":{"annotations":{"mArKeR7q":"mArKeR7q"}},"mArKeR7q":{"mArKeR7q":["mArKeR7q"]},"spec""#,
    );
    assert!(body.contains("mArKeR7q"));
    for body in [
        &body,
        &body.replace("containers", "mArKeR7q"),
        &body.replace("[{", "[mArKeR7q{"),
    ] {
        let mut client = webhook.connect().await;
        let head =
            "POST /mutate?timeout=10s&token=mArKeR7q HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
        let head = format!(
            "{head}authorization: Bearer mArKeR7q\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        client.send(&(head + body)).await;
        assert!([200, 400].contains(&client.response().await.unwrap().status));
    }
    webhook.signal("TERM");
    webhook.says("SIGTERM").await;
    assert!(!webhook.said().contains("mArKeR7q"), "{}", webhook.said());
    assert!(!webhook.get("/metrics").await.contains("mArKeR7q"));
}
