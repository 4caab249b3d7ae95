//! Documents: one small interface in Firestore's language, and two backends behind it.
//!
//! [`Database`] is what handlers hold. Behind it stands a [`Backend`]: [`firestore`] (Cloud
//! Firestore or its emulator, by gRPC) or [`embedded`] (SQLite on disk, with Firestore's semantics
//! and triggers). One conformance suite (`tests/store`) runs against both. Both count reads, writes and deletes as
//! Firestore bills them. Whatever keeps documents in SQL can have triggers, too: see [`outbox`].
//!
//! ```
//! use document_store::context::Context;
//! use document_store::embedded::{EmbeddedStore, IndexSet};
//! use document_store::{Database, DatabaseName, DocPath, FieldPath, Query, Transform, Write, fields};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let directory = tempfile::tempdir()?;
//! let name = DatabaseName { project: "demo".to_owned(), database: "(default)".to_owned() };
//! let clock = Context::system().clock;
//! let store = EmbeddedStore::open(directory.path(), "books", name, &IndexSet::default(), Vec::new(), clock)?;
//! let database = Database::new(store);
//!
//! let (book, shelf) = (DocPath::new("shelves/a/books/emma")?, DocPath::new("shelves/a")?);
//! // One commit: both or neither.
//! let count = Write::merge(shelf.clone(), fields! {}, vec![]).with(FieldPath::top("books"), Transform::Increment(1.into()));
//! database.commit(vec![Write::create(book, fields! { "title" => "Emma", "year" => 1815 }), count]).await?;
//!
//! let found = database.query(Query::group("books").equal("year", 1815)).await?;
//! assert_eq!(found[0].id(), "emma");
//! assert_eq!(database.get(&shelf).await?.expect("a shelf").fields["books"], 1.into());
//! assert_eq!((database.cost().reads, database.cost().writes), (2, 2));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod backoff;
pub mod change;
pub mod context;
pub mod cost;
mod database;
pub mod digest;
pub mod embedded;
pub mod firestore;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
pub mod order;
pub mod outbox;
pub mod path;
pub mod private;
pub mod query;
mod read_only;
pub mod size;
pub mod value;
pub mod write;

use async_trait::async_trait;
use futures::stream::BoxStream;
use thiserror::Error;

pub use change::{ChangeFilter, ChangeKind, ChangeSink, Delivery, DocumentChange};
pub use cost::{Cost, Meter, metered};
pub use database::{Database, Transaction};
pub use path::{DocPath, FieldPath, PathParams, PathPattern};
pub use query::{Cursor, Direction, FieldOp, Filter, Query, Scope, UnaryOp};
pub use value::{FIRST_INSTANT, Fields, Timestamp, Value, lookup};
pub use write::{Committed, FieldTransform, Precondition, Transform, Write, WriteKind, WriteResult};

/// Which database: what references to its documents begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseName {
    /// The Google Cloud project's ID.
    pub project: String,
    /// The database's ID, `(default)` for the project's first.
    pub database: String,
}

impl DatabaseName {
    /// `projects/P/databases/D/documents`.
    pub fn root(&self) -> String {
        format!("projects/{}/databases/{}/documents", self.project, self.database)
    }
}

/// A document as read.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Where it is.
    pub path: DocPath,
    /// What it holds.
    pub fields: Fields,
    /// When it came into being.
    pub create_time: Timestamp,
    /// When it last changed.
    pub update_time: Timestamp,
}

impl Document {
    /// The document's ID, its path's last segment.
    pub fn id(&self) -> &str {
        self.path.id()
    }
}

/// Why the store didn't do what was asked.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum StoreError {
    /// A precondition of the commit doesn't hold (Firestore says NOT_FOUND, ALREADY_EXISTS or
    /// FAILED_PRECONDITION, depending on which). Nothing was written.
    #[error("a precondition of the commit does not hold: {0}")]
    Conflict(String),
    /// A concurrent transaction changed what this one read (ABORTED). Nothing was written; a retry may succeed.
    #[error("another transaction came between")]
    Contention,
    /// The request can't be right: a bad path, a document over 1 MiB, a malformed query.
    #[error("the store refused the request: {0}")]
    InvalidArgument(String),
    /// The store can't be reached or is overloaded now.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The credentials don't allow it.
    #[error("the store denied permission: {0}")]
    PermissionDenied(String),
    /// Anything else.
    #[error("the store failed: {0}")]
    Internal(String),
}

impl StoreError {
    /// True when the same request may succeed later without any change.
    pub fn is_transient(&self) -> bool {
        matches!(self, StoreError::Contention | StoreError::Unavailable(_))
    }
}

/// A result of the store.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// One database of one kind of store. Backends don't count costs; [`Database`] does.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// `projects/P/databases/D/documents`, the prefix of references to this database's documents.
    fn root(&self) -> &str;

    /// The documents at `paths`, in that order, `None` where one is missing. With `mask`, only
    /// those fields.
    async fn get_all(&self, paths: &[DocPath], mask: Option<&[FieldPath]>) -> Result<Vec<Option<Document>>>;

    /// The query's results as they come.
    fn query(&self, query: Query) -> BoxStream<'static, Result<Document>>;

    /// How many documents the query would return.
    async fn count(&self, query: Query) -> Result<u64>;

    /// Does all of the writes, in order, or none of them.
    async fn commit(&self, writes: Vec<Write>) -> Result<Committed>;

    /// Begins a transaction; `retry_of` is [`BackendTransaction::id`] of the attempt that met
    /// contention. Nothing needs to be sent before the first read.
    fn begin(&self, retry_of: Option<Vec<u8>>) -> Box<dyn BackendTransaction>;

    /// Checks that the store answers.
    async fn ping(&self) -> Result<()>;

    /// True when no other process can have the database open.
    fn is_exclusive(&self) -> bool {
        false
    }
}

/// One attempt at a read-write transaction: reads see one consistent snapshot, and the commit
/// happens only when nothing that was read has changed. Reads come before the commit's writes.
#[async_trait]
pub trait BackendTransaction: Send {
    /// As [`Backend::get_all`], inside the transaction.
    async fn get_all(&mut self, paths: &[DocPath], mask: Option<&[FieldPath]>) -> Result<Vec<Option<Document>>>;

    /// As [`Backend::query`], inside the transaction.
    async fn query(&mut self, query: Query) -> Result<Vec<Document>>;

    /// Does all of the writes or none; [`StoreError::Contention`] when something read has changed.
    async fn commit(&mut self, writes: Vec<Write>) -> Result<Committed>;

    /// Gives the attempt up.
    async fn rollback(&mut self) -> Result<()>;

    /// The backend's ID of the attempt, once it has one.
    fn id(&self) -> Option<Vec<u8>>;
}
