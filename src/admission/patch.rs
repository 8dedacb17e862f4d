//! From a plan to RFC 6902 operations.
//!
//! In: an [`InjectionPlan`]. Out: operations that apply to the object as it was received, which is the only object
//! that the API server applies them to. A patch that does not apply refuses the Pod, whatever the failurePolicy says;
//! hence `add` only, a whole list where there is none (RFC 6902 section 4.1: `add` to a member that is null replaces
//! it), and an element at a time where there is one. Nothing of the object is read or written beside that list.

use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, Patch, PatchOperation};
use serde_json::{Value, json};

use super::plan::InjectionPlan;

impl InjectionPlan<'_> {
    /// The operations that carry out this plan.
    #[must_use]
    pub fn to_patch(&self) -> Patch {
        let list = ["spec", "imagePullSecrets"];
        let entries = self
            .additions
            .iter()
            .map(|addition| json!({ "name": addition.secret() }));
        let add = |path, value| PatchOperation::Add(AddOperation { path, value });
        Patch(if self.appends {
            let end = PointerBuf::from_tokens(list.into_iter().chain(["-"]));
            entries.map(|entry| add(end.clone(), entry)).collect()
        } else {
            vec![add(PointerBuf::from_tokens(list), Value::Array(entries.collect()))]
        })
    }
}
