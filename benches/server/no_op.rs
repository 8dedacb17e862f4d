//! The server to compare with: the webhook's certificates, TLS, HTTP and router, without anything of ours in between.

use std::path::Path;
use std::time::SystemTime;

use axum::Router;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::routing::post;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use pullkey::certs::files;
use pullkey::certs::watch::Watch;
use pullkey::server::{ALPN_PROTOCOLS, PATH};
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio_rustls::TlsAcceptor;

use super::Outcome;
use super::process::announce;

/// As long as the answer of a webhook that adds two secrets.
const ANSWER: &str = r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"705ab4f5-6393-11e8-b7cc-42010a800002","allowed":true,"patchType":"JSONPatch","patch":"W3sib3AiOiJhZGQiLCJwYXRoIjoiL3NwZWMvaW1hZ2VQdWxsU2VjcmV0cy8tIiwidmFsdWUiOnsibmFtZSI6ImFjbWUtcHVsbCJ9fV0=","auditAnnotations":{"rules":"acme-ghcr","secrets":"acme-pull"}}}"#;

/// Serves until the process is ended.
pub(crate) fn run(certificates: &Path) -> Outcome<()> {
    Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(serve(certificates))
}

async fn serve(certificates: &Path) -> Outcome<()> {
    let certificate = Watch::start(files::serving(certificates), ALPN_PROTOCOLS, SystemTime::now())?;
    let acceptor = TlsAcceptor::from(certificate.config().load_full());
    let answer = async |_body: Bytes| ([(CONTENT_TYPE, "application/json")], ANSWER);
    let service = TowerToHyperService::new(Router::new().route(PATH, post(answer)));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    announce(listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (acceptor, service) = (acceptor.clone(), service.clone());
        tokio::spawn(async move {
            // Whatever goes wrong here is seen by the caller, who ends the bench.
            if let Ok(stream) = acceptor.accept(stream).await {
                let builder = auto::Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            }
        });
    }
}
