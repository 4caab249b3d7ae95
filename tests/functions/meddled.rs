//! A database wrapper for tests that causes concurrent changes and lost answers at chosen moments.

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use roar_functions::store::embedded::EmbeddedStore;
use roar_functions::store::{
    Backend, BackendTransaction, Committed, Database, DocPath, Document, FieldPath, Query, Result, StoreError, Write,
};

/// What happens, outside of transactions.
#[async_trait]
pub trait Meddler: Send + Sync + 'static {
    /// Before documents are read.
    async fn before_read(&self) {}
    /// Before a commit.
    async fn before_commit(&self) {}
    /// True when the answer to the commit that was just made gets lost.
    fn loses_answer(&self) -> bool {
        false
    }
}

struct Meddled<M> {
    store: Arc<EmbeddedStore>,
    meddler: M,
}

/// The store's database, with `meddler` at work.
pub fn meddled(store: Arc<EmbeddedStore>, meddler: impl Meddler) -> Database {
    Database::new(Arc::new(Meddled { store, meddler }))
}

#[async_trait]
impl<M: Meddler> Backend for Meddled<M> {
    fn root(&self) -> &str {
        self.store.root()
    }

    async fn get_all(&self, paths: &[DocPath], mask: Option<&[FieldPath]>) -> Result<Vec<Option<Document>>> {
        self.meddler.before_read().await;
        self.store.get_all(paths, mask).await
    }

    fn query(&self, query: Query) -> BoxStream<'static, Result<Document>> {
        self.store.query(query)
    }

    async fn count(&self, query: Query) -> Result<u64> {
        self.store.count(query).await
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<Committed> {
        self.meddler.before_commit().await;
        let committed = self.store.commit(writes).await;
        match self.meddler.loses_answer() {
            true => Err(StoreError::Unavailable("the answer was lost".to_owned())),
            false => committed,
        }
    }

    fn begin(&self, retry_of: Option<Vec<u8>>) -> Box<dyn BackendTransaction> {
        self.store.begin(retry_of)
    }

    async fn ping(&self) -> Result<()> {
        self.store.ping().await
    }
}
