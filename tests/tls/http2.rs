//! The few frames of HTTP/2 (RFC 9113) that a call needs, written by hand: a client library would be a dependency of
//! every test build.

use crate::client::NAME;
use crate::client::PATIENCE;
use crate::harness::Harness;
use crate::stub::review;
use std::net::Ipv4Addr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

pub(crate) const HEADERS: u8 = 1;
const DATA: u8 = 0;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;

const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// `:status: 200` in HPACK's static table.
const STATUS_200: u8 = 0x88;

pub(crate) struct Http2 {
    stream: TlsStream<TcpStream>,
    next_id: u32,
}

#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    flags: u8,
    pub(crate) payload: Vec<u8>,
}

impl Harness {
    pub(crate) async fn connect_http2(&self, source: Ipv4Addr) -> Http2 {
        let mut stream = self.tls(&["h2", "http/1.1"], source, None).await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        let mut client = Http2 { stream, next_id: 1 };
        client.write(SETTINGS, 0, 0, &[]).await;
        client
    }
}

impl Http2 {
    /// Sends a review and waits for the body of its answer.
    pub(crate) async fn review(&mut self, uid: &str) -> String {
        let id = self.begin(review(uid).len()).await;
        self.write(DATA, END_STREAM, id, review(uid).as_bytes()).await;
        self.answer().await
    }

    /// Sends the head of a POST.
    pub(crate) async fn begin(&mut self, length: usize) -> u32 {
        let id = self.next_id;
        self.next_id += 2;
        // POST and https of the static table, then literals under names of it.
        let mut head = vec![0x83, 0x87];
        for (name, value) in [
            (&[0x04][..], "/mutate?timeout=10s"),
            (&[0x01], NAME),
            (&[0x0f, 0x10], "application/json"),
            (&[0x0f, 0x0d], &length.to_string()),
        ] {
            head.extend_from_slice(name);
            head.push(u8::try_from(value.len()).unwrap());
            head.extend_from_slice(value.as_bytes());
        }
        self.write(HEADERS, END_HEADERS, id, &head).await;
        id
    }

    pub(crate) async fn finish(&mut self, id: u32, body: &str) -> String {
        self.write(DATA, END_STREAM, id, body.as_bytes()).await;
        self.answer().await
    }

    /// The body of the answer that comes next, whose status is 200.
    async fn answer(&mut self) -> String {
        let mut body = Vec::new();
        loop {
            let frame = self.frame().await.expect("an answer");
            match frame.kind {
                HEADERS => assert_eq!(frame.payload[0], STATUS_200),
                DATA => body.extend_from_slice(&frame.payload),
                _ => continue,
            }
            if frame.flags & END_STREAM != 0 {
                return String::from_utf8(body).unwrap();
            }
        }
    }

    /// The next frame, or `None` if the connection ended. Pings and settings are acknowledged on the way.
    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        let frame = timeout(PATIENCE, self.read())
            .await
            .expect("a frame or an end in time")?;
        if matches!(frame.kind, PING | SETTINGS) && frame.flags & ACK == 0 {
            let payload = if frame.kind == PING {
                frame.payload.clone()
            } else {
                Vec::new()
            };
            self.write(frame.kind, ACK, 0, &payload).await;
        }
        Some(frame)
    }

    async fn read(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.stream.read_exact(&mut payload).await.ok()?;
        Some(Frame {
            kind: head[3],
            flags: head[4],
            payload,
        })
    }

    async fn write(&mut self, kind: u8, flags: u8, id: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags];
        frame.extend_from_slice(&id.to_be_bytes());
        frame.extend_from_slice(payload);
        // The server may have closed the connection, which the next read tells.
        let _ = self.stream.write_all(&frame).await;
        let _ = self.stream.flush().await;
    }
}
