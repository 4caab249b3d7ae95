//! Suspensions: somebody whose account is disabled keeps ID tokens for up to an hour. `userClaims` documents say at once
//! that nothing is to be done for them: every permit reads that document, and so do the security rules, those of the
//! assessment database its copy.
//!
//! The safer state is written first. A user is suspended before their accounts are disabled, and stays suspended until
//! the accounts are usable again. An interrupted change is completed by repeating it.
//!
//! Custom claims stay in tokens: nothing takes rights from those, and lifting a suspension must give back what was there.

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
    /// Suspends the user in the databases. True when the user wasn't suspended before.
    pub async fn begin(&self, app: &App) -> Result<bool, FunctionError> {
        self.set(app, true).await
    }

    /// PERMISSION_DENIED where a super admin suspended the user and somebody else would lift that. Reads one document.
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

    /// Whether the user is suspended from then on; true when that is new.
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
            // It was made to suspend somebody who never signed in.
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
        // The document; by a super admin; suspended or not: what is written besides the time, and the answer.
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
