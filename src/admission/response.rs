//! From a decision to the bytes of an AdmissionReview response.
//!
//! In: a [`Decision`] and the request's uid. Out: the JSON body of the answer. Every answer here allows the Pod and
//! echoes the uid; `patch` and `patchType` come together or not at all, which the API server insists on
//! (`ValidateAdmissionReview` in the apiserver's webhook request package).

use std::fmt::{self, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::plan::{Addition, Decision, Outcome, SkipReason};
use super::{API_VERSION, KIND};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AdmissionReview<'a> {
    api_version: &'static str,
    kind: &'static str,
    response: Response<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    uid: &'a str,
    allowed: bool,
    #[serde(flatten)]
    patch: Option<EncodedPatch>,
    #[serde(skip_serializing_if = "AuditAnnotations::is_empty")]
    audit_annotations: AuditAnnotations,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EncodedPatch {
    patch_type: &'static str,
    patch: String,
}

/// Keys become `<webhook name>/<key>` in the audit log, so they hold no `/` themselves.
#[derive(Serialize, Default)]
#[serde(rename_all = "kebab-case")]
struct AuditAnnotations {
    /// The rules whose secrets were added, comma-separated, a tenant's rule as `namespace/name`.
    #[serde(skip_serializing_if = "String::is_empty")]
    rules: String,
    /// The secrets that were added.
    #[serde(skip_serializing_if = "String::is_empty")]
    secrets: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    shadow_rules: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    shadow_secrets: String,
}

impl AuditAnnotations {
    fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.shadow_rules.is_empty()
    }
}

impl Decision<'_> {
    /// The body that answers the review with this uid.
    #[must_use]
    pub fn to_response(&self, uid: &str) -> Vec<u8> {
        let mut audit_annotations = AuditAnnotations {
            shadow_rules: rules(&self.shadow),
            shadow_secrets: secrets(&self.shadow),
            ..AuditAnnotations::default()
        };
        let (mut patch, mut warnings) = (None, Vec::new());
        match &self.outcome {
            Outcome::Inject(plan) => {
                audit_annotations.rules = rules(&plan.additions);
                audit_annotations.secrets = secrets(&plan.additions);
                let encoded = STANDARD.encode(to_json(&plan.to_patch()));
                patch = Some(EncodedPatch {
                    patch_type: "JSONPatch",
                    patch: encoded,
                });
            }
            Outcome::Skip(SkipReason::Undecodable(fault)) => {
                warnings.push(format!("pullkey added no pull secrets: {fault}"));
            }
            Outcome::Skip(reason @ SkipReason::MountableSecrets) => {
                warnings.push(format!("pullkey added no pull secrets: {reason}"));
            }
            Outcome::Skip(_) => {}
        }
        answer(uid, patch, audit_annotations, warnings)
    }
}

/// The body that admits a Pod unchanged after a fault of this program: never a reason to refuse it.
#[must_use]
pub fn allowed_after_fault(uid: &str) -> Vec<u8> {
    let warning = "pullkey added no pull secrets: internal error, see its log".to_owned();
    answer(uid, None, AuditAnnotations::default(), vec![warning])
}

fn answer(
    uid: &str,
    patch: Option<EncodedPatch>,
    audit_annotations: AuditAnnotations,
    warnings: Vec<String>,
) -> Vec<u8> {
    let response = Response {
        uid,
        allowed: true,
        patch,
        audit_annotations,
        warnings,
    };
    to_json(&AdmissionReview {
        api_version: API_VERSION,
        kind: KIND,
        response,
    })
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    #[expect(
        clippy::expect_used,
        reason = "maps with string keys, written to memory, always serialise"
    )]
    serde_json::to_vec(value).expect("strings, lists and maps of strings serialise")
}

fn rules(additions: &[Addition<'_>]) -> String {
    joined(additions.iter().map(|addition| addition.rule.qualified_name()))
}

fn secrets(additions: &[Addition<'_>]) -> String {
    joined(additions.iter().map(Addition::secret))
}

fn joined(names: impl Iterator<Item = impl fmt::Display>) -> String {
    let mut joined = String::new();
    for name in names {
        let separator = if joined.is_empty() { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = write!(joined, "{separator}{name}");
    }
    joined
}
