//! `triggers`: which functions watch which documents, and how to register them with Eventarc or the emulator.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::{Args, Subcommand};
use comfy_table::{Table, presets};
use serde_json::{Map, Value, json};

use super::queues::{as_terraform, create_or_update};
use super::{CliError, ListFormat, print, wiring};
use crate::config::{BackendConfig, StoreArgs};
use crate::functions;
use crate::runtime::{DatabaseName, Function, Trigger};

/// The time limit for the emulator's answer.
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
        /// table, json, gcloud or terraform.
        ///
        /// gcloud: the commands that create or change them in Eventarc. Those want LOCATION (of the databases), SERVICE
        /// and SERVICE_REGION (Cloud Run) and SERVICE_ACCOUNT (its name, which every database's project has) as shell
        /// variables. terraform: the same as resources and variables, in Terraform's JSON (a file triggers.tf.json).
        #[arg(long, value_enum, default_value = "table")]
        format: ListFormat,
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

/// One document trigger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentTrigger {
    /// The function's name.
    pub function: &'static str,
    /// What the function does, in a sentence.
    pub summary: &'static str,
    /// The label of the database in the table of functions.
    pub label: &'static str,
    /// The database.
    pub database: DatabaseName,
    /// The CloudEvents type.
    pub event: &'static str,
    /// The pattern of document paths.
    pub document: String,
}

pub(super) async fn run(args: TriggersArgs) -> Result<(), CliError> {
    match args.command {
        TriggersCommand::List { format, store } => {
            let rows = of_this_program(&store)?;
            print(&match format {
                ListFormat::Table => format!("{}\n", as_table(&rows)),
                ListFormat::Json => format!("{:#}\n", as_json(&rows)),
                ListFormat::Gcloud => format!("{}\n", gcloud(&rows)),
                ListFormat::Terraform => format!("{:#}\n", terraform(&rows)),
            })
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
            let rows = of_this_program(&store)?;
            register(&host, &rows).await.map_err(CliError::Other)?;
            println!("registered {} triggers with the Firestore emulator at {host}", rows.len());
            Ok(())
        }
    }
}

/// The document triggers in a table of functions. Fails with the name of a function whose database
/// has no name in `databases`.
pub fn document_triggers<S>(
    table: &[Function<S>],
    databases: &BTreeMap<String, DatabaseName>,
) -> Result<Vec<DocumentTrigger>, String> {
    let row = |function: &Function<S>| {
        let Trigger::Document { database: label, event, pattern, .. } = &function.trigger else { return None };
        let unknown = || format!("{} watches an unknown database {label:?}", function.name);
        Some(databases.get(*label).cloned().ok_or_else(unknown).map(|database| DocumentTrigger {
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

fn of_this_program(store: &StoreArgs) -> Result<Vec<DocumentTrigger>, CliError> {
    document_triggers(&functions::table(), &wiring::labels(&store.check()?)).map_err(CliError::Other)
}

fn as_table(rows: &[DocumentTrigger]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["Function", "Database", "Event", "Document", ""]);
    for row in rows {
        let event = row.event.rsplit('.').next().unwrap_or_default();
        table.add_row([row.function, row.label, event, &row.document, row.summary]);
    }
    table
}

fn as_json(rows: &[DocumentTrigger]) -> Value {
    let row = |row: &DocumentTrigger| {
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

/// The commands that create triggers in Eventarc.
pub fn gcloud(rows: &[DocumentTrigger]) -> String {
    rows.iter().map(as_gcloud).collect::<Vec<_>>().join("\n\n")
}

fn as_gcloud(row: &DocumentTrigger) -> String {
    let filter = if row.document.contains('{') { "event-filters-path-pattern" } else { "event-filters" };
    let name = row.function.to_ascii_lowercase();
    let place = format!("--project={} --location=\"$LOCATION\"", row.database.project);
    let command = [
        format!("gcloud eventarc triggers \"$verb\" {name}"),
        place.clone(),
        "--destination-run-service=\"$SERVICE\" --destination-run-region=\"$SERVICE_REGION\"".to_owned(),
        format!("--destination-run-path=/events/{}", row.function),
        format!("--event-filters=type={}", row.event),
        format!("--event-filters='database={}'", row.database.database),
        format!("--{filter}='document={}'", row.document),
        "--event-data-content-type=application/protobuf".to_owned(),
        // Eventarc requires a service account of the trigger's own project.
        format!("--service-account=\"$SERVICE_ACCOUNT\"@{}.iam.gserviceaccount.com", row.database.project),
    ]
    .join(" \\\n  ");
    create_or_update(&format!("gcloud eventarc triggers describe {name} {place}"), &command)
}

/// The triggers as resources in Terraform's JSON, for its provider `google`.
pub fn terraform(rows: &[DocumentTrigger]) -> Value {
    let resource = |row: &DocumentTrigger| {
        let name = row.function.to_ascii_lowercase();
        let mut document = json!({ "attribute": "document", "value": row.document });
        if row.document.contains('{') {
            document["operator"] = json!("match-path-pattern");
        }
        let trigger = json!({
            "name": name,
            "project": row.database.project,
            "location": "${var.location}",
            "event_data_content_type": "application/protobuf",
            "service_account": format!("${{var.service_account}}@{}.iam.gserviceaccount.com", row.database.project),
            "matching_criteria": [
                { "attribute": "type", "value": row.event },
                { "attribute": "database", "value": row.database.database },
                document,
            ],
            "destination": { "cloud_run_service": {
                "service": "${var.service}",
                "region": "${var.service_region}",
                "path": format!("/events/{}", row.function),
            } },
        });
        (name, trigger)
    };
    let resources: Map<String, Value> = rows.iter().map(resource).collect();
    as_terraform("google_eventarc_trigger", resources, &["location", "service", "service_region", "service_account"])
}

/// Registers triggers with the Firestore emulator at `host`, under their functions' names.
/// Registering again replaces the triggers. Fails at the first trigger that the emulator refuses.
pub async fn register(host: &str, triggers: &[DocumentTrigger]) -> Result<(), String> {
    let http = wiring::http_client(LIMIT).map_err(|error| error.to_string())?;
    for trigger in triggers {
        let failed = |why: String| format!("can't register {} with {host}: {why}", trigger.function);
        let url = format!("http://{host}/emulator/v1/projects/{}/eventarcTrigger", trigger.database.project);
        let url = reqwest::Url::parse_with_params(&url, [("eventarcTriggerId", trigger.function)])
            .map_err(|error| failed(error.to_string()))?;
        let kind = if trigger.document.contains('{') { "PATH_PATTERN" } else { "EXACT" };
        let body = json!({
            "eventType": trigger.event,
            "database": trigger.database.database,
            "namespace": "(default)",
            "document": {"value": trigger.document, "matchType": kind},
        });
        // With any other content type the emulator answers 404.
        let response = http.post(url).json(&body).send().await.map_err(|error| failed(error.to_string()))?;
        if !response.status().is_success() {
            return Err(failed(format!("it answered {}", response.status())));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::DocumentEventType;

    fn triggers() -> Vec<DocumentTrigger> {
        let on = |database, event, pattern, name| {
            Function::on_document(database, event, pattern, name, "does something", |(), _| async { Ok(()) })
        };
        let table = [
            on("admin", DocumentEventType::Written, "users/{id}", "onUser"),
            Function::callable("call", "no trigger", |(), _| async { Ok(Value::Null) }),
            on("assessment", DocumentEventType::Deleted, "settings/all", "onSettings"),
        ];
        let name = |project: &str| DatabaseName { project: project.to_owned(), database: "(default)".to_owned() };
        let databases =
            BTreeMap::from([("admin".to_owned(), name("p-admin")), ("assessment".to_owned(), name("p-assessment"))]);
        document_triggers(&table, &databases).unwrap()
    }

    #[test]
    fn every_format_tells_each_trigger() {
        let triggers = triggers();
        insta::assert_snapshot!(as_gcloud(&triggers[0]), @r#"
        verb=create
        gcloud eventarc triggers describe onuser --project=p-admin --location="$LOCATION" >/dev/null 2>&1 && verb=update
        gcloud eventarc triggers "$verb" onuser \
          --project=p-admin --location="$LOCATION" \
          --destination-run-service="$SERVICE" --destination-run-region="$SERVICE_REGION" \
          --destination-run-path=/events/onUser \
          --event-filters=type=google.cloud.firestore.document.v1.written \
          --event-filters='database=(default)' \
          --event-filters-path-pattern='document=users/{id}' \
          --event-data-content-type=application/protobuf \
          --service-account="$SERVICE_ACCOUNT"@p-admin.iam.gserviceaccount.com
        "#);
        assert!(as_gcloud(&triggers[1]).contains("--event-filters='document=settings/all'"));
        let terraform = &terraform(&triggers)["resource"]["google_eventarc_trigger"]["onuser"];
        assert_eq!(terraform["service_account"], "${var.service_account}@p-admin.iam.gserviceaccount.com");
        assert_eq!(terraform["matching_criteria"][2]["operator"], "match-path-pattern");
        assert_eq!(terraform["destination"]["cloud_run_service"]["path"], "/events/onUser");
        let json = as_json(&triggers);
        assert_eq!(json[1]["project"], "p-assessment");
        assert_eq!(json[1]["eventType"], "google.cloud.firestore.document.v1.deleted");
        let table = as_table(&triggers).to_string();
        assert!(table.contains("onUser") && table.contains("settings/all") && !table.contains("no trigger"), "{table}");
    }

    #[test]
    fn a_database_that_nobody_named_is_told() {
        let on =
            Function::on_document("other", DocumentEventType::Written, "a/{b}", "onA", "", |(), _| async { Ok(()) });
        let error = document_triggers(&[on], &BTreeMap::new()).unwrap_err();
        assert_eq!(error, "onA watches an unknown database \"other\"");
    }
}
