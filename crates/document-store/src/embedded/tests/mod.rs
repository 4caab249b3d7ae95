//! Tests of the whole store.

mod events;
mod files;
mod queries;
mod transactions;
mod writes;

use std::sync::Arc;

use futures::TryStreamExt;
use tempfile::TempDir;

use super::*;
use crate::context::ManualClock;
use crate::{ChangeFilter, PathPattern, Timestamp};

const ROOT: &str = "projects/p/databases/d/documents";

/// A store in a directory that goes with it, on a clock that stands still.
struct Fixture {
    store: Arc<EmbeddedStore>,
    clock: Arc<ManualClock>,
    dir: TempDir,
}

impl std::ops::Deref for Fixture {
    type Target = EmbeddedStore;
    fn deref(&self) -> &EmbeddedStore {
        &self.store
    }
}

fn fixture(indexes: &str, triggers: &[(&str, ChangeFilter, &str)]) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at("2026-01-02T03:04:05.678901Z".parse().unwrap()));
    let store = open(dir.path(), &clock, indexes, triggers).unwrap();
    Fixture { store, clock, dir }
}

impl Fixture {
    /// Closes the store and opens it again.
    fn reopened(self, indexes: &str, triggers: &[(&str, ChangeFilter, &str)]) -> Fixture {
        let Fixture { store, clock, dir } = self;
        drop(store);
        let store = open(dir.path(), &clock, indexes, triggers).unwrap();
        Fixture { store, clock, dir }
    }

    async fn all(&self, query: Query) -> Vec<Document> {
        self.query(query).try_collect().await.unwrap()
    }

    async fn ids(&self, query: Query) -> Vec<String> {
        self.all(query).await.iter().map(|document| document.id().to_owned()).collect()
    }

    async fn one(&self, path: &str) -> Option<Document> {
        self.get_all(&[doc(path)], None).await.unwrap().pop().unwrap()
    }

    async fn write(&self, write: Write) -> Committed {
        self.commit(vec![write]).await.unwrap()
    }
}

fn open(
    dir: &Path,
    clock: &Arc<ManualClock>,
    indexes: &str,
    triggers: &[(&str, ChangeFilter, &str)],
) -> Result<Arc<EmbeddedStore>> {
    let triggers = triggers
        .iter()
        .map(|(name, filter, pattern)| EmbeddedTrigger {
            name: (*name).to_owned(),
            filter: *filter,
            pattern: PathPattern::new(pattern).unwrap(),
        })
        .collect();
    let id = DatabaseName { project: "p".to_owned(), database: "d".to_owned() };
    EmbeddedStore::open(dir, "test", id, &IndexSet::parse(indexes).unwrap(), triggers, clock.clone())
}

fn doc(path: &str) -> DocPath {
    DocPath::new(path).unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn micros(time: Timestamp) -> i64 {
    time.as_microsecond()
}
