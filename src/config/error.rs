//! Errors of settings.

use thiserror::Error;

/// Settings that contradict each other or lack something. The message names the variable.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct ConfigError(pub(super) String);
