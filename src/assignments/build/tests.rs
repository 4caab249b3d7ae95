use super::*;
use crate::documents::assignment::is_optional;
use crate::orgs::{Org, OrgKey, OrgType};
use crate::store::Value;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    at("2026-09-10T10:00:00Z")
}

fn grade_at_least(grade: &str) -> Value {
    Value::Map(fields! { "field" => "studentData.grade", "op" => "GREATER_THAN_OR_EQUAL", "value" => grade })
}

fn assessment(task: &str, conditions: Fields) -> Value {
    Value::Map(fields! {
        "taskId" => task,
        "variantId" => format!("{task}-v1"),
        "params" => fields! { "cat" => true },
        "conditions" => conditions,
    })
}

fn administration_fields() -> Fields {
    fields! {
        "name" => "Fall 2026",
        "createdBy" => "admin1",
        "dateCreated" => at("2026-08-01T00:00:00Z"),
        "dateOpened" => at("2026-09-01T00:00:00Z"),
        "dateClosed" => at("2026-12-01T00:00:00Z"),
        "sequential" => true,
        "testData" => false,
        "assessments" => vec![
            assessment("swr", fields! { "assigned" => grade_at_least("1") }),
            assessment("roar-inference", fields! { "assigned" => grade_at_least("1"), "optional" => true }),
            assessment("pa", fields! { "assigned" => Value::Null, "optional" => grade_at_least("3") }),
        ],
    }
}

/// An administration over school s1 of district d1, with class c1.
fn definition(fields: Fields) -> Definition {
    let org =
        |org_type: OrgType, id: &str, fields: Fields| (OrgKey::new(org_type, id), Org::from_fields(org_type, &fields));
    let tree = OrgTree::new([
        org(OrgType::District, "d1", fields! {}),
        org(OrgType::School, "s1", fields! { "districtId" => "d1" }),
        org(OrgType::Class, "c1", fields! { "schoolId" => "s1", "districtId" => "d1" }),
    ]);
    let assigned: OrgLists = [(OrgType::School, "s1"), (OrgType::Class, "c1")].into_iter().collect();
    Definition {
        administration: Administration::from_fields("adm", fields),
        assigned: assigned.to_set(),
        tree: tree.into(),
    }
}

fn student(grade: impl Into<Value>, orgs: &[(OrgType, &str)]) -> Fields {
    let mut user = fields! {
        "userType" => "student",
        "archived" => false,
        "name" => fields! { "first" => "Ada", "last" => "L" },
        "assessmentPid" => "pid1",
        "studentData" => fields! { "grade" => grade.into(), "gender" => "f" },
    };
    for org_type in OrgType::ALL {
        let ids = orgs.iter().filter(|(of, _)| *of == org_type).map(|(_, id)| *id);
        user.insert(org_type.plural().to_owned(), Value::Map(fields! { "current" => Value::strings(ids) }));
    }
    user
}

const MEMBER: [(OrgType, &str); 3] = [(OrgType::District, "d1"), (OrgType::School, "s1"), (OrgType::Class, "c1")];

fn created(user: &Fields) -> Fields {
    match definition(administration_fields()).decide(user, None, now()) {
        Decision::Create(fields) => fields,
        other => panic!("expected a new assignment, got {other:?}"),
    }
}

fn updated(definition: &Definition, user: &Fields, existing: &Fields) -> Fields {
    match definition.decide(user, Some(existing), at("2026-09-20T00:00:00Z")) {
        Decision::Update(fields) => fields,
        other => panic!("expected an update, got {other:?}"),
    }
}

fn tasks(assignment: &Fields) -> Vec<(String, bool)> {
    assessments_of(assignment).iter().map(|entry| (task_id(entry).unwrap().to_owned(), is_optional(entry))).collect()
}

fn set_in_task(assignment: &mut Fields, task: &str, field: &str, value: Value) {
    let Some(Value::Array(assessments)) = assignment.get_mut("assessments") else { panic!("a list") };
    for assessment in assessments {
        let Value::Map(entry) = assessment else { panic!("a map") };
        if entry["taskId"].as_str() == Some(task) {
            entry.insert(field.to_owned(), value.clone());
        }
    }
}

fn without(fields: &Fields, task: &str) -> Fields {
    let mut fields = fields.clone();
    let Some(Value::Array(assessments)) = fields.get_mut("assessments") else { panic!("a list") };
    assessments.retain(|assessment| assessment.as_map().unwrap()["taskId"].as_str() != Some(task));
    fields
}

#[test]
fn a_new_assignment_has_every_field_that_the_dashboard_reads() {
    let assignment = created(&student(3, &MEMBER));
    assert_eq!(tasks(&assignment), [("swr".into(), false), ("roar-inference".into(), true), ("pa".into(), true)]);
    let expected = fields! {
        "id" => "adm",
        "name" => "Fall 2026",
        "publicName" => "Fall 2026",
        "createdBy" => "admin1",
        "sequential" => true,
        "legal" => Value::empty_map(),
        "testData" => false,
        "demoData" => false,
        "started" => false,
        "completed" => false,
        "dateAssigned" => now(),
        "lastSyncedFromAdministration" => now(),
        "dateCreated" => at("2026-08-01T00:00:00Z"),
        "dateOpened" => at("2026-09-01T00:00:00Z"),
        "dateClosed" => at("2026-12-01T00:00:00Z"),
        "assigningOrgs" => [(OrgType::School, "s1"), (OrgType::Class, "c1")].into_iter().collect::<OrgLists>().to_value(),
        "readOrgs" => MEMBER.into_iter().collect::<OrgLists>().to_value(),
        "progress" => fields! { "swr" => "assigned", "roar_inference" => "assigned", "pa" => "assigned" },
        "userData" => fields! {
            "grade" => "3", "gender" => "f", "name" => fields! { "first" => "Ada", "last" => "L" },
            "assessmentPid" => "pid1", "assessmentUid" => Value::Null, "email" => Value::Null, "username" => Value::Null,
        },
    };
    for (name, value) in &expected {
        assert_eq!(assignment.get(name), Some(value), "{name}");
    }
    let swr = assignment["assessments"].as_array().unwrap()[0].as_map().unwrap();
    assert_eq!(
        *swr,
        fields! { "taskId" => "swr", "variantId" => "swr-v1", "optional" => false, "params" => fields! { "cat" => true } },
        "what isn't known is absent, not null"
    );
    assert!(Contribution::is_settled(&assignment));
}

#[test]
fn conditions_decide_who_gets_what() {
    assert_eq!(tasks(&created(&student("K", &MEMBER))), [("pa".into(), false)]);
    let everywhere = definition(administration_fields());
    assert_eq!(everywhere.decide(&student("3", &[(OrgType::District, "d1")]), None, now()), Decision::Nothing);
    let nobody = definition(without(&administration_fields(), "pa"));
    assert_eq!(nobody.decide(&student("K", &MEMBER), None, now()), Decision::Nothing);
}

#[test]
fn nothing_is_written_when_nothing_changes() {
    let user = student("3", &MEMBER);
    let mut assignment = created(&user);
    let definition = definition(administration_fields());
    let later = at("2026-10-01T00:00:00Z");
    assert_eq!(definition.decide(&user, Some(&assignment), later), Decision::Nothing);
    // Nor for work under way, fields of others, or a task that is begun out of order.
    assignment.insert("compositeScore".to_owned(), Value::from(500));
    set_in_task(&mut assignment, "pa", "startedOn", now().into());
    set_in_task(&mut assignment, "swr", "videoStartedOn", now().into());
    assert_eq!(definition.decide(&user, Some(&assignment), later), Decision::Nothing);
}

/// Administrators may write to their students' documents.
#[test]
fn what_people_write_keeps_no_assignment_from_being_stored() {
    use crate::store::size::{depth, fields_size};
    let deep = (0..19).fold(Value::from(1), |inner, _| Value::Map(fields! { "x" => inner }));
    let mut user = student("3", &MEMBER);
    user.insert("name".to_owned(), deep.clone());
    user.insert("email".to_owned(), Value::from("x".repeat(900_000)));
    user.insert("username".to_owned(), Value::from("reader"));
    let many: Fields = (0..40).map(|n| (format!("f{n:02}"), Value::from("x".repeat(15_000)))).collect();
    let mut data = many.clone();
    data.extend(fields! { "grade" => 3, "deep" => deep, "long" => "x".repeat(100_000) });
    user.insert("studentData".to_owned(), Value::Map(data));
    let shown = user_data(&user);
    assert_eq!((&shown["name"], &shown["email"]), (&Value::Null, &Value::Null));
    assert_eq!((&shown["username"], &shown["grade"]), (&Value::from("reader"), &Value::from("3")));
    assert!(!shown.contains_key("deep") && !shown.contains_key("long") && !shown.contains_key("f00"));
    // What fits is all there.
    let few: Fields = many.into_iter().take(5).chain(fields! { "grade" => 3 }).collect();
    user.insert("studentData".to_owned(), Value::Map(few));
    let shown = user_data(&user);
    assert!(shown.contains_key("f00") && shown.contains_key("f04"));
    assert!(fields_size(&shown) < 300_000 && depth(&Value::Map(shown)) < 15);
}

#[test]
fn nan_is_no_change() {
    let mut user = student("3", &MEMBER);
    user.insert("studentData".to_owned(), Value::Map(fields! { "grade" => "3", "score" => f64::NAN }));
    let decision = definition(administration_fields()).decide(&user, Some(&created(&user)), now());
    assert_eq!(decision, Decision::Nothing);
}

/// Older documents may hold one; as a key it would keep the assignment from being stored.
#[test]
fn an_empty_task_is_none() {
    let begun = Value::Map(fields! { "taskId" => "", "startedOn" => now() });
    let existing = fields! { "assessments" => vec![begun.clone()] };
    let kept = updated(&definition(administration_fields()), &student("3", &MEMBER), &existing);
    assert!(kept["assessments"].as_array().unwrap().contains(&begun));
    assert!(!kept["progress"].as_map().unwrap().contains_key(""));
    assert!(!Contribution::of(&kept, &Tasks::known_to(&kept)).tasks.contains_key(""));
}

#[test]
fn begun_work_outlives_every_edit() {
    let user = student("3", &MEMBER);
    for (field, value) in [
        ("startedOn", Value::from(now())),
        ("completedOn", now().into()),
        ("runId", "r1".into()),
        ("allRunIds", Value::strings(["r1"])),
    ] {
        let mut assignment = created(&user);
        set_in_task(&mut assignment, "swr", field, value.clone());
        let edited = definition(without(&administration_fields(), "swr"));
        let assignment = updated(&edited, &user, &assignment);
        let order = [("roar-inference".into(), true), ("pa".into(), true), ("swr".into(), false)];
        assert_eq!(tasks(&assignment), order, "{field}");
        let progress = assignment["progress"].as_map().unwrap();
        assert_eq!(progress.len(), 3, "{field}");
    }
    // An empty list of runs is no work.
    let mut assignment = created(&user);
    set_in_task(&mut assignment, "swr", "allRunIds", Value::Array(vec![]));
    let edited = definition(without(&administration_fields(), "swr"));
    let assignment = updated(&edited, &user, &assignment);
    assert_eq!(tasks(&assignment).len(), 2);
    assert!(!assignment["progress"].as_map().unwrap().contains_key("swr"));
}

#[test]
fn begun_work_keeps_its_parameters_and_the_rest_gets_new_ones() {
    let user = student("3", &MEMBER);
    let mut assignment = created(&user);
    set_in_task(&mut assignment, "swr", "startedOn", now().into());
    set_in_task(&mut assignment, "pa", "videoStartedOn", now().into());
    let mut edited = administration_fields();
    for task in ["swr", "pa"] {
        set_in_task(&mut edited, task, "params", Value::Map(fields! { "cat" => false }));
    }
    let assignment = updated(&definition(edited), &user, &assignment);
    let entries = assessments_of(&assignment);
    assert_eq!(entries[0]["params"], Value::Map(fields! { "cat" => true }));
    assert_eq!(entries[2]["params"], Value::Map(fields! { "cat" => false }));
    assert!(entries[2].contains_key("videoStartedOn"), "what the client noted stays");
}

#[test]
fn completion_follows_the_required_tasks() {
    let user = student("2", &MEMBER);
    let mut assignment = created(&user);
    assert_eq!(tasks(&assignment), [("swr".into(), false), ("roar-inference".into(), true), ("pa".into(), false)]);
    assignment.insert("started".to_owned(), true.into());
    set_in_task(&mut assignment, "swr", "completedOn", now().into());
    // The other required task goes: what's left is complete.
    let assignment = updated(&definition(without(&administration_fields(), "pa")), &user, &assignment);
    assert_eq!(assignment["completed"], true.into());
    assert_eq!(assignment["started"], true.into());
    // It comes back: it isn't.
    let assignment = updated(&definition(administration_fields()), &user, &assignment);
    assert_eq!(assignment["completed"], false.into());
    // An edit of something else leaves what the client said.
    let mut said = assignment.clone();
    said.insert("completed".to_owned(), true.into());
    let mut renamed = administration_fields();
    renamed.insert("name".to_owned(), "Autumn".into());
    assert_eq!(updated(&definition(renamed), &user, &said)["completed"], true.into());
}

#[test]
fn an_assignment_without_orgs_or_tasks_goes() {
    let user = student("3", &MEMBER);
    let assignment = created(&user);
    let gone = student("3", &[(OrgType::District, "d1")]);
    let same = definition(administration_fields());
    assert_eq!(same.decide(&gone, Some(&assignment), now()), Decision::Delete);
    let mut nothing_left = administration_fields();
    nothing_left.insert("assessments".to_owned(), Value::Array(vec![]));
    assert_eq!(definition(nothing_left).decide(&user, Some(&assignment), now()), Decision::Delete);
}

#[test]
fn legacy_progress_keys_are_read_and_rewritten() {
    let user = student("3", &MEMBER);
    let mut assignment = created(&user);
    assignment
        .insert("progress".to_owned(), Value::Map(fields! { "roar-inference" => "completed", "swr" => "started" }));
    let assignment = updated(&definition(administration_fields()), &user, &assignment);
    let expected = fields! { "roar_inference" => "completed", "swr" => "started", "pa" => "assigned" };
    assert_eq!(assignment["progress"], Value::Map(expected));
}

#[test]
fn a_closed_administration_changes_details_only() {
    let user = student("3", &MEMBER);
    let assignment = created(&user);
    let mut edited = without(&administration_fields(), "swr");
    edited.insert("name".to_owned(), "Autumn".into());
    let Decision::Update(details) = definition(edited).update_details(&assignment, now()) else { panic!("an update") };
    assert_eq!(details["name"], "Autumn".into());
    assert_eq!(tasks(&details).len(), 3);
    assert_eq!(definition(administration_fields()).update_details(&assignment, now()), Decision::Nothing);
}

#[test]
fn lost_orgs_leave_the_lists_and_the_last_takes_the_assignment() {
    let assignment = created(&student("3", &MEMBER));
    let definition = definition(administration_fields());
    let lists = |orgs: &[(OrgType, &'static str)]| orgs.iter().copied().collect::<OrgLists>();
    let Decision::Update(less) = definition.subtract(&assignment, &lists(&[(OrgType::Class, "c1")]).to_set(), now())
    else {
        panic!("an update")
    };
    assert_eq!(less["assigningOrgs"], lists(&[(OrgType::School, "s1")]).to_value());
    assert_eq!(less["readOrgs"], lists(&[(OrgType::District, "d1"), (OrgType::School, "s1")]).to_value());
    assert!(Contribution::is_settled(&less));
    let both = lists(&[(OrgType::Class, "c1"), (OrgType::School, "s1")]).to_set();
    assert_eq!(definition.subtract(&assignment, &both, now()), Decision::Delete);
    let other = lists(&[(OrgType::Class, "c9")]).to_set();
    assert_eq!(definition.subtract(&assignment, &other, now()), Decision::Nothing);
}
