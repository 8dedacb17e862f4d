//! Certificates that look after themselves, on a cluster: installed, looked at, and damaged.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pullkey::certs::make::{Authority, Names};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{Api, Cluster, IMAGE, Namespace, pod, pull_secrets, rules_for_load, until};

pub(crate) const REGISTRATION: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/pullkey";
pub(crate) const AUTHORITIES: &str = "/api/v1/namespaces/pullkey/secrets/pullkey-webhook-ca";
pub(crate) const SERVING: &str = "/api/v1/namespaces/pullkey/secrets/pullkey-webhook-tls";
/// How late an API server may hear of another `caBundle`; less than any margin here.
const LATE: Duration = Duration::from_millis(500);

/// What differs from an installation as the README tells it.
#[derive(Default)]
pub(crate) struct Wishes<'a> {
    /// More options of `pullkey manifests`.
    pub(crate) options: &'a str,
    /// More arguments of the controller.
    pub(crate) controller: &'a [&'a str],
    /// What each program finds in its environment: the Deployment's name, the variable's, and its value.
    pub(crate) environment: &'a [[String; 3]],
}

/// A cluster with the namespace `team-a`, and Pullkey installed on it, with the rules for a load.
pub(crate) async fn installed(wishes: &Wishes<'_>) -> Cluster {
    let cluster = Cluster::start(&[]).await;
    cluster.follow_volumes();
    cluster.run("kubectl create namespace team-a").await;
    team(&cluster).has_account("default").await;
    fs::write(cluster.directory.path().join("rules.yaml"), rules_for_load("load")).unwrap();
    let container = "/spec/template/spec/containers/0";
    let patch = |deployment: &str, operations: Value| json!({"target": {"kind": "Deployment", "name": deployment}, "patch": operations.to_string()});
    let arguments = wishes.controller.iter();
    let arguments = arguments
        .map(|argument| json!({"op": "add", "path": format!("{container}/args/-"), "value": argument}))
        .collect();
    let mut patches = vec![patch("pullkey-controller", arguments)];
    for deployment in ["pullkey-controller", "pullkey-webhook"] {
        let variables = wishes.environment.iter().filter(|[of, ..]| *of == deployment);
        let variables: Vec<_> = variables
            .map(|[_, name, value]| json!({"name": name, "value": value}))
            .collect();
        if !variables.is_empty() {
            let environment = json!([{"op": "add", "path": format!("{container}/env"), "value": variables}]);
            patches.push(patch(deployment, environment));
        }
    }
    let kustomization = json!({"resources": ["overlays/self-managed"], "patches": patches});
    let directory = cluster.directory.path().join("install");
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("kustomization.yaml"), kustomization.to_string()).unwrap();
    cluster
        .run(&format!(
            "pullkey manifests --out install --image registry.example/pullkey:0.1.0 --rules rules.yaml {}
             kubectl apply -k install
             kubectl rollout status deployment/pullkey-webhook --namespace pullkey",
            wishes.options
        ))
        .await;
    until("a Pod gets its secret", async || {
        (secrets(&cluster).await == ["load"]).then_some(())
    })
    .await;
    cluster
}

pub(crate) fn team(cluster: &Cluster) -> Namespace {
    Namespace {
        name: "team-a".to_owned(),
        api: cluster.api.clone(),
    }
}

/// The pull secrets of a new Pod.
pub(crate) async fn secrets(cluster: &Cluster) -> Vec<String> {
    let path = format!("{}?dryRun=All", team(cluster).path("pods", ""));
    pull_secrets(&cluster.api.create(&path, &pod(&[IMAGE])).await.object)
}

/// The certificates that the registration says are to be believed.
pub(crate) async fn believed(api: &Api) -> Vec<CertificateDer<'static>> {
    let registration = api.try_get(REGISTRATION).await;
    let registration = registration.map_or(Value::Null, |answer| answer.object);
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
) -> Result<CertificateDer<'static>, Error> {
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
pub(crate) async fn in_order(cluster: &Cluster) -> (CertificateDer<'static>, CertificateDer<'static>) {
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

/// An API server that connects anew all the time, and hears late of what is to be believed.
#[derive(Default)]
pub(crate) struct Suspicious {
    heard: Vec<(Instant, Vec<CertificateDer<'static>>)>,
    pub(crate) seen: Seen,
}

/// What it has seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) handshakes: usize,
    /// Why it did not believe what it was shown.
    pub(crate) failed: Vec<String>,
    /// How often nobody was there.
    pub(crate) gone: usize,
    /// The certificates that it was shown.
    pub(crate) served: BTreeSet<Vec<u8>>,
    /// The authorities that it was told to believe.
    pub(crate) believed: BTreeSet<Vec<u8>>,
}

impl Suspicious {
    /// Connects to each of these twice: as those do who hear at once, and as those do who hear late.
    pub(crate) async fn connect(&mut self, api: &Api, replicas: &[SocketAddr]) {
        let heard = believed(api).await;
        // Nobody forgets what he heard because the API server is gone.
        if !heard.is_empty() {
            self.heard.push((Instant::now(), heard));
        }
        let late = self.heard.iter().rposition(|(when, _)| when.elapsed() >= LATE);
        self.heard.drain(..late.unwrap_or(0));
        let (Some(late), Some(at_once)) = (self.heard.first(), self.heard.last()) else {
            return;
        };
        for (_, believed) in [late, at_once] {
            self.seen
                .believed
                .extend(believed.iter().map(|certificate| certificate.to_vec()));
            for address in replicas {
                self.seen.handshakes += 1;
                match shown(*address, believed).await {
                    Ok(certificate) => _ = self.seen.served.insert(certificate.to_vec()),
                    // What is shown and not believed is an error of the data.
                    Err(error) if error.kind() == ErrorKind::InvalidData => self.seen.failed.push(error.to_string()),
                    Err(_) => self.seen.gone += 1,
                }
            }
        }
    }
}

/// What somebody else does to the certificates, and in how many words.
pub(crate) fn damages() -> Vec<(&'static str, String)> {
    let delete = |name: &str| format!("kubectl delete secret {name} --namespace pullkey");
    let (ca, tls) = ("pullkey-webhook-ca", "pullkey-webhook-tls");
    vec![
        ("the authorities are deleted", delete(ca)),
        ("the key is damaged", merged(ca, "ca.key", "damaged")),
        (
            "another authority is put there",
            in_the_place_of(ca, "Opaque", false, &another()),
        ),
        (
            "something immutable is put there",
            in_the_place_of(ca, "Opaque", true, &json!({"a": "b"})),
        ),
        (
            "a Secret of another type is put there",
            in_the_place_of(ca, "example.org/other", false, &another()),
        ),
        ("the certificate is deleted", delete(tls)),
        ("the certificate is damaged", merged(tls, "tls.crt", "damaged")),
        (
            "a foreign certificate is put there",
            in_the_place_of(tls, "kubernetes.io/tls", true, &foreign_leaf()),
        ),
        ("both are deleted", format!("{}\n{}", delete(ca), delete(tls))),
        ("nothing is published", published("")),
        (
            "another authority is published",
            published(another()["ca.crt"].as_str().unwrap()),
        ),
        (
            "the registration is made anew",
            "kubectl delete mutatingwebhookconfiguration pullkey; kubectl apply -k install".to_owned(),
        ),
        ("the authority is damaged", merged(ca, "ca.crt", "damaged")),
    ]
}

/// The Secret of another authority, as one would be that this program made.
fn another() -> Value {
    let authority = Authority::new(SystemTime::now()).unwrap();
    let pair = authority.pair();
    json!({"ca.crt": pair.certificate, "ca.key": pair.key})
}

/// A certificate for the right name, of an authority that nobody believes.
fn foreign_leaf() -> Value {
    let names = Names {
        dns: vec!["pullkey-webhook.pullkey.svc".parse().unwrap()],
        addresses: Vec::new(),
    };
    let (now, hour) = (SystemTime::now(), Duration::from_hours(1));
    let pair = Authority::new(now).unwrap().issue(&names, hour, now).unwrap();
    json!({"tls.crt": pair.certificate, "tls.key": pair.key})
}

/// A Secret with that text data, in the place of the one that is there.
fn in_the_place_of(name: &str, form: &str, is_immutable: bool, data: &Value) -> String {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "pullkey"},
        "type": form, "immutable": is_immutable, "stringData": data,
    });
    // The controller may be faster with one of its own, and always is where a second `kubectl` has to begin first.
    format!("until kubectl replace --force -f - <<'END'\n{secret}\nEND\ndo :; done")
}

fn merged(name: &str, key: &str, value: &str) -> String {
    let change = json!({"stringData": {key: value}});
    format!("kubectl patch secret {name} --namespace pullkey --type merge --patch '{change}'")
}

fn published(bundle: &str) -> String {
    let change = json!([{"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": STANDARD.encode(bundle)}]);
    format!("kubectl patch mutatingwebhookconfiguration pullkey --type json --patch '{change}'")
}
