//! `pullkey doctor` on a cluster of its own: healthy, ill in one way after the other, and seen by those who may see little.

use std::time::SystemTime;

use pullkey::certs::make::Authority;
use serde_json::{Value, json};

use crate::harness::{Api, Cluster, Namespace, until};

/// Installs it with a rule in a file, and makes a rule that copies.
const INSTALL: &str = r#"
cat > rules.yaml <<'END'
apiVersion: pullkey.dev/v1alpha1
kind: ClusterPullSecretRule
metadata: {name: of-a-file}
spec: {images: [file.example], namespaces: {include: ["team-*"]}, secret: {name: of-a-file}}
END
pullkey manifests --out install --image registry.example/pullkey:$(pullkey --version | cut -d' ' -f2) --rules rules.yaml
pullkey certs --out install/overlays/given-certificate --dns pullkey-webhook.pullkey.svc > /dev/null
kubectl apply -k install/overlays/given-certificate
kubectl rollout status deployment/pullkey-webhook deployment/pullkey-controller --namespace pullkey
kubectl create namespace team-a
kubectl create secret docker-registry source --namespace pullkey-sources \
    --docker-server registry.example --docker-username puller --docker-password MARKER
kubectl apply -f - <<'END'
apiVersion: pullkey.dev/v1alpha1
kind: ClusterPullSecretRule
metadata: {name: copied}
spec:
  images: [registry.example]
  namespaces: {selector: {matchLabels: {registry: "yes"}}}
  secret: {name: copied, copyFrom: {namespace: pullkey-sources, name: source}}
END
kubectl label namespace team-a registry=yes
"#;
/// Pods that are made while nobody is asked; the last one waits for its image.
const MISSED: &str = r#"
kubectl apply --namespace team-a -f - <<'END'
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  strategy: {type: Recreate}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: registry.example/web}]}
---
apiVersion: v1
kind: Pod
metadata: {name: bare}
spec: {containers: [{name: bare, image: file.example/bare}]}
END
kubectl patch pod bare --namespace team-a --subresource status --patch '{"status": {"containerStatuses": [{
    "name": "bare", "image": "", "imageID": "", "ready": false, "restartCount": 0,
    "state": {"waiting": {"reason": "ImagePullBackOff"}}}]}}'
"#;
const REGISTRATION: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/pullkey";

/// What the doctor says.
struct Said {
    status: i32,
    report: Value,
}

impl Said {
    /// The codes of what is wrong. What an API server has once counted stays counted.
    fn codes(&self) -> Vec<&str> {
        let codes = self.report["findings"].as_array().unwrap().iter();
        let codes = codes.map(|finding| finding["code"].as_str().unwrap());
        codes.filter(|code| *code != "failed-open").collect()
    }

    fn finding(&self, code: &str) -> &Value {
        let mut findings = self.report["findings"].as_array().unwrap().iter();
        findings.find(|finding| finding["code"] == code).unwrap()
    }

    /// The commands that a finding gives.
    fn commands(&self, code: &str) -> String {
        let commands = self.finding(code)["commands"].as_array().unwrap().iter();
        let commands: Vec<_> = commands.map(|command| command.as_str().unwrap()).collect();
        commands.join("\n")
    }

    fn row(&self, what: &str) -> &str {
        let mut rows = self.report["seen"].as_array().unwrap().iter();
        rows.find(|row| row["what"] == what).unwrap()["state"].as_str().unwrap()
    }
}

/// A cluster that is well, and its doctor.
struct Ward {
    cluster: Cluster,
}

impl Ward {
    async fn new() -> Self {
        let cluster = Cluster::start(&[]).await;
        cluster.run(INSTALL).await;
        let namespace = Namespace {
            name: "team-a".to_owned(),
            api: cluster.api.clone(),
        };
        namespace.has_account("default").await;
        let ward = Self { cluster };
        ward.is_said_to_have(&[]).await;
        ward
    }

    fn api(&self) -> &Api {
        &self.cluster.api
    }

    async fn doctor(&self, options: &str) -> Said {
        let script = format!("pullkey doctor -o json {options} || status=$?; echo status ${{status:-0}} >&2");
        let said = self.cluster.run(&script).await;
        let status = said.stderr.trim().rsplit(' ').next().unwrap();
        let report = serde_json::from_str(&said.stdout).unwrap_or_else(|_| panic!("{}", said.stderr));
        assert!(!said.stdout.contains("MARKER"), "{}", said.stdout);
        Said {
            status: status.parse().unwrap(),
            report,
        }
    }

    /// Waits until it says exactly this.
    async fn is_said_to_have(&self, codes: &[&str]) -> Said {
        let mut last = Vec::new();
        let found = until(&format!("the doctor finds {codes:?}"), async || {
            let said = self.doctor("--secrets --dry-run team-a").await;
            let found: Vec<_> = said.codes().into_iter().map(str::to_owned).collect();
            if last != found {
                println!("for {codes:?}: {found:?}");
                last.clone_from(&found);
            }
            (found == codes).then_some(said)
        })
        .await;
        let errors = found.report["findings"].as_array().unwrap().iter();
        let has_errors = errors.clone().any(|finding| finding["severity"] == "error");
        assert_eq!(found.status, i32::from(has_errors), "{}", found.report);
        assert_eq!(found.report["unseen"], json!([]));
        found
    }

    /// Plants an illness, waits for its name, and heals it.
    async fn suffers(&self, from: &str, codes: &[&str], until_healed_by: &str) -> Said {
        self.cluster.run(from).await;
        let said = self.is_said_to_have(codes).await;
        self.cluster.run(until_healed_by).await;
        self.is_said_to_have(&[]).await;
        said
    }

    /// Changes the registration, and puts it back.
    async fn suffers_from_registration(&self, change: fn(&mut Value), codes: &[&str]) -> Said {
        let good = self.api().get(REGISTRATION).await.good();
        let good = json!({"webhooks": good["webhooks"]});
        let mut changed = good.clone();
        change(&mut changed["webhooks"][0]);
        self.api().merge(REGISTRATION, &changed).await.good();
        let said = self.is_said_to_have(codes).await;
        self.api().merge(REGISTRATION, &good).await.good();
        self.is_said_to_have(&[]).await;
        said
    }

    async fn scale(&self, what: &str, replicas: u32) {
        let script = format!(
            "kubectl scale deployment/pullkey-{what} --namespace pullkey --replicas {replicas}
             kubectl rollout status deployment/pullkey-{what} --namespace pullkey"
        );
        self.cluster.run(&script).await;
    }
}

/// Has the API server believe somebody else.
fn trust_others(webhook: &mut Value) {
    let authority = Authority::new(SystemTime::now()).unwrap();
    webhook["clientConfig"]["caBundle"] = json!(authority.bundle());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_registration_and_what_it_leads_to_are_examined() {
    let ward = Ward::new().await;
    let said = ward.doctor("--secrets --dry-run team-a").await;
    assert!(
        said.row("dry run").ends_with("the API server reaches the webhook"),
        "{}",
        said.report
    );
    assert_eq!(said.row("copies"), "1 of 1 are there");
    let text = ward.cluster.run("pullkey doctor --secrets").await.stdout;
    assert!(text.ends_with("\nall is well\n"), "{text}");
    println!("{text}");

    let said = ward
        .suffers_from_registration(trust_others, &["certificate-unfit", "dry-run-missed"])
        .await;
    let message = said.finding("certificate-unfit")["message"].as_str().unwrap();
    assert!(message.ends_with("no CA in `caBundle` has signed it"), "{message}");
    let said = ward.doctor("").await;
    assert!(said.report.to_string().contains("failed-open"), "{}", said.report);
    assert_eq!(said.status, 0);

    let and_fails = |webhook: &mut Value| {
        trust_others(webhook);
        webhook["failurePolicy"] = json!("Fail");
    };
    let said = ward
        .suffers_from_registration(and_fails, &["certificate-unfit", "dry-run-failed"])
        .await;
    let message = said.finding("dry-run-failed")["message"].as_str().unwrap();
    assert!(
        message.contains("x509: certificate signed by unknown authority"),
        "{message}"
    );

    let odd = |webhook: &mut Value| {
        webhook["namespaceSelector"] = json!({});
        webhook["objectSelector"] = json!({"matchLabels": {"a": "b"}});
        webhook["matchPolicy"] = json!("Exact");
        webhook["reinvocationPolicy"] = json!("Never");
        webhook["timeoutSeconds"] = json!(30);
        webhook["rules"][0]["operations"] = json!(["CREATE", "UPDATE"]);
    };
    let codes = [
        "dry-run-missed",
        "registration-rules",
        "registration-objects",
        "registration-namespaces",
        "registration-match-policy",
        "registration-reinvocation",
        "registration-timeout",
    ];
    ward.suffers_from_registration(odd, &codes).await;
    let narrow = |webhook: &mut Value| {
        webhook["namespaceSelector"]["matchLabels"] = json!({"nobody": "has-this"});
    };
    ward.suffers_from_registration(narrow, &["dry-run-missed", "registration-selection"])
        .await;
    let again = "kubectl apply -k install/overlays/given-certificate";
    ward.suffers(
        "kubectl delete mutatingwebhookconfiguration pullkey",
        &["registration-missing", "dry-run-missed"],
        again,
    )
    .await;
    ward.suffers(
        "kubectl delete service pullkey-webhook --namespace pullkey",
        &["service-missing", "dry-run-missed"],
        again,
    )
    .await;
    ward.suffers(
        "kubectl delete crd pullsecretrules.pullkey.dev",
        &["kind-missing"],
        again,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_that_were_missed_are_found_with_what_makes_them_anew() {
    let ward = Ward::new().await;
    ward.scale("webhook", 0).await;
    ward.is_said_to_have(&["webhook-down", "dry-run-missed"]).await;
    ward.cluster.run(MISSED).await;
    until("the Deployment has its Pod", async || {
        let pods = ward.api().get("/api/v1/namespaces/team-a/pods").await.good();
        (pods["items"].as_array().unwrap().len() == 2).then_some(())
    })
    .await;
    ward.scale("webhook", 2).await;
    let said = ward.is_said_to_have(&["pods-waiting", "pods-missed"]).await;
    let owners = said.report["pods"].as_array().unwrap();
    let facts = |owner: &Value| ["kind", "name", "waiting", "secrets", "count"].map(|field| owner[field].clone());
    assert_eq!(
        facts(&owners[0]),
        [
            json!("Pod"),
            json!("bare"),
            json!("ImagePullBackOff"),
            json!(["of-a-file"]),
            json!(1)
        ]
    );
    assert_eq!(
        facts(&owners[1]),
        [
            json!("Deployment"),
            json!("web"),
            Value::Null,
            json!(["copied"]),
            json!(1)
        ]
    );
    assert_eq!(
        said.commands("pods-missed"),
        "kubectl rollout restart deployment/web --namespace team-a"
    );
    let commands = format!("{}\n{}", said.commands("pods-waiting"), said.commands("pods-missed"));
    ward.cluster.run(&commands).await;
    let said = ward.is_said_to_have(&[]).await;
    assert!(said.row("Pods").starts_with("0 of "), "{}", said.row("Pods"));
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_sources_and_copies_are_examined() {
    let ward = Ward::new().await;
    let secret = "kubectl create secret docker-registry source --namespace pullkey-sources --dry-run=client \
                  --docker-server registry.example --docker-username puller --docker-password MARKER --output yaml";
    ward.suffers(
        "kubectl patch secret source --namespace pullkey-sources --patch '{\"data\": {\".dockerconfigjson\": \"e30=\"}}'",
        &["sources-broken"],
        &format!("{secret} | kubectl apply --force-conflicts --server-side --filename -"),
    )
    .await;

    let bad = "kubectl apply -f - <<'END'
apiVersion: pullkey.dev/v1alpha1
kind: ClusterPullSecretRule
metadata: {name: bad}
spec: {imageRegex: 'a.example/(', namespaces: {include: ['team-*']}, secret: {name: bad}}
END";
    let said = ward.suffers(bad, &["rules-refused"], "kubectl delete cpsr bad").await;
    let about = said.finding("rules-refused")["about"].to_string();
    assert!(
        about.contains("ClusterPullSecretRule bad, spec.imageRegex: the regex does not parse"),
        "{about}"
    );

    // Somebody's own secret.
    let by_hand = "kubectl create namespace team-b
        kubectl create secret docker-registry copied --namespace team-b --docker-server a.example \
            --docker-username me --docker-password MARKER
        kubectl label namespace team-b registry=yes";
    ward.cluster.run(by_hand).await;
    let said = ward.is_said_to_have(&["copies-foreign"]).await;
    ward.cluster.run(&said.commands("copies-foreign")).await;
    let said = ward.is_said_to_have(&[]).await;
    assert_eq!(said.row("copies"), "2 of 2 are there");

    // Nobody who would keep copies, and one is gone.
    ward.scale("controller", 0).await;
    ward.cluster
        .run("kubectl delete secret copied --namespace team-b")
        .await;
    ward.is_said_to_have(&["controller-down", "copies-missing"]).await;
    ward.scale("controller", 2).await;
    ward.is_said_to_have(&[]).await;

    // A backup that is restored: nobody's managedFields come back.
    ward.scale("controller", 0).await;
    let restore = "kubectl get secrets --all-namespaces --selector pullkey.dev/copy=true --output yaml > backup
        kubectl replace --force --filename backup";
    ward.cluster.run(restore).await;
    ward.scale("controller", 2).await;
    let said = ward.is_said_to_have(&["copies-orphaned"]).await;
    assert_eq!(said.row("copies"), "0 of 2 are there");
    let command = said.commands("copies-orphaned");
    assert_eq!(command.lines().count(), 1, "{command}");
    ward.cluster.run(&command).await;
    let said = ward.is_said_to_have(&[]).await;
    assert_eq!(said.row("copies"), "2 of 2 are there");

    callers_who_may_see_little(&ward).await;
}

/// They are told what they may not see, all of it, and what they can see.
async fn callers_who_may_see_little(ward: &Ward) {
    let script = "cp $KUBECONFIG restricted
        kubectl config set-credentials restricted --token $(kubectl create token default --namespace team-a) \
            --kubeconfig restricted
        kubectl config set-context --current --user restricted --kubeconfig restricted";
    ward.cluster.run(script).await;
    let said = ward.doctor("--kubeconfig restricted --secrets --dry-run team-a").await;
    assert_eq!((said.status, said.codes()), (2, vec![]));
    let unseen = said.report["unseen"].as_array().unwrap();
    let hints: Vec<_> = unseen.iter().map(|unseen| unseen["hint"].as_str().unwrap()).collect();
    for right in [
        "list mutatingwebhookconfigurations.admissionregistration.k8s.io --all-namespaces",
        "get customresourcedefinitions.apiextensions.k8s.io/pullsecretrules.pullkey.dev",
        "list deployments.apps --namespace pullkey",
        "get secrets/pullkey-webhook-tls --namespace pullkey",
        "list namespaces --all-namespaces",
        "list clusterpullsecretrules.pullkey.dev --all-namespaces",
        "list secrets --all-namespaces",
    ] {
        let hint = format!("`kubectl auth can-i {right}` must say yes");
        assert!(hints.contains(&hint.as_str()), "{right}: {hints:#?}");
    }

    // Whoever sees rules alone is told about rules alone.
    let script = "kubectl create clusterrole reader --verb list --resource clusterpullsecretrules.pullkey.dev
        kubectl create clusterrolebinding reader --clusterrole reader --serviceaccount team-a:default
        kubectl patch secret source --namespace pullkey-sources --patch '{\"data\": {\".dockerconfigjson\": \"e30=\"}}'";
    ward.cluster.run(script).await;
    let said = until("what can be seen is said", async || {
        let said = ward.doctor("--kubeconfig restricted").await;
        (said.codes() == ["sources-broken"]).then_some(said)
    })
    .await;
    assert_eq!(said.status, 1);
    assert!(!said.report["unseen"].as_array().unwrap().is_empty());
}
