//! The de-identified copy of a user in the assessment database (docs/domain/documents.md#copies-of-users). Pure.

use super::age::{date_of_birth, day};
use super::archived_unsaid;
use super::grade::{grade_text, is_unknown, level_of};
use crate::documents::org_lists::OrgType;
use crate::store::{FieldPath, Fields, Timestamp, Value, lookup};

/// The parts of a user that changed, of those that the user's copy has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CopiedParts {
    /// Their orgs, their type, or whether they're archived.
    pub orgs: bool,
    /// Their grade.
    pub grade: bool,
    /// Their date of birth.
    pub birth: bool,
}

impl CopiedParts {
    /// All parts that copies have.
    pub const ALL: CopiedParts = CopiedParts { orgs: true, grade: true, birth: true };
}

/// The fields that the copy has to take from a changed user, and the mask to write them with; `None` when the copy is
/// up to date.
///
/// Birth month (1 to 12) and year instead of the date (docs/domain/decisions.md#a-9), grade and school level, orgs,
/// the type and whether the user is archived. Never a name, an address or a date of birth.
pub fn copy_changes(
    copy: &Fields,
    user: &Fields,
    change: CopiedParts,
    now: Timestamp,
) -> Option<(Fields, Vec<FieldPath>)> {
    let mut wanted = Fields::new();
    let mut gone: Vec<&str> = Vec::new();
    if change.birth
        && let Some(born) = date_of_birth(user).filter(|born| *born <= day(now))
    {
        wanted.insert("birthMonth".to_owned(), Value::Integer(born.month().into()));
        wanted.insert("birthYear".to_owned(), Value::Integer(born.year().into()));
    }
    if change.birth && date_of_birth(user).is_none() {
        gone.extend(["birthMonth", "birthYear"]);
    }
    // A text that isn't a known grade may be personal data, for instance from a column with names: it isn't copied.
    let is_grade = |grade: &Value| !grade.is_null() && !is_unknown(grade);
    if change.grade && !lookup(user, "studentData.grade").is_some_and(is_grade) {
        gone.extend(["grade", "schoolLevel"]);
    }
    if change.grade
        && let Some(grade) = lookup(user, "studentData.grade").filter(|grade| is_grade(grade))
    {
        wanted.extend(grade_text(grade).map(|text| ("grade".to_owned(), Value::String(text))));
        match level_of(grade) {
            Some(Some(level)) => {
                wanted.insert("schoolLevel".to_owned(), Value::from(level));
            }
            Some(None) => gone.push("schoolLevel"),
            _ => {}
        }
    }
    if change.orgs {
        for name in OrgType::ALL.map(OrgType::plural) {
            // The security rules of the assessment database read all five types of orgs, so that each must be present.
            let held = user.get(name).or_else(|| copy.get(name)).cloned();
            let map =
                held.unwrap_or_else(|| Value::Map(Fields::from([("current".to_owned(), Value::Array(Vec::new()))])));
            wanted.insert(name.to_owned(), map);
        }
        let names = ["archived", "userType"].into_iter();
        wanted.extend(names.filter_map(|name| Some((name.to_owned(), user.get(name)?.clone()))));
        wanted.extend(archived_unsaid(user).map(|archived| ("archived".to_owned(), archived)));
    }
    let gone: Vec<FieldPath> = gone.into_iter().filter(|name| copy.contains_key(*name)).map(FieldPath::top).collect();
    wanted.retain(|name, value| copy.get(name) != Some(value));
    if wanted.is_empty() && gone.is_empty() {
        return None;
    }
    wanted.insert("lastUpdated".to_owned(), Value::Timestamp(now));
    let mask = wanted.keys().map(FieldPath::top).chain(gone).collect();
    Some((wanted, mask))
}

/// The copy of a user who has none yet.
pub fn new_copy(user: &Fields, assessment_uid: &str, now: Timestamp) -> Fields {
    let mut copy = copy_changes(&Fields::new(), user, CopiedParts::ALL, now).unwrap_or_default().0;
    for name in ["assessmentPid", "testData"] {
        copy.extend(user.get(name).map(|value| (name.to_owned(), value.clone())));
    }
    copy.insert("assessmentUid".to_owned(), Value::from(assessment_uid));
    copy.insert("createdAt".to_owned(), Value::Timestamp(now));
    copy
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;

    #[test]
    fn the_copy_takes_over_what_changed_and_nothing_that_identifies() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let now = at("2026-01-01T00:00:00Z");
        let schools = Value::Map(fields! { "current" => Value::strings(["s1"]) });
        let user = fields! {
            "userType" => "student",
            "name" => fields! { "first" => "A" },
            "email" => "a@example.org",
            "archived" => false,
            "schools" => schools.clone(),
            "studentData" => fields! { "dob" => at("2015-09-20T00:00:00Z"), "grade" => 5 },
        };
        let all = CopiedParts::ALL;
        let (wanted, mask) = copy_changes(&Fields::new(), &user, all, now).unwrap();
        let mut expected = fields! {
            "birthMonth" => 9, "birthYear" => 2015, "grade" => "5", "schoolLevel" => "elementary",
            "archived" => false, "schools" => schools, "userType" => "student", "lastUpdated" => now,
        };
        for missing in ["districts", "classes", "groups", "families"] {
            expected.insert(missing.to_owned(), Value::Map(fields! { "current" => Value::Array(Vec::new()) }));
        }
        assert_eq!(wanted, expected);
        assert_eq!(mask.len(), expected.len());
        assert_eq!(copy_changes(&wanted, &user, all, now), None);
        let new = new_copy(&user, "s1", now);
        assert_eq!(copy_changes(&new, &user, all, now), None);
        assert_eq!((new.get("assessmentUid"), new.get("userType")), (Some(&"s1".into()), Some(&"student".into())));
        assert!(["name", "email", "studentData", "dob"].iter().all(|name| !new.contains_key(*name)));
        // A field that the user doesn't have any more is removed from the copy, too.
        let mut unknown = user.clone();
        unknown.insert("studentData".to_owned(), Value::empty_map());
        let (fields, mask) = copy_changes(&wanted, &unknown, all, now).unwrap();
        assert_eq!(fields, fields! { "lastUpdated" => now });
        let mask: Vec<String> = mask.iter().map(FieldPath::to_string).collect();
        assert_eq!(mask, ["lastUpdated", "birthMonth", "birthYear", "grade", "schoolLevel"]);
        let birth = CopiedParts { birth: true, ..CopiedParts::default() };
        let wrong = Fields::from([("birthMonth".to_owned(), Value::Integer(8)), ("birthYear".to_owned(), 2015.into())]);
        let (wanted, _) = copy_changes(&wrong, &user, birth, now).unwrap();
        assert_eq!(wanted, fields! { "birthMonth" => 9, "lastUpdated" => now });
    }
}
