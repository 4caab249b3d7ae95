//! A sync of an administration goes on for everybody but the one whose documents take nothing more.

use roar_functions::administrations::definitions::Definitions;
use roar_functions::fields;
use roar_functions::reconcile::report::Kind;
use roar_functions::store::size::document_size;
use roar_functions::store::{FieldPath, Fields, Value, Write};

use super::{add_entries, assign, field, path, reconciled, school, tasks_of, update};
use crate::local::LocalWorld;
use crate::small::at;
use crate::world::assert_consistent;

const STUDENTS: usize = 40;

fn begun(task: &str) -> Fields {
    fields! { "taskId" => task, "startedOn" => at("2026-09-20T00:00:00Z") }
}

/// Fills a field of a document until it takes `room` bytes more, and no other.
async fn fill(world: &LocalWorld, document: &str, name: &str, room: usize) {
    let stored = world.get(document).await.expect("a document");
    let taken = document_size(&stored.path, &stored.fields) + name.len() + 1 + "junk".len() + 1 + 1;
    let junk = "x".repeat((1 << 20) - taken - room);
    update(world, document, Fields::from([(name.to_owned(), Value::Map(fields! { "junk" => junk }))])).await;
}

#[tokio::test]
async fn an_invented_task_that_cant_be_a_key_stops_nobody() {
    for task in ["__x__", "--x--", "_-x_-", "", "a".repeat(1501).as_str()] {
        let world = school(STUDENTS).await;
        add_entries(&world, "s0", [begun(task)]).await;
        assign(&world, &["pa", "swr"]).await;
        assert_eq!(field(&world, "administrations/a", "syncStatus").await, Some("complete".into()), "{task}");
        assert_eq!(field(&world, "administrations/a", "syncProblems").await, None, "{task}");
        for n in 1..STUDENTS {
            assert_eq!(tasks_of(&world, &format!("s{n}")).await, ["pa", "swr"], "{task}");
        }
        assert_eq!(tasks_of(&world, "s0").await, ["pa", "swr", task], "begun entries stay where they are");
        assert_consistent(world.admin(), "a").await;
        assert!(reconciled(&world, false).await.agrees, "{task}");
    }
}

#[tokio::test]
async fn a_document_that_takes_nothing_more_is_passed_over_and_noted() {
    // What the student's document has no room for isn't asked of it here; the assignment takes no further task.
    for (document, name, is_stopped) in
        [("users/s0", "legal", false), ("users/s0", "consent", false), ("users/s0/assignments/a", "junk", true)]
    {
        let world = school(STUDENTS).await;
        fill(&world, document, name, 5).await;
        world.settle().await;
        let before = world.get("users/s0/assignments/a").await;
        assign(&world, &["pa", "swr"]).await;
        assert_eq!(field(&world, "administrations/a", "syncStatus").await, Some("complete".into()), "{name}");
        for n in 1..STUDENTS {
            assert_eq!(tasks_of(&world, &format!("s{n}")).await, ["pa", "swr"], "{name}");
        }
        assert_eq!(world.get("users/s0/assignments/a").await == before, is_stopped, "{name}");
        let told = fields! { "count" => 1, "students" => Value::strings(["s0"]) };
        let told = is_stopped.then_some(Value::Map(told));
        assert_eq!(field(&world, "administrations/a", "syncProblems").await, told);
        assert_consistent(world.admin(), "a").await;
    }
}

/// A new administration reaches everybody in the school but the one who filled the own document; and that one, too, as
/// soon as there is room again and the administration is saved once more.
#[tokio::test]
async fn who_fills_the_own_document_is_the_only_one_without_a_new_administration() {
    let world = school(STUDENTS).await;
    fill(&world, "users/s0", "legal", 5).await;
    world.settle().await;
    let mut second = super::of_tasks(&["pa"]);
    second.insert("name".to_owned(), "Second".into());
    crate::world::set(world.admin(), "administrations/b", second).await;
    world.settle().await;
    assert_eq!(field(&world, "administrations/b", "syncStatus").await, Some("complete".into()));
    let told = fields! { "count" => 1, "students" => Value::strings(["s0"]) };
    assert_eq!(field(&world, "administrations/b", "syncProblems").await, Some(Value::Map(told)));
    assert!(world.get("users/s0/assignments/b").await.is_none());
    for n in 1..STUDENTS {
        assert!(world.get(&format!("users/s{n}/assignments/b")).await.is_some(), "s{n}");
    }
    assert_consistent(world.admin(), "b").await;
    assert_eq!(Definitions::of(&world.service.app).refused(), 1, "what the metrics show");
    let of_b = async |fix| {
        let options = roar_functions::reconcile::Options { fix, patience: std::time::Duration::ZERO };
        let app = &world.service.app;
        roar_functions::reconcile::reconcile_one(app, "b", &options, &|_| {}).await.expect("answers").expect("a trace")
    };
    for fix in [false, true] {
        let report = of_b(fix).await;
        let kinds = &report.administrations[0].kinds;
        assert_eq!((kinds[&Kind::NotStored].found, kinds[&Kind::NotStored].fixed), (1, 0), "{fix}: {kinds:?}");
        assert!(!report.agrees);
    }
    // There's room again.
    let cleared = Write::merge(path("users/s0"), Fields::new(), vec![FieldPath::top("legal")]);
    world.admin().commit(vec![cleared]).await.expect("written");
    update(&world, "administrations/b", fields! { "name" => "Second, again" }).await;
    world.settle().await;
    assert!(world.get("users/s0/assignments/b").await.is_some());
    assert_eq!(field(&world, "administrations/b", "syncProblems").await, None);
    assert!(
        world
            .admin()
            .query(roar_functions::store::Query::collection("administrationSyncs/b/problems"))
            .await
            .expect("notes")
            .is_empty()
    );
    assert!(of_b(false).await.agrees);
    // Deleted, an administration leaves no note behind.
    fill(&world, "users/s0", "legal", 5).await;
    world.settle().await;
    world.admin().commit(vec![Write::delete(path("administrations/b"))]).await.expect("deleted");
    world.settle().await;
    assert!(world.get("users/s0/assignments/b").await.is_none(), "a full document doesn't keep a deletion");
    assert!(world.get("users/s1/assignments/b").await.is_none());
    assert!(world.get("administrationSyncs/b").await.is_none());
}

/// One page in three has somebody whose document is full: what that costs the others.
#[tokio::test]
async fn what_passing_over_costs() {
    let world = school(200).await;
    fill(&world, "users/s0", "legal", 5).await;
    world.settle().await;
    let mut second = super::of_tasks(&["pa"]);
    second.insert("name".to_owned(), "Second".into());
    let before = (world.admin().cost(), world.assessment().cost());
    crate::world::set(world.admin(), "administrations/b", second).await;
    world.settle().await;
    let spent = world.admin().cost() - before.0;
    assert_eq!(world.assessment().cost(), before.1);
    // Refused commits aren't billed; halving makes a few commits more, with counts and progress of their own.
    assert!(spent.reads <= 200 + 60 && spent.writes <= 2 * 200 + 120, "{spent:?}");
    let _ = reconciled(&world, false).await;
}
