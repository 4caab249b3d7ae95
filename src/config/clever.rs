//! The connection to Clever, whose rosters are read only where a client ID and a secret are set.

use std::time::Duration;

use clap::Args;
use secrecy::{ExposeSecret, SecretString};

use super::ConfigError;
use super::parsers::{any, choice, count, named, present, url};
use crate::rostering::clever::{self, Settings, Version};

/// How Clever is asked.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Clever")]
pub struct CleverArgs {
    /// The app's ID at Clever. Without it, nothing is asked of Clever.
    #[arg(long, value_name = "ID", env = "ROAR_CLEVER_CLIENT_ID", value_parser = named("ROAR_CLEVER_CLIENT_ID", any))]
    pub clever_client_id: Option<String>,
    /// The app's secret at Clever.
    #[arg(long, value_name = "SECRET", env = "ROAR_CLEVER_CLIENT_SECRET", hide_env_values = true, value_parser = named("ROAR_CLEVER_CLIENT_SECRET", secret))]
    pub clever_client_secret: Option<SecretString>,
    /// Clever's Data API.
    #[arg(long, value_name = "URL", env = "ROAR_CLEVER_API_URL", default_value = clever::API, value_parser = named("ROAR_CLEVER_API_URL", url))]
    pub clever_api_url: String,
    /// Where Clever's tokens come from.
    #[arg(long, value_name = "URL", env = "ROAR_CLEVER_OAUTH_URL", default_value = clever::OAUTH, value_parser = named("ROAR_CLEVER_OAUTH_URL", url))]
    pub clever_oauth_url: String,
    /// The version of the Data API: v3.1 or v3.0.
    #[arg(long, env = "ROAR_CLEVER_VERSION", default_value = "v3.1", value_parser = named("ROAR_CLEVER_VERSION", choice::<Version>))]
    pub clever_version: Version,
    /// Records a page, 10000 at most.
    #[arg(long, value_name = "N", env = "ROAR_CLEVER_PAGE_LIMIT", default_value = "10000", value_parser = named("ROAR_CLEVER_PAGE_LIMIT", page))]
    pub clever_page_limit: u32,
    /// Requests in any minute, of each district's token. Clever takes 1200.
    #[arg(long, value_name = "N", env = "ROAR_CLEVER_REQUESTS_A_MINUTE", default_value = "1200", value_parser = named("ROAR_CLEVER_REQUESTS_A_MINUTE", page))]
    pub clever_requests_a_minute: u32,
    /// How often a request is made before it counts as failed.
    #[arg(long, value_name = "N", env = "ROAR_CLEVER_ATTEMPTS", default_value = "6", value_parser = named("ROAR_CLEVER_ATTEMPTS", count))]
    pub clever_attempts: usize,
    /// How many seconds an attempt may take, with the whole of the answer.
    #[arg(long, value_name = "SECONDS", env = "ROAR_CLEVER_TIMEOUT", default_value = "60", value_parser = named("ROAR_CLEVER_TIMEOUT", timeout))]
    pub clever_timeout: Duration,
}

fn secret(value: &str) -> Result<SecretString, String> {
    Ok(value.into())
}

fn page(value: &str) -> Result<u32, String> {
    let number = value.parse().ok().filter(|number| (1..=clever::PAGE_LIMIT).contains(number));
    number.ok_or_else(|| format!("must be a number from 1 to {}", clever::PAGE_LIMIT))
}

fn timeout(value: &str) -> Result<Duration, String> {
    let seconds = value.parse().ok().filter(|seconds| (1..=600).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(|| "must be a number of seconds from 1 to 600".to_owned())
}

impl CleverArgs {
    /// The connection to Clever; `None` where it isn't configured. Refuses an ID without a secret, a secret without an
    /// ID, and an address without TLS.
    pub fn check(&self) -> Result<Option<Settings>, ConfigError> {
        let secret = self.clever_client_secret.clone().filter(|secret| !secret.expose_secret().is_empty());
        let missing = |missing: &str| ConfigError(format!("{missing} is missing: Clever's ID and secret go together"));
        let (id, secret) = match (present(&self.clever_client_id), secret) {
            (None, None) => return Ok(None),
            (Some(_), None) => return Err(missing("ROAR_CLEVER_CLIENT_SECRET")),
            (None, Some(_)) => return Err(missing("ROAR_CLEVER_CLIENT_ID")),
            (Some(id), Some(secret)) => (id, secret),
        };
        let settings = Settings::at(&self.clever_api_url, &self.clever_oauth_url, &id, secret);
        let settings = settings.map_err(|_| {
            ConfigError(
                "ROAR_CLEVER_API_URL and ROAR_CLEVER_OAUTH_URL must be https URLs, or addresses of this machine: \
                 secrets go there"
                    .to_owned(),
            )
        })?;
        Ok(Some(Settings {
            version: self.clever_version,
            page_limit: self.clever_page_limit,
            requests_a_minute: self.clever_requests_a_minute,
            attempts: self.clever_attempts as u32,
            timeout: self.clever_timeout,
            ..settings
        }))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        clever: CleverArgs,
    }

    fn check(args: &[&str]) -> Result<Option<Settings>, String> {
        let cli = Cli::try_parse_from(["test"].iter().chain(args)).map_err(|error| error.to_string())?;
        cli.clever.check().map_err(|error| error.to_string())
    }

    #[test]
    fn clever_is_asked_where_it_knows_us() {
        assert_eq!(check(&[]), Ok(None));
        assert_eq!(check(&["--clever-client-id", "", "--clever-client-secret", ""]), Ok(None));
        let known = ["--clever-client-id", "app", "--clever-client-secret", "open sesame"];
        assert_eq!(check(&known), Ok(Some(Settings::new("app", "open sesame".into()).unwrap())));
        let changed = ["--clever-version", "v3.0", "--clever-page-limit", "5", "--clever-attempts", "2"];
        let changed = check(&[&known[..], &changed[..]].concat()).unwrap().unwrap();
        assert_eq!((changed.version, changed.page_limit, changed.attempts), (Version::V3_0, 5, 2));
    }

    #[test]
    fn complaints_name_the_variable_and_no_secret() {
        let known = ["--clever-client-id", "app", "--clever-client-secret", "open sesame"];
        for (args, named) in [
            (&known[..2], "ROAR_CLEVER_CLIENT_SECRET"),
            (&known[2..], "ROAR_CLEVER_CLIENT_ID"),
            (&[&known[..], &["--clever-api-url", "http://clever.example"]].concat(), "ROAR_CLEVER_API_URL"),
            (&["--clever-oauth-url", "clever"], "ROAR_CLEVER_OAUTH_URL"),
            (&["--clever-version", "v2"], "ROAR_CLEVER_VERSION"),
            (&["--clever-page-limit", "10001"], "ROAR_CLEVER_PAGE_LIMIT"),
            (&["--clever-requests-a-minute", "0"], "ROAR_CLEVER_REQUESTS_A_MINUTE"),
            (&["--clever-attempts", "0"], "ROAR_CLEVER_ATTEMPTS"),
            (&["--clever-timeout", "0"], "ROAR_CLEVER_TIMEOUT"),
        ] {
            let error = check(args).unwrap_err();
            assert!(error.contains(named) && !error.contains("sesame"), "{args:?}: {error}");
        }
        let cli = Cli::try_parse_from(["test"].iter().chain(&known)).unwrap();
        assert!(!format!("{:?}", cli.clever).contains("sesame"));
    }
}
