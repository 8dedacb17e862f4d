//! What is told to who asks: whether it is ready, and numbers.

use std::time::SystemTime;

use super::*;

impl Scene {
    fn report(&self) -> String {
        self.readiness.report(SystemTime::now()).to_string()
    }

    fn counts(&self, line: &str) -> bool {
        self.metrics.encode().lines().any(|told| told == line)
    }
}

#[tokio::test(start_paused = true)]
async fn it_says_which_lists_it_waits_for_and_why() {
    let mut state = State::new(1);
    state.silent = Some(COPIES);
    state.refused.push((Method::GET, NAMESPACES, 403, json!({})));
    let scene = Scene::new(state, 100);
    sleep(5 * SECOND).await;
    let report = scene.report();
    let expected = "[-]cluster failed: namespaces: the API server answers 403";
    assert!(report.starts_with(expected), "{report}");
    assert!(
        report.contains("; copies: it has not been listed yet\n[+]shutdown ok\nnote: this replica does not lead"),
        "{report}"
    );

    scene.state.lock().unwrap().silent = None;
    scene.state.lock().unwrap().refused.clear();
    sleep(60 * SECOND).await;
    let expected = "[+]cluster ok\n[+]shutdown ok\n\
                    note: this replica leads: it writes copies and statuses\nreadyz check passed\n";
    assert_eq!(scene.report(), expected);

    scene.state.lock().unwrap().set_lease(lease("another"));
    sleep(2 * SECOND).await;
    assert!(scene.report().contains("note: this replica does not lead"));
}

#[tokio::test(start_paused = true)]
async fn numbers_of_namespaces_are_told_by_replicas_that_do_not_lead_and_go_with_their_rule() {
    let first = Scene::new(State::new(2), 100);
    sleep(10 * SECOND).await;
    let status = first.status();
    assert_eq!(status["namespaces"], json!({"selected": 2, "ready": 2, "refused": 0}));
    let selected = "pullkey_rule_namespaces{state=\"selected\"} 2";
    assert!(!first.counts(selected), "the watch has not told of its own status yet");
    let rule = |kind: &str| {
        let state = first.state.lock().unwrap();
        let mut rule = state.items[RULES][0].clone();
        rule["status"] = status.clone();
        json!({"type": kind, "object": rule})
    };
    first.tell(RULES, &rule("MODIFIED"));
    sleep(SECOND).await;
    assert!(first.counts(selected));
    first.tell(RULES, &rule("DELETED"));
    sleep(SECOND).await;
    assert!(first.counts("pullkey_rule_namespaces{state=\"selected\"} 0"));
}
