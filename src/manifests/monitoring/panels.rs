//! What the dashboard shows: panels and their queries.

/// A row of the dashboard, which can be folded.
pub(super) struct Row {
    pub(super) title: &'static str,
    pub(super) panels: &'static [Panel],
}

/// One picture.
pub(super) struct Panel {
    pub(super) title: &'static str,
    pub(super) about: &'static str,
    pub(super) form: Form,
    /// As Grafana calls it.
    pub(super) unit: &'static str,
    /// Queries, each with what its series are called.
    pub(super) queries: &'static [(&'static str, &'static str)],
}

/// How it is drawn.
pub(super) enum Form {
    /// The present value, which is of another colour from each of these values on.
    Value(&'static [(Option<f64>, &'static str)]),
    /// Lines over time.
    Lines,
}

const PLAIN: Form = Form::Value(&[(None, "text")]);
/// Something that should not be at all.
const NONE: Form = Form::Value(&[(None, "green"), (Some(1.0), "red")]);
const PER_SECOND: &str = "cps";
const COUNT: &str = "short";
const SECONDS: &str = "s";
const LEFT: &str = "dtdurations";

/// All of it.
pub(super) const ROWS: &[Row] = &[
    Row {
        title: "At a glance",
        panels: &[
            Panel {
                title: "Webhooks",
                about: "How many replicas of the webhook have rules in force.",
                form: Form::Value(&[(None, "red"), (Some(1.0), "orange"), (Some(2.0), "green")]),
                unit: COUNT,
                queries: &[("count(pullkey_rules) or vector(0)", "")],
            },
            Panel {
                title: "Leaders",
                about: "How many replicas of the controller lead. It should be one.",
                form: Form::Value(&[(None, "red"), (Some(1.0), "green"), (Some(2.0), "red")]),
                unit: COUNT,
                queries: &[("sum(pullkey_leader) or vector(0)", "")],
            },
            Panel {
                title: "Rules in force",
                about: "Rules of files and objects, as the webhooks have them.",
                form: PLAIN,
                unit: COUNT,
                queries: &[("max(pullkey_rules)", "")],
            },
            Panel {
                title: "Refused",
                about: "Rules files with a mistake, and objects that are skipped for one.",
                form: Form::Value(&[(None, "green"), (Some(1.0), "orange")]),
                unit: COUNT,
                queries: &[(
                    "(max(pullkey_rules_files_refused) or vector(0)) + (sum(max by (resource) (pullkey_objects_refused)) or vector(0))",
                    "",
                )],
            },
            Panel {
                title: "Pods given secrets",
                about: "In the time that is shown.",
                form: PLAIN,
                unit: COUNT,
                queries: &[(
                    "sum(increase(pullkey_decisions_total{outcome=\"injected\"}[$__range]))",
                    "",
                )],
            },
            Panel {
                title: "Pods created without asking",
                about: "Calls that failed while the failure policy was Ignore, in the time that is shown, as the API server counts them.",
                form: NONE,
                unit: COUNT,
                queries: &[(
                    "sum(increase(apiserver_admission_webhook_fail_open_count{name=\"pods.pullkey.dev\"}[$__range])) or vector(0)",
                    "",
                )],
            },
            Panel {
                title: "Copies",
                about: "Copies of pull secrets that are there.",
                form: PLAIN,
                unit: COUNT,
                queries: &[("max(pullkey_copies)", "")],
            },
            Panel {
                title: "Certificate ends in",
                about: "The time that is left to the serving certificate.",
                form: PLAIN,
                unit: LEFT,
                queries: &[("min(pullkey_certificate_not_after_timestamp_seconds - time())", "")],
            },
        ],
    },
    Row {
        title: "Calls",
        panels: &[
            Panel {
                title: "Requests",
                about: "By HTTP status. 200 are reviews that were answered; 503 asks the API server to come again.",
                form: Form::Lines,
                unit: PER_SECOND,
                queries: &[(
                    "sum by (code) (rate(pullkey_requests_total[$__rate_interval])) > 0",
                    "{{code}}",
                )],
            },
            Panel {
                title: "Decisions",
                about: "What became of the Pods, with the reason where they got nothing.",
                form: Form::Lines,
                unit: PER_SECOND,
                queries: &[(
                    "sum by (outcome, reason) (rate(pullkey_decisions_total[$__rate_interval])) > 0",
                    "{{outcome}} {{reason}}",
                )],
            },
            Panel {
                title: "Secrets",
                about: "Secrets that were added, Pods to which a rule in mode Shadow would have added one, and images that nobody can parse.",
                form: Form::Lines,
                unit: PER_SECOND,
                queries: &[
                    ("sum(rate(pullkey_secrets_injected_total[$__rate_interval]))", "added"),
                    ("sum(rate(pullkey_shadow_decisions_total[$__rate_interval]))", "shadow"),
                    (
                        "sum(rate(pullkey_invalid_images_total[$__rate_interval]))",
                        "invalid images",
                    ),
                ],
            },
            Panel {
                title: "Time to answer, in the webhook",
                about: "From a request's head to its answer, waiting for the body included.",
                form: Form::Lines,
                unit: SECONDS,
                queries: &[
                    (
                        "histogram_quantile(0.5, sum by (le) (rate(pullkey_request_duration_seconds_bucket[$__rate_interval])))",
                        "half",
                    ),
                    (
                        "histogram_quantile(0.99, sum by (le) (rate(pullkey_request_duration_seconds_bucket[$__rate_interval])))",
                        "99 of 100",
                    ),
                ],
            },
            Panel {
                title: "Time of a call, in the API server",
                about: "What a Pod waits, network and retries included. The API server counts in coarse steps from 5 ms on.",
                form: Form::Lines,
                unit: SECONDS,
                queries: &[
                    (
                        "histogram_quantile(0.5, sum by (le) (rate(apiserver_admission_webhook_admission_duration_seconds_bucket{name=\"pods.pullkey.dev\"}[$__rate_interval])))",
                        "half",
                    ),
                    (
                        "histogram_quantile(0.99, sum by (le) (rate(apiserver_admission_webhook_admission_duration_seconds_bucket{name=\"pods.pullkey.dev\"}[$__rate_interval])))",
                        "99 of 100",
                    ),
                ],
            },
            Panel {
                title: "Asked to come again",
                about: "Calls that were answered 503: the Pod is created a second later.",
                form: Form::Lines,
                unit: PER_SECOND,
                queries: &[(
                    "sum by (reason) (rate(pullkey_retries_asked_total[$__rate_interval]))",
                    "{{reason}}",
                )],
            },
            Panel {
                title: "Calls that failed",
                about: "As the API server counts them: Pods that it created without asking, and Pods that it refused.",
                form: Form::Lines,
                unit: PER_SECOND,
                queries: &[
                    (
                        "sum(rate(apiserver_admission_webhook_fail_open_count{name=\"pods.pullkey.dev\"}[$__rate_interval])) or vector(0)",
                        "created without asking",
                    ),
                    (
                        "sum(rate(apiserver_admission_webhook_rejection_count{name=\"pods.pullkey.dev\"}[$__rate_interval])) or vector(0)",
                        "refused",
                    ),
                ],
            },
            Panel {
                title: "In flight",
                about: "Reviews that are being read or decided at once.",
                form: Form::Lines,
                unit: COUNT,
                queries: &[("sum by (instance) (pullkey_requests_in_flight)", "{{instance}}")],
            },
        ],
    },
    Row {
        title: "Rules and what is known of the cluster",
        panels: &[
            Panel {
                title: "Rules in force",
                about: "All webhooks should have the same.",
                form: Form::Lines,
                unit: COUNT,
                queries: &[("pullkey_rules", "{{instance}}")],
            },
            Panel {
                title: "Refused",
                about: "Rules files with a mistake, and objects that are skipped for one.",
                form: Form::Lines,
                unit: COUNT,
                queries: &[
                    ("max(pullkey_rules_files_refused)", "rules files"),
                    ("max by (resource) (pullkey_objects_refused)", "{{resource}}"),
                ],
            },
            Panel {
                title: "Objects",
                about: "Objects of the cluster that are known.",
                form: Form::Lines,
                unit: COUNT,
                queries: &[("max by (resource) (pullkey_objects)", "{{resource}}")],
            },
            Panel {
                title: "Silence of watches",
                about: "How long the watch that waits longest has heard nothing. There is something to hear about every minute; after three, all is listed afresh.",
                form: Form::Lines,
                unit: SECONDS,
                queries: &[(
                    "max by (resource) (time() - pullkey_watch_progress_timestamp_seconds)",
                    "{{resource}}",
                )],
            },
            Panel {
                title: "Failures of watches",
                about: "Lists and watches that failed or fell silent, by reason.",
                form: Form::Lines,
                unit: PER_SECOND,
                queries: &[(
                    "sum by (resource, reason) (rate(pullkey_watch_failures_total[$__rate_interval])) > 0",
                    "{{resource}} {{reason}}",
                )],
            },
            Panel {
                title: "Lists",
                about: "Complete lists that were taken. Each costs the API server as much as there are objects.",
                form: Form::Lines,
                unit: PER_SECOND,
                queries: &[(
                    "sum by (resource) (rate(pullkey_watch_lists_total[$__rate_interval]))",
                    "{{resource}}",
                )],
            },
        ],
    },
    Row {
        title: "Copies",
        panels: &[
            Panel {
                title: "Copies",
                about: "Copies of pull secrets that are there, as each replica of the controller sees them.",
                form: Form::Lines,
                unit: COUNT,
                queries: &[("pullkey_copies", "{{instance}}")],
            },
            Panel {
                title: "Waiting",
                about: "Copies that wait to be looked after: for their turn, or for the hour to allow their removal.",
                form: Form::Lines,
                unit: COUNT,
                queries: &[("max by (reason) (pullkey_copies_waiting)", "{{reason}}")],
            },
            Panel {
                title: "Until a new namespace has a copy",
                about: "From the news of the namespace's birth.",
                form: Form::Lines,
                unit: SECONDS,
                queries: &[
                    (
                        "histogram_quantile(0.5, sum by (le) (rate(pullkey_newborn_copy_seconds_bucket[$__rate_interval])))",
                        "half",
                    ),
                    (
                        "histogram_quantile(0.99, sum by (le) (rate(pullkey_newborn_copy_seconds_bucket[$__rate_interval])))",
                        "99 of 100",
                    ),
                ],
            },
            Panel {
                title: "Writes",
                about: "Calls about copies and statuses, with what came of them.",
                form: Form::Lines,
                unit: PER_SECOND,
                queries: &[(
                    "sum by (kind, result) (rate(pullkey_copy_writes_total[$__rate_interval])) > 0",
                    "{{kind}} {{result}}",
                )],
            },
            Panel {
                title: "Namespaces of rules",
                about: "How many namespaces rules with a source select, in how many their copies are, and which refuse them.",
                form: Form::Lines,
                unit: COUNT,
                queries: &[("max by (state) (pullkey_rule_namespaces)", "{{state}}")],
            },
            Panel {
                title: "Since the last full pass",
                about: "Every ten minutes it is proven that each copy is as it should be.",
                form: Form::Lines,
                unit: SECONDS,
                queries: &[("time() - (max(pullkey_full_pass_timestamp_seconds) > 0)", "age")],
            },
            Panel {
                title: "Missed",
                about: "Copies with something to do about them that only a full pass found. It should stay 0.",
                form: Form::Lines,
                unit: COUNT,
                queries: &[("max(pullkey_copies_missed)", "missed")],
            },
            Panel {
                title: "Leader",
                about: "Which replica of the controller writes.",
                form: Form::Lines,
                unit: COUNT,
                queries: &[("pullkey_leader", "{{instance}}")],
            },
        ],
    },
    Row {
        title: "Certificates that the controller keeps",
        panels: &[
            Panel {
                title: "Certificate ends in",
                about: "The time that is left to what is signed for the webhook. It is renewed when a third of its life is left.",
                form: Form::Lines,
                unit: LEFT,
                queries: &[(
                    "max(pullkey_kept_certificate_not_after_timestamp_seconds{certificate=\"serving\"} > 0) - time()",
                    "left",
                )],
            },
            Panel {
                title: "Authority ends in",
                about: "The time that is left to the authority that signs. It is replaced when a third of its life is left.",
                form: Form::Lines,
                unit: LEFT,
                queries: &[(
                    "max(pullkey_kept_certificate_not_after_timestamp_seconds{certificate=\"authority\"} > 0) - time()",
                    "left",
                )],
            },
            Panel {
                title: "Since they were made",
                about: "How long ago the certificate was last renewed, and its authority replaced.",
                form: Form::Lines,
                unit: LEFT,
                queries: &[(
                    "time() - max by (certificate) (pullkey_kept_certificate_made_timestamp_seconds > 0)",
                    "{{certificate}}",
                )],
            },
            Panel {
                title: "Steps not done",
                about: "Looks that ended with something that could not be done, by what that was.",
                form: Form::Lines,
                unit: PER_SECOND,
                queries: &[(
                    "sum by (step) (rate(pullkey_certificate_keeping_failures_total[$__rate_interval])) > 0",
                    "{{step}}",
                )],
            },
        ],
    },
    Row {
        title: "Connections, certificate, process",
        panels: &[
            Panel {
                title: "Connections",
                about: "Open connections on the webhook port.",
                form: Form::Lines,
                unit: COUNT,
                queries: &[("sum by (instance) (pullkey_connections)", "{{instance}}")],
            },
            Panel {
                title: "Connections closed",
                about: "By the webhook, with the reason.",
                form: Form::Lines,
                unit: PER_SECOND,
                queries: &[(
                    "sum by (reason) (rate(pullkey_connections_closed_total[$__rate_interval])) > 0",
                    "{{reason}}",
                )],
            },
            Panel {
                title: "Certificate ends in",
                about: "The time that is left to what each webhook serves.",
                form: Form::Lines,
                unit: LEFT,
                queries: &[(
                    "pullkey_certificate_not_after_timestamp_seconds - time()",
                    "{{instance}}",
                )],
            },
            Panel {
                title: "Reloads",
                about: "Changed files that were read again, and certificates that cannot be used.",
                form: Form::Lines,
                unit: COUNT,
                queries: &[
                    (
                        "sum by (result) (increase(pullkey_rules_reloads_total[$__rate_interval]))",
                        "rules {{result}}",
                    ),
                    (
                        "sum by (result) (increase(pullkey_certificate_reloads_total[$__rate_interval]))",
                        "certificate {{result}}",
                    ),
                    ("max(pullkey_certificate_refused)", "certificate is refused"),
                ],
            },
            Panel {
                title: "Panics",
                about: "Faults of the program, each of which cost one call. It should stay 0.",
                form: Form::Lines,
                unit: COUNT,
                queries: &[(
                    "sum by (stage) (increase(pullkey_panics_total[$__rate_interval]))",
                    "{{stage}}",
                )],
            },
            Panel {
                title: "Versions",
                about: "How many replicas of webhook and controller run which version.",
                form: Form::Lines,
                unit: COUNT,
                queries: &[("count by (version) (pullkey_build_info)", "{{version}}")],
            },
        ],
    },
];
