//! `syncAssignmentsOnUserUpdate`: the effects of a user's change, with exact counts and costs.

use roar_functions::app::Settings;
use roar_functions::fields;
use roar_functions::store::{Cost, Database, DocPath, Document, FieldPath, Fields, Query, Value, Write, lookup};

use crate::local::{LocalWorld, NOW};
use crate::small::{administration, at, condition, copy_of, org_maps, orgs_of, student, task, write_orgs};
use crate::world::{assert_consistent, set, stored_counts};

const OPEN: &str = "2026-12-01T00:00:00Z";
const CLOSED: &str = "2026-09-14T00:00:00Z";

/// The hierarchy, a student of C1 in both databases, and administrations over D1.
async fn world_with(settings: Settings, grade: &str, administrations: &[(&str, Fields)]) -> LocalWorld {
    let world = LocalWorld::with(settings).await;
    write_orgs(world.admin()).await;
    let user = student(&["D1", "S1", "C1"], grade);
    set(&world.service.app.stores.assessment, "users/u", copy_of(&user)).await;
    set(world.admin(), "users/u", user).await;
    for (id, fields) in administrations {
        set(world.admin(), &format!("administrations/{id}"), fields.clone()).await;
    }
    world.settle().await;
    world
}

async fn world(grade: &str, administrations: &[(&str, Fields)]) -> LocalWorld {
    world_with(Settings::default(), grade, administrations).await
}

fn upto_5_and_from_6() -> Vec<Value> {
    vec![
        task("swr", Some(condition("studentData.grade", "LESS_THAN_OR_EQUAL", "5"))),
        task("morphology", Some(condition("studentData.grade", "GREATER_THAN_OR_EQUAL", "6"))),
    ]
}

/// Writes fields of the user, as an importer does, and lets everything follow. What it cost in both databases.
async fn change(world: &LocalWorld, changed: Fields) -> Cost {
    let mask = changed
        .iter()
        .flat_map(|(name, value)| match value {
            Value::Map(inner) if name == "studentData" => inner.keys().map(|key| FieldPath::of([name, key])).collect(),
            _ => vec![FieldPath::top(name)],
        })
        .collect();
    let write = Write::merge(DocPath::new("users/u").unwrap(), changed, mask);
    world.admin().commit(vec![write]).await.expect("written");
    let before = cost(world);
    world.settle().await;
    cost(world) - before
}

fn cost(world: &LocalWorld) -> Cost {
    world.admin().cost() + world.service.app.stores.assessment.cost()
}

async fn assignment(world: &LocalWorld, id: &str) -> Option<Document> {
    world.get(&format!("users/u/assignments/{id}")).await
}

async fn in_assessment(world: &LocalWorld, path: &str) -> Document {
    world.service.app.stores.assessment.get(&DocPath::new(path).unwrap()).await.unwrap().expect("a document")
}

/// The stats of the keys, each as assigned/started/completed of the assignment.
async fn counts(world: &LocalWorld, id: &str, keys: &[&str]) -> String {
    let mut line = Vec::new();
    for key in keys {
        let stats = world.get(&format!("administrations/{id}/stats/{key}")).await;
        let number = |name: &str| {
            let stats = stats.as_ref()?;
            lookup(&stats.fields, &format!("assignment.{name}")).and_then(Value::as_i64)
        };
        let [assigned, started, completed] = ["assigned", "started", "completed"].map(|name| number(name).unwrap_or(0));
        line.push(format!("{key} {assigned}/{started}/{completed}"));
    }
    line.join(", ")
}

fn tasks_of(assignment: &Document) -> Vec<String> {
    let assessments = assignment.fields["assessments"].as_array().expect("a list");
    assessments.iter().filter_map(|entry| Some(entry.as_map()?["taskId"].as_str()?.to_owned())).collect()
}

async fn start(world: &LocalWorld, id: &str) {
    let path = DocPath::new(format!("users/u/assignments/{id}")).unwrap();
    roar_functions::demo::play::play(world.admin(), &path, roar_functions::demo::play::Step::Start(0), world.now())
        .await
        .expect("started");
    world.settle().await;
}

async fn write_run(database: &Database, id: &str, assignment: Option<&str>, run: Fields) {
    let mut fields = fields! {
        "id" => id, "taskId" => "swr", "completed" => false, "reliable" => true,
        "assignmentId" => assignment.map_or(Value::Null, Value::from),
    };
    fields.extend(run);
    set(database, &format!("users/u/runs/{id}"), fields).await;
}

#[tokio::test]
async fn a_promotion_takes_what_no_longer_applies() {
    let world = world("5", &[("a", administration(&["D1"], upto_5_and_from_6(), at(OPEN)))]).await;
    assert_eq!(tasks_of(&assignment(&world, "a").await.unwrap()), ["swr"]);
    assert_eq!(counts(&world, "a", &["total", "D1", "S1", "C1"]).await, "total 1/0/0, D1 1/0/0, S1 1/0/0, C1 1/0/0");

    change(&world, fields! { "studentData" => fields! { "grade" => "6" } }).await;
    assert_eq!(assignment(&world, "a").await, None, "nothing is left of it");
    assert_eq!(counts(&world, "a", &["total", "D1", "S1", "C1"]).await, "total 0/0/0, D1 0/0/0, S1 0/0/0, C1 0/0/0");
    let user = world.get("users/u").await.unwrap();
    assert_eq!(lookup(&user.fields, "studentData.schoolLevel"), Some(&Value::from("middle")));
    assert_eq!(lookup(&user.fields, "assignments.assigned").and_then(Value::as_array), Some(&[][..]));
    let copy = in_assessment(&world, "users/u").await;
    assert_eq!((&copy.fields["grade"], &copy.fields["schoolLevel"]), (&Value::from("6"), &Value::from("middle")));
    assert_consistent(world.admin(), "a").await;
}

#[tokio::test]
async fn a_promotion_keeps_what_was_started() {
    let world = world("5", &[("a", administration(&["D1"], upto_5_and_from_6(), at(OPEN)))]).await;
    start(&world, "a").await;
    change(&world, fields! { "studentData" => fields! { "grade" => "6" } }).await;
    let kept = assignment(&world, "a").await.expect("it was started");
    assert_eq!(tasks_of(&kept), ["swr"]);
    assert_eq!(lookup(&kept.fields, "userData.grade"), Some(&Value::from("6")));
    assert_eq!(lookup(&kept.fields, "userData.schoolLevel"), Some(&Value::from("middle")));
    assert_eq!(counts(&world, "a", &["total", "C1"]).await, "total 1/1/0, C1 1/1/0");
    assert_consistent(world.admin(), "a").await;
}

#[tokio::test]
async fn a_promotion_brings_what_applies_when_settings_say_so() {
    let settings = Settings { assign_on_promotion: true, ..Settings::default() };
    let world = world_with(settings, "5", &[("a", administration(&["D1"], upto_5_and_from_6(), at(OPEN)))]).await;
    change(&world, fields! { "studentData" => fields! { "grade" => "6" } }).await;
    assert_eq!(tasks_of(&assignment(&world, "a").await.unwrap()), ["morphology"]);
    assert_eq!(counts(&world, "a", &["total"]).await, "total 1/0/0");
    assert_consistent(world.admin(), "a").await;
}

#[tokio::test]
async fn another_spelling_of_a_grade_costs_nothing() {
    let world = world("5", &[("a", administration(&["D1"], upto_5_and_from_6(), at(OPEN)))]).await;
    for grade in [Value::from("05"), Value::from(5), Value::from("5 ")] {
        let cost = change(&world, fields! { "studentData" => fields! { "grade" => grade } }).await;
        assert_eq!(cost, Cost::default());
    }
}

#[tokio::test]
async fn closed_assignments_keep_the_grade() {
    let closed = administration(&["D1"], upto_5_and_from_6(), at(CLOSED));
    let world = world("5", &[("a", closed)]).await;
    let before = assignment(&world, "a").await.expect("past dates are assigned too");
    change(&world, fields! { "studentData" => fields! { "grade" => "6" } }).await;
    assert_eq!(assignment(&world, "a").await, Some(before));
}

#[tokio::test]
async fn a_corrected_birth_goes_everywhere() {
    let closed = administration(&["D1"], vec![task("swr", None)], at(CLOSED));
    let open = administration(&["D1"], vec![task("swr", None)], at(OPEN));
    let world = world("2", &[("closed", closed), ("open", open)]).await;
    let assessment = &world.service.app.stores.assessment;
    let data = fields! { "grade" => "2", "birthMonth" => 9, "birthYear" => 2015, "ageMonths" => 95, "ageYears" => 7 };
    let started = fields! { "timeStarted" => at("2023-09-15T10:00:00Z"), "userData" => data.clone() };
    write_run(assessment, "r1", Some("closed"), started).await;
    write_run(assessment, "r2", None, fields! { "userData" => data }).await;
    world.settle().await;

    let dob = at("2015-03-20T00:00:00Z");
    let cost = change(&world, fields! { "studentData" => fields! { "dob" => dob } }).await;
    println!("two assignments and two runs: {cost:?}");
    assert!(cost.reads <= 2 + 2 + 3, "{cost:?}");
    assert!(cost.writes + cost.deletes <= 2 + 2 + 3, "{cost:?}");
    for id in ["closed", "open"] {
        let fields = assignment(&world, id).await.unwrap().fields;
        assert_eq!(lookup(&fields, "userData.dob"), Some(&Value::Timestamp(dob)), "{id}");
    }
    let copy = in_assessment(&world, "users/u").await;
    assert_eq!((&copy.fields["birthMonth"], &copy.fields["birthYear"]), (&Value::from(3), &Value::from(2015)));
    let shown = |run: &Document, name: &str| lookup(&run.fields, &format!("userData.{name}")).and_then(Value::as_i64);
    let one = in_assessment(&world, "users/u/runs/r1").await;
    assert_eq!((shown(&one, "ageMonths"), shown(&one, "ageYears")), (Some(101), Some(8)));
    assert_eq!((shown(&one, "birthMonth"), shown(&one, "birthYear")), (Some(3), Some(2015)));
    assert_eq!(lookup(&one.fields, "userData.grade"), Some(&Value::from("2")), "the snapshot's grade stays");
    let two = in_assessment(&world, "users/u/runs/r2").await;
    assert_eq!((shown(&two, "ageMonths"), shown(&two, "birthMonth")), (Some(95), Some(3)), "it has no start");

    // Many.
    for n in 0..30 {
        let run = fields! { "timeStarted" => at("2023-09-15T10:00:00Z"), "userData" => Fields::new() };
        write_run(assessment, &format!("more{n}"), Some("open"), run).await;
    }
    world.settle().await;
    let cost = change(&world, fields! { "studentData" => fields! { "dob" => at("2015-02-20T00:00:00Z") } }).await;
    println!("two assignments and 32 runs: {cost:?}");
    assert!(cost.reads <= 2 + 32 + 3 && cost.writes <= 2 + 32 + 3, "{cost:?}");

    // A day to come is no birthday.
    let cost = change(&world, fields! { "studentData" => fields! { "dob" => at("2035-02-20T00:00:00Z") } }).await;
    assert_eq!(cost, Cost::default());
}

#[tokio::test]
async fn an_age_condition_is_looked_at_again() {
    let young = task("young", Some(condition("age", "LESS_THAN", 11)));
    let open = administration(&["D1"], vec![young, task("swr", None)], at(OPEN));
    // Born on 2015-09-20, ten years old on the day of the test.
    let world = world("5", &[("a", open)]).await;
    assert_eq!(tasks_of(&assignment(&world, "a").await.unwrap()), ["young", "swr"]);
    change(&world, fields! { "studentData" => fields! { "dob" => at("2013-09-20T00:00:00Z") } }).await;
    assert_eq!(tasks_of(&assignment(&world, "a").await.unwrap()), ["swr"]);
    assert_consistent(world.admin(), "a").await;
}

#[tokio::test]
async fn a_move_inside_the_assigned_district_changes_only_lists() {
    let world = world("2", &[("a", administration(&["D1"], vec![task("swr", None)], at(OPEN)))]).await;
    start(&world, "a").await;
    let assessment = &world.service.app.stores.assessment;
    let before = assignment(&world, "a").await.unwrap();
    let lists = |name: &str| before.fields[name].clone();
    let run = fields! { "assigningOrgs" => lists("assigningOrgs"), "readOrgs" => lists("readOrgs") };
    write_run(assessment, "r", Some("a"), run).await;
    world.settle().await;
    assert_eq!(orgs_of(&before, "assigningOrgs"), "C1 D1 S1");

    let mut moved = Fields::new();
    for (id, name) in [("S2", "schools"), ("C3", "classes")] {
        let mut map = world.get("users/u").await.unwrap().fields[name].as_map().unwrap().clone();
        map.insert("current".to_owned(), Value::strings([id]));
        moved.insert(name.to_owned(), Value::Map(map));
    }
    change(&world, moved).await;
    let after = assignment(&world, "a").await.expect("the same assignment");
    assert_eq!(orgs_of(&after, "assigningOrgs"), "C3 D1 S2");
    assert_eq!(orgs_of(&after, "readOrgs"), "C3 D1 S2");
    for kept in ["dateAssigned", "started", "assessments", "progress"] {
        assert_eq!(after.fields[kept], assignment(&world, "a").await.unwrap().fields[kept], "{kept}");
    }
    assert_eq!(
        counts(&world, "a", &["total", "D1", "S1", "C1", "S2", "C3"]).await,
        "total 1/1/0, D1 1/1/0, S1 0/0/0, C1 0/0/0, S2 1/1/0, C3 1/1/0"
    );
    let user = world.get("users/u").await.unwrap();
    let schools = user.fields["schools"].as_map().unwrap();
    assert_eq!(schools["all"], Value::strings(["S1", "S2"]));
    let moved_at =
        user.fields["schools"].as_map().unwrap()["dates"].as_map().unwrap()["S2"].as_map().unwrap()["from"].clone();
    let left = schools["dates"].as_map().unwrap()["S1"].as_map().unwrap();
    assert_eq!((&left["from"], &left["to"]), (&at("2026-08-01T00:00:00Z").into(), &moved_at));
    let copy = in_assessment(&world, "users/u").await;
    assert_eq!(copy.fields["schools"], user.fields["schools"]);
    let run = in_assessment(&world, "users/u/runs/r").await;
    assert_eq!(
        (orgs_of(&run, "assigningOrgs"), orgs_of(&run, "readOrgs")),
        ("C3 D1 S2".to_owned(), "C3 D1 S2".to_owned())
    );
    assert_consistent(world.admin(), "a").await;
}

#[tokio::test]
async fn who_leaves_and_comes_back() {
    let a = administration(&["D1"], vec![task("swr", None)], at(OPEN));
    let b = administration(&["S3"], vec![task("pa", None)], at(OPEN));
    let world = world("2", &[("a", a), ("b", b)]).await;
    let assessment = &world.service.app.stores.assessment;
    let lists = assignment(&world, "a").await.unwrap().fields["assigningOrgs"].clone();
    write_run(assessment, "r", Some("a"), fields! { "assigningOrgs" => lists.clone(), "readOrgs" => lists }).await;
    world.settle().await;
    change(&world, org_maps(&["D2", "S3", "C4"], at(NOW))).await;
    assert_eq!(assignment(&world, "a").await, None);
    assert_eq!(orgs_of(&assignment(&world, "b").await.unwrap(), "assigningOrgs"), "C4 S3");
    assert_eq!(orgs_of(&assignment(&world, "b").await.unwrap(), "readOrgs"), "C4 D2 S3");
    assert_eq!(counts(&world, "a", &["total", "C1"]).await, "total 0/0/0, C1 0/0/0");
    let run = in_assessment(&world, "users/u/runs/r").await;
    assert_eq!(orgs_of(&run, "assigningOrgs"), "", "the run stays, without orgs");
    // The importer replaced the maps; what the user had is still known.
    let user = world.get("users/u").await.unwrap();
    assert_eq!(lookup(&user.fields, "schools.all").and_then(Value::as_string_list).unwrap(), ["S3", "S1"]);
    assert!(lookup(&user.fields, "schools.dates.S1.to").is_some());

    change(&world, org_maps(&["D1", "S1", "C1"], at(NOW))).await;
    assert_eq!(orgs_of(&assignment(&world, "a").await.unwrap(), "assigningOrgs"), "C1 D1 S1");
    assert_eq!(assignment(&world, "b").await, None);
    for id in ["a", "b"] {
        assert_consistent(world.admin(), id).await;
    }
}

#[tokio::test]
async fn archived_deleted_or_of_another_type() {
    for (what, changed) in [
        ("archived", fields! { "archived" => true }),
        ("an educator", fields! { "userType" => "educator" }),
        ("no orgs", org_maps(&[], at(NOW))),
    ] {
        let open = administration(&["D1"], vec![task("swr", None)], at(OPEN));
        let closed = administration(&["D1"], vec![task("swr", None)], at(CLOSED));
        let world = world("2", &[("a", open), ("closed", closed)]).await;
        let before = world.get("users/u").await.unwrap().fields;
        change(&world, changed.clone()).await;
        assert_eq!(assignment(&world, "a").await, None, "{what}");
        assert!(assignment(&world, "closed").await.is_some(), "{what}");
        assert_eq!(counts(&world, "a", &["total", "D1"]).await, "total 0/0/0, D1 0/0/0", "{what}");
        let back: Fields = changed.keys().map(|name| (name.clone(), before[name].clone())).collect();
        change(&world, back).await;
        assert!(assignment(&world, "a").await.is_some(), "{what}, and back");
        assert_eq!(counts(&world, "a", &["total", "D1"]).await, "total 1/0/0, D1 1/0/0", "{what}, and back");
        world.admin().commit(vec![Write::delete(DocPath::new("users/u").unwrap())]).await.unwrap();
        world.settle().await;
        for id in ["a", "closed"] {
            assert_eq!(assignment(&world, id).await, None, "the assignments go with their user");
            assert_eq!(stored_counts(world.admin(), id).await.differences(&Default::default()), []);
        }
    }
}

#[tokio::test]
async fn several_kinds_in_one_write_and_a_password() {
    let world = world("5", &[("a", administration(&["D1"], upto_5_and_from_6(), at(OPEN)))]).await;
    start(&world, "a").await;
    let mut changed = org_maps(&["D1", "S2", "C3"], at(NOW));
    changed.insert("studentData".to_owned(), fields! { "grade" => "6", "dob" => at("2014-01-02T00:00:00Z") }.into());
    changed.insert("name".to_owned(), fields! { "first" => "Grace" }.into());
    changed.insert("password".to_owned(), "secret".into());
    change(&world, changed).await;
    let after = assignment(&world, "a").await.unwrap();
    assert_eq!(orgs_of(&after, "assigningOrgs"), "C3 D1 S2");
    assert_eq!(lookup(&after.fields, "userData.grade"), Some(&Value::from("6")));
    assert_eq!(lookup(&after.fields, "userData.dob"), Some(&Value::Timestamp(at("2014-01-02T00:00:00Z"))));
    assert_eq!(lookup(&after.fields, "userData.name.first"), Some(&Value::from("Grace")));
    assert!(!world.get("users/u").await.unwrap().fields.contains_key("password"));
    assert_consistent(world.admin(), "a").await;
}

#[tokio::test]
async fn what_is_irrelevant_costs_no_read() {
    let world = world("5", &[("a", administration(&["D1"], upto_5_and_from_6(), at(OPEN)))]).await;
    let lists = fields! { "assigned" => Value::strings(["x"]) };
    let table = [
        (fields! { "lastUpdated" => at(NOW) }, 0),
        // What was signed is recorded.
        (fields! { "legal" => fields! { "tos" => fields! { "v1" => vec![Value::from("signed")] } } }, 1),
        (fields! { "assignmentsAssigned" => fields! { "x" => at(NOW) }, "assignments" => lists }, 0),
    ];
    for (changed, writes) in table {
        assert_eq!(change(&world, changed).await, Cost { writes, ..Cost::default() });
    }
    // Nor does anything about people who get no assignments.
    set(world.admin(), "users/teacher", fields! { "userType" => "educator", "name" => "T" }).await;
    let before = cost(&world);
    world.settle().await;
    assert_eq!(cost(&world) - before, Cost::default());
}

/// The bound that the handler's documentation states holds for a wide tree and many administrations.
#[tokio::test]
async fn a_move_costs_what_concerns_the_student() {
    let world = LocalWorld::start().await;
    write_orgs(world.admin()).await;
    let mut writes = Vec::new();
    for n in 0..2000 {
        let school = format!("S{}", 100 + n / 20);
        if n % 20 == 0 {
            let fields = fields! { "districtId" => "D1", "archived" => false };
            writes.push(Write::set(DocPath::in_collection("schools", &school).unwrap(), fields));
        }
        let fields = fields! { "schoolId" => school, "districtId" => "D1", "archived" => false };
        writes.push(Write::set(DocPath::in_collection("classes", &format!("C{}", 1000 + n)).unwrap(), fields));
    }
    for batch in writes.chunks(400) {
        world.admin().commit(batch.to_vec()).await.unwrap();
    }
    // The orgs have been there for long.
    world.store.take_events().await.expect("the outbox");
    set(world.admin(), "users/u", student(&["D1", "S1", "C1"], "2")).await;
    let user = student(&["D1", "S1", "C1"], "2");
    set(&world.service.app.stores.assessment, "users/u", copy_of(&user)).await;
    for n in 0..40 {
        // A few over everything, which takes its time.
        let orgs: &[&str] = if n < 3 { &["D1"] } else { &["S1", "S2"] };
        let fields = administration(orgs, upto_5_and_from_6(), at(OPEN));
        set(world.admin(), &format!("administrations/a{n}"), fields).await;
    }
    world.settle().await;
    let cost = change(&world, org_maps(&["D1", "S2", "C3"], at(NOW))).await;
    println!("40 assignments, 2,000 orgs, a move: {cost:?}");
    // The user twice, the copy, syncs under way, runs (none): one read each, with three for events of
    // assignments that were settled already (none). 40 assignments, 3 orgs in 40 administrations, and 3
    // orgs.
    assert!(cost.reads <= 5 + 40 + 3 * 40 + 3, "{cost:?}");
    // Per administration the assignment and the counts of two schools and two classes; the user and the copy.
    assert!(cost.writes <= 40 * 5 + 3, "{cost:?}");
    assert_eq!(world.admin().query(Query::collection("users/u/assignments")).await.unwrap().len(), 40);
    assert_eq!(world.store.scans(), Vec::<String>::new(), "every query has an index");
    assert_consistent(world.admin(), "a7").await;
}

/// A user moves while a sync is under way: the chunk has read the user before the move, and commits after the handler.
#[tokio::test]
async fn a_sync_that_read_the_user_before_does_not_have_the_last_word() {
    let world = world("2", &[]).await;
    set(world.admin(), "administrations/a", administration(&["S1"], vec![task("swr", None)], at(OPEN))).await;
    for event in world.events().await {
        assert!(world.deliver(event).await);
    }
    world.service.queue.idle().await;
    // As if the chunk, which read the user in S1, committed only now.
    let made = assignment(&world, "a").await.expect("assigned");
    let control = DocPath::new("administrationSyncs/a").unwrap();
    let under_way = Write::update(control.clone(), fields! { "state" => "pending" });
    world.admin().commit(vec![under_way]).await.unwrap();
    world.settle().await;
    change(&world, org_maps(&["D1", "S2", "C3"], at(NOW))).await;
    assert_eq!(assignment(&world, "a").await, None);
    let waiting = world.get("administrationSyncs/a/usersToFollow/u").await.expect("left with the sync");
    assert_eq!(waiting.fields["orgs"], Value::Boolean(true));
    let mut late = made.fields;
    late.remove("counted");
    set(world.admin(), "users/u/assignments/a", late).await;
    world.settle().await;
    assert!(assignment(&world, "a").await.is_some());
    // The sync ends: a newer save, here.
    world.admin().commit(vec![Write::update(control, fields! { "fingerprint" => "" })]).await.unwrap();
    let again = Write::update(DocPath::new("administrations/a").unwrap(), fields! { "name" => "Winter" });
    world.admin().commit(vec![again]).await.unwrap();
    world.settle().await;
    assert_eq!(assignment(&world, "a").await, None, "the user was followed again");
    assert_eq!(world.get("administrationSyncs/a/usersToFollow/u").await, None);
    assert_consistent(world.admin(), "a").await;
}
