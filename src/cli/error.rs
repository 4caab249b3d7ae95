//! Why commands fail.

use crate::accounts::AccountError;
use crate::config::ConfigError;
use crate::runtime::RuntimeError;
use crate::store::StoreError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Accounts(#[from] AccountError),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error("{0}")]
    Other(String),
    /// Somebody stopped it; what that leaves.
    #[error("stopped: {0}")]
    Stopped(String),
    /// The command has said all there is to say.
    #[error("something differs")]
    Differs,
}
