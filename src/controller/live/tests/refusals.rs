//! What the API server says no to, and that it is called by its name, told once, and tried again in its own time.

use super::*;
use crate::cluster::watch::SILENCE;

const MINUTE: Duration = Duration::from_mins(1);

/// One kind of refusal.
struct Row {
    what: &'static str,
    code: u16,
    message: &'static str,
    /// `details` of the answer.
    details: Value,
    /// `CopiesReady` as it is told.
    condition: &'static str,
    /// Who hears of it.
    told: &'static [&'static str],
    /// When it is tried, in seconds, until the watches have been silent for so long that all is listed afresh.
    attempts: &'static [u64],
}

const AT_ONCE_AND_EVER_MORE_SELDOM: &[u64] = &[0, 1, 3, 7, 15, 31, 63, 123];

fn rows() -> Vec<Row> {
    let causes = |reason| json!({"causes": [{"reason": reason, "message": "mArKeR7"}]});
    vec![
        Row {
            what: "a full quota",
            code: 403,
            message: "secrets \"ghcr\" is forbidden: exceeded quota: few-secrets, requested: count/secrets=1, used: \
                      count/secrets=5, limited: count/secrets=5",
            details: json!({}),
            condition: "False QuotaExceeded the ResourceQuota `few-secrets` is used up",
            told: &["team-0 QuotaExceeded", "default QuotaExceeded"],
            attempts: &[0, 30, 90],
        },
        Row {
            what: "a policy",
            code: 422,
            message: "secrets \"ghcr\" is forbidden: ValidatingAdmissionPolicy 'labels.example' with binding 'all' \
                      denied request: mArKeR7",
            details: json!({}),
            condition: "False DeniedByPolicy the policy `labels.example` denies it",
            told: &["team-0 DeniedByPolicy", "default DeniedByPolicy"],
            attempts: &[0, 30, 90],
        },
        Row {
            what: "a policy by webhook",
            code: 400,
            message: "admission webhook \"validate.kyverno.svc-fail\" denied the request: mArKeR7",
            details: json!({}),
            condition: "False DeniedByPolicy the policy `validate.kyverno.svc-fail` denies it",
            told: &["team-0 DeniedByPolicy", "default DeniedByPolicy"],
            attempts: &[0, 30, 90],
        },
        Row {
            what: "a right that is missing",
            code: 403,
            message: "secrets \"ghcr\" is forbidden: User \"mArKeR7\" cannot patch resource \"secrets\"",
            details: json!({}),
            condition: "False NotPermitted the controller has no right to write this Secret",
            told: &["default NotPermitted"],
            attempts: &[0, 10, 30, 70, 150],
        },
        Row {
            what: "too large a Secret",
            code: 413,
            message: "mArKeR7",
            details: json!({}),
            condition: "False Invalid the API server does not take such a Secret",
            told: &["default Invalid"],
            attempts: &[0, 60],
        },
        Row {
            what: "a webhook on the way that is down",
            code: 500,
            message: "failed calling webhook \"mArKeR7\"",
            details: json!({}),
            condition: "False Unavailable the API server or a webhook on its way does not answer",
            told: &["default Unavailable"],
            attempts: AT_ONCE_AND_EVER_MORE_SELDOM,
        },
        Row {
            what: "a server that says when to come again",
            code: 503,
            message: "mArKeR7",
            details: json!({"retryAfterSeconds": 20}),
            condition: "False Unavailable the API server or a webhook on its way does not answer",
            told: &["default Unavailable"],
            attempts: &[0, 20, 40, 60, 80, 100, 132],
        },
        Row {
            what: "a namespace that is going, which is no fault",
            code: 403,
            message: "it is being terminated",
            details: causes("NamespaceTerminating"),
            condition: "True AllReady",
            told: &[],
            attempts: &[0],
        },
    ]
}

#[tokio::test(start_paused = true)]
async fn each_refusal_has_its_name_its_listeners_and_its_patience() {
    for row in rows() {
        let mut state = State::new(1);
        let body = json!({"message": row.message, "details": row.details});
        state.refused.push((Method::PATCH, COPY, row.code, body));
        let scene = Scene::new(state, 100);
        sleep(SILENCE * 59 / 60).await;
        let what = row.what;
        assert_eq!(scene.copies_ready(), row.condition, "{what}");
        assert_eq!(scene.told(), row.told, "{what}");
        let attempts: Vec<_> = scene.writes().iter().map(|(second, _)| *second).collect();
        assert_eq!(attempts, row.attempts, "{what}");
        let state = format!("{:?}", {
            let state = scene.state.lock().unwrap();
            (state.statuses.clone(), state.events.clone())
        });
        assert!(!state.contains("mArKeR7"), "{what}: {state}");

        scene.state.lock().unwrap().refused.clear();
        let alive = json!({"type": "MODIFIED", "object": namespace("team-0")});
        scene.tell(NAMESPACES, &alive);
        sleep(10 * MINUTE).await;
        assert!(scene.state.lock().unwrap().secrets.contains_key(COPY), "{what}");
        assert_eq!(scene.copies_ready(), "True AllReady", "{what}");
        scene.end.send_replace(true);
    }
}

#[tokio::test(start_paused = true)]
async fn what_one_namespace_refuses_delays_no_other() {
    let mut state = State::new(3);
    let body = json!({"message": "exceeded quota: few, requested"});
    state.refused.push((Method::PATCH, COPY, 403, body));
    let scene = Scene::new(state, 100);
    sleep(3 * SECOND).await;
    assert_eq!(scene.writes().len(), 3);
    let status = scene.status();
    assert_eq!(status["namespaces"], json!({"selected": 3, "ready": 2, "refused": 1}));
    assert_eq!(status["refusals"][0]["namespace"], "team-0");
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_changed_unseen_is_looked_at_and_then_written() {
    let scene = Scene::new(State::new(1), 100);
    sleep(SECOND).await;
    {
        let mut state = scene.state.lock().unwrap();
        state.secrets.get_mut(COPY).unwrap()["resourceVersion"] = json!("1000");
        state.version = 1000;
    }
    scene.rotate("2");
    sleep(SECOND).await;
    assert_eq!(scene.writes().len(), 3, "one in vain, and one that knows better");
    assert_eq!(scene.version_copied(), "source/2");
    assert_eq!(scene.told(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_came_into_a_copys_place_unseen_is_neither_written_nor_deleted() {
    let mut theirs = by_hand();
    theirs["resourceVersion"] = json!("1000");
    let scene = Scene::new(State::new(1), 100);
    sleep(SECOND).await;
    scene
        .state
        .lock()
        .unwrap()
        .secrets
        .insert(COPY.to_owned(), theirs.clone());
    scene.rotate("2");
    sleep(3 * SECOND).await;
    assert_eq!(scene.state.lock().unwrap().secrets[COPY], theirs);
    assert!(
        scene.copies_ready().starts_with("False Foreign"),
        "{}",
        scene.copies_ready()
    );

    let scene = Scene::new(State::new(1), 100);
    sleep(SECOND).await;
    scene
        .state
        .lock()
        .unwrap()
        .secrets
        .insert(COPY.to_owned(), theirs.clone());
    let line = json!({"type": "MODIFIED", "object": rule(&["nobody"], 2)});
    scene.tell(RULES, &line);
    sleep(MINUTE).await;
    assert_eq!(scene.state.lock().unwrap().secrets[COPY], theirs);
}

#[tokio::test(start_paused = true)]
async fn while_the_api_server_asks_for_patience_not_even_a_newborn_is_served() {
    let scene = Scene::new(State::new(1), 100);
    sleep(SECOND).await;
    scene.state.lock().unwrap().throttled = 1;
    scene.rotate("2");
    sleep(SECOND / 2).await;
    let line = json!({"type": "ADDED", "object": namespace("team-new")});
    scene.tell(NAMESPACES, &line);
    sleep(10 * SECOND).await;
    let expected = [(0, "team-0"), (1, "team-0"), (4, "team-new"), (4, "team-0")];
    assert_eq!(
        scene.writes(),
        expected.map(|(second, namespace)| (second, namespace.to_owned()))
    );
}

#[tokio::test(start_paused = true)]
async fn statuses_and_events_have_the_same_patience() {
    let throttled = |seconds: u32| json!({"details": {"retryAfterSeconds": seconds}});
    let mut state = State::new(1);
    state.secrets.insert(COPY.to_owned(), by_hand());
    state.refused.push((Method::PATCH, STATUS, 429, throttled(60)));
    state
        .refused
        .push((Method::POST, "/apis/events.k8s.io", 429, throttled(60)));
    let scene = Scene::new(state, 100);
    sleep(20 * SECOND).await;
    scene.state.lock().unwrap().refused.clear();
    sleep(30 * SECOND).await;
    assert!(scene.status().is_null(), "{}", scene.status());
    assert_eq!(scene.told(), [""; 0]);
    sleep(30 * SECOND).await;
    assert!(scene.copies_ready().starts_with("False Foreign"));
    assert_eq!(scene.told(), ["default Foreign"], "what was told in vain is dropped");
}
