//! What is spoken on a connection, and what is not.

use crate::client::{CALLER, Client, closed, dial, post, post_head};
use crate::harness::Harness;
use crate::stub::{review, uid_of};
use pullkey::health;
use pullkey::metrics::Metrics;
use pullkey::readiness::Readiness;
use pullkey::server::{PATH, Settings};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn http_1_is_served_with_its_alpn_and_without_any() {
    let server = Harness::start(Settings::default()).await;
    for (alpn, chosen) in [(&["http/1.1"][..], Some(&b"http/1.1"[..])), (&[], None)] {
        let stream = server.tls(alpn, CALLER, None).await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), chosen);
        let mut client = Client::new(stream);
        for uid in ["first", "second", "third"] {
            let answer = client.review(uid).await;
            assert_eq!(
                (answer.status, uid_of(&answer.body)),
                (200, uid.to_owned()),
                "on one connection"
            );
            assert!(answer.head.contains("\r\ncontent-type: application/json\r\n"));
            assert!(!answer.closes());
        }
    }
}

#[tokio::test]
async fn http_2_is_served_to_those_who_offer_it() {
    let server = Harness::start(Settings::default()).await;
    let mut client = server.connect_http2(CALLER).await;
    for uid in ["first", "second"] {
        assert_eq!(uid_of(&client.review(uid).await), uid);
    }
    drop(client);
    server.told("pullkey_connections 0").await;
}

#[tokio::test]
async fn requests_in_flight_end_with_their_http_2_connection() {
    let server = Harness::start(Settings::default()).await;
    let mut client = server.connect_http2(CALLER).await;
    client.begin(100).await;
    client.begin(100).await;
    server.told("pullkey_requests_in_flight 2").await;
    drop(client);
    server.told("pullkey_requests_in_flight 0").await;
    server.told("pullkey_connections 0").await;
}

#[tokio::test]
async fn garbage_costs_its_sender_the_connection_and_nobody_else() {
    let server = Harness::start(Settings::default()).await;
    let mut bystander = server.connect().await;
    bystander.review("before").await;
    for garbage in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0; 512],
        &[0xff; 512],
        b"\x16\x03\x01\x00\x05hello",
    ] {
        let mut stream = server.tcp(CALLER).await;
        stream.write_all(garbage).await.unwrap();
        closed(&mut stream).await;
    }
    server
        .told("pullkey_connections_closed_total{reason=\"handshake\"} 4")
        .await;

    for garbage in [
        "\0\0\0\r\n\r\n",
        "POST /mutate HTTP/9.9\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\ngarbage-garbage",
    ] {
        let mut client = server.connect().await;
        client.send(garbage).await;
        client.closed().await;
    }
    let mut client = server.connect().await;
    client
        .send(&format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(70_000)))
        .await;
    assert_eq!(client.response().await.unwrap().status, 431, "a head beyond its limit");

    assert_eq!(uid_of(&bystander.review("after").await.body), "after");
}

#[tokio::test]
async fn a_refusal_leaves_the_connection_usable() {
    let server = Harness::start(Settings::default()).await;
    let mut client = server.connect().await;
    let deep = "[".repeat(100_000);
    for (request, status) in [
        (format!("GET {PATH} HTTP/1.1\r\nhost: x\r\n\r\n"), 405),
        ("GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), 404),
        (post("{}"), 400),
        (post(&deep), 400),
        (post(&review("uid-1")).replace("application/json", "text/plain"), 415),
        (post(&review("uid-1")), 200),
    ] {
        client.send(&request).await;
        let answer = client.response().await.expect("the connection is still open");
        assert_eq!(answer.status, status);
        assert!(!answer.closes());
    }
}

#[tokio::test]
async fn an_oversize_body_gets_its_answer() {
    let limit = Settings::default().body_limit;
    let server = Harness::start(Settings::default()).await;
    let mut client = server.connect().await;
    client.send(&post(&" ".repeat(limit + 1))).await;
    let answer = client.response().await.unwrap();
    assert_eq!(answer.status, 413);
    assert_eq!(
        client.review("next").await.status,
        200,
        "the connection can still be used"
    );

    client
        .send(
            "POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
        )
        .await;
    let chunk = format!("100000\r\n{}\r\n", " ".repeat(1 << 20));
    for _ in 0..9 {
        client.send(&chunk).await;
    }
    client.send("0\r\n\r\n").await;
    assert_eq!(client.response().await.unwrap().status, 413, "in chunks");
    assert_eq!(client.review("next").await.status, 200);
}

#[tokio::test]
async fn a_review_in_chunks_is_read() {
    let server = Harness::start(Settings::default()).await;
    let mut client = server.connect().await;
    let body = review("chunks");
    let (first, second) = body.split_at(7);
    client
        .send(&format!(
            "POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n\
             {:x}\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n",
            first.len(),
            second.len()
        ))
        .await;
    assert_eq!(uid_of(&client.response().await.unwrap().body), "chunks");
}

#[tokio::test]
async fn a_panic_costs_one_request_and_not_even_its_connection() {
    let server = Harness::start(Settings::default()).await;
    let mut client = server.connect().await;
    let answer = client.review("panic").await;
    assert_eq!((answer.status, uid_of(&answer.body)), (200, "panic".to_owned()));
    assert!(answer.body.contains("\"allowed\":true"));
    assert_eq!(uid_of(&client.review("next").await.body), "next");
    server.told("pullkey_panics_total{stage=\"admit\"} 1").await;
}

#[tokio::test]
async fn a_panic_elsewhere_costs_its_connection_and_nobody_else() {
    let server = Harness::start(Settings::default()).await;
    let mut bystander = server.connect().await;
    bystander.review("before").await;
    let mut client = server.connect().await;
    client.send(&post(&review("panic twice"))).await;
    assert!(client.response().await.is_none());
    server.told("pullkey_panics_total{stage=\"connection\"} 1").await;
    server.told("pullkey_requests_in_flight 0").await;
    server.told("pullkey_connections 1").await;
    assert_eq!(uid_of(&bystander.review("after").await.body), "after");
}

#[tokio::test]
async fn the_health_port_answers_without_tls() {
    let readiness = Arc::new(Readiness::default());
    let bound = health::server(readiness, Arc::new(Metrics::new([])), axum::Router::new())
        .bind(([127, 0, 0, 1], 0).into())
        .await
        .unwrap();
    let address = bound.local_addr();
    let serving = tokio::spawn(bound.serve(std::future::pending()));
    let mut stream = dial(address, CALLER).await.unwrap();
    for (path, status) in [
        ("/livez", "200"),
        ("/readyz", "503"),
        ("/metrics", "200"),
        ("/mutate", "404"),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
        stream = dial(address, CALLER).await.unwrap();
    }
    serving.abort();
}

#[tokio::test]
async fn a_caller_that_goes_in_the_middle_of_a_body_leaves_nothing() {
    let server = Harness::start(Settings::default()).await;
    let mut client = server.connect().await;
    client.send(&post_head("10s", 1000)).await;
    server.told("pullkey_requests_in_flight 1").await;
    drop(client);
    server.told("pullkey_requests_in_flight 0").await;
    server.told("pullkey_connections 0").await;
}
