//! Orgs, `districts/{id}`, `schools/{id}`, `classes/{id}`, `groups/{id}` and `families/{id}`: their paths, the names of
//! their fields, and how these are read. Pure.

use super::org_lists::{OrgKey, OrgType};
use crate::store::{DocPath, FieldPath, Fields, Result, Value};

/// Names of the fields of orgs; what they mean: docs/domain/documents.md#orgs.
#[allow(missing_docs, reason = "the page says what each field means")]
pub mod field {
    pub const NAME: &str = "name";
    pub const ABBREVIATION: &str = "abbreviation";
    pub const ARCHIVED: &str = "archived";
    pub const DISTRICT_ID: &str = "districtId";
    pub const SCHOOL_ID: &str = "schoolId";
    pub const PARENT_ORG_TYPE: &str = "parentOrgType";
    pub const PARENT_ORG_ID: &str = "parentOrgId";
    pub const FAMILY_ID: &str = "familyId";
    pub const SCHOOLS: &str = "schools";
    pub const ARCHIVED_SCHOOLS: &str = "archivedSchools";
    pub const CLASSES: &str = "classes";
    pub const ARCHIVED_CLASSES: &str = "archivedClasses";
    pub const SUB_GROUPS: &str = "subGroups";
    pub const ARCHIVED_SUB_GROUPS: &str = "archivedSubGroups";
    pub const GRADE: &str = "grade";
    pub const SCHOOL_LEVEL: &str = "schoolLevel";
    pub const SUBJECT: &str = "subject";
    pub const ADDRESS: &str = "address";
    pub const LOCATION: &str = "location";
    pub const NCES_ID: &str = "ncesId";
    pub const TAGS: &str = "tags";
    pub const TEST_DATA: &str = "testData";
    pub const DEMO_DATA: &str = "demoData";
    pub const DISTRICT_CONTACT: &str = "districtContact";
    pub const PRINCIPAL: &str = "principal";
    pub const PHONE: &str = "phone";
    pub const CREATED_BY: &str = "createdBy";
    pub const CLEVER: &str = "clever";
    pub const ROSTER: &str = "roster";
    pub const ROSTER_CLAIMS_DUE: &str = "rosterClaimsDue";
    pub const CREATED_AT: &str = "createdAt";
    pub const LAST_UPDATED: &str = "lastUpdated";
    pub const MDR_NUMBER: &str = "mdrNumber";
    pub const SIS_TYPE: &str = "sisType";
    pub const PORTAL_URL: &str = "portalUrl";
    pub const LAUNCH_DATE: &str = "launchDate";
    pub const LOGIN_METHODS: &str = "loginMethods";
    pub const PAUSE_START: &str = "pauseStart";
    pub const PAUSE_END: &str = "pauseEnd";
    pub const SCHOOL_NUMBER: &str = "schoolNumber";
    pub const STATE_ID: &str = "stateId";
    pub const LOW_GRADE: &str = "lowGrade";
    pub const HIGH_GRADE: &str = "highGrade";
    pub const SECTION_ID: &str = "sectionId";
    pub const SECTION_NUMBER: &str = "sectionNumber";
}

/// Names of the fields of [`field::LOCATION`], a map.
#[allow(missing_docs, reason = "they say it")]
pub mod location {
    pub const ADDRESS: &str = "address";
    pub const CITY: &str = "city";
    pub const STATE: &str = "state";
    pub const ZIP: &str = "zip";
}

/// Names of the fields of [`field::DISTRICT_CONTACT`] and [`field::PRINCIPAL`], maps that are about a person. A
/// contact's name is a map of [`contact::FIRST`] and [`contact::LAST`]; a principal's is text.
#[allow(missing_docs, reason = "they say it")]
pub mod contact {
    pub const ID: &str = "id";
    pub const DISTRICT: &str = "district";
    pub const TITLE: &str = "title";
    pub const EMAIL: &str = "email";
    pub const NAME: &str = "name";
    pub const FIRST: &str = "first";
    pub const LAST: &str = "last";
}

/// The path of an org's document.
pub fn org_path(org_type: OrgType, id: &str) -> Result<DocPath> {
    DocPath::in_collection(org_type.plural(), id)
}

/// True for an org that was archived.
pub fn is_archived(org: &Fields) -> bool {
    org.get(field::ARCHIVED).and_then(Value::as_bool) == Some(true)
}

/// The fields by which a school and a class link to the orgs above, each with the type of the org that it names.
pub const LINKS: [(&str, OrgType); 2] = [(field::DISTRICT_ID, OrgType::District), (field::SCHOOL_ID, OrgType::School)];

/// The field that links an org to a parent of this type; `None` for types that can't be a school's or class's parent.
pub fn link_field(parent: OrgType) -> Option<&'static str> {
    LINKS.into_iter().find(|(_, org_type)| *org_type == parent).map(|(link, _)| link)
}

/// A text field.
pub fn text<'a>(org: &'a Fields, name: &str) -> Option<&'a str> {
    org.get(name).and_then(Value::as_str)
}

/// The IDs in one of an org's lists of children; none when it has no such list.
pub fn listed<'a>(org: &'a Fields, list: &str) -> impl Iterator<Item = &'a str> {
    org.get(list).and_then(Value::as_array).unwrap_or_default().iter().filter_map(Value::as_str)
}

/// The org to which a group belongs, if any.
pub fn parent_of_group(group: &Fields) -> Option<OrgKey> {
    let org_type = OrgType::parse(text(group, field::PARENT_ORG_TYPE)?)?;
    Some(OrgKey::new(org_type, text(group, field::PARENT_ORG_ID)?))
}

/// The short name that an org has been given, if any.
pub fn abbreviation(org: &Fields) -> Option<&str> {
    text(org, field::ABBREVIATION).filter(|short| !short.is_empty())
}

/// The updates that are pending after a sync changed a district's orgs ([`field::ROSTER_CLAIMS_DUE`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// The claims of everybody with rights over the district, and the administrations that are assigned to the
    /// district.
    All,
    /// The claims alone.
    Claims,
}

impl Due {
    /// The updates that are pending for a district, if any.
    pub fn read(district: &Fields) -> Option<Due> {
        match district.get(field::ROSTER_CLAIMS_DUE)? {
            Value::Boolean(true) => Some(Due::All),
            _ => Some(Due::Claims),
        }
    }

    /// The edit that records which updates are pending, or that none are.
    pub fn edit(due: Option<Due>) -> (Fields, Vec<FieldPath>) {
        let value = due.map(|due| match due {
            Due::All => Value::Boolean(true),
            Due::Claims => Value::from("claims"),
        });
        let fields = value.map(|value| (field::ROSTER_CLAIMS_DUE.to_owned(), value)).into_iter().collect();
        (fields, vec![FieldPath::top(field::ROSTER_CLAIMS_DUE)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;

    #[test]
    fn what_is_due_is_read_as_it_was_written() {
        for due in [Some(Due::All), Some(Due::Claims), None] {
            let (fields, mask) = Due::edit(due);
            assert_eq!((Due::read(&fields), mask.len()), (due, 1));
        }
    }

    #[test]
    fn groups_are_below_what_they_name_in_full() {
        let table = [
            (fields! { "parentOrgType" => "school", "parentOrgId" => "s1" }, Some(OrgKey::new(OrgType::School, "s1"))),
            (fields! { "parentOrgType" => "schools", "parentOrgId" => "s1" }, Some(OrgKey::new(OrgType::School, "s1"))),
            (fields! { "parentOrgType" => "cohort", "parentOrgId" => "s1" }, None),
            (fields! { "parentOrgType" => "school" }, None),
            (Fields::new(), None),
        ];
        for (group, parent) in table {
            assert_eq!(parent_of_group(&group), parent, "{group:?}");
        }
    }
}
