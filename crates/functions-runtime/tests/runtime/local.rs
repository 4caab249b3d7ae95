//! Servers that take tokens of development: what comes from elsewhere than this machine is refused.

use functions_runtime::{LocalHints, LocalOnly};
use serde_json::{Value, json};

use crate::support::world::answer;
use crate::support::{Setup, TestServer};

const HINTS: LocalHints = LocalHints {
    host: Some("Add names with HOSTS."),
    origin: Some("Add origins with ORIGINS."),
    proxy: Some("Set TOKENS=never."),
};

async fn server() -> TestServer {
    let origins = vec!["https://dev.school.example".to_owned()];
    let local = Some(LocalOnly { hosts: vec!["devbox".to_owned()], origins, hints: HINTS });
    TestServer::with(Setup { local, ..Setup::new() }).await
}

/// The status of a call with that header, its body, and the origin that its answer lets read it.
async fn call(server: &TestServer, header: Option<(&str, &str)>) -> (u16, Value, Option<String>) {
    let request = server.post("/echoBack").json(&json!({"data": 1}));
    let response = header.into_iter().fold(request, |request, (name, value)| request.header(name, value));
    let response = response.send().await.unwrap();
    let allowed = response.headers().get("access-control-allow-origin").map(|it| it.to_str().unwrap().to_owned());
    let (status, body) = answer(response).await;
    (status, body, allowed)
}

#[tokio::test]
async fn this_machine_its_pages_and_what_is_named_are_answered() {
    let server = server().await;
    assert_eq!(call(&server, None).await.0, 200);
    for origin in ["http://localhost:5173", "http://127.0.0.1:3000", "https://dev.school.example"] {
        let (status, _, allowed) = call(&server, Some(("origin", origin))).await;
        assert_eq!((status, allowed.as_deref()), (200, Some(origin)));
    }
    assert_eq!(call(&server, Some(("host", "devbox:8080"))).await.0, 200);
}

/// A proxy or a tunnel on the machine, a page of anybody's in its browser, a name that leads there: each is a stranger,
/// who isn't even told of what there is.
#[tokio::test]
async fn strangers_are_refused_whatever_they_ask_for() {
    let server = server().await;
    for (name, value, said) in [
        ("host", "evil.example", "[::1]. Add names with HOSTS."),
        ("origin", "https://evil.example", "pages of this machine. Add origins with ORIGINS."),
        ("origin", "null", "pages of this machine. Add origins with ORIGINS."),
        ("x-forwarded-for", "203.0.113.1", "the header x-forwarded-for shows"),
        ("x-forwarded-host", "demo.example", "x-forwarded-host shows. Set TOKENS=never."),
        ("forwarded", "for=203.0.113.1", "the header forwarded"),
        ("via", "1.1 proxy", "the header via"),
        ("x-real-ip", "203.0.113.1", "the header x-real-ip"),
    ] {
        let (status, body, allowed) = call(&server, Some((name, value))).await;
        assert_eq!(
            (status, body["error"]["status"].as_str(), allowed),
            (403, Some("PERMISSION_DENIED"), None),
            "{name}"
        );
        assert!(body["error"]["message"].as_str().unwrap().contains(said), "{body}");
        for path in
            ["/", "/healthz", "/metrics", "/events/onWritten", "/functions/projects/demo-admin/triggers/onWritten"]
        {
            let request = server.http.get(format!("{}{path}", server.url)).header(name, value);
            assert_eq!(request.send().await.unwrap().status(), 403, "{path} {name}");
        }
        let preflight = server.http.request(reqwest::Method::OPTIONS, format!("{}/echoBack", server.url));
        let preflight = preflight.header("access-control-request-method", "POST").header(name, value);
        let response = preflight.send().await.unwrap();
        assert_eq!(response.status(), 403);
        assert!(!response.headers().contains_key("access-control-allow-origin"));
    }
    assert_eq!(server.world.noted(), [""; 0], "no handler ran");
}

/// Any page may send plain text anywhere, and forms, without asking first.
#[tokio::test]
async fn what_any_page_may_send_is_no_event_and_no_task() {
    let server = TestServer::start().await;
    let name = "projects/demo-admin/databases/(default)/documents/users/u1";
    let time = "2025-06-15T15:06:40Z";
    let event = json!({
        "specversion": "1.0", "id": "e1", "type": "google.cloud.firestore.document.v1.written",
        "source": "//firestore.googleapis.com/projects/demo-admin/databases/(default)",
        "data": {"value": {"name": name, "fields": {}, "createTime": time, "updateTime": time}},
    });
    let send = async |path: &str, kind: Option<&str>| {
        let request = server.post(path).body(event.to_string());
        let request = kind.into_iter().fold(request, |request, kind| request.header("content-type", kind));
        request.send().await.unwrap().status().as_u16()
    };
    for path in ["/events/onWritten", "/functions/projects/demo-admin/triggers/onWritten"] {
        for kind in [
            None,
            Some("text/plain"),
            Some("text/plain; charset=utf-8"),
            Some("multipart/form-data"),
            Some("application/x-www-form-urlencoded"),
        ] {
            assert_eq!(send(path, kind).await, 204, "there's no use in sending it again");
        }
    }
    assert_eq!(server.world.noted(), [""; 0]);
    assert_eq!(send("/events/onWritten", Some("application/json")).await, 204);
    assert_eq!(server.world.noted(), ["Created u1"], "it's an event all right");
}
