//! Spans that the program exports.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::routing::post;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::cli::{program, run};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// A collector, and what it was sent.
async fn collector() -> (String, Arc<Mutex<Vec<(HeaderMap, Bytes)>>>) {
    let sent: Arc<Mutex<Vec<(HeaderMap, Bytes)>>> = Arc::default();
    let taken = sent.clone();
    let take = async move |headers: HeaderMap, body: Bytes| taken.lock().push((headers, body));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/v1/traces", post(take))).await });
    (url, sent)
}

/// What the program logs between its start and SIGTERM, of one call with that trace.
async fn serve(endpoint: &str, parent: &str) -> Vec<Value> {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().to_str().unwrap();
    let variables = [
        ("ROAR_LISTEN", "127.0.0.1:0"),
        ("ROAR_DATA_DIR", data),
        ("ROAR_LOG_FORMAT", "json"),
        ("ROAR_OTLP_ENDPOINT", endpoint),
        ("ROAR_TRACE_RATIO", "0"),
    ];
    let mut server = program(&["serve"], &variables).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(server.stderr.take().unwrap()).lines().map(|line| line.unwrap());
    let listening = lines.find(|line| line.contains("listening on")).expect("it listens");
    let url = listening.split("listening on ").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let secret = "a-name-that-nobody-is-to-see";
    let (_, token, _) = run(&["token", "--uid", "somebody"], &[("ROAR_DATA_DIR", data)]);
    let call = crate::support::world::http().post(format!("{url}/getAdministrations")).header("traceparent", parent);
    let call = call.bearer_auth(token.trim());
    let answer = call.json(&json!({"data": {"testData": secret}})).send().await.unwrap();
    assert_eq!(answer.status(), 400);
    let stop = std::process::Command::new("kill").arg(server.id().to_string()).status().unwrap();
    assert!(stop.success());
    let rest: Vec<_> = lines.collect();
    assert!(server.wait().unwrap().success());
    rest.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sampled_run_is_exported_as_part_of_its_trace() {
    let (endpoint, sent) = collector().await;
    let log = serve(&endpoint, &format!("00-{TRACE}-00f067aa0ba902b7-01")).await;
    let sent = sent.lock();
    let [(headers, body)] = sent.as_slice() else { panic!("{} requests", sent.len()) };
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let trace = u128::from_str_radix(TRACE, 16).unwrap().to_be_bytes();
    for part in [&trace[..], &0x00f067aa0ba902b7_u64.to_be_bytes(), b"getAdministrations", b"INVALID_ARGUMENT"] {
        assert!(contains(body, part), "{}", String::from_utf8_lossy(part));
    }
    assert!(!contains(body, b"nobody-is-to-see"));
    let ran = log.iter().find(|line| line["message"] == "the function ran").expect("it's logged");
    assert_eq!(ran["logging.googleapis.com/trace"], TRACE);
    assert_eq!(ran["logging.googleapis.com/labels"], json!({"function": "getAdministrations", "kind": "call"}));
    assert!(ran.as_object().unwrap().keys().all(|key| !key.starts_with("otel")), "{ran}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sent_of_what_nobody_samples_and_nobody_waits_for_a_collector_that_is_away() {
    let (endpoint, sent) = collector().await;
    serve(&endpoint, &format!("00-{TRACE}-00f067aa0ba902b7-00")).await;
    assert!(sent.lock().is_empty());
    // It ends, which it wouldn't if the program waited for the collector.
    serve("http://127.0.0.1:9/v1/traces", &format!("00-{TRACE}-00f067aa0ba902b7-01")).await;
}
