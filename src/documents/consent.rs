//! Records of the consents that people signed, `users/{roarUid}/consents/{id}`. No client may write these. Pure.

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

/// The path of a user's record of a consent.
pub fn consent_path(user: &DocPath, id: &str) -> Result<DocPath> {
    user.child(COLLECTION, id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consents_are_below_their_user() {
        let user = DocPath::new("users/u1").unwrap();
        assert_eq!(consent_path(&user, "c1").unwrap().as_str(), "users/u1/consents/c1");
        assert!(consent_path(&user, "c1/other/c2").is_err() && consent_path(&user, "").is_err());
    }
}
