//! The claims of an Auth user, `userClaims/{adminUid}`: the fields of the document. What the claims permit their user
//! to do is decided in `rights`. Pure.

use super::org_lists::OrgType;
use crate::store::{DocPath, Document, FieldOp, Fields, Query, Result, Value};

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

/// The values of [`field::ROLE`].
#[allow(missing_docs, reason = "they say it")]
pub mod role {
    pub const SUPER_ADMIN: &str = "super_admin";
    pub const PLATFORM_ADMIN: &str = "platform_admin";
    pub const ADMIN: &str = "admin";
    pub const LAUNCH_ADMIN: &str = "launch_admin";
    pub const STUDENT: &str = "student";
    pub const GUEST: &str = "guest";
}

/// The collection, in both databases.
pub const COLLECTION: &str = "userClaims";

/// The path of an Auth user's claims document.
pub fn claims_path(uid: &str) -> Result<DocPath> {
    DocPath::in_collection(COLLECTION, uid)
}

/// A query for all claims documents.
pub fn all() -> Query {
    Query::collection(COLLECTION)
}

/// The path of one of the claims, for queries.
pub fn claim_path(name: &str) -> String {
    format!("{}.{name}", field::CLAIMS)
}

/// A query for the claims documents that name this user. There should be at most one, but somebody may have written
/// more.
pub fn of_user(roar_uid: &str) -> Query {
    all().equal(&claim_path(field::ROAR_UID), roar_uid)
}

/// A query for the claims documents that give rights over any of these orgs of one type, at most thirty of them.
pub fn over_any(org_type: OrgType, ids: &[String]) -> Query {
    let orgs = claim_path(&format!("{}.{}", field::ADMIN_ORGS, org_type.plural()));
    match ids {
        [one] => all().filter(&orgs, FieldOp::ArrayContains, one.as_str()),
        several => all().filter(&orgs, FieldOp::ArrayContainsAny, Value::strings(several)),
    }
}

/// The Auth UID, in the assessment project, that claims name.
pub fn assessment_uid(claims: &Fields) -> Option<&str> {
    claims.get(field::ASSESSMENT_UID).and_then(Value::as_str)
}

/// The Auth UID, in the admin project, that claims name.
pub fn admin_uid(claims: &Fields) -> Option<&str> {
    claims.get(field::ADMIN_UID).and_then(Value::as_str)
}

/// True for the claims document of a suspended user, whose calls are all refused.
pub fn is_suspended(document: &Document) -> bool {
    document.fields.get(field::SUSPENDED).and_then(Value::as_bool) == Some(true)
}

/// True when a super admin or the operator of the service suspended the user.
pub fn is_suspended_above(document: &Document) -> bool {
    is_suspended(document)
        && document.fields.get(field::SUSPENDED_BY_SUPER_ADMIN).and_then(Value::as_bool) == Some(true)
}

/// The claims in a `userClaims` document, if it's there and has any.
pub fn claims_map<'a>(document: impl Into<Option<&'a Document>>) -> Option<&'a Fields> {
    document.into()?.fields.get(field::CLAIMS)?.as_map()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;
    use crate::store::Timestamp;

    #[test]
    fn claims_say_whose_they_are_and_who_is_suspended() {
        let claims = fields! { "adminUid" => "a", "assessmentUid" => "b" };
        let document = |fields: Fields| Document {
            path: claims_path("a").unwrap(),
            fields,
            create_time: Timestamp::UNIX_EPOCH,
            update_time: Timestamp::UNIX_EPOCH,
        };
        let held = document(fields! { "claims" => claims.clone(), "suspendedBySuperAdmin" => true });
        assert_eq!((claims_map(&held), claims_map(None)), (Some(&claims), None));
        assert_eq!((admin_uid(&claims), assessment_uid(&claims)), (Some("a"), Some("b")));
        assert!(!is_suspended(&held) && !is_suspended_above(&held), "nobody is who isn't said to be");
        let suspended = document(fields! { "suspended" => true });
        assert!(is_suspended(&suspended) && !is_suspended_above(&suspended));
        let above = document(fields! { "suspended" => true, "suspendedBySuperAdmin" => true });
        assert!(is_suspended_above(&above));
    }
}
