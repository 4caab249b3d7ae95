//! Auth accounts: who can sign in to a project, and the custom claims in their ID tokens.
//!
//! ROAR has two Firebase projects, each with accounts of its own (data-model §1). Backends: the Identity
//! Toolkit (Firebase Authentication, or its emulator) and an embedded one.

mod account;
mod claims_size;
pub mod embedded;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Map;

pub use account::{Account, AccountUpdate, NewAccount, Provider};
pub use claims_size::{CLAIMS_LIMIT, check_claims};
pub use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

use crate::runtime::{FunctionError, Status};

/// How many accounts one look-up may ask for (wire/auth §3).
pub const LOOKUP_LIMIT: usize = 100;

/// Why something can't be done to an account. Texts name no person.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AccountError {
    /// There's no such account.
    #[error("there is no such account")]
    NotFound,
    /// Another account has the e-mail address.
    #[error("the e-mail address is taken")]
    EmailExists,
    /// Another account has the UID.
    #[error("the UID is taken")]
    UidExists,
    /// Another account has the phone number.
    #[error("the phone number is taken")]
    PhoneExists,
    /// Another account has the identity at that provider.
    #[error("the identity is another account's")]
    ProviderExists,
    /// Not an e-mail address.
    #[error("the e-mail address is malformed")]
    InvalidEmail,
    /// Not a phone number.
    #[error("the phone number is malformed")]
    InvalidPhone,
    /// Another field is malformed: its name.
    #[error("{0} is malformed")]
    Invalid(&'static str),
    /// Passwords have at least 6 characters.
    #[error("the password is too short")]
    WeakPassword,
    /// The custom claims don't fit.
    #[error("the custom claims have {bytes} bytes, {CLAIMS_LIMIT} at most")]
    ClaimsTooLarge {
        /// Their size as JSON.
        bytes: usize,
    },
    /// A custom claim has a name that tokens need themselves.
    #[error("the claim {0:?} is reserved")]
    ReservedClaim(String),
    /// The service can't be reached, is overloaded or out of quota: it may work later.
    #[error("the accounts can't be reached: {0}")]
    Unavailable(String),
    /// The service refused us, or said what we don't understand.
    #[error("the accounts' service failed: {0}")]
    Failed(String),
}

/// What callers are told. What's theirs to mend is said; the rest goes to the log.
impl From<AccountError> for FunctionError {
    fn from(error: AccountError) -> Self {
        let (status, message) = match &error {
            AccountError::NotFound => (Status::NotFound, "There is no such account."),
            AccountError::EmailExists => (Status::AlreadyExists, "The e-mail address is already in use."),
            AccountError::UidExists => (Status::AlreadyExists, "The UID is already in use."),
            AccountError::PhoneExists => (Status::AlreadyExists, "The phone number is already in use."),
            AccountError::ProviderExists => (Status::AlreadyExists, "The identity is already in use."),
            AccountError::InvalidEmail => (Status::InvalidArgument, "email must be an e-mail address."),
            AccountError::InvalidPhone => {
                (Status::InvalidArgument, "phoneNumber must be a phone number as +15551234567.")
            }
            AccountError::Invalid(field) => return FunctionError::invalid(format!("{field} is malformed.")),
            AccountError::WeakPassword => (Status::InvalidArgument, "password must have at least 6 characters."),
            AccountError::ClaimsTooLarge { .. } => {
                (Status::ResourceExhausted, "The account's custom claims would be larger than 1000 bytes.")
            }
            AccountError::Unavailable(_) => {
                (Status::Unavailable, "The accounts can't be reached now. Please try again.")
            }
            AccountError::ReservedClaim(_) | AccountError::Failed(_) => return FunctionError::internal(error),
        };
        FunctionError { status, message: message.to_owned(), details: None, cause: Some(Box::new(error)) }
    }
}

/// What came of it.
pub type Result<T> = std::result::Result<T, AccountError>;

/// The accounts of one project, somewhere. Backends neither check claims nor split look-ups: [`Accounts`]
/// does.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// Creates an account with that UID.
    async fn create(&self, uid: &str, account: &NewAccount) -> Result<()>;
    /// The accounts with those UIDs, [`LOOKUP_LIMIT`] at most, in any order.
    async fn by_uid(&self, uids: &[&str]) -> Result<Vec<Account>>;
    /// The accounts with those e-mail addresses (lower case), [`LOOKUP_LIMIT`] at most, in any order.
    async fn by_email(&self, emails: &[&str]) -> Result<Vec<Account>>;
    /// Changes an account.
    async fn update(&self, uid: &str, update: &AccountUpdate) -> Result<()>;
    /// Deletes an account.
    async fn delete(&self, uid: &str) -> Result<()>;
}

/// The accounts of one project. Cheap to clone.
#[derive(Clone)]
pub struct Accounts {
    backend: Arc<dyn Backend>,
    project: Arc<str>,
}

impl Accounts {
    /// The accounts of `project` at a backend.
    pub fn new(project: &str, backend: Arc<dyn Backend>) -> Self {
        Accounts { backend, project: project.into() }
    }

    /// The project's ID.
    pub fn project(&self) -> &str {
        &self.project
    }

    /// Creates an account.
    pub async fn create(&self, uid: &str, account: &NewAccount) -> Result<()> {
        self.backend.create(uid, account).await
    }

    /// The account with that UID.
    pub async fn get(&self, uid: &str) -> Result<Option<Account>> {
        Ok(self.backend.by_uid(&[uid]).await?.into_iter().find(|account| account.uid == uid))
    }

    /// The accounts with those UIDs, by UID: one request for each [`LOOKUP_LIMIT`].
    pub async fn get_all(&self, uids: &[&str]) -> Result<HashMap<String, Account>> {
        let mut found = HashMap::new();
        for chunk in uids.chunks(LOOKUP_LIMIT) {
            found.extend(self.backend.by_uid(chunk).await?.into_iter().map(|account| (account.uid.clone(), account)));
        }
        Ok(found)
    }

    /// The account with that e-mail address, whatever its case.
    pub async fn find(&self, email: &str) -> Result<Option<Account>> {
        let email = email.to_lowercase();
        let found = self.backend.by_email(&[&email]).await?;
        Ok(found.into_iter().find(|account| account.email.as_ref() == Some(&email)))
    }

    /// The accounts with those e-mail addresses, by address in lower case.
    pub async fn find_all(&self, emails: &[&str]) -> Result<HashMap<String, Account>> {
        let emails: Vec<String> = emails.iter().map(|email| email.to_lowercase()).collect();
        let mut found = HashMap::new();
        for chunk in emails.chunks(LOOKUP_LIMIT) {
            let chunk: Vec<&str> = chunk.iter().map(String::as_str).collect();
            let accounts = self.backend.by_email(&chunk).await?.into_iter();
            found.extend(accounts.filter_map(|account| Some((account.email.clone()?, account))));
        }
        Ok(found)
    }

    /// Changes an account. Custom claims that don't fit are refused before anything is asked for.
    pub async fn update(&self, uid: &str, update: &AccountUpdate) -> Result<()> {
        if let Some(claims) = &update.custom_claims {
            check_claims(claims)?;
        }
        self.backend.update(uid, update).await
    }

    /// Replaces an account's custom claims.
    pub async fn set_claims(&self, uid: &str, claims: Map<String, serde_json::Value>) -> Result<()> {
        self.update(uid, &AccountUpdate { custom_claims: Some(claims), ..AccountUpdate::default() }).await
    }

    /// Deletes an account.
    pub async fn delete(&self, uid: &str) -> Result<()> {
        self.backend.delete(uid).await
    }
}

/// The accounts of the two projects.
#[derive(Clone)]
pub struct Projects {
    /// Where people sign in.
    pub admin: Accounts,
    /// Where de-identified users are.
    pub assessment: Accounts,
}
