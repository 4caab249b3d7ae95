//! Makes everything that follows a `userClaims` document agree with it: the custom claims of the accounts in
//! both projects, the copy in the assessment database, and the users' type (functions §3.3).

use serde_json::{Map, Value as Json};
use thiserror::Error;

use super::custom::custom_claims;
use crate::accounts::{Account, AccountError, Accounts};
use crate::app::App;
use crate::fields;
use crate::orgs::OrgType;
use crate::rights::{Claims, claims_map};
use crate::runtime::{FunctionError, HandlerError};
use crate::store::{Database, DocPath, Document, StoreError, Timestamp, Value, Write};

/// Why claims couldn't be published.
#[derive(Debug, Error)]
pub enum ClaimsError {
    /// A database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The accounts failed.
    #[error(transparent)]
    Account(#[from] AccountError),
}

impl From<ClaimsError> for FunctionError {
    fn from(error: ClaimsError) -> Self {
        match error {
            ClaimsError::Store(error) => error.into(),
            ClaimsError::Account(error) => error.into(),
        }
    }
}

/// Outages come again. Claims that don't fit never will: that's logged until somebody makes them smaller.
impl From<ClaimsError> for HandlerError {
    fn from(error: ClaimsError) -> Self {
        match error {
            ClaimsError::Store(error) => error.into(),
            ClaimsError::Account(AccountError::ClaimsTooLarge { .. } | AccountError::ReservedClaim(_)) => {
                HandlerError::Permanent(error.to_string())
            }
            ClaimsError::Account(error) => HandlerError::Transient(error.to_string()),
        }
    }
}

/// Publishes the claims of an Auth user of the admin project, as they are now. `lost` are claims that the
/// document had before. Converges: what agrees isn't written, so a repetition costs four reads.
///
/// Nothing spans two databases and two projects. So what was written is held against the document once
/// more until it's still the same; who comes late with an older state finds out.
pub async fn publish(app: &App, admin_uid: &str, lost: &[String]) -> Result<(), ClaimsError> {
    let path = Claims::path(admin_uid)?;
    let mut published: Option<Timestamp> = None;
    loop {
        let Some(document) = app.stores.admin.get(&path).await? else { return Ok(()) };
        if published == Some(document.update_time) || !publish_once(app, admin_uid, &document, lost).await? {
            return Ok(());
        }
        published = Some(document.update_time);
    }
}

/// One round; true when something was written.
async fn publish_once(app: &App, admin_uid: &str, document: &Document, lost: &[String]) -> Result<bool, ClaimsError> {
    let Some(map) = claims_map(&document.fields) else { return Ok(false) };
    let claims = Claims::read(admin_uid, Some(document));
    let wanted = |current: &Map<String, Json>| custom_claims(current, map, lost);
    let mut wrote = set_claims(&app.accounts.admin, admin_uid, wanted).await?;
    if let Some(assessment_uid) = &claims.assessment_uid {
        if !copy_claims(app, admin_uid, assessment_uid, document, &mut wrote).await? {
            return Ok(wrote);
        }
        let same_account = app.accounts.admin.project() == app.accounts.assessment.project();
        if !(same_account && assessment_uid == admin_uid) {
            wrote |= set_claims(&app.accounts.assessment, assessment_uid, wanted).await?;
        }
    }
    if is_admin(&claims) {
        for database in [&app.stores.admin, &app.stores.assessment] {
            wrote |= set_user_type(database, &claims.roar_uid).await?;
        }
    }
    Ok(wrote)
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
        // Deleted this moment.
        Err(AccountError::NotFound) => Ok(false),
        other => other.map(|()| true),
    }
}

/// The security rules of the assessment database read rights from its own copy. False when that document
/// is another user's, which is left alone.
async fn copy_claims(
    app: &App,
    admin_uid: &str,
    assessment_uid: &str,
    document: &Document,
    wrote: &mut bool,
) -> Result<bool, StoreError> {
    let path = Claims::path(assessment_uid)?;
    let copy = app.stores.assessment.get(&path).await?;
    let copied = copy.as_ref().and_then(|copy| claims_map(&copy.fields));
    let owner = copied.and_then(|claims| claims.get("adminUid")).and_then(Value::as_str);
    if owner.is_some_and(|owner| owner != admin_uid) {
        tracing::error!(uid = admin_uid, assessment_uid, "the assessment account is bound to another user");
        return Ok(false);
    }
    if copied != claims_map(&document.fields) {
        app.stores.assessment.commit(vec![Write::set(path, document.fields.clone())]).await?;
        *wrote = true;
    }
    Ok(true)
}

/// Rights over a family alone make nobody an administrator (ambiguities A-32).
fn is_admin(claims: &Claims) -> bool {
    claims.super_admin || claims.admin_orgs.iter().any(|(org_type, _)| org_type != OrgType::Family)
}

async fn set_user_type(database: &Database, roar_uid: &str) -> Result<bool, StoreError> {
    let path = DocPath::in_collection("users", roar_uid)?;
    let Some(user) = database.get(&path).await? else { return Ok(false) };
    if user.fields.get("userType").and_then(Value::as_str) == Some("admin") {
        return Ok(false);
    }
    match database.commit(vec![Write::update(path, fields! { "userType" => "admin" })]).await {
        Err(StoreError::Conflict(_)) => Ok(false),
        other => other.map(|_| true),
    }
}
