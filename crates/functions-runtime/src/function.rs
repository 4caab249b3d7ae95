//! What a function is: a name, a trigger, limits and a handler. The table of all functions is built
//! from these, and everything else that needs to know the functions reads that table.

use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::budget::Allowance;
use super::chunks::Chunks;
use super::edge::Signature;
use super::error::FunctionError;
use super::sign_in::SignIn;
use super::tasks::{Job, PayloadError, Task, TaskOutcome};
use document_store::{DocumentChange, PathParams, PathPattern, StoreError};

/// A boxed future of a handler.
pub type Outcome<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A verified caller of a callable function.
#[derive(Clone, Debug, PartialEq)]
pub struct Caller {
    /// The Auth UID (`sub` of the ID token).
    pub uid: String,
    /// The project whose user this is (`aud` of the ID token).
    pub project: String,
    /// All claims of the ID token.
    pub claims: serde_json::Map<String, serde_json::Value>,
    /// Whether the sign-in meets the rules for privileged functions.
    pub sign_in: SignIn,
}

/// One call of a callable function, verified and decoded.
#[derive(Clone, Debug)]
pub struct Call {
    /// The payload, `@type` wrappers decoded.
    pub data: serde_json::Value,
    /// Who calls; `None` when the request carried no ID token.
    pub caller: Option<Caller>,
    /// The Firebase app that calls, when App Check vouched for it.
    pub app_id: Option<String>,
    /// Where a streaming callable sends chunks before its result.
    pub chunks: Chunks,
    /// Where the handler says whether the caller's rights raise their budget.
    pub allowance: Allowance,
}

impl Call {
    /// A call that doesn't stream, without an App Check token.
    pub fn new(data: serde_json::Value, caller: Option<Caller>) -> Call {
        Call { data, caller, app_id: None, chunks: Chunks::default(), allowance: Allowance::default() }
    }

    /// The caller, or UNAUTHENTICATED.
    pub fn signed_in(&self) -> Result<&Caller, FunctionError> {
        self.caller.as_ref().ok_or_else(FunctionError::unauthenticated)
    }
}

/// A change of a document, with what the trigger's pattern captured of its path.
#[derive(Clone, Debug)]
pub struct DocumentEvent {
    /// The change.
    pub change: DocumentChange,
    /// The captured parameters.
    pub params: PathParams,
}

impl DocumentEvent {
    /// A captured parameter; empty when the pattern has no parameter of that name.
    pub fn param(&self, name: &str) -> &str {
        self.params.get(name).map(String::as_str).unwrap_or_default()
    }
}

/// Why an event or a task was not handled.
#[derive(Debug, thiserror::Error)]
pub enum HandlerError {
    /// It may succeed later: the event is delivered again, the task attempted again.
    #[error("{0}")]
    Transient(String),
    /// It can't ever succeed: it's logged, and not tried again.
    #[error("{0}")]
    Permanent(String),
}

/// Outages, contention and conflicts are transient; a request that the store refuses as invalid is permanent.
impl From<StoreError> for HandlerError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::InvalidArgument(_) => HandlerError::Permanent(error.to_string()),
            _ => HandlerError::Transient(error.to_string()),
        }
    }
}

/// A payload of a newer version is left for a program that knows it; a malformed one can never be read.
impl From<PayloadError> for HandlerError {
    fn from(error: PayloadError) -> Self {
        match error {
            PayloadError::Newer(_) => HandlerError::Transient(error.to_string()),
            PayloadError::Malformed(_) => HandlerError::Permanent(error.to_string()),
        }
    }
}

/// Which kinds of change a document trigger fires on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentEventType {
    /// The document was created.
    Created,
    /// It was changed.
    Updated,
    /// It was deleted.
    Deleted,
    /// Any of the three.
    Written,
}

impl DocumentEventType {
    /// The CloudEvents type, `google.cloud.firestore.document.v1.written`.
    pub fn cloud_event_type(self) -> &'static str {
        match self {
            DocumentEventType::Created => "google.cloud.firestore.document.v1.created",
            DocumentEventType::Updated => "google.cloud.firestore.document.v1.updated",
            DocumentEventType::Deleted => "google.cloud.firestore.document.v1.deleted",
            DocumentEventType::Written => "google.cloud.firestore.document.v1.written",
        }
    }
}

/// A type-erased handler: takes the state and an input, and returns the outcome.
pub type Handler<S, I, O> = Arc<dyn Fn(S, I) -> Outcome<O> + Send + Sync>;

/// What triggers a function, with the handler for it.
pub enum Trigger<S> {
    /// A client's call.
    Callable(Handler<S, Call, Result<serde_json::Value, FunctionError>>),
    /// A document's change.
    Document {
        /// The label of the database in [`super::Options::databases`].
        database: &'static str,
        /// On which changes.
        event: DocumentEventType,
        /// Of which documents.
        pattern: PathPattern,
        /// What to do.
        handler: Handler<S, DocumentEvent, Result<(), HandlerError>>,
    },
    /// A task of the queue that has the function's name.
    Task(Handler<S, Task, Result<TaskOutcome, HandlerError>>),
}

/// A row of the table of functions.
pub struct Function<S> {
    /// The name, in the client's spelling. Looked up case-insensitively.
    pub name: &'static str,
    /// Other names of the same function.
    pub aliases: &'static [&'static str],
    /// A description in one line.
    pub summary: &'static str,
    /// A description of who may call it; empty for functions that aren't callables.
    pub access: &'static str,
    /// What triggers it, and its handler.
    pub trigger: Trigger<S>,
    /// How long a run may take.
    pub timeout: Duration,
    /// The largest request body, in bytes.
    pub body_limit: usize,
    /// How many calls a minute an address may make without a sign-in, besides the limit for all functions together.
    pub signed_out_limit: Option<NonZeroU32>,
    /// Whether it changes rights or passwords, so that the caller's sign-in must meet [`super::sign_in::SignInRules`].
    pub is_privileged: bool,
    /// Whether its cost is charged to the caller's budget.
    pub is_budgeted: bool,
    /// What it takes and gives, where that's described.
    pub signature: Option<Signature>,
}

/// Callables: 70 s, what the client SDK waits for by default, and 10 MiB, what Google's front end
/// lets through for functions.
const CALLABLE_TIMEOUT: Duration = Duration::from_secs(70);
/// Events and tasks: 540 s, below the 600 s at which Pub/Sub delivers again.
const BACKGROUND_TIMEOUT: Duration = Duration::from_secs(540);
const BODY_LIMIT: usize = 10 * 1024 * 1024;

impl<S> Function<S> {
    /// A function with the limits that all have unless the table says otherwise.
    fn new(name: &'static str, summary: &'static str, trigger: Trigger<S>, timeout: Duration) -> Self {
        Function {
            name,
            aliases: &[],
            summary,
            access: "",
            trigger,
            timeout,
            body_limit: BODY_LIMIT,
            signed_out_limit: None,
            is_privileged: false,
            is_budgeted: true,
            signature: None,
        }
    }

    /// A callable function.
    pub fn callable<H, F>(name: &'static str, summary: &'static str, handler: H) -> Self
    where
        H: Fn(S, Call) -> F + Send + Sync + 'static,
        F: Future<Output = Result<serde_json::Value, FunctionError>> + Send + 'static,
    {
        let trigger = Trigger::Callable(Arc::new(move |state, call| Box::pin(handler(state, call))));
        Function::new(name, summary, trigger, CALLABLE_TIMEOUT)
    }

    /// A function that is triggered by changes of documents. Panics on a malformed pattern, which is a literal of the
    /// program's table.
    pub fn on_document<H, F>(
        database: &'static str,
        event: DocumentEventType,
        pattern: &'static str,
        name: &'static str,
        summary: &'static str,
        handler: H,
    ) -> Self
    where
        H: Fn(S, DocumentEvent) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        let pattern = PathPattern::new(pattern).expect("the table's patterns are literals and checked by its test");
        let handler = Arc::new(move |state, event| Box::pin(handler(state, event)) as _);
        Function::new(name, summary, Trigger::Document { database, event, pattern, handler }, BACKGROUND_TIMEOUT)
    }

    /// A function on the tasks of a queue of its own: those that do the handler's job, which gives it its name. A task
    /// whose payload can't be read as the job is given up; one that a newer version of the program stored waits for
    /// that.
    pub fn task<J, H, F>(summary: &'static str, handler: H) -> Self
    where
        J: Job,
        H: Fn(S, Task<J>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<TaskOutcome, HandlerError>> + Send + 'static,
    {
        let trigger = Trigger::Task(Arc::new(move |state, task| match task.read() {
            Ok(task) => Box::pin(handler(state, task)),
            Err(error) => Box::pin(std::future::ready(Err(error.into()))),
        }));
        Function::new(J::FUNCTION, summary, trigger, BACKGROUND_TIMEOUT)
    }

    /// The same function under further names.
    pub fn with_aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// The same function with a text that says who may call it.
    pub fn with_access(mut self, access: &'static str) -> Self {
        self.access = access;
        self
    }

    /// The same function, described.
    pub fn with_signature(mut self, signature: Signature) -> Self {
        self.signature = Some(signature);
        self
    }

    /// The same function with a limit of its own on calls a minute and address without a sign-in: for functions that
    /// take such calls, and could be used to guess secrets.
    pub fn with_signed_out_limit(mut self, calls_a_minute: NonZeroU32) -> Self {
        self.signed_out_limit = Some(calls_a_minute);
        self
    }

    /// The same function as a privileged one, which changes rights or passwords: see [`Function::is_privileged`].
    pub fn privileged(mut self) -> Self {
        self.is_privileged = true;
        self
    }

    /// The same function, whose cost isn't charged to anybody's budget: for operators' work, which may read every
    /// document.
    pub fn without_budget(mut self) -> Self {
        self.is_budgeted = false;
        self
    }

    /// The same function with another time limit.
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}
