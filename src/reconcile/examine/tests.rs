use std::collections::BTreeSet;

use super::*;
use crate::assignments::build::Definition;
use crate::documents::administration::Administration;
use crate::fields;
use crate::orgs::{Org, OrgKey, OrgTree, OrgType};

fn document(path: &str, fields: Fields) -> Document {
    let (create_time, update_time) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
    Document { path: DocPath::new(path).unwrap(), fields, create_time, update_time }
}

fn open() -> Scope {
    let task = |id: &str| Value::Map(fields! { "taskId" => id });
    let administration = Administration::from_fields("a", fields! { "assessments" => vec![task("swr")] });
    let orgs: OrgLists = [(OrgType::School, "s")].into_iter().collect();
    let school = fields! { "districtId" => "d" };
    let tree = OrgTree::new([
        (OrgKey::new(OrgType::School, "s"), Org::from_fields(OrgType::School, &school)),
        (OrgKey::new(OrgType::District, "d"), Org::default()),
    ]);
    Scope::Open(Box::new(Definition { administration, assigned: orgs.to_set(), tree: tree.into() }), orgs)
}

fn student(schools: &[&str]) -> Fields {
    fields! {
        "userType" => "student",
        "archived" => false,
        "schools" => fields! { "current" => Value::strings(schools.iter().copied()) },
        "assignments" => fields! { "assigned" => Value::strings(["a"]) },
        "assignmentsAssigned" => fields! { "a" => Timestamp::UNIX_EPOCH },
    }
}

fn assignment() -> Fields {
    let task = fields! { "taskId" => "swr", "optional" => false };
    let mut fields = fields! {
        "id" => "a",
        "started" => false,
        "completed" => false,
        "assigningOrgs" => fields! { "schools" => Value::strings(["s"]) },
        "readOrgs" => fields! { "schools" => Value::strings(["s"]), "districts" => Value::strings(["d"]) },
        "assessments" => vec![Value::Map(task)],
    };
    Contribution::of(&fields.clone(), &Tasks::known_to(&fields.clone())).record(&mut fields);
    fields
}

fn with(mut fields: Fields, changes: Fields) -> Fields {
    fields.extend(changes);
    fields
}

fn recorded(mut fields: Fields) -> Fields {
    Contribution::of(&fields.clone(), &Tasks::known_to(&fields.clone())).record(&mut fields);
    fields
}

fn examine(scope: &Scope, user: Option<Fields>, assignment: Option<Fields>) -> Examined {
    let settings = Settings::default();
    let now = Timestamp::from_second(100).unwrap();
    let rules = Rules { administration: "a", scope, settings: &settings, planned: None, tasks: None, now };
    let path = DocPath::new("users/u").unwrap();
    let user = user.map(|fields| document("users/u", fields));
    let assignment = assignment.map(|fields| document("users/u/assignments/a", fields));
    let (user, assignment) = (user.as_ref(), assignment.as_ref());
    rules
        .examine(Subject { path: &path, user, assignment, archived: None, runs: None, deleted: &BTreeSet::new() })
        .unwrap()
}

#[test]
fn what_differs_and_whether_it_is_mended() {
    let none = || Value::strings(Vec::<String>::new());
    let orgs = |school: &str| fields! { "assigningOrgs" => fields! { "schools" => Value::strings([school]) } };
    let no_work = fields! { "assessments" => Value::Array(Vec::new()) };
    let no_orgs = fields! { "assigningOrgs" => Value::empty_map() };
    let begun = fields! { "started" => true };
    let unlisted = || with(student(&["s"]), fields! { "assignments" => fields! { "assigned" => none() } });
    let nowhere =
        || with(student(&[]), fields! { "assignments" => Fields::new(), "assignmentsAssigned" => Fields::new() });
    let teacher = || with(student(&["s"]), fields! { "userType" => "teacher" });
    let archived = || with(student(&["s"]), fields! { "archived" => true });
    let table: Vec<(&str, Scope, Option<Fields>, Option<Fields>, Vec<Kind>, bool)> = vec![
        ("sound", open(), Some(student(&["s"])), Some(assignment()), vec![], false),
        (
            "sound and closed, though the student left",
            Scope::Closed,
            Some(student(&[])),
            Some(assignment()),
            vec![],
            false,
        ),
        ("nothing to do with it", open(), Some(nowhere()), None, vec![], false),
        ("nobody", open(), None, None, vec![], false),
        ("of nobody", open(), None, Some(assignment()), vec![Kind::UserGone], true),
        ("of nobody, closed", Scope::Closed, None, Some(assignment()), vec![Kind::UserGone], true),
        ("of nothing", Scope::Gone, Some(student(&["s"])), Some(assignment()), vec![Kind::AdministrationGone], true),
        ("left", open(), Some(student(&["t"])), Some(assignment()), vec![Kind::UserNotInOrgs], true),
        ("archived", open(), Some(archived()), Some(assignment()), vec![Kind::UserArchived], true),
        ("a teacher", open(), Some(teacher()), Some(assignment()), vec![Kind::UserTypeNotAssigned], true),
        ("missing", open(), Some(student(&["s"])), None, vec![Kind::AssignmentMissing], true),
        (
            "missing, closed",
            Scope::Closed,
            Some(student(&["s"])),
            None,
            vec![Kind::ListEntryStray, Kind::DateStray],
            true,
        ),
        ("not listed", open(), Some(unlisted()), Some(assignment()), vec![Kind::ListEntryMissing], true),
        (
            "another's orgs",
            open(),
            Some(student(&["s"])),
            Some(recorded(with(assignment(), orgs("t")))),
            vec![Kind::AssigningOrgsDiffer],
            true,
        ),
        (
            "no work",
            open(),
            Some(student(&["s"])),
            Some(recorded(with(assignment(), no_work.clone()))),
            vec![Kind::NoAssessments],
            true,
        ),
        (
            "no work, closed",
            Scope::Closed,
            Some(student(&["s"])),
            Some(recorded(with(assignment(), no_work))),
            vec![Kind::NoAssessments],
            true,
        ),
        (
            "no orgs, closed",
            Scope::Closed,
            Some(student(&["s"])),
            Some(recorded(with(assignment(), no_orgs.clone()))),
            vec![Kind::NoAssigningOrgs],
            true,
        ),
        (
            "no orgs, closed, begun: left alone",
            Scope::Closed,
            Some(student(&["s"])),
            Some(recorded(with(with(assignment(), no_orgs), begun))),
            vec![Kind::NoAssigningOrgs],
            false,
        ),
    ];
    for (what, scope, user, assignment, expected, mended) in table {
        let examined = examine(&scope, user, assignment);
        assert_eq!(examined.findings.iter().map(|finding| finding.kind).collect::<Vec<_>>(), expected, "{what}");
        assert_eq!(examined.repair.is_some(), mended, "{what}");
    }
}

/// A started task stays although its condition no longer holds, and no task is added: only the next save adds tasks.
#[test]
fn conditions_are_not_asked_again() {
    let task = fields! { "taskId" => "gone-from-the-administration", "startedOn" => Timestamp::UNIX_EPOCH };
    let kept = recorded(with(assignment(), fields! { "assessments" => vec![Value::Map(task)] }));
    assert_eq!(examine(&open(), Some(student(&["s"])), Some(kept)), Examined::default());
}

#[test]
fn a_lost_record_is_restored_without_moving_counts() {
    let mut lost = assignment();
    lost.remove(assignment::field::COUNTED);
    let repair = examine(&open(), Some(student(&["s"])), Some(lost)).repair.unwrap();
    let mut delta = CountsDelta::default();
    repair.step(&mut delta);
    assert_eq!(delta.moves().count(), 0);
    assert_eq!(repair.writes.len(), 1);
    // Removing the assignment of a user who doesn't exist subtracts its recorded contribution, and writes an archive
    // and a mark for the deletion's event.
    let repair = examine(&open(), None, Some(assignment())).repair.unwrap();
    repair.step(&mut delta);
    assert_eq!(delta.moves().filter(|(_, block, _)| *block == "assignment").count(), 2);
    assert_eq!(repair.writes.len(), 3);
    assert_eq!(repair.listed(), [false; 3]);
}
