//! What the controller says about a rule. Only it writes this, and the webhook believes `keys`.

use serde_json::json;

use super::build::Schema;

/// How many refusals a status tells.
pub const MOST_REFUSALS: usize = 10;
/// The fields of a condition as in every other API (`metav1.Condition`).
const LONGEST_CONDITION_TYPE: usize = 316;
const LONGEST_REASON: usize = 1_024;
const LONGEST_MESSAGE: usize = 32_768;

/// The same for both kinds.
pub(super) fn schema() -> Schema {
    let texts = |description, each| Schema::list(description, Schema::text(each));
    Schema::object(
        "What has become of the rule. The controller writes this.",
        [
            (
                "observedGeneration",
                Schema::number("The metadata.generation that the rest of the status is about."),
            ),
            (
                "keys",
                texts(
                    "Of a rule without images and imageRegex: what the credentials of its source serve, as the kubelet \
                     would use them. This is what the rule covers.",
                    "host[:port][/path]",
                ),
            ),
            (
                "registries",
                texts("The hosts of the registries that the rule covers.", "host[:port]"),
            ),
            ("namespaces", namespaces()),
            ("refusals", refusals()),
            ("lastRotation", Schema::time("When copies last got a new credential.")),
            (
                "lastMatch",
                Schema::time(
                    "The hour in which the rule last applied to a new Pod, whether or not it changed anything.",
                ),
            ),
            ("conditions", conditions()),
        ],
        &[],
    )
}

fn namespaces() -> Schema {
    Schema::object(
        "How many namespaces there are to the rule.",
        [
            ("selected", Schema::number("How many it selects.")),
            ("ready", Schema::number("How many of these have the secret.")),
            (
                "refused",
                Schema::number("How many of these cannot have it; refusals says why."),
            ),
        ],
        &[],
    )
}

fn refusals() -> Schema {
    let refusal = Schema::object(
        "A namespace, and why it cannot have the secret.",
        [
            ("namespace", Schema::text("Its name.")),
            (
                "reason",
                Schema::text("Why, in one word, such as Foreign or QuotaExceeded."),
            ),
            ("message", Schema::text("Why, in a sentence.")),
        ],
        &["namespace", "reason"],
    );
    let description = format!("Namespaces that cannot have the secret; at most {MOST_REFUSALS} of them are told.");
    Schema::list(&description, refusal).with("maxItems", MOST_REFUSALS)
}

fn conditions() -> Schema {
    let status = Schema::text("True, False or Unknown.").with("enum", json!(["True", "False", "Unknown"]));
    let bounded = |description, longest: usize| Schema::text(description).with("maxLength", longest);
    let condition = Schema::object(
        "One of the things to know about the rule.",
        [
            (
                "type",
                bounded("Ready, SourceValid or CopiesReady.", LONGEST_CONDITION_TYPE),
            ),
            ("status", status),
            (
                "reason",
                bounded("Why the status is what it is, in one word.", LONGEST_REASON),
            ),
            (
                "message",
                bounded("Why the status is what it is, in a sentence.", LONGEST_MESSAGE),
            ),
            (
                "observedGeneration",
                Schema::number("The metadata.generation that the condition is about."),
            ),
            ("lastTransitionTime", Schema::time("When the status last changed.")),
        ],
        &["type", "status", "reason", "message", "lastTransitionTime"],
    );
    Schema::list(
        "Whether the rule is in force and everything is where it should be (Ready), its source can be used (SourceValid), and \
         the copies are there (CopiesReady).",
        condition,
    )
    .with("x-kubernetes-list-type", "map")
    .with("x-kubernetes-list-map-keys", json!(["type"]))
}
