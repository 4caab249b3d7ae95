//! Health, and an end in good order.

use std::time::Duration;

use functions_runtime::{NewTask, TaskQueue};
use serde_json::json;

use crate::support::world::{Step, Work};
use crate::support::{Memory, Setup, TestServer};

async fn get(server: &TestServer, path: &str) -> (u16, String) {
    let response = server.http.get(format!("{}{path}", server.url)).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test]
async fn readiness_follows_the_store_and_the_queue() {
    let memory = Memory::default();
    let server = TestServer::without_queue(Setup { memory: memory.clone(), ..Setup::new() }).await;
    assert_eq!(get(&server, "/healthz").await, (200, "ok\n".to_owned()));
    assert_eq!(get(&server, "/readyz").await, (503, "the task queue isn't started\n".to_owned()));
    server.queue.start(std::sync::Arc::new(server.runtime.clone()));
    assert_eq!(get(&server, "/readyz").await, (200, "ready\n".to_owned()));
    memory.set_down(true);
    assert_eq!(get(&server, "/readyz").await, (503, "a store doesn't answer\n".to_owned()));
    assert_eq!(get(&server, "/healthz").await.0, 200);
}

#[tokio::test]
async fn a_stop_lets_what_runs_end_and_leaves_the_rest_in_the_store() {
    let memory = Memory::default();
    let mut server = TestServer::with(Setup { memory: memory.clone(), concurrency: 1, ..Setup::new() }).await;
    server.world.script("a", [Step::Hold]);
    for id in ["a", "b"] {
        let task = NewTask::new(id, &Work::default());
        server.world.database.commit(vec![server.queue.enlist(&task)]).await.unwrap();
        server.queue.announce(vec![task]);
    }
    server.world.until("a -").await;
    let call = tokio::spawn(server.post("/hold").json(&json!({"data": 1})).send());
    server.world.until("held").await;
    server.ask_to_stop();
    // New connections find nobody; those that wait for an answer get it.
    let (url, world) = (server.url.clone(), server.world.clone());
    let fresh = crate::support::world::http();
    // Nothing tells when a real listener is closed, so connections are tried.
    while fresh.get(format!("{url}/healthz")).header("connection", "close").send().await.is_ok() {
        tokio::task::yield_now().await;
    }
    world.gate.add_permits(2);
    assert!(server.stopped().await);
    assert_eq!(call.await.unwrap().unwrap().status(), 200);
    assert!(world.noted().contains(&"a let go".to_owned()));
    assert_eq!(memory.ids(), ["b"]);
}

#[tokio::test]
async fn a_stop_does_not_wait_longer_than_the_grace() {
    let memory = Memory::default();
    let setup = Setup { memory: memory.clone(), grace: Duration::from_millis(50), ..Setup::new() };
    let mut server = TestServer::with(setup).await;
    let call = tokio::spawn(server.post("/hold").json(&json!({"data": 1})).send());
    server.world.until("held").await;
    server.ask_to_stop();
    assert!(!server.stopped().await);
    drop(call);
}
