//! Every difference that reconciling looks for is introduced, found and repaired, and stays repaired.

use std::collections::BTreeSet;
use std::time::Duration;

use roar_functions::app::Settings;
use roar_functions::demo::district::{District, Size};
use roar_functions::demo::play::{Step, play};
use roar_functions::documents::stats::stats_path;
use roar_functions::fields;
use roar_functions::reconcile::{Options, Report, adopt, reconcile_all, reconcile_one};
use roar_functions::store::{DocPath, FieldPath, Fields, Transform, Value, Write};
use serde_json::json;

use crate::local::LocalWorld;
use crate::scenario::{assignment, create, merge, study};
use crate::world::{assert_consistent, set};

pub const STUDENTS: usize = 24;

pub async fn world() -> (LocalWorld, String) {
    let world = LocalWorld::with(Settings::default()).await;
    let size = Size { schools: 2, classes_a_school: 3, groups: 1, students: STUDENTS };
    for batch in District::new(size).batches(200) {
        world.admin().commit(batch.expect("good paths")).await.expect("the district is written");
    }
    let id = create(&world).await;
    world.settle().await;
    study(&world, &id).await;
    world.settle().await;
    (world, id)
}

/// Commits writes whose events are lost.
pub async fn commit(world: &LocalWorld, writes: Vec<Write>) {
    world.admin().commit(writes).await.expect("written");
    world.events().await;
}

async fn reconcile(world: &LocalWorld, id: &str, fix: bool) -> Report {
    let options = Options { fix, patience: Duration::ZERO };
    let report = reconcile_one(&world.service.app, id, &options, &|_| {}).await.expect("a store that answers");
    report.expect("a trace of the administration")
}

/// Findings in short: `CountDiffers school-0001 assignment`.
pub fn findings(report: &Report) -> BTreeSet<String> {
    let all = report.administrations.iter().flat_map(|one| &one.findings);
    all.map(|finding| format!("{:?} {}", finding.kind, finding.place())).collect()
}

pub fn user(n: usize) -> DocPath {
    DocPath::in_collection("users", &District::student_id(n)).expect("a path")
}

/// Merges values at field paths; `None` removes.
pub fn put(path: DocPath, values: &[(&[&str], Option<Value>)]) -> Write {
    let mut fields = Fields::new();
    let mut mask = Vec::new();
    for (segments, value) in values {
        mask.push(FieldPath::of(segments.iter().copied()));
        if let Some(value) = value {
            let nested = segments[1..]
                .iter()
                .rev()
                .fold(value.clone(), |value, name| Value::Map(Fields::from([((*name).to_owned(), value)])));
            fields.insert(segments[0].to_owned(), nested);
        }
    }
    Write::merge(path, fields, mask)
}

pub fn list(path: DocPath, name: &str, id: &str, add: bool) -> Write {
    let ids = vec![Value::from(id)];
    let transform = if add { Transform::Union(ids) } else { Transform::Remove(ids) };
    Write::transform(path, Vec::new()).with(FieldPath::of(["assignments", name]), transform)
}

pub fn count(id: &str, key: &str, block: &str, counter: &str, by: i64) -> Write {
    let path = stats_path(id, key).expect("a path");
    Write::transform(path, Vec::new()).with(FieldPath::of([block, counter]), Transform::Increment(Value::Integer(by)))
}

/// What is broken, how, and what should be found. Each breaks another student or count, so that all can
/// be broken at once.
async fn breakages(world: &LocalWorld, id: &str) -> Vec<(&'static str, Vec<Write>, Vec<&'static str>)> {
    let a = |n: usize| assignment(n, id);
    let now = Some(Value::Timestamp(world.now()));
    let none = Value::strings(Vec::<String>::new());
    let ids = |ids: &[&str]| Some(Value::strings(ids.iter().copied()));
    let newcomer = || {
        let district = District::new(Size { schools: 2, classes_a_school: 3, groups: 1, students: STUDENTS });
        let all = district.batches(500).flat_map(|batch| batch.expect("good paths"));
        let student = all.into_iter().find(|write| write.path == user(0)).expect("the first student");
        Write { path: DocPath::new("users/newcomer").expect("a path"), ..student }
    };
    let outsider = fields! {
        "userType" => "student", "archived" => false,
        "assignments" => fields! { "assigned" => Value::strings([id]), "started" => Value::strings([id]) },
        "assignmentsAssigned" => fields! { id => world.now() },
    };
    let nowhere: Vec<(&[&str], Option<Value>)> = vec![
        (&["districts", "current"], Some(none.clone())),
        (&["schools", "current"], Some(none.clone())),
        (&["classes", "current"], Some(none.clone())),
        (&["groups", "current"], Some(none.clone())),
    ];
    vec![
        (
            "a count too high",
            vec![count(id, "school-0001", "assignment", "started", 3)],
            vec!["CountDiffers school-0001 assignment"],
        ),
        ("a count of a task", vec![count(id, "total", "pa", "assigned", -1)], vec!["CountDiffers total pa"]),
        (
            "a task that nobody has",
            vec![count(id, "school-0002", "old-task", "completed", 2)],
            vec!["CountDiffers school-0002 old-task"],
        ),
        (
            "counts gone",
            vec![Write::delete(stats_path(id, "class-00001").expect("a path"))],
            vec!["CountsMissing class-00001"],
        ),
        (
            "counts of an org that has none",
            vec![Write::set(
                stats_path(id, "school-9999").expect("a path"),
                fields! { "assignment" => fields! { "assigned" => 4 } },
            )],
            vec!["CountsStray school-9999"],
        ),
        ("a record lost", vec![put(a(0), &[(&["counted"], None)])], vec!["RecordMissing student-000001"]),
        (
            "a record wrong",
            vec![put(a(1), &[(&["counted", "started"], Some(false.into()))])],
            vec!["RecordDiffers student-000002"],
        ),
        (
            "listed for no reason",
            vec![Write::set(DocPath::new("users/outsider").expect("a path"), outsider)],
            vec![
                "DateStray outsider assignmentsAssigned",
                "ListEntryStray outsider assignments.assigned",
                "ListEntryStray outsider assignments.started",
            ],
        ),
        (
            "not listed",
            vec![list(user(2), "assigned", id, false)],
            vec!["ListEntryMissing student-000003 assignments.assigned"],
        ),
        (
            "not listed as started",
            vec![list(user(3), "started", id, false)],
            vec!["ListEntryMissing student-000004 assignments.started"],
        ),
        (
            "listed as completed",
            vec![list(user(4), "completed", id, true)],
            vec!["ListEntryStray student-000005 assignments.completed"],
        ),
        (
            "a date gone",
            vec![put(user(5), &[(&["assignmentsAssigned", id], None)])],
            vec!["DateMissing student-000006 assignmentsAssigned"],
        ),
        (
            "a date too many",
            vec![put(user(10), &[(&["assignmentsStarted", id], now.clone())])],
            vec!["DateStray student-000011 assignmentsStarted"],
        ),
        (
            "an assigning org too many",
            vec![put(a(6), &[(&["assigningOrgs", "classes"], ids(&["class-00001", "class-00002"]))])],
            vec!["AssigningOrgsDiffer student-000007 assigningOrgs", "RecordDiffers student-000007"],
        ),
        (
            "an assigning org too few",
            vec![put(a(7), &[(&["assigningOrgs", "districts"], Some(none.clone()))])],
            vec!["AssigningOrgsDiffer student-000008 assigningOrgs", "RecordDiffers student-000008"],
        ),
        (
            "a reading org too few",
            vec![put(a(8), &[(&["readOrgs", "districts"], Some(none))])],
            vec!["ReadOrgsDiffer student-000009 readOrgs"],
        ),
        ("a user gone", vec![Write::delete(user(9))], vec!["UserGone student-000010"]),
        ("a user who left", vec![put(user(11), &nowhere)], vec!["UserNotInOrgs student-000012"]),
        (
            "no assessments",
            vec![put(a(12), &[(&["assessments"], Some(Value::Array(Vec::new())))])],
            vec!["NoAssessments student-000013", "RecordDiffers student-000013"],
        ),
        (
            "a user archived",
            vec![put(user(13), &[(&["archived"], Some(true.into()))])],
            vec!["UserArchived student-000014"],
        ),
        (
            "a user of another type",
            vec![put(user(14), &[(&["userType"], Some("teacher".into()))])],
            vec!["UserTypeNotAssigned student-000015"],
        ),
        (
            "an assignment by another name",
            vec![put(a(15), &[(&["id"], Some("other".into()))])],
            vec!["IdDiffers student-000016"],
        ),
        ("a student without the assignment", vec![newcomer()], vec!["AssignmentMissing newcomer"]),
    ]
}

pub async fn assert_mended(world: &LocalWorld, id: &str, what: &str) {
    let again = reconcile(world, id, false).await;
    assert!(again.agrees, "{what}: {again:#?}");
    world.settle().await;
    let last = reconcile(world, id, true).await;
    assert!(last.agrees && findings(&last).is_empty(), "{what}: the events of the repair broke {last:#?}");
    assert_consistent(world.admin(), id).await;
}

#[tokio::test]
async fn each_breakage_is_found_mended_and_stays_mended() {
    let (world, id) = world().await;
    let clean = reconcile(&world, &id, true).await;
    assert!(clean.agrees, "{clean:#?}");
    for (what, writes, expected) in breakages(&world, &id).await {
        commit(&world, writes).await;
        let expected: BTreeSet<String> = expected.into_iter().map(str::to_owned).collect();
        let before = world.admin().cost();
        let found = reconcile(&world, &id, false).await;
        let cost = world.admin().cost() - before;
        assert_eq!((cost.writes, cost.deletes), (0, 0), "{what}: looking writes nothing");
        assert_eq!(findings(&found), expected, "{what}");
        assert!(!found.agrees, "{what}");
        let fixed = reconcile(&world, &id, true).await;
        assert_eq!(findings(&fixed), expected, "{what}");
        assert!(fixed.agrees, "{what}: {fixed:#?}");
        assert_mended(&world, &id, what).await;
    }
}

#[tokio::test]
async fn all_at_once() {
    let (world, id) = world().await;
    let mut expected = BTreeSet::new();
    for (_, writes, found) in breakages(&world, &id).await {
        commit(&world, writes).await;
        expected.extend(found.into_iter().map(str::to_owned));
    }
    let found = reconcile(&world, &id, false).await;
    // Counts and records are broken together, so counts are off by more than by what broke them.
    let not_counts = |findings: BTreeSet<String>| -> Vec<String> {
        findings.into_iter().filter(|finding| !finding.starts_with("Count")).collect()
    };
    assert_eq!(not_counts(findings(&found)), not_counts(expected));
    insta::assert_json_snapshot!(found);
    let fixed = reconcile(&world, &id, true).await;
    assert!(fixed.agrees, "{fixed:#?}");
    assert_mended(&world, &id, "all at once").await;
}

/// Older functions made assignments without records, and wrong counts.
#[tokio::test]
async fn an_older_database_is_adopted() {
    let (world, id) = world().await;
    let mut writes = Vec::new();
    for n in 0..STUDENTS {
        writes.push(put(assignment(n, &id), &[(&["counted"], None)]));
    }
    writes.push(count(&id, "total", "assignment", "started", 5));
    writes.push(Write::set(
        stats_path(&id, "completion").expect("a path"),
        fields! { "total" => fields! {
        "assignment" => fields! { "assigned" => 7 } } },
    ));
    writes.push(Write::delete(DocPath::new(format!("administrationSyncs/{id}")).expect("a path")));
    for key in ["class-00001", "class-00002"] {
        writes.push(Write::delete(stats_path(&id, key).expect("a path")));
    }
    commit(&world, writes).await;
    let found = reconcile(&world, &id, false).await;
    assert_eq!(findings(&found).len(), STUDENTS + 3, "{found:#?}");
    let fixed = reconcile(&world, &id, true).await;
    assert!(fixed.agrees, "{fixed:#?}");
    assert_mended(&world, &id, "adopted").await;
    // From here on the counts follow.
    study(&world, &id).await;
    world.settle().await;
    assert_consistent(world.admin(), &id).await;
}

#[tokio::test]
async fn what_is_left_of_deleted_administrations_goes() {
    let (world, id) = world().await;
    let left = fields! { "id" => "gone", "assigningOrgs" => fields! { "schools" => Value::strings(["school-0001"]) } };
    set(world.admin(), "users/student-000001/assignments/gone", left.clone()).await;
    set(world.admin(), "users/nobody/assignments/gone", left).await;
    set(world.admin(), "administrations/gone/stats/total", fields! { "assignment" => fields! { "assigned" => 2 } })
        .await;
    commit(&world, vec![list(user(0), "assigned", "gone", true), list(user(1), "started", "forgotten", true)]).await;
    let options = Options { fix: true, patience: Duration::ZERO };
    let report = reconcile_all(&world.service.app, &options, &|_| {}).await.expect("a report");
    let ids: Vec<_> = report.administrations.iter().map(|one| one.administration_id.as_str()).collect();
    assert_eq!(ids, ["gone", &id, "forgotten"]);
    let expected = [
        "AdministrationGone nobody",
        "AdministrationGone student-000001",
        "CountsStray total",
        "ListEntryStray student-000002 assignments.started",
    ];
    assert_eq!(findings(&report).into_iter().collect::<Vec<_>>(), expected);
    assert!(report.agrees);
    world.settle().await;
    let again = reconcile_all(&world.service.app, &options, &|_| {}).await.expect("a report");
    assert_eq!(findings(&again), BTreeSet::new());
    assert_eq!(again.administrations.len(), 1);
    assert_eq!(world.get("administrations/gone/stats/total").await, None, "no counts come to life again");
    assert_mended(&world, &id, "the other one").await;
}

#[tokio::test]
async fn a_sync_under_way_is_left_alone() {
    let (world, id) = world().await;
    commit(&world, vec![put(assignment(0, &id), &[(&["counted"], None)])]).await;
    merge(&world, &format!("administrations/{id}"), fields! { "name" => "New" }).await;
    let report = reconcile(&world, &id, true).await;
    assert!(!report.agrees && findings(&report).is_empty());
    assert_eq!(json!(report.administrations[0].state), json!("pending"));
    world.settle().await;
    assert!(reconcile(&world, &id, true).await.agrees);
}

/// In a closed administration, the students' orgs stay as they were when it was open.
#[tokio::test]
async fn a_closed_administration_keeps_its_assignments() {
    let (world, id) = world().await;
    let none = Some(Value::strings(Vec::<String>::new()));
    let everywhere = ["districts", "schools", "classes", "groups"];
    let left = everywhere.map(|orgs| put(user(0), &[(&[orgs, "current"], none.clone())]));
    commit(&world, left.to_vec()).await;
    commit(&world, vec![count(&id, "total", "pa", "assigned", -1), list(user(1), "assigned", &id, false)]).await;
    world.clock.advance(jiff::SignedDuration::from_hours(24 * 100));
    let report = reconcile(&world, &id, true).await;
    assert_eq!(json!(report.administrations[0].state), json!("closed"));
    let expected = ["CountDiffers total pa", "ListEntryMissing student-000002 assignments.assigned"];
    assert_eq!(findings(&report).into_iter().collect::<Vec<_>>(), expected);
    assert_mended(&world, &id, "closed").await;
}

/// Counts are repaired while students start and complete tasks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn students_at_work_are_not_disturbed() {
    let (world, id) = world().await;
    for round in 0..5 {
        commit(
            &world,
            vec![
                count(&id, "total", "assignment", "started", 7),
                count(&id, "total", "pa", "assigned", -3),
                count(&id, "school-0001", "swr", "completed", 2),
                put(assignment(13, &id), &[(&["counted"], None)]),
                put(assignment(14, &id), &[(&["counted", "started"], Some(true.into()))]),
                list(user(15), "assigned", &id, false),
                Write::delete(stats_path(&id, "class-00003").expect("a path")),
            ],
        )
        .await;
        let working = async {
            for step in 0..120 {
                let (n, task) = ((step * 5 + round) % STUDENTS, (step / 24) % 2);
                let step = if step % 3 == 2 { Step::Complete(task) } else { Step::Start(task) };
                play(world.admin(), &assignment(n, &id), step, world.now()).await.expect("a step");
                for event in world.events().await {
                    if !world.deliver(event.clone()).await {
                        assert!(world.deliver(event).await);
                    }
                }
            }
        };
        let mending = async {
            let mut last = reconcile(&world, &id, true).await;
            while !last.agrees {
                last = reconcile(&world, &id, true).await;
            }
        };
        tokio::join!(working, mending);
        world.settle().await;
        let quiet = reconcile(&world, &id, false).await;
        assert!(quiet.agrees, "round {round}: {quiet:#?}");
        assert_consistent(world.admin(), &id).await;
    }
}

/// Two concurrent reconciliations don't repair the same difference twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_reconcile_at_once() {
    let (world, id) = world().await;
    for _ in 0..5 {
        for (_, writes, _) in breakages(&world, &id).await.into_iter().take(7) {
            commit(&world, writes).await;
        }
        tokio::join!(reconcile(&world, &id, true), reconcile(&world, &id, true), reconcile(&world, &id, true));
        world.settle().await;
        assert!(reconcile(&world, &id, true).await.agrees);
        assert_mended(&world, &id, "by three").await;
    }
}

/// Older functions keep no record of a sync, and have other lists of orgs.
#[tokio::test]
async fn an_administration_of_older_functions_is_adopted_once() {
    let (world, id) = world().await;
    let before = world.documents().await;
    let is_list = |path: &&str| path.contains("/readOrgs/") || path.contains("/assignedOrgs/");
    let lists: Vec<_> = before.iter().map(|(path, _)| path.as_str()).filter(is_list).collect();
    assert!(lists.len() > 2, "{lists:?}");
    let gone = lists.iter().map(|path| Write::delete(DocPath::new(*path).expect("a path")));
    let control = DocPath::new(format!("administrationSyncs/{id}")).expect("a path");
    commit(&world, gone.chain([Write::delete(control)]).collect()).await;
    assert!(reconcile(&world, &id, true).await.agrees, "nothing else is amiss");
    assert_eq!(adopt(&world.service.app, None).await.expect("begun"), std::slice::from_ref(&id));
    world.settle().await;
    assert_eq!(world.documents().await, before);
    assert_consistent(world.admin(), &id).await;
    assert_eq!(adopt(&world.service.app, None).await.expect("nothing to do"), [""; 0]);
    assert_eq!(adopt(&world.service.app, Some("unknown")).await.expect("nothing to do"), [""; 0]);
}

/// A student who came after the administration was closed isn't assigned it, though others in the same classes were.
#[tokio::test]
async fn a_closed_administration_of_older_functions_assigns_nobody() {
    let (world, id) = world().await;
    let path = DocPath::new(format!("administrations/{id}")).expect("a path");
    let closed = world.now() - jiff::SignedDuration::from_hours(24);
    let control = DocPath::new(format!("administrationSyncs/{id}")).expect("a path");
    commit(&world, vec![put(path, &[(&["dateClosed"], Some(Value::from(closed)))]), Write::delete(control)]).await;
    // Another student in the same classes, who came later.
    let mut late = world.get(&user(1).to_string()).await.expect("a student").fields;
    late.retain(|name, _| !name.starts_with("assignments"));
    commit(&world, vec![Write::set(DocPath::new("users/late").expect("a path"), late)]).await;
    let assignments = async || crate::world::assignments(world.admin(), &id).await.len();
    let before = assignments().await;
    assert_eq!(adopt(&world.service.app, None).await.expect("begun"), std::slice::from_ref(&id));
    world.settle().await;
    assert_eq!(assignments().await, before);
    assert!(world.get(&format!("administrationSyncs/{id}")).await.is_some());
}

#[tokio::test]
async fn what_a_thousand_students_cost() {
    let world = LocalWorld::start().await;
    crate::world::fill(world.admin(), 1000).await;
    let id = create(&world).await;
    world.settle().await;
    let before = world.admin().cost();
    assert!(reconcile(&world, &id, true).await.agrees);
    let cost = world.admin().cost() - before;
    println!("{cost:?}");
    assert_eq!((cost.writes, cost.deletes), (0, 0));
    assert!(cost.reads <= 2300, "{cost:?}");
    // One student amiss: the same, that student, and the counts measured again until they are sure.
    commit(&world, vec![put(assignment(0, &id), &[(&["counted"], None)])]).await;
    let before = world.admin().cost();
    assert!(reconcile(&world, &id, true).await.agrees);
    let cost = world.admin().cost() - before;
    println!("{cost:?}");
    assert_eq!(cost.deletes, 0);
    assert!(cost.writes == 2 && cost.reads <= 3600, "{cost:?}");
}
