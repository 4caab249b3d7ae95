//! Two instances of the service run on the same documents and run the same tasks concurrently: the result is right,
//! even when both instances receive an event or a task, or one receives it twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use roar_functions::app::{Settings, Stores};
use roar_functions::fields;
use roar_functions::rostering::Rosters;
use roar_functions::runtime::tasks::TASKS;
use roar_functions::service::Service;
use roar_functions::store::embedded::Dispatcher;
use roar_functions::store::{Database, DocPath, Query, Value, Write};
use serde_json::json;

use crate::local::LocalWorld;
use crate::world::{PROJECT, assert_consistent, assignments, fill, open_administration};

const STUDENTS: usize = 900;

struct Two {
    world: LocalWorld,
    other: Service,
    _accounts: tempfile::TempDir,
    dispatchers: Vec<Dispatcher>,
}

impl Two {
    async fn start() -> Two {
        let world = LocalWorld::start().await;
        fill(world.admin(), STUDENTS).await;
        world.settle().await;
        let accounts = crate::world::directory();
        let stores = Stores {
            admin: Database::new(world.store.clone()),
            assessment: Database::new(world.assessment_store.clone()),
        };
        let context = world.service.app.context.clone();
        let other =
            crate::world::service(stores, accounts.path(), PROJECT, context, Settings::default(), Rosters::default());
        let runtime = Arc::new(world.service.runtime.clone());
        let stores = [&world.store, &world.assessment_store];
        let dispatchers = stores.map(|store| store.start_dispatcher(runtime.clone(), Default::default())).into();
        Two { world, other, _accounts: accounts, dispatchers }
    }

    /// Does something, and lets both run all tasks until none is left; the other one whatever it finds. How often it
    /// found something to run.
    async fn both(&self, something: impl Future<Output = ()>) -> usize {
        let is_over = AtomicBool::new(false);
        let found = AtomicUsize::new(0);
        let meddle = async {
            let runner = Arc::new(self.other.runtime.clone());
            while !is_over.load(Ordering::SeqCst) {
                let tasks = Query::collection(TASKS).select(&[]);
                let tasks = self.other.app.stores.admin.query(tasks).await.expect("tasks");
                let runs = tasks.iter().map(|task| self.other.queue.run_now(runner.clone(), task.id(), None, None));
                let ended = futures::future::join_all(runs).await;
                found.fetch_add(ended.iter().flatten().count(), Ordering::SeqCst);
                tokio::task::yield_now().await;
            }
        };
        let work = async {
            something.await;
            loop {
                for store in [&self.world.store, &self.world.assessment_store] {
                    store.drained().await;
                }
                self.world.service.queue.idle().await;
                let left = self.world.admin().query(Query::collection(TASKS).select(&[])).await.expect("tasks");
                if left.is_empty() && self.world.store.pending_events() == 0 {
                    break;
                }
                tokio::task::yield_now().await;
            }
            is_over.store(true, Ordering::SeqCst);
        };
        let limited = tokio::time::timeout(Duration::from_secs(120), async { futures::join!(work, meddle) });
        limited.await.expect("it comes to an end");
        found.load(Ordering::SeqCst)
    }

    async fn stop(self) {
        for dispatcher in self.dispatchers {
            dispatcher.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_that_run_in_two_instances_at_once_do_everything_once() {
    let two = Two::start().await;
    let database = two.world.admin().clone();
    let created = std::sync::Mutex::new(String::new());
    let found = two
        .both(async {
            let id = two.world.create(crate::world::admin_uid(), open_administration(two.world.now())).await;
            *created.lock().expect("unlocked") = id;
        })
        .await;
    assert!(found > 3, "the other one had a part in it: {found}");
    let id = created.lock().expect("unlocked").clone();
    let whole = assignments(&database, &id).await.len();
    assert!(whole > STUDENTS / 2);
    assert_consistent(&database, &id).await;
    // Fewer orgs, while students move; and everybody again.
    let path = DocPath::in_collection("administrations", &id).expect("a path");
    let orgs = |orgs: serde_json::Value| fields! { "minimalOrgs" => crate::town::lists(&orgs) };
    two.both(async {
        database
            .commit(vec![Write::update(path.clone(), orgs(json!({"schools": ["school-0001"]})))])
            .await
            .expect("written");
        for n in 0..20 {
            let student = DocPath::in_collection("users", &roar_functions::demo::district::District::student_id(n));
            let archived = Write::update(student.expect("a path"), fields! { "archived" => n % 2 == 0 });
            database.commit(vec![archived]).await.expect("written");
        }
    })
    .await;
    assert_consistent(&database, &id).await;
    assert!(assignments(&database, &id).await.len() < whole);
    let district = crate::world::district();
    two.both(async {
        let all = orgs(json!({"districts": [district]}));
        database.commit(vec![Write::update(path.clone(), all)]).await.expect("written");
    })
    .await;
    assert_consistent(&database, &id).await;
    assert_eq!(assignments(&database, &id).await.len(), whole - 10, "ten are archived");
    // Closed and opened again, it's swept; at last it's deleted.
    let hours = jiff::SignedDuration::from_hours;
    for closes in [two.world.now() - hours(1), two.world.now() + hours(48)] {
        two.both(async {
            let closes = fields! { "dateClosed" => closes };
            database.commit(vec![Write::update(path.clone(), closes)]).await.expect("written");
        })
        .await;
        assert_consistent(&database, &id).await;
    }
    two.both(async {
        database.commit(vec![Write::delete(path.clone())]).await.expect("deleted");
    })
    .await;
    assert_eq!(assignments(&database, &id).await.len(), 0);
    let user =
        DocPath::in_collection("users", &roar_functions::demo::district::District::student_id(31)).expect("a path");
    let user = database.get(&user).await.expect("readable").expect("a student").fields;
    let listed = roar_functions::store::lookup(&user, "assignments.assigned").and_then(Value::as_string_list);
    assert_eq!(listed.unwrap_or_default(), [""; 0]);
    two.stop().await;
}
