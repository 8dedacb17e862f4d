//! What README.md tells an admin to do, done: its commands are run as they stand, on a cluster of their own.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use pullkey::certs::make::Authority;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::harness::{Api, Cluster, Installation, Namespace, Setup, named, pod, pull_secrets, until, with};
use crate::monitoring::unforeseen;

mod cert_manager;
mod guides;
mod helm;
mod operations;

const README: &str = include_str!("../../README.md");
/// The blocks of README.md that are run here, in its order.
const STEPS: [&str; 27] = [
    "copies",
    "live",
    "readers",
    "install",
    "try",
    "widen",
    "given",
    "renew",
    "helm",
    "helm-widen",
    "helm-update",
    "helm-back",
    "rules",
    "update",
    "leave-cert-manager",
    "accounts",
    "unlist",
    "clusters",
    "withhold",
    "holders",
    "quota",
    "uninstall",
    "remove",
    "helm-uninstall",
    "calls",
    "explain",
    "doctor",
];
/// What README.md asks about, and what is answered.
const IMAGE: &str = "ghcr.io/acme/app:v1";
const INJECTED: &str = r#"[{"name":"ghcr-acme"}]"#;
const REGISTRATION: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/pullkey";
const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/pullkey/deployments/pullkey-webhook";

/// The commands of one step.
fn step(name: &str) -> String {
    block("sh", name)
}

/// The block of that language and name. In a list it is indented.
pub(crate) fn block(language: &str, name: &str) -> String {
    let (before, rest) = README.split_once(&format!("```{language} {name}\n")).expect(name);
    let indent = before.rsplit('\n').next().unwrap();
    let lines = rest
        .split("```")
        .next()
        .unwrap()
        .trim_end_matches(' ')
        .split_inclusive('\n');
    lines.map(|line| line.strip_prefix(indent).unwrap_or(line)).collect()
}

/// Where the sources of somebody else's Go module are, of the version that the module in that folder wants.
fn sources(folder: &str, module: &str) -> String {
    let found = Command::new("go")
        .args(["mod", "download", "-json", module])
        .current_dir(format!("{}/tests/e2e/{folder}", env!("CARGO_MANIFEST_DIR")))
        .envs([("GOTOOLCHAIN", "local"), ("GOFLAGS", "-mod=readonly")])
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let found: Value = serde_json::from_slice(&found.stdout).unwrap();
    let directory = found["Dir"].as_str();
    directory
        .unwrap_or_else(|| panic!("no sources of {module}: {found}"))
        .to_owned()
}

/// Pods that are created all the time, in a namespace that asks for it and in one that says nothing; none of them may
/// be refused.
struct Creation {
    /// From when on, and until when, each must get its secret.
    strict: Arc<AtomicBool>,
    goes_on: Arc<AtomicBool>,
    task: JoinHandle<usize>,
}

impl Creation {
    fn start(api: &Api) -> Self {
        let [strict, goes_on] = [false, true].map(|value| Arc::new(AtomicBool::new(value)));
        let task = tokio::spawn(create(api.clone(), Arc::clone(&strict), Arc::clone(&goes_on)));
        Self { strict, goes_on, task }
    }

    /// Ends it, and gives how many were created in strict times.
    async fn end(self) -> usize {
        self.goes_on.store(false, Ordering::SeqCst);
        self.task.await.unwrap()
    }
}

async fn create(api: Api, strict: Arc<AtomicBool>, goes_on: Arc<AtomicBool>) -> usize {
    let mut in_strict_times = 0;
    while goes_on.load(Ordering::SeqCst) {
        for namespace in ["team-a", "team-b"] {
            let before = strict.load(Ordering::SeqCst);
            let path = format!("/api/v1/namespaces/{namespace}/pods?dryRun=All");
            let created = api.create(&path, &pod(&[IMAGE])).await.good();
            // What began before and ends afterwards may be either.
            if before && strict.load(Ordering::SeqCst) {
                assert_eq!(pull_secrets(&created).len(), 1, "a Pod was missed");
                in_strict_times += 1;
            }
        }
        // The machine has others to serve.
        sleep(Duration::from_millis(10)).await;
    }
    in_strict_times
}

/// A cluster with the namespaces of teams, and more arguments of its API server.
async fn cluster(arguments: &[&str]) -> Cluster {
    let cluster = Cluster::start(arguments).await;
    cluster
        .run("kubectl create namespace team-a; kubectl create namespace team-b")
        .await;
    for name in ["team-a", "team-b"] {
        let namespace = Namespace {
            name: name.to_owned(),
            api: cluster.api.clone(),
        };
        namespace.has_account("default").await;
    }
    cluster
}

/// The pull secrets that a Pod of the README would get.
async fn secrets(cluster: &Cluster, namespace: &str) -> Vec<String> {
    let path = format!("/api/v1/namespaces/{namespace}/pods?dryRun=All");
    pull_secrets(&cluster.api.create(&path, &pod(&[IMAGE])).await.good())
}

/// Applies once more, with nothing to be warned of or changed.
async fn is_settled(cluster: &Cluster, directory: &str) {
    let script = format!("kubectl diff -k {directory}; kubectl apply -k {directory} > /dev/null");
    let said = cluster.run(&script).await;
    assert_eq!((said.stdout.as_str(), said.stderr.as_str()), ("", ""));
}

/// Follows the README until a Pod gets its secret: changes of endpoints are learnt late.
async fn first_injection(cluster: &Cluster) {
    let step = step("try");
    until("a Pod gets its secret", async || {
        cluster.run(&step).await.stdout.ends_with(INJECTED).then_some(())
    })
    .await;
}

async fn generation(cluster: &Cluster) -> Value {
    cluster.api.get(DEPLOYMENT).await.good()["metadata"]["generation"].clone()
}

#[test]
fn every_step_of_the_readme_is_one_that_is_run() {
    let steps: Vec<_> = README
        .split("```sh ")
        .skip(1)
        .map(|rest| rest.lines().next().unwrap())
        .collect();
    assert_eq!(steps, STEPS);
    assert!(README.contains(&format!("prints `{INJECTED}`")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_installs_changes_and_removes_it_while_pods_are_created() {
    let cluster = cluster(&[]).await;
    let creation = Creation::start(&cluster.api);
    let file = |name: &str| cluster.directory.path().join(name);

    let said = cluster.run("! pullkey check --cluster").await.stderr;
    assert!(said.contains("is its CustomResourceDefinition installed?"), "{said}");
    let said = cluster.run(&step("install")).await;
    assert!(!said.stderr.contains("Warning"), "{}", said.stderr);
    assert_eq!(cluster.pods().await.len(), 2);
    is_settled(&cluster, "install").await;

    first_injection(&cluster).await;
    assert!(secrets(&cluster, "team-b").await.is_empty());
    assert!(cluster.run(&step("calls")).await.stdout.contains("_request_total{"));
    let explained = cluster.run(&step("explain")).await.stdout;
    assert!(explained.contains("ghcr-acme"), "{explained}");
    let said = cluster.run(&step("live")).await.stdout;
    assert!(
        said.contains("Deployment pullkey/pullkey-webhook\n  in the cluster\n"),
        "{said}"
    );
    assert!(said.ends_with("0 rules of the cluster: no mistake\n"), "{said}");
    let can = "kubectl auth can-i list clusterpullsecretrules.pullkey.dev --as dev --as-group developers";
    cluster.run(&format!("! {can}")).await;
    cluster.run(&step("readers")).await;
    until("developers may read cluster rules", async || {
        let said = cluster.run(&format!("{can} || true")).await;
        (said.stdout == "yes\n").then_some(())
    })
    .await;
    let said = cluster.run(&step("doctor")).await.stdout;
    assert!(said.contains("\nwebhook       2 of 2 Pods are ready, "), "{said}");
    let report: Value = serde_json::from_str(&fs::read_to_string(file("report.json")).unwrap()).unwrap();
    assert!(
        report.to_string().contains("the API server reaches the webhook"),
        "{report}"
    );

    cluster.run(&step("widen")).await;
    until("every namespace is served", async || {
        (!secrets(&cluster, "team-b").await.is_empty()).then_some(())
    })
    .await;
    assert!(secrets(&cluster, "kube-system").await.is_empty());
    // What is printed is the same.
    let printed = "pullkey manifests --image registry.example/pullkey:0.1.0 --rules config/rules.yaml \
                   --certificate self-managed";
    assert_eq!(cluster.run(&format!("{printed} | kubectl diff -f -")).await.stdout, "");
    creation.strict.store(true, Ordering::SeqCst);
    let (pods, before) = (cluster.pods().await, generation(&cluster).await);

    let rules = file("install/base/rules/rules.yaml");
    let text = fs::read_to_string(&rules).unwrap();
    fs::write(&rules, text.replace("ghcr-acme", "ghcr-acme-2")).unwrap();
    cluster.run(&step("rules")).await;
    cluster.refresh_volumes().await;
    until("the new rules are in force everywhere", async || {
        (cluster.least("pullkey_rules_reloads_total", "").await >= 1.0).then_some(())
    })
    .await;
    assert_eq!(secrets(&cluster, "team-a").await, ["ghcr-acme-2"]);

    assert_eq!(
        (cluster.pods().await, generation(&cluster).await),
        (pods.clone(), before)
    );

    cluster.run(&step("update")).await;
    until("the old Pods are gone", async || {
        cluster.pods().await.is_disjoint(&pods).then_some(())
    })
    .await;
    let registration = cluster.api.get(REGISTRATION).await.good();
    assert_eq!(registration["webhooks"][0]["failurePolicy"], "Fail");
    is_settled(&cluster, "install/overlays/self-managed").await;
    may_read_rules(&cluster).await;
    a_new_namespace_gets_its_copy(&cluster).await;
    for metrics in cluster.metrics().await {
        assert_eq!(unforeseen(&metrics), [""; 0]);
    }

    creation.strict.store(false, Ordering::SeqCst);
    cluster.run(&step("uninstall")).await;
    assert!(creation.end().await > 0);
    let left = cluster
        .run(
            "kubectl get --all-namespaces --selector app.kubernetes.io/name=pullkey --output name \
             $(kubectl api-resources --verbs=list --output name | paste -sd,)",
        )
        .await;
    assert_eq!(left.stdout, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_gives_the_reasons_that_the_readme_knows() {
    let mut pullkey = Installation::start(&Setup {
        rules: include_str!("../../config/rules.yaml"),
        options: &["--failure-policy=Fail"],
        ..Setup::default()
    })
    .await;
    let namespace = pullkey.namespace().await;
    let service = json!({
        "metadata": {"name": "other"}, "spec": {"type": "ExternalName", "externalName": "127.0.0.1"},
    });
    pullkey
        .api
        .create(&pullkey.own.path("services", ""), &service)
        .await
        .good();
    let other = Authority::new(SystemTime::now()).unwrap();
    let right = pullkey.configuration["webhooks"][0]["clientConfig"].clone();
    let mut changed = [right.clone(), right.clone(), right];
    changed[0]["caBundle"] = json!(other.bundle());
    changed[1]["service"]["name"] = json!("other");
    changed[2]["service"]["name"] = json!("missing");
    let reasons = [
        "x509: certificate signed by unknown authority",
        "x509: certificate is valid for",
        "service \"",
    ];
    for (client, reason) in changed.into_iter().zip(reasons) {
        assert!(README.contains(&format!("| `{reason}")), "{reason}");
        pullkey.configuration["webhooks"][0]["clientConfig"] = client;
        pullkey.configure().await;
        until(reason, async || {
            let refused = namespace.try_pod(&pod(&[IMAGE])).await.object.to_string();
            let refused = refused.replace("\\\"", "\"");
            let is_told = refused.contains("failed calling webhook \"pods.pullkey.dev\"") && refused.contains(reason);
            is_told.then_some(())
        })
        .await;
    }
}

/// The controller that was installed with the webhook keeps the copies of a rule that is applied.
async fn a_new_namespace_gets_its_copy(cluster: &Cluster) {
    let rule = "apiVersion: pullkey.dev/v1alpha1
kind: ClusterPullSecretRule
metadata: {name: copied}
spec:
  images: [registry.example]
  namespaces: {include: [\"new-*\"]}
  secret: {name: copied, copyFrom: {namespace: pullkey-sources, name: registry}}";
    let script = format!(
        "kubectl create secret docker-registry registry --namespace pullkey-sources \
             --docker-server registry.example --docker-username puller --docker-password x
         echo '{rule}' | kubectl apply -f -
         kubectl create namespace new-team
         kubectl wait --namespace new-team --for create --timeout 60s secret/copied
         kubectl wait --for condition=CopiesReady --timeout 60s cpsr/copied"
    );
    cluster.run(&script).await;
    let copy = cluster.api.get("/api/v1/namespaces/new-team/secrets/copied").await;
    let source = cluster
        .api
        .get("/api/v1/namespaces/pullkey-sources/secrets/registry")
        .await;
    assert_eq!(copy.good()["data"], source.good()["data"]);
}

/// The webhook's service account may read rules and what tells namespaces apart. Otherwise it may do what any other may
/// that nobody has given a right to.
async fn may_read_rules(cluster: &Cluster) {
    let ours = cluster.account("pullkey", "pullkey-webhook").await;
    let any = cluster.account("team-b", "default").await;
    for namespace in ["pullkey", "team-a", "kube-system"] {
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": namespace},
        });
        let path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
        let rights = async |account: &Api| -> BTreeSet<String> {
            let status = account.create(path, &review).await.good()["status"].clone();
            let rules = ["resourceRules", "nonResourceRules"].map(|rules| status[rules].as_array().unwrap().clone());
            rules.iter().flatten().map(ToString::to_string).collect()
        };
        let (ours, mut expected) = (rights(&ours).await, rights(&any).await);
        for (group, resources) in [
            ("pullkey.dev", ["clusterpullsecretrules", "pullsecretrules"]),
            ("", ["namespaces", "serviceaccounts"]),
        ] {
            let right = json!({"apiGroups": [group], "resources": resources, "verbs": ["list", "watch"]});
            expected.insert(right.to_string());
        }
        assert_eq!(ours, expected);
    }
    for path in ["/api/v1/secrets", "/api/v1/pods", REGISTRATION] {
        assert_eq!(ours.get(path).await.status, 403);
    }
    for resource in ["secrets", "pods", "configmaps"] {
        let path = format!("/api/v1/namespaces/pullkey/{resource}");
        assert_eq!(ours.get(&path).await.status, 403);
    }
}
