//! `queues`: the queues of tasks, and how to create them in Cloud Tasks or its emulator.

use std::time::Duration;

use clap::{Args, Subcommand};
use comfy_table::{Table, presets};
use serde_json::{Map, Value, json};

use super::{CliError, ListFormat, print, wiring};
use crate::config::TaskArgs;
use crate::functions;
use crate::runtime::{Function, Trigger};

/// The time limit for the emulator's answer.
const LIMIT: Duration = Duration::from_secs(10);
/// The limit of tasks of a queue that run at once, over all instances.
const AT_ONCE: u32 = 20;
/// The retry policy of queues: attempts, total time, shortest and longest backoff, doublings. Retries end after a
/// while, because otherwise the notifications of a failing task would accumulate; then the sweep of the store takes
/// over.
const RETRY: (u32, &str, &str, &str, u32) = (10, "600s", "1s", "60s", 6);
/// A number of attempts that stands for "unlimited", for which the emulator has no value.
const MANY: u32 = 1000;

/// Lists queues of tasks, or makes them in the Cloud Tasks emulator.
#[derive(Debug, Args)]
pub struct QueuesArgs {
    #[command(subcommand)]
    command: QueuesCommand,
}

#[derive(Debug, Subcommand)]
enum QueuesCommand {
    /// Print all queues.
    List {
        /// table, json, gcloud (the commands that create or change them in Cloud Tasks, which want PROJECT and REGION as
        /// shell variables) or terraform (the same as resources, in Terraform's JSON).
        #[arg(long, value_enum, default_value = "table")]
        format: ListFormat,
    },
    /// Make all queues in the emulator at CLOUD_TASKS_EMULATOR_HOST. Made again, they are emptied.
    Install {
        #[command(flatten)]
        tasks: Box<TaskArgs>,
    },
}

/// One queue.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Queue {
    name: &'static str,
    summary: &'static str,
}

pub(super) async fn run(args: QueuesArgs) -> Result<(), CliError> {
    let queues = queues(&functions::table());
    match args.command {
        QueuesCommand::List { format: ListFormat::Table } => {
            let mut table = Table::new();
            table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_header(["Queue", ""]);
            for queue in &queues {
                table.add_row([queue.name, queue.summary]);
            }
            print(&format!("{table}\n"))?;
        }
        QueuesCommand::List { format: ListFormat::Json } => {
            let rows = queues.iter().map(|queue| json!({ "queue": queue.name, "summary": queue.summary }));
            print(&format!("{:#}\n", rows.collect::<Value>()))?;
        }
        QueuesCommand::List { format: ListFormat::Gcloud } => {
            print(&format!("{}\n", gcloud()))?;
        }
        QueuesCommand::List { format: ListFormat::Terraform } => {
            print(&format!("{:#}\n", terraform()))?;
        }
        QueuesCommand::Install { tasks } => install(&queues, &tasks).await.map_err(CliError::Other)?,
    }
    Ok(())
}

/// The commands that make all queues in Cloud Tasks.
pub fn gcloud() -> String {
    queues(&functions::table()).iter().map(as_gcloud).collect::<Vec<_>>().join("\n\n")
}

/// The queues as Terraform has them, for its provider `google`.
pub fn terraform() -> Value {
    let (attempts, time, least, most, doublings) = RETRY;
    let resource = |queue: &Queue| {
        let queue = json!({
            "name": queue.name,
            "project": "${var.project}",
            "location": "${var.region}",
            "rate_limits": { "max_concurrent_dispatches": AT_ONCE },
            "retry_config": {
                "max_attempts": attempts, "max_retry_duration": time, "min_backoff": least, "max_backoff": most,
                "max_doublings": doublings,
            },
        });
        (queue["name"].as_str().unwrap_or_default().to_owned(), queue)
    };
    let resources = queues(&functions::table()).iter().map(resource).collect();
    as_terraform("google_cloud_tasks_queue", resources, &["project", "region"])
}

/// Resources of one kind, and the variables that they want.
pub(super) fn as_terraform(kind: &str, resources: Map<String, Value>, variables: &[&str]) -> Value {
    let variables: Map<String, Value> =
        variables.iter().map(|name| ((*name).to_owned(), json!({ "type": "string" }))).collect();
    json!({ "variable": variables, "resource": { kind: resources } })
}

fn queues<S>(table: &[Function<S>]) -> Vec<Queue> {
    let tasks = table.iter().filter(|function| matches!(function.trigger, Trigger::Task(_)));
    tasks.map(|function| Queue { name: function.name, summary: function.summary }).collect()
}

fn as_gcloud(queue: &Queue) -> String {
    let (attempts, time, least, most, doublings) = RETRY;
    let place = "--project=\"$PROJECT\" --location=\"$REGION\"";
    let command = [
        format!("gcloud tasks queues \"$verb\" {}", queue.name),
        place.to_owned(),
        format!("--max-concurrent-dispatches={AT_ONCE}"),
        format!(
            "--max-attempts={attempts} --max-retry-duration={time} --min-backoff={least} --max-backoff={most} \
             --max-doublings={doublings}"
        ),
    ]
    .join(" \\\n  ");
    create_or_update(&format!("gcloud tasks queues describe {} {place}", queue.name), &command)
}

/// A shell command with `$verb` for `create` or `update`, so that running it again changes what exists already.
pub(super) fn create_or_update(describe: &str, command: &str) -> String {
    format!("verb=create\n{describe} >/dev/null 2>&1 && verb=update\n{command}")
}

async fn install(queues: &[Queue], tasks: &TaskArgs) -> Result<(), String> {
    let needed = |value: &Option<String>, name: &str| value.clone().ok_or_else(|| format!("{name} must be set"));
    let host = needed(&tasks.cloud_tasks_emulator, "CLOUD_TASKS_EMULATOR_HOST")?;
    let parent = needed(&tasks.tasks_location, "ROAR_TASKS_LOCATION")?;
    let target = needed(&tasks.tasks_target, "ROAR_TASKS_TARGET")?;
    let http = wiring::http_client(LIMIT).map_err(|error| error.to_string())?;
    for queue in queues {
        let url = format!("http://{host}/{parent}/queues/{}", queue.name);
        let body = json!({
            "retryConfig": { "maxAttempts": MANY, "minBackoffSeconds": 0.5, "maxBackoffSeconds": 5 },
            "rateLimits": { "maxConcurrentDispatches": AT_ONCE, "maxDispatchesPerSecond": 500 },
            "timeoutSeconds": 600, "retry": true, "defaultUri": target,
        });
        let answer = http.post(url).json(&body).send().await.map_err(|error| error.to_string())?;
        if !answer.status().is_success() {
            return Err(format!("can't make {} in {host}: it answered {}", queue.name, answer.status()));
        }
    }
    println!("made {} queues in the Cloud Tasks emulator at {host}", queues.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_function_has_a_queue() {
        let queues = queues(&functions::table());
        assert!(queues.iter().any(|queue| queue.name == "planAdministrationSync"));
        // The rules of Cloud Tasks for names of queues.
        let is_good = |name: &str| name.len() <= 100 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        assert!(queues.iter().all(|queue| is_good(queue.name)));
        let terraform = terraform();
        let made = terraform["resource"]["google_cloud_tasks_queue"].as_object().expect("queues");
        assert!(queues.iter().all(|queue| made[queue.name]["retry_config"]["max_attempts"] == 10));
        assert_eq!(made.len(), queues.len());
        insta::assert_snapshot!(as_gcloud(&queues[0]), @r#"
        verb=create
        gcloud tasks queues describe followUsersAfterSync --project="$PROJECT" --location="$REGION" >/dev/null 2>&1 && verb=update
        gcloud tasks queues "$verb" followUsersAfterSync \
          --project="$PROJECT" --location="$REGION" \
          --max-concurrent-dispatches=20 \
          --max-attempts=10 --max-retry-duration=600s --min-backoff=1s --max-backoff=60s --max-doublings=6
        "#);
    }
}
