use super::*;
use crate::cluster::mock::{Api, Call, Feed};
use crate::cluster::{Key, Trouble};
use crate::metrics::{Metrics, Resource};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// A watch that runs, the API server that it calls, and what it tells.
struct Scene {
    api: Api,
    events: mpsc::UnboundedReceiver<Event<String>>,
    metrics: Arc<Metrics>,
    nudge: Arc<Notify>,
    again: mpsc::UnboundedSender<Key>,
}

impl Scene {
    /// Objects are read as their `spec`, which says so if it is bad or not looked for.
    fn new(metadata_only: bool) -> Self {
        Self::of(metadata_only, |watch| watch)
    }

    fn of(metadata_only: bool, change: impl Fn(Watch<String>) -> Watch<String>) -> Self {
        let (client, api) = Api::new();
        let metrics = Arc::new(Metrics::new([]));
        let told = metrics.watch(Resource::Namespaces, SystemTime::UNIX_EPOCH);
        let (sender, events) = mpsc::unbounded_channel();
        let read: Read<String> = Box::new(|text| {
            let object: serde_json::Value = serde_json::from_str(text).unwrap();
            match object["spec"].as_str().unwrap_or_default() {
                "bad" => Err("the spec is bad".to_owned()),
                "other" => Ok(None),
                spec => Ok(Some(spec.to_owned())),
            }
        });
        let target = Target {
            path: "/things".to_owned(),
            metadata_only,
        };
        let nudge = Arc::new(Notify::new());
        let (again, asked) = mpsc::unbounded_channel();
        let thin = |listed: &mut [(Key, String)]| listed.iter_mut().for_each(|(_, spec)| spec.truncate(20));
        let watch = Watch::new(client, target, read, told, Arc::clone(&nudge));
        let mut watch = change(watch.thinned(thin, asked));
        tokio::spawn(async move { while sender.send(watch.next().await).is_ok() {} });
        Self {
            api,
            events,
            metrics,
            nudge,
            again,
        }
    }

    /// A watch that has listed `a` in version 5 and follows.
    async fn following() -> (Self, Feed) {
        let mut scene = Self::new(false);
        scene.answer(&list("5", "", &[object("a", "1", "x")])).await;
        assert_eq!(scene.event().await, listed(&[("a", "x")], &[]));
        let feed = scene.watched_from("5").await;
        (scene, feed)
    }

    async fn answer(&mut self, body: &str) {
        self.api.call().await.answer(200, body);
    }

    async fn event(&mut self) -> Event<String> {
        self.events.recv().await.unwrap()
    }

    async fn trouble(&mut self) -> Trouble {
        match self.event().await {
            Event::Trouble(trouble) => trouble,
            other => panic!("{other:?}"),
        }
    }

    async fn watched_from(&mut self, version: &str) -> Feed {
        let call = self.api.call().await;
        let expected = format!("/things?watch=1&allowWatchBookmarks=true&resourceVersion={version}&timeoutSeconds=");
        let seconds = call
            .target
            .strip_prefix(&expected)
            .unwrap_or_else(|| panic!("{}", call.target));
        assert!((300..600).contains(&seconds.parse::<u64>().unwrap()));
        call.stream()
    }

    async fn listed_afresh(&mut self) -> Call {
        let call = self.api.call().await;
        assert_eq!(call.target, "/things?limit=500");
        call
    }
}

fn object(name: &str, version: &str, spec: &str) -> String {
    format!(r#"{{"metadata":{{"name":"{name}","resourceVersion":"{version}"}},"spec":"{spec}"}}"#)
}

fn list(version: &str, token: &str, items: &[String]) -> String {
    let items = items.join(",");
    format!(r#"{{"metadata":{{"resourceVersion":"{version}","continue":"{token}"}},"items":[{items}]}}"#)
}

fn line(what: &str, object: &str) -> String {
    format!("{{\"type\":\"{what}\",\"object\":{object}}}\n")
}

fn status(code: u16, message: &str) -> String {
    format!(r#"{{"kind":"Status","message":"{message}","reason":"Whatever","code":{code}}}"#)
}

fn key(name: &str) -> Key {
    Key::new("", name)
}

fn listed(objects: &[(&str, &str)], bad: &[&str]) -> Event<String> {
    Event::Listed {
        objects: objects
            .iter()
            .map(|(name, spec)| (key(name), (*spec).to_owned()))
            .collect(),
        bad: bad.iter().map(|name| self::bad(name)).collect(),
    }
}

fn bad(name: &str) -> Bad {
    Bad {
        key: key(name),
        why: "the spec is bad".to_owned(),
    }
}

#[tokio::test(start_paused = true)]
async fn the_pages_of_a_list_are_told_as_one() {
    let mut scene = Scene::new(true);
    let call = scene.api.call().await;
    assert_eq!(call.target, "/things?limit=500");
    assert_eq!(
        call.accept,
        "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    );
    call.answer(200, &list("5", "a+/=", &[object("a", "1", "x")]));
    let call = scene.api.call().await;
    assert_eq!(call.target, "/things?limit=500&continue=a%2B%2F%3D");
    call.answer(200, &list("5", "", &[object("b", "2", "y"), object("c", "3", "other")]));
    assert_eq!(scene.event().await, listed(&[("a", "x"), ("b", "y")], &[]));
    let call = scene.api.call().await;
    assert_eq!(
        call.accept,
        "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
    );
}

#[tokio::test(start_paused = true)]
async fn a_list_in_parts_tells_a_page_before_it_asks_for_the_next() {
    let mut scene = Scene::of(false, Watch::in_parts);
    let applied = |name, spec: &str| Event::Applied(key(name), spec.to_owned());
    let first = [object("a", "1", "x"), object("b", "2", "bad"), object("c", "3", "y")];
    scene.answer(&list("5", "next", &first)).await;
    assert_eq!(scene.event().await, applied("c", "y"));
    assert_eq!(scene.event().await, applied("a", "x"));
    let call = scene.api.call().await;
    assert_eq!(call.target, "/things?limit=500&continue=next");
    call.answer(410, &status(410, "the continue token is too old"));
    assert_eq!(scene.trouble().await.failure, WatchFailure::Expired);
    scene.listed_afresh().await.answer(200, &list("6", "next", &first));
    assert_eq!(scene.event().await, applied("c", "y"), "all of it is told once more");
    assert_eq!(scene.event().await, applied("a", "x"));
    scene.answer(&list("6", "", &[object("d", "4", "z")])).await;
    assert_eq!(scene.event().await, applied("d", "z"));
    assert_eq!(scene.event().await, listed(&[], &["b"]));
    let feed = scene.watched_from("6").await;
    feed.send(&line("MODIFIED", &object("a", "7", "z")));
    assert_eq!(scene.event().await, applied("a", "z"));
}

#[tokio::test(start_paused = true)]
async fn an_empty_list_may_have_no_items() {
    let mut scene = Scene::new(true);
    scene
        .answer(r#"{"metadata":{"resourceVersion":"5"},"items":null}"#)
        .await;
    assert_eq!(scene.event().await, listed(&[], &[]));
}

#[tokio::test(start_paused = true)]
async fn what_happens_is_told_and_followed_from_where_it_ended() {
    let (mut scene, feed) = Scene::following().await;
    let added = line(
        "ADDED",
        r#"{"metadata":{"name":"b","namespace":"n","resourceVersion":"6"},"spec":"y"}"#,
    );
    let (half, rest) = added.split_at(30);
    feed.send(half);
    feed.send(rest);
    feed.send(
        &[
            line("MODIFIED", &object("a", "7", "z")),
            line("DELETED", &object("a", "8", "z")),
        ]
        .concat(),
    );
    feed.send(&line("MODIFIED", &object("c", "9", "other")));
    assert_eq!(scene.event().await, Event::Applied(Key::new("n", "b"), "y".to_owned()));
    assert_eq!(scene.event().await, Event::Applied(key("a"), "z".to_owned()));
    assert_eq!(scene.event().await, Event::Deleted(key("a"), Some("z".to_owned())));
    assert_eq!(
        scene.event().await,
        Event::Deleted(key("c"), None),
        "no longer one that is looked for"
    );
    feed.send(&line("BOOKMARK", r#"{"metadata":{"resourceVersion":"12"}}"#));
    drop(feed);
    let began = Instant::now();
    scene.watched_from("12").await;
    assert_eq!(began.elapsed(), Duration::ZERO, "an end is no failure");
}

#[tokio::test(start_paused = true)]
async fn a_bad_object_never_stops_the_others() {
    let mut scene = Scene::new(false);
    let items = [
        object("a", "1", "bad"),
        object("b", "2", "y"),
        r#"{"metadata":7,"spec":"bad"}"#.to_owned(),
    ];
    scene.answer(&list("5", "", &items)).await;
    assert_eq!(scene.event().await, listed(&[("b", "y")], &["a", ""]));
    let feed = scene.watched_from("5").await;
    feed.send(&line("MODIFIED", &object("b", "6", "bad")));
    feed.send(&line("DELETED", &object("a", "7", "bad")));
    feed.send(&line("ADDED", &object("c", "8", "z")));
    assert_eq!(scene.event().await, Event::Bad(bad("b")));
    assert_eq!(scene.event().await, Event::Deleted(key("a"), None));
    assert_eq!(scene.event().await, Event::Applied(key("c"), "z".to_owned()));
    drop(feed);
    scene.watched_from("8").await;
}

#[tokio::test(start_paused = true)]
async fn a_broken_connection_goes_on_where_it_was() {
    let (mut scene, feed) = Scene::following().await;
    feed.send(&line("ADDED", &object("b", "6", "y")));
    feed.break_off();
    assert_eq!(scene.event().await, Event::Applied(key("b"), "y".to_owned()));
    assert_eq!(scene.trouble().await.failure, WatchFailure::Broken);
    scene.api.call().await.hang_up();
    assert_eq!(scene.trouble().await.failure, WatchFailure::Broken);
    scene.api.call().await.answer(403, &status(403, "things is forbidden"));
    let trouble = scene.trouble().await;
    assert_eq!(trouble.failure, WatchFailure::Forbidden);
    assert_eq!(trouble.message, "the API server answers 403: things is forbidden");
    let feed = scene.watched_from("6").await;
    feed.send(&line("ERROR", &status(500, "etcd is gone")));
    assert_eq!(
        scene.trouble().await.message,
        "the API server answers 500: etcd is gone"
    );
    scene.watched_from("6").await;
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_gone_is_listed_afresh() {
    let (mut scene, feed) = Scene::following().await;
    feed.send(&line("ERROR", &status(410, "too old resource version")));
    assert_eq!(scene.trouble().await.failure, WatchFailure::Expired);
    scene.listed_afresh().await.answer(200, &list("20", "", &[]));
    assert_eq!(scene.event().await, listed(&[], &[]));
    drop(scene.watched_from("20").await);
    assert_eq!(
        scene.trouble().await.failure,
        WatchFailure::Broken,
        "it ended without a word"
    );
    scene
        .api
        .call()
        .await
        .answer(410, &status(410, "too old resource version"));
    assert_eq!(scene.trouble().await.failure, WatchFailure::Expired);
    scene
        .listed_afresh()
        .await
        .answer(200, &list("30", "next", &[object("a", "1", "x")]));
    scene
        .api
        .call()
        .await
        .answer(410, &status(410, "the continue token is too old"));
    assert_eq!(
        scene.trouble().await.failure,
        WatchFailure::Expired,
        "and half a list is not told"
    );
    scene.listed_afresh().await;
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_a_version_that_is_gone_delays_no_longer() {
    let (mut scene, feed) = Scene::following().await;
    feed.break_off();
    for _ in 0..10 {
        assert_eq!(scene.trouble().await.failure, WatchFailure::Broken);
        scene.api.call().await.hang_up();
    }
    assert_eq!(scene.trouble().await.failure, WatchFailure::Broken);
    let feed = scene.watched_from("5").await;
    feed.send(&line("ERROR", &status(410, "too old resource version")));
    let began = Instant::now();
    assert_eq!(scene.trouble().await.failure, WatchFailure::Expired);
    scene.listed_afresh().await;
    assert!(began.elapsed() <= FIRST_PAUSE);
}

#[tokio::test(start_paused = true)]
async fn a_nudge_ends_a_pause_that_nobody_asked_for() {
    let (mut scene, feed) = Scene::following().await;
    feed.break_off();
    for _ in 0..10 {
        assert_eq!(scene.trouble().await.failure, WatchFailure::Broken);
        scene.api.call().await.hang_up();
    }
    assert_eq!(scene.trouble().await.failure, WatchFailure::Broken);
    let nudge = Arc::clone(&scene.nudge);
    let nudge_after = async |pause| {
        tokio::time::sleep(pause).await;
        nudge.notify_waiters();
    };
    let began = Instant::now();
    nudge_after(2 * LEAST_PAUSE).await;
    scene.api.call().await.hang_up();
    assert_eq!(began.elapsed(), 2 * LEAST_PAUSE);

    assert_eq!(scene.trouble().await.failure, WatchFailure::Broken);
    let began = Instant::now();
    nudge_after(LEAST_PAUSE / 2).await;
    assert!(scene.api.is_idle(), "it has just been tried");
    let call = scene.api.call().await;
    assert_eq!(began.elapsed(), LEAST_PAUSE, "but the nudge is not forgotten");

    call.answer_after(503, Some(5), &status(503, "in a moment"));
    assert_eq!(scene.trouble().await.failure, WatchFailure::Refused);
    let began = Instant::now();
    nudge_after(2 * LEAST_PAUSE).await;
    let _waits = scene.api.call().await;
    assert!(began.elapsed() >= Duration::from_secs(5), "the API server knows best");
}

#[tokio::test(start_paused = true)]
async fn a_silent_watch_is_listed_afresh() {
    let (mut scene, feed) = Scene::following().await;
    let began = Instant::now();
    for version in 6..9 {
        tokio::time::sleep(SILENCE / 2).await;
        feed.send(&line(
            "BOOKMARK",
            &format!(r#"{{"metadata":{{"resourceVersion":"{version}"}}}}"#),
        ));
    }
    let trouble = scene.trouble().await;
    assert_eq!(trouble.failure, WatchFailure::Silent);
    assert_eq!(began.elapsed(), SILENCE / 2 * 5);
    scene.listed_afresh().await.answer(200, &list("40", "", &[]));
    assert_eq!(scene.event().await, listed(&[], &[]));
    let told = scene.metrics.encode();
    for line in [
        "pullkey_watch_lists_total{resource=\"namespaces\"} 2",
        "pullkey_watch_failures_total{resource=\"namespaces\",reason=\"silent\"} 1",
    ] {
        assert!(told.lines().any(|told| told == line), "{line} missing");
    }
    assert!(!told.contains("pullkey_watch_progress_timestamp_seconds{resource=\"namespaces\"} 0\n"));
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_is_missing_is_tried_again_ever_more_rarely() {
    let mut scene = Scene::new(false);
    let began = Instant::now();
    for failures in 0..20 {
        scene.listed_afresh().await.answer(404, "404 page not found\n");
        let trouble = scene.trouble().await;
        assert_eq!(trouble.failure, WatchFailure::Missing);
        assert_eq!(
            trouble.message,
            "the API server has no `/things`: is its CustomResourceDefinition installed?"
        );
        assert!(pause(failures) <= LONGEST_PAUSE);
    }
    assert!(began.elapsed() > LONGEST_PAUSE * 7 && began.elapsed() < LONGEST_PAUSE * 20);
    scene.listed_afresh().await.answer(200, &list("5", "", &[]));
    assert_eq!(scene.event().await, listed(&[], &[]));
    let feed = scene.watched_from("5").await;
    feed.send(&line("ADDED", &object("a", "6", "x")));
    assert_eq!(scene.event().await, Event::Applied(key("a"), "x".to_owned()));
    let began = Instant::now();
    feed.break_off();
    assert_eq!(scene.trouble().await.failure, WatchFailure::Broken);
    scene.watched_from("6").await;
    assert!(began.elapsed() <= FIRST_PAUSE, "after an event all is forgotten");
}

#[tokio::test(start_paused = true)]
async fn the_api_server_says_how_long_to_stay_away() {
    let mut scene = Scene::new(false);
    let began = Instant::now();
    scene
        .listed_afresh()
        .await
        .answer_after(429, Some(77), &status(429, "too many"));
    assert_eq!(scene.trouble().await.failure, WatchFailure::Refused);
    assert!(scene.api.is_idle());
    scene.listed_afresh().await;
    assert_eq!(began.elapsed().as_secs(), 77);
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_does_not_answer_is_left() {
    let mut scene = Scene::new(false);
    let _waits = scene.listed_afresh().await;
    assert_eq!(
        scene.trouble().await.message,
        "the API server did not answer within 30s"
    );
    let _half = scene.listed_afresh().await.stream();
    assert_eq!(scene.trouble().await.failure, WatchFailure::Broken);
}

#[tokio::test(start_paused = true)]
async fn pages_get_smaller_until_they_fit_and_larger_again() {
    let mut scene = Scene::new(false);
    let large = " ".repeat(9 << 20);
    scene.answer(&list("5", "after-a", &[object("a", "1", "x")])).await;
    for limit in [500, 250, 125, 62, 31, 15, 7, 3] {
        let call = scene.api.call().await;
        assert_eq!(call.target, format!("/things?limit={limit}&continue=after-a"));
        call.answer(200, &large);
    }
    scene.answer(&list("5", "after-b", &[object("b", "1", "x")])).await;
    let call = scene.api.call().await;
    assert_eq!(call.target, "/things?limit=2&continue=after-b");
    call.answer(200, &list("5", "after-c", &[object("c", "1", "x")]));
    let call = scene.api.call().await;
    assert_eq!(call.target, "/things?limit=4&continue=after-c");
    call.answer(200, &list("5", "", &[]));
    assert_eq!(scene.event().await, listed(&[("a", "x"), ("b", "x"), ("c", "x")], &[]));
    let feed = scene.watched_from("5").await;
    feed.send(&large);
    assert_eq!(scene.trouble().await.failure, WatchFailure::Garbled);
    for _ in [8, 4, 2, 1] {
        scene.answer(&large).await;
    }
    let trouble = scene.trouble().await;
    assert!(trouble.message.contains("one object is too large"), "{trouble}");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_understood_is_listed_afresh() {
    let mut scene = Scene::new(false);
    for body in ["", "<html>", "[]", r#"{"items":{}}"#, &list("", "", &[]), "\u{fffd}"] {
        scene.listed_afresh().await.answer(200, body);
        assert_eq!(scene.trouble().await.failure, WatchFailure::Garbled, "{body}");
    }
    for text in ["<html>\n", "{}\n", &line("RENAMED", "{}"), &line("ERROR", "7"), "\n"] {
        scene.answer(&list("5", "", &[])).await;
        assert_eq!(scene.event().await, listed(&[], &[]));
        scene.watched_from("5").await.send(text);
        assert_eq!(scene.trouble().await.failure, WatchFailure::Garbled, "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_for_is_read_again_one_by_one_beside_the_watch() {
    let (mut scene, feed) = Scene::following().await;
    let path = |name: &str| format!("/namespaces/n/things?fieldSelector=metadata.name%3D{name}&limit=500");
    let applied = |name: &str, spec: &str| Event::Applied(key(name), spec.to_owned());
    for name in ["a", "b", "c", "c"] {
        scene.again.send(Key::new("n", name)).unwrap();
    }
    let began = Instant::now();
    let call = scene.api.call().await;
    assert_eq!(call.target, path("a"));
    call.answer(200, &list("9", "", &[object("a", "2", "y")]));
    assert_eq!(scene.event().await, applied("a", "y"));
    feed.send(&line("ADDED", &object("d", "6", "x")));
    assert_eq!(scene.event().await, applied("d", "x"), "the watch goes on meanwhile");
    // It is gone, and the watch has not told yet.
    let call = scene.api.call().await;
    assert_eq!(call.target, path("b"));
    call.answer(200, &list("9", "", &[]));
    let call = scene.api.call().await;
    assert_eq!(call.target, path("c"));
    assert_eq!(began.elapsed().as_millis(), 2 * 25, "with a pause");
    call.answer(500, "{}");
    let call = scene.api.call().await;
    assert_eq!(
        (call.target.clone(), began.elapsed().as_secs()),
        (path("c"), 15),
        "and again later"
    );
    call.answer(200, &list("9", "", &[object("c", "2", "bad")]));
    assert_eq!(scene.event().await, Event::Bad(bad("c")));
    drop(feed);
    let _feed = scene.watched_from("6").await;
    sleep(Duration::from_mins(1)).await;
    assert!(scene.api.is_idle());
}

#[tokio::test(start_paused = true)]
async fn what_is_gone_is_not_read_again() {
    let (mut scene, feed) = Scene::following().await;
    scene.again.send(Key::new("n", "a")).unwrap();
    scene.api.call().await.answer(500, "{}");
    let gone = r#"{"metadata":{"name":"a","namespace":"n","resourceVersion":"7"},"spec":"x"}"#;
    feed.send(&line("DELETED", gone));
    assert!(matches!(scene.event().await, Event::Deleted(..)));
    sleep(Duration::from_mins(1)).await;
    assert!(scene.api.is_idle());
}

#[tokio::test(start_paused = true)]
async fn a_list_is_thinned_page_by_page() {
    let mut scene = Scene::new(false);
    let long = "x".repeat(30);
    scene.answer(&list("5", "next", &[object("a", "1", &long)])).await;
    scene.answer(&list("5", "", &[object("b", "1", &long)])).await;
    let short = "x".repeat(20);
    assert_eq!(scene.event().await, listed(&[("a", &short), ("b", &short)], &[]));
}
