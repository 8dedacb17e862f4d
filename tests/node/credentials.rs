//! `pullkey explain --credentials` against reality: what it predicts of keys, secrets and images is what the kubelet does.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Namespace, with};
use crate::machine::{HOST, Outcome, Team, Workload as _, node, private_pod};

/// How many tables of secrets are drawn, besides those with one good entry.
const DRAWN: usize = 28;

/// Keys of a docker config, where `HOST` is that of the image and `TEAM` the first segment of its repository.
const KEYS: [&str; 19] = [
    "HOST",
    "HOST/TEAM",
    "HOST/TEAM/",
    "HOST/TEAM/app",
    "HOST/tea",
    "http://HOST",
    "https://HOST",
    "https://HOST/v1/",
    "https://HOST/v2/",
    "*.acme.example",
    "registry.*.example",
    // These serve something else.
    "*.example",
    "HOST:443",
    "HOST/other",
    "HOST/TEAM/app:1",
    "HTTPS://HOST",
    "https://index.docker.io/v1/",
    "[HOST",
    "",
];

/// What stands beside a key. The first two are good for the image.
const ENTRIES: [&str; 8] = [
    "auth",
    "username and password",
    "wrong password",
    "nothing",
    "no base64",
    "no colon",
    "no string",
    "other fields",
];

/// What is predicted and what is seen of a Pod.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Pulled,
    /// No credentials were shown to the registry.
    Anonymous,
    /// The registry takes none of them.
    Unauthorized,
    /// The kubelet does not even try, for that reason.
    PodRefused(&'static str),
}

/// Numbers that are the same in every run (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(limit).unwrap()).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_explain_predicts_of_credentials_is_what_the_kubelet_does() {
    let Some(node) = node().await else { return };
    let team = Team::new(&node.servers.named, HOST);
    let namespace = team.namespace("a").await;
    let mut pods = Vec::new();
    for (number, secrets) in table(&team).into_iter().enumerate() {
        let names = create(&namespace, number, &secrets).await;
        let mut pod = with("spec", &json!({"imagePullSecrets": names}), private_pod(&[&team.image]));
        pod["spec"]["containers"][0]["imagePullPolicy"] = json!("Always");
        let created = namespace.pod(&pod).await;
        let name = created["metadata"]["name"].as_str().unwrap().to_owned();
        pods.push((name, secrets));
    }
    let mut wrong = Vec::new();
    let mut fates = BTreeMap::<_, usize>::new();
    for (name, secrets) in pods {
        let predicted = predict(&team, &secrets);
        let seen = see(&namespace.outcome(&name).await);
        *fates.entry(predicted.clone()).or_default() += 1;
        if seen.as_ref() != Ok(&predicted) {
            wrong.push(format!(
                "{predicted:?} was predicted, and {seen:?} seen, for {secrets:#?}"
            ));
        }
    }
    println!("{fates:#?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(fates.len() >= 6, "every fate is met");
}

/// Lists of Secrets.
fn table(team: &Team) -> Vec<Vec<Value>> {
    let one_entry = KEYS.iter().map(|key| vec![dockerconfigjson(&[(key, 0)], team)]);
    let mut random = Random(7);
    let mut draw = || {
        let mut entries: [(&str, usize); 2] = [("", 0); 2];
        for entry in &mut entries {
            // What is malformed spoils everything, so it is drawn less often than it would be.
            let kind = if random.below(3) == 0 {
                random.below(8)
            } else {
                random.below(4)
            };
            *entry = (KEYS[random.below(KEYS.len())], kind);
        }
        let entries = &entries[..=random.below(2)];
        match random.below(4) {
            0 => dockercfg(entries, team),
            _ => dockerconfigjson(entries, team),
        }
    };
    let drawn: Vec<_> = (0..DRAWN)
        .map(|number| (0..=number % 3).map(|_| draw()).collect())
        .collect();
    one_entry.chain(drawn).collect()
}

fn dockerconfigjson(entries: &[(&str, usize)], team: &Team) -> Value {
    let config = json!({"auths": auths(entries, team)});
    typed("kubernetes.io/dockerconfigjson", ".dockerconfigjson", &config)
}

fn dockercfg(entries: &[(&str, usize)], team: &Team) -> Value {
    typed("kubernetes.io/dockercfg", ".dockercfg", &auths(entries, team))
}

fn typed(r#type: &str, key: &str, config: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": r#type, "metadata": {"name": "drawn"},
        "data": {key: STANDARD.encode(config.to_string())},
    })
}

fn auths(entries: &[(&str, usize)], team: &Team) -> Value {
    let (user, password) = (&team.name, &team.password);
    let entries = entries.iter().map(|(key, kind)| {
        let value = match ENTRIES[*kind] {
            "auth" => json!({"auth": STANDARD.encode(format!("{user}:{password}"))}),
            "username and password" => json!({"username": user, "password": password}),
            "wrong password" => json!({"username": "nobody", "password": "wrong"}),
            "nothing" => json!({}),
            "no base64" => json!({"auth": "no base64!"}),
            "no colon" => json!({"auth": STANDARD.encode("no colon")}),
            "no string" => json!({"auth": 7}),
            _ => json!({"email": "team@acme.example", "username": user, "password": password}),
        };
        (key.replace("HOST", HOST).replace("TEAM", &team.name), value)
    });
    Value::Object(entries.collect())
}

/// Creates the Secrets of a row, and gives how a Pod names them.
async fn create(namespace: &Namespace, row: usize, secrets: &[Value]) -> Vec<Value> {
    let mut names = Vec::new();
    for (number, secret) in secrets.iter().enumerate() {
        let name = format!("row-{row}-{number}");
        let secret = with("metadata", &json!({"name": name}), secret.clone());
        namespace
            .api
            .create(&namespace.path("secrets", ""), &secret)
            .await
            .good();
        names.push(json!({"name": name}));
    }
    names
}

/// What follows from what `explain` says.
fn predict(team: &Team, secrets: &[Value]) -> Fate {
    let folder = TempDir::new().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_pullkey"));
    command.args(["explain", "--output=json", &team.image]);
    for (number, secret) in secrets.iter().enumerate() {
        let path = folder.path().join(format!("{number}.json"));
        fs::write(&path, secret.to_string()).unwrap();
        command.arg("--credentials").arg(path);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let credentials = &answer["images"][0]["credentials"];
    if let Some(error) = credentials["error"].as_str() {
        let reasons = [
            ("is not base64 of `username:password`", "colon"),
            ("is not base64", "base64"),
            ("is not a string", "string"),
        ];
        let reason = reasons.iter().find(|(said, _)| error.contains(said));
        return Fate::PodRefused(reason.unwrap_or_else(|| panic!("{error}")).1);
    }
    let users: Vec<_> = credentials
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["username"].as_str())
        .collect();
    if users.contains(&Some(&team.name)) {
        Fate::Pulled
    } else if users.contains(&Some("nobody")) {
        Fate::Unauthorized
    } else {
        // Whoever has a blank one shows nothing either.
        Fate::Anonymous
    }
}

/// What was seen, or what nobody has thought of.
fn see(outcome: &Outcome) -> Result<Fate, String> {
    let (reason, message) = match outcome {
        Outcome::Runs => return Ok(Fate::Pulled),
        Outcome::Waits(reason, message) => (reason, message),
    };
    let refusals = [
        ("illegal base64 data", "base64"),
        ("unable to parse auth field", "colon"),
        ("json: cannot unmarshal number", "string"),
    ];
    if let Some((_, refusal)) = refusals.iter().find(|(begins, _)| reason.starts_with(begins)) {
        return Ok(Fate::PodRefused(refusal));
    }
    match reason.as_str() {
        "ErrImagePull" | "ImagePullBackOff" if message.contains("401 Unauthorized") => Ok(Fate::Unauthorized),
        "ErrImagePull" | "ImagePullBackOff" if message.contains("no basic auth credentials") => Ok(Fate::Anonymous),
        _ => Err(format!("{outcome:?}")),
    }
}
