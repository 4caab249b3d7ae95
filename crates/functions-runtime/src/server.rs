//! The HTTP server: routes, readiness and graceful shutdown.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::connections::{self, Timeouts};
use super::engine::Runtime;
use super::local::{self, LocalOnly};
use super::observe::samples;
use super::tasks::{LocalQueue, RemoteQueue};
use super::{callable, events, tasks};
use document_store::Database;

/// How long a store may take to answer a ping.
const PING_LIMIT: Duration = Duration::from_secs(5);
/// How often metrics are folded, and limits forgotten that no longer matter.
const UPKEEP: Duration = Duration::from_secs(30);
/// How often the process's memory is measured.
const LOOK: Duration = Duration::from_millis(50);

/// What a server needs besides its runtime.
pub struct ServerOptions {
    /// The databases that must answer before the server is ready.
    pub databases: Vec<Database>,
    /// The queue that must run before the server is ready, and that runs the tasks of `/tasks`.
    pub queue: Arc<LocalQueue>,
    /// The queue that notifies the service's instances of tasks; `None` when this process alone runs its tasks.
    pub remote: Option<Arc<RemoteQueue>>,
    /// How long running functions may go on after a stop was asked for.
    pub grace: Duration,
}

/// A bound server.
pub struct Server<S> {
    listener: TcpListener,
    runtime: Runtime<S>,
    options: ServerOptions,
    extra: Router,
    metrics_are_local: bool,
    local: Option<LocalOnly>,
}

#[derive(Clone)]
struct Readiness {
    databases: Arc<[Database]>,
    queue: Arc<LocalQueue>,
    is_remote: bool,
    stopping: Arc<AtomicBool>,
}

impl<S: Clone + Send + Sync + 'static> Server<S> {
    /// Binds the address; from then on, connections are queued until [`Server::run`].
    pub async fn bind(address: SocketAddr, runtime: Runtime<S>, options: ServerOptions) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Server { listener, runtime, options, extra: Router::new(), metrics_are_local: false, local: None })
    }

    /// The same server with further routes. None of them may be one of the server's own.
    pub fn with_routes(mut self, routes: Router) -> Self {
        self.extra = self.extra.merge(routes);
        self
    }

    /// The same server, which shows its metrics only to clients on this machine that come without a proxy.
    pub fn with_local_metrics(mut self) -> Self {
        self.metrics_are_local = true;
        self
    }

    /// The same server, which answers only requests from this machine: for servers that accept development tokens.
    pub fn for_this_machine_only(mut self, local: LocalOnly) -> Self {
        self.local = Some(local);
        self
    }

    /// The address that was bound, with the real port.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` resolves; then accepts no new connection, begins no new task, and waits for running
    /// functions, but no longer than the grace period. Those that didn't end are repeated later: tasks are still in the
    /// store, and events unacknowledged. True when everything ended.
    pub async fn run(self, stop: impl Future<Output = ()>) -> io::Result<bool> {
        let Server { listener, runtime, options, extra, metrics_are_local, local } = self;
        let stopping = Arc::new(AtomicBool::new(false));
        let readiness = Readiness {
            databases: options.databases.into(),
            queue: options.queue.clone(),
            is_remote: options.remote.is_some(),
            stopping: stopping.clone(),
        };
        let router = routes(&runtime, options.queue.clone(), options.remote.clone(), readiness).merge(extra);
        let metrics =
            Router::new().route("/metrics", get(metrics::<S>)).with_state((runtime.clone(), metrics_are_local));
        let router = router.merge(metrics);
        let router = match local {
            Some(local) => router.layer(from_fn_with_state(local, local::only)),
            None => router,
        };
        let closing = CancellationToken::new();
        let most = runtime.inner.admission.capacity().connections.clamp(1, Semaphore::MAX_PERMITS);
        let connections = Arc::new(Semaphore::new(most));
        samples::of_server(&runtime, &connections, &options.queue, options.remote.as_ref());
        let serving = connections::serve(listener, router, connections, Timeouts::default(), closing.clone());
        let mut serving = tokio::spawn(serving);
        let watch = tokio::spawn(watch_memory(runtime.clone()));
        let upkeep = tokio::spawn(upkeep(runtime.clone()));
        stop.await;
        tracing::info!(seconds = options.grace.as_secs(), running = runtime.running(), "stopping");
        stopping.store(true, Ordering::SeqCst);
        closing.cancel();
        let everything = async {
            let tasks = options.queue.stop(options.grace).await;
            let _ = (&mut serving).await;
            // Calls whose clients disconnected run on without a connection.
            runtime.quiet().await;
            // The tasks are in the store. Unsent notifications would only delay them until another instance's sweep.
            if let Some(remote) = &options.remote {
                remote.all_sent().await;
            }
            tasks
        };
        let done = tokio::time::timeout(options.grace, everything).await.unwrap_or(false);
        upkeep.abort();
        watch.abort();
        serving.abort();
        if !done {
            tracing::warn!(
                running = runtime.running(),
                "the grace period is over; events and tasks that still run will be repeated"
            );
        }
        Ok(done)
    }
}

async fn upkeep<S: Clone + Send + Sync + 'static>(runtime: Runtime<S>) {
    let mut ticks = tokio::time::interval(UPKEEP);
    loop {
        ticks.tick().await;
        runtime.upkeep();
    }
}

async fn watch_memory<S: Clone + Send + Sync + 'static>(runtime: Runtime<S>) {
    let room = &runtime.inner.admission;
    if room.capacity().memory.is_none() {
        return;
    }
    let mut ticks = tokio::time::interval(LOOK);
    loop {
        ticks.tick().await;
        room.holds(samples::resident_memory().unwrap_or(0));
    }
}

fn routes<S: Clone + Send + Sync + 'static>(
    runtime: &Runtime<S>,
    queue: Arc<LocalQueue>,
    remote: Option<Arc<RemoteQueue>>,
    readiness: Readiness,
) -> Router {
    let functions = Router::new()
        .route("/events/{function}", post(events::from_eventarc::<S>))
        .route("/functions/projects/{project}/triggers/{key}", post(events::from_emulator::<S>))
        .fallback(callable::endpoint::<S>)
        .with_state(runtime.clone());
    let tasks =
        Router::new().route("/tasks/{queue}", post(tasks::receive::<S>)).with_state((runtime.clone(), queue, remote));
    let health =
        Router::new().route("/healthz", get(|| async { "ok\n" })).route("/readyz", get(readyz)).with_state(readiness);
    functions.merge(tasks).merge(health)
}

async fn metrics<S: Clone + Send + Sync + 'static>(
    State((runtime, is_local)): State<(Runtime<S>, bool)>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Response {
    let is_near = peer.ip().to_canonical().is_loopback()
        && !["forwarded", "x-forwarded-for", "via"].iter().any(|name| headers.contains_key(*name));
    if is_local && !is_near {
        return StatusCode::NOT_FOUND.into_response();
    }
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], runtime.metrics().render()).into_response()
}

/// Ready when the stores answer, the queue runs, and nobody asked to stop.
async fn readyz(State(readiness): State<Readiness>) -> Response {
    let not_ready = |why: &'static str| (StatusCode::SERVICE_UNAVAILABLE, why).into_response();
    if readiness.stopping.load(Ordering::SeqCst) {
        return not_ready("stopping\n");
    }
    if !readiness.is_remote && !readiness.queue.is_started() {
        return not_ready("the task queue isn't started\n");
    }
    for database in readiness.databases.iter() {
        match tokio::time::timeout(PING_LIMIT, database.ping()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "not ready: a store doesn't answer");
                return not_ready("a store doesn't answer\n");
            }
            Err(_) => return not_ready("a store doesn't answer in time\n"),
        }
    }
    "ready\n".into_response()
}
