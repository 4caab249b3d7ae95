//! Accounts, new accounts and changes of accounts, as values.

use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::{Map, Value};

/// An account: those of its properties that this crate supports.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Account {
    /// Its UID.
    pub uid: String,
    /// Its e-mail address, in lower case.
    pub email: Option<String>,
    /// Whether the address was verified to be the user's.
    pub email_verified: bool,
    /// The display name.
    pub display_name: Option<String>,
    /// The URL of its picture.
    pub photo_url: Option<String>,
    /// Its phone number, E.164.
    pub phone_number: Option<String>,
    /// Whether it's disabled, so that nobody can sign in to it.
    pub disabled: bool,
    /// Its custom claims, which its ID tokens contain.
    pub custom_claims: Map<String, Value>,
    /// Identities that sign in to it: at other providers, and its own e-mail address with a password
    /// (`password`) and phone number (`phone`).
    pub providers: Vec<Provider>,
    /// Refresh tokens that were issued before this time are revoked. Whole seconds.
    pub valid_since: Option<Timestamp>,
}

impl Account {
    /// True when the identity is linked to this account.
    pub fn is_linked(&self, provider: &str, raw_id: &str) -> bool {
        self.providers.iter().any(|linked| linked.provider_id == provider && linked.raw_id == raw_id)
    }
}

/// An identity at a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// The provider: `oidc.clever`, `google.com`, `password`.
    pub provider_id: String,
    /// The user there.
    pub raw_id: String,
}

/// An account to be created.
#[derive(Clone, Debug, Default)]
pub struct NewAccount {
    /// Its e-mail address.
    pub email: Option<String>,
    /// Whether the address was verified to be the user's.
    pub email_verified: bool,
    /// The display name.
    pub display_name: Option<String>,
    /// Its password.
    pub password: Option<SecretString>,
}

/// Changes of an account; what is `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub struct AccountUpdate {
    /// The e-mail address. It becomes unverified, unless the update says otherwise.
    pub email: Option<String>,
    /// Whether the address was verified to be the user's.
    pub email_verified: Option<bool>,
    /// The name that's shown; an empty one is taken away.
    pub display_name: Option<String>,
    /// Where the picture is; an empty one is taken away.
    pub photo_url: Option<String>,
    /// The phone number, E.164.
    pub phone_number: Option<String>,
    /// The password. A change revokes all refresh tokens.
    pub password: Option<SecretString>,
    /// Whether it's disabled.
    pub disabled: Option<bool>,
    /// All custom claims.
    pub custom_claims: Option<Map<String, Value>>,
    /// Refresh tokens that were issued before this time are revoked. Fractions of a second are dropped.
    pub valid_since: Option<Timestamp>,
    /// An identity to be linked to the account, in place of an earlier one at the same provider.
    pub link: Option<Provider>,
}
