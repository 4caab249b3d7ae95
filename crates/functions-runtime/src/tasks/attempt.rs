//! One attempt at a task: reads the task's document, runs its function, and removes the document when the task is done.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value as Json;

use super::{LocalQueue, RemoteQueue, StoredTask, Task, TaskOutcome, contents, path_of};
use crate::auth::{Deliveries, Rejection};
use crate::callable::{envelope, is_json, only_data};
use crate::capacity::{BodyError, Share};
use crate::engine::{Ended, FunctionRun, Runtime};
use crate::error::{FunctionError, Status};
use crate::events::{busy, unverified};
use crate::function::{HandlerError, Trigger};
use crate::observe::{Trace, TriggerKind};
use document_store::{Cost, Database, Meter, Precondition, StoreError, Write, metered};

/// How long a remote queue waits with a task that this process is running already.
const BUSY: Duration = Duration::from_secs(5);
/// How long a task waits that was handed in again while it ran.
const AGAIN: Duration = Duration::from_millis(100);

/// An attempt at a task that is to be made.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The ID of the task's document.
    pub id: String,
    /// What the document holds, when it can't have changed since the task was handed in; `None` when it's to be read.
    pub known: Option<StoredTask>,
    /// 1 at the first attempt.
    pub number: u32,
    /// Set when the task is handed in again while it runs: its document must then stay.
    pub renewed: Arc<AtomicBool>,
    /// The trace of the request that asked for it.
    pub trace: Option<Trace>,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptEnd {
    /// The task is done or given up, and its document gone.
    Done,
    /// The task doesn't exist, or no longer.
    Gone,
    /// To be run again after this time, or when it's woken.
    Later(Duration),
    /// Failed; to be tried again.
    Failed,
    /// This program doesn't know the task's function. The document stays for a program that does.
    Unknown,
}

/// Runs tasks.
#[async_trait]
pub trait TaskRunner: Send + Sync + 'static {
    /// Attempts a task whose document is in `database`.
    async fn attempt(&self, database: &Database, attempt: Attempt) -> AttemptEnd;
}

#[async_trait]
impl<S: Clone + Send + Sync + 'static> TaskRunner for Runtime<S> {
    async fn attempt(&self, database: &Database, attempt: Attempt) -> AttemptEnd {
        let Attempt { id, known, number, renewed, trace } = attempt;
        let path = path_of(&id);
        let mut spent = Cost::default();
        // Another process may hand the task in again while it runs here: then its document must stay.
        let mut read_at = None;
        let StoredTask { function: name, version, payload } = match known {
            Some(known) => known,
            None => {
                let meter = Arc::new(Meter::default());
                let document = metered(meter.clone(), database.get(&path)).await;
                spent = meter.total();
                match document {
                    Ok(Some(document)) => match contents({
                        read_at = Some(document.update_time);
                        document.fields
                    }) {
                        Some(contents) => contents,
                        None => {
                            tracing::error!(id, "a document among the tasks isn't a task; it's left alone");
                            return AttemptEnd::Unknown;
                        }
                    },
                    Ok(None) => return AttemptEnd::Gone,
                    Err(error) => {
                        tracing::warn!(id, %error, "a task can't be read; it's tried again");
                        return AttemptEnd::Failed;
                    }
                }
            }
        };
        let function = self.registry().find(&name).cloned();
        let Some((function, handler)) = function.and_then(|function| match &function.trigger {
            Trigger::Task(handler) => Some((function.clone(), handler.clone())),
            _ => None,
        }) else {
            tracing::error!(id, function = name, "a task's function is unknown; it's left for a version that knows it");
            return AttemptEnd::Unknown;
        };
        if number > 1 {
            self.metrics().task_retried(function.name);
        }
        let task = Task { version, ..Task::new(path.clone(), payload, number) };
        let database = database.clone();
        let work = move |state| async move {
            let outcome = handler(state, task).await;
            let remove = match &outcome {
                Ok(TaskOutcome::Committed | TaskOutcome::Later(_)) => false,
                Ok(TaskOutcome::Finished) => true,
                Err(HandlerError::Transient(why)) => {
                    tracing::warn!(why, attempt = number, "the task failed; it's tried again");
                    false
                }
                Err(HandlerError::Permanent(why)) => {
                    tracing::error!(why, attempt = number, "the task can't be done; it's given up");
                    true
                }
            };
            if remove && !renewed.load(Ordering::SeqCst) {
                let expected = read_at.map_or(Precondition::None, Precondition::UpdatedAt);
                match database.commit(vec![Write::delete(path.clone()).when(expected)]).await {
                    // The task was handed in again or has advanced; or its document is gone.
                    Err(StoreError::Conflict(_)) if database.get(&path).await?.is_some() => {
                        return Ok(TaskOutcome::Later(AGAIN));
                    }
                    Err(StoreError::Conflict(_)) => {}
                    other => drop(other?),
                }
            }
            outcome
        };
        match self
            .run(&function, FunctionRun { kind: TriggerKind::Task, id, trace, spent, reservation: None }, work, judge)
            .await
        {
            Ok(Ended::Answered(Ok(TaskOutcome::Later(delay)))) => AttemptEnd::Later(delay),
            Ok(Ended::Answered(Ok(_) | Err(HandlerError::Permanent(_)))) => AttemptEnd::Done,
            Ok(Ended::Answered(Err(HandlerError::Transient(_))) | Ended::Panicked | Ended::TimedOut) | Err(_) => {
                AttemptEnd::Failed
            }
        }
    }
}

fn judge(result: &Result<TaskOutcome, HandlerError>) -> &'static str {
    match result {
        Ok(TaskOutcome::Later(_)) => "later",
        Ok(_) => "ok",
        Err(HandlerError::Transient(_)) => "transient",
        Err(HandlerError::Permanent(_)) => "permanent",
    }
}

/// `POST /tasks/{queue}`: a remote queue asks for the task `{"data": {"id": …}}`. Answers 204 when
/// nothing is left to do; anything else makes the queue ask again.
pub async fn receive<S: Clone + Send + Sync + 'static>(
    State((runtime, queue, remote)): State<(Runtime<S>, Arc<LocalQueue>, Option<Arc<RemoteQueue>>)>,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    let options = &runtime.inner.options;
    let (parts, body) = request.into_parts();
    let now = options.context.now();
    let checked = match &options.deliveries {
        // Without a remote queue nobody sends this process tasks, so the request is forged.
        Deliveries::Open if remote.is_none() => Err(Rejection::Closed),
        deliveries => deliveries.check(&parts.headers, now).await,
    };
    if let Err(why) = checked {
        tracing::warn!(queue = name, %why, "the sender of a task couldn't be verified");
        return unverified(&why);
    }
    let Some(function) = runtime.registry().find(&name).filter(|found| matches!(found.trigger, Trigger::Task(_)))
    else {
        return envelope(&FunctionError::new(Status::NotFound, "There is no such queue"));
    };
    let (bytes, _place) =
        match runtime.inner.admission.read(&parts.headers, body, function.body_limit, Share::All).await {
            Ok(read) => read,
            Err(BodyError::Busy) => return busy(),
            Err(_) => return envelope(&FunctionError::invalid("Bad Request")),
        };
    let body = match serde_json::from_slice(&bytes) {
        Ok(Json::Object(body)) if parts.method == Method::POST && is_json(&parts.headers) => only_data(body),
        _ => None,
    };
    let Some(id) = body.as_ref().and_then(|data| data.get("id")).and_then(Json::as_str) else {
        return envelope(&FunctionError::invalid("Bad Request"));
    };
    let retries =
        parts.headers.get("x-cloudtasks-taskretrycount").and_then(|count| count.to_str().ok()?.parse::<u32>().ok());
    let number = retries.map(|retries| retries.saturating_add(1));
    let end = queue.run_now(Arc::new(runtime.clone()), id, Trace::of(&parts.headers), number).await;
    // Many errors look like an overload to Cloud Tasks, which then slows the whole queue down.
    if let Some(remote) = remote {
        let delay = match end {
            Some(AttemptEnd::Later(delay)) => Some(delay),
            None => Some(BUSY),
            _ => None,
        };
        if let Some(delay) = delay {
            remote.schedule(function.name, id, delay);
            return StatusCode::NO_CONTENT.into_response();
        }
        if end == Some(AttemptEnd::Failed) {
            return envelope(&FunctionError::new(Status::Internal, "The task failed"));
        }
    }
    match end {
        Some(AttemptEnd::Done | AttemptEnd::Gone) => StatusCode::NO_CONTENT.into_response(),
        Some(AttemptEnd::Later(delay)) => {
            let mut response = envelope(&FunctionError::new(Status::Unavailable, "The task isn't done yet"));
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(delay.as_secs().max(1)));
            response
        }
        Some(AttemptEnd::Failed) => envelope(&FunctionError::new(Status::Unavailable, "The task failed")),
        Some(AttemptEnd::Unknown) => envelope(&FunctionError::new(Status::Internal, "INTERNAL")),
        None => envelope(&FunctionError::new(Status::Aborted, "The task is running")),
    }
}
