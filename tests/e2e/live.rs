//! `pullkey explain` and `pullkey check` on a cluster, as users with no more rights than they need.

use std::fs;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Api, Namespace, RULES, control_plane, install_kinds, named, pod, rule, unique, until, with};

const ROLES: &str = "/apis/rbac.authorization.k8s.io/v1";

/// A team's namespace, a cluster rule that selects it, and a user.
struct Team {
    api: Api,
    namespace: Namespace,
    /// In no name of another test.
    id: String,
    user: String,
    directory: TempDir,
}

/// Places and what is said of them.
type Findings = Vec<(String, String)>;

/// What the program said.
struct Said {
    status: i32,
    stdout: String,
    stderr: String,
}

impl Team {
    /// One whose user has no rights.
    async fn new() -> Self {
        let api = control_plane().api().await;
        install_kinds(&api).await;
        let id = unique("live");
        let namespace = Namespace::with_labels(&json!({"team": id})).await;
        let directory = control_plane().temporary_folder();
        let user = format!("user-of-{id}");
        let kubeconfig = control_plane().kubeconfig_as(&user);
        fs::write(directory.path().join("kubeconfig"), kubeconfig).unwrap();
        Self {
            api,
            namespace,
            id,
            user,
            directory,
        }
    }

    /// One whose user may read what `explain` needs in this namespace, and no more.
    async fn with_reader() -> Self {
        let team = Self::new().await;
        team.may("list", "pullkey.dev", "clusterpullsecretrules", None).await;
        let own = Some(team.namespace.name.as_str());
        team.may("list", "pullkey.dev", "pullsecretrules", own).await;
        team.may("get", "", "namespaces", own).await;
        team.may("list", "", "serviceaccounts", own).await;
        team
    }

    /// One whose user may get objects, too: Deployments `plain`, `strict` and `puller`, by the service account that they
    /// have, and Pods that are there already, `before` and `named`, by what they name.
    async fn with_objects() -> Self {
        let team = Self::with_reader().await;
        for (group, resource) in [("apps", "deployments"), ("", "pods")] {
            team.may("get", group, resource, Some(&team.namespace.name)).await;
        }
        let ours = json!({"images": [team.host()], "secret": {"name": "ours"}});
        team.rule("ours", &ours).await;
        let strict = json!({"kubernetes.io/enforce-mountable-secrets": "true"});
        for (account, annotations, listed) in [
            ("strict", strict, &["listed"][..]),
            ("puller", json!({}), &["of-account"]),
            ("late", json!({}), &[]),
        ] {
            team.namespace.account(account, &annotations, listed).await;
        }
        let deployments = format!("/apis/apps/v1/namespaces/{}/deployments", team.namespace.name);
        for (name, account) in [("plain", "default"), ("strict", "strict"), ("puller", "puller")] {
            let deployment = deployment(name, &team.pod_under(account));
            team.api.create(&deployments, &deployment).await.good();
        }
        team.namespace.pod(&named("before", team.pod_under("late"))).await;
        let listed = json!({"imagePullSecrets": [{"name": "too-late"}]});
        let path = team.namespace.path("serviceaccounts", "late");
        team.api.merge(&path, &listed).await.good();
        let names = json!({"imagePullSecrets": [{"name": "ours"}]});
        let pod = named("named", with("spec", &names, team.pod_under("default")));
        team.namespace.pod(&pod).await;
        team
    }

    /// A registry that no other test knows.
    fn host(&self) -> String {
        format!("{}.example", self.id)
    }

    /// A Pod of an image there, under that service account.
    fn pod_under(&self, account: &str) -> Value {
        let image = format!("{}/app", self.host());
        with("spec", &json!({"serviceAccountName": account}), pod(&[&image]))
    }

    /// Gives the user a right, in a namespace or in all of them, and waits until he has it.
    async fn may(&self, verb: &str, group: &str, resource: &str, namespace: Option<&str>) {
        let name = unique(&self.id);
        let right = json!({"apiGroups": [group], "resources": [resource], "verbs": [verb]});
        let role = json!({"metadata": {"name": name}, "rules": [right]});
        self.api.create(&format!("{ROLES}/clusterroles"), &role).await.good();
        self.has_role(&name, namespace).await;
        let user = control_plane().api_as(&self.user).await;
        let attributes = json!({"verb": verb, "group": group, "resource": resource, "namespace": namespace});
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        });
        until("the user has the right", async || {
            let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
            let answer = user.create(path, &review).await.good();
            (answer["status"]["allowed"] == true).then_some(())
        })
        .await;
    }

    /// Binds a `ClusterRole` to the user, in a namespace or in all of them.
    async fn has_role(&self, role: &str, namespace: Option<&str>) {
        let binding = json!({
            "metadata": {"name": unique(&self.id)},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": self.user}],
        });
        let path = match namespace {
            Some(namespace) => format!("{ROLES}/namespaces/{namespace}/rolebindings"),
            None => format!("{ROLES}/clusterrolebindings"),
        };
        self.api.create(&path, &binding).await.good();
    }

    /// Makes a rule of the cluster that selects the team's namespaces, unless its `spec` says otherwise.
    async fn rule(&self, name: &str, spec: &Value) -> String {
        let selector = json!({"selector": {"matchLabels": {"team": self.id}}});
        let rule = with("spec", spec, json!({"spec": {"namespaces": selector}}));
        let path = format!("{RULES}/clusterpullsecretrules");
        self.make(&path, "ClusterPullSecretRule", &format!("{}-{name}", self.id), rule)
            .await
    }

    /// Makes a rule of the team's own; gives its name.
    async fn own_rule(&self, name: &str, spec: &Value) -> String {
        let path = format!("{RULES}/namespaces/{}/pullsecretrules", self.namespace.name);
        self.make(&path, "PullSecretRule", name, json!({"spec": spec})).await
    }

    async fn make(&self, path: &str, kind: &str, name: &str, mut object: Value) -> String {
        object["apiVersion"] = json!("pullkey.dev/v1alpha1");
        object["kind"] = json!(kind);
        object["metadata"] = json!({"name": name});
        self.api.create(path, &object).await.good();
        name.to_owned()
    }

    /// Makes a pull secret of the namespace.
    async fn secret(&self, namespace: &Namespace, name: &str, config: &Value) {
        let data = json!({".dockerconfigjson": STANDARD.encode(config.to_string())});
        let of_type = "kubernetes.io/dockerconfigjson";
        let secret = json!({"metadata": {"name": name}, "type": of_type, "data": data});
        namespace
            .api
            .create(&namespace.path("secrets", ""), &secret)
            .await
            .good();
    }

    fn put(&self, name: &str, text: &str) {
        fs::write(self.directory.path().join(name), text).unwrap();
    }

    /// Runs the program as the user; the words of the line are divided by spaces.
    fn run(&self, line: &str) -> Said {
        let output = Command::new(env!("CARGO_BIN_EXE_pullkey"))
            .args(line.split(' '))
            .args(["--cluster", "--kubeconfig", "kubeconfig"])
            .current_dir(self.directory.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Said {
            status: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Checks, and gives what is found about this test's rules, mistakes and warnings, each with its place.
    fn check(&self, line: &str) -> (i32, Findings, Findings) {
        let said = self.run(&format!("check -o json{line}"));
        let answer: Value = serde_json::from_str(&said.stdout).unwrap_or_else(|_| panic!("{}", said.stderr));
        assert!(answer["objects"].as_u64().unwrap() > 0, "{answer}");
        let of = |list: &str| {
            let findings = answer[list].as_array().unwrap().iter().map(|finding| {
                let text = |field: &str| finding[field].as_str().unwrap().to_owned();
                (text("file"), text("message"))
            });
            let is_ours =
                |place: &str| place.contains(&self.id) || place.starts_with("file-") || place.starts_with("namespace ");
            findings.filter(|(place, _)| is_ours(place)).collect()
        };
        (said.status, of("mistakes"), of("warnings"))
    }

    /// Explains in the team's namespace.
    fn explain(&self, line: &str) -> Value {
        let said = self.run(&format!("explain -o json -n {} {line}", self.namespace.name));
        assert_eq!(said.status, 0, "{line}: {}", said.stderr);
        serde_json::from_str(&said.stdout).unwrap()
    }
}

/// The secrets that rules name for an image, and which of them not and why.
fn decided(image: &Value) -> Vec<String> {
    let secret = |found: &Value| found["secret"].as_str().unwrap().to_owned();
    let matches = image["matches"].as_array().unwrap().iter().map(secret);
    let rejected = image["rejected"].as_array().unwrap().iter();
    let rejected = rejected.map(|found| format!("not {}: {}", secret(found), found["why"].as_str().unwrap()));
    matches.chain(rejected).collect()
}

fn deployment(name: &str, pod: &Value) -> Value {
    let labels = json!({"app": name});
    let template = with("metadata", &json!({"labels": labels}), pod.clone());
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template},
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn images_are_explained_by_the_rules_of_the_cluster() {
    let team = Team::with_reader().await;
    let host = team.host();
    let nobody = json!({"selector": {"matchLabels": {"team": "nobody"}}});
    let secret = |name: &str| json!({"name": name});
    let public = json!({"images": [host], "exceptImages": [format!("{host}/public")], "secret": secret("ours")});
    team.rule("ours", &public).await;
    let theirs = json!({"images": [format!("{host}/app")], "namespaces": nobody, "secret": secret("theirs")});
    team.rule("theirs", &theirs).await;
    let own = json!({"images": [format!("{host}/app")], "secret": secret("own")});
    team.own_rule("own", &own).await;
    let source = json!({"name": "keyed", "copyFrom": {"namespace": "nowhere", "name": "keys"}});
    let keyed = team.rule("keyed", &json!({"secret": source})).await;

    let image = format!("{host}/app:v1");
    let line = format!("{image} {host}/public/tool elsewhere.example/app keys-{host}/app");
    let report = team.explain(&line);
    let found: Vec<_> = report["images"].as_array().unwrap().iter().map(decided).collect();
    assert_eq!(found[0], ["own", "ours", "not theirs: namespace"]);
    assert_eq!(found[1], ["not ours: exception"]);
    assert!(found[2].is_empty() && found[3].is_empty(), "{found:?}");

    // Its images are those of the keys that the controller has written down.
    let status = json!({"status": {"observedGeneration": 1, "keys": [format!("https://keys-{host}/v1/")]}});
    let path = format!("{RULES}/clusterpullsecretrules/{keyed}/status");
    team.api.merge(&path, &status).await.good();
    let report = team.explain(&line);
    assert_eq!(decided(&report["images"][3]), ["keyed"]);

    // Rules of files are beside it only if they are named.
    team.put("rules.yaml", &rule("file", "elsewhere.example"));
    let report = team.explain(&format!("{line} --rules rules.yaml"));
    assert_eq!(decided(&report["images"][0]), found[0]);
    assert_eq!(decided(&report["images"][2]), ["file-pull"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_of_the_cluster_are_explained_as_the_api_server_admits_them() {
    let team = Team::with_objects().await;
    for (object, kind, existing, add, skip) in [
        (
            "deployment/plain",
            "Deployment",
            json!([]),
            json!(["ours"]),
            Value::Null,
        ),
        (
            "deployments.apps/plain",
            "Deployment",
            json!([]),
            json!(["ours"]),
            Value::Null,
        ),
        (
            "deploy/strict",
            "Deployment",
            json!(["listed"]),
            json!([]),
            json!("mountable_secrets"),
        ),
        (
            "deploy/puller",
            "Deployment",
            json!(["of-account"]),
            json!(["ours"]),
            Value::Null,
        ),
        ("pod/before", "Pod", json!([]), json!(["ours"]), Value::Null),
        ("po/named", "Pod", json!(["ours"]), json!([]), json!("already_named")),
    ] {
        let report = team.explain(object);
        let found = &report["pods"][0];
        assert_eq!(report["images"], json!([]), "{object}");
        assert_eq!(
            (&found["kind"], &found["file"]),
            (&json!(kind), &Value::Null),
            "{object}"
        );
        assert_eq!((&found["existing"], &found["add"]), (&existing, &add), "{object}");
        assert_eq!(found["skip"], skip, "{object}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_the_cluster_is_shown_as_one_and_a_manifest_as_if_it_were_applied() {
    let team = Team::with_objects().await;
    let name = &team.namespace.name;
    let said = team.run(&format!("explain -n {name} deploy/puller pod/before"));
    let lines: Vec<_> = said.stdout.lines().collect();
    assert_eq!(
        lines[..4],
        [
            format!("Deployment {name}/puller"),
            "  in the cluster".to_owned(),
            "  adds ours".to_owned(),
            "  has of-account already, of the service account puller".to_owned(),
        ]
    );
    assert!(
        lines.contains(&"  lacks ours, which a Pod gets only as it is created"),
        "{}",
        said.stdout
    );

    // A manifest is judged as if it were applied.
    team.put("pod.json", &team.pod_under("puller").to_string());
    let report = team.explain("-f pod.json");
    let found = &report["pods"][0];
    assert_eq!(
        (&found["file"], &found["fromAccount"]),
        (&json!("pod.json"), &json!("puller"))
    );

    let said = team.run(&format!("explain -n {name} deployment/other"));
    assert_eq!((said.status, said.stdout.as_str()), (1, ""));
    let message = format!("error: there is no Deployment `other` in namespace `{name}`\n");
    assert!(said.stderr.starts_with(&message), "{}", said.stderr);

    let label = json!({"metadata": {"labels": {"pullkey.dev/inject": "false"}}});
    team.api
        .merge(&format!("/api/v1/namespaces/{name}"), &label)
        .await
        .good();
    assert_eq!(
        team.explain("deployment/plain")["pods"][0]["skip"],
        "namespace_opted_out"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_view_his_namespace_and_cluster_rules_asks_about_what_is_there() {
    let team = Team::new().await;
    let name = &team.namespace.name;
    team.rule("ours", &json!({"images": [team.host()], "secret": {"name": "ours"}}))
        .await;
    team.own_rule("own", &json!({"images": [team.host()], "secret": {"name": "own"}}))
        .await;
    let deployments = format!("/apis/apps/v1/namespaces/{name}/deployments");
    let deployment = deployment("web", &team.pod_under("default"));
    team.api.create(&deployments, &deployment).await.good();
    let question = format!("explain -o json -n {name} deployment/web");
    team.has_role("view", Some(name)).await;
    // Roles are gathered, and bindings learnt, a moment later.
    until("the rules of the cluster are all that he lacks", async || {
        let said = team.run(&question).stderr;
        let is_all = said.matches("error: could not").count() == 1;
        (is_all && said.contains("could not list clusterpullsecretrules.pullkey.dev: ")).then_some(())
    })
    .await;
    team.has_role("pullkey-view-cluster-rules", None).await;
    let said = until("he is answered", async || {
        Some(team.run(&question)).filter(|said| said.status == 0)
    })
    .await;
    let answer: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(answer["pods"][0]["add"], json!(["ours", "own"]), "{answer}");

    let user = control_plane().api_as(&team.user).await;
    let rules = format!("{RULES}/clusterpullsecretrules");
    user.get(&rules).await.good();
    let path = format!("{rules}/{}-ours", team.id);
    user.get(&path).await.good();
    let change = json!({"spec": {"mode": "Shadow"}});
    assert_eq!(user.merge(&path, &change).await.status, 403);
    assert_eq!(user.delete(&path).await.status, 403);
    for path in ["/api/v1/namespaces".to_owned(), team.namespace.path("secrets", "")] {
        assert_eq!(user.get(&path).await.status, 403, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_that_are_missing_are_told_at_once() {
    let team = Team::new().await;
    let name = &team.namespace.name;
    team.put("pod.json", &pod(&["a.example/app"]).to_string());
    let said = team.run(&format!("explain -n {name} -f pod.json"));
    assert_eq!((said.status, said.stdout.as_str()), (2, ""));
    for missing in [
        format!("could not get namespaces `{name}`: the API server answers 403: "),
        format!("could not list serviceaccounts in namespace `{name}`: the API server answers 403: "),
        "could not list clusterpullsecretrules.pullkey.dev: the API server answers 403: ".to_owned(),
        format!("could not list pullsecretrules.pullkey.dev in namespace `{name}`: the API server answers 403: "),
        format!("`kubectl auth can-i list serviceaccounts --namespace {name}` must say yes"),
        format!("`kubectl auth can-i get namespaces/{name} --namespace {name}` must say yes"),
    ] {
        assert!(said.stderr.contains(&missing), "{missing}: {}", said.stderr);
    }
    let said = team.run("check");
    assert_eq!((said.status, said.stdout.as_str()), (2, ""));
    for missing in [
        "could not list clusterpullsecretrules.",
        "could not list pullsecretrules.",
    ] {
        assert!(said.stderr.contains(missing), "{missing}: {}", said.stderr);
    }
    team.may("get", "", "namespaces", None).await;
    team.may("list", "", "serviceaccounts", None).await;
    let said = team.run("explain -n no-such -f pod.json");
    assert_eq!((said.status, said.stdout.as_str()), (1, ""));
    assert!(
        said.stderr
            .starts_with("error: the cluster has no namespace `no-such`: "),
        "{}",
        said.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kubelets_answer_is_told_to_whoever_may_read_the_secrets() {
    let team = Team::with_reader().await;
    let host = team.host();
    team.rule("ours", &json!({"images": [host], "secret": {"name": "ours"}}))
        .await;
    let image = format!("{host}/app");
    let names = json!({"imagePullSecrets": [{"name": "gone"}, {"name": "typed"}]});
    team.put("pod.json", &with("spec", &names, pod(&[&image])).to_string());
    let broken = json!({"imagePullSecrets": [{"name": "broken"}]});
    team.put("broken.json", &with("spec", &broken, pod(&[&image])).to_string());
    let auth = json!({"username": "me", "password": "MARKER"});
    team.secret(&team.namespace, "ours", &json!({"auths": {&host: auth}}))
        .await;
    let malformed = json!({"auths": {"b.example": {"auth": "MARKER"}}});
    team.secret(&team.namespace, "broken", &malformed).await;
    let typed = json!({"metadata": {"name": "typed"}, "data": {"a": "TUFSS0VS"}});
    team.api
        .create(&team.namespace.path("secrets", ""), &typed)
        .await
        .good();

    // Nobody asks for secrets unless he is told to, and where he may not, all else is told.
    let report = team.explain(&format!("{image} -f pod.json"));
    assert_eq!(
        (report.get("secrets"), report["images"][0].get("credentials")),
        (None, None)
    );
    let line = format!("{image} -f pod.json -f broken.json --secrets");
    let report = team.explain(&line);
    assert_eq!(report["pods"][0]["add"], json!(["ours"]));
    let unknown = report["pods"][0]["images"][0]["credentials"]["unknown"]
        .as_str()
        .unwrap();
    let name = &team.namespace.name;
    assert_eq!(unknown, format!("the Secret `{name}/gone` cannot be read"));
    let secrets = report["secrets"].as_array().unwrap();
    assert_eq!(secrets.len(), 4);
    for secret in secrets {
        let message = secret["message"].as_str().unwrap();
        assert_eq!(secret["state"], "unreadable");
        assert!(message.contains("cannot get resource \"secrets\""), "{message}");
    }

    team.may("get", "", "secrets", Some(name)).await;
    let report = team.explain(&line);
    let ours = json!([{"file": null, "secret": format!("{name}/ours"), "key": host, "username": "me"}]);
    assert_eq!(report["images"][0]["credentials"], ours);
    assert_eq!(report["pods"][0]["images"][0]["credentials"], ours);
    let refused = report["pods"][1]["images"][0]["credentials"]["error"].as_str().unwrap();
    assert!(
        refused.starts_with(&format!("the Secret `{name}/broken`: ")),
        "{refused}"
    );
    let states: Vec<_> = report["secrets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|secret| (secret["name"].as_str().unwrap(), secret["state"].as_str().unwrap()))
        .collect();
    let expected = [
        ("broken", "malformed"),
        ("gone", "missing"),
        ("ours", "good"),
        ("typed", "useless"),
    ];
    assert_eq!(states, expected);
    let text = team.run(&format!("explain -n {name} {line}"));
    for said in [&report.to_string(), &text.stdout, &text.stderr] {
        assert!(!said.contains("MARKER") && !said.contains("TUFSS0VS"), "{said}");
    }
    assert!(
        text.stdout.contains(&format!("    of the secret {name}/ours\n")),
        "{}",
        text.stdout
    );
    let gone = format!("secret {name}/gone\n  it is not there: the kubelet goes on without it\n");
    assert!(text.stdout.contains(&gone), "{}", text.stdout);
}

/// Rules of other tests are in the answer, too.
#[tokio::test(flavor = "multi_thread")]
async fn rules_of_the_cluster_are_checked() {
    let team = Team::new().await;
    team.may("list", "pullkey.dev", "clusterpullsecretrules", None).await;
    team.may("list", "pullkey.dev", "pullsecretrules", None).await;
    let sources = Namespace::with_labels(&json!({})).await;
    let copies = |secret: &str, source: &str| json!({"images": ["a.example"], "secret": {"name": secret, "copyFrom": {"namespace": sources.name, "name": source}}});
    // What no schema can see.
    let bad = team
        .rule("bad", &json!({"imageRegex": "a.example/(", "secret": {"name": "s"}}))
        .await;
    let first = team.rule("first", &copies("shared", "good")).await;
    let second = team.rule("second", &copies("shared", "broken")).await;
    let third = team.rule("third", &copies("third", "gone")).await;
    let auth = json!({"username": "me", "password": "MARKER"});
    team.secret(&sources, "good", &json!({"auths": {"a.example": auth}}))
        .await;
    team.secret(&sources, "broken", &json!({"a.example": auth})).await;

    let finding = |file: &str, message: &str| (file.to_owned(), message.to_owned());
    let cluster_rule = |name: &str| format!("ClusterPullSecretRule {name}");
    let (status, mistakes, warnings) = team.check("");
    assert_eq!(status, 1);
    assert_eq!(
        mistakes,
        [finding(&cluster_rule(&bad), "the regex does not parse: unclosed group")]
    );
    let overlap = "this rule and another one copy different sources to a secret `shared` of the same namespaces";
    assert!(
        warnings.contains(&finding(&cluster_rule(&second), overlap)),
        "{warnings:?}"
    );
    assert!(
        !warnings.iter().any(|(file, _)| *file == cluster_rule(&first)),
        "{warnings:?}"
    );

    // The file of a rule as it was applied is no news, one that says something else is.
    let applied = async |name: &str| {
        let path = format!("{RULES}/clusterpullsecretrules/{name}");
        team.api.get(&path).await.good()
    };
    team.put("file-same.json", &applied(&first).await.to_string());
    let other = with("spec", &copies("third", "good"), applied(&third).await);
    team.put("file-other.json", &other.to_string());
    let of = |file: &str, findings: &[(String, String)]| -> Vec<String> {
        let findings = findings.iter().filter(|(place, _)| place == file);
        findings.map(|(_, message)| message.clone()).collect()
    };
    let no_copies = "a rule in a file makes no copies: the controller reads the cluster's objects only";
    let (_, _, warnings) = team.check(" --rules file-same.json");
    assert_eq!(of("file-same.json", &warnings), [no_copies, overlap]);
    let (_, _, warnings) = team.check(" --rules file-other.json");
    let gives_way = "the cluster has an object of this name that says something else, and it wins";
    assert_eq!(of("file-other.json", &warnings), [no_copies, gives_way]);

    // Sources are looked at where somebody asks for it and may.
    let (_, mistakes, warnings) = team.check(" --secrets");
    assert_eq!(mistakes.len(), 1);
    let unread = of(&format!("namespace {}", sources.name), &warnings);
    assert_eq!(unread.len(), 1, "{warnings:?}");
    let message = "the sources of 3 rules were not looked at: could not get secrets ";
    assert!(unread[0].starts_with(message), "{unread:?}");
    team.may("get", "", "secrets", Some(&sources.name)).await;
    let (_, mistakes, warnings) = team.check(" --secrets");
    let problem = |name: &str, source: &str, problem: &str| {
        let message = format!(
            "no copies can be made of the source `{}/{source}`: {problem}",
            sources.name
        );
        (cluster_rule(name), message)
    };
    let flat = "it has the flat shape of a legacy `.dockercfg`, so no entry counts: wrap it in `auths`";
    assert_eq!(
        mistakes[1..],
        [
            problem(&second, "broken", flat),
            problem(&third, "gone", "there is no such Secret")
        ]
    );
    assert!(of(&format!("namespace {}", sources.name), &warnings).is_empty());

    let text = team.run("check --secrets");
    assert_eq!((text.status, text.stdout.as_str()), (1, ""));
    let place = format!("  --> ClusterPullSecretRule {bad}\n   = field: spec.imageRegex\n");
    assert!(text.stderr.contains(&place), "{}", text.stderr);
    assert!(!text.stderr.contains("MARKER"), "{}", text.stderr);
}
