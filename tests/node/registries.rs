//! Several registries, and several users of one.

use serde_json::json;

use crate::harness::{Namespace, pull_secrets, unique};
use crate::machine::{HOST, Team, Workload as _, node, private_pod, secret};

#[tokio::test(flavor = "multi_thread")]
async fn each_pod_gets_what_it_needs_and_nothing_else() {
    let Some(node) = node().await else { return };
    let both = unique("both");
    // Two users of one registry, each with a path of its own, and one of a registry at `host:port`.
    let one = Team::new(&node.servers.named, HOST);
    let two = Team::new(&node.servers.named, HOST);
    let three = Team::new(&node.servers.numbered, &node.servers.numbered.address);
    for team in [&one, &two, &three] {
        node.pullkey.source(&secret(&team.name, &team.config())).await;
        let spec = json!({"namespaces": {"include": [both]}});
        node.pullkey.copies(&team.name, &spec).await;
    }
    let namespace = Namespace::named(&both, &json!({})).await;
    for team in [&one, &two, &three] {
        node.pullkey.injects(&namespace, &team.image, &team.name).await;
    }
    let table = [
        vec![&one],
        vec![&two],
        vec![&three],
        vec![&one, &three],
        vec![&one, &two, &three],
    ];
    for teams in table {
        let images: Vec<_> = teams.iter().map(|team| team.image.as_str()).collect();
        let created = namespace.pod(&private_pod(&images)).await;
        let mut secrets = pull_secrets(&created);
        secrets.sort();
        let mut names: Vec<_> = teams.iter().map(|team| team.name.clone()).collect();
        names.sort();
        assert_eq!(secrets, names);
        let name = created["metadata"]["name"].as_str().unwrap();
        namespace.is_run(name).await;
    }
    namespace.has_pulled_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_team_does_not_pull_what_is_another_teams() {
    let Some(node) = node().await else { return };
    let [one, two] = [node.team().await, node.team().await];
    let namespace = one.namespace("a").await;
    namespace.outcome_of(&private_pod(&[&two.image])).await.is_anonymous();
    // Nor with a secret that says that it is for the whole registry.
    let three = Team::new(&node.servers.named, HOST);
    let config = crate::machine::docker_config(&[(HOST, &three.name, &three.password)]);
    node.serve(&three, &config).await;
    let namespace = three.served("a").await;
    let outcome = namespace.outcome_of(&private_pod(&[&two.image])).await;
    outcome.is_waiting("ErrImagePull", "401 Unauthorized");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_accounts_own_secret_and_ours_go_together() {
    let Some(node) = node().await else { return };
    let team = node.team().await;
    let own = Team::new(&node.servers.numbered, &node.servers.numbered.address);
    let namespace = team.served("a").await;
    let object = secret("own", &own.config());
    namespace
        .api
        .create(&namespace.path("secrets", ""), &object)
        .await
        .good();
    let change = json!({"imagePullSecrets": [{"name": "own"}]});
    let account = namespace.path("serviceaccounts", "default");
    namespace.api.merge(&account, &change).await.good();
    let created = namespace.pod(&private_pod(&[&team.image, &own.image])).await;
    assert_eq!(pull_secrets(&created), ["own", team.name.as_str()]);
    let name = created["metadata"]["name"].as_str().unwrap();
    namespace.is_run(name).await;
    namespace.has_pulled_all().await;
}
