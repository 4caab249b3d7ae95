//! `getAdministrations`: who is told of what.

use jiff::SignedDuration;
use roar_functions::fields;
use roar_functions::runtime::Status;
use roar_functions::store::{Fields, Value};
use serde_json::{Value as Json, json};

use super::{ADMINS, admin, ask, data, put, refusal, world};
use crate::local::LocalWorld;
use crate::scenario::delete;
use crate::small::{administration, lists, task};
use crate::world::set;

const NAME: &str = "getAdministrations";

async fn listed(world: &LocalWorld, uid: &str, payload: Json) -> String {
    let ids = data(world, NAME, uid, payload).await;
    let mut ids: Vec<String> = serde_json::from_value(ids).expect("IDs");
    ids.sort();
    ids.join(" ")
}

#[tokio::test]
async fn who_is_told_of_which() {
    let world = world().await;
    let table = [
        ("super", "closed on-C1 on-D1 on-G1 on-G2 on-S1 on-S3"),
        ("of-D1", "closed on-C1 on-D1 on-S1"),
        ("of-S1", "closed on-C1 on-D1 on-S1"),
        ("of-S2", "closed on-D1"),
        ("of-C1", "closed on-C1 on-D1 on-S1"),
        ("of-C2-and-D2", "closed on-D1 on-S1 on-S3"),
        ("of-S3", "on-S3"),
        ("of-F1", "on-G1 on-G2"),
        ("student", ""),
    ];
    for (uid, expected) in table {
        assert_eq!(listed(&world, uid, json!({ "testData": false })).await, expected, "{uid}");
    }
    let (status, message) = refusal(&world, NAME, "nobody", json!({ "testData": false })).await;
    assert_eq!(status, Status::PermissionDenied);
    assert!(message.contains("no rights on record"), "{message}");
}

#[tokio::test]
async fn what_is_listed_can_be_read_and_counted_and_nothing_else() {
    let world = world().await;
    let all: Vec<String> =
        ["closed", "test"].into_iter().map(str::to_owned).chain(super::ON.map(|on| format!("on-{on}"))).collect();
    for (uid, ..) in ADMINS.into_iter().chain([("super", &[] as &[&str], &[] as &[&str])]) {
        let listed = listed(&world, uid, json!({})).await;
        let counted = data(&world, "getAssignmentStats", uid, json!({ "administrationIds": all })).await;
        let is_listed = |id: &str| listed.split(' ').any(|other| other == id);
        // As a whole, what is all of theirs.
        let counted: Vec<&str> = counted.as_object().expect("a map").keys().map(String::as_str).collect();
        assert!(counted.iter().all(|id| is_listed(id)), "{uid}: {counted:?}");
        assert!(uid != "super" || counted.len() == all.len(), "{counted:?}");
        for id in &all {
            let tree = ask(&world, "getAdministrationOrgsAndStats", uid, json!({ "administrationId": id })).await;
            assert_eq!(tree.is_ok(), is_listed(id), "{uid} {id}");
            // And whatever is listed, by the orgs of it that are theirs.
            for row in tree.ok().iter().flat_map(|tree| tree["data"].as_array().expect("rows")) {
                let sent = json!({ "administrationIds": [id], "orgId": row["orgId"], "orgType": row["orgType"] });
                let counted = data(&world, "getAssignmentStats", uid, sent).await;
                let shown = row.get("stats").map_or(super::net(0, 0, 0), |stats| stats["assignment"].clone());
                assert_eq!(counted[id], shown, "{uid} {id} {row}");
            }
        }
    }
}

#[tokio::test]
async fn filters() {
    let world = world().await;
    for uid in ["super", "of-D1"] {
        let others = if uid == "super" { " on-G1 on-G2 on-S1 on-S3" } else { " on-S1" };
        let table = [
            (Json::Null, format!("closed on-C1 on-D1{others} test")),
            (
                json!({ "testData": null, "restrictToOpenAdministrations": null, "idsOnly": null }),
                format!("closed on-C1 on-D1{others} test"),
            ),
            (json!({ "testData": true }), "test".to_owned()),
            (json!({ "restrictToOpenAdministrations": true }), format!("on-C1 on-D1{others} test")),
            (json!({ "testData": false, "restrictToOpenAdministrations": true }), format!("on-C1 on-D1{others}")),
            (json!({ "testData": true, "restrictToOpenAdministrations": true }), "test".to_owned()),
        ];
        for (payload, expected) in table {
            assert_eq!(listed(&world, uid, payload.clone()).await, expected, "{uid} {payload}");
        }
    }
    world.clock.advance(SignedDuration::from_hours(24));
    for uid in ["super", "of-D1"] {
        assert_eq!(
            listed(&world, uid, json!({ "restrictToOpenAdministrations": true })).await,
            "",
            "{uid}: closed now"
        );
    }
}

#[tokio::test]
async fn objects_when_asked_for() {
    let world = world().await;
    let expected = json!([{
        "id": "on-S3", "name": "Autumn", "publicName": "Autumn", "testData": false,
        "dateCreated": "2026-09-01T00:00:00Z", "dateOpened": "2026-09-01T00:00:00Z", "dateClosed": "2026-09-16T10:00:00Z",
    }]);
    assert_eq!(data(&world, NAME, "of-S3", json!({ "idsOnly": false })).await, expected);
    let all = data(&world, NAME, "super", json!({ "idsOnly": false })).await;
    assert!(all.as_array().expect("a list").contains(&expected[0]));
    put(&world, "bare", fields! { "createdBy" => "of-S3", "minimalOrgs" => lists(&["S3"]).to_value() }).await;
    let bare = json!({
        "id": "bare", "name": "", "publicName": "", "testData": false,
        "dateCreated": null, "dateOpened": null, "dateClosed": null,
    });
    let shown = world.call_function(NAME, "of-S3", json!({ "idsOnly": false })).await.expect("an answer");
    assert!(shown["data"].as_array().expect("a list").contains(&bare), "{shown}");
}

/// The dashboard asks at once, with the ID of what it has just written (docs/domain/dashboard.md#getadministrations).
#[tokio::test]
async fn a_creator_sees_what_no_trigger_has_seen_yet() {
    let world = world().await;
    let later = world.now() + SignedDuration::from_hours(24);
    let made = |by: &str, orgs: &[&str]| {
        let mut fields = administration(orgs, vec![task("swr", None)], later);
        fields.insert("createdBy".to_owned(), by.into());
        fields
    };
    put(&world, "new", made("of-D1", &["S1"])).await;
    put(&world, "taken-away", made("of-D1", &["S3"])).await;
    let before = "closed on-C1 on-D1 on-S1";
    let payload = json!({ "testData": false });
    let names = async |uid: &str, payload: &Json| {
        let answer = world.call_function(NAME, uid, payload.clone()).await.expect("an answer");
        let ids: Vec<&str> = answer["data"].as_array().expect("a list").iter().filter_map(Json::as_str).collect();
        ids.join(" ")
    };
    assert_eq!(names("of-D1", &payload).await, "closed new on-C1 on-D1 on-S1");
    assert_eq!(names("of-D1", &json!({ "testData": true })).await, "test");
    assert_eq!(names("of-S1", &payload).await, before, "not made by them");
    let counted =
        world.call_function("getAssignmentStats", "of-D1", json!({ "administrationIds": ["new", "taken-away"] })).await;
    assert_eq!(counted.expect("an answer")["data"], json!({ "new": super::net(0, 0, 0) }));
    let level = json!({ "administrationId": "new" });
    let tree = world.call_function("getAdministrationOrgsAndStats", "of-D1", level).await.expect("an answer");
    let row = json!({ "orgId": "S1", "name": "S1", "orgType": "school", "districtId": "D1", "hasChildren": false });
    assert_eq!(tree["data"], json!([row]));

    world.settle().await;
    assert_eq!(listed(&world, "of-S1", payload.clone()).await, "closed new on-C1 on-D1 on-S1");
    assert_eq!(listed(&world, "of-D1", payload).await, "closed new on-C1 on-D1 on-S1");
}

/// What subcollections say may be older than the document, or outlive it.
#[tokio::test]
async fn the_document_decides() {
    let world = world().await;
    let entry = |administration: &str| {
        fields! { "orgId" => "S1", "orgType" => "schools", "administrationId" => administration, "testData" => false,
        "dateClosed" => world.now() + SignedDuration::from_hours(24) }
    };
    for id in ["gone", "on-S3"] {
        set(world.admin(), &format!("administrations/{id}/readOrgs/S1"), entry(id)).await;
    }
    // A collection of the same name elsewhere.
    set(world.admin(), "users/student-0/readOrgs/S1", entry("on-S3")).await;
    assert_eq!(listed(&world, "of-S1", json!({ "testData": false })).await, "closed on-C1 on-D1 on-S1");
    delete(&world, "administrations/on-S1").await;
    let answer = world.call_function(NAME, "of-S1", json!({ "testData": false })).await.expect("an answer");
    assert_eq!(answer["data"], json!(["closed", "on-C1", "on-D1"]), "deleted, and its trigger hasn't run");
}

#[tokio::test]
async fn more_topmost_orgs_than_one_query_takes() {
    let world = world().await;
    let many: Vec<String> = (0..70).map(|n| format!("S-many-{n}")).chain(["S1".to_owned()]).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    admin(&world, "of-many", &many, &many).await;
    assert_eq!(listed(&world, "of-many", json!({ "testData": false })).await, "closed on-C1 on-D1 on-S1");
    // Claims that name top-most orgs beyond those that are administered give no rights.
    let claims: Fields = fields! { "roarUid" => "odd", "adminOrgs" => lists(&["S3"]).to_value(), "minimalAdminOrgs" => lists(&["D1"]).to_value() };
    set(world.admin(), "userClaims/odd", fields! { "claims" => Value::Map(claims) }).await;
    assert_eq!(listed(&world, "odd", json!({})).await, "on-S3");
}
