//! More calls than the server has room for.

use std::time::Duration;

use functions_runtime::Capacity;
use functions_runtime::auth::unsigned_token;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::support::world::PROJECT;
use crate::support::world::service;
use crate::support::{Setup, TestServer};

fn calls(calls: usize) -> Capacity {
    Capacity { calls, ..Capacity::default() }
}

async fn until_held(server: &TestServer, count: usize) {
    server.world.until_times("held", count).await;
}

/// Waits until a gauge of the server shows that value. The server tells nobody of its changes, so they're polled.
async fn until_shown(server: &TestServer, gauge: &str, value: usize) {
    let shown = async {
        while !server.runtime.metrics().render().lines().any(|line| line == format!("{gauge} {value}")) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), shown).await.unwrap_or_else(|_| panic!("{gauge} isn't {value}"));
}

#[tokio::test]
async fn calls_beyond_the_room_are_refused_at_once_and_the_others_are_answered() {
    let server = TestServer::with(Setup { capacity: calls(2), ..Setup::new() }).await;
    let taken: Vec<_> = (0..2).map(|_| tokio::spawn(server.post("/hold").json(&json!({"data": 1})).send())).collect();
    until_held(&server, 2).await;
    // Nothing is read of what's refused: not even who calls.
    let body = vec![b'x'; 5 * 1024 * 1024];
    let refused = server.post("/echoBack").header("origin", "https://app.example").body(body).send().await.unwrap();
    assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].to_str().unwrap()), (503, "1"));
    assert_eq!(refused.headers()["access-control-allow-origin"], "https://app.example", "or browsers hide it");
    let text = refused.text().await.unwrap();
    assert!(text.contains(r#""status":"UNAVAILABLE""#), "{text}");
    let streamed = server.post("/echoBack").header("accept", "text/event-stream").json(&json!({"data": 1}));
    let frame = streamed.send().await.unwrap().text().await.unwrap();
    assert!(frame.starts_with(r#"data: {"error":{"message":"#) && frame.contains("UNAVAILABLE"), "{frame}");
    // Preflights, events and health are none of them.
    let preflight = server.http.request(reqwest::Method::OPTIONS, format!("{}/echoBack", server.url)).send().await;
    assert_eq!(preflight.unwrap().status(), 204);
    assert_eq!(server.http.get(format!("{}/readyz", server.url)).send().await.unwrap().status(), 200);
    server.world.gate.add_permits(2);
    for call in taken {
        assert_eq!(call.await.unwrap().unwrap().status(), 200);
    }
    assert_eq!(server.call("/echoBack", json!(1)).await.status(), 200, "there's room again");
    let metrics = server.runtime.metrics().render();
    assert!(metrics.lines().any(|line| line.contains("UNAVAILABLE") && line.contains("echoBack")), "{metrics}");
}

#[tokio::test]
async fn a_call_whose_caller_went_away_keeps_its_place_until_it_ends() {
    let server = TestServer::with(Setup { capacity: calls(1), ..Setup::new() }).await;
    let call = tokio::spawn(server.post("/hold").json(&json!({"data": 1})).send());
    until_held(&server, 1).await;
    call.abort();
    let _ = call.await;
    assert_eq!(server.call("/echoBack", json!(1)).await.status(), 503);
    server.world.gate.add_permits(1);
    server.runtime.quiet().await;
    assert_eq!(server.call("/echoBack", json!(1)).await.status(), 200);
    // Nor is a place lost to calls that fail, panic, take too long or are no calls.
    for path in ["/crash", "/slow", "/fail", "/small"] {
        server.call(path, json!("x".repeat(100))).await;
    }
    server.runtime.quiet().await;
    assert_eq!(server.call("/echoBack", json!(1)).await.status(), 200);
}

/// The bodies of calls and events together take a bounded room.
#[tokio::test]
async fn bodies_beyond_the_room_are_refused_and_may_come_again() {
    let capacity = Capacity { body_bytes: 20_000, ..Capacity::default() };
    let (deliveries, token, _keys) = service().await;
    let server = TestServer::with(Setup { capacity, deliveries, ..Setup::new() }).await;
    let large = json!({"data": "x".repeat(15_000)});
    let held = tokio::spawn(server.post("/hold").json(&large).send());
    until_held(&server, 1).await;
    let refused = server.post("/echoBack").json(&large).send().await.unwrap();
    assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].to_str().unwrap()), (503, "1"));
    assert!(refused.text().await.unwrap().contains(r#""status":"UNAVAILABLE""#));
    let event = server.post("/events/onWritten").bearer_auth(&token).body("x".repeat(15_000)).send().await.unwrap();
    assert_eq!((event.status().as_u16(), event.headers()["retry-after"].to_str().unwrap()), (503, "1"));
    let task = server.post("/tasks/work").bearer_auth(&token).body("x".repeat(15_000)).send().await.unwrap();
    assert_eq!(task.status().as_u16(), 503);
    assert_eq!(server.call("/echoBack", json!("small")).await.status(), 200);
    server.world.gate.add_permits(1);
    assert_eq!(held.await.unwrap().unwrap().status(), 200);
    server.runtime.quiet().await;
    assert_eq!(server.post("/echoBack").json(&large).send().await.unwrap().status(), 200);
}

/// An event of a user that's there, as Eventarc delivers it.
fn event(server: &TestServer, function: &str, kind: &str, user: &str, fields: Value) -> RequestBuilder {
    let name = format!("projects/demo-admin/databases/(default)/documents/users/{user}");
    let time = "2025-06-15T15:06:40Z";
    server.post(&format!("/events/{function}")).json(&json!({
        "specversion": "1.0", "id": format!("{user}-{fields}"),
        "type": format!("google.cloud.firestore.document.v1.{kind}"),
        "source": "//firestore.googleapis.com/projects/demo-admin/databases/(default)",
        "data": {"value": {"name": name, "fields": fields, "createTime": time, "updateTime": time}},
    }))
}

/// The emulator delivers an event once: a burst of them waits for its turn.
#[tokio::test]
async fn a_burst_of_events_is_handled_in_turn() {
    let capacity = Capacity { events: 2, ..Capacity::default() };
    let server = TestServer::with(Setup { capacity, ..Setup::new() }).await;
    let event = |number: usize| event(&server, "onWritten", "written", &format!("u{number}"), json!({}));
    let sent: Vec<_> = (0..40).map(|number| tokio::spawn(event(number).send())).collect();
    for answer in sent {
        assert_eq!(answer.await.unwrap().unwrap().status(), 204);
    }
    assert_eq!(server.world.noted().len(), 40);
}

/// Who sends slowly keeps nobody out.
#[tokio::test]
async fn a_body_that_does_not_come_takes_no_place() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let server = TestServer::with(Setup { capacity: calls(1), ..Setup::new() }).await;
    let mut slow = Vec::new();
    for _ in 0..8 {
        let mut stream = tokio::net::TcpStream::connect(server.url.trim_start_matches("http://")).await.unwrap();
        let head = "POST /echoBack HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 60000\r\n\
                    expect: 100-continue\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        // The server says so when it begins to wait for the body.
        let mut answer = [0; 25];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(b"{").await.unwrap();
        slow.push(stream);
    }
    assert_eq!(server.call("/echoBack", json!(1)).await.status(), 200);
}

/// Ten megabytes of nothing but braces would take a gigabyte once read.
#[tokio::test]
async fn bodies_of_many_parts_and_large_ones_of_strangers_are_refused() {
    let server = TestServer::with(Setup::new()).await;
    let body = |parts: usize| format!(r#"{{"data":[{}0]}}"#, r#"{"":0},"#.repeat(parts));
    let send = async |body: String, token: Option<&str>| {
        let request = server.post("/echoBack").header("content-type", "application/json").body(body);
        let request = token.into_iter().fold(request, |request, token| request.bearer_auth(token));
        request.send().await.unwrap().status().as_u16()
    };
    let token = unsigned_token(PROJECT, "u1", None, serde_json::Map::new(), server.now()).unwrap();
    assert_eq!(send(body(9_000), None).await, 200);
    assert_eq!(send(body(10_000), None).await, 400, "more than 64 KiB, and nobody is signed in");
    assert_eq!(send(body(90_000), Some(&token)).await, 200);
    assert_eq!(send(body(110_000), Some(&token)).await, 400);
    let text = format!(r#"{{"data":"{}"}}"#, "x".repeat(5 << 20));
    assert_eq!(send(text, Some(&token)).await, 200);
}

/// A sender that gives up and sends again finds no more room than there is.
#[tokio::test]
async fn an_event_keeps_its_place_until_its_handler_ends() {
    let capacity = Capacity { events: 1, ..Capacity::default() };
    let server = TestServer::with(Setup { capacity, ..Setup::new() }).await;
    let event = |mode: &str| event(&server, "onCreated", "created", "u1", json!({"mode": {"stringValue": mode}}));
    let gone = tokio::spawn(event("slow").send());
    server.world.until("Created u1").await;
    gone.abort();
    let _ = gone.await;
    until_shown(&server, "http_connections", 0).await;
    let next = tokio::spawn(event("ok").send());
    until_shown(&server, "events_waiting", 1).await;
    assert!(!next.is_finished(), "the place is held by a handler that nobody waits for");
    assert_eq!(server.world.noted().len(), 1);
}
