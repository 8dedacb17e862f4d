//! The limit of an hour's removals outlives whoever keeps to it.

use super::*;

const ANNOTATION: &str = "pullkey.dev/removals";
const MINUTE: Duration = Duration::from_mins(1);

/// What the Lease says was removed.
fn noted(state: &State) -> usize {
    let text = &state.lease.as_ref().unwrap()["metadata"]["annotations"][ANNOTATION];
    let ledger: Value = serde_json::from_str(text.as_str().unwrap_or("{}")).unwrap();
    let spans = ledger.as_object().unwrap().values();
    let counts = spans.flat_map(|span| [&span["wanted"], &span["unknown"]].map(|count| count.as_u64().unwrap()));
    usize::try_from(counts.sum::<u64>()).unwrap()
}

/// Another controller on what the first one left, for that long.
async fn again(first: &Scene, change: impl FnOnce(&mut State)) -> usize {
    first.end.send_replace(true);
    sleep(SECOND).await;
    {
        let mut state = first.state.lock().unwrap();
        let secrets = state.secrets.values().map(|metadata| json!({"metadata": metadata}));
        let secrets = secrets.collect();
        state.items.insert(COPIES, secrets);
        change(&mut state);
    }
    let second = Scene::on(&first.state, 10_000, &[]);
    sleep(20 * MINUTE).await;
    second.end.send_replace(true);
    sleep(SECOND).await;
    second.state.lock().unwrap().secrets.len()
}

#[tokio::test(start_paused = true)]
async fn what_was_removed_in_the_hour_counts_for_whoever_leads_next() {
    let scene = Scene::new(State::new(150), 10_000);
    sleep(5 * SECOND).await;
    let mut rule = {
        let state = scene.state.lock().unwrap();
        assert_eq!((state.secrets.len(), noted(&state)), (150, 0));
        state.items[RULES][0].clone()
    };
    rule["metadata"]["generation"] = json!(2);
    rule["spec"]["namespaces"] = json!({"include": ["nobody"]});
    scene.state.lock().unwrap().items.insert(RULES, vec![rule.clone()]);
    scene.tell(RULES, &json!({"type": "MODIFIED", "object": rule}));
    sleep(5 * SECOND).await;
    {
        let state = scene.state.lock().unwrap();
        assert_eq!((state.secrets.len(), noted(&state)), (50, 100), "noted while it leads");
    }
    assert_eq!(again(&scene, |_| ()).await, 50);
    let long_ago = |state: &mut State| {
        let lease = state.lease.as_mut().unwrap();
        lease["metadata"]["annotations"][ANNOTATION] = json!(r#"{"1":{"wanted":100,"unknown":100}}"#);
    };
    assert_eq!(again(&scene, long_ago).await, 0);
}
