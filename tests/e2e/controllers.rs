//! Pods that the built-in controllers make: patched as they are created, their templates left as they were written.
//!
//! Nothing here waits for the hour of a schedule. A `CronJob` that was last run long ago is late, so its controller
//! makes the Job that it has missed at once.

use serde_json::{Value, json};

use crate::harness::{Installation, control_plane, pull_secrets, rule, unique};

#[tokio::test(flavor = "multi_thread")]
async fn pods_of_every_controller_get_their_secret() {
    let pullkey = Installation::with_rules(&rule("a", "a.example")).await;
    let namespace = pullkey.namespace().await;
    let node = unique("node");
    let path = format!("/api/v1/nodes/{node}");
    let object = json!({"metadata": {"name": node, "labels": {"node": node}}});
    namespace.api.create("/api/v1/nodes", &object).await.good();

    let objects = |suspend| json!({"apiVersion": "v1", "kind": "List", "items": workloads(&node, suspend)}).to_string();
    let kubectl = |arguments: &[&str], input: &str| {
        control_plane().kubectl(&[arguments, &["--namespace", &namespace.name]].concat(), input);
    };
    let apply = ["apply", "--validate=strict", "-f", "-"];
    kubectl(&apply, &objects(true));
    kubectl(&["create", "job", "by-hand", "--from=cronjob/cron"], "");
    let cron = format!("/apis/batch/v1/namespaces/{}/cronjobs/cron/status", namespace.name);
    let long_ago = json!({"status": {"lastScheduleTime": "2000-01-01T00:00:00Z"}});
    namespace.api.merge(&cron, &long_ago).await.good();
    kubectl(&apply, &objects(false));

    for (labels, name) in [
        ("app=deployment", "deployment-"),
        ("app=stateful", "stateful-0"),
        ("app=stateful", "stateful-1"),
        ("app=daemon", "daemon-"),
        ("app=job", "job-"),
        ("job-name=by-hand", "by-hand-"),
        ("app=cron,job-name!=by-hand", "cron-"),
    ] {
        let pod = namespace.pod_made(labels, name).await;
        assert_eq!(pull_secrets(&pod), ["a-pull"], "{name}");
    }

    // What Git says is what is there: nothing for a GitOps tool to put back.
    kubectl(&["diff", "-f", "-"], &objects(false));
    namespace.api.delete(&path).await.good();
}

/// One object of each kind that makes Pods.
fn workloads(node: &str, suspend: bool) -> Vec<Value> {
    let template = |app: &str, more: &Value| {
        let mut spec = json!({"containers": [{"name": "app", "image": "a.example/app"}]});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"metadata": {"labels": {"app": app}}, "spec": spec})
    };
    let object = |kind: &str, version: &str, name: &str, spec: Value| {
        let metadata = json!({"name": name});
        json!({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec})
    };
    let selected =
        |app: &str, more: &Value| json!({"selector": {"matchLabels": {"app": app}}, "template": template(app, more)});
    let job = |app| json!({"template": template(app, &json!({"restartPolicy": "Never"}))});
    let mut stateful = selected("stateful", &json!({}));
    stateful["replicas"] = json!(2);
    stateful["podManagementPolicy"] = json!("Parallel");
    // A node that no kubelet has reported is tainted.
    let anyway = json!({
        "nodeSelector": {"node": node},
        "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists"}],
    });
    let cron = json!({"schedule": "0 0 1 1 *", "suspend": suspend, "jobTemplate": {"spec": job("cron")}});
    vec![
        object(
            "Deployment",
            "apps/v1",
            "deployment",
            selected("deployment", &json!({})),
        ),
        object("StatefulSet", "apps/v1", "stateful", stateful),
        object("DaemonSet", "apps/v1", "daemon", selected("daemon", &anyway)),
        object("Job", "batch/v1", "job", job("job")),
        object("CronJob", "batch/v1", "cron", cron),
    ]
}
