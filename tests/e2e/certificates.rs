//! Certificates that change while Pods are created.

use std::sync::Arc;
use std::time::SystemTime;

use pullkey::certs::make::Authority;

use crate::harness::{Installation, Load, Setup, rules_for_load, served_certificate, until};

async fn two_replicas() -> Installation {
    Installation::start(&Setup {
        rules: &rules_for_load("load"),
        replicas: 2,
        options: &["--failure-policy=Fail"],
        ..Setup::default()
    })
    .await
}

/// Waits until every replica has looked at its certificate that often since it started, with that result.
async fn reloaded(pullkey: &Installation, result: &str, times: f64) {
    for replica in &pullkey.replicas {
        until("the webhook reloads its certificate", async || {
            (replica.metric("pullkey_certificate_reloads_total", result).await >= times).then_some(())
        })
        .await;
    }
}

/// The certificate of each replica, which must be one of that authority.
async fn served(pullkey: &Installation, authority: &Authority) -> Vec<Vec<u8>> {
    let mut served = Vec::new();
    for replica in &pullkey.replicas {
        let certificate = served_certificate(replica.target.serving, authority).await.unwrap();
        served.push(certificate.to_vec());
    }
    served
}

/// Has the API server open connections of its own for that authority: it keeps them apart by the text of the bundle.
async fn connect_anew(pullkey: &mut Installation, authority: &Authority) {
    pullkey.set_ca_bundle(&[authority, authority]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_replaced_without_a_lost_call() {
    let mut pullkey = two_replicas().await;
    let authority = Arc::clone(&pullkey.authority);
    let load = Load::dry(&pullkey.namespace().await, 4);
    load.reaches(50).await;
    let first = served(&pullkey, &authority).await;

    load.next_phase();
    pullkey.set_certificate(&authority).await;
    reloaded(&pullkey, "success", 1.0).await;
    let second = served(&pullkey, &authority).await;
    assert!(first.iter().all(|certificate| !second.contains(certificate)));
    connect_anew(&mut pullkey, &authority).await;
    load.reaches(100).await;

    load.next_phase();
    pullkey.break_certificate().await;
    reloaded(&pullkey, "failure", 1.0).await;
    assert_eq!(
        served(&pullkey, &authority).await,
        second,
        "a pair that does not fit is refused"
    );
    pullkey.set_ca_bundle(&[&authority]).await;
    load.reaches(100).await;

    let [before, replaced, broken] = load.stop().await;
    before.is_whole("before the certificate is replaced", "load");
    replaced.is_whole("while the certificate is replaced", "load");
    broken.is_whole("while the new certificate is broken", "load");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_is_replaced_without_a_lost_call() {
    let mut pullkey = two_replicas().await;
    let next = Authority::new(SystemTime::now()).unwrap();
    let current = Arc::clone(&pullkey.authority);
    let load = Load::dry(&pullkey.namespace().await, 4);
    load.reaches(50).await;

    load.next_phase();
    pullkey.set_ca_bundle(&[&current, &next]).await;
    load.reaches(50).await;
    load.next_phase();
    pullkey.set_certificate(&next).await;
    reloaded(&pullkey, "success", 1.0).await;
    served(&pullkey, &next).await;
    load.reaches(50).await;
    load.next_phase();
    pullkey.set_ca_bundle(&[&next]).await;
    load.reaches(50).await;

    let [before, both, leaf, after] = load.stop().await;
    before.is_whole("before the authority is replaced", "load");
    both.is_whole("while both authorities are registered", "load");
    leaf.is_whole("while certificates of the next one appear", "load");
    after.is_whole("while the old one goes", "load");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_an_authority_that_is_not_registered_fails_new_connections() {
    let mut pullkey = two_replicas().await;
    let next = Authority::new(SystemTime::now()).unwrap();
    let current = Arc::clone(&pullkey.authority);
    let load = Load::dry(&pullkey.namespace().await, 2);
    load.reaches(20).await;

    pullkey.set_certificate(&next).await;
    reloaded(&pullkey, "success", 1.0).await;
    connect_anew(&mut pullkey, &current).await;
    load.next_phase();
    load.reaches(20).await;
    load.next_phase();
    pullkey.set_ca_bundle(&[&current, &next]).await;
    load.next_phase();
    load.reaches(50).await;

    let [_, failed, _, repaired] = load.stop().await;
    println!("on new connections: {failed}");
    assert_eq!(failed.failed.len(), failed.all(), "{failed}");
    let is_honest = |reason: &String| reason.contains("certificate signed by unknown authority");
    assert!(failed.failed.iter().all(is_honest), "{failed}");
    repaired.is_whole("with both authorities registered", "load");
}
