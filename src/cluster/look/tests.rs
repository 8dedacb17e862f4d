use super::*;
use crate::cluster::mock::{Api, Call};
use tokio::task::JoinHandle;

/// Objects are read as their names.
fn names() -> Read<()> {
    Box::new(|_| Ok(Some(())))
}

fn list(client: Client, collection: Collection, namespace: Option<&'static str>) -> JoinHandle<Result<String, Unread>> {
    tokio::spawn(async move {
        let listed = Look::new(client, "https://there".to_owned())
            .list(collection, namespace, true, names())
            .await?;
        let names: Vec<_> = listed.objects.iter().map(|(key, ())| key.to_string()).collect();
        Ok(names.join(" "))
    })
}

fn get(client: Client, name: &'static str) -> JoinHandle<Result<Option<String>, Unread>> {
    tokio::spawn(async move {
        Look::new(client, "https://there".to_owned())
            .get(Collection::SECRETS, Some("a"), name, false)
            .await
    })
}

fn answer(call: Call, expected: &str, status: u16, body: &str) {
    assert_eq!(call.target, expected);
    call.answer(status, body);
}

const ONE: &str = r#"{"metadata":{"resourceVersion":"5"},"items":[{"metadata":{"name":"x","namespace":"a"}}]}"#;
const FORBIDDEN: &str = r#"{"kind":"Status","message":"secrets is forbidden: User \"u\" cannot"}"#;

#[tokio::test(start_paused = true)]
async fn lists_are_of_a_namespace_or_of_all() {
    let (client, mut api) = Api::new();
    let of_all = list(client.clone(), Collection::of_rules(Kind::PullSecretRule), None);
    let call = api.call().await;
    answer(call, "/apis/pullkey.dev/v1alpha1/pullsecretrules?limit=500", 200, ONE);
    assert_eq!(of_all.await.unwrap().unwrap(), "a/x");
    let of_one = list(client, Collection::SERVICE_ACCOUNTS, Some("a"));
    let call = api.call().await;
    answer(call, "/api/v1/namespaces/a/serviceaccounts?limit=500", 200, ONE);
    assert_eq!(of_one.await.unwrap().unwrap(), "a/x");
}

#[tokio::test(start_paused = true)]
async fn an_object_is_there_or_not() {
    let (client, mut api) = Api::new();
    for (status, expected) in [(200, Some("{}".to_owned())), (404, None)] {
        let got = get(client.clone(), "x");
        answer(api.call().await, "/api/v1/namespaces/a/secrets/x", status, "{}");
        assert_eq!(got.await.unwrap().unwrap(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn some_objects_are_selected() {
    let (client, mut api) = Api::new();
    let look = Look::new(client, "https://there".to_owned());
    let selector = "labelSelector=a%3Db";
    let listed = tokio::spawn(async move { look.select(Collection::SECRETS, None, selector, true, names()).await });
    let call = api.call().await;
    assert!(call.accept.contains("PartialObjectMetadataList"), "{}", call.accept);
    answer(call, "/api/v1/secrets?labelSelector=a%3Db&limit=500", 200, ONE);
    assert_eq!(listed.await.unwrap().unwrap().objects.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_object_is_read_as_it_stands_or_line_by_line() {
    let (client, mut api) = Api::new();
    let look = Look::new(client, "https://there".to_owned());
    let other = look.clone();
    let raw = tokio::spawn(async move { other.raw("/version").await });
    answer(api.call().await, "/version", 200, "{}");
    assert_eq!(raw.await.unwrap(), Ok("{}".to_owned()));
    for (status, expected) in [(200, Some("a 1\na 2\n")), (403, None)] {
        let other = look.clone();
        let lines = tokio::spawn(async move { other.lines("/metrics", |line| line.starts_with('a')).await });
        answer(api.call().await, "/metrics", status, "a 1\nb 1\na 2\n");
        assert_eq!(lines.await.unwrap().ok().as_deref(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_created_is_a_dry_run_and_tried_once() {
    let (client, mut api) = Api::new();
    let look = Look::new(client, "https://there".to_owned());
    for (status, is_admitted) in [(201, true), (500, false), (429, false)] {
        let look = look.clone();
        let pods = Collection::core("pods");
        let created = tokio::spawn(async move { look.dry_run(pods, "a", "{}".to_owned()).await });
        answer(
            api.call().await,
            "/api/v1/namespaces/a/pods?dryRun=All",
            status,
            r#"{"message":"why"}"#,
        );
        let created = created.await.unwrap();
        assert_eq!(created.is_ok(), is_admitted, "{status}");
        if let Err(trouble) = created {
            assert_eq!(trouble.message, format!("the API server answers {status}: why"));
        }
    }
    assert!(api.is_idle());
}

#[tokio::test(start_paused = true)]
async fn what_passes_is_waited_out_and_nothing_else() {
    let gone = r#"{"kind":"Status","message":"too old","code":410}"#;
    let (client, mut api) = Api::new();
    let listed = list(client.clone(), Collection::SECRETS, None);
    let first = r#"{"metadata":{"resourceVersion":"5","continue":"t"},"items":[]}"#;
    answer(api.call().await, "/api/v1/secrets?limit=500", 200, first);
    answer(api.call().await, "/api/v1/secrets?limit=500&continue=t", 410, gone);
    api.call().await.answer_after(429, Some(1), "{}");
    answer(api.call().await, "/api/v1/secrets?limit=500", 200, ONE);
    assert_eq!(listed.await.unwrap().unwrap(), "a/x");

    for (status, calls) in [(410, 3), (403, 1), (404, 1), (500, 1)] {
        let listed = list(client.clone(), Collection::SECRETS, None);
        for _ in 0..calls {
            api.call().await.answer(status, "{}");
        }
        assert!(listed.await.unwrap().is_err(), "{status}");
        assert!(api.is_idle(), "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn it_says_what_was_attempted_and_what_is_missing() {
    let (client, mut api) = Api::new();
    let unread = |attempt: JoinHandle<Result<String, Unread>>| async { attempt.await.unwrap().unwrap_err() };
    let cluster_rules = Collection::of_rules(Kind::ClusterPullSecretRule);

    let attempt = list(client.clone(), Collection::SECRETS, Some("a"));
    api.call().await.answer(403, FORBIDDEN);
    let forbidden = unread(attempt).await;
    assert_eq!(
        forbidden.to_string(),
        "could not list secrets in namespace `a`: the API server answers 403: secrets is forbidden: User \"u\" cannot"
    );
    assert_eq!(
        forbidden.hint(),
        "`kubectl auth can-i list secrets --namespace a` must say yes"
    );
    assert!(forbidden.is_forbidden() && forbidden.is_about_the_resource());

    let attempt = list(client.clone(), cluster_rules, None);
    api.call().await.answer(404, "{}");
    let missing = unread(attempt).await;
    assert_eq!(
        missing.to_string(),
        "could not list clusterpullsecretrules.pullkey.dev: the API server has no \
         `/apis/pullkey.dev/v1alpha1/clusterpullsecretrules`: is its CustomResourceDefinition installed?"
    );
    assert!(missing.is_about_the_resource() && !missing.is_forbidden());

    let attempt = list(client.clone(), cluster_rules, None);
    api.call().await.hang_up();
    let broken = unread(attempt).await;
    assert!(!broken.is_about_the_resource(), "{broken}");
    assert!(broken.hint().starts_with("it was looked for at `https://there`, "));

    let attempt = get(client, "x");
    api.call().await.answer(403, FORBIDDEN);
    let forbidden = attempt.await.unwrap().unwrap_err();
    assert!(
        forbidden
            .to_string()
            .starts_with("could not get secrets `x` in namespace `a`: ")
    );
    assert_eq!(
        forbidden.hint(),
        "`kubectl auth can-i get secrets/x --namespace a` must say yes"
    );
}

/// A server that accepts and says nothing must not hold anybody up for ever.
#[tokio::test(start_paused = true)]
async fn a_silent_api_server_is_not_waited_for() {
    let (client, mut api) = Api::new();
    let attempt = list(client, Collection::SECRETS, None);
    let _silent = api.call().await;
    let late = attempt.await.unwrap().unwrap_err();
    assert!(late.to_string().ends_with("did not answer within 30s"), "{late}");
}
