//! Secrets as the API server writes them: the metadata of copies, and whole sources.
//!
//! No error says anything of what it was about: the reader's own words quote values.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::controller::copy::Style;
use crate::controller::ownership::{ManagedFields, Observed, SecretMetadata};
use crate::controller::source::{Source, SourceProblem, SourceSecret};
use crate::credentials::ConfigForm;

const UNREADABLE: &str = "the API server sent a Secret that cannot be read";

/// A Secret that copies may be made of, with the keys that may be copied.
pub(super) struct SourceObject {
    metadata: Metadata,
    secret_type: String,
    data: BTreeMap<&'static str, Zeroizing<Vec<u8>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    uid: String,
    resource_version: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    #[serde(default)]
    managed_fields: Vec<Entry>,
    deletion_timestamp: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Entry {
    manager: String,
    operation: String,
    subresource: String,
    fields_v1: Value,
}

#[derive(Deserialize)]
struct MetadataOnly {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Secret<'a> {
    metadata: Metadata,
    #[serde(default)]
    r#type: String,
    /// Neither keys nor base64 hold anything that JSON escapes.
    #[serde(borrow, default)]
    data: BTreeMap<&'a str, &'a str>,
}

/// Reads a Secret, or the metadata of one.
pub fn observe(text: &[u8], style: &Style) -> Result<Observed, String> {
    let MetadataOnly { metadata } = serde_json::from_slice(text).map_err(|_| UNREADABLE.to_owned())?;
    let managed_fields = metadata.managed_fields();
    let metadata = SecretMetadata {
        uid: &metadata.uid,
        resource_version: &metadata.resource_version,
        labels: &metadata.labels,
        annotations: &metadata.annotations,
        managed_fields: &managed_fields,
        is_being_deleted: metadata.deletion_timestamp.is_some(),
    };
    Ok(Observed::new(&metadata, style))
}

/// What copies would be made of, if the source is this Secret as the API server has it.
pub fn read_source(reference: &str, object: &str) -> Result<Source, SourceProblem> {
    let source = SourceObject::read(object)
        .ok()
        .flatten()
        .ok_or(SourceProblem::Unreadable)?;
    source.with(|secret| Source::read(reference, secret))
}

impl SourceObject {
    /// Reads a Secret.
    pub(super) fn read(text: &str) -> Result<Option<Self>, String> {
        let Secret { metadata, r#type, data } = serde_json::from_str(text).map_err(|_| UNREADABLE.to_owned())?;
        let decoded = |form: ConfigForm| {
            let key = form.data_key();
            let bytes = STANDARD.decode(data.get(key)?).ok()?;
            Some((key, Zeroizing::new(bytes)))
        };
        let forms = [ConfigForm::DockerConfigJson, ConfigForm::Dockercfg];
        Ok(Some(Self {
            metadata,
            secret_type: r#type,
            data: forms.into_iter().filter_map(decoded).collect(),
        }))
    }

    /// Shows it to whoever judges sources.
    pub(super) fn with<R>(&self, judge: impl FnOnce(&SourceSecret<'_>) -> R) -> R {
        let managed_fields = self.metadata.managed_fields();
        judge(&SourceSecret {
            uid: &self.metadata.uid,
            resource_version: &self.metadata.resource_version,
            labels: &self.metadata.labels,
            managed_fields: &managed_fields,
            secret_type: &self.secret_type,
            data: &|key| self.data.get(key).map(|bytes| bytes.as_slice()),
        })
    }
}

impl Metadata {
    fn managed_fields(&self) -> Vec<ManagedFields<'_>> {
        let entries = self.managed_fields.iter().map(|entry| ManagedFields {
            manager: &entry.manager,
            operation: &entry.operation,
            subresource: &entry.subresource,
            fields: &entry.fields_v1,
        });
        entries.collect()
    }
}
