//! What the program says when it begins to serve: where, with what, and how to try it.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use pullkey::admission::{API_VERSION, KIND};
use pullkey::certs::{files, rfc3339};
use pullkey::explain::DEFAULT_NAMESPACE;
use pullkey::image::ImageReference;
use pullkey::printable::printable;
use pullkey::rules::{Mode, Namespace, Rule, RuleSet};
use pullkey::server::PATH;
use serde_json::json;
use tracing::info;

use super::super::{counted, tell};
use crate::cli::{OutputFormat, WebhookArgs};

/// How many rules are listed: as many as fit a screen.
const MOST_RULES: usize = 20;

pub(super) struct Banner<'a> {
    pub(super) args: &'a WebhookArgs,
    pub(super) server: SocketAddr,
    pub(super) health: Option<SocketAddr>,
    /// None until the cluster has been listed.
    pub(super) rules: Option<Arc<RuleSet>>,
    /// None until there is a certificate.
    pub(super) not_after: Option<SystemTime>,
}

impl Banner<'_> {
    /// Says it: as text for people, or as one event for programs.
    pub(super) fn show(&self) {
        let (url, not_after) = (format!("https://{}{PATH}", self.server), self.not_after.map(rfc3339));
        let health = self.health.map(|health| format!("http://{health}"));
        if self.args.log.format == OutputFormat::Json {
            info!(
                url,
                health,
                certificate_not_after = not_after,
                rules = self.rules.as_ref().map(|rules| rules.rules().len()),
                cluster = self.args.cluster.then_some(true),
                "serving"
            );
            return;
        }
        let mut text = format!("pullkey {} serves {url}\n", env!("CARGO_PKG_VERSION"));
        if let Some(health) = health {
            let _ = writeln!(text, "health and metrics on {health}/readyz and {health}/metrics");
        }
        let _ = match not_after {
            Some(not_after) => writeln!(text, "certificate valid until {not_after}"),
            None => writeln!(text, "the certificate is awaited"),
        };
        let paths = self
            .args
            .rules
            .paths(self.args.cluster)
            .into_iter()
            .map(|path| path.display().to_string());
        let cluster = self.args.cluster.then(|| "the cluster".to_owned());
        let sources: Vec<_> = cluster.into_iter().chain(paths).collect();
        let sources = printable(&sources.join(", ")).into_owned();
        let _ = match &self.rules {
            Some(rules) => writeln!(text, "{} in force from {sources}", counted(rules.rules().len(), "rule")),
            None => writeln!(
                text,
                "rules will be in force once they have been listed, from {sources}"
            ),
        };
        let rules = self.rules.as_ref().map(|rules| rules.rules()).unwrap_or_default();
        for rule in rules.iter().take(MOST_RULES) {
            let _ = writeln!(text, "  {}", printable(&line(rule)));
        }
        if let Some(more) = rules.len().checked_sub(MOST_RULES).filter(|more| *more > 0) {
            let _ = writeln!(text, "  and {more} more");
        }
        let _ = writeln!(text, "\ntry it from another terminal:\n\n{}\n", self.command());
        tell(&text);
    }

    /// A call that a person can paste, for a Pod that gets a secret if the rules have one to give.
    fn command(&self) -> String {
        let example = self.rules.as_deref().and_then(example);
        let (namespace, image) = example.unwrap_or_else(|| (DEFAULT_NAMESPACE.to_owned(), "nginx".to_owned()));
        let review = json!({
            "apiVersion": API_VERSION,
            "kind": KIND,
            "request": {
                "uid": "a-first-try",
                "operation": "CREATE",
                "resource": { "group": "", "version": "v1", "resource": "pods" },
                "namespace": namespace,
                "object": { "spec": { "containers": [{ "name": "app", "image": image }] } },
            },
        });
        // What listens everywhere is reached here.
        let address = match self.server {
            address if address.ip().is_unspecified() => format!("localhost:{}", address.port()),
            address => address.to_string(),
        };
        let authority = files::authority(Path::new(super::DEVELOPMENT));
        let trust = match self.args.tls_cert {
            None if authority.exists() => format!("--cacert {}", authority.display()),
            _ => "--insecure".to_owned(),
        };
        format!("curl --silent {trust} -H 'content-type: application/json' -d '{review}' https://{address}{PATH}")
    }
}

/// A rule on one line: its name, what it covers, what it gives.
fn line(rule: &Rule) -> String {
    let mut covers: Vec<_> = rule
        .patterns
        .iter()
        .map(|pattern| pattern.as_str().to_owned())
        .collect();
    covers.extend(rule.regex.as_ref().map(|regex| format!("imageRegex:{regex}")));
    let mode = if rule.mode == Mode::Shadow { " (Shadow)" } else { "" };
    format!(
        "{}: {} gets {}{mode}",
        rule.qualified_name(),
        covers.join(", "),
        rule.secret
    )
}

/// A namespace and an image that get a secret, if some are found.
fn example(rules: &RuleSet) -> Option<(String, String)> {
    let enforced = rules
        .rules()
        .iter()
        .filter(|rule| rule.mode == Mode::Enforce)
        .take(MOST_RULES);
    let mut examples = enforced.flat_map(|rule| {
        let namespace = rule.namespace.clone().unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
        rule.patterns.iter().map(move |pattern| {
            let image = format!("{}{}/app:v1", pattern.host(), pattern.path()).replace('*', "a");
            (namespace.clone(), image)
        })
    });
    let gets_a_secret = |(namespace, image): &(String, String)| {
        let namespace = Namespace {
            name: namespace,
            labels: None,
        };
        ImageReference::parse(image).is_ok_and(|image| !rules.matches(&image, &namespace).is_empty())
    };
    examples.find(gets_a_secret)
}
