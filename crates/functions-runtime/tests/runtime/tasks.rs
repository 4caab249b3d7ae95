//! The task queue: order, retries, waiting, crashes, and the way in for remote queues.

use std::sync::Arc;
use std::time::Duration;

use document_store::fields;
use document_store::{DocPath, Write};
use functions_runtime::tasks::TASKS;
use functions_runtime::{NewTask, TaskQueue};
use serde_json::{Value, json};

use crate::support::world::service;
use crate::support::world::{Step, Work, answer, error};
use crate::support::{Memory, Setup, TestServer};

const HOUR: Duration = Duration::from_secs(3600);

fn task(id: &str) -> NewTask {
    NewTask::new(id, &Work::new("first"))
}

/// Commits the tasks' documents; nobody is told.
async fn enlist(server: &TestServer, ids: &[&str]) {
    let writes = ids.iter().map(|id| server.queue.enlist(&task(id))).collect();
    server.world.database.commit(writes).await.unwrap();
}

async fn hand_in(server: &TestServer, ids: &[&str]) {
    enlist(server, ids).await;
    server.queue.announce(ids.iter().map(|id| task(id)).collect());
}

async fn idle(server: &TestServer) {
    tokio::time::timeout(Duration::from_secs(10), server.queue.idle()).await.expect("the queue should be idle");
}

async fn one_at_a_time(memory: &Memory) -> TestServer {
    TestServer::with(Setup { memory: memory.clone(), concurrency: 1, ..Setup::new() }).await
}

#[tokio::test]
async fn tasks_run_in_order_and_leave_nothing() {
    let memory = Memory::default();
    let server = one_at_a_time(&memory).await;
    server.world.script("b", [Step::Commit]);
    hand_in(&server, &["c", "a", "b"]).await;
    idle(&server).await;
    assert_eq!(server.world.noted(), ["c first", "a first", "b first"]);
    assert_eq!((memory.ids(), server.queue.pending()), (vec![], 0));
    // Two were removed by the queue, one by its handler; no attempt needed a read.
    let costs = server.runtime.costs()["work"];
    assert_eq!((costs.runs, costs.cost.reads, costs.cost.deletes), (3, 0, 3));
}

#[tokio::test]
async fn a_task_that_fails_is_tried_again_until_it_succeeds() {
    let memory = Memory::default();
    let server = one_at_a_time(&memory).await;
    server.world.script("a", [Step::Transient, Step::Panic, Step::Transient, Step::Commit]);
    hand_in(&server, &["a"]).await;
    idle(&server).await;
    assert_eq!(server.world.noted(), ["a first"; 4]);
    assert_eq!(memory.ids(), [""; 0]);
    let metrics = server.runtime.metrics().render();
    for (outcome, count) in [("ok", 1), ("transient", 2), ("panic", 1)] {
        let line = format!("function_tasks_total{{outcome=\"{outcome}\",function=\"work\"}} {count}");
        assert!(metrics.contains(&line), "{metrics}");
    }
}

#[tokio::test]
async fn a_task_that_cannot_be_done_is_given_up() {
    let memory = Memory::default();
    let server = one_at_a_time(&memory).await;
    server.world.script("a", [Step::Permanent]);
    hand_in(&server, &["a"]).await;
    idle(&server).await;
    assert_eq!((server.world.noted(), memory.ids()), (vec!["a first".to_owned()], vec![]));
}

#[tokio::test]
async fn a_further_attempt_sees_how_far_the_last_one_got() {
    let memory = Memory::default();
    let server = one_at_a_time(&memory).await;
    server.world.script("a", [Step::Advance("second"), Step::Advance("third")]);
    hand_in(&server, &["a"]).await;
    idle(&server).await;
    assert_eq!(server.world.noted(), ["a first", "a second", "a third"]);
}

#[tokio::test]
async fn a_later_task_waits_until_it_is_woken() {
    let memory = Memory::default();
    let server = one_at_a_time(&memory).await;
    server.world.script("a", [Step::Later(HOUR), Step::Later(Duration::from_millis(1)), Step::Commit]);
    hand_in(&server, &["a", "b"]).await;
    server.world.until("b first").await;
    assert_eq!(server.queue.pending(), 1);
    server.queue.wake("work", "nothing");
    server.queue.wake("work", "a");
    idle(&server).await;
    assert_eq!(server.world.noted(), ["a first", "b first", "a first", "a first"]);
}

#[tokio::test]
async fn no_more_tasks_run_at_once_than_allowed_and_none_twice() {
    let server = TestServer::with(Setup { concurrency: 3, ..Setup::new() }).await;
    let ids: Vec<_> = (0..8).map(|number| format!("t{number}")).collect();
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    for id in &ids {
        server.world.script(id, [Step::Hold]);
    }
    hand_in(&server, &ids).await;
    server.world.until("t2 first").await;
    // The same tasks again, while some of them run.
    server.queue.announce(ids.iter().map(|id| task(id)).collect());
    tokio::task::yield_now().await;
    assert_eq!(server.runtime.running(), 3);
    assert_eq!(server.world.noted().len(), 3);
    server.world.gate.add_permits(8);
    idle(&server).await;
    let mut let_go: Vec<_> = server.world.noted().into_iter().filter(|noted| noted.ends_with("let go")).collect();
    let_go.sort();
    assert_eq!(let_go, ids.iter().map(|id| format!("{id} let go")).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_task_handed_in_anew_while_it_runs_runs_once_more() {
    let memory = Memory::default();
    let server = one_at_a_time(&memory).await;
    server.world.script("a", [Step::Hold]);
    hand_in(&server, &["a"]).await;
    server.world.until("a first").await;
    let renewed = NewTask::new("a", &Work::new("renewed"));
    server.world.database.commit(vec![server.queue.enlist(&renewed)]).await.unwrap();
    server.queue.announce(vec![renewed]);
    server.world.gate.add_permits(1);
    idle(&server).await;
    assert_eq!(server.world.noted(), ["a first", "a let go", "a renewed"]);
    assert_eq!(memory.ids(), [""; 0]);
}

#[tokio::test]
async fn tasks_that_a_crash_left_are_run_at_the_next_start() {
    let memory = Memory::default();
    let ids: Vec<_> = (0..450).map(|number| format!("t{number:03}")).collect();
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    {
        // Enlisted, announced to a queue that never ran them.
        let server = TestServer::without_queue(Setup { memory: memory.clone(), ..Setup::new() }).await;
        hand_in(&server, &ids).await;
    }
    assert_eq!(memory.ids().len(), 450);
    let server = TestServer::with(Setup { memory: memory.clone(), ..Setup::new() }).await;
    idle(&server).await;
    assert_eq!((memory.ids(), server.world.noted().len()), (vec![], 450));
    assert_eq!(server.runtime.costs()["work"].runs, 450);
}

#[tokio::test]
async fn more_tasks_than_there_is_room_for_are_all_run() {
    let memory = Memory::default();
    let server = TestServer::without_queue(Setup { memory: memory.clone(), ..Setup::new() }).await;
    let ids: Vec<_> = (0..2500).map(|number| format!("t{number:04}")).collect();
    hand_in(&server, &ids.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert!(server.queue.pending() < 1100, "memory should be bounded");
    server.queue.start(Arc::new(server.runtime.clone()));
    idle(&server).await;
    assert_eq!(memory.ids(), [""; 0]);
    let mut noted = server.world.noted();
    noted.sort();
    assert_eq!(noted, ids.iter().map(|id| format!("{id} first")).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_store_that_is_down_delays_tasks_and_loses_none() {
    let memory = Memory::default();
    let left = TestServer::without_queue(Setup { memory: memory.clone(), ..Setup::new() }).await;
    enlist(&left, &["a", "b"]).await;
    memory.set_down(true);
    let server = one_at_a_time(&memory).await;
    // This one runs, but can't be removed.
    server.queue.announce(vec![task("c")]);
    server.world.until("c first").await;
    memory.set_down(false);
    idle(&server).await;
    assert_eq!(memory.ids(), [""; 0]);
    assert!(server.world.noted().contains(&"a first".to_owned()));
    assert!(server.world.noted().contains(&"b first".to_owned()));
}

#[tokio::test]
async fn what_this_version_cannot_run_stays_for_one_that_can() {
    let memory = Memory::default();
    let unknown = fields! {"function" => "newer", "payload" => fields! {}};
    let strange = fields! {"what" => "ever"};
    let write = |id: &str, fields| Write::set(DocPath::in_collection(TASKS, id).unwrap(), fields);
    memory.database().commit(vec![write("a", unknown), write("b", strange)]).await.unwrap();
    let server = one_at_a_time(&memory).await;
    hand_in(&server, &["c"]).await;
    idle(&server).await;
    assert_eq!((memory.ids(), server.world.noted()), (vec!["a".into(), "b".into()], vec!["c first".to_owned()]));
}

#[tokio::test]
async fn a_payload_that_cannot_be_read_is_given_up_and_one_of_a_newer_version_waits() {
    let memory = Memory::default();
    let malformed = fields! {"function" => "work", "payload" => fields! {"text" => 3}};
    let newer = fields! {"function" => "work", "payload" => fields! {"text" => "newer"}, "version" => 2};
    let first = fields! {"function" => "work", "payload" => fields! {"text" => "older"}};
    let write = |id: &str, fields| Write::set(DocPath::in_collection(TASKS, id).unwrap(), fields);
    let writes = vec![write("a", malformed), write("b", newer), write("c", first)];
    memory.database().commit(writes).await.unwrap();
    let server = one_at_a_time(&memory).await;
    server.world.until("c older").await;
    while memory.ids() != ["b"] || server.runtime.metrics().render().matches("outcome=\"permanent\"").count() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.world.noted(), ["c older"]);
}

#[tokio::test]
async fn an_id_that_no_document_can_have_works_too() {
    let memory = Memory::default();
    let server = one_at_a_time(&memory).await;
    for id in ["", "a/b", "..", "__x__"] {
        hand_in(&server, &[id]).await;
        assert_eq!(server.queue.enlist(&task(id)).path.id().len(), 64);
    }
    idle(&server).await;
    assert_eq!((memory.ids(), server.world.noted().len()), (vec![], 4));
}

/// What Cloud Tasks asks with.
fn asked(server: &TestServer, token: &str, queue: &str, body: Value) -> reqwest::RequestBuilder {
    server.post(&format!("/tasks/{queue}")).bearer_auth(token).json(&body)
}

async fn post(server: &TestServer, token: &str, queue: &str, body: Value) -> (u16, String) {
    let response = asked(server, token, queue, body).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test]
async fn a_remote_queue_runs_tasks_by_id() {
    let memory = Memory::default();
    let (deliveries, token, _keys) = service().await;
    let server = TestServer::without_queue(Setup { memory: memory.clone(), deliveries, ..Setup::new() }).await;
    enlist(&server, &["a", "b"]).await;
    let ask = |id: &'static str| post(&server, &token, "work", json!({"data": {"id": id}}));
    assert_eq!(ask("a").await, (204, String::new()));
    assert_eq!(memory.ids(), ["b"]);
    // Done before, or never heard of: nothing is left to do.
    assert_eq!(ask("a").await, (204, String::new()));
    server.world.script("b", [Step::Transient, Step::Later(Duration::from_secs(7)), Step::Permanent]);
    assert_eq!(ask("b").await, (503, error("UNAVAILABLE", "The task failed").to_string()));
    let response = asked(&server, &token, "WORK", json!({"data": {"id": "b"}})).send().await.unwrap();
    assert_eq!(response.headers()["retry-after"], "7");
    assert_eq!(answer(response).await, (503, error("UNAVAILABLE", "The task isn't done yet")));
    assert_eq!(server.queue.pending(), 0, "remembering is the remote queue's business");
    assert_eq!(ask("b").await, (204, String::new()));
    assert_eq!(memory.ids(), [""; 0]);
    assert_eq!(server.world.noted(), ["a first", "b first", "b first", "b first"]);
}

#[tokio::test]
async fn a_remote_queue_cannot_run_a_task_twice_at_once() {
    let memory = Memory::default();
    let (deliveries, token, _keys) = service().await;
    let server = TestServer::without_queue(Setup { memory: memory.clone(), deliveries, ..Setup::new() }).await;
    enlist(&server, &["a"]).await;
    server.world.script("a", [Step::Hold]);
    let body = json!({"data": {"id": "a"}});
    let (first, second) = tokio::join!(post(&server, &token, "work", body.clone()), async {
        server.world.until("a first").await;
        let second = post(&server, &token, "work", body.clone()).await;
        server.world.gate.add_permits(1);
        second
    });
    assert_eq!(first.0, 204);
    assert_eq!(second, (409, error("ABORTED", "The task is running").to_string()));
    assert_eq!(server.world.noted(), ["a first", "a let go"]);
}

#[tokio::test]
async fn requests_for_tasks_keep_the_callables_rules() {
    let (deliveries, token, _keys) = service().await;
    let server = TestServer::with(Setup { deliveries, ..Setup::new() }).await;
    let bad = (400, error("INVALID_ARGUMENT", "Bad Request").to_string());
    for body in [json!({}), json!({"data": {}}), json!({"data": {"id": 1}}), json!({"data": {"id": "a"}, "x": 1})] {
        assert_eq!(post(&server, &token, "work", body).await, bad);
    }
    let unknown = (404, error("NOT_FOUND", "There is no such queue").to_string());
    for queue in ["nothing", "echoBack", "onWritten"] {
        assert_eq!(post(&server, &token, queue, json!({"data": {"id": "a"}})).await, unknown);
    }
    assert_eq!(server.world.noted(), [""; 0]);
}
