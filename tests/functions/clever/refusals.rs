//! What a sync refuses, and what it tells nobody.

use roar_functions::demo::clever::Fault;
use roar_functions::runtime::Status;
use roar_functions::store::Value;
use serde_json::json;

use super::{STUDENTS, Scene};

#[tokio::test]
async fn too_many_missing_stop_it_until_somebody_confirms() {
    let scene = Scene::open().await;
    scene.call(json!({"shallow": false})).await.expect("synced");
    scene.world.settle().await;
    let before = scene.all("users").await;
    for student in scene.there.users("student").iter().step_by(3) {
        scene.there.remove(student);
    }
    let refused = scene.call(json!({"shallow": false})).await.expect_err("it stops");
    assert_eq!(refused.status, Status::FailedPrecondition);
    assert!(refused.message.contains("confirmUnenroll"), "{}", refused.message);
    let details = refused.details.expect("details");
    assert_eq!(details["districts"][0]["heldBack"]["missing"], json!(STUDENTS / 3));
    let run = details["runId"].as_str().expect("a run");
    let run = scene.world.get(&format!("rosteringRuns/{run}")).await.expect("a run").fields;
    assert_eq!(run["state"].as_str(), Some("validation_failed"));
    scene.world.settle().await;
    assert_eq!(scene.all("users").await, before);
    let would = scene.call(json!({"shallow": false, "dryRun": true, "confirmUnenroll": true})).await.expect("a look");
    assert_eq!(would["counts"]["users"]["removed"], json!(STUDENTS / 3));
    assert_eq!(scene.all("users").await, before);
    let done = scene.call(json!({"shallow": false, "confirmUnenroll": true})).await.expect("confirmed");
    assert_eq!(done["counts"]["users"]["removed"], json!(STUDENTS / 3));
    scene.world.settle().await;
    scene.assert_right("confirmed").await;
}

#[tokio::test]
async fn a_dry_run_leaves_no_document_behind() {
    let scene = Scene::open().await;
    let before = scene.world.admin().cost();
    let answer = scene.call(json!({"shallow": false, "dryRun": true})).await.expect("a look");
    let spent = scene.world.admin().cost() - before;
    // The super admin's own rights are written by the test.
    assert_eq!((spent.writes, spent.deletes), (1, 0));
    assert_eq!((answer["runId"].is_null(), answer["dryRun"].as_bool()), (true, Some(true)));
    assert!(answer["districts"][0]["differing"].as_u64() > Some(STUDENTS));
    for collection in ["districts", "users", "identityProviderIds", "rosteringRuns", "rosteringPartners"] {
        assert_eq!(scene.all(collection).await.len(), 0, "{collection}");
    }
}

#[tokio::test]
async fn clever_not_answering_is_said_and_changes_nothing() {
    let scene = Scene::open().await;
    scene.fake.fail("/oauth/tokens", std::iter::repeat_n(Fault::Status(503), 40));
    let refused = scene.call(json!({})).await.expect_err("no tokens");
    assert_eq!(refused.status, Status::Unavailable);
    scene.fake.recover();
    scene.there.disconnect();
    let answer = scene.call(json!({})).await.expect("nobody is connected");
    assert_eq!((&answer["runId"], &answer["districts"]), (&json!(null), &json!([])));
    assert_eq!(answer["counts"]["schools"]["created"], json!(0));
    assert_eq!(scene.all("rosteringRuns").await.len(), 0);
}

/// Nothing that names a child is in what people are answered, nor in the documents of runs.
#[tokio::test]
async fn runs_and_answers_name_nobody() {
    let scene = Scene::open().await;
    let mut said = scene.call(json!({"shallow": false})).await.expect("synced").to_string();
    scene.world.settle().await;
    let students = scene.there.users("student");
    let mut personal = Vec::new();
    for id in &students {
        let record = scene.there.record(id).expect("a record");
        let texts = ["/name/first", "/name/last", "/email", "/roles/student/dob", "/roles/student/sis_id"];
        personal.extend(texts.iter().filter_map(|at| record.pointer(at)?.as_str().map(str::to_owned)));
    }
    scene.there.remove(&students[0]);
    scene.there.set(&students[1], "roles/student/schools", json!({"not": "a list"}));
    scene.there.set(&students[2], "name/middle", "y".repeat(1_200_000));
    scene.there.promote(&students[3], "8");
    said += &scene.call(json!({"shallow": false, "dryRun": true})).await.expect("a look").to_string();
    said += &scene.call(json!({"shallow": false})).await.expect("synced").to_string();
    for run in scene.all("rosteringRuns").await.keys() {
        for part in ["stats", "events", "entityStatus"] {
            said += &format!("{:?}", scene.all(&format!("rosteringRuns/{run}/{part}")).await);
        }
    }
    said += &format!("{:?}", scene.all("rosteringRuns").await);
    personal.sort();
    personal.dedup();
    for text in personal.iter().filter(|text| text.len() > 3) {
        let found = said.split(|c: char| !c.is_alphanumeric() && !"@.-/".contains(c)).any(|word| word == text);
        assert!(!found, "{text}");
    }
    let entry = scene.entry(&students[3]).await;
    assert!(said.contains(entry["providerId"].as_str().expect("an ID")), "IDs are named");
    assert_eq!(entry.get("gone"), Some(&Value::Boolean(false)));
}
