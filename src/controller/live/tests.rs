//! The controller against an API server that does what a test says, on a clock that stands still until nothing else is
//! to do.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use http_body::{Body, Frame};
use hyper::body::Bytes;
use hyper::{Request, Response};
use k8s_openapi::jiff;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tower::service_fn;

use super::*;
use crate::controller::names::Names;
use crate::controller::plan;
use hyper::Method;

const SECOND: Duration = Duration::from_secs(1);
const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/pullkey/leases/pullkey-controller";
const NAMESPACES: &str = "/api/v1/namespaces";
const COPIES: &str = "/api/v1/secrets?labelSelector=pullkey.dev%2Fcopy%3Dtrue";
const RULES: &str = "/apis/pullkey.dev/v1alpha1/clusterpullsecretrules";
const SOURCES: &str = "/api/v1/namespaces/pullkey-sources/secrets";
const COPY: &str = "/api/v1/namespaces/team-0/secrets/ghcr";
const STATUS: &str = "/apis/pullkey.dev/v1alpha1/clusterpullsecretrules/acme/status";

mod crowd;
mod ready;
mod refusals;
mod removals;
mod trouble;

/// What a call is answered.
enum Reply {
    Good(Value),
    Refused(u16, Value),
    Throttled,
    Never,
}

#[derive(Default)]
struct State {
    /// What lists hold, by path.
    items: HashMap<&'static str, Vec<Value>>,
    watches: HashMap<String, mpsc::UnboundedSender<io::Result<Bytes>>>,
    lease: Option<Value>,
    version: u64,
    /// The metadata of Secrets outside of the sources, by path.
    secrets: HashMap<String, Value>,
    /// Writes of copies: when, and where.
    writes: Vec<(Instant, String)>,
    /// Statuses that were written, by path, the latest last.
    statuses: Vec<(String, Value)>,
    /// Events, as their paths and names.
    events: Vec<(String, Value)>,
    /// What the controller is limited to.
    names: Option<Names>,
    /// How calls of some method that begin with that are answered.
    refused: Vec<(Method, &'static str, u16, Value)>,
    /// What begins with this is not answered.
    silent: Option<&'static str>,
    /// Whether there is nobody who could answer.
    is_down: bool,
    /// How many more writes are answered 429.
    throttled: usize,
}

/// The server, and a controller that runs.
struct Scene {
    state: Arc<Mutex<State>>,
    began: Instant,
    end: watch::Sender<bool>,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
}

/// A body that goes on until the sender is gone.
struct Fed(mpsc::UnboundedReceiver<io::Result<Bytes>>);

impl Body for Fed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let polled = self.0.poll_recv(context);
        polled.map(|item| item.map(|item| item.map(Frame::data)))
    }
}

impl State {
    fn new(namespaces: usize) -> Self {
        let mut state = Self::default();
        let names = (0..namespaces).map(|number| format!("team-{number}"));
        state
            .items
            .insert(NAMESPACES, names.map(|name| namespace(&name)).collect());
        state.items.insert(RULES, vec![rule(&["team-*"], 1)]);
        state.items.insert(SOURCES, vec![source("1")]);
        state
    }

    fn answer(&mut self, method: &Method, target: &str, body: &[u8]) -> Reply {
        let path = target.split(['?', '&']).next().unwrap();
        let writes_copy = method == Method::PATCH && path.contains("/secrets/");
        if writes_copy {
            self.writes.push((Instant::now(), path.to_owned()));
        }
        if self.silent.is_some_and(|silent| target.starts_with(silent)) {
            return Reply::Never;
        }
        let refused = self.refused.iter();
        let mut refused = refused.filter(|(refused, path, ..)| refused == method && target.starts_with(path));
        let refused = refused
            .next()
            .map(|(_, _, code, body)| Reply::Refused(*code, body.clone()));
        if path.starts_with("/apis/coordination") {
            if method == Method::GET {
                return self.lease.clone().map_or(Reply::Never, Reply::Good);
            }
            return Reply::Good(self.set_lease(serde_json::from_slice(body).unwrap()));
        }
        if writes_copy {
            if self.throttled > 0 {
                self.throttled -= 1;
                return Reply::Throttled;
            }
            return refused.unwrap_or_else(|| self.apply(path, body, target.contains("force=true")));
        }
        if let Some(refused) = refused {
            return refused;
        }
        if method == Method::PATCH {
            let object: Value = serde_json::from_slice(body).unwrap();
            self.statuses.push((path.to_owned(), object["status"].clone()));
            return Reply::Good(json!({}));
        }
        if method == Method::POST {
            let event: Value = serde_json::from_slice(body).unwrap();
            let name = format!("{path}/{}", event["metadata"]["name"].as_str().unwrap());
            if self.events.iter().any(|(known, _)| *known == name) {
                return Reply::Refused(409, json!({"reason": "AlreadyExists"}));
            }
            self.events.push((name, event));
            return Reply::Good(json!({}));
        }
        if path.contains("/secrets/") {
            let missing = Reply::Refused(404, json!({"details": {"kind": "secrets"}}));
            let secret = self.secrets.get(path).cloned();
            if method == Method::DELETE && secret.is_some() {
                let preconditions = serde_json::from_slice::<Value>(body).unwrap()["preconditions"].take();
                let is_meant = |key| secret.as_ref().is_none_or(|secret| secret[key] == preconditions[key]);
                if !is_meant("uid") || !is_meant("resourceVersion") {
                    return Reply::Refused(409, json!({"reason": "Conflict"}));
                }
                self.secrets.remove(path);
                self.writes.push((Instant::now(), format!("{path} deleted")));
                return Reply::Good(json!({"kind": "Status"}));
            }
            return secret.map_or(missing, |metadata| Reply::Good(json!({"metadata": metadata})));
        }
        let listed = self.items.iter().find(|(list, _)| {
            let next = target.strip_prefix(**list).and_then(|rest| rest.chars().next());
            matches!(next, Some('?' | '&'))
        });
        let items = if target.starts_with(COPIES) {
            Some(self.labelled())
        } else {
            listed.map(|(_, items)| items.clone())
        };
        Reply::Good(json!({"metadata": {"resourceVersion": "1"}, "items": items}))
    }

    /// The Secrets that carry the label of copies.
    fn labelled(&self) -> Vec<Value> {
        let labelled = self
            .secrets
            .values()
            .filter(|metadata| metadata["labels"]["pullkey.dev/copy"] == "true");
        labelled.map(|metadata| json!({"metadata": metadata})).collect()
    }

    fn set_lease(&mut self, mut lease: Value) -> Value {
        self.version += 1;
        lease["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.lease = Some(lease.clone());
        lease
    }

    /// Server-side apply, as far as we need it: what is ours is ours alone.
    fn apply(&mut self, path: &str, body: &[u8], is_forced: bool) -> Reply {
        let mut object: Value = serde_json::from_slice(body).unwrap();
        let known = self.secrets.get(path);
        let version = &object["metadata"]["resourceVersion"];
        let is_another = known.is_some_and(|known| !version.is_null() && known["resourceVersion"] != *version);
        let is_foreign = known.is_some_and(|known| known["managedFields"][0]["manager"] != "pullkey");
        if is_another || is_foreign && !is_forced {
            return Reply::Refused(
                409,
                json!({"reason": "Conflict", "message": "Apply failed with 1 conflict"}),
            );
        }
        let name = |key: &str| format!("f:{key}");
        let owned = |key: &str| {
            let keys = object["metadata"][key].as_object().unwrap().keys();
            keys.map(|key| (name(key), json!({})))
                .collect::<serde_json::Map<_, _>>()
        };
        let fields = json!({
            "f:data": {"f:.dockerconfigjson": {}}, "f:type": {},
            "f:metadata": {"f:labels": owned("labels"), "f:annotations": owned("annotations")},
        });
        self.version += 1;
        object["metadata"]["uid"] = json!("copy");
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        object["metadata"]["managedFields"] = json!([{"manager": "pullkey", "operation": "Apply", "fieldsV1": fields}]);
        self.secrets.insert(path.to_owned(), object["metadata"].clone());
        Reply::Good(json!({"metadata": object["metadata"]}))
    }
}

impl Scene {
    /// A controller with these writes a second, one at once; the Lease is free.
    fn new(state: State, per_second: u32) -> Self {
        Self::asking(state, per_second, &[])
    }

    /// One that asks these replicas of the webhook.
    fn asking(mut state: State, per_second: u32, replicas: &[SocketAddr]) -> Self {
        state.set_lease(lease(""));
        Self::on(&Arc::new(Mutex::new(state)), per_second, replicas)
    }

    /// The same on a server that is there.
    fn on(state: &Arc<Mutex<State>>, per_second: u32, replicas: &[SocketAddr]) -> Self {
        let state = Arc::clone(state);
        let names = state.lock().unwrap().names.clone();
        let served = Arc::clone(&state);
        let service = service_fn(move |request: Request<kube::client::Body>| {
            let state = Arc::clone(&served);
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect_bytes().await.map_err(io::Error::other)?;
                let target = head.uri.to_string();
                let (sender, receiver) = mpsc::unbounded_channel();
                let mut response = Response::new(Fed(receiver));
                if state.lock().unwrap().is_down {
                    return Err(io::ErrorKind::ConnectionRefused.into());
                }
                let reply = state.lock().unwrap().answer(&head.method, &target, &body);
                let body = match reply {
                    Reply::Good(_) if target.contains("watch=1") => {
                        let path = target.split("watch=1").next().unwrap();
                        let path = path.trim_end_matches(['?', '&']).to_owned();
                        state.lock().unwrap().watches.insert(path, sender);
                        return Ok(response);
                    }
                    Reply::Good(body) => body,
                    Reply::Refused(code, body) => {
                        *response.status_mut() = code.try_into().unwrap();
                        body
                    }
                    Reply::Throttled => {
                        *response.status_mut() = hyper::StatusCode::TOO_MANY_REQUESTS;
                        response.headers_mut().insert("retry-after", 3.into());
                        json!({})
                    }
                    Reply::Never => std::future::pending().await,
                };
                let _ = sender.send(Ok(body.to_string().into()));
                Ok::<_, io::Error>(response)
            }
        });
        let settings = Settings {
            plan: plan::Settings {
                own_namespace: "pullkey".to_owned(),
                source_namespaces: ["pullkey-sources".to_owned()].into(),
                names,
                keep_copies: Duration::from_mins(10),
            },
            style: Style::default(),
            writes: Allowance {
                per_second,
                burst: 1,
                in_flight: 8,
            },
            matches: Matches {
                replicas: replicas
                    .iter()
                    .map(|address| address.to_string().parse().unwrap())
                    .collect(),
                interval: SECOND / 20,
            },
            certificates: None,
            identity: "this".to_owned(),
        };
        let client = Client::new(service, "default");
        let (end, ends) = watch::channel(false);
        let metrics = Arc::new(Metrics::new([]));
        let readiness = Arc::new(Readiness::of_controller());
        let told = (Arc::clone(&metrics), Arc::clone(&readiness));
        tokio::spawn(async move { run(client, settings, &told.0, &told.1, ends).await });
        Self {
            state,
            began: Instant::now(),
            end,
            metrics,
            readiness,
        }
    }

    /// When copies were written, in whole seconds from the start, and where.
    fn writes(&self) -> Vec<(u64, String)> {
        let state = self.state.lock().unwrap();
        let seconds = |when: &Instant| when.duration_since(self.began).as_secs();
        let namespace = |path: &str| path.split('/').nth(4).unwrap().to_owned();
        state
            .writes
            .iter()
            .map(|(when, path)| (seconds(when), namespace(path)))
            .collect()
    }

    /// The latest status of the rule: its reasons, and what stands in the way.
    fn status(&self) -> Value {
        let state = self.state.lock().unwrap();
        state
            .statuses
            .last()
            .map(|(_, status)| status.clone())
            .unwrap_or_default()
    }

    fn holder(&self) -> String {
        let state = self.state.lock().unwrap();
        let holder = state.lease.as_ref().unwrap()["spec"]["holderIdentity"].as_str();
        holder.unwrap_or_default().to_owned()
    }

    fn tell(&self, path: &str, line: &Value) {
        let state = self.state.lock().unwrap();
        let line = format!("{line}\n");
        state.watches[path].send(Ok(line.into())).unwrap();
    }

    /// The source has a new version, and its watch says so.
    fn rotate(&self, version: &str) {
        let object = source(version);
        self.tell(SOURCES, &json!({"type": "MODIFIED", "object": object}));
        self.state.lock().unwrap().items.insert(SOURCES, vec![object]);
    }

    /// The version of the source that the copy in `team-0` says it is of.
    fn version_copied(&self) -> String {
        let state = self.state.lock().unwrap();
        let version = &state.secrets[COPY]["annotations"]["pullkey.dev/source-version"];
        version.as_str().unwrap().to_owned()
    }

    /// The reasons of the events so far, each with the namespace that hears of it.
    fn told(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        let told = state.events.iter().map(|(_, event)| {
            let [namespace, reason] = [&event["metadata"]["namespace"], &event["reason"]];
            format!("{} {}", namespace.as_str().unwrap(), reason.as_str().unwrap())
        });
        told.collect()
    }

    /// The status of the condition `CopiesReady`, its reason, and what stands in the way.
    fn copies_ready(&self) -> String {
        let status = self.status();
        let condition = status["conditions"].as_array().into_iter().flatten();
        let mut condition = condition.filter(|condition| condition["type"] == "CopiesReady");
        let condition = condition.next().unwrap();
        let texts = [
            &condition["status"],
            &condition["reason"],
            &status["refusals"][0]["message"],
        ];
        let texts = texts.map(|text| text.as_str().unwrap_or_default());
        texts.join(" ").trim_end().to_owned()
    }
}

fn namespace(name: &str) -> Value {
    json!({"metadata": {"name": name, "resourceVersion": "1"}})
}

/// A rule that copies the source to these namespaces, in that generation.
fn rule(namespaces: &[&str], generation: u32) -> Value {
    json!({
        "metadata": {
            "name": "acme", "uid": "rule", "generation": generation, "creationTimestamp": "2026-11-22T10:00:00Z",
        },
        "spec": {
            "images": ["ghcr.io"], "namespaces": {"include": namespaces},
            "secret": {"name": "ghcr", "copyFrom": {"namespace": "pullkey-sources", "name": "ghcr"}},
        },
    })
}

fn source(version: &str) -> Value {
    use base64::Engine as _;
    let config = json!({"auths": {"ghcr.io": {"username": "puller", "password": version}}});
    let data = base64::engine::general_purpose::STANDARD.encode(config.to_string());
    json!({
        "metadata": {"name": "ghcr", "namespace": "pullkey-sources", "uid": "source", "resourceVersion": version},
        "type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": data},
    })
}

/// The metadata of a Secret that somebody made by hand.
fn by_hand() -> Value {
    json!({
        "name": "ghcr", "namespace": "team-0", "uid": "theirs", "resourceVersion": "1",
        "managedFields": [{"manager": "kubectl-create", "operation": "Update", "fieldsV1": {"f:data": {}, "f:type": {}}}],
    })
}

fn lease(holder: &str) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "pullkey-controller", "namespace": "pullkey"}, "spec": {"holderIdentity": holder},
    })
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_before_the_last_list_is_complete() {
    let mut state = State::new(1);
    state.silent = Some(COPIES);
    let scene = Scene::new(state, 100);
    sleep(20 * SECOND).await;
    assert_eq!((scene.writes(), scene.holder().as_str()), (vec![], "this"));
    scene.state.lock().unwrap().silent = None;
    sleep(60 * SECOND).await;
    assert_eq!(scene.writes().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_taken_once_its_holder_was_silent_for_long_enough() {
    let scene = Scene::new(State::new(1), 100);
    scene.state.lock().unwrap().set_lease(lease("another"));
    sleep(3 * SECOND).await;
    let renewed = lease("another");
    scene.state.lock().unwrap().set_lease(renewed);
    sleep(15 * SECOND / 4).await;
    assert_eq!((scene.writes(), scene.holder().as_str()), (vec![], "another"));
    sleep(SECOND + SECOND / 4).await;
    assert_eq!((scene.writes().len(), scene.holder().as_str()), (1, "this"));
}

#[tokio::test(start_paused = true)]
async fn who_cannot_renew_stops_to_write_before_another_may_begin() {
    let scene = Scene::new(State::new(20), 1);
    sleep(2 * SECOND + SECOND / 2).await;
    scene.state.lock().unwrap().silent = Some(LEASE);
    sleep(30 * SECOND).await;
    let (last, _) = scene.writes().pop().unwrap();
    assert!((2..=5).contains(&last), "{last}");
    scene.state.lock().unwrap().silent = None;
    sleep(30 * SECOND).await;
    assert_eq!(scene.writes().len(), 20, "and goes on as soon as it leads again");
}

#[tokio::test(start_paused = true)]
async fn who_ends_gives_the_lease_back_and_writes_no_more() {
    let scene = Scene::new(State::new(20), 1);
    sleep(3 * SECOND).await;
    scene.end.send_replace(true);
    sleep(SECOND / 10).await;
    let written = scene.writes().len();
    assert_eq!(scene.holder(), "");
    sleep(10 * SECOND).await;
    assert_eq!(scene.writes().len(), written);
}

#[tokio::test(start_paused = true)]
async fn writes_keep_to_their_rate_and_a_newborn_waits_for_none_of_them() {
    let scene = Scene::new(State::new(10), 1);
    sleep(3 * SECOND + SECOND / 2).await;
    let line = json!({"type": "ADDED", "object": namespace("team-new")});
    scene.tell(NAMESPACES, &line);
    sleep(20 * SECOND).await;
    let writes = scene.writes();
    let newborn = writes.iter().find(|(_, namespace)| namespace == "team-new").unwrap();
    assert_eq!(newborn.0, 3);
    let others = writes.iter().filter(|(_, namespace)| namespace != "team-new");
    let seconds: Vec<_> = others.map(|(second, _)| *second).collect();
    assert_eq!(seconds, (0..10).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn patience_is_had_for_as_long_as_the_api_server_asks() {
    let mut state = State::new(3);
    state.throttled = 1;
    let scene = Scene::new(state, 100);
    sleep(20 * SECOND).await;
    let seconds: Vec<_> = scene.writes().iter().map(|(second, _)| *second).collect();
    assert_eq!(seconds.first(), Some(&0));
    assert!(
        seconds.iter().skip(1).all(|second| *second == 0 || *second >= 3),
        "{seconds:?}"
    );
    assert_eq!(seconds.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_never_answered_is_given_up_and_made_again() {
    let scene = Scene::new(State::new(1), 100);
    scene.state.lock().unwrap().silent = Some("/api/v1/namespaces/team-0");
    sleep(10 * SECOND).await;
    scene.state.lock().unwrap().silent = None;
    assert_eq!(scene.writes().len(), 1);
    sleep(20 * SECOND).await;
    assert_eq!(scene.writes().len(), 2);
    assert_eq!(scene.copies_ready(), "True AllReady");
}

#[tokio::test(start_paused = true)]
async fn few_copies_are_written_beside_a_newborns() {
    let scene = Scene::new(State::new(20), 100);
    sleep(SECOND).await;
    assert_eq!(scene.writes().len(), 20);
    scene.state.lock().unwrap().silent = Some("/api/v1/namespaces/team-");
    let line = json!({"type": "ADDED", "object": namespace("team-new")});
    scene.tell(NAMESPACES, &line);
    sleep(SECOND).await;
    scene.rotate("2");
    sleep(SECOND).await;
    let writes = scene.writes();
    let [(_, newborn), (_, again), others @ ..] = &writes[20..] else {
        panic!("nothing is written");
    };
    assert_eq!(
        (newborn.as_str(), again.as_str(), others.len()),
        ("team-new", "team-new", 4)
    );
}

#[tokio::test(start_paused = true)]
async fn a_newborns_copy_is_asked_for_twice_where_the_api_server_sleeps() {
    const MILLISECOND: Duration = Duration::from_millis(1);
    let scene = Scene::new(State::new(1), 100);
    sleep(SECOND).await;
    scene.state.lock().unwrap().silent = Some("/api/v1/namespaces/team-new");
    let line = json!({"type": "ADDED", "object": namespace("team-new")});
    scene.tell(NAMESPACES, &line);
    sleep(10 * MILLISECOND).await;
    scene.state.lock().unwrap().silent = None;
    let copy = "/api/v1/namespaces/team-new/secrets/ghcr";
    assert!(!scene.state.lock().unwrap().secrets.contains_key(copy));
    sleep(10 * MILLISECOND).await;
    assert!(scene.state.lock().unwrap().secrets.contains_key(copy));
    sleep(60 * SECOND).await;
    assert_eq!(
        scene.writes().len(),
        3,
        "one for the first namespace, and two for the newborn"
    );
    assert_eq!(scene.copies_ready(), "True AllReady");
}

#[tokio::test(start_paused = true)]
async fn few_newborns_are_asked_for_twice_of_an_api_server_that_is_slow_with_all() {
    let scene = Scene::new(State::new(1), 100);
    sleep(SECOND).await;
    scene.state.lock().unwrap().silent = Some("/api/v1/namespaces/team-new-");
    for number in 0..6 {
        let object = namespace(&format!("team-new-{number}"));
        scene.tell(NAMESPACES, &json!({"type": "ADDED", "object": object}));
    }
    sleep(SECOND).await;
    assert_eq!(scene.writes().len(), 1 + 6 + 4);
}

#[tokio::test(start_paused = true)]
async fn a_new_version_of_a_source_reaches_every_copy() {
    let scene = Scene::new(State::new(3), 100);
    sleep(SECOND).await;
    assert_eq!(scene.writes().len(), 3);
    scene.rotate("2");
    sleep(SECOND).await;
    assert_eq!(scene.writes().len(), 6);
}

/// Answers with what `told` holds at the moment, and counts how often.
async fn webhook(told: &Arc<Mutex<(Value, usize)>>) -> SocketAddr {
    let told = Arc::clone(told);
    let answer = move || {
        let mut told = told.lock().unwrap();
        told.1 += 1;
        let answer = told.0.to_string();
        async { answer }
    };
    let router = axum::Router::new().route("/matches", axum::routing::get(answer));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, router).await });
    address
}

/// What the statuses of the rule said of its last match, one after the other.
fn last_matches(scene: &Scene) -> Vec<String> {
    let state = scene.state.lock().unwrap();
    let told = state
        .statuses
        .iter()
        .filter_map(|(_, status)| status["lastMatch"].as_str());
    let mut told: Vec<_> = told.map(str::to_owned).collect();
    told.dedup();
    told
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let patience = Instant::now() + 20 * SECOND;
    while !is_so() {
        assert!(Instant::now() < patience, "{what}");
        sleep(SECOND / 100).await;
    }
}

#[tokio::test]
async fn a_status_says_the_latest_hour_that_a_replica_tells() {
    let text = |hours: i64| {
        let hour = jiff::Timestamp::now().as_second() / 3_600 + hours;
        jiff::Timestamp::from_second(hour * 3_600).unwrap().to_string()
    };
    let told = Arc::new(Mutex::new((json!({"rule": text(-5), "another": text(0)}), 0)));
    let other = Arc::new(Mutex::new((json!({"rule": text(-7)}), 0)));
    let garbled = Arc::new(Mutex::new((json!({"rule": 1}), 0)));
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let replicas = [
        webhook(&other).await,
        closed,
        webhook(&told).await,
        webhook(&garbled).await,
    ];
    let scene = Scene::asking(State::new(1), 100, &replicas);
    let first = vec![text(-5)];
    until("the status says it", || last_matches(&scene) == first).await;
    for earlier_or_to_come in [text(-6), text(9)] {
        told.lock().unwrap().0 = json!({"rule": earlier_or_to_come});
        let asked = told.lock().unwrap().1;
        until("it is asked twice again", || told.lock().unwrap().1 > asked + 2).await;
    }
    other.lock().unwrap().0 = json!({"rule": text(-1)});
    let both = vec![text(-5), text(-1)];
    until("the status says the later one", || last_matches(&scene).len() > 1).await;
    assert_eq!(last_matches(&scene), both);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_lead_asks_nobody() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let scene = Scene::asking(State::new(1), 100, &[listener.local_addr().unwrap()]);
    // Renewed again and again, it is never taken.
    for _ in 0..20 {
        scene.state.lock().unwrap().set_lease(lease("another"));
        sleep(SECOND).await;
    }
    let asked = tokio::time::timeout(SECOND, listener.accept()).await;
    assert_eq!((asked.is_ok(), scene.holder().as_str()), (false, "another"));
    // Its term ends, and this replica leads.
    sleep(10 * SECOND).await;
    listener.accept().await.unwrap();
    assert_eq!(scene.holder(), "this");
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_forbidden_keeps_no_other_waiting_and_is_asked_for_again() {
    let mut state = State::new(1);
    let sources = state
        .items
        .remove("/api/v1/namespaces/pullkey-sources/secrets")
        .unwrap();
    let source = "/api/v1/namespaces/pullkey-sources/secrets?fieldSelector=metadata.name%3Dghcr";
    state.items.insert(source, sources);
    let mut other = state.items[RULES][0].clone();
    other["metadata"]["uid"] = json!("other");
    other["metadata"]["name"] = json!("other");
    other["spec"]["secret"]["name"] = json!("other");
    state.items.get_mut(RULES).unwrap().push(other);
    let path = "/api/v1/secrets?fieldSelector=metadata.name%3Dghcr";
    let message =
        json!({"kind": "Status", "reason": "Forbidden", "message": "secrets is forbidden: this cannot list it"});
    state.refused.push((Method::GET, path, 403, message));
    let names = ["ghcr", "other", "pullkey-sources/ghcr"].map(|name| name.parse().unwrap());
    state.names = Some(names.into_iter().collect());
    let scene = Scene::new(state, 100);
    let secrets = || {
        let state = scene.state.lock().unwrap();
        let names = state
            .writes
            .iter()
            .map(|(_, path)| path.split('/').next_back().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    sleep(60 * SECOND).await;
    assert_eq!(secrets(), ["other"]);
    scene.state.lock().unwrap().refused.clear();
    sleep(60 * SECOND).await;
    assert_eq!(secrets(), ["other", "ghcr"]);
}
