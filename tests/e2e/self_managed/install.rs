//! A fresh installation, and what it says.

use super::*;
use crate::monitoring::unforeseen;

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_installation_comes_up_by_itself() {
    let cluster = installed(&[]).await;
    let (_, serving) = in_order(&cluster).await;

    // Neither a diff nor another way of applying it finds anything to change.
    let bundle = believed(&cluster.api).await;
    let said = cluster
        .run("kubectl diff -k install; kubectl apply -k install > /dev/null; kubectl apply --server-side -k install")
        .await;
    assert!(
        !said.stdout.contains("diff") && !said.stderr.contains("onflict"),
        "{}{}",
        said.stdout,
        said.stderr
    );
    assert_eq!(believed(&cluster.api).await, bundle);
    assert_eq!(in_order(&cluster).await.1, serving);

    let now = f64::from(u32::try_from(k8s_openapi::jiff::Timestamp::now().as_second()).unwrap());
    for (certificate, days) in [("authority", 3_650.0), ("serving", 15.0)] {
        let labels = format!("\"{certificate}\"");
        let until = cluster
            .of_controllers("pullkey_kept_certificate_not_after_timestamp_seconds", &labels)
            .await;
        assert!(
            (until - now - days * 86_400.0).abs() < 3_600.0,
            "{certificate}: {until}"
        );
        let made = cluster
            .of_controllers("pullkey_kept_certificate_made_timestamp_seconds", &labels)
            .await;
        assert!((made - now).abs() < 3_600.0, "{certificate}: {made}");
    }
    let events = cluster
        .api
        .get("/apis/events.k8s.io/v1/events")
        .await
        .good()
        .to_string();
    for reason in ["AuthorityMade", "AuthoritiesPublished", "CertificateSigned"] {
        assert!(events.contains(reason), "{reason}");
    }

    for metrics in cluster.metrics().await {
        assert_eq!(unforeseen(&metrics), [""; 0]);
    }

    // No key has left its Secret.
    let mut said = events + &cluster.api.get(REGISTRATION).await.good().to_string();
    said += &cluster.said().await;
    for (path, key) in [(AUTHORITIES, "ca.key"), (SERVING, "tls.key")] {
        let key = cluster.api.get(path).await.good()["data"][key]
            .as_str()
            .unwrap()
            .to_owned();
        let pem = String::from_utf8(STANDARD.decode(&key).unwrap()).unwrap();
        for line in pem.lines().chain([key.as_str()]).filter(|line| line.len() > 40) {
            assert!(
                !said.contains(line.trim_start_matches("-----BEGIN PRIVATE KEY-----")),
                "a key is told"
            );
        }
    }
}
