//! The servers as processes, and what the system says of them.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use pullkey::server::PATH;
use serde_json::{Value, from_str, json};
use tempfile::TempDir;

use super::Outcome;

/// The program, built as the bench is.
const PROGRAM: &str = env!("CARGO_BIN_EXE_pullkey");

/// What the servers need beside themselves.
pub(crate) struct World {
    directory: TempDir,
}

/// A server that serves. It ends when this is dropped.
pub(crate) struct Server {
    child: Process,
    /// Kept, so that the process may go on writing.
    _log: BufReader<ChildStderr>,
    started: Instant,
    pub(crate) address: SocketAddr,
    health: Option<SocketAddr>,
}

struct Process(Child);

/// Says where this process serves, in the webhook's own words.
pub(crate) fn announce(address: SocketAddr) {
    let event = json!({ "fields": { "url": format!("https://{address}{PATH}") } });
    let _ = writeln!(std::io::stderr(), "{event}");
}

impl World {
    pub(crate) fn new() -> Outcome<Self> {
        let world = Self {
            directory: tempfile::tempdir()?,
        };
        let made = Command::new(PROGRAM)
            .args(["certs", "--dns", "localhost", "--ip", "127.0.0.1", "--out"])
            .arg(world.certificates())
            .output()?;
        if made.status.success() {
            Ok(world)
        } else {
            Err(String::from_utf8_lossy(&made.stderr).into())
        }
    }

    /// A path for a file of that name.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The directory with the authority and the serving pair.
    pub(crate) fn certificates(&self) -> PathBuf {
        self.path("certs")
    }

    /// The rules that ship.
    pub(crate) fn shipped_rules() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("config/rules.yaml")
    }

    /// Starts the server that does nothing.
    pub(crate) fn no_op(&self) -> Outcome<Command> {
        let mut command = Command::new(env::current_exe()?);
        command.arg("no-op").arg(self.certificates());
        Ok(command)
    }

    /// Starts the program.
    pub(crate) fn webhook(&self, rules: &Path) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(["webhook", "--log-format", "json", "--drain-grace", "0s"]);
        command.args(["--listen", "127.0.0.1:0", "--health-listen", "127.0.0.1:0"]);
        command.arg("--rules").arg(rules);
        command.arg("--tls-cert").arg(self.certificates().join("tls.crt"));
        command.arg("--tls-key").arg(self.certificates().join("tls.key"));
        command
    }

    /// Starts the same where instructions can be counted: [`Server::count`] says from when to when.
    pub(crate) fn counted(&self, command: &Command) -> Command {
        let mut valgrind = Command::new("valgrind");
        valgrind.args([
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
            "--instr-atstart=no",
        ]);
        valgrind.arg(format!("--log-file={}", self.path("valgrind").display()));
        valgrind.arg(command.get_program()).args(command.get_args());
        valgrind
    }

    /// How many instructions the last one executed that was counted and has ended.
    pub(crate) fn instructions(&self) -> Outcome<u64> {
        let log = fs::read_to_string(self.path("valgrind"))?;
        let count = log.lines().find_map(|line| line.split_once("Collected :"));
        Ok(count.ok_or("valgrind says no count")?.1.trim().parse()?)
    }
}

impl Server {
    /// Waits until the process says where it serves. It gets one worker, as in a container with one CPU: whether a
    /// second one sleeps or is woken is chance, and costs as much as a review.
    pub(crate) fn start(command: &mut Command) -> Outcome<Self> {
        let started = Instant::now();
        command.env("TOKIO_WORKER_THREADS", "1").stderr(Stdio::piped());
        let mut child = Process(command.spawn()?);
        let mut log = BufReader::new(child.0.stderr.take().ok_or("no standard error")?);
        loop {
            let mut line = String::new();
            if log.read_line(&mut line)? == 0 {
                return Err("a server ended before it served".into());
            }
            let event: Value = from_str(&line).map_err(|_| line)?;
            let address = |field: &str, path: &str| -> Option<SocketAddr> {
                let url = event["fields"][field].as_str()?;
                url.split_once("://")?.1.trim_end_matches(path).parse().ok()
            };
            if let Some(found) = address("url", PATH) {
                return Ok(Self {
                    health: address("health", ""),
                    address: found,
                    child,
                    _log: log,
                    started,
                });
            }
        }
    }

    /// Asks whether the server is ready, which it has to be by now, and says how long after its start that was known.
    pub(crate) fn ready_after(&self) -> Outcome<Duration> {
        let mut stream = TcpStream::connect(self.health.ok_or("no health port")?)?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let ready_after = self.started.elapsed();
        if answer.starts_with("HTTP/1.1 200 ") {
            Ok(ready_after)
        } else {
            Err(answer.into())
        }
    }

    /// The CPU time that all threads have used so far, their system calls included.
    pub(crate) fn cpu(&self) -> Outcome<Duration> {
        let mut nanoseconds = 0;
        for task in fs::read_dir(self.proc("task"))? {
            let statistics = fs::read_to_string(task?.path().join("schedstat"))?;
            let used = statistics.split(' ').next().ok_or("no time in schedstat")?;
            nanoseconds += used.parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// One of the sizes in `/proc/PID/status`, in MiB: `VmRSS` is resident now, `VmHWM` was at most.
    pub(crate) fn memory(&self, field: &str) -> Outcome<f64> {
        let status = fs::read_to_string(self.proc("status"))?;
        let line = status
            .lines()
            .find(|line| line.starts_with(field))
            .ok_or("no such size")?;
        let kib = line.split_whitespace().nth(1).ok_or("no number")?;
        Ok(kib.parse::<f64>()? / 1024.0)
    }

    /// Begins or ends to count instructions.
    pub(crate) fn count(&self, on: bool) -> Outcome<()> {
        let switch = if on { "--instr=on" } else { "--instr=off" };
        let process = self.child.0.id().to_string();
        let switched = Command::new("callgrind_control").args([switch, &process]).output()?;
        let told = String::from_utf8_lossy(&switched.stdout);
        if told.contains("OK.") { Ok(()) } else { Err(told.into()) }
    }

    /// Asks the process to end, and waits until it has.
    pub(crate) fn end(mut self) -> Outcome<()> {
        Command::new("kill").arg(self.child.0.id().to_string()).status()?;
        self.child.0.wait()?;
        Ok(())
    }

    fn proc(&self, name: &str) -> PathBuf {
        Path::new("/proc").join(self.child.0.id().to_string()).join(name)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
