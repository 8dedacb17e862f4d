//! Certificates that change all the time while Pods are created.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::*;
use crate::harness::Load;

/// How late an API server may hear of another `caBundle`; less than the margin.
const LATE: Duration = Duration::from_millis(500);

/// An API server that connects anew all the time, and hears late of what is to be believed.
struct Suspicious {
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    handshakes: usize,
    failed: Vec<String>,
    served: BTreeSet<Vec<u8>>,
    believed: BTreeSet<Vec<u8>>,
}

impl Suspicious {
    fn start(cluster: &Cluster, replicas: Vec<SocketAddr>) -> Self {
        let seen = Arc::<Mutex<Seen>>::default();
        let (api, noted) = (cluster.api.clone(), Arc::clone(&seen));
        let task = tokio::spawn(async move {
            let mut heard = Vec::new();
            loop {
                heard.push((Instant::now(), believed(&api).await));
                // As those do who hear at once, and as those do who hear late.
                let late = heard.iter().rposition(|(when, _)| when.elapsed() >= LATE).unwrap_or(0);
                heard.drain(..late);
                for believed in [&heard[0].1, &heard[heard.len() - 1].1] {
                    for address in &replicas {
                        let shown = shown(*address, believed).await;
                        let mut seen = noted.lock().unwrap();
                        seen.handshakes += 1;
                        seen.believed
                            .extend(believed.iter().map(|certificate| certificate.to_vec()));
                        match shown {
                            Ok(certificate) => _ = seen.served.insert(certificate.to_vec()),
                            Err(error) => seen.failed.push(error.to_string()),
                        }
                    }
                }
                sleep(Duration::from_millis(20)).await;
            }
        });
        Self { seen, task }
    }

    /// What it has seen of certificates and authorities; no handshake may have failed.
    fn stop(self) -> (usize, usize) {
        self.task.abort();
        let seen = self.seen.lock().unwrap();
        println!(
            "{} handshakes, {} certificates, {} authorities",
            seen.handshakes,
            seen.served.len(),
            seen.believed.len()
        );
        assert!(seen.handshakes > 0 && seen.failed.is_empty(), "{:?}", seen.failed);
        (seen.served.len(), seen.believed.len())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_and_authorities_are_renewed_without_a_lost_call() {
    // The next authority comes after 32 s, a certificate every 10 s.
    let lifetimes = [
        "--certificate-lifetime=15s",
        "--authority-lifetime=48s",
        "--authority-margin=1s",
    ];
    let cluster = installed(&lifetimes).await;
    in_order(&cluster).await;
    let suspicious = Suspicious::start(&cluster, cluster.serving().await);
    let load = Load::dry(&team(&cluster), 4);
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
    let [tally] = load.stop().await;
    let (served, believed) = suspicious.stop();
    tally.is_whole("while certificates are renewed", "load");
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
    let suspicious = Suspicious::start(&cluster, cluster.serving().await);
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
    suspicious.stop();
    tally.is_whole("while controllers are killed", "load");
}

fn is_signed_by(leaf: &CertificateDer<'_>, authority: &CertificateDer<'_>) -> bool {
    pullkey::certs::trust::is_signed_by(leaf, authority)
}
