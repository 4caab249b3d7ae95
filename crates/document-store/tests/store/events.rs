//! The emulator's document events, read as it sends them.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::routing::post;
use document_store::fields;
use document_store::firestore::event::{DecodedEvent, decode_event};
use document_store::firestore::{FirestoreConfig, FirestoreStore};
use document_store::{Database, Value, Write};
use tokio::sync::mpsc;

use crate::{double, int, list, path};
use firebase_emulators::{Emulator, unique_project};

#[tokio::test]
async fn the_emulators_events_tell_both_sides_of_a_change() {
    let (sender, mut events) = mpsc::unbounded_channel();
    let receive = move |headers: HeaderMap, body: Bytes| async move {
        let content_type = headers[CONTENT_TYPE].to_str().unwrap();
        sender.send((content_type.to_owned(), body)).unwrap();
    };
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/functions/projects/{project}/triggers/{trigger}", post(receive));
    let server = tokio::spawn(async move { axum::serve(listener, router).await });

    let emulator = tokio::task::spawn_blocking(move || Emulator::start_with_events(address)).await.unwrap();
    let project = unique_project("events");
    register(emulator.host(), &project, "users/{uid}").await;
    let config = FirestoreConfig::new(&project, "(default)").on_emulator(emulator.host());
    let db = Database::new(Arc::new(FirestoreStore::open(config).await.unwrap()));

    let mut next = async || -> DecodedEvent {
        let wait = tokio::time::timeout(Duration::from_secs(20), events.recv());
        let (content_type, body) = wait.await.expect("an event comes in time").unwrap();
        decode_event(&content_type, &body).unwrap()
    };
    let at = path("users/ü 1");
    let all = fields! {
        "null" => Value::Null, "bool" => true, "int" => i64::MAX, "double" => -0.5, "inf" => f64::INFINITY,
        "time" => "1969-12-31T23:59:59.000001Z".parse::<document_store::Timestamp>().unwrap(),
        "bytes" => Value::Bytes(vec![0, 255]), "ref" => db.reference(&path("orgs/o")),
        "geo" => Value::GeoPoint { latitude: 1.5, longitude: -2.5 }, "empty" => list([]),
        "list" => list([int(1), double(1.0), Value::Map(fields! {"a.b" => "x"})]), "map" => fields! {},
    };
    db.commit(vec![Write::set(at.clone(), all)]).await.unwrap();
    let created = db.get(&at).await.unwrap().unwrap();
    assert_eq!(next().await, DecodedEvent { path: at.clone(), before: None, after: Some(created.clone()) });

    db.commit(vec![Write::update(at.clone(), fields! {"int" => 1})]).await.unwrap();
    let updated = db.get(&at).await.unwrap().unwrap();
    let expected = DecodedEvent { path: at.clone(), before: Some(created), after: Some(updated.clone()) };
    assert_eq!(next().await, expected);

    db.commit(vec![Write::set(path("other/o"), fields! {}), Write::delete(at.clone())]).await.unwrap();
    assert_eq!(next().await, DecodedEvent { path: at, before: Some(updated), after: None });
    server.abort();
}

async fn register(host: &str, project: &str, pattern: &str) {
    let body = serde_json::json!({
        "eventType": "google.cloud.firestore.document.v1.written",
        "database": "(default)",
        "namespace": "(default)",
        "document": {"value": pattern, "matchType": "PATH_PATTERN"},
    });
    let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).build().unwrap();
    let url = format!("http://{host}/emulator/v1/projects/{project}/eventarcTrigger?eventarcTriggerId=written");
    let response = client.post(url).json(&body).send().await.unwrap();
    assert!(response.status().is_success(), "{}", response.status());
}

#[tokio::test]
async fn a_store_that_cannot_be_reached_is_unavailable() {
    let host = format!("127.0.0.1:{}", firebase_emulators::free_port());
    let config = FirestoreConfig { attempts: 1, ..FirestoreConfig::new("demo-none", "(default)").on_emulator(host) };
    let db = Database::new(Arc::new(FirestoreStore::open(config).await.unwrap()));
    let error = db.ping().await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert!(db.get(&path("a/b")).await.unwrap_err().is_transient());
    assert!(db.query(document_store::Query::collection("a")).await.unwrap_err().is_transient());
    assert!(db.commit(vec![Write::create(path("a/b"), fields! {})]).await.unwrap_err().is_transient());
    assert_eq!(db.cost(), document_store::Cost::default(), "what wasn't done isn't billed");
}
