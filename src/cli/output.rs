//! The output of commands: its formats, and printing.

use std::io::Write as _;

use clap::ValueEnum;

use super::error::CliError;

/// The output formats for lists of queues and triggers, which a deployment needs.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum ListFormat {
    Table,
    Json,
    Gcloud,
    Terraform,
}

/// The output formats for reports.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum ReportFormat {
    Table,
    Json,
}

/// Prints to standard output. Doesn't panic when the reader has closed the pipe (`doc list … | head`).
pub(super) fn print(text: &str) -> Result<(), CliError> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        result => result.map_err(|error| CliError::Other(error.to_string())),
    }
}
