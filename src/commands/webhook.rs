//! `pullkey webhook`: rules, certificates and the server, wired together until a signal ends them.
//!
//! ```text
//!   rules files ─► poll ─┬─► Decider ◄─ server ◄─ rustls configuration ◄─ poll ◄─ certificate files
//!                        ▼      ▲
//!   API server ────► cluster ───┘
//! ```

mod banner;
mod cluster;
mod decider;
mod matches;

use std::future::pending;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use kube::Client;
use pullkey::admission::SkipReason;
use pullkey::certs::judge::Facts;
use pullkey::certs::load::Files;
use pullkey::certs::watch::{Look, Watch};
use pullkey::certs::{files, rfc3339};
use pullkey::cluster::Snapshot;
use pullkey::metrics::{Metrics, Reload};
use pullkey::poll::poll;
use pullkey::printable::printable;
use pullkey::readiness::Readiness;
use pullkey::rules::RuleSet;
use pullkey::rules::diagnostic::{Diagnostic, Severity};
use pullkey::rules::source::{Disk, FileReport, FileStatus, Loaded, RuleFiles};
use pullkey::server::{ALPN_PROTOCOLS, Bound, Server, Settings};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use self::banner::Banner;
use self::decider::Decider;
use super::check::tell_findings;
use super::cluster::connect;
use super::process::{Ends, bind_health, log, runtime};
use super::{ExitStatus, Failure, chain, context};
use crate::cli::WebhookArgs;

/// Where the development certificate is kept.
const DEVELOPMENT: &str = "certs";

/// How often rules and certificates are looked at. A ConfigMap or Secret volume follows its object within about a
/// minute, so five seconds are never what one waits for.
const INTERVAL: Duration = Duration::from_secs(5);

/// What the parts of the running program share.
#[derive(Clone)]
struct Program {
    decider: Arc<Decider>,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    /// Where the rules of files go, if they are not all there is.
    cluster: Option<watch::Sender<Option<Arc<RuleSet>>>>,
}

pub(super) fn run(args: &WebhookArgs) -> Result<ExitStatus, Failure> {
    let paths = args.rules.paths(args.cluster);
    let mut files = (!paths.is_empty()).then(|| RuleFiles::new(paths));
    let loaded = files
        .as_mut()
        .map(|files| files.load(&Disk, &context(&args.rules.own_namespace, args.cluster)));
    if let Some(loaded) = loaded.as_ref().filter(|loaded| loaded.rules.is_none()) {
        tell_findings(&loaded.warnings, &loaded.mistakes);
        return Ok(ExitStatus::InputWrong);
    }
    let files_of_certificate = certificate_files(args)?;
    let mut certificate = if args.await_certificate {
        Watch::waiting(files_of_certificate, ALPN_PROTOCOLS)?
    } else {
        Watch::start(files_of_certificate, ALPN_PROTOCOLS, SystemTime::now())?
    };

    log(&args.log)?;
    let metrics = Arc::new(Metrics::new(SkipReason::CODES));
    let decider = Arc::new(Decider::new(args.settle_new_namespaces, Arc::clone(&metrics)));
    let runtime = runtime()?;
    let client = if args.cluster {
        Some(runtime.block_on(connect())?)
    } else {
        None
    };
    let program = Program {
        decider,
        metrics,
        readiness: Arc::default(),
        cluster: client.as_ref().map(|_| watch::Sender::new(None)),
    };
    if let Some(loaded) = &loaded {
        program.files_loaded(loaded);
    }
    match certificate.facts() {
        Some(facts) => program.certificate_in_use(facts),
        None => match certificate.look(SystemTime::now()) {
            Look::Replaced(facts) => program.certificate_in_use(&facts),
            look => program.certificate_looked_at(look),
        },
    }

    let sources = Sources {
        files,
        client,
        certificate,
    };
    let ended = runtime.block_on(serve(args, &program, sources));
    // After a second signal nothing is waited for, neither calls nor a disk.
    runtime.shutdown_background();
    ended
}

/// What the running program is kept up to date from.
struct Sources {
    files: Option<RuleFiles>,
    client: Option<Client>,
    certificate: Watch,
}

/// The files that were named, or those of the development certificate, made if need be.
fn certificate_files(args: &WebhookArgs) -> Result<Files, Failure> {
    let mut found = if let Some((certificate, key)) = args.tls_cert.clone().zip(args.tls_key.clone()) {
        Files {
            certificate,
            key,
            client_authorities: None,
        }
    } else {
        let directory = Path::new(DEVELOPMENT);
        files::development(directory, SystemTime::now())?;
        files::serving(directory)
    };
    found.client_authorities.clone_from(&args.client_ca);
    Ok(found)
}

/// Serves until a signal, then drains. Ends early, and says so, if a part that keeps rules or certificates fresh dies: a
/// program that serves old ones for ever without a word is worse than one that is started again.
async fn serve(args: &WebhookArgs, program: &Program, sources: Sources) -> Result<ExitStatus, Failure> {
    let settings = Settings {
        max_connections: args.max_connections.get(),
        max_in_flight: args.max_in_flight.get(),
        drain_grace: args.drain_grace,
        ..Settings::default()
    };
    let Program {
        decider,
        metrics,
        readiness,
        ..
    } = program.clone();
    // Before anyone is told that it serves: a signal that nobody hears would end the program at once, or be lost.
    let mut ends = Ends::new()?;
    let hang_ups = signal(SignalKind::hangup()).map_err(Failure::environment)?;
    let health = bind_health(
        args.health.listen,
        &readiness,
        &metrics,
        matches::router(Arc::clone(&decider)),
    )
    .await?;
    let server = Server::new(settings, sources.certificate.config(), decider, metrics, readiness);
    let server = server.bind(args.listen).await?;
    let banner = Banner {
        args,
        server: server.local_addr(),
        health: health.as_ref().map(Bound::local_addr),
        rules: program.decider.rules(),
        not_after: sources.certificate.facts().map(|facts| facts.not_after),
    };
    banner.show();

    let mut parts = Parts::start(args, program, sources, hang_ups, health)?;
    let (drain, draining) = oneshot::channel();
    let mut serving = pin!(server.serve(async {
        // A sender that is gone is a program that ends, too.
        let _ = draining.await;
    }));
    let died = tokio::select! {
        () = &mut serving => return Ok(ExitStatus::Fine),
        name = ends.next() => {
            info!("{name}: calls are served for another {:?}, then connections are closed", args.drain_grace);
            false
        }
        part = parts.died() => {
            error!("the part that {part} died: the program ends, to be started again");
            true
        }
    };
    let _ = drain.send(());
    tokio::select! {
        () = &mut serving => info!("all calls are answered"),
        name = ends.next() => warn!("{name} again: calls that are under way are cut off"),
    }
    if died {
        Err(Failure::new(ExitStatus::EnvironmentWrong, "a part of the program died"))
    } else {
        Ok(ExitStatus::Fine)
    }
}

/// What goes on beside the server. None of it ever ends by itself.
struct Parts(JoinSet<&'static str>);

impl Parts {
    fn start(
        args: &WebhookArgs,
        program: &Program,
        sources: Sources,
        mut hang_ups: Signal,
        health: Option<Bound>,
    ) -> Result<Self, Failure> {
        let mut parts = JoinSet::new();
        let look_now = [Arc::new(Notify::new()), Arc::new(Notify::new())];
        let [rules_now, certificate_now] = look_now.clone();

        parts.spawn(async move {
            while hang_ups.recv().await.is_some() {
                info!("SIGHUP: rules and certificate are looked at");
                for now in &look_now {
                    now.notify_one();
                }
            }
            "hears SIGHUP"
        });
        if let Some(files) = sources.files {
            let (own_namespace, is_beside_cluster) = (args.rules.own_namespace.clone(), args.cluster);
            let look = move |files: &mut RuleFiles| files.load(&Disk, &context(&own_namespace, is_beside_cluster));
            let report = {
                let program = program.clone();
                move |loaded: Loaded| {
                    if loaded.changed {
                        program.files_reloaded(&loaded);
                    }
                }
            };
            parts.spawn(async move {
                poll(files, INTERVAL, rules_now, look, report).await;
                "keeps the rules fresh"
            });
        }
        if let Some((client, files)) = sources.client.zip(program.cluster.as_ref()) {
            let own_namespace = args.rules.own_namespace.clone();
            let ended = cluster::start(client, own_namespace, files.subscribe(), program.clone())?;
            parts.spawn(async move {
                let _ = ended.await;
                "follows the cluster"
            });
        }
        let look = |certificate: &mut Watch| certificate.look(SystemTime::now());
        let report = {
            let program = program.clone();
            move |look: Look| program.certificate_looked_at(look)
        };
        parts.spawn(async move {
            poll(sources.certificate, INTERVAL, certificate_now, look, report).await;
            "keeps the certificate fresh"
        });
        if let Some(health) = health {
            parts.spawn(async move {
                health.serve(pending()).await;
                "answers probes"
            });
        }
        Ok(Self(parts))
    }

    /// Waits for the first of them to end, and says what it was for.
    async fn died(&mut self) -> &'static str {
        match self.0.join_next().await {
            Some(Ok(part)) => part,
            Some(Err(_)) | None => "does something that panicked",
        }
    }
}

impl Program {
    /// Takes note of what a look at changed rules files found.
    fn files_reloaded(&self, loaded: &Loaded) {
        let is_good = loaded.mistakes.is_empty();
        self.metrics
            .rules_reloaded(if is_good { Reload::Success } else { Reload::Failure });
        self.files_loaded(loaded);
    }

    /// Puts in force what the rules files say, at once or together with what the cluster says, and tells what of them is
    /// not.
    fn files_loaded(&self, loaded: &Loaded) {
        let refused: Vec<_> = loaded
            .files
            .iter()
            .filter(|file| file.status != FileStatus::InForce)
            .collect();
        self.metrics.set_files_refused(refused.len());
        let notes = refused.iter().map(|file| refusal(file)).collect();
        self.readiness.set_notes("files", notes);
        for finding in loaded.warnings.iter().chain(&loaded.mistakes) {
            log_finding(finding);
        }
        for file in &loaded.removed {
            info!(file, "a rules file is gone, and its rules are no longer in force");
        }
        for file in refused {
            error!(file = file.file, rules = file.rules, "{}", refusal(file));
        }
        match (&self.cluster, &loaded.rules) {
            (Some(cluster), rules) => _ = cluster.send_replace(rules.clone()),
            (None, Some(rules)) => {
                self.decider.replace(Snapshot::of_files(Arc::clone(rules)));
                let rules = self.rules_in_force();
                info!(rules, "rules in force");
            }
            (None, None) => {}
        }
    }

    /// Takes note that there are rules in force, and counts them.
    fn rules_in_force(&self) -> usize {
        let rules = self.decider.rules().map_or(0, |rules| rules.rules().len());
        self.metrics.set_rules(rules);
        self.readiness.rules_loaded();
        rules
    }

    fn certificate_in_use(&self, facts: &Facts) {
        self.readiness.certificate_loaded(facts.not_after);
        self.metrics.set_certificate(facts.not_before, facts.not_after);
        self.metrics.set_certificate_refused(false);
    }

    fn certificate_looked_at(&self, look: Look) {
        let refusal = match &look {
            Look::Refused { reason, .. } => {
                let reason = chain(reason);
                Some(format!(
                    "the certificate files are refused, and what is served does not change: {reason}"
                ))
            }
            Look::Unchanged | Look::Replaced(_) => None,
        };
        self.readiness
            .set_notes("certificate", refusal.iter().cloned().collect());
        self.metrics.set_certificate_refused(refusal.is_some());
        match look {
            Look::Unchanged | Look::Refused { repeated: true, .. } => {}
            Look::Replaced(facts) => {
                self.certificate_in_use(&facts);
                self.metrics.certificate_reloaded(Reload::Success);
                info!(
                    not_after = rfc3339(facts.not_after),
                    "another certificate is served from now on"
                );
            }
            Look::Refused { reason, .. } => {
                self.metrics.certificate_reloaded(Reload::Failure);
                error!(hint = reason.hint(), "{}", refusal.unwrap_or_default());
            }
        }
    }
}

/// What an operator should know about a file whose present content is not in force.
fn refusal(file: &FileReport) -> String {
    let name = printable(&file.file);
    match file.status {
        FileStatus::LastGood => format!("`{name}` is refused, its last good rules stay in force"),
        _ => format!("`{name}` is refused, and has never been good"),
    }
}

fn log_finding(finding: &Diagnostic) {
    let Diagnostic {
        severity,
        message,
        file,
        position,
        field,
        value,
        accepted,
        hint,
    } = finding;
    let at = position.map(|position| position.to_string());
    match severity {
        Severity::Error => error!(file, at, field, value, accepted, hint, "{message}"),
        Severity::Warning => warn!(file, at, field, value, accepted, hint, "{message}"),
    }
}
