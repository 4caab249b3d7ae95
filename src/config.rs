//! Settings: command-line flags and environment variables, checked at the start. One file for each concern.

mod accounts;
mod behaviour;
mod callers;
mod clever;
mod deliveries;
mod error;
mod log;
mod parsers;
mod server;
mod store;
mod tasks;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

pub use self::accounts::AccountsArgs;
pub use self::behaviour::{BehaviourArgs, BehaviourConfig, EditInProgress, assigned_user_types};
pub use self::callers::{AppCheckMode, CallerArgs, CallerConfig, SecondFactor, UnsignedTokens};
pub use self::clever::CleverArgs;
pub use self::deliveries::{DeliveryArgs, DeliveryConfig};
pub use self::error::ConfigError;
pub use self::log::{LogArgs, LogFormat, is_own_target};
pub use self::server::{MetricsReaders, ServerArgs, ServerConfig};
pub use self::store::{BackendConfig, StoreArgs, StoreConfig, StoreKind};
pub use self::tasks::{TaskArgs, Transport};
use crate::app::Settings;
use crate::rostering::clever::Settings as CleverSettings;
use crate::runtime::budget::{OPERATIONS, RAISED_OPERATIONS};
use crate::runtime::limits::CALLS_A_MINUTE;
use crate::runtime::sign_in::{RECENT, SignInRules};
use crate::runtime::{Capacity, CloudOptions, DatabaseName, LocalOnly, auth};

/// The settings of `serve`.
#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub store: StoreArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub accounts: AccountsArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub server: ServerArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub callers: CallerArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub deliveries: DeliveryArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub behaviour: BehaviourArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub clever: CleverArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub tasks: TaskArgs,
}

/// The settings of `serve`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The address to listen on, and how to shut down.
    pub server: ServerConfig,
    /// Where the documents are.
    pub store: StoreConfig,
    /// Where the accounts are.
    pub accounts: BackendConfig,
    /// Which tokens and callers are accepted.
    pub callers: CallerConfig,
    /// Who may deliver events and tasks.
    pub deliveries: DeliveryConfig,
    /// How many tasks run at once.
    pub task_concurrency: usize,
    /// Limits on concurrent work.
    pub capacity: Capacity,
    /// Settings of the domain rules.
    pub behaviour: BehaviourConfig,
    /// The connection to Clever, if one is configured.
    pub clever: Option<CleverSettings>,
    /// The connection to Cloud Tasks, if one is configured.
    pub cloud_tasks: Option<CloudOptions>,
}

impl Config {
    /// The settings of a demonstration: an embedded store in the given directory, development tokens, no environment
    /// variables. Refuses an address that other machines can reach.
    pub fn demonstration(listen: SocketAddr, directory: PathBuf) -> Result<Config, ConfigError> {
        if !listen.ip().is_loopback() {
            return Err(ConfigError(format!(
                "a demonstration takes ID tokens for development, so it can't listen on {listen}: use a loopback address \
                 (ROAR_LISTEN=127.0.0.1:{})",
                listen.port()
            )));
        }
        let database = |project: &str| DatabaseName { project: project.to_owned(), database: "(default)".to_owned() };
        Ok(Config {
            server: ServerConfig { listen, grace: Duration::from_secs(5), metrics: MetricsReaders::All },
            store: StoreConfig {
                data_dir: directory.clone(),
                backend: BackendConfig::Embedded(directory.clone()),
                admin: database("demo-roar-admin"),
                assessment: database("demo-roar-assessment"),
            },
            accounts: BackendConfig::Embedded(directory.clone()),
            callers: CallerConfig {
                projects: vec!["demo-roar-admin".to_owned(), "demo-roar-assessment".to_owned()],
                allow_unsigned: false,
                development: Some(directory.clone()),
                local: Some(LocalOnly { hints: callers::LOCAL_HINTS, ..LocalOnly::default() }),
                app_check: AppCheckMode::Off,
                app_check_apps: Vec::new(),
                signed_out_limit: Some(CALLS_A_MINUTE),
                budget: Some(OPERATIONS),
                admin_budget: Some(RAISED_OPERATIONS),
                sign_in: SignInRules { within: Some(RECENT), second_factor: false },
                trusted_proxies: 0,
                id_token_keys: auth::ID_TOKEN_KEYS.to_owned(),
                app_check_keys: auth::APP_CHECK_KEYS.to_owned(),
            },
            deliveries: DeliveryConfig::Closed,
            task_concurrency: 4,
            capacity: Capacity::default(),
            behaviour: BehaviourConfig {
                edit_in_progress: EditInProgress::Deny,
                assigned_user_types: vec!["student".to_owned()],
                assign_on_promotion: false,
                mirror_omit: Settings::MIRROR_OMIT.map(str::to_owned).to_vec(),
                roster_missing_share: 20,
            },
            clever: None,
            cloud_tasks: None,
        })
    }
}

impl ServeArgs {
    /// Validates the settings as a whole. Refuses settings that would open the server to strangers.
    pub fn check(&self) -> Result<Config, ConfigError> {
        let store = self.store.check()?;
        let server = self.server.check();
        let accounts = self.accounts.check(&store)?;
        let deliveries = self.deliveries.check(&store, server.listen)?;
        let callers = self.callers.check(&store, &accounts, &deliveries, server.listen)?;
        let behaviour = self.behaviour.check()?;
        Ok(Config {
            cloud_tasks: self.tasks.check(&store, &deliveries)?,
            deliveries,
            task_concurrency: self.server.task_concurrency,
            capacity: self.server.capacity(),
            server,
            store,
            accounts,
            callers,
            behaviour,
            clever: self.clever.check()?,
        })
    }
}
