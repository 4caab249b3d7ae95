//! What is refused, and with which words.

use roar_functions::runtime::Status;
use serde_json::{Value as Json, json};

use super::{data, reads, refusal, world};

#[tokio::test]
async fn bad_input_is_named() {
    let world = world().await;
    let many: Vec<String> = (0..301).map(|n| format!("a{n}")).collect();
    let tasks: Vec<String> = (0..101).map(|n| format!("t{n}")).collect();
    let (listing, stats, tree) = ("getAdministrations", "getAssignmentStats", "getAdministrationOrgsAndStats");
    let with = |more: Json| {
        let mut payload = json!({ "administrationIds": ["on-D1"], "administrationId": "on-D1" });
        payload.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
        payload
    };
    let table: Vec<(&str, Json, &str)> = vec![
        (listing, json!([]), "object"),
        (listing, json!({ "testData": "false" }), "testData"),
        (listing, json!({ "restrictToOpenAdministrations": 1 }), "restrictToOpenAdministrations"),
        (listing, json!({ "idsOnly": "yes" }), "idsOnly"),
        (stats, Json::Null, "object"),
        (stats, json!({}), "administrationIds"),
        (stats, json!({ "administrationIds": [] }), "administrationIds"),
        (stats, json!({ "administrationIds": [null] }), "administrationIds"),
        (stats, json!({ "administrationIds": "on-D1" }), "administrationIds"),
        (stats, json!({ "administrationIds": ["on-D1", 2] }), "administrationIds[1]"),
        (stats, json!({ "administrationIds": ["a/b"] }), "administrationIds[0]"),
        (stats, json!({ "administrationIds": many }), "300"),
        (stats, with(json!({ "orgId": 1 })), "orgId"),
        (stats, with(json!({ "orgId": "a/b" })), "orgId"),
        (stats, with(json!({ "orgId": "" })), "orgId"),
        (stats, with(json!({ "orgType": "cohort" })), "orgType"),
        (stats, with(json!({ "orgType": 3, "orgId": "D1" })), "orgType"),
        (stats, with(json!({ "taskIds": "swr" })), "taskIds"),
        (stats, with(json!({ "taskIds": [1] })), "taskIds"),
        (stats, with(json!({ "taskIds": [""] })), "taskIds"),
        (stats, with(json!({ "taskIds": tasks })), "taskIds"),
        (stats, with(json!({ "fetchAllTaskIds": "true" })), "fetchAllTaskIds"),
        (tree, Json::Null, "object"),
        (tree, json!({}), "administrationId"),
        (tree, json!({ "administrationId": ["on-D1"] }), "administrationId"),
        (tree, json!({ "administrationId": "a/b" }), "administrationId"),
        (tree, with(json!({ "parentOrgId": "D1" })), "parentOrgType"),
        (tree, with(json!({ "parentOrgType": "district" })), "parentOrgId"),
        (tree, with(json!({ "parentOrgId": "D1", "parentOrgType": "cohort" })), "parentOrgType"),
        (tree, with(json!({ "parentOrgId": 1, "parentOrgType": "district" })), "parentOrgId"),
        (tree, with(json!({ "parentOrgId": "a/b", "parentOrgType": "district" })), "parentOrgId"),
    ];
    let before = world.admin().cost();
    for (name, payload, field) in table {
        let (status, message) = refusal(&world, name, "super", payload.clone()).await;
        assert_eq!(status, Status::InvalidArgument, "{name} {payload}: {message}");
        assert!(message.contains(field), "{name} {payload}: {message}");
    }
    assert_eq!((world.admin().cost() - before).reads, 0, "nothing is read for it");
}

#[tokio::test]
async fn as_many_administrations_as_may_be() {
    let world = world().await;
    let many: Vec<String> = (0..299).map(|n| format!("a{n}")).chain(["on-D1".to_owned()]).collect();
    let payload =
        json!({ "administrationIds": many, "orgId": null, "orgType": null, "taskIds": null, "fetchAllTaskIds": false });
    for uid in ["super", "of-D1"] {
        let answer = data(&world, "getAssignmentStats", uid, payload.clone()).await;
        assert_eq!(answer, json!({ "on-D1": super::net(3, 0, 0) }), "{uid}");
    }
    // For each that isn't there: its counts, the place where they were once, itself.
    assert_eq!(reads(&world, "getAssignmentStats", "super", payload).await, 1 + 300 + 2 * 299);
}

#[tokio::test]
async fn trees_that_are_refused() {
    let world = world().await;
    let name = "getAdministrationOrgsAndStats";
    let table = [
        ("super", "nowhere", Status::NotFound),
        ("of-D1", "nowhere", Status::NotFound),
        ("of-D1", "on-S3", Status::PermissionDenied),
        ("of-S2", "on-S1", Status::PermissionDenied),
        ("of-F1", "on-D1", Status::PermissionDenied),
        ("student", "on-D1", Status::PermissionDenied),
        ("nobody", "on-D1", Status::PermissionDenied),
        // They don't learn which administrations there are.
        ("nobody", "nowhere", Status::PermissionDenied),
    ];
    for (uid, id, expected) in table {
        let (status, _) = refusal(&world, name, uid, json!({ "administrationId": id })).await;
        assert_eq!(status, expected, "{uid} {id}");
    }
}
