//! Who may do what with rules.

use serde_json::{Value, json};

use super::api;
use crate::harness::{Api, Namespace, RULES, control_plane, unique, until};

fn team_rule() -> Value {
    json!({
        "apiVersion": "pullkey.dev/v1alpha1", "kind": "PullSecretRule", "metadata": {"generateName": "rule-"},
        "spec": {"images": ["a.example"], "secret": {"name": "s"}},
    })
}

/// Statuses of a user's calls.
async fn tries(user: &Api, rules: &str, there: &str, cluster_rule: &str) -> [u16; 8] {
    let status = json!({"status": {"registries": ["evil.example"]}});
    let label = json!({"metadata": {"labels": {"a": "b"}}});
    [
        user.get(rules).await.status,
        user.get(&format!("{rules}/{there}")).await.status,
        user.create(&format!("{rules}?dryRun=All"), &team_rule()).await.status,
        user.merge(&format!("{rules}/{there}"), &label).await.status,
        user.delete(&format!("{rules}/{there}?dryRun=All")).await.status,
        user.merge(&format!("{rules}/{there}/status"), &status).await.status,
        user.get(cluster_rule).await.status,
        user.merge(cluster_rule, &label).await.status,
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespaces_roles_cover_its_rules_and_no_other() {
    let api = api().await;
    let [own, other] = [
        Namespace::with_labels(&json!({})).await,
        Namespace::with_labels(&json!({})).await,
    ];
    let rules = |namespace: &Namespace| format!("{RULES}/namespaces/{}/pullsecretrules", namespace.name);
    let mut there = team_rule();
    there["metadata"] = json!({"name": "there"});
    for namespace in [&own, &other] {
        api.create(&rules(namespace), &there).await.good();
    }
    let cluster_rules = format!("{RULES}/clusterpullsecretrules");
    let name = unique("roles");
    let cluster_rule = json!({
        "apiVersion": "pullkey.dev/v1alpha1", "kind": "ClusterPullSecretRule", "metadata": {"name": name},
        "spec": {"images": ["a.example"], "namespaces": {"include": ["none"]}, "secret": {"name": "s"}},
    });
    api.create(&cluster_rules, &cluster_rule).await.good();
    let cluster_path = format!("{cluster_rules}/{name}");

    let writes = [200, 200, 201, 200, 200, 403, 403, 403];
    let reads = [200, 200, 403, 403, 403, 403, 403, 403];
    for (role, expected) in [("view", reads), ("edit", writes), ("admin", writes)] {
        let user = own.user(role).await;
        // The API server's roles gather ours a moment later, and its authorizer learns of bindings a moment later.
        let path = &rules(&own);
        until("the user has the rights of the role", async || {
            (tries(&user, path, "there", &cluster_path).await == expected).then_some(())
        })
        .await;
        assert_eq!(
            tries(&user, &rules(&other), "there", &cluster_path).await,
            [403; 8],
            "{role}"
        );
    }

    // A status that comes with a rule is thrown away: nobody can make the webhook believe in registries.
    let editor = own.user("edit").await;
    let mut forged = team_rule();
    forged["status"] = json!({"keys": ["evil.example"]});
    let created = until("the editor has rights", async || {
        let answer = editor.create(&rules(&own), &forged).await;
        (answer.status == 201).then_some(answer.object)
    })
    .await;
    assert!(created.get("status").is_none(), "{created}");
    let path = format!("{}/{}", rules(&own), created["metadata"]["name"].as_str().unwrap());
    let merged = editor
        .merge(&path, &json!({"status": {"keys": ["evil.example"]}}))
        .await
        .good();
    assert!(merged.get("status").is_none(), "{merged}");
    api.delete(&cluster_path).await.good();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_team_writes_cluster_rules() {
    let api = api().await;
    let name = unique("policy");
    let binding = json!({
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "pullkey-policy-team"},
        "subjects": [{"kind": "User", "name": name}],
    });
    let bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
    api.create(bindings, &binding).await.good();
    let team = control_plane().api_as(&name).await;
    let rules = format!("{RULES}/clusterpullsecretrules");
    let rule = json!({
        "apiVersion": "pullkey.dev/v1alpha1", "kind": "ClusterPullSecretRule", "metadata": {"name": name},
        "spec": {"images": ["a.example"], "namespaces": {"include": ["none"]}, "secret": {"name": "s"}},
    });
    until("the policy team has its rights", async || {
        (team.create(&rules, &rule).await.status == 201).then_some(())
    })
    .await;
    let path = format!("{rules}/{name}");
    team.get(&path).await.good();
    team.merge(&path, &json!({"spec": {"mode": "Shadow"}})).await.good();
    let status = json!({"status": {"keys": ["evil.example"]}});
    assert_eq!(team.merge(&format!("{path}/status"), &status).await.status, 403);
    assert_eq!(team.get("/api/v1/secrets").await.status, 403);
    team.delete(&path).await.good();
    api.delete(&format!("{bindings}/{name}")).await.good();
}
