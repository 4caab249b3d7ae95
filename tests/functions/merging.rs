//! Two users who are one person are merged into one: no work and no right of either is lost, everything that is derived
//! from them agrees, and repeating an interrupted merge completes it.

use std::time::Duration;

use roar_functions::accounts::NewAccount;
use roar_functions::app::Settings;
use roar_functions::demo::play::{Step, play};
use roar_functions::fields;
use roar_functions::merging::{MergeError, Merged, merge};
use roar_functions::orgs::OrgLists;
use roar_functions::reconcile::{Options, reconcile_all};
use roar_functions::store::{DocPath, FieldPath, Fields, Query, Value, Write};

use crate::local::{LocalWorld, NOW};
use crate::small::{administration, at, copy_of, lists, org_maps, student, task, write_orgs};
use crate::world::{assert_consistent, set};

const OPEN: &str = "2026-12-01T00:00:00Z";
/// Of `from`, and of `into`.
const PLACES: [&[&str]; 2] = [&["D1", "S1", "C1"], &["D1", "S2", "C3"]];
const ADMINISTRATIONS: [&str; 4] = ["a", "b", "closed", "theirs"];

fn path(text: &str) -> DocPath {
    DocPath::new(text).expect("a path")
}

/// `from` in C1 and `into` in C3; `a` is over both, `b` and `closed` over C1, `theirs` over C3.
async fn world() -> LocalWorld {
    let world = LocalWorld::with(Settings::default()).await;
    write_orgs(world.admin()).await;
    for (id, orgs, email) in [("from", PLACES[0], "C1@School.Example"), ("into", PLACES[1], "c1@school.example")] {
        let mut user = student(orgs, "3");
        user.extend(fields! { "email" => email });
        set(world.assessment(), &format!("users/{id}"), copy_of(&user)).await;
        set(world.admin(), &format!("users/{id}"), user).await;
    }
    for (id, org) in [("a", "D1"), ("b", "C1"), ("closed", "C1"), ("theirs", "C3")] {
        let tasks = vec![task("pa", None), task("survey", None)];
        set(world.admin(), &format!("administrations/{id}"), administration(&[org], tasks, at(OPEN))).await;
    }
    world.settle().await;
    work(&world).await;
    around(&world).await;
    world.settle().await;
    world
}

async fn run(world: &LocalWorld, user: &str, id: &str, of: &str, done: bool) {
    let mut run = fields! {
        "id" => id, "taskId" => "pa", "assignmentId" => of, "completed" => done, "reliable" => true,
        "timeStarted" => at(NOW), "userData" => fields! { "grade" => "3" },
        "assigningOrgs" => lists(PLACES[usize::from(user == "into")]).to_value(),
        "readOrgs" => lists(PLACES[usize::from(user == "into")]).to_value(),
    };
    if done {
        run.insert("timeFinished".to_owned(), Value::Timestamp(at(NOW)));
    }
    set(world.assessment(), &format!("users/{user}/runs/{id}"), run).await;
    for trial in ["t1", "t2"] {
        let trial_path = format!("users/{user}/runs/{id}/trials/{trial}");
        set(world.assessment(), &trial_path, fields! { "correct" => 1, "taskId" => "pa" }).await;
    }
    world.settle().await;
}

/// Of `a`, one did the task with runs and began no other, and the other did the rest. `b` and `closed` are begun.
async fn work(world: &LocalWorld) {
    for (user, of, step) in [
        ("from", "a", Step::Start(0)),
        ("into", "a", Step::Start(0)),
        ("into", "a", Step::Complete(1)),
        ("from", "b", Step::Start(0)),
        ("from", "closed", Step::Start(1)),
        ("from", "closed", Step::Complete(1)),
    ] {
        let assignment = path(&format!("users/{user}/assignments/{of}"));
        play(world.admin(), &assignment, step, world.now()).await.expect("a step");
        world.settle().await;
    }
    run(world, "from", "done", "a", true).await;
    run(world, "into", "begun", "a", false).await;
    run(world, "from", "of-b", "b", false).await;
    let shut = fields! { "dateClosed" => at("2026-09-15T00:00:00Z") };
    world.admin().commit(vec![Write::update(path("administrations/closed"), shut)]).await.expect("written");
    world.settle().await;
}

/// What hangs on `from` besides: an account with rights, a roster's entry, what the roster said, a parent.
async fn around(world: &LocalWorld) {
    let accounts = &world.service.app.accounts;
    let new = NewAccount { email: Some("one@example.org".to_owned()), ..NewAccount::default() };
    accounts.admin.create("uid-from", &new).await.expect("an account");
    accounts.assessment.create("assessment-from", &new).await.expect("an account");
    let claims = fields! {
        "roarUid" => "from", "adminUid" => "uid-from", "assessmentUid" => "assessment-from", "role" => "student",
    };
    set(world.admin(), "userClaims/uid-from", fields! { "claims" => claims, "lastUpdated" => 1 }).await;
    let entry = fields! {
        "providerId" => "clever-1", "providerType" => "clever", "roarUid" => "from", "adminUid" => "uid-from",
        "email" => "c1@school.example", "role" => "student",
    };
    set(world.admin(), "identityProviderIds/clever-1", entry).await;
    set(world.admin(), "users/from/externalData/clever", fields! { "id" => "clever-1" }).await;
    set(
        world.admin(),
        "users/parent",
        fields! { "userType" => "caregiver", "archived" => false, "childIds" => Value::strings(["other", "from"]) },
    )
    .await;
}

/// Everything in both databases but tasks, and what differs between two runs of the same story: times, and the
/// order of lists.
async fn everything(world: &LocalWorld) -> Vec<(String, Fields)> {
    let mut all = world.documents().await;
    for collection in ["userClaims", "identityProviderIds"] {
        for document in world.admin().query(Query::collection(collection)).await.expect("documents") {
            all.push((document.path.to_string(), document.fields));
        }
    }
    for query in [Query::collection("users"), Query::group("runs"), Query::group("trials")] {
        for document in world.assessment().query(query).await.expect("documents") {
            all.push((format!("assessment/{}", document.path), document.fields));
        }
    }
    all.retain(|(path, _)| !path.starts_with("functionTasks"));
    for (_, fields) in &mut all {
        for volatile in ["lastUpdated", "lastSync", "cloudSyncTimestamp", "lastSyncedFromAdministration"] {
            fields.remove(volatile);
        }
        if let Some(Value::Map(counted)) = fields.get_mut("counted") {
            counted.remove("since");
        }
    }
    all
}

async fn merged(world: &LocalWorld, apply: bool) -> Merged {
    merge(&world.service.app, "from", "into", apply, "a test").await.expect("merged")
}

async fn assert_merged(world: &LocalWorld, what: &str) {
    for administration in ADMINISTRATIONS {
        assert_consistent(world.admin(), administration).await;
    }
    let options = Options { fix: false, patience: Duration::ZERO };
    let report = reconcile_all(&world.service.app, &options, &|_| {}).await.expect("a report");
    assert!(report.agrees, "{what}: {report:?}");
    // Who goes has nothing any more, and says who they are.
    let from = world.get("users/from").await.expect("archived, and not deleted").fields;
    assert_eq!((&from["archived"], &from["mergedInto"]), (&true.into(), &"into".into()), "{what}");
    assert!(!from.contains_key("mergingInto"), "{what}");
    for (database, collection) in
        [(world.admin(), "assignments"), (world.admin(), "externalData"), (world.assessment(), "runs")]
    {
        let left = database.query(Query::collection(format!("users/from/{collection}"))).await.expect("documents");
        assert!(left.is_empty(), "{what}: {collection}");
    }
    let into = world.get("users/into").await.expect("a user").fields;
    assert_eq!(into["mergedFrom"], Value::strings(["from"]), "{what}");
    let classes = into["classes"].as_map().expect("a map")["current"].as_string_list().expect("IDs");
    assert_eq!(classes, ["C3", "C1"], "{what}");
    let copy = world.assessment().get(&path("users/into")).await.expect("readable").expect("a copy").fields;
    let copied = copy["classes"].as_map().expect("a map")["current"].as_string_list().expect("IDs");
    assert_eq!(copied, ["C3", "C1"], "{what}: the copy follows");
    let parent = world.get("users/parent").await.expect("a user").fields;
    assert_eq!(parent["childIds"], Value::strings(["other", "into"]), "{what}");
    let entry = world.get("identityProviderIds/clever-1").await.expect("an entry").fields;
    assert_eq!(entry["roarUid"], Value::from("into"), "{what}");
    assert!(world.get("users/into/externalData/clever").await.is_some(), "{what}");
}

async fn assignment(world: &LocalWorld, of: &str) -> Fields {
    world.get(&format!("users/into/assignments/{of}")).await.expect("an assignment").fields
}

fn is_completed(assignment: &Fields, task: &str) -> bool {
    let entries = assignment["assessments"].as_array().expect("a list").iter().filter_map(Value::as_map);
    let mut of_task = entries.filter(|entry| entry.get("taskId") == Some(&Value::from(task)));
    of_task.any(|entry| entry.get("completedOn").is_some_and(|date| !date.is_null()))
}

#[tokio::test]
async fn two_users_become_one() {
    let world = world().await;
    let before = everything(&world).await;
    let cost = (world.admin().cost(), world.assessment().cost());
    let shown = merged(&world, false).await;
    let spent = (world.admin().cost() - cost.0, world.assessment().cost() - cost.1);
    assert_eq!((spent.0.writes + spent.0.deletes, spent.1.writes + spent.1.deletes), (0, 0), "only shown");
    assert_eq!(everything(&world).await, before);

    let done = merged(&world, true).await;
    world.settle().await;
    assert_eq!(Merged { applied: true, ..shown }, done, "what was shown is what's done");
    assert_eq!(
        (done.assignments_combined, done.assignments_moved),
        (vec!["a".into()], vec!["b".into(), "closed".into()])
    );
    assert_eq!((done.runs, done.roster_entries, done.relations), (2, 1, 1));
    assert_eq!((done.accounts, done.accounts_given_up), (vec!["uid-from".into()], Vec::<String>::new()));
    assert_eq!(done.orgs, ["S1", "C1"]);
    assert_merged(&world, "merged").await;

    let a = assignment(&world, "a").await;
    assert_eq!((&a["started"], &a["completed"]), (&true.into(), &true.into()), "together they did all of it");
    let entry = a["assessments"].as_array().expect("a list")[0].as_map().expect("a map").clone();
    assert_eq!(entry["runId"], Value::from("done"));
    let mut runs = entry["allRunIds"].as_string_list().expect("IDs");
    runs.sort();
    assert_eq!(runs, ["begun", "done"]);
    assert_eq!(
        crate::small::orgs_of(&world.get("users/into/assignments/a").await.expect("one"), "assigningOrgs"),
        "C1 C3 D1 S1 S2"
    );
    assert_eq!(assignment(&world, "b").await["started"], true.into());
    // Work isn't lost because its administration has closed.
    let closed = assignment(&world, "closed").await;
    assert!(is_completed(&closed, "survey"));
    let best = world.assessment().get(&path("users/into/runs/done")).await.expect("readable").expect("a run").fields;
    assert_eq!(best["bestRun"], true.into());
    let trials = world.assessment().query(Query::collection("users/into/runs/done/trials")).await.expect("trials");
    assert_eq!(trials.len(), 2);
    // Their account signs in as the user who stays.
    let account = world.service.app.accounts.admin.get("uid-from").await.expect("readable").expect("an account");
    assert_eq!(account.custom_claims["roarUid"], "into");
    let copy = world.assessment().get(&path("userClaims/assessment-from")).await.expect("readable").expect("claims");
    assert_eq!(copy.fields["claims"].as_map().expect("a map")["roarUid"], "into".into());
    // One address is one user's.
    let from = world.get("users/from").await.expect("a user").fields;
    assert!(!from.contains_key("email") && !from.contains_key("emailKey"), "{from:?}");
}

#[tokio::test]
async fn a_merge_can_be_repeated() {
    let world = world().await;
    merged(&world, true).await;
    world.settle().await;
    let before = everything(&world).await;
    let cost = (world.admin().cost(), world.assessment().cost());
    let again = merged(&world, true).await;
    let spent = (world.admin().cost() - cost.0, world.assessment().cost() - cost.1);
    assert!(again.already_merged, "{again:?}");
    assert_eq!((spent.0.writes + spent.0.deletes, spent.1.writes + spent.1.deletes), (0, 0));
    world.settle().await;
    assert_eq!(everything(&world).await, before);
}

#[tokio::test]
async fn a_merge_that_is_cut_short_goes_on() {
    let reference = world().await;
    merged(&reference, true).await;
    reference.settle().await;
    let expected = everything(&reference).await;
    let mut unfinished = 0;
    for cut in 0..25 {
        let world = world().await;
        let (after, late) = (Duration::from_millis(cut * 4), cut % 2 == 0);
        let what = format!("cut after {after:?}, events late: {late}");
        let one = tokio::time::timeout(after, merge(&world.service.app, "from", "into", true, "a test")).await;
        unfinished += u32::from(one.is_err());
        if !late {
            world.settle().await;
            for administration in ADMINISTRATIONS {
                assert_consistent(world.admin(), administration).await;
            }
        }
        // Nothing that was done is lost meanwhile: each run is there, once or twice.
        let runs = world.assessment().query(Query::group("runs")).await.expect("runs");
        for id in ["done", "begun", "of-b"] {
            assert!(runs.iter().any(|run| run.id() == id), "{what}: {id}");
        }
        merged(&world, true).await;
        world.settle().await;
        assert_merged(&world, &what).await;
        let now = everything(&world).await;
        assert_eq!(paths(&now), paths(&expected), "{what}");
        for (one, other) in now.iter().zip(&expected) {
            assert_eq!(sorted(&one.1), sorted(&other.1), "{what}: {}", one.0);
        }
    }
    assert!(unfinished > 3, "the cuts come too late to show anything");
}

fn paths(all: &[(String, Fields)]) -> Vec<&str> {
    all.iter().map(|(path, _)| path.as_str()).collect()
}

/// With all lists of IDs in one order.
fn sorted(fields: &Fields) -> Fields {
    let value = |value: &Value| match value {
        Value::Map(map) => Value::Map(sorted(map)),
        Value::Array(items) if value.as_string_list().is_some_and(|ids| ids.len() == items.len()) => {
            let mut ids = value.as_string_list().unwrap_or_default();
            ids.sort();
            Value::strings(ids)
        }
        other => other.clone(),
    };
    fields.iter().map(|(name, inner)| (name.clone(), value(inner))).collect()
}

#[tokio::test]
async fn where_both_have_an_account_rights_go_over() {
    let world = world().await;
    let accounts = &world.service.app.accounts;
    let new = NewAccount { email: Some("two@example.org".to_owned()), ..NewAccount::default() };
    accounts.admin.create("uid-into", &new).await.expect("an account");
    let claims = fields! { "roarUid" => "into", "adminUid" => "uid-into" };
    set(world.admin(), "families/F1", fields! { "name" => "F1", "archived" => false }).await;
    set(world.admin(), "userClaims/uid-into", fields! { "claims" => claims, "lastUpdated" => 1 }).await;
    let rights = fields! { "claims" => fields! {
        "minimalAdminOrgs" => lists(&["F1"]).to_value(), "adminOrgs" => lists(&["F1"]).to_value(),
    } };
    let mask = ["minimalAdminOrgs", "adminOrgs"].map(|name| FieldPath::of(["claims", name])).to_vec();
    world.admin().commit(vec![Write::merge(path("userClaims/uid-from"), rights, mask)]).await.expect("written");
    world.settle().await;
    let done = merged(&world, true).await;
    world.settle().await;
    assert_eq!((done.accounts, done.accounts_given_up), (vec!["uid-into".into()], vec!["uid-from".into()]));
    assert_eq!(world.get("userClaims/uid-from").await.map(|claims| claims.fields), None);
    let claims = world.get("userClaims/uid-into").await.expect("claims").fields;
    let held = OrgLists::from_value(claims["claims"].as_map().expect("a map").get("adminOrgs"));
    assert_eq!(held, lists(&["F1"]));
    let given_up = accounts.admin.get("uid-from").await.expect("readable").expect("an account").custom_claims;
    assert!(!given_up.contains_key("roarUid") && !given_up.contains_key("adminOrgs"), "{given_up:?}");
    let entry = world.get("identityProviderIds/clever-1").await.expect("an entry").fields;
    assert_eq!(entry["adminUid"], "uid-into".into());
    // Who did it, to whom.
    let audit = world.admin().query(Query::collection("claimsAudit")).await.expect("records");
    let told = |record: &Fields| {
        let text = |name: &str| record[name].as_str().expect("text").to_owned();
        format!("{} {} {} by {}", text("function"), text("action"), text("target"), text("by"))
    };
    let told: std::collections::BTreeSet<String> = audit.iter().map(|record| told(&record.fields)).collect();
    let expected = ["mergeUsers append uid-into by a test", "mergeUsers remove uid-from by a test"];
    assert!(expected.iter().all(|one| told.contains(*one)), "{told:?}");
}

#[tokio::test]
async fn work_that_goes_on_in_the_other_window_is_merged_by_the_next_merge() {
    let world = world().await;
    merged(&world, true).await;
    world.settle().await;
    // A browser that was open still writes where it began.
    run(&world, "from", "later", "b", true).await;
    let again = merged(&world, true).await;
    world.settle().await;
    assert_eq!((again.runs, again.already_merged), (1, false));
    assert_merged(&world, "later").await;
    let entry = assignment(&world, "b").await["assessments"].as_array().expect("a list")[0].clone();
    assert_eq!(entry.as_map().expect("a map")["runId"], "later".into());
}

#[tokio::test]
async fn who_cannot_be_merged_is_left_alone() {
    let world = world().await;
    let app = &world.service.app;
    let before = everything(&world).await;
    for (from, into) in [("from", "parent"), ("parent", "into"), ("from", "from")] {
        let refused = merge(app, from, into, true, "a test").await;
        assert!(matches!(refused, Err(MergeError::Refused(_))), "{from} {into}: {refused:?}");
    }
    for (from, into, missing) in [("from", "nobody", "into"), ("nobody", "into", "from")] {
        let refused = merge(app, from, into, true, "a test").await;
        assert!(matches!(refused, Err(MergeError::Missing(field)) if field == missing), "{from} {into}");
    }
    assert_eq!(everything(&world).await, before);
    merged(&world, true).await;
    world.settle().await;
    let mut third = student(&["D1", "S1", "C1"], "3");
    third.remove("email");
    set(world.admin(), "users/third", third).await;
    world.settle().await;
    for (from, into) in [("from", "third"), ("third", "from")] {
        let refused = merge(app, from, into, true, "a test").await;
        assert!(matches!(refused, Err(MergeError::Refused(_))), "{from} {into}: {refused:?}");
    }
    // Who stays may be merged into yet another, with everything.
    merge(app, "into", "third", true, "a test").await.expect("merged");
    world.settle().await;
    let third = world.get("users/third").await.expect("a user").fields;
    let known = third["mergedFrom"].as_string_list().expect("IDs");
    assert_eq!(known.len(), 2, "{known:?}");
    for administration in ADMINISTRATIONS {
        assert_consistent(world.admin(), administration).await;
    }
}

/// A district's roster gave a student another ID: the old user lost everything, and a new user started without any
/// work. Merging the two restores the work.
#[tokio::test]
async fn work_of_a_user_who_has_left_counts_too() {
    let world = world().await;
    for step in [Step::Start(1), Step::Complete(1)] {
        play(world.admin(), &path("users/from/assignments/b"), step, world.now()).await.expect("a step");
        world.settle().await;
    }
    let edit = async |user: &str, orgs: &[&str]| {
        let maps = org_maps(orgs, world.now());
        let mask = maps.keys().map(FieldPath::top).collect();
        world.admin().commit(vec![Write::merge(path(&format!("users/{user}")), maps, mask)]).await.expect("written");
        world.settle().await;
    };
    edit("from", &[]).await;
    edit("into", &["D1", "S1", "C1"]).await;
    assert!(world.get("users/from/assignments/b").await.is_none());
    assert_eq!(assignment(&world, "b").await["started"], false.into());
    merged(&world, true).await;
    world.settle().await;
    for (of, task) in [("a", "pa"), ("a", "survey"), ("b", "survey"), ("closed", "survey")] {
        assert!(is_completed(&assignment(&world, of).await, task), "{of} {task}");
    }
    for administration in ADMINISTRATIONS {
        assert_consistent(world.admin(), administration).await;
    }
    let options = Options { fix: false, patience: Duration::ZERO };
    let report = reconcile_all(&world.service.app, &options, &|_| {}).await.expect("a report");
    assert!(report.agrees, "{report:?}");
    let again = merged(&world, true).await;
    assert!(again.already_merged, "{again:?}");
}
