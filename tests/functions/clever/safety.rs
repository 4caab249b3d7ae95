//! Nobody is taken out of anything by mistake, and what people made by hand stays.

use std::time::Duration;

use roar_functions::demo::clever::{Fault, Kind as At};
use roar_functions::orgs::{OrgLists, OrgType};
use roar_functions::rostering::report::{Incomplete, Kind, SafetyStop, StopReason};
use roar_functions::store::{DocPath, Fields, Timestamp, Value, Write, lookup};
use serde_json::json;

use super::{DEEP, STUDENTS, Scene};
use crate::world::set;
use roar_functions::fields;
use roar_functions::rostering::sync::Options;

#[tokio::test]
async fn nobody_is_unenrolled_by_mistake() {
    let scene = Scene::open().await;
    scene.settle().await;
    let before = scene.all("users").await;
    // A third of them is missing.
    for student in scene.there.users("student").iter().step_by(3) {
        scene.there.remove(student);
    }
    let report = scene.settle().await;
    assert!(report.safety_stop.is_some_and(|held| held.missing >= STUDENTS / 3), "{report:?}");
    assert_eq!(scene.all("users").await, before);
    // The list is empty, or the district has paused it.
    for state in ["paused", "error", "pending", "suspended"] {
        scene.there.set_state(state);
        let confirmed = Options { confirm_unenroll: true, ..DEEP };
        let report = scene.sync(confirmed).await.expect("synced");
        scene.world.settle().await;
        assert_eq!(report.incomplete, Some(Incomplete::Paused), "{state}");
        assert_eq!(scene.all("users").await, before, "{state}");
    }
    scene.there.set_state("running");
    let report = scene.sync(Options { confirm_unenroll: true, ..DEEP }).await.expect("synced");
    scene.world.settle().await;
    assert!(report.counts[&Kind::Users].removed >= STUDENTS / 3);
    scene.assert_right("once it's confirmed").await;
}

#[tokio::test]
async fn orgs_that_vanish_in_numbers_stop_the_sync_before_anything_is_written() {
    let scene = Scene::open().await;
    scene.settle().await;
    let before = (scene.all("users").await, scene.all("classes").await);
    // Of a list that comes back empty, everybody would leave all their classes.
    for path in ["/schools", "/sections"] {
        scene.fake.fail(path, [Fault::Empty]);
        let report = scene.settle().await;
        let (kind, reason) = match path {
            "/schools" => (Kind::Schools, StopReason::Empty),
            _ => (Kind::Classes, StopReason::Missing),
        };
        let all = scene.all(kind.plural()).await.len() as u64;
        assert_eq!(report.safety_stop, Some(SafetyStop { reason, kind, missing: all, of: all }), "{path}");
        assert_eq!((scene.all("users").await, scene.all("classes").await), before, "{path}");
    }
    scene.settle().await;
    scene.assert_right("once they are back").await;
}

#[tokio::test]
async fn a_paused_district_takes_nobody_out_of_anything() {
    let scene = Scene::open().await;
    scene.settle().await;
    let before = scene.all("users").await;
    scene.there.set_state("paused");
    let classes = scene.there.ids(At::Section);
    for class in &classes {
        scene.there.remove(class);
    }
    let rights = async || {
        let entries = scene.all("identityProviderIds").await;
        entries.into_iter().map(|(id, entry)| (id, entry.get("adminOrgs").cloned())).collect::<Vec<_>>()
    };
    let rights_before = rights().await;
    for what in ["at first", "again"] {
        let spent = scene.world.admin().cost();
        let report = scene.settle().await;
        let spent = scene.world.admin().cost() - spent;
        assert!(report.incomplete.is_some() && report.safety_stop.is_none(), "{what}");
        assert_eq!(scene.all("users").await, before, "{what}: their classes are missing, not gone");
        assert_eq!(rights().await, rights_before, "{what}: and so are those that teachers teach");
        assert!(spent.writes <= 1, "{what}: nothing is written but the district's state: {spent:?}");
    }
    // What comes meanwhile is taken over nevertheless.
    let student = scene.there.users("student")[0].clone();
    scene.there.promote(&student, "8");
    scene.settle().await;
    assert_eq!(lookup(&scene.user(&student).await, "studentData.grade"), Some(&Value::from("8")));
    scene.there.set_state("running");
    for class in &classes {
        scene.there.bring_back(class);
    }
    scene.settle().await;
    scene.assert_right("it goes on").await;
}

#[tokio::test]
async fn an_org_that_cannot_be_read_loses_nobody() {
    let scene = Scene::open().await;
    scene.settle().await;
    let class = scene.there.ids(At::Section)[0].clone();
    let student = scene.there.students_of(&class)[0].clone();
    let teacher = scene.there.record(&class).expect("a section")["teachers"][0].as_str().expect("somebody").to_owned();
    let noted = async |id: &str| scene.entry(id).await.get("adminOrgs").cloned();
    let (orgs, rights) = (scene.current(&student, "classes").await, noted(&teacher).await);
    scene.there.set(&class, "students", json!({"not": "a list"}));
    // Something else about them changes; what was taken away meanwhile is noticed later.
    scene.there.promote(&student, "8");
    let report = scene.settle().await;
    assert_eq!(report.counts[&Kind::Classes].skipped, 1);
    assert_eq!((scene.current(&student, "classes").await, noted(&teacher).await), (orgs, rights));
    assert_eq!(lookup(&scene.user(&student).await, "studentData.grade"), Some(&Value::from("8")));
    let stored = scene.world.get(&format!("classes/{class}")).await.expect("a class").fields;
    assert_eq!(stored.get("archived"), Some(&Value::Boolean(false)));
    scene.there.set(&class, "students", json!([]));
    scene.settle().await;
    assert!(!scene.current(&student, "classes").await.contains(&class));
}

#[tokio::test]
async fn rights_over_an_org_that_cannot_be_read_stay_and_others_go() {
    let scene = Scene::open().await;
    let teacher = scene.there.users("teacher")[0].clone();
    let sections = scene.there.ids(At::Section);
    for section in &sections {
        scene.there.unset(section, "teacher");
        scene.there.set(section, "teachers", json!([]));
    }
    for section in &sections[..2] {
        scene.there.set(section, "teachers", json!([teacher]));
    }
    scene.settle().await;
    let classes = async || {
        let noted = OrgLists::from_value(scene.entry(&teacher).await.get("adminOrgs"));
        let mut classes = noted.of(OrgType::Class).to_vec();
        classes.sort();
        classes
    };
    let sorted = |ids: &[String]| {
        let mut ids = ids.to_vec();
        ids.sort();
        ids
    };
    assert_eq!(classes().await, sorted(&sections[..2]));
    scene.there.set(&sections[0], "students", json!({"not": "a list"}));
    scene.there.set(&sections[1], "teachers", json!([]));
    scene.there.set(&sections[2], "teachers", json!([teacher]));
    let options = Options { confirm_unenroll: true, ..DEEP };
    scene.sync(options).await.expect("it ends");
    assert_eq!(classes().await, sorted(&[sections[0].clone(), sections[2].clone()]));
    // It's written once, and looked at again each time until all is told.
    let before = scene.world.admin().cost();
    let report = scene.sync(options).await.expect("it ends");
    assert_eq!(report.counts[&Kind::Users].updated, 0);
    assert!((scene.world.admin().cost() - before).writes <= 1);
    scene.there.set(&sections[0], "students", json!([]));
    scene.there.set(&sections[0], "teachers", json!([]));
    scene.sync(options).await.expect("it ends");
    assert_eq!(classes().await, [sections[2].clone()]);
}

#[tokio::test]
async fn an_empty_list_of_people_is_believed_in_no_case() {
    let scene = Scene::open().await;
    scene.settle().await;
    let before = scene.all("users").await;
    let confirmed = Options { confirm_unenroll: true, ..DEEP };
    for path in ["/users", "/schools"] {
        scene.fake.fail(path, [Fault::Empty]);
        let report = scene.sync(confirmed).await.expect("it ends");
        scene.world.settle().await;
        assert!(report.safety_stop.is_some(), "{path}");
        assert_eq!(scene.all("users").await, before, "{path}");
    }
}

#[tokio::test]
async fn newcomers_do_not_hide_that_many_are_missing() {
    let scene = Scene::open().await;
    scene.settle().await;
    let students = scene.there.users("student");
    let class = scene.there.ids(At::Section)[1].clone();
    students.iter().take(50).for_each(|student| scene.there.remove(student));
    scene.there.add_students(120, &class);
    let report = scene.settle().await;
    let held = report.safety_stop.expect("it stops");
    assert_eq!((held.kind, held.missing), (Kind::Users, 50));
    assert_eq!(scene.user(&students[0]).await.get("archived"), Some(&Value::Boolean(false)));
}

#[tokio::test]
async fn classes_that_come_without_their_students_stop_the_sync() {
    // Without any; with one each.
    for left in [0, 1] {
        let scene = Scene::open().await;
        scene.call(json!({"shallow": false})).await.expect("synced");
        scene.world.settle().await;
        let before = scene.all("users").await;
        let classes = scene.there.ids(At::Section);
        for class in &classes {
            let students = scene.there.students_of(class);
            scene.there.set(class, "students", json!(students[..left]));
        }
        let refused = scene.call(json!({"shallow": false})).await.expect_err("it stops");
        assert!(refused.message.contains("enrolments are missing"), "{}", refused.message);
        scene.world.settle().await;
        assert_eq!(scene.all("users").await, before);
        scene.call(json!({"shallow": false, "confirmUnenroll": true})).await.expect("confirmed");
        scene.world.settle().await;
        let mut enrolled = 0;
        for student in scene.there.users("student") {
            enrolled += scene.current(&student, "classes").await.len();
        }
        assert_eq!(enrolled, left * classes.len());
    }
}

#[tokio::test]
async fn who_is_noted_twice_stays_while_one_note_is_right() {
    let scene = Scene::open().await;
    scene.settle().await;
    let students = scene.there.users("student");
    let (old, new) = (students[0].clone(), students[1].clone());
    // Somebody has found out that the two are one, and that Clever has given up the first ID.
    let roar_uid = scene.entry(&new).await["roarUid"].clone();
    let mut note = scene.entry(&old).await;
    note.insert("roarUid".to_owned(), roar_uid);
    set(scene.world.admin(), &format!("identityProviderIds/clever-{old}"), note).await;
    scene.there.remove(&old);
    scene.settle().await;
    assert_eq!(scene.entry(&old).await.get("gone"), Some(&Value::Boolean(true)));
    let user = scene.user(&new).await;
    assert_eq!(user.get("archived"), Some(&Value::Boolean(false)));
    assert!(!scene.current(&new, "classes").await.is_empty());
}

#[tokio::test]
async fn a_note_that_changes_during_the_sync_is_not_written_over() {
    let scene = Scene::open().await;
    scene.settle().await;
    let students = scene.there.users("student");
    let (corrected, signed_in) = (students[0].clone(), students[1].clone());
    scene.there.promote(&corrected, "8");
    scene.there.remove(&signed_in);
    let database = scene.world.admin().clone();
    let (one, two) = (corrected.clone(), signed_in.clone());
    // While the last page is on its way, an admin corrects one note, and the other person signs in.
    scene.fake.after("/users", 3, move |_| {
        tokio::spawn(async move {
            let write = |id: &str, fields: Fields| {
                let path = DocPath::in_collection("identityProviderIds", &format!("clever-{id}")).expect("a path");
                Write::update(path, fields)
            };
            let corrected = write(&one, fields! { "roarUid" => "corrected" });
            let seen = write(&two, fields! { "lastSync" => Timestamp::UNIX_EPOCH });
            database.commit(vec![corrected, seen]).await.expect("written");
        });
    });
    scene.fake.fail("/users", std::iter::repeat_n(Fault::Slow(Duration::from_millis(60)), 8));
    scene.sync(DEEP).await.expect("synced");
    scene.world.settle().await;
    assert_eq!(scene.entry(&corrected).await["roarUid"].as_str(), Some("corrected"));
    assert_eq!(scene.entry(&signed_in).await["gone"], Value::Boolean(false), "the next sync looks again");
}

#[tokio::test]
async fn whom_another_district_has_is_left_to_it() {
    let scene = Scene::open().await;
    let student = scene.there.users("student")[0].clone();
    let note = fields! {
        "providerType" => "clever", "providerId" => student.as_str(), "roarUid" => "r", "district" => "another",
        "gone" => false,
    };
    set(scene.world.admin(), &format!("identityProviderIds/clever-{student}"), note.clone()).await;
    let report = scene.settle().await;
    assert_eq!(report.counts[&Kind::Users].skipped, 1);
    assert_eq!(scene.entry(&student).await["district"].as_str(), Some("another"));
    // Once that one has let them go, they are taken over.
    let gone = note.into_iter().chain(fields! { "gone" => true }).collect();
    set(scene.world.admin(), &format!("identityProviderIds/clever-{student}"), gone).await;
    scene.settle().await;
    let entry = scene.entry(&student).await;
    assert_eq!((entry["roarUid"].as_str(), entry["district"].as_str()), (Some("r"), Some(scene.there.id().as_str())));
    assert_eq!(scene.user(&student).await["userType"].as_str(), Some("student"));
}

#[tokio::test]
async fn what_people_made_by_hand_survives_until_somebody_leaves() {
    let scene = Scene::open().await;
    scene.settle().await;
    let student = scene.there.users("student")[0].clone();
    let (district, school) = (scene.there.id(), scene.there.ids(At::School)[0].clone());
    let by_hand = fields! {
        "name" => "Chess", "archived" => false, "districtId" => district.as_str(), "schoolId" => school.as_str(),
    };
    set(scene.world.admin(), "classes/chess", by_hand).await;
    let group = |parent_type: &str, parent: &str| {
        fields! { "name" => "G", "archived" => false, "parentOrgType" => parent_type, "parentOrgId" => parent }
    };
    set(scene.world.admin(), "groups/below", group("class", "chess")).await;
    set(scene.world.admin(), "groups/deep", group("group", "below")).await;
    set(scene.world.admin(), "groups/elsewhere", group("district", "another")).await;
    let roar_uid = scene.entry(&student).await.get("roarUid").and_then(Value::as_str).expect("a user").to_owned();
    let mut user = scene.user(&student).await;
    let join = |user: &mut Fields, org_type: OrgType, ids: &[&str]| {
        let Some(Value::Map(map)) = user.get_mut(org_type.plural()) else { panic!("a map") };
        let mut current = map.get("current").and_then(Value::as_string_list).unwrap_or_default();
        current.extend(ids.iter().map(|id| (*id).to_owned()));
        map.insert("current".to_owned(), Value::strings(&current));
    };
    join(&mut user, OrgType::Class, &["chess"]);
    join(&mut user, OrgType::Group, &["deep", "elsewhere"]);
    user.insert("assessmentPid".to_owned(), Value::from("pid"));
    set(scene.world.admin(), &format!("users/{roar_uid}"), user).await;
    scene.world.settle().await;
    // The roster changes something about them; what it doesn't know of stays.
    scene.there.promote(&student, "7");
    scene.settle().await;
    assert!(scene.current(&student, "classes").await.contains(&"chess".to_owned()));
    assert_eq!(scene.current(&student, "groups").await, ["deep", "elsewhere"]);
    assert_eq!(scene.user(&student).await.get("assessmentPid"), Some(&Value::from("pid")));
    // Who leaves the district leaves all that is below it, and isn't archived while something else is left.
    scene.there.remove(&student);
    scene.settle().await;
    assert_eq!(scene.current(&student, "classes").await, [""; 0]);
    assert_eq!(scene.current(&student, "groups").await, ["elsewhere"]);
    assert_eq!(scene.user(&student).await.get("archived"), Some(&Value::Boolean(false)));
}
