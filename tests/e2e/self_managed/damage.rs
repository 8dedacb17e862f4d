//! What somebody else does to certificates, while the controller runs and while it does not.

use super::*;

/// So long that nothing ends while a test runs, and a margin that it can wait for: of how late an API server may hear, there
/// are other tests.
const LIVES: [&str; 3] = [
    "--certificate-lifetime=1h",
    "--authority-lifetime=4h",
    "--authority-margin=300ms",
];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_damaged_while_the_controller_runs_is_put_right() {
    let cluster = installed(&LIVES).await;
    in_order(&cluster).await;
    for (what, damage) in damages() {
        println!("{what}");
        cluster.run(&damage).await;
        heals(&cluster).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_damaged_while_the_controller_is_down_is_put_right_at_its_start() {
    let cluster = installed(&LIVES).await;
    in_order(&cluster).await;
    // Each takes seconds: those that differ most.
    for (what, damage) in damages().into_iter().step_by(2) {
        println!("{what}");
        stop_controllers(&cluster).await;
        cluster.run(&damage).await;
        start_controllers(&cluster).await;
        heals(&cluster).await;
    }
}

/// All comes to order, and a Pod gets its secret.
async fn heals(cluster: &Cluster) {
    in_order(cluster).await;
    until("a Pod gets its secret", async || {
        (secrets(cluster).await == ["load"]).then_some(())
    })
    .await;
}
