//! Rules that change while Pods are created.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{IMAGE, Installation, Load, Setup, connect, get, pod, rules_for_load, until};

/// Waits until every replica has looked at its rules that often since it started, with that result.
async fn reloaded(installation: &Installation, result: &str, times: f64) {
    for replica in &installation.replicas {
        until("the webhook reloads its rules", async || {
            (replica.metric("pullkey_rules_reloads_total", result).await >= times).then_some(())
        })
        .await;
    }
}

/// Waits until each replica answers with that secret: rules that are read are in force a moment later.
async fn in_force(installation: &Installation, secret: &str) {
    let review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "a", "operation": "CREATE", "resource": {"group": "", "version": "v1", "resource": "pods"},
            "namespace": "default", "object": pod(&[IMAGE]),
        },
    })
    .to_string();
    let request = format!(
        "POST /mutate HTTP/1.1\r\nhost: webhook\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{review}",
        review.len()
    );
    for replica in &installation.replicas {
        until("the new rules are in force", async || {
            let mut stream = connect(replica.target.serving, &installation.authority).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer.contains(&format!("\"secrets\":\"{secret}\"")).then_some(())
        })
        .await;
    }
}

async fn two_replicas() -> Installation {
    Installation::start(&Setup {
        rules: &rules_for_load("old"),
        replicas: 2,
        options: &["--failure-policy=Fail"],
        ..Setup::default()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn while_rules_change_each_pod_gets_the_old_answer_or_the_new_one() {
    let mut pullkey = two_replicas().await;
    let load = Load::dry(&pullkey.namespace().await, 4);
    load.reaches(100).await;
    load.next_phase();
    for times in 1..=3 {
        let secret = format!("new-{times}");
        pullkey.set_rules(&rules_for_load(&secret)).await;
        in_force(&pullkey, &secret).await;
    }
    load.next_phase();
    load.reaches(100).await;

    let [before, during, after] = load.stop().await;
    for (what, tally) in [("before the rules change", before), ("while they change", during)] {
        println!("{what}: {tally}");
        let known = ["old", "new-1", "new-2", "new-3"].map(|secret| tally.with(&[secret]));
        assert_eq!(known.iter().sum::<usize>(), tally.all(), "{what}: {tally}");
    }
    after.is_whole("after the rules have changed", "new-3");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_rules_file_leaves_the_old_rules_in_force() {
    let mut pullkey = two_replicas().await;
    let load = Load::dry(&pullkey.namespace().await, 2);
    load.reaches(20).await;
    pullkey
        .set_rules(&rules_for_load("new").replace("images", "imgaes"))
        .await;
    reloaded(&pullkey, "failure", 1.0).await;
    for replica in &pullkey.replicas {
        let (status, report) = get(replica.target.health, "/readyz?verbose").await.unwrap();
        assert_eq!(status, 200, "{report}");
        assert!(
            report.contains("is refused, its last good rules stay in force"),
            "{report}"
        );
        assert!(replica.log().contains("imgaes"), "the log says what is wrong");
    }
    load.next_phase();
    load.reaches(50).await;
    pullkey.set_rules(&rules_for_load("new")).await;
    reloaded(&pullkey, "success", 1.0).await;
    for replica in &pullkey.replicas {
        let (_, report) = get(replica.target.health, "/readyz?verbose").await.unwrap();
        assert!(!report.contains("refused"), "{report}");
    }
    load.next_phase();
    load.reaches(50).await;

    let [_, broken, repaired] = load.stop().await;
    assert_eq!(broken.with(&["old"]) + broken.with(&["new"]), broken.all(), "{broken}");
    assert!(broken.with(&["old"]) >= 50, "{broken}");
    repaired.is_whole("after the repair", "new");
}
