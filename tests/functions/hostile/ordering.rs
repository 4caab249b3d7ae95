//! Hostile or not, things come at the worst moment: edits between a sync's beginning and its plan, orgs that go while
//! others move, students who never rest.

use firebase_emulators::eventually;
use roar_functions::fields;
use roar_functions::orgs::OrgType;
use roar_functions::runtime::{Task, Trigger};
use roar_functions::store::size::document_size;
use roar_functions::store::{FieldPath, Fields, Query, Value, Write, lookup};

use super::{field, of_tasks, path, school, tasks_of, update};
use crate::local::LocalWorld;
use crate::small::{administration, at, copy_of, orgs_of, student, task, write_orgs};
use crate::world::{assert_consistent, set};

const SECOND: std::time::Duration = std::time::Duration::from_secs(1);

fn class(id: &str) -> Fields {
    fields! { "name" => id, "archived" => false, "schoolId" => "S1", "districtId" => "D1" }
}

/// Delivers events, and runs no task.
async fn deliver(world: &LocalWorld) {
    loop {
        let events = world.events().await;
        if events.is_empty() {
            return;
        }
        for event in events {
            assert!(world.deliver(event).await);
        }
    }
}

/// One attempt at each waiting task of that function.
async fn attempt(world: &LocalWorld, name: &str) {
    for document in world.admin().query(Query::collection("functionTasks")).await.expect("tasks") {
        if document.fields["function"].as_str() != Some(name) {
            continue;
        }
        let function = world.service.runtime.registry().find(name).expect("in the index");
        let Trigger::Task(handler) = &function.trigger else { panic!("a task") };
        let payload = document.fields["payload"].as_map().expect("a payload").clone();
        let task = Task::new(document.path.clone(), payload, 1);
        handler(world.service.app.clone(), task).await.expect("an outcome");
    }
}

async fn fill(world: &LocalWorld, document: &str, name: &str) {
    let stored = world.get(document).await.expect("a document");
    let taken = document_size(&stored.path, &stored.fields) + name.len() + 1 + "junk".len() + 1 + 1;
    let junk = "x".repeat((1 << 20) - taken - 5);
    update(world, document, Fields::from([(name.to_owned(), Value::Map(fields! { "junk" => junk }))])).await;
    world.settle().await;
}

#[tokio::test]
async fn an_edit_before_a_narrowed_plan_reaches_everybody() {
    let world = school(5).await;
    world.service.queue.stop(SECOND).await;
    set(world.admin(), "classes/C9", class("C9")).await;
    deliver(&world).await;
    attempt(&world, "followOrg").await;
    deliver(&world).await;
    assert!(field(&world, "administrationSyncs/a", "only").await.is_some(), "it looks at one class");
    let edited = fields! { "assessments" => of_tasks(&["pa", "swr"])["assessments"].clone() };
    update(&world, "administrations/a", edited).await;
    let late = world.events().await;
    world.service.start_tasks();
    world.service.queue.idle().await;
    for event in late {
        assert!(world.deliver(event).await);
    }
    world.settle().await;
    assert_eq!(field(&world, "administrations/a", "syncStatus").await, Some("complete".into()));
    for n in 0..5 {
        assert_eq!(tasks_of(&world, &format!("s{n}")).await, ["pa", "swr"], "s{n}");
    }
    assert_consistent(world.admin(), "a").await;
}

/// A class that's archived and brought back begins no sync anew that's under way: another one follows.
#[tokio::test]
async fn a_class_that_is_toggled_keeps_no_sync_from_its_end() {
    let world = school(30).await;
    world.service.queue.stop(SECOND).await;
    let edited = fields! { "assessments" => of_tasks(&["pa", "swr"])["assessments"].clone() };
    update(&world, "administrations/a", edited).await;
    deliver(&world).await;
    let version = field(&world, "administrationSyncs/a", "version").await;
    for round in 0..6 {
        update(&world, "classes/C3", fields! { "archived" => round % 2 == 0 }).await;
        deliver(&world).await;
        attempt(&world, "followOrg").await;
        deliver(&world).await;
        assert_eq!(field(&world, "administrationSyncs/a", "version").await, version, "round {round}");
        attempt(&world, "planAdministrationSync").await;
    }
    for _ in 0..20 {
        for name in ["followOrg", "planAdministrationSync", "syncAdministrationChunk"] {
            attempt(&world, name).await;
            deliver(&world).await;
        }
    }
    assert_eq!(field(&world, "administrations/a", "syncStatus").await, Some("complete".into()));
    assert_eq!(tasks_of(&world, "s1").await, ["pa", "swr"]);
    assert_consistent(world.admin(), "a").await;
}

/// The one student is dealt with alone, in a transaction; classmates don't wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_student_who_never_rests_holds_up_nobody() {
    let world = school(120).await;
    let (database, stop) = (world.admin().clone(), std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false)));
    let stopped = stop.clone();
    let hostile = tokio::spawn(async move {
        let mut clicks = 0_i64;
        while !stopped.load(std::sync::atomic::Ordering::SeqCst) {
            clicks += 1;
            let mask = vec![FieldPath::top("clicks")];
            let write = Write::merge(path("users/s0/assignments/a"), fields! { "clicks" => clicks }, mask);
            let _ = database.commit(vec![write]).await;
            tokio::task::yield_now().await;
        }
    });
    let edited = fields! { "assessments" => of_tasks(&["pa", "swr"])["assessments"].clone() };
    update(&world, "administrations/a", edited).await;
    eventually(async || {
        for event in world.events().await {
            let _ = world.deliver(event).await;
        }
        let tasks = tasks_of(&world, "s1").await;
        if tasks == ["pa", "swr"] { Ok(()) } else { Err(format!("a classmate with {tasks:?}")) }
    })
    .await;
    stop.store(true, std::sync::atomic::Ordering::SeqCst);
    hostile.await.expect("ended");
    world.settle().await;
    assert_eq!(field(&world, "administrations/a", "syncStatus").await, Some("complete".into()));
}

#[tokio::test]
async fn a_sync_of_some_students_says_nothing_of_others_and_each_is_counted_once() {
    let world = school(4).await;
    fill(&world, "users/s0", "legal").await;
    set(world.admin(), "administrations/b", of_tasks(&["pa"])).await;
    world.settle().await;
    let told = Some(Value::Map(fields! { "count" => 1, "students" => Value::strings(["s0"]) }));
    assert_eq!(field(&world, "administrations/b", "syncProblems").await, told);
    set(world.admin(), "classes/C9", class("C9")).await;
    world.settle().await;
    assert!(world.get("users/s0/assignments/b").await.is_none());
    assert_eq!(field(&world, "administrations/b", "syncProblems").await, told, "it has none of it still");
}

async fn tree() -> LocalWorld {
    let world = LocalWorld::start().await;
    write_orgs(world.admin()).await;
    for (id, orgs) in [("u1", ["D1", "S1", "C1"]), ("u3", ["D1", "S2", "C3"])] {
        let fields = student(&orgs, "3");
        set(world.assessment(), &format!("users/{id}"), copy_of(&fields)).await;
        set(world.admin(), &format!("users/{id}"), fields).await;
    }
    world.settle().await;
    world
}

async fn current(world: &LocalWorld, user: &str) -> String {
    let user = world.get(&format!("users/{user}")).await.expect("a user").fields;
    let ids = OrgType::ALL.into_iter().flat_map(|org_type| {
        lookup(&user, &format!("{}.current", org_type.plural())).and_then(Value::as_string_list).unwrap_or_default()
    });
    let mut ids: Vec<String> = ids.collect();
    ids.sort();
    ids.join(" ")
}

#[tokio::test]
async fn a_class_that_takes_nothing_more_keeps_nobody_in_the_old_district() {
    let world = tree().await;
    set(world.admin(), "classes/C9", fields! { "name" => "C9", "archived" => false, "schoolId" => "S1" }).await;
    fill(&world, "classes/C9", "address").await;
    update(&world, "schools/S1", fields! { "districtId" => "D2" }).await;
    world.settle().await;
    assert_eq!(current(&world, "u1").await, "C1 D2 S1");
}

#[tokio::test]
async fn who_moves_out_of_an_org_that_goes_leaves_it_all_the_same() {
    let world = tree().await;
    update(&world, "classes/C3", fields! { "schoolId" => "S3" }).await;
    let events = world.events().await;
    for event in events {
        assert!(world.deliver(event).await);
    }
    world.admin().commit(vec![Write::delete(path("schools/S2"))]).await.expect("deleted");
    world.settle().await;
    assert_eq!(current(&world, "u3").await, "C3 D2 S3");
}

#[tokio::test]
async fn a_move_that_is_delivered_again_takes_nothing_that_was_given_since() {
    let world = tree().await;
    update(&world, "classes/C3", fields! { "schoolId" => "S3" }).await;
    let events = world.events().await;
    for event in events.clone() {
        assert!(world.deliver(event).await);
    }
    world.settle().await;
    assert_eq!(current(&world, "u3").await, "C3 D2 S3");
    world.clock.advance(jiff::SignedDuration::from_hours(1));
    update(&world, "users/u3", crate::small::org_maps(&["D1", "D2", "S2", "S3", "C3"], world.now())).await;
    world.settle().await;
    for event in events {
        assert!(world.deliver(event).await);
    }
    world.settle().await;
    assert_eq!(current(&world, "u3").await, "C3 D1 D2 S2 S3");
}

/// Whoever is above what an administration is assigned to reads it; and nobody who isn't any more.
#[tokio::test]
async fn readers_follow_what_is_above_the_assigned_org() {
    let world = tree().await;
    let group = fields! { "name" => "G", "archived" => false, "parentOrgType" => "school", "parentOrgId" => "S1" };
    set(world.admin(), "groups/G1", group).await;
    set(world.admin(), "users/g", student(&["D1", "S1", "G1"], "3")).await;
    world.settle().await;
    for (id, org) in [("g", "G1"), ("c", "C1")] {
        let fields = administration(&[org], vec![task("pa", None)], at("2026-12-01T00:00:00Z"));
        set(world.admin(), &format!("administrations/{id}"), fields).await;
    }
    world.settle().await;
    let readers = async |document: &str| orgs_of(&world.get(document).await.expect("a document"), "readOrgs");
    assert_eq!(readers("administrations/g").await, "D1 G1 S1");
    update(&world, "schools/S1", fields! { "districtId" => "D2" }).await;
    world.settle().await;
    assert_eq!(readers("administrations/g").await, "D2 G1 S1");
    assert_eq!(readers("users/g/assignments/g").await, "D2 G1 S1");
    assert_eq!(readers("administrations/c").await, "C1 D2 S1");
    world.admin().commit(vec![Write::delete(path("schools/S1"))]).await.expect("deleted");
    world.settle().await;
    assert_eq!(readers("administrations/c").await, "C1 D2");
}

/// Halving costs twice the page at most, not a page for each student.
#[tokio::test]
async fn a_full_document_makes_a_removal_little_dearer() {
    let mut costs = Vec::new();
    for is_full in [false, true] {
        let world = school(120).await;
        if is_full {
            fill(&world, "users/s99", "legal").await;
        }
        let before = world.admin().cost();
        world.admin().commit(vec![Write::delete(path("administrations/a"))]).await.expect("deleted");
        world.settle().await;
        costs.push((world.admin().cost() - before).reads);
    }
    assert!(costs[1] < 4 * costs[0], "{costs:?}");
}
