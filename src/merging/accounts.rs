//! The accounts of merged users: who signs in as whom, and the rights and roster entries that go with that.

use super::carry_out::{MergeError, Merged, UserMerge};
use crate::claims::admin_orgs::Change;
use crate::claims::audit::{Action, Record};
use crate::claims::edit::{Changes, Decision, State, Target, edit};
use crate::claims::give_up;
use crate::claims::lists::granted;
use crate::documents::roster_entry;
use crate::documents::user_claims::{self, claims_map, field, is_suspended};
use crate::fields;
use crate::store::{DocPath, Document, Fields, Query, StoreError, Value, Write};

/// The function's name in audit records.
const FUNCTION: &str = "mergeUsers";

impl UserMerge<'_> {
    async fn claims_of(&self, user: &DocPath) -> Result<Vec<Document>, StoreError> {
        self.admin().query(user_claims::of_user(user.id())).await
    }

    /// Fails for suspended accounts. Merging hands over rights and removes claims, which are what records that somebody
    /// is suspended.
    pub(super) async fn check_not_suspended(&self) -> Result<(), MergeError> {
        for user in [&self.from, &self.into] {
            if self.claims_of(user).await?.iter().any(is_suspended) {
                let message = "One of the two is suspended. Lift that first (users suspend --lift).";
                return Err(MergeError::Refused(message.to_owned()));
            }
        }
        Ok(())
    }

    /// Points the roster entries of the merged user to the remaining one.
    pub(super) async fn entries(&self) -> Result<u64, MergeError> {
        let account = self.claims_of(&self.into).await?.first().map(|claims| claims.id().to_owned());
        let entries = Query::collection(roster_entry::ENTRIES).equal(roster_entry::field::ROAR_UID, self.from.id());
        let entries = self.admin().query(entries).await?;
        for entry in &entries {
            let mut fields = fields! { roster_entry::field::ROAR_UID => self.into.id() };
            if let (Some(account), Some(Value::String(_))) =
                (&account, entry.fields.get(roster_entry::field::ADMIN_UID))
            {
                fields.insert(roster_entry::field::ADMIN_UID.to_owned(), Value::from(account.as_str()));
            }
            self.commit(self.admin(), vec![Write::update(entry.path.clone(), fields)]).await?;
        }
        Ok(entries.len() as u64)
    }

    /// Lets the merged user's account sign in as the remaining user. Where the remaining user has an account of their
    /// own, that account takes over the rights, and the merged user's account is given up.
    pub(super) async fn claims(&self, merged: &mut Merged) -> Result<(), MergeError> {
        let (theirs, own) = (self.claims_of(&self.from).await?, self.claims_of(&self.into).await?);
        merged.accounts = own.iter().map(|claims| claims.id().to_owned()).collect();
        let mut stays = own.into_iter().next();
        for claims in theirs {
            match &stays {
                None => {
                    merged.accounts.push(claims.id().to_owned());
                    self.point(&claims).await?;
                    stays = Some(claims);
                }
                Some(stays) => {
                    merged.accounts_given_up.push(claims.id().to_owned());
                    self.give_rights(&claims, stays).await?;
                    self.give_up(claims).await?;
                }
            }
        }
        Ok(())
    }

    /// Removes the rights and the user from an account.
    async fn give_up(&self, claims: Document) -> Result<(), MergeError> {
        if self.apply {
            give_up(self.app, FUNCTION, self.by, claims).await?;
        }
        Ok(())
    }

    async fn point(&self, claims: &Document) -> Result<(), MergeError> {
        if !self.apply {
            return Ok(());
        }
        let target = Target { as_read: true, known: Some(claims), ..Target::new(FUNCTION, self.by, claims.id()) };
        Ok(edit(self.app, &target, |state| point(&target, state, self.from.id(), self.into.id())).await?)
    }

    async fn give_rights(&self, theirs: &Document, own: &Document) -> Result<(), MergeError> {
        if !self.apply {
            return Ok(());
        }
        let orgs = granted(claims_map(theirs));
        if !orgs.is_empty() {
            let change =
                Change { function: FUNCTION, by: self.by, target: own.id(), orgs: &orgs, action: Action::Append };
            change.apply_to_whoever(self.app).await.map_err(|error| MergeError::Function(error.into()))?;
        }
        let given = flags(theirs);
        if given.is_empty() {
            return Ok(());
        }
        let target = Target { as_read: true, ..Target::new(FUNCTION, self.by, own.id()) };
        Ok(edit(self.app, &target, |state| Ok::<_, StoreError>(give_flags(&target, state, &given))).await?)
    }
}

/// Decides that the account's claims name the user `into` instead of `from`.
fn point<'t>(target: &Target<'t>, state: &State<'_>, from: &str, into: &str) -> Result<Decision<'t, ()>, StoreError> {
    if state.document.is_none() {
        return Err(StoreError::Conflict("the account's claims are gone".to_owned()));
    }
    let record =
        Record { details: fields! { field::ROAR_UID => into, "before" => from }, ..target.record(Action::Bind) };
    Ok(Decision::Write(Changes::of_claims(fields! { field::ROAR_UID => into }).recorded(record).into(), ()))
}

/// The flags of claims that give global rights.
fn flags(claims: &Document) -> Fields {
    let flag = |name: &str| claims_map(claims).and_then(|claims| claims.get(name)).and_then(Value::as_bool);
    let given = [field::SUPER_ADMIN, field::ADMIN].into_iter().filter(|name| flag(name) == Some(true));
    given.map(|name| (name.to_owned(), Value::Boolean(true))).collect()
}

/// Adds these flags to the claims.
fn give_flags<'t>(target: &Target<'t>, state: &State<'_>, given: &Fields) -> Decision<'t, ()> {
    if state.document.is_none() {
        return Decision::Keep(());
    }
    let record = Record { details: given.clone(), ..target.record(Action::Append) };
    Decision::Write(Changes::of_claims(given.clone()).recorded(record).into(), ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::edit::tests::{document, state};
    use crate::orgs::OrgTree;

    fn holding(claims: Fields) -> Document {
        document(fields! { "claims" => claims })
    }

    #[test]
    fn an_account_takes_over_the_user_and_the_rights_over_everything() {
        let tree = OrgTree::default();
        let theirs = holding(fields! { "roarUid" => "old", "super_admin" => true, "admin" => false });
        let given = flags(&theirs);
        assert_eq!(given, fields! { "super_admin" => true });
        let target = Target::new(FUNCTION, "by", "u");
        let own = holding(fields! { "roarUid" => "new" });
        let state = |document| state(document, &tree);
        for (decision, claims, action, details) in [
            (give_flags(&target, &state(Some(&own)), &given), given.clone(), Action::Append, given.clone()),
            (
                point(&target, &state(Some(&theirs)), "old", "new").unwrap(),
                fields! { "roarUid" => "new" },
                Action::Bind,
                fields! { "roarUid" => "new", "before" => "old" },
            ),
        ] {
            let record = Record { details, ..target.record(action) };
            assert_eq!(decision, Decision::Write(Changes::of_claims(claims).recorded(record).into(), ()));
        }
        assert_eq!(give_flags(&target, &state(None), &given), Decision::Keep(()));
        assert!(matches!(point(&target, &state(None), "old", "new"), Err(StoreError::Conflict(_))));
    }
}
