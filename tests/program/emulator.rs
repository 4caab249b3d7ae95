//! The real Firestore emulator delivers to the server, by triggers that the program registered.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;

use roar_functions::cli::triggers::{document_triggers, register};
use roar_functions::fields;
use roar_functions::runtime::DatabaseName;
use roar_functions::store::firestore::{FirestoreConfig, FirestoreStore};
use roar_functions::store::{Database, DocPath, Fields, Write};
use serde_json::{Value, json};

use crate::support::TestServer;
use crate::support::world::{PROJECT, table};
use firebase_emulators::{Emulator, eventually, firestore_host, unique_project};

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
    let runs = |function: &str| server.runtime.costs().get(function).map_or(0, |cost| cost.runs);
    eventually(async || match runs("onWritten") + runs("onCreated") {
        8.. => Ok(()),
        fewer => Err(format!("{fewer} runs")),
    })
    .await;
    let mut noted = server.world.noted();
    noted.sort();
    noted.dedup();
    assert_eq!(noted, ["Created last one", "Created u1", "Created u2", "Deleted u1", "Updated u1"]);
    // Each change went to the function on all kinds and to the one on its own.
    assert_eq!((runs("onWritten"), runs("onUpdated"), runs("onDeleted")), (5, 1, 1));
}

/// Runs `doc` on a project of its own. The exit code and standard output.
fn doc(project: &str, args: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_roar-functions"));
    command.arg("doc").args(args).env_clear().env("ROAR_STORE", "firestore");
    command.env("FIRESTORE_EMULATOR_HOST", firestore_host()).env("ROAR_ADMIN_PROJECT", project);
    command.env("ROAR_ASSESSMENT_PROJECT", format!("{project}-a"));
    let output = command.output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn documents_can_be_written_and_read_from_the_command_line() {
    let project = unique_project("cli");
    let run = |args: &[&str]| doc(&project, args);
    let fields = json!({
        "count": 1,
        "ratio": 1.0,
        "when": {"$timestamp": "2025-06-15T15:06:40.123456Z"},
        "where": {"$geo": [37.5, -122.0]},
        "raw": {"$bytes": "AP8="},
        "odd": {"$double": "NaN"},
        "nested": {"a": [null, true, {"b": "c"}], "keep": 1},
        "literal": {"$map": {"$timestamp": "no"}},
    });
    let read = |path: &str| {
        let (code, text) = run(&["get", path]);
        assert_eq!(code, 0);
        serde_json::from_str::<Value>(&text).unwrap()
    };
    assert_eq!(run(&["get", "users/u1"]), (1, String::new()));
    assert_eq!(run(&["set", "users/u1", &fields.to_string()]), (0, String::new()));
    assert_eq!(read("users/u1"), fields);

    assert_eq!(run(&["set", "users/u1", "--merge", r#"{"nested": {"a": "x"}, "new": {}}"#]).0, 0);
    let mut merged = fields.clone();
    merged["nested"]["a"] = json!("x");
    merged["new"] = json!({});
    assert_eq!(read("users/u1"), merged);

    assert_eq!(run(&["set", "users/u2", "{}"]).0, 0);
    let list =
        |args: &[&str]| -> Vec<Value> { run(args).1.lines().map(|line| serde_json::from_str(line).unwrap()).collect() };
    let (first, second) = (json!({"path": "users/u1", "fields": merged}), json!({"path": "users/u2", "fields": {}}));
    assert_eq!(list(&["list", "users"]), [first.clone(), second]);
    assert_eq!(list(&["list", "users", "--limit", "1"]), [first]);
    assert_eq!(list(&["list", "users", "--database", "assessment"]), [Value::Null; 0]);
    for _ in 0..2 {
        assert_eq!(run(&["delete", "users/u1"]), (0, String::new()));
    }
    assert_eq!(run(&["get", "users/u1"]).0, 1);
}
