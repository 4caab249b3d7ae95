//! Records of who changed whose rights, `claimsAudit/{id}` in the admin database; no rule opens them to clients. Pure.

use crate::store::{DocPath, Result};

/// Names of the fields.
#[allow(missing_docs, reason = "they say it; [`crate::claims::audit`] what each means")]
pub mod field {
    pub const AT: &str = "at";
    pub const FUNCTION: &str = "function";
    pub const ACTION: &str = "action";
    pub const BY: &str = "by";
    pub const TARGET: &str = "target";
    pub const ORGS: &str = "orgs";
    pub const MINIMAL_BEFORE: &str = "minimalBefore";
    pub const MINIMAL_AFTER: &str = "minimalAfter";
    pub const DETAILS: &str = "details";
}

/// The collection.
pub const COLLECTION: &str = "claimsAudit";

/// The path of a record.
pub fn record_path(id: &str) -> Result<DocPath> {
    DocPath::in_collection(COLLECTION, id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_in_one_collection() {
        assert_eq!(record_path("r1").unwrap().as_str(), "claimsAudit/r1");
        assert!(record_path("r1/other/r2").is_err() && record_path("").is_err());
    }
}
