//! Replicas that come and go while Pods are created.

use crate::harness::{Installation, Load, Reach, Replica, Setup, Tally, is_ready, pull_secrets, rules_for_load, until};

const CREATORS: usize = 4;

async fn two_replicas(reach: Reach, setup: Setup<'_>) -> Installation {
    let pullkey = Installation::start(&Setup {
        rules: &rules_for_load("load"),
        replicas: 2,
        reach,
        ..setup
    })
    .await;
    let targets: Vec<_> = pullkey.replicas.iter().map(|replica| replica.target).collect();
    pullkey.balancer.has_learnt(&targets).await;
    pullkey
}

/// What a Deployment with maxUnavailable 0 and maxSurge 1 does: an old replica is told to end once a new one is ready, and
/// nobody waits for its end before the next one starts.
async fn roll(pullkey: &mut Installation) {
    let mut ending: Vec<Replica> = Vec::new();
    for _ in 0..2 {
        let new = pullkey.add_replica(&[]).await.target;
        until("the new replica is ready", async || {
            is_ready(new.health).await.then_some(())
        })
        .await;
        let old = pullkey.replicas.remove(0);
        old.signal("TERM");
        ending.push(old);
    }
    for mut old in ending {
        assert!(old.ended().await.success(), "{}", old.log());
        assert!(old.log().contains("all calls are answered"), "{}", old.log());
        pullkey.balancer.remove(old.target);
    }
}

/// Rolls both replicas under that load, which must not notice, and gives how many Pods were created.
async fn roll_under(load: Load, pullkey: &mut Installation) -> usize {
    load.reaches(100).await;
    roll(pullkey).await;
    let targets: Vec<_> = pullkey.replicas.iter().map(|replica| replica.target).collect();
    pullkey.balancer.has_learnt(&targets).await;
    load.next_phase();
    load.reaches(50).await;
    let [during, after] = load.stop().await;
    during.is_whole("during a rolling restart", "load");
    after.is_whole("after it", "load");
    assert!(pullkey.calls().await > 0.0, "the new replicas are called");
    during.all() + after.all()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_loses_no_call_and_misses_no_pod() {
    let mut pullkey = two_replicas(
        Reach::Service,
        Setup {
            options: &["--failure-policy=Fail"],
            ..Setup::default()
        },
    )
    .await;
    let namespace = pullkey.namespace().await;
    let load = Load::stored(&namespace, CREATORS);
    let created = roll_under(load, &mut pullkey).await;

    let pods = pullkey.api.get(&namespace.path("pods", "")).await.good();
    let pods = pods["items"].as_array().unwrap();
    assert_eq!(pods.len(), created);
    assert!(pods.iter().all(|pod| pull_secrets(pod) == ["load"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_loses_no_call_over_http_2() {
    let mut pullkey = two_replicas(
        Reach::Url,
        Setup {
            options: &["--failure-policy=Fail"],
            ..Setup::default()
        },
    )
    .await;
    let load = Load::dry(&pullkey.namespace().await, CREATORS);
    roll_under(load, &mut pullkey).await;
}

/// Kills one replica of two, and gives what became of the creations until the balancer had learnt it, and afterwards.
async fn kill_one(setup: Setup<'_>) -> [Tally; 2] {
    let mut pullkey = two_replicas(Reach::Service, setup).await;
    let load = Load::dry(&pullkey.namespace().await, CREATORS);
    load.reaches(100).await;
    let mut killed = pullkey.replicas.remove(0);
    killed.signal("KILL");
    killed.ended().await;
    pullkey.balancer.has_learnt(&[pullkey.replicas[0].target]).await;
    load.next_phase();
    load.reaches(100).await;
    load.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_replica_costs_secrets_and_no_pods_with_ignore() {
    let [during, after] = kill_one(Setup::default()).await;
    println!("one of two replicas is killed, Ignore: {during}");
    assert_eq!(during.with(&["load"]) + during.with(&[]), during.all(), "{during}");
    after.is_whole("after it was learnt", "load");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_replica_costs_pods_and_no_secrets_with_fail() {
    let [during, after] = kill_one(Setup {
        options: &["--failure-policy=Fail"],
        ..Setup::default()
    })
    .await;
    println!("one of two replicas is killed, Fail: {during}");
    assert_eq!(during.with(&["load"]) + during.failed.len(), during.all(), "{during}");
    let is_honest = |reason: &String| reason.contains("failed calling webhook");
    assert!(during.failed.iter().all(is_honest), "{during}");
    after.is_whole("after it was learnt", "load");
}
