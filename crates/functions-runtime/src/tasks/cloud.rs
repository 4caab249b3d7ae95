//! Cloud Tasks, which notifies the instances of a service of tasks, in production and on Firebase's emulator.
//!
//! The queue only notifies; the task's document is authoritative. So a lost notification delays the task, and a
//! repeated one finds it done. A periodic sweep of the store notifies again of tasks that have been there for long.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::{StreamExt as _, TryStreamExt as _};
use gcloud_sdk::{GCP_DEFAULT_SCOPES, GoogleAuthHeaders};
use parking_lot::Mutex;
use reqwest::{StatusCode, Url, redirect};
use serde_json::json;
use thiserror::Error;
use tokio::sync::{mpsc, watch};

use super::queue::BACKOFF;
use super::{LocalQueue, NewTask, TASKS, TaskQueue, document_id};
use crate::counted::Counted;
use crate::function::{Function, Trigger};
use document_store::context::Context;
use document_store::digest::digest;
use document_store::{Database, Direction, FieldOp, Query, StoreError, Value, Write};

const CLOUD: &str = "https://cloudtasks.googleapis.com/v2";
/// How long a request may take.
const LIMIT: Duration = Duration::from_secs(10);
/// Notifications that are being sent at once.
const AT_ONCE: usize = 16;
/// What is added to a function's own time limit to make the dispatch deadline, after which Cloud Tasks tries again.
const GRACE: Duration = Duration::from_secs(30);
/// The shortest and the longest dispatch deadline that Cloud Tasks takes.
const DEADLINES: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(1800));

/// Where Cloud Tasks is, and which service it calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudOptions {
    /// `projects/P/locations/L`. Its queues have the names of the task functions.
    pub parent: String,
    /// `host:port` of Firebase's emulator; `None` for the real Cloud Tasks.
    pub emulator: Option<String>,
    /// The address of this service, as Cloud Tasks reaches it.
    pub target: Url,
    /// The service account that Cloud Tasks calls this service as, and the audience of its OIDC tokens; `None` on the
    /// emulator, which sends no token.
    pub caller: Option<(String, String)>,
    /// The time between two sweeps of the store, and the age from which on a sweep notifies of a task again.
    pub sweep: Duration,
}

/// Why Cloud Tasks can't be used.
#[derive(Debug, Error)]
pub enum CloudError {
    /// There are no application-default credentials, or no client.
    #[error("Cloud Tasks can't be asked: {0}")]
    Settings(String),
}

/// Why Cloud Tasks didn't take a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
enum NotifyError {
    /// It may take the same one later.
    #[error("Cloud Tasks can't be reached or is overloaded")]
    Later,
    /// It never will: there's no such queue, or no permission to use it. Holds the HTTP status, 0 for a malformed
    /// address.
    #[error("Cloud Tasks refuses it (HTTP {0})")]
    Refused(u16),
}

/// A client of Cloud Tasks.
pub struct CloudTasks {
    http: reqwest::Client,
    base: Url,
    credentials: Option<Arc<GoogleAuthHeaders>>,
    options: CloudOptions,
}

impl CloudTasks {
    /// A client with application-default credentials, or of the emulator. Fails when there are no credentials.
    pub async fn open(options: CloudOptions) -> Result<CloudTasks, CloudError> {
        let failed = |error: &dyn std::fmt::Display| CloudError::Settings(error.to_string());
        let base = match &options.emulator {
            Some(host) => format!("http://{host}/"),
            None => format!("{CLOUD}/"),
        };
        let base = Url::parse(&base).map_err(|error| failed(&error))?;
        let http = reqwest::Client::builder().timeout(LIMIT).redirect(redirect::Policy::none());
        let http = if options.emulator.is_some() { http.no_proxy() } else { http.https_only(true) };
        let credentials = match options.emulator {
            Some(_) => None,
            None => {
                let source = GoogleAuthHeaders::from_adc_with_scopes(GCP_DEFAULT_SCOPES.clone()).await;
                Some(Arc::new(source.map_err(|error| failed(&error))?))
            }
        };
        Ok(CloudTasks { http: http.build().map_err(|error| failed(&error))?, base, credentials, options })
    }

    /// Sends a notification. Sent again under the same name, it isn't delivered twice.
    async fn send(&self, notification: &Notification, deadline: Duration) -> Result<(), NotifyError> {
        let parent = format!("{}/queues/{}", self.options.parent, notification.function);
        let url = self.base.join(&format!("{parent}/tasks")).map_err(|_| NotifyError::Refused(0))?;
        let target = self
            .options
            .target
            .join(&format!("tasks/{}", notification.function))
            .map_err(|_| NotifyError::Refused(0))?;
        let body = json!({ "data": { "id": notification.id } }).to_string();
        let mut request = json!({
            "url": target.as_str(), "httpMethod": "POST", "headers": { "Content-Type": "application/json" },
            "body": STANDARD.encode(body),
        });
        if let Some((account, audience)) = &self.options.caller {
            request["oidcToken"] = json!({ "serviceAccountEmail": account, "audience": audience });
        }
        let mut task = json!({
            "name": format!("{parent}/tasks/{}", notification.name), "httpRequest": request,
            "dispatchDeadline": format!("{}s", deadline.as_secs()),
        });
        if let Some(at) = &notification.at {
            task["scheduleTime"] = json!(at.to_string());
        }
        let mut request = self.http.post(url).json(&json!({ "task": task }));
        if let Some(credentials) = &self.credentials {
            let headers = tokio::time::timeout(LIMIT, credentials.headers()).await;
            request =
                request.headers((*headers.map_err(|_| NotifyError::Later)?.map_err(|_| NotifyError::Later)?).clone());
        }
        let answer = request.send().await.map_err(|_| NotifyError::Later)?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            // It was taken before, and the answer was lost.
            StatusCode::CONFLICT => Ok(()),
            StatusCode::TOO_MANY_REQUESTS => Err(NotifyError::Later),
            status if status.is_server_error() => Err(NotifyError::Later),
            status => Err(NotifyError::Refused(status.as_u16())),
        }
    }
}

/// Says that a task is to be run.
#[derive(Clone, Debug)]
struct Notification {
    function: String,
    /// Of the task's document.
    id: String,
    /// The notification's own name, not the task's: Cloud Tasks refuses a used name for hours, and a task may be handed
    /// in again before that.
    name: String,
    /// Not before.
    at: Option<document_store::Timestamp>,
}

/// A name made of parts: the same for the same parts. It's a digest, because names with a common beginning slow Cloud
/// Tasks down.
fn name_of(parts: &[&str]) -> String {
    digest(parts.join("/"))
}

/// The queue of a service with several instances: Cloud Tasks notifies one of them of each task, which runs it.
pub struct RemoteQueue {
    cloud: CloudTasks,
    database: Database,
    context: Context,
    /// Runs the tasks that this instance is notified of.
    local: Arc<LocalQueue>,
    /// The time limits of the task functions, by name.
    limits: HashMap<&'static str, Duration>,
    notifications: mpsc::UnboundedSender<(Notification, Counted)>,
    /// How many notifications wait to be sent.
    unsent: watch::Sender<usize>,
    receiver: Mutex<Option<mpsc::UnboundedReceiver<(Notification, Counted)>>>,
}

impl RemoteQueue {
    /// A queue of the tasks in `database`. Nothing is sent before [`RemoteQueue::start`].
    pub fn new<S>(
        cloud: CloudTasks,
        database: Database,
        context: Context,
        local: Arc<LocalQueue>,
        table: &[Function<S>],
    ) -> Arc<RemoteQueue> {
        let tasks = table.iter().filter(|function| matches!(function.trigger, Trigger::Task(_)));
        let limits = tasks.map(|function| (function.name, function.timeout)).collect();
        let (notifications, receiver) = mpsc::unbounded_channel();
        let (unsent, receiver) = (watch::Sender::new(0), Mutex::new(Some(receiver)));
        Arc::new(RemoteQueue { cloud, database, context, local, limits, notifications, unsent, receiver })
    }

    /// Begins to send notifications, and to sweep the store.
    pub fn start(self: &Arc<Self>) {
        let Some(receiver) = self.receiver.lock().take() else { return };
        tokio::spawn(self.clone().send_all(receiver));
        tokio::spawn(self.clone().sweep_periodically());
    }

    /// How many notifications wait to be sent.
    pub fn unsent(&self) -> usize {
        *self.unsent.borrow()
    }

    /// Waits until no notification waits to be sent.
    pub async fn all_sent(&self) {
        // Fails only when the sender is gone, which `self` holds.
        let _ = self.unsent.subscribe().wait_for(|unsent| *unsent == 0).await;
    }

    /// The queue that runs the tasks which this instance is notified of.
    pub fn local(&self) -> &Arc<LocalQueue> {
        &self.local
    }

    /// Lets the task be run again after `delay` (a second at least, a day at most).
    pub fn schedule(&self, function: &str, id: &str, delay: Duration) {
        let delay = delay.clamp(Duration::from_secs(1), Duration::from_secs(24 * 60 * 60));
        let at = self.context.now() + jiff::SignedDuration::from_secs(delay.as_secs() as i64);
        // Instances that postpone the same task at the same time send one notification, or two where their clocks are
        // in different periods. The next postponement falls in another period, by any instance's clock.
        let period = (at.as_millisecond() / (delay.as_millis() / 2) as i64).to_string();
        let name = name_of(&[id, "later", &period]);
        self.tell(function, id, name, Some(at));
    }

    fn tell(&self, function: &str, id: &str, name: String, at: Option<document_store::Timestamp>) {
        let (function, id) = (function.to_owned(), document_id(id).into_owned());
        let notification = Notification { function, id, name, at };
        // Fails when this instance sends no more: then another instance's sweep notifies of the task.
        let _ = self.notifications.send((notification, Counted::new(&self.unsent)));
    }

    async fn send_all(self: Arc<Self>, receiver: mpsc::UnboundedReceiver<(Notification, Counted)>) {
        let notifications =
            futures::stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
        notifications
            .for_each_concurrent(AT_ONCE, async |(notification, _unsent)| self.deliver(notification).await)
            .await;
    }

    async fn deliver(&self, notification: Notification) {
        let limit = self.limits.get(notification.function.as_str()).copied().unwrap_or(DEADLINES.1);
        let deadline = (limit + GRACE).clamp(DEADLINES.0, DEADLINES.1);
        for failures in 1.. {
            match self.cloud.send(&notification, deadline).await {
                Ok(()) => return,
                Err(NotifyError::Later) => {
                    tracing::warn!(
                        function = notification.function,
                        failures,
                        "Cloud Tasks can't be notified of a task"
                    );
                    tokio::time::sleep(BACKOFF.pause(failures, &*self.context.random)).await;
                }
                Err(error) => {
                    tracing::error!(function = notification.function, %error, "Cloud Tasks can't be notified of a task");
                    return;
                }
            }
        }
    }

    /// Notifies of tasks whose instance died between the commit and the notification.
    async fn sweep_periodically(self: Arc<Self>) {
        let period = self.cloud.options.sweep;
        loop {
            // Spread, so that the instances don't all sweep at the same time.
            let spread = Duration::from_millis(self.context.random.up_to(period.as_millis() as u64 / 4));
            tokio::time::sleep(period + spread).await;
            match self.sweep(period).await {
                Ok(0) => {}
                Ok(found) => tracing::info!(found, "notified Cloud Tasks again of old tasks"),
                Err(error) => tracing::warn!(%error, "the store can't be swept for old tasks"),
            }
        }
    }

    async fn sweep(&self, age: Duration) -> Result<usize, StoreError> {
        let age = jiff::SignedDuration::try_from(age).unwrap_or(jiff::SignedDuration::from_hours(1));
        let now = self.context.now();
        // Named by the period: however many instances sweep, one notification a task and period is delivered.
        let period = (now.as_millisecond() / age.as_millis().max(1) as i64).to_string();
        let old = Query::collection(TASKS)
            .filter("createdAt", FieldOp::LessThan, now - age)
            .order_by("createdAt", Direction::Ascending)
            .select(&["function"]);
        let mut found = 0;
        let mut tasks = self.database.stream(old);
        while let Some(task) = tasks.try_next().await? {
            found += 1;
            if let Some(function) = task.fields.get("function").and_then(Value::as_str) {
                self.tell(function, task.id(), name_of(&[task.id(), "sweep", &period]), None);
            }
        }
        Ok(found)
    }
}

impl TaskQueue for RemoteQueue {
    fn enlist(&self, task: &NewTask) -> Write {
        self.local.enlist(task)
    }

    fn announce(&self, tasks: Vec<NewTask>) {
        for task in tasks {
            self.tell(task.function, &task.id, self.context.document_id(), None);
        }
    }

    fn wake(&self, function: &'static str, id: &str) {
        self.tell(function, id, self.context.document_id(), None);
    }
}
