//! One docker config: the payload of a pull secret, or a file.
//!
//! In: the bytes of either form. Out: a [`DockerConfig`], that is, every entry's key and username and whether it holds
//! anything, or [`Malformed`] where the kubelet refuses the config and with it every image of the Pod. Passwords are
//! decoded to be judged, and dropped. No error says what a field holds, nor what a library said about it.

use super::malformed::{EntryName, Field, Malformed, MalformedKind, Place};
use super::{Key, auth, json};
use MalformedKind::{NotAString, NotAnObject, NotJson, TooDeep};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fmt;

/// The two shapes of docker configs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConfigForm {
    /// Entries in `auths`: a docker `config.json`, the payload of `kubernetes.io/dockerconfigjson`.
    DockerConfigJson,
    /// Nothing but entries: a legacy `.dockercfg`, the payload of `kubernetes.io/dockercfg`.
    Dockercfg,
}

/// A config that the kubelet reads without an error.
#[derive(Debug, Clone)]
pub struct DockerConfig {
    entries: Vec<Entry>,
    skipped: usize,
    verdict: Result<(), Unusable>,
}

/// One credential of a config.
#[derive(Clone)]
pub struct Entry {
    key: Key,
    username: String,
    is_blank: bool,
}

/// Why a config that can be read is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Entries beside where `auths` should be.
    #[error("it has the flat shape of a legacy `.dockercfg`, so no entry counts: wrap it in `auths`")]
    FlatDockercfg,
    /// What `docker login` leaves behind where it keeps passwords elsewhere.
    #[error("it names a credential store and holds no credentials itself")]
    CredentialStoreOnly,
    /// No entry, or blank ones only.
    #[error("it holds no credentials")]
    NoCredentials,
}

impl ConfigForm {
    /// The form of a pull secret's payload, by the Secret's type; `None` for a Secret that the kubelet passes over.
    #[must_use]
    pub fn of_secret_type(secret_type: &str) -> Option<Self> {
        [Self::DockerConfigJson, Self::Dockercfg]
            .into_iter()
            .find(|form| form.secret_type() == secret_type)
    }

    /// The type of a Secret with such a payload.
    #[must_use]
    pub fn secret_type(self) -> &'static str {
        match self {
            Self::DockerConfigJson => "kubernetes.io/dockerconfigjson",
            Self::Dockercfg => "kubernetes.io/dockercfg",
        }
    }

    /// The one key of that Secret's data that counts.
    #[must_use]
    pub fn data_key(self) -> &'static str {
        match self {
            Self::DockerConfigJson => ".dockerconfigjson",
            Self::Dockercfg => ".dockercfg",
        }
    }
}

impl Entry {
    /// Which images it is for.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The user; the only piece of a credential that is kept.
    #[must_use]
    pub fn username(&self) -> &str {
        &self.username
    }

    /// Whether there is neither username nor password. The kubelet offers even that.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.is_blank
    }
}

impl DockerConfig {
    /// Reads a config as the kubelet does. Takes time proportional to its length.
    ///
    /// ```
    /// use pullkey::credentials::{ConfigForm, DockerConfig};
    ///
    /// let config = DockerConfig::parse(ConfigForm::DockerConfigJson, br#"{"auths":{"ghcr.io":{"auth":"bWU6cHc="}}}"#)?;
    /// assert_eq!(config.entries().first().map(|entry| entry.username()), Some("me"));
    /// assert_eq!(config.verdict(), Ok(()));
    ///
    /// let broken = DockerConfig::parse(ConfigForm::DockerConfigJson, br#"{"auths":{"ghcr.io":{"auth":"secret!"}}}"#);
    /// assert_eq!(broken.unwrap_err().to_string(), "`auth` of the entry `ghcr.io` is not base64");
    /// # Ok::<(), pullkey::credentials::Malformed>(())
    /// ```
    pub fn parse(form: ConfigForm, bytes: &[u8]) -> Result<Self, Malformed> {
        let text = String::from_utf8_lossy(bytes);
        let root = json::parse(&text).map_err(|error| {
            // At the end of a text without a byte the column is 0.
            let (line, column) = (error.line(), error.column().max(1));
            Malformed::new(Place::Config, NotJson { line, column })
        })?;
        if json::is_too_deep(root) {
            return Err(Malformed::new(Place::Config, TooDeep));
        }
        let mut reader = Reader::default();
        match form {
            ConfigForm::DockerConfigJson => reader.config(root)?,
            ConfigForm::Dockercfg => reader.entries(&Place::Config, root)?,
        }
        let spelled = reader.found.len();
        let entries: Vec<_> = reader.found.into_values().flatten().collect();
        let is_flat = || {
            form == ConfigForm::DockerConfigJson
                && spelled == 0
                && Self::parse(ConfigForm::Dockercfg, bytes).is_ok_and(|flat| flat.verdict().is_ok())
        };
        let verdict = if entries.iter().any(|entry| !entry.is_blank) {
            Ok(())
        } else if is_flat() {
            Err(Unusable::FlatDockercfg)
        } else if reader.names_store {
            Err(Unusable::CredentialStoreOnly)
        } else {
            Err(Unusable::NoCredentials)
        };
        Ok(Self {
            skipped: spelled - entries.len(),
            entries,
            verdict,
        })
    }

    /// The entries whose key can serve an image, in the order of the keys' spelling: the kubelet knows none among the
    /// entries of one config. Of several with the same spelling only the last is here.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The keys of [`DockerConfig::entries`].
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.entries.iter().map(Entry::key)
    }

    /// How many entries have a key that can serve no image.
    #[must_use]
    pub fn skipped(&self) -> usize {
        self.skipped
    }

    /// Whether there is at least one credential under a key that can serve an image.
    pub fn verdict(&self) -> Result<(), Unusable> {
        self.verdict
    }
}

/// What one pass over a config collects.
#[derive(Default)]
struct Reader {
    /// By key as spelled, user info included, hence never handed out. `None`: the key can serve no image.
    found: BTreeMap<String, Option<Entry>>,
    names_store: bool,
}

impl Reader {
    fn config(&mut self, root: &RawValue) -> Result<(), Malformed> {
        for (name, value) in members_or_null(root).ok_or_else(|| Malformed::new(Place::Config, NotAnObject))? {
            if json::names(&name, "auths") {
                self.entries(&Place::Auths, value)?;
            } else if json::names(&name, "HttpHeaders") {
                check_headers(value)?;
            } else if json::names(&name, "credsStore") {
                self.names_store |= json::as_string(value).is_some_and(|store| !store.is_empty());
            } else if json::names(&name, "credHelpers") {
                self.names_store |= json::as_object(value).is_some_and(|helpers| !helpers.is_empty());
            }
        }
        Ok(())
    }

    /// Adds the entries of an object to those of an earlier one of the same name, as Go does; `null` removes all.
    fn entries(&mut self, place: &Place, value: &RawValue) -> Result<(), Malformed> {
        if json::is_null(value) {
            self.found.clear();
            return Ok(());
        }
        let members = json::as_object(value).ok_or_else(|| Malformed::new(place.clone(), NotAnObject))?;
        for (index, (spelled, value)) in members.into_iter().enumerate() {
            let key = Key::parse(&spelled);
            let content = Content::read(value).map_err(|(field, kind)| {
                let name = key
                    .as_ref()
                    .map_or(EntryName::Number(index + 1), |key| EntryName::Key(key.to_string()));
                let place = match field {
                    None => Place::Entry(name),
                    Some(field) => Place::Field(name, field),
                };
                Malformed::new(place, kind)
            })?;
            let entry = key.map(|key| Entry {
                key,
                is_blank: content.username.is_empty() && !content.has_password,
                username: content.username,
            });
            self.found.insert(spelled, entry);
        }
        Ok(())
    }
}

/// What an entry holds, without what must not be kept.
#[derive(Default)]
pub(super) struct Content {
    pub(super) username: String,
    pub(super) has_password: bool,
}

impl Content {
    /// Reads an entry. In an error, no field means the entry itself.
    fn read(entry: &RawValue) -> Result<Self, (Option<Field>, MalformedKind)> {
        let mut content = Self::default();
        let mut auth = String::new();
        for (name, value) in members_or_null(entry).ok_or((None, NotAnObject))? {
            let Some(field) = Field::ALL.into_iter().find(|field| json::names(&name, field.as_str())) else {
                continue;
            };
            if json::is_null(value) {
                continue;
            }
            let text = json::as_string(value).ok_or((Some(field), NotAString))?;
            match field {
                Field::Username => content.username = text,
                Field::Password => content.has_password = !text.is_empty(),
                Field::Email => {}
                Field::Auth => auth = text,
            }
        }
        if auth.is_empty() {
            return Ok(content);
        }
        auth::decode(&auth).map_err(|kind| (Some(Field::Auth), kind))
    }
}

/// The kubelet wants them to be strings, and so refuses a config in which they are not.
fn check_headers(headers: &RawValue) -> Result<(), Malformed> {
    let headers = members_or_null(headers).ok_or_else(|| Malformed::new(Place::HttpHeaders, NotAnObject))?;
    let are_strings = headers
        .into_iter()
        .all(|(_, header)| json::is_null(header) || json::as_string(header).is_some());
    are_strings
        .then_some(())
        .ok_or_else(|| Malformed::new(Place::HttpHeader, NotAString))
}

/// The members of an object; `null` has none.
fn members_or_null(value: &RawValue) -> Option<Vec<json::Member<'_>>> {
    if json::is_null(value) {
        return Some(Vec::new());
    }
    json::as_object(value)
}

impl fmt::Debug for Entry {
    /// Without the username, which only [`Entry::username`] hands out.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Entry({:?})", self.key)
    }
}
