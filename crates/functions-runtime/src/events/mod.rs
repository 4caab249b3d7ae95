//! Document events: over HTTP from Eventarc and the Firestore emulator, in process from an embedded
//! store. All of them end in [`Runtime::dispatch_change`] or beside it.

pub(crate) mod message;

use self::message::MessageError;

use std::sync::Arc;

use async_trait::async_trait;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::capacity::{BodyError, Share};
use super::engine::{Ended, FunctionRun, Runtime};
use super::function::{DocumentEvent, DocumentEventType, Function, HandlerError, Trigger};
use super::observe::{Trace, TriggerKind};
use document_store::outbox::OutboxTrigger;
use document_store::{ChangeFilter, ChangeKind, ChangeSink, Cost, Delivery, DocumentChange};

/// The outcome of handing a change to its function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DispatchOutcome {
    /// Handled, or not to be tried again: it isn't the function's, or can't succeed.
    Acknowledged,
    /// It may succeed later.
    Transient,
    /// The handler panicked or took too long.
    Broken,
}

impl DocumentEventType {
    /// The changes that set the trigger off.
    pub fn filter(self) -> ChangeFilter {
        match self {
            DocumentEventType::Created => ChangeFilter::Created,
            DocumentEventType::Updated => ChangeFilter::Updated,
            DocumentEventType::Deleted => ChangeFilter::Deleted,
            DocumentEventType::Written => ChangeFilter::Written,
        }
    }

    /// True when a change of that kind sets the trigger off.
    pub fn fires_on(self, kind: ChangeKind) -> bool {
        self.filter().admits(kind)
    }
}

/// The document triggers of a table of functions on the database with that label, to be given to a store with an
/// outbox.
pub fn outbox_triggers<S>(table: &[Function<S>], label: &str) -> Vec<OutboxTrigger> {
    let trigger = |function: &Function<S>| match &function.trigger {
        Trigger::Document { database, event, pattern, .. } if *database == label => {
            Some(OutboxTrigger { name: function.name.to_owned(), filter: event.filter(), pattern: pattern.clone() })
        }
        _ => None,
    };
    table.iter().filter_map(trigger).collect()
}

impl<S: Clone + Send + Sync + 'static> Runtime<S> {
    /// Hands a change to the document function of that name. A change that isn't the function's is logged and
    /// acknowledged, because a repetition couldn't succeed either.
    pub async fn dispatch_change(&self, trigger: &str, change: DocumentChange) -> DispatchOutcome {
        match self.registry().find(trigger) {
            Some(function) => self.dispatch(&function.clone(), change, None, ()).await,
            None => {
                tracing::error!(trigger, id = change.id, "an event for an unknown function was dropped");
                DispatchOutcome::Acknowledged
            }
        }
    }

    /// Counts a creation event without a document. Firestore sends such events for a `verify` in a client's commit, and
    /// for writes that changed nothing.
    fn nothing_changed(&self, function: &'static str, id: &str) {
        self.metrics().empty_event(function);
        tracing::debug!(function, id, "nothing has changed: the event holds no document");
    }

    /// `places` are the event's permits, released when the handler has ended, whether or not the sender still waits.
    async fn dispatch(
        &self,
        function: &Arc<Function<S>>,
        change: DocumentChange,
        trace: Option<Trace>,
        places: impl Send + 'static,
    ) -> DispatchOutcome {
        let (name, id) = (function.name, change.id.clone());
        let Trigger::Document { event, pattern, handler, .. } = &function.trigger else {
            tracing::error!(function = name, id, "an event for a function that isn't on documents was dropped");
            return DispatchOutcome::Acknowledged;
        };
        let Some(kind) = change.kind() else {
            self.nothing_changed(name, &id);
            return DispatchOutcome::Acknowledged;
        };
        if !event.fires_on(kind) {
            tracing::warn!(function = name, id, change = ?kind, "an event of a kind that the function isn't on was dropped");
            return DispatchOutcome::Acknowledged;
        }
        let Some(params) = pattern.matches(&change.path) else {
            tracing::warn!(function = name, id, "an event of a document that the function isn't on was dropped");
            return DispatchOutcome::Acknowledged;
        };
        let age = self.inner.options.context.now().duration_since(change.time);
        self.metrics().event(name, &id, age.try_into().unwrap_or_default());
        let handler = handler.clone();
        let (document, path) = (change.path.clone(), change.path.clone());
        let event = DocumentEvent { change, params };
        let work = move |state| async move {
            let _places = places;
            let result = handler(state, event).await;
            match &result {
                Ok(()) => {}
                Err(HandlerError::Transient(why)) => tracing::warn!(why, %document, "the event is to come again"),
                Err(HandlerError::Permanent(why)) => tracing::error!(why, %document, "the event can't be handled"),
            }
            result
        };
        let event_id = id.clone();
        let run = FunctionRun { kind: TriggerKind::Event, id, trace, spent: Cost::default(), reservation: None };
        match self.run(function, run, work, judge).await {
            Ok(Ended::Answered(Err(HandlerError::Transient(_)))) => DispatchOutcome::Transient,
            Ok(Ended::Answered(_)) => DispatchOutcome::Acknowledged,
            Ok(Ended::Panicked | Ended::TimedOut) | Err(_) => {
                // The path identifies the document by IDs; its contents aren't logged.
                tracing::warn!(function = name, id = event_id, document = %path, "the event's handler broke; it's to come again");
                DispatchOutcome::Broken
            }
        }
    }
}

fn judge(result: &Result<(), HandlerError>) -> &'static str {
    match result {
        Ok(()) => "ok",
        Err(HandlerError::Transient(_)) => "transient",
        Err(HandlerError::Permanent(_)) => "permanent",
    }
}

#[async_trait]
impl<S: Clone + Send + Sync + 'static> ChangeSink for Runtime<S> {
    async fn deliver(&self, trigger: &str, change: DocumentChange) -> Delivery {
        match self.dispatch_change(trigger, change).await {
            DispatchOutcome::Acknowledged => Delivery::Acknowledged,
            DispatchOutcome::Transient | DispatchOutcome::Broken => Delivery::Refused,
        }
    }
}

/// `POST /events/{function}`: Eventarc, with a path for each trigger.
pub(super) async fn from_eventarc<S: Clone + Send + Sync + 'static>(
    State(runtime): State<Runtime<S>>,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    let function = runtime.registry().find(&name).cloned();
    receive(&runtime, function, &name, None, request).await
}

/// `POST /functions/projects/{project}/triggers/{key}`: the Firestore emulator.
pub(super) async fn from_emulator<S: Clone + Send + Sync + 'static>(
    State(runtime): State<Runtime<S>>,
    Path((project, key)): Path<(String, String)>,
    request: Request,
) -> Response {
    let function = runtime.registry().find_key(&key).cloned();
    receive(&runtime, function, &key, Some(project), request).await
}

/// Any status but 2xx makes the sender try again for a day, so malformed events are acknowledged.
async fn receive<S: Clone + Send + Sync + 'static>(
    runtime: &Runtime<S>,
    function: Option<Arc<Function<S>>>,
    name: &str,
    project: Option<String>,
    request: Request,
) -> Response {
    let options = &runtime.inner.options;
    let (parts, body) = request.into_parts();
    let now = options.context.now();
    if let Err(why) = options.deliveries.check(&parts.headers, now).await {
        tracing::warn!(name, %why, "the sender of an event couldn't be verified");
        return unverified(&why);
    }
    let Some(function) = function else {
        tracing::error!(name, "an event for an unknown function was dropped");
        return StatusCode::NO_CONTENT.into_response();
    };
    let Trigger::Document { database, .. } = function.trigger else {
        tracing::error!(name, "an event for a function that isn't on documents was dropped");
        return StatusCode::NO_CONTENT.into_response();
    };
    let room = &runtime.inner.admission;
    let Some(place) = room.event().await else {
        tracing::warn!(name, "an event waited too long for its turn; it's to come again");
        return busy();
    };
    let (body, bytes) = match room.read(&parts.headers, body, function.body_limit, Share::All).await {
        Ok(read) => read,
        Err(BodyError::Busy) => {
            tracing::warn!(name, "there's no room for an event; it's to come again");
            return busy();
        }
        Err(BodyError::Broken) => return StatusCode::BAD_REQUEST.into_response(),
        Err(BodyError::TooLarge) => {
            tracing::error!(name, "an event that is too large was dropped");
            return StatusCode::NO_CONTENT.into_response();
        }
    };
    let message = match message::read(&parts.headers, &body, project, now) {
        Ok(message) => message,
        Err(MessageError::Nothing { id }) => {
            runtime.nothing_changed(function.name, &id);
            return StatusCode::NO_CONTENT.into_response();
        }
        Err(why) => {
            tracing::error!(name, %why, "an event that can't be read was dropped");
            return StatusCode::NO_CONTENT.into_response();
        }
    };
    if options.databases.get(database) != Some(&message.database) {
        tracing::warn!(name, id = message.change.id, "an event of another database was dropped");
        return StatusCode::NO_CONTENT.into_response();
    }
    let status = match runtime.dispatch(&function, message.change, Trace::of(&parts.headers), (place, bytes)).await {
        DispatchOutcome::Acknowledged => StatusCode::NO_CONTENT,
        DispatchOutcome::Transient => StatusCode::SERVICE_UNAVAILABLE,
        DispatchOutcome::Broken => StatusCode::INTERNAL_SERVER_ERROR,
    };
    status.into_response()
}

/// The answer when too many events come at once: the sender tries again.
pub(super) fn busy() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, HeaderValue::from_static("1"))]).into_response()
}

/// The text of the refusal where nobody may deliver.
const CLOSED: &str = "This server has its events and tasks from its own process, and takes none from outside.\n";

/// The answer to a sender that couldn't be verified: 503 when that may work later, 403 where nobody may deliver, else
/// 401.
pub(super) fn unverified(why: &super::auth::Rejection) -> Response {
    match why {
        super::auth::Rejection::KeysUnavailable(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        super::auth::Rejection::Closed => (StatusCode::FORBIDDEN, CLOSED).into_response(),
        _ => StatusCode::UNAUTHORIZED.into_response(),
    }
}
