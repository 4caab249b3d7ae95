//! Notifications by Cloud Tasks: a fake of its REST interface that keeps the requests it gets, and fails as told. (The
//! client tests show on Firebase's emulator what becomes of notifications.)

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use document_store::fields;
use document_store::{DocPath, Timestamp, Write};
use functions_runtime::tasks::TASKS;
use functions_runtime::{CloudOptions, NewTask, TaskQueue};
use parking_lot::Mutex;
use serde_json::{Value as Json, json};
use tokio::sync::watch;

use crate::support::world::{Step, Work};
use crate::support::{Setup, TestServer};

const PARENT: &str = "projects/demo/locations/us-central1";

/// The requests that came, and the statuses of the next answers; 200 when there are none.
#[derive(Clone, Default)]
struct Fake {
    asked: Arc<watch::Sender<Vec<(String, Json)>>>,
    answers: Arc<Mutex<VecDeque<u16>>>,
}

impl Fake {
    async fn serve(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let router = Router::new().fallback(create).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        host
    }

    /// Waits for that many requests.
    async fn until(&self, count: usize) -> Vec<(String, Json)> {
        let mut asked = self.asked.subscribe();
        let has_all = asked.wait_for(|asked| asked.len() >= count);
        let waited = tokio::time::timeout(Duration::from_secs(20), has_all).await.is_ok();
        assert!(waited, "only {:?}", self.asked.borrow());
        self.asked.borrow().clone()
    }
}

async fn create(State(fake): State<Fake>, uri: Uri, body: String) -> (StatusCode, String) {
    let request = (uri.path().to_owned(), serde_json::from_str(&body).unwrap_or_default());
    fake.asked.send_modify(|asked| asked.push(request));
    let status = fake.answers.lock().pop_front().unwrap_or(200);
    (StatusCode::from_u16(status).unwrap(), "{}".to_owned())
}

async fn server(fake: &Fake, sweep: Duration, caller: Option<(String, String)>) -> TestServer {
    let options = CloudOptions {
        parent: PARENT.to_owned(),
        emulator: Some(fake.serve().await),
        target: "https://service.example/".parse().unwrap(),
        caller,
        sweep,
    };
    TestServer::with(Setup { cloud_tasks: Some(options), ..Setup::new() }).await
}

fn task(id: &str) -> NewTask {
    NewTask::new(id, &Work::new("first"))
}

const NEVER: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_notification_says_all_that_a_call_needs() {
    let fake = Fake::default();
    let caller = Some(("tasks@demo.iam.gserviceaccount.com".to_owned(), "https://service.example".to_owned()));
    let server = server(&fake, NEVER, caller).await;
    let remote = server.remote.clone().unwrap();
    remote.announce(vec![task("a"), task("a")]);
    let asked = fake.until(2).await;
    let (path, notification) = &asked[0];
    assert_eq!(path, &format!("/{PARENT}/queues/work/tasks"));
    let request = &notification["task"]["httpRequest"];
    assert_eq!(
        (&request["url"], &request["httpMethod"]),
        (&json!("https://service.example/tasks/work"), &json!("POST"))
    );
    assert_eq!(request["oidcToken"]["serviceAccountEmail"], "tasks@demo.iam.gserviceaccount.com");
    assert_eq!(request["oidcToken"]["audience"], "https://service.example");
    let body: Json = serde_json::from_slice(&STANDARD.decode(request["body"].as_str().unwrap()).unwrap()).unwrap();
    assert_eq!(body, json!({"data": {"id": "a"}}));
    // The function's own limit, and half a minute for the way.
    assert_eq!(notification["task"]["dispatchDeadline"], "50s");
    let name = |n: usize| asked[n].1["task"]["name"].as_str().unwrap().to_owned();
    assert!(name(0).starts_with(&format!("{PARENT}/queues/work/tasks/")));
    assert_ne!(name(0), name(1), "handed in again, a task needs another notification");
}

#[tokio::test]
async fn a_notification_that_is_not_taken_is_sent_again_under_the_same_name() {
    let fake = Fake::default();
    fake.answers.lock().extend([503, 429, 500, 409]);
    let server = server(&fake, NEVER, None).await;
    let remote = server.remote.clone().unwrap();
    remote.announce(vec![task("a")]);
    let asked = fake.until(4).await;
    let names: Vec<_> = asked.iter().map(|(_, notification)| notification["task"]["name"].clone()).collect();
    assert!(names.iter().all(|name| *name == names[0]), "{names:?}");
    // One that's refused for good holds nothing up; and what conflicts was taken.
    fake.answers.lock().extend([404]);
    remote.announce(vec![task("b")]);
    fake.until(5).await;
    remote.announce(vec![task("c")]);
    let asked = fake.until(6).await;
    assert_eq!(asked.len(), 6);
    assert_eq!(asked[5].1["task"]["httpRequest"]["oidcToken"], Json::Null);
}

#[tokio::test]
async fn a_task_that_wants_to_run_later_is_scheduled_and_not_refused() {
    let fake = Fake::default();
    let server = server(&fake, NEVER, None).await;
    let remote = server.remote.clone().unwrap();
    server.world.script("a", [Step::Later(Duration::from_secs(90)), Step::Commit]);
    server.world.database.commit(vec![remote.enlist(&task("a"))]).await.unwrap();
    let ask = async || server.post("/tasks/work").json(&json!({"data": {"id": "a"}})).send().await.unwrap().status();
    assert_eq!(ask().await, 204);
    let asked = fake.until(1).await;
    let at: Timestamp = asked[0].1["task"]["scheduleTime"].as_str().unwrap().parse().unwrap();
    assert_eq!(at.duration_since(server.now()).as_secs(), 90);
    assert_eq!(ask().await, 204);
    assert_eq!(server.world.noted(), ["a first", "a first"]);
    // Gone: a late notification is answered the same.
    assert_eq!(ask().await, 204);
    assert_eq!(fake.asked.borrow().len(), 1);
}

#[tokio::test]
async fn failures_are_refused_so_that_the_queue_tries_again() {
    let fake = Fake::default();
    let server = server(&fake, NEVER, None).await;
    let remote = server.remote.clone().unwrap();
    server.world.script("a", [Step::Transient, Step::Panic, Step::Commit]);
    server.world.database.commit(vec![remote.enlist(&task("a"))]).await.unwrap();
    for (retries, expected) in [("0", 500), ("1", 500), ("2", 204)] {
        let request = server.post("/tasks/work").header("X-CloudTasks-TaskRetryCount", retries);
        let answer = request.json(&json!({"data": {"id": "a"}})).send().await.unwrap();
        assert_eq!(answer.status(), expected);
    }
    assert_eq!(server.world.attempts(), [1, 2, 3], "the queue's count of retries is the task's");
}

#[tokio::test]
async fn a_task_handed_in_anew_while_it_runs_runs_again() {
    let fake = Fake::default();
    let server = server(&fake, NEVER, None).await;
    let remote = server.remote.clone().unwrap();
    server.world.script("a", [Step::Hold]);
    server.world.database.commit(vec![remote.enlist(&task("a"))]).await.unwrap();
    let request = server.post("/tasks/work").json(&json!({"data": {"id": "a"}})).send();
    let running = tokio::spawn(request);
    server.world.until("a first").await;
    // Another instance hands the same task in, and knows nothing of this one.
    server.world.database.commit(vec![remote.enlist(&task("a"))]).await.unwrap();
    server.world.gate.add_permits(1);
    assert_eq!(running.await.unwrap().unwrap().status(), 204);
    let path = DocPath::in_collection(TASKS, "a").unwrap();
    assert!(server.world.database.get(&path).await.unwrap().is_some(), "it's still to be done");
    assert_eq!(fake.until(1).await.len(), 1, "and somebody will be notified");
}

#[tokio::test]
async fn tasks_that_nobody_was_notified_of_are_found() {
    let fake = Fake::default();
    let server = server(&fake, Duration::from_millis(50), None).await;
    let old = |id: &str, at: &str| {
        let at: Timestamp = at.parse().unwrap();
        let task = fields! { "function" => "work", "payload" => fields! {"text" => "first"}, "createdAt" => at };
        Write::set(DocPath::in_collection(TASKS, id).unwrap(), task)
    };
    let later = (server.now() + jiff::SignedDuration::from_hours(1)).to_string();
    server.world.database.commit(vec![old("old", "2020-01-01T00:00:00Z"), old("new", &later)]).await.unwrap();
    let asked = fake.until(2).await;
    for (_, notification) in asked {
        let body = STANDARD.decode(notification["task"]["httpRequest"]["body"].as_str().unwrap()).unwrap();
        assert_eq!(serde_json::from_slice::<Json>(&body).unwrap()["data"]["id"], "old");
    }
}
