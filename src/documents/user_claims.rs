//! The claims of an Auth user, `userClaims/{adminUid}`: what the document says as it stands. What it lets its user do is
//! for the rights to say. Pure.

use crate::store::{DocPath, Document, Fields, Result, Value};

/// Names of the fields of claims documents, with those of the claims; what they mean: docs/domain/documents.md#claims.
#[allow(missing_docs, reason = "the page says what each field means")]
pub mod field {
    pub const CLAIMS: &str = "claims";
    pub const ROAR_UID: &str = "roarUid";
    pub const ADMIN_UID: &str = "adminUid";
    pub const ASSESSMENT_UID: &str = "assessmentUid";
    pub const ADMIN_ORGS: &str = "adminOrgs";
    pub const MINIMAL_ADMIN_ORGS: &str = "minimalAdminOrgs";
    pub const SUPER_ADMIN: &str = "super_admin";
    pub const ADMIN: &str = "admin";
    pub const ROLE: &str = "role";
    pub const LAST_UPDATED: &str = "lastUpdated";
    pub const ADMIN_ORG_SOURCES: &str = "adminOrgSources";
    pub const SUSPENDED: &str = "suspended";
    pub const SUSPENDED_AT: &str = "suspendedAt";
    pub const SUSPENDED_BY_SUPER_ADMIN: &str = "suspendedBySuperAdmin";
    pub const UNPUBLISHED_CLAIMS: &str = "unpublishedClaims";
    pub const TEST_DATA: &str = "testData";
}

/// The collection, in both databases.
pub const COLLECTION: &str = "userClaims";

/// Where the claims of an Auth user are.
pub fn claims_path(uid: &str) -> Result<DocPath> {
    DocPath::in_collection(COLLECTION, uid)
}

/// The field of a `userClaims` document, beside the claims.
pub const SUSPENDED: &str = "suspended";
/// Since when.
pub const SUSPENDED_AT: &str = "suspendedAt";
/// Whether a super admin suspended the user, or who runs the service: then nobody with fewer rights lifts it.
pub const SUSPENDED_ABOVE: &str = "suspendedBySuperAdmin";

/// True for the document of somebody for whom nothing is to be done.
pub fn is_suspended(document: &Document) -> bool {
    document.fields.get(SUSPENDED).and_then(Value::as_bool) == Some(true)
}

/// True where a super admin, or who runs the service, suspended the user.
pub fn is_suspended_above(document: &Document) -> bool {
    is_suspended(document) && document.fields.get(SUSPENDED_ABOVE).and_then(Value::as_bool) == Some(true)
}

/// The claims in a `userClaims` document, if it's there and has any.
pub fn claims_map<'a>(document: impl Into<Option<&'a Document>>) -> Option<&'a Fields> {
    document.into()?.fields.get("claims")?.as_map()
}
