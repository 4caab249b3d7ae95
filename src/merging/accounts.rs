//! Who signs in as whom, once two users are one: accounts, their rights, and what rosters say.

use super::carry_out::{MergeError, Merged, Work};
use crate::claims::admin_orgs::Change;
use crate::claims::audit::{Action, Record};
use crate::claims::lists::granted;
use crate::claims::{Rounds, give_up, next_update, publish};
use crate::documents::user_claims::{claims_map, is_suspended};
use crate::fields;
use crate::store::{DocPath, Document, FieldPath, Fields, Precondition, Query, StoreError, Value, Write};

impl Work<'_> {
    async fn claims_of(&self, user: &DocPath) -> Result<Vec<Document>, StoreError> {
        self.admin().query(Query::collection("userClaims").equal("claims.roarUid", user.id())).await
    }

    /// Merging hands rights on, and takes the claims that say who is suspended from an account.
    pub(super) async fn check_not_suspended(&self) -> Result<(), MergeError> {
        for user in [&self.from, &self.into] {
            if self.claims_of(user).await?.iter().any(is_suspended) {
                let message = "One of the two is suspended. Lift that first (users suspend --lift).";
                return Err(MergeError::Refused(message.to_owned()));
            }
        }
        Ok(())
    }

    /// Entries of rosters say who somebody is from then on.
    pub(super) async fn entries(&self) -> Result<u64, MergeError> {
        let account = self.claims_of(&self.into).await?.first().map(|claims| claims.id().to_owned());
        let entries = Query::collection("identityProviderIds").equal("roarUid", self.from.id());
        let entries = self.admin().query(entries).await?;
        for entry in &entries {
            let mut fields = fields! { "roarUid" => self.into.id() };
            if let (Some(account), Some(Value::String(_))) = (&account, entry.fields.get("adminUid")) {
                fields.insert("adminUid".to_owned(), Value::from(account.as_str()));
            }
            self.commit(self.admin(), vec![Write::update(entry.path.clone(), fields)]).await?;
        }
        Ok(entries.len() as u64)
    }

    /// The other's account signs in as the user who stays; where these have an account of their own, it takes over the
    /// rights, and the other's is nobody's.
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

    /// Takes its rights and its user from an account.
    async fn give_up(&self, claims: Document) -> Result<(), MergeError> {
        if self.apply {
            give_up(self.app, "mergeUsers", self.by, claims).await?;
        }
        Ok(())
    }

    async fn point(&self, claims: &Document) -> Result<(), MergeError> {
        if !self.apply {
            return Ok(());
        }
        let record = Record {
            function: "mergeUsers",
            action: Action::Bind,
            by: self.by,
            target: claims.id(),
            orgs: None,
            minimal: None,
            details: fields! { "roarUid" => self.into.id(), "before" => self.from.id() },
        };
        let fields = fields! {
            "claims" => fields! { "roarUid" => self.into.id() },
            "lastUpdated" => next_update(Some(claims), self.app.now()),
        };
        let mask = vec![FieldPath::of(["claims", "roarUid"]), FieldPath::top("lastUpdated")];
        let write = Write::merge(claims.path.clone(), fields, mask).when(Precondition::Exists);
        self.admin().commit(vec![write, record.write(self.app)?]).await?;
        publish(self.app, claims.id(), &[]).await?;
        Ok(())
    }

    async fn give_rights(&self, theirs: &Document, own: &Document) -> Result<(), MergeError> {
        if !self.apply {
            return Ok(());
        }
        let orgs = granted(claims_map(theirs));
        if !orgs.is_empty() {
            let change =
                Change { function: "mergeUsers", by: self.by, target: own.id(), orgs: &orgs, action: Action::Append };
            change.apply_to_whoever(self.app).await.map_err(|error| MergeError::Function(error.into()))?;
        }
        let flag = |name: &str| claims_map(theirs).and_then(|claims| claims.get(name)).and_then(Value::as_bool);
        let given: Vec<&str> = ["super_admin", "admin"].into_iter().filter(|name| flag(name) == Some(true)).collect();
        if given.is_empty() {
            return Ok(());
        }
        let mut rounds = Rounds::new(&self.app.context);
        while rounds.next().await {
            let Some(own) = self.admin().get(&own.path).await? else { return Ok(()) };
            let flags: Fields = given.iter().map(|name| ((*name).to_owned(), Value::Boolean(true))).collect();
            let mut mask: Vec<FieldPath> = given.iter().map(|name| FieldPath::of(["claims", name])).collect();
            mask.push(FieldPath::top("lastUpdated"));
            let record = Record {
                function: "mergeUsers",
                action: Action::Append,
                by: self.by,
                target: own.id(),
                orgs: None,
                minimal: None,
                details: flags.clone(),
            };
            let fields = fields! { "claims" => flags, "lastUpdated" => next_update(Some(&own), self.app.now()) };
            let write = Write::merge(own.path.clone(), fields, mask).when(Precondition::UpdatedAt(own.update_time));
            match self.admin().commit(vec![write, record.write(self.app)?]).await {
                Err(StoreError::Conflict(_)) => {}
                committed => {
                    committed?;
                    publish(self.app, own.id(), &[]).await?;
                    return Ok(());
                }
            }
        }
        Err(StoreError::Contention.into())
    }
}
