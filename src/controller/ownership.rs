//! Whose a Secret is, from its metadata alone.
//!
//! In: the metadata of a Secret, managedFields included. Out: [`Observed`]: whether it is ours, whether our fields are
//! as we wrote them, and which version of which source we wrote. Labels prove nothing here: `get -o yaml | sed | create`,
//! backups and restores carry them along, while the API server itself keeps managedFields and throws away what a creator
//! says they are. A type never changes and an update that repeats it takes no share in it, so whoever owns it made the
//! Secret, or said on purpose that it is his, too.

use std::collections::BTreeMap;

use serde_json::Value;

use super::copy::Style;
use super::identity::Identity;
use super::{ADOPT_LABEL, COPY_LABEL, FIELD_MANAGER, SOURCE_ANNOTATION, VERSION_ANNOTATION};
use crate::credentials::ConfigForm;

/// The metadata of a Secret, borrowed from whatever was read.
#[derive(Debug, Clone, Copy)]
pub struct SecretMetadata<'a> {
    /// `uid`.
    pub uid: &'a str,
    /// `resourceVersion`.
    pub resource_version: &'a str,
    /// `labels`.
    pub labels: &'a BTreeMap<String, String>,
    /// `annotations`.
    pub annotations: &'a BTreeMap<String, String>,
    /// `managedFields`.
    pub managed_fields: &'a [ManagedFields<'a>],
    /// Whether there is a `deletionTimestamp`: a finalizer keeps it.
    pub is_being_deleted: bool,
}

/// One entry of `managedFields`.
#[derive(Debug, Clone, Copy)]
pub struct ManagedFields<'a> {
    /// `manager`.
    pub manager: &'a str,
    /// `operation`: `Apply` or `Update`.
    pub operation: &'a str,
    /// `subresource`, empty where there is none.
    pub subresource: &'a str,
    /// `fieldsV1`.
    pub fields: &'a Value,
}

/// What is kept of a Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// Which it is.
    pub identity: Identity,
    /// Whose it is.
    pub share: Share,
    /// What the copy says that it holds, if we are the ones who wrote that.
    pub record: Option<Record>,
    /// Whether everything that we write stands as we wrote it: data, record, labels and annotations.
    pub is_intact: bool,
    /// Who changed what we wrote, if that is known.
    pub meddler: Option<Box<str>>,
    /// Whether it carries [`COPY_LABEL`], so that the watch of copies tells about it.
    pub is_labelled: bool,
    /// Whether it is being deleted.
    pub is_being_deleted: bool,
}

/// Whose a Secret is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Share {
    /// Made by us, or handed over: it may be written with force, and deleted.
    Ours,
    /// Handed over by its label, and not yet written by us.
    Adoptable,
    /// Somebody else's, by the name of his field manager. Never written, never deleted.
    Foreign(Option<Box<str>>),
}

/// What a copy says about where its data comes from. Says nothing about whose the copy is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// `namespace/name` of the source.
    pub source: Box<str>,
    /// `uid/resourceVersion` of the source.
    pub version: Box<str>,
}

impl Observed {
    /// Judges a Secret by its metadata.
    #[must_use]
    pub fn new(metadata: &SecretMetadata<'_>, style: &Style) -> Self {
        let ours = metadata.managed_fields.iter().find(|entry| entry.is_ours());
        let record = ours.and_then(|ours| record(metadata, ours));
        let is_intact = record.is_some() && ours.is_some_and(|ours| is_intact(metadata, ours, style));
        Self {
            identity: Identity::new(metadata.uid, metadata.resource_version),
            share: share(metadata.managed_fields, metadata.labels),
            record,
            is_intact,
            meddler: if is_intact { None } else { meddler(metadata) },
            is_labelled: has(metadata.labels, COPY_LABEL),
            is_being_deleted: metadata.is_being_deleted,
        }
    }
}

impl<'f> ManagedFields<'f> {
    fn is_ours(&self) -> bool {
        self.manager == FIELD_MANAGER && self.operation == "Apply" && self.subresource.is_empty()
    }

    /// Whether the entry holds the field at this path of names.
    fn owns(&self, path: &[&str]) -> bool {
        let step = |fields: &'f Value, name: &&str| fields.get(format!("f:{name}"));
        path.iter().try_fold(self.fields, step).is_some()
    }

    fn owns_type(&self) -> bool {
        self.owns(&["type"])
    }

    /// Whether it holds the payload of a pull secret.
    fn owns_payload(&self) -> bool {
        [ConfigForm::DockerConfigJson, ConfigForm::Dockercfg]
            .iter()
            .any(|form| self.owns(&["data", form.data_key()]))
    }
}

/// The truth table, by who owns `type`:
///
/// | we  | another | labelled for adoption | share |
/// |-----|---------|-----------------------|-------|
/// | yes | no      | either                | ours  |
/// | yes | yes     | yes                   | ours: the label stands for his share |
/// | yes | yes     | no                    | foreign: an apply without force of equal data makes us one owner of two |
/// | no  | either  | yes                   | adoptable |
/// | no  | either  | no                    | foreign |
pub(super) fn share(managed_fields: &[ManagedFields<'_>], labels: &BTreeMap<String, String>) -> Share {
    let owners = || managed_fields.iter().filter(|entry| entry.owns_type());
    let is_ours = owners().any(ManagedFields::is_ours);
    let other = owners()
        .find(|entry| !entry.is_ours())
        .map(|entry| entry.manager.into());
    match (is_ours, other, has(labels, ADOPT_LABEL)) {
        (true, None, _) | (true, Some(_), true) => Share::Ours,
        (false, _, true) => Share::Adoptable,
        (_, other, false) => Share::Foreign(other),
    }
}

/// The record, where it is ours.
fn record(metadata: &SecretMetadata<'_>, ours: &ManagedFields<'_>) -> Option<Record> {
    let noted = |key| {
        let value = metadata.annotations.get(key)?;
        ours.owns(&["metadata", "annotations", key])
            .then(|| value.as_str().into())
    };
    Some(Record {
        source: noted(SOURCE_ANNOTATION)?,
        version: noted(VERSION_ANNOTATION)?,
    })
}

/// Data cannot be seen here, but whoever changes it owns it from then on and we do not.
fn is_intact(metadata: &SecretMetadata<'_>, ours: &ManagedFields<'_>, style: &Style) -> bool {
    let stand = |wanted: &BTreeMap<String, String>, actual: &BTreeMap<String, String>| {
        wanted.iter().all(|(key, value)| actual.get(key) == Some(value))
    };
    ours.owns_payload()
        && has(metadata.labels, COPY_LABEL)
        && stand(style.labels(), metadata.labels)
        && stand(style.annotations(), metadata.annotations)
}

/// Who holds what we would write: the payload before labels and annotations. Nobody does what he removed.
fn meddler(metadata: &SecretMetadata<'_>) -> Option<Box<str>> {
    let others = || metadata.managed_fields.iter().filter(|entry| !entry.is_ours());
    let holds_metadata = |entry: &&ManagedFields<'_>| {
        entry.owns(&["metadata", "labels", COPY_LABEL.0])
            || [SOURCE_ANNOTATION, VERSION_ANNOTATION]
                .iter()
                .any(|key| entry.owns(&["metadata", "annotations", key]))
    };
    let holder = others().find(|entry| entry.owns_payload());
    let holder = holder.or_else(|| others().find(holds_metadata));
    holder.map(|entry| entry.manager.into())
}

fn has(labels: &BTreeMap<String, String>, (key, value): (&str, &str)) -> bool {
    labels.get(key).is_some_and(|actual| actual == value)
}
