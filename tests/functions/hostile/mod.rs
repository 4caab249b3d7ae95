//! What clients may write in their own documents must not stop, swell or steer the service for anybody else. The rules
//! (`firestore.rules`) refuse most of it; here it's in the store all the same, as where it was written before.

mod consent;
mod counts;
mod moves;
mod ordering;
mod orgs;
mod runs;
mod sync;

use roar_functions::fields;
use roar_functions::reconcile::{Options, Report, reconcile_one};
use roar_functions::store::{DocPath, FieldPath, Fields, Value, Write};

use crate::local::LocalWorld;
use crate::small::{administration, at, copy_of, student, task, write_orgs};
use crate::world::set;

fn path(text: &str) -> DocPath {
    DocPath::new(text).expect("a path")
}

/// Students `s0` to `s(n-1)` of a class, of whom `s0` is hostile, and an administration `a` of a task.
async fn school(students: usize) -> LocalWorld {
    let world = LocalWorld::start().await;
    write_orgs(world.admin()).await;
    for n in 0..students {
        let fields = student(&["D1", "S1", "C1"], "3");
        set(world.assessment(), &format!("users/s{n}"), copy_of(&fields)).await;
        set(world.admin(), &format!("users/s{n}"), fields).await;
    }
    set(world.admin(), "administrations/a", of_tasks(&["pa"])).await;
    world.settle().await;
    world
}

fn of_tasks(tasks: &[&str]) -> Fields {
    administration(&["D1"], tasks.iter().map(|of| task(of, None)).collect(), at("2026-12-01T00:00:00Z"))
}

/// Writes fields of a document, as a client's update does.
async fn update(world: &LocalWorld, document: &str, changed: Fields) {
    let mask = changed.keys().map(FieldPath::top).collect();
    world.admin().commit(vec![Write::merge(path(document), changed, mask)]).await.expect("written");
}

/// The administration's tasks change: everybody is synced again.
async fn assign(world: &LocalWorld, tasks: &[&str]) {
    update(world, "administrations/a", fields! { "assessments" => of_tasks(tasks)["assessments"].clone() }).await;
    world.settle().await;
}

/// Adds entries to a student's assignment.
async fn add_entries(world: &LocalWorld, student: &str, entries: impl IntoIterator<Item = Fields>) {
    let document = format!("users/{student}/assignments/a");
    let stored = world.get(&document).await.expect("an assignment").fields;
    let mut all = stored["assessments"].as_array().expect("a list").to_vec();
    all.extend(entries.into_iter().map(Value::Map));
    update(world, &document, fields! { "assessments" => all }).await;
    world.settle().await;
}

/// The tasks of a student's assignment, in order.
async fn tasks_of(world: &LocalWorld, student: &str) -> Vec<String> {
    let Some(assignment) = world.get(&format!("users/{student}/assignments/a")).await else { return Vec::new() };
    let entries = assignment.fields["assessments"].as_array().expect("a list").to_vec();
    entries.iter().map(|entry| entry.as_map().unwrap()["taskId"].as_str().unwrap().to_owned()).collect()
}

async fn field(world: &LocalWorld, document: &str, name: &str) -> Option<Value> {
    world.get(document).await.and_then(|document| document.fields.get(name).cloned())
}

async fn reconciled(world: &LocalWorld, fix: bool) -> Report {
    let options = Options { fix, patience: std::time::Duration::ZERO };
    let report = reconcile_one(&world.service.app, "a", &options, &|_| {}).await.expect("a store that answers");
    world.settle().await;
    report.expect("a trace of it")
}
