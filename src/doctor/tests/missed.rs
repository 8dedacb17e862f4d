//! Pods that were missed, and who makes them anew.

use serde_json::{Value, json};

use super::healthy::{healthy, registration, rule};
use super::{codes, found};
use crate::doctor::facts::Pods;
use crate::doctor::objects::Configuration;
use crate::doctor::pods::{Known, Missed};
use crate::rules::{Kind, RuleSet};

/// A Pod of the image that the rule covers, changed.
fn pod(change: impl FnOnce(&mut Value)) -> Value {
    let mut pod = json!({
        "metadata": {"name": "web-1", "namespace": "team-a", "creationTimestamp": "2026-11-03T00:00:00Z"},
        "spec": {"serviceAccountName": "default", "containers": [{"name": "a", "image": "a.example/app"}]},
        "status": {"phase": "Pending"},
    });
    change(&mut pod);
    pod
}

fn known() -> Known {
    let configuration: Configuration = serde_json::from_value(registration()).unwrap();
    let rules = rule("images: [a.example], namespaces: {include: [team-a]}, secret: {name: a}").rules;
    let key = (Kind::ClusterPullSecretRule, None, "copies".to_owned());
    Known {
        rules: RuleSet::new(rules),
        ages: [(key, "2026-11-02T00:00:00Z".to_owned())].into(),
        namespaces: healthy().namespaces.unwrap(),
        strict_accounts: [("team-a".into(), "strict".into())].into(),
        webhook: Some((
            configuration.webhooks[0].clone(),
            configuration.metadata.creation_timestamp,
        )),
    }
}

fn missed(change: impl FnOnce(&mut Value)) -> Option<Missed> {
    known().missed(&pod(change).to_string()).unwrap()
}

/// What is changed of a Pod.
type Change = fn(&mut Value);

#[test]
fn pods_that_the_webhook_would_leave_alone_were_not_missed() {
    assert_eq!(missed(|_| ()).unwrap().secrets, ["a"]);
    let table: [(&str, Change); 8] = [
        ("it names the secret", |pod| {
            pod["spec"]["imagePullSecrets"] = json!([{"name": "a"}]);
        }),
        ("no rule is about its image", |pod| {
            pod["spec"]["containers"][0]["image"] = json!("b.example/app");
        }),
        ("it opts out", |pod| {
            pod["metadata"]["labels"] = json!({"pullkey.dev/inject": "false"});
        }),
        ("it is a mirror Pod", |pod| {
            pod["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": ""});
        }),
        ("its account is strict", |pod| {
            pod["spec"]["serviceAccountName"] = json!("strict");
        }),
        ("its namespace is not selected", |pod| {
            pod["metadata"]["namespace"] = json!("pullkey");
        }),
        ("its namespace is not known", |pod| {
            pod["metadata"]["namespace"] = json!("gone");
        }),
        ("it is going", |pod| {
            pod["metadata"]["deletionTimestamp"] = json!("2026-11-03T00:00:00Z");
        }),
    ];
    for (why, change) in table {
        assert_eq!(missed(change), None, "{why}");
    }
    let mut known = known();
    let (webhook, _) = known.webhook.as_mut().unwrap();
    webhook.object_selector = serde_json::from_value(json!({"matchLabels": {"app": "web"}})).unwrap();
    assert_eq!(
        known.missed(&pod(|_| ()).to_string()),
        Ok(None),
        "nobody is asked about it"
    );
    let labelled = pod(|pod| pod["metadata"]["labels"] = json!({"app": "web"}));
    assert!(known.missed(&labelled.to_string()).unwrap().is_some());
    assert!(known.missed("{}").is_err());
}

#[test]
fn an_answer_was_missed_if_rule_and_registration_were_there_before() {
    for (created, expected) in [
        ("2026-11-02T00:00:01Z", true),
        ("2026-11-02T00:00:00Z", false),
        ("2026-11-01T12:00:00Z", false),
        ("2026-10-01T00:00:00Z", false),
    ] {
        let found = missed(|pod| pod["metadata"]["creationTimestamp"] = json!(created)).unwrap();
        assert_eq!(found.had_a_rule, expected, "{created}");
    }
    let pod = pod(|_| ()).to_string();
    let mut unregistered = known();
    unregistered.webhook = None;
    assert!(!unregistered.missed(&pod).unwrap().unwrap().had_a_rule);
    let mut unknown = known();
    unknown.ages.clear();
    assert!(!unknown.missed(&pod).unwrap().unwrap().had_a_rule);
}

#[test]
fn whoever_makes_pods_is_known_with_what_makes_them_anew() {
    let bare = "kubectl get pod web-1 --namespace team-a --output yaml | kubectl replace --force --filename -";
    let deleted = "kubectl delete pod web-1 --namespace team-a";
    for (owner, labels, expected, command) in [
        (None, json!({}), "Pod web-1", bare),
        (
            Some(("ReplicaSet", "web-5d")),
            json!({"pod-template-hash": "5d"}),
            "Deployment web",
            "kubectl rollout restart deployment/web --namespace team-a",
        ),
        (Some(("ReplicaSet", "web-5d")), json!({}), "ReplicaSet web-5d", deleted),
        (
            Some(("ReplicaSet", "web")),
            json!({"pod-template-hash": "5d"}),
            "ReplicaSet web",
            deleted,
        ),
        (
            Some(("StatefulSet", "db")),
            json!({}),
            "StatefulSet db",
            "kubectl rollout restart statefulset/db --namespace team-a",
        ),
        (
            Some(("DaemonSet", "log")),
            json!({}),
            "DaemonSet log",
            "kubectl rollout restart daemonset/log --namespace team-a",
        ),
        (Some(("Job", "once")), json!({}), "Job once", deleted),
        // Whoever creates a Pod may write anything there, and others are to type it.
        (Some(("Job", "$(whoami)")), json!({}), "Pod web-1", bare),
        (Some(("a; b", "job")), json!({}), "Pod web-1", bare),
        (Some(("Workspace", "mine")), json!({}), "Workspace mine", deleted),
    ] {
        let made = missed(|pod| {
            pod["metadata"]["labels"] = labels;
            if let Some((kind, name)) = owner {
                let other = json!({"kind": "Other", "name": "not-its-controller"});
                let owner = json!({"kind": kind, "name": name, "controller": true});
                pod["metadata"]["ownerReferences"] = json!([other, owner]);
            }
        });
        let mut facts = healthy();
        facts.pods = Some(Pods {
            seen: 1,
            missed: vec![made.unwrap()],
        });
        let report = found(&facts);
        let owner = &report.pods[0];
        assert_eq!(format!("{} {}", owner.kind, owner.name), expected);
        assert_eq!(owner.commands, [command]);
    }
}

#[test]
fn those_that_wait_for_an_image_come_first() {
    let waiting = |list: &str, reason: &str| {
        missed(|pod| {
            pod["metadata"]["name"] = json!("waits");
            pod["status"][list] = json!([{"state": {"running": {}}}, {"state": {"waiting": {"reason": reason}}}]);
        })
        .unwrap()
    };
    for (list, reason, waits) in [
        ("containerStatuses", "ErrImagePull", true),
        ("initContainerStatuses", "ImagePullBackOff", true),
        ("containerStatuses", "ContainerCreating", false),
        ("containerStatuses", "CrashLoopBackOff", false),
    ] {
        assert_eq!(waiting(list, reason).waits.is_some(), waits, "{reason}");
    }
    let older = missed(|pod| {
        pod["metadata"]["name"] = json!("older");
        pod["metadata"]["creationTimestamp"] = json!("2026-10-01T00:00:00Z");
    });
    let mut facts = healthy();
    let of_one = missed(|pod| {
        pod["metadata"]["labels"] = json!({"pod-template-hash": "5d"});
        pod["metadata"]["ownerReferences"] = json!([{"kind": "ReplicaSet", "name": "web-5d", "controller": true}]);
    })
    .unwrap();
    let missed = vec![
        older.unwrap(),
        of_one.clone(),
        waiting("containerStatuses", "ErrImagePull"),
        of_one,
    ];
    facts.pods = Some(Pods { seen: 9, missed });
    let report = found(&facts);
    assert_eq!(codes(&report), ["pods-waiting", "pods-missed", "pods-older"]);
    let names: Vec<_> = report.pods.iter().map(|owner| owner.name.as_str()).collect();
    assert_eq!(names, ["waits", "web", "older"]);
    assert_eq!(
        report.findings[0].about,
        ["Pod team-a/waits: 1 Pod lacks `a`, ErrImagePull"]
    );
    assert_eq!(report.findings[1].about, ["Deployment team-a/web: 2 Pods lack `a`"]);
}
