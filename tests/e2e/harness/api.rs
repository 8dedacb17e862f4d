//! Calls of the API server that give everything it answers: a typed client throws warnings and unknown fields away.

use axum::http::{Method, Request};
use kube::client::Body;
use serde_json::{Value, json};

/// A client of the API server.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) client: kube::Client,
}

/// What the API server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The texts of its `Warning` headers.
    pub(crate) warnings: Vec<String>,
    /// The object, or the `Status` that says why not.
    pub(crate) object: Value,
}

impl Api {
    pub(crate) fn new(config: kube::Config) -> Self {
        let client = kube::Client::try_from(config).unwrap();
        Self { client }
    }

    /// Any call; a body is JSON unless the patch's type says otherwise.
    pub(crate) async fn call(&self, method: Method, path: &str, content_type: &str, body: Option<&Value>) -> Answer {
        self.try_call(method, path, content_type, body).await.unwrap()
    }

    /// The same, unless nobody answers.
    pub(crate) async fn try_call(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: Option<&Value>,
    ) -> kube::Result<Answer> {
        let body = body.map_or_else(Vec::new, |body| serde_json::to_vec(body).unwrap());
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", content_type)
            .body(Body::from(body))
            .unwrap();
        let response = self.client.send(request).await?;
        let (head, body) = response.into_parts();
        let body = body.collect_bytes().await?;
        let warnings = head.headers.get_all("warning").iter();
        Ok(Answer {
            status: head.status.as_u16(),
            warnings: warnings.map(|warning| text_of(warning.to_str().unwrap())).collect(),
            object: serde_json::from_slice(&body).unwrap_or_else(|_| json!(String::from_utf8_lossy(&body))),
        })
    }

    /// What a GET gives, unless nobody answers.
    pub(crate) async fn try_get(&self, path: &str) -> Option<Answer> {
        self.try_call(Method::GET, path, "application/json", None).await.ok()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, "application/json", None).await
    }

    pub(crate) async fn create(&self, path: &str, object: &Value) -> Answer {
        self.call(Method::POST, path, "application/json", Some(object)).await
    }

    pub(crate) async fn replace(&self, path: &str, object: &Value) -> Answer {
        self.call(Method::PUT, path, "application/json", Some(object)).await
    }

    pub(crate) async fn merge(&self, path: &str, change: &Value) -> Answer {
        self.call(Method::PATCH, path, "application/merge-patch+json", Some(change))
            .await
    }

    pub(crate) async fn apply(&self, path: &str, object: &Value) -> Answer {
        let path = format!("{path}?fieldManager=tests&force=true&fieldValidation=Strict");
        self.call(Method::PATCH, &path, "application/apply-patch+yaml", Some(object))
            .await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, "application/json", None).await
    }
}

impl Answer {
    /// Whether it comes from an API server that has not come up yet: admission waits for what it has to know.
    pub(crate) fn is_too_early(&self) -> bool {
        let message = self.object["message"].as_str().unwrap_or_default();
        self.status == 403 && message.contains("not yet ready to handle request")
    }

    /// The object, which must have come with a status of success.
    #[track_caller]
    pub(crate) fn good(self) -> Value {
        assert!((200..300).contains(&self.status), "{}: {}", self.status, self.object);
        self.object
    }
}

/// The text of `299 - "text"`.
fn text_of(warning: &str) -> String {
    let text = warning.split_once('"').map_or(warning, |(_, rest)| rest);
    text.trim_end_matches('"').replace("\\\"", "\"").replace("\\\\", "\\")
}
