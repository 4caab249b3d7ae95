//! Documents on SQLite, with Firestore's semantics and triggers.
//!
//! One file a database. Each document is a row under its name (`record`); each index entry is a row
//! under a key that orders as Firestore orders (`index`, [`super::order`]). One thread writes
//! (`writer`, `commit`), all waiting commits in one SQLite transaction; readers have connections of
//! their own (`read`, by a `plan`). Transactions are optimistic (`validate`). What triggers match
//! goes to an `outbox` in the commit's own SQLite transaction, and from there to a [`Dispatcher`].

mod apply;
mod commit;
mod index;
mod outbox;
mod plan;
mod prepare;
mod read;
mod readers;
pub(crate) mod record;
mod schema;
mod transaction;
mod validate;
mod writer;

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use async_trait::async_trait;
use futures::stream::BoxStream;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, oneshot, watch};

pub use crate::outbox::{DispatchOptions, Dispatcher, OutboxTrigger as EmbeddedTrigger};
pub use index::{Index, IndexField, IndexMode, IndexSet};
pub use plan::Plan;

use super::order::Evaluation;
use super::{
    Backend, BackendTransaction, ChangeSink, Committed, DatabaseName, DocPath, Document, DocumentChange, FieldPath,
    Query, Result, StoreError, Write,
};
use crate::context::Clock;
use crate::outbox::Triggers;
use crate::private;
use readers::Readers;
use schema::Catalog;
use transaction::Attempt;
use writer::{Job, Writer};

/// How many commits may wait before callers are held up.
const QUEUE: usize = 1024;
/// From how many writes on a commit is made ready on a thread for blocking work.
const MANY_WRITES: usize = 32;
/// How many different scans are remembered.
const MOST_SCANS: usize = 1000;

/// A database in a file. Share it in an `Arc`; the file is closed when the last user is gone.
pub struct EmbeddedStore {
    inner: Arc<Inner>,
}

/// What the store's users share. The writer's thread doesn't hold it, so that it ends with them.
struct Inner {
    shared: Arc<Shared>,
    jobs: Option<mpsc::Sender<Job>>,
    writer: Option<JoinHandle<()>>,
    /// Locked while the store is open.
    _lock: File,
}

/// What the writer and the readers know.
struct Shared {
    root: String,
    catalog: Catalog,
    triggers: Triggers,
    clock: Arc<dyn Clock>,
    readers: Readers,
    /// How many events wait in the outbox.
    pending: watch::Sender<u64>,
    /// Wakes the dispatcher.
    wake: Notify,
    /// When documents with a collection ID last changed since the store was opened, in microseconds.
    changes: Mutex<HashMap<String, i64>>,
    scans: Mutex<BTreeSet<String>>,
}

impl Shared {
    fn plan(&self, evaluation: &Evaluation) -> Plan {
        let plan = plan::plan(evaluation, &self.catalog);
        if plan.is_scan() {
            let mut scans = self.scans.lock();
            if scans.len() < MOST_SCANS {
                scans.insert(plan::describe(evaluation.query()));
            }
        }
        plan
    }

    /// Must come before the change can be seen, so that who sees it knows of it.
    fn note_change(&self, collection_id: &str, time: i64) {
        let mut changes = self.changes.lock();
        match changes.get_mut(collection_id) {
            Some(last) => *last = time,
            None => {
                changes.insert(collection_id.to_owned(), time);
            }
        }
    }

    fn changed_since(&self, collection_id: &str, time: i64) -> bool {
        self.changes.lock().get(collection_id).is_some_and(|last| *last > time)
    }
}

impl EmbeddedStore {
    /// Opens the database `name` in the directory `dir`, making both if need be, and brings its
    /// indexes up to date with `indexes` (which takes a while for a new index over many documents).
    /// Blocks meanwhile.
    ///
    /// Commit times come from `clock`, but always move on. Fails with [`StoreError::Unavailable`]
    /// when the file can't be opened or closed to other users, or another process (or store) has it open, and with
    /// [`StoreError::Internal`] when it's of another format or damaged.
    pub fn open(
        dir: &Path,
        name: &str,
        id: DatabaseName,
        indexes: &IndexSet,
        triggers: Vec<EmbeddedTrigger>,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<EmbeddedStore>> {
        let lock = lock(dir, name)?;
        let file = private_file(dir, name)?;
        let mut connection = schema::open_writer(&file)?;
        let catalog = schema::sync_indexes(&mut connection, indexes)?;
        let shared = Arc::new(Shared {
            root: id.root(),
            catalog,
            triggers: Triggers::new(triggers),
            clock,
            readers: Readers::new(file),
            pending: watch::Sender::new(0),
            wake: Notify::new(),
            changes: Mutex::default(),
            scans: Mutex::default(),
        });
        let writer = Writer::new(connection, shared.clone())?;
        let (jobs, queue) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name(format!("store-{name}"))
            .spawn(move || writer.run(queue))
            .map_err(|error| StoreError::Unavailable(format!("cannot start the writer: {error}")))?;
        let inner = Inner { shared, jobs: Some(jobs), writer: Some(thread), _lock: lock };
        Ok(Arc::new(EmbeddedStore { inner: Arc::new(inner) }))
    }

    /// How the store would answer the query. Fails as the query does.
    pub fn plan(&self, query: &Query) -> Result<Plan> {
        let evaluation = Evaluation::new(query.clone(), &self.inner.shared.root)?;
        Ok(plan::plan(&evaluation, &self.inner.shared.catalog))
    }

    /// The queries, without their values, that had filters and yet went through their whole
    /// collection since the store was opened: those that lack an index. Sorted, each once, at most
    /// 1,000.
    pub fn scans(&self) -> Vec<String> {
        self.inner.shared.scans.lock().iter().cloned().collect()
    }

    /// How many events are not yet acknowledged.
    pub fn pending_events(&self) -> u64 {
        *self.inner.shared.pending.borrow()
    }

    /// Waits until every event is acknowledged: at once, when none waits.
    pub async fn drained(&self) {
        let mut pending = self.inner.shared.pending.subscribe();
        // The sender lives as long as `self`.
        let _ = pending.wait_for(|pending| *pending == 0).await;
    }

    /// Takes all waiting events out, each with its trigger's name, the oldest first: for tests that
    /// deliver them as they please. Not while a dispatcher runs, which may have some of them already.
    pub async fn take_events(&self) -> Result<Vec<(String, DocumentChange)>> {
        self.inner.ask(|reply| Job::TakeEvents { reply }).await
    }

    /// Begins to deliver events to `sink`, those first that waited already, which may be of triggers
    /// that the store was opened with before. One dispatcher at a time. Panics outside of a Tokio
    /// runtime.
    pub fn start_dispatcher(&self, sink: Arc<dyn ChangeSink>, options: DispatchOptions) -> Dispatcher {
        Dispatcher::start(self.inner.clone(), sink, options)
    }
}

/// Takes the lock of a database, which the system lets go when the process ends.
fn lock(dir: &Path, name: &str) -> Result<File> {
    let simple = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || !name.chars().all(simple) {
        return Err(StoreError::InvalidArgument(format!("{name:?} is no name for a database file")));
    }
    private::directory(dir).map_err(|error| cannot(dir, &error))?;
    let file = private::file(&dir.join(format!("{name}.lock"))).map_err(|error| cannot(dir, &error))?;
    file.try_lock().map_err(|error| match error {
        std::fs::TryLockError::WouldBlock => StoreError::Unavailable(format!(
            "the database {name} in {} is open already, by another process or store",
            dir.display()
        )),
        std::fs::TryLockError::Error(error) => cannot(dir, &error),
    })?;
    Ok(file)
}

fn cannot(dir: &Path, error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Unavailable(format!("cannot open the data directory {}: {error}", dir.display()))
}

/// The database's file, for this user alone. SQLite gives the files that it makes beside it the same permissions.
fn private_file(dir: &Path, name: &str) -> Result<PathBuf> {
    let file = dir.join(format!("{name}.sqlite"));
    private::file(&file).map_err(|error| cannot(dir, &error))?;
    for beside in ["-wal", "-shm"] {
        private::close(&dir.join(format!("{name}.sqlite{beside}"))).map_err(|error| cannot(dir, &error))?;
    }
    Ok(file)
}

impl Inner {
    async fn ask<T>(&self, job: impl FnOnce(writer::Reply<T>) -> Job) -> Result<T> {
        let stopped = || StoreError::Internal("the writer has stopped".to_owned());
        let (reply, answer) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or_else(stopped)?;
        jobs.send(job(reply)).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    async fn commit(&self, writes: Vec<Write>, reads: Option<validate::ReadSet>) -> Result<Committed> {
        let shared = self.shared.clone();
        let writes = if writes.len() < MANY_WRITES {
            prepare::prepare(&shared, writes)?
        } else {
            readers::blocking(move || prepare::prepare(&shared, writes)).await?
        };
        let (committed, _writes) = self.ask(|reply| Job::Commit { writes, reads, reply }).await?;
        Ok(committed)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Lets the writer finish what it was given, so that the file can be opened again at once. Its
        // connection should be the last to close: that one writes the log back into the file.
        drop(self.jobs.take());
        self.shared.readers.close();
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

#[async_trait]
impl Backend for EmbeddedStore {
    fn root(&self) -> &str {
        &self.inner.shared.root
    }

    async fn get_all(&self, paths: &[DocPath], mask: Option<&[FieldPath]>) -> Result<Vec<Option<Document>>> {
        let (paths, mask) = (paths.to_vec(), mask.map(<[FieldPath]>::to_vec));
        self.inner.shared.readers.with(move |connection| readers::get_all(connection, &paths, mask.as_deref())).await
    }

    fn query(&self, query: Query) -> BoxStream<'static, Result<Document>> {
        readers::stream(self.inner.clone(), query)
    }

    async fn count(&self, query: Query) -> Result<u64> {
        let shared = self.inner.shared.clone();
        let evaluation = Evaluation::new(query, &shared.root)?;
        let plan = shared.plan(&evaluation);
        shared.readers.with(move |connection| read::count(connection, &evaluation, &plan)).await
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<Committed> {
        self.inner.commit(writes, None).await
    }

    fn begin(&self, _retry_of: Option<Vec<u8>>) -> Box<dyn BackendTransaction> {
        Box::new(Attempt::new(self.inner.clone()))
    }

    async fn ping(&self) -> Result<()> {
        self.inner.shared.readers.with(|connection| read::last_commit(connection).map(drop)).await
    }

    fn is_exclusive(&self) -> bool {
        true
    }
}
