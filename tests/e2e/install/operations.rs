//! Pullkey while a cluster is operated: another version and the way back, other numbers of replicas, nodes that are
//! drained, and power that fails.

use super::*;

/// `deploy/` as the version before this one wrote it. Its program is played by this one, with its arguments and rights.
const PREVIOUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/previous");
/// What becomes of the webhook's Secret while the power is out.
const SECRET: &str = "/api/v1/namespaces/pullkey/secrets/pullkey-webhook-tls";
const PODS: &str = "/api/v1/namespaces/pullkey/pods";

/// Pullkey for all namespaces by that script, with the rules and copies of a team.
async fn install(cluster: &Cluster, script: &str) {
    cluster.run(script).await;
    is_rolled_out(cluster).await;
    first_injection(cluster).await;
    a_new_namespace_gets_its_copy(cluster).await;
}

/// Waits until what was applied last is what runs.
async fn is_rolled_out(cluster: &Cluster) {
    let wait = "for part in webhook controller; do
                    kubectl rollout status deployment/pullkey-$part --namespace pullkey
                done";
    cluster.run(wait).await;
}

/// This version, installed for all namespaces with a certificate that is given, and with `Fail` once it has proved itself.
async fn install_with_fail(cluster: &Cluster) {
    install(cluster, &step("given")).await;
    cluster
        .run(
            "pullkey manifests --out install --image registry.example/pullkey:0.1.0 --rules config/rules.yaml \
                 --force --failure-policy Fail
             kubectl apply -k install/overlays/given-certificate",
        )
        .await;
}

/// The rule and its copy, as they were made and as they are.
async fn rule_and_copy(cluster: &Cluster) -> [Value; 3] {
    let rule = "/apis/pullkey.dev/v1alpha1/clusterpullsecretrules/copied";
    let copy = "/api/v1/namespaces/new-team/secrets/copied";
    let rule = cluster.api.get(rule).await.good();
    let copy = cluster.api.get(copy).await.good()["metadata"].clone();
    [
        rule["metadata"]["uid"].clone(),
        copy["uid"].clone(),
        copy["resourceVersion"].clone(),
    ]
}

/// A source that changes reaches its copy.
async fn copies_follow(cluster: &Cluster, password: &str) {
    let script = format!(
        "kubectl create secret docker-registry registry --namespace pullkey-sources \
             --docker-server registry.example --docker-username puller --docker-password {password} \
             --dry-run=client --output yaml | kubectl apply --server-side --force-conflicts -f -"
    );
    cluster.run(&script).await;
    let source = cluster
        .api
        .get("/api/v1/namespaces/pullkey-sources/secrets/registry")
        .await
        .good();
    until("the copy follows", async || {
        let copy = cluster
            .api
            .get("/api/v1/namespaces/new-team/secrets/copied")
            .await
            .object;
        (copy["data"] == source["data"]).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_from_the_version_before_and_the_way_back_lose_nothing() {
    let cluster = cluster(&[]).await;
    let creation = Creation::start(&cluster.api);
    let previous = format!(
        "cp -r {PREVIOUS} previous
         pullkey certs --out previous/overlays/given-certificate --dns pullkey-webhook.pullkey.svc
         cp config/rules.yaml previous/base/rules/rules.yaml
         kubectl apply -k previous/overlays/given-certificate"
    );
    install(&cluster, &previous).await;
    creation.strict.store(true, Ordering::SeqCst);
    let before = rule_and_copy(&cluster).await;

    cluster
        .run(
            "pullkey manifests --out install --rules config/rules.yaml --image registry.example/pullkey:0.2.0
             cp previous/overlays/given-certificate/*.crt previous/overlays/given-certificate/*.key \
                 install/overlays/given-certificate
             kubectl apply -k install/overlays/given-certificate",
        )
        .await;
    is_rolled_out(&cluster).await;
    assert_eq!(rule_and_copy(&cluster).await, before);
    copies_follow(&cluster, "second").await;

    let before = rule_and_copy(&cluster).await;
    cluster
        .run("kubectl apply -k previous/overlays/given-certificate")
        .await;
    is_rolled_out(&cluster).await;
    assert_eq!(rule_and_copy(&cluster).await, before);
    copies_follow(&cluster, "third").await;
    assert!(creation.end().await > 0);
}

/// Renews the certificate as the README says: it is served, and no Pod is replaced.
async fn renew(cluster: &Cluster) {
    let pods = cluster.pods().await;
    let before = generation(cluster).await;
    let file = cluster
        .directory
        .path()
        .join("install/overlays/given-certificate/tls.crt");
    let old = fs::read_to_string(&file).unwrap();
    cluster.run(&step("renew")).await;
    assert_ne!(old, fs::read_to_string(&file).unwrap());
    cluster.refresh_volumes().await;
    until("the new certificate is served everywhere", async || {
        (cluster.least("pullkey_certificate_reloads_total", "").await >= 1.0).then_some(())
    })
    .await;
    assert_eq!((cluster.pods().await, generation(cluster).await), (pods, before));
}

#[tokio::test(flavor = "multi_thread")]
async fn renewing_scaling_and_draining_lose_no_call() {
    let cluster = cluster(&[]).await;
    install_with_fail(&cluster).await;
    let creation = Creation::start(&cluster.api);
    creation.strict.store(true, Ordering::SeqCst);
    renew(&cluster).await;
    let scale = "kubectl scale deployment/pullkey-webhook --namespace pullkey --replicas";
    cluster.run(&format!("{scale} 4")).await;
    is_rolled_out(&cluster).await;
    cluster.run(&format!("{scale} 2")).await;
    let pods = until("two are left", async || {
        let pods = cluster.pods().await;
        (pods.len() == 2).then_some(pods)
    })
    .await;

    // All run on one node, so that only the budget keeps them from being drained at once.
    let node = r#"{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node"}}"#;
    cluster.run(&format!("echo '{node}' | kubectl apply -f -")).await;
    let said = cluster.run("kubectl drain node").await;
    assert!(
        said.stdout.contains("evicting pod pullkey/pullkey-webhook"),
        "{}",
        said.stdout
    );
    assert!(cluster.pods().await.is_disjoint(&pods));
    assert!(creation.end().await > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_comes_up_without_the_webhook_comes_up_by_itself() {
    let cluster = cluster(&[]).await;
    install_with_fail(&cluster).await;
    let before = cluster.pods().await;
    // The power fails. What the webhook's Pods mount is late, so that there is something to be seen meanwhile.
    let mut secret = cluster.api.get(SECRET).await.good();
    cluster.api.delete(SECRET).await.good();
    cluster
        .run("kubectl delete pods --all --namespace pullkey --force --grace-period 0")
        .await;

    until("no webhook runs", async || {
        cluster.pods().await.is_empty().then_some(())
    })
    .await;

    let create = async |namespace: &str| {
        let path = format!("/api/v1/namespaces/{namespace}/pods?dryRun=All");
        cluster.api.create(&path, &pod(&[IMAGE])).await.status
    };
    until("nobody answers", async || (create("team-a").await == 500).then_some(())).await;
    assert_eq!(create("kube-system").await, 201);
    // Nobody asks the webhook about its own Pods, and so they are there.
    until("the new Pods are there", async || {
        let pods = cluster.api.get(PODS).await.good();
        let pods = pods["items"].as_array().unwrap().len();
        (pods == 4).then_some(())
    })
    .await;
    assert_eq!(create("team-a").await, 500);

    secret["metadata"]
        .as_object_mut()
        .unwrap()
        .retain(|field, _| field == "name");
    cluster
        .api
        .create("/api/v1/namespaces/pullkey/secrets", &secret)
        .await
        .good();
    until("Pods are created again, with their secrets", async || {
        (create("team-a").await == 201).then_some(())
    })
    .await;
    assert_eq!(secrets(&cluster, "team-a").await, ["ghcr-acme"]);
    assert!(cluster.pods().await.is_disjoint(&before));
    copies_follow(&cluster, "second").await;
}
