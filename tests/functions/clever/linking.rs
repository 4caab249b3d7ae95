//! People who were known before Clever's roster came: those whom the service itself imported are linked, users made by
//! hand wait for somebody's yes.

use roar_functions::fields;
use roar_functions::rostering::report::Kind;
use roar_functions::store::{Fields, Value, lookup};
use roar_functions::users::imported::{IMPORTED, Imported};
use serde_json::json;

use super::Scene;
use crate::world::set;

/// The digests of who was imported, of a user as they're shown.
pub fn imported(user: &Fields) -> Fields {
    let text = |name: &str| lookup(user, name).and_then(Value::as_str);
    let born = lookup(user, "studentData.dob").and_then(Value::as_timestamp);
    let imported = Imported::of(text("email"), text("name.first"), text("name.last"), born);
    imported.to_value().map(|value| (IMPORTED.to_owned(), value)).into_iter().collect()
}

/// Somebody who was enrolled by hand or from a file: the person of that record, unless `but` says something else.
pub fn enrolled(scene: &Scene, like: &str, email: &str, user_type: &str, district: &str, but: Fields) -> Fields {
    let at = |id: &str| {
        fields! {
            "current" => Value::strings([id]), "all" => Value::strings([id]),
            "dates" => fields! { id => fields! { "from" => scene.world.now(), "to" => Value::Null } },
        }
    };
    let record = scene.there.record(like).expect("a record");
    let name = |part: &str| record["name"][part].as_str().unwrap_or_default().to_uppercase();
    let mut user = fields! {
        "userType" => user_type, "archived" => false, "email" => email, "districts" => at(district),
        "assessmentPid" => "kept", "studentData" => fields! { "home_language" => Value::strings(["Tamil"]) },
        "name" => fields! { "first" => name("first"), "middle" => Value::Null, "last" => name("last") },
    };
    user.extend(but);
    user
}

#[tokio::test]
async fn an_address_means_the_same_person_within_the_district_only_and_links_who_was_imported() {
    for is_imported in [false, true] {
        links(is_imported).await;
    }
}

async fn links(is_imported: bool) {
    let scene = Scene::open().await;
    scene.call(json!({"shallow": true})).await.expect("orgs");
    scene.world.settle().await;
    let district = scene.there.id();
    let students = scene.there.users("student");
    let address = |n: usize| format!("somebody{n}@school.example");
    let old: roar_functions::store::Timestamp = "1990-01-01T00:00:00Z".parse().expect("an instant");
    let sibling = fields! { "name" => fields! { "first" => "Sibling", "middle" => Value::Null, "last" => "Other" } };
    let older = fields! { "studentData" => fields! { "dob" => old } };
    let none = Fields::new;
    // The users here with the address, and how many of them may be the person.
    let cases = [
        (vec![("student", district.as_str(), none())], 1),
        (vec![("student", "another", none())], 0),
        (vec![("student", district.as_str(), none()), ("student", district.as_str(), none())], 2),
        (vec![("educator", district.as_str(), none())], 0),
        (vec![], 0),
        (vec![("student", district.as_str(), none())], 0),
        (vec![("student", district.as_str(), sibling)], 0),
        (vec![("student", district.as_str(), older)], 0),
        (vec![("student", district.as_str(), none())], 0),
    ];
    for (n, (users, _)) in cases.iter().enumerate() {
        scene.there.set_email(&students[n], Some(&address(n).to_uppercase()));
        scene.there.set_dob(&students[n], "3/20/2016");
        for (place, (user_type, of, but)) in users.iter().enumerate() {
            let mut user = enrolled(&scene, &students[n], &address(n), user_type, of, but.clone());
            if is_imported {
                user.extend(imported(&user));
            }
            set(scene.world.admin(), &format!("users/known-{n}-{place}"), user).await;
        }
    }
    // Two at Clever have the fifth's address; Clever's roster knows the eighth as somebody else.
    scene.there.set_email(&students[20], Some(&address(5)));
    let note = fields! {
        "providerType" => "clever", "providerId" => "x", "roarUid" => "known-8-0", "district" => "another",
    };
    set(scene.world.admin(), "identityProviderIds/other", note).await;
    scene.world.settle().await;
    let report = scene.settle().await;
    let waiting = scene.pairs().await;
    assert_eq!(report.doubles, waiting.len() as u64);
    for (n, (users, expected)) in cases.iter().enumerate() {
        let entry = scene.entry(&students[n]).await;
        let is_linked = entry["roarUid"].as_str() == Some(&format!("known-{n}-0"));
        assert_eq!(is_linked, is_imported && *expected == 1, "{n}: {users:?}");
        let of: Vec<_> = waiting.iter().filter(|pair| pair.provider_id == students[n]).collect();
        assert_eq!(of.len(), if is_linked { 0 } else { *expected }, "{n}: {users:?}");
        for pair in of {
            assert_eq!(pair.agrees, ["email", "name"]);
            assert_eq!(pair.is_one_of_several, *expected > 1);
            assert_eq!(Some(pair.rostered.as_str()), entry["roarUid"].as_str());
            assert!(pair.known.starts_with(&format!("known-{n}-")));
        }
    }
    if !is_imported {
        return;
    }
    let linked = scene.user(&students[0]).await;
    assert_eq!((linked["assessmentPid"].as_str(), linked["ssoType"].as_str()), (Some("kept"), Some("clever")));
    let record = scene.there.record(&students[0]).expect("a record");
    let first = linked["name"].as_map().and_then(|name| name.get("first")).and_then(Value::as_str);
    assert_eq!(first, record["name"]["first"].as_str(), "the roster's fields are the roster's");
    // Once linked, they stay so, whatever the address; and what the roster never says stays as people wrote it.
    scene.there.set_email(&students[0], Some("another@school.example"));
    scene.there.unset(&students[0], "roles/student/home_language");
    scene.settle().await;
    assert_eq!(scene.entry(&students[0]).await["roarUid"].as_str(), Some("known-0-0"));
}

#[tokio::test]
async fn what_people_wrote_of_a_student_stays_where_the_roster_says_nothing() {
    let scene = Scene::open().await;
    let student = scene.there.users("student")[0].clone();
    scene.there.unset(&student, "roles/student/home_language");
    scene.there.set_email(&student, Some("a@school.example"));
    scene.call(json!({"shallow": true})).await.expect("orgs");
    let mut user = enrolled(&scene, &student, "a@school.example", "student", &scene.there.id(), Fields::new());
    user.extend(imported(&user));
    set(scene.world.admin(), "users/known", user).await;
    scene.world.settle().await;
    let language = async || lookup(&scene.user(&student).await, "studentData.home_language").cloned();
    for grade in ["4", "5"] {
        scene.there.promote(&student, grade);
        scene.settle().await;
        assert_eq!(scene.entry(&student).await["roarUid"].as_str(), Some("known"));
        assert_eq!(language().await, Some(Value::strings(["Tamil"])), "grade {grade}");
    }
    // Once the roster says it, it's the roster's, and goes with it.
    scene.there.set(&student, "roles/student/home_language", "Urdu");
    scene.settle().await;
    assert_eq!(language().await, Some(Value::strings(["Urdu"])));
    scene.there.unset(&student, "roles/student/home_language");
    scene.settle().await;
    assert_eq!(language().await, None);
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
    set(
        scene.world.admin(),
        "users/known",
        enrolled(&scene, &students[0], "old@school.example", "student", "another", Fields::new()),
    )
    .await;
    scene.world.settle().await;
    let report = scene.settle().await;
    assert_eq!(report.safety_stop, None);
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

#[tokio::test]
async fn an_address_that_everybody_shares_costs_nothing_more() {
    let scene = Scene::open().await;
    scene.call(json!({"shallow": true})).await.expect("orgs");
    let district = scene.there.id();
    let students = scene.there.users("student");
    // A placeholder, which somebody here has, too; and one whose own address is among many of others'.
    for student in &students {
        scene.there.set_email(student, Some("none@school.example"));
    }
    for n in 0..150 {
        let user = enrolled(&scene, &students[3], "office@school.example", "student", &district, Fields::new());
        set(scene.world.admin(), &format!("users/office-{n}"), user).await;
    }
    scene.there.set_email(&students[2], Some("office@school.example"));
    scene.there.set_email(&students[4], Some("own@school.example"));
    let mut user = enrolled(&scene, &students[4], "own@school.example", "student", &district, Fields::new());
    user.extend(imported(&user));
    set(scene.world.admin(), "users/own", user).await;
    scene.world.settle().await;
    let before = scene.world.admin().cost();
    let report = scene.sync(super::DEEP).await.expect("synced");
    let spent = scene.world.admin().cost() - before;
    let people = report.counts[&Kind::Users].created + report.counts[&Kind::Users].updated;
    assert!(spent.reads < people + 150, "{spent:?} for {people}");
    scene.world.settle().await;
    assert_eq!(scene.entry(&students[4]).await["roarUid"].as_str(), Some("own"));
}

/// One person, though neither address nor name nor birth is spelt alike on both sides.
#[tokio::test]
async fn people_are_compared_by_what_is_meant_not_by_code_points() {
    // At Clever: address, first and last name; here: the same, and the birth as it's kept; whether they're one.
    let born = "2016-03-20T00:00:00Z";
    let cases: [(&str, [&str; 2], &str, [&str; 2], &str, bool); 14] = [
        ("c0@school.example", ["Zoë", "Byron"], "C0@School.Example", ["Zoë", "Byron"], born, true),
        ("c1@school.example", ["Zoë", "Byron"], " c1@school.example", ["Zoe\u{308}", "Byron"], born, true),
        ("C2@SCHOOL.example ", ["Siân", "O'Brien"], "c2@school.example", ["SIÂN", "O\u{2019}Brien"], born, true),
        ("c3@school.example", ["Mary Ann", "de la Cruz"], "C3@school.example", ["Mary-Ann", "De  La Cruz"], born, true),
        ("c4@school.example", ["Ada", "Smith-Jones"], "c4@school.example\t", ["ada", "Smith Jones"], born, true),
        ("c5@school.example", ["Ada", "Byron"], "c5@school.example", ["Ada", "Byron"], "2016-03-19T23:00:00Z", true),
        ("c6@school.example", ["Ada", "Byron"], "C6@school.example", ["Ada", "Byron"], "2016-03-20T07:00:00Z", true),
        ("c7@school.example", ["Ada", "Byron"], "c7@school.example", ["Ada", "Byron"], "2016-03-21T00:00:00Z", false),
        ("c8@school.example", ["Zoë", "Byron"], "C8@school.example", ["Zoe", "Byron"], born, false),
        ("c9@school.example", ["Ada", "Byron"], "C9@school.example", ["Ida", "Byron"], born, false),
        ("", ["Ada", "Byron"], "", ["Ada", "Byron"], born, false),
        ("c11@school.example", ["Ada", "Byron"], "c11.x@school.example", ["Ada", "Byron"], born, false),
        ("c12@school.example", ["-", "Byron"], "C12@school.example", ["'", "Byron"], born, false),
        ("c13@school.example", ["Ada", "Byron"], "C13@SCHOOL.EXAMPLE", ["Ada", "Byron"], "2016-03-19T22:00:00Z", true),
    ];
    // At the first sync of people, when notes and addresses of older functions are found out; and later.
    for is_first in [true, false] {
        let scene = Scene::open().await;
        if !is_first {
            scene.call(json!({"shallow": false})).await.expect("synced");
            scene.world.settle().await;
        } else {
            scene.call(json!({"shallow": true})).await.expect("orgs");
            scene.world.settle().await;
        }
        let sections = scene.there.ids(roar_functions::demo::clever::Kind::Section);
        let students = match is_first {
            true => scene.there.users("student")[..cases.len()].to_vec(),
            false => scene.there.add_students(cases.len() as u64, &sections[0]),
        };
        for (n, (address, [first, last], held, [held_first, held_last], birth, _)) in cases.iter().enumerate() {
            scene.there.set(&students[n], "email", *address);
            scene.there.set(&students[n], "name/first", *first);
            scene.there.set(&students[n], "name/last", *last);
            scene.there.set_dob(&students[n], "3/20/2016");
            let birth: roar_functions::store::Timestamp = birth.parse().expect("an instant");
            let known = fields! {
                "name" => fields! { "first" => *held_first, "middle" => Value::Null, "last" => *held_last },
                "studentData" => fields! { "dob" => birth },
            };
            let user = enrolled(&scene, &students[n], held, "student", &scene.there.id(), known);
            set(scene.world.admin(), &format!("users/known-{n}"), user).await;
        }
        if is_first {
            // Older functions wrote them: this service has seen no event of theirs.
            scene.world.events().await;
        } else {
            scene.world.settle().await;
        }
        scene.call(json!({"shallow": false})).await.expect("synced");
        scene.world.settle().await;
        let waiting = scene.pairs().await;
        for (n, (address, name, held, held_name, birth, expected)) in cases.iter().enumerate() {
            let entry = scene.entry(&students[n]).await;
            assert_ne!(entry["roarUid"].as_str(), Some(format!("known-{n}").as_str()), "they were made by hand");
            let mut of = waiting.iter().filter(|pair| pair.provider_id == students[n]);
            let may_be = of.any(|pair| pair.known == format!("known-{n}") && pair.agrees == ["email", "name", "dob"]);
            assert_eq!(may_be, *expected, "first: {is_first}; {address:?} {name:?} {held:?} {held_name:?} {birth}");
        }
        assert!(!scene.world.store.scans().iter().any(|scan| scan.contains("email")), "addresses have an index");
    }
}

/// Two users here who spell one address in two ways are two: nobody knows which of them it is.
#[tokio::test]
async fn two_spellings_of_one_address_link_nobody() {
    let scene = Scene::open().await;
    scene.call(json!({"shallow": true})).await.expect("orgs");
    let student = scene.there.users("student").remove(0);
    scene.there.set_email(&student, Some("one@school.example"));
    for (n, address) in ["one@school.example", "One@School.Example"].into_iter().enumerate() {
        let user = enrolled(&scene, &student, address, "student", &scene.there.id(), Fields::new());
        set(scene.world.admin(), &format!("users/known-{n}"), user).await;
    }
    scene.world.settle().await;
    scene.settle().await;
    let entry = scene.entry(&student).await;
    assert!(!entry["roarUid"].as_str().expect("a user").starts_with("known"));
    let waiting = scene.pairs().await;
    assert!(waiting.len() == 2 && waiting.iter().all(|pair| pair.is_one_of_several), "somebody may know: {waiting:?}");
}
