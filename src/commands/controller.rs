//! `pullkey controller`: the copies of pull secrets, looked after until a signal ends it.

use std::collections::BTreeMap;
use std::env;
use std::future::pending;
use std::hash::{BuildHasher, RandomState};
use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use pullkey::authority;
use pullkey::controller::copy::Style;
use pullkey::controller::live::{Allowance, Certificates, Matches, Settings, run as look_after};
use pullkey::controller::names::Names;
use pullkey::controller::plan;
use pullkey::manifests::{AUTHORITIES, CERTIFICATE, WEBHOOK};
use pullkey::metrics::Metrics;
use pullkey::readiness::Readiness;
use tokio::sync::watch;
use tracing::{error, info, warn};

use super::process::{Ends, bind_health, log, runtime};
use super::{ExitStatus, Failure, cluster};
use crate::cli::{ControllerArgs, KeyValue};

/// How many writes are under way at most.
const IN_FLIGHT: usize = 32;

pub(super) fn run(args: &ControllerArgs) -> Result<ExitStatus, Failure> {
    let settings = settings(args)?;
    log(&args.log)?;
    let runtime = runtime()?;
    let ended = runtime.block_on(serve(args, settings));
    runtime.shutdown_background();
    ended
}

async fn serve(args: &ControllerArgs, settings: Settings) -> Result<ExitStatus, Failure> {
    let mut signals = Ends::new()?;
    let client = cluster::connect().await?;
    let metrics = Arc::new(Metrics::new([]));
    let readiness = Arc::new(Readiness::of_controller());
    let health = bind_health(args.health.listen, &readiness, &metrics, Router::new()).await?;
    let address = health.as_ref().map(|health| format!("http://{}", health.local_addr()));
    let sources = args.source_namespace.join(", ");
    info!(
        health = address,
        identity = settings.identity,
        sources,
        "looking after copies of pull secrets"
    );
    if let Some(health) = health {
        tokio::spawn(health.serve(pending()));
    }
    let (end, ends) = watch::channel(false);
    let mut looking_after = pin!(look_after(client, settings, &metrics, &readiness, ends));
    let is_told_to_end = tokio::select! {
        is_told_to_end = &mut looking_after => is_told_to_end,
        name = signals.next() => {
            info!("{name}: the Lease is given back");
            readiness.drain();
            let _ = end.send(true);
            tokio::select! {
                is_told_to_end = &mut looking_after => is_told_to_end,
                name = signals.next() => {
                    warn!("{name} again: the Lease runs out by itself");
                    true
                }
            }
        }
    };
    if is_told_to_end {
        Ok(ExitStatus::Fine)
    } else {
        error!("a part of the program died: it ends, to be started again");
        Err(Failure::environment("a part of the program died"))
    }
}

fn settings(args: &ControllerArgs) -> Result<Settings, Failure> {
    let wrong = |cause: String| Failure::new(ExitStatus::InputWrong, cause);
    if args.source_namespace.contains(&args.own_namespace) {
        let hint = "whoever may write sources could replace what Pullkey itself relies on";
        let cause = format!("`--source-namespace {}` is Pullkey's own namespace", args.own_namespace);
        return Err(wrong(cause).with_hint(Some(hint)));
    }
    let names = names(args)?;
    let map = |pairs: &[KeyValue]| -> BTreeMap<_, _> {
        let pairs = pairs.iter().map(|pair| (pair.key.clone(), pair.value.clone()));
        pairs.collect()
    };
    let style = Style::new(map(&args.copy_label), map(&args.copy_annotation)).map_err(|invalid| {
        let invalid: Vec<_> = invalid.iter().map(ToString::to_string).collect();
        wrong(format!(
            "copies cannot carry these labels and annotations: {}",
            invalid.join("; ")
        ))
    })?;
    Ok(Settings {
        plan: plan::Settings {
            own_namespace: args.own_namespace.clone(),
            source_namespaces: args.source_namespace.iter().cloned().collect(),
            names,
            keep_copies: args.keep_copies,
        },
        style,
        writes: Allowance {
            per_second: args.writes_per_second.get(),
            burst: args.write_burst.get(),
            in_flight: IN_FLIGHT,
        },
        matches: Matches {
            replicas: args.webhook_replicas.clone(),
            interval: args.matches_interval,
        },
        certificates: args
            .certificates
            .manage_certificates
            .then(|| certificates(args))
            .transpose()?,
        identity: identity(),
    })
}

/// What the controller is limited to, if it is.
fn names(args: &ControllerArgs) -> Result<Option<Names>, Failure> {
    let names: Names = args.secret_name.iter().cloned().collect();
    if let Some(stray) = names.stray(|name| args.source_namespace.iter().any(|namespace| namespace == name)) {
        let cause = format!("the source `{stray}` is in none of the namespaces that secrets may be copied from");
        let hint = format!("name the namespace, too: `--source-namespace {}`", stray.namespace);
        return Err(Failure::new(ExitStatus::InputWrong, cause).with_hint(Some(hint)));
    }
    Ok((!args.secret_name.is_empty()).then_some(names))
}

/// How certificates are kept.
fn certificates(args: &ControllerArgs) -> Result<Certificates, Failure> {
    let wrong = |cause: String| Failure::new(ExitStatus::InputWrong, cause);
    let (namespace, replicas) = (&args.own_namespace, &args.webhook_replicas);
    if replicas.is_empty() {
        let cause = "certificates cannot be managed without knowing who serves them";
        let hint =
            "name the webhook's replicas with `--webhook-replicas`: an old authority goes only once none shows it";
        return Err(wrong(cause.to_owned()).with_hint(Some(hint)));
    }
    let args = &args.certificates;
    // API servers call by the first.
    let server_name = format!("{WEBHOOK}.{namespace}.svc");
    let others = [
        format!("{server_name}.cluster.local"),
        format!("{WEBHOOK}.{namespace}"),
        WEBHOOK.to_owned(),
    ];
    let names = [&server_name].into_iter().chain(&others).map(|name| name.parse());
    let names = names.collect::<Result<_, _>>();
    let names = authority::Names {
        dns: names.map_err(|error| wrong(format!("no certificate can be for `{server_name}`: {error}")))?,
        addresses: Vec::new(),
    };
    let (lifetime, authority_lifetime) = (args.certificate_lifetime, args.authority_lifetime);
    let settings = authority::Settings::new(names, lifetime, authority_lifetime, args.authority_margin);
    Ok(Certificates {
        settings: settings.map_err(|unfit| wrong(unfit.to_string()))?,
        namespace: namespace.clone(),
        authorities: AUTHORITIES.to_owned(),
        serving: CERTIFICATE.to_owned(),
        registration: args.configuration.to_string(),
        server_name,
        replicas: replicas.clone(),
        port: args.serving_port,
    })
}

/// The Pod's name, and something that no earlier process under that name had.
fn identity() -> String {
    let host = env::var("HOSTNAME").unwrap_or_else(|_| "pullkey".to_owned());
    format!("{host}_{:016x}", RandomState::new().hash_one(()))
}
