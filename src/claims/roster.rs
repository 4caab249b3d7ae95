//! Rights that come with rosters, beside those that people gave
//! (docs/domain/rosters.md#rights-that-come-with-a-roster).
//!
//! A roster's entry says which orgs its user has rights over. Once the user has signed in, their claims follow it: what
//! the roster adds is given, what it drops is taken away. What somebody gave by hand stays; what somebody took away by
//! hand isn't given again. So that the two can be told apart, claims note where each org came from.

use super::Rounds;
use super::audit::{Action, Record};
use super::binding::identity::{COPIED, RosterEntry};
use super::custom::is_open;
use super::edit::{Changes, Decision, State, Target, attempt};
use super::lists::{AdminOrgs, snapshot};
use super::publish::ClaimsError;
use super::sources::Sources;
use crate::app::App;
use crate::documents::roster_entry;
use crate::documents::user::{self, user_path};
use crate::documents::user_claims::{self, claims_map, claims_path, field, role};
use crate::fields;
use crate::orgs::OrgLists;
use crate::rights::Claims;
use crate::runtime::{DocumentEvent, HandlerError};
use crate::store::{Database, DocPath, Document, Precondition, StoreError, Value, Write};

/// The event of `identityProviderIds/{entryId}`: updates the claims of a user who has signed in before.
pub async fn entry_updated(app: App, event: DocumentEvent) -> Result<(), HandlerError> {
    let (Some(before), Some(after)) = (&event.change.before, &event.change.after) else { return Ok(()) };
    let (Some(before), Some(after)) = (RosterEntry::of(before), RosterEntry::of(after)) else { return Ok(()) };
    let is_changed = !before.admin_orgs.same_orgs(&after.admin_orgs) || before.role != after.role;
    let is_due = !after.due_orgs().is_empty() || is_changed;
    if after.activated && after.admin_uid.is_some() && is_due {
        follow_entry(&app, &after.path).await?;
    }
    Ok(())
}

/// Updates the claims of an entry's user from the entry, as both are now. A user who hasn't signed in yet has no
/// claims. Costs two reads when nothing changes.
pub async fn follow_entry(app: &App, entry: &DocPath) -> Result<(), ClaimsError> {
    let mut rounds = Rounds::new(&app.context);
    while rounds.next().await {
        let Some(document) = app.stores.admin.get(entry).await? else { return Ok(()) };
        let kind = document
            .fields
            .get(roster_entry::field::PROVIDER_TYPE)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let Some(entry) = RosterEntry::of(&document).filter(|entry| entry.activated) else { return Ok(()) };
        let Some(admin_uid) = &entry.admin_uid else { return Ok(()) };
        let path = claims_path(admin_uid)?;
        let claims = app.stores.admin.get(&path).await?;
        let is_theirs = Claims::read(admin_uid, claims.as_ref()).roar_uid == entry.roar_uid;
        let Some(claims) = claims.filter(|_| is_theirs) else { return Ok(()) };
        let sources = Sources::read(Some(&claims));
        let adopted = sources.clone().adopting(&kind, &entry.copied, Some(&claims));
        let given = adopted.of_roster(&kind);
        let mut told = entry.admin_orgs.clone();
        if !given.difference(&told.to_set()).is_empty() {
            // Somebody may be in a roster twice, under an ID that its provider has given up, and the one they have now.
            told.extend(&told_elsewhere(app, &entry, &kind).await?);
        }
        let kept = given.intersection(&told.to_set());
        let next = kept.iter().chain(entry.due_orgs().iter()).collect::<OrgLists>();
        let is_same = next.same_orgs(&given);
        let next = adopted.with_roster(&kind, next);
        let held = claims_map(&claims).and_then(|claims| claims.get(user_claims::field::ROLE));
        let role = match is_pupil(&entry, &claims, &next) {
            true => Some(role::STUDENT).filter(|role| held.and_then(Value::as_str) != Some(role)),
            false => role_over(&entry, held),
        };
        if is_same && role.is_none() {
            return Ok(());
        }
        if role == Some(role::STUDENT) {
            // Before the claims say so: if this ends here, they tell that it's still to be done.
            no_admins(app, &entry.roar_uid).await?;
        }
        let tree = snapshot(&app.stores.admin, &next.granted()).await?;
        let orgs = AdminOrgs::of(&next.granted(), &tree);
        orgs.check_room()?;
        let step = Step { entry: &entry, sources: &sources, next: &next, role, orgs: &orgs };
        let beside = [entry.path.clone()];
        let target = Target { beside: &beside, ..Target::new("syncClaimsOnRosterUpdate", admin_uid, admin_uid) };
        let decide = |state: &State<'_>| Ok::<_, ClaimsError>(step.decide(&target, state));
        if attempt(app, &target, &tree, &decide).await?.is_some() {
            if role == Some(role::STUDENT) {
                // Somebody else may just have published the claims that were there before.
                no_admins(app, &entry.roar_uid).await?;
            }
            return Ok(());
        }
    }
    Err(StoreError::Contention.into())
}

/// The rights of other entries of the same roster that belong to the same account.
async fn told_elsewhere(app: &App, entry: &RosterEntry, kind: &str) -> Result<OrgLists, StoreError> {
    let of_account = roster_entry::of_provider(kind);
    let of_account = of_account.equal(roster_entry::field::ADMIN_UID, entry.admin_uid.as_deref().unwrap_or_default());
    let found = app
        .stores
        .admin
        .query(of_account.select(&[
            roster_entry::field::ROAR_UID,
            roster_entry::field::ADMIN_UID,
            roster_entry::field::ACTIVATED,
            roster_entry::field::ADMIN_ORGS,
        ]))
        .await?;
    let others = found.iter().filter(|other| other.path != entry.path).filter_map(RosterEntry::of);
    let others = others.filter(|other| other.activated && other.roar_uid == entry.roar_uid);
    let mut told = OrgLists::new();
    others.for_each(|other| told.extend(&other.admin_orgs));
    Ok(told)
}

/// True for a student who has no rights any more: whom a roster took for a teacher once, say.
fn is_pupil(entry: &RosterEntry, claims: &Document, next: &Sources) -> bool {
    let claims = Claims::read(entry.admin_uid.as_deref().unwrap_or_default(), Some(claims));
    entry.role.as_deref() == Some(role::STUDENT)
        && entry.admin_orgs.is_empty()
        && next.granted().is_empty()
        && !claims.super_admin
}

/// Makes a user who was taken for an administrator a student again, in both databases.
async fn no_admins(app: &App, roar_uid: &str) -> Result<(), StoreError> {
    for database in [&app.stores.admin, &app.stores.assessment] {
        no_admin(database, roar_uid).await?;
    }
    Ok(())
}

async fn no_admin(database: &Database, roar_uid: &str) -> Result<(), StoreError> {
    let path = user_path(roar_uid)?;
    let Some(user) = database.get(&path).await? else { return Ok(()) };
    if !user::is_admin(&user.fields) {
        return Ok(());
    }
    let write = Write::update(path, fields! { user::field::USER_TYPE => user::user_type::STUDENT });
    match database.commit(vec![write.when(Precondition::UpdatedAt(user.update_time))]).await {
        Ok(_) => Ok(()),
        // It's done again with all that belongs to it.
        Err(StoreError::Conflict(_)) => Err(StoreError::Contention),
        Err(error) => Err(error),
    }
}

/// The role that an entry gives to somebody who holds that one; `None` to leave it. A student whom the roster gives
/// rights isn't one any more.
pub fn role_over(entry: &RosterEntry, held: Option<&Value>) -> Option<&'static str> {
    let was_student = held.and_then(Value::as_str) == Some(role::STUDENT);
    role_of(entry).filter(|role| is_open(held) || (was_student && *role == role::ADMIN))
}

/// What somebody is by their entry; rosters make nobody a super admin.
fn role_of(entry: &RosterEntry) -> Option<&'static str> {
    match (entry.role.as_deref(), entry.admin_orgs.is_empty()) {
        (_, false) => Some(role::ADMIN),
        (Some(role::STUDENT), true) => Some(role::STUDENT),
        _ => None,
    }
}

/// What an entry changes about the claims of its user, as both were read.
struct Step<'a> {
    entry: &'a RosterEntry,
    sources: &'a Sources,
    next: &'a Sources,
    role: Option<&'static str>,
    /// Both lists that `next` comes to.
    orgs: &'a AdminOrgs,
}

impl Step<'_> {
    /// Outdated when the claims, or the entry, are others than those that were looked at.
    fn decide<'t>(&self, target: &Target<'t>, state: &State<'_>) -> Decision<'t, ()> {
        let (Some(_), [Some(entry)]) = (state.document, state.beside) else { return Decision::Outdated };
        let is_same = RosterEntry::of(entry).as_ref() == Some(self.entry);
        if !is_same || Sources::read(state.document) != *self.sources {
            return Decision::Outdated;
        }
        let mut claims = self.orgs.to_fields();
        claims.extend(self.role.map(|role| (field::ROLE.to_owned(), Value::from(role))));
        let copied = fields! { COPIED => self.entry.admin_orgs.to_value() };
        let record = Record {
            minimal: Some((state.orgs().minimal, self.orgs.minimal.clone())),
            details: fields! { field::ROAR_UID => self.entry.roar_uid.as_str() },
            ..target.record(Action::Roster)
        };
        let change = Changes::of_claims(claims).noting(self.next.to_value());
        let change = change.beside(Write::update(self.entry.path.clone(), copied));
        Decision::Write(change.recorded(record).into(), ())
    }
}
