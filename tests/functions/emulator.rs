//! Tests on the real Firestore emulator, with the events that it delivers.

use std::time::Duration;

use firebase_emulators::eventually;
use roar_functions::fields;
use roar_functions::store::{Database, DocPath, Fields, Value, Write};
use serde_json::{Value as Json, json};

use crate::world::{
    EmulatorWorld, admin_uid, assert_consistent, assignments, district, fill, open_administration, set,
};

/// Waits until the administration's students have their assignments.
pub async fn synced(world: &EmulatorWorld, id: &str) {
    let path = DocPath::new(format!("administrations/{id}")).unwrap();
    eventually(async || {
        let document = world.admin().get(&path).await.unwrap().expect("the administration");
        let is_complete = document.fields.get("syncStatus") == Some(&Value::from("complete"));
        if is_complete { Ok(()) } else { Err(format!("{document:?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_administration_reaches_every_student_of_the_district() {
    let world = EmulatorWorld::start().await;
    fill(world.admin(), 1000).await;
    let before = world.admin().cost();
    let (status, answer) =
        world.call(admin_uid(), "createAdministration", open_administration(world.service.app.now())).await;
    assert_eq!(status, 200, "{answer}");
    let id = answer["result"]["administrationId"].as_str().expect("an ID").to_owned();
    synced(&world, &id).await;
    println!("{:?}", world.admin().cost() - before);
    assert_eq!(assignments(world.admin(), &id).await.len(), 1000);
    assert_consistent(world.admin(), &id).await;
}

/// The dashboard's pages for administrators, as a super admin, an admin of the district, and an admin of one school see
/// them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_administration_is_reported() {
    let world = EmulatorWorld::start().await;
    fill(world.admin(), 100).await;
    let claims = fields! { "super_admin" => true, "roarUid" => "super" };
    set(world.admin(), "userClaims/super", fields! { "claims" => claims }).await;
    let minimal = fields! { "schools" => Value::strings(["school-0001"]) };
    let mut all = minimal.clone();
    all.insert("classes".to_owned(), Value::strings(["class-00001", "class-00002"]));
    let claims = fields! { "roarUid" => "of-school", "adminOrgs" => all, "minimalAdminOrgs" => minimal };
    set(world.admin(), "userClaims/of-school", fields! { "claims" => claims }).await;
    let now = world.service.app.now();
    let (status, answer) = world.call(admin_uid(), "createAdministration", open_administration(now)).await;
    assert_eq!(status, 200, "{answer}");
    let id = answer["result"]["administrationId"].as_str().expect("an ID").to_owned();
    synced(&world, &id).await;

    let ask = async |uid: &str, function: &str, data: Json| {
        let (status, answer) = world.call(uid, function, data).await;
        assert_eq!((status, &answer["result"]["status"]), (200, &json!("ok")), "{uid} {function}: {answer}");
        answer["result"]["data"].clone()
    };
    let net = |assigned: usize| json!({ "assigned": assigned, "started": 0, "completed": 0 });
    for (uid, root) in [("super", district()), (admin_uid(), district()), ("of-school", "school-0001")] {
        for open in [false, true] {
            for test_data in [json!(false), Json::Null] {
                let payload = json!({ "testData": test_data, "restrictToOpenAdministrations": open });
                assert_eq!(ask(uid, "getAdministrations", payload).await, json!([id]), "{uid}");
            }
        }
        let payload = json!({ "testData": true, "restrictToOpenAdministrations": true });
        assert_eq!(ask(uid, "getAdministrations", payload).await, json!([]), "{uid}");
        let payload = json!({ "administrationIds": [id, "nowhere"], "orgId": null, "fetchAllTaskIds": false });
        // A school's admin is told of the school, not of all that the administration is assigned to.
        let expected = if uid == "of-school" { json!({}) } else { json!({ &*id: net(100) }) };
        assert_eq!(ask(uid, "getAssignmentStats", payload).await, expected, "{uid}");
        let payload = json!({ "administrationIds": [id], "orgId": "school-0001", "taskIds": ["roar-inference", "pa"] });
        let stats = ask(uid, "getAssignmentStats", payload).await;
        let mut expected = net(100);
        expected["byTask"] = json!({ "roar-inference": net(0), "pa": net(100) });
        assert_eq!(stats[&id], expected, "{uid}");
        let payload = json!({ "administrationId": id, "parentOrgId": null, "parentOrgType": null });
        let rows = ask(uid, "getAdministrationOrgsAndStats", payload).await;
        assert_eq!((&rows[0]["orgId"], &rows[0]["hasChildren"]), (&json!(root), &json!(true)), "{uid}: {rows}");
        let payload = json!({ "administrationId": id, "parentOrgId": "school-0001", "parentOrgType": "school" });
        let rows = ask(uid, "getAdministrationOrgsAndStats", payload).await;
        let classes = rows.as_array().expect("a list");
        assert!(classes.len() == 2 && classes.iter().all(|row| row["stats"]["assignment"]["assigned"] == 50), "{rows}");
    }
    let payload = json!({ "administrationId": id, "parentOrgId": district(), "parentOrgType": "district" });
    let rows = ask("super", "getAdministrationOrgsAndStats", payload).await;
    let school = json!({
        "orgId": "school-0001", "name": "Willow Creek Elementary", "orgType": "school", "districtId": district(),
        "hasChildren": true, "stats": { "assignment": net(100) },
    });
    assert_eq!(rows, json!([school]));
    let (status, answer) = world.call("nobody", "getAdministrations", Json::Null).await;
    assert_eq!((status, &answer["error"]["status"]), (403, &json!("PERMISSION_DENIED")));
}

/// Waits until the document is there with these fields; `None` for its absence.
async fn becomes(database: &Database, path: &str, expected: Option<&Fields>) {
    let path = DocPath::new(path).expect("a path");
    eventually(async || {
        let found = database.get(&path).await.expect("readable").map(|document| {
            let mut fields = document.fields;
            fields.remove("deletedAt");
            fields
        });
        let is_as_expected = found.as_ref() == expected;
        if is_as_expected { Ok(()) } else { Err(format!("{path}: {found:?}, not {expected:?}")) }
    })
    .await;
}

async fn delete(database: &Database, path: &str) {
    database.commit(vec![Write::delete(DocPath::new(path).expect("a path"))]).await.expect("deleted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orgs_are_mirrored_and_deletions_archived() {
    let world = EmulatorWorld::start().await;
    let (admin, assessment) = (world.admin(), world.assessment());
    let contact = fields! { "email" => "ada@example.org" };
    let orgs = ["districts", "schools", "classes", "groups", "families"];
    for collection in orgs {
        let org = fields! {
            "name" => "N", "abbreviation" => "n", "districtContact" => contact.clone(), "principal" => contact.clone(),
            "phone" => "555-0100", "createdBy" => "somebody", "mdrNumber" => Value::Null,
        };
        set(admin, &format!("{collection}/o"), org).await;
    }
    for collection in orgs {
        let mut expected = fields! { "name" => "N", "abbreviation" => "n", "mdrNumber" => Value::Null };
        if collection == "families" {
            expected.remove("name");
        }
        becomes(assessment, &format!("{collection}/o"), Some(&expected)).await;
        set(admin, &format!("{collection}/o"), fields! { "abbreviation" => "m", "phone" => "1" }).await;
    }
    for collection in orgs {
        becomes(assessment, &format!("{collection}/o"), Some(&fields! { "abbreviation" => "m" })).await;
        delete(admin, &format!("{collection}/o")).await;
    }
    for collection in orgs {
        becomes(assessment, &format!("{collection}/o"), None).await;
    }

    let table = [
        (admin, "users/u/externalData/clever", "deleted-users/u/deleted-externalData/clever"),
        (admin, "users/u", "deleted-users/u"),
        (assessment, "users/u/runs/r", "deleted-users/u/deleted-runs/r"),
        (assessment, "users/u", "deleted-users/u"),
        (assessment, "guests/g/runs/r/trials/t", "deleted-guests/g/deleted-runs/r/deleted-trials/t"),
    ];
    for (database, path, archive) in table {
        // Three lives, mostly within a second: the emulator tells the time no finer.
        for life in 0..3 {
            set(database, path, fields! { "life" => life, format!("only{life}") => true }).await;
            delete(database, path).await;
        }
        becomes(database, archive, Some(&fields! { "life" => 2, "only2" => true })).await;
    }
}

/// The client library verifies documents that it has only read: the emulator sends events for these documents although
/// they haven't changed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_that_is_only_verified_makes_no_work() {
    let world = EmulatorWorld::start().await;
    // A user who isn't there, as its transaction has found.
    let name = format!("projects/{}/databases/(default)/documents/users/nobody", world.project);
    let commit = json!({"writes": [{"verify": name, "currentDocument": {"exists": false}}]});
    let url =
        format!("http://{}/v1/projects/{}/databases/(default)/documents:commit", world.emulator_host(), world.project);
    let http = reqwest::Client::builder().timeout(Duration::from_secs(10)).build().expect("a client");
    let answer = http.post(url).bearer_auth("owner").json(&commit).send().await.expect("an answer");
    assert!(answer.status().is_success(), "{:?}", answer.text().await);
    let is_empty = |line: &str| line.starts_with("function_event_empty_total") && !line.ends_with(" 0");
    eventually(async || {
        let metrics = world.service.runtime.metrics().render();
        if metrics.lines().any(is_empty) { Ok(()) } else { Err("no event without a change".to_owned()) }
    })
    .await;
}
