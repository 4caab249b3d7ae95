//! Tasks: work that outlives the request that asked for it.
//!
//! A task is a document, so that it can be written in the commit that makes it necessary and removed
//! in the commit that does it. The queue only carries the word that it's there.

mod attempt;
mod cloud;
mod queue;
mod state;

use std::borrow::Cow;
use std::time::Duration;

use document_store::digest::digest;
use document_store::{DocPath, FieldPath, Fields, Precondition, Value, Write};

pub(super) use attempt::receive;
pub use attempt::{Attempt, AttemptEnd, TaskRunner};
pub use cloud::{CloudError, CloudOptions, CloudTasks, RemoteQueue};
pub use queue::{LocalQueue, QueueOptions};

/// The collection that holds tasks until they're done.
pub const TASKS: &str = "functionTasks";

/// A task to be enqueued.
#[derive(Clone, Debug, PartialEq)]
pub struct NewTask {
    /// Unique among all tasks; the same ID is the same task.
    pub id: String,
    /// The task function that runs it.
    pub function: &'static str,
    /// What the function needs to know.
    pub payload: Fields,
}

/// A task at an attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Its ID.
    pub id: String,
    /// What the function needs to know.
    pub payload: Fields,
    /// 1 at the first attempt since the process started.
    pub attempt: u32,
    path: DocPath,
}

/// How an attempt ended, when it didn't fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskOutcome {
    /// The handler's own commit carried [`Task::done`]: nothing is left to do.
    Committed,
    /// Done (or not needed any more): the queue may remove it.
    Finished,
    /// Not yet: run it again after this time, or when it's woken. This is no failure.
    Later(Duration),
}

impl Task {
    /// A task as its document at `path` says.
    pub fn new(path: DocPath, payload: Fields, attempt: u32) -> Self {
        Task { id: path.id().to_owned(), payload, attempt, path }
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

    /// The write that remembers how far the task got, for the commit that gets it there. It sets the
    /// given payload entries; the commit conflicts when the task was done before.
    pub fn advance(&self, entries: Fields) -> Write {
        let mask = entries.keys().map(|key| FieldPath::of(["payload", key])).collect();
        let fields = Fields::from([("payload".to_owned(), Value::Map(entries))]);
        Write::merge(self.path.clone(), fields, mask).when(Precondition::Exists)
    }
}

/// Where tasks are handed in.
pub trait TaskQueue: Send + Sync + 'static {
    /// The write that creates the task, for the commit that makes it necessary.
    fn enlist(&self, task: &NewTask) -> Write;

    /// Says that enlisted tasks were committed. A crash before this call loses nothing: tasks found
    /// at start are run too.
    fn announce(&self, tasks: Vec<NewTask>);

    /// Ends the waiting time of a function's task that asked for [`TaskOutcome::Later`].
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

/// What a task's document holds.
fn document_of(task: &NewTask) -> Fields {
    Fields::from([
        ("function".to_owned(), Value::from(task.function)),
        ("payload".to_owned(), Value::Map(task.payload.clone())),
    ])
}

/// The function and the payload in a task's document.
fn contents(mut fields: Fields) -> Option<(String, Fields)> {
    match (fields.remove("function"), fields.remove("payload")) {
        (Some(Value::String(function)), Some(Value::Map(payload))) => Some((function, payload)),
        _ => None,
    }
}
