//! What is read of others' words, and what is said.

use super::healthy::{healthy, rule};
use super::{found, secret};
use crate::controller::Target;
use crate::doctor::counters::{Calls, Injections};
use crate::doctor::facts::{ConfigMap, RuleState};
use crate::doctor::trial::{Answer, Candidate};
use crate::rules::{Labels, Namespace, RuleSet};

#[test]
fn counters_are_added_up() {
    let metrics = "\
# TYPE apiserver_admission_webhook_request_total counter
apiserver_admission_webhook_fail_open_count{name=\"other\",type=\"admit\"} 7
apiserver_admission_webhook_fail_open_count{name=\"pods.pullkey.dev\",type=\"admit\"} 3
apiserver_admission_webhook_request_total{code=\"200\",name=\"pods.pullkey.dev\",type=\"admit\"} 1e+06
apiserver_admission_webhook_request_total{code=\"600\",name=\"pods.pullkey.dev\",type=\"admit\"} 3
";
    let told = metrics
        .lines()
        .filter(|line| Calls::is_told_by(line, "pods.pullkey.dev"));
    let told: Vec<_> = told.collect();
    let calls = Calls {
        all: 1_000_003,
        failed_open: 3,
    };
    assert_eq!((told.len(), Calls::read(&told.join("\n"))), (3, calls));

    let mut injections = Injections::default();
    injections.add("pullkey_decisions_total{outcome=\"injected\",reason=\"\"} 4\n");
    injections.add("pullkey_decisions_total{outcome=\"skipped\",reason=\"no_rule\"} 5\n# EOF\n");
    let expected = Injections {
        replicas: 2,
        injected: 4,
        skipped: 5,
    };
    assert_eq!(injections, expected);
}

#[test]
fn the_last_change_of_anything_but_the_status_counts() {
    let text = r#"{"metadata": {"generation": 4, "creationTimestamp": "2026-11-01T00:00:00Z", "managedFields": [
        {"time": "2026-11-02T00:00:00Z"}, {"time": "2026-11-03T00:00:00Z", "subresource": "status"}]},
        "status": {"observedGeneration": 4, "conditions": []}, "data": null}"#;
    let state = RuleState::read(text).unwrap();
    assert_eq!((state.generation, state.status.observed_generation), (4, 4));
    assert_eq!(state.since, "2026-11-02T00:00:00Z");
    let files = ConfigMap::read(text).unwrap();
    assert!(files.data.is_empty());
    let odd = r#"{"metadata": {"creationTimestamp": "2026-11-01T00:00:00Z"}, "status": {"keys": 5}}"#;
    let state = RuleState::read(odd).unwrap();
    assert_eq!(state.since, "2026-11-01T00:00:00Z");
    assert_eq!(state.status.observed_generation, 0);
}

#[test]
fn an_image_is_made_up_that_a_rule_covers_there() {
    let labels: Labels = [("kubernetes.io/metadata.name", "team-a")].into_iter().collect();
    let place = Namespace {
        name: "team-a",
        labels: Some(&labels),
    };
    for (spec, image) in [
        (
            "images: [a.example:5000/team]",
            Some("a.example:5000/team/pullkey-doctor"),
        ),
        ("images: ['*.a.*.example']", Some("x.a.x.example/pullkey-doctor")),
        ("images: ['*']", Some("pullkey-doctor")),
        ("images: [docker.io]", Some("docker.io/pullkey-doctor")),
        (
            "images: [a.example, b.example], exceptImages: [a.example]",
            Some("b.example/pullkey-doctor"),
        ),
        ("mode: Shadow, images: [a.example]", None),
        ("imageRegex: 'a[.]example/.*'", None),
    ] {
        let spec = format!("{spec}, namespaces: {{include: ['team-*']}}, secret: {{name: a}}");
        let compiled = rule(&spec);
        assert_eq!(compiled.mistakes, []);
        let found = Candidate::find(&RuleSet::new(compiled.rules), &place);
        assert_eq!(found.as_ref().map(|found| found.image.as_str()), image, "{spec}");
    }
    let pod = r#"{"spec": {"imagePullSecrets": [{"name": "a"}, {}, {"name": "b"}]}}"#;
    assert_eq!(
        Answer::admitted(pod),
        Answer::Admitted(vec!["a".to_owned(), "b".to_owned()])
    );
}

#[test]
fn a_terminal_gets_what_was_seen_and_what_to_do() {
    let mut facts = healthy();
    let target = Target {
        namespace: "team-\u{1b}[31m".into(),
        name: "copied".into(),
    };
    let orphan = secret("velero", &serde_json::json!({"pullkey.dev/copy": "true"}));
    facts.copies = Some([(target, orphan)].into());
    facts.rules.as_mut().unwrap().objects.clear();
    let text = found(&facts).to_string();
    assert!(
        text.starts_with("Kubernetes    v1.37.1\nregistration  pullkey asks "),
        "{text}"
    );
    let finding = "
error: Secrets with the label of copies that are not Pullkey's, restored from a backup or copied by hand: 1 [copies-orphaned]
  --> team-\\u{1b}[31m/copied
   = hint: they are left alone; to hand them over, so that they are kept up to date and removed when no rule wants them:
   = run: kubectl label secrets --all-namespaces --selector pullkey.dev/copy=true pullkey.dev/adopt=true

1 error
";
    assert!(text.ends_with(finding), "{text}");
}

#[test]
fn many_objects_are_counted() {
    let mut facts = healthy();
    facts.copies = Some(
        (0..12)
            .map(|number| {
                let target = Target {
                    namespace: format!("team-{number:02}").into(),
                    name: "copied".into(),
                };
                (
                    target,
                    secret("velero", &serde_json::json!({"pullkey.dev/copy": "true"})),
                )
            })
            .collect(),
    );
    let report = found(&facts);
    let about = &report.findings[0].about;
    assert_eq!(
        (about.len(), about[9].as_str(), about[10].as_str()),
        (11, "team-09/copied", "and 2 more")
    );
}
