//! A gap in a roster undoes no work: a student who lost an assignment and is assigned it again gets it back as it was.

use roar_functions::app::Settings;
use roar_functions::demo::play::{Step, play};
use roar_functions::fields;
use roar_functions::reconcile::{Options, Report, reconcile_one};
use roar_functions::store::{Cost, DocPath, FieldPath, Fields, Query, Transform, Value, Write, lookup};

use crate::local::{LocalWorld, NOW};
use crate::small::{administration, at, condition, copy_of, lists, org_maps, student, task, write_orgs};
use crate::world::{assert_consistent, set};

const OPEN: &str = "2026-12-01T00:00:00Z";
const PLACE: &[&str] = &["D1", "S1", "C1"];

/// A student of C1 with an assignment over D1 of a task with runs and one that's hosted elsewhere.
async fn world() -> LocalWorld {
    let world = LocalWorld::with(Settings::default()).await;
    write_orgs(world.admin()).await;
    let user = student(PLACE, "3");
    set(world.assessment(), "users/u", copy_of(&user)).await;
    set(world.admin(), "users/u", user).await;
    let tasks = vec![task("pa", None), task("survey", None)];
    set(world.admin(), "administrations/a", administration(&["D1"], tasks, at(OPEN))).await;
    world.settle().await;
    world
}

fn path(text: &str) -> DocPath {
    DocPath::new(text).expect("a path")
}

async fn write_run(world: &LocalWorld, id: &str, task: &str, done: bool) {
    let mut run = fields! {
        "id" => id, "taskId" => task, "assignmentId" => "a", "completed" => done, "reliable" => true,
        "timeStarted" => at(NOW), "userData" => fields! { "grade" => "3" },
        "assigningOrgs" => lists(PLACE).to_value(), "readOrgs" => lists(PLACE).to_value(),
    };
    if done {
        run.insert("timeFinished".to_owned(), Value::Timestamp(at(NOW)));
    }
    set(world.assessment(), &format!("users/u/runs/{id}"), run).await;
}

/// The student completes both tasks: one by a run, the other by the client's word alone.
async fn work(world: &LocalWorld) {
    let assignment = path("users/u/assignments/a");
    for step in [Step::Start(0), Step::Complete(1)] {
        play(world.admin(), &assignment, step, world.now()).await.expect("a step");
        world.settle().await;
    }
    write_run(world, "r1", "pa", true).await;
    world.settle().await;
    later(world);
}

fn later(world: &LocalWorld) {
    world.clock.advance(jiff::SignedDuration::from_hours(24));
}

async fn edit(world: &LocalWorld, changed: Fields) {
    let mask = changed.keys().map(FieldPath::top).collect();
    world.admin().commit(vec![Write::merge(path("users/u"), changed, mask)]).await.expect("written");
    world.settle().await;
}

async fn assign_to(world: &LocalWorld, orgs: &[&str]) {
    let changed = fields! { "minimalOrgs" => lists(orgs).to_value() };
    world.admin().commit(vec![Write::update(path("administrations/a"), changed)]).await.expect("written");
    world.settle().await;
}

async fn close(world: &LocalWorld, until: &str) {
    let changed = fields! { "dateClosed" => at(until) };
    world.admin().commit(vec![Write::update(path("administrations/a"), changed)]).await.expect("written");
    world.settle().await;
}

/// Ways to lose the assignment and get it back.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    /// Out of every org, as a roster that doesn't name the student does it.
    Orgs,
    /// The same, by an importer that keeps no history of orgs.
    OrgsOnly,
    /// To another district, and back.
    Moved,
    /// Archived.
    Archived,
    /// The administration is given to another school, and back.
    Administration,
    /// The administration is deleted, and saved again.
    Deleted,
    /// The student's document is deleted, and made again without what the service kept in it.
    Remade,
    /// A teacher for a night.
    Retyped,
    /// Somebody deletes the assignment past the service, and the administration is saved again.
    ByHand,
}

const WAYS: [Way; 9] = [
    Way::Orgs,
    Way::OrgsOnly,
    Way::Moved,
    Way::Archived,
    Way::Administration,
    Way::Deleted,
    Way::Remade,
    Way::Retyped,
    Way::ByHand,
];

fn only_current(ids: &[&str]) -> Fields {
    let orgs = lists(ids);
    let of = roar_functions::orgs::OrgType::ALL;
    of.map(|of| (of.plural().to_owned(), Value::Map(fields! { "current" => Value::strings(orgs.of(of)) }))).into()
}

async fn leave(world: &LocalWorld, way: Way) {
    match way {
        Way::Orgs => edit(world, org_maps(&[], world.now())).await,
        Way::OrgsOnly => edit(world, only_current(&[])).await,
        Way::Moved => edit(world, org_maps(&["D2", "S3", "C4"], world.now())).await,
        Way::Archived => edit(world, fields! { "archived" => true }).await,
        Way::Administration => assign_to(world, &["S3"]).await,
        Way::Deleted => delete(world, "administrations/a").await,
        Way::Remade => delete(world, "users/u").await,
        Way::Retyped => edit(world, fields! { "userType" => "educator" }).await,
        Way::ByHand => delete(world, "users/u/assignments/a").await,
    }
}

async fn come_back(world: &LocalWorld, way: Way) {
    match way {
        Way::Orgs | Way::Moved => edit(world, org_maps(PLACE, world.now())).await,
        Way::OrgsOnly => edit(world, only_current(PLACE)).await,
        Way::Archived => edit(world, fields! { "archived" => false }).await,
        Way::Administration => assign_to(world, &["D1"]).await,
        Way::Deleted => {
            let tasks = vec![task("pa", None), task("survey", None)];
            set(world.admin(), "administrations/a", administration(&["D1"], tasks, at(OPEN))).await;
            world.settle().await;
        }
        Way::Remade => {
            set(world.admin(), "users/u", student(PLACE, "3")).await;
            world.settle().await;
        }
        Way::Retyped => edit(world, fields! { "userType" => "student" }).await,
        Way::ByHand => {
            let changed = fields! { "name" => format!("Saved at {}", world.now()) };
            world.admin().commit(vec![Write::update(path("administrations/a"), changed)]).await.expect("written");
            world.settle().await;
        }
    }
}

async fn delete(world: &LocalWorld, document: &str) {
    world.admin().commit(vec![Write::delete(path(document))]).await.expect("deleted");
    world.settle().await;
}

/// What a student did in it, and since when they have it.
async fn shown(world: &LocalWorld) -> Option<Fields> {
    let fields = world.get("users/u/assignments/a").await?.fields;
    let names = ["started", "completed", "dateAssigned", "assessments", "progress", "assigningOrgs", "readOrgs"];
    Some(fields.into_iter().filter(|(name, _)| names.contains(&name.as_str())).collect())
}

/// The student's lists with their dates, the counts, and the run's orgs.
async fn around(world: &LocalWorld) -> Vec<Option<Value>> {
    let user = world.get("users/u").await.expect("a user").fields;
    let names = ["assignments", "assignmentsAssigned", "assignmentsStarted", "assignmentsCompleted"];
    let mut around: Vec<_> = names.into_iter().map(|name| user.get(name).cloned()).collect();
    for key in ["total", "D1", "S1", "C1"] {
        let counts = world.get(&format!("administrations/a/stats/{key}")).await.map(|mut counts| {
            counts.fields.remove("updatedAt");
            Value::Map(counts.fields)
        });
        around.push(counts);
    }
    let run = world.assessment().get(&path("users/u/runs/r1")).await.expect("readable").expect("a run").fields;
    around.extend(["assigningOrgs", "readOrgs", "bestRun"].into_iter().map(|name| run.get(name).cloned()));
    around
}

async fn look(world: &LocalWorld, fix: bool) -> Report {
    let options = Options { fix, patience: std::time::Duration::ZERO };
    let report = reconcile_one(&world.service.app, "a", &options, &|_| {}).await.expect("a store that answers");
    report.expect("a trace of it")
}

#[tokio::test]
async fn work_survives_every_gap() {
    for way in WAYS {
        let world = world().await;
        work(&world).await;
        let (before, around_before) = (shown(&world).await.expect("an assignment"), around(&world).await);
        assert_eq!(before["completed"], Value::Boolean(true), "both tasks are done");
        leave(&world, way).await;
        if way != Way::ByHand {
            assert_eq!(shown(&world).await, None, "{way:?}");
        }
        later(&world);
        come_back(&world, way).await;
        assert_eq!(shown(&world).await.as_ref(), Some(&before), "{way:?}");
        assert_eq!(around(&world).await, around_before, "{way:?}");
        assert_consistent(world.admin(), "a").await;
        assert!(look(&world, false).await.agrees, "{way:?}: {:?}", look(&world, false).await);
        let user = world.get("users/u").await.expect("a user").fields;
        let left = user.get("formerAssignments").and_then(Value::as_map).is_some_and(|left| !left.is_empty());
        assert!(!left, "{way:?}: nothing is remembered of what is there");
        // And once more: what came back can go and come again.
        leave(&world, way).await;
        later(&world);
        come_back(&world, way).await;
        assert_eq!(shown(&world).await, Some(before), "{way:?}, again");
        assert_eq!(around(&world).await, around_before, "{way:?}, again");
        assert_eq!(world.assessment_store.scans(), Vec::<String>::new(), "every query has an index");
    }
}

#[tokio::test]
async fn work_of_the_time_away_is_there_too() {
    for way in WAYS.into_iter().filter(|way| *way != Way::ByHand) {
        // Whether the task was known to have begun or not: the browser stayed open.
        for begun in [true, false] {
            let world = world().await;
            if begun {
                play(world.admin(), &path("users/u/assignments/a"), Step::Start(0), world.now()).await.expect("a step");
                write_run(&world, "r1", "pa", false).await;
                world.settle().await;
            }
            later(&world);
            leave(&world, way).await;
            write_run(&world, "r1", "pa", true).await;
            world.settle().await;
            come_back(&world, way).await;
            let assignment = shown(&world).await.expect("an assignment");
            let entry = assignment["assessments"].as_array().expect("a list")[0].as_map().expect("a map").clone();
            assert_eq!(entry.get("runId"), Some(&Value::from("r1")), "{way:?} {begun}");
            assert_eq!(entry.get("completedOn"), Some(&Value::Timestamp(at(NOW))), "{way:?}");
            assert_eq!(assignment["progress"].as_map().expect("a map")["pa"], Value::from("completed"), "{way:?}");
            assert_consistent(world.admin(), "a").await;
            assert!(look(&world, false).await.agrees, "{way:?} {begun}");
        }
    }
}

#[tokio::test]
async fn what_the_runs_say_wins_over_the_archive() {
    for way in WAYS.into_iter().filter(|way| *way != Way::ByHand) {
        let world = world().await;
        work(&world).await;
        leave(&world, way).await;
        // The run is deleted, and another is there.
        world.assessment().commit(vec![Write::delete(path("users/u/runs/r1"))]).await.expect("deleted");
        write_run(&world, "r2", "pa", false).await;
        world.settle().await;
        come_back(&world, way).await;
        let assignment = shown(&world).await.expect("an assignment");
        let entries = assignment["assessments"].as_array().expect("a list");
        let entry = entries[0].as_map().expect("a map");
        assert_eq!(entry.get("runId"), Some(&Value::from("r2")), "{way:?}");
        assert_eq!(entry.get("allRunIds"), Some(&Value::strings(["r2"])), "{way:?}");
        assert!(entries[1].as_map().expect("a map").contains_key("completedOn"), "{way:?}: the survey has no runs");
        assert_consistent(world.admin(), "a").await;
        assert!(look(&world, false).await.agrees, "{way:?}");
    }
}

#[tokio::test]
async fn begun_work_comes_back_to_a_closed_administration() {
    for way in [Way::Orgs, Way::Moved, Way::Archived, Way::Retyped] {
        for worked in [true, false] {
            let world = world().await;
            if worked {
                work(&world).await;
            }
            let before = shown(&world).await.expect("an assignment");
            leave(&world, way).await;
            close(&world, "2026-09-15T00:00:00Z").await;
            come_back(&world, way).await;
            assert_eq!(shown(&world).await, worked.then_some(before), "{way:?}");
            assert_consistent(world.admin(), "a").await;
            assert!(look(&world, false).await.agrees, "{way:?}");
            // Opened again, it goes on as if nothing had been.
            close(&world, OPEN).await;
            assert!(shown(&world).await.is_some(), "{way:?}");
            assert!(look(&world, false).await.agrees, "{way:?}");
        }
    }
}

#[tokio::test]
async fn what_comes_back_follows_the_administration_and_the_student_as_they_are_now() {
    let world = world().await;
    work(&world).await;
    leave(&world, Way::Orgs).await;
    let tasks = vec![
        task("pa", None),
        task("swr", None),
        task("morphology", Some(condition("studentData.grade", "GREATER_THAN", "5"))),
    ];
    let changed = fields! { "assessments" => tasks, "name" => "Renamed", "publicName" => "Renamed" };
    world.admin().commit(vec![Write::update(path("administrations/a"), changed)]).await.expect("written");
    world.settle().await;
    edit(&world, org_maps(&["D1", "S2", "C3"], world.now())).await;
    let assignment = world.get("users/u/assignments/a").await.expect("an assignment");
    let tasks = assignment.fields["assessments"].as_array().expect("a list").iter();
    let tasks: Vec<_> = tasks.map(|entry| entry.as_map().expect("a map")["taskId"].as_str().expect("text")).collect();
    // The survey, which the administration no longer has, is the student's work.
    assert_eq!(tasks, ["pa", "swr", "survey"]);
    assert_eq!(crate::small::orgs_of(&assignment, "assigningOrgs"), "C3 D1 S2");
    assert_eq!(assignment.fields["name"], Value::from("Renamed"));
    // One more task is to be done.
    assert_eq!((&assignment.fields["started"], &assignment.fields["completed"]), (&true.into(), &false.into()));
    assert_consistent(world.admin(), "a").await;
}

#[tokio::test]
async fn events_of_the_deletion_that_come_late_or_twice_change_nothing() {
    let world = world().await;
    work(&world).await;
    let (before, around_before) = (shown(&world).await, around(&world).await);
    // All of it in one go, with every event delivered at the end, in reverse, twice.
    let gone = org_maps(&[], world.now());
    let mask = gone.keys().map(FieldPath::top).collect();
    world.admin().commit(vec![Write::merge(path("users/u"), gone, mask)]).await.expect("written");
    let mut kept = Vec::new();
    for event in world.events().await {
        assert!(world.deliver(event).await);
    }
    kept.extend(world.events().await);
    let back = org_maps(PLACE, world.now());
    let mask = back.keys().map(FieldPath::top).collect();
    world.admin().commit(vec![Write::merge(path("users/u"), back, mask)]).await.expect("written");
    kept.extend(world.events().await);
    for event in kept.iter().rev().chain(&kept) {
        if !world.deliver(event.clone()).await {
            world.service.queue.idle().await;
            assert!(world.deliver(event.clone()).await);
        }
    }
    world.settle().await;
    assert_eq!(shown(&world).await, before);
    assert_eq!(around(&world).await, around_before);
    assert_consistent(world.admin(), "a").await;
}

/// Removes what the service remembers of students' former assignments, as if it had never been noted: they left
/// before this service did.
async fn forget(world: &LocalWorld) {
    let write = Write::merge(path("users/u"), Fields::new(), vec![FieldPath::top("formerAssignments")]);
    world.admin().commit(vec![write]).await.expect("written");
    for archive in world.admin().query(Query::group("deleted-assignments")).await.expect("archives") {
        world.admin().commit(vec![Write::delete(archive.path)]).await.expect("deleted");
    }
    world.settle().await;
}

#[tokio::test]
async fn reconcile_finds_and_mends_what_runs_contradict() {
    let world = world().await;
    work(&world).await;
    // A student who lost their work before anything of it was kept.
    leave(&world, Way::Administration).await;
    forget(&world).await;
    come_back(&world, Way::Administration).await;
    let fresh = shown(&world).await.expect("an assignment");
    assert_eq!(fresh["started"], Value::Boolean(false));
    let report = look(&world, false).await;
    assert!(!report.agrees);
    assert_eq!(crate::reconcile::findings(&report), ["RunsDiffer u".to_owned()].into());
    let report = look(&world, true).await;
    assert!(report.agrees, "{report:?}");
    let mended = shown(&world).await.expect("an assignment");
    let entry = mended["assessments"].as_array().expect("a list")[0].as_map().expect("a map").clone();
    assert_eq!((entry.get("runId"), &mended["started"]), (Some(&Value::from("r1")), &Value::Boolean(true)));
    assert_consistent(world.admin(), "a").await;
    assert!(look(&world, false).await.agrees);
    world.settle().await;
    assert_eq!(shown(&world).await, Some(mended));

    // An assignment that's missing altogether, and whose student has runs, comes with them.
    let writes = vec![
        Write::delete(path("users/u/assignments/a")),
        Write::merge(
            path("users/u"),
            Fields::new(),
            ["assignmentsAssigned", "assignmentsStarted", "assignmentsCompleted", "assignments"]
                .map(FieldPath::top)
                .to_vec(),
        ),
    ];
    crate::reconcile::commit(&world, writes).await;
    assert!(crate::reconcile::findings(&look(&world, false).await).contains("AssignmentMissing u"));
    let report = look(&world, true).await;
    assert!(report.agrees, "{report:?}");
    let mended = shown(&world).await.expect("an assignment");
    let entry = mended["assessments"].as_array().expect("a list")[0].as_map().expect("a map").clone();
    assert_eq!((entry.get("runId"), &mended["started"]), (Some(&Value::from("r1")), &Value::Boolean(true)));
    world.settle().await;
    assert_consistent(world.admin(), "a").await;
    assert!(look(&world, false).await.agrees);
}

#[tokio::test]
async fn who_left_before_anything_was_remembered_is_held_against_their_runs_when_they_join() {
    let world = world().await;
    work(&world).await;
    leave(&world, Way::Orgs).await;
    forget(&world).await;
    come_back(&world, Way::Orgs).await;
    let back = shown(&world).await.expect("an assignment");
    let entry = back["assessments"].as_array().expect("a list")[0].as_map().expect("a map").clone();
    assert_eq!((entry.get("runId"), &back["started"]), (Some(&Value::from("r1")), &Value::Boolean(true)));
    assert_consistent(world.admin(), "a").await;
    assert!(look(&world, false).await.agrees);
}

#[tokio::test]
async fn reconcile_gives_a_task_to_whom_runs_show_working_at_it() {
    let world = world().await;
    // Nothing in it is for the student; but they did some of it, whatever they were then.
    let only = vec![task("swr", Some(condition("studentData.grade", "GREATER_THAN", "5")))];
    let changed = fields! { "assessments" => only };
    world.admin().commit(vec![Write::update(path("administrations/a"), changed)]).await.expect("written");
    world.settle().await;
    assert_eq!(shown(&world).await, None);
    write_run(&world, "r1", "swr", true).await;
    world.settle().await;
    let report = look(&world, false).await;
    let mut findings = crate::reconcile::findings(&report);
    // The edit took tasks away, whose counts are zero now.
    findings.retain(|finding| !finding.starts_with("CountsIdle"));
    assert_eq!(findings, ["AssignmentMissing u".to_owned()].into());
    assert!(look(&world, true).await.agrees);
    world.settle().await;
    let made = shown(&world).await.expect("an assignment");
    assert_eq!(made["completed"], Value::Boolean(true));
    assert_consistent(world.admin(), "a").await;
    assert!(look(&world, false).await.agrees);
    assert_eq!(world.assessment_store.scans(), Vec::<String>::new(), "every query has an index");
}

async fn cost(world: &LocalWorld, step: impl Future<Output = ()>) -> Cost {
    let all = || world.admin().cost() + world.assessment().cost();
    let before = all();
    step.await;
    all() - before
}

#[tokio::test]
async fn what_coming_back_costs() {
    // Coming back by one's orgs: beside what joining an administration costs anyway, the run and the assignment that's
    // held against it. And the run is given its orgs back, after which the student is looked at once more.
    let world = world().await;
    work(&world).await;
    leave(&world, Way::Orgs).await;
    let back = cost(&world, come_back(&world, Way::Orgs)).await;
    let fresh = {
        let world = crate::coming_back::world().await;
        leave(&world, Way::Orgs).await;
        forget(&world).await;
        cost(&world, come_back(&world, Way::Orgs)).await
    };
    assert_eq!((back.reads, fresh.reads), (17, 14), "{back:?} {fresh:?}");

    // By the administration, in its fan-out: the archive; and by the new assignment's event, the runs, and the
    // assignment to hold against them. Who never had it costs the one read of the fan-out.
    for (worked, each) in [(true, 3), (false, 0)] {
        let world = crate::coming_back::world().await;
        if worked {
            work(&world).await;
        }
        leave(&world, Way::Administration).await;
        if !worked {
            forget(&world).await;
        }
        assign_to(&world, &["D1"]).await;
        let costs = world.service.runtime.costs();
        let counted = costs["syncAssignmentCreated"].cost.reads;
        let archives = world.admin().query(Query::group("deleted-assignments")).await.expect("archives").len();
        assert_eq!((counted, archives as u64), if each == 3 { (2, 1) } else { (0, 0) });
    }
}

#[tokio::test]
async fn a_list_entry_that_a_deletion_past_the_service_left_is_no_reason_to_lose_work() {
    let world = world().await;
    work(&world).await;
    // The event of this deletion never comes.
    let delete = Write::delete(path("users/u/assignments/a"));
    crate::reconcile::commit(&world, vec![delete]).await;
    // The student moves within the district: the assignment is missing and listed.
    edit(&world, org_maps(&["D1", "S2", "C3"], world.now())).await;
    let assignment = shown(&world).await.expect("an assignment");
    let entry = assignment["assessments"].as_array().expect("a list")[0].as_map().expect("a map").clone();
    assert_eq!(entry.get("runId"), Some(&Value::from("r1")));
    assert_eq!(
        lookup(&assignment, "progress.pa"),
        Some(&Value::from("completed")),
        "its runs have told, for want of an archive"
    );
    // A list that was mended by hand does no harm.
    let transform = Write::transform(path("users/u"), Vec::new())
        .with(FieldPath::of(["assignments", "started"]), Transform::Union(vec![Value::from("a")]));
    world.admin().commit(vec![transform]).await.expect("written");
    world.settle().await;
}

#[tokio::test]
async fn what_was_taken_from_an_org_does_not_come_back_because_it_closed() {
    let world = world().await;
    work(&world).await;
    assign_to(&world, &["S3"]).await;
    close(&world, "2026-09-15T00:00:00Z").await;
    // Another class of the same district, which the administration had been given.
    edit(&world, org_maps(&["D1", "S1", "C2"], world.now())).await;
    assert_eq!(shown(&world).await, None);
    assert_consistent(world.admin(), "a").await;
    assert!(look(&world, false).await.agrees);
}

#[tokio::test]
async fn reconcile_takes_nothing_for_runs_that_are_merely_not_there() {
    let world = world().await;
    work(&world).await;
    let before = shown(&world).await;
    // As if the assessment database were another one: no run, and no event or archive of its deletion either.
    world.assessment().commit(vec![Write::delete(path("users/u/runs/r1"))]).await.expect("deleted");
    drop(world.events().await);
    for fix in [false, true] {
        let report = look(&world, fix).await;
        assert!(report.agrees, "{report:?}");
        assert_eq!(crate::reconcile::findings(&report), ["RunsNotFound u".to_owned()].into());
        assert_eq!(shown(&world).await, before);
    }
    // Once it's known that somebody deleted the run, its task is open again.
    let gone = fields! { "taskId" => "pa", "assignmentId" => "a", "deletedAt" => at(NOW) };
    set(world.assessment(), "deleted-users/u/deleted-runs/r1", gone).await;
    assert!(!look(&world, false).await.agrees);
    assert!(look(&world, true).await.agrees);
    let entry = shown(&world).await.expect("an assignment")["assessments"].as_array().expect("a list")[0].clone();
    assert!(!entry.as_map().expect("a map").contains_key("completedOn"));
    assert_consistent(world.admin(), "a").await;
}
