//! How servers are notified of pending tasks.

use std::time::Duration;

use clap::{Args, ValueEnum};
use reqwest::Url;

use super::parsers::{any, choice, named, present, seconds};
use super::{BackendConfig, ConfigError, DeliveryConfig, StoreConfig};
use crate::runtime::CloudOptions;

/// How servers are notified of pending tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Transport {
    /// Within the process: for a single server.
    Local,
    /// By Cloud Tasks: for any number of servers.
    Cloud,
}

/// Who carries the word of tasks, as it's set.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Tasks")]
pub struct TaskArgs {
    /// Who tells of tasks: local (this server itself, which must be the only one) or cloud (Cloud Tasks).
    #[arg(long, env = "ROAR_TASKS", default_value = "local", value_parser = named("ROAR_TASKS", choice::<Transport>))]
    pub tasks: Transport,
    /// Where the queues are, projects/PROJECT/locations/LOCATION. Each is named like its function.
    #[arg(long, value_name = "LOCATION", env = "ROAR_TASKS_LOCATION", value_parser = named("ROAR_TASKS_LOCATION", any))]
    pub tasks_location: Option<String>,
    /// The address of this service, where Cloud Tasks calls it.
    #[arg(long, value_name = "URL", env = "ROAR_TASKS_TARGET", value_parser = named("ROAR_TASKS_TARGET", any))]
    pub tasks_target: Option<String>,
    /// The service account that Cloud Tasks calls as. It must be one of ROAR_EVENTS_SERVICE_ACCOUNT.
    #[arg(long, value_name = "EMAIL", env = "ROAR_TASKS_SERVICE_ACCOUNT", value_parser = named("ROAR_TASKS_SERVICE_ACCOUNT", any))]
    pub tasks_service_account: Option<String>,
    /// How many seconds a task may be there before Cloud Tasks is told of it again, in case that nobody did.
    #[arg(long, value_name = "SECONDS", env = "ROAR_TASKS_SWEEP", default_value = "600", value_parser = named("ROAR_TASKS_SWEEP", seconds))]
    pub tasks_sweep: Duration,
    /// Firebase's Cloud Tasks emulator, host:port.
    #[arg(long, value_name = "HOST:PORT", env = "CLOUD_TASKS_EMULATOR_HOST", value_parser = named("CLOUD_TASKS_EMULATOR_HOST", any))]
    pub cloud_tasks_emulator: Option<String>,
}

impl TaskArgs {
    /// Validates the settings as a whole; `None` where notifications stay within the process.
    pub fn check(&self, store: &StoreConfig, deliveries: &DeliveryConfig) -> Result<Option<CloudOptions>, ConfigError> {
        if self.tasks == Transport::Local {
            return Ok(None);
        }
        let needed = |value: &Option<String>, name: &str| {
            present(value).ok_or_else(|| ConfigError(format!("with ROAR_TASKS=cloud, {name} must be set")))
        };
        if matches!(store.backend, BackendConfig::Embedded(_)) {
            return Err(ConfigError("an embedded store has one server: ROAR_TASKS must be local".to_owned()));
        }
        let parent = needed(&self.tasks_location, "ROAR_TASKS_LOCATION")?;
        let parts: Vec<&str> = parent.split('/').collect();
        if !matches!(parts[..], ["projects", project, "locations", location] if !project.is_empty() && !location.is_empty())
        {
            return Err(ConfigError("ROAR_TASKS_LOCATION must be projects/PROJECT/locations/LOCATION".to_owned()));
        }
        let target = needed(&self.tasks_target, "ROAR_TASKS_TARGET")?;
        let target = Url::parse(&format!("{}/", target.trim_end_matches('/'))).ok();
        let target = target.filter(|target| matches!(target.scheme(), "https" | "http"));
        let target = target.ok_or_else(|| ConfigError("ROAR_TASKS_TARGET must be a URL".to_owned()))?;
        let emulator = present(&self.cloud_tasks_emulator);
        let caller = match (&emulator, deliveries) {
            (_, DeliveryConfig::Service { audiences, accounts, .. }) => {
                let account = needed(&self.tasks_service_account, "ROAR_TASKS_SERVICE_ACCOUNT")?;
                if !accounts.contains(&account) {
                    return Err(ConfigError(
                        "ROAR_TASKS_SERVICE_ACCOUNT must be one of ROAR_EVENTS_SERVICE_ACCOUNT".to_owned(),
                    ));
                }
                Some((account, audiences.first().cloned().unwrap_or_default()))
            }
            (Some(_), _) => None,
            (None, _) => {
                return Err(ConfigError(
                    "with ROAR_TASKS=cloud, ROAR_EVENTS_AUDIENCE and ROAR_EVENTS_SERVICE_ACCOUNT must be set: without \
                     them anybody could set off tasks"
                        .to_owned(),
                ));
            }
        };
        Ok(Some(CloudOptions { parent, emulator, target, caller, sweep: self.tasks_sweep.max(Duration::from_secs(1)) }))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::config::StoreArgs;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        tasks: TaskArgs,
        #[command(flatten)]
        store: StoreArgs,
    }

    fn service() -> DeliveryConfig {
        let accounts = vec!["tasks@p.iam.gserviceaccount.com".to_owned()];
        DeliveryConfig::Service { audiences: vec!["https://s.example".to_owned()], accounts, keys: String::new() }
    }

    fn check(args: &[&str], deliveries: &DeliveryConfig) -> Result<Option<CloudOptions>, String> {
        let store = ["test", "--store", "firestore"];
        let cli = Cli::try_parse_from(store.iter().chain(args)).map_err(|error| error.to_string())?;
        let store = cli.store.check().map_err(|error| error.to_string())?;
        cli.tasks.check(&store, deliveries).map_err(|error| error.to_string())
    }

    const CLOUD: [&str; 8] = [
        "--tasks",
        "cloud",
        "--tasks-location",
        "projects/p/locations/us-central1",
        "--tasks-target",
        "https://s.example/",
        "--tasks-service-account",
        "tasks@p.iam.gserviceaccount.com",
    ];

    #[test]
    fn cloud_tasks_call_back_with_a_token_of_ours() {
        assert_eq!(check(&[], &DeliveryConfig::Closed), Ok(None));
        let options = check(&CLOUD, &service()).unwrap().unwrap();
        let caller = ("tasks@p.iam.gserviceaccount.com".to_owned(), "https://s.example".to_owned());
        assert_eq!((options.caller, options.target.as_str()), (Some(caller), "https://s.example/"));
        let emulator = [&CLOUD[..6], &["--cloud-tasks-emulator", "127.0.0.1:9499"]].concat();
        assert_eq!(check(&emulator, &DeliveryConfig::Open).unwrap().unwrap().caller, None);
    }

    #[test]
    fn what_is_missing_is_named() {
        for (args, deliveries, named) in [
            (&CLOUD[..2], service(), "ROAR_TASKS_LOCATION"),
            (&CLOUD[..4], service(), "ROAR_TASKS_TARGET"),
            (&CLOUD[..6], service(), "ROAR_TASKS_SERVICE_ACCOUNT"),
            (&CLOUD[..], DeliveryConfig::Closed, "ROAR_EVENTS_AUDIENCE"),
            (&["--tasks", "cloud", "--tasks-location", "us-central1"], service(), "projects/PROJECT"),
            (&[&CLOUD[..6], &["--tasks-service-account", "other@p"]].concat(), service(), "one of"),
            (&["--tasks", "pubsub"], service(), "ROAR_TASKS"),
        ] {
            let error = check(args, &deliveries).unwrap_err();
            assert!(error.contains(named), "{args:?}: {error}");
        }
    }
}
