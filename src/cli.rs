//! What can be typed: the program's commands, options and their help.
//!
//! In: arguments and the environment. Out: one [`Command`] whose every value is well-formed, or clap's error. Refuses
//! to do anything with it. Each option can also be given as a variable of its name behind `PULLKEY_`; an empty variable
//! counts as none. No option may be called `port`, `service-…` or `port-…`, nor one of these behind `webhook-`: Kubernetes
//! puts variables of such names into Pods beside Services called `pullkey` and `pullkey-webhook`.

use std::env;
use std::ffi::{OsStr, OsString};
use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU16, NonZeroU32, NonZeroUsize};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::{BoolishValueParser, PossibleValuesParser, Resettable, TypedValueParser};
use clap::{Arg, ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use pullkey::certs::make::DnsName;
use pullkey::controller::live::ReplicaName;
use pullkey::controller::names::SecretName;
use pullkey::manifests::{
    self, DnsPolicy, FailurePolicy, Image, NamespaceName, ObjectName, Options, SOURCES, Timeout, Toleration,
};
use pullkey::rules::{ACCEPTED_NAMESPACE_NAME, is_namespace_name};
use pullkey::{health, server};
use tracing::Level;

/// Puts the right imagePullSecrets on every new Kubernetes Pod
#[derive(Debug, Parser)]
#[command(name = "pullkey", version, max_term_width = 100, arg_required_else_help = true)]
#[command(
    after_help = "Every option can also be set by the variable that its help names, several values split at `:`.\n\
    Exit status: 0 all is well, 1 the input is wrong, 2 something around the program is."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// One job of the program.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Webhook(WebhookArgs),
    Controller(ControllerArgs),
    Explain(ExplainArgs),
    Check(CheckArgs),
    Doctor(DoctorArgs),
    Certs(CertsArgs),
    Manifests(ManifestsArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
}

/// Serve the admission webhook
///
/// Without options it serves on this machine only, with the rules of `config/rules.yaml` and a development
/// certificate that it makes in `certs/`. Rules and certificates are read again when their files change, and on SIGHUP.
/// With `--cluster` it also follows the rules and namespaces of a cluster. SIGTERM ends it once all calls are answered.
#[derive(Debug, Args)]
pub(crate) struct WebhookArgs {
    #[command(flatten)]
    pub(crate) rules: RulesArgs,
    /// Follow the rules, namespaces and service accounts of the cluster that KUBECONFIG leads to, or of the one that this
    /// runs in; files of rules are read only if they are named
    #[arg(long, env = "PULLKEY_CLUSTER", value_parser = BoolishValueParser::new())]
    pub(crate) cluster: bool,
    /// How long after the birth of a namespace the API server is asked to wait a second with Pods that get a copied
    /// secret; at most 1s
    #[arg(
        long,
        value_name = "DURATION",
        env = "PULLKEY_SETTLE_NEW_NAMESPACES",
        default_value = "0s"
    )]
    #[arg(value_parser = settling)]
    pub(crate) settle_new_namespaces: Duration,
    /// Address and port of the HTTPS server
    #[arg(
        long,
        value_name = "ADDR:PORT",
        env = "PULLKEY_LISTEN",
        default_value = format!("127.0.0.1:{}", server::PORT), value_parser = socket
    )]
    pub(crate) listen: SocketAddr,
    /// Serving certificate as PEM, what leads to its CA after it [default: a development certificate]
    #[arg(long, value_name = "FILE", env = "PULLKEY_TLS_CERT", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Private key of that certificate as PEM
    #[arg(long, value_name = "FILE", env = "PULLKEY_TLS_KEY", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Start without a certificate that can serve, and be ready once there is one
    #[arg(long, env = "PULLKEY_AWAIT_CERTIFICATE", requires = "tls_cert", value_parser = BoolishValueParser::new())]
    pub(crate) await_certificate: bool,
    /// Answer only callers that show a certificate of one of these CAs, as PEM
    #[arg(long, value_name = "FILE", env = "PULLKEY_CLIENT_CA")]
    pub(crate) client_ca: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) health: HealthArgs,
    /// How long to go on serving after SIGTERM before connections are closed
    #[arg(long, value_name = "DURATION", env = "PULLKEY_DRAIN_GRACE", default_value = "15s")]
    #[arg(value_parser = pullkey::duration::parse)]
    pub(crate) drain_grace: Duration,
    /// Connections held at once; above it none is accepted
    #[arg(long, value_name = "NUMBER", env = "PULLKEY_MAX_CONNECTIONS", default_value = "1024")]
    pub(crate) max_connections: NonZeroUsize,
    /// Calls answered at once; above it callers are told to try again a second later
    #[arg(long, value_name = "NUMBER", env = "PULLKEY_MAX_IN_FLIGHT", default_value = "256")]
    pub(crate) max_in_flight: NonZeroUsize,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

/// Keep copies of pull secrets in the namespaces that rules name
///
/// It follows the cluster that KUBECONFIG leads to, or the one that it runs in: rules with `copyFrom`, namespaces, and
/// the secrets to copy. Of several replicas one writes, by a Lease in Pullkey's own namespace, and the others are warm.
#[derive(Debug, Args)]
pub(crate) struct ControllerArgs {
    /// Namespace that secrets may be copied from; repeatable
    #[arg(long, value_name = "NAMESPACE", env = "PULLKEY_SOURCE_NAMESPACE", value_parser = namespace)]
    #[arg(default_value = SOURCES)]
    pub(crate) source_namespace: Vec<String>,
    /// Pullkey's own namespace, with the Lease; nothing is copied from or to it
    #[arg(long, value_name = "NAMESPACE", env = "PULLKEY_OWN_NAMESPACE", value_parser = namespace)]
    #[arg(default_value = "pullkey")]
    pub(crate) own_namespace: String,
    /// Name of copies, or `NAMESPACE/NAME` of a source, that may be touched, and no others; repeatable [default: any]
    #[arg(long, value_name = "[NAMESPACE/]NAME", env = "PULLKEY_SECRET_NAME")]
    pub(crate) secret_name: Vec<SecretName>,
    /// How long the copies of a deleted rule stay
    #[arg(long, value_name = "DURATION", env = "PULLKEY_KEEP_COPIES", default_value = "10m")]
    #[arg(value_parser = pullkey::duration::parse)]
    pub(crate) keep_copies: Duration,
    /// A label that every copy carries, for policies that demand one; repeatable
    #[arg(long, value_name = "KEY=VALUE", env = "PULLKEY_COPY_LABEL")]
    pub(crate) copy_label: Vec<KeyValue>,
    /// An annotation that every copy carries; repeatable
    #[arg(long, value_name = "KEY=VALUE", env = "PULLKEY_COPY_ANNOTATION")]
    pub(crate) copy_annotation: Vec<KeyValue>,
    /// Writes of copies in a second, in the long run; those in newborn namespaces count apart
    #[arg(
        long,
        value_name = "NUMBER",
        env = "PULLKEY_WRITES_PER_SECOND",
        default_value = "300"
    )]
    pub(crate) writes_per_second: NonZeroU32,
    /// Such writes at once after a pause
    #[arg(long, value_name = "NUMBER", env = "PULLKEY_WRITE_BURST", default_value = "600")]
    pub(crate) write_burst: NonZeroU32,
    /// Name that leads to the replicas of the webhook, with their port for probes if it is another than 8080, to ask them
    /// when rules last matched; repeatable; in the variable, name and port in brackets [default: nobody is asked]
    #[arg(long, value_name = "NAME[:PORT]", env = "PULLKEY_WEBHOOK_REPLICAS")]
    pub(crate) webhook_replicas: Vec<ReplicaName>,
    /// How often they are asked
    #[arg(
        long,
        value_name = "DURATION",
        env = "PULLKEY_MATCHES_INTERVAL",
        default_value = "5m"
    )]
    #[arg(value_parser = interval)]
    pub(crate) matches_interval: Duration,
    #[command(flatten)]
    pub(crate) health: HealthArgs,
    #[command(flatten)]
    pub(crate) log: LogArgs,
    #[command(flatten)]
    pub(crate) certificates: CertificatesArgs,
}

/// Say which secrets images and manifests get, and why
///
/// Images are named as arguments, manifests with `--file`. The decision is the webhook's own. With `--cluster` it is made
/// as the webhook of a cluster makes it, and objects of the cluster can be named, too.
#[derive(Debug, Args)]
#[command(mut_arg("kubeconfig", |arg| arg.requires("cluster")), mut_arg("context", |arg| arg.requires("cluster")))]
pub(crate) struct ExplainArgs {
    /// Images as in a Pod's `image` field; with `--cluster` also objects, such as `pod/web` or `deployment/web`
    #[arg(value_name = "IMAGE")]
    pub(crate) images: Vec<String>,
    /// Manifest or AdmissionReview, as YAML or JSON; `-` for standard input; repeatable
    #[arg(short, long, value_name = "FILE", env = "PULLKEY_FILE")]
    pub(crate) file: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) rules: RulesArgs,
    /// Take rules, labels of namespaces and service accounts from a cluster; files of rules are read only if they are
    /// named
    #[arg(long, env = "PULLKEY_CLUSTER", value_parser = BoolishValueParser::new())]
    pub(crate) cluster: bool,
    #[command(flatten)]
    pub(crate) way: WayArgs,
    /// Namespace of images and objects, and of manifests that name none [default: default, or with `--cluster` that of
    /// the context]
    #[arg(short, long, value_name = "NAMESPACE", env = "PULLKEY_NAMESPACE", value_parser = namespace)]
    pub(crate) namespace: Option<String>,
    /// A label of that namespace, for rules that select by label; repeatable
    #[arg(
        long,
        value_name = "KEY=VALUE",
        env = "PULLKEY_NAMESPACE_LABEL",
        conflicts_with = "cluster"
    )]
    pub(crate) namespace_label: Vec<KeyValue>,
    /// Read the secrets that the Pods would name from the cluster, and say what the kubelet would use of them; takes the
    /// right to get them
    #[arg(long, env = "PULLKEY_SECRETS", requires = "cluster", conflicts_with = "credentials")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(crate) secrets: bool,
    /// Say which credentials of this file the kubelet would use: a docker `config.json`, a `.dockercfg`, or a
    /// Secret's manifest; repeatable
    #[arg(long, value_name = "FILE", env = "PULLKEY_CREDENTIALS")]
    pub(crate) credentials: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Check rules and pull secrets, and report every mistake at once
///
/// Rules that pass are rules that the webhook takes: the same code reads them.
#[derive(Debug, Args)]
#[command(mut_arg("kubeconfig", |arg| arg.requires("cluster")), mut_arg("context", |arg| arg.requires("cluster")))]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) rules: RulesArgs,
    /// Check the rules of a cluster, and files only if they are named: beside those of the cluster
    #[arg(long, env = "PULLKEY_CLUSTER", value_parser = BoolishValueParser::new())]
    pub(crate) cluster: bool,
    #[command(flatten)]
    pub(crate) way: WayArgs,
    /// Check the secrets that rules of the cluster copy from, too; takes the right to get them
    #[arg(long, env = "PULLKEY_SECRETS", requires = "cluster", value_parser = BoolishValueParser::new())]
    pub(crate) secrets: bool,
    /// Check these, too: a docker `config.json`, a `.dockercfg`, or a manifest of Secrets; `-` for standard input;
    /// repeatable
    #[arg(long, value_name = "FILE", env = "PULLKEY_CREDENTIALS", num_args = 1..)]
    pub(crate) credentials: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Say what is wrong with Pullkey on a cluster, and what to do about it
///
/// It looks at the registration, at what runs, at rules, copies and Pods, with your rights, and changes nothing. What you may
/// not read is named, and the rest goes on. Exit status: 0 all is well, 1 something does not work, 2 something could not be
/// seen.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) way: WayArgs,
    /// Pullkey's own namespace [default: that of the Service that the API server calls, or pullkey]
    #[arg(long, value_name = "NAMESPACE", env = "PULLKEY_OWN_NAMESPACE", value_parser = namespace)]
    pub(crate) own_namespace: Option<String>,
    /// Have the API server make a Pod in this namespace as a dry run, which proves that it reaches the webhook; takes the
    /// right to create Pods
    #[arg(long, value_name = "NAMESPACE", env = "PULLKEY_DRY_RUN", value_parser = namespace)]
    pub(crate) dry_run: Option<String>,
    /// Read the Secret with the serving certificate, and compare it with `caBundle`; takes the right to get it
    #[arg(long, env = "PULLKEY_SECRETS", value_parser = BoolishValueParser::new())]
    pub(crate) secrets: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Make a CA and a serving certificate
///
/// Writes `ca.crt`, `ca.key`, `tls.crt` and `tls.key`, and prints the `caBundle` of the webhook configuration on
/// standard output. The CA lives for ten years; `ca.key` is not needed to serve and is best kept elsewhere. With
/// `--renew`, the CA of the directory signs another serving certificate: nothing has to be registered anew.
#[derive(Debug, Args)]
pub(crate) struct CertsArgs {
    /// Directory to write to; made if it is missing
    #[arg(long, value_name = "DIR", env = "PULLKEY_OUT")]
    pub(crate) out: PathBuf,
    /// DNS name of the server, such as `pullkey-webhook.pullkey.svc`; repeatable
    #[arg(long, value_name = "NAME", env = "PULLKEY_DNS", num_args = 1..)]
    pub(crate) dns: Vec<DnsName>,
    /// IP address of the server; repeatable; in the variable, IPv6 in brackets
    #[arg(long, value_name = "ADDR", env = "PULLKEY_IP", num_args = 1.., value_parser = address)]
    pub(crate) ip: Vec<IpAddr>,
    /// Days until the serving certificate expires
    #[arg(long, value_name = "NUMBER", env = "PULLKEY_DAYS", default_value = "365")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=3650))]
    pub(crate) days: u16,
    /// Replace files that are there
    #[arg(long, env = "PULLKEY_FORCE", value_parser = BoolishValueParser::new())]
    pub(crate) force: bool,
    /// Replace `tls.crt` and `tls.key` only, signed by the CA that is there; for the same names, unless some are given
    #[arg(long, env = "PULLKEY_RENEW", value_parser = BoolishValueParser::new())]
    pub(crate) renew: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Print what installs the webhook on a cluster
///
/// Kubernetes objects as YAML, ready for `kubectl apply -f -`; with `--out`, files for kustomize. It reads the rules and
/// the CA that it is given, and no cluster. What it prints holds no secret.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(crate) struct ManifestsArgs {
    /// Namespace to install into, Pullkey's own
    #[arg(short, long, value_name = "NAMESPACE", env = "PULLKEY_NAMESPACE")]
    #[arg(default_value_t = Options::default().namespace)]
    pub(crate) namespace: NamespaceName,
    /// Image of the program
    #[arg(long, value_name = "IMAGE", env = "PULLKEY_IMAGE", default_value_t = Options::default().image)]
    pub(crate) image: Image,
    /// Pull secret of that image, in the same namespace; repeatable
    #[arg(long, value_name = "NAME", env = "PULLKEY_IMAGE_PULL_SECRET")]
    pub(crate) image_pull_secret: Vec<ObjectName>,
    /// Priority class of Pullkey's Pods
    #[arg(long, value_name = "NAME", env = "PULLKEY_PRIORITY_CLASS")]
    #[arg(default_value_t = Options::default().priority_class)]
    pub(crate) priority_class: ObjectName,
    /// Taint of nodes that does not keep these Pods away, as `kubectl taint` writes it; repeatable; in the variable, in
    /// brackets
    #[arg(long, value_name = "KEY[=VALUE][:EFFECT]", env = "PULLKEY_TOLERATION")]
    pub(crate) toleration: Vec<Toleration>,
    /// Put the webhook's Pods on the network of their nodes, where the API server reaches no other; their ports must be
    /// free there
    #[arg(long, env = "PULLKEY_HOST_NETWORK", value_parser = BoolishValueParser::new())]
    pub(crate) host_network: bool,
    /// How the webhook's Pods find names [default: the cluster's way; `ClusterFirstWithHostNet` with `--host-network`]
    #[arg(long, value_name = "POLICY", env = "PULLKEY_DNS_POLICY", value_parser = one_of(DnsPolicy::ALL))]
    pub(crate) dns_policy: Option<DnsPolicy>,
    /// How many of the webhook there are
    #[arg(long, value_name = "NUMBER", env = "PULLKEY_REPLICAS", default_value_t = Options::default().replicas)]
    pub(crate) replicas: NonZeroU16,
    /// Their port for calls; the Service has 443
    #[arg(long, value_name = "PORT", env = "PULLKEY_HTTPS_PORT", default_value_t = Options::default().https_port)]
    pub(crate) https_port: u16,
    /// Their port for probes and metrics
    #[arg(long, value_name = "PORT", env = "PULLKEY_HEALTH_PORT", default_value_t = Options::default().health_port)]
    pub(crate) health_port: u16,
    /// Rules file, or a directory of them; repeatable [default: a rule that changes no Pod]
    #[arg(long, value_name = "PATH", env = "PULLKEY_RULES")]
    pub(crate) rules: Vec<PathBuf>,
    /// What becomes of new Pods where the webhook cannot be called: `Ignore` creates them as they are, `Fail` none
    #[arg(long, value_name = "POLICY", env = "PULLKEY_FAILURE_POLICY", value_parser = one_of(FailurePolicy::ALL))]
    #[arg(default_value_t = Options::default().failure_policy)]
    pub(crate) failure_policy: FailurePolicy,
    /// How long the API server waits for an answer, at most 30s
    #[arg(long, value_name = "DURATION", env = "PULLKEY_TIMEOUT", default_value_t = Options::default().timeout)]
    pub(crate) timeout: Timeout,
    /// Ask the webhook only about Pods of namespaces with the label `pullkey.dev/inject=true`
    #[arg(long, env = "PULLKEY_OPT_IN", value_parser = BoolishValueParser::new())]
    pub(crate) opt_in: bool,
    /// Namespace that the controller may copy secrets from; repeatable
    #[arg(long, value_name = "NAMESPACE", env = "PULLKEY_SOURCE_NAMESPACE", default_value = SOURCES)]
    pub(crate) source_namespace: Vec<NamespaceName>,
    /// Limit the controller's rights on secrets to this name of copies, or `NAMESPACE/NAME` of a source; repeatable
    /// [default: any name]
    #[arg(long, value_name = "[NAMESPACE/]NAME", env = "PULLKEY_SECRET_NAME")]
    pub(crate) secret_name: Vec<SecretName>,
    /// Limit them to the names that these rules copy from and to: a file, or a directory of them; repeatable
    #[arg(long, value_name = "PATH", env = "PULLKEY_SECRET_NAMES_FROM")]
    pub(crate) secret_names_from: Vec<PathBuf>,
    /// Namespace whose Pods are none of the webhook's business, besides kube-system and its like; repeatable
    #[arg(long, value_name = "NAMESPACE", env = "PULLKEY_EXCLUDE_NAMESPACE")]
    pub(crate) exclude_namespace: Vec<NamespaceName>,
    /// Where the serving certificate comes from: cert-manager, Pullkey's controller, or the Secret `pullkey-webhook-tls`
    /// that you make
    #[arg(
        long,
        value_name = "SOURCE",
        env = "PULLKEY_CERTIFICATE",
        default_value = "cert-manager",
        conflicts_with = "out"
    )]
    pub(crate) certificate: CertificateSource,
    /// CAs of a certificate that you bring, as PEM
    #[arg(long, value_name = "FILE", env = "PULLKEY_CA_BUNDLE", conflicts_with = "out")]
    pub(crate) ca_bundle: Option<PathBuf>,
    /// Also print what has the Prometheus operator and Grafana look after it: a monitor, alerts and a dashboard
    #[arg(long, env = "PULLKEY_MONITORING", value_parser = BoolishValueParser::new(), conflicts_with = "out")]
    pub(crate) monitoring: bool,
    /// Write files for kustomize to this directory, an overlay for each source of certificates
    #[arg(long, value_name = "DIR", env = "PULLKEY_OUT")]
    pub(crate) out: Option<PathBuf>,
    /// Replace files that are there and differ
    #[arg(long, env = "PULLKEY_FORCE", value_parser = BoolishValueParser::new())]
    pub(crate) force: bool,
    /// YAML with comments, or one List as JSON
    #[arg(
        short = 'o',
        long = "output",
        value_name = "FORMAT",
        env = "PULLKEY_OUTPUT",
        default_value = "yaml",
        conflicts_with = "out"
    )]
    pub(crate) format: ManifestFormat,
}

/// Print completions for a shell
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell that they are for
    pub(crate) shell: Shell,
}

/// Print the manual page of the program, or of one of its commands
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The command to describe
    pub(crate) command: Option<String>,
}

/// Certificates that the controller keeps.
#[derive(Debug, Args)]
#[command(next_help_heading = "Certificates that look after themselves")]
pub(crate) struct CertificatesArgs {
    /// Make an authority and what the webhook serves, renew both, and write the `caBundle` of the webhook
    /// configuration; needs `--webhook-replicas`
    #[arg(long, env = "PULLKEY_MANAGE_CERTIFICATES", value_parser = BoolishValueParser::new())]
    pub(crate) manage_certificates: bool,
    /// The webhook configuration
    #[arg(long, value_name = "NAME", env = "PULLKEY_CONFIGURATION", default_value = manifests::NAME)]
    pub(crate) configuration: ObjectName,
    /// The replicas' port for calls, on which they show their certificates
    #[arg(long, value_name = "PORT", env = "PULLKEY_SERVING_PORT", default_value_t = server::PORT)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) serving_port: u16,
    /// How long what the webhook serves lives; it is renewed after two thirds
    // Fifteen days: the last five are for a volume that does not follow, or a controller that does not run.
    #[arg(
        long,
        value_name = "DURATION",
        env = "PULLKEY_CERTIFICATE_LIFETIME",
        default_value = "360h"
    )]
    #[arg(value_parser = pullkey::duration::parse)]
    pub(crate) certificate_lifetime: Duration,
    /// How long the authority lives; it is replaced after two thirds
    #[arg(
        long,
        value_name = "DURATION",
        env = "PULLKEY_AUTHORITY_LIFETIME",
        default_value = "87600h"
    )]
    #[arg(value_parser = pullkey::duration::parse)]
    pub(crate) authority_lifetime: Duration,
    /// How long API servers are given to hear of another authority before it signs, and replicas to show that nothing of
    /// the old one is served
    #[arg(
        long,
        value_name = "DURATION",
        env = "PULLKEY_AUTHORITY_MARGIN",
        default_value = "3m"
    )]
    #[arg(value_parser = pullkey::duration::parse)]
    pub(crate) authority_margin: Duration,
}

/// Where a program that serves answers probes.
#[derive(Debug, Args)]
pub(crate) struct HealthArgs {
    /// Address and port of the plain HTTP server of /livez, /readyz and /metrics, or `none`
    #[arg(
        id = "health_listen",
        long = "health-listen",
        value_name = "ADDR:PORT",
        env = "PULLKEY_HEALTH_LISTEN",
        default_value = format!("127.0.0.1:{}", health::PORT)
    )]
    pub(crate) listen: HealthListen,
}

/// What a program that serves says.
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// Form of the log on standard error
    #[arg(
        id = "log_format",
        long = "log-format",
        value_name = "FORMAT",
        env = "PULLKEY_LOG_FORMAT",
        default_value = "text"
    )]
    pub(crate) format: OutputFormat,
    /// The least important messages to log
    #[arg(id = "log_level", long = "log-level", value_name = "LEVEL", env = "PULLKEY_LOG_LEVEL", default_value = "info", value_parser = level())]
    pub(crate) level: Level,
}

/// The way to a cluster, in the words of kubectl.
#[derive(Debug, Args)]
pub(crate) struct WayArgs {
    /// Kubeconfig to find the cluster by [default: KUBECONFIG, or ~/.kube/config]
    #[arg(long, value_name = "FILE", env = "PULLKEY_KUBECONFIG")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig [default: its current one]
    #[arg(long, value_name = "NAME", env = "PULLKEY_CONTEXT")]
    pub(crate) context: Option<String>,
}

/// Where rules come from.
#[derive(Debug, Args)]
pub(crate) struct RulesArgs {
    /// Rules file, or a directory of them; repeatable [default: config/rules.yaml]
    // Not clap's default: there is none beside `--cluster`.
    #[arg(long = "rules", value_name = "PATH", env = "PULLKEY_RULES")]
    paths: Vec<PathBuf>,
    /// Pullkey's own namespace, whose Pods no rule may select
    #[arg(
        long,
        value_name = "NAMESPACE",
        env = "PULLKEY_OWN_NAMESPACE",
        default_value = "pullkey",
        value_parser = namespace
    )]
    pub(crate) own_namespace: String,
}

/// How an answer is written.
#[derive(Debug, Args)]
pub(crate) struct OutputArgs {
    /// Text for people or JSON for programs
    #[arg(
        short = 'o',
        long = "output",
        value_name = "FORMAT",
        env = "PULLKEY_OUTPUT",
        default_value = "text"
    )]
    pub(crate) format: OutputFormat,
}

impl RulesArgs {
    /// The files and directories that are named, or the default one; there is none beside a cluster.
    pub(crate) fn paths(&self, is_beside_cluster: bool) -> Vec<PathBuf> {
        if self.paths.is_empty() && !is_beside_cluster {
            vec![PathBuf::from("config/rules.yaml")]
        } else {
            self.paths.clone()
        }
    }
}

/// For people or for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    Text,
    Json,
}

/// How manifests are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ManifestFormat {
    Yaml,
    Json,
}

/// Who makes the serving certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CertificateSource {
    CertManager,
    SelfManaged,
    Given,
}

/// Where health and metrics are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HealthListen {
    Off,
    At(SocketAddr),
}

/// A label or an annotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyValue {
    pub(crate) key: String,
    pub(crate) value: String,
}

impl FromStr for HealthListen {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "none" {
            Ok(Self::Off)
        } else {
            socket(text).map(Self::At)
        }
    }
}

impl FromStr for KeyValue {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok(Self {
                key: key.to_owned(),
                value: value.to_owned(),
            }),
            _ => Err("expected KEY=VALUE"),
        }
    }
}

/// Reads the arguments of this process and its environment.
pub(crate) fn parse() -> Result<Cli, clap::Error> {
    let mut command =
        command().mut_subcommands(|command| command.mut_args(|arg| with_variable(arg, |name| env::var_os(name))));
    let matches = command.try_get_matches_from_mut(env::args_os())?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// The program's commands and options, to be described rather than parsed.
pub(crate) fn command() -> clap::Command {
    Cli::command().mut_subcommands(|command| command.mut_args(|arg| arg.hide_env_values(true)))
}

/// Makes clap's own reading of a variable ours: an empty one is none, and what stands in that of a repeatable option is
/// split. (clap's delimiter would split what is typed as well.)
fn with_variable(arg: Arg, variable: impl Fn(&OsStr) -> Option<OsString>) -> Arg {
    let Some(value) = arg.get_env().and_then(variable) else {
        return arg;
    };
    let repeatable = matches!(arg.get_action(), ArgAction::Append);
    match (value.is_empty(), repeatable) {
        (true, _) => arg.env(Resettable::Reset),
        (false, true) => arg.env(Resettable::Reset).default_values(split(&value)),
        (false, false) => arg,
    }
}

/// The parts between colons; those inside brackets belong to an IPv6 address.
fn split(values: &OsStr) -> Vec<OsString> {
    let mut inside = false;
    values
        .as_bytes()
        .split(|byte| {
            inside = *byte == b'[' || inside && *byte != b']';
            *byte == b':' && !inside
        })
        .map(|part| OsStr::from_bytes(part).to_owned())
        .collect()
}

fn address(text: &str) -> Result<IpAddr, &'static str> {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    bare.parse().map_err(|_| "expected an IPv4 or IPv6 address")
}

fn socket(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse()
        .map_err(|_| "expected an address and a port, such as `0.0.0.0:8443` or `[::]:8443`")
}

fn namespace(text: &str) -> Result<String, String> {
    if is_namespace_name(text) {
        Ok(text.to_owned())
    } else {
        Err(format!("expected a namespace's name: {ACCEPTED_NAMESPACE_NAME}"))
    }
}

fn settling(text: &str) -> Result<Duration, String> {
    match pullkey::duration::parse(text) {
        Ok(duration) if duration <= Duration::from_secs(1) => Ok(duration),
        Ok(_) => Err("expected at most `1s`".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    match pullkey::duration::parse(text) {
        Ok(Duration::ZERO) => Err("expected more than `0s`".to_owned()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(error.to_string()),
    }
}

fn level() -> impl TypedValueParser<Value = Level> {
    PossibleValuesParser::new(["error", "warn", "info", "debug", "trace"]).try_map(|level| level.parse::<Level>())
}

/// What is called as in Kubernetes, upper and lower case included.
fn one_of<T, const N: usize>(all: [T; N]) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err: std::error::Error + Send + Sync> + ToString + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(all.map(|value| value.to_string())).try_map(|value| value.parse::<T>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn every_option_has_the_variable_of_its_name() {
        for arg in command().get_subcommands().flat_map(clap::Command::get_arguments) {
            let variable = |name: &str| format!("PULLKEY_{}", name.replace('-', "_").to_uppercase());
            let found = arg.get_env().map(|name| name.to_str().unwrap().to_owned());
            assert_eq!(found, arg.get_long().map(variable), "{arg:?}");
        }
    }

    #[test]
    fn no_option_is_a_variable_of_a_service() {
        for arg in command().get_subcommands().flat_map(clap::Command::get_arguments) {
            let name = arg.get_long().unwrap_or_default();
            let rest = name.strip_prefix("webhook-").unwrap_or(name);
            let is_taken = rest == "port" || rest.starts_with("port-") || rest.starts_with("service-");
            assert!(!is_taken, "{name}");
        }
    }

    #[test]
    fn the_webhook_has_the_defaults_that_are_promised() {
        let Ok(Cli {
            command: Command::Webhook(args),
        }) = Cli::try_parse_from(["pullkey", "webhook"])
        else {
            panic!()
        };
        assert_eq!(args.rules.paths(args.cluster), [PathBuf::from("config/rules.yaml")]);
        assert_eq!((args.cluster, args.settle_new_namespaces), (false, Duration::ZERO));
        assert_eq!(args.rules.own_namespace, "pullkey");
        assert_eq!(args.listen, "127.0.0.1:8443".parse().unwrap());
        assert_eq!(args.health.listen, HealthListen::At("127.0.0.1:8080".parse().unwrap()));
        assert_eq!((args.tls_cert, args.tls_key, args.client_ca), (None, None, None));
        assert_eq!(args.drain_grace, Duration::from_secs(15));
        assert_eq!((args.max_connections.get(), args.max_in_flight.get()), (1024, 256));
        assert_eq!((args.log.format, args.log.level), (OutputFormat::Text, Level::INFO));
    }

    #[test]
    fn beside_a_cluster_only_files_that_are_named_are_read() {
        for (line, expected) in [("--cluster", vec![]), ("--cluster --rules a --rules b", vec!["a", "b"])] {
            let arguments = ["pullkey", "webhook"].into_iter().chain(line.split(' '));
            let Ok(Cli {
                command: Command::Webhook(args),
            }) = Cli::try_parse_from(arguments)
            else {
                panic!()
            };
            assert_eq!(
                args.rules.paths(args.cluster),
                expected.into_iter().map(PathBuf::from).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn short_forms_are_those_of_kubectl() {
        let line =
            "pullkey explain nginx -n team-a -f pod.yaml -f - -o json --namespace-label a=b --namespace-label c=";
        let Ok(Cli {
            command: Command::Explain(args),
        }) = Cli::try_parse_from(line.split(' '))
        else {
            panic!()
        };
        assert_eq!(args.images, ["nginx"]);
        assert_eq!(args.namespace.as_deref(), Some("team-a"));
        assert_eq!(args.file, [PathBuf::from("pod.yaml"), PathBuf::from("-")]);
        assert_eq!(
            args.namespace_label
                .iter()
                .map(|label| label.value.as_str())
                .collect::<Vec<_>>(),
            ["b", ""]
        );
        assert!(args.credentials.is_empty());
        assert_eq!(
            (args.output.format, args.rules.paths(false).len()),
            (OutputFormat::Json, 1)
        );
    }

    #[test]
    fn values_that_mean_nothing_are_refused() {
        for line in [
            "webhook --listen localhost",
            "webhook --health-listen off",
            "webhook --drain-grace 15",
            "webhook --max-in-flight 0",
            "webhook --tls-cert tls.crt",
            "webhook --log-level loud",
            "webhook --settle-new-namespaces 1001ms",
            "webhook --settle-new-namespaces soon",
            "controller --matches-interval 0s",
            "controller --webhook-replicas http://replicas",
            "explain --namespace-label team",
            "explain nginx --namespace-label team=a --cluster",
            "explain nginx --cluster --secrets --credentials config.json",
            "explain nginx --secrets",
            "explain nginx --context c",
            "check --output yaml",
            "check --kubeconfig k",
            "check --secrets",
        ] {
            let arguments = ["pullkey"].into_iter().chain(line.split(' '));
            assert!(Cli::try_parse_from(arguments).is_err(), "{line}");
        }
        let Ok(Cli {
            command: Command::Check(args),
        }) = Cli::try_parse_from(["pullkey", "check", "--rules", "a:b"])
        else {
            panic!()
        };
        assert_eq!(args.rules.paths(false), [PathBuf::from("a:b")]);
    }

    #[test]
    fn a_variable_holds_one_value_or_several_and_empty_is_none() {
        let values = |line: &str, variable: &str| {
            let command = Cli::command()
                .mut_subcommands(|command| command.mut_args(|arg| with_variable(arg, |_| Some(variable.into()))));
            let matches = command.try_get_matches_from(line.split(' ')).unwrap();
            let Ok(Cli {
                command: Command::Check(args),
            }) = Cli::from_arg_matches(&matches)
            else {
                panic!()
            };
            args.rules.paths(false)
        };
        assert_eq!(
            values("pullkey check -o text", "a:b/c"),
            [PathBuf::from("a"), PathBuf::from("b/c")]
        );
        assert_eq!(
            values("pullkey check -o text", ""),
            [PathBuf::from("config/rules.yaml")]
        );
        assert_eq!(values("pullkey check -o text --rules x", "a:b"), [PathBuf::from("x")]);
        assert_eq!(
            split("127.0.0.1:[::1]:[fe80::1]:10.0.0.1".as_ref()),
            ["127.0.0.1", "[::1]", "[fe80::1]", "10.0.0.1"]
        );
        assert_eq!(address("[::1]"), address("::1"));
    }
}
