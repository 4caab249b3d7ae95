//! Suspensions: a user whose account is disabled keeps valid ID tokens for up to an hour. `userClaims` documents record
//! at once that requests of this user must be refused: every permit reads that document, and so do the security rules
//! (in the assessment database, its copy).
//!
//! The safer state is written first. A user is suspended before their accounts are disabled, and stays suspended until
//! the accounts are usable again. An interrupted change is completed by repeating it.
//!
//! Custom claims stay in tokens: the check of suspensions doesn't depend on tokens, and lifting a suspension must
//! restore the previous claims.

use super::audit::Action;
use super::edit::{Changes, Decision, State, Target, edit};
use crate::accounts::{Account, AccountError, AccountUpdate, Accounts};
use crate::app::App;
use crate::documents::user_claims::{
    claims_map, claims_path,
    field::{SUSPENDED, SUSPENDED_AT, SUSPENDED_BY_SUPER_ADMIN},
    is_suspended, is_suspended_above,
};
use crate::rights::{Claims, denied};
use crate::runtime::{FunctionError, Status};
use crate::store::{Document, FieldPath, Fields};

/// A suspension, or its end.
#[derive(Clone, Copy, Debug)]
pub struct Suspension<'a> {
    /// The function that makes the change.
    pub function: &'static str,
    /// The Auth UID of the caller who makes the change.
    pub by: &'a str,
    /// The Auth UID, in the admin project, of the account that is suspended or restored.
    pub admin_uid: &'a str,
    /// True when the caller is a super admin or an operator.
    pub by_super_admin: bool,
}

impl Suspension<'_> {
    /// Suspends the user in the databases. True when the user wasn't suspended before.
    pub async fn begin(&self, app: &App) -> Result<bool, FunctionError> {
        self.set(app, true).await
    }

    /// PERMISSION_DENIED where a super admin suspended the user and the caller, who isn't one, would lift the
    /// suspension. Reads one document.
    pub async fn check_liftable(&self, app: &App) -> Result<(), FunctionError> {
        let document = app.stores.admin.get(&claims_path(self.admin_uid)?).await?;
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
        let target = Target::new(self.function, self.by, self.admin_uid);
        Ok(edit(app, &target, |state| self.decide(&target, state, suspended)).await?)
    }

    /// Decides the write after which the user is suspended or not; the answer is true when this is a change.
    fn decide<'t>(
        &self,
        target: &Target<'t>,
        state: &State<'_>,
        suspended: bool,
    ) -> Result<Decision<'t, bool>, FunctionError> {
        let was_suspended = state.document.is_some_and(is_suspended);
        let rises = suspended && self.by_super_admin && !state.document.is_some_and(is_suspended_above);
        if was_suspended == suspended && !rises {
            return Ok(Decision::Keep(false));
        }
        if !suspended {
            self.check_rights(state.document)?;
        }
        let change = match state.document {
            // The document was created only to suspend a user who had never signed in.
            Some(document) if !suspended && claims_map(document).is_none() => *Changes::deletion(),
            document => {
                let mut fields = Fields::new();
                if suspended {
                    let since = document.filter(|_| was_suspended).and_then(|found| found.fields.get(SUSPENDED_AT));
                    fields.insert(SUSPENDED.to_owned(), true.into());
                    fields.insert(SUSPENDED_AT.to_owned(), since.cloned().unwrap_or_else(|| state.now.into()));
                    if self.by_super_admin {
                        fields.insert(SUSPENDED_BY_SUPER_ADMIN.to_owned(), true.into());
                    }
                }
                let mask = [SUSPENDED, SUSPENDED_AT, SUSPENDED_BY_SUPER_ADMIN].map(FieldPath::top).into();
                Changes { fields, mask, ..Changes::default() }
            }
        };
        let action = if suspended { Action::Suspend } else { Action::Lift };
        let change = change.recorded(target.record(action));
        Ok(Decision::Write(change.into(), was_suspended != suspended))
    }

    /// Suspends the user with the accounts of both projects, or lifts the suspension. NOT_FOUND, without any change,
    /// when there is neither an account nor a claims document.
    pub async fn of_everything(&self, app: &App, suspended: bool) -> Result<bool, FunctionError> {
        let document = app.stores.admin.get(&claims_path(self.admin_uid)?).await?;
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
        // A user who is restored must sign in again on every device, including devices that others may have taken.
        valid_since: (!usable).then(|| app.now()),
        ..AccountUpdate::default()
    };
    match accounts.update(uid, &update).await {
        // The account was deleted concurrently.
        Err(AccountError::NotFound) => Ok(()),
        other => Ok(other?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::edit::tests::{change, document, state};
    use crate::fields;
    use crate::orgs::OrgTree;
    use crate::store::{Timestamp, Value};

    #[test]
    fn a_suspension_is_lifted_by_nobody_with_fewer_rights() {
        let tree = OrgTree::default();
        let target = Target::new("f", "by", "u");
        let since = Value::from(Timestamp::from_millisecond(3).unwrap());
        let now = Value::from(Timestamp::from_millisecond(7).unwrap());
        let suspended = fields! { "suspended" => true, "suspendedAt" => since.clone(), "claims" => Fields::new() };
        let mut above = suspended.clone();
        above.insert("suspendedBySuperAdmin".to_owned(), true.into());
        let bare = fields! { "suspended" => true };
        let held = fields! { "claims" => fields! { "roarUid" => "r" } };
        // The document; whether the caller is a super admin; whether to suspend: the expected write, without its time,
        // and answer.
        let table = [
            (Some(&held), false, true, Some(fields! { "suspended" => true, "suspendedAt" => now.clone() }), true),
            (None, false, true, Some(fields! { "suspended" => true, "suspendedAt" => now }), true),
            (Some(&suspended), false, true, None, false),
            (
                Some(&suspended),
                true,
                true,
                Some(fields! { "suspended" => true, "suspendedAt" => since, "suspendedBySuperAdmin" => true }),
                false,
            ),
            (Some(&above), true, true, None, false),
            (Some(&suspended), false, false, Some(Fields::new()), true),
            (Some(&above), true, false, Some(Fields::new()), true),
            (Some(&held), false, false, None, false),
        ];
        for (fields, by_super_admin, suspends, expected, answer) in table {
            let document = fields.cloned().map(document);
            let suspension = Suspension { function: "f", by: "by", admin_uid: "u", by_super_admin };
            let decision = suspension.decide(&target, &state(document.as_ref(), &tree), suspends).unwrap();
            let Some(expected) = expected else {
                assert_eq!(decision, Decision::Keep(answer), "{fields:?}");
                continue;
            };
            let (change, answered) = change(decision);
            assert_eq!((change.fields, answered), (expected, answer), "{fields:?}");
            let action = if suspends { Action::Suspend } else { Action::Lift };
            assert_eq!(change.record, Some(target.record(action)));
        }
        let suspension = Suspension { function: "f", by: "by", admin_uid: "u", by_super_admin: false };
        let above = document(above);
        let refused = suspension.decide(&target, &state(Some(&above), &tree), false).unwrap_err();
        assert_eq!(refused.status, Status::PermissionDenied);
        let bare = document(bare);
        let (change, _) = change(suspension.decide(&target, &state(Some(&bare), &tree), false).unwrap());
        assert!(change.deletes, "nothing else was there");
    }
}
