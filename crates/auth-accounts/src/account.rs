//! Accounts as values.

use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::{Map, Value};

/// An account, as far as the service cares.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Account {
    /// Its UID.
    pub uid: String,
    /// Its e-mail address, in lower case.
    pub email: Option<String>,
    /// The address was shown to be the user's.
    pub email_verified: bool,
    /// The name that's shown.
    pub display_name: Option<String>,
    /// Where its picture is.
    pub photo_url: Option<String>,
    /// Its phone number, E.164.
    pub phone_number: Option<String>,
    /// It can't sign in.
    pub disabled: bool,
    /// What its ID tokens say besides.
    pub custom_claims: Map<String, Value>,
    /// Identities that sign in to it: at other providers, and its own e-mail address with a password
    /// (`password`) and phone number (`phone`).
    pub providers: Vec<Provider>,
    /// Tokens from before can't be refreshed. Whole seconds.
    pub valid_since: Option<Timestamp>,
}

impl Account {
    /// True when the identity signs in to this account.
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
    /// The address was shown to be the user's.
    pub email_verified: bool,
    /// The name that's shown.
    pub display_name: Option<String>,
    /// Its password.
    pub password: Option<SecretString>,
}

/// What is to change of an account; `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub struct AccountUpdate {
    /// The e-mail address; unless said otherwise it's no longer verified then.
    pub email: Option<String>,
    /// Whether the address was shown to be the user's.
    pub email_verified: Option<bool>,
    /// The name that's shown; an empty one is taken away.
    pub display_name: Option<String>,
    /// Where the picture is; an empty one is taken away.
    pub photo_url: Option<String>,
    /// The phone number, E.164.
    pub phone_number: Option<String>,
    /// The password. Tokens that were handed out can't be refreshed then.
    pub password: Option<SecretString>,
    /// Whether it can sign in.
    pub disabled: Option<bool>,
    /// All custom claims.
    pub custom_claims: Option<Map<String, Value>>,
    /// Tokens from before can't be refreshed. Whole seconds; what is finer is dropped.
    pub valid_since: Option<Timestamp>,
    /// An identity that signs in to the account from now on, instead of an earlier one at that provider.
    pub link: Option<Provider>,
}
