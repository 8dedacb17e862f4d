//! The program as a process that ends with this one, and what it says.
//!
//! In: its arguments and where it stands. Out: its log, its addresses, its metrics, its end.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{control_plane_program, until};

/// A running `pullkey`; it is killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    said: Arc<Mutex<String>>,
    /// Where it answers probes.
    pub(crate) health: SocketAddr,
    /// Its word of what it serves: the fields of one event.
    pub(crate) serving: Value,
}

impl Process {
    /// Starts it with a log as JSON, and waits until it says where it answers.
    pub(crate) async fn start(
        arguments: &[String],
        environment: impl IntoIterator<Item = (String, String)>,
        directory: &Path,
    ) -> Self {
        let mut child = Command::new(control_plane_program())
            .args(["hold", env!("CARGO_BIN_EXE_pullkey")])
            .args(arguments)
            .env_clear()
            .envs(allocator())
            .envs(environment)
            .current_dir(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let listener = Arc::clone(&said);
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut said = listener.lock().unwrap();
                said.push_str(&line);
                said.push('\n');
            }
        });
        let (serving, health) = until("the program says where it answers", async || {
            if let Some(ended) = child.try_wait().unwrap() {
                panic!("the program has ended with {ended}:\n{}", said.lock().unwrap());
            }
            let said = said.lock().unwrap();
            let events = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let mut events = events.map(|mut event| event["fields"].take());
            events.find_map(|event| {
                let health = address(&event["health"])?;
                Some((event, health))
            })
        })
        .await;
        Self {
            child,
            said,
            health,
            serving,
        }
    }

    pub(crate) fn log(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// The sum of a metric over all its labels that hold `labels`.
    pub(crate) async fn metric(&self, name: &str, labels: &str) -> f64 {
        sum_of(&self.metrics().await, name, labels)
    }

    /// All its metrics, as Prometheus reads them; none if nobody answers.
    pub(crate) async fn metrics(&self) -> String {
        let answer = get(self.health, "/metrics").await;
        answer.map(|(_, text)| text).unwrap_or_default()
    }

    /// Sends a signal such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let process = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", name, &process]).status();
        assert!(status.unwrap().success());
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        until("the program ends", async || self.child.try_wait().unwrap()).await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // What holds the program kills it when its standard input closes; a test wants it gone, and not only going.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("the program at {} said:\n{}", self.health, self.log());
        }
    }
}

/// What the image sets for the allocator.
fn allocator() -> impl Iterator<Item = (&'static str, &'static str)> {
    let words = include_str!("../../../Dockerfile").split_whitespace();
    words
        .filter(|word| word.starts_with("MALLOC_"))
        .filter_map(|word| word.split_once('='))
}

/// The sum of a metric over all its labels that hold `labels`, in a text for Prometheus.
pub(crate) fn sum_of(text: &str, name: &str, labels: &str) -> f64 {
    let is_asked = |line: &&str| {
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with(['{', ' ']) && rest.contains(labels))
    };
    text.lines()
        .filter(is_asked)
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
        .sum()
}

/// The address in a URL.
pub(crate) fn address(url: &Value) -> Option<SocketAddr> {
    let (_, rest) = url.as_str()?.split_once("://")?;
    rest.split('/').next()?.parse().ok()
}

/// Status and body of a plain HTTP answer, unless nobody answers.
pub(crate) async fn get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: replica\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}
