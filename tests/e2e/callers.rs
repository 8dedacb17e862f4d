//! Who may call: with `--client-ca`, the API server alone, by the certificate that its admission configuration names.

use std::fs;
use std::time::SystemTime;

use pullkey::certs::make::Authority;

use crate::harness::{Installation, Setup, control_plane, pod, rule, until};

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_shows_its_certificate() {
    let authority = control_plane().webhook_client_authority();
    let pullkey = Installation::start(&Setup {
        rules: &rule("a", "a.example"),
        arguments: &[&format!("--client-ca={}", authority.display())],
        ..Setup::default()
    })
    .await;
    let namespace = pullkey.namespace().await;
    namespace
        .mutates("a caller with a certificate", &pod(&["a.example/app"]), &["a-pull"])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_another_authority_is_refused_and_pods_go_on() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let stranger = Authority::new(SystemTime::now()).unwrap();
    fs::write(file.path(), &stranger.pair().certificate).unwrap();
    let mut pullkey = Installation::prepare(&Setup {
        rules: &rule("a", "a.example"),
        ..Setup::default()
    })
    .await;
    pullkey
        .add_replica(&[&format!("--client-ca={}", file.path().display())])
        .await;
    pullkey.configure().await;
    let namespace = pullkey.namespace().await;
    until("a handshake is refused", async || {
        namespace
            .leaves_alone("a caller without access", &pod(&["a.example/app"]))
            .await;
        let refused = pullkey.replicas[0]
            .metric("pullkey_connections_closed_total", "handshake")
            .await;
        (refused > 0.0).then_some(())
    })
    .await;
    assert!(pullkey.calls().await == 0.0);
}
