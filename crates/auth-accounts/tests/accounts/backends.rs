//! No accounts yet, in each backend.

use std::sync::Arc;

use auth_accounts::Accounts;
use auth_accounts::embedded::EmbeddedAccounts;
use auth_accounts::identity_toolkit::{Connection, IdentityToolkit, Options};
use document_store::context::Context;

use firebase_emulators as support;

/// Accounts that last as long as this.
pub struct Opened {
    accounts: Accounts,
    _directory: Option<tempfile::TempDir>,
}

impl Opened {
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }
}

/// The emulator, in a project of its own.
pub async fn emulator() -> Opened {
    let project = support::unique_project("accounts");
    let connection = Connection::open(Some(support::auth::auth_host()), Options::default()).await.unwrap();
    let backend = IdentityToolkit::new(Arc::new(connection), &project).unwrap();
    Opened { accounts: Accounts::new(&project, Arc::new(backend)), _directory: None }
}

/// The embedded backend, in a directory of its own.
pub async fn embedded() -> Opened {
    let directory = tempfile::tempdir().unwrap();
    let backend = EmbeddedAccounts::open(directory.path(), "accounts", "demo-accounts", &Context::system()).unwrap();
    Opened { accounts: Accounts::new("demo-accounts", Arc::new(backend)), _directory: Some(directory) }
}
