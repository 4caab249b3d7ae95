//! The answers in full, over a district whose students have begun, held against a count of their assignments.

use roar_functions::store::{Document, Value};
use serde_json::{Value as Json, json};

use super::data;
use crate::local::LocalWorld;
use crate::scenario::{create, fill, study};
use crate::world::{admin_uid, assignments, district};

/// Counts the assignments in which the org is, from the assignments themselves.
fn counted(assignments: &[Document], org: Option<&str>) -> Json {
    let of_org = |assignment: &&Document| {
        let orgs = roar_functions::orgs::OrgLists::from_value(assignment.fields.get("assigningOrgs"));
        org.is_none_or(|org| orgs.flatten().iter().any(|id| id == org))
    };
    let is = |assignment: &Document, name: &str| assignment.fields.get(name) == Some(&Value::Boolean(true));
    let mut counts = [0, 0, 0];
    for assignment in assignments.iter().filter(of_org) {
        let state = if is(assignment, "completed") { 2 } else { usize::from(is(assignment, "started")) };
        counts[state] += 1;
    }
    super::net(counts[0], counts[1], counts[2])
}

#[tokio::test]
async fn the_pages_of_a_district() {
    let world = LocalWorld::start().await;
    fill(&world).await;
    let id = create(&world).await;
    world.settle().await;
    study(&world, &id).await;
    world.settle().await;
    let all = assignments(world.admin(), &id).await;
    let uid = admin_uid();
    let stats =
        json!({ "administrationIds": [id], "orgId": null, "orgType": null, "taskIds": null, "fetchAllTaskIds": true });
    let level = |parent: Json, org_type: Json| json!({ "administrationId": id, "parentOrgId": parent, "parentOrgType": org_type });
    let tree = "getAdministrationOrgsAndStats";
    let mut answers = json!({
        "administrations": data(&world, "getAdministrations", uid, json!({ "testData": false, "restrictToOpenAdministrations": false })).await,
        "described": data(&world, "getAdministrations", uid, json!({ "testData": false, "idsOnly": false })).await,
        "stats": data(&world, "getAssignmentStats", uid, stats).await,
        "root": data(&world, tree, uid, level(Json::Null, Json::Null)).await,
        "district": data(&world, tree, uid, level(district().into(), "district".into())).await,
        "school": data(&world, tree, uid, level("school-0001".into(), "school".into())).await,
    });
    for name in ["root", "district", "school"] {
        for row in answers[name].as_array().expect("a list") {
            assert_eq!(row["stats"]["assignment"], counted(&all, row["orgId"].as_str()), "{row}");
        }
    }
    for org in ["school-0002", "class-00001", "group-1"] {
        let stats = json!({ "administrationIds": [id], "orgId": org, "orgType": "class" });
        assert_eq!(data(&world, "getAssignmentStats", uid, stats).await[&id], counted(&all, Some(org)), "{org}");
    }
    let mut total = answers["stats"][&id].clone();
    total.as_object_mut().expect("a map").remove("byTask");
    assert_eq!(total, counted(&all, None));
    // The time of the commit, which goes on by microseconds.
    let created = answers["described"][0]["dateCreated"].take();
    assert!(created.as_str().is_some_and(|created| created.starts_with("2026-09-15T10:00:00")), "{created}");
    insta::assert_json_snapshot!(answers);
}
