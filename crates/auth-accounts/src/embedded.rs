//! Accounts in an embedded store of their own: one file a project, beside the databases.
//!
//! One document an account, and one for each thing that only one account may have (its e-mail address,
//! phone number, identities), written in the same transaction. Of a password only a salted Argon2 hash
//! is kept.

use std::path::Path;

use argon2::password_hash::SaltString;
use argon2::{Argon2, PasswordHash, PasswordHasher, PasswordVerifier};
use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Map;

use super::{Account, AccountError, AccountUpdate, Backend, NewAccount, Provider, Result};
use document_store::DatabaseName;
use document_store::context::Context;
use document_store::digest::digest;
use document_store::embedded::{EmbeddedStore, IndexSet};
use document_store::fields;
use document_store::{
    Database, DocPath, Document, Fields, Precondition, StoreError, Timestamp, Transaction, Value, Write,
};

/// Accounts of one project.
pub struct EmbeddedAccounts {
    database: Database,
    context: Context,
}

impl EmbeddedAccounts {
    /// Opens the accounts of `project` in `directory`, in the file that `label` names. Fails as
    /// [`EmbeddedStore::open`] does.
    pub fn open(
        directory: &Path,
        label: &'static str,
        project: &str,
        context: &Context,
    ) -> std::result::Result<Self, StoreError> {
        let id = DatabaseName { project: project.to_owned(), database: label.to_owned() };
        let indexes = IndexSet::default();
        let store = EmbeddedStore::open(directory, label, id, &indexes, Vec::new(), context.clock.clone())?;
        Ok(EmbeddedAccounts { database: Database::new(store), context: context.clone() })
    }

    /// True when the account exists, isn't disabled, and has this password.
    pub async fn has_password(&self, uid: &str, password: &SecretString) -> Result<bool> {
        let Some(document) = self.database.get(&account_path(uid)?).await? else { return Ok(false) };
        let hash = text(&document.fields, "passwordHash");
        if account(&document).disabled {
            return Ok(false);
        }
        let password = password.clone();
        let verify = move || {
            let hash = hash.as_deref().and_then(|hash| PasswordHash::new(hash).ok());
            hash.is_some_and(|hash| {
                Argon2::default().verify_password(password.expose_secret().as_bytes(), &hash).is_ok()
            })
        };
        tokio::task::spawn_blocking(verify).await.map_err(|error| AccountError::Failed(error.to_string()))
    }

    /// Hashes a password on a thread for blocking work, because Argon2 takes tens of milliseconds and much memory by
    /// design.
    async fn hash(&self, password: Option<&SecretString>) -> Result<Option<String>> {
        let Some(password) = password.cloned() else { return Ok(None) };
        let salt = self.context.document_id();
        let hash = move || -> argon2::password_hash::Result<String> {
            let salt = SaltString::encode_b64(salt.as_bytes())?;
            Ok(Argon2::default().hash_password(password.expose_secret().as_bytes(), &salt)?.to_string())
        };
        let hashed =
            tokio::task::spawn_blocking(hash).await.map_err(|error| AccountError::Failed(error.to_string()))?;
        hashed.map(Some).map_err(|error| AccountError::Failed(error.to_string()))
    }
}

impl From<StoreError> for AccountError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Contention | StoreError::Unavailable(_) => AccountError::Unavailable(error.to_string()),
            _ => AccountError::Failed(error.to_string()),
        }
    }
}

fn account_path(uid: &str) -> Result<DocPath> {
    DocPath::in_collection("accounts", uid).map_err(|_| AccountError::Invalid("uid"))
}

/// The path of the document that holds the account of a unique property (an e-mail address, a phone number, an
/// identity). Its ID is a digest, because the property need not be a valid document ID.
fn holder_path(kind: &str, key: &str) -> Result<DocPath> {
    Ok(DocPath::in_collection(kind, &digest(key))?)
}

fn text(fields: &Fields, name: &str) -> Option<String> {
    fields.get(name).and_then(Value::as_str).map(str::to_owned)
}

fn account(document: &Document) -> Account {
    let fields = &document.fields;
    let flag = |name: &str| fields.get(name).and_then(Value::as_bool).unwrap_or(false);
    let providers = fields.get("providers").and_then(Value::as_array).unwrap_or_default().iter();
    let provider = |value: &Value| {
        let linked = value.as_map()?;
        Some(Provider { provider_id: text(linked, "providerId")?, raw_id: text(linked, "rawId")? })
    };
    let own = |provider: &str, raw_id: Option<String>| {
        raw_id.map(|raw_id| Provider { provider_id: provider.to_owned(), raw_id })
    };
    let (email, phone_number) = (text(fields, "email"), text(fields, "phoneNumber"));
    let by_password = own("password", email.clone().filter(|_| fields.contains_key("passwordHash")));
    let by_phone = own("phone", phone_number.clone());
    Account {
        uid: document.id().to_owned(),
        email,
        email_verified: flag("emailVerified"),
        display_name: text(fields, "displayName"),
        photo_url: text(fields, "photoUrl"),
        phone_number,
        disabled: flag("disabled"),
        custom_claims: text(fields, "customClaims")
            .and_then(|claims| serde_json::from_str::<Map<String, serde_json::Value>>(&claims).ok())
            .unwrap_or_default(),
        providers: providers.filter_map(provider).chain(by_password).chain(by_phone).collect(),
        valid_since: fields.get("validSince").and_then(Value::as_timestamp),
    }
}

/// The time in whole seconds, as Firebase stores it.
fn whole_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// Why a transaction was aborted.
enum Abort {
    Account(AccountError),
    Store(StoreError),
}

impl From<StoreError> for Abort {
    fn from(error: StoreError) -> Self {
        Abort::Store(error)
    }
}

impl From<AccountError> for Abort {
    fn from(error: AccountError) -> Self {
        Abort::Account(error)
    }
}

impl From<Abort> for AccountError {
    fn from(stop: Abort) -> Self {
        match stop {
            Abort::Account(error) => error,
            Abort::Store(error) => error.into(),
        }
    }
}

/// Reserves a unique property for `uid`, and releases the one that it replaces.
async fn hold(
    tx: &Transaction,
    kind: &str,
    uid: &str,
    (before, after): (Option<&str>, Option<&str>),
    taken: AccountError,
) -> std::result::Result<(), Abort> {
    if before == after {
        return Ok(());
    }
    if let Some(after) = after {
        let path = holder_path(kind, after)?;
        match tx.get(&path).await? {
            Some(holder) if text(&holder.fields, "uid").as_deref() != Some(uid) => return Err(taken.into()),
            _ => tx.write(Write::set(path, fields! { "uid" => uid })).await,
        }
    }
    if let Some(before) = before {
        tx.write(Write::delete(holder_path(kind, before)?)).await;
    }
    Ok(())
}

/// True when the identity is the account's own e-mail address or phone number.
fn is_own(provider: &Provider) -> bool {
    matches!(provider.provider_id.as_str(), "password" | "phone")
}

fn identity(provider: &Provider) -> String {
    format!("{}\n{}", provider.provider_id, provider.raw_id)
}

/// A change of an account.
struct AccountChange<'a> {
    uid: &'a str,
    path: DocPath,
    update: &'a AccountUpdate,
    hash: Option<String>,
    now: Timestamp,
}

impl AccountChange<'_> {
    async fn apply(&self, tx: Transaction) -> std::result::Result<(), Abort> {
        let Some(document) = tx.get(&self.path).await? else { return Err(AccountError::NotFound.into()) };
        let (before, update) = (account(&document), self.update);
        let mut fields = document.fields.clone();
        let mut set = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        let mut changes_sign_in = self.hash.is_some();
        // Before anything else, as in Firebase, where identities are looked up before anything is changed.
        if let Some(link) = &update.link {
            set("providers", self.link(&tx, &before, link).await?);
        }
        if let Some(email) = update.email.as_deref().filter(|email| before.email.as_deref() != Some(email)) {
            let held = (before.email.as_deref(), Some(email));
            hold(&tx, "emails", self.uid, held, AccountError::EmailExists).await?;
            set("email", Value::from(email));
            set("emailVerified", Value::Boolean(false));
            changes_sign_in = true;
        }
        if let Some(phone) = update.phone_number.as_deref() {
            let held = (before.phone_number.as_deref(), Some(phone));
            hold(&tx, "phones", self.uid, held, AccountError::PhoneExists).await?;
            set("phoneNumber", Value::from(phone));
        }
        if let Some(claims) = update.custom_claims.clone() {
            set("customClaims", Value::from(serde_json::Value::Object(claims).to_string().as_str()));
        }
        if let Some(hash) = &self.hash {
            set("passwordHash", Value::from(hash.as_str()));
        }
        for (name, value) in [("emailVerified", update.email_verified), ("disabled", update.disabled)] {
            value.map(|value| set(name, Value::Boolean(value)));
        }
        if let Some(since) = update.valid_since.or(changes_sign_in.then_some(self.now)) {
            set("validSince", Value::from(whole_second(since)));
        }
        for (name, value) in [("displayName", &update.display_name), ("photoUrl", &update.photo_url)] {
            match value.as_deref() {
                None => None,
                Some("") => fields.remove(name),
                Some(value) => fields.insert(name.to_owned(), Value::from(value)),
            };
        }
        if fields != document.fields {
            tx.write(Write::set(self.path.clone(), fields).when(Precondition::Exists)).await;
        }
        Ok(())
    }

    /// Takes an identity for the account, instead of an earlier one at that provider. All it's linked to then.
    async fn link(&self, tx: &Transaction, before: &Account, link: &Provider) -> std::result::Result<Value, Abort> {
        let is_former = |linked: &&Provider| linked.provider_id == link.provider_id;
        let former = before.providers.iter().find(is_former).map(identity);
        let held = (former.as_deref(), Some(&*identity(link)));
        hold(tx, "identities", self.uid, held, AccountError::ProviderExists).await?;
        let others = before.providers.iter().filter(|linked| !is_former(linked) && !is_own(linked));
        let linked = others.chain([link]).map(|linked| {
            let (provider, raw) = (linked.provider_id.as_str(), linked.raw_id.as_str());
            Value::Map(fields! { "providerId" => provider, "rawId" => raw })
        });
        Ok(Value::Array(linked.collect()))
    }
}

#[async_trait]
impl Backend for EmbeddedAccounts {
    async fn create(&self, uid: &str, new: &NewAccount) -> Result<()> {
        let path = &account_path(uid)?;
        let email = &new.email.as_deref();
        let hash = self.hash(new.password.as_ref()).await?;
        let now = self.context.now();
        let mut fields = fields! {
            "emailVerified" => new.email_verified, "disabled" => false, "createdAt" => now,
        };
        if hash.is_some() {
            fields.insert("validSince".to_owned(), Value::from(whole_second(now)));
        }
        let name = new.display_name.as_deref().filter(|name| !name.is_empty());
        for (name, value) in [("email", *email), ("displayName", name), ("passwordHash", hash.as_deref())] {
            if let Some(value) = value {
                fields.insert(name.to_owned(), Value::from(value));
            }
        }
        let fields = &fields;
        let create = async move |tx: Transaction| -> std::result::Result<(), Abort> {
            if tx.get(path).await?.is_some() {
                return Err(AccountError::UidExists.into());
            }
            hold(&tx, "emails", uid, (None, *email), AccountError::EmailExists).await?;
            tx.write(Write::set(path.clone(), fields.clone())).await;
            Ok(())
        };
        self.database.transaction(create).await?;
        Ok(())
    }

    async fn by_uid(&self, uids: &[&str]) -> Result<Vec<Account>> {
        let paths: Vec<DocPath> = uids.iter().filter_map(|uid| account_path(uid).ok()).collect();
        let found = self.database.get_all(&paths).await?;
        Ok(found.iter().flatten().map(account).collect())
    }

    async fn by_email(&self, emails: &[&str]) -> Result<Vec<Account>> {
        let paths: Result<Vec<DocPath>> = emails.iter().map(|email| holder_path("emails", email)).collect();
        let holders = self.database.get_all(&paths?).await?;
        let uids: Vec<String> = holders.iter().flatten().filter_map(|holder| text(&holder.fields, "uid")).collect();
        self.by_uid(&uids.iter().map(String::as_str).collect::<Vec<_>>()).await
    }

    async fn update(&self, uid: &str, update: &AccountUpdate) -> Result<()> {
        let change = AccountChange {
            uid,
            path: account_path(uid).map_err(|_| AccountError::NotFound)?,
            update,
            hash: self.hash(update.password.as_ref()).await?,
            now: self.context.now(),
        };
        self.database.transaction(|tx| change.apply(tx)).await?;
        Ok(())
    }

    async fn delete(&self, uid: &str) -> Result<()> {
        let path = &account_path(uid).map_err(|_| AccountError::NotFound)?;
        let delete = async move |tx: Transaction| -> std::result::Result<(), Abort> {
            let Some(document) = tx.get(path).await? else { return Err(AccountError::NotFound.into()) };
            let before = account(&document);
            let held = [("emails", before.email), ("phones", before.phone_number)];
            for (kind, key) in held.into_iter().filter_map(|(kind, key)| Some((kind, key?))) {
                tx.write(Write::delete(holder_path(kind, &key)?)).await;
            }
            for provider in before.providers.iter().filter(|linked| !is_own(linked)) {
                tx.write(Write::delete(holder_path("identities", &identity(provider))?)).await;
            }
            tx.write(Write::delete(path.clone())).await;
            Ok(())
        };
        self.database.transaction(delete).await?;
        Ok(())
    }
}
