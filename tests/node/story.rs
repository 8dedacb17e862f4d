//! An admin makes one secret and one rule; from then on, images are pulled.

use std::fs;

use serde_json::json;
use tempfile::NamedTempFile;
use tokio::task::{JoinSet, LocalSet};

use crate::harness::{Namespace, control_plane};
use crate::machine::{HOST, SOURCES, Team, Workload as _, docker_config, node, node_alone, private_pod};

/// Counted on a busy cluster, too, in `benches/node`.
#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_of_the_same_second_as_its_namespace_runs() {
    const TIMES: usize = 50;
    // A kubelet that has too much to do pulls without secrets that are there.
    const AT_A_TIME: usize = 2;
    // What others have the machine do is not to decide it.
    let Some(node) = node_alone().await else { return };
    let team = node.team().await;
    let local = LocalSet::new();
    let mut under_way = JoinSet::new();
    for number in 0..TIMES {
        if under_way.len() == AT_A_TIME {
            local.run_until(under_way.join_next()).await.unwrap().unwrap();
        }
        let (name, image) = (format!("{}-{number}", team.name), team.image.clone());
        let story = async move {
            let namespace = Namespace::named(&name, &json!({})).await;
            namespace.deployment("web", &image).await;
            let pod = namespace.pod_made("app=web", "web-").await;
            namespace.is_run(pod["metadata"]["name"].as_str().unwrap()).await;
            namespace.has_pulled_all().await;
            // Each one takes a shim and its memory.
            let path = format!("/apis/apps/v1/namespaces/{name}/deployments/web?propagationPolicy=Background");
            namespace.api.delete(&path).await.good();
        };
        under_way.spawn_local_on(story, &local);
    }
    local.run_until(under_way.join_all()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_as_kubectl_makes_it_will_do() {
    is_served_from(|team| {
        vec![
            "docker-registry".to_owned(),
            format!("--docker-server={HOST}"),
            format!("--docker-username={}", team.name),
            format!("--docker-password={}", team.password),
        ]
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_from_what_docker_login_wrote_will_do() {
    let file = NamedTempFile::new().unwrap();
    is_served_from(|team| {
        let config = docker_config(&[(HOST, &team.name, &team.password)]);
        fs::write(file.path(), config.to_string()).unwrap();
        vec![
            "generic".to_owned(),
            "--type=kubernetes.io/dockerconfigjson".to_owned(),
            format!("--from-file=.dockerconfigjson={}", file.path().display()),
        ]
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_the_legacy_type_will_do() {
    let file = NamedTempFile::new().unwrap();
    is_served_from(|team| {
        let entry = json!({"username": team.name, "password": team.password});
        fs::write(file.path(), json!({HOST: entry}).to_string()).unwrap();
        vec![
            "generic".to_owned(),
            "--type=kubernetes.io/dockercfg".to_owned(),
            format!("--from-file=.dockercfg={}", file.path().display()),
        ]
    })
    .await;
}

/// A team's Pod runs with the source that `kubectl create secret` makes with these arguments.
async fn is_served_from(arguments: impl Fn(&Team) -> Vec<String>) {
    let Some(node) = node().await else { return };
    let team = Team::new(&node.servers.named, HOST);
    let [kind, options @ ..] = &arguments(&team)[..] else {
        panic!("a kind of secret is named");
    };
    let mut command = vec!["create", "secret", kind, &team.name, "--namespace", SOURCES];
    command.extend(options.iter().map(String::as_str));
    control_plane().kubectl(&command, "");
    let spec = json!({
        "images": [format!("{HOST}/{}", team.name)], "namespaces": {"include": [format!("{}-*", team.name)]},
    });
    node.pullkey.copies(&team.name, &spec).await;
    let namespace = team.served("a").await;
    node.pullkey.injects(&namespace, &team.image, &team.name).await;
    namespace.runs(&private_pod(&[&team.image])).await;
    namespace.has_pulled_all().await;
}
