//! The chart, installed and changed as README.md says.

use std::os::unix::fs::symlink;

use super::*;
use crate::harness::self_managed::believed;
use crate::harness::{cainjector, helm};

/// What Helm keeps when the release is gone.
const KEPT: [&str; 7] = [
    "--namespace=pullkey secret/pullkey-webhook-ca",
    "--namespace=pullkey secret/pullkey-webhook-tls",
    "crd/clusterpullsecretrules.pullkey.dev",
    "crd/pullsecretrules.pullkey.dev",
    "namespace/pullkey-sources",
    "--namespace=pullkey-sources secret/registry",
    "--namespace=new-team secret/copied",
];

/// Gives the admin Helm and the chart.
fn give_helm(cluster: &Cluster) {
    let directory = cluster.directory.path();
    symlink(helm(), directory.join(".bin/helm")).unwrap();
    symlink(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy"), directory.join("deploy")).unwrap();
}

/// The commands of the notes that Helm shows, with a namespace and an image of the README's.
fn try_by_notes(notes: &str) -> String {
    let commands = notes.lines().map(str::trim);
    let commands = commands.filter(|line| line.starts_with("kubectl") && line.contains(" NAMESPACE "));
    let commands: Vec<_> = commands
        .map(|line| line.replace("NAMESPACE", "team-a").replace("IMAGE", IMAGE))
        .collect();
    commands.join("\n")
}

/// The image that the webhook is to have, and what becomes of Pods without an answer.
async fn version(cluster: &Cluster) -> [Value; 2] {
    let deployment = cluster.api.get(DEPLOYMENT).await.good();
    let registration = cluster.api.get(REGISTRATION).await.good();
    [
        deployment["spec"]["template"]["spec"]["containers"][0]["image"].clone(),
        registration["webhooks"][0]["failurePolicy"].clone(),
    ]
}

/// What must survive everything: the kinds, the source, the copy, and a rule.
async fn identities(cluster: &Cluster) -> String {
    let objects = [&KEPT[..], &["clusterpullsecretrule/copied"]].concat();
    let get = |object| format!("kubectl get {object} --output 'jsonpath={{.metadata.uid}} '\n");
    let script: String = objects.into_iter().map(get).collect();
    cluster.run(&script).await.stdout
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_installs_upgrades_rolls_back_and_uninstalls_the_chart_while_pods_are_created() {
    let cluster = cluster(&[]).await;
    give_helm(&cluster);
    let creation = Creation::start(&cluster.api);

    let said = cluster.run(&step("helm")).await;
    assert!(!said.stderr.contains("arning"), "{}", said.stderr);
    assert_eq!(cluster.pods().await.len(), 2);
    let first = try_by_notes(&said.stdout);
    until("a Pod gets its secret", async || {
        cluster.run(&first).await.stdout.ends_with(INJECTED).then_some(())
    })
    .await;
    assert!(secrets(&cluster, "team-b").await.is_empty());
    a_new_namespace_gets_its_copy(&cluster).await;
    let before = identities(&cluster).await;

    let pods = cluster.pods().await;
    cluster.run(&step("helm-widen")).await;
    until("every namespace is served", async || {
        (!secrets(&cluster, "team-b").await.is_empty()).then_some(())
    })
    .await;
    assert_eq!(cluster.pods().await, pods);
    creation.strict.store(true, Ordering::SeqCst);

    // Pods of all three are there at once: old ones go on serving for a while.
    let old = version(&cluster).await;
    cluster.run(&step("helm-update")).await;
    assert_eq!(version(&cluster).await, ["registry.example/pullkey:0.2.0", "Fail"]);
    cluster.run(&step("helm-back")).await;
    assert_eq!(version(&cluster).await, old);
    assert_eq!(identities(&cluster).await, before);

    cluster.run(&step("helm-update")).await;
    creation.strict.store(false, Ordering::SeqCst);
    cluster.run(&step("helm-uninstall")).await;
    assert!(creation.end().await > 0);
    assert_eq!(identities(&cluster).await, before);
    let all = "kubectl get --all-namespaces --selector app.kubernetes.io/name=pullkey --output name \
               $(kubectl api-resources --verbs=list --output name | paste -sd,)";
    let left = cluster.run(all).await.stdout;
    let left: Vec<_> = left.lines().filter(|name| !name.starts_with("pod/")).collect();
    assert_eq!(
        left,
        [
            "namespace/pullkey-sources",
            "secret/pullkey-webhook-ca",
            "secret/pullkey-webhook-tls",
            "customresourcedefinition.apiextensions.k8s.io/clusterpullsecretrules.pullkey.dev",
            "customresourcedefinition.apiextensions.k8s.io/pullsecretrules.pullkey.dev",
        ]
    );

    // What was kept is taken over by the next release of that name.
    let again = step("helm");
    let again = again.split_once("helm install").unwrap().1;
    cluster.run(&format!("helm install{again}")).await;
    until("a Pod gets its secret again", async || {
        (secrets(&cluster, "team-a").await == ["ghcr-acme"]).then_some(())
    })
    .await;
    assert_eq!(identities(&cluster).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cert_manager_registered_survives_upgrades_of_the_chart() {
    let cluster = cluster(&[]).await;
    give_helm(&cluster);
    cert_manager::install_kinds(&cluster).await;
    let _injector = cluster.guest(cainjector());
    let authority = cert_manager::authority();
    let install = r"helm install pullkey deploy/chart --namespace pullkey --create-namespace --wait \
                        --set-file 'rules.rules\.yaml'=config/rules.yaml";
    tokio::join!(cluster.run(install), cert_manager::issue(&cluster.api, &authority));
    until("a Pod gets its secret", async || {
        (secrets(&cluster, "team-a").await == ["ghcr-acme"]).then_some(())
    })
    .await;
    let expected = [authority.certificate().clone()];
    assert_eq!(believed(&cluster.api).await, expected);
    for command in [
        "upgrade pullkey deploy/chart --set timeoutSeconds=7",
        "rollback pullkey",
    ] {
        let said = cluster.run(&format!("helm {command} --namespace pullkey")).await;
        assert!(!said.stderr.contains("arning"), "{}", said.stderr);
        assert_eq!(believed(&cluster.api).await, expected, "{command}");
    }
}
