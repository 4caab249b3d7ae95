//! The handle that programs use: a backend whose costs are counted and whose transactions are retried.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use tokio::sync::Mutex;

use super::backoff::{Backoff, Jitter};
use super::context::SystemRandom;
use super::cost::{self, Cost, Meter};
use super::read_only::ReadOnly;
use super::{
    Backend, BackendTransaction, Committed, DocPath, Document, FieldPath, Query, Result, StoreError, Value, Write,
};

/// How often a transaction is attempted before contention is reported to the caller.
const TRANSACTION_ATTEMPTS: u32 = 12;
/// The pauses between the attempts of a transaction.
const CONTENTION: Backoff =
    Backoff::new(Duration::from_millis(10), Duration::from_millis(1280)).with_jitter(Jitter::Full);
/// How many queries of one [`Database::query_each`] run at once.
const PARALLEL_QUERIES: usize = 8;

/// One database. Cheap to clone.
#[derive(Clone)]
pub struct Database {
    backend: Arc<dyn Backend>,
    meter: Arc<Meter>,
}

impl Database {
    /// A handle on a backend.
    pub fn new(backend: Arc<dyn Backend>) -> Self {
        Database { backend, meter: Arc::new(Meter::default()) }
    }

    /// A handle on the same database that refuses writes with [`StoreError::PermissionDenied`]. Both handles count
    /// their costs together.
    pub fn read_only(&self) -> Database {
        Database { backend: Arc::new(ReadOnly(self.backend.clone())), meter: self.meter.clone() }
    }

    /// The cost of all operations of this handle and its clones.
    pub fn cost(&self) -> Cost {
        self.meter.total()
    }

    fn spend(&self, cost: Cost) {
        self.meter.add(cost);
        cost::spend(cost);
    }

    /// The reference value of a document of this database.
    pub fn reference(&self, path: &DocPath) -> Value {
        Value::Reference(format!("{}/{path}", self.backend.root()))
    }

    /// True when no other process can have the database open.
    pub fn is_exclusive(&self) -> bool {
        self.backend.is_exclusive()
    }

    /// Checks that the store answers.
    pub async fn ping(&self) -> Result<()> {
        self.backend.ping().await
    }

    /// One document; `None` when it's missing, which is billed as a read too.
    pub async fn get(&self, path: &DocPath) -> Result<Option<Document>> {
        Ok(self.get_all(std::slice::from_ref(path)).await?.pop().flatten())
    }

    /// Documents at `paths`, in that order.
    pub async fn get_all(&self, paths: &[DocPath]) -> Result<Vec<Option<Document>>> {
        self.get_fields(paths, None).await
    }

    /// As [`Database::get_all`], with only the fields of `mask`.
    pub async fn get_fields(&self, paths: &[DocPath], mask: Option<&[FieldPath]>) -> Result<Vec<Option<Document>>> {
        if paths.is_empty() {
            return Ok(Vec::new());
        }
        let documents = self.backend.get_all(paths, mask).await?;
        self.spend(Cost::reads(paths.len() as u64));
        Ok(documents)
    }

    /// The query's results as they come.
    pub fn stream(&self, query: Query) -> BoxStream<'static, Result<Document>> {
        let offset = u64::from(query.offset);
        let database = self.clone();
        let counted = futures::stream::unfold(
            (self.backend.query(query), 0_u64, database),
            move |(mut results, seen, database)| async move {
                match results.next().await {
                    Some(Ok(document)) => {
                        let cost = if seen == 0 { 1 + offset } else { 1 };
                        database.spend(Cost::reads(cost));
                        Some((Ok(document), (results, seen + 1, database)))
                    }
                    // A failure isn't billed, nor does the query count as one without results.
                    Some(Err(error)) => Some((Err(error), (results, seen + 1, database))),
                    None => {
                        if seen == 0 {
                            database.spend(Cost::reads(1.max(offset)));
                        }
                        None
                    }
                }
            },
        );
        counted.boxed()
    }

    /// All of the query's results.
    pub async fn query(&self, query: Query) -> Result<Vec<Document>> {
        self.stream(query).try_collect().await
    }

    /// The results of several queries, in no particular order. A few queries run at a time.
    pub async fn query_each(&self, queries: impl IntoIterator<Item = Query>) -> Result<Vec<Document>> {
        let asked: Vec<_> = queries.into_iter().map(|query| self.query(query)).collect();
        futures::stream::iter(asked).buffer_unordered(PARALLEL_QUERIES).try_concat().await
    }

    /// How many documents the query would return.
    pub async fn count(&self, query: Query) -> Result<u64> {
        let count = self.backend.count(query).await?;
        self.spend(Cost::reads(count.div_ceil(1000).max(1)));
        Ok(count)
    }

    /// Does all of the writes, in order, or none of them. Without writes nothing is sent, and `None` returned.
    pub async fn commit(&self, writes: Vec<Write>) -> Result<Option<Committed>> {
        if writes.is_empty() {
            return Ok(None);
        }
        let cost = cost_of(&writes);
        let committed = self.backend.commit(writes).await.inspect_err(note)?;
        self.spend(cost);
        Ok(Some(committed))
    }

    /// Runs `work` in a transaction and commits the writes that it added with [`Transaction::write`].
    ///
    /// When another transaction comes between, `work` runs again in a new attempt, so it must have no effects outside
    /// of the transaction. Its error rolls the transaction back and is returned. A failed precondition
    /// ([`StoreError::Conflict`]) isn't retried, because only the caller knows what it means.
    pub async fn transaction<T, E, F, W>(&self, mut work: W) -> Result<(T, Option<Committed>), E>
    where
        E: From<StoreError>,
        F: Future<Output = Result<T, E>>,
        W: FnMut(Transaction) -> F,
    {
        let mut retry_of = None;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let transaction = Transaction {
                inner: Arc::new(Mutex::new(Attempt {
                    backend: self.backend.begin(retry_of.take()),
                    writes: Vec::new(),
                    contended: false,
                })),
                database: self.clone(),
            };
            let outcome = work(transaction.clone()).await;
            let mut inner = transaction.inner.lock().await;
            let value = match outcome {
                Ok(value) => value,
                Err(_) if inner.contended && attempt < TRANSACTION_ATTEMPTS => {
                    retry_of = inner.backend.id();
                    let _ = inner.backend.rollback().await;
                    drop(inner);
                    note(&StoreError::Contention);
                    tokio::time::sleep(CONTENTION.pause(attempt, &SystemRandom)).await;
                    continue;
                }
                Err(error) => {
                    // The caller's error matters more than a failed rollback: the store rolls an idle attempt back
                    // by itself.
                    let _ = inner.backend.rollback().await;
                    return Err(error);
                }
            };
            let writes = std::mem::take(&mut inner.writes);
            if writes.is_empty() {
                let _ = inner.backend.rollback().await;
                return Ok((value, None));
            }
            let cost = cost_of(&writes);
            match inner.backend.commit(writes).await.inspect_err(note) {
                Ok(committed) => {
                    self.spend(cost);
                    return Ok((value, Some(committed)));
                }
                Err(StoreError::Contention) if attempt < TRANSACTION_ATTEMPTS => {
                    retry_of = inner.backend.id();
                    drop(inner);
                    tokio::time::sleep(CONTENTION.pause(attempt, &SystemRandom)).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Counts conflicts with concurrent writes.
fn note(error: &StoreError) {
    if matches!(error, StoreError::Contention | StoreError::Conflict(_)) {
        cost::conflict();
    }
}

fn cost_of(writes: &[Write]) -> Cost {
    let deletes = writes.iter().filter(|write| write.is_delete()).count() as u64;
    Cost { reads: 0, writes: writes.len() as u64 - deletes, deletes }
}

struct Attempt {
    backend: Box<dyn BackendTransaction>,
    writes: Vec<Write>,
    /// A read met contention, so the outcome of the work is void, even if it's an error.
    contended: bool,
}

impl Attempt {
    fn note<T>(&mut self, result: Result<T>) -> Result<T> {
        self.contended |= matches!(result, Err(StoreError::Contention));
        result
    }
}

/// One attempt at a transaction. Cheap to clone; clones are the same attempt.
#[derive(Clone)]
pub struct Transaction {
    inner: Arc<Mutex<Attempt>>,
    database: Database,
}

impl Transaction {
    /// One document; `None` when it's missing.
    pub async fn get(&self, path: &DocPath) -> Result<Option<Document>> {
        Ok(self.get_all(std::slice::from_ref(path)).await?.pop().flatten())
    }

    /// Documents at `paths`, in that order.
    pub async fn get_all(&self, paths: &[DocPath]) -> Result<Vec<Option<Document>>> {
        if paths.is_empty() {
            return Ok(Vec::new());
        }
        let mut inner = self.inner.lock().await;
        let result = inner.backend.get_all(paths, None).await;
        let documents = inner.note(result)?;
        self.database.spend(Cost::reads(paths.len() as u64));
        Ok(documents)
    }

    /// All of the query's results.
    pub async fn query(&self, query: Query) -> Result<Vec<Document>> {
        let offset = u64::from(query.offset);
        let mut inner = self.inner.lock().await;
        let result = inner.backend.query(query).await;
        let documents = inner.note(result)?;
        self.database.spend(Cost::reads((documents.len() as u64 + offset).max(1)));
        Ok(documents)
    }

    /// Adds a write to the transaction's commit.
    pub async fn write(&self, write: Write) {
        self.inner.lock().await.writes.push(write);
    }

    /// Adds writes to the transaction's commit.
    pub async fn write_all(&self, writes: impl IntoIterator<Item = Write>) {
        self.inner.lock().await.writes.extend(writes);
    }
}
