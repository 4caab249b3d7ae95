//! Counts have the administration's tasks, whatever students write into their own assignments.

use roar_functions::fields;
use roar_functions::reconcile::report::Kind;
use roar_functions::store::{Fields, Precondition, Query, Value, Write};

use super::{add_entries, assign, field, path, reconciled, school, update};
use crate::local::LocalWorld;
use crate::small::at;
use crate::world::assert_consistent;

async fn blocks(world: &LocalWorld) -> Vec<String> {
    let stats = world.admin().query(Query::collection("administrations/a/stats")).await.expect("counts");
    let mut names: Vec<String> = stats.iter().flat_map(|document| document.fields.keys().cloned()).collect();
    names.sort();
    names.dedup();
    names
}

fn begun(task: &str) -> Fields {
    fields! { "taskId" => task, "startedOn" => at("2026-09-20T00:00:00Z"), "completedOn" => at("2026-09-21T00:00:00Z") }
}

#[tokio::test]
async fn invented_tasks_are_counted_nowhere() {
    let world = school(3).await;
    for round in 0..20 {
        add_entries(&world, "s0", (0..20).map(|n| begun(&format!("invented-{round}-{n}")))).await;
    }
    add_entries(&world, "s0", [begun("updatedAt"), begun("assignment"), begun("pa"), begun("pa")]).await;
    assert_eq!(blocks(&world).await, ["assignment", "pa", "updatedAt"]);
    assert_consistent(world.admin(), "a").await;
    assign(&world, &["pa", "swr"]).await;
    assert_eq!(blocks(&world).await, ["assignment", "pa", "swr", "updatedAt"]);
    let total = world.get("administrations/a/stats/total").await.expect("counts").fields;
    let pa = fields! { "assigned" => 3, "started" => 1, "completed" => 1 };
    assert_eq!(total["pa"], Value::Map(pa), "a task counts once, however many entries it has");
    assert!(reconciled(&world, false).await.agrees);
}

/// What older versions of the service, or the functions before it, let in.
#[tokio::test]
async fn reconcile_removes_what_was_let_in_before() {
    let world = school(3).await;
    let zero = || Value::Map(fields! { "assigned" => 0, "started" => 0, "completed" => 0 });
    let one = || Value::Map(fields! { "assigned" => 1, "started" => 1 });
    for key in ["total", "D1", "S1", "C1"] {
        let stats = format!("administrations/a/stats/{key}");
        update(&world, &stats, fields! { "old-zero" => zero(), "old-one" => one() }).await;
    }
    let assignment = world.get("users/s0/assignments/a").await.expect("an assignment").fields;
    let mut entries = assignment["assessments"].as_array().expect("a list").to_vec();
    entries.push(Value::Map(fields! { "taskId" => "old-one", "startedOn" => at("2026-09-20T00:00:00Z") }));
    let mut counted = assignment["counted"].as_map().expect("a record").clone();
    let Some(Value::Map(tasks)) = counted.get_mut("tasks") else { panic!("tasks on record") };
    tasks.insert("old-one".to_owned(), Value::Array(vec![1.into(), 1.into(), 0.into()]));
    update(&world, "users/s0/assignments/a", fields! { "assessments" => entries, "counted" => counted }).await;
    world.settle().await;

    let report = reconciled(&world, false).await;
    let kinds = &report.administrations[0].kinds;
    assert_eq!((kinds[&Kind::RecordDiffers].found, kinds[&Kind::CountsIdle].found), (1, 4), "{kinds:?}");
    let report = reconciled(&world, true).await;
    assert!(report.administrations[0].kinds.values().all(|tally| tally.found == tally.fixed));
    assert_eq!(blocks(&world).await, ["assignment", "pa", "updatedAt"]);
    assert_consistent(world.admin(), "a").await;
    assert!(reconciled(&world, false).await.agrees);
}

/// A document of counts that older versions let be filled to its limit: the next sync makes room.
#[tokio::test]
async fn counts_that_are_full_of_zeros_stop_no_sync() {
    let world = school(3).await;
    let zero = |n: usize| (format!("invented-{n:06}"), Value::Map(fields! { "assigned" => 0, "started" => 0 }));
    for key in ["total", "C1"] {
        let document = world.get(&format!("administrations/a/stats/{key}")).await.expect("counts");
        let mut fields = document.fields.clone();
        let mut n = 0;
        while roar_functions::store::size::document_size(&document.path, &fields) < (1 << 20) - 60 {
            fields.extend((n..n + 50).map(zero));
            n += 50;
            if roar_functions::store::size::document_size(&document.path, &fields) > (1 << 20) - 5000 {
                break;
            }
        }
        let taken = roar_functions::store::size::document_size(&document.path, &fields);
        fields.insert("junk".to_owned(), Value::from("x".repeat((1 << 20) - taken - 16)));
        world
            .admin()
            .commit(vec![Write::set(document.path.clone(), fields).when(Precondition::Exists)])
            .await
            .expect("full");
    }
    assign(&world, &["pa", "swr"]).await;
    assert_eq!(field(&world, "administrations/a", "syncStatus").await, Some("complete".into()));
    assert_eq!(field(&world, "administrations/a", "syncProblems").await, None);
    assert_eq!(blocks(&world).await, ["assignment", "junk", "pa", "swr", "updatedAt"]);
    assert_consistent(world.admin(), "a").await;
    let _ = path("administrations/a");
}
