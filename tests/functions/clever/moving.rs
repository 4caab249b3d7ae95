//! Classes that come, or go to another school, after something was assigned: who is assigned through what, and who may
//! read it, follows.

use roar_functions::demo::clever::{Kind as At, Options as Fake, Size};
use roar_functions::orgs::{OrgLists, OrgType};
use roar_functions::store::{Fields, Value};
use serde_json::{Value as Json, json};

use super::Scene;
use crate::local::LocalWorld;
use crate::world::{assert_consistent, assignments, open_administration};

/// A synced district of two schools; a class of the first, and the schools.
async fn two_schools() -> (Scene, String, [String; 2]) {
    let size = Size { schools: 2, ..Size::of(60) };
    let scene = Scene::of(LocalWorld::with_clever(Default::default(), Fake::of(size)).await);
    scene.settle().await;
    let class = scene.there.ids(At::Section)[0].clone();
    let of_class = scene.there.record(&class).expect("a section")["school"].as_str().expect("a school").to_owned();
    let other = scene.there.ids(At::School).into_iter().find(|school| *school != of_class).expect("another");
    (scene, class, [of_class, other])
}

async fn administration(scene: &Scene, orgs: Json) -> String {
    scene.appoint_super_admin().await;
    let mut administration = open_administration(scene.world.now());
    administration["orgs"] = orgs;
    for assessment in administration["assessments"].as_array_mut().expect("assessments") {
        assessment["conditions"] = json!(null);
    }
    let id = scene.world.create("super", administration).await;
    scene.world.settle().await;
    id
}

fn schools(assignment: &Fields) -> Vec<String> {
    OrgLists::from_value(assignment.get("readOrgs")).of(OrgType::School).to_vec()
}

#[tokio::test]
async fn a_class_that_goes_to_another_school_is_read_there_and_no_more_where_it_was() {
    for is_cut_short in [false, true] {
        let (scene, class, [from, to]) = two_schools().await;
        let id = administration(&scene, json!({"classes": [class]})).await;
        let before = assignments(scene.world.admin(), &id).await;
        assert!(before.iter().all(|one| schools(&one.fields).contains(&from)));
        scene.there.set(&class, "school", to.clone());
        // Its students go with it.
        for student in scene.there.students_of(&class) {
            scene.there.set(&student, "roles/student/school", to.clone());
            scene.there.set(&student, "roles/student/schools", json!([to]));
        }
        if is_cut_short {
            // After the orgs, before the people.
            scene.fake.fail("/users", std::iter::repeat_n(roar_functions::demo::clever::Fault::Status(404), 2));
            assert!(scene.sync(super::DEEP).await.is_err());
            scene.world.settle().await;
            scene.fake.recover();
        }
        scene.settle().await;
        let after = assignments(scene.world.admin(), &id).await;
        assert_eq!(after.len(), before.len());
        for assignment in &after {
            let schools = schools(&assignment.fields);
            assert!(schools.contains(&to) && !schools.contains(&from), "{schools:?}");
        }
        let administration = scene.world.get(&format!("administrations/{id}")).await.expect("it's there");
        assert_eq!(schools(&administration.fields), [to]);
        assert_consistent(scene.world.admin(), &id).await;
        let district = scene.world.get(&format!("districts/{}", scene.there.id())).await.expect("a district").fields;
        assert_eq!(district.get("rosterClaimsDue"), None, "nothing is left to do");
    }
}

#[tokio::test]
async fn what_is_assigned_to_a_school_stays_with_it_when_a_class_leaves() {
    let (scene, class, [from, to]) = two_schools().await;
    let id = administration(&scene, json!({"schools": [from]})).await;
    let students = scene.there.students_of(&class);
    assert!(!students.is_empty());
    for section in scene.there.ids(At::Section).into_iter().filter(|section| *section != class) {
        for student in &students {
            scene.there.leave(student, &section);
        }
    }
    scene.settle().await;
    let before = assignments(scene.world.admin(), &id).await.len();
    scene.there.set(&class, "school", to.clone());
    for student in &students {
        scene.there.set(student, "roles/student/school", to.clone());
        scene.there.set(student, "roles/student/schools", json!([to]));
    }
    scene.settle().await;
    assert_eq!(assignments(scene.world.admin(), &id).await.len(), before - students.len());
    assert_consistent(scene.world.admin(), &id).await;
}

#[tokio::test]
async fn a_class_that_comes_later_is_in_what_its_school_was_assigned() {
    let (scene, class, [school, _]) = two_schools().await;
    scene.there.remove(&class);
    scene.settle().await;
    let id = administration(&scene, json!({"schools": [school]})).await;
    let of_class = async || {
        let all = assignments(scene.world.admin(), &id).await;
        let holds = |one: &Fields| OrgLists::from_value(one.get("assigningOrgs")).contains(OrgType::Class, &class);
        all.iter().filter(|one| holds(&one.fields)).count()
    };
    assert_eq!(of_class().await, 0);
    let students = scene.there.students_of(&class).len();
    scene.there.bring_back(&class);
    scene.settle().await;
    assert_eq!(of_class().await, students);
    let counts = scene.world.get(&format!("administrations/{id}/stats/{class}")).await;
    assert!(counts.is_some_and(|counts| counts.fields.get("assignment") != Some(&Value::Null)), "and is counted");
    assert_consistent(scene.world.admin(), &id).await;
    // Nothing came since: nothing is planned anew.
    scene.settle().await;
    assert_eq!(scene.world.events().await, []);
}
