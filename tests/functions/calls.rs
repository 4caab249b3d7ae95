//! `createAdministration`, called without HTTP: rights, refusals that change nothing, repetition, edits.

use roar_functions::app::{EditInProgress, Settings};
use roar_functions::fields;
use roar_functions::runtime::Status;
use roar_functions::store::{Fields, Query, Value};
use serde_json::{Value as Json, json};

use crate::local::LocalWorld;
use crate::scenario::fill;
use crate::world::{admin_uid, open_administration, set};

async fn world(edit_in_progress: EditInProgress) -> LocalWorld {
    let world = LocalWorld::with(Settings { edit_in_progress, ..Settings::default() }).await;
    fill(&world).await;
    let claims = |claims: Fields| fields! { "claims" => claims, "lastUpdated" => 0 };
    set(world.admin(), "userClaims/super", claims(fields! { "super_admin" => true, "roarUid" => "roar-super" })).await;
    let one = fields! { "schools" => Value::strings(["school-0001"]) };
    set(world.admin(), "userClaims/school-admin", claims(fields! { "adminOrgs" => one })).await;
    set(world.admin(), "schools/school-old", fields! { "archived" => true }).await;
    world.settle().await;
    world
}

async fn refused(world: &LocalWorld, uid: &str, data: Json, status: Status, message: &str) -> Option<Json> {
    let before = world.admin().cost();
    let error = world.call(uid, data.clone()).await.expect_err(&format!("{uid}: {data}"));
    assert_eq!(error.status, status, "{uid}: {data}: {error}");
    assert!(error.message.contains(message), "{uid}: {}", error.message);
    let cost = world.admin().cost() - before;
    assert_eq!((cost.writes, cost.deletes), (0, 0), "a refusal writes nothing");
    error.details
}

fn over(world: &LocalWorld, orgs: Json) -> Json {
    let mut data = open_administration(world.now());
    data["orgs"] = orgs;
    data
}

#[tokio::test]
async fn who_may_create_for_which_orgs() {
    let world = world(EditInProgress::Deny).await;
    let denied = Status::PermissionDenied;
    let school = json!({ "schools": ["school-0001"] });
    let both = json!({ "schools": ["school-0001", "school-0002"] });
    for (uid, orgs) in [("nobody", &school), ("school-admin", &both), ("student-000001", &school)] {
        refused(&world, uid, over(&world, orgs.clone()), denied, "You don't administer").await;
    }
    // A right in the payload or the token is none.
    let mut pretender = over(&world, school.clone());
    pretender["requesterUid"] = "super".into();
    pretender["super_admin"] = true.into();
    refused(&world, "nobody", pretender, denied, "You don't administer").await;
    for (uid, orgs) in [("super", &both), ("school-admin", &school), (admin_uid(), &both)] {
        world.create(uid, over(&world, orgs.clone())).await;
    }
}

#[tokio::test]
async fn orgs_that_are_missing_or_archived_are_listed() {
    let world = world(EditInProgress::Deny).await;
    let orgs = json!({ "schools": ["school-0001", "school-old", "gone"], "groups": ["nowhere"] });
    let details = refused(&world, "super", over(&world, orgs), Status::InvalidArgument, "details.missing").await;
    let missing = json!({ "missing": { "schools": ["school-old", "gone"], "groups": ["nowhere"] } });
    assert_eq!(details, Some(missing));
}

#[tokio::test]
async fn what_cannot_be_stored_is_refused() {
    let world = world(EditInProgress::Deny).await;
    let mut large = open_administration(world.now());
    large["legal"] = json!({ "text": "x".repeat(1_048_000), "more": "x".repeat(1000) });
    refused(&world, "super", large, Status::InvalidArgument, "too large").await;
    let mut missing = open_administration(world.now());
    missing["administrationId"] = "gone".into();
    refused(&world, "super", missing, Status::NotFound, "administrationId").await;
}

#[tokio::test]
async fn a_new_administration_holds_what_was_sent() {
    let world = world(EditInProgress::Deny).await;
    let mut data = open_administration(world.now());
    data["orgs"] = json!({ "districts": ["district-willow-creek", null], "schools": ["school-0001"], "classes": null });
    data["createdBy"] = "somebody".into();
    let id = world.create(admin_uid(), data).await;
    let document = world.get(&format!("administrations/{id}")).await.expect("the administration");
    let minimal = roar_functions::orgs::OrgLists::from_value(document.fields.get("minimalOrgs"));
    assert_eq!(minimal.flatten(), ["district-willow-creek"], "the school is in the district");
    for (name, value) in fields! {
        "name" => "Fall 2026 reading screener", "publicName" => "ROAR fall", "createdBy" => admin_uid(),
        "sequential" => true, "testData" => false, "formatVersion" => 2, "tags" => Value::strings(["fall", "screener"]),
        "dateCreated" => world.now(),
    } {
        assert_eq!(document.fields.get(&name), Some(&value), "{name}");
    }
    let creator = world.get(&format!("users/{}", admin_uid())).await.expect("the creator");
    let created = roar_functions::store::lookup(&creator.fields, "adminData.administrationsCreated");
    assert_eq!(created, Some(&Value::strings([id])));
    // A creator without a users document is no error.
    world.create("super", open_administration(world.now())).await;
}

#[tokio::test]
async fn a_repeated_request_returns_the_first_result_for_a_day() {
    let world = world(EditInProgress::Deny).await;
    let mut data = open_administration(world.now());
    data["requestId"] = "press-1".into();
    let first = world.create(admin_uid(), data.clone()).await;
    let before = world.admin().cost();
    assert_eq!(world.create(admin_uid(), data.clone()).await, first);
    assert_eq!((world.admin().cost() - before).writes, 0);
    assert_ne!(world.create("super", data.clone()).await, first, "of another caller, it's another request");
    world.clock.advance(jiff::SignedDuration::from_hours(24));
    assert_ne!(world.create(admin_uid(), data).await, first);
}

#[tokio::test]
async fn an_edit_keeps_what_it_must() {
    let world = world(EditInProgress::Allow).await;
    let id = world.create(admin_uid(), open_administration(world.now())).await;
    let path = format!("administrations/{id}");
    let before = world.get(&path).await.expect("the administration");
    world.clock.advance(jiff::SignedDuration::from_hours(1));
    let mut edit = over(&world, json!({ "schools": ["school-0001"] }));
    edit["administrationId"] = id.clone().into();
    edit["name"] = "Renamed".into();
    assert_eq!(world.create("super", edit).await, id);
    let after = world.get(&path).await.expect("the administration");
    for name in ["createdBy", "dateCreated"] {
        assert_eq!(after.fields[name], before.fields[name], "{name}");
    }
    assert_eq!(after.fields["name"], "Renamed".into());
    // The test is made on the administration as it is, too.
    let mut other = over(&world, json!({ "schools": ["school-0001"] }));
    other["administrationId"] = world.create("super", over(&world, json!({ "schools": ["school-0002"] }))).await.into();
    refused(&world, "school-admin", other, Status::PermissionDenied, "You don't administer").await;
}

#[tokio::test]
async fn a_running_administration_changes_as_far_as_settings_say() {
    let change = |world: &LocalWorld, id: &str, edit: &dyn Fn(&mut Json)| {
        let mut data = open_administration(world.now());
        data["administrationId"] = id.into();
        edit(&mut data);
        data
    };
    let precondition = Status::FailedPrecondition;

    let deny = world(EditInProgress::Deny).await;
    let id = deny.create(admin_uid(), open_administration(deny.now())).await;
    refused(&deny, admin_uid(), change(&deny, &id, &|_| {}), precondition, "in progress").await;
    // Before it opens and after it closes, it may change.
    deny.clock.advance(jiff::SignedDuration::from_hours(24 * 61));
    deny.create(admin_uid(), change(&deny, &id, &|_| {})).await;

    let extend = world(EditInProgress::Extend).await;
    let id = extend.create(admin_uid(), over(&extend, json!({ "schools": ["school-0001"] }))).await;
    let keep = json!({ "schools": ["school-0001"] });
    let refusals: [(&dyn Fn(&mut Json), &str); 6] = [
        (&|data| data["assessments"][0]["params"] = json!({}), "assessments"),
        (&|data| data["dateOpen"] = "2026-09-01T00:00:00Z".into(), "dateOpen"),
        (&|data| data["sequential"] = false.into(), "sequential"),
        (&|data| data["isTestData"] = true.into(), "isTestData"),
        (&|data| data["dateClose"] = "2026-09-20T00:00:00Z".into(), "dateClose"),
        (&|data| data["orgs"] = json!({ "schools": ["school-0002"] }), "orgs"),
    ];
    for (edit, names) in refusals {
        let mut data = change(&extend, &id, &|data| data["orgs"] = keep.clone());
        edit(&mut data);
        refused(&extend, admin_uid(), data, precondition, names).await;
    }
    let more = change(&extend, &id, &|data| {
        data["orgs"] = json!({ "schools": ["school-0001", "school-0002"] });
        data["name"] = "Longer".into();
        data["tags"] = json!([]);
        data["dateClose"] = "2027-06-30T00:00:00Z".into();
    });
    extend.create(admin_uid(), more).await;
}

#[tokio::test]
async fn refusals_leave_no_document() {
    let world = world(EditInProgress::Deny).await;
    let mut data = open_administration(world.now());
    data["name"] = "".into();
    refused(&world, "super", data, Status::InvalidArgument, "name").await;
    for collection in ["administrations", "requestIds", "functionTasks"] {
        let found = world.admin().query(Query::collection(collection)).await.expect("readable");
        assert_eq!(found.len(), 0, "{collection}");
    }
    assert_eq!(world.events().await.len(), 0);
}
