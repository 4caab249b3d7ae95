//! Accounts of Firebase Authentication, by the Identity Toolkit's admin API, or of its emulator
//! (docs/domain/wire-formats.md#accounts).

mod connection;
mod failure;
mod wire;

use std::sync::Arc;

use async_trait::async_trait;
use reqwest::Url;
use serde::de::IgnoredAny;
use serde_json::json;

pub use connection::{Connection, Options};

use self::connection::Answer;
use super::{Account, AccountError, AccountUpdate, Backend, NewAccount, Provider, Result};

/// Accounts of one project.
pub struct IdentityToolkit {
    connection: Arc<Connection>,
    /// `…/v1/projects/P`.
    project: Url,
}

impl IdentityToolkit {
    /// The accounts of `project` by that connection. Fails when that can't be a project's ID.
    pub fn new(connection: Arc<Connection>, project: &str) -> Result<Self> {
        let url = connection.project(project)?;
        Ok(IdentityToolkit { connection, project: url })
    }

    async fn lookup(&self, body: serde_json::Value) -> Result<Vec<Account>> {
        let found: wire::Found = self.connection.post(&self.project, "accounts:lookup", &body).await.into_result()?;
        found.users.into_iter().map(wire::User::into_account).collect()
    }

    /// True when the account has the properties of the one that was to be created (but for its password, which can't be
    /// read).
    async fn is_made(&self, uid: &str, new: &NewAccount) -> Result<bool> {
        let found = self.by_uid(&[uid]).await?;
        let name = new.display_name.as_deref().filter(|name| !name.is_empty());
        Ok(found.iter().any(|account| {
            account.uid == uid
                && account.email == new.email
                && account.email_verified == new.email_verified
                && account.display_name.as_deref() == name
        }))
    }

    /// Refuses an identity that another account has. The service documents no error for that, and the emulator silently
    /// takes the identity from the other account.
    async fn check_free(&self, uid: &str, link: &Provider) -> Result<()> {
        let identity = json!({"providerId": link.provider_id, "rawId": link.raw_id});
        let found = self.lookup(json!({"localId": [uid], "federatedUserId": [identity]})).await?;
        let is_taken = |account: &Account| account.uid != uid && account.is_linked(&link.provider_id, &link.raw_id);
        if !found.iter().any(|account| account.uid == uid) {
            Err(AccountError::NotFound)
        } else if found.iter().any(is_taken) {
            Err(AccountError::ProviderExists)
        } else {
            Ok(())
        }
    }
}

#[async_trait]
impl Backend for IdentityToolkit {
    async fn create(&self, uid: &str, new: &NewAccount) -> Result<()> {
        let body = wire::creation(uid, new);
        let Answer { outcome, may_be_done } =
            self.connection.post::<IgnoredAny>(&self.project, "accounts", &body).await;
        match outcome.map_err(AccountError::from) {
            // An earlier attempt, whose answer was lost, may be the one that took the UID and the address.
            Err(error @ (AccountError::UidExists | AccountError::EmailExists)) if may_be_done => {
                if self.is_made(uid, new).await? { Ok(()) } else { Err(error) }
            }
            outcome => outcome.map(drop),
        }
    }

    async fn by_uid(&self, uids: &[&str]) -> Result<Vec<Account>> {
        self.lookup(json!({ "localId": uids })).await
    }

    async fn by_email(&self, emails: &[&str]) -> Result<Vec<Account>> {
        self.lookup(json!({ "email": emails })).await
    }

    async fn update(&self, uid: &str, update: &AccountUpdate) -> Result<()> {
        if let Some(link) = &update.link {
            self.check_free(uid, link).await?;
        }
        let body = wire::update(uid, update);
        self.connection.post::<IgnoredAny>(&self.project, "accounts:update", &body).await.into_result().map(drop)
    }

    async fn delete(&self, uid: &str) -> Result<()> {
        let body = json!({ "localId": uid });
        let Answer { outcome, may_be_done } =
            self.connection.post::<IgnoredAny>(&self.project, "accounts:delete", &body).await;
        match outcome.map_err(AccountError::from) {
            // An earlier attempt, whose answer was lost, has deleted the account; or it never existed, with the same
            // result.
            Err(AccountError::NotFound) if may_be_done => Ok(()),
            outcome => outcome.map(drop),
        }
    }
}
