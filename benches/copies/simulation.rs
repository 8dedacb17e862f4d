//! An API server for one program, with more objects than this machine would like to keep in etcd.
//!
//! In: an [`Inventory`]. Out: its objects in lists by pages, watches in which nothing happens but bookmarks, and a Lease.
//! It speaks HTTP/1.1 over TLS as the real one does with this client. The programs are to find everything in order:
//! what they write is counted, and nothing comes of it.

use std::fs;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body::Frame;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use pullkey::certs::make::{Authority, Names};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Interval, interval};
use tokio_rustls::TlsAcceptor;

use super::inventory::Inventory;

/// How often a watch says that nothing happened.
const BOOKMARK: Duration = Duration::from_mins(1);

/// A running simulation; it ends when this is dropped.
pub(crate) struct Simulation {
    address: std::net::SocketAddr,
    authority: String,
    server: Arc<Server>,
    #[expect(dead_code, reason = "its connections end when it is dropped")]
    tasks: JoinSet<()>,
}

struct Server {
    inventory: Inventory,
    lease: Mutex<Option<Value>>,
    /// Method and path of each call that would have changed something.
    writes: Mutex<Vec<String>>,
}

/// The body of a watch.
struct Bookmarks(Interval);

impl Simulation {
    pub(crate) async fn start(inventory: Inventory) -> Self {
        let now = SystemTime::now();
        let authority = Authority::new(now).unwrap();
        let pair = authority
            .issue(&Names::this_machine(), Duration::from_hours(24), now)
            .unwrap();
        let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let server = Arc::new(Server {
            inventory,
            lease: Mutex::default(),
            writes: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&server));
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, TlsAcceptor::from(Arc::new(config)), router));
        Self {
            address,
            authority: authority.pair().certificate.clone(),
            server,
            tasks,
        }
    }

    /// Writes the file that leads a client here.
    pub(crate) fn write_kubeconfig(&self, path: &Path) {
        let authority = STANDARD.encode(&self.authority);
        let server = format!("https://{}", self.address);
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
            "clusters": [{"name": "here", "cluster": {"server": server, "certificate-authority-data": authority}}],
            "users": [{"name": "me", "user": {"token": "none"}}],
        });
        fs::write(path, kubeconfig.to_string()).unwrap();
    }

    /// Method and path of each call that would have changed something.
    pub(crate) fn writes(&self) -> Vec<String> {
        self.server.writes.lock().unwrap().clone()
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, router: Router) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (acceptor, service) = (acceptor.clone(), TowerToHyperService::new(router.clone()));
        connections.spawn(async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                let builder = auto::Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            }
        });
    }
}

async fn answer(State(server): State<Arc<Server>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    if path.contains("/leases") {
        return server.lease(request).await;
    }
    if request.method() != Method::GET {
        let write = format!("{} {path}", request.method());
        server.writes.lock().unwrap().push(write);
        return Response::new(Body::from("{}"));
    }
    let parameter = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find_map(|(key, value)| (key == name).then_some(value))
    };
    if parameter("watch").is_some() {
        return Response::new(Body::new(Bookmarks(interval(BOOKMARK))));
    }
    let number = |name| parameter(name).and_then(|number| number.parse().ok());
    let selector = parameter("labelSelector").unwrap_or_default();
    let page = server.inventory.page(
        &path,
        selector,
        number("continue").unwrap_or(0),
        number("limit").unwrap(),
    );
    page.map_or(StatusCode::NOT_FOUND.into_response(), IntoResponse::into_response)
}

impl Server {
    /// A Lease that nobody else wants.
    async fn lease(&self, request: Request) -> Response {
        if request.method() != Method::GET {
            let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
            let mut lease: Value = serde_json::from_slice(&body).unwrap();
            lease["metadata"]["resourceVersion"] = json!("1");
            *self.lease.lock().unwrap() = Some(lease);
        }
        match &*self.lease.lock().unwrap() {
            Some(lease) => Response::new(Body::from(lease.to_string())),
            None => StatusCode::NOT_FOUND.into_response(),
        }
    }
}

impl axum::body::HttpBody for Bookmarks {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_tick(context).map(|_| {
            let line = json!({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "1"}}});
            Some(Ok(Frame::data(format!("{line}\n").into())))
        })
    }
}
