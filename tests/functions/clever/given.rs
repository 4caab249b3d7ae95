//! What the roster gives, takes back, and gives to somebody else; and what of it can't be read.

use super::*;
use roar_functions::rostering::report::{Incomplete, Kind};

/// One student's address is taken away, and later another's.
#[tokio::test]
async fn an_address_that_the_roster_takes_back_is_its_next_owners_alone() {
    for nothing in [json!(null), json!(""), json!("absent")] {
        let scene = Scene::open().await;
        scene.settle().await;
        let students = scene.there.users("student");
        let (one, other) = (&students[0], &students[1]);
        scene.there.set_email(one, Some("shared@school.example"));
        scene.settle().await;
        assert_eq!(scene.user(one).await["email"], Value::from("shared@school.example"));
        match nothing.as_str() {
            Some("absent") => scene.there.unset(one, "email"),
            _ => scene.there.set(one, "email", nothing.clone()),
        }
        scene.settle().await;
        assert_eq!(scene.user(one).await.get("email"), None, "{nothing}");
        assert_eq!(scene.entry(one).await.get("email"), None, "{nothing}");
        scene.there.set_email(other, Some("Shared@School.example"));
        scene.settle().await;
        assert_eq!(scene.user(one).await.get("email"), None);
        assert_eq!(scene.user(other).await["email"], Value::from("shared@school.example"));
        assert_eq!(scene.entry(other).await["email"], Value::from("shared@school.example"));
        let again = scene.settle().await;
        assert_eq!(again.counts[&Kind::Users].updated, 0);
    }
}

#[tokio::test]
async fn an_address_of_their_own_stays() {
    let scene = Scene::open().await;
    scene.settle().await;
    let student = scene.there.users("student").remove(0);
    scene.there.set_email(&student, Some("given@school.example"));
    scene.settle().await;
    let roar_uid = scene.entry(&student).await["roarUid"].as_str().expect("a user").to_owned();
    let path = DocPath::in_collection("users", &roar_uid).expect("a path");
    let own = fields! { "email" => "own@home.example" };
    scene.world.admin().commit(vec![roar_functions::store::Write::update(path, own)]).await.expect("written");
    scene.there.set_email(&student, None);
    scene.settle().await;
    assert_eq!(scene.user(&student).await["email"], Value::from("own@home.example"));
}

/// Every field that the roster owns goes with it; also for who left in between.
#[tokio::test]
async fn whatever_it_owns_goes_when_it_says_it_no_more() {
    for leaves in [false, true] {
        let scene = Scene::open().await;
        let student = scene.there.users("student").remove(0);
        let of_role = [
            ("grade", json!("3")),
            ("dob", json!("2/9/2016")),
            ("gender", json!("F")),
            ("race", json!("Asian")),
            ("hispanic_ethnicity", json!("N")),
            ("ell_status", json!("Y")),
            ("frl_status", json!("Free")),
            ("iep_status", json!("N")),
            ("home_language", json!("Spanish")),
            ("sis_id", json!("S1")),
            ("state_id", json!("CA1")),
            ("student_number", json!("17")),
        ];
        for (field, value) in &of_role {
            scene.there.set(&student, &format!("roles/student/{field}"), value.clone());
        }
        scene.there.set_email(&student, Some("given@school.example"));
        scene.there.set(&student, "name/middle", "M");
        scene.settle().await;
        let before = scene.user(&student).await;
        let held = |user: &Fields, path: &str| lookup(user, path).filter(|held| !held.is_null()).cloned();
        let paths: Vec<String> = of_role
            .iter()
            .map(|(field, _)| format!("studentData.{field}"))
            .chain(
                ["email", "username", "name.first", "name.middle", "name.last", "studentData.schoolLevel"]
                    .map(str::to_owned),
            )
            .collect();
        for path in &paths {
            assert!(held(&before, path).is_some(), "{path}");
        }
        if leaves {
            scene.there.remove(&student);
            scene.settle().await;
            assert_eq!(scene.user(&student).await["archived"], Value::Boolean(true));
            scene.there.bring_back(&student);
        }
        for (field, _) in &of_role {
            scene.there.unset(&student, &format!("roles/student/{field}"));
        }
        for field in ["name/first", "name/middle", "name/last"] {
            scene.there.set(&student, field, "");
        }
        scene.there.set(&student, "roles/student/credentials/district_username", json!(null));
        scene.there.set_email(&student, None);
        scene.settle().await;
        let after = scene.user(&student).await;
        for path in &paths {
            assert_eq!(held(&after, path), None, "{path}, leaves: {leaves}");
        }
        let roar_uid = scene.entry(&student).await["roarUid"].as_str().expect("a user").to_owned();
        let copy = scene.world.assessment().get(&DocPath::in_collection("users", &roar_uid).expect("a path")).await;
        if let Some(copy) = copy.expect("readable") {
            for gone in ["grade", "schoolLevel", "birthMonth", "birthYear"] {
                assert_eq!(copy.fields.get(gone), None, "{gone}");
            }
        }
    }
}

/// A night without grades and dates of birth leaves nobody without their assignment, nor what they did.
#[tokio::test]
async fn a_night_without_grades_is_mended_by_the_next() {
    let scene = Scene::open().await;
    scene.settle().await;
    scene.appoint_super_admin().await;
    let mut administration = open_administration(scene.world.now());
    administration["orgs"] = json!({"districts": [scene.there.id()]});
    for assessment in administration["assessments"].as_array_mut().expect("assessments") {
        assessment["conditions"] =
            json!({"assigned": {"field": "studentData.grade", "op": "GREATER_THAN_OR_EQUAL", "value": "K"}});
    }
    let student = scene.there.users("student").remove(0);
    scene.there.promote(&student, "3");
    scene.settle().await;
    let id = scene.world.create("super", administration).await;
    scene.world.settle().await;
    let roar_uid = scene.entry(&student).await["roarUid"].as_str().expect("a user").to_owned();
    let assignment = format!("users/{roar_uid}/assignments/{id}");
    let before = scene.world.get(&assignment).await.expect("an assignment").fields;
    scene.there.set(&student, "roles/student/grade", json!(null));
    scene.settle().await;
    assert_eq!(scene.world.get(&assignment).await, None, "nothing in it is for somebody without a grade");
    scene.there.promote(&student, "3");
    scene.settle().await;
    let after = scene.world.get(&assignment).await.expect("an assignment").fields;
    for name in ["assessments", "dateAssigned", "started", "assigningOrgs"] {
        assert_eq!(after.get(name), before.get(name), "{name}");
    }
    crate::world::assert_consistent(scene.world.admin(), &id).await;
}

/// The dates of a pause are days; the district's state doesn't speak of it.
#[tokio::test]
async fn nobody_leaves_while_a_pause_by_dates_goes_on() {
    // The clock says 2026-09-15.
    for (start, end, is_paused) in [
        (Some("2026-09-01"), Some("2027-08-01"), true),
        (Some("2026-09-15"), Some("2026-09-15"), true),
        (Some("2026-09-01T00:00:00.000Z"), Some("2027-08-01T00:00:00.000Z"), true),
        (Some("2026-09-01"), None, true),
        (Some("some day"), Some("2027-08-01"), true),
        (Some("2026-11-15"), Some("2027-08-01"), false),
        (Some("2026-06-01"), Some("2026-08-01"), false),
    ] {
        let scene = Scene::open().await;
        scene.settle().await;
        let student = scene.there.users("student").remove(0);
        scene.there.remove(&student);
        scene.there.set_state("running");
        scene.there.set_pause(start, end);
        let report = scene.settle().await;
        assert_eq!(report.incomplete, is_paused.then_some(Incomplete::Paused), "{start:?} {end:?}");
        assert_eq!(scene.user(&student).await["archived"], Value::Boolean(!is_paused), "{start:?} {end:?}");
        let district = scene.all("districts").await.remove(&scene.there.id()).expect("the district");
        for (field, date) in [("pauseStart", start), ("pauseEnd", end)] {
            let stored = district.get(field).and_then(Value::as_timestamp);
            let expected = date.filter(|date| *date != "some day").map(|date| format!("{}T00:00:00Z", &date[..10]));
            assert_eq!(stored.map(|stored| stored.to_string()), expected, "{field}");
        }
        let unread = report.unread.get(&(Kind::Districts, "pause_start")).map(|unread| unread.count);
        assert_eq!(unread, (start == Some("some day")).then_some(1));
    }
}

#[tokio::test]
async fn what_cant_be_read_is_counted_by_field_and_stays_as_it_is() {
    let scene = Scene::open().await;
    let students = scene.there.users("student");
    for student in &students[..2] {
        scene.there.set(student, "roles/student/dob", "2/9/2016");
        scene.there.set(student, "roles/student/gender", "F");
    }
    scene.settle().await;
    for student in &students[..2] {
        scene.there.set(student, "roles/student/dob", "long ago");
        scene.there.set(student, "roles/student/grade", "Honors");
    }
    scene.there.set(&students[0], "roles/student/gender", json!(["F"]));
    scene.there.set(&students[1], "roles/student/dob", "2015-02-09");
    let report = scene.settle().await;
    let unread: Vec<(&str, u64)> = report.unread.iter().map(|((_, field), unread)| (*field, unread.count)).collect();
    assert_eq!(unread, [("dob", 1), ("gender", 1), ("grade", 2)]);
    let grades = &report.unread[&(Kind::Users, "grade")];
    assert_eq!(grades.spellings.iter().collect::<Vec<_>>(), ["Honors"], "named once");
    assert_eq!(report.counts[&Kind::Users].skipped, 0, "the people are synced all the same");
    let user = scene.user(&students[0]).await;
    let data = user["studentData"].as_map().expect("data");
    assert_eq!(data["gender"], Value::from("F"));
    assert_eq!(data["grade"], Value::from("Honors"));
    assert_eq!(data["dob"].as_timestamp().expect("a date").to_string(), "2016-02-09T00:00:00Z");
    let user = scene.user(&students[1]).await;
    assert_eq!(
        lookup(&user, "studentData.dob").and_then(Value::as_timestamp).expect("a date").to_string(),
        "2015-02-09T00:00:00Z"
    );
    // The callable and the run's document tell it.
    let answer = scene.call(json!({"shallow": false})).await.expect("synced");
    let told = answer["districts"][0]["unread"].as_array().expect("a list").clone();
    let told: Vec<_> = told.iter().map(|one| (one["field"].as_str(), one["count"].as_u64())).collect();
    assert_eq!(told, [(Some("dob"), Some(1)), (Some("gender"), Some(1)), (Some("grade"), Some(2))]);
    let runs = scene.all("rosteringRuns").await;
    let run = runs.values().next().expect("a run");
    assert_eq!(run["unread"].as_array().expect("a list").len(), 3);
}
