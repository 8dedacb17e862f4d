//! Another mutating webhook, as clusters have them beside Pullkey: sidecar injectors above all.
//!
//! In: what it answers to a review. Out: a webhook that the API server calls for one namespace by URL, and the requests
//! that it has seen. It is as simple as most of its kind: it answers whatever it is told to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::response::Response;
use axum::serve::Listener;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pullkey::certs::make::{Authority, Names};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::{Api, Namespace, pod, until};

/// It serves until it is dropped.
pub(crate) struct Other {
    seen: Arc<Mutex<Vec<Value>>>,
    #[expect(dead_code, reason = "its tasks end when it is dropped")]
    tasks: JoinSet<()>,
}

/// Connections with TLS.
struct Tls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Other {
    /// One whose configuration has that name and that `failurePolicy`, once it is called.
    pub(crate) async fn start(
        name: &str,
        failure_policy: &str,
        namespace: &Namespace,
        answer: impl Fn(&Value) -> Response + Clone + Send + Sync + 'static,
    ) -> Self {
        let authority = Authority::new(SystemTime::now()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let requests = Arc::clone(&seen);
        let router = Router::new().fallback(async move |body: String| {
            let mut review: Value = serde_json::from_str(&body).unwrap();
            let request = review["request"].take();
            let response = answer(&request);
            requests.lock().unwrap().push(request);
            response
        });
        let acceptor = TlsAcceptor::from(Arc::new(tls(&authority)));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(Tls { listener, acceptor }, router).await.unwrap() });
        let other = Self { seen, tasks };
        let configuration = configuration(name, failure_policy, namespace, address, &authority);
        other.register(&namespace.api, &configuration).await;
        other.is_called(namespace).await;
        other
    }

    async fn register(&self, api: &Api, configuration: &Value) {
        let configurations = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";
        api.create(configurations, configuration).await.good();
    }

    async fn is_called(&self, namespace: &Namespace) {
        let path = format!("{}?dryRun=All", namespace.path("pods", ""));
        until("the API server calls the other webhook", async || {
            namespace.api.create(&path, &pod(&["probe.invalid/probe"])).await;
            (!self.seen().is_empty()).then_some(())
        })
        .await;
    }

    /// The requests so far.
    pub(crate) fn seen(&self) -> Vec<Value> {
        self.seen.lock().unwrap().clone()
    }
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.listener.accept().await.unwrap();
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// The answer that allows a request, with that patch.
pub(crate) fn allowed(request: &Value, patch: &Value) -> Response {
    let patch = STANDARD.encode(patch.to_string());
    let response = json!({"uid": request["uid"], "allowed": true, "patchType": "JSONPatch", "patch": patch});
    let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response});
    Response::new(review.to_string().into())
}

fn tls(authority: &Authority) -> ServerConfig {
    let names = Names {
        dns: Vec::new(),
        addresses: vec!["127.0.0.1".parse().unwrap()],
    };
    let pair = authority
        .issue(&names, Duration::from_hours(24), SystemTime::now())
        .unwrap();
    let chain = CertificateDer::pem_slice_iter(pair.certificate.as_bytes()).map(Result::unwrap);
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    config
        .with_no_client_auth()
        .with_single_cert(chain.collect(), key)
        .unwrap()
}

fn configuration(
    name: &str,
    failure_policy: &str,
    namespace: &Namespace,
    address: SocketAddr,
    authority: &Authority,
) -> Value {
    json!({
        "metadata": {"name": name},
        "webhooks": [{
            "name": "other.tests.pullkey.dev",
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "failurePolicy": failure_policy,
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace.name}},
            "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}],
            "clientConfig": {
                "url": format!("https://{address}/"),
                "caBundle": STANDARD.encode(&authority.pair().certificate),
            },
        }],
    })
}
