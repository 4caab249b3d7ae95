//! Runs are made by clients, as many as they like: what an event of one costs has a bound, and the best one counts.

use roar_functions::fields;
use roar_functions::runs::load::MOST_OF_TASK;
use roar_functions::store::{Fields, Query, Value, Write, lookup};

use super::{field, path, reconciled, school};
use crate::local::LocalWorld;
use crate::small::at;
use crate::world::assert_consistent;

fn run(task: &str, completed: bool, attempted: i64) -> Fields {
    fields! {
        "assignmentId" => "a",
        "taskId" => task,
        "completed" => completed,
        "timeStarted" => at("2026-09-20T00:00:00Z"),
        "timeFinished" => at("2026-09-20T01:00:00Z"),
        "scores" => fields! {
            "raw" => fields! { "composite" => fields! { "test" => fields! {
                "numAttempted" => attempted, "junk" => "x".repeat(1000)
            } } },
            "computed" => fields! { "composite" => fields! { "junk" => "x".repeat(1000) } },
        },
    }
}

async fn put(world: &LocalWorld, id: &str, run: Fields) {
    let write = Write::set(path(&format!("users/s0/runs/{id}")), run);
    world.assessment().commit(vec![write]).await.expect("written");
}

async fn best(world: &LocalWorld) -> Vec<String> {
    let marked = Query::collection("users/s0/runs").equal("bestRun", true);
    world.assessment().query(marked).await.expect("runs").iter().map(|run| run.id().to_owned()).collect()
}

async fn run_of_assignment(world: &LocalWorld) -> (Value, usize) {
    let entries = field(world, "users/s0/assignments/a", "assessments").await.expect("a list");
    let entry = entries.as_array().unwrap()[0].as_map().unwrap().clone();
    (entry["runId"].clone(), entry["allRunIds"].as_array().unwrap().len())
}

#[tokio::test]
async fn what_an_event_of_a_run_costs_has_a_bound() {
    let world = school(2).await;
    let bound = 2 * (MOST_OF_TASK as u64 + 3) + 10;
    let mut dearest = 0;
    for n in 0..MOST_OF_TASK + 60 {
        put(&world, &format!("r{n:04}"), run("pa", false, n as i64)).await;
        let before = (world.admin().cost(), world.assessment().cost());
        for event in world.events().await {
            assert!(world.deliver(event).await);
        }
        let spent = (world.admin().cost() - before.0, world.assessment().cost() - before.1);
        dearest = dearest.max(spent.0.reads + spent.1.reads);
        assert!(spent.0.reads <= 10 && spent.1.reads <= bound - 10, "run {n}: {spent:?}");
        world.settle().await;
    }
    assert!(dearest > MOST_OF_TASK as u64, "there are enough runs to reach the bound");
    // The best one counts, though it's the last.
    let last = format!("r{:04}", MOST_OF_TASK + 59);
    assert_eq!(best(&world).await, std::slice::from_ref(&last));
    assert_eq!(run_of_assignment(&world).await, (last.as_str().into(), MOST_OF_TASK + 1));
    put(&world, "z-completed", run("pa", true, 1)).await;
    world.settle().await;
    put(&world, "zz-worse", run("pa", false, 1)).await;
    world.settle().await;
    assert_eq!(best(&world).await, ["z-completed"]);
    assert_eq!(run_of_assignment(&world).await, ("z-completed".into(), MOST_OF_TASK + 1));
    assert_consistent(world.admin(), "a").await;
    let report = reconciled(&world, false).await;
    assert!(report.agrees, "{report:?}");
    // When it goes, the best of the first takes its place.
    world.assessment().commit(vec![Write::delete(path("users/s0/runs/z-completed"))]).await.expect("deleted");
    world.settle().await;
    let (first, _) = run_of_assignment(&world).await;
    assert_eq!(best(&world).await, [first.as_str().unwrap()]);
    assert!(reconciled(&world, false).await.agrees);
}

/// A correction of a birth, or a move, goes through all runs, a page at a time, and reads nothing of scores.
#[tokio::test]
async fn a_move_goes_through_many_runs() {
    let world = school(2).await;
    for n in 0..70 {
        put(&world, &format!("r{n:04}"), run(&format!("invented-{n}"), false, 1)).await;
    }
    world.settle().await;
    let moved = crate::small::org_maps(&["D1", "S1", "C2"], world.now());
    super::update(&world, "users/s0", moved).await;
    world.settle().await;
    for n in [0, 35, 69] {
        let run =
            world.assessment().get(&path(&format!("users/s0/runs/r{n:04}"))).await.expect("readable").expect("a run");
        assert_eq!(lookup(&run.fields, "assigningOrgs.classes"), Some(&Value::strings(["C2"])), "{n}");
    }
}

/// A score that's no score isn't copied.
#[tokio::test]
async fn a_score_that_is_a_book_is_not_copied() {
    let world = school(2).await;
    let mut huge = run("pa", true, 1);
    huge.insert(
        "scores".to_owned(),
        Value::Map(fields! { "computed" => fields! {
            "composite" => fields! { "percentile" => "x".repeat(600_000), "roarScore" => "x".repeat(300_000) }
        } }),
    );
    huge.insert("userData".to_owned(), Value::Map(fields! { "schoolLevel" => "elementary" }));
    put(&world, "r1", huge).await;
    world.settle().await;
    assert_eq!(best(&world).await, ["r1"]);
    assert_eq!(run_of_assignment(&world).await, ("r1".into(), 1));
}
