//! What commands print.

use std::io::Write as _;

use clap::ValueEnum;

use super::error::CliError;

/// How lists of what a deployment needs are printed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum ListFormat {
    Table,
    Json,
    Gcloud,
    Terraform,
}

/// How reports are printed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum ReportFormat {
    Table,
    Json,
}

/// Prints without panicking when the reader has gone (`doc list … | head`).
pub(super) fn print(text: &str) -> Result<(), CliError> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        result => result.map_err(|error| CliError::Other(error.to_string())),
    }
}
