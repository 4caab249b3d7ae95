//! Where the documents are stored.

use std::fmt;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::ConfigError;
use super::parsers::{choice, host, named, present, text};
use crate::runtime::DatabaseName;

/// The kinds of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StoreKind {
    /// SQLite files in the data directory.
    Embedded,
    /// Cloud Firestore, or its emulator.
    Firestore,
}

impl fmt::Display for StoreKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            StoreKind::Embedded => "embedded",
            StoreKind::Firestore => "firestore",
        })
    }
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

/// Where the documents are stored, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// The backend.
    pub backend: BackendConfig,
    /// The admin database.
    pub admin: DatabaseName,
    /// The assessment database.
    pub assessment: DatabaseName,
    /// The directory of embedded stores.
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
    /// Validates the settings as a whole.
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
