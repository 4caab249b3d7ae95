//! Regressions of the functions that this service replaces, with one test for each; and other races.

use roar_functions::demo::play::{Step, play};
use roar_functions::fields;
use roar_functions::runtime::{HandlerError, Task, TaskOutcome, Trigger};
use roar_functions::store::{DocPath, Query, Value, Write};

use crate::local::LocalWorld;
use crate::scenario::{STUDENTS, assignment, create, delete, edit_tasks, fill, keep_one_school, merge, study};
use crate::world::{admin_uid, assert_consistent, assignments, open_administration, set};

/// Runs the task in a document as the queue would, past the queue.
async fn attempt(
    world: &LocalWorld,
    path: &DocPath,
    fields: &roar_functions::store::Fields,
) -> Result<TaskOutcome, HandlerError> {
    let name = fields["function"].as_str().expect("a function");
    let function = world.service.runtime.registry().find(name).expect("it's in the index");
    let Trigger::Task(handler) = &function.trigger else { panic!("a task") };
    let payload = fields["payload"].as_map().expect("a payload").clone();
    handler(world.service.app.clone(), Task::new(path.clone(), payload, 1)).await
}

async fn run_task(world: &LocalWorld, path: &DocPath, fields: &roar_functions::store::Fields) -> TaskOutcome {
    attempt(world, path, fields).await.expect("the task runs")
}

/// Runs an attempt at a stored task as the queue does: a finished one is removed, and one that may succeed later is
/// left for its next attempt (its administration is deleted, say, and the event of that is still to come).
pub async fn run_task_to_its_end(world: &LocalWorld, task: &roar_functions::store::Document) {
    match attempt(world, &task.path, &task.fields).await {
        Ok(TaskOutcome::Finished) => {
            world.admin().commit(vec![Write::delete(task.path.clone())]).await.expect("removed");
        }
        Ok(_) | Err(HandlerError::Transient(_)) => {}
        Err(error) => panic!("the task can't be done: {error}"),
    }
}

/// A world whose queue is stopped, so that the test runs its tasks.
async fn paused() -> LocalWorld {
    let world = LocalWorld::start().await;
    fill(&world).await;
    // What follows from the orgs themselves is done.
    world.settle().await;
    world.service.queue.stop(std::time::Duration::from_secs(5)).await;
    world
}

pub async fn tasks(world: &LocalWorld) -> Vec<roar_functions::store::Document> {
    world.admin().query(Query::collection("functionTasks")).await.expect("tasks")
}

async fn deliver(world: &LocalWorld) {
    for event in world.events().await {
        assert!(world.deliver(event).await);
    }
}

#[tokio::test]
async fn a_chunk_delivered_twice_counts_once_and_keeps_students_progress() {
    let world = paused().await;
    let id = create(&world).await;
    deliver(&world).await;
    let plan = tasks(&world).await.remove(0);
    run_task(&world, &plan.path, &plan.fields).await;
    let chunks: Vec<_> = tasks(&world).await.into_iter().filter(|task| task.path != plan.path).collect();
    assert!(!chunks.is_empty());
    for chunk in &chunks {
        assert_eq!(run_task(&world, &chunk.path, &chunk.fields).await, TaskOutcome::Committed);
    }
    study(&world, &id).await;
    let before: Vec<_> = world.documents().await;
    for chunk in &chunks {
        assert_eq!(run_task(&world, &chunk.path, &chunk.fields).await, TaskOutcome::Finished, "it was done before");
    }
    assert_eq!(world.documents().await, before);
    deliver(&world).await;
    assert_consistent(world.admin(), &id).await;
}

#[tokio::test]
async fn every_update_leaves_right_counts() {
    let world = LocalWorld::start().await;
    fill(&world).await;
    let id = create(&world).await;
    world.settle().await;
    study(&world, &id).await;
    edit_tasks(&world, &id).await;
    world.settle().await;
    assert_consistent(world.admin(), &id).await;
    keep_one_school(&world, &id).await;
    world.settle().await;
    assert_consistent(world.admin(), &id).await;
    assert_eq!(assignments(world.admin(), &id).await.len(), STUDENTS / 2);
    // And back to the whole district.
    let minimal = fields! { "districts" => Value::strings([crate::world::district()]) };
    merge(&world, &format!("administrations/{id}"), fields! { "minimalOrgs" => minimal }).await;
    world.settle().await;
    assert_consistent(world.admin(), &id).await;
    assert_eq!(assignments(world.admin(), &id).await.len(), STUDENTS);
}

/// An org is removed, and added again before all chunks of the removal have run.
#[tokio::test]
async fn a_removal_that_races_an_addition_loses_no_assignment() {
    let world = LocalWorld::start().await;
    fill(&world).await;
    let id = create(&world).await;
    world.settle().await;
    world.service.queue.stop(std::time::Duration::from_secs(5)).await;
    keep_one_school(&world, &id).await;
    deliver(&world).await;
    let plan = tasks(&world).await.remove(0);
    run_task(&world, &plan.path, &plan.fields).await;
    let removals: Vec<_> = tasks(&world).await.into_iter().filter(|task| task.path != plan.path).collect();
    assert!(!removals.is_empty());
    // One removal is done before the addition, the others come after it.
    run_task(&world, &removals[0].path, &removals[0].fields).await;
    let minimal = fields! { "districts" => Value::strings([crate::world::district()]) };
    merge(&world, &format!("administrations/{id}"), fields! { "minimalOrgs" => minimal }).await;
    deliver(&world).await;
    world.service.start_tasks();
    world.settle().await;
    for removal in &removals {
        assert_eq!(run_task(&world, &removal.path, &removal.fields).await, TaskOutcome::Finished, "it's taken back");
    }
    world.settle().await;
    assert_eq!(assignments(world.admin(), &id).await.len(), STUDENTS);
    assert_consistent(world.admin(), &id).await;
}

#[tokio::test]
async fn two_administrations_at_once_over_the_same_students() {
    let world = LocalWorld::start().await;
    fill(&world).await;
    let one = create(&world).await;
    let other = create(&world).await;
    world.settle().await;
    for id in [&one, &other] {
        assert_eq!(assignments(world.admin(), id).await.len(), STUDENTS);
        assert_consistent(world.admin(), id).await;
    }
}

#[tokio::test]
async fn students_at_work_during_an_edit_lose_nothing() {
    let world = LocalWorld::start().await;
    fill(&world).await;
    let id = create(&world).await;
    world.settle().await;
    edit_tasks(&world, &id).await;
    let done = async || {
        let found = assignments(world.admin(), &id).await;
        let tasks = found.iter().flat_map(|a| a.fields["assessments"].as_array().expect("a list"));
        tasks.filter(|task| task.as_map().is_some_and(|task| task.contains_key("completedOn"))).count()
    };
    let events = world.events().await;
    let ((), completed) = tokio::join!(
        async {
            for event in events {
                world.deliver(event).await;
            }
            world.settle().await;
        },
        async {
            study(&world, &id).await;
            done().await
        }
    );
    world.settle().await;
    assert_consistent(world.admin(), &id).await;
    assert!(completed > 0);
    assert_eq!(done().await, completed, "what students completed is still completed");
}

#[tokio::test]
async fn an_assignment_deleted_by_hand_leaves_the_counts_once() {
    let world = LocalWorld::start().await;
    fill(&world).await;
    let id = create(&world).await;
    world.settle().await;
    play(world.admin(), &assignment(0, &id), Step::Start(0), world.now()).await.expect("a step");
    world.settle().await;
    delete(&world, assignment(0, &id).as_str()).await;
    let events = world.events().await;
    let mut triggers: Vec<&str> = events.iter().map(|(trigger, _)| trigger.as_str()).collect();
    triggers.sort_unstable();
    assert_eq!(triggers, ["softDeleteUserAssignment", "syncAssignmentDeleted"]);
    for event in events.iter().chain(&events).chain(&events) {
        assert!(world.deliver(event.clone()).await);
    }
    assert_consistent(world.admin(), &id).await;
    assert_eq!(assignments(world.admin(), &id).await.len(), STUDENTS - 1);
}

#[tokio::test]
async fn the_assignment_of_a_deleted_user_leaves_the_counts_once() {
    let world = LocalWorld::start().await;
    fill(&world).await;
    let id = create(&world).await;
    world.settle().await;
    let path = assignment(3, &id);
    let user = path.parent().expect("a user");
    world.admin().commit(vec![Write::delete(user), Write::delete(path)]).await.expect("deleted");
    let events = world.events().await;
    for event in events.iter().chain(&events) {
        assert!(world.deliver(event.clone()).await);
    }
    assert_consistent(world.admin(), &id).await;
}

/// An assignment that was made by hand isn't in the student's lists; a sync finds it nevertheless.
#[tokio::test]
async fn an_assignment_made_by_hand_is_taken_over() {
    let world = paused().await;
    let id = create(&world).await;
    let by_hand = fields! {
        "id" => id.as_str(), "started" => false, "completed" => false,
        "assigningOrgs" => fields! { "districts" => Value::strings([crate::world::district()]) },
        "assessments" => vec![Value::Map(fields! { "taskId" => "pa", "optional" => false, "params" => fields! {} })],
    };
    let write = Write::set(assignment(0, &id), by_hand);
    world.admin().commit(vec![write]).await.expect("written");
    world.service.start_tasks();
    world.settle().await;
    assert_eq!(assignments(world.admin(), &id).await.len(), STUDENTS);
    assert_consistent(world.admin(), &id).await;
}

#[tokio::test]
async fn members_without_a_class_or_a_district_are_found() {
    let world = LocalWorld::start().await;
    fill(&world).await;
    // Student 0 loses class and district in the books, 1 the class, 2 all but the group; 3 is in two
    // classes; 4 is archived; 5 no student.
    let none = || Value::Map(fields! { "current" => Vec::<Value>::new() });
    merge(&world, "users/student-000001", fields! { "classes" => none(), "districts" => none() }).await;
    merge(&world, "users/student-000002", fields! { "classes" => none() }).await;
    let group = Value::Map(fields! { "current" => Value::strings(["group-1"]) });
    let lists = fields! { "classes" => none(), "schools" => none(), "districts" => none(), "groups" => group };
    merge(&world, "users/student-000003", lists).await;
    let two = Value::Map(fields! { "current" => Value::strings(["class-00001", "class-00005"]) });
    merge(&world, "users/student-000004", fields! { "classes" => two }).await;
    merge(&world, "users/student-000005", fields! { "archived" => true }).await;
    merge(&world, "users/student-000006", fields! { "userType" => "educator" }).await;
    let id = create(&world).await;
    world.settle().await;
    assert_eq!(assignments(world.admin(), &id).await.len(), STUDENTS - 2);
    assert_consistent(world.admin(), &id).await;
}

#[tokio::test]
async fn an_administration_deleted_while_it_is_assigned_leaves_nothing() {
    let world = paused().await;
    let id = create(&world).await;
    deliver(&world).await;
    let plan = tasks(&world).await.remove(0);
    run_task(&world, &plan.path, &plan.fields).await;
    let chunks: Vec<_> = tasks(&world).await.into_iter().filter(|task| task.path != plan.path).collect();
    run_task(&world, &chunks[0].path, &chunks[0].fields).await;
    // Somebody edited it: the dashboard notes them as a creator, too.
    let made = Value::Map(fields! { "administrationsCreated" => Value::strings([&id, "another"]) });
    set(world.admin(), "users/editor", fields! { "userType" => "admin", "adminData" => made }).await;
    delete(&world, &format!("administrations/{id}")).await;
    world.service.start_tasks();
    world.settle().await;
    for chunk in &chunks {
        assert_eq!(run_task(&world, &chunk.path, &chunk.fields).await, TaskOutcome::Finished);
    }
    assert_eq!(assignments(world.admin(), &id).await.len(), 0);
    assert_consistent(world.admin(), &id).await;
    for collection in ["assignedOrgs", "readOrgs", "stats"] {
        let query = Query::collection(format!("administrations/{id}/{collection}"));
        assert_eq!(world.admin().query(query).await.expect("readable").len(), 0, "{collection}");
    }
    for collection in ["administrationSyncs", "functionTasks"] {
        assert_eq!(world.admin().query(Query::collection(collection)).await.expect("readable").len(), 0);
    }
    let creator = world.get(&format!("users/{}", admin_uid())).await.expect("the creator");
    let created = roar_functions::store::lookup(&creator.fields, "adminData.administrationsCreated");
    assert_eq!(created, Some(&Value::Array(vec![])));
    let editor = world.get("users/editor").await.expect("the editor");
    let created = roar_functions::store::lookup(&editor.fields, "adminData.administrationsCreated");
    assert_eq!(created, Some(&Value::strings(["another"])));
}

#[tokio::test]
async fn a_closed_administration_takes_details_and_reopens_in_full() {
    let world = LocalWorld::start().await;
    fill(&world).await;
    let mut past = open_administration(world.now());
    past["dateClose"] = "2026-09-14T23:59:59Z".into();
    let id = world.create(admin_uid(), past).await;
    world.settle().await;
    assert_eq!(assignments(world.admin(), &id).await.len(), STUDENTS, "past-dated ones are assigned too");
    let path = format!("administrations/{id}");
    merge(&world, &path, fields! { "name" => "Renamed", "assessments" => Vec::<Value>::new() }).await;
    keep_one_school(&world, &id).await;
    world.settle().await;
    let found = assignments(world.admin(), &id).await;
    assert_eq!(found.len(), STUDENTS, "a closed one loses nobody");
    assert!(found.iter().all(|a| a.fields["name"] == Value::from("Renamed")));
    assert!(found.iter().all(|a| !a.fields["assessments"].as_array().expect("a list").is_empty()));
    let closes: roar_functions::store::Timestamp = "2026-12-01T00:00:00Z".parse().expect("an instant");
    let tasks = vec![Value::Map(fields! { "taskId" => "pa", "params" => fields! {} })];
    merge(&world, &path, fields! { "dateClosed" => closes, "assessments" => tasks }).await;
    world.settle().await;
    assert_eq!(assignments(world.admin(), &id).await.len(), STUDENTS / 2);
    assert_consistent(world.admin(), &id).await;
}

/// An administration from before format 2, edited through the callable, keeps its students.
#[tokio::test]
async fn an_old_format_edited_into_the_new_one_keeps_its_students() {
    let world = LocalWorld::start().await;
    fill(&world).await;
    let id = create(&world).await;
    world.settle().await;
    let path = format!("administrations/{id}");
    // As an older backend left it: arrays, no format.
    let document = world.get(&path).await.expect("the administration");
    let mut old = document.fields.clone();
    for name in ["formatVersion", "minimalOrgs", "readOrgs"] {
        old.remove(name);
    }
    old.insert("schools".to_owned(), Value::strings(["school-0001", "school-0002"]));
    old.insert("dateOpened".to_owned(), Value::Timestamp("2026-10-01T00:00:00Z".parse().expect("an instant")));
    crate::world::set(world.admin(), &path, old).await;
    world.settle().await;
    assert_eq!(assignments(world.admin(), &id).await.len(), STUDENTS);
    study(&world, &id).await;
    world.settle().await;

    let mut edit = open_administration(world.now());
    edit["administrationId"] = id.clone().into();
    edit["orgs"] = serde_json::json!({ "schools": ["school-0001"] });
    world.create(admin_uid(), edit).await;
    world.settle().await;
    assert_eq!(assignments(world.admin(), &id).await.len(), STUDENTS / 2);
    let edited = world.get(&path).await.expect("the administration");
    assert!(!edited.fields.contains_key("schools"));
    assert_consistent(world.admin(), &id).await;
}

/// A client saves an administration again as format 2, and leaves the old arrays unchanged.
#[tokio::test]
async fn arrays_left_from_the_old_format_are_no_additions() {
    let world = LocalWorld::start().await;
    fill(&world).await;
    let id = create(&world).await;
    world.settle().await;
    let path = format!("administrations/{id}");
    let mut old = world.get(&path).await.expect("the administration").fields;
    old.remove("formatVersion");
    old.insert("schools".to_owned(), Value::strings(["school-0001", "school-0002"]));
    crate::world::set(world.admin(), &path, old).await;
    world.settle().await;
    let minimal = fields! { "schools" => Value::strings(["school-0002"]) };
    merge(&world, &path, fields! { "formatVersion" => 2, "minimalOrgs" => minimal }).await;
    world.settle().await;
    assert_eq!(assignments(world.admin(), &id).await.len(), STUDENTS / 2);
    assert_consistent(world.admin(), &id).await;
}

/// An org that a client adds to the arrays of a format 2 document is added to its minimal orgs.
#[tokio::test]
async fn an_org_added_to_the_arrays_is_assigned() {
    let world = LocalWorld::start().await;
    fill(&world).await;
    let mut data = open_administration(world.now());
    data["orgs"] = serde_json::json!({ "schools": ["school-0001"] });
    let id = world.create(admin_uid(), data).await;
    world.settle().await;
    let path = format!("administrations/{id}");
    merge(&world, &path, fields! { "schools" => Value::strings(["school-0002"]) }).await;
    world.settle().await;
    assert_eq!(assignments(world.admin(), &id).await.len(), STUDENTS);
    merge(&world, &path, fields! { "name" => "Renamed" }).await;
    world.settle().await;
    assert_eq!(assignments(world.admin(), &id).await.len(), STUDENTS);
    assert!(!world.get(&path).await.expect("the administration").fields.contains_key("schools"));
}

#[tokio::test]
async fn students_who_stay_assigned_through_another_org_keep_their_work() {
    let world = LocalWorld::start().await;
    fill(&world).await;
    let mut data = open_administration(world.now());
    data["orgs"] = serde_json::json!({ "classes": ["class-00001"] });
    let id = world.create(admin_uid(), data).await;
    world.settle().await;
    let members = assignments(world.admin(), &id).await;
    assert!(!members.is_empty());
    let group = Value::Map(fields! { "current" => Value::strings(["group-1"]) });
    for member in &members {
        let user = member.path.parent().expect("a user");
        merge(&world, user.as_str(), fields! { "groups" => group.clone() }).await;
        play(world.admin(), &member.path, Step::Start(0), world.now()).await.expect("a step");
    }
    world.settle().await;
    let minimal = fields! { "groups" => Value::strings(["group-1"]) };
    merge(&world, &format!("administrations/{id}"), fields! { "minimalOrgs" => minimal }).await;
    world.settle().await;
    for member in &members {
        let kept = world.get(member.path.as_str()).await.expect("the assignment");
        assert_eq!(kept.fields["started"], Value::Boolean(true));
        assert_eq!(kept.fields["dateAssigned"], member.fields["dateAssigned"]);
    }
    assert_consistent(world.admin(), &id).await;
}

/// A document that can't be stored ends the sync with a reason; the next save retries.
#[tokio::test]
async fn a_sync_that_cannot_succeed_says_so() {
    let world = LocalWorld::start().await;
    fill(&world).await;
    let id = create(&world).await;
    world.settle().await;
    let path = format!("administrations/{id}");
    let tasks = |name: &str| vec![Value::Map(fields! { "taskId" => name, "params" => fields! {} })];
    // Its progress key would be reserved. The callable refuses it; a client may write it.
    merge(&world, &path, fields! { "assessments" => tasks("--x--") }).await;
    world.settle().await;
    let failed = world.get(&path).await.expect("the administration");
    assert_eq!(failed.fields["syncStatus"], Value::from("failed"));
    let told = failed.fields["syncErrorMessage"].as_str().expect("a message").to_owned();
    assert!(told.starts_with("assessments has a task whose ID can't be stored."), "{told}");
    // What no student has room for is the administration's fault, and no student's.
    let mut large = tasks("pa");
    large[0] = Value::Map(fields! { "taskId" => "pa", "params" => fields! { "text" => "x".repeat(800_000) } });
    merge(&world, &path, fields! { "assessments" => large }).await;
    world.settle().await;
    let failed = world.get(&path).await.expect("the administration");
    assert_eq!(failed.fields["syncStatus"], Value::from("failed"));
    assert!(failed.fields["syncErrorMessage"].as_str().expect("a message").starts_with("It holds more than"));
    assert!(!failed.fields.contains_key("syncProblems"));
    merge(&world, &path, fields! { "assessments" => tasks("pa") }).await;
    world.settle().await;
    let mended = world.get(&path).await.expect("the administration");
    assert_eq!(mended.fields["syncStatus"], Value::from("complete"));
    assert!(!mended.fields.contains_key("syncErrorMessage"));
    assert_consistent(world.admin(), &id).await;
}

/// An administration is edited, and the edit is undone, while a plan is being made: the sync still ends.
#[tokio::test]
async fn an_edit_undone_before_anybody_looks_does_not_stop_the_sync() {
    let world = paused().await;
    let id = create(&world).await;
    deliver(&world).await;
    let path = format!("administrations/{id}");
    let before = world.get(&path).await.expect("the administration").fields["name"].clone();
    merge(&world, &path, fields! { "name" => "Mistaken" }).await;
    merge(&world, &path, fields! { "name" => before }).await;
    world.service.start_tasks();
    world.settle().await;
    let document = world.get(&path).await.expect("the administration");
    assert_eq!(document.fields["syncStatus"], Value::from("complete"));
    assert_eq!(assignments(world.admin(), &id).await.len(), STUDENTS);
}
