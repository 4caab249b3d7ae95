//! Functions whose behaviour each test scripts, and the server that runs them.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use document_store::Database;
use document_store::backoff::Backoff;
use document_store::context::{Clock as _, Context, CountingIds, ManualClock, SystemRandom};
use functions_runtime::auth::{AppCheck, Callers, Deliveries, IdTokens, KeySource, ServiceTokens};
use functions_runtime::budget::Budgets;
use functions_runtime::limits::SignedOut;
use functions_runtime::sign_in::SignInRules;
use functions_runtime::{
    Call, Capacity, CloudOptions, CloudTasks, DatabaseName, DocumentEvent, DocumentEventType, Function, FunctionError,
    HandlerError, Job, LocalOnly, LocalQueue, Options, QueueOptions, RemoteQueue, Runtime, Server, ServerOptions,
    Status, Task, TaskOutcome,
};
use jiff::Timestamp;
use parking_lot::Mutex;
use reqwest::{Client, RequestBuilder, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::JoinHandle;

use super::{KeyServer, Memory, SigningKey};

/// When all tests happen.
pub const NOW: i64 = 1_750_000_000;
/// The project of callers.
pub const PROJECT: &str = "demo-admin";

/// The handlers' state: what they did, and what they are to do.
#[derive(Clone)]
pub struct World {
    /// What happened, in order. Tests wait for its changes.
    pub log: Arc<watch::Sender<Vec<String>>>,
    pub gate: Arc<Semaphore>,
    pub script: Arc<Mutex<HashMap<String, VecDeque<Step>>>>,
    pub database: Database,
    /// The numbers of the attempts at tasks.
    pub attempts: Arc<Mutex<Vec<u32>>>,
}

/// What a task's handler is to do at an attempt. Without a step it answers `Finished`.
pub enum Step {
    Transient,
    Permanent,
    Panic,
    Later(Duration),
    Advance(&'static str),
    Commit,
    Hold,
}

impl World {
    pub fn note(&self, what: impl Into<String>) {
        let what = what.into();
        self.log.send_modify(|log| log.push(what));
    }

    pub fn noted(&self) -> Vec<String> {
        self.log.borrow().clone()
    }

    pub fn attempts(&self) -> Vec<u32> {
        self.attempts.lock().clone()
    }

    pub fn script(&self, id: &str, steps: impl IntoIterator<Item = Step>) {
        self.script.lock().insert(id.to_owned(), steps.into_iter().collect());
    }

    /// Waits until the log has that entry.
    pub async fn until(&self, entry: &str) {
        self.until_times(entry, 1).await;
    }

    /// Waits until the log has that entry so many times.
    pub async fn until_times(&self, entry: &str, times: usize) {
        let mut log = self.log.subscribe();
        let found = log.wait_for(|log| log.iter().filter(|noted| *noted == entry).count() >= times);
        let waited = tokio::time::timeout(Duration::from_secs(10), found).await.is_ok();
        assert!(waited, "{entry} isn't {times} times in {:?}", self.noted());
    }
}

async fn echo(world: World, call: Call) -> Result<Value, FunctionError> {
    world.note("echo");
    Ok(json!({"data": call.data, "uid": call.caller.map(|caller| caller.uid), "app": call.app_id}))
}

async fn fail(world: World, call: Call) -> Result<Value, FunctionError> {
    world.note("fail");
    let status = ALL_STATUSES[call.data["status"].as_u64().unwrap_or_default() as usize].0;
    let error = FunctionError::new(status, "as told");
    Err(match call.data.get("details") {
        Some(details) => error.with_details(details.clone()),
        None => error,
    })
}

/// Every status with its name and its HTTP code, as the protocol's table has them.
pub const ALL_STATUSES: [(Status, &str, u16); 16] = [
    (Status::Cancelled, "CANCELLED", 499),
    (Status::Unknown, "UNKNOWN", 500),
    (Status::InvalidArgument, "INVALID_ARGUMENT", 400),
    (Status::DeadlineExceeded, "DEADLINE_EXCEEDED", 504),
    (Status::NotFound, "NOT_FOUND", 404),
    (Status::AlreadyExists, "ALREADY_EXISTS", 409),
    (Status::PermissionDenied, "PERMISSION_DENIED", 403),
    (Status::Unauthenticated, "UNAUTHENTICATED", 401),
    (Status::ResourceExhausted, "RESOURCE_EXHAUSTED", 429),
    (Status::FailedPrecondition, "FAILED_PRECONDITION", 400),
    (Status::Aborted, "ABORTED", 409),
    (Status::OutOfRange, "OUT_OF_RANGE", 400),
    (Status::Unimplemented, "UNIMPLEMENTED", 501),
    (Status::Internal, "INTERNAL", 500),
    (Status::Unavailable, "UNAVAILABLE", 503),
    (Status::DataLoss, "DATA_LOSS", 500),
];

/// Says each item of the payload, then how many were heard.
async fn recite(_: World, call: Call) -> Result<Value, FunctionError> {
    let mut heard = 0;
    for item in call.data.as_array().into_iter().flatten() {
        heard += u64::from(call.chunks.send(item.clone()).await);
    }
    Ok(json!({ "heard": heard }))
}

/// Reads as many documents as the payload says; the caller `admin` looks after others.
async fn read(world: World, call: Call) -> Result<Value, FunctionError> {
    call.allowance.set(call.caller.is_some_and(|caller| caller.uid == "admin"));
    let path = document_store::DocPath::new("users/u1").expect("a path");
    for _ in 0..call.data.as_u64().unwrap_or_default() {
        world.database.get(&path).await?;
    }
    match call.data.is_null() {
        true => panic!("as told"),
        false => Ok(json!("read")),
    }
}

async fn hold(world: World, _: Call) -> Result<Value, FunctionError> {
    world.note("held");
    world.gate.acquire().await.unwrap().forget();
    world.note("let go");
    Ok(json!("held"))
}

/// Does what the document's `mode` says.
async fn on_user(world: World, event: DocumentEvent) -> Result<(), HandlerError> {
    world.note(format!("{:?} {}", event.change.kind().unwrap(), event.param("id")));
    let side = event.change.after.as_ref().or(event.change.before.as_ref()).unwrap();
    match side.fields.get("mode").and_then(|mode| mode.as_str()) {
        Some("transient") => Err(HandlerError::Transient("not now".to_owned())),
        Some("permanent") => Err(HandlerError::Permanent("never".to_owned())),
        Some("panic") => panic!("as told"),
        Some("slow") => std::future::pending().await,
        Some("cost") => {
            world.database.get(&event.change.path).await?;
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The job of the tasks of these tests: notes its text, and does what the script says.
#[derive(Default, Serialize, Deserialize)]
pub struct Work {
    #[serde(flatten)]
    progress: Noted,
}

#[derive(Default, Serialize, Deserialize)]
pub struct Noted {
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

impl Work {
    pub fn new(text: &str) -> Work {
        Work { progress: Noted { text: Some(text.to_owned()) } }
    }
}

impl Job for Work {
    const FUNCTION: &'static str = "work";
    type Progress = Noted;
}

async fn work(world: World, task: Task<Work>) -> Result<TaskOutcome, HandlerError> {
    let text = task.payload.progress.text.as_deref().unwrap_or("-");
    world.note(format!("{} {text}", task.id));
    world.attempts.lock().push(task.attempt);
    let step = world.script.lock().get_mut(&task.id).and_then(VecDeque::pop_front);
    match step {
        None => Ok(TaskOutcome::Finished),
        Some(Step::Transient) => Err(HandlerError::Transient("not now".to_owned())),
        Some(Step::Permanent) => Err(HandlerError::Permanent("never".to_owned())),
        Some(Step::Panic) => panic!("as told"),
        Some(Step::Later(delay)) => Ok(TaskOutcome::Later(delay)),
        Some(Step::Advance(text)) => {
            world.database.commit(vec![task.advance(&Noted { text: Some(text.to_owned()) })]).await?;
            Err(HandlerError::Transient("half-way".to_owned()))
        }
        Some(Step::Commit) => {
            world.database.commit(vec![task.done()]).await?;
            Ok(TaskOutcome::Committed)
        }
        Some(Step::Hold) => {
            world.gate.acquire().await.unwrap().forget();
            world.note(format!("{} let go", task.id));
            Ok(TaskOutcome::Finished)
        }
    }
}

pub fn table() -> Vec<Function<World>> {
    let mut small = Function::callable("small", "takes little", echo);
    small.body_limit = 64;
    let on = |event, name| Function::on_document("admin", event, "users/{id}", name, "notes", on_user);
    vec![
        Function::callable("echoBack", "answers what it got", echo).with_aliases(&["oldEcho"]),
        Function::callable("fail", "fails as told", fail),
        Function::callable("crash", "panics", |_: World, _| async { panic!("as told") }),
        Function::callable("slow", "never ends", |world: World, _| async move {
            world.note("slow");
            std::future::pending().await
        })
        .with_timeout(Duration::from_millis(30)),
        Function::callable("recite", "says what it is told", recite),
        Function::callable("hold", "waits", hold),
        Function::callable("read", "reads", read),
        Function::callable("readAll", "reads, whatever it costs", read).without_budget(),
        Function::callable("grant", "echoes to who has just signed in", echo).privileged(),
        small,
        Function::callable("strict", "echoes, once a minute", echo).with_signed_out_limit(NonZeroU32::MIN),
        on(DocumentEventType::Written, "onWritten").with_timeout(Duration::from_millis(200)),
        on(DocumentEventType::Created, "onCreated"),
        on(DocumentEventType::Updated, "onUpdated"),
        on(DocumentEventType::Deleted, "onDeleted"),
        Function::task("works", work).with_timeout(Duration::from_secs(20)),
    ]
}

/// How a test's server differs from the usual one.
pub struct Setup {
    pub memory: Memory,
    pub callers: Callers,
    pub deliveries: Deliveries,
    pub heartbeat: Duration,
    pub concurrency: usize,
    pub grace: Duration,
    pub capacity: Capacity,
    pub metrics_are_local: bool,
    /// Whom it answers, if not everybody.
    pub local: Option<LocalOnly>,
    /// The Cloud Tasks that notifies the server of tasks; `None` where the server's own queue does.
    pub cloud_tasks: Option<CloudOptions>,
}

/// The claims of an ID token that a user got a minute ago, without those that a token may lack.
pub fn id_claims(uid: &str) -> Value {
    json!({
        "iss": format!("https://securetoken.google.com/{PROJECT}"),
        "aud": PROJECT,
        "sub": uid,
        "iat": NOW - 60,
        "exp": NOW + 3540,
    })
}

impl Setup {
    /// Unsigned tokens, no App Check, any number of calls, open deliveries.
    pub fn new() -> Self {
        Setup {
            memory: Memory::default(),
            callers: Callers {
                id_tokens: IdTokens {
                    projects: vec![PROJECT.to_owned()],
                    keys: KeySource::new("http://127.0.0.1:9/none", http()),
                    allow_unsigned: true,
                    development: None,
                },
                app_check: AppCheck::Off,
                signed_out: SignedOut::unlimited(),
                budgets: Budgets::unlimited(),
                sign_in: SignInRules::default(),
            },
            deliveries: Deliveries::Open,
            heartbeat: Duration::from_secs(30),
            concurrency: 4,
            grace: Duration::from_secs(10),
            capacity: Capacity::default(),
            metrics_are_local: false,
            local: None,
            cloud_tasks: None,
        }
    }
}

pub fn http() -> Client {
    Client::builder().timeout(Duration::from_secs(20)).build().unwrap()
}

/// Deliveries that need the token of Google's services, the token, and the server of its key.
pub async fn service() -> (Deliveries, String, KeyServer) {
    let key = SigningKey::new("service");
    let server = KeyServer::start(&[&key]).await;
    let (audience, account) = ("https://functions.example", "queues@demo-admin.iam.gserviceaccount.com");
    let token = key.sign(&json!({
        "iss": "https://accounts.google.com", "aud": audience, "sub": "1", "email": account, "email_verified": true,
        "iat": NOW - 10, "exp": NOW + 3590,
    }));
    let tokens = ServiceTokens {
        audiences: vec![audience.to_owned()],
        accounts: vec![account.to_owned()],
        keys: KeySource::new(&server.url, http()),
    };
    (Deliveries::Service(tokens), token, server)
}

/// A server that runs.
pub struct TestServer {
    pub url: String,
    pub http: Client,
    pub world: World,
    pub runtime: Runtime<World>,
    pub queue: Arc<LocalQueue>,
    pub remote: Option<Arc<RemoteQueue>>,
    pub clock: Arc<ManualClock>,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<std::io::Result<bool>>,
}

impl TestServer {
    pub async fn start() -> Self {
        TestServer::with(Setup::new()).await
    }

    pub async fn with(setup: Setup) -> Self {
        let server = TestServer::without_queue(setup).await;
        match &server.remote {
            Some(remote) => remote.start(),
            None => server.queue.start(Arc::new(server.runtime.clone())),
        }
        server
    }

    /// A server whose queue isn't started.
    pub async fn without_queue(setup: Setup) -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_second(NOW).unwrap()));
        let database = setup.memory.database();
        let world = World {
            log: Arc::default(),
            gate: Arc::new(Semaphore::new(0)),
            script: Arc::default(),
            database: database.clone(),
            attempts: Arc::default(),
        };
        let name = |project: &str| DatabaseName { project: project.to_owned(), database: "(default)".to_owned() };
        let context =
            Context { clock: clock.clone(), ids: Arc::new(CountingIds::default()), random: Arc::new(SystemRandom) };
        let options = Options {
            context: context.clone(),
            callers: setup.callers,
            deliveries: setup.deliveries,
            databases: BTreeMap::from([("admin".to_owned(), name(PROJECT))]),
            heartbeat: setup.heartbeat,
            capacity: setup.capacity,
        };
        let runtime = Runtime::new(table(), world.clone(), options).unwrap();
        let backoff = Backoff::new(Duration::from_millis(2), Duration::from_millis(4));
        let queue = LocalQueue::new(database.clone(), QueueOptions { concurrency: setup.concurrency, backoff });
        let remote = match setup.cloud_tasks {
            Some(cloud) => {
                let (cloud, context) = (CloudTasks::open(cloud).await.unwrap(), context.clone());
                Some(RemoteQueue::new(cloud, database.clone(), context, queue.clone(), &table()))
            }
            None => None,
        };
        let options = ServerOptions {
            databases: vec![database],
            queue: queue.clone(),
            remote: remote.clone(),
            grace: setup.grace,
        };
        let server = Server::bind("127.0.0.1:0".parse().unwrap(), runtime.clone(), options).await.unwrap();
        let server = if setup.metrics_are_local { server.with_local_metrics() } else { server };
        let server = match setup.local {
            Some(local) => server.for_this_machine_only(local),
            None => server,
        };
        let url = format!("http://{}", server.address().unwrap());
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        TestServer { url, http: http(), world, runtime, queue, remote, clock, stop: Some(stop), served }
    }

    pub fn post(&self, path: &str) -> RequestBuilder {
        self.http.post(format!("{}{path}", self.url))
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Calls a function with a payload.
    pub async fn call(&self, path: &str, data: Value) -> Response {
        self.post(path).json(&json!({ "data": data })).send().await.unwrap()
    }

    pub fn ask_to_stop(&mut self) {
        drop(self.stop.take());
    }

    /// Waits for the end of a server that was asked to stop.
    pub async fn stopped(self) -> bool {
        self.served.await.unwrap().unwrap()
    }
}

/// Status and JSON body of a response.
pub async fn answer(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    (status, response.json().await.unwrap())
}

/// The envelope of an error without details.
pub fn error(status: &str, message: &str) -> Value {
    json!({"error": {"message": message, "status": status}})
}
