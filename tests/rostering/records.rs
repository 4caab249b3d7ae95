//! What records say, however they say it.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use roar_functions::demo::clever::{Kind, Options, Size, Sockless};
use roar_functions::rostering::clever::Settings;
use roar_functions::rostering::clever::records::{
    DistrictInfo, Record, School, Section, Student, Unreadable, User, When, record, record_noting,
};
use serde_json::{Value, json};

use crate::{Scene, all, context};

fn user(value: &Value) -> User {
    record(value.clone()).unwrap()
}

fn student(fields: Value) -> Student {
    *user(&json!({"id": "5a", "roles": {"student": fields}})).roles.student.unwrap()
}

#[test]
fn nothing_is_said_in_many_ways() {
    let nothing = student(json!({}));
    assert_eq!(nothing, Student::default());
    let fields = [
        "legacy_id",
        "sis_id",
        "student_number",
        "state_id",
        "school",
        "schools",
        "grade",
        "graduation_year",
        "dob",
        "gender",
        "race",
        "hispanic_ethnicity",
        "ell_status",
        "frl_status",
        "iep_status",
        "home_language",
        "credentials",
    ];
    for field in fields {
        assert_eq!(student(json!({field: null})), nothing, "{field}");
        if !["schools", "credentials"].contains(&field) {
            assert_eq!(student(json!({field: ""})), nothing, "{field}");
            assert_eq!(student(json!({field: "  "})), nothing, "{field}");
            // Where somebody belongs must be known, or the whole record isn't.
            let odd = json!({"id": "5a", "roles": {"student": {field: {"a": [1]}}}});
            match field {
                "school" => assert_eq!(record::<User>(odd).unwrap_err().what, "school"),
                _ => assert_eq!(student(json!({field: {"a": [1]}})), nothing, "{field}"),
            }
        }
    }
    for (field, unknown) in [
        ("gender", "unknown"),
        ("race", "Martian"),
        ("hispanic_ethnicity", "perhaps"),
        ("frl_status", "Cheap"),
        ("dob", "13/1/2015"),
        ("dob", "2/30/2015"),
        ("dob", "1/1/15"),
        ("dob", "1/1/2015/"),
        ("dob", "+1/1/2015"),
        ("dob", "1/1/0000"),
    ] {
        assert_eq!(student(json!({field: unknown})), nothing, "{field} {unknown}");
        assert_eq!(passed_over(json!({field: unknown})), [(field, None)], "{field} {unknown}");
    }
    // A grade is kept as it's spelt; a spelling that nobody knows is told.
    for (grade, is_known) in [
        ("Third", true),
        ("Pre-K", true),
        ("05", true),
        ("14", true),
        ("Ungraded", true),
        ("Other", true),
        ("Honors", false),
        ("Room 5B", false),
    ] {
        assert_eq!(student(json!({"grade": grade})).grade.as_deref(), Some(grade));
        let told = if is_known { vec![] } else { vec![("grade", Some(grade.to_owned()))] };
        assert_eq!(passed_over(json!({"grade": grade})), told, "{grade}");
    }
    // What is nothing is nothing to be told.
    for nothing in [json!(null), json!(""), json!("  ")] {
        for field in ["grade", "dob", "gender", "race", "iep_status", "sis_id", "credentials", "schools"] {
            assert_eq!(passed_over(json!({field: nothing})), [], "{field}");
        }
    }
    for (field, spelt, same) in [
        ("iep_status", json!("Yes"), json!("Y")),
        ("iep_status", json!(true), json!("Y")),
        ("ell_status", json!("n"), json!("N")),
        ("ell_status", json!(false), json!("N")),
        ("gender", json!("f"), json!("F")),
        ("race", json!("two or more races"), json!("Two or More Races")),
        ("frl_status", json!("FREE"), json!("Free")),
        ("sis_id", json!(17), json!("17")),
        ("schools", json!([" s2 ", "s1"]), json!(["s1", "s2"])),
    ] {
        assert_eq!(student(json!({field: spelt})), student(json!({field: same})), "{field} {spelt}");
        assert_eq!(passed_over(json!({field: spelt})), [], "{field} {spelt}");
    }
    let empty = user(&json!({"id": "5a", "roles": {}}));
    for same in [
        json!({"id": "5a", "name": null, "roles": {}, "email": ""}),
        json!({"id": "5a", "name": {"first": "", "middle": null}, "roles": {"student": null, "teacher": null}}),
        json!({"id": "5a", "created": "yesterday", "new_field": [{}], "roles": {"captain": {"ship": 1}}}),
    ] {
        assert_eq!(user(&same), empty, "{same}");
    }
}

/// What of a student's record can't be read.
fn passed_over(role: serde_json::Value) -> Vec<(&'static str, Option<String>)> {
    let (_, unread) = record_noting::<User>(json!({"id": "5a", "roles": {"student": role}})).unwrap();
    unread.into_iter().map(|unread| (unread.field, unread.spelling)).collect()
}

#[test]
fn a_place_in_a_list_that_nobody_can_name_makes_the_record_unreadable() {
    for schools in [json!([null]), json!(["s1", null]), json!([{"id": "s1"}]), json!({"s1": true}), json!(7)] {
        let odd = json!({"id": "5a", "roles": {"student": {"schools": schools}}});
        assert_eq!(record::<User>(odd).unwrap_err().what, "schools", "{schools}");
    }
    let section = json!({"id": "5c", "teacher": ["u1"]});
    assert_eq!(record::<Section>(section).unwrap_err().what, "teacher");
}

#[test]
fn what_is_of_no_consequence_spoils_no_record() {
    let odd = json!({"id": "5d", "name": "D", "login_methods": "Google", "district_contact": "Dana", "state": 7,
        "pause_start": {"from": 1}, "last_sync": 5});
    let (district, unread) = record_noting::<DistrictInfo>(odd).unwrap();
    assert_eq!(district.name.as_deref(), Some("D"));
    assert_eq!(district.state, Some(roar_functions::rostering::clever::records::DistrictState::Unknown));
    assert_eq!(district.pause_start, Some(When::Unknown));
    let mut fields: Vec<&str> = unread.iter().map(|unread| unread.field).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["district_contact", "login_methods", "pause_start"]);
}

#[test]
fn dates_of_birth_are_read_in_the_forms_that_are_seen() {
    for (text, date) in [
        ("4/1/2015", "2015-04-01"),
        ("04/01/2015", "2015-04-01"),
        ("12/31/2009", "2009-12-31"),
        ("2015-04-01", "2015-04-01"),
        ("2015-04-01T00:00:00.000Z", "2015-04-01"),
    ] {
        assert_eq!(student(json!({"dob": text})).dob, Some(date.parse().unwrap()));
    }
    // A typing error, but it's read as it's written.
    let early = user(&json!({"id": "5a", "roles": {"student": {"dob": "9/30/0015"}}}));
    assert_eq!(user(&early.to_json()), early);
}

/// No store takes them.
#[test]
fn times_before_the_year_1_are_none() {
    let district = |time: &str| record::<DistrictInfo>(json!({"id": "5d", "pause_start": time})).unwrap();
    assert_eq!(district("-000001-01-01T00:00:00Z").pause_start, Some(When::Unknown));
    assert!(district("0001-01-01T00:00:00Z").pause_start.is_some());
}

#[test]
fn roles_go_together() {
    let both = user(&json!({"id": "5a", "roles": {
        "teacher": {"school": "s2", "schools": ["s3", "s1"]}, "staff": {"schools": ["s1"], "roles": ["Coach"]},
        "district_admin": {},
    }}));
    let roles = &both.roles;
    assert_eq!(roles.teacher.as_ref().unwrap().schools, ["s1", "s2", "s3"]);
    assert_eq!(roles.staff.as_ref().unwrap().schools, ["s1"]);
    assert!(roles.district_admin.is_some() && roles.student.is_none() && roles.contact.is_none());
    let section: Section =
        record(json!({"id": "5c", "teacher": "u2", "teachers": ["u1"], "students": ["u4", "u3", "u4"]})).unwrap();
    assert_eq!(
        (section.teachers.as_slice(), section.students.as_slice()),
        (&["u1", "u2"].map(String::from)[..], &["u3", "u4"].map(String::from)[..])
    );
}

/// Taken for empty, a list would unenrol somebody.
#[test]
fn what_cannot_be_read_is_reported_and_not_taken_for_empty() {
    let unreadable = |value: Value| record::<User>(value).unwrap_err();
    for (value, what) in [
        (json!({"id": "5a", "roles": []}), "roles"),
        (json!({"id": "5a", "roles": {"student": "yes"}}), "student"),
        (json!({"id": "5a", "roles": {"student": {"schools": "s1"}}}), "schools"),
        (json!({"id": "5a", "roles": {"student": {"schools": [1]}}}), "schools"),
        (json!({"id": "5a", "roles": {"contact": {"student_relationships": [{}]}}}), "student_relationships"),
        (json!({"id": "5a", "roles": {}, "name": "Ada Lovelace"}), "name"),
        (json!({"id": "5a", "roles": null}), "roles"),
    ] {
        assert_eq!(unreadable(value), Unreadable { id: Some("5a".to_owned()), what });
    }
    for value in [json!({}), json!({"id": null}), json!({"id": 5}), json!({"id": ""}), json!({"id": "Ada Lovelace"})] {
        assert_eq!(unreadable(value), Unreadable { id: None, what: "id" });
    }
    assert_eq!(unreadable(json!([])), Unreadable { id: None, what: "data" });
    assert!(record::<Section>(json!({"id": "5a", "students": {}})).is_err());
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_record_does_not_fail_its_page() {
    let scene = Scene::of(40, 10);
    let broken = scene.there.users("student").remove(12);
    scene.there.set(&broken, "roles/student/schools", "nowhere");
    let mut pages = scene.district.users(None);
    let (mut read, mut unreadable) = (Vec::new(), Vec::new());
    while let Some(page) = pages.next().await.unwrap() {
        let (users, others) = page.records.read();
        read.extend(users.into_iter().map(|user| user.id));
        unreadable.extend(others);
    }
    assert_eq!(unreadable, [Unreadable { id: Some(broken.clone()), what: "schools" }]);
    read.push(broken);
    read.sort();
    assert_eq!(read, scene.there.ids(Kind::User));
    assert_eq!(
        unreadable[0].to_string(),
        format!("record {}: schools can't be read", unreadable[0].id.as_ref().unwrap())
    );
}

/// Every record of a made-up district, with values that nobody documented, is read.
#[tokio::test(start_paused = true)]
async fn odd_values_are_outlived() {
    let options = Options { unknown_values: true, ..Options::of(Size::of(3_000)) };
    let scene = Scene::new(options, Settings { page_limit: 1000, ..Sockless::settings() });
    let users = all(scene.district.users(None)).await.unwrap();
    let students: Vec<_> = users.iter().filter_map(|user| user.roles.student.as_ref()).collect();
    let share = |lack: fn(&Student) -> bool| students.iter().filter(|student| lack(student)).count();
    for lacking in [share(|s| s.dob.is_none()), share(|s| s.grade.is_none()), share(|s| s.schools.len() > 1)] {
        assert!((1..students.len() / 10).contains(&lacking), "{lacking} of {}", students.len());
    }
    let emails = users.iter().filter(|user| user.email.is_none()).count();
    assert!((1..users.len() / 5).contains(&emails));
    let sections = all(scene.district.sections()).await.unwrap();
    assert!(sections.iter().any(|section| section.teachers.is_empty()));
    assert!(sections.iter().any(|section| section.teachers.len() > 1));
    // Whoever is in a section is a student; everybody is in one at least.
    let mut members: Vec<_> = sections.iter().flat_map(|section| section.students.clone()).collect();
    members.sort();
    members.dedup();
    assert_eq!(members, scene.there.users("student"));
}

/// What ROAR uses, in Clever's form: what [`Record::to_json`] has to keep of a record.
fn used(mut value: Value, student: &[&str], other: &[&str]) -> Value {
    fn keep(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.values_mut().for_each(keep);
                fields.retain(|_, value| !matches!(value, Value::Null) && *value != json!("") && *value != json!([]));
            }
            Value::Array(items) => {
                items.iter_mut().for_each(keep);
                items.sort_by_key(Value::to_string);
            }
            _ => {}
        }
    }
    keep(&mut value);
    let without = |value: &mut Value, names: &[&str]| {
        if let Value::Object(fields) = value {
            fields.retain(|name, _| !names.contains(&name.as_str()));
        }
    };
    without(&mut value, &["created", "last_modified", "last_sync"]);
    without(&mut value, other);
    for role in ["student", "teacher", "staff", "contact"] {
        if value["roles"][role].is_object() {
            without(&mut value["roles"][role], student);
        }
    }
    value["roles"].take();
    value
}

fn comparable(value: &Value) -> Value {
    // `ext`, places and what else nobody uses.
    let roles = ["ext", "created", "last_modified", "location", "enrollments", "credentials", "name", "district"];
    let other = ["ext", "course", "term_id", "lms_status", "error", "lms_type", "lms_state"];
    let mut comparable = used(value.clone(), &roles, &other);
    if let Some(location) = comparable.get_mut("location").and_then(Value::as_object_mut) {
        location.retain(|name, _| name != "lat" && name != "lon");
    }
    if let Value::Object(fields) = &mut comparable {
        fields.retain(|_, value| !value.is_null());
    }
    comparable
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Reading keeps everything that's used.
    #[test]
    fn reading_keeps_what_is_used(seed: u64, which: Index) {
        let there = district(seed);
        for kind in [Kind::School, Kind::Section, Kind::User, Kind::District] {
            let ids = there.ids(kind);
            let value = there.record(&ids[which.index(ids.len())]).unwrap();
            let read = match kind {
                Kind::School => record::<School>(value.clone()).unwrap().to_json(),
                Kind::Section => record::<Section>(value.clone()).unwrap().to_json(),
                Kind::District => record::<DistrictInfo>(value.clone()).unwrap().to_json(),
                _ => {
                    let user = user(&value);
                    let roles = &user.to_json()["roles"];
                    check_roles(&value["roles"], roles);
                    user.to_json()
                }
            };
            prop_assert_eq!(comparable(&read), comparable(&value));
        }
    }

    /// A fingerprint changes with what is used, and with nothing else.
    #[test]
    fn fingerprints_follow_what_is_used(seed: u64, which: Index, field in select(&USED[..]), other in select(&UNUSED[..])) {
        let there = district(seed);
        let students = there.users("student");
        let value = there.record(&students[which.index(students.len())]).unwrap();
        let before = user(&value).fingerprint();
        prop_assert_eq!(before.len(), 32);
        prop_assert_eq!(&user(&reversed(&value)).fingerprint(), &before);
        let mut unused = value.clone();
        put(&mut unused, other.0, other.1);
        prop_assert_eq!(&user(&unused).fingerprint(), &before, "{}", other.0);
        let mut changed = value.clone();
        put(&mut changed, field.0, field.1);
        let is_same = user(&changed) == user(&value);
        prop_assert_eq!(user(&changed).fingerprint() == before, is_same, "{}", field.0);
        // Only what was so before may be the same.
        if is_same {
            prop_assert_eq!(value.pointer(field.0), changed.pointer(field.0), "{}", field.0);
        }
    }
}

/// Fields that are used, with values that made-up people don't have, or have by chance.
const USED: [(&str, &str); 20] = [
    ("/id", r#""65a1b2c3ffffffffffffffff""#),
    ("/email", r#""new@school.example""#),
    ("/name/first", r#""Xanthippe""#),
    ("/name/middle", r#""Q""#),
    ("/name/last", r#""Zzyzx""#),
    ("/roles/student/sis_id", r#""new""#),
    ("/roles/student/student_number", r#""new""#),
    ("/roles/student/state_id", r#""new""#),
    ("/roles/student/school", r#""new""#),
    ("/roles/student/schools", r#"["new", "newer"]"#),
    ("/roles/student/grade", r#""PostGraduate""#),
    ("/roles/student/dob", r#""2/29/2000""#),
    ("/roles/student/gender", r#""X""#),
    ("/roles/student/race", r#""American Indian""#),
    ("/roles/student/hispanic_ethnicity", r#""Y""#),
    ("/roles/student/ell_status", r#""Y""#),
    ("/roles/student/frl_status", r#""Other""#),
    ("/roles/student/iep_status", r#""Y""#),
    ("/roles/student/credentials", r#"{"district_username": "new"}"#),
    ("/roles/contact", r#"{"student_relationships": []}"#),
];

/// Fields that aren't used.
const UNUSED: [(&str, &str); 9] = [
    ("/last_modified", r#""2027-01-01T00:00:00.000Z""#),
    ("/created", r#""2027-01-01T00:00:00.000Z""#),
    ("/new_field", r#"{"a": 1}"#),
    ("/lms_status", r#"{"synced_in_lms": true}"#),
    ("/roles/student/last_modified", r#""2027-01-01T00:00:00.000Z""#),
    ("/roles/student/ext", r#"{"a": "b"}"#),
    ("/roles/student/gifted_status", r#""Y""#),
    ("/roles/student/location", r#"{"address": "1 Main St"}"#),
    ("/roles/teacher", "null"),
];

fn district(seed: u64) -> roar_functions::demo::clever::FakeDistrict {
    let options = Options { seed, ..Options::of(Size { schools: 3, ..Size::of(400) }) };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _inside = runtime.enter();
    roar_functions::demo::clever::FakeClever::new(options, context()).district(0)
}

/// The roles that were read, against those that were said.
fn check_roles(said: &Value, read: &Value) {
    for (role, said) in said.as_object().unwrap() {
        let read = &read[role];
        assert_eq!(said.is_null(), read.is_null(), "{role}");
        for (name, read) in read.as_object().into_iter().flatten() {
            match (name.as_str(), &said[name]) {
                ("schools" | "student_relationships" | "roles", said) => {
                    let mut said = said.as_array().unwrap().clone();
                    for item in said.iter_mut().filter_map(Value::as_object_mut) {
                        item.retain(|_, value| *value != json!(""));
                    }
                    said.sort_by_key(Value::to_string);
                    let mut read = read.as_array().unwrap().clone();
                    read.sort_by_key(Value::to_string);
                    assert_eq!(read, said, "{role}.{name}");
                }
                // Months and days have one digit or two; a new one writes one.
                ("dob", Value::String(said)) => {
                    let digits = said.split('/').map(|part| part.trim_start_matches('0')).collect::<Vec<_>>();
                    assert_eq!(read, &json!(digits.join("/")));
                }
                ("credentials", said) => {
                    let username = said["district_username"].as_str().filter(|name| !name.is_empty());
                    assert_eq!(read["district_username"].as_str(), username, "{role}.{name}");
                }
                (_, said) => assert_eq!(read, said, "{role}.{name}"),
            }
        }
    }
}

fn put(value: &mut Value, path: &str, to: &str) {
    let (parents, name) = path.rsplit_once('/').unwrap();
    let parent = if parents.is_empty() { value } else { value.pointer_mut(parents).unwrap() };
    parent[name] = serde_json::from_str(to).unwrap();
}

/// The same with lists in the other order.
fn reversed(value: &Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.iter().rev().map(reversed).collect()),
        Value::Object(fields) => fields.iter().rev().map(|(name, value)| (name.clone(), reversed(value))).collect(),
        other => other.clone(),
    }
}
