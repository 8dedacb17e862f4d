//! Which certificates are shown and asked for.

use crate::client::{CALLER, Client, post};
use crate::harness::{Authority, Harness, server_config};
use crate::stub::{review, uid_of};
use pullkey::server::Settings;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;

#[tokio::test]
async fn new_connections_see_a_new_certificate_while_old_ones_go_on() {
    let server = Harness::start(Settings::default()).await;
    let shown = |client: &Client| client.stream.get_ref().1.peer_certificates().unwrap()[0].clone();
    let mut old = server.connect().await;
    old.review("before").await;

    let pair = server.authority.issue();
    let renewed = pair.0[0].clone();
    assert_ne!(shown(&old), renewed);
    server.tls.store(Arc::new(server_config(pair, None)));

    let mut new = server.connect().await;
    assert_eq!(shown(&new), renewed);
    assert_eq!(new.review("new").await.status, 200);
    assert_eq!(uid_of(&old.review("after").await.body), "after");
}

#[tokio::test]
async fn callers_without_a_certificate_are_refused_where_one_is_required() {
    let server = Harness::start_with_client_certificates(Settings::default()).await;
    let identity = server.authority.issue();
    let mut client = Client::new(server.tls(&["http/1.1"], CALLER, Some(identity)).await);
    assert_eq!(client.review("known").await.status, 200);

    let strangers = [None, Some(Authority::new().issue())];
    for identity in strangers {
        // In TLS 1.3 the caller is done first and hears of the refusal where it reads.
        let mut client = Client::new(server.tls(&["http/1.1"], CALLER, identity).await);
        let _ = client.stream.write_all(post(&review("stranger")).as_bytes()).await;
        assert!(client.response().await.is_none());
    }
    server
        .told("pullkey_connections_closed_total{reason=\"handshake\"} 2")
        .await;
    server.told("pullkey_requests_total{code=\"200\"} 1").await;
}
