//! Document events in every encoding, and what becomes of good and bad ones.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use document_store::fields;
use document_store::firestore::event::DocumentEventData;
use document_store::{ChangeSink, Cost, Delivery, DocPath, Document, DocumentChange, Fields, Timestamp};
use functions_runtime::DispatchOutcome;
use gcloud_sdk::google::firestore::v1 as pb;
use prost::Message as _;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::support::world::PROJECT;
use crate::support::{Setup, TestServer};

const EMULATOR: &str = "/functions/projects/demo-admin/triggers";

fn name(path: &str) -> String {
    format!("projects/{PROJECT}/databases/(default)/documents/{path}")
}

fn proto_document(path: &str, mode: &str) -> pb::Document {
    let mode = pb::Value { value_type: Some(pb::value::ValueType::StringValue(mode.to_owned())) };
    let time = Some(prost_types::Timestamp { seconds: 1_750_000_000, nanos: 5_000 });
    pb::Document {
        name: name(path),
        fields: HashMap::from([("mode".to_owned(), mode)]),
        create_time: time,
        update_time: time,
    }
}

/// The message of an event: `before` and `after` are modes.
fn proto(path: &str, before: Option<&str>, after: Option<&str>) -> Vec<u8> {
    let side = |mode: Option<&str>| mode.map(|mode| proto_document(path, mode));
    DocumentEventData { value: side(after), old_value: side(before), update_mask: None }.encode_to_vec()
}

fn json_data(path: &str, mode: &str) -> Value {
    json!({"value": {
        "name": name(path),
        "fields": {"mode": {"stringValue": mode}},
        "createTime": "2025-06-15T15:06:40Z",
        "updateTime": "2025-06-15T15:06:40.000005Z",
    }})
}

/// The headers of binary mode.
fn binary(request: RequestBuilder, kind: &str) -> RequestBuilder {
    request
        .header("content-type", "application/protobuf")
        .header("ce-specversion", "1.0")
        .header("ce-id", "e1")
        .header("ce-type", format!("google.cloud.firestore.document.v1.{kind}"))
        .header("ce-source", "//firestore.googleapis.com/projects/projects/demo-admin/databases/(default)")
        .header("ce-subject", "documents/users/u1")
        .header("ce-time", "2025-06-15T15:06:40Z")
        .header("ce-project", PROJECT)
        .header("ce-database", "(default)")
        .header("ce-document", "users/u1")
        .header("ce-unheard-of", "ignored")
}

async fn status(request: RequestBuilder) -> u16 {
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn events_arrive_in_every_encoding_and_by_every_path() {
    let server = TestServer::start().await;
    let message = proto("users/u1", None, Some("x"));
    let text = STANDARD.encode(&message);
    let json = json_data("users/u1", "x");
    let envelope = json!({
        "specversion": "1.0",
        "id": "e1",
        "type": "google.cloud.firestore.document.v1.written.withAuthContext",
        "source": "//firestore.googleapis.com/projects/demo-admin/databases/(default)",
        "data": json,
    });
    let mut wrapped = envelope.clone();
    wrapped["data_base64"] = json!(text);
    wrapped["datacontenttype"] = json!("application/protobuf");
    wrapped.as_object_mut().unwrap().remove("data");

    let keys = ["/events/onWritten", "/events/onwritten"].map(str::to_owned);
    let emulator = ["onWritten", "us-central1-onWritten-0", "europe-west4-onwritten-17"];
    for path in keys.into_iter().chain(emulator.map(|key| format!("{EMULATOR}/{key}"))) {
        let post = || server.post(&path);
        let as_json = binary(post(), "written").header("content-type", "application/json");
        for request in [
            binary(post(), "written").body(message.clone()),
            binary(post(), "written").body(text.clone()),
            binary(post(), "created").body(message.clone()),
            binary(post(), "written.withAuthContext").body(message.clone()),
            // The client appends headers: two content types would be none.
            {
                let mut request = as_json.build().unwrap();
                request.headers_mut().insert("content-type", "application/json; charset=utf-8".parse().unwrap());
                RequestBuilder::from_parts(server.http.clone(), request).body(json.to_string())
            },
            post().header("content-type", "application/cloudevents+json; charset=UTF-8").body(envelope.to_string()),
            post().header("content-type", "application/json").body(envelope.to_string()),
            post().header("content-type", "application/cloudevents+json").body(wrapped.to_string()),
        ] {
            let before = server.world.noted().len();
            assert_eq!(status(request).await, 204, "{path}");
            assert_eq!(server.world.noted()[before..], ["Created u1"], "{path}");
        }
    }
}

#[tokio::test]
async fn a_function_gets_the_kinds_it_is_on() {
    let server = TestServer::start().await;
    for (before, after, kind) in
        [(None, Some("x"), "Created"), (Some("x"), Some("y"), "Updated"), (Some("x"), None, "Deleted")]
    {
        for function in ["onCreated", "onUpdated", "onDeleted", "onWritten"] {
            let noted = server.world.noted().len();
            let request = binary(server.post(&format!("/events/{function}")), "written");
            assert_eq!(status(request.body(proto("users/u1", before, after))).await, 204);
            let expected = function == "onWritten" || function == format!("on{kind}");
            assert_eq!(server.world.noted().len() - noted, usize::from(expected), "{function} {kind}");
        }
    }
}

#[tokio::test]
async fn bad_events_are_acknowledged_and_run_nothing() {
    let server = TestServer::start().await;
    let good = proto("users/u1", None, Some("x"));
    let event = |path: &str| binary(server.post(path), "written");
    let without = |header: &'static str| {
        let mut request = event("/events/onWritten").build().unwrap();
        request.headers_mut().remove(header);
        RequestBuilder::from_parts(server.http.clone(), request).body(good.clone())
    };
    let replaced = |header: &'static str, value: &str| {
        let mut request = event("/events/onWritten").build().unwrap();
        request.headers_mut().insert(header, value.parse().unwrap());
        RequestBuilder::from_parts(server.http.clone(), request).body(good.clone())
    };
    for (why, request) in [
        ("unknown function", event("/events/nothing").body(good.clone())),
        ("unknown key", event(&format!("{EMULATOR}/us-central1-nothing-0")).body(good.clone())),
        ("a callable", event("/events/echoBack").body(good.clone())),
        ("a task", event("/events/work").body(good.clone())),
        ("another document", event("/events/onWritten").body(proto("runs/r1", None, Some("x")))),
        ("a deeper document", event("/events/onWritten").body(proto("users/u1/runs/r1", None, Some("x")))),
        ("neither side", event("/events/onWritten").body(proto("users/u1", None, None))),
        ("no body", event("/events/onWritten")),
        ("garbage", event("/events/onWritten").body(vec![0x0a, 0xff, 0x01])),
        ("garbage text", event("/events/onWritten").body("!!!!")),
        ("another database", replaced("ce-database", "other")),
        ("another project", replaced("ce-project", "other")),
        ("another source of events", replaced("ce-type", "google.cloud.storage.object.v1.finalized")),
        ("an unknown kind", replaced("ce-type", "google.cloud.firestore.document.v1.touched")),
        ("another media type", replaced("content-type", "text/plain")),
        ("no ID", without("ce-id")),
        ("no envelope", without("ce-type")),
        ("an envelope that is none", server.post("/events/onWritten").json(&json!([1]))),
        ("an envelope without data", server.post("/events/onWritten").json(&json!({"id": "e1", "type": "x"}))),
    ] {
        assert_eq!(status(request).await, 204, "{why}");
    }
    assert_eq!(server.world.noted(), [""; 0]);
    assert!(server.runtime.costs().is_empty());
}

/// A client's commit may only verify that a document is there: then nothing has changed, and nobody need look.
#[tokio::test]
async fn an_event_that_tells_of_no_document_is_counted_and_nothing_more() {
    let server = TestServer::start().await;
    let of_kind = |kind: &str| {
        let mut request = binary(server.post("/events/onWritten"), "written").build().unwrap();
        let kind = format!("google.cloud.firestore.document.v1.{kind}");
        request.headers_mut().insert("ce-type", kind.parse().unwrap());
        request
    };
    let nothing = proto("users/u1", None, None);
    let bodies = [("protobuf", nothing.clone()), ("nothing", Vec::new())];
    for kind in ["created", "written"] {
        for (what, body) in &bodies {
            for with_type in [true, false] {
                // Without a content type only a body that's empty says anything.
                if !with_type && *what != "nothing" {
                    continue;
                }
                let mut request = of_kind(kind);
                if !with_type {
                    request.headers_mut().remove("content-type");
                }
                let request = RequestBuilder::from_parts(server.http.clone(), request).body(body.clone());
                assert_eq!(status(request).await, 204, "{kind} {what}");
            }
        }
    }
    let metrics = server.runtime.metrics().render();
    assert!(metrics.contains(r#"function_event_empty_total{function="onWritten"} 6"#), "{metrics}");
    // Of a change or a deletion something is missing, which isn't harmless.
    for kind in ["updated", "deleted"] {
        let request = RequestBuilder::from_parts(server.http.clone(), of_kind(kind)).body(nothing.clone());
        assert_eq!(status(request).await, 204, "{kind}");
    }
    assert!(server.runtime.metrics().render().contains(r#"function_event_empty_total{function="onWritten"} 6"#));
    assert_eq!(server.world.noted(), [""; 0]);
    assert!(server.runtime.costs().is_empty());
}

#[tokio::test]
async fn the_outcome_says_whether_the_event_comes_again() {
    let server = TestServer::start().await;
    for (mode, expected) in
        [("fine", 204), ("transient", 503), ("permanent", 204), ("panic", 500), ("slow", 500), ("fine", 204)]
    {
        let request = binary(server.post("/events/onWritten"), "written");
        assert_eq!(status(request.body(proto("users/u1", None, Some(mode)))).await, expected, "{mode}");
    }
    let metrics = server.http.get(format!("{}/metrics", server.url)).send().await.unwrap().text().await.unwrap();
    for (outcome, count) in [("ok", 2), ("transient", 1), ("permanent", 1), ("panic", 1), ("timeout", 1)] {
        let line = format!("function_events_total{{outcome=\"{outcome}\",function=\"onWritten\"}} {count}");
        assert!(metrics.contains(&line), "{line} isn't in:\n{metrics}");
    }
}

#[tokio::test]
async fn what_a_function_spends_is_counted_as_its_own() {
    let server = TestServer::start().await;
    for _ in 0..3 {
        let request = binary(server.post("/events/onWritten"), "written");
        assert_eq!(status(request.body(proto("users/u1", None, Some("cost")))).await, 204);
    }
    assert_eq!(server.call("/echoBack", json!(1)).await.status(), 200);
    let costs = server.runtime.costs();
    assert_eq!((costs["onWritten"].runs, costs["onWritten"].cost), (3, Cost::reads(3)));
    assert_eq!((costs["echoBack"].runs, costs["echoBack"].cost), (1, Cost::default()));
    let metrics = server.runtime.metrics().render();
    assert!(metrics.contains("function_billed_reads_total{function=\"onWritten\"} 3"), "{metrics}");
    assert!(metrics.contains("function_duration_seconds_count{function=\"onWritten\"} 3"), "{metrics}");
}

fn change(path: &str, fields: Fields) -> DocumentChange {
    let time = Timestamp::UNIX_EPOCH;
    let path = DocPath::new(path).unwrap();
    let after = Document { path: path.clone(), fields, create_time: time, update_time: time };
    DocumentChange { id: "c1".to_owned(), path, before: None, after: Some(after), time }
}

#[tokio::test]
async fn an_embedded_store_delivers_to_the_same_functions() {
    let server = TestServer::with(Setup::new()).await;
    for (mode, dispatch) in [
        ("fine", DispatchOutcome::Acknowledged),
        ("permanent", DispatchOutcome::Acknowledged),
        ("transient", DispatchOutcome::Transient),
        ("panic", DispatchOutcome::Broken),
    ] {
        let change = || change("users/u1", fields! {"mode" => mode});
        assert_eq!(server.runtime.dispatch_change("onWritten", change()).await, dispatch);
        let sink: Arc<dyn ChangeSink> = Arc::new(server.runtime.clone());
        let refused = dispatch != DispatchOutcome::Acknowledged;
        let delivery = if refused { Delivery::Refused } else { Delivery::Acknowledged };
        assert_eq!(sink.deliver("onwritten", change()).await, delivery);
    }
    let noted = server.world.noted().len();
    for (trigger, path) in [("nothing", "users/u1"), ("echoBack", "users/u1"), ("onWritten", "runs/r1")] {
        let dispatch = server.runtime.dispatch_change(trigger, change(path, Fields::new())).await;
        assert_eq!(dispatch, DispatchOutcome::Acknowledged, "{trigger}");
    }
    assert_eq!(server.world.noted().len(), noted);
}
