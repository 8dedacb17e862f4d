//! Who gets a connection, and who an answer, when there is not enough for all.

use crate::client::{CALLER, Client, PATIENCE, closed, dial, handshake, loopback, post_head};
use crate::harness::Harness;
use crate::stub::{review, uid_of};
use pullkey::server::{Server, Settings};
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use tokio::net::TcpStream;
use tokio::time::timeout;

fn at_most(max_connections: usize) -> Settings {
    Settings {
        max_connections,
        ..Settings::default()
    }
}

#[tokio::test]
async fn at_the_connection_limit_none_is_accepted_until_one_goes() {
    let server = Harness::start(at_most(4)).await;
    let mut open = Vec::new();
    for number in [1, 1, 2, 2] {
        let mut client = server.connect_from(loopback(number)).await;
        client.review("proves itself").await;
        open.push(client);
    }
    let waiting = dial(server.address, loopback(3)).await.unwrap();
    let mut waiting = pin!(handshake(&server, &["http/1.1"], waiting, None));
    let is_waiting = poll_fn(|context| Poll::Ready(waiting.as_mut().poll(context).is_pending())).await;
    assert!(is_waiting);
    open[0].review("the accept loop has had its turn").await;
    let is_waiting = poll_fn(|context| Poll::Ready(waiting.as_mut().poll(context).is_pending())).await;
    assert!(is_waiting, "its handshake is not answered");
    server.told("pullkey_connections 4").await;

    open.pop();
    let stream = timeout(PATIENCE, waiting).await.expect("accepted in the end").unwrap();
    assert_eq!(Client::new(stream).review("served").await.status, 200);
}

#[tokio::test]
async fn connections_without_a_request_cannot_keep_a_caller_out() {
    let server = Harness::start(at_most(8)).await;
    let mut idlers: Vec<TcpStream> = Vec::new();
    for number in 2..=5 {
        idlers.push(server.tcp(loopback(number)).await);
        server.told(&format!("pullkey_connections {}", idlers.len())).await;
    }
    let mut caller = server.connect().await;
    assert_eq!(caller.review("gets in").await.status, 200);
    closed(&mut idlers[0]).await;
    server
        .told("pullkey_connections_closed_total{reason=\"evicted\"} 1")
        .await;
    server.told("pullkey_connections 4").await;

    for number in 10..30 {
        idlers.push(server.tcp(loopback(number)).await);
    }
    server
        .told("pullkey_connections_closed_total{reason=\"evicted\"} 20")
        .await;
    assert_eq!(caller.review("is never evicted").await.status, 200);
}

#[tokio::test]
async fn a_connection_is_evicted_within_its_handshake_and_after_it() {
    let server = Harness::start(at_most(2)).await;
    let mut silent_after_handshake = server.connect_from(loopback(2)).await;
    let mut silent = server.tcp(loopback(3)).await;
    silent_after_handshake.closed().await;
    let mut caller = server.connect().await;
    closed(&mut silent).await;
    assert_eq!(caller.review("gets in").await.status, 200);
}

#[tokio::test]
async fn one_address_cannot_keep_the_others_out() {
    let server = Harness::start(at_most(8)).await;
    let mut greedy = Vec::new();
    for _ in 0..4 {
        let mut client = server.connect_from(loopback(2)).await;
        client.review("proves itself").await;
        greedy.push(client);
    }
    closed(&mut server.tcp(loopback(2)).await).await;
    server
        .told("pullkey_connections_closed_total{reason=\"peer_limit\"} 1")
        .await;
    assert_eq!(server.connect().await.review("another address").await.status, 200);

    greedy.pop();
    server.told("pullkey_connections 3").await;
    let mut back = server.connect_from(loopback(2)).await;
    assert_eq!(back.review("within its share again").await.status, 200);
}

#[tokio::test]
async fn above_the_in_flight_limit_503_comes_at_once() {
    let server = Harness::start(Settings {
        max_in_flight: 1,
        ..Settings::default()
    })
    .await;
    let mut first = server.connect().await;
    let body = review("first");
    first.send(&post_head("30s", body.len())).await;
    server.told("pullkey_requests_in_flight 1").await;

    let mut second = server.connect().await;
    let answer = second.review("second").await;
    assert_eq!(answer.status, 503);
    assert!(answer.head.contains("\r\nretry-after: 1\r\n"));

    first.send(&body).await;
    assert_eq!(uid_of(&first.response().await.unwrap().body), "first");
    assert_eq!(second.review("again").await.status, 200, "on the same connection");
}

#[tokio::test]
async fn closed_connections_leave_nothing() {
    let mut server = Harness::start(Settings {
        drain_grace: std::time::Duration::ZERO,
        ..at_most(64)
    })
    .await;
    for round in 0..5 {
        let mut open = Vec::new();
        for _ in 0..20 {
            open.push(server.tcp(CALLER).await);
        }
        server.connect().await.review("in between").await;
        server.connect_http2(CALLER).await.review("in between").await;
        server
            .told(&format!("pullkey_requests_total{{code=\"200\"}} {}", 2 * (round + 1)))
            .await;
        drop(open);
        server.told("pullkey_connections 0").await;
    }
    server.signal();
    server.ended().await;
}

#[tokio::test]
async fn an_address_in_use_is_named_when_the_server_starts() {
    let taken = Harness::start(Settings::default()).await;
    let server = Server::new(
        Settings::default(),
        taken.tls.clone(),
        std::sync::Arc::new(crate::stub::Stub),
        taken.metrics.clone(),
        taken.readiness.clone(),
    );
    let Err(error) = server.bind(taken.address).await else {
        panic!("the address is taken");
    };
    assert_eq!(error.to_string(), format!("could not listen on `{}`", taken.address));
    assert_eq!(
        error.hint(),
        Some("another program listens there: end it, or choose another port")
    );
}
