//! `syncCleverUser`: what Clever says of somebody who signs in with it.

use roar_functions::accounts::{AccountUpdate, NewAccount, Provider};
use roar_functions::demo::clever::{Fault, Kind as At, Options as Fake, Size};
use roar_functions::fields;
use roar_functions::orgs::OrgType;
use roar_functions::runtime::{FunctionError, Status};
use roar_functions::store::{DocPath, Fields, Value, lookup};
use secrecy::ExposeSecret as _;
use serde_json::{Value as Json, json};

use super::Scene;
use crate::local::LocalWorld;
use crate::world::{assert_consistent, assignments};

impl Scene {
    pub async fn sync_user(&self, uid: &str, at_clever: &str) -> Result<Json, FunctionError> {
        let token = self.there.sign_in(at_clever);
        let data = json!({"assessmentUid": format!("a-{uid}"), "accessToken": token.expose_secret()});
        let answer = self.world.call_function("syncCleverUser", uid, data).await;
        self.world.settle().await;
        answer
    }

    pub async fn copy(&self, roar_uid: &str) -> Fields {
        let path = DocPath::in_collection("users", roar_uid).expect("a path");
        self.world.assessment().get(&path).await.expect("readable").expect("a copy").fields
    }
}

#[tokio::test]
async fn a_student_whom_no_sync_has_seen_signs_in() {
    let scene = Scene::open().await;
    scene.call(json!({"shallow": true})).await.expect("orgs");
    scene.world.settle().await;
    let id = scene.administer().await;
    let student = scene.there.users("student")[0].clone();
    scene.account("uid-s", &student).await;
    scene.sign_in("uid-s", &student).await;
    assert_eq!(scene.sync_user("uid-s", &student).await.expect("synced"), json!({"status": "ok"}));
    // Their documents bear their own UID, for they were there before any roster's.
    let entry = scene.entry(&student).await;
    assert_eq!((entry["roarUid"].as_str(), entry["adminUid"].as_str()), (Some("uid-s"), Some("uid-s")));
    assert_eq!(entry["activated"].as_bool(), Some(true));
    let user = scene.user(&student).await;
    assert_eq!(user["userType"].as_str(), Some("student"));
    assert_eq!(lookup(&user, "districts.current"), Some(&Value::strings([scene.there.id()])));
    assert_eq!(lookup(&user, "schools.current").and_then(Value::as_array).map(<[Value]>::len), Some(1));
    let raw = scene.world.get("users/uid-s/externalData/clever").await.expect("what Clever said").fields;
    assert_eq!(raw["id"].as_str(), Some(student.as_str()));
    assert!(lookup(&raw, "roles.student.enrollments").is_some(), "all of it, also what isn't used");
    let copy = scene.copy("uid-s").await;
    assert!(copy.contains_key("birthYear") && copy.contains_key("grade") && copy.contains_key("schools"));
    assert!(!copy.contains_key("name") && !copy.contains_key("email") && !copy.contains_key("studentData"));
    assert_eq!(scene.claims("uid-s").await["role"].as_str(), Some("student"));
    // They have what their district was assigned; a deep sync finds them, and adds their classes.
    assert_eq!(assignments(scene.world.admin(), &id).await.len(), 1);
    let report = scene.settle().await;
    assert_eq!(report.safety_stop, None);
    scene.assert_right("all of them").await;
    assert_eq!(scene.entry(&student).await["roarUid"].as_str(), Some("uid-s"));
    assert!(!scene.current(&student, "classes").await.is_empty());
    assert_consistent(scene.world.admin(), &id).await;
}

#[tokio::test]
async fn signing_in_again_writes_the_time_only() {
    let scene = Scene::open().await;
    scene.settle().await;
    let student = scene.there.users("student")[0].clone();
    scene.account("uid-s", &student).await;
    scene.sign_in("uid-s", &student).await;
    scene.sync_user("uid-s", &student).await.expect("synced");
    let before = (scene.world.admin().cost(), scene.world.assessment().cost());
    scene.sync_user("uid-s", &student).await.expect("synced");
    let (admin, assessment) = (scene.world.admin().cost() - before.0, scene.world.assessment().cost() - before.1);
    assert_eq!((admin.writes, assessment.writes), (1, 0));
    // Claims, the note twice, the user, what Clever said; district, school, classes; the note and claims again.
    assert!(admin.reads <= 14 && assessment.reads == 1, "{admin:?} {assessment:?}");
    // The district's sync finds nothing to do.
    let report = scene.settle().await;
    assert_eq!(report.counts.values().map(|counts| counts.updated + counts.created).sum::<u64>(), 0);
}

#[tokio::test]
async fn what_changed_at_clever_is_taken_over_at_once() {
    let scene = Scene::open().await;
    scene.settle().await;
    let student = scene.there.users("student")[0].clone();
    scene.account("uid-s", &student).await;
    scene.sign_in("uid-s", &student).await;
    scene.sync_user("uid-s", &student).await.expect("synced");
    let classes = scene.current(&student, "classes").await;
    scene.there.promote(&student, "7");
    scene.sync_user("uid-s", &student).await.expect("synced");
    assert_eq!(lookup(&scene.user(&student).await, "studentData.grade"), Some(&Value::from("7")));
    assert_eq!(scene.current(&student, "classes").await, classes, "a sign-in tells no sections; they stay");
    let roar_uid = scene.entry(&student).await["roarUid"].as_str().expect("a user").to_owned();
    assert_eq!(scene.copy(&roar_uid).await["grade"].as_str(), Some("7"));
    // Clever takes it back: the district's sync notices, though it wrote the same before.
    scene.there.promote(&student, "3");
    scene.settle().await;
    assert_eq!(lookup(&scene.user(&student).await, "studentData.grade"), Some(&Value::from("3")));
}

/// A district of two schools.
async fn two_schools() -> Scene {
    let size = Size { schools: 2, ..Size::of(60) };
    Scene::of(LocalWorld::with_clever(Default::default(), Fake::of(size)).await)
}

#[tokio::test]
async fn who_changes_school_leaves_the_old_one_unless_syncs_say_who_is_where() {
    for is_synced in [false, true] {
        let scene = two_schools().await;
        let schools = scene.there.ids(At::School);
        let student = scene.there.users("student")[0].clone();
        scene.call(json!({"shallow": !is_synced})).await.expect("synced");
        scene.world.settle().await;
        scene.account("uid-s", &student).await;
        scene.sign_in("uid-s", &student).await;
        scene.sync_user("uid-s", &student).await.expect("synced");
        let from = scene.current(&student, "schools").await[0].clone();
        let classes = scene.current(&student, "classes").await;
        let to = schools.iter().find(|school| **school != from).expect("another").clone();
        scene.there.set(&student, "roles/student/school", to.clone());
        scene.there.set(&student, "roles/student/schools", json!([to]));
        scene.sync_user("uid-s", &student).await.expect("synced");
        let expected = if is_synced { vec![from, to] } else { vec![to] };
        assert_eq!(scene.current(&student, "schools").await, expected);
        assert_eq!(scene.current(&student, "classes").await, classes, "no sign-in tells sections");
    }
}

#[tokio::test]
async fn being_in_a_class_gives_no_right_over_it() {
    let scene = Scene::open().await;
    scene.settle().await;
    let teacher = scene.there.users("teacher")[0].clone();
    scene.there.set(&teacher, "roles", json!({"teacher": {"legacy_id": "5", "schools": []}}));
    scene.settle().await;
    scene.account("uid-t", &teacher).await;
    scene.sign_in("uid-t", &teacher).await;
    let before = scene.admin_orgs("uid-t").await;
    let other = scene.there.ids(At::Section).into_iter().find(|id| !before.contains(OrgType::Class, id));
    let other = other.expect("a class of somebody else's");
    let roar_uid = scene.entry(&teacher).await["roarUid"].as_str().expect("a user").to_owned();
    let mut user = scene.user(&teacher).await;
    let mut classes = scene.current(&teacher, "classes").await;
    classes.push(other.clone());
    if let Some(Value::Map(map)) = user.get_mut("classes") {
        map.insert("current".to_owned(), Value::strings(&classes));
    }
    crate::world::set(scene.world.admin(), &format!("users/{roar_uid}"), user).await;
    scene.sync_user("uid-t", &teacher).await.expect("synced");
    assert!(scene.admin_orgs("uid-t").await.same_orgs(&before));
}

#[tokio::test]
async fn who_has_an_account_already_keeps_it_to_themselves() {
    let scene = Scene::open().await;
    scene.settle().await;
    let student = scene.there.users("student")[0].clone();
    let roar_uid = scene.entry(&student).await["roarUid"].as_str().expect("a user").to_owned();
    // Enrolled from a file, say, with a password of their own, and an address that they have shown to be theirs. (What
    // becomes of one who hasn't: `doubles`.)
    let new = NewAccount { email: Some("own@x.example".to_owned()), email_verified: true, ..NewAccount::default() };
    scene.world.service.app.accounts.admin.create("uid-own", &new).await.expect("an account");
    let claims = fields! { "roarUid" => roar_uid.as_str(), "adminUid" => "uid-own", "role" => "student" };
    crate::world::set(scene.world.admin(), "userClaims/uid-own", fields! { "claims" => claims, "lastUpdated" => 1 })
        .await;
    scene.account("uid-s", &student).await;
    let data = json!({
        "assessmentUid": "a-uid-s", "identityProviderId": student, "identityProviderType": "clever",
    });
    let refused = scene.world.call_function("setUidClaims", "uid-s", data).await.expect_err("it's refused");
    assert_eq!(refused.status, Status::AlreadyExists);
    assert_eq!(scene.entry(&student).await.get("adminUid"), None);
}

#[tokio::test]
async fn staff_get_and_lose_rights_at_sign_in() {
    let scene = Scene::open().await;
    scene.settle().await;
    let head = scene.there.users("teacher")[0].clone();
    let school = scene.there.ids(At::School)[0].clone();
    scene.there.set(&head, "roles", json!({"staff": {"legacy_id": "9", "schools": [school]}}));
    scene.account("uid-h", &head).await;
    scene.sign_in("uid-h", &head).await;
    scene.sync_user("uid-h", &head).await.expect("synced");
    let orgs = scene.admin_orgs("uid-h").await;
    assert!(orgs.contains(OrgType::School, &school) && orgs.of(OrgType::Class).len() > 1, "{orgs:?}");
    scene.there.set(&head, "roles", json!({"district_admin": {"legacy_id": "9"}}));
    scene.sync_user("uid-h", &head).await.expect("synced");
    assert!(scene.admin_orgs("uid-h").await.contains(OrgType::District, &scene.there.id()));
    scene.there.set(&head, "roles", json!({"contact": {"legacy_id": "9", "student_relationships": []}}));
    scene.sync_user("uid-h", &head).await.expect("synced");
    assert!(scene.admin_orgs("uid-h").await.is_empty());
}

#[tokio::test]
async fn nobody_becomes_somebody_else() {
    let scene = Scene::open().await;
    scene.settle().await;
    let students = scene.there.users("student");
    let (own, other) = (students[0].clone(), students[1].clone());
    scene.account("uid-s", &own).await;
    let token = |id: &str| scene.there.sign_in(id).expose_secret().to_owned();
    let call = async |data: Json| {
        let refused = scene.world.call_function("syncCleverUser", "uid-s", data).await.expect_err("it's refused");
        (refused.status, refused.message)
    };
    // Before they are anybody here.
    let (status, _) = call(json!({"assessmentUid": "a-uid-s", "accessToken": token(&own)})).await;
    assert_eq!(status, Status::PermissionDenied);
    scene.sign_in("uid-s", &own).await;
    let before = scene.all("users").await;
    let district = scene.there.token().expect("a token").token.expose_secret().to_owned();
    for (assessment_uid, token, expected) in [
        ("a-uid-s", token(&other), Status::PermissionDenied),
        ("a-somebody", token(&own), Status::PermissionDenied),
        ("a-uid-s", "nonsense".to_owned(), Status::PermissionDenied),
        ("a-uid-s", district, Status::PermissionDenied),
        ("a-uid-s", String::new(), Status::InvalidArgument),
        ("a-uid-s", "two words".to_owned(), Status::InvalidArgument),
        ("", token(&own), Status::InvalidArgument),
    ] {
        let (status, message) = call(json!({"assessmentUid": assessment_uid, "accessToken": token})).await;
        assert_eq!(status, expected, "{message}");
        assert!(token.is_empty() || !message.contains(&token), "{message}");
    }
    assert_eq!(scene.all("users").await, before);
    // Noted as somebody else's.
    let provider = Provider { provider_id: "oidc.clever".to_owned(), raw_id: other.clone() };
    let link = AccountUpdate { link: Some(provider), ..AccountUpdate::default() };
    scene.world.service.app.accounts.admin.update("uid-s", &link).await.expect("linked");
    let (status, _) = call(json!({"assessmentUid": "a-uid-s", "accessToken": token(&other)})).await;
    assert_eq!(status, Status::FailedPrecondition);
    assert_eq!(scene.all("users").await, before);
}

#[tokio::test]
async fn clever_not_answering_is_said() {
    let scene = Scene::open().await;
    scene.settle().await;
    let student = scene.there.users("student")[0].clone();
    scene.account("uid-s", &student).await;
    scene.sign_in("uid-s", &student).await;
    for path in ["/me", "/users"] {
        for fault in [Fault::Status(503), Fault::Html, Fault::Cut] {
            scene.fake.fail(path, std::iter::repeat_n(fault, 40));
            let refused = scene.sync_user("uid-s", &student).await.expect_err("it fails");
            assert_eq!(refused.status, Status::Unavailable, "{path}");
            scene.fake.recover();
        }
    }
    scene.sync_user("uid-s", &student).await.expect("synced");
    // Without a role, there's nobody to be.
    scene.there.set(&student, "roles", json!({}));
    let refused = scene.sync_user("uid-s", &student).await.expect_err("it fails");
    assert_eq!(refused.status, Status::FailedPrecondition);
}
