//! The real Firestore emulator delivers to the server, by triggers that the program registered.

use std::collections::BTreeMap;
use std::sync::Arc;

use roar_functions::cli::triggers::{document_triggers, register};
use roar_functions::fields;
use roar_functions::runtime::DatabaseName;
use roar_functions::store::firestore::{FirestoreConfig, FirestoreStore};
use roar_functions::store::{Database, DocPath, Fields, Write};

use crate::shared::Emulator;
use crate::support::TestServer;
use crate::support::world::{PROJECT, table};

#[tokio::test(flavor = "multi_thread")]
async fn the_emulator_delivers_to_registered_functions() {
    let server = TestServer::start().await;
    let address = server.url.strip_prefix("http://").unwrap().parse().unwrap();
    let emulator = tokio::task::spawn_blocking(move || Emulator::start_with_events(address)).await.unwrap();
    let name = DatabaseName { project: PROJECT.to_owned(), database: "(default)".to_owned() };
    let triggers = document_triggers(&table(), &BTreeMap::from([("admin".to_owned(), name)])).unwrap();
    assert_eq!(triggers.len(), 4);
    // Twice: that must change nothing.
    for _ in 0..2 {
        register(emulator.host(), &triggers).await.unwrap();
    }

    let config = FirestoreConfig::new(PROJECT, "(default)").on_emulator(emulator.host());
    let database = Database::new(Arc::new(FirestoreStore::open(config).await.unwrap()));
    let path = |path: &str| DocPath::new(path).unwrap();
    for write in [
        Write::set(path("users/u1"), fields! {"mode" => "fine"}),
        Write::set(path("users/u1"), fields! {"mode" => "transient"}),
        Write::delete(path("users/u1")),
        Write::set(path("users/u2"), Fields::new()),
        Write::set(path("runs/r1"), Fields::new()),
        Write::set(path("users/last one"), Fields::new()),
    ] {
        database.commit(vec![write]).await.unwrap();
    }
    server.world.until("Created last one").await;
    server.runtime.quiet().await;
    let mut noted = server.world.noted();
    noted.sort();
    noted.dedup();
    assert_eq!(noted, ["Created last one", "Created u1", "Created u2", "Deleted u1", "Updated u1"]);
    // Each change went to the function on all kinds and to the one on its own.
    let runs = |function: &str| server.runtime.costs()[function].runs;
    assert_eq!((runs("onWritten"), runs("onUpdated"), runs("onDeleted")), (5, 1, 1));
}
