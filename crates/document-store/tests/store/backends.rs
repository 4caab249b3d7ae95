//! An empty store of each kind.

use std::sync::Arc;

use document_store::Database;
use document_store::DatabaseName;
use document_store::context::Context;
use document_store::embedded::{EmbeddedStore, IndexSet};
use document_store::firestore::{FirestoreConfig, FirestoreStore};

use firebase_emulators as support;

/// An empty store that lasts as long as this.
pub struct TestStore {
    database: Database,
    _directory: Option<tempfile::TempDir>,
}

impl TestStore {
    /// A handle on it.
    pub fn database(&self) -> Database {
        self.database.clone()
    }
}

/// The emulator, in a project of its own.
pub async fn firestore() -> TestStore {
    open_firestore(FirestoreConfig::new(support::unique_project("store"), "(default)")).await
}

/// As [`firestore`], but without patience: what fails is not tried again.
pub async fn firestore_once() -> TestStore {
    open_firestore(FirestoreConfig {
        attempts: 1,
        ..FirestoreConfig::new(support::unique_project("store"), "(default)")
    })
    .await
}

async fn open_firestore(config: FirestoreConfig) -> TestStore {
    let store = FirestoreStore::open(config.on_emulator(support::firestore_host())).await.unwrap();
    TestStore { database: Database::new(Arc::new(store)), _directory: None }
}

/// The embedded store, in a directory of its own.
pub async fn embedded() -> TestStore {
    let directory = tempfile::tempdir().unwrap();
    let id = DatabaseName { project: support::unique_project("store"), database: "(default)".to_owned() };
    let clock = Context::system().clock;
    let store = EmbeddedStore::open(directory.path(), "store", id, &IndexSet::none(), Vec::new(), clock).unwrap();
    TestStore { database: Database::new(store), _directory: Some(directory) }
}
