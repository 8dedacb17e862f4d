//! A serving certificate by cert-manager.

use serde_json::{Value, json};

use super::{CERTIFICATE, Manifest, Options, WEBHOOK, labels, server_name, webhook_labels};

/// The authority: its Certificate, its Secret and the Issuer that signs with it.
const AUTHORITY: &str = "pullkey-ca";
/// The Issuer of the authority's own certificate.
const SELF_SIGNED: &str = "pullkey-self-signed";
const API_VERSION: &str = "cert-manager.io/v1";

/// The annotations of a registration whose `caBundle` cert-manager keeps.
pub(super) fn annotations(options: &Options) -> Value {
    json!({"cert-manager.io/inject-ca-from": format!("{}/{WEBHOOK}", options.namespace)})
}

/// What cert-manager needs to be told.
pub(super) fn objects(options: &Options) -> Vec<Manifest> {
    let issuer = |name: &str, spec: Value| {
        json!({
            "apiVersion": API_VERSION,
            "kind": "Issuer",
            "metadata": {"labels": labels(), "name": name, "namespace": options.namespace},
            "spec": spec,
        })
    };
    vec![
        Manifest::new(
            "Signs the authority, and nothing else.",
            issuer(SELF_SIGNED, json!({"selfSigned": {}})),
        ),
        Manifest::new(
            "An authority of Pullkey's own, so that the registration need not change when the serving certificate does. It\n\
             lives for ten years and is renewed a year before its end with the same key: what the old one signed and what the\n\
             new one signs can be checked with either.",
            json!({
                "apiVersion": API_VERSION,
                "kind": "Certificate",
                "metadata": {"labels": labels(), "name": AUTHORITY, "namespace": options.namespace},
                "spec": {
                    "commonName": AUTHORITY,
                    "duration": "87600h",
                    "isCA": true,
                    "issuerRef": {"group": "cert-manager.io", "kind": "Issuer", "name": SELF_SIGNED},
                    "privateKey": {"algorithm": "ECDSA", "rotationPolicy": "Never", "size": 256},
                    "renewBefore": "8760h",
                    "secretName": AUTHORITY,
                },
            }),
        ),
        Manifest::new(
            "Signs serving certificates.",
            issuer(AUTHORITY, json!({"ca": {"secretName": AUTHORITY}})),
        ),
        Manifest::new(
            "The serving certificate, for the one name by which the API server calls. It is renewed a month before its end,\n\
             and the webhook serves the new one without a restart.",
            json!({
                "apiVersion": API_VERSION,
                "kind": "Certificate",
                "metadata": {"labels": webhook_labels(), "name": WEBHOOK, "namespace": options.namespace},
                "spec": {
                    "dnsNames": [server_name(&options.namespace)],
                    "duration": "2160h",
                    "issuerRef": {"group": "cert-manager.io", "kind": "Issuer", "name": AUTHORITY},
                    "privateKey": {"algorithm": "ECDSA", "rotationPolicy": "Always", "size": 256},
                    "renewBefore": "720h",
                    "secretName": CERTIFICATE,
                    "usages": ["digital signature", "server auth"],
                },
            }),
        ),
    ]
}
