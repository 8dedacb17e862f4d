//! What goes wrong between us and the API server, and that it is told once and put right.

use super::*;

#[tokio::test(start_paused = true)]
async fn who_leads_next_tells_nobody_again_what_was_told_in_the_hour() {
    let mut state = State::new(1);
    state.secrets.insert(COPY.to_owned(), by_hand());
    let first = Scene::new(state, 100);
    sleep(10 * SECOND).await;
    assert!(
        first.copies_ready().starts_with("False Foreign"),
        "{}",
        first.copies_ready()
    );
    assert_eq!(first.told(), ["team-0 Foreign", "default Foreign"]);
    first.end.send_replace(true);
    sleep(5 * SECOND).await;

    let attempts = first.state.lock().unwrap().statuses.len();
    let second = Scene::on(&first.state, 100, &[]);
    sleep(10 * SECOND).await;
    assert_eq!(second.told(), ["team-0 Foreign", "default Foreign"]);
    assert!(second.state.lock().unwrap().statuses.len() > attempts, "it has led");
    assert_eq!(second.state.lock().unwrap().secrets[COPY], by_hand());
}

#[tokio::test(start_paused = true)]
async fn a_status_that_cannot_be_written_is_announced_once_it_can() {
    let mut state = State::new(1);
    state.secrets.insert(COPY.to_owned(), by_hand());
    state.refused.push((Method::PATCH, STATUS, 500, json!({})));
    let scene = Scene::new(state, 100);
    sleep(60 * SECOND).await;
    assert_eq!(scene.told(), ["team-0 Foreign"]);
    scene.state.lock().unwrap().refused.clear();
    sleep(10 * SECOND).await;
    assert_eq!(scene.told(), ["team-0 Foreign", "default Foreign"]);
}

const MINUTE: Duration = Duration::from_mins(1);
const ADOPTIONS: &str = "/api/v1/secrets?labelSelector=pullkey.dev%2Fadopt%3Dtrue";
const WATCHED: [&str; 5] = [RULES, NAMESPACES, SOURCES, COPIES, ADOPTIONS];

impl Scene {
    /// What a list holds from now on; its watch says nothing of it.
    fn list(&self, path: &'static str, items: Vec<Value>) {
        self.state.lock().unwrap().items.insert(path, items);
    }

    fn happens(&self, path: &str, what: &str, object: &Value) {
        self.tell(path, &json!({"type": what, "object": object}));
    }

    /// The connection of a watch is broken.
    fn cut(&self, path: &str) {
        let watch = self.state.lock().unwrap().watches.remove(path).unwrap();
        watch.send(Err(io::ErrorKind::ConnectionReset.into())).unwrap();
    }

    /// The API server no longer knows what happened since.
    fn expire(&self, path: &str) {
        self.happens(path, "ERROR", &json!({"kind": "Status", "code": 410}));
    }

    fn refuse(&self, method: Method, path: &'static str, code: u16) {
        let body = json!({"message": "not today"});
        self.state.lock().unwrap().refused.push((method, path, code, body));
    }

    fn refuses_nothing(&self) {
        self.state.lock().unwrap().refused.clear();
    }

    /// The namespaces with a copy.
    fn copied(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        let namespaces = state
            .secrets
            .keys()
            .map(|path| path.split('/').nth(4).unwrap().to_owned());
        let mut namespaces: Vec<_> = namespaces.collect();
        namespaces.sort();
        namespaces
    }

    /// The namespaces that were written to since that many writes.
    fn written_since(&self, before: usize) -> Vec<String> {
        let written = self.writes().split_off(before).into_iter();
        let mut written: Vec<_> = written.map(|(_, namespace)| namespace).collect();
        written.sort();
        written
    }

    /// A condition of the latest status of any rule of that name: its status and reason.
    fn condition(&self, rule: &str, r#type: &str) -> String {
        let state = self.state.lock().unwrap();
        let of_rule = |(path, _): &&(String, Value)| path.ends_with(&format!("/{rule}/status"));
        let (_, status) = state.statuses.iter().rev().find(of_rule).unwrap();
        let mut conditions = status["conditions"].as_array().unwrap().iter();
        let condition = conditions.find(|condition| condition["type"] == r#type).unwrap();
        format!(
            "{} {}",
            condition["status"].as_str().unwrap(),
            condition["reason"].as_str().unwrap()
        )
    }
}

#[tokio::test(start_paused = true)]
async fn watches_that_break_cost_no_write_and_miss_nothing() {
    let scene = Scene::new(State::new(2), 100);
    sleep(SECOND).await;
    for path in WATCHED {
        scene.cut(path);
    }
    sleep(5 * SECOND).await;
    assert_eq!(scene.writes().len(), 2);
    scene.happens(NAMESPACES, "ADDED", &namespace("team-new"));
    sleep(SECOND).await;
    assert_eq!(scene.written_since(2), ["team-new"]);
    scene.rotate("2");
    sleep(SECOND).await;
    assert_eq!(scene.written_since(3), ["team-0", "team-1", "team-new"]);
}

#[tokio::test(start_paused = true)]
async fn after_a_long_outage_no_watch_waits_for_its_turn_to_try_again() {
    let scene = Scene::new(State::new(1), 100);
    sleep(SECOND).await;
    scene.state.lock().unwrap().is_down = true;
    for path in WATCHED {
        scene.cut(path);
    }
    sleep(10 * MINUTE).await;
    scene.state.lock().unwrap().is_down = false;
    sleep(2 * SECOND).await;
    for path in WATCHED {
        scene.happens(path, "BOOKMARK", &json!({}));
    }
    scene.happens(NAMESPACES, "ADDED", &namespace("team-new"));
    sleep(SECOND).await;
    assert_eq!(scene.copied(), ["team-0", "team-new"]);
}

#[tokio::test(start_paused = true)]
async fn what_happened_before_a_watch_expired_is_known_by_the_next_list() {
    let scene = Scene::new(State::new(3), 100);
    sleep(SECOND).await;
    assert_eq!(scene.copied(), ["team-0", "team-1", "team-2"]);
    scene.list(NAMESPACES, ["team-0", "team-1", "team-new"].map(namespace).to_vec());
    {
        let mut state = scene.state.lock().unwrap();
        state.secrets.remove("/api/v1/namespaces/team-1/secrets/ghcr");
        state.secrets.remove("/api/v1/namespaces/team-2/secrets/ghcr");
    }
    // While it is thought to be there, its copy would be made again.
    scene.expire(NAMESPACES);
    sleep(SECOND).await;
    for path in [RULES, SOURCES, COPIES, ADOPTIONS] {
        scene.expire(path);
    }
    sleep(5 * SECOND).await;
    assert_eq!(
        scene.written_since(3),
        ["team-1", "team-new"],
        "and none of what is as it was"
    );

    scene.list(SOURCES, vec![source("2")]);
    scene.expire(SOURCES);
    sleep(5 * SECOND).await;
    assert_eq!(scene.written_since(5), ["team-0", "team-1", "team-new"]);

    scene.list(RULES, vec![]);
    scene.expire(RULES);
    sleep(9 * MINUTE).await;
    assert_eq!(scene.copied().len(), 3, "the rule might come back");
    sleep(2 * MINUTE).await;
    assert_eq!(scene.copied(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn copies_outlive_the_kind_of_their_rules_and_wait_for_it_to_come_back() {
    for is_rule_back in [true, false] {
        let scene = Scene::new(State::new(2), 100);
        sleep(SECOND).await;
        // Whoever deletes a CustomResourceDefinition deletes its objects first.
        scene.happens(RULES, "DELETED", &rule(&["team-*"], 1));
        scene.refuse(Method::GET, RULES, 404);
        scene.cut(RULES);
        sleep(15 * MINUTE).await;
        scene.happens(NAMESPACES, "ADDED", &namespace("team-new"));
        sleep(MINUTE).await;
        assert_eq!(scene.written_since(2), [""; 0], "there is no rule that wants more");

        let mut again = rule(&["team-*"], 1);
        again["metadata"]["uid"] = json!("again");
        scene.list(RULES, if is_rule_back { vec![again] } else { vec![] });
        scene.list(NAMESPACES, ["team-0", "team-1", "team-new"].map(namespace).to_vec());
        scene.refuses_nothing();
        sleep(9 * MINUTE).await;
        if is_rule_back {
            sleep(15 * MINUTE).await;
            assert_eq!(scene.written_since(2), ["team-new"]);
        } else {
            assert_eq!(scene.copied(), ["team-0", "team-1"]);
            sleep(2 * MINUTE).await;
            assert_eq!(scene.copied(), [""; 0]);
        }
        scene.end.send_replace(true);
    }
}

#[tokio::test(start_paused = true)]
async fn one_bad_object_of_each_kind_stops_no_other() {
    let mut state = State::new(1);
    let mut add = |path, object| state.items.get_mut(path).unwrap().push(object);
    add(
        NAMESPACES,
        json!({"metadata": {"name": "team-bad", "labels": {"a": 1}}}),
    );
    let mut bad = rule(&["team-*"], 1);
    bad["metadata"]["name"] = json!("bad");
    bad["metadata"]["uid"] = json!("bad");
    bad["spec"]["images"] = json!(7);
    add(RULES, bad.clone());
    let unreadable = json!({"metadata": {"name": "unreadable", "generation": "one"}});
    add(RULES, unreadable.clone());
    add(SOURCES, json!({"metadata": {"name": "bad", "uid": 7}}));
    let no_copy = json!({"name": "bad", "namespace": "team-0", "labels": {"pullkey.dev/copy": "true"}});
    let no_copy_path = "/api/v1/namespaces/team-0/secrets/bad".to_owned();
    state.secrets.insert(no_copy_path.clone(), no_copy.clone());

    let scene = Scene::new(state, 100);
    sleep(3 * SECOND).await;
    assert_eq!(scene.written_since(0), ["team-0"]);
    assert_eq!(scene.condition("acme", "Ready"), "True InForce");
    assert_eq!(scene.condition("bad", "Ready"), "False Invalid");
    for path in [NAMESPACES, SOURCES] {
        let object = json!({"metadata": {"name": "worse", "labels": 7}});
        scene.happens(path, "ADDED", &object);
    }
    scene.rotate("2");
    sleep(SECOND).await;
    assert_eq!(scene.written_since(1), ["team-0"]);

    scene.list(RULES, vec![rule(&["nobody"], 2), bad.clone(), unreadable.clone()]);
    scene.happens(RULES, "MODIFIED", &rule(&["nobody"], 2));
    sleep(15 * MINUTE).await;
    assert_eq!(scene.version_copied(), "source/2", "one of them might want the copy");
    scene.list(RULES, vec![rule(&["nobody"], 2), unreadable.clone()]);
    scene.happens(RULES, "DELETED", &bad);
    sleep(15 * MINUTE).await;
    assert_eq!(scene.version_copied(), "source/2", "the other one might, too");
    scene.list(RULES, vec![rule(&["nobody"], 2)]);
    scene.happens(RULES, "DELETED", &unreadable);
    sleep(MINUTE).await;
    let state = scene.state.lock().unwrap();
    assert_eq!(
        state.secrets,
        HashMap::from([(no_copy_path, no_copy)]),
        "none of our business"
    );
}

#[tokio::test(start_paused = true)]
async fn sources_that_may_not_be_read_are_said_and_copied_as_soon_as_they_may() {
    let scene = Scene::new(State::new(1), 100);
    scene.refuse(Method::GET, SOURCES, 403);
    sleep(5 * SECOND).await;
    assert_eq!(scene.condition("acme", "SourceValid"), "False SourceUnreadable");
    assert_eq!(scene.told(), ["default SourceUnreadable"]);
    assert_eq!(scene.writes(), vec![]);
    scene.refuses_nothing();
    sleep(20 * SECOND).await;
    assert_eq!(scene.condition("acme", "SourceValid"), "True Valid");
    assert_eq!(scene.copied(), ["team-0"]);

    scene.refuse(Method::GET, SOURCES, 403);
    scene.cut(SOURCES);
    sleep(MINUTE).await;
    scene.happens(NAMESPACES, "ADDED", &namespace("team-new"));
    sleep(SECOND).await;
    assert_eq!(
        scene.copied(),
        ["team-0", "team-new"],
        "what was good is still in memory"
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_as_long_as_a_list_is_forbidden_that_all_depends_on() {
    for path in [RULES, NAMESPACES, COPIES, ADOPTIONS] {
        let scene = Scene::new(State::new(1), 100);
        scene.refuse(Method::GET, path, 403);
        sleep(10 * MINUTE).await;
        assert_eq!((scene.writes(), scene.status()), (vec![], json!(null)), "{path}");
        scene.refuses_nothing();
        sleep(20 * SECOND).await;
        assert_eq!(scene.copied(), ["team-0"], "{path}");
        scene.end.send_replace(true);
    }
}
