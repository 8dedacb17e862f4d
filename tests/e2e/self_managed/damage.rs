//! What somebody else does to certificates, while the controller runs and while it does not.

use pullkey::certs::make::{Authority, Names};
use std::time::{Duration, SystemTime};

use super::*;

/// So long that nothing ends while a test runs, and a margin that it can wait for: of how late an API server may hear, there
/// are other tests.
const LIVES: [&str; 3] = [
    "--certificate-lifetime=1h",
    "--authority-lifetime=4h",
    "--authority-margin=300ms",
];

/// The Secret of another authority, as one would be that this program made.
fn another() -> Value {
    let authority = Authority::new(SystemTime::now()).unwrap();
    let pair = authority.pair();
    json!({"ca.crt": pair.certificate, "ca.key": pair.key})
}

/// A certificate for the right name, of an authority that nobody believes.
fn foreign_leaf() -> Value {
    let names = Names {
        dns: vec!["pullkey-webhook.pullkey.svc".parse().unwrap()],
        addresses: Vec::new(),
    };
    let (now, hour) = (SystemTime::now(), Duration::from_hours(1));
    let pair = Authority::new(now).unwrap().issue(&names, hour, now).unwrap();
    json!({"tls.crt": pair.certificate, "tls.key": pair.key})
}

/// A Secret with that text data, in the place of the one that is there.
fn in_the_place_of(name: &str, form: &str, is_immutable: bool, data: &Value) -> String {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "pullkey"},
        "type": form, "immutable": is_immutable, "stringData": data,
    });
    // The controller may be faster with one of its own.
    format!(
        "until kubectl create -f - <<'END'\n{secret}\nEND\n\
         do kubectl delete secret {name} --namespace pullkey --ignore-not-found; done"
    )
}

fn merged(name: &str, key: &str, value: &str) -> String {
    let change = json!({"stringData": {key: value}});
    format!("kubectl patch secret {name} --namespace pullkey --type merge --patch '{change}'")
}

fn published(bundle: &str) -> String {
    let change = json!([{"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": STANDARD.encode(bundle)}]);
    format!("kubectl patch mutatingwebhookconfiguration pullkey --type json --patch '{change}'")
}

/// What is done, and in how many words.
fn damages() -> Vec<(&'static str, String)> {
    let delete = |name: &str| format!("kubectl delete secret {name} --namespace pullkey");
    let (ca, tls) = ("pullkey-webhook-ca", "pullkey-webhook-tls");
    vec![
        ("the authorities are deleted", delete(ca)),
        ("the key is damaged", merged(ca, "ca.key", "damaged")),
        (
            "another authority is put there",
            in_the_place_of(ca, "Opaque", false, &another()),
        ),
        (
            "something immutable is put there",
            in_the_place_of(ca, "Opaque", true, &json!({"a": "b"})),
        ),
        (
            "a Secret of another type is put there",
            in_the_place_of(ca, "example.org/other", false, &another()),
        ),
        ("the certificate is deleted", delete(tls)),
        ("the certificate is damaged", merged(tls, "tls.crt", "damaged")),
        (
            "a foreign certificate is put there",
            in_the_place_of(tls, "kubernetes.io/tls", true, &foreign_leaf()),
        ),
        ("both are deleted", format!("{}\n{}", delete(ca), delete(tls))),
        ("nothing is published", published("")),
        (
            "another authority is published",
            published(another()["ca.crt"].as_str().unwrap()),
        ),
        (
            "the registration is made anew",
            "kubectl delete mutatingwebhookconfiguration pullkey; kubectl apply -k install".to_owned(),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_damaged_while_the_controller_runs_is_put_right() {
    let cluster = installed(&LIVES).await;
    in_order(&cluster).await;
    for (what, damage) in damages() {
        println!("{what}");
        cluster.run(&damage).await;
        heals(&cluster).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_damaged_while_the_controller_is_down_is_put_right_at_its_start() {
    let cluster = installed(&LIVES).await;
    in_order(&cluster).await;
    // Each takes seconds: those that differ most.
    for (what, damage) in damages().into_iter().step_by(2) {
        println!("{what}");
        stop_controllers(&cluster).await;
        cluster.run(&damage).await;
        start_controllers(&cluster).await;
        heals(&cluster).await;
    }
}

/// All comes to order, and a Pod gets its secret.
async fn heals(cluster: &Cluster) {
    in_order(cluster).await;
    until("a Pod gets its secret", async || {
        (secrets(cluster).await == ["load"]).then_some(())
    })
    .await;
}
