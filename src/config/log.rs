//! Settings of logs and traces.

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

/// The package's name, which log filters use for all code of this repository.
const PACKAGE: &str = "roar_functions";
/// The crates that the package is built on, each with the module of the package through which filters may name the crate.
const CRATES: [(&str, &str); 3] =
    [("runtime", "functions_runtime"), ("store", "document_store"), ("accounts", "auth_accounts")];

/// True for the target of a span or an event that this repository's code makes, rather than a library's.
pub fn is_own_target(target: &str) -> bool {
    let krate = target.split("::").next().unwrap_or_default();
    krate == PACKAGE || CRATES.iter().any(|(_, known)| *known == krate)
}

fn filter(value: &str) -> Result<String, String> {
    let filter = tracing_subscriber::EnvFilter::try_new(value);
    filter.map(|_| with_crates(value)).map_err(|why| format!("must be a tracing filter: {why}"))
}

/// Expands a filter so that the package's name includes the crates of this repository, and `roar_functions::runtime`
/// the crate behind that module: nobody should need to know which crate a log line comes from.
fn with_crates(filter: &str) -> String {
    let directives = filter.split(',').flat_map(|directive| {
        let rest = directive.strip_prefix(PACKAGE);
        let crates = CRATES.iter().filter_map(move |(module, krate)| match rest? {
            rest if rest.is_empty() || rest.starts_with(['=', '[']) => Some(format!("{krate}{rest}")),
            rest => {
                let behind = rest.strip_prefix("::")?.strip_prefix(module)?;
                let is_module = behind.is_empty() || behind.starts_with(['=', '[', ':']);
                is_module.then(|| format!("{krate}{behind}"))
            }
        });
        std::iter::once(directive.to_owned()).chain(crates)
    });
    directives.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_of_the_package_reach_its_crates() {
        for (given, expected) in [
            ("info", "info"),
            ("info,hyper=warn", "info,hyper=warn"),
            (
                "roar_functions=debug",
                "roar_functions=debug,functions_runtime=debug,document_store=debug,auth_accounts=debug",
            ),
            ("roar_functions::runtime=debug", "roar_functions::runtime=debug,functions_runtime=debug"),
            (
                "info,roar_functions::store::embedded=off",
                "info,roar_functions::store::embedded=off,document_store::embedded=off",
            ),
            ("roar_functions::runtimes=off", "roar_functions::runtimes=off"),
            ("roar_functions::rights", "roar_functions::rights"),
        ] {
            assert_eq!(filter(given).as_deref(), Ok(expected));
        }
        assert!(filter("roar_functions=loud").is_err());
    }

    #[test]
    fn targets_of_libraries_are_not_ours() {
        let targets = ["roar_functions", "functions_runtime::observe", "document_store", "auth_accounts::check"];
        assert!(targets.iter().all(|target| is_own_target(target)));
        assert!(!is_own_target("functions_runtime_of_others") && !is_own_target("hyper::client"));
    }
}
