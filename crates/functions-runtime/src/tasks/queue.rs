//! The queue that runs tasks in this process. It's durable, because every task is a document until it's done.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::attempt::{AttemptEnd, TaskRunner};
use super::state::QueueState;
use super::{NewTask, TASKS, TaskQueue, document_id, document_of, path_of};
use crate::observe::Trace;
use document_store::backoff::Backoff;
use document_store::context::SystemRandom;
use document_store::{Database, Direction, DocPath, FieldPath, Query, StoreError, Transform, Write};

/// How many stored tasks one query reads.
const PAGE: u32 = 200;

/// The default pauses before a failed task is tried again, and those before Cloud Tasks is notified again.
pub(super) const BACKOFF: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(60));

/// Options of a queue.
#[derive(Clone, Copy, Debug)]
pub struct QueueOptions {
    /// How many tasks run at once.
    pub concurrency: usize,
    /// The pauses before a task that failed is tried again.
    pub backoff: Backoff,
}

impl Default for QueueOptions {
    fn default() -> Self {
        QueueOptions { concurrency: 4, backoff: BACKOFF }
    }
}

/// Runs tasks in this process, in the order in which they came and a bounded number at once. Tasks that a crash or a
/// stop left behind are found in the store at the next start.
pub struct LocalQueue {
    database: Database,
    options: QueueOptions,
    state: Mutex<QueueState>,
    /// Notifies the dispatcher that a task may be ready.
    changed: Notify,
    progress: watch::Sender<Progress>,
}

#[derive(Clone, Copy, Default, PartialEq)]
struct Progress {
    pending: usize,
    running: usize,
    started: bool,
}

impl LocalQueue {
    /// A queue of the tasks in `database`. Nothing runs before [`LocalQueue::start`].
    pub fn new(database: Database, options: QueueOptions) -> Arc<Self> {
        let progress = watch::Sender::new(Progress::default());
        Arc::new(LocalQueue { database, options, state: Mutex::default(), changed: Notify::new(), progress })
    }

    /// Begins to run tasks, those first that the store holds already.
    pub fn start(self: &Arc<Self>, runner: Arc<dyn TaskRunner>) {
        self.change(|state| {
            state.unread = true;
            state.stopping = false;
        });
        self.progress.send_modify(|progress| progress.started = true);
        tokio::spawn(self.clone().dispatch(runner));
    }

    /// True between start and stop.
    pub fn is_started(&self) -> bool {
        self.progress.borrow().started
    }

    /// How many tasks are queued, running or waiting. Counts one for all that only the store knows.
    pub fn pending(&self) -> usize {
        self.state.lock().pending()
    }

    /// How many tasks run now.
    pub fn running(&self) -> usize {
        self.progress.borrow().running
    }

    /// Waits until no task is queued, running or waiting. (Before the start, stored tasks that
    /// nobody announced don't count.)
    pub async fn idle(&self) {
        let mut progress = self.progress.subscribe();
        // Fails only when the sender is gone, which `self` holds.
        let _ = progress.wait_for(|progress| progress.pending == 0).await;
    }

    /// Begins nothing more and waits until nothing runs, but no longer than `grace`. True when all
    /// that ran has ended. What didn't run stays in the store.
    pub async fn stop(&self, grace: Duration) -> bool {
        self.change(|state| state.stopping = true);
        self.progress.send_modify(|progress| progress.started = false);
        let mut progress = self.progress.subscribe();
        tokio::time::timeout(grace, progress.wait_for(|progress| progress.running == 0)).await.is_ok()
    }

    /// Attempts that one task now, for a remote queue; `None` while it runs. Unless this queue is
    /// started, remembering the task is the remote queue's business.
    pub async fn run_now(
        self: &Arc<Self>,
        runner: Arc<dyn TaskRunner>,
        id: &str,
        trace: Option<Trace>,
        number: Option<u32>,
    ) -> Option<AttemptEnd> {
        let id = document_id(id).into_owned();
        let mut attempt = self.change(|state| state.claim(&id))?;
        attempt.trace = trace;
        attempt.number = number.unwrap_or(attempt.number);
        let queue = self.clone();
        // A task of its own: the request may go away, but the queue must hear how it ended.
        let attempted = tokio::spawn(async move {
            let end = runner.attempt(&queue.database, attempt).await;
            if queue.is_started() {
                queue.finish(&id, end);
            } else {
                queue.change(|state| state.forget(&id));
            }
            end
        });
        Some(attempted.await.unwrap_or(AttemptEnd::Failed))
    }

    fn finish(&self, id: &str, end: AttemptEnd) {
        let backoff = self.options.backoff;
        self.change(|state| state.ended(id, end, Instant::now(), |failures| backoff.pause(failures, &SystemRandom)));
    }

    fn change<T>(&self, change: impl FnOnce(&mut QueueState) -> T) -> T {
        let mut state = self.state.lock();
        let result = change(&mut state);
        let (pending, running) = (state.pending(), state.running());
        self.progress.send_if_modified(|progress| {
            let changed = (progress.pending, progress.running) != (pending, running);
            (progress.pending, progress.running) = (pending, running);
            changed
        });
        drop(state);
        self.changed.notify_one();
        result
    }

    async fn dispatch(self: Arc<Self>, runner: Arc<dyn TaskRunner>) {
        loop {
            let due = {
                let mut state = self.state.lock();
                if state.stopping {
                    return;
                }
                let mut begun = Vec::new();
                while state.running() < self.options.concurrency.max(1)
                    && let Some(attempt) = state.next(Instant::now())
                {
                    begun.push(attempt);
                }
                let reads = state.wants_reading();
                state.reading |= reads;
                let due = state.next_due();
                drop(state);
                for attempt in begun {
                    let (queue, runner, id) = (self.clone(), runner.clone(), attempt.id.clone());
                    tokio::spawn(async move {
                        let end = runner.attempt(&queue.database, attempt).await;
                        queue.finish(&id, end);
                    });
                }
                if reads {
                    tokio::spawn(self.clone().read());
                }
                due
            };
            let wait = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.changed.notified() => {}
                () = wait => {}
            }
        }
    }

    /// Reads the names of stored tasks, page by page, until there is no room or none is left.
    async fn read(self: Arc<Self>) {
        let mut failures = 0;
        let mut after = None;
        loop {
            match self.page(after.as_ref()).await {
                Ok(page) => {
                    failures = 0;
                    let is_last = page.len() < PAGE as usize;
                    let mut is_full = false;
                    let more = self.change(|state| {
                        for path in &page {
                            is_full |= !state.found(path.id().to_owned());
                        }
                        is_last && !is_full && state.read_through()
                    });
                    // With no room left, the next look begins at the start again: tasks in memory
                    // are passed over, and done ones are gone by then.
                    if is_full || (is_last && !more) {
                        break;
                    }
                    after = if is_last { None } else { page.into_iter().next_back() };
                }
                Err(error) => {
                    failures += 1;
                    tracing::warn!(%error, "stored tasks can't be read; it's tried again");
                    tokio::time::sleep(self.options.backoff.pause(failures, &SystemRandom)).await;
                    if self.state.lock().stopping {
                        break;
                    }
                }
            }
        }
        self.change(|state| state.reading = false);
    }

    async fn page(&self, after: Option<&DocPath>) -> Result<Vec<DocPath>, StoreError> {
        let mut query = Query::collection(TASKS)
            .order_by(document_store::path::NAME_FIELD, Direction::Ascending)
            .limit(PAGE)
            .select(&[]);
        if let Some(after) = after {
            query = query.start_after(vec![self.database.reference(after)]);
        }
        Ok(self.database.query(query).await?.into_iter().map(|document| document.path).collect())
    }
}

impl TaskQueue for LocalQueue {
    fn enlist(&self, task: &NewTask) -> Write {
        // A set, not a create: the same task may be asked for again before it's done.
        Write::set(path_of(&task.id), document_of(task)).with(FieldPath::top("createdAt"), Transform::ServerTime)
    }

    fn announce(&self, tasks: Vec<NewTask>) {
        self.change(|state| {
            for task in tasks {
                state.announce(document_id(&task.id).into_owned(), task.into());
            }
        });
    }

    fn wake(&self, _: &'static str, id: &str) {
        self.change(|state| state.wake(&document_id(id)));
    }
}
