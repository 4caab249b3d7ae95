//! What `/metrics` shows.

use std::collections::BTreeMap;
use std::time::Duration;

use document_store::fields;
use document_store::{DocPath, Document, DocumentChange, Timestamp};
use functions_runtime::{NewTask, TaskQueue as _};
use serde_json::json;

use crate::support::world::{NOW, Step, Work};
use crate::support::{Setup, TestServer};

/// The numbers, by name and labels as Prometheus writes them.
async fn read(server: &TestServer) -> BTreeMap<String, f64> {
    let response = server.http.get(format!("{}/metrics", server.url)).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let text = response.text().await.unwrap();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.rsplit_once(' ').unwrap()).map(|(name, n)| (name.to_owned(), n.parse().unwrap())).collect()
}

/// Something happened to a user that many seconds ago.
fn change(id: &str, mode: &str, seconds_ago: i64) -> DocumentChange {
    let time = Timestamp::from_second(NOW - seconds_ago).unwrap();
    let path = DocPath::new("users/u1").unwrap();
    let fields = fields! {"mode" => mode};
    let after = Document { path: path.clone(), fields, create_time: time, update_time: time };
    DocumentChange { id: id.to_owned(), path, before: None, after: Some(after), time }
}

#[tokio::test]
async fn calls_events_and_tasks_are_counted_by_function() {
    let server = TestServer::with(Setup::new()).await;
    server.call("/echoBack", json!(1)).await;
    server.call("/fail", json!({"status": 6})).await;
    // Twice the same event, then another that is old and fails.
    for (id, mode, age) in [("e1", "ok", 0), ("e1", "ok", 2), ("e2", "transient", 100), ("e3", "cost", 0)] {
        server.runtime.dispatch_change("onWritten", change(id, mode, age)).await;
    }
    server.world.script("t", [Step::Transient, Step::Transient]);
    let task = NewTask::new("t", &Work::default());
    server.world.database.commit(vec![server.queue.enlist(&task)]).await.unwrap();
    server.queue.announce(vec![task]);
    tokio::time::timeout(Duration::from_secs(10), server.queue.idle()).await.unwrap();
    let read = read(&server).await;
    for (name, expected) in [
        (r#"function_calls_total{outcome="ok",function="echoBack"}"#, 1.0),
        (r#"function_calls_total{outcome="PERMISSION_DENIED",function="fail"}"#, 1.0),
        (r#"function_events_total{outcome="ok",function="onWritten"}"#, 3.0),
        (r#"function_events_total{outcome="transient",function="onWritten"}"#, 1.0),
        (r#"function_event_redeliveries_total{function="onWritten"}"#, 1.0),
        (r#"function_event_noops_total{function="onWritten"}"#, 3.0),
        (r#"function_event_age_seconds_bucket{function="onWritten",le="0.1"}"#, 2.0),
        (r#"function_event_age_seconds_bucket{function="onWritten",le="5"}"#, 3.0),
        (r#"function_event_age_seconds_bucket{function="onWritten",le="300"}"#, 4.0),
        (r#"function_event_age_seconds_sum{function="onWritten"}"#, 102.0),
        (r#"function_billed_reads_total{function="onWritten"}"#, 1.0),
        (r#"function_tasks_total{outcome="transient",function="work"}"#, 2.0),
        (r#"function_tasks_total{outcome="ok",function="work"}"#, 1.0),
        (r#"function_task_retries_total{function="work"}"#, 2.0),
        (r#"function_duration_seconds_count{function="work"}"#, 3.0),
        ("tasks_pending", 0.0),
        ("tasks_running", 0.0),
    ] {
        assert_eq!(read.get(name), Some(&expected), "{name} in {read:#?}");
    }
}

#[tokio::test]
async fn what_is_under_way_shows() {
    let server = TestServer::with(Setup::new()).await;
    let call = tokio::spawn(server.post("/hold").json(&json!({"data": 1})).send());
    server.world.until("held").await;
    let during = read(&server).await;
    for (name, expected) in [("calls_in_progress", 1.0), ("calls_limit", 256.0), ("function_runs_in_progress", 1.0)] {
        assert_eq!(during.get(name), Some(&expected), "{name}");
    }
    assert!(during["http_connections"] >= 1.0);
    assert!(during["process_resident_memory_bytes"] > 1e6);
    assert_eq!(during["process_start_time_seconds"], NOW as f64);
    server.world.gate.add_permits(1);
    call.await.unwrap().unwrap();
    server.runtime.quiet().await;
    assert_eq!(read(&server).await["calls_in_progress"], 0.0);
}

/// On Cloud Run everybody reaches the server, but a collector beside it comes by no proxy.
#[tokio::test]
async fn metrics_can_be_for_who_is_near() {
    let server = TestServer::with(Setup { metrics_are_local: true, ..Setup::new() }).await;
    let url = format!("{}/metrics", server.url);
    let ask = async |name: Option<&str>| {
        let request = server.http.get(&url);
        let request = name.into_iter().fold(request, |request, name| request.header(name, "203.0.113.7"));
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(ask(None).await, 200);
    for name in ["x-forwarded-for", "forwarded", "via"] {
        assert_eq!(ask(Some(name)).await, 404, "{name}");
    }
}

/// A write that meets another's is counted for the function that made it.
#[tokio::test]
async fn conflicts_are_counted() {
    let server = TestServer::with(Setup::new()).await;
    server.world.script("t", [Step::Advance("second"), Step::Commit]);
    // The document of the task is gone when its handler commits.
    let task = NewTask::new("t", &Work::default());
    server.world.database.commit(vec![server.queue.enlist(&task)]).await.unwrap();
    server.queue.announce(vec![task]);
    tokio::time::timeout(Duration::from_secs(10), server.queue.idle()).await.unwrap();
    assert_eq!(read(&server).await[r#"function_store_conflicts_total{function="work"}"#], 0.0);
    server.world.script("gone", [Step::Commit]);
    let gone = NewTask::new("gone", &Work::default());
    server.queue.announce(vec![gone]);
    server.world.until("gone -").await;
    // A run is recorded before it counts as ended.
    server.runtime.quiet().await;
    let conflicts = read(&server).await[r#"function_store_conflicts_total{function="work"}"#];
    assert!(conflicts > 0.0, "the conflict is counted");
}
