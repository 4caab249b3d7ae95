//! Archives of deleted documents.

use roar_functions::fields;
use roar_functions::store::{Cost, Database, DocPath, Document, Fields, Query, Value, Write};

use crate::local::LocalWorld;
use crate::scenario::{STUDENTS, assignment, create, fill};
use crate::world::{assert_consistent, assignments, set};

async fn get(database: &Database, path: &str) -> Option<Document> {
    database.get(&DocPath::new(path).expect("a path")).await.expect("readable")
}

async fn delete(database: &Database, path: &str) {
    database.commit(vec![Write::delete(DocPath::new(path).expect("a path"))]).await.expect("deleted");
}

#[tokio::test]
async fn the_last_state_of_what_is_deleted_is_kept() {
    let world = LocalWorld::start().await;
    let (admin, assessment) = (world.admin(), world.assessment());
    let table = [
        (admin, "users/u", "deleted-users/u"),
        (admin, "users/u/assignments/a", "deleted-users/u/deleted-assignments/a"),
        (admin, "users/u/externalData/clever", "deleted-users/u/deleted-externalData/clever"),
        (assessment, "users/u", "deleted-users/u"),
        (assessment, "users/u/runs/r", "deleted-users/u/deleted-runs/r"),
        (assessment, "users/u/runs/r/trials/t", "deleted-users/u/deleted-runs/r/deleted-trials/t"),
        (assessment, "guests/g", "deleted-guests/g"),
        (assessment, "guests/g/runs/r", "deleted-guests/g/deleted-runs/r"),
        (assessment, "guests/g/runs/r/trials/t", "deleted-guests/g/deleted-runs/r/deleted-trials/t"),
    ];
    for (database, path, archive) in table {
        let mut deleted_at = None;
        for round in 0..2 {
            // The second life has other fields: the archive is replaced.
            let last = fields! { "nested" => fields! { "round" => round }, format!("only{round}") => Value::Null };
            set(database, path, fields! { "first" => round }).await;
            set(database, path, last.clone()).await;
            world.settle().await;
            // Other functions may have added to it.
            let last = get(database, path).await.expect(path).fields;
            assert!(last.contains_key("nested") && !last.contains_key("first"));
            assert_eq!(get(database, archive).await.is_some(), round == 1, "{path} isn't deleted yet");
            delete(database, path).await;
            world.settle().await;
            let mut kept = get(database, archive).await.expect(archive).fields;
            let went = kept.remove("deletedAt").and_then(|at| at.as_timestamp()).expect("when it was deleted");
            assert!(deleted_at.is_none_or(|before| before < went));
            deleted_at = Some(went);
            assert_eq!(kept, last, "{path}");
            assert_eq!(get(database, path).await, None);
        }
    }
    // No parent came to life, and nothing went into the other database.
    assert_eq!(admin.query(Query::collection("deleted-guests")).await.expect("readable"), []);
    set(admin, "users/v/externalData/clever", fields! {}).await;
    delete(admin, "users/v/externalData/clever").await;
    world.settle().await;
    assert!(get(admin, "deleted-users/v/deleted-externalData/clever").await.is_some());
    assert_eq!(get(admin, "deleted-users/v").await, None);
}

#[tokio::test]
async fn a_password_is_not_kept() {
    let world = LocalWorld::start().await;
    set(world.admin(), "users/u", fields! { "userType" => "educator", "password" => "secret" }).await;
    delete(world.admin(), "users/u").await;
    world.settle().await;
    let kept = get(world.admin(), "deleted-users/u").await.expect("an archive").fields;
    assert_eq!(kept.keys().collect::<Vec<_>>(), ["deletedAt", "userType"]);
}

#[tokio::test]
async fn what_an_archive_costs() {
    let world = LocalWorld::start().await;
    // The queue looks for tasks at its start.
    world.settle().await;
    let cost = |reads, writes| Cost { reads, writes, deletes: 0 };
    let path = "guests/g/runs/r";
    let mut lives = Vec::new();
    for life in 0..3 {
        set(world.assessment(), path, fields! { "life" => life }).await;
        delete(world.assessment(), path).await;
        lives.extend(world.events().await);
    }
    assert_eq!(lives.len(), 3, "only deletions set it off");
    let table = [
        (1, cost(0, 1), 1, "the first deletion that's told of"),
        (1, cost(1, 0), 1, "the same event again"),
        (0, cost(1, 0), 1, "an older deletion"),
        (2, cost(1, 1), 2, "a later one"),
        (2, cost(1, 0), 2, "the same event again"),
        (1, cost(1, 0), 2, "an older deletion"),
    ];
    for (life, expected, kept, what) in table {
        let before = world.assessment().cost() + world.admin().cost();
        assert!(world.deliver(lives[life].clone()).await);
        assert_eq!(world.assessment().cost() + world.admin().cost() - before, expected, "{what}");
        let archive = get(world.assessment(), "deleted-guests/g/deleted-runs/r").await.expect("an archive");
        assert_eq!(archive.fields["life"], Value::Integer(kept), "{what}");
        assert_eq!(archive.fields["deletedAt"], Value::Timestamp(lives[kept as usize].1.time), "{what}");
    }
    assert_eq!(world.events().await.len(), 0, "an archive sets nothing off");
}

/// Archives written by the functions that this service replaces don't have the time of the deletion.
#[tokio::test]
async fn an_archive_of_an_older_backend_is_replaced() {
    let world = LocalWorld::start().await;
    set(world.assessment(), "deleted-guests/g", fields! { "old" => true }).await;
    set(world.assessment(), "guests/g", fields! { "new" => true }).await;
    delete(world.assessment(), "guests/g").await;
    world.settle().await;
    let kept = get(world.assessment(), "deleted-guests/g").await.expect("an archive").fields;
    assert_eq!(kept.keys().collect::<Vec<_>>(), ["deletedAt", "new"]);
}

/// Several deletions of one path, whose events are delivered concurrently.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_deletions_at_once_the_last_is_kept() {
    let world = LocalWorld::start().await;
    for n in 0..50 {
        let path = format!("guests/g{n}");
        for life in 0..4 {
            set(world.assessment(), &path, fields! { "life" => life }).await;
            delete(world.assessment(), &path).await;
        }
        let events = world.events().await;
        let deliveries = events.iter().chain(&events).map(|event| world.deliver(event.clone()));
        assert!(futures::future::join_all(deliveries).await.into_iter().all(|done| done));
        let kept = get(world.assessment(), &format!("deleted-{path}")).await.expect("an archive").fields;
        assert_eq!(kept["life"], Value::Integer(3));
    }
}

/// Documents that this service deletes are archived as well, at one more write for each assignment.
#[tokio::test]
async fn the_assignments_of_a_deleted_administration_are_archived() {
    let world = LocalWorld::start().await;
    fill(&world).await;
    let id = create(&world).await;
    world.settle().await;
    let last: Vec<Fields> = assignments(world.admin(), &id).await.into_iter().map(|found| found.fields).collect();
    assert_eq!(last.len(), STUDENTS);
    delete(world.admin(), &format!("administrations/{id}")).await;
    world.settle().await;
    assert_eq!(assignments(world.admin(), &id).await, []);
    let archives = world.admin().query(Query::group("deleted-assignments")).await.expect("archives");
    let kept = archives.into_iter().map(|archive| {
        let mut fields = archive.fields;
        fields.remove("deletedAt").expect("when it was deleted");
        fields
    });
    assert_eq!(kept.collect::<Vec<_>>(), last);
    let costs = world.service.runtime.costs();
    let archiving = costs["softDeleteUserAssignment"].cost;
    // The deletions' own commits have archived them.
    assert_eq!(archiving, Cost { reads: STUDENTS as u64, writes: 0, deletes: 0 });
    assert_consistent(world.admin(), &id).await;

    // And those that go with their user.
    let id = create(&world).await;
    world.settle().await;
    let path = assignment(3, &id);
    let user = path.parent().expect("a user");
    delete(world.admin(), user.as_str()).await;
    world.settle().await;
    assert_eq!(get(world.admin(), path.as_str()).await, None);
    let archive = format!("deleted-users/{}/deleted-assignments/{id}", user.id());
    assert!(get(world.admin(), &archive).await.is_some());
    assert!(get(world.admin(), &format!("deleted-users/{}", user.id())).await.is_some());
    assert_consistent(world.admin(), &id).await;
}
