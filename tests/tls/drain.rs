//! The end: no call that was begun, or that is on its way, is lost.

use crate::client::{CALLER, PATIENCE, closed, dial, post_head};
use crate::harness::{Harness, eventually, is_told};
use crate::http2::{GOAWAY, HEADERS};
use crate::stub::{review, uid_of};
use pullkey::server::Settings;
use std::time::{Duration, SystemTime};
use tokio::time::timeout;

const LONG: Duration = Duration::from_hours(1);

/// Waits until nobody listens any more.
async fn stops_listening(server: &Harness) {
    let refused = async { while dial(server.address, CALLER).await.is_ok() {} };
    timeout(PATIENCE, refused).await.expect("the listener is closed");
}

#[tokio::test]
async fn during_the_grace_calls_are_served_with_a_goodbye() {
    let mut server = Harness::start(Settings {
        drain_grace: LONG,
        ..Settings::default()
    })
    .await;
    server.readiness.rules_loaded();
    server.readiness.certificate_loaded(SystemTime::now() + LONG);
    assert!(server.readiness.report(SystemTime::now()).is_ready());
    let mut idle = server.connect().await;
    assert!(!idle.review("before").await.closes());
    let mut busy = server.connect().await;
    let body = review("busy");
    busy.send(&post_head("30s", body.len())).await;
    server.told("pullkey_requests_in_flight 1").await;

    server.signal();
    let readiness = server.readiness.clone();
    eventually("not ready", || !readiness.report(SystemTime::now()).is_ready()).await;

    busy.send(&body).await;
    let answer = busy.response().await.unwrap();
    assert_eq!(uid_of(&answer.body), "busy", "what is in flight is finished");
    assert!(answer.closes());
    busy.closed().await;

    let answer = idle.review("on its way").await;
    assert_eq!(uid_of(&answer.body), "on its way", "an idle connection is not cut");
    assert!(answer.closes());
    idle.closed().await;

    let answer = server.connect().await.review("late").await;
    assert_eq!(uid_of(&answer.body), "late", "new connections are accepted");
    assert!(answer.closes());
}

#[tokio::test]
async fn during_the_grace_http_2_is_told_to_go_and_loses_nothing() {
    let mut server = Harness::start(Settings {
        drain_grace: LONG,
        ..Settings::default()
    })
    .await;
    let mut idle = server.connect_http2(CALLER).await;
    idle.review("before").await;
    let mut busy = server.connect_http2(CALLER).await;
    let body = review("busy");
    let id = busy.begin(body.len()).await;
    server.told("pullkey_requests_in_flight 1").await;

    server.signal();
    for client in [&mut idle, &mut busy] {
        loop {
            let frame = client.frame().await.expect("a goodbye");
            assert_ne!(frame.kind, HEADERS);
            if frame.kind == GOAWAY {
                break;
            }
        }
    }
    assert_eq!(uid_of(&busy.finish(id, &body).await), "busy");
    while idle.frame().await.is_some() {}
    while busy.frame().await.is_some() {}

    let mut late = server.connect_http2(CALLER).await;
    assert_eq!(
        uid_of(&late.review("late").await),
        "late",
        "a new connection gets its first call through"
    );
    while late.frame().await.is_some() {}
    server.told("pullkey_connections 0").await;
}

#[tokio::test]
async fn after_the_grace_an_idle_connection_still_has_time_for_a_call() {
    let mut server = Harness::start(Settings {
        drain_grace: Duration::from_millis(100),
        drain_idle: LONG,
        drain_last_resort: LONG,
        ..Settings::default()
    })
    .await;
    let mut idle = server.connect().await;
    idle.review("before").await;
    server.signal();
    stops_listening(&server).await;
    let answer = idle.review("on its way").await;
    assert_eq!(uid_of(&answer.body), "on its way");
    assert!(answer.closes());
    server.ended().await;
}

#[tokio::test]
async fn after_the_grace_idle_connections_are_closed_and_busy_ones_finished() {
    let mut server = Harness::start(Settings {
        drain_grace: Duration::ZERO,
        drain_idle: Duration::from_millis(200),
        drain_last_resort: LONG,
        ..Settings::default()
    })
    .await;
    let mut idle = server.connect().await;
    idle.review("before").await;
    let mut silent = server.tcp(CALLER).await;
    let mut busy = server.connect().await;
    let body = review("busy");
    busy.send(&post_head("30s", body.len())).await;
    server.told("pullkey_requests_in_flight 1").await;
    server.signal();
    idle.closed().await;
    closed(&mut silent).await;
    busy.send(&body).await;
    assert_eq!(uid_of(&busy.response().await.unwrap().body), "busy");
    let metrics = server.ended().await;
    assert!(is_told(
        &metrics,
        "pullkey_connections_closed_total{reason=\"drained\"} 2"
    ));
    assert!(is_told(&metrics, "pullkey_connections 0"));
}

#[tokio::test]
async fn the_last_resort_ends_what_does_not_end() {
    let mut server = Harness::start(Settings {
        drain_grace: Duration::ZERO,
        drain_last_resort: Duration::from_millis(200),
        ..Settings::default()
    })
    .await;
    let mut stuck = server.connect().await;
    stuck.send(&post_head("30s", 100)).await;
    server.told("pullkey_requests_in_flight 1").await;
    server.signal();
    let metrics = server.ended().await;
    stuck.closed().await;
    assert!(is_told(
        &metrics,
        "pullkey_connections_closed_total{reason=\"last_resort\"} 1"
    ));
    assert!(is_told(&metrics, "pullkey_requests_in_flight 0"));
}

#[tokio::test]
async fn dropping_the_server_ends_it_at_once() {
    let server = Harness::start(Settings::default()).await;
    let mut client = server.connect().await;
    client.review("before").await;
    server.serving.abort();
    client.closed().await;
    stops_listening(&server).await;
    assert!(is_told(&server.metrics, "pullkey_connections 0"));
}
