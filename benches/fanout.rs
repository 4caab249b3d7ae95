//! How fast an administration reaches its students, and what that costs: `cargo bench --bench fanout`.
//!
//! Each line is measured in a process of its own (for its peak memory): a district of n students, an
//! administration over all of it, until every count is complete; then the same documents committed
//! blindly, in batches, by the same client into an empty store of the same kind with the same triggers.

mod shared;
#[path = "../tests/functions/world.rs"]
mod world;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt};
use roar_functions::app::{Settings, Stores};
use roar_functions::context::Context;
use roar_functions::rostering::Rosters;
use roar_functions::store::{Database, DocPath, Document, Query, Value, Write};

use world::{EmulatorWorld, PROJECT, admin_uid, fill, open_administration, service};

/// Writes a commit of the blind run.
const BATCH: usize = 200;
/// Commits at once, as many as the fan-out's chunks.
const PARALLEL: usize = 4;

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    if let Some((store, students)) = shared::own_line() {
        let runtime = shared::runtime();
        let line = match store.as_str() {
            "embedded" => runtime.block_on(embedded(students)),
            _ => runtime.block_on(emulator(students)),
        };
        println!("{line}");
        runtime.shutdown_background();
        return;
    }
    println!(
        "| store | students | seconds | assignments/s | raw documents/s | ratio | reads/student | writes/student | peak MiB |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    shared::measure_each(&[
        ("embedded", 1000),
        ("embedded", 10_000),
        ("embedded", 100_000),
        ("emulator", 1000),
        ("emulator", 5000),
    ]);
}

async fn embedded(students: usize) -> String {
    let directory = tempfile::tempdir().expect("a directory");
    let context = Context::system();
    let open = |label| world::open(directory.path(), label, &context);
    let (admin, assessment) = (open("admin"), open("assessment"));
    let empty = tempfile::tempdir().expect("a directory");
    let raw = world::open(empty.path(), "admin", &context);
    let stores = Stores { admin: Database::new(admin.clone()), assessment: Database::new(assessment) };
    let service = service(stores, directory.path(), PROJECT, context.clone(), Settings::default(), Rosters::default());
    fill(&service.app.stores.admin, students).await;
    service.start_tasks();
    let dispatcher = admin.start_dispatcher(Arc::new(service.runtime.clone()), Default::default());
    let (id, took, cost) = fan_out(&service, async || {
        admin.drained().await;
        service.queue.idle().await;
    })
    .await;
    let peak = shared::peak_mib();
    dispatcher.stop().await;
    let database = Database::new(raw.clone());
    let sink = Arc::new(service.runtime.clone());
    let dispatcher = raw.start_dispatcher(sink, Default::default());
    let rate = blindly(&service.app.stores.admin, &id, &database).await;
    dispatcher.stop().await;
    line("embedded", students, took, rate, cost, peak)
}

async fn emulator(students: usize) -> String {
    let world = EmulatorWorld::start().await;
    fill(world.admin(), students).await;
    world::followed(world.admin(), "last-of-all").await;
    let (id, took, cost) = fan_out(&world.service, async || {}).await;
    let peak = shared::peak_mib();
    // An emulator of its own: the first may still be delivering the fan-out's events.
    let other = EmulatorWorld::start().await;
    let rate = blindly(world.admin(), &id, other.admin()).await;
    line("emulator", students, took, rate, cost, peak)
}

type Measured = (String, Duration, roar_functions::store::Cost);

async fn fan_out(service: &roar_functions::service::Service, settled: impl AsyncFn()) -> Measured {
    let database = &service.app.stores.admin;
    settled().await;
    let before = database.cost();
    let began = Instant::now();
    let id = world::create_in(service, admin_uid(), open_administration(service.app.now())).await;
    let path = DocPath::new(format!("administrations/{id}")).expect("a path");
    let mut looks = 0;
    loop {
        looks += 1;
        let document = database.get(&path).await.expect("readable").expect("the administration");
        if document.fields.get("syncStatus") == Some(&Value::from("complete")) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let took = began.elapsed();
    settled().await;
    let mut cost = database.cost() - before;
    cost.reads -= looks;
    (id, took, cost)
}

/// Commits the same documents, one assignment and one student each, and says how many a second.
async fn blindly(from: &Database, id: &str, to: &Database) -> f64 {
    let assignments: Vec<Document> =
        from.query(Query::group("assignments").equal("id", id)).await.expect("assignments");
    let mut writes = Vec::with_capacity(assignments.len() * 2);
    for chunk in assignments.chunks(BATCH) {
        let users: Vec<DocPath> = chunk.iter().filter_map(|assignment| assignment.path.parent()).collect();
        let users = from.get_all(&users).await.expect("users").into_iter().flatten();
        writes.extend(users.map(|user| Write::set(user.path, user.fields)));
        writes.extend(chunk.iter().map(|assignment| Write::set(assignment.path.clone(), assignment.fields.clone())));
    }
    let count = writes.len();
    let batches: Vec<Vec<Write>> = writes.chunks(BATCH).map(<[Write]>::to_vec).collect();
    let began = Instant::now();
    futures::stream::iter(batches)
        .map(|batch| async move { to.commit(batch).await.map(|_| ()) })
        .buffer_unordered(PARALLEL)
        .try_collect::<()>()
        .await
        .expect("committed");
    count as f64 / began.elapsed().as_secs_f64()
}

fn line(
    store: &str,
    students: usize,
    took: Duration,
    raw: f64,
    cost: roar_functions::store::Cost,
    peak: f64,
) -> String {
    let rate = students as f64 / took.as_secs_f64();
    let writes = (cost.writes + cost.deletes) as f64;
    format!(
        "| {store} | {students} | {:.2} | {rate:.0} | {raw:.0} | {:.2} | {:.2} | {:.2} | {peak:.0} |",
        took.as_secs_f64(),
        rate * 2.0 / raw,
        cost.reads as f64 / students as f64,
        writes / students as f64,
    )
}
