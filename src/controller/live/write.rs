//! What the planner wants done, done: one task, a call or two, one answer.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::api::{Api, Reply, Silence};
use super::objects::observe;
use crate::controller::Target;
use crate::controller::copy::Style;
use crate::controller::identity::Identity;
use crate::controller::plan::{Action, Answer, Priority, Task};
use crate::controller::refusal::Refusal;

/// How long a write may take: webhooks on its way have up to 30 s, which no copy is worth waiting for.
const DEADLINE: Duration = Duration::from_secs(15);

/// How long a newborn namespace's first writes are waited for before they are asked for a second time. An API server that
/// has not heard of the namespace itself sleeps for 50 ms in a write to it, and looks again only then
/// (`plugin/pkg/admission/namespace/lifecycle/admission.go`): by now it has heard, and the second write meets no sleep.
const SECOND_ASKING: Duration = Duration::from_millis(15);

/// How many of them are asked for twice at once. An API server that is slow with all of them has too much to do already.
const ASKED_TWICE: usize = 4;

/// What does tasks.
#[derive(Clone)]
pub(super) struct Writer {
    api: Api,
    style: Arc<Style>,
    asked_twice: Arc<Semaphore>,
}

#[derive(Deserialize)]
struct Kind {
    kind: String,
}

impl Writer {
    pub(super) fn new(api: Api, style: Arc<Style>) -> Self {
        let asked_twice = Arc::new(Semaphore::new(ASKED_TWICE));
        Self {
            api,
            style,
            asked_twice,
        }
    }

    /// Does a task.
    pub(super) async fn perform(&self, task: &Task) -> Answer {
        let path = path(&task.target);
        let done = match &task.action {
            Action::Look => self.look(&path).await,
            Action::Delete { identity } => self.delete(&path, identity).await,
            Action::Create { .. } | Action::Update { .. } => self.apply(&path, task).await,
            Action::Replace { identity, .. } => match self.delete(&path, identity).await {
                Ok(Answer::Absent) => self.apply(&path, task).await,
                other => other,
            },
        };
        done.unwrap_or_else(Answer::Refused)
    }

    async fn look(&self, path: &str) -> Result<Answer, Refusal> {
        let reply = self.api.look(path, DEADLINE).await?;
        match reply.status {
            404 => Ok(Answer::Absent),
            _ => found(&reply, &self.style),
        }
    }

    async fn apply(&self, path: &str, task: &Task) -> Result<Answer, Refusal> {
        let object = task.action.object(&task.target, &self.style);
        let body = serde_json::to_vec(&object).map_err(|_| Refusal::Invalid)?;
        let reply = match (&task.action, task.priority) {
            (Action::Create { .. }, Priority::Newborn) => self.create_soon(path, body).await,
            _ => self.api.apply(path, task.action.is_forced(), body, DEADLINE).await,
        };
        found(&reply?, &self.style)
    }

    /// Applies, without force, and once more if there is no answer soon. Twice the same makes no difference.
    async fn create_soon(&self, path: &str, body: Vec<u8>) -> Result<Reply, Silence> {
        let ask = |body| self.api.apply(path, false, body, DEADLINE);
        let mut first = pin!(ask(body.clone()));
        if let Ok(reply) = timeout(SECOND_ASKING, &mut first).await {
            return reply;
        }
        let Ok(_permit) = self.asked_twice.try_acquire() else {
            return first.await;
        };
        tokio::select! {
            Ok(reply) = first => Ok(reply),
            Ok(reply) = ask(body) => Ok(reply),
            else => Err(Silence),
        }
    }

    async fn delete(&self, path: &str, identity: &Identity) -> Result<Answer, Refusal> {
        let reply = self.api.delete(path, identity, DEADLINE).await?;
        let is_status = || serde_json::from_slice::<Kind>(&reply.body).is_ok_and(|object| object.kind == "Status");
        match reply.status {
            404 => Ok(Answer::Absent),
            _ if reply.is_success() && is_status() => Ok(Answer::Absent),
            // A finalizer keeps it.
            _ => found(&reply, &self.style),
        }
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
