//! The assembled service: the functions of the index over two databases, a task queue and the runtime.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::app::{ADMIN, ASSESSMENT, App, Settings, Stores};
use crate::context::Context;
use crate::functions;
use crate::runtime::auth::{Callers, Deliveries};
use crate::runtime::{DatabaseName, LocalQueue, Options, QueueOptions, Runtime, RuntimeError, Server, ServerOptions};

/// How often a streaming response shows that it's alive.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// What a service is made of.
pub struct Parts {
    /// The databases.
    pub stores: Stores,
    /// Project and database ID of the admin database.
    pub admin: DatabaseName,
    /// Project and database ID of the assessment database.
    pub assessment: DatabaseName,
    /// The clock and IDs.
    pub context: Context,
    /// Settings of rules.
    pub settings: Settings,
    /// How tasks are run.
    pub queue: QueueOptions,
    /// Who may call.
    pub callers: Callers,
    /// Who may deliver events and tasks.
    pub deliveries: Deliveries,
}

/// A service that's ready to start. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    /// What handlers get.
    pub app: App,
    /// Runs the functions.
    pub runtime: Runtime<App>,
    /// Runs the tasks.
    pub queue: Arc<LocalQueue>,
}

impl Service {
    /// Puts the parts together. Nothing runs yet.
    pub fn assemble(parts: Parts) -> Result<Service, RuntimeError> {
        let queue = LocalQueue::new(parts.stores.admin.clone(), parts.queue);
        let app = App::new(parts.stores, parts.context.clone(), queue.clone(), parts.settings);
        let options = Options {
            context: parts.context,
            callers: parts.callers,
            deliveries: parts.deliveries,
            databases: BTreeMap::from([(ADMIN.to_owned(), parts.admin), (ASSESSMENT.to_owned(), parts.assessment)]),
            heartbeat: HEARTBEAT,
        };
        let runtime = Runtime::new(functions::table(), app.clone(), options)?;
        Ok(Service { app, runtime, queue })
    }

    /// Begins to run tasks, those first that a stop or a crash left behind.
    pub fn start_tasks(&self) {
        self.queue.start(Arc::new(self.runtime.clone()));
    }

    /// Binds the HTTP server; `grace` is how long what runs may go on after a stop.
    pub async fn bind(&self, address: std::net::SocketAddr, grace: Duration) -> std::io::Result<Server<App>> {
        let options = ServerOptions {
            databases: vec![self.app.stores.admin.clone(), self.app.stores.assessment.clone()],
            queue: self.queue.clone(),
            grace,
        };
        Server::bind(address, self.runtime.clone(), options).await
    }
}
