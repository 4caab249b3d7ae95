//! `getAssignmentStats`: whose counts, from where.

use roar_functions::fields;
use serde_json::{Value as Json, json};

use super::{counts, data, net, put, reads, world};
use crate::scenario::delete;
use crate::small::lists;
use crate::world::set;

const NAME: &str = "getAssignmentStats";

#[tokio::test]
async fn counts_of_all_of_an_org_and_of_tasks() {
    let world = world().await;
    // One student of S1's two has started the first task.
    let path = roar_functions::store::DocPath::new("users/student-0/assignments/on-D1").expect("a path");
    roar_functions::demo::play::play(world.admin(), &path, roar_functions::demo::play::Step::Start(0), world.now())
        .await
        .expect("a step");
    world.settle().await;
    let with_tasks = |own: Json, tasks: Json| {
        let mut own = own;
        own["byTask"] = tasks;
        own
    };
    let table = [
        (json!({}), net(2, 1, 0)),
        (json!({ "orgId": "D1" }), net(2, 1, 0)),
        (json!({ "orgId": "S1", "orgType": "school" }), net(1, 1, 0)),
        (json!({ "orgId": "S2", "orgType": "schools" }), net(1, 0, 0)),
        (json!({ "orgId": "C2" }), net(1, 0, 0)),
        (json!({ "orgId": "unknown" }), net(0, 0, 0)),
        (json!({ "taskIds": null, "fetchAllTaskIds": null, "orgId": null, "orgType": null }), net(2, 1, 0)),
        (
            json!({ "taskIds": ["swr", null, "other", "swr"] }),
            with_tasks(net(2, 1, 0), json!({ "swr": net(2, 1, 0), "other": net(0, 0, 0) })),
        ),
        (json!({ "taskIds": [] }), with_tasks(net(2, 1, 0), json!({}))),
        (
            json!({ "orgId": "C1", "fetchAllTaskIds": true }),
            with_tasks(net(0, 1, 0), json!({ "swr": net(0, 1, 0), "pa": net(1, 0, 0) })),
        ),
        (
            json!({ "orgId": "unknown", "taskIds": ["other"], "fetchAllTaskIds": true }),
            with_tasks(net(0, 0, 0), json!({ "swr": net(0, 0, 0), "pa": net(0, 0, 0) })),
        ),
    ];
    for uid in ["super", "of-D1"] {
        for (more, expected) in &table {
            let mut payload = json!({ "administrationIds": ["on-D1", "on-D1", null, "nowhere", "test"] });
            payload.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
            let answer = data(&world, NAME, uid, payload).await;
            if uid == "of-D1" && more["orgId"] == "unknown" {
                // It's no org of theirs.
                assert_eq!(answer, json!({}), "{more}");
                continue;
            }
            assert_eq!(answer["on-D1"], *expected, "{uid} {more}");
            assert_eq!(answer.as_object().map(|answer| answer.len()), Some(2), "{answer}");
        }
    }
}

/// Counts are kept under an org's ID, so an org of another type with the same ID must not open them.
#[tokio::test]
async fn an_id_that_two_orgs_share_opens_nothing() {
    let world = world().await;
    let list = |ids: [&str; 1]| roar_functions::store::Value::strings(ids);
    let claims = fields! { "roarUid" => "of-group", "adminOrgs" => fields! { "groups" => list(["S1"]) } };
    set(world.admin(), "userClaims/of-group", fields! { "claims" => claims, "lastUpdated" => 0 }).await;
    for (id, read, expected) in [
        ("both", fields! { "schools" => list(["S1"]), "groups" => list(["S1"]) }, json!({})),
        ("school", fields! { "schools" => list(["S1"]) }, json!({})),
        ("group", fields! { "groups" => list(["S1"]) }, net(7, 0, 0)),
    ] {
        let id = format!("shared-{id}");
        put(&world, &id, fields! { "createdBy" => "x", "minimalOrgs" => read.clone(), "readOrgs" => read }).await;
        counts(&world, &format!("administrations/{id}/stats/S1"), (7, 0, 0)).await;
        let asked = json!({ "administrationIds": [id], "orgId": "S1" });
        let answer = data(&world, NAME, "of-group", asked.clone()).await;
        assert_eq!(answer.get(&id).cloned().unwrap_or_else(|| json!({})), expected, "{id}");
        assert_eq!(data(&world, NAME, "super", asked).await[&id], net(7, 0, 0));
    }
}

#[tokio::test]
async fn counts_where_they_were_kept_once() {
    let world = world().await;
    for id in ["old", "both", "none"] {
        put(&world, id, fields! { "createdBy" => "x", "minimalOrgs" => lists(&["D1"]).to_value(), "readOrgs" => lists(&["D1"]).to_value() }).await;
    }
    world.settle().await;
    let block = |n: i64| fields! { "assigned" => n, "started" => 3, "completed" => 1 };
    let legacy = fields! {
        "total" => fields! { "assignment" => block(9), "swr" => block(4) },
        "S1" => fields! { "assignment" => block(5) },
    };
    for id in ["old", "both", "none"] {
        for key in ["total", "S1", "D1"] {
            delete(&world, &format!("administrations/{id}/stats/{key}")).await;
        }
    }
    set(world.admin(), "administrations/old/stats/completion", legacy.clone()).await;
    set(world.admin(), "administrations/both/stats/completion", legacy).await;
    counts(&world, "administrations/both/stats/total", (2, 0, 0)).await;
    for uid in ["super", "of-D1"] {
        let ask = json!({ "administrationIds": ["old", "both", "none"] });
        let expected = json!({ "old": net(6, 2, 1), "both": net(2, 0, 0), "none": net(0, 0, 0) });
        assert_eq!(data(&world, NAME, uid, ask).await, expected, "{uid}");
        let ask = json!({ "administrationIds": ["old"], "orgId": "S1", "taskIds": ["swr"] });
        let mut expected = net(2, 2, 1);
        expected["byTask"] = json!({ "swr": net(0, 0, 0) });
        assert_eq!(data(&world, NAME, uid, ask).await, json!({ "old": expected }), "{uid}");
    }
}

/// Who may read an administration reads no counts of orgs that aren't theirs: a class may have one child.
#[tokio::test]
async fn counts_are_for_who_administers_what_is_counted() {
    let world = world().await;
    let ask = |org: Option<&str>| json!({ "administrationIds": ["on-D1", "on-S1"], "orgId": org });
    let (one, two, three) = (net(1, 0, 0), net(2, 0, 0), net(3, 0, 0));
    let table = [
        // The school's own, with all below it; and what is assigned to it alone, as a whole.
        ("of-S1", Some("S1"), json!({ "on-D1": two, "on-S1": two }), 5),
        ("of-S1", Some("C1"), json!({ "on-D1": one, "on-S1": one }), 5),
        ("of-S1", None, json!({ "on-S1": two }), 4),
        // The district's, another school's, the one child of another class: not theirs, and nothing is read.
        ("of-S1", Some("D1"), json!({}), 1),
        ("of-S1", Some("S2"), json!({}), 1),
        ("of-S1", Some("C3"), json!({}), 1),
        ("of-S1", Some("total"), json!({}), 1),
        ("of-C1", Some("C1"), json!({ "on-D1": one, "on-S1": one }), 5),
        ("of-C1", Some("C2"), json!({}), 1),
        ("of-C1", None, json!({}), 3),
        ("of-D1", None, json!({ "on-D1": three, "on-S1": two }), 5),
        ("of-D1", Some("C3"), json!({ "on-D1": one, "on-S1": net(0, 0, 0) }), 6),
        ("super", Some("C3"), json!({ "on-D1": one, "on-S1": net(0, 0, 0) }), 5),
    ];
    for (uid, org, expected, cost) in table {
        assert_eq!(data(&world, NAME, uid, ask(org)).await, expected, "{uid} {org:?}");
        assert_eq!(reads(&world, NAME, uid, ask(org)).await, cost, "{uid} {org:?}");
    }
    // So it is with the tree.
    for (uid, parent, expected) in [
        ("of-S1", None, vec!["S1"]),
        ("of-C1", None, vec!["C1"]),
        ("of-C1", Some(("district", "D1")), vec![]),
        ("of-S1", Some(("school", "S1")), vec!["C1", "C2"]),
    ] {
        let (org_type, org) = parent.unzip();
        let ask = json!({ "administrationId": "on-D1", "parentOrgId": org, "parentOrgType": org_type });
        let rows = data(&world, "getAdministrationOrgsAndStats", uid, ask).await;
        let shown: Vec<_> = rows.as_array().expect("rows").iter().map(|row| row["orgId"].clone()).collect();
        assert_eq!(shown, expected, "{uid}");
    }
}

#[tokio::test]
async fn nobody_learns_anything_and_it_costs_the_claims() {
    let world = world().await;
    let ask = json!({ "administrationIds": ["on-D1", "on-S3"], "fetchAllTaskIds": true });
    for uid in ["nobody", "student"] {
        assert_eq!(data(&world, NAME, uid, ask.clone()).await, json!({}), "{uid}");
        assert_eq!(reads(&world, NAME, uid, ask.clone()).await, 1, "{uid}");
    }
}
