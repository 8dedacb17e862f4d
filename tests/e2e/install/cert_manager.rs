//! The overlay for cert-manager, with cert-manager's own custom resources; its controllers are played.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pullkey::certs::make::Names;

use super::*;

const NAMESPACED: &str = "/apis/cert-manager.io/v1/namespaces/pullkey";
const SECRETS: &str = "/api/v1/namespaces/pullkey/secrets";

fn pem(secret: &Value, file: &str) -> Vec<u8> {
    STANDARD.decode(secret["data"][file].as_str().unwrap()).unwrap()
}

/// Writes the Secret that a Certificate asks for, as its controller does.
async fn write_secret(api: &Api, certificate: &Value, authority: &Authority, tls: (&str, &str)) {
    let secret = json!({
        "metadata": {"name": certificate["spec"]["secretName"]}, "type": "kubernetes.io/tls",
        "stringData": {"ca.crt": authority.pair().certificate, "tls.crt": tls.0, "tls.key": tls.1},
    });
    api.create(SECRETS, &secret).await.good();
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

/// Issues what is asked for: first the authority, signed by itself, then what it signs.
pub(super) async fn issue(api: &Api) {
    let certificates = until("the Certificates are there", async || {
        let certificates = api.get(&format!("{NAMESPACED}/certificates")).await;
        let certificates = certificates.object["items"].as_array()?.clone();
        (certificates.len() == 2).then_some(certificates)
    })
    .await;
    let (authorities, leaves): (Vec<_>, Vec<_>) = certificates
        .iter()
        .partition(|certificate| certificate["spec"]["isCA"] == true);
    let [authority] = authorities[..] else {
        panic!("{certificates:?}")
    };
    let [leaf] = leaves[..] else { panic!("{certificates:?}") };

    assert!(issuer(api, authority).await["spec"].get("selfSigned").is_some());
    let made = Authority::new(SystemTime::now()).unwrap();
    write_secret(api, authority, &made, (&made.pair().certificate, &made.pair().key)).await;

    let issuer = issuer(api, leaf).await;
    let of_issuer = issuer["spec"]["ca"]["secretName"].as_str().unwrap();
    let of_issuer = api.get(&format!("{SECRETS}/{of_issuer}")).await.good();
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
    write_secret(api, leaf, &signer, (&pair.certificate, &pair.key)).await;
}

/// Puts the authority of the Certificate that the registration names into it, as the injector does.
pub(super) async fn inject(api: &Api) {
    let mut registration = api.get(REGISTRATION).await.good();
    let certificate = registration["metadata"]["annotations"]["cert-manager.io/inject-ca-from"].clone();
    let (namespace, name) = certificate.as_str().unwrap().split_once('/').unwrap();
    let path = format!("/apis/cert-manager.io/v1/namespaces/{namespace}/certificates/{name}");
    let certificate = api.get(&path).await.good();
    let secret = certificate["spec"]["secretName"].as_str().unwrap();
    let secret = api
        .get(&format!("/api/v1/namespaces/{namespace}/secrets/{secret}"))
        .await
        .good();
    registration["webhooks"][0]["clientConfig"]["caBundle"] = secret["data"]["ca.crt"].clone();
    api.replace(REGISTRATION, &registration).await.good();
}

pub(super) async fn ca_bundle(cluster: &Cluster) -> Value {
    cluster.api.get(REGISTRATION).await.good()["webhooks"][0]["clientConfig"]["caBundle"].clone()
}

/// Installs its custom resources.
pub(super) async fn install_kinds(cluster: &Cluster) {
    let sources = sources("cert-manager");
    cluster
        .run(&format!(
            "for kind in certificates issuers; do
                 kubectl apply --server-side --filename {sources}/deploy/crds/cert-manager.io_$kind.yaml
                 kubectl wait --for condition=Established crd/$kind.cert-manager.io
             done"
        ))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cert_manager_brings_the_certificate_and_keeps_what_it_registered() {
    let cluster = cluster(&[]).await;
    install_kinds(&cluster).await;
    cluster
        .run("kubectl label namespace team-b pullkey.dev/inject=true")
        .await;
    // As README.md says: the other overlay, and no `pullkey certs`.
    let install: String = step("install")
        .replace("overlays/given-certificate", "overlays/cert-manager")
        .split_inclusive('\n')
        .filter(|line| !line.starts_with("pullkey certs"))
        .collect();
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
        issue(&cluster.api).await;
        inject(&cluster.api).await;
    });
    assert!(!said.stderr.contains("Warning"), "{}", said.stderr);
    first_injection(&cluster).await;

    let bundle = ca_bundle(&cluster).await;
    assert!(bundle.is_string());
    is_settled(&cluster, "install").await;
    assert_eq!(ca_bundle(&cluster).await, bundle);
    let said = cluster
        .run("kubectl apply --server-side -k install/overlays/cert-manager")
        .await;
    assert!(!said.stderr.contains("onflict"), "{}", said.stderr);
    assert_eq!(ca_bundle(&cluster).await, bundle);
    assert_eq!(secrets(&cluster, "team-a").await, ["ghcr-acme"]);
}
