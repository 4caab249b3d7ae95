//! A made-up school district: the same one every time, as believable as a demonstration, a test or a
//! benchmark needs it.

use jiff::civil::date;
use jiff::tz::TimeZone;

use crate::documents::user::user_path;
use crate::fields;
use crate::orgs::OrgType;
use crate::rights::Claims;
use crate::store::{DocPath, Fields, Result, Timestamp, Value, Write};

/// How large a district is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Schools.
    pub schools: usize,
    /// Classes in each school, over the grades from kindergarten to grade 5.
    pub classes_a_school: usize,
    /// Groups beside the classes.
    pub groups: usize,
    /// Students in all.
    pub students: usize,
}

impl Size {
    /// A district of that many students: schools of about 200, in classes of about 50 (demonstration)
    /// or 25 (from 2,000 students on).
    pub fn of(students: usize) -> Size {
        let class = if students < 2000 { 50 } else { 25 };
        let schools = students.div_ceil(200).max(1);
        Size { schools, classes_a_school: (students.div_ceil(schools)).div_ceil(class).max(1), groups: 3, students }
    }
}

/// ID of the district.
pub const DISTRICT: &str = "district-willow-creek";
/// Auth UID of the district's administrator, and ID of their users document.
pub const ADMIN_UID: &str = "admin-rivera";

const SCHOOLS: [&str; 10] = [
    "Willow Creek Elementary",
    "Lincoln Elementary",
    "Cesar Chavez Academy",
    "Oak Grove School",
    "Maya Angelou Elementary",
    "Riverbend School",
    "Sunnyside Elementary",
    "Harriet Tubman School",
    "Cedar Hills Elementary",
    "Ellen Ochoa Academy",
];
const GRADES: [&str; 6] = ["Kindergarten", "1", "2", "3", "4", "5"];
const GROUPS: [&str; 3] = ["Summer reading club", "Spanish immersion", "Reading support"];
const FIRST_NAMES: [&str; 24] = [
    "Amara", "Ben", "Camila", "Diego", "Elena", "Farid", "Grace", "Hugo", "Imani", "Jonas", "Keiko", "Liam", "Maya",
    "Noah", "Olivia", "Priya", "Quinn", "Rosa", "Samir", "Talia", "Uma", "Victor", "Wen", "Zoe",
];
const LAST_NAMES: [&str; 29] = [
    "Alvarez", "Brooks", "Chen", "Davis", "Edwards", "Flores", "Garcia", "Huang", "Ibrahim", "Johnson", "Kim", "Lopez",
    "Martinez", "Nguyen", "Okafor", "Patel", "Quigley", "Ramirez", "Smith", "Tran", "Ueda", "Vargas", "Williams",
    "Xiong", "Young", "Zamora", "Baptiste", "Haddad", "Novak",
];

/// A district and its people, as writes to the admin database.
pub struct District {
    size: Size,
    /// When everybody enrolled.
    since: Timestamp,
}

/// A school, with what it's called.
pub struct School {
    /// ID of its document.
    pub id: String,
    /// Its name.
    pub name: String,
}

impl District {
    /// A district of that size.
    pub fn new(size: Size) -> District {
        let since = date(2026, 8, 1).to_zoned(TimeZone::UTC).map(|start| start.timestamp());
        District { size, since: since.unwrap_or(Timestamp::UNIX_EPOCH) }
    }

    /// How large it is.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Its schools.
    pub fn schools(&self) -> Vec<School> {
        (0..self.size.schools)
            .map(|n| {
                let name = SCHOOLS[n % SCHOOLS.len()];
                let name =
                    if n < SCHOOLS.len() { name.to_owned() } else { format!("{name} {}", n / SCHOOLS.len() + 1) };
                School { id: format!("school-{:04}", n + 1), name }
            })
            .collect()
    }

    fn class_id(&self, class: usize) -> String {
        format!("class-{:05}", class + 1)
    }

    fn classes(&self) -> usize {
        self.size.schools * self.size.classes_a_school
    }

    fn school_of(&self, class: usize) -> usize {
        class / self.size.classes_a_school
    }

    fn grade_of(&self, class: usize) -> usize {
        let place = class % self.size.classes_a_school;
        // With fewer classes than grades, schools begin at different grades, so that every grade occurs.
        (place + self.school_of(class) * self.size.classes_a_school) % GRADES.len()
    }

    /// ID of the n-th student.
    pub fn student_id(n: usize) -> String {
        format!("student-{:06}", n + 1)
    }

    /// How many documents there are.
    pub fn documents(&self) -> usize {
        1 + self.size.schools + self.classes() + self.size.groups + 2 + self.size.students
    }

    /// The writes of all documents: the orgs, the administrator with their rights, the students. Each batch is for one
    /// commit. Batches are computed lazily, so that a district of any size takes little memory.
    pub fn batches(&self, size: usize) -> impl Iterator<Item = Result<Vec<Write>>> {
        let size = size.max(1);
        let first = self.org_writes().and_then(|mut orgs| {
            orgs.extend(self.admin_writes()?);
            Ok(orgs)
        });
        let first: Vec<Result<Vec<Write>>> = match first {
            Ok(writes) => writes.chunks(size).map(|batch| Ok(batch.to_vec())).collect(),
            Err(error) => vec![Err(error)],
        };
        let students = (0..self.size.students).step_by(size).map(move |start| {
            let end = self.size.students.min(start + size);
            (start..end).map(|n| Ok(Write::set(user_path(&District::student_id(n))?, self.student(n)))).collect()
        });
        first.into_iter().chain(students)
    }

    fn org_writes(&self) -> Result<Vec<Write>> {
        let org = |org_type: OrgType, id: &str, name: &str, mut fields: Fields| {
            fields.extend(fields! { "name" => name, "archived" => false, "createdAt" => self.since });
            Ok(Write::set(DocPath::in_collection(org_type.plural(), id)?, fields))
        };
        let schools = self.schools();
        let school_ids = Value::strings(schools.iter().map(|school| school.id.as_str()));
        let group_ids = Value::strings((0..self.size.groups).map(|n| format!("group-{}", n + 1)));
        let mut writes = vec![org(
            OrgType::District,
            DISTRICT,
            "Willow Creek Unified",
            fields! { "abbreviation" => "WCU", "schools" => school_ids, "subGroups" => group_ids },
        )?];
        for (n, school) in schools.iter().enumerate() {
            let classes = (0..self.size.classes_a_school).map(|c| self.class_id(n * self.size.classes_a_school + c));
            let fields = fields! { "districtId" => DISTRICT, "classes" => Value::strings(classes) };
            writes.push(org(OrgType::School, &school.id, &school.name, fields)?);
        }
        for class in 0..self.classes() {
            let grade = GRADES[self.grade_of(class)];
            let section = char::from(b'A' + (class % self.size.classes_a_school / GRADES.len() % 26) as u8);
            let school = schools[self.school_of(class)].id.as_str();
            let fields = fields! { "schoolId" => school, "districtId" => DISTRICT, "grade" => grade };
            writes.push(org(OrgType::Class, &self.class_id(class), &format!("Grade {grade} {section}"), fields)?);
        }
        for n in 0..self.size.groups {
            let fields = fields! { "parentOrgType" => "district", "parentOrgId" => DISTRICT };
            writes.push(org(OrgType::Group, &format!("group-{}", n + 1), GROUPS[n % GROUPS.len()], fields)?);
        }
        Ok(writes)
    }

    /// The administrator: a users document and the claims that give the rights over all orgs.
    fn admin_writes(&self) -> Result<Vec<Write>> {
        let lists = |orgs: [(&str, Vec<String>); 5]| {
            Value::Map(orgs.into_iter().map(|(name, ids)| (name.to_owned(), Value::strings(ids))).collect())
        };
        let all = lists([
            ("districts", vec![DISTRICT.to_owned()]),
            ("schools", self.schools().into_iter().map(|school| school.id).collect()),
            ("classes", (0..self.classes()).map(|class| self.class_id(class)).collect()),
            ("groups", (0..self.size.groups).map(|n| format!("group-{}", n + 1)).collect()),
            ("families", vec![]),
        ]);
        let minimal = lists([
            ("districts", vec![DISTRICT.to_owned()]),
            ("schools", vec![]),
            ("classes", vec![]),
            ("groups", vec![]),
            ("families", vec![]),
        ]);
        let claims = fields! {
            "claims" => fields! {
                "roarUid" => ADMIN_UID, "adminUid" => ADMIN_UID, "assessmentUid" => "assessment-rivera",
                "role" => "admin", "adminOrgs" => all, "minimalAdminOrgs" => minimal,
            },
            "lastUpdated" => self.since.as_millisecond(),
            "testData" => false,
        };
        let user = fields! {
            "userType" => "admin",
            "archived" => false,
            "name" => fields! { "first" => "Dana", "middle" => Value::Null, "last" => "Rivera" },
            "email" => "dana.rivera@example.org",
            "adminData" => fields! { "administrationsCreated" => Vec::<Value>::new() },
            "createdAt" => self.since,
        };
        Ok(vec![Write::set(Claims::path(ADMIN_UID)?, claims), Write::set(user_path(ADMIN_UID)?, user)])
    }

    fn student(&self, n: usize) -> Fields {
        let class = n % self.classes();
        let grade = self.grade_of(class);
        let school = format!("school-{:04}", self.school_of(class) + 1);
        let first = FIRST_NAMES[(n * 7 + n / 24) % FIRST_NAMES.len()];
        let last = LAST_NAMES[(n * 11 + n / 29) % LAST_NAMES.len()];
        let username = format!("{}{}{n:04}", first.to_lowercase(), &last.to_lowercase()[..2]);
        // Born so that the student is five on the 1st of September of the year in which kindergarten begins.
        let born = date(2020 - grade as i16, (n % 12 + 1) as i8, (n % 28 + 1) as i8).to_zoned(TimeZone::UTC);
        let born = born.map(|born| born.timestamp()).unwrap_or(Timestamp::UNIX_EPOCH);
        // Every tenth student is in a group too.
        let groups = (n % 10 == 3 && self.size.groups > 0).then(|| format!("group-{}", n / 10 % self.size.groups + 1));
        fields! {
            "userType" => "student",
            "archived" => false,
            "name" => fields! { "first" => first, "middle" => Value::Null, "last" => last },
            "username" => username.as_str(),
            "email" => format!("{username}@roar-auth.com"),
            "assessmentPid" => format!("WCU-{:08x}", n.wrapping_mul(2_654_435_761) & 0xffff_ffff),
            "assessmentUid" => format!("assessment-{:06}", n + 1),
            "studentData" => fields! {
                "dob" => born,
                "grade" => GRADES[grade],
                "gender" => if n.is_multiple_of(2) { "female" } else { "male" },
                "schoolLevel" => "elementary",
                "ell_status" => n.is_multiple_of(6),
                "iep_status" => n.is_multiple_of(11),
                "frl_status" => n.is_multiple_of(3),
            },
            "districts" => self.membership(Some(DISTRICT.to_owned())),
            "schools" => self.membership(Some(school)),
            "classes" => self.membership(Some(self.class_id(class))),
            "groups" => self.membership(groups),
            "families" => self.membership(None),
            "createdAt" => self.since,
            "lastUpdated" => self.since,
        }
    }

    fn membership(&self, org: Option<String>) -> Value {
        let dates =
            org.iter().map(|id| (id.clone(), Value::Map(fields! { "from" => self.since, "to" => Value::Null })));
        let dates: Fields = dates.collect();
        Value::Map(fields! {
            "current" => Value::strings(org.clone()),
            "all" => Value::strings(org),
            "dates" => dates,
        })
    }
}

/// The body of a `createAdministration` call over the district: real ROAR tasks, conditioned on grade.
pub fn administration(opens: Timestamp, closes: Timestamp) -> serde_json::Value {
    use serde_json::json;
    let grade = |op: &str, value: &str| json!({ "op": "AND", "conditions": [{ "id": 0, "field": "studentData.grade", "op": op, "value": value }] });
    let task = |id: &str, variant: &str, conditions: serde_json::Value| {
        json!({
            "taskId": id,
            "variantId": format!("{id}-{variant}"),
            "variantName": variant,
            "params": { "userMode": variant, "recruitment": "school", "scoringVersion": 7, "addNoResponse": false },
            "conditions": conditions,
        })
    };
    json!({
        "name": "Fall 2026 reading screener",
        "publicName": "ROAR fall",
        "assessments": [
            task("letter", "default", json!({ "assigned": grade("LESS_THAN_OR_EQUAL", "1") })),
            task("pa", "shortAdaptive", json!({ "assigned": grade("LESS_THAN_OR_EQUAL", "3") })),
            task("swr", "shortAdaptive", json!({ "assigned": grade("GREATER_THAN_OR_EQUAL", "1") })),
            task("sre", "parallelForms", json!({ "assigned": grade("GREATER_THAN_OR_EQUAL", "2") })),
            task("roar-inference", "default", json!({
                "assigned": grade("GREATER_THAN_OR_EQUAL", "3"),
                "optional": grade("LESS_THAN", "5"),
            })),
        ],
        "dateOpen": opens.to_string(),
        "dateClose": closes.to_string(),
        "sequential": true,
        "orgs": { "districts": [DISTRICT], "schools": [], "classes": [], "groups": [], "families": [] },
        "tags": ["fall", "screener"],
        "isTestData": false,
        "legal": { "consent": null, "assent": null, "amount": "", "expectedTime": "" },
    })
}
