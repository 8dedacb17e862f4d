//! What is cut when, with the deadlines scaled down. That something is *not* cut is shown by something else that was
//! begun later and is.

use crate::client::{CALLER, closed, post_head};
use crate::harness::Harness;
use crate::stub::{review, uid_of};
use pullkey::server::Settings;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::interval;

#[tokio::test]
async fn a_slow_handshake_is_cut() {
    let server = Harness::start(Settings {
        first_request: Duration::from_millis(200),
        ..Settings::default()
    })
    .await;
    let mut silent = server.tcp(CALLER).await;
    let mut stuck = server.tcp(CALLER).await;
    // The head of a record that announces more than ever comes.
    stuck.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01]).await.unwrap();
    closed(&mut silent).await;
    closed(&mut stuck).await;
    server
        .told("pullkey_connections_closed_total{reason=\"no_request\"} 2")
        .await;
    server.told("pullkey_connections 0").await;
}

#[tokio::test]
async fn a_slow_first_head_is_cut_however_steadily_it_drips() {
    let server = Harness::start(Settings {
        first_request: Duration::from_secs(1),
        ..Settings::default()
    })
    .await;
    let mut silent = server.connect().await;
    let mut stuck = server.connect().await;
    stuck.send("POST /mutate HTT").await;
    let (mut reading, mut writing) = tokio::io::split(server.connect().await.stream);
    let drip = tokio::spawn(async move {
        let mut pace = interval(Duration::from_millis(10));
        while writing.write_all(b"x").await.is_ok() && writing.flush().await.is_ok() {
            pace.tick().await;
        }
    });
    let mut silent_http2 = server.connect_http2(CALLER).await;

    silent.closed().await;
    stuck.closed().await;
    closed(&mut reading).await;
    drip.abort();
    while silent_http2.frame().await.is_some() {}
    server
        .told("pullkey_connections_closed_total{reason=\"no_request\"} 4")
        .await;
}

#[tokio::test]
async fn an_idle_connection_lives_much_longer_than_a_first_head_may_take() {
    let server = Harness::start(Settings {
        first_request: Duration::from_secs(1),
        ..Settings::default()
    })
    .await;
    let mut idle = server.connect().await;
    idle.review("before").await;
    let mut idle_http2 = server.connect_http2(CALLER).await;
    idle_http2.review("before").await;
    for _ in 0..2 {
        closed(&mut server.tcp(CALLER).await).await;
    }
    assert_eq!(uid_of(&idle.review("after").await.body), "after");
    assert_eq!(uid_of(&idle_http2.review("after").await), "after");
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_the_end_with_a_goodbye() {
    let server = Harness::start(Settings {
        idle: Duration::from_millis(300),
        ..Settings::default()
    })
    .await;
    let mut idle = server.connect().await;
    idle.review("once").await;
    let mut idle_http2 = server.connect_http2(CALLER).await;
    idle_http2.review("once").await;

    let mut rest = Vec::new();
    assert_eq!(
        idle.stream.read_to_end(&mut rest).await.unwrap(),
        0,
        "TLS is closed in due form"
    );
    while idle_http2.frame().await.is_some() {}
    server.told("pullkey_connections_closed_total{reason=\"idle\"} 2").await;
    server.told("pullkey_connections 0").await;
}

#[tokio::test]
async fn a_request_in_flight_is_not_idle() {
    let server = Harness::start(Settings {
        idle: Duration::from_millis(200),
        ..Settings::default()
    })
    .await;
    let mut busy = server.connect().await;
    let body = review("busy");
    busy.send(&post_head("30s", body.len())).await;
    server.told("pullkey_requests_in_flight 1").await;
    let mut idle = server.connect().await;
    idle.review("idle").await;
    idle.closed().await;
    busy.send(&body).await;
    assert_eq!(uid_of(&busy.response().await.unwrap().body), "busy");
}

#[tokio::test]
async fn a_slow_body_gets_504_and_is_closed() {
    let server = Harness::start(Settings::default()).await;
    let mut client = server.connect().await;
    client.send(&(post_head("200ms", 100) + "{")).await;
    let answer = client.response().await.unwrap();
    assert_eq!(answer.status, 504);
    assert_eq!(answer.body, "the body was not there in time");
    assert!(answer.closes());
    client.closed().await;
    server.told("pullkey_requests_total{code=\"504\"} 1").await;
}
