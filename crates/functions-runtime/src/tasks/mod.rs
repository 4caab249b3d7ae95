//! Tasks: work that goes on after the request that asked for it, and survives a crash.
//!
//! A task is a document, so that it can be written in the commit that makes it necessary and removed
//! in the commit that does it. The queue only notifies; the document is authoritative.

mod attempt;
mod cloud;
mod job;
mod queue;
mod state;

use std::borrow::Cow;
use std::time::Duration;

use document_store::digest::digest;
use document_store::{DocPath, FieldPath, Fields, Precondition, Value, Write};

use self::job::{job_of_payload, payload_of_job};

pub(super) use attempt::receive;
pub use attempt::{Attempt, AttemptEnd, TaskRunner};
pub use cloud::{CloudError, CloudOptions, CloudTasks, RemoteQueue};
pub use job::{Job, PayloadError, StoredTimestamp, stored_payload};
pub use queue::{LocalQueue, QueueOptions};

/// The collection that holds tasks until they're done.
pub const TASKS: &str = "functionTasks";

/// A task to be enqueued.
#[derive(Clone, Debug, PartialEq)]
pub struct NewTask {
    /// Unique among all tasks. A task of the same ID replaces the one that waits.
    pub id: String,
    /// The task function that runs it.
    pub function: &'static str,
    /// The version of the payload: see [`Job::VERSION`].
    pub version: u32,
    /// The job, as it's stored.
    pub payload: Fields,
}

impl NewTask {
    /// A task of that ID which does the job. Panics when the job isn't a struct with named fields.
    pub fn new<J: Job>(id: impl Into<String>, job: &J) -> NewTask {
        NewTask { id: id.into(), function: J::FUNCTION, version: J::VERSION, payload: payload_of_job(job) }
    }
}

/// An attempt at a task, as handlers get it, with the payload read as their [`Job`].
#[derive(Clone, Debug, PartialEq)]
pub struct Task<P = Fields> {
    /// Its ID.
    pub id: String,
    /// The version of the payload as it is stored.
    pub version: u32,
    /// What is to be done.
    pub payload: P,
    /// 1 at the first attempt since the process started.
    pub attempt: u32,
    path: DocPath,
}

/// How an attempt ended, when it didn't fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskOutcome {
    /// The handler's own commit carried [`Task::done`]: nothing is left to do.
    Committed,
    /// Done, or not needed any more: the queue removes the task.
    Finished,
    /// Not done yet: the task is run again after this time, or when it's woken. This doesn't count as a failure.
    Later(Duration),
}

impl Task {
    /// The same task with its payload read as a job.
    pub(crate) fn read<J: Job>(self) -> Result<Task<J>, PayloadError> {
        let Task { id, version, payload, attempt, path } = self;
        Ok(Task { id, version, payload: job_of_payload(version, payload)?, attempt, path })
    }
}

impl<P> Task<P> {
    /// A task as its document at `path` says, with a payload of version 1.
    pub fn new(path: DocPath, payload: P, attempt: u32) -> Self {
        Task { id: path.id().to_owned(), version: 1, payload, attempt, path }
    }

    /// Where the task's document is until it's done.
    pub fn path(&self) -> &DocPath {
        &self.path
    }

    /// The write that marks the task done, for the commit that does its work: both happen, once,
    /// or neither. The commit conflicts when the task was done before.
    pub fn done(&self) -> Write {
        Write::delete(self.path.clone()).when(Precondition::Exists)
    }
}

impl<J: Job> Task<J> {
    /// The write that remembers how far the task got, for the commit that gets it there. It sets the payload entries of
    /// the progress; the commit conflicts when the task was done before.
    pub fn advance(&self, progress: &J::Progress) -> Write {
        let entries = payload_of_job(progress);
        let mask = entries.keys().map(|key| FieldPath::of(["payload", key])).collect();
        let fields = Fields::from([("payload".to_owned(), Value::Map(entries))]);
        Write::merge(self.path.clone(), fields, mask).when(Precondition::Exists)
    }

    /// A write that changes nothing, for a commit that may only happen while the task is still to be done: it conflicts
    /// when the task was done or taken back before.
    pub fn still_there(&self) -> Write {
        let function = Fields::from([("function".to_owned(), Value::from(J::FUNCTION))]);
        Write::merge(self.path.clone(), function, vec![FieldPath::top("function")]).when(Precondition::Exists)
    }
}

/// A queue of tasks.
pub trait TaskQueue: Send + Sync + 'static {
    /// The write that creates the task, for the commit that makes it necessary.
    fn enlist(&self, task: &NewTask) -> Write;

    /// Notifies the queue of enlisted tasks that were committed. A crash before this call loses nothing: the store is
    /// searched for tasks at start.
    fn announce(&self, tasks: Vec<NewTask>);

    /// Runs a task now that waits after [`TaskOutcome::Later`].
    fn wake(&self, function: &'static str, id: &str);
}

/// The ID of a task's document: the task's own, or its digest where that can't be a document's.
fn document_id(id: &str) -> Cow<'_, str> {
    match DocPath::in_collection(TASKS, id) {
        Ok(_) => Cow::Borrowed(id),
        Err(_) => Cow::Owned(digest(id)),
    }
}

/// The document of a task.
fn path_of(id: &str) -> DocPath {
    DocPath::in_collection(TASKS, &document_id(id)).expect("a digest in hexadecimal is a document ID")
}

/// What a task's document holds: which function is to run with what.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredTask {
    /// The name of the function.
    pub function: String,
    /// The version of the payload.
    pub version: u32,
    /// What the function needs to know.
    pub payload: Fields,
}

impl From<NewTask> for StoredTask {
    fn from(task: NewTask) -> StoredTask {
        StoredTask { function: task.function.to_owned(), version: task.version, payload: task.payload }
    }
}

/// The fields of a task's document. Version 1 of a payload has no mark, as before there were versions.
fn document_of(task: &NewTask) -> Fields {
    let mut fields = Fields::from([
        ("function".to_owned(), Value::from(task.function)),
        ("payload".to_owned(), Value::Map(task.payload.clone())),
    ]);
    if task.version != 1 {
        fields.insert("version".to_owned(), Value::Integer(task.version.into()));
    }
    fields
}

/// Reads the fields of a task's document; `None` when it isn't one.
fn contents(mut fields: Fields) -> Option<StoredTask> {
    let version = match fields.get("version") {
        None => 1,
        Some(version) => version.as_i64().and_then(|version| u32::try_from(version).ok())?,
    };
    match (fields.remove("function"), fields.remove("payload")) {
        (Some(Value::String(function)), Some(Value::Map(payload))) => Some(StoredTask { function, version, payload }),
        _ => None,
    }
}
