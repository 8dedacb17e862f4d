//! What answers mean, and how long they are remembered.

use std::time::Duration;

use crate::controller::refusal::{Failure, Refusal};

const QUOTA: &str = "secrets \"ghcr\" is forbidden: exceeded quota: few-secrets, requested: count/secrets=1, used: \
                     count/secrets=5, limited: count/secrets=5";
const RIGHTS: &str = "secrets \"ghcr\" is forbidden: User \"system:serviceaccount:pullkey:pullkey-controller\" cannot patch \
                      resource \"secrets\" in API group \"\" in the namespace \"team-a\"";
const POLICY: &str = "secrets \"ghcr\" is forbidden: ValidatingAdmissionPolicy 'only-labelled' with binding 'all' denied \
                      request: no owner mArKeR7";
const NO_NAME: &str = "admission webhook \"mArKeR7 x\" denied the request";
const WEBHOOK: &str = "admission webhook \"validate.kyverno.svc-fail\" denied the request: mArKeR7";

/// Nothing of a message goes further, but names.
fn refusal(code: u16, message: &str, kind: &str, causes: &[&str]) -> Refusal {
    let failure = Failure {
        code,
        message,
        kind,
        causes,
        ..Failure::default()
    };
    let found = Refusal::of(&failure);
    assert!(!format!("{found:?} {found}").contains("mArKeR7"), "{found:?}");
    found
}

#[test]
fn each_answer_has_its_class() {
    let unavailable = Refusal::Unavailable { after: None };
    let immutable = "type: Invalid value: \"x\": field is immutable";
    let immutable_data = "data: Forbidden: field is immutable when `immutable` is set";
    for (what, code, message, kind, class) in [
        (
            "another owner",
            409,
            "Apply failed with 1 conflict",
            "",
            Refusal::Conflict,
        ),
        (
            "a precondition",
            409,
            "Precondition failed: UID in precondition",
            "",
            Refusal::Conflict,
        ),
        (
            "gone in the meantime",
            404,
            "secrets \"ghcr\" not found",
            "secrets",
            Refusal::Conflict,
        ),
        (
            "no namespace",
            404,
            "namespaces \"team-a\" not found",
            "namespaces",
            Refusal::Terminating,
        ),
        ("rights", 403, RIGHTS, "", Refusal::NotPermitted),
        ("no identity", 401, "Unauthorized", "", Refusal::NotPermitted),
        ("another type", 422, immutable, "", Refusal::Immutable),
        ("immutable data", 422, immutable_data, "", Refusal::Immutable),
        ("too large", 422, "data: Too long", "", Refusal::Invalid),
        ("too large for a request", 413, "", "", Refusal::Invalid),
        (
            "a webhook that is down",
            500,
            "failed calling webhook \"x\"",
            "",
            unavailable.clone(),
        ),
        ("no leader", 503, "", "", unavailable.clone()),
        ("no answer", 0, "", "", unavailable),
        ("too many", 429, "", "", Refusal::Throttled { after: None }),
    ] {
        assert_eq!(refusal(code, message, kind, &[]), class, "{what}");
    }
    let terminating = refusal(403, "it is being terminated", "", &["NamespaceTerminating"]);
    assert_eq!(terminating, Refusal::Terminating);
}

#[test]
fn a_policy_or_quota_that_says_no_is_named() {
    for (code, message, reason, said) in [
        (
            403,
            QUOTA,
            "QuotaExceeded",
            "the ResourceQuota `few-secrets` is used up",
        ),
        (422, POLICY, "DeniedByPolicy", "the policy `only-labelled` denies it"),
        (
            403,
            WEBHOOK,
            "DeniedByPolicy",
            "the policy `validate.kyverno.svc-fail` denies it",
        ),
        (
            400,
            WEBHOOK,
            "DeniedByPolicy",
            "the policy `validate.kyverno.svc-fail` denies it",
        ),
        (403, NO_NAME, "DeniedByPolicy", "an admission plugin forbids it"),
        (
            403,
            "secrets \"ghcr\" is forbidden: not today",
            "DeniedByPolicy",
            "an admission plugin forbids it",
        ),
    ] {
        let refusal = refusal(code, message, "", &[]);
        assert_eq!(
            (refusal.reason(), refusal.to_string().as_str()),
            (reason, said),
            "{code} {message}"
        );
    }
}

#[test]
fn refusals_are_tried_again_sooner_or_later() {
    let after = Some(Duration::from_secs(7));
    for (refusal, seconds) in [
        (Refusal::Conflict, [0, 2, 4, 600]),
        (Refusal::Immutable, [0, 2, 4, 600]),
        (Refusal::QuotaExceeded { quota: None }, [30, 60, 120, 600]),
        (Refusal::DeniedByPolicy { policy: None }, [30, 60, 120, 600]),
        (Refusal::NotPermitted, [10, 20, 40, 600]),
        (Refusal::Invalid, [60, 120, 240, 600]),
        (Refusal::Unavailable { after: None }, [1, 2, 4, 60]),
        (Refusal::Throttled { after }, [7, 7, 7, 60]),
    ] {
        let delays = [1, 2, 3, 40].map(|failures| refusal.delay(failures).as_secs());
        assert_eq!(delays, seconds, "{refusal:?}");
    }
}
