//! Who may deliver events and tasks.

use std::net::SocketAddr;

use clap::Args;

use super::parsers::{any, list, named, url};
use super::{BackendConfig, ConfigError, StoreConfig};
use crate::runtime::auth;

/// Who may deliver events and tasks, as it's set.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Callers")]
pub struct DeliveryArgs {
    /// The audiences of the OIDC tokens that come with events and tasks, separated by commas: the
    /// service's URL.
    #[arg(long, value_name = "AUDIENCES", env = "ROAR_EVENTS_AUDIENCE", value_parser = named("ROAR_EVENTS_AUDIENCE", any))]
    pub events_audience: Option<String>,
    /// The service accounts (e-mail addresses, separated by commas) that may deliver events and tasks.
    #[arg(long, value_name = "EMAILS", env = "ROAR_EVENTS_SERVICE_ACCOUNT", value_parser = named("ROAR_EVENTS_SERVICE_ACCOUNT", any))]
    pub events_service_account: Option<String>,
    /// The JWK set of Google's OIDC tokens.
    #[arg(long, value_name = "URL", env = "ROAR_OIDC_KEYS_URL", default_value = auth::OIDC_KEYS, value_parser = named("ROAR_OIDC_KEYS_URL", url))]
    pub oidc_keys_url: String,
}

/// Who may deliver events and tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryConfig {
    /// Anybody on this machine: the Firestore emulator doesn't authenticate itself.
    Open,
    /// Nobody: events and tasks stay inside the process.
    Closed,
    /// Google's services.
    Service {
        /// The accepted audiences of tokens, which mean this server.
        audiences: Vec<String>,
        /// The service accounts.
        accounts: Vec<String>,
        /// The JWK set of their tokens.
        keys: String,
    },
}

impl DeliveryArgs {
    /// Validates the settings as a whole. Refuses settings that would let strangers deliver events.
    pub fn check(&self, store: &StoreConfig, listen: SocketAddr) -> Result<DeliveryConfig, ConfigError> {
        let is_local = listen.ip().is_loopback();
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
            BackendConfig::Emulator(_) => Ok(DeliveryConfig::Open),
            // Events and tasks of an embedded store never leave the process, so a delivery from outside is a forgery.
            BackendConfig::Embedded(_) => Ok(DeliveryConfig::Closed),
        }
    }
}
