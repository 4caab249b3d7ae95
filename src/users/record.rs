//! The callable `updateUserRecord`: changes a user's account on behalf of those who administer the user
//! (docs/domain/dashboard.md#updateuserrecord).

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use serde_json::{Value as Json, json};

use crate::accounts::{Account, AccountError, AccountUpdate, Accounts};
use crate::app::App;
use crate::claims::audit::{Action, Record};
use crate::claims::suspension::Suspension;
use crate::documents::user::same::fold_address;
use crate::fields;
use crate::payload::refusals::{GONE, TAKEN};
use crate::payload::{Checked, Id, Nothing, kinds};
use crate::rights::{Claims, NamesUser, Payload, Target, UserAdmin, denied};
use crate::runtime::edge::{Open, Wrong, by_value, inline_schemas};
use crate::runtime::{FunctionError, Status};
use crate::store::Value;

/// The function's name in audit records.
const NAME: &str = "updateUserRecord";
/// Firebase's minimum length of a password.
const SHORTEST_PASSWORD: usize = 6;
/// The longest name, address or link of a picture that is accepted.
const LONGEST: usize = 2000;
/// The longest e-mail address, in bytes.
const LONGEST_EMAIL: usize = 254;
/// The fields of `userRecord`.
const FIELDS: [&str; 7] = ["email", "phoneNumber", "password", "displayName", "photoURL", "disabled", "emailVerified"];

/// A checked request of `updateUserRecord`: the account, and the fields to change.
#[derive(Debug)]
pub struct UserRecordRequest {
    uid: String,
    update: AccountUpdate,
}

/// Only the fields that are sent change. The assessment project's account takes over the address, and whether it can be
/// used.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct UpdateUserRecord {
    /// The user.
    uid: Id<kinds::User>,
    /// What changes.
    #[schemars(extend("minProperties" = 1))]
    user_record: Open<UserRecord>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", expecting = "an object with the fields to change")]
#[schemars(inline, extend("additionalProperties" = false))]
struct UserRecord {
    /// The address to sign in with.
    #[schemars(with = "Option<Email>")]
    email: Option<Entry>,
    /// In E.164.
    #[schemars(length(min = 1), regex(pattern = "^\\+[1-9][0-9]{6,14}$"))]
    phone_number: Option<Entry>,
    #[schemars(length(min = SHORTEST_PASSWORD), extend("format" = "password"))]
    password: Option<Entry>,
    display_name: Option<Entry>,
    #[serde(rename = "photoURL")]
    #[schemars(extend("format" = "uri"))]
    photo_url: Option<Entry>,
    /// Nobody signs in.
    disabled: Option<bool>,
    /// The address is known to be theirs. Only super admins say that it is.
    email_verified: Option<bool>,
}

/// A text field of an account.
struct Entry(String);

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        by_value(deserializer, |sent| match sent {
            Json::String(text) if text.trim().is_empty() => Err(Wrong::new("must not be empty")),
            Json::String(text) if text.chars().count() > LONGEST => {
                Err(Wrong::new(format_args!("must have {LONGEST} characters at most")))
            }
            Json::String(text) => Ok(Entry(text.clone())),
            _ => Err(Wrong::new("must be text")),
        })
    }
}

inline_schemas! {
    Entry: { "type": "string", "minLength": 1, "maxLength": LONGEST, "pattern": "\\S" },
}

/// The schema of an e-mail address.
pub struct Email;

inline_schemas! {
    Email: { "type": "string", "format": "email", "maxLength": LONGEST_EMAIL },
}

impl Payload for UserRecordRequest {
    type Sent = UpdateUserRecord;
    type Answer = Nothing;
    const REFUSALS: &'static [(Status, &'static str)] =
        &[GONE, TAKEN, (Status::FailedPrecondition, "Several accounts claim to be this user's.")];

    fn check(sent: UpdateUserRecord) -> Checked<Self> {
        let uid = sent.uid.into_string();
        let Open { known, all } = sent.user_record;
        let at = |wrong: Wrong| wrong.of("userRecord");
        let unknown = |(name, sent): &(&String, &Json)| !sent.is_null() && !FIELDS.contains(&name.as_str());
        if let Some((unknown, _)) = all.iter().find(unknown) {
            return Err(at(Wrong::new("can't be changed").below(unknown)));
        }
        if all.values().all(Json::is_null) {
            return Err(at(Wrong::new(format_args!("must have one of {}", FIELDS.join(", ")))));
        }
        Ok(UserRecordRequest { uid, update: update(known).map_err(at)? })
    }

    fn example() -> (Json, Nothing) {
        (json!({ "uid": "student-1", "userRecord": { "displayName": "Reader One" } }), Nothing {})
    }
}

fn update(record: UserRecord) -> Result<AccountUpdate, Wrong> {
    let email = record.email.map(|email| fold_address(&email.0));
    if email.as_deref().is_some_and(|email| !is_email(email)) {
        return Err(Wrong::new("must be an e-mail address").below("email"));
    }
    let password = record.password.map(|password| password.0);
    if password.as_ref().is_some_and(|password| password.chars().count() < SHORTEST_PASSWORD) {
        let wrong = Wrong::new(format_args!("must have at least {SHORTEST_PASSWORD} characters"));
        return Err(wrong.below("password"));
    }
    Ok(AccountUpdate {
        email,
        email_verified: record.email_verified,
        display_name: record.display_name.map(|name| name.0),
        photo_url: record.photo_url.map(|url| url.0),
        phone_number: record.phone_number.map(|number| number.0),
        password: password.map(SecretString::from),
        disabled: record.disabled,
        ..AccountUpdate::default()
    })
}

/// True for a text before an `@`, followed by a host name, without blanks.
pub fn is_email(text: &str) -> bool {
    let Some((name, host)) = text.rsplit_once('@') else { return false };
    let blank = |c: char| c.is_whitespace() || c.is_control();
    !name.is_empty() && !host.is_empty() && text.len() <= LONGEST_EMAIL && !text.contains(blank) && !name.contains('@')
}

impl NamesUser for UserRecordRequest {
    fn user(&self) -> &str {
        &self.uid
    }
}

/// Changes the account in the admin project. The account in the assessment project takes over the e-mail address, by
/// which people are found in that project, and whether it is disabled.
pub async fn update_user_record(
    app: App,
    permit: UserAdmin,
    request: UserRecordRequest,
) -> Result<Nothing, FunctionError> {
    let UserRecordRequest { mut update, .. } = request;
    let (requester, target) = (&permit.requester, &permit.target);
    // A verified address gives access to the roster entry with that address.
    if !requester.claims.super_admin && update.email_verified == Some(true) {
        return Err(denied("Only super admins may declare an e-mail address verified."));
    }
    if target.is_caller && update.disabled.is_some() {
        return Err(denied("You can't disable your own account."));
    }
    let account = app.accounts.admin.get(&target.admin_uid).await?;
    let account = account.ok_or_else(|| FunctionError::new(Status::NotFound, "This user has no account."))?;
    // Rights that only the account's token has count too, because readers of tokens accept them.
    let held = Claims::read(&target.admin_uid, None).with_token(&account.custom_claims);
    if !target.is_caller && !requester.claims.include(&held) {
        return Err(denied("You don't administer this user."));
    }
    // A new address is unverified until its owner proves it. Not every identity provider resets this flag.
    update = unverified(&update, &account);
    let disables = update.disabled == Some(true) && !account.disabled;
    // A user who is enabled again must sign in again on every device, including devices that others may have taken.
    update.valid_since = disables.then(|| app.now());
    // The fields that the other project's account takes over, also when an earlier call was interrupted before it did.
    let followed = AccountUpdate {
        email: update.email.clone(),
        email_verified: update.email_verified.filter(|_| update.email.is_some()),
        disabled: update.disabled,
        valid_since: update.valid_since,
        ..AccountUpdate::default()
    };
    if update.email == account.email {
        update.email = None;
    }
    // Only others than the user may confirm the user's address or phone number; users confirm theirs by an e-mail with
    // a link.
    let vouched = update.email.is_some() || update.phone_number.is_some() || update.email_verified.is_some();
    if target.is_caller && !requester.claims.super_admin && vouched {
        return Err(denied("You can't change the address of your own account here."));
    }
    if let Some(email) = &update.email {
        // Checked before the change, because a change that is rolled back signs people out.
        for accounts in [&app.accounts.admin, &app.accounts.assessment] {
            let held = accounts.find(email).await?;
            let own = |held: &Account| held.uid == account.uid || Some(&held.uid) == target.assessment_uid.as_ref();
            if held.is_some_and(|held| !own(&held)) {
                return Err(AccountError::EmailExists.into());
            }
        }
    }
    let by_super_admin = requester.claims.super_admin;
    let suspension = Suspension { function: NAME, by: &requester.uid, admin_uid: &target.admin_uid, by_super_admin };
    if update.disabled == Some(false) && !by_super_admin {
        suspension.check_liftable(&app).await?;
    }
    // The suspension comes first: an interrupted call leaves the user suspended rather than able to act.
    let suspended = update.disabled == Some(true) && suspension.begin(&app).await?;
    if let Err(error) = change_accounts(&app, target, &update, &followed, &account).await {
        // A refused request changed nothing, so the suspension is lifted. After any other failure, it's unknown which
        // steps were done.
        if suspended && is_refusal(&error) {
            suspension.lift(&app).await?;
        }
        return Err(error);
    }
    // The suspension is lifted last, for the same reason.
    if update.disabled == Some(false) {
        suspension.lift(&app).await?;
    }
    if !changes(&update, &account) {
        return Ok(Nothing {});
    }
    let changed = [
        ("email", update.email.is_some()),
        ("emailVerified", update.email_verified.is_some()),
        ("displayName", update.display_name.is_some()),
        ("photoURL", update.photo_url.is_some()),
        ("phoneNumber", update.phone_number.is_some()),
        ("password", update.password.is_some()),
        ("disabled", update.disabled.is_some()),
    ];
    let record = Record {
        // Records which fields changed, but not their values.
        details: fields! {
            "fields" => Value::strings(changed.iter().filter(|(_, changed)| *changed).map(|(name, _)| *name)),
        },
        ..Record::new(NAME, Action::Account, &requester.uid, &target.admin_uid)
    };
    app.stores.admin.commit(vec![record.write(&app)?]).await?;
    Ok(Nothing {})
}

/// Changes the accounts in both projects, and rolls back when the second change fails, for example because another
/// account takes the address concurrently.
async fn change_accounts(
    app: &App,
    target: &Target,
    update: &AccountUpdate,
    followed: &AccountUpdate,
    account: &Account,
) -> Result<(), FunctionError> {
    let moved = match &target.assessment_uid {
        Some(uid) => follow(&app.accounts.assessment, uid, followed).await?,
        None => None,
    };
    if !changes(update, account) {
        return Ok(());
    }
    if let Err(error) = app.accounts.admin.update(&target.admin_uid, update).await {
        if let (Some(former), Some(uid)) = (moved, &target.assessment_uid) {
            restore(&app.accounts.assessment, uid, former).await;
        }
        return Err(error.into());
    }
    Ok(())
}

/// True for errors that say that the request is invalid: the change wasn't made.
fn is_refusal(error: &FunctionError) -> bool {
    matches!(
        error.status,
        Status::InvalidArgument | Status::AlreadyExists | Status::FailedPrecondition | Status::PermissionDenied
    )
}

/// True when the update changes the account. A password always counts as changed.
fn changes(update: &AccountUpdate, account: &Account) -> bool {
    let differs = |wanted: &Option<String>, held: &Option<String>| wanted.is_some() && wanted != held;
    update.password.is_some()
        || differs(&update.email, &account.email)
        || differs(&update.display_name, &account.display_name)
        || differs(&update.photo_url, &account.photo_url)
        || differs(&update.phone_number, &account.phone_number)
        || update.disabled.is_some_and(|disabled| disabled != account.disabled)
        || update.email_verified.is_some_and(|verified| verified != account.email_verified)
}

/// Changes an account of the assessment project; returns its former state if the account exists and was changed.
async fn follow(accounts: &Accounts, uid: &str, update: &AccountUpdate) -> Result<Option<Account>, FunctionError> {
    if update.email.is_none() && update.disabled.is_none() {
        return Ok(None);
    }
    let Some(account) = accounts.get(uid).await? else { return Ok(None) };
    if !changes(update, &account) {
        return Ok(None);
    }
    accounts.update(uid, &unverified(update, &account)).await?;
    Ok(Some(account))
}

/// The same update, with a new address marked as unverified: a verified address gives access to the roster entry with
/// that address, so the caller must not decide that it is verified.
fn unverified(update: &AccountUpdate, account: &Account) -> AccountUpdate {
    let is_new = update.email.is_some() && update.email != account.email;
    AccountUpdate { email_verified: update.email_verified.or(is_new.then_some(false)), ..update.clone() }
}

async fn restore(accounts: &Accounts, uid: &str, former: Account) {
    let update = AccountUpdate {
        email: former.email,
        email_verified: Some(former.email_verified),
        disabled: Some(former.disabled),
        ..AccountUpdate::default()
    };
    if let Err(error) = accounts.update(uid, &update).await {
        tracing::error!(uid, %error, "an account of the assessment project kept a change that was refused");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_an_address() {
        for good in ["a@b.org", "a.b+c@sub.b.org", "user@roar-auth.com", "a@localhost"] {
            assert!(is_email(good), "{good}");
        }
        let long = format!("{}@b.org", "a".repeat(260));
        for bad in ["", "a", "@", "a@", "@b.org", "a b@c.org", "a@b\n.org", "a@b@c.org", &long] {
            assert!(!is_email(bad), "{bad}");
        }
    }

    #[test]
    fn what_may_be_sent() {
        for (record, expected) in [
            (json!({}), "userRecord must have one of email, phoneNumber"),
            (json!({"email": null}), "userRecord must have one of"),
            (json!({"email": "nobody"}), "userRecord.email must be an e-mail address"),
            (json!({"email": 7}), "userRecord.email must be text"),
            (json!({"password": "12345"}), "userRecord.password must have at least 6"),
            (json!({"password": ""}), "userRecord.password must not be empty"),
            (json!({"disabled": "yes"}), "userRecord.disabled must be true or false"),
            (json!({"customClaims": {"super_admin": true}}), "userRecord.customClaims can't be changed"),
            (json!("x"), "userRecord must be an object"),
        ] {
            let data = json!({ "uid": "u1", "userRecord": record });
            let error = UserRecordRequest::read(&data).expect_err("it's refused");
            assert!(error.message.starts_with(expected), "{record}: {}", error.message);
        }
        let request = UserRecordRequest::read(&json!({"uid": "u1", "userRecord": {"email": "A@B.org"}})).expect("good");
        assert_eq!(request.update.email.as_deref(), Some("a@b.org"));
        assert!(UserRecordRequest::read(&json!({"userRecord": {"disabled": true}})).is_err());
    }
}
