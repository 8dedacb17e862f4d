//! What is done to a cluster with Pullkey while Pods are created.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio::time::sleep;

use super::counters::Counters;
use super::harness::self_managed::{Suspicious, Wishes, damages, in_order, installed};
use super::harness::{Api, Clocks, Cluster};
use super::load::{Load, without_digits};
use super::report::Row;

/// How often counters are read.
const READING: Duration = Duration::from_secs(5);
/// How often somebody else connects to the replicas.
const CONNECTING: Duration = Duration::from_millis(200);
/// How often it is told how far it is.
const TELLING: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// A certificate every 6 seconds.
    LeafRotation,
    /// An authority every 32 seconds, a certificate every 8.
    AuthorityRotation,
    /// All Pods of the webhook and of the controller are replaced, in turns.
    RollingRestart,
    /// One replica of the webhook is killed every 20 seconds.
    WebhookKilled,
    /// The same where the registration says `Fail`.
    WebhookKilledFail,
    /// The leader is killed every 15 seconds, with a certificate every 40 and an authority every 160.
    LeaderKilled,
    /// The API server is killed every 20 seconds, and started again after one.
    ApiServerKilled,
    /// Two API servers on one etcd, to which Pods are sent in turns; there is a certificate every 20 seconds, an authority
    /// every 80, and the webhook's Pods are replaced.
    TwoApiServers,
    /// The clocks of both programs jump by up to four days, and the Secrets are deleted.
    ClockJumps,
    /// The Secret of the authorities is deleted.
    SecretDeleted,
    /// Its key is damaged.
    SecretDamaged,
    /// Something else is put in its place.
    SecretReplaced,
}

/// One at work.
struct Scene {
    scenario: Scenario,
    cluster: Cluster,
    servers: Vec<Api>,
    counters: Mutex<Counters>,
    clocks: Option<Clocks>,
    load: Load,
    /// How many calls had failed open before.
    failed_open: usize,
    begin: Instant,
    end: Instant,
}

impl Scenario {
    pub(crate) const ALL: [Self; 12] = [
        Self::LeafRotation,
        Self::AuthorityRotation,
        Self::RollingRestart,
        Self::WebhookKilled,
        Self::WebhookKilledFail,
        Self::LeaderKilled,
        Self::ApiServerKilled,
        Self::TwoApiServers,
        Self::ClockJumps,
        Self::SecretDeleted,
        Self::SecretDamaged,
        Self::SecretReplaced,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::LeafRotation => "leaf-rotation",
            Self::AuthorityRotation => "authority-rotation",
            Self::RollingRestart => "rolling-restart",
            Self::WebhookKilled => "webhook-killed",
            Self::WebhookKilledFail => "webhook-killed-fail",
            Self::LeaderKilled => "leader-killed",
            Self::ApiServerKilled => "api-server-killed",
            Self::TwoApiServers => "two-api-servers",
            Self::ClockJumps => "clock-jumps",
            Self::SecretDeleted => "secret-deleted",
            Self::SecretDamaged => "secret-damaged",
            Self::SecretReplaced => "secret-replaced",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scenario| scenario.name() == name)
    }

    /// Lifetimes of certificate and authority, and the margin.
    fn lives(self) -> [&'static str; 3] {
        match self {
            Self::LeafRotation => ["9s", "4h", "1s"],
            Self::AuthorityRotation => ["12s", "48s", "2s"],
            Self::TwoApiServers => ["30s", "2m", "2s"],
            Self::LeaderKilled => ["60s", "4m", "2s"],
            _ => ["360h", "87600h", "2s"],
        }
    }

    /// What is counted of what is done.
    fn deed(self) -> &'static str {
        match self {
            Self::LeafRotation | Self::AuthorityRotation => "",
            Self::RollingRestart => "restarts",
            Self::TwoApiServers => "restarts of the webhook",
            Self::WebhookKilled | Self::WebhookKilledFail | Self::LeaderKilled | Self::ApiServerKilled => "kills",
            Self::ClockJumps => "jumps",
            Self::SecretDeleted => "deletions",
            Self::SecretDamaged => "damages",
            Self::SecretReplaced => "replacements",
        }
    }
}

/// Sets one up, has it go on for that long, and says what came of it.
pub(crate) async fn run(scenario: Scenario, length: Duration) -> Row {
    let clocks = (scenario == Scenario::ClockJumps)
        .then(|| Clocks::find().expect("a library for wrong clocks: install Debian's package `faketime`"));
    let [certificate, authority, margin] = scenario.lives();
    let arguments = [
        format!("--certificate-lifetime={certificate}"),
        format!("--authority-lifetime={authority}"),
        format!("--authority-margin={margin}"),
    ];
    let cluster = installed(&Wishes {
        options: if scenario == Scenario::WebhookKilledFail {
            "--failure-policy Fail"
        } else {
            ""
        },
        controller: &arguments.each_ref().map(String::as_str),
        environment: &clocks.as_ref().map(Clocks::environment).unwrap_or_default(),
    })
    .await;
    in_order(&cluster).await;
    let mut servers = vec![cluster.client().await];
    if scenario == Scenario::TwoApiServers {
        servers.push(cluster.another_api_server().await);
    }
    let scene = Scene {
        counters: Mutex::new(Counters::start(&cluster, &servers).await),
        failed_open: cluster.failed_open().lines().filter(|line| !line.is_empty()).count(),
        load: Load::start(servers.clone()).await,
        begin: Instant::now(),
        end: Instant::now() + length,
        scenario,
        cluster,
        servers,
        clocks,
    };
    scene.play().await
}

impl Scene {
    async fn play(self) -> Row {
        let mut other = Suspicious::default();
        let meanwhile = async { tokio::join!(self.connect(&mut other), self.read(), self.tell()) };
        let deeds = tokio::select! {
            deeds = self.disturb() => deeds,
            (never, ..) = meanwhile => match never {},
        };
        let seen = other.seen;
        let minutes = self.begin.elapsed().as_secs_f64() / 60.0;
        let tally = self.load.stop().await;
        let mut counters = self.counters.into_inner();
        counters.read(&self.cluster, &self.servers).await;
        let failed_open = self.cluster.failed_open();
        let failed_open = failed_open.lines().filter(|line| !line.is_empty());
        let failed_open = failed_open
            .skip(self.failed_open)
            .map(|line| line.rsplit_once("timeout=5s").map_or(line, |(_, reason)| reason));
        let mut done = format!(
            "{} certificates, {} authorities",
            seen.served.len() - 1,
            seen.believed.len() - 1
        );
        if deeds > 0 {
            done = format!("{deeds} {}, {done}", self.scenario.deed());
        }
        Row {
            scenario: self.scenario.name().to_owned(),
            minutes,
            tally,
            counted: counters.counted(),
            failed_open: counted(failed_open),
            disturbances: done,
            handshakes: seen.handshakes - seen.gone,
            unbelieved: counted(seen.failed.iter().map(String::as_str)),
            load_average: load_average(),
        }
    }

    /// Until the end, one thing after the other; how many.
    async fn disturb(&self) -> usize {
        let pause = Duration::from_secs(match self.scenario {
            Scenario::LeafRotation | Scenario::AuthorityRotation => 1,
            Scenario::RollingRestart => 5,
            Scenario::TwoApiServers => 40,
            Scenario::WebhookKilled | Scenario::WebhookKilledFail | Scenario::ApiServerKilled => 20,
            Scenario::LeaderKilled => 15,
            Scenario::ClockJumps | Scenario::SecretDeleted | Scenario::SecretDamaged | Scenario::SecretReplaced => 2,
        });
        let mut deeds = 0;
        loop {
            let left = self.end.saturating_duration_since(Instant::now());
            sleep(pause.min(left)).await;
            if left <= pause {
                return deeds;
            }
            if !self.scenario.deed().is_empty() {
                self.act(deeds).await;
                deeds += 1;
            }
        }
    }

    async fn act(&self, number: usize) {
        let cluster = &self.cluster;
        match self.scenario {
            Scenario::LeafRotation | Scenario::AuthorityRotation => {}
            Scenario::RollingRestart => self.restart(["webhook", "controller"][number % 2]).await,
            Scenario::TwoApiServers => self.restart("webhook").await,
            Scenario::WebhookKilled | Scenario::WebhookKilledFail => {
                self.count().await;
                let pods = cluster.pods().await;
                cluster.kill(pods.iter().nth(number % pods.len()).unwrap()).await;
            }
            Scenario::LeaderKilled => cluster.kill_leader().await,
            Scenario::ApiServerKilled => {
                self.count().await;
                let outage = cluster.lose_api_server().await;
                sleep(Duration::from_secs(1)).await;
                outage.end();
            }
            Scenario::ClockJumps => self.jump(number).await,
            Scenario::SecretDeleted => self.damage(&["the authorities are deleted"], number).await,
            Scenario::SecretDamaged => {
                self.damage(&["the key is damaged", "the authority is damaged"], number)
                    .await;
            }
            Scenario::SecretReplaced => {
                let replacements = [
                    "another authority is put there",
                    "something immutable is put there",
                    "a Secret of another type is put there",
                ];
                self.damage(&replacements, number).await;
            }
        }
    }

    async fn restart(&self, part: &str) {
        let deployment = format!("deployment/pullkey-{part} --namespace pullkey");
        let script = format!("kubectl rollout restart {deployment}; kubectl rollout status {deployment}");
        self.cluster.run(&script).await;
    }

    async fn damage(&self, names: &[&str], number: usize) {
        let name = names[number % names.len()];
        let damages = damages();
        let (_, script) = damages.iter().find(|(known, _)| *known == name).unwrap();
        self.cluster.run(script).await;
        in_order(&self.cluster).await;
    }

    /// By less than an hour to the past, since the API server's own certificate begins an hour ago, and to the future by less
    /// than a third of a certificate's life.
    async fn jump(&self, number: usize) {
        const OFFSETS: [i32; 5] = [3_000, -3_000, 86_400, 0, 4 * 86_400];
        let [webhook, controller] = [number, number * 2 + 1].map(|number| OFFSETS[number % OFFSETS.len()]);
        self.clocks
            .as_ref()
            .unwrap()
            .set(webhook, controller, &self.cluster)
            .await;
        self.damage(&["the authorities are deleted", "the certificate is deleted"], number)
            .await;
    }

    /// Connects to the replicas all the time, as others do who call them.
    async fn connect(&self, other: &mut Suspicious) -> Infallible {
        loop {
            other.connect(&self.servers[0], &self.cluster.serving().await).await;
            sleep(CONNECTING).await;
        }
    }

    async fn read(&self) -> Infallible {
        loop {
            sleep(READING).await;
            self.count().await;
        }
    }

    async fn count(&self) {
        self.counters.lock().await.read(&self.cluster, &self.servers).await;
    }

    async fn tell(&self) -> Infallible {
        loop {
            sleep(TELLING).await;
            let tally = self.load.tally();
            eprintln!(
                "{}: {:.1} minutes, {} Pods, {} missed, {} failures",
                self.scenario.name(),
                self.begin.elapsed().as_secs_f64() / 60.0,
                tally.created,
                tally.missed,
                tally.failed.values().sum::<usize>()
            );
        }
    }
}

/// How often there was which reason.
fn counted<'a>(reasons: impl Iterator<Item = &'a str>) -> BTreeMap<String, usize> {
    let mut counted = BTreeMap::new();
    for reason in reasons {
        *counted.entry(without_digits(reason)).or_default() += 1;
    }
    counted
}

/// The machine's, over the last five minutes.
fn load_average() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ')
        .nth(1)
        .and_then(|number| number.parse().ok())
        .unwrap_or_default()
}
