//! Brings everything that is derived from a `userClaims` document in line with it: the custom claims of the accounts in
//! both projects, the copy in the assessment database, and the users' type
//! (docs/domain/rights.md#publication-in-two-projects).

use std::collections::BTreeSet;

use parking_lot::Mutex;
use serde_json::{Map, Value as Json};
use thiserror::Error;

use super::Rounds;
use super::custom::{custom_claims, fitting, without_rights};
use super::lists::NoRoom;
use crate::accounts::{Account, AccountError, Accounts};
use crate::app::App;
use crate::documents::user::{self, user_path};
use crate::documents::user_claims::{self, claims_map, claims_path, is_suspended};
use crate::fields;
use crate::rights::Claims;
use crate::runtime::{FunctionError, HandlerError};
use crate::store::{Database, DocPath, Document, FieldPath, Fields, Precondition, StoreError, Timestamp, Value, Write};

/// Why claims couldn't be published.
#[derive(Debug, Error)]
pub enum ClaimsError {
    /// A database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The accounts failed.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The rights exceed what a claims document can hold.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
}

impl From<ClaimsError> for FunctionError {
    fn from(error: ClaimsError) -> Self {
        match error {
            ClaimsError::Store(error) => error.into(),
            ClaimsError::Account(error) => error.into(),
            ClaimsError::NoRoom(error) => error.into(),
        }
    }
}

/// Failures of the stores are temporary, so the event is retried.
impl From<ClaimsError> for HandlerError {
    fn from(error: ClaimsError) -> Self {
        match error {
            ClaimsError::Store(error) => error.into(),
            ClaimsError::Account(error) => HandlerError::Transient(error.to_string()),
            ClaimsError::NoRoom(error) => HandlerError::Permanent(error.to_string()),
        }
    }
}

/// Publishes the current claims of an Auth user of the admin project. `lost` are claims that the document had before.
/// Idempotent: values that agree already aren't written, so a repetition costs four reads.
///
/// No transaction spans two databases and two projects. So after each write the document is compared again until it is
/// unchanged, and a late writer with an older state notices the newer one. The copy, which gives rights in the
/// assessment database, is written first and is never replaced by an older state. An account that can't be changed
/// doesn't prevent the rest from being published.
pub async fn publish(app: &App, admin_uid: &str, lost: &[String]) -> Result<(), ClaimsError> {
    let path = claims_path(admin_uid)?;
    let mut published: Option<Timestamp> = None;
    let mut rounds = Rounds::new(&app.context);
    while rounds.next().await {
        let Some(document) = app.stores.admin.get(&path).await? else { return Ok(()) };
        if published == Some(document.update_time) {
            return Ok(());
        }
        match publish_once(app, admin_uid, &document, lost).await? {
            Round::Done => return Ok(()),
            Round::Wrote => published = Some(document.update_time),
            Round::WroteAt(time) => published = time,
            Round::Outdated => {}
        }
    }
    Err(StoreError::Contention.into())
}

/// The result of one round of publishing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    /// Everything agreed already, so nothing was written.
    Done,
    /// An account, a copy or a user was written.
    Wrote,
    /// The claims document itself was written, with the new update time.
    WroteAt(Option<Timestamp>),
    /// The document has changed, or another publication is in progress.
    Outdated,
}

impl Round {
    /// The result of a round that `wrote` accounts, copies or users (or none), and then reported on the document which
    /// claims were left out.
    fn of(wrote: bool, reported: Reported) -> Round {
        match reported {
            Reported::Outdated => Round::Outdated,
            Reported::Wrote(time) => Round::WroteAt(time),
            Reported::Agrees if wrote => Round::Wrote,
            Reported::Agrees => Round::Done,
        }
    }
}

async fn publish_once(app: &App, admin_uid: &str, document: &Document, lost: &[String]) -> Result<Round, ClaimsError> {
    let Some(map) = claims_map(document) else { return Ok(Round::Done) };
    let claims = Claims::read(admin_uid, Some(document));
    let left_out = Mutex::new(BTreeSet::new());
    let wanted = |current: &Map<String, Json>| {
        let (claims, without) = fitting(current, map, lost);
        left_out.lock().extend(without);
        claims
    };
    let mut wrote = false;
    let mut copied = None;
    if let Some(assessment_uid) = &claims.assessment_uid {
        match copy_claims(app, admin_uid, assessment_uid, document).await? {
            Copied::Outdated => return Ok(Round::Outdated),
            // An account that belongs to another user is left unchanged.
            Copied::Foreign => {}
            outcome => {
                wrote |= outcome == Copied::Wrote;
                copied = Some(assessment_uid);
            }
        }
    }
    if claims.is_administrator() {
        for database in [&app.stores.admin, &app.stores.assessment] {
            wrote |= set_user_type(database, &claims.roar_uid).await?;
        }
    }
    let admin = set_claims(&app.accounts.admin, admin_uid, &wanted).await;
    let one_account = app.accounts.admin.project() == app.accounts.assessment.project();
    let assessment = match copied.filter(|uid| !(one_account && *uid == admin_uid)) {
        Some(uid) => set_claims(&app.accounts.assessment, uid, &wanted).await,
        None => Ok(false),
    };
    wrote |= admin? | assessment?;
    let left_out = left_out.into_inner().into_iter().collect::<Vec<_>>();
    let reported = report_unpublished(app, admin_uid, document, &left_out).await?;
    Ok(Round::of(wrote, reported))
}

/// The field of a claims document that names the claims that no token contains, for want of room (Firebase allows 1000
/// bytes) or because their names are reserved.
pub const UNPUBLISHED: &str = user_claims::field::UNPUBLISHED_CLAIMS;

/// The result of reporting the claims that were left out.
enum Reported {
    Agrees,
    Wrote(Option<Timestamp>),
    Outdated,
}

/// Records on the document which claims don't fit into tokens, or removes that record when all claims fit.
async fn report_unpublished(
    app: &App,
    admin_uid: &str,
    document: &Document,
    left_out: &[String],
) -> Result<Reported, StoreError> {
    let Some(write) = report(document, left_out) else { return Ok(Reported::Agrees) };
    if !left_out.is_empty() {
        tracing::error!(uid = admin_uid, claims = ?left_out, "claims don't fit into tokens, and are left out of them");
    }
    match app.stores.admin.commit(vec![write]).await {
        Ok(committed) => Ok(Reported::Wrote(committed.and_then(|committed| committed.results.first()?.update_time))),
        Err(StoreError::Conflict(_)) => Ok(Reported::Outdated),
        Err(error) => Err(error),
    }
}

/// The write of [`report_unpublished`], over the document as it was read; `None` where the document has the same record
/// already.
fn report(document: &Document, left_out: &[String]) -> Option<Write> {
    let told = document.fields.get(UNPUBLISHED).and_then(Value::as_string_list).unwrap_or_default();
    if told == left_out {
        return None;
    }
    let mut fields = Fields::new();
    if !left_out.is_empty() {
        fields.insert(UNPUBLISHED.to_owned(), Value::strings(left_out));
    }
    let write = Write::merge(document.path.clone(), fields, vec![FieldPath::top(UNPUBLISHED)]);
    Some(write.when(Precondition::UpdatedAt(document.update_time)))
}

/// Removes the rights of a user whose claims document was deleted: from tokens, and from the assessment database, whose
/// security rules would still grant these rights.
pub async fn withdraw(app: &App, admin_uid: &str, assessment_uid: Option<&str>) -> Result<(), ClaimsError> {
    if let Some(assessment_uid) = assessment_uid {
        let path = claims_path(assessment_uid)?;
        let copy = app.stores.assessment.get(&path).await?;
        if copy.as_ref().is_some_and(|copy| owner(copy) == Some(admin_uid)) {
            app.stores.assessment.commit(vec![Write::delete(path)]).await?;
        }
        set_claims(&app.accounts.assessment, assessment_uid, without_rights).await?;
    }
    set_claims(&app.accounts.admin, admin_uid, without_rights).await?;
    // The claims may have been created again.
    publish(app, admin_uid, &[]).await
}

/// Removes all claims of a document, identity included, from the tokens of its accounts, before the document is deleted
/// because its user belongs to another account.
pub(super) async fn disown(app: &App, document: &Document) -> Result<(), ClaimsError> {
    let lost: Vec<String> = claims_map(document).into_iter().flatten().map(|(name, _)| name.clone()).collect();
    let without = |current: &Map<String, Json>| custom_claims(current, &Fields::new(), &lost);
    if let Some(assessment_uid) = Claims::read(document.id(), Some(document)).assessment_uid {
        set_claims(&app.accounts.assessment, &assessment_uid, without).await?;
    }
    set_claims(&app.accounts.admin, document.id(), without).await?;
    Ok(())
}

async fn set_claims(
    accounts: &Accounts,
    uid: &str,
    wanted: impl Fn(&Map<String, Json>) -> Map<String, Json>,
) -> Result<bool, AccountError> {
    let Some(Account { custom_claims, .. }) = accounts.get(uid).await? else {
        tracing::info!(uid, project = accounts.project(), "no account bears these claims");
        return Ok(false);
    };
    let wanted = wanted(&custom_claims);
    if wanted == custom_claims {
        return Ok(false);
    }
    match accounts.set_claims(uid, wanted).await {
        // The account was deleted concurrently.
        Err(AccountError::NotFound) => Ok(false),
        other => other.map(|()| true),
    }
}

/// The result of comparing and writing the copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Copied {
    /// The copy agrees with the document.
    Agrees,
    /// The copy was written.
    Wrote,
    /// The copy belongs to another user.
    Foreign,
    /// The document has changed, so the planned write is outdated.
    Outdated,
}

fn owner(copy: &Document) -> Option<&str> {
    claims_map(copy).and_then(user_claims::admin_uid)
}

/// Updates the copy of the claims in the assessment database, from which that database's security rules read rights.
///
/// The copy is read before the document is read again, and is written only if the copy is unchanged since. So an older
/// state never replaces a newer one, even if this process stops before it can compare again.
async fn copy_claims(
    app: &App,
    admin_uid: &str,
    assessment_uid: &str,
    document: &Document,
) -> Result<Copied, StoreError> {
    let path = claims_path(assessment_uid)?;
    let copy = app.stores.assessment.get(&path).await?;
    let write = match copy_due(admin_uid, document, copy.as_ref(), path) {
        Copying::Foreign => {
            tracing::error!(uid = admin_uid, assessment_uid, "the assessment account is bound to another user");
            return Ok(Copied::Foreign);
        }
        Copying::Agrees => return Ok(Copied::Agrees),
        Copying::Due(write) => *write,
    };
    let current = app.stores.admin.get(&document.path).await?;
    if current.map(|current| current.update_time) != Some(document.update_time) {
        return Ok(Copied::Outdated);
    }
    match app.stores.assessment.commit(vec![write]).await {
        Err(StoreError::Conflict(_)) => Ok(Copied::Outdated),
        other => other.map(|_| Copied::Wrote),
    }
}

/// The action that a copy needs.
#[derive(Debug, PartialEq)]
enum Copying {
    /// No action: the copy agrees.
    Agrees,
    /// No action: the copy belongs to another user.
    Foreign,
    /// The copy must be written, with the precondition that it is unchanged since it was read.
    Due(Box<Write>),
}

/// Compares the copy at `path`, if it exists, with the claims document.
fn copy_due(admin_uid: &str, document: &Document, copy: Option<&Document>, path: DocPath) -> Copying {
    if copy.and_then(owner).is_some_and(|owner| owner != admin_uid) {
        return Copying::Foreign;
    }
    let is_same = copy.is_some_and(is_suspended) == is_suspended(document);
    if is_same && claims_map(copy) == claims_map(document) {
        return Copying::Agrees;
    }
    let expected = copy.map_or(Precondition::Missing, |copy| Precondition::UpdatedAt(copy.update_time));
    Copying::Due(Box::new(Write::set(path, document.fields.clone()).when(expected)))
}

async fn set_user_type(database: &Database, roar_uid: &str) -> Result<bool, StoreError> {
    let user = database.get(&user_path(roar_uid)?).await?;
    let Some(write) = user.as_ref().and_then(admin_type) else { return Ok(false) };
    match database.commit(vec![write]).await {
        Err(StoreError::Conflict(_)) => Ok(false),
        other => other.map(|_| true),
    }
}

/// The write that sets a user's type to administrator, unless the type is that already.
fn admin_type(user: &Document) -> Option<Write> {
    let fields = fields! { user::field::USER_TYPE => user::user_type::ADMIN };
    (!user::is_admin(&user.fields)).then(|| Write::update(user.path.clone(), fields))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::edit::tests::document;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(millis).unwrap()
    }

    /// The claims of a1 with this role, with this time as `lastUpdated`.
    fn claims(role: &str, written: i64) -> Document {
        let claims = fields! { "adminUid" => "a1", "assessmentUid" => "s1", "role" => role };
        Document { update_time: at(written), ..document(fields! { "claims" => claims, "lastUpdated" => 5 }) }
    }

    fn with(mut document: Document, more: Fields) -> Document {
        document.fields.extend(more);
        document
    }

    #[test]
    fn a_copy_is_written_where_it_differs_in_what_gives_rights() {
        let path = || claims_path("s1").unwrap();
        let due = |document: &Document, expected| {
            Copying::Due(Box::new(Write::set(path(), document.fields.clone()).when(expected)))
        };
        let suspended = || with(claims("admin", 1), fields! { "suspended" => true });
        let over_it = Precondition::UpdatedAt(at(9));
        let foreign = document(fields! { "claims" => fields! { "adminUid" => "a9" } });
        let reserved = document(fields! { "claims" => fields! { "adminUid" => "a1", "assessmentUid" => "s1" } });
        let new = claims("admin", 1);
        // The claims document, its copy, the expected action.
        for (document, copy, expected) in [
            (&new, None, due(&new, Precondition::Missing)),
            (&new, Some(claims("admin", 9)), Copying::Agrees),
            (&new, Some(claims("guest", 9)), due(&new, over_it)),
            (&new, Some(Document { update_time: at(9), ..reserved }), due(&new, over_it)),
            (&new, Some(foreign), Copying::Foreign),
            // A field that no rights depend on may be outdated.
            (&new, Some(with(claims("admin", 9), fields! { "lastUpdated" => 4 })), Copying::Agrees),
            (&suspended(), Some(claims("admin", 9)), due(&suspended(), over_it)),
            (&suspended(), Some(with(claims("admin", 9), fields! { "suspended" => true })), Copying::Agrees),
            (&new, Some(with(claims("admin", 9), fields! { "suspended" => true })), due(&new, over_it)),
        ] {
            assert_eq!(copy_due("a1", document, copy.as_ref(), path()), expected, "{document:?}, {copy:?}");
        }
    }

    #[test]
    fn what_is_left_out_is_told_once_and_forgotten_when_it_fits() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        // The names that the document has on record; the claims that are left out; whether a write is due.
        for (told, left_out, writes) in [
            (None, names(&[]), false),
            (None, names(&["x"]), true),
            (Some(&["x"][..]), names(&["x"]), false),
            (Some(&["x"]), names(&["x", "y"]), true),
            (Some(&["x"]), names(&[]), true),
        ] {
            let told = told.map(|told| fields! { "unpublishedClaims" => Value::strings(told.iter().copied()) });
            let document = with(claims("admin", 3), told.clone().unwrap_or_default());
            let mut fields = Fields::new();
            if !left_out.is_empty() {
                fields.insert("unpublishedClaims".to_owned(), Value::strings(&left_out));
            }
            let mask = vec![FieldPath::top("unpublishedClaims")];
            let write = Write::merge(document.path.clone(), fields, mask).when(Precondition::UpdatedAt(at(3)));
            assert_eq!(report(&document, &left_out), writes.then_some(write), "{told:?}, {left_out:?}");
        }
    }

    #[test]
    fn a_round_looks_again_after_what_it_wrote() {
        // Whether something was written before the report; the result of the report; the expected round.
        for (wrote, reported, expected) in [
            (false, Reported::Agrees, Round::Done),
            (true, Reported::Agrees, Round::Wrote),
            (false, Reported::Wrote(Some(at(4))), Round::WroteAt(Some(at(4)))),
            (true, Reported::Wrote(Some(at(4))), Round::WroteAt(Some(at(4)))),
            (true, Reported::Wrote(None), Round::WroteAt(None)),
            (true, Reported::Outdated, Round::Outdated),
            (false, Reported::Outdated, Round::Outdated),
        ] {
            assert_eq!(Round::of(wrote, reported), expected);
        }
    }

    #[test]
    fn only_who_is_no_administrator_yet_is_made_one() {
        let user = |fields| Document { path: user_path("r1").unwrap(), ..document(fields) };
        let write = || Write::update(user_path("r1").unwrap(), fields! { "userType" => "admin" });
        for (user, expected) in [
            (user(fields! { "userType" => "admin" }), None),
            (user(fields! { "userType" => "student" }), Some(write())),
            (user(Fields::new()), Some(write())),
        ] {
            assert_eq!(admin_type(&user), expected, "{user:?}");
        }
    }
}
