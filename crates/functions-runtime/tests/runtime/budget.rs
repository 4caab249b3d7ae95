//! How much of the databases a caller may use a minute, and what their sign-in must have been like.

use std::num::NonZeroU32;
use std::time::Duration;

use functions_runtime::budget::Budgets;
use functions_runtime::limits::Stopwatch;
use functions_runtime::sign_in::{RECENT, SignInRules};
use governor::clock::{Clock as _, FakeRelativeClock};
use serde_json::{Value, json};

use crate::support::keys::unsigned;
use crate::support::world::{NOW, answer, error, id_claims};
use crate::support::{Setup, TestServer};

fn token(uid: &str, more: &Value) -> String {
    let mut claims = id_claims(uid);
    claims["auth_time"] = json!(NOW - 60);
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    unsigned(&claims)
}

/// A server with a budget of 400, and of 4,000 for `admin`.
async fn server(clock: &FakeRelativeClock) -> TestServer {
    let mut setup = Setup::new();
    let clock = clock.clone();
    setup.callers.budgets = Budgets {
        plain: NonZeroU32::new(400),
        raised: NonZeroU32::new(4000),
        stopwatch: Stopwatch::new(move || clock.now().into()),
    };
    TestServer::with(setup).await
}

/// The status of a call, and after how many seconds it may come again.
async fn call(server: &TestServer, uid: &str, function: &str, data: Value) -> (u16, Option<u64>) {
    let request = server.post(&format!("/{function}")).bearer_auth(token(uid, &json!({}))).json(&json!({"data": data}));
    let response = request.send().await.unwrap();
    let wait = response.headers().get("retry-after").map(|wait| wait.to_str().unwrap().parse().unwrap());
    let (status, body) = answer(response).await;
    if status == 429 {
        let text = "You have asked for too much within a minute. Please wait a moment and try again.";
        assert_eq!(body, error("RESOURCE_EXHAUSTED", text));
    }
    (status, wait)
}

fn refused(server: &TestServer, function: &str) -> u64 {
    let line = format!(r#"function_budget_refused_total{{function="{function}"}} "#);
    let text = server.runtime.metrics().render();
    text.lines().find_map(|found| found.strip_prefix(&line)).map_or(0, |count| count.parse().unwrap())
}

#[tokio::test]
async fn who_asks_for_too_much_waits_and_nobody_else_does() {
    let clock = FakeRelativeClock::default();
    let server = server(&clock).await;
    // Far more than there is, at once: done, and made good by what comes after.
    assert_eq!(call(&server, "u1", "read", json!(600)).await, (200, None));
    assert_eq!(call(&server, "u1", "read", json!(1)).await, (429, Some(36)));
    assert_eq!(call(&server, "u1", "echoBack", json!(1)).await.0, 429, "whatever is asked");
    assert_eq!((refused(&server, "read"), refused(&server, "echoBack")), (1, 1));
    assert_eq!(call(&server, "u2", "read", json!(300)).await, (200, None));
    // Signing out doesn't help anybody to read: such calls have a limit of their own.
    assert_eq!(server.call("/echoBack", json!(1)).await.status(), 200);
    clock.advance(Duration::from_secs(37));
    assert_eq!(call(&server, "u1", "read", json!(1)).await, (200, None));
    // What fails has cost as much.
    clock.advance(Duration::from_secs(60));
    for (data, expected) in [(json!(350), 200), (Value::Null, 500), (json!("nothing"), 200)] {
        assert_eq!(call(&server, "u3", "read", data).await.0, expected);
    }
    assert_eq!(call(&server, "u3", "read", json!(50)).await.0, 200);
    assert_eq!(call(&server, "u3", "read", json!(1)).await.0, 429);
    // What is no call at all costs nothing.
    for _ in 0..500 {
        let request = server.post("/read").bearer_auth(token("u4", &json!({}))).json(&json!({"dat": 1}));
        assert_eq!(request.send().await.unwrap().status(), 400);
    }
    assert_eq!(call(&server, "u4", "read", json!(390)).await.0, 200);
}

#[tokio::test]
async fn who_looks_after_others_has_more_and_operators_work_has_no_bound() {
    let clock = FakeRelativeClock::default();
    let server = server(&clock).await;
    for _ in 0..5 {
        assert_eq!(call(&server, "admin", "read", json!(700)).await.0, 200);
    }
    assert_eq!(call(&server, "admin", "read", json!(500)).await.0, 200);
    assert_eq!(call(&server, "admin", "read", json!(1)).await.0, 429);
    for _ in 0..3 {
        assert_eq!(call(&server, "admin", "readAll", json!(5000)).await.0, 200);
    }
    clock.advance(Duration::from_secs(2));
    assert_eq!(call(&server, "admin", "read", json!(1)).await.0, 200);
}

#[tokio::test]
async fn rights_and_passwords_are_for_who_has_just_signed_in() {
    let mut setup = Setup::new();
    setup.callers.sign_in = SignInRules { within: Some(RECENT), second_factor: true };
    let server = TestServer::with(setup).await;
    let hour = 3600;
    let factor = json!({"sign_in_second_factor": "totp"});
    for (more, expected) in [
        (json!({"auth_time": NOW - 11 * hour, "firebase": factor}), 200),
        (json!({"auth_time": NOW - 13 * hour, "firebase": factor}), 401),
        (json!({"auth_time": null, "firebase": factor}), 401),
        (json!({}), 403),
        (json!({"firebase": {"sign_in_provider": "password"}}), 403),
    ] {
        let mut more = more;
        if more["auth_time"].is_null() && more.get("auth_time").is_some() {
            // A token without it, as no issuer makes one.
            more = json!({"firebase": factor, "auth_time": 0});
        }
        let ask = |path: &str| server.post(path).bearer_auth(token("u1", &more)).json(&json!({"data": 1}));
        let (status, body) = answer(ask("/grant").send().await.unwrap()).await;
        assert_eq!(status, expected, "{more} {body}");
        if status != 200 {
            assert!(body["error"]["message"].as_str().unwrap().contains("sign in again"), "{body}");
        }
        // Everything else goes on.
        assert_eq!(ask("/echoBack").send().await.unwrap().status(), 200);
    }
}
