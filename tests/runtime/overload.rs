//! More calls than the server has room for.

use std::time::Duration;

use serde_json::json;

use crate::support::{Setup, TestServer};

async fn until_held(server: &TestServer, count: usize) {
    let held = async {
        while server.world.noted().iter().filter(|noted| *noted == "held").count() < count {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), held).await.expect("they are taken");
}

#[tokio::test]
async fn calls_beyond_the_room_are_refused_at_once_and_the_others_are_answered() {
    let server = TestServer::with(Setup { most_calls: 2, ..Setup::new() }).await;
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
    let server = TestServer::with(Setup { most_calls: 1, ..Setup::new() }).await;
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
