//! People who were there before this service's first sync of their district: those who sign in too early, and those
//! whom older functions noted.

use roar_functions::demo::clever::Kind as At;
use roar_functions::fields;
use roar_functions::orgs::{OrgLists, OrgType};
use roar_functions::store::{Fields, Value};
use serde_json::json;

use super::Scene;
use crate::world::set;

/// A teacher of Clever's, and what they teach.
fn teacher(scene: &Scene) -> (String, OrgLists) {
    let teaches = |teacher: &str, section: &String| {
        let record = scene.there.record(section).expect("a section");
        record["teachers"].as_array().is_some_and(|ids| ids.iter().any(|id| id == teacher))
    };
    let teacher = scene.there.users("teacher")[0].clone();
    scene.there.set(&teacher, "roles", json!({"teacher": {"legacy_id": "5", "schools": []}}));
    let sections = scene.there.ids(At::Section);
    let taught = sections.iter().filter(|section| teaches(&teacher, section));
    let taught: OrgLists = taught.map(|id| (OrgType::Class, id.as_str())).collect();
    assert!(!taught.is_empty());
    (teacher, taught)
}

#[tokio::test]
async fn a_teacher_who_signs_in_before_the_first_sync_of_people_gets_their_rights_with_it() {
    for signs_in_twice in [false, true] {
        let scene = Scene::open().await;
        scene.call(json!({"shallow": true})).await.expect("orgs");
        scene.world.settle().await;
        let (teacher, taught) = teacher(&scene);
        scene.account("uid-t", &teacher).await;
        scene.sign_in("uid-t", &teacher).await;
        scene.sync_user("uid-t", &teacher).await.expect("synced");
        assert!(scene.admin_orgs("uid-t").await.is_empty(), "a sign-in tells no sections");
        if signs_in_twice {
            scene.sign_in("uid-t", &teacher).await;
            scene.sync_user("uid-t", &teacher).await.expect("synced");
        }
        scene.call(json!({"shallow": false})).await.expect("people");
        scene.world.settle().await;
        assert!(scene.admin_orgs("uid-t").await.same_orgs(&taught));
        assert_eq!(scene.claims("uid-t").await["role"].as_str(), Some("admin"));
    }
}

#[tokio::test]
async fn who_was_bound_before_the_roster_told_of_them_becomes_its_user_at_the_next_sign_in() {
    for has_begun in [false, true] {
        let scene = Scene::open().await;
        scene.call(json!({"shallow": true})).await.expect("orgs");
        let student = scene.there.users("student")[0].clone();
        scene.account("uid-s", &student).await;
        scene.sign_in("uid-s", &student).await;
        assert_eq!(scene.claims("uid-s").await["roarUid"].as_str(), Some("uid-s"), "for want of another");
        if has_begun {
            set(scene.world.assessment(), "users/uid-s", fields! { "userType" => "guest" }).await;
        }
        scene.call(json!({"shallow": false})).await.expect("people");
        scene.world.settle().await;
        let roar_uid = scene.entry(&student).await["roarUid"].as_str().expect("a user").to_owned();
        let data = json!({
            "assessmentUid": "a-uid-s", "identityProviderId": student, "identityProviderType": "clever",
        });
        let answer = scene.world.call_function("setUidClaims", "uid-s", data.clone()).await;
        scene.world.settle().await;
        if has_begun {
            let refused = answer.expect_err("what they have begun would be lost");
            assert!(refused.message.contains("merged by hand"), "{}", refused.message);
            continue;
        }
        assert_eq!(answer.expect("bound")["userClaims"]["roarUid"].as_str(), Some(roar_uid.as_str()));
        assert_eq!(scene.claims("uid-s").await["roarUid"].as_str(), Some(roar_uid.as_str()));
        let copy =
            scene.world.assessment().get(&roar_functions::rights::Claims::path("a-uid-s").expect("a path")).await;
        let copy = copy.expect("readable").expect("a copy").fields;
        assert_eq!(copy["claims"].as_map().expect("claims")["roarUid"].as_str(), Some(roar_uid.as_str()));
        let entry = scene.entry(&student).await;
        assert_eq!((entry["adminUid"].as_str(), entry["activated"].as_bool()), (Some("uid-s"), Some(true)));
        let copy = scene.copy(&roar_uid).await;
        assert_eq!((copy["userType"].as_str(), copy["assessmentUid"].as_str()), (Some("student"), Some("a-uid-s")));
        scene.sync_user("uid-s", &student).await.expect("synced");
        let before = scene.world.documents().await;
        scene.world.call_function("setUidClaims", "uid-s", data).await.expect("bound");
        assert_eq!(scene.world.documents().await, before, "and that's settled");
    }
}

#[tokio::test]
async fn a_sign_in_leaves_alone_whose_note_is_where_theirs_would_be() {
    let scene = Scene::open().await;
    scene.call(json!({"shallow": true})).await.expect("orgs");
    let student = scene.there.users("student")[0].clone();
    let usual = format!("identityProviderIds/clever-{student}");
    let note = fields! { "providerType" => "clever", "providerId" => "moved-on", "roarUid" => "r", "adminUid" => "a" };
    set(scene.world.admin(), &usual, note.clone()).await;
    scene.account("uid-s", &student).await;
    scene.sign_in("uid-s", &student).await;
    for _ in 0..2 {
        scene.sync_user("uid-s", &student).await.expect("synced");
    }
    assert_eq!(scene.world.get(&usual).await.expect("the note").fields, note);
    let notes = scene.all("identityProviderIds").await;
    let own: Vec<_> = notes.values().filter(|note| note["providerId"].as_str() == Some(&student)).collect();
    assert_eq!(own.len(), 1);
    assert_eq!(own[0]["roarUid"].as_str(), Some("uid-s"));
}

#[tokio::test]
async fn an_address_makes_nobody_who_is_bound_somebody_else() {
    let scene = Scene::open().await;
    scene.call(json!({"shallow": true})).await.expect("orgs");
    let students = scene.there.users("student");
    let (early, sibling) = (students[0].clone(), students[1].clone());
    scene.account("uid-s", &early).await;
    scene.sign_in("uid-s", &early).await;
    // The roster has the sibling under their address, and says nothing of them.
    scene.there.set_email(&sibling, Some("uid-s@example.org"));
    scene.there.remove(&early);
    scene.call(json!({"shallow": false})).await.expect("people");
    scene.world.settle().await;
    let data = json!({"assessmentUid": "a-uid-s", "identityProviderId": early, "identityProviderType": "clever"});
    scene.world.call_function("setUidClaims", "uid-s", data).await.expect_err("it's refused");
    assert_eq!(scene.entry(&sibling).await.get("adminUid"), None);
    assert_eq!(scene.claims("uid-s").await["roarUid"].as_str(), Some("uid-s"));
}

/// Somebody whom older functions noted, enrolled in the district and signed in.
async fn noted_by_others(scene: &Scene, provider_id: &str, user_type: &str, orgs: &OrgLists) -> String {
    let roar_uid = format!("old-{provider_id}");
    let district = scene.there.id();
    let since = scene.world.now();
    let at = fields! {
        "current" => Value::strings([&district]), "all" => Value::strings([&district]),
        "dates" => fields! { district.as_str() => fields! { "from" => since, "to" => Value::Null } },
    };
    let user = fields! { "userType" => user_type, "archived" => false, "districts" => at, "createdAt" => since };
    set(scene.world.admin(), &format!("users/{roar_uid}"), user).await;
    let note = fields! {
        "providerType" => "clever", "providerId" => provider_id, "roarUid" => roar_uid.as_str(), "role" => user_type,
        "adminUid" => format!("uid-{provider_id}").as_str(), "activated" => true, "adminOrgs" => orgs.to_value(),
    };
    set(scene.world.admin(), &format!("identityProviderIds/auto-{provider_id}"), note).await;
    roar_uid
}

async fn user(scene: &Scene, roar_uid: &str) -> Fields {
    scene.world.get(&format!("users/{roar_uid}")).await.expect("a user").fields
}

#[tokio::test]
async fn who_left_before_the_first_sync_leaves_with_it_and_who_stayed_keeps_their_user() {
    let scene = Scene::open().await;
    scene.call(json!({"shallow": true})).await.expect("orgs");
    let student = scene.there.users("student")[0].clone();
    let stayed = noted_by_others(&scene, &student, "student", &OrgLists::new()).await;
    let left = noted_by_others(&scene, "65a000000000000000000000", "student", &OrgLists::new()).await;
    scene.world.settle().await;
    let dry = json!({"shallow": false, "dryRun": true, "confirmUnenroll": true});
    let would = scene.call(dry).await.expect("planned");
    assert_eq!(would["counts"]["users"]["removed"], 1);
    // One of two who were noted is missing, which is much.
    scene.call(json!({"shallow": false})).await.expect_err("it stops");
    assert_eq!(user(&scene, &left).await["archived"], Value::Boolean(false));
    scene.call(json!({"shallow": false, "confirmUnenroll": true})).await.expect("synced");
    scene.world.settle().await;
    assert_eq!(user(&scene, &left).await["archived"], Value::Boolean(true));
    let kept = user(&scene, &stayed).await;
    assert_eq!((kept["archived"].clone(), kept["ssoType"].as_str()), (Value::Boolean(false), Some("clever")));
    // From then on, it's known whose they are.
    let before = scene.world.admin().cost();
    let answer = scene.call(json!({"shallow": false})).await.expect("synced");
    let read = (scene.world.admin().cost() - before).reads;
    let people = answer["counts"]["users"]["unchanged"].as_u64().expect("a number");
    assert!(read < people + 60, "{read} for {people}");
}

#[tokio::test]
async fn rights_that_older_functions_gave_follow_the_roster_from_the_first_sync_on() {
    for leaves in [false, true] {
        let scene = Scene::open().await;
        scene.call(json!({"shallow": true})).await.expect("orgs");
        let (teacher, taught) = teacher(&scene);
        let sections = scene.there.ids(At::Section);
        let former = sections.iter().find(|id| !taught.contains(OrgType::Class, id)).expect("another").clone();
        let by_hand = sections.iter().rfind(|id| !taught.contains(OrgType::Class, id) && **id != former);
        let by_hand = by_hand.expect("a third").clone();
        // They taught another class when the older functions looked last, and somebody gave them a third.
        let given: OrgLists = [(OrgType::Class, former.as_str())].into_iter().collect();
        let roar_uid = noted_by_others(&scene, &teacher, "educator", &given).await;
        let all = fields! { "classes" => Value::strings([&former, &by_hand]) };
        let uid = format!("uid-{teacher}");
        let claims = fields! {
            "roarUid" => roar_uid.as_str(), "adminUid" => uid.as_str(), "role" => "admin",
            "adminOrgs" => all.clone(), "minimalAdminOrgs" => all,
        };
        set(scene.world.admin(), &format!("userClaims/{uid}"), fields! { "claims" => claims, "lastUpdated" => 1 })
            .await;
        scene.world.settle().await;
        if leaves {
            scene.there.remove(&teacher);
        }
        scene.call(json!({"shallow": false, "confirmUnenroll": true})).await.expect("synced");
        scene.world.settle().await;
        let mut expected: OrgLists = [(OrgType::Class, by_hand.as_str())].into_iter().collect();
        if !leaves {
            expected.extend(&taught);
        }
        assert!(scene.admin_orgs(&uid).await.same_orgs(&expected), "{leaves}: {:?}", scene.admin_orgs(&uid).await);
    }
}

#[tokio::test]
async fn a_class_that_came_with_its_school_stays_when_the_school_goes() {
    let scene = Scene::open().await;
    scene.call(json!({"shallow": true})).await.expect("orgs");
    let (teacher, taught) = teacher(&scene);
    let school = scene.there.ids(At::School)[0].clone();
    let mut given = taught.clone();
    given.add(OrgType::School, &school);
    let roar_uid = noted_by_others(&scene, &teacher, "educator", &given).await;
    let uid = format!("uid-{teacher}");
    let all = scene.there.ids(At::Section);
    let claims = fields! {
        "roarUid" => roar_uid.as_str(), "adminUid" => uid.as_str(), "role" => "admin",
        "minimalAdminOrgs" => fields! { "schools" => Value::strings([&school]) },
        "adminOrgs" => fields! { "schools" => Value::strings([&school]), "classes" => Value::strings(all) },
    };
    set(scene.world.admin(), &format!("userClaims/{uid}"), fields! { "claims" => claims, "lastUpdated" => 1 }).await;
    scene.world.settle().await;
    // They were staff of the school; by now they only teach there.
    scene.call(json!({"shallow": false})).await.expect("synced");
    scene.world.settle().await;
    assert!(scene.admin_orgs(&uid).await.same_orgs(&taught), "{:?}", scene.admin_orgs(&uid).await);
}
