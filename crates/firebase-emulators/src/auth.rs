//! The real Auth emulator, of Firebase's tools.
//!
//! `SHARED_AUTH_EMULATOR=host:port` names one that runs already (`make test` starts one); without it the first test
//! of a process that asks starts one for the process. Each test takes a project of its own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use super::free_port;

/// The environment variable that names a running emulator, `host:port`.
pub const SHARED_EMULATOR: &str = "SHARED_AUTH_EMULATOR";

/// The project of requests that name none, as those of users who sign in.
pub const DEFAULT_PROJECT: &str = "demo-accounts";

const TOOLS: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/clients/node_modules/firebase-tools/lib/bin/firebase.js");

/// `host:port` of the emulator that this process's tests share.
pub fn auth_host() -> &'static str {
    static SHARED: OnceLock<(String, Option<AuthEmulator>)> = OnceLock::new();
    // Never dropped, being static; the emulator ends when the process does (see `AuthEmulator`).
    let (host, _) = SHARED.get_or_init(|| match std::env::var(SHARED_EMULATOR) {
        Ok(host) if !host.is_empty() => (host, None),
        _ => {
            let emulator = AuthEmulator::start();
            (emulator.host.clone(), Some(emulator))
        }
    });
    host
}

/// A running Auth emulator. It's stopped when this is dropped, or when the process ends in any way, as
/// [`super::Emulator`] is.
struct AuthEmulator {
    host: String,
    shell: Child,
    _directory: tempfile::TempDir,
}

impl AuthEmulator {
    fn start() -> AuthEmulator {
        let tools = PathBuf::from(TOOLS);
        assert!(
            tools.is_file(),
            "no Auth emulator: it comes with npm's firebase-tools. Run `npm ci` in tests/clients (Node 20 or later)"
        );
        let mut log = String::new();
        for _ in 0..3 {
            match AuthEmulator::start_once(&tools) {
                Ok(emulator) => return emulator,
                Err(printed) => log = printed,
            }
        }
        panic!("the Auth emulator did not start; it printed:\n{log}");
    }

    fn start_once(tools: &Path) -> Result<AuthEmulator, String> {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let [port, hub, logging] = [free_port(), free_port(), free_port()];
        let part = |port: u16| serde_json::json!({"host": "127.0.0.1", "port": port});
        let config = serde_json::json!({"emulators": {
            "auth": part(port), "hub": part(hub), "logging": part(logging), "ui": {"enabled": false},
            "singleProjectMode": false,
        }});
        let file = directory.path().join("firebase.json");
        std::fs::write(&file, config.to_string()).expect("a file in the temporary directory");
        let mut shell = Command::new("sh")
            .arg("-c")
            .arg("node \"$@\" </dev/null 2>&1 & emulator=$!; exec >/dev/null 2>&1; read -r _; kill -9 $emulator")
            .arg("emulator")
            .arg(tools)
            .args(["emulators:start", "--only", "auth", "--project", DEFAULT_PROJECT, "--config"])
            .arg(&file)
            .current_dir(directory.path())
            // Its settings and notes stay in the temporary directory.
            .env("XDG_CONFIG_HOME", directory.path())
            .env("TMPDIR", directory.path())
            .env("NO_UPDATE_NOTIFIER", "1")
            .env("CI", "true")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh runs");
        let output = shell.stdout.take().expect("the shell's output is piped");
        let emulator = AuthEmulator { host: format!("127.0.0.1:{port}"), shell, _directory: directory };
        let mut lines = BufReader::new(output).lines();
        let mut printed = String::new();
        for line in lines.by_ref().map_while(Result::ok) {
            if line.contains("All emulators ready") {
                // Its output is read, because the emulator would block on a full pipe.
                std::thread::spawn(move || lines.for_each(drop));
                return Ok(emulator);
            }
            printed.push_str(&line);
            printed.push('\n');
        }
        Err(printed)
    }
}

impl Drop for AuthEmulator {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}
