//! What goes wrong between us and the API server, and that it is told once and put right.

use super::*;

const COPY: &str = "/api/v1/namespaces/team-0/secrets/ghcr";
const STATUS: &str = "/apis/pullkey.dev/v1alpha1/clusterpullsecretrules/acme/status";

/// The metadata of a Secret that somebody made by hand.
fn by_hand() -> Value {
    json!({
        "name": "ghcr", "namespace": "team-0", "uid": "theirs", "resourceVersion": "1",
        "managedFields": [{"manager": "kubectl-create", "operation": "Update", "fieldsV1": {"f:data": {}, "f:type": {}}}],
    })
}

impl Scene {
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
