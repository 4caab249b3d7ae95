//! What rosters say, whoever provides them: districts, schools, classes, people and who is in which class. Sources
//! ([`source`](super::source)) make these values of their own records, and syncs go by them. Pure.

use std::collections::HashMap;

use thiserror::Error;

pub use super::org::RosterOrg;
pub use super::person::Person;
use crate::orgs::{OrgLists, OrgType};

/// A value that was there and couldn't be read, and so was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// The field, as the provider calls it.
    pub field: &'static str,
    /// Of a grade: how it's spelt, which says nothing about anybody. It's kept as it came.
    pub spelling: Option<String>,
}

/// A record that can't be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("record {}: {what} can't be read", id.as_deref().unwrap_or("without an ID"))]
pub struct Unreadable {
    /// Its ID, where that can be read.
    pub id: Option<String>,
    /// The field that can't.
    pub what: &'static str,
}

/// A district.
#[derive(Clone, Debug, PartialEq)]
pub struct RosterDistrict {
    /// The org.
    pub org: RosterOrg,
    /// Its name.
    pub name: Option<String>,
    /// The provider has all of its data now: what is missing isn't merely held back, by a pause, say.
    pub is_complete: bool,
}

/// A class, with its people.
#[derive(Clone, Debug, PartialEq)]
pub struct RosterClass {
    /// Its ID.
    pub id: String,
    /// The org; `None` for a class without a school, which nothing could hold.
    pub org: Option<RosterOrg>,
    /// The ID of its school.
    pub school: Option<String>,
    /// The IDs of its students.
    pub students: Vec<String>,
    /// The IDs of its teachers.
    pub teachers: Vec<String>,
}

/// The classes that somebody is in, as a student or a teacher, each with its school.
pub type ClassesOf<'a> = &'a [(&'a str, &'a str)];

/// Somebody of a roster.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// Their ID at the provider.
    pub id: String,
    /// Who they are, in the orgs that their own record names. `None` for somebody without a role that we know.
    pub person: Option<Person>,
    /// The orgs that their roles give rights over, their classes aside.
    pub rights: OrgLists,
    /// They have rights over the classes that they teach.
    pub teaches: bool,
}

impl Member {
    /// The person, who is in these classes and their schools, too. Caregivers are in no org.
    pub fn in_classes(&self, classes: ClassesOf) -> Option<Person> {
        let mut person = self.person.clone()?;
        if person.user_type != "caregiver" {
            for (class, school) in classes {
                person.orgs.add(OrgType::School, school);
                person.orgs.add(OrgType::Class, class);
            }
        }
        Some(person)
    }

    /// The orgs that they have rights over, if they teach these classes.
    pub fn rights_with(&self, taught: &[&str]) -> OrgLists {
        let mut rights = self.rights.clone();
        for class in taught.iter().filter(|_| self.teaches) {
            rights.add(OrgType::Class, class);
        }
        rights
    }
}

/// Who is in which classes: the places of a user's classes by the user's ID. Each ID is kept once, and a class as its
/// place in the list, doubled, and one more where the user teaches it; so that a large district fits into little memory.
#[derive(Default)]
pub struct Enrolments {
    classes: Vec<(String, String)>,
    of_user: HashMap<Box<str>, Vec<u32>>,
    enrolled: u64,
}

impl Enrolments {
    /// Notes a class's students and teachers. A class without a school is left out.
    pub fn add(&mut self, class: &RosterClass) {
        let Some(school) = &class.school else { return };
        let Ok(place) = u32::try_from(self.classes.len() * 2) else { return };
        self.classes.push((class.id.clone(), school.clone()));
        self.enrolled += class.students.len() as u64;
        let teachers = class.teachers.iter().map(|id| (id, place + 1));
        for (user, place) in class.students.iter().map(|id| (id, place)).chain(teachers) {
            let held = match self.of_user.get_mut(user.as_str()) {
                Some(held) => held,
                None => self.of_user.entry(user.as_str().into()).or_insert_with(|| Vec::with_capacity(2)),
            };
            if held.last() != Some(&place) {
                held.push(place);
            }
        }
    }

    /// How many students the classes have, all together.
    pub fn enrolled(&self) -> u64 {
        self.enrolled
    }

    /// The classes of a user, each with its school.
    pub fn sections_of(&self, user: &str) -> Vec<(&str, &str)> {
        self.places(user, false)
    }

    /// The classes that a user teaches.
    pub fn taught_by(&self, user: &str) -> Vec<&str> {
        self.places(user, true).into_iter().map(|(class, _)| class).collect()
    }

    fn places(&self, user: &str, only_taught: bool) -> Vec<(&str, &str)> {
        let held = self.of_user.get(user).map(Vec::as_slice).unwrap_or_default();
        let places = held.iter().filter(|place| *place % 2 == 1 || !only_taught).map(|place| *place as usize / 2);
        let found = places.filter_map(|place| self.classes.get(place));
        found.map(|(class, school)| (class.as_str(), school.as_str())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Fields;

    fn class(id: &str, school: Option<&str>, students: &[&str], teachers: &[&str]) -> RosterClass {
        let texts = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
        let (id, school) = (id.to_owned(), school.map(str::to_owned));
        RosterClass { id, org: None, school, students: texts(students), teachers: texts(teachers) }
    }

    #[test]
    fn enrolments_know_who_is_in_a_class_and_who_teaches_it() {
        let mut enrolments = Enrolments::default();
        enrolments.add(&class("c1", Some("s1"), &["u1", "u2"], &["t1", "t1"]));
        enrolments.add(&class("c2", Some("s2"), &["u1"], &["u2"]));
        enrolments.add(&class("c3", None, &["u1"], &["t1"]));
        assert_eq!(enrolments.sections_of("u1"), [("c1", "s1"), ("c2", "s2")]);
        assert_eq!(enrolments.sections_of("t1"), [("c1", "s1")], "also when they're named twice");
        assert_eq!(enrolments.taught_by("u2"), ["c2"], "who is a student of one may teach another");
        assert_eq!((enrolments.taught_by("u1"), enrolments.sections_of("nobody")), (vec![], vec![]));
        assert_eq!(enrolments.enrolled(), 3);
    }

    #[test]
    fn classes_bring_schools_and_give_rights_to_who_teaches_them() {
        // Type, teaches; orgs, rights.
        for (user_type, teaches, orgs, rights) in [
            ("student", false, "d1 s1 s2 c1 c2", "s1"),
            ("educator", true, "d1 s1 s2 c1 c2", "s1 c1"),
            ("caregiver", false, "d1 s1", "s1"),
        ] {
            let orgs_of_record = [(OrgType::District, "d1"), (OrgType::School, "s1")].into_iter().collect();
            let person = Person {
                user_type,
                name: [None, None, None],
                email: None,
                username: None,
                student: Fields::new(),
                orgs: orgs_of_record,
                unread: Vec::new(),
            };
            let rights_of_role = [(OrgType::School, "s1")].into_iter().collect();
            let member = Member { id: "u1".to_owned(), person: Some(person), rights: rights_of_role, teaches };
            let person = member.in_classes(&[("c1", "s1"), ("c2", "s2")]).expect("somebody");
            assert_eq!(person.orgs.flatten().join(" "), orgs, "{user_type}");
            assert_eq!(member.rights_with(&["c1"]).flatten().join(" "), rights, "{user_type}");
            assert_eq!(Member { person: None, ..member }.in_classes(&[]), None);
        }
    }
}
