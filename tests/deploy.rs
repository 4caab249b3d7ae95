//! The files of `deploy/` agree with the table of functions, and their commands are Google's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use roar_functions::cli::{queues, triggers};
use roar_functions::functions;
use roar_functions::runtime::{DatabaseName, Trigger};
use serde_json::{Value as Json, json};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(file(name)).unwrap_or_default()
}

/// A script of generated commands. `UPDATE_DEPLOY=1` writes it.
fn check(name: &str, needs: &str, commands: &str) {
    let head = "#!/usr/bin/env bash\n# Made from src/functions.rs: UPDATE_DEPLOY=1 cargo test --test deploy\nset -euo pipefail\n";
    let script = format!("{head}: {needs}\n\n{commands}\n");
    if std::env::var_os("UPDATE_DEPLOY").is_some() {
        std::fs::write(file(name), &script).expect("written");
    }
    assert_eq!(read(name), script, "deploy/{name} is out of date: UPDATE_DEPLOY=1 cargo test --test deploy");
}

fn of_triggers() -> String {
    let database = |project: &str| DatabaseName { project: project.to_owned(), database: "(default)".to_owned() };
    let databases = BTreeMap::from([
        ("admin".to_owned(), database("\"$ADMIN_PROJECT\"")),
        ("assessment".to_owned(), database("\"$ASSESSMENT_PROJECT\"")),
    ]);
    triggers::gcloud(&triggers::document_triggers(&functions::table(), &databases).expect("both are named"))
}

#[test]
fn scripts_agree_with_the_table_of_functions() {
    check("queues.sh", r#""${PROJECT:?}" "${REGION:?}""#, &queues::gcloud());
    let needs = r#""${ADMIN_PROJECT:?}" "${ASSESSMENT_PROJECT:?}" "${LOCATION:?}" "${SERVICE:?}" "${SERVICE_REGION:?}" "${SERVICE_ACCOUNT:?}""#;
    check("triggers.sh", needs, &of_triggers());
}

/// Firebase Hosting sends each callable to the service, in any case of its name, as clients spell it.
#[test]
fn hosting_sends_every_callable_to_the_service() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("firebase.json");
    let mut config: Json = serde_json::from_str(&std::fs::read_to_string(&path).expect("firebase.json")).expect("JSON");
    let table = functions::table();
    let callables = table.iter().filter(|function| matches!(function.trigger, Trigger::Callable(_)));
    let rewrites: Vec<_> = callables
        .map(|function| {
            let names: Vec<_> = [function.name].iter().chain(function.aliases).copied().collect();
            let run = json!({ "serviceId": "roar-functions", "region": "us-central1" });
            json!({ "regex": format!("(?i)^/({})/?$", names.join("|")), "run": run })
        })
        .collect();
    if std::env::var_os("UPDATE_DEPLOY").is_some() {
        config["hosting"] = json!({ "public": "deploy/hosting", "rewrites": rewrites });
        std::fs::write(&path, format!("{config:#}\n")).expect("written");
    }
    assert_eq!(config["hosting"]["rewrites"], json!(rewrites), "UPDATE_DEPLOY=1 cargo test --test deploy");
    // Where the tests of clients are installed, Firebase's own schema is.
    let schema = "tests/clients/node_modules/firebase-tools/schema/firebase-config.json";
    let schema = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(schema)).expect("firebase-tools");
    // This isn't what a reference may be.
    let schema = schema.replace("Record<string,string>", "RecordOfStrings");
    let schema: Json = serde_json::from_str(&schema).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let other = std::fs::read_to_string(path.with_file_name("firebase.assessment.json")).expect("its config");
    for config in [config, serde_json::from_str(&other).expect("JSON")] {
        let errors: Vec<_> = validator.iter_errors(&config).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}");
    }
}

/// With some word for each of the shell's variables.
fn said_plainly(command: &str) -> String {
    let mut parts = command.split('$');
    let mut said = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
        said.push_str("some-word");
        said.push_str(rest);
    }
    said
}

/// The command of Google's in a line: all of it, the condition of an `if`, or what goes into a variable.
fn command_in(line: &str) -> Option<&str> {
    let line = line.trim();
    let at = line.find("gcloud ")?;
    let (before, command) = line.split_at(at);
    match before {
        "" | "if " => Some(command),
        before if before.ends_with("$(") => Some(&command[..command.rfind(')')?]),
        _ => None,
    }
}

/// The commands in a text, each once with both of its verbs where it has two.
fn commands_of(text: &str) -> Vec<String> {
    let joined = text.replace("\\\n", " ");
    let lines = joined.lines().filter_map(command_in);
    let plain = lines.map(|line| line.split(['>', '|']).next().unwrap_or_default().trim().to_owned());
    let mut commands: Vec<_> =
        plain.flat_map(|command| ["create", "update"].map(|verb| command.replace("\"$verb\"", verb))).collect();
    commands.sort();
    commands.dedup();
    commands
}

/// Google's own command line knows every command and flag. (It's there where its Firestore emulator is.)
#[test]
fn google_knows_the_commands() {
    let home = tempfile::tempdir().expect("a directory");
    let one_of_a_kind = |commands: &str| commands.split("\n\n").next().unwrap_or_default().to_owned();
    let mut commands = commands_of(&one_of_a_kind(&queues::gcloud()));
    commands.extend(commands_of(&one_of_a_kind(&of_triggers())));
    for name in ["accounts.sh", "attestor.sh", "audit.sh", "github.sh", "rollout", "rules", "sign", "README.md"] {
        let found = commands_of(&read(name));
        assert!(!found.is_empty(), "{name}");
        commands.extend(found);
    }
    assert!(commands.len() > 20, "{commands:?}");
    let commands: Vec<_> = commands.iter().map(|command| json!({ "command_string": said_plainly(command) })).collect();
    // All at once, for Google's command line takes seconds to begin.
    let list = home.path().join("commands.json");
    std::fs::write(&list, json!(commands).to_string()).expect("written");
    let lint = Command::new("gcloud")
        .env("CLOUDSDK_CONFIG", home.path())
        .args(["meta", "lint-gcloud-commands", "--commands-file"])
        .arg(&list)
        .output()
        .expect("the Google Cloud CLI");
    assert!(lint.status.success(), "{}", String::from_utf8_lossy(&lint.stderr));
    let said: Vec<Json> = serde_json::from_slice(&lint.stdout).expect("a verdict on each");
    let wrong: Vec<_> = said.iter().filter(|verdict| verdict["success"] != json!(true)).collect();
    let wrong: Vec<_> = wrong.iter().map(|verdict| [&verdict["command_string"], &verdict["error_message"]]).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let unique: std::collections::BTreeSet<_> = commands.iter().map(Json::to_string).collect();
    assert_eq!(said.len(), unique.len());
}

/// Alerts and the dashboard look at metrics that there are, and alerts lead to runbooks that there are.
#[test]
fn alerts_and_the_dashboard_look_at_what_there_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = |path: &str| std::fs::read_to_string(root.join(path)).expect("a source");
    let observe = "crates/functions-runtime/src/observe";
    let files = [format!("{observe}/mod.rs"), format!("{observe}/samples.rs"), "src/service.rs".to_owned()];
    let known = files.map(|file| source(&file)).concat();
    let (alerts, dashboard) = (read("alerts.yml"), read("grafana.json"));
    let words = |text: &str| {
        let split = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).map(str::to_owned);
        let begins = ["function_", "calls_", "events_", "tasks_", "task_", "http_", "roster_", "process_"];
        split
            .filter(|word| begins.iter().any(|begin| word.starts_with(begin)))
            .collect::<std::collections::BTreeSet<_>>()
    };
    for (file, text) in [("alerts.yml", &alerts), ("grafana.json", &dashboard)] {
        let used = words(text);
        assert!(used.len() > 10, "{file}: {used:?}");
        for name in used {
            let metric =
                ["_bucket", "_sum", "_count"].iter().fold(name.as_str(), |name, end| name.trim_end_matches(end));
            assert!(known.contains(&format!("\"{metric}\"")), "{file}: {name}");
        }
    }
    let operations = source("docs/operations.md");
    let anchors: Vec<&str> = alerts
        .split("operations.md#")
        .skip(1)
        .filter_map(|rest| rest.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).next())
        .collect();
    assert!(anchors.len() > 10, "{anchors:?}");
    for anchor in anchors {
        assert!(operations.contains(&format!("### {anchor}\n")), "{anchor}");
    }
}

/// What the service's file sets, the program knows.
#[test]
fn the_service_sets_variables_that_there_are() {
    let help = Command::new(env!("CARGO_BIN_EXE_roar-functions")).args(["serve", "--help"]).output().expect("help");
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    let service = read("service.yaml");
    let names: Vec<&str> = service.lines().filter_map(|line| line.trim().strip_prefix("- name: ")).collect();
    assert!(names.len() > 8, "{names:?}");
    for name in names.into_iter().filter(|name| name.starts_with("ROAR_")) {
        assert!(help.contains(&format!("[env: {name}")), "{name}");
    }
}
