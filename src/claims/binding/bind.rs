//! Binds two accounts to one user: reads the current state, decides, and writes what is missing.

use serde_json::{Map, Value as Json};

use super::identity::{COPIED, Question, RosterEntry, account_provider, is_owner, user_of};
use super::shown::{Left, close_password, giving_way, left};
use crate::accounts::{Account, AccountError};
use crate::app::App;
use crate::claims::audit::{Action, Record};
use crate::claims::custom::{for_sign_in, imported, is_open};
use crate::claims::edit::{Changes, Decision, Publication, State, Target, attempt};
use crate::claims::lists::{AdminOrgs, granted, snapshot, stored};
use crate::claims::roster::role_over;
use crate::claims::sources::Sources;
use crate::claims::{ClaimsError, Rounds, give_up, publish};
use crate::documents::roster_entry;
use crate::documents::user::copy::new_copy;
use crate::documents::user::same::fold_address;
use crate::documents::user::{self, user_path};
use crate::documents::user_claims::{self, claims_map, claims_path, field};
use crate::fields;
use crate::orgs::{OrgLists, OrgTree};
use crate::rights::{Claims, check_not_suspended, denied};
use crate::runtime::{FunctionError, Status};
use crate::store::{Database, DocPath, Document, FieldPath, Fields, StoreError, Timestamp, Transaction, Value, Write};

/// The accounts to bind, and what the caller says about their user.
pub struct Binding<'a> {
    /// The function that makes the binding.
    pub function: &'static str,
    /// The Auth UID, in the admin project, of the caller who makes the binding.
    pub by: &'a str,
    /// The account in the admin project.
    pub admin_uid: &'a str,
    /// The account in the assessment project.
    pub assessment_uid: &'a str,
    /// The ID of the user's documents, where the caller names it.
    pub roar_uid: Option<&'a str>,
    /// The type of a roster provider, and the user's ID at that provider.
    pub identity: Option<(&'a str, Option<&'a str>)>,
    /// True when the caller is trusted, so that no proof is needed that the assessment account is the user's.
    pub is_trusted: bool,
}

/// The result of binding.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    /// The ID of the user's documents.
    pub roar_uid: String,
    /// The custom claims of the account in the admin project.
    pub custom_claims: Map<String, Json>,
}

/// Binds the accounts. Idempotent; a call that was interrupted anywhere is completed by repeating it.
///
/// NOT_FOUND for a missing account, PERMISSION_DENIED when nothing proves that the assessment account is the user's,
/// ALREADY_EXISTS and FAILED_PRECONDITION for accounts that are bound to others, RESOURCE_EXHAUSTED when the custom
/// claims don't fit into a token, in which case nothing is written.
pub async fn bind(app: &App, binding: &Binding<'_>) -> Result<Bound, FunctionError> {
    let mut rounds = Rounds::new(&app.context);
    while rounds.next().await {
        if let Some(bound) = try_to_bind(app, binding).await? {
            return Ok(bound);
        }
    }
    Err(FunctionError::new(Status::Aborted, "Too many changes at once. Please try again."))
}

/// One attempt to bind; `None` when the same claims were changed in the meantime.
async fn try_to_bind(app: &App, binding: &Binding<'_>) -> Result<Option<Bound>, FunctionError> {
    let Binding { admin_uid, assessment_uid, .. } = *binding;
    let (admin, assessment) = accounts(app, admin_uid, assessment_uid).await?;
    let (admin_path, assessment_path) = (claims_path(admin_uid)?, claims_path(assessment_uid)?);
    let (admin_document, assessment_document) =
        futures::try_join!(app.stores.admin.get(&admin_path), app.stores.assessment.get(&assessment_path))?;
    let known = Claims::read(admin_uid, admin_document.as_ref());
    check_not_suspended(&known)?;
    let assessment_claims = claims_map(assessment_document.as_ref());
    let (one, other) = (app.accounts.admin.project(), app.accounts.assessment.project());
    if !binding.is_trusted && !is_owner(&admin, one, &assessment, other, assessment_claims) {
        return Err(denied("The assessment account isn't shown to be yours."));
    }
    let entry = match binding.identity {
        Some((kind, id)) => roster_entry(app, &admin, kind, id).await?,
        None => None,
    };
    let former = known.assessment_uid.as_deref().filter(|former| *former != assessment_uid);
    let other_account_lives = match former {
        Some(former) => app.accounts.assessment.get(former).await?.is_some(),
        None => false,
    };
    // Only the account's ID at the provider proves which person the account belongs to: people may share an address.
    let by_id = binding.identity.and_then(|(_, id)| id);
    let shows = |entry: &RosterEntry| Some(entry.provider_id.as_str()) == by_id;
    // The roster entry may have been linked to a user who already has an account.
    let new = entry.as_ref().filter(|entry| entry.admin_uid.is_none());
    for roar_uid in binding.roar_uid.into_iter().chain(new.filter(|new| !shows(new)).map(|new| new.roar_uid.as_str())) {
        check_free(app, roar_uid, admin_uid).await?;
    }
    let giving_way = match new.filter(|new| shows(new)) {
        Some(new) => giving_way(app, new, admin_uid).await?,
        None => Vec::new(),
    };
    let held = granted(claims_map(admin_document.as_ref()));
    let due = entry.as_ref().map(RosterEntry::due_orgs).unwrap_or_default();
    let tree = match due.is_empty() {
        true => OrgTree::default(),
        false => snapshot(&app.stores.admin, &held.iter().chain(due.iter()).collect()).await?,
    };
    // The user may have signed in before any roster named them, and so was given their own UID as the ID of their
    // documents. Or the account was bound to another user before.
    let other = entry.as_ref().filter(|entry| shows(entry) && entry.roar_uid != known.roar_uid);
    let left = match (other, binding.identity) {
        (Some(entry), Some((kind, _))) => left(app, entry, kind, &known.roar_uid, admin_uid).await?,
        _ => None,
    };
    let left = left.as_ref();
    let entry = entry.as_ref();
    let work = BindingChange { binding, admin: &admin, entry, other_account_lives, left, tree: &tree, held: &held };

    let roar_uid = user_of(&work.question(admin_document.as_ref(), assessment_claims))?;
    let claims = work.claims(admin_document.as_ref(), &roar_uid, entry);
    // Claims that don't fit into a token are reported when they are published; they must not prevent a sign-in.
    let custom = for_sign_in(&admin.custom_claims, &claims)?;
    let assessment_custom = for_sign_in(&assessment.custom_claims, &claims)?;

    for holder in giving_way {
        match give_up(app, binding.function, binding.by, holder).await {
            Err(ClaimsError::Store(StoreError::Conflict(_))) => return Ok(None),
            other => other?,
        }
    }
    let leaves = claims_map(admin_document.as_ref())
        .is_some_and(|held| held.get(user_claims::field::ROAR_UID) != claims.get(user_claims::field::ROAR_UID));
    if leaves && left.is_some_and(|left| left.is_somebody) {
        close_password(app, &admin).await?;
    }

    // The assessment account comes first: its claims document reserves the account for this user. Everything else is
    // written to the assessment database after the admin database has the binding.
    let is_reserved = assessment_claims.is_some_and(|claims| work.holds(claims));
    if !is_reserved {
        app.stores.assessment.transaction(|tx| work.reserve(tx, &roar_uid)).await?;
    }
    let lags = work.has_user(&app.stores.admin, &roar_uid).await? == Some(false);
    let is_settled = work.is_settled(admin_document.as_ref(), &claims);
    if lags || !is_settled {
        let beside = work.beside(&roar_uid)?;
        // The claims are published after the assessment database has the user as well.
        let publication = Publication::Later;
        let target = Target { beside: &beside, publication, ..Target::new(binding.function, binding.by, admin_uid) };
        let decide = |state: &State<'_>| work.decide(&target, state, &roar_uid);
        if attempt(app, &target, &OrgTree::default(), &decide).await?.is_none() {
            return Ok(None);
        }
    }
    let has_copy = work.has_user(&app.stores.assessment, &roar_uid).await?;
    if entry.is_some() && has_copy.is_none() {
        work.make_copy(app, &roar_uid).await?;
    } else if has_copy.is_some_and(|is_right| !is_right) {
        let (work, roar_uid) = (&work, roar_uid.as_str());
        app.stores.assessment.transaction(|tx| async move { work.write_user(&tx, roar_uid).await }).await?;
    }
    let agrees = assessment_claims == Some(&claims);
    if !is_settled || !agrees || custom != admin.custom_claims || assessment_custom != assessment.custom_claims {
        publish(app, admin_uid, &[]).await?;
    }
    Ok(Some(Bound { roar_uid, custom_claims: custom }))
}

/// Fails when the user is already bound to another account by that account's claims.
async fn check_free(app: &App, roar_uid: &str, admin_uid: &str) -> Result<(), FunctionError> {
    let holders = user_claims::of_user(roar_uid).limit(2).select(&[]);
    let holders = app.stores.admin.query(holders).await?;
    match holders.iter().any(|holder| holder.id() != admin_uid) {
        true => Err(FunctionError::new(Status::AlreadyExists, "This user belongs to another account.")),
        false => Ok(()),
    }
}

async fn accounts(app: &App, admin_uid: &str, assessment_uid: &str) -> Result<(Account, Account), FunctionError> {
    let found: Result<_, AccountError> =
        futures::try_join!(app.accounts.admin.get(admin_uid), app.accounts.assessment.get(assessment_uid));
    match found? {
        (Some(admin), Some(assessment)) => Ok((admin, assessment)),
        (None, _) => Err(FunctionError::new(Status::NotFound, "adminUid names no account.")),
        (_, None) => Err(FunctionError::new(Status::NotFound, "assessmentUid names no account.")),
    }
}

/// The most roster entries read for one address, including entries of former holders who left the roster.
const MOST_ENTRIES: u32 = 10;

/// The roster entry for an account: found by the ID at the provider, which the account must be linked with, else by the
/// account's verified e-mail address (docs/domain/rights.md#sign-in).
async fn roster_entry(
    app: &App,
    account: &Account,
    kind: &str,
    id: Option<&str>,
) -> Result<Option<RosterEntry>, FunctionError> {
    let entries = |name: &'static str, value: String| {
        let query = roster_entry::of_provider(kind).equal(name, value);
        app.stores.admin.query(query.limit(MOST_ENTRIES))
    };
    let only = |found: Vec<Document>| match found.as_slice() {
        [] => Ok(None),
        [one] => Ok(RosterEntry::of(one)),
        _ => Err(FunctionError::invalid("identityProviderId fits several entries of rosters.")),
    };
    if let Some(id) = id {
        if !account.is_linked(&account_provider(kind), id) {
            return Err(denied("identityProviderId isn't shown to be yours."));
        }
        if let Some(entry) = only(entries(roster_entry::field::PROVIDER_ID, id.to_owned()).await?)? {
            return Ok(Some(entry));
        }
    }
    match &account.email {
        Some(email) if account.email_verified => {
            let mut found = entries(roster_entry::field::EMAIL, fold_address(email)).await?;
            // A person who left the roster has no claim to an address that may have been given to somebody else since.
            found.retain(|entry| !roster_entry::is_gone(&entry.fields));
            only(found)
        }
        _ => Ok(None),
    }
}

struct BindingChange<'a> {
    binding: &'a Binding<'a>,
    admin: &'a Account,
    entry: Option<&'a RosterEntry>,
    other_account_lives: bool,
    /// The user whom the account may leave for the user of the roster entry.
    left: Option<&'a Left>,
    /// The orgs of the roster entry and the orgs held already, with everything below them.
    tree: &'a OrgTree,
    /// The orgs held already.
    held: &'a OrgLists,
}

impl BindingChange<'_> {
    fn question<'q>(&'q self, admin: Option<&'q Document>, assessment_claims: Option<&'q Fields>) -> Question<'q> {
        Question {
            admin_uid: self.binding.admin_uid,
            assessment_uid: self.binding.assessment_uid,
            admin_claims: claims_map(admin),
            custom_roar_uid: self.admin.custom_claims.get(user_claims::field::ROAR_UID).and_then(Json::as_str),
            assessment_claims,
            entry: self.entry,
            roar_uid: self.binding.roar_uid,
            other_account_lives: self.other_account_lives,
            leaves: self.left.map(|left| left.user.as_str()),
        }
    }

    /// The claims that the admin document should hold: its current claims (or, without a document, those imported from
    /// the account's custom claims), the three UIDs, and the rights and role of the roster entry.
    fn claims(&self, document: Option<&Document>, roar_uid: &str, entry: Option<&RosterEntry>) -> Fields {
        let held = claims_map(document).cloned();
        let imported = imported(&self.admin.custom_claims);
        let mut claims = held.unwrap_or_else(|| imported.clone());
        if let Some(role) =
            imported.get(user_claims::field::ROLE).filter(|_| is_open(claims.get(user_claims::field::ROLE)))
        {
            claims.insert(user_claims::field::ROLE.to_owned(), role.clone());
        }
        for (name, uid) in [
            (user_claims::field::ROAR_UID, roar_uid),
            (user_claims::field::ADMIN_UID, self.binding.admin_uid),
            (user_claims::field::ASSESSMENT_UID, self.binding.assessment_uid),
        ] {
            claims.insert(name.to_owned(), Value::from(uid));
        }
        let Some(entry) = entry else { return claims };
        let due = entry.due_orgs();
        if !due.is_empty() {
            let all = granted(Some(&claims)).iter().chain(due.iter()).collect();
            let orgs = AdminOrgs::of(&all, self.tree);
            match orgs.check_room() {
                Ok(()) => claims.extend(orgs.to_fields()),
                // Rights that don't fit must not prevent the sign-in.
                Err(why) => tracing::error!(uid = self.binding.admin_uid, %why, "a roster's rights are left out"),
            }
        }
        if entry.activated && due.is_empty() {
            return claims;
        }
        if let Some(role) = role_over(entry, claims.get(user_claims::field::ROLE)) {
            claims.insert(user_claims::field::ROLE.to_owned(), Value::from(role));
        }
        claims
    }

    fn is_settled(&self, document: Option<&Document>, claims: &Fields) -> bool {
        let held = claims_map(document);
        held == Some(claims) && self.entry.is_none_or(|entry| !self.entry_lags(entry))
    }

    fn entry_lags(&self, entry: &RosterEntry) -> bool {
        let id = self.binding.identity.and_then(|(_, id)| id).unwrap_or(&entry.provider_id);
        !entry.activated || entry.admin_uid.is_none() || entry.provider_id != id || !entry.due_orgs().is_empty()
    }

    /// True when these claims of the assessment account already name its user.
    fn holds(&self, claims: &Fields) -> bool {
        let says = |name: &str, uid: &str| claims.get(name).and_then(Value::as_str) == Some(uid);
        says(user_claims::field::ADMIN_UID, self.binding.admin_uid)
            && says(user_claims::field::ASSESSMENT_UID, self.binding.assessment_uid)
    }

    /// Whether a users document exists, and whether that document names the assessment account.
    async fn has_user(&self, database: &Database, roar_uid: &str) -> Result<Option<bool>, FunctionError> {
        let mask = [FieldPath::top(user::field::ASSESSMENT_UID)];
        let mut found = database.get_fields(&[user_path(roar_uid)?], Some(&mask)).await?;
        Ok(found.pop().flatten().map(|user| !self.names_another(&user)))
    }

    /// People of rosters get their de-identified copy at their first sign-in, because most of a roster never signs in.
    async fn make_copy(&self, app: &App, roar_uid: &str) -> Result<(), FunctionError> {
        let path = user_path(roar_uid)?;
        let Some(user) = app.stores.admin.get(&path).await? else { return Ok(()) };
        let copy = new_copy(&user.fields, self.binding.assessment_uid, app.now());
        match app.stores.assessment.commit(vec![Write::create(path, copy)]).await {
            // The client has created the copy in the meantime.
            Err(StoreError::Conflict(_)) => Ok(()),
            other => Ok(other.map(|_| ())?),
        }
    }

    fn names_another(&self, user: &Document) -> bool {
        user::assessment_uid(&user.fields) != Some(self.binding.assessment_uid)
    }

    async fn write_user(&self, tx: &Transaction, roar_uid: &str) -> Result<(), FunctionError> {
        let path = user_path(roar_uid)?;
        let named = tx.get(&path).await?.and_then(|user| self.named_user(&user));
        tx.write_all(named).await;
        Ok(())
    }

    /// Reserves the assessment account for the admin account. Neither a user nor rights are written here, in case a
    /// concurrent call binds the account first in the admin database.
    async fn reserve(&self, tx: Transaction, roar_uid: &str) -> Result<(), FunctionError> {
        let document = tx.get(&claims_path(self.binding.assessment_uid)?).await?;
        tx.write(self.reservation(claims_map(document.as_ref()), roar_uid)?).await;
        Ok(())
    }

    /// The write of [`Work::reserve`], based on the account's current claims.
    fn reservation(&self, held: Option<&Fields>, roar_uid: &str) -> Result<Write, FunctionError> {
        // A concurrent call may have bound the account since the first read.
        let question = Question { roar_uid: Some(roar_uid), entry: None, ..self.question(None, held) };
        user_of(&question)?;
        let path = claims_path(self.binding.assessment_uid)?;
        let uids = fields! { user_claims::field::ADMIN_UID => self.binding.admin_uid, user_claims::field::ASSESSMENT_UID => self.binding.assessment_uid };
        let mask: Vec<FieldPath> =
            uids.keys().map(|name| FieldPath::of([user_claims::field::CLAIMS, name.as_str()])).collect();
        Ok(Write::merge(path, fields! { user_claims::field::CLAIMS => uids }, mask))
    }

    /// Outdated when the claims or the roster entry have changed since they were read. The documents beside the claims
    /// are those of [`Work::beside`].
    fn decide<'t>(
        &self,
        target: &Target<'t>,
        state: &State<'_>,
        expected: &str,
    ) -> Result<Decision<'t, ()>, FunctionError> {
        check_not_suspended(&Claims::read(self.binding.admin_uid, state.document))?;
        let roar_uid = user_of(&self.question(state.document, None))?;
        if roar_uid != expected {
            return Ok(Decision::Outdated);
        }
        let mut beside = state.beside.iter();
        let user = beside.next().and_then(Option::as_ref);
        let mut entry = None;
        if let Some(known) = self.entry {
            entry = beside.next().and_then(Option::as_ref).and_then(RosterEntry::of);
            let bound = entry.as_ref().and_then(|current| current.admin_uid.as_deref());
            if bound.is_some_and(|bound| bound != self.binding.admin_uid) {
                return Err(FunctionError::new(Status::AlreadyExists, "This identity belongs to another account."));
            }
            let is_same = entry.as_ref().is_some_and(|current| current.due_orgs().same_orgs(&known.due_orgs()));
            if !is_same || (!known.due_orgs().is_empty() && !state.granted().same_orgs(self.held)) {
                return Ok(Decision::Outdated);
            }
        }
        let mut change = Changes::default();
        change.beside.extend(user.and_then(|user| self.named_user(user)));
        let claims = self.claims(state.document, &roar_uid, entry.as_ref());
        if self.is_settled(state.document, &claims) {
            return Ok(Decision::Write(change.into(), ()));
        }
        change.beside.extend(self.entry_write(state.now));
        // The pair with the user whom the account leaves, unless the pair has been confirmed or rejected before.
        let is_decided = beside.next().is_some_and(Option::is_some);
        change.beside.extend(self.pair().filter(|_| !is_decided).cloned());
        let (before, after) = (state.orgs(), stored(Some(&claims)));
        let mut details = fields! {
            field::ROAR_UID => roar_uid, field::ASSESSMENT_UID => self.binding.assessment_uid,
        };
        if let (Some(entry), Some((kind, id))) = (self.entry, self.binding.identity) {
            let is_by_id = id == Some(entry.provider_id.as_str());
            details.extend(fields! { "provider" => kind, "match" => if is_by_id { "id" } else { "email" } });
        }
        details.extend(self.left.map(|left| ("before".to_owned(), Value::from(left.user.as_str()))));
        let record = Record {
            minimal: (!before.same(&after)).then_some((before.minimal, after.minimal)),
            details,
            ..target.record(Action::Bind)
        };
        change = change.with(field::CLAIMS, Value::Map(claims)).recorded(record);
        if let (Some(entry), Some((kind, _))) = (&entry, self.binding.identity)
            && !entry.due_orgs().is_empty()
        {
            let sources = Sources::read(state.document).adopting(kind, &entry.copied, state.document);
            let given = sources.of_roster(kind).iter().chain(entry.due_orgs().iter()).collect();
            change = change.noting(sources.with_roster(kind, given).to_value());
        }
        if state.document.is_none() {
            change = change.with(field::TEST_DATA, false);
        }
        Ok(Decision::Write(change.into(), ()))
    }

    /// The documents that the decision reads with the claims: the user, then the roster entry and the pair, where there
    /// are any.
    fn beside(&self, roar_uid: &str) -> Result<Vec<DocPath>, StoreError> {
        let user = user_path(roar_uid)?;
        let entry = self.entry.map(|entry| entry.path.clone());
        Ok([Some(user), entry, self.pair().map(|pair| pair.path.clone())].into_iter().flatten().collect())
    }

    fn pair(&self) -> Option<&Write> {
        self.left.and_then(|left| left.pair.as_ref())
    }

    /// The write that adds the assessment account to its user's document, unless the document names the account
    /// already.
    fn named_user(&self, user: &Document) -> Option<Write> {
        let named = fields! { user::field::ASSESSMENT_UID => self.binding.assessment_uid };
        self.names_another(user).then(|| Write::update(user.path.clone(), named))
    }

    /// The write that records the user on the roster entry, unless the entry names the user already.
    fn entry_write(&self, now: Timestamp) -> Option<Write> {
        let entry = self.entry.filter(|entry| self.entry_lags(entry))?;
        let mut fields = fields! {
            roster_entry::field::ADMIN_UID => self.binding.admin_uid, roster_entry::field::ACTIVATED => true, roster_entry::field::LAST_SYNC => now,
            // Notes the rights that were given, so that rights that are taken away later don't come back, and rights
            // that the roster adds later are given.
            COPIED => entry.admin_orgs.to_value(),
        };
        if let Some((_, Some(id))) = self.binding.identity {
            fields.insert(roster_entry::field::PROVIDER_ID.to_owned(), Value::from(id));
        }
        Some(Write::update(entry.path.clone(), fields))
    }
}

#[cfg(test)]
mod tests;
