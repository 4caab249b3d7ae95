//! What a sign-in with a roster provider overrides, because the provider proves that the person is the one of a roster
//! entry.
//!
//! Only the provider can prove this, so nothing that people write keeps the person out: neither that their account was
//! made somebody else's before, nor that an account with an unverified address was made their user's. Earlier work
//! isn't lost: the user whom the account leaves is recorded as a pair with the new one, for a person to confirm.

use secrecy::SecretString;

use super::identity::{RosterEntry, account_provider, is_roster_provider};
use crate::accounts::{Account, AccountError, AccountUpdate};
use crate::app::App;
use crate::documents::doubles::{Found, agrees};
use crate::documents::user::age::day;
use crate::documents::user::merged::refusal;
use crate::documents::user::orgs::current_orgs;
use crate::documents::user::same::{fold_address, same_birth, same_name};
use crate::documents::user::{self, user_path};
use crate::documents::user_claims;
use crate::orgs::OrgType;
use crate::rights::Claims;
use crate::runtime::{FunctionError, Status};
use crate::store::{Document, Fields, Value, Write};

/// The user whom an account leaves for the user of its roster entry.
#[derive(Debug)]
pub(super) struct Left {
    /// The ID of the user whom the account leaves.
    pub user: String,
    /// Whether that user has documents, so that other documents may refer to the account.
    pub is_somebody: bool,
    /// The write that records the two users as a pending pair, where they may be one person.
    pub pair: Option<Write>,
}

/// Whether an account whose claims name the user `held` may leave that user for the user of the roster entry. The
/// account may leave when `held` is its own UID without any documents (the person signed in before any roster named
/// them), or when the entry has a user and no account yet.
pub(super) async fn left(
    app: &App,
    entry: &RosterEntry,
    kind: &str,
    held: &str,
    admin_uid: &str,
) -> Result<Option<Left>, FunctionError> {
    let paths = [user_path(held)?, user_path(&entry.roar_uid)?];
    let copy = app.stores.assessment.get_fields(&paths[..1], Some(&[]));
    let (users, copy) = futures::try_join!(app.stores.admin.get_all(&paths), copy)?;
    let [known, rostered] = <[Option<Document>; 2]>::try_from(users).unwrap_or_default();
    let Some(known) = known else {
        // A copy in the assessment database may have runs. Without a users document, nobody could merge these runs into
        // another user.
        let is_nobody = held == admin_uid && copy.into_iter().flatten().next().is_none();
        return Ok(is_nobody.then(|| Left { user: held.to_owned(), is_somebody: false, pair: None }));
    };
    let rostered = rostered.filter(|_| entry.admin_uid.is_none());
    let Some(rostered) = rostered else { return Ok(None) };
    let agrees = agrees(&known.fields, &rostered.fields);
    let district = entry.district.clone().or_else(|| district_of(&rostered.fields));
    let found = district.as_deref().map(|district| Found {
        district,
        provider: kind,
        provider_id: &entry.provider_id,
        rostered: rostered.id(),
        known: known.id(),
        agrees: &agrees,
        is_one_of_several: false,
    });
    let are_one = refusal((known.id(), &known.fields), (rostered.id(), &rostered.fields)).is_none();
    let pair = found.filter(|_| are_one).map(|found| found.write(app.now())).transpose()?;
    Ok(Some(Left { user: held.to_owned(), is_somebody: true, pair }))
}

/// Names the fields in which two users agree, one of whom holds an account that belongs to the other.
fn agrees(known: &Fields, rostered: &Fields) -> Vec<&'static str> {
    let address = |user: &Fields| user.get(user::field::EMAIL).and_then(Value::as_str).map(fold_address);
    let birth = |user: &Fields| user::in_student_data(user, user::field::DOB).and_then(Value::as_timestamp);
    let same_birth = birth(known).zip(birth(rostered)).is_some_and(|(held, born)| same_birth(held, day(born)));
    let same = [
        ("account", true),
        (agrees::EMAIL, address(known).is_some() && address(known) == address(rostered)),
        (agrees::NAME, same_name(known, rostered)),
        (agrees::DOB, same_birth),
    ];
    same.into_iter().filter(|(_, same)| *same).map(|(field, _)| field).collect()
}

fn district_of(user: &Fields) -> Option<String> {
    current_orgs(user).of(OrgType::District).first().cloned()
}

/// The claims of other accounts that are bound to the entry's user and that give way: accounts without rights whose
/// owners have proven nothing. ALREADY_EXISTS for any other account, and where one of these accounts is suspended:
/// otherwise its user could get around the suspension.
pub(super) async fn giving_way(
    app: &App,
    entry: &RosterEntry,
    admin_uid: &str,
) -> Result<Vec<Document>, FunctionError> {
    let holders = user_claims::of_user(&entry.roar_uid).limit(MOST_HOLDERS);
    let mut holders = app.stores.admin.query(holders).await?;
    holders.retain(|holder| holder.id() != admin_uid);
    let uids: Vec<&str> = holders.iter().map(Document::id).collect();
    let accounts = match uids.is_empty() {
        true => Default::default(),
        false => app.accounts.admin.get_all(&uids).await?,
    };
    let stays = |holder: &Document| {
        let claims = Claims::read(holder.id(), Some(holder));
        let has_rights = claims.super_admin || claims.admin || !claims.admin_orgs.is_empty();
        has_rights || claims.suspended || accounts.get(holder.id()).is_some_and(has_shown)
    };
    match holders.iter().any(stays) {
        true => Err(FunctionError::new(Status::AlreadyExists, "This user belongs to another account.")),
        false => Ok(holders),
    }
}

/// A bound on the query, above the number of accounts that one user has.
const MOST_HOLDERS: u32 = 5;

/// True for an account whose owner has proven who they are: by a verified address, or by a link with a roster provider.
fn has_shown(account: &Account) -> bool {
    let of_roster = |provider: &str| {
        let kind = provider.strip_prefix("oidc.").unwrap_or_default();
        is_roster_provider(kind) && account_provider(kind) == provider
    };
    account.email_verified || account.providers.iter().any(|linked| of_roster(&linked.provider_id))
}

/// Replaces the password and ends all earlier sessions: whoever made or administered the account may know the password.
/// Afterwards only the provider signs the user in.
pub(super) async fn close_password(app: &App, account: &Account) -> Result<(), AccountError> {
    if !account.providers.iter().any(|linked| linked.provider_id == "password") {
        return Ok(());
    }
    let password = [app.context.document_id(), app.context.document_id()].concat();
    let update = AccountUpdate { password: Some(SecretString::from(password)), ..AccountUpdate::default() };
    app.accounts.admin.update(&account.uid, &update).await
}
