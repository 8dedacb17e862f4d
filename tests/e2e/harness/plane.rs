//! The control plane: built and started once, by the program in `tests/control-plane`.
//!
//! In: the environment, where the variables of controller-runtime's envtest count: `TEST_ASSET_KUBE_APISERVER` and its
//! like and `KUBEBUILDER_ASSETS` name servers to use instead, `USE_EXISTING_CLUSTER=true` a cluster that runs (on this
//! machine: its API server must reach loopback) for the tests that share one,
//! `KUBEBUILDER_ATTACH_CONTROL_PLANE_OUTPUT=true` shows the servers' logs.
//! Out: clients. Refuses to go on without Go: who asks for these tests is not to take silence for a yes.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock};

use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use serde_json::Value;
use tempfile::TempDir;

use super::Api;

/// A control plane that runs.
pub(crate) struct ControlPlane {
    running: Option<Running>,
}

/// One of ours.
struct Running {
    facts: Value,
    /// Where the program takes orders, and where it says that they are done. The servers end when its standard input
    /// closes, which is when this is dropped or the process ends.
    program: Mutex<(Child, BufReader<ChildStdout>)>,
}

/// The control plane of this test process.
pub(crate) fn control_plane() -> &'static ControlPlane {
    control_plane_with(&[])
}

/// The same, which is given more arguments of its API server if it does not run yet and is to be ours.
pub(crate) fn control_plane_with(arguments: &[&str]) -> &'static ControlPlane {
    static PLANE: OnceLock<ControlPlane> = OnceLock::new();
    PLANE.get_or_init(|| {
        let existing = env::var("USE_EXISTING_CLUSTER").is_ok_and(|value| value == "true");
        ControlPlane {
            running: (!existing).then(|| Running::start(arguments)),
        }
    })
}

/// The program of `tests/control-plane`, built if need be. That takes minutes, once per machine.
pub(crate) fn control_plane_program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| built(&[]))
}

/// What `tests/control-plane/build` builds when it is given these arguments.
pub(crate) fn built(arguments: &[&str]) -> PathBuf {
    // Not through the capture of the test runner: somebody is waiting.
    let built = Command::new("go")
        .args(["run", "./build"])
        .args(arguments)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/control-plane"))
        .envs([("GOTOOLCHAIN", "local"), ("GOFLAGS", "-mod=readonly")])
        .stderr(Stdio::inherit())
        .output()
        .unwrap_or_else(|error| {
            panic!("the tests on a real API server need Go, as tests/control-plane/go.mod says which: {error}")
        });
    assert!(built.status.success(), "cannot build what the tests need");
    PathBuf::from(String::from_utf8(built.stdout).unwrap().trim())
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        let mut program = Command::new(control_plane_program())
            .arg("serve")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(program.stdout.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        let facts = serde_json::from_str(&line).unwrap_or_else(|_| panic!("the control plane does not start"));
        let program = Mutex::new((program, said));
        Self { facts, program }
    }

    /// Has the program do something, and waits until it is done.
    fn order(&self, order: &str) {
        let (program, said) = &mut *self.program.lock().unwrap();
        writeln!(program.stdin.as_mut().unwrap(), "{order}").unwrap();
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        assert_eq!(line.trim_end(), order, "what the program says when it is done");
    }

    fn fact(&self, name: &str) -> &str {
        self.facts[name].as_str().unwrap()
    }
}

impl ControlPlane {
    /// Another one, which ends when it is dropped, with more arguments of its API server.
    pub(crate) fn another(arguments: &[&str]) -> Self {
        Self {
            running: Some(Running::start(arguments)),
        }
    }

    /// The file that says to `kubectl` where it is, if it is ours.
    pub(crate) fn kubeconfig(&self) -> &str {
        self.running
            .as_ref()
            .expect("a control plane of ours")
            .fact("kubeconfig")
    }

    /// Kills the API server of one that is ours.
    pub(crate) fn kill_api_server(&self) {
        self.order("kill the API server");
    }

    /// Starts it again, and waits until it is ready.
    pub(crate) fn start_api_server(&self) {
        self.order("start the API server");
    }

    /// Starts one more on the same etcd, and waits until it is ready.
    pub(crate) fn start_another_api_server(&self) {
        self.order("start another API server");
    }

    /// A client of that one.
    pub(crate) async fn api_of_another(&self) -> Api {
        let kubeconfig = self
            .folder()
            .expect("a control plane of ours")
            .join("another.kubeconfig");
        let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
        Api::new(config.unwrap())
    }

    /// Has etcd forget what was before: whoever did not hear of it in time never will.
    pub(crate) fn compact(&self) {
        self.order("forget what was");
    }

    fn order(&self, order: &str) {
        let running = self.running.as_ref().expect("a control plane of ours");
        tokio::task::block_in_place(|| running.order(order));
    }

    /// A client of a member of `system:masters`. It belongs to the runtime that it is made in.
    pub(crate) async fn api(&self) -> Api {
        Api::new(self.config().await)
    }

    /// A client of that user.
    pub(crate) async fn api_as(&self, user: &str) -> Api {
        let mut config = self.config().await;
        config.auth_info.impersonate = Some(user.to_owned());
        Api::new(config)
    }

    /// A client that shows that token.
    pub(crate) async fn api_with(&self, token: &str) -> Api {
        let mut config = self.config().await;
        config.auth_info = AuthInfo {
            token: Some(token.to_owned().into()),
            ..AuthInfo::default()
        };
        Api::new(config)
    }

    /// A kubeconfig that shows that token, if this control plane is ours.
    pub(crate) fn kubeconfig_with(&self, token: &str) -> String {
        let mut kubeconfig = Kubeconfig::read_from(self.kubeconfig()).unwrap();
        for named in &mut kubeconfig.auth_infos {
            named.auth_info = Some(AuthInfo {
                token: Some(token.to_owned().into()),
                ..AuthInfo::default()
            });
        }
        serde_json::to_string(&kubeconfig).unwrap()
    }

    /// A kubeconfig of that user, if this control plane is ours.
    pub(crate) fn kubeconfig_as(&self, user: &str) -> String {
        let mut kubeconfig = Kubeconfig::read_from(self.kubeconfig()).unwrap();
        for named in &mut kubeconfig.auth_infos {
            named.auth_info.get_or_insert_default().impersonate = Some(user.to_owned());
        }
        serde_json::to_string(&kubeconfig).unwrap()
    }

    async fn config(&self) -> kube::Config {
        let config = match &self.running {
            Some(running) => {
                let kubeconfig = Kubeconfig::read_from(running.fact("kubeconfig")).unwrap();
                kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await
            }
            None => kube::Config::from_kubeconfig(&KubeConfigOptions::default()).await,
        };
        config.expect("a kubeconfig that says where the API server is")
    }

    /// `kubectl` with these arguments and that standard input; it must succeed.
    pub(crate) fn kubectl(&self, arguments: &[&str], input: &str) -> String {
        let output = self.try_kubectl(arguments, input);
        output.unwrap_or_else(|error| panic!("kubectl {}: {error}", arguments.join(" ")))
    }

    /// `kubectl` with these arguments and that standard input: what it printed, or its complaint.
    pub(crate) fn try_kubectl(&self, arguments: &[&str], input: &str) -> Result<String, String> {
        let mut command = Command::new(control_plane_program());
        command.arg0("kubectl");
        if let Some(running) = &self.running {
            command.env("KUBECONFIG", running.fact("kubeconfig"));
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), input).unwrap();
        let output = command
            .args(arguments)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stdin(fs::File::open(file.path()).unwrap())
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        if output.status.success() {
            Ok(text(output.stdout))
        } else {
            Err(text(output.stderr))
        }
    }

    /// The lines of a server's log that hold a text, if this control plane is ours and there is such a server.
    pub(crate) fn log(&self, server: &str, text: &str) -> String {
        let log = self
            .folder()
            .and_then(|folder| fs::read_to_string(folder.join(format!("{server}.log"))).ok());
        let log = log.unwrap_or_default();
        let lines: Vec<_> = log.lines().filter(|line| line.contains(text)).collect();
        lines.join("\n")
    }

    /// The API server's audit events so far, if this control plane is ours.
    pub(crate) fn audit_events(&self) -> Vec<Value> {
        let log = fs::read_to_string(self.running.as_ref().expect("a control plane of ours").fact("auditLog")).unwrap();
        // The last line may not be whole yet.
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Where everything is that goes with the servers, if this control plane is ours.
    pub(crate) fn folder(&self) -> Option<&Path> {
        Some(Path::new(self.running.as_ref()?.fact("folder")))
    }

    /// A folder that goes with the servers, even when this process is killed.
    pub(crate) fn temporary_folder(&self) -> TempDir {
        let folder = self.folder().map_or_else(env::temp_dir, Path::to_path_buf);
        tempfile::tempdir_in(folder).unwrap()
    }

    /// The CA of the certificate that the API server shows to webhooks that ask for one.
    pub(crate) fn webhook_client_authority(&self) -> &Path {
        Path::new(
            self.running
                .as_ref()
                .expect("a control plane of ours")
                .fact("webhookClientAuthority"),
        )
    }
}
