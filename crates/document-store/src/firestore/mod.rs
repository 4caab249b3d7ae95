//! Cloud Firestore, or its emulator, over gRPC.
//!
//! A thin layer on the generated client: values are converted without loss ([`convert`]), one write carries fields,
//! mask, transforms and precondition together, and each kind of call is retried by its own rule (`retry`). [`event`]
//! reads the documents in Firestore's change events.

mod connection;
pub mod convert;
mod convert_query;
pub mod event;
mod event_json;
mod retry;
#[cfg(test)]
mod tests;
mod transaction;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use gcloud_sdk::google::firestore::v1 as pb;

use super::{Backend, BackendTransaction, Committed, DocPath, Document, FieldPath, Query, Result, StoreError, Write};
use connection::Connection;
use pb::batch_get_documents_request::ConsistencySelector as GetConsistency;
use pb::run_query_request::ConsistencySelector as QueryConsistency;
use retry::{CallKind, Subject};
use transaction::FirestoreTransaction;

/// Where a database is, and the timeouts and retries of calls to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirestoreConfig {
    /// The Google Cloud project's ID.
    pub project: String,
    /// The database's ID; `(default)` for the one that most projects have.
    pub database: String,
    /// `host:port` of an emulator, spoken to without TLS as its owner. `None` is Cloud Firestore
    /// with application-default credentials.
    pub emulator: Option<String>,
    /// HTTP/2 connections to spread calls over, each made when first used. Google's front end runs
    /// at most 100 calls on one.
    pub connections: usize,
    /// How long one attempt at a commit, a read or the wait for a query's next result may take.
    pub deadline: Duration,
    /// How long all of one query may take (Firestore itself ends queries after five minutes).
    pub query_deadline: Duration,
    /// How often a call that may be retried is made at most.
    pub attempts: u32,
    /// The program that asks, as `name/version`.
    pub user_agent: String,
}

impl FirestoreConfig {
    /// Cloud Firestore, with the default options: 60 seconds a call, five minutes a query, five attempts, four
    /// connections.
    pub fn new(project: impl Into<String>, database: impl Into<String>) -> Self {
        FirestoreConfig {
            project: project.into(),
            database: database.into(),
            emulator: None,
            connections: 4,
            deadline: Duration::from_secs(60),
            query_deadline: Duration::from_secs(300),
            attempts: 5,
            user_agent: concat!("document-store/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }

    /// The same with another program's name and version.
    pub fn with_user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = user_agent.into();
        self
    }

    /// The same on the emulator at `host` (`127.0.0.1:8080`).
    pub fn on_emulator(mut self, host: impl Into<String>) -> Self {
        self.emulator = Some(host.into());
        self
    }
}

/// One Cloud Firestore database. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct FirestoreStore {
    connection: Arc<Connection>,
}

impl FirestoreStore {
    /// Opens a client of the database. Credentials are looked up now; connections are made when they're first needed.
    ///
    /// Fails with [`StoreError::InvalidArgument`] when the configuration can't be right, and with
    /// [`StoreError::PermissionDenied`] when there are no application-default credentials.
    pub async fn open(config: FirestoreConfig) -> Result<Self> {
        Ok(FirestoreStore { connection: Arc::new(Connection::open(config).await?) })
    }
}

#[async_trait]
impl Backend for FirestoreStore {
    fn root(&self) -> &str {
        self.connection.root()
    }

    async fn get_all(&self, paths: &[DocPath], mask: Option<&[FieldPath]>) -> Result<Vec<Option<Document>>> {
        let fetch = || async { batch_get(&self.connection, paths, mask, None).await.1 };
        retry::retrying(self.connection.attempts(), CallKind::Read, fetch)
            .await
            .and_then(|found| found.in_order(paths))
            .map_err(|failure| failure.into_error(Subject::Read))
    }

    fn query(&self, query: Query) -> BoxStream<'static, Result<Document>> {
        let connection = Arc::clone(&self.connection);
        stream::once(async move {
            let request = convert_query::run_query(connection.root(), &query)?;
            let start = || async { QueryResults::start(&connection, request.clone()).await };
            let results = retry::retrying(connection.attempts(), CallKind::Read, start)
                .await
                .map_err(|failure| failure.into_error(Subject::Query(query.collection_id())))?;
            Ok(results.into_stream(connection, query.collection_id().to_owned()))
        })
        .try_flatten()
        .boxed()
    }

    async fn count(&self, query: Query) -> Result<u64> {
        let request = convert_query::count(self.connection.root(), &query)?;
        let run = || async {
            let mut results = self.connection.count(request.clone()).await?;
            let mut count = None;
            while let Some(response) = self.connection.next(&mut results).await? {
                let found = response.result.and_then(|result| convert_query::counted(&result));
                count = found.or(count);
            }
            count.ok_or_else(|| retry::Failure::malformed("a count without a number"))
        };
        retry::retrying(self.connection.attempts(), CallKind::Read, run)
            .await
            .map_err(|failure| failure.into_error(Subject::Query(query.collection_id())))
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<Committed> {
        let kind = retry::kind_of_commit(&writes);
        let subject = Subject::commit(&writes);
        let request = convert::commit(&self.connection, writes, Vec::new());
        retry::retrying(self.connection.attempts(), kind, || self.connection.commit(request.clone()))
            .await
            .and_then(convert::committed)
            .map_err(|failure| failure.into_error(subject))
    }

    fn begin(&self, retry_of: Option<Vec<u8>>) -> Box<dyn BackendTransaction> {
        Box::new(FirestoreTransaction::new(Arc::clone(&self.connection), retry_of))
    }

    async fn ping(&self) -> Result<()> {
        let options =
            pb::TransactionOptions { mode: Some(pb::transaction_options::Mode::ReadOnly(Default::default())) };
        // A read-only transaction takes no locks, costs nothing and lapses by itself.
        self.connection.begin(options).await.map(drop).map_err(|failure| failure.into_error(Subject::Read))
    }
}

/// Documents by name, as BatchGetDocuments sends them: in any order, each once.
struct Found {
    documents: HashMap<DocPath, Option<Document>>,
}

impl Found {
    fn in_order(mut self, paths: &[DocPath]) -> Result<Vec<Option<Document>>, retry::Failure> {
        let each_once = self.documents.len() == paths.len();
        paths
            .iter()
            .map(|path| if each_once { self.documents.remove(path) } else { self.documents.get(path).cloned() })
            .map(|found| found.ok_or_else(|| retry::Failure::malformed("an answer that leaves out a document")))
            .collect()
    }
}

/// One BatchGetDocuments. Also gives the transaction that it began or belongs to, even when it
/// fails halfway: the caller must be able to roll that back.
async fn batch_get(
    connection: &Connection,
    paths: &[DocPath],
    mask: Option<&[FieldPath]>,
    consistency: Option<GetConsistency>,
) -> (Option<Vec<u8>>, Result<Found, retry::Failure>) {
    let mut transaction = None;
    let request = convert_query::batch_get(connection, paths, mask, consistency);
    let read = async {
        let mut responses = connection.batch_get(request).await?;
        let mut documents = HashMap::with_capacity(paths.len());
        while let Some(response) = connection.next(&mut responses).await? {
            if !response.transaction.is_empty() {
                transaction = Some(response.transaction);
            }
            match response.result {
                Some(pb::batch_get_documents_response::Result::Found(document)) => {
                    let document = convert::document_from_proto(connection.root(), document)?;
                    documents.insert(document.path.clone(), Some(document));
                }
                Some(pb::batch_get_documents_response::Result::Missing(name)) => {
                    documents.insert(convert::path_of_name(connection.root(), &name)?, None);
                }
                None => {}
            }
        }
        Ok(Found { documents })
    };
    let outcome = read.await;
    (transaction, outcome)
}

/// A query that has given its first result, or ended without any.
struct QueryResults {
    first: Option<Document>,
    rest: tonic::Streaming<pb::RunQueryResponse>,
}

impl QueryResults {
    async fn start(connection: &Connection, request: pb::RunQueryRequest) -> Result<Self, retry::Failure> {
        let mut rest = connection.run_query(request).await?;
        let first = Self::next(connection, &mut rest).await?;
        Ok(QueryResults { first, rest })
    }

    /// The next document, passing over messages that only report progress.
    async fn next(
        connection: &Connection,
        responses: &mut tonic::Streaming<pb::RunQueryResponse>,
    ) -> Result<Option<Document>, retry::Failure> {
        while let Some(response) = connection.next(responses).await? {
            if let Some(document) = response.document {
                return convert::document_from_proto(connection.root(), document).map(Some).map_err(Into::into);
            }
        }
        Ok(None)
    }

    fn into_stream(self, connection: Arc<Connection>, collection: String) -> BoxStream<'static, Result<Document>> {
        let Some(first) = self.first else {
            return stream::empty().boxed();
        };
        let rest = stream::try_unfold(self.rest, move |mut responses| {
            let connection = Arc::clone(&connection);
            let collection = collection.clone();
            async move {
                // No retry here: the caller has seen results, and a repeated query would see another
                // state of the database.
                match Self::next(&connection, &mut responses).await {
                    Ok(next) => Ok(next.map(|document| (document, responses))),
                    Err(failure) => Err(failure.into_error(Subject::Query(&collection))),
                }
            }
        });
        stream::once(std::future::ready(Ok(first))).chain(rest).boxed()
    }
}

/// All results of a query inside a transaction, with the transaction as [`batch_get`] gives it.
async fn query_all(
    connection: &Connection,
    mut request: pb::RunQueryRequest,
    consistency: QueryConsistency,
) -> (Option<Vec<u8>>, Result<Vec<Document>, retry::Failure>) {
    let mut transaction = None;
    request.consistency_selector = Some(consistency);
    let read = async {
        let mut responses = connection.run_query(request).await?;
        let mut documents = Vec::new();
        while let Some(response) = connection.next(&mut responses).await? {
            if !response.transaction.is_empty() {
                transaction = Some(response.transaction);
            }
            if let Some(document) = response.document {
                documents.push(convert::document_from_proto(connection.root(), document)?);
            }
        }
        Ok(documents)
    };
    let outcome = read.await;
    (transaction, outcome)
}

/// The error for an answer that breaks the protocol.
fn malformed(what: &str) -> StoreError {
    StoreError::Internal(format!("Firestore sent {what}"))
}
