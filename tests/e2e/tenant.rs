//! Somebody with every right in one namespace and none elsewhere, who wants another's credential, or to hurt others.
//!
//! What he does happens with his own rights, on a real API server, to the controller and the webhook as they are shipped.

use serde_json::{Value, json};

use crate::harness::{
    Answer, Api, Copier, Installation, Namespace, RULES, pod, pull_secret, pull_secrets, rule, unique, until,
};

mod crowd;

/// The strongest role that an admin gives in a namespace.
const ROLE: &str = "admin";
const COPY_LABEL: &str = "pullkey.dev/copy";

/// A tenant, and what is at stake: rules for him, for others, for both, and one that is only tried out.
struct Scene {
    copier: Copier,
    tenant: Namespace,
    other: Namespace,
    user: Api,
    both: String,
    others: String,
    shadow: String,
}

impl Scene {
    async fn start() -> Self {
        let copier = Copier::start(&[]).await;
        let label = unique("stake");
        let [tenant, other] = [
            Namespace::named(&format!("a-{label}"), &json!({})).await,
            Namespace::named(&format!("b-{label}"), &json!({})).await,
        ];
        let user = tenant.user(ROLE).await;
        let [both, others, shadow] = [(); 3].map(|()| unique("stake"));
        for (source, password) in [("both", "shared"), ("others", "MARKER"), ("shadow", "MARKER")] {
            copier.source(source, password).await;
        }
        copier
            .rule(&both, "both", &json!({"include": [tenant.name, other.name]}))
            .await;
        copier.rule(&others, "others", &json!({"include": [other.name]})).await;
        let tried_out = json!({
            "apiVersion": "pullkey.dev/v1alpha1", "kind": "ClusterPullSecretRule", "metadata": {"name": shadow},
            "spec": {
                "images": ["registry.example"], "namespaces": {"include": ["*"]}, "mode": "Shadow",
                "secret": {"name": shadow, "copyFrom": {"namespace": copier.sources.name, "name": "shadow"}},
            },
        });
        copier.apply_rule(&shadow, &tried_out).await;
        let scene = Self {
            copier,
            tenant,
            other,
            user,
            both,
            others,
            shadow,
        };
        scene.copier.has_copy(&scene.tenant, &scene.both, "shared").await;
        scene.copier.has_copy(&scene.other, &scene.both, "shared").await;
        scene.copier.has_copy(&scene.other, &scene.others, "MARKER").await;
        until("he has his rights", async || {
            let secrets = scene.user.get(&scene.tenant.path("secrets", "")).await;
            (secrets.status == 200).then_some(())
        })
        .await;
        scene
    }

    /// What he applies under the controller's name: a copy, by its own account, of that source.
    async fn forge(&self, name: &str, source: &str, version: &str) -> Answer {
        let mut object = pull_secret(name, "forged");
        object["metadata"] = json!({
            "name": name, "labels": {COPY_LABEL: "true"},
            "annotations": {
                "pullkey.dev/source": format!("{}/{source}", self.copier.sources.name),
                "pullkey.dev/source-version": version,
            },
        });
        let path = format!("{}?fieldManager=pullkey&force=true", self.tenant.path("secrets", name));
        self.user
            .call(
                axum::http::Method::PATCH,
                &path,
                "application/apply-patch+yaml",
                Some(&object),
            )
            .await
    }

    async fn secret(&self, name: &str) -> Value {
        self.user.get(&self.tenant.path("secrets", name)).await.object
    }

    /// New versions of all sources reach everybody else at once, and the tenant has and reads nothing of them.
    async fn others_get_theirs_and_he_does_not(&self, version: &str) {
        let marked = format!("MARKER-{version}");
        self.copier.source("both", version).await;
        for source in ["others", "shadow"] {
            self.copier.source(source, &marked).await;
        }
        self.copier.has_copy(&self.other, &self.both, version).await;
        self.copier.has_copy(&self.other, &self.others, &marked).await;
        let born = Namespace::named(&unique("stake"), &json!({})).await;
        let more = json!({"spec": {"namespaces": {"include": [self.other.name, born.name]}}});
        let path = format!("{RULES}/clusterpullsecretrules/{}", self.others);
        self.copier.api.merge(&path, &more).await.good();
        self.copier.has_copy(&born, &self.others, &marked).await;
        self.has_nothing_of_theirs().await;
    }

    async fn has_nothing_of_theirs(&self) {
        // As far as the encoded data are the same, whatever comes after the marker.
        let [one, other] = ["MARKER", "MARKER-"].map(|password| pull_secret("x", password)["data"].to_string());
        let same = one.chars().zip(other.chars()).take_while(|(one, other)| one == other);
        let same: String = same.map(|(one, _)| one).collect();
        let (_, encoded) = same.rsplit_once('"').unwrap();
        let events = format!("/apis/events.k8s.io/v1/namespaces/{}/events", self.tenant.name);
        let rules = format!("{RULES}/namespaces/{}/pullsecretrules", self.tenant.name);
        for path in [
            self.tenant.path("secrets", ""),
            self.tenant.path("events", ""),
            events,
            rules,
        ] {
            let text = self.user.get(&path).await.good().to_string();
            assert!(!text.contains("MARKER") && !text.contains(encoded), "{path}: {text}");
        }
        let log = self.copier.replicas[0].log();
        assert!(
            !log.contains("MARKER") && !log.contains(encoded),
            "a credential in the log"
        );
    }

    async fn is_told(&self, reason: &str) {
        until(&format!("the rule says {reason} of his namespace alone"), async || {
            let status = self.copier.status(&self.both).await;
            let refusals = status["refusals"].as_array()?;
            let [refusal] = &refusals[..] else { return None };
            let is_his = refusal["namespace"] == *self.tenant.name && refusal["reason"] == *reason;
            (is_his && status["namespaces"]["ready"] == 1).then_some(())
        })
        .await;
    }

    async fn writes(&self) -> f64 {
        let copier = &self.copier.replicas[0];
        let mut writes = 0.0;
        for kind in ["create", "update", "replace", "delete"] {
            writes += copier.metric("pullkey_copy_writes_total", kind).await;
        }
        writes
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_he_writes_gets_him_what_is_not_his() {
    let scene = Scene::start().await;
    let [own, copy] = ["", scene.both.as_str()].map(|name| scene.tenant.path("secrets", name));

    // His copy says that it is made of another source, in annotations and in fields that look like the controller's.
    let elsewhere = format!("{}/others", scene.copier.sources.name);
    let annotations = json!({"metadata": {"annotations": {"pullkey.dev/source": elsewhere}}});
    scene.user.merge(&copy, &annotations).await.good();
    scene.forge(&scene.both, "others", "uid/1").await.good();
    // Secrets by the names of others' copies: as copies, handed over, and both.
    scene.forge(&scene.others, "others", "uid/1").await.good();
    scene.forge(&scene.shadow, "shadow", "uid/1").await.good();
    let adopt = json!({"metadata": {"labels": {"pullkey.dev/adopt": "true"}}});
    for name in [&scene.others, &scene.shadow] {
        scene
            .user
            .merge(&scene.tenant.path("secrets", name), &adopt)
            .await
            .good();
    }
    let mut handed_over = pull_secret("handed-over", "x");
    handed_over["metadata"]["labels"] = json!({"pullkey.dev/adopt": "true", COPY_LABEL: "true"});
    scene.user.create(&own, &handed_over).await.good();
    // managedFields by which a Secret that he made is the controller's.
    let mut made = pull_secret("made", "x");
    made["metadata"]["labels"] = json!({COPY_LABEL: "true"});
    scene.user.create(&own, &made).await.good();
    let fields = scene.secret(&scene.shadow).await["metadata"]["managedFields"][0].clone();
    assert_eq!(fields["manager"], "pullkey");
    let rewritten = json!({"metadata": {"managedFields": [fields]}});
    scene
        .user
        .merge(&scene.tenant.path("secrets", "made"), &rewritten)
        .await
        .good();

    scene.others_get_theirs_and_he_does_not("second").await;
    scene.copier.has_copy(&scene.tenant, &scene.both, "second").await;
    for name in [&scene.others, &scene.shadow] {
        let kept = scene.secret(name).await;
        assert_eq!(kept["data"], pull_secret("x", "forged")["data"], "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_he_does_to_his_copies_others_get_theirs() {
    let scene = Scene::start().await;
    let path = scene.tenant.path("secrets", &scene.both);
    let fresh = async || {
        scene
            .user
            .merge(&path, &json!({"metadata": {"finalizers": null}}))
            .await;
        scene.user.delete(&path).await;
    };

    // One that is his from the beginning.
    fresh().await;
    until("his is there, and not the copy", async || {
        let status = scene
            .user
            .create(&scene.tenant.path("secrets", ""), &pull_secret(&scene.both, "own"))
            .await
            .status;
        if status == 409 {
            fresh().await;
        }
        (status == 201).then_some(())
    })
    .await;
    scene.is_told("Foreign").await;
    scene.others_get_theirs_and_he_does_not("second").await;
    assert_eq!(scene.secret(&scene.both).await["data"], pull_secret("x", "own")["data"]);

    // One that cannot be changed, and one that cannot go.
    let adopt = json!({"metadata": {"labels": {"pullkey.dev/adopt": "true"}}});
    scene.user.merge(&path, &adopt).await.good();
    scene.copier.has_copy(&scene.tenant, &scene.both, "second").await;
    let stuck = json!({"immutable": true, "metadata": {"finalizers": ["tenant.example/never"]}});
    scene.user.merge(&path, &stuck).await.good();
    scene.user.delete(&path).await.good();
    scene.others_get_theirs_and_he_does_not("third").await;
    scene.is_told("Immutable").await;
    fresh().await;
    scene.copier.has_copy(&scene.tenant, &scene.both, "third").await;

    // One that is nobody's: without a label, and without anybody who wrote it.
    let nobody = json!({"metadata": {"labels": null, "managedFields": [{}]}});
    scene.user.merge(&path, &nobody).await.good();
    scene.others_get_theirs_and_he_does_not("fourth").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_fights_the_controller_loses_his_patience_and_keeps_nobody_waiting() {
    const ROUNDS: u32 = 60;
    let scene = Scene::start().await;
    let path = scene.tenant.path("secrets", &scene.both);
    let spoilt = |round: u32| json!({"data": pull_secret("x", &format!("spoilt-{round}"))["data"]});
    let before = scene.writes().await;
    for round in 0..ROUNDS {
        match round % 3 {
            0 => _ = scene.user.merge(&path, &spoilt(round)).await,
            1 => _ = scene.user.merge(&path, &json!({"metadata": {"labels": null}})).await,
            _ => _ = scene.user.delete(&path).await,
        }
        // Secrets that look like copies and that nobody wants come and go beside it.
        let name = format!("churn-{round}");
        scene.forge(&name, "both", "uid/1").await.good();
        scene.user.delete(&scene.tenant.path("secrets", &name)).await.good();
    }
    // Others' copies are written meanwhile, and at once.
    let others = scene.writes().await - before;
    assert!(others < 20.0, "{others} writes against {ROUNDS} changes");
    until("he is told", async || {
        scene.user.merge(&path, &spoilt(ROUNDS)).await;
        let status = scene.copier.status(&scene.both).await;
        (status["refusals"][0]["reason"] == "Contended").then_some(())
    })
    .await;
    scene.is_told("Contended").await;
    let events = format!("/apis/events.k8s.io/v1/namespaces/{}/events", scene.tenant.name);
    let told = until("the event is there", async || {
        let events = scene.user.get(&events).await.good();
        let events = events["items"].as_array().unwrap().iter();
        let told: Vec<_> = events.filter(|event| event["reason"] == "Contended").cloned().collect();
        (!told.is_empty()).then_some(told)
    })
    .await;
    assert_eq!(told.len(), 1, "once an hour: {told:?}");
    scene.others_get_theirs_and_he_does_not("second").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn he_says_in_rules_only_what_is_his_to_say() {
    let pullkey = Installation::with_rules(&rule("a", "a.example")).await;
    let [tenant, other] = [
        Namespace::with_labels(&json!({})).await,
        Namespace::with_labels(&json!({})).await,
    ];
    let rules = |namespace: &str| format!("{RULES}/namespaces/{namespace}/pullsecretrules");
    let own = rules(&tenant.name);
    for role in ["edit", ROLE] {
        let user = tenant.user(role).await;
        let made = |spec: Value| {
            json!({
                "apiVersion": "pullkey.dev/v1alpha1", "kind": "PullSecretRule", "metadata": {"generateName": "rule-"},
                "spec": spec,
            })
        };
        until("he has his rights", async || {
            let spec = json!({"images": ["a.example"], "secret": {"name": "s"}});
            (user.create(&format!("{own}?dryRun=All"), &made(spec)).await.status == 201).then_some(())
        })
        .await;
        let source = json!({"namespace": pullkey.id, "name": "pullkey-webhook-tls"});
        for (what, spec) in [
            (
                "a source",
                json!({"images": ["a.example"], "secret": {"name": "s", "copyFrom": source}}),
            ),
            ("a source alone", json!({"secret": {"name": "s", "copyFrom": source}})),
            (
                "namespaces",
                json!({"images": ["a.example"], "secret": {"name": "s"}, "namespaces": {"include": ["*"]}}),
            ),
            (
                "a regex",
                json!({"images": ["a.example"], "secret": {"name": "s"}, "imageRegex": "(a*)*b"}),
            ),
            ("a regex alone", json!({"secret": {"name": "s"}, "imageRegex": ".*"})),
            (
                "a Secret elsewhere",
                json!({"images": ["a.example"], "secret": {"name": format!("{}/s", other.name)}}),
            ),
            (
                "too many images",
                json!({"images": vec!["a.example"; 65], "secret": {"name": "s"}}),
            ),
            (
                "an image too long",
                json!({"images": [format!("a.example/{}", "a".repeat(250))], "secret": {"name": "s"}}),
            ),
        ] {
            let answer = user.create(&format!("{own}?dryRun=All"), &made(spec)).await;
            let spec = &answer.object["spec"];
            let fields = ["namespaces", "imageRegex"].map(|field| &spec[field]);
            let is_dropped = fields.iter().all(|field| field.is_null()) && spec["secret"]["copyFrom"].is_null();
            // What the schema does not know is thrown away, with a warning; `kubectl` makes it an error.
            let is_refused = answer.status == 422 || answer.status == 201 && is_dropped && !answer.warnings.is_empty();
            assert!(is_refused, "{what}: {} {}", answer.status, answer.object);
            let strict = format!("{own}?dryRun=All&fieldValidation=Strict");
            let mut rule = made(answer.object["spec"].clone());
            if answer.status == 201 {
                rule["spec"]["namespaces"] = json!({"include": ["*"]});
                assert_eq!(user.create(&strict, &rule).await.status, 400, "{what}");
            }
        }

        let [labels, status] = [
            json!({"metadata": {"labels": {"pullkey.dev/inject": "false", "team": "other"}}}),
            json!({"status": {"keys": ["a.example"], "observedGeneration": 1}}),
        ];
        for namespace in [&tenant.name, &other.name, &pullkey.id] {
            let path = format!("/api/v1/namespaces/{namespace}");
            assert_eq!(user.merge(&path, &labels).await.status, 403, "{path}");
        }
        let spec = json!({"images": ["a.example"], "secret": {"name": "s"}});
        assert_eq!(user.create(&rules(&other.name), &made(spec)).await.status, 403);
        for path in [
            format!("{RULES}/clusterpullsecretrules"),
            format!("{RULES}/pullsecretrules"),
            rules(&other.name),
            other.path("secrets", ""),
            other.path("events", ""),
            pullkey.own.path("secrets", "pullkey-webhook-tls"),
            pullkey.own.path("configmaps", ""),
            format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases", pullkey.id),
        ] {
            assert_eq!(user.get(&path).await.status, 403, "{path}");
        }
        let mut named = made(json!({"images": ["a.example"], "secret": {"name": "s"}}));
        named["metadata"] = json!({"name": role});
        user.create(&own, &named).await.good();
        assert_eq!(user.merge(&format!("{own}/{role}/status"), &status).await.status, 403);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_image_name_gets_a_pod_more_than_its_own_and_none_disturbs_others() {
    let pullkey = Installation::with_rules(&rule("acme", "ghcr.io/acme")).await;
    let [tenant, other] = [pullkey.namespace().await, pullkey.namespace().await];
    let user = tenant.user("edit").await;
    let path = tenant.path("pods", "");
    until("he has his rights", async || {
        let answer = user
            .create(&format!("{path}?dryRun=All"), &pod(&["ghcr.io/acme/app"]))
            .await;
        (pull_secrets(&answer.object) == ["acme-pull"]).then_some(())
    })
    .await;
    let huge = format!("ghcr.io/acme/{}", "a/".repeat(300_000));
    let long = format!("ghcr.io/acme/{}", "a".repeat(260));
    for image in [
        "ghcr.io.evil.example/acme/app",
        "evil.example/ghcr.io/acme/app",
        "ghcr.io@evil.example/acme/app",
        "ghcr.io:443/acme/app",
        "ghcr.io./acme/app",
        "GHCR.io/acme/app",
        "ghcr.io/acme-private/app",
        "ghcr.io/other/../acme/app",
        "ghcr.io/./acme/app",
        "ghcr.io//acme/app",
        "ghcr.io/acme",
        "https://ghcr.io/acme/app",
        "ghcr.io%2facme/app",
        "ghсr.io/acme/app",
        "ghcr.io\u{200b}/acme/app",
        "ghcr.io/acme/app\u{0}",
        "ghcr.io/acme/app@sha256:1",
        "*",
        "../../secrets",
        &long,
        &huge,
    ] {
        let answer = user.create(&format!("{path}?dryRun=All"), &pod(&[image])).await;
        let shown: String = image.chars().take(60).collect();
        assert_eq!(answer.status, 201, "{shown}: {}", answer.object);
        let secrets = &answer.object["spec"]["imagePullSecrets"];
        let is_covered = image == "ghcr.io/acme";
        assert_eq!(secrets.is_null(), !is_covered, "{shown}: {secrets}");
    }
    let calls = pullkey.calls_from_now().await;
    let many: Vec<_> = (0..1_000).map(|number| format!("ghcr.io/acme/{number}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    let answer = user.create(&format!("{path}?dryRun=All"), &pod(&many)).await;
    assert_eq!(pull_secrets(&answer.object), ["acme-pull"], "{}", answer.status);
    assert_eq!(other.secrets_for(&["ghcr.io/acme/app"]).await, ["acme-pull"]);
    calls.are(2, "a Pod of his and one of others").await;
}
