//! The caller: reviews over TLS connections that stay open, as the API server sends them.
//!
//! One thread looks at all connections in turn and never sleeps. A caller that sleeps is woken by the server's own
//! write, on the server's account, and the slower server finds it asleep more often: on a virtual machine that costs
//! more than reading a review.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use pullkey::server::PATH;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use super::Outcome;
use super::process::World;

/// The longest wait for one answer, so that a bench ends.
const PATIENCE: Duration = Duration::from_mins(1);

/// Trusts the world's certificates.
pub(crate) struct Caller(Arc<ClientConfig>);

/// An open HTTP/1.1 connection. Nothing but its opening waits.
pub(crate) struct Connection {
    session: ClientConnection,
    socket: TcpStream,
    received: Vec<u8>,
}

/// A whole request.
pub(crate) fn request(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {PATH}?timeout=10s HTTP/1.1\r\nhost: localhost\r\nuser-agent: kube-apiserver-admission\r\n\
         content-length: {}\r\naccept: application/json, */*\r\ncontent-type: application/json\r\n\
         accept-encoding: gzip\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Sends the request that often, on each connection as soon as it has its answer, and says how long each took.
pub(crate) fn calls(connections: &mut [Connection], request: &[u8], calls: usize) -> Outcome<Vec<Duration>> {
    let mut latencies = Vec::with_capacity(calls);
    let mut sent: Vec<Option<Instant>> = vec![None; connections.len()];
    let mut begun = 0;
    while latencies.len() < calls {
        for (connection, sent) in connections.iter_mut().zip(&mut sent) {
            if sent.is_none() && begun < calls {
                begun += 1;
                *sent = Some(Instant::now());
                connection.send(request)?;
            }
            let Some(since) = sent else { continue };
            match connection.answer()? {
                Some(200) => latencies.extend(sent.take().as_ref().map(Instant::elapsed)),
                Some(status) => return Err(format!("answered with status {status}").into()),
                None if since.elapsed() > PATIENCE => return Err("no answer in time".into()),
                None => {}
            }
        }
        // Whoever else has work may have it done.
        thread::yield_now();
    }
    Ok(latencies)
}

impl Caller {
    pub(crate) fn new(world: &World) -> Outcome<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(world.certificates().join("ca.crt"))?)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }

    /// Opens so many connections, handshakes done.
    pub(crate) fn connect(&self, address: SocketAddr, connections: usize) -> Outcome<Vec<Connection>> {
        (0..connections).map(|_| self.open(address)).collect()
    }

    fn open(&self, address: SocketAddr) -> Outcome<Connection> {
        let mut socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let mut session = ClientConnection::new(self.0.clone(), ServerName::try_from("localhost")?)?;
        session.set_buffer_limit(None);
        while session.is_handshaking() {
            session.complete_io(&mut socket)?;
        }
        socket.set_nonblocking(true)?;
        Ok(Connection {
            session,
            socket,
            received: Vec::new(),
        })
    }
}

impl Connection {
    /// Begins to send a request, or a part of one.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Outcome<()> {
        self.session.writer().write_all(bytes)?;
        Ok(())
    }

    /// Whether something is still to be sent.
    pub(crate) fn is_sending(&self) -> bool {
        self.session.wants_write()
    }

    /// Sends and receives what can be, and takes the status of an answer if all of it is there.
    pub(crate) fn answer(&mut self) -> Outcome<Option<u16>> {
        match self.session.complete_io(&mut self.socket) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error.into()),
            _ => {}
        }
        match self.session.reader().read_to_end(&mut self.received) {
            Ok(_) => return Err("the connection ended before the answer".into()),
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error.into()),
            Err(_) => {}
        }
        let status = whole_answer(&self.received)?;
        if status.is_some() {
            self.received.clear();
        }
        Ok(status)
    }
}

/// The status of an answer, if all of it is there.
fn whole_answer(received: &[u8]) -> Outcome<Option<u16>> {
    let Some((head, body)) = str::from_utf8(received)?.split_once("\r\n\r\n") else {
        return Ok(None);
    };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.ok_or("an answer without a length")?.parse()?;
    let status = head.split(' ').nth(1).ok_or("an answer without a status")?.parse()?;
    Ok((body.len() >= length).then_some(status))
}
