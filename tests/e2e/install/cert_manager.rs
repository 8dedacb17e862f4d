//! The overlay for cert-manager, with its own custom resources and its own cainjector. Who issues certificates is played.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pullkey::certs::make::{Names, Pair};
use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyPair};
use rustls::pki_types::CertificateDer;

use super::*;
use crate::harness::cainjector;
use crate::harness::self_managed::{AUTHORITIES, SERVING, believed, certificates, shown};

const NAMESPACED: &str = "/apis/cert-manager.io/v1/namespaces/pullkey";
const REGISTRATIONS: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";

fn pem(secret: &Value, file: &str) -> Vec<u8> {
    STANDARD.decode(secret["data"][file].as_str().unwrap()).unwrap()
}

/// Writes the Secret that a Certificate asks for, or another one in its place, as its controller does.
async fn write_secret(api: &Api, certificate: &Value, authority: &Authority, tls: &Pair) {
    let name = certificate["spec"]["secretName"].as_str().unwrap();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        // The cainjector wants to see whose it is.
        "metadata": {"name": name, "annotations": {"cert-manager.io/certificate-name": certificate["metadata"]["name"]}},
        "data": {
            "ca.crt": authority.bundle(),
            "tls.crt": STANDARD.encode(&tls.certificate),
            "tls.key": STANDARD.encode(&tls.key),
        },
    });
    let path = format!("/api/v1/namespaces/pullkey/secrets/{name}");
    api.apply(&path, &secret).await.good();
}

/// The Issuer that a Certificate names.
async fn issuer(api: &Api, certificate: &Value) -> Value {
    let reference = &certificate["spec"]["issuerRef"];
    assert_eq!(
        (&reference["group"], &reference["kind"]),
        (&json!("cert-manager.io"), &json!("Issuer"))
    );
    let name = reference["name"].as_str().unwrap();
    // It may come after what names it.
    until("the Issuer is there", async || {
        let issuer = api.get(&format!("{NAMESPACED}/issuers/{name}")).await;
        (issuer.status == 200).then_some(issuer.object)
    })
    .await
}

/// Issues what is asked for: first this authority, signed by itself, then what it signs.
pub(super) async fn issue(api: &Api, authority: &Authority) {
    let certificates = until("the Certificates are there", async || {
        let certificates = api.get(&format!("{NAMESPACED}/certificates")).await;
        let certificates = certificates.object["items"].as_array()?.clone();
        (certificates.len() == 2).then_some(certificates)
    })
    .await;
    let (authorities, leaves): (Vec<_>, Vec<_>) = certificates
        .iter()
        .partition(|certificate| certificate["spec"]["isCA"] == true);
    let [wanted] = authorities[..] else {
        panic!("{certificates:?}")
    };
    let [leaf] = leaves[..] else { panic!("{certificates:?}") };

    assert!(issuer(api, wanted).await["spec"].get("selfSigned").is_some());
    write_secret(api, wanted, authority, authority.pair()).await;

    let issuer = issuer(api, leaf).await;
    let of_issuer = issuer["spec"]["ca"]["secretName"].as_str().unwrap();
    let of_issuer = format!("/api/v1/namespaces/pullkey/secrets/{of_issuer}");
    let of_issuer = api.get(&of_issuer).await.good();
    let signer = Authority::from_pem(
        &pem(&of_issuer, "tls.crt"),
        &pem(&of_issuer, "tls.key"),
        SystemTime::now(),
    );
    let signer = signer.unwrap();
    let dns = leaf["spec"]["dnsNames"].as_array().unwrap().iter();
    let names = Names {
        dns: dns.map(|name| name.as_str().unwrap().parse().unwrap()).collect(),
        addresses: Vec::new(),
    };
    let pair = signer
        .issue(&names, Duration::from_hours(24), SystemTime::now())
        .unwrap();
    write_secret(api, leaf, &signer, &pair).await;
}

pub(super) fn authority() -> Authority {
    Authority::new(SystemTime::now()).unwrap()
}

/// An authority as it is renewed with `rotationPolicy: Never`: another certificate for the same key.
fn renewed(authority: &Authority) -> Authority {
    let key = &authority.pair().key;
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, "Pullkey CA");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let certificate = parameters.self_signed(&KeyPair::from_pem(key).unwrap()).unwrap();
    Authority::from_pem(certificate.pem().as_bytes(), key.as_bytes(), SystemTime::now()).unwrap()
}

/// Installs its custom resources.
pub(super) async fn install_kinds(cluster: &Cluster) {
    let kinds = sources("cert-manager", "github.com/cert-manager/cert-manager") + "/deploy/crds/cert-manager.io";
    let script = format!("kubectl apply --server-side -f {kinds}_certificates.yaml -f {kinds}_issuers.yaml");
    cluster.run(&script).await;
    cluster
        .serves("certificates.cert-manager.io,issuers.cert-manager.io")
        .await;
}

/// Waits until the registration says to believe these, and no others.
async fn comes_to_believe(cluster: &Cluster, authorities: &[&Authority]) {
    let authorities: Vec<_> = authorities
        .iter()
        .map(|authority| authority.certificate().clone())
        .collect();
    until("these are believed", async || {
        (believed(&cluster.api).await == authorities).then_some(())
    })
    .await;
}

/// Who manages the `caBundle`.
async fn keepers(cluster: &Cluster) -> Vec<String> {
    let registration = cluster.api.get(REGISTRATION).await.good();
    let managers = registration["metadata"]["managedFields"].as_array().unwrap().iter();
    let keepers = managers.filter(|manager| manager["fieldsV1"].to_string().contains("f:caBundle"));
    keepers
        .map(|keeper| keeper["manager"].as_str().unwrap().to_owned())
        .collect()
}

/// Waits until the API server goes by all that was registered so far. It hears of it in that order, and so of this last
/// one, which nobody answers for.
async fn registrations_are_in_force(cluster: &Cluster) {
    let last = json!({
        "metadata": {"name": "last"},
        "webhooks": [{
            "name": "last.tests.pullkey.dev", "admissionReviewVersions": ["v1"], "sideEffects": "None",
            "failurePolicy": "Fail", "objectSelector": {"matchLabels": {"last": "true"}},
            "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}],
            "clientConfig": {"url": "https://127.0.0.1:1/"},
        }],
    });
    cluster.api.create(REGISTRATIONS, &last).await.good();
    let labelled = with("metadata", &json!({"labels": {"last": "true"}}), pod(&[IMAGE]));
    until("Pods of the last one are refused", async || {
        let path = "/api/v1/namespaces/team-a/pods?dryRun=All";
        (cluster.api.create(path, &labelled).await.status == 500).then_some(())
    })
    .await;
    cluster.api.delete(&format!("{REGISTRATIONS}/last")).await.good();
}

/// Waits until both replicas serve what was issued last, which who believes these authorities believes.
async fn serve_what_is_issued(cluster: &Cluster, believed: &[CertificateDer<'static>]) {
    until("the replicas serve what was issued", async || {
        let issued = certificates(&cluster.api.get(SERVING).await.good()["data"]["tls.crt"]);
        let replicas = cluster.serving().await;
        for address in &replicas {
            if shown(*address, believed).await.ok()? != issued[0] {
                return None;
            }
        }
        (replicas.len() == 2).then_some(())
    })
    .await;
}

/// Has all connections begin anew.
async fn restart_webhook(cluster: &Cluster) {
    let restart = "kubectl rollout restart deployment/pullkey-webhook --namespace pullkey
                   kubectl rollout status deployment/pullkey-webhook --namespace pullkey";
    cluster.run(restart).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cert_manager_brings_the_certificate_and_what_it_registered_is_left_to_it() {
    let cluster = cluster(&[]).await;
    install_kinds(&cluster).await;
    let _injector = cluster.guest(cainjector());
    cluster
        .run("kubectl label namespace team-b pullkey.dev/inject=true")
        .await;
    // As README.md says: the other overlay.
    let install = step("install").replace("overlays/self-managed", "overlays/cert-manager");
    let authority = authority();
    let (said, ()) = tokio::join!(cluster.run(&install), async {
        // While there is no certificate, Pods are created as they are, and the API server counts them.
        until("a call is not answered", async || {
            assert!(secrets(&cluster, "team-b").await.is_empty());
            let counted = cluster.api.get("/metrics").await.object;
            let counted = counted.as_str().unwrap();
            let line =
                |line: &str| line.starts_with("apiserver_admission_webhook_fail_open_count{name=\"pods.pullkey.dev\"");
            counted.lines().any(line).then_some(())
        })
        .await;
        issue(&cluster.api, &authority).await;
    });
    assert!(!said.stderr.contains("Warning"), "{}", said.stderr);
    first_injection(&cluster).await;
    let is_left_alone = async |what: &str| {
        let expected = [authority.certificate().clone()];
        assert_eq!(believed(&cluster.api).await, expected, "{what}");
        assert_eq!(keepers(&cluster).await, ["cert-manager-cainjector"], "{what}");
    };
    is_left_alone("from the beginning").await;

    is_settled(&cluster, "install").await;
    is_left_alone("applied once more").await;
    let said = cluster
        .run("kubectl apply --server-side -k install/overlays/cert-manager")
        .await;
    assert!(!said.stderr.contains("onflict"), "{}", said.stderr);
    is_left_alone("applied by the server").await;
    let said = cluster.run("pullkey doctor").await.stdout;
    assert!(!said.contains("caBundle"), "{said}");
    is_left_alone("looked at by the doctor").await;
    // A controller that is told to keep certificates, but not instead of cert-manager.
    cluster
        .run("kubectl apply -k install/overlays/self-managed --selector app.kubernetes.io/component=controller")
        .await;
    until("the controller says whose it is", async || {
        let said = cluster.said().await;
        said.contains("cert-manager keeps the caBundle of `pullkey`")
            .then_some(())
    })
    .await;
    is_left_alone("seen by a controller that keeps certificates").await;
    assert_eq!(cluster.api.get(AUTHORITIES).await.status, 404);
    assert_eq!(secrets(&cluster, "team-a").await, ["ghcr-acme"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn authorities_of_cert_manager_change_and_go_without_a_missed_pod() {
    let cluster = cluster(&[]).await;
    install_kinds(&cluster).await;
    let injector = cluster.guest(cainjector());
    let first = authority();
    let install = "pullkey manifests --out install --image registry.example/pullkey:0.1.0 --rules config/rules.yaml
                   kubectl apply -k install/overlays/cert-manager
                   kubectl rollout status deployment/pullkey-webhook --namespace pullkey";
    tokio::join!(cluster.run(install), issue(&cluster.api, &first));
    comes_to_believe(&cluster, &[&first]).await;
    until("Pods get their secret", async || {
        let [a, b] = [secrets(&cluster, "team-a").await, secrets(&cluster, "team-b").await];
        (a == ["ghcr-acme"] && a == b).then_some(())
    })
    .await;
    let creation = Creation::start(&cluster.api);
    creation.strict.store(true, Ordering::SeqCst);

    // Renewed with the same key: what is signed anew is believed before anybody hears of it.
    drop(injector);
    let second = renewed(&first);
    issue(&cluster.api, &second).await;
    restart_webhook(&cluster).await;
    serve_what_is_issued(&cluster, &[first.certificate().clone()]).await;
    comes_to_believe(&cluster, &[&first]).await;
    let _injector = cluster.guest(cainjector());
    comes_to_believe(&cluster, &[&first, &second]).await;

    // With another key: the cainjector is faster than a volume.
    let third = authority();
    issue(&cluster.api, &third).await;
    comes_to_believe(&cluster, &[&first, &second, &third]).await;
    registrations_are_in_force(&cluster).await;
    cluster.refresh_volumes().await;
    serve_what_is_issued(&cluster, &[third.certificate().clone()]).await;
    restart_webhook(&cluster).await;

    // Without cert-manager, as README.md says.
    cluster.follow_volumes();
    let patch = cluster
        .directory
        .path()
        .join("install/overlays/self-managed/manage-certificates.yaml");
    let margin = "- {op: add, path: /spec/template/spec/containers/0/args/-, value: --authority-margin=3s}\n";
    fs::write(&patch, fs::read_to_string(&patch).unwrap() + margin).unwrap();
    cluster.run(&step("leave-cert-manager")).await;
    let own = until("an authority of our own is believed, and no other", async || {
        let believed = believed(&cluster.api).await;
        let kept = cluster.api.get(AUTHORITIES).await.object;
        (!believed.is_empty() && certificates(&kept["data"]["ca.crt"]) == believed).then_some(believed)
    })
    .await;
    serve_what_is_issued(&cluster, &own).await;
    assert!(creation.end().await > 0);
}
