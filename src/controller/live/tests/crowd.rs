//! More rules of a tenant than take effect.

use super::*;

const OF_TENANTS: &str = "/apis/pullkey.dev/v1alpha1/pullsecretrules";

fn rule(index: usize) -> Value {
    let name = format!("r{index:03}");
    json!({
        "metadata": {
            "name": name, "namespace": "team-0", "uid": format!("uid-{:03}", 999 - index), "generation": 1,
            "creationTimestamp": "2026-11-22T10:00:00Z",
        },
        "spec": {"images": [format!("{name}.example")], "secret": {"name": name}},
    })
}

/// The reason that the rule's status gives, as it was written last.
fn reason(scene: &Scene, index: usize) -> String {
    let state = scene.state.lock().unwrap();
    let path = format!("/pullsecretrules/r{index:03}/status");
    let status = state.statuses.iter().rfind(|(written, _)| written.ends_with(&path));
    let reason = status.and_then(|(_, status)| status["conditions"][0]["reason"].as_str());
    reason.unwrap_or_default().to_owned()
}

#[tokio::test(start_paused = true)]
async fn the_rules_that_say_so_are_those_that_take_effect_and_one_that_moves_up_is_read_again() {
    let mut state = State::new(1);
    state.items.insert(OF_TENANTS, (0..120).map(rule).collect());
    let again = "/apis/pullkey.dev/v1alpha1/namespaces/team-0/pullsecretrules?fieldSelector=metadata.name%3Dr100";
    state.items.insert(again, vec![rule(100)]);
    let scene = Scene::new(state, 100);
    sleep(10 * SECOND).await;
    // Of one second the first by name, as in the webhook, whatever their uids are.
    for index in 0..120 {
        let expected = if index < 100 { "InForce" } else { "TooMany" };
        assert_eq!(reason(&scene, index), expected, "{index}");
    }
    scene.tell(OF_TENANTS, &json!({"type": "DELETED", "object": rule(50)}));
    sleep(2 * SECOND).await;
    assert_eq!(reason(&scene, 100), "InForce");
    assert_eq!(reason(&scene, 101), "TooMany");
}
