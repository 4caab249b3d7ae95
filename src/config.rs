//! Settings: flags and environment variables, checked at the start, one struct a concern.

mod accounts;
mod clever;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use thiserror::Error;

pub use self::accounts::AccountsArgs;
pub use self::clever::CleverArgs;
use crate::mirror;
use crate::runtime::{DatabaseName, auth};

/// Settings that don't go together, or lack one. The message names the variable.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct ConfigError(String);

/// A parser of a flag's value whose complaint names the environment variable too.
fn named<T: Send + Sync + Clone + 'static>(
    variable: &'static str,
    parse: fn(&str) -> Result<T, String>,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static {
    move |text| parse(text).map_err(|why| format!("{variable} {why}"))
}

fn choice<T: ValueEnum>(text: &str) -> Result<T, String> {
    T::from_str(text, true).map_err(|_| {
        let all: Vec<_> =
            T::value_variants().iter().filter_map(|v| v.to_possible_value()).map(|v| v.get_name().to_owned()).collect();
        format!("must be one of {}", all.join(", "))
    })
}

fn text(value: &str) -> Result<String, String> {
    if value.trim().is_empty() { Err("must not be empty".to_owned()) } else { Ok(value.to_owned()) }
}

fn flag(value: &str) -> Result<bool, String> {
    value.parse().map_err(|_| "must be true or false".to_owned())
}

fn count(value: &str) -> Result<usize, String> {
    value.parse().ok().filter(|n| (1..=1000).contains(n)).ok_or_else(|| "must be a number from 1 to 1000".to_owned())
}

fn seconds(value: &str) -> Result<Duration, String> {
    let seconds = value.parse().ok().filter(|n| *n <= 3600);
    seconds.map(Duration::from_secs).ok_or_else(|| "must be a number of seconds, 3600 at most".to_owned())
}

fn address(value: &str) -> Result<SocketAddr, String> {
    let value = value.strip_prefix("localhost:").map_or(value.to_owned(), |port| format!("127.0.0.1:{port}"));
    value.parse().map_err(|_| "must be an address and a port, as 127.0.0.1:8080".to_owned())
}

fn port(value: &str) -> Result<u16, String> {
    value.parse().map_err(|_| "must be a port, 0 to 65535".to_owned())
}

fn url(value: &str) -> Result<String, String> {
    match reqwest::Url::parse(value) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(value.to_owned()),
        _ => Err("must be an http or https URL".to_owned()),
    }
}

/// `host:port`, or nothing where the variable is set but empty.
fn host(value: &str) -> Result<String, String> {
    let is_host = value.is_empty()
        || (!value.contains('/') && value.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()));
    if is_host { Ok(value.to_owned()) } else { Err("must be a host and a port without http://".to_owned()) }
}

fn any(value: &str) -> Result<String, String> {
    Ok(value.to_owned())
}

/// The kinds of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StoreKind {
    /// SQLite files in the data directory.
    Embedded,
    /// Cloud Firestore, or its emulator.
    Firestore,
}

/// What App Check tokens are good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AppCheckMode {
    /// They aren't looked at.
    Off,
    /// A bad one is logged.
    Monitor,
    /// A call without a good one is refused.
    Enforce,
}

/// Whether unsigned ID tokens count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum UnsignedTokens {
    /// With the Auth emulator, and with the embedded store.
    Auto,
    /// Never.
    Never,
}

/// What may be changed of an administration that students have begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EditInProgress {
    /// Nothing.
    Deny,
    /// It may be made longer and given to more people.
    Extend,
    /// Anything.
    Allow,
}

/// How logs look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, with Cloud Logging's fields.
    Json,
}

/// Where the documents are.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Store")]
pub struct StoreArgs {
    /// The kind of store: embedded (SQLite in the data directory) or firestore.
    #[arg(long, env = "ROAR_STORE", default_value = "embedded", value_parser = named("ROAR_STORE", choice::<StoreKind>))]
    pub store: StoreKind,
    /// The embedded store's directory.
    #[arg(long, env = "ROAR_DATA_DIR", default_value = ".roar-data", value_parser = named("ROAR_DATA_DIR", text))]
    pub data_dir: String,
    /// The Google Cloud project of the admin database.
    #[arg(long, env = "ROAR_ADMIN_PROJECT", default_value = "demo-roar-admin", value_parser = named("ROAR_ADMIN_PROJECT", text))]
    pub admin_project: String,
    /// The admin database in its project.
    #[arg(long, env = "ROAR_ADMIN_DATABASE", default_value = "(default)", value_parser = named("ROAR_ADMIN_DATABASE", text))]
    pub admin_database: String,
    /// The Google Cloud project of the assessment database.
    #[arg(long, env = "ROAR_ASSESSMENT_PROJECT", default_value = "demo-roar-assessment", value_parser = named("ROAR_ASSESSMENT_PROJECT", text))]
    pub assessment_project: String,
    /// The assessment database in its project.
    #[arg(long, env = "ROAR_ASSESSMENT_DATABASE", default_value = "(default)", value_parser = named("ROAR_ASSESSMENT_DATABASE", text))]
    pub assessment_database: String,
    /// The Firestore emulator (host:port), instead of Cloud Firestore.
    #[arg(long, value_name = "HOST:PORT", env = "FIRESTORE_EMULATOR_HOST", value_parser = named("FIRESTORE_EMULATOR_HOST", host))]
    pub firestore_emulator: Option<String>,
}

/// Where the documents are, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// The backend.
    pub backend: BackendConfig,
    /// The admin database.
    pub admin: DatabaseName,
    /// The assessment database.
    pub assessment: DatabaseName,
    /// The directory of what is embedded.
    pub data_dir: PathBuf,
}

impl StoreConfig {
    /// The projects of the two databases, whose users may call.
    pub fn projects(&self) -> Vec<String> {
        let mut projects = vec![self.admin.project.clone(), self.assessment.project.clone()];
        projects.dedup();
        projects
    }
}

/// The backend, of documents or of accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackendConfig {
    /// SQLite files in this directory.
    Embedded(PathBuf),
    /// Cloud Firestore, or Firebase Authentication.
    Cloud,
    /// The emulator at this host and port.
    Emulator(String),
}

impl StoreArgs {
    /// Checks the settings as a whole.
    pub fn check(&self) -> Result<StoreConfig, ConfigError> {
        let database =
            |project: &str, database: &str| DatabaseName { project: project.to_owned(), database: database.to_owned() };
        let admin = database(&self.admin_project, &self.admin_database);
        let assessment = database(&self.assessment_project, &self.assessment_database);
        if admin == assessment {
            return Err(ConfigError(
                "the admin and the assessment database must be two: change ROAR_ASSESSMENT_PROJECT or \
                 ROAR_ASSESSMENT_DATABASE"
                    .to_owned(),
            ));
        }
        let backend = match (self.store, present(&self.firestore_emulator)) {
            (StoreKind::Embedded, _) => BackendConfig::Embedded(PathBuf::from(&self.data_dir)),
            (StoreKind::Firestore, Some(host)) => BackendConfig::Emulator(host),
            (StoreKind::Firestore, None) => BackendConfig::Cloud,
        };
        Ok(StoreConfig { backend, admin, assessment, data_dir: PathBuf::from(&self.data_dir) })
    }
}

fn present(value: &Option<String>) -> Option<String> {
    value.clone().filter(|value| !value.is_empty())
}

fn list(value: &Option<String>) -> Vec<String> {
    let items = value.iter().flat_map(|value| value.split(','));
    items.map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

/// Types of users, separated by commas.
pub fn assigned_user_types(text: &str) -> Result<Vec<String>, ConfigError> {
    some(text, "ROAR_ASSIGNED_USER_TYPES must name a type of user")
}

/// What stands between commas; `why` not, when that's nothing.
fn some(text: &str, why: &str) -> Result<Vec<String>, ConfigError> {
    let items = list(&Some(text.to_owned()));
    if items.is_empty() { Err(ConfigError(why.to_owned())) } else { Ok(items) }
}

/// The settings of `serve`.
#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub store: StoreArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub accounts: AccountsArgs,
    /// The address to listen on. Port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT", env = "ROAR_LISTEN", value_parser = named("ROAR_LISTEN", address), help_heading = "Server")]
    pub listen: Option<SocketAddr>,
    /// The port to listen on, on all interfaces, as Cloud Run wants it. ROAR_LISTEN goes first.
    #[arg(long, env = "PORT", value_parser = named("PORT", port), help_heading = "Server")]
    pub port: Option<u16>,
    /// How many seconds calls, events and tasks that run may go on after SIGTERM.
    #[arg(long, value_name = "SECONDS", env = "ROAR_SHUTDOWN_GRACE", default_value = "10", value_parser = named("ROAR_SHUTDOWN_GRACE", seconds), help_heading = "Server")]
    pub shutdown_grace: Duration,
    /// How many tasks run at once.
    #[arg(long, value_name = "N", env = "ROAR_TASK_CONCURRENCY", default_value = "4", value_parser = named("ROAR_TASK_CONCURRENCY", count), help_heading = "Server")]
    pub task_concurrency: usize,
    /// Whether unsigned ID tokens count: auto (with the Auth emulator or the embedded store) or never.
    #[arg(long, env = "ROAR_UNSIGNED_TOKENS", default_value = "auto", value_parser = named("ROAR_UNSIGNED_TOKENS", choice::<UnsignedTokens>), help_heading = "Callers")]
    pub unsigned_tokens: UnsignedTokens,
    /// App Check: off, monitor (a bad token is logged) or enforce (a call without a good one fails).
    #[arg(long, env = "ROAR_APP_CHECK", default_value = "off", value_parser = named("ROAR_APP_CHECK", choice::<AppCheckMode>), help_heading = "Callers")]
    pub app_check: AppCheckMode,
    /// The audiences of the OIDC tokens that come with events and tasks, separated by commas: the
    /// service's URL.
    #[arg(long, value_name = "AUDIENCES", env = "ROAR_EVENTS_AUDIENCE", value_parser = named("ROAR_EVENTS_AUDIENCE", any), help_heading = "Callers")]
    pub events_audience: Option<String>,
    /// The service accounts (e-mail addresses, separated by commas) that may deliver events and tasks.
    #[arg(long, value_name = "EMAILS", env = "ROAR_EVENTS_SERVICE_ACCOUNT", value_parser = named("ROAR_EVENTS_SERVICE_ACCOUNT", any), help_heading = "Callers")]
    pub events_service_account: Option<String>,
    /// The JWK set of ID tokens.
    #[arg(long, value_name = "URL", env = "ROAR_ID_TOKEN_KEYS_URL", default_value = auth::ID_TOKEN_KEYS, value_parser = named("ROAR_ID_TOKEN_KEYS_URL", url), help_heading = "Callers")]
    pub id_token_keys_url: String,
    /// The JWK set of App Check tokens.
    #[arg(long, value_name = "URL", env = "ROAR_APP_CHECK_KEYS_URL", default_value = auth::APP_CHECK_KEYS, value_parser = named("ROAR_APP_CHECK_KEYS_URL", url), help_heading = "Callers")]
    pub app_check_keys_url: String,
    /// The JWK set of Google's OIDC tokens.
    #[arg(long, value_name = "URL", env = "ROAR_OIDC_KEYS_URL", default_value = auth::OIDC_KEYS, value_parser = named("ROAR_OIDC_KEYS_URL", url), help_heading = "Callers")]
    pub oidc_keys_url: String,
    /// What may be changed of an administration that students have begun: deny (nothing), extend
    /// (longer, more people) or allow (anything).
    #[arg(long, env = "ROAR_EDIT_IN_PROGRESS", default_value = "deny", value_parser = named("ROAR_EDIT_IN_PROGRESS", choice::<EditInProgress>), help_heading = "Behaviour")]
    pub edit_in_progress: EditInProgress,
    /// The types of users that administrations are assigned to, separated by commas.
    #[arg(long, value_name = "TYPES", env = "ROAR_ASSIGNED_USER_TYPES", default_value = "student", value_parser = named("ROAR_ASSIGNED_USER_TYPES", text), help_heading = "Behaviour")]
    pub assigned_user_types: String,
    /// Whether a promotion also brings the assessments that apply from then on; else the next change of their
    /// administration does.
    #[arg(long, value_name = "BOOL", env = "ROAR_ASSIGN_ON_PROMOTION", default_value = "false", value_parser = named("ROAR_ASSIGN_ON_PROMOTION", flag), action = clap::ArgAction::Set, help_heading = "Behaviour")]
    pub assign_on_promotion: bool,
    /// The fields of orgs that aren't copied to the assessment database, separated by commas. The list counts
    /// for an org from its next change on.
    #[arg(long, value_name = "FIELDS", env = "ROAR_MIRROR_OMIT", default_value_t = mirror::PERSONAL.join(","), value_parser = named("ROAR_MIRROR_OMIT", text), help_heading = "Behaviour")]
    pub mirror_omit: String,
}

/// The settings of `serve`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where to listen, and how to stop.
    pub server: ServerConfig,
    /// Where the documents are.
    pub store: StoreConfig,
    /// Where the accounts are.
    pub accounts: BackendConfig,
    /// Who may call.
    pub callers: CallerConfig,
    /// Who may deliver events and tasks.
    pub deliveries: DeliveryConfig,
    /// How many tasks run at once.
    pub task_concurrency: usize,
    /// What handlers do.
    pub behaviour: BehaviourConfig,
}

impl Config {
    /// The settings of a demonstration: an embedded store in that directory, development tokens, no
    /// environment. Refuses an address that others can reach.
    pub fn demonstration(listen: SocketAddr, directory: PathBuf) -> Result<Config, ConfigError> {
        if !listen.ip().is_loopback() {
            return Err(ConfigError(format!(
                "a demonstration takes unsigned ID tokens, so it can't listen on {listen}: use a loopback address \
                 (ROAR_LISTEN=127.0.0.1:{})",
                listen.port()
            )));
        }
        let database = |project: &str| DatabaseName { project: project.to_owned(), database: "(default)".to_owned() };
        Ok(Config {
            server: ServerConfig { listen, grace: Duration::from_secs(5) },
            store: StoreConfig {
                data_dir: directory.clone(),
                backend: BackendConfig::Embedded(directory.clone()),
                admin: database("demo-roar-admin"),
                assessment: database("demo-roar-assessment"),
            },
            accounts: BackendConfig::Embedded(directory),
            callers: CallerConfig {
                projects: vec!["demo-roar-admin".to_owned(), "demo-roar-assessment".to_owned()],
                allow_unsigned: true,
                app_check: AppCheckMode::Off,
                id_token_keys: auth::ID_TOKEN_KEYS.to_owned(),
                app_check_keys: auth::APP_CHECK_KEYS.to_owned(),
            },
            deliveries: DeliveryConfig::Open,
            task_concurrency: 4,
            behaviour: BehaviourConfig {
                edit_in_progress: EditInProgress::Deny,
                assigned_user_types: vec!["student".to_owned()],
                assign_on_promotion: false,
                mirror_omit: mirror::PERSONAL.map(str::to_owned).to_vec(),
            },
        })
    }
}

/// Where to listen, and how to stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// The address.
    pub listen: SocketAddr,
    /// How long what runs may go on after a stop was asked for.
    pub grace: Duration,
}

/// Who may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerConfig {
    /// The projects whose users may call.
    pub projects: Vec<String>,
    /// True when unsigned ID tokens count.
    pub allow_unsigned: bool,
    /// What App Check tokens are good for.
    pub app_check: AppCheckMode,
    /// The JWK set of ID tokens.
    pub id_token_keys: String,
    /// The JWK set of App Check tokens.
    pub app_check_keys: String,
}

/// Who may deliver events and tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryConfig {
    /// Anybody: development on this machine.
    Open,
    /// Nobody: events and tasks stay inside the process.
    Closed,
    /// Google's services.
    Service {
        /// The audiences that mean this server.
        audiences: Vec<String>,
        /// The service accounts.
        accounts: Vec<String>,
        /// The JWK set of their tokens.
        keys: String,
    },
}

/// What handlers do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BehaviourConfig {
    /// What may be changed of an administration that students have begun.
    pub edit_in_progress: EditInProgress,
    /// The types of users that administrations are assigned to.
    pub assigned_user_types: Vec<String>,
    /// A promotion also brings what applies from then on.
    pub assign_on_promotion: bool,
    /// Fields of orgs that their mirrors leave out.
    pub mirror_omit: Vec<String>,
}

impl ServeArgs {
    /// Checks the settings as a whole. What would leave the server open to strangers is refused.
    pub fn check(&self) -> Result<Config, ConfigError> {
        let store = self.store.check()?;
        let listen = match (self.listen, self.port) {
            (Some(listen), _) => listen,
            (None, Some(port)) => SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port),
            (None, None) => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080),
        };
        let is_local = listen.ip().is_loopback();
        let accounts = self.accounts.check(&store)?;
        let has_auth_emulator = matches!(accounts, BackendConfig::Emulator(_));
        let is_embedded = matches!(store.backend, BackendConfig::Embedded(_));
        let allow_unsigned = self.unsigned_tokens == UnsignedTokens::Auto && (is_embedded || has_auth_emulator);
        if allow_unsigned && !is_local {
            return Err(ConfigError(format!(
                "unsigned ID tokens would be accepted on {listen}, so that anybody who reaches it could call as \
                 anybody. Listen on a loopback address (ROAR_LISTEN=127.0.0.1:{}, PORT unset) or set \
                 ROAR_UNSIGNED_TOKENS=never",
                listen.port()
            )));
        }
        let callers = CallerConfig {
            projects: store.projects(),
            allow_unsigned,
            app_check: self.app_check,
            id_token_keys: self.id_token_keys_url.clone(),
            app_check_keys: self.app_check_keys_url.clone(),
        };
        let assigned_user_types = assigned_user_types(&self.assigned_user_types)?;
        // Nothing at all would publish whoever is named in an org; that's not to happen by an empty variable.
        let mirror_omit = some(&self.mirror_omit, "ROAR_MIRROR_OMIT must name a field")?;
        Ok(Config {
            server: ServerConfig { listen, grace: self.shutdown_grace },
            deliveries: self.deliveries(&store, is_local)?,
            store,
            accounts,
            callers,
            task_concurrency: self.task_concurrency,
            behaviour: BehaviourConfig {
                edit_in_progress: self.edit_in_progress,
                assigned_user_types,
                assign_on_promotion: self.assign_on_promotion,
                mirror_omit,
            },
        })
    }

    fn deliveries(&self, store: &StoreConfig, is_local: bool) -> Result<DeliveryConfig, ConfigError> {
        let (audiences, accounts) = (list(&self.events_audience), list(&self.events_service_account));
        let missing = match (audiences.is_empty(), accounts.is_empty()) {
            (false, false) => {
                return Ok(DeliveryConfig::Service { audiences, accounts, keys: self.oidc_keys_url.clone() });
            }
            (true, false) => Some("ROAR_EVENTS_AUDIENCE"),
            (false, true) => Some("ROAR_EVENTS_SERVICE_ACCOUNT"),
            (true, true) => None,
        };
        if let Some(missing) = missing {
            return Err(ConfigError(format!("{missing} is missing: the audience and the service account go together")));
        }
        match &store.backend {
            BackendConfig::Cloud => Err(ConfigError(
                "with Cloud Firestore, ROAR_EVENTS_AUDIENCE (this service's URL) and ROAR_EVENTS_SERVICE_ACCOUNT (the \
                 triggers' service account) must be set: without them anybody could deliver events"
                    .to_owned(),
            )),
            BackendConfig::Emulator(_) if !is_local => Err(ConfigError(
                "the Firestore emulator's events carry no proof of their sender: listen on a loopback address \
                 (ROAR_LISTEN=127.0.0.1:8080, PORT unset)"
                    .to_owned(),
            )),
            BackendConfig::Embedded(_) if !is_local => Ok(DeliveryConfig::Closed),
            _ => Ok(DeliveryConfig::Open),
        }
    }
}

/// How to log.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Logs")]
pub struct LogArgs {
    /// What to log: a level (error, warn, info, debug, trace) or a tracing filter.
    #[arg(long, global = true, value_name = "FILTER", env = "ROAR_LOG", default_value = "info", value_parser = named("ROAR_LOG", filter))]
    pub log: String,
    /// How logs look: text, or json with Cloud Logging's fields.
    #[arg(long, global = true, env = "ROAR_LOG_FORMAT", default_value = "text", value_parser = named("ROAR_LOG_FORMAT", choice::<LogFormat>))]
    pub log_format: LogFormat,
    /// The project that Cloud Logging finds traces in.
    #[arg(long, global = true, value_name = "PROJECT", env = "GOOGLE_CLOUD_PROJECT", value_parser = named("GOOGLE_CLOUD_PROJECT", any))]
    pub log_project: Option<String>,
}

fn filter(value: &str) -> Result<String, String> {
    let filter = tracing_subscriber::EnvFilter::try_new(value);
    filter.map(|_| value.to_owned()).map_err(|why| format!("must be a tracing filter: {why}"))
}

impl fmt::Display for StoreKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            StoreKind::Embedded => "embedded",
            StoreKind::Firestore => "firestore",
        })
    }
}
