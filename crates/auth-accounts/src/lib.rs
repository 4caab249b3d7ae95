//! Auth accounts: who can sign in to a project, and the custom claims in their ID tokens.
//!
//! ```
//! use std::sync::Arc;
//!
//! use auth_accounts::embedded::EmbeddedAccounts;
//! use auth_accounts::{Accounts, NewAccount};
//! use document_store::context::Context;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let directory = tempfile::tempdir()?;
//! let backend = EmbeddedAccounts::open(directory.path(), "accounts", "demo", &Context::system())?;
//! let accounts = Accounts::new("demo", Arc::new(backend));
//!
//! let new = NewAccount { email: Some("Ada@Example.org".to_owned()), ..NewAccount::default() };
//! accounts.create("ada", &new).await?;
//! let claims = serde_json::json!({ "role": "admin" }).as_object().cloned().expect("an object");
//! accounts.set_claims("ada", claims).await?;
//!
//! let account = accounts.find("ada@example.org").await?.expect("an account");
//! assert_eq!((account.uid.as_str(), &account.custom_claims["role"]), ("ada", &"admin".into()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Each Firebase project has accounts of its own. Backends: the Identity Toolkit (Firebase Authentication, or its
//! emulator) and an embedded one.

mod account;
mod check;
pub mod embedded;
mod error;
pub mod identity_toolkit;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Map;

pub use account::{Account, AccountUpdate, NewAccount, Provider};
pub use check::{CLAIMS_LIMIT, check_claims};
pub use error::AccountError;
pub use secrecy::{ExposeSecret, SecretString};

/// How many accounts one look-up may ask for (docs/domain/wire-formats.md#accounts).
pub const LOOKUP_LIMIT: usize = 100;

/// A result of this crate.
pub type Result<T> = std::result::Result<T, AccountError>;

/// Where the accounts of one project are stored. Backends get validated requests, with e-mail addresses in lower case
/// and look-ups split into parts of [`LOOKUP_LIMIT`]: [`Accounts`] does that for all of them.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// Creates an account with that UID.
    async fn create(&self, uid: &str, account: &NewAccount) -> Result<()>;
    /// The accounts with those UIDs, [`LOOKUP_LIMIT`] at most, in any order.
    async fn by_uid(&self, uids: &[&str]) -> Result<Vec<Account>>;
    /// The accounts with those e-mail addresses, [`LOOKUP_LIMIT`] at most, in any order.
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

    /// Creates an account. Malformed requests fail before the backend is asked.
    pub async fn create(&self, uid: &str, account: &NewAccount) -> Result<()> {
        check::uid(uid)?;
        self.backend.create(uid, &check::new_account(account)?).await
    }

    /// The account with that UID.
    pub async fn get(&self, uid: &str) -> Result<Option<Account>> {
        Ok(self.get_all(&[uid]).await?.remove(uid))
    }

    /// The accounts with those UIDs, by UID: one request for each [`LOOKUP_LIMIT`].
    pub async fn get_all(&self, uids: &[&str]) -> Result<HashMap<String, Account>> {
        let possible: BTreeSet<&str> = uids.iter().copied().filter(|uid| check::uid(uid).is_ok()).collect();
        let possible: Vec<&str> = possible.into_iter().collect();
        let mut found = HashMap::new();
        for chunk in possible.chunks(LOOKUP_LIMIT) {
            found.extend(self.backend.by_uid(chunk).await?.into_iter().map(|account| (account.uid.clone(), account)));
        }
        Ok(found)
    }

    /// The account with that e-mail address, whatever its case.
    pub async fn find(&self, email: &str) -> Result<Option<Account>> {
        Ok(self.find_all(&[email]).await?.remove(&email.to_lowercase()))
    }

    /// The accounts with those e-mail addresses, by address in lower case. Nobody has a malformed one.
    pub async fn find_all(&self, emails: &[&str]) -> Result<HashMap<String, Account>> {
        let possible: BTreeSet<String> = emails.iter().filter_map(|email| check::email(email).ok()).collect();
        let possible: Vec<&str> = possible.iter().map(String::as_str).collect();
        let mut found = HashMap::new();
        for chunk in possible.chunks(LOOKUP_LIMIT) {
            let accounts = self.backend.by_email(chunk).await?.into_iter();
            found.extend(accounts.filter_map(|account| Some((account.email.clone()?, account))));
        }
        Ok(found)
    }

    /// Changes an account. Malformed requests fail before the backend is asked.
    pub async fn update(&self, uid: &str, update: &AccountUpdate) -> Result<()> {
        let update = check::update(update)?;
        // No account can have a malformed UID.
        check::uid(uid).map_err(|_| AccountError::NotFound)?;
        self.backend.update(uid, &update).await
    }

    /// Replaces an account's custom claims.
    pub async fn set_claims(&self, uid: &str, claims: Map<String, serde_json::Value>) -> Result<()> {
        self.update(uid, &AccountUpdate { custom_claims: Some(claims), ..AccountUpdate::default() }).await
    }

    /// Deletes an account.
    pub async fn delete(&self, uid: &str) -> Result<()> {
        check::uid(uid).map_err(|_| AccountError::NotFound)?;
        self.backend.delete(uid).await
    }
}
