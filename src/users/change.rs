//! Classifies a change of a user's document (docs/domain/assignments.md#when-a-student-changes). Pure.
//!
//! A changed date of birth is a correction, a changed grade a promotion, a changed org a move, anything else a plain
//! edit; each kind affects different documents. Only changes that [`changes`] reports cause reads and writes.

use crate::documents::sync_notes::field;
use crate::documents::user::age::{date_of_birth, day};
use crate::documents::user::copy::CopiedParts;
use crate::documents::user::grade::{grade_place, grade_text, same_text};
use crate::documents::user::orgs::{current_orgs, is_org_id};
use crate::documents::user::{self, is_living, is_of_type};
use crate::fields;
use crate::orgs::OrgLists;
use crate::store::{Fields, Timestamp, Value};

/// The parts of a user that changed, as far as other documents depend on them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UserChange {
    /// A change that affects which administrations the user is assigned: of their orgs, their type, or whether they are
    /// archived.
    pub orgs: bool,
    /// The grade changed.
    pub grade: bool,
    /// The date of birth was removed, or changed to a day in the past.
    pub birth: bool,
    /// Any other field changed that assignments show.
    pub details: bool,
    /// The orgs that the user left with this change.
    pub left: OrgLists,
    /// The user wasn't followed before, so no runs have to be updated.
    pub new: bool,
    /// The grade or date of birth was unknown before: this isn't a promotion, and the user is assigned everything that
    /// applies now.
    pub learnt: bool,
    /// The student data before the change, where it changed. Only the event has this data, so it isn't stored with a
    /// change that is to be followed again later.
    pub data_before: Option<Fields>,
}

/// Fields of a user that assignments show, beside the student data.
const SHOWN: [&str; 5] = [
    user::field::NAME,
    user::field::ASSESSMENT_PID,
    user::field::ASSESSMENT_UID,
    user::field::EMAIL,
    user::field::USERNAME,
];
/// Fields of the student data that have their own rules for changes.
const RULED: [&str; 3] = [user::field::DOB, user::field::GRADE, user::field::SCHOOL_LEVEL];

/// The change from `before` (`None`: the user is new) to `after`. No change for users whose type is none of `types`,
/// before and after: such users get no assignments.
pub fn changes(before: Option<&Fields>, after: &Fields, types: &[String], now: Timestamp) -> UserChange {
    if ![before, Some(after)].into_iter().flatten().any(|user| is_of_type(user, types)) {
        return UserChange::default();
    }
    let born = date_of_birth(after).filter(|born| *born <= day(now));
    // A user of another type had no assignments before, so nothing was followed.
    let Some(before) = before.filter(|former| is_of_type(former, types)) else {
        return UserChange {
            orgs: true,
            grade: user::in_student_data(after, user::field::GRADE).is_some(),
            birth: born.is_some(),
            details: false,
            left: OrgLists::new(),
            new: before.is_none(),
            learnt: false,
            data_before: None,
        };
    };
    let (held, holds) = (current_orgs(before), current_orgs(after));
    let standing = |user: &Fields| (is_living(user), is_of_type(user, types));
    UserChange {
        orgs: !held.same_orgs(&holds) || standing(before) != standing(after),
        grade: !same_grade(before, after),
        birth: (born.is_some() && date_of_birth(before) != born)
            || (date_of_birth(before).is_some() && date_of_birth(after).is_none()),
        details: SHOWN.iter().any(|name| before.get(*name) != after.get(*name))
            || other_data(before) != other_data(after),
        left: known_orgs(held.difference(&holds.to_set())),
        new: false,
        learnt: (!has_grade(before) && has_grade(after)) || (date_of_birth(before).is_none() && born.is_some()),
        data_before: data_before(before, after),
    }
}

fn has_grade(user: &Fields) -> bool {
    user::in_student_data(user, user::field::GRADE).and_then(grade_text).is_some_and(|grade| !grade.is_empty())
}

/// The former student data, if any field has changed that people or rosters set.
fn data_before(before: &Fields, after: &Fields) -> Option<Fields> {
    let given = |user: &Fields| {
        let mut data = user::student_data(user).cloned().unwrap_or_default();
        data.remove(user::field::SCHOOL_LEVEL);
        data
    };
    let former = user::student_data(before)?;
    (given(before) != given(after)).then(|| former.clone())
}

fn known_orgs(orgs: OrgLists) -> OrgLists {
    orgs.iter().filter(|(_, id)| is_org_id(id)).collect()
}

/// Two spellings of one grade are the same (docs/domain/assignments.md#when-a-student-changes).
fn same_grade(before: &Fields, after: &Fields) -> bool {
    let [one, other] =
        [before, after].map(|user| user::in_student_data(user, user::field::GRADE).filter(|grade| !grade.is_null()));
    let place = |grade: Option<&Value>| grade.and_then(grade_place);
    match (place(one), place(other)) {
        (Some(one), Some(other)) => one == other,
        (None, None) => match (one, other) {
            (Some(one), Some(other)) => same_text(one, other) || grade_text(one) == grade_text(other),
            (one, other) => one.is_none() && other.is_none(),
        },
        _ => false,
    }
}

fn other_data(user: &Fields) -> impl PartialEq + '_ {
    let data = user::student_data(user);
    data.into_iter().flatten().filter(|(name, _)| !RULED.contains(&name.as_str())).collect::<Vec<_>>()
}

impl UserChange {
    /// True when the change affects other documents.
    pub fn matters(&self) -> bool {
        self.orgs || self.grade || self.birth || self.details
    }

    /// The parts of the change that the user's de-identified copy shows.
    pub fn of_copy(&self) -> CopiedParts {
        CopiedParts { orgs: self.orgs, grade: self.grade, birth: self.birth }
    }

    /// Combines both changes.
    pub fn merged(mut self, other: &UserChange) -> UserChange {
        self.left.extend(&other.left);
        UserChange {
            orgs: self.orgs || other.orgs,
            grade: self.grade || other.grade,
            birth: self.birth || other.birth,
            details: self.details || other.details,
            left: self.left,
            new: self.new && other.new,
            learnt: self.learnt || other.learnt,
            data_before: None,
        }
    }

    /// The change as a document stores it.
    pub fn to_fields(&self) -> Fields {
        fields! {
            field::ORGS => self.orgs,
            field::GRADE => self.grade,
            field::BIRTH => self.birth,
            field::DETAILS => self.details,
            field::LEFT => self.left.to_value(),
            field::NEW => self.new,
            field::LEARNT => self.learnt,
        }
    }

    /// Reads what [`UserChange::to_fields`] wrote.
    pub fn read(fields: &Fields) -> UserChange {
        let flag = |name: &str| fields.get(name).and_then(Value::as_bool).unwrap_or(false);
        UserChange {
            orgs: flag(field::ORGS),
            grade: flag(field::GRADE),
            birth: flag(field::BIRTH),
            details: flag(field::DETAILS),
            left: OrgLists::from_value(fields.get(field::LEFT)),
            new: flag(field::NEW),
            learnt: flag(field::LEARNT),
            data_before: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::lookup;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn student() -> Fields {
        fields! {
            "userType" => "student",
            "archived" => false,
            "name" => fields! { "first" => "A" },
            "districts" => fields! { "current" => Value::strings(["d1"]) },
            "schools" => fields! { "current" => Value::strings(["s1", "s2"]) },
            "studentData" => fields! { "grade" => "5", "dob" => at("2015-09-20T00:00:00Z"), "gender" => "x" },
        }
    }

    fn with(path: &[&str], value: impl Into<Value>) -> Fields {
        let mut user = student();
        let (last, above) = path.split_last().unwrap();
        let mut fields = &mut user;
        for name in above {
            let Some(Value::Map(inner)) = fields.get_mut(*name) else { panic!("no map") };
            fields = inner;
        }
        fields.insert((*last).to_owned(), value.into());
        user
    }

    fn named(change: &UserChange) -> String {
        let flags =
            [("orgs", change.orgs), ("grade", change.grade), ("birth", change.birth), ("details", change.details)];
        let names: Vec<&str> = flags.into_iter().filter(|(_, set)| *set).map(|(name, _)| name).collect();
        names.join("+")
    }

    #[test]
    fn every_change_has_its_kind() {
        let table = [
            ("nothing", student(), ""),
            (
                "lists that the service keeps",
                with(&["assignments"], fields! { "assigned" => Value::strings(["a"]) }),
                "",
            ),
            ("time of the last sync", with(&["lastUpdated"], 5), ""),
            ("orgs in another order", with(&["schools", "current"], Value::strings(["s2", "s1"])), ""),
            ("history of orgs", with(&["schools", "all"], Value::strings(["s0"])), ""),
            ("a school more", with(&["schools", "current"], Value::strings(["s1", "s2", "s3"])), "orgs"),
            ("archived", with(&["archived"], true), "orgs"),
            ("another type", with(&["userType"], "educator"), "orgs"),
            ("a grade up", with(&["studentData", "grade"], "6"), "grade"),
            ("the grade as a number", with(&["studentData", "grade"], 5), ""),
            ("the grade spelt otherwise", with(&["studentData", "grade"], " 05"), ""),
            ("the level that follows from it", with(&["studentData", "schoolLevel"], "elementary"), ""),
            ("the grade in words", with(&["studentData", "grade"], "Fifth Grade"), ""),
            ("no grade that anybody knows", with(&["studentData", "grade"], "fiveth"), "grade"),
            ("another birthday", with(&["studentData", "dob"], at("2015-03-20T00:00:00Z")), "birth"),
            ("another hour of the same day", with(&["studentData", "dob"], at("2015-09-20T13:00:00Z")), ""),
            ("a birthday to come", with(&["studentData", "dob"], at("2035-03-20T00:00:00Z")), ""),
            ("no birthday", with(&["studentData", "dob"], Value::Null), "birth"),
            ("no grade", with(&["studentData", "grade"], Value::Null), "grade"),
            ("a name", with(&["name", "first"], "B"), "details"),
            ("other student data", with(&["studentData", "gender"], "y"), "details"),
            ("an e-mail", with(&["email"], "b@example.org"), "details"),
        ];
        let types = ["student".to_owned()];
        for (what, after, expected) in table {
            let change = changes(Some(&student()), &after, &types, at("2026-01-01T00:00:00Z"));
            assert_eq!(named(&change), expected, "{what}");
            assert_eq!(change.matters(), !expected.is_empty(), "{what}");
            let is_of_data = lookup(&after, "studentData.grade") != lookup(&student(), "studentData.grade")
                || lookup(&after, "studentData.dob") != lookup(&student(), "studentData.dob")
                || lookup(&after, "studentData.gender") != lookup(&student(), "studentData.gender");
            assert_eq!(change.data_before.is_some(), is_of_data, "{what}");
            let kept = UserChange { data_before: None, ..change };
            assert_eq!(UserChange::read(&kept.to_fields()), kept, "{what}");
        }
    }

    #[test]
    fn what_wasnt_known_before_is_learnt() {
        let (types, now) = (["student".to_owned()], at("2026-01-01T00:00:00Z"));
        for field in ["grade", "dob"] {
            let bare = with(&["studentData", field], Value::Null);
            let known = changes(Some(&bare), &student(), &types, now);
            assert!(known.learnt && (known.grade || known.birth), "{field}");
            let lost = changes(Some(&student()), &bare, &types, now);
            assert!(!lost.learnt && (lost.grade || lost.birth), "{field}");
        }
        let promoted = changes(Some(&student()), &with(&["studentData", "grade"], "6"), &types, now);
        assert!(!promoted.learnt);
    }

    #[test]
    fn several_changes_in_one_write() {
        let mut after = with(&["schools", "current"], Value::strings(["s2", "s3"]));
        after.insert(
            "studentData".to_owned(),
            Value::Map(fields! {
                "grade" => "6", "gender" => "x", "dob" => at("2015-09-20T00:00:00Z"),
            }),
        );
        let change = changes(Some(&student()), &after, &["student".to_owned()], at("2026-01-01T00:00:00Z"));
        assert_eq!(named(&change), "orgs+grade");
        assert_eq!(change.left.flatten(), ["s1"]);
    }

    #[test]
    fn new_users_and_users_without_assignments() {
        let types = ["student".to_owned()];
        let now = at("2026-01-01T00:00:00Z");
        assert_eq!(named(&changes(None, &student(), &types, now)), "orgs+grade+birth");
        let mut educator = with(&["userType"], "educator");
        assert!(!changes(None, &educator, &types, now).matters());
        let before = educator.clone();
        educator.insert("email".to_owned(), Value::from("e@example.org"));
        assert!(!changes(Some(&before), &educator, &types, now).matters());
        assert_eq!(named(&changes(Some(&before), &student(), &types, now)), "orgs+grade+birth");
    }
}
