//! What a test process leaves behind when it is killed: nothing. `/proc` tells.

use std::env;
use std::fs;
use std::future::pending;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use crate::harness::{Installation, control_plane, rules_for_load, until};

/// Tells the process that is to be killed from the one that kills it, and marks what the former starts.
const VICTIM: &str = "PULLKEY_TESTS_VICTIM";

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_a_test_process_that_is_killed() {
    if env::var_os(VICTIM).is_some() {
        let _pullkey = Installation::with_rules(&rules_for_load("load")).await;
        let folder = control_plane().folder().expect("a control plane of ours");
        println!("\n{VICTIM} {}", folder.display());
        pending::<()>().await;
    }
    let mut victim = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "leash::nothing_is_left_of_a_test_process_that_is_killed",
            "--nocapture",
        ])
        .env(VICTIM, "yes")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    let folder = lines
        .map_while(Result::ok)
        .find_map(|line| Some(line.strip_prefix(VICTIM)?.trim().to_owned()));
    let folder = folder.expect("the victim says where its servers are");
    assert!(fs::exists(&folder).unwrap());
    // etcd, the API server, its controllers, and the webhook with the program that holds it.
    assert_eq!(processes_of(&folder).len(), 5, "{:?}", processes_of(&folder));

    victim.kill().unwrap();
    victim.wait().unwrap();
    until("its servers have ended", async || {
        processes_of(&folder).is_empty().then_some(())
    })
    .await;
    until("their folder is gone", async || {
        (!fs::exists(&folder).unwrap()).then_some(())
    })
    .await;
}

/// The command lines that name something in that folder.
fn processes_of(folder: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap();
    let commands = processes.filter_map(|process| fs::read_to_string(process.ok()?.path().join("cmdline")).ok());
    commands.filter(|command| command.contains(folder)).collect()
}
