//! How it follows a cluster: one of a few objects, told by an API server of this test's own.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use http_body::Frame;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::process::{Shelf, Webhook, added, eventually, review, rule};

const CLUSTER_RULES: &str = "/apis/pullkey.dev/v1alpha1/clusterpullsecretrules";
const RULES: &str = "/apis/pullkey.dev/v1alpha1/pullsecretrules";
const NAMESPACES: &str = "/api/v1/namespaces";
const SERVICE_ACCOUNTS: &str = "/api/v1/serviceaccounts";

/// An API server that lists what it is told, and reports what it is told.
#[derive(Clone, Default)]
struct ApiServer {
    lists: Arc<Mutex<BTreeMap<&'static str, Vec<Value>>>>,
    /// By path.
    watches: Arc<Mutex<Vec<OpenWatch>>>,
}

type OpenWatch = (String, mpsc::UnboundedSender<Bytes>);

/// The body of a watch.
struct Events(mpsc::UnboundedReceiver<Bytes>);

impl ApiServer {
    /// Serves from now on, with a kubeconfig on the shelf that leads there.
    async fn start(shelf: &Shelf) -> Self {
        let server = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        shelf.put("kubeconfig", &kubeconfig(listener.local_addr().unwrap()));
        let router = Router::new().fallback(answer).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        server
    }

    fn list(&self, path: &'static str, objects: Vec<Value>) {
        self.lists.lock().unwrap().insert(path, objects);
    }

    /// Reports it to the watch of that path, once there is one.
    async fn tell(&self, path: &str, event: &str, object: &Value) {
        let line = format!("{}\n", json!({"type": event, "object": object}));
        eventually("a watch", async || {
            let watches = self.watches.lock().unwrap();
            watches
                .iter()
                .any(|(watched, events)| watched == path && events.send(line.clone().into()).is_ok())
        })
        .await;
    }

    /// Ends every connection with a watch.
    fn hang_up(&self) {
        self.watches.lock().unwrap().clear();
    }
}

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0
            .poll_recv(context)
            .map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

async fn answer(State(server): State<ApiServer>, uri: Uri) -> Response {
    let items = server.lists.lock().unwrap().get(uri.path()).cloned();
    let Some(items) = items else {
        return (StatusCode::NOT_FOUND, "404 page not found\n").into_response();
    };
    if uri.query().unwrap_or_default().contains("watch=1") {
        let (sender, events) = mpsc::unbounded_channel();
        server.watches.lock().unwrap().push((uri.path().to_owned(), sender));
        return Body::new(Events(events)).into_response();
    }
    json!({"metadata": {"resourceVersion": "5"}, "items": items})
        .to_string()
        .into_response()
}

fn kubeconfig(address: SocketAddr) -> String {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": format!("http://{address}")}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "users": [{"name": "test", "user": {}}],
    })
    .to_string()
}

fn namespace(name: &str, labels: &Value) -> Value {
    json!({"metadata": {"name": name, "labels": labels, "resourceVersion": "7"}})
}

fn object(name: &str, host: &str) -> Value {
    json!({
        "metadata": {"name": name, "uid": name, "generation": 1, "resourceVersion": "7"},
        "spec": {"images": [host], "namespaces": {"selector": {"matchLabels": {"team": "a"}}}, "secret": {"name": format!("{name}-pull")}},
    })
}

/// A webhook of that cluster, with these options on top.
async fn start(shelf: &Shelf, line: &str) -> Webhook {
    let mut program = shelf.program(&format!("--cluster --tls-cert tls.crt --tls-key tls.key {line}"));
    program.env("KUBECONFIG", shelf.path("kubeconfig"));
    Webhook::start(program, &shelf.authority.pair().certificate).await
}

/// Waits until it is ready.
async fn ready(webhook: &Webhook) {
    eventually("it is ready", async || webhook.get("/readyz").await.contains(" 200 OK")).await;
}

#[tokio::test]
async fn it_serves_once_the_cluster_has_been_listed_and_follows_it() {
    let shelf = Shelf::new();
    let server = ApiServer::start(&shelf).await;
    server.list(NAMESPACES, vec![namespace("team-a", &json!({"team": "a"}))]);
    server.list(SERVICE_ACCOUNTS, vec![]);
    let webhook = start(&shelf, "--drain-grace 0s").await;
    eventually("it says what it waits for", async || {
        let report = webhook.get("/readyz?verbose").await;
        let reason = "[-]rules failed: clusterpullsecretrules: the API server has no \
                      `/apis/pullkey.dev/v1alpha1/clusterpullsecretrules`: is its CustomResourceDefinition installed?";
        report.contains(" 503 ") && report.contains(reason)
    })
    .await;
    let answer = webhook.review(&review("u", "a.example/x")).await;
    assert_eq!(answer.status, 503);
    assert!(answer.head.contains("\r\nretry-after: 1\r\n"), "{}", answer.head);

    server.list(
        CLUSTER_RULES,
        vec![object("first", "a.example"), object("bad", "a.example/x:v1")],
    );
    server.list(RULES, vec![]);
    ready(&webhook).await;
    assert_eq!(webhook.secrets("a.example/x").await, ["first-pull"]);
    let report = webhook.get("/readyz?verbose").await;
    assert!(
        report.contains("note: 1 of clusterpullsecretrules skipped\n"),
        "{report}"
    );
    webhook.says("a pattern has no tag").await;
    assert!(!report.contains("rules.yaml"), "no file was asked for: {report}");

    let elsewhere = review("u", "a.example/x").replace("team-a", "team-b");
    assert_eq!(
        webhook.review(&elsewhere).await.status,
        503,
        "a namespace that is not known"
    );
    server
        .tell(NAMESPACES, "ADDED", &namespace("team-b", &json!({"team": "a"})))
        .await;
    eventually("the namespace is known", async || {
        webhook.review(&elsewhere).await.status == 200
    })
    .await;
    assert_eq!(added(&webhook.review(&elsewhere).await.body), ["first-pull"]);
    webhook.counts("pullkey_rules 1").await;
    let retries = webhook.get("/metrics").await;
    assert!(retries.contains("pullkey_retries_asked_total{reason=\"unknown_namespace\"}"));

    server
        .tell(CLUSTER_RULES, "ADDED", &object("second", "b.example"))
        .await;
    eventually("the new rule", async || {
        webhook.secrets("b.example/x").await == ["second-pull"]
    })
    .await;
    server.hang_up();
    server
        .tell(CLUSTER_RULES, "DELETED", &object("first", "a.example"))
        .await;
    eventually("the rule is gone", async || {
        webhook.secrets("a.example/x").await.is_empty()
    })
    .await;
    webhook.signal("TERM");
    let (code, said) = webhook.ended().await;
    assert_eq!(code, Some(0), "{said}");
}

#[tokio::test]
async fn files_are_in_force_beside_a_cluster_and_may_select_by_label() {
    let shelf = Shelf::new();
    let server = ApiServer::start(&shelf).await;
    for path in [CLUSTER_RULES, RULES, SERVICE_ACCOUNTS] {
        server.list(path, vec![]);
    }
    server.list(NAMESPACES, vec![namespace("team-a", &json!({"team": "a"}))]);
    let labelled = rule("labelled", "a.example").replace("include: [\"*\"]", "selector: {matchLabels: {team: a}}");
    shelf.put("rules.yaml", &labelled);
    let webhook = start(&shelf, "--rules rules.yaml").await;
    ready(&webhook).await;
    assert_eq!(webhook.secrets("a.example/x").await, ["labelled-pull"]);
    server
        .tell(CLUSTER_RULES, "ADDED", &object("labelled", "b.example"))
        .await;
    eventually("the object wins", async || {
        webhook.secrets("b.example/x").await == ["labelled-pull"]
    })
    .await;
    assert!(webhook.secrets("a.example/x").await.is_empty());
    webhook.says("wins over the rule of this name in a file").await;
    shelf.put("rules.yaml", &(labelled + &rule("file", "c.example")));
    webhook.signal("HUP");
    eventually("the file's new rule", async || {
        webhook.secrets("c.example/x").await == ["file-pull"]
    })
    .await;
}

#[tokio::test]
async fn a_cluster_must_be_found() {
    let shelf = Shelf::new();
    shelf.put("kubeconfig", "{}");
    for (kubeconfig, reason) in [
        ("kubeconfig", "current context"),
        ("missing", "No such file or directory"),
    ] {
        let mut program = shelf.program("--cluster --tls-cert tls.crt --tls-key tls.key");
        let output = program.env("KUBECONFIG", shelf.path(kubeconfig)).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.contains(reason) && said.contains("hint: KUBECONFIG or ~/.kube/config says"),
            "{said}"
        );
    }
}
