//! What the planner wants done, done: one task, a call or two, one answer.

use std::time::Duration;

use serde::Deserialize;

use super::api::{Api, Reply};
use super::objects::observe;
use crate::controller::Target;
use crate::controller::copy::Style;
use crate::controller::identity::Identity;
use crate::controller::plan::{Action, Answer, Task};
use crate::controller::refusal::Refusal;

/// How long a write may take: webhooks on its way have up to 30 s, which no copy is worth waiting for.
const DEADLINE: Duration = Duration::from_secs(15);

#[derive(Deserialize)]
struct Kind {
    kind: String,
}

/// Does a task.
pub(super) async fn perform(api: &Api, style: &Style, task: &Task) -> Answer {
    let path = path(&task.target);
    let done = match &task.action {
        Action::Look => look(api, &path, style).await,
        Action::Delete { identity } => delete(api, &path, identity, style).await,
        Action::Create { .. } | Action::Update { .. } => apply(api, &path, task, style).await,
        Action::Replace { identity, .. } => match delete(api, &path, identity, style).await {
            Ok(Answer::Absent) => apply(api, &path, task, style).await,
            other => other,
        },
    };
    done.unwrap_or_else(Answer::Refused)
}

async fn look(api: &Api, path: &str, style: &Style) -> Result<Answer, Refusal> {
    let reply = api.look(path, DEADLINE).await?;
    match reply.status {
        404 => Ok(Answer::Absent),
        _ => found(&reply, style),
    }
}

async fn apply(api: &Api, path: &str, task: &Task, style: &Style) -> Result<Answer, Refusal> {
    let object = task.action.object(&task.target, style);
    let body = serde_json::to_vec(&object).map_err(|_| Refusal::Invalid)?;
    let reply = api.apply(path, task.action.is_forced(), body, DEADLINE).await?;
    found(&reply, style)
}

async fn delete(api: &Api, path: &str, identity: &Identity, style: &Style) -> Result<Answer, Refusal> {
    let reply = api.delete(path, identity, DEADLINE).await?;
    let is_status = || serde_json::from_slice::<Kind>(&reply.body).is_ok_and(|object| object.kind == "Status");
    match reply.status {
        404 => Ok(Answer::Absent),
        _ if reply.is_success() && is_status() => Ok(Answer::Absent),
        // A finalizer keeps it.
        _ => found(&reply, style),
    }
}

/// The Secret that is there now.
fn found(reply: &Reply, style: &Style) -> Result<Answer, Refusal> {
    if !reply.is_success() {
        return Err(reply.refusal());
    }
    let observed = observe(&reply.body, style).map_err(|_| Refusal::Unavailable { after: None })?;
    Ok(Answer::Found(observed))
}

fn path(Target { namespace, name }: &Target) -> String {
    format!("/api/v1/namespaces/{namespace}/secrets/{name}")
}
