//! How fast assignments follow a whole district's promotion: `cargo bench --bench promotions`.
//!
//! All students move up a grade in one batch; measured until every assignment shows it. Each line is a
//! process of its own, for its peak memory.

mod shared;
#[path = "../tests/functions/world.rs"]
mod world;

use std::sync::Arc;
use std::time::{Duration, Instant};

use roar_functions::app::{Settings, Stores};
use roar_functions::context::Context;
use roar_functions::fields;
use roar_functions::rostering::Rosters;
use roar_functions::service::Service;
use roar_functions::store::{Database, DocPath, FieldPath, Value, Write, lookup};

use roar_functions::demo::district::District;
use world::{EmulatorWorld, PROJECT, admin_uid, fill, followed, open_administration, service};

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Promotions in one commit.
const BATCH: usize = 400;

fn main() {
    if let Some((store, students)) = shared::own_line() {
        let runtime = shared::runtime();
        match store.as_str() {
            "embedded" => runtime.block_on(embedded(students)),
            _ => runtime.block_on(emulator(students)),
        }
        runtime.shutdown_background();
        return;
    }
    println!("| store | promotions | seconds | promotions/s | reads each | writes each | peak MiB |");
    println!("|---|---|---|---|---|---|---|");
    shared::measure_each(&[("embedded", 1000), ("embedded", 10_000), ("emulator", 1000)]);
}

async fn embedded(students: usize) {
    let directory = tempfile::tempdir().expect("a directory");
    let context = Context::system();
    let open = |label| world::open(directory.path(), label, &context);
    let (admin, assessment) = (open("admin"), open("assessment"));
    let stores = Stores { admin: Database::new(admin.clone()), assessment: Database::new(assessment) };
    let service = service(stores, directory.path(), PROJECT, context.clone(), Settings::default(), Rosters::default());
    fill(&service.app.stores.admin, students).await;
    service.start_tasks();
    let dispatcher = admin.start_dispatcher(Arc::new(service.runtime.clone()), Default::default());
    let settled = async || {
        admin.drained().await;
        service.queue.idle().await;
    };
    settled().await;
    measure("embedded", students, &service, settled).await;
    dispatcher.stop().await;
}

async fn emulator(students: usize) {
    let world = EmulatorWorld::start().await;
    fill(world.admin(), students).await;
    measure("emulator", students, &world.service, async || {}).await;
}

async fn measure(store: &str, students: usize, service: &Service, settled: impl AsyncFn()) {
    let database = &service.app.stores.admin;
    let id = world::create_in(service, admin_uid(), open_administration(service.app.now())).await;
    let path = DocPath::new(format!("administrations/{id}")).expect("a path");
    let complete = async || {
        let document = database.get(&path).await.expect("readable").expect("the administration");
        document.fields.get("syncStatus") == Some(&Value::from("complete"))
    };
    while !complete().await {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    settled().await;
    followed(database, "last-before").await;
    settled().await;
    let before = database.cost() + service.app.stores.assessment.cost();
    let began = Instant::now();
    for first in (0..students).step_by(BATCH) {
        database.commit(promotions(database, first..students.min(first + BATCH)).await).await.expect("promoted");
    }
    settled().await;
    let looks = followed(database, "last").await;
    let took = began.elapsed();
    let cost = database.cost() + service.app.stores.assessment.cost() - before;
    let each = |number: u64| number as f64 / students as f64;
    println!(
        "| {store} | {students} | {:.2} | {:.0} | {:.2} | {:.2} | {:.0} |",
        took.as_secs_f64(),
        students as f64 / took.as_secs_f64(),
        each(cost.reads - looks - students as u64),
        each(cost.writes + cost.deletes),
        shared::peak_mib(),
    );
}

/// The next grade for these students.
async fn promotions(database: &Database, students: std::ops::Range<usize>) -> Vec<Write> {
    let paths: Vec<DocPath> =
        students.map(|n| DocPath::in_collection("users", &District::student_id(n)).expect("a path")).collect();
    let grade = FieldPath::of(["studentData", "grade"]);
    let found = database.get_fields(&paths, Some(std::slice::from_ref(&grade))).await.expect("users");
    let promotion = |user: roar_functions::store::Document| {
        let grade_now = lookup(&user.fields, "studentData.grade").and_then(Value::as_str).unwrap_or_default();
        let next = grade_now.parse::<u8>().map_or_else(|_| "1".to_owned(), |grade| (grade + 1).to_string());
        Write::merge(user.path, fields! { "studentData" => fields! { "grade" => next } }, vec![grade.clone()])
    };
    found.into_iter().flatten().map(promotion).collect()
}
