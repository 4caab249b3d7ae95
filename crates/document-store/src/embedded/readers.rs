//! The pool of read connections, and the threads that use them.

use std::path::PathBuf;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::Inner;
use super::read;
use super::schema::{open_reader, sql};
use crate::order::{Evaluation, project};
use crate::{DocPath, Document, FieldPath, Query, Result, StoreError};

/// How many reads run at a time, and how many connections are kept for them.
const READERS: usize = 4;
/// How many results of a query are handed over at a time.
const BATCH: usize = 256;

/// A pool of connections.
pub(super) struct Readers {
    file: PathBuf,
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

/// Runs `work` on a thread for blocking work.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let stopped = |_| StoreError::Internal("a read did not finish".to_owned());
    tokio::task::spawn_blocking(work).await.map_err(stopped)?
}

/// A connection taken from the pool, which returns to it when this is dropped.
struct Lent {
    connection: Option<Connection>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut idle = self.idle.lock();
        if idle.len() < READERS {
            idle.extend(self.connection.take());
        }
    }
}

impl Lent {
    /// Runs `work` in one snapshot.
    fn snapshot<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let Some(connection) = &self.connection else {
            return Err(StoreError::Internal("a connection is gone".to_owned()));
        };
        let transaction = connection.unchecked_transaction().map_err(sql)?;
        work(&transaction)
    }
}

impl Readers {
    pub(super) fn new(file: PathBuf) -> Readers {
        Readers { file, idle: Arc::default(), permits: Arc::new(Semaphore::new(READERS)) }
    }

    /// Closes the connections that nobody uses now.
    pub(super) fn close(&self) {
        self.idle.lock().clear();
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit> {
        let closed = |_| StoreError::Internal("the readers have stopped".to_owned());
        self.permits.clone().acquire_owned().await.map_err(closed)
    }

    /// A connection, opened now if none is idle.
    fn lend(&self) -> impl FnOnce() -> Result<Lent> + Send + 'static {
        let (file, idle) = (self.file.clone(), self.idle.clone());
        move || {
            let connection = idle.lock().pop().map_or_else(|| open_reader(&file), Ok)?;
            Ok(Lent { connection: Some(connection), idle })
        }
    }

    /// Runs `work` on a connection, in one snapshot, when its turn comes.
    pub(super) async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let permit = self.permit().await?;
        let lend = self.lend();
        blocking(move || {
            let result = lend()?.snapshot(work);
            drop(permit);
            result
        })
        .await
    }
}

/// The documents at `paths`.
pub(super) fn get_all(
    connection: &Connection,
    paths: &[DocPath],
    mask: Option<&[FieldPath]>,
) -> Result<Vec<Option<Document>>> {
    paths
        .iter()
        .map(|path| {
            let mut document = read::get(connection, path)?;
            if let (Some(document), Some(mask)) = (&mut document, mask) {
                document.fields = project(&document.fields, mask);
            }
            Ok(document)
        })
        .collect()
}

/// The query's results, all as of one snapshot, read as they are taken.
pub(super) fn stream(inner: Arc<Inner>, query: Query) -> BoxStream<'static, Result<Document>> {
    let begin = async move {
        match begin(inner, query).await {
            Ok(batches) => batches,
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    };
    stream::once(begin).flatten().boxed()
}

async fn begin(inner: Arc<Inner>, query: Query) -> Result<BoxStream<'static, Result<Document>>> {
    let shared = inner.shared.clone();
    let evaluation = Evaluation::new(query, &shared.root)?;
    let plan = shared.plan(&evaluation);
    let mut permit = Some(shared.readers.permit().await?);
    let lend = shared.readers.lend();
    let (batches, mut taken) = mpsc::channel::<Result<Vec<Document>>>(1);
    tokio::task::spawn_blocking(move || {
        let mut batch = Vec::new();
        let result = lend().and_then(|lent| {
            lent.snapshot(|connection| {
                read::run(connection, &evaluation, &plan, &mut |document| {
                    batch.push(document);
                    if batch.len() < BATCH {
                        return true;
                    }
                    // The consumer may be slow, or make other reads before it takes the next results:
                    // from here on, this read holds no permit that another one may be waiting for.
                    permit.take();
                    batches.blocking_send(Ok(std::mem::take(&mut batch))).is_ok()
                })
            })
        });
        drop(permit);
        // An empty batch marks the end: without it, the results were cut off.
        for batch in result.map_or_else(|error| vec![Err(error)], |()| vec![Ok(batch), Ok(Vec::new())]) {
            let is_empty = matches!(&batch, Ok(batch) if batch.is_empty());
            if batches.blocking_send(batch).is_err() || is_empty {
                break;
            }
        }
    });
    // Holding the store keeps its file open until the results are read.
    let held = inner;
    let results = stream::poll_fn(move |context| {
        let _ = &held;
        taken.poll_recv(context).map(Some)
    });
    let whole = results.scan(false, |ended, batch| {
        let next = match batch {
            _ if *ended => None,
            Some(Ok(batch)) if batch.is_empty() => None,
            Some(Ok(batch)) => Some(batch.into_iter().map(Ok).collect()),
            Some(Err(error)) => {
                *ended = true;
                Some(vec![Err(error)])
            }
            None => {
                *ended = true;
                Some(vec![Err(StoreError::Internal("a read did not finish".to_owned()))])
            }
        };
        futures::future::ready(next)
    });
    Ok(whole.map(stream::iter).flatten().boxed())
}
