//! The two sides of a TLS handshake, for tests that look at one.

use std::net::SocketAddr;
use std::sync::Arc;

use pullkey::certs::make::Authority;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::Acceptor;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// What a client says first.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    /// The name of the server that it wants, if it wants one by name.
    pub(crate) server_name: Option<String>,
    /// The protocols that it offers (ALPN).
    pub(crate) protocols: Vec<String>,
}

/// A connection to that address, whose certificate must be one of that authority.
pub(crate) async fn connect(address: SocketAddr, authority: &Authority) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    let pem = authority.pair().certificate.as_bytes();
    roots.add(CertificateDer::from_pem_slice(pem).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await?;
    TlsConnector::from(Arc::new(config))
        .connect(ServerName::from(address.ip()), stream)
        .await
}

/// The certificate that is served there, which must be one of that authority.
pub(crate) async fn served_certificate(
    address: SocketAddr,
    authority: &Authority,
) -> std::io::Result<CertificateDer<'static>> {
    let stream = connect(address, authority).await?;
    Ok(stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned())
}

/// Takes the next connection, and ends it when its client has spoken.
pub(crate) async fn next_hello(listener: &TcpListener) -> Hello {
    let (stream, _) = listener.accept().await.unwrap();
    let mut acceptor = Acceptor::default();
    let accepted = loop {
        stream.readable().await.unwrap();
        let mut bytes = [0; 4096];
        match stream.try_read(&mut bytes) {
            Ok(0) => panic!("the client has gone without a word"),
            Ok(read) => {
                acceptor.read_tls(&mut &bytes[..read]).unwrap();
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => panic!("the client has gone: {error}"),
        }
        if let Some(accepted) = acceptor.accept().map_err(|(error, _)| error).unwrap() {
            break accepted;
        }
    };
    let hello = accepted.client_hello();
    let protocols = hello.alpn().into_iter().flatten();
    Hello {
        server_name: hello.server_name().map(str::to_owned),
        protocols: protocols
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect(),
    }
}
