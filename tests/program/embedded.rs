//! The program on an embedded store: whose tokens count, who is answered, and who can read its files.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::cli::{Running, program, run};
use crate::support::world::http;

/// The program itself, on an embedded store: its own tokens count, the emulator's don't, and it's alone with its events.
#[tokio::test]
async fn an_embedded_store_is_served_to_who_can_read_its_directory() {
    use std::os::unix::fs::PermissionsExt as _;

    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let variables = [
        ("ROAR_DATA_DIR", data.to_str().unwrap()),
        ("ROAR_LISTEN", "127.0.0.1:0"),
        ("ROAR_LOG_FORMAT", "json"),
        ("ROAR_DEVELOPMENT_ORIGINS", "https://dev.school.example"),
    ];
    // Either may come first.
    let (code, early, _) = run(&["token", "--uid", "u1"], &variables);
    assert_eq!(code, 0);
    let mut running = Running(program(&["serve"], &variables).stderr(Stdio::piped()).spawn().unwrap());
    let lines = BufReader::new(running.0.stderr.take().unwrap()).lines();
    let url = lines.map_while(Result::ok).find_map(|line| {
        let entry: Value = serde_json::from_str(&line).unwrap();
        entry["message"].as_str()?.strip_prefix("listening on ").map(str::to_owned)
    });
    let url = url.unwrap();
    let (_, late, _) = run(&["token", "--uid", "u1"], &variables);
    let other = directory.path().join("other");
    let (_, others, _) = run(&["token", "--uid", "u1"], &[("ROAR_DATA_DIR", other.to_str().unwrap())]);
    let unsigned = {
        let now = jiff::Timestamp::from_second(early_seconds(&early)).unwrap();
        roar_functions::runtime::auth::unsigned_token("demo-roar-admin", "u1", None, Default::default(), now).unwrap()
    };
    let http = http();
    let call = async |token: &str, headers: &[(&str, &str)]| {
        let request = http.post(format!("{url}/getAssignmentStats")).bearer_auth(token.trim());
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let answer = request.json(&json!({"data": {"administrationIds": ["a"]}})).send().await.unwrap();
        answer.status().as_u16()
    };
    for token in [&early, &late] {
        assert_eq!(call(token, &[]).await, 200);
    }
    for token in [&others, &unsigned] {
        assert_eq!(call(token, &[]).await, 401);
    }
    assert_eq!(call(&late, &[("origin", "https://dev.school.example")]).await, 200);
    assert_eq!(call(&late, &[("origin", "https://evil.example")]).await, 403);
    assert_eq!(call(&late, &[("x-forwarded-for", "203.0.113.1")]).await, 403);
    for path in [
        "/events/syncOnRunDocUpdate",
        "/functions/projects/x/triggers/syncOnRunDocUpdate",
        "/tasks/planAdministrationSync",
    ] {
        let answer = http.post(format!("{url}{path}")).json(&json!({"data": {"id": "a"}})).send().await.unwrap();
        assert_eq!(answer.status(), 403, "{path}");
    }
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    let files: Vec<_> = std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 9, "{files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{file:?}");
    }
}

/// When a token was made.
fn early_seconds(token: &str) -> i64 {
    use base64::Engine as _;
    let claims = token.split('.').nth(1).unwrap();
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap();
    serde_json::from_slice::<Value>(&claims).unwrap()["iat"].as_i64().unwrap()
}
