//! People who were known before Clever's roster came.

use roar_functions::fields;
use roar_functions::store::{Fields, Value};
use serde_json::json;

use super::Scene;
use crate::world::set;

/// Somebody who was enrolled by hand or from a file.
fn enrolled(scene: &Scene, email: &str, user_type: &str, district: &str) -> Fields {
    let at = |id: &str| {
        fields! {
            "current" => Value::strings([id]), "all" => Value::strings([id]),
            "dates" => fields! { id => fields! { "from" => scene.world.now(), "to" => Value::Null } },
        }
    };
    fields! {
        "userType" => user_type, "archived" => false, "email" => email, "districts" => at(district),
        "assessmentPid" => "kept", "name" => fields! { "first" => "By", "middle" => Value::Null, "last" => "Hand" },
    }
}

#[tokio::test]
async fn an_address_links_within_the_district_only_and_only_one_to_one() {
    let scene = Scene::open().await;
    scene.call(json!({"shallow": true})).await.expect("orgs");
    scene.world.settle().await;
    let district = scene.there.id();
    let students = scene.there.users("student");
    // The address, its users here, whether they become one.
    let address = |n: usize| format!("somebody{n}@school.example");
    for (n, student) in students.iter().take(6).enumerate() {
        scene.there.set_email(student, Some(&address(n).to_uppercase()));
    }
    scene.there.set_email(&students[6], Some(&address(5)));
    let cases = [
        (0, vec![("student", district.as_str())], true),
        (1, vec![("student", "another")], false),
        (2, vec![("student", district.as_str()), ("student", district.as_str())], false),
        (3, vec![("educator", district.as_str())], false),
        (4, vec![], false),
        (5, vec![("student", district.as_str())], false),
    ];
    for (n, users, _) in &cases {
        for (place, (user_type, of)) in users.iter().enumerate() {
            let user = enrolled(&scene, &address(*n), user_type, of);
            set(scene.world.admin(), &format!("users/known-{n}-{place}"), user).await;
        }
    }
    scene.world.settle().await;
    scene.settle().await;
    for (n, users, expected) in &cases {
        let entry = scene.entry(&students[*n]).await;
        let is_linked = entry["roarUid"].as_str() == Some(&format!("known-{n}-0"));
        assert_eq!(is_linked, *expected, "{n}: {users:?}");
    }
    let linked = scene.user(&students[0]).await;
    assert_eq!((linked["assessmentPid"].as_str(), linked["ssoType"].as_str()), (Some("kept"), Some("clever")));
    let record = scene.there.record(&students[0]).expect("a record");
    let first = linked["name"].as_map().and_then(|name| name.get("first")).and_then(Value::as_str);
    assert_eq!(first, record["name"]["first"].as_str(), "the roster's fields are the roster's");
    // Once linked, they stay so, whatever the address.
    scene.there.set_email(&students[0], Some("another@school.example"));
    scene.settle().await;
    assert_eq!(scene.entry(&students[0]).await["roarUid"].as_str(), Some("known-0-0"));
}

#[tokio::test]
async fn notes_that_other_functions_left_are_taken_over() {
    let scene = Scene::open().await;
    let students = scene.there.users("student");
    let note = fields! {
        "providerType" => "clever", "providerId" => students[0].as_str(), "roarUid" => "known", "activated" => true,
        "adminUid" => "uid-known", "email" => "old@school.example",
    };
    set(scene.world.admin(), "identityProviderIds/auto1", note).await;
    set(scene.world.admin(), "users/known", enrolled(&scene, "old@school.example", "student", "another")).await;
    scene.world.settle().await;
    let report = scene.settle().await;
    assert_eq!(report.held_back, None);
    let entries = scene.all("identityProviderIds").await;
    let of_student = entries.values().filter(|entry| entry["providerId"].as_str() == Some(&students[0])).count();
    assert_eq!(of_student, 1, "nobody is noted twice");
    let note = &entries["auto1"];
    assert_eq!((note["roarUid"].as_str(), note["adminUid"].as_str()), (Some("known"), Some("uid-known")));
    assert_eq!((note["district"].as_str(), note["activated"].as_bool()), (Some(scene.there.id().as_str()), Some(true)));
    // A second sync knows them; when they leave, the same note says so.
    let report = scene.settle().await;
    assert_eq!(report.counts.values().map(|counts| counts.created + counts.updated).sum::<u64>(), 0);
    scene.there.remove(&students[0]);
    scene.settle().await;
    assert_eq!(scene.all("identityProviderIds").await["auto1"].get("gone"), Some(&Value::Boolean(true)));
}
