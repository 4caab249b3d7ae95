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
    TestStore { database: Database::new(Arc::new(store)) }
}

/// The embedded store, in a directory of its own. (For now, a second emulator in its place.)
pub async fn embedded() -> TestStore {
    firestore().await
}
