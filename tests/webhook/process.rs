//! A running webhook, and the directory that it was started in.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pullkey::certs::make::{Authority, Names, Pair};
use regex::Regex;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::client::{self, Client, PATIENCE, Response, post, shake_hands};
use crate::program::program;

/// What a webhook is started with.
pub(crate) struct Shelf {
    directory: TempDir,
    pub(crate) authority: Authority,
}

/// A webhook that serves; it is killed with the test.
pub(crate) struct Webhook {
    child: Child,
    said: Arc<Mutex<String>>,
    listener: Option<JoinHandle<()>>,
    address: SocketAddr,
    health: Option<SocketAddr>,
    roots: RootCertStore,
}

/// A cluster rule for the images of a host.
pub(crate) fn rule(name: &str, host: &str) -> String {
    format!(
        "apiVersion: pullkey.dev/v1alpha1\nkind: ClusterPullSecretRule\nmetadata: {{name: {name}}}\n\
         spec: {{images: [{host}], namespaces: {{include: [\"*\"]}}, secret: {{name: {name}-pull}}}}\n---\n"
    )
}

/// The review of a Pod with that image.
pub(crate) fn review(uid: &str, image: &str) -> String {
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": uid,
            "operation": "CREATE",
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "namespace": "team-a",
            "object": {"spec": {"containers": [{"image": image}]}},
        },
    })
    .to_string()
}

/// The secrets that an answer adds.
pub(crate) fn added(answer: &str) -> Vec<String> {
    let answer: Value = serde_json::from_str(answer).unwrap();
    assert_eq!(answer["response"]["allowed"], true);
    let Some(patch) = answer["response"]["patch"].as_str() else {
        return Vec::new();
    };
    let patch: Value = serde_json::from_slice(&STANDARD.decode(patch).unwrap()).unwrap();
    let names = patch[0]["value"].as_array().unwrap().iter();
    names
        .map(|secret| secret["name"].as_str().unwrap().to_owned())
        .collect()
}

/// Waits until it holds.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let holding = async {
        while !holds().await {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, holding)
        .await
        .unwrap_or_else(|_| panic!("never came true: {what}"));
}

impl Shelf {
    /// One with the pair `tls.crt` and `tls.key` of a new authority, and a rule for a.example.
    pub(crate) fn new() -> Self {
        let shelf = Self {
            directory: tempfile::tempdir().unwrap(),
            authority: Authority::new(SystemTime::now()).unwrap(),
        };
        shelf.put_pair("", &shelf.pair());
        shelf.put("rules.yaml", &rule("first", "a.example"));
        shelf
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Puts a file in place in one step, so that nobody reads the half of it.
    pub(crate) fn put(&self, name: &str, content: &str) {
        let aside = self.path(&format!("{name}_tmp"));
        fs::create_dir_all(aside.parent().unwrap()).unwrap();
        fs::write(&aside, content).unwrap();
        fs::rename(&aside, self.path(name)).unwrap();
    }

    pub(crate) fn put_pair(&self, directory: &str, pair: &Pair) {
        self.put(&format!("{directory}tls.crt"), &pair.certificate);
        self.put(&format!("{directory}tls.key"), &pair.key);
    }

    /// A pair for this machine.
    pub(crate) fn pair(&self) -> Pair {
        let (names, now) = (Names::this_machine(), SystemTime::now());
        self.authority.issue(&names, Duration::from_hours(24), now).unwrap()
    }

    /// The program in this directory, on ports that the system picks.
    pub(crate) fn program(&self, line: &str) -> Command {
        let line = format!("webhook --listen 127.0.0.1:0 {line}");
        let mut program = program(self.directory.path(), &line.split_whitespace().collect::<Vec<_>>());
        program.env("PULLKEY_HEALTH_LISTEN", "127.0.0.1:0");
        program
    }

    /// A webhook of the rules in `rules.yaml` and of this pair, with these options on top.
    pub(crate) async fn start(&self, line: &str) -> Webhook {
        let line = format!("--rules rules.yaml --tls-cert tls.crt --tls-key tls.key {line}");
        Webhook::start(self.program(&line), &self.authority.pair().certificate).await
    }

    /// Exchanges what `link` leads to in one step, as a mounted volume does.
    pub(crate) fn swap(&self, link: &str, target: &str) {
        let aside = self.path(&format!("{link}_tmp"));
        std::os::unix::fs::symlink(target, &aside).unwrap();
        fs::rename(&aside, self.path(link)).unwrap();
    }
}

impl Webhook {
    /// Starts it, and waits until it says where it listens.
    pub(crate) async fn start(mut program: Command, authority: &str) -> Self {
        let mut child = program.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let (output, heard) = (BufReader::new(child.stderr.take().unwrap()), Arc::clone(&said));
        let listener = thread::spawn(move || {
            for line in output.lines() {
                let mut heard = heard.lock().unwrap();
                heard.push_str(&line.unwrap());
                heard.push('\n');
            }
        });
        let mut webhook = Self {
            child,
            said,
            listener: Some(listener),
            address: ([0, 0, 0, 0], 0).into(),
            health: None,
            roots: roots(authority),
        };
        let place = Regex::new(r"https://([0-9.:]+)/mutate").unwrap();
        let health = Regex::new(r"http://([0-9.:]+[0-9])").unwrap();
        webhook.says("/mutate").await;
        // The banner is written in one piece, so what it says of the health port is there, too.
        let said = webhook.said();
        let find = |place: &Regex| place.captures(&said).map(|found| found[1].parse().unwrap());
        webhook.address = find(&place).unwrap_or_else(|| panic!("{said}"));
        webhook.health = find(&health);
        webhook
    }

    /// All that it has said so far.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Waits until it has said this.
    pub(crate) async fn says(&self, what: &str) {
        eventually(what, async || self.said().contains(what)).await;
    }

    /// A connection to it.
    pub(crate) async fn connect(&self) -> Client {
        self.connect_as(None).await
    }

    pub(crate) async fn connect_as(&self, identity: Option<client::Pair>) -> Client {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let handshake = shake_hands("localhost", self.roots.clone(), &["http/1.1"], stream, identity);
        Client::new(
            timeout(PATIENCE, handshake)
                .await
                .expect("a handshake in time")
                .unwrap(),
        )
    }

    pub(crate) async fn review(&self, body: &str) -> Response {
        let mut client = self.connect().await;
        client.send(&post(body)).await;
        client.response().await.expect("an answer")
    }

    /// The secrets that a Pod with that image gets.
    pub(crate) async fn secrets(&self, image: &str) -> Vec<String> {
        let answer = self.review(&review("u", image)).await;
        assert_eq!(answer.status, 200);
        added(&answer.body)
    }

    /// Whether it serves that certificate to new connections.
    pub(crate) async fn shows(&self, pair: &Pair) -> bool {
        let shown = self.connect().await.stream.get_ref().1.peer_certificates().unwrap()[0].clone();
        shown == CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn has_health(&self) -> bool {
        self.health.is_some()
    }

    /// The whole answer of the health port.
    pub(crate) async fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.health.unwrap()).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        timeout(PATIENCE, stream.read_to_string(&mut answer))
            .await
            .unwrap()
            .unwrap();
        answer
    }

    /// Waits until the metrics hold this line.
    pub(crate) async fn counts(&self, line: &str) {
        eventually(line, async || {
            self.get("/metrics").await.lines().any(|told| told == line)
        })
        .await;
    }

    /// Sends it a signal, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Waits until it has ended by itself; its exit code and all that it said.
    pub(crate) async fn ended(mut self) -> (Option<i32>, String) {
        let mut status = None;
        eventually("the program ends", async || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        self.listener.take().unwrap().join().unwrap();
        (status.unwrap().code(), self.said())
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        // One that has ended cannot be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn roots(pem: &str) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap())
        .unwrap();
    roots
}

/// The text of a file.
pub(crate) fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}
