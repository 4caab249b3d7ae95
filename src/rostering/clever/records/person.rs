//! Users, whatever roles they hold.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use super::object::{Object, write_flag, write_us_date};
use super::{Fields, Record, names, show_nothing, show_the_id};

const GENDERS: [&str; 3] = ["M", "F", "X"];
const RACES: [&str; 7] = [
    "Caucasian",
    "Asian",
    "Black or African American",
    "American Indian",
    "Hawaiian or Other Pacific Islander",
    "Two or More Races",
    "Unknown",
];
const LUNCHES: [&str; 4] = ["Free", "Reduced", "Paid", "Other"];
const RELATIONSHIPS: [&str; 6] = ["Parent", "Grandparent", "Self", "Aunt/Uncle", "Sibling", "Other"];
const RELATIONSHIP_TYPES: [&str; 6] = ["Parent/Guardian", "Emergency", "Primary", "Secondary", "Family", "Other"];

/// A role that a user may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Students hold no other role.
    Student,
    /// Teachers.
    Teacher,
    /// Staff of schools.
    Staff,
    /// Administrators of the district.
    DistrictAdmin,
    /// Contacts of students, who hold no other role.
    Contact,
}

impl Role {
    /// All of them.
    pub const ALL: [Role; 5] = [Role::Student, Role::Teacher, Role::Staff, Role::DistrictAdmin, Role::Contact];

    /// As Clever calls it.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Student => "student",
            Role::Teacher => "teacher",
            Role::Staff => "staff",
            Role::DistrictAdmin => "district_admin",
            Role::Contact => "contact",
        }
    }
}

/// A user: one person, with the roles that they hold.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct User {
    /// Their ID: the only key there is. E-mail addresses may be shared, and IDs of the district's own system change.
    pub id: String,
    /// Their district's ID.
    pub district: Option<String>,
    /// Their e-mail address, which nobody has checked: it may lack its `@`.
    pub email: Option<String>,
    /// Their name. A contact's whole name is in `last`.
    pub name: Name,
    /// Their roles.
    pub roles: Roles,
    /// When they were made.
    pub created: Option<Timestamp>,
    /// When they changed last. It isn't in fingerprints.
    pub last_modified: Option<Timestamp>,
}

/// A name.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct Name {
    /// First name.
    pub first: Option<String>,
    /// Middle name.
    pub middle: Option<String>,
    /// Last name.
    pub last: Option<String>,
}

impl Name {
    pub(super) fn read(name: Option<Object>) -> Name {
        let Some(mut name) = name else { return Name::default() };
        Name { first: name.text(names::FIRST), middle: name.text(names::MIDDLE), last: name.text(names::LAST) }
    }
}

/// The roles of a user. Teacher, staff and district administrator go together; student and contact go alone.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct Roles {
    /// As a student.
    pub student: Option<Box<Student>>,
    /// As a teacher.
    pub teacher: Option<Box<Teacher>>,
    /// As staff.
    pub staff: Option<Box<Staff>>,
    /// As an administrator of the district.
    pub district_admin: Option<DistrictAdmin>,
    /// As a contact.
    pub contact: Option<Box<Contact>>,
}

impl Roles {
    /// Those held.
    pub fn held(&self) -> Vec<Role> {
        let held = [
            (Role::Student, self.student.is_some()),
            (Role::Teacher, self.teacher.is_some()),
            (Role::Staff, self.staff.is_some()),
            (Role::DistrictAdmin, self.district_admin.is_some()),
            (Role::Contact, self.contact.is_some()),
        ];
        held.into_iter().filter(|(_, is_held)| *is_held).map(|(role, _)| role).collect()
    }
}

/// A student.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct Student {
    /// ID before version 3; not for requests.
    pub legacy_id: Option<String>,
    /// ID in the district's own system, unique in the district only.
    pub sis_id: Option<String>,
    /// Number in the district.
    pub student_number: Option<String>,
    /// Number in the state.
    pub state_id: Option<String>,
    /// The primary school's ID.
    pub school: Option<String>,
    /// IDs of all schools, the primary one among them.
    pub schools: Vec<String>,
    /// Grade, as it's spelt: Clever documents some, and districts have others.
    pub grade: Option<String>,
    /// Year of leaving school.
    pub graduation_year: Option<String>,
    /// Date of birth.
    #[serde(serialize_with = "write_us_date")]
    pub dob: Option<Date>,
    /// Gender: M, F or X.
    pub gender: Option<String>,
    /// Race: one of those documented.
    pub race: Option<String>,
    /// Whether of Hispanic ethnicity.
    #[serde(serialize_with = "write_flag")]
    pub hispanic_ethnicity: Option<bool>,
    /// Whether learning English.
    #[serde(serialize_with = "write_flag")]
    pub ell_status: Option<bool>,
    /// Free or reduced lunch: one of those documented (3.1).
    pub frl_status: Option<String>,
    /// Whether with an individualized education program (3.1).
    #[serde(serialize_with = "write_flag")]
    pub iep_status: Option<bool>,
    /// Language at home (3.1).
    pub home_language: Option<String>,
    /// What they sign in with.
    pub credentials: Credentials,
}

/// What somebody signs in with.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct Credentials {
    /// Username in the district.
    pub district_username: Option<String>,
}

/// A teacher.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct Teacher {
    /// ID before version 3; not for requests.
    pub legacy_id: Option<String>,
    /// ID in the district's own system, unique in the district only.
    pub sis_id: Option<String>,
    /// Number in the district.
    pub teacher_number: Option<String>,
    /// Number in the state.
    pub state_id: Option<String>,
    /// What they are.
    pub title: Option<String>,
    /// The primary school's ID.
    pub school: Option<String>,
    /// IDs of all schools, the primary one among them.
    pub schools: Vec<String>,
}

/// A member of a school's staff.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct Staff {
    /// ID before version 3; not for requests.
    pub legacy_id: Option<String>,
    /// ID in the district's own system.
    pub staff_id: Option<String>,
    /// What they are.
    pub title: Option<String>,
    /// Their department.
    pub department: Option<String>,
    /// What they do, as the district says.
    pub roles: Vec<String>,
    /// IDs of their schools.
    pub schools: Vec<String>,
}

/// An administrator of the district.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct DistrictAdmin {
    /// ID before version 3; not for requests.
    pub legacy_id: Option<String>,
    /// What they are.
    pub title: Option<String>,
}

/// A contact of students.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct Contact {
    /// ID before version 3; not for requests.
    pub legacy_id: Option<String>,
    /// ID in the district's own system.
    pub sis_id: Option<String>,
    /// Whose contact they are, and how, in the order of the students' IDs.
    pub student_relationships: Vec<Relationship>,
}

/// What a contact is to a student.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Relationship {
    /// The student's user ID.
    pub student: String,
    /// What they are to each other: one of those documented.
    pub relationship: Option<String>,
    /// What kind of contact it is: one of those documented.
    #[serde(rename = "type")]
    pub kind: Option<String>,
}

impl Roles {
    /// True for somebody with a role that we know.
    pub fn is_known(&self) -> bool {
        let Roles { student, teacher, staff, district_admin, contact } = self;
        student.is_some() || teacher.is_some() || staff.is_some() || district_admin.is_some() || contact.is_some()
    }
}

impl Record for User {
    const LIST: &'static str = "users";

    fn read(Fields(fields): &mut Fields) -> Result<Self, &'static str> {
        // Without any, nobody could tell whether they have lost theirs.
        let mut held = fields.object("roles")?.ok_or("roles")?;
        let roles = Roles {
            student: held.object("student")?.map(Student::read).transpose()?.map(Box::new),
            teacher: held.object("teacher")?.map(Teacher::read).transpose()?.map(Box::new),
            staff: held.object("staff")?.map(Staff::read).transpose()?.map(Box::new),
            district_admin: held.object("district_admin")?.map(DistrictAdmin::read),
            contact: held.object("contact")?.map(Contact::read).transpose()?.map(Box::new),
        };
        Ok(User {
            id: fields.text("id").ok_or("id")?,
            district: fields.text("district"),
            email: fields.text(names::EMAIL),
            name: Name::read(fields.object("name")?),
            roles,
            created: fields.stamp("created"),
            last_modified: fields.stamp("last_modified"),
        })
    }

    fn id(&self) -> &str {
        &self.id
    }
}

/// The primary school, and all schools, the primary one among them.
fn schools(role: &mut Object) -> Result<(Option<String>, Vec<String>), &'static str> {
    let (school, mut schools) = (role.id("school")?, role.ids("schools")?);
    if let Some(place) = school.as_ref().and_then(|school| schools.binary_search(school).err()) {
        schools.splice(place..place, school.clone());
    }
    Ok((school, schools))
}

impl Student {
    fn read(mut role: Object) -> Result<Student, &'static str> {
        let (school, schools) = schools(&mut role)?;
        let credentials = role.detail(names::CREDENTIALS);
        Ok(Student {
            legacy_id: role.text("legacy_id"),
            sis_id: role.text("sis_id"),
            student_number: role.text("student_number"),
            state_id: role.text("state_id"),
            school,
            schools,
            grade: role.grade("grade"),
            graduation_year: role.text("graduation_year"),
            dob: role.date("dob"),
            gender: role.one_of("gender", &GENDERS),
            race: role.one_of("race", &RACES),
            hispanic_ethnicity: role.flag("hispanic_ethnicity"),
            ell_status: role.flag("ell_status"),
            frl_status: role.one_of("frl_status", &LUNCHES),
            iep_status: role.flag("iep_status"),
            home_language: role.text("home_language"),
            credentials: Credentials {
                district_username: credentials.and_then(|mut credentials| credentials.text(names::DISTRICT_USERNAME)),
            },
        })
    }
}

impl Teacher {
    fn read(mut role: Object) -> Result<Teacher, &'static str> {
        let (school, schools) = schools(&mut role)?;
        Ok(Teacher {
            legacy_id: role.text("legacy_id"),
            sis_id: role.text("sis_id"),
            teacher_number: role.text("teacher_number"),
            state_id: role.text("state_id"),
            title: role.text("title"),
            school,
            schools,
        })
    }
}

impl Staff {
    fn read(mut role: Object) -> Result<Staff, &'static str> {
        Ok(Staff {
            legacy_id: role.text("legacy_id"),
            staff_id: role.text("staff_id"),
            title: role.text("title"),
            department: role.text("department"),
            roles: role.texts("roles"),
            schools: role.ids("schools")?,
        })
    }
}

impl DistrictAdmin {
    fn read(mut role: Object) -> DistrictAdmin {
        DistrictAdmin { legacy_id: role.text("legacy_id"), title: role.text("title") }
    }
}

impl Contact {
    fn read(mut role: Object) -> Result<Contact, &'static str> {
        let relationship = |mut one: Object| {
            Ok(Relationship {
                student: one.text("student").ok_or("student_relationships")?,
                relationship: one.one_of("relationship", &RELATIONSHIPS),
                kind: one.one_of("type", &RELATIONSHIP_TYPES),
            })
        };
        let relationships = role.objects("student_relationships")?.into_iter().map(relationship);
        let mut student_relationships: Vec<Relationship> = relationships.collect::<Result<_, &'static str>>()?;
        student_relationships.sort_unstable();
        student_relationships.dedup();
        Ok(Contact { legacy_id: role.text("legacy_id"), sis_id: role.text("sis_id"), student_relationships })
    }
}

show_the_id!(User);
show_nothing!(Name, Roles, Student, Credentials, Teacher, Staff, DistrictAdmin, Contact, Relationship);
