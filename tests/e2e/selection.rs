//! Which rules apply: each kind of them, on the real way of a review.

use crate::harness::{Installation, Setup, pod, unique};

fn rules(team: &str) -> String {
    format!(
        "
apiVersion: pullkey.dev/v1alpha1
kind: ClusterPullSecretRule
metadata: {{name: registry}}
spec:
  images: [a.example, 'a.example:5000']
  exceptImages: [a.example/public]
  namespaces: {{include: ['*'], exclude: ['*-sandbox']}}
  secret: {{name: a-pull}}
---
apiVersion: pullkey.dev/v1alpha1
kind: ClusterPullSecretRule
metadata: {{name: regions}}
spec: {{images: ['*.ecr.*.example'], namespaces: {{include: ['*']}}, secret: {{name: ecr-pull}}}}
---
apiVersion: pullkey.dev/v1alpha1
kind: ClusterPullSecretRule
metadata: {{name: by-expression}}
spec: {{imageRegex: 'b\\.example/(app|job)-[0-9]+', namespaces: {{include: ['*']}}, secret: {{name: b-pull}}}}
---
apiVersion: pullkey.dev/v1alpha1
kind: ClusterPullSecretRule
metadata: {{name: docker-hub}}
spec: {{images: [docker.io], namespaces: {{include: ['*']}}, secret: {{name: hub-pull}}}}
---
apiVersion: pullkey.dev/v1alpha1
kind: ClusterPullSecretRule
metadata: {{name: tomorrow}}
spec: {{images: [s.example], namespaces: {{include: ['*']}}, secret: {{name: s-pull}}, mode: Shadow}}
---
apiVersion: pullkey.dev/v1alpha1
kind: PullSecretRule
metadata: {{name: harbor, namespace: {team}}}
spec: {{images: ['harbor.example:8443'], secret: {{name: harbor-pull}}}}
"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_rule_does_what_it_says() {
    let (team, other, sandbox) = (unique("team"), unique("other"), unique("team") + "-sandbox");
    let rules = rules(&team);
    let pullkey = Installation::start(&Setup {
        rules: &rules,
        ..Setup::default()
    })
    .await;
    let rows: [(_, &[_], &[_]); 21] = [
        (&team, &["a.example/app"], &["a-pull"]),
        (
            &team,
            &["a.example/app:1@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"],
            &["a-pull"],
        ),
        (&team, &["a.example:5000/app"], &["a-pull"]),
        (&team, &["a.example:443/app"], &[]),
        (&team, &["xa.example/app"], &[]),
        (&team, &["a.example.evil/app"], &[]),
        (&sandbox, &["a.example/app"], &[]),
        (&team, &["a.example/public/app"], &[]),
        (&team, &["a.example/publicity/app"], &["a-pull"]),
        (&team, &["a.example/public/app", "a.example/app"], &["a-pull"]),
        (&team, &["1234.ecr.eu-1.example/app"], &["ecr-pull"]),
        (&team, &["1234.ecr.eu.1.example/app"], &[]),
        (&team, &["b.example/app-1:latest"], &["b-pull"]),
        (&team, &["b.example/app-1/more"], &[]),
        (&team, &["nginx"], &["hub-pull"]),
        (&team, &["docker.io/library/nginx"], &["hub-pull"]),
        (&team, &["index.docker.io/nginx"], &["hub-pull"]),
        (&team, &["quay.example/nginx"], &[]),
        (&team, &["s.example/app"], &[]),
        (&team, &["harbor.example:8443/app"], &["harbor-pull"]),
        (&other, &["harbor.example:8443/app"], &[]),
    ];
    let mut namespaces = Vec::new();
    for name in [&team, &other, &sandbox] {
        namespaces.push(pullkey.namespace_named(name).await);
    }
    for (name, images, secrets) in rows {
        let namespace = namespaces.iter().find(|namespace| &namespace.name == name).unwrap();
        namespace
            .mutates(&format!("{images:?} in {name}"), &pod(images), secrets)
            .await;
    }
    let shadowed = pullkey.replicas[0].metric("pullkey_shadow_decisions_total", "").await;
    assert!((1.0..2.0).contains(&shadowed), "{shadowed}");
}
