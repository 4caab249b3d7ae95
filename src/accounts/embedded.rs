//! Accounts in an embedded store of their own: one file a project, beside the databases.
//!
//! One document an account, and one for each thing that only one account may have (its e-mail address,
//! phone number, identities), written in the same transaction. Of a password only a salted Argon2 hash
//! is kept.

use std::path::Path;
use std::sync::Arc;

use argon2::password_hash::SaltString;
use argon2::{Argon2, PasswordHash, PasswordHasher, PasswordVerifier};
use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Map;
use sha2::{Digest, Sha256};

use super::{Account, AccountError, AccountUpdate, Backend, NewAccount, Provider, Result};
use crate::context::Context;
use crate::fields;
use crate::store::embedded::{DatabaseId, EmbeddedStore, IndexSet};
use crate::store::{
    Database, DocPath, Document, Fields, Precondition, StoreError, Timestamp, Transaction, Value, Write,
};

/// As Firebase has it.
const SHORTEST_PASSWORD: usize = 6;

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
        let id = DatabaseId { project: project.to_owned(), database: label.to_owned() };
        let indexes = IndexSet::default();
        let store = EmbeddedStore::open(directory, label, id, &indexes, Vec::new(), context.clock.clone())?;
        Ok(EmbeddedAccounts { database: Database::new(store), context: context.clone() })
    }

    /// True when the account exists, may sign in, and has this password.
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

    /// Hashes on a thread for blocking work: it takes tens of milliseconds and much memory, on purpose.
    async fn hash(&self, password: Option<&SecretString>) -> Result<Option<String>> {
        let Some(password) = password.cloned() else { return Ok(None) };
        if password.expose_secret().chars().count() < SHORTEST_PASSWORD {
            return Err(AccountError::WeakPassword);
        }
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

/// Where a thing that only one account may have leads to that account. By a digest: what people choose
/// needn't be a document's ID.
fn holder_path(kind: &str, key: &str) -> Result<DocPath> {
    let digest = Sha256::digest(key);
    let id: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(DocPath::in_collection(kind, &id)?)
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
    Account {
        uid: document.id().to_owned(),
        email: text(fields, "email"),
        email_verified: flag("emailVerified"),
        display_name: text(fields, "displayName"),
        photo_url: text(fields, "photoUrl"),
        phone_number: text(fields, "phoneNumber"),
        disabled: flag("disabled"),
        custom_claims: text(fields, "customClaims")
            .and_then(|claims| serde_json::from_str::<Map<String, serde_json::Value>>(&claims).ok())
            .unwrap_or_default(),
        providers: providers.filter_map(provider).collect(),
    }
}

/// Something with an `@` inside and no blank, in lower case: all that Firebase's emulator asks for too.
fn email(text: &str) -> Result<String> {
    let (name, host) = text.rsplit_once('@').ok_or(AccountError::InvalidEmail)?;
    let is_good = !name.is_empty() && !host.is_empty() && !text.contains(char::is_whitespace);
    if is_good { Ok(text.to_lowercase()) } else { Err(AccountError::InvalidEmail) }
}

fn phone(text: &str) -> Result<String> {
    let digits = text.strip_prefix('+').ok_or(AccountError::InvalidPhone)?;
    let is_good = (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_good { Ok(text.to_owned()) } else { Err(AccountError::InvalidPhone) }
}

/// Why a transaction gave up.
enum Stop {
    Account(AccountError),
    Store(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Stop::Store(error)
    }
}

impl From<AccountError> for Stop {
    fn from(error: AccountError) -> Self {
        Stop::Account(error)
    }
}

impl From<Stop> for AccountError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Account(error) => error,
            Stop::Store(error) => error.into(),
        }
    }
}

/// Gives a thing that only one account may have to `uid`, and takes the former one back.
async fn hold(
    tx: &Transaction,
    kind: &str,
    uid: &str,
    (before, after): (Option<&str>, Option<&str>),
    taken: AccountError,
) -> std::result::Result<(), Stop> {
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

fn identity(provider: &Provider) -> String {
    format!("{}\n{}", provider.provider_id, provider.raw_id)
}

/// A checked change of an account.
struct Change<'a> {
    uid: &'a str,
    path: DocPath,
    update: &'a AccountUpdate,
    email: Option<String>,
    phone: Option<String>,
    hash: Option<String>,
    now: Timestamp,
}

impl Change<'_> {
    async fn apply(&self, tx: Transaction) -> std::result::Result<(), Stop> {
        let Some(document) = tx.get(&self.path).await? else { return Err(AccountError::NotFound.into()) };
        let before = account(&document);
        let mut fields = document.fields.clone();
        if let Some(email) = &self.email {
            let held = (before.email.as_deref(), Some(email.as_str()));
            hold(&tx, "emails", self.uid, held, AccountError::EmailExists).await?;
            fields.insert("emailVerified".to_owned(), Value::Boolean(held.0 == held.1 && before.email_verified));
        }
        if let Some(phone) = &self.phone {
            let held = (before.phone_number.as_deref(), Some(phone.as_str()));
            hold(&tx, "phones", self.uid, held, AccountError::PhoneExists).await?;
        }
        if let Some(link) = &self.update.link {
            let former = before.providers.iter().find(|linked| linked.provider_id == link.provider_id);
            let (former, key) = (former.map(identity), identity(link));
            let held = (former.as_deref(), Some(key.as_str()));
            hold(&tx, "identities", self.uid, held, AccountError::ProviderExists).await?;
            let others = before.providers.iter().filter(|linked| linked.provider_id != link.provider_id);
            let linked = others.chain([link]).map(|linked| {
                let (provider, raw) = (linked.provider_id.as_str(), linked.raw_id.as_str());
                Value::Map(fields! { "providerId" => provider, "rawId" => raw })
            });
            fields.insert("providers".to_owned(), Value::Array(linked.collect()));
        }
        let claims = self.update.custom_claims.clone().map(|claims| serde_json::Value::Object(claims).to_string());
        for (name, value) in [
            ("email", &self.email),
            ("phoneNumber", &self.phone),
            ("displayName", &self.update.display_name),
            ("photoUrl", &self.update.photo_url),
            ("passwordHash", &self.hash),
            ("customClaims", &claims),
        ] {
            if let Some(value) = value {
                fields.insert(name.to_owned(), Value::from(value.as_str()));
            }
        }
        for (name, value) in [("emailVerified", self.update.email_verified), ("disabled", self.update.disabled)] {
            if let Some(value) = value {
                fields.insert(name.to_owned(), Value::Boolean(value));
            }
        }
        let changes_sign_in = self.hash.is_some() || self.email.is_some();
        if let Some(since) = self.update.valid_since.or(changes_sign_in.then_some(self.now)) {
            fields.insert("validSince".to_owned(), Value::from(since));
        }
        if fields != document.fields {
            tx.write(Write::set(self.path.clone(), fields).when(Precondition::Exists)).await;
        }
        Ok(())
    }
}

#[async_trait]
impl Backend for EmbeddedAccounts {
    async fn create(&self, uid: &str, new: &NewAccount) -> Result<()> {
        let path = &account_path(uid)?;
        let email = &new.email.as_deref().map(email).transpose()?;
        let hash = self.hash(new.password.as_ref()).await?;
        let now = self.context.now();
        let mut fields = fields! {
            "emailVerified" => new.email_verified, "disabled" => false, "createdAt" => now, "validSince" => now,
        };
        for (name, value) in [("email", email), ("displayName", &new.display_name), ("passwordHash", &hash)] {
            if let Some(value) = value {
                fields.insert(name.to_owned(), Value::from(value.as_str()));
            }
        }
        let fields = &fields;
        let create = async move |tx: Transaction| -> std::result::Result<(), Stop> {
            if tx.get(path).await?.is_some() {
                return Err(AccountError::UidExists.into());
            }
            hold(&tx, "emails", uid, (None, email.as_deref()), AccountError::EmailExists).await?;
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
        let change = Change {
            uid,
            path: account_path(uid)?,
            update,
            email: update.email.as_deref().map(email).transpose()?,
            phone: update.phone_number.as_deref().map(phone).transpose()?,
            hash: self.hash(update.password.as_ref()).await?,
            now: self.context.now(),
        };
        self.database.transaction(|tx| change.apply(tx)).await?;
        Ok(())
    }

    async fn delete(&self, uid: &str) -> Result<()> {
        let path = &account_path(uid)?;
        let delete = async move |tx: Transaction| -> std::result::Result<(), Stop> {
            let Some(document) = tx.get(path).await? else { return Err(AccountError::NotFound.into()) };
            let before = account(&document);
            let held = [("emails", before.email), ("phones", before.phone_number)];
            for (kind, key) in held.into_iter().filter_map(|(kind, key)| Some((kind, key?))) {
                tx.write(Write::delete(holder_path(kind, &key)?)).await;
            }
            for provider in &before.providers {
                tx.write(Write::delete(holder_path("identities", &identity(provider))?)).await;
            }
            tx.write(Write::delete(path.clone())).await;
            Ok(())
        };
        self.database.transaction(delete).await?;
        Ok(())
    }
}

/// Opens the accounts of both projects in `directory`. Where the two databases share a project, so do the
/// accounts.
pub fn open_projects(
    directory: &Path,
    admin: &str,
    assessment: &str,
    context: &Context,
) -> std::result::Result<super::Projects, StoreError> {
    let open = |label, project: &str| -> std::result::Result<super::Accounts, StoreError> {
        Ok(super::Accounts::new(project, Arc::new(EmbeddedAccounts::open(directory, label, project, context)?)))
    };
    let admin_accounts = open("admin-accounts", admin)?;
    let assessment =
        if admin == assessment { admin_accounts.clone() } else { open("assessment-accounts", assessment)? };
    Ok(super::Projects { admin: admin_accounts, assessment })
}
