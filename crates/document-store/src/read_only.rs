//! A backend that refuses writes, for dry runs: code that says what it would do, and must not do it.

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;

use super::{Backend, BackendTransaction, Committed, DocPath, Document, FieldPath, Query, Result, StoreError, Write};

/// Passes reads on to a backend, and refuses writes.
pub(super) struct ReadOnly(pub(super) Arc<dyn Backend>);

struct ReadOnlyTransaction(Box<dyn BackendTransaction>);

fn refuse() -> Result<Committed> {
    Err(StoreError::PermissionDenied("nothing is to be written now".to_owned()))
}

#[async_trait]
impl Backend for ReadOnly {
    fn root(&self) -> &str {
        self.0.root()
    }

    async fn get_all(&self, paths: &[DocPath], mask: Option<&[FieldPath]>) -> Result<Vec<Option<Document>>> {
        self.0.get_all(paths, mask).await
    }

    fn query(&self, query: Query) -> BoxStream<'static, Result<Document>> {
        self.0.query(query)
    }

    async fn count(&self, query: Query) -> Result<u64> {
        self.0.count(query).await
    }

    async fn commit(&self, _: Vec<Write>) -> Result<Committed> {
        refuse()
    }

    fn begin(&self, retry_of: Option<Vec<u8>>) -> Box<dyn BackendTransaction> {
        Box::new(ReadOnlyTransaction(self.0.begin(retry_of)))
    }

    async fn ping(&self) -> Result<()> {
        self.0.ping().await
    }

    fn is_exclusive(&self) -> bool {
        self.0.is_exclusive()
    }
}

#[async_trait]
impl BackendTransaction for ReadOnlyTransaction {
    async fn get_all(&mut self, paths: &[DocPath], mask: Option<&[FieldPath]>) -> Result<Vec<Option<Document>>> {
        self.0.get_all(paths, mask).await
    }

    async fn query(&mut self, query: Query) -> Result<Vec<Document>> {
        self.0.query(query).await
    }

    async fn commit(&mut self, _: Vec<Write>) -> Result<Committed> {
        self.0.rollback().await?;
        refuse()
    }

    async fn rollback(&mut self) -> Result<()> {
        self.0.rollback().await
    }

    fn id(&self) -> Option<Vec<u8>> {
        self.0.id()
    }
}
