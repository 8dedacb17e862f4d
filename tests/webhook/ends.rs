//! How it ends: no call is lost, and a second signal is obeyed at once.

use crate::client::post_head;
use crate::process::{Shelf, eventually, review};

#[tokio::test]
async fn a_signal_ends_it_once_all_calls_are_answered() {
    for signal in ["TERM", "INT"] {
        let shelf = Shelf::new();
        let webhook = shelf.start("--drain-grace 100ms").await;
        assert!(webhook.get("/readyz").await.starts_with("HTTP/1.1 200"));
        let mut busy = webhook.connect().await;
        let body = review("busy", "a.example/x");
        busy.send(&post_head("30s", body.len())).await;
        webhook.counts("pullkey_requests_in_flight 1").await;

        webhook.signal(signal);
        // The call keeps the program alive for as long as this takes.
        eventually("not ready", async || {
            webhook.get("/readyz").await.starts_with("HTTP/1.1 503")
        })
        .await;
        assert!(webhook.get("/livez").await.starts_with("HTTP/1.1 200"));
        busy.send(&body).await;
        let answer = busy.response().await.expect("an answer");
        assert_eq!(answer.status, 200);
        assert!(answer.closes() && answer.body.contains("\"busy\""), "{answer:?}");
        busy.closed().await;

        let (code, said) = webhook.ended().await;
        assert_eq!(code, Some(0), "{said}");
        assert!(
            said.contains(&format!("SIG{signal}")) && said.contains("all calls are answered"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn until_the_grace_ends_everyone_is_served_with_a_goodbye() {
    let shelf = Shelf::new();
    let webhook = shelf.start("--drain-grace 1h").await;
    let mut idle = webhook.connect().await;
    webhook.signal("TERM");
    webhook.says("SIGTERM").await;
    eventually("not ready", async || {
        webhook.get("/readyz").await.starts_with("HTTP/1.1 503")
    })
    .await;
    let body = review("late", "a.example/x");
    idle.send(&(post_head("10s", body.len()) + &body)).await;
    assert!(idle.response().await.unwrap().closes());
    let late = webhook.review(&body).await;
    assert!(late.status == 200 && late.closes());

    // The grace has an hour to go.
    webhook.signal("TERM");
    let (code, said) = webhook.ended().await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("SIGTERM again"), "{said}");
}

#[tokio::test]
async fn signals_are_heard_from_the_moment_it_says_that_it_serves() {
    let shelf = Shelf::new();
    for _ in 0..5 {
        let webhook = shelf.start("--drain-grace 0s").await;
        webhook.signal("HUP");
        assert_eq!(webhook.secrets("a.example/x").await, ["first-pull"]);
        let webhook = shelf.start("--drain-grace 0s").await;
        webhook.signal("TERM");
        assert_eq!(webhook.ended().await.0, Some(0));
    }
}
