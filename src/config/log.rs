//! How to log.

use clap::{Args, ValueEnum};

use super::parsers::{any, choice, named, share, url_or_nothing};

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
    /// Where to send traces by OpenTelemetry's protocol over HTTP: http://127.0.0.1:4318/v1/traces. Google's
    /// https://telemetry.googleapis.com/v1/traces gets application-default credentials. None are made without.
    #[arg(long, global = true, value_name = "URL", env = "ROAR_OTLP_ENDPOINT", value_parser = named("ROAR_OTLP_ENDPOINT", url_or_nothing))]
    pub otlp_endpoint: Option<String>,
    /// The share of runs that are traced where the caller doesn't say: 1 for all.
    #[arg(long, global = true, value_name = "SHARE", env = "ROAR_TRACE_RATIO", default_value = "0.1", value_parser = named("ROAR_TRACE_RATIO", share))]
    pub trace_ratio: f64,
    /// The project that Cloud Logging finds traces in.
    #[arg(long, global = true, value_name = "PROJECT", env = "GOOGLE_CLOUD_PROJECT", value_parser = named("GOOGLE_CLOUD_PROJECT", any))]
    pub log_project: Option<String>,
}

fn filter(value: &str) -> Result<String, String> {
    let filter = tracing_subscriber::EnvFilter::try_new(value);
    filter.map(|_| value.to_owned()).map_err(|why| format!("must be a tracing filter: {why}"))
}
