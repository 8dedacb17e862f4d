//! The test's own server as the client sees it.

use crate::harness::Harness;
use crate::stub::review;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

#[path = "../common/client.rs"]
mod common;

pub(crate) use common::{Client, NAME, PATIENCE, Pair, closed, post, post_head};

/// The loopback address of most callers.
pub(crate) const CALLER: Ipv4Addr = Ipv4Addr::LOCALHOST;

pub(crate) fn loopback(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, number)
}

/// A TCP connection from that address.
pub(crate) async fn dial(server: SocketAddr, source: Ipv4Addr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((source, 0).into())?;
    socket.connect(server).await
}

impl Harness {
    pub(crate) async fn tcp(&self, source: Ipv4Addr) -> TcpStream {
        dial(self.address, source).await.unwrap()
    }

    pub(crate) async fn tls(&self, alpn: &[&str], source: Ipv4Addr, identity: Option<Pair>) -> TlsStream<TcpStream> {
        let handshake = handshake(self, alpn, self.tcp(source).await, identity);
        timeout(PATIENCE, handshake)
            .await
            .expect("a handshake in time")
            .unwrap()
    }

    /// A connection as the API server opens it.
    pub(crate) async fn connect(&self) -> Client {
        self.connect_from(CALLER).await
    }

    pub(crate) async fn connect_from(&self, source: Ipv4Addr) -> Client {
        Client::new(self.tls(&["http/1.1"], source, None).await)
    }
}

pub(crate) async fn handshake(
    harness: &Harness,
    alpn: &[&str],
    stream: TcpStream,
    identity: Option<Pair>,
) -> io::Result<TlsStream<TcpStream>> {
    common::shake_hands(NAME, harness.authority.roots(), alpn, stream, identity).await
}

impl Client {
    /// Sends a review and waits for its answer.
    pub(crate) async fn review(&mut self, uid: &str) -> common::Response {
        self.send(&post(&review(uid))).await;
        self.response().await.expect("an answer")
    }
}
