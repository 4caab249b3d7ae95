//! What is wrong with settings.

use thiserror::Error;

/// Settings that don't go together, or lack one. The message names the variable.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct ConfigError(pub(super) String);
