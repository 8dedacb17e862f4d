//! Pods of the same moment as their namespace: how many of them come before their copy, and what that costs them.
//!
//! In: how many Pods. Out: for two kinds of Pods, in four situations, with and without `--settle-new-namespaces`, how many
//! saw `ErrImagePull`, and how much later they ran. Each Pod has a namespace and an image of its own, which is not on the
//! node. The usual one is made by a Deployment; the worst one names its node, and has no token and no volume to wait for.
//! The worst one is also made once its copy is there. Of the failed ones those are told apart whose kubelet found no copy:
//! one that has no answer about a secret within a second pulls without it, too, and no copy is early enough for that.

use std::cell::Cell;
use std::fs;
use std::process::Command;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::{JoinSet, spawn_local};
use tokio::time::sleep;

use super::harness::{Api, Namespace, control_plane, until};
use super::machine::{HOST, Node, SOURCES, Servers, Team, Workload as _, private_pod, secret};
use super::statistics::quantile;

/// How many Pods are under way at a time, but where all come at once.
const AT_A_TIME: usize = 4;
/// To how many namespaces a password is rotated meanwhile.
const ROTATED: usize = 1_000;
/// How often the leader is killed.
const KILLS: usize = 5;
const GLANCE: Duration = Duration::from_millis(10);
/// A back-off doubles up to minutes.
const PATIENCE: Duration = Duration::from_mins(5);

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Usual,
    Worst,
}

#[derive(Clone, Copy, PartialEq)]
enum Situation {
    Idle,
    Rotation,
    AllAtOnce,
    LeaderKilled,
}

/// When a Pod is made.
#[derive(Clone, Copy, PartialEq)]
enum Moment {
    /// With its namespace.
    AtOnce,
    /// With its namespace, where the webhook puts that off.
    Settled,
    /// After its copy.
    Copied,
}

/// What became of one Pod.
struct Run {
    /// From its creation, or its namespace's if that is the same moment, until the container ran.
    took: Duration,
    /// How long that was after the first `ErrImagePull`, if there was one.
    lost: Option<Duration>,
    /// Whether there was one since the kubelet found no copy.
    is_early: bool,
}

/// Counts so many Pods of each, and prints what came out.
pub(crate) async fn measure(node: &mut Node, pods: usize) {
    println!(
        "\n{:<22} {:<7} {:<8} {:>5} {:>12} {:>7} {:>12} {:>7} {:>7}",
        "situation", "Pod", "settling", "Pods", "ErrImagePull", "no copy", "seconds lost", "p50 s", "p99 s"
    );
    let many = many_namespaces(node).await;
    for moment in [Moment::AtOnce, Moment::Settled, Moment::Copied] {
        settle(node, moment == Moment::Settled).await;
        for situation in [
            Situation::Idle,
            Situation::Rotation,
            Situation::AllAtOnce,
            Situation::LeaderKilled,
        ] {
            let kinds: &[Kind] = match moment {
                Moment::Copied => &[Kind::Worst],
                _ => &[Kind::Usual, Kind::Worst],
            };
            for &kind in kinds {
                let runs = cell(node, &many, situation, (kind, moment), pods).await;
                report(situation, kind, moment, &runs);
            }
        }
    }
}

fn report(situation: Situation, kind: Kind, moment: Moment, runs: &[Run]) {
    let situation = match situation {
        Situation::Idle => "idle".to_owned(),
        Situation::Rotation => format!("rotation to {ROTATED}"),
        Situation::AllAtOnce => "all at once".to_owned(),
        Situation::LeaderKilled => format!("leader killed {KILLS} times"),
    };
    let kind = if kind == Kind::Usual { "usual" } else { "worst" };
    let settling = match moment {
        Moment::AtOnce => "off",
        Moment::Settled => "500 ms",
        Moment::Copied => "copied",
    };
    let failed = runs.iter().filter(|run| run.lost.is_some()).count();
    let early = runs.iter().filter(|run| run.is_early).count();
    let lost: Duration = runs.iter().filter_map(|run| run.lost).sum();
    let [p50, p99] = [0.5, 0.99].map(|share| quantile(runs.iter().map(|run| run.took.as_secs_f64()), share));
    println!(
        "{situation:<22} {kind:<7} {settling:<8} {:>5} {failed:>12} {early:>7} {:>12.1} {p50:>7.2} {p99:>7.2}",
        runs.len(),
        lost.as_secs_f64(),
    );
}

/// One kind of Pod in one situation.
async fn cell(node: &Node, many: &Team, situation: Situation, pod: (Kind, Moment), pods: usize) -> Vec<Run> {
    let team = node.team().await;
    let images: Vec<_> = (0..pods)
        .map(|number| format!("{}/app-{number}:1", team.name))
        .collect();
    node.servers
        .named
        .push("hello", &images.iter().map(String::as_str).collect::<Vec<_>>());
    let api = control_plane().api().await;
    let ends = Rc::new(Cell::new(false));
    let rotation = (situation == Situation::Rotation).then(|| {
        let (api, ends, name) = (api.clone(), Rc::clone(&ends), many.name.clone());
        spawn_local(async move { rotate(&api, &name, &ends).await })
    });
    let at_a_time = if situation == Situation::AllAtOnce {
        pods
    } else {
        AT_A_TIME
    };
    let mut runs = Vec::new();
    let mut under_way = JoinSet::new();
    for (number, image) in images.into_iter().enumerate() {
        if situation == Situation::LeaderKilled && number % pods.div_ceil(KILLS) == 0 {
            kill_leader(&api).await;
        }
        let namespace = Namespace {
            name: format!("{}-{number}", team.name),
            api: api.clone(),
        };
        let image = format!("{HOST}/{image}");
        let copy = secret(&team.name, &team.config());
        under_way.spawn_local(async move { run(&namespace, &image, &copy, pod).await });
        while under_way.len() >= at_a_time {
            runs.extend(under_way.join_next().await.transpose().unwrap());
        }
    }
    runs.extend(under_way.join_all().await);
    ends.set(true);
    if let Some(rotation) = rotation {
        rotation.await.unwrap();
    }
    forget(&api, &team).await;
    runs
}

/// Creates a namespace, and its Pod in its moment.
async fn run(namespace: &Namespace, image: &str, copy: &Value, (kind, moment): (Kind, Moment)) -> Run {
    let mut start = Instant::now();
    let object = json!({"metadata": {"name": namespace.name}});
    namespace.api.create("/api/v1/namespaces", &object).await.good();
    if moment == Moment::Copied {
        namespace.has_copy(copy).await;
        start = Instant::now();
    }
    let mut pod = private_pod(&[image]);
    pod["spec"]["terminationGracePeriodSeconds"] = json!(0);
    match kind {
        Kind::Usual => {
            pod["spec"]["restartPolicy"] = json!("Always");
            pod["spec"]["containers"][0]["args"] = json!([]);
            let labels = json!({"app": "app"});
            let template = json!({"metadata": {"labels": labels}, "spec": pod["spec"]});
            let deployment = json!({
                "metadata": {"name": "app"}, "spec": {"selector": {"matchLabels": labels}, "template": template},
            });
            let path = format!("/apis/apps/v1/namespaces/{}/deployments", namespace.name);
            namespace.api.create(&path, &deployment).await.good();
        }
        Kind::Worst => {
            pod["spec"]["nodeName"] = json!("node");
            pod["spec"]["automountServiceAccountToken"] = json!(false);
            // It is refused until there is a service account.
            while namespace.try_pod(&pod).await.status != 201 {
                sleep(GLANCE).await;
            }
        }
    }
    let mut failed = None;
    loop {
        let pods = namespace.api.get(&namespace.path("pods", "")).await.good();
        let status = &pods["items"][0]["status"];
        let reason = &status["containerStatuses"][0]["state"]["waiting"]["reason"];
        if reason == "ErrImagePull" || reason == "ImagePullBackOff" {
            failed.get_or_insert_with(Instant::now);
        }
        if status["phase"] == "Running" || status["phase"] == "Succeeded" {
            let took = start.elapsed();
            // Whoever looks now and then may have missed it.
            if failed.is_none() && has_failed(namespace).await {
                failed = Some(Instant::now());
            }
            return Run {
                took,
                lost: failed.map(|failed| failed.elapsed()),
                is_early: failed.is_some() && found_no_copy(namespace),
            };
        }
        assert!(start.elapsed() < PATIENCE, "{status}");
        sleep(GLANCE).await;
    }
}

/// Whether the kubelet says so.
fn found_no_copy(namespace: &Namespace) -> bool {
    let without = Servers::pulled_without(&namespace.name);
    without.iter().any(|line| line.contains("not found"))
}

async fn has_failed(namespace: &Namespace) -> bool {
    let events = namespace.api.get(&namespace.path("events", "")).await.good();
    let mut events = events["items"].as_array().unwrap().iter();
    events.any(|event| event["reason"] == "Failed")
}

/// Deletes a team's namespaces, and waits until they are gone: nothing of one cell is to be done in the next.
async fn forget(api: &Api, team: &Team) {
    let start = format!("{}-", team.name);
    loop {
        let namespaces = api.get("/api/v1/namespaces").await.good();
        let namespaces = namespaces["items"].as_array().unwrap().iter();
        let names: Vec<_> = namespaces
            .filter(|namespace| namespace["metadata"]["name"].as_str().unwrap().starts_with(&start))
            .collect();
        if names.is_empty() {
            return;
        }
        for namespace in names {
            if namespace["metadata"]["deletionTimestamp"].is_null() {
                let name = namespace["metadata"]["name"].as_str().unwrap();
                api.delete(&format!("/api/v1/namespaces/{name}")).await;
            }
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// Namespaces that get copies of a source of their own, for a rotation to be busy with.
async fn many_namespaces(node: &Node) -> Team {
    let team = node.team().await;
    let api = control_plane().api().await;
    let mut under_way = JoinSet::new();
    for number in 0..ROTATED {
        let (api, name) = (api.clone(), format!("{}-{number}", team.name));
        under_way.spawn_local(async move {
            api.create("/api/v1/namespaces", &json!({"metadata": {"name": name}}))
                .await
                .good();
        });
    }
    under_way.join_all().await;
    eprintln!("{ROTATED} namespaces are there");
    are_all(&api, &team.name, &secret(&team.name, &team.config())).await;
    // Their accounts and certificates are made meanwhile, which others would wait for.
    for number in 0..ROTATED {
        let namespace = Namespace {
            name: format!("{}-{number}", team.name),
            api: api.clone(),
        };
        while namespace
            .api
            .get(&namespace.path("serviceaccounts", "default"))
            .await
            .status
            != 200
        {
            sleep(GLANCE).await;
        }
    }
    eprintln!("they are ready");
    team
}

/// Rotates the source of a team until it is told to end.
async fn rotate(api: &Api, team: &str, ends: &Cell<bool>) {
    for version in 1.. {
        if ends.get() {
            return;
        }
        let config = json!({"auths": {HOST: {"username": team, "password": format!("version-{version}")}}});
        let source = secret(team, &config);
        let path = format!("/api/v1/namespaces/{SOURCES}/secrets/{team}");
        api.apply(&path, &source).await.good();
        are_all(api, team, &source).await;
    }
}

/// Waits until all of the many namespaces have a copy like that.
async fn are_all(api: &Api, team: &str, source: &Value) {
    let started = Instant::now();
    let path = format!("/api/v1/secrets?fieldSelector=metadata.name={team}");
    loop {
        let copies = api.get(&path).await.good();
        let copies = copies["items"].as_array().unwrap().iter();
        let current = copies.filter(|copy| copy["data"] == source["data"]).count();
        // The source is one of them, and so is the copy where the rule was tried.
        if current == ROTATED + 2 {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "{current} copies are current");
        sleep(Duration::from_millis(500)).await;
    }
}

/// Has Pods of new namespaces put off, or not.
async fn settle(node: &mut Node, settles: bool) {
    let value = if settles {
        "PULLKEY_SETTLE_NEW_NAMESPACES=500ms"
    } else {
        "PULLKEY_SETTLE_NEW_NAMESPACES-"
    };
    let kubectl = |arguments: &[&str]| control_plane().kubectl(&[arguments, &["--namespace=pullkey"]].concat(), "");
    kubectl(&["set", "env", "deployment/pullkey-webhook", value]);
    kubectl(&["rollout", "status", "deployment/pullkey-webhook", "--timeout=120s"]);
    let api = control_plane().api().await;
    until("the old webhooks have ended", async || {
        let pods = api.get("/api/v1/namespaces/pullkey/pods?labelSelector=app.kubernetes.io/component=webhook");
        (pods.await.good()["items"].as_array().unwrap().len() == 2).then_some(())
    })
    .await;
    node.pullkey.is_at_work().await;
}

/// Kills the controller that leads, without warning.
async fn kill_leader(api: &Api) {
    let lease = "/apis/coordination.k8s.io/v1/namespaces/pullkey/leases/pullkey-controller";
    let holder: Value = api.get(lease).await.good()["spec"]["holderIdentity"].clone();
    let holder = holder.as_str().unwrap_or_default();
    let pods = api.get("/api/v1/namespaces/pullkey/pods").await.good();
    for pod in pods["items"].as_array().unwrap() {
        let name = pod["metadata"]["name"].as_str().unwrap();
        if !holder.contains(name) {
            continue;
        }
        let uid = pod["metadata"]["uid"].as_str().unwrap();
        for process in fs::read_dir("/proc").unwrap() {
            let process = process.unwrap();
            let groups = fs::read_to_string(process.path().join("cgroup")).unwrap_or_default();
            let command = fs::read_to_string(process.path().join("cmdline")).unwrap_or_default();
            if groups.contains(uid) && command.starts_with("/pullkey") {
                let _ = Command::new("kill").arg("-KILL").arg(process.file_name()).status();
            }
        }
        // Another Pod takes its place, without the back-off of a container that failed before.
        api.delete(&format!("/api/v1/namespaces/pullkey/pods/{name}?gracePeriodSeconds=0"))
            .await;
        return;
    }
    eprintln!("nobody leads");
}
