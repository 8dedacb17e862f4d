//! Certificates that look after themselves, on a cluster of their own: as they are installed, renewed and healed.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::harness::{Api, Cluster, IMAGE, Namespace, pod, pull_secrets, rules_for_load, until};

mod damage;
mod install;
mod rights;
mod rotation;

const REGISTRATION: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/pullkey";
pub(crate) const AUTHORITIES: &str = "/api/v1/namespaces/pullkey/secrets/pullkey-webhook-ca";
pub(crate) const SERVING: &str = "/api/v1/namespaces/pullkey/secrets/pullkey-webhook-tls";

/// A cluster with the namespace `team-a`, and Pullkey installed on it with these arguments of the controller besides.
async fn installed(arguments: &[&str]) -> Cluster {
    let cluster = Cluster::start(&[]).await;
    cluster.follow_volumes();
    cluster.run("kubectl create namespace team-a").await;
    team(&cluster).has_account("default").await;
    std::fs::write(cluster.directory.path().join("rules.yaml"), rules_for_load("load")).unwrap();
    let arguments = arguments
        .iter()
        .map(|argument| json!({"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": argument}));
    let kustomization = json!({
        "resources": ["overlays/self-managed"],
        "patches": [{
            "target": {"kind": "Deployment", "name": "pullkey-controller"},
            "patch": arguments.collect::<Value>().to_string(),
        }],
    });
    let directory = cluster.directory.path().join("install");
    std::fs::create_dir(&directory).unwrap();
    std::fs::write(directory.join("kustomization.yaml"), kustomization.to_string()).unwrap();
    cluster
        .run(
            "pullkey manifests --out install --image registry.example/pullkey:0.1.0 --rules rules.yaml
             kubectl apply -k install
             kubectl rollout status deployment/pullkey-webhook --namespace pullkey",
        )
        .await;
    until("a Pod gets its secret", async || {
        (secrets(&cluster).await == ["load"]).then_some(())
    })
    .await;
    cluster
}

fn team(cluster: &Cluster) -> Namespace {
    Namespace {
        name: "team-a".to_owned(),
        api: cluster.api.clone(),
    }
}

/// The pull secrets of a new Pod.
async fn secrets(cluster: &Cluster) -> Vec<String> {
    let path = format!("{}?dryRun=All", team(cluster).path("pods", ""));
    pull_secrets(&cluster.api.create(&path, &pod(&[IMAGE])).await.object)
}

/// The certificates that the registration says are to be believed.
pub(crate) async fn believed(api: &Api) -> Vec<CertificateDer<'static>> {
    let registration = api.get(REGISTRATION).await.object;
    certificates(&registration["webhooks"][0]["clientConfig"]["caBundle"])
}

/// The certificates in base64 of PEM.
pub(crate) fn certificates(text: &Value) -> Vec<CertificateDer<'static>> {
    let pem = STANDARD.decode(text.as_str().unwrap_or_default()).unwrap_or_default();
    CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok).collect()
}

/// Shakes hands as an API server that believes these; what it is shown.
pub(crate) async fn shown(
    address: SocketAddr,
    believed: &[CertificateDer<'static>],
) -> std::io::Result<CertificateDer<'static>> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(believed.iter().cloned());
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("pullkey-webhook.pullkey.svc").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    Ok(stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned())
}

/// Waits until one authority is believed, that of the Secret, and both replicas serve the certificate of the other Secret,
/// which it signed; that certificate.
async fn in_order(cluster: &Cluster) -> (CertificateDer<'static>, CertificateDer<'static>) {
    until("all is in order", async || {
        let believed = believed(&cluster.api).await;
        let [authority] = believed.as_slice() else { return None };
        let kept = cluster.api.get(AUTHORITIES).await.object;
        let keys: BTreeSet<_> = kept["data"].as_object()?.keys().map(String::as_str).collect();
        let is_kept =
            certificates(&kept["data"]["ca.crt"]) == believed && keys.is_superset(&["ca.crt", "ca.key"].into());
        if !is_kept || keys.contains("next.crt") || keys.contains("old.crt") {
            return None;
        }
        let serving = certificates(&cluster.api.get(SERVING).await.object["data"]["tls.crt"]).pop()?;
        let replicas = cluster.serving().await;
        for address in &replicas {
            if shown(*address, &believed).await.ok()? != serving {
                return None;
            }
        }
        (replicas.len() == 2).then(|| (authority.clone(), serving))
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
