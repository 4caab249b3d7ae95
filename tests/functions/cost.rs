//! The costs of operations in billed reads and writes, which are part of the service's contract.

use roar_functions::store::{Cost, Value};
use roar_functions::{demo::play, fields};

use crate::local::LocalWorld;
use crate::scenario::{create, merge};
use crate::world::{assert_consistent, fill};

const N: u64 = 1000;

fn at_most(cost: Cost, reads: f64, writes: f64) {
    let n = N as f64;
    assert!(cost.reads as f64 <= reads * n, "{cost:?}: more than {reads} reads a student");
    assert!((cost.writes + cost.deletes) as f64 <= writes * n, "{cost:?}: more than {writes} writes a student");
}

/// Runs a step and everything that follows from it, and says what it cost.
async fn cost_of(world: &LocalWorld, step: impl Future<Output = ()>) -> Cost {
    let before = world.admin().cost();
    step.await;
    world.settle().await;
    world.admin().cost() - before
}

#[tokio::test]
async fn a_district_of_1000_students() {
    let world = LocalWorld::start().await;
    fill(world.admin(), N as usize).await;
    world.settle().await;

    let before = world.admin().cost();
    let id = create(&world).await;
    world.settle().await;
    let creating = world.admin().cost() - before;
    println!("creating: {creating:?}");
    at_most(creating, 1.2, 2.2);
    assert_consistent(world.admin(), &id).await;
    let path = format!("administrations/{id}");

    // Progress, tags: nothing that an assignment holds.
    let nothing = cost_of(&world, merge(&world, &path, fields! { "tags" => Value::strings(["new"]) })).await;
    println!("changing tags: {nothing:?}");
    assert_eq!(nothing, Cost { reads: 0, writes: 1, deletes: 0 });

    // Another way to say the same conditions: it matters to nobody.
    let document = world.get(&path).await.expect("the administration");
    let same = edited(&document.fields["assessments"], |assessment| {
        assessment.insert("note".to_owned(), Value::from("only for admins"));
    });
    let updates = world.get("users/student-000001").await.expect("a student").update_time;
    let nobody = cost_of(&world, merge(&world, &path, fields! { "assessments" => same })).await;
    println!("changing nothing for anybody: {nobody:?}");
    assert!(nobody.writes + nobody.deletes <= 100, "{nobody:?}: no assignment is written");
    assert_eq!(world.get("users/student-000001").await.expect("a student").update_time, updates);

    let document = world.get(&path).await.expect("the administration");
    let one = edited(&document.fields["assessments"], |assessment| {
        if assessment["taskId"] == Value::from("pa") {
            assessment.insert("params".to_owned(), Value::Map(fields! { "userMode" => "longer" }));
            assessment.remove("conditions");
        }
    });
    let changing = cost_of(&world, merge(&world, &path, fields! { "assessments" => one })).await;
    println!("changing one assessment: {changing:?}");
    at_most(changing, 2.2, 1.2);
    assert_consistent(world.admin(), &id).await;
    assert_eq!(world.store.scans(), Vec::<String>::new(), "every query has an index");
}

fn edited(assessments: &Value, edit: impl Fn(&mut roar_functions::store::Fields)) -> Value {
    let mut assessments = assessments.as_array().expect("a list").to_vec();
    for assessment in &mut assessments {
        let Value::Map(assessment) = assessment else { panic!("a map") };
        edit(assessment);
    }
    Value::Array(assessments)
}

/// A student's step costs the same whatever the size of the district, and its repetition costs no further writes.
#[tokio::test]
async fn a_students_step() {
    let world = LocalWorld::start().await;
    crate::scenario::fill(&world).await;
    let id = create(&world).await;
    world.settle().await;
    let path = crate::scenario::assignment(0, &id);
    // The client's own transaction is one read and one write. The event: the assignment is read; it,
    // the student, and the counts of school, class, district and all are written.
    let table = [
        (play::Step::Start(0), Cost { reads: 2, writes: 7, deletes: 0 }),
        // Another task moves no list of the student.
        (play::Step::Start(1), Cost { reads: 2, writes: 6, deletes: 0 }),
    ];
    for (step, expected) in table {
        let played = async { play::play(world.admin(), &path, step, world.now()).await.expect("a step") };
        assert_eq!(cost_of(&world, played).await, expected, "{step:?}");
    }
    let before = world.admin().cost();
    play::play(world.admin(), &path, play::Step::Complete(0), world.now()).await.expect("a step");
    let events = world.events().await;
    for event in events.iter().chain(&events).chain(&events) {
        assert!(world.deliver(event.clone()).await);
    }
    let repeated = world.admin().cost() - before;
    // Twice an assignment is read in vain.
    assert_eq!(repeated, Cost { reads: 4, writes: 6, deletes: 0 });
    world.settle().await;
    assert_consistent(world.admin(), &id).await;
}
