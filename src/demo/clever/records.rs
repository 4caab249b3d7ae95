//! The records of a made-up district as Clever shows them (docs/domain/wire-formats.md#records-at-clever).

use serde_json::{Map, Value, json};

use super::roster::{Kind, Person, Roster};
use crate::rostering::clever::Version;

const SCHOOLS: [&str; 10] = [
    "Willow Creek",
    "Lincoln",
    "Cesar Chavez",
    "Oak Grove",
    "Maya Angelou",
    "Riverbend",
    "Sunnyside",
    "Harriet Tubman",
    "Cedar Hills",
    "Ellen Ochoa",
];
const FIRST: [&str; 40] = [
    "Amara",
    "Ben",
    "Camila",
    "Diego",
    "Elena",
    "Farid",
    "Grace",
    "Hugo",
    "Imani",
    "Jonas",
    "Keiko",
    "Liam",
    "Maya",
    "Noah",
    "Olivia",
    "Priya",
    "Quinn",
    "Rosa",
    "Samir",
    "Talia",
    "Uma",
    "Victor",
    "Wen",
    "Zoë",
    "Aaliyah",
    "Björn",
    "Chloé",
    "Dmitri",
    "Esperanza",
    "Fatima",
    "Gael",
    "Hana",
    "Isla",
    "José",
    "Khadija",
    "Luca",
    "Mei",
    "Ngozi",
    "Oisín",
    "Siân",
];
const LAST: [&str; 37] = [
    "Alvarez",
    "Brooks",
    "Chen",
    "Davis",
    "Edwards",
    "Flores",
    "García",
    "Huang",
    "Ibrahim",
    "Johnson",
    "Kim",
    "Lopez",
    "Martinez",
    "Nguyen",
    "Okafor",
    "Patel",
    "Quigley",
    "Ramirez",
    "Smith",
    "Tran",
    "Ueda",
    "Vargas",
    "Williams",
    "Xiong",
    "Young",
    "Zamora",
    "Baptiste",
    "Haddad",
    "Novak",
    "O'Brien",
    "Smith-Jones",
    "de la Cruz",
    "Müller",
    "Ångström",
    "Nakamura",
    "Osei",
    "Yazzie",
];
const CREATED: &str = "2026-08-01T12:00:00.000Z";
const GRADES: [&str; 13] = ["Kindergarten", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"];

impl Roster {
    /// The district.
    pub fn district_json(&self, version: Version) -> Value {
        let id = self.id(Kind::District, 0);
        let mut district = json!({
            "id": id, "name": format!("Made-up Unified {}", self.number + 1), "state": "running",
            "sis_type": "sftp", "portal_url": format!("https://clever.com/in/made-up-{}", self.number + 1),
            "login_methods": ["Clever Passwords", "Google"], "launch_date": "2026-07-15",
            "last_sync": "2026-09-01T07:00:00.000Z", "mdr_number": null, "nces_id": "0600001",
            "pause_start": null, "pause_end": null,
            "district_contact": {
                "id": self.id(Kind::User, self.users() - 1), "district": id,
                "name": {"first": "Dana", "middle": "", "last": "Rivera"}, "title": "Director of data",
                "email": "dana.rivera@district.example",
            },
        });
        if version == Version::V3_1 {
            merge(&mut district, json!({"lms_type": "", "lms_state": "", "last_attendance_sync": null}));
        }
        district
    }

    /// A school.
    pub fn school_json(&self, school: u64) -> Value {
        let name = SCHOOLS[(self.dice("school", 0).wrapping_add(school) % SCHOOLS.len() as u64) as usize];
        let grades = self.grades_of(school);
        let kind = match grades.len() {
            3 => "Middle School",
            4 => "High School",
            _ => "Elementary",
        };
        let more = school / SCHOOLS.len() as u64;
        let name = if more == 0 { format!("{name} {kind}") } else { format!("{name} {kind} {}", more + 1) };
        json!({
            "id": self.id(Kind::School, school), "district": self.id(Kind::District, 0), "name": name,
            "sis_id": format!("SC{school}"), "school_number": format!("{}", 100 + school),
            "state_id": format!("CA-{school:05}"), "nces_id": format!("0600001{school:05}"), "mdr_number": null,
            "phone": format!("(555) 555-{:04}", school % 10_000), "low_grade": grades[0],
            "high_grade": grades[grades.len() - 1],
            "location": {"address": format!("{} Main St", school + 1), "city": "Springfield", "state": "CA",
                         "zip": "94301", "lat": "37.44", "lon": "-122.14"},
            "principal": {"name": "Pat Principal", "email": format!("principal{school}@district.example")},
            "ext": {}, "created": CREATED, "last_modified": CREATED,
        })
    }

    /// A section with these students.
    pub fn section_json(&self, section: u64, version: Version, teachers: &[u64], students: &[u64]) -> Value {
        let (place, is_homeroom) = self.place_of_section(section);
        let grade = self.grade_of_section(section);
        let name = if is_homeroom { format!("Grade {grade} {}", place + 1) } else { format!("Reading {}", place + 1) };
        let user = |index: &u64| self.id(Kind::User, *index);
        let mut section_json = json!({
            "id": self.id(Kind::Section, section), "district": self.id(Kind::District, 0),
            "school": self.id(Kind::School, self.school_of_section(section)), "name": name,
            "sis_id": format!("SE{section}"), "section_number": format!("{section}"),
            "course": self.id(Kind::Course, place % 20), "term_id": self.id(Kind::Term, 0),
            "subject": if is_homeroom { "homeroom/advisory" } else { "english/language arts" },
            "grade": grade, "period": if is_homeroom { Value::Null } else { json!(format!("{}", place % 7 + 1)) },
            "teacher": teachers.first().map(user), "teachers": teachers.iter().map(user).collect::<Vec<_>>(),
            "students": students.iter().map(user).collect::<Vec<_>>(),
            "ext": {}, "created": CREATED, "last_modified": CREATED,
        });
        if self.chance("section grade", section, 50) {
            section_json["grade"] = json!("");
        }
        if version == Version::V3_1 {
            section_json["lms_status"] = Value::Null;
        }
        section_json
    }

    /// A user. `home` is the section of a newcomer, that is, a student added later.
    pub fn user_json(&self, index: u64, version: Version, home: Option<u64>, unknown_values: bool) -> Value {
        let person = self.person(index);
        let (first, last) = self.names(index);
        let mut user = json!({
            "id": self.id(Kind::User, index), "district": self.id(Kind::District, 0),
            "email": self.email(index), "name": {"first": first, "middle": "", "last": last},
            "roles": {}, "created": CREATED, "last_modified": CREATED,
        });
        if self.chance("middle", index, 3) {
            user["name"]["middle"] = json!("J");
        }
        let school = |school: u64| self.id(Kind::School, school);
        let mut roles = Map::new();
        match person {
            Person::Student(n) => {
                let schools = std::iter::once(self.school_of(n)).chain(self.second_school_of(n));
                let schools = schools.map(school).collect();
                let student = self.student_json(index, version, self.homeroom_of(n), schools, unknown_values);
                roles.insert("student".to_owned(), student);
            }
            Person::Newcomer(_) => {
                let home = home.unwrap_or_default();
                let schools = vec![school(self.school_of_section(home))];
                roles.insert("student".to_owned(), self.student_json(index, version, home, schools, unknown_values));
            }
            Person::Teacher(n) => {
                let at = school(n / self.homerooms());
                let teacher = json!({
                    "legacy_id": self.id(Kind::Legacy, index), "sis_id": format!("T{n}"),
                    "teacher_number": format!("{n}"), "state_id": null, "title": "Teacher", "school": at,
                    "schools": [at], "district": self.id(Kind::District, 0), "credentials": {"district_username": ""},
                    "ext": {}, "created": CREATED, "last_modified": CREATED,
                });
                roles.insert("teacher".to_owned(), teacher);
                if self.holds(person, "staff") {
                    roles.insert("staff".to_owned(), self.staff_json(index, "Coach", vec![at]));
                }
            }
            Person::Staff(n) => {
                let title = if n % 2 == 0 { "Principal" } else { "Secretary" };
                roles.insert("staff".to_owned(), self.staff_json(index, title, vec![school(n / 2)]));
                // Clever may send null for a role that the user doesn't have.
                roles.insert("teacher".to_owned(), Value::Null);
            }
            Person::Admin(n) => {
                let admin = json!({"legacy_id": self.id(Kind::Legacy, index), "title": "Superintendent"});
                roles.insert("district_admin".to_owned(), admin);
                if self.holds(person, "staff") {
                    let at = vec![school(n % self.size.schools.max(1))];
                    roles.insert("staff".to_owned(), self.staff_json(index, "Administrator", at));
                }
            }
            Person::Contact(n) => {
                // The whole name is in `last` (docs/domain/wire-formats.md#records-at-clever).
                user["name"] = json!({"first": "", "middle": "", "last": format!("{first} {last}")});
                roles.insert("contact".to_owned(), self.contact_json(index, n));
            }
        }
        user["roles"] = Value::Object(roles);
        user
    }

    fn names(&self, index: u64) -> (&'static str, &'static str) {
        (one_of(&FIRST, self.dice("first", index)), one_of(&LAST, self.dice("last", index)))
    }

    /// A user's e-mail address. Some users have none, some an empty one, some another user's, and some an invalid one.
    fn email(&self, index: u64) -> Value {
        if self.chance("no email", index, 20) {
            Value::Null
        } else if self.chance("empty email", index, 50) {
            json!("")
        } else if self.chance("bad email", index, 400) {
            json!(format!("user{index}"))
        } else {
            // Only students and contacts may share an address with another user.
            let may_share = matches!(self.person(index), Person::Student(_) | Person::Contact(_));
            let of = if may_share && index % 61 == 60 { index - 1 } else { index };
            json!(format!("user{of}.d{}@school.example", self.number))
        }
    }

    fn student_json(
        &self,
        index: u64,
        version: Version,
        home: u64,
        schools: Vec<String>,
        unknown_values: bool,
    ) -> Value {
        let grade = self.grade_of_section(home);
        let years = GRADES.iter().position(|one| *one == grade).unwrap_or(0) as u64;
        let yes = |what: &str, every| if self.chance(what, index, every) { "Y" } else { "N" };
        let born = self.dice("dob", index);
        let mut student = json!({
            "legacy_id": self.id(Kind::User, index), "sis_id": format!("S{index}"),
            "student_number": format!("{}", 1_000_000 + index), "state_id": format!("CA{:08}", index),
            "school": schools[0], "schools": schools,
            "enrollments": schools.iter().map(|school| json!({
                "school": school, "start_date": "2026-08-15", "end_date": "2027-06-10",
            })).collect::<Vec<_>>(),
            "grade": grade, "graduation_year": format!("{}", 2039 - years),
            "dob": match self.chance("padded dob", index, 3) {
                true => format!("{:02}/{:02}/{}", born % 12 + 1, born / 12 % 28 + 1, 2021 - years),
                false => format!("{}/{}/{}", born % 12 + 1, born / 12 % 28 + 1, 2021 - years),
            },
            "gender": one_of(&["M", "F", "M", "F", "M", "F", "X", ""], self.dice("gender", index)),
            "race": one_of(&[
                "Caucasian", "Asian", "Black or African American", "American Indian", "Hawaiian or Other Pacific Islander",
                "Two or More Races", "Unknown", "",
            ], self.dice("race", index)),
            "hispanic_ethnicity": yes("hispanic", 4), "ell_status": yes("ell", 6),
            "location": {"address": null, "city": "Springfield", "state": "CA", "zip": "94301", "lat": null,
                         "lon": null},
            "credentials": {"district_username": format!("student{index}")}, "ext": {}, "created": CREATED,
            "last_modified": CREATED,
        });
        if version == Version::V3_1 {
            let more = json!({
                "frl_status": one_of(&["Free", "Reduced", "Paid", "Other", ""], self.dice("frl", index)),
                "iep_status": yes("iep", 9), "gifted_status": "", "section_504_status": "N",
                "home_language": "Spanish", "home_language_code": "spa",
                "preferred_name": {"first": null, "middle": null, "last": null},
            });
            merge(&mut student, more);
        }
        match self.dice("oddity", index) % 400 {
            0 => student["grade"] = json!(""),
            1 => student["grade"] = Value::Null,
            2 => student["dob"] = Value::Null,
            3 | 4 => drop(student.as_object_mut().and_then(|student| student.remove("dob"))),
            5 => student["gender"] = Value::Null,
            6 => drop(student.as_object_mut().and_then(|student| student.remove("credentials"))),
            7 => student["ell_status"] = json!(""),
            // Documented grades that have no number.
            14 => student["grade"] = json!("Ungraded"),
            15 => student["grade"] = json!("Other"),
            16 => drop(student.as_object_mut().and_then(|student| student.remove("gender"))),
            17 => student["hispanic_ethnicity"] = json!(""),
            18 => student["race"] = Value::Null,
            8 if unknown_values => student["grade"] = json!("Third"),
            9 if unknown_values => student["gender"] = json!("unknown"),
            11 if unknown_values => student["grade"] = json!("Honors"),
            12 if unknown_values => student["dob"] = json!("2016-02-09T00:00:00.000Z"),
            13 if unknown_values => student["dob"] = json!("not given"),
            19 if unknown_values => student["sis_id"] = json!(index),
            10 if unknown_values => student["new_field"] = json!({"of": ["a", "later", "version"]}),
            _ => {}
        }
        student
    }

    fn staff_json(&self, index: u64, title: &str, schools: Vec<String>) -> Value {
        json!({
            "legacy_id": self.id(Kind::Legacy, index + (1 << 32)), "staff_id": format!("ST{index}"), "title": title,
            "department": null, "roles": [title], "schools": schools, "credentials": {"district_username": ""},
            "ext": {},
        })
    }

    fn contact_json(&self, index: u64, n: u64) -> Value {
        let of = |student: u64| {
            json!({
                "student": self.id(Kind::User, student),
                "relationship": one_of(&["Parent", "Grandparent", "Self", "Aunt/Uncle", "Sibling", "Other", ""], self.dice("relationship", n)),
                "type": one_of(&["Parent/Guardian", "Primary", "Emergency", "Secondary", "Family", "Other", ""], self.dice("type", n)),
            })
        };
        let students = (2 * n..2 * n + 2).filter(|student| *student < self.size.students);
        json!({
            "legacy_id": self.id(Kind::Legacy, index), "sis_id": format!("C{n}"),
            "phone": format!("(555) 555-{:04}", n % 10_000), "phone_type": "Cell",
            "student_relationships": students.map(of).collect::<Vec<_>>(),
        })
    }
}

/// The entry of the list that the random number `dice` selects.
fn one_of(list: &[&'static str], dice: u64) -> &'static str {
    list[(dice % list.len() as u64) as usize]
}

/// Adds the fields of `more` to those of `record`.
fn merge(record: &mut Value, more: Value) {
    if let (Value::Object(record), Value::Object(more)) = (record, more) {
        record.extend(more);
    }
}

/// Sets the field at `path` (`roles/student/grade`); `None` removes it.
pub fn put(record: &mut Value, path: &str, value: Option<Value>) {
    let (parents, name) = path.rsplit_once('/').unwrap_or(("", path));
    let mut at = record;
    for parent in parents.split('/').filter(|parent| !parent.is_empty()) {
        at = &mut at[parent];
    }
    match value {
        Some(value) => at[name] = value,
        None => drop(at.as_object_mut().and_then(|fields| fields.remove(name))),
    }
}
