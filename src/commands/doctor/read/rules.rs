//! The rules of a cluster: those that are objects, and those of the files that the webhook has in a ConfigMap.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use pullkey::cluster::look::{Collection, Listed};
use pullkey::cluster::rules::{InForce, RuleObject, RuleObjects, examine};
use pullkey::cluster::{Event, Key};
use pullkey::doctor::Facts;
use pullkey::doctor::facts::{self, RuleFacts, Rules};
use pullkey::doctor::pods::Ages;
use pullkey::manifests::{RULES, WEBHOOK};
use pullkey::rules::source::RuleFiles;
use pullkey::rules::{Kind, Storage};

use super::Reading;
use crate::commands::{Failure, context};

const CONFIG_MAPS: Collection = Collection::core("configmaps");
/// The name of the volume that the webhook has its rules in.
const VOLUME: &str = "rules";

/// An object as the webhook reads it, and what the controller and the API server say of it.
struct Found {
    object: RuleObject,
    state: facts::RuleState,
}

/// The files of a ConfigMap, as if they lay in a directory of its name.
struct Files {
    directory: PathBuf,
    texts: BTreeMap<String, String>,
}

impl Storage for Files {
    fn list(&self, path: &Path) -> io::Result<Option<Vec<PathBuf>>> {
        let names = self.texts.keys().map(|name| self.directory.join(name));
        Ok((path == self.directory).then(|| names.collect()))
    }

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let text = self.texts.get(name).ok_or(ErrorKind::NotFound)?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(text.bytes().take(limit).collect())
    }
}

impl Reading {
    /// Reads all rules. Gives since when each of them says what it says.
    pub(super) async fn rules(&mut self, facts: &mut Facts) -> Result<Ages, Failure> {
        let mut ages = Ages::new();
        let mut rules = Rules::default();
        let (mut objects, mut findings) = (RuleObjects::default(), Vec::new());
        let mut states: BTreeMap<(Kind, Key), facts::RuleState> = BTreeMap::new();
        for kind in [Kind::ClusterPullSecretRule, Kind::PullSecretRule] {
            let is_missing = facts.definitions.contains(&(kind, None));
            let Some(Listed {
                objects: found, bad, ..
            }) = self.objects(kind, is_missing, facts).await?
            else {
                // Without those of the policy team nothing can be said.
                if kind == Kind::ClusterPullSecretRule && !is_missing {
                    return Ok(ages);
                }
                continue;
            };
            let good = found.into_iter().map(|(key, Found { object, state })| {
                states.insert((kind, key.clone()), state);
                (key, object)
            });
            let objects_of_kind = good.collect();
            objects.apply(
                kind,
                Event::Listed {
                    objects: objects_of_kind,
                    bad,
                },
                &mut findings,
            );
        }
        let files = self.files(facts).await?;
        let of_files = match &files {
            Some((files, since)) => {
                let mut loaded = RuleFiles::new(vec![files.directory.clone()]);
                let loaded = loaded.load(files, &context(&facts.own_namespace, true));
                rules.diagnostics.extend(loaded.mistakes);
                let of_files = loaded.rules.map(|rules| rules.rules().to_vec()).unwrap_or_default();
                for rule in &of_files {
                    let key = (rule.kind, rule.namespace.clone(), rule.name.clone());
                    ages.insert(key, since.clone());
                }
                rules.of_files = Some(of_files.len());
                of_files
            }
            None => Vec::new(),
        };
        let InForce {
            rules: in_force,
            findings: together,
            ..
        } = objects.in_force(&of_files);
        rules.in_force = in_force;
        let found = findings.into_iter().chain(together).map(|finding| finding.diagnostic);
        rules.diagnostics.extend(found);
        for ((kind, key), state) in states {
            let object = objects.iter(kind).find(|(other, _)| **other == key);
            let namespace = (!key.namespace.is_empty()).then(|| key.namespace.to_string());
            ages.insert((kind, namespace, key.name.to_string()), state.since);
            rules.objects.push(RuleFacts {
                kind,
                name: key.to_string(),
                generation: state.generation,
                status: state.status,
                rule: object.and_then(|(_, object)| object.rule().cloned()),
            });
        }
        facts.rules = Some(rules);
        Ok(ages)
    }

    /// The objects of a kind, unless there is no such kind.
    async fn objects(
        &mut self,
        kind: Kind,
        is_missing: bool,
        facts: &mut Facts,
    ) -> Result<Option<Listed<Found>>, Failure> {
        if is_missing {
            return Ok(None);
        }
        let own_namespace = facts.own_namespace.clone();
        let read = Box::new(move |text: &str| {
            let object = examine(kind, &own_namespace, text)?;
            let state = facts::RuleState::read(text)?;
            Ok(Some(Found { object, state }))
        });
        let listed = self.look.list(Collection::of_rules(kind), None, false, read).await;
        match listed {
            Err(unread) if unread.is_missing() => {
                facts.definitions.push((kind, None));
                Ok(None)
            }
            listed => self.wishes.grant(listed),
        }
    }

    /// The files of rules that the webhook is given, and since when they say what they say.
    async fn files(&mut self, facts: &Facts) -> Result<Option<(Files, String)>, Failure> {
        let deployments = facts.deployments.iter().flatten();
        let mut webhooks = deployments.filter(|deployment| deployment.metadata.name.starts_with(WEBHOOK));
        let volumes = webhooks
            .next()
            .map(|webhook| webhook.spec.template.spec.volumes.as_slice());
        let mut volumes = volumes.into_iter().flatten().filter(|volume| volume.name == VOLUME);
        let name = volumes
            .find_map(|volume| Some(volume.config_map.as_ref()?.name.as_str()))
            .unwrap_or(RULES);
        let read = self
            .look
            .get(CONFIG_MAPS, Some(&facts.own_namespace), name, false)
            .await;
        let Some(found) = self.wishes.grant(read)? else {
            return Ok(None);
        };
        let config_map = found
            .and_then(|text| facts::ConfigMap::read(&text).ok())
            .unwrap_or_default();
        let files = Files {
            directory: PathBuf::from(format!("ConfigMap {name}")),
            texts: config_map.data,
        };
        Ok(Some((files, config_map.since)))
    }
}
