//! An empty store of each kind.

use std::sync::Arc;

use roar_functions::store::Database;
use roar_functions::store::firestore::{FirestoreConfig, FirestoreStore};

use crate::support;

/// An empty store that lasts as long as this.
pub struct TestStore {
    database: Database,
}

impl TestStore {
    /// A handle on it.
    pub fn database(&self) -> Database {
        self.database.clone()
    }
}

/// The emulator, in a project of its own.
pub async fn firestore() -> TestStore {
    let config =
        FirestoreConfig::new(support::unique_project("store"), "(default)").on_emulator(support::firestore_host());
    let store = FirestoreStore::open(config).await.unwrap();
    TestStore { database: Database::new(Arc::new(store)) }
}
