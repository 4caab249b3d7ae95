//! Districts, schools and sections.

use jiff::Timestamp;
use serde::Serialize;

use super::object::{Object, When};
use super::person::Name;
use super::{Fields, Record, show_nothing, show_the_id};

/// A district's own record.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct DistrictInfo {
    /// Its ID.
    pub id: String,
    /// Its name.
    pub name: Option<String>,
    /// What state its data are in.
    pub state: Option<DistrictState>,
    /// The kind of information system that the data come from.
    pub sis_type: Option<String>,
    /// Its page at Clever.
    pub portal_url: Option<String>,
    /// How people sign in.
    pub login_methods: Vec<String>,
    /// The day on which it began, as Clever writes it.
    pub launch_date: Option<String>,
    /// Number in the MDR's list.
    pub mdr_number: Option<String>,
    /// Number in the NCES's list.
    pub nces_id: Option<String>,
    /// When a pause begins.
    pub pause_start: Option<When>,
    /// When a pause ends.
    pub pause_end: Option<When>,
    /// When its data came last. It isn't in fingerprints.
    pub last_sync: Option<Timestamp>,
    /// Whom to ask.
    pub district_contact: Option<Contact>,
}

/// What state a district's data are in. Only of a running one or one that has succeeded may what is missing be taken
/// for gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DistrictState {
    /// They come as they should.
    Running,
    /// They haven't come yet.
    Pending,
    /// They can't come.
    Error,
    /// The district has stopped them for a while.
    Paused,
    /// They have come.
    Success,
    /// Nobody has told what that means.
    Unknown,
}

impl DistrictState {
    fn parse(text: &str) -> DistrictState {
        match text.to_ascii_lowercase().as_str() {
            "running" => DistrictState::Running,
            "pending" => DistrictState::Pending,
            "error" => DistrictState::Error,
            "paused" => DistrictState::Paused,
            "success" => DistrictState::Success,
            _ => DistrictState::Unknown,
        }
    }
}

/// Whom to ask about a district.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Contact {
    /// Their ID.
    pub id: Option<String>,
    /// Their district's ID.
    pub district: Option<String>,
    /// Their name.
    pub name: Name,
    /// What they are.
    pub title: Option<String>,
    /// Their e-mail address.
    pub email: Option<String>,
}

impl Record for DistrictInfo {
    const LIST: &'static str = "districts";

    fn read(Fields(fields): &mut Fields) -> Result<Self, &'static str> {
        let contact = |mut contact: Object| Contact {
            id: contact.text("id"),
            district: contact.text("district"),
            name: Name::read(contact.detail("name")),
            title: contact.text("title"),
            email: contact.text("email"),
        };
        // A date that's there and says nothing to us may well be now.
        let when = |fields: &mut Object, name: &'static str| match fields.is_said(name) {
            true => Some(fields.when(name).unwrap_or(When::Unknown)),
            false => None,
        };
        let state = match fields.is_said("state") {
            true => Some(fields.text("state").map_or(DistrictState::Unknown, |state| DistrictState::parse(&state))),
            false => None,
        };
        Ok(DistrictInfo {
            id: fields.text("id").ok_or("id")?,
            name: fields.text("name"),
            state,
            sis_type: fields.text("sis_type"),
            portal_url: fields.text("portal_url"),
            login_methods: fields.texts("login_methods"),
            launch_date: fields.text("launch_date"),
            mdr_number: fields.text("mdr_number"),
            nces_id: fields.text("nces_id"),
            pause_start: when(fields, "pause_start"),
            pause_end: when(fields, "pause_end"),
            last_sync: fields.stamp("last_sync"),
            district_contact: fields.detail("district_contact").map(contact),
        })
    }

    fn id(&self) -> &str {
        &self.id
    }
}

/// A school.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct School {
    /// Its ID.
    pub id: String,
    /// Its district's ID.
    pub district: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its ID in the district's own system, unique in the district only.
    pub sis_id: Option<String>,
    /// Its number in the district.
    pub school_number: Option<String>,
    /// Its number in the state.
    pub state_id: Option<String>,
    /// Number in the NCES's list.
    pub nces_id: Option<String>,
    /// Number in the MDR's list.
    pub mdr_number: Option<String>,
    /// Its telephone number.
    pub phone: Option<String>,
    /// The lowest grade that it has.
    pub low_grade: Option<String>,
    /// The highest grade that it has.
    pub high_grade: Option<String>,
    /// Where it is.
    pub location: Option<Location>,
    /// Who leads it.
    pub principal: Option<Principal>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// When it changed last. It isn't in fingerprints.
    pub last_modified: Option<Timestamp>,
}

/// Where a school is.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct Location {
    /// Street and number.
    pub address: Option<String>,
    /// Town.
    pub city: Option<String>,
    /// State.
    pub state: Option<String>,
    /// Postal code.
    pub zip: Option<String>,
}

/// Who leads a school.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct Principal {
    /// Their name.
    pub name: Option<String>,
    /// Their e-mail address.
    pub email: Option<String>,
}

impl Record for School {
    const LIST: &'static str = "schools";

    fn read(Fields(fields): &mut Fields) -> Result<Self, &'static str> {
        let location = |mut location: Object| Location {
            address: location.text("address"),
            city: location.text("city"),
            state: location.text("state"),
            zip: location.text("zip"),
        };
        let principal =
            |mut principal: Object| Principal { name: principal.text("name"), email: principal.text("email") };
        Ok(School {
            id: fields.text("id").ok_or("id")?,
            district: fields.text("district"),
            name: fields.text("name"),
            sis_id: fields.text("sis_id"),
            school_number: fields.text("school_number"),
            state_id: fields.text("state_id"),
            nces_id: fields.text("nces_id"),
            mdr_number: fields.text("mdr_number"),
            phone: fields.text("phone"),
            low_grade: fields.grade("low_grade"),
            high_grade: fields.grade("high_grade"),
            location: fields.detail("location").map(location),
            principal: fields.detail("principal").map(principal),
            created: fields.stamp("created"),
            last_modified: fields.stamp("last_modified"),
        })
    }

    fn id(&self) -> &str {
        &self.id
    }
}

/// A section: a class, as ROAR calls it.
///
/// Its course and term aren't kept: their IDs are made anew whenever Clever likes, and would change fingerprints.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Section {
    /// Its ID.
    pub id: String,
    /// Its district's ID.
    pub district: Option<String>,
    /// Its school's ID.
    pub school: Option<String>,
    /// Its name, which others may have too.
    pub name: Option<String>,
    /// Its ID in the district's own system, unique in the district only.
    pub sis_id: Option<String>,
    /// Its number.
    pub section_number: Option<String>,
    /// What is taught: one of the documented subjects.
    pub subject: Option<String>,
    /// Its grade; its students' may differ.
    pub grade: Option<String>,
    /// When in the day it is.
    pub period: Option<String>,
    /// The primary teacher's user ID. There may be none.
    pub teacher: Option<String>,
    /// User IDs of all teachers, the primary one among them.
    pub teachers: Vec<String>,
    /// User IDs of the students.
    pub students: Vec<String>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// When it changed last. It isn't in fingerprints.
    pub last_modified: Option<Timestamp>,
}

/// The documented subjects.
pub(super) const SUBJECTS: [&str; 11] = [
    "english/language arts",
    "math",
    "science",
    "social studies",
    "language",
    "homeroom/advisory",
    "interventions/online learning",
    "technology and engineering",
    "PE and health",
    "arts and music",
    "other",
];

impl Record for Section {
    const LIST: &'static str = "sections";

    fn read(Fields(fields): &mut Fields) -> Result<Self, &'static str> {
        let teacher = fields.id("teacher")?;
        let mut teachers = fields.ids("teachers")?;
        if let Some(place) = teacher.as_ref().and_then(|teacher| teachers.binary_search(teacher).err()) {
            teachers.splice(place..place, teacher.clone());
        }
        Ok(Section {
            id: fields.text("id").ok_or("id")?,
            district: fields.text("district"),
            school: fields.id("school")?,
            name: fields.text("name"),
            sis_id: fields.text("sis_id"),
            section_number: fields.text("section_number"),
            subject: fields.one_of("subject", &SUBJECTS),
            grade: fields.grade("grade"),
            period: fields.text("period"),
            teacher,
            teachers,
            students: fields.ids("students")?,
            created: fields.stamp("created"),
            last_modified: fields.stamp("last_modified"),
        })
    }

    fn id(&self) -> &str {
        &self.id
    }
}

show_the_id!(DistrictInfo, School, Section);
show_nothing!(Contact, Location, Principal);
