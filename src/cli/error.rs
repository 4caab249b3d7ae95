//! The errors of commands.

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
    /// A signal stopped the command; the text says which work is left.
    #[error("stopped: {0}")]
    Stopped(String),
    /// The command found differences, and has printed them already.
    #[error("something differs")]
    Differs,
}
