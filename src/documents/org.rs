//! Orgs, `districts/{id}`, `schools/{id}`, `classes/{id}`, `groups/{id}` and `families/{id}`: names of their fields. Pure.

use crate::store::{Fields, Value};

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
}

/// True for an org that was archived.
pub fn is_archived(org: &Fields) -> bool {
    org.get(field::ARCHIVED).and_then(Value::as_bool) == Some(true)
}
