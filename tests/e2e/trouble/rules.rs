//! Rules that go, and come back or not.

use std::time::Instant;

use tokio::time::sleep;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_is_deleted_and_made_again_leaves_no_gap() {
    let scene = Scene::shared().await;
    let namespace = scene.namespace().await;
    let copy = scene.has_copy(&namespace, "first").await;
    scene.is_in_force(&namespace).await;
    scene.api.delete(&scene.rule_path()).await.good();
    scene.apply_rule().await;
    scene.is_in_force(&namespace).await;
    sleep(KEPT + Duration::from_secs(1)).await;
    assert_eq!(scene.identity(&namespace).await, copy);
    scene.is_told("True AllReady").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_of_a_rule_that_was_deleted_while_no_controller_ran_go_as_late_as_others() {
    let scene = Scene::alone().await;
    let namespace = scene.namespace().await;
    let copy = scene.has_copy(&namespace, "first").await;
    let scale = async |replicas| {
        let script = format!("kubectl scale deployment/pullkey-controller --namespace pullkey --replicas={replicas}");
        scene.cluster.run(&script).await;
        until("the node has followed", async || {
            (scene.cluster.controllers().await.len() == replicas).then_some(())
        })
        .await;
    };
    scale(0).await;
    scene.api.delete(&scene.rule_path()).await.good();
    let begun = Instant::now();
    scale(2).await;
    until("one of them leads", async || scene.cluster.leaders().await.pop()).await;
    assert_eq!(scene.identity(&namespace).await, copy);
    scene.has_no_copy(&namespace).await;
    assert!(begun.elapsed() >= KEPT, "the rule might have come back");
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_outlive_the_kind_of_their_rules() {
    let scene = Scene::alone().await;
    let namespace = scene.namespace().await;
    let copy = scene.has_copy(&namespace, "first").await;
    scene.is_in_force(&namespace).await;
    let pods = scene.all_pods().await;
    let missing = "resource=\"clusterpullsecretrules\",reason=\"missing\"";
    let before = scene.counts(&pods, "pullkey_watch_failures_total", missing).await;

    let crd = "clusterpullsecretrules.pullkey.dev";
    scene.cluster.run(&format!("kubectl delete crd {crd}")).await;
    scene
        .counts_more(&before, "pullkey_watch_failures_total", missing)
        .await;
    for pod in &pods {
        until(&format!("{pod} says why"), async || {
            let log = scene.cluster.log(pod).await;
            log.contains("is its CustomResourceDefinition installed?").then_some(())
        })
        .await;
    }
    for pod in &scene.webhooks().await {
        assert!(scene.cluster.is_ready(pod).await, "{pod}");
    }
    sleep(KEPT + Duration::from_secs(1)).await;
    assert_eq!(scene.identity(&namespace).await, copy);

    let crds = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/crds");
    scene.cluster.run(&format!("kubectl apply -k {crds}")).await;
    scene.cluster.serves(crd).await;
    scene.apply_rule().await;
    scene.is_in_force(&namespace).await;
    scene.is_told("True AllReady").await;
    scene.has_copy(&scene.namespace().await, "first").await;
    sleep(KEPT + Duration::from_secs(1)).await;
    assert_eq!(scene.identity(&namespace).await, copy, "all the time");
}
