//! Suspensions: somebody whose account is disabled keeps ID tokens for up to an hour. `userClaims` documents say at once
//! that nothing is to be done for them: every permit reads that document, and so do the security rules, those of the
//! assessment database its copy.
//!
//! The safer state is written first. Whoever is suspended is so before their accounts are disabled, and stays so until the
//! accounts can be used again; whatever is cut short is finished by asking again.
//!
//! Custom claims stay in tokens: nothing takes rights from those, and lifting a suspension must give back what was there.

use super::audit::{Action, Record};
use super::next_update;
use super::publish::publish;
use crate::accounts::{Account, AccountError, AccountUpdate, Accounts};
use crate::app::App;
use crate::documents::user_claims::{
    SUSPENDED, SUSPENDED_ABOVE, SUSPENDED_AT, claims_map, is_suspended, is_suspended_above,
};
use crate::fields;
use crate::rights::{Claims, denied};
use crate::runtime::{FunctionError, Status};
use crate::store::{Document, FieldPath, Fields, Precondition, Transaction, Write};

/// A suspension, or its end.
#[derive(Clone, Copy, Debug)]
pub struct Suspension<'a> {
    /// The function that does it.
    pub function: &'static str,
    /// The Auth UID of who does it.
    pub by: &'a str,
    /// The Auth UID, in the admin project, of whose account it is.
    pub admin_uid: &'a str,
    /// That is a super admin, or who runs the service.
    pub by_super_admin: bool,
}

impl Suspension<'_> {
    /// Suspends the user, as far as databases go. True when they weren't before.
    pub async fn begin(&self, app: &App) -> Result<bool, FunctionError> {
        self.set(app, true).await
    }

    /// PERMISSION_DENIED where a super admin suspended the user and somebody else would lift that. Reads one document.
    pub async fn check_liftable(&self, app: &App) -> Result<(), FunctionError> {
        let document = app.stores.admin.get(&Claims::path(self.admin_uid)?).await?;
        self.check_rights(document.as_ref())
    }

    fn check_rights(&self, document: Option<&Document>) -> Result<(), FunctionError> {
        match !self.by_super_admin && document.is_some_and(is_suspended_above) {
            true => Err(denied("A super admin suspended this user, and only super admins lift that.")),
            false => Ok(()),
        }
    }

    /// Lifts the suspension. True when there was one.
    pub async fn lift(&self, app: &App) -> Result<bool, FunctionError> {
        self.set(app, false).await
    }

    async fn set(&self, app: &App, suspended: bool) -> Result<bool, FunctionError> {
        let (changed, _) = app.stores.admin.transaction(|tx| self.write(app, tx, suspended)).await?;
        // In any case: what a crash left undone is done now.
        publish(app, self.admin_uid, &[]).await?;
        Ok(changed)
    }

    async fn write(&self, app: &App, tx: Transaction, suspended: bool) -> Result<bool, FunctionError> {
        let path = Claims::path(self.admin_uid)?;
        let document = tx.get(&path).await?;
        let was_suspended = document.as_ref().is_some_and(is_suspended);
        let rises = suspended && self.by_super_admin && !document.as_ref().is_some_and(is_suspended_above);
        if was_suspended == suspended && !rises {
            return Ok(false);
        }
        if !suspended {
            self.check_rights(document.as_ref())?;
        }
        let mut fields = Fields::new();
        if suspended {
            let since =
                document.as_ref().filter(|_| was_suspended).and_then(|document| document.fields.get(SUSPENDED_AT));
            fields.insert(SUSPENDED.to_owned(), true.into());
            fields.insert(SUSPENDED_AT.to_owned(), since.cloned().unwrap_or_else(|| app.now().into()));
            if self.by_super_admin {
                fields.insert(SUSPENDED_ABOVE.to_owned(), true.into());
            }
        }
        let write = match &document {
            // It was made to suspend somebody who never signed in.
            Some(document) if !suspended && claims_map(document).is_none() => {
                Write::delete(path).when(Precondition::Exists)
            }
            document => {
                // Clients look at it, and renew their tokens.
                fields.extend(fields! { "lastUpdated" => next_update(document.as_ref(), app.now()) });
                let mask = [SUSPENDED, SUSPENDED_AT, SUSPENDED_ABOVE, "lastUpdated"];
                Write::merge(path, fields, mask.map(FieldPath::top).into())
            }
        };
        tx.write(write).await;
        let record = Record {
            function: self.function,
            action: if suspended { Action::Suspend } else { Action::Lift },
            by: self.by,
            target: self.admin_uid,
            orgs: None,
            minimal: None,
            details: Fields::new(),
        };
        tx.write(record.write(app)?).await;
        Ok(was_suspended != suspended)
    }

    /// Suspends the user with the accounts of both projects, or lifts that. NOT_FOUND when there is neither an account
    /// nor a claims document, and nobody is suspended then.
    pub async fn of_everything(&self, app: &App, suspended: bool) -> Result<bool, FunctionError> {
        let document = app.stores.admin.get(&Claims::path(self.admin_uid)?).await?;
        let assessment_uid = Claims::read(self.admin_uid, document.as_ref()).assessment_uid;
        let account = app.accounts.admin.get(self.admin_uid).await?;
        if account.is_none() && document.is_none() {
            return Err(FunctionError::new(Status::NotFound, "There is no such account."));
        }
        let accounts = async || {
            let other = assessment_uid.as_deref().map(|uid| (&app.accounts.assessment, uid));
            for (accounts, uid) in other.into_iter().chain([(&app.accounts.admin, self.admin_uid)]) {
                set_usable(app, accounts, uid, !suspended).await?;
            }
            Ok::<_, FunctionError>(())
        };
        if suspended {
            let changed = self.begin(app).await?;
            accounts().await?;
            return Ok(changed);
        }
        accounts().await?;
        self.lift(app).await
    }
}

async fn set_usable(app: &App, accounts: &Accounts, uid: &str, usable: bool) -> Result<(), FunctionError> {
    let Some(Account { disabled, .. }) = accounts.get(uid).await? else { return Ok(()) };
    if disabled != usable {
        return Ok(());
    }
    let update = AccountUpdate {
        disabled: Some(!usable),
        // Who is let in again signs in again, also on devices that others took along.
        valid_since: (!usable).then(|| app.now()),
        ..AccountUpdate::default()
    };
    match accounts.update(uid, &update).await {
        // Deleted this moment.
        Err(AccountError::NotFound) => Ok(()),
        other => Ok(other?),
    }
}
