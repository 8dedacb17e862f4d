//! The API server and the leader, lost and back.

use super::*;

const FAILURES: &str = "pullkey_watch_failures_total";
const WRITES: &str = "pullkey_copy_writes_total";

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_rewritten_when_the_api_server_dies_and_comes_back() {
    let scene = Scene::alone().await;
    let old = [scene.namespace().await, scene.namespace().await];
    let mut copies = Vec::new();
    for namespace in &old {
        copies.push(scene.has_copy(namespace, "first").await);
        scene.is_in_force(namespace).await;
    }
    let (webhooks, pods) = (scene.webhooks().await, scene.all_pods().await);
    let before = scene.counts(&pods, FAILURES, "broken").await;
    let load = Load::dry(&old[0], 2);
    load.reaches(20).await;

    let outage = scene.cluster.lose_api_server().await;
    scene.counts_more(&before, FAILURES, "broken").await;
    until("nobody leads", async || {
        scene.cluster.leaders().await.is_empty().then_some(())
    })
    .await;
    for pod in &webhooks {
        assert!(scene.cluster.is_ready(pod).await, "{pod}");
    }
    outage.end();

    load.next_phase();
    load.reaches(20).await;
    let [until, after] = load.stop().await;
    assert!(until.broken_off > 0, "{until}");
    until.is_whole_where_answered("until an API server answers again", &scene.rule);
    after.is_whole("afterwards", &scene.rule);
    for namespace in &old {
        assert_eq!(
            scene.injected(namespace).await,
            [scene.rule.as_str()],
            "rules stay in force"
        );
    }
    let new = scene.namespace().await;
    assert_eq!(scene.injected(&new).await, [scene.rule.as_str()]);
    scene.has_copy(&new, "first").await;
    for (namespace, copy) in old.iter().zip(copies) {
        assert_eq!(scene.identity(namespace).await, copy);
    }
    scene.source("second").await;
    for namespace in old.iter().chain([&new]) {
        scene.has_copy(namespace, "second").await;
    }
    assert_eq!(scene.all_pods().await, pods, "they did it by themselves");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_while_nobody_heard_is_found_though_etcd_has_forgotten_it() {
    let scene = Scene::alone().await;
    let [stays, leaves, loses] = [
        scene.namespace().await,
        scene.namespace().await,
        scene.namespace().await,
    ];
    for namespace in [&stays, &leaves, &loses] {
        scene.has_copy(namespace, "first").await;
        scene.is_in_force(namespace).await;
    }
    let lists = |resource: &str| format!("resource=\"{resource}\",reason=\"expired\"");
    let mut before = Vec::new();
    for (pods, resources) in [
        (scene.webhooks().await, ["clusterpullsecretrules", "namespaces"]),
        (scene.cluster.controllers().await, ["copies", "sources"]),
    ] {
        for resource in resources {
            before.push((resource, scene.counts(&pods, FAILURES, &lists(resource)).await));
        }
    }

    let pods = scene.all_pods().await;
    for pod in &pods {
        scene.cluster.stop(pod, true).await;
    }
    scene.cluster.lose_api_server().await.end();
    scene.source("second").await;
    scene.select(&leaves, false).await;
    scene.api.delete(&loses.path("secrets", &scene.rule)).await.good();
    let new = scene.namespace().await;
    scene.cluster.compact();
    for pod in &pods {
        scene.cluster.stop(pod, false).await;
    }

    for namespace in [&stays, &loses, &new] {
        scene.has_copy(namespace, "second").await;
        scene.is_in_force(namespace).await;
    }
    scene.has_no_copy(&leaves).await;
    assert_eq!(scene.injected(&leaves).await, [""; 0]);
    for (resource, before) in before {
        scene.counts_more(&before, FAILURES, &lists(resource)).await;
    }
    scene.is_told("True AllReady").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_stood_still_for_too_long_writes_no_more() {
    let scene = Scene::alone().await;
    let mut namespaces = Vec::new();
    for _ in 0..5 {
        namespaces.push(scene.namespace().await);
    }
    for namespace in &namespaces {
        scene.has_copy(namespace, "first").await;
    }
    let old = until("one of them leads", async || scene.cluster.leaders().await.pop()).await;
    scene.cluster.stop(&old, true).await;
    scene.source("second").await;
    let new = until("the other one leads", async || scene.cluster.leaders().await.pop()).await;
    assert_ne!(new, old);
    let mut copies = Vec::new();
    for namespace in &namespaces {
        copies.push(scene.has_copy(namespace, "second").await);
    }

    scene.cluster.stop(&old, false).await;
    let written = scene.cluster.metric(&old, WRITES, "kind=\"update\"").await;
    until("it knows that it leads no longer", async || {
        let log = scene.cluster.log(&old).await;
        log.contains("nothing is written any more: another replica may lead")
            .then_some(())
    })
    .await;
    assert_eq!(scene.cluster.leaders().await, [new.as_str()]);
    for (namespace, copy) in namespaces.iter().zip(copies) {
        assert_eq!(scene.identity(namespace).await, copy);
    }
    let before = scene.cluster.metric(&new, WRITES, "kind=\"update\"").await;
    scene.source("third").await;
    for namespace in &namespaces {
        scene.has_copy(namespace, "third").await;
    }
    let again = scene.cluster.metric(&old, WRITES, "kind=\"update\"").await;
    assert!((again - written).abs() < 0.5, "{again} and not {written}");
    let more = scene.cluster.metric(&new, WRITES, "kind=\"update\"").await - before;
    assert!((more - 5.0).abs() < 0.5, "each once, and not {more}");
}
