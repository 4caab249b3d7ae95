//! How often an address may call without being signed in.

use std::num::NonZeroU32;
use std::time::Duration;

use functions_runtime::auth::{AppCheck, AppTokens, Callers, IdTokens, KeySource};
use functions_runtime::budget::Budgets;
use functions_runtime::limits::{SignedOut, Stopwatch};
use functions_runtime::sign_in::SignInRules;
use governor::clock::{Clock as _, FakeRelativeClock};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::forged::Log;
use crate::support::keys::unsigned;
use crate::support::world::{NOW, PROJECT, answer, error, http, id_claims};
use crate::support::{KeyServer, Setup, SigningKey, TestServer};

fn claims() -> Value {
    id_claims("u1")
}

/// A server that lets an address make that many calls a minute; its limits go by the clock.
async fn server(calls: u32, proxies: usize, keys: &KeyServer, clock: &FakeRelativeClock) -> TestServer {
    let clock = clock.clone();
    let signed_out = SignedOut {
        calls_a_minute: NonZeroU32::new(calls),
        trusted_proxies: proxies,
        stopwatch: Stopwatch::new(move || clock.now().into()),
    };
    let source = || KeySource::new(&keys.url, http());
    let projects = || vec![PROJECT.to_owned()];
    let callers = Callers {
        id_tokens: IdTokens { projects: projects(), keys: source(), allow_unsigned: true, development: None },
        app_check: AppCheck::Monitor(AppTokens { projects: projects(), apps: Vec::new(), keys: source() }),
        signed_out,
        budgets: Budgets::unlimited(),
        sign_in: SignInRules::default(),
    };
    TestServer::with(Setup { callers, ..Setup::new() }).await
}

async fn call(server: &TestServer, headers: &[(&str, &str)]) -> Response {
    call_function(server, "/echoBack", headers).await
}

async fn call_function(server: &TestServer, path: &str, headers: &[(&str, &str)]) -> Response {
    let request = server.post(path).json(&json!({"data": null}));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.send().await.unwrap()
}

/// The statuses of that many calls.
async fn calls(server: &TestServer, headers: &[(&str, &str)], count: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..count {
        statuses.push(call(server, headers).await.status().as_u16());
    }
    statuses
}

fn too_many() -> Value {
    error("RESOURCE_EXHAUSTED", "Too many calls. Please try again later.")
}

fn counted(server: &TestServer, function: &str) -> u64 {
    let line = format!(r#"function_signed_out_refused_total{{function="{function}"}} "#);
    let text = server.runtime.metrics().render();
    text.lines().find_map(|found| found.strip_prefix(&line)).map_or(0, |count| count.parse().unwrap())
}

#[tokio::test]
async fn who_is_not_signed_in_is_limited_and_who_is_is_not() {
    let clock = FakeRelativeClock::default();
    let keys = KeyServer::start(&[]).await;
    let server = server(3, 0, &keys, &clock).await;
    assert_eq!(calls(&server, &[], 3).await, [200; 3]);
    let refused = call(&server, &[("origin", "https://app.example")]).await;
    let header = |name: &str| refused.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(header("retry-after").as_deref(), Some("20"));
    assert_eq!(header("access-control-allow-origin").as_deref(), Some("https://app.example"));
    assert_eq!(header("content-type").as_deref(), Some("application/json; charset=utf-8"));
    assert_eq!(answer(refused).await, (429, too_many()));

    // A token that doesn't hold is as good as none.
    for bad in ["", "Basic dTpw", "Bearer x", &format!("Bearer {}", unsigned(&json!({})))] {
        assert_eq!(answer(call(&server, &[("authorization", bad)]).await).await, (429, too_many()), "{bad}");
    }
    let good = format!("Bearer {}", unsigned(&claims()));
    assert_eq!(calls(&server, &[("authorization", &good)], 20).await, [200; 20]);
    // Preflights, health and what names no function aren't calls.
    let preflight = server.http.request(Method::OPTIONS, format!("{}/echoBack", server.url));
    assert_eq!(preflight.send().await.unwrap().status(), 204);
    assert_eq!(call_function(&server, "/nothing", &[]).await.status(), 404);
    assert_eq!(server.http.get(format!("{}/healthz", server.url)).send().await.unwrap().status(), 200);
    // Whoever reads frames is told in a frame.
    let streamed = call(&server, &[("accept", "text/event-stream")]).await;
    assert_eq!((streamed.status().as_u16(), &streamed.headers()["retry-after"]), (200, &"20".parse().unwrap()));
    assert_eq!(streamed.text().await.unwrap(), format!("data: {}\n\n", too_many()));

    assert_eq!(server.world.noted().len(), 23);
    assert_eq!((counted(&server, "echoBack"), counted(&server, "hold")), (6, 0));
    clock.advance(Duration::from_millis(19_500));
    assert_eq!(call(&server, &[]).await.headers()["retry-after"], "1");
    clock.advance(Duration::from_millis(500));
    assert_eq!(calls(&server, &[], 2).await, [200, 429]);
    assert_eq!(calls(&server, &[("authorization", "Bearer x")], 1).await, [429]);
    clock.advance(Duration::from_secs(60));
    assert_eq!(calls(&server, &[("authorization", "Bearer x")], 4).await, [401, 401, 401, 429]);
    // A wrong request is counted all the same, and told that it's wrong until it's one too many.
    clock.advance(Duration::from_secs(20));
    let wrong = async || server.post("/echoBack").json(&json!({"dat": 1})).send().await.unwrap().status().as_u16();
    assert_eq!([wrong().await, wrong().await], [400, 429]);
}

#[tokio::test]
async fn a_refused_call_costs_neither_a_key_nor_a_body() {
    let (clock, key) = (FakeRelativeClock::default(), SigningKey::new("k1"));
    let keys = KeyServer::start(&[&key]).await;
    let server = server(1, 0, &keys, &clock).await;
    assert_eq!(calls(&server, &[], 1).await, [200]);
    let app = key.sign(&json!({
        "iss": "https://firebaseappcheck.googleapis.com/1", "aud": [format!("projects/{PROJECT}")], "sub": "1:1:web:a",
        "iat": NOW - 60, "exp": NOW + 3600,
    }));
    assert_eq!(calls(&server, &[("x-firebase-appcheck", &app)], 3).await, [429; 3]);
    assert_eq!(keys.hits(), 0);
    // A body that never comes isn't waited for.
    for authorization in ["", "Authorization: Bearer x\r\n"] {
        let mut stream = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).await.unwrap();
        let head = format!(
            "POST /echoBack HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{authorization}Content-Length: \
             9000000\r\n\r\n{{"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut start = [0; 12];
        stream.read_exact(&mut start).await.unwrap();
        assert_eq!(&start, b"HTTP/1.1 429");
    }
    assert_eq!((keys.hits(), server.world.noted().len()), (0, 1));
}

#[tokio::test]
async fn keys_that_cannot_be_had_are_nobodys_fault() {
    let (clock, key) = (FakeRelativeClock::default(), SigningKey::new("k1"));
    let keys = KeyServer::start(&[]).await;
    keys.fail();
    let server = server(2, 0, &keys, &clock).await;
    let token = format!("Bearer {}", key.sign(&claims()));
    assert_eq!(calls(&server, &[("authorization", &token)], 5).await, [503; 5]);
    assert_eq!(calls(&server, &[], 3).await, [200, 200, 429]);
}

#[tokio::test]
async fn each_client_behind_our_proxies_is_counted_alone() {
    let log = Log::start();
    let clock = FakeRelativeClock::default();
    let keys = KeyServer::start(&[]).await;
    let server = server(1, 1, &keys, &clock).await;
    let from = async |forwarded: &str| call(&server, &[("x-forwarded-for", forwarded)]).await.status().as_u16();
    for (forwarded, expected) in [
        ("203.0.113.1", 200),
        ("203.0.113.1", 429),
        // What the client says itself doesn't help.
        ("198.51.100.7, 203.0.113.1", 429),
        ("198.51.100.7,::1, 203.0.113.1:4711", 429),
        ("::ffff:203.0.113.1", 429),
        ("203.0.113.2", 200),
        ("2001:db8::1", 200),
        ("2001:db8::2", 429),
        ("2001:db8::ffff:0:0:1", 429),
        ("2001:db8:0:1::1", 200),
        // What isn't as our proxy writes it is counted with the proxy.
        ("unknown", 200),
        ("203.0.113.3, rubbish", 429),
        ("", 429),
    ] {
        assert_eq!(from(forwarded).await, expected, "{forwarded}");
    }
    assert_eq!(calls(&server, &[], 1).await, [429]);
    // In two headers, the last one is what the proxy appended.
    let spread = |first, second| [("x-forwarded-for", first), ("x-forwarded-for", second)];
    assert_eq!(calls(&server, &spread("203.0.113.9", "203.0.113.1"), 1).await, [429]);
    assert_eq!(calls(&server, &spread("203.0.113.1", "203.0.113.9"), 1).await, [200]);
    // Nobody's address gets into the log.
    let log = log.text();
    assert!(log.contains("RESOURCE_EXHAUSTED") && !log.contains("203.0.113.") && !log.contains("2001:db8"), "{log}");
}

#[tokio::test]
async fn without_proxies_the_header_is_nobodys_word() {
    let clock = FakeRelativeClock::default();
    let keys = KeyServer::start(&[]).await;
    let server = server(1, 0, &keys, &clock).await;
    assert_eq!(calls(&server, &[("x-forwarded-for", "203.0.113.1")], 1).await, [200]);
    assert_eq!(calls(&server, &[("x-forwarded-for", "203.0.113.2")], 1).await, [429]);
}

#[tokio::test]
async fn a_function_may_be_stricter_than_all() {
    let clock = FakeRelativeClock::default();
    let keys = KeyServer::start(&[]).await;
    let good = format!("Bearer {}", unsigned(&claims()));
    for (general, others) in [(0, [200, 200, 200]), (3, [200, 200, 429])] {
        let server = server(general, 0, &keys, &clock).await;
        let strict = async |headers| call_function(&server, "/strict", headers).await;
        assert_eq!(strict(&[]).await.status(), 200);
        let refused = strict(&[]).await;
        assert_eq!(refused.headers()["retry-after"], "60");
        assert_eq!(answer(refused).await, (429, too_many()));
        // By whatever name.
        for path in ["/STRICT", "/demo/us-central1/strict/", "/%73trict"] {
            assert_eq!(call_function(&server, path, &[]).await.status(), 429, "{path}");
        }
        // What its own limit refused isn't counted among all calls.
        assert_eq!(calls(&server, &[], 3).await, others);
        assert_eq!(counted(&server, "strict"), 4);
        assert_eq!(strict(&[("authorization", good.as_str())]).await.status(), 200);
    }
}
