//! What a node leaves behind on the machine: nothing, however it ends. This is looked at from outside of it.

#![cfg(test)]

#[path = "../e2e/harness/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests on an API server need the rest")]
mod harness;
#[expect(dead_code, unused_imports, reason = "the tests on a node need the rest")]
mod machine;

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::future::pending;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};

use tokio::sync::Mutex;

use harness::until;
use machine::node;

/// Set for the process whose node is looked at: `ends` or `stays`.
const VICTIM: &str = "PULLKEY_TESTS_VICTIM";
/// The test that is that process.
const IT: &str = "a_node_that_is_looked_at";
/// What a kubelet sets for a whole machine.
const SYSCTLS: [&str; 6] = [
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
];
/// Where what makes a node keeps its files, unless it is told otherwise.
const FOLDERS: [&str; 7] = [
    "/etc",
    "/opt",
    "/run",
    "/usr/libexec",
    "/usr/libexec/kubernetes",
    "/var/lib",
    "/var/log",
];

static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_looked_at() {
    let Ok(what) = env::var(VICTIM) else { return };
    if node().await.is_some() {
        println!("\n{VICTIM}");
        if what == "stays" {
            pending::<()>().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_a_node_that_ends() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let before = Machine::now();
    let Some(mut victim) = Victim::start("ends") else {
        return;
    };
    // A pipe that is full would hold it up.
    victim
        .0
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut String::new())
        .unwrap();
    assert!(victim.0.wait().unwrap().success());
    assert!(victim.processes().is_empty(), "{:?}", victim.processes());
    assert!(victim.groups().is_empty(), "{:?}", victim.groups());
    assert_eq!(Machine::now(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_a_node_that_is_killed() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let before = Machine::now();
    let Some(mut victim) = Victim::start("stays") else {
        return;
    };
    // Control plane, kubelet, containerd, four Pods of Pullkey with a shim and two containers each, and the rest.
    assert!(victim.processes().len() > 20, "{:?}", victim.processes());
    assert!(!victim.groups().is_empty());
    assert_eq!(Machine::now(), before, "while it runs");

    victim.0.kill().unwrap();
    victim.0.wait().unwrap();
    until("its processes have ended", async || {
        victim.processes().is_empty().then_some(())
    })
    .await;
    assert_eq!(Machine::now(), before);
    // Nobody was there to remove the cgroups, so the next one does.
    assert!(machine::enter::entering(&["true"]).status().unwrap().success());
    assert!(victim.groups().is_empty(), "{:?}", victim.groups());
}

/// A test process with a node that runs; it is killed when this is dropped.
struct Victim(Child);

impl Victim {
    /// One that runs, unless there can be none here.
    fn start(what: &str) -> Option<Self> {
        let child = Command::new(env::current_exe().unwrap())
            .args(["--exact", IT, "--nocapture"])
            .env(VICTIM, what)
            .stdout(Stdio::piped())
            .spawn();
        let mut victim = Self(child.unwrap());
        let mut lines = BufReader::new(victim.0.stdout.as_mut().unwrap()).lines();
        let runs = lines.any(|line| line.unwrap() == VICTIM);
        if !runs {
            assert!(victim.0.wait().unwrap().success(), "the node does not start");
        }
        runs.then_some(victim)
    }

    /// The end of the name of its cgroups, which tell its processes, too.
    fn group(&self) -> String {
        format!("/pullkey-node-{}", self.0.id())
    }

    /// The command lines of all that runs there.
    fn processes(&self) -> Vec<String> {
        let group = self.group();
        let processes = fs::read_dir("/proc").unwrap().map(|process| process.unwrap().path());
        let its = processes.filter(|process| {
            let groups = fs::read_to_string(process.join("cgroup"));
            groups.unwrap_or_default().contains(&group)
        });
        its.map(|process| fs::read_to_string(process.join("cmdline")).unwrap_or_default())
            .collect()
    }

    /// Its cgroups.
    fn groups(&self) -> Vec<String> {
        let group = self.group();
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let places = mounts.lines().filter_map(|mount| {
            let mut fields = mount.split(' ').skip(1);
            let place = fields.next()?;
            fields.next()?.starts_with("cgroup").then_some(place)
        });
        let groups = places.map(|place| format!("{place}{group}"));
        groups.filter(|group| fs::exists(group).unwrap()).collect()
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a node could change for others.
#[derive(Debug, PartialEq, Eq)]
struct Machine {
    mounts: BTreeSet<String>,
    sysctls: Vec<String>,
    files: BTreeSet<String>,
    links: BTreeSet<String>,
}

impl Machine {
    fn now() -> Self {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let sysctls = SYSCTLS.map(|name| fs::read_to_string(format!("/proc/sys/{name}")).unwrap());
        Self {
            mounts: mounts.lines().map(str::to_owned).collect(),
            sysctls: sysctls.to_vec(),
            files: FOLDERS.into_iter().flat_map(names).collect(),
            links: names("/sys/class/net").into_iter().collect(),
        }
    }
}

/// The paths of what is in a folder.
fn names(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries
        .map(|entry| entry.unwrap().path().to_str().unwrap().to_owned())
        .collect()
}
