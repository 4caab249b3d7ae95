//! `openapi`.

use super::{CliError, print};

/// Prints the document.
pub fn run() -> Result<(), CliError> {
    let document = serde_json::to_string_pretty(&crate::openapi::document());
    print(&format!("{}\n", document.map_err(|error| CliError::Other(error.to_string()))?))
}
