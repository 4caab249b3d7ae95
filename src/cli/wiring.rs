//! From settings to parts: the one place that knows which functions and stores there are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::CliError;
use crate::app::{self, ADMIN, ASSESSMENT, Settings, Stores};
use crate::config::{self, AppCheckMode, BackendConfig, CallerConfig, Config, DeliveryConfig, StoreConfig};
use crate::context::Context;
use crate::runtime::auth::{AppCheck, AppTokens, Callers, Deliveries, IdTokens, KeySource, ServiceTokens};
use crate::runtime::{DatabaseName, QueueOptions};
use crate::service::{self, Service};
use crate::store::Database;
use crate::store::firestore::{FirestoreConfig, FirestoreStore};

/// How long a key server may take to answer.
const KEYS_LIMIT: Duration = Duration::from_secs(5);

/// Opens the two databases.
pub async fn open(config: &StoreConfig) -> Result<Stores, CliError> {
    Ok(Stores {
        admin: open_one(&config.backend, &config.admin).await?,
        assessment: open_one(&config.backend, &config.assessment).await?,
    })
}

async fn open_one(backend: &BackendConfig, name: &DatabaseName) -> Result<Database, CliError> {
    let firestore = FirestoreConfig::new(&name.project, &name.database);
    let firestore = match backend {
        BackendConfig::Embedded(_) => return Err(CliError::Other("the embedded store isn't built yet".to_owned())),
        BackendConfig::Cloud => firestore,
        BackendConfig::Emulator(host) => firestore.on_emulator(host),
    };
    Ok(Database::new(Arc::new(FirestoreStore::open(firestore).await?)))
}

/// Puts the service together. Nothing runs yet.
pub async fn build(config: &Config) -> Result<Service, CliError> {
    let edit_in_progress = match config.behaviour.edit_in_progress {
        config::EditInProgress::Deny => app::EditInProgress::Deny,
        config::EditInProgress::Extend => app::EditInProgress::Extend,
        config::EditInProgress::Allow => app::EditInProgress::Allow,
    };
    let parts = service::Parts {
        stores: open(&config.store).await?,
        admin: config.store.admin.clone(),
        assessment: config.store.assessment.clone(),
        context: Context::system(),
        settings: Settings { assigned_user_types: config.behaviour.assigned_user_types.clone(), edit_in_progress },
        queue: QueueOptions { concurrency: config.task_concurrency, ..QueueOptions::default() },
        callers: callers(&config.callers)?,
        deliveries: deliveries(&config.deliveries)?,
    };
    Ok(Service::assemble(parts)?)
}

/// Which databases the labels mean.
pub fn labels(config: &StoreConfig) -> BTreeMap<String, DatabaseName> {
    BTreeMap::from([(ADMIN.to_owned(), config.admin.clone()), (ASSESSMENT.to_owned(), config.assessment.clone())])
}

/// A client with a deadline, for key servers and emulators.
pub fn http_client(limit: Duration) -> Result<reqwest::Client, CliError> {
    reqwest::Client::builder().timeout(limit).build().map_err(|error| CliError::Other(error.to_string()))
}

fn callers(config: &CallerConfig) -> Result<Callers, CliError> {
    let http = http_client(KEYS_LIMIT)?;
    let apps =
        || AppTokens { projects: config.projects.clone(), keys: KeySource::new(&config.app_check_keys, http.clone()) };
    Ok(Callers {
        id_tokens: IdTokens {
            projects: config.projects.clone(),
            keys: KeySource::new(&config.id_token_keys, http.clone()),
            allow_unsigned: config.allow_unsigned,
        },
        app_check: match config.app_check {
            AppCheckMode::Off => AppCheck::Off,
            AppCheckMode::Monitor => AppCheck::Monitor(apps()),
            AppCheckMode::Enforce => AppCheck::Enforce(apps()),
        },
    })
}

fn deliveries(config: &DeliveryConfig) -> Result<Deliveries, CliError> {
    Ok(match config {
        DeliveryConfig::Open => Deliveries::Open,
        DeliveryConfig::Closed => Deliveries::Closed,
        DeliveryConfig::Service { audiences, accounts, keys } => Deliveries::Service(ServiceTokens {
            audiences: audiences.clone(),
            accounts: accounts.clone(),
            keys: KeySource::new(keys, http_client(KEYS_LIMIT)?),
        }),
    })
}
