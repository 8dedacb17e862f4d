//! Every number that the program tells: names, labels and help in one table, and one method for each event.
//!
//! Label values come from closed sets: no name, image or text of a user ever becomes one. Counters that requests touch
//! are looked up once, here, so that counting is one atomic addition.

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::{Metric, Registry};
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The content type of [`Metrics::encode`]'s text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// One metric as a reader of the exposition sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Description {
    /// The full name, as in a query; a histogram's without `_bucket`, `_sum` and `_count`.
    pub name: &'static str,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it says, as one clause.
    pub help: &'static str,
}

/// Defines the constants and the table of them in one go.
macro_rules! describe {
    ($($constant:ident = $name:literal, $labels:expr, $help:literal;)+) => {
        $(const $constant: Description = Description { name: $name, labels: &$labels, help: $help };)+
        /// All metrics, in the order of the exposition.
        pub const TABLE: &[Description] = &[$($constant),+];
    };
}

describe! {
    REQUESTS = "pullkey_requests_total", ["code"],
        "Requests on the webhook port, by HTTP status";
    REQUEST_DURATION = "pullkey_request_duration_seconds", [],
        "Time from a review's request head to its answer, waiting for the body included";
    REQUESTS_IN_FLIGHT = "pullkey_requests_in_flight", [],
        "Reviews that are being read or decided";
    CONNECTIONS = "pullkey_connections", [],
        "Open connections on the webhook port";
    CONNECTIONS_CLOSED = "pullkey_connections_closed_total", ["reason"],
        "Connections that this side closed";
    DECISIONS = "pullkey_decisions_total", ["outcome", "reason"],
        "Decisions, by outcome and, where nothing was added, by skip code";
    SECRETS_INJECTED = "pullkey_secrets_injected_total", [],
        "Pull secrets added to Pods";
    SHADOW_DECISIONS = "pullkey_shadow_decisions_total", [],
        "Decisions to which a rule in mode Shadow would have added a secret";
    INVALID_IMAGES = "pullkey_invalid_images_total", [],
        "Image strings that no kubelet could parse";
    PANICS = "pullkey_panics_total", ["stage"],
        "Panics that were caught";
    RULES = "pullkey_rules", [],
        "Rules in force, those in mode Shadow included";
    RULES_FILES_REFUSED = "pullkey_rules_files_refused", [],
        "Rules files whose present content has a mistake";
    RULES_RELOADS = "pullkey_rules_reloads_total", ["result"],
        "Reloads of changed rules files";
    RETRIES = "pullkey_retries_asked_total", ["reason"],
        "Reviews answered 503, for the API server to ask again";
    WATCH_PROGRESS = "pullkey_watch_progress_timestamp_seconds", ["resource"],
        "When a watch last heard from the API server, in Unix time; of several the one that waits longest";
    WATCH_LISTS = "pullkey_watch_lists_total", ["resource"],
        "Complete lists that were taken, the first one included";
    WATCH_FAILURES = "pullkey_watch_failures_total", ["resource", "reason"],
        "Lists and watches that failed or fell silent";
    OBJECTS = "pullkey_objects", ["resource"],
        "Objects of the cluster that are known and without a mistake";
    OBJECTS_REFUSED = "pullkey_objects_refused", ["resource"],
        "Objects of the cluster that are skipped for a mistake";
    COPY_WRITES = "pullkey_copy_writes_total", ["kind", "result"],
        "Calls about copies, and writes of statuses";
    COPIES = "pullkey_copies", [],
        "Copies of pull secrets that are there";
    COPIES_WAITING = "pullkey_copies_waiting", ["reason"],
        "Copies that wait to be looked after, by what they wait for";
    COPIES_MISSED = "pullkey_copies_missed", [],
        "Copies with something to do about them that only a full pass found";
    NAMESPACES_OF_RULES = "pullkey_rule_namespaces", ["state"],
        "Namespaces that rules with a source select, as their statuses count them";
    NEWBORN_COPIES = "pullkey_newborn_copy_seconds", [],
        "Time from the news of a namespace's birth until a copy is in it";
    FULL_PASS = "pullkey_full_pass_timestamp_seconds", [],
        "When a full pass over all copies last ended with nothing left to do, in Unix time";
    LEADER = "pullkey_leader", [],
        "Whether this replica of the controller is the one that writes";
    CERTIFICATE_NOT_AFTER = "pullkey_certificate_not_after_timestamp_seconds", [],
        "End of the serving certificate's validity, in Unix time";
    CERTIFICATE_NOT_BEFORE = "pullkey_certificate_not_before_timestamp_seconds", [],
        "Begin of the serving certificate's validity, in Unix time";
    CERTIFICATE_REFUSED = "pullkey_certificate_refused", [],
        "Whether the certificate files as they are now cannot be used, and what was read before is served";
    CERTIFICATE_RELOADS = "pullkey_certificate_reloads_total", ["result"],
        "Reloads of a changed serving certificate";
    KEPT_NOT_AFTER = "pullkey_kept_certificate_not_after_timestamp_seconds", ["certificate"],
        "End of the validity of what the leading controller keeps, in Unix time; 0 elsewhere";
    KEPT_MADE = "pullkey_kept_certificate_made_timestamp_seconds", ["certificate"],
        "When it was last made, in Unix time; 0 elsewhere";
    KEEPING_FAILURES = "pullkey_certificate_keeping_failures_total", ["step"],
        "Steps of keeping certificates that were not done";
    BUILD = "pullkey_build_info", ["version"],
        "The program's version";
}

/// Defines a closed set of label values.
macro_rules! labels {
    ($(#[$about:meta])* $type:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $type { $($(#[$doc])* $variant),+ }

        impl $type {
            /// The value as it is told.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl Label for $type {
            const ALL: &[Self] = &[$(Self::$variant),+];

            fn as_str(self) -> &'static str {
                $type::as_str(self)
            }
        }
    };
}

labels! {
    /// The HTTP statuses that the webhook port answers with.
    Code {
        /// A review was answered.
        Ok = "200",
        /// The body is no review.
        BadRequest = "400",
        /// Another path.
        NotFound = "404",
        /// Another method.
        MethodNotAllowed = "405",
        /// The body is too large.
        ContentTooLarge = "413",
        /// The body is not declared as JSON.
        UnsupportedMediaType = "415",
        /// A fault of this program before the uid was known.
        InternalServerError = "500",
        /// Too busy or not ready: the caller tries again.
        ServiceUnavailable = "503",
        /// The body was not there in time.
        GatewayTimeout = "504",
    }
}

labels! {
    /// Why this side closed a connection.
    Closed {
        /// The TLS handshake failed.
        Handshake = "handshake",
        /// No request in time.
        NoRequest = "no_request",
        /// It made room for a newcomer before its first request.
        Evicted = "evicted",
        /// Its peer address holds its share already.
        PeerLimit = "peer_limit",
        /// Idle for too long.
        Idle = "idle",
        /// Idle while the program ends.
        Drained = "drained",
        /// Cut off as the last resort while the program ends.
        LastResort = "last_resort",
    }
}

labels! {
    /// Where a panic was caught.
    Stage {
        /// While the review was read.
        Read = "read",
        /// While the decision was made.
        Admit = "admit",
        /// Elsewhere in a connection's task.
        Connection = "connection",
    }
}

labels! {
    /// How a reload ended.
    Reload {
        /// The new content is in force.
        Success = "success",
        /// The old content stays in force.
        Failure = "failure",
    }
}

labels! {
    /// Why the API server is told to ask again.
    Retry {
        /// Rules are not loaded yet.
        NotLoaded = "not_loaded",
        /// The Pod's namespace is not known yet.
        UnknownNamespace = "unknown_namespace",
        /// The Pod's namespace is new, and may get its copies at any moment.
        NewNamespace = "new_namespace",
        /// Too many reviews are in flight.
        Busy = "busy",
    }
}

mod certificates;
mod copies;
mod watches;

use certificates::Certificates;
pub use certificates::{CertificateMetrics, KeepingStep};
use copies::Copies;
pub use copies::{CopyMetrics, WriteKind, WriteResult};
use watches::Watches;
pub use watches::{Resource, WatchFailure, WatchMetrics};

/// All metrics of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Counters<Code>,
    request_duration: Histogram,
    /// Requests in flight, by which the server also limits them.
    pub(crate) in_flight: Gauge,
    pub(crate) connections: ConnectionMetrics,
    injected: Counter,
    /// By skip code.
    skipped: Counters<&'static str>,
    secrets_injected: Counter,
    shadow_decisions: Counter,
    invalid_images: Counter,
    panics: Counters<Stage>,
    rules: Kept<Gauge>,
    rules_files_refused: Gauge,
    rules_reloads: Counters<Reload>,
    retries: Counters<Retry>,
    watches: Watches,
    copies: Copies,
    certificate_not_after: Kept<Gauge>,
    certificate_not_before: Kept<Gauge>,
    certificate_refused: Kept<Gauge>,
    certificate_reloads: Counters<Reload>,
    certificates: Certificates,
}

/// What a listener counts of its connections. The default counts for nobody.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConnectionMetrics {
    pub(crate) open: Gauge,
    closed: Counters<Closed>,
    panics: Counters<Stage>,
}

/// A closed set of values of one label.
trait Label: Copy + PartialEq + 'static {
    /// The whole set.
    const ALL: &[Self];

    /// The value as it is told.
    fn as_str(self) -> &'static str;
}

/// One counter for each value of a label.
#[derive(Debug, Clone)]
struct Counters<L>(Vec<(L, Counter)>);

/// A metric without labels that is told from when on somebody keeps it.
#[derive(Debug, Clone)]
struct Kept<M>(Arc<OnceLock<M>>);

impl Metrics {
    /// All metrics at zero; `skip_codes` is the closed set of reasons for adding nothing.
    #[must_use]
    pub fn new(skip_codes: impl IntoIterator<Item = &'static str>) -> Self {
        let mut registry = Registry::default();
        let requests = Counters::register(&mut registry, REQUESTS);
        // 0.1 ms to 13 s, doubling: a decision takes about the first, a body may take 10 s and more.
        let durations = Histogram::new((0..18).map(|power| 0.000_1 * f64::from(1_u32 << power)));
        let request_duration = register(&mut registry, REQUEST_DURATION, durations);
        let in_flight = register(&mut registry, REQUESTS_IN_FLIGHT, Gauge::default());
        let open = register(&mut registry, CONNECTIONS, Gauge::default());
        let closed = Counters::register(&mut registry, CONNECTIONS_CLOSED);
        let decisions: Family<[(&'static str, &'static str); 2], Counter> = Family::default();
        let decision = |outcome, reason| decisions.get_or_create_owned(&[("outcome", outcome), ("reason", reason)]);
        let injected = decision("injected", "");
        let skipped = skip_codes.into_iter().map(|code| (code, decision("skipped", code)));
        let skipped = Counters(skipped.collect());
        register(&mut registry, DECISIONS, decisions);
        let secrets_injected = register(&mut registry, SECRETS_INJECTED, Counter::default());
        let shadow_decisions = register(&mut registry, SHADOW_DECISIONS, Counter::default());
        let invalid_images = register(&mut registry, INVALID_IMAGES, Counter::default());
        let panics = Counters::register(&mut registry, PANICS);
        let rules = register(&mut registry, RULES, Kept::default());
        let rules_files_refused = register(&mut registry, RULES_FILES_REFUSED, Gauge::default());
        let rules_reloads = Counters::register(&mut registry, RULES_RELOADS);
        let retries = Counters::register(&mut registry, RETRIES);
        let watches = Watches::register(&mut registry);
        let copies = Copies::register(&mut registry);
        let certificate_not_after = register(&mut registry, CERTIFICATE_NOT_AFTER, Kept::default());
        let certificate_not_before = register(&mut registry, CERTIFICATE_NOT_BEFORE, Kept::default());
        let certificate_refused = register(&mut registry, CERTIFICATE_REFUSED, Kept::default());
        let certificate_reloads = Counters::register(&mut registry, CERTIFICATE_RELOADS);
        let certificates = Certificates::register(&mut registry);
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register(BUILD.registered_name(), BUILD.help, version);
        Self {
            registry,
            requests,
            request_duration,
            in_flight,
            connections: ConnectionMetrics {
                open,
                closed,
                panics: panics.clone(),
            },
            injected,
            skipped,
            secrets_injected,
            shadow_decisions,
            invalid_images,
            panics,
            rules,
            rules_files_refused,
            rules_reloads,
            retries,
            watches,
            copies,
            certificate_not_after,
            certificate_not_before,
            certificate_refused,
            certificate_reloads,
            certificates,
        }
    }

    /// The exposition in the text format of `OpenMetrics`, see [`CONTENT_TYPE`].
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail; a metric that cannot be encoded is left out with all that follow.
        let _ = encode(&mut text, &self.registry);
        text
    }

    /// A request on the webhook port was answered.
    pub fn request_answered(&self, code: Code) {
        self.requests.count(code);
    }

    /// A review was answered, whatever the answer.
    pub fn review_took(&self, duration: Duration) {
        self.request_duration.observe(duration.as_secs_f64());
    }

    /// A decision added that many secrets, at least one.
    pub fn injected(&self, secrets: u64) {
        self.injected.inc();
        self.secrets_injected.inc_by(secrets);
    }

    /// A decision added nothing, for the reason with this code.
    pub fn skipped(&self, code: &'static str) {
        self.skipped.count(code);
    }

    /// A rule in mode Shadow would have added a secret.
    pub fn shadowed(&self) {
        self.shadow_decisions.inc();
    }

    /// A review held that many images that do not parse.
    pub fn invalid_images(&self, images: u64) {
        self.invalid_images.inc_by(images);
    }

    /// A panic was caught.
    pub fn panicked(&self, stage: Stage) {
        self.panics.count(stage);
    }

    /// So many rules are in force now.
    pub fn set_rules(&self, rules: usize) {
        self.rules.keep(Gauge::default).set(gauge_value(rules));
    }

    /// So many files are not in force as they stand on disk.
    pub fn set_files_refused(&self, files: usize) {
        self.rules_files_refused.set(gauge_value(files));
    }

    /// Changed rules files were read again.
    pub fn rules_reloaded(&self, result: Reload) {
        self.rules_reloads.count(result);
    }

    /// The API server was told to ask again.
    pub fn retry_asked(&self, reason: Retry) {
        self.retries.count(reason);
    }

    /// The metrics of a watch that begins now.
    #[must_use]
    pub fn watch(&self, resource: Resource, now: SystemTime) -> WatchMetrics {
        self.watches.begin(resource, now)
    }

    /// The metrics of a controller that begins now.
    #[must_use]
    pub fn copies(&self) -> CopyMetrics {
        self.copies.begin()
    }

    /// The certificate that is served now is valid from then until then.
    pub fn set_certificate(&self, not_before: SystemTime, not_after: SystemTime) {
        let told = [
            (&self.certificate_not_before, not_before),
            (&self.certificate_not_after, not_after),
        ];
        for (metric, instant) in told {
            metric.keep(Gauge::default).set(unix_seconds(instant));
        }
    }

    /// Whether the certificate files as they are now cannot be used.
    pub fn set_certificate_refused(&self, is_refused: bool) {
        let refused = self.certificate_refused.keep(Gauge::default);
        refused.set(i64::from(is_refused));
    }

    /// The metrics of a controller that begins now and keeps certificates.
    #[must_use]
    pub fn certificates(&self) -> CertificateMetrics {
        self.certificates.begin()
    }

    /// A changed certificate was read again.
    pub fn certificate_reloaded(&self, result: Reload) {
        self.certificate_reloads.count(result);
    }
}

impl ConnectionMetrics {
    /// This side closed a connection.
    pub(crate) fn closed(&self, reason: Closed) {
        self.closed.count(reason);
    }

    /// A connection's task panicked.
    pub(crate) fn panicked(&self) {
        self.panics.count(Stage::Connection);
    }
}

impl Description {
    /// The name without the suffix that the exposition adds by itself.
    fn registered_name(&self) -> &'static str {
        let name = self.name;
        name.strip_suffix("_total")
            .or_else(|| name.strip_suffix("_info"))
            .unwrap_or(name)
    }
}

impl<L: Label> Counters<L> {
    fn register(registry: &mut Registry, description: Description) -> Self {
        let family: Family<[(&'static str, &'static str); 1], Counter> = Family::default();
        let name = description.labels.first().copied().unwrap_or_default();
        let counter = |label: &L| (*label, family.get_or_create_owned(&[(name, label.as_str())]));
        let counters = L::ALL.iter().map(counter).collect();
        register(registry, description, family);
        Self(counters)
    }
}

impl<L: Copy + PartialEq> Counters<L> {
    fn count(&self, label: L) {
        if let Some((_, counter)) = self.0.iter().find(|(candidate, _)| *candidate == label) {
            counter.inc();
        }
    }
}

impl<L> Default for Counters<L> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<M: Clone> Kept<M> {
    /// Has it told from now on.
    fn keep(&self, new: impl FnOnce() -> M) -> M {
        self.0.get_or_init(new).clone()
    }
}

impl<M> Default for Kept<M> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<M: EncodeMetric + TypedMetric> EncodeMetric for Kept<M> {
    fn encode(&self, encoder: MetricEncoder<'_>) -> fmt::Result {
        self.0.get().map_or(Ok(()), |metric| metric.encode(encoder))
    }

    fn metric_type(&self) -> MetricType {
        M::TYPE
    }

    fn is_empty(&self) -> bool {
        self.0.get().is_none()
    }
}

fn register<M: Metric + Clone>(registry: &mut Registry, description: Description, metric: M) -> M {
    registry.register(description.registered_name(), description.help, metric.clone());
    metric
}

fn gauge_value(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn unix_seconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The samples of a text, as name and the names of its labels.
    fn samples(text: &str) -> BTreeSet<(String, Vec<String>)> {
        let is_sample = |line: &&str| !line.starts_with('#');
        let sample = |line: &str| {
            let (name, labels) = line.split_once('{').unwrap_or((line.split(' ').next().unwrap(), ""));
            let labels = labels.split_once('}').map_or("", |(labels, _)| labels);
            let labels = labels
                .split(',')
                .filter_map(|label| label.split_once('=').map(|(name, _)| name.to_owned()));
            let mut histogram = ["_bucket", "_sum", "_count"]
                .iter()
                .filter_map(|suffix| name.strip_suffix(suffix));
            let labels = labels.filter(|label| label != "le").collect();
            (histogram.next().unwrap_or(name).to_owned(), labels)
        };
        text.lines().filter(is_sample).map(sample).collect()
    }

    #[test]
    fn the_table_lists_what_is_told() {
        let metrics = Metrics::new(["no_match"]);
        let _ = metrics.watch(Resource::Namespaces, UNIX_EPOCH);
        let _ = metrics.copies();
        metrics.set_rules(1);
        metrics.set_certificate(UNIX_EPOCH, UNIX_EPOCH);
        metrics.set_certificate_refused(false);
        let _ = metrics.certificates();
        let told = samples(&metrics.encode());
        let described = TABLE.iter().map(|metric| {
            let labels = metric.labels.iter().map(|label| (*label).to_owned()).collect();
            (metric.name.to_owned(), labels)
        });
        assert_eq!(told, described.collect());
    }

    #[test]
    fn what_has_no_labels_is_told_without_braces_and_not_by_programs_that_have_no_part_in_it() {
        let metrics = Metrics::new([]);
        for metric in ["pullkey_leader", "pullkey_rules ", "pullkey_certificate_not_after"] {
            assert!(!metrics.encode().contains(metric), "{metric}");
        }
        metrics.copies().set_leader(true);
        metrics.copies().newborn_served(Duration::from_millis(1));
        let told = metrics.encode();
        for line in [
            "# TYPE pullkey_leader gauge",
            "pullkey_leader 1",
            "pullkey_copies 0",
            "# TYPE pullkey_newborn_copy_seconds histogram",
            "pullkey_newborn_copy_seconds_count 1",
        ] {
            assert!(told.lines().any(|told| told == line), "{line} missing");
        }
        assert!(!told.contains("{}"), "{told}");
    }

    #[test]
    fn no_watch_hides_that_another_one_of_the_same_resource_stands_still() {
        let metrics = Metrics::new([]);
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let [first, second] = [3, 5].map(|seconds| metrics.watch(Resource::Sources, at(seconds)));
        for (watch, seconds, told) in [(&second, 20, 3), (&first, 11, 11), (&first, 30, 20)] {
            watch.progressed(at(seconds));
            let line = format!("pullkey_watch_progress_timestamp_seconds{{resource=\"sources\"}} {told}");
            assert!(metrics.encode().lines().any(|told| told == line), "{line}");
        }
    }

    #[test]
    fn the_text_ends_as_openmetrics_demands() {
        assert!(Metrics::new([]).encode().ends_with("# EOF\n"));
    }

    #[test]
    fn each_event_moves_its_own_number() {
        type Event = fn(&Metrics);
        let events: [(Event, &str); 24] = [
            (
                |metrics| metrics.request_answered(Code::ContentTooLarge),
                "pullkey_requests_total{code=\"413\"} 1",
            ),
            (
                |metrics| metrics.review_took(Duration::from_millis(1)),
                "pullkey_request_duration_seconds_count 1",
            ),
            (|metrics| _ = metrics.in_flight.inc(), "pullkey_requests_in_flight 1"),
            (|metrics| _ = metrics.connections.open.inc(), "pullkey_connections 1"),
            (
                |metrics| metrics.connections.closed(Closed::Evicted),
                "pullkey_connections_closed_total{reason=\"evicted\"} 1",
            ),
            (
                |metrics| metrics.injected(2),
                "pullkey_decisions_total{outcome=\"injected\",reason=\"\"} 1",
            ),
            (|metrics| metrics.injected(2), "pullkey_secrets_injected_total 2"),
            (
                |metrics| metrics.skipped("no_match"),
                "pullkey_decisions_total{outcome=\"skipped\",reason=\"no_match\"} 1",
            ),
            (Metrics::shadowed, "pullkey_shadow_decisions_total 1"),
            (|metrics| metrics.invalid_images(3), "pullkey_invalid_images_total 3"),
            (
                |metrics| metrics.panicked(Stage::Admit),
                "pullkey_panics_total{stage=\"admit\"} 1",
            ),
            (
                |metrics| metrics.connections.panicked(),
                "pullkey_panics_total{stage=\"connection\"} 1",
            ),
            (|metrics| metrics.set_rules(5), "pullkey_rules 5"),
            (|metrics| metrics.set_files_refused(1), "pullkey_rules_files_refused 1"),
            (
                |metrics| metrics.retry_asked(Retry::UnknownNamespace),
                "pullkey_retries_asked_total{reason=\"unknown_namespace\"} 1",
            ),
            (
                |metrics| _ = metrics.watch(Resource::Namespaces, UNIX_EPOCH + Duration::from_secs(7)),
                "pullkey_watch_progress_timestamp_seconds{resource=\"namespaces\"} 7",
            ),
            (
                |metrics| metrics.watch(Resource::ServiceAccounts, UNIX_EPOCH).listed(),
                "pullkey_watch_lists_total{resource=\"serviceaccounts\"} 1",
            ),
            (
                |metrics| {
                    metrics
                        .watch(Resource::PullSecretRules, UNIX_EPOCH)
                        .failed(WatchFailure::Missing);
                },
                "pullkey_watch_failures_total{resource=\"pullsecretrules\",reason=\"missing\"} 1",
            ),
            (
                |metrics| metrics.watch(Resource::Namespaces, UNIX_EPOCH).set_objects(3, 1),
                "pullkey_objects{resource=\"namespaces\"} 3",
            ),
            (
                |metrics| metrics.watch(Resource::Namespaces, UNIX_EPOCH).set_objects(3, 1),
                "pullkey_objects_refused{resource=\"namespaces\"} 1",
            ),
            (
                |metrics| metrics.set_certificate(UNIX_EPOCH, UNIX_EPOCH + Duration::from_hours(500_000)),
                "pullkey_certificate_not_after_timestamp_seconds 1800000000",
            ),
            (
                |metrics| metrics.set_certificate(UNIX_EPOCH + Duration::from_secs(9), UNIX_EPOCH),
                "pullkey_certificate_not_before_timestamp_seconds 9",
            ),
            (
                |metrics| metrics.set_certificate_refused(true),
                "pullkey_certificate_refused 1",
            ),
            (
                |metrics| metrics.certificate_reloaded(Reload::Failure),
                "pullkey_certificate_reloads_total{result=\"failure\"} 1",
            ),
        ];
        for (event, line) in events {
            let metrics = Metrics::new(["no_match"]);
            assert!(
                !metrics.encode().lines().any(|told| told == line),
                "{line} before its event"
            );
            event(&metrics);
            assert!(metrics.encode().lines().any(|told| told == line), "{line} missing");
        }
    }
}
