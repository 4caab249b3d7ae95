//! Which callers are accepted, and how much they may use.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::parsers::{app_ids, calls, choice, host_names, hours, list, named, operations, origins, proxies, url};
use super::{BackendConfig, ConfigError, DeliveryConfig, StoreConfig};
use crate::runtime::budget::{OPERATIONS, RAISED_OPERATIONS};
use crate::runtime::limits::CALLS_A_MINUTE;
use crate::runtime::sign_in::{RECENT, SignInRules};
use crate::runtime::{LocalHints, LocalOnly, auth};

/// How App Check tokens are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AppCheckMode {
    /// Tokens are ignored.
    Off,
    /// A bad token is logged.
    Monitor,
    /// A call without a good token is refused.
    Enforce,
}

/// Whether development's ID tokens are accepted, which no real sign-in stands behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum UnsignedTokens {
    /// The Auth emulator's with the Auth emulator, and the data directory's own with the embedded store.
    Auto,
    /// Never.
    Never,
}

/// Which calls need a sign-in with a second factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SecondFactor {
    /// No calls.
    Off,
    /// For calls that change rights or passwords.
    Privileged,
}

/// Who may call, as it's set.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Callers")]
pub struct CallerArgs {
    /// Whether development's ID tokens count: auto (unsigned ones with the Auth emulator, with the embedded store those
    /// that the command `token` signs with the data directory's key; both on a loopback address, for what comes from this
    /// machine) or never.
    #[arg(long, env = "ROAR_UNSIGNED_TOKENS", default_value = "auto", value_parser = named("ROAR_UNSIGNED_TOKENS", choice::<UnsignedTokens>))]
    pub unsigned_tokens: UnsignedTokens,
    /// Names by which this machine may be called where development's ID tokens count, besides localhost and loopback
    /// addresses; separated by commas, without ports.
    #[arg(long, value_name = "NAMES", env = "ROAR_DEVELOPMENT_HOSTS", value_parser = named("ROAR_DEVELOPMENT_HOSTS", host_names))]
    pub development_hosts: Option<String>,
    /// Origins of web pages that may call where development's ID tokens count, besides those of this machine; separated by
    /// commas, as https://dev.example.org.
    #[arg(long, value_name = "ORIGINS", env = "ROAR_DEVELOPMENT_ORIGINS", value_parser = named("ROAR_DEVELOPMENT_ORIGINS", origins))]
    pub development_origins: Option<String>,
    /// App Check: off, monitor (a bad token is logged) or enforce (a call without a good one fails).
    #[arg(long, env = "ROAR_APP_CHECK", default_value = "off", value_parser = named("ROAR_APP_CHECK", choice::<AppCheckMode>))]
    pub app_check: AppCheckMode,
    /// The IDs of the apps whose App Check tokens count, separated by commas. Default: any of the projects'.
    #[arg(long, value_name = "APP_IDS", env = "ROAR_APP_CHECK_APPS", value_parser = named("ROAR_APP_CHECK_APPS", app_ids))]
    pub app_check_apps: Option<String>,
    /// How many calls a minute an address may make without a good ID token. 0: any number.
    #[arg(long, value_name = "CALLS", env = "ROAR_SIGNED_OUT_LIMIT", default_value_t = CALLS_A_MINUTE.get(), value_parser = named("ROAR_SIGNED_OUT_LIMIT", calls))]
    pub signed_out_limit: u32,
    /// How much of the databases somebody signed in may use a minute who administers nothing, in reads and writes as they
    /// are billed. What a call costs more is made good by those after it, which are refused for a while. 0: any number.
    #[arg(long, value_name = "OPERATIONS", env = "ROAR_CALL_BUDGET", default_value_t = OPERATIONS.get(), value_parser = named("ROAR_CALL_BUDGET", operations))]
    pub call_budget: u32,
    /// The same for administrators of orgs and super admins.
    #[arg(long, value_name = "OPERATIONS", env = "ROAR_ADMIN_CALL_BUDGET", default_value_t = RAISED_OPERATIONS.get(), value_parser = named("ROAR_ADMIN_CALL_BUDGET", operations))]
    pub admin_call_budget: u32,
    /// For calls that change rights or passwords, how many hours ago the caller may have signed in. 0: any time.
    #[arg(long, value_name = "HOURS", env = "ROAR_RECENT_SIGN_IN", default_value_t = RECENT.as_secs() / 3600, value_parser = named("ROAR_RECENT_SIGN_IN", hours))]
    pub recent_sign_in: u64,
    /// Who must have signed in with a second factor: off (nobody) or privileged (for calls that change rights or
    /// passwords).
    #[arg(long, env = "ROAR_SECOND_FACTOR", default_value = "off", value_parser = named("ROAR_SECOND_FACTOR", choice::<SecondFactor>))]
    pub second_factor: SecondFactor,
    /// How many proxies in front append to X-Forwarded-For: 0 for none, 1 on Cloud Run. With fewer than there are,
    /// callers share a proxy's address; with more, they choose their own.
    #[arg(long, value_name = "N", env = "ROAR_TRUSTED_PROXIES", default_value = "0", value_parser = named("ROAR_TRUSTED_PROXIES", proxies))]
    pub trusted_proxies: usize,
    /// The JWK set of ID tokens.
    #[arg(long, value_name = "URL", env = "ROAR_ID_TOKEN_KEYS_URL", default_value = auth::ID_TOKEN_KEYS, value_parser = named("ROAR_ID_TOKEN_KEYS_URL", url))]
    pub id_token_keys_url: String,
    /// The JWK set of App Check tokens.
    #[arg(long, value_name = "URL", env = "ROAR_APP_CHECK_KEYS_URL", default_value = auth::APP_CHECK_KEYS, value_parser = named("ROAR_APP_CHECK_KEYS_URL", url))]
    pub app_check_keys_url: String,
}

/// The settings that a development server's refusal of other machines names in its hints.
pub(super) const LOCAL_HINTS: LocalHints = LocalHints {
    host: Some("Other names can be added with ROAR_DEVELOPMENT_HOSTS."),
    origin: Some("Other origins can be added with ROAR_DEVELOPMENT_ORIGINS."),
    proxy: Some("Behind a proxy, set ROAR_UNSIGNED_TOKENS=never."),
};

/// Which callers are accepted, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerConfig {
    /// The projects whose users may call.
    pub projects: Vec<String>,
    /// True when unsigned ID tokens count.
    pub allow_unsigned: bool,
    /// The data directory whose development tokens are accepted, if any.
    pub development: Option<PathBuf>,
    /// Restricts the server to local clients, where development tokens or unauthenticated events are accepted.
    pub local: Option<LocalOnly>,
    /// What App Check tokens are good for.
    pub app_check: AppCheckMode,
    /// The apps whose App Check tokens count; empty for any.
    pub app_check_apps: Vec<String>,
    /// Calls per minute and address without a good ID token; `None` for any number.
    pub signed_out_limit: Option<NonZeroU32>,
    /// Billed reads and writes per minute of a signed-in caller who administers nothing; `None` for any number.
    pub budget: Option<NonZeroU32>,
    /// The same for administrators.
    pub admin_budget: Option<NonZeroU32>,
    /// How recent and how strong a sign-in must be for calls that change rights or passwords.
    pub sign_in: SignInRules,
    /// How many proxies in front append to `X-Forwarded-For`.
    pub trusted_proxies: usize,
    /// The JWK set of ID tokens.
    pub id_token_keys: String,
    /// The JWK set of App Check tokens.
    pub app_check_keys: String,
}

impl CallerArgs {
    /// Validates the settings as a whole. Refuses development tokens on an address that other machines can reach.
    pub fn check(
        &self,
        store: &StoreConfig,
        accounts: &BackendConfig,
        deliveries: &DeliveryConfig,
        listen: SocketAddr,
    ) -> Result<CallerConfig, ConfigError> {
        let has_auth_emulator = matches!(accounts, BackendConfig::Emulator(_));
        let is_auto = self.unsigned_tokens == UnsignedTokens::Auto;
        let allow_unsigned = is_auto && has_auth_emulator;
        let development = match &store.backend {
            BackendConfig::Embedded(directory) if is_auto => Some(directory.clone()),
            _ => None,
        };
        let is_local = allow_unsigned || development.is_some();
        if is_local && !listen.ip().is_loopback() {
            return Err(ConfigError(format!(
                "ID tokens for development would be accepted on {listen}, and are good for calling as anybody. Listen on a loopback address (ROAR_LISTEN=127.0.0.1:{}, PORT unset) or set \
                 ROAR_UNSIGNED_TOKENS=never",
                listen.port()
            )));
        }
        Ok(CallerConfig {
            projects: store.projects(),
            allow_unsigned,
            development,
            // Events without proof of their sender are accepted from programs of this machine only.
            local: (is_local || *deliveries == DeliveryConfig::Open).then(|| LocalOnly {
                hosts: list(&self.development_hosts),
                origins: list(&self.development_origins),
                hints: LOCAL_HINTS,
            }),
            app_check: self.app_check,
            app_check_apps: list(&self.app_check_apps),
            signed_out_limit: NonZeroU32::new(self.signed_out_limit),
            budget: NonZeroU32::new(self.call_budget),
            admin_budget: NonZeroU32::new(self.admin_call_budget),
            sign_in: SignInRules {
                within: (self.recent_sign_in > 0).then(|| Duration::from_secs(self.recent_sign_in * 3600)),
                second_factor: self.second_factor == SecondFactor::Privileged,
            },
            trusted_proxies: self.trusted_proxies,
            id_token_keys: self.id_token_keys_url.clone(),
            app_check_keys: self.app_check_keys_url.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::config::ServeArgs;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        serve: ServeArgs,
    }

    #[test]
    fn what_takes_no_proof_of_its_sender_is_for_this_machine_alone() {
        let emulator: &[&str] = &["--store", "firestore", "--firestore-emulator", "127.0.0.1:8200"];
        let proof: &[&str] =
            &["--events-audience", "https://s.example", "--events-service-account", "e@p.iam.gserviceaccount.com"];
        let never: &[&str] = &["--unsigned-tokens", "never"];
        for (args, expected) in [
            (vec![], true),
            (vec![never], false),
            // Its events carry none, whatever counts as a token.
            (vec![emulator], true),
            (vec![emulator, never], true),
            (vec![emulator, never, proof], false),
        ] {
            let args = ["test"].into_iter().chain(args.into_iter().flatten().copied());
            let config = Cli::try_parse_from(args.clone()).expect("arguments").serve.check().expect("a configuration");
            assert_eq!(config.callers.local.is_some(), expected, "{:?}", args.collect::<Vec<_>>());
        }
    }
}
