//! Where the accounts are stored: in the same kind of backend as the documents, unless the Auth emulator is used.

use clap::Args;

use super::parsers::{host, named, present};
use super::{BackendConfig, ConfigError, StoreConfig};

/// Where the accounts are.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Accounts")]
pub struct AccountsArgs {
    /// The Auth emulator (host:port), which has the accounts of both projects then; its unsigned ID tokens
    /// count. Without it, accounts are Firebase Authentication's with Cloud Firestore, and in the data
    /// directory otherwise.
    #[arg(long, value_name = "HOST:PORT", env = "FIREBASE_AUTH_EMULATOR_HOST", value_parser = named("FIREBASE_AUTH_EMULATOR_HOST", host))]
    pub auth_emulator: Option<String>,
}

impl AccountsArgs {
    /// Decides where the accounts of the store's projects are. Refuses the Auth emulator beside Cloud Firestore.
    pub fn check(&self, store: &StoreConfig) -> Result<BackendConfig, ConfigError> {
        match (present(&self.auth_emulator), &store.backend) {
            (Some(_), BackendConfig::Cloud) => Err(ConfigError(
                "FIREBASE_AUTH_EMULATOR_HOST is set, but the store is Cloud Firestore: anybody could call as anybody. \
                 Unset it, or set FIRESTORE_EMULATOR_HOST too"
                    .to_owned(),
            )),
            (Some(host), _) => Ok(BackendConfig::Emulator(host)),
            (None, BackendConfig::Cloud) => Ok(BackendConfig::Cloud),
            (None, BackendConfig::Embedded(_) | BackendConfig::Emulator(_)) => {
                Ok(BackendConfig::Embedded(store.data_dir.clone()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::runtime::DatabaseName;

    #[test]
    fn accounts_are_beside_the_documents_unless_the_emulator_is_there() {
        let directory = PathBuf::from("data");
        let name = || DatabaseName { project: "p".to_owned(), database: "d".to_owned() };
        let embedded = || BackendConfig::Embedded(directory.clone());
        let emulator = |host: &str| BackendConfig::Emulator(host.to_owned());
        for (auth_emulator, backend, expected) in [
            (None, embedded(), Some(embedded())),
            (None, emulator("firestore:1"), Some(embedded())),
            (None, BackendConfig::Cloud, Some(BackendConfig::Cloud)),
            // Set but empty is unset.
            (Some(""), BackendConfig::Cloud, Some(BackendConfig::Cloud)),
            (Some("auth:1"), embedded(), Some(emulator("auth:1"))),
            (Some("auth:1"), emulator("firestore:1"), Some(emulator("auth:1"))),
            (Some("auth:1"), BackendConfig::Cloud, None),
        ] {
            let store = StoreConfig { backend, admin: name(), assessment: name(), data_dir: directory.clone() };
            let accounts = AccountsArgs { auth_emulator: auth_emulator.map(str::to_owned) };
            assert_eq!(accounts.check(&store).ok(), expected, "{auth_emulator:?} {:?}", store.backend);
        }
    }
}
