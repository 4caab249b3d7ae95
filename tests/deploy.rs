//! The files of `deploy/` agree with the table of functions, and their commands are Google's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use roar_functions::cli::{queues, triggers};
use roar_functions::functions;
use roar_functions::runtime::DatabaseName;

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

/// Google's own command line knows every command and flag. (It's there where its Firestore emulator is.)
#[test]
fn google_knows_the_commands() {
    let home = tempfile::tempdir().expect("a directory");
    let one_of_a_kind = |commands: &str| commands.split("\n\n").next().unwrap_or_default().to_owned();
    let mut commands = vec![one_of_a_kind(&queues::gcloud()), one_of_a_kind(&of_triggers())];
    for name in ["accounts.sh", "README.md"] {
        let joined = read(name).replace("\\\n", " ");
        let lines = joined.lines().map(str::trim).filter(|line| line.starts_with("gcloud "));
        commands.extend(lines.map(|line| line.split(['>', '|']).next().unwrap_or_default().trim().to_owned()));
    }
    assert!(commands.len() > 6, "{commands:?}");
    for command in commands {
        let command = said_plainly(&command.replace("\\\n", " "));
        let lint = Command::new("gcloud")
            .env("CLOUDSDK_CONFIG", home.path())
            .args(["meta", "lint-gcloud-commands", "--command-string", &command])
            .output()
            .expect("the Google Cloud CLI");
        let said = String::from_utf8_lossy(&lint.stdout).into_owned();
        assert!(lint.status.success(), "{command}: {}", String::from_utf8_lossy(&lint.stderr));
        assert!(said.contains("\"success\": true"), "{command}: {said}");
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
