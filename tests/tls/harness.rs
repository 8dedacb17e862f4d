//! A server in the test's own runtime, and the certificates of its world.

use crate::client::{NAME, PATIENCE, Pair};
use crate::stub::Stub;
use arc_swap::ArcSwap;
use pullkey::admission::{Malformed, Review};
use pullkey::metrics::Metrics;
use pullkey::readiness::Readiness;
use pullkey::server::{ALPN_PROTOCOLS, Admit, Answer, Server, Settings};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

pub(crate) struct Harness {
    pub(crate) address: SocketAddr,
    pub(crate) authority: Authority,
    pub(crate) tls: Arc<ArcSwap<ServerConfig>>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) readiness: Arc<Readiness>,
    shutdown: Option<oneshot::Sender<()>>,
    pub(crate) serving: JoinHandle<()>,
}

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

/// Panics on the uid `panic`, and on `panic twice` even where it answers for that.
struct Moody;

impl Admit for Moody {
    fn read<'a>(&self, body: &'a [u8]) -> Result<Review<'a>, Malformed> {
        Stub.read(body)
    }

    fn admit(&self, review: &Review<'_>) -> Answer {
        assert!(!review.uid.starts_with("panic"), "an injected panic");
        Stub.admit(review)
    }

    fn answer_to_fault(&self, uid: &str) -> Vec<u8> {
        assert_ne!(uid, "panic twice", "an injected panic");
        Stub.answer_to_fault(uid)
    }
}

impl Harness {
    pub(crate) async fn start(settings: Settings) -> Self {
        let authority = Authority::new();
        let config = server_config(authority.issue(), None);
        Self::start_with(settings, authority, config).await
    }

    pub(crate) async fn start_with_client_certificates(settings: Settings) -> Self {
        let authority = Authority::new();
        let config = server_config(authority.issue(), Some(authority.roots()));
        Self::start_with(settings, authority, config).await
    }

    async fn start_with(settings: Settings, authority: Authority, config: ServerConfig) -> Self {
        let tls = Arc::new(ArcSwap::from_pointee(config));
        let metrics = Arc::new(Metrics::new([]));
        let readiness = Arc::new(Readiness::default());
        let server = Server::new(
            settings,
            tls.clone(),
            Arc::new(Moody),
            metrics.clone(),
            readiness.clone(),
        );
        let bound = server.bind(([0, 0, 0, 0], 0).into()).await.unwrap();
        let address = ([127, 0, 0, 1], bound.local_addr().port()).into();
        let (shutdown, signal) = oneshot::channel();
        let serving = tokio::spawn(bound.serve(async {
            let _ = signal.await;
        }));
        Self {
            address,
            authority,
            tls,
            metrics,
            readiness,
            shutdown: Some(shutdown),
            serving,
        }
    }

    /// Tells the server to end.
    pub(crate) fn signal(&mut self) {
        let _ = self.shutdown.take().unwrap().send(());
    }

    /// Waits until the server has ended by itself.
    pub(crate) async fn ended(self) -> Arc<Metrics> {
        timeout(PATIENCE, self.serving)
            .await
            .expect("the server ends")
            .expect("without a panic");
        self.metrics
    }

    /// Waits until the metrics hold this line.
    pub(crate) async fn told(&self, line: &str) {
        eventually(line, || is_told(&self.metrics, line)).await;
    }
}

pub(crate) fn is_told(metrics: &Metrics, line: &str) -> bool {
    metrics.encode().lines().any(|told| told == line)
}

/// Waits until the condition holds.
pub(crate) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let holds = async {
        while !condition() {
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(PATIENCE, holds)
        .await
        .unwrap_or_else(|_| panic!("never came true: {what}"));
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self {
            issuer: Issuer::new(params, key),
            certificate,
        }
    }

    pub(crate) fn issue(&self) -> Pair {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([NAME.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        (vec![certificate], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
    }

    pub(crate) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        roots
    }
}

pub(crate) fn server_config((chain, key): Pair, client_roots: Option<RootCertStore>) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap();
    let config = match client_roots {
        Some(roots) => config.with_client_cert_verifier(
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .unwrap(),
        ),
        None => config.with_no_client_auth(),
    };
    let mut config = config.with_single_cert(chain, key).unwrap();
    config.alpn_protocols = ALPN_PROTOCOLS.iter().map(|protocol| protocol.to_vec()).collect();
    config
}
