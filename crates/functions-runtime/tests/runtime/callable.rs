//! The callable protocol, rule by rule.

use reqwest::Method;
use serde_json::json;

use crate::support::TestServer;
use crate::support::world::{ALL_STATUSES, answer, error};

#[tokio::test]
async fn a_call_gets_its_result() {
    let server = TestServer::start().await;
    let response = server.call("/echoBack", json!({"a": [1, null, "x"]})).await;
    assert_eq!(response.headers()["content-type"], "application/json; charset=utf-8");
    let result = json!({"data": {"a": [1, null, "x"]}, "uid": null, "app": null});
    assert_eq!(answer(response).await, (200, json!({ "result": result })));
}

#[tokio::test]
async fn both_url_forms_and_all_names_reach_the_function() {
    let server = TestServer::start().await;
    for path in [
        "/echoBack",
        "/echoback",
        "/ECHOBACK",
        "/oldEcho",
        "/oldecho",
        "/echoBack/",
        "/echoBack?x=1",
        "/demo-admin/us-central1/echoBack",
        "/any/where/oldecho",
        "/demo-admin/us-central1/echoBack/with/more",
        "/%65choBack",
    ] {
        let (status, body) = answer(server.call(path, json!(path)).await).await;
        assert_eq!((status, &body["result"]["data"]), (200, &json!(path)));
    }
    assert_eq!(server.world.noted().len(), 11);
}

#[tokio::test]
async fn what_is_no_callable_is_not_found() {
    let server = TestServer::start().await;
    for path in ["/", "/nothing", "/a/b", "/a/echoBack", "/p/r/nothing", "/onWritten", "/work", "/%ff", "/p/r/"] {
        for method in [Method::POST, Method::GET, Method::PUT] {
            let url = format!("{}{path}", server.url);
            let request = server.http.request(method, url).header("origin", "https://app.example");
            let response = request.json(&json!({"data": null})).send().await.unwrap();
            assert_eq!(response.headers()["access-control-allow-origin"], "https://app.example", "{path}");
            assert_eq!(answer(response).await, (404, error("NOT_FOUND", "There is no such function")), "{path}");
        }
    }
}

#[tokio::test]
async fn requests_that_break_a_rule_get_the_one_answer_and_run_nothing() {
    let server = TestServer::start().await;
    let json_type = Some("application/json");
    let good = r#"{"data": 1}"#;
    let too_large = format!(r#"{{"data": "{}"}}"#, "x".repeat(100));
    let too_deep = format!(r#"{{"data": {}{}}}"#, "[".repeat(500), "]".repeat(500));
    for (why, method, path, content_type, body) in [
        ("no body", Method::POST, "/echoBack", json_type, ""),
        ("null", Method::POST, "/echoBack", json_type, "null"),
        ("false", Method::POST, "/echoBack", json_type, "false"),
        ("zero", Method::POST, "/echoBack", json_type, "0"),
        ("text", Method::POST, "/echoBack", json_type, r#""data""#),
        ("list", Method::POST, "/echoBack", json_type, r#"[{"data": 1}]"#),
        ("malformed", Method::POST, "/echoBack", json_type, r#"{"data": "#),
        ("trailing", Method::POST, "/echoBack", json_type, r#"{"data": 1} x"#),
        ("too deep", Method::POST, "/echoBack", json_type, &too_deep),
        ("no data", Method::POST, "/echoBack", json_type, "{}"),
        ("another key", Method::POST, "/echoBack", json_type, r#"{"data": 1, "foo": 2}"#),
        ("other key", Method::POST, "/echoBack", json_type, r#"{"Data": 1}"#),
        ("no media type", Method::POST, "/echoBack", None, good),
        ("text/plain", Method::POST, "/echoBack", Some("text/plain"), good),
        ("json-like", Method::POST, "/echoBack", Some("application/json5"), good),
        ("problem", Method::POST, "/echoBack", Some("application/problem+json"), good),
        ("GET", Method::GET, "/echoBack", json_type, good),
        ("PUT", Method::PUT, "/echoBack", json_type, good),
        ("DELETE", Method::DELETE, "/p/r/echoBack", json_type, good),
        ("too large", Method::POST, "/small", json_type, &too_large),
    ] {
        let mut request = server.http.request(method, format!("{}{path}", server.url)).body(body.to_owned());
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let response = request.header("origin", "https://app.example").send().await.unwrap();
        assert_eq!(response.headers()["access-control-allow-origin"], "https://app.example", "{why}");
        assert_eq!(answer(response).await, (400, error("INVALID_ARGUMENT", "Bad Request")), "{why}");
    }
    assert_eq!(server.world.noted(), [""; 0]);
    assert!(server.runtime.costs().is_empty());
}

#[tokio::test]
async fn media_types_are_compared_without_case_and_parameters() {
    let server = TestServer::start().await;
    for kind in ["application/json; charset=utf-8", "Application/JSON", "application/json ;x", "application/json;"] {
        let request = server.post("/echoBack").header("content-type", kind).body(r#"{"data": null}"#);
        assert_eq!(request.send().await.unwrap().status(), 200, "{kind}");
    }
}

#[tokio::test]
async fn every_status_has_its_code_and_name() {
    let server = TestServer::start().await;
    for (index, (_, name, code)) in ALL_STATUSES.iter().enumerate() {
        let response = server.call("/fail", json!({"status": index})).await;
        assert_eq!(response.headers()["content-type"], "application/json; charset=utf-8");
        assert_eq!(answer(response).await, (*code, error(name, "as told")));
    }
}

#[tokio::test]
async fn details_are_sent_when_set_even_to_null() {
    let server = TestServer::start().await;
    for details in [json!({"field": "email"}), json!(null)] {
        let (_, body) = answer(server.call("/fail", json!({"status": 5, "details": details})).await).await;
        let error = json!({"details": details, "message": "as told", "status": "ALREADY_EXISTS"});
        assert_eq!(body, json!({ "error": error }));
    }
}

#[tokio::test]
async fn wrapped_integers_arrive_exactly() {
    let server = TestServer::start().await;
    let wrapped = |kind: &str, value: &str| {
        let kind = format!("type.googleapis.com/google.protobuf.{kind}");
        json!({"@type": kind, "value": value})
    };
    let data = json!({
        "signed": wrapped("Int64Value", "9007199254740993"),
        "unsigned": [wrapped("UInt64Value", "18446744073709551615")],
        "plain": 5,
        "ordinary": {"@type": "", "value": "5"},
    });
    let (status, body) = answer(server.call("/echoBack", data).await).await;
    let decoded = json!({
        "signed": 9007199254740993_i64,
        "unsigned": [u64::MAX],
        "plain": 5,
        "ordinary": {"@type": "", "value": "5"},
    });
    assert_eq!((status, &body["result"]["data"]), (200, &decoded));

    let noted = server.world.noted().len();
    for data in [wrapped("Timestamp", "1"), wrapped("Int64Value", "many"), json!([{"@type": 1}])] {
        let answered = answer(server.call("/echoBack", data).await).await;
        assert_eq!(answered, (500, error("INTERNAL", "INTERNAL")));
    }
    assert_eq!(server.world.noted().len(), noted);
}

#[tokio::test]
async fn a_panic_is_internal_and_the_server_lives() {
    let server = TestServer::start().await;
    for _ in 0..3 {
        assert_eq!(answer(server.call("/crash", json!(1)).await).await, (500, error("INTERNAL", "INTERNAL")));
    }
    assert_eq!(server.call("/echoBack", json!(1)).await.status(), 200);
    assert_eq!(server.runtime.costs()["crash"].runs, 3);
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_told_so() {
    let server = TestServer::start().await;
    let answered = answer(server.call("/slow", json!(1)).await).await;
    assert_eq!(answered, (504, error("DEADLINE_EXCEEDED", "The function took too long")));
}

#[tokio::test]
async fn a_client_that_goes_away_does_not_stop_the_handler() {
    let server = TestServer::start().await;
    let call = tokio::spawn(server.post("/hold").json(&json!({"data": 1})).send());
    server.world.until("held").await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    assert_eq!(server.world.noted(), ["held"]);
    server.world.gate.add_permits(1);
    server.runtime.quiet().await;
    assert_eq!(server.world.noted(), ["held", "let go"]);
    assert_eq!(server.runtime.costs()["hold"].runs, 1);
}

#[tokio::test]
async fn preflights_allow_what_they_ask_for() {
    let server = TestServer::start().await;
    for path in ["/echoBack", "/p/r/echoBack", "/nothing"] {
        let request = server.http.request(Method::OPTIONS, format!("{}{path}", server.url));
        let request = request.header("origin", "https://app.example").header("access-control-request-method", "POST");
        let request =
            request.header("access-control-request-headers", "authorization,content-type,x-firebase-appcheck");
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 204);
        let headers = response.headers();
        assert_eq!(headers["access-control-allow-origin"], "https://app.example");
        assert_eq!(headers["access-control-allow-methods"], "POST");
        assert_eq!(headers["access-control-allow-headers"], "authorization,content-type,x-firebase-appcheck");
        assert_eq!(headers["vary"], "Origin, Access-Control-Request-Headers");
        assert!(!headers.contains_key("access-control-allow-credentials"));
        assert!(!headers.contains_key("access-control-max-age"));
        assert_eq!(response.text().await.unwrap(), "");
    }
    // One that asks for nothing.
    let response = server.http.request(Method::OPTIONS, format!("{}/echoBack", server.url)).send().await.unwrap();
    assert_eq!(response.status(), 204);
    assert!(!response.headers().contains_key("access-control-allow-origin"));
    assert!(!response.headers().contains_key("access-control-allow-headers"));
    assert_eq!(server.world.noted(), [""; 0]);
}

#[tokio::test]
async fn answers_reflect_the_origin_whatever_they_say() {
    let server = TestServer::start().await;
    for (path, status) in [("/echoBack", 200), ("/crash", 500), ("/slow", 504)] {
        let request = server.post(path).header("origin", "http://localhost:5173").json(&json!({"data": {}}));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), status);
        assert_eq!(response.headers()["access-control-allow-origin"], "http://localhost:5173");
        assert_eq!(response.headers()["vary"], "Origin");
        let response = server.call(path, json!({})).await;
        assert!(!response.headers().contains_key("access-control-allow-origin"));
    }
}
