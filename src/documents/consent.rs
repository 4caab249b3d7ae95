//! What people signed, `users/{roarUid}/consents/{id}`, where no client writes. Pure.

use crate::store::{DocPath, Result};

/// Names of the fields.
#[allow(missing_docs, reason = "[`crate::users::consent`] says what each means")]
pub mod field {
    pub const FORM: &str = "form";
    pub const VERSION: &str = "version";
    pub const DIGEST: &str = "digest";
    pub const SIGNED: &str = "signed";
    pub const RECORDED_AT: &str = "recordedAt";
    pub const GONE_AT: &str = "goneAt";
}

/// The collection, below each user.
pub const COLLECTION: &str = "consents";

/// Where a record of a user's is.
pub fn consent_path(user: &DocPath, id: &str) -> Result<DocPath> {
    user.child(COLLECTION, id)
}
