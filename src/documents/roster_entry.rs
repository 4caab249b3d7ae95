//! Entries of rosters, `identityProviderIds/{entryId}`, each of which joins a provider's ID of a person to the user. Pure.

/// Names of the fields of roster entries; what they mean: docs/domain/documents.md#roster-entries.
#[allow(missing_docs, reason = "the page says what each field means")]
pub mod field {
    pub const PROVIDER_TYPE: &str = "providerType";
    pub const PROVIDER_ID: &str = "providerId";
    pub const ROAR_UID: &str = "roarUid";
    pub const ADMIN_UID: &str = "adminUid";
    pub const ACTIVATED: &str = "activated";
    pub const EMAIL: &str = "email";
    pub const ROLE: &str = "role";
    pub const DISTRICT: &str = "district";
    pub const ADMIN_ORGS: &str = "adminOrgs";
    pub const COPIED_ADMIN_ORGS: &str = "copiedAdminOrgs";
    pub const ROSTER: &str = "roster";
    pub const LEFT: &str = "left";
    pub const SAID_AT_SIGN_IN: &str = "saidAtSignIn";
    pub const GONE: &str = "gone";
    pub const LAST_SYNC: &str = "lastSync";
}
