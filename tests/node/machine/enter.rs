//! The way in: the test process becomes one in namespaces and cgroups of its own.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::iter;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use crate::harness::control_plane_program;
use crate::harness::plane::built;

/// Set inside.
const INSIDE: &str = "PULLKEY_TESTS_NODE";
/// Where everything is that goes with the node.
pub(super) const OWN: &str = "/run/pullkey";

/// What the node needs of those that start it: bit and name.
const CAPABILITIES: [(u32, &str); 2] = [(12, "CAP_NET_ADMIN"), (21, "CAP_SYS_ADMIN")];

pub(super) fn is_inside() -> bool {
    env::var_os(INSIDE).is_some()
}

/// Names what a node needs and this process lacks.
pub(super) fn missing() -> Vec<String> {
    let mut missing = Vec::new();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let capabilities = status.lines().find_map(|line| line.strip_prefix("CapEff:\t"));
    let Some(capabilities) = capabilities.and_then(|text| u64::from_str_radix(text, 16).ok()) else {
        return vec!["Linux".to_owned()];
    };
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        missing.push("root".to_owned());
    }
    let lacking = CAPABILITIES.iter().filter(|(bit, _)| capabilities >> bit & 1 == 0);
    missing.extend(lacking.map(|(_, name)| (*name).to_owned()));
    let systems = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    for system in ["overlay", "tmpfs"] {
        if !systems.lines().any(|line| line.split('\t').next_back() == Some(system)) {
            missing.push(format!("the file system {system}"));
        }
    }
    if !fs::read_to_string("/proc/self/mounts").is_ok_and(|mounts| mounts.contains(" cgroup")) {
        missing.push("cgroups".to_owned());
    }
    let path = env::var_os("PATH").unwrap_or_default();
    if !env::split_paths(&path).any(|folder| folder.join("runc").exists()) {
        missing.push("the program runc".to_owned());
    }
    missing
}

/// Starts this test process anew inside, with the same arguments. Its end is this one's.
pub(super) fn enter() -> ! {
    static ONE_OF_ALL_TESTS: Mutex<()> = Mutex::new(());
    let _turn = ONE_OF_ALL_TESTS.lock();
    // While there is a network.
    control_plane_program();
    let this = env::current_exe().unwrap().into_os_string();
    let arguments: Vec<_> = iter::once(this).chain(env::args_os().skip(1)).collect();
    let error = entering(&arguments).env(INSIDE, "yes").exec();
    panic!("cannot start the tests anew: {error}");
}

/// A command that is run inside; what runs it is built if need be, which takes minutes, once per machine.
pub(crate) fn entering(arguments: &[impl AsRef<OsStr>]) -> Command {
    let mut command = Command::new(built(&["node"]).join("programs"));
    command.arg("enter").args(arguments);
    command
}

/// A program of the node, inside.
pub(super) fn program(name: &str) -> PathBuf {
    Path::new(OWN).join("bin").join(name)
}
