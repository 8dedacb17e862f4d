//! A small client: TLS as the API server speaks it, HTTP/1.1 by hand.

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How long anything that has to happen may take on a machine that is busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What the servers' certificates are for.
pub(crate) const NAME: &str = "pullkey.pullkey-system.svc";

/// A certificate chain and its key.
pub(crate) type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// An open connection that speaks HTTP/1.1.
pub(crate) struct Client {
    pub(crate) stream: TlsStream<TcpStream>,
    received: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Shakes hands with a server of that name.
pub(crate) async fn shake_hands(
    name: &'static str,
    roots: RootCertStore,
    alpn: &[&str],
    stream: TcpStream,
    identity: Option<Pair>,
) -> io::Result<TlsStream<TcpStream>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let config = config.with_root_certificates(roots);
    let mut config = match identity {
        Some((chain, key)) => config.with_client_auth_cert(chain, key).unwrap(),
        None => config.with_no_client_auth(),
    };
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    TlsConnector::from(Arc::new(config))
        .connect(name.try_into().unwrap(), stream)
        .await
}

/// The head of a POST with a body of that length.
pub(crate) fn post_head(timeout: &str, length: usize) -> String {
    format!(
        "POST /mutate?timeout={timeout} HTTP/1.1\r\nhost: {NAME}:443\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n"
    )
}

/// A whole request.
pub(crate) fn post(body: &str) -> String {
    post_head("10s", body.len()) + body
}

impl Client {
    pub(crate) fn new(stream: TlsStream<TcpStream>) -> Self {
        Self {
            stream,
            received: Vec::new(),
        }
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// The next answer, or `None` if the connection ended first.
    pub(crate) async fn response(&mut self) -> Option<Response> {
        timeout(PATIENCE, self.read_response())
            .await
            .expect("an answer or an end in time")
    }

    async fn read_response(&mut self) -> Option<Response> {
        let head_end = loop {
            if let Some(end) = self.received.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            self.read_more().await?;
        };
        let head = String::from_utf8(self.received.drain(..head_end).collect())
            .unwrap()
            .to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length = length.map_or(0, |length| length.parse().unwrap());
        while self.received.len() < length {
            self.read_more().await?;
        }
        let body = String::from_utf8(self.received.drain(..length).collect()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Some(Response { status, head, body })
    }

    async fn read_more(&mut self) -> Option<()> {
        let read = self.stream.read_buf(&mut self.received).await.unwrap_or(0);
        (read > 0).then_some(())
    }

    /// Waits until the server has closed the connection.
    pub(crate) async fn closed(&mut self) {
        closed(&mut self.stream).await;
    }
}

impl Response {
    pub(crate) fn closes(&self) -> bool {
        self.head.contains("\r\nconnection: close\r\n")
    }
}

/// Waits until nothing more comes.
pub(crate) async fn closed(stream: &mut (impl AsyncRead + Unpin)) {
    let mut rest = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut rest))
        .await
        .expect("the server closes the connection");
}
