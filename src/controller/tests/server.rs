//! A small API server: Secrets with server-side apply and managedFields as a real one was seen to keep them.
//!
//! It knows the truth about whose a Secret is, and fails the test when we write or delete one that is not ours.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::controller::copy::{CopyObject, Style};
use crate::controller::identity::{Identity, Uid};
use crate::controller::ownership::{ManagedFields, Observed, SecretMetadata, Share};
use crate::controller::refusal::{Failure, Refusal};
use crate::controller::{ADOPT_LABEL, COPY_LABEL, FIELD_MANAGER};

/// The path of a field: `data` and its key, for example.
pub(super) type Field = Vec<String>;
pub(super) type Name = (String, String);

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Secret {
    pub(super) uid: String,
    pub(super) resource_version: u64,
    pub(super) fields: BTreeMap<Field, String>,
    pub(super) owners: Vec<Owner>,
    pub(super) has_finalizer: bool,
    pub(super) is_being_deleted: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Owner {
    pub(super) manager: String,
    pub(super) operation: &'static str,
    pub(super) fields: BTreeSet<Field>,
}

#[derive(Debug, Default)]
pub(super) struct Server {
    pub(super) secrets: BTreeMap<Name, Secret>,
    pub(super) terminating: BTreeSet<String>,
    pub(super) full: BTreeSet<String>,
    /// What the watch has not told yet.
    pub(super) watch: Vec<Watched>,
    /// Whether it is told of all Secrets, for the sake of their names, and not of labelled ones alone.
    pub(super) watches_all: bool,
    pub(super) writes: u64,
    pub(super) style: Style,
    /// What an admission webhook makes of the label `team`.
    pub(super) rewritten_label: Option<String>,
    counter: u64,
}

#[derive(Debug, Clone)]
pub(super) enum Watched {
    Set(Name, Observed),
    Gone(Name, Uid),
}

impl Secret {
    pub(super) fn field(&self, path: &[&str]) -> Option<&str> {
        let path: Field = path.iter().map(|step| (*step).to_owned()).collect();
        self.fields.get(&path).map(String::as_str)
    }

    fn map(&self, of: &str) -> BTreeMap<String, String> {
        let of_map = |path: &&Field| path.len() == 3 && path[1] == of;
        let fields = self.fields.keys().filter(of_map);
        fields
            .map(|path| (path[2].clone(), self.fields[path].clone()))
            .collect()
    }

    /// By the words of the design, and not by the code under test.
    pub(super) fn is_ours(&self) -> bool {
        let is_us = |owner: &&Owner| owner.manager == FIELD_MANAGER && owner.operation == "Apply";
        let owners: Vec<_> = self.owners.iter().filter(|owner| owner.owns_type()).collect();
        owners.iter().any(is_us) && (self.is_handed_over() || owners.iter().all(is_us))
    }

    pub(super) fn is_handed_over(&self) -> bool {
        self.field(&["metadata", "labels", ADOPT_LABEL.0]) == Some(ADOPT_LABEL.1)
    }

    pub(super) fn is_labelled(&self) -> bool {
        self.field(&["metadata", "labels", COPY_LABEL.0]) == Some(COPY_LABEL.1)
    }

    pub(super) fn observed(&self, style: &Style) -> Observed {
        let fields: Vec<Value> = self.owners.iter().map(|owner| fields_v1(&owner.fields)).collect();
        let entries: Vec<_> = self
            .owners
            .iter()
            .zip(&fields)
            .map(|(owner, fields)| ManagedFields {
                manager: &owner.manager,
                operation: owner.operation,
                subresource: "",
                fields,
            })
            .collect();
        let observed = Observed::new(
            &SecretMetadata {
                uid: &self.uid,
                resource_version: &self.resource_version.to_string(),
                labels: &self.map("labels"),
                annotations: &self.map("annotations"),
                managed_fields: &entries,
                is_being_deleted: self.is_being_deleted,
            },
            style,
        );
        assert_eq!(observed.share == Share::Ours, self.is_ours(), "{self:?}");
        observed
    }

    fn drop_ownership(&mut self, field: &Field, except: Option<(&str, &str)>) {
        for owner in &mut self.owners {
            if Some((owner.manager.as_str(), owner.operation)) != except {
                owner.fields.remove(field);
            }
        }
    }

    fn owner(&mut self, manager: &str, operation: &'static str) -> &mut Owner {
        let is_it = |owner: &Owner| owner.manager == manager && owner.operation == operation;
        let index = self.owners.iter().position(is_it).unwrap_or_else(|| {
            self.owners.push(Owner {
                manager: manager.to_owned(),
                operation,
                fields: BTreeSet::new(),
            });
            self.owners.len() - 1
        });
        &mut self.owners[index]
    }
}

impl Owner {
    fn owns_type(&self) -> bool {
        self.fields.contains(&vec!["type".to_owned()])
    }
}

impl Server {
    /// Applies what we made; the guards of the body are checked as the API server checks them.
    pub(super) fn apply_copy(
        &mut self,
        name: &Name,
        object: &CopyObject<'_>,
        force: bool,
        style: &Style,
    ) -> Result<Observed, Refusal> {
        self.writes += 1;
        let body = serde_json::to_value(object).unwrap();
        let known = self.secrets.get(name);
        let metadata = &body["metadata"];
        if let Some(uid) = metadata["uid"].as_str() {
            let version = metadata["resourceVersion"].as_str().map(str::to_owned);
            let is_same =
                known.is_some_and(|known| known.uid == uid && Some(known.resource_version.to_string()) == version);
            if !is_same {
                return Err(refusal(409, "Conflict", "the object has been modified", &[]));
            }
        }
        if force {
            let known = known.expect("force only upon what we know");
            let may_write = known.is_ours() || known.is_handed_over();
            assert!(may_write, "written with force: {name:?} {known:?}");
        }
        self.apply(name, FIELD_MANAGER, flat(&body), force)?;
        if let Some(value) = self.rewritten_label.clone() {
            let label = ["metadata", "labels", "team"].map(str::to_owned).to_vec();
            let mut secret = self.secrets[name].clone();
            secret.fields.insert(label, value);
            let before = self.secrets.get(name).cloned();
            self.store(name, before, secret);
        }
        Ok(self.secrets[name].observed(style))
    }

    /// Server-side apply by anybody.
    pub(super) fn apply(
        &mut self,
        name: &Name,
        manager: &str,
        applied: BTreeMap<Field, String>,
        force: bool,
    ) -> Result<(), Refusal> {
        let before = self.secrets.get(name).cloned();
        let mut secret = match &before {
            Some(secret) => secret.clone(),
            None => self.admit(name)?,
        };
        for (field, value) in &applied {
            let is_other = secret.fields.get(field).is_some_and(|known| known != value);
            let is_held = secret.owners.iter().any(|owner| {
                (owner.manager.as_str(), owner.operation) != (manager, "Apply") && owner.fields.contains(field)
            });
            if is_other && is_held && !force {
                return Err(refusal(
                    409,
                    "Conflict",
                    "Apply failed with 1 conflict",
                    &["FieldManagerConflict"],
                ));
            }
            if is_other && field[0] == "type" {
                let message = "Secret \"x\" is invalid: type: Invalid value: \"x\": field is immutable";
                return Err(refusal(422, "Invalid", message, &["FieldValueInvalid"]));
            }
            if is_other && field[0] == "data" && secret.fields.contains_key(&immutable()) {
                let message = "data: Forbidden: field is immutable when `immutable` is set";
                return Err(refusal(422, "Invalid", message, &["FieldValueForbidden"]));
            }
            if is_other {
                secret.drop_ownership(field, None);
            }
        }
        let fields: BTreeSet<_> = applied.keys().cloned().collect();
        let owner = secret.owner(manager, "Apply");
        let left: Vec<_> = owner.fields.difference(&fields).cloned().collect();
        owner.fields = fields;
        for field in left {
            if !secret.owners.iter().any(|owner| owner.fields.contains(&field)) {
                secret.fields.remove(&field);
            }
        }
        secret.fields.extend(applied);
        self.store(name, before, secret);
        Ok(())
    }

    /// An update or a patch by anybody: he owns what he changed, and nobody owns what is gone.
    pub(super) fn update(&mut self, name: &Name, manager: &str, change: impl FnOnce(&mut BTreeMap<Field, String>)) {
        let Some(before) = self.secrets.get(name).cloned() else {
            return;
        };
        let mut secret = before.clone();
        change(&mut secret.fields);
        let is_immutable = before.fields.contains_key(&immutable());
        let data = |secret: &Secret| -> Vec<_> {
            let fields = secret.fields.iter().filter(|(field, _)| field[0] == "data");
            fields.map(|(field, value)| (field.clone(), value.clone())).collect()
        };
        if is_immutable && (data(&before) != data(&secret) || !secret.fields.contains_key(&immutable())) {
            return;
        }
        for field in before
            .fields
            .keys()
            .chain(&secret.fields.keys().cloned().collect::<Vec<_>>())
        {
            if before.fields.get(field) != secret.fields.get(field) {
                secret.drop_ownership(field, None);
                if secret.fields.contains_key(field) {
                    secret.owner(manager, "Update").fields.insert(field.clone());
                }
            }
        }
        self.store(name, Some(before), secret);
    }

    /// A POST by anybody: he owns all of it, whatever the body says about managedFields.
    pub(super) fn create(&mut self, name: &Name, manager: &str, fields: BTreeMap<Field, String>) {
        if self.secrets.contains_key(name) {
            return;
        }
        let Ok(mut secret) = self.admit(name) else { return };
        secret.owner(manager, "Update").fields = fields.keys().cloned().collect();
        secret.fields = fields;
        self.store(name, None, secret);
    }

    /// Deletes with preconditions, as we do.
    pub(super) fn delete_copy(
        &mut self,
        name: &Name,
        identity: &Identity,
        style: &Style,
    ) -> Result<Option<Observed>, Refusal> {
        self.writes += 1;
        let Some(known) = self.secrets.get(name) else {
            return Ok(None);
        };
        if Identity::new(&known.uid, &known.resource_version.to_string()) != *identity {
            return Err(refusal(409, "Conflict", "Precondition failed", &[]));
        }
        assert!(known.is_ours(), "deleted: {name:?} {known:?}");
        self.delete(name);
        Ok(self.secrets.get(name).map(|secret| secret.observed(style)))
    }

    /// Deletes as anybody may.
    pub(super) fn delete(&mut self, name: &Name) {
        let Some(before) = self.secrets.get(name).cloned() else {
            return;
        };
        if before.has_finalizer {
            let mut secret = before.clone();
            secret.is_being_deleted = true;
            self.store(name, Some(before), secret);
        } else {
            self.secrets.remove(name);
            self.tell_gone(name, &before);
        }
    }

    /// The finalizer's owner sets one, or lets go.
    pub(super) fn finalize(&mut self, name: &Name, has_finalizer: bool) {
        let Some(before) = self.secrets.get(name).cloned() else {
            return;
        };
        let mut secret = before.clone();
        secret.has_finalizer = has_finalizer;
        if secret.is_being_deleted && !has_finalizer {
            self.secrets.remove(name);
            self.tell_gone(name, &before);
        } else {
            self.store(name, Some(before), secret);
        }
    }

    pub(super) fn look(&self, name: &Name, style: &Style) -> Option<Observed> {
        self.secrets.get(name).map(|secret| secret.observed(style))
    }

    pub(super) fn remove_namespace(&mut self, namespace: &str) {
        let names: Vec<_> = self
            .secrets
            .keys()
            .filter(|name| name.0 == namespace)
            .cloned()
            .collect();
        for name in names {
            if let Some(secret) = self.secrets.remove(&name) {
                self.tell_gone(&name, &secret);
            }
        }
        self.terminating.remove(namespace);
        self.full.remove(namespace);
    }

    fn admit(&mut self, name: &Name) -> Result<Secret, Refusal> {
        if self.terminating.contains(&name.0) {
            let message = "secrets \"x\" is forbidden: unable to create new content in namespace x because it is being terminated";
            return Err(refusal(403, "Forbidden", message, &["NamespaceTerminating"]));
        }
        if self.full.contains(&name.0) {
            let message =
                "secrets \"x\" is forbidden: exceeded quota: few, requested: count/secrets=1, used: 1, limited: 1";
            return Err(refusal(403, "Forbidden", message, &[]));
        }
        self.counter += 1;
        Ok(Secret {
            uid: format!("uid-{}", self.counter),
            resource_version: 0,
            fields: BTreeMap::new(),
            owners: Vec::new(),
            has_finalizer: false,
            is_being_deleted: false,
        })
    }

    fn store(&mut self, name: &Name, before: Option<Secret>, mut secret: Secret) {
        secret.owners.retain(|owner| !owner.fields.is_empty());
        if before.as_ref() == Some(&secret) {
            return;
        }
        self.counter += 1;
        secret.resource_version = self.counter;
        self.secrets.insert(name.clone(), secret.clone());
        if self.watches_all || secret.is_labelled() {
            self.watch
                .push(Watched::Set(name.clone(), secret.observed(&Style::default())));
        } else if let Some(before) = before {
            self.tell_gone(name, &before);
        }
    }

    fn tell_gone(&mut self, name: &Name, before: &Secret) {
        if self.watches_all || before.is_labelled() {
            self.watch.push(Watched::Gone(name.clone(), before.uid.as_str().into()));
        }
    }
}

/// The fields of an object as paths and values.
pub(super) fn flat(object: &Value) -> BTreeMap<Field, String> {
    let mut fields = BTreeMap::new();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if let Some(r#type) = object.get("type") {
        fields.insert(vec!["type".to_owned()], text(r#type));
    }
    for (key, value) in object["data"].as_object().into_iter().flatten() {
        fields.insert(vec!["data".to_owned(), key.clone()], text(value));
    }
    for map in ["labels", "annotations"] {
        for (key, value) in object["metadata"][map].as_object().into_iter().flatten() {
            fields.insert(vec!["metadata".to_owned(), map.to_owned(), key.clone()], text(value));
        }
    }
    fields
}

pub(super) fn immutable() -> Field {
    vec!["immutable".to_owned()]
}

fn fields_v1(fields: &BTreeSet<Field>) -> Value {
    let mut root = Map::new();
    for path in fields {
        let mut place = &mut root;
        for step in path {
            let below = place.entry(format!("f:{step}")).or_insert_with(|| json!({}));
            place = below.as_object_mut().unwrap();
        }
    }
    Value::Object(root)
}

fn refusal(code: u16, reason: &str, message: &str, causes: &[&str]) -> Refusal {
    Refusal::of(&Failure {
        code,
        reason,
        message,
        causes,
        ..Failure::default()
    })
}
