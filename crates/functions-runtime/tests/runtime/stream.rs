//! Calls that ask for an event stream.

use std::time::Duration;

use serde_json::json;

use crate::support::{Setup, TestServer};

async fn streamed(server: &TestServer, path: &str, body: &str, accept: &str) -> (u16, String, String) {
    let request = server.post(path).header("accept", accept).header("content-type", "application/json");
    let response = request.header("origin", "https://app.example").body(body.to_owned()).send().await.unwrap();
    assert_eq!(response.headers()["access-control-allow-origin"], "https://app.example");
    let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
    (response.status().as_u16(), kind, response.text().await.unwrap())
}

#[tokio::test]
async fn results_and_errors_come_as_one_frame_under_200() {
    let server = TestServer::start().await;
    let good = r#"{"data": "two\nlines"}"#;
    for (path, body, frame) in [
        ("/echoBack", good, r#"{"result":{"app":null,"data":"two\nlines","uid":null}}"#),
        (
            "/echoBack",
            r#"{"data": 1, "more": 2}"#,
            r#"{"error":{"message":"Bad Request","status":"INVALID_ARGUMENT"}}"#,
        ),
        ("/fail", r#"{"data": {"status": 4}}"#, r#"{"error":{"message":"as told","status":"NOT_FOUND"}}"#),
        ("/crash", good, r#"{"error":{"message":"INTERNAL","status":"INTERNAL"}}"#),
        ("/slow", good, r#"{"error":{"message":"The function took too long","status":"DEADLINE_EXCEEDED"}}"#),
    ] {
        let (status, kind, text) = streamed(&server, path, body, "text/event-stream").await;
        assert_eq!((status, kind.as_str()), (200, "text/event-stream"));
        assert_eq!(text, format!("data: {frame}\n\n"));
    }
}

#[tokio::test]
async fn a_bad_token_is_a_frame_too() {
    let server = TestServer::start().await;
    let request = server.post("/echoBack").header("accept", "text/event-stream").header("authorization", "Basic x");
    let response = request.json(&json!({"data": 1})).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let frame = r#"data: {"error":{"message":"Unauthenticated","status":"UNAUTHENTICATED"}}"#;
    assert_eq!(response.text().await.unwrap(), format!("{frame}\n\n"));
    assert_eq!(server.world.noted(), [""; 0]);
}

#[tokio::test]
async fn only_the_exact_media_type_streams() {
    let server = TestServer::start().await;
    for accept in ["text/event-stream, */*", "text/event-stream;q=1", "Text/Event-Stream", "*/*"] {
        let (status, kind, text) = streamed(&server, "/echoBack", "{}", accept).await;
        assert_eq!((status, kind.as_str()), (400, "application/json; charset=utf-8"));
        assert!(text.starts_with(r#"{"error""#), "{accept}");
    }
}

#[tokio::test]
async fn heartbeats_come_while_the_handler_runs() {
    let setup = Setup { heartbeat: Duration::from_millis(10), ..Setup::new() };
    let server = TestServer::with(setup).await;
    let request = server.post("/hold").header("accept", "text/event-stream").json(&json!({"data": 1}));
    let mut response = request.send().await.unwrap();
    let mut text = String::new();
    while text.matches(": ping\n\n").count() < 3 {
        text.push_str(std::str::from_utf8(&response.chunk().await.unwrap().unwrap()).unwrap());
    }
    server.world.gate.add_permits(1);
    while let Some(chunk) = response.chunk().await.unwrap() {
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    let rest = text.trim_start_matches(": ping\n\n");
    assert_eq!(rest, "data: {\"result\":\"held\"}\n\n");
}

#[tokio::test]
async fn what_a_function_says_comes_before_its_result() {
    let server = TestServer::start().await;
    // More than the channel holds: the function waits for its reader.
    let items: Vec<u64> = (0..100).collect();
    let body = json!({ "data": items }).to_string();
    let (_, _, text) = streamed(&server, "/recite", &body, "text/event-stream").await;
    let mut expected: String = items.iter().map(|item| format!("data: {{\"message\":{item}}}\n\n")).collect();
    expected += "data: {\"result\":{\"heard\":100}}\n\n";
    assert_eq!(text, expected);
    let (status, _, text) = streamed(&server, "/recite", &body, "*/*").await;
    assert_eq!((status, text.as_str()), (200, r#"{"result":{"heard":0}}"#), "a plain call has no listener");
}

#[tokio::test]
async fn a_function_goes_on_when_its_listener_has_gone() {
    let server = TestServer::start().await;
    let items: Vec<u64> = (0..100_000).collect();
    let request = server.post("/recite").header("accept", "text/event-stream");
    let mut response = request.json(&json!({ "data": items })).send().await.unwrap();
    assert!(response.chunk().await.unwrap().is_some());
    drop(response);
    let served = tokio::time::timeout(Duration::from_secs(30), server.runtime.quiet());
    assert!(served.await.is_ok(), "it doesn't wait for nobody");
}
