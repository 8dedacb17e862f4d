//! What there is to see of a cluster, with the rights of whoever looks.
//!
//! Everything is read once, Pods page by page, and of namespaces, service accounts and Secrets the metadata alone, but for
//! the one Secret that was asked about. What may not be read is remembered, and everything else is read all the same.

mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pullkey::certs::rfc3339;
use pullkey::certs::trust::believed;
use pullkey::cluster::look::{Collection, Listed, Look};
use pullkey::cluster::{Trouble, namespaces, service_accounts};
use pullkey::controller::copy::Style;
use pullkey::controller::live::observe;
use pullkey::controller::ownership::Observed;
use pullkey::controller::{COPY_LABEL, Target};
use pullkey::doctor::counters::{Calls, Injections};
use pullkey::doctor::facts::{self, Certificate, Definition, Pods};
use pullkey::doctor::objects::{Configuration, Webhook};
use pullkey::doctor::pods::{Ages, Known};
use pullkey::doctor::trial::{Answer, Candidate, Trial};
use pullkey::doctor::{Facts, Unseen, copies, registration};
use pullkey::manifests::{CERTIFICATE, NAME, WEBHOOK, WEBHOOK_NAME};
use pullkey::rules::{Kind, Labels, Namespace, RuleSet};
use serde_json::Value;

use crate::cli::DoctorArgs;
use crate::commands::Failure;
use crate::commands::cluster::Wishes;

const CONFIGURATIONS: Collection = Collection {
    group: "admissionregistration.k8s.io",
    version: "v1",
    plural: "mutatingwebhookconfigurations",
};
const DEFINITIONS: Collection = Collection {
    group: "apiextensions.k8s.io",
    version: "v1",
    plural: "customresourcedefinitions",
};
const DEPLOYMENTS: Collection = Collection {
    group: "apps",
    version: "v1",
    plural: "deployments",
};
const SERVICES: Collection = Collection::core("services");
const PODS: Collection = Collection::core("pods");
/// Pods that have ended need no image any more.
const THAT_LIVE: &str = "fieldSelector=status.phase%21%3DSucceeded%2Cstatus.phase%21%3DFailed";
/// As many Secrets are looked at one by one.
const MOST_LOOKED_AT: usize = 20;
/// The name of the container's port for probes and metrics.
const HEALTH: &str = "health";
/// A certificate that has less of its life left ends soon.
const LAST_PART: u32 = 10;

/// Whoever reads.
pub(super) struct Reading {
    look: Look,
    wishes: Wishes,
    unseen: Vec<Unseen>,
}

impl Reading {
    pub(super) fn new(look: Look) -> Self {
        Self {
            look,
            wishes: Wishes::default(),
            unseen: Vec::new(),
        }
    }

    /// Everything, and what could not be read.
    pub(super) async fn facts(mut self, args: &DoctorArgs) -> Result<(Facts, Vec<Unseen>), Failure> {
        let configurations: Option<Vec<Configuration>> = self.all(CONFIGURATIONS, None).await?;
        let called = configurations.as_deref().and_then(registration::service).cloned();
        let own_namespace = args.own_namespace.clone();
        let own_namespace = own_namespace.or_else(|| called.as_ref().map(|service| service.namespace.clone()));
        let mut facts = Facts {
            own_namespace: own_namespace.unwrap_or_else(|| NAME.to_owned()),
            program: env!("CARGO_PKG_VERSION"),
            kubernetes: self.kubernetes().await,
            configurations,
            ..Facts::default()
        };
        self.definitions(&mut facts).await?;
        if let Some(service) = called {
            let read = self
                .look
                .get(SERVICES, Some(&service.namespace), &service.name, false)
                .await;
            let found = self.wishes.grant(read)?;
            facts.service = found.map(|found| found.and_then(|text| facts::read(&text).ok()));
        }
        facts.deployments = self.all(DEPLOYMENTS, Some(&facts.own_namespace)).await?;
        facts.injections = self.injections(&facts).await;
        if args.secrets {
            facts.certificate = self.certificate(&facts).await?;
        }
        facts.namespaces = self.namespaces().await?;
        let ages = self.rules(&mut facts).await?;
        facts.copies = self.copies().await?;
        facts.in_the_way = self.in_the_way(&facts).await?;
        facts.pods = self.pods(&facts, ages).await?;
        let lines = self
            .look
            .lines("/metrics", |line| Calls::is_told_by(line, WEBHOOK_NAME))
            .await;
        facts.calls = lines.ok().map(|lines| Calls::read(&lines));
        if let Some(namespace) = &args.dry_run {
            facts.trial = self.trial(&facts, namespace).await;
        }
        let unread = self.wishes.unread().iter().map(|unread| Unseen {
            what: unread.to_string(),
            hint: unread.hint(),
        });
        self.unseen.extend(unread);
        Ok((facts, self.unseen))
    }

    /// All objects of a kind that can be read as such.
    async fn all<T>(&mut self, collection: Collection, namespace: Option<&str>) -> Result<Option<Vec<T>>, Failure>
    where
        T: serde::de::DeserializeOwned + 'static,
    {
        let read = Box::new(|text: &str| facts::read(text).map(Some));
        let listed = self.look.list(collection, namespace, false, read).await;
        let listed = self.wishes.grant(listed)?;
        Ok(listed.map(|Listed { objects, .. }| objects.into_iter().map(|(_, object)| object).collect()))
    }

    async fn kubernetes(&mut self) -> Option<facts::Version> {
        let read = self.look.raw("/version").await;
        let trouble = match read {
            Ok(text) => return facts::read(&text).ok(),
            Err(trouble) => trouble,
        };
        self.is_unseen("could not read the version of Kubernetes", &trouble, "get /version");
        None
    }

    /// What is no object could not be read.
    fn is_unseen(&mut self, what: &str, trouble: &Trouble, right: &str) {
        self.unseen.push(Unseen {
            what: format!("{what}: {trouble}"),
            hint: format!("`kubectl auth can-i {right}` must say yes"),
        });
    }

    async fn definitions(&mut self, facts: &mut Facts) -> Result<(), Failure> {
        for kind in [Kind::ClusterPullSecretRule, Kind::PullSecretRule] {
            let name = format!("{}.pullkey.dev", kind.plural());
            let read = self.look.get(DEFINITIONS, None, &name, false).await;
            if let Some(found) = self.wishes.grant(read)? {
                let definition = found.and_then(|text| Definition::read(kind, &text).ok());
                facts.definitions.push((kind, definition));
            }
        }
        Ok(())
    }

    async fn namespaces(&mut self) -> Result<Option<BTreeMap<Box<str>, Labels>>, Failure> {
        let read = Box::new(namespaces::read);
        let listed = self.look.list(Collection::NAMESPACES, None, true, read).await;
        let listed = self.wishes.grant(listed)?;
        Ok(listed.map(|Listed { objects, .. }| {
            let live = objects.into_iter().filter(|(_, facts)| !facts.terminating);
            live.map(|(key, facts)| (key.name, facts.labels)).collect()
        }))
    }

    /// What the webhook's Pods have counted, as far as the API server leads there; nobody needs it.
    async fn injections(&self, facts: &Facts) -> Option<Injections> {
        let deployments = facts.deployments.iter().flatten();
        let mut webhooks = deployments.filter(|deployment| deployment.metadata.name.starts_with(WEBHOOK));
        let containers = &webhooks.next()?.spec.template.spec.containers;
        let ports = containers.iter().flat_map(|container| &container.ports);
        let port = ports
            .filter(|port| port.name == HEALTH)
            .map(|port| port.container_port)
            .next()?;
        let namespace = facts.own_namespace.as_str();
        let selector = "labelSelector=app.kubernetes.io%2Fcomponent%3Dwebhook";
        let named = Box::new(|_: &str| Ok(Some(())));
        let pods = self
            .look
            .select(PODS, Some(namespace), selector, true, named)
            .await
            .ok()?;
        let mut injections = Injections::default();
        for (pod, ()) in pods.objects {
            let path = format!("/api/v1/namespaces/{namespace}/pods/{}:{port}/proxy/metrics", pod.name);
            if let Ok(metrics) = self.look.raw(&path).await {
                injections.add(&metrics);
            }
        }
        Some(injections)
    }

    /// What the API server makes of the certificate in the Secret.
    async fn certificate(&mut self, facts: &Facts) -> Result<Option<Certificate>, Failure> {
        let namespace = facts.own_namespace.as_str();
        let read = self
            .look
            .get(Collection::SECRETS, Some(namespace), CERTIFICATE, false)
            .await;
        let Some(found) = self.wishes.grant(read)? else {
            return Ok(None);
        };
        let Some(secret) = found else {
            return Ok(Some(Certificate::Missing));
        };
        let webhook = registered(facts).map(|(webhook, _)| webhook);
        let client = webhook.map(|webhook| webhook.client_config);
        let Some((bundle, service)) = client.and_then(|client| Some((client.ca_bundle, client.service?))) else {
            return Ok(None);
        };
        let secret: Value = facts::read(&secret).map_err(Failure::environment)?;
        let chain = secret
            .pointer("/data/tls.crt")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let chain = STANDARD.decode(chain).unwrap_or_default();
        let name = format!("{}.{}.svc", service.name, service.namespace);
        let now = SystemTime::now();
        Ok(Some(match believed(&bundle, &chain, &name, now) {
            Ok(facts) => {
                let life = facts.not_after.duration_since(facts.not_before).unwrap_or_default();
                let left = facts.not_after.duration_since(now).unwrap_or_default();
                Certificate::Good {
                    not_after: rfc3339(facts.not_after),
                    ends_soon: left < life / LAST_PART,
                }
            }
            Err(why) => Certificate::Unfit(why.to_string()),
        }))
    }

    async fn copies(&mut self) -> Result<Option<BTreeMap<Target, Observed>>, Failure> {
        let (label, value) = COPY_LABEL;
        let selector = format!("labelSelector={}%3D{value}", label.replace('/', "%2F"));
        let style = Style::default();
        let read = Box::new(move |text: &str| observe(text.as_bytes(), &style).map(Some));
        let listed = self.look.select(Collection::SECRETS, None, &selector, true, read).await;
        let listed = self.wishes.grant(listed)?;
        Ok(listed.map(|Listed { objects, .. }| {
            let target = |namespace: Box<str>, name: Box<str>| Target {
                namespace: namespace.into(),
                name: name.into(),
            };
            let copies = objects.into_iter();
            copies
                .map(|(key, observed)| (target(key.namespace, key.name), observed))
                .collect()
        }))
    }

    /// Secrets without the label in the place of copies, the first ones.
    async fn in_the_way(&mut self, facts: &Facts) -> Result<BTreeMap<Target, Observed>, Failure> {
        let mut found = BTreeMap::new();
        for target in copies::to_look_at(facts, MOST_LOOKED_AT) {
            let read = self
                .look
                .get(Collection::SECRETS, Some(&target.namespace), &target.name, true)
                .await;
            let Some(secret) = self.wishes.grant(read)?.flatten() else {
                continue;
            };
            if let Ok(observed) = observe(secret.as_bytes(), &Style::default()) {
                found.insert(target, observed);
            }
        }
        Ok(found)
    }

    async fn pods(&mut self, facts: &Facts, ages: Ages) -> Result<Option<Pods>, Failure> {
        let (Some(rules), Some(namespaces)) = (&facts.rules, &facts.namespaces) else {
            return Ok(None);
        };
        let read = Box::new(service_accounts::read);
        let strict = self.look.list(Collection::SERVICE_ACCOUNTS, None, true, read).await;
        let strict = self.wishes.grant(strict)?.map(|listed| listed.objects);
        let known = Known {
            rules: RuleSet::new(rules.in_force.iter().cloned()),
            ages,
            namespaces: namespaces.clone(),
            strict_accounts: strict
                .into_iter()
                .flatten()
                .map(|(key, _)| (key.namespace, key.name))
                .collect::<BTreeSet<_>>(),
            webhook: registered(facts),
        };
        let read = Box::new(move |text: &str| known.missed(text).map(Some));
        let listed = self.look.select(PODS, None, THAT_LIVE, false, read).await;
        let listed = self.wishes.grant(listed)?;
        Ok(listed.map(|Listed { objects, .. }| Pods {
            seen: objects.len(),
            missed: objects.into_iter().filter_map(|(_, missed)| missed).collect(),
        }))
    }

    /// Has a Pod made as a dry run, if the rules are known.
    async fn trial(&mut self, facts: &Facts, namespace: &str) -> Option<Trial> {
        let rules = RuleSet::new(facts.rules.as_ref()?.in_force.iter().cloned());
        let labels = facts
            .namespaces
            .as_ref()
            .and_then(|namespaces| namespaces.get(namespace));
        let place = Namespace {
            name: namespace,
            labels,
        };
        let candidate = Candidate::find(&rules, &place);
        let tried = match candidate {
            Some(candidate) => {
                let pod = candidate.pod().to_string();
                let answer = match self.look.dry_run(PODS, namespace, pod).await {
                    Ok(pod) => Answer::admitted(&pod),
                    Err(trouble) => Answer::Refused(trouble.message),
                };
                Some((candidate, answer))
            }
            None => None,
        };
        Some(Trial {
            namespace: namespace.to_owned(),
            tried,
        })
    }
}

/// Our webhook, and since when it is registered.
fn registered(facts: &Facts) -> Option<(Webhook, String)> {
    let configurations = facts.configurations.iter().flatten();
    let mut webhooks = configurations.flat_map(|configuration| {
        let created = &configuration.metadata.creation_timestamp;
        configuration.webhooks.iter().map(move |webhook| (webhook, created))
    });
    let (webhook, created) = webhooks.find(|(webhook, _)| webhook.name == WEBHOOK_NAME)?;
    Some((webhook.clone(), created.clone()))
}
