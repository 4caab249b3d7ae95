//! Rights that come with roles at Clever, and go with them.

use roar_functions::accounts::{AccountUpdate, NewAccount, Provider};
use roar_functions::demo::clever::Kind as At;
use roar_functions::fields;
use roar_functions::orgs::{OrgLists, OrgType};
use roar_functions::rostering::report::Kind;
use roar_functions::store::{Fields, Value};
use serde_json::json;

use super::Scene;
use crate::world::set;

impl Scene {
    /// Accounts of somebody at Clever in both projects: the one of the admin project is linked.
    pub async fn account(&self, uid: &str, at_clever: &str) {
        let accounts = &self.world.service.app.accounts;
        let email = Some(format!("{uid}@example.org"));
        let new = NewAccount { email, email_verified: true, ..NewAccount::default() };
        accounts.admin.create(uid, &new).await.expect("an account");
        accounts.assessment.create(&format!("a-{uid}"), &new).await.expect("an account");
        let provider = Provider { provider_id: "oidc.clever".to_owned(), raw_id: at_clever.to_owned() };
        let link = AccountUpdate { link: Some(provider), ..AccountUpdate::default() };
        accounts.admin.update(uid, &link).await.expect("linked");
    }

    /// Signs in as the client does.
    pub async fn sign_in(&self, uid: &str, at_clever: &str) {
        let data = json!({
            "assessmentUid": format!("a-{uid}"), "identityProviderId": at_clever, "identityProviderType": "clever",
        });
        self.world.call_function("setUidClaims", uid, data).await.expect("signed in");
        self.world.settle().await;
    }

    pub async fn claims(&self, uid: &str) -> Fields {
        let document = self.world.get(&format!("userClaims/{uid}")).await.expect("claims");
        document.fields["claims"].as_map().expect("a map").clone()
    }

    pub async fn admin_orgs(&self, uid: &str) -> OrgLists {
        OrgLists::from_value(self.claims(uid).await.get("adminOrgs"))
    }
}

/// A teacher with a section of their own, and another section of the same school.
fn teacher_with_two(scene: &Scene) -> (String, [String; 2]) {
    let teacher = scene.there.users("teacher")[0].clone();
    let sections = scene.there.ids(At::Section);
    let teaches = |section: &&String| {
        let record = scene.there.record(section).expect("a section");
        record["teachers"].as_array().is_some_and(|ids| ids.iter().any(|id| id == teacher.as_str()))
    };
    let own = sections.iter().find(teaches).expect("a section").clone();
    let other = sections.iter().find(|section| !teaches(section)).expect("another").clone();
    for section in &sections {
        scene.there.set(section, "teachers", json!([]));
        scene.there.unset(section, "teacher");
    }
    scene.there.set(&own, "teachers", json!([teacher]));
    scene.there.set(&teacher, "roles", json!({"teacher": {"legacy_id": "5", "schools": []}}));
    (teacher, [own, other])
}

fn classes(ids: &[&String]) -> OrgLists {
    ids.iter().map(|id| (OrgType::Class, id.as_str())).collect()
}

#[tokio::test]
async fn rights_follow_the_roster_and_what_people_gave_stays() {
    let scene = Scene::open().await;
    let (teacher, [own, other]) = teacher_with_two(&scene);
    scene.settle().await;
    scene.account("uid-t", &teacher).await;
    scene.sign_in("uid-t", &teacher).await;
    assert_eq!(scene.admin_orgs("uid-t").await, classes(&[&own]));
    assert_eq!(scene.claims("uid-t").await["role"].as_str(), Some("admin"));
    // The roster gives another class, and takes the first.
    scene.there.set(&other, "teachers", json!([teacher]));
    scene.settle().await;
    assert!(scene.admin_orgs("uid-t").await.same_orgs(&classes(&[&own, &other])));
    scene.there.set(&own, "teachers", json!([]));
    scene.settle().await;
    assert_eq!(scene.admin_orgs("uid-t").await, classes(&[&other]));
    // Tokens and the other database's copy say the same.
    let account = scene.world.service.app.accounts.admin.get("uid-t").await.expect("readable").expect("an account");
    assert_eq!(account.custom_claims["role"], "admin");
    let copy = scene.world.assessment().get(&roar_functions::rights::Claims::path("a-uid-t").expect("a path")).await;
    let copy = copy.expect("readable").expect("a copy").fields;
    let copied = copy["claims"].as_map().and_then(|claims| claims.get("adminOrgs"));
    assert_eq!(OrgLists::from_value(copied), classes(&[&other]));
    // By hand, the first is given again, and the other one, too: they stay, whatever the roster says.
    scene.appoint_super_admin().await;
    let both = json!({"targetUid": "uid-t", "classes": [own, other]});
    scene.world.call_function("appendToAdminClaims", "super", both).await.expect("given");
    scene.world.settle().await;
    scene.there.set(&other, "teachers", json!([]));
    scene.settle().await;
    assert!(scene.admin_orgs("uid-t").await.same_orgs(&classes(&[&own, &other])));
    // What was taken away by hand isn't given again by the same roster.
    scene.there.set(&other, "teachers", json!([teacher]));
    scene.settle().await;
    let one = json!({"targetUid": "uid-t", "classes": [other]});
    scene.world.call_function("removeFromAdminClaims", "super", one).await.expect("taken");
    scene.world.settle().await;
    scene.there.set(&teacher, "name/first", "Another");
    scene.settle().await;
    assert_eq!(scene.admin_orgs("uid-t").await, classes(&[&own]));
}

#[tokio::test]
async fn who_leaves_loses_what_came_with_the_roster_and_nothing_else() {
    let scene = Scene::open().await;
    let (teacher, [own, other]) = teacher_with_two(&scene);
    scene.settle().await;
    scene.account("uid-t", &teacher).await;
    scene.sign_in("uid-t", &teacher).await;
    scene.appoint_super_admin().await;
    let one = json!({"targetUid": "uid-t", "classes": [other]});
    scene.world.call_function("appendToAdminClaims", "super", one).await.expect("given");
    scene.there.remove(&teacher);
    scene.settle().await;
    assert_eq!(scene.user(&teacher).await.get("archived"), Some(&Value::Boolean(true)));
    assert_eq!(scene.admin_orgs("uid-t").await, classes(&[&other]));
    scene.there.bring_back(&teacher);
    scene.settle().await;
    assert!(scene.admin_orgs("uid-t").await.same_orgs(&classes(&[&own, &other])));
    let audit = scene.all("claimsAudit").await;
    let of_rosters = audit.values().filter(|record| record["action"].as_str() == Some("roster")).count();
    assert_eq!(of_rosters, 2, "what the roster took and gave is on record");
}

#[tokio::test]
async fn contacts_and_students_get_no_rights() {
    let scene = Scene::open().await;
    scene.settle().await;
    for (role, uid) in [("student", "uid-s"), ("contact", "uid-c")] {
        let person = scene.there.users(role)[0].clone();
        scene.account(uid, &person).await;
        scene.sign_in(uid, &person).await;
        let claims = scene.claims(uid).await;
        assert!(OrgLists::from_value(claims.get("adminOrgs")).is_empty(), "{role}");
        let expected = (role == "student").then_some("student");
        assert_eq!(claims.get("role").and_then(Value::as_str), expected, "{role}");
    }
}

#[tokio::test]
async fn a_late_or_repeated_event_changes_nothing() {
    let scene = Scene::open().await;
    let (teacher, [own, other]) = teacher_with_two(&scene);
    scene.settle().await;
    scene.account("uid-t", &teacher).await;
    scene.sign_in("uid-t", &teacher).await;
    scene.there.set(&other, "teachers", json!([teacher]));
    scene.sync(super::DEEP).await.expect("synced");
    let late = scene.world.events().await;
    scene.there.set(&own, "teachers", json!([]));
    scene.settle().await;
    assert_eq!(scene.admin_orgs("uid-t").await, classes(&[&other]));
    let before = scene.world.admin().cost();
    let mut seen = 0;
    for event in late.into_iter().filter(|(name, _)| name == "syncClaimsOnRosterUpdate") {
        seen += 1;
        assert!(scene.world.deliver(event.clone()).await && scene.world.deliver(event).await);
    }
    assert!(seen > 0);
    assert_eq!((scene.world.admin().cost() - before).writes, 0);
    assert_eq!(scene.admin_orgs("uid-t").await, classes(&[&other]));
}

#[tokio::test]
async fn claims_that_cannot_be_written_hold_up_nobody_else() {
    let scene = Scene::open().await;
    scene.settle().await;
    let (school, late) = (scene.there.ids(At::School)[0].clone(), scene.there.ids(At::Section)[0].clone());
    scene.there.set(&late, "school", school.clone());
    scene.there.remove(&late);
    scene.settle().await;
    // The first, in order, is so large that no class fits in any more.
    for (uid, size) in [("uid-a", 1_048_576 - 380), ("uid-b", 0)] {
        let orgs = fields! { "schools" => Value::strings([school.clone()]) };
        let claims =
            fields! { "roarUid" => uid, "adminUid" => uid, "minimalAdminOrgs" => orgs.clone(), "adminOrgs" => orgs };
        let document = fields! { "claims" => claims, "lastUpdated" => 1, "x" => "x".repeat(size) };
        set(scene.world.admin(), &format!("userClaims/{uid}"), document).await;
    }
    drop(scene.world.events().await);
    let before = scene.admin_orgs("uid-a").await;
    scene.there.bring_back(&late);
    let report = scene.settle().await;
    assert!(report.safety_stop.is_none() && report.counts[&Kind::Classes].failed == 0);
    assert_eq!(scene.admin_orgs("uid-a").await, before);
    assert!(scene.admin_orgs("uid-b").await.contains(OrgType::Class, &late));
    let district = scene.world.get(&format!("districts/{}", scene.there.id())).await.expect("a district").fields;
    assert_eq!(district.get("rosterClaimsDue"), Some(&Value::from("claims")), "the next sync tries again");
    // With claims alone: nothing is planned anew for it.
    let before = scene.world.admin().cost();
    scene.settle().await;
    assert_eq!((scene.world.admin().cost() - before).writes, 0);
}

#[tokio::test]
async fn a_student_who_was_taken_for_a_teacher_is_a_student_again() {
    let scene = Scene::open().await;
    scene.settle().await;
    let id = scene.administer().await;
    let student = scene.there.users("student")[0].clone();
    let roles = scene.there.record(&student).expect("a record")["roles"].clone();
    let section = scene.there.ids(At::Section)[0].clone();
    let teachers = scene.there.record(&section).expect("a section")["teachers"].clone();
    scene.account("uid-s", &student).await;
    scene.sign_in("uid-s", &student).await;
    scene.sync_user("uid-s", &student).await.expect("synced");
    let assigned = crate::world::assignments(scene.world.admin(), &id).await.len();
    let roar_uid = scene.entry(&student).await["roarUid"].as_str().expect("a user").to_owned();
    let types = async || {
        let copy = scene.copy(&roar_uid).await;
        let role = scene.claims("uid-s").await.get("role").cloned();
        [scene.user(&student).await["userType"].clone(), copy["userType"].clone(), role.unwrap_or(Value::Null)]
    };
    assert_eq!(types().await, ["student"; 3].map(Value::from));
    scene.there.set(&student, "roles", json!({"teacher": {"legacy_id": "5", "schools": []}}));
    scene.there.set(&section, "teachers", json!([student]));
    scene.settle().await;
    assert_eq!(scene.admin_orgs("uid-s").await, classes(&[&section]));
    assert_eq!(types().await, ["admin"; 3].map(Value::from));
    assert_eq!(crate::world::assignments(scene.world.admin(), &id).await.len(), assigned - 1);
    // The sections go first, the role later.
    scene.there.set(&section, "teachers", teachers);
    scene.settle().await;
    assert!(scene.admin_orgs("uid-s").await.is_empty());
    scene.there.set(&student, "roles", roles);
    scene.settle().await;
    assert_eq!(types().await, ["student"; 3].map(Value::from));
    assert_eq!(crate::world::assignments(scene.world.admin(), &id).await.len(), assigned, "they're assigned again");
}

#[tokio::test]
async fn who_is_noted_twice_keeps_what_either_note_gives() {
    let scene = Scene::open().await;
    let (teacher, [own, other]) = teacher_with_two(&scene);
    scene.there.set(&other, "teachers", json!([teacher]));
    scene.settle().await;
    scene.account("uid-t", &teacher).await;
    scene.sign_in("uid-t", &teacher).await;
    // Clever gave them another ID, and somebody found out that the two are one.
    let mut old = scene.entry(&teacher).await;
    old.insert("providerId".to_owned(), Value::from("65a000000000000000000000"));
    set(scene.world.admin(), "identityProviderIds/clever-65a000000000000000000000", old).await;
    scene.there.set(&other, "teachers", json!([]));
    scene.settle().await;
    let orgs = scene.admin_orgs("uid-t").await;
    assert!(orgs.same_orgs(&classes(&[&own])), "the old one is gone, the new one gives one class: {orgs:?}");
}

#[tokio::test]
async fn who_has_no_role_any_more_has_no_rights_any_more() {
    let scene = Scene::open().await;
    let (teacher, [own, _]) = teacher_with_two(&scene);
    scene.settle().await;
    scene.account("uid-t", &teacher).await;
    scene.sign_in("uid-t", &teacher).await;
    let held = scene.there.record(&teacher).expect("a record")["roles"].clone();
    scene.there.set(&teacher, "roles", json!({"volunteer": {}}));
    let report = scene.settle().await;
    assert_eq!(report.counts[&Kind::Users].skipped, 1);
    assert!(scene.admin_orgs("uid-t").await.is_empty());
    assert_eq!(scene.user(&teacher).await["archived"], Value::Boolean(false), "they are there nevertheless");
    let before = scene.world.admin().cost();
    scene.settle().await;
    assert_eq!((scene.world.admin().cost() - before).writes, 0);
    scene.there.set(&teacher, "roles", held);
    scene.settle().await;
    assert_eq!(scene.admin_orgs("uid-t").await, classes(&[&own]));
}
