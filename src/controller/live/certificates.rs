//! Certificates that look after themselves: what [`authority`](crate::authority) decides, seen and done.
//!
//! In: two Secrets of our own namespace, the registration, and what the replicas of the webhook show to who connects.
//! Out: writes of these three, each of the version that was looked at, so that of two who write one learns that it must
//! look again. Refuses a registration that cert-manager keeps, and to do anything while another replica leads.

use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tracing::{error, info};

use super::announce::{Herald, Subject};
use super::api::Api;
use super::lease::Term;
use super::registration::Registration;
use super::replicas::{ReplicaName, resolve};
use super::secret::Held;
use super::shown::shown;
use crate::authority::{self, Contents, Keeper, Seen, Step};
use crate::controller::refusal::Refusal;
use crate::metrics::{CertificateMetrics, KeepingStep};

/// How long a call may take.
const DEADLINE: Duration = Duration::from_secs(5);
/// How many steps are taken in a row.
const MOST_STEPS: usize = 10;
/// How often those look who do not lead.
const STANDBY: Duration = Duration::from_secs(1);

/// What the admin decided about certificates.
#[derive(Debug, Clone)]
pub struct Certificates {
    /// Lifetimes and names.
    pub settings: authority::Settings,
    /// The namespace of both Secrets.
    pub namespace: String,
    /// The name of the Secret with the authorities.
    pub authorities: String,
    /// The name of the Secret with the serving certificate.
    pub serving: String,
    /// The name of the `MutatingWebhookConfiguration`.
    pub registration: String,
    /// By which the API server calls.
    pub server_name: String,
    /// The replicas of the webhook.
    pub replicas: Vec<ReplicaName>,
    /// Their port for calls.
    pub port: u16,
}

/// Who keeps them.
pub(super) struct Keeping {
    api: Api,
    herald: Herald,
    certificates: Certificates,
    metrics: CertificateMetrics,
    term: watch::Receiver<Term>,
    keeper: Keeper,
    began: Instant,
    /// What went wrong at the last look, to say it once.
    trouble: Option<String>,
}

/// Why a step was not taken.
struct Trouble {
    step: KeepingStep,
    why: String,
}

impl Keeping {
    pub(super) fn new(
        api: Api,
        herald: Herald,
        certificates: Certificates,
        metrics: CertificateMetrics,
        term: watch::Receiver<Term>,
    ) -> Self {
        Self {
            api,
            herald,
            keeper: Keeper::new(certificates.settings.clone()),
            certificates,
            metrics,
            term,
            began: Instant::now(),
            trouble: None,
        }
    }

    /// Goes on for ever.
    pub(super) async fn run(mut self) {
        let pause = self.certificates.settings.pause();
        loop {
            if self.leads() {
                let result = self.look().await;
                self.note(result);
                sleep(pause).await;
            } else {
                self.forget();
                sleep(STANDBY.min(pause)).await;
            }
        }
    }

    fn leads(&self) -> bool {
        self.term.borrow().is_some_and(|until| Instant::now() < until)
    }

    /// What another leader does meanwhile is not known: margins begin anew.
    fn forget(&mut self) {
        self.keeper = Keeper::new(self.certificates.settings.clone());
        self.metrics.stand_by();
    }

    /// Takes one step after the other until nothing is left to do for now.
    async fn look(&mut self) -> Result<(), Trouble> {
        for _ in 0..MOST_STEPS {
            if !self.leads() || self.step().await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Looks and takes one step. Whether there is nothing more to do.
    async fn step(&mut self) -> Result<bool, Trouble> {
        let Certificates {
            authorities: authorities_name,
            serving: serving_name,
            registration: registration_name,
            ..
        } = self.certificates.clone();
        let registration = Registration::look(&self.api, &registration_name, DEADLINE).await;
        let (registration, date) =
            registration.map_err(|refusal| Trouble::with(KeepingStep::Look, &registration_name, &refusal))?;
        if registration
            .as_ref()
            .is_some_and(|registration| registration.is_kept_by_cert_manager)
        {
            let why = format!(
                "cert-manager keeps the caBundle of `{registration_name}`, as an annotation says: one of us is too many"
            );
            return Err(Trouble::at(KeepingStep::Look, why));
        }
        let authorities = self.secret(&authorities_name).await?;
        let serving = self.secret(&serving_name).await?;
        let seen = Seen {
            // Who believes certificates goes by its own clock, so that is the one that counts.
            now: date.unwrap_or_else(SystemTime::now),
            moment: self.began.elapsed(),
            authorities: authorities.as_ref().map(|held| &held.contents),
            serving: serving.as_ref().map(|held| &held.contents),
            bundles: registration.as_ref().map_or(&[], |registration| &registration.bundles),
        };
        let step = self.keeper.next(&seen);
        let step = step.map_err(|error| Trouble::at(KeepingStep::Make, error.to_string()))?;
        match step {
            Step::Keep(contents, change) => {
                let written = self
                    .write(&authorities_name, "Opaque", authorities.as_ref(), &contents)
                    .await;
                if is_done(written, KeepingStep::Keep, &authorities_name)? {
                    self.tell_of_secret(&authorities_name, change.reason(), &change.to_string());
                }
            }
            Step::Serve(contents) => {
                let written = self
                    .write(&serving_name, "kubernetes.io/tls", serving.as_ref(), &contents)
                    .await;
                if is_done(written, KeepingStep::Serve, &serving_name)? {
                    self.tell_of_secret(
                        &serving_name,
                        "CertificateSigned",
                        "another serving certificate is signed",
                    );
                }
            }
            Step::Publish(bundle) => {
                if let Some(registration) = &registration {
                    let published = registration.publish(&self.api, &bundle, DEADLINE).await;
                    if is_done(published, KeepingStep::Publish, &registration_name)? {
                        self.tell(
                            &registration.subject(),
                            "AuthoritiesPublished",
                            "the caBundle is written",
                        );
                    }
                }
            }
            Step::Rest { asks, lives } => {
                self.metrics.set_lives(&lives);
                if asks {
                    self.ask().await?;
                }
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Finds out what the replicas serve.
    async fn ask(&mut self) -> Result<(), Trouble> {
        let resolved = resolve(&self.certificates.replicas).await;
        let mut troubles = resolved.troubles;
        if resolved.addresses.is_empty() && troubles.is_empty() {
            troubles.push("there are no replicas of the webhook to ask".to_owned());
        }
        let mut served = Vec::new();
        for mut address in resolved.addresses {
            address.set_port(self.certificates.port);
            match shown(address, &self.certificates.server_name).await {
                Ok(certificate) => served.push(certificate),
                Err(why) => troubles.push(format!("{address}: {why}")),
            }
        }
        let all = troubles.is_empty().then_some(served.as_slice());
        self.keeper.served(all, self.began.elapsed());
        match troubles.first() {
            None => Ok(()),
            Some(first) => {
                let why =
                    format!("an old authority stays until every replica of the webhook shows its certificate: {first}");
                Err(Trouble::at(KeepingStep::Ask, why))
            }
        }
    }

    async fn secret(&self, name: &str) -> Result<Option<Held>, Trouble> {
        let held = Held::look(&self.api, &self.certificates.namespace, name, DEADLINE).await;
        held.map_err(|refusal| Trouble::with(KeepingStep::Look, name, &refusal))
    }

    async fn write(&self, name: &str, form: &str, held: Option<&Held>, contents: &Contents) -> Result<(), Refusal> {
        let namespace = &self.certificates.namespace;
        match held {
            None => Held::create(&self.api, namespace, name, form, contents, DEADLINE).await,
            Some(held) if held.is_fit(form) => held.replace(&self.api, namespace, name, contents, DEADLINE).await,
            Some(held) => {
                // Neither its type nor anything immutable can be changed. Once it is gone, another is made.
                info!(secret = name, "a Secret that cannot hold what it should is deleted");
                held.delete(&self.api, namespace, name, DEADLINE).await
            }
        }
    }

    fn tell_of_secret(&self, name: &str, reason: &str, note: &str) {
        let subject = Subject {
            api_version: "v1",
            kind: "Secret",
            namespace: self.certificates.namespace.clone(),
            name: name.to_owned(),
            uid: String::new(),
        };
        self.tell(&subject, reason, note);
    }

    fn tell(&self, subject: &Subject, reason: &str, note: &str) {
        info!(kind = subject.kind, name = subject.name, %reason, "{note}");
        self.herald.tell(subject, false, reason, note);
    }

    /// Counts what went wrong, and says it if it is news.
    fn note(&mut self, result: Result<(), Trouble>) {
        let trouble = result.err().map(|Trouble { step, why }| {
            self.metrics.failed(step);
            format!("{}: {why}", step.as_str())
        });
        if trouble != self.trouble {
            if let Some(why) = &trouble {
                error!("certificates are not kept as they should be: {why}");
                let subject = Registration::named(&self.certificates.registration);
                self.herald.tell(&subject, true, "CertificatesNotKept", why);
            } else {
                info!("certificates are kept again");
            }
        }
        self.trouble = trouble;
    }
}

/// Whether a write was done. One that somebody else was faster with is none, and no trouble either.
fn is_done(written: Result<(), Refusal>, step: KeepingStep, name: &str) -> Result<bool, Trouble> {
    match written {
        Ok(()) => Ok(true),
        Err(Refusal::Conflict) => Ok(false),
        Err(refusal) => Err(Trouble::with(step, name, &refusal)),
    }
}

impl Trouble {
    fn with(step: KeepingStep, name: &str, refusal: &Refusal) -> Self {
        Self::at(step, format!("`{name}`: {}", refusal.reason()))
    }

    fn at(step: KeepingStep, why: String) -> Self {
        Self { step, why }
    }
}
