//! The controller on a real API server, with the rights and the limits that it is shipped with.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::harness::{Api, Copier, Installation, Setup, control_plane, is_ready, pull_secret, rule, until};
use super::observer::{Observer, Sight};
use super::processes::{Memory, load};

/// How many rules copy a source of their own to every namespace.
pub(crate) const RULES: usize = 3;
/// How many namespaces are born while nothing else happens, and at least how many during rotations.
pub(crate) const BIRTHS: usize = 400;
/// How many rotations are timed.
pub(crate) const ROTATIONS: usize = 5;
/// The pause between two births. The controller of service accounts makes 20 a second at most.
const PAUSE: Duration = Duration::from_millis(80);
/// How long after its lists a program is looked at.
const AFTER: Duration = Duration::from_mins(1);
/// The controller may write a burst again after it.
const REST: Duration = Duration::from_secs(4);
/// How many calls fill the cluster at once.
const FILLERS: usize = 16;

/// A control plane with Pullkey.
pub(crate) struct Cluster {
    api: Api,
    copier: Copier,
    webhook: Installation,
    observer: Observer,
    /// How many namespaces get copies.
    namespaces: usize,
    rotations: usize,
}

/// What was measured with so many namespaces.
pub(crate) struct Measured {
    pub(crate) namespaces: usize,
    pub(crate) idle: Vec<Birth>,
    pub(crate) during_rotation: Vec<Birth>,
    /// How long each took, in seconds.
    pub(crate) rotations: Vec<f64>,
    pub(crate) used: Programs,
    pub(crate) fresh: Programs,
    pub(crate) load: f64,
}

/// Both programs.
#[derive(Clone, Copy)]
pub(crate) struct Programs {
    pub(crate) controller: Memory,
    pub(crate) webhook: Memory,
}

/// What came of a new namespace, in milliseconds.
#[derive(Clone, Copy)]
pub(crate) struct Birth {
    /// From the answer to its creation to the last of its copies.
    pub(crate) copies: f64,
    /// From the answer to the account without which it takes no Pod.
    pub(crate) account: f64,
    /// Whether the API server made the copies before the account.
    pub(crate) is_in_time: bool,
}

impl Cluster {
    /// One with so many Secrets, and as many accounts, that are nobody's business.
    pub(crate) async fn start(namespaces: usize, others: usize) -> Self {
        eprintln!("starting the control plane and Pullkey");
        let api = control_plane().api().await;
        let observer = Observer::start(&api);
        let copier = Copier::start(&[]).await;
        let mut webhook = Installation::prepare(&Setup {
            rules: &rule("a", "a.example"),
            ..Setup::default()
        })
        .await;
        webhook.add_replica(&[]).await;
        let mut cluster = Self {
            api,
            copier,
            webhook,
            observer,
            namespaces: 0,
            rotations: 0,
        };
        cluster.grow(namespaces).await;
        cluster.fill(others).await;
        for number in 0..RULES {
            cluster.copier.source(&source(number), "first").await;
            let selection = json!({"include": ["bench-*"]});
            let (name, source) = (format!("bench-{number}"), source(number));
            cluster.copier.rule(&name, &source, &selection).await;
        }
        cluster
    }

    /// Measures with so many namespaces.
    pub(crate) async fn measure(&mut self, namespaces: usize) -> Measured {
        self.grow(namespaces).await;
        self.settle().await;
        let mut loads = vec![load()];
        let mut rotations = Vec::new();
        for number in 1..=ROTATIONS {
            eprint!("\rrotation {number} of {ROTATIONS}");
            rotations.push(self.rotation().await);
        }
        loads.push(load());
        eprint!("\n{BIRTHS} births");
        let idle = self.births(BIRTHS).await;
        loads.push(load());
        eprintln!(", and as many during rotations");
        let mut during_rotation = Vec::new();
        while during_rotation.len() < BIRTHS {
            during_rotation.extend(self.births_during_rotation().await);
        }
        loads.push(load());
        let used = Programs::now();
        eprintln!("both programs anew, and {AFTER:?} more");
        self.restart().await;
        Measured {
            namespaces,
            idle,
            during_rotation,
            rotations,
            used,
            fresh: Programs::now(),
            load: loads.iter().sum::<f64>() / loads.len() as f64,
        }
    }

    /// Makes namespaces up to this number, with what controllers make in each, who would take their time.
    async fn grow(&mut self, namespaces: usize) {
        let path = "/api/v1/namespaces/default/configmaps/kube-root-ca.crt";
        let roots = self.api.get(path).await.good();
        let roots = json!({"metadata": {"name": "kube-root-ca.crt"}, "data": roots["data"]});
        let range = self.namespaces..namespaces.max(self.namespaces);
        self.namespaces = range.end;
        each("namespaces", range, &self.api, move |api, number| {
            let roots = roots.clone();
            async move {
                let name = namespace(number);
                api.create("/api/v1/namespaces", &json!({"metadata": {"name": name}}))
                    .await
                    .good();
                let account = json!({"metadata": {"name": "default"}});
                for (plural, object) in [("serviceaccounts", &account), ("configmaps", &roots)] {
                    // A controller may have been faster.
                    api.create(&format!("/api/v1/namespaces/{name}/{plural}"), object).await;
                }
            }
        })
        .await;
    }

    /// Makes Secrets and accounts that are nobody's business.
    async fn fill(&self, others: usize) {
        let namespaces = self.namespaces;
        each(
            "other Secrets and accounts",
            0..others,
            &self.api,
            move |api, number| async move {
                let home = format!("/api/v1/namespaces/{}", namespace(number % namespaces));
                let metadata =
                    json!({"name": format!("other-{number}"), "labels": {"app.kubernetes.io/managed-by": "Helm"}});
                let secret = json!({"metadata": metadata, "stringData": {"password": "p".repeat(500)}});
                api.create(&format!("{home}/secrets"), &secret).await.good();
                let account = json!({"metadata": metadata});
                api.create(&format!("{home}/serviceaccounts"), &account).await.good();
            },
        )
        .await;
    }

    /// Waits until everything is where it should be.
    async fn settle(&self) {
        eprintln!("{} copies", self.namespaces * RULES);
        for number in 0..self.namespaces {
            let name = namespace(number);
            self.observer
                .until("a namespace has its copies and its account", |seen| {
                    seen.account(&name).and(seen.last_copy(&name, RULES))
                })
                .await;
        }
        sleep(REST).await;
    }

    /// Gives all namespaces the next version of one source. Returns how many seconds that took.
    async fn rotation(&mut self) -> f64 {
        let (version, start) = self.begin_rotation().await;
        let end = self.end_of_rotation(&version).await;
        sleep(REST).await;
        (end - start).as_secs_f64()
    }

    async fn begin_rotation(&mut self) -> (String, Instant) {
        self.rotations += 1;
        let object = pull_secret(&source(0), &format!("rotation-{}", self.rotations));
        let path = self.copier.sources.path("secrets", &source(0));
        let metadata = self.api.apply(&path, &object).await.good()["metadata"].take();
        let text = |name: &str| metadata[name].as_str().unwrap();
        (format!("{}/{}", text("uid"), text("resourceVersion")), Instant::now())
    }

    async fn end_of_rotation(&self, version: &str) -> Instant {
        let copies = self.namespaces;
        self.observer
            .until("the rotation ends", |seen| seen.rotated(version, copies))
            .await
    }

    async fn births(&mut self, number: usize) -> Vec<Birth> {
        let mut born = Vec::new();
        for _ in 0..number {
            born.push(self.birth().await);
            sleep(PAUSE).await;
        }
        self.came_of(born).await
    }

    /// Births for as long as a rotation takes.
    async fn births_during_rotation(&mut self) -> Vec<Birth> {
        let before = self.namespaces;
        let (version, _) = self.begin_rotation().await;
        let mut born = Vec::new();
        while self.observer.look(|seen| seen.rotated(&version, before).is_none()) {
            born.push(self.birth().await);
            sleep(PAUSE).await;
        }
        self.end_of_rotation(&version).await;
        sleep(REST).await;
        self.came_of(born).await
    }

    /// A new namespace, and when its creation was answered.
    async fn birth(&mut self) -> (String, Instant) {
        let name = namespace(self.namespaces);
        self.namespaces += 1;
        let object = json!({"metadata": {"name": name}});
        self.api.create("/api/v1/namespaces", &object).await.good();
        (name, Instant::now())
    }

    async fn came_of(&self, born: Vec<(String, Instant)>) -> Vec<Birth> {
        let mut births = Vec::new();
        for (name, answered) in born {
            let (copy, account) = self
                .observer
                .until("a new namespace has its copies and its account", |seen| {
                    seen.last_copy(&name, RULES).zip(seen.account(&name))
                })
                .await;
            let after = |sight: Sight| {
                // It may be seen before its namespace's creation is answered.
                let early = answered.saturating_duration_since(sight.at).as_secs_f64();
                (sight.at.saturating_duration_since(answered).as_secs_f64() - early) * 1e3
            };
            births.push(Birth {
                copies: after(copy),
                account: after(account),
                is_in_time: copy.resource_version < account.resource_version,
            });
        }
        births
    }

    /// Replaces both programs, and lets them be for a while.
    async fn restart(&mut self) {
        self.copier.replicas.clear();
        self.copier.add_replica().await;
        self.webhook.replicas.clear();
        let health = self.webhook.add_replica(&[]).await.target.health;
        until("the webhook is ready", async || is_ready(health).await.then_some(())).await;
        until("the controller leads", async || self.copier.leader().await).await;
        sleep(AFTER).await;
    }
}

impl Programs {
    fn now() -> Self {
        Self {
            controller: Memory::of("controller"),
            webhook: Memory::of("webhook"),
        }
    }
}

/// Does something for each of these numbers, many at a time.
async fn each<F>(what: &str, numbers: Range<usize>, api: &Api, act: impl Fn(Api, usize) -> F + Clone + Send + 'static)
where
    F: Future<Output = ()> + Send,
{
    let end = numbers.end;
    let next = Arc::new(AtomicUsize::new(numbers.start));
    let mut fillers = JoinSet::new();
    for _ in 0..FILLERS {
        let (api, act, next) = (api.clone(), act.clone(), Arc::clone(&next));
        fillers.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= end {
                    return;
                }
                act(api.clone(), number).await;
            }
        });
    }
    while !fillers.is_empty() {
        eprint!("\r{} of {end} {what}", next.load(Ordering::Relaxed).min(end));
        tokio::select! {
            done = fillers.join_next() => done.unwrap().unwrap(),
            () = sleep(Duration::from_millis(500)) => {}
        }
    }
    eprintln!("\r{end} of {end} {what}");
}

fn namespace(number: usize) -> String {
    format!("bench-{number:05}")
}

fn source(number: usize) -> String {
    format!("source-{number}")
}
