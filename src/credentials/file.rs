//! A credential file given by hand: what kind it is, and the configs in it.
//!
//! In: the name and the bytes of a file. Out: its configs in order, each with the Secret that it came in, and the
//! Secrets that are no pull secrets. A file that is not what it claims to be is an error, [`NotCredentials`]; a config
//! that the kubelet would refuse is an answer, kept as such in [`Source::config`].
//!
//! A file with a Secret in it (apiVersion `v1`, YAML or JSON, several documents and `List`s allowed) is a manifest, and
//! its other objects do not count. One whose name ends in `.dockercfg` is of the legacy form, and every other one is a
//! docker `config.json`.

use super::auth::decode_data;
use super::config::{ConfigForm, DockerConfig};
use super::malformed::{Malformed, MalformedKind};
use crate::yaml::{self, Mapping, Node, Position, SyntaxError, Value};
use std::fmt;

/// What a credential file holds.
#[derive(Debug, Clone, Default)]
pub struct CredentialFile {
    /// Its configs, in order.
    pub sources: Vec<Source>,
    /// The Secrets that the kubelet would pass over, in order.
    pub ignored: Vec<IgnoredSecret>,
}

/// One docker config, and where it comes from.
#[derive(Debug, Clone)]
pub struct Source {
    /// The file, as given.
    pub file: String,
    /// The Secret, if the file is a manifest.
    pub secret: Option<SecretName>,
    /// Where the config stands in that manifest.
    pub position: Option<Position>,
    /// What the Secret's type or the file's name says.
    pub form: ConfigForm,
    /// The config, or why the kubelet refuses every Pod that names it.
    pub config: Result<DockerConfig, Malformed>,
}

/// A Secret, as its manifest names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretName {
    /// Missing where the manifest leaves it open.
    pub namespace: Option<String>,
    /// Empty where the manifest has none.
    pub name: String,
}

/// A Secret that is no pull secret to the kubelet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IgnoredSecret {
    /// Only two types count.
    #[error("the Secret `{secret}` is of type `{found}`, and no pull secret")]
    OtherType {
        /// Which.
        secret: SecretName,
        /// Its type.
        found: String,
    },
    /// The key that goes with the type is missing or has an empty value. The API server would not take it.
    #[error("the Secret `{secret}` has nothing under `{key}`")]
    Empty {
        /// Which.
        secret: SecretName,
        /// Where the empty value stands, or else the Secret's name.
        position: Option<Position>,
        /// The key.
        key: &'static str,
    },
}

/// Why a file is not what it claims to be. Says nothing of its contents but the names of Secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotCredentials {
    /// No manifest can be made of it, and no docker config.
    #[error("it is neither YAML nor JSON: {0}")]
    Syntax(SyntaxError),
    /// It is no Secret manifest, so it must be a docker config. Both numbers from 1, the column in bytes.
    #[error("it is no Secret manifest, and as a docker config it is not JSON at line {line}, column {column}")]
    NotJson {
        /// The line.
        line: usize,
        /// The byte of the line.
        column: usize,
    },
    /// A Secret that the API server would not take.
    #[error("{fault} in the Secret `{secret}` at {position}")]
    Secret {
        /// Which.
        secret: SecretName,
        /// Where in the file.
        position: Position,
        /// What is wrong.
        fault: SecretFault,
    },
}

/// What can be wrong with a pull secret's manifest; the names are those of its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretFault {
    /// `data` or `stringData` itself.
    #[error("`{0}` is not a mapping")]
    NotAMapping(&'static str),
    /// One of their values.
    #[error("a value of `{0}` is not a string")]
    NotAString(&'static str),
    /// A value of `data`.
    #[error("a value of `data` is not base64")]
    NotBase64,
}

/// What stands under one key of a Secret, and where; empty where nothing does.
#[derive(Default)]
struct Payload {
    bytes: Vec<u8>,
    position: Option<Position>,
}

/// Reads a credential file.
///
/// ```
/// use pullkey::credentials::{Key, file};
///
/// let manifest = b"{apiVersion: v1, kind: Secret, metadata: {name: ghcr}, type: kubernetes.io/dockerconfigjson,
///   stringData: {.dockerconfigjson: '{\"auths\":{\"ghcr.io\":{\"username\":\"me\",\"password\":\"secret\"}}}'}}";
/// let found = file::read("ghcr.yaml", manifest)?;
/// let config = found.sources.first().and_then(|source| source.config.as_ref().ok()).unwrap();
/// assert_eq!(config.keys().map(Key::spelled).collect::<Vec<_>>(), ["ghcr.io"]);
/// # Ok::<(), pullkey::credentials::file::NotCredentials>(())
/// ```
pub fn read(file: &str, bytes: &[u8]) -> Result<CredentialFile, NotCredentials> {
    let documents = std::str::from_utf8(bytes).map(yaml::parse);
    if let Ok(Ok(documents)) = &documents {
        let secrets: Vec<_> = documents.iter().flat_map(secrets_in).collect();
        if !secrets.is_empty() {
            return read_manifest(file, secrets);
        }
    }
    let form = if file.ends_with(".dockercfg") {
        ConfigForm::Dockercfg
    } else {
        ConfigForm::DockerConfigJson
    };
    let config = DockerConfig::parse(form, bytes);
    if let Err(Malformed {
        kind: MalformedKind::NotJson { line, column },
        ..
    }) = config
    {
        return Err(match documents {
            Ok(Err(syntax)) => NotCredentials::Syntax(syntax),
            _ => NotCredentials::NotJson { line, column },
        });
    }
    let source = Source {
        file: file.to_owned(),
        secret: None,
        position: None,
        form,
        config,
    };
    Ok(CredentialFile {
        sources: vec![source],
        ignored: Vec::new(),
    })
}

/// The Secrets that a document is or lists.
fn secrets_in(document: &Node) -> Vec<&Mapping> {
    let Some(object) = document.as_mapping() else {
        return Vec::new();
    };
    match (text(object, "apiVersion"), text(object, "kind")) {
        (Some("v1"), Some("Secret")) => vec![object],
        (Some("v1"), Some("List")) => {
            let items = object.get("items").and_then(Node::as_sequence).unwrap_or_default();
            items.iter().flat_map(secrets_in).collect()
        }
        _ => Vec::new(),
    }
}

fn read_manifest(file: &str, secrets: Vec<&Mapping>) -> Result<CredentialFile, NotCredentials> {
    let mut found = CredentialFile::default();
    for object in secrets {
        let metadata = object.get("metadata").and_then(Node::as_mapping);
        let field = |name| metadata.and_then(|metadata| text(metadata, name)).map(str::to_owned);
        let secret = SecretName {
            namespace: field("namespace"),
            name: field("name").unwrap_or_default(),
        };
        let secret_type = text(object, "type").unwrap_or("Opaque");
        let Some(form) = ConfigForm::of_secret_type(secret_type) else {
            let found_type = secret_type.to_owned();
            found.ignored.push(IgnoredSecret::OtherType {
                secret,
                found: found_type,
            });
            continue;
        };
        let key = form.data_key();
        let Payload { bytes, position } =
            read_payload(object, key).map_err(|(position, fault)| NotCredentials::Secret {
                secret: secret.clone(),
                position,
                fault,
            })?;
        if bytes.is_empty() {
            let name = metadata.and_then(|metadata| metadata.get("name"));
            found.ignored.push(IgnoredSecret::Empty {
                secret,
                position: position.or(name.map(|name| name.position)),
                key,
            });
        } else {
            found.sources.push(Source {
                file: file.to_owned(),
                secret: Some(secret),
                position,
                form,
                config: DockerConfig::parse(form, &bytes),
            });
        }
    }
    Ok(found)
}

/// The API server puts `stringData` over `data`, and decodes all of both.
fn read_payload(secret: &Mapping, key: &str) -> Result<Payload, (Position, SecretFault)> {
    let mut payload = Payload::default();
    for entry in members(secret, "data")? {
        let encoded = string(&entry.value, "data")?;
        let decoded = decode_data(encoded).ok_or((entry.value.position, SecretFault::NotBase64))?;
        if entry.key == key {
            payload = Payload::of(entry, decoded);
        }
    }
    for entry in members(secret, "stringData")? {
        let plain = string(&entry.value, "stringData")?;
        if entry.key == key {
            payload = Payload::of(entry, plain.into());
        }
    }
    Ok(payload)
}

/// The members of a mapping that may be missing or null.
fn members<'s>(
    secret: &'s Mapping,
    field: &'static str,
) -> Result<impl Iterator<Item = &'s yaml::Entry>, (Position, SecretFault)> {
    let mapping = match secret.get(field) {
        None => None,
        Some(node) if node.value == Value::Null => None,
        Some(node) => Some(
            node.as_mapping()
                .ok_or((node.position, SecretFault::NotAMapping(field)))?,
        ),
    };
    Ok(mapping.into_iter().flatten())
}

/// A member's text; null is empty.
fn string<'s>(member: &'s Node, field: &'static str) -> Result<&'s str, (Position, SecretFault)> {
    match &member.value {
        Value::Null => Ok(""),
        Value::String(text) => Ok(text),
        _ => Err((member.position, SecretFault::NotAString(field))),
    }
}

fn text<'m>(mapping: &'m Mapping, field: &str) -> Option<&'m str> {
    mapping.get(field).and_then(Node::as_str)
}

impl Payload {
    fn of(entry: &yaml::Entry, bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            position: Some(entry.value.position),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.secret {
            Some(secret) => write!(formatter, "the Secret `{secret}` of `{}`", self.file),
            None => write!(formatter, "`{}`", self.file),
        }
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(namespace) = &self.namespace {
            write!(formatter, "{namespace}/")?;
        }
        formatter.write_str(&self.name)
    }
}
