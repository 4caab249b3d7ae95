//! A service on the embedded store whose events the test delivers itself: once, three times, late, or shuffled. Its
//! clock doesn't advance by itself.

use std::sync::Arc;

use roar_functions::app::{Settings, Stores};
use roar_functions::context::{Context, CountingIds, ManualClock, SystemRandom};
use roar_functions::demo::clever::{FakeClever, Options as Fake, Size, Sockless};
use roar_functions::rostering::Rosters;
use roar_functions::rostering::clever::Clever;
use roar_functions::runtime::{Call, Caller, FunctionError, Trigger};
use roar_functions::service::Service;
use roar_functions::store::embedded::EmbeddedStore;
use roar_functions::store::{Database, DocPath, Document, DocumentChange, Query, Timestamp, Value};

use crate::world::PROJECT;

/// A change on its way to a trigger.
pub type Event = (String, DocumentChange);

pub struct LocalWorld {
    pub service: Service,
    /// The admin database's store.
    pub store: Arc<EmbeddedStore>,
    /// The assessment database's.
    pub assessment_store: Arc<EmbeddedStore>,
    pub clock: Arc<ManualClock>,
    /// A Clever that shares one district.
    pub fake: FakeClever,
    directory: tempfile::TempDir,
}

pub const NOW: &str = "2026-09-15T10:00:00Z";

/// A user of a project, whose token says nothing else.
pub fn caller(project: &str, uid: &str) -> Caller {
    Caller { uid: uid.to_owned(), project: project.to_owned(), claims: Default::default(), sign_in: Default::default() }
}

impl LocalWorld {
    pub async fn start() -> LocalWorld {
        LocalWorld::with(Settings::default()).await
    }

    pub async fn with(settings: Settings) -> LocalWorld {
        LocalWorld::with_clever(settings, Fake::of(Size::of(20))).await
    }

    /// With a fake Clever of that kind.
    pub async fn with_clever(settings: Settings, clever: Fake) -> LocalWorld {
        LocalWorld::with_pages(settings, clever, 50).await
    }

    /// With a fake Clever of that kind, which is asked for pages of that size.
    pub async fn with_pages(settings: Settings, clever: Fake, page_limit: u32) -> LocalWorld {
        // Pauses between attempts take real time, if little of it; the world's own clock stands still.
        let fake = FakeClever::new(clever, Context::system());
        let patience = std::time::Duration::from_millis(5);
        let asked = roar_functions::rostering::clever::Settings { page_limit, pause: patience, ..Sockless::settings() };
        let clever = Clever::by(Arc::new(fake.transport()), asked, Context::system());
        let rosters = Rosters::new(Some(clever));
        let directory = crate::world::directory();
        let clock = Arc::new(ManualClock::at(NOW.parse().expect("an instant")));
        let context =
            Context { clock: clock.clone(), ids: Arc::new(CountingIds::default()), random: Arc::new(SystemRandom) };
        let store = crate::world::open(directory.path(), "admin", &context);
        let assessment_store = crate::world::open(directory.path(), "assessment", &context);
        let stores =
            Stores { admin: Database::new(store.clone()), assessment: Database::new(assessment_store.clone()) };
        let service = crate::world::service(stores, directory.path(), PROJECT, context, settings, rosters);
        service.start_tasks();
        LocalWorld { service, store, assessment_store, clock, fake, directory }
    }

    pub fn admin(&self) -> &Database {
        &self.service.app.stores.admin
    }

    pub fn assessment(&self) -> &Database {
        &self.service.app.stores.assessment
    }

    /// What the files of the stores hold.
    pub fn files(&self) -> Vec<Vec<u8>> {
        let entries = std::fs::read_dir(self.directory.path()).expect("a directory");
        let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
        paths.filter_map(|path| std::fs::read(path).ok()).collect()
    }

    pub fn now(&self) -> Timestamp {
        self.service.app.now()
    }

    /// Calls `createAdministration` as that user, past HTTP.
    pub async fn call(&self, uid: &str, data: serde_json::Value) -> Result<serde_json::Value, FunctionError> {
        self.call_function("createAdministration", uid, data).await
    }

    /// Calls a callable as that user of the admin project, past HTTP.
    pub async fn call_function(
        &self,
        name: &str,
        uid: &str,
        data: serde_json::Value,
    ) -> Result<serde_json::Value, FunctionError> {
        self.call_as(name, Some(caller(PROJECT, uid)), data).await
    }

    /// Calls a callable, past HTTP.
    pub async fn call_as(
        &self,
        name: &str,
        caller: Option<Caller>,
        data: serde_json::Value,
    ) -> Result<serde_json::Value, FunctionError> {
        let function = self.service.runtime.registry().find(name).expect("it's in the index");
        let Trigger::Callable(handler) = &function.trigger else { panic!("a callable") };
        handler(self.service.app.clone(), Call::new(data, caller)).await
    }

    /// Calls `createAdministration` and gives the ID.
    pub async fn create(&self, uid: &str, data: serde_json::Value) -> String {
        crate::world::create_in(&self.service, uid, data).await
    }

    /// The events that wait, of both databases.
    pub async fn events(&self) -> Vec<Event> {
        let mut events = self.store.take_events().await.expect("the outbox");
        events.extend(self.assessment_store.take_events().await.expect("the outbox"));
        events
    }

    /// Delivers one event; true when it's acknowledged.
    pub async fn deliver(&self, (trigger, change): Event) -> bool {
        use roar_functions::runtime::DispatchOutcome;
        self.service.runtime.dispatch_change(&trigger, change).await == DispatchOutcome::Acknowledged
    }

    /// Delivers events and runs tasks until none is left.
    pub async fn settle(&self) {
        loop {
            self.service.queue.idle().await;
            let mut events = self.events().await;
            if events.is_empty() {
                return;
            }
            while let Some(event) = events.pop() {
                if !self.deliver(event.clone()).await {
                    self.service.queue.idle().await;
                    assert!(self.deliver(event.clone()).await, "an event is refused again: {}", event.0);
                }
            }
        }
    }

    pub async fn get(&self, path: &str) -> Option<Document> {
        self.admin().get(&DocPath::new(path).expect("a path")).await.expect("readable")
    }

    /// All documents of the admin database that people or clients see, without what differs from run
    /// to run: the sync's own bookkeeping.
    pub async fn documents(&self) -> Vec<(String, roar_functions::store::Fields)> {
        let mut all = Vec::new();
        for query in [
            Query::collection("administrations"),
            Query::collection("users"),
            Query::group("assignments"),
            Query::group("assignedOrgs"),
            Query::group("readOrgs"),
            Query::group("stats"),
            Query::collection("functionTasks"),
        ] {
            for document in self.admin().query(query).await.expect("documents") {
                let mut fields = document.fields;
                for volatile in ["updatedAt", "syncChunksTotal", "syncChunksCompleted"] {
                    fields.remove(volatile);
                }
                if let Some(Value::Map(lists)) = fields.get_mut("assignments") {
                    for list in lists.values_mut() {
                        if let Value::Array(ids) = list {
                            ids.sort_by_key(|id| id.as_str().map(str::to_owned));
                        }
                    }
                }
                if document.path.collection_id() == "stats" {
                    // A counter that came back to zero is the same as one that was never moved.
                    let is_zero = |counters: &Value| {
                        counters.as_map().is_some_and(|counters| counters.values().all(|n| n.as_i64() == Some(0)))
                    };
                    for block in fields.values_mut() {
                        if let Value::Map(counters) = block {
                            counters.retain(|_, number| number.as_i64() != Some(0));
                        }
                    }
                    fields.retain(|_, block| !is_zero(block));
                }
                all.push((document.path.as_str().to_owned(), fields));
            }
        }
        all.sort_by(|one, other| one.0.cmp(&other.0));
        all
    }
}
