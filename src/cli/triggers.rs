//! `triggers`: what watches which documents.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use comfy_table::{Table, presets};
use serde_json::{Value, json};

use super::{CliError, wiring};
use crate::config::{BackendConfig, StoreArgs};
use crate::functions;
use crate::runtime::{DatabaseName, Function, Trigger};

/// How long the emulator may take to answer.
const LIMIT: Duration = Duration::from_secs(10);

/// Lists document triggers, or registers them with the Firestore emulator.
#[derive(Debug, Args)]
pub struct TriggersArgs {
    #[command(subcommand)]
    command: TriggersCommand,
}

#[derive(Debug, Subcommand)]
enum TriggersCommand {
    /// Print all document triggers.
    List {
        /// table, json, or gcloud: the commands that create them in Eventarc. Those want LOCATION
        /// (of the databases), SERVICE and SERVICE_REGION (Cloud Run) and SERVICE_ACCOUNT as shell
        /// variables.
        #[arg(long, value_enum, default_value = "table")]
        format: Format,
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Register all document triggers with the Firestore emulator at FIRESTORE_EMULATOR_HOST.
    ///
    /// The emulator must have been started with --functions_emulator=HOST:PORT, the address of
    /// `serve`. Registering again changes nothing.
    Install {
        #[command(flatten)]
        store: StoreArgs,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Table,
    Json,
    Gcloud,
}

/// One document trigger.
struct Row {
    function: &'static str,
    summary: &'static str,
    label: &'static str,
    database: DatabaseName,
    event: &'static str,
    document: String,
}

pub async fn run(args: TriggersArgs) -> Result<(), CliError> {
    match args.command {
        TriggersCommand::List { format, store } => {
            let rows = rows(&functions::table(), &store)?;
            match format {
                Format::Table => println!("{}", as_table(&rows)),
                Format::Json => println!("{:#}", as_json(&rows)),
                Format::Gcloud => println!("{}", rows.iter().map(as_gcloud).collect::<Vec<_>>().join("\n\n")),
            }
            Ok(())
        }
        TriggersCommand::Install { store } => {
            let BackendConfig::Emulator(host) = store.check()?.backend else {
                return Err(CliError::Other(
                    "triggers are installed in the Firestore emulator: set FIRESTORE_EMULATOR_HOST and \
                     ROAR_STORE=firestore (for Eventarc see `triggers list --format gcloud`; the embedded store \
                     needs none)"
                        .to_owned(),
                ));
            };
            install(&host, &rows(&functions::table(), &store)?).await
        }
    }
}

fn rows<S>(table: &[Function<S>], store: &StoreArgs) -> Result<Vec<Row>, CliError> {
    let databases = wiring::labels(&store.check()?);
    let row = |function: &Function<S>| {
        let Trigger::Document { database: label, event, pattern, .. } = &function.trigger else { return None };
        let unknown = || CliError::Other(format!("{} watches an unknown database {label:?}", function.name));
        Some(databases.get(*label).cloned().ok_or_else(unknown).map(|database| Row {
            function: function.name,
            summary: function.summary,
            label,
            database,
            event: event.cloud_event_type(),
            document: pattern.as_str().to_owned(),
        }))
    };
    table.iter().filter_map(row).collect()
}

fn as_table(rows: &[Row]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["Function", "Database", "Event", "Document", ""]);
    for row in rows {
        let event = row.event.rsplit('.').next().unwrap_or_default();
        table.add_row([row.function, row.label, event, &row.document, row.summary]);
    }
    table
}

fn as_json(rows: &[Row]) -> Value {
    let row = |row: &Row| {
        json!({
            "function": row.function,
            "summary": row.summary,
            "project": row.database.project,
            "database": row.database.database,
            "eventType": row.event,
            "document": row.document,
            "path": format!("/events/{}", row.function),
        })
    };
    rows.iter().map(row).collect()
}

fn as_gcloud(row: &Row) -> String {
    let filter = if row.document.contains('{') { "event-filters-path-pattern" } else { "event-filters" };
    [
        format!("gcloud eventarc triggers create {}", row.function.to_ascii_lowercase()),
        format!("--project={} --location=\"$LOCATION\"", row.database.project),
        "--destination-run-service=\"$SERVICE\" --destination-run-region=\"$SERVICE_REGION\"".to_owned(),
        format!("--destination-run-path=/events/{}", row.function),
        format!("--event-filters=type={}", row.event),
        format!("--event-filters='database={}'", row.database.database),
        format!("--{filter}='document={}'", row.document),
        "--event-data-content-type=application/protobuf".to_owned(),
        "--service-account=\"$SERVICE_ACCOUNT\"".to_owned(),
    ]
    .join(" \\\n  ")
}

async fn install(host: &str, rows: &[Row]) -> Result<(), CliError> {
    let http = wiring::http_client(LIMIT)?;
    for row in rows {
        let failed = |why: String| CliError::Other(format!("can't register {} with {host}: {why}", row.function));
        let url = format!("http://{host}/emulator/v1/projects/{}/eventarcTrigger", row.database.project);
        let url = reqwest::Url::parse_with_params(&url, [("eventarcTriggerId", row.function)])
            .map_err(|error| failed(error.to_string()))?;
        let kind = if row.document.contains('{') { "PATH_PATTERN" } else { "EXACT" };
        let body = json!({
            "eventType": row.event,
            "database": row.database.database,
            "namespace": "(default)",
            "document": {"value": row.document, "matchType": kind},
        });
        // With any other content type the emulator answers 404.
        let response = http.post(url).json(&body).send().await.map_err(|error| failed(error.to_string()))?;
        if !response.status().is_success() {
            return Err(failed(format!("it answered {}", response.status())));
        }
    }
    println!("registered {} triggers with the Firestore emulator at {host}", rows.len());
    Ok(())
}
