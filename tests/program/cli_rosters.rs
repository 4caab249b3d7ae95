//! `sync clever` and `fake-clever` as a scheduler, or a newcomer, runs them, on an embedded store.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};

use super::cli::{Running, program, run};

/// A made-up Clever of that size, with the variables that it says one needs.
pub fn clever(size: &[&str]) -> (Running, Vec<(String, String)>) {
    let args = [&["fake-clever", "--listen", "127.0.0.1:0"], size].concat();
    let mut running = Running(program(&args, &[]).stdout(Stdio::piped()).spawn().unwrap());
    let said = BufReader::new(running.0.stdout.take().unwrap()).lines().map_while(Result::ok);
    let exports = said.filter_map(|line| line.trim().strip_prefix("export ").map(str::to_owned)).take(2);
    let variables: Vec<_> = exports
        .flat_map(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .filter_map(|one| one.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())))
        .collect();
    (running, variables)
}

#[tokio::test]
async fn a_district_is_synced_looked_at_and_synced_again() {
    let (_clever, variables) = clever(&["--students", "60"]);
    assert_eq!(variables.len(), 4, "{variables:?}");
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().to_str().unwrap().to_owned();
    let mut all: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    all.push(("ROAR_DATA_DIR", &data));
    let sync = |args: &[&str]| {
        let args = [&["sync", "clever", "--deep", "--format", "json"], args].concat();
        let (code, stdout, stderr) = run(&args, &all);
        assert!(!stderr.contains("INFO"), "a sync tells its own story: {stderr}");
        (code, serde_json::from_str::<Value>(&stdout).unwrap_or_else(|_| panic!("{stdout}{stderr}")))
    };
    let (code, would) = sync(&["--dry-run"]);
    let people = would["counts"]["users"]["created"].as_u64().unwrap();
    assert!(code == 0 && people > 60 && would["runId"].is_null());
    let (code, done) = sync(&[]);
    assert_eq!((code, done["counts"]["users"]["created"].as_u64()), (0, Some(people)));
    let (_, listed, _) = run(&["doc", "list", "users"], &all);
    assert_eq!(listed.lines().count() as u64, people);
    // What follows is done when the command has ended: the orgs are in the assessment database, too.
    let (_, mirrored, _) = run(&["doc", "list", "schools", "--database", "assessment"], &all);
    assert_eq!(mirrored.lines().count(), 1);
    let (code, again) = sync(&[]);
    assert_eq!((code, again["counts"]["users"]["unchanged"].as_u64()), (0, Some(people)));
    // A third of the students is missing: it stops, and says so; then it's confirmed.
    let url = format!("{}/_control", variables.iter().find(|(name, _)| name == "ROAR_CLEVER_API_URL").unwrap().1);
    let http = crate::support::world::http();
    for n in 0..20 {
        let remove = json!({"action": "remove", "id": format!("65a1b2c3030000{n:010x}")});
        assert_eq!(http.post(&url).json(&remove).send().await.unwrap().status(), 200);
    }
    let (code, held) = sync(&[]);
    let kind = &held["districts"][0]["heldBack"];
    assert_eq!((code, kind["missing"].as_u64()), (1, Some(20)), "{held}");
    let (code, confirmed) = sync(&["--confirm-unenroll"]);
    assert_eq!((code, confirmed["counts"]["users"]["removed"].as_u64()), (0, Some(20)));
    // For people.
    let (code, table, _) = run(&["sync", "clever"], &all);
    assert!(code == 0 && table.contains("schools") && table.contains("1 districts"), "{table}");
    let unknown = json!({"action": "remove", "id": "nobody"});
    assert_eq!(http.post(&url).json(&unknown).send().await.unwrap().status(), 404);
    assert_eq!(http.post(&url).json(&json!({"action": "dance"})).send().await.unwrap().status(), 400);
}

#[test]
fn what_cannot_be_synced_is_said() {
    let (code, _, stderr) = run(&["sync", "clever"], &[]);
    assert!(code == 1 && stderr.contains("ROAR_CLEVER_CLIENT_ID"), "{stderr}");
    let (code, _, stderr) = run(&["fake-clever", "--listen", "0.0.0.0:0"], &[]);
    assert!(code == 1 && stderr.contains("loopback"), "{stderr}");
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().to_str().unwrap();
    // Nobody listens there.
    let variables = [
        ("ROAR_DATA_DIR", data),
        ("ROAR_CLEVER_API_URL", "http://127.0.0.1:9"),
        ("ROAR_CLEVER_OAUTH_URL", "http://127.0.0.1:9"),
        ("ROAR_CLEVER_CLIENT_ID", "app"),
        ("ROAR_CLEVER_CLIENT_SECRET", "open-sesame"),
        ("ROAR_CLEVER_ATTEMPTS", "1"),
    ];
    let (code, _, stderr) = run(&["sync", "clever"], &variables);
    assert!(code == 1 && stderr.contains("Clever can't be reached") && !stderr.contains("sesame"), "{stderr}");
}

#[tokio::test]
async fn a_container_asks_whether_its_server_is_ready() {
    let port = firebase_emulators::free_port().to_string();
    let (code, _, stderr) = run(&["healthcheck"], &[("PORT", &port)]);
    assert!(code == 1 && stderr.contains("no answer"), "{stderr}");
    let directory = tempfile::tempdir().unwrap();
    let listen = format!("127.0.0.1:{port}");
    let variables = [("ROAR_DATA_DIR", directory.path().to_str().unwrap()), ("ROAR_LISTEN", &listen)];
    let mut serving = Running(program(&["serve"], &variables).stderr(Stdio::piped()).spawn().unwrap());
    let lines = BufReader::new(serving.0.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.into_iter().any(|line| line.contains("listening")));
    assert_eq!(run(&["healthcheck"], &[("PORT", &port)]).0, 0);
}

/// A sync that's told to stop ends its run, so that the next one need not wait.
#[test]
fn a_sync_can_be_stopped() {
    let (_clever, variables) = clever(&["--students", "20000"]);
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().to_str().unwrap().to_owned();
    let mut all: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    all.push(("ROAR_DATA_DIR", &data));
    let args = ["sync", "clever", "--deep"];
    let running = program(&args, &all).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let (code, took, said) = super::cli::stopped_after(Running(running), None, "-INT");
    assert!(code == Some(130) && took < std::time::Duration::from_secs(2), "{code:?} {took:?} {said}");
    assert!(said.contains("The next sync does the rest"), "{said}");
    let (code, stdout, _) = run(&["doc", "list", "rosteringRuns"], &[("ROAR_DATA_DIR", &data)]);
    let states: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((code, states.len()), (0, 1));
    assert_eq!(states[0]["fields"]["state"], "failed", "its run is over");
}
