//! What the dashboard's pages for administrators ask: `getAdministrations`, `getAssignmentStats`,
//! `getAdministrationOrgsAndStats`.

mod contract;
mod cost;
mod counts;
mod listing;
mod payload;
mod tree;

use jiff::SignedDuration;
use roar_functions::fields;
use roar_functions::runtime::{FunctionError, Status};
use roar_functions::store::{Cost, Value};
use serde_json::{Value as Json, json};

use crate::local::LocalWorld;
use crate::small::{self, administration, lists, task, write_orgs};
use crate::world::set;

/// Everybody who asks: UID, all orgs that they administer, the top-most of these.
const ADMINS: [(&str, &[&str], &[&str]); 8] = [
    ("of-D1", &["D1", "S1", "S2", "C1", "C2", "C3"], &["D1"]),
    ("of-S1", &["S1", "C1", "C2"], &["S1"]),
    ("of-S2", &["S2", "C3"], &["S2"]),
    ("of-C1", &["C1"], &["C1"]),
    // Of two districts, and with claims that don't say which orgs are top-most.
    ("of-C2-and-D2", &["D2", "S3", "C2", "C4"], &[]),
    ("of-S3", &["S3", "C4"], &["S3"]),
    ("of-F1", &["F1", "G1"], &["F1"]),
    ("student", &[], &[]),
];

/// Administrations, each on one org of which it has the name.
const ON: [&str; 6] = ["D1", "S1", "C1", "S3", "G1", "G2"];

/// The small hierarchy, and G2 { G1 }, which is a family's too; an administration on each of some orgs, two more
/// on D1; a student in each class.
async fn world() -> LocalWorld {
    let world = LocalWorld::start().await;
    write_orgs(world.admin()).await;
    let org = |name: &str| fields! { "name" => name, "archived" => false };
    set(world.admin(), "families/F1", fields! { "archived" => false, "subGroups" => Value::strings(["G1"]) }).await;
    let mut group = org("G1");
    group.extend(fields! { "familyId" => "F1", "parentOrgType" => "group", "parentOrgId" => "G2" });
    set(world.admin(), "groups/G1", group).await;
    set(world.admin(), "groups/G2", org("G2")).await;
    for (n, (class, school, district)) in
        [("C1", "S1", "D1"), ("C2", "S1", "D1"), ("C3", "S2", "D1"), ("C4", "S3", "D2")].into_iter().enumerate()
    {
        set(world.admin(), &format!("users/student-{n}"), small::student(&[class, school, district], "2")).await;
    }
    for (uid, all, minimal) in ADMINS {
        admin(&world, uid, all, minimal).await;
    }
    let claims = fields! { "claims" => fields! { "super_admin" => true, "roarUid" => "super" }, "lastUpdated" => 0 };
    set(world.admin(), "userClaims/super", claims).await;
    let later = world.now() + SignedDuration::from_hours(24);
    for org in ON {
        put(&world, &format!("on-{org}"), administration(&[org], vec![task("swr", None), task("pa", None)], later))
            .await;
    }
    let mut test = administration(&["D1"], vec![task("swr", None)], later);
    test.insert("testData".to_owned(), true.into());
    put(&world, "test", test).await;
    put(&world, "closed", administration(&["D1"], vec![task("swr", None)], world.now())).await;
    world.settle().await;
    world
}

async fn admin(world: &LocalWorld, uid: &str, all: &[&str], minimal: &[&str]) {
    let mut claims = fields! { "roarUid" => uid, "adminOrgs" => lists(all).to_value() };
    if !minimal.is_empty() {
        claims.insert("minimalAdminOrgs".to_owned(), lists(minimal).to_value());
    }
    set(world.admin(), &format!("userClaims/{uid}"), fields! { "claims" => claims, "lastUpdated" => 0 }).await;
}

async fn put(world: &LocalWorld, id: &str, administration: roar_functions::store::Fields) {
    set(world.admin(), &format!("administrations/{id}"), administration).await;
}

/// Calls, and sees to it that nothing is written and every query has an index.
async fn ask(world: &LocalWorld, name: &str, uid: &str, data: Json) -> Result<Json, FunctionError> {
    // What the test itself wrote is not for the events to mend.
    world.events().await;
    let before = world.admin().cost();
    let answer = world.call_function(name, uid, data).await;
    let Cost { writes, deletes, .. } = world.admin().cost() - before;
    assert_eq!((writes, deletes), (0, 0), "{name} writes");
    assert_eq!(world.store.scans(), Vec::<String>::new(), "{name}: every query has an index");
    assert_eq!(world.events().await.len(), 0);
    answer
}

/// The answer's `data`, where all is well.
async fn data(world: &LocalWorld, name: &str, uid: &str, payload: Json) -> Json {
    let answer = ask(world, name, uid, payload.clone()).await.unwrap_or_else(|why| panic!("{uid} {payload}: {why}"));
    assert_eq!(answer["status"], "ok");
    assert_eq!(answer.as_object().map(|answer| answer.len()), Some(2), "status and data, nothing else");
    answer["data"].clone()
}

async fn refusal(world: &LocalWorld, name: &str, uid: &str, payload: Json) -> (Status, String) {
    let error = ask(world, name, uid, payload.clone()).await.expect_err(&format!("{uid} {payload}"));
    (error.status, error.message)
}

/// What a call reads.
async fn reads(world: &LocalWorld, name: &str, uid: &str, payload: Json) -> u64 {
    let before = world.admin().cost();
    ask(world, name, uid, payload).await.expect("an answer");
    (world.admin().cost() - before).reads
}

fn net(assigned: i64, started: i64, completed: i64) -> Json {
    json!({ "assigned": assigned, "started": started, "completed": completed })
}

async fn counts(world: &LocalWorld, path: &str, assignment: (i64, i64, i64)) {
    let (assigned, started, completed) = assignment;
    let block = fields! { "assigned" => assigned, "started" => started, "completed" => completed };
    set(world.admin(), path, fields! { "assignment" => block }).await;
}
