//! What Clever's records mean in ROAR (docs/domain/rosters.md#what-clevers-records-mean). Pure.

use std::collections::HashMap;

use super::records::{DistrictInfo, Roles, School, Section, Unread, User, When, names};
use crate::documents::org::{contact, field, location};
use crate::documents::roster_entry::said;
use crate::documents::user;
use crate::documents::user::grade::level_of;
use crate::documents::user::same::fold_address;
use crate::orgs::{OrgKey, OrgLists, OrgType};
use crate::rostering::org::RosterOrg;
use crate::rostering::person::{Person, STUDENT_FIELDS};
use crate::store::{Fields, Timestamp, Value};

const DISTRICT_FIELDS: &[&str] = &[
    field::DISTRICT_CONTACT,
    field::LAUNCH_DATE,
    field::LOGIN_METHODS,
    field::MDR_NUMBER,
    field::NAME,
    field::NCES_ID,
    field::PAUSE_END,
    field::PAUSE_START,
    field::PORTAL_URL,
    field::SIS_TYPE,
];
const SCHOOL_FIELDS: &[&str] = &[
    field::HIGH_GRADE,
    field::LOCATION,
    field::LOW_GRADE,
    field::MDR_NUMBER,
    field::NAME,
    field::NCES_ID,
    field::PHONE,
    field::PRINCIPAL,
    field::SCHOOL_NUMBER,
    field::STATE_ID,
];
const SECTION_FIELDS: &[&str] =
    &[field::GRADE, field::NAME, field::SCHOOL_LEVEL, field::SECTION_ID, field::SECTION_NUMBER, field::SUBJECT];

/// Fields of what is known; what isn't is left out.
fn known<const N: usize>(entries: [(&str, Option<&String>); N]) -> Fields {
    let known = entries.into_iter().filter_map(|(name, text)| Some((name.to_owned(), Value::from(text?.as_str()))));
    known.collect()
}

/// A district.
pub fn district(info: &DistrictInfo) -> RosterOrg {
    let mut fields = known([
        (field::NAME, info.name.as_ref()),
        (field::SIS_TYPE, info.sis_type.as_ref()),
        (field::PORTAL_URL, info.portal_url.as_ref()),
        (field::LAUNCH_DATE, info.launch_date.as_ref()),
        (field::MDR_NUMBER, info.mdr_number.as_ref()),
        (field::NCES_ID, info.nces_id.as_ref()),
    ]);
    fields.insert(field::LOGIN_METHODS.to_owned(), Value::strings(&info.login_methods));
    for (name, time) in [(field::PAUSE_START, info.pause_start), (field::PAUSE_END, info.pause_end)] {
        if let Some(time) = time.and_then(When::stored) {
            fields.insert(name.to_owned(), Value::from(time));
        }
    }
    if let Some(whom) = &info.district_contact {
        let mut person = known([
            (contact::ID, whom.id.as_ref()),
            (contact::DISTRICT, whom.district.as_ref()),
            (contact::TITLE, whom.title.as_ref()),
            (contact::EMAIL, whom.email.as_ref()),
        ]);
        let name = known([(contact::FIRST, whom.name.first.as_ref()), (contact::LAST, whom.name.last.as_ref())]);
        person.insert(contact::NAME.to_owned(), Value::Map(name));
        fields.insert(field::DISTRICT_CONTACT.to_owned(), Value::Map(person));
    }
    RosterOrg::new(OrgKey::new(OrgType::District, &info.id), Vec::new(), fields, DISTRICT_FIELDS)
}

/// A school of that district.
pub fn school(school: &School, district: &str) -> RosterOrg {
    let mut fields = known([
        (field::NAME, school.name.as_ref()),
        (field::SCHOOL_NUMBER, school.school_number.as_ref()),
        (field::STATE_ID, school.state_id.as_ref()),
        (field::NCES_ID, school.nces_id.as_ref()),
        (field::MDR_NUMBER, school.mdr_number.as_ref()),
        (field::PHONE, school.phone.as_ref()),
        (field::LOW_GRADE, school.low_grade.as_ref()),
        (field::HIGH_GRADE, school.high_grade.as_ref()),
    ]);
    if let Some(place) = &school.location {
        let place = known([
            (location::ADDRESS, place.address.as_ref()),
            (location::CITY, place.city.as_ref()),
            (location::STATE, place.state.as_ref()),
            (location::ZIP, place.zip.as_ref()),
        ]);
        fields.insert(field::LOCATION.to_owned(), Value::Map(place));
    }
    if let Some(head) = &school.principal {
        let head = known([(contact::NAME, head.name.as_ref()), (contact::EMAIL, head.email.as_ref())]);
        fields.insert(field::PRINCIPAL.to_owned(), Value::Map(head));
    }
    let parents = vec![OrgKey::new(OrgType::District, district)];
    RosterOrg::new(OrgKey::new(OrgType::School, &school.id), parents, fields, SCHOOL_FIELDS)
}

/// A section, which is a class in ROAR; `None` for one without a school, which nothing could hold.
pub fn section(section: &Section, district: &str) -> Option<RosterOrg> {
    let school = section.school.as_ref()?;
    let mut fields = known([
        (field::NAME, section.name.as_ref()),
        (field::SECTION_ID, Some(&section.id)),
        (field::SECTION_NUMBER, section.section_number.as_ref()),
        (field::SUBJECT, section.subject.as_ref()),
        (field::GRADE, section.grade.as_ref()),
    ]);
    if let Some(level) = fields.get(field::GRADE).and_then(level_of).flatten() {
        fields.insert(field::SCHOOL_LEVEL.to_owned(), Value::from(level));
    }
    let parents = vec![OrgKey::new(OrgType::School, school), OrgKey::new(OrgType::District, district)];
    Some(RosterOrg::new(OrgKey::new(OrgType::Class, &section.id), parents, fields, SECTION_FIELDS))
}

/// The sections that somebody is in, as a student or a teacher, each with its school.
pub type SectionsOf<'a> = &'a [(&'a str, &'a str)];

/// A person: their type is that of the role that goes furthest, administrators before teachers before students
/// before contacts. Contacts are in no org. `None` for somebody without any role.
pub fn person(user: &User, district: &str, sections: SectionsOf) -> Option<Person> {
    let roles = &user.roles;
    let user_type = if roles.district_admin.is_some() || roles.staff.is_some() {
        "admin"
    } else if roles.teacher.is_some() {
        "educator"
    } else if roles.student.is_some() {
        "student"
    } else if roles.contact.is_some() {
        "caregiver"
    } else {
        return None;
    };
    let mut orgs = Vec::new();
    if user_type != "caregiver" {
        orgs.push((OrgType::District, district));
        orgs.extend(schools(roles).map(|school| (OrgType::School, school)));
        for (section, school) in sections {
            orgs.extend([(OrgType::School, *school), (OrgType::Class, *section)]);
        }
    }
    Some(Person {
        user_type,
        name: [user.name.first.clone(), user.name.middle.clone(), user.name.last.clone()],
        email: user.email.as_deref().map(fold_address),
        username: roles.student.as_ref().and_then(|student| student.credentials.district_username.clone()),
        student: if user_type == "student" { student(roles) } else { Fields::new() },
        orgs: orgs.into_iter().collect(),
        unread: Vec::new(),
    })
}

/// The fields of a users document, by their names in [`person`](crate::rostering::person), of which a record says what
/// nobody can read.
pub fn unread_of_person(unread: &[Unread]) -> Vec<&'static str> {
    let missing = unread.iter().filter(|unread| unread.spelling.is_none());
    let fields = missing.filter_map(|unread| match unread.field {
        names::FIRST => Some(said::FIRST_NAME),
        names::MIDDLE => Some(said::MIDDLE_NAME),
        names::LAST => Some(said::LAST_NAME),
        names::DISTRICT_USERNAME | names::CREDENTIALS => Some(said::USERNAME),
        names::EMAIL => Some(said::EMAIL),
        field => STUDENT_FIELDS.into_iter().find(|known| *known == field),
    });
    let mut fields: Vec<&str> = fields.collect();
    fields.sort_unstable();
    fields.dedup();
    fields
}

/// The fields of an org's document of which a record says what nobody can read.
pub fn unread_of_org(unread: &[Unread], org: &RosterOrg) -> Vec<&'static str> {
    let missing = unread.iter().filter(|unread| unread.spelling.is_none());
    let named = |field: &str| org.owned.iter().copied().find(|owned| camel_case(field) == **owned);
    let mut fields: Vec<&str> = missing.filter_map(|unread| named(unread.field)).collect();
    fields.sort_unstable();
    fields.dedup();
    fields
}

/// `low_grade` as documents have it: `lowGrade`.
fn camel_case(name: &str) -> String {
    let mut parts = name.split('_');
    let mut camel = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut letters = part.chars();
        camel.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    camel
}

fn schools(roles: &Roles) -> impl Iterator<Item = &str> {
    let student = roles.student.iter().flat_map(|role| &role.schools);
    let teacher = roles.teacher.iter().flat_map(|role| &role.schools);
    let staff = roles.staff.iter().flat_map(|role| &role.schools);
    student.chain(teacher).chain(staff).map(String::as_str)
}

/// What ROAR keeps of a student; flags in Clever's own form.
fn student(roles: &Roles) -> Fields {
    let Some(student) = &roles.student else { return Fields::new() };
    let mut data = known([
        (user::field::GRADE, student.grade.as_ref()),
        (user::field::GENDER, student.gender.as_ref()),
        (user::field::SIS_ID, student.sis_id.as_ref()),
        (user::field::STATE_ID, student.state_id.as_ref()),
        (user::field::STUDENT_NUMBER, student.student_number.as_ref()),
        (user::field::FRL_STATUS, student.frl_status.as_ref()),
    ]);
    for (name, flag) in [
        (user::field::HISPANIC_ETHNICITY, student.hispanic_ethnicity),
        (user::field::ELL_STATUS, student.ell_status),
        (user::field::IEP_STATUS, student.iep_status),
    ] {
        if let Some(flag) = flag {
            data.insert(name.to_owned(), Value::from(if flag { "Y" } else { "N" }));
        }
    }
    for (name, text) in [(user::field::RACE, &student.race), (user::field::HOME_LANGUAGE, &student.home_language)] {
        if let Some(text) = text {
            data.insert(name.to_owned(), Value::strings([text]));
        }
    }
    let born = student.dob.and_then(|born| born.to_zoned(jiff::tz::TimeZone::UTC).ok());
    if let Some(born) = born {
        data.insert(user::field::DOB.to_owned(), Value::from(born.timestamp()));
    }
    data
}

/// The orgs that the roles of a user give rights over: an administrator's district, the schools of staff, a
/// teacher's own sections. Students and contacts have none.
pub fn admin_orgs(user: &User, district: &str, taught: &[&str]) -> OrgLists {
    let roles = &user.roles;
    let mut orgs = Vec::new();
    if roles.district_admin.is_some() {
        orgs.push((OrgType::District, district));
    }
    orgs.extend(roles.staff.iter().flat_map(|staff| &staff.schools).map(|school| (OrgType::School, school.as_str())));
    if roles.teacher.is_some() {
        orgs.extend(taught.iter().map(|section| (OrgType::Class, *section)));
    }
    orgs.into_iter().collect()
}

/// Who is in which sections: the index of a user's sections by the user's ID. Each ID is kept once, and a section
/// as its place in the list, doubled, and one more where the user teaches it; so that a large district fits into little
/// memory.
#[derive(Default)]
pub struct Enrolments {
    sections: Vec<(String, String)>,
    of_user: HashMap<Box<str>, Vec<u32>>,
    enrolled: u64,
}

impl Enrolments {
    /// Notes a section's students and teachers. One without a school is left out.
    pub fn add(&mut self, section: &Section) {
        let Some(school) = &section.school else { return };
        let Ok(place) = u32::try_from(self.sections.len() * 2) else { return };
        self.sections.push((section.id.clone(), school.clone()));
        self.enrolled += section.students.len() as u64;
        let teachers = section.teachers.iter().chain(&section.teacher).map(|id| (id, place + 1));
        for (user, place) in section.students.iter().map(|id| (id, place)).chain(teachers) {
            let held = match self.of_user.get_mut(user.as_str()) {
                Some(held) => held,
                None => self.of_user.entry(user.as_str().into()).or_insert_with(|| Vec::with_capacity(2)),
            };
            if held.last() != Some(&place) {
                held.push(place);
            }
        }
    }

    /// How many students the sections have, all together.
    pub fn enrolled(&self) -> u64 {
        self.enrolled
    }

    /// The sections of a user, each with its school.
    pub fn sections_of(&self, user: &str) -> Vec<(&str, &str)> {
        self.places(user, false)
    }

    /// The sections that a user teaches.
    pub fn taught_by(&self, user: &str) -> Vec<&str> {
        self.places(user, true).into_iter().map(|(section, _)| section).collect()
    }

    fn places(&self, user: &str, only_taught: bool) -> Vec<(&str, &str)> {
        let held = self.of_user.get(user).map(Vec::as_slice).unwrap_or_default();
        let places = held.iter().filter(|place| *place % 2 == 1 || !only_taught).map(|place| *place as usize / 2);
        let found = places.filter_map(|place| self.sections.get(place));
        found.map(|(section, school)| (section.as_str(), school.as_str())).collect()
    }
}

/// True while the district has stopped its data, or may have: what is missing then isn't gone.
///
/// Clever gives the dates of a pause as days, in a zone that it doesn't tell, or as points in time. A day counts as it's
/// widest meant, an end without a beginning has begun, and what can't be read may be now.
pub fn is_paused(info: &DistrictInfo, now: Timestamp) -> bool {
    let has_begun = |start: When| start.earliest().is_none_or(|start| start <= now);
    let goes_on = |end: When| end.latest().is_none_or(|end| now < end);
    match (info.pause_start, info.pause_end) {
        (None, None) => false,
        (start, end) => start.is_none_or(has_begun) && end.is_none_or(goes_on),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::records::record;
    use super::*;
    use crate::fields;

    fn user(roles: serde_json::Value) -> User {
        let user = json!({
            "id": "65a1b2c3d4e5f60718293a01", "email": "T@School.org", "name": {"first": "A", "last": "B"}, "roles": roles,
        });
        record(user).expect("a user")
    }

    #[test]
    fn roles_come_to_types_orgs_and_rights() {
        let student = json!({"student": {"school": "s1", "schools": ["s1", "s2"], "grade": "3", "dob": "2/9/2016",
            "ell_status": "Y", "race": "Asian", "home_language": "Spanish"}});
        let teacher = json!({"teacher": {"school": "s1", "schools": ["s1"]}});
        let both = json!({"teacher": {"schools": ["s1"]}, "staff": {"schools": ["s2"]}});
        let head = json!({"district_admin": {"title": "Head"}, "staff": {"schools": []}});
        let contact = json!({"contact": {"student_relationships": []}});
        let sections = [("c1", "s1"), ("c3", "s3")];
        let lists = |orgs: &OrgLists| orgs.iter().map(|(_, id)| id.to_owned()).collect::<Vec<_>>().join(" ");
        // Roles; type; orgs; rights.
        for (roles, user_type, orgs, rights) in [
            (student.clone(), "student", "d1 s1 s2 s3 c1 c3", ""),
            (teacher, "educator", "d1 s1 s3 c1 c3", "c1 c3"),
            (both, "admin", "d1 s1 s2 s3 c1 c3", "s2 c1 c3"),
            (head, "admin", "d1 s1 s3 c1 c3", "d1"),
            (contact, "caregiver", "", ""),
        ] {
            let user = user(roles);
            let person = person(&user, "d1", &sections).expect("somebody");
            assert_eq!((person.user_type, lists(&person.orgs).as_str()), (user_type, orgs));
            assert_eq!(lists(&admin_orgs(&user, "d1", &["c1", "c3"])), rights, "{user_type}");
        }
        assert!(person(&user(json!({})), "d1", &[]).is_none());
        let person = person(&user(student), "d1", &[]).expect("a student");
        assert_eq!(person.email.as_deref(), Some("t@school.org"));
        let born: Timestamp = "2016-02-09T00:00:00Z".parse().unwrap();
        let expected = fields! {
            "grade" => "3", "dob" => born, "ell_status" => "Y", "race" => Value::strings(["Asian"]),
            "home_language" => Value::strings(["Spanish"]),
        };
        assert_eq!(person.student, expected);
    }

    #[test]
    fn sections_are_classes_of_schools() {
        let read = |section| record::<Section>(section).expect("a section");
        let one = read(json!({"id": "c1", "school": "s1", "name": "Room 1", "grade": "7", "students": ["u1", "u2"],
            "teachers": ["t1", "t2"], "teacher": "t1"}));
        let other = read(json!({"id": "c2", "school": "s2", "name": "Room 2", "students": ["u1"], "teachers": []}));
        let lost = read(json!({"id": "c3", "name": "Nowhere", "students": ["u1"], "teachers": ["t1"]}));
        let class = section(&one, "d1").expect("a class");
        assert_eq!(class.parents, [OrgKey::new(OrgType::School, "s1"), OrgKey::new(OrgType::District, "d1")]);
        assert_eq!(class.fields.get("schoolLevel"), Some(&Value::from("middle")));
        assert_eq!(section(&lost, "d1"), None);
        let mut enrolments = Enrolments::default();
        for each in [&one, &other, &lost] {
            enrolments.add(each);
        }
        assert_eq!(enrolments.sections_of("u1"), [("c1", "s1"), ("c2", "s2")]);
        assert_eq!(enrolments.sections_of("t1"), [("c1", "s1")], "also when they're named twice");
        assert_eq!((enrolments.taught_by("t2"), enrolments.taught_by("u1")), (vec!["c1"], vec![]));
        // Whoever comes or goes, the class is the same.
        let fuller = read(json!({"id": "c1", "school": "s1", "name": "Room 1", "grade": "7", "students": ["u9"]}));
        assert_eq!(section(&fuller, "d1").expect("a class").fingerprint, class.fingerprint);
        let renamed = read(json!({"id": "c1", "school": "s1", "name": "Room 9", "grade": "7"}));
        assert_ne!(section(&renamed, "d1").expect("a class").fingerprint, class.fingerprint);
    }

    #[test]
    fn a_pause_has_a_beginning_and_maybe_an_end() {
        let at = |text: &str| text.parse::<Timestamp>().expect("an instant");
        let info = |start: Option<&str>, end: Option<&str>| -> DistrictInfo {
            let info = json!({"id": "d1", "name": "D", "pause_start": start, "pause_end": end});
            record(info).expect("a district")
        };
        let (before, after) = (Some("2026-06-01T00:00:00.000Z"), Some("2026-08-01T00:00:00.000Z"));
        for (start, end, expected) in
            [(None, None, false), (before, None, true), (before, after, true), (after, None, false)]
        {
            assert_eq!(is_paused(&info(start, end), at("2026-07-01T00:00:00Z")), expected, "{start:?} {end:?}");
        }
        assert!(!is_paused(&info(before, after), at("2026-09-01T00:00:00Z")));
        // Days, as wide as they may be meant: start, end, now.
        for (start, end, now, expected) in [
            (Some("2026-11-15"), Some("2027-08-01"), "2026-12-01T00:00:00Z", true),
            (Some("2026-11-15"), Some("2027-08-01"), "2026-11-14T09:59:59Z", false),
            (Some("2026-11-15"), Some("2027-08-01"), "2026-11-14T10:00:00Z", true),
            (Some("2026-11-15"), Some("2027-08-01"), "2027-08-02T11:59:59Z", true),
            (Some("2026-11-15"), Some("2027-08-01"), "2027-08-02T12:00:00Z", false),
            (Some("2026-11-15"), None, "2030-01-01T00:00:00Z", true),
            (None, Some("2027-08-01"), "2026-12-01T00:00:00Z", true),
            (None, Some("2027-08-01"), "2027-09-01T00:00:00Z", false),
            (Some("in autumn"), None, "2026-12-01T00:00:00Z", true),
            (Some("in autumn"), Some("2026-11-01"), "2026-12-01T00:00:00Z", false),
            (Some("2026-11-15"), Some("in summer"), "2030-01-01T00:00:00Z", true),
            (Some("2031-11-15"), Some("in summer"), "2030-01-01T00:00:00Z", false),
            (Some(""), Some(""), "2030-01-01T00:00:00Z", false),
        ] {
            assert_eq!(is_paused(&info(start, end), at(now)), expected, "{start:?} {end:?} {now}");
        }
    }

    #[test]
    fn both_dates_of_a_pause_are_stored() {
        let stored = |start: &str, end: &str| {
            let info = json!({"id": "d1", "name": "D", "pause_start": start, "pause_end": end});
            let org = district(&record(info).expect("a district"));
            ["pauseStart", "pauseEnd"].map(|name| org.fields.get(name).and_then(Value::as_timestamp))
        };
        let at = |text: &str| Some(text.parse::<Timestamp>().expect("an instant"));
        let (start, end) = (at("2026-11-15T00:00:00Z"), at("2027-08-01T00:00:00Z"));
        assert_eq!(stored("2026-11-15", "2027-08-01"), [start, end]);
        assert_eq!(stored("2026-11-15T00:00:00.000Z", "2027-08-01T00:00:00.000Z"), [start, end]);
        assert_eq!(stored("soon", "2027-08-01"), [None, end]);
    }

    #[test]
    fn what_cant_be_read_is_named_as_documents_have_it() {
        let unread = |fields: &[&'static str]| -> Vec<Unread> {
            fields.iter().map(|field| Unread { field, spelling: None }).collect()
        };
        let person = unread_of_person(&unread(&["dob", "first", "district_username", "legacy_id", "email", "dob"]));
        assert_eq!(person, ["dob", "email", "name.first", "username"]);
        let info = json!({"id": "d1", "name": "D"});
        let org = district(&record(info).expect("a district"));
        assert_eq!(
            unread_of_org(&unread(&["pause_start", "sis_type", "name"]), &org),
            ["name", "pauseStart", "sisType"]
        );
        let spelt = Unread { field: "grade", spelling: Some("Honors".to_owned()) };
        assert!(unread_of_person(&[spelt]).is_empty(), "it's kept as it's spelt");
    }
}
