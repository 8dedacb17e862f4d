//! Facts and what is found in them.

mod healthy;
mod missed;
mod words;

use serde_json::{Value, json};

use self::healthy::{healthy, rule, secret, status};
use super::counters::Calls;
use super::facts::{Certificate, Definition, Facts, Version};
use super::objects::Configuration;
use super::trial::{Answer, Candidate, Trial};
use super::{Report, Severity, Unseen, examine};
use crate::controller::Target;
use crate::rules::Kind;

fn codes(report: &Report) -> Vec<&'static str> {
    report.findings.iter().map(|finding| finding.code).collect()
}

fn found(facts: &Facts) -> Report {
    examine(facts, Vec::new())
}

/// Our webhook as JSON, changed.
fn webhook(facts: &mut Facts, change: impl FnOnce(&mut Value)) {
    let mut registration = healthy::registration();
    change(&mut registration["webhooks"][0]);
    facts.configurations = Some(vec![serde_json::from_value(registration).unwrap()]);
}

/// A change of healthy facts.
type Illness = fn(&mut Facts);

#[test]
fn what_manifests_print_is_healthy() {
    let report = found(&healthy());
    assert_eq!(codes(&report), Vec::<&str>::new(), "{report}");
    assert!(report.to_string().ends_with("\nall is well\n"), "{report}");
}

#[test]
fn what_nobody_could_see_is_neither_good_nor_bad() {
    let report = found(&Facts::default());
    assert_eq!((codes(&report), report.seen.len()), (Vec::<&str>::new(), 0));
}

#[test]
fn each_fault_of_the_registration_has_its_finding() {
    let table: [(&str, Illness); 14] = [
        ("registration-missing", |facts| facts.configurations = Some(Vec::new())),
        ("registration-several", |facts| {
            let configurations = facts.configurations.as_mut().unwrap();
            configurations.push(configurations[0].clone());
        }),
        ("registration-rules", |facts| {
            webhook(facts, |webhook| webhook["rules"][0]["operations"] = json!(["UPDATE"]));
        }),
        ("registration-rules", |facts| {
            webhook(facts, |webhook| {
                webhook["rules"][0]["resources"] = json!(["pods", "secrets"]);
            });
        }),
        ("registration-objects", |facts| {
            webhook(facts, |webhook| {
                webhook["objectSelector"] = json!({"matchLabels": {"a": "b"}});
            });
        }),
        ("registration-namespaces", |facts| {
            webhook(facts, |webhook| webhook["namespaceSelector"] = json!({}));
        }),
        ("registration-path", |facts| {
            webhook(facts, |webhook| webhook["clientConfig"]["service"]["path"] = json!("/"));
        }),
        ("registration-match-policy", |facts| {
            webhook(facts, |webhook| webhook["matchPolicy"] = json!("Exact"));
        }),
        ("registration-reinvocation", |facts| {
            webhook(facts, |webhook| webhook["reinvocationPolicy"] = json!("Never"));
        }),
        ("registration-timeout", |facts| {
            webhook(facts, |webhook| webhook["timeoutSeconds"] = json!(11));
        }),
        ("ca-bundle-missing", |facts| {
            webhook(facts, |webhook| webhook["clientConfig"]["caBundle"] = json!(""));
        }),
        ("failed-open", |facts| {
            facts.calls = Some(Calls { all: 3, failed_open: 1 });
        }),
        ("registration-selection", |facts| {
            webhook(facts, |webhook| {
                webhook["namespaceSelector"]["matchLabels"] = json!({"asks": "for-it"});
            });
        }),
        ("service-port", |facts| {
            webhook(facts, |webhook| {
                webhook["clientConfig"]["service"]["port"] = json!(8443);
            });
        }),
    ];
    for (code, ill) in table {
        let mut facts = healthy();
        ill(&mut facts);
        assert_eq!(codes(&found(&facts)), [code]);
    }
}

#[test]
fn a_webhook_that_must_answer_must_not_be_asked_about_itself() {
    for (policy, severity) in [("Ignore", Severity::Warning), ("Fail", Severity::Error)] {
        let mut facts = healthy();
        webhook(&mut facts, |webhook| {
            webhook["failurePolicy"] = json!(policy);
            let values = &mut webhook["namespaceSelector"]["matchExpressions"][0]["values"];
            *values = json!(["kube-system", "kube-public", "kube-node-lease"]);
        });
        let report = found(&facts);
        assert_eq!(report.findings[0].severity, severity);
        assert_eq!(report.findings[0].about, ["pullkey"]);
    }
}

#[test]
fn others_are_named_and_come_into_it_where_pods_are_not_looked_at_again() {
    let other = |name: &str, resource: &str| -> Configuration {
        let rule = json!({"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["CREATE"], "resources": [resource]});
        let other = json!({"metadata": {"name": name}, "webhooks": [{"name": "other.example", "rules": [rule]}]});
        serde_json::from_value(other).unwrap()
    };
    let others = [other("istio", "pods"), other("zarf", "*"), other("zero", "configmaps")];
    let mut facts = healthy();
    facts.configurations.as_mut().unwrap().extend(others.clone());
    let report = found(&facts);
    assert!(codes(&report).is_empty());
    let row = report.seen.iter().find(|row| row.what == "others").unwrap();
    assert_eq!(row.state, "istio, zarf are asked about new Pods, too");
    webhook(&mut facts, |webhook| webhook["reinvocationPolicy"] = json!("Never"));
    facts.configurations.as_mut().unwrap().extend(others);
    assert_eq!(found(&facts).findings[0].about, ["zarf is asked later"]);
}

#[test]
fn each_fault_of_what_runs_has_its_finding() {
    let definition = |change: fn(&mut Definition)| {
        let mut definition = Definition {
            is_established: true,
            is_served: true,
            is_ours: true,
        };
        change(&mut definition);
        (Kind::PullSecretRule, Some(definition))
    };
    let mut table: Vec<(&str, Facts)> = Vec::new();
    let mut add = |code, ill: &dyn Fn(&mut Facts)| {
        let mut facts = healthy();
        ill(&mut facts);
        table.push((code, facts));
    };
    add("kubernetes-version", &|facts| {
        facts.kubernetes = Some(version("1", "29+"));
    });
    add("kind-missing", &|facts| {
        facts.definitions.push((Kind::PullSecretRule, None));
    });
    add("kind-not-served", &|facts| {
        facts
            .definitions
            .push(definition(|definition| definition.is_established = false));
    });
    add("kind-not-served", &|facts| {
        facts
            .definitions
            .push(definition(|definition| definition.is_served = false));
    });
    add("kind-differs", &|facts| {
        facts
            .definitions
            .push(definition(|definition| definition.is_ours = false));
    });
    add("webhook-missing", &|facts| {
        facts
            .deployments
            .as_mut()
            .unwrap()
            .retain(|found| !is(found, "webhook"));
    });
    add("controller-missing", &|facts| {
        facts.deployments.as_mut().unwrap().retain(|found| is(found, "webhook"));
    });
    for (part, down, short) in [
        ("webhook", "webhook-down", "webhook-short"),
        ("controller", "controller-down", "controller-short"),
    ] {
        for (code, ready) in [(down, 0), (short, 1)] {
            add(code, &|facts| {
                let mut deployments = facts.deployments.iter_mut().flatten();
                let found = deployments.find(|found| is(found, part)).unwrap();
                found.status.ready_replicas = ready;
            });
        }
    }
    add("version-differs", &|facts| {
        let webhook = &mut facts.deployments.as_mut().unwrap()[0];
        webhook.spec.template.spec.containers[0].image = "registry.example:5000/pullkey:v0.0.9@sha256:0".to_owned();
    });
    add("service-missing", &|facts| facts.service = Some(None));
    add("service-selector", &|facts| {
        let service = facts.service.as_mut().unwrap().as_mut().unwrap();
        service.spec.selector.insert("other".to_owned(), "label".to_owned());
    });
    add("certificate-missing", &|facts| {
        facts.certificate = Some(Certificate::Missing);
    });
    add("certificate-unfit", &|facts| {
        facts.certificate = Some(Certificate::Unfit("it is over".to_owned()));
    });
    add("certificate-ends", &|facts| {
        facts.certificate = Some(Certificate::Good {
            not_after: "2026-11-23T00:00:00Z".to_owned(),
            ends_soon: true,
        });
    });
    for (code, facts) in table {
        assert_eq!(codes(&found(&facts)), [code]);
    }
}

fn is(deployment: &super::objects::Deployment, part: &str) -> bool {
    deployment.metadata.name.ends_with(part)
}

fn version(major: &str, minor: &str) -> Version {
    let version = json!({"major": major, "minor": minor, "gitVersion": "v"});
    serde_json::from_value(version).unwrap()
}

#[test]
fn versions_are_compared_as_numbers() {
    for (major, minor, expected) in [
        ("1", "30", true),
        ("1", "30+", true),
        ("1", "100", true),
        ("2", "0", true),
        ("1", "29", false),
        ("1", "9", false),
        ("", "", false),
    ] {
        assert_eq!(version(major, minor).is_at_least(1, 30), expected, "{major}.{minor}");
    }
}

#[test]
fn a_definition_is_ours_if_its_schema_is() {
    let [ours, _] = crate::rules::schema::custom_resource_definitions();
    let mut there = ours.clone();
    there["status"] = json!({"conditions": [{"type": "Established", "status": "True"}]});
    let read = |there: &Value| Definition::read(Kind::ClusterPullSecretRule, &there.to_string()).unwrap();
    let good = Definition {
        is_established: true,
        is_served: true,
        is_ours: true,
    };
    assert_eq!(read(&there), good);
    there["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["description"] = json!("older");
    assert!(!read(&there).is_ours);
    there["spec"]["versions"][0]["name"] = json!("v1");
    there["status"]["conditions"][0]["status"] = json!("False");
    let other = read(&there);
    assert!(!other.is_served && !other.is_established);
}

#[test]
fn statuses_say_what_stands_in_the_way() {
    let refusal = |reason: &str| json!([{"namespace": "team-a", "reason": reason, "message": "why"}]);
    let table = [
        ("SourceValid", "SourceNotFound", json!([]), vec!["sources-broken"]),
        ("CopiesReady", "Writing", json!([]), vec!["copies-waiting"]),
        (
            "CopiesReady",
            "QuotaExceeded",
            refusal("QuotaExceeded"),
            vec!["copies-refused"],
        ),
        ("CopiesReady", "RemovalLimited", json!([]), vec!["copies-refused"]),
        ("CopiesReady", "Foreign", refusal("Foreign"), vec!["copies-foreign"]),
    ];
    for (condition, reason, refusals, expected) in table {
        let mut facts = healthy();
        let rules = facts.rules.as_mut().unwrap();
        rules.objects[0].status = status(1, condition, reason, &refusals);
        assert_eq!(codes(&found(&facts)), expected, "{reason}");
    }
    let mut facts = healthy();
    facts.rules.as_mut().unwrap().objects[0].status = status(0, "SourceValid", "SourceNotFound", &json!([]));
    assert_eq!(
        codes(&found(&facts)),
        ["status-stale"],
        "an old status says nothing else"
    );
}

#[test]
fn copies_are_there_missing_foreign_or_orphaned() {
    let target = |namespace: &str| Target {
        namespace: namespace.into(),
        name: "copied".into(),
    };
    let mut facts = healthy();
    facts.copies.as_mut().unwrap().clear();
    let report = found(&facts);
    assert_eq!(codes(&report), ["copies-missing"]);
    assert_eq!(report.findings[0].about, ["team-a/copied, of the rule copies"]);

    facts.in_the_way.insert(target("team-a"), secret("kubectl", &json!({})));
    let report = found(&facts);
    assert_eq!(codes(&report), ["copies-foreign"]);
    let command = "kubectl label secret copied --namespace team-a pullkey.dev/adopt=true";
    assert_eq!(report.findings[0].commands, [command]);

    // A backup was restored: all of it, or a few among those that are ours.
    let labelled = json!({"pullkey.dev/copy": "true"});
    facts.in_the_way.clear();
    let copies = facts.copies.as_mut().unwrap();
    copies.insert(target("team-a"), secret("velero", &labelled));
    let report = found(&facts);
    assert_eq!(codes(&report), ["copies-orphaned"]);
    let all = "kubectl label secrets --all-namespaces --selector pullkey.dev/copy=true pullkey.dev/adopt=true";
    assert_eq!(report.findings[0].commands, [all]);
    facts
        .copies
        .as_mut()
        .unwrap()
        .insert(target("team-b"), secret("pullkey", &labelled));
    assert_eq!(found(&facts).findings[0].commands, [command]);
    for number in 0..10 {
        let copies = facts.copies.as_mut().unwrap();
        copies.insert(target(&format!("team-{number}")), secret("velero", &labelled));
    }
    assert_eq!(found(&facts).findings[0].commands, [all]);

    // It was handed over, and is not written yet.
    let mut facts = healthy();
    let adopted = json!({"pullkey.dev/copy": "true", "pullkey.dev/adopt": "true"});
    facts
        .copies
        .as_mut()
        .unwrap()
        .insert(target("team-a"), secret("velero", &adopted));
    assert!(codes(&found(&facts)).is_empty());
}

#[test]
fn rules_with_mistakes_and_none_at_all_are_told() {
    let mut facts = healthy();
    let rules = facts.rules.as_mut().unwrap();
    rules.diagnostics = rule("images: [a.example], namespaces: {include: []}, secret: {name: a}").mistakes;
    let report = found(&facts);
    assert_eq!(codes(&report), ["rules-refused"]);
    assert!(report.findings[0].about[0].contains("spec.namespaces"), "{report}");

    let mut facts = healthy();
    facts.rules.as_mut().unwrap().in_force.clear();
    assert_eq!(codes(&found(&facts)), ["rules-none"]);
    facts.rules.as_mut().unwrap().of_files = None;
    assert!(codes(&found(&facts)).is_empty(), "files may have some");
}

#[test]
fn a_dry_run_proves_something_or_says_why_not() {
    let candidate = || Candidate {
        image: "a.example/x".to_owned(),
        secret: "a".to_owned(),
    };
    let calling = "the API server answers 500: failed calling webhook \"pods.pullkey.dev\": x509: certificate signed by unknown authority";
    for (answer, expected, hint) in [
        (Some(Answer::Admitted(vec!["b".to_owned(), "a".to_owned()])), None, ""),
        (
            Some(Answer::Admitted(vec!["b".to_owned()])),
            Some("dry-run-missed"),
            "failurePolicy Ignore",
        ),
        (
            Some(Answer::Refused(calling.to_owned())),
            Some("dry-run-failed"),
            "different CAs",
        ),
        (
            Some(Answer::Refused("forbidden".to_owned())),
            Some("dry-run-refused"),
            "another namespace",
        ),
        (None, Some("dry-run-nothing"), "another namespace"),
    ] {
        let mut facts = healthy();
        facts.trial = Some(Trial {
            namespace: "team-a".to_owned(),
            tried: answer.map(|answer| (candidate(), answer)),
        });
        let report = found(&facts);
        assert_eq!(codes(&report), Vec::from_iter(expected));
        for finding in &report.findings {
            assert!(finding.hint.as_ref().unwrap().contains(hint), "{report}");
        }
    }
}

#[test]
fn what_could_not_be_seen_keeps_the_whole_from_being_well() {
    let unseen = Unseen {
        what: "could not list a: forbidden".to_owned(),
        hint: "ask".to_owned(),
    };
    let report = examine(&healthy(), vec![unseen]).to_string();
    let end = "\nnot seen:\n  --> could not list a: forbidden\n   = hint: ask\n\n\
               nothing is wrong with what was seen; 1 thing could not be seen\n";
    assert!(report.ends_with(end), "{report}");
}
