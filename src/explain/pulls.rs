//! What the kubelet would do about credentials.
//!
//! In: a [`Report`] of what Pods would name, and credentials: files that stand for the secrets of every Pod, or the
//! secrets of a cluster. Out: the same report, with what the kubelet would try for each image, in its order.

use std::collections::{BTreeMap, BTreeSet};

use super::report::{CandidateReport, CredentialsReport, ImageReport, Report, SecretReport};
use super::{DEFAULT_NAMESPACE, secrets};
use crate::credentials::file::{self, Source};
use crate::credentials::{Candidate, DockerConfig, Key, Keyring, Malformed};
use crate::image::ImageReference;
use crate::rules::{Mode, SourceRef};

/// Docker configs as a Pod would name them, all of them and in order.
#[derive(Debug)]
pub struct Credentials<'a> {
    origins: Vec<Origin>,
    /// Or why the kubelet would refuse the Pod.
    keyring: Result<Keyring<'a>, String>,
}

/// The secrets of a cluster, those that somebody asked for.
#[derive(Debug, Default)]
pub struct Secrets {
    found: BTreeMap<SecretKey, Found>,
}

/// Namespace and name.
type SecretKey = (String, String);

#[derive(Debug)]
enum Found {
    Missing,
    Unreadable(String),
    /// The kubelet passes it over.
    Useless(String),
    Config(Result<DockerConfig, Malformed>),
}

/// Where a config comes from.
#[derive(Debug)]
struct Origin {
    file: Option<String>,
    secret: Option<String>,
}

/// The keys of a rule's source: those of the Secret of that name, or else of the files that are no manifests, which may
/// stand for any. None where no file can be the source: then the rule covers nothing.
#[must_use]
pub fn keys_of(sources: &[Source], wanted: &SourceRef) -> Vec<Key> {
    let is_wanted = |source: &&Source| {
        source.secret.as_ref().is_some_and(|secret| {
            let namespace = secret.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE);
            secret.name == wanted.name && namespace == wanted.namespace
        })
    };
    let mut found: Vec<_> = sources.iter().filter(is_wanted).collect();
    if found.is_empty() {
        found = sources.iter().filter(|source| source.secret.is_none()).collect();
    }
    let configs = found.iter().filter_map(|source| source.config.as_ref().ok());
    configs.flat_map(DockerConfig::keys).cloned().collect()
}

impl Report {
    /// Says what the kubelet would try if every Pod named these and nothing else.
    pub fn set_credentials(&mut self, credentials: &Credentials<'_>) {
        let of_pods = self.pods.iter_mut().flat_map(|pod| &mut pod.images);
        for image in self.images.iter_mut().chain(of_pods) {
            image.credentials = Some(credentials.of(image));
        }
    }

    /// The secrets that Pods would name in the end, and so would a Pod of each image in this namespace.
    #[must_use]
    pub fn named_secrets(&self, namespace: &str) -> BTreeSet<(String, String)> {
        let of_images = self.images.iter().flat_map(ImageReport::secrets);
        let of_images = of_images.map(|name| (namespace.to_owned(), name.to_owned()));
        let of_pods = self.pods.iter().flat_map(|pod| {
            let names = pod.existing.iter().chain(&pod.add);
            names.map(|name| (pod.namespace.clone(), name.clone()))
        });
        of_images.chain(of_pods).collect()
    }

    /// Says what the kubelet would try with the secrets that each Pod would name, and how these secrets stand.
    pub fn set_secrets(&mut self, namespace: &str, secrets: &Secrets) {
        for image in &mut self.images {
            image.credentials = Some(secrets.of(namespace, image.secrets(), image));
        }
        for pod in &mut self.pods {
            let named: Vec<_> = pod.existing.iter().chain(&pod.add).map(String::as_str).collect();
            for image in &mut pod.images {
                image.credentials = Some(secrets.of(&pod.namespace, named.iter().copied(), image));
            }
        }
        self.secrets = Some(secrets.found.iter().map(SecretReport::of).collect());
    }
}

impl ImageReport {
    /// The secrets that a Pod of this image alone would get, each once and in order.
    fn secrets(&self) -> impl Iterator<Item = &str> {
        let enforced = self.matches.iter().filter(|found| found.mode == Mode::Enforce.as_str());
        let mut seen = BTreeSet::new();
        enforced
            .map(|found| found.secret.as_str())
            .filter(move |name| seen.insert(*name))
    }
}

impl<'a> Credentials<'a> {
    /// Joins the configs of files.
    #[must_use]
    pub fn new(sources: &'a [Source]) -> Self {
        Self::join(sources.iter().map(|source| {
            let origin = Origin {
                file: Some(source.file.clone()),
                secret: None,
            };
            let config = source
                .config
                .as_ref()
                .map_err(|malformed| format!("{source}: {malformed}"));
            (origin, config)
        }))
    }

    /// Joins configs. One that the kubelet cannot read spoils all of them, for every image of the Pod.
    fn join(configs: impl Iterator<Item = (Origin, Result<&'a DockerConfig, String>)>) -> Self {
        let (origins, configs): (Vec<_>, Vec<_>) = configs.unzip();
        let configs: Result<Vec<_>, _> = configs.into_iter().collect();
        Self {
            origins,
            keyring: configs.map(Keyring::new),
        }
    }

    /// What the kubelet would try for an image; nothing for one that it cannot parse.
    fn of(&self, image: &ImageReport) -> CredentialsReport {
        match &self.keyring {
            Ok(keyring) => {
                let found = ImageReference::parse(&image.image).map(|reference| keyring.lookup(&reference));
                let found = found.unwrap_or_default();
                CredentialsReport::Candidates(found.iter().map(|candidate| self.report(candidate)).collect())
            }
            Err(error) => CredentialsReport::Refused { error: error.clone() },
        }
    }

    fn report(&self, candidate: &Candidate<'_>) -> CandidateReport {
        let origin = self.origins.get(candidate.source());
        CandidateReport {
            file: origin.and_then(|origin| origin.file.clone()),
            secret: origin.and_then(|origin| origin.secret.clone()),
            key: candidate.key().spelled().to_owned(),
            username: candidate.username().to_owned(),
        }
    }
}

impl Secrets {
    /// Takes note of a secret as the API server has it; of none if it has none.
    pub fn insert(&mut self, (namespace, name): (String, String), object: Option<&str>) {
        let found = object.map_or(Found::Missing, Found::read);
        self.found.insert((namespace, name), found);
    }

    /// Takes note that a secret could not be read.
    pub fn insert_unread(&mut self, (namespace, name): (String, String), why: String) {
        self.found.insert((namespace, name), Found::Unreadable(why));
    }

    /// What the kubelet would try for an image of a Pod that names these secrets.
    fn of<'n>(&self, namespace: &str, names: impl Iterator<Item = &'n str>, image: &ImageReport) -> CredentialsReport {
        let mut configs = Vec::new();
        for name in names {
            let found = self.found.get(&(namespace.to_owned(), name.to_owned()));
            let secret = format!("{namespace}/{name}");
            match found {
                None | Some(Found::Unreadable(_)) => {
                    let unknown = format!("the Secret `{secret}` cannot be read");
                    return CredentialsReport::Unknown { unknown };
                }
                Some(Found::Missing | Found::Useless(_)) => {}
                Some(Found::Config(config)) => {
                    let config = config.as_ref();
                    let config = config.map_err(|malformed| format!("the Secret `{secret}`: {malformed}"));
                    let origin = Origin {
                        file: None,
                        secret: Some(secret),
                    };
                    configs.push((origin, config));
                }
            }
        }
        Credentials::join(configs.into_iter()).of(image)
    }
}

impl Found {
    fn read(object: &str) -> Self {
        let Ok(file::CredentialFile { mut sources, ignored }) = file::read("", object.as_bytes()) else {
            return Self::Unreadable("the API server sent a Secret that cannot be read".to_owned());
        };
        match (sources.pop(), ignored.first()) {
            (Some(source), _) => Self::Config(source.config),
            (None, Some(ignored)) => Self::Useless(ignored.to_string()),
            (None, None) => Self::Useless("it is no Secret".to_owned()),
        }
    }
}

impl SecretReport {
    fn of(((namespace, name), found): (&SecretKey, &Found)) -> Self {
        let mut report = Self {
            namespace: namespace.clone(),
            name: name.clone(),
            state: "good",
            message: None,
            keys: Vec::new(),
        };
        (report.state, report.message) = match found {
            Found::Missing => (
                "missing",
                Some("it is not there: the kubelet goes on without it".to_owned()),
            ),
            Found::Unreadable(why) => ("unreadable", Some(why.clone())),
            Found::Useless(why) => ("useless", Some(why.clone())),
            Found::Config(Err(malformed)) => ("malformed", Some(secrets::refused(malformed))),
            Found::Config(Ok(config)) => {
                report.keys = config.keys().map(|key| key.spelled().to_owned()).collect();
                match config.verdict() {
                    Ok(()) => ("good", None),
                    Err(unusable) => ("useless", Some(unusable.to_string())),
                }
            }
        };
        report
    }
}
