//! How to log.

use clap::{Args, ValueEnum};

use super::parsers::{any, choice, named};

/// How logs look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, with Cloud Logging's fields.
    Json,
}

/// How to log.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Logs")]
pub struct LogArgs {
    /// What to log: a level (error, warn, info, debug, trace) or a tracing filter.
    #[arg(long, global = true, value_name = "FILTER", env = "ROAR_LOG", default_value = "info", value_parser = named("ROAR_LOG", filter))]
    pub log: String,
    /// How logs look: text, or json with Cloud Logging's fields.
    #[arg(long, global = true, env = "ROAR_LOG_FORMAT", default_value = "text", value_parser = named("ROAR_LOG_FORMAT", choice::<LogFormat>))]
    pub log_format: LogFormat,
    /// The project that Cloud Logging finds traces in.
    #[arg(long, global = true, value_name = "PROJECT", env = "GOOGLE_CLOUD_PROJECT", value_parser = named("GOOGLE_CLOUD_PROJECT", any))]
    pub log_project: Option<String>,
}

fn filter(value: &str) -> Result<String, String> {
    let filter = tracing_subscriber::EnvFilter::try_new(value);
    filter.map(|_| value.to_owned()).map_err(|why| format!("must be a tracing filter: {why}"))
}
