//! Certificates that change all the time while Pods are created.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::*;
use crate::harness::{Load, Namespace};

/// A [`Suspicious`] at work.
struct Suspicion {
    api_server: Arc<Mutex<Suspicious>>,
    task: JoinHandle<()>,
}

impl Suspicion {
    async fn start(cluster: &Cluster) -> Self {
        let api_server = Arc::<Mutex<Suspicious>>::default();
        let (api, replicas) = (cluster.api.clone(), cluster.serving().await);
        let connecting = Arc::clone(&api_server);
        let task = tokio::spawn(async move {
            loop {
                connecting.lock().await.connect(&api, &replicas).await;
                sleep(Duration::from_millis(20)).await;
            }
        });
        Self { api_server, task }
    }

    /// How many certificates and authorities it has seen; no handshake may have failed.
    async fn stop(self) -> (usize, usize) {
        self.task.abort();
        let seen = &self.api_server.lock().await.seen;
        println!(
            "{} handshakes, {} certificates, {} authorities",
            seen.handshakes,
            seen.served.len(),
            seen.believed.len()
        );
        assert!(seen.handshakes > 0 && seen.failed.is_empty(), "{:?}", seen.failed);
        assert_eq!(seen.gone, 0, "a replica could not be reached");
        (seen.served.len(), seen.believed.len())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_and_authorities_are_renewed_without_a_call_that_either_of_two_api_servers_loses() {
    // The next authority comes after 32 s, a certificate every 10 s.
    let lifetimes = [
        "--certificate-lifetime=15s",
        "--authority-lifetime=48s",
        "--authority-margin=1s",
    ];
    let cluster = installed(&lifetimes).await;
    let another = cluster.another_api_server().await;
    in_order(&cluster).await;
    let suspicious = Suspicion::start(&cluster).await;
    let team = team(&cluster);
    let through_another = Namespace {
        api: another,
        ..team.clone()
    };
    let loads = [&team, &through_another].map(|namespace| Load::dry(namespace, 2));
    let first = believed(&cluster.api).await;
    until("another authority signs", async || {
        let kept = cluster.api.get(AUTHORITIES).await.object;
        (!first.contains(certificates(&kept["data"]["ca.crt"]).first()?)).then_some(())
    })
    .await;
    until("the first one is gone", async || {
        (!believed(&cluster.api).await.contains(&first[0])).then_some(())
    })
    .await;
    for load in loads {
        let [tally] = load.stop().await;
        tally.is_whole("while certificates are renewed", "load");
    }
    let (served, believed) = suspicious.stop().await;
    assert!(
        served >= 3 && believed >= 2,
        "{served} certificates, {believed} authorities"
    );
    in_order(&cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_is_killed_at_any_moment_leaves_nothing_undone_and_loses_no_call() {
    let cluster = installed(&[
        "--certificate-lifetime=1h",
        "--authority-lifetime=4h",
        "--authority-margin=1s",
    ])
    .await;
    let (mut authority, _) = in_order(&cluster).await;
    let suspicious = Suspicion::start(&cluster).await;
    let load = Load::dry(&team(&cluster), 2);
    let api = &cluster.api;
    // After what of a rotation it is killed.
    for moment in ["made", "published", "signs", "served", "retired"] {
        cluster
            .run("kubectl delete secret pullkey-webhook-ca --namespace pullkey")
            .await;
        until(moment, async || {
            let kept = api.get(AUTHORITIES).await.object["data"].clone();
            let believed = believed(api).await;
            let happened = match moment {
                "made" => kept["next.crt"].is_string(),
                "published" => believed.len() == 2,
                "signs" => kept["ca.crt"].is_string(),
                "served" => {
                    let serving = api.get(SERVING).await.object["data"]["tls.crt"].clone();
                    let shown_to_all = certificates(&kept["ca.crt"]);
                    let serving = certificates(&serving);
                    !shown_to_all.is_empty() && serving.first().is_some_and(|leaf| is_signed_by(leaf, &shown_to_all[0]))
                }
                _ => kept["retired.crt"].is_string(),
            };
            happened.then_some(())
        })
        .await;
        cluster.kill_leader().await;
        let (next, _) = in_order(&cluster).await;
        assert_ne!(next, authority, "{moment}");
        authority = next;
    }
    let [tally] = load.stop().await;
    suspicious.stop().await;
    tally.is_whole("while controllers are killed", "load");
}

fn is_signed_by(leaf: &CertificateDer<'_>, authority: &CertificateDer<'_>) -> bool {
    pullkey::certs::trust::is_signed_by(leaf, authority)
}
