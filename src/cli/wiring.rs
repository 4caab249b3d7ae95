//! Builds the service from the settings: the only module that lists all functions and chooses the stores.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::CliError;
use crate::app::{self, ADMIN, ASSESSMENT, Projects, Settings, Stores};
use crate::config::{
    self, AppCheckMode, BackendConfig, BehaviourConfig, CallerConfig, Config, DeliveryConfig, StoreConfig,
};
use crate::context::Context;
use crate::rostering::Rosters;
use crate::rostering::clever::{self, Clever};
use crate::runtime::auth::{
    AppCheck, AppTokens, Callers, Deliveries, DevelopmentKey, IdTokens, KeySource, ServiceTokens,
};
use crate::runtime::budget::Budgets;
use crate::runtime::limits::SignedOut;
use crate::runtime::sign_in::SignInRules;
use crate::runtime::{Capacity, CloudTasks, DatabaseName, QueueOptions};
use crate::service::{self, Service};
use crate::store::Database;
use crate::store::embedded::{DispatchOptions, Dispatcher, EmbeddedStore};
use crate::store::firestore::{FirestoreConfig, FirestoreStore};

/// The time limit for a key server's answer.
const KEYS_LIMIT: Duration = Duration::from_secs(5);

/// The two databases, and the embedded stores behind them, if they are embedded.
pub struct Opened {
    pub stores: Stores,
    pub embedded: Vec<Arc<EmbeddedStore>>,
}

/// Opens the two databases.
pub async fn open(config: &StoreConfig, context: &Context) -> Result<Opened, CliError> {
    let mut embedded = Vec::new();
    let mut databases = Vec::new();
    for (label, name) in [(ADMIN, &config.admin), (ASSESSMENT, &config.assessment)] {
        let firestore = FirestoreConfig::new(&name.project, &name.database).with_user_agent(service::USER_AGENT);
        let firestore = match &config.backend {
            BackendConfig::Embedded(directory) => {
                let store = service::open_embedded(directory, label, name, context)?;
                embedded.push(store.clone());
                databases.push(Database::new(store));
                continue;
            }
            BackendConfig::Cloud => firestore,
            BackendConfig::Emulator(host) => firestore.on_emulator(host),
        };
        databases.push(Database::new(Arc::new(FirestoreStore::open(firestore).await?)));
    }
    let [admin, assessment] =
        <[Database; 2]>::try_from(databases).map_err(|_| CliError::Other("two databases were asked for".to_owned()))?;
    Ok(Opened { stores: Stores { admin, assessment }, embedded })
}

/// The accounts of the two projects.
pub async fn accounts(config: &BackendConfig, store: &StoreConfig, context: &Context) -> Result<Projects, CliError> {
    let (admin, assessment) = (store.admin.project.as_str(), store.assessment.project.as_str());
    Ok(match config {
        BackendConfig::Embedded(directory) => service::open_embedded_accounts(directory, admin, assessment, context)?,
        BackendConfig::Emulator(host) => service::open_accounts(admin, assessment, Some(host)).await?,
        BackendConfig::Cloud => service::open_accounts(admin, assessment, None).await?,
    })
}

/// A service with the embedded stores whose events it handles.
pub struct Built {
    pub service: Service,
    pub embedded: Vec<Arc<EmbeddedStore>>,
}

impl Built {
    /// Starts to run tasks and to deliver the embedded stores' events.
    pub fn start(&self) -> Vec<Dispatcher> {
        self.service.start_tasks();
        let deliver = |store: &Arc<EmbeddedStore>| {
            store.start_dispatcher(Arc::new(self.service.runtime.clone()), DispatchOptions::default())
        };
        self.embedded.iter().map(deliver).collect()
    }

    /// Waits until no event and no task is pending.
    pub async fn settled(&self) {
        loop {
            for store in &self.embedded {
                store.drained().await;
            }
            self.service.queue.idle().await;
            // A task that ended meanwhile may have caused events, so both are checked again.
            if self.embedded.iter().all(|store| store.pending_events() == 0) && self.service.queue.pending() == 0 {
                return;
            }
        }
    }

    /// Like [`Built::settled`] with a time limit; fails when an event or a task is still pending then.
    pub async fn settled_within(&self, limit: Duration) -> Result<(), CliError> {
        let settled = tokio::time::timeout(limit, self.settled()).await;
        settled.map_err(|_| CliError::Other("document events and tasks don't come to an end".to_owned()))
    }
}

/// The settings that change the service's behaviour.
pub fn settings(config: &BehaviourConfig) -> Settings {
    Settings {
        assigned_user_types: config.assigned_user_types.clone(),
        edit_in_progress: match config.edit_in_progress {
            config::EditInProgress::Deny => app::EditInProgress::Deny,
            config::EditInProgress::Extend => app::EditInProgress::Extend,
            config::EditInProgress::Allow => app::EditInProgress::Allow,
        },
        assign_on_promotion: config.assign_on_promotion,
        mirror_omit: config.mirror_omit.clone(),
        roster_missing_share: f64::from(config.roster_missing_share) / 100.0,
    }
}

/// Builds the service. Neither tasks nor events run before [`Built::start`].
pub async fn build(config: &Config) -> Result<Built, CliError> {
    let context = Context::system();
    let Opened { stores, embedded } = open(&config.store, &context).await?;
    let parts = service::ServiceParts {
        stores,
        accounts: accounts(&config.accounts, &config.store, &context).await?,
        admin: config.store.admin.clone(),
        assessment: config.store.assessment.clone(),
        context: context.clone(),
        settings: settings(&config.behaviour),
        rosters: rosters(config.clever.clone(), context.clone())?,
        queue: QueueOptions { concurrency: config.task_concurrency, ..QueueOptions::default() },
        cloud_tasks: match &config.cloud_tasks {
            Some(options) => {
                let cloud = CloudTasks::open(options.clone()).await;
                Some(cloud.map_err(|error| CliError::Other(error.to_string()))?)
            }
            None => None,
        },
        capacity: config.capacity,
        callers: callers(&config.callers, &context)?,
        deliveries: deliveries(&config.deliveries)?,
    };
    Ok(Built { service: Service::assemble(parts)?, embedded })
}

/// A service over stores and accounts that are open already, without a server: for commands that need the service's
/// tasks and events.
pub fn closed(
    opened: Opened,
    accounts: Projects,
    config: &StoreConfig,
    settings: Settings,
    rosters: Rosters,
) -> Result<Built, CliError> {
    let Opened { stores, embedded } = opened;
    let keys = KeySource::new("", http_client(KEYS_LIMIT)?);
    let context = Context::system();
    let parts = service::ServiceParts {
        stores,
        accounts,
        admin: config.admin.clone(),
        assessment: config.assessment.clone(),
        context,
        settings,
        rosters,
        queue: QueueOptions::default(),
        cloud_tasks: None,
        capacity: Capacity::default(),
        callers: Callers {
            id_tokens: IdTokens { projects: Vec::new(), keys, allow_unsigned: false, development: None },
            app_check: AppCheck::Off,
            signed_out: SignedOut::unlimited(),
            budgets: Budgets::unlimited(),
            sign_in: SignInRules::default(),
        },
        deliveries: Deliveries::Closed,
    };
    Ok(Built { service: Service::assemble(parts)?, embedded })
}

/// The key with which the given data directory's development tokens are signed.
pub fn development_key(directory: &Path, context: &Context) -> Result<DevelopmentKey, CliError> {
    DevelopmentKey::open(directory, context).map_err(|error| CliError::Other(error.to_string()))
}

/// The providers of rosters that the settings configure.
pub fn rosters(clever: Option<clever::Settings>, context: Context) -> Result<Rosters, CliError> {
    let clever = clever.map(|settings| Clever::new(settings, context)).transpose();
    Ok(Rosters::new(clever.map_err(|error| CliError::Other(error.to_string()))?))
}

/// The names of the databases, by the labels that the table of functions uses.
pub fn labels(config: &StoreConfig) -> BTreeMap<String, DatabaseName> {
    BTreeMap::from([(ADMIN.to_owned(), config.admin.clone()), (ASSESSMENT.to_owned(), config.assessment.clone())])
}

/// An HTTP client with a time limit for each request, for key servers and emulators.
pub fn http_client(limit: Duration) -> Result<reqwest::Client, CliError> {
    reqwest::Client::builder().timeout(limit).build().map_err(|error| CliError::Other(error.to_string()))
}

fn callers(config: &CallerConfig, context: &Context) -> Result<Callers, CliError> {
    let http = http_client(KEYS_LIMIT)?;
    let apps = || AppTokens {
        projects: config.projects.clone(),
        apps: config.app_check_apps.clone(),
        keys: KeySource::new(&config.app_check_keys, http.clone()),
    };
    Ok(Callers {
        id_tokens: IdTokens {
            projects: config.projects.clone(),
            keys: KeySource::new(&config.id_token_keys, http.clone()),
            allow_unsigned: config.allow_unsigned,
            development: config
                .development
                .as_deref()
                .map(|directory| development_key(directory, context))
                .transpose()?,
        },
        app_check: match config.app_check {
            AppCheckMode::Off => AppCheck::Off,
            AppCheckMode::Monitor => AppCheck::Monitor(apps()),
            AppCheckMode::Enforce => AppCheck::Enforce(apps()),
        },
        signed_out: SignedOut {
            calls_a_minute: config.signed_out_limit,
            trusted_proxies: config.trusted_proxies,
            ..SignedOut::default()
        },
        budgets: Budgets { plain: config.budget, raised: config.admin_budget, ..Budgets::default() },
        sign_in: config.sign_in,
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
