//! Certificates that look after themselves, on a cluster of their own: as they are installed, renewed and healed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};

use crate::harness::self_managed::{
    AUTHORITIES, REGISTRATION, SERVING, Suspicious, Wishes, believed, certificates, damages, in_order, secrets, team,
};
use crate::harness::{Cluster, until};

mod clocks;
mod damage;
mod install;
mod rights;
mod rotation;

/// A cluster with Pullkey and these arguments of its controller besides.
async fn installed(arguments: &[&str]) -> Cluster {
    crate::harness::self_managed::installed(&Wishes {
        controller: arguments,
        ..Wishes::default()
    })
    .await
}

/// Ends the controller, and waits for it.
async fn stop_controllers(cluster: &Cluster) {
    scale(cluster, 0).await;
    until("the controller has ended", async || {
        let pods = cluster.api.get("/api/v1/namespaces/pullkey/pods").await.object;
        let mut pods = pods["items"].as_array()?.iter();
        let is_there = pods.any(|pod| pod["metadata"]["labels"]["app.kubernetes.io/component"] == "controller");
        (!is_there).then_some(())
    })
    .await;
}

async fn start_controllers(cluster: &Cluster) {
    scale(cluster, 2).await;
}

async fn scale(cluster: &Cluster, replicas: u8) {
    let script = format!("kubectl scale deployment pullkey-controller --namespace pullkey --replicas {replicas}");
    cluster.run(&script).await;
}
