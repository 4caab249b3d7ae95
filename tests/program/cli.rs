//! The program as people and machines start it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// The program with these variables and no others.
pub fn program(args: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_roar-functions"));
    command.args(args).env_clear().envs(variables.iter().copied()).stdin(Stdio::null());
    command
}

pub fn run(args: &[&str], variables: &[(&str, &str)]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = program(args, variables).output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

const FIRESTORE: (&str, &str) = ("ROAR_STORE", "firestore");

#[test]
fn wrong_settings_fail_at_the_start_and_are_named() {
    for (variables, named) in [
        (&[("ROAR_STORE", "mysql")][..], "ROAR_STORE must be one of embedded, firestore"),
        (&[("ROAR_DATA_DIR", " ")], "ROAR_DATA_DIR must not be empty"),
        (&[("PORT", "80800")], "PORT must be a port"),
        (&[("ROAR_LISTEN", "8080")], "ROAR_LISTEN must be an address and a port"),
        (&[("ROAR_ADMIN_PROJECT", "")], "ROAR_ADMIN_PROJECT must not be empty"),
        (&[("ROAR_ASSESSMENT_PROJECT", "demo-roar-admin")], "change ROAR_ASSESSMENT_PROJECT or"),
        (&[("FIRESTORE_EMULATOR_HOST", "http://127.0.0.1:8080")], "FIRESTORE_EMULATOR_HOST must be a host and a port"),
        (&[("FIREBASE_AUTH_EMULATOR_HOST", "localhost")], "FIREBASE_AUTH_EMULATOR_HOST must be a host and a port"),
        (&[("ROAR_UNSIGNED_TOKENS", "yes")], "ROAR_UNSIGNED_TOKENS must be one of auto, never"),
        (&[("ROAR_APP_CHECK", "on")], "ROAR_APP_CHECK must be one of off, monitor, enforce"),
        (&[("ROAR_APP_CHECK_APPS", "web")], "ROAR_APP_CHECK_APPS must be app IDs like 1:123456:web:0a1b2c"),
        (&[("ROAR_APP_CHECK_APPS", "1:1:web:a, 1:1:web:b:")], r#""1:1:web:b:" isn't one"#),
        (&[("ROAR_SIGNED_OUT_LIMIT", "-1")], "ROAR_SIGNED_OUT_LIMIT must be a number from 0 to 1000000"),
        (&[("ROAR_SIGNED_OUT_LIMIT", "1000001")], "ROAR_SIGNED_OUT_LIMIT must be a number from 0 to 1000000"),
        (&[("ROAR_SIGNED_OUT_LIMIT", "many")], "ROAR_SIGNED_OUT_LIMIT must be a number from 0 to 1000000"),
        (&[("ROAR_CALL_BUDGET", "99")], "ROAR_CALL_BUDGET must be 0 for any number, or a number from 100"),
        (&[("ROAR_ADMIN_CALL_BUDGET", "much")], "ROAR_ADMIN_CALL_BUDGET must be 0"),
        (&[("ROAR_RECENT_SIGN_IN", "12h")], "ROAR_RECENT_SIGN_IN must be a number of hours from 0 to 8760"),
        (&[("ROAR_SECOND_FACTOR", "on")], "ROAR_SECOND_FACTOR must be one of off, privileged"),
        (&[("ROAR_TRUSTED_PROXIES", "true")], "ROAR_TRUSTED_PROXIES must be a number from 0 to 10"),
        (&[("ROAR_TRUSTED_PROXIES", "11")], "ROAR_TRUSTED_PROXIES must be a number from 0 to 10"),
        (&[("ROAR_EDIT_IN_PROGRESS", "maybe")], "ROAR_EDIT_IN_PROGRESS must be one of deny, extend, allow"),
        (&[("ROAR_ASSIGN_ON_PROMOTION", "perhaps")], "ROAR_ASSIGN_ON_PROMOTION must be true or false"),
        (&[("ROAR_ASSIGNED_USER_TYPES", ",")], "ROAR_ASSIGNED_USER_TYPES must name a type of user"),
        (&[("ROAR_MIRROR_OMIT", " , ")], "ROAR_MIRROR_OMIT must name a field"),
        (&[("ROAR_MIRROR_OMIT", "")], "ROAR_MIRROR_OMIT must not be empty"),
        (&[("ROAR_TASK_CONCURRENCY", "0")], "ROAR_TASK_CONCURRENCY must be a number from 1 to 1000"),
        (&[("ROAR_MAX_CALLS", "0")], "ROAR_MAX_CALLS must be a number from 1 to 1000"),
        (&[("ROAR_METRICS", "some")], "ROAR_METRICS must be one of all, local"),
        (&[("ROAR_MAX_EVENTS", "0")], "ROAR_MAX_EVENTS must be a number from 1 to 1000"),
        (&[("ROAR_MAX_CONNECTIONS", "0")], "ROAR_MAX_CONNECTIONS must be a number from 1 to 100000"),
        (&[("ROAR_MAX_MEMORY", "10")], "ROAR_MAX_MEMORY must be a number of MiB: 0 for any, or 64"),
        (&[("ROAR_MAX_BODIES", "9")], "ROAR_MAX_BODIES must be a number of MiB, 10 to 4096"),
        (&[("ROAR_OTLP_ENDPOINT", "collector:4318")], "ROAR_OTLP_ENDPOINT must be an http or https URL"),
        (&[("ROAR_TRACE_RATIO", "10")], "ROAR_TRACE_RATIO must be a number from 0 to 1"),
        (&[("ROAR_ROSTER_MISSING_SHARE", "101")], "ROAR_ROSTER_MISSING_SHARE must be a number from 0 to 100"),
        (&[("ROAR_CLEVER_CLIENT_ID", "app")], "ROAR_CLEVER_CLIENT_SECRET is missing"),
        (&[("ROAR_TASKS", "cloud")], "ROAR_TASKS must be local"),
        (&[("ROAR_SHUTDOWN_GRACE", "-1")], "ROAR_SHUTDOWN_GRACE must be a number of seconds"),
        (&[("ROAR_ID_TOKEN_KEYS_URL", "file:///keys")], "ROAR_ID_TOKEN_KEYS_URL must be an http or https URL"),
        (&[("ROAR_LOG", "a=b=c")], "ROAR_LOG must be a tracing filter"),
        (&[("ROAR_LOG_FORMAT", "xml")], "ROAR_LOG_FORMAT must be one of text, json"),
        (&[("PORT", "0")], "set ROAR_UNSIGNED_TOKENS=never"),
        (&[("ROAR_LISTEN", "0.0.0.0:0")], "ID tokens for development would be accepted on 0.0.0.0:0"),
        (&[("ROAR_DEVELOPMENT_HOSTS", "devbox, http://x")], r#""http://x" isn't one"#),
        (&[("ROAR_DEVELOPMENT_ORIGINS", "https://a.example,b.example")], r#""b.example" isn't one"#),
        (&[("ROAR_DEVELOPMENT_ORIGINS", "https://a.example/")], "ROAR_DEVELOPMENT_ORIGINS must be origins"),
        (&[FIRESTORE], "ROAR_EVENTS_AUDIENCE (this service's URL) and ROAR_EVENTS_SERVICE_ACCOUNT"),
        (&[FIRESTORE, ("ROAR_EVENTS_AUDIENCE", "https://x")], "ROAR_EVENTS_SERVICE_ACCOUNT is missing"),
        (&[FIRESTORE, ("ROAR_EVENTS_SERVICE_ACCOUNT", "a@b")], "ROAR_EVENTS_AUDIENCE is missing"),
        (&[FIRESTORE, ("FIREBASE_AUTH_EMULATOR_HOST", "127.0.0.1:9099")], "FIREBASE_AUTH_EMULATOR_HOST is set, but"),
        (
            &[FIRESTORE, ("FIRESTORE_EMULATOR_HOST", "127.0.0.1:8080"), ("PORT", "0")],
            "events carry no proof of their sender",
        ),
    ] {
        let (code, _, stderr) = run(&["serve"], variables);
        assert!(code == 2 && stderr.contains(named), "{variables:?}: {code} {stderr}");
    }
}

#[test]
fn the_readme_has_every_setting() {
    let readme = include_str!("../../README.md");
    let (code, help, _) = run(&["serve", "--help"], &[]);
    assert_eq!(code, 0);
    let names: Vec<_> =
        help.split("[env: ").skip(1).map(|rest| rest.split(['=', ']']).next().unwrap_or_default()).collect();
    assert!(names.len() > 40, "{names:?}");
    for name in names {
        assert!(readme.contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn no_command_mixes_real_documents_with_the_auth_emulators_accounts() {
    let variables = [FIRESTORE, ("FIREBASE_AUTH_EMULATOR_HOST", "127.0.0.1:9099")];
    for args in [&["serve"][..], &["reconcile"], &["reconcile", "--fix"]] {
        let (code, _, stderr) = run(args, &variables);
        assert!(code == 2 && stderr.contains("FIREBASE_AUTH_EMULATOR_HOST is set, but"), "{args:?}: {code} {stderr}");
    }
    let (code, _, stderr) = run(&["reconcile"], &[("FIREBASE_AUTH_EMULATOR_HOST", "localhost")]);
    assert!(code == 2 && stderr.contains("FIREBASE_AUTH_EMULATOR_HOST must be a host and a port"), "{code} {stderr}");
}

#[test]
fn every_command_explains_itself() {
    for args in [
        &["--help"][..],
        &["serve", "--help"],
        &["token", "--help"],
        &["doc", "--help"],
        &["doc", "get", "--help"],
        &["doc", "set", "--help"],
        &["doc", "delete", "--help"],
        &["doc", "list", "--help"],
        &["reconcile", "--help"],
        &["triggers", "--help"],
        &["triggers", "list", "--help"],
        &["triggers", "install", "--help"],
    ] {
        let (code, stdout, _) = run(args, &[]);
        assert!(code == 0 && stdout.contains("Usage: roar-functions") && stdout.contains("ROAR_LOG"), "{args:?}");
    }
    assert_eq!(run(&[], &[]).0, 2);
    assert_eq!(run(&["dance"], &[]).0, 2);
}

#[test]
fn a_token_is_like_the_auth_emulators() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    let args = ["token", "--uid", "u1", "--email", "a@b.example", "--claims", r#"{"role": "admin"}"#];
    let emulator = [FIRESTORE, ("FIRESTORE_EMULATOR_HOST", "127.0.0.1:9"), ("ROAR_ADMIN_PROJECT", "demo-x")];
    let (code, stdout, _) = run(&args, &emulator);
    assert_eq!(code, 0);
    let parts: Vec<_> = stdout.trim_end().split('.').collect();
    let part = |index: usize| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(parts[index]).unwrap()).unwrap();
    assert_eq!((part(0), parts[2], parts.len()), (json!({"alg": "none", "typ": "JWT"}), "", 3));
    let claims = part(1);
    for (name, value) in [
        ("iss", json!("https://securetoken.google.com/demo-x")),
        ("aud", json!("demo-x")),
        ("sub", json!("u1")),
        ("user_id", json!("u1")),
        ("email", json!("a@b.example")),
        ("role", json!("admin")),
    ] {
        assert_eq!(claims[name], value, "{name}");
    }
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);
    assert_eq!(claims["auth_time"], claims["iat"], "somebody has just signed in");

    assert_eq!(run(&["token"], &emulator).0, 2);
    assert_eq!(run(&["token", "--uid", "u1", "--claims", "[]"], &emulator).0, 2);
    assert_eq!(run(&["token", "--uid", "u1", "--claims", r#"{"exp": 1}"#], &emulator).0, 1);
    let (code, _, stderr) = run(&["token", "--uid", "u1"], &[FIRESTORE]);
    assert!(code == 1 && stderr.contains("no server on Cloud Firestore accepts tokens for development"));
}

#[test]
fn bad_paths_and_fields_are_refused_before_any_store_is_asked() {
    let emulator = [FIRESTORE, ("FIRESTORE_EMULATOR_HOST", "127.0.0.1:9")];
    for (args, why) in [
        (&["doc", "get", "users"][..], "is not the path of a document"),
        (&["doc", "list", "users/u1"], "is not the path of a document"),
        (&["doc", "set", "users/u1", "[]"], "the fields must be a JSON object"),
        (&["doc", "set", "users/u1", r#"{"a": {"$time": 1}}"#], "a: $time is no special value"),
    ] {
        let (code, _, stderr) = run(args, &emulator);
        assert!(code == 1 && stderr.contains(why), "{args:?}: {stderr}");
    }
    let (code, _, stderr) = run(&["triggers", "install"], &[]);
    assert!(code == 1 && stderr.contains("set FIRESTORE_EMULATOR_HOST"), "{stderr}");
}

/// A program that is killed when its test ends early.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn serve_tells_its_address_and_stops_when_asked() {
    // Nothing listens there: it shows that a server without its store lives and isn't ready.
    let variables = [
        FIRESTORE,
        ("FIRESTORE_EMULATOR_HOST", "127.0.0.1:9"),
        ("ROAR_LISTEN", "127.0.0.1:0"),
        ("ROAR_LOG_FORMAT", "json"),
        ("ROAR_SHUTDOWN_GRACE", "1"),
        ("ROAR_SIGNED_OUT_LIMIT", "2"),
        ("ROAR_TRUSTED_PROXIES", "1"),
        // Else it would be for this machine alone, and answer nothing that a proxy hands on.
        ("ROAR_EVENTS_AUDIENCE", "https://service.example"),
        ("ROAR_EVENTS_SERVICE_ACCOUNT", "events@demo.iam.gserviceaccount.com"),
    ];
    let mut running = Running(program(&["serve"], &variables).stderr(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(running.0.stderr.take().unwrap()).lines();
    let url = loop {
        let entry: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        let message = entry["message"].as_str().unwrap();
        if let Some(url) = message.strip_prefix("listening on ") {
            assert_eq!(entry["severity"], "INFO");
            assert!(entry["time"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
            break url.to_owned();
        }
    };
    let http = crate::support::world::http();
    assert_eq!(http.get(format!("{url}/healthz")).send().await.unwrap().status(), 200);
    assert_eq!(http.post(format!("{url}/nothing")).json(&json!({"data": 1})).send().await.unwrap().status(), 404);
    for (address, expected) in
        [("203.0.113.1", 401), ("203.0.113.1", 401), ("203.0.113.1", 429), ("6.6.6.6, 203.0.113.1", 429), ("::1", 401)]
    {
        let request = http.post(format!("{url}/createAdministration")).header("x-forwarded-for", address);
        assert_eq!(request.json(&json!({"data": {}})).send().await.unwrap().status(), expected, "{address}");
    }
    let stopped = Command::new("kill").arg(running.0.id().to_string()).status().unwrap();
    assert!(stopped.success());
    let status = tokio::task::spawn_blocking(move || running.0.wait().unwrap()).await.unwrap();
    assert_eq!(status.code(), Some(0));
    let last = lines.map_while(Result::ok).last().unwrap();
    assert_eq!(serde_json::from_str::<Value>(&last).unwrap()["message"], "stopped");
}

#[test]
fn a_port_that_is_taken_is_told() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let variables = [FIRESTORE, ("FIRESTORE_EMULATOR_HOST", "127.0.0.1:9"), ("ROAR_LISTEN", &address)];
    let (code, _, stderr) = run(&["serve"], &variables);
    assert!(code == 1 && stderr.contains(&format!("can't listen on {address}")), "{stderr}");
}

/// Waits a moment after `said` came on standard output, then tells the program to stop: how it ended, how long that
/// took, and what it said on standard error.
pub fn stopped_after(mut running: Running, said: Option<&str>, signal: &str) -> (Option<i32>, Duration, String) {
    // Read on until the end: a pipe that nobody reads stops the program, too.
    let mut lines = running.0.stdout.take().map(|stdout| BufReader::new(stdout).lines().map_while(Result::ok));
    if let (Some(said), Some(lines)) = (said, &mut lines) {
        assert!(lines.any(|line| line.contains(said)), "it never said {said}");
    }
    let rest = std::thread::spawn(move || lines.map_or(0, Iterator::count));
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(running.0.try_wait().unwrap(), None, "it's at work");
    let told = Instant::now();
    let id = running.0.id().to_string();
    assert!(Command::new("kill").args([signal, id.as_str()]).status().unwrap().success());
    let status = running.0.wait().unwrap();
    let took = told.elapsed();
    let mut text = String::new();
    running.0.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    rest.join().unwrap();
    (status.code(), took, text)
}

/// Whoever stops a command that takes long gets it stopped, is told what that leaves, and has nothing to clear away.
#[test]
fn commands_that_take_long_can_be_stopped() {
    const SOON: Duration = Duration::from_secs(2);
    let directory = tempfile::tempdir().unwrap();
    let (kept, temporary) = (directory.path().join("kept"), directory.path().join("temporary"));
    std::fs::create_dir(&temporary).unwrap();
    let [kept, temporary_name] = [&kept, &temporary].map(|path| path.to_str().unwrap());
    let demo = ["demo", "--students", "100000", "--listen", "127.0.0.1:0"];
    for (args, signal) in [(demo.to_vec(), "-INT"), ([&demo[..], &["--data-dir", kept]].concat(), "-TERM")] {
        let variables = [("TMPDIR", temporary_name)];
        let running = program(&args, &variables).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (code, took, said) = stopped_after(Running(running), Some("A district enrols"), signal);
        assert!(code == Some(130) && took < SOON && said.contains("stopped: "), "{code:?} {took:?} {said}");
        assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0, "temporary data are gone");
    }
    // The store that was left behind has thousands of events to deliver, which come first.
    let reconcile = ["reconcile", "--fix"];
    let variables = [("ROAR_DATA_DIR", kept), ("ROAR_LOG", "warn")];
    let running = program(&reconcile, &variables).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let (code, took, said) = stopped_after(Running(running), None, "-INT");
    assert!(code == Some(130) && took < SOON && said.contains("Run it again"), "{code:?} {took:?} {said}");
}
