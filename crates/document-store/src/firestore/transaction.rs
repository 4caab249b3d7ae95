//! Transactions on Firestore.

use std::sync::Arc;

use async_trait::async_trait;
use gcloud_sdk::google::firestore::v1 as pb;
use pb::batch_get_documents_request::ConsistencySelector as GetConsistency;
use pb::run_query_request::ConsistencySelector as QueryConsistency;
use pb::transaction_options::{Mode, ReadWrite};
use tokio::sync::OwnedSemaphorePermit;

use super::connection::Connection;
use super::retry::{self, CallKind, Failure, Subject};
use super::{batch_get, convert, convert_query, query_all};
use crate::{BackendTransaction, Committed, DocPath, Document, FieldPath, Query, Result, Write};

/// One attempt at a transaction. It begins with its first read: the server is asked to begin it and
/// to read in one call, and an attempt that reads nothing is a plain commit.
pub(super) struct FirestoreTransaction {
    connection: Arc<Connection>,
    retry_of: Option<Vec<u8>>,
    id: Option<Vec<u8>>,
    /// Set once the attempt has begun, until it's committed or rolled back: the server holds locks for it.
    open: bool,
    /// See [`Connection::turn`].
    turn: Option<OwnedSemaphorePermit>,
}

impl FirestoreTransaction {
    pub(super) fn new(connection: Arc<Connection>, retry_of: Option<Vec<u8>>) -> Self {
        FirestoreTransaction { connection, retry_of, id: None, open: false, turn: None }
    }

    fn options(&self) -> pb::TransactionOptions {
        // A retry that names the failed attempt inherits its age, and so precedence over younger transactions.
        let retry_transaction = self.retry_of.clone().unwrap_or_default();
        let mode = Mode::ReadWrite(ReadWrite { retry_transaction, ..ReadWrite::default() });
        pb::TransactionOptions { mode: Some(mode) }
    }

    async fn take_turn(&mut self) -> Result<(), Failure> {
        if self.turn.is_none() {
            self.turn = self.connection.turn().await?;
        }
        Ok(())
    }

    fn began(&mut self, id: Option<Vec<u8>>) {
        if id.is_some() {
            self.id = id;
            self.open = true;
        }
    }

    async fn get_once(
        &mut self,
        paths: &[DocPath],
        mask: Option<&[FieldPath]>,
    ) -> Result<Vec<Option<Document>>, Failure> {
        self.take_turn().await?;
        let consistency = match &self.id {
            Some(id) => GetConsistency::Transaction(id.clone()),
            None => GetConsistency::NewTransaction(self.options()),
        };
        let (id, found) = batch_get(&self.connection, paths, mask, Some(consistency)).await;
        self.began(id);
        found?.in_order(paths)
    }

    async fn query_once(&mut self, request: pb::RunQueryRequest) -> Result<Vec<Document>, Failure> {
        self.take_turn().await?;
        let consistency = match &self.id {
            Some(id) => QueryConsistency::Transaction(id.clone()),
            None => QueryConsistency::NewTransaction(self.options()),
        };
        let (id, documents) = query_all(&self.connection, request, consistency).await;
        self.began(id);
        documents
    }
}

#[async_trait]
impl BackendTransaction for FirestoreTransaction {
    async fn get_all(&mut self, paths: &[DocPath], mask: Option<&[FieldPath]>) -> Result<Vec<Option<Document>>> {
        let mut attempt = 1;
        loop {
            match self.get_once(paths, mask).await {
                Err(failure)
                    if retry::again(&failure, CallKind::TransactionRead, attempt, self.connection.attempts()) =>
                {
                    retry::wait(attempt).await;
                    attempt += 1;
                }
                outcome => return outcome.map_err(|failure| failure.into_error(Subject::Read)),
            }
        }
    }

    async fn query(&mut self, query: Query) -> Result<Vec<Document>> {
        let request = convert_query::run_query(self.connection.root(), &query)?;
        let mut attempt = 1;
        loop {
            match self.query_once(request.clone()).await {
                Err(failure)
                    if retry::again(&failure, CallKind::TransactionRead, attempt, self.connection.attempts()) =>
                {
                    retry::wait(attempt).await;
                    attempt += 1;
                }
                outcome => {
                    return outcome.map_err(|failure| failure.into_error(Subject::Query(query.collection_id())));
                }
            }
        }
    }

    async fn commit(&mut self, writes: Vec<Write>) -> Result<Committed> {
        let kind = if self.id.is_some() { CallKind::TransactionCommit } else { retry::kind_of_commit(&writes) };
        let subject = Subject::commit(&writes);
        let request = convert::commit(&self.connection, writes, self.id.clone().unwrap_or_default());
        let outcome =
            retry::retrying(self.connection.attempts(), kind, || self.connection.commit(request.clone())).await;
        match outcome {
            Ok(response) => {
                self.open = false;
                self.turn = None;
                convert::committed(response).map_err(|failure| failure.into_error(subject))
            }
            Err(failure) => {
                // A refused commit keeps its locks, and the next attempt would wait for them.
                let _ = self.rollback().await;
                Err(failure.into_error(subject))
            }
        }
    }

    async fn rollback(&mut self) -> Result<()> {
        let outcome = match &self.id {
            Some(id) if self.open => self.connection.rollback(id.clone()).await,
            _ => Ok(()),
        };
        // Cleared only now, so that `drop` rolls back when the caller is cancelled before this.
        self.open = false;
        self.turn = None;
        outcome.map_err(|failure| failure.into_error(Subject::Read))
    }

    fn id(&self) -> Option<Vec<u8>> {
        self.id.clone()
    }
}

impl Drop for FirestoreTransaction {
    /// Rolls back an attempt that its caller has abandoned (cancelled by a deadline, say): its locks would block other
    /// transactions until the server aborts it after a minute.
    fn drop(&mut self) {
        let (true, Some(id), Ok(runtime)) = (self.open, self.id.take(), tokio::runtime::Handle::try_current()) else {
            return;
        };
        let connection = Arc::clone(&self.connection);
        let turn = self.turn.take();
        runtime.spawn(async move {
            let _until_rolled_back = turn;
            if let Err(failure) = connection.rollback(id).await {
                tracing::debug!(?failure, "an abandoned transaction was not rolled back");
            }
        });
    }
}
